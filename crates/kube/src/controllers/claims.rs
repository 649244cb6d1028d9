//! Claims and volumes: binding, provisioning, and what happens to volumes afterwards.

use std::sync::Arc;

use serde_json::{Value, json};

use super::affinity::node_selected;
use super::common::{annotate, edit_status, has_ended, later, selects, time_at};
use super::events::{self, Told};
use super::{Run, Task};
use crate::lifecycle;
use crate::object::{Key, Object, array, member, text, time};
use crate::quantity::Quantity;

const CLAIMS: &str = "persistentvolumeclaims";
const VOLUMES: &str = "persistentvolumes";
const CLASSES: &str = "storageclasses.storage.k8s.io";
const BY: &str = "persistentvolume-controller";
const IN_USE: &str = "kubernetes.io/pvc-protection";
const BOUND: &str = "kubernetes.io/pv-protection";
const SELECTED: &str = "volume.kubernetes.io/selected-node";
const PROVISIONER: &str = "volume.kubernetes.io/storage-provisioner";
const PROVISIONED_BY: &str = "pv.kubernetes.io/provisioned-by";
/// When the node was selected: from then on, provisioning takes its time.
const SINCE: &str = "boatyard.dev/provisioning-since";

/// The volumes that a Pod needs.
#[derive(Debug, Default)]
pub(super) struct Volumes {
    /// Claims that are bound when a node is known.
    pending: Vec<Key>,
    affinities: Vec<Value>,
}

impl Volumes {
    pub fn pending(&self) -> &[Key] {
        &self.pending
    }

    pub fn against(&self, node: &Object) -> Option<&'static str> {
        let fits = self.affinities.iter().all(|selector| node_selected(selector, node));
        (!fits).then_some("node(s) had volume node affinity conflict")
    }
}

fn waits_for_consumer(class: &Object) -> bool {
    text(class.content(), "/volumeBindingMode") == "WaitForFirstConsumer"
}

/// The volumes of a Pod, or why it cannot be scheduled for lack of them.
pub(super) fn of_pod(run: &mut Run<'_>, pod: &Object) -> Result<Volumes, String> {
    let mut volumes = Volumes::default();
    for volume in array(pod.content(), "/spec/volumes") {
        let named = text(volume, "/persistentVolumeClaim/claimName");
        let name = match named {
            "" if volume.get("ephemeral").is_some_and(Value::is_object) => ephemeral(run, pod, volume),
            "" => continue,
            name => name.to_owned(),
        };
        let key = Key::new(CLAIMS, &pod.key.namespace, &name);
        let Some(claim) = run.txn.get(&key) else { return Err(format!("persistentvolumeclaim \"{name}\" not found")) };
        if claim.is_terminating() {
            return Err(format!("persistentvolumeclaim \"{name}\" is being deleted"));
        }
        let content = claim.content();
        if text(content, "/status/phase") == "Bound" {
            let volume = run.txn.find(VOLUMES, "", text(content, "/spec/volumeName"));
            let required = volume.and_then(|v| v.content().pointer("/spec/nodeAffinity/required").cloned());
            volumes.affinities.extend(required);
            continue;
        }
        let class = run.txn.find(CLASSES, "", text(content, "/spec/storageClassName"));
        if !class.is_some_and(|class| waits_for_consumer(&class)) {
            return Err("pod has unbound immediate PersistentVolumeClaims".to_owned());
        }
        volumes.pending.push(key);
    }
    Ok(volumes)
}

/// Makes the claim of an ephemeral volume, which the Pod owns.
fn ephemeral(run: &mut Run<'_>, pod: &Object, volume: &Value) -> String {
    let name = format!("{}-{}", pod.key.name, text(volume, "/name"));
    let key = Key::new(CLAIMS, &pod.key.namespace, &name);
    if run.txn.get(&key).is_none() {
        let template = volume.pointer("/ephemeral/volumeClaimTemplate").cloned().unwrap_or_default();
        let mut metadata = template.get("metadata").filter(|m| m.is_object()).cloned().unwrap_or_else(|| json!({}));
        metadata["ownerReferences"] = json!([super::common::owner_reference(pod)]);
        create(run, key, metadata, template["spec"].clone());
    }
    name
}

