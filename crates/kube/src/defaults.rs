//! Defaults of built-in kinds.
//!
//! They belong to types, not to kinds: a probe gets the same ones in a pod as in the template of a CronJob. `data/defaults.json` has what
//! can be said as data; what is derived from other fields is here. Rules of upstream's `pkg/apis/*/v1/defaults.go`.

use std::collections::HashMap;
use std::sync::LazyLock;

use base64::Engine as _;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::quantity::Quantity;
use crate::resources::{Resource, Schema};
use crate::types::Type;
use crate::{crd, schema};

/// Defaults of a type that apply together.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rule {
    /// What members have to be: a value, one of several, `null` for what is not there, `true` for what is.
    #[serde(default)]
    when: Map<String, Value>,
    /// What members that are not there, or empty texts, become; objects are merged into those that are there.
    #[serde(default)]
    set: Map<String, Value>,
    #[serde(default)]
    unset: Vec<String>,
    /// Whether a zero is as good as nothing.
    #[serde(default)]
    zero: bool,
}

static RULES: LazyLock<HashMap<String, Vec<Rule>>> = LazyLock::new(|| {
    // The document is part of the program, and read by the tests below.
    serde_json::from_str(include_str!("../data/defaults.json")).expect("the defaults are readable")
});

/// Fills in what upstream's defaulting does, and writes quantities in their canonical form. Custom resources get the defaults of their
/// schema.
pub fn apply(value: &mut Value, resource: &Resource) {
    match &resource.schema {
        Schema::Custom(schema) => schema::default_by_schema(value, schema),
        Schema::BuiltIn(schema) => {
            let group = resource.group.split('.').next().filter(|g| !g.is_empty()).unwrap_or("core");
            let name = format!("{group}.{}.{}", resource.version, resource.kind);
            walk(value, schema, &name);
        }
    }
}

/// `io.k8s.api.core.v1.Container` as `core.v1.Container`.
fn short(definition: &str) -> &str {
    definition.rmatch_indices('.').nth(2).map_or(definition, |(at, _)| definition.get(at + 1..).unwrap_or(definition))
}

/// Outer types first, since they may make inner objects.
fn walk(value: &mut Value, schema: &Type, name: &str) {
    match value {
        Value::Object(members) => {
            for rule in RULES.get(name).into_iter().flatten() {
                follow(rule, members);
            }
            derive(name, members);
            for (member, value) in members {
                if let Some(property) = schema.property(member) {
                    inner(value, property);
                }
            }
        }
        Value::Array(items) => {
            let Some(schema) = &schema.items else { return };
            for item in items {
                inner(item, schema);
            }
        }
        Value::String(_) | Value::Number(_) if name == "api.resource.Quantity" => {
            if let Ok(quantity) = Quantity::of(value) {
                *value = json!(quantity.to_string());
            }
        }
        _ => {}
    }
}

fn inner(value: &mut Value, schema: &Type) {
    walk(value, schema.resolved(), schema.reference().map(short).unwrap_or_default());
}

fn is_missing(value: Option<&Value>, zero: bool) -> bool {
    match value {
        None | Some(Value::Null) => true,
        Some(Value::String(text)) => text.is_empty(),
        Some(Value::Array(items)) => items.is_empty(),
        Some(Value::Number(number)) => zero && number.as_i64() == Some(0),
        Some(_) => false,
    }
}

fn follow(rule: &Rule, members: &mut Map<String, Value>) {
    let holds = |(name, wanted): (&String, &Value)| match (members.get(name), wanted) {
        (given, Value::Null) => is_missing(given, false),
        (given, Value::Bool(true)) => !is_missing(given, false),
        (Some(given), Value::Array(several)) => several.contains(given),
        (given, wanted) => given == Some(wanted),
    };
    if !rule.when.iter().all(holds) {
        return;
    }
    for name in &rule.unset {
        members.remove(name);
    }
    merge(&rule.set, members, rule.zero);
}

fn merge(defaults: &Map<String, Value>, members: &mut Map<String, Value>, zero: bool) {
    for (name, default) in defaults {
        match (members.get_mut(name), default) {
            (Some(Value::Object(members)), Value::Object(defaults)) => merge(defaults, members, zero),
            (given, default) if is_missing(given.as_deref(), zero) => {
                members.insert(name.clone(), default.clone());
            }
            _ => {}
        }
    }
}

