//! Pods that controllers make: they get the same defaults and are admitted by the same policies as those of clients.
//!
//! One that is refused is told of in an event of its owner, and tried again when a policy became more lenient, or after a while.

use std::sync::Arc;

use jiff::SignedDuration;
use serde_json::{Value, json};

use super::Run;
use super::common::{contains, free_name, later, owner_reference, selects};
use super::events::{self, Told};
use crate::api::User;
use crate::object::{Key, Object, member, text};
use crate::quantity::Quantity;
use crate::state::{Change, Event, MOST_BYTES, Txn};
use crate::status::Status;
use crate::{accounts, admission, defaults, resources};

/// Controllers make no more Pods in a cluster: they are kept in memory.
const MOST_PODS: usize = 10_000;
/// How long an owner waits before it tries again: as long as it has been refused, within these.
const WAIT: SignedDuration = SignedDuration::from_secs(10);
const LONGEST_WAIT: SignedDuration = SignedDuration::from_secs(960);
/// The reason of the events of refusals, and of the condition of a set.
pub(super) const FAILED: &str = "FailedCreate";

/// The resources whose objects make Pods.
pub(super) const MAKERS: [&str; 5] =
    ["daemonsets.apps", "jobs.batch", "replicasets.apps", "replicationcontrollers", "statefulsets.apps"];

/// What a Pod of a controller differs in from its template.
pub(super) struct PodOf<'a> {
    /// The controller, as events have it.
    pub by: &'a str,
    /// The whole name; otherwise one is generated from the owner's.
    pub name: Option<String>,
    pub labels: &'a [(&'a str, String)],
    pub annotations: &'a [(&'a str, String)],
}

impl<'a> PodOf<'a> {
    pub fn template(by: &'a str) -> Self {
        Self { by, name: None, labels: &[], annotations: &[] }
    }
}

/// Makes a Pod from the template of its owner; `edit` changes it before it is admitted.
///
/// # Errors
///
/// Why it was refused, which an event tells and for which the owner waits; nothing if it would be pointless.
pub(super) fn create(
    run: &mut Run<'_>,
    owner: &Object,
    template: &Value,
    of: PodOf<'_>,
    edit: impl FnOnce(&mut Value),
) -> Result<Arc<Object>, Option<String>> {
    let namespace = &*owner.key.namespace;
    if run.txn.state().find("namespaces", "", namespace).is_some_and(|n| n.is_terminating()) {
        return Err(None);
    }
    if let Some((since, why)) = run.txn.refused(&owner.key)
        && !since.iter().any(|event| is_lenient(event, namespace))
    {
        let why = why.to_owned();
        wait(run.txn, owner);
        return Err(Some(why));
    }
    let by = of.by;
    let mut pod = build(run.txn, owner, template, of).ok_or(None)?;
    edit(&mut pod);
    let name = text(&pod, "/metadata/name").to_owned();
    match admit(run, by, &mut pod) {
        Ok(()) => Ok(run.txn.put(Key::new("pods", namespace, &name), pod)),
        Err(status) => {
            let told = match owner.kind() {
                "StatefulSet" => {
                    format!("create Pod {name} in StatefulSet {} failed error: {}", owner.key.name, status.message)
                }
                _ => format!("Error creating: {}", status.message),
            };
            events::tell(run.txn, owner, Told::warning(by, FAILED, &told));
            run.txn.refuse(&owner.key, &status.message);
            wait(run.txn, owner);
            Err(Some(status.message))
        }
    }
}

