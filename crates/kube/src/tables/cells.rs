//! What stands in cells that are more than a field.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::age::{human_duration, since};
use crate::object::{array, number, text};
use crate::selectors::LabelSelector;

/// A text, or something else if it is empty.
fn or<'a>(text: &'a str, otherwise: &'a str) -> &'a str {
    if text.is_empty() { otherwise } else { text }
}

/// The first of several texts that is not empty.
fn first<'a>(object: &'a Value, pointers: &[&str]) -> &'a str {
    pointers.iter().map(|pointer| text(object, pointer)).find(|t| !t.is_empty()).unwrap_or_default()
}

fn joined<'a>(texts: impl Iterator<Item = &'a str>, separator: &str) -> String {
    texts.collect::<Vec<_>>().join(separator)
}

/// Up to `most` of a list, and how many more there are.
fn limited(list: &[String], most: usize, otherwise: &str) -> Value {
    let shown = list.get(..most.min(list.len())).unwrap_or_default().join(",");
    json!(match list.len().saturating_sub(most) {
        0 => or(&shown, otherwise).to_owned(),
        more => format!("{shown} + {more} more..."),
    })
}

/// A number or a text as text.
fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn is_true(object: &Value, conditions: &str, kind: &str) -> bool {
    array(object, conditions).iter().any(|c| c["type"] == kind && c["status"] == "True")
}

// Workloads.

/// The template of a CronJob's pods is further down than that of others.
fn template(object: &Value) -> &Value {
    let places = ["/spec/template", "/spec/jobTemplate/spec/template", "/template"];
    places.iter().find_map(|place| object.pointer(place)).unwrap_or(&Value::Null)
}

pub fn containers(object: &Value, _now: Timestamp) -> Value {
    json!(joined(array(template(object), "/spec/containers").iter().map(|c| text(c, "/name")), ","))
}

pub fn images(object: &Value, _now: Timestamp) -> Value {
    json!(joined(array(template(object), "/spec/containers").iter().map(|c| text(c, "/image")), ","))
}

fn labels(labels: Option<&Map<String, Value>>) -> Value {
    let told = labels.map(|labels| LabelSelector::of_labels(labels).to_string()).unwrap_or_default();
    json!(or(&told, "<none>"))
}

fn label_selector(selector: &Value) -> Value {
    match LabelSelector::of(selector) {
        Ok(selector) => json!(or(&selector.to_string(), "<none>")),
        Err(_) => json!("<error>"),
    }
}

pub fn selector(object: &Value, _now: Timestamp) -> Value {
    if matches!(text(object, "/kind"), "Service" | "ReplicationController") {
        return labels(object.pointer("/spec/selector").and_then(Value::as_object));
    }
    let places = ["/spec/selector", "/spec/jobTemplate/spec/selector"];
    label_selector(places.iter().find_map(|place| object.pointer(place)).unwrap_or(&Value::Null))
}

pub fn pod_selector(object: &Value, _now: Timestamp) -> Value {
    label_selector(object.pointer("/spec/podSelector").unwrap_or(&json!({})))
}

pub fn pod_labels(object: &Value, _now: Timestamp) -> Value {
    labels(template(object).pointer("/metadata/labels").and_then(Value::as_object))
}

pub fn node_selector(object: &Value, _now: Timestamp) -> Value {
    labels(template(object).pointer("/spec/nodeSelector").and_then(Value::as_object))
}

pub fn replicas(object: &Value, _now: Timestamp) -> Value {
    let of = |pointer| number(object, pointer).unwrap_or_default();
    json!(format!("{}/{}", of("/status/readyReplicas"), of("/spec/replicas")))
}

pub fn controller(object: &Value, _now: Timestamp) -> Value {
    let Some(owner) = array(object, "/metadata/ownerReferences").iter().find(|o| o["controller"] == true) else {
        return json!("<none>");
    };
    let kind = text(owner, "/kind").to_lowercase();
    json!(match text(owner, "/apiVersion").split_once('/') {
        Some((group, _)) => format!("{kind}.{group}/{}", text(owner, "/name")),
        None => format!("{kind}/{}", text(owner, "/name")),
    })
}

