//! Where clusters are kept. The store has the one implementation that lasts; [`Memory`] is for tests.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use jiff::Timestamp;

use crate::object::Key;

/// What was written of a cluster: everything that is not as every cluster has it from its beginning.
#[derive(Clone, Debug, Default)]
pub struct Saved {
    /// The revision of the last commit, 0 if there was none.
    pub revision: u64,
    pub rows: Vec<Row>,
}

/// An object as it was last written.
#[derive(Clone, Debug)]
pub struct Row {
    pub key: Key,
    pub revision: u64,
    /// JSON; `None` tells that an object that every cluster begins with was deleted.
    pub value: Option<String>,
}

/// Changes that become durable together.
#[derive(Debug)]
pub struct Commit {
    /// The revision that was changed, 0 if nothing was kept of the cluster so far. If the journal has another one, somebody else wrote.
    pub base: u64,
    pub revision: u64,
    pub puts: Vec<Row>,
    /// Rows that are no longer needed.
    pub removals: Vec<Key>,
    /// When controllers have to look again; `None` when there is nothing to wait for.
    pub wake_at: Option<Timestamp>,
}

#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// Another process wrote in the meantime; read again.
    #[error("the cluster was changed by another process")]
    Stale,
    #[error("the journal failed: {0}")]
    Failed(String),
}

/// Keeps clusters. A commit that was answered is on disk.
#[async_trait]
pub trait Journal: fmt::Debug + Send + Sync {
    async fn load(&self, cluster: &str) -> Result<Saved, JournalError>;

    async fn commit(&self, cluster: &str, commit: Commit) -> Result<(), JournalError>;

    /// The revision of the last commit, if other processes may write too; `None` if only this one does.
    async fn revision(&self, cluster: &str) -> Result<Option<u64>, JournalError>;

    /// Clusters that have to be looked at by `now`, and when the next one has to be.
    async fn due(&self, now: Timestamp) -> Result<(Vec<String>, Option<Timestamp>), JournalError>;
}

/// Keeps clusters as long as the process lives.
#[derive(Debug, Default)]
pub struct Memory {
    clusters: Mutex<BTreeMap<String, Kept>>,
}

#[derive(Clone, Debug, Default)]
struct Kept {
    revision: u64,
    rows: BTreeMap<Key, Row>,
    wake_at: Option<Timestamp>,
}

#[async_trait]
impl Journal for Memory {
    async fn load(&self, cluster: &str) -> Result<Saved, JournalError> {
        let clusters = self.clusters.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = clusters.get(cluster).cloned().unwrap_or_default();
        Ok(Saved { revision: kept.revision, rows: kept.rows.into_values().collect() })
    }

    async fn commit(&self, cluster: &str, commit: Commit) -> Result<(), JournalError> {
        let mut clusters = self.clusters.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = clusters.entry(cluster.to_owned()).or_default();
        if kept.revision != commit.base {
            return Err(JournalError::Stale);
        }
        kept.revision = commit.revision;
        kept.wake_at = commit.wake_at;
        kept.rows.extend(commit.puts.into_iter().map(|row| (row.key.clone(), row)));
        for key in &commit.removals {
            kept.rows.remove(key);
        }
        Ok(())
    }

    async fn revision(&self, _: &str) -> Result<Option<u64>, JournalError> {
        Ok(None)
    }

    async fn due(&self, now: Timestamp) -> Result<(Vec<String>, Option<Timestamp>), JournalError> {
        let clusters = self.clusters.lock().unwrap_or_else(PoisonError::into_inner);
        let due = |kept: &Kept| kept.wake_at.is_some_and(|at| at <= now);
        let ids = clusters.iter().filter(|(_, kept)| due(kept)).map(|(id, _)| id.clone()).collect();
        let next = clusters.values().filter_map(|kept| kept.wake_at).filter(|at| *at > now).min();
        Ok((ids, next))
    }
}
