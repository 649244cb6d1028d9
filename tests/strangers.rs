//! What the real names of an account's things are worth to somebody who may do everything in another account: nothing.
//!
//! Rows are read from the operation table, and every parameter of their paths has to be known here, so that a new operation cannot be
//! forgotten.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::harness::http::text;
use crate::harness::{Request, Server, User};
use crate::isolation::{Row, rows};

/// Operations that answer somebody else otherwise than with 403 or 404, and all the same tell and change nothing.
const OTHERWISE: [(&str, u16); 8] = [
    ("iam-policy-management/ListPolicies", 200),
    ("iam-policy-management/ListV2Policies", 200),
    ("iam-policy-management/ListRoles", 200),
    ("resource-manager/ListResourceGroups", 200),
    // Somebody of that name has no sessions in their account.
    ("iam-token/DeleteSessions", 204),
    // What a body says of an account is looked at first.
    ("iam-policy-management/CreatePolicy", 400),
    ("iam-policy-management/CreateV2Policy", 400),
    ("iam-policy-management/CreateRole", 400),
];
/// What is nobody's own.
const COMMON: [&str; 1] = ["resource-manager/GetQuotaDefinition"];
/// An account and the real names of what it has.
struct Victim {
    account: String,
    token: String,
    names: BTreeMap<&'static str, String>,
    /// By operation, for those that want more than a name.
    bodies: BTreeMap<String, Value>,
}

/// Of a rule about claims.
fn conditions() -> Value {
    json!([{"claim": "team", "operator": "EQUALS", "value": "\"canary\""}])
}

impl Victim {
    fn new(server: &Server) -> Self {
        let user = server.account("victim");
        let login = server.login(&user);
        let (account, token) = (user.account_id.clone(), text(&login, "/access_token").to_owned());
        let mut victim = Self { account, token, names: BTreeMap::new(), bodies: BTreeMap::new() };
        victim.names.insert("session", text(&login, "/session_id").to_owned());
        victim.fill(server, &user);
        victim
    }

    fn make(&mut self, server: &Server, name: &'static str, path: &str, pointer: &str, body: Value) -> Value {
        let request = Request::post(path).bearer(&self.token).json(&body);
        let answer = server.send(request);
        assert!((200..300).contains(&answer.status), "{path}: {} {}", answer.status, answer.text());
        let made = answer.json(answer.status);
        self.names.insert(name, text(&made, pointer).to_owned());
        made
    }

    /// Makes one of everything.
    fn fill(&mut self, server: &Server, user: &User) {
        let owner = user.iam_id.clone().expect("a local user has an IAM ID");
        self.names.extend([("account", self.account.clone()), ("owner", owner)]);
        self.fill_identities(server);
        self.fill_profile(server);
        self.fill_access(server);
        self.fill_group(server);
        let account = &self.account;
        // What creates would make of the account, and what changes of its things would leave.
        let named = json!({"account_id": account, "name": "taken-over"});
        for creates in ["CreateServiceID", "CreateServiceIDGroup", "CreateProfile", "UpdateServiceIDGroup"] {
            self.bodies.insert(format!("iam-identity/{creates}"), named.clone());
        }
        let key = json!({"account_id": account, "iam_id": self.names["owner"], "name": "taken-over"});
        let more = [
            ("iam-identity/CreateAPIKey", key),
            ("iam-identity/UpdateAccountSettings", json!({"mfa": "NONE"})),
            ("resource-manager/CreateResourceGroup", named),
            ("user-management/InviteUsers", json!({"users": [{"email": "eve@example.com", "account_role": "Member"}]})),
            ("user-management/UpdateUserProfile", json!({"firstname": "taken-over"})),
            ("user-management/UpdateUserSettings", json!({"language": "en"})),
        ];
        self.with(&more);
    }

    /// Says what requests carry.
    fn with(&mut self, bodies: &[(&str, Value)]) {
        self.bodies.extend(bodies.iter().map(|(operation, body)| ((*operation).to_owned(), body.clone())));
    }

    fn fill_identities(&mut self, server: &Server) {
        let (account, owner) = (self.account.clone(), self.names["owner"].clone());
        let service = json!({"account_id": account, "name": "canary-service"});
        let made = self.make(server, "service", "/v1/serviceids", "/id", service);
        self.names.insert("service iam", text(&made, "/iam_id").to_owned());
        let key = json!({"account_id": account, "iam_id": owner, "name": "canary-key"});
        self.make(server, "key", "/v1/apikeys", "/id", key);
        let group = json!({"account_id": account, "name": "canary-group"});
        self.make(server, "service group", "/v1/serviceid_groups", "/id", group);
        let resources = json!({"account_id": account, "name": "canary-resources"});
        self.make(server, "resource group", "/v2/resource_groups", "/id", resources);
        let preference = format!("/v1/preferences/accounts/{account}/identities/{owner}/console/landing_page");
        let value = json!({"value_string": "/canary"});
        server.send(Request::new("PUT", preference).bearer(&self.token).json(&value)).expect(200);
        self.with(&[("iam-identity/UpdatePreferenceOnScopeAccount", value)]);
    }

