//! What a schema says of a value: which of its members are known, of which type they are, what has to be true of them.
//!
//! Built-in kinds are judged as typed decoders do ([`check_types`]), custom resources by their structural schema ([`validate`]).

mod decode;
mod formats;
pub(crate) mod rules;
mod structural;

use serde_json::{Map, Value};

pub use decode::check_types;
pub use structural::{validate, validate_update};

use crate::types::{self, Type};

const OBJECT_META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta";

/// Optional lists that are written even if they are empty: the rules of roles.
const ALWAYS_WRITTEN: [&str; 1] = ["rules"];

/// What a schema says of a member.
enum Known<'a> {
    As(&'a Type),
    /// It may be there, and hold anything.
    Anything,
    No,
}

/// A place in a schema. `typed` tells that it is part of a published definition: there, an object without properties is an open one,
/// while in a structural schema it has none.
#[derive(Clone, Copy)]
struct Place<'a> {
    schema: &'a Type,
    typed: bool,
}

impl<'a> Place<'a> {
    fn root(schema: &'a Type) -> Self {
        Self { schema: schema.resolved(), typed: schema.is_built_in() || schema.reference().is_some() }
    }

    fn within(self, schema: &'a Type) -> Self {
        Self { schema: schema.resolved(), typed: self.typed || schema.reference().is_some() }
    }

    fn member(self, name: &str) -> Known<'a> {
        if self.schema.embedded_resource {
            match name {
                "apiVersion" | "kind" => return Known::Anything,
                "metadata" => return types::definitions().named(OBJECT_META).map_or(Known::Anything, Known::As),
                _ => {}
            }
        }
        match self.schema.property(name) {
            Some(schema) => Known::As(schema),
            None if self.schema.preserve_unknown_fields || (self.typed && self.schema.is_open()) => Known::Anything,
            None => Known::No,
        }
    }
}

/// `spec` and `containers` as `spec.containers`.
fn child(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

/// Fields that the schema does not know, as strict decoding tells of them: `unknown field "spec.containers[0].imagee"`.
#[must_use]
pub fn unknown_fields(value: &Value, schema: &Type) -> Vec<String> {
    let mut found = Vec::new();
    find_unknown(value, Place::root(schema), "", &mut found);
    found
}

fn find_unknown(value: &Value, place: Place, path: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                match place.member(name) {
                    Known::As(schema) => find_unknown(value, place.within(schema), &child(path, name), found),
                    Known::Anything => {}
                    Known::No => found.push(format!("unknown field \"{}\"", child(path, name))),
                }
            }
        }
        Value::Array(items) => {
            let Some(schema) = &place.schema.items else { return };
            for (at, item) in items.iter().enumerate() {
                find_unknown(item, place.within(schema), &format!("{path}[{at}]"), found);
            }
        }
        _ => {}
    }
}

/// Drops fields that the schema does not know, and what says nothing: nulls, and in built-in kinds optional lists and maps that are
/// empty, as those that decode into types and encode again do.
pub fn prune(value: &mut Value, schema: &Type) {
    prune_at(value, Place::root(schema));
}

fn prune_at(value: &mut Value, place: Place) {
    match value {
        Value::Object(members) => prune_members(members, place),
        Value::Array(items) => {
            let Some(schema) = &place.schema.items else { return };
            for item in items {
                prune_at(item, place.within(schema));
            }
        }
        _ => {}
    }
}

fn prune_members(members: &mut Map<String, Value>, place: Place) {
    let is_map = place.typed && place.schema.additional_properties.is_some();
    members.retain(|name, value| {
        let within = match place.member(name) {
            Known::No => return false,
            Known::Anything => return true,
            Known::As(schema) => place.within(schema),
        };
        if value.is_null() {
            // Null in a map of texts is read as the empty text; elsewhere it is as if it were not there.
            if is_map && within.schema.kind == "string" {
                *value = Value::String(String::new());
                return true;
            }
            return keeps_null(within);
        }
        prune_at(value, within);
        let kept = ALWAYS_WRITTEN.contains(&name.as_str()) || place.schema.required.iter().any(|r| r == name);
        kept || is_map || !within.typed || !is_empty(value, within.schema)
    });
}

/// Whether null is a value of its own there.
fn keeps_null(place: Place) -> bool {
    !place.typed && (place.schema.nullable || (place.schema.preserve_unknown_fields && place.schema.kind.is_empty()))
}

/// Whether it is an empty list or map. An empty struct is something else: `emptyDir: {}`.
fn is_empty(value: &Value, schema: &Type) -> bool {
    match value {
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.is_empty() && schema.additional_properties.is_some(),
        _ => false,
    }
}

/// Fills in the defaults of a structural schema, in objects that are there and in those that defaults make.
pub fn default_by_schema(value: &mut Value, schema: &Type) {
    let schema = schema.resolved();
    match value {
        Value::Object(members) => {
            for (name, property) in &schema.properties {
                let Some(default) = &property.default else { continue };
                let missing = match members.get(name) {
                    None => true,
                    Some(Value::Null) => !property.nullable,
                    Some(_) => false,
                };
                if missing {
                    members.insert(name.clone(), default.clone());
                }
            }
            for (name, value) in members {
                if let Some(schema) = schema.property(name) {
                    default_by_schema(value, schema);
                }
            }
        }
        Value::Array(items) => {
            let Some(schema) = &schema.items else { return };
            for item in items {
                default_by_schema(item, schema);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests;
