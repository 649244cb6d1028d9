//! Workers as clients list, start anew, reload, replace and remove them.

use serde_json::{Value, json};

use crate::harness::account::ids;
use crate::harness::http::{array, text};
use crate::harness::{Account, Request, Server, check, shared, wait};

#[test]
fn a_vpc_worker_is_shown_alike_by_every_operation() {
    let server = shared();
    let mut account = Account::new(&server, "worker-vpc");
    let cluster = account.vpc("shown");
    let listed = account.workers(&cluster, "");
    assert_eq!(listed.len(), 1);
    let worker = &listed[0];
    let id = text(worker, "/id");
    assert!(id.starts_with(&format!("kube-{cluster}-shown-default-")), "{id}");
    for path in ["/v2/getWorker", "/v2/vpc/getWorker"] {
        assert_eq!(&account.get(&format!("{path}?cluster={cluster}&worker={id}")), worker, "{path}");
    }
    for path in ["/v2/getWorkers", "/v2/vpc/getWorkers"] {
        let pool = text(worker, "/poolID");
        for query in ["", "&showDeleted=false", "&showDeleted=true", "&pool=default", &format!("&pool={pool}")] {
            assert_eq!(account.get(&format!("{path}?cluster=shown{query}")), json!([worker]), "{path}{query}");
        }
    }
    assert_eq!(worker["health"], json!({ "state": "normal", "message": "Ready" }));
    assert_eq!(text(worker, "/lifecycle/actualState"), "deployed");
    assert_eq!(text(worker, "/lifecycle/desiredState"), "deployed");
    let system = account.pool(&cluster, "default")["operatingSystem"].clone();
    assert_eq!(worker["lifecycle"]["actualOperatingSystem"], system, "else Terraform replaces the worker");
    let master = account.get(&format!("/v2/getCluster?cluster={cluster}"))["masterKubeVersion"].clone();
    for version in ["actual", "desired", "target"] {
        assert_eq!(worker["kubeVersion"][version], master, "{version}");
    }
    assert!(text(worker, "/kubeVersion/eos").starts_with("20"));
    let interface = &worker["networkInterfaces"][0];
    let (cidr, address) = (text(interface, "/cidr"), text(interface, "/ipAddress"));
    assert!(cidr.ends_with("/24") && address.starts_with(cidr.split(".0/").next().unwrap()), "{interface}");
    assert!(worker.get("networkInformation").is_none());

    let v1 = account.get(&format!("/v1/workers/{id}"));
    assert_eq!(account.get(&format!("/v1/clusters/{cluster}/workers/{id}")), v1);
    assert_eq!(account.get(&format!("/v1/clusters/{cluster}/workers?showDeleted=false&pool=default")), json!([v1]));
    let same = [("state", "normal"), ("status", "Ready"), ("poolName", "default"), ("location", text(worker, "/location"))];
    for (member, value) in same.into_iter().chain([("machineType", "bx2.4x16"), ("privateIP", address)]) {
        assert_eq!(v1[member], value, "{member}");
    }
}

#[test]
fn a_classic_worker_shows_its_vlans_and_addresses() {
    let server = shared();
    let mut account = Account::new(&server, "worker-classic");
    let cluster = account.classic("vlans");
    let (public, private) = server.vlans(&account.token);
    let worker = &account.get(&format!("/v2/classic/getWorkers?cluster={cluster}"))[0];
    assert_eq!(account.get(&format!("/v2/classic/getWorker?cluster={cluster}&worker={}", text(worker, "/id"))), *worker);
    let network = &worker["networkInformation"];
    assert_eq!((&network["privateVLAN"], &network["publicVLAN"]), (&json!(private), &json!(public)));
    assert!(worker.get("networkInterfaces").is_none());
    let v1 = account.get(&format!("/v1/workers/{}", text(worker, "/id")));
    for (v1_name, v2_name) in
        [("privateVlan", "privateVLAN"), ("publicVlan", "publicVLAN"), ("privateIP", "privateIP"), ("publicIP", "publicIP")]
    {
        assert_eq!(v1[v1_name], network[v2_name], "{v1_name}");
    }
    assert_eq!(text(&v1, "/isolation"), "public");
}

