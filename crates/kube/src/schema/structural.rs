//! Validation of custom resources by their schema, worded as `k8s.io/apiextensions-apiserver` and `k8s.io/kube-openapi` do.

use serde_json::{Number, Value, json};

use super::{Known, Place, child, formats, rules};
use crate::status::Cause;
use crate::types::Type;

/// What is wrong with a custom resource.
#[must_use]
pub fn validate(value: &Value, schema: &Type) -> Vec<Cause> {
    validate_update(value, None, schema)
}

/// What is wrong with a custom resource that replaces `old`: rules may compare the two.
#[must_use]
pub fn validate_update(value: &Value, old: Option<&Value>, schema: &Type) -> Vec<Cause> {
    let mut causes = Vec::new();
    let place = Place::root(schema);
    check(value, place, "", &mut causes);
    check_lists(value, place, "", &mut causes);
    // Rules rely on the types that the schema says.
    if causes.is_empty() {
        rules::check(value, old, place, "", &mut causes);
    }
    causes
}

/// `spec.replicas in body`, as messages begin.
fn body(path: &str) -> String {
    format!("{path} in body")
}

fn invalid(path: &str, value: &Value, why: &str) -> Cause {
    Cause::invalid(path, value, &format!("{} {why}", body(path)))
}

fn check(value: &Value, place: Place, path: &str, causes: &mut Vec<Cause>) {
    // Metadata is validated as that of every object is.
    if place.typed {
        return;
    }
    let schema = place.schema;
    if value.is_null() && schema.nullable {
        return;
    }
    check_type(value, schema, path, causes);
    check_enum(value, schema, path, causes);
    match value {
        Value::String(text) => check_text(text, value, schema, path, causes),
        Value::Number(number) => check_number(number, value, schema, path, causes),
        Value::Array(items) => check_items(items, place, path, causes),
        Value::Object(_) => check_members(value, place, path, causes),
        Value::Null | Value::Bool(_) => {}
    }
    check_combinations(value, place, path, causes);
}

fn is_whole(number: &Number) -> bool {
    number.is_i64() || number.is_u64() || number.as_f64().is_some_and(|f| f.fract() == 0.0)
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn type_cause(path: &str, value: &Value, wanted: &str) -> Cause {
    let told = format!("Invalid value: {value}: {} must be of type {wanted}: {value}", body(path));
    Cause::new("FieldValueTypeInvalid", path, told)
}

fn check_type(value: &Value, schema: &Type, path: &str, causes: &mut Vec<Cause>) {
    let wanted = if schema.int_or_string { "integer,string" } else { &schema.kind };
    let right = match value {
        _ if wanted.is_empty() => !value.is_null() || schema.preserve_unknown_fields || schema.nullable,
        Value::Number(number) if is_whole(number) => wanted.contains("integer") || wanted == "number",
        Value::Number(_) => wanted == "number",
        other => wanted.split(',').any(|kind| kind == type_of(other)),
    };
    if !right && !wanted.is_empty() {
        causes.push(type_cause(path, &json!(type_of(value)), wanted));
    }
}

fn check_enum(value: &Value, schema: &Type, path: &str, causes: &mut Vec<Cause>) {
    let Some(accepted) = &schema.accepted else { return };
    if accepted.iter().any(|one| same(one, value)) {
        return;
    }
    let told = accepted.iter().map(|one| one.as_str().map_or_else(|| one.to_string(), str::to_owned)).collect::<Vec<_>>();
    causes.push(Cause::unsupported(path, value, &told.iter().map(String::as_str).collect::<Vec<_>>()));
}

/// Whether two values are the same: `1` and `1.0` are.
fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(a), Value::Number(b)) => a == b || a.as_f64() == b.as_f64(),
        _ => one == other,
    }
}