/// Makes a claim as admission would have it: protected, pending, of the default class if it names none.
pub(super) fn create(run: &mut Run<'_>, key: Key, mut metadata: Value, spec: Value) {
    let finalizers = member(&mut metadata, "").entry("finalizers").or_insert_with(|| json!([]));
    if let Value::Array(finalizers) = finalizers {
        finalizers.push(json!(IN_USE));
    }
    let mut claim = json!({
        "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata, "spec": spec, "status": {"phase": "Pending"},
    });
    let default = |class: &Arc<Object>| class.annotation("storageclass.kubernetes.io/is-default-class") == Some("true");
    let class = run.txn.state().list(CLASSES, None, None).find(|class| default(class)).map(|class| class.key.name.clone());
    let spec = member(&mut claim, "spec");
    spec.entry("volumeMode").or_insert_with(|| json!("Filesystem"));
    if let Some(class) = class.filter(|_| spec.get("storageClassName").is_none_or(Value::is_null)) {
        spec.insert("storageClassName".to_owned(), json!(&*class));
    }
    run.txn.put(key, claim);
}

/// Tells claims which node their first consumer goes to.
pub(super) fn select_node(run: &mut Run<'_>, claims: &[Key], node: &str) {
    let now = time(run.txn.now());
    for key in claims {
        if run.txn.get(key).is_some_and(|claim| claim.annotation(SELECTED).is_none()) {
            run.txn.edit(key, |value| {
                annotate(value, SELECTED, Some(node));
                annotate(value, SINCE, Some(&now));
            });
        }
    }
}

/// Looks again at the claims that have no volume.
pub(super) fn enqueue_pending(run: &mut Run<'_>) {
    let pending = run.txn.state().list(CLAIMS, None, None).filter(|c| text(c.content(), "/status/phase") != "Bound");
    let keys: Vec<Key> = pending.map(|claim| claim.key.clone()).collect();
    for key in keys {
        run.add(Task::Claim, key);
    }
}

/// Finds, or has made, a volume for a claim.
pub(super) fn sync(run: &mut Run<'_>, claim: &Arc<Object>) {
    run.txn.unwait(&claim.key);
    let content = claim.content();
    if claim.is_terminating() {
        if !is_used(run, claim) {
            lifecycle::drop_finalizer(run.txn, &claim.key, IN_USE);
        }
        return;
    }
    if protect(run, claim, IN_USE) {
        return;
    }
    let named = text(content, "/spec/volumeName");
    if text(content, "/status/phase") == "Bound" {
        if run.txn.find(VOLUMES, "", named).is_none() {
            edit_status(run.txn, &claim.key, json!({"phase": "Lost"}));
            events::tell(
                run.txn,
                claim,
                Told::warning(BY, "ClaimLost", "Bound claim has lost its PersistentVolume. Data on the volume is lost!"),
            );
        }
        return;
    }
    if text(content, "/status/phase").is_empty() {
        edit_status(run.txn, &claim.key, json!({"phase": "Pending"}));
    }
    let class_name = text(content, "/spec/storageClassName");
    let class = run.txn.find(CLASSES, "", class_name);
    let waits = class.as_ref().is_some_and(|class| waits_for_consumer(class)) && claim.annotation(SELECTED).is_none();
    if let Some(volume) = find_volume(run, claim).filter(|_| !waits || !named.is_empty()) {
        return bind(run, claim, &volume);
    }
    if !named.is_empty() {
        return;
    }
    match class {
        None if class_name.is_empty() => {
            let message = "no persistent volumes available for this claim and no storage class is set";
            events::tell_once(run.txn, claim, Told::normal(BY, "FailedBinding", message));
        }
        None => {
            let message = format!("storageclass.storage.k8s.io \"{class_name}\" not found");
            events::tell_once(run.txn, claim, Told::warning(BY, "ProvisioningFailed", &message));
        }
        Some(_) if waits => {
            let message = "waiting for first consumer to be created before binding";
            events::tell_once(run.txn, claim, Told::normal(BY, "WaitForFirstConsumer", message));
        }
        Some(class) if text(class.content(), "/provisioner") == "kubernetes.io/no-provisioner" => {
            let message = "no persistent volumes available for this claim and no storage class is set";
            events::tell_once(run.txn, claim, Told::normal(BY, "FailedBinding", message));
        }
        Some(class) => provision(run, claim, &class),
    }
}

/// Gives an object the finalizer that keeps it while it is used; whether it had none.
fn protect(run: &mut Run<'_>, object: &Object, finalizer: &str) -> bool {
    let known = array(object.content(), "/metadata/finalizers").iter().any(|f| f.as_str() == Some(finalizer));
    if !known {
        run.txn.edit(&object.key, |value| {
            let list = member(value, "metadata").entry("finalizers").or_insert_with(|| json!([]));
            if let Value::Array(list) = list {
                list.push(json!(finalizer));
            }
        });
    }
    !known
}

