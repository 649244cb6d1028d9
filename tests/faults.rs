//! Trouble on demand: each effect and each scenario as clients meet it.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::archive::{kubeconfig, unpacked};
use crate::harness::boatyard::Shell;
use crate::harness::check::{self, Service};
use crate::harness::http::{array, text};
use crate::harness::postgres::Postgres;
use crate::harness::{Answer, BX, KUBE, REFRESH, Request, Server, jwt};

const FAULTS: &str = "/_boatyard/faults";
const CREATE: &str = "/global/v2/vpc/createCluster";

/// Adds a fault and returns its ID.
#[track_caller]
fn fault(server: &Server, order: Value) -> String {
    text(&server.administrate(Request::post(FAULTS).json(&order)).json(201), "/id").to_owned()
}

#[track_caller]
fn scenario(server: &Server, order: Value) -> Vec<Value> {
    array(&server.administrate(Request::post("/_boatyard/scenarios").json(&order)).json(201)).clone()
}

#[track_caller]
fn listed(server: &Server) -> Vec<Value> {
    array(&server.administrate(Request::get(FAULTS)).json(200)).clone()
}

#[track_caller]
fn clusters(server: &Server, token: &str) -> Answer {
    server.send(Request::get("/global/v2/vpc/getClusters").bearer(token))
}

#[track_caller]
fn create(server: &Server, token: &str, name: &str) -> Answer {
    server.send(Request::post(CREATE).bearer(token).json(&server.vpc_order(token, name)))
}

#[test]
fn an_error_strikes_as_often_as_ordered_and_names_its_fault() {
    let database = Postgres::start();
    for server in [Server::start(), Server::builder().env("BOATYARD_DATABASE_URL", &database.url()).start()] {
        let token = server.token(&server.administrator);
        let order = json!({ "target": { "operations": ["vpcgetclusters"] }, "effect": { "kind": "http-error", "code": "E60b6" }, "times": 2 });
        let id = fault(&server, order);
        for _ in 0..2 {
            let answer = clusters(&server, &token);
            check::refusal(&answer, Service::Containers, 403, "E60b6").unwrap();
            assert_eq!(text(&answer.json(403), "/description"), "'Cluster' resource quota of '100' exceeded");
            assert_eq!(answer.header("x-boatyard-fault"), Some(id.as_str()));
        }
        let answer = clusters(&server, &token);
        assert_eq!((answer.status, answer.header("x-boatyard-fault")), (200, None));
        let shown = &listed(&server)[0];
        assert_eq!((&shown["state"], &shown["hits"], &shown["times"]), (&json!("used up"), &json!(2), &json!(2)));
        assert_eq!(shown["target"], json!({ "operations": ["containers/VpcGetClusters"] }));
        assert!(server.log().contains(&id), "hits stand in the log");
    }
}

#[test]
fn an_error_has_the_form_of_the_service_that_is_struck() {
    let server = Server::start();
    let token = server.token(&server.administrator);
    fault(&server, json!({ "effect": { "kind": "http-error", "status": 418, "description": "tea", "code": "BXNIM0999E" } }));
    let containers = clusters(&server, &token).json(418);
    assert_eq!((text(&containers, "/code"), text(&containers, "/description")), ("BXNIM0999E", "tea"));
    let accounts = server.send(Request::get("/coe/v2/accounts").bearer(&token)).json(418);
    assert_eq!((text(&accounts, "/errorCode"), text(&accounts, "/errorMessage")), ("BXNIM0999E", "tea"));
    let groups = server.send(Request::get("/v2/resource_groups").bearer(&token)).json(418);
    assert_eq!(text(&groups, "/errors/0/message"), "tea");
    // What is not of the imitated API is never struck, or faults could not be removed.
    server.send(Request::delete(FAULTS).bearer(&token)).expect(200);
    clusters(&server, &token).expect(200);
}

