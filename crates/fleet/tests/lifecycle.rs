//! Clusters from create to gone, on a store of their own and a clock that only the test moves.

// Clippy counts only `#[test]` functions as tests, and what helps them is no less a test here.
#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use boatyard_core::Clock;
use boatyard_fleet::{ClassicClusterRequest, Error, Fleet, Group, VpcClusterRequest, VpcPoolRequest};
use boatyard_iam::Caller;
use boatyard_runtime::{
    ClusterRuntime, MasterOrder, MasterStage, Pace, Progress, RemoveOrder, RemoveStage, VirtualRuntime, WorkerOrder,
    WorkerStage,
};
use boatyard_store::{Domain, Store, accounts, resource_groups, users};
use jiff::{SignedDuration, Timestamp};
use tempfile::TempDir;

/// One yard: a fleet, and two accounts with networks.
struct Yard {
    fleet: Fleet,
    clock: Clock,
    dir: TempDir,
}

const GROUP: &str = "a31b9bf9fada4cf8aec68fd0d52c19ce";

fn group(of: &str) -> Group {
    Group { id: format!("{of}{}", &GROUP[1..]), name: "Default".to_owned() }
}

fn caller(account: &str) -> Caller {
    Caller {
        iam_id: format!("IBMid-{account}"),
        email: format!("{account}@example.com"),
        name: account.to_owned(),
        account_id: Some(account.to_owned()),
        client_id: "bx".to_owned(),
        session_id: None,
        expires_at: Timestamp::MAX,
        claims: Arc::default(),
    }
}

async fn account(store: &Store, id: &str) {
    let mut tx = store.write(Domain::Identity).await.unwrap();
    let user = users::User {
        iam_id: format!("IBMid-{id}"),
        username: format!("{id}@example.com"),
        email: format!("{id}@example.com"),
        given_name: String::new(),
        family_name: String::new(),
        password_hash: None,
        created_at: 0,
    };
    users::insert(&mut tx, &user).await.unwrap();
    let account = accounts::Account {
        id: id.to_owned(),
        name: id.to_owned(),
        kind: "PAYG".to_owned(),
        state: "ACTIVE".to_owned(),
        owner_iam_id: user.iam_id,
        created_at: 0,
        updated_at: 0,
    };
    accounts::insert(&mut tx, &account).await.unwrap();
    let row = resource_groups::ResourceGroup {
        id: group(id).id,
        account_id: id.to_owned(),
        name: "Default".to_owned(),
        is_default: true,
    };
    resource_groups::insert(&mut tx, &row).await.unwrap();
    tx.commit().await.unwrap();
}

async fn yard(pace: Pace) -> Yard {
    yard_on(Arc::new(VirtualRuntime::new(pace))).await
}

async fn yard_on(runtime: Arc<dyn ClusterRuntime>) -> Yard {
    let dir = tempfile::tempdir().unwrap();
    let clock = Clock::default();
    let fleet = open(dir.path(), &clock, runtime).await;
    Yard { fleet, clock, dir }
}

async fn open(dir: &Path, clock: &Clock, runtime: Arc<dyn ClusterRuntime>) -> Fleet {
    let store = Store::sqlite(dir).await.unwrap();
    let fleet = Fleet::new(store.clone(), clock.clone(), runtime);
    if accounts::count(&mut store.read().await.unwrap(), "IBMid-a").await.unwrap() == 0
        && fleet.vpcs(&caller("a")).await.unwrap().is_empty()
    {
        for id in ["a", "b"] {
            account(&store, id).await;
            fleet.networks_ensure(id, &group(id).id).await.unwrap();
        }
    }
    fleet
}

impl Yard {
    async fn vpc_request(&self, name: &str) -> VpcClusterRequest {
        let vpc = self.fleet.vpcs(&caller("a")).await.unwrap().remove(0);
        let subnet = self.fleet.subnets(&caller("a"), Some(&vpc.id), Some("us-south-1")).await.unwrap().remove(0);
        VpcClusterRequest {
            name: name.to_owned(),
            pool: VpcPoolRequest {
                flavor: "bx2.4x16".to_owned(),
                vpc_id: vpc.id,
                size_per_zone: Some(2),
                zones: vec![("us-south-1".to_owned(), subnet.subnet.id)],
                ..VpcPoolRequest::default()
            },
            ..VpcClusterRequest::default()
        }
    }

    async fn create(&self, name: &str) -> String {
        let request = self.vpc_request(name).await;
        self.fleet.vpc_cluster_create(&caller("a"), &group("a"), &request).await.unwrap()
    }

    async fn state(&self, cluster: &str) -> Option<String> {
        match self.fleet.cluster(&caller("a"), cluster, None).await {
            Ok(cluster) => Some(cluster.state),
            Err(Error::ClusterNotFound) => None,
            Err(error) => panic!("{error}"),
        }
    }

    /// Moves the clock and lets the reconciler do all that is due by then.
    async fn after(&self, ms: i64) {
        self.clock.advance(SignedDuration::from_millis(ms));
        // A step may leave the next one due at once; far fewer are needed than are allowed.
        for _ in 0..50 {
            if !self.fleet.pass().await.unwrap() {
                return;
            }
        }
        panic!("the reconciler does not come to rest");
    }
}

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
        yard.fleet = open(yard.dir.path(), &yard.clock, Arc::new(VirtualRuntime::new(Pace::Fast))).await;
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
    let unscoped = Caller { account_id: None, ..caller("a") };
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
#[derive(Debug)]
struct Unreliable {
    failures_left: AtomicUsize,
}

#[async_trait::async_trait]
impl ClusterRuntime for Unreliable {
    async fn master(&self, _: &MasterOrder<'_>, now: Timestamp) -> Result<Progress<MasterStage>, boatyard_runtime::Error> {
        let left = self.failures_left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1));
        match left {
            Ok(_) => Err(boatyard_runtime::Error("no capacity".to_owned())),
            Err(_) => Ok(Progress { stage: MasterStage::Ready, since: now, next: None }),
        }
    }

    async fn worker(&self, _: &WorkerOrder<'_>, now: Timestamp) -> Result<Progress<WorkerStage>, boatyard_runtime::Error> {
        Ok(Progress { stage: WorkerStage::Ready, since: now, next: None })
    }

    async fn remove(&self, _: &RemoveOrder<'_>, now: Timestamp) -> Result<Progress<RemoveStage>, boatyard_runtime::Error> {
        Ok(Progress { stage: RemoveStage::Gone, since: now, next: None })
    }

    fn immediate(&self) -> bool {
        false
    }
}

#[tokio::test]
async fn a_runtime_that_fails_is_asked_again() {
    let yard = yard_on(Arc::new(Unreliable { failures_left: AtomicUsize::new(2) })).await;
    let id = yard.create("again").await;
    for _ in 0..2 {
        yard.after(0).await;
        assert_eq!(yard.state(&id).await.as_deref(), Some("requested"));
        yard.clock.advance(SignedDuration::from_secs(5));
    }
    yard.after(0).await;
    assert_eq!(yard.state(&id).await.as_deref(), Some("normal"));
}
