//! Trouble on demand: faults that an administrator orders, on requests and on the lifecycle of clusters.
//!
//! A fault has a target, an effect, and limits of number, chance and time. Requests are matched at the edge, workers and masters
//! by the reconciler; either counts a hit in the database before it acts, so a fault strikes as often as it should whoever asks.

mod order;
mod presets;
mod scenarios;
#[cfg(test)]
mod tests;
mod troubles;

use std::sync::Arc;

use boatyard_store::faults::{self, FaultRow};
use boatyard_store::{Conn, Domain, Tx};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use tracing::info;

pub use order::{FaultError, FaultOrder, Operations};
pub use scenarios::{Scenario, ScenarioOrder, scenarios};
#[allow(unused_imports, reason = "the reconciler names them")]
pub(crate) use troubles::{Troubles, WorkerTarget, WorkerTrouble};

use crate::model::{decode, encode};
use crate::{Fleet, Result};
use boatyard_core::clock::from_ms;
use boatyard_core::id;

/// For how long a fault that struck for the last time, or expired, is still listed.
const LISTED_AFTER_END: SignedDuration = SignedDuration::from_hours(1);

/// What goes wrong, where, and how often.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// `f-` and four or more characters.
    pub id: String,
    /// Name of the scenario it belongs to, or empty.
    pub scenario: String,
    pub target: Target,
    pub effect: Effect,
    /// How often it strikes at most; `None` is without limit.
    pub times: Option<i64>,
    /// How often it did.
    pub hits: i64,
    pub last_hit_at: Option<Timestamp>,
    /// Chance in percent that it strikes what it matches.
    pub probability: i64,
    pub starts_at: Timestamp,
    /// `None`: never.
    pub expires_at: Option<Timestamp>,
    pub created_at: Timestamp,
}

/// What a fault strikes. What is left empty does not narrow it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Target {
    /// `service/operationId`, or `service/*` for all of a service. Given without a service, an ID means every operation of that ID.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub operations: Vec<String>,
    /// ID or name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
    /// ID or name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pool: Option<String>,
    /// ID.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub worker: Option<String>,
}

/// What a fault does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Effect {
    /// A request is answered with an error.
    HttpError(HttpError),
    /// A request is answered later.
    Latency { ms: i64 },
    /// A request's connection is closed without an answer.
    Drop {
        #[serde(default)]
        when: When,
    },
    /// Access tokens and refresh tokens issued before the fault began are refused as expired; a new login is not.
    SessionEnded {},
    /// Refresh tokens issued before the fault began are refused as expired.
    RefreshTokenExpired {},
    /// Kubeconfigs are made with tokens that are expired already.
    ExpiredKubeconfig {},
    /// A worker ends in `provision_failed`. An empty message is replaced by one of the real service's.
    WorkerProvisionFailed {
        #[serde(default)]
        message: String,
    },
    /// A worker turns `critical`.
    WorkerCritical {
        #[serde(default)]
        message: String,
    },
    /// A worker stays in `provision_pending` for as long as the fault lasts.
    WorkerStuck {},
    /// A master ends in `deploy_failed`.
    MasterDeployFailed {
        #[serde(default)]
        message: String,
    },
    /// A version is treated as if its support had ended.
    VersionUnsupported { version: String },
}

/// An error answer. What an order leaves empty is taken from the service's own error of that code or status.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HttpError {
    /// 0 in an order: that of the code.
    pub status: u16,
    /// Empty for an HTML page, such as the content delivery network in front of the service answers.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub code: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub description: String,
    #[serde(rename = "type", skip_serializing_if = "String::is_empty")]
    pub kind: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub recovery: String,
    /// Seconds for the header `Retry-After`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u32>,
    pub when: When,
}

/// Whether a request is struck before its work is done, or after, when only the answer is lost. A fault that strikes after the work
/// waits for a request that succeeds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum When {
    #[default]
    Before,
    After,
}

/// Where a fault stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultState {
    /// It begins later.
    Waiting,
    Active,
    /// It struck as often as it may.
    UsedUp,
    Expired,
}

impl FaultState {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Active => "active",
            Self::UsedUp => "used up",
            Self::Expired => "expired",
        }
    }
}

