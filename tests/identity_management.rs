//! API keys, service IDs, trusted profiles and account settings, as the HTTP API has them and as IBM's Python SDK uses them.

use serde_json::{Value, json};

use crate::harness::clients::{describe, node, python, run, script};
use crate::harness::http::{array, escape, text};
use crate::harness::{APIKEY, Answer, BX, Request, Server, User, check, shared};

const ASSUME: &str = "urn:ibm:params:oauth:grant-type:assume";

/// Somebody who manages the identities of an account.
struct Manager<'a> {
    server: &'a Server,
    user: User,
    token: String,
    iam_id: String,
}

impl<'a> Manager<'a> {
    fn new(server: &'a Server, name: &str) -> Self {
        let user = server.account(name);
        let token = server.token(&user);
        let info = server.send(Request::get("/identity/userinfo").bearer(&token)).json(200);
        Self { server, user, token, iam_id: text(&info, "/iam_id").to_owned() }
    }

    fn call(&self, request: &str, body: &Value) -> Answer {
        self.call_with(request, body, &[])
    }

    fn call_with(&self, request: &str, body: &Value, headers: &[(&str, &str)]) -> Answer {
        let (method, path) = request.split_once(' ').unwrap();
        let mut request = Request::new(method, path).bearer(&self.token);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        self.server.send(if body.is_null() { request } else { request.json(body) })
    }

    fn key(&self, name: &str, headers: &[(&str, &str)]) -> Value {
        self.call_with("POST /v1/apikeys", &json!({"name": name, "iam_id": self.iam_id}), headers).json(201)
    }

    fn service_id(&self, name: &str) -> Value {
        let body = json!({"account_id": self.user.account_id, "name": name, "apikey": {"name": "its key"}});
        self.call("POST /v1/serviceids", &body).json(201)
    }

    fn profile(&self, name: &str) -> Value {
        let body = json!({"account_id": self.user.account_id, "name": name});
        self.call("POST /v1/profiles", &body).json(201)
    }
}

/// Checks a refusal in the form of the management services: its status, its code, and a word of its text.
fn refused(answer: &Answer, status: u16, code: &str, word: &str) -> Result<(), String> {
    let body = answer.try_json()?;
    let found = (answer.status, body["status_code"].as_u64(), body.pointer("/errors/0/code").and_then(Value::as_str));
    if found != (status, Some(u64::from(status)), Some(code)) {
        return Err(format!("{found:?}, expected {status} {code}: {body}"));
    }
    match text(&body, "/errors/0/message").contains(word) {
        true => Ok(()),
        false => Err(format!("'{word}' is not in {body}")),
    }
}

#[test]
fn a_keys_value_is_told_once_and_it_logs_in_until_it_is_disabled_or_deleted() {
    let server = shared();
    let me = Manager::new(&server, "key-life");
    let key = me.key("mine", &[]);
    let (id, value) = (text(&key, "/id"), text(&key, "/apikey"));
    assert!(id.starts_with("ApiKey-") && value.len() >= 32, "{key}");
    let fields = [("grant_type", APIKEY), ("apikey", value)];
    let tokens = server.grant(Some(BX), &fields).json(200);
    let token = text(&tokens, "/access_token");
    server.send(Request::get("/v1/apikeys").bearer(token)).expect(200);

    let read = me.call(&format!("GET /v1/apikeys/{id}"), &Value::Null);
    assert_eq!(text(&read.json(200), "/apikey"), "");
    assert_eq!(read.header("etag"), Some(format!("\"{}\"", text(&key, "/entity_tag")).as_str()));
    let found = me.call_with("GET /v1/apikeys/details", &Value::Null, &[("IAM-ApiKey", value)]).json(200);
    assert_eq!((text(&found, "/id"), text(&found, "/apikey")), (id, ""));
    let listed = me.call("GET /v1/apikeys", &Value::Null).json(200).to_string();
    assert!(listed.contains(id) && !listed.contains(value));

    me.call(&format!("POST /v1/apikeys/{id}/disable"), &Value::Null).expect(204);
    check::refusal(&server.grant(Some(BX), &fields), check::Service::Iam, 400, "BXNIM0462E").unwrap();
    server.send(Request::get("/v1/apikeys").bearer(token)).expect(401);
    me.call(&format!("DELETE /v1/apikeys/{id}/disable"), &Value::Null).expect(204);
    let fresh = server.grant(None, &fields).json(200);
    server.send(Request::get("/v1/apikeys").bearer(text(&fresh, "/access_token"))).expect(200);
    server.send(Request::get("/v1/apikeys").bearer(token)).expect(401);

    me.call(&format!("DELETE /v1/apikeys/{id}"), &Value::Null).expect(204);
    server.send(Request::get("/v1/apikeys").bearer(text(&fresh, "/access_token"))).expect(401);
    check::refusal(&server.grant(None, &fields), check::Service::Iam, 400, "BXNIM0415E").unwrap();
    assert!(!server.log().contains(value));
}

