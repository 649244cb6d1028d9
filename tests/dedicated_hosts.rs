//! Dedicated hosts and their pools: the states that Terraform waits for, and what is refused.

use serde_json::{Value, json};

use crate::harness::boatyard::Shell;
use crate::harness::check::{self, Service};
use crate::harness::http::{array, escape, text};
use crate::harness::{Answer, Request, Server, shared};

fn post(server: &Server, token: &str, operation: &str, body: &Value) -> Answer {
    server.send(Request::post(format!("/global/v2/{operation}")).bearer(token).json(body))
}

fn get(server: &Server, token: &str, call: &str) -> Answer {
    server.send(Request::get(format!("/global/v2/{call}")).bearer(token))
}

fn create_pool(server: &Server, token: &str, name: &str) -> String {
    let body = json!({ "flavorClass": "bx2d", "metro": "dal", "name": name });
    text(&post(server, token, "createDedicatedHostPool", &body).json(201), "/id").to_owned()
}

fn create_host(server: &Server, token: &str, pool: &str) -> String {
    let body = json!({ "flavor": "bx2d.host.16x64", "hostPoolID": pool, "zone": "us-south-1" });
    text(&post(server, token, "createDedicatedHost", &body).json(201), "/id").to_owned()
}

fn host(server: &Server, token: &str, pool: &str, host: &str) -> Answer {
    get(server, token, &format!("getDedicatedHost?dedicatedhost={}&dedicatedhostpool={}", escape(host), escape(pool)))
}

fn pool(server: &Server, token: &str, pool: &str) -> Answer {
    get(server, token, &format!("getDedicatedHostPool?dedicatedhostpool={}", escape(pool)))
}

#[test]
fn the_waits_for_hosts_and_pools_end() {
    let server = Server::builder().pace("real").start();
    let user = server.account("hosts-wait");
    let token = server.token(&user);
    let id = create_pool(&server, &token, "hosts-wait");
    let pool_state = || text(&pool(&server, &token, &id).json(200), "/state").to_owned();
    assert_eq!(pool_state(), "creating");
    let body = json!({ "flavor": "bx2d.host.16x64", "hostPoolID": id, "zone": "us-south-1" });
    check::refusal(&post(&server, &token, "createDedicatedHost", &body), Service::Containers, 409, "E0f46").unwrap();
    server.advance_clock(31);
    assert_eq!(pool_state(), "created");

    let host_id = create_host(&server, &token, &id);
    let state = || text(&host(&server, &token, &id, &host_id).json(200), "/lifecycle/actualState").to_owned();
    assert_eq!(state(), "create_pending");
    server.advance_clock(31);
    assert_eq!(state(), "creating");
    server.advance_clock(8 * 60);
    assert_eq!(state(), "created");

    let named = json!({ "hostPoolID": id, "hostID": host_id });
    post(&server, &token, "disableDedicatedHostPlacement", &named).expect(200);
    assert_eq!(host(&server, &token, &id, &host_id).json(200)["placementEnabled"], false);
    let removal = json!({ "host": host_id, "hostPool": id });
    post(&server, &token, "removeDedicatedHost", &removal).expect(200);
    assert_eq!(state(), "deleting");
    check::refusal(
        &post(&server, &token, "removeDedicatedHostPool", &json!({ "hostPool": id })),
        Service::Containers,
        409,
        "E0f47",
    )
    .unwrap();
    server.advance_clock(4 * 60 + 1);
    assert_eq!(state(), "deleted", "the wait takes 404 for an error");
    let gone = post(&server, &token, "disableDedicatedHostPlacement", &named);
    check::refusal(&gone, Service::Containers, 404, "E0f41").unwrap();

    post(&server, &token, "removeDedicatedHostPool", &json!({ "hostPool": id })).expect(200);
    assert_eq!(pool_state(), "deleting");
    server.advance_clock(4 * 60 + 1);
    assert_eq!(pool_state(), "deleted");
    assert_eq!(get(&server, &token, "getDedicatedHostPools").json(200), json!([]));
    // A token lives for an hour, as long as what was removed is remembered.
    server.advance_clock(3600);
    let token = server.token(&user);
    check::refusal(&pool(&server, &token, &id), Service::Containers, 404, "E0f40").unwrap();
}

