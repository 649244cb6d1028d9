//! ResourceQuotas: how much of everything there may be in a namespace.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{containers, forbidden};
use crate::amounts::{Amounts, add, of_pod, subtract};
use crate::object::{Object, array, text};
use crate::quantity::Quantity;
use crate::resources::Resource;
use crate::state::{Change, State, Txn};
use crate::status::Status;

/// Kinds that can be counted by their plain name.
const COUNTED: [&str; 7] =
    ["pods", "services", "configmaps", "secrets", "persistentvolumeclaims", "replicationcontrollers", "resourcequotas"];

pub(super) fn admit(txn: &Txn, resource: &Resource, new: &Value) -> Result<(), Status> {
    let namespace = text(new, "/metadata/namespace");
    let quotas = txn.list("resourcequotas", Some(namespace));
    if quotas.is_empty() {
        return Ok(());
    }
    let requested = amounts(&resource.stored, new);
    for quota in quotas.iter().filter(|quota| !is_scoped(quota.content())) {
        let hard = hard(quota.content());
        let name = &quota.key.name;
        if &*resource.stored == "pods" {
            must_specify(name, &hard, new).map_err(|why| forbidden(resource, new, &why))?;
        }
        let concerned: Vec<&str> = hard.keys().map(String::as_str).filter(|key| requested.contains_key(*key)).collect();
        if concerned.is_empty() {
            continue;
        }
        let used = used(txn, namespace, &concerned);
        let of = |amounts: &Amounts, key: &str| amounts.get(key).copied().unwrap_or_default();
        let exceeded: Vec<&str> =
            concerned.into_iter().filter(|key| of(&used, key) + of(&requested, key) > of(&hard, key)).collect();
        if !exceeded.is_empty() {
            let told = |amounts: &Amounts| {
                exceeded.iter().map(|key| format!("{key}={}", of(amounts, key))).collect::<Vec<_>>().join(",")
            };
            let why = format!(
                "exceeded quota: {name}, requested: {}, used: {}, limited: {}",
                told(&requested),
                told(&used),
                told(&hard)
            );
            return Err(forbidden(resource, new, &why));
        }
    }
    Ok(())
}

/// The usage of a namespace in a transaction. That of pods is kept in step with what happens in it, since controllers make many.
fn used(txn: &Txn, namespace: &str, names: &[&str]) -> Amounts {
    let (of_pods, others): (Vec<&str>, Vec<&str>) = names.iter().partition(|name| resource_of(name) == "pods");
    let mut all = usage(txn.state(), namespace, &others, |_| true);
    if of_pods.is_empty() {
        return all;
    }
    let mut known = txn.used.borrow_mut();
    let (seen, sums) = known.entry(namespace.into()).or_insert_with(|| {
        let mut sums = Amounts::new();
        for pod in txn.state().list("pods", Some(namespace), None) {
            add(&mut sums, &amounts("pods", pod.content()));
        }
        (txn.events().len(), sums)
    });
    for event in txn.events().get(*seen..).unwrap_or_default() {
        let key = &event.object.key;
        if &*key.resource != "pods" || *key.namespace != *namespace {
            continue;
        }
        if let Some(before) = &event.previous {
            subtract(sums, &amounts("pods", before.content()));
        }
        if event.change != Change::Deleted {
            add(sums, &amounts("pods", event.object.content()));
        }
    }
    *seen = txn.events().len();
    all.extend(of_pods.into_iter().map(|name| (name.to_owned(), sums.get(name).copied().unwrap_or_default())));
    all
}

/// Quotas that are only about some pods are not enforced.
fn is_scoped(quota: &Value) -> bool {
    !array(quota, "/spec/scopes").is_empty() || quota["spec"]["scopeSelector"].is_object()
}

fn hard(quota: &Value) -> Amounts {
    let hard = quota["spec"]["hard"].as_object().into_iter().flatten();
    hard.filter_map(|(name, amount)| Some((name.clone(), Quantity::of(amount).ok()?))).collect()
}

