//! ReplicaSets, and ReplicationControllers, which are the same but for their selector.

use std::cmp::Reverse;
use std::sync::Arc;

use serde_json::{Value, json};

use super::Run;
use super::common::{
    condition, contains, controlled, edit_status, find_condition, is_active, is_available, is_ready, remove_condition,
    replicas, set_condition, time_at,
};
use super::events::{self, Told};
use super::pods::{self, PodOf};
use crate::lifecycle::{self, DeleteOptions};
use crate::object::{Object, number, text};

/// So many Pods are made in one step, so that the cluster's own limits are seen in between.
const BURST: usize = 500;
/// The condition of a set whose Pods are refused.
pub(super) const FAILURE: &str = "ReplicaFailure";

/// Makes Pods, or takes them away, until there are as many as wanted.
pub(super) fn sync(run: &mut Run<'_>, set: &Arc<Object>) {
    run.txn.unwait(&set.key);
    let content = set.content();
    let plain = &*set.key.resource == "replicationcontrollers";
    let selector = content.pointer("/spec/selector");
    let selector = if plain { selector.map(|labels| json!({"matchLabels": labels})) } else { selector.cloned() };
    let pods = controlled(run.txn, set, "pods", selector.as_ref());
    let active: Vec<Arc<Object>> = pods.iter().filter(|pod| is_active(pod)).cloned().collect();
    let wanted = usize::try_from(replicas(content, "/spec/replicas", 1)).unwrap_or(0);
    let by = if plain { "replication-controller" } else { "replicaset-controller" };
    let mut failure = None;
    if !set.is_terminating() {
        if active.len() < wanted {
            let template = content.pointer("/spec/template").unwrap_or(&Value::Null);
            for _ in 0..(wanted - active.len()).min(BURST) {
                let pod = match pods::create(run, set, template, PodOf::template(by), |_| {}) {
                    Ok(pod) => pod,
                    Err(why) => {
                        failure = why;
                        break;
                    }
                };
                events::tell(run.txn, set, Told::normal(by, "SuccessfulCreate", &format!("Created pod: {}", pod.key.name)));
            }
        } else if active.len() > wanted {
            let mut ranked = active.clone();
            ranked.sort_by_key(|pod| worth(pod));
            for pod in &ranked[..active.len() - wanted] {
                lifecycle::delete(run.txn, &pod.key, &DeleteOptions::default());
                events::tell(run.txn, set, Told::normal(by, "SuccessfulDelete", &format!("Deleted pod: {}", pod.key.name)));
            }
        }
    }
    // The Pods bring this controller back if there was anything to do.
    tell_status(run, set, &active, pods.len() - active.len());
    tell_failure(run, set, failure.as_deref());
}

/// What a Pod is worth, the least first: those that do not run yet, those that cost little to delete, the newest.
fn worth(pod: &Object) -> impl Ord + use<> {
    let content = pod.content();
    let bound = !text(content, "/spec/nodeName").is_empty();
    let phase = match text(content, "/status/phase") {
        "Running" => 2,
        "Unknown" => 1,
        _ => 0,
    };
    let cost: i64 =
        pod.annotation("controller.kubernetes.io/pod-deletion-cost").and_then(|cost| cost.parse().ok()).unwrap_or(0);
    let created = time_at(content, "/metadata/creationTimestamp").unwrap_or_default();
    (bound, phase, is_ready(pod), cost, Reverse(created), pod.key.name.clone())
}

/// Tells in the condition `ReplicaFailure` why Pods are missing.
fn tell_failure(run: &mut Run<'_>, set: &Object, why: Option<&str>) {
    let now = run.txn.now();
    let known = run.txn.state().get(&set.key).is_some_and(|set| find_condition(set.content(), FAILURE).is_some());
    match why {
        // The first refusal stands until there is none any more.
        Some(why) if !known => {
            run.txn.edit(&set.key, |value| set_condition(value, condition(FAILURE, "True", pods::FAILED, why), now));
        }
        None if known => {
            run.txn.edit(&set.key, |value| remove_condition(value, FAILURE));
        }
        _ => {}
    }
}

fn tell_status(run: &mut Run<'_>, set: &Object, active: &[Arc<Object>], terminating: usize) {
    let content = set.content();
    let labels = content.pointer("/spec/template/metadata/labels").and_then(Value::as_object);
    let labelled = active.iter().filter(|pod| labels.is_none_or(|labels| contains(labels, pod.labels()))).count();
    let there = active.iter().filter(|pod| is_available(run.txn, set, pod)).count();
    let ready = active.iter().filter(|pod| is_ready(pod)).count();
    // As upstream writes it, what is zero is left out but for the number of replicas.
    let count = |n: usize| if n == 0 { Value::Null } else { json!(n) };
    let mut status = json!({
        "replicas": active.len(), "fullyLabeledReplicas": count(labelled), "readyReplicas": count(ready),
        "availableReplicas": count(there), "observedGeneration": number(content, "/metadata/generation").unwrap_or(1),
    });
    if &*set.key.resource == "replicasets.apps" {
        status["terminatingReplicas"] = count(terminating);
    }
    edit_status(run.txn, &set.key, status);
}