#[test]
fn worker_nodes_show_on_the_host_that_they_run_on() {
    let server = shared();
    let token = server.token(&server.account("hosts-workers"));
    let id = create_pool(&server, &token, "hosts-workers");
    let first = create_host(&server, &token, &id);
    let second = create_host(&server, &token, &id);
    let mut order = server.vpc_order(&token, "hosts-workers");
    order["workerPool"]["flavor"] = json!("bx2.8x32");
    order["workerPool"]["workerCount"] = json!(3);
    order["workerPool"]["hostPoolID"] = json!(id);
    let created = server.send(Request::post("/global/v2/vpc/createCluster").bearer(&token).json(&order)).json(201);
    let cluster = text(&created, "/clusterID");

    let hosts = get(&server, &token, &format!("getDedicatedHosts?dedicatedhostpool={id}")).json(200);
    let shown: Vec<_> = array(&hosts).iter().map(|host| (text(host, "/id"), array(&host["workers"]).len())).collect();
    assert_eq!(shown, [(first.as_str(), 2), (second.as_str(), 1)]);
    assert_eq!(text(&hosts, "/0/workers/0/clusterID"), cluster);
    let gigabyte = 1_i64 << 30;
    let resources = json!({ "capacity": { "vcpu": 16, "memoryBytes": 64 * gigabyte }, "consumed": { "vcpu": 8, "memoryBytes": 32 * gigabyte } });
    assert_eq!(hosts[1]["resources"], resources);
    let shown = pool(&server, &token, &id).json(200);
    assert_eq!(text(&shown, "/workerPools/0/clusterID"), cluster);
    assert_eq!((&shown["hostCount"], &shown["zones"][0]["hostCount"]), (&json!(2), &json!(2)));

    let named = json!({ "hostPoolID": id, "hostID": first });
    post(&server, &token, "disableDedicatedHostPlacement", &named).expect(200);
    let removal = post(&server, &token, "removeDedicatedHost", &json!({ "host": first, "hostPool": id }));
    check::refusal(&removal, Service::Containers, 409, "E0f49").unwrap();
    post(&server, &token, "enableDedicatedHostPlacement", &named).expect(200);
    assert_eq!(host(&server, &token, &id, &first).json(200)["placementEnabled"], true);

    order["name"] = json!("hosts-no-pool");
    order["workerPool"]["hostPoolID"] = json!("dh_none");
    let refused = server.send(Request::post("/global/v2/vpc/createCluster").bearer(&token).json(&order));
    check::refusal(&refused, Service::Containers, 404, "E0f40").unwrap();
}

#[test]
fn flavors_are_listed_by_zone() {
    let server = shared();
    let token = server.token(&server.account("hosts-flavors"));
    let flavors = get(&server, &token, "getDedicatedHostFlavors?provider=vpc-gen2&zone=eu-de-2").json(200);
    let flavor = array(&flavors).iter().find(|f| f["id"] == "bx2d.host.152x608").expect("it is offered");
    assert_eq!((text(flavor, "/zone"), text(flavor, "/region"), text(flavor, "/flavorClass")), ("eu-de-2", "eu-de", "bx2d"));
    assert_eq!((&flavor["maxVCPUs"], &flavor["maxMemory"]), (&json!(152), &json!(608)));
    for (call, code) in [("zone=dal10", "E0012"), ("zone=", "E0011"), ("zone=eu-de-2&provider=classic", "G3917")] {
        let answer = get(&server, &token, &format!("getDedicatedHostFlavors?{call}"));
        check::refusal(&answer, Service::Containers, 400, code).unwrap();
    }
}

