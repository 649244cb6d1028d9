//! What a cluster runs on.
//!
//! The reconciler in `boatyard-fleet` asks a [`ClusterRuntime`] for what should exist, again and again, and records what it
//! observes. Every call is idempotent: a driver that is asked twice for the same master makes one.

mod pace;
mod simulated;
mod timings;

use async_trait::async_trait;
use jiff::Timestamp;

pub use pace::Pace;
pub use simulated::VirtualRuntime;
pub use timings::{Timings, TimingsError};

/// A driver: it makes masters and workers real, or believable.
#[async_trait]
pub trait ClusterRuntime: std::fmt::Debug + Send + Sync {
    /// Brings the master of `order` closer to what was asked for and tells how far it is.
    async fn master(&self, order: &MasterOrder<'_>, now: Timestamp) -> Result<Progress<MasterStage>, Error>;

    /// Brings a worker closer to what was asked for and tells how far it is.
    async fn worker(&self, order: &WorkerOrder<'_>, now: Timestamp) -> Result<Progress<WorkerStage>, Error>;

    /// Removes everything of a cluster and tells whether anything is left.
    async fn remove(&self, order: &RemoveOrder<'_>, now: Timestamp) -> Result<Progress<RemoveStage>, Error>;

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
    /// `<x.y.z>_<build>` or `<x.y.z>_<build>_openshift`.
    pub version: &'a str,
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
    pub work: WorkerWork,
    /// Place among the cluster's workers, from 0; workers do not all come up in the same instant.
    pub index: usize,
    /// When it was asked for, or, for a new worker, when its master was there to join.
    pub since: Timestamp,
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress<S> {
    pub stage: S,
    /// When it began, as far as the driver knows; what is asked for next is timed from there.
    pub since: Timestamp,
    /// When the stage may change; `None` once the end is reached.
    pub next: Option<Timestamp>,
}

/// Stages of a master, in the order in which it passes through them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum MasterStage {
    Requested,
    Deploying,
    /// An update or a refresh is under way; the API server answers.
    Updating,
    Ready,
}

/// Stages of a worker, under the names that the service gives them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
}

/// Stages of a removal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RemoveStage {
    Removing,
    Gone,
}

/// A driver could not do its work this time; it will be asked again.
#[derive(Debug, thiserror::Error)]
#[error("the cluster runtime failed: {0}")]
pub struct Error(pub String);
