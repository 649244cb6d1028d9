//! Events in the shape of IBM Cloud's activity tracking: identifiers of what was asked for, and never a secret.

use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use boatyard_iam::Identity;
use boatyard_store::audit::NewEvent;
use bytes::Bytes;
use http::{HeaderMap, StatusCode, header};
use jiff::Timestamp;
use jiff::tz::Offset;
use serde_json::{Map, Value, json};

use super::actions;
use crate::call::pairs;

/// The most characters of a text that came from outside.
const LONGEST: usize = 256;
/// Members of bodies, answers and queries that name things. Nothing else is taken from them.
const IDENTIFIERS: [&str; 27] = [
    "crn",
    "id",
    "clusterID",
    "clusterId",
    "cluster",
    "workerPoolID",
    "workerpool",
    "poolID",
    "pool",
    "workerID",
    "worker",
    "hostID",
    "hostPoolID",
    "iam_id",
    "profile_id",
    "access_group_id",
    "policy_id",
    "service_name",
    "name",
    "account_id",
    "bss_account",
    "resource_group",
    "resource_group_id",
    "zone",
    "region",
    "provider",
    "type",
];
/// Those that say what an event is about, the best first.
const TARGETS: [&str; 14] = [
    "crn",
    "workerID",
    "workerId",
    "worker",
    "workerPoolID",
    "poolidOrName",
    "workerpool",
    "id",
    "clusterID",
    "clusterId",
    "cluster",
    "idOrName",
    "iam_id",
    "profile_id",
];

/// Who asked.
#[derive(Clone, Debug, Default)]
pub(super) struct Initiator {
    pub id: String,
    pub name: String,
    pub account_id: Option<String>,
    pub client_id: String,
    pub grant: String,
    /// `token`, `apikey`, `user`: how they showed who they are.
    pub credential: &'static str,
}

impl Initiator {
    pub fn of(caller: &Identity) -> Self {
        Self {
            id: caller.iam_id.clone(),
            name: if caller.email.is_empty() { caller.name.clone() } else { caller.email.clone() },
            account_id: caller.account_id.clone(),
            client_id: caller.client_id.clone(),
            grant: caller.claims["grant_type"].as_str().unwrap_or_default().to_owned(),
            credential: "token",
        }
    }

    fn type_uri(&self) -> &'static str {
        match self.id.as_str() {
            "" => "service/security/clientid",
            id if id.starts_with("iam-ServiceId-") => "service/security/account/serviceid",
            id if id.starts_with("iam-Profile-") => "service/security/account/profile",
            _ => "service/security/account/user",
        }
    }
}

/// All that an event is made of.
#[derive(Debug, Default)]
pub(super) struct Facts<'a> {
    pub at: Timestamp,
    pub action: String,
    pub operation: &'a str,
    pub status: StatusCode,
    pub code: Option<&'a str>,
    pub initiator: Initiator,
    pub request_id: String,
    pub address: Option<IpAddr>,
    pub user_agent: String,
    /// Identifiers of the request and of the answer.
    pub asked: Map<String, Value>,
    pub answered: Map<String, Value>,
}

