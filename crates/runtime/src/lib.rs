//! What a cluster runs on.
//!
//! The reconciler in `boatyard-fleet` asks a [`ClusterRuntime`] for what should exist, again and again, and records what it
//! observes. Three kinds of drivers fit: clusters that exist only in this process ([`VirtualRuntime`]), upstream Kubernetes as processes of
//! its own, and masters on a Kubernetes that there is already.

mod pace;
mod simulated;
mod timings;

use async_trait::async_trait;
use jiff::Timestamp;

pub use pace::Pace;
pub use simulated::VirtualRuntime;
pub use timings::{Timings, TimingsError};

/// A driver: it makes masters and workers real, or believable.
///
/// What an implementation guarantees:
/// - Every call is **idempotent**. Asked twice for the same master, also at the same time and by several processes, a driver makes one.
///   What it makes it finds again by the IDs of the order.
/// - Every call is **resumable**. The caller may be killed at any instant and comes back with the same order, whose `since` tells it from
///   a later one of the same kind. Nothing that only memory holds may be needed then.
/// - Calls **return soon**. They begin or look at work and tell how far it is; they do not wait for its end.
/// - Stages only go forward within one order. What cannot be done now and may be later is an [`Error`], after which the same is asked
///   again; what will not be done is the stage `Failed`, whose message is shown to the user and says what to do.
#[async_trait]
pub trait ClusterRuntime: std::fmt::Debug + Send + Sync {
    /// Brings the master of `order` closer to what was asked for and tells how far it is.
    async fn master(&self, order: &MasterOrder<'_>, now: Timestamp) -> Result<Progress<MasterStage>, Error>;

    /// Brings a worker closer to what was asked for and tells how far it is.
    async fn worker(&self, order: &WorkerOrder<'_>, now: Timestamp) -> Result<Progress<WorkerStage>, Error>;

    /// Removes everything of a cluster and tells whether anything is left.
    async fn remove(&self, order: &RemoveOrder<'_>, now: Timestamp) -> Result<Progress<RemoveStage>, Error>;

    /// How a master that is ready is now: whether it answers, where, and what it runs. Asked whenever its cluster is looked at and nothing
    /// is done to it.
    async fn observe(&self, master: &MasterOrder<'_>, now: Timestamp) -> Result<Observation, Error>;

    /// Where the API server of a cluster is, once its master is ready. Cheap: asked for every request.
    fn api_server(&self, cluster_id: &str) -> ApiServer;

    /// Whether work is done as soon as it is asked for, so that a request may wait for it.
    fn immediate(&self) -> bool;

    /// How long what is made beside the cluster takes: add-ons and dedicated hosts. Nothing, unless the driver says otherwise.
    fn timings(&self) -> Timings {
        Timings::default()
    }
}

/// What a master should come to.
#[derive(Clone, Copy, Debug)]
pub struct MasterOrder<'a> {
    pub cluster_id: &'a str,
    pub name: &'a str,
    /// `<x.y.z>_<build>` or `<x.y.z>_<build>_openshift`.
    pub version: &'a str,
    /// IPv4 ranges of pods and services.
    pub pod_subnet: &'a str,
    pub service_subnet: &'a str,
    pub work: MasterWork,
    /// When it was asked for.
    pub since: Timestamp,
}

/// What is done to a master.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MasterWork {
    /// It is made.
    Deploy,
    /// It is brought to another version.
    Update,
    /// Its API server is started anew with the cluster's present settings.
    Refresh,
}

/// What a worker should come to.
#[derive(Clone, Copy, Debug)]
pub struct WorkerOrder<'a> {
    pub cluster_id: &'a str,
    pub worker_id: &'a str,
    pub machine: MachineFacts<'a>,
    pub work: WorkerWork,
    /// Place among the cluster's workers, from 0; workers do not all come up in the same instant.
    pub index: usize,
    /// When it was asked for, or, for a new worker, when its master was there to join.
    pub since: Timestamp,
}

/// What a worker is made of.
#[derive(Clone, Copy, Debug, Default)]
pub struct MachineFacts<'a> {
    /// Private IPv4 address, which is the name of its node as well.
    pub address: &'a str,
    pub zone: &'a str,
    pub pool: &'a str,
    /// `bx2.4x16`
    pub flavor: &'a str,
    /// `UBUNTU_24_64`; that which a reload is to bring.
    pub operating_system: &'a str,
    /// As [`MasterOrder::version`]; that which a reload is to bring.
    pub version: &'a str,
}

/// What is done to a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WorkerWork {
    /// A machine is had and joins the cluster.
    Deploy,
    /// Its system is installed anew, at the wanted version.
    Reload,
    /// It is started anew.
    Reboot,
    /// It is given back.
    Remove,
}

/// A cluster of which nothing should be left.
#[derive(Clone, Copy, Debug)]
pub struct RemoveOrder<'a> {
    pub cluster_id: &'a str,
    /// When the removal was asked for.
    pub since: Timestamp,
}

/// How far something is, and when to look again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress<S> {
    pub stage: S,
    /// When it began, as far as the driver knows; what is asked for next is timed from there.
    pub since: Timestamp,
    /// When the stage may change; `None` once the end is reached. Of what failed: when it is tried again; `None` if that is not done until
    /// somebody asks for it.
    pub next: Option<Timestamp>,
}

/// Stages of a master, in the order in which it passes through them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MasterStage {
    Requested,
    Deploying,
    /// An update or a refresh is under way; the API server answers.
    Updating,
    Ready,
    /// What was asked for could not be done: why, for the user.
    Failed(String),
}

/// Stages of a worker, under the names that the service gives them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WorkerStage {
    ProvisionPending,
    Provisioning,
    Provisioned,
    ReloadPending,
    Reloading,
    Deploying,
    Deleting,
    /// What was asked for is done: the worker serves, or is gone if its removal was asked for.
    Done,
    /// What was asked for could not be done: why, for the user.
    Failed(String),
}

/// Stages of a removal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RemoveStage {
    Removing,
    Gone,
    /// Something is left that could not be removed: why, for the user.
    Failed(String),
}

/// How a master is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observation {
    pub health: Health,
    /// The version that it runs, as [`MasterOrder::version`], if the driver knows better than what was ordered.
    pub version: Option<String>,
    /// When to look again; `None` if it does not change by itself.
    pub next: Option<Timestamp>,
}

/// Whether a master serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    Good,
    /// It does not: why, for the user.
    Bad(String),
}

/// Where an API server is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ApiServer {
    /// In this program, on a path of the service's own address.
    Here,
    /// At an address of its own.
    At {
        /// `https://10.0.0.5:6443`
        url: String,
        /// The certificates it is trusted by, in PEM.
        ca_pem: String,
    },
}

/// A driver could not do its work this time; it will be asked again.
#[derive(Debug, thiserror::Error)]
#[error("the cluster runtime failed: {0}")]
pub struct Error(pub String);
