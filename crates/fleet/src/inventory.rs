//! What a cluster is made of, for its API server: that works for everybody who is let in, and decides itself what they may do.

use boatyard_runtime::{ApiServer, Timings};
use boatyard_store::clusters;
use boatyard_store::workers;

use crate::{Cluster, Fleet, Pool, Result, Worker};

/// A cluster whose master is there, with the workers that joined it.
#[derive(Clone, Debug)]
pub struct Inventory {
    pub cluster: Cluster,
    /// In the order in which they were asked for.
    pub workers: Vec<Worker>,
}

impl Worker {
    /// Whether it joined its cluster and is not being removed.
    #[must_use]
    pub fn has_joined(&self) -> bool {
        match self.work.as_str() {
            "" => self.state == "deployed",
            work => work == "reload" || work == "reboot",
        }
    }

    /// Why it does not serve though it joined; empty if it does.
    #[must_use]
    pub fn trouble(&self) -> &str {
        match self.work.as_str() {
            "reload" => "The worker node is reloaded.",
            "reboot" => "The worker node is rebooted.",
            _ => &self.details.failure,
        }
    }
}

impl Fleet {
    /// A cluster by its ID, of whatever account; `None` if there is none, its master was never there, it is being removed, or its API server
    /// is not part of this program.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn inventory(&self, cluster_id: &str) -> Result<Option<Inventory>> {
        let mut conn = self.store.read().await?;
        let Some(row) = clusters::reconcile_get(&mut conn, cluster_id).await? else { return Ok(None) };
        if row.desired == "absent" || self.runtime.api_server(cluster_id) != ApiServer::Here {
            return Ok(None);
        }
        let pool_rows = workers::pools(&mut conn, cluster_id).await?;
        let cluster = Cluster::from_row(&row, &pool_rows)?;
        if cluster.status.master_ready_at.is_none() {
            return Ok(None);
        }
        let pools = pool_rows.iter().map(Pool::from_row).collect::<Result<Vec<_>>>()?;
        let rows = workers::living(&mut conn, cluster_id).await?;
        let mut workers = rows.iter().map(|row| Worker::from_row(row, &pools)).collect::<Result<Vec<_>>>()?;
        workers.retain(Worker::has_joined);
        Ok(Some(Inventory { cluster, workers }))
    }

    /// How long what happens on the clusters takes.
    #[must_use]
    pub fn timings(&self) -> Timings {
        self.runtime.timings()
    }
}
