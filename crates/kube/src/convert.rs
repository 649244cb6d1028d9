//! Objects that are served in several versions, or in two groups, but kept in one form.
//!
//! Autoscalers are kept as `autoscaling/v2`, events as those of the core group, custom resources in the version that their definition says
//! is stored; between versions of those nothing changes but `apiVersion`, as with the conversion strategy `None`.

use std::borrow::Cow;

use serde_json::{Map, Value, json};

use crate::object::text;
use crate::resources::Resource;

/// Where an autoscaler of v1 keeps the metrics and the behaviour that v1 has no fields for.
const METRICS: &str = "autoscaling.alpha.kubernetes.io/metrics";
const BEHAVIOR: &str = "autoscaling.alpha.kubernetes.io/behavior";
/// Names of the fields of an event in the core group and in `events.k8s.io`.
const EVENT_FIELDS: [(&str, &str); 6] = [
    ("involvedObject", "regarding"),
    ("message", "note"),
    ("source", "deprecatedSource"),
    ("count", "deprecatedCount"),
    ("firstTimestamp", "deprecatedFirstTimestamp"),
    ("lastTimestamp", "deprecatedLastTimestamp"),
];

/// An object as `resource` serves it.
#[must_use]
pub fn served<'a>(resource: &Resource, value: Cow<'a, Value>) -> Cow<'a, Value> {
    let wanted = resource.api_version();
    if text(&value, "/apiVersion") == wanted {
        return value;
    }
    let mut value = value.into_owned();
    match (resource.group.as_str(), resource.version.as_str(), resource.kind.as_str()) {
        ("autoscaling", "v1", _) => scaler_to_v1(&mut value),
        ("events.k8s.io", _, "Event") => rename(&mut value, EVENT_FIELDS),
        _ => {}
    }
    value["apiVersion"] = json!(wanted);
    Cow::Owned(value)
}

/// An object that `resource` serves, as it is kept.
#[must_use]
pub fn stored(resource: &Resource, mut value: Value) -> Value {
    match (resource.group.as_str(), resource.version.as_str(), resource.kind.as_str()) {
        ("autoscaling", "v1", _) => {
            scaler_to_v2(&mut value);
            value["apiVersion"] = json!("autoscaling/v2");
        }
        ("events.k8s.io", _, "Event") => {
            rename(&mut value, EVENT_FIELDS.map(|(core, new)| (new, core)));
            let controller = value["reportingController"].take();
            if !controller.is_null() {
                value["reportingComponent"] = controller;
            }
            remove(&mut value, "reportingController");
            value["apiVersion"] = json!("v1");
        }
        _ => {
            if let Some(custom) = &resource.custom
                && value.is_object()
            {
                value["apiVersion"] = json!(format!("{}/{}", resource.group, custom.storage_version));
            }
        }
    }
    value
}

fn rename<const N: usize>(value: &mut Value, fields: [(&str, &str); N]) {
    let Some(members) = value.as_object_mut() else { return };
    for (from, to) in fields {
        if let Some(field) = members.remove(from) {
            members.insert(to.to_owned(), field);
        }
    }
    if let Some(component) = members.remove("reportingComponent") {
        members.insert("reportingController".to_owned(), component);
    }
}

fn remove(value: &mut Value, name: &str) -> Option<Value> {
    value.as_object_mut()?.remove(name)
}

fn part<'a>(value: &'a mut Value, name: &str) -> Option<&'a mut Map<String, Value>> {
    value.get_mut(name)?.as_object_mut()
}

fn is_cpu_utilization(metric: &Value) -> bool {
    text(metric, "/resource/name") == "cpu"
}