pub fn job_status(job: &Value, _now: Timestamp) -> Value {
    let is = |kind| is_true(job, "/status/conditions", kind);
    json!(match () {
        () if is("Complete") => "Complete",
        () if is("Failed") => "Failed",
        () if !job["metadata"]["deletionTimestamp"].is_null() => "Terminating",
        () if is("Suspended") => "Suspended",
        () if is("FailureTarget") => "FailureTarget",
        () if is("SuccessCriteriaMet") => "SuccessCriteriaMet",
        () => "Running",
    })
}

pub fn job_completions(job: &Value, _now: Timestamp) -> Value {
    let succeeded = number(job, "/status/succeeded").unwrap_or_default();
    json!(match (number(job, "/spec/completions"), number(job, "/spec/parallelism").unwrap_or_default()) {
        (Some(completions), _) => format!("{succeeded}/{completions}"),
        (None, parallelism) if parallelism > 1 => format!("{succeeded}/1 of {parallelism}"),
        (None, _) => format!("{succeeded}/1"),
    })
}

pub fn job_duration(job: &Value, now: Timestamp) -> Value {
    let Ok(start) = text(job, "/status/startTime").parse::<Timestamp>() else { return json!("") };
    let end = text(job, "/status/completionTime").parse().unwrap_or(now);
    json!(human_duration(end.duration_since(start)))
}

pub fn suspended(job: &Value, _now: Timestamp) -> Value {
    json!(match job.pointer("/spec/suspend").and_then(Value::as_bool) {
        Some(true) => "True",
        Some(false) => "False",
        None => "<unset>",
    })
}

pub fn minimum_available(budget: &Value, _now: Timestamp) -> Value {
    json!(budget.pointer("/spec/minAvailable").map_or("N/A".to_owned(), plain))
}

pub fn maximum_unavailable(budget: &Value, _now: Timestamp) -> Value {
    json!(budget.pointer("/spec/maxUnavailable").map_or("N/A".to_owned(), plain))
}

// Autoscalers.

pub fn scale_target(scaler: &Value, _now: Timestamp) -> Value {
    json!(format!("{}/{}", text(scaler, "/spec/scaleTargetRef/kind"), text(scaler, "/spec/scaleTargetRef/name")))
}

pub fn scale_minimum(scaler: &Value, _now: Timestamp) -> Value {
    json!(number(scaler, "/spec/minReplicas").map_or("<unset>".to_owned(), |n| n.to_string()))
}

pub fn scale_metrics(scaler: &Value, _now: Timestamp) -> Value {
    // The first version knows the share of the processor only, and of what else there is in annotations.
    if let Some(target) = number(scaler, "/spec/targetCPUUtilizationPercentage") {
        let current = number(scaler, "/status/currentCPUUtilizationPercentage");
        return json!(format!("cpu: {}/{target}%", current.map_or("<unknown>".to_owned(), |c| format!("{c}%"))));
    }
    let metrics = array(scaler, "/spec/metrics");
    if metrics.is_empty() {
        return json!("<none>");
    }
    let statuses = array(scaler, "/status/currentMetrics");
    let shown: Vec<_> = metrics.iter().take(2).enumerate().map(|(i, metric)| scale_metric(metric, statuses.get(i))).collect();
    let shown = shown.join(", ");
    json!(if metrics.len() > 2 { format!("{shown} + {} more...", metrics.len() - 2) } else { shown })
}

