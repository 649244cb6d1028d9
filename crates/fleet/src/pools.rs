//! Worker pools: made, resized, spread over zones, described, removed. A pool says what should be; its workers follow.

use std::collections::BTreeMap;

use boatyard_runtime::WorkerWork;
use boatyard_store::{Conn, Domain};
use jiff::Timestamp;

use crate::catalog::Version;
use crate::change::{ClusterTarget, lookup_in};
use crate::draft::{Draft, MOST_WORKERS};
use crate::{
    ClusterWorkers, Error, Fleet, Pool, PoolSpec, PoolZone, Provider, Result, WorkerFilter, classic, create, dedicated_hosts,
    vpc,
};

/// A request for a worker pool of a classic cluster. Empty text means absent.
#[derive(Clone, Debug, Default)]
pub struct ClassicPoolRequest {
    pub name: String,
    pub machine_type: String,
    pub isolation: Option<String>,
    pub disk_encryption: Option<bool>,
    pub operating_system: Option<String>,
    pub size_per_zone: Option<i64>,
    pub labels: BTreeMap<String, String>,
    pub entitlement: Option<String>,
    pub zones: Vec<ZoneRequest>,
}

/// A zone that a pool is to have workers in, and its networks there: a subnet on VPC, VLANs on classic.
#[derive(Clone, Debug, Default)]
pub struct ZoneRequest {
    pub id: String,
    pub subnet_id: Option<String>,
    pub private_vlan: Option<String>,
    pub public_vlan: Option<String>,
}

impl Fleet {
    /// Makes a pool of a VPC cluster and returns its ID. Its workers can be read at once.
    ///
    /// # Errors
    /// What the service refuses: see [`Error`].
    pub async fn vpc_pool_create(&self, target: ClusterTarget<'_>, request: &vpc::VpcPoolRequest) -> Result<String> {
        let name = new_pool_name(request.name.as_deref())?;
        let cluster = self.provider_of(target, Provider::VpcGen2).await?;
        let mut request = request.clone();
        if request.vpc_id.is_empty() {
            request.vpc_id = cluster.vpc_id.clone();
        }
        if request.vpc_id != cluster.vpc_id {
            let text = format!("The cluster is in the VPC '{}', so its worker pools are, too.", cluster.vpc_id);
            return Err(Error::Invalid(text));
        }
        let version = self.running_version(&cluster.version, Provider::VpcGen2)?;
        let mut conn = self.store.read().await?;
        let subnets = vpc::subnets_of(&mut conn, &cluster.account_id, &request.zones).await?;
        dedicated_hosts::pool_check(&mut conn, &cluster.account_id, request.host_pool_id.as_deref()).await?;
        drop(conn);
        let spec = vpc::pool(&self.catalog, &request, &version, &subnets, 1)?;
        self.pool_insert(target, name, spec).await
    }

    /// Makes a pool of a classic cluster and returns its ID. Its workers can be read at once.
    ///
    /// # Errors
    /// What the service refuses: see [`Error`].
    pub async fn classic_pool_create(&self, target: ClusterTarget<'_>, request: &ClassicPoolRequest) -> Result<String> {
        let name = new_pool_name(Some(&request.name))?;
        let cluster = self.provider_of(target, Provider::Classic).await?;
        let mut tx = self.store.write(Domain::Fleet).await?;
        let spec = self.classic_pool(&mut tx, &cluster, request).await?;
        tx.commit().await?;
        self.pool_insert(target, name, spec).await
    }

