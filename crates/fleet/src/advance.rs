//! Bringing a cluster closer to what is wanted: the runtime is asked how far each part is, and the draft says so afterwards.
//!
//! The states, and which go together, are those that clients of the service wait for.

use boatyard_core::clock;
use boatyard_runtime::{
    Health, MachineFacts, MasterOrder, MasterStage, MasterWork, Progress, RemoveOrder, RemoveStage, WorkerOrder, WorkerStage,
    WorkerWork,
};
use boatyard_store::Conn;
use boatyard_store::clusters::{self, ClusterRow};
use jiff::Timestamp;
use tracing::info;

use crate::draft::{Draft, DraftPool, DraftWorker};
use crate::faults::{Troubles, WorkerTarget, WorkerTrouble};
use crate::{ClusterStatus, Fate, Fleet, Result, names};

impl Fleet {
    /// Asks the runtime for everything that is to be done to the cluster, and records how far it is and when to look again.
    ///
    /// `conn` is in a transaction that the draft is saved in if there are `troubles`: they count what they do.
    pub(crate) async fn advance(&self, conn: &mut Conn, draft: &mut Draft, troubles: &Troubles, now: Timestamp) -> Result<()> {
        if draft.row.desired == "absent" {
            return self.advance_removal(draft, now).await;
        }
        let mut next = self.advance_master(conn, draft, troubles, now).await?;
        next = earliest(next, troubles.next_change());
        let state = if draft.status.master_ready_at.is_none() {
            next = earliest(next, self.advance_workers(conn, draft, troubles, now).await?);
            match () {
                () if !draft.status.master_failure.is_empty() => "deploy_failed",
                () if draft.status.master_status == REQUESTED => "requested",
                () => "deploying",
            }
        } else if ["requested", "deploying"].contains(&draft.row.state.as_str()) && !self.runtime.immediate() {
            // Its workers are looked at from the next step on, so that a cluster without ready workers can be seen.
            next = Some(now);
            "pending"
        } else {
            next = earliest(next, self.advance_workers(conn, draft, troubles, now).await?);
            observe_ingress(conn, draft).await?;
            health(draft)
        };
        if draft.row.state != state {
            info!(cluster = %draft.row.id, name = %draft.row.name, from = %draft.row.state, to = state, "cluster changed state");
            state.clone_into(&mut draft.row.state);
            draft.row.state_since = now.as_millisecond();
        }
        draft.row.wake_at = next.map(Timestamp::as_millisecond);
        Ok(())
    }

    async fn advance_removal(&self, draft: &mut Draft, now: Timestamp) -> Result<()> {
        let since = clock::from_ms(draft.status.removal_since.unwrap_or(draft.row.state_since));
        let progress = self.runtime.remove(&RemoveOrder { cluster_id: &draft.row.id, since }, now).await?;
        draft.gone = progress.stage == RemoveStage::Gone;
        draft.row.wake_at = progress.next.map(Timestamp::as_millisecond);
        let shown = match progress.stage {
            RemoveStage::Failed(why) => Some(("delete_failed", "delete_failed", why)),
            _ if draft.row.state == "delete_failed" => Some(("deleting", "deleting", "Delete requested".to_owned())),
            _ => None,
        };
        if let Some((state, master_state, text)) = shown
            && draft.status.master_status != text
        {
            state.clone_into(&mut draft.row.state);
            master_state.clone_into(&mut draft.status.master_state);
            draft.row.state_since = now.as_millisecond();
            draft.status.master_status_since = now.as_millisecond();
            draft.status.master_status = text;
        }
        if draft.gone {
            info!(cluster = %draft.row.id, name = %draft.row.name, account = %draft.row.account_id, "cluster removed");
        }
        Ok(())
    }