/// `cpu: 10%/80%`, `3/10 (avg)`.
fn scale_metric(metric: &Value, status: Option<&Value>) -> String {
    let kind = text(metric, "/type");
    let (member, resource) = match kind {
        "Resource" => ("resource", true),
        "ContainerResource" => ("containerResource", true),
        "Pods" => ("pods", false),
        "Object" => ("object", false),
        "External" => ("external", false),
        _ => return "<unknown type>".to_owned(),
    };
    let target = &metric[member]["target"];
    let (field, unit, note) = match (resource, target["averageValue"].is_null()) {
        (true, true) => ("averageUtilization", "%", ""),
        (false, true) => ("value", "", ""),
        (false, false) if kind != "Pods" => ("averageValue", "", " (avg)"),
        (_, false) => ("averageValue", "", ""),
    };
    let told = |value: Option<&Value>, otherwise: &str| match value {
        None | Some(Value::Null) => otherwise.to_owned(),
        Some(value) => format!("{}{unit}", plain(value)),
    };
    let current = told(status.map(|s| &s[member]["current"][field]), "<unknown>");
    let target = told(Some(&target[field]), "<auto>");
    let name = if resource { format!("{}: ", text(&metric[member], "/name")) } else { String::new() };
    format!("{name}{current}/{target}{note}")
}

// Networks.

pub fn cluster_ip(service: &Value, _now: Timestamp) -> Value {
    json!(or(first(service, &["/spec/clusterIPs/0", "/spec/clusterIP"]), "<none>"))
}

/// Addresses of a load balancer, sorted.
fn ingress_points(object: &Value) -> Vec<&str> {
    let points = array(object, "/status/loadBalancer/ingress").iter();
    let mut points: Vec<_> = points.map(|p| first(p, &["/ip", "/hostname"])).filter(|p| !p.is_empty()).collect();
    points.sort_unstable();
    points.dedup();
    points
}

pub fn load_balancer(object: &Value, _now: Timestamp) -> Value {
    json!(ingress_points(object).join(","))
}

pub fn external_ip(service: &Value, _now: Timestamp) -> Value {
    let external = array(service, "/spec/externalIPs").iter().filter_map(Value::as_str);
    let (points, otherwise) = match text(service, "/spec/type") {
        "ClusterIP" | "NodePort" => (Vec::new(), "<none>"),
        "LoadBalancer" => (ingress_points(service), "<pending>"),
        "ExternalName" => return json!(text(service, "/spec/externalName")),
        _ => return json!("<unknown>"),
    };
    json!(or(&joined(points.into_iter().chain(external), ","), otherwise))
}

pub fn service_ports(service: &Value, _now: Timestamp) -> Value {
    let port = |port: &Value| {
        let (number, protocol) = (&port["port"], text(port, "/protocol"));
        match port["nodePort"].as_i64() {
            Some(node) if node > 0 => format!("{number}:{node}/{protocol}"),
            _ => format!("{number}/{protocol}"),
        }
    };
    let ports: Vec<_> = array(service, "/spec/ports").iter().map(port).collect();
    json!(or(&ports.join(","), "<none>"))
}

pub fn endpoints(object: &Value, _now: Timestamp) -> Value {
    let subsets = array(object, "/subsets");
    let mut list = Vec::new();
    for subset in subsets {
        let ports = array(subset, "/ports");
        let addresses = || array(subset, "/addresses").iter().map(|address| text(address, "/ip"));
        if ports.is_empty() {
            list.extend(addresses().map(str::to_owned));
        }
        for port in ports {
            list.extend(addresses().map(|ip| match ip.contains(':') {
                true => format!("[{ip}]:{}", port["port"]),
                false => format!("{ip}:{}", port["port"]),
            }));
        }
    }
    limited(&list, 3, if subsets.is_empty() { "<none>" } else { "" })
}

pub fn slice_ports(slice: &Value, _now: Timestamp) -> Value {
    let port = |port: &Value| match (number(port, "/port"), text(port, "/name")) {
        (Some(number), _) => number.to_string(),
        (None, "") => "*".to_owned(),
        (None, name) => name.to_owned(),
    };
    limited(&array(slice, "/ports").iter().map(port).collect::<Vec<_>>(), 3, "<unset>")
}

pub fn slice_endpoints(slice: &Value, _now: Timestamp) -> Value {
    let addresses = array(slice, "/endpoints").iter().flat_map(|endpoint| array(endpoint, "/addresses"));
    limited(&addresses.map(plain).collect::<Vec<_>>(), 3, "<unset>")
}

