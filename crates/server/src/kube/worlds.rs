//! What is true of clusters, for their API servers: the fleet's rows and the policies of IAM, put together.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use boatyard_fleet::catalog::Flavor;
use boatyard_fleet::{Fleet, Inventory, Provider, Worker};
use boatyard_iam::{ClusterGrant, ClusterSubject, Iam};
use boatyard_kube::World;
use boatyard_kube::journal::JournalError;
use boatyard_kube::world::{Grant, Machine, Subject, Timings, Worlds};
use boatyard_store::{Domain, Store};

use crate::handlers::cluster_shapes::master_url;

/// Clusters remembered; when there are more, all are read anew as they are asked for.
const MOST: usize = 16_384;
/// Of an OpenShift version `4.<minor>`, the minor version of its Kubernetes is so much greater.
const KUBERNETES_OF_OPENSHIFT: u32 = 13;

/// Makes worlds, and keeps each until something was written that it could follow from.
#[derive(Debug)]
pub(crate) struct StoreWorlds {
    store: Store,
    fleet: Fleet,
    iam: Iam,
    public_url: String,
    ca_pem: Arc<str>,
    kept: Mutex<HashMap<String, Kept>>,
    tickets: AtomicU64,
}

#[derive(Clone, Debug)]
struct Kept {
    /// Of the domains that it follows from; `None` where other processes write unseen.
    generations: Option<(u64, u64)>,
    world: Option<Arc<World>>,
}