#[test]
fn what_cannot_be_done_to_workers_is_refused_with_what_to_do_next() {
    let server = shared();
    let mut account = Account::new(&server, "worker-refused");
    let (vpc, classic) = (account.vpc("one"), account.classic("two"));
    let worker = ids(&account.workers(&vpc, "")).remove(0);
    let none = &format!("kube-{vpc}-one-default-ffffffff");
    let other = ids(&account.workers(&classic, "")).remove(0);
    let (no_cluster, no_worker, no_pool) = ((404, "G0004"), (404, "E0d41"), (404, "E0d40"));
    let (incomplete, provider) = ((400, "E0011"), (400, "G3917"));
    let v1 = |method: &str, cluster: &str, id: &str| format!("{method} /v1/clusters/{cluster}/workers/{id}");
    let rpc = |cluster: &str, id: &str| json!({ "cluster": cluster, "workerID": id });
    let reboot = json!({ "action": "reboot" });
    let rows = vec![
        ("v1 list, unknown cluster", ("GET /v1/clusters/none/workers".into(), Value::Null, no_cluster)),
        ("v1 list, unknown pool", (format!("GET /v1/clusters/{vpc}/workers?pool=none"), Value::Null, no_pool)),
        ("v1 get, unknown cluster", (v1("GET", "none", &worker), Value::Null, no_cluster)),
        ("v1 get, unknown worker", (v1("GET", &vpc, none), Value::Null, no_worker)),
        ("v1 get, another cluster's worker", (v1("GET", &vpc, &other), Value::Null, no_worker)),
        ("worker alone, unknown", (format!("GET /v1/workers/{none}"), Value::Null, no_worker)),
        ("worker alone, unknown cluster", ("GET /v1/workers/kube-none-x".into(), Value::Null, no_worker)),
        ("worker alone, no ID of a worker", ("GET /v1/workers/x".into(), Value::Null, no_worker)),
        ("v1 put, unknown cluster", (v1("PUT", "none", &worker), reboot.clone(), no_cluster)),
        ("v1 put, unknown worker", (v1("PUT", &vpc, none), reboot.clone(), no_worker)),
        ("v1 put, unknown action", (v1("PUT", &vpc, &worker), json!({ "action": "paint" }), incomplete)),
        ("v1 put, no action", (v1("PUT", &vpc, &worker), json!({}), incomplete)),
        ("v1 put, update on VPC", (v1("PUT", &vpc, &worker), json!({ "action": "update" }), provider)),
        ("v1 delete, unknown worker", (v1("DELETE", &vpc, none), Value::Null, no_worker)),
        ("v1 delete, unknown cluster", (v1("DELETE", "none", &worker), Value::Null, no_cluster)),
        ("v2 get, no cluster", (format!("GET /v2/getWorker?worker={worker}"), Value::Null, incomplete)),
        ("v2 get, no worker", (format!("GET /v2/getWorker?cluster={vpc}"), Value::Null, incomplete)),
        ("v2 get, unknown worker", (format!("GET /v2/vpc/getWorker?cluster={vpc}&worker={none}"), Value::Null, no_worker)),
        ("v2 get, provider", (format!("GET /v2/vpc/getWorker?cluster={classic}&worker={other}"), Value::Null, provider)),
        ("v2 list, provider", (format!("GET /v2/classic/getWorkers?cluster={vpc}"), Value::Null, provider)),
        ("v2 list, unknown pool", (format!("GET /v2/vpc/getWorkers?cluster={vpc}&pool=none"), Value::Null, no_pool)),
        ("v2 list, unknown cluster", ("GET /v2/getWorkers?cluster=none".into(), Value::Null, no_cluster)),
        ("v2 remove, unknown worker", ("POST /v2/removeWorker".into(), rpc(&vpc, none), no_worker)),
        ("v2 remove, no worker", ("POST /v2/removeWorker".into(), json!({ "cluster": vpc }), incomplete)),
        ("v2 remove, no cluster", ("POST /v2/removeWorker".into(), json!({ "workerID": worker }), incomplete)),
        ("replace, unknown worker", ("POST /v2/replaceWorker".into(), rpc(&vpc, none), no_worker)),
        ("replace, unknown cluster", ("POST /v2/replaceWorker".into(), rpc("none", &worker), no_cluster)),
        ("replace on VPC, provider", ("POST /v2/vpc/replaceWorker".into(), rpc(&classic, &other), provider)),
        ("replace on VPC, unknown", ("POST /v2/vpc/replaceWorker".into(), rpc(&vpc, none), no_worker)),
        ("add none", (format!("POST /v1/clusters/{classic}/workers"), json!({ "workerNum": 0 }), incomplete)),
        ("add fewer than none", (format!("POST /v1/clusters/{classic}/workers"), json!({ "workerNum": -1 }), incomplete)),
        ("add too many", (format!("POST /v1/clusters/{classic}/workers"), json!({ "workerNum": i64::MAX }), incomplete)),
        (
            "add another flavor",
            (format!("POST /v1/clusters/{classic}/workers"), json!({ "workerNum": 1, "machineType": "b3c.16x64" }), incomplete),
        ),
        ("add, unknown cluster", ("POST /v1/clusters/none/workers".into(), json!({ "workerNum": 1 }), no_cluster)),
    ];
    check::table(rows, |(request, body, (status, code))| account.refused(&request, &body, status, code));
    assert_eq!(ids(&account.workers(&vpc, "")), [worker], "nothing of that changed anything");

    let stranger = Account::new(&server, "worker-stranger");
    stranger.refused(&format!("GET /v1/workers/{other}"), &Value::Null, 404, "E0d41").unwrap();
}