pub fn ingress_hosts(ingress: &Value, _now: Timestamp) -> Value {
    let rules = array(ingress, "/spec/rules");
    // Those without a host count as well, once there are more than three.
    let shown: Vec<_> = rules.iter().map(|rule| text(rule, "/host")).filter(|host| !host.is_empty()).take(3).collect();
    let told = or(&shown.join(","), "*").to_owned();
    json!(if shown.len() == 3 && rules.len() > 3 { format!("{told} + {} more...", rules.len() - 3) } else { told })
}

pub fn ingress_ports(ingress: &Value, _now: Timestamp) -> Value {
    json!(if array(ingress, "/spec/tls").is_empty() { "80" } else { "80, 443" })
}

pub fn ingress_parameters(class: &Value, _now: Timestamp) -> Value {
    let parameters = &class["spec"]["parameters"];
    if parameters.is_null() {
        return json!("<none>");
    }
    let group = text(parameters, "/apiGroup");
    let dot = if group.is_empty() { "" } else { "." };
    json!(format!("{}{dot}{group}/{}", text(parameters, "/kind"), text(parameters, "/name")))
}

pub fn cidrs(object: &Value, _now: Timestamp) -> Value {
    json!(joined(array(object, "/spec/cidrs").iter().filter_map(Value::as_str), ","))
}

pub fn parent(object: &Value, _now: Timestamp) -> Value {
    let parent = &object["spec"]["parentRef"];
    if parent.is_null() {
        return json!("<none>");
    }
    let group = text(parent, "/group");
    let resource = if group.is_empty() { String::new() } else { format!(".{group}") };
    let resource = format!("{}{resource}", text(parent, "/resource")).to_lowercase();
    let place = [&resource, text(parent, "/namespace"), text(parent, "/name")];
    json!(joined(place.into_iter().filter(|p| !p.is_empty()), "/"))
}

// Nodes.

pub fn node_status(node: &Value, _now: Timestamp) -> Value {
    let ready = array(node, "/status/conditions").iter().find(|c| c["type"] == "Ready");
    let status = ready.map_or("Unknown", |c| if c["status"] == "True" { "Ready" } else { "NotReady" });
    let cordoned = node["spec"]["unschedulable"] == true;
    json!(if cordoned { format!("{status},SchedulingDisabled") } else { status.to_owned() })
}

pub fn node_roles(node: &Value, _now: Timestamp) -> Value {
    let labels = node.pointer("/metadata/labels").and_then(Value::as_object).into_iter().flatten();
    let role = |(key, value): (&'_ String, &'_ Value)| match key.strip_prefix("node-role.kubernetes.io/") {
        Some(role) => Some(role.to_owned()),
        None if key == "kubernetes.io/role" => value.as_str().map(str::to_owned),
        None => None,
    };
    let mut roles: Vec<_> = labels.filter_map(role).filter(|role| !role.is_empty()).collect();
    roles.sort();
    roles.dedup();
    json!(or(&roles.join(","), "<none>"))
}

fn address(node: &Value, kind: &str) -> Value {
    let address = array(node, "/status/addresses").iter().find(|a| a["type"] == kind);
    json!(address.map_or("<none>", |a| text(a, "/address")))
}

pub fn internal_address(node: &Value, _now: Timestamp) -> Value {
    address(node, "InternalIP")
}

pub fn external_address(node: &Value, _now: Timestamp) -> Value {
    address(node, "ExternalIP")
}

pub fn kernel(node: &Value, _now: Timestamp) -> Value {
    let version = or(text(node, "/status/nodeInfo/kernelVersion"), "<unknown>");
    json!(match text(node, "/status/nodeInfo/architecture") {
        "" => version.to_owned(),
        architecture => format!("{version} ({architecture})"),
    })
}

pub fn component_status(component: &Value, _now: Timestamp) -> Value {
    let healthy = array(component, "/conditions").iter().find(|c| c["type"] == "Healthy");
    json!(healthy.map_or("Unknown", |c| if c["status"] == "True" { "Healthy" } else { "Unhealthy" }))
}

