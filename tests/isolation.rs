//! The isolation matrix: every operation of the contract, asked by everybody who must not be answered and by everybody who must.
//!
//! Rows are read from the operation table and columns from the catalogue of roles, so that a new operation or role cannot be forgotten.
//! What real names of things lead somebody else to is asked in [`crate::strangers`].

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::thread;

use boatyard_api::{Access, Operation, Shape, ops};
use serde_json::{Map, Value, json};

use crate::harness::http::text;
use crate::harness::{APIKEY, Account, BX, Request, Server};

/// Operations that anybody is answered, with no token at all.
const PUBLIC: [&str; 11] = [
    "containers/GetVersions",
    "containers/GetZones",
    "iam-token/Authorize",
    "iam-token/CreatePasscode",
    "iam-token/CreateToken",
    "iam-token/GetKeys",
    "iam-token/GetOpenIDConfiguration",
    "iam-token/GetPasscodePage",
    "iam-token/IntrospectToken",
    "iam-token/RevokeToken",
    "iam-token/UpdateSessionState",
];

const PLATFORM_ROLES: [&str; 4] = ["Viewer", "Editor", "Operator", "Administrator"];
const SERVICE_ROLES: [&str; 3] = ["Reader", "Writer", "Manager"];

/// What is answered where the rule decides, about things that there are not: to whoever has the action, to whoever has it not, and to the
/// owner of another account.
const OWN: [(&str, [u16; 3]); 40] = [
    ("iam-identity/CreateAPIKey", [403, 403, 404]),
    ("iam-identity/CreateServiceID", [404, 403, 404]),
    ("iam-identity/DeleteAPIKey", [404, 404, 404]),
    ("iam-identity/DeletePreferencesOnScopeAccount", [404, 403, 403]),
    ("iam-identity/DisableAPIKey", [404, 404, 404]),
    ("iam-identity/EnableAPIKey", [404, 404, 404]),
    ("iam-identity/GetAPIKey", [404, 404, 404]),
    ("iam-identity/GetAPIKeysDetails", [400, 400, 400]),
    ("iam-identity/GetAllPreferencesOnScopeAccount", [404, 403, 403]),
    ("iam-identity/GetPreferencesOnScopeAccount", [404, 403, 403]),
    ("iam-identity/ListAPIKeys", [200, 200, 404]),
    ("iam-identity/LockAPIKey", [404, 404, 404]),
    ("iam-identity/UnlockAPIKey", [404, 404, 404]),
    ("iam-identity/UpdateAPIKey", [404, 404, 404]),
    ("iam-identity/UpdatePreferenceOnScopeAccount", [400, 400, 403]),
    ("iam-policy-management/CreatePolicy", [400, 400, 400]),
    ("iam-policy-management/CreateV2Policy", [400, 400, 400]),
    ("iam-policy-management/DeletePolicy", [404, 404, 404]),
    ("iam-policy-management/DeleteV2Policy", [404, 404, 404]),
    ("iam-policy-management/GetPolicy", [404, 404, 404]),
    ("iam-policy-management/GetRole", [404, 403, 404]),
    ("iam-policy-management/GetV2Policy", [404, 404, 404]),
    ("iam-policy-management/ListPolicies", [200, 200, 200]),
    ("iam-policy-management/ListRoles", [200, 200, 200]),
    ("iam-policy-management/ListV2Policies", [200, 200, 200]),
    ("iam-policy-management/ReplacePolicy", [400, 400, 400]),
    ("iam-policy-management/ReplaceV2Policy", [404, 404, 404]),
    ("iam-policy-management/UpdatePolicyState", [400, 400, 400]),
    ("iam-token/DeleteSession", [404, 403, 404]),
    ("iam-token/DeleteSessions", [400, 400, 400]),
    ("iam-token/ListSessions", [200, 403, 404]),
    ("resource-manager/GetQuotaDefinition", [404, 404, 404]),
    ("resource-manager/GetResourceGroup", [404, 404, 404]),
    ("resource-manager/ListQuotaDefinitions", [200, 200, 200]),
    ("resource-manager/ListResourceGroups", [200, 200, 200]),
    ("user-management/GetUserProfile", [404, 404, 403]),
    ("user-management/GetUserSettings", [404, 403, 403]),
    ("user-management/ListUsers", [200, 200, 403]),
    ("user-management/UpdateUserProfile", [400, 403, 403]),
    ("user-management/UpdateUserSettings", [400, 403, 403]),
];

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// 401.
    Unauthenticated,
    /// 403.
    Forbidden,
    /// Neither, and no failure of the server: what is asked for may be missing or malformed.
    Passed,
    /// 403, unless the request is malformed, which is said first, or the thing is as if it did not exist.
    KeptOut,
    /// This very status.
    Answered(u16),
    /// The rule decides, and no line of [`OWN`] says how.
    Unsaid,
}