/// The Pod that a template stands for, unless its owner would not select it.
fn build(txn: &Txn, owner: &Object, template: &Value, of: PodOf<'_>) -> Option<Value> {
    let mut pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {}, "spec": {}});
    let metadata = member(&mut pod, "metadata");
    let name = of.name.unwrap_or_else(|| {
        let prefix = format!("{}-", owner.key.name);
        let name = free_name(txn, "pods", &owner.key.namespace, &prefix);
        metadata.insert("generateName".to_owned(), json!(prefix));
        name
    });
    metadata.insert("name".to_owned(), json!(name));
    metadata.insert("namespace".to_owned(), json!(&*owner.key.namespace));
    for part in ["labels", "annotations", "finalizers"] {
        if let Some(value) = template.pointer(&format!("/metadata/{part}")).filter(|v| !v.is_null()) {
            metadata.insert(part.to_owned(), value.clone());
        }
    }
    metadata.insert("ownerReferences".to_owned(), json!([owner_reference(owner)]));
    metadata.insert("generation".to_owned(), json!(1));
    for (list, more) in [("metadata/labels", of.labels), ("metadata/annotations", of.annotations)] {
        for (name, value) in more {
            member(&mut pod, list).insert((*name).to_owned(), json!(value));
        }
    }
    // One that its owner does not select would be nobody's, and another made for it, forever.
    let selector = owner.content().pointer("/spec/selector");
    let labels = pod.pointer("/metadata/labels").and_then(Value::as_object);
    let selected = match (owner.kind(), selector.and_then(Value::as_object)) {
        ("ReplicationController", Some(plain)) => contains(plain, labels),
        (_, Some(_)) => selector.is_some_and(|selector| selects(selector, labels)),
        (_, None) => false,
    };
    if !selected {
        return None;
    }
    pod["spec"] = template.get("spec").filter(|s| s.is_object()).cloned().unwrap_or_else(|| json!({}));
    // Only Jobs have Pods that end; the others would make new ones forever.
    if owner.kind() != "Job" {
        member(&mut pod, "spec").insert("restartPolicy".to_owned(), json!("Always"));
    }
    Some(pod)
}

fn admit(run: &Run<'_>, by: &str, pod: &mut Value) -> Result<(), Status> {
    let resource = resources::find("", "v1", "pods").ok_or_else(Status::internal)?;
    if run.txn.state().pods() >= MOST_PODS {
        let why = format!("the cluster has {MOST_PODS} pods, and a virtual cluster keeps no more");
        return Err(Status::forbidden("", "pods", text(pod, "/metadata/name"), &why));
    }
    if run.txn.state().is_full() {
        return Err(Status::no_space("", "pods", text(pod, "/metadata/name"), MOST_BYTES));
    }
    defaults::apply(pod, resource);
    // The account of this one is not named like its events.
    let account = if by == "daemonset-controller" { "daemon-set-controller" } else { by };
    let user = User::new(accounts::user_name("kube-system", account), "", []);
    admission::admit(run.txn, run.world, &user, resource, "", None, pod)
}

/// Has an owner try again after a while.
fn wait(txn: &mut Txn, owner: &Object) {
    let now = txn.now();
    let first = events::first(txn, owner, FAILED).unwrap_or(now);
    let at = later(now, now.duration_since(first).clamp(WAIT, LONGEST_WAIT));
    txn.wait(&owner.key, Some(at));
}

/// Whether a Pod of a namespace may be admitted after an event that was not before.
fn is_lenient(event: &Event, namespace: &str) -> bool {
    let key = &event.object.key;
    match &*key.resource {
        "priorityclasses.scheduling.k8s.io" => return true,
        "limitranges" | "resourcequotas" | "serviceaccounts" if *key.namespace == *namespace => {}
        _ => return false,
    }
    let Some(before) = event.previous.as_ref().filter(|_| event.change == Change::Modified) else { return true };
    if &*key.resource != "resourcequotas" {
        return true;
    }
    let (before, now) = (before.content(), event.object.content());
    let used = |quota: &Value, name: &str| Quantity::member(&quota["status"]["used"], name);
    let mut counted = before["status"]["used"].as_object().into_iter().flatten();
    before["spec"] != now["spec"] || counted.any(|(name, _)| used(now, name) < used(before, name))
}

impl Run<'_> {
    /// Owners that wait try again to make their Pods if something became more lenient.
    pub(super) fn retry_refused(&mut self, event: &Event) {
        let waiting = self.txn.state().waits().filter(|(key, _)| MAKERS.contains(&&*key.resource));
        let keys: Vec<Key> = waiting.filter(|(key, _)| is_lenient(event, &key.namespace)).map(|(key, _)| key.clone()).collect();
        for key in keys {
            self.enqueue(&key);
        }
    }
}
