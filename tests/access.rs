//! Policies, roles and access groups over HTTP: what is kept, what is refused, and what they let people do.

use std::fs;

use serde_json::{Value, json};

use crate::harness::boatyard::Shell;
use crate::harness::clients::{describe, node, python, run, script};
use crate::harness::http::{array, integer, text};
use crate::harness::{APIKEY, Answer, BX, Request, Server, User};

const TEAM: &str = "accounts:
  - name: team
    owner: { username: ada@example.com }
    api_keys: [{ name: owner, value: 'owner-of-the-team-key-0001' }]
    users:
      - { username: bob@example.com, given_name: Bob, family_name: Builder, api_keys: [{ name: bob, value: 'bob-of-the-team-key-00002' }] }
      - { username: eve@example.com, api_keys: [{ name: eve, value: 'eve-of-the-team-key-00003' }] }
";
const VIEWER: &str = "crn:v1:bluemix:public:iam::::role:Viewer";
const EDITOR: &str = "crn:v1:bluemix:public:iam::::role:Editor";
const ADMINISTRATOR: &str = "crn:v1:bluemix:public:iam::::role:Administrator";

/// Somebody of the team.
struct Person {
    token: String,
    iam_id: String,
}

/// An account with an owner and two users who may do nothing yet.
struct Team {
    server: Server,
    account: String,
    ada: Person,
    bob: Person,
    eve: Person,
}

impl Team {
    fn new() -> Self {
        let shell = Shell::new();
        let file = shell.path("team.yaml");
        fs::write(&file, TEAM).unwrap();
        let server = Server::builder().env("BOATYARD_FIXTURE", file.to_str().unwrap()).start();
        let person = |key: &str| {
            let token = server.grant(Some(BX), &[("grant_type", APIKEY), ("apikey", key)]).json(200);
            let token = text(&token, "/access_token").to_owned();
            let info = server.send(Request::get("/identity/userinfo").bearer(&token)).json(200);
            Person { token, iam_id: text(&info, "/iam_id").to_owned() }
        };
        let (ada, bob, eve) =
            (person("owner-of-the-team-key-0001"), person("bob-of-the-team-key-00002"), person("eve-of-the-team-key-00003"));
        let accounts = server.send(Request::get("/coe/v2/accounts").bearer(&ada.token)).json(200);
        let account = text(&accounts, "/resources/0/metadata/guid").to_owned();
        Self { server, account, ada, bob, eve }
    }

    /// Sends `METHOD path`, with a body unless it is null.
    fn call(&self, who: &Person, request: &str, body: &Value) -> Answer {
        self.changing(who, request, "", body)
    }

    /// The same of a revision.
    fn changing(&self, who: &Person, request: &str, etag: &str, body: &Value) -> Answer {
        let (method, path) = request.split_once(' ').unwrap();
        let mut request = Request::new(method, path).bearer(&who.token);
        if !etag.is_empty() {
            request = request.header("If-Match", etag);
        }
        self.server.send(if body.is_null() { request } else { request.json(body) })
    }

    fn ok(&self, who: &Person, request: &str, body: &Value, status: u16) -> Value {
        self.call(who, request, body).json(status)
    }

    /// A policy of v2 that gives `subject` a role on the attributes.
    fn policy(&self, subject: &str, role: &str, attributes: &[(&str, &str)]) -> Value {
        let key = if subject.starts_with("AccessGroupId-") { "access_group_id" } else { "iam_id" };
        let account = [("accountId", self.account.as_str())];
        let attributes: Vec<_> = account.iter().chain(attributes).map(|(key, value)| attribute(key, value)).collect();
        json!({
            "type": "access",
            "subject": {"attributes": [attribute(key, subject)]},
            "resource": {"attributes": attributes},
            "control": {"grant": {"roles": [{"role_id": role}]}},
        })
    }

    fn group(&self, name: &str) -> String {
        let group = self.ok(&self.ada, &format!("POST /v2/groups?account_id={}", self.account), &json!({"name": name}), 201);
        text(&group, "/id").to_owned()
    }