fn scaler_to_v1(value: &mut Value) {
    let mut kept = Vec::new();
    if let Some(spec) = part(value, "spec") {
        let mut metrics = spec.remove("metrics").unwrap_or(Value::Null);
        let metrics = metrics.as_array_mut().map(std::mem::take).unwrap_or_default();
        let (cpu, others): (Vec<_>, Vec<_>) = metrics
            .into_iter()
            .partition(|m| is_cpu_utilization(m) && m.pointer("/resource/target/averageUtilization").is_some());
        if let Some(target) = cpu.first().and_then(|m| m.pointer("/resource/target/averageUtilization")) {
            spec.insert("targetCPUUtilizationPercentage".to_owned(), target.clone());
        }
        if !others.is_empty() {
            kept.push((METRICS, Value::Array(others)));
        }
        if let Some(behavior) = spec.remove("behavior") {
            kept.push((BEHAVIOR, behavior));
        }
    }
    if let Some(status) = part(value, "status") {
        let current = status.remove("currentMetrics").unwrap_or(Value::Null);
        let cpu = current.as_array().and_then(|all| all.iter().find(|m| is_cpu_utilization(m)).cloned());
        if let Some(now) = cpu.as_ref().and_then(|m| m.pointer("/resource/current/averageUtilization")) {
            status.insert("currentCPUUtilizationPercentage".to_owned(), now.clone());
        }
        status.remove("conditions");
    }
    for (name, kept) in kept {
        crate::object::member(value, "metadata/annotations").insert(name.to_owned(), json!(kept.to_string()));
    }
}

fn scaler_to_v2(value: &mut Value) {
    let mut annotation = |name: &str| {
        let kept = value.pointer_mut("/metadata/annotations")?.as_object_mut()?.remove(name)?;
        serde_json::from_str::<Value>(kept.as_str()?).ok()
    };
    let (metrics, behavior) = (annotation(METRICS), annotation(BEHAVIOR));
    if let Some(spec) = part(value, "spec") {
        let mut all = Vec::new();
        if let Some(target) = spec.remove("targetCPUUtilizationPercentage") {
            let target = json!({ "type": "Utilization", "averageUtilization": target });
            all.push(json!({ "type": "Resource", "resource": { "name": "cpu", "target": target } }));
        }
        all.extend(metrics.and_then(|m| m.as_array().cloned()).unwrap_or_default());
        if !all.is_empty() {
            spec.insert("metrics".to_owned(), json!(all));
        }
        if let Some(behavior) = behavior {
            spec.insert("behavior".to_owned(), behavior);
        }
    }
    if let Some(status) = part(value, "status") {
        status.remove("currentCPUUtilizationPercentage");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resources::find;

    #[test]
    fn autoscalers_keep_what_the_older_version_cannot_say() {
        let (v1, v2) = (
            find("autoscaling", "v1", "horizontalpodautoscalers").unwrap(),
            find("autoscaling", "v2", "horizontalpodautoscalers").unwrap(),
        );
        let old = json!({"apiVersion": "autoscaling/v1", "kind": "HorizontalPodAutoscaler", "metadata": {"name": "a"},
            "spec": {"maxReplicas": 3, "targetCPUUtilizationPercentage": 80}});
        let kept = stored(v1, old.clone());
        assert_eq!(kept.pointer("/spec/metrics/0/resource/target/averageUtilization"), Some(&json!(80)));
        assert_eq!(*served(v1, Cow::Borrowed(&kept)), old);
        let mut memory = kept.clone();
        memory["spec"]["metrics"] = json!([{"type": "Resource", "resource": {"name": "memory"}}]);
        memory["spec"]["behavior"] = json!({"scaleDown": {}});
        let through = stored(v1, served(v1, Cow::Borrowed(&memory)).into_owned());
        assert_eq!(through["spec"], memory["spec"]);
        assert_eq!(*served(v2, Cow::Borrowed(&memory)), memory);
    }

    #[test]
    fn events_are_the_same_in_both_groups() {
        let new = find("events.k8s.io", "v1", "events").unwrap();
        let event = json!({"apiVersion": "v1", "kind": "Event", "metadata": {"name": "e"}, "involvedObject": {"kind": "Pod"},
            "message": "m", "count": 2, "reportingComponent": "kubelet", "type": "Normal"});
        let seen = served(new, Cow::Borrowed(&event)).into_owned();
        assert_eq!((&seen["regarding"]["kind"], &seen["note"]), (&json!("Pod"), &json!("m")));
        assert_eq!(seen["reportingController"], "kubelet");
        assert_eq!(stored(new, seen), event);
    }
}