fn check_text(text: &str, value: &Value, schema: &Type, path: &str, causes: &mut Vec<Cause>) {
    let length = u64::try_from(text.chars().count()).unwrap_or(u64::MAX);
    if let Some(most) = schema.max_length.filter(|most| length > *most) {
        let unit = if most == 1 { "byte" } else { "bytes" };
        causes.push(Cause::new("FieldValueTooLong", path, format!("Too long: may not be more than {most} {unit}")));
    }
    if let Some(least) = schema.min_length.filter(|least| length < *least) {
        causes.push(invalid(path, value, &format!("should be at least {least} chars long")));
    }
    if !schema.matches(text) {
        let pattern = schema.pattern.as_deref().unwrap_or_default();
        causes.push(invalid(path, value, &format!("should match '{pattern}'")));
    }
    if matches!(schema.kind.as_str(), "string" | "") && !formats::holds(&schema.format, text) {
        causes.push(type_cause(path, value, &schema.format));
    }
}

fn check_number(number: &Number, value: &Value, schema: &Type, path: &str, causes: &mut Vec<Cause>) {
    let Some(given) = number.as_f64() else { return };
    if matches!(schema.kind.as_str(), "integer" | "number") && !formats::number_holds(&schema.format, number) {
        let why = format!("Checked value must be of type {} with format {} in {path}", schema.kind, schema.format);
        causes.push(Cause::invalid(path, value, &why));
    }
    if let Some(factor) = schema.multiple_of.filter(|f| *f != 0.0 && (given / f).fract() != 0.0) {
        causes.push(invalid(path, value, &format!("should be a multiple of {factor}")));
    }
    match schema.maximum {
        Some(most) if schema.exclusive_maximum && given >= most => {
            causes.push(invalid(path, value, &format!("should be less than {most}")));
        }
        Some(most) if given > most => causes.push(invalid(path, value, &format!("should be less than or equal to {most}"))),
        _ => {}
    }
    match schema.minimum {
        Some(least) if schema.exclusive_minimum && given <= least => {
            causes.push(invalid(path, value, &format!("should be greater than {least}")));
        }
        Some(least) if given < least => {
            causes.push(invalid(path, value, &format!("should be greater than or equal to {least}")));
        }
        _ => {}
    }
}

/// A list or a map with more than it may have.
fn too_many(path: &str, count: usize, most: u64) -> Cause {
    let items = if most == 1 { "item" } else { "items" };
    Cause::new("FieldValueTooMany", path, format!("Too many: {count}: must have at most {most} {items}"))
}

fn check_items(items: &[Value], place: Place, path: &str, causes: &mut Vec<Cause>) {
    let schema = place.schema;
    let count = u64::try_from(items.len()).unwrap_or(u64::MAX);
    if let Some(most) = schema.max_items.filter(|most| count > *most) {
        causes.push(too_many(path, items.len(), most));
    }
    if let Some(least) = schema.min_items.filter(|least| count < *least) {
        causes.push(invalid(path, &json!(count), &format!("should have at least {least} items")));
    }
    if schema.unique_items && has_duplicate(items) {
        causes.push(Cause::invalid(path, &json!(""), &format!("{} shouldn't contain duplicates", body(path))));
    }
    if let Some(of) = &schema.items {
        for (at, item) in items.iter().enumerate() {
            check(item, place.within(of), &format!("{path}[{at}]"), causes);
        }
    }
}

fn has_duplicate(items: &[Value]) -> bool {
    let mut seen = std::collections::HashSet::new();
    !items.iter().all(|item| seen.insert(item.to_string()))
}

fn check_members(value: &Value, place: Place, path: &str, causes: &mut Vec<Cause>) {
    let schema = place.schema;
    let Value::Object(members) = value else { return };
    let count = u64::try_from(members.len()).unwrap_or(u64::MAX);
    if let Some(most) = schema.max_properties.filter(|most| count > *most) {
        causes.push(too_many(path, members.len(), most));
    }
    if let Some(least) = schema.min_properties.filter(|least| count < *least) {
        causes.push(invalid(path, &json!(count), &format!("should have at least {least} properties")));
    }
    for name in schema.required.iter().filter(|name| !members.contains_key(*name)) {
        causes.push(Cause::required(child(path, name), ""));
    }
    if schema.embedded_resource {
        for name in ["apiVersion", "kind"].into_iter().filter(|name| value[name].as_str().is_none_or(str::is_empty)) {
            causes.push(Cause::required(child(path, name), "must not be empty"));
        }
    }
    for (name, value) in members {
        if let Known::As(schema) = place.member(name) {
            check(value, place.within(schema), &child(path, name), causes);
        }
    }
}

