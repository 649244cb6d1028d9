//! Looking clusters up for a caller, listing and removing them.

use std::sync::Arc;

use boatyard_iam::Caller;
use boatyard_store::clusters::{self, ClusterRow};
use boatyard_store::{Domain, workers};
use tracing::info;

use crate::catalog::catalog;
use crate::model::{decode, encode};
use crate::{Cluster, ClusterStatus, Error, Fleet, Provider, Result, create};

/// Narrows a list.
#[derive(Clone, Debug, Default)]
pub struct ListFilter {
    pub providers: Vec<Provider>,
    /// Zones, metros, countries, geographies or regions; any of them may match.
    pub locations: Vec<String>,
    /// ID or name of a resource group.
    pub group: Option<String>,
}

impl ListFilter {
    /// Whether the filter lets `cluster` through.
    #[must_use]
    pub fn admits(&self, cluster: &Cluster) -> bool {
        self.providers.contains(&cluster.provider)
            && self.group.as_deref().is_none_or(|g| in_group(g, &cluster.resource_group_id, &cluster.resource_group_name))
            && (self.locations.is_empty() || self.locations.iter().any(|location| is_at(cluster, location)))
    }
}

fn is_at(cluster: &Cluster, location: &str) -> bool {
    let mut zones = cluster.zones();
    if zones.is_empty() {
        zones.push(&cluster.spec.datacenter);
    }
    zones.iter().any(|zone| catalog().any_zone(zone).is_some_and(|zone| zone.is_within(location)))
}

fn in_group(wanted: &str, id: &str, name: &str) -> bool {
    wanted == id || wanted.eq_ignore_ascii_case(name)
}

impl Fleet {
    /// All clusters of the caller's account, oldest first, with their pools.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn clusters(&self, caller: &Caller) -> Result<Arc<Vec<Cluster>>> {
        let account_id = create::account(caller)?;
        let load = async || {
            let mut conn = self.store.read().await?;
            let rows = clusters::list(&mut conn, account_id).await?;
            let pools = workers::pools_of_account(&mut conn, account_id).await?;
            rows.iter().map(|row| Cluster::from_row(row, &pools)).collect()
        };
        self.lists.get(&self.store, account_id, load).await
    }

    /// The cluster of the caller's account with that ID or name; the ID wins. A resource group, if given, narrows the search.
    ///
    /// # Errors
    /// [`Error::ClusterNotFound`], also for clusters of other accounts.
    pub async fn cluster(&self, caller: &Caller, id_or_name: &str, group: Option<&str>) -> Result<Cluster> {
        let row = self.lookup(caller, id_or_name, group).await?;
        let pools = workers::pools(&mut *self.store.read().await?, &row.id).await?;
        Cluster::from_row(&row, &pools)
    }

    /// Asks for a cluster to be removed. It shows as `deleting` until nothing of it is left, then not at all.
    ///
    /// # Errors
    /// [`Error::ClusterNotFound`], also for clusters of other accounts.
    pub async fn cluster_delete(&self, caller: &Caller, id_or_name: &str, group: Option<&str>) -> Result<()> {
        // The reconciler may move the row between reading and writing it; its change does not stand against the removal.
        for _ in 0..5 {
            let row = self.lookup(caller, id_or_name, group).await?;
            match self.removal_request(caller, row).await {
                Err(Error::Busy) => {}
                done => return done,
            }
        }
        Err(Error::Busy)
    }

    async fn removal_request(&self, caller: &Caller, mut row: ClusterRow) -> Result<()> {
        if row.desired == "absent" {
            return Ok(());
        }
        let now = self.clock.now().as_millisecond();
        let mut status: ClusterStatus = decode(&row.status)?;
        // Before the master is there, a removal aborts the deployment.
        row.state = if status.master_ready_at.is_some() { "deleting" } else { "aborted" }.to_owned();
        row.state_since = now;
        row.desired = "absent".to_owned();
        status.master_state = "deleting".to_owned();
        status.master_status = "Delete requested".to_owned();
        status.master_status_since = now;
        status.removal_since = Some(now);
        row.status = encode(&status);
        row.modified_at = now;
        row.wake_at = Some(now);
        let mut tx = self.store.write(Domain::Fleet).await?;
        clusters::update(&mut tx, &row).await?;
        tx.commit().await?;
        info!(cluster = %row.id, name = %row.name, account = %row.account_id, by = %caller.iam_id, "cluster removal requested");
        self.settle(&row.id).await;
        Ok(())
    }

    /// The only way from a caller's word to a row: it must be of the caller's account.
    async fn lookup(&self, caller: &Caller, id_or_name: &str, group: Option<&str>) -> Result<ClusterRow> {
        let account_id = create::account(caller)?;
        let found = clusters::find(&mut *self.store.read().await?, account_id, id_or_name).await?;
        found
            .filter(|row| group.is_none_or(|g| in_group(g, &row.resource_group_id, &row.resource_group_name)))
            .ok_or(Error::ClusterNotFound)
    }
}
