//! What becomes of an object because of others: addresses of services, tokens of pods, quotas, and what is refused for their sake.
//!
//! It stands for the admission plugins that upstream turns on by default, and for what its registry fills in before it stores an object.

mod limits;
mod pods;
mod quota;
mod services;

use std::cmp::Reverse;
use std::sync::Arc;

use boatyard_core::id;
use serde_json::{Map, Value, json};

pub(crate) use quota::usage;

use crate::api::User;
use crate::object::{Object, array, member, text};
use crate::resources::Resource;
use crate::state::Txn;
use crate::status::{Cause, Details, Status};
use crate::world::World;

/// Completes an object that is to be written, after its defaults and before it is validated. `old` is what it replaces; without one it is
/// made. Metadata has its namespace, and its name unless that is still to be generated.
///
/// # Errors
///
/// `NotFound` if there is no such namespace, `Forbidden` if a policy of the cluster is against it, `Invalid` if an address or a port is
/// taken.
pub fn admit(
    txn: &Txn,
    world: &World,
    user: &User,
    resource: &Resource,
    subresource: &str,
    old: Option<&Value>,
    new: &mut Value,
) -> Result<(), Status> {
    if !subresource.is_empty() {
        return Ok(());
    }
    if old.is_none() && resource.namespaced {
        check_namespace(txn, resource, new)?;
    }
    match (&*resource.stored, old) {
        ("services", old) => services::admit(txn, world, resource, old, new)?,
        ("pods", None) => pods::admit(txn, new)?,
        ("namespaces", None) => prepare_namespace(new),
        ("persistentvolumeclaims", None) => give_class(txn, new, &STORAGE),
        ("ingresses.networking.k8s.io", None) => give_class(txn, new, &INGRESS),
        ("jobs.batch", None) => select_pods_of(new),
        ("certificatesigningrequests.certificates.k8s.io", None) => tell_requester(user, new),
        ("events", None) => check_event(resource, new)?,
        _ => {}
    }
    if old.is_none() && resource.namespaced {
        limits::admit(txn, resource, new)?;
        quota::admit(txn, resource, new)?;
    }
    if &*resource.stored == "pods" && old.is_none() {
        pods::begin(new);
    }
    Ok(())
}

/// Whether an object may be deleted at all.
///
/// # Errors
///
/// `Forbidden` for what a cluster cannot be without.
pub fn deletable(resource: &Resource, name: &str) -> Result<(), Status> {
    let why = match (&*resource.stored, name) {
        ("namespaces", "default" | "kube-system" | "kube-public") => "this namespace may not be deleted",
        ("priorityclasses.scheduling.k8s.io", "system-node-critical" | "system-cluster-critical") => {
            "this is a system priority class and cannot be deleted"
        }
        _ => return Ok(()),
    };
    Err(Status::forbidden(&resource.group, &resource.plural, name, why))
}

/// A refusal of an object that may not have a name yet.
fn forbidden(resource: &Resource, new: &Value, why: &str) -> Status {
    let name = text(new, "/metadata/name");
    let name = if name.is_empty() { text(new, "/metadata/generateName") } else { name };
    Status::forbidden(&resource.group, &resource.plural, name, why)
}

fn check_namespace(txn: &Txn, resource: &Resource, new: &Value) -> Result<(), Status> {
    let name = text(new, "/metadata/namespace");
    let Some(namespace) = txn.find("namespaces", "", name) else {
        return Err(Status::not_found("", "namespaces", name));
    };
    if text(namespace.content(), "/status/phase") != "Terminating" && !namespace.is_terminating() {
        return Ok(());
    }
    let why = format!("unable to create new content in namespace {name} because it is being terminated");
    let mut status = forbidden(resource, new, &why);
    let message = format!("namespace {name} is being terminated");
    let cause = Cause::new("NamespaceTerminating", "metadata.namespace", message);
    let details: &mut Details = status.details.get_or_insert_default();
    details.causes.push(cause);
    Err(status)
}

/// A namespace goes when its content is gone, which a finalizer in its spec stands for.
fn prepare_namespace(new: &mut Value) {
    let finalizers = member(new, "spec").entry("finalizers").or_insert_with(|| json!([]));
    if let Value::Array(finalizers) = finalizers
        && !finalizers.contains(&json!("kubernetes"))
    {
        finalizers.push(json!("kubernetes"));
    }
    let name = new["metadata"]["name"].clone();
    if name.is_string() {
        member(new, "metadata/labels").insert("kubernetes.io/metadata.name".to_owned(), name);
    }
    member(new, "").insert("status".to_owned(), json!({"phase": "Active"}));
}

