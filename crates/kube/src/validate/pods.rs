//! Rules of pods, of their templates, and of what they are made of.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::meta::{check_annotations, check_labels};
use super::{check_selector, child, fields};
use crate::object::{array, number, text};
use crate::quantity::Quantity;
use crate::status::Cause;

/// Rules of types that are about several of their fields.
pub(super) fn check(name: &str, value: &Value, path: &str, causes: &mut Vec<Cause>) {
    match name {
        "core.v1.PodSpec" => check_spec(value, path, causes),
        "core.v1.Container" | "core.v1.EphemeralContainer" => check_container(value, path, causes),
        "core.v1.ResourceRequirements" => check_resources(value, path, causes),
        "core.v1.PodTemplateSpec" => {
            check_labels(&value["metadata"]["labels"], &child(path, "labels"), causes);
            check_annotations(&value["metadata"]["annotations"], &child(path, "annotations"), causes);
            if value["spec"].is_null() {
                causes.push(Cause::required(child(path, "spec.containers"), ""));
            }
        }
        "core.v1.EnvVar" if !text(value, "/value").is_empty() && value["valueFrom"].is_object() => {
            let why = "may not be specified when `value` is not empty";
            causes.push(Cause::invalid(child(path, "valueFrom"), &json!(""), why));
        }
        "core.v1.Volume" if value.as_object().map_or(0, serde_json::Map::len) > 2 => {
            causes.push(Cause::forbidden(path, "may not specify more than 1 volume type"));
        }
        "core.v1.Toleration" => check_toleration(value, path, causes),
        "meta.v1.LabelSelector" => check_selector(value, path, causes),
        _ => {}
    }
}

fn check_spec(spec: &Value, path: &str, causes: &mut Vec<Cause>) {
    let mut volumes = BTreeSet::new();
    for (at, volume) in array(spec, "/volumes").iter().enumerate() {
        if !volumes.insert(text(volume, "/name")) {
            causes.push(Cause::duplicate(format!("{path}.volumes[{at}].name"), &volume["name"]));
        }
    }
    let mut names = BTreeSet::new();
    for list in ["initContainers", "containers", "ephemeralContainers"] {
        for (at, container) in array(spec, &format!("/{list}")).iter().enumerate() {
            let path = format!("{path}.{list}[{at}]");
            if !names.insert(text(container, "/name")) {
                causes.push(Cause::duplicate(format!("{path}.name"), &container["name"]));
            }
            check_mounts(container, &volumes, &path, causes);
        }
    }
    if let Some(seconds) = number(spec, "/activeDeadlineSeconds").filter(|s| !(1..=i64::from(i32::MAX)).contains(s)) {
        let why = "must be between 1 and 2147483647, inclusive";
        causes.push(Cause::invalid(child(path, "activeDeadlineSeconds"), &json!(seconds), why));
    }
    for (at, secret) in array(spec, "/imagePullSecrets").iter().enumerate() {
        if text(secret, "/name").is_empty() {
            causes.push(Cause::required(format!("{path}.imagePullSecrets[{at}].name"), ""));
        }
    }
}

fn check_mounts(container: &Value, volumes: &BTreeSet<&str>, path: &str, causes: &mut Vec<Cause>) {
    let mut places = BTreeSet::new();
    for (at, mount) in array(container, "/volumeMounts").iter().enumerate() {
        let path = format!("{path}.volumeMounts[{at}]");
        let name = text(mount, "/name");
        if !name.is_empty() && !volumes.contains(name) {
            causes.push(Cause::new("FieldValueNotFound", format!("{path}.name"), format!("Not found: {}", json!(name))));
        }
        if !places.insert(text(mount, "/mountPath")) {
            causes.push(Cause::invalid(format!("{path}.mountPath"), &mount["mountPath"], "must be unique"));
        }
    }
}