#[test]
fn a_worker_keeps_its_id_and_address_through_every_reboot_and_reload() {
    let server = shared();
    let mut account = Account::new(&server, "worker-actions");
    let cluster = account.classic("again");
    let before = account.get(&format!("/v1/clusters/{cluster}/workers"))[0].clone();
    let path = format!("PUT /v1/clusters/{cluster}/workers/{}", text(&before, "/id"));
    for action in ["reboot", "soft_reboot", "hard_reboot", "power_cycle", "powercycle", "reload", "os_reload", "update"] {
        let answer = account.call(&path, &json!({ "action": action, "force": true }));
        assert!(answer.expect(204).body.is_empty(), "{action}");
        account.settle(&cluster);
        let after = &account.get(&format!("/v1/clusters/{cluster}/workers"))[0];
        for member in ["id", "privateIP", "publicIP", "kubeVersion", "poolid"] {
            assert_eq!(after[member], before[member], "{action} {member}");
        }
    }
}

#[test]
fn a_reload_passes_through_its_states_in_order() {
    let server = Server::builder().pace("real").start();
    let mut account = Account::new(&server, "reload");
    let cluster = account.vpc("reloaded");
    let worker = ids(&account.workers(&cluster, "")).remove(0);
    let put = format!("PUT /v1/clusters/{cluster}/workers/{worker}");
    account.call(&put, &json!({ "action": "reload" })).expect(204);
    let shown = account.worker(&cluster, &worker);
    assert_eq!(text(&shown, "/lifecycle/actualState"), "reload_pending", "before the answer");
    assert_eq!((text(&shown, "/health/state"), text(&shown, "/lifecycle/pendingOperation")), ("pending", "reload"));
    account.call(&put, &json!({ "action": "reload" })).expect(204);
    account.refused(&put, &json!({ "action": "reboot" }), 409, "E0f19").unwrap();
    for (seconds, state) in [(70, "reloading"), (600, "deploying"), (400, "deployed")] {
        account.advance(seconds);
        let shown = account.until_state(&cluster, &worker, state);
        assert_eq!(shown["health"]["state"] == "normal", state == "deployed", "{state}");
    }
    account.settle(&cluster);
}