    /// The pool that was asked for, checked.
    pub(crate) async fn classic_pool(&self, tx: &mut Conn, cluster: &Facts, request: &ClassicPoolRequest) -> Result<PoolSpec> {
        let version = self.running_version(&cluster.version, Provider::Classic)?;
        if request.machine_type.is_empty() {
            return Err(Error::Missing("Specify the 'machineType' of the worker pool, such as 'b3c.4x16'.".to_owned()));
        }
        let mut flavor = self.catalog.flavor_name(&request.machine_type, Provider::Classic)?;
        let mut zones: Vec<PoolZone> = Vec::new();
        for zone in &request.zones {
            if zones.iter().any(|known| known.id == zone.id) {
                return Err(Error::Invalid(format!("The zone '{}' is given twice.", zone.id)));
            }
            flavor = self.catalog.flavor(&request.machine_type, self.catalog.zone(&zone.id, Provider::Classic)?, &version)?;
            zones.push(self.classic_zone_in(tx, cluster, zone).await?);
        }
        Ok(PoolSpec {
            disk_encryption: request.disk_encryption.unwrap_or(true) || flavor.ends_with(".encrypted"),
            flavor,
            isolation: create::isolation(request.isolation.as_deref())?,
            operating_system: vpc::operating_system(request.operating_system.as_deref(), &version)?,
            size_per_zone: create::size_per_zone(request.size_per_zone, zones.len(), 1)?,
            labels: request.labels.clone(),
            entitlement: create::entitlement(request.entitlement.as_deref())?,
            zones,
            ..PoolSpec::default()
        })
    }

    /// A pool by ID or else by name, and its cluster with all workers that are not gone.
    ///
    /// # Errors
    /// [`Error::ClusterNotFound`], [`Error::PoolNotFound`].
    pub async fn pool(&self, target: ClusterTarget<'_>, id_or_name: &str) -> Result<(ClusterWorkers, Pool)> {
        let wanted = named(id_or_name, "worker pool")?;
        let all = self.workers(target, WorkerFilter::default()).await?;
        let pools = &all.cluster.pools;
        let found = pools.iter().find(|pool| pool.id == wanted).or_else(|| pools.iter().find(|pool| pool.name == wanted));
        let pool = found.cloned().ok_or(Error::PoolNotFound)?;
        Ok((all, pool))
    }

    async fn pool_insert(&self, target: ClusterTarget<'_>, name: &str, spec: PoolSpec) -> Result<String> {
        check_labels(&spec.labels)?;
        self.change(target, "pool create", |draft, now| {
            let now = now.as_millisecond();
            let pool = draft.pool_add(name, spec.clone(), now)?;
            draft.pool_fill(pool, now)?;
            Ok(draft.pools[pool].row.id.clone())
        })
        .await
    }

    /// Removes a pool and all of its workers.
    ///
    /// # Errors
    /// [`Error::PoolNotFound`].
    pub async fn pool_remove(&self, target: ClusterTarget<'_>, pool: &str) -> Result<()> {
        self.pool_change(target, pool, "pool remove", |draft, pool, now| {
            let now = now.as_millisecond();
            draft.pools[pool].row.deleted_at = Some(now);
            let id = draft.pools[pool].row.id.clone();
            for worker in draft.workers.iter_mut().filter(|worker| worker.stays() && worker.row.pool_id == id) {
                worker.begin(WorkerWork::Remove, now);
            }
            Ok(())
        })
        .await
    }

    /// Gives a pool `size` workers in each of its zones. Workers that were removed one by one come back with that.
    ///
    /// # Errors
    /// If that is too many, or too few for OpenShift without `single_worker`, or addresses are used up.
    pub async fn pool_resize(&self, target: ClusterTarget<'_>, pool: &str, size: i64, single_worker: bool) -> Result<()> {
        let size = usize::try_from(size).map_err(|_| Error::Invalid(format!("{size} is not a number of worker nodes.")))?;
        // Also where the pool has no zone that they would be in yet.
        if size > MOST_WORKERS {
            return Err(Error::Invalid(format!("A cluster can have at most {MOST_WORKERS} worker nodes.")));
        }
        self.pool_change(target, pool, "pool resize", |draft, pool, now| {
            draft.pools[pool].spec.size_per_zone = size;
            if draft.spec.openshift && !single_worker && openshift_workers(draft) < 2 {
                let text =
                    "OpenShift clusters need at least 2 worker nodes. Choose a larger size, or allow a single worker node.";
                return Err(Error::Invalid(text.to_owned()));
            }
            draft.pool_fill(pool, now.as_millisecond())
        })
        .await
    }

    /// Brings back the workers of a pool that were removed one by one.
    ///
    /// # Errors
    /// [`Error::PoolNotFound`], or if addresses are used up.
    pub async fn pool_rebalance(&self, target: ClusterTarget<'_>, pool: &str) -> Result<()> {
        let fill = |draft: &mut Draft, pool, now: Timestamp| draft.pool_fill(pool, now.as_millisecond());
        self.pool_change(target, pool, "pool rebalance", fill).await
    }

