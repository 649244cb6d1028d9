//! Random sequences of operations on several clusters, held against a small model of what there should be.
//!
//! The model knows clusters, pools, zones and how many workers each zone should have. After every step it is compared with what the
//! fleet shows, and the invariants of addresses, IDs and states are checked.

// Clippy counts only `#[test]` functions as tests, and what helps them is no less a test here.
#![allow(clippy::unwrap_used)]

mod support;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use boatyard_fleet::catalog::Offering;
use boatyard_fleet::{
    ClassicClusterRequest, ClassicPoolRequest, ClusterTarget, ClusterWorkers, Error, Worker, WorkerAction, WorkerFilter,
    ZoneRequest,
};
use boatyard_runtime::Pace;
use boatyard_store::networks::{self, Subnet, Vlan};
use boatyard_store::{Domain, Store};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestRunner};

use crate::support::{Yard, caller, group, open, runtime, yard};

const CLUSTERS: [&str; 4] = ["alpha", "Beta.2", "gamma", "delta-with-a-name-that-is-long"];
const POOLS: [&str; 3] = ["default", "compute", "edge"];
/// Room for 11 workers each, so that addresses run out now and then.
const CIDR_SIZE: u8 = 28;

/// One step of a user, of time, or of trouble. Numbers choose among what there is.
#[derive(Clone, Debug)]
enum Step {
    Create { cluster: usize, classic: bool, size: i64, zones: usize },
    Delete { cluster: usize },
    PoolCreate { cluster: usize, pool: usize, size: i64, zones: usize },
    PoolRemove { cluster: usize, pool: usize },
    Resize { cluster: usize, pool: usize, size: i64 },
    Rebalance { cluster: usize, pool: usize },
    ZoneAdd { cluster: usize, pool: usize, zone: usize },
    ZoneRemove { cluster: usize, pool: usize, zone: usize },
    WorkerRemove { cluster: usize, worker: usize },
    WorkerReplace { cluster: usize, worker: usize, update: bool },
    WorkerDo { cluster: usize, worker: usize, action: WorkerAction },
    MasterUpdate { cluster: usize, minor: usize },
    MasterRefresh { cluster: usize },
    Time { ms: i64 },
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    let (c, p, zone, w) = (0..CLUSTERS.len(), 0..POOLS.len(), 0..3usize, 0..40usize);
    let action = prop_oneof![Just(WorkerAction::Reboot), Just(WorkerAction::Reload), Just(WorkerAction::Update)];
    prop_oneof![
        3 => (c.clone(), any::<bool>(), 0..4i64, 0..4usize).prop_map(|(cluster, classic, size, zones)| Step::Create { cluster, classic, size, zones }),
        1 => c.clone().prop_map(|cluster| Step::Delete { cluster }),
        2 => (c.clone(), p.clone(), 0..4i64, 0..4usize).prop_map(|(cluster, pool, size, zones)| Step::PoolCreate { cluster, pool, size, zones }),
        1 => (c.clone(), p.clone()).prop_map(|(cluster, pool)| Step::PoolRemove { cluster, pool }),
        4 => (c.clone(), p.clone(), -1..6i64).prop_map(|(cluster, pool, size)| Step::Resize { cluster, pool, size }),
        1 => (c.clone(), p.clone()).prop_map(|(cluster, pool)| Step::Rebalance { cluster, pool }),
        2 => (c.clone(), p.clone(), zone.clone()).prop_map(|(cluster, pool, zone)| Step::ZoneAdd { cluster, pool, zone }),
        2 => (c.clone(), p, zone).prop_map(|(cluster, pool, zone)| Step::ZoneRemove { cluster, pool, zone }),
        3 => (c.clone(), w.clone()).prop_map(|(cluster, worker)| Step::WorkerRemove { cluster, worker }),
        3 => (c.clone(), w.clone(), any::<bool>()).prop_map(|(cluster, worker, update)| Step::WorkerReplace { cluster, worker, update }),
        3 => (c.clone(), w, action).prop_map(|(cluster, worker, action)| Step::WorkerDo { cluster, worker, action }),
        1 => (c.clone(), 0..4usize).prop_map(|(cluster, minor)| Step::MasterUpdate { cluster, minor }),
        1 => c.prop_map(|cluster| Step::MasterRefresh { cluster }),
        6 => (0..3000i64).prop_map(|ms| Step::Time { ms }),
        1 => Just(Step::Restart),
    ]
}