    async fn advance_master(
        &self,
        conn: &mut Conn,
        draft: &mut Draft,
        troubles: &Troubles,
        now: Timestamp,
    ) -> Result<Option<Timestamp>> {
        let status = &draft.status;
        let (work, since) = match (status.master_ready_at, status.master_work.as_str()) {
            (None, _) if !status.master_failure.is_empty() => return Ok(None),
            (None, _) => (MasterWork::Deploy, draft.row.created_at),
            (Some(_), "update") => (MasterWork::Update, status.master_work_since),
            (Some(_), "refresh") => (MasterWork::Refresh, status.master_work_since),
            (Some(_), _) => return self.observe_health(draft, now).await,
        };
        let progress = self.runtime.master(&master_order(draft, work, since), now).await?;
        if work == MasterWork::Deploy
            && progress.stage == MasterStage::Ready
            && let Some(failure) = troubles.strike_master(conn, &draft.row.id, &draft.row.name, now).await?
        {
            fail_master(&mut draft.status, work, &failure, now);
            return Ok(None);
        }
        if let MasterStage::Failed(failure) = &progress.stage {
            fail_master(&mut draft.status, work, failure, now);
            return Ok(None);
        }
        observe_master(&mut draft.status, work, &progress);
        if progress.stage == MasterStage::Ready {
            draft.status.version.clone_from(&draft.spec.version);
            draft.status.master_work.clear();
        }
        Ok(progress.next)
    }

    /// Looks at a master to which nothing is done; tells when to look again.
    async fn observe_health(&self, draft: &mut Draft, now: Timestamp) -> Result<Option<Timestamp>> {
        let order = master_order(draft, MasterWork::Deploy, draft.row.created_at);
        let observed = self.runtime.observe(&order, now).await?;
        if let Some(version) = observed.version {
            draft.status.version = version;
        }
        let trouble = match observed.health {
            Health::Good => String::new(),
            Health::Bad(why) => why,
        };
        let status = &mut draft.status;
        if status.master_trouble != trouble {
            status.master_status_since = now.as_millisecond();
            (if trouble.is_empty() { "Ready" } else { &trouble }).clone_into(&mut status.master_status);
            (if trouble.is_empty() { "deployed" } else { "error" }).clone_into(&mut status.master_state);
            status.master_trouble = trouble;
        }
        Ok(observed.next)
    }

    /// Asks for every worker that something is to be done to; tells when the first of them may change.
    async fn advance_workers(
        &self,
        conn: &mut Conn,
        draft: &mut Draft,
        troubles: &Troubles,
        now: Timestamp,
    ) -> Result<Option<Timestamp>> {
        let mut next = None;
        let Draft { row, status, pools, workers, .. } = draft;
        for worker in workers.iter_mut().filter(|worker| worker.row.deleted_at.is_none()) {
            if !troubles.is_empty() && afflict(conn, row, pools, worker, troubles, now).await? {
                continue;
            }
            let Some(work) = worker.work else { continue };
            // A worker joins a master, so everything but its removal waits for that.
            let since = match status.master_ready_at {
                _ if work == WorkerWork::Remove => worker.row.work_since,
                Some(ready) => worker.row.work_since.max(ready),
                None => continue,
            };
            let index = worker.details.place;
            let (cluster_id, worker_id, since) = (&*row.id, &*worker.row.id, clock::from_ms(since));
            let machine = machine_facts(pools, worker);
            let progress =
                self.runtime.worker(&WorkerOrder { cluster_id, worker_id, machine, work, index, since }, now).await?;
            observe_worker(worker, work, &progress, now);
            next = earliest(next, progress.next);
        }
        Ok(next)
    }
}

fn master_order(draft: &Draft, work: MasterWork, since: i64) -> MasterOrder<'_> {
    MasterOrder {
        cluster_id: &draft.row.id,
        name: &draft.row.name,
        version: &draft.spec.version,
        pod_subnet: &draft.spec.pod_subnet,
        service_subnet: &draft.spec.service_subnet,
        work,
        since: clock::from_ms(since),
    }
}