    fn fill_profile(&mut self, server: &Server) {
        let profile = json!({"account_id": self.account, "name": "canary-profile"});
        self.make(server, "profile", "/v1/profiles", "/id", profile);
        let of_profile = |what: &str| format!("/v1/profiles/{}/{what}", self.names["profile"]);
        let (rules, links, identities) = (of_profile("rules"), of_profile("links"), of_profile("identities/user"));
        let rule = json!({
            "type": "Profile-SAML", "realm_name": "https://idp.example.com", "expiration": 43200, "conditions": conditions(),
        });
        self.make(server, "profile rule", &rules, "/id", rule.clone());
        let crn = format!("crn:v1:bluemix:public:containers-kubernetes:us-south:a/{}:cluster::", self.account);
        let link = json!({"cr_type": "IKS_SA", "name": "canary-link", "link": {"crn": crn, "namespace": "n", "name": "s"}});
        self.make(server, "link", &links, "/id", link.clone());
        let identity = json!({"type": "user", "identifier": self.names["owner"]});
        self.make(server, "identity", &identities, "/identifier", identity.clone());
        self.with(&[
            ("iam-identity/SetProfileIdentities", json!({"identities": []})),
            ("iam-identity/SetProfileIdentity", identity),
            ("iam-identity/CreateLink", link),
            ("iam-identity/CreateClaimRule", rule.clone()),
            ("iam-identity/UpdateClaimRule", rule),
        ]);
    }

    fn fill_access(&mut self, server: &Server) {
        let (account, service) = (&self.account, &self.names["service iam"]);
        let roles = json!([{"role_id": "crn:v1:bluemix:public:iam::::role:Viewer"}]);
        let old = |name: &str, value: &str| json!({"name": name, "value": value});
        let policy = json!({
            "type": "access", "roles": roles,
            "subjects": [{"attributes": [old("iam_id", service)]}],
            "resources": [{"attributes": [old("accountId", account), old("serviceName", "containers-kubernetes")]}],
        });
        let new = |key: &str, value: &str| json!({"key": key, "operator": "stringEquals", "value": value});
        let v2 = json!({
            "type": "access", "control": {"grant": {"roles": roles}},
            "subject": {"attributes": [new("iam_id", service)]},
            "resource": {"attributes": [new("accountId", account), new("serviceName", "containers-kubernetes")]},
        });
        let role = json!({
            "name": "Canary", "display_name": "canary-role", "account_id": account, "service_name": "containers-kubernetes",
            "actions": ["containers-kubernetes.cluster.read"],
        });
        self.make(server, "policy", "/v1/policies", "/id", policy.clone());
        self.make(server, "role", "/v2/roles", "/id", role.clone());
        self.with(&[
            ("iam-policy-management/CreatePolicy", policy.clone()),
            ("iam-policy-management/ReplacePolicy", policy),
            ("iam-policy-management/CreateV2Policy", v2.clone()),
            ("iam-policy-management/ReplaceV2Policy", v2),
            ("iam-policy-management/UpdatePolicyState", json!({"state": "deleted"})),
            ("iam-policy-management/CreateRole", role),
            ("iam-policy-management/ReplaceRole", json!({"display_name": "taken-over", "actions": []})),
        ]);
    }

    fn fill_group(&mut self, server: &Server) {
        let path = format!("/v2/groups?account_id={}", self.account);
        self.make(server, "group", &path, "/id", json!({"name": "canary-access"}));
        let of_group = |what: &str| format!("/v2/groups/{}/{what}", self.names["group"]);
        let (members_path, rules_path) = (of_group("members"), of_group("rules"));
        let members = json!({"members": [{"iam_id": self.names["service iam"], "type": "service"}]});
        server.send(Request::new("PUT", members_path).bearer(&self.token).json(&members)).expect(207);
        let rule = json!({
            "name": "canary-rule", "expiration": 12, "realm_name": "https://idp.example.com", "conditions": conditions(),
        });
        self.make(server, "group rule", &rules_path, "/id", rule.clone());
        let (service, group) = (self.names["service iam"].clone(), self.names["group"].clone());
        self.with(&[
            ("iam-access-groups/AddMembersToAccessGroup", members),
            ("iam-access-groups/RemoveMembersFromAccessGroup", json!({"members": [service]})),
            ("iam-access-groups/AddMemberToMultipleAccessGroups", json!({"type": "service", "groups": [group]})),
            ("iam-access-groups/AddAccessGroupRule", rule.clone()),
            ("iam-access-groups/ReplaceAccessGroupRule", rule),
            ("iam-access-groups/UpdateAccountSettings", json!({"public_access_enabled": false})),
        ]);
    }