/// How many workers a pool should have where.
#[derive(Clone, Debug, Default, PartialEq)]
struct ModelPool {
    size: usize,
    zones: BTreeMap<String, usize>,
}

#[derive(Clone, Debug)]
struct ModelCluster {
    classic: bool,
    deleting: bool,
    pools: BTreeMap<String, ModelPool>,
}

impl ModelPool {
    fn new(size: usize, zones: &[String]) -> Self {
        Self { size, zones: zones.iter().map(|zone| (zone.clone(), size)).collect() }
    }

    fn fill(&mut self) {
        for count in self.zones.values_mut() {
            *count = self.size;
        }
    }
}

struct World {
    yard: Yard,
    pace: Pace,
    model: BTreeMap<&'static str, ModelCluster>,
    vpc: String,
    /// Zone to network and its range, for VPC and for classic.
    networks: BTreeMap<String, (String, ipnet::Ipv4Net)>,
    /// Every worker ever seen, with when it was made and the state it was in last.
    seen: HashMap<String, (i64, String)>,
}

fn zones(classic: bool, count: usize) -> Vec<String> {
    let all = if classic { ["dal10", "dal12", "dal13"] } else { ["us-south-1", "us-south-2", "us-south-3"] };
    all[..count].iter().map(|zone| (*zone).to_owned()).collect()
}

/// Small networks for account `a`.
async fn small_networks(store: &Store, vpc: &str) -> BTreeMap<String, (String, ipnet::Ipv4Net)> {
    let mut tx = store.write(Domain::Fleet).await.unwrap();
    let mut all = BTreeMap::new();
    for (index, zone) in zones(false, 3).into_iter().enumerate() {
        let (id, cidr) = (format!("0717-small-{index}"), format!("10.9.{index}.0/{CIDR_SIZE}"));
        all.insert(zone.clone(), (id.clone(), cidr.parse().unwrap()));
        let name = format!("small-{index}");
        let subnet = Subnet { id, account_id: "a".to_owned(), vpc_id: vpc.to_owned(), name, zone, cidr };
        networks::subnet_insert(&mut tx, &subnet).await.unwrap();
    }
    for (index, zone) in zones(true, 3).into_iter().enumerate() {
        for (kind, letter) in [("private", 'b'), ("public", 'f')] {
            let (id, cidr) = (format!("100{index}{}", u8::from(letter == 'f')), format!("10.8.{index}.0/{CIDR_SIZE}"));
            if kind == "private" {
                all.insert(zone.clone(), (id.clone(), cidr.parse().unwrap()));
            }
            let vlan = Vlan {
                id,
                account_id: "a".to_owned(),
                datacenter: zone.clone(),
                kind: kind.to_owned(),
                number: 1000 + i64::try_from(index).unwrap(),
                router: format!("{letter}cr09a.{zone}"),
                cidr,
            };
            networks::vlan_insert(&mut tx, &vlan).await.unwrap();
        }
    }
    tx.commit().await.unwrap();
    all
}

impl World {
    async fn new(pace: Pace) -> Self {
        let yard = yard(pace).await;
        let vpc = yard.fleet.vpcs(&caller("a")).await.unwrap().remove(0).id;
        let networks = small_networks(&yard.store, &vpc).await;
        Self { yard, pace, model: BTreeMap::new(), vpc, networks, seen: HashMap::new() }
    }

    fn zone_request(&self, zone: &str) -> ZoneRequest {
        let network = self.networks[zone].0.clone();
        match zone.starts_with("dal") {
            true => ZoneRequest {
                id: zone.to_owned(),
                public_vlan: Some(format!("{}1", &network[..4])),
                private_vlan: Some(network),
                ..ZoneRequest::default()
            },
            false => ZoneRequest { id: zone.to_owned(), subnet_id: Some(network), ..ZoneRequest::default() },
        }
    }

