//! How lists of a strategic merge patch are merged: primitives as sets, objects by a key; and in which order they are then.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;

use serde_json::{Map, Value};

use super::strategic::{Directive, directive, merge_maps, plain};
use super::unprocessable;
use crate::status::Status;
use crate::types::Type;

/// A list with the strategy `merge`, merged with what the patch has for it.
pub(super) fn merge(before: Vec<Value>, patch: &[Value], schema: Option<&Type>) -> Result<Vec<Value>, Status> {
    if before.is_empty() && patch.is_empty() {
        return Ok(before);
    }
    if before.iter().chain(patch).any(Value::is_array) {
        return Err(unprocessable("lists of lists are not supported"));
    }
    let key = schema.and_then(|t| t.patch_merge_key.as_deref());
    let objects = before.iter().chain(patch).filter(|item| item.is_object()).count();
    if objects == 0 {
        let mut seen = HashSet::new();
        let merged = before.iter().chain(patch).filter(|item| seen.insert(*item)).cloned().collect();
        return ordered(merged, patch, &before, None);
    }
    if objects < before.len() + patch.len() {
        return Err(unprocessable("list element types are not identical"));
    }
    let Some(key) = key else {
        return Err(unprocessable("cannot merge lists without merge key"));
    };
    let items = schema.and_then(|t| t.items.as_deref());
    let (merged, kept) = merge_objects(before.clone(), patch, key, items)?;
    ordered(merged, &kept, &before, Some(key))
}

/// The merged list in no order to rely on, and the items of the patch that are no directives.
fn merge_objects(
    mut merged: Vec<Value>,
    patch: &[Value],
    key: &str,
    schema: Option<&Type>,
) -> Result<(Vec<Value>, Vec<Value>), Status> {
    let mut kept: Vec<&Map<String, Value>> = Vec::with_capacity(patch.len());
    let mut unwanted = HashSet::new();
    let mut replaced = false;
    for item in patch.iter().filter_map(Value::as_object) {
        match directive(item)? {
            Directive::None => kept.push(item),
            Directive::Replace => replaced = true,
            Directive::Delete => {
                unwanted.insert(item.get(key).ok_or_else(|| no_merge_key(item, key))?);
            }
            Directive::Merge => return Err(Status::bad_request("merging lists cannot yet be specified in the patch")),
        }
    }
    let as_values = || kept.iter().map(|item| plain(&Value::Object((*item).clone()))).collect::<Vec<_>>();
    if replaced {
        return Ok((as_values(), as_values()));
    }
    merged.retain(|m| m.get(key).is_none_or(|value| !unwanted.contains(value)));
    let mut places: HashMap<Value, usize> =
        merged.iter().enumerate().rev().filter_map(|(n, m)| Some((m.get(key)?.clone(), n))).collect();
    for item in &kept {
        let wanted = item.get(key).filter(|v| !v.is_null()).ok_or_else(|| no_merge_key(item, key))?;
        match places.get(wanted).and_then(|n| merged.get_mut(*n)) {
            Some(found) => {
                let before = found.as_object_mut().map(std::mem::take).unwrap_or_default();
                *found = Value::Object(merge_maps(before, item, schema)?);
            }
            None => {
                places.insert(wanted.clone(), merged.len());
                merged.push(plain(&Value::Object((*item).clone())));
            }
        }
    }
    Ok((merged, as_values()))
}

/// The items in the order that `order` gives those it names. The others stay where they were between them, as far as that can be:
/// `before` is the list as it was.
pub(super) fn ordered(items: Vec<Value>, order: &[Value], before: &[Value], key: Option<&str>) -> Result<Vec<Value>, Status> {
    let in_order = places(order, key);
    let in_before = places(before, key);
    let place = |list: &HashMap<&Value, usize>, item: &Value| identity(item, key).and_then(|i| list.get(i)).copied();
    if let Some(key) = key
        && let Some(without) = items.iter().find(|i| i.get(key).is_none())
    {
        return Err(no_merge_key(without.as_object().unwrap_or(&Map::new()), key));
    }
    let (mut named, mut others): (Vec<_>, Vec<_>) = items
        .into_iter()
        .map(|item| (place(&in_order, &item), place(&in_before, &item).unwrap_or(usize::MAX), item))
        .partition(|(in_order, ..)| in_order.is_some());
    named.sort_by_key(|(in_order, ..)| *in_order);
    others.sort_by_key(|(_, in_before, _)| *in_before);
    let mut all = Vec::with_capacity(named.len() + others.len());
    let mut others = others.into_iter().peekable();
    for (_, in_before, item) in named {
        // What is new in the patch comes before what it does not name: it has no place of its own yet.
        if in_before != usize::MAX {
            while let Some((.., other)) = others.next_if(|(_, other, _)| *other < in_before) {
                all.push(other);
            }
        }
        all.push(item);
    }
    all.extend(others.map(|(.., item)| item));
    Ok(all)
}

/// Refuses a patch whose items are not in `$setElementOrder`, in the order that has.
pub(super) fn check_order(changes: &[Value], order: &[Value], key: Option<&str>) -> Result<(), Status> {
    let kept = changes.iter().filter(|c| key.is_none() || c.get("$patch").is_none());
    let mut following = order.iter();
    // As upstream, an empty order does not have to name anything.
    for change in kept.take_while(|_| !order.is_empty()) {
        if !following.any(|o| identity(change, key).is_some_and(|i| identity(o, key) == Some(i))) {
            let (changes, order) = (told_list(changes), told_list(order));
            return Err(Status::bad_request(format!(
                "The order in patch list:\n{changes}\n doesn't match $setElementOrder list:\n{order}\n"
            )));
        }
    }
    Ok(())
}

/// What tells an item from others: the value of its key, or itself.
fn identity<'v>(item: &'v Value, key: Option<&str>) -> Option<&'v Value> {
    key.map_or(Some(item), |key| item.get(key))
}

fn places<'v>(list: &'v [Value], key: Option<&str>) -> HashMap<&'v Value, usize> {
    list.iter().enumerate().rev().filter_map(|(n, item)| Some((identity(item, key)?, n))).collect()
}

fn no_merge_key(item: &Map<String, Value>, key: &str) -> Status {
    Status::new(422, "Invalid", format!("map: {} does not contain declared merge key: {key}", told(item)))
}

/// `map[image:nginx name:web]`, as upstream's messages have objects.
pub(super) fn told(object: &Map<String, Value>) -> String {
    let mut text = String::new();
    tell_map(object, &mut text);
    text
}

fn told_list(items: &[Value]) -> String {
    let mut text = String::new();
    tell_list(items, &mut text);
    text
}

fn tell_map(object: &Map<String, Value>, text: &mut String) {
    text.push_str("map[");
    for (n, (name, value)) in object.iter().enumerate() {
        text.push_str(if n > 0 { " " } else { "" });
        text.push_str(name);
        text.push(':');
        tell(value, text);
    }
    text.push(']');
}

fn tell_list(items: &[Value], text: &mut String) {
    text.push('[');
    for (n, item) in items.iter().enumerate() {
        text.push_str(if n > 0 { " " } else { "" });
        tell(item, text);
    }
    text.push(']');
}

fn tell(value: &Value, text: &mut String) {
    match value {
        Value::Null => text.push_str("<nil>"),
        Value::String(s) => text.push_str(s),
        Value::Array(items) => tell_list(items, text),
        Value::Object(members) => tell_map(members, text),
        // Writing to a string cannot fail.
        other => _ = write!(text, "{other}"),
    }
}