    fn policies(&self, who: &Person, filter: &str) -> Vec<String> {
        let list = self.ok(who, &format!("GET /v2/policies?account_id={}{filter}", self.account), &Value::Null, 200);
        array(&list["policies"]).iter().map(|policy| text(policy, "/id").to_owned()).collect()
    }
}

fn attribute(key: &str, value: &str) -> Value {
    json!({"key": key, "operator": "stringEquals", "value": value})
}

const CONTAINERS: (&str, &str) = ("serviceName", "containers-kubernetes");

/// The code of a refusal in the form of the management services.
#[track_caller]
fn refused(answer: &Answer, status: u16, code: &str) -> Value {
    let body = answer.json(status);
    assert_eq!(text(&body, "/errors/0/code"), code, "{body}");
    assert!(text(&body, "/errors/0/message").len() > 20, "{body}");
    assert!(!text(&body, "/trace").is_empty());
    assert_eq!(integer(&body, "/status_code"), i64::from(status));
    body
}

#[test]
fn a_policy_gives_access_at_once_and_its_end_takes_it_away_at_once() {
    let team = Team::new();
    let clusters = || team.server.send(Request::get("/global/v2/vpc/getClusters").bearer(&team.bob.token)).status;
    assert_eq!(clusters(), 403, "nobody gave him anything");
    let policy = team.policy(&team.bob.iam_id, VIEWER, &[CONTAINERS]);
    let made = team.call(&team.ada, "POST /v2/policies", &policy);
    let (id, etag) = (text(&made.json(201), "/id").to_owned(), made.header("etag").unwrap().to_owned());
    assert_eq!(clusters(), 200);
    let state = |etag: &str, state: &str| {
        let answer = team.changing(&team.ada, &format!("PATCH /v1/policies/{id}"), etag, &json!({"state": state}));
        assert_eq!(text(&answer.json(200), "/state"), state);
        answer.header("etag").unwrap().to_owned()
    };
    let etag = state(&etag, "deleted");
    assert_eq!(clusters(), 403);
    let etag = state(&etag, "active");
    assert_eq!(clusters(), 200);
    team.call(&team.ada, &format!("DELETE /v2/policies/{id}"), &Value::Null).expect(204);
    assert_eq!(clusters(), 403);
    assert_eq!(text(&team.ok(&team.ada, &format!("GET /v2/policies/{id}"), &Value::Null, 200), "/state"), "deleted");
    assert_eq!(team.policies(&team.ada, "&state=deleted"), std::slice::from_ref(&id));
    assert!(team.policies(&team.ada, "").is_empty());
    refused(&team.call(&team.ada, &format!("DELETE /v2/policies/{id}"), &Value::Null), 404, "policy_not_found");
    let stale = team.changing(&team.ada, &format!("PATCH /v1/policies/{id}"), &etag, &json!({"state": "active"}));
    refused(&stale, 412, "policy_conflict_error");
}

