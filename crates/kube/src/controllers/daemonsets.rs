//! DaemonSets: a Pod on each node that will have it.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use super::affinity::{node_fits, untolerated};
use super::common::{controlled, edit_status, has_ended, is_available, is_ready, part};
use super::events::{self, Told};
use super::pods::{self, PodOf};
use super::{Run, revisions};
use crate::lifecycle::{self, DeleteOptions};
use crate::object::{Object, member, number, text};

const BY: &str = "daemonset-controller";

/// What its Pods bear besides what the template says.
const BORNE: [(&str, &str); 6] = [
    ("node.kubernetes.io/not-ready", "NoExecute"),
    ("node.kubernetes.io/unreachable", "NoExecute"),
    ("node.kubernetes.io/disk-pressure", "NoSchedule"),
    ("node.kubernetes.io/memory-pressure", "NoSchedule"),
    ("node.kubernetes.io/pid-pressure", "NoSchedule"),
    ("node.kubernetes.io/unschedulable", "NoSchedule"),
];

/// The spec that a Pod of the set has on any node.
fn with_tolerations(template: &Value) -> Value {
    let mut template = template.clone();
    let hosts = template.pointer("/spec/hostNetwork") == Some(&json!(true));
    let tolerations = member(&mut template, "spec").entry("tolerations").or_insert_with(|| json!([]));
    if let Value::Array(tolerations) = tolerations {
        let network = hosts.then_some(("node.kubernetes.io/network-unavailable", "NoSchedule"));
        for (key, effect) in BORNE.into_iter().chain(network) {
            let toleration = json!({"key": key, "operator": "Exists", "effect": effect});
            if !tolerations.contains(&toleration) {
                tolerations.push(toleration);
            }
        }
    }
    template
}

/// Whether a node should have a new Pod, and whether it may keep one that it has.
fn wants(spec: &Value, node: &Object) -> (bool, bool) {
    let fits = node_fits(spec, node);
    let content = node.content();
    let schedulable = untolerated(spec, content, &["NoSchedule", "NoExecute"]).is_none();
    (fits && schedulable, fits && untolerated(spec, content, &["NoExecute"]).is_none())
}

/// Has one Pod on each node that will have it, of the template as it is.
pub(super) fn sync(run: &mut Run<'_>, set: &Arc<Object>) {
    run.txn.unwait(&set.key);
    let content = set.content();
    let selector = content.pointer("/spec/selector").cloned();
    let pods = controlled(run.txn, set, "pods", selector.as_ref());
    if set.is_terminating() {
        return;
    }
    let Some((revision, known)) = revisions::sync(run, set) else { return };
    let hash = revisions::hash(&revision);
    let template = with_tolerations(content.pointer("/spec/template").unwrap_or(&Value::Null));
    let spec = &template["spec"];
    let mut by_node: BTreeMap<String, Vec<Arc<Object>>> = BTreeMap::new();
    for pod in pods {
        by_node.entry(node_of(&pod)).or_default().push(pod);
    }
    let mut wanted = Vec::new();
    for node in run.txn.list("nodes", None) {
        let here = by_node.remove(&*node.key.name).unwrap_or_default();
        let (new, keep) = wants(spec, &node);
        if new {
            wanted.push(node.key.name.to_string());
        }
        manage(run, set, &template, &hash, (&node, here), (new, keep));
    }
    // What is on no node any more.
    for pod in by_node.into_values().flatten().filter(|pod| !pod.is_terminating()) {
        lifecycle::delete(run.txn, &pod.key, &DeleteOptions::default());
    }
    if text(content, "/spec/updateStrategy/type") != "OnDelete" {
        update(run, set, &hash, &wanted);
    }
    tell_status(run, set, &hash, &wanted);
    let live: Vec<Arc<Object>> = run.txn.owned_by(set.uid());
    revisions::clean_up(run, set, &known, |r| {
        let hash = revisions::hash(r);
        r.key == revision.key || live.iter().any(|pod| &*pod.key.resource == "pods" && revisions::is_of(pod, &hash))
    });
}

/// The node that a Pod is on or meant for.
fn node_of(pod: &Object) -> String {
    let bound = text(pod.content(), "/spec/nodeName");
    let meant =
        "/spec/affinity/nodeAffinity/requiredDuringSchedulingIgnoredDuringExecution/nodeSelectorTerms/0/matchFields/0/values/0";
    if bound.is_empty() { text(pod.content(), meant) } else { bound }.to_owned()
}

