//! How objects end: grace periods, finalizers, what their owners' end means for them, evictions.
//!
//! The rules are those of `k8s.io/apiserver/pkg/registry/rest` and of the garbage collector.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::controllers::common::{after, condition, is_ready, parse_time, selects, set_condition};
use crate::object::{Key, Object, array, member, number, text, time};
use crate::state::Txn;
use crate::status::{Cause, Details, Status};

const FOREGROUND: &str = "foregroundDeletion";
const ORPHAN: &str = "orphan";

/// What happens to the objects that an object owns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Propagation {
    /// They go first.
    Foreground,
    /// They go after it.
    Background,
    /// They stay.
    Orphan,
}

/// How to delete. Preconditions are the caller's to check.
#[derive(Clone, Debug, Default)]
pub struct DeleteOptions {
    /// Seconds that a Pod has to stop; `None` is what its spec says.
    pub grace_period_seconds: Option<i64>,
    pub propagation: Option<Propagation>,
}

/// Deletes an object, or begins to. Returns it as it is then: gone, or terminating.
pub fn delete(txn: &mut Txn, key: &Key, options: &DeleteOptions) -> Option<Arc<Object>> {
    let object = txn.get(key)?;
    let grace = grace_period(&object, options);
    let now = txn.now();
    let finalizers = finalizers_after(&object, options.propagation);
    let mut value = object.value().into_owned();
    set_finalizers(&mut value, &finalizers);
    let known = object.is_terminating().then(|| number(object.content(), "/metadata/deletionGracePeriodSeconds").unwrap_or(0));
    // A second request can make the time shorter, never longer.
    if known.is_none_or(|known| grace < known) {
        let metadata = member(&mut value, "metadata");
        let asked = parse_time(text(object.content(), "/metadata/deletionTimestamp"))
            .zip(known)
            .map_or(now, |(at, known)| after(at, known.saturating_neg()));
        let end = after(asked, grace).max(now);
        metadata.insert("deletionTimestamp".to_owned(), json!(time(end)));
        metadata.insert("deletionGracePeriodSeconds".to_owned(), json!(grace));
        if let Some(generation) = metadata.get("generation").and_then(Value::as_i64).filter(|g| *g > 0) {
            metadata.insert("generation".to_owned(), json!(generation.saturating_add(1)));
        }
        if &*key.resource == "namespaces" {
            member(&mut value, "status").insert("phase".to_owned(), json!("Terminating"));
        }
    }
    // What nothing holds is never seen terminating.
    if finalizers.is_empty() && grace == 0 && &*key.resource != "namespaces" {
        return txn.remove(key);
    }
    Some(txn.put(key.clone(), value))
}

/// Seconds until the object has to be gone: only Pods that run somewhere need any.
fn grace_period(object: &Object, options: &DeleteOptions) -> i64 {
    let content = object.content();
    let ended = matches!(text(content, "/status/phase"), "Succeeded" | "Failed");
    if &*object.key.resource != "pods" || text(content, "/spec/nodeName").is_empty() || ended {
        return 0;
    }
    let own = number(content, "/spec/terminationGracePeriodSeconds").unwrap_or(30);
    // A negative period of the spec is one second, as upstream has it; the longest that is kept ends in about a century.
    let own = if own < 0 { 1 } else { own };
    options.grace_period_seconds.unwrap_or(own).clamp(0, 1 << 31)
}