#[test]
fn networks_are_seen_by_whoever_works_in_their_region_and_what_the_account_orders_with_by_who_looks_after_it_all() {
    let team = Team::new();
    let (vpc, zone, _) = team.server.vpc_place(&team.ada.token);
    let dal = "/global/v1/datacenters/dal10/vlans";
    let order = team.server.vpc_order(&team.ada.token, "mine");
    let made = team.ok(&team.ada, "POST /global/v2/vpc/createCluster", &order, 201);
    let cluster = text(&made, "/clusterID");
    let credentials = Request::post("/global/v1/credentials").bearer(&team.ada.token).header("X-Region", "us-south");
    let credentials = credentials.header("X-Auth-Softlayer-Username", "ada-classic").header("X-Auth-Softlayer-APIKey", "k");
    team.server.send(credentials).expect(204);
    let pool = json!({"name": "hosts", "flavorClass": "bx2d", "metro": "dal"});
    team.ok(&team.ada, "POST /global/v2/createDedicatedHostPool", &pool, 201);
    let get = |path: &str| {
        let request = Request::get(path).bearer(&team.bob.token).header("X-Region", "us-south");
        team.server.send(request)
    };
    let lists = [
        "/global/v2/vpc/getVPCs?provider=vpc-gen2".to_owned(),
        format!("/global/v2/vpc/getSubnets?provider=vpc-gen2&zone={zone}"),
        dal.to_owned(),
        "/global/v2/classic/getVLANs?zone=dal10".to_owned(),
    ];
    let of_account = ["/global/v1/credentials", "/global/v2/getDedicatedHostPools"];
    let service_instance = ("serviceInstance", cluster);
    type Case<'a> = (&'a str, &'a [(&'a str, &'a str)], bool, bool);
    let cases: [Case<'_>; 5] = [
        ("another region", &[CONTAINERS, ("region", "eu-de")], false, false),
        ("the region", &[CONTAINERS, ("region", "us-south")], true, false),
        ("one cluster in the region", &[CONTAINERS, service_instance], true, false),
        ("a cluster that there is not", &[CONTAINERS, ("serviceInstance", "none")], false, false),
        ("everything", &[CONTAINERS], true, true),
    ];
    for (what, attributes, sees, looks_after_all) in cases {
        let policy = team.ok(&team.ada, "POST /v2/policies", &team.policy(&team.bob.iam_id, VIEWER, attributes), 201);
        for path in &lists {
            let listed = get(path).json(200);
            let seen = listed.as_array().map_or(0, Vec::len);
            assert_eq!(seen > 0, sees, "{what}: {path}: {listed}");
        }
        let of_vpc = get(&format!("/global/v2/vpc/getSubnets?provider=vpc-gen2&vpc={vpc}")).status;
        assert_eq!(of_vpc, if sees { 200 } else { 400 }, "{what}: as if there were no such VPC");
        for path in of_account {
            assert_eq!(get(path).status, if looks_after_all { 200 } else { 403 }, "{what}: {path}");
        }
        let told = get("/global/v1/infra-permissions").json(200).to_string();
        assert_eq!(told.contains("ada-classic"), looks_after_all, "{what}: {told}");
        team.call(&team.ada, &format!("DELETE /v2/policies/{}", text(&policy, "/id")), &Value::Null).expect(204);
    }
}

#[test]
fn members_of_a_group_have_what_its_policies_give_while_they_are_in_it() {
    let team = Team::new();
    let clusters = || team.server.send(Request::get("/global/v2/vpc/getClusters").bearer(&team.bob.token)).status;
    let group = team.group("viewers");
    team.ok(&team.ada, "POST /v2/policies", &team.policy(&group, VIEWER, &[CONTAINERS]), 201);
    assert_eq!(clusters(), 403);
    let members = json!({"members": [{"iam_id": team.bob.iam_id, "type": "user"}]});
    team.ok(&team.ada, &format!("PUT /v2/groups/{group}/members"), &members, 207);
    assert_eq!(clusters(), 200);
    assert_eq!(team.policies(&team.bob, "").len(), 1, "he sees what his groups are given");
    assert!(team.policies(&team.eve, "").is_empty());
    team.call(&team.ada, &format!("DELETE /v2/groups/{group}/members/{}", team.bob.iam_id), &Value::Null).expect(204);
    assert_eq!(clusters(), 403);
    team.ok(&team.ada, &format!("PUT /v2/groups/{group}/members"), &members, 207);
    let kept = team.call(&team.ada, &format!("DELETE /v2/groups/{group}"), &Value::Null);
    refused(&kept, 409, "conflict");
    team.call(&team.ada, &format!("DELETE /v2/groups/{group}?force=true"), &Value::Null).expect(204);
    assert_eq!(clusters(), 403);
    assert!(team.policies(&team.ada, "").is_empty(), "a group's policies go with it");
}