// Events, in the form of either group.

fn event_first(event: &Value) -> &str {
    first(event, &["/firstTimestamp", "/deprecatedFirstTimestamp", "/eventTime"])
}

pub fn event_first_seen(event: &Value, now: Timestamp) -> Value {
    json!(since(event_first(event), now))
}

pub fn event_last_seen(event: &Value, now: Timestamp) -> Value {
    let last = first(event, &["/series/lastObservedTime", "/lastTimestamp", "/deprecatedLastTimestamp"]);
    json!(since(or(last, event_first(event)), now))
}

pub fn event_count(event: &Value, _now: Timestamp) -> Value {
    let counts = ["/series/count", "/count", "/deprecatedCount"];
    json!(counts.iter().filter_map(|pointer| number(event, pointer)).find(|count| *count > 0).unwrap_or(1))
}

pub fn event_object(event: &Value, _now: Timestamp) -> Value {
    let kind = first(event, &["/involvedObject/kind", "/regarding/kind"]).to_lowercase();
    json!(match first(event, &["/involvedObject/name", "/regarding/name"]) {
        "" => kind,
        name => format!("{kind}/{name}"),
    })
}

pub fn event_subobject(event: &Value, _now: Timestamp) -> Value {
    json!(first(event, &["/involvedObject/fieldPath", "/regarding/fieldPath"]))
}

pub fn event_source(event: &Value, _now: Timestamp) -> Value {
    let component = ["/source/component", "/deprecatedSource/component", "/reportingComponent", "/reportingController"];
    let instance = ["/source/host", "/deprecatedSource/host", "/reportingInstance"];
    json!(match (first(event, &component), first(event, &instance)) {
        (component, "") => component.to_owned(),
        (component, instance) => format!("{component}, {instance}"),
    })
}

pub fn event_message(event: &Value, _now: Timestamp) -> Value {
    json!(first(event, &["/message", "/note"]).trim())
}

// Storage.

pub fn phase(object: &Value, _now: Timestamp) -> Value {
    let ends = !object["metadata"]["deletionTimestamp"].is_null();
    json!(if ends { "Terminating" } else { text(object, "/status/phase") })
}

fn access_modes(object: &Value, pointer: &str) -> Value {
    let modes = array(object, pointer);
    let known = [("ReadWriteOnce", "RWO"), ("ReadOnlyMany", "ROX"), ("ReadWriteMany", "RWX"), ("ReadWriteOncePod", "RWOP")];
    json!(joined(known.into_iter().filter(|(mode, _)| modes.iter().any(|m| m == mode)).map(|(_, short)| short), ","))
}

pub fn volume_modes(volume: &Value, _now: Timestamp) -> Value {
    access_modes(volume, "/spec/accessModes")
}

fn is_bound(claim: &Value) -> bool {
    !text(claim, "/spec/volumeName").is_empty()
}

pub fn claim_modes(claim: &Value, _now: Timestamp) -> Value {
    if is_bound(claim) { access_modes(claim, "/status/accessModes") } else { json!("") }
}

pub fn claim_capacity(claim: &Value, _now: Timestamp) -> Value {
    json!(if is_bound(claim) { or(text(claim, "/status/capacity/storage"), "0") } else { "" })
}

pub fn claim(volume: &Value, _now: Timestamp) -> Value {
    let claim = &volume["spec"]["claimRef"];
    json!(if claim.is_null() { String::new() } else { format!("{}/{}", text(claim, "/namespace"), text(claim, "/name")) })
}

pub fn storage_class(object: &Value, _now: Timestamp) -> Value {
    json!(first(object, &["/metadata/annotations/volume.beta.kubernetes.io~1storage-class", "/spec/storageClassName"]))
}

