//! Clusters as the operator of an installation declares them: one that is missing is made by the rules for requests, one that is there
//! is brought to what is declared where a request could do that, and refused where none could. All in a transaction of the caller's.

use std::collections::BTreeMap;

use boatyard_core::clock;
use boatyard_iam::{Caller, Outcome};
use boatyard_runtime::{MachineFacts, MasterOrder, MasterWork, WorkerOrder, WorkerWork};
use boatyard_store::clusters;
use boatyard_store::{Conn, Tx};
use jiff::Timestamp;

use crate::change;
use crate::create::{self, Group, NewCluster};
use crate::draft::Draft;
use crate::faults::Troubles;
use crate::pools::{ClassicPoolRequest, Facts, ZoneRequest, check_labels, check_taints, openshift_workers};
use crate::{ClassicClusterRequest, Error, Fleet, PoolSpec, Provider, Result, Support, VpcClusterRequest, VpcPoolRequest, vpc};

/// A cluster as declared.
#[derive(Clone, Debug)]
pub struct DeclaredCluster {
    /// Without its first pool: what is asked for that stands in `pools`.
    pub order: ClusterOrder,
    /// Whether a new cluster is ready at once, whatever the pace.
    pub ready: bool,
    /// The first is the one that a request for the cluster makes.
    pub pools: Vec<DeclaredPool>,
}

/// A request of either provider for a cluster.
#[allow(clippy::large_enum_variant, reason = "there is one at a time")]
#[derive(Clone, Debug)]
pub enum ClusterOrder {
    Vpc(VpcClusterRequest),
    Classic(ClassicClusterRequest),
}

/// A pool as declared; what is `None` is left to the rules for a new pool, and to whoever changes it later.
#[derive(Clone, Debug, Default)]
pub struct DeclaredPool {
    pub name: Option<String>,
    pub flavor: String,
    pub size_per_zone: Option<i64>,
    pub zones: Vec<ZoneRequest>,
    pub labels: Option<BTreeMap<String, String>>,
    pub taints: Option<BTreeMap<String, String>>,
    pub operating_system: Option<String>,
    pub isolation: Option<String>,
    pub disk_encryption: Option<bool>,
    pub entitlement: Option<String>,
}

/// A declaration that was refused.
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
pub struct Refused {
    /// The pool that is refused; `None` if it is the cluster.
    pub pool: Option<usize>,
    pub error: Error,
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Self { pool: None, error }
    }
}

impl From<boatyard_store::Error> for Refused {
    fn from(error: boatyard_store::Error) -> Self {
        Error::from(error).into()
    }
}

impl DeclaredCluster {
    fn name(&self) -> &str {
        match &self.order {
            ClusterOrder::Vpc(request) => &request.name,
            ClusterOrder::Classic(request) => &request.name,
        }
    }

    fn provider(&self) -> Provider {
        match &self.order {
            ClusterOrder::Vpc(_) => Provider::VpcGen2,
            ClusterOrder::Classic(_) => Provider::Classic,
        }
    }

    fn version(&self) -> Option<&str> {
        match &self.order {
            ClusterOrder::Vpc(request) => request.version.as_deref(),
            ClusterOrder::Classic(request) => request.version.as_deref(),
        }
    }
}

impl Fleet {
    /// A cluster, found by its name in the caller's account. Without `group`, a new one is in `default_group`. Whoever commits the
    /// transaction calls [`Fleet::wake`].
    ///
    /// # Errors
    /// What the service refuses, and what is otherwise with the cluster that there is and cannot be changed.
    pub async fn cluster_declare(
        &self,
        tx: &mut Tx,
        caller: &Caller,
        (group, default_group): (Option<&Group>, &Group),
        declared: &DeclaredCluster,
        support: &Support,
    ) -> Result<Outcome, Refused> {
        let account_id = create::account(caller)?;
        let name = create::cluster_name(declared.name())?;
        let known = clusters::find(tx, account_id, name).await?.filter(|row| row.name == name);
        let Some(row) = known else {
            self.declared_create(tx, caller, group.unwrap_or(default_group), declared, support).await?;
            return Ok(Outcome::Made);
        };
        if row.desired == "absent" {
            // Somebody wants it gone, and its name is not free before it is.
            return Ok(Outcome::Unchanged);
        }
        let mut draft = Draft::load(tx, row).await?;
        compare(&draft, group, declared)?;
        let mut changed = false;
        for (index, pool) in declared.pools.iter().enumerate() {
            let done = self.declared_pool(tx, &mut draft, pool).await;
            changed |= done.map_err(|error| Refused { pool: Some(index), error })?;
        }
        if changed {
            self.stage(tx, draft, self.clock.now()).await?;
        }
        Ok(if changed { Outcome::Changed } else { Outcome::Unchanged })
    }

