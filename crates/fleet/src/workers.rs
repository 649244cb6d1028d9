//! Workers: listed, added, started anew, reloaded, replaced, removed.

use std::collections::BTreeSet;

use boatyard_iam::Caller;
use boatyard_runtime::WorkerWork;
use boatyard_store::{networks, workers};

use crate::change::{ClusterTarget, lookup_in};
use crate::draft::{Draft, DraftWorker};
use crate::pools::named;
use crate::{Cluster, Error, Fleet, Pool, Provider, Result, Worker};

/// A cluster with its workers, read together.
#[derive(Clone, Debug)]
pub struct ClusterWorkers {
    pub cluster: Cluster,
    pub workers: Vec<Worker>,
}

/// Which workers of a cluster are listed.
#[derive(Clone, Copy, Debug, Default)]
pub struct WorkerFilter<'a> {
    /// ID or name of a pool.
    pub pool: Option<&'a str>,
    /// Also those that are gone, for as long as they are remembered.
    pub deleted: bool,
}

/// What can be done to a worker that stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WorkerAction {
    /// Starts it anew. It keeps its ID, its version and its address.
    Reboot,
    /// Installs its system anew, as its pool has it now, in its present version.
    Reload,
    /// Installs its system anew, in the version of the master. For classic clusters; workers on VPC are replaced.
    Update,
}

impl Fleet {
    /// The workers of a cluster in the order in which they were asked for.
    ///
    /// # Errors
    /// [`Error::ClusterNotFound`]; [`Error::PoolNotFound`] for a pool that never was.
    pub async fn workers(&self, target: ClusterTarget<'_>, filter: WorkerFilter<'_>) -> Result<ClusterWorkers> {
        let mut all = self.workers_all(target).await?;
        all.workers.retain(|worker| filter.deleted || !worker.is_gone());
        if let Some(wanted) = filter.pool.filter(|pool| !pool.is_empty()) {
            // Workers know the name of their pool also when it was removed.
            let known = all.cluster.pools.iter().any(|pool| pool.id == wanted || pool.name == wanted);
            all.workers.retain(|worker| worker.pool_id == wanted || worker.pool_name == wanted);
            if !known && all.workers.is_empty() && !filter.deleted {
                return Err(Error::PoolNotFound);
            }
        }
        Ok(all)
    }

    /// A worker of a cluster, also one that is gone but remembered.
    ///
    /// # Errors
    /// [`Error::ClusterNotFound`], [`Error::WorkerNotFound`].
    pub async fn worker(&self, target: ClusterTarget<'_>, id: &str) -> Result<(Cluster, Worker)> {
        let id = named(id, "worker node")?;
        let ClusterWorkers { cluster, workers } = self.workers_all(target).await?;
        let worker = workers.into_iter().find(|worker| worker.id == id).ok_or(Error::WorkerNotFound)?;
        Ok((cluster, worker))
    }

    /// A worker by its ID alone, which names its cluster.
    ///
    /// # Errors
    /// [`Error::WorkerNotFound`], also for workers of other accounts.
    pub async fn worker_anywhere(&self, caller: &Caller, id: &str) -> Result<(Cluster, Worker)> {
        let cluster = id.split('-').nth(1).filter(|part| !part.is_empty()).ok_or(Error::WorkerNotFound)?;
        self.worker(ClusterTarget { caller, cluster, group: None }, id).await.map_err(|error| match error {
            Error::ClusterNotFound => Error::WorkerNotFound,
            error => error,
        })
    }

    async fn workers_all(&self, target: ClusterTarget<'_>) -> Result<ClusterWorkers> {
        let mut conn = self.store.read().await?;
        let row = lookup_in(&mut conn, target).await?;
        let pool_rows = workers::pools(&mut conn, &row.id).await?;
        let worker_rows = workers::list(&mut conn, &row.id).await?;
        let cluster = Cluster::from_row(&row, &pool_rows)?;
        let pools = pool_rows.iter().map(Pool::from_row).collect::<Result<Vec<_>>>()?;
        let mut workers = worker_rows.iter().map(|row| Worker::from_row(row, &pools)).collect::<Result<Vec<_>>>()?;
        if cluster.provider == Provider::VpcGen2 {
            let ids: BTreeSet<_> = workers.iter().map(|worker| worker.network_id.clone()).collect();
            for id in ids {
                let subnet = networks::subnet_get(&mut conn, &row.account_id, &id).await?;
                let cidr = subnet.map(|subnet| subnet.cidr).unwrap_or_default();
                workers.iter_mut().filter(|worker| worker.network_id == id).for_each(|worker| worker.cidr.clone_from(&cidr));
            }
        }
        Ok(ClusterWorkers { cluster, workers })
    }

