//! Clusters and pools as the rules see them, and as their documents are stored.

use std::collections::BTreeMap;
use std::fmt;

use boatyard_core::clock;
use boatyard_store::clusters::ClusterRow;
use boatyard_store::workers::{PoolRow, WorkerRow};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::Result;

/// The infrastructure that a cluster runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Provider {
    Classic,
    VpcGen2,
}

impl Provider {
    /// The provider of a stored cluster.
    pub(crate) fn of(name: &str) -> Self {
        if name == Provider::Classic.as_str() { Provider::Classic } else { Provider::VpcGen2 }
    }

    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Provider::Classic => "classic",
            Provider::VpcGen2 => "vpc-gen2",
        }
    }
}

impl fmt::Display for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A cluster of the caller's account.
#[derive(Clone, Debug)]
pub struct Cluster {
    pub id: String,
    pub name: String,
    pub account_id: String,
    pub provider: Provider,
    pub region: String,
    pub resource_group_id: String,
    pub resource_group_name: String,
    /// One of the service's cluster states, such as `deploying` or `normal`.
    pub state: String,
    pub created_at: Timestamp,
    pub modified_at: Timestamp,
    pub worker_count: i64,
    pub spec: ClusterSpec,
    pub status: ClusterStatus,
    pub pools: Vec<Pool>,
}

impl Cluster {
    pub(crate) fn from_row(row: &ClusterRow, pools: &[PoolRow]) -> Result<Self> {
        let pools = pools
            .iter()
            .filter(|p| p.cluster_id == row.id && p.deleted_at.is_none())
            .map(Pool::from_row)
            .collect::<Result<_>>()?;
        Ok(Self {
            id: row.id.clone(),
            name: row.name.clone(),
            account_id: row.account_id.clone(),
            provider: Provider::of(&row.provider),
            region: row.region.clone(),
            resource_group_id: row.resource_group_id.clone(),
            resource_group_name: row.resource_group_name.clone(),
            state: row.state.clone(),
            created_at: clock::from_ms(row.created_at),
            modified_at: clock::from_ms(row.modified_at),
            worker_count: row.worker_count,
            spec: decode(&row.spec)?,
            status: decode(&row.status)?,
            pools,
        })
    }

    /// `crn:v1:bluemix:public:containers-kubernetes:<region>:a/<account>:<cluster>::`
    #[must_use]
    pub fn crn(&self) -> String {
        format!("crn:v1:bluemix:public:containers-kubernetes:{}:a/{}:{}::", self.region, self.account_id, self.id)
    }

    /// Zones that its pools have, in order, each once.
    #[must_use]
    pub fn zones(&self) -> Vec<&str> {
        let mut zones: Vec<_> = self.pools.iter().flat_map(|p| &p.spec.zones).map(|z| z.id.as_str()).collect();
        zones.sort_unstable();
        zones.dedup();
        zones
    }
}

/// What was asked for.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ClusterSpec {
    /// `1.36.3_1525`, or `4.21.27_1527_openshift`.
    pub version: String,
    /// When support of the version ends: `2027-08-01`.
    pub version_eos: String,
    pub openshift: bool,
    pub pod_subnet: String,
    pub service_subnet: String,
    pub public_endpoint: bool,
    pub private_endpoint: bool,
    /// First zone of the first pool.
    pub datacenter: String,
    /// City of that zone, or the region of a cluster without zones.
    pub location: String,
    pub vpc_ids: Vec<String>,
    pub entitlement: Option<String>,
    pub network_plugin: Option<String>,
    pub cos_instance_crn: Option<String>,
    pub security_group_ids: Vec<String>,
    pub disable_outbound_traffic_protection: bool,
    pub disable_auto_update: bool,
    pub owner_email: String,
    /// IAM ID of who created the cluster.
    pub owner_iam_id: String,
    pub addons: Vec<Addon>,
    pub image_security: bool,
    /// No portable subnets were wanted for load balancers.
    pub no_subnet: bool,
}

/// A managed add-on of a cluster. Its health follows from the time since it was last changed.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Addon {
    pub name: String,
    pub version: String,
    /// Installed with other options than its default ones.
    pub options: BTreeMap<String, String>,
    /// When it was enabled or last updated, in milliseconds.
    pub since: i64,
    /// Whether `since` tells of an update.
    pub updated: bool,
}

/// What was observed.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ClusterStatus {
    pub master_state: String,
    pub master_status: String,
    pub master_status_since: i64,
    /// When the master was first ready, in milliseconds; workers join from then on.
    pub master_ready_at: Option<i64>,
    pub ingress_hostname: String,
    pub ingress_secret: String,
    /// When the removal was asked for, in milliseconds.
    pub removal_since: Option<i64>,
    /// The version that the master runs; empty until it was first deployed.
    pub version: String,
    /// What is being done to a master that was deployed: `update` or `refresh`; empty for nothing.
    pub master_work: String,
    /// When that was asked for, in milliseconds.
    pub master_work_since: i64,
    /// Why the master could not be deployed; empty if it could, or may yet.
    pub master_failure: String,
    /// Why the master does not serve, though it was deployed; empty if it does.
    pub master_trouble: String,
    /// How many workers it was ever given: their IDs are numbered, and none is given twice.
    pub workers_made: u64,
}

