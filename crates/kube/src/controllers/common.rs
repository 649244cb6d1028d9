//! What controllers have in common: conditions, names, selectors, owners, templates.

use std::sync::Arc;

use boatyard_core::id;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};

use crate::object::{Key, Object, array, member, number, text, time};
use crate::state::Txn;

/// What names that Kubernetes makes are spelled with: no vowels and nothing that looks like another, so that no words come about.
const ALPHABET: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";

/// Five random characters, as names end that are generated.
pub(crate) fn suffix() -> String {
    id::random::<5>().iter().map(|b| char::from(ALPHABET[usize::from(*b) % ALPHABET.len()])).collect()
}

/// A name that nothing of the resource has.
pub(crate) fn free_name(txn: &Txn, resource: &str, namespace: &str, prefix: &str) -> String {
    // So that the name is no longer than those that Kubernetes makes.
    let prefix: String = prefix.chars().take(58).collect();
    loop {
        let name = format!("{prefix}{}", suffix());
        if txn.state().find(resource, namespace, &name).is_none() {
            return name;
        }
    }
}

/// The hash of a template as names and labels carry it. Only its form is upstream's: clients cannot compute it.
pub(crate) fn template_hash(template: &Value, collisions: i64) -> String {
    let text = format!("{template}{}", if collisions > 0 { collisions.to_string() } else { String::new() });
    let fold = |hash: u32, byte: u8| (hash ^ u32::from(byte)).wrapping_mul(16_777_619);
    let hash = text.bytes().fold(2_166_136_261, fold);
    hash.to_string().bytes().map(|b| char::from(ALPHABET[usize::from(b) % ALPHABET.len()])).collect()
}

/// A time as objects carry it.
pub(crate) fn parse_time(text: &str) -> Option<Timestamp> {
    text.parse().ok()
}

/// The time in a value.
pub(crate) fn time_at(value: &Value, pointer: &str) -> Option<Timestamp> {
    parse_time(text(value, pointer))
}

/// `at` and so many seconds, without running over.
pub(crate) fn after(at: Timestamp, seconds: i64) -> Timestamp {
    later(at, SignedDuration::from_secs(seconds))
}

/// `at` and so much time, without running over.
pub(crate) fn later(at: Timestamp, by: SignedDuration) -> Timestamp {
    at.saturating_add(by).unwrap_or(Timestamp::MAX)
}

/// A condition without its time.
pub(crate) fn condition(kind: &str, status: &str, reason: &str, message: &str) -> Value {
    let mut condition = json!({"type": kind, "status": status});
    if !reason.is_empty() {
        condition["reason"] = json!(reason);
    }
    if !message.is_empty() {
        condition["message"] = json!(message);
    }
    condition
}

/// Sets a condition in `status.conditions`; its time changes with its status only.
pub(crate) fn set_condition(value: &mut Value, mut condition: Value, now: Timestamp) {
    let status = member(value, "status");
    let conditions = status.entry("conditions").or_insert_with(|| json!([]));
    if !conditions.is_array() {
        *conditions = json!([]);
    }
    let Value::Array(conditions) = conditions else { return };
    let known = conditions.iter_mut().find(|c| c["type"] == condition["type"]);
    let since = known.as_ref().filter(|k| k["status"] == condition["status"]).and_then(|k| k.get("lastTransitionTime"));
    condition["lastTransitionTime"] = since.cloned().unwrap_or_else(|| json!(time(now)));
    match known {
        Some(known) => {
            if let Some(times) = known.as_object() {
                for name in ["lastUpdateTime", "lastProbeTime", "observedGeneration"] {
                    if let Some(value) = times.get(name).filter(|_| condition.get(name).is_none()) {
                        condition[name] = value.clone();
                    }
                }
            }
            *known = condition;
        }
        None => conditions.push(condition),
    }
}

/// Takes a condition away.
pub(crate) fn remove_condition(value: &mut Value, kind: &str) {
    if find_condition(value, kind).is_none() {
        return;
    }
    let status = member(value, "status");
    if let Some(Value::Array(conditions)) = status.get_mut("conditions") {
        conditions.retain(|condition| condition["type"] != kind);
        if conditions.is_empty() {
            status.remove("conditions");
        }
    }
}