/// Whether a Pod that has not ended mounts it.
fn is_used(run: &Run<'_>, claim: &Object) -> bool {
    let mounts = |pod: &Object| {
        array(pod.content(), "/spec/volumes").iter().any(|volume| {
            let ephemeral = volume.get("ephemeral").is_some_and(Value::is_object)
                && *claim.key.name == format!("{}-{}", pod.key.name, text(volume, "/name"));
            ephemeral || text(volume, "/persistentVolumeClaim/claimName") == &*claim.key.name
        })
    };
    let is_bound = |pod: &Object| !text(pod.content(), "/spec/nodeName").is_empty();
    run.txn.state().list("pods", Some(&claim.key.namespace), None).any(|pod| !has_ended(pod) && is_bound(pod) && mounts(pod))
}

/// A volume that exists and fits: the one that is named, one reserved for the claim, or the smallest that is free.
fn find_volume(run: &Run<'_>, claim: &Object) -> Option<Arc<Object>> {
    let content = claim.content();
    let named = text(content, "/spec/volumeName");
    let amount = |size: &Value| Quantity::of(size).unwrap_or_default();
    let wanted = content.pointer("/spec/resources/requests/storage").map(amount).unwrap_or_default();
    let size = |volume: &Object| volume.content().pointer("/spec/capacity/storage").map(amount).unwrap_or_default();
    let reserved = |volume: &Object| {
        let claimed = volume.content().pointer("/spec/claimRef").filter(|c| c.is_object());
        claimed.map(|c| {
            let uid = text(c, "/uid");
            (uid.is_empty() || uid == claim.uid())
                && text(c, "/name") == &*claim.key.name
                && text(c, "/namespace") == &*claim.key.namespace
        })
    };
    let fits = |volume: &Object| {
        let spec = &volume.content()["spec"];
        let modes = array(spec, "/accessModes");
        let mode =
            |value: &Value| Some(text(value, "/volumeMode")).filter(|m| !m.is_empty()).unwrap_or("Filesystem").to_owned();
        let selector = content.pointer("/spec/selector");
        size(volume) >= wanted
            && text(spec, "/storageClassName") == text(content, "/spec/storageClassName")
            && mode(spec) == mode(&content["spec"])
            && array(content, "/spec/accessModes").iter().all(|wanted| modes.contains(wanted))
            && selector.is_none_or(|selector| selects(selector, volume.labels()))
    };
    let volumes = || run.txn.state().list(VOLUMES, None, None).filter(|v| !v.is_terminating());
    if !named.is_empty() {
        return volumes().find(|v| &*v.key.name == named && reserved(v) != Some(false)).cloned();
    }
    volumes().find(|v| reserved(v) == Some(true)).cloned().or_else(|| {
        let free = volumes().filter(|v| reserved(v).is_none() && fits(v));
        free.min_by_key(|v| size(v)).cloned()
    })
}

fn bind(run: &mut Run<'_>, claim: &Arc<Object>, volume: &Arc<Object>) {
    run.txn.edit(&volume.key, |value| {
        let reference = json!({
            "apiVersion": "v1", "kind": "PersistentVolumeClaim", "name": &*claim.key.name, "namespace": &*claim.key.namespace,
            "uid": claim.uid(), "resourceVersion": claim.revision.to_string(),
        });
        member(value, "spec").insert("claimRef".to_owned(), reference);
        member(value, "status").insert("phase".to_owned(), json!("Bound"));
    });
    let spec = &volume.content()["spec"];
    let status = json!({"phase": "Bound", "accessModes": spec["accessModes"], "capacity": spec["capacity"]});
    run.txn.edit(&claim.key, |value| {
        annotate(value, "pv.kubernetes.io/bind-completed", Some("yes"));
        annotate(value, SINCE, None);
        if text(value, "/spec/volumeName").is_empty() {
            annotate(value, "pv.kubernetes.io/bound-by-controller", Some("yes"));
            member(value, "spec").insert("volumeName".to_owned(), json!(&*volume.key.name));
        }
        value["status"] = status;
    });
}

