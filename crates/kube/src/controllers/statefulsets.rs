//! StatefulSets: Pods with numbers, and claims that stay theirs.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::common::{controlled, edit_status, has_ended, is_available, is_ready, replicas};
use super::events::{self, Told};
use super::pods::{self, PodOf};
use super::{Run, claims, revisions};
use crate::lifecycle::{self, DeleteOptions};
use crate::object::{Key, Object, array, member, number, text};

const BY: &str = "statefulset-controller";
const NAME: &str = "statefulset.kubernetes.io/pod-name";
const INDEX: &str = "apps.kubernetes.io/pod-index";

/// What there is of a set.
struct Set<'a> {
    object: &'a Arc<Object>,
    pods: BTreeMap<i64, Arc<Object>>,
    first: i64,
    replicas: i64,
    current: Arc<Object>,
    update: Arc<Object>,
}

/// Takes the next step towards as many Pods of the right revision as are wanted.
pub(super) fn sync(run: &mut Run<'_>, set: &Arc<Object>) {
    run.txn.unwait(&set.key);
    let content = set.content();
    let selector = content.pointer("/spec/selector").cloned();
    let pods = controlled(run.txn, set, "pods", selector.as_ref());
    if set.is_terminating() {
        return;
    }
    let Some((update, known)) = revisions::sync(run, set) else { return };
    let current = text(content, "/status/currentRevision");
    let current = known.iter().find(|revision| &*revision.key.name == current).unwrap_or(&update).clone();
    let prefix = format!("{}-", set.key.name);
    let ordinal = |pod: &Object| pod.key.name.strip_prefix(&prefix).and_then(|n| n.parse::<i64>().ok());
    let set = Set {
        object: set,
        pods: pods.into_iter().filter_map(|pod| Some((ordinal(&pod)?, pod))).collect(),
        first: number(content, "/spec/ordinals/start").unwrap_or(0),
        replicas: replicas(content, "/spec/replicas", 1),
        current,
        update,
    };
    set.step(run);
    set.tell_status(run);
    set.keep_claims(run);
    let live: Vec<String> = set.pods.values().filter_map(|pod| label(pod)).collect();
    let is_live = |revision: &Object| {
        let name = &*revision.key.name;
        name == &*set.current.key.name || name == &*set.update.key.name || live.iter().any(|l| l == name)
    };
    revisions::clean_up(run, set.object, &known, is_live);
}

fn label(pod: &Object) -> Option<String> {
    pod.labels()?.get(revisions::HASH)?.as_str().map(str::to_owned)
}