/// A condition of an object.
pub(crate) fn find_condition<'a>(value: &'a Value, kind: &str) -> Option<&'a Value> {
    array(value, "/status/conditions").iter().find(|c| c["type"].as_str() == Some(kind))
}

/// Whether a condition is there and true.
pub(crate) fn is_true(value: &Value, kind: &str) -> bool {
    find_condition(value, kind).is_some_and(|c| c["status"] == json!("True"))
}

/// Whether a Pod, or a Node, is ready.
pub(crate) fn is_ready(object: &Object) -> bool {
    is_true(object.content(), "Ready")
}

/// Whether a Pod has been ready for so many seconds; if not yet, when it will have been.
fn available(pod: &Object, min_ready_seconds: i64, now: Timestamp) -> Result<(), Option<Timestamp>> {
    let ready = find_condition(pod.content(), "Ready").filter(|c| c["status"] == json!("True")).ok_or(None)?;
    let since = parse_time(ready["lastTransitionTime"].as_str().unwrap_or_default()).unwrap_or(now);
    let at = after(since, min_ready_seconds);
    if min_ready_seconds <= 0 || at <= now { Ok(()) } else { Err(Some(at)) }
}

/// Whether a Pod of `owner` has been ready for as long as that one wants; it looks again when it will have been.
pub(crate) fn is_available(txn: &mut Txn, owner: &Object, pod: &Object) -> bool {
    let seconds = number(owner.content(), "/spec/minReadySeconds").unwrap_or(0);
    let there = available(pod, seconds, txn.now());
    if let Err(Some(at)) = there {
        txn.wait(&owner.key, Some(at));
    }
    there.is_ok() && !pod.is_terminating()
}

/// Whether a Pod runs, or will.
pub(crate) fn is_active(pod: &Object) -> bool {
    !pod.is_terminating() && !has_ended(pod)
}

pub(crate) fn has_ended(pod: &Object) -> bool {
    matches!(text(pod.content(), "/status/phase"), "Succeeded" | "Failed")
}

fn label<'a>(labels: Option<&'a Map<String, Value>>, key: &str) -> Option<&'a str> {
    labels?.get(key)?.as_str()
}

/// Whether a `LabelSelector` selects these labels. An empty one selects everything.
pub(crate) fn selects(selector: &Value, labels: Option<&Map<String, Value>>) -> bool {
    let equal = selector.get("matchLabels").and_then(Value::as_object);
    equal.is_none_or(|equal| contains(equal, labels))
        && array(selector, "/matchExpressions").iter().all(|e| fulfils(e, label(labels, text(e, "/key"))))
}

/// Whether the labels contain all of these.
pub(crate) fn contains(wanted: &Map<String, Value>, labels: Option<&Map<String, Value>>) -> bool {
    wanted.iter().all(|(key, value)| label(labels, key) == value.as_str())
}

/// Whether a label fulfils a requirement, of a label selector or of a node selector.
pub(crate) fn fulfils(requirement: &Value, value: Option<&str>) -> bool {
    let values = array(requirement, "/values");
    let among = |value: &str| values.iter().any(|v| v.as_str() == Some(value));
    let compare = |holds: fn(i64, i64) -> bool| {
        let limit = values.first().and_then(Value::as_str).and_then(|v| v.parse().ok());
        value.and_then(|v| v.parse().ok()).zip(limit).is_some_and(|(value, limit)| holds(value, limit))
    };
    match text(requirement, "/operator") {
        "In" => value.is_some_and(among),
        "NotIn" => !value.is_some_and(among),
        "Exists" => value.is_some(),
        "DoesNotExist" => value.is_none(),
        "Gt" => compare(|value, limit| value > limit),
        "Lt" => compare(|value, limit| value < limit),
        _ => false,
    }
}

/// The reference of an object to the controller that owns it.
pub(crate) fn owner_reference(owner: &Object) -> Value {
    json!({
        "apiVersion": owner.api_version(), "kind": owner.kind(), "name": &*owner.key.name, "uid": owner.uid(),
        "controller": true, "blockOwnerDeletion": true,
    })
}

