//! One cluster: its present state, the one writer, and those who wait for changes.
//!
//! Readers take a [`Snapshot`] and need no lock afterwards. Writers queue up; whoever finds the writer's place free carries out everything
//! that waits, one transaction after another, and has the journal keep all of it in one commit. Nobody sees or is told of a change before
//! it is kept.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use boatyard_core::Clock;
use jiff::Timestamp;
use serde_json::Value;
use tokio::sync::{Mutex as AsyncMutex, oneshot, watch};

use crate::journal::{Commit, Journal, JournalError, Row};
use crate::object::{Key, Object};
use crate::openapi::Published;
use crate::rbac::{self, Authorizer};
use crate::registry::{self, Registry};
use crate::serve::Watches;
use crate::state::{State, Txn};
use crate::status::Status;
use crate::world::World;
use crate::{bootstrap, controllers, grants, nodes, openshift};

/// Rounds of controllers after one change; each is a fixed point of its own, so this many are never needed.
const MOST_ROUNDS: usize = 20;
/// How often it is tried to follow the world while other servers write.
const MOST_TRIES: usize = 5;

/// A cluster as it is at one revision.
pub struct Snapshot {
    pub state: State,
    pub world: Arc<World>,
    pub registry: Arc<Registry>,
    pub authorizer: Arc<Authorizer>,
    /// What the cluster's custom resources add to the published documents.
    pub documents: Arc<Published>,
    /// Signs tokens of service accounts.
    pub(crate) key: [u8; 32],
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot").field("revision", &self.state.revision()).finish_non_exhaustive()
    }
}

/// What an operation comes to.
#[derive(Debug)]
pub enum Outcome {
    /// An object, written or not, under the code that says so.
    Object(u16, Arc<Object>),
    /// Something else.
    Value(u16, Value),
}

/// A change. It may look at everything, and nothing of it stays if it fails.
pub type Operation = Box<dyn FnOnce(&mut Txn, &Snapshot) -> Result<Outcome, Status> + Send>;

struct Waiting {
    operation: Operation,
    /// Whether nothing is to be written.
    dry_run: bool,
    done: oneshot::Sender<Result<Outcome, Status>>,
}

/// A cluster that is in memory.
pub struct Cluster {
    id: String,
    journal: Arc<dyn Journal>,
    clock: Clock,
    snapshot: RwLock<Arc<Snapshot>>,
    waiting: Mutex<Vec<Waiting>>,
    writer: AsyncMutex<()>,
    /// The revision.
    changed: watch::Sender<u64>,
    /// Whether nobody is to watch any more.
    closed: watch::Sender<bool>,
    /// Who watches.
    pub(crate) watches: Watches,
    /// When something of it changes by itself, in milliseconds; the largest number if nothing does.
    wake_at: AtomicI64,
    /// Whether what follows from the world was done since the cluster was read.
    adopted: AtomicBool,
    /// When somebody last asked for something, in milliseconds of the system's uptime as the holder counts it.
    pub(crate) used: AtomicI64,
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cluster").field("id", &self.id).finish_non_exhaustive()
    }
}

impl Cluster {
    /// Reads a cluster.
    ///
    /// # Errors
    /// When the journal fails.
    pub async fn load(
        id: &str,
        journal: Arc<dyn Journal>,
        clock: Clock,
        world: Arc<World>,
        key: [u8; 32],
    ) -> Result<Self, JournalError> {
        let state = read(&*journal, id, &world).await?;
        let (changed, _) = watch::channel(state.revision());
        // A copy, so that the first request finds another one and has what follows from it done.
        let (world, adopted) = (Arc::new((*world).clone()), AtomicBool::new(false));
        let snapshot = RwLock::new(Arc::new(Snapshot::new(state, world, key, None, &[])));
        let (waiting, writer) = (Mutex::default(), AsyncMutex::default());
        let (wake_at, used) = (AtomicI64::new(i64::MAX), AtomicI64::new(0));
        let (closed, watches) = (watch::Sender::new(false), Watches::default());
        let id = id.to_owned();
        Ok(Self { id, journal, clock, snapshot, waiting, writer, changed, closed, watches, wake_at, adopted, used })
    }