impl Effect {
    /// The word for it on the command line and the wire.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::HttpError(_) => "http-error",
            Self::Latency { .. } => "latency",
            Self::Drop { .. } => "drop",
            Self::SessionEnded {} => "session-ended",
            Self::RefreshTokenExpired {} => "refresh-token-expired",
            Self::ExpiredKubeconfig {} => "expired-kubeconfig",
            Self::WorkerProvisionFailed { .. } => "worker-provision-failed",
            Self::WorkerCritical { .. } => "worker-critical",
            Self::WorkerStuck {} => "worker-stuck",
            Self::MasterDeployFailed { .. } => "master-deploy-failed",
            Self::VersionUnsupported { .. } => "version-unsupported",
        }
    }

    /// Whether the reconciler meets it, and not the edge.
    #[must_use]
    pub fn is_of_lifecycle(&self) -> bool {
        match self {
            Self::WorkerProvisionFailed { .. }
            | Self::WorkerCritical { .. }
            | Self::WorkerStuck {}
            | Self::MasterDeployFailed { .. }
            | Self::VersionUnsupported { .. } => true,
            Self::HttpError(_)
            | Self::Latency { .. }
            | Self::Drop { .. }
            | Self::SessionEnded {}
            | Self::RefreshTokenExpired {}
            | Self::ExpiredKubeconfig {} => false,
        }
    }

    /// Whether it strikes only a request that succeeded.
    #[must_use]
    pub fn is_after_the_work(&self) -> bool {
        matches!(self, Self::HttpError(HttpError { when: When::After, .. }) | Self::Drop { when: When::After })
    }
}

impl Fault {
    /// Where the fault stands at `now`.
    #[must_use]
    pub fn state(&self, now: Timestamp) -> FaultState {
        // One that holds workers goes on holding them when it may take no more.
        let may_end = self.effect != Effect::WorkerStuck {};
        if self.expires_at.is_some_and(|at| at <= now) {
            FaultState::Expired
        } else if may_end && self.times.is_some_and(|times| self.hits >= times) {
            FaultState::UsedUp
        } else if self.starts_at > now {
            FaultState::Waiting
        } else {
            FaultState::Active
        }
    }

    /// Whether it ended so long ago that nobody wants to see it.
    fn is_forgotten(&self, now: Timestamp) -> bool {
        let ended = match self.state(now) {
            FaultState::Expired => self.expires_at,
            FaultState::UsedUp => self.last_hit_at,
            FaultState::Waiting | FaultState::Active => None,
        };
        ended.is_some_and(|at| now.duration_since(at) > LISTED_AFTER_END)
    }

    fn from_row(row: &FaultRow) -> Result<Self> {
        Ok(Self {
            id: row.id.clone(),
            scenario: row.scenario.clone(),
            target: decode(&row.target)?,
            effect: decode(&row.effect)?,
            times: row.times,
            hits: row.hits,
            last_hit_at: row.last_hit_at.map(from_ms),
            probability: row.probability,
            starts_at: from_ms(row.starts_at),
            expires_at: row.expires_at.map(from_ms),
            created_at: from_ms(row.created_at),
        })
    }

    fn to_row(&self) -> FaultRow {
        FaultRow {
            id: self.id.clone(),
            scenario: self.scenario.clone(),
            target: encode(&self.target),
            effect: encode(&self.effect),
            times: self.times,
            hits: self.hits,
            last_hit_at: self.last_hit_at.map(Timestamp::as_millisecond),
            probability: self.probability,
            starts_at: self.starts_at.as_millisecond(),
            expires_at: self.expires_at.map(Timestamp::as_millisecond),
            created_at: self.created_at.as_millisecond(),
        }
    }
}

impl Fleet {
    /// Adds a fault. `operations` are those that exist.
    ///
    /// # Errors
    /// What the order asks for and cannot be meant.
    pub async fn fault_add(&self, order: FaultOrder, operations: &Operations<'_>) -> Result<Fault, FaultError> {
        let mut faults = self.faults_write(vec![order.check(operations)?], "").await?;
        Ok(faults.remove(0))
    }

    /// Starts a scenario: adds all its faults, or none.
    ///
    /// # Errors
    /// If there is none of that name, or a parameter cannot be meant.
    pub async fn scenario_start(&self, order: &ScenarioOrder, operations: &Operations<'_>) -> Result<Vec<Fault>, FaultError> {
        let (scenario, orders) = scenarios::orders(order)?;
        let checked: Result<Vec<_>, _> = orders.into_iter().map(|order| order.check(operations)).collect();
        self.faults_write(checked?, &scenario.name).await
    }

    async fn faults_write(&self, orders: Vec<FaultOrder>, scenario: &str) -> Result<Vec<Fault>, FaultError> {
        let now = from_ms(self.clock.now().as_millisecond());
        for order in &orders {
            if let Effect::VersionUnsupported { version } = &order.effect
                && !self.catalog.has_release(version)
            {
                let text = format!(
                    "There is no version '{version}'. Write it as 'boatyard ks versions' lists them, without the patch: 1.35 or 4.19_openshift."
                );
                return Err(FaultError::Invalid(text));
            }
        }
        let mut tx = self.store.write(Domain::Faults).await?;
        let mut known: Vec<_> = faults::list(&mut tx).await?.into_iter().map(|row| row.id).collect();
        let mut added = Vec::new();
        for order in orders {
            let fault = order.into_fault(free_id(&known), scenario, now);
            faults::insert(&mut tx, &fault.to_row()).await?;
            known.push(fault.id.clone());
            info!(fault = %fault.id, effect = fault.effect.kind(), scenario, "fault added");
            added.push(fault);
        }
        self.faults_announce(&mut tx, &added).await?;
        tx.commit().await?;
        self.wake();
        Ok(added)
    }

