//! Rules for objects beyond the types of their values, worded as upstream's `pkg/apis/*/validation` and `k8s.io/apimachinery` do.
//!
//! Rules belong to types where they can: what is wrong with a container is wrong in a pod as in the template of a CronJob. Those of
//! single fields are a table in [`fields`]; those of several are functions by type or by kind.

mod fields;
mod kinds;
mod meta;
pub(crate) mod names;
mod pods;
mod workloads;

use serde_json::{Map, Value, json};

use crate::object::{array, text};
use crate::resources::{Resource, Schema};
use crate::status::Cause;
use crate::types::Type;
use crate::{crd, defaults, schema};

/// Resources of which most cannot be changed.
const COMPARED: [&str; 4] = ["pods", "statefulsets.apps", "jobs.batch", "persistentvolumeclaims"];

/// What is wrong with an object that is to be written; `old` is what it replaces. It has its defaults already. The `status` of a built-in
/// kind is written by controllers, and not judged.
#[must_use]
pub fn object(resource: &Resource, subresource: &str, old: Option<&Value>, new: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    meta::check(resource, old, new, &mut causes);
    match &resource.schema {
        Schema::Custom(schema) => causes.extend(schema::validate_update(new, old, schema)),
        Schema::BuiltIn(schema) if subresource != "status" => {
            let name = format!("{}.{}.{}", short_group(&resource.group), resource.version, resource.kind);
            walk(new, schema, &name, "", &mut causes);
            // What became a default since the object was stored is no change of it.
            let defaulted = old.filter(|_| COMPARED.contains(&&*resource.stored)).map(|old| {
                let mut old = old.clone();
                defaults::apply(&mut old, resource);
                old
            });
            kinds::check(&resource.stored, subresource, defaulted.as_ref().or(old), new, &mut causes);
            if &*resource.stored == "customresourcedefinitions.apiextensions.k8s.io" {
                causes.extend(crd::validate_definition(new));
                causes.extend(old.into_iter().flat_map(|old| crd::validate_update(old, new)));
            }
        }
        Schema::BuiltIn(_) => {}
    }
    dedup(causes)
}

/// The table and the rules of a type may tell the same.
fn dedup(causes: Vec<Cause>) -> Vec<Cause> {
    let mut told: Vec<Cause> = Vec::new();
    for cause in causes {
        if !told.contains(&cause) {
            told.push(cause);
        }
    }
    told
}

pub(crate) fn short_group(group: &str) -> &str {
    group.split('.').next().filter(|g| !g.is_empty()).unwrap_or("core")
}

/// `io.k8s.api.core.v1.Container` as `core.v1.Container`.
fn short(definition: &str) -> &str {
    definition.rmatch_indices('.').nth(2).map_or(definition, |(at, _)| definition.get(at + 1..).unwrap_or(definition))
}