#[test]
fn a_fault_for_a_cluster_strikes_it_by_name_and_by_id_and_no_other() {
    let server = Server::start();
    let token = server.token(&server.administrator);
    let (mine, other) = (server.create_vpc(&token, "mine"), server.create_vpc(&token, "other"));
    let pool = |cluster: &str| text(&server.cluster(&token, cluster), "/id").to_owned();
    assert_eq!(pool("mine"), mine);
    for cluster in ["mine", &mine] {
        fault(&server, json!({ "target": { "cluster": cluster }, "effect": { "kind": "http-error", "code": "G0002" } }));
        let get = |cluster: &str| server.send(Request::get(format!("/global/v2/getCluster?cluster={cluster}")).bearer(&token));
        let of_path = |cluster: &str| server.send(Request::get(format!("/global/v2/clusters/{cluster}")).bearer(&token));
        for struck in ["mine", &mine] {
            get(struck).expect(500);
            of_path(struck).expect(500);
        }
        get(&other).expect(200);
        of_path("other").expect(200);
        clusters(&server, &token).expect(200);
        server.administrate(Request::delete(FAULTS)).expect(200);
    }
}

#[test]
fn latency_and_a_chance() {
    let server = Server::start();
    let token = server.token(&server.administrator);
    let slow = fault(
        &server,
        json!({ "target": { "operations": ["VpcGetClusters"] }, "effect": { "kind": "latency", "ms": 400 }, "times": 1 }),
    );
    let start = Instant::now();
    let answer = clusters(&server, &token);
    assert!(start.elapsed() >= Duration::from_millis(400));
    assert_eq!((answer.status, answer.header("x-boatyard-fault")), (200, Some(slow.as_str())));

    fault(
        &server,
        json!({ "target": { "operations": ["GetKeys"] }, "effect": { "kind": "http-error", "status": 500 }, "probability": 50 }),
    );
    let struck = (0..200).filter(|_| server.send(Request::get("/identity/keys")).status == 500).count();
    assert!((50..150).contains(&struck), "{struck} of 200 were struck");
}

#[test]
fn a_dropped_connection_before_and_after_the_work() {
    let server = Server::start();
    let token = server.token(&server.administrator);
    for (when, done) in [("before", false), ("after", true)] {
        fault(
            &server,
            json!({ "target": { "operations": ["VpcCreateCluster"] }, "effect": { "kind": "drop", "when": when }, "times": 1 }),
        );
        let order = server.vpc_order(&token, when);
        let lost = server.try_send(&Request::post(CREATE).bearer(&token).json(&order));
        assert!(lost.is_err(), "{when}: {lost:?}");
        let there = server.send(Request::get(format!("/global/v2/getCluster?cluster={when}")).bearer(&token)).status;
        assert_eq!(there, if done { 200 } else { 404 }, "{when}");
    }
}

#[test]
fn a_lost_answer_waits_for_work_that_was_done() {
    let server = Server::start();
    let token = server.token(&server.administrator);
    let id = text(&scenario(&server, json!({ "name": "create-lost" }))[0], "/id").to_owned();
    let mut wrong = server.vpc_order(&token, "lost");
    wrong["workerPool"]["flavor"] = json!("no-such-flavor");
    server.send(Request::post(CREATE).bearer(&token).json(&wrong)).expect(400);
    let answer = create(&server, &token, "lost");
    assert_eq!((answer.expect(504).header("x-boatyard-fault"), answer.content_type()), (Some(id.as_str()), "text/html"));
    assert!(answer.text().contains("504 Gateway Time-out"));
    check::refusal(&create(&server, &token, "lost"), Service::Containers, 409, "E0007").unwrap();
    server.normal(&token, "lost");
}

#[test]
fn a_session_that_ends_refuses_its_tokens_and_no_later_ones() {
    let server = Server::start();
    let user = server.account("long-apply");
    let before = server.login(&user);
    let (access, refresh) = (text(&before, "/access_token"), text(&before, "/refresh_token"));
    scenario(&server, json!({ "name": "session-ends" }));
    let renew = |token: &str| server.grant(Some(BX), &[("grant_type", REFRESH), ("refresh_token", token)]);
    server.advance_clock(14 * 60);
    clusters(&server, access).expect(200);
    let renewed = text(&renew(refresh).json(200), "/refresh_token").to_owned();

    server.advance_clock(2 * 60);
    check::refusal(&clusters(&server, access), Service::Containers, 401, "A0004").unwrap();
    for token in [refresh, &renewed] {
        let refused = renew(token);
        check::refusal(&refused, Service::Iam, 400, "BXNIM0408E").unwrap();
        assert!(refused.header("x-boatyard-fault").is_some());
    }
    let after = server.login(&user);
    clusters(&server, text(&after, "/access_token")).expect(200);
    renew(text(&after, "/refresh_token")).json(200);
}

