//! Looking clusters up for a caller, listing and removing them.

use std::collections::BTreeSet;
use std::sync::Arc;

use boatyard_iam::Caller;
use boatyard_iam::access::Resource;
use boatyard_runtime::WorkerWork;
use boatyard_store::clusters::{self, ClusterRow};
use boatyard_store::workers;
use tracing::info;

use crate::change::{ClusterTarget, lookup_in};
use crate::draft::Draft;
use crate::{Cluster, Error, Fleet, Provider, Result, create};

/// Narrows a list.
#[derive(Clone, Debug, Default)]
pub struct ListFilter {
    pub providers: Vec<Provider>,
    /// Zones, any of which a cluster must have; `None` for clusters anywhere.
    pub zones: Option<BTreeSet<String>>,
    /// ID or name of a resource group.
    pub group: Option<String>,
}

impl ListFilter {
    /// Whether the filter lets `cluster` through.
    #[must_use]
    pub fn admits(&self, cluster: &Cluster) -> bool {
        self.providers.contains(&cluster.provider)
            && self.group.as_deref().is_none_or(|g| in_group(g, &cluster.resource_group_id, &cluster.resource_group_name))
            && self.zones.as_ref().is_none_or(|zones| is_in(cluster, zones))
    }
}

fn is_in(cluster: &Cluster, wanted: &BTreeSet<String>) -> bool {
    let mut zones = cluster.zones();
    if zones.is_empty() {
        zones.push(&cluster.spec.datacenter);
    }
    zones.iter().any(|zone| wanted.contains(*zone))
}

pub(crate) fn in_group(wanted: &str, id: &str, name: &str) -> bool {
    wanted == id || wanted.eq_ignore_ascii_case(name)
}

impl Fleet {
    /// All clusters of the caller's account that the caller may see, oldest first, with their pools.
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
        let all = self.lists.get(&self.store, account_id, load).await?;
        if caller.reaches_all() {
            return Ok(all);
        }
        let seen = all.iter().filter(|cluster| {
            let place = Resource::clusters(account_id, &cluster.region, &cluster.resource_group_id);
            caller.reaches(&place.instance(&cluster.id))
        });
        Ok(Arc::new(seen.cloned().collect()))
    }

    /// The cluster of the caller's account with that ID or name; the ID wins. A resource group, if given, narrows the search.
    ///
    /// # Errors
    /// [`Error::ClusterNotFound`], also for clusters of other accounts.
    pub async fn cluster(&self, caller: &Caller, id_or_name: &str, group: Option<&str>) -> Result<Cluster> {
        let row = self.lookup(ClusterTarget { caller, cluster: id_or_name, group }).await?;
        let pools = workers::pools(&mut *self.store.read().await?, &row.id).await?;
        Cluster::from_row(&row, &pools)
    }

    /// The OpenShift cluster of that ID, if its master is ready. For the cluster's own login, at which nobody is known yet: nothing of the
    /// cluster is told to anybody but a member of its account.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn openshift_login(&self, id: &str) -> Result<Option<Cluster>> {
        let row = clusters::reconcile_get(&mut *self.store.read().await?, id).await?;
        let cluster = row.filter(|row| row.desired != "absent").map(|row| Cluster::from_row(&row, &[])).transpose()?;
        Ok(cluster.filter(|cluster| cluster.spec.openshift && cluster.status.master_ready_at.is_some()))
    }

    /// Asks for a cluster to be removed. It shows as `deleting` until nothing of it is left, then not at all.
    ///
    /// # Errors
    /// [`Error::ClusterNotFound`], also for clusters of other accounts.
    pub async fn cluster_delete(&self, caller: &Caller, id_or_name: &str, group: Option<&str>) -> Result<()> {
        for _ in 0..5 {
            match self.removal_request(ClusterTarget { caller, cluster: id_or_name, group }).await {
                // The reconciler was quicker; its change does not stand against the removal.
                Err(Error::Busy) => {}
                done => return done,
            }
        }
        Err(Error::Busy)
    }

    async fn removal_request(&self, target: ClusterTarget<'_>) -> Result<()> {
        let mut tx = self.begin(create::account(target.caller)?).await?;
        let row = lookup_in(&mut tx, target).await?;
        if row.desired == "absent" {
            return Ok(());
        }
        let mut draft = Draft::load(&mut tx, row).await?;
        let now = self.clock.now();
        let ms = now.as_millisecond();
        // Before the master is there, a removal aborts the deployment.
        draft.row.state = if draft.status.master_ready_at.is_some() { "deleting" } else { "aborted" }.to_owned();
        draft.row.state_since = ms;
        draft.row.desired = "absent".to_owned();
        let status = &mut draft.status;
        status.master_state = "deleting".to_owned();
        status.master_status = "Delete requested".to_owned();
        status.master_status_since = ms;
        status.removal_since = Some(ms);
        for worker in draft.workers.iter_mut().filter(|worker| worker.stays()) {
            worker.begin(WorkerWork::Remove, ms);
        }
        let (id, name) = (draft.row.id.clone(), draft.row.name.clone());
        self.finish(tx, draft, now).await?;
        info!(cluster = id, name, by = %target.caller.iam_id, "cluster removal requested");
        Ok(())
    }

    /// The only way from a caller's word to a row: it must be of the caller's account.
    pub(crate) async fn lookup(&self, target: ClusterTarget<'_>) -> Result<ClusterRow> {
        lookup_in(&mut *self.store.read().await?, target).await
    }
}