#[test]
fn everybody_has_what_the_public_group_is_given_until_it_is_turned_off() {
    let team = Team::new();
    let clusters = || team.server.send(Request::get("/global/v2/vpc/getClusters").bearer(&team.eve.token)).status;
    let public = team.policy("AccessGroupId-PublicAccess", VIEWER, &[CONTAINERS]);
    team.ok(&team.ada, "POST /v2/policies", &public, 201);
    assert_eq!(clusters(), 200);
    let settings = format!("/v2/groups/settings?account_id={}", team.account);
    assert_eq!(team.ok(&team.ada, &format!("GET {settings}"), &Value::Null, 200)["public_access_enabled"], true);
    let off = team.ok(&team.ada, &format!("PATCH {settings}"), &json!({"public_access_enabled": false}), 200);
    assert_eq!((&off["public_access_enabled"], text(&off, "/last_modified_by_id")), (&json!(false), team.ada.iam_id.as_str()));
    assert_eq!(clusters(), 403);
    refused(&team.call(&team.ada, "POST /v2/policies", &public), 400, "invalid_body");
    let names = |query: &str| {
        let list = team.ok(&team.ada, &format!("GET /v2/groups?account_id={}{query}", team.account), &Value::Null, 200);
        array(&list["groups"]).iter().map(|group| text(group, "/name").to_owned()).collect::<Vec<_>>()
    };
    assert!(names("").is_empty());
    team.ok(&team.ada, &format!("PATCH {settings}"), &json!({"public_access_enabled": true}), 200);
    assert_eq!(names(""), ["Public Access"]);
    assert!(names("&hide_public_access=true").is_empty());
}

#[test]
fn nobody_gives_away_more_than_they_manage() {
    let team = Team::new();
    let (bob, eve) = (&team.bob, &team.eve);
    let of_eve = |attributes: &[(&str, &str)]| team.policy(&eve.iam_id, EDITOR, attributes);
    refused(&team.call(bob, "POST /v2/policies", &of_eve(&[CONTAINERS])), 403, "insufficient_permissions");
    team.ok(&team.ada, "POST /v2/policies", &team.policy(&bob.iam_id, ADMINISTRATOR, &[CONTAINERS, ("region", "eu-de")]), 201);
    for (attributes, status) in [
        (vec![CONTAINERS, ("region", "eu-de")], 201),
        (vec![CONTAINERS, ("region", "eu-de"), ("resource", "x")], 201),
        (vec![CONTAINERS], 403),
        (vec![CONTAINERS, ("region", "us-south")], 403),
        (vec![("serviceName", "iam-groups")], 403),
        (vec![("serviceType", "service")], 403),
        (vec![("resourceGroupId", "0123456789abcdef0123456789abcdef")], 403),
    ] {
        team.call(bob, "POST /v2/policies", &of_eve(&attributes)).expect(status);
    }
    let wildcard = json!({"key": "region", "operator": "stringMatch", "value": "*"});
    let mut wide = of_eve(&[CONTAINERS]);
    wide["resource"]["attributes"].as_array_mut().unwrap().push(wildcard);
    team.call(bob, "POST /v2/policies", &wide).expect(403);

    // What he made he may change, but not into what he may not make.
    let own = team.policies(bob, &format!("&iam_id={}", eve.iam_id)).remove(0);
    let change = |policy: &Value| team.changing(bob, &format!("PUT /v2/policies/{own}"), "*", policy).status;
    assert_eq!(change(&of_eve(&[CONTAINERS])), 403);
    assert_eq!(change(&team.policy(&eve.iam_id, VIEWER, &[CONTAINERS, ("region", "eu-de")])), 200);
    team.call(eve, &format!("DELETE /v2/policies/{own}"), &Value::Null).expect(403);
    team.call(bob, &format!("DELETE /v2/policies/{own}"), &Value::Null).expect(204);
}