    async fn show(&self, cluster: &str) -> Option<ClusterWorkers> {
        let caller = caller("a");
        let target = ClusterTarget { caller: &caller, cluster, group: None };
        match self.yard.fleet.workers(target, WorkerFilter { pool: None, deleted: true }).await {
            Ok(found) => Some(found),
            Err(Error::ClusterNotFound) => None,
            Err(error) => panic!("{error}"),
        }
    }

    async fn apply(&mut self, step: &Step) -> Result<(), TestCaseError> {
        match step {
            Step::Time { ms } => self.yard.after(*ms).await,
            Step::Restart => self.yard.fleet = open(&self.yard.store, &self.yard.clock, runtime(self.pace)).await,
            step => {
                let before = self.show(CLUSTERS[cluster_of(step)]).await;
                let worker = chosen(step, before.as_ref());
                if let Some(outcome) = self.request(step, worker.as_ref()).await {
                    let expected = self.predict(step, before.as_ref(), worker.as_ref(), &outcome).await;
                    self.compare(step, outcome, expected).await?;
                }
            }
        }
        // What was being deleted may be gone by now.
        for name in CLUSTERS {
            if self.model.get(name).is_some_and(|cluster| cluster.deleting) && self.show(name).await.is_none() {
                self.model.remove(name);
            }
        }
        Ok(())
    }

    /// Sends the request of a step. `None` where there is nothing that it could be about.
    async fn request(&self, step: &Step, worker: Option<&Worker>) -> Option<Result<(), Error>> {
        let (caller, fleet) = (caller("a"), &self.yard.fleet);
        let target = |cluster: &usize| ClusterTarget { caller: &caller, cluster: CLUSTERS[*cluster], group: None };
        Some(match step {
            Step::Create { cluster, classic: true, size, .. } => {
                let vlans = self.zone_request("dal10");
                let request = ClassicClusterRequest {
                    name: CLUSTERS[*cluster].to_owned(),
                    datacenter: "dal10".to_owned(),
                    machine_type: "b3c.4x16".to_owned(),
                    workers: Some(*size),
                    version: self.versions().await.pop(),
                    public_vlan: vlans.public_vlan,
                    private_vlan: vlans.private_vlan,
                    ..ClassicClusterRequest::default()
                };
                fleet.classic_cluster_create(&caller, &group("a"), &request).await.map(drop)
            }
            Step::Create { cluster, size, zones: count, .. } => {
                let mut request = self.yard.vpc_request(CLUSTERS[*cluster]).await;
                request.version = self.versions().await.pop();
                request.pool = self.vpc_pool("default", *size, *count);
                fleet.vpc_cluster_create(&caller, &group("a"), &request).await.map(drop)
            }
            Step::Delete { cluster } => fleet.cluster_delete(&caller, CLUSTERS[*cluster], None).await,
            Step::PoolCreate { cluster, pool, size, zones: count } => {
                if self.model.get(CLUSTERS[*cluster]).is_some_and(|cluster| cluster.classic) {
                    let request = ClassicPoolRequest {
                        name: POOLS[*pool].to_owned(),
                        machine_type: "b3c.4x16".to_owned(),
                        size_per_zone: Some(*size),
                        zones: zones(true, *count).iter().map(|zone| self.zone_request(zone)).collect(),
                        ..ClassicPoolRequest::default()
                    };
                    fleet.classic_pool_create(target(cluster), &request).await.map(drop)
                } else {
                    let request = self.vpc_pool(POOLS[*pool], *size, *count);
                    fleet.vpc_pool_create(target(cluster), &request).await.map(drop)
                }
            }
            Step::PoolRemove { cluster, pool } => fleet.pool_remove(target(cluster), POOLS[*pool]).await,
            Step::Resize { cluster, pool, size } => fleet.pool_resize(target(cluster), POOLS[*pool], *size, false).await,
            Step::Rebalance { cluster, pool } => fleet.pool_rebalance(target(cluster), POOLS[*pool]).await,
            Step::ZoneAdd { cluster, pool, zone } => {
                let zone = self.zone_of(*cluster, *zone);
                fleet.pool_zone_add(target(cluster), POOLS[*pool], &self.zone_request(&zone)).await
            }
            Step::ZoneRemove { cluster, pool, zone } => {
                fleet.pool_zone_remove(target(cluster), POOLS[*pool], &self.zone_of(*cluster, *zone)).await
            }
            Step::WorkerRemove { cluster, .. } => fleet.worker_remove(target(cluster), &worker?.id).await,
            Step::WorkerReplace { cluster, update, .. } => fleet.worker_replace(target(cluster), &worker?.id, *update).await,
            Step::WorkerDo { cluster, action, .. } => fleet.worker_do(target(cluster), &worker?.id, *action).await,
            Step::MasterUpdate { cluster, minor } => {
                let versions = self.versions().await;
                fleet.master_update(target(cluster), &versions[minor % versions.len()]).await
            }
            Step::MasterRefresh { cluster } => fleet.master_refresh(target(cluster)).await,
            Step::Time { .. } | Step::Restart => Ok(()),
        })
    }

