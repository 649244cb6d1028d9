//! Stories of Deployments, the scheduler, the kubelets and the end of objects.

#![allow(clippy::unwrap_used, reason = "a test fails where it is")]

mod stories;

use boatyard_kube::lifecycle::Propagation;
use boatyard_kube::object::{array, number, text};
use boatyard_kube::world::Timings;
use serde_json::{Value, json};
use stories::{Cluster, DEPLOYMENTS, SETS, deployment, pod, seconds};

fn replicas(cluster: &Cluster) -> Vec<(i64, i64)> {
    let mut sets = cluster.list(SETS);
    sets.sort_by_key(|set| set.annotation("deployment.kubernetes.io/revision").and_then(|r| r.parse::<i64>().ok()));
    let of = |set: &Value, pointer: &str| number(set, pointer).unwrap_or(0);
    sets.iter().map(|set| (of(set.content(), "/spec/replicas"), of(set.content(), "/status/readyReplicas"))).collect()
}

#[test]
fn a_deployment_rolls_out_at_once_when_nothing_takes_time() {
    let mut cluster = Cluster::new(3);
    cluster.put(DEPLOYMENTS, "default", "web", deployment(3, "nginx:1"));
    let web = cluster.get(DEPLOYMENTS, "web").unwrap();
    assert_eq!(web["metadata"]["annotations"]["deployment.kubernetes.io/revision"], "1");
    let status = json!({
        "observedGeneration": 1, "replicas": 3, "updatedReplicas": 3, "readyReplicas": 3, "availableReplicas": 3,
        "conditions": web["status"]["conditions"],
    });
    assert_eq!(web["status"], status);
    assert_eq!(cluster.condition(DEPLOYMENTS, "web", "Available"), "True/MinimumReplicasAvailable");
    assert_eq!(cluster.condition(DEPLOYMENTS, "web", "Progressing"), "True/NewReplicaSetAvailable");
    let set = cluster.names(SETS).remove(0);
    assert_eq!(
        cluster.message(DEPLOYMENTS, "web", "Progressing"),
        format!("ReplicaSet \"{set}\" has successfully progressed.")
    );
    assert_eq!(cluster.told("ScalingReplicaSet"), [format!("Scaled up replica set {set} from 0 to 3")]);
    let pods = cluster.list("pods");
    assert_eq!(pods.len(), 3);
    let mut nodes: Vec<&str> = pods.iter().map(|pod| text(pod.content(), "/spec/nodeName")).collect();
    nodes.sort_unstable();
    assert_eq!(nodes, ["10.0.0.0", "10.0.0.1", "10.0.0.2"], "they are spread");
    let mut addresses: Vec<&str> = pods.iter().map(|pod| text(pod.content(), "/status/podIP")).collect();
    addresses.dedup();
    assert_eq!(addresses.len(), 3);
    assert!(addresses.iter().all(|address| address.starts_with("172.17.")), "{addresses:?}");
    assert!(pods.iter().all(|pod| pod.key.name.starts_with(&format!("{set}-"))));
}

