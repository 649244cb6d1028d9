//! Clusters, pools, workers and networks: the rules of the container service. No HTTP and no SQL.
//!
//! A request writes what is wanted and returns; the [reconciler](Fleet::run) compares it with what the runtime reports and
//! moves the rows, one idempotent step after another, so that a crash at any instant loses and doubles nothing.

pub mod addons;
mod addresses;
mod advance;
pub mod catalog;
mod change;
mod classic;
pub mod classic_subnets;
mod clusters;
mod create;
mod declare;
mod declare_networks;
pub mod dedicated_hosts;
mod draft;
mod error;
mod faults;
pub mod infrastructure;
mod inventory;
mod masters;
mod model;
mod names;
mod networks;
mod pools;
mod ranges;
mod reconcile;
mod upgrade;
mod vpc;
mod workers;

use std::sync::Arc;

use boatyard_core::Clock;
use boatyard_runtime::ClusterRuntime;
use boatyard_store::{Cache, Domain, Store};
use tokio::sync::Notify;

pub use boatyard_store::networks::{Subnet, Vlan, Vpc};
pub use boatyard_store::portable_subnets::Kind as SubnetKind;
pub use catalog::{Catalog, Support};
pub use change::ClusterTarget;
pub use classic::ClassicClusterRequest;
pub use clusters::ListFilter;
pub use create::Group;
pub use declare::{ClusterOrder, DeclaredCluster, DeclaredPool, Refused};
pub use declare_networks::{DeclaredSubnet, DeclaredVlan, DeclaredVpc};
pub use error::{Error, Result};
pub use faults::{
    Effect, Fault, FaultError, FaultOrder, FaultState, HttpError, Operations, Scenario, ScenarioOrder, Target, When, scenarios,
};
pub use inventory::Inventory;
pub use masters::Endpoint;
pub use model::{Addon, Cluster, ClusterSpec, ClusterStatus, Fate, Pool, PoolSpec, PoolZone, Provider, Worker, WorkerDetails};
pub use networks::SubnetView;
pub use pools::{ClassicPoolRequest, ZoneRequest};
pub use vpc::{VpcClusterRequest, VpcPoolRequest};
pub use workers::{ClusterWorkers, WorkerAction, WorkerFilter};

/// The fleet of all accounts. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Fleet {
    store: Store,
    clock: Clock,
    runtime: Arc<dyn ClusterRuntime>,
    wake: Arc<Notify>,
    catalog: Catalog,
    /// Clusters by account, for lists.
    lists: Arc<Cache<String, Vec<Cluster>>>,
    hints: Arc<addresses::Hints>,
    /// All faults, under one key.
    faults: Arc<Cache<String, Vec<Fault>>>,
}

impl Fleet {
    #[must_use]
    pub fn new(store: Store, clock: Clock, runtime: Arc<dyn ClusterRuntime>, catalog: Catalog) -> Self {
        let lists = Arc::new(Cache::new(Domain::Fleet, 256));
        let faults = Arc::new(Cache::new(Domain::Faults, 1));
        Self { store, clock, runtime, wake: Arc::default(), catalog, lists, hints: Arc::default(), faults }
    }

    /// What there is to choose from.
    #[must_use]
    pub fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    /// Which versions have support now: a fault may have ended it early.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn support(&self) -> Result<Support> {
        let now = self.clock.now();
        let troubles = faults::Troubles::load(self, &mut *self.store.read().await?, now).await?;
        Ok(Support { ended: troubles.ended_versions(), ..Support::at(now) })
    }

    /// Has the reconciler look at what is due, for instance because the clock was moved.
    pub fn wake(&self) {
        self.wake.notify_one();
    }
}
