//! The isolation matrix: every operation of the contract, asked by everybody who must not be answered and by everybody who must.
//!
//! Rows are read from the operation table and columns from the catalogue of roles, so that a new operation or role cannot be forgotten.

use std::collections::BTreeMap;
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
    /// Not 401 and no failure; nothing of the account is told.
    Decided,
}

impl Verdict {
    fn holds(self, status: u16) -> bool {
        let failed = status >= 500 && status != 501;
        match self {
            Verdict::Unauthenticated => status == 401,
            Verdict::Forbidden => status == 403,
            Verdict::Passed => !failed && status != 401 && status != 403,
            Verdict::KeptOut => matches!(status, 400 | 403 | 404 | 501),
            Verdict::Decided => !failed && status != 401,
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
        match (&self.kind, row.operation.access) {
            (Kind::Nobody, _) => Verdict::Unauthenticated,
            (Kind::Role(_), Access::Account(action) | Access::Resource(action)) if holds(action) => Verdict::Passed,
            (Kind::Role(_), Access::Account(_) | Access::Resource(_)) => Verdict::Forbidden,
            (Kind::Role(_), Access::Open) => Verdict::Passed,
            (Kind::Elsewhere, Access::Account(_)) => Verdict::Forbidden,
            (Kind::Elsewhere, Access::Resource(_)) if row.names_cluster => Verdict::KeptOut,
            (Kind::Stranger, Access::Resource(_)) if row.names_cluster => Verdict::KeptOut,
            _ => Verdict::Decided,
        }
    }

    /// Whether what the request is about should be there: for those who would break it, it should not.
    fn may_break(&self) -> bool {
        matches!(self.kind, Kind::Role(Some(_)))
    }
}

/// A row.
struct Row {
    operation: &'static Operation,
    /// Whether the request says which cluster it is about.
    names_cluster: bool,
    /// Query parameters of the contract.
    query: Vec<String>,
}

impl Row {
    fn of(operation: &'static Operation, declared: &Value) -> Self {
        let query = declared["parameters"].as_array().into_iter().flatten().filter(|p| p["in"] == "query");
        let query: Vec<String> = query.into_iter().filter_map(|p| p["name"].as_str()).map(str::to_owned).collect();
        let body = sample(operation.body, "CLUSTER").to_string();
        let in_path = operation.service == "containers" && operation.path.contains("{idOrName}");
        let names_cluster = in_path || query.iter().any(|name| name == "cluster") || body.contains("CLUSTER");
        Self { operation, names_cluster, query }
    }

    fn name(&self) -> String {
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
            Some(_) => request.json(&sample(self.operation.body, cluster)),
            None => request,
        }
    }
}

/// A body with every member of the contract, which is about `cluster`.
fn sample(shape: Option<&'static Shape>, cluster: &str) -> Value {
    fn value(name: &str, shape: &'static Shape, cluster: &str, depth: u8) -> Value {
        match shape {
            Shape::Ref(shape) => value(name, shape, cluster, depth),
            Shape::Object(fields) if depth < 4 => Value::Object(
                fields.iter().map(|(name, shape)| ((*name).to_owned(), value(name, shape, cluster, depth + 1))).collect(),
            ),
            Shape::String if matches!(name, "cluster" | "clusterID" | "clusterIdOrName") => json!(cluster),
            Shape::String => json!("sample"),
            Shape::Integer | Shape::Number => json!(1),
            Shape::Bool => json!(false),
            Shape::Array(_) => json!([]),
            _ => Value::Object(Map::new()),
        }
    }
    shape.map_or(Value::Null, |shape| value("", shape, cluster, 0))
}

/// Names of the roles that hold an action.
fn roles_with(action: &str) -> Vec<String> {
    let catalog: Value = serde_json::from_str(include_str!("../catalog/roles.json")).unwrap();
    let found = catalog["actions"].as_array().unwrap().iter().find(|known| known["action"] == action);
    let roles = found.unwrap_or_else(|| panic!("no role holds '{action}': catalog/roles.json does not know it"));
    roles["roles"].as_array().unwrap().iter().map(|role| role.as_str().unwrap().to_owned()).collect()
}

fn rows() -> Vec<Row> {
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
    server.grant(Some(BX), &[]);
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
        let told =
            matches!(who.kind, Kind::Stranger) && (body.contains("matrix-canary") || body.contains(cluster) && status < 300);
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
fn what_is_open_to_everybody_is_listed_here() {
    let open: Vec<_> = rows().iter().filter(|row| row.operation.public).map(Row::name).collect();
    let mut sorted = open.clone();
    sorted.sort();
    assert_eq!(sorted, PUBLIC, "an operation without a token was added or taken away: think twice, then list it here");
}
