use std::sync::Arc;

use boatyard_core::Clock;
use boatyard_runtime::{Pace, Timings, VirtualRuntime};

use crate::Catalog;
use boatyard_store::Store;
use serde_json::json;

use super::troubles::lucky;
use super::*;

const OPERATIONS: [(&str, &str); 5] = [
    ("accounts", "GetAccount"),
    ("containers", "CreateCluster"),
    ("containers", "GetClusters"),
    ("containers", "VpcCreateCluster"),
    ("iam-token", "CreateToken"),
];

struct Lab {
    fleet: Fleet,
    clock: Clock,
    store: Store,
    _dir: tempfile::TempDir,
}

async fn lab() -> Lab {
    let dir = tempfile::tempdir().unwrap();
    let (store, clock) = (Store::sqlite(dir.path()).await.unwrap(), Clock::default());
    let runtime = Arc::new(VirtualRuntime::new(Pace::Instant, Timings::default()));
    let fleet = Fleet::new(store.clone(), clock.clone(), runtime, Catalog::built_in());
    Lab { fleet, clock, store, _dir: dir }
}

impl Lab {
    async fn add(&self, order: serde_json::Value) -> Fault {
        self.fleet.fault_add(serde_json::from_value(order).unwrap(), &OPERATIONS).await.unwrap()
    }

    async fn troubles(&self) -> Troubles {
        Troubles::load(&self.fleet, &mut self.store.read().await.unwrap(), self.clock.now()).await.unwrap()
    }

    /// What happens to a worker, in a transaction that is committed.
    async fn strike(&self, worker: &WorkerTarget<'_>) -> Option<WorkerTrouble> {
        let mut tx = self.store.write(Domain::Fleet).await.unwrap();
        let struck = self.troubles().await.strike_worker(&mut tx, worker, self.clock.now()).await.unwrap();
        tx.commit().await.unwrap();
        struck
    }
}

