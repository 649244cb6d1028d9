//! Stories of Jobs, CronJobs, StatefulSets, DaemonSets, Services and claims, and one property of everything.

#![allow(clippy::unwrap_used, reason = "a test fails where it is")]

mod stories;

use boatyard_kube::lifecycle::{self, DeleteOptions, Propagation};
use boatyard_kube::object::{array, number, text};
use boatyard_kube::world::Timings;
use boatyard_kube::{Key, State, Txn, World, controllers};
use proptest::prelude::*;
use serde_json::{Value, json};
use stories::{Cluster, DEPLOYMENTS, SETS, deployment, pod, seconds};

const JOBS: &str = "jobs.batch";
const STATEFUL: &str = "statefulsets.apps";
const DAEMONS: &str = "daemonsets.apps";
const CLAIMS: &str = "persistentvolumeclaims";

fn job(spec: Value) -> Value {
    let mut job = json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"generation": 1}, "spec": {
        "completions": 1, "parallelism": 1, "backoffLimit": 6,
        "template": {"metadata": {}, "spec": {"restartPolicy": "Never", "containers": [{"name": "work", "image": "busybox"}]}},
    }});
    for (name, value) in spec.as_object().unwrap() {
        job["spec"][name] = value.clone();
    }
    job
}

#[test]
fn a_job_ends_when_enough_pods_have_succeeded() {
    let mut cluster = Cluster::new(2).timed(Timings { job_running: seconds(5), ..Timings::default() });
    cluster.put(JOBS, "default", "sum", job(json!({"completions": 3, "parallelism": 2, "ttlSecondsAfterFinished": 60})));
    let status = |cluster: &Cluster| cluster.get(JOBS, "sum").unwrap()["status"].clone();
    assert_eq!((&status(&cluster)["active"], &status(&cluster)["ready"]), (&json!(2), &json!(2)));
    cluster.pass(6);
    assert_eq!((&status(&cluster)["active"], &status(&cluster)["succeeded"]), (&json!(1), &json!(2)));
    cluster.pass(6);
    assert_eq!(cluster.condition(JOBS, "sum", "Complete"), "True/CompletionsReached");
    assert_eq!((&status(&cluster)["active"], &status(&cluster)["succeeded"]), (&Value::Null, &json!(3)));
    assert_eq!(cluster.told("Completed"), ["Job completed"]);
    cluster.pass(61);
    assert!(cluster.get(JOBS, "sum").is_none() && cluster.list("pods").is_empty());
}

#[test]
fn a_job_fails_when_too_many_pods_have_or_it_takes_too_long() {
    let mut cluster = Cluster::new(1);
    let failing = json!({"metadata": {"annotations": {"boatyard.dev/exit-code": "3"}},
        "spec": {"restartPolicy": "Never", "containers": [{"name": "work", "image": "busybox"}]}});
    cluster.put(JOBS, "default", "bad", job(json!({"backoffLimit": 2, "template": failing})));
    assert_eq!(cluster.condition(JOBS, "bad", "Failed"), "True/BackoffLimitExceeded");
    assert_eq!(cluster.get(JOBS, "bad").unwrap()["status"]["failed"], 3);
    assert_eq!(cluster.list("pods")[0].content()["status"]["containerStatuses"][0]["state"]["terminated"]["exitCode"], 3);
    cluster.world.timings.job_running = seconds(100);
    cluster.put(JOBS, "default", "slow", job(json!({"activeDeadlineSeconds": 10})));
    cluster.pass(11);
    assert_eq!(cluster.condition(JOBS, "slow", "Failed"), "True/DeadlineExceeded");
    cluster.put(JOBS, "default", "later", job(json!({"suspend": true})));
    assert_eq!(cluster.condition(JOBS, "later", "Suspended"), "True/JobSuspended");
    cluster.edit(JOBS, "later", |job| job["spec"]["suspend"] = json!(false));
    assert_eq!(cluster.condition(JOBS, "later", "Suspended"), "False/JobResumed");
    assert_eq!(cluster.get(JOBS, "later").unwrap()["status"]["active"], 1);
}

#[test]
fn an_indexed_job_has_a_pod_for_each_number() {
    let mut cluster = Cluster::new(2);
    cluster.put(JOBS, "default", "map", job(json!({"completions": 4, "parallelism": 2, "completionMode": "Indexed"})));
    assert_eq!(cluster.get(JOBS, "map").unwrap()["status"]["completedIndexes"], "0-3");
    let mut pods = cluster.names("pods");
    pods.iter_mut().for_each(|name| name.truncate("map-0".len()));
    assert_eq!(pods, ["map-0", "map-1", "map-2", "map-3"]);
}

