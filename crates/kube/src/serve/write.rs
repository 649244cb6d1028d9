//! What every change goes through: reading, defaults, admission, validation, ownership of fields.

use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::Ask;
use crate::cluster::Snapshot;
use crate::managed::{self, Writer};
use crate::object::{Object, array, member, text};
use crate::rbac;
use crate::registry;
use crate::state::{self, Txn};
use crate::status::{Cause, Status};
use crate::{admission, convert, crd, defaults, openshift, protobuf, schema, validate};

/// The largest body, in bytes, as upstream has it.
pub const BODY_LIMIT: usize = 3 * 1024 * 1024;
/// Resources that have a `spec` and count no generations of it.
const UNCOUNTED: [&str; 5] = ["nodes", "namespaces", "services", "persistentvolumes", "persistentvolumeclaims"];

/// Reads a body as protobuf if it is called so, or else as JSON or YAML, whatever it is called: clients are careless with labels.
///
/// # Errors
/// 400 if it is neither, 413 if it is too large, 415 if it is labelled as a form that is not understood.
pub fn decode(content_type: &str, body: &Bytes) -> Result<Value, Status> {
    if body.len() > BODY_LIMIT {
        return Err(Status::too_large(BODY_LIMIT));
    }
    let content_type = content_type.split(';').next().unwrap_or_default().trim();
    match content_type {
        protobuf::MEDIA_TYPE => protobuf::decode(body),
        "application/cbor" | "application/apply-patch+cbor" => {
            let accepted = format!("application/json, application/yaml, {}", protobuf::MEDIA_TYPE);
            Err(Status::unsupported_media_type(content_type, &accepted))
        }
        "application/yaml" | "application/apply-patch+yaml" => {
            yaml_serde::from_slice(body).map_err(|error| Status::bad_request(format!("error decoding YAML: {error}")))
        }
        _ => serde_json::from_slice(body)
            .or_else(|error| match body.first() {
                Some(b'{' | b'[') | None => Err(error),
                _ => yaml_serde::from_slice(body).map_err(|_| error),
            })
            .map_err(|error| {
                Status::bad_request(format!("the object provided is unrecognized (must be of type {}): {error}", "JSON"))
            }),
    }
}

/// The object in a body, with the kind and place that the path says.
///
/// # Errors
/// 400 if it is no object, or of another kind or place.
pub fn object(ask: &Ask, value: Value) -> Result<Value, Status> {
    let mut value = value;
    if !value.is_object() {
        return Err(Status::bad_request("the body of the request is not an object"));
    }
    let resource = &ask.resource;
    let (kind, api_version) = (text(&value, "/kind").to_owned(), text(&value, "/apiVersion").to_owned());
    if !kind.is_empty() && (kind != resource.kind || (!api_version.is_empty() && api_version != resource.api_version())) {
        return Err(Status::bad_request(format!(
            "{kind} in version \"{api_version}\" cannot be handled as a {}: the path is that of {} {}",
            resource.kind,
            resource.api_version(),
            resource.plural
        )));
    }
    value["kind"] = json!(resource.kind);
    value["apiVersion"] = json!(resource.api_version());
    if !value["metadata"].is_object() && !value["metadata"].is_null() {
        return Err(Status::bad_request("metadata is not an object"));
    }
    let metadata = member(&mut value, "metadata");
    let given = metadata.get("namespace").and_then(Value::as_str).unwrap_or_default();
    let wanted = if resource.namespaced { ask.namespace() } else { "" };
    if given.is_empty() || !resource.namespaced {
        metadata.remove("namespace");
        if !wanted.is_empty() {
            metadata.insert("namespace".to_owned(), json!(wanted));
        }
    } else if given != wanted {
        return Err(Status::bad_request(
            "the namespace of the provided object does not match the namespace sent on the request",
        ));
    }
    Ok(value)
}

