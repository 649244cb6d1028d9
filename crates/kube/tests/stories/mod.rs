//! A cluster for stories: objects, a clock, controllers.

#![allow(dead_code, reason = "each story uses a part of it")]

use std::sync::Arc;

use boatyard_kube::journal::Saved;
use boatyard_kube::lifecycle::{self, DeleteOptions, Propagation};
use boatyard_kube::object::{Key, Object, array, member, number, text};
use boatyard_kube::world::Timings;
use boatyard_kube::{State, Status, Txn, World, controllers};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

pub const DEPLOYMENTS: &str = "deployments.apps";
pub const SETS: &str = "replicasets.apps";

pub struct Cluster {
    pub state: State,
    pub world: World,
    pub now: Timestamp,
    pub wake: Option<Timestamp>,
}

impl Cluster {
    /// A cluster with so many nodes, in zones of which each has two, where everything happens at once.
    pub fn new(nodes: usize) -> Self {
        let world = World {
            id: "cluster".to_owned(),
            region: "us-south".to_owned(),
            provider: "vpc-gen2".to_owned(),
            pod_subnet: "172.17.0.0/18".to_owned(),
            ingress_hostname: "demo.us-south.containers.appdomain.cloud".to_owned(),
            ca_pem: "-----BEGIN CERTIFICATE-----\n".to_owned(),
            ..World::default()
        };
        let now = "2026-01-31T12:00:00Z".parse().unwrap();
        let mut cluster = Self { state: State::default(), world, now, wake: None };
        for i in 0..nodes {
            cluster.node(&format!("10.0.0.{i}"), &format!("us-south-{}", i / 2 + 1));
        }
        cluster.put(
            "namespaces",
            "",
            "default",
            json!({"apiVersion": "v1", "kind": "Namespace", "spec": {"finalizers": ["kubernetes"]}}),
        );
        cluster
    }

    pub fn timed(mut self, timings: Timings) -> Self {
        self.world.timings = timings;
        self
    }

    pub fn node(&mut self, name: &str, zone: &str) {
        let node = json!({
            "apiVersion": "v1", "kind": "Node",
            "metadata": {"labels": {"kubernetes.io/hostname": name, "topology.kubernetes.io/zone": zone}},
            "spec": {},
            "status": {
                "allocatable": {"cpu": "4", "memory": "8Gi", "pods": "110", "ephemeral-storage": "100Gi"},
                "addresses": [{"type": "InternalIP", "address": name}],
                "conditions": [{"type": "Ready", "status": "True"}],
            },
        });
        self.put("nodes", "", name, node);
    }

    pub fn change<R>(&mut self, change: impl FnOnce(&mut Txn) -> R) -> R {
        let mut txn = Txn::new(self.state.clone(), self.now);
        let result = change(&mut txn);
        controllers::run(&mut txn, &self.world);
        self.wake = txn.wake();
        assert!(
            txn.state().is_settled(),
            "controllers found no rest: {:?}",
            txn.touched().iter().rev().take(8).collect::<Vec<_>>()
        );
        self.state = txn.into_state();
        result
    }

    pub fn put(&mut self, resource: &str, namespace: &str, name: &str, value: Value) {
        self.change(|txn| txn.put(Key::new(resource, namespace, name), value));
    }

    /// Changes the spec of an object as a client would.
    pub fn edit(&mut self, resource: &str, name: &str, edit: impl FnOnce(&mut Value)) {
        let namespace = if resource == "nodes" || resource == "namespaces" { "" } else { "default" };
        self.change(|txn| {
            txn.edit(&Key::new(resource, namespace, name), |value| {
                let before = value["spec"].clone();
                edit(value);
                if value["spec"] != before {
                    let generation = number(value, "/metadata/generation").unwrap_or(1);
                    value["metadata"]["generation"] = json!(generation + 1);
                }
            })
            .unwrap_or_else(|| panic!("{resource} {name} is not there"))
        });
    }

    pub fn delete(&mut self, resource: &str, namespace: &str, name: &str, propagation: Option<Propagation>) {
        let options = DeleteOptions { propagation, ..DeleteOptions::default() };
        self.change(|txn| lifecycle::delete(txn, &Key::new(resource, namespace, name), &options));
    }

    pub fn evict(&mut self, pod: &str) -> Result<(), Status> {
        self.change(|txn| lifecycle::evict(txn, &Key::new("pods", "default", pod), &DeleteOptions::default()))
    }

    /// Lets time pass, waking controllers when they asked for it.
    pub fn pass(&mut self, seconds: i64) {
        let end = self.now + SignedDuration::from_secs(seconds);
        while let Some(wake) = self.wake.filter(|wake| *wake <= end) {
            self.now = self.now.max(wake);
            self.change(|_| ());
            assert!(self.wake.is_none_or(|wake| wake > self.now), "controllers want to be woken in the past");
        }
        self.now = end;
        self.change(|_| ());
    }

    /// Ends the process and begins another, with what is stored.
    pub fn restart(&mut self) {
        let objects = self.state.all().map(|o| Object::new(o.key.clone(), o.revision, o.value().into_owned()));
        let saved = Saved { revision: self.state.revision(), rows: Vec::new() };
        self.state = State::loaded(objects, saved).unwrap();
    }

    pub fn get(&self, resource: &str, name: &str) -> Option<Value> {
        let of = |namespace| self.state.find(resource, namespace, name);
        of("default").or_else(|| of("")).map(|o| o.value().into_owned())
    }

    pub fn list(&self, resource: &str) -> Vec<Arc<Object>> {
        self.state.list(resource, None, None).cloned().collect()
    }

    pub fn names(&self, resource: &str) -> Vec<String> {
        self.list(resource).iter().map(|o| o.key.name.to_string()).collect()
    }

    /// `<type>=<status>/<reason>` of a condition.
    pub fn condition(&self, resource: &str, name: &str, kind: &str) -> String {
        let value = self.get(resource, name).unwrap_or_default();
        let condition =
            array(&value, "/status/conditions").iter().find(|c| c["type"] == json!(kind)).cloned().unwrap_or_default();
        format!("{}/{}", text(&condition, "/status"), text(&condition, "/reason"))
    }

    pub fn message(&self, resource: &str, name: &str, kind: &str) -> String {
        let value = self.get(resource, name).unwrap_or_default();
        let condition =
            array(&value, "/status/conditions").iter().find(|c| c["type"] == json!(kind)).cloned().unwrap_or_default();
        text(&condition, "/message").to_owned()
    }

    /// `<reason>: <message>` of all events, in order of their names.
    pub fn told(&self, reason: &str) -> Vec<String> {
        let events = self.list("events");
        events
            .iter()
            .filter(|e| text(e.content(), "/reason") == reason)
            .map(|e| text(e.content(), "/message").to_owned())
            .collect()
    }
}

pub fn deployment(replicas: i64, image: &str) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"generation": 1},
        "spec": {
            "replicas": replicas, "selector": {"matchLabels": {"app": "web"}}, "progressDeadlineSeconds": 600, "revisionHistoryLimit": 10,
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
            "template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "web", "image": image}]}},
        },
    })
}

pub fn pod(spec: Value) -> Value {
    let mut pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"labels": {"app": "web"}}, "spec": spec});
    let spec = member(&mut pod, "spec");
    spec.entry("containers").or_insert_with(|| json!([{"name": "main", "image": "busybox"}]));
    pod
}

pub fn seconds(n: i64) -> SignedDuration {
    SignedDuration::from_secs(n)
}