#[test]
fn a_cron_job_makes_jobs_when_its_schedule_says_so() {
    let mut cluster = Cluster::new(1);
    let cron = json!({"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"generation": 1}, "spec": {
        "schedule": "*/10 * * * *", "concurrencyPolicy": "Forbid", "successfulJobsHistoryLimit": 2,
        "jobTemplate": {"spec": job(json!({}))["spec"]},
    }});
    cluster.put("cronjobs.batch", "default", "tick", cron);
    assert!(cluster.list(JOBS).is_empty());
    cluster.pass(9 * 60);
    assert!(cluster.list(JOBS).is_empty());
    cluster.pass(60);
    let minutes = cluster.now.as_second() / 60;
    assert_eq!(cluster.names(JOBS), [format!("tick-{minutes}")]);
    let status = cluster.get("cronjobs.batch", "tick").unwrap()["status"].clone();
    assert_eq!(
        (text(&status, "/lastScheduleTime"), text(&status, "/lastSuccessfulTime")),
        ("2026-01-31T12:10:00Z", "2026-01-31T12:10:00Z")
    );
    cluster.pass(40 * 60);
    assert_eq!(cluster.list(JOBS).len(), 2, "the history is limited");
    cluster.edit("cronjobs.batch", "tick", |cron| cron["spec"]["suspend"] = json!(true));
    let before = cluster.names(JOBS);
    cluster.pass(3_600);
    assert_eq!(cluster.names(JOBS), before);
    // Nobody runs while one does.
    cluster.world.timings.job_running = seconds(25 * 60);
    cluster.edit("cronjobs.batch", "tick", |cron| cron["spec"]["suspend"] = json!(false));
    cluster.pass(15 * 60);
    assert_eq!(array(&cluster.get("cronjobs.batch", "tick").unwrap(), "/status/active").len(), 1);
    assert_eq!(cluster.told("JobAlreadyActive").len(), 1);
}

fn stateful(replicas: i64, image: &str) -> Value {
    json!({"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"generation": 1}, "spec": {
        "replicas": replicas, "serviceName": "db", "selector": {"matchLabels": {"app": "db"}},
        "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}},
        "template": {"metadata": {"labels": {"app": "db"}}, "spec": {"containers": [{"name": "db", "image": image}]}},
        "volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": {
            "accessModes": ["ReadWriteOnce"], "storageClassName": "gold", "resources": {"requests": {"storage": "10Gi"}},
        }}],
    }})
}

fn class(cluster: &mut Cluster, mode: &str, reclaim: &str) {
    let class = json!({
        "apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "provisioner": "vpc.block.csi.ibm.io", "reclaimPolicy": reclaim,
        "volumeBindingMode": mode,
    });
    cluster.put("storageclasses.storage.k8s.io", "", "gold", class);
}

#[test]
fn a_stateful_set_goes_up_in_order_and_down_in_the_other() {
    let mut cluster =
        Cluster::new(3).timed(Timings { pod_starting: seconds(2), pod_stopping: seconds(1), ..Timings::default() });
    class(&mut cluster, "WaitForFirstConsumer", "Delete");
    cluster.put(STATEFUL, "default", "db", stateful(3, "postgres:1"));
    assert_eq!(cluster.names("pods"), ["db-0"]);
    cluster.pass(2);
    assert_eq!(cluster.names("pods"), ["db-0", "db-1"]);
    cluster.pass(5);
    assert_eq!(cluster.names("pods"), ["db-0", "db-1", "db-2"]);
    assert_eq!(cluster.names(CLAIMS), ["data-db-0", "data-db-1", "data-db-2"]);
    let first = cluster.get("pods", "db-0").unwrap();
    assert_eq!((text(&first, "/spec/hostname"), text(&first, "/spec/subdomain")), ("db-0", "db"));
    assert_eq!(first["metadata"]["labels"]["apps.kubernetes.io/pod-index"], "0");
    let status = cluster.get(STATEFUL, "db").unwrap()["status"].clone();
    assert_eq!((&status["readyReplicas"], &status["currentRevision"]), (&json!(3), &status["updateRevision"]));
    // A new template comes from the last to the first, one at a time.
    cluster.edit(STATEFUL, "db", |db| db["spec"]["template"]["spec"]["containers"][0]["image"] = json!("postgres:2"));
    let images = |cluster: &Cluster| {
        let of = |pod: &Value| text(pod, "/spec/containers/0/image").replace("postgres:", "");
        cluster.list("pods").iter().map(|pod| of(pod.content())).collect::<String>()
    };
    let mut seen = vec![images(&cluster)];
    for _ in 0..20 {
        cluster.pass(1);
        if seen.last() != Some(&images(&cluster)) {
            seen.push(images(&cluster));
        }
    }
    assert_eq!(seen, ["111", "112", "122", "222"]);
    assert_eq!(cluster.list("controllerrevisions.apps").len(), 2);
    let status = cluster.get(STATEFUL, "db").unwrap()["status"].clone();
    assert_eq!((&status["updatedReplicas"], &status["currentRevision"]), (&json!(3), &status["updateRevision"]));
    cluster.edit(STATEFUL, "db", |db| db["spec"]["replicas"] = json!(1));
    cluster.pass(1);
    assert_eq!(cluster.names("pods"), ["db-0", "db-1"]);
    cluster.pass(1);
    assert_eq!(cluster.names("pods"), ["db-0"]);
    assert_eq!(cluster.list(CLAIMS).len(), 3, "claims stay");
}

