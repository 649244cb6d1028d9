//! Clusters, pools, workers and networks: the rules of the container service. No HTTP and no SQL.
//!
//! A request writes what is wanted and returns; the [reconciler](Fleet::run) compares it with what the runtime reports and
//! moves the rows, one idempotent step after another, so that a crash at any instant loses and doubles nothing.

pub mod catalog;
mod classic;
mod clusters;
mod create;
mod error;
mod model;
mod names;
mod networks;
mod ranges;
mod reconcile;
mod vpc;

use std::sync::Arc;

use boatyard_core::Clock;
use boatyard_runtime::ClusterRuntime;
use boatyard_store::{Cache, Domain, Store};
use tokio::sync::Notify;

pub use boatyard_store::networks::{Vlan, Vpc};
pub use classic::ClassicClusterRequest;
pub use clusters::ListFilter;
pub use create::Group;
pub use error::{Error, Result};
pub use model::{Cluster, ClusterSpec, ClusterStatus, Pool, PoolSpec, PoolZone, Provider};
pub use networks::SubnetView;
pub use vpc::{VpcClusterRequest, VpcPoolRequest};

/// The fleet of all accounts. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Fleet {
    store: Store,
    clock: Clock,
    runtime: Arc<dyn ClusterRuntime>,
    wake: Arc<Notify>,
    /// Clusters by account, for lists.
    lists: Arc<Cache<String, Vec<Cluster>>>,
}

impl Fleet {
    #[must_use]
    pub fn new(store: Store, clock: Clock, runtime: Arc<dyn ClusterRuntime>) -> Self {
        let lists = Arc::new(Cache::new(Domain::Fleet, 256));
        Self { store, clock, runtime, wake: Arc::default(), lists }
    }

    /// Has the reconciler look at what is due, for instance because the clock was moved.
    pub fn wake(&self) {
        self.wake.notify_one();
    }
}
