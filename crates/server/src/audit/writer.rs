//! The one task that writes events, many in a commit.

use std::sync::atomic::{AtomicU64, Ordering};

use boatyard_store::Store;
use boatyard_store::audit::{self, NewEvent};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tracing::{error, warn};

/// Events that wait to be written; whoever has another waits for a place.
const QUEUE: usize = 4096;
/// The most events of one commit.
const BATCH: usize = 256;

/// Where events are handed in.
#[derive(Debug)]
pub struct Trail {
    queue: mpsc::Sender<Entry>,
    dropped: AtomicU64,
}

/// An event, or nothing but the wish to be told that all before are written.
#[derive(Debug)]
struct Entry {
    event: Option<NewEvent>,
    done: Option<oneshot::Sender<()>>,
}

impl Trail {
    /// A trail in `store`, and the task that writes it, which ends when the trail is dropped.
    #[must_use]
    pub fn start(store: Store) -> (Self, JoinHandle<()>) {
        let (queue, entries) = mpsc::channel(QUEUE);
        (Self { queue, dropped: AtomicU64::new(0) }, tokio::spawn(run(store, entries)))
    }

    /// Writes an event, and returns when it is on disk.
    pub async fn write(&self, event: NewEvent) {
        self.send(Some(event)).await;
    }

    /// Returns when all that was handed in before is on disk.
    pub async fn flush(&self) {
        self.send(None).await;
    }

    /// Hands an event in that need not be waited for. While many wait, it is dropped and counted.
    pub fn offer(&self, event: NewEvent) {
        let crowded = self.queue.capacity() < QUEUE / 2;
        if crowded || self.queue.try_send(Entry { event: Some(event), done: None }).is_err() {
            let dropped = self.dropped.fetch_add(1, Ordering::Relaxed) + 1;
            if dropped.is_power_of_two() {
                warn!(
                    dropped,
                    "refused requests of nobody known come faster than the trail is written, and are left out of it"
                );
            }
        }
    }

    /// How many events were dropped since the server was started.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    async fn send(&self, event: Option<NewEvent>) {
        let (done, written) = oneshot::channel();
        // The task ends only after the last sender, and logs what it cannot write.
        let _ = self.queue.send(Entry { event, done: Some(done) }).await;
        let _ = written.await;
    }
}

async fn run(store: Store, mut entries: mpsc::Receiver<Entry>) {
    let mut batch = Vec::with_capacity(BATCH);
    while entries.recv_many(&mut batch, BATCH).await > 0 {
        let events: Vec<_> = batch.iter_mut().filter_map(|entry| entry.event.take()).collect();
        for (event, error) in audit::append(&store, &events).await {
            // What was done is done; then at least the log says so.
            error!(error, event = event.document, "an event could not be written to the trail");
        }
        for done in batch.drain(..).filter_map(|entry| entry.done) {
            // Whoever waited may have gone away.
            let _ = done.send(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(at: i64) -> NewEvent {
        let text = String::new;
        let document = "{}".to_owned();
        NewEvent {
            at,
            account_id: None,
            action: text(),
            outcome: "failure",
            initiator: text(),
            initiator_name: text(),
            document,
        }
    }

    #[tokio::test]
    async fn a_flood_is_dropped_and_counted_but_what_is_waited_for_is_written() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::sqlite(dir.path()).await.unwrap();
        let (trail, _task) = Trail::start(store.clone());
        // Nothing is written before the first await, so the queue fills.
        let flood = QUEUE as u64;
        (0..flood).for_each(|_| trail.offer(event(1)));
        assert!(trail.dropped() > 0 && trail.dropped() < flood);
        trail.write(event(2)).await;
        let newest = audit::newest(&mut store.read().await.unwrap()).await.unwrap();
        assert_eq!(u64::try_from(newest).unwrap(), flood - trail.dropped() + 1);
    }
}