#[test]
fn a_partition_keeps_the_old_template_below_it() {
    let mut cluster = Cluster::new(1);
    class(&mut cluster, "Immediate", "Delete");
    cluster.put(STATEFUL, "default", "db", stateful(3, "postgres:1"));
    cluster.edit(STATEFUL, "db", |db| {
        db["spec"]["updateStrategy"]["rollingUpdate"]["partition"] = json!(2);
        db["spec"]["template"]["spec"]["containers"][0]["image"] = json!("postgres:2");
    });
    cluster.delete("pods", "default", "db-0", None);
    let images: Vec<String> =
        cluster.list("pods").iter().map(|pod| text(pod.content(), "/spec/containers/0/image").to_owned()).collect();
    assert_eq!(images, ["postgres:1", "postgres:1", "postgres:2"]);
    let status = cluster.get(STATEFUL, "db").unwrap()["status"].clone();
    assert_eq!((&status["currentReplicas"], &status["updatedReplicas"]), (&json!(2), &json!(1)));
    assert_ne!(status["currentRevision"], status["updateRevision"]);
}

#[test]
fn a_daemon_set_has_a_pod_on_each_node_that_will_have_it() {
    let mut cluster = Cluster::new(2);
    let set = json!({"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"generation": 1}, "spec": {
        "selector": {"matchLabels": {"app": "agent"}},
        "template": {"metadata": {"labels": {"app": "agent"}}, "spec": {"containers": [{"name": "agent", "image": "agent:1"}]}},
    }});
    cluster.put(DAEMONS, "default", "agent", set);
    let status = |cluster: &Cluster, name: &str| {
        number(&cluster.get(DAEMONS, "agent").unwrap(), &format!("/status/{name}")).unwrap_or(0)
    };
    assert_eq!((status(&cluster, "desiredNumberScheduled"), status(&cluster, "numberReady")), (2, 2));
    cluster.node("10.0.0.9", "us-south-3");
    assert_eq!(status(&cluster, "numberReady"), 3);
    cluster.edit("nodes", "10.0.0.9", |node| node["spec"]["unschedulable"] = json!(true));
    assert_eq!(status(&cluster, "numberReady"), 3, "it bears that");
    cluster.edit("nodes", "10.0.0.9", |node| node["spec"]["taints"] = json!([{"key": "a", "effect": "NoExecute"}]));
    assert_eq!((status(&cluster, "desiredNumberScheduled"), cluster.list("pods").len()), (2, 2));
    cluster.edit(DAEMONS, "agent", |set| set["spec"]["template"]["spec"]["containers"][0]["image"] = json!("agent:2"));
    assert_eq!((status(&cluster, "updatedNumberScheduled"), status(&cluster, "numberAvailable")), (2, 2));
    assert!(cluster.list("pods").iter().all(|pod| text(pod.content(), "/spec/containers/0/image") == "agent:2"));
}