/// Defaults that follow from other fields.
fn derive(name: &str, members: &mut Map<String, Value>) {
    match name {
        "core.v1.Container" | "core.v1.EphemeralContainer" => pull_policy(members, "image", "imagePullPolicy"),
        "core.v1.ImageVolumeSource" => pull_policy(members, "reference", "pullPolicy"),
        "core.v1.Volume" if members.keys().all(|key| key == "name") => {
            members.insert("emptyDir".to_owned(), json!({}));
        }
        "core.v1.ServicePort" => {
            let given = members.get("targetPort");
            if is_missing(given, true) {
                let port = members.get("port").cloned().unwrap_or_default();
                members.insert("targetPort".to_owned(), port);
            }
        }
        "core.v1.Pod" => pod(members),
        "core.v1.Namespace" => name_label(members),
        "core.v1.Secret" => encode_texts(members),
        "core.v1.NodeStatus" => {
            if let (false, Some(capacity)) = (members.contains_key("allocatable"), members.get("capacity").cloned()) {
                members.insert("allocatable".to_owned(), capacity);
            }
        }
        "core.v1.LimitRangeItem" => limits(members),
        "core.v1.ReplicationController" => selector_of_template(members),
        "batch.v1.Job" => labels_of_template(members),
        "apiextensions.v1.CustomResourceDefinition" => crd::default_members(members),
        _ => {}
    }
}

/// Images without a tag, and those with the tag `latest`, are always pulled.
fn pull_policy(members: &mut Map<String, Value>, image: &str, policy: &str) {
    if is_missing(members.get(policy), false) {
        let image = members.get(image).and_then(Value::as_str).unwrap_or_default();
        let default = if is_latest(image) { "Always" } else { "IfNotPresent" };
        members.insert(policy.to_owned(), json!(default));
    }
}

fn is_latest(image: &str) -> bool {
    if image.is_empty() || image.contains('@') {
        return false;
    }
    let last = image.rsplit('/').next().unwrap_or(image);
    last.split_once(':').is_none_or(|(_, tag)| tag == "latest")
}

fn pod(members: &mut Map<String, Value>) {
    let Some(Value::Object(spec)) = members.get_mut("spec") else { return };
    let on_host = spec.get("hostNetwork") == Some(&json!(true));
    for list in ["containers", "initContainers"] {
        let Some(Value::Array(containers)) = spec.get_mut(list) else { continue };
        for container in containers {
            requests_of_limits(container);
            if !on_host {
                continue;
            }
            let Some(Value::Array(ports)) = container.get_mut("ports") else { continue };
            for port in ports.iter_mut().filter_map(Value::as_object_mut) {
                if is_missing(port.get("hostPort"), true)
                    && let Some(number) = port.get("containerPort").cloned()
                {
                    port.insert("hostPort".to_owned(), number);
                }
            }
        }
    }
}

/// What is limited is requested as well.
fn requests_of_limits(container: &mut Value) {
    let Some(Value::Object(limits)) = container.pointer("/resources/limits").cloned() else { return };
    let Some(Value::Object(resources)) = container.get_mut("resources") else { return };
    let requests = resources.entry("requests").or_insert_with(|| json!({}));
    if let Value::Object(requests) = requests {
        for (name, limit) in limits {
            requests.entry(name).or_insert(limit);
        }
    }
}

/// The label by which selectors of namespaces find one.
fn name_label(members: &mut Map<String, Value>) {
    let Some(Value::Object(metadata)) = members.get_mut("metadata") else { return };
    let Some(name) = metadata.get("name").filter(|name| !is_missing(Some(name), false)).cloned() else { return };
    let labels = metadata.entry("labels").or_insert_with(|| json!({}));
    if labels.is_null() {
        *labels = json!({});
    }
    if let Value::Object(labels) = labels {
        labels.insert("kubernetes.io/metadata.name".to_owned(), name);
    }
}

/// `stringData` is only written, never read.
fn encode_texts(members: &mut Map<String, Value>) {
    let Some(Value::Object(texts)) = members.remove("stringData") else { return };
    if texts.is_empty() {
        return;
    }
    let data = members.entry("data").or_insert_with(|| json!({}));
    if !data.is_object() {
        *data = json!({});
    }
    if let Value::Object(data) = data {
        for (name, text) in texts {
            let encoded = base64::engine::general_purpose::STANDARD.encode(text.as_str().unwrap_or_default());
            data.insert(name, json!(encoded));
        }
    }
}

