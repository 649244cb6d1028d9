//! Clusters from create to gone, on a store of their own and a clock that only the test moves.

// Clippy counts only `#[test]` functions as tests, and what helps them is no less a test here.
#![allow(clippy::unwrap_used)]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use boatyard_fleet::{ClassicClusterRequest, ClusterTarget, Error, VpcClusterRequest, WorkerAction, WorkerFilter};
use boatyard_iam::Identity;
use boatyard_runtime::{
    ApiServer, ClusterRuntime, Health, MasterOrder, MasterStage, MasterWork, Observation, Pace, Progress, RemoveOrder,
    RemoveStage, WorkerOrder, WorkerStage, WorkerWork,
};
use boatyard_store::{Domain, clusters, workers};
use jiff::{SignedDuration, Timestamp};

use crate::support::{caller, group, identity, of, open, runtime, yard, yard_on};

fn classic_request(name: &str) -> ClassicClusterRequest {
    ClassicClusterRequest {
        name: name.to_owned(),
        datacenter: "dal10".to_owned(),
        machine_type: "b3c.4x16".to_owned(),
        ..ClassicClusterRequest::default()
    }
}

#[tokio::test]
async fn a_cluster_passes_through_the_documented_states_in_order() {
    let yard = yard(Pace::Fast).await;
    let id = yard.create("passes").await;
    let mut seen: Vec<(String, String, bool)> = Vec::new();
    for _ in 0..60 {
        let cluster = yard.fleet.cluster(&caller("a"), &id, None).await.unwrap();
        let now = (cluster.state.clone(), cluster.status.master_status.clone(), !cluster.status.ingress_hostname.is_empty());
        if seen.last() != Some(&now) {
            seen.push(now);
        }
        yard.after(100).await;
    }
    let seen: Vec<_> = seen.iter().map(|(state, master, ingress)| (state.as_str(), master.as_str(), *ingress)).collect();
    assert_eq!(
        seen,
        [
            ("requested", "Deploy requested", false),
            ("deploying", "Deploy in progress", false),
            ("pending", "Ready", false),
            ("warning", "Ready", true),
            ("normal", "Ready", true),
        ]
    );
}

#[tokio::test]
async fn at_instant_pace_a_cluster_is_complete_when_it_is_first_seen() {
    let yard = yard(Pace::Instant).await;
    let id = yard.create("instant").await;
    assert_eq!(yard.state(&id).await.as_deref(), Some("normal"));
    let classic = yard.fleet.classic_cluster_create(&caller("a"), &group("a"), &classic_request("classic")).await.unwrap();
    assert_eq!(yard.state(&classic).await.as_deref(), Some("normal"));
    yard.fleet.cluster_delete(&caller("a"), &id, None).await.unwrap();
    assert_eq!(yard.state(&id).await, None);
}

#[tokio::test]
async fn a_cluster_survives_a_restart_at_any_state_and_converges() {
    for interrupted_after in [0, 600, 1600, 2600, 3200] {
        let mut yard = yard(Pace::Fast).await;
        let id = yard.create("survives").await;
        yard.after(interrupted_after).await;
        yard.fleet = open(&yard.store, &yard.clock, runtime(Pace::Fast)).await;
        yard.after(20_000).await;
        yard.after(20_000).await;
        assert_eq!(yard.state(&id).await.as_deref(), Some("normal"), "interrupted after {interrupted_after} ms");
        assert_eq!(yard.fleet.cluster(&caller("a"), &id, None).await.unwrap().worker_count, 2);
    }
}

#[tokio::test]
async fn a_jump_of_the_clock_takes_a_cluster_as_far_as_the_time_would_have() {
    let yard = yard(Pace::Real).await;
    let id = yard.create("jumps").await;
    yard.after(15 * 60 * 1000).await;
    assert_eq!(yard.state(&id).await.as_deref(), Some("pending"), "master ready, workers on their way");
    yard.after(15 * 60 * 1000).await;
    assert_eq!(yard.state(&id).await.as_deref(), Some("normal"));
    let id = yard.create("jumps-at-once").await;
    yard.after(30 * 60 * 1000).await;
    assert_eq!(yard.state(&id).await.as_deref(), Some("normal"));
}