/// `spec` and `containers` as `spec.containers`.
fn child(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

fn walk(value: &Value, schema: &Type, name: &str, path: &str, causes: &mut Vec<Cause>) {
    match value {
        Value::Object(members) => {
            if !name.is_empty() {
                check_required(members, schema, name, path, causes);
                fields::check(name, value, path, causes);
                pods::check(name, value, path, causes);
            }
            for (member, value) in members {
                // Metadata of the object itself has rules of its own; a status is what controllers say.
                if path.is_empty() && matches!(member.as_str(), "metadata" | "status") {
                    continue;
                }
                let Some(property) = schema.property(member) else { continue };
                let path = match schema.properties.contains_key(member) {
                    true => child(path, member),
                    false => format!("{path}[{member}]"),
                };
                walk(value, property.resolved(), property.reference().map(short).unwrap_or_default(), &path, causes);
            }
        }
        Value::Array(items) => {
            let Some(of) = &schema.items else { return };
            let name = of.reference().map(short).unwrap_or_default();
            for (at, item) in items.iter().enumerate() {
                walk(item, of.resolved(), name, &format!("{path}[{at}]"), causes);
            }
        }
        _ => {}
    }
}

/// Fields that may be empty although the published types ask for them, or that have a rule of their own.
const MAY_BE_EMPTY: [(&str, &str); 3] =
    [("core.v1.HTTPHeader", "value"), ("meta.v1.LabelSelectorRequirement", "operator"), ("rbac.v1.Subject", "name")];

/// Texts and structs that have to be there. Numbers and lists are nothing when they are left out, and have rules of their own. So does a
/// struct that is left out: what is told are the fields that it would have to have.
fn check_required(members: &Map<String, Value>, schema: &Type, name: &str, path: &str, causes: &mut Vec<Cause>) {
    for field in &schema.required {
        let Some(property) = schema.properties.get(field) else { continue };
        let reference = property.reference().map(short).unwrap_or_default();
        let property = property.resolved();
        let missing = match members.get(field) {
            None | Some(Value::Null) => true,
            Some(Value::String(text)) => text.is_empty(),
            Some(_) => false,
        };
        if !missing || MAY_BE_EMPTY.contains(&(name, field)) {
            continue;
        }
        let is_text = property.kind == "string" && !property.is_int_or_string() && reference.is_empty();
        if is_text || reference == "meta.v1.LabelSelector" {
            causes.push(Cause::required(child(path, field), ""));
        } else if property.kind == "object" && !property.properties.is_empty() {
            walk(&json!({}), property, reference, &child(path, field), causes);
        }
    }
}

/// What must not be changed.
fn unchanged(old: &Value, new: &Value, paths: &[&str], causes: &mut Vec<Cause>) {
    for path in paths {
        let (before, after) = (old.pointer(path), new.pointer(path));
        if before != after && !(is_nothing(before) && is_nothing(after)) {
            let field = path.trim_start_matches('/').replace('/', ".");
            causes.push(Cause::invalid(field, after.unwrap_or(&Value::Null), "field is immutable"));
        }
    }
}

fn is_nothing(value: Option<&Value>) -> bool {
    value.is_none_or(|value| match value {
        Value::Null => true,
        Value::Object(members) => members.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::String(text) => text.is_empty(),
        _ => false,
    })
}

fn too_long(field: &str, most: usize) -> Cause {
    Cause::new("FieldValueTooLong", field, format!("Too long: may not be more than {most} bytes"))
}

/// Whether a label selector matches labels. Nothing selects nothing, an empty one everything.
fn selects(selector: &Value, labels: &Value) -> bool {
    let Value::Object(wanted) = selector else { return false };
    let has = |key: &str| labels.get(key);
    let equal = wanted.get("matchLabels").and_then(Value::as_object).into_iter().flatten();
    let mut equal = equal.map(|(key, value)| has(key) == Some(value));
    let expressions = array(selector, "/matchExpressions").iter();
    let mut expressions = expressions.map(|expression| {
        let value = has(text(expression, "/key"));
        let among = value.is_some_and(|value| array(expression, "/values").contains(value));
        match text(expression, "/operator") {
            "In" => among,
            "NotIn" => !among,
            "Exists" => value.is_some(),
            "DoesNotExist" => value.is_none(),
            _ => false,
        }
    });
    equal.all(|holds| holds) && expressions.all(|holds| holds)
}

/// What is wrong with a label selector itself.
fn check_selector(selector: &Value, path: &str, causes: &mut Vec<Cause>) {
    if let Some(labels) = selector.get("matchLabels") {
        meta::check_labels(labels, &format!("{path}.matchLabels"), causes);
    }
    for (at, expression) in array(selector, "/matchExpressions").iter().enumerate() {
        let path = format!("{path}.matchExpressions[{at}]");
        let values = array(expression, "/values");
        match text(expression, "/operator") {
            "In" | "NotIn" if values.is_empty() => {
                causes.push(Cause::required(format!("{path}.values"), "must be specified when `operator` is 'In' or 'NotIn'"));
            }
            "Exists" | "DoesNotExist" if !values.is_empty() => {
                let why = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'";
                causes.push(Cause::forbidden(format!("{path}.values"), why));
            }
            "In" | "NotIn" | "Exists" | "DoesNotExist" => {}
            other => causes.push(Cause::invalid(format!("{path}.operator"), &json!(other), "not a valid selector operator")),
        }
        let key = text(expression, "/key");
        causes.extend(names::key_faults(key).iter().map(|fault| Cause::invalid(format!("{path}.key"), &json!(key), fault)));
    }
}

#[cfg(test)]
mod tests;