fn finalizers(object: &Object) -> Vec<String> {
    array(object.content(), "/metadata/finalizers").iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

fn set_finalizers(value: &mut Value, finalizers: &[String]) {
    let metadata = member(value, "metadata");
    if finalizers.is_empty() {
        metadata.remove("finalizers");
    } else {
        metadata.insert("finalizers".to_owned(), json!(finalizers));
    }
}

/// The finalizers with those that tell the garbage collector what to do.
fn finalizers_after(object: &Object, propagation: Option<Propagation>) -> Vec<String> {
    let mut list = finalizers(object);
    let asked = propagation.or_else(|| {
        let told = list.iter().any(|f| f == FOREGROUND || f == ORPHAN);
        // These two keep what they own unless told otherwise, since they did so before there was a garbage collector.
        let keeps = matches!(&*object.key.resource, "jobs.batch" | "replicationcontrollers");
        (!told).then_some(if keeps { Propagation::Orphan } else { Propagation::Background })
    });
    let Some(asked) = asked else { return list };
    list.retain(|f| f != FOREGROUND && f != ORPHAN);
    match asked {
        Propagation::Foreground => list.push(FOREGROUND.to_owned()),
        Propagation::Orphan => list.push(ORPHAN.to_owned()),
        Propagation::Background => {}
    }
    list
}

/// Takes an object away that is terminating and that nothing holds any more. To be called after every update of an object; whether it is
/// gone.
pub fn settle(txn: &mut Txn, key: &Key) -> bool {
    let Some(object) = txn.get(key) else { return false };
    let content = object.content();
    let held = !array(content, "/metadata/finalizers").is_empty()
        || number(content, "/metadata/deletionGracePeriodSeconds").unwrap_or(0) > 0
        || (&*key.resource == "namespaces" && !array(content, "/spec/finalizers").is_empty());
    object.is_terminating() && !held && txn.remove(key).is_some()
}

/// Whether its finalizers ask the garbage collector for something.
pub(crate) fn holds_dependents(object: &Object) -> bool {
    object.is_terminating()
        && array(object.content(), "/metadata/finalizers").iter().any(|f| matches!(f.as_str(), Some(FOREGROUND | ORPHAN)))
}

/// Does what the finalizers `foregroundDeletion` and `orphan` of a terminating object ask for.
pub(crate) fn release_dependents(txn: &mut Txn, object: &Arc<Object>) {
    let held = finalizers(object);
    let uid = object.uid().to_owned();
    if held.iter().any(|f| f == ORPHAN) {
        for dependent in txn.owned_by(&uid) {
            keep_owners(txn, &dependent.key, |owner| text(owner, "/uid") != uid);
        }
        drop_finalizer(txn, &object.key, ORPHAN);
    } else if held.iter().any(|f| f == FOREGROUND) {
        for dependent in txn.owned_by(&uid) {
            collect(txn, &dependent.key);
        }
        let blocks = |owner: &Value| text(owner, "/uid") == uid && owner["blockOwnerDeletion"] == json!(true);
        if !txn.state().owned_by(&uid).any(|dependent| dependent.owners().iter().any(blocks)) {
            drop_finalizer(txn, &object.key, FOREGROUND);
        }
    }
}

/// Takes a finalizer from an object, and the object away if that was what held it.
pub(crate) fn drop_finalizer(txn: &mut Txn, key: &Key, finalizer: &str) {
    let Some(object) = txn.get(key) else { return };
    let mut list = finalizers(&object);
    list.retain(|f| f != finalizer);
    txn.edit(key, |value| set_finalizers(value, &list));
    settle(txn, key);
}

/// Keeps those references to owners that `keep` says.
fn keep_owners(txn: &mut Txn, key: &Key, keep: impl Fn(&Value) -> bool) {
    txn.edit(key, |value| {
        let metadata = member(value, "metadata");
        if let Some(Value::Array(owners)) = metadata.get_mut("ownerReferences") {
            owners.retain(|owner| keep(owner));
            if owners.is_empty() {
                metadata.remove("ownerReferences");
            }
        }
    });
}

/// What has become of an owner.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Owner {
    There,
    /// It waits for what it owns.
    Waiting,
    Gone,
}

/// Deletes an object if all its owners are gone or wait for it; otherwise it forgets those that are.
pub(crate) fn collect(txn: &mut Txn, key: &Key) {
    let Some(object) = txn.get(key) else { return };
    if object.owners().is_empty() || (object.is_terminating() && !holds_dependents(&object)) {
        return;
    }
    let owners: Vec<(String, Owner)> =
        object.owners().iter().map(|owner| (text(owner, "/uid").to_owned(), fate(txn, &object, owner))).collect();
    let any = |fate: Owner| owners.iter().any(|(_, f)| *f == fate);
    if any(Owner::There) {
        if any(Owner::Gone) || any(Owner::Waiting) {
            let solid = |owner: &Value| owners.iter().any(|(uid, f)| *f == Owner::There && uid == text(owner, "/uid"));
            keep_owners(txn, key, solid);
        }
        return;
    }
    if object.is_terminating() {
        return;
    }
    let has_dependents = txn.state().owned_by(object.uid()).next().is_some();
    let marked = |f: &str| finalizers(&object).iter().any(|g| g == f);
    let propagation = match () {
        () if any(Owner::Waiting) && has_dependents => Propagation::Foreground,
        () if marked(ORPHAN) => Propagation::Orphan,
        () if marked(FOREGROUND) => Propagation::Foreground,
        () => Propagation::Background,
    };
    delete(txn, key, &DeleteOptions { propagation: Some(propagation), ..DeleteOptions::default() });
}