    fn vpc_pool(&self, name: &str, size: i64, count: usize) -> boatyard_fleet::VpcPoolRequest {
        boatyard_fleet::VpcPoolRequest {
            name: Some(name.to_owned()),
            flavor: "bx2.4x16".to_owned(),
            vpc_id: self.vpc.clone(),
            size_per_zone: Some(size),
            zones: zones(false, count).into_iter().map(|zone| (zone.clone(), self.networks[&zone].0.clone())).collect(),
            ..boatyard_fleet::VpcPoolRequest::default()
        }
    }

    fn zone_of(&self, cluster: usize, zone: usize) -> String {
        let classic = self.model.get(CLUSTERS[cluster]).is_some_and(|cluster| cluster.classic);
        zones(classic, 3).remove(zone)
    }

    /// Versions of Kubernetes that can be had, newest first.
    async fn versions(&self) -> Vec<String> {
        let support = self.yard.fleet.support().await.unwrap();
        let versions = self.yard.fleet.catalog().versions(Offering::Kubernetes, &support);
        versions.iter().map(|version| format!("{}.{}", version.major, version.minor)).collect()
    }

    /// Whether what a step came to is what it should have come to.
    async fn compare(
        &self,
        step: &Step,
        outcome: Result<(), Error>,
        expected: Result<(), &'static str>,
    ) -> Result<(), TestCaseError> {
        match (&outcome, &expected) {
            (Ok(()), Ok(())) => Ok(()),
            (Err(Error::AddressesExhausted { network, free, wanted }), _) => {
                // Nothing was changed; whether it was right to refuse shows in what is in use.
                prop_assert!(free < wanted, "{}: {} were free, {} wanted", network, free, wanted);
                prop_assert_eq!(*free, self.free(network).await);
                Ok(())
            }
            (Err(error), Err(name)) if format!("{error:?}").starts_with(name) => Ok(()),
            _ => Err(TestCaseError::fail(format!("{step:?}: {outcome:?}, expected {expected:?}"))),
        }
    }

