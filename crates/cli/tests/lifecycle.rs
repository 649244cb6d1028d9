//! Waiting for workers and masters that do not get there, as a script sees it.

mod service;

use serde_json::{Value, json};
use service::{Service, cluster};

fn worker(id: &str, state: &str, health: &str, message: &str) -> Value {
    json!({"id": id, "poolID": "p1", "poolName": "default", "location": "z",
           "lifecycle": {"actualState": state, "message": message}, "health": {"state": health, "message": message}})
}

const W1: &str = "kube-c1-mine-default-00000001";
const LIST: &str = "GET /global/v2/getWorkers?cluster=mine&showDeleted=true";
const POOL: &str = "GET /global/v2/getWorkerPool?cluster=mine&workerpool=default";

fn pool(size: i64) -> (u16, Value) {
    (200, json!({"id": "p1", "poolName": "default", "workerCount": size, "zones": [{"id": "z", "workerCount": size}]}))
}

#[test]
fn a_worker_that_cannot_be_provisioned_ends_the_wait_with_its_message() {
    for (state, health) in [("provision_failed", "unknown"), ("deployed", "critical")] {
        let service = Service::start(move |line, n| match line {
            "POST /global/v2/resizeWorkerPool" => (202, json!(null)),
            POOL => pool(2),
            LIST if n == 0 => (200, json!([worker(W1, "provisioning", "pending", "")])),
            LIST => (200, json!([worker(W1, state, health, "Not enough capacity in the zone")])),
            _ => (200, cluster("warning")),
        });
        service.login();
        let (code, out, err) = service.run("worker-pool resize -c mine -p default --size-per-zone 2 --wait");
        assert_eq!((code, out.as_str()), (1, "OK\n"), "{err}");
        let shown = if state == "deployed" { health } else { state };
        let expected = format!("FAILED\nThe worker {W1} is {shown}: Not enough capacity in the zone\n");
        assert!(err.contains("mine-default-00000001: provisioning\n") && err.contains(&expected), "{err}");
        assert!(err.contains(&format!("boatyard worker get -c mine -w {W1}")), "it says where to look: {err}");
    }
}

#[test]
fn a_worker_that_is_removed_meanwhile_is_not_waited_for() {
    let service = Service::start(|line, _| match line {
        "GET /global/v2/getWorker?cluster=mine&worker=kube-c1-mine-default-00000001" => {
            (200, worker(W1, "deployed", "normal", "Ready"))
        }
        "PUT /global/v1/clusters/mine/workers/kube-c1-mine-default-00000001" => (204, json!(null)),
        LIST => (200, json!([])),
        _ => (200, cluster("normal")),
    });
    service.login();
    let (code, _, err) = service.run(&format!("worker reload -c mine -w {W1} -f --wait"));
    assert_eq!(code, 1);
    assert!(err.contains(&format!("The worker {W1} was removed while it was waited for.")), "{err}");
}

#[test]
fn a_master_whose_update_is_canceled_ends_the_wait_with_the_reason() {
    let service = Service::start(|line, n| {
        let (state, status) = match n {
            0 | 1 => ("updating", "Version update in progress"),
            _ => ("update_canceled", "Version update canceled. CAE012: a webhook is in the way"),
        };
        match line {
            "POST /global/v2/updateMaster" => (204, json!(null)),
            _ => {
                let lifecycle = json!({"masterState": state, "masterStatus": status});
                (
                    200,
                    json!({"id": "c1", "name": "mine", "state": "normal", "masterKubeVersion": "1.35.1_1", "lifecycle": lifecycle}),
                )
            }
        }
    });
    service.login();
    let (code, _, err) = service.run("cluster master update -c mine --version 1.36 -f --wait");
    assert_eq!(code, 1, "{err}");
    assert!(err.contains("The master of the cluster mine stopped: update_canceled"), "{err}");
    assert!(err.contains("CAE012: a webhook is in the way"), "{err}");
}

#[test]
fn a_wait_outlives_a_server_that_is_away_and_ends_with_one_that_refuses() {
    let service = Service::start(|line, n| match line {
        "POST /global/v2/rebalanceWorkerPool" => (204, json!(null)),
        POOL => pool(1),
        LIST if n == 1 => (503, json!({"description": "restarting"})),
        LIST if n < 3 => (200, json!([worker(W1, "deploying", "pending", "")])),
        LIST => (200, json!([worker(W1, "deployed", "normal", "Ready")])),
        _ => (200, cluster("normal")),
    });
    service.login();
    let (code, out, err) = service.run("worker-pool rebalance -c mine -p default --wait");
    assert_eq!((code, out.as_str()), (0, "OK\nWorker pool default was rebalanced.\n"), "{err}");
    assert!(err.contains("the server does not answer, trying again"), "{err}");

    let service = Service::start(|line, _| match line {
        "POST /global/v2/rebalanceWorkerPool" => (204, json!(null)),
        POOL => pool(1),
        LIST => (403, json!({"code": "A0008", "description": "This action requires the Viewer role"})),
        _ => (200, cluster("normal")),
    });
    service.login();
    let (code, _, err) = service.run("worker-pool rebalance -c mine -p default --wait");
    assert_eq!(code, 1);
    assert!(err.contains("requires the Viewer role (A0008, HTTP 403)"), "{err}");
}

#[test]
fn what_was_accepted_before_a_failure_is_told() {
    let service = Service::start(|line, _| match line {
        "PUT /global/v1/clusters/mine/workers/b" => (409, json!({"code": "E0f19", "description": "It is busy"})),
        "PUT /global/v1/clusters/mine/workers/a" => (204, json!(null)),
        _ => (200, worker("a", "deployed", "normal", "Ready")),
    });
    service.login();
    let (code, out, err) = service.run("worker reboot -c mine -w b -w a -f");
    assert_eq!((code, out.as_str()), (1, ""));
    assert!(err.contains("Accepted before the failure: a\nFAILED\nb: It is busy (E0f19, HTTP 409)"), "{err}");
}
