//! Events: told by controllers, counted when repeated, forgotten after an hour.

use std::sync::Arc;

use jiff::SignedDuration;
use serde_json::{Value, json};

use super::common::{after, parse_time};
use crate::object::{Key, Object, member, number, text, time};
use crate::state::Txn;

/// What is older is forgotten, as `--event-ttl` of an API server has it.
const KEPT_SECONDS: i64 = 3_600;
/// A cluster has no more; the oldest tenth goes when there are.
const MOST: usize = 500;

/// An event about an object.
#[derive(Clone, Copy)]
pub(crate) struct Told<'a> {
    /// The component that tells it: `deployment-controller`.
    pub by: &'a str,
    pub warning: bool,
    pub reason: &'a str,
    pub message: &'a str,
    /// The part of the object that it is about: `spec.containers{web}`.
    pub field: &'a str,
    /// The node, if it happened on one.
    pub host: &'a str,
}

impl<'a> Told<'a> {
    pub fn normal(by: &'a str, reason: &'a str, message: &'a str) -> Self {
        Self { by, warning: false, reason, message, field: "", host: "" }
    }

    pub fn warning(by: &'a str, reason: &'a str, message: &'a str) -> Self {
        Self { warning: true, ..Self::normal(by, reason, message) }
    }
}

/// Tells an event. The same one told again is counted, not kept twice.
pub(crate) fn tell(txn: &mut Txn, about: &Object, told: Told<'_>) {
    let namespace = place(about);
    if txn.state().find("namespaces", "", namespace).is_some_and(|n| n.is_terminating()) {
        return;
    }
    let prefix = format!("{}.", about.key.name);
    let known = of(txn, about).find(|event| repeats(event.content(), &told)).map(|event| event.key.clone());
    let now = time(txn.now());
    if let Some(known) = known {
        txn.edit(&known, |event| {
            let count = number(event, "/count").unwrap_or(1).saturating_add(1);
            if let Some(event) = event.as_object_mut() {
                event.insert("count".to_owned(), json!(count));
                event.insert("lastTimestamp".to_owned(), json!(now));
            }
        });
        return;
    }
    let mut event = json!({
        "apiVersion": "v1", "kind": "Event", "metadata": {},
        "involvedObject": {
            "apiVersion": about.api_version(), "kind": about.kind(), "name": &*about.key.name, "uid": about.uid(),
            "resourceVersion": about.revision.to_string(),
        },
        "reason": told.reason, "message": told.message, "type": if told.warning { "Warning" } else { "Normal" },
        "count": 1, "firstTimestamp": now, "lastTimestamp": now, "eventTime": null,
        "source": {"component": told.by}, "reportingComponent": told.by, "reportingInstance": told.host,
    });
    let involved = member(&mut event, "involvedObject");
    if !about.key.namespace.is_empty() {
        involved.insert("namespace".to_owned(), json!(namespace));
    }
    if !told.field.is_empty() {
        involved.insert("fieldPath".to_owned(), json!(told.field));
    }
    if !told.host.is_empty() {
        member(&mut event, "source").insert("host".to_owned(), json!(told.host));
    }
    // In the order of time, and unique: the revision tells apart what happens at once.
    let serial = txn.now().as_nanosecond() + i128::from(txn.state().revision() % 1_000_000);
    let name = format!("{prefix}{serial:016x}");
    txn.put(Key::new("events", namespace, &name), event);
}

/// Tells an event unless it was told of this object already.
pub(crate) fn tell_once(txn: &mut Txn, about: &Object, told: Told<'_>) {
    let known = of(txn, about).any(|event| repeats(event.content(), &told));
    if !known {
        tell(txn, about, told);
    }
}

/// The namespace of events about an object.
fn place(about: &Object) -> &str {
    if about.key.namespace.is_empty() { "default" } else { &about.key.namespace }
}

/// The events about an object, in the order of time.
fn of<'a>(txn: &'a Txn, about: &'a Object) -> impl Iterator<Item = &'a Arc<Object>> {
    let (namespace, prefix) = (place(about), format!("{}.", about.key.name));
    let events = txn.state().list("events", Some(namespace), Some((namespace, &prefix)));
    events
        .take_while(move |event| event.key.name.starts_with(&prefix))
        .filter(|event| text(event.content(), "/involvedObject/uid") == about.uid())
}

fn repeats(event: &Value, told: &Told<'_>) -> bool {
    text(event, "/reason") == told.reason
        && text(event, "/message") == told.message
        && text(event, "/involvedObject/fieldPath") == told.field
}

/// When an event of a reason was first told of an object.
pub(crate) fn first(txn: &Txn, about: &Object, reason: &str) -> Option<jiff::Timestamp> {
    let told = of(txn, about).map(|event| event.content()).find(|event| text(event, "/reason") == reason)?;
    parse_time(text(told, "/firstTimestamp"))
}

/// When an event was last told.
fn last(event: &Object) -> jiff::Timestamp {
    let content = event.content();
    ["/lastTimestamp", "/series/lastObservedTime", "/eventTime", "/metadata/creationTimestamp"]
        .iter()
        .find_map(|pointer| parse_time(text(content, pointer)))
        .unwrap_or_default()
}

/// What has waited for its time: all events wait as one.
pub(crate) fn sweep_key() -> Key {
    Key::new("events", "", "")
}

/// Makes sure that events are looked at again.
pub(crate) fn expect_sweep(txn: &mut Txn) {
    let key = sweep_key();
    if !txn.state().waits_for(&key) {
        // Once in a while is enough, so that a cluster nobody uses is not woken for each of them.
        let at = after(txn.now(), KEPT_SECONDS) + SignedDuration::from_secs(60);
        txn.wait(&key, Some(at));
    }
}

/// Whether there are too many.
pub(crate) fn are_too_many(txn: &Txn) -> bool {
    txn.state().events() > MOST
}

/// Forgets events that are old or too many.
pub(crate) fn sweep(txn: &mut Txn) {
    txn.unwait(&sweep_key());
    let mut events: Vec<Arc<Object>> = txn.list("events", None);
    events.sort_by_key(|event| last(event));
    let surplus = if events.len() > MOST { events.len() - MOST * 9 / 10 } else { 0 };
    let now = txn.now();
    let old = events.iter().take_while(|event| after(last(event), KEPT_SECONDS) <= now).count();
    let gone = old.max(surplus);
    for event in events.iter().take(gone) {
        txn.remove(&event.key);
    }
    if let Some(next) = events.get(gone) {
        let at = after(last(next), KEPT_SECONDS) + SignedDuration::from_secs(60);
        txn.wait(&sweep_key(), Some(at));
    }
}