impl Facts<'_> {
    /// Takes the identifiers out of a request and its answer.
    pub fn identifiers(&mut self, path: &[(&'static str, String)], query: &str, body: &Bytes, answer: &Bytes) {
        let body = members(body);
        let query = pairs(query).into_iter().filter(|(name, _)| IDENTIFIERS.contains(&name.as_str()));
        let path = path.iter().map(|(name, value)| ((*name).to_owned(), value.clone()));
        // The path says best what is meant, so it comes last.
        self.asked = body.chain(query).chain(path).map(|(name, value)| (name, json!(shown(&value)))).collect();
        if self.status.is_success() {
            self.answered = members(answer).map(|(name, value)| (name, json!(shown(&value)))).collect();
        }
    }

    /// Makes the event that of a login, and tells whether it is one: tokens for a client that gets no session only read, but
    /// for those of a profile that somebody assumes.
    pub fn login(&mut self, form: &[(String, String)], client: &str, answer: &Bytes) -> bool {
        let field = |name: &str| form.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str()).unwrap_or_default();
        let grant = field("grant_type");
        let grant = if boatyard_iam::grant_types().contains(&grant) { grant } else { "unknown" };
        let answer: Value = serde_json::from_slice(answer).unwrap_or_default();
        let claims = answer["access_token"].as_str().and_then(claims).unwrap_or_default();
        let text = |pointer: &str| claims.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
        if self.status.is_success() && text("/session_id").is_empty() && !grant.ends_with(":assume") {
            return false;
        }
        let credential = match grant.rsplit(':').next().unwrap_or_default() {
            "apikey" if text("/iam_id").starts_with("iam-ServiceId-") => "apikey-serviceid",
            "apikey" => "apikey",
            "password" | "passcode" => "user",
            _ => "token",
        };
        let name = if claims.is_null() { field("username").to_owned() } else { text("/sub") };
        self.action = actions::login(grant, &text("/iam_id")).to_owned();
        self.initiator = Initiator {
            id: text("/iam_id"),
            name: if claims.is_null() { typed_name(&name) } else { name },
            account_id: claims.pointer("/account/bss").and_then(Value::as_str).map(str::to_owned),
            client_id: client.to_owned(),
            grant: grant.to_owned(),
            credential,
        };
        true
    }

    pub fn event(mut self) -> NewEvent {
        self.initiator.name = shown(&self.initiator.name);
        let success = self.status.as_u16() < 400;
        let outcome = if success { "success" } else { "failure" };
        let (service, rest) = self.action.split_once('.').unwrap_or((&self.action, ""));
        let (object, verb) = rest.rsplit_once('.').unwrap_or(("", rest));
        let account = self.initiator.account_id.clone();
        let scope = account.as_ref().map(|account| format!("a/{account}")).unwrap_or_default();
        let find = |names: &[&str]| {
            let maps = [&self.answered, &self.asked];
            let found = names.iter().find_map(|name| maps.iter().find_map(|map| map.get(*name)?.as_str()));
            found.unwrap_or_default().to_owned()
        };
        let target = match find(&TARGETS) {
            id if id.is_empty() => self.asked.values().rev().find_map(Value::as_str).unwrap_or_default().to_owned(),
            id => id,
        };
        let name = find(&["name"]);
        let mut asked = self.asked.clone();
        asked.insert("operation".to_owned(), json!(self.operation));
        for (member, value) in [("client_id", &self.initiator.client_id), ("grant_type", &self.initiator.grant)] {
            if !value.is_empty() {
                asked.insert(member.to_owned(), json!(value));
            }
        }
        let what = if name.is_empty() { &target } else { &name };
        let failed = if success { "" } else { " failure" };
        let message = format!("{service}: {verb} {} {what}{failed}", object.replace(['-', '.'], " "));
        let mut reason = json!({
            "reasonCode": self.status.as_u16(),
            "reasonType": self.status.canonical_reason().unwrap_or_default(),
        });
        if let Some(code) = self.code {
            reason["reasonForFailure"] = json!(code);
        }
        let document = json!({
            "eventTime": event_time(self.at),
            "action": self.action,
            "outcome": outcome,
            "message": message.split_whitespace().collect::<Vec<_>>().join(" "),
            "severity": severity(self.status, verb, object),
            "initiator": {
                "id": self.initiator.id,
                "name": self.initiator.name,
                "typeURI": self.initiator.type_uri(),
                "credential": { "type": if self.initiator.credential.is_empty() { "public-access" } else { self.initiator.credential } },
                "host": {
                    "address": self.address.map(|address| address.to_string()).unwrap_or_default(),
                    "addressType": if self.address.is_some_and(|address| address.is_ipv6()) { "IPv6" } else { "IPv4" },
                    "agent": shown(&self.user_agent),
                },
            },
            "target": {
                "id": target,
                "name": name,
                "typeURI": format!("{service}/{}", object.replace('.', "/")),
                "resourceGroupId": find(&["resource_group_id", "resource_group"]),
            },
            "reason": reason,
            "requestData": asked,
            "responseData": self.answered,
            "observer": { "name": "ActivityTracker" },
            "correlationId": self.request_id,
            "logSourceCRN": format!("crn:v1:bluemix:public:{service}::{scope}:::"),
            "saveServiceCopy": true,
            "dataEvent": false,
        });
        NewEvent {
            at: self.at.as_millisecond(),
            account_id: account,
            outcome,
            initiator: self.initiator.id,
            initiator_name: self.initiator.name,
            document: document.to_string(),
            action: self.action,
        }
    }
}

