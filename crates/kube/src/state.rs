//! The objects of one cluster, and how a transaction changes them.
//!
//! A [`State`] is a value: whoever has one sees the cluster as it was at its revision, however long it takes to read. A [`Txn`] makes
//! the next one; nobody sees it before it is on disk.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, OnceLock};

use boatyard_core::id;
use bytes::Bytes;
use jiff::Timestamp;
use rpds::RedBlackTreeMapSync;
use serde_json::{Value, json};

use crate::amounts::Amounts;
use crate::journal::Saved;
use crate::object::{self, Key, Object, member, text, time};

/// So many events are remembered for watches that begin in the past.
const REMEMBERED: usize = 1_000;
/// So many bytes of events are remembered at most: large objects that change often are not to fill the memory.
const REMEMBERED_BYTES: usize = 64 << 20;
/// What an event takes besides its objects.
const EVENT_BYTES: usize = 256;
/// So many bytes of objects a cluster keeps; etcd has a quota as well.
pub const MOST_BYTES: usize = 256 << 20;

/// What happened to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    Added,
    Modified,
    Deleted,
}

/// One change of one object, at the revision of `object`.
#[derive(Clone, Debug)]
pub struct Event {
    pub change: Change,
    /// As it is now, or was when it was deleted.
    pub object: Arc<Object>,
    /// As it was before.
    pub previous: Option<Arc<Object>>,
    /// As watches tell of it in JSON, made for the first of them.
    line: OnceLock<Bytes>,
}

impl Event {
    #[must_use]
    pub fn new(change: Change, object: Arc<Object>, previous: Option<Arc<Object>>) -> Self {
        Self { change, object, previous, line: OnceLock::new() }
    }

    /// About how many bytes it keeps in memory once a watch was told of it. The object may be one that the state has anyway, but not for
    /// long.
    fn size(&self) -> usize {
        EVENT_BYTES + self.previous.as_ref().map_or(0, |previous| previous.size()) + 2 * self.object.size()
    }

    /// What watches are told that see the event as it is; `make` is asked once.
    pub fn line(&self, make: impl FnOnce() -> Bytes) -> Bytes {
        self.line.get_or_init(make).clone()
    }
}

/// The objects of a cluster at one revision.
#[derive(Clone, Debug, Default)]
pub struct State {
    revision: u64,
    objects: RedBlackTreeMapSync<Key, Arc<Object>>,
    /// By UID of the owner and key.
    owned: RedBlackTreeMapSync<(Arc<str>, Key), ()>,
    /// What happened, by revision. What is older than its beginning is forgotten.
    log: RedBlackTreeMapSync<u64, Arc<Event>>,
    /// About how many bytes the log takes.
    log_bytes: usize,
    /// Everything after this revision is in the log.
    forgotten: u64,
    /// What the cluster began with and lost.
    buried: RedBlackTreeMapSync<Key, ()>,
    /// What waits: until a time, or (without one) for something else to happen. Objects tell all of it, so it is not stored.
    waits: RedBlackTreeMapSync<Key, Option<Timestamp>>,
    due: RedBlackTreeMapSync<(Timestamp, Key), ()>,
    /// Whether controllers have seen every object since the state was loaded.
    settled: bool,
    /// How many of the objects are events and Pods, which are bounded.
    events: usize,
    pods: usize,
    /// About how many bytes the objects take.
    bytes: usize,
}

impl State {
    /// A cluster at its beginning.
    #[must_use]
    pub fn begun(initial: impl IntoIterator<Item = Object>) -> Self {
        let mut state = Self::default();
        for object in initial {
            state.revision = state.revision.max(object.revision);
            state.place(Arc::new(object));
        }
        state.forgotten = state.revision;
        state
    }