#[test]
fn what_is_locked_stays_as_it_is_until_it_is_unlocked() {
    let server = shared();
    let me = Manager::new(&server, "locked");
    let key = me.key("mine", &[("Entity-Lock", "true"), ("Entity-Disable", "true")]);
    assert_eq!((&key["locked"], &key["disabled"]), (&json!(true), &json!(true)));
    let service_id = me.service_id("program");
    let of_key = format!("/v1/apikeys/{}", text(&key, "/id"));
    let of_service_id = format!("/v1/serviceids/{}", text(&service_id, "/id"));
    let of_its_key = format!("/v1/apikeys/{}", text(&service_id, "/apikey/id"));
    me.call(&format!("POST {of_service_id}/lock"), &Value::Null).expect(204);
    let any = [("If-Match", "*")];
    for path in [&of_key, &of_service_id] {
        for request in [format!("PUT {path}"), format!("DELETE {path}")] {
            refused(&me.call_with(&request, &json!({"name": "other"}), &any), 409, "locked", "Unlock").unwrap();
        }
        me.call(&format!("DELETE {path}/lock"), &Value::Null).expect(204);
        me.call_with(&format!("PUT {path}"), &json!({"name": "other"}), &any).expect(200);
    }
    // A service ID goes only if its keys may.
    me.call(&format!("POST {of_its_key}/lock"), &Value::Null).expect(204);
    refused(&me.call(&format!("DELETE {of_service_id}"), &Value::Null), 409, "locked", "API key").unwrap();
    me.call(&format!("DELETE {of_its_key}/lock"), &Value::Null).expect(204);
    me.call(&format!("DELETE {of_service_id}"), &Value::Null).expect(204);
    refused(&me.call(&format!("GET {of_its_key}"), &Value::Null), 404, "not_found", "API key").unwrap();
}

#[test]
fn a_change_of_what_somebody_else_changed_is_refused() {
    let server = shared();
    let me = Manager::new(&server, "stale");
    let settings = format!("/v1/accounts/{}/settings/identity", me.user.account_id);
    let profile = me.profile("stale");
    let paths = [
        format!("/v1/apikeys/{}", text(&me.key("k", &[]), "/id")),
        format!("/v1/serviceids/{}", text(&me.service_id("s"), "/id")),
        format!("/v1/profiles/{}", text(&profile, "/id")),
        settings,
    ];
    for path in paths {
        let tag = text(&me.call(&format!("GET {path}"), &Value::Null).json(200), "/entity_tag").to_owned();
        let put = format!("PUT {path}");
        let body = json!({"description": "x", "mfa": "NONE"});
        let changed = me.call_with(&put, &body, &[("If-Match", &tag)]).json(200);
        assert_ne!(text(&changed, "/entity_tag"), tag, "{path}");
        refused(&me.call_with(&put, &body, &[("If-Match", &tag)]), 409, "stale", "Read it again").unwrap();
        refused(&me.call(&put, &body), 400, "invalid_request", "If-Match").unwrap();
        me.call_with(&put, &body, &[("If-Match", "*")]).expect(200);
    }
}