/// The objects of a resource that `owner` controls. Orphans that its selector selects become its own, and those of its own that it no
/// longer selects orphans.
pub(crate) fn controlled(txn: &mut Txn, owner: &Object, resource: &str, selector: Option<&Value>) -> Vec<Arc<Object>> {
    let uid = owner.uid();
    let is_ours = |object: &Object| object.controller().is_some_and(|c| text(c, "/uid") == uid);
    let namespace = &owner.key.namespace;
    if let Some(selector) = selector.filter(|_| !owner.is_terminating()) {
        let orphans: Vec<Key> = txn
            .state()
            .list(resource, Some(namespace), None)
            .filter(|o| o.controller().is_none() && !o.is_terminating() && selects(selector, o.labels()))
            .map(|o| o.key.clone())
            .collect();
        for key in orphans {
            txn.edit(&key, |value| {
                let owners = member(value, "metadata").entry("ownerReferences").or_insert_with(|| json!([]));
                if let Value::Array(owners) = owners {
                    owners.push(owner_reference(owner));
                }
            });
        }
        let strangers: Vec<Key> = txn
            .state()
            .owned_by(uid)
            .filter(|o| *o.key.resource == *resource && is_ours(o) && !selects(selector, o.labels()))
            .map(|o| o.key.clone())
            .collect();
        for key in strangers {
            txn.edit(&key, |value| release(value, uid));
        }
    }
    txn.state().owned_by(uid).filter(|o| *o.key.resource == *resource && is_ours(o)).cloned().collect()
}

fn release(value: &mut Value, uid: &str) {
    let metadata = member(value, "metadata");
    if let Some(Value::Array(owners)) = metadata.get_mut("ownerReferences") {
        owners.retain(|owner| text(owner, "/uid") != uid);
        if owners.is_empty() {
            metadata.remove("ownerReferences");
        }
    }
}

/// Changes the spec of an object, which makes a new generation of it.
pub(crate) fn edit_spec(txn: &mut Txn, key: &Key, edit: impl FnOnce(&mut Map<String, Value>)) {
    txn.edit(key, |value| {
        let before = value.get("spec").cloned();
        edit(member(value, "spec"));
        if value.get("spec") != before.as_ref() {
            let metadata = member(value, "metadata");
            let generation = metadata.get("generation").and_then(Value::as_i64).unwrap_or(1);
            metadata.insert("generation".to_owned(), json!(generation.saturating_add(1)));
        }
    });
}

/// Puts members into the status of an object; `null` takes one away.
pub(crate) fn edit_status(txn: &mut Txn, key: &Key, members: Value) {
    let Value::Object(members) = members else { return };
    txn.edit(key, |value| {
        let status = member(value, "status");
        for (name, value) in members {
            if value.is_null() {
                status.remove(&name);
            } else {
                status.insert(name, value);
            }
        }
    });
}

/// An annotation, set or (with nothing) taken away.
pub(crate) fn annotate(value: &mut Value, name: &str, content: Option<&str>) {
    match content {
        Some(content) => {
            member(value, "metadata/annotations").insert(name.to_owned(), json!(content));
        }
        None => {
            let metadata = member(value, "metadata");
            if let Some(Value::Object(annotations)) = metadata.get_mut("annotations") {
                annotations.remove(name);
                if annotations.is_empty() {
                    metadata.remove("annotations");
                }
            }
        }
    }
}

/// No number of replicas is larger.
const MOST: i64 = i32::MAX as i64;

/// A number of replicas, or of a part of them.
pub(crate) fn replicas(value: &Value, pointer: &str, default: i64) -> i64 {
    number(value, pointer).unwrap_or(default).clamp(0, MOST)
}

/// A number or, of `of`, a percentage: `25%`. Upstream rounds surges up and what may be unavailable down.
pub(crate) fn part(value: Option<&Value>, of: i64, default: &str, up: bool) -> i64 {
    let scaled = |text: &str| -> Option<i64> {
        let percent: i64 = text.strip_suffix('%')?.parse().ok()?;
        let product = of.saturating_mul(percent);
        Some(if up { product.saturating_add(99).div_euclid(100) } else { product.div_euclid(100) })
    };
    let part = match value {
        Some(Value::Number(n)) => n.as_i64().unwrap_or(0),
        Some(Value::String(text)) => scaled(text).or_else(|| text.parse().ok()).unwrap_or(0),
        _ => scaled(default).or_else(|| default.parse().ok()).unwrap_or(0),
    };
    part.clamp(0, MOST)
}