    /// Replaces the labels of a pool.
    ///
    /// # Errors
    /// [`Error::PoolNotFound`], or if a label is none of Kubernetes.
    pub async fn pool_labels_set(&self, target: ClusterTarget<'_>, pool: &str, labels: BTreeMap<String, String>) -> Result<()> {
        check_labels(&labels)?;
        self.pool_change(target, pool, "pool labels", |draft, pool, _| {
            draft.pools[pool].spec.labels.clone_from(&labels);
            Ok(())
        })
        .await
    }

    /// Replaces the taints of a pool: each a key with `value:Effect`.
    ///
    /// # Errors
    /// [`Error::PoolNotFound`], or if a taint has no known effect.
    pub async fn pool_taints_set(&self, target: ClusterTarget<'_>, pool: &str, taints: BTreeMap<String, String>) -> Result<()> {
        check_taints(&taints)?;
        self.pool_change(target, pool, "pool taints", |draft, pool, _| {
            draft.pools[pool].spec.taints.clone_from(&taints);
            Ok(())
        })
        .await
    }

    /// Sets the system that workers of a pool get; those that there are keep theirs until they are reloaded or replaced.
    ///
    /// # Errors
    /// [`Error::PoolNotFound`], or if the cluster's version has no such system.
    pub async fn pool_operating_system_set(&self, target: ClusterTarget<'_>, pool: &str, system: &str) -> Result<()> {
        let system = named(system, "operating system")?;
        self.pool_change(target, pool, "pool operating system", |draft, pool, _| {
            let version = self.running_version(draft.version(), draft.provider())?;
            draft.pools[pool].spec.operating_system = vpc::operating_system(Some(system), &version)?;
            Ok(())
        })
        .await
    }

    /// Lets a pool have workers in one more zone.
    ///
    /// # Errors
    /// If the zone is not one of the provider's that has the flavor, has another network, or is in the pool already.
    pub async fn pool_zone_add(&self, target: ClusterTarget<'_>, pool: &str, zone: &ZoneRequest) -> Result<()> {
        let cluster = self.cluster_facts(target).await?;
        let network = match cluster.provider {
            Provider::Classic => self.classic_zone(&cluster, zone).await?,
            Provider::VpcGen2 => {
                let subnet = (zone.id.clone(), zone.subnet_id.clone().unwrap_or_default());
                let mut conn = self.store.read().await?;
                let subnets = vpc::subnets_of(&mut conn, &cluster.account_id, std::slice::from_ref(&subnet)).await?;
                vpc::pool_zone(&self.catalog, &subnet, &cluster.vpc_id, &subnets)?
            }
        };
        self.pool_change(target, pool, "zone add", |draft, index, now| {
            let version = self.running_version(draft.version(), draft.provider())?;
            let pool = &mut draft.pools[index];
            let taken = || Error::ZoneInPool { zone: zone.id.clone(), pool: pool.row.name.clone() };
            if pool.spec.zones.iter().any(|known| known.id == zone.id) {
                return Err(taken());
            }
            self.catalog.flavor(&pool.spec.flavor, self.catalog.zone(&zone.id, cluster.provider)?, &version)?;
            pool.spec.zones.push(network.clone());
            if draft.spec.datacenter.is_empty() {
                draft.spec.datacenter.clone_from(&zone.id);
            }
            draft.pool_fill(index, now.as_millisecond())
        })
        .await
    }

    /// Takes a zone from a pool, with the workers that the pool has there.
    ///
    /// # Errors
    /// [`Error::ZoneNotInPool`].
    pub async fn pool_zone_remove(&self, target: ClusterTarget<'_>, pool: &str, zone: &str) -> Result<()> {
        self.pool_change(target, pool, "zone remove", |draft, index, now| {
            let place = zone_place(draft, index, zone)?;
            for worker in draft.workers_in(index, zone) {
                draft.workers[worker].begin(WorkerWork::Remove, now.as_millisecond());
            }
            draft.pools[index].spec.zones.remove(place);
            Ok(())
        })
        .await
    }

