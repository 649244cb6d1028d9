//! Clusters and pools as the rules see them, and as their documents are stored.

use std::collections::BTreeMap;
use std::fmt;

use boatyard_core::clock;
use boatyard_store::clusters::ClusterRow;
use boatyard_store::workers::PoolRow;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::Result;

/// The infrastructure that a cluster runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Provider {
    Classic,
    VpcGen2,
}

impl Provider {
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
        let pools = pools.iter().filter(|pool| pool.cluster_id == row.id).map(Pool::from_row).collect::<Result<_>>()?;
        Ok(Self {
            id: row.id.clone(),
            name: row.name.clone(),
            account_id: row.account_id.clone(),
            provider: if row.provider == Provider::Classic.as_str() { Provider::Classic } else { Provider::VpcGen2 },
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
    pub vpc_ids: Vec<String>,
    pub entitlement: Option<String>,
    pub network_plugin: Option<String>,
    pub cos_instance_crn: Option<String>,
    pub security_group_ids: Vec<String>,
    pub disable_outbound_traffic_protection: bool,
    pub disable_auto_update: bool,
    pub owner_email: String,
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
}

/// A worker pool.
#[derive(Clone, Debug)]
pub struct Pool {
    pub id: String,
    pub name: String,
    pub spec: PoolSpec,
}

impl Pool {
    fn from_row(row: &PoolRow) -> Result<Self> {
        Ok(Self { id: row.id.clone(), name: row.name.clone(), spec: decode(&row.spec)? })
    }
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