impl Set<'_> {
    fn is_parallel(&self) -> bool {
        text(self.object.content(), "/spec/podManagementPolicy") == "Parallel"
    }

    fn ordinals(&self) -> std::ops::Range<i64> {
        self.first..self.first.saturating_add(self.replicas)
    }

    fn is_available(&self, run: &mut Run<'_>, pod: &Object) -> bool {
        is_available(run.txn, self.object, pod)
    }

    /// Pods from this number on get the new template.
    fn partition(&self) -> i64 {
        number(self.object.content(), "/spec/updateStrategy/rollingUpdate/partition").unwrap_or(0)
    }

    fn on_delete(&self) -> bool {
        text(self.object.content(), "/spec/updateStrategy/type") == "OnDelete"
    }

    fn step(&self, run: &mut Run<'_>) {
        let parallel = self.is_parallel();
        for ordinal in self.ordinals() {
            let settled = match self.pods.get(&ordinal) {
                None if !self.make(run, ordinal) => return,
                None => false,
                Some(pod) if has_ended(pod) => {
                    if !pod.is_terminating() {
                        let message = format!(
                            "StatefulSet {}/{} is recreating failed Pod {}",
                            pod.key.namespace, self.object.key.name, pod.key.name
                        );
                        events::tell(run.txn, self.object, Told::warning(BY, "RecreatingFailedPod", &message));
                        lifecycle::delete(run.txn, &pod.key, &DeleteOptions::default());
                    }
                    false
                }
                Some(pod) => self.is_available(run, pod),
            };
            if !settled && !parallel {
                return;
            }
        }
        // Those that are too many go from the last to the first.
        let surplus: Vec<&Arc<Object>> =
            self.pods.iter().rev().filter(|(ordinal, _)| !self.ordinals().contains(ordinal)).map(|(_, pod)| pod).collect();
        for pod in &surplus {
            if !pod.is_terminating() {
                self.end(run, pod);
            }
            if !parallel {
                return;
            }
        }
        if surplus.is_empty() && !self.on_delete() {
            self.update(run);
        }
    }

    /// Ends the last Pod that has an old template; the next one has to wait until its successor is well.
    fn update(&self, run: &mut Run<'_>) {
        let from = self.partition().max(self.first);
        for ordinal in self.ordinals().rev().filter(|ordinal| *ordinal >= from) {
            let Some(pod) = self.pods.get(&ordinal) else { return };
            if !revisions::is_of(pod, &self.update.key.name) {
                if !pod.is_terminating() {
                    self.end(run, pod);
                }
                return;
            }
            if !self.is_available(run, pod) {
                return;
            }
        }
    }

    fn end(&self, run: &mut Run<'_>, pod: &Arc<Object>) {
        lifecycle::delete(run.txn, &pod.key, &DeleteOptions::default());
        let message = format!("delete Pod {} in StatefulSet {} successful", pod.key.name, self.object.key.name);
        events::tell(run.txn, self.object, Told::normal(BY, "SuccessfulDelete", &message));
    }

    fn make(&self, run: &mut Run<'_>, ordinal: i64) -> bool {
        let content = self.object.content();
        let name = format!("{}-{ordinal}", self.object.key.name);
        if run.txn.find("pods", &self.object.key.namespace, &name).is_some() {
            // Somebody else's Pod has the name.
            return false;
        }
        let known = number(content, "/status/currentReplicas").is_some() || !self.pods.is_empty();
        let old = known && ordinal < self.partition().max(self.first) && !self.on_delete();
        let revision = if old { &self.current } else { &self.update };
        let template = revisions::template(revision);
        let mut volumes = Vec::new();
        for claim in array(content, "/spec/volumeClaimTemplates") {
            let title = text(claim, "/metadata/name");
            let claim_name = format!("{title}-{name}");
            volumes.push(json!({"name": title, "persistentVolumeClaim": {"claimName": claim_name}}));
            let key = Key::new("persistentvolumeclaims", &self.object.key.namespace, &claim_name);
            if run.txn.get(&key).is_none() {
                let mut metadata = Map::new();
                let mut labels = claim.pointer("/metadata/labels").and_then(Value::as_object).cloned().unwrap_or_default();
                let selected = content.pointer("/spec/selector/matchLabels").and_then(Value::as_object);
                labels.extend(selected.into_iter().flatten().map(|(k, v)| (k.clone(), v.clone())));
                metadata.insert("labels".to_owned(), Value::Object(labels));
                if let Some(annotations) = claim.pointer("/metadata/annotations") {
                    metadata.insert("annotations".to_owned(), annotations.clone());
                }
                claims::create(run, key, Value::Object(metadata), claim["spec"].clone());
                let message = format!("create Claim {claim_name} Pod {name} in StatefulSet {} success", self.object.key.name);
                events::tell(run.txn, self.object, Told::normal(BY, "SuccessfulCreate", &message));
            }
        }
        let labels = [(revisions::HASH, revision.key.name.to_string()), (NAME, name.clone()), (INDEX, ordinal.to_string())];
        let service = content.pointer("/spec/serviceName").cloned();
        let of = PodOf { by: BY, name: Some(name.clone()), labels: &labels, annotations: &[] };
        let made = pods::create(run, self.object, &template, of, |pod| {
            let spec = member(pod, "spec");
            spec.insert("hostname".to_owned(), json!(name));
            if let Some(service) = service.filter(|s| s.as_str().is_some_and(|s| !s.is_empty())) {
                spec.insert("subdomain".to_owned(), service);
            }
            if let Value::Array(list) = spec.entry("volumes").or_insert_with(|| json!([])) {
                list.retain(|known| !volumes.iter().any(|v| v["name"] == known["name"]));
                list.extend(volumes);
            }
        });
        if made.is_ok() {
            let message = format!("create Pod {name} in StatefulSet {} successful", self.object.key.name);
            events::tell(run.txn, self.object, Told::normal(BY, "SuccessfulCreate", &message));
        }
        made.is_ok()
    }

    fn tell_status(&self, run: &mut Run<'_>) {
        let mut pods = Vec::new();
        for ordinal in self.pods.keys() {
            let name = format!("{}-{ordinal}", self.object.key.name);
            pods.extend(run.txn.find("pods", &self.object.key.namespace, &name));
        }
        let live: Vec<&Arc<Object>> = pods.iter().filter(|pod| !has_ended(pod)).collect();
        let of = |name: &str| live.iter().filter(|pod| revisions::is_of(pod, name) && !pod.is_terminating()).count();
        let (current, update) = (&*self.current.key.name, &*self.update.key.name);
        let ready = live.iter().filter(|pod| is_ready(pod)).count();
        let there = live.iter().filter(|pod| self.is_available(run, pod)).count();
        let (updated, wanted) = (of(update), usize::try_from(self.replicas).unwrap_or(0));
        let everywhere = self.partition() <= self.first || self.on_delete();
        let done = everywhere && updated == wanted && live.len() == wanted && ready == wanted;
        let (current, count) = if done { (update, updated) } else { (current, of(current)) };
        let some = |n: usize| if n == 0 { Value::Null } else { json!(n) };
        let status = json!({
            "observedGeneration": number(self.object.content(), "/metadata/generation").unwrap_or(1),
            "replicas": live.len(), "readyReplicas": some(ready), "availableReplicas": there, "currentReplicas": some(count),
            "updatedReplicas": some(updated), "currentRevision": current, "updateRevision": update, "collisionCount": 0,
        });
        edit_status(run.txn, &self.object.key, status);
    }

    /// Deletes the claims of Pods that were scaled away, where the set says so.
    fn keep_claims(&self, run: &mut Run<'_>) {
        let content = self.object.content();
        if text(content, "/spec/persistentVolumeClaimRetentionPolicy/whenScaled") != "Delete" {
            return;
        }
        let prefixes: Vec<String> = array(content, "/spec/volumeClaimTemplates")
            .iter()
            .map(|claim| format!("{}-{}-", text(claim, "/metadata/name"), self.object.key.name))
            .collect();
        let claims = run.txn.list("persistentvolumeclaims", Some(&self.object.key.namespace));
        for claim in claims.iter().filter(|claim| !claim.is_terminating()) {
            let ordinal = prefixes.iter().find_map(|p| claim.key.name.strip_prefix(p.as_str())?.parse::<i64>().ok());
            if ordinal.is_some_and(|n| !self.ordinals().contains(&n) && !self.pods.contains_key(&n)) {
                lifecycle::delete(run.txn, &claim.key, &DeleteOptions::default());
            }
        }
    }
}
