//! What one rule of a role says, read from its JSON: the rules of most roles are asked seldom, and those of shared roles by every cluster.

use std::collections::BTreeMap;

use serde_json::Value;

use super::Attributes;
use crate::object::array;

/// Whether a rule allows a request.
pub(super) fn allows(rule: &Value, asked: &Attributes) -> bool {
    if !has(rule, "/verbs", asked.verb) {
        return false;
    }
    if !asked.path.is_empty() {
        return texts(rule, "/nonResourceURLs").any(|url| covers_path(url, asked.path));
    }
    has(rule, "/apiGroups", asked.group)
        && texts(rule, "/resources").any(|resource| covers_resource(resource, asked.resource, asked.subresource))
        && covers_name(rule, asked.name)
}

fn texts<'a>(rule: &'a Value, pointer: &str) -> impl Iterator<Item = &'a str> {
    array(rule, pointer).iter().filter_map(Value::as_str)
}

/// Whether a list has an entry, or one that stands for all.
fn has(rule: &Value, pointer: &str, wanted: &str) -> bool {
    texts(rule, pointer).any(|entry| entry == "*" || entry == wanted)
}

/// `*` is every resource with its subresources, `pods/log` one subresource, `*/scale` one of every resource.
fn covers_resource(entry: &str, resource: &str, subresource: &str) -> bool {
    if entry == "*" {
        return true;
    }
    match entry.split_once('/') {
        None => subresource.is_empty() && entry == resource,
        Some((of, sub)) => !subresource.is_empty() && sub == subresource && (of == "*" || of == resource),
    }
}

fn covers_path(entry: &str, path: &str) -> bool {
    entry == path || (entry.ends_with('*') && path.starts_with(entry.trim_end_matches('*')))
}

fn covers_name(rule: &Value, name: &str) -> bool {
    let names = array(rule, "/resourceNames");
    names.is_empty() || names.iter().any(|n| n == name)
}

/// A rule taken apart: one verb, and either one resource of one group, perhaps of one name, or one path.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Grain<'a> {
    group: &'a str,
    resource: &'a str,
    name: Option<&'a str>,
    path: Option<&'a str>,
    verb: &'a str,
}

/// How many grains a rule has.
pub(super) fn size(rule: &Value) -> usize {
    let of = |pointer| array(rule, pointer).len();
    let resources = of("/apiGroups").saturating_mul(of("/resources")).saturating_mul(of("/resourceNames").max(1));
    resources.saturating_add(of("/nonResourceURLs")).saturating_mul(of("/verbs"))
}

/// The grains of a rule.
pub(super) fn grains(rule: &Value) -> Vec<Grain<'_>> {
    let names: Vec<Option<&str>> = match array(rule, "/resourceNames") {
        [] => vec![None],
        names => names.iter().map(Value::as_str).collect(),
    };
    let mut found = Vec::new();
    for verb in texts(rule, "/verbs") {
        for group in texts(rule, "/apiGroups") {
            for resource in texts(rule, "/resources") {
                found.extend(names.iter().map(|name| Grain { group, resource, name: *name, path: None, verb }));
            }
        }
        let of_path = |path| Grain { group: "", resource: "", name: None, path: Some(path), verb };
        found.extend(texts(rule, "/nonResourceURLs").map(of_path));
    }
    found
}

/// Whether whoever holds `rule` holds the grain. A wildcard is held only by a wildcard.
pub(super) fn covers(rule: &Value, grain: &Grain) -> bool {
    if !has(rule, "/verbs", grain.verb) {
        return false;
    }
    if let Some(path) = grain.path {
        return texts(rule, "/nonResourceURLs").any(|url| covers_path(url, path));
    }
    let (resource, subresource) = grain.resource.split_once('/').unwrap_or((grain.resource, ""));
    let names = array(rule, "/resourceNames");
    has(rule, "/apiGroups", grain.group)
        && texts(rule, "/resources").any(|entry| entry == grain.resource || covers_resource(entry, resource, subresource))
        && (names.is_empty() || grain.name.is_some_and(|name| names.iter().any(|n| n == name)))
}

/// Grains as rules that differ in more than their verbs, in the form and order in which upstream tells them.
pub(super) fn told(grains: &[Grain]) -> Vec<String> {
    let mut verbs_of: BTreeMap<Grain, Vec<&str>> = BTreeMap::new();
    for grain in grains {
        let key = match grain.path {
            // Only rules of resources are put together.
            Some(_) => grain.clone(),
            None => Grain { verb: "", ..grain.clone() },
        };
        let verbs = verbs_of.entry(key).or_default();
        if !verbs.contains(&grain.verb) {
            verbs.push(grain.verb);
        }
    }
    let quoted = |texts: &[&str]| texts.iter().map(|t| format!("{t:?}")).collect::<Vec<_>>().join(" ");
    let mut told: Vec<String> = verbs_of
        .into_iter()
        .map(|(grain, verbs)| {
            let of = match (grain.path, grain.name) {
                (Some(path), _) => format!("NonResourceURLs:[{path:?}]"),
                (None, None) => format!("APIGroups:[{:?}], Resources:[{:?}]", grain.group, grain.resource),
                (None, Some(name)) => {
                    format!("APIGroups:[{:?}], Resources:[{:?}], ResourceNames:[{name:?}]", grain.group, grain.resource)
                }
            };
            format!("{{{of}, Verbs:[{}]}}", quoted(&verbs))
        })
        .collect();
    told.sort();
    told
}