#[test]
fn a_classic_worker_is_updated_to_the_version_of_its_master() {
    let server = Server::builder().pace("real").start();
    let mut account = Account::new(&server, "update");
    let mut order = server.classic_order(&account.token, "updated");
    order["masterVersion"] = "1.35".into();
    let cluster = text(&account.call("POST /v1/clusters", &order).json(201), "/id").to_owned();
    account.settle(&cluster);
    account.call(&format!("PUT /v1/clusters/{cluster}"), &json!({ "action": "update", "version": "1.36" })).expect(204);
    account.settle(&cluster);
    let path = format!("/v1/clusters/{cluster}/workers");
    let before = account.get(&path)[0].clone();
    let (old, new) = (text(&before, "/kubeVersion"), text(&before, "/targetVersion"));
    assert!(old.starts_with("1.35.") && new.starts_with("1.36."), "{before}");
    let put = format!("PUT {path}/{}", text(&before, "/id"));
    account.call(&put, &json!({ "action": "update" })).expect(204);
    let during = account.get(&path)[0].clone();
    assert_eq!(text(&during, "/kubeVersion"), format!("{old} --> {new} (pending)"));
    assert_ne!(during["status"], "Ready");
    account.settle(&cluster);
    let after = &account.get(&path)[0];
    assert_eq!((&after["kubeVersion"], &after["id"]), (&before["targetVersion"], &before["id"]));
}

#[test]
fn a_replaced_worker_can_be_read_as_deleted_and_another_takes_its_place() {
    replaced(&Server::builder().pace("real").start());
}

/// What Terraform does for each worker of a VPC cluster that is updated.
pub fn replaced(server: &Server) {
    let mut account = Account::new(server, "replace");
    let cluster = account.vpc("replaced");
    let before = account.workers(&cluster, "").remove(0);
    let old = text(&before, "/id");
    let order = json!({ "cluster": cluster, "update": true, "workerID": old });
    assert!(account.call("POST /v2/vpc/replaceWorker", &order).expect(204).body.is_empty());
    account.refused("POST /v2/vpc/replaceWorker", &order, 409, "E0f19").unwrap();
    let during = account.workers(&cluster, "&showDeleted=false");
    assert_eq!(during.len(), 2, "the old one is still shown: {during:#?}");
    account.settle(&cluster);
    assert_eq!(text(&account.until_state(&cluster, old, "deleted"), "/lifecycle/desiredState"), "deleted");
    let after = account.workers(&cluster, "&showDeleted=false");
    assert_eq!(after.len(), 1);
    assert_ne!(text(&after[0], "/id"), old);
    for member in ["poolID", "poolName", "location", "flavor"] {
        assert_eq!(after[0][member], before[member], "{member}");
    }
    assert_eq!(account.workers(&cluster, "&showDeleted=true").len(), 2);
}

#[test]
fn a_removed_worker_gives_its_address_back_and_a_rebalance_brings_another() {
    let server = shared();
    let mut account = Account::new(&server, "worker-removed");
    let (vpc, zone, _) = server.vpc_place(&account.token);
    let unused = account.free(&vpc, &zone);
    let cluster = account.vpc("holes");
    assert_eq!(account.free(&vpc, &zone), unused - 1);
    let worker = ids(&account.workers(&cluster, "")).remove(0);
    account.call("POST /v2/removeWorker", &json!({ "cluster": cluster, "workerID": worker })).expect(204);
    account.until_state(&cluster, &worker, "deleted");
    assert_eq!(account.free(&vpc, &zone), unused);
    let pool = account.pool(&cluster, "default");
    assert_eq!(
        (&pool["isBalanced"], &pool["workerCount"], &pool["zones"][0]["workerCount"]),
        (&json!(false), &json!(1), &json!(0))
    );
    account.refused(&format!("DELETE /v1/clusters/{cluster}/workers/{worker}"), &Value::Null, 404, "E0d41").unwrap();
    account.call("POST /v2/rebalanceWorkerPool", &json!({ "cluster": cluster, "workerpool": "default" })).expect(204);
    account.settle(&cluster);
    let pool = account.pool(&cluster, "default");
    assert_eq!((&pool["isBalanced"], &pool["zones"][0]["workerCount"]), (&json!(true), &json!(1)));
    assert_eq!(account.free(&vpc, &zone), unused - 1);
    let new = ids(&account.workers(&cluster, "")).remove(0);
    assert_ne!(new, worker);
    account.call(&format!("DELETE /v1/clusters/{cluster}/workers/{new}"), &Value::Null).expect(204);
}