/// Takes an object that a client wrote through everything but ownership. Both are as the resource serves them; `old` is what is there.
///
/// # Errors
/// 400, 403, 409 or 422, as upstream.
pub fn prepare(ask: &Ask, at: &Snapshot, txn: &Txn, old: Option<&Value>, mut value: Value) -> Result<Value, Status> {
    let resource = &ask.resource;
    let schema = resource.schema.root();
    known_fields(ask, &value)?;
    if resource.custom.is_none() {
        schema::check_types(&value, schema)?;
    }
    schema::prune(&mut value, schema);
    if resource.custom.is_some() {
        schema::default_by_schema(&mut value, schema);
    } else {
        defaults::apply(&mut value, resource);
    }
    if &*resource.stored == registry::DEFINITIONS {
        crd::defaulted(&mut value);
    }
    keep_system_fields(ask, old, &mut value);
    admission::admit(txn, &at.world, &ask.user, resource, ask.subresource(), old, &mut value)?;
    if resource.group == "rbac.authorization.k8s.io" {
        rbac::check_escalation(&at.authorizer, &at.state, &ask.user, &resource.plural, ask.namespace(), &value)?;
    }
    if &*resource.stored == openshift::ROUTES {
        openshift::route_admit(txn, &at.world, &mut value);
    }
    if !txn.state().has_room(old, &value) {
        let name = text(&value, "/metadata/name");
        return Err(Status::no_space(&resource.group, &resource.plural, name, state::MOST_BYTES));
    }
    let mut causes = validate::object(resource, ask.subresource(), old, &value);
    if &*resource.stored == openshift::ROUTES {
        causes.extend(openshift::route_validate(&value));
    }
    if causes.is_empty() { Ok(value) } else { Err(invalid(ask, &value, causes)) }
}

pub fn invalid(ask: &Ask, value: &Value, causes: Vec<Cause>) -> Status {
    Status::invalid(&ask.resource.group, &ask.resource.kind, text(value, "/metadata/name"), causes)
}

/// What `fieldValidation` says of fields that are not known: refused, warned of, or ignored.
fn known_fields(ask: &Ask, value: &Value) -> Result<(), Status> {
    let strict = match ask.query.get("fieldValidation") {
        "Ignore" => return Ok(()),
        "Strict" => true,
        "Warn" | "" => false,
        other => {
            return Err(Status::bad_request(format!(
                "fieldValidation: Unsupported value: \"{other}\": supported values: \"Ignore\", \"Warn\", \"Strict\""
            )));
        }
    };
    let unknown = schema::unknown_fields(value, ask.resource.schema.root());
    if strict && !unknown.is_empty() {
        let resource = &ask.resource;
        return Err(Status::bad_request(format!(
            "{} in version \"{}\" cannot be handled as a {}: strict decoding error: {}",
            resource.kind,
            resource.version,
            resource.kind,
            unknown.join(", ")
        )));
    }
    for field in unknown {
        ask.warn(field);
    }
    Ok(())
}