    /// What a step should come to, by the name of its refusal. Moves the model if it should succeed, and did not fail for want of
    /// addresses.
    async fn predict(
        &mut self,
        step: &Step,
        before: Option<&ClusterWorkers>,
        worker: Option<&Worker>,
        outcome: &Result<(), Error>,
    ) -> Result<(), &'static str> {
        let name = CLUSTERS[cluster_of(step)];
        let mut cluster = self.model.get(name).cloned();
        let expected = match (step, &mut cluster) {
            (Step::Resize { size: -1, .. }, _) => Err("Invalid"),
            (Step::Create { .. }, Some(_)) => Err("ClusterNameTaken"),
            (Step::Create { classic, size, zones: count, .. }, none) => {
                let pool = ModelPool::new(at_least_one(*size), &zones(*classic, if *classic { 1 } else { *count }));
                *none = Some(ModelCluster { classic: *classic, deleting: false, pools: [("default".to_owned(), pool)].into() });
                Ok(())
            }
            (_, None) => Err("ClusterNotFound"),
            (Step::Delete { .. }, Some(cluster)) => {
                cluster.deleting = true;
                Ok(())
            }
            (_, Some(cluster)) if cluster.deleting => Err("ClusterDeleting"),
            (Step::MasterUpdate { minor, .. }, _) => self.predict_update(*minor, before).await,
            (Step::MasterRefresh { .. }, _) => match before.map(|shown| &shown.cluster.status) {
                Some(status) if status.master_state == "deployed" || status.master_work == "refresh" => Ok(()),
                _ => Err("MasterNotDeployed"),
            },
            (_, Some(cluster)) => match worker {
                Some(worker) => predict_worker(step, cluster, worker),
                None => predict_pool(step, cluster, |classic, zone| zones(classic, 3).remove(zone)),
            },
        };
        let exhausted = matches!(outcome, Err(Error::AddressesExhausted { .. }));
        if let Some(cluster) = cluster.filter(|_| expected.is_ok() && !exhausted) {
            self.model.insert(name, cluster);
        }
        expected
    }

    async fn predict_update(&self, minor: usize, before: Option<&ClusterWorkers>) -> Result<(), &'static str> {
        let cluster = &before.unwrap().cluster;
        if cluster.status.master_state != "deployed" {
            return Err("MasterNotDeployed");
        }
        let number = |version: &str| -> i64 { version.split(['.', '_']).nth(1).unwrap().parse().unwrap() };
        let versions = self.versions().await;
        match number(&versions[minor % versions.len()]) - number(&cluster.spec.version) {
            0 => Err("AlreadyUpToDate"),
            1 => Ok(()),
            _ => Err("Invalid"),
        }
    }

    /// Compares what the fleet shows with the model, and checks what must hold whatever happens.
    async fn check(&mut self) -> Result<(), TestCaseError> {
        let listed: BTreeSet<_> =
            self.yard.fleet.clusters(&caller("a")).await.unwrap().iter().map(|cluster| cluster.name.clone()).collect();
        let expected: BTreeSet<_> = self.model.keys().map(|name| (*name).to_owned()).collect();
        prop_assert_eq!(&listed, &expected);
        let mut addresses = BTreeSet::new();
        let mut in_use: BTreeMap<String, i64> = BTreeMap::new();
        for (name, model) in self.model.clone() {
            let shown = self.show(name).await.unwrap();
            prop_assert!(STATES.contains(&shown.cluster.state.as_str()), "{}", shown.cluster.state);
            let alive = shown.workers.iter().filter(|worker| !worker.is_gone());
            for worker in alive.clone() {
                let (network, range) = &self.networks[&worker.zone];
                prop_assert_eq!(network, &worker.network_id);
                prop_assert!(addresses.insert((network.clone(), worker.address.clone())), "{} twice", worker.address);
                let address: std::net::Ipv4Addr = worker.address.parse().unwrap();
                let place = u32::from(address) - u32::from(range.network());
                prop_assert!(range.contains(&address) && place >= 4 && address != range.broadcast(), "{}", address);
                *in_use.entry(network.clone()).or_default() += 1;
            }
            prop_assert_eq!(shown.cluster.worker_count, i64::try_from(alive.clone().count()).unwrap());
            for worker in &shown.workers {
                self.check_states(worker)?;
            }
            if !model.deleting {
                let stays = alive.filter(|worker| worker.work != "remove");
                let mut counts: BTreeMap<(&str, &str), usize> = BTreeMap::new();
                for worker in stays {
                    *counts.entry((&worker.pool_name, &worker.zone)).or_default() += 1;
                }
                let pools =
                    model.pools.iter().flat_map(|(pool, m)| m.zones.iter().map(move |(zone, n)| ((&**pool, &**zone), *n)));
                let expected: BTreeMap<_, _> = pools.filter(|(_, n)| *n > 0).collect();
                prop_assert_eq!(counts, expected, "{}", name);
            }
        }
        for subnet in self.yard.fleet.subnets(&caller("a"), Some(&self.vpc), None).await.unwrap() {
            if self.networks.values().any(|(id, _)| *id == subnet.subnet.id) {
                let used = in_use.get(&subnet.subnet.id).copied().unwrap_or(0);
                prop_assert_eq!(subnet.free, (1 << (32 - CIDR_SIZE)) - 5 - used);
            }
        }
        Ok(())
    }

    /// No worker leaves the states that there are or goes back to one it cannot come from, and no ID is given twice.
    fn check_states(&mut self, worker: &Worker) -> Result<(), TestCaseError> {
        let made = worker.created_at.as_millisecond();
        if let Some((first, last)) = self.seen.get(&worker.id) {
            prop_assert_eq!(*first, made, "{} was given twice", &worker.id);
            let place = |state: &str| WORKER_STATES.iter().position(|known| *known == state);
            let (from, to) = (place(last), place(&worker.state));
            prop_assert!(to.is_some(), "{}", &worker.state);
            // A worker that was up may be reloaded or rebooted; otherwise states only go forward.
            let again = last == "deployed" && ["reload_pending", "reloading", "deploying"].contains(&worker.state.as_str());
            prop_assert!(again || to >= from, "{} -> {}", last, &worker.state);
        }
        self.seen.insert(worker.id.clone(), (made, worker.state.clone()));
        Ok(())
    }

    /// Lets everything come to its end.
    async fn settle(&mut self) -> Result<(), TestCaseError> {
        self.yard.after(120_000).await;
        for name in CLUSTERS {
            if self.model.get(name).is_some_and(|cluster| cluster.deleting) {
                prop_assert!(self.show(name).await.is_none(), "{} should be gone", name);
                self.model.remove(name);
            }
        }
        self.check().await?;
        for name in self.model.keys() {
            let shown = self.show(name).await.unwrap();
            prop_assert_eq!(&shown.cluster.state, "normal");
            prop_assert_eq!(&shown.cluster.status.master_state, "deployed");
            prop_assert!(shown.workers.iter().all(|worker| worker.is_gone() || worker.is_healthy()));
        }
        Ok(())
    }

    async fn free(&self, network: &str) -> usize {
        let mut used = 0;
        for name in self.model.keys() {
            let workers = self.show(name).await.map(|shown| shown.workers).unwrap_or_default();
            used += workers.iter().filter(|worker| !worker.is_gone() && worker.network_id == network).count();
        }
        (1 << (32 - CIDR_SIZE)) - 5 - used
    }
}