#[test]
fn bad_input_is_refused_by_name() {
    let server = shared();
    let me = Manager::new(&server, "bad");
    let account = &me.user.account_id;
    let profile = text(&me.profile("bad"), "/id").to_owned();
    let of_service_id = text(&me.service_id("bad"), "/iam_id").to_owned();
    let (keys, ids, own) = ("POST /v1/apikeys", "POST /v1/serviceids", me.iam_id.as_str());
    let rules = format!("POST /v1/profiles/{profile}/rules");
    let user = format!("POST /v1/profiles/{profile}/identities/user");
    let condition = json!([{"claim": "team", "operator": "EQUALS", "value": "\"x\""}]);
    let rows = [
        ("no name", keys, json!({"name": "", "iam_id": own}), "name"),
        ("no identity", keys, json!({"name": "k", "iam_id": ""}), "iam_id"),
        ("a short value", keys, json!({"name": "k", "iam_id": own, "apikey": "short"}), "apikey"),
        ("a leak's action", keys, json!({"name": "k", "iam_id": own, "action_when_leaked": "run"}), "action_when_leaked"),
        ("an expiry past", keys, json!({"name": "k", "iam_id": own, "expires_at": "2020-01-01T00:00+0000"}), "expires_at"),
        ("a stored value", keys, json!({"name": "k", "iam_id": own, "store_value": true}), "store_value"),
        ("machine sessions", keys, json!({"name": "k", "iam_id": of_service_id, "support_sessions": true}), "support_sessions"),
        ("a profile's key", keys, json!({"name": "k", "iam_id": format!("iam-{profile}")}), "iam_id"),
        ("crns", ids, json!({"account_id": account, "name": "s", "unique_instance_crns": ["x"]}), "unique_instance_crns"),
        ("a rule's type", &rules, json!({"type": "Profile-X", "conditions": condition}), "type"),
        ("no realm", &rules, json!({"type": "Profile-SAML", "conditions": condition}), "realm_name"),
        ("no conditions", &rules, json!({"type": "Profile-CR", "cr_type": "VSI", "conditions": []}), "conditions"),
        ("another type", &user, json!({"type": "serviceid", "identifier": "x"}), "type"),
        ("no user", &user, json!({"type": "user", "identifier": "iam-ServiceId-x"}), "identifier"),
    ];
    check::table(
        rows.map(|(name, request, body, member)| (name, (request.to_owned(), body, member))),
        |(request, body, member)| refused(&me.call(&request, &body), 400, "invalid_request", &format!("'{member}'")),
    );
    refused(
        &me.call_with(keys, &json!({"name": "k", "iam_id": own}), &[("Entity-Lock", "maybe")]),
        400,
        "invalid_request",
        "Entity-Lock",
    )
    .unwrap();
    for query in
        ["pagesize=0", "pagesize=x", "pagetoken=x", "sort=colour", "order=up", "filter=name", "scope=all", "type=robot"]
    {
        let (member, _) = query.split_once('=').unwrap();
        refused(&me.call(&format!("GET /v1/apikeys?{query}"), &Value::Null), 400, "invalid_request", &format!("'{member}'"))
            .unwrap();
    }
}

#[test]
fn settings_out_of_their_range_are_refused_and_lifetimes_count_from_the_next_token() {
    let server = shared();
    let me = Manager::new(&server, "settings");
    let put = format!("PUT /v1/accounts/{}/settings/identity", me.user.account_id);
    let set = |member: &str, value: &str| me.call_with(&put, &json!({member: value}), &[("If-Match", "*")]);
    let rows = [
        ("session_expiration_in_seconds", "899", "86401"),
        ("session_invalidation_in_seconds", "899", "7201"),
        ("system_access_token_expiration_in_seconds", "899", "3601"),
        ("system_refresh_token_expiration_in_seconds", "899", "259201"),
        ("max_sessions_per_identity", "0", "many"),
        ("mfa", "SOME", ""),
        ("restrict_create_service_id", "YES", ""),
        ("restrict_create_platform_apikey", "YES", ""),
        ("restrict_user_list_visibility", "NOT_SET", ""),
        ("allowed_ip_addresses", "localhost", "1.2.3.4/40"),
    ];
    for (member, low, high) in rows {
        for bad in [low, high] {
            refused(&set(member, bad), 400, "invalid_request", &format!("'{member}'")).unwrap();
        }
    }
    let unset = me.call(&put.replace("PUT", "GET"), &Value::Null).json(200);
    assert_eq!(text(&unset, "/system_access_token_expiration_in_seconds"), "NOT_SET");
    let after = set("system_access_token_expiration_in_seconds", "900").json(200);
    assert_eq!(text(&after, "/system_access_token_expiration_in_seconds"), "900");
    assert_eq!(server.login(&me.user)["expires_in"], 900);
    let effective = format!("GET /v1/accounts/{}/effective_settings/identity", me.user.account_id);
    let effective = me.call(&effective, &Value::Null).json(200);
    assert_eq!(text(&effective, "/effective/system_access_token_expiration_in_seconds"), "900");
    assert_eq!(text(&effective, "/effective/system_refresh_token_expiration_in_seconds"), "259200");
}