    async fn declared_create(
        &self,
        tx: &mut Tx,
        caller: &Caller,
        group: &Group,
        declared: &DeclaredCluster,
        support: &Support,
    ) -> Result<(), Refused> {
        let at =
            if declared.ready { self.long_enough_ago(declared.version().unwrap_or_default()).await? } else { self.clock.now() };
        let first = declared.pools.first().cloned().unwrap_or_default();
        let order = with_pool(&declared.order, &first);
        let mut new = match &order {
            ClusterOrder::Vpc(request) => self.vpc_cluster_plan(tx, caller, group, request, support).await?,
            ClusterOrder::Classic(request) => self.classic_cluster_plan(tx, caller, group, request, support).await?,
        };
        new.now = at;
        let refused = |error| Refused { pool: Some(0), error };
        self.describe_first(tx, &mut new, &first).await.map_err(refused)?;
        let mut draft = self.cluster_draft(new)?;
        for (index, pool) in declared.pools.iter().enumerate().skip(1) {
            let refused = |error| Refused { pool: Some(index), error };
            let (name, spec) = self.pool_plan(tx, &Facts::of(&draft), pool).await.map_err(refused)?;
            let place = draft.pool_add(&name, spec, at.as_millisecond()).map_err(refused)?;
            draft.pool_fill(place, at.as_millisecond()).map_err(refused)?;
        }
        if declared.ready {
            self.settle(tx, &mut draft).await?;
            crate::addresses::assign(tx, &self.hints, &mut draft).await?;
            return Ok(change::keep(tx, draft).await?);
        }
        Ok(self.stage(tx, draft, at).await?)
    }

    /// What requests for a cluster cannot say of its first pool.
    async fn describe_first(&self, tx: &mut Tx, new: &mut NewCluster<'_>, declared: &DeclaredPool) -> Result<()> {
        let facts = Facts {
            provider: new.provider,
            version: new.spec.version.clone(),
            account_id: new.account_id.to_owned(),
            vpc_id: String::new(),
            private_endpoint: new.spec.private_endpoint,
        };
        let version = self.running_version(&facts.version, new.provider)?;
        for (_, spec) in &mut new.pools {
            describe(spec, declared)?;
            if new.provider == Provider::Classic {
                for zone in declared.zones.iter().skip(1) {
                    self.catalog.flavor(&spec.flavor, self.catalog.zone(&zone.id, Provider::Classic)?, &version)?;
                    let mut full = self.classic_zone_in(tx, &facts, zone).await?;
                    if spec.zones.iter().all(|zone| zone.public_vlan.is_none()) {
                        full.public_vlan = None;
                    }
                    spec.zones.push(full);
                }
            }
        }
        Ok(())
    }

    /// A further pool, checked: its name and what its workers are like.
    async fn pool_plan(&self, tx: &mut Conn, facts: &Facts, declared: &DeclaredPool) -> Result<(String, PoolSpec)> {
        let name = create::pool_name(declared.name.as_deref())?.to_owned();
        let mut spec = match facts.provider {
            Provider::VpcGen2 => {
                let mut request = vpc_pool(declared);
                request.vpc_id.clone_from(&facts.vpc_id);
                let subnets = vpc::subnets_of(tx, &facts.account_id, &request.zones).await?;
                let version = self.running_version(&facts.version, Provider::VpcGen2)?;
                vpc::pool(&self.catalog, &request, &version, &subnets, 1)?
            }
            Provider::Classic => {
                let declared = declared.clone();
                let request = ClassicPoolRequest {
                    name: name.clone(),
                    machine_type: declared.flavor,
                    isolation: declared.isolation,
                    disk_encryption: declared.disk_encryption,
                    operating_system: declared.operating_system,
                    size_per_zone: declared.size_per_zone,
                    labels: BTreeMap::new(),
                    entitlement: declared.entitlement,
                    zones: declared.zones,
                };
                self.classic_pool(tx, facts, &request).await?
            }
        };
        describe(&mut spec, declared)?;
        Ok((name, spec))
    }