/// Makes the Pod of a node, or takes away what should not be there.
fn manage(
    run: &mut Run<'_>,
    set: &Arc<Object>,
    template: &Value,
    hash: &str,
    (node, here): (&Object, Vec<Arc<Object>>),
    (new, keep): (bool, bool),
) {
    let mut alive = 0;
    for pod in here {
        if pod.is_terminating() {
            alive += 1;
        } else if has_ended(&pod) {
            let message = format!(
                "Found failed daemon pod {}/{} on node {}, will try to kill it",
                pod.key.namespace, pod.key.name, node.key.name
            );
            events::tell(run.txn, set, Told::warning(BY, "FailedDaemonPod", &message));
            lifecycle::delete(run.txn, &pod.key, &DeleteOptions::default());
        } else if !keep || alive > 0 {
            lifecycle::delete(run.txn, &pod.key, &DeleteOptions::default());
            events::tell(run.txn, set, Told::normal(BY, "SuccessfulDelete", &format!("Deleted pod: {}", pod.key.name)));
            alive += 1;
        } else {
            alive += 1;
        }
    }
    if alive > 0 || !new {
        return;
    }
    let labels = [(revisions::HASH, hash.to_owned())];
    let name = json!(&*node.key.name);
    let made = pods::create(run, set, template, PodOf { labels: &labels, ..PodOf::template(BY) }, |pod| {
        let required = member(pod, "spec/affinity/nodeAffinity/requiredDuringSchedulingIgnoredDuringExecution");
        let field = json!({"key": "metadata.name", "operator": "In", "values": [name]});
        let terms = required.entry("nodeSelectorTerms").or_insert_with(|| json!([{}]));
        if let Value::Array(terms) = terms {
            for term in terms {
                member(term, "").insert("matchFields".to_owned(), json!([field]));
            }
        }
    });
    if let Ok(pod) = made {
        events::tell(run.txn, set, Told::normal(BY, "SuccessfulCreate", &format!("Created pod: {}", pod.key.name)));
    }
}

fn pods_of(run: &Run<'_>, set: &Object) -> Vec<Arc<Object>> {
    let mut pods = run.txn.owned_by(set.uid());
    pods.retain(|pod| &*pod.key.resource == "pods");
    pods
}

/// Ends Pods of old templates, as many at a time as may be unavailable.
fn update(run: &mut Run<'_>, set: &Arc<Object>, hash: &str, wanted: &[String]) {
    let nodes = i64::try_from(wanted.len()).unwrap_or(i64::MAX);
    let most = part(set.content().pointer("/spec/updateStrategy/rollingUpdate/maxUnavailable"), nodes, "1", true).max(1);
    let pods = pods_of(run, set);
    let there = pods.iter().filter(|pod| wanted.contains(&node_of(pod)) && is_available(run.txn, set, pod)).count();
    let mut room = most - (nodes - i64::try_from(there).unwrap_or(0));
    for pod in pods.iter().filter(|pod| !pod.is_terminating() && !revisions::is_of(pod, hash)) {
        let serves = is_available(run.txn, set, pod);
        if serves && room <= 0 {
            continue;
        }
        room -= i64::from(serves);
        lifecycle::delete(run.txn, &pod.key, &DeleteOptions::default());
        events::tell(run.txn, set, Told::normal(BY, "SuccessfulDelete", &format!("Deleted pod: {}", pod.key.name)));
    }
}

fn tell_status(run: &mut Run<'_>, set: &Arc<Object>, hash: &str, wanted: &[String]) {
    let pods = pods_of(run, set);
    let (mut scheduled, mut misplaced, mut ready, mut there, mut updated) = (0, 0, 0, 0, 0);
    let mut nodes: Vec<String> = Vec::new();
    for pod in pods.iter().filter(|pod| !pod.is_terminating() && !has_ended(pod)) {
        let node = node_of(pod);
        if !wanted.contains(&node) {
            misplaced += 1;
            continue;
        }
        if nodes.contains(&node) {
            continue;
        }
        nodes.push(node);
        scheduled += 1;
        ready += i64::from(is_ready(pod));
        there += i64::from(is_available(run.txn, set, pod));
        updated += i64::from(revisions::is_of(pod, hash));
    }
    let total = i64::try_from(wanted.len()).unwrap_or(i64::MAX);
    let some = |n: i64| if n == 0 { Value::Null } else { json!(n) };
    let status = json!({
        "currentNumberScheduled": scheduled, "desiredNumberScheduled": total, "numberMisscheduled": misplaced,
        "numberReady": ready, "numberAvailable": some(there), "numberUnavailable": some(total - there),
        "updatedNumberScheduled": some(updated), "observedGeneration": number(set.content(), "/metadata/generation").unwrap_or(1),
    });
    edit_status(run.txn, &set.key, status);
}