#[tokio::test]
async fn a_removed_cluster_is_seen_deleting_and_then_not_at_all_and_only_then_is_its_name_free() {
    let yard = yard(Pace::Fast).await;
    let id = yard.create("goes").await;
    yard.after(20_000).await;
    yard.after(20_000).await;
    let before = yard.fleet.subnets(&caller("a"), None, Some("us-south-1")).await.unwrap()[0].free;
    yard.fleet.cluster_delete(&caller("a"), "goes", None).await.unwrap();
    assert_eq!(yard.state(&id).await.as_deref(), Some("deleting"));
    let again = yard.vpc_request("goes").await;
    let refused = yard.fleet.vpc_cluster_create(&caller("a"), &group("a"), &again).await;
    assert!(matches!(refused, Err(Error::ClusterNameTaken)));
    // Asking again changes nothing and is no mistake.
    yard.fleet.cluster_delete(&caller("a"), "goes", None).await.unwrap();
    yard.after(5_000).await;
    assert_eq!(yard.state(&id).await, None);
    assert!(matches!(yard.fleet.cluster_delete(&caller("a"), "goes", None).await, Err(Error::ClusterNotFound)));
    assert_eq!(yard.fleet.subnets(&caller("a"), None, Some("us-south-1")).await.unwrap()[0].free, before + 2);
    yard.create("goes").await;
}

#[tokio::test]
async fn removing_a_cluster_before_its_master_is_ready_aborts_the_deployment() {
    let yard = yard(Pace::Fast).await;
    let id = yard.create("aborted").await;
    yard.fleet.cluster_delete(&caller("a"), &id, None).await.unwrap();
    assert_eq!(yard.state(&id).await.as_deref(), Some("aborted"));
    yard.after(5_000).await;
    assert_eq!(yard.state(&id).await, None);
}

#[tokio::test]
async fn a_cluster_of_another_account_is_as_if_it_did_not_exist() {
    let yard = yard(Pace::Instant).await;
    let id = yard.create("mine").await;
    let other = caller("b");
    for name in [id.as_str(), "mine"] {
        assert!(matches!(yard.fleet.cluster(&other, name, None).await, Err(Error::ClusterNotFound)));
        assert!(matches!(yard.fleet.cluster_delete(&other, name, None).await, Err(Error::ClusterNotFound)));
    }
    assert!(yard.fleet.clusters(&other).await.unwrap().is_empty());
    let unscoped = of(Identity { account_id: None, ..identity("a") });
    assert!(matches!(yard.fleet.cluster(&unscoped, &id, None).await, Err(Error::ClusterNotFound)));
    let theirs = yard.vpc_request("theirs").await;
    let refused = yard.fleet.vpc_cluster_create(&other, &group("b"), &theirs).await;
    assert!(matches!(refused, Err(Error::VpcNotFound(_))), "a VPC of another account");
    assert_eq!(yard.state(&id).await.as_deref(), Some("normal"));
}

#[tokio::test]
async fn a_resource_group_narrows_the_search_and_names_resolve_by_id_first() {
    let yard = yard(Pace::Instant).await;
    let first = yard.create("first").await;
    assert!(yard.fleet.cluster(&caller("a"), "first", Some("Default")).await.is_ok());
    assert!(yard.fleet.cluster(&caller("a"), &first, Some(&group("a").id)).await.is_ok());
    assert!(matches!(yard.fleet.cluster(&caller("a"), "first", Some("other")).await, Err(Error::ClusterNotFound)));
    if first.starts_with(|c: char| c.is_ascii_alphabetic()) {
        yard.create(&first).await;
        assert_eq!(yard.fleet.cluster(&caller("a"), &first, None).await.unwrap().name, "first");
    }
}

