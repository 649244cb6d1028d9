//! The scheduler: gives Pods a node, or says why there is none.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use super::affinity::{Neighbours, node_fits, preference, untolerated};
use super::common::{condition, find_condition, has_ended, set_condition};
use super::events::{self, Told};
use super::usage::host_ports;
use super::{Run, Task, claims};
use crate::amounts::{Amounts, amounts, of_pod};
use crate::object::{Key, Object, array, member, text};
use crate::quantity::Quantity;

const BY: &str = "default-scheduler";
/// What a node takes that does not say how many Pods it takes.
const PODS: i64 = 110;

/// Why a node cannot take a Pod.
struct Refusal {
    reasons: Vec<String>,
    /// Whether it could if other Pods ended.
    crowded: bool,
}

impl Refusal {
    fn of(reason: impl Into<String>, crowded: bool) -> Self {
        Self { reasons: vec![reason.into()], crowded }
    }
}

/// Looks again at the Pods that wait for a node.
pub(super) fn retry(run: &mut Run<'_>) {
    let state = run.txn.state();
    let unbound = |key: &Key| state.get(key).is_some_and(|pod| text(pod.content(), "/spec/nodeName").is_empty());
    let waiting = state.waits().filter(|(key, _)| &*key.resource == "pods" && unbound(key));
    let keys: Vec<Key> = waiting.map(|(key, _)| key.clone()).collect();
    for key in keys {
        run.add(Task::Schedule, key);
    }
}

/// Binds a Pod to a node. What fits nowhere waits until something changes.
pub(super) fn schedule(run: &mut Run<'_>, pod: &Arc<Object>) {
    let content = pod.content();
    let spec = &content["spec"];
    if !text(spec, "/nodeName").is_empty()
        || pod.is_terminating()
        || has_ended(pod)
        || !matches!(text(spec, "/schedulerName"), "" | BY)
    {
        return;
    }
    run.txn.wait(&pod.key, None);
    if !array(spec, "/schedulingGates").is_empty() {
        let now = run.txn.now();
        let gated =
            condition("PodScheduled", "False", "SchedulingGated", "Scheduling is blocked due to non-empty scheduling gates");
        run.txn.edit(&pod.key, |value| set_condition(value, gated, now));
        return;
    }
    let nodes = run.txn.list("nodes", None);
    if nodes.is_empty() {
        return unschedulable(run, pod, "no nodes available to schedule pods");
    }
    let volumes = match claims::of_pod(run, pod) {
        Ok(volumes) => volumes,
        Err(why) => {
            let of = nodes.len();
            let message = format!(
                "0/{of} nodes are available: {why}. preemption: 0/{of} nodes are available: {of} Preemption is not helpful for scheduling."
            );
            return unschedulable(run, pod, &message);
        }
    };
    let requests = of_pod(spec, "requests");
    let avoiders = run.usage().avoiders.clone();
    let neighbours = Neighbours::of(run.txn.state(), pod, &nodes, &avoiders);
    let mut refusals = Vec::new();
    let mut best: Option<(Score, &Arc<Object>)> = None;
    let zones = zones(run, pod, &nodes);
    for node in &nodes {
        let refusal = refuse(run, spec, &requests, node)
            .or_else(|| volumes.against(node).map(|why| Refusal::of(why, false)))
            .or_else(|| neighbours.against(node).map(|(why, crowded)| Refusal::of(why, crowded)));
        if let Some(refusal) = refusal {
            refusals.push(refusal);
            continue;
        }
        let score = score(run, pod, node, &zones);
        if best.as_ref().is_none_or(|(most, _)| score > *most) {
            best = Some((score, node));
        }
    }
    match best {
        None => unschedulable(run, pod, &told(&refusals, nodes.len())),
        // The claims come first; the Pod is looked at again when they are bound.
        Some((_, node)) if !volumes.pending().is_empty() => claims::select_node(run, volumes.pending(), &node.key.name),
        Some((_, node)) => bind(run, pod, &node.key.name),
    }
}