fn machine_facts<'a>(pools: &'a [DraftPool], worker: &'a DraftWorker) -> MachineFacts<'a> {
    let (row, details) = (&worker.row, &worker.details);
    let pool = pools.iter().find(|pool| pool.row.id == row.pool_id);
    // A reload brings what is next.
    let newer = |next: &'a str, present: &'a str| if next.is_empty() { present } else { next };
    MachineFacts {
        address: &row.address,
        zone: &row.zone,
        pool: pool.map_or("", |pool| &pool.row.name),
        flavor: pool.map_or("", |pool| &pool.spec.flavor),
        operating_system: newer(&details.next_operating_system, &details.operating_system),
        version: newer(&details.next_version, &details.version),
    }
}

/// What was asked for of the master will not be. One that was never there ends the cluster's deployment; any other goes on as it was.
fn fail_master(status: &mut ClusterStatus, work: MasterWork, failure: &str, now: Timestamp) {
    if work == MasterWork::Deploy {
        status.master_state = "deploy_failed".to_owned();
        failure.clone_into(&mut status.master_failure);
    } else {
        status.master_state = "update_failed".to_owned();
        status.master_work.clear();
    }
    failure.clone_into(&mut status.master_status);
    status.master_status_since = now.as_millisecond();
}

/// Lets faults act on a worker; tells whether it is stuck where it is.
async fn afflict(
    conn: &mut Conn,
    cluster: &ClusterRow,
    pools: &[DraftPool],
    worker: &mut DraftWorker,
    troubles: &Troubles,
    now: Timestamp,
) -> Result<bool> {
    let target = WorkerTarget {
        cluster_id: &cluster.id,
        cluster_name: &cluster.name,
        pool_id: &worker.row.pool_id,
        pool_name: pools.iter().find(|pool| pool.row.id == worker.row.pool_id).map_or("", |pool| &pool.row.name),
        worker_id: &worker.row.id,
        zone: &worker.row.zone,
    };
    if worker.is_healthy() {
        if let Some(failure) = troubles.strike_ready_worker(conn, &target, now).await? {
            worker.details.failure = failure;
        }
    } else if worker.work == Some(WorkerWork::Deploy) && worker.details.fate.is_none() {
        match troubles.strike_worker(conn, &target, now).await? {
            Some(WorkerTrouble::Stuck(_)) => return Ok(true),
            Some(WorkerTrouble::ProvisionFailed(text)) => worker.details.fate = Some(Fate::ProvisionFailed(text)),
            Some(WorkerTrouble::Critical(text)) => worker.details.fate = Some(Fate::Critical(text)),
            None => {}
        }
    }
    Ok(false)
}

fn earliest(a: Option<Timestamp>, b: Option<Timestamp>) -> Option<Timestamp> {
    [a, b].into_iter().flatten().min()
}

pub(crate) const REQUESTED: &str = "Deploy requested";

/// The cluster's state, once its master is there.
fn health(draft: &Draft) -> &'static str {
    let staying = || draft.workers.iter().filter(|worker| worker.stays());
    if !draft.status.master_trouble.is_empty() {
        return "critical";
    }
    let (all, healthy) = (staying().count(), staying().filter(|worker| worker.is_healthy()).count());
    match healthy {
        healthy if healthy == all => "normal",
        0 if staying().any(|worker| worker.work == Some(WorkerWork::Deploy)) => "pending",
        0 if staying().any(|worker| worker.work.is_some()) => "warning",
        0 => "critical",
        _ => "warning",
    }
}