#[tokio::test]
async fn a_vpc_request_is_refused_with_the_reason() {
    /// What spoils the request, and which refusal that has to bring.
    type Case = (&'static str, fn(&mut VpcClusterRequest), fn(&Error) -> bool);
    let yard = yard(Pace::Instant).await;
    let cases: [Case; 22] = [
        ("no name", |r| r.name.clear(), |e| matches!(e, Error::Missing(_))),
        ("bad name", |r| r.name = "9lives".to_owned(), |e| matches!(e, Error::ClusterName(_))),
        ("classic", |r| r.provider = Some("classic".to_owned()), |e| matches!(e, Error::ProviderNotPermitted)),
        ("vpc-classic", |r| r.provider = Some("vpc-classic".to_owned()), |e| matches!(e, Error::Invalid(_))),
        ("version", |r| r.version = Some("1.99".to_owned()), |e| matches!(e, Error::VersionNotFound { .. })),
        ("no flavor", |r| r.pool.flavor.clear(), |e| matches!(e, Error::Missing(_))),
        ("flavor", |r| r.pool.flavor = "b3c.4x16".to_owned(), |e| matches!(e, Error::FlavorNotInZone { .. })),
        ("zone", |r| r.pool.zones[0].0 = "us-south-9".to_owned(), |e| matches!(e, Error::ZoneNotFound { .. })),
        ("classic zone", |r| r.pool.zones[0].0 = "dal10".to_owned(), |e| matches!(e, Error::ZoneNotFound { .. })),
        (
            "subnet of another zone",
            |r| r.pool.zones[0].0 = "us-south-2".to_owned(),
            |e| matches!(e, Error::SubnetElsewhere { .. }),
        ),
        ("no subnet", |r| r.pool.zones[0].1.clear(), |e| matches!(e, Error::Missing(_))),
        ("subnet", |r| r.pool.zones[0].1 = "0717-x".to_owned(), |e| matches!(e, Error::SubnetNotFound { .. })),
        ("no vpc", |r| r.pool.vpc_id.clear(), |e| matches!(e, Error::Missing(_))),
        ("vpc", |r| r.pool.vpc_id = "r006-x".to_owned(), |e| matches!(e, Error::VpcNotFound(_))),
        ("too many workers", |r| r.pool.size_per_zone = Some(501), |e| matches!(e, Error::Invalid(_))),
        (
            "more than the subnet has",
            |r| r.pool.size_per_zone = Some(252),
            |e| matches!(e, Error::AddressesExhausted { free: 251, .. }),
        ),
        ("pods", |r| r.pod_subnet = Some("10.0.0.0/8".to_owned()), |e| matches!(e, Error::Range { .. })),
        (
            "flavor without zones",
            |r| (r.pool.zones, r.pool.flavor) = (vec![], "nonsense".to_owned()),
            |e| matches!(e, Error::Invalid(_)),
        ),
        (
            "encrypted flavor",
            |r| r.pool.flavor = "bx2.4x16.encrypted".to_owned(),
            |e| matches!(e, Error::FlavorNotInZone { .. }),
        ),
        ("operating system", |r| r.pool.operating_system = Some("WINDOWS".to_owned()), |e| matches!(e, Error::Invalid(_))),
        ("security groups", |r| r.security_group_ids = vec![String::new(); 6], |e| matches!(e, Error::Invalid(_))),
        ("openshift without storage", |r| r.version = Some("4.21_openshift".to_owned()), |e| matches!(e, Error::Missing(_))),
    ];
    for (case, spoil, expected) in cases {
        let mut request = yard.vpc_request("refused").await;
        spoil(&mut request);
        let error = yard.fleet.vpc_cluster_create(&caller("a"), &group("a"), &request).await.expect_err(case);
        assert!(expected(&error), "{case}: {error:?}");
    }
    assert!(yard.fleet.clusters(&caller("a")).await.unwrap().is_empty(), "a refused request leaves nothing behind");
}

#[tokio::test]
async fn a_classic_request_is_refused_with_the_reason() {
    let yard = yard(Pace::Instant).await;
    let vlans = yard.fleet.vlans(&caller("a"), "dal10").await.unwrap();
    let other = yard.fleet.vlans(&caller("a"), "dal12").await.unwrap();
    let id = |vlans: &[boatyard_fleet::Vlan], kind: &str| vlans.iter().find(|v| v.kind == kind).map(|v| v.id.clone());
    let create = async |spoil: &dyn Fn(&mut ClassicClusterRequest)| {
        let mut request = classic_request("refused");
        spoil(&mut request);
        yard.fleet.classic_cluster_create(&caller("a"), &group("a"), &request).await
    };
    assert!(matches!(create(&|r| r.datacenter.clear()).await, Err(Error::ClassicIncomplete(_))));
    assert!(matches!(create(&|r| r.machine_type.clear()).await, Err(Error::ClassicIncomplete(_))));
    assert!(matches!(create(&|r| r.datacenter = "us-south-1".to_owned()).await, Err(Error::ZoneNotFound { .. })));
    assert!(matches!(create(&|r| r.machine_type = "bx2.4x16".to_owned()).await, Err(Error::FlavorNotInZone { .. })));
    assert!(matches!(create(&|r| r.private_vlan = id(&vlans, "private")).await, Err(Error::ClassicIncomplete(_))));
    assert!(matches!(create(&|r| r.public_vlan = id(&vlans, "public")).await, Err(Error::ClassicIncomplete(_))));
    let elsewhere = create(&|r| {
        r.private_vlan = id(&vlans, "private");
        r.public_vlan = id(&other, "public");
    })
    .await;
    assert!(matches!(elsewhere, Err(Error::VlanNotFound { kind: "public", .. })));
    let private_openshift = create(&|r| {
        r.version = Some("4.21_openshift".to_owned());
        r.private_endpoint = Some(true);
    })
    .await;
    assert!(matches!(private_openshift, Err(Error::Invalid(_))));
    let private_only = create(&|r| {
        r.private_vlan = id(&vlans, "private");
        r.private_endpoint = Some(true);
    })
    .await;
    assert!(private_only.is_ok());
}

#[tokio::test]
async fn clusters_of_one_vpc_get_pod_subnets_and_addresses_of_their_own() {
    let yard = yard(Pace::Instant).await;
    for name in ["one", "two", "three"] {
        yard.create(name).await;
    }
    let clusters = yard.fleet.clusters(&caller("a")).await.unwrap();
    let pods: Vec<_> = clusters.iter().map(|c| c.spec.pod_subnet.as_str()).collect();
    assert_eq!(pods, ["172.17.0.0/18", "172.17.64.0/18", "172.17.128.0/18"]);
    let subnet = &yard.fleet.subnets(&caller("a"), None, Some("us-south-1")).await.unwrap()[0];
    assert_eq!(subnet.free, 251 - 6);
}

#[tokio::test]
async fn clusters_whose_names_begin_alike_have_ingress_subdomains_of_their_own() {
    let yard = yard(Pace::Instant).await;
    let mut seen = std::collections::BTreeSet::new();
    for name in ["team-payments-production-eu1", "team-payments-production-eu2", "my.c", "my-c"] {
        let id = yard.create(name).await;
        seen.insert(yard.fleet.cluster(&caller("a"), &id, None).await.unwrap().status.ingress_hostname);
    }
    assert_eq!(seen.len(), 4, "{seen:?}");
}

/// Fails as often as it is told, then is done at once.
#[derive(Debug, Default)]
struct Unreliable {
    failures_left: AtomicUsize,
    /// What becomes of a master, of a worker, and of the removal of a cluster, if they do not get done.
    master: Option<MasterWork>,
    worker: Option<WorkerWork>,
    removal: AtomicBool,
    unwell: AtomicBool,
}

const WHY: &str = "There is no machine left. Add one.";

#[async_trait::async_trait]
impl ClusterRuntime for Unreliable {
    async fn master(&self, order: &MasterOrder<'_>, now: Timestamp) -> Result<Progress<MasterStage>, boatyard_runtime::Error> {
        let left = self.failures_left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1));
        let stage = if self.master == Some(order.work) { MasterStage::Failed(WHY.to_owned()) } else { MasterStage::Ready };
        match left {
            Ok(_) => Err(boatyard_runtime::Error("no capacity".to_owned())),
            Err(_) => Ok(Progress { stage, since: now, next: None }),
        }
    }

    async fn worker(&self, order: &WorkerOrder<'_>, now: Timestamp) -> Result<Progress<WorkerStage>, boatyard_runtime::Error> {
        assert!(!order.machine.address.is_empty() && order.machine.flavor == "bx2.4x16", "{order:?}");
        let stage = if self.worker == Some(order.work) { WorkerStage::Failed(WHY.to_owned()) } else { WorkerStage::Done };
        Ok(Progress { stage, since: now, next: None })
    }

    async fn remove(&self, _: &RemoveOrder<'_>, now: Timestamp) -> Result<Progress<RemoveStage>, boatyard_runtime::Error> {
        let again = now + SignedDuration::from_secs(60);
        Ok(match self.removal.swap(false, Ordering::Relaxed) {
            true => Progress { stage: RemoveStage::Failed(WHY.to_owned()), since: now, next: Some(again) },
            false => Progress { stage: RemoveStage::Gone, since: now, next: None },
        })
    }

    async fn observe(&self, _: &MasterOrder<'_>, now: Timestamp) -> Result<Observation, boatyard_runtime::Error> {
        let unwell = self.unwell.load(Ordering::Relaxed);
        let health = if unwell { Health::Bad(WHY.to_owned()) } else { Health::Good };
        Ok(Observation { health, version: None, next: Some(now + SignedDuration::from_secs(10)) })
    }

    fn api_server(&self, _: &str) -> ApiServer {
        ApiServer::Here
    }

    fn immediate(&self) -> bool {
        false
    }
}