    /// Adds workers to the cluster's first pool, as the oldest form of the API has it: the pool grows by `count` in its one zone.
    ///
    /// # Errors
    /// If the pool has several zones, where a pool is resized instead.
    pub async fn workers_add(&self, target: ClusterTarget<'_>, count: i64, machine_type: Option<&str>) -> Result<()> {
        let count = usize::try_from(count).ok().filter(|count| *count > 0);
        let count = count.ok_or_else(|| Error::Missing("Specify in 'workerNum' how many worker nodes to add.".to_owned()))?;
        self.change(target, "workers add", |draft, now| {
            let pool = draft.pools.iter().position(|pool| !pool.is_gone()).ok_or(Error::PoolNotFound)?;
            let spec = &mut draft.pools[pool].spec;
            if spec.zones.len() != 1 {
                let text = "The cluster's first worker pool has several zones or none. Resize a worker pool instead.";
                return Err(Error::Invalid(text.to_owned()));
            }
            if let Some(other) = machine_type.filter(|wanted| !wanted.is_empty() && *wanted != spec.flavor) {
                let text = format!(
                    "The cluster's first worker pool has the flavor '{}'. For worker nodes of the flavor '{other}', create a worker pool.",
                    spec.flavor
                );
                return Err(Error::Invalid(text));
            }
            spec.size_per_zone = spec.size_per_zone.saturating_add(count).min(crate::draft::MOST_WORKERS + 1);
            draft.pool_fill(pool, now.as_millisecond())
        })
        .await
    }

    /// Reboots, reloads or updates a worker. Asked for again while it is being done, this changes nothing.
    ///
    /// # Errors
    /// [`Error::WorkerNotFound`]; [`Error::WorkerBusy`] while something else is being done to the worker;
    /// [`Error::ProviderNotPermitted`] for an update on VPC.
    pub async fn worker_do(&self, target: ClusterTarget<'_>, id: &str, action: WorkerAction) -> Result<()> {
        let (work, verb, what) = match action {
            WorkerAction::Reboot => (WorkerWork::Reboot, "rebooted", "worker reboot"),
            WorkerAction::Reload => (WorkerWork::Reload, "reloaded", "worker reload"),
            WorkerAction::Update => (WorkerWork::Reload, "updated", "worker update"),
        };
        self.change(target, what, |draft, now| {
            if action == WorkerAction::Update && draft.provider() == Provider::VpcGen2 {
                return Err(Error::ProviderNotPermitted);
            }
            let master = draft.version().to_owned();
            let (systems, worker) = (systems(draft), draft.worker_mut(id)?);
            match worker.work {
                Some(current) if current == work => return Ok(()),
                Some(_) => return Err(busy(worker, verb)),
                None if work == WorkerWork::Reboot && worker.row.state != "deployed" => return Err(busy(worker, verb)),
                None => {}
            }
            worker.begin(work, now.as_millisecond());
            if work == WorkerWork::Reload {
                let details = &mut worker.details;
                details.next_version = if action == WorkerAction::Update { master } else { details.version.clone() };
                let system = systems.into_iter().find(|(pool, _)| *pool == worker.row.pool_id).map(|(_, system)| system);
                details.next_operating_system = system.unwrap_or_else(|| details.operating_system.clone());
            }
            Ok(())
        })
        .await
    }

    /// Removes a worker; its pool keeps its size, and is filled up again by a rebalance or a resize.
    ///
    /// # Errors
    /// [`Error::WorkerNotFound`].
    pub async fn worker_remove(&self, target: ClusterTarget<'_>, id: &str) -> Result<()> {
        let id = named(id, "worker node")?;
        self.change(target, "worker remove", |draft, now| {
            let worker = draft.worker_mut(id)?;
            if worker.stays() {
                worker.begin(WorkerWork::Remove, now.as_millisecond());
            }
            Ok(())
        })
        .await
    }

    /// Removes a worker and asks for another one in its pool and zone, in the version of the master if `update` is set. New workers
    /// get that version in any case where the old one's is not to be had any more.
    ///
    /// # Errors
    /// [`Error::WorkerNotFound`], [`Error::WorkerBusy`] if it is being removed, or if addresses are used up.
    pub async fn worker_replace(&self, target: ClusterTarget<'_>, id: &str, update: bool) -> Result<()> {
        let id = named(id, "worker node")?;
        self.change(target, "worker replace", |draft, now| {
            let now = now.as_millisecond();
            let worker = draft.worker_mut(id)?;
            if !worker.stays() {
                return Err(busy(worker, "replaced"));
            }
            worker.begin(WorkerWork::Remove, now);
            let (pool_id, zone, version) =
                (worker.row.pool_id.clone(), worker.row.zone.clone(), worker.details.version.clone());
            let Ok(pool) = draft.pool_index(&pool_id) else { return Ok(()) };
            let there = draft.pools[pool].spec.zones.iter().find(|known| known.id == zone).cloned();
            // The pool may have left the zone, and then wants no worker there.
            let Some(zone) = there else { return Ok(()) };
            draft.worker_add(pool, &zone, now)?;
            if let Some(new) = draft.workers.last_mut().filter(|_| !update && !version.is_empty()) {
                new.details.version = version;
            }
            Ok(())
        })
        .await
    }
}

fn busy(worker: &DraftWorker, verb: &'static str) -> Error {
    Error::WorkerBusy { state: worker.row.state.clone(), verb }
}

/// The system of each pool's workers.
fn systems(draft: &Draft) -> Vec<(String, String)> {
    draft.pools.iter().map(|pool| (pool.row.id.clone(), pool.spec.operating_system.clone())).collect()
}