/// How much of what a quota limits is used in a namespace, by the pods that count: `pods`, `requests.cpu`, `count/deployments.apps`.
pub(crate) fn usage(state: &State, namespace: &str, names: &[&str], counts: impl Fn(&Object) -> bool) -> Amounts {
    let mut used: Amounts = names.iter().map(|name| ((*name).to_owned(), Quantity::ZERO)).collect();
    let mut resources: Vec<&str> = names.iter().map(|name| resource_of(name)).collect();
    resources.sort_unstable();
    resources.dedup();
    for resource in resources {
        for object in state.list(resource, Some(namespace), None) {
            if resource == "pods" && !counts(object) {
                continue;
            }
            for (name, amount) in amounts(resource, object.content()) {
                if let Some(total) = used.get_mut(&name) {
                    *total = *total + amount;
                }
            }
        }
    }
    used
}

/// The resource whose objects use what a quota limits.
fn resource_of(name: &str) -> &str {
    match name {
        _ if name.starts_with("count/") => name.trim_start_matches("count/"),
        "services.loadbalancers" | "services.nodeports" => "services",
        "requests.storage" => "persistentvolumeclaims",
        _ if name.contains(".storageclass.storage.k8s.io/") => "persistentvolumeclaims",
        _ if COUNTED.contains(&name) => name,
        _ => "pods",
    }
}

/// What an object uses.
fn amounts(resource: &str, object: &Value) -> Amounts {
    let mut amounts = Amounts::from([(format!("count/{resource}"), Quantity::whole(1))]);
    if COUNTED.contains(&resource) {
        amounts.insert(resource.to_owned(), Quantity::whole(1));
    }
    match resource {
        // Pods that are done use nothing any more.
        "pods" if matches!(text(object, "/status/phase"), "Succeeded" | "Failed") => {
            return Amounts::from([("count/pods".to_owned(), Quantity::whole(1))]);
        }
        "pods" => add_pod(&mut amounts, object),
        "services" => {
            let ports = i64::try_from(array(object, "/spec/ports").len()).unwrap_or(0);
            let (balancers, node_ports) = match text(object, "/spec/type") {
                "LoadBalancer" => (1, if object["spec"]["allocateLoadBalancerNodePorts"] == false { 0 } else { ports }),
                "NodePort" => (0, ports),
                _ => (0, 0),
            };
            amounts.insert("services.loadbalancers".to_owned(), Quantity::whole(balancers));
            amounts.insert("services.nodeports".to_owned(), Quantity::whole(node_ports));
        }
        "persistentvolumeclaims" => {
            let storage = Quantity::member(&object["spec"]["resources"]["requests"], "storage");
            amounts.insert("requests.storage".to_owned(), storage);
            let class = text(object, "/spec/storageClassName");
            if !class.is_empty() {
                amounts.insert(format!("{class}.storageclass.storage.k8s.io/requests.storage"), storage);
                amounts.insert(format!("{class}.storageclass.storage.k8s.io/persistentvolumeclaims"), Quantity::whole(1));
            }
        }
        _ => {}
    }
    amounts
}

/// What a pod asks for.
fn add_pod(amounts: &mut Amounts, pod: &Value) {
    for of in ["requests", "limits"] {
        for (name, amount) in of_pod(&pod["spec"], of) {
            if of == "requests" && matches!(name.as_str(), "cpu" | "memory" | "ephemeral-storage") {
                amounts.insert(name.clone(), amount);
            }
            amounts.insert(format!("{of}.{name}"), amount);
        }
    }
}

/// If computing resources are limited, every container has to say how much it takes.
fn must_specify(quota: &str, hard: &Amounts, pod: &Value) -> Result<(), String> {
    let mut missing: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for key in hard.keys() {
        let (of, name) = match key.split_once('.') {
            Some((of @ ("requests" | "limits"), name @ ("cpu" | "memory"))) => (of, name),
            None if matches!(key.as_str(), "cpu" | "memory") => ("requests", key.as_str()),
            _ => continue,
        };
        for container in containers(pod).filter(|container| container["resources"][of].get(name).is_none()) {
            missing.entry(key).or_default().push(text(container, "/name"));
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    let told = missing.iter().map(|(key, names)| format!("{key} for: {}", names.join(","))).collect::<Vec<_>>().join("; ");
    Err(format!("failed quota: {quota}: must specify {told}"))
}
