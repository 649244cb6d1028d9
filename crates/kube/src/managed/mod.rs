//! Who owns which fields of an object (`metadata.managedFields`), and server-side apply, which relies on it.

mod compare;
mod entries;
mod fields;
mod merge;
mod shape;

use std::collections::BTreeMap;

pub use fields::{FieldSet, PathElement};
use jiff::Timestamp;
use serde_json::{Map, Value};

use self::compare::{Difference, compare};
use self::entries::Entry;
use self::shape::{EMPTY, Node};
use crate::object::{member, text};
use crate::status::{Cause, Details, Status};
use crate::types::Type;

/// What the server keeps itself, so nobody owns it.
const UNOWNED: [&str; 2] = ["apiVersion", "kind"];
const UNOWNED_METADATA: [&str; 9] = [
    "name",
    "namespace",
    "creationTimestamp",
    "selfLink",
    "uid",
    "clusterName",
    "generation",
    "managedFields",
    "resourceVersion",
];
/// Who owns the fields of an object that nobody was known to own when it was first applied.
const BEFORE_FIRST_APPLY: &str = "before-first-apply";
/// The manager of `kubectl apply --server-side`, which takes over what `kubectl apply` did.
const KUBECTL: &str = "kubectl";
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";
/// The bytes that all annotations of an object may have.
const MAX_ANNOTATION: usize = 256 * 1024;

/// Who writes, through which version of the API and which subresource (empty for the object itself), and when.
#[derive(Clone, Copy, Debug)]
pub struct Writer<'a> {
    pub manager: &'a str,
    pub api_version: &'a str,
    pub subresource: &'a str,
    pub time: Timestamp,
}

/// Brings `metadata.managedFields` of `new` up to date after anything but an apply: what changed since `old` belongs to the writer,
/// and what is gone to nobody. `old` is nothing if the object is created.
///
/// Entries that `new` brings along take the place of those of `old`, which stay if it has none. `[]` and `[{}]` make the object forget
/// who owns what; of an object without entries, nobody gets to own anything until it is applied.
pub fn track_update(old: Option<&Value>, new: &mut Value, schema: &Type, writer: &Writer<'_>) {
    let sent = new.get_mut("metadata").and_then(Value::as_object_mut).and_then(|m| m.remove("managedFields"));
    let before = || old.map(entries::of).unwrap_or_default();
    let mut managed = match sent {
        Some(sent) if writer.subresource.is_empty() => {
            if entries::is_reset(&sent) {
                Vec::new()
            } else {
                entries::parse(&sent).unwrap_or_else(before)
            }
        }
        _ => before(),
    };
    if managed.is_empty() && old.is_some() {
        return;
    }
    let mut difference = compare(Some(old.unwrap_or(&EMPTY)), Some(new), Node::root(schema));
    strip(&mut difference.changed);
    let is_own = |entry: &Entry| entry.is_of(writer, false);
    for entry in &mut managed {
        entry.set.subtract(&difference.removed);
        if !is_own(entry) {
            entry.set.subtract(&difference.changed);
        }
    }
    if !difference.changed.is_empty() {
        let mut own = Entry::new(writer, false, difference.changed);
        if let Some(at) = managed.iter().position(is_own) {
            own.set.unite(&managed.swap_remove(at).set);
        }
        strip(&mut own.set);
        managed.push(own);
    }
    entries::put(entries::cap(managed), new);
}

/// What server-side apply makes of an object: `config` laid over `live` (nothing if the object is created), without what the writer
/// applied before and does not any more, unless somebody else owns it. `metadata.managedFields` is up to date; if nothing changes,
/// the result equals `live`. What is not the client's to set, as `status` where that is a subresource, has to be taken out of
/// `config` before.
///
/// # Errors
/// `Conflict` if it would change what others own, unless `force`; then they lose it. `BadRequest` if `config` has managed fields, is of
/// another version, or cannot be merged.
pub fn apply(live: Option<&Value>, config: &Value, schema: &Type, writer: &Writer<'_>, force: bool) -> Result<Value, Status> {
    check(config, schema, writer)?;
    let node = Node::root(schema);
    let mut managed = live.map(entries::of).unwrap_or_default();
    if managed.is_empty()
        && let Some(live) = live
    {
        let mut set = compare(Some(&EMPTY), Some(live), node).changed;
        strip(&mut set);
        managed.push(Entry::new(&Writer { manager: BEFORE_FIRST_APPLY, ..*writer }, false, set));
    }
    let last = managed.iter().position(|e| e.is_of(writer, true)).map(|at| managed.swap_remove(at));
    let mut set = node.set_of(config);
    let mut merged = live.unwrap_or(&EMPTY).clone();
    merge::merge(&mut merged, config, node);
    if let Some(last) = &last {
        let kept: Vec<_> = std::iter::once(&set).chain(managed.iter().map(|e| &e.set)).collect();
        merge::prune(&mut merged, &last.set, &kept, node);
    }
    let difference = compare(Some(live.unwrap_or(&EMPTY)), Some(&merged), node);
    if !force {
        let tolerated = tolerated(live, node, writer);
        refuse_conflicts(&managed, &difference, tolerated.as_ref())?;
    }
    for entry in &mut managed {
        entry.set.subtract(&difference.changed);
        entry.set.subtract(&difference.removed);
    }
    strip(&mut set);
    let mut own = Entry::new(writer, true, set);
    if let Some(last) = last
        && live == Some(&merged)
        && last.set == own.set
        && last.api_version == own.api_version
    {
        own.time = last.time;
    }
    managed.push(own);
    follow_last_applied(&mut merged, config, writer);
    entries::put(managed, &mut merged);
    Ok(merged)
}

