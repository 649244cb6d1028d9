//! All clusters of this process: which are in memory, and who has something to do.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use boatyard_core::Clock;
use jiff::Timestamp;
use tokio::sync::{Notify, OnceCell};
use tokio::time::Instant;

use crate::api::{Request, Response};
use crate::cluster::Cluster;
use crate::journal::{Journal, JournalError};
use crate::serve;
use crate::status::Status;
use crate::world::{World, Worlds};

/// A cluster that nobody asked for anything for so long is read again when somebody does.
const IDLE: Duration = Duration::from_secs(15 * 60);
/// How long the process sleeps at most between looks at what is due, so that what another one wrote is seen.
const LONGEST_SLEEP: Duration = Duration::from_secs(60);
/// How often clusters that are watched are read, where other processes may write.
const SHARED_SLEEP: Duration = Duration::from_millis(500);

type Loaded = Arc<OnceCell<Arc<Cluster>>>;

/// The virtual clusters. Cheap to clone.
#[derive(Clone)]
pub struct Clusters {
    inner: Arc<Inner>,
}

struct Inner {
    journal: Arc<dyn Journal>,
    worlds: Arc<dyn Worlds>,
    clock: Clock,
    /// Signs tokens of service accounts.
    key: [u8; 32],
    loaded: Mutex<HashMap<String, Loaded>>,
    wake: Notify,
    started: Instant,
}

impl fmt::Debug for Clusters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Clusters").finish_non_exhaustive()
    }
}

impl Clusters {
    /// `key` signs tokens of service accounts: whoever has it can make them.
    #[must_use]
    pub fn new(journal: Arc<dyn Journal>, worlds: Arc<dyn Worlds>, clock: Clock, key: [u8; 32]) -> Self {
        let (loaded, wake, started) = (Mutex::default(), Notify::new(), Instant::now());
        Self { inner: Arc::new(Inner { journal, worlds, clock, key, loaded, wake, started }) }
    }

    /// Answers one request to the API server of a cluster.
    pub async fn serve(&self, cluster: &str, request: Request) -> Response {
        match self.inner.worlds.world(cluster).await {
            Ok(Some(world)) => self.serve_in(world, request).await,
            Ok(None) => {
                self.forget(cluster);
                Status::no_such_path().into()
            }
            Err(error) => failed(cluster, &error).into(),
        }
    }

    /// The same for who looked already what is true of the cluster.
    pub async fn serve_in(&self, world: Arc<World>, request: Request) -> Response {
        let found = match self.cluster(world).await {
            Ok(found) => found,
            Err(status) => return status.into(),
        };
        let before = found.wake_at();
        let response = serve::serve(&found, request).await;
        if found.wake_at().is_some_and(|at| before.is_none_or(|b| at < b)) {
            self.inner.wake.notify_one();
        }
        response
    }

    /// A cluster in step with what is true of it.
    ///
    /// # Errors
    /// 500 if it cannot be read, 429 if other processes write all the time.
    pub async fn cluster(&self, world: Arc<World>) -> Result<Arc<Cluster>, Status> {
        let inner = &self.inner;
        let id = world.id.clone();
        let cell = Arc::clone(inner.loaded().entry(id.clone()).or_default());
        let load = || async {
            let cluster =
                Cluster::load(&id, Arc::clone(&inner.journal), inner.clock.clone(), Arc::clone(&world), inner.key).await?;
            Ok(Arc::new(cluster))
        };
        let cluster = Arc::clone(cell.get_or_try_init(load).await.map_err(|error| failed(&id, &error))?);
        cluster.used.store(inner.uptime(), Ordering::Relaxed);
        cluster.refresh().await.map_err(|error| failed(&id, &error))?;
        if cluster.is_behind(&world) {
            let behind = Arc::clone(&cluster);
            // To its end, also if the client goes away in the meantime.
            let adopting = tokio::spawn(async move { behind.adopt(&world).await });
            adopting.await.unwrap_or_else(|_| Err(Status::internal()))?;
            // What follows from it may be due before anything that was waited for.
            inner.wake.notify_one();
        }
        Ok(cluster)
    }

    /// Has what is due looked at now: the clock was moved, for instance.
    pub fn wake(&self) {
        self.inner.wake.notify_one();
    }

    /// Forgets what is in memory of a cluster that is gone, or was replaced. Its watches end.
    pub fn forget(&self, id: &str) {
        let forgotten = self.inner.loaded().remove(id);
        if let Some(cluster) = forgotten.as_ref().and_then(|cell| cell.get()) {
            cluster.close();
        }
    }

    /// Forgets all clusters: everything was replaced.
    pub fn forget_all(&self) {
        let all = std::mem::take(&mut *self.inner.loaded());
        for cluster in all.values().filter_map(|cell| cell.get()) {
            cluster.close();
        }
    }

    /// Does what is due, as long as the process lives.
    pub async fn run(&self) {
        let inner = &self.inner;
        let mut shared = false;
        loop {
            let now = inner.clock.now();
            let (due, next) = inner.journal.due(now).await.unwrap_or_else(|error| {
                tracing::warn!(%error, "clusters that are due could not be found");
                (Vec::new(), None)
            });
            for id in due {
                match inner.worlds.world(&id).await {
                    Ok(Some(world)) => match self.cluster(world).await {
                        Ok(cluster) => cluster.wake().await,
                        Err(error) => tracing::warn!(cluster = id, %error, "the cluster could not be looked at"),
                    },
                    Ok(None) => {}
                    Err(error) => tracing::warn!(cluster = id, %error, "what is true of the cluster could not be read"),
                }
            }
            let watched = self.look_after().await;
            shared |= watched;
            let sleep = if shared && watched { SHARED_SLEEP } else { LONGEST_SLEEP };
            tokio::select! {
                () = tokio::time::sleep(until(now, next).min(sleep)) => {}
                () = inner.wake.notified() => {}
            }
        }
    }

    /// Lets clusters go that nobody uses, and reads those again that are watched, where others may write. Tells whether there are any.
    async fn look_after(&self) -> bool {
        let inner = &self.inner;
        let old = inner.uptime() - i64::try_from(IDLE.as_millis()).unwrap_or(i64::MAX);
        let mut watched = Vec::new();
        inner.loaded().retain(|_, cell| {
            let Some(cluster) = cell.get() else { return true };
            if cluster.is_watched() {
                watched.push(Arc::clone(cluster));
            }
            cluster.is_watched()
                || Arc::strong_count(cell) > 1
                || Arc::strong_count(cluster) > 1
                || cluster.used.load(Ordering::Relaxed) > old
        });
        let mut shared = false;
        for cluster in watched {
            match cluster.refresh().await {
                Ok(others) => shared |= others,
                Err(error) => tracing::warn!(%error, "a cluster that is watched could not be read"),
            }
        }
        shared
    }
}

fn failed(cluster: &str, error: &JournalError) -> Status {
    tracing::error!(cluster, %error, "the cluster could not be read");
    Status::internal()
}

impl Inner {
    fn loaded(&self) -> std::sync::MutexGuard<'_, HashMap<String, Loaded>> {
        self.loaded.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Milliseconds since the start.
    fn uptime(&self) -> i64 {
        i64::try_from(self.started.elapsed().as_millis()).unwrap_or(i64::MAX)
    }
}

/// How long until something is due.
fn until(now: Timestamp, next: Option<Timestamp>) -> Duration {
    next.map_or(LONGEST_SLEEP, |at| Duration::try_from(at - now).unwrap_or_default())
}