/// What kind of class objects are of that may say so in a field, or in an annotation of old.
struct Classes {
    resource: &'static str,
    field: &'static str,
    annotation: &'static str,
    /// The annotation of the class for objects that say nothing of theirs.
    default: &'static str,
}

const STORAGE: Classes = Classes {
    resource: "storageclasses.storage.k8s.io",
    field: "storageClassName",
    annotation: "volume.beta.kubernetes.io/storage-class",
    default: "storageclass.kubernetes.io/is-default-class",
};

const INGRESS: Classes = Classes {
    resource: "ingressclasses.networking.k8s.io",
    field: "ingressClassName",
    annotation: "kubernetes.io/ingress.class",
    default: "ingressclass.kubernetes.io/is-default-class",
};

/// Gives an object that says nothing of its class the newest of the default ones.
fn give_class(txn: &Txn, new: &mut Value, classes: &Classes) {
    let annotated = new["metadata"]["annotations"].get(classes.annotation).is_some();
    if new["spec"][classes.field].is_string() || annotated {
        return;
    }
    let marked = txn.list(classes.resource, None).into_iter().filter(|c| c.annotation(classes.default) == Some("true"));
    let newest =
        |class: &Arc<Object>| (Reverse(text(&class.value(), "/metadata/creationTimestamp").to_owned()), class.key.name.clone());
    if let Some(class) = marked.min_by_key(newest) {
        member(new, "spec").insert(classes.field.to_owned(), json!(&*class.key.name));
    }
}

/// A job knows its pods by its own UID, unless its author chose a selector.
fn select_pods_of(new: &mut Value) {
    let uid = member(new, "metadata").entry("uid").or_insert_with(|| json!(id::uuid())).clone();
    if new["spec"]["manualSelector"] == true {
        return;
    }
    let name = new["metadata"]["name"].clone();
    let labels = member(new, "spec/template/metadata/labels");
    for (label, value) in [
        ("batch.kubernetes.io/controller-uid", &uid),
        ("controller-uid", &uid),
        ("batch.kubernetes.io/job-name", &name),
        ("job-name", &name),
    ] {
        // A name that is still to be generated is told later.
        if value.is_string() {
            labels.insert(label.to_owned(), value.clone());
        }
    }
    member(new, "spec")
        .entry("selector")
        .or_insert_with(|| json!({"matchLabels": {"batch.kubernetes.io/controller-uid": uid}}));
}

/// Who asks for a certificate is what the cluster knows, not what the request says.
fn tell_requester(user: &User, new: &mut Value) {
    let spec = member(new, "spec");
    spec.insert("username".to_owned(), json!(user.name));
    spec.insert("groups".to_owned(), json!(user.groups));
    for (field, value) in [("uid", json!(user.uid)), ("extra", json!(user.extra))] {
        let empty = value.as_str().is_some_and(str::is_empty) || value.as_object().is_some_and(Map::is_empty);
        if empty {
            spec.remove(field);
        } else {
            spec.insert(field.to_owned(), value);
        }
    }
}

/// An event is where the object is that it is about.
fn check_event(resource: &Resource, new: &Value) -> Result<(), Status> {
    let about = if new.get("regarding").is_some() { "regarding" } else { "involvedObject" };
    let (wanted, given) = (new[about]["namespace"].as_str().unwrap_or_default(), text(new, "/metadata/namespace"));
    // What is in no namespace is told of in the default one.
    let right = wanted == given || (wanted.is_empty() && matches!(given, "default" | "kube-system"));
    if right {
        return Ok(());
    }
    let cause = Cause::invalid(format!("{about}.namespace"), &json!(wanted), "does not match event.namespace");
    Err(Status::invalid(&resource.group, &resource.kind, text(new, "/metadata/name"), vec![cause]))
}

/// The containers of a pod, those that only begin it first.
fn containers(pod: &Value) -> impl Iterator<Item = &Value> {
    array(pod, "/spec/initContainers").iter().chain(array(pod, "/spec/containers"))
}

#[cfg(test)]
mod tests;