#[test]
fn an_expired_refresh_token_leaves_access_tokens_alone() {
    let server = Server::start();
    let login = server.login(&server.administrator);
    scenario(&server, json!({ "name": "refresh-token-expired" }));
    let renew = [("grant_type", REFRESH), ("refresh_token", text(&login, "/refresh_token"))];
    check::refusal(&server.grant(Some(BX), &renew), Service::Iam, 400, "BXNIM0408E").unwrap();
    clusters(&server, text(&login, "/access_token")).expect(200);
}

#[test]
fn a_burst_of_429_tells_how_long_to_wait_and_ends() {
    let server = Server::start();
    let token = server.token(&server.administrator);
    scenario(&server, json!({ "name": "too-many-requests", "times": 3 }));
    for _ in 0..3 {
        let answer = clusters(&server, &token);
        assert_eq!((answer.status, answer.header("retry-after")), (429, Some("5")));
        check::containers_form(&answer).unwrap();
    }
    clusters(&server, &token).expect(200);
}

#[test]
fn pages_of_the_network_and_failing_logins() {
    let server = Server::start();
    let token = server.token(&server.administrator);
    scenario(&server, json!({ "name": "bad-gateway" }));
    for _ in 0..3 {
        let answer = clusters(&server, &token);
        assert_eq!((answer.status, answer.content_type()), (502, "text/html"));
        assert!(answer.text().starts_with("<html>"), "{}", answer.text());
    }
    clusters(&server, &token).expect(200);
    server
        .send(Request::post("/_boatyard/scenarios").bearer(&token).json(&json!({ "name": "backend-unavailable" })))
        .expect(201);
    let apikey = [("grant_type", crate::harness::APIKEY), ("apikey", &server.administrator.apikey)];
    for _ in 0..3 {
        assert_eq!(text(&server.grant(None, &apikey).json(500), "/errorCode"), "A0002");
    }
    server.grant(None, &apikey).expect(200);
}

#[test]
fn a_quota_and_a_lost_connection_meet_creates_only() {
    let server = Server::start();
    let token = server.token(&server.administrator);
    scenario(&server, json!({ "name": "quota-exceeded", "cluster": "one-too-many" }));
    check::refusal(&create(&server, &token, "one-too-many"), Service::Containers, 403, "E60b6").unwrap();
    create(&server, &token, "fits").expect(201);
    scenario(&server, json!({ "name": "connection-lost" }));
    let order = server.vpc_order(&token, "unheard");
    assert!(server.try_send(&Request::post(CREATE).bearer(&token).json(&order)).is_err());
    server.normal(&token, "unheard");
}

#[test]
fn a_kubeconfig_comes_with_tokens_that_are_expired() {
    let server = Server::start();
    let login = server.login(&server.administrator);
    let token = text(&login, "/access_token");
    let id = server.create_vpc(token, "stale");
    server.normal(token, &id);
    let fetch = |format: &str| {
        let body = json!({ "cluster": "stale", "format": format });
        let refresh = text(&login, "/refresh_token");
        let request = Request::post("/global/v2/applyRBACAndGetKubeconfig").bearer(token).json(&body);
        server.send(request.header("X-Auth-Refresh-Token", refresh))
    };
    let expiry = |config: &Value| {
        let id_token = text(config, "/users/0/user/auth-provider/config/id-token");
        jwt::claims(id_token)["exp"].as_i64().unwrap()
    };
    let now = jwt::claims(token)["iat"].as_i64().unwrap();
    scenario(&server, json!({ "name": "kubeconfig-expired", "cluster": id, "times": 2 }));
    let yaml = fetch("yaml").expect(200).text();
    let config = kubeconfig(&yaml, "stale", &id);
    assert!(expiry(&config) < now);
    let refresh = text(&config, "/users/0/user/auth-provider/config/refresh-token");
    let renew = [("grant_type", REFRESH), ("refresh_token", refresh)];
    check::refusal(&server.grant(Some(KUBE), &renew), Service::Iam, 400, "BXNIM0408E").unwrap();
    let files = unpacked(&fetch("zip").expect(200).body);
    let yaml = files.iter().find(|(name, _)| name.ends_with(".yaml")).unwrap().1;
    assert!(expiry(&kubeconfig(yaml, "stale", &id)) < now);
    // Used up.
    assert!(expiry(&kubeconfig(&fetch("yaml").text(), "stale", &id)) > now);
}