#[test]
fn workers_are_added_to_the_first_pool() {
    let server = shared();
    let mut account = Account::new(&server, "worker-added");
    let cluster = account.classic("added");
    let order = json!({ "workerNum": 2, "dataCenter": "dal10", "machineType": "b3c.4x16", "prefix": "x" });
    assert!(account.call(&format!("POST /v1/clusters/{cluster}/workers"), &order).expect(201).body.is_empty());
    account.settle(&cluster);
    assert_eq!(account.workers(&cluster, "").len(), 3);
    assert_eq!(account.pool(&cluster, "default")["workerCount"], 3);
}

#[test]
fn graphql_reloads_a_worker_and_says_what_else_it_does_not_do() {
    let server = Server::builder().pace("real").start();
    let mut account = Account::new(&server, "graphql");
    let cluster = account.vpc("metal");
    let worker = ids(&account.workers(&cluster, "")).remove(0);
    let send = |body: Value| server.send(Request::post("/graphql").bearer(&account.token).json(&body));
    let mutation = "mutation ReinitializeNode($input: ReinitializeKubernetesNodeInput!) {\n reinitializeKubernetesNode(input: $input) { node { id } } }";
    let reload = |id: &str| send(json!({ "query": mutation, "variables": { "input": { "id": id } } }));
    let answer = reload(&worker).json(200);
    assert_eq!(answer, json!({ "data": { "reinitializeKubernetesNode": { "node": { "id": worker } } } }));
    assert_eq!(text(&account.worker(&cluster, &worker), "/lifecycle/actualState"), "reload_pending");
    let rows = [
        (reload("kube-none-x"), 404, "E0d41"),
        (send(json!({ "query": mutation })), 400, "E0011"),
        (send(json!({ "query": "query { node(id: \"x\") { __typename } }" })), 501, "G0501"),
    ];
    for (answer, status, code) in rows {
        let body = answer.json(status);
        assert_eq!(text(&body, "/errors/0/extensions/code"), code, "{body}");
        assert!(!text(&body, "/errors/0/message").is_empty());
    }
    account.call("POST /v2/removeWorker", &json!({ "cluster": cluster, "workerID": worker })).expect(204);
    let body = reload(&worker).json(409);
    assert_eq!(text(&body, "/errors/0/extensions/code"), "E0f19", "{body}");
}

#[test]
fn new_workers_pass_through_their_states_in_order() {
    let server = Server::builder().pace("fast").start();
    let account = Account::new(&server, "deploys");
    let cluster = server.create_vpc(&account.token, "deploys");
    let worker = ids(&account.workers(&cluster, "")).remove(0);
    let order = ["provision_pending", "provisioning", "provisioned", "deploying", "deployed"];
    let mut seen: Vec<usize> = Vec::new();
    wait::until("the worker to be deployed", wait::PATIENCE, || {
        let shown = account.worker(&cluster, &worker);
        let state = text(&shown, "/lifecycle/actualState");
        seen.push(order.iter().position(|known| *known == state).unwrap_or_else(|| panic!("state {state}")));
        let v1 = account.get(&format!("/v1/workers/{worker}"));
        assert_eq!(v1["state"] == "normal", v1["status"] == "Ready", "{v1}");
        if state == "deployed" { Ok(()) } else { Err(state.to_owned()) }
    });
    assert_eq!(seen[0], 0, "the worker is there as soon as its cluster");
    assert!(seen.is_sorted(), "{seen:?}");
    assert_eq!(array(&account.get(&format!("/v1/clusters/{cluster}/workers"))).len(), 1);
}
