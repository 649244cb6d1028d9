//! `watch`: what happens to objects from a revision on, one JSON object a line.
//!
//! Each watch is a task that makes one frame at a time and waits until the client takes it, so that a slow client costs a frame and not a
//! copy of all that it has not read, and one that does not read at all does not keep its watch from ending.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use serde_json::{Value, json};
use tokio::sync::{mpsc, watch::Receiver};
use tokio::time::{Instant, timeout_at};

use super::Ask;
use super::answer;
use super::read::{Selection, selected};
use super::views;
use crate::accept::JSON;
use crate::api::{Body, Response};
use crate::cluster::{Cluster, Snapshot};
use crate::object::Object;
use crate::state::{Change, Event};
use crate::status::Status;
use crate::{openshift, tables};

/// How long a watch lasts that does not say how long. Upstream chooses something between this and twice as long.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30 * 60);
const LONGEST_TIMEOUT: u64 = 24 * 60 * 60;
/// How often a client that wants bookmarks is told how far the watch is.
const BOOKMARK_EVERY: Duration = Duration::from_secs(60);
/// A frame that has so many bytes is sent before more is put into it.
const FRAME: usize = 64 << 10;
/// A client that takes no frame for so long is not waited for.
const STALLED: Duration = Duration::from_secs(60);
/// A watch that has not told of everything for so long ends: it keeps in memory what there was when it began to.
const LONGEST_BEHIND: Duration = Duration::from_secs(5 * 60);
/// So many watches a cluster serves: each is told of every change.
const MOST: usize = 1_000;
/// So many watches of one user a cluster serves: an operator or a dashboard that watches everything has one of each resource, of which
/// there are some hundred with custom ones.
const MOST_OF_USER: usize = 400;
/// When a client may ask again that was refused, in seconds, as upstream has it.
const RETRY_AFTER: u32 = 1;

/// How many watches of a cluster there are.
#[derive(Debug, Default)]
pub(crate) struct Watches(Arc<Mutex<Counts>>);

#[derive(Debug, Default)]
struct Counts {
    all: usize,
    of_user: HashMap<String, usize>,
}

/// One watch that counts, as long as the client has it.
#[derive(Debug)]
struct Place {
    counts: Arc<Mutex<Counts>>,
    user: String,
}

impl Watches {
    /// # Errors
    /// 429 if there are too many of the user, or of all.
    fn enter(&self, user: &str) -> Result<Place, Status> {
        let mut counts = locked(&self.0);
        let own = counts.of_user.get(user).copied().unwrap_or_default();
        for (count, most, whose) in [(own, MOST_OF_USER, "of one user"), (counts.all, MOST, "at a time")] {
            if count >= most {
                let message = format!("too many watches, please try again later: a cluster serves {most} {whose}");
                return Err(Status::too_many_requests(message, RETRY_AFTER));
            }
        }
        counts.all += 1;
        counts.of_user.insert(user.to_owned(), own + 1);
        Ok(Place { counts: Arc::clone(&self.0), user: user.to_owned() })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = locked(&self.counts);
        counts.all -= 1;
        if let Some(own) = counts.of_user.get_mut(&self.user) {
            *own -= 1;
            if *own == 0 {
                counts.of_user.remove(&self.user);
            }
        }
    }
}

fn locked(counts: &Mutex<Counts>) -> MutexGuard<'_, Counts> {
    counts.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Answers a watch. Its stream ends at the client's timeout, when the client does not read, when the cluster forgot what the client has
/// not seen, or when the server stops.
pub fn watch(cluster: &Arc<Cluster>, at: &Arc<Snapshot>, mut ask: Ask) -> Result<Response, Status> {
    // Paths that name one object watch that one.
    let named = ask.target.name.take();
    let selection = Selection::of(&ask)?;
    // What a table holds is wrong now or never.
    answer::options(&ask, "", false, ask.now)?;
    let timeout = ask.query.number("timeoutSeconds")?.filter(|t| *t > 0);
    let timeout = timeout.map_or(DEFAULT_TIMEOUT, |seconds| Duration::from_secs(seconds.min(LONGEST_TIMEOUT)));
    let initial_wanted = ask.query.flag("sendInitialEvents");
    let (revision, begin) = match ask.query.get("resourceVersion") {
        "" | "0" => (at.state.revision(), initial_wanted || !ask.query.has("sendInitialEvents")),
        text => {
            let wanted = text.parse::<u64>().map_err(|_| Status::bad_request(format!("invalid resource version {text:?}")))?;
            if wanted > at.state.revision() {
                return Err(Status::too_large_revision(wanted, at.state.revision()));
            }
            (if initial_wanted { at.state.revision() } else { wanted }, initial_wanted)
        }
    };
    let place = cluster.watches.enter(&ask.user.name)?;
    let mut watcher = Watcher {
        changes: cluster.changes(),
        cluster: Arc::clone(cluster),
        api_version: ask.resource.api_version(),
        bookmarks: ask.query.flag("allowWatchBookmarks"),
        ask,
        named,
        selection,
        revision,
        initial: VecDeque::new(),
        tell_end: false,
        behind: None,
        idle: Instant::now(),
        ends: Instant::now() + timeout,
        next_bookmark: Instant::now() + BOOKMARK_EVERY,
        columns_sent: false,
        over: false,
    };
    if begin {
        watcher.begin(at);
        watcher.tell_end = initial_wanted && watcher.bookmarks;
    }
    // The sender waits with a frame of its own.
    let (frames, mut taken) = mpsc::channel(1);
    tokio::spawn(forward(watcher, frames, cluster.closed()));
    let mut headers = HeaderMap::new();
    headers.insert(http::header::CONTENT_TYPE, HeaderValue::from_static(JSON));
    let stream = futures::stream::poll_fn(move |context| {
        // The place is taken until the client goes, since what it did not read is kept until then.
        let _taken = &place;
        taken.poll_recv(context)
    });
    Ok(Response { status: 200, headers, body: Body::Stream(Box::pin(stream)) })
}

