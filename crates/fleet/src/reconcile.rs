//! The reconciler: brings what was observed closer to what is wanted, one cluster and one transaction at a time.

use std::time::Duration;

use boatyard_core::clock;
use boatyard_runtime::{MasterOrder, MasterStage, Progress, RemoveOrder, RemoveStage, WorkerOrder, WorkerStage};
use boatyard_store::clusters::{self, ClusterRow};
use boatyard_store::workers::{self, WorkerRow};
use boatyard_store::{Domain, Tx};
use jiff::Timestamp;
use tracing::{debug, info, warn};

use crate::model::{decode, encode};
use crate::{ClusterSpec, ClusterStatus, Error, Fleet, Result, names};

/// How many due clusters are fetched at once.
const BATCH: i64 = 64;
/// How long to wait at most before looking into the database again; other replicas may have written.
const LONGEST_WAIT: Duration = Duration::from_secs(1);
/// How long a cluster that could not be worked on is left alone.
const AFTER_FAILURE_MS: i64 = 5_000;

impl Fleet {
    /// Works until dropped. Several may run, in one process or many: a step that finds the row changed is void.
    pub async fn run(&self) {
        loop {
            match self.pass().await {
                Ok(true) => {}
                Ok(false) => self.wait().await,
                Err(error) => {
                    warn!(%error, "the reconciler could not read what is due");
                    tokio::time::sleep(LONGEST_WAIT).await;
                }
            }
        }
    }

