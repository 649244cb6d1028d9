use serde_json::json;

use super::*;
use crate::{defaults, resources};

/// The causes of an object that was defaulted before.
fn told(group: &str, version: &str, plural: &str, old: Option<Value>, mut new: Value) -> Vec<String> {
    let resource = resources::find(group, version, plural).unwrap();
    defaults::apply(&mut new, resource);
    let old = old.map(|mut old| {
        defaults::apply(&mut old, resource);
        old
    });
    let causes = object(resource, "", old.as_ref(), &new);
    causes.into_iter().map(|cause| format!("{}: {}", cause.field, cause.message)).collect()
}

fn template() -> Value {
    json!({"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i:1"}]}})
}

fn deployment() -> Value {
    json!({"metadata": {"name": "d"}, "spec": {"selector": {"matchLabels": {"a": "b"}}, "template": template()}})
}

fn changed(mut value: Value, pointer: &str, to: Value) -> Value {
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    value.pointer_mut(parent).unwrap()[name] = to;
    value
}

#[test]
fn what_is_right_is_not_judged() {
    for (group, version, plural, object) in [
        ("apps", "v1", "deployments", deployment()),
        ("apps", "v1", "daemonsets", deployment()),
        ("apps", "v1", "statefulsets", deployment()),
        ("", "v1", "pods", json!({"metadata": {"generateName": "p-", "name": "p-x"}, "spec": template()["spec"]})),
        ("", "v1", "services", json!({"metadata": {"name": "s"}, "spec": {"ports": [{"port": 80}]}})),
        ("", "v1", "configmaps", json!({"metadata": {"name": "c"}, "data": {"a.b": "c"}})),
        ("", "v1", "namespaces", json!({"metadata": {"name": "n"}})),
        (
            "",
            "v1",
            "persistentvolumeclaims",
            json!({"metadata": {"name": "c"}, "spec": {
            "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}}),
        ),
        (
            "batch",
            "v1",
            "jobs",
            json!({"metadata": {"name": "j"}, "spec": {"template": changed(template(), "/spec/restartPolicy", json!("Never"))}}),
        ),
        (
            "networking.k8s.io",
            "v1",
            "ingresses",
            json!({"metadata": {"name": "i"}, "spec": {"rules": [{"host": "a.b", "http": {"paths": [
            {"path": "/", "pathType": "Prefix", "backend": {"service": {"name": "s", "port": {"number": 80}}}}]}}]}}),
        ),
        ("networking.k8s.io", "v1", "networkpolicies", json!({"metadata": {"name": "p"}, "spec": {"podSelector": {}}})),
        (
            "rbac.authorization.k8s.io",
            "v1",
            "roles",
            json!({"metadata": {"name": "a:b"}, "rules": [
            {"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]}),
        ),
        (
            "autoscaling",
            "v2",
            "horizontalpodautoscalers",
            json!({"metadata": {"name": "h"}, "spec": {
            "maxReplicas": 3, "scaleTargetRef": {"kind": "Deployment", "name": "d", "apiVersion": "apps/v1"}}}),
        ),
        (
            "policy",
            "v1",
            "poddisruptionbudgets",
            json!({"metadata": {"name": "b"}, "spec": {"minAvailable": 1, "selector": {}}}),
        ),
        ("scheduling.k8s.io", "v1", "priorityclasses", json!({"metadata": {"name": "p"}, "value": 5})),
        ("storage.k8s.io", "v1", "storageclasses", json!({"metadata": {"name": "s"}, "provisioner": "p"})),
        ("coordination.k8s.io", "v1", "leases", json!({"metadata": {"name": "l"}, "spec": {}})),
        ("", "v1", "serviceaccounts", json!({"metadata": {"name": "s"}})),
        ("", "v1", "nodes", json!({"metadata": {"name": "10.0.0.1"}, "spec": {}})),
        ("", "v1", "events", json!({"metadata": {"name": "e.1"}, "involvedObject": {}})),
    ] {
        assert_eq!(told(group, version, plural, None, object), [""; 0], "{plural}");
    }
}

#[test]
fn what_users_get_wrong_is_told_as_they_know_it() {
    let of = |pointer: &str, to: Value| told("apps", "v1", "deployments", None, changed(deployment(), pointer, to));
    let container = |field: &str, to: Value| of(&format!("/spec/template/spec/containers/0/{field}"), to);
    let place = "spec.template.spec.containers[0]";
    let cases = [
        (
            of("/spec/template/metadata/labels", json!({"x": "y"})),
            "spec.template.metadata.labels: Invalid value: {\"x\":\"y\"}: `selector` does not match template `labels`"
                .to_owned(),
        ),
        (
            of("/spec/selector", json!({})),
            "spec.selector: Invalid value: {}: empty selector is invalid for deployment".to_owned(),
        ),
        (of("/spec/replicas", json!(-1)), "spec.replicas: Invalid value: -1: must be greater than or equal to 0".to_owned()),
        (of("/spec/template/spec/containers", json!([])), "spec.template.spec.containers: Required value".to_owned()),
        (
            of("/spec/template/spec/restartPolicy", json!("Never")),
            "spec.template.spec.restartPolicy: Unsupported value: \"Never\": supported values: \"Always\"".to_owned(),
        ),
        (container("name", json!("")), format!("{place}.name: Required value")),
        (container("image", json!("")), format!("{place}.image: Required value")),
        (
            container("imagePullPolicy", json!("Sometimes")),
            format!(
                "{place}.imagePullPolicy: Unsupported value: \"Sometimes\": supported values: \"Always\", \"IfNotPresent\", \"Never\""
            ),
        ),
        (
            container("ports", json!([{"containerPort": 70000}])),
            format!("{place}.ports[0].containerPort: Invalid value: 70000: must be between 1 and 65535, inclusive"),
        ),
        (container("ports", json!([{"name": "http"}])), format!("{place}.ports[0].containerPort: Required value")),
        (
            container("volumeMounts", json!([{"name": "v", "mountPath": "/v"}])),
            format!("{place}.volumeMounts[0].name: Not found: \"v\""),
        ),
        (
            container("env", json!([{"name": "a=b"}])),
            format!(
                "{place}.env[0].name: Invalid value: \"a=b\": a valid environment variable name must consist only of printable ASCII characters other than '='"
            ),
        ),
        (
            container("resources", json!({"limits": {"cpu": "1"}, "requests": {"cpu": "2"}})),
            format!("{place}.resources.requests: Invalid value: \"2\": must be less than or equal to cpu limit of 1"),
        ),
        (container("livenessProbe", json!({})), format!("{place}.livenessProbe: Required value: must specify a handler type")),
        (
            of("/spec/strategy", json!({"rollingUpdate": {"maxSurge": 0, "maxUnavailable": 0}})),
            "spec.strategy.rollingUpdate.maxUnavailable: Invalid value: 0: may not be 0 when `maxSurge` is 0".to_owned(),
        ),
    ];
    for (causes, told) in cases {
        assert_eq!(causes, [told]);
    }
    let twice = json!([{"name": "c", "image": "i"}, {"name": "c", "image": "i"}]);
    assert_eq!(of("/spec/template/spec/containers", twice), ["spec.template.spec.containers[1].name: Duplicate value: \"c\""]);
    assert_eq!(
        told("apps", "v1", "deployments", None, json!({"metadata": {"name": "d"}, "spec": {}})),
        ["spec.selector: Required value", "spec.template.spec.containers: Required value",]
    );
}

#[test]
fn names_labels_and_annotations_are_judged() {
    let of = |metadata: Value| told("", "v1", "configmaps", None, json!({"metadata": metadata}));
    assert_eq!(of(json!({})), ["metadata.name: Required value: name or generateName is required"]);
    assert!(
        of(json!({"name": "A"}))[0].starts_with("metadata.name: Invalid value: \"A\": a lowercase RFC 1123 subdomain must")
    );
    assert!(
        of(json!({"name": "a", "labels": {"a b": "c"}}))[0]
            .starts_with("metadata.labels: Invalid value: \"a b\": name part must consist")
    );
    assert!(
        of(json!({"name": "a", "labels": {"a": "c d"}}))[0]
            .starts_with("metadata.labels: Invalid value: \"c d\": a valid label must be")
    );
    assert_eq!(
        of(json!({"name": "a", "annotations": {"a": "x".repeat(262_144)}})),
        ["metadata.annotations: Too long: may not be more than 262144 bytes"]
    );
    assert_eq!(
        of(json!({"name": "a", "finalizers": ["mine"]})),
        [
            "metadata.finalizers[0]: Invalid value: \"mine\": name is neither a standard finalizer name nor is it fully qualified",
        ]
    );
    assert!(
        of(json!({"name": "a", "ownerReferences": [{"apiVersion": "v1", "kind": "Pod", "name": "p"}]}))[0]
            .ends_with(".uid: Invalid value: \"\": must not be empty")
    );
}

#[test]
fn what_is_fixed_cannot_be_changed() {
    let cases = [
        (
            "apps",
            "deployments",
            deployment(),
            changed(
                changed(deployment(), "/spec/selector", json!({"matchLabels": {"x": "y"}})),
                "/spec/template/metadata/labels",
                json!({"x": "y"}),
            ),
            "spec.selector: Invalid value: {\"matchLabels\":{\"x\":\"y\"}}: field is immutable",
        ),
        (
            "",
            "secrets",
            json!({"metadata": {"name": "s"}, "type": "a"}),
            json!({"metadata": {"name": "s"}, "type": "b"}),
            "type: Invalid value: \"b\": field is immutable",
        ),
        (
            "",
            "configmaps",
            json!({"metadata": {"name": "s"}, "immutable": true, "data": {"a": "b"}}),
            json!({"metadata": {"name": "s"}, "immutable": true}),
            "data: Forbidden: field is immutable when `immutable` is set",
        ),
        (
            "rbac.authorization.k8s.io",
            "clusterrolebindings",
            json!({"metadata": {"name": "s"}, "roleRef": {"kind": "ClusterRole", "name": "a"}}),
            json!({"metadata": {"name": "s"}, "roleRef": {"kind": "ClusterRole", "name": "b"}}),
            "roleRef: Invalid value: {\"apiGroup\":\"rbac.authorization.k8s.io\",\"kind\":\"ClusterRole\",\"name\":\"b\"}: cannot change roleRef",
        ),
        (
            "",
            "services",
            json!({"metadata": {"name": "s"}, "spec": {"clusterIP": "1.1.1.1", "ports": [{"port": 1}]}}),
            json!({"metadata": {"name": "s"}, "spec": {"clusterIP": "1.1.1.2", "ports": [{"port": 1}]}}),
            "spec.clusterIPs[0]: Invalid value: [\"1.1.1.2\"]: may not change once set",
        ),
        (
            "apps",
            "statefulsets",
            deployment(),
            changed(deployment(), "/spec/serviceName", json!("x")),
            "spec: Forbidden: updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden",
        ),
        (
            "",
            "persistentvolumeclaims",
            json!({"metadata": {"name": "c"}, "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "2Gi"}}}}),
            json!({"metadata": {"name": "c"}, "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}}),
            "spec.resources.requests.storage: Forbidden: field can not be less than previous value",
        ),
        (
            "scheduling.k8s.io",
            "priorityclasses",
            json!({"metadata": {"name": "p"}, "value": 1}),
            json!({"metadata": {"name": "p"}, "value": 2}),
            "value: Forbidden: may not be changed in an update.",
        ),
    ];
    for (group, plural, old, new, cause) in cases {
        assert_eq!(told(group, "v1", plural, Some(old.clone()), new), [cause], "{plural}");
        assert_eq!(told(group, "v1", plural, Some(old.clone()), old), [""; 0], "{plural}");
    }
}

#[test]
fn of_a_pod_only_images_and_a_little_more_can_be_changed() {
    let pod = json!({"metadata": {"name": "p"}, "spec": template()["spec"]});
    let of = |pointer: &str, to: Value| told("", "v1", "pods", Some(pod.clone()), changed(pod.clone(), pointer, to));
    assert_eq!(of("/spec/containers/0/image", json!("i:2")), [""; 0]);
    assert_eq!(of("/spec/tolerations", json!([{"key": "a", "operator": "Exists"}])), [""; 0]);
    assert!(
        of("/spec/nodeName", json!("n"))[0]
            .starts_with("spec: Forbidden: pod updates may not change fields other than `spec.containers[*].image`,")
    );
    let more = json!([{"name": "c", "image": "i:1"}, {"name": "d", "image": "i:1"}]);
    assert_eq!(of("/spec/containers", more), ["spec.containers: Forbidden: pod updates may not add or remove containers"]);
}

#[test]
fn other_kinds_are_judged_by_their_rules() {
    let cases = [
        ("", "v1", "services", json!({"spec": {}}), "spec.ports: Required value"),
        (
            "",
            "v1",
            "services",
            json!({"spec": {"type": "Internal", "ports": [{"port": 1}]}}),
            "spec.type: Unsupported value: \"Internal\": supported values: \"ClusterIP\", \"ExternalName\", \"LoadBalancer\", \"NodePort\"",
        ),
        (
            "",
            "v1",
            "services",
            json!({"spec": {"ports": [{"name": "a", "port": 1}, {"port": 2}]}}),
            "spec.ports[1].name: Required value",
        ),
        (
            "",
            "v1",
            "services",
            json!({"spec": {"ports": [{"port": 0, "targetPort": 80}]}}),
            "spec.ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive",
        ),
        (
            "",
            "v1",
            "configmaps",
            json!({"data": {"a/b": "c"}}),
            "data[a/b]: Invalid value: \"a/b\": a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')",
        ),
        ("", "v1", "secrets", json!({"type": "kubernetes.io/tls", "data": {"tls.crt": ""}}), "data[tls.key]: Required value"),
        (
            "",
            "v1",
            "configmaps",
            json!({"data": {"a": "x".repeat(1_048_577)}}),
            ": Too long: may not be more than 1048576 bytes",
        ),
        (
            "batch",
            "v1",
            "jobs",
            json!({"spec": {"template": template()}}),
            "spec.template.spec.restartPolicy: Unsupported value: \"Always\": supported values: \"OnFailure\", \"Never\"",
        ),
        (
            "batch",
            "v1",
            "cronjobs",
            json!({"spec": {"schedule": "x", "jobTemplate": {"spec": {"template": changed(template(), "/spec/restartPolicy", json!("Never"))}}}}),
            "spec.schedule: Invalid value: \"x\": expected exactly 5 fields, found 1: [x]",
        ),
        (
            "networking.k8s.io",
            "v1",
            "ingresses",
            json!({"spec": {}}),
            "spec: Invalid value: null: either `defaultBackend` or `rules` must be specified",
        ),
        (
            "autoscaling",
            "v2",
            "horizontalpodautoscalers",
            json!({"spec": {"minReplicas": 5, "maxReplicas": 2, "scaleTargetRef": {"kind": "D", "name": "d"}}}),
            "spec.maxReplicas: Invalid value: 2: must be greater than or equal to `minReplicas`",
        ),
        (
            "rbac.authorization.k8s.io",
            "v1",
            "roles",
            json!({"rules": [{"apiGroups": [""], "resources": ["pods"]}]}),
            "rules[0].verbs: Required value: verbs must contain at least one value",
        ),
        (
            "rbac.authorization.k8s.io",
            "v1",
            "rolebindings",
            json!({"roleRef": {"kind": "Roll", "name": "r"}}),
            "roleRef.kind: Unsupported value: \"Roll\": supported values: \"Role\", \"ClusterRole\"",
        ),
        ("storage.k8s.io", "v1", "storageclasses", json!({}), "provisioner: Required value"),
        (
            "",
            "v1",
            "persistentvolumeclaims",
            json!({"spec": {"accessModes": ["ReadWriteOnce"]}}),
            "spec.resources[storage]: Required value",
        ),
    ];
    for (group, version, plural, object, cause) in cases {
        let mut object = object;
        object["metadata"] = json!({"name": "x"});
        assert_eq!(told(group, version, plural, None, object), [cause], "{plural}");
    }
    let both = told(
        "policy",
        "v1",
        "poddisruptionbudgets",
        None,
        json!({"metadata": {"name": "x"}, "spec": {"minAvailable": 1, "maxUnavailable": 1}}),
    );
    assert!(both[0].ends_with("minAvailable and maxUnavailable cannot be both set"));
}

#[test]
fn stateful_sets_mount_their_claims() {
    let mut set =
        changed(deployment(), "/spec/template/spec/containers/0/volumeMounts", json!([{"name": "data", "mountPath": "/d"}]));
    assert_eq!(
        told("apps", "v1", "statefulsets", None, set.clone()),
        ["spec.template.spec.containers[0].volumeMounts[0].name: Not found: \"data\""]
    );
    set["spec"]["volumeClaimTemplates"] = json!([{"metadata": {"name": "data"}, "spec": {
        "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}}]);
    assert_eq!(told("apps", "v1", "statefulsets", None, set), [""; 0]);
}

#[test]
fn structs_that_are_left_out_are_judged_by_what_they_would_need() {
    let of = |group, plural, value| told(group, "v1", plural, None, value);
    assert_eq!(
        of("rbac.authorization.k8s.io", "rolebindings", json!({"metadata": {"name": "b"}})).last().unwrap(),
        "roleRef.kind: Unsupported value: \"\": supported values: \"Role\", \"ClusterRole\""
    );
    assert_eq!(of("storage.k8s.io", "csidrivers", json!({"metadata": {"name": "d"}})), [""; 0]);
    assert_eq!(
        of("autoscaling", "horizontalpodautoscalers", json!({"metadata": {"name": "h"}, "spec": {"maxReplicas": 1}})),
        ["spec.scaleTargetRef.kind: Required value", "spec.scaleTargetRef.name: Required value"]
    );
}

proptest::proptest! {
    /// No pod, however odd, makes the rules fail.
    #[test]
    fn odd_values_are_survived(at in 0_usize..12, odd in 0_usize..7) {
        let odd = [json!(null), json!([]), json!({}), json!("x"), json!(-1), json!([[{}]]), json!({"name": {"name": []}})][odd].clone();
        let place = [
            "/spec", "/metadata", "/spec/containers", "/spec/volumes", "/spec/containers/0", "/spec/containers/0/env",
            "/spec/containers/0/ports", "/spec/containers/0/resources", "/spec/tolerations", "/metadata/labels",
            "/metadata/finalizers", "/spec/securityContext",
        ][at];
        let pod = json!({"metadata": {"name": "p"}, "spec": template()["spec"]});
        let mut odd_pod = pod.clone();
        if let Some(value) = odd_pod.pointer_mut(place) {
            *value = odd.clone();
        } else if let Some((holder, name)) = place.rsplit_once('/') {
            odd_pod.pointer_mut(holder).unwrap()[name] = odd.clone();
        }
        told("", "v1", "pods", Some(pod), odd_pod.clone());
        let schema = resources::find("", "v1", "pods").unwrap().schema.root();
        let _ = schema::unknown_fields(&odd_pod, schema);
        let _ = schema::check_types(&odd_pod, schema);
        schema::prune(&mut odd_pod, schema);
    }
}