#[test]
fn policies_are_listed_by_the_page_and_by_what_they_are_about() {
    let team = Team::new();
    let mut made = Vec::new();
    for region in ["eu-de", "us-south", "us-east", "jp-tok", "eu-gb"] {
        let policy = team.policy(&team.bob.iam_id, VIEWER, &[CONTAINERS, ("region", region)]);
        made.push(text(&team.ok(&team.ada, "POST /v2/policies", &policy, 201), "/id").to_owned());
    }
    let eve = team.policy(&team.eve.iam_id, VIEWER, &[("serviceName", "iam-groups")]);
    let of_eve = text(&team.ok(&team.ada, "POST /v2/policies", &eve, 201), "/id").to_owned();

    let mut seen = Vec::new();
    let mut path = format!("/v2/policies?account_id={}&iam_id={}&limit=2", team.account, team.bob.iam_id);
    loop {
        let page = team.ok(&team.ada, &format!("GET {path}"), &Value::Null, 200);
        seen.extend(array(&page["policies"]).iter().map(|policy| text(policy, "/id").to_owned()));
        assert_eq!((integer(&page, "/limit"), page["previous"].is_null()), (2, seen.len() <= 2));
        let Some(next) = page.pointer("/next/href") else { break };
        path = next.as_str().unwrap().strip_prefix(team.server.endpoint.as_str()).expect("a link to this server").to_owned();
    }
    let sorted = |mut ids: Vec<String>| {
        ids.sort();
        ids
    };
    assert_eq!(sorted(seen), sorted(made.clone()));
    for (filter, expected) in [
        ("&service_name=iam-groups", vec![of_eve.clone()]),
        ("&service_type=platform_service", vec![of_eve.clone()]),
        ("&type=authorization", vec![]),
        ("&service_type=service", sorted(made.clone())),
    ] {
        assert_eq!(sorted(team.policies(&team.ada, filter)), expected, "{filter}");
    }
    assert_eq!(team.policies(&team.eve, ""), [of_eve], "she sees her own only");
    for (query, code) in [
        ("", "missing_required_query_parameter"),
        ("?account_id=x&limit=0", "invalid_body"),
        ("?account_id=x&limit=many", "invalid_body"),
        ("?account_id=x&sort=colour", "invalid_body"),
        ("?account_id=x&state=asleep", "invalid_body"),
    ] {
        refused(&team.call(&team.ada, &format!("GET /v2/policies{query}"), &Value::Null), 400, code);
    }
    let other = team.ok(&team.ada, "GET /v1/policies?account_id=ffffffffffffffffffffffffffffffff", &Value::Null, 200);
    assert!(array(&other["policies"]).is_empty(), "another account is as if it had none");
}

#[test]
fn the_older_api_shows_what_it_can_say() {
    let team = Team::new();
    let role = json!({"role_id": VIEWER});
    let resource = |region: &str| {
        json!({"attributes": [
            {"name": "accountId", "value": team.account, "operator": "stringEquals"},
            {"name": "serviceName", "value": "containers-kubernetes", "operator": "stringEquals"},
            {"name": "region", "value": region, "operator": "stringMatch"},
        ]})
    };
    let body = |region: &str| {
        json!({
            "type": "access", "subjects": [{"attributes": [{"name": "iam_id", "value": team.bob.iam_id}]}],
            "roles": [role], "resources": [resource(region)], "description": "older",
        })
    };
    let made = team.ok(&team.ada, "POST /v1/policies", &body("eu-*"), 201);
    assert_eq!((&made["subjects"], &made["resources"]), (&body("eu-*")["subjects"], &body("eu-*")["resources"]));
    assert_eq!(text(&made, "/roles/0/display_name"), "Viewer");
    let id = text(&made, "/id");
    let newer = team.ok(&team.ada, &format!("GET /v2/policies/{id}"), &Value::Null, 200);
    assert_eq!(newer["resource"]["attributes"][2], json!({"key": "region", "operator": "stringMatch", "value": "eu-*"}));

    let conflict = refused(&team.call(&team.ada, "POST /v1/policies", &body("eu-*")), 409, "policy_conflict_error");
    assert_eq!(text(&conflict, "/errors/0/details/conflicts_with/policy"), id);
    let mut timed = team.policy(&team.bob.iam_id, VIEWER, &[CONTAINERS]);
    timed["pattern"] = json!("time-based-conditions:weekly:all-day");
    timed["rule"] =
        json!({"key": "{{environment.attributes.day_of_week}}", "operator": "dayOfWeekAnyOf", "value": ["1+00:00"]});
    let newer = team.ok(&team.ada, "POST /v2/policies", &timed, 201);
    let hidden = team.call(&team.ada, &format!("GET /v1/policies/{}", text(&newer, "/id")), &Value::Null);
    refused(&hidden, 404, "policy_not_found");
    let list = team.ok(&team.ada, &format!("GET /v1/policies?account_id={}", team.account), &Value::Null, 200);
    assert_eq!(array(&list["policies"]).len(), 1);
    assert_eq!(team.policies(&team.ada, "").len(), 2);
}

