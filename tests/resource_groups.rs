//! Resource groups: made, renamed with what is in them, deleted when empty, seen by those with a role.

use serde_json::{Value, json};

use crate::harness::http::{array, text};
use crate::harness::{APIKEY, Account, BX, Request, Server, shared};

#[track_caller]
fn create(account: &Account, name: &str) -> String {
    let body = json!({ "name": name });
    let made = account.server.send(Request::post("/v2/resource_groups").bearer(&account.token).json(&body)).json(201);
    text(&made, "/id").to_owned()
}

fn cluster_in(account: &Account, group: &str, name: &str) -> u16 {
    let order = account.server.vpc_order(&account.token, name);
    let request = Request::post("/global/v2/vpc/createCluster").bearer(&account.token).header("X-Auth-Resource-Group", group);
    account.server.send(request.json(&order)).status
}

#[test]
fn a_group_with_a_cluster_is_renamed_with_it_and_deleted_only_when_empty() {
    renamed_and_deleted(&shared());
}

pub fn renamed_and_deleted(server: &Server) {
    let account = Account::new(server, "grouping");
    let group = create(&account, "team-a");
    assert_eq!(cluster_in(&account, "team-a", "grouped"), 201);
    let send = |method: &str, body: Value| {
        let request = Request::new(method, format!("/v2/resource_groups/{group}")).bearer(&account.token);
        server.send(if body.is_null() { request } else { request.json(&body) })
    };
    let renamed = send("PATCH", json!({ "name": "team-b" })).json(200);
    assert_eq!(renamed["name"], "team-b");
    let cluster = server.cluster(&account.token, "grouped");
    assert_eq!((&cluster["resourceGroup"], &cluster["resourceGroupName"]), (&json!(group), &json!("team-b")), "{cluster}");

    let refused = send("DELETE", Value::Null).json(409);
    assert!(text(&refused, "/errors/0/message").contains("holds 1 cluster"), "{refused}");
    account.call("DELETE /v1/clusters/grouped", &Value::Null).expect(204);
    server.gone(&account.token, "grouped");
    send("DELETE", Value::Null).expect(204);
    assert_eq!(cluster_in(&account, &group, "orphan"), 404);
}

#[test]
fn what_cannot_be_meant_is_refused() {
    let server = shared();
    let account = Account::new(&server, "groups-refused");
    let group = create(&account, "one");
    create(&account, "two");
    let path = format!("/v2/resource_groups/{group}");
    let rows = [
        ("POST", "/v2/resource_groups", json!({ "name": "One" }), 409),
        ("POST", "/v2/resource_groups", json!({ "name": " " }), 400),
        ("POST", "/v2/resource_groups", json!({ "name": "x".repeat(41) }), 400),
        ("POST", "/v2/resource_groups", json!({ "name": "a\nb" }), 400),
        ("POST", "/v2/resource_groups", json!({ "name": 1 }), 400),
        ("PATCH", &path, json!({}), 400),
        ("PATCH", &path, json!({ "name": "TWO" }), 409),
        ("PATCH", &path, json!({ "state": "SUSPENDED" }), 400),
        ("PATCH", &path, json!({ "name": "ONE", "state": "ACTIVE" }), 200),
        ("PATCH", "/v2/resource_groups/none", json!({ "name": "x" }), 404),
    ];
    for (method, path, body, status) in rows {
        let answer = server.send(Request::new(method, path).bearer(&account.token).json(&body));
        assert_eq!(answer.status, status, "{method} {path} {body}: {}", answer.text());
    }
}

#[test]
fn groups_of_another_account_do_not_exist() {
    let server = shared();
    let (mine, other) = (Account::new(&server, "groups-mine"), Account::new(&server, "groups-other"));
    let group = create(&other, "hidden");
    let path = format!("/v2/resource_groups/{group}");
    server.send(Request::get(&path).bearer(&mine.token)).expect(404);
    server.send(Request::delete(&path).bearer(&mine.token)).expect(404);
    server.send(Request::new("PATCH", &path).bearer(&mine.token).json(&json!({ "name": "x" }))).expect(404);
    server.send(Request::get(&path).bearer(&other.token)).expect(200);
}

#[test]
fn a_role_in_a_group_shows_that_group_and_its_clusters_only() {
    let yaml = "\
accounts:
  - name: harbour
    owner: { username: ada@example.com }
    api_keys: [{ name: owner, value: harbour-owner-key-0001 }]
    resource_groups: [{ name: team-a }, { name: team-b }]
    members:
      - guest@example.com
      - username: dev@example.com
        api_keys: [{ name: dev, value: harbour-dev-key-000001 }]
        access:
          - { roles: [Viewer, Writer], service: containers-kubernetes, resource_group: team-a }
    clusters:
      - { name: in-a, provider: vpc-gen2, state: normal, vpc: default, flavor: bx2.4x16, zones: [us-south-1], resource_group: team-a }
      - { name: in-b, provider: vpc-gen2, state: normal, vpc: default, flavor: bx2.4x16, zones: [us-south-1], resource_group: team-b }
";
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("harbour.yaml");
    std::fs::write(&file, yaml).unwrap();
    let mut server = Server::builder().args(["--fixture", file.to_str().unwrap()]).start();
    // A second start with the same file finds everything as it is.
    server.kill();
    server.start_again();
    assert!(server.log().contains("1 policy"), "{}", server.log());
    let token = |key: &str| {
        let fields = [("grant_type", APIKEY), ("apikey", key)];
        text(&server.grant(Some(BX), &fields).json(200), "/access_token").to_owned()
    };
    let (owner, dev) = (token("harbour-owner-key-0001"), token("harbour-dev-key-000001"));
    let names = |token: &str, path: &str| -> Vec<String> {
        let list = server.send(Request::get(path).bearer(token)).json(200);
        let list = list.get("resources").unwrap_or(&list);
        array(list).iter().map(|each| text(each, "/name").to_owned()).collect()
    };
    assert_eq!(names(&owner, "/v2/resource_groups"), ["Default", "team-a", "team-b"]);
    assert_eq!(names(&dev, "/v2/resource_groups"), ["team-a"]);
    assert_eq!(names(&dev, "/global/v2/clusters"), ["in-a"]);
    server.send(Request::post("/v2/resource_groups").bearer(&dev).json(&json!({ "name": "mine" }))).expect(403);
}