impl Verdict {
    fn holds(self, status: u16) -> bool {
        match self {
            Verdict::Unauthenticated => status == 401,
            Verdict::Forbidden => status == 403,
            Verdict::Passed => status < 500 && status != 401 && status != 403,
            Verdict::KeptOut => matches!(status, 400 | 403 | 404),
            Verdict::Answered(expected) => status == expected,
            Verdict::Unsaid => false,
        }
    }
}

/// A column.
struct Who {
    name: String,
    token: Option<String>,
    kind: Kind,
}

enum Kind {
    /// Without a token that is any good.
    Nobody,
    /// A member of the account with this role, if any, on clusters and, if a platform role, on the account itself.
    Role(Option<String>),
    /// Administrator of another cluster of the account.
    Elsewhere,
    /// Owner of another account.
    Stranger,
}

impl Who {
    fn verdict(&self, row: &Row) -> Verdict {
        // A service role is given on clusters only.
        let given = |role: &str, action: &str| !SERVICE_ROLES.contains(&role) || action.starts_with("containers-kubernetes.");
        let holds = |action: &str| matches!(&self.kind, Kind::Role(Some(role)) if given(role, action) && roles_with(action).contains(role));
        let own = |column: usize| {
            let name = row.name();
            let found = OWN.iter().find(|(own, _)| *own == name);
            found.map_or(Verdict::Unsaid, |(_, statuses)| Verdict::Answered(statuses[column]))
        };
        let decided = match (&self.kind, row.operation.access) {
            (Kind::Nobody, _) => return Verdict::Unauthenticated,
            (Kind::Role(_), Access::Account(action) | Access::Resource(action)) if !holds(action) => return Verdict::Forbidden,
            // A token is for one account, and the gate looks whether the path names it.
            (Kind::Stranger, access) if access != Access::Open && row.in_path("account_id") => return Verdict::Forbidden,
            (Kind::Role(_), Access::Own(action)) if holds(action) => own(0),
            (Kind::Role(_) | Kind::Elsewhere, Access::Own(_)) => own(1),
            (Kind::Stranger, Access::Own(_)) => own(2),
            (Kind::Role(_), _) => Verdict::Passed,
            (Kind::Elsewhere, Access::Account(_)) => return Verdict::Forbidden,
            (Kind::Elsewhere, Access::Resource(action)) if !action.starts_with("containers-kubernetes.") => {
                return Verdict::Forbidden;
            }
            (Kind::Elsewhere, Access::Resource(_)) if row.names_cluster || row.changes() => Verdict::KeptOut,
            (Kind::Stranger, Access::Resource(_)) if row.names_cluster => Verdict::KeptOut,
            // In their own accounts they may do as they please.
            (Kind::Stranger, _) if row.names_account => Verdict::KeptOut,
            (Kind::Elsewhere | Kind::Stranger, _) => Verdict::Passed,
        };
        // What is not built says so to whoever gets past the gate.
        if row.is_built { decided } else { Verdict::Answered(501) }
    }

    /// Whether what the request is about should be there: for those who would break it, it should not.
    fn may_break(&self) -> bool {
        matches!(self.kind, Kind::Role(Some(_)))
    }
}