    /// Steps every cluster that is due; tells whether there was any.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn pass(&self) -> Result<bool> {
        let now = self.clock.now().as_millisecond();
        let due = clusters::reconcile_due(&mut *self.store.read().await?, now, BATCH).await?;
        for id in &due {
            self.attempt(id).await;
        }
        Ok(!due.is_empty())
    }

    /// Waits until the next cluster is due, or something was written.
    async fn wait(&self) {
        let next = async { clusters::reconcile_next(&mut *self.store.read().await?).await }.await;
        let now = self.clock.now().as_millisecond();
        let until = next.ok().flatten().map_or(LONGEST_WAIT, |at| Duration::from_millis(u64::try_from(at - now).unwrap_or(0)));
        // Either way the database is asked again, so it does not matter which ends the wait.
        let _ = tokio::time::timeout(until.min(LONGEST_WAIT), self.wake.notified()).await;
    }

    /// After a request wrote something: a runtime that is done at once is waited for, so that the request's effect is complete by
    /// the time it could be observed twice; others are left to the reconciler.
    pub(crate) async fn settle(&self, id: &str) {
        if self.runtime.immediate() {
            self.attempt(id).await;
        } else {
            self.wake.notify_one();
        }
    }

    async fn attempt(&self, id: &str) {
        match self.step(id).await {
            Ok(()) => {}
            // Somebody else moved the row; it is due again if there is more to do.
            Err(Error::Busy) => debug!(cluster = id, "step was void"),
            Err(error) => {
                warn!(cluster = id, %error, "step failed, will be tried again");
                if let Err(error) = self.put_off(id).await {
                    warn!(cluster = id, %error, "cluster could not be put off");
                }
            }
        }
    }

    async fn put_off(&self, id: &str) -> Result<()> {
        let mut tx = self.store.write(Domain::Fleet).await?;
        if let Some(mut row) = clusters::reconcile_get(&mut tx, id).await? {
            row.wake_at = Some(self.clock.now().as_millisecond() + AFTER_FAILURE_MS);
            clusters::update(&mut tx, &row).await?;
        }
        Ok(tx.commit().await?)
    }

    /// One step of one cluster. Idempotent: it asks the runtime again for everything and records what it finds.
    async fn step(&self, id: &str) -> Result<()> {
        let mut conn = self.store.read().await?;
        let Some(row) = clusters::reconcile_get(&mut conn, id).await? else { return Ok(()) };
        let workers = workers::list(&mut conn, id).await?;
        drop(conn);
        if row.desired == "absent" { self.step_removal(row).await } else { self.step_deployment(row, &workers).await }
    }

    async fn step_removal(&self, mut row: ClusterRow) -> Result<()> {
        let now = self.clock.now();
        let status: ClusterStatus = decode(&row.status)?;
        let since = clock::from_ms(status.removal_since.unwrap_or(row.state_since));
        let progress = self.runtime.remove(&RemoveOrder { cluster_id: &row.id, since }, now).await?;
        let mut tx = self.store.write(Domain::Fleet).await?;
        if progress.stage == RemoveStage::Gone {
            clusters::delete(&mut tx, &row).await?;
            tx.commit().await?;
            info!(cluster = %row.id, name = %row.name, account = %row.account_id, "cluster removed");
            return Ok(());
        }
        row.wake_at = progress.next.map(Timestamp::as_millisecond);
        clusters::update(&mut tx, &row).await?;
        Ok(tx.commit().await?)
    }

    async fn step_deployment(&self, mut row: ClusterRow, workers: &[WorkerRow]) -> Result<()> {
        let now = self.clock.now();
        let spec: ClusterSpec = decode(&row.spec)?;
        let mut status: ClusterStatus = decode(&row.status)?;
        let since = clock::from_ms(row.created_at);
        let order = MasterOrder { cluster_id: &row.id, version: &spec.version, since };
        let master = self.runtime.master(&order, now).await?;
        let mut next = master.next;

        let mut tx = self.store.write(Domain::Fleet).await?;
        let state = if master.stage < MasterStage::Ready {
            observe_master(&mut status, &master);
            if master.stage == MasterStage::Requested { "requested" } else { "deploying" }
        } else {
            let first = status.master_ready_at.is_none();
            observe_master(&mut status, &master);
            // Its workers are looked at from the next step on, so that a cluster without ready workers can be seen.
            if first && !self.runtime.immediate() {
                next = Some(now);
                "pending"
            } else {
                let (ready, due) = self.step_workers(&mut tx, &row, &status, workers, now).await?;
                next = due;
                if ready > 0 && status.ingress_hostname.is_empty() {
                    observe_ingress(&mut tx, &mut status, &row).await?;
                }
                match ready {
                    0 if !workers.is_empty() => "pending",
                    ready if ready < workers.len() => "warning",
                    _ => "normal",
                }
            }
        };
        if row.state != state {
            info!(cluster = %row.id, name = %row.name, from = %row.state, to = state, "cluster changed state");
            row.state = state.to_owned();
            row.state_since = now.as_millisecond();
        }
        row.status = encode(&status);
        row.modified_at = now.as_millisecond();
        row.wake_at = next.map(Timestamp::as_millisecond);
        clusters::update(&mut tx, &row).await?;
        Ok(tx.commit().await?)
    }

    /// Records how far each worker is: how many are ready, and when the first of the others may change.
    async fn step_workers(
        &self,
        tx: &mut Tx,
        row: &ClusterRow,
        status: &ClusterStatus,
        workers: &[WorkerRow],
        now: Timestamp,
    ) -> Result<(usize, Option<Timestamp>)> {
        let since = clock::from_ms(status.master_ready_at.unwrap_or(row.state_since));
        let (mut ready, mut next) = (0, None);
        for (index, worker) in workers.iter().enumerate() {
            let order = WorkerOrder { cluster_id: &row.id, worker_id: &worker.id, index, since };
            let progress = self.runtime.worker(&order, now).await?;
            ready += usize::from(progress.stage == WorkerStage::Ready);
            next = [next, progress.next].into_iter().flatten().min();
            let state = worker_state(progress.stage);
            if worker.state != state {
                workers::state_set(tx, &worker.id, state, now.as_millisecond()).await?;
            }
        }
        Ok((ready, next))
    }
}

fn observe_master(status: &mut ClusterStatus, master: &Progress<MasterStage>) {
    let (state, text) = match master.stage {
        MasterStage::Requested => ("deploying", "Deploy requested"),
        MasterStage::Deploying => ("deploying", "Deploy in progress"),
        MasterStage::Ready => ("deployed", "Ready"),
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

/// The Ingress subdomain appears with the first ready worker and stays.
async fn observe_ingress(tx: &mut Tx, status: &mut ClusterStatus, row: &ClusterRow) -> Result<()> {
    let mut label = names::ingress_label(&row.name, &row.account_id, false);
    if clusters::reconcile_ingress_taken(tx, &row.account_id, &label).await? {
        label = names::ingress_label(&row.name, &row.account_id, true);
    }
    status.ingress_hostname = format!("{label}.{}.containers.appdomain.cloud", row.region);
    status.ingress_secret = label;
    Ok(())
}

fn worker_state(stage: WorkerStage) -> &'static str {
    match stage {
        WorkerStage::ProvisionPending => "provision_pending",
        WorkerStage::Provisioning => "provisioning",
        WorkerStage::Provisioned => "provisioned",
        WorkerStage::Deploying => "deploying",
        WorkerStage::Ready => "deployed",
    }
}
