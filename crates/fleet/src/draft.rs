//! A cluster with everything of it, read for a change and written back in one transaction.

use std::collections::BTreeMap;

use boatyard_runtime::WorkerWork;
use boatyard_store::clusters::{self, ClusterRow};
use boatyard_store::workers::{self, PoolRow, WorkerRow};
use boatyard_store::{Conn, Tx};

use crate::model::{WorkerDetails, decode, encode};
use crate::{ClusterSpec, ClusterStatus, Error, PoolSpec, PoolZone, Provider, Result, names};

/// The largest number of workers a cluster can have.
pub(crate) const MOST_WORKERS: usize = 500;
/// The largest number of worker pools.
const MOST_POOLS: usize = 100;

pub(crate) struct Draft {
    pub row: ClusterRow,
    pub spec: ClusterSpec,
    pub status: ClusterStatus,
    pub pools: Vec<DraftPool>,
    /// Those that are not gone, in the order in which they were asked for.
    pub workers: Vec<DraftWorker>,
    /// Nothing of the cluster is left; it is forgotten when this is saved.
    pub gone: bool,
    is_new: bool,
}

pub(crate) struct DraftPool {
    pub row: PoolRow,
    pub spec: PoolSpec,
    stored: Option<PoolRow>,
}

pub(crate) struct DraftWorker {
    pub row: WorkerRow,
    pub details: WorkerDetails,
    pub work: Option<WorkerWork>,
    stored: Option<WorkerRow>,
}

impl DraftPool {
    pub(crate) fn is_gone(&self) -> bool {
        self.row.deleted_at.is_some()
    }
}

impl DraftWorker {
    /// Whether it is there to stay: not removed, and not being removed.
    pub(crate) fn stays(&self) -> bool {
        self.row.deleted_at.is_none() && self.work != Some(WorkerWork::Remove)
    }

    pub(crate) fn is_healthy(&self) -> bool {
        self.work.is_none() && self.row.state == "deployed" && self.details.failure.is_empty()
    }

    pub(crate) fn show(&mut self, state: &str, now: i64) {
        if self.row.state != state {
            state.clone_into(&mut self.row.state);
            self.row.state_since = now;
        }
    }

    /// Begins something new with the worker; what was being done to it is dropped. It shows at once, since clients look for the end
    /// of it from now on.
    pub(crate) fn begin(&mut self, work: WorkerWork, now: i64) {
        let state = match work {
            WorkerWork::Deploy => "provision_pending",
            WorkerWork::Reload => "reload_pending",
            WorkerWork::Reboot => "deploying",
            WorkerWork::Remove => "deleting",
        };
        self.show(state, now);
        self.work = Some(work);
        self.row.work_since = now;
        self.details.fate = None;
    }
}

impl Draft {
    /// A cluster that is not stored yet.
    pub(crate) fn new(row: ClusterRow, spec: ClusterSpec, status: ClusterStatus) -> Self {
        Self { row, spec, status, pools: Vec::new(), workers: Vec::new(), gone: false, is_new: true }
    }

    /// Everything of a stored cluster but the workers that are gone, which nothing changes any more.
    pub(crate) async fn load(conn: &mut Conn, row: ClusterRow) -> Result<Self> {
        let pools = workers::pools(conn, &row.id).await?.into_iter();
        let pools = pools.map(|row| Ok(DraftPool { spec: decode(&row.spec)?, stored: Some(row.clone()), row }));
        let pools = pools.collect::<Result<_>>()?;
        let workers = workers::living(conn, &row.id).await?.into_iter();
        let workers = workers.map(|row| {
            let (details, work) = (decode(&row.spec)?, work_of(&row.work));
            Ok(DraftWorker { details, work, stored: Some(row.clone()), row })
        });
        let workers = workers.collect::<Result<_>>()?;
        let (spec, status) = (decode(&row.spec)?, decode(&row.status)?);
        Ok(Self { row, spec, status, pools, workers, gone: false, is_new: false })
    }

    pub(crate) fn provider(&self) -> Provider {
        Provider::of(&self.row.provider)
    }

