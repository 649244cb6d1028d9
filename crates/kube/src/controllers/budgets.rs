//! What is counted of a namespace: disruption budgets, quotas, autoscalers.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::Run;
use super::common::{after, condition, edit_status, has_ended, is_ready, part, selects, set_condition};
use super::events::{self, Told};
use crate::admission::usage;
use crate::lifecycle;
use crate::object::{Object, array, member, number, text};

/// How long an eviction counts as under way, in seconds.
const DISRUPTION_SECONDS: i64 = 120;

/// Counts which Pods of a PodDisruptionBudget may be evicted.
pub(super) fn sync(run: &mut Run<'_>, budget: &Arc<Object>) {
    run.txn.unwait(&budget.key);
    let content = budget.content();
    let Some(selector) = content.pointer("/spec/selector") else { return };
    let namespace = &*budget.key.namespace;
    let pods: Vec<Arc<Object>> = run
        .txn
        .state()
        .list("pods", Some(namespace), None)
        .filter(|pod| selects(selector, pod.labels()) && !has_ended(pod))
        .cloned()
        .collect();
    let now = run.txn.now();
    let mut disrupted = Map::new();
    for (name, since) in content.pointer("/status/disruptedPods").and_then(Value::as_object).into_iter().flatten() {
        let at = after(since.as_str().and_then(super::common::parse_time).unwrap_or(now), DISRUPTION_SECONDS);
        if at > now && pods.iter().any(|pod| &*pod.key.name == name && !pod.is_terminating()) {
            disrupted.insert(name.clone(), since.clone());
            run.txn.wait(&budget.key, Some(at));
        }
    }
    let healthy = pods.iter().filter(|pod| is_ready(pod) && !pod.is_terminating() && !disrupted.contains_key(&*pod.key.name));
    let healthy = i64::try_from(healthy.count()).unwrap_or(i64::MAX);
    let there = i64::try_from(pods.len()).unwrap_or(i64::MAX);
    let (expected, desired) = match (content.pointer("/spec/maxUnavailable"), content.pointer("/spec/minAvailable")) {
        (Some(most), _) => {
            let expected = expected(run, &pods);
            (expected, (expected - part(Some(most), expected, "0", true)).max(0))
        }
        (None, Some(least)) if least.is_string() => {
            let expected = expected(run, &pods);
            (expected, part(Some(least), expected, "0", true))
        }
        (None, least) => (there, part(least, there, "0", true)),
    };
    let allowed = if expected > 0 { (healthy - desired).max(0) } else { 0 };
    run.txn.edit(&budget.key, |value| {
        let generation = number(value, "/metadata/generation").unwrap_or(1);
        let status = member(value, "status");
        let counts = [
            ("currentHealthy", healthy),
            ("desiredHealthy", desired),
            ("expectedPods", expected),
            ("disruptionsAllowed", allowed),
            ("observedGeneration", generation),
        ];
        for (name, count) in counts {
            status.insert(name.to_owned(), json!(count));
        }
        if disrupted.is_empty() {
            status.remove("disruptedPods");
        } else {
            status.insert("disruptedPods".to_owned(), Value::Object(disrupted));
        }
        let told = if allowed > 0 {
            condition("DisruptionAllowed", "True", "SufficientPods", "")
        } else {
            condition("DisruptionAllowed", "False", "InsufficientPods", "")
        };
        set_condition(value, told, now);
    });
}

/// How many Pods there should be: the replicas of their controllers, as far as these have any.
fn expected(run: &Run<'_>, pods: &[Arc<Object>]) -> i64 {
    let mut scales: BTreeMap<String, i64> = BTreeMap::new();
    let mut alone = 0;
    for pod in pods {
        let scale = pod.controller().and_then(|owner| scale(run, &pod.key.namespace, owner));
        match scale {
            Some((uid, replicas)) => {
                scales.insert(uid, replicas);
            }
            None => alone += 1,
        }
    }
    scales.values().copied().fold(alone, i64::saturating_add)
}

/// The scale that a controller has, or the one that controls it.
fn scale(run: &Run<'_>, namespace: &str, owner: &Value) -> Option<(String, i64)> {
    let (resource, _) = lifecycle::resource_of(run.txn, text(owner, "/apiVersion"), text(owner, "/kind"))?;
    let found = run.txn.find(&resource, namespace, text(owner, "/name"))?;
    if let Some(above) = found.controller().filter(|_| &*resource == "replicasets.apps") {
        return scale(run, namespace, above);
    }
    Some((found.uid().to_owned(), number(found.content(), "/spec/replicas")?))
}