const STATES: [&str; 8] = ["requested", "deploying", "pending", "warning", "normal", "critical", "deleting", "aborted"];
const WORKER_STATES: [&str; 9] = [
    "provision_pending",
    "provisioning",
    "provisioned",
    "reload_pending",
    "reloading",
    "deploying",
    "deployed",
    "deleting",
    "deleted",
];

fn at_least_one(size: i64) -> usize {
    usize::try_from(size).unwrap().max(1)
}

/// The worker that a step is about, among those that its cluster shows, gone ones included.
fn chosen(step: &Step, shown: Option<&ClusterWorkers>) -> Option<Worker> {
    let (Step::WorkerRemove { worker, .. } | Step::WorkerReplace { worker, .. } | Step::WorkerDo { worker, .. }) = step else {
        return None;
    };
    let workers = &shown?.workers;
    workers.get(worker % workers.len().max(1)).cloned()
}

fn predict_worker(step: &Step, cluster: &mut ModelCluster, worker: &Worker) -> Result<(), &'static str> {
    let leaving = worker.work == "remove";
    match step {
        Step::WorkerDo { action: WorkerAction::Update, .. } if !cluster.classic => Err("ProviderNotPermitted"),
        _ if worker.is_gone() => Err("WorkerNotFound"),
        Step::WorkerRemove { .. } => {
            if !leaving {
                *cluster.pools.get_mut(&worker.pool_name).unwrap().zones.get_mut(&worker.zone).unwrap() -= 1;
            }
            Ok(())
        }
        Step::WorkerReplace { .. } => {
            if leaving {
                Err("WorkerBusy")
            } else {
                Ok(())
            }
        }
        Step::WorkerDo { action, .. } => {
            let work = if *action == WorkerAction::Reboot { "reboot" } else { "reload" };
            let fits = worker.work == work || worker.work.is_empty() && (work == "reload" || worker.state == "deployed");
            if fits { Ok(()) } else { Err("WorkerBusy") }
        }
        _ => unreachable!("{step:?} is not about a worker"),
    }
}

