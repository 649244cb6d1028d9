//! LimitRanges: what containers get that say nothing of resources, and what they may ask for.

use serde_json::{Value, json};

use super::{containers, forbidden};
use crate::amounts::{Amounts, amounts, of_pod};
use crate::object::{array, member, text};
use crate::quantity::Quantity;
use crate::resources::Resource;
use crate::state::Txn;
use crate::status::Status;

pub(super) fn admit(txn: &Txn, resource: &Resource, new: &mut Value) -> Result<(), Status> {
    let stored = &*resource.stored;
    if !matches!(stored, "pods" | "persistentvolumeclaims") {
        return Ok(());
    }
    let ranges = txn.list("limitranges", Some(text(new, "/metadata/namespace")));
    let items: Vec<&Value> = ranges.iter().flat_map(|range| array(range.content(), "/spec/limits")).collect();
    if stored == "pods" {
        fill(&items, new);
    }
    let faults: Vec<String> = items.iter().flat_map(|item| faults(item, stored, new)).collect();
    match faults.as_slice() {
        [] => Ok(()),
        [one] => Err(forbidden(resource, new, one)),
        several => Err(forbidden(resource, new, &format!("[{}]", several.join(", ")))),
    }
}

/// What the ranges give to containers that say nothing, which an annotation tells of.
fn fill(items: &[&Value], new: &mut Value) {
    let mut told = Vec::new();
    for list in ["containers", "initContainers"] {
        let role = if list == "containers" { "container" } else { "init container" };
        for container in new["spec"].get_mut(list).and_then(Value::as_array_mut).into_iter().flatten() {
            for (of, default, what) in [("requests", "defaultRequest", "request"), ("limits", "default", "limit")] {
                let mut set = Vec::new();
                for item in items.iter().filter(|item| text(item, "/type") == "Container") {
                    for (name, amount) in item[default].as_object().into_iter().flatten() {
                        let given = member(container, &format!("resources/{of}"));
                        if !given.contains_key(name) {
                            given.insert(name.clone(), amount.clone());
                            set.push(name.clone());
                        }
                    }
                }
                if !set.is_empty() {
                    set.sort();
                    told.push(format!("{} {what} for {role} {}", set.join(", "), text(container, "/name")));
                }
            }
        }
    }
    if !told.is_empty() {
        let told = format!("LimitRanger plugin set: {}", told.join("; "));
        member(new, "metadata/annotations").insert("kubernetes.io/limit-ranger".to_owned(), json!(told));
    }
}

fn faults(item: &Value, stored: &str, new: &Value) -> Vec<String> {
    let kind = text(item, "/type");
    match (stored, kind) {
        ("pods", "Container") => {
            let of = |container: &Value, part: &str| amounts(container["resources"].get(part));
            containers(new).flat_map(|c| judge(item, kind, &of(c, "requests"), &of(c, "limits"))).collect()
        }
        ("pods", "Pod") => judge(item, kind, &of_pod(&new["spec"], "requests"), &of_pod(&new["spec"], "limits")),
        ("persistentvolumeclaims", "PersistentVolumeClaim") => {
            // Only what is asked for counts: claims have no limits.
            let requests = amounts(new.pointer("/spec/resources/requests"));
            judge(item, kind, &requests, &requests)
        }
        _ => Vec::new(),
    }
}

fn judge(item: &Value, kind: &str, requests: &Amounts, limits: &Amounts) -> Vec<String> {
    let mut faults = Vec::new();
    for (name, least) in item["min"].as_object().into_iter().flatten() {
        let Ok(least) = Quantity::of(least) else { continue };
        let told = format!("minimum {name} usage per {kind} is {least}");
        match (requests.get(name).copied(), limits.get(name).copied()) {
            (None, _) => faults.push(format!("{told}.  No request is specified")),
            (Some(asked), _) if asked < least => faults.push(format!("{told}, but request is {asked}")),
            (_, Some(limit)) if limit < least => faults.push(format!("{told}, but limit is {limit}")),
            _ => {}
        }
    }
    for (name, most) in item["max"].as_object().into_iter().flatten() {
        let Ok(most) = Quantity::of(most) else { continue };
        let told = format!("maximum {name} usage per {kind} is {most}");
        match (requests.get(name).copied(), limits.get(name).copied()) {
            (_, None) => faults.push(format!("{told}.  No limit is specified")),
            (_, Some(limit)) if limit > most => faults.push(format!("{told}, but limit is {limit}")),
            (Some(asked), _) if asked > most => faults.push(format!("{told}, but request is {asked}")),
            _ => {}
        }
    }
    faults
}