impl StoreWorlds {
    pub fn new(store: Store, fleet: Fleet, iam: Iam, public_url: String, ca_pem: Arc<str>) -> Self {
        Self { store, fleet, iam, public_url, ca_pem, kept: Mutex::default(), tickets: AtomicU64::new(1) }
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, HashMap<String, Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The cluster as it is now, and whether it changes without anything being written.
    async fn read(&self, cluster: &str) -> Result<(Option<World>, bool), String> {
        let Some(inventory) = self.fleet.inventory(cluster).await.map_err(|e| e.to_string())? else { return Ok((None, false)) };
        let of = &inventory.cluster;
        let grants = self.iam.cluster_grants(&of.account_id, &of.region, &of.resource_group_id, &of.id).await;
        let grants = grants.map_err(|e| e.to_string())?;
        Ok((Some(self.world_of(inventory, grants.grants)), grants.timed))
    }

    fn world_of(&self, inventory: Inventory, grants: Vec<ClusterGrant>) -> World {
        let Inventory { cluster, workers } = inventory;
        let (spec, status) = (cluster.spec, cluster.status);
        let (version, openshift) =
            versions(if status.version.is_empty() { &spec.version } else { &status.version }, spec.openshift);
        let timings = self.fleet.timings();
        let machine = |worker: Worker| {
            let pool = cluster.pools.iter().find(|pool| pool.id == worker.pool_id).map(|pool| &pool.spec);
            let (labels, taints) = pool.map(|pool| (pool.labels.clone(), pool.taints.clone())).unwrap_or_default();
            let flavor = self.fleet.catalog().flavor_of(&worker.flavor);
            Machine { labels, taints, ..machine(worker, flavor, cluster.provider, spec.openshift) }
        };
        World {
            server: master_url(&self.public_url, &cluster.id),
            ca_pem: self.ca_pem.to_string(),
            name: cluster.name,
            account_id: cluster.account_id,
            region: cluster.region,
            provider: cluster.provider.to_string(),
            version,
            openshift,
            created: cluster.created_at,
            service_subnet: spec.service_subnet,
            pod_subnet: spec.pod_subnet,
            ingress_hostname: status.ingress_hostname,
            machines: workers.into_iter().map(machine).collect(),
            grants: grants.into_iter().map(grant).collect(),
            timings: Timings {
                pod_starting: timings.pod_starting,
                pod_stopping: timings.pod_stopping,
                job_running: timings.job_running,
                provisioning: timings.provisioning,
            },
            id: cluster.id,
            ticket: 0,
        }
    }
}

#[async_trait]
impl Worlds for StoreWorlds {
    async fn world(&self, cluster: &str) -> Result<Option<Arc<World>>, JournalError> {
        // Read before loading: a write in between makes what is kept look older than it is, never newer.
        let generations = self.store.generation(Domain::Fleet).zip(self.store.generation(Domain::Identity));
        let known = self.kept().get(cluster).cloned();
        if let Some(known) = &known
            && generations.is_some()
            && known.generations == generations
        {
            return Ok(known.world.clone());
        }
        // Taken before reading: whoever comes later sees at least as much.
        let ticket = self.tickets.fetch_add(1, Ordering::Relaxed);
        let (found, timed) = self.read(cluster).await.map_err(JournalError::Failed)?;
        let before = known.and_then(|known| known.world);
        let world = match (found, before) {
            // Most of what is written concerns other clusters.
            (Some(found), Some(before)) if (World { ticket: before.ticket, ..found.clone() }) == *before => Some(before),
            (found, _) => found.map(|found| Arc::new(World { ticket, ..found })),
        };
        let mut all = self.kept();
        if world.is_none() {
            all.remove(cluster);
            return Ok(None);
        }
        if all.len() >= MOST {
            all.clear();
        }
        let generations = generations.filter(|_| !timed);
        all.insert(cluster.to_owned(), Kept { generations, world: world.clone() });
        Ok(world)
    }
}

fn machine(worker: Worker, flavor: Option<&Flavor>, provider: Provider, openshift: bool) -> Machine {
    const GB: u64 = 1 << 30;
    let trouble = worker.trouble().to_owned();
    // Containers are kept on the second disk where there is one, which is on classic infrastructure.
    let disk = flavor.map_or(100, |flavor| flavor.secondary_disk.as_ref().unwrap_or(&flavor.primary_disk).size_gb);
    let on_vpc = provider == Provider::VpcGen2;
    Machine {
        worker_id: worker.id,
        pool_id: worker.pool_id,
        pool_name: worker.pool_name,
        zone: worker.zone,
        address: worker.address,
        public_address: worker.details.public_address,
        cpus: flavor.map_or(2, |flavor| flavor.cores),
        memory_bytes: u64::from(flavor.map_or(4, |flavor| flavor.memory_gb)) * GB,
        disk_bytes: u64::from(disk) * GB,
        flavor: worker.flavor,
        architecture: "amd64".to_owned(),
        operating_system: worker.details.operating_system,
        version: versions(&worker.details.version, openshift).0,
        worker_version: worker.details.version,
        ready: trouble.is_empty(),
        trouble,
        private_vlan: worker.details.private_vlan,
        public_vlan: worker.details.public_vlan,
        subnet_id: if on_vpc { worker.network_id } else { String::new() },
        created: worker.created_at,
        ..Machine::default()
    }
}

fn grant(grant: ClusterGrant) -> Grant {
    Grant {
        subject: match grant.subject {
            ClusterSubject::User(name) => Subject::User(name),
            ClusterSubject::Group(name) => Subject::Group(name),
        },
        cluster_role: grant.cluster_role.to_owned(),
        binding: grant.binding.to_owned(),
        namespace: grant.namespace,
    }
}

/// Of `1.36.3_1525` or `4.21.27_1527_openshift`, the version of Kubernetes, and that of OpenShift if it is one.
fn versions(full: &str, openshift: bool) -> (String, Option<String>) {
    let plain = full.split('_').next().unwrap_or_default().to_owned();
    if !openshift {
        return (plain, None);
    }
    let minor = plain.split('.').nth(1).and_then(|minor| minor.parse::<u32>().ok()).unwrap_or_default();
    (format!("1.{}.0", minor.saturating_add(KUBERNETES_OF_OPENSHIFT)), Some(plain))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_of_the_service_is_one_of_kubernetes_and_perhaps_of_openshift() {
        let cases = [
            ("1.36.3_1525", false, "1.36.3", None),
            ("4.21.27_1527_openshift", true, "1.34.0", Some("4.21.27")),
            ("", false, "", None),
        ];
        for (full, is_openshift, kubernetes, openshift) in cases {
            assert_eq!(versions(full, is_openshift), (kubernetes.to_owned(), openshift.map(str::to_owned)), "{full}");
        }
    }
}