    /// VLANs on which a cluster that is new gets a portable subnet.
    pub(crate) fn wanted_subnets(&self) -> Vec<String> {
        let vlans = self.pools.iter().filter(|_| self.is_new && !self.spec.no_subnet).flat_map(|pool| pool.spec.vlans());
        vlans.map(str::to_owned).collect()
    }

    /// The version that the master runs, or will run first.
    pub(crate) fn version(&self) -> &str {
        if self.status.version.is_empty() { &self.spec.version } else { &self.status.version }
    }

    /// Index of the pool with that ID, or else with that name.
    pub(crate) fn pool_index(&self, id_or_name: &str) -> Result<usize> {
        let there = || self.pools.iter().enumerate().filter(|(_, pool)| !pool.is_gone());
        let by_id = there().find(|(_, pool)| pool.row.id == id_or_name);
        let found = by_id.or_else(|| there().find(|(_, pool)| pool.row.name == id_or_name));
        found.map(|(index, _)| index).ok_or(Error::PoolNotFound)
    }

    /// The worker with that ID, unless it is gone.
    pub(crate) fn worker_mut(&mut self, id: &str) -> Result<&mut DraftWorker> {
        let found = self.workers.iter_mut().find(|worker| worker.row.id == id && worker.row.deleted_at.is_none());
        found.ok_or(Error::WorkerNotFound)
    }

    /// Adds a pool without workers.
    pub(crate) fn pool_add(&mut self, name: &str, spec: PoolSpec, now: i64) -> Result<usize> {
        if self.pools.iter().any(|pool| !pool.is_gone() && pool.row.name == name) {
            return Err(Error::PoolNameTaken);
        }
        if self.pools.iter().filter(|pool| !pool.is_gone()).count() >= MOST_POOLS {
            return Err(Error::Invalid(format!("A cluster can have at most {MOST_POOLS} worker pools.")));
        }
        let row = PoolRow {
            id: names::pool_id(&self.row.id),
            cluster_id: self.row.id.clone(),
            name: name.to_owned(),
            spec: String::new(),
            created_at: now,
            deleted_at: None,
        };
        self.pools.push(DraftPool { row, spec, stored: None });
        Ok(self.pools.len() - 1)
    }

    /// Brings the number of workers of a pool in each of its zones to the pool's size: asks for those that are missing, and lets the
    /// youngest of those too many go, the ones that do not serve first.
    pub(crate) fn pool_fill(&mut self, pool: usize, now: i64) -> Result<()> {
        for zone in self.pools[pool].spec.zones.clone() {
            let there = self.workers_in(pool, &zone.id);
            let size = self.pools[pool].spec.size_per_zone;
            for _ in there.len()..size {
                self.worker_add(pool, &zone, now)?;
            }
            let mut surplus = there;
            surplus.sort_by_key(|&index| (self.workers[index].is_healthy(), std::cmp::Reverse(index)));
            for index in surplus.iter().take(surplus.len().saturating_sub(size)) {
                self.workers[*index].begin(WorkerWork::Remove, now);
            }
        }
        Ok(())
    }

    /// Indexes of the workers of a pool in a zone that are there to stay, oldest first.
    pub(crate) fn workers_in(&self, pool: usize, zone: &str) -> Vec<usize> {
        let pool_id = &self.pools[pool].row.id;
        let of_zone = |w: &DraftWorker| w.stays() && w.row.pool_id == *pool_id && w.row.zone == zone;
        self.workers.iter().enumerate().filter(|(_, w)| of_zone(w)).map(|(index, _)| index).collect()
    }

    /// Numbers the workers that something was asked for at `now`: where each stands stays as it is while others finish.
    pub(crate) fn places(&mut self, now: i64) {
        let mut next = BTreeMap::new();
        for worker in self.workers.iter_mut().filter(|worker| worker.row.work_since == now) {
            if let Some(work) = worker.work {
                let place = next.entry(work_name(Some(work))).or_insert(0);
                worker.details.place = *place;
                *place += 1;
            }
        }
    }