fn worker(id: &'static str) -> WorkerTarget<'static> {
    let (cluster_id, cluster_name, pool_id, pool_name) = ("c-id", "mine", "p-id", "default");
    WorkerTarget { cluster_id, cluster_name, pool_id, pool_name, worker_id: id, zone: "us-south-1" }
}

#[test]
fn an_order_is_filled_in_from_what_the_service_answers() {
    let error =
        |status: u16, code: &str| Effect::HttpError(HttpError { status, code: code.to_owned(), ..HttpError::default() });
    #[rustfmt::skip]
    let cases = [
        (error(0, "E0007"), 409, "E0007", "A cluster with the same name already exists."),
        (error(0, "bxnim0408e"), 400, "BXNIM0408E", "Provided refresh token is expired"),
        (error(418, "E0007"), 418, "E0007", "A cluster with the same name"),
        (error(429, ""), 429, "G0429", "Too many requests."),
        (error(502, ""), 502, "", "502 Bad Gateway"),
        (error(503, "G0002"), 503, "G0002", "An internal error occurred"),
        (error(500, ""), 500, "G0002", "An internal error occurred"),
        (error(418, ""), 418, "G0002", "This error was ordered"),
        (error(418, "E1234"), 418, "E1234", "This error was ordered"),
    ];
    for (effect, status, code, description) in cases {
        let shown = format!("{effect:?}");
        let order = FaultOrder { effect, ..serde_json::from_value(json!({ "effect": { "kind": "worker-stuck" } })).unwrap() };
        let Effect::HttpError(error) = order.check(&OPERATIONS).unwrap().effect else { panic!("{shown}") };
        assert_eq!((error.status, error.code.as_str()), (status, code), "{shown}");
        assert!(error.description.starts_with(description), "{shown}: {}", error.description);
        assert_eq!(error.retry_after.is_some(), status == 429, "{shown}");
    }
}

#[test]
fn operations_are_found_in_any_spelling_and_named_in_full() {
    let cases = [
        ("GetClusters", Ok("containers/GetClusters")),
        ("getclusters", Ok("containers/GetClusters")),
        ("Containers/GetClusters", Ok("containers/GetClusters")),
        ("containers/*", Ok("containers/*")),
        ("accounts/GetClusters", Err("GetClusters")),
        ("VpcCreateClutser", Err("VpcCreateCluster")),
        ("CreatToken", Err("CreateToken")),
        ("*", Err("")),
        ("", Err("")),
    ];
    for (given, expected) in cases {
        let order = json!({ "target": { "operations": [given] }, "effect": { "kind": "drop" } });
        let checked = serde_json::from_value::<FaultOrder>(order).unwrap().check(&OPERATIONS);
        match (checked, expected) {
            (Ok(order), Ok(expected)) => assert_eq!(order.target.operations, [expected]),
            (Err(error), Err(nearest)) => assert!(error.to_string().contains(nearest), "{given}: {error}"),
            (checked, _) => panic!("{given}: {checked:?}"),
        }
    }
}

#[test]
fn every_scenario_is_valid_and_takes_only_parameters_that_there_are() {
    let operations = [("containers", "CreateCluster"), ("containers", "VpcCreateCluster"), ("iam-token", "CreateToken")];
    let parameters = ["cluster", "pool", "worker", "times", "delay_seconds"];
    for scenario in scenarios() {
        assert!(scenario.takes.iter().all(|name| parameters.contains(&name.as_str())), "{}", scenario.name);
        let takes = |name: &str| scenario.takes.iter().any(|taken| taken == name);
        let text = |name: &str| takes(name).then(|| "x".to_owned());
        let order = ScenarioOrder {
            name: scenario.name.clone(),
            cluster: text("cluster"),
            pool: text("pool"),
            worker: text("worker"),
            times: takes("times").then_some(7),
            delay_seconds: takes("delay_seconds").then_some(5),
            for_seconds: Some(60),
        };
        let (_, orders) = scenarios::orders(&order).unwrap();
        assert!(!orders.is_empty());
        for order in orders {
            let order = order.check(&operations).unwrap_or_else(|error| panic!("{}: {error}", scenario.name));
            assert_eq!((order.for_seconds, order.delay_seconds), (Some(60), 5), "{}", scenario.name);
            assert_eq!(order.times, takes("times").then_some(7), "{}", scenario.name);
        }
    }
}

#[tokio::test]
async fn a_failing_worker_is_chosen_by_cluster_pool_and_worker_and_counted() {
    let lab = lab().await;
    assert!(lab.troubles().await.is_empty());
    let targets = [
        json!({ "cluster": "mine", "pool": "default" }),
        json!({ "cluster": "c-id", "pool": "p-id", "worker": "w1" }),
        json!({}),
    ];
    for target in targets {
        lab.add(json!({ "target": target, "effect": { "kind": "worker-provision-failed" }, "times": 1 })).await;
        assert!(!lab.troubles().await.is_empty());
        let Some(WorkerTrouble::ProvisionFailed(message)) = lab.strike(&worker("w1")).await else { panic!("{target}") };
        assert_eq!(message, "Infrastructure instance status is 'failed': Can't start instance because provisioning failed.");
        assert_eq!(lab.strike(&worker("w1")).await, None, "{target} is used up");
    }
    for target in [json!({ "cluster": "other" }), json!({ "pool": "other" }), json!({ "worker": "w2" })] {
        lab.add(json!({ "target": target, "effect": { "kind": "worker-critical" } })).await;
    }
    assert_eq!(lab.strike(&worker("w1")).await, None);
    assert_eq!(lab.strike(&worker("w2")).await, Some(WorkerTrouble::Critical("Not Ready".to_owned())));
    lab.add(json!({ "effect": { "kind": "worker-provision-failed", "message": "gone" } })).await;
    assert_eq!(lab.strike(&worker("w1")).await, Some(WorkerTrouble::ProvisionFailed("gone".to_owned())));
}

#[tokio::test]
async fn a_classic_worker_fails_with_the_words_of_classic() {
    let lab = lab().await;
    lab.add(json!({ "effect": { "kind": "worker-provision-failed" } })).await;
    let Some(WorkerTrouble::ProvisionFailed(message)) = lab.strike(&WorkerTarget { zone: "dal10", ..worker("w1") }).await
    else {
        panic!("it is not struck")
    };
    assert!(message.contains("router 'bcr01a.dal10'") && message.contains("guests: 'w1'"), "{message}");
}

#[tokio::test]
async fn a_hit_that_is_rolled_back_was_none() {
    let lab = lab().await;
    lab.add(json!({ "effect": { "kind": "worker-critical" }, "times": 1 })).await;
    let troubles = lab.troubles().await;
    let mut tx = lab.store.write(Domain::Fleet).await.unwrap();
    assert!(troubles.strike_ready_worker(&mut tx, &worker("w1"), lab.clock.now()).await.unwrap().is_some());
    drop(tx);
    assert!(lab.strike(&worker("w1")).await.is_some());
    assert!(lab.strike(&worker("w1")).await.is_none());
}

#[tokio::test]
async fn stuck_workers_are_counted_once_and_held_until_the_fault_goes() {
    let lab = lab().await;
    let fault = lab.add(json!({ "effect": { "kind": "worker-stuck" }, "times": 2 })).await;
    for _ in 0..3 {
        for (id, held) in [("w1", true), ("w2", true), ("w3", false)] {
            assert_eq!(matches!(lab.strike(&worker(id)).await, Some(WorkerTrouble::Stuck(_))), held, "{id}");
        }
    }
    let listed = lab.fleet.faults_list().await.unwrap();
    assert_eq!((listed[0].hits, listed[0].state(lab.clock.now())), (2, FaultState::Active));
    lab.fleet.fault_remove(&fault.id).await.unwrap();
    assert_eq!(lab.strike(&worker("w1")).await, None);
}

#[tokio::test]
async fn time_limits_are_of_the_clock() {
    let lab = lab().await;
    lab.add(json!({ "effect": { "kind": "master-deploy-failed", "message": "no" }, "delay_seconds": 60, "for_seconds": 60 }))
        .await;
    lab.add(json!({ "effect": { "kind": "version-unsupported", "version": "1.34" }, "for_seconds": 90 })).await;
    let mut seen = Vec::new();
    for _ in 0..4 {
        let (troubles, now) = (lab.troubles().await, lab.clock.now());
        let mut tx = lab.store.write(Domain::Fleet).await.unwrap();
        let struck = troubles.strike_master(&mut tx, "c-id", "mine", now).await.unwrap();
        tx.commit().await.unwrap();
        assert!(troubles.next_change().is_none_or(|at| at > now));
        seen.push((struck, troubles.ended_versions().contains("1.34"), troubles.next_change().is_some()));
        lab.clock.advance(SignedDuration::from_secs(61));
    }
    let no = Some("no".to_owned());
    assert_eq!(
        seen,
        [(None, true, true), (no, true, true), (None, false, false), (None, false, false)],
        "before, during, and after"
    );
}

#[tokio::test]
async fn a_chance_falls_alike_at_every_step_and_on_about_as_many_as_it_says() {
    let lab = lab().await;
    let fault = lab.add(json!({ "effect": { "kind": "worker-critical" }, "probability": 30 })).await;
    let struck: Vec<_> = (0..1000).map(|n| lucky(&fault, &format!("worker-{n}"))).collect();
    assert_eq!(struck, (0..1000).map(|n| lucky(&fault, &format!("worker-{n}"))).collect::<Vec<_>>());
    let count = struck.iter().filter(|struck| **struck).count();
    assert!((200..400).contains(&count), "{count} of 1000");
}