#[test]
fn a_rollout_keeps_within_surge_and_unavailability_and_can_be_undone() {
    let timings = Timings { pod_starting: seconds(2), pod_stopping: seconds(1), ..Timings::default() };
    let mut cluster = Cluster::new(3).timed(timings);
    cluster.put(DEPLOYMENTS, "default", "web", deployment(3, "nginx:1"));
    assert_eq!(cluster.condition(DEPLOYMENTS, "web", "Available"), "False/MinimumReplicasUnavailable");
    assert_eq!(
        cluster.list("pods")[0].content()["status"]["containerStatuses"][0]["state"]["waiting"]["reason"],
        "ContainerCreating"
    );
    cluster.pass(3);
    assert_eq!(replicas(&cluster), [(3, 3)]);
    cluster.edit(DEPLOYMENTS, "web", |web| web["spec"]["template"]["spec"]["containers"][0]["image"] = json!("nginx:2"));
    assert_eq!(replicas(&cluster), [(3, 3), (1, 0)]);
    for _ in 0..30 {
        cluster.pass(1);
        let running: i64 = replicas(&cluster).iter().map(|(_, ready)| ready).sum();
        let wanted: i64 = replicas(&cluster).iter().map(|(wanted, _)| wanted).sum();
        assert!((3..=4).contains(&running) && wanted <= 4, "{:?}", replicas(&cluster));
    }
    assert_eq!(replicas(&cluster), [(0, 0), (3, 3)]);
    assert_eq!(cluster.condition(DEPLOYMENTS, "web", "Progressing"), "True/NewReplicaSetAvailable");
    // As kubectl rollout undo does it.
    cluster.edit(DEPLOYMENTS, "web", |web| web["spec"]["template"]["spec"]["containers"][0]["image"] = json!("nginx:1"));
    cluster.pass(30);
    assert_eq!(cluster.list(SETS).len(), 2, "the old set is used again");
    assert_eq!(cluster.get(DEPLOYMENTS, "web").unwrap()["metadata"]["annotations"]["deployment.kubernetes.io/revision"], "3");
    assert_eq!(replicas(&cluster), [(0, 0), (3, 3)]);
    assert_eq!(cluster.list("pods").len(), 3);
    // Scaling is not a rollout.
    cluster.edit(DEPLOYMENTS, "web", |web| web["spec"]["replicas"] = json!(5));
    cluster.pass(5);
    assert_eq!(replicas(&cluster), [(0, 0), (5, 5)]);
    cluster.edit(DEPLOYMENTS, "web", |web| web["spec"]["replicas"] = json!(0));
    cluster.pass(5);
    assert!(cluster.list("pods").is_empty());
}

#[test]
fn what_was_begun_goes_on_in_another_process() {
    let timings = Timings { pod_starting: seconds(5), pod_stopping: seconds(3), ..Timings::default() };
    let mut cluster = Cluster::new(2).timed(timings);
    cluster.put(DEPLOYMENTS, "default", "web", deployment(2, "nginx:1"));
    cluster.pass(2);
    cluster.restart();
    cluster.pass(4);
    assert_eq!(replicas(&cluster), [(2, 2)]);
    let revision = cluster.state.revision();
    cluster.restart();
    cluster.change(|_| ());
    assert_eq!(cluster.state.revision(), revision, "a cluster at rest is not written to");
}

#[test]
fn a_rollout_that_hangs_exceeds_its_deadline() {
    let mut cluster = Cluster::new(1);
    let mut web = deployment(1, "nginx:1");
    web["spec"]["progressDeadlineSeconds"] = json!(60);
    web["spec"]["template"]["metadata"]["annotations"] = json!({"boatyard.dev/fail": "ImagePullBackOff"});
    cluster.put(DEPLOYMENTS, "default", "web", web);
    let pods = cluster.list("pods");
    assert_eq!(pods[0].content()["status"]["containerStatuses"][0]["state"]["waiting"]["reason"], "ImagePullBackOff");
    cluster.pass(61);
    assert_eq!(cluster.condition(DEPLOYMENTS, "web", "Progressing"), "False/ProgressDeadlineExceeded");
    cluster.edit(DEPLOYMENTS, "web", |web| web["spec"]["template"]["metadata"]["annotations"] = json!({}));
    assert_eq!(cluster.condition(DEPLOYMENTS, "web", "Progressing"), "True/NewReplicaSetAvailable");
}

