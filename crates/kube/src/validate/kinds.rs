//! Rules of kinds.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::names::Syntax;
use super::{fields, is_nothing, pods, too_long, unchanged, workloads};
use crate::object::{array, number, text};
use crate::quantity::Quantity;
use crate::status::Cause;

/// What the data of a ConfigMap or a Secret may take.
const DATA: usize = 1024 * 1024;
const RBAC: &str = "rbac.authorization.k8s.io";

pub(super) fn check(stored: &str, subresource: &str, old: Option<&Value>, new: &Value, causes: &mut Vec<Cause>) {
    let mut fixed = |paths: &[&str]| old.into_iter().for_each(|old| unchanged(old, new, paths, causes));
    match stored {
        "secrets" => fixed(&["/type"]),
        "storageclasses.storage.k8s.io" => fixed(&["/parameters", "/provisioner", "/reclaimPolicy", "/volumeBindingMode"]),
        "priorityclasses.scheduling.k8s.io" => fixed(&["/preemptionPolicy"]),
        "ingressclasses.networking.k8s.io" => fixed(&["/spec/controller"]),
        "runtimeclasses.node.k8s.io" => fixed(&["/handler"]),
        "endpointslices.discovery.k8s.io" => fixed(&["/addressType"]),
        _ => {}
    }
    match stored {
        // Subresources change what the object itself must not.
        "pods" if subresource.is_empty() => old.into_iter().for_each(|old| pods::check_update(old, new, causes)),
        "deployments.apps" => {
            workloads::check_selecting("deployment", old, new, causes);
            workloads::check_deployment(new, causes);
        }
        "replicasets.apps" => workloads::check_selecting("deployment", old, new, causes),
        "daemonsets.apps" => {
            workloads::check_selecting("daemonset", old, new, causes);
            workloads::check_daemon_set(new, causes);
        }
        "statefulsets.apps" => {
            workloads::check_selecting("statefulset", None, new, causes);
            workloads::check_stateful_set(old, new, causes);
        }
        "jobs.batch" => workloads::check_job(old, new, causes),
        "cronjobs.batch" => workloads::check_cron_job(new, causes),
        "services" => check_service(old, new, causes),
        "configmaps" => check_data(&["data", "binaryData"], old, new, causes),
        "secrets" => {
            check_data(&["data"], old, new, causes);
            check_secret(new, causes);
        }
        "persistentvolumeclaims" => check_claim(old, new, causes),
        "ingresses.networking.k8s.io" => check_ingress(new, causes),
        "networkpolicies.networking.k8s.io" => check_network_policy(new, causes),
        "horizontalpodautoscalers.autoscaling" => check_autoscaler(new, causes),
        "poddisruptionbudgets.policy" => check_budget(new, causes),
        "priorityclasses.scheduling.k8s.io" => check_priority_class(old, new, causes),
        "resourcequotas" | "limitranges" => check_amounts(&new["spec"], "spec", causes),
        _ if stored.ends_with(RBAC) => check_rbac(stored, old, new, causes),
        _ => {}
    }
}