/// A worker pool.
#[derive(Clone, Debug)]
pub struct Pool {
    pub id: String,
    pub name: String,
    pub spec: PoolSpec,
    pub created_at: Timestamp,
    /// When it was removed; only its last workers tell of it then.
    pub deleted_at: Option<Timestamp>,
}

impl Pool {
    pub(crate) fn from_row(row: &PoolRow) -> Result<Self> {
        Ok(Self {
            id: row.id.clone(),
            name: row.name.clone(),
            spec: decode(&row.spec)?,
            created_at: clock::from_ms(row.created_at),
            deleted_at: row.deleted_at.map(clock::from_ms),
        })
    }
}

/// A worker with what is shown of the pool it is in.
#[derive(Clone, Debug)]
pub struct Worker {
    pub id: String,
    pub cluster_id: String,
    pub pool_id: String,
    pub pool_name: String,
    pub zone: String,
    /// VPC subnet or private VLAN.
    pub network_id: String,
    /// Range of the VPC subnet; empty on classic infrastructure.
    pub cidr: String,
    /// Private IPv4 address.
    pub address: String,
    /// As the lifecycle of the v2 API has it: `provision_pending` … `deployed`, `reloading`, `deleting`, `deleted`.
    pub state: String,
    pub state_since: Timestamp,
    /// What is being done to it: `deploy`, `reload`, `reboot`, `remove`, or nothing.
    pub work: String,
    pub created_at: Timestamp,
    pub details: WorkerDetails,
    pub flavor: String,
    pub isolation: String,
}

impl Worker {
    pub(crate) fn from_row(row: &WorkerRow, pools: &[Pool]) -> Result<Self> {
        // Pools stay as long as their workers do.
        let pool = pools.iter().find(|pool| pool.id == row.pool_id);
        Ok(Self {
            id: row.id.clone(),
            cluster_id: row.cluster_id.clone(),
            pool_id: row.pool_id.clone(),
            pool_name: pool.map_or_else(String::new, |pool| pool.name.clone()),
            zone: row.zone.clone(),
            network_id: row.network_id.clone(),
            cidr: String::new(),
            address: row.address.clone(),
            state: row.state.clone(),
            state_since: clock::from_ms(row.state_since),
            work: row.work.clone(),
            created_at: clock::from_ms(row.created_at),
            details: decode(&row.spec)?,
            flavor: pool.map_or_else(String::new, |pool| pool.spec.flavor.clone()),
            isolation: pool.map_or_else(String::new, |pool| pool.spec.isolation.clone()),
        })
    }

    #[must_use]
    pub fn is_gone(&self) -> bool {
        self.state == "deleted"
    }

    /// Whether it is there to stay: not removed, and not being removed.
    #[must_use]
    pub fn stays(&self) -> bool {
        !self.is_gone() && self.work != "remove"
    }

    /// Whether it serves and nothing is wrong with it.
    #[must_use]
    pub fn is_healthy(&self) -> bool {
        self.state == "deployed" && self.details.failure.is_empty()
    }
}

/// What a worker is like.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct WorkerDetails {
    /// The version it runs, as [`ClusterSpec::version`].
    pub version: String,
    /// The version that a reload under way brings.
    pub next_version: String,
    pub operating_system: String,
    /// The system that a reload under way brings.
    pub next_operating_system: String,
    pub private_vlan: String,
    pub public_vlan: String,
    pub public_address: String,
    /// What is wrong with it; empty if nothing is.
    pub failure: String,
    /// Place among the workers that something was asked for together; they come up one behind another.
    pub place: usize,
    /// What will become of the deployment under way, where a fault has decided that already.
    pub fate: Option<Fate>,
}

/// How a fault has a deployment end; the texts are what the worker will say.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    ProvisionFailed(String),
    Critical(String),
}

/// What a pool's workers are like.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct PoolSpec {
    pub flavor: String,
    /// `public` or `private`, as on the wire.
    pub isolation: String,
    pub disk_encryption: bool,
    pub operating_system: String,
    pub size_per_zone: usize,
    pub labels: BTreeMap<String, String>,
    pub zones: Vec<PoolZone>,
    pub entitlement: Option<String>,
    pub host_pool_id: Option<String>,
    pub secondary_storage: Option<String>,
    pub security_group_ids: Vec<String>,
    pub kms_instance_id: Option<String>,
    pub kms_key_id: Option<String>,
    pub kms_account_id: Option<String>,
    /// Key to `value:Effect`.
    pub taints: BTreeMap<String, String>,
    pub vpc_id: Option<String>,
}

impl PoolSpec {
    /// The VLANs that its workers are on, zone by zone; none on VPC.
    pub(crate) fn vlans(&self) -> impl Iterator<Item = &str> {
        let of_zones = self.zones.iter().flat_map(|zone| [&zone.private_vlan, &zone.public_vlan]);
        of_zones.flatten().map(String::as_str)
    }
}

/// Where a pool has workers.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct PoolZone {
    pub id: String,
    pub subnet_id: Option<String>,
    pub private_vlan: Option<String>,
    pub public_vlan: Option<String>,
}

pub(crate) fn decode<T: for<'a> Deserialize<'a>>(document: &str) -> Result<T> {
    Ok(serde_json::from_str(document).map_err(boatyard_store::Error::from)?)
}

/// # Panics
/// Never: the documents of this module have string keys.
pub(crate) fn encode(document: &impl Serialize) -> String {
    serde_json::to_string(document).expect("documents have string keys and serialise")
}