    /// All faults, oldest first. One that ended stays listed for an hour.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn faults_list(&self) -> Result<Vec<Fault>, FaultError> {
        let now = self.clock.now();
        let all = faults_of(&mut *self.store.read().await?).await?;
        let (forgotten, listed): (Vec<_>, Vec<_>) = all.iter().cloned().partition(|fault| fault.is_forgotten(now));
        if !forgotten.is_empty() {
            let mut tx = self.store.write(Domain::Faults).await?;
            for fault in forgotten {
                faults::delete(&mut tx, &fault.id).await?;
            }
            tx.commit().await?;
        }
        Ok(listed)
    }

    /// Removes a fault; what it held goes on.
    ///
    /// # Errors
    /// [`FaultError::NotFound`].
    pub async fn fault_remove(&self, id: &str) -> Result<(), FaultError> {
        let mut tx = self.store.write(Domain::Faults).await?;
        let all = faults::list(&mut tx).await?;
        let row = all.iter().find(|row| row.id == id).ok_or_else(|| FaultError::NotFound(id.to_owned()))?;
        // Faults before clusters, as the reconciler locks them.
        faults::delete(&mut tx, id).await?;
        self.faults_announce(&mut tx, &[Fault::from_row(row)?]).await?;
        tx.commit().await?;
        self.wake();
        info!(fault = id, "fault removed");
        Ok(())
    }

    /// Removes all faults and returns how many there were.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn faults_clear(&self) -> Result<u64, FaultError> {
        let mut tx = self.store.write(Domain::Faults).await?;
        let all: Result<Vec<_>> = faults::list(&mut tx).await?.iter().map(Fault::from_row).collect();
        let removed = faults::clear(&mut tx).await?;
        self.faults_announce(&mut tx, &all?).await?;
        tx.commit().await?;
        self.wake();
        info!(removed, "faults cleared");
        Ok(removed)
    }

    /// Has the reconciler look at the clusters that faults strike or let go.
    async fn faults_announce(&self, tx: &mut Tx, changed: &[Fault]) -> Result<()> {
        for fault in changed.iter().filter(|fault| fault.effect.is_of_lifecycle()) {
            faults::wake_clusters(tx, fault.target.cluster.as_deref(), self.clock.now().as_millisecond()).await?;
        }
        Ok(())
    }

    /// Faults that may strike a request now, oldest first. Costs nothing to speak of while there are none.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn request_faults(&self) -> Result<Vec<Fault>> {
        let all = self.all_faults().await?;
        if all.is_empty() {
            return Ok(Vec::new());
        }
        let now = self.clock.now();
        let active = |fault: &&Fault| fault.state(now) == FaultState::Active && !fault.effect.is_of_lifecycle();
        Ok(all.iter().filter(active).cloned().collect())
    }

    /// Has a fault strike a request that it matches: by its chance, and if it has hits left. Returns whether it does.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn fault_strike(&self, fault: &Fault) -> Result<bool> {
        if i64::from(u32::from_be_bytes(id::random()) % 100) >= fault.probability {
            return Ok(false);
        }
        let mut tx = self.store.write(Domain::Faults).await?;
        let strikes = faults::hit(&mut tx, &fault.id, self.clock.now().as_millisecond()).await?;
        tx.commit().await?;
        Ok(strikes)
    }

    /// All faults, kept until one is written. The reconciler counts hits unseen by this; it, too, asks the database before it acts.
    async fn all_faults(&self) -> Result<Arc<Vec<Fault>>> {
        let load = async || faults_of(&mut *self.store.read().await?).await;
        self.faults.get(&self.store, "", load).await
    }

    /// The same, for who has a connection already.
    async fn all_faults_in(&self, conn: &mut Conn) -> Result<Arc<Vec<Fault>>> {
        let load = async || faults_of(conn).await;
        self.faults.get(&self.store, "", load).await
    }
}

async fn faults_of(conn: &mut Conn) -> Result<Vec<Fault>> {
    faults::list(conn).await?.iter().map(Fault::from_row).collect()
}

fn free_id(known: &[String]) -> String {
    let mut tries = 0;
    loop {
        let code = id::code::<8>().to_lowercase();
        let id = format!("f-{}", &code[..4 + (tries / 8_usize).min(4)]);
        if !known.contains(&id) {
            return id;
        }
        tries += 1;
    }
}