fn check_service(old: Option<&Value>, new: &Value, causes: &mut Vec<Cause>) {
    let spec = &new["spec"];
    let ports = array(spec, "/ports");
    let kind = text(spec, "/type");
    let headless = text(spec, "/clusterIP") == "None";
    if kind == "ExternalName" {
        match text(spec, "/externalName").trim_end_matches('.') {
            "" => causes.push(Cause::required("spec.externalName", "")),
            name => {
                let faults = Syntax::Subdomain.faults(name, false);
                causes.extend(faults.iter().map(|fault| Cause::invalid("spec.externalName", &json!(name), fault)));
            }
        }
        if !matches!(text(spec, "/clusterIP"), "" | "None") {
            causes.push(Cause::forbidden("spec.clusterIPs[0]", "may not be set when type is ExternalName"));
        }
    } else if ports.is_empty() && !headless {
        causes.push(Cause::required("spec.ports", ""));
    }
    if headless && matches!(kind, "NodePort" | "LoadBalancer") {
        causes.push(Cause::invalid(
            "spec.clusterIPs[0]",
            &json!("None"),
            &format!("may not be set to 'None' for {kind} services"),
        ));
    }
    let (mut names, mut pairs) = (BTreeSet::new(), BTreeSet::new());
    for (at, port) in ports.iter().enumerate() {
        let path = format!("spec.ports[{at}]");
        let name = text(port, "/name");
        if name.is_empty() && ports.len() > 1 {
            causes.push(Cause::required(format!("{path}.name"), ""));
        } else if !name.is_empty() && !names.insert(name) {
            causes.push(Cause::duplicate(format!("{path}.name"), &json!(name)));
        }
        if port["port"].is_null() {
            causes.extend(fields::port_fault(&port["port"], format!("{path}.port")));
        }
        if !pairs.insert((text(port, "/protocol"), number(port, "/port"))) {
            let key = json!({"protocol": port["protocol"], "port": port["port"]});
            causes.push(Cause::duplicate(path.as_str(), &key));
        }
        let node_port = number(port, "/nodePort").unwrap_or(0);
        if node_port != 0 && !matches!(kind, "NodePort" | "LoadBalancer") {
            let why = "may not be used when `type` is 'ClusterIP'";
            causes.push(Cause::forbidden(format!("{path}.nodePort"), why));
        }
    }
    for (name, kinds) in [("externalTrafficPolicy", "externally-accessible")] {
        if !is_nothing(spec.get(name)) && !matches!(kind, "NodePort" | "LoadBalancer") && is_nothing(spec.get("externalIPs")) {
            let why = format!("may only be set for {kinds} services");
            causes.push(Cause::invalid(format!("spec.{name}"), &spec[name], &why));
        }
    }
    super::meta::check_labels(&spec["selector"], "spec.selector", causes);
    if let Some(old) = old {
        check_address(&old["spec"], spec, causes);
    }
}

/// The address of a service stays, unless it has none.
fn check_address(old: &Value, new: &Value, causes: &mut Vec<Cause>) {
    let external = |spec: &Value| text(spec, "/type") == "ExternalName";
    let (before, after) = (text(old, "/clusterIP"), text(new, "/clusterIP"));
    if !external(old) && !external(new) && !before.is_empty() && before != after {
        causes.push(Cause::invalid("spec.clusterIPs[0]", &json!([after]), "may not change once set"));
    }
    let class = |spec: &Value| spec.get("loadBalancerClass").cloned();
    let balanced = |spec: &Value| text(spec, "/type") == "LoadBalancer";
    if balanced(old) && balanced(new) && class(old) != class(new) {
        causes.push(Cause::invalid("spec.loadBalancerClass", &new["loadBalancerClass"], "may not change once set"));
    }
}

fn members<'a>(value: &'a Value, field: &str) -> impl Iterator<Item = (&'a String, &'a Value)> + use<'a> {
    value.get(field).and_then(Value::as_object).into_iter().flatten()
}

/// Of ConfigMaps and Secrets: keys, size, and what must not be changed.
fn check_data(lists: &[&str], old: Option<&Value>, new: &Value, causes: &mut Vec<Cause>) {
    let (mut size, mut seen) = (0, BTreeSet::new());
    for list in lists {
        for (key, value) in members(new, list) {
            let path = format!("{list}[{key}]");
            let faults = Syntax::ConfigKey.faults(key, false);
            causes.extend(faults.iter().map(|fault| Cause::invalid(path.as_str(), &json!(key), fault)));
            if !seen.insert(key) {
                let why = format!("duplicate of key present in {}", lists.first().unwrap_or(&""));
                causes.push(Cause::invalid(path.as_str(), &json!(key), &why));
            }
            let length = value.as_str().map_or(0, str::len);
            // Bytes are written in base64.
            size += if *list == "data" && lists.len() == 2 { length } else { length / 4 * 3 };
        }
    }
    if size > DATA {
        let field = if lists.len() == 2 { "" } else { "data" };
        causes.push(too_long(field, DATA));
    }
    let Some(old) = old.filter(|old| old["immutable"] == true) else { return };
    let why = "field is immutable when `immutable` is set";
    if new["immutable"] != true {
        causes.push(Cause::forbidden("immutable", why));
    }
    for list in lists.iter().filter(|list| old[**list] != new[**list]) {
        causes.push(Cause::forbidden(*list, why));
    }
}