#[test]
fn another_accounts_identities_are_as_if_they_did_not_exist() {
    let server = shared();
    let (me, other) = (Manager::new(&server, "mine"), Manager::new(&server, "theirs"));
    let service_id = other.service_id("program");
    let account = &other.user.account_id;
    let paths = [
        format!("/v1/apikeys/{}", text(&other.key("k", &[]), "/id")),
        format!("/v1/apikeys/{}", text(&service_id, "/apikey/id")),
        format!("/v1/serviceids/{}", text(&service_id, "/id")),
        format!("/v1/profiles/{}", text(&other.profile("p"), "/id")),
    ];
    for path in paths {
        other.call(&format!("GET {path}"), &Value::Null).expect(200);
        refused(&me.call(&format!("GET {path}"), &Value::Null), 404, "not_found", "").unwrap();
    }
    let of_account = [
        format!("/v1/accounts/{account}/settings/identity"),
        format!("/v1/preferences/accounts/{account}/identities/{}", other.iam_id),
    ];
    for path in of_account {
        other.call(&format!("GET {path}"), &Value::Null).expect(200);
        refused(&me.call(&format!("GET {path}"), &Value::Null), 403, "BXNIM0513E", "action").unwrap();
    }
    for list in ["apikeys", "serviceids", "profiles"] {
        let list = format!("GET /v1/{list}?account_id={account}");
        refused(&me.call(&list, &Value::Null), 404, "not_found", "account").unwrap();
    }
    let value = text(&service_id, "/apikey/apikey");
    let found = me.call_with("GET /v1/apikeys/details", &Value::Null, &[("IAM-ApiKey", value)]);
    refused(&found, 404, "not_found", "API key").unwrap();
    assert!(!found.text().contains(value));
    // Nobody makes a key with which to be somebody else.
    let stolen = me.call("POST /v1/apikeys", &json!({"name": "k", "iam_id": other.iam_id}));
    refused(&stolen, 403, "forbidden", "themselves").unwrap();
}

#[test]
fn lists_are_read_page_by_page_sorted_and_filtered() {
    let server = shared();
    let me = Manager::new(&server, "pages");
    for n in 0..7 {
        let body = json!({"account_id": me.user.account_id, "name": format!("ci-{}", (n * 5) % 7)});
        me.call("POST /v1/serviceids", &body).expect(201);
    }
    let filter = escape("name sw \"ci-\" and name ne \"ci-3\"");
    let first = format!("/v1/serviceids?account_id={}&pagesize=2&sort=name&order=desc&filter={filter}", me.user.account_id);
    let (mut path, mut seen) = (first, Vec::new());
    loop {
        let page = me.call(&format!("GET {path}"), &Value::Null).json(200);
        seen.extend(array(&page["serviceids"]).iter().map(|one| text(one, "/name").to_owned()));
        let Some(next) = page["next"].as_str() else { break };
        path = next.strip_prefix(&server.endpoint).expect("a URL of this server").to_owned();
    }
    assert_eq!(seen, ["ci-6", "ci-5", "ci-4", "ci-2", "ci-1", "ci-0"]);
}