/// Sends what a watch is told of until it is over, whether the client reads it or not.
async fn forward(mut watcher: Watcher, frames: mpsc::Sender<Bytes>, mut closed: Receiver<bool>) {
    let ends = watcher.ends;
    let all = async {
        while let Some(frame) = watcher.next().await {
            let sent = timeout_at(ends.min(Instant::now() + STALLED), frames.send(frame)).await;
            if !matches!(sent, Ok(Ok(()))) {
                break;
            }
        }
    };
    tokio::select! {
        biased;
        // It fails when the cluster is gone, which comes to the same.
        _ = closed.wait_for(|closed| *closed) => {}
        () = frames.closed() => {}
        () = all => {}
    }
}

struct Watcher {
    cluster: Arc<Cluster>,
    /// That the objects are served in.
    api_version: String,
    changes: Receiver<u64>,
    ask: Ask,
    named: Option<String>,
    selection: Selection,
    bookmarks: bool,
    /// Everything up to here was sent, or is in `initial`.
    revision: u64,
    /// What was there at first and was not sent yet.
    initial: VecDeque<Arc<Object>>,
    /// Whether the client is to be told when it has seen that.
    tell_end: bool,
    /// The cluster at a revision that not everything was sent up to. What happened is taken from here, however much is forgotten
    /// meanwhile.
    behind: Option<Arc<Snapshot>>,
    /// When it last had nothing to tell of.
    idle: Instant,
    ends: Instant,
    next_bookmark: Instant,
    /// Whether a table was sent, whose columns later ones need not repeat.
    columns_sent: bool,
    over: bool,
}

impl Watcher {
    async fn next(&mut self) -> Option<Bytes> {
        while !self.over && Instant::now() < self.ends {
            if self.idle.elapsed() > LONGEST_BEHIND && (self.behind.is_some() || !self.initial.is_empty()) {
                return None;
            }
            if let Some(frame) = self.first().or_else(|| self.happened()) {
                return Some(frame);
            }
            let woken = tokio::select! {
                changed = self.changes.changed() => changed.is_ok(),
                () = tokio::time::sleep_until(self.ends) => false,
                () = tokio::time::sleep_until(self.next_bookmark), if self.bookmarks => {
                    self.next_bookmark = Instant::now() + BOOKMARK_EVERY;
                    return Some(self.bookmark(false));
                }
            };
            (self.idle, self.over) = (Instant::now(), !woken);
        }
        None
    }

    /// Has everything sent that is there.
    fn begin(&mut self, at: &Snapshot) {
        let mut objects: VecDeque<_> = match openshift::is_virtual(&self.ask.resource) {
            true => views::objects(at, &self.ask).into_iter().filter(|o| self.selection.matches(o)).collect(),
            false => selected(at, &self.ask, &self.selection, None).cloned().collect(),
        };
        objects.retain(|object| self.is_named(object));
        self.initial = objects;
    }

    /// A frame of what was there at first.
    fn first(&mut self) -> Option<Bytes> {
        let mut lines = Vec::new();
        while lines.len() < FRAME
            && let Some(object) = self.initial.pop_front()
        {
            self.line(&mut lines, "ADDED", &object);
        }
        if lines.is_empty() {
            return std::mem::take(&mut self.tell_end).then(|| self.bookmark(true));
        }
        Some(lines.into())
    }