/// Classes of which one is the default.
pub fn name_of_default(class: &Value, _now: Timestamp) -> Value {
    let annotations = &class["metadata"]["annotations"];
    let marks: &[&str] = match text(class, "/kind") {
        "IngressClass" => &["ingressclass.kubernetes.io/is-default-class"],
        _ => &["storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class"],
    };
    let name = text(class, "/metadata/name");
    let is_default = marks.iter().any(|mark| annotations[*mark] == "true");
    json!(if is_default { format!("{name} (default)") } else { name.to_owned() })
}

pub fn token_requests(driver: &Value, _now: Timestamp) -> Value {
    json!(match driver.pointer("/spec/tokenRequests") {
        None => "<unset>".to_owned(),
        Some(_) => joined(array(driver, "/spec/tokenRequests").iter().map(|t| text(t, "/audience")), ","),
    })
}

pub fn lifecycle_modes(driver: &Value, _now: Timestamp) -> Value {
    let modes = array(driver, "/spec/volumeLifecycleModes").iter().filter_map(Value::as_str);
    json!(or(&joined(modes, ","), "<none>"))
}

// Quotas, roles and policies.

fn quota(quota: &Value, limits: bool) -> Value {
    let hard = quota.pointer("/status/hard").and_then(Value::as_object).into_iter().flatten();
    let told = hard.filter(|(name, _)| name.starts_with("limits.") == limits).map(|(name, hard)| {
        let used = quota["status"]["used"].get(name).map_or("0".to_owned(), plain);
        format!("{name}: {used}/{}", plain(hard))
    });
    let mut told: Vec<_> = told.collect();
    told.sort();
    json!(told.join(", "))
}

pub fn quota_requests(object: &Value, _now: Timestamp) -> Value {
    quota(object, false)
}

pub fn quota_limits(object: &Value, _now: Timestamp) -> Value {
    quota(object, true)
}

pub fn role(binding: &Value, _now: Timestamp) -> Value {
    json!(format!("{}/{}", text(binding, "/roleRef/kind"), text(binding, "/roleRef/name")))
}

fn subjects(binding: &Value, kind: &str) -> Value {
    let told = array(binding, "/subjects").iter().filter(|s| s["kind"] == kind).map(|s| match kind {
        "ServiceAccount" => format!("{}/{}", text(s, "/namespace"), text(s, "/name")),
        _ => text(s, "/name").to_owned(),
    });
    json!(told.collect::<Vec<_>>().join(", "))
}

pub fn users(binding: &Value, _now: Timestamp) -> Value {
    subjects(binding, "User")
}

pub fn groups(binding: &Value, _now: Timestamp) -> Value {
    subjects(binding, "Group")
}

pub fn service_accounts(binding: &Value, _now: Timestamp) -> Value {
    subjects(binding, "ServiceAccount")
}

pub fn parameter_kind(policy: &Value, _now: Timestamp) -> Value {
    let kind = &policy["spec"]["paramKind"];
    json!(if kind.is_null() { "<unset>".to_owned() } else { format!("{}/{}", text(kind, "/apiVersion"), text(kind, "/kind")) })
}

pub fn parameter(binding: &Value, _now: Timestamp) -> Value {
    let parameter = &binding["spec"]["paramRef"];
    json!(match (text(parameter, "/name"), text(parameter, "/namespace")) {
        ("", _) if parameter["selector"].is_object() => plain(&label_selector(&parameter["selector"])),
        ("", _) => "<unset>".to_owned(),
        (name, namespace) => format!("{}/{name}", or(namespace, "*")),
    })
}

pub fn api_service(object: &Value, _now: Timestamp) -> Value {
    let service = &object["spec"]["service"];
    json!(if service.is_null() {
        "Local".to_owned()
    } else {
        format!("{}/{}", text(service, "/namespace"), text(service, "/name"))
    })
}

pub fn api_available(object: &Value, _now: Timestamp) -> Value {
    let available = array(object, "/status/conditions").iter().find(|c| c["type"] == "Available");
    json!(available.map_or("Unknown".to_owned(), |c| match (text(c, "/status"), text(c, "/reason")) {
        ("True", _) | (_, "") => text(c, "/status").to_owned(),
        (status, reason) => format!("{status} ({reason})"),
    }))
}