/// Makes a volume, after the time that this takes.
fn provision(run: &mut Run<'_>, claim: &Arc<Object>, class: &Object) {
    let content = claim.content();
    let provisioner = text(class.content(), "/provisioner").to_owned();
    if claim.annotation(PROVISIONER).is_none() {
        run.txn.edit(&claim.key, |value| {
            annotate(value, PROVISIONER, Some(&provisioner));
            annotate(value, "volume.beta.kubernetes.io/storage-provisioner", Some(&provisioner));
        });
        return;
    }
    let since = claim.annotation(SINCE).and_then(super::common::parse_time);
    let since = since.or_else(|| time_at(content, "/metadata/creationTimestamp")).unwrap_or(run.txn.now());
    let due = later(since, run.world.timings.provisioning);
    if due > run.txn.now() {
        let message = format!(
            "Waiting for a volume to be created either by the external provisioner '{provisioner}' or manually by the system administrator. If volume creation is delayed, please verify that the provisioner is running and correctly registered."
        );
        events::tell_once(run.txn, claim, Told::normal(BY, "ExternalProvisioning", &message));
        return run.txn.wait(&claim.key, Some(due));
    }
    let name = format!("pvc-{}", claim.uid());
    let spec = &content["spec"];
    let reclaim = Some(text(class.content(), "/reclaimPolicy")).filter(|p| !p.is_empty()).unwrap_or("Delete");
    let mut volume = json!({
        "apiVersion": "v1", "kind": "PersistentVolume",
        "metadata": {"annotations": {PROVISIONED_BY: provisioner}, "finalizers": [BOUND]},
        "spec": {
            "accessModes": spec["accessModes"], "capacity": {"storage": content.pointer("/spec/resources/requests/storage")},
            "storageClassName": &*class.key.name, "persistentVolumeReclaimPolicy": reclaim,
            "volumeMode": spec.get("volumeMode").cloned().unwrap_or_else(|| json!("Filesystem")),
            "csi": {"driver": provisioner, "volumeHandle": name},
        },
        "status": {"phase": "Available"},
    });
    let zone = claim
        .annotation(SELECTED)
        .and_then(|node| run.txn.find("nodes", "", node))
        .and_then(|node| node.labels()?.get("topology.kubernetes.io/zone").cloned());
    if let Some(zone) = zone {
        let requirement = json!({"key": "topology.kubernetes.io/zone", "operator": "In", "values": [zone]});
        volume["spec"]["nodeAffinity"] = json!({"required": {"nodeSelectorTerms": [{"matchExpressions": [requirement]}]}});
    }
    let volume = run.txn.put(Key::new(VOLUMES, "", &name), volume);
    let message = format!("Successfully provisioned volume {name}");
    events::tell(run.txn, claim, Told::normal(&provisioner, "ProvisioningSucceeded", &message));
    bind(run, claim, &volume);
}

/// What a volume is, now that its claim is there or not.
pub(super) fn sync_volume(run: &mut Run<'_>, volume: &Arc<Object>) {
    let content = volume.content();
    let claim = content.pointer("/spec/claimRef").filter(|claim| claim.is_object());
    let holder = claim.and_then(|c| run.txn.find(CLAIMS, text(c, "/namespace"), text(c, "/name")));
    let uid = claim.map(|c| text(c, "/uid")).unwrap_or_default();
    let held = holder.is_some_and(|holder| uid.is_empty() || holder.uid() == uid);
    if volume.is_terminating() {
        if !held || text(content, "/status/phase") != "Bound" {
            lifecycle::drop_finalizer(run.txn, &volume.key, BOUND);
        }
        return;
    }
    if protect(run, volume, BOUND) {
        return;
    }
    let phase = match (claim, held) {
        (Some(_), true) if uid.is_empty() => "Available",
        (Some(_), true) => "Bound",
        (Some(_), false) if !uid.is_empty() => "Released",
        _ => "Available",
    };
    let deletes =
        text(content, "/spec/persistentVolumeReclaimPolicy") == "Delete" && volume.annotation(PROVISIONED_BY).is_some();
    if phase == "Released" && deletes {
        lifecycle::drop_finalizer(run.txn, &volume.key, BOUND);
        lifecycle::delete(run.txn, &volume.key, &lifecycle::DeleteOptions::default());
        return;
    }
    if text(content, "/status/phase") != phase {
        let now = time(run.txn.now());
        edit_status(run.txn, &volume.key, json!({"phase": phase, "lastPhaseTransitionTime": now}));
    }
    if phase == "Available" {
        enqueue_pending(run);
    }
}