#[test]
fn every_scenario_starts_is_listed_and_is_cleared() {
    let server = Server::start();
    let token = server.token(&server.administrator);
    let known = server.send(Request::get("/_boatyard/scenarios").bearer(&token)).json(200);
    assert!(array(&known).len() >= 6);
    for known in array(&known) {
        let order = json!({ "name": text(known, "/name"), "for_seconds": 60 });
        let started = server.send(Request::post("/_boatyard/scenarios").bearer(&token).json(&order)).json(201);
        let list = server.send(Request::get(FAULTS).bearer(&token)).json(200);
        assert_eq!(list, started, "the list shows what was started");
        assert!(array(&list).iter().all(|fault| fault["scenario"] == known["name"] && fault["expires_at"].is_string()));
        let removed = server.send(Request::delete(FAULTS).bearer(&token)).json(200);
        assert_eq!(removed["removed"], array(&started).len());
    }
}

#[test]
fn faults_wait_expire_stay_listed_for_an_hour_and_are_removed() {
    let server = Server::start();
    let token = server.token(&server.administrator);
    let order = json!({ "target": { "operations": ["containers/*"] }, "effect": { "kind": "http-error", "status": 500 }, "delay_seconds": 60, "for_seconds": 60 });
    let id = fault(&server, order.clone());
    let state = || listed(&server).iter().find(|f| f["id"] == *id).map(|f| text(f, "/state").to_owned());
    assert_eq!(state().as_deref(), Some("waiting"));
    clusters(&server, &token).expect(200);
    server.advance_clock(61);
    assert_eq!(state().as_deref(), Some("active"));
    clusters(&server, &token).expect(500);
    server.advance_clock(60);
    assert_eq!(state().as_deref(), Some("expired"));
    clusters(&server, &token).expect(200);
    server.advance_clock(3600);
    assert_eq!(state(), None);

    let id = fault(&server, order);
    server.administrate(Request::delete(format!("{FAULTS}/{id}"))).expect(204);
    let gone = server.administrate(Request::delete(format!("{FAULTS}/{id}")));
    assert!(text(&gone.json(404), "/description").contains("boatyard fault ls"));
}

#[test]
fn orders_that_cannot_be_meant_are_refused_with_what_to_do() {
    let server = Server::start();
    let error = json!({ "kind": "http-error", "status": 500 });
    #[rustfmt::skip]
    let rows = [
        ("a misspelt operation", (json!({ "target": { "operations": ["CreateClutser"] }, "effect": error }), "Did you mean CreateCluster")),
        ("an operation of another service", (json!({ "target": { "operations": ["accounts/CreateToken"] }, "effect": error }), "CreateToken")),
        ("no chance", (json!({ "effect": error, "probability": 0 }), "between 1 and 100")),
        ("more than certain", (json!({ "effect": error, "probability": 101 }), "between 1 and 100")),
        ("never", (json!({ "effect": error, "times": 0 }), "at least 1")),
        ("no time", (json!({ "effect": error, "for_seconds": 0 }), "for_seconds")),
        ("a success", (json!({ "effect": { "kind": "http-error", "status": 200 } }), "between 400 and 599")),
        ("nothing to answer", (json!({ "effect": { "kind": "http-error" } }), "'status', a 'code' or both")),
        ("an unknown code", (json!({ "effect": { "kind": "http-error", "code": "E9999" } }), "E0007")),
        ("an unknown effect", (json!({ "effect": { "kind": "meteor" } }), "meteor")),
        ("an unknown member", (json!({ "effect": error, "time": 3 }), "time")),
        ("an operation for a worker", (json!({ "target": { "operations": ["GetKeys"] }, "effect": { "kind": "worker-stuck" } }), "takes no operation")),
        ("endless latency", (json!({ "effect": { "kind": "latency", "ms": 3_600_000 } }), "300 s")),
        ("no JSON", (json!("x"), "not valid")),
    ];
    check::table(rows, |(order, expected)| {
        let answer = server.administrate(Request::post(FAULTS).json(&order));
        check::refusal(&answer, Service::Containers, 400, "E0011")?;
        let said = text(&answer.json(400), "/description").to_owned();
        if said.contains(expected) { Ok(()) } else { Err(said) }
    });
    for (order, expected) in [
        (json!({ "name": "meteor" }), "session-ends"),
        (json!({ "name": "session-ends", "cluster": "c" }), "takes no 'cluster'"),
        (json!({ "name": "create-lost", "times": -1 }), "at least 1"),
    ] {
        let answer = server.administrate(Request::post("/_boatyard/scenarios").json(&order));
        check::refusal(&answer, Service::Containers, 400, "E0011").unwrap();
        assert!(text(&answer.json(400), "/description").contains(expected), "{}", answer.text());
    }
    assert_eq!(listed(&server), Vec::<Value>::new());
}