    /// A cluster that began with `initial`, as it was stored: values as JSON by key, and none for what was deleted of what it began with.
    ///
    /// # Errors
    /// When a stored value is not JSON.
    pub fn loaded(initial: impl IntoIterator<Item = Object>, saved: Saved) -> serde_json::Result<Self> {
        let mut state = Self::begun(initial);
        state.revision = state.revision.max(saved.revision);
        state.forgotten = state.revision;
        for row in saved.rows {
            let replaced = state.displace(&row.key);
            let Some(text) = row.value else {
                state.buried.insert_mut(row.key, ());
                continue;
            };
            let mut object = Object::new(row.key, row.revision, serde_json::from_str(&text)?);
            object.initial = replaced.is_some_and(|r| r.initial);
            state.place(Arc::new(object));
        }
        Ok(state)
    }

    /// Whether the cluster began with an object of this key and lost it.
    #[must_use]
    pub fn is_buried(&self, key: &Key) -> bool {
        self.buried.contains_key(key)
    }

    /// `fresh` as what comes after this state, with what happened in between as far as it can be told: which objects came, changed and went.
    /// Also returns their keys.
    #[must_use]
    pub fn followed_by(&self, fresh: &Self) -> (Self, Vec<Key>) {
        let (log, log_bytes) = (self.log.clone(), self.log_bytes);
        let mut state = Self { log, log_bytes, forgotten: self.forgotten, ..fresh.clone() };
        let mut touched = Vec::new();
        let mut taken = std::collections::BTreeSet::new();
        for object in fresh.all() {
            let previous = self.get(&object.key).cloned();
            if previous.as_ref().is_some_and(|p| p.revision == object.revision) {
                continue;
            }
            taken.insert(object.revision);
            touched.push(object.key.clone());
            let change = if previous.is_some() { Change::Modified } else { Change::Added };
            state.record(change, object.clone(), previous);
        }
        // Each removal took a revision too; which one is not known, but that there are enough of them.
        let mut free = (self.revision + 1..=fresh.revision).filter(|revision| !taken.contains(revision));
        for previous in self.all().filter(|object| fresh.get(&object.key).is_none()) {
            let Some(revision) = free.next() else { break };
            touched.push(previous.key.clone());
            state.record(Change::Deleted, gone(previous, revision), Some(previous.clone()));
        }
        state.trim(self.revision);
        (state, touched)
    }