#[test]
fn recreate_ends_the_old_pods_first_and_a_paused_deployment_waits() {
    let timings = Timings { pod_stopping: seconds(2), ..Timings::default() };
    let mut cluster = Cluster::new(1).timed(timings);
    let mut web = deployment(2, "nginx:1");
    web["spec"]["strategy"] = json!({"type": "Recreate"});
    cluster.put(DEPLOYMENTS, "default", "web", web);
    cluster.edit(DEPLOYMENTS, "web", |web| {
        web["spec"]["paused"] = json!(true);
        web["spec"]["template"]["spec"]["containers"][0]["image"] = json!("nginx:2");
    });
    assert_eq!(replicas(&cluster), [(2, 2)]);
    assert_eq!(cluster.condition(DEPLOYMENTS, "web", "Progressing"), "Unknown/DeploymentPaused");
    cluster.edit(DEPLOYMENTS, "web", |web| web["spec"]["paused"] = json!(false));
    assert_eq!(replicas(&cluster), [(0, 0)], "no Pod of the new template while old ones stop");
    cluster.pass(3);
    assert_eq!(replicas(&cluster), [(0, 0), (2, 2)]);
}

#[test]
fn a_pod_that_fits_nowhere_says_why_and_is_tried_again() {
    let mut cluster = Cluster::new(3);
    cluster
        .edit("nodes", "10.0.0.0", |node| node["spec"]["taints"] = json!([{"key": "a", "value": "b", "effect": "NoSchedule"}]));
    let big = json!({"containers": [{"name": "main", "image": "busybox", "resources": {"requests": {"cpu": "5"}}}]});
    cluster.put("pods", "default", "big", pod(big));
    let message = "0/3 nodes are available: 1 node(s) had untolerated taint {a: b}, 2 Insufficient cpu. preemption: 0/3 nodes are available: 3 Preemption is not helpful for scheduling.";
    assert_eq!(cluster.condition("pods", "big", "PodScheduled"), "False/Unschedulable");
    assert_eq!(cluster.message("pods", "big", "PodScheduled"), message);
    assert_eq!(cluster.told("FailedScheduling"), [message]);
    cluster.edit("nodes", "10.0.0.1", |node| node["status"]["allocatable"]["cpu"] = json!("8"));
    assert_eq!(cluster.get("pods", "big").unwrap()["spec"]["nodeName"], "10.0.0.1");
    assert_eq!(cluster.told("Scheduled"), ["Successfully assigned default/big to 10.0.0.1"]);
    // The second waits for the first to end.
    let big = json!({"containers": [{"name": "main", "image": "busybox", "resources": {"requests": {"cpu": "5"}}}]});
    cluster.put("pods", "default", "later", pod(big));
    assert_eq!(cluster.condition("pods", "later", "PodScheduled"), "False/Unschedulable");
    cluster.delete("pods", "default", "big", None);
    assert_eq!(cluster.get("pods", "later").unwrap()["spec"]["nodeName"], "10.0.0.1");
}

#[test]
fn selectors_taints_and_neighbours_decide_where_a_pod_goes() {
    let mut cluster = Cluster::new(3);
    cluster.edit("nodes", "10.0.0.2", |node| node["spec"]["unschedulable"] = json!(true));
    let anti = json!({"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [
        {"labelSelector": {"matchLabels": {"app": "web"}}, "topologyKey": "kubernetes.io/hostname"},
    ]}});
    for name in ["a", "b", "c"] {
        cluster.put("pods", "default", name, pod(json!({"affinity": anti})));
    }
    let on = |cluster: &Cluster, name: &str| text(&cluster.get("pods", name).unwrap(), "/spec/nodeName").to_owned();
    assert_ne!(on(&cluster, "a"), on(&cluster, "b"));
    assert_eq!(on(&cluster, "c"), "");
    assert!(
        cluster.message("pods", "c", "PodScheduled").starts_with(
            "0/3 nodes are available: 1 node(s) were unschedulable, 2 node(s) didn't match pod anti-affinity rules. preemption:"
        ),
        "{}",
        cluster.message("pods", "c", "PodScheduled")
    );
    cluster.edit("nodes", "10.0.0.2", |node| node["spec"]["unschedulable"] = json!(false));
    assert_eq!(on(&cluster, "c"), "10.0.0.2");
    cluster.put("pods", "default", "s", pod(json!({"nodeSelector": {"topology.kubernetes.io/zone": "us-south-9"}})));
    assert!(
        cluster
            .message("pods", "s", "PodScheduled")
            .starts_with("0/3 nodes are available: 3 node(s) didn't match Pod's node affinity/selector.")
    );
}