#[tokio::test]
async fn what_a_runtime_cannot_do_shows_as_the_documented_state_with_the_reason() {
    let deploying = Unreliable { master: Some(MasterWork::Deploy), ..Unreliable::default() };
    let yard = yard_on(Arc::new(deploying)).await;
    let id = yard.create("no-master").await;
    yard.after(0).await;
    let cluster = yard.fleet.cluster(&caller("a"), &id, None).await.unwrap();
    assert_eq!((&*cluster.state, &*cluster.status.master_state), ("deploy_failed", "deploy_failed"));
    assert_eq!(cluster.status.master_status, WHY);

    for (work, state) in [(WorkerWork::Deploy, "provision_failed"), (WorkerWork::Reload, "reloading_failed")] {
        let yard = yard_on(Arc::new(Unreliable { worker: Some(work), ..Unreliable::default() })).await;
        let id = yard.create("no-worker").await;
        yard.after(0).await;
        let caller = caller("a");
        let target = ClusterTarget { caller: &caller, cluster: &id, group: None };
        if work == WorkerWork::Reload {
            let worker = yard.fleet.workers(target, WorkerFilter::default()).await.unwrap().workers[0].id.clone();
            yard.fleet.worker_do(target, &worker, WorkerAction::Reload).await.unwrap();
            yard.after(0).await;
        }
        let worker = yard.fleet.workers(target, WorkerFilter::default()).await.unwrap().workers.remove(0);
        assert_eq!((&*worker.state, &*worker.details.failure, &*worker.work), (state, WHY, ""));
    }
}