    /// Sets the VLANs that new workers of a classic pool get in a zone; those that there are keep theirs.
    ///
    /// # Errors
    /// [`Error::ZoneNotInPool`], or if the VLANs do not go together.
    pub async fn pool_zone_network_set(&self, target: ClusterTarget<'_>, pool: &str, zone: &ZoneRequest) -> Result<()> {
        let cluster = self.provider_of(target, Provider::Classic).await?;
        let network = self.classic_zone(&cluster, zone).await?;
        self.pool_change(target, pool, "zone network", |draft, index, _| {
            let place = zone_place(draft, index, &zone.id)?;
            draft.pools[index].spec.zones[place] = network.clone();
            Ok(())
        })
        .await
    }

    async fn pool_change<R>(
        &self,
        target: ClusterTarget<'_>,
        pool: &str,
        what: &str,
        change: impl Fn(&mut Draft, usize, Timestamp) -> Result<R>,
    ) -> Result<R> {
        let pool = named(pool, "worker pool")?;
        self.change(target, what, |draft, now| {
            let index = draft.pool_index(pool)?;
            change(draft, index, now)
        })
        .await
    }

    /// What a cluster is, for checks before it is changed. None of it changes while the cluster exists but the version.
    async fn cluster_facts(&self, target: ClusterTarget<'_>) -> Result<Facts> {
        let draft = {
            let mut conn = self.store.read().await?;
            let row = lookup_in(&mut conn, target).await?;
            Draft::load(&mut conn, row).await?
        };
        Ok(Facts::of(&draft))
    }

    async fn provider_of(&self, target: ClusterTarget<'_>, provider: Provider) -> Result<Facts> {
        let cluster = self.cluster_facts(target).await?;
        if cluster.provider == provider { Ok(cluster) } else { Err(Error::ProviderNotPermitted) }
    }

    /// The catalog's entry for a version that a cluster runs, whether or not it still has support.
    pub(crate) fn running_version(&self, full: &str, provider: Provider) -> Result<Version> {
        self.catalog.version(full, None, provider, &crate::Support::at(Timestamp::MIN))
    }

    /// A zone of a classic pool with its VLANs: those given, or the account's pair there, made if there is none.
    async fn classic_zone(&self, cluster: &Facts, zone: &ZoneRequest) -> Result<PoolZone> {
        let mut tx = self.store.write(Domain::Fleet).await?;
        let zone = self.classic_zone_in(&mut tx, cluster, zone).await?;
        tx.commit().await?;
        Ok(zone)
    }

    /// The same in a transaction of the caller's.
    pub(crate) async fn classic_zone_in(&self, tx: &mut Conn, cluster: &Facts, zone: &ZoneRequest) -> Result<PoolZone> {
        if zone.id.is_empty() {
            return Err(Error::Missing("Specify the 'id' of the zone.".to_owned()));
        }
        let datacenter = self.catalog.zone(&zone.id, Provider::Classic)?;
        let wanted = classic::Vlans { private: zone.private_vlan.as_deref(), public: zone.public_vlan.as_deref() };
        let vlans = classic::vlans_in(tx, &cluster.account_id, &datacenter.id, &wanted).await?;
        let (private, public) = classic::vlan_pair(&vlans, &wanted, &datacenter.id, cluster.private_endpoint)?;
        Ok(PoolZone {
            id: datacenter.id.clone(),
            private_vlan: Some(private.id.clone()),
            public_vlan: public.map(|vlan| vlan.id.clone()),
            ..PoolZone::default()
        })
    }
}

/// What a request for a pool is checked against.
pub(crate) struct Facts {
    pub provider: Provider,
    pub version: String,
    pub account_id: String,
    pub vpc_id: String,
    pub private_endpoint: bool,
}

impl Facts {
    pub(crate) fn of(draft: &Draft) -> Self {
        Self {
            provider: draft.provider(),
            version: draft.version().to_owned(),
            account_id: draft.row.account_id.clone(),
            vpc_id: draft.spec.vpc_ids.first().cloned().unwrap_or_default(),
            private_endpoint: draft.spec.private_endpoint,
        }
    }
}