#[test]
fn bad_policies_and_roles_are_refused_with_what_to_do() {
    let team = Team::new();
    let good = || team.policy(&team.bob.iam_id, VIEWER, &[CONTAINERS]);
    let with = |pointer: &str, value: Value| {
        let mut policy = good();
        *policy.pointer_mut(pointer).unwrap() = value;
        policy
    };
    let foreign = team.server.account("foreign");
    let subject = "/subject/attributes/0/value";
    let bad = [
        with(subject, json!("IBMid-nobody")),
        with(subject, json!(foreign.iam_id.unwrap_or_default())),
        with("/subject/attributes/0", attribute("access_group_id", "AccessGroupId-none")),
        with("/resource/attributes/0/value", json!(foreign.account_id)),
        with("/resource/attributes/1/operator", json!("stringSounds")),
        with("/control/grant/roles/0/role_id", json!("Viewer")),
        with("/control/grant/roles", json!([])),
        json!({"type": "access"}),
        json!([]),
    ];
    for body in bad {
        refused(&team.call(&team.ada, "POST /v2/policies", &body), 400, "invalid_body");
    }
    let id = text(&team.ok(&team.ada, "POST /v2/policies", &good(), 201), "/id").to_owned();
    let put = |etag: &str| team.changing(&team.ada, &format!("PUT /v2/policies/{id}"), etag, &good());
    refused(&put(""), 400, "invalid_body");
    refused(&put("7-x"), 412, "policy_conflict_error");
    refused(&team.call(&team.ada, "GET /v2/policies/none", &Value::Null), 404, "policy_not_found");
    // Another account's policy is as if it did not exist.
    let foreign = team.server.token(&team.server.account("another"));
    refused(&team.server.send(Request::get(format!("/v2/policies/{id}")).bearer(&foreign)), 404, "policy_not_found");
    refused(&team.server.send(Request::delete(format!("/v1/policies/{id}")).bearer(&foreign)), 404, "policy_not_found");
}

#[test]
fn a_custom_role_gives_its_actions_and_stays_while_a_policy_grants_it() {
    let team = Team::new();
    let new = |name: &str| {
        json!({
            "name": name, "display_name": "Watcher", "account_id": team.account, "service_name": "containers-kubernetes",
            "actions": ["containers-kubernetes.cluster.read"],
        })
    };
    team.call(&team.bob, "POST /v2/roles", &new("Watcher")).expect(403);
    let made = team.call(&team.ada, "POST /v2/roles", &new("Watcher"));
    let role = made.json(201);
    let crn = text(&role, "/crn");
    assert!(crn.ends_with(&format!(":iam-access-management::a/{}::customRole:Watcher", team.account)), "{crn}");
    refused(&team.call(&team.ada, "POST /v2/roles", &new("Watcher")), 409, "role_conflict_error");
    refused(&team.call(&team.ada, "POST /v2/roles", &new("watcher")), 400, "invalid_body");

    let policy = team.ok(&team.ada, "POST /v2/policies", &team.policy(&team.bob.iam_id, crn, &[CONTAINERS]), 201);
    let clusters = || team.server.send(Request::get("/global/v2/vpc/getClusters").bearer(&team.bob.token)).status;
    assert_eq!(clusters(), 200);
    let path = format!("/v2/roles/{}", text(&role, "/id"));
    let kept = refused(&team.call(&team.ada, &format!("DELETE {path}"), &Value::Null), 409, "role_conflict_error");
    assert!(text(&kept, "/errors/0/message").contains(text(&policy, "/id")), "{kept}");
    let change = json!({"display_name": "Keeper", "actions": ["containers-kubernetes.cluster.update"]});
    let etag = made.header("etag").unwrap();
    team.changing(&team.ada, &format!("PUT {path}"), etag, &change).expect(200);
    assert_eq!(clusters(), 403, "the role has no read any more");
    refused(&team.changing(&team.ada, &format!("PUT {path}"), etag, &change), 412, "policy_conflict_error");
    team.call(&team.ada, &format!("DELETE /v2/policies/{}", text(&policy, "/id")), &Value::Null).expect(204);
    team.call(&team.ada, &format!("DELETE {path}"), &Value::Null).expect(204);
    refused(&team.call(&team.ada, &format!("GET {path}"), &Value::Null), 404, "role_not_found");
}