/// As the documentation of events has it.
fn severity(status: StatusCode, verb: &str, object: &str) -> &'static str {
    match (status.as_u16(), verb) {
        (401 | 403 | 503 | 507, _) => "critical",
        (400.., _) => "warning",
        (_, "delete" | "rotate" | "reset" | "config") => "critical",
        _ if object.contains("apikey") && verb != "login" => "critical",
        (_, "update") => "warning",
        _ => "normal",
    }
}

/// What somebody typed as user name. People type passwords into the wrong field; what is no address is not repeated.
pub(super) fn typed_name(name: &str) -> String {
    if name.contains('@') { name.to_owned() } else { String::new() }
}

/// The client of a `Basic` header, if it is one of those that are known.
pub(super) fn client_of(headers: &HeaderMap) -> &'static str {
    let encoded = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()?.split_once(char::is_whitespace));
    let decoded = encoded.and_then(|(_, encoded)| STANDARD.decode(encoded.trim()).ok());
    let id = decoded.and_then(|bytes| Some(String::from_utf8(bytes).ok()?.split_once(':')?.0.to_owned()));
    match id.as_deref() {
        None => "default",
        Some("bx") => "bx",
        Some("kube") => "kube",
        Some("cf") => "cf",
        Some(_) => "unknown",
    }
}

/// `2017-10-19T19:07:50.32+0000`
fn event_time(at: Timestamp) -> String {
    let hundredths = at.as_millisecond().rem_euclid(1000) / 10;
    format!("{}.{hundredths:02}+0000", Offset::UTC.to_datetime(at).strftime("%Y-%m-%dT%H:%M:%S"))
}

/// The identifiers among the members of a JSON object.
fn members(json: &Bytes) -> impl Iterator<Item = (String, String)> + use<> {
    let object: Map<String, Value> = serde_json::from_slice(json).unwrap_or_default();
    let named = object.into_iter().filter(|(name, _)| IDENTIFIERS.contains(&name.as_str()));
    named.filter_map(|(name, value)| match value {
        Value::String(text) => Some((name, text)),
        _ => None,
    })
}

/// A text from outside as it may stand in an event: not too long, without control characters, of which PostgreSQL takes no NUL and
/// terminals obey others, and not what looks like a secret in the wrong place.
fn shown(text: &str) -> String {
    let text: String = text.chars().filter(|c| !c.is_control()).take(LONGEST).collect();
    if looks_secret(&text) { "(hidden)".to_owned() } else { text }
}

/// Whether a text has the form of a token or an API key: JWTs, and 44 characters in which capitals, small letters and digits mix and
/// that hold no UUID.
fn looks_secret(text: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    let mixed = |test: fn(&u8) -> bool| text.as_bytes().iter().any(test);
    let keylike = text.len() == 44
        && text.bytes().all(word)
        && mixed(u8::is_ascii_uppercase)
        && mixed(u8::is_ascii_lowercase)
        && mixed(u8::is_ascii_digit);
    let uuid = text.len() >= 36
        && text.is_char_boundary(text.len() - 36)
        && text[text.len() - 36..].bytes().enumerate().all(|(index, byte)| match index {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        });
    text.starts_with("eyJ") || text.starts_with("Bearer ") || (keylike && !uuid)
}