fn check_container(container: &Value, path: &str, causes: &mut Vec<Cause>) {
    let image = text(container, "/image");
    if image.trim() != image {
        causes.push(Cause::invalid(child(path, "image"), &json!(image), "must not have leading or trailing whitespace"));
    }
    let mut names = BTreeSet::new();
    for (at, port) in array(container, "/ports").iter().enumerate() {
        let name = text(port, "/name");
        if name.is_empty() {
            continue;
        }
        let path = format!("{path}.ports[{at}].name");
        causes.extend(fields::port_name_faults(name).iter().map(|fault| Cause::invalid(path.as_str(), &json!(name), fault)));
        if !names.insert(name) {
            causes.push(Cause::duplicate(path, &json!(name)));
        }
    }
    for probe in ["livenessProbe", "readinessProbe", "startupProbe"] {
        let Some(given) = container.get(probe).filter(|p| p.is_object()) else { continue };
        let handlers = ["exec", "httpGet", "tcpSocket", "grpc"].iter().filter(|handler| given[**handler].is_object()).count();
        let path = child(path, probe);
        match handlers {
            0 => causes.push(Cause::required(path.as_str(), "must specify a handler type")),
            1 => {}
            _ => causes.push(Cause::forbidden(path.as_str(), "may not specify more than 1 handler type")),
        }
        if probe != "readinessProbe" && number(given, "/successThreshold").is_some_and(|n| n != 1) {
            causes.push(Cause::invalid(child(&path, "successThreshold"), &given["successThreshold"], "must be 1"));
        }
    }
}

fn check_resources(resources: &Value, path: &str, causes: &mut Vec<Cause>) {
    for list in ["limits", "requests"] {
        for (name, amount) in resources[list].as_object().into_iter().flatten() {
            if Quantity::of(amount).is_ok_and(Quantity::is_negative) {
                let why = "must be greater than or equal to 0";
                causes.push(Cause::invalid(format!("{path}.{list}[{name}]"), amount, why));
            }
        }
    }
    for (name, request) in resources["requests"].as_object().into_iter().flatten() {
        let Some(limit) = resources["limits"].get(name) else { continue };
        if let (Ok(asked), Ok(most)) = (Quantity::of(request), Quantity::of(limit))
            && asked > most
        {
            let why = format!("must be less than or equal to {name} limit of {most}");
            causes.push(Cause::invalid(format!("{path}.requests"), &json!(asked.to_string()), &why));
        }
    }
}

fn check_toleration(toleration: &Value, path: &str, causes: &mut Vec<Cause>) {
    match text(toleration, "/operator") {
        "Exists" if !text(toleration, "/value").is_empty() => {
            let why = "value must be empty when `operator` is 'Exists'";
            causes.push(Cause::invalid(child(path, "operator"), &toleration["value"], why));
        }
        "" | "Equal" | "Exists" | "Lt" | "Gt" => {}
        _ => causes.push(Cause::unsupported(child(path, "operator"), &toleration["operator"], &["Equal", "Exists"])),
    }
    if toleration["tolerationSeconds"].is_number() && text(toleration, "/effect") != "NoExecute" {
        let why = "effect must be 'NoExecute' when `tolerationSeconds` is set";
        causes.push(Cause::invalid(child(path, "effect"), &toleration["effect"], why));
    }
}

/// Of a pod, only little can be changed once it is there.
pub(super) fn check_update(old: &Value, new: &Value, causes: &mut Vec<Cause>) {
    let (before, after) = (&old["spec"], &new["spec"]);
    for list in ["containers", "initContainers"] {
        if array(before, &format!("/{list}")).len() != array(after, &format!("/{list}")).len() {
            causes.push(Cause::forbidden(format!("spec.{list}"), "pod updates may not add or remove containers"));
            return;
        }
    }
    if let Some(deadline) = number(before, "/activeDeadlineSeconds") {
        let why = match number(after, "/activeDeadlineSeconds") {
            None => Some("must not update from a positive integer to nil value"),
            Some(now) if now > deadline => Some("must be less than or equal to previous value"),
            Some(_) => None,
        };
        causes.extend(why.map(|why| Cause::invalid("spec.activeDeadlineSeconds", &after["activeDeadlineSeconds"], why)));
    }
    let tolerated = array(after, "/tolerations");
    let same = |one: &Value, other: &Value| ["key", "operator", "value", "effect"].iter().all(|f| one[*f] == other[*f]);
    if array(before, "/tolerations").iter().any(|old| !tolerated.iter().any(|new| same(old, new))) {
        causes
            .push(Cause::forbidden("spec.tolerations", "existing toleration can not be modified except its tolerationSeconds"));
    }
    if mutable_taken_out(before) != mutable_taken_out(after) {
        let fields = "`spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)";
        causes.push(Cause::forbidden("spec", &format!("pod updates may not change fields other than {fields}")));
    }
}

/// A spec without what can be changed.
fn mutable_taken_out(spec: &Value) -> Value {
    let mut spec = spec.clone();
    for list in ["containers", "initContainers"] {
        for container in spec.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten() {
            if let Value::Object(container) = container {
                container.remove("image");
            }
        }
    }
    if let Value::Object(members) = &mut spec {
        for field in ["activeDeadlineSeconds", "tolerations", "schedulingGates"] {
            members.remove(field);
        }
    }
    spec
}