fn check_secret(new: &Value, causes: &mut Vec<Cause>) {
    let needed: &[&str] = match text(new, "/type") {
        "kubernetes.io/tls" => &["tls.crt", "tls.key"],
        "kubernetes.io/ssh-auth" => &["ssh-privatekey"],
        "kubernetes.io/dockerconfigjson" => &[".dockerconfigjson"],
        "kubernetes.io/dockercfg" => &[".dockercfg"],
        "kubernetes.io/service-account-token" => {
            if new.pointer("/metadata/annotations/kubernetes.io~1service-account.name").is_none_or(|n| n == "") {
                causes.push(Cause::required("metadata.annotations[kubernetes.io/service-account.name]", ""));
            }
            &[]
        }
        _ => &[],
    };
    for key in needed.iter().filter(|key| new["data"].get(**key).is_none()) {
        causes.push(Cause::required(format!("data[{key}]"), ""));
    }
}

fn check_claim(old: Option<&Value>, new: &Value, causes: &mut Vec<Cause>) {
    let requested = |value: &Value| Quantity::member(&value["spec"]["resources"]["requests"], "storage");
    if new.pointer("/spec/resources/requests/storage").is_none() {
        causes.push(Cause::required("spec.resources[storage]", ""));
    } else if requested(new) <= Quantity::ZERO {
        let value = &new["spec"]["resources"]["requests"]["storage"];
        causes.push(Cause::invalid("spec.resources[storage]", value, "must be greater than zero"));
    }
    for mode in array(new, "/spec/accessModes") {
        if !matches!(mode.as_str(), Some("ReadWriteOnce" | "ReadOnlyMany" | "ReadWriteMany" | "ReadWriteOncePod")) {
            let accepted = ["ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"];
            causes.push(Cause::unsupported("spec.accessModes", mode, &accepted));
        }
    }
    let Some(old) = old else { return };
    // What binds a claim to a volume, and the class of one that had none, are filled in later.
    let fixed = |value: &Value| {
        let mut spec = value["spec"].clone();
        if let Value::Object(spec) = &mut spec {
            spec.remove("volumeAttributesClassName");
            if is_nothing(old["spec"].get("volumeName")) {
                spec.remove("volumeName");
            }
            if old["spec"].get("storageClassName").is_none() {
                spec.remove("storageClassName");
            }
            if let Some(Value::Object(resources)) = spec.get_mut("resources") {
                resources.remove("requests");
            }
        }
        spec
    };
    if fixed(old) != fixed(new) {
        let why = "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims";
        causes.push(Cause::forbidden("spec", why));
    }
    if requested(new) < requested(old) {
        causes.push(Cause::forbidden("spec.resources.requests.storage", "field can not be less than previous value"));
    }
}

fn check_ingress(new: &Value, causes: &mut Vec<Cause>) {
    let spec = &new["spec"];
    if array(spec, "/rules").is_empty() && !spec["defaultBackend"].is_object() {
        let why = "either `defaultBackend` or `rules` must be specified";
        causes.push(Cause::invalid("spec", &spec["rules"], why));
    }
    if spec["defaultBackend"].is_object() {
        check_backend(&spec["defaultBackend"], "spec.defaultBackend", causes);
    }
    for (at, rule) in array(spec, "/rules").iter().enumerate() {
        let host = text(rule, "/host");
        if !host.is_empty() {
            let syntax = if host.contains('*') { Syntax::Wildcard } else { Syntax::Subdomain };
            let path = format!("spec.rules[{at}].host");
            causes.extend(syntax.faults(host, false).iter().map(|fault| Cause::invalid(path.as_str(), &json!(host), fault)));
        }
        if rule["http"].is_object() && array(rule, "/http/paths").is_empty() {
            causes.push(Cause::required(format!("spec.rules[{at}].http.paths"), ""));
        }
        for (index, entry) in array(rule, "/http/paths").iter().enumerate() {
            let path = format!("spec.rules[{at}].http.paths[{index}]");
            match text(entry, "/pathType") {
                "" => {
                    causes.retain(|cause| cause.field != format!("{path}.pathType"));
                    causes.push(Cause::required(format!("{path}.pathType"), "pathType must be specified"));
                }
                "Exact" | "Prefix" if !text(entry, "/path").starts_with('/') => {
                    let field = format!("{path}.path");
                    causes.push(Cause::invalid(field, &json!(text(entry, "/path")), "must be an absolute path"));
                }
                _ => {}
            }
            check_backend(&entry["backend"], &format!("{path}.backend"), causes);
        }
    }
}

