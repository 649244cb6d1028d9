//! What is true of a cluster outside of its objects: what it is, the machines that it has, and who was given which role on it.
//!
//! Nothing of it is kept here. The one who holds the clusters makes a [`World`] whenever something of it changed, and the objects that
//! follow from it (nodes, bindings of roles) are brought in step before the next request is answered.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};

use crate::journal::JournalError;

/// Knows what is true of clusters.
#[async_trait]
pub trait Worlds: fmt::Debug + Send + Sync {
    /// The cluster as it is now: the same value as long as nothing of it changed. `None` if there is none, or its master is not ready.
    async fn world(&self, cluster: &str) -> Result<Option<Arc<World>>, JournalError>;
}

/// A cluster, seen from its API server.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct World {
    /// Worlds of one cluster are in this order: one that was looked for earlier does not follow one that was looked for later.
    pub ticket: u64,
    /// 20 characters of lower-case base32hex.
    pub id: String,
    pub name: String,
    pub account_id: String,
    pub region: String,
    /// `classic` or `vpc-gen2`.
    pub provider: String,
    /// The version of Kubernetes that the master runs: `1.36.3`. It decides what `/version` and nodes say, not what is served.
    pub version: String,
    /// The version of OpenShift (`4.21.27`) if it is such a cluster.
    pub openshift: Option<String>,
    pub created: Timestamp,
    /// Where the cluster's API is, without a trailing slash: `https://127.0.0.1:7443/kube/<id>`.
    pub server: String,
    /// The certificates that the server of the API is trusted by, in PEM.
    pub ca_pem: String,
    /// IPv4 ranges such as `172.21.0.0/16`.
    pub service_subnet: String,
    pub pod_subnet: String,
    /// Domain of the cluster's Ingress, empty until it has one.
    pub ingress_hostname: String,
    pub machines: Vec<Machine>,
    pub grants: Vec<Grant>,
    pub timings: Timings,
}

/// A worker that has joined.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Machine {
    /// `kube-<cluster>-<cluster name>-<pool>-<counter>`.
    pub worker_id: String,
    pub pool_id: String,
    pub pool_name: String,
    pub zone: String,
    /// Private IPv4 address, which is the name of the node as well.
    pub address: String,
    /// Public IPv4 address, empty if it has none.
    pub public_address: String,
    pub flavor: String,
    pub cpus: u32,
    pub memory_bytes: u64,
    /// Capacity of the disk that containers use.
    pub disk_bytes: u64,
    /// `amd64`.
    pub architecture: String,
    /// As the service names it: `UBUNTU_24_64`, `RHCOS`.
    pub operating_system: String,
    /// The version of Kubernetes it runs: `1.36.3`.
    pub version: String,
    /// Build of the worker version: `1.36.3_1525`.
    pub worker_version: String,
    /// Labels of its pool.
    pub labels: BTreeMap<String, String>,
    /// Taints of its pool: key to `value:Effect`.
    pub taints: BTreeMap<String, String>,
    /// Whether it is well: a node that is not is `NotReady`, for the reason in `trouble`.
    pub ready: bool,
    pub trouble: String,
    pub private_vlan: String,
    pub public_vlan: String,
    pub subnet_id: String,
    pub created: Timestamp,
}

/// A role that IAM gives somebody in the cluster.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Grant {
    pub subject: Subject,
    /// `cluster-admin`, `admin`, `edit`, `view`.
    pub cluster_role: String,
    /// Of the ClusterRoleBinding or, with a namespace, the RoleBinding that says so: `ibm-edit`.
    pub binding: String,
    /// The namespace that it is limited to, in which `*` and `?` are wildcards.
    pub namespace: Option<String>,
}

/// Who holds a role.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// `IAM#user@example.com`.
    User(String),
    /// The name of an access group.
    Group(String),
}

/// How long things in a cluster take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timings {
    /// From scheduled to ready.
    pub pod_starting: SignedDuration,
    /// From the request to end to gone, unless the grace period is shorter.
    pub pod_stopping: SignedDuration,
    /// How long a container of a Job works.
    pub job_running: SignedDuration,
    /// Until a load balancer has its address, or a claim its volume.
    pub provisioning: SignedDuration,
}