#[tokio::test]
async fn a_removal_that_fails_is_tried_again_and_a_master_that_is_unwell_gets_well() {
    let runtime = Arc::new(Unreliable { removal: AtomicBool::new(true), ..Unreliable::default() });
    let yard = yard_on(Arc::clone(&runtime) as Arc<dyn ClusterRuntime>).await;
    let id = yard.create("unwell").await;
    yard.after(0).await;
    for (unwell, state, text) in [(true, "critical", WHY), (false, "normal", "Ready")] {
        runtime.unwell.store(unwell, Ordering::Relaxed);
        yard.clock.advance(SignedDuration::from_secs(10));
        yard.after(0).await;
        let cluster = yard.fleet.cluster(&caller("a"), &id, None).await.unwrap();
        assert_eq!((&*cluster.state, &*cluster.status.master_status), (state, text));
    }
    yard.fleet.cluster_delete(&caller("a"), &id, None).await.unwrap();
    yard.after(0).await;
    assert_eq!(yard.state(&id).await.as_deref(), Some("delete_failed"));
    yard.clock.advance(SignedDuration::from_secs(60));
    yard.after(0).await;
    assert_eq!(yard.state(&id).await, None);
}

#[tokio::test]
async fn a_runtime_that_fails_is_asked_again() {
    let yard = yard_on(Arc::new(Unreliable { failures_left: AtomicUsize::new(2), ..Unreliable::default() })).await;
    let id = yard.create("again").await;
    for _ in 0..2 {
        yard.after(0).await;
        assert_eq!(yard.state(&id).await.as_deref(), Some("requested"));
        yard.clock.advance(SignedDuration::from_secs(5));
    }
    yard.after(0).await;
    assert_eq!(yard.state(&id).await.as_deref(), Some("normal"));
}