fn check_backend(backend: &Value, path: &str, causes: &mut Vec<Cause>) {
    match (backend["service"].is_object(), backend["resource"].is_object()) {
        (true, true) => causes.push(Cause::invalid(path, &json!(""), "cannot set both resource and service backends")),
        (false, false) => causes.push(Cause::invalid(path, &json!(""), "resource or service backend is required")),
        (false, true) => {}
        (true, false) => {
            let port = &backend["service"]["port"];
            match (text(port, "/name").is_empty(), number(port, "/number").unwrap_or(0) == 0) {
                (false, false) => causes.push(Cause::invalid(path, &json!(""), "cannot set both port name & port number")),
                (true, true) => causes.push(Cause::required(path, "port name or number is required")),
                _ => {}
            }
        }
    }
}

fn check_network_policy(new: &Value, causes: &mut Vec<Cause>) {
    for (direction, peers) in [("ingress", "from"), ("egress", "to")] {
        for (at, rule) in array(&new["spec"], &format!("/{direction}")).iter().enumerate() {
            for (index, peer) in array(rule, &format!("/{peers}")).iter().enumerate() {
                let path = format!("spec.{direction}[{at}].{peers}[{index}]");
                let (block, selectors) =
                    (peer["ipBlock"].is_object(), peer["podSelector"].is_object() || peer["namespaceSelector"].is_object());
                match (block, selectors) {
                    (true, true) => causes.push(Cause::forbidden(path, "may not specify both ipBlock and another peer")),
                    (false, false) => causes.push(Cause::required(path, "must specify a peer")),
                    _ => {}
                }
            }
        }
    }
    for (at, kind) in array(new, "/spec/policyTypes").iter().enumerate() {
        if !matches!(kind.as_str(), Some("Ingress" | "Egress")) {
            causes.push(Cause::unsupported(format!("spec.policyTypes[{at}]"), kind, &["Ingress", "Egress"]));
        }
    }
}

fn check_autoscaler(new: &Value, causes: &mut Vec<Cause>) {
    let most = number(new, "/spec/maxReplicas").unwrap_or(0);
    if most == 0 {
        causes.retain(|cause| cause.field != "spec.maxReplicas");
        causes.push(Cause::required("spec.maxReplicas", "must be set and greater than 0"));
    } else if number(new, "/spec/minReplicas").is_some_and(|least| most < least) {
        let why = "must be greater than or equal to `minReplicas`";
        causes.push(Cause::invalid("spec.maxReplicas", &json!(most), why));
    }
}

fn check_budget(new: &Value, causes: &mut Vec<Cause>) {
    let spec = &new["spec"];
    if !is_nothing(spec.get("minAvailable")) && !is_nothing(spec.get("maxUnavailable")) {
        causes.push(Cause::invalid("spec", spec, "minAvailable and maxUnavailable cannot be both set"));
    }
}

fn check_priority_class(old: Option<&Value>, new: &Value, causes: &mut Vec<Cause>) {
    let (name, value) = (text(new, "/metadata/name"), number(new, "/value").unwrap_or(0));
    let system = [("system-node-critical", 2_000_001_000), ("system-cluster-critical", 2_000_000_000)].contains(&(name, value));
    if name.starts_with("system-") && !system {
        let why = format!(
            "priority class names with 'system-' prefix are reserved for system use only. error: {name} is not a known system priority class"
        );
        causes.push(Cause::forbidden("metadata.name", &why));
    }
    if value > 1_000_000_000 && !system {
        causes.push(Cause::forbidden("value", "maximum allowed value of a user defined priority is 1000000000"));
    }
    if old.is_some_and(|old| number(old, "/value").unwrap_or(0) != value) {
        causes.push(Cause::forbidden("value", "may not be changed in an update."));
    }
}

