//! Whatever objects say, controllers come to rest.

#![allow(clippy::unwrap_used, reason = "a test fails where it is")]

mod stories;

use boatyard_kube::world::Timings;
use proptest::prelude::*;
use serde_json::{Value, json};
use stories::{Cluster, deployment, pod, seconds};

/// Objects of every resource that controllers look at, each with what they read of it.
fn objects() -> Vec<(&'static str, &'static str, Value)> {
    let template = json!({"metadata": {"labels": {"app": "x"}}, "spec": {
        "restartPolicy": "Never", "nodeSelector": {"a": "b"}, "tolerations": [{"key": "a", "operator": "Exists", "tolerationSeconds": 5}],
        "containers": [{"name": "c", "image": "i", "ports": [{"containerPort": 80, "hostPort": 80}],
            "resources": {"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"cpu": "2"}},
            "env": [{"name": "E", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}]}],
        "initContainers": [{"name": "i", "image": "i", "restartPolicy": "Always"}],
        "volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "claim"}}, {"name": "e", "ephemeral": {"volumeClaimTemplate": {
            "metadata": {}, "spec": {"storageClassName": "gold", "resources": {"requests": {"storage": "1Gi"}}}}}}],
        "affinity": {
            "nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [{"matchExpressions": [
                {"key": "kubernetes.io/hostname", "operator": "NotIn", "values": ["x"]}]}]}},
            "podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [
                {"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": {"app": "y"}}}]},
            "podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [
                {"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": {"app": "x"}}}]},
        },
        "topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": "topology.kubernetes.io/zone", "whenUnsatisfiable": "DoNotSchedule",
            "labelSelector": {"matchExpressions": [{"key": "app", "operator": "Exists"}]}}],
        "readinessGates": [{"conditionType": "g"}],
    }});
    let selector = json!({"matchLabels": {"app": "x"}});
    let meta = json!({"generation": 1, "finalizers": ["a"], "labels": {"app": "x"}, "annotations": {"boatyard.dev/run-seconds": "2"},
        "ownerReferences": [{"apiVersion": "v1", "kind": "Node", "name": "n", "uid": "u", "controller": true}]});
    let of =
        |version: &str, kind: &str, spec: Value| json!({"apiVersion": version, "kind": kind, "metadata": meta, "spec": spec});
    let job = json!({"completions": 2, "parallelism": 2, "backoffLimit": 1, "completionMode": "Indexed", "template": template,
        "activeDeadlineSeconds": 50, "ttlSecondsAfterFinished": 5});
    let conditions = json!({"conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-31T12:00:00Z"}]});
    let mut running = pod(template["spec"].clone());
    running["spec"]["nodeName"] = json!("10.0.0.0");
    running["status"] = json!({"phase": "Running", "podIP": "172.17.0.1", "conditions": conditions["conditions"],
        "containerStatuses": [{"restartCount": 1, "state": {"running": {"startedAt": "2026-01-31T12:00:00Z"}}}]});
    running["metadata"]["deletionTimestamp"] = json!("2026-01-31T12:00:10Z");
    running["metadata"]["deletionGracePeriodSeconds"] = json!(10);
    let claim =
        json!({"storageClassName": "gold", "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}});
    vec![
        ("deployments.apps", "default", deployment(2, "nginx")),
        (
            "replicasets.apps",
            "default",
            of("apps/v1", "ReplicaSet", json!({"replicas": 2, "selector": selector, "template": template})),
        ),
        (
            "replicationcontrollers",
            "default",
            of("v1", "ReplicationController", json!({"replicas": 1, "selector": {"app": "x"}, "template": template})),
        ),
        (
            "statefulsets.apps",
            "default",
            of(
                "apps/v1",
                "StatefulSet",
                json!({"replicas": 2, "serviceName": "s", "selector": selector,
            "template": template, "volumeClaimTemplates": [{"metadata": {"name": "v"}, "spec": claim}], "ordinals": {"start": 1},
            "updateStrategy": {"rollingUpdate": {"partition": 1}}}),
            ),
        ),
        (
            "daemonsets.apps",
            "default",
            of(
                "apps/v1",
                "DaemonSet",
                json!({"selector": selector, "template": template,
            "updateStrategy": {"rollingUpdate": {"maxUnavailable": "10%"}}, "minReadySeconds": 1}),
            ),
        ),
        ("jobs.batch", "default", of("batch/v1", "Job", job.clone())),
        (
            "cronjobs.batch",
            "default",
            of(
                "batch/v1",
                "CronJob",
                json!({"schedule": "* * * * *", "timeZone": "Europe/Berlin",
            "startingDeadlineSeconds": 10, "jobTemplate": {"metadata": {}, "spec": job}}),
            ),
        ),
        (
            "services",
            "default",
            of(
                "v1",
                "Service",
                json!({"type": "LoadBalancer", "selector": {"app": "x"},
            "ports": [{"name": "p", "port": 80, "targetPort": "http"}]}),
            ),
        ),
        ("persistentvolumeclaims", "default", of("v1", "PersistentVolumeClaim", claim)),
        (
            "persistentvolumes",
            "",
            of(
                "v1",
                "PersistentVolume",
                json!({"storageClassName": "gold", "capacity": {"storage": "1Gi"},
            "accessModes": ["ReadWriteOnce"], "claimRef": {"namespace": "default", "name": "x", "uid": "y"}}),
            ),
        ),
        (
            "poddisruptionbudgets.policy",
            "default",
            of("policy/v1", "PodDisruptionBudget", json!({"minAvailable": "50%", "selector": selector})),
        ),
        (
            "resourcequotas",
            "default",
            of(
                "v1",
                "ResourceQuota",
                json!({"hard": {"pods": "1", "limits.cpu": "1", "requests.storage": "1"},
            "scopeSelector": {"matchExpressions": [{"scopeName": "PriorityClass", "operator": "In", "values": ["a"]}]}}),
            ),
        ),
        (
            "horizontalpodautoscalers.autoscaling",
            "default",
            of(
                "autoscaling/v2",
                "HorizontalPodAutoscaler",
                json!({"minReplicas": 1,
            "maxReplicas": 3, "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "x"}}),
            ),
        ),
        ("pods", "default", running),
        (
            "namespaces",
            "",
            json!({"metadata": {"deletionTimestamp": "2026-01-31T12:00:10Z"}, "spec": {"finalizers": ["kubernetes"]}}),
        ),
        (
            "nodes",
            "",
            json!({"metadata": {"labels": {"a": "b"}}, "spec": {"taints": [{"key": "a", "effect": "NoExecute"}]},
            "status": {"allocatable": {"cpu": "1"}, "conditions": conditions["conditions"]}}),
        ),
        ("events", "default", json!({"involvedObject": {"name": "x"}, "lastTimestamp": "2026-01-31T12:00:10Z"})),
    ]
}

fn odd() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        Just(json!(true)),
        prop_oneof![
            Just(json!(-1)),
            Just(json!(0)),
            Just(json!(7)),
            Just(json!(i64::MIN)),
            Just(json!(i64::MAX)),
            Just(json!(1e300))
        ],
        prop_oneof![
            Just(""),
            Just("x"),
            Just("999999999999%"),
            Just("-5%"),
            Just("9e99"),
            Just("2999-12-31T23:59:59Z"),
            Just("Always"),
            Just("Delete")
        ]
        .prop_map(Value::from),
        Just(json!([])),
        Just(json!({})),
        Just(json!([null, 1, "x", {}])),
    ]
}

/// Puts `value` at the `at`-th place in a document; whether there are so many.
fn place(document: &mut Value, at: &mut usize, value: &Value) -> bool {
    if *at == 0 {
        *document = value.clone();
        return true;
    }
    *at -= 1;
    match document {
        Value::Object(map) => map.values_mut().any(|part| place(part, at, value)),
        Value::Array(list) => list.iter_mut().any(|part| place(part, at, value)),
        _ => false,
    }
}

/// So many Pods would be made that a test takes too long.
fn tame(value: &mut Value) {
    match value {
        Value::Object(map) => {
            for name in ["replicas", "parallelism", "completions", "minReplicas", "maxReplicas"] {
                if let Some(number) = map.get_mut(name).filter(|n| n.as_i64().is_some_and(|n| n > 50)) {
                    *number = json!(50);
                }
            }
            map.values_mut().for_each(tame);
        }
        Value::Array(list) => list.iter_mut().for_each(tame),
        _ => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    #[test]
    fn no_object_makes_controllers_fail(picks in prop::collection::vec((any::<prop::sample::Index>(), 1..80_usize, odd()), 1..5), slow in any::<bool>()) {
        let timings = if slow { Timings { pod_starting: seconds(1), pod_stopping: seconds(1), job_running: seconds(2), provisioning: seconds(1) } } else { Timings::default() };
        let mut cluster = Cluster::new(2).timed(timings);
        let class = json!({"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "provisioner": "p", "volumeBindingMode": "WaitForFirstConsumer"});
        cluster.put("storageclasses.storage.k8s.io", "", "gold", class);
        for (pick, at, value) in &picks {
            let objects = objects();
            let (resource, namespace, mut object) = objects[pick.index(objects.len())].clone();
            place(&mut object, &mut at.clone(), value);
            tame(&mut object);
            cluster.put(resource, namespace, "x", object);
        }
        cluster.pass(20);
        for (resource, namespace, _) in objects() {
            cluster.delete(resource, namespace, "x", None);
        }
        cluster.pass(20);
        let revision = cluster.state.revision();
        cluster.change(|_| ());
        prop_assert_eq!(cluster.state.revision(), revision, "there is rest");
    }
}