#[test]
fn only_the_administrator_may() {
    let server = Server::start();
    let token = server.token(&server.account("curious"));
    let requests = [
        Request::get(FAULTS),
        Request::post(FAULTS).json(&json!({ "effect": { "kind": "drop" } })),
        Request::delete(FAULTS),
        Request::delete(format!("{FAULTS}/f-abcd")),
        Request::get("/_boatyard/scenarios"),
        Request::post("/_boatyard/scenarios").json(&json!({ "name": "create-lost" })),
        Request::post("/_boatyard/reset"),
        Request::get("/_boatyard/snapshot"),
        Request::post("/_boatyard/snapshot").bytes("application/x-ndjson", "{}\n"),
    ];
    for request in requests {
        check::refusal(&server.send(request.clone()), Service::Containers, 401, "A0003").unwrap();
        let refused = server.send(request.bearer(&token));
        check::refusal(&refused, Service::Containers, 403, "A0008").unwrap();
        assert!(refused.text().contains("credentials.json"), "{}", refused.text());
    }
}

#[test]
fn the_command_line_orders_lists_and_removes() {
    let server = Server::start();
    let shell = Shell::logged_in(&server, &server.administrator);
    let added = shell.ok([
        "fault",
        "add",
        "--operation",
        "VpcGetClusters",
        "--status",
        "503",
        "--code",
        "G0002",
        "--times",
        "3",
        "--for",
        "10m",
    ]);
    assert!(added.starts_with("OK\n") && added.contains("503 G0002") && added.contains("0/3"), "{added}");
    let token = server.token(&server.administrator);
    clusters(&server, &token).expect(503);
    let list = shell.json(["fault", "ls", "--output", "json"]);
    assert_eq!((&list[0]["hits"], &list[0]["effect"]["code"]), (&json!(1), &json!("G0002")));
    shell.ok(["fault", "rm", text(&list[0], "/id")]);
    let gone = shell.run(["fault", "rm", text(&list[0], "/id")]).failure();
    assert!(gone.contains("boatyard fault ls"), "{gone}");

    for line in [
        "fault add --latency 1500ms --operation GetKeys",
        "fault add --drop --after --cluster mine --pool p --worker w",
        "fault add --effect worker-provision-failed --message broken --cluster mine --probability 50 --delay 1h",
        "fault add --effect version-unsupported --version 1.34",
        "fault scenario create-lost --cluster mine",
    ] {
        shell.ok(line.split(' '));
    }
    let shown = shell.ok(["fault", "ls"]);
    for expected in [
        "latency 1500 ms",
        "drop after the work",
        "cluster mine, pool p, worker w",
        "50%",
        "waiting",
        "version-unsupported 1.34",
        "504 after the work",
        "create-lost",
    ] {
        assert!(shown.contains(expected), "{expected} in\n{shown}");
    }
    let scenarios = shell.ok(["fault", "scenario", "ls"]);
    assert!(scenarios.contains("session-ends") && scenarios.contains("kubeconfig-expired"), "{scenarios}");
    assert!(shell.ok(["fault", "clear"]).contains("5 faults were removed."));
    let wrong = shell.run(["fault", "add", "--operation", "CreateClutser", "--status", "500"]).failure();
    assert!(wrong.contains("Did you mean CreateCluster"), "{wrong}");
    let curious = Shell::logged_in(&server, &server.account("curious")).run(["fault", "ls"]).failure();
    assert!(curious.contains("administrator") && curious.contains("boatyard login --data-dir"), "{curious}");
}

#[test]
fn the_command_line_moves_the_clock() {
    let server = Server::start();
    let shell = Shell::logged_in(&server, &server.administrator);
    assert!(shell.ok(["clock"]).contains("by nothing"));
    let moved = shell.ok(["clock", "advance", "61m"]);
    assert!(moved.starts_with("OK\n") && moved.contains("by 1h 1m"), "{moved}");
    assert_eq!(shell.json(["clock", "advance", "2d", "--output", "json"])["offset_seconds"], 2 * 86_400 + 3660);
    assert_eq!(shell.json(["clock", "--output", "json"])["offset_seconds"], 2 * 86_400 + 3660);
}
