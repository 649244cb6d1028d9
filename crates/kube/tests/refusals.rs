//! Stories of Pods that controllers make: what they are given, and what happens when policies refuse them.

#![allow(clippy::unwrap_used, reason = "a test fails where it is")]

mod stories;

use boatyard_kube::controllers;
use boatyard_kube::object::{Key, array, number, text};
use serde_json::{Value, json};
use stories::{Cluster, DEPLOYMENTS, SETS, deployment};

const ACCOUNTS: &str = "serviceaccounts";
const QUOTAS: &str = "resourcequotas";

fn quota(hard: Value) -> Value {
    json!({"apiVersion": "v1", "kind": "ResourceQuota", "spec": {"hard": hard}})
}

fn set_name(cluster: &Cluster) -> String {
    cluster.names(SETS).remove(0)
}

#[test]
fn pods_of_controllers_get_what_any_pod_gets() {
    let mut cluster = Cluster::new(1);
    let range = json!({"apiVersion": "v1", "kind": "LimitRange", "spec": {"limits": [{
        "type": "Container", "default": {"cpu": "500m", "memory": "256Mi"}, "defaultRequest": {"cpu": "100m"},
    }]}});
    cluster.put("limitranges", "default", "sizes", range);
    cluster.put(DEPLOYMENTS, "default", "web", deployment(1, "nginx"));
    let pod = cluster.list("pods").remove(0);
    let pod = pod.content();
    let container = &pod["spec"]["containers"][0];
    assert_eq!(container["resources"]["requests"], json!({"cpu": "100m"}));
    assert_eq!(container["resources"]["limits"], json!({"cpu": "500m", "memory": "256Mi"}));
    assert_eq!(pod["status"]["qosClass"], "Burstable");
    assert_eq!(container["imagePullPolicy"], "Always");
    assert_eq!(text(container, "/volumeMounts/0/mountPath"), "/var/run/secrets/kubernetes.io/serviceaccount");
    assert!(text(pod, "/spec/volumes/0/name").starts_with("kube-api-access-"));
    assert_eq!(text(pod, "/spec/serviceAccountName"), "default");
    let tolerated: Vec<&str> = array(pod, "/spec/tolerations").iter().map(|t| text(t, "/key")).collect();
    assert_eq!(tolerated, ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"]);
    assert_eq!(text(pod, "/status/phase"), "Running");
}

#[test]
fn a_deployment_beyond_a_quota_says_so_until_there_is_room() {
    let mut cluster = Cluster::new(2);
    cluster.put(QUOTAS, "default", "small", quota(json!({"pods": "2"})));
    cluster.put(DEPLOYMENTS, "default", "web", deployment(3, "nginx"));
    assert_eq!(cluster.list("pods").len(), 2);
    let told = cluster.told("FailedCreate");
    let set = set_name(&cluster);
    let [told] = told.as_slice() else { panic!("it is tried once: {told:?}") };
    assert!(told.starts_with(&format!("Error creating: pods \"{set}-")), "{told}");
    assert!(told.ends_with("is forbidden: exceeded quota: small, requested: pods=1, used: pods=2, limited: pods=2"), "{told}");
    for (resource, name) in [(SETS, &*set), (DEPLOYMENTS, "web")] {
        assert_eq!(cluster.condition(resource, name, "ReplicaFailure"), "True/FailedCreate", "{resource}");
        let message = cluster.message(resource, name, "ReplicaFailure");
        assert_eq!(format!("Error creating: {message}"), *told);
    }
    cluster.edit(QUOTAS, "small", |quota| quota["spec"]["hard"]["pods"] = json!("5"));
    assert_eq!(cluster.list("pods").len(), 3, "it is tried again at once");
    for (resource, name) in [(SETS, &*set), (DEPLOYMENTS, "web")] {
        assert_eq!(cluster.condition(resource, name, "ReplicaFailure"), "/", "{resource}");
    }
    assert_eq!(number(&cluster.get(DEPLOYMENTS, "web").unwrap(), "/status/availableReplicas"), Some(3));
}

#[test]
fn hundreds_of_pods_are_counted_as_they_come() {
    let mut cluster = Cluster::new(20);
    cluster.put(QUOTAS, "default", "q", quota(json!({"pods": "600", "requests.cpu": "4500m"})));
    let mut web = deployment(500, "nginx");
    web["spec"]["template"]["spec"]["containers"][0]["resources"] = json!({"requests": {"cpu": "10m"}});
    cluster.put(DEPLOYMENTS, "default", "web", web);
    assert_eq!(cluster.list("pods").len(), 450);
    assert!(
        cluster.told("FailedCreate")[0].ends_with("requests.cpu=10m, used: requests.cpu=4500m, limited: requests.cpu=4500m")
    );
    assert_eq!(cluster.get(QUOTAS, "q").unwrap()["status"]["used"], json!({"pods": "450", "requests.cpu": "4500m"}));
}

#[test]
fn room_that_others_leave_is_used() {
    let mut cluster = Cluster::new(2);
    cluster.put(QUOTAS, "default", "small", quota(json!({"pods": "2"})));
    cluster.put("pods", "default", "other", stories::pod(json!({})));
    cluster.put(DEPLOYMENTS, "default", "web", deployment(2, "nginx"));
    assert_eq!(cluster.list("pods").len(), 2);
    cluster.delete("pods", "default", "other", None);
    cluster.pass(1);
    assert_eq!(number(&cluster.get(DEPLOYMENTS, "web").unwrap(), "/status/availableReplicas"), Some(2));
}

#[test]
fn what_is_refused_is_tried_less_and_less_often() {
    let mut cluster = Cluster::new(1);
    cluster.put(QUOTAS, "default", "none", quota(json!({"pods": "0"})));
    cluster.change(|txn| {
        txn.put(Key::new(DEPLOYMENTS, "default", "web"), deployment(1, "nginx"));
        // As often as they like in one transaction.
        for _ in 0..3 {
            controllers::run(txn, &boatyard_kube::World::default());
        }
    });
    assert_eq!(cluster.told("FailedCreate").len(), 1);
    for (seconds, tries) in [(9, 1), (1, 2), (10, 3), (20, 4), (40, 5), (600, 8)] {
        cluster.pass(seconds);
        assert_eq!(cluster.told("FailedCreate").len(), tries, "{seconds} seconds later");
    }
}

#[test]
fn pods_wait_for_their_account() {
    let mut cluster = Cluster::new(1);
    let mut web = deployment(1, "nginx");
    web["spec"]["template"]["spec"]["serviceAccountName"] = json!("robot");
    cluster.put(DEPLOYMENTS, "default", "web", web);
    let why = "error looking up service account default/robot: serviceaccount \"robot\" not found";
    assert!(cluster.told("FailedCreate")[0].ends_with(why), "{:?}", cluster.told("FailedCreate"));
    cluster.put(ACCOUNTS, "default", "robot", json!({"apiVersion": "v1", "kind": "ServiceAccount"}));
    assert_eq!(cluster.list("pods").len(), 1);
}

#[test]
fn every_controller_tells_of_a_refusal_in_its_own_words() {
    let mut cluster = Cluster::new(3);
    cluster.put(QUOTAS, "default", "none", quota(json!({"pods": "0"})));
    let template = json!({"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "web", "image": "nginx"}]}});
    let of = |kind: &str, api: &str| {
        json!({"apiVersion": api, "kind": kind, "metadata": {"generation": 1},
            "spec": {"selector": {"matchLabels": {"app": "web"}}, "replicas": 1, "template": template}})
    };
    cluster.put("statefulsets.apps", "default", "db", of("StatefulSet", "apps/v1"));
    cluster.put("daemonsets.apps", "default", "agent", of("DaemonSet", "apps/v1"));
    let mut job = of("Job", "batch/v1");
    job["spec"]["template"]["spec"]["restartPolicy"] = json!("Never");
    cluster.put("jobs.batch", "default", "once", job);
    let told: Vec<(String, String)> = cluster
        .list("events")
        .iter()
        .filter(|e| text(e.content(), "/reason") == "FailedCreate")
        .map(|e| (text(e.content(), "/source/component").to_owned(), text(e.content(), "/message").to_owned()))
        .collect();
    let begins: Vec<(&str, &str)> = told.iter().map(|(by, m)| (&**by, m.split(['-', '"']).next().unwrap())).collect();
    assert_eq!(
        begins,
        [
            ("daemonset-controller", "Error creating: pods "),
            ("statefulset-controller", "create Pod db"),
            ("job-controller", "Error creating: pods "),
        ]
    );
    assert!(told[1].1.starts_with("create Pod db-0 in StatefulSet db failed error: pods \"db-0\" is forbidden: "));
    assert_eq!(cluster.list("pods").len(), 0);
}