#[test]
fn a_service_has_endpoints_and_a_load_balancer_an_address() {
    let mut cluster = Cluster::new(2).timed(Timings { provisioning: seconds(30), ..Timings::default() });
    let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {}, "spec": {
        "type": "LoadBalancer", "clusterIP": "172.21.0.9", "selector": {"app": "web"},
        "ports": [{"name": "http", "port": 80, "protocol": "TCP", "targetPort": 8080}],
    }});
    cluster.put("services", "default", "web", service);
    cluster.put(DEPLOYMENTS, "default", "web", deployment(3, "nginx"));
    let endpoints = cluster.get("endpoints", "web").unwrap();
    assert_eq!(array(&endpoints, "/subsets/0/addresses").len(), 3);
    assert_eq!(endpoints["subsets"][0]["ports"], json!([{"name": "http", "port": 8080, "protocol": "TCP"}]));
    let slices = cluster.list("endpointslices.discovery.k8s.io");
    let slice = slices[0].content();
    assert_eq!((slices.len(), array(slice, "/endpoints").len(), text(slice, "/endpoints/0/zone")), (1, 3, "us-south-1"));
    assert_eq!(slice["metadata"]["labels"]["kubernetes.io/service-name"], "web");
    let first = cluster.names("pods").remove(0);
    cluster.edit("pods", &first, |pod| pod["metadata"]["annotations"] = json!({"boatyard.dev/fail": "NotReady"}));
    let endpoints = cluster.get("endpoints", "web").unwrap();
    let count = |list: &str| array(&endpoints, &format!("/subsets/0/{list}")).len();
    assert_eq!((count("addresses"), count("notReadyAddresses")), (2, 1));
    let ingress = |cluster: &Cluster| cluster.get("services", "web").unwrap()["status"]["loadBalancer"]["ingress"][0].clone();
    assert_eq!(ingress(&cluster), Value::Null);
    cluster.pass(31);
    let hostname = ingress(&cluster)["hostname"].as_str().unwrap().to_owned();
    assert!(hostname.ends_with("-us-south.lb.appdomain.cloud"), "{hostname}");
    cluster.put(
        "ingresses.networking.k8s.io",
        "default",
        "web",
        json!({"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "spec": {}}),
    );
    let hostname =
        cluster.get("ingresses.networking.k8s.io", "web").unwrap()["status"]["loadBalancer"]["ingress"][0]["hostname"].clone();
    assert_eq!(hostname, "demo.us-south.containers.appdomain.cloud");
    cluster.delete("services", "default", "web", None);
    assert!(cluster.list("endpoints").is_empty() && cluster.list("endpointslices.discovery.k8s.io").is_empty());
}

fn claim(class: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"finalizers": ["kubernetes.io/pvc-protection"]}, "spec": {
        "accessModes": ["ReadWriteOnce"], "storageClassName": class, "resources": {"requests": {"storage": "10Gi"}},
    }})
}