/// The reasons of one node, if it cannot take the Pod for what it is or has.
fn refuse(run: &mut Run<'_>, spec: &Value, requests: &Amounts, node: &Object) -> Option<Refusal> {
    let content = node.content();
    let unschedulable = json!({"spec": {"taints": [{"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}]}});
    if content.pointer("/spec/unschedulable") == Some(&json!(true))
        && untolerated(spec, &unschedulable, &["NoSchedule"]).is_some()
    {
        return Some(Refusal::of("node(s) were unschedulable", false));
    }
    if let Some(taint) = untolerated(spec, content, &["NoSchedule", "NoExecute"]) {
        let reason = format!("node(s) had untolerated taint {{{}: {}}}", text(taint, "/key"), text(taint, "/value"));
        return Some(Refusal::of(reason, false));
    }
    if !node_fits(spec, node) {
        return Some(Refusal::of("node(s) didn't match Pod's node affinity/selector", false));
    }
    let taken = run.usage().on(&node.key.name);
    if taken.is_some_and(|taken| host_ports(spec).any(|port| taken.ports.contains(&port))) {
        return Some(Refusal::of("node(s) didn't have free ports for the requested pod ports", true));
    }
    let allocatable = amounts(content.pointer("/status/allocatable"));
    let mut reasons = Vec::new();
    let mut crowded = true;
    let pods = taken.map_or(0, |taken| taken.pods.len());
    let most = allocatable.get("pods").copied().unwrap_or_else(|| Quantity::whole(PODS));
    if Quantity::whole(i64::try_from(pods + 1).unwrap_or(i64::MAX)) > most {
        reasons.push("Too many pods".to_owned());
    }
    for (name, wanted) in requests.iter().filter(|(_, wanted)| **wanted > Quantity::ZERO) {
        let all = allocatable.get(name).copied().unwrap_or_default();
        let used = taken.and_then(|taken| taken.amounts.get(name)).copied().unwrap_or_default();
        if used + *wanted > all {
            reasons.push(format!("Insufficient {name}"));
            crowded &= *wanted <= all;
        }
    }
    (!reasons.is_empty()).then_some(Refusal { reasons, crowded })
}

/// What makes one node better than another: preferences, then few Pods of the same controller in its zone and on it, then little that is
/// taken.
type Score = (i64, i64, i64, i64);

fn score(run: &mut Run<'_>, pod: &Object, node: &Object, zones: &BTreeMap<String, usize>) -> Score {
    let spec = &pod.content()["spec"];
    let owner = pod.controller().map(|owner| text(owner, "/uid")).unwrap_or_default();
    let usage = run.usage();
    let siblings = usage.siblings(owner).and_then(|s| s.get(&*node.key.name)).copied().unwrap_or(0);
    let near = zone(node).and_then(|zone| zones.get(zone)).copied().unwrap_or(0);
    let taken = usage.on(&node.key.name);
    let share = |name: &str| {
        let all = node.content().pointer("/status/allocatable").map(|all| Quantity::member(all, name)).unwrap_or_default();
        let taken = taken.and_then(|taken| taken.amounts.get(name)).copied().unwrap_or_default();
        taken.to_milli().saturating_mul(1000) / all.to_milli().max(1)
    };
    let load = i64::try_from(share("cpu") + share("memory")).unwrap_or(i64::MAX / 2);
    let pods = taken.map_or(0, |taken| taken.pods.len());
    let count = |n: usize| -i64::try_from(n).unwrap_or(i64::MAX);
    (preference(spec, node), count(near), count(siblings), -(load.saturating_add(i64::try_from(pods).unwrap_or(0))))
}

fn zone(node: &Object) -> Option<&str> {
    node.labels()?.get("topology.kubernetes.io/zone")?.as_str()
}

/// How many Pods of the same controller are in each zone.
fn zones(run: &mut Run<'_>, pod: &Object, nodes: &[Arc<Object>]) -> BTreeMap<String, usize> {
    let owner = pod.controller().map(|owner| text(owner, "/uid")).unwrap_or_default();
    let siblings = run.usage().siblings(owner);
    let mut zones = BTreeMap::new();
    for node in nodes {
        let there = siblings.and_then(|s| s.get(&*node.key.name)).copied().unwrap_or(0);
        if let Some(zone) = zone(node) {
            *zones.entry(zone.to_owned()).or_default() += there;
        }
    }
    zones
}

/// `0/3 nodes are available: 1 node(s) had untolerated taint {a: b}, 2 Insufficient cpu. preemption: …`
fn told(refusals: &[Refusal], of: usize) -> String {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for reason in refusals.iter().flat_map(|refusal| &refusal.reasons) {
        *counts.entry(reason).or_default() += 1;
    }
    let join = |counts: BTreeMap<&str, usize>| {
        let mut parts: Vec<String> = counts.into_iter().map(|(reason, count)| format!("{count} {reason}")).collect();
        parts.sort();
        parts.join(", ")
    };
    let mut preemption: BTreeMap<&str, usize> = BTreeMap::new();
    for refusal in refusals {
        let why = if refusal.crowded {
            "No preemption victims found for incoming pod"
        } else {
            "Preemption is not helpful for scheduling"
        };
        *preemption.entry(why).or_default() += 1;
    }
    let (reasons, preemption) = (join(counts), join(preemption));
    format!("0/{of} nodes are available: {reasons}. preemption: 0/{of} nodes are available: {preemption}.")
}

fn unschedulable(run: &mut Run<'_>, pod: &Arc<Object>, message: &str) {
    let known = find_condition(pod.content(), "PodScheduled").map(|c| text(c, "/message"));
    if known == Some(message) {
        return;
    }
    let now = run.txn.now();
    let refused = condition("PodScheduled", "False", "Unschedulable", message);
    let changed = run.txn.edit(&pod.key, |value| set_condition(value, refused, now));
    events::tell(run.txn, changed.as_ref().unwrap_or(pod), Told::warning(BY, "FailedScheduling", message));
}

fn bind(run: &mut Run<'_>, pod: &Arc<Object>, node: &str) {
    let now = run.txn.now();
    run.txn.unwait(&pod.key);
    let bound = run.txn.edit(&pod.key, |value| {
        member(value, "spec").insert("nodeName".to_owned(), json!(node));
        set_condition(value, condition("PodScheduled", "True", "", ""), now);
    });
    let message = format!("Successfully assigned {}/{} to {node}", pod.key.namespace, pod.key.name);
    events::tell(run.txn, bound.as_ref().unwrap_or(pod), Told::normal(BY, "Scheduled", &message));
}
