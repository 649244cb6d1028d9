//! What an applied configuration makes of an object.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::fields::{FieldSet, PathElement};
use super::shape::{Children, Node};

/// Lays `config` over `live`: fields of objects one by one, items of lists by what identifies them, all else as a whole.
pub(super) fn merge(live: &mut Value, config: &Value, node: Node<'_>) {
    match config {
        Value::Object(config) if node.is_granular(&Value::Object(Map::new())) => {
            if !live.is_object() {
                *live = Value::Object(Map::new());
            }
            if let Value::Object(live) = live {
                merge_maps(live, config, node);
            }
        }
        Value::Array(_) if node.is_granular(config) => {
            let before = match live {
                Value::Array(items) => std::mem::take(items),
                _ => Vec::new(),
            };
            *live = Value::Array(merge_lists(before, config, node));
        }
        _ => *live = config.clone(),
    }
}

fn merge_maps(live: &mut Map<String, Value>, config: &Map<String, Value>, node: Node<'_>) {
    for (name, value) in config {
        let inner = node.member(name);
        if value.is_null() && !inner.is_nullable() {
            live.remove(name);
        } else {
            merge(live.entry(name.as_str()).or_insert(Value::Null), value, inner);
        }
    }
}

/// The items that both have come in the order of `config`; those that only one has stay between them as they were.
fn merge_lists(live: Vec<Value>, config: &Value, node: Node<'_>) -> Vec<Value> {
    let Some(Children::List(wanted)) = node.children(config) else {
        return config.as_array().cloned().unwrap_or_default();
    };
    let live: Vec<(Option<PathElement>, Value)> = live.into_iter().map(|item| (node.element(&item).ok(), item)).collect();
    let places: HashMap<&PathElement, usize> = wanted.iter().enumerate().rev().map(|(n, (element, _))| (element, n)).collect();
    let shared: Vec<Option<usize>> = live.iter().map(|(element, _)| places.get(element.as_ref()?).copied()).collect();
    // Where in `live` each wanted item is.
    let mut found = vec![None; wanted.len()];
    for (at, place) in shared.iter().enumerate().rev() {
        if let Some(slot) = place.and_then(|n| found.get_mut(n)) {
            *slot = Some(at);
        }
    }
    let mut live: Vec<Option<Value>> = live.into_iter().map(|(_, item)| Some(item)).collect();
    let mut merged = Vec::with_capacity(live.len() + wanted.len());
    let mut next = 0;
    let take = |until: usize, next: &mut usize, live: &mut [Option<Value>], merged: &mut Vec<Value>| {
        for (n, (_, item)) in wanted.iter().enumerate().take(until).skip(*next) {
            let before = found.get(n).copied().flatten().and_then(|at| live.get_mut(at)).and_then(Option::take);
            let mut item_merged = before.unwrap_or_default();
            merge(&mut item_merged, item, node.item());
            merged.push(item_merged);
        }
        *next = until.max(*next);
    };
    let mut next_shared = found.iter().enumerate().filter(|(_, at)| at.is_some()).map(|(n, _)| n).peekable();
    for (at, place) in shared.iter().enumerate() {
        match place {
            None => merged.extend(live.get_mut(at).and_then(Option::take)),
            // The others that are shared are taken in the order of `config`.
            Some(n) => {
                while next_shared.next_if(|s| *s < next).is_some() {}
                if next_shared.peek() == Some(n) {
                    take(n + 1, &mut next, &mut live, &mut merged);
                }
            }
        }
    }
    take(wanted.len(), &mut next, &mut live, &mut merged);
    merged
}

/// Removes what is in `last`, which is what its manager applied before, and in none of `kept`: what it applies now, and what
/// others own.
pub(super) fn prune(value: &mut Value, last: &FieldSet, kept: &[&FieldSet], node: Node<'_>) {
    if last.children.is_empty() || !node.is_granular(value) {
        return;
    }
    match value {
        Value::Object(members) => {
            for (element, last) in &last.children {
                let PathElement::Field(name) = element else { continue };
                let Some(member) = members.get_mut(&**name) else { continue };
                if !survives(member, element, last, kept, node.member(name), node.declares(name)) {
                    members.remove(&**name);
                }
            }
        }
        Value::Array(items) => {
            let elements: Vec<_> = items.iter().map(|item| node.element(item).ok()).collect();
            let mut elements = elements.into_iter();
            items.retain_mut(|item| {
                let Some(element) = elements.next().flatten() else { return true };
                last.children.get(&element).is_none_or(|last| survives(item, &element, last, kept, node.item(), false))
            });
        }
        _ => {}
    }
}

/// Prunes what is under an element of `last`, and tells whether it stays itself. That a field of a type is owned goes with what is
/// owned in it.
fn survives(
    value: &mut Value,
    element: &PathElement,
    last: &FieldSet,
    kept: &[&FieldSet],
    node: Node<'_>,
    is_declared: bool,
) -> bool {
    let owns = |set: &FieldSet| set.member || (is_declared && !set.children.is_empty());
    let kept: Vec<&FieldSet> = kept.iter().filter_map(|set| set.children.get(element)).collect();
    if owns(last) && !kept.iter().any(|set| owns(set)) {
        return false;
    }
    let is_empty = |value: &Value| value.as_object().is_some_and(Map::is_empty) || value.as_array().is_some_and(Vec::is_empty);
    let was_empty = is_empty(value);
    prune(value, last, &kept, node);
    was_empty || !is_empty(value)
}