#[tokio::test]
async fn a_cluster_of_an_older_version_is_filled_in_and_can_grow() {
    let yard = yard(Pace::Instant).await;
    let id = yard.create("older").await;
    let mut tx = yard.store.write(Domain::Fleet).await.unwrap();
    let mut row = clusters::reconcile_get(&mut tx, &id).await.unwrap().unwrap();
    let mut status: serde_json::Value = serde_json::from_str(&row.status).unwrap();
    for member in ["version", "workers_made"] {
        status.as_object_mut().unwrap().remove(member);
    }
    row.status = status.to_string();
    clusters::update(&mut tx, &row).await.unwrap();
    clusters::reconcile_ranges_set(&mut tx, &id, "", "").await.unwrap();
    for mut worker in workers::list(&mut tx, &id).await.unwrap() {
        worker.spec = "{}".to_owned();
        workers::update(&mut tx, &worker).await.unwrap();
    }
    tx.commit().await.unwrap();

    yard.fleet.upgrade().await.unwrap();
    let caller = caller("a");
    let target = ClusterTarget { caller: &caller, cluster: &id, group: None };
    yard.fleet.pool_resize(target, "default", 4, false).await.unwrap();
    let shown = yard.fleet.workers(target, WorkerFilter::default()).await.unwrap();
    assert_eq!(shown.workers.len(), 4);
    assert!(shown.workers.iter().all(|worker| worker.details.version == shown.cluster.spec.version && worker.is_healthy()));
    assert_eq!(shown.cluster.status.version, shown.cluster.spec.version);
    let row = clusters::reconcile_get(&mut yard.store.read().await.unwrap(), &id).await.unwrap().unwrap();
    assert_eq!((row.vpc_id, row.pod_subnet), (shown.cluster.spec.vpc_ids[0].clone(), shown.cluster.spec.pod_subnet));
}

#[tokio::test]
async fn workers_and_pools_that_are_gone_are_forgotten_after_two_hours() {
    let yard = yard(Pace::Instant).await;
    let id = yard.create("forgets").await;
    let caller = caller("a");
    let target = ClusterTarget { caller: &caller, cluster: &id, group: None };
    yard.fleet.pool_remove(target, "default").await.unwrap();
    let gone = WorkerFilter { pool: None, deleted: true };
    for (hours, left) in [(1, 2), (2, 0)] {
        yard.clock.advance(SignedDuration::from_hours(hours));
        yard.fleet.sweep().await.unwrap();
        assert_eq!(yard.fleet.workers(target, gone).await.unwrap().workers.len(), left);
    }
    let pools = workers::pools(&mut yard.store.read().await.unwrap(), &id).await.unwrap();
    assert!(pools.is_empty());
}

#[tokio::test]
async fn workers_come_up_one_behind_another_whoever_was_first() {
    let yard = yard(Pace::Fast).await;
    let mut request = yard.vpc_request("staggered").await;
    request.pool.size_per_zone = Some(6);
    let id = yard.fleet.vpc_cluster_create(&caller("a"), &group("a"), &request).await.unwrap();
    let caller = caller("a");
    let target = ClusterTarget { caller: &caller, cluster: &id, group: None };
    let mut ready = Vec::new();
    for _ in 0..100 {
        yard.after(50).await;
        let shown = yard.fleet.workers(target, WorkerFilter::default()).await.unwrap();
        ready.push(shown.workers.iter().filter(|worker| worker.is_healthy()).count());
    }
    ready.dedup();
    assert_eq!(ready, [0, 1, 2, 3, 4, 5, 6], "each is a tenth of a second behind the one before it");
}