/// Counts what a quota limits.
pub(super) fn sync_quota(run: &mut Run<'_>, quota: &Arc<Object>) {
    let content = quota.content();
    let Some(hard) = content.pointer("/spec/hard").and_then(Value::as_object) else { return };
    let names: Vec<&str> = hard.keys().map(String::as_str).collect();
    let used = usage(run.txn.state(), &quota.key.namespace, &names, |pod| in_scope(content, pod));
    let used: Map<String, Value> = used.into_iter().map(|(name, amount)| (name, json!(amount.to_string()))).collect();
    edit_status(run.txn, &quota.key, json!({"hard": hard, "used": used}));
}

/// Whether a Pod is in the scopes of a quota.
fn in_scope(quota: &Value, pod: &Object) -> bool {
    let content = pod.content();
    let terminating = number(content, "/spec/activeDeadlineSeconds").is_some();
    let best_effort = crate::amounts::qos_class(&content["spec"]) == "BestEffort";
    let within = |scope: &str| match scope {
        "Terminating" => terminating,
        "NotTerminating" => !terminating,
        "BestEffort" => best_effort,
        "NotBestEffort" => !best_effort,
        _ => true,
    };
    let class = |expression: &Value| {
        let name = Some(text(content, "/spec/priorityClassName")).filter(|name| !name.is_empty());
        text(expression, "/scopeName") != "PriorityClass" || super::common::fulfils(expression, name)
    };
    array(quota, "/spec/scopes").iter().filter_map(Value::as_str).all(within)
        && array(quota, "/spec/scopeSelector/matchExpressions").iter().all(|e| within(text(e, "/scopeName")) && class(e))
}

/// Tells that there are no metrics to scale by.
pub(super) fn sync_autoscaler(run: &mut Run<'_>, scaler: &Arc<Object>) {
    let content = scaler.content();
    let target = content.pointer("/spec/scaleTargetRef").cloned().unwrap_or_default();
    let now = run.txn.now();
    let resource = lifecycle::resource_of(run.txn, text(&target, "/apiVersion"), text(&target, "/kind"));
    let found = resource.and_then(|(resource, _)| run.txn.find(&resource, &scaler.key.namespace, text(&target, "/name")));
    let Some(found) = found else {
        let (kind, name) = (text(&target, "/kind").to_lowercase(), text(&target, "/name"));
        let message = format!("the HPA controller was unable to get the target's current scale: {kind}s \"{name}\" not found");
        run.txn.edit(&scaler.key, |value| {
            set_condition(value, condition("AbleToScale", "False", "FailedGetScale", &message), now);
        });
        return;
    };
    let current = number(found.content(), "/status/replicas").unwrap_or(0);
    let wanted = number(found.content(), "/spec/replicas").unwrap_or(1);
    let least = number(content, "/spec/minReplicas").unwrap_or(1);
    let most = number(content, "/spec/maxReplicas").unwrap_or(i64::MAX);
    // The bounds hold without metrics.
    let bounded = if wanted == 0 { 0 } else { wanted.clamp(least.min(most), most) };
    if bounded != wanted {
        super::common::edit_spec(run.txn, &found.key, |spec| {
            spec.insert("replicas".to_owned(), json!(bounded));
        });
        let bound = if bounded > wanted { "below Spec.MinReplicas" } else { "above Spec.MaxReplicas" };
        let message = format!("New size: {bounded}; reason: Current number of replicas {bound}");
        events::tell(run.txn, scaler, Told::normal("horizontal-pod-autoscaler", "SuccessfulRescale", &message));
    }
    let metric = array(content, "/spec/metrics").first().map_or("cpu", |m| text(m, "/resource/name")).to_owned();
    run.txn.edit(&scaler.key, |value| {
        let status = member(value, "status");
        status.insert("currentReplicas".to_owned(), json!(current));
        status.insert("desiredReplicas".to_owned(), json!(bounded));
        if bounded != wanted {
            status.insert("lastScaleTime".to_owned(), json!(crate::object::time(now)));
        }
        let told = condition("AbleToScale", "True", "SucceededGetScale", "the HPA controller was able to get the target's current scale");
        set_condition(value, told, now);
        let told = if wanted == 0 {
            condition("ScalingActive", "False", "ScalingDisabled", "scaling is disabled since the replica count of the target is zero")
        } else {
            let message = format!(
                "the HPA was unable to compute the replica count: failed to get {metric} utilization: unable to get metrics for resource {metric}: unable to fetch metrics from resource metrics API: the server could not find the requested resource (get pods.metrics.k8s.io)"
            );
            condition("ScalingActive", "False", "FailedGetResourceMetric", &message)
        };
        set_condition(value, told, now);
    });
}