#[test]
fn what_cannot_be_is_refused() {
    let server = shared();
    let token = server.token(&server.account("hosts-refused"));
    let id = create_pool(&server, &token, "hosts_refused");
    let host_id = create_host(&server, &token, "hosts_refused");
    let new_pool = |class: &str, metro: &str, name: &str| json!({ "flavorClass": class, "metro": metro, "name": name });
    let new_host = |flavor: &str, pool: &str, zone: &str| json!({ "flavor": flavor, "hostPoolID": pool, "zone": zone });
    let rows = [
        ("class", ("createDedicatedHostPool", new_pool("none", "dal", "a"), 400, "E0f44")),
        ("metro", ("createDedicatedHostPool", new_pool("bx2d", "none", "a"), 400, "E0f43")),
        ("name", ("createDedicatedHostPool", new_pool("bx2d", "dal", "a b"), 400, "E0011")),
        ("name taken", ("createDedicatedHostPool", new_pool("bx2d", "dal", "hosts_refused"), 409, "E0f42")),
        ("members", ("createDedicatedHostPool", json!({ "name": "a" }), 400, "E0011")),
        ("pool", ("createDedicatedHost", new_host("bx2d.host.16x64", "none", "us-south-1"), 404, "E0f40")),
        ("flavor", ("createDedicatedHost", new_host("none", &id, "us-south-1"), 400, "E0f44")),
        ("flavor class", ("createDedicatedHost", new_host("mx2d.host.152x1216", &id, "us-south-1"), 400, "E0f44")),
        ("other metro", ("createDedicatedHost", new_host("bx2d.host.16x64", &id, "us-east-1"), 400, "E0f45")),
        ("zone", ("createDedicatedHost", new_host("bx2d.host.16x64", &id, "dal10"), 400, "E0012")),
        ("placement", ("removeDedicatedHost", json!({ "host": host_id, "hostPool": id }), 409, "E0f48")),
        ("no host", ("removeDedicatedHost", json!({ "host": "none", "hostPool": id }), 404, "E0f41")),
        ("hosts left", ("removeDedicatedHostPool", json!({ "hostPool": id }), 409, "E0f47")),
        ("no pool", ("removeDedicatedHostPool", json!({ "hostPool": "none" }), 404, "E0f40")),
        ("on no host", ("enableDedicatedHostPlacement", json!({ "hostPoolID": id, "hostID": "none" }), 404, "E0f41")),
        ("off no pool", ("disableDedicatedHostPlacement", json!({ "hostPoolID": "none", "hostID": host_id }), 404, "E0f40")),
    ];
    check::table(rows, |(operation, body, status, code)| {
        check::refusal(&post(&server, &token, operation, &body), Service::Containers, status, code)
    });
    let other = server.token(&server.account("hosts-other"));
    check::refusal(&pool(&server, &other, &id), Service::Containers, 404, "E0f40").unwrap();
    check::refusal(&host(&server, &other, &id, &host_id), Service::Containers, 404, "E0f40").unwrap();
    check::refusal(&host(&server, &token, &id, "none"), Service::Containers, 404, "E0f41").unwrap();
    let hosts = get(&server, &token, "getDedicatedHosts?dedicatedhostpool=none");
    check::refusal(&hosts, Service::Containers, 404, "E0f40").unwrap();
}

#[test]
fn dedicated_hosts_on_the_command_line() {
    let server = shared();
    let shell = Shell::logged_in(&server, &server.account("hosts-cli"));
    let flavors = shell.ok(["ks", "dedicated", "flavors", "--zone", "us-south-1", "--provider", "vpc-gen2"]);
    assert!(flavors.contains("bx2d.host.152x608"), "{flavors}");
    let pool = ["dedicated", "pool", "create", "--flavor-class", "bx2d", "--metro", "dal", "--name", "p", "--output", "json"];
    let id = text(&shell.json(pool), "/id").to_owned();
    let create = ["dedicated", "host", "create", "--flavor", "bx2d.host.16x64", "--pool", "p", "--zone", "us-south-2", "-q"];
    let host = shell.ok(create).trim().to_owned();
    let shown = shell.ok(["dedicated", "host", "ls", "--pool", &id]);
    assert!(shown.contains(&host) && shown.contains("created") && shown.contains("0/16"), "{shown}");
    assert!(shell.ok(["dedicated", "host", "get", "--pool", "p", "--host", &host]).contains("enabled"));
    shell.ok(["dedicated", "host", "placement", "disable", "--pool", "p", "--host", &host]);
    shell.ok(["dedicated", "host", "placement", "enable", "--pool", "p", "--host", &host]);
    let refused = shell.run(["dedicated", "host", "rm", "--pool", "p", "--host", &host]);
    assert_eq!(refused.status.code(), Some(1), "{}", refused.stderr);
    shell.ok(["dedicated", "host", "placement", "disable", "--pool", "p", "--host", &host]);
    shell.ok(["dedicated", "host", "rm", "--pool", "p", "--host", &host]);
    assert!(shell.ok(["dedicated", "pool", "get", "--pool", "p"]).contains(&id));
    shell.ok(["dedicated", "pool", "rm", "--pool", "p"]);
    assert_eq!(shell.json(["dedicated", "pool", "ls", "--output", "json"]), json!([]));
}
