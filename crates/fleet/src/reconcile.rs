//! The reconciler: brings what was observed closer to what is wanted, one cluster and one transaction at a time.

use std::time::Duration;

use boatyard_store::{Domain, clusters, workers};
use tracing::{debug, warn};

use crate::draft::Draft;
use crate::faults::Troubles;
use crate::{Error, Fleet, Result};

/// How many due clusters are fetched at once.
const BATCH: i64 = 64;
/// How long to wait at most before looking into the database again; other replicas may have written.
const LONGEST_WAIT: Duration = Duration::from_secs(1);
/// How long a cluster that could not be worked on is left alone.
const AFTER_FAILURE_MS: i64 = 5_000;
/// How long workers and pools that are gone can still be read: longer than any client waits to see that they are.
const GONE_FOR_MS: i64 = 2 * 60 * 60 * 1000;

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

    /// Forgets workers and pools that were gone long ago.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn sweep(&self) -> Result<()> {
        let before = self.clock.now().as_millisecond() - GONE_FOR_MS;
        let mut tx = self.store.write(Domain::Fleet).await?;
        if workers::sweep(&mut tx, before).await? > 0 {
            tx.commit().await?;
        }
        Ok(())
    }

    /// Waits until the next cluster is due, or something was written.
    async fn wait(&self) {
        let next = async { clusters::reconcile_next(&mut *self.store.read().await?).await }.await;
        let now = self.clock.now().as_millisecond();
        let until = next.ok().flatten().map_or(LONGEST_WAIT, |at| Duration::from_millis(u64::try_from(at - now).unwrap_or(0)));
        // Either way the database is asked again, so it does not matter which ends the wait.
        let _ = tokio::time::timeout(until.min(LONGEST_WAIT), self.wake.notified()).await;
    }

    async fn attempt(&self, id: &str) {
        // In a task of its own: a mistake in this program must not end the work on all other clusters.
        let (fleet, cluster) = (self.clone(), id.to_owned());
        let done = tokio::spawn(async move { fleet.step(&cluster).await }).await;
        match done.unwrap_or_else(|panic| Err(boatyard_runtime::Error(panic.to_string()).into())) {
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

    /// One step of one cluster. Idempotent: it asks the runtime again for everything and records what it finds. The runtime may be
    /// slow, so nothing is locked meanwhile, and if somebody else wrote, the step is void. Only faults, which count how often they
    /// struck, have all of it in one transaction.
    async fn step(&self, id: &str) -> Result<()> {
        let now = self.clock.now();
        let mut conn = self.store.read().await?;
        let troubles = Troubles::load(self, &mut conn, now).await?;
        if troubles.is_empty() {
            let Some(row) = clusters::reconcile_get(&mut conn, id).await? else { return Ok(()) };
            let mut draft = Draft::load(&mut conn, row).await?;
            self.advance(&mut conn, &mut draft, &troubles, now).await?;
            drop(conn);
            let mut tx = self.store.write(Domain::Fleet).await?;
            draft.save(&mut tx).await?;
            return Ok(tx.commit().await?);
        }
        drop(conn);
        let mut tx = self.store.write(Domain::Fleet).await?;
        let Some(row) = clusters::reconcile_get(&mut tx, id).await? else { return Ok(()) };
        let mut draft = Draft::load(&mut tx, row).await?;
        self.advance(&mut tx, &mut draft, &troubles, now).await?;
        draft.save(&mut tx).await?;
        Ok(tx.commit().await?)
    }
}