/// An argument that names something, checked to be there.
pub(crate) fn named<'a>(value: &'a str, what: &str) -> Result<&'a str> {
    if value.is_empty() { Err(Error::Missing(format!("Specify the ID or name of the {what}."))) } else { Ok(value) }
}

fn new_pool_name(name: Option<&str>) -> Result<&str> {
    match name.filter(|name| !name.is_empty()) {
        None => Err(Error::Missing("Specify a 'name' for the worker pool.".to_owned())),
        name => create::pool_name(name),
    }
}

fn zone_place(draft: &Draft, pool: usize, zone: &str) -> Result<usize> {
    let pool = &draft.pools[pool];
    let missing = || Error::ZoneNotInPool { zone: zone.to_owned(), pool: pool.row.name.clone() };
    pool.spec.zones.iter().position(|known| known.id == zone).ok_or_else(missing)
}

/// How many workers an OpenShift cluster's pools ask for.
pub(crate) fn openshift_workers(draft: &Draft) -> usize {
    let pools = draft.pools.iter().filter(|pool| !pool.is_gone());
    pools.map(|pool| pool.spec.size_per_zone * pool.spec.zones.len()).sum()
}

/// Checks the labels of a pool.
pub(crate) fn check_labels(labels: &BTreeMap<String, String>) -> Result<()> {
    few("labels", labels)?;
    labels.iter().try_for_each(|(key, value)| label("label", key, value))
}

/// Checks the taints of a pool: each a key with `value:Effect`.
pub(crate) fn check_taints(taints: &BTreeMap<String, String>) -> Result<()> {
    few("taints", taints)?;
    for (key, value) in taints {
        let (value, effect) = value.rsplit_once(':').unwrap_or((value, ""));
        if !["NoSchedule", "PreferNoSchedule", "NoExecute"].contains(&effect) {
            let text = format!(
                "The taint '{key}' has the effect '{effect}'. Write a taint as value:Effect; the effects are NoSchedule, PreferNoSchedule and NoExecute."
            );
            return Err(Error::Invalid(text));
        }
        label("taint", key, value)?;
    }
    Ok(())
}

/// Refuses more than anybody has a use for: lists of pools show them all.
fn few(what: &str, map: &BTreeMap<String, String>) -> Result<()> {
    const MOST: usize = 100;
    if map.len() > MOST { Err(Error::Invalid(format!("A worker pool can have at most {MOST} {what}."))) } else { Ok(()) }
}

/// Checks a key and value as Kubernetes does: 63 characters of letters, digits, `-`, `_` and `.`, beginning and ending with a letter or
/// digit; the key may have a DNS name and a slash before it.
fn label(what: &str, key: &str, value: &str) -> Result<()> {
    let part = |text: &str| {
        let inner = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        text.len() <= 63
            && text.chars().all(inner)
            && text.starts_with(|c: char| c.is_ascii_alphanumeric())
            && text.ends_with(|c: char| c.is_ascii_alphanumeric())
    };
    let (prefix, name) = key.split_once('/').map_or((None, key), |(prefix, name)| (Some(prefix), name));
    let prefixed = prefix.is_none_or(|prefix| {
        prefix.len() <= 253 && !prefix.is_empty() && prefix.split('.').all(|p| part(p) && !p.contains('_'))
    });
    if prefixed && part(name) && (value.is_empty() || part(value)) {
        return Ok(());
    }
    Err(Error::Invalid(format!(
        "The {what} '{key}' with the value '{value}' is not valid. Keys and values have up to 63 letters, digits, '-', '_' and '.'; a \
         key may have a DNS name and a slash before it."
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_follow_the_rules_of_kubernetes() {
        let long = "a".repeat(63);
        for (key, value) in [("app", "web"), ("example.com/tier", "a_b.c-1"), ("k", ""), (long.as_str(), long.as_str())] {
            assert!(label("label", key, value).is_ok(), "{key} {value}");
        }
        let longer = "a".repeat(64);
        let bad =
            [("", "v"), ("-a", "v"), ("a b", "v"), ("a", "v-"), ("/a", "v"), ("x_y/a", "v"), ("a/b/c", "v"), (&longer, "v")];
        for (key, value) in bad {
            assert!(label("label", key, value).is_err(), "{key} {value}");
        }
    }
}