/// A row.
pub struct Row {
    pub operation: &'static Operation,
    pub is_built: bool,
    /// Whether the request says which cluster it is about.
    names_cluster: bool,
    /// Whether it says in which account.
    names_account: bool,
    /// Query parameters of the contract.
    pub query: Vec<String>,
}

impl Row {
    fn of(operation: &'static Operation, declared: &Value) -> Self {
        let query = declared["parameters"].as_array().into_iter().flatten().filter(|p| p["in"] == "query");
        let query: Vec<String> = query.into_iter().filter_map(|p| p["name"].as_str()).map(str::to_owned).collect();
        let body = sample(operation.body, "ACCOUNT", "CLUSTER").to_string();
        let in_path = |name: &str| operation.path.contains(&format!("{{{name}}}"));
        let in_query = |wanted: &str| query.iter().any(|name| name == wanted);
        let named = operation.service == "containers" && in_path("idOrName");
        let names_cluster = named || in_query("cluster") || body.contains("CLUSTER");
        let names_account = in_path("account_id") || in_path("accountId") || in_query("account_id") || body.contains("ACCOUNT");
        let unbuilt = include_str!("../contract/unbuilt.txt");
        let is_built = !unbuilt.lines().any(|line| line.split_once('/') == Some((operation.service, operation.id)));
        Self { operation, is_built, names_cluster, names_account, query }
    }

    fn in_path(&self, name: &str) -> bool {
        self.operation.path.contains(&format!("{{{name}}}"))
    }

    /// Whether it asks for something to become different.
    pub fn changes(&self) -> bool {
        !["GET", "HEAD"].contains(&self.operation.method.as_str())
    }

    pub fn name(&self) -> String {
        format!("{}/{}", self.operation.service, self.operation.id)
    }

    /// The request, about `cluster` of `account`.
    fn request(&self, account: &str, cluster: &str) -> Request {
        let mut path = self.operation.path.to_owned();
        while let Some((before, rest)) = path.split_once('{') {
            let (name, after) = rest.split_once('}').expect("a path parameter ends");
            let value = match name {
                "account_id" | "accountId" => account,
                "idOrName" if self.operation.service == "containers" => cluster,
                _ => "00000000-0000-4000-8000-000000000000",
            };
            path = format!("{before}{value}{after}");
        }
        let known = [("cluster", cluster), ("account_id", account), ("provider", "vpc-gen2")];
        let query: Vec<_> =
            known.iter().filter(|(name, _)| self.query.iter().any(|q| q == name)).map(|(n, v)| format!("{n}={v}")).collect();
        if !query.is_empty() {
            path = format!("{path}?{}", query.join("&"));
        }
        let request = Request::new(self.operation.method.as_str(), path);
        match self.operation.body {
            // Its one path has many operations; this is the one that is built.
            Some(_) if self.operation.id == "GraphQL" => {
                let mutation = "mutation R($input: ReinitializeKubernetesNodeInput!) { reinitializeKubernetesNode(input: $input) { node { id } } }";
                request.json(&json!({"query": mutation, "variables": {"input": {"id": "kube-none-x"}}}))
            }
            Some(_) => request.json(&sample(self.operation.body, account, cluster)),
            None => request,
        }
    }
}

/// A body with every member of the contract, which is about `cluster` of `account`.
fn sample(shape: Option<&'static Shape>, account: &str, cluster: &str) -> Value {
    fn value(name: &str, shape: &'static Shape, (account, cluster): (&str, &str), depth: u8) -> Value {
        let about = (account, cluster);
        match shape {
            Shape::Ref(shape) => value(name, shape, about, depth),
            Shape::Object(fields) if depth < 4 => Value::Object(
                fields.iter().map(|(name, shape)| ((*name).to_owned(), value(name, shape, about, depth + 1))).collect(),
            ),
            Shape::String if matches!(name, "account_id" | "accountId") => json!(account),
            Shape::String if matches!(name, "cluster" | "clusterID" | "clusterIdOrName") => json!(cluster),
            Shape::String => json!("sample"),
            Shape::Integer | Shape::Number => json!(1),
            Shape::Bool => json!(false),
            Shape::Array(_) => json!([]),
            _ => Value::Object(Map::new()),
        }
    }
    shape.map_or(Value::Null, |shape| value("", shape, (account, cluster), 0))
}