    /// A frame of what happened since.
    fn happened(&mut self) -> Option<Bytes> {
        let at = self.behind.take().unwrap_or_else(|| {
            self.changes.mark_unchanged();
            self.cluster.snapshot()
        });
        let Some(events) = at.state.since(self.revision) else {
            let status = Status::expired(format!("too old resource version: {} ({})", self.revision, at.state.forgotten()));
            self.over = true;
            return Some(line("ERROR", &status.object(), self.ask.form.pretty));
        };
        let mut lines = Vec::new();
        for event in events {
            if lines.len() >= FRAME {
                self.behind = Some(Arc::clone(&at));
                return Some(lines.into());
            }
            if !openshift::is_virtual(&self.ask.resource) {
                self.event(&mut lines, event);
            } else if let Some(event) = openshift::event(&self.ask.resource, event)
                && views::sees(&at, &self.ask, &event.object.key.name)
            {
                self.event(&mut lines, &event);
            }
            self.revision = event.object.revision;
        }
        self.revision = at.state.revision();
        (!lines.is_empty()).then(|| lines.into())
    }

    /// An event as this watch sees it: an object that comes to match is added, one that no longer does is deleted.
    fn event(&mut self, lines: &mut Vec<u8>, event: &Event) {
        let object = &event.object;
        if object.key.resource != self.ask.resource.stored || !self.is_in_place(object) {
            return;
        }
        let matched = event.previous.as_ref().is_some_and(|previous| self.selection.matches(previous));
        let matches = self.selection.matches(object);
        let told = match (event.change, matched, matches) {
            (Change::Added, _, true) | (Change::Modified, false, true) => Change::Added,
            (Change::Modified, true, true) => Change::Modified,
            (Change::Deleted, true, _) | (Change::Modified, true, false) => Change::Deleted,
            _ => return,
        };
        let as_it_is = told == event.change
            && !self.ask.form.pretty
            && self.ask.form.shape == tables::Form::Whole
            && object.api_version() == self.api_version;
        if as_it_is {
            // Most watches are of this kind, and many may be told of one event.
            lines.extend_from_slice(&event.line(|| line(name(told), &object.value(), false)));
        } else {
            self.line(lines, name(told), object);
        }
    }

    fn is_in_place(&self, object: &Object) -> bool {
        self.ask.target.namespace.as_deref().is_none_or(|namespace| *object.key.namespace == *namespace)
            && self.is_named(object)
    }

    fn is_named(&self, object: &Object) -> bool {
        self.named.as_deref().is_none_or(|name| *object.key.name == *name)
    }

    fn line(&mut self, lines: &mut Vec<u8>, kind: &str, object: &Object) {
        let served = answer::served(&self.ask.resource, object);
        // The form was looked at when the watch began, so this is an object in it.
        let headers = !std::mem::replace(&mut self.columns_sent, true);
        let Ok(shaped) = answer::shaped(&self.ask, served, headers, self.cluster.clock().now()) else { return };
        lines.extend_from_slice(&line(kind, &shaped, self.ask.form.pretty));
    }

    /// Tells the client how far the watch is; `end` that it has seen everything that was there at first.
    fn bookmark(&self, end: bool) -> Bytes {
        let resource = &self.ask.resource;
        let mut metadata = json!({ "resourceVersion": self.revision.to_string(), "creationTimestamp": null });
        if end {
            metadata["annotations"] = json!({ "k8s.io/initial-events-end": "true" });
        }
        let object = json!({ "kind": resource.kind, "apiVersion": resource.api_version(), "metadata": metadata });
        let object = match &self.ask.form.shape {
            tables::Form::Whole => object,
            tables::Form::Partial(version) => tables::partial(&object, version),
            tables::Form::Table(version) => json!({
                "kind": "Table", "apiVersion": format!("meta.k8s.io/{version}"), "metadata": object["metadata"],
                "columnDefinitions": null, "rows": [],
            }),
        };
        line("BOOKMARK", &object, self.ask.form.pretty)
    }
}

fn name(change: Change) -> &'static str {
    match change {
        Change::Added => "ADDED",
        Change::Modified => "MODIFIED",
        Change::Deleted => "DELETED",
    }
}

fn line(kind: &str, object: &Value, pretty: bool) -> Bytes {
    // Not put together as one value first, since that would copy the object.
    let mut text = if pretty {
        format!("{:#}", json!({ "type": kind, "object": object }))
    } else {
        format!("{{\"type\":\"{kind}\",\"object\":{object}}}")
    };
    text.push('\n');
    text.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cluster_serves_so_many_watches() {
        let watches = Watches::default();
        let mut places: Vec<_> =
            (0..MOST).map(|index| watches.enter(&format!("user{}", index / MOST_OF_USER)).unwrap()).collect();
        let refused = |user| watches.enter(user).unwrap_err();
        assert_eq!(refused("user0").message, "too many watches, please try again later: a cluster serves 400 of one user");
        let all = refused("somebody");
        assert_eq!(all.message, "too many watches, please try again later: a cluster serves 1000 at a time");
        assert_eq!((all.code, all.details.and_then(|d| d.retry_after_seconds)), (429, Some(RETRY_AFTER)));
        places.pop();
        drop(watches.enter("somebody").unwrap());
        places.clear();
        let counts = locked(&watches.0);
        assert_eq!((counts.all, counts.of_user.len()), (0, 0));
    }
}