    /// The revision of the last change.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.revision
    }

    #[must_use]
    pub fn get(&self, key: &Key) -> Option<&Arc<Object>> {
        self.objects.get(key)
    }

    /// The object of a resource with a name; `namespace` is empty for what is in none.
    #[must_use]
    pub fn find(&self, resource: &str, namespace: &str, name: &str) -> Option<&Arc<Object>> {
        self.get(&Key::new(resource, namespace, name))
    }

    /// The objects of a resource in the order of namespace and name, of one namespace or of all, after `after` if that is given.
    pub fn list<'a>(
        &'a self,
        resource: &str,
        namespace: Option<&str>,
        after: Option<(&str, &str)>,
    ) -> impl Iterator<Item = &'a Arc<Object>> + use<'a> {
        let first = match after {
            Some((namespace, name)) => Bound::Excluded(Key::new(resource, namespace, name)),
            None => Bound::Included(Key::new(resource, namespace.unwrap_or_default(), "")),
        };
        let (resource, namespace): (Arc<str>, Option<Arc<str>>) = (resource.into(), namespace.map(Arc::from));
        let within = move |key: &Key| key.resource == resource && namespace.as_ref().is_none_or(|n| key.namespace == *n);
        let range = self.objects.range((first, Bound::Unbounded));
        range.map(|(_, object)| object).take_while(move |object| within(&object.key))
    }

    /// All objects.
    pub fn all(&self) -> impl Iterator<Item = &Arc<Object>> {
        self.objects.values()
    }

    /// The objects that name `uid` as an owner.
    pub fn owned_by<'a>(&'a self, uid: &str) -> impl Iterator<Item = &'a Arc<Object>> + use<'a> {
        let uid: Arc<str> = uid.into();
        let first = Bound::Included((uid.clone(), Key::new("", "", "")));
        let range = self.owned.range((first, Bound::Unbounded)).take_while(move |((owner, _), ())| *owner == uid);
        range.filter_map(|((_, key), ())| self.objects.get(key))
    }

    /// What happened after `revision`, in order, or `None` if that is forgotten.
    #[must_use]
    pub fn since(&self, revision: u64) -> Option<impl Iterator<Item = &Arc<Event>>> {
        (revision >= self.forgotten)
            .then(|| self.log.range((Bound::Excluded(revision), Bound::Unbounded)).map(|(_, event)| event))
    }

    /// Forgets the oldest of what happened up to `seen`, as far as it is more than is remembered. What happened after `seen` stays, however
    /// much it is: no watch could be told of it yet. To be called before a state is shown, with the revision that was shown until then.
    pub fn trim(&mut self, seen: u64) {
        while self.log.size() > REMEMBERED || self.log_bytes > REMEMBERED_BYTES {
            let Some((first, size)) = self.log.first().map(|(first, event)| (*first, event.size())) else { break };
            if first > seen {
                break;
            }
            self.log.remove_mut(&first);
            self.log_bytes -= size;
            self.forgotten = first;
        }
    }

    /// The earliest revision that a watch can begin after.
    #[must_use]
    pub fn forgotten(&self) -> u64 {
        self.forgotten
    }

    /// What waits, and until when if that is a matter of time.
    pub fn waits(&self) -> impl Iterator<Item = (&Key, Option<Timestamp>)> {
        self.waits.iter().map(|(key, at)| (key, *at))
    }

    /// Whether `key` waits for anything.
    #[must_use]
    pub fn waits_for(&self, key: &Key) -> bool {
        self.waits.contains_key(key)
    }

    /// What waited until `now` or earlier.
    #[must_use]
    pub fn due(&self, now: Timestamp) -> Vec<Key> {
        self.due.keys().take_while(|(at, _)| *at <= now).map(|(_, key)| key.clone()).collect()
    }

    /// Whether controllers have seen every object since the state was loaded.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.settled
    }

    /// How many objects there are.
    #[must_use]
    pub fn size(&self) -> usize {
        self.objects.size()
    }

    /// How many events there are.
    #[must_use]
    pub fn events(&self) -> usize {
        self.events
    }

    /// How many Pods there are.
    #[must_use]
    pub fn pods(&self) -> usize {
        self.pods
    }

    /// About how many bytes the objects take.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether the objects take all of [`MOST_BYTES`], so that nothing may be added.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.bytes >= MOST_BYTES
    }

    /// Whether `new` may take the place of `old`: there is room for it, or it is not larger.
    #[must_use]
    pub fn has_room(&self, old: Option<&Value>, new: &Value) -> bool {
        let (old, new) = (old.map_or(0, object::size), object::size(new));
        new <= old || self.bytes + (new - old) <= MOST_BYTES
    }

    fn unwait(&mut self, key: &Key) {
        if let Some(Some(at)) = self.waits.get(key).copied() {
            self.due.remove_mut(&(at, key.clone()));
        }
        self.waits.remove_mut(key);
    }

    fn place(&mut self, object: Arc<Object>) {
        self.events += usize::from(&*object.key.resource == "events");
        self.pods += usize::from(&*object.key.resource == "pods");
        self.bytes += object.size();
        for owner in object.owners() {
            self.owned.insert_mut((text(owner, "/uid").into(), object.key.clone()), ());
        }
        self.objects.insert_mut(object.key.clone(), object);
    }

    fn displace(&mut self, key: &Key) -> Option<Arc<Object>> {
        let object = self.objects.get(key)?.clone();
        for owner in object.owners() {
            self.owned.remove_mut(&(text(owner, "/uid").into(), key.clone()));
        }
        self.objects.remove_mut(key);
        self.events -= usize::from(&*key.resource == "events");
        self.pods -= usize::from(&*key.resource == "pods");
        self.bytes -= object.size();
        Some(object)
    }

    fn record(&mut self, change: Change, object: Arc<Object>, previous: Option<Arc<Object>>) -> Arc<Event> {
        let event = Arc::new(Event::new(change, object, previous));
        let replaced = self.log.get(&event.object.revision).map_or(0, |replaced| replaced.size());
        self.log_bytes = self.log_bytes + event.size() - replaced;
        self.log.insert_mut(event.object.revision, event.clone());
        event
    }
}