fn predict_pool(step: &Step, cluster: &mut ModelCluster, zone: impl Fn(bool, usize) -> String) -> Result<(), &'static str> {
    let classic = cluster.classic;
    if let Step::PoolCreate { pool, size, zones: count, .. } = step {
        if cluster.pools.contains_key(POOLS[*pool]) {
            return Err("PoolNameTaken");
        }
        let new = ModelPool::new(at_least_one(*size), &zones(classic, *count));
        cluster.pools.insert(POOLS[*pool].to_owned(), new);
        return Ok(());
    }
    let (Step::PoolRemove { pool: name, .. }
    | Step::Resize { pool: name, .. }
    | Step::Rebalance { pool: name, .. }
    | Step::ZoneAdd { pool: name, .. }
    | Step::ZoneRemove { pool: name, .. }) = step
    else {
        unreachable!("{step:?} is not about a pool")
    };
    let pool = cluster.pools.get_mut(POOLS[*name]).ok_or("PoolNotFound")?;
    match step {
        Step::PoolRemove { .. } => drop(cluster.pools.remove(POOLS[*name])),
        Step::Resize { size, .. } => {
            pool.size = usize::try_from(*size).unwrap();
            pool.fill();
        }
        Step::Rebalance { .. } => pool.fill(),
        Step::ZoneAdd { zone: index, .. } => {
            if pool.zones.insert(zone(classic, *index), pool.size).is_some() {
                return Err("ZoneInPool");
            }
            // Zones that lost workers get them back.
            pool.fill();
        }
        _ => {
            let Step::ZoneRemove { zone: index, .. } = step else { unreachable!("all others are above") };
            pool.zones.remove(&zone(classic, *index)).ok_or("ZoneNotInPool")?;
        }
    }
    Ok(())
}

/// Runs a sequence of steps; the invariants hold after each.
fn run(pace: Pace, steps: &[Step]) -> Result<(), TestCaseError> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let mut world = World::new(pace).await;
        for step in steps {
            world.apply(step).await?;
            world.check().await.map_err(|error| TestCaseError::fail(format!("after {step:?}: {error}")))?;
        }
        world.settle().await
    })
}

fn check(pace: Pace, cases: u32, length: usize) {
    // A long sequence is not shrunk: its message tells the step, and short ones find most of what it does.
    let max_shrink_iters = if length > 1000 { 0 } else { 500 };
    let config = Config { cases, max_shrink_iters, failure_persistence: None, ..Config::default() };
    let steps = proptest::collection::vec(step(), length);
    TestRunner::new(config).run(&steps, |steps| run(pace, &steps)).unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn short_sequences_at_instant_pace_match_the_model() {
    check(Pace::Instant, 20, 100);
}

#[test]
fn short_sequences_at_fast_pace_match_the_model() {
    check(Pace::Fast, 20, 100);
}

#[test]
fn ten_thousand_operations_match_the_model() {
    check(Pace::Fast, 1, 10_000);
}

fn cluster_of(step: &Step) -> usize {
    match step {
        Step::Create { cluster, .. }
        | Step::Delete { cluster }
        | Step::PoolCreate { cluster, .. }
        | Step::PoolRemove { cluster, .. }
        | Step::Resize { cluster, .. }
        | Step::Rebalance { cluster, .. }
        | Step::ZoneAdd { cluster, .. }
        | Step::ZoneRemove { cluster, .. }
        | Step::WorkerRemove { cluster, .. }
        | Step::WorkerReplace { cluster, .. }
        | Step::WorkerDo { cluster, .. }
        | Step::MasterUpdate { cluster, .. }
        | Step::MasterRefresh { cluster } => *cluster,
        Step::Time { .. } | Step::Restart => 0,
    }
}