#[test]
fn a_claim_is_bound_in_time_and_protected_while_used() {
    let mut cluster = Cluster::new(2).timed(Timings { provisioning: seconds(10), ..Timings::default() });
    class(&mut cluster, "WaitForFirstConsumer", "Delete");
    cluster.put(CLAIMS, "default", "data", claim("gold"));
    assert_eq!(cluster.told("WaitForFirstConsumer"), ["waiting for first consumer to be created before binding"]);
    let mounts = json!({"volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]});
    cluster.put("pods", "default", "p", pod(mounts.clone()));
    let phase = |cluster: &Cluster| text(&cluster.get(CLAIMS, "data").unwrap(), "/status/phase").to_owned();
    assert_eq!(phase(&cluster), "Pending");
    cluster.restart();
    cluster.pass(11);
    assert_eq!(phase(&cluster), "Bound");
    assert_eq!(cluster.condition("pods", "p", "Ready"), "True/");
    let volume = cluster.list("persistentvolumes").remove(0);
    assert_eq!(
        volume.content()["spec"]["nodeAffinity"]["required"]["nodeSelectorTerms"][0]["matchExpressions"][0]["values"],
        json!(["us-south-1"])
    );
    cluster.delete(CLAIMS, "default", "data", None);
    assert_eq!(phase(&cluster), "Bound", "the Pod holds it");
    cluster.delete("pods", "default", "p", None);
    assert!(cluster.get(CLAIMS, "data").is_none());
    assert!(cluster.list("persistentvolumes").is_empty(), "nothing retains the volume");
    cluster.put(CLAIMS, "default", "other", claim("none"));
    assert_eq!(cluster.told("ProvisioningFailed"), ["storageclass.storage.k8s.io \"none\" not found"]);
    let missing = json!({"volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "missing"}}]});
    cluster.put("pods", "default", "q", pod(missing));
    assert!(
        cluster
            .message("pods", "q", "PodScheduled")
            .starts_with("0/2 nodes are available: persistentvolumeclaim \"missing\" not found.")
    );
}

#[test]
fn a_retained_volume_is_released() {
    let mut cluster = Cluster::new(1);
    class(&mut cluster, "Immediate", "Retain");
    cluster.put(CLAIMS, "default", "data", claim("gold"));
    cluster.delete(CLAIMS, "default", "data", None);
    assert_eq!(cluster.list("persistentvolumes")[0].content()["status"]["phase"], "Released");
}

#[test]
fn quotas_and_autoscalers_tell_what_is() {
    let mut cluster = Cluster::new(1);
    let quota = json!({"apiVersion": "v1", "kind": "ResourceQuota", "spec": {"hard": {"pods": "10", "requests.cpu": "4", "count/deployments.apps": "2"}}});
    cluster.put("resourcequotas", "default", "q", quota);
    let mut web = deployment(2, "nginx");
    web["spec"]["template"]["spec"]["containers"][0]["resources"] = json!({"requests": {"cpu": "250m"}});
    cluster.put(DEPLOYMENTS, "default", "web", web);
    let used = cluster.get("resourcequotas", "q").unwrap()["status"]["used"].clone();
    assert_eq!(used, json!({"pods": "2", "requests.cpu": "500m", "count/deployments.apps": "1"}));
    let scaler = json!({"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "spec": {
        "minReplicas": 3, "maxReplicas": 5, "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
        "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}}}],
    }});
    cluster.put("horizontalpodautoscalers.autoscaling", "default", "web", scaler);
    assert_eq!(cluster.list("pods").len(), 3, "the least holds without metrics");
    let status = cluster.get("horizontalpodautoscalers.autoscaling", "web").unwrap()["status"].clone();
    assert_eq!((&status["currentReplicas"], &status["desiredReplicas"]), (&json!(3), &json!(3)));
    assert_eq!(
        cluster.condition("horizontalpodautoscalers.autoscaling", "web", "ScalingActive"),
        "False/FailedGetResourceMetric"
    );
}

#[test]
fn a_crash_loop_backs_off() {
    let mut cluster = Cluster::new(1);
    let mut crashing = pod(json!({"restartPolicy": "Always"}));
    crashing["metadata"]["annotations"] = json!({"boatyard.dev/fail": "CrashLoopBackOff"});
    cluster.put("pods", "default", "p", crashing);
    let status = |cluster: &Cluster| cluster.get("pods", "p").unwrap()["status"]["containerStatuses"][0].clone();
    assert_eq!(status(&cluster)["state"]["waiting"]["reason"], "CrashLoopBackOff");
    cluster.pass(35);
    assert_eq!(status(&cluster)["restartCount"], 3);
    cluster.edit("pods", "p", |pod| pod["metadata"]["annotations"] = json!({}));
    assert_eq!(cluster.condition("pods", "p", "Ready"), "True/");
    assert_eq!(status(&cluster)["restartCount"], 3);
}

#[test]
fn a_write_that_concerns_nobody_costs_next_to_nothing() {
    let mut cluster = Cluster::new(3);
    cluster.put(DEPLOYMENTS, "default", "web", deployment(50, "nginx"));
    let mut txn = Txn::new(cluster.state.clone(), cluster.now);
    txn.put(Key::new("configmaps", "default", "settings"), json!({"apiVersion": "v1", "kind": "ConfigMap"}));
    let written = txn.touched().len();
    controllers::run(&mut txn, &cluster.world);
    assert_eq!(txn.touched().len(), written);
}

/// What somebody does to a cluster.
#[derive(Clone, Debug)]
enum Deed {
    Create(u8, i64),
    Scale(u8, i64),
    Image(u8, u8),
    Delete(u8, u8),
    Pod(u8),
    Cordon(u8, bool),
    Pass(i64),
    Restart,
}

fn deed() -> impl Strategy<Value = Deed> {
    prop_oneof![
        (0..3_u8, 0..5_i64).prop_map(|(n, r)| Deed::Create(n, r)),
        (0..3_u8, 0..6_i64).prop_map(|(n, r)| Deed::Scale(n, r)),
        (0..3_u8, 0..4_u8).prop_map(|(n, i)| Deed::Image(n, i)),
        (0..3_u8, 0..4_u8).prop_map(|(n, p)| Deed::Delete(n, p)),
        any::<u8>().prop_map(Deed::Pod),
        (0..3_u8, any::<bool>()).prop_map(|(n, c)| Deed::Cordon(n, c)),
        (0..8_i64).prop_map(Deed::Pass),
        Just(Deed::Restart),
    ]
}

fn perform(cluster: &mut Cluster, deed: &Deed) {
    let name = |n: &u8| format!("web-{n}");
    let there = |cluster: &Cluster, n: &u8| cluster.get(DEPLOYMENTS, &name(n)).is_some();
    match deed {
        Deed::Create(n, replicas) if !there(cluster, n) => {
            let mut web = deployment(*replicas, "nginx:0");
            for pointer in ["/spec/selector/matchLabels/app", "/spec/template/metadata/labels/app"] {
                *web.pointer_mut(pointer).unwrap() = json!(name(n));
            }
            cluster.put(DEPLOYMENTS, "default", &name(n), web);
        }
        Deed::Scale(n, replicas) if there(cluster, n) => {
            cluster.edit(DEPLOYMENTS, &name(n), |web| web["spec"]["replicas"] = json!(replicas))
        }
        Deed::Image(n, image) if there(cluster, n) => {
            let image = format!("nginx:{image}");
            cluster.edit(DEPLOYMENTS, &name(n), |web| web["spec"]["template"]["spec"]["containers"][0]["image"] = json!(image));
        }
        Deed::Delete(n, how) => {
            let how = [None, Some(Propagation::Foreground), Some(Propagation::Background), None][usize::from(*how)];
            cluster.delete(DEPLOYMENTS, "default", &name(n), how);
        }
        Deed::Pod(n) => {
            let pods = cluster.names("pods");
            if let Some(pod) = pods.get(usize::from(*n) % pods.len().max(1)) {
                cluster.delete("pods", "default", pod, None);
            }
        }
        Deed::Cordon(n, cordoned) => {
            cluster.edit("nodes", &format!("10.0.0.{n}"), |node| node["spec"]["unschedulable"] = json!(cordoned));
        }
        Deed::Pass(seconds) => cluster.pass(*seconds),
        Deed::Restart => cluster.restart(),
        _ => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_done_deployments_become_what_they_say(deeds in prop::collection::vec(deed(), 1..25), slow in any::<bool>()) {
        let timings = if slow { Timings { pod_starting: seconds(2), pod_stopping: seconds(1), ..Timings::default() } } else { Timings::default() };
        let mut cluster = Cluster::new(3).timed(timings);
        for deed in &deeds {
            perform(&mut cluster, deed);
        }
        for n in 0..3 {
            perform(&mut cluster, &Deed::Cordon(n, false));
        }
        cluster.pass(120);
        for deployment in cluster.list(DEPLOYMENTS) {
            let content = deployment.content();
            let wanted = number(content, "/spec/replicas").unwrap();
            for count in ["replicas", "updatedReplicas", "availableReplicas"] {
                prop_assert_eq!(number(content, &format!("/status/{count}")).unwrap_or(0), wanted, "{} of {}", count, content);
            }
        }
        let uids: Vec<String> = cluster.list(SETS).iter().chain(&cluster.list(DEPLOYMENTS)).map(|o| o.uid().to_owned()).collect();
        for object in cluster.list("pods").iter().chain(&cluster.list(SETS)) {
            let owner = object.controller().map(|owner| text(owner, "/uid").to_owned());
            prop_assert!(owner.is_some_and(|owner| uids.contains(&owner)), "{} is nobody's", object.key);
            prop_assert!(!object.is_terminating(), "{} does not end", object.key);
        }
        cluster.restart();
        let revision = cluster.state.revision();
        cluster.change(|_| ());
        prop_assert_eq!(cluster.state.revision(), revision, "there is rest");
    }
}

#[test]
fn hundreds_of_pods_are_bearable() {
    let mut cluster = Cluster::new(0);
    for i in 0..20 {
        cluster.node(&format!("10.0.1.{i}"), "us-south-1");
    }
    cluster.put(DEPLOYMENTS, "default", "web", deployment(500, "nginx"));
    assert_eq!(cluster.get(DEPLOYMENTS, "web").unwrap()["status"]["availableReplicas"], 500);
    assert!(cluster.list("events").len() <= 510);
    let mut txn = Txn::new(State::default(), cluster.now);
    assert!(lifecycle::delete(&mut txn, &Key::new("pods", "default", "none"), &DeleteOptions::default()).is_none());
    controllers::run(&mut txn, &World::default());
}
