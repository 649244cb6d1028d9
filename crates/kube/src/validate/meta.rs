//! Rules of metadata.

use serde_json::{Value, json};

use super::names::{Syntax, key_faults};
use super::too_long;
use crate::object::{array, text};
use crate::resources::Resource;
use crate::status::Cause;

/// All keys and values of the annotations of an object together.
const ANNOTATIONS: usize = 256 * 1024;

/// How objects of a resource may be named.
fn syntax(stored: &str) -> Syntax {
    match stored {
        "namespaces" | "statefulsets.apps" | "services" => Syntax::Label,
        _ if stored.ends_with("rbac.authorization.k8s.io") => Syntax::Segment,
        "apiservices.apiregistration.k8s.io" => Syntax::Segment,
        _ => Syntax::Subdomain,
    }
}

pub(super) fn check(resource: &Resource, old: Option<&Value>, new: &Value, causes: &mut Vec<Cause>) {
    let metadata = &new["metadata"];
    match old {
        None => check_name(&resource.stored, metadata, causes),
        Some(old) => check_update(&old["metadata"], metadata, causes),
    }
    check_labels(&metadata["labels"], "metadata.labels", causes);
    check_annotations(&metadata["annotations"], "metadata.annotations", causes);
    // Definitions and what they define are extensions, whose finalizers may have any name.
    let extension = resource.custom.is_some() || resource.group == "apiextensions.k8s.io";
    for (at, finalizer) in array(metadata, "/finalizers").iter().enumerate() {
        let name = finalizer.as_str().unwrap_or_default();
        causes.extend(key_faults(name).iter().map(|fault| Cause::invalid("metadata.finalizers", finalizer, fault)));
        let standard = ["orphan", "foregroundDeletion", "kubernetes"].contains(&name);
        if !name.contains('/') && !standard && !extension {
            let why = "name is neither a standard finalizer name nor is it fully qualified";
            causes.push(Cause::invalid(format!("metadata.finalizers[{at}]"), finalizer, why));
        }
    }
    check_owners(metadata, causes);
}

fn check_name(stored: &str, metadata: &Value, causes: &mut Vec<Cause>) {
    let syntax = syntax(stored);
    let mut judge = |field: &str, prefix: bool| {
        let name = text(metadata, &format!("/{field}"));
        let path = format!("metadata.{field}");
        causes.extend(syntax.faults(name, prefix).iter().map(|fault| Cause::invalid(path.as_str(), &json!(name), fault)));
    };
    if !text(metadata, "/generateName").is_empty() {
        judge("generateName", true);
    }
    let name = text(metadata, "/name");
    if name.is_empty() {
        causes.push(Cause::required("metadata.name", "name or generateName is required"));
        return;
    }
    judge("name", false);
    if stored == "cronjobs.batch" && name.len() > 52 {
        causes.push(Cause::invalid("metadata.name", &json!(name), "must be no more than 52 characters"));
    }
}

fn check_update(old: &Value, new: &Value, causes: &mut Vec<Cause>) {
    // Who leaves out what the cluster gave keeps it.
    for field in ["name", "namespace", "uid"] {
        if !new[field].is_null() && old[field] != new[field] {
            causes.push(Cause::invalid(format!("metadata.{field}"), &new[field], "field is immutable"));
        }
    }
    if !old["deletionTimestamp"].is_null() {
        let before = array(old, "/finalizers");
        let added: Vec<&Value> = array(new, "/finalizers").iter().filter(|finalizer| !before.contains(finalizer)).collect();
        if !added.is_empty() {
            let told = added.iter().map(|f| format!("\"{}\"", f.as_str().unwrap_or_default())).collect::<Vec<_>>().join(", ");
            let why = format!(
                "no new finalizers can be added if the object is being deleted, found new finalizers []string{{{told}}}"
            );
            causes.push(Cause::forbidden("metadata.finalizers", &why));
        }
    }
}

/// Keys and values of labels.
pub(super) fn check_labels(labels: &Value, path: &str, causes: &mut Vec<Cause>) {
    for (key, value) in labels.as_object().into_iter().flatten() {
        causes.extend(key_faults(key).iter().map(|fault| Cause::invalid(path, &json!(key), fault)));
        let faults = Syntax::LabelValue.faults(value.as_str().unwrap_or_default(), false);
        causes.extend(faults.iter().map(|fault| Cause::invalid(path, value, fault)));
    }
}

/// Keys of annotations, and how much they hold.
pub(super) fn check_annotations(annotations: &Value, path: &str, causes: &mut Vec<Cause>) {
    let mut size = 0;
    for (key, value) in annotations.as_object().into_iter().flatten() {
        causes.extend(key_faults(&key.to_lowercase()).iter().map(|fault| Cause::invalid(path, &json!(key), fault)));
        size += key.len() + value.as_str().map_or(0, str::len);
    }
    if size > ANNOTATIONS {
        causes.push(too_long(path, ANNOTATIONS));
    }
}

fn check_owners(metadata: &Value, causes: &mut Vec<Cause>) {
    let owners = array(metadata, "/ownerReferences");
    for (at, owner) in owners.iter().enumerate() {
        let path = format!("metadata.ownerReferences[{at}]");
        for (field, why) in [
            ("apiVersion", "version must not be empty"),
            ("kind", "must not be empty"),
            ("name", "must not be empty"),
            ("uid", "must not be empty"),
        ] {
            if owner[field].as_str().is_none_or(str::is_empty) {
                causes.push(Cause::invalid(format!("{path}.{field}"), &json!(""), why));
            }
        }
    }
    if owners.iter().filter(|owner| owner["controller"] == true).count() > 1 {
        let why = "Only one reference can have Controller set to true. Found \"true\" in references for several owners";
        causes.push(Cause::invalid("metadata.ownerReferences", &metadata["ownerReferences"], why));
    }
}
