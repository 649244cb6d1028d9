//! Who has to look when an object was touched.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Value, json};

use super::common::{contains, is_ready, selects};
use super::pods::MAKERS;
use super::{Run, Task, claims, events, task};
use crate::accounts;
use crate::lifecycle::{self, DeleteOptions};
use crate::object::{Key, Object, array, number, text};
use crate::state::{Change, Event};

impl Run<'_> {
    /// Finds whose business an event is.
    pub(super) fn react(&mut self, event: &Event) {
        let (key, now, before) = (&event.object.key, &event.object, event.previous.as_ref());
        match event.change {
            Change::Deleted => self.react_to_end(now),
            Change::Added | Change::Modified => {
                if now.is_terminating() && lifecycle::settle(self.txn, key) {
                    return;
                }
                if now.owners() != before.map_or(&[][..], |before| before.owners()) {
                    self.add(Task::Collect, key.clone());
                }
                if lifecycle::holds_dependents(now) {
                    self.add(Task::Release, key.clone());
                }
                if &*key.resource == "events" {
                    events::expect_sweep(self.txn);
                    if events::are_too_many(self.txn) {
                        self.enqueue(key);
                    }
                } else {
                    self.enqueue(key);
                }
            }
        }
        for owner in now.owners().iter().chain(before.map_or(&[][..], |before| before.owners())) {
            if owner["controller"] == json!(true) {
                self.enqueue_owner(&key.namespace, owner);
            }
        }
        self.react_to_kind(event);
        if matches!(event.change, Change::Added | Change::Deleted) && &*key.resource != "events" {
            self.enqueue_all("resourcequotas", Some(&key.namespace));
        }
    }

    fn react_to_end(&mut self, gone: &Arc<Object>) {
        let dependents: Vec<Key> = self.txn.state().owned_by(gone.uid()).map(|o| o.key.clone()).collect();
        for key in dependents {
            self.add(Task::Collect, key);
        }
        for owner in gone.owners() {
            let found = lifecycle::resource_of(self.txn, text(owner, "/apiVersion"), text(owner, "/kind"));
            let Some((resource, namespaced)) = found else { continue };
            let namespace = if namespaced { &*gone.key.namespace } else { "" };
            let key = Key::new(&resource, namespace, text(owner, "/name"));
            if self.txn.state().get(&key).is_some_and(|owner| lifecycle::holds_dependents(owner)) {
                self.add(Task::Release, key);
            }
        }
        if !gone.key.namespace.is_empty() {
            let namespace = Key::new("namespaces", "", &gone.key.namespace);
            if self.txn.state().get(&namespace).is_some_and(|n| n.is_terminating()) {
                self.add(Task::Namespace, namespace);
            }
        }
    }

    fn enqueue_owner(&mut self, namespace: &str, owner: &Value) {
        let resource = match text(owner, "/kind") {
            "ReplicaSet" => "replicasets.apps",
            "Deployment" => "deployments.apps",
            "StatefulSet" => "statefulsets.apps",
            "DaemonSet" => "daemonsets.apps",
            "Job" => "jobs.batch",
            "CronJob" => "cronjobs.batch",
            "ReplicationController" => "replicationcontrollers",
            "Service" => "services",
            _ => return,
        };
        self.enqueue(&Key::new(resource, namespace, text(owner, "/name")));
    }

    fn react_to_kind(&mut self, event: &Event) {
        let (object, gone) = (&event.object, event.change == Change::Deleted);
        let namespace = object.key.namespace.clone();
        match &*object.key.resource {
            "pods" => self.react_to_pod(event),
            "nodes" => self.react_to_node(event),
            "replicasets.apps" if object.controller().is_none() => self.enqueue_selecting("deployments.apps", object),
            "configmaps" | "secrets" => {
                if !gone && accounts::is_dangling(self.txn.state(), object) {
                    lifecycle::delete(self.txn, &object.key, &DeleteOptions::default());
                    return;
                }
                if event.change == Change::Added {
                    self.enqueue_waiting_pods(&namespace);
                }
                if &*object.key.name == super::namespaces::CA {
                    self.enqueue(&Key::new("namespaces", "", &namespace));
                }
            }
            "serviceaccounts" => {
                if gone {
                    self.forget_tokens(&namespace);
                }
                if &*object.key.name == "default" {
                    self.enqueue(&Key::new("namespaces", "", &namespace));
                }
                self.retry_refused(event);
            }
            "limitranges" | "priorityclasses.scheduling.k8s.io" | "resourcequotas" => {
                self.retry_refused(event);
            }
            "services" if gone => super::services::forget(self.txn, &object.key),
            "endpoints" => self.enqueue(&Key::new("services", &namespace, &object.key.name)),
            "persistentvolumeclaims" => {
                self.enqueue_waiting_pods(&namespace);
                if let Some(volume) = Some(text(object.content(), "/spec/volumeName")).filter(|v| !v.is_empty()) {
                    self.enqueue(&Key::new("persistentvolumes", "", volume));
                }
            }
            "persistentvolumes" => {
                let claim = object.content().pointer("/spec/claimRef");
                match claim {
                    Some(claim) => {
                        self.enqueue(&Key::new("persistentvolumeclaims", text(claim, "/namespace"), text(claim, "/name")))
                    }
                    None if !gone => claims::enqueue_pending(self),
                    None => {}
                }
            }
            "storageclasses.storage.k8s.io" => claims::enqueue_pending(self),
            "deployments.apps" | "replicasets.apps" | "statefulsets.apps" | "replicationcontrollers" => {
                let replicas = |o: &Object| (number(o.content(), "/spec/replicas"), number(o.content(), "/status/replicas"));
                if event.previous.as_ref().is_none_or(|before| replicas(before) != replicas(object)) {
                    self.enqueue_all("horizontalpodautoscalers.autoscaling", Some(&namespace));
                    self.enqueue_all("poddisruptionbudgets.policy", Some(&namespace));
                }
            }
            _ => {}
        }
    }

    fn react_to_pod(&mut self, event: &Event) {
        let (pod, before) = (&event.object, event.previous.as_ref());
        let namespace = &*pod.key.namespace;
        if pod.controller().is_none() && event.change != Change::Deleted {
            for resource in MAKERS {
                self.enqueue_selecting(resource, pod);
            }
        }
        let seen = |pod: &Object| {
            let content = pod.content();
            let phase = text(content, "/status/phase");
            let ended = matches!(phase, "Succeeded" | "Failed");
            (is_ready(pod), pod.is_terminating(), ended, text(content, "/status/podIP").to_owned(), pod.labels().cloned())
        };
        let same = before.is_some_and(|before| event.change == Change::Modified && seen(before) == seen(pod));
        if !same {
            self.enqueue_services(namespace, pod);
            if let Some(before) = before.filter(|before| before.labels() != pod.labels()) {
                self.enqueue_services(namespace, before);
            }
            self.enqueue_selecting("poddisruptionbudgets.policy", pod);
        }
        let freed = event.change == Change::Deleted || seen(pod).2 && !before.is_some_and(|before| seen(before).2);
        if freed {
            self.add(Task::Reschedule, Key::new("pods", "", ""));
            self.enqueue_all("resourcequotas", Some(namespace));
            let claims: BTreeSet<&str> =
                array(pod.content(), "/spec/volumes").iter().map(|v| text(v, "/persistentVolumeClaim/claimName")).collect();
            for claim in claims.into_iter().filter(|claim| !claim.is_empty()) {
                self.enqueue(&Key::new("persistentvolumeclaims", namespace, claim));
            }
        }
        let bound = |pod: &Object| !text(pod.content(), "/spec/nodeName").is_empty();
        if bound(pod) && !before.is_some_and(|before| bound(before)) {
            self.reschedule_company();
        }
        let gated = |pod: &Object| !array(pod.content(), "/spec/schedulingGates").is_empty();
        if before.is_some_and(|before| gated(before)) && !gated(pod) {
            self.enqueue(&pod.key);
        }
    }

    /// Pods that wait for a node near other Pods look again when one has found its place.
    fn reschedule_company(&mut self) {
        let state = self.txn.state();
        let wants = |key: &Key| {
            let spec = state.get(key).and_then(|pod| pod.content().get("spec"));
            spec.is_some_and(|spec| text(spec, "/nodeName").is_empty() && spec.pointer("/affinity/podAffinity").is_some())
        };
        let waiting = state.waits().filter(|(key, at)| at.is_none() && &*key.resource == "pods" && wants(key));
        let keys: Vec<Key> = waiting.map(|(key, _)| key.clone()).collect();
        for key in keys {
            self.add(Task::Schedule, key);
        }
    }

    /// Secrets for tokens go with their account.
    fn forget_tokens(&mut self, namespace: &str) {
        let state = self.txn.state();
        let dangling = state.list("secrets", Some(namespace), None).filter(|secret| accounts::is_dangling(state, secret));
        let keys: Vec<Key> = dangling.map(|secret| secret.key.clone()).collect();
        for key in keys {
            lifecycle::delete(self.txn, &key, &DeleteOptions::default());
        }
    }

    fn react_to_node(&mut self, event: &Event) {
        let seen = |node: &Object| {
            let content = node.content();
            let parts = ["/spec", "/metadata/labels", "/status/allocatable"];
            (is_ready(node), parts.map(|pointer| content.pointer(pointer).cloned()))
        };
        let same = event.previous.as_ref().is_some_and(|before| seen(before) == seen(&event.object));
        if same && event.change == Change::Modified {
            return;
        }
        self.add(Task::Reschedule, Key::new("pods", "", ""));
        self.enqueue_all("daemonsets.apps", None);
        let name = &*event.object.key.name;
        let there: Vec<Key> = self
            .txn
            .state()
            .list("pods", None, None)
            .filter(|pod| text(pod.content(), "/spec/nodeName") == name)
            .map(|pod| pod.key.clone())
            .collect();
        for key in there {
            self.enqueue(&key);
        }
    }

    /// The objects of a resource in the namespace of `object` whose selector selects it.
    fn enqueue_selecting(&mut self, resource: &str, object: &Object) {
        let keys: Vec<Key> = self
            .txn
            .state()
            .list(resource, Some(&object.key.namespace), None)
            .filter(|o| match o.content().pointer("/spec/selector") {
                Some(selector) if resource == "replicationcontrollers" => {
                    selector.as_object().is_some_and(|s| !s.is_empty() && contains(s, object.labels()))
                }
                Some(selector) => selects(selector, object.labels()),
                None => false,
            })
            .map(|o| o.key.clone())
            .collect();
        for key in keys {
            self.enqueue(&key);
        }
    }

    fn enqueue_services(&mut self, namespace: &str, pod: &Object) {
        let selected = |service: &Object| {
            let selector = service.content().pointer("/spec/selector").and_then(Value::as_object);
            selector.is_some_and(|s| !s.is_empty() && contains(s, pod.labels()))
        };
        let services = self.txn.state().list("services", Some(namespace), None);
        let keys: Vec<Key> = services.filter(|s| selected(s)).map(|s| s.key.clone()).collect();
        for key in keys {
            self.enqueue(&key);
        }
    }

    /// Pods of a namespace that wait for something else than the time.
    fn enqueue_waiting_pods(&mut self, namespace: &str) {
        let waiting = self.txn.state().waits().filter(|(key, _)| &*key.resource == "pods" && &*key.namespace == namespace);
        let keys: Vec<Key> = waiting.map(|(key, _)| key.clone()).collect();
        for key in keys {
            debug_assert_eq!(task(&key.resource), Some(Task::Pod));
            self.enqueue(&key);
        }
    }
}