/// Names of the roles that hold an action.
fn roles_with(action: &str) -> Vec<String> {
    let catalog: Value = serde_json::from_str(include_str!("../catalog/roles.json")).unwrap();
    let found = catalog["actions"].as_array().unwrap().iter().find(|known| known["action"] == action);
    let roles = found.unwrap_or_else(|| panic!("no role holds '{action}': catalog/roles.json does not know it"));
    roles["roles"].as_array().unwrap().iter().map(|role| role.as_str().unwrap().to_owned()).collect()
}

/// Every operation of the contract.
pub fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for service in ops::SERVICES {
        let document: Value = serde_json::from_slice(service.document).unwrap();
        let declared =
            |operation: &Operation| document["paths"][operation.path][operation.method.as_str().to_lowercase()].clone();
        rows.extend(service.operations.iter().map(|operation| Row::of(operation, &declared(operation))));
    }
    rows
}

/// A service ID of the account with a role on clusters and, if it is a platform role, on the account's own services.
fn member(server: &Server, owner: &str, account: &str, role: Option<&str>, instance: Option<&str>) -> String {
    let name = role.unwrap_or("none");
    let body =
        json!({"account_id": account, "name": format!("matrix-{name}"), "apikey": {"name": "matrix", "store_value": false}});
    let made = server.send(Request::post("/v1/serviceids").bearer(owner).json(&body)).json(201);
    let (iam_id, apikey) = (text(&made, "/iam_id"), text(&made, "/apikey/apikey"));
    let catalog: Value = serde_json::from_str(include_str!("../catalog/roles.json")).unwrap();
    let all = ["platform_roles", "service_roles"].map(|kind| catalog[kind].as_array().unwrap().clone()).concat();
    for role in all.iter().filter(|known| role == known["name"].as_str()) {
        let mut targets = vec![vec![("serviceName", "containers-kubernetes")]];
        match instance {
            Some(cluster) => targets[0].push(("serviceInstance", cluster)),
            None if role["type"] == "platform" => {
                targets.push(vec![("serviceType", "platform_service")]);
                targets.push(vec![("serviceName", "global-search-tagging")]);
            }
            None => {}
        }
        for target in targets {
            let attributes: Vec<_> =
                [vec![("accountId", account)], target].concat().iter().map(|(n, v)| json!({"name": n, "value": v})).collect();
            let policy = json!({
                "type": "access", "roles": [{"role_id": role["crn"]}], "resources": [{"attributes": attributes}],
                "subjects": [{"attributes": [{"name": "iam_id", "value": iam_id}]}],
            });
            server.send(Request::post("/v1/policies").bearer(owner).json(&policy)).json(201);
        }
    }
    let answer = server.grant(None, &[("grant_type", APIKEY), ("apikey", apikey)]).json(200);
    text(&answer, "/access_token").to_owned()
}

/// Everybody who asks.
fn columns(server: &Server, owner: &Account<'_>, account: &str, other_cluster: &str) -> Vec<Who> {
    let who = |name: &str, token: Option<String>, kind| Who { name: name.to_owned(), token, kind };
    let user = server.account("ended");
    let (expired, ended) = (server.token(&user), server.login(&user));
    server.advance_clock(3700);
    let fresh = server.login(&user);
    for login in [&ended, &fresh] {
        let revoke = Request::post("/identity/revoke").header("Authorization", BX);
        server.send(revoke.form(&[("token", text(login, "/refresh_token"))])).expect(200);
    }
    let owner_token = server.token(owner.user());
    let mut all = vec![
        who("no token", None, Kind::Nobody),
        who("garbage", Some("eyJhbGciOiJSUzI1NiJ9.e30.AAAA".to_owned()), Kind::Nobody),
        who("expired", Some(expired), Kind::Nobody),
        who("revoked session", Some(text(&fresh, "/access_token").to_owned()), Kind::Nobody),
        who("no role", Some(member(server, &owner_token, account, None, None)), Kind::Role(None)),
        who(
            "elsewhere",
            Some(member(server, &owner_token, account, Some("Administrator"), Some(other_cluster))),
            Kind::Elsewhere,
        ),
        who("another account", Some(server.token(&server.account("stranger"))), Kind::Stranger),
    ];
    for role in PLATFORM_ROLES.into_iter().chain(SERVICE_ROLES) {
        let token = member(server, &owner_token, account, Some(role), None);
        all.push(who(role, Some(token), Kind::Role(Some(role.to_owned()))));
    }
    all
}