    /// Asks for one more worker; it gets its address when the draft is saved.
    pub(crate) fn worker_add(&mut self, pool: usize, zone: &PoolZone, now: i64) -> Result<()> {
        if self.workers.iter().filter(|worker| worker.stays()).count() >= MOST_WORKERS {
            return Err(Error::Invalid(format!("A cluster can have at most {MOST_WORKERS} worker nodes.")));
        }
        self.status.workers_made += 1;
        let version = self.version().to_owned();
        let pool = &self.pools[pool];
        let network = zone.subnet_id.as_ref().or(zone.private_vlan.as_ref());
        let details = WorkerDetails {
            version,
            operating_system: pool.spec.operating_system.clone(),
            private_vlan: zone.private_vlan.clone().unwrap_or_default(),
            public_vlan: zone.public_vlan.clone().unwrap_or_default(),
            ..WorkerDetails::default()
        };
        let row = WorkerRow {
            id: names::worker_id(&self.row.id, &self.row.name, &pool.row.name, self.status.workers_made),
            cluster_id: self.row.id.clone(),
            pool_id: pool.row.id.clone(),
            zone: zone.id.clone(),
            network_id: network.cloned().unwrap_or_default(),
            address: String::new(),
            state: "provision_pending".to_owned(),
            state_since: now,
            work: String::new(),
            work_since: now,
            spec: String::new(),
            created_at: now,
            deleted_at: None,
        };
        self.workers.push(DraftWorker { row, details, work: Some(WorkerWork::Deploy), stored: None });
        Ok(())
    }

    /// Writes what is new or was changed. The transaction is the caller's, and is to be dropped if this fails.
    ///
    /// # Errors
    /// [`Error::Busy`] if somebody else wrote since it was read; [`Error::ClusterNameTaken`].
    pub(crate) async fn save(mut self, tx: &mut Tx) -> Result<()> {
        if self.gone {
            return Ok(clusters::delete(tx, &self.row).await?);
        }
        self.row.spec = encode(&self.spec);
        self.row.status = encode(&self.status);
        self.row.ingress_label.clone_from(&self.status.ingress_secret);
        if self.is_new {
            clusters::insert(tx, &self.row).await.map_err(|error| unless_duplicate(error, Error::ClusterNameTaken))?;
        } else {
            clusters::update(tx, &self.row).await?;
        }
        for pool in &mut self.pools {
            pool.row.spec = encode(&pool.spec);
            match &pool.stored {
                None => workers::pool_insert(tx, &pool.row).await.map_err(|e| unless_duplicate(e, Error::PoolNameTaken))?,
                Some(stored) if *stored != pool.row => workers::pool_update(tx, &pool.row).await?,
                Some(_) => {}
            }
        }
        for worker in &mut self.workers {
            worker.row.spec = encode(&worker.details);
            work_name(worker.work).clone_into(&mut worker.row.work);
            if worker.stored.as_ref().is_some_and(|stored| *stored != worker.row) {
                workers::update(tx, &worker.row).await?;
            }
        }
        let new: Vec<_> = self.workers.iter().filter(|worker| worker.stored.is_none()).map(|worker| &worker.row).collect();
        // Somebody else took an address in the meantime.
        workers::insert(tx, &new).await.map_err(|error| unless_duplicate(error, Error::Busy))
    }
}

fn unless_duplicate(error: boatyard_store::Error, meaning: Error) -> Error {
    match error {
        boatyard_store::Error::Duplicate => meaning,
        error => error.into(),
    }
}

fn work_name(work: Option<WorkerWork>) -> &'static str {
    match work {
        None => "",
        Some(WorkerWork::Deploy) => "deploy",
        Some(WorkerWork::Reload) => "reload",
        Some(WorkerWork::Reboot) => "reboot",
        Some(WorkerWork::Remove) => "remove",
    }
}

fn work_of(name: &str) -> Option<WorkerWork> {
    [WorkerWork::Deploy, WorkerWork::Reload, WorkerWork::Reboot, WorkerWork::Remove]
        .into_iter()
        .find(|work| work_name(Some(*work)) == name)
}