    /// The cluster as it is now.
    #[must_use]
    pub fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.snapshot.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Tells of every change: the revision that there is then.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    #[must_use]
    pub fn is_watched(&self) -> bool {
        self.changed.receiver_count() > 0
    }

    /// Ends all watches, for good.
    pub fn close(&self) {
        self.closed.send_replace(true);
    }

    /// Tells when the cluster was closed.
    #[must_use]
    pub fn closed(&self) -> watch::Receiver<bool> {
        self.closed.subscribe()
    }

    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    #[must_use]
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// When something of it changes by itself.
    #[must_use]
    pub fn wake_at(&self) -> Option<Timestamp> {
        match self.wake_at.load(Ordering::Relaxed) {
            i64::MAX => None,
            at => Some(boatyard_core::clock::from_ms(at)),
        }
    }

    /// Carries out a change. When this returns, it is kept.
    ///
    /// # Errors
    /// What the operation says; 500 if the journal failed.
    pub async fn write(&self, dry_run: bool, operation: Operation) -> Result<Outcome, Status> {
        let (done, mut result) = oneshot::channel();
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).push(Waiting { operation, dry_run, done });
        let _writer = self.writer.lock().await;
        // Whoever was the writer in the meantime may have done it.
        if let Ok(result) = result.try_recv() {
            return result;
        }
        self.work().await;
        result.try_recv().unwrap_or_else(|_| Err(Status::internal()))
    }

    /// Whether there is something of the world that the cluster does not follow yet.
    #[must_use]
    pub fn is_behind(&self, world: &Arc<World>) -> bool {
        let known = &self.snapshot().world;
        !Arc::ptr_eq(known, world) && (world.ticket > known.ticket || !self.adopted.load(Ordering::Relaxed))
    }

    /// Brings the cluster in step with what is true of it. To be carried to its end: what was kept has to be shown.
    ///
    /// # Errors
    /// 500 if the journal failed.
    pub async fn adopt(&self, world: &Arc<World>) -> Result<(), Status> {
        let _writer = self.writer.lock().await;
        for _ in 0..MOST_TRIES {
            if !self.is_behind(world) {
                return Ok(());
            }
            let before = self.snapshot();
            let (at, now) = (before.of(Arc::clone(world)), self.clock.now());
            let done = work(move || bring_in_step(at, &before.world, now)).await.ok_or_else(Status::internal)?;
            match self.finish(done).await {
                Ok(()) => {
                    self.adopted.store(true, Ordering::Relaxed);
                    return Ok(());
                }
                // It was read again, with what another server wrote.
                Err(JournalError::Stale) => {}
                Err(JournalError::Failed(_)) => return Err(Status::internal()),
            }
        }
        Err(Status::too_many_requests("other servers change the cluster all the time; try again", 1))
    }

    /// Has controllers do what is due.
    pub async fn wake(&self) {
        let _writer = self.writer.lock().await;
        self.work().await;
    }

    /// Reads what other processes wrote, if they may, which is returned.
    ///
    /// # Errors
    /// When the journal fails.
    pub async fn refresh(&self) -> Result<bool, JournalError> {
        let Some(revision) = self.journal.revision(&self.id).await? else { return Ok(false) };
        if revision != self.kept_revision() {
            let _writer = self.writer.lock().await;
            self.reread().await?;
        }
        Ok(true)
    }

    /// The revision that the journal has, as far as is known.
    fn kept_revision(&self) -> u64 {
        match self.snapshot().state.revision() {
            bootstrap::REVISION => 0,
            revision => revision,
        }
    }

    async fn reread(&self) -> Result<(), JournalError> {
        let before = self.snapshot();
        let fresh = read(&*self.journal, &self.id, &before.world).await?;
        let (known, found) = (before.state.revision(), fresh.revision());
        if found < known {
            // Everything was replaced. Nobody can go on from what they have seen.
            self.publish(Arc::new(Snapshot::new(fresh, Arc::clone(&before.world), before.key, None, &[])));
            self.adopted.store(false, Ordering::Relaxed);
        } else if found > known {
            let (state, touched) = before.state.followed_by(&fresh);
            self.publish(Arc::new(Snapshot::new(state, Arc::clone(&before.world), before.key, Some(&before), &touched)));
        }
        Ok(())
    }

    /// Carries out what waits. The writer's place is the caller's.
    async fn work(&self) {
        let waiting = std::mem::take(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner));
        let (base, now) = (self.snapshot(), self.clock.now());
        // Should it panic, whoever waits is told that it failed, since nobody answers any more.
        let Some((done, answers)) = work(move || carry_out(base, waiting, now)).await else { return };
        let kept = self.finish(done).await;
        for answer in answers {
            let result = match &kept {
                Ok(()) => answer.result,
                // It was refused by what there was before, whatever became of the others.
                Err(_) if answer.result.is_err() && !answer.follows => answer.result,
                Err(JournalError::Stale) => Err(Status::too_many_requests("another server changed the cluster; try again", 1)),
                Err(JournalError::Failed(_)) => Err(Status::internal()),
            };
            // Nobody waits any more if the client went away.
            let _ = answer.done.send(result);
        }
    }

    /// Has everything kept, then shows it.
    async fn finish(&self, done: Done) -> Result<(), JournalError> {
        let Done { base, at, touched, wake } = done;
        let wake_at = wake.map_or(i64::MAX, Timestamp::as_millisecond);
        // When something is due is kept as well, so that it is not forgotten with this process.
        let later = wake_at != self.wake_at.load(Ordering::Relaxed) && base != bootstrap::REVISION;
        let kept = match touched.is_empty() && !later {
            true => Ok(()),
            false => self.keep(base, &at.state, touched, wake).await,
        };
        match &kept {
            Ok(()) => {
                self.wake_at.store(wake_at, Ordering::Relaxed);
                if !Arc::ptr_eq(&at, &self.snapshot()) {
                    self.publish(at);
                }
            }
            Err(error) => tracing::warn!(cluster = self.id, %error, "changes were not kept"),
        }
        if matches!(kept, Err(JournalError::Stale))
            && let Err(error) = self.reread().await
        {
            tracing::warn!(cluster = self.id, %error, "the cluster could not be read again");
        }
        kept
    }

    /// Has the journal keep what was touched.
    async fn keep(&self, base: u64, state: &State, mut touched: Vec<Key>, wake: Option<Timestamp>) -> Result<(), JournalError> {
        touched.sort();
        touched.dedup();
        let (mut puts, mut removals) = (Vec::new(), Vec::new());
        for key in touched {
            match state.get(&key) {
                Some(object) => {
                    puts.push(Row { revision: object.revision, value: Some(object.value().to_string()), key });
                }
                None if state.is_buried(&key) => puts.push(Row { revision: state.revision(), value: None, key }),
                None => removals.push(key),
            }
        }
        // Every cluster begins with this revision, kept or not.
        let base = if base == bootstrap::REVISION { 0 } else { base };
        self.journal.commit(&self.id, Commit { base, revision: state.revision(), puts, removals, wake_at: wake }).await
    }

    fn publish(&self, snapshot: Arc<Snapshot>) {
        let revision = snapshot.state.revision();
        *self.snapshot.write().unwrap_or_else(PoisonError::into_inner) = snapshot;
        self.changed.send_if_modified(|known| std::mem::replace(known, revision) != revision);
    }
}