/// Takes the managed fields of `old` if `new` differs from it by nothing but the times in them: then there is nothing to write.
pub fn keep_times(old: &Value, new: &mut Value) {
    let timeless = |object: &Value| {
        let mut managed = entries::of(object);
        managed.iter_mut().for_each(|e| e.time = None);
        managed.sort_by_cached_key(|e| (e.manager.clone(), e.applied, e.api_version.clone(), e.subresource.clone()));
        managed
    };
    let same_members = |a: &Map<String, Value>, b: &Map<String, Value>, but: &str| {
        let rest = |m: &Map<String, Value>| m.len() - usize::from(m.contains_key(but));
        rest(a) == rest(b) && a.iter().filter(|(name, _)| *name != but).all(|(name, value)| b.get(name) == Some(value))
    };
    let (Some(was), Some(is)) = (old.as_object(), new.as_object()) else { return };
    let (Some(metadata), Some(new_metadata)) = (old["metadata"].as_object(), new["metadata"].as_object()) else { return };
    if same_members(was, is, "metadata")
        && same_members(metadata, new_metadata, "managedFields")
        && timeless(old) == timeless(new)
        && let Some(managed) = metadata.get("managedFields")
    {
        member(new, "/metadata").insert("managedFields".into(), managed.clone());
    }
}

/// Takes out what nobody owns.
fn strip(set: &mut FieldSet) {
    let field = |name: &str| PathElement::Field(name.into());
    for name in UNOWNED {
        set.children.remove(&field(name));
    }
    if let Some(mut metadata) = set.children.remove(&field("metadata")) {
        metadata.member = false;
        for name in UNOWNED_METADATA {
            metadata.children.remove(&field(name));
        }
        set.hang(field("metadata"), metadata);
    }
}

/// Refuses what cannot be applied, whatever there is.
fn check(config: &Value, schema: &Type, writer: &Writer<'_>) -> Result<(), Status> {
    if !config["metadata"]["managedFields"].is_null() {
        return Err(Status::bad_request("metadata.managedFields must be nil"));
    }
    let version = text(config, "/apiVersion");
    if version != writer.api_version {
        return Err(Status::bad_request(format!(
            "Incorrect version specified in apply patch. Specified patch version: {version}, expected: {}",
            writer.api_version
        )));
    }
    let mut problems = Vec::new();
    Node::root(schema).problems(config, "", &mut problems);
    let told = match problems.as_slice() {
        [] => return Ok(()),
        [one] => one.clone(),
        several => format!("errors:\n{}", several.iter().map(|p| format!("  {p}")).collect::<Vec<_>>().join("\n")),
    };
    // The core group has an empty name, and a slash, here.
    let slash = if version.contains('/') { "" } else { "/" };
    let kind = text(config, "/kind");
    let (namespace, name) = (text(config, "/metadata/namespace"), text(config, "/metadata/name"));
    Err(Status::bad_request(format!(
        "failed to create typed patch object ({namespace}/{name}; {slash}{version}, Kind={kind}): {told}"
    )))
}

/// What kubectl may change although others own it: what it applied itself, before it did so on the server.
fn tolerated(live: Option<&Value>, node: Node<'_>, writer: &Writer<'_>) -> Option<FieldSet> {
    let annotation = live?.pointer("/metadata/annotations")?.get(LAST_APPLIED)?.as_str()?;
    let applied: Value = serde_json::from_str(annotation).ok().filter(|_| writer.manager == KUBECTL)?;
    Some(node.set_of(&applied))
}

/// A later `kubectl apply` on the client has to know what was applied on the server.
fn follow_last_applied(merged: &mut Value, config: &Value, writer: &Writer<'_>) {
    let annotations = merged.pointer_mut("/metadata/annotations").and_then(Value::as_object_mut);
    let Some(annotations) = annotations.filter(|a| writer.manager == KUBECTL && a.contains_key(LAST_APPLIED)) else { return };
    let mut applied = config.clone();
    if let Some(own) = applied.pointer_mut("/metadata/annotations").and_then(Value::as_object_mut) {
        own.remove(LAST_APPLIED);
    }
    let applied = format!("{applied}\n");
    if applied.len() > MAX_ANNOTATION {
        annotations.remove(LAST_APPLIED);
    } else {
        annotations.insert(LAST_APPLIED.into(), applied.into());
    }
}

fn refuse_conflicts(others: &[Entry], difference: &Difference, tolerated: Option<&FieldSet>) -> Result<(), Status> {
    // By manager, as they are told.
    let mut conflicts: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for entry in others {
        let mut set = entry.set.intersection(&difference.changed);
        if let Some(tolerated) = tolerated {
            set.subtract(tolerated);
        }
        if !set.is_empty() {
            conflicts.entry(entry.told()).or_default().extend(set.paths());
        }
    }
    let mut causes = Vec::new();
    let mut lines = Vec::new();
    for (manager, paths) in &conflicts {
        lines.push(format!("conflicts with {manager}:"));
        for path in paths {
            lines.push(format!("- {path}"));
            causes.push(Cause::new("FieldManagerConflict", path.as_str(), format!("conflict with {manager}")));
        }
    }
    let message = match causes.as_slice() {
        [] => return Ok(()),
        [one] => format!("Apply failed with 1 conflict: {}: {}", one.message, one.field),
        several => format!("Apply failed with {} conflicts: {}", several.len(), lines.join("\n")),
    };
    Err(Status::new(409, "Conflict", message).about(Details { causes, ..Details::default() }))
}

#[cfg(test)]
mod tests;
