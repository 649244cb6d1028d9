//! Faults on the lifecycle of clusters, as clients that wait for them see it.

use serde_json::{Value, json};

use crate::harness::http::{array, text};
use crate::harness::{Request, Server, wait};

#[track_caller]
fn fault(server: &Server, order: Value) -> String {
    text(&server.administrate(Request::post("/_boatyard/faults").json(&order)).json(201), "/id").to_owned()
}

#[track_caller]
fn workers(server: &Server, token: &str, cluster: &str) -> Vec<Value> {
    let list = server.send(Request::get(format!("/global/v2/vpc/getWorkers?cluster={cluster}")).bearer(token)).json(200);
    array(&list).clone()
}

/// Waits until a worker of the cluster is in this state, and returns it.
#[track_caller]
fn worker_in(server: &Server, token: &str, cluster: &str, pointer: &str, state: &str) -> Value {
    wait::until(&format!("a worker with {pointer} {state}"), wait::PATIENCE, || {
        let all = workers(server, token, cluster);
        let found = all.iter().find(|worker| worker.pointer(pointer).is_some_and(|value| value == state));
        found.cloned().ok_or_else(|| format!("{all:#?}"))
    })
}

#[test]
fn a_worker_that_fails_to_provision_says_so_in_the_words_of_the_service() {
    let server = Server::start();
    let token = server.token(&server.administrator);
    fault(&server, json!({ "target": { "cluster": "unlucky" }, "effect": { "kind": "worker-provision-failed" }, "times": 1 }));
    server.create_vpc(&token, "lucky");
    server.normal(&token, "lucky");
    server.create_vpc(&token, "unlucky");
    let worker = worker_in(&server, &token, "unlucky", "/lifecycle/actualState", "provision_failed");
    assert!(text(&worker, "/lifecycle/message").starts_with("Infrastructure instance status is 'failed'"), "{worker:#}");
    assert_ne!(server.cluster(&token, "unlucky")["state"], "normal");
}

#[test]
fn a_stuck_worker_goes_on_when_its_fault_is_removed() {
    let server = Server::start();
    let token = server.token(&server.administrator);
    let id = fault(&server, json!({ "effect": { "kind": "worker-stuck" } }));
    server.create_vpc(&token, "patient");
    worker_in(&server, &token, "patient", "/lifecycle/actualState", "provision_pending");
    server.advance_clock(24 * 3600);
    // The old token is past its hour.
    let token = server.token(&server.administrator);
    worker_in(&server, &token, "patient", "/lifecycle/actualState", "provision_pending");
    server.administrate(Request::delete(format!("/_boatyard/faults/{id}"))).expect(204);
    server.normal(&token, "patient");
}

#[test]
fn a_stuck_worker_goes_on_when_its_fault_expires() {
    let server = Server::start();
    let token = server.token(&server.administrator);
    fault(&server, json!({ "effect": { "kind": "worker-stuck" }, "for_seconds": 3600 }));
    server.create_vpc(&token, "patient");
    worker_in(&server, &token, "patient", "/lifecycle/actualState", "provision_pending");
    server.advance_clock(3601);
    let token = server.token(&server.administrator);
    server.normal(&token, "patient");
}

#[test]
fn a_worker_that_is_ready_turns_critical() {
    let server = Server::start();
    let token = server.token(&server.administrator);
    server.create_vpc(&token, "healthy");
    server.normal(&token, "healthy");
    let worker = text(&workers(&server, &token, "healthy")[0], "/id").to_owned();
    fault(
        &server,
        json!({ "target": { "worker": worker }, "effect": { "kind": "worker-critical", "message": "Disk pressure" }, "times": 1 }),
    );
    let struck = worker_in(&server, &token, "healthy", "/health/state", "critical");
    assert_eq!((text(&struck, "/id"), text(&struck, "/health/message")), (worker.as_str(), "Disk pressure"));
}

#[test]
fn a_master_that_fails_to_deploy() {
    let server = Server::start();
    let token = server.token(&server.administrator);
    fault(&server, json!({ "target": { "cluster": "headless" }, "effect": { "kind": "master-deploy-failed" }, "times": 1 }));
    server.create_vpc(&token, "headless");
    wait::until("the master to fail", wait::PATIENCE, || {
        let cluster = server.cluster(&token, "headless");
        let state = cluster.pointer("/lifecycle/masterState").cloned().unwrap_or_default();
        if state == "deploy_failed" { Ok(()) } else { Err(format!("{cluster:#}")) }
    });
    server.send(Request::delete("/global/v1/clusters/headless").bearer(&token)).expect(204);
    server.gone(&token, "headless");
}

#[test]
fn a_version_whose_support_has_ended_cannot_be_asked_for() {
    let server = Server::start();
    let token = server.token(&server.administrator);
    let id = server.create_vpc(&token, "first");
    let version = text(&server.normal(&token, &id), "/masterKubeVersion").to_owned();
    let minor: Vec<_> = version.split('.').take(2).collect();
    fault(&server, json!({ "effect": { "kind": "version-unsupported", "version": minor.join(".") } }));
    let mut order = server.vpc_order(&token, "second");
    order["kubeVersion"] = json!(minor.join("."));
    server.send(Request::post("/global/v2/vpc/createCluster").bearer(&token).json(&order)).expect(400);
}