/// The claims of a token that this server has just signed.
fn claims(token: &str) -> Option<Value> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(facts: Facts<'_>) -> Value {
        serde_json::from_str(&facts.event().document).unwrap()
    }

    #[test]
    fn an_event_has_the_fields_of_activity_tracking() {
        let mut facts = Facts {
            at: boatyard_core::clock::from_ms(1_508_440_070_321),
            action: "containers-kubernetes.cluster.create".to_owned(),
            operation: "VpcCreateCluster",
            status: StatusCode::CREATED,
            initiator: Initiator {
                id: "IBMid-1".to_owned(),
                name: "ada@example.com".to_owned(),
                account_id: Some("a1".to_owned()),
                client_id: "bx".to_owned(),
                grant: "password".to_owned(),
                credential: "token",
            },
            request_id: "r1".to_owned(),
            address: Some([127, 0, 0, 1].into()),
            user_agent: "curl".to_owned(),
            ..Facts::default()
        };
        let (body, answer) = (br#"{"name":"mine","secret":"s3cret"}"#, br#"{"clusterID":"c1","apikey":"s3cret"}"#);
        facts.identifiers(&[], "region=us-south&token=s3cret", &Bytes::from_static(body), &Bytes::from_static(answer));
        let event = made(facts);
        assert!(!event.to_string().contains("s3cret"), "{event:#}");
        let expected = [
            ("/eventTime", json!("2017-10-19T19:07:50.32+0000")),
            ("/outcome", json!("success")),
            ("/message", json!("containers-kubernetes: create cluster mine")),
            ("/severity", json!("normal")),
            ("/initiator/typeURI", json!("service/security/account/user")),
            ("/initiator/host/address", json!("127.0.0.1")),
            ("/target/id", json!("c1")),
            ("/target/name", json!("mine")),
            ("/target/typeURI", json!("containers-kubernetes/cluster")),
            ("/reason/reasonCode", json!(201)),
            ("/requestData/region", json!("us-south")),
            ("/requestData/client_id", json!("bx")),
            ("/responseData", json!({ "clusterID": "c1" })),
            ("/logSourceCRN", json!("crn:v1:bluemix:public:containers-kubernetes::a/a1:::")),
        ];
        for (pointer, value) in expected {
            assert_eq!(event.pointer(pointer), Some(&value), "{pointer}");
        }
    }

    #[test]
    fn what_looks_like_a_secret_is_hidden_wherever_it_stands() {
        let secrets = ["eyJhbGciOiJSUzI1NiJ9.e30.x", "Bearer x", "3QmGq3m9Kq-0aB1cD2eF3gH4iJ5kL6mN7oP8qR9sT0_z"];
        for secret in secrets {
            assert_eq!(shown(secret), "(hidden)", "{secret}");
        }
        let identifiers = [
            "Profile-9fd49d5d-2b9f-4d43-8c4b-f8e8f0e4b1aa",
            "ApiKey-9fd49d5d-2b9f-4d43-8c4b-f8e8f0e4b1aa",
            "crn:v1:bluemix:public:containers-kubernetes:us-south:a/0123456789abcdef0123456789abcdef:c5e1g2j1::",
            "kube-c5e1g2j1-mine-default-00000001",
        ];
        for identifier in identifiers {
            assert_eq!(shown(identifier), identifier);
        }
        assert_eq!(shown(&"x".repeat(1000)).len(), LONGEST);
    }

    #[test]
    fn a_wrong_password_typed_as_the_user_name_is_not_repeated() {
        let failed = |username: &str| {
            let mut facts = Facts { status: StatusCode::UNAUTHORIZED, ..Facts::default() };
            let form = [("grant_type", "password"), ("username", username)];
            let form = form.map(|(n, v)| (n.to_owned(), v.to_owned())).to_vec();
            assert!(facts.login(&form, "bx", &Bytes::new()));
            let event = facts.event();
            let document: Value = serde_json::from_str(&event.document).unwrap();
            assert_eq!(document["initiator"]["name"], *event.initiator_name, "{username}");
            document
        };
        assert_eq!(failed("ada@example.com")["initiator"]["name"], "ada@example.com");
        assert_eq!(failed("hunter2")["initiator"]["name"], "");
        let long = failed(&"@".repeat(64 * 1024));
        assert_eq!(long["initiator"]["name"].as_str().map(str::len), Some(LONGEST));
        assert_eq!(failed("ada\0@exam\x1bple.com")["initiator"]["name"], "ada@example.com", "no control characters");
        assert_eq!(failed("x")["action"], "iam-identity.user-password.login");
        assert_eq!(failed("x")["severity"], "critical");
    }
}