async fn read(journal: &dyn Journal, id: &str, world: &World) -> Result<State, JournalError> {
    let saved = journal.load(id).await?;
    State::loaded(bootstrap::objects(world), saved).map_err(|error| JournalError::Failed(error.to_string()))
}

/// What was done and is to be kept.
struct Done {
    /// The revision that it was done to.
    base: u64,
    at: Arc<Snapshot>,
    touched: Vec<Key>,
    wake: Option<Timestamp>,
}

/// What one operation came to.
struct Answer {
    done: oneshot::Sender<Result<Outcome, Status>>,
    result: Result<Outcome, Status>,
    /// Whether something was changed before it that was not kept yet.
    follows: bool,
}

/// Does work that may take long where it keeps no other request waiting. `None` if it panicked.
async fn work<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    tokio::task::spawn_blocking(work)
        .await
        .inspect_err(|error| tracing::error!(%error, "a change could not be carried out"))
        .ok()
}

fn carry_out(base: Arc<Snapshot>, waiting: Vec<Waiting>, now: Timestamp) -> (Done, Vec<Answer>) {
    let mut at = Arc::clone(&base);
    let (mut touched, mut answers) = (Vec::new(), Vec::new());
    // What time alone brings about comes first.
    let mut txn = Txn::new(at.state.clone(), now);
    let mut wake = settle(&mut txn, &at.world);
    advance(&mut at, &mut touched, txn, base.state.revision());
    for one in waiting {
        let follows = !touched.is_empty();
        let mut txn = Txn::new(at.state.clone(), now);
        let result = (one.operation)(&mut txn, &at);
        if result.is_ok() && !one.dry_run && !txn.touched().is_empty() {
            wake = settle(&mut txn, &at.world);
            advance(&mut at, &mut touched, txn, base.state.revision());
        }
        answers.push(Answer { done: one.done, result, follows });
    }
    (Done { base: base.state.revision(), at, touched, wake }, answers)
}

