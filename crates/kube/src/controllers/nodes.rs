//! The taints that follow from what a node is.

use std::sync::Arc;

use serde_json::{Value, json};

use super::Run;
use super::common::{find_condition, is_ready};
use crate::object::{Object, array, member, text, time};

const NOT_READY: &str = "node.kubernetes.io/not-ready";
const UNREACHABLE: &str = "node.kubernetes.io/unreachable";
const UNSCHEDULABLE: &str = "node.kubernetes.io/unschedulable";

/// Taints a node that is not ready, or not for new Pods, and takes these taints away when it is.
pub(super) fn sync(run: &mut Run<'_>, node: &Arc<Object>) {
    let content = node.content();
    let unknown = find_condition(content, "Ready").is_none_or(|c| c["status"] == json!("Unknown"));
    let mut wanted: Vec<(&str, &str)> = Vec::new();
    if !is_ready(node) {
        let key = if unknown { UNREACHABLE } else { NOT_READY };
        wanted.extend([(key, "NoSchedule"), (key, "NoExecute")]);
    }
    if content.pointer("/spec/unschedulable") == Some(&json!(true)) {
        wanted.push((UNSCHEDULABLE, "NoSchedule"));
    }
    let is = |taint: &Value, key: &str, effect: &str| text(taint, "/key") == key && text(taint, "/effect") == effect;
    let ours = |taint: &Value| [NOT_READY, UNREACHABLE, UNSCHEDULABLE].contains(&text(taint, "/key"));
    let known = array(content, "/spec/taints");
    let mut taints: Vec<Value> = known
        .iter()
        .filter(|taint| !ours(taint) || wanted.iter().any(|(key, effect)| is(taint, key, effect)))
        .cloned()
        .collect();
    let now = time(run.txn.now());
    for (key, effect) in wanted {
        if !taints.iter().any(|taint| is(taint, key, effect)) {
            taints.push(json!({"key": key, "effect": effect, "timeAdded": now}));
        }
    }
    if taints == known {
        return;
    }
    run.txn.edit(&node.key, |value| {
        let spec = member(value, "spec");
        if taints.is_empty() {
            spec.remove("taints");
        } else {
            spec.insert("taints".to_owned(), json!(taints));
        }
    });
}