/// Sets what no client decides: identity, times, generation, and the part that this request may not write.
fn keep_system_fields(ask: &Ask, old: Option<&Value>, value: &mut Value) {
    let resource = &ask.resource;
    let (has_status, of_status) = (resource.subresource("status").is_some(), ask.subresource() == "status");
    match old {
        None => {
            let metadata = member(value, "metadata");
            for field in
                ["uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "generation", "selfLink"]
            {
                metadata.remove(field);
            }
            metadata.remove("resourceVersion");
            if has_status && let Some(members) = value.as_object_mut() {
                members.remove("status");
                if let Some(status) = initial_status(&resource.stored) {
                    members.insert("status".to_owned(), status);
                }
            }
            if counts(resource, value) {
                member(value, "metadata").insert("generation".to_owned(), json!(1));
            }
        }
        Some(old) => {
            let metadata = member(value, "metadata");
            for field in [
                "uid",
                "creationTimestamp",
                "deletionTimestamp",
                "deletionGracePeriodSeconds",
                "generation",
                "generateName",
                "resourceVersion",
            ] {
                match old["metadata"].get(field) {
                    Some(kept) => metadata.insert(field.to_owned(), kept.clone()),
                    None => metadata.remove(field),
                };
            }
            if of_status {
                only_status(resource.custom.is_some(), old, value);
            } else if has_status {
                replace(value, old, "status");
            }
            if counts(resource, value) && !of_status && spec_changed(resource.custom.is_some(), old, value) {
                let generation = old["metadata"]["generation"].as_i64().unwrap_or(0) + 1;
                member(value, "metadata").insert("generation".to_owned(), json!(generation));
            }
        }
    }
}

fn counts(resource: &crate::resources::Resource, value: &Value) -> bool {
    (value.get("spec").is_some() || resource.custom.is_some()) && !UNCOUNTED.contains(&&*resource.stored)
}

/// Of a custom resource everything but metadata and status counts, of others the spec.
fn spec_changed(custom: bool, old: &Value, new: &Value) -> bool {
    if !custom {
        return old.get("spec") != new.get("spec");
    }
    let rest = |value: &Value| -> Map<String, Value> {
        let members = value.as_object().into_iter().flatten();
        members
            .filter(|(name, _)| !matches!(name.as_str(), "metadata" | "status" | "apiVersion"))
            .map(|(n, v)| (n.clone(), v.clone()))
            .collect()
    };
    rest(old) != rest(new)
}

/// A change of the status leaves everything else as it was, but for labels and so on of built-in kinds.
fn only_status(custom: bool, old: &Value, value: &mut Value) {
    let status = value.get("status").cloned();
    let metadata = value["metadata"].take();
    *value = old.clone();
    match status {
        Some(status) => value["status"] = status,
        None => {
            value.as_object_mut().map(|members| members.remove("status"));
        }
    }
    if custom {
        let managed = metadata.get("managedFields").cloned();
        if let Some(managed) = managed {
            member(value, "metadata").insert("managedFields".to_owned(), managed);
        }
    } else {
        value["metadata"] = metadata;
    }
}

/// A change of a part that has a path of its own leaves everything else as it was.
pub fn only_subresource(ask: &Ask, old: &Value, value: &mut Value) {
    let mut kept = old.clone();
    match ask.subresource() {
        "finalize" => take(&mut kept, value, "/spec", "finalizers"),
        "ephemeralcontainers" => take(&mut kept, value, "/spec", "ephemeralContainers"),
        "resize" => {
            for list in ["containers", "initContainers"] {
                let wanted = array(value, &format!("/spec/{list}")).to_vec();
                let containers = kept["spec"].get_mut(list).and_then(Value::as_array_mut).into_iter().flatten();
                for container in containers {
                    let same = wanted.iter().find(|w| w["name"] == container["name"]);
                    if let (Some(resources), Some(members)) = (same.and_then(|w| w.get("resources")), container.as_object_mut())
                    {
                        members.insert("resources".to_owned(), resources.clone());
                    }
                }
            }
        }
        _ => return,
    }
    *value = kept;
}

/// Takes one member of an object over.
fn take(kept: &mut Value, from: &Value, parent: &str, name: &str) {
    let members = member(kept, parent);
    match from.pointer(parent).and_then(|p| p.get(name)) {
        Some(value) => members.insert(name.to_owned(), value.clone()),
        None => members.remove(name),
    };
}

fn replace(value: &mut Value, old: &Value, name: &str) {
    let Some(members) = value.as_object_mut() else { return };
    match old.get(name) {
        Some(kept) => members.insert(name.to_owned(), kept.clone()),
        None => members.remove(name),
    };
}

/// Takes out of what is applied what this path does not write: the status, or everything else.
pub fn only_own_part(ask: &Ask, config: &mut Value) {
    let Some(members) = config.as_object_mut() else { return };
    match ask.subresource() {
        "status" => members.retain(|name, _| matches!(name.as_str(), "apiVersion" | "kind" | "metadata" | "status")),
        _ if ask.resource.subresource("status").is_some() => {
            members.remove("status");
        }
        _ => {}
    }
}

/// What a new object says of itself before any controller looked at it.
fn initial_status(stored: &str) -> Option<Value> {
    match stored {
        "pods" => Some(json!({ "phase": "Pending" })),
        "namespaces" => Some(json!({ "phase": "Active" })),
        "persistentvolumeclaims" | "persistentvolumes" => Some(json!({ "phase": "Pending" })),
        "services" => Some(json!({ "loadBalancer": {} })),
        "deployments.apps"
        | "statefulsets.apps"
        | "daemonsets.apps"
        | "replicasets.apps"
        | "jobs.batch"
        | "cronjobs.batch"
        | "horizontalpodautoscalers.autoscaling"
        | "poddisruptionbudgets.policy"
        | "replicationcontrollers" => Some(json!({})),
        _ => None,
    }
}

/// Says who owns which fields after a create, an update or a patch.
pub fn owned(ask: &Ask, old: Option<&Value>, new: &mut Value) {
    let api_version = ask.resource.api_version();
    let writer = writer(ask, &api_version);
    managed::track_update(old, new, ask.resource.schema.root(), &writer);
}

pub fn writer<'a>(ask: &'a Ask, api_version: &'a str) -> Writer<'a> {
    Writer { manager: &ask.manager, api_version, subresource: ask.subresource(), time: ask.now }
}

/// An object as the resource serves it.
pub fn as_served(ask: &Ask, object: &Object) -> Value {
    convert::served(&ask.resource, object.value()).into_owned()
}

/// An object that the resource serves, as it is kept.
pub fn as_stored(ask: &Ask, value: Value) -> Value {
    convert::stored(&ask.resource, value)
}