    /// The real name that a parameter stands for, by itself and by what stands before it in the path.
    fn name(&self, path: &str, parameter: &str) -> &str {
        let before = path.split(&format!("/{{{parameter}}}")).next().unwrap_or_default();
        let before = before.rsplit('/').find(|segment| !segment.starts_with('{')).unwrap_or_default();
        let name = match (before, parameter) {
            ("accounts", "account_id" | "accountId") => "account",
            ("apikeys", "id") => "key",
            ("serviceids", "id") => "service",
            ("serviceid_groups", "id") => "service group",
            ("profiles", "profile-id") => "profile",
            ("rules", "rule-id") => "profile rule",
            ("links", "link-id") => "link",
            ("identities", "identity-type") => return "user",
            ("identities", "identifier-id") => "identity",
            ("identities" | "users", "iam_id") => "owner",
            ("identities", "service") => return "console",
            ("identities", "preference_id") => return "landing_page",
            ("policies", "id" | "policy_id") => "policy",
            ("roles", "role_id") => "role",
            ("groups", "access_group_id") => "group",
            ("members", "iam_id") => "service iam",
            ("rules", "rule_id") => "group rule",
            ("resource_groups", "id") => "resource group",
            ("sessions", "session_id") => "session",
            _ => panic!("say in strangers.rs what real name '{parameter}' in {path} stands for"),
        };
        &self.names[name]
    }

    /// The request with everything that it names being real; `None` if it names nothing.
    fn request(&self, row: &Row) -> Option<Request> {
        let mut path = row.operation.path.to_owned();
        let mut names_any = false;
        while let Some((before, rest)) = path.split_once('{') {
            let (parameter, after) = rest.split_once('}').expect("a path parameter ends");
            let value = self.name(row.operation.path, parameter);
            path = format!("{before}{value}{after}");
            names_any = true;
        }
        let of_user = ["/v1/apikeys", "/v1/sessions", "/v1/mfa/"].iter().any(|prefix| path.starts_with(prefix));
        let known = [("account_id", "account"), ("iam_id", if of_user { "owner" } else { "service iam" })];
        let asked = known.iter().filter(|(parameter, _)| row.query.iter().any(|known| known == parameter));
        let query: Vec<_> = asked.map(|(parameter, name)| format!("{parameter}={}", self.names[name])).collect();
        if !query.is_empty() {
            path = format!("{path}?{}", query.join("&"));
            names_any = true;
        }
        let body = self.bodies.get(&row.name());
        let request = Request::new(row.operation.method.as_str(), path).header("If-Match", "*");
        let request = match (row.operation.body, body) {
            (_, Some(body)) => request.json(body),
            (Some(_), None) => request.json(&json!({"name": "taken-over"})),
            (None, None) => request,
        };
        (names_any || body.is_some()).then_some(request)
    }

    /// Everything that the account shows its owner.
    fn state(&self, server: &Server, rows: &[Row]) -> BTreeMap<String, Value> {
        let reads = rows.iter().filter(|row| !row.changes() && row.operation.method.as_str() == "GET");
        let shown = reads.filter_map(|row| {
            let answer = server.send(self.request(row)?.bearer(&self.token));
            assert_eq!(answer.status, 200, "{} shows its owner nothing: {}", row.name(), answer.text());
            let mut body = answer.json(200);
            if let Some(members) = body.as_object_mut() {
                members.remove("context");
            }
            Some((row.name(), body))
        });
        shown.collect()
    }
}

#[test]
fn real_names_of_another_account_lead_nowhere() {
    let server = Server::start();
    let victim = Victim::new(&server);
    let stranger = server.account("stranger");
    let token = server.token(&stranger);
    let attacked = |row: &Row| {
        let public = row.operation.public || COMMON.contains(&row.name().as_str());
        row.is_built && !public && row.operation.service != "containers"
    };
    let rows: Vec<_> = rows().into_iter().filter(attacked).collect();
    let before = victim.state(&server, &rows);
    assert!(before.len() > 30, "the account has something of everything");
    let (mut wrong, mut asked) = (Vec::new(), 0);
    for row in &rows {
        let Some(request) = victim.request(row) else { continue };
        asked += 1;
        let answer = server.send(request.bearer(&token));
        let (status, body, name) = (answer.status, answer.text(), row.name());
        let otherwise = OTHERWISE.iter().find(|(known, _)| *known == name).map(|(_, status)| *status);
        let refused = match otherwise {
            Some(expected) => status == expected,
            None => [403, 404].contains(&status),
        };
        let told = body.contains("canary") || (status < 300 && victim.names.values().any(|name| body.contains(name)));
        if !refused || told {
            wrong.push(format!("{name}: {status} {}", body.chars().take(300).collect::<String>()));
        }
    }
    assert!(wrong.is_empty(), "{} of {asked} are answered:\n{}", wrong.len(), wrong.join("\n"));
    let after = victim.state(&server, &rows);
    for (name, shown) in &before {
        assert_eq!(&after[name], shown, "{name}: what the account has was changed");
    }
}