fn fate(txn: &Txn, dependent: &Object, owner: &Value) -> Owner {
    let Some((resource, namespaced)) = resource_of(txn, text(owner, "/apiVersion"), text(owner, "/kind")) else {
        // Nobody knows such a kind (now); nothing is deleted for that.
        return Owner::There;
    };
    let namespace = if namespaced { &*dependent.key.namespace } else { "" };
    match txn.state().find(&resource, namespace, text(owner, "/name")) {
        Some(found) if found.uid() == text(owner, "/uid") => {
            let foreground = found.is_terminating()
                && array(found.content(), "/metadata/finalizers").iter().any(|f| f.as_str() == Some(FOREGROUND));
            if foreground { Owner::Waiting } else { Owner::There }
        }
        _ => Owner::Gone,
    }
}

/// The resource that objects of a kind are kept under, and whether they are in namespaces.
pub(crate) fn resource_of(txn: &Txn, api_version: &str, kind: &str) -> Option<(Arc<str>, bool)> {
    let (group, _) = api_version.rsplit_once('/').unwrap_or(("", api_version));
    let built_in = crate::resources::built_in().iter().filter(|g| g.name == group).flat_map(|g| &g.versions);
    if let Some(found) = built_in.flat_map(|v| &v.resources).find(|r| r.kind == kind) {
        return Some((found.stored.clone(), found.namespaced));
    }
    txn.state().list("customresourcedefinitions.apiextensions.k8s.io", None, None).find_map(|definition| {
        let spec = definition.content().get("spec")?;
        let is = spec["group"] == json!(group) && spec["names"]["kind"] == json!(kind);
        is.then(|| (definition.key.name.clone(), spec["scope"] == json!("Namespaced")))
    })
}

/// Evicts a Pod: deletes it unless a PodDisruptionBudget is against that.
///
/// # Errors
/// 404 without such a Pod, 429 while a budget allows no disruption, 500 with more than one budget.
pub fn evict(txn: &mut Txn, key: &Key, options: &DeleteOptions) -> Result<(), Status> {
    let Some(pod) = txn.get(key) else { return Err(Status::not_found("", "pods", &key.name)) };
    // These do not count as healthy, so that no budget protects them.
    let unprotected =
        pod.is_terminating() || matches!(text(pod.content(), "/status/phase"), "Succeeded" | "Failed" | "Pending");
    if !unprotected {
        let covers =
            |budget: &Arc<Object>| budget.content().pointer("/spec/selector").is_some_and(|s| selects(s, pod.labels()));
        let mut budgets = txn.list("poddisruptionbudgets.policy", Some(&key.namespace));
        budgets.retain(covers);
        match budgets.as_slice() {
            [] => {}
            [budget] => spend(txn, &pod, budget)?,
            _ => {
                let message =
                    "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.";
                return Err(Status::new(500, "InternalError", message));
            }
        }
        let now = txn.now();
        txn.edit(key, |value| {
            let target = condition("DisruptionTarget", "True", "EvictionByEvictionAPI", "Eviction API: evicting");
            set_condition(value, target, now);
        });
    }
    delete(txn, key, options);
    Ok(())
}

/// Takes one disruption from a budget.
fn spend(txn: &mut Txn, pod: &Object, budget: &Object) -> Result<(), Status> {
    let content = budget.content();
    let count = |name: &str| number(content, &format!("/status/{name}")).unwrap_or(0);
    let (healthy, desired) = (count("currentHealthy"), count("desiredHealthy"));
    if !is_ready(pod) {
        let always = text(content, "/spec/unhealthyPodEvictionPolicy") == "AlwaysAllow";
        if always || (healthy >= desired && desired > 0) {
            return Ok(());
        }
    }
    let refuse = |why: String| {
        let causes = vec![Cause::new("DisruptionBudget", "", why)];
        let message = "Cannot evict pod as it would violate the pod's disruption budget.";
        Status::new(429, "TooManyRequests", message).about(Details { causes, ..Details::default() })
    };
    let name = &budget.key.name;
    if count("observedGeneration") < number(content, "/metadata/generation").unwrap_or(0) {
        return Err(refuse(format!("The disruption budget {name} is still being processed by the server.")));
    }
    let allowed = count("disruptionsAllowed");
    if allowed <= 0 {
        return Err(refuse(format!("The disruption budget {name} needs {desired} healthy pods and has {healthy} currently")));
    }
    let (now, pod) = (time(txn.now()), pod.key.name.clone());
    txn.edit(&budget.key, |value| {
        let status = member(value, "status");
        status.insert("disruptionsAllowed".to_owned(), json!(allowed - 1));
        member(value, "status/disruptedPods").insert(pod.to_string(), json!(now));
    });
    Ok(())
}