/// Amounts of quotas and ranges are not below zero.
fn check_amounts(value: &Value, path: &str, causes: &mut Vec<Cause>) {
    let negative = |amount: &Value| Quantity::of(amount).is_ok_and(Quantity::is_negative);
    for (name, amount) in members(value, "hard").filter(|(_, amount)| negative(amount)) {
        let why = "must be greater than or equal to 0";
        causes.push(Cause::invalid(format!("{path}.hard[{name}]"), amount, why));
    }
    for (at, item) in array(value, "/limits").iter().enumerate() {
        let empty = Map::new();
        let most = item["max"].as_object().unwrap_or(&empty);
        for (name, least) in members(item, "min") {
            if let (Ok(least), Some(Ok(most))) = (Quantity::of(least), most.get(name).map(Quantity::of))
                && least > most
            {
                let why = format!("min value {least} is greater than max value {most}");
                causes.push(Cause::invalid(format!("{path}.limits[{at}].min[{name}]"), &json!(least.to_string()), &why));
            }
        }
    }
}

fn check_rbac(stored: &str, old: Option<&Value>, new: &Value, causes: &mut Vec<Cause>) {
    let namespaced = !stored.starts_with("cluster");
    for (at, rule) in array(new, "/rules").iter().enumerate() {
        check_rule(rule, namespaced, &format!("rules[{at}]"), causes);
    }
    if !stored.starts_with("rolebindings") && !stored.starts_with("clusterrolebindings") {
        return;
    }
    let role = &new["roleRef"];
    if text(role, "/apiGroup") != RBAC {
        causes.push(Cause::unsupported("roleRef.apiGroup", &json!(text(role, "/apiGroup")), &[RBAC]));
    }
    let kinds: &[&str] = if namespaced { &["Role", "ClusterRole"] } else { &["ClusterRole"] };
    if !kinds.contains(&text(role, "/kind")) {
        causes.retain(|cause| cause.field != "roleRef.kind");
        causes.push(Cause::unsupported("roleRef.kind", &json!(text(role, "/kind")), kinds));
    }
    for (at, subject) in array(new, "/subjects").iter().enumerate() {
        check_subject(subject, namespaced, &format!("subjects[{at}]"), causes);
    }
    if old.is_some_and(|old| old["roleRef"] != *role) {
        causes.push(Cause::invalid("roleRef", role, "cannot change roleRef"));
    }
}

fn check_rule(rule: &Value, namespaced: bool, path: &str, causes: &mut Vec<Cause>) {
    if !array(rule, "/nonResourceURLs").is_empty() {
        let field = format!("{path}.nonResourceURLs");
        if namespaced {
            let why = "namespaced rules cannot apply to non-resource URLs";
            causes.push(Cause::invalid(field.as_str(), &rule["nonResourceURLs"], why));
        }
        if !array(rule, "/apiGroups").is_empty() || !array(rule, "/resources").is_empty() {
            let why = "rules cannot apply to both regular resources and non-resource URLs";
            causes.push(Cause::invalid(field, &rule["nonResourceURLs"], why));
        }
        return;
    }
    for (field, why) in [
        ("apiGroups", "resource rules must supply at least one api group"),
        ("resources", "resource rules must supply at least one resource"),
    ] {
        if array(rule, &format!("/{field}")).is_empty() {
            causes.push(Cause::required(format!("{path}.{field}"), why));
        }
    }
}

fn check_subject(subject: &Value, namespaced: bool, path: &str, causes: &mut Vec<Cause>) {
    if text(subject, "/name").is_empty() {
        causes.push(Cause::required(format!("{path}.name"), ""));
    }
    let group = text(subject, "/apiGroup");
    let wanted = match text(subject, "/kind") {
        "ServiceAccount" => {
            // In a namespace it is one of that namespace unless it says otherwise.
            if !namespaced && text(subject, "/namespace").is_empty() {
                causes.push(Cause::required(format!("{path}.namespace"), ""));
            }
            ""
        }
        "User" | "Group" => RBAC,
        "" => return,
        other => {
            let accepted = ["ServiceAccount", "User", "Group"];
            causes.push(Cause::unsupported(format!("{path}.kind"), &json!(other), &accepted));
            return;
        }
    };
    if group != wanted {
        causes.push(Cause::unsupported(format!("{path}.apiGroup"), &json!(group), &[wanted]));
    }
}