#[test]
fn a_pod_waits_for_what_it_mounts() {
    let mut cluster = Cluster::new(1);
    let spec = json!({"volumes": [{"name": "config", "configMap": {"name": "settings"}}]});
    cluster.put("pods", "default", "p", pod(spec));
    assert_eq!(
        cluster.told("FailedMount"),
        ["MountVolume.SetUp failed for volume \"config\" : configmap \"settings\" not found"]
    );
    let spec = json!({"containers": [{"name": "main", "image": "i", "envFrom": [{"secretRef": {"name": "token"}}]}]});
    cluster.put("pods", "default", "q", pod(spec));
    assert_eq!(
        cluster.get("pods", "q").unwrap()["status"]["containerStatuses"][0]["state"]["waiting"]["reason"],
        "CreateContainerConfigError"
    );
    cluster.put("configmaps", "default", "settings", json!({"apiVersion": "v1", "kind": "ConfigMap"}));
    cluster.put("secrets", "default", "token", json!({"apiVersion": "v1", "kind": "Secret"}));
    for name in ["p", "q"] {
        assert_eq!(cluster.condition("pods", name, "Ready"), "True/");
    }
}

#[test]
fn pods_leave_a_node_that_is_not_ready_and_go_with_one_that_is_gone() {
    let mut cluster = Cluster::new(2);
    cluster.put(DEPLOYMENTS, "default", "web", deployment(2, "nginx"));
    cluster.edit("nodes", "10.0.0.0", |node| node["status"]["conditions"][0]["status"] = json!("False"));
    assert_eq!(replicas(&cluster), [(2, 1)]);
    cluster.pass(299);
    assert_eq!(cluster.list("pods").len(), 2);
    cluster.pass(2);
    assert_eq!(replicas(&cluster), [(2, 2)], "another one on the other node");
    assert_eq!(cluster.list("pods").len(), 3, "the node does not say that the old one has stopped");
    cluster.delete("nodes", "", "10.0.0.0", None);
    assert_eq!(cluster.list("pods").len(), 2);
}

#[test]
fn a_drain_respects_budgets() {
    let mut cluster = Cluster::new(2);
    cluster.put(DEPLOYMENTS, "default", "web", deployment(2, "nginx"));
    let budget = json!({
        "apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"generation": 1},
        "spec": {"minAvailable": 2, "selector": {"matchLabels": {"app": "web"}}},
    });
    cluster.put("poddisruptionbudgets.policy", "default", "web", budget);
    let status = cluster.get("poddisruptionbudgets.policy", "web").unwrap()["status"].clone();
    assert_eq!((&status["disruptionsAllowed"], &status["currentHealthy"]), (&json!(0), &json!(2)));
    let first = cluster.names("pods").remove(0);
    let refused = cluster.evict(&first).unwrap_err();
    assert_eq!((refused.code, refused.reason), (429, "TooManyRequests"));
    assert_eq!(refused.message, "Cannot evict pod as it would violate the pod's disruption budget.");
    let cause = &refused.details.unwrap().causes[0];
    assert_eq!(
        (cause.reason, &*cause.message),
        ("DisruptionBudget", "The disruption budget web needs 2 healthy pods and has 2 currently")
    );
    cluster.edit("poddisruptionbudgets.policy", "web", |budget| budget["spec"]["minAvailable"] = json!(1));
    cluster.evict(&first).unwrap();
    assert_eq!(cluster.list("pods").len(), 2, "another one takes its place");
    assert!(!cluster.names("pods").contains(&first));
}