#[test]
fn a_profile_is_assumed_by_whom_it_trusts_and_nobody_else() {
    let server = shared();
    let me = Manager::new(&server, "assume");
    let profile = me.profile("deployer");
    let id = text(&profile, "/id");
    let assume = |token: &str, name: &[(&str, &str)]| {
        let fields: Vec<_> =
            [("grant_type", ASSUME), ("access_token", token)].into_iter().chain(name.iter().copied()).collect();
        server.grant(None, &fields)
    };
    let by_id = [("profile_id", id)];
    check::refusal(&assume(&me.token, &by_id), check::Service::Iam, 400, "BXNIM0446E").unwrap();
    check::refusal(&assume(&me.token, &[("profile_id", "Profile-none")]), check::Service::Iam, 400, "BXNIM0446E").unwrap();
    let of_user = format!("/v1/profiles/{id}/identities/user");
    me.call(&format!("POST {of_user}"), &json!({"type": "user", "identifier": me.iam_id})).expect(200);
    let crn = text(&profile, "/crn");
    let names = [
        by_id.to_vec(),
        vec![("profile_crn", crn)],
        vec![("profile_name", "deployer"), ("account", me.user.account_id.as_str())],
    ];
    for name in names {
        let answer = assume(&me.token, &name).json(200);
        assert!(answer.get("refresh_token").is_none(), "{answer}");
        let info = server.send(Request::get("/identity/userinfo").bearer(text(&answer, "/access_token"))).json(200);
        assert_eq!((text(&info, "/iam_id"), text(&info, "/sub")), (format!("iam-{id}").as_str(), id));
        assert_eq!(text(&info, "/account/bss"), me.user.account_id);
    }
    // A profile has no more rights than its policies give it, and makes no keys.
    let as_profile = assume(&me.token, &by_id).json(200);
    let bearer = text(&as_profile, "/access_token");
    server.send(Request::get(format!("/v1/profiles/{id}")).bearer(bearer)).expect(403);
    let stranger = Manager::new(&server, "stranger");
    check::refusal(&assume(&stranger.token, &by_id), check::Service::Iam, 400, "BXNIM0446E").unwrap();

    me.call(&format!("DELETE {of_user}/{}", me.iam_id), &Value::Null).expect(204);
    check::refusal(&assume(&me.token, &by_id), check::Service::Iam, 400, "BXNIM0446E").unwrap();
    let rule = json!({
        "type": "Profile-SAML", "realm_name": "IBMid",
        "conditions": [{"claim": "email", "operator": "EQUALS", "value": format!("{:?}", me.user.username)}],
    });
    me.call(&format!("POST /v1/profiles/{id}/rules"), &rule).expect(201);
    assume(&me.token, &by_id).json(200);
    me.call(&format!("DELETE /v1/profiles/{id}"), &Value::Null).expect(204);
    server.send(Request::get("/v1/apikeys").bearer(bearer)).expect(401);
}

#[test]
fn the_node_sdk_manages_identities_and_logs_in_with_each_of_them() {
    let server = Server::start();
    let user = server.account("node");
    let (mut command, _home) = node("node", "identity_management.mjs");
    describe(&mut command, &server, &user);
    command.env("NODE_EXTRA_CA_CERTS", &server.ca_file).env("ADMINISTRATOR_APIKEY", &server.administrator.apikey);
    let printed = run(&mut command).success();
    assert_eq!(printed.lines().filter(|l| l.starts_with("ok: ")).count(), 6, "{printed}");
}

#[test]
fn the_python_sdk_manages_identities_and_logs_in_with_each_of_them() {
    let server = Server::start();
    let user = server.account("python");
    let (mut command, _home) = python(&[&script("python/identity_management.py")]);
    describe(&mut command, &server, &user);
    command.env("REQUESTS_CA_BUNDLE", &server.ca_file).env("ADMINISTRATOR_APIKEY", &server.administrator.apikey);
    let printed = run(&mut command).success();
    assert_eq!(printed.lines().filter(|l| l.starts_with("ok: ")).count(), 9, "{printed}");
}
