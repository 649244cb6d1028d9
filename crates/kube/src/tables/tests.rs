use serde_json::json;

use super::*;
use crate::resources::find;

fn now() -> Timestamp {
    "2026-01-02T00:00:00Z".parse().unwrap()
}

fn options(include: IncludeObject) -> Options<'static> {
    Options { version: "v1", include, headers: true, now: now() }
}

/// The cells of an object, as a table of `kubectl get -o wide` has them.
fn cells(group: &str, version: &str, plural: &str, object: &Value) -> Vec<String> {
    let resource = find(group, version, plural).unwrap();
    let mut object = object.clone();
    object["kind"] = json!(resource.kind);
    let table = table(resource, [&object].into_iter(), json!({}), &options(IncludeObject::None));
    assert_eq!(table["columnDefinitions"].as_array().unwrap().len(), table["rows"][0]["cells"].as_array().unwrap().len());
    let cells = table["rows"][0]["cells"].as_array().unwrap().iter();
    cells.map(|cell| cell.as_str().map_or_else(|| cell.to_string(), str::to_owned)).collect()
}

fn metadata(name: &str) -> Value {
    json!({"name": name, "creationTimestamp": "2026-01-01T23:00:00Z"})
}

#[test]
fn pods_tell_what_they_are_at() {
    let running = json!({"name": "a", "ready": true, "restartCount": 0, "state": {"running": {}}});
    let waiting = |reason: &str| {
        json!({"name": "a", "restartCount": 3, "state": {"waiting": {"reason": reason}},
        "lastState": {"terminated": {"exitCode": 1, "finishedAt": "2026-01-01T23:55:00Z"}}})
    };
    let ended = |code: i64, reason: &str| json!({"name": "a", "state": {"terminated": {"exitCode": code, "reason": reason}}});
    let one = json!([{"name": "a"}]);
    for (pod, ready, status, restarts) in [
        (json!({"spec": {"containers": one}, "status": {"phase": "Pending"}}), "0/1", "Pending", "0"),
        (
            json!({"spec": {"containers": one}, "status": {"phase": "Running", "containerStatuses": [running]}}),
            "1/1",
            "Running",
            "0",
        ),
        (
            json!({"spec": {"containers": one}, "status": {"phase": "Running", "containerStatuses": [waiting("CrashLoopBackOff")]}}),
            "0/1",
            "CrashLoopBackOff",
            "3 (5m ago)",
        ),
        (
            json!({"spec": {"containers": one}, "status": {"phase": "Succeeded", "containerStatuses": [ended(0, "Completed")]}}),
            "0/1",
            "Completed",
            "0",
        ),
        (
            json!({"spec": {"containers": one}, "status": {"phase": "Failed", "containerStatuses": [ended(2, "")]}}),
            "0/1",
            "ExitCode:2",
            "0",
        ),
        (json!({"spec": {"containers": one}, "status": {"phase": "Failed", "reason": "Evicted"}}), "0/1", "Evicted", "0"),
        (
            json!({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}, "spec": {"containers": one},
                "status": {"phase": "Running", "containerStatuses": [running]}}),
            "1/1",
            "Terminating",
            "0",
        ),
        (
            json!({"spec": {"containers": one, "initContainers": [{"name": "i"}]},
                "status": {"phase": "Pending", "initContainerStatuses": [{"name": "i", "state": {"running": {}}}],
                "containerStatuses": [waiting("PodInitializing")]}}),
            "0/1",
            "Init:0/1",
            "0",
        ),
        (
            json!({"spec": {"containers": one, "initContainers": [{"name": "i"}]},
                "status": {"initContainerStatuses": [{"name": "i", "state": {"terminated": {"exitCode": 1, "reason": "Error"}}}]}}),
            "0/1",
            "Init:Error",
            "0",
        ),
        (
            json!({"spec": {"containers": one, "initContainers": [{"name": "i", "restartPolicy": "Always"}]},
                "status": {"phase": "Running", "containerStatuses": [running],
                "initContainerStatuses": [{"name": "i", "started": true, "ready": true, "restartCount": 1, "state": {"running": {}}}]}}),
            "2/2",
            "Running",
            "1",
        ),
        (
            json!({"spec": {"containers": one},
                "status": {"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "False", "reason": "SchedulingGated"}]}}),
            "0/1",
            "SchedulingGated",
            "0",
        ),
    ] {
        let cells = cells("", "v1", "pods", &pod);
        assert_eq!((&*cells[1], &*cells[2], &*cells[3]), (ready, status, restarts), "{pod}");
    }
}

#[test]
fn rows_of_built_in_kinds_are_those_that_people_know() {
    let selector = json!({"matchLabels": {"app": "web"}});
    let template = json!({"spec": {"containers": [{"name": "a", "image": "nginx"}, {"name": "b", "image": "redis"}]}});
    for ((group, version, plural), object, expected) in [
        (
            ("apps", "v1", "deployments"),
            json!({"spec": {"replicas": 3, "selector": selector, "template": template},
                "status": {"readyReplicas": 2, "updatedReplicas": 3, "availableReplicas": 2}}),
            "x|2/3|3|2|60m|a,b|nginx,redis|app=web",
        ),
        (
            ("apps", "v1", "replicasets"),
            json!({"spec": {"replicas": 1, "selector": selector, "template": template}}),
            "x|1|0|0|60m|a,b|nginx,redis|app=web",
        ),
        (("apps", "v1", "statefulsets"), json!({"spec": {"replicas": 1, "template": template}}), "x|0/1|60m|a,b|nginx,redis"),
        (
            ("batch", "v1", "jobs"),
            json!({"spec": {"completions": 2, "template": template, "selector": {}}, "status": {"succeeded": 2,
                "startTime": "2026-01-01T23:00:00Z", "completionTime": "2026-01-01T23:00:07Z", "conditions": [{"type": "Complete", "status": "True"}]}}),
            "x|Complete|2/2|7s|60m|a,b|nginx,redis|<none>",
        ),
        (
            ("batch", "v1", "cronjobs"),
            json!({"spec": {"schedule": "@daily", "suspend": false, "jobTemplate": {"spec": {"template": template}}}}),
            "x|@daily|<none>|False|0|<none>|60m|a,b|nginx,redis|<none>",
        ),
        (
            ("", "v1", "services"),
            json!({"spec": {"type": "LoadBalancer", "clusterIP": "172.21.0.5", "selector": {"app": "web"},
                "ports": [{"port": 80, "nodePort": 30080, "protocol": "TCP"}, {"port": 53, "protocol": "UDP"}]}}),
            "x|LoadBalancer|172.21.0.5|<pending>|80:30080/TCP,53/UDP|60m|app=web",
        ),
        (
            ("", "v1", "nodes"),
            json!({"spec": {"unschedulable": true}, "status": {"conditions": [{"type": "Ready", "status": "True"}],
                "addresses": [{"type": "InternalIP", "address": "10.0.0.1"}],
                "nodeInfo": {"kubeletVersion": "v1.36.3", "kernelVersion": "6.8", "architecture": "amd64"}}}),
            "x|Ready,SchedulingDisabled|<none>|60m|v1.36.3|10.0.0.1|<none>|<unknown>|6.8 (amd64)|<unknown>",
        ),
        (
            ("", "v1", "endpoints"),
            json!({"subsets": [{"addresses": [{"ip": "1.1.1.1"}, {"ip": "1.1.1.2"}], "ports": [{"port": 80}, {"port": 443}]}]}),
            "x|1.1.1.1:80,1.1.1.2:80,1.1.1.1:443 + 1 more...|60m",
        ),
        (("", "v1", "configmaps"), json!({"data": {"a": "1"}, "binaryData": {"b": ""}}), "x|2|60m"),
        (("", "v1", "secrets"), json!({"type": "Opaque"}), "x|Opaque|0|60m"),
        (
            ("", "v1", "persistentvolumeclaims"),
            json!({"spec": {"volumeName": "pv", "storageClassName": "ibmc"},
                "status": {"phase": "Bound", "accessModes": ["ReadWriteOnce"], "capacity": {"storage": "20Gi"}}}),
            "x|Bound|pv|20Gi|RWO|ibmc|<unset>|60m|<unset>",
        ),
        (
            ("autoscaling", "v2", "horizontalpodautoscalers"),
            json!({"spec": {"scaleTargetRef": {"kind": "Deployment", "name": "web"}, "minReplicas": 1, "maxReplicas": 5,
                "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}}}]},
                "status": {"currentReplicas": 2}}),
            "x|Deployment/web|cpu: <unknown>/80%|1|5|2|60m",
        ),
        (
            ("networking.k8s.io", "v1", "ingresses"),
            json!({"spec": {"rules": [{"host": "a.example.com"}], "tls": [{}]}, "status": {"loadBalancer": {"ingress": [{"ip": "9.9.9.9"}]}}}),
            "x|<none>|a.example.com|9.9.9.9|80, 443|60m",
        ),
        (
            ("rbac.authorization.k8s.io", "v1", "rolebindings"),
            json!({"roleRef": {"kind": "ClusterRole", "name": "edit"},
                "subjects": [{"kind": "User", "name": "u"}, {"kind": "ServiceAccount", "namespace": "n", "name": "s"}]}),
            "x|ClusterRole/edit|60m|u||n/s",
        ),
        (("rbac.authorization.k8s.io", "v1", "roles"), json!({}), "x|2026-01-01T23:00:00Z"),
        (("apiextensions.k8s.io", "v1", "customresourcedefinitions"), json!({}), "x|2026-01-01T23:00:00Z"),
        (("storage.k8s.io", "v1", "storageclasses"), json!({"provisioner": "p"}), "x|p|Delete|Immediate|false|60m"),
        (
            ("", "v1", "resourcequotas"),
            json!({"status": {"hard": {"pods": "5", "limits.cpu": "2"}, "used": {"pods": "1"}}}),
            "x|pods: 1/5|limits.cpu: 0/2|60m",
        ),
        (
            ("", "v1", "events"),
            json!({"type": "Warning", "reason": "BackOff", "message": "m ", "involvedObject": {"kind": "Pod", "name": "p"},
                "source": {"component": "kubelet", "host": "n1"}, "firstTimestamp": "2026-01-01T23:50:00Z", "lastTimestamp": "2026-01-01T23:59:50Z", "count": 4}),
            "10s|Warning|BackOff|pod/p||kubelet, n1|m|10m|4|x",
        ),
    ] {
        let mut object = object;
        object["metadata"] = metadata("x");
        assert_eq!(cells(group, version, plural, &object).join("|"), expected, "{plural}");
    }
}

#[test]
fn no_object_upsets_a_table() {
    for group in crate::resources::built_in() {
        for resource in group.versions.iter().flat_map(|v| &v.resources) {
            for object in [json!(null), json!([]), json!({"spec": 1, "status": "x", "metadata": []})] {
                let table = table(resource, [&object].into_iter(), json!({}), &options(IncludeObject::Metadata));
                assert_eq!(table["rows"].as_array().unwrap().len(), 1, "{}", resource.plural);
            }
        }
    }
}

fn custom_resource(custom: resources::Custom, schema: resources::Schema) -> Resource {
    Resource {
        group: "example.com".to_owned(),
        version: "v1".to_owned(),
        plural: "things".to_owned(),
        singular: "thing".to_owned(),
        kind: "Thing".to_owned(),
        list_kind: "ThingList".to_owned(),
        namespaced: true,
        verbs: Vec::new(),
        short_names: Vec::new(),
        categories: Vec::new(),
        subresources: Vec::new(),
        stored: "things.example.com".into(),
        schema,
        custom: Some(custom.into()),
    }
}

#[test]
fn custom_resources_have_the_columns_of_their_definition() {
    let columns = json!([
        {"name": "Ready", "type": "string", "jsonPath": ".status.conditions[?(@.type==\"Ready\")].status"},
        {"name": "Count", "type": "integer", "jsonPath": ".spec.count", "priority": 1},
        {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp", "description": "d"},
        {"name": "Wrong", "type": "boolean", "jsonPath": ".spec.count"},
    ]);
    let custom = |columns: Value| {
        let custom = resources::Custom { columns: serde_json::from_value(columns).unwrap(), ..resources::Custom::default() };
        custom_resource(custom, find("", "v1", "configmaps").unwrap().schema.clone())
    };
    let object = json!({"metadata": metadata("t"), "spec": {"count": 3}, "status": {"conditions": [{"type": "Ready", "status": "True"}]}});
    let made =
        table(&custom(columns), [&object].into_iter(), json!({"resourceVersion": "7"}), &options(IncludeObject::Metadata));
    assert_eq!(made["rows"][0]["cells"], json!(["t", "True", 3, "60m", null]));
    assert_eq!(made["columnDefinitions"][2]["priority"], 1);
    assert_eq!(made["metadata"]["resourceVersion"], "7");
    assert_eq!(made["rows"][0]["object"]["kind"], "PartialObjectMetadata");
    let made = table(&custom(json!([])), [&object].into_iter(), json!({}), &options(IncludeObject::Object));
    assert_eq!(made["rows"][0]["cells"], json!(["t", "60m"]));
    assert_eq!(made["rows"][0]["object"], object);
}

#[test]
fn forms_are_those_that_clients_ask_for() {
    for (accept, form) in [
        ("application/json", Form::Whole),
        ("application/json;as=Table;v=v1;g=meta.k8s.io,application/json", Form::Table("v1".to_owned())),
        ("application/json;as=Table;v=v1beta1;g=meta.k8s.io", Form::Table("v1beta1".to_owned())),
        ("application/json;as=Table;v=v9;g=meta.k8s.io,application/json", Form::Whole),
        ("application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1", Form::Partial("v1".to_owned())),
    ] {
        assert_eq!(super::form(accept).unwrap(), form, "{accept}");
    }
    assert_eq!(super::form("application/vnd.kubernetes.protobuf").unwrap_err().code, 406);
    assert_eq!(IncludeObject::parse("Everything").unwrap_err().code, 400);
}

#[test]
fn custom_resources_are_selected_by_the_fields_of_their_definition() {
    use crate::selectors::FieldSelector;
    let built_in = find("", "v1", "configmaps").unwrap();
    let custom = resources::Custom { selectable: vec![".spec.color".to_owned()], ..resources::Custom::default() };
    let resource = custom_resource(custom, built_in.schema.clone());
    let object = json!({"spec": {"color": "red"}});
    assert!(FieldSelector::parse("spec.color=red", &resource).unwrap().matches(&object));
    assert_eq!(FieldSelector::parse("spec.size=1", &resource).unwrap_err().message, "field label not supported: spec.size");
}