#[test]
fn dependents_go_before_or_after_their_owner_or_stay() {
    let timings = Timings { pod_stopping: seconds(2), ..Timings::default() };
    for (propagation, at_once, later) in [
        (None, (0, 0, 2), (0, 0, 0)),
        (Some(Propagation::Background), (0, 0, 2), (0, 0, 0)),
        (Some(Propagation::Foreground), (1, 1, 2), (0, 0, 0)),
        (Some(Propagation::Orphan), (0, 1, 2), (0, 1, 2)),
    ] {
        let mut cluster = Cluster::new(1).timed(timings);
        cluster.put(DEPLOYMENTS, "default", "web", deployment(2, "nginx"));
        cluster.delete(DEPLOYMENTS, "default", "web", propagation);
        let counts =
            |cluster: &Cluster| (cluster.list(DEPLOYMENTS).len(), cluster.list(SETS).len(), cluster.list("pods").len());
        assert_eq!(counts(&cluster), at_once, "{propagation:?}");
        cluster.pass(3);
        assert_eq!(counts(&cluster), later, "{propagation:?}");
        assert!(cluster.list(SETS).iter().all(|set| set.owners().is_empty()));
    }
}

#[test]
fn a_secret_for_the_token_of_an_account_goes_with_it() {
    let mut cluster = Cluster::new(1);
    let secret = |account: &str, kind: &str| json!({"metadata": {"annotations": {"kubernetes.io/service-account.name": account}}, "type": kind});
    let token = "kubernetes.io/service-account-token";
    for account in ["robot", "other"] {
        cluster.put("serviceaccounts", "default", account, json!({}));
    }
    for (name, account, kind) in [
        ("of-robot", "robot", token),
        ("of-other", "other", token),
        ("opaque", "robot", "Opaque"),
        ("of-nobody", "nobody", token),
    ] {
        cluster.put("secrets", "default", name, secret(account, kind));
    }
    assert_eq!(cluster.names("secrets"), ["of-other", "of-robot", "opaque"], "there is nobody whose token one could hold");
    cluster.delete("serviceaccounts", "default", "robot", None);
    assert_eq!(cluster.names("secrets"), ["of-other", "opaque"]);
}

#[test]
fn a_namespace_ends_when_it_is_empty() {
    let mut cluster = Cluster::new(1);
    cluster.put(
        "namespaces",
        "",
        "shop",
        json!({"apiVersion": "v1", "kind": "Namespace", "spec": {"finalizers": ["kubernetes"]}}),
    );
    assert!(cluster.state.find("serviceaccounts", "shop", "default").is_some());
    assert!(cluster.state.find("configmaps", "shop", "kube-root-ca.crt").is_some());
    cluster.put(DEPLOYMENTS, "shop", "web", deployment(2, "nginx"));
    let held = json!({"apiVersion": "example.com/v1", "kind": "Thing", "metadata": {"finalizers": ["example.com/keep"]}});
    cluster.put("things.example.com", "shop", "one", held);
    cluster.delete("namespaces", "", "shop", None);
    assert_eq!(cluster.get("namespaces", "shop").unwrap()["status"]["phase"], "Terminating");
    assert_eq!(
        cluster.message("namespaces", "shop", "NamespaceContentRemaining"),
        "Some resources are remaining: things.example.com has 1 resource instances"
    );
    assert_eq!(
        cluster.message("namespaces", "shop", "NamespaceFinalizersRemaining"),
        "Some content in the namespace has finalizers remaining: example.com/keep in 1 resource instances"
    );
    cluster.change(|txn| {
        let key = boatyard_kube::Key::new("things.example.com", "shop", "one");
        txn.edit(&key, |thing| thing["metadata"]["finalizers"] = json!([]));
    });
    assert!(cluster.get("namespaces", "shop").is_none());
    assert!(cluster.state.all().all(|object| &*object.key.namespace != "shop"));
}

#[test]
fn events_are_forgotten_after_an_hour() {
    let mut cluster = Cluster::new(1);
    cluster.put("pods", "default", "p", pod(json!({})));
    assert!(!cluster.list("events").is_empty());
    cluster.pass(3_700);
    assert!(cluster.list("events").is_empty());
    assert!(array(&cluster.get("pods", "p").unwrap(), "/status/conditions").len() >= 5);
}
