//! The store as the journal of virtual clusters.

use async_trait::async_trait;
use boatyard_core::clock;
use boatyard_kube::Key;
use boatyard_kube::journal::{Commit, Journal, JournalError, Row, Saved};
use boatyard_store::kube::{self, ObjectKey, ObjectRow};
use boatyard_store::{Domain, Error, Store};
use jiff::Timestamp;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

/// Commits that wait; whoever has another waits for a place.
const QUEUE: usize = 1024;
/// The most commits of one transaction.
const BATCH: usize = 64;

/// Writes commits of many clusters in few transactions where only this process writes: what it costs to have them on disk is then
/// shared by all that came in the meantime.
#[derive(Debug)]
pub(crate) struct StoreJournal {
    store: Store,
    queue: Option<mpsc::Sender<Entry>>,
}

type Done = Result<(), Error>;

#[derive(Debug)]
struct Entry {
    commit: kube::Commit,
    done: oneshot::Sender<Done>,
}

impl StoreJournal {
    /// A journal, and the task that writes it, which ends when the journal is dropped. None is needed where other processes write too:
    /// their database does as much for transactions that come together.
    pub fn start(store: Store) -> (Self, Option<JoinHandle<()>>) {
        if store.generation(Domain::Kube).is_none() {
            return (Self { store, queue: None }, None);
        }
        let (queue, entries) = mpsc::channel(QUEUE);
        let task = tokio::spawn(run(store.clone(), entries));
        (Self { store, queue: Some(queue) }, Some(task))
    }
}

async fn run(store: Store, mut entries: mpsc::Receiver<Entry>) {
    let mut batch = Vec::with_capacity(BATCH);
    while entries.recv_many(&mut batch, BATCH).await > 0 {
        let commits: Vec<_> = batch.iter().map(|entry: &Entry| &entry.commit).collect();
        let results = kube::commit(&store, &commits).await;
        for (entry, result) in batch.drain(..).zip(results) {
            // Whoever waited may have gone away.
            let _ = entry.done.send(result);
        }
    }
}

fn failed(error: &Error) -> JournalError {
    match error {
        Error::Stale => JournalError::Stale,
        error => JournalError::Failed(error.to_string()),
    }
}

/// Revisions count writes, so none is ever near where this would end.
fn signed(revision: u64) -> i64 {
    i64::try_from(revision).unwrap_or(i64::MAX)
}

fn unsigned(revision: i64) -> u64 {
    u64::try_from(revision).unwrap_or(0)
}

fn stored(key: &Key) -> ObjectKey {
    ObjectKey { resource: key.resource.to_string(), namespace: key.namespace.to_string(), name: key.name.to_string() }
}

#[async_trait]
impl Journal for StoreJournal {
    async fn load(&self, cluster: &str) -> Result<Saved, JournalError> {
        let (revision, rows) = kube::load(&self.store, cluster).await.map_err(|error| failed(&error))?;
        let row = |ObjectRow { key, revision, value }: ObjectRow| Row {
            key: Key::new(&key.resource, &key.namespace, &key.name),
            revision: unsigned(revision),
            value,
        };
        Ok(Saved { revision: unsigned(revision), rows: rows.into_iter().map(row).collect() })
    }

    async fn commit(&self, cluster: &str, commit: Commit) -> Result<(), JournalError> {
        let put = |row: Row| ObjectRow { key: stored(&row.key), revision: signed(row.revision), value: row.value };
        let commit = kube::Commit {
            cluster_id: cluster.to_owned(),
            base: signed(commit.base),
            revision: signed(commit.revision),
            puts: commit.puts.into_iter().map(put).collect(),
            removals: commit.removals.iter().map(stored).collect(),
            wake_at: commit.wake_at.map(Timestamp::as_millisecond),
        };
        let Some(queue) = &self.queue else {
            let result = kube::commit(&self.store, &[&commit]).await.pop().unwrap_or(Ok(()));
            return result.map_err(|error| failed(&error));
        };
        let (done, written) = oneshot::channel();
        let ended = || JournalError::Failed("the server is being stopped".to_owned());
        queue.send(Entry { commit, done }).await.map_err(|_| ended())?;
        written.await.map_err(|_| ended())?.map_err(|error| failed(&error))
    }

    async fn revision(&self, cluster: &str) -> Result<Option<u64>, JournalError> {
        if self.queue.is_some() {
            return Ok(None);
        }
        let read = async { kube::revision(&mut *self.store.read().await?, cluster).await };
        let revision = read.await.map_err(|error| failed(&error))?;
        Ok(Some(revision.map_or(0, unsigned)))
    }

    async fn due(&self, now: Timestamp) -> Result<(Vec<String>, Option<Timestamp>), JournalError> {
        let read = async { kube::due(&mut *self.store.read().await?, now.as_millisecond()).await };
        let (due, next) = read.await.map_err(|error| failed(&error))?;
        Ok((due, next.map(clock::from_ms)))
    }
}
