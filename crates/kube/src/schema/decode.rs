//! Types of JSON values in built-in kinds, with the errors of the decoder that clients know.

use base64::Engine as _;
use serde_json::Value;

use crate::object::text;
use crate::quantity::Quantity;
use crate::schema::formats;
use crate::status::Status;
use crate::types::Type;

const QUANTITY: &str = "api.resource.Quantity";

/// Where a value is: in which struct, and the path of fields to it, without indices and keys.
#[derive(Clone)]
struct At<'a> {
    holder: &'a str,
    path: String,
}

/// Whether every value is of the type that its field has. Of custom resources only the metadata is decoded: see [`super::validate`] for
/// the rest.
///
/// # Errors
///
/// `BadRequest`, as a decoder that cannot make the Go type of it says.
pub fn check_types(value: &Value, schema: &Type) -> Result<(), Status> {
    let kind = text(value, "/kind");
    let checked = match (value.get("metadata"), schema.properties.get("metadata")) {
        (Some(metadata), Some(of)) if !schema.is_built_in() => {
            check(metadata, of, &At { holder: kind, path: "metadata".to_owned() })
        }
        _ if !schema.is_built_in() => Ok(()),
        _ => check(value, schema, &At { holder: kind, path: String::new() }),
    };
    checked.map_err(|why| {
        let version = text(value, "/apiVersion");
        let version = version.rsplit('/').next().unwrap_or_default();
        Status::bad_request(format!("{kind} in version \"{version}\" cannot be handled as a {kind}: {why}"))
    })
}

fn check(value: &Value, schema: &Type, at: &At) -> Result<(), String> {
    let name = schema.reference().unwrap_or_default();
    let schema = schema.resolved();
    if value.is_null() {
        return Ok(());
    }
    if name.ends_with(QUANTITY) {
        return Quantity::of(value).map(drop).map_err(|e| e.to_string());
    }
    if schema.is_int_or_string() {
        return int_or_string(value);
    }
    match (schema.kind.as_str(), value) {
        ("object", Value::Object(members)) => {
            let holder = if schema.properties.is_empty() { at.holder } else { go_name(name).unwrap_or(at.holder) };
            for (name, value) in members {
                let Some(property) = schema.property(name) else { continue };
                // Only fields of structs are part of the path.
                let path = if schema.properties.contains_key(name) { super::child(&at.path, name) } else { at.path.clone() };
                check(value, property, &At { holder, path })?;
            }
            Ok(())
        }
        ("array", Value::Array(items)) => {
            let Some(item) = &schema.items else { return Ok(()) };
            items.iter().try_for_each(|value| check(value, item, at))
        }
        ("string", Value::String(text)) => scalar(text, schema),
        ("boolean", Value::Bool(_)) | ("number", Value::Number(_)) | ("", _) => Ok(()),
        ("integer", Value::Number(number)) if fits(number, &schema.format) => Ok(()),
        // Open objects hold anything, even what is no object.
        ("object", _) if schema.is_open() && !name.is_empty() => Ok(()),
        _ => Err(mismatch(value, name, schema, at)),
    }
}

fn int_or_string(value: &Value) -> Result<(), String> {
    match value {
        Value::String(_) => Ok(()),
        Value::Number(number) if fits(number, "int32") => Ok(()),
        other => Err(format!("json: cannot unmarshal {} into Go value of type int32", told(other, true))),
    }
}

fn scalar(text: &str, schema: &Type) -> Result<(), String> {
    match schema.format.as_str() {
        "byte" => match base64::engine::general_purpose::STANDARD.decode(text.replace(['\r', '\n'], "")) {
            Ok(_) => Ok(()),
            Err(base64::DecodeError::InvalidByte(at, _) | base64::DecodeError::InvalidLastSymbol(at, _)) => {
                Err(format!("illegal base64 data at input byte {at}"))
            }
            Err(_) => Err(format!("illegal base64 data at input byte {}", text.len() / 4 * 4)),
        },
        "date-time" if !text.is_empty() && !formats::is_date_time(text) => {
            Err(format!("parsing time \"{text}\" as \"2006-01-02T15:04:05Z07:00\": cannot parse \"{text}\" as \"2006\""))
        }
        _ => Ok(()),
    }
}

fn fits(number: &serde_json::Number, format: &str) -> bool {
    match number.as_i64() {
        Some(value) => format != "int32" || i32::try_from(value).is_ok(),
        None => false,
    }
}

fn mismatch(value: &Value, name: &str, schema: &Type, at: &At) -> String {
    let of = go_type(name, schema);
    let told = told(value, schema.kind == "integer");
    if at.path.is_empty() {
        return format!("json: cannot unmarshal {told} into Go value of type {of}");
    }
    format!("json: cannot unmarshal {told} into Go struct field {}.{} of type {of}", at.holder, at.path)
}

/// A value as the decoder names it. Numbers that do not fit are told, those that are out of place are not.
fn told(value: &Value, number_wanted: bool) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(_) => "bool".to_owned(),
        Value::Number(number) if number_wanted => format!("number {number}"),
        Value::Number(_) => "number".to_owned(),
        Value::String(_) => "string".to_owned(),
        Value::Array(_) => "array".to_owned(),
        Value::Object(_) => "object".to_owned(),
    }
}

/// `io.k8s.api.core.v1.Container` as `Container`.
fn go_name(definition: &str) -> Option<&str> {
    definition.rsplit('.').next().filter(|name| !name.is_empty())
}

/// The type as Go names it.
fn go_type(definition: &str, schema: &Type) -> String {
    let mut parts = definition.rsplit('.');
    if let (Some(name), Some(package)) = (parts.next().filter(|n| !n.is_empty()), parts.next()) {
        return match name {
            "Time" | "MicroTime" => "string".to_owned(),
            _ => format!("{package}.{name}"),
        };
    }
    let inner = |schema: &Type| go_type(schema.reference().unwrap_or_default(), schema);
    match (schema.kind.as_str(), schema.format.as_str()) {
        ("integer", "int64") => "int64".to_owned(),
        ("integer", _) => "int32".to_owned(),
        ("number", _) => "float64".to_owned(),
        ("boolean", _) => "bool".to_owned(),
        ("string", "byte") => "[]uint8".to_owned(),
        ("array", _) => format!("[]{}", schema.items.as_deref().map_or_else(|| "string".to_owned(), inner)),
        ("object", _) => match schema.additional_properties.as_deref() {
            Some(values) if values.reference().is_some_and(|r| r.ends_with(QUANTITY)) => "v1.ResourceList".to_owned(),
            Some(values) => format!("map[string]{}", inner(values)),
            None => "map[string]interface {}".to_owned(),
        },
        _ => "string".to_owned(),
    }
}