/// An object as it was when it was deleted.
fn gone(object: &Object, revision: u64) -> Arc<Object> {
    let mut value = object.value().into_owned();
    member(&mut value, "metadata").insert("resourceVersion".to_owned(), json!(revision.to_string()));
    Arc::new(Object::new(object.key.clone(), revision, value))
}

/// Changes that become visible, and durable, together.
#[derive(Clone, Debug)]
pub struct Txn {
    state: State,
    now: Timestamp,
    /// What was changed, whatever it was changed to.
    touched: Vec<Key>,
    /// How it was changed, step by step.
    events: Vec<Arc<Event>>,
    /// When something changes by itself, as far as controllers said.
    wake: Option<Timestamp>,
    /// For which objects something was refused, after how many events, and why.
    refused: BTreeMap<Key, (usize, String)>,
    /// What the Pods of namespaces use, for those that somebody asked for, and after how many events.
    pub(crate) used: RefCell<BTreeMap<Arc<str>, (usize, Amounts)>>,
}

impl Txn {
    #[must_use]
    pub fn new(state: State, now: Timestamp) -> Self {
        Self {
            state,
            now,
            touched: Vec::new(),
            events: Vec::new(),
            wake: None,
            refused: BTreeMap::new(),
            used: RefCell::default(),
        }
    }

    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.now
    }

    #[must_use]
    pub fn state(&self) -> &State {
        &self.state
    }

    /// See [`State::get`].
    #[must_use]
    pub fn get(&self, key: &Key) -> Option<Arc<Object>> {
        self.state.get(key).cloned()
    }

    /// See [`State::find`].
    #[must_use]
    pub fn find(&self, resource: &str, namespace: &str, name: &str) -> Option<Arc<Object>> {
        self.state.find(resource, namespace, name).cloned()
    }

    /// The objects of a resource, of one namespace or of all. See [`State::list`].
    #[must_use]
    pub fn list(&self, resource: &str, namespace: Option<&str>) -> Vec<Arc<Object>> {
        self.state.list(resource, namespace, None).cloned().collect()
    }

    /// See [`State::owned_by`].
    #[must_use]
    pub fn owned_by(&self, uid: &str) -> Vec<Arc<Object>> {
        self.state.owned_by(uid).cloned().collect()
    }

    /// Makes an object, or replaces the one that has the key. Gives it a UID and a time of creation if `value` has none, its name,
    /// namespace and resource version. An object that would not change stays as it is.
    pub fn put(&mut self, key: Key, mut value: Value) -> Arc<Object> {
        let previous = self.state.get(&key).cloned();
        let revision = self.state.revision + 1;
        let metadata = member(&mut value, "metadata");
        metadata.insert("name".to_owned(), json!(&*key.name));
        if !key.namespace.is_empty() {
            metadata.insert("namespace".to_owned(), json!(&*key.namespace));
        }
        metadata.entry("uid").or_insert_with(|| json!(id::uuid()));
        metadata.entry("creationTimestamp").or_insert_with(|| json!(time(self.now)));
        if let Some(previous) = &previous {
            metadata.insert("resourceVersion".to_owned(), json!(previous.revision.to_string()));
            if *previous.value() == value {
                return previous.clone();
            }
        }
        value["metadata"]["resourceVersion"] = json!(revision.to_string());
        let change = if previous.is_some() { Change::Modified } else { Change::Added };
        let mut object = Object::new(key.clone(), revision, value);
        object.initial = self.state.buried.remove_mut(&key) || previous.as_ref().is_some_and(|p| p.initial);
        let object = Arc::new(object);
        self.state.revision = revision;
        self.state.displace(&key);
        self.state.place(object.clone());
        let event = self.state.record(change, object.clone(), previous);
        self.events.push(event);
        self.touched.push(key);
        object
    }

    /// Changes an object, if it is there.
    pub fn edit(&mut self, key: &Key, edit: impl FnOnce(&mut Value)) -> Option<Arc<Object>> {
        let mut value = self.state.get(key)?.value().into_owned();
        edit(&mut value);
        Some(self.put(key.clone(), value))
    }

    /// Takes an object away, whatever its finalizers say. Returns it as it was.
    pub fn remove(&mut self, key: &Key) -> Option<Arc<Object>> {
        let previous = self.state.displace(key)?;
        if previous.initial {
            self.state.buried.insert_mut(key.clone(), ());
        }
        let revision = self.state.revision + 1;
        self.state.revision = revision;
        self.state.unwait(key);
        let event = self.state.record(Change::Deleted, gone(&previous, revision), Some(previous.clone()));
        self.events.push(event);
        self.touched.push(key.clone());
        Some(previous)
    }

    /// Has controllers look at the cluster again at `at`, at the latest.
    pub fn wake_at(&mut self, at: Timestamp) {
        self.wake = Some(self.wake.map_or(at, |wake| wake.min(at)));
    }

    /// Has controllers look at `key` again at `at`, or whenever what it waits for may have happened. The earlier of two times counts.
    pub fn wait(&mut self, key: &Key, at: Option<Timestamp>) {
        let known = self.state.waits.get(key).copied().flatten();
        let at = known.into_iter().chain(at).min();
        self.state.unwait(key);
        self.state.waits.insert_mut(key.clone(), at);
        if let Some(at) = at {
            self.state.due.insert_mut((at, key.clone()), ());
        }
    }

    /// Forgets that `key` waits.
    pub fn unwait(&mut self, key: &Key) {
        self.state.unwait(key);
    }

    /// Remembers that something was refused for `key`, so that it is not tried again before anything happened that matters.
    pub fn refuse(&mut self, key: &Key, why: &str) {
        self.refused.insert(key.clone(), (self.events.len(), why.to_owned()));
    }

    /// What has happened since something was last refused for `key` in this transaction, and why it was.
    #[must_use]
    pub fn refused(&self, key: &Key) -> Option<(&[Arc<Event>], &str)> {
        let (at, why) = self.refused.get(key)?;
        Some((self.events.get(*at..).unwrap_or_default(), why))
    }

    /// Says whether controllers have seen every object; if not, they look at all of them the next time.
    pub fn set_settled(&mut self, settled: bool) {
        self.state.settled = settled;
    }

    /// When controllers have to look again: at the first of what [`Txn::wake_at`] was told and all that waits, whoever made it wait.
    #[must_use]
    pub fn wake(&self) -> Option<Timestamp> {
        let due = self.state.due.first().map(|((at, _), ())| *at);
        self.wake.into_iter().chain(due).min()
    }

    /// What happened so far, in order. Controllers remember how much of it they have seen.
    #[must_use]
    pub fn events(&self) -> &[Arc<Event>] {
        &self.events
    }

    /// What was touched so far, in order, whatever it was changed to; a key may stand here more than once. Controllers remember how much of
    /// it they have seen.
    #[must_use]
    pub fn touched(&self) -> &[Key] {
        &self.touched
    }

    /// What was changed: the object as it is now, or nothing if it is gone.
    #[must_use]
    pub fn changes(&self) -> Vec<(Key, Option<Arc<Object>>)> {
        let mut keys = self.touched.clone();
        keys.sort();
        keys.dedup();
        keys.into_iter().map(|key| (key.clone(), self.state.get(&key).cloned())).collect()
    }

    #[must_use]
    pub fn into_state(self) -> State {
        self.state
    }

    /// The state, and what was touched.
    #[must_use]
    pub fn into_parts(self) -> (State, Vec<Key>) {
        (self.state, self.touched)
    }
}

#[cfg(test)]
mod tests;