/// A cell that is not as it must be.
struct Wrong(String, String, Verdict, u16, String);

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(who, what, verdict, status, body) = self;
        write!(f, "{what} by {who}: expected {verdict:?}, but {status}: {}", body.chars().take(200).collect::<String>())
    }
}

fn ask(server: &Server, rows: &[Row], who: &Who, account: &str, cluster: &str) -> (Vec<Wrong>, BTreeMap<u16, usize>) {
    let (mut wrong, mut seen) = (Vec::new(), BTreeMap::new());
    for row in rows.iter().filter(|row| !row.operation.public) {
        let about = if who.may_break() { "nowhere" } else { cluster };
        let request = row.request(account, about);
        let answer = server.send(match &who.token {
            Some(token) => request.bearer(token),
            None => request,
        });
        let (verdict, status, body) = (who.verdict(row), answer.status, answer.text());
        *seen.entry(status).or_default() += 1;
        let outside = matches!(who.kind, Kind::Stranger | Kind::Elsewhere);
        let told = outside && (body.contains("matrix-canary") || body.contains(cluster) && status < 300);
        if !verdict.holds(status) || told {
            wrong.push(Wrong(who.name.clone(), row.name(), verdict, status, body));
        }
    }
    (wrong, seen)
}

#[test]
fn everybody_is_answered_as_their_roles_say_on_every_operation() {
    let server = Server::start();
    let mut owner = Account::new(&server, "matrix");
    let (cluster, other) = (owner.vpc("matrix-canary"), owner.vpc("matrix-other"));
    let account = owner.user().account_id.clone();
    let rows = rows();
    let columns = columns(&server, &owner, &account, &other);
    owner.login_again();
    let before = owner.get(&format!("/v2/vpc/getCluster?cluster={cluster}"));
    let (mut wrong, mut forbidden) = (Vec::new(), BTreeMap::new());
    thread::scope(|scope| {
        let asked: Vec<_> =
            columns.iter().map(|who| (who, scope.spawn(|| ask(&server, &rows, who, &account, &cluster)))).collect();
        for (who, asked) in asked {
            let (found, seen) = asked.join().unwrap();
            println!("{:20} {seen:?}", who.name);
            wrong.extend(found);
            forbidden.insert(who.name.clone(), seen.get(&403).copied().unwrap_or_default());
        }
    });
    let list: Vec<_> = wrong.iter().map(ToString::to_string).collect();
    assert!(list.is_empty(), "{} cells are wrong:\n{}", list.len(), list.join("\n"));
    // What keeps somebody out of one cluster only is the look at that very cluster, so it must have been looked at.
    assert!(forbidden["elsewhere"] > 80, "{forbidden:?}");
    assert_eq!(owner.get(&format!("/v2/vpc/getCluster?cluster={cluster}")), before, "nobody changed anything");
}

#[test]
fn what_a_rule_decides_on_has_its_verdicts_here() {
    let rows = rows();
    let decided = rows.iter().filter(|row| row.is_built && matches!(row.operation.access, Access::Own(_)));
    let decided: BTreeSet<_> = decided.map(Row::name).collect();
    let said: BTreeSet<_> = OWN.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(
        decided, said,
        "an operation with the scope 'own' was added or taken away: say in OWN what everybody is answered"
    );
}

#[test]
fn what_is_open_to_everybody_is_listed_here() {
    let open: Vec<_> = rows().iter().filter(|row| row.operation.public).map(Row::name).collect();
    let mut sorted = open.clone();
    sorted.sort();
    assert_eq!(sorted, PUBLIC, "an operation without a token was added or taken away: think twice, then list it here");
}