/// `allOf`, `anyOf`, `oneOf` and `not`.
fn check_combinations(value: &Value, place: Place, path: &str, causes: &mut Vec<Cause>) {
    let schema = place.schema;
    let tried = |of: &Type| {
        let mut found = Vec::new();
        check(value, place.within(of), path, &mut found);
        found
    };
    let mut refuse = |why: &str| causes.push(Cause::invalid(path, &json!(""), &format!("\"{path}\" {why}")));
    if !schema.any_of.is_empty() && !schema.any_of.iter().any(|of| tried(of).is_empty()) {
        refuse("must validate at least one schema (anyOf)");
        causes.extend(closest(schema.any_of.iter().map(tried)));
    }
    let mut refuse = |why: &str| causes.push(Cause::invalid(path, &json!(""), &format!("\"{path}\" {why}")));
    if !schema.one_of.is_empty() {
        match schema.one_of.iter().filter(|of| tried(of).is_empty()).count() {
            1 => {}
            0 => {
                refuse("must validate one and only one schema (oneOf). Found none valid");
                causes.extend(closest(schema.one_of.iter().map(tried)));
            }
            several => refuse(&format!("must validate one and only one schema (oneOf). Found {several} valid alternatives")),
        }
    }
    let failed: Vec<Vec<Cause>> = schema.all_of.iter().map(tried).filter(|found| !found.is_empty()).collect();
    let mut refuse = |why: &str| causes.push(Cause::invalid(path, &json!(""), &format!("\"{path}\" {why}")));
    if !failed.is_empty() {
        let none = if failed.len() == schema.all_of.len() { ". None validated" } else { "" };
        refuse(&format!("must validate all the schemas (allOf){none}"));
        causes.extend(failed.into_iter().flatten());
    }
    if schema.not.as_deref().is_some_and(|of| tried(of).is_empty()) {
        causes.push(Cause::invalid(path, &json!(""), &format!("\"{path}\" must not validate the schema (not)")));
    }
}

/// What the alternative that came closest lacks.
fn closest(alternatives: impl Iterator<Item = Vec<Cause>>) -> Vec<Cause> {
    alternatives.min_by_key(Vec::len).unwrap_or_default()
}

/// Items of sets and maps have to be unique.
fn check_lists(value: &Value, place: Place, path: &str, causes: &mut Vec<Cause>) {
    if place.typed {
        return;
    }
    match value {
        Value::Array(items) => {
            let Some(of) = &place.schema.items else { return };
            match place.schema.list_type.as_str() {
                "set" => check_unique(items, path, Value::clone, causes),
                "map" => {
                    let keys = &place.schema.list_map_keys;
                    check_unique(items, path, |item| keys_of(item, keys, of), causes);
                }
                _ => {}
            }
            for (at, item) in items.iter().enumerate() {
                check_lists(item, place.within(of), &format!("{path}[{at}]"), causes);
            }
        }
        Value::Object(members) => {
            for (name, value) in members {
                if let Known::As(schema) = place.member(name) {
                    check_lists(value, place.within(schema), &child(path, name), causes);
                }
            }
        }
        _ => {}
    }
}

/// The members of an item that tell it from others.
fn keys_of(item: &Value, keys: &[String], schema: &Type) -> Value {
    let value = |key: &String| item.get(key).or_else(|| schema.properties.get(key).and_then(|p| p.default.as_ref()));
    keys.iter().filter_map(|key| Some((key.clone(), value(key)?.clone()))).collect::<serde_json::Map<_, _>>().into()
}

fn check_unique(items: &[Value], path: &str, key: impl Fn(&Value) -> Value, causes: &mut Vec<Cause>) {
    let mut seen = std::collections::HashSet::new();
    for (at, item) in items.iter().enumerate() {
        let key = key(item);
        if !seen.insert(key.to_string()) {
            causes.push(Cause::duplicate(format!("{path}[{at}]"), &key));
        }
    }
}