    /// Brings a pool of a cluster that there is to what is declared; tells whether that changed anything.
    async fn declared_pool(&self, tx: &mut Tx, draft: &mut Draft, declared: &DeclaredPool) -> Result<bool> {
        let now = self.clock.now().as_millisecond();
        let facts = Facts::of(draft);
        let (name, wanted) = self.pool_plan(tx, &facts, declared).await?;
        let Ok(place) = draft.pool_index(&name) else {
            let place = draft.pool_add(&name, wanted, now)?;
            draft.pool_fill(place, now)?;
            return Ok(true);
        };
        let spec = &mut draft.pools[place].spec;
        let before = crate::model::encode(spec);
        let fixed = [
            ("flavor", &wanted.flavor, &spec.flavor, true),
            ("isolation", &wanted.isolation, &spec.isolation, declared.isolation.is_some()),
        ];
        if let Some((member, _, is, _)) = fixed.iter().find(|(_, wanted, is, given)| *given && wanted != is) {
            return Err(Error::Invalid(format!(
                "The worker pool '{name}' exists, and its {member} is '{is}', which cannot be changed."
            )));
        }
        if declared.disk_encryption.is_some_and(|_| wanted.disk_encryption != spec.disk_encryption) {
            let text = format!("The worker pool '{name}' exists, and whether its disks are encrypted cannot be changed.");
            return Err(Error::Invalid(text));
        }
        for zone in wanted.zones {
            match spec.zones.iter().find(|known| known.id == zone.id) {
                None => spec.zones.push(zone),
                Some(known) if zone.subnet_id != known.subnet_id => {
                    let text = format!(
                        "The worker pool '{name}' exists and has another subnet in '{}', which cannot be changed.",
                        zone.id
                    );
                    return Err(Error::Invalid(text));
                }
                Some(_) => {}
            }
        }
        if declared.operating_system.is_some() {
            spec.operating_system = wanted.operating_system;
        }
        describe(spec, declared)?;
        if declared.size_per_zone.is_some() {
            spec.size_per_zone = wanted.size_per_zone;
        }
        if crate::model::encode(spec) == before {
            return Ok(false);
        }
        if draft.spec.openshift && openshift_workers(draft) < 2 {
            return Err(Error::Invalid("OpenShift clusters need at least 2 worker nodes.".to_owned()));
        }
        draft.pool_fill(place, now)?;
        Ok(true)
    }

    /// When a cluster must have been asked for to be ready now: what the runtime says of the longest that a deployment takes.
    async fn long_enough_ago(&self, version: &str) -> Result<Timestamp> {
        let (cluster_id, since, end) = ("", Timestamp::UNIX_EPOCH, Timestamp::MAX);
        let master =
            MasterOrder { cluster_id, name: "", version, pod_subnet: "", service_subnet: "", work: MasterWork::Deploy, since };
        let since = self.runtime.master(&master, end).await?.since;
        let machine = MachineFacts::default();
        let order = WorkerOrder { cluster_id, worker_id: "", machine, work: WorkerWork::Deploy, index: usize::MAX, since };
        let done = self.runtime.worker(&order, end).await?.since;
        Ok(clock::from_ms(self.clock.now().as_millisecond() - done.as_millisecond()))
    }

    /// Takes every step that is due of a cluster that was asked for long ago. What is not done after them is the reconciler's.
    async fn settle(&self, tx: &mut Tx, draft: &mut Draft) -> Result<()> {
        /// Master, workers, and what follows from them, with some to spare.
        const STEPS: usize = 8;
        let now = self.clock.now();
        let troubles = Troubles::load(self, tx, now).await?;
        for _ in 0..STEPS {
            self.advance(tx, draft, &troubles, now).await?;
            if draft.row.wake_at.is_none_or(|at| at > now.as_millisecond()) {
                break;
            }
        }
        Ok(())
    }
}