/// Of containers: the limit is the most there may be, the request is the limit, or else the least.
fn limits(members: &mut Map<String, Value>) {
    if members.get("type").and_then(Value::as_str) != Some("Container") {
        return;
    }
    for (from, to) in [("max", "default"), ("default", "defaultRequest"), ("min", "defaultRequest")] {
        let Some(Value::Object(given)) = members.get(from).cloned() else { continue };
        let target = members.entry(to).or_insert_with(|| json!({}));
        if let Value::Object(target) = target {
            for (name, amount) in given {
                target.entry(name).or_insert(amount);
            }
        }
    }
}

fn labels_of_template(members: &mut Map<String, Value>) {
    let labels = members.get("spec").and_then(|spec| spec.pointer("/template/metadata/labels")).cloned();
    let Some(Value::Object(labels)) = labels.filter(|labels| labels.as_object().is_some_and(|l| !l.is_empty())) else { return };
    let Some(Value::Object(metadata)) = members.get_mut("metadata") else { return };
    if metadata.get("labels").and_then(Value::as_object).is_none_or(Map::is_empty) {
        metadata.insert("labels".to_owned(), Value::Object(labels));
    }
}

fn selector_of_template(members: &mut Map<String, Value>) {
    labels_of_template(members);
    let Some(spec) = members.get_mut("spec") else { return };
    let Some(labels) = spec.pointer("/template/metadata/labels").cloned() else { return };
    if let Value::Object(spec) = spec
        && spec.get("selector").and_then(Value::as_object).is_none_or(Map::is_empty)
    {
        spec.insert("selector".to_owned(), labels);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resources;
    use crate::types;

    fn defaulted(group: &str, version: &str, plural: &str, mut value: Value) -> Value {
        apply(&mut value, resources::find(group, version, plural).unwrap());
        value
    }

    #[test]
    fn every_rule_is_about_a_type_and_its_fields() {
        for (name, rules) in RULES.iter() {
            let definition = ["io.k8s.api.", "io.k8s.apiextensions-apiserver.pkg.apis.", "io.k8s.kube-aggregator.pkg.apis."]
                .iter()
                .find_map(|prefix| types::definitions().named(&format!("{prefix}{name}")));
            let definition = definition.unwrap_or_else(|| panic!("{name} is no type"));
            for rule in rules {
                for member in rule.set.keys().chain(rule.when.keys()) {
                    assert!(definition.properties.contains_key(member), "{name}.{member}");
                }
            }
        }
    }

    #[test]
    fn pods_get_the_defaults_that_clients_read() {
        let pod = defaulted(
            "",
            "v1",
            "pods",
            json!({"metadata": {"name": "p"}, "spec": {
                "containers": [{
                    "name": "a", "image": "nginx", "ports": [{"containerPort": 80}], "livenessProbe": {"httpGet": {"port": 80}, "timeoutSeconds": 0},
                    "resources": {"limits": {"cpu": "0.5", "memory": "1024Mi"}, "requests": {"memory": "1Mi"}},
                }],
                "volumes": [{"name": "v"}, {"name": "c", "configMap": {"name": "c"}}],
            }}),
        );
        let spec = &pod["spec"];
        assert_eq!(spec["restartPolicy"], "Always");
        assert_eq!(spec["terminationGracePeriodSeconds"], 30);
        assert_eq!(spec["securityContext"], json!({}));
        assert_eq!(spec["enableServiceLinks"], true);
        let container = &spec["containers"][0];
        assert_eq!(container["imagePullPolicy"], "Always");
        assert_eq!(container["ports"][0]["protocol"], "TCP");
        assert_eq!(container["livenessProbe"]["timeoutSeconds"], 1);
        assert_eq!(container["livenessProbe"]["httpGet"]["scheme"], "HTTP");
        assert_eq!(
            container["resources"],
            json!({"limits": {"cpu": "500m", "memory": "1Gi"}, "requests": {"cpu": "500m", "memory": "1Mi"}})
        );
        assert_eq!(spec["volumes"][0]["emptyDir"], json!({}));
        assert_eq!(spec["volumes"][1]["configMap"]["defaultMode"], 420);
    }

    #[test]
    fn images_are_always_pulled_if_their_tag_may_move() {
        for (image, policy) in [
            ("nginx", "Always"),
            ("nginx:latest", "Always"),
            ("nginx:1.27", "IfNotPresent"),
            ("icr.io:443/a/b", "Always"),
            ("icr.io/a@sha256:0", "IfNotPresent"),
        ] {
            let mut container = json!({"image": image}).as_object().unwrap().clone();
            pull_policy(&mut container, "image", "imagePullPolicy");
            assert_eq!(container["imagePullPolicy"], policy, "{image}");
        }
    }

    #[test]
    fn templates_get_the_defaults_of_pods_and_workloads_their_own() {
        let template = json!({"spec": {"containers": [{"name": "a", "image": "a:1"}]}});
        let deployment = defaulted("apps", "v1", "deployments", json!({"spec": {"template": template}}));
        assert_eq!(deployment["spec"]["replicas"], 1);
        assert_eq!(deployment["spec"]["strategy"]["rollingUpdate"], json!({"maxSurge": "25%", "maxUnavailable": "25%"}));
        assert_eq!(deployment["spec"]["template"]["spec"]["dnsPolicy"], "ClusterFirst");
        assert!(deployment["spec"]["template"]["spec"].get("enableServiceLinks").is_none(), "only pods themselves have it");
        let recreated =
            defaulted("apps", "v1", "deployments", json!({"spec": {"replicas": 0, "strategy": {"type": "Recreate"}}}));
        assert_eq!(recreated["spec"]["strategy"], json!({"type": "Recreate"}));
        assert_eq!(recreated["spec"]["replicas"], 0);
        let set = defaulted("apps", "v1", "statefulsets", json!({"spec": {"template": template}}));
        assert_eq!(set["spec"]["updateStrategy"], json!({"type": "RollingUpdate", "rollingUpdate": {"partition": 0}}));
        let job = defaulted(
            "batch",
            "v1",
            "jobs",
            json!({"metadata": {}, "spec": {
                "parallelism": 2, "template": {"metadata": {"labels": {"a": "b"}}},
            }}),
        );
        assert!(job["spec"].get("completions").is_none());
        assert_eq!((&job["spec"]["backoffLimit"], &job["metadata"]["labels"]), (&json!(6), &json!({"a": "b"})));
        let cron = defaulted("batch", "v1", "cronjobs", json!({"spec": {"jobTemplate": {"spec": {"template": template}}}}));
        assert_eq!(cron["spec"]["jobTemplate"]["spec"]["completions"], 1);
        assert_eq!(cron["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"][0]["imagePullPolicy"], "IfNotPresent");
    }

    #[test]
    fn other_kinds_get_theirs() {
        let service = defaulted("", "v1", "services", json!({"spec": {"type": "LoadBalancer", "ports": [{"port": 80}]}}));
        assert_eq!(service["spec"]["ports"][0], json!({"port": 80, "protocol": "TCP", "targetPort": 80}));
        assert_eq!(service["spec"]["externalTrafficPolicy"], "Cluster");
        assert_eq!(service["spec"]["allocateLoadBalancerNodePorts"], true);
        let secret = defaulted("", "v1", "secrets", json!({"stringData": {"a": "b"}, "data": {"c": "ZA=="}}));
        assert_eq!(secret, json!({"type": "Opaque", "data": {"a": "Yg==", "c": "ZA=="}}));
        let policy = defaulted("networking.k8s.io", "v1", "networkpolicies", json!({"spec": {"egress": [{}]}}));
        assert_eq!(policy["spec"]["policyTypes"], json!(["Ingress", "Egress"]));
        let binding = defaulted(
            "rbac.authorization.k8s.io",
            "v1",
            "rolebindings",
            json!({
                "subjects": [{"kind": "User", "name": "u"}, {"kind": "ServiceAccount", "name": "s", "namespace": "n"}],
                "roleRef": {"kind": "Role", "name": "r"},
            }),
        );
        assert_eq!(binding["roleRef"]["apiGroup"], "rbac.authorization.k8s.io");
        assert_eq!(binding["subjects"][0]["apiGroup"], "rbac.authorization.k8s.io");
        assert!(binding["subjects"][1].get("apiGroup").is_none());
        let namespace = defaulted("", "v1", "namespaces", json!({"metadata": {"name": "n"}}));
        assert_eq!(namespace["metadata"]["labels"], json!({"kubernetes.io/metadata.name": "n"}));
        let claim =
            defaulted("", "v1", "persistentvolumeclaims", json!({"spec": {"resources": {"requests": {"storage": "1024Mi"}}}}));
        assert_eq!(claim["spec"]["resources"]["requests"]["storage"], "1Gi");
        let range = defaulted("", "v1", "limitranges", json!({"spec": {"limits": [{"type": "Container", "max": {"cpu": 1}}]}}));
        assert_eq!(range["spec"]["limits"][0]["defaultRequest"], json!({"cpu": "1"}));
    }
}
