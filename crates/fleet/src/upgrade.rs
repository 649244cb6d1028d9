//! What a newer version keeps of clusters that an older one wrote, where SQL cannot tell it.

use boatyard_store::{Domain, clusters, settings};
use tracing::info;

use crate::draft::Draft;
use crate::{Fleet, Provider, Result};

/// Name of the setting that says that all clusters have what this version reads.
const FILLED: &str = "clusters_filled";

impl Fleet {
    /// Fills in what clusters from before worker pools could change lack: how many workers they were given, the version that their
    /// master and workers run, and the ranges that they keep from others. Once for each database.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn upgrade(&self) -> Result<()> {
        if settings::get(&mut *self.store.read().await?, FILLED).await?.is_some() {
            return Ok(());
        }
        let mut tx = self.store.write(Domain::Fleet).await?;
        let mut filled = 0;
        for row in clusters::reconcile_all(&mut tx).await? {
            let mut draft = Draft::load(&mut tx, row).await?;
            if draft.status.workers_made > 0 {
                continue;
            }
            fill(&mut draft);
            clusters::reconcile_ranges_set(&mut tx, &draft.row.id, &draft.row.vpc_id, &draft.row.pod_subnet).await?;
            draft.save(&mut tx).await?;
            filled += 1;
        }
        settings::set(&mut tx, FILLED, "2").await?;
        tx.commit().await?;
        if filled > 0 {
            info!(filled, "clusters of an older version were brought up to date");
        }
        Ok(())
    }
}

fn fill(draft: &mut Draft) {
    // Worker IDs end with their number, in hexadecimal.
    let number = |id: &str| u64::from_str_radix(id.rsplit('-').next().unwrap_or_default(), 16).unwrap_or(0);
    draft.status.workers_made = draft.workers.iter().map(|worker| number(&worker.row.id)).max().unwrap_or(0);
    if draft.status.master_ready_at.is_some() && draft.status.version.is_empty() {
        draft.status.version.clone_from(&draft.spec.version);
    }
    if draft.provider() == Provider::VpcGen2 {
        draft.row.vpc_id = draft.spec.vpc_ids.first().cloned().unwrap_or_default();
        draft.row.pod_subnet.clone_from(&draft.spec.pod_subnet);
    }
    let version = draft.version().to_owned();
    for worker in &mut draft.workers {
        let pool = draft.pools.iter().find(|pool| pool.row.id == worker.row.pool_id);
        worker.details.version.clone_from(&version);
        worker.details.operating_system = pool.map_or_else(String::new, |pool| pool.spec.operating_system.clone());
        let zone = pool.and_then(|pool| pool.spec.zones.iter().find(|zone| zone.id == worker.row.zone));
        worker.details.private_vlan = zone.and_then(|zone| zone.private_vlan.clone()).unwrap_or_default();
        worker.details.public_vlan = zone.and_then(|zone| zone.public_vlan.clone()).unwrap_or_default();
    }
}