/// What of a cluster that there is must be as declared, since no request changes it.
fn compare(draft: &Draft, group: Option<&Group>, declared: &DeclaredCluster) -> Result<()> {
    let name = &draft.row.name;
    let other = |member: &str, is: &str| {
        Err(Error::Invalid(format!(
            "The cluster '{name}' exists, and its {member} is '{is}', which a fixture does not change."
        )))
    };
    if draft.provider() != declared.provider() {
        return other("provider", draft.provider().as_str());
    }
    if group.is_some_and(|group| group.id != draft.row.resource_group_id) {
        return other("resource group", &draft.row.resource_group_name);
    }
    let (is, openshift) = draft.version().split_once("_openshift").map_or((draft.version(), false), |(is, _)| (is, true));
    if let Some(version) = declared.version().filter(|version| !version.is_empty()) {
        let (wanted, wants_openshift) = version.strip_suffix("_openshift").map_or((version, false), |version| (version, true));
        let begins = is.strip_prefix(wanted).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '_']));
        // Its master may have been updated since.
        let newer = numbers_of(is) > numbers_of(wanted);
        if !(begins || newer) || wants_openshift != openshift {
            return other("version", draft.version());
        }
    }
    if let ClusterOrder::Vpc(VpcClusterRequest { pool, .. }) = &declared.order
        && !pool.vpc_id.is_empty()
        && !draft.spec.vpc_ids.contains(&pool.vpc_id)
    {
        return other("VPC", &draft.spec.vpc_ids.join(", "));
    }
    let (pods, services) = match &declared.order {
        ClusterOrder::Vpc(request) => (&request.pod_subnet, &request.service_subnet),
        ClusterOrder::Classic(request) => (&request.pod_subnet, &request.service_subnet),
    };
    for (member, wanted, is) in
        [("pod subnet", pods, &draft.spec.pod_subnet), ("service subnet", services, &draft.spec.service_subnet)]
    {
        if wanted.as_ref().is_some_and(|wanted| !wanted.starts_with("0.0.0.0/") && wanted != is) {
            return other(member, is);
        }
    }
    Ok(())
}

/// The numbers of a version, for comparing.
fn numbers_of(version: &str) -> Vec<u32> {
    version.split(['.', '_']).map_while(|part| part.parse().ok()).collect()
}

/// Sets what is declared of a pool and can be changed at any time.
fn describe(spec: &mut PoolSpec, declared: &DeclaredPool) -> Result<()> {
    if let Some(labels) = &declared.labels {
        check_labels(labels)?;
        spec.labels.clone_from(labels);
    }
    if let Some(taints) = &declared.taints {
        check_taints(taints)?;
        spec.taints.clone_from(taints);
    }
    Ok(())
}

/// The request with its first pool.
fn with_pool(order: &ClusterOrder, pool: &DeclaredPool) -> ClusterOrder {
    let first = pool.zones.first().cloned().unwrap_or_default();
    match order {
        ClusterOrder::Vpc(request) => {
            let pool = VpcPoolRequest { vpc_id: request.pool.vpc_id.clone(), ..vpc_pool(pool) };
            ClusterOrder::Vpc(VpcClusterRequest { pool, ..request.clone() })
        }
        ClusterOrder::Classic(request) => ClusterOrder::Classic(ClassicClusterRequest {
            datacenter: first.id,
            public_vlan: first.public_vlan,
            private_vlan: first.private_vlan,
            machine_type: pool.flavor.clone(),
            isolation: pool.isolation.clone(),
            workers: pool.size_per_zone,
            disk_encryption: pool.disk_encryption,
            pool_name: pool.name.clone(),
            entitlement: pool.entitlement.clone(),
            operating_system: pool.operating_system.clone(),
            ..request.clone()
        }),
    }
}

fn vpc_pool(declared: &DeclaredPool) -> VpcPoolRequest {
    let declared = declared.clone();
    VpcPoolRequest {
        name: declared.name,
        flavor: declared.flavor,
        isolation: declared.isolation,
        disk_encryption: declared.disk_encryption,
        operating_system: declared.operating_system,
        size_per_zone: declared.size_per_zone,
        zones: declared.zones.into_iter().map(|zone| (zone.id, zone.subnet_id.unwrap_or_default())).collect(),
        entitlement: declared.entitlement,
        ..VpcPoolRequest::default()
    }
}