#[test]
fn groups_are_listed_in_order_and_changed_by_revision() {
    let team = Team::new();
    let base = format!("/v2/groups?account_id={}&hide_public_access=true", team.account);
    for name in ["delta", "Alpha", "charlie", "Bravo"] {
        team.group(name);
    }
    let names = |query: &str| {
        let list = team.ok(&team.ada, &format!("GET {base}{query}"), &Value::Null, 200);
        array(&list["groups"]).iter().map(|group| text(group, "/name").to_owned()).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(names(""), "Alpha Bravo charlie delta");
    assert_eq!(names("&sort=-name&limit=2&offset=1"), "charlie Bravo");
    assert_eq!(names("&search=name:AL"), "Alpha");
    assert_eq!(names(&format!("&iam_id={}", team.bob.iam_id)), "");
    let first = team.ok(&team.ada, &format!("GET {base}&limit=3"), &Value::Null, 200);
    assert_eq!((integer(&first, "/total_count"), text(&first, "/next/href").contains("offset=3")), (4, true));
    refused(&team.call(&team.ada, &format!("GET {base}&limit=101"), &Value::Null), 400, "invalid_body");

    let again = team.call(&team.ada, &format!("POST /v2/groups?account_id={}", team.account), &json!({"name": "ALPHA"}));
    refused(&again, 409, "conflict");
    let id = team.group("echo");
    let got = team.call(&team.ada, &format!("GET /v2/groups/{id}?show_federated=true&show_crn=true"), &Value::Null);
    assert_eq!(got.json(200)["is_federated"], false);
    let etag = got.header("etag").unwrap();
    let rename = |etag: &str| team.changing(&team.ada, &format!("PATCH /v2/groups/{id}"), etag, &json!({"name": "foxtrot"}));
    rename(etag).expect(200);
    refused(&rename(etag), 409, "conflict");
    refused(&rename(""), 400, "invalid_body");
    team.call(&team.bob, &format!("GET /v2/groups/{id}"), &Value::Null).expect(403);
}

#[test]
fn members_come_and_go_one_by_one_and_together() {
    let team = Team::new();
    let (one, two) = (team.group("one"), team.group("two"));
    let body = json!({"members": [
        {"iam_id": team.bob.iam_id, "type": "user"}, {"iam_id": team.eve.iam_id, "type": "service"}, {"iam_id": "IBMid-none", "type": "user"},
    ]});
    let added = team.ok(&team.ada, &format!("PUT /v2/groups/{one}/members"), &body, 207);
    let statuses: Vec<_> = array(&added["members"]).iter().map(|member| integer(member, "/status_code")).collect();
    assert_eq!(statuses, [200, 400, 404]);
    let both = json!({"type": "user", "groups": [one, two, "AccessGroupId-none"]});
    let all = format!("/v2/groups/_allgroups/members/{}?account_id={}", team.eve.iam_id, team.account);
    let added = team.ok(&team.ada, &format!("PUT {all}"), &both, 207);
    let statuses: Vec<_> = array(&added["groups"]).iter().map(|group| integer(group, "/status_code")).collect();
    assert_eq!(statuses, [200, 200, 404]);

    let list = team.ok(&team.ada, &format!("GET /v2/groups/{one}/members?verbose=true&sort=name"), &Value::Null, 200);
    let emails: Vec<_> = array(&list["members"]).iter().map(|member| text(member, "/email")).collect();
    assert_eq!(emails.len(), 2);
    assert!(emails.contains(&"bob@example.com") && emails.contains(&"eve@example.com"));
    let check = |group: &str, who: &Person| {
        team.call(&team.ada, &format!("HEAD /v2/groups/{group}/members/{}", who.iam_id), &Value::Null).status
    };
    assert_eq!((check(&one, &team.bob), check(&two, &team.bob)), (204, 404));
    let removal = json!({"members": [team.bob.iam_id, "IBMid-none"]});
    let removed = team.ok(&team.ada, &format!("POST /v2/groups/{one}/members/delete"), &removal, 207);
    let statuses: Vec<_> = array(&removed["members"]).iter().map(|member| integer(member, "/status_code")).collect();
    assert_eq!(statuses, [204, 404]);
    refused(&team.call(&team.ada, &format!("POST /v2/groups/{one}/members/delete"), &removal), 404, "not_found");
    assert_eq!(array(&team.ok(&team.ada, &format!("DELETE {all}"), &Value::Null, 207)["groups"]).len(), 2);
    refused(&team.call(&team.ada, &format!("DELETE {all}"), &Value::Null), 404, "not_found");
}

#[test]
fn rules_of_a_group_are_kept_by_revision() {
    let team = Team::new();
    let group = team.group("federated");
    let rule = |hours: i64| {
        json!({
            "name": "team", "expiration": hours, "realm_name": "https://idp.example.com",
            "conditions": [{"claim": "groups", "operator": "CONTAINS", "value": "\"team\""}],
        })
    };
    let path = format!("/v2/groups/{group}/rules");
    refused(&team.call(&team.ada, &format!("POST {path}"), &rule(25)), 400, "invalid_body");
    let made = team.call(&team.ada, &format!("POST {path}"), &rule(12));
    let (id, etag) = (text(&made.json(201), "/id").to_owned(), made.header("etag").unwrap().to_owned());
    let put = |etag: &str| team.changing(&team.ada, &format!("PUT {path}/{id}"), etag, &rule(8));
    assert_eq!(integer(&put(&etag).json(200), "/expiration"), 8);
    refused(&put(&etag), 409, "conflict");
    let federated = team.ok(&team.ada, &format!("GET /v2/groups/{group}?show_federated=true"), &Value::Null, 200);
    assert_eq!(federated["is_federated"], true);
    assert_eq!(array(&team.ok(&team.ada, &format!("GET {path}"), &Value::Null, 200)["rules"]).len(), 1);
    team.call(&team.ada, &format!("DELETE {path}/{id}"), &Value::Null).expect(204);
    refused(&team.call(&team.ada, &format!("GET {path}/{id}"), &Value::Null), 404, "not_found");
}

/// Runs a client program as the owner of an account, and counts what it found to hold.
fn sdk(name: &str, command: impl FnOnce() -> (std::process::Command, tempfile::TempDir)) -> String {
    let server = Server::start();
    let user: User = server.account(name);
    let token = server.token(&user);
    let info = server.send(Request::get("/identity/userinfo").bearer(&token)).json(200);
    let (mut command, _home) = command();
    describe(&mut command, &server, &user);
    command.env("IAM_ID", text(&info, "/iam_id"));
    command.env("NODE_EXTRA_CA_CERTS", &server.ca_file).env("REQUESTS_CA_BUNDLE", &server.ca_file);
    run(&mut command).success()
}

#[test]
fn the_python_platform_services_sdk_drives_policies_roles_and_groups() {
    let printed = sdk("python", || python(&[&script("python/access.py")]));
    assert_eq!(printed.lines().filter(|line| line.starts_with("ok: ")).count(), 6, "{printed}");
}

#[test]
fn the_node_platform_services_sdk_drives_policies_roles_and_groups() {
    let printed = sdk("node", || node("node", "access.mjs"));
    assert_eq!(printed.lines().filter(|line| line.starts_with("ok: ")).count(), 5, "{printed}");
}
