//! Faults as the reconciler meets them: what is to go wrong with a worker, a master or a version.

use std::collections::BTreeSet;

use boatyard_core::Digest;
use boatyard_store::{Conn, faults};
use jiff::Timestamp;

use super::{Effect, Fault, FaultState, Target};
use crate::{Fleet, Result};

/// What a worker that fails to provision says on VPC. The words are the service's.
const VPC_PROVISION_FAILED: &str =
    "Infrastructure instance status is 'failed': Can't start instance because provisioning failed.";
const WORKER_CRITICAL: &str = "Not Ready";
const MASTER_DEPLOY_FAILED: &str = "Deploy failed";

/// The faults of the lifecycle that are in force.
#[derive(Clone, Debug)]
pub(crate) struct Troubles {
    faults: Vec<Fault>,
    next_change: Option<Timestamp>,
}

/// The worker that may be struck.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WorkerTarget<'a> {
    pub cluster_id: &'a str,
    pub cluster_name: &'a str,
    pub pool_id: &'a str,
    pub pool_name: &'a str,
    pub worker_id: &'a str,
    pub zone: &'a str,
}

/// What goes wrong with a worker; the text is its status message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum WorkerTrouble {
    /// It ends in `provision_failed`.
    ProvisionFailed(String),
    /// It turns `critical`.
    Critical(String),
    /// It stays in `provision_pending`; ask again at the next step.
    Stuck(String),
}

impl Troubles {
    /// The faults of the lifecycle that are in force at `now`. Cheap: without faults on SQLite it asks nobody.
    ///
    /// # Errors
    /// When the database fails.
    pub(crate) async fn load(fleet: &Fleet, conn: &mut Conn, now: Timestamp) -> Result<Self> {
        let all = fleet.all_faults_in(conn).await?;
        let of_lifecycle = || all.iter().filter(|fault| fault.effect.is_of_lifecycle());
        let faults = of_lifecycle().filter(|fault| fault.state(now) == FaultState::Active).cloned().collect();
        let changes = of_lifecycle().flat_map(|fault| [Some(fault.starts_at), fault.expires_at]).flatten();
        Ok(Self { faults, next_change: changes.filter(|at| *at > now).min() })
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.faults.is_empty()
    }

    /// When the next fault begins or ends by its time: a cluster that waits for nothing else is to be looked at again then.
    pub(crate) fn next_change(&self) -> Option<Timestamp> {
        self.next_change
    }

    /// What goes wrong with a worker that is not ready yet. It is counted in the caller's transaction, so the caller must act on it
    /// there, and must not ask again for a worker in whom it has recorded `provision_failed` or `critical`. A stuck worker is
    /// counted once and stays stuck for as long as its fault lasts.
    ///
    /// # Errors
    /// When the database fails.
    pub(crate) async fn strike_worker(
        &self,
        conn: &mut Conn,
        worker: &WorkerTarget<'_>,
        now: Timestamp,
    ) -> Result<Option<WorkerTrouble>> {
        for fault in self.faults.iter().filter(|fault| chosen(fault, worker)) {
            let trouble = match &fault.effect {
                Effect::WorkerProvisionFailed { message } => {
                    WorkerTrouble::ProvisionFailed(or_else(message, || provision_failed(worker)))
                }
                Effect::WorkerCritical { message } => WorkerTrouble::Critical(or_else(message, || WORKER_CRITICAL.to_owned())),
                Effect::WorkerStuck {} if faults::holds(conn, &fault.id, worker.worker_id).await? => return Ok(Some(stuck())),
                Effect::WorkerStuck {} => stuck(),
                _ => continue,
            };
            if faults::hit(conn, &fault.id, now.as_millisecond()).await? {
                if fault.effect == (Effect::WorkerStuck {}) {
                    faults::hold(conn, &fault.id, worker.worker_id).await?;
                }
                return Ok(Some(trouble));
            }
        }
        Ok(None)
    }

    /// What makes a worker that is ready turn `critical`, if anything does. Counted as in [`Self::strike_worker`].
    ///
    /// # Errors
    /// When the database fails.
    pub(crate) async fn strike_ready_worker(
        &self,
        conn: &mut Conn,
        worker: &WorkerTarget<'_>,
        now: Timestamp,
    ) -> Result<Option<String>> {
        for fault in self.faults.iter().filter(|fault| chosen(fault, worker)) {
            let Effect::WorkerCritical { message } = &fault.effect else { continue };
            if faults::hit(conn, &fault.id, now.as_millisecond()).await? {
                return Ok(Some(or_else(message, || WORKER_CRITICAL.to_owned())));
            }
        }
        Ok(None)
    }

    /// The status of a master that is to fail to deploy. Counted in the caller's transaction.
    ///
    /// # Errors
    /// When the database fails.
    pub(crate) async fn strike_master(
        &self,
        conn: &mut Conn,
        cluster_id: &str,
        cluster_name: &str,
        now: Timestamp,
    ) -> Result<Option<String>> {
        for fault in &self.faults {
            let Effect::MasterDeployFailed { message } = &fault.effect else { continue };
            let matches = is(fault.target.cluster.as_deref(), [cluster_id, cluster_name]) && lucky(fault, cluster_id);
            if matches && faults::hit(conn, &fault.id, now.as_millisecond()).await? {
                return Ok(Some(or_else(message, || MASTER_DEPLOY_FAILED.to_owned())));
            }
        }
        Ok(None)
    }

    /// Versions whose support has ended by a fault: `1.34` or `4.19_openshift`.
    pub(crate) fn ended_versions(&self) -> BTreeSet<String> {
        let versions = self.faults.iter().filter_map(|fault| match &fault.effect {
            Effect::VersionUnsupported { version } => Some(version.clone()),
            _ => None,
        });
        versions.collect()
    }
}

/// Whether a fault's target and chance choose a worker.
fn chosen(fault: &Fault, worker: &WorkerTarget<'_>) -> bool {
    let Target { cluster, pool, worker: one, .. } = &fault.target;
    is(cluster.as_deref(), [worker.cluster_id, worker.cluster_name])
        && is(pool.as_deref(), [worker.pool_id, worker.pool_name])
        && is(one.as_deref(), [worker.worker_id])
        && lucky(fault, worker.worker_id)
}

fn is<const N: usize>(wanted: Option<&str>, names: [&str; N]) -> bool {
    wanted.is_none_or(|wanted| names.contains(&wanted))
}

/// Chance, the same at every step: it is drawn from the two IDs, or a worker that takes many steps would be struck in the end.
pub(super) fn lucky(fault: &Fault, subject: &str) -> bool {
    let digest = Digest::of(&format!("{}/{subject}", fault.id)).hex();
    let drawn = i64::from_str_radix(&digest[..8], 16).unwrap_or(0);
    drawn % 100 < fault.probability
}

fn or_else(message: &str, default: impl FnOnce() -> String) -> String {
    if message.is_empty() { default() } else { message.to_owned() }
}

fn stuck() -> WorkerTrouble {
    WorkerTrouble::Stuck("Waiting for the infrastructure provider".to_owned())
}

/// What the service says, in its words. Zones of VPC are named for their region (`us-south-1`), others for a data center (`dal10`).
fn provision_failed(worker: &WorkerTarget<'_>) -> String {
    if worker.zone.contains('-') {
        return VPC_PROVISION_FAILED.to_owned();
    }
    format!(
        "Could not place order. There are insufficient resources behind router 'bcr01a.{}' to fulfill the request for the following \
         guests: '{}'.",
        worker.zone, worker.worker_id
    )
}