fn observe_master(status: &mut ClusterStatus, work: MasterWork, master: &Progress<MasterStage>) {
    let (state, text) = match (&master.stage, work) {
        (MasterStage::Requested, _) => ("deploying", REQUESTED),
        (MasterStage::Deploying, _) => ("deploying", "Deploy in progress"),
        (MasterStage::Updating, MasterWork::Refresh) => ("updating", "Refresh in progress"),
        (MasterStage::Updating, _) => ("updating", "Version update in progress"),
        (MasterStage::Ready, _) => ("deployed", "Ready"),
        // Whoever asks has looked at that.
        (MasterStage::Failed(_), _) => return,
    };
    if status.master_status != text {
        status.master_status_since = master.since.as_millisecond();
    }
    state.clone_into(&mut status.master_state);
    text.clone_into(&mut status.master_status);
    if master.stage == MasterStage::Ready && status.master_ready_at.is_none() {
        status.master_ready_at = Some(master.since.as_millisecond());
    }
}

fn observe_worker(worker: &mut DraftWorker, work: WorkerWork, progress: &Progress<WorkerStage>, now: Timestamp) {
    if let WorkerStage::Failed(failure) = &progress.stage {
        let details = &mut worker.details;
        failure.clone_into(&mut details.failure);
        details.next_version.clear();
        details.next_operating_system.clear();
        // A removal goes on, since the worker is wanted no more.
        if work != WorkerWork::Remove {
            worker.work = None;
        }
        let state = match work {
            WorkerWork::Deploy => "provision_failed",
            WorkerWork::Reload => "reloading_failed",
            // It is what it was before, and does not serve.
            WorkerWork::Reboot => "deployed",
            WorkerWork::Remove => "deleting",
        };
        worker.show(state, now.as_millisecond());
        return;
    }
    let provisioned = !matches!(progress.stage, WorkerStage::ProvisionPending | WorkerStage::Provisioning);
    let state = match &worker.details.fate {
        Some(Fate::ProvisionFailed(failure)) if provisioned => {
            worker.details.failure.clone_from(failure);
            worker.work = None;
            "provision_failed"
        }
        _ => {
            if progress.stage == WorkerStage::Done {
                done(worker, work, progress.since.as_millisecond());
            }
            state_name(&progress.stage, work)
        }
    };
    worker.show(state, now.as_millisecond());
}

/// What was asked for is done.
fn done(worker: &mut DraftWorker, work: WorkerWork, at: i64) {
    worker.work = None;
    let details = &mut worker.details;
    match work {
        WorkerWork::Remove => worker.row.deleted_at = Some(at),
        WorkerWork::Reload => {
            details.version = std::mem::take(&mut details.next_version);
            details.operating_system = std::mem::take(&mut details.next_operating_system);
            details.failure.clear();
        }
        WorkerWork::Reboot => details.failure.clear(),
        WorkerWork::Deploy => match details.fate.take() {
            Some(Fate::Critical(failure)) => details.failure = failure,
            _ => details.failure.clear(),
        },
    }
}

fn state_name(stage: &WorkerStage, work: WorkerWork) -> &'static str {
    match stage {
        WorkerStage::ProvisionPending => "provision_pending",
        WorkerStage::Provisioning => "provisioning",
        WorkerStage::Provisioned => "provisioned",
        WorkerStage::ReloadPending => "reload_pending",
        WorkerStage::Reloading => "reloading",
        WorkerStage::Deploying => "deploying",
        WorkerStage::Deleting => "deleting",
        WorkerStage::Done if work == WorkerWork::Remove => "deleted",
        WorkerStage::Done | WorkerStage::Failed(_) => "deployed",
    }
}

/// The Ingress subdomain appears with the first ready worker and stays.
async fn observe_ingress(conn: &mut Conn, draft: &mut Draft) -> Result<()> {
    if !draft.status.ingress_hostname.is_empty() || !draft.workers.iter().any(DraftWorker::is_healthy) {
        return Ok(());
    }
    let row = &draft.row;
    let mut label = names::ingress_label(&row.name, &row.account_id, false);
    if clusters::reconcile_ingress_taken(conn, &row.account_id, &label).await? {
        label = names::ingress_label(&row.name, &row.account_id, true);
    }
    draft.status.ingress_hostname = format!("{label}.{}.containers.appdomain.cloud", row.region);
    draft.status.ingress_secret = label;
    Ok(())
}