/// What controllers look at of a world that may change.
fn looked_at(world: &World) -> (&str, &str, crate::world::Timings) {
    (&world.ingress_hostname, &world.ca_pem, world.timings)
}

/// Has everything follow that a new world brings with it.
fn bring_in_step(at: Snapshot, before: &World, now: Timestamp) -> Done {
    let (base, world) = (at.state.revision(), Arc::clone(&at.world));
    let mut txn = Txn::new(at.state.clone(), now);
    nodes::reconcile(&mut txn, &world.machines, &world);
    grants::reconcile(&mut txn, &world.grants);
    if world.openshift.is_some() {
        openshift::sync(&mut txn, &world);
    }
    if looked_at(before) != looked_at(&world) {
        controllers::look_again(&mut txn);
    }
    let wake = settle(&mut txn, &world);
    // Even if no object was touched, what waits may wait for another time.
    let (state, touched) = txn.into_parts();
    let at = Arc::new(Snapshot::new(state, world, at.key, Some(&at), &touched));
    Done { base, at, touched, wake }
}

/// Has controllers follow a change until nothing follows any more. Returns when something changes by itself.
fn settle(txn: &mut Txn, world: &World) -> Option<Timestamp> {
    let mut seen = 0;
    for _ in 0..MOST_ROUNDS {
        let before = txn.touched().len();
        if txn.touched()[seen..].iter().any(grants::concerns) {
            grants::reconcile(txn, &world.grants);
        }
        registry::follow(txn, seen);
        rbac::aggregate(txn);
        controllers::run(txn, world);
        if txn.touched().len() == before {
            break;
        }
        seen = before;
    }
    txn.wake()
}

/// Goes on from what a transaction made. Watches may have `seen` what there is up to that revision.
fn advance(at: &mut Arc<Snapshot>, touched: &mut Vec<Key>, txn: Txn, seen: u64) {
    // Even if no object was touched, what waits may wait for another time.
    let (mut state, new) = txn.into_parts();
    state.trim(seen);
    *at = Arc::new(Snapshot::new(state, Arc::clone(&at.world), at.key, Some(at), &new));
    touched.extend(new);
}

impl Snapshot {
    /// `state` after `before`, of which `touched` is different.
    fn new(state: State, world: Arc<World>, key: [u8; 32], before: Option<&Self>, touched: &[Key]) -> Self {
        let before = before.filter(|b| b.world.openshift.is_some() == world.openshift.is_some());
        let (registry, documents) = match before {
            Some(before) if !touched.iter().any(registry::concerns) => {
                (Arc::clone(&before.registry), Arc::clone(&before.documents))
            }
            _ => {
                let registry = Arc::new(Registry::of(&state, world.openshift.is_some()));
                let documents = Published::new(registry::definitions(&state).map(Object::content));
                (registry, Arc::new(documents))
            }
        };
        let authorizer = match before {
            Some(before) if !touched.iter().any(rbac::concerns) => Arc::clone(&before.authorizer),
            _ => Arc::new(Authorizer::of(&state)),
        };
        Self { state, world, registry, authorizer, documents, key }
    }

    /// The same with another world.
    fn of(&self, world: Arc<World>) -> Self {
        Self::new(self.state.clone(), world, self.key, Some(self), &[])
    }
}
