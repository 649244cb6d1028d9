//! Bodies of requests in the form that typed Go clients prefer, as the JSON that they mean.
//!
//! A body is the bytes `k8s\0` and a message `runtime.Unknown`, which says the kind and has the object's own message in it. What the
//! messages are is data, see [`types`]; answers are never in this form.

#[cfg(test)]
mod tests;
mod types;
mod wire;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::object::{micro_time, time};
use crate::status::Status;
use types::{Field, Found, Kind, Message, Shape};
use wire::{Error, Payload, Reader};

pub const MEDIA_TYPE: &str = "application/vnd.kubernetes.protobuf";
const MAGIC: &[u8] = b"k8s\0";
/// How deep objects may be, in JSON: what is kept is read by a reader that has a limit of 128.
const DEEPEST: usize = 100;

/// `runtime.Unknown`.
#[derive(Default)]
struct Envelope<'a> {
    api_version: String,
    kind: String,
    raw: &'a [u8],
    encoding: &'a [u8],
    content_type: &'a [u8],
}

impl<'a> Envelope<'a> {
    fn read(bytes: &'a [u8]) -> Result<Self, Error> {
        let mut envelope = Self::default();
        let mut reader = Reader::new(bytes);
        while let Some((number, payload)) = reader.next()? {
            let bytes = match (number, payload) {
                (1..=4, Payload::Bytes(bytes)) => bytes,
                (1..=4, other) => return Err(Error::WrongForm("Unknown".to_owned(), other.form())),
                _ => continue,
            };
            match number {
                1 => envelope.type_meta(bytes)?,
                2 => envelope.raw = bytes,
                3 => envelope.encoding = bytes,
                _ => envelope.content_type = bytes,
            }
        }
        Ok(envelope)
    }

    fn type_meta(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let mut reader = Reader::new(bytes);
        while let Some((number, payload)) = reader.next()? {
            match (number, payload) {
                (1, Payload::Bytes(bytes)) => self.api_version = String::from_utf8_lossy(bytes).into_owned(),
                (2, Payload::Bytes(bytes)) => self.kind = String::from_utf8_lossy(bytes).into_owned(),
                (1 | 2, other) => return Err(Error::WrongForm("TypeMeta".to_owned(), other.form())),
                _ => {}
            }
        }
        Ok(())
    }
}

/// Reads a body.
///
/// # Errors
/// 400 if it is none, or of a kind that its group does not have, and 415 if it is of a group that has no messages.
pub fn decode(body: &[u8]) -> Result<Value, Status> {
    let message = body.strip_prefix(MAGIC).ok_or_else(|| {
        Status::bad_request("provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]")
    })?;
    let envelope = Envelope::read(message).map_err(|error| Status::bad_request(error.to_string()))?;
    let (version, kind) = (envelope.api_version.as_str(), envelope.kind.as_str());
    if !envelope.encoding.is_empty() {
        return Err(Status::bad_request("the content encoding of the object is not supported"));
    }
    let unreadable = |error: Error| {
        let version = version.rsplit('/').next().unwrap_or_default();
        Status::bad_request(format!("{kind} in version \"{version}\" cannot be handled as a {kind}: {error}"))
    };
    let mut value = if envelope.content_type == b"application/json" {
        json_of("raw", envelope.raw).map_err(unreadable)?
    } else {
        if kind.is_empty() {
            let why = format!("Object 'Kind' is missing in 'runtime.TypeMeta{{APIVersion:{version:?}, Kind:\"\"}}'");
            return Err(Status::bad_request(why));
        }
        match types::find(version, kind) {
            Found::Message(message) => read(message, envelope.raw, DEEPEST).map_err(unreadable)?,
            Found::NoKind => {
                let why = format!("no kind \"{kind}\" is registered for version \"{version}\"");
                return Err(Status::bad_request(why));
            }
            Found::NoVersion => {
                return Err(Status::unsupported_media_type(MEDIA_TYPE, "application/json, application/yaml"));
            }
        }
    };
    if !fits(&value, DEEPEST) {
        return Err(unreadable(Error::Depth(DEEPEST)));
    }
    if let Some(members) = value.as_object_mut() {
        for (name, said) in [("apiVersion", version), ("kind", kind)] {
            if !said.is_empty() {
                members.insert(name.to_owned(), json!(said));
            }
        }
    }
    Ok(value)
}

/// Whether a value has no more levels than that. It has a few hundred at most: see what reads it.
fn fits(value: &Value, levels: usize) -> bool {
    let Some(left) = levels.checked_sub(1) else { return !value.is_object() && !value.is_array() };
    match value {
        Value::Object(members) => members.values().all(|value| fits(value, left)),
        Value::Array(items) => items.iter().all(|value| fits(value, left)),
        _ => true,
    }
}

/// A message as what it is in JSON; `levels` of messages may be in it.
fn read(message: &Message, bytes: &[u8], levels: usize) -> Result<Value, Error> {
    let mut members = Map::new();
    fill(message, bytes, &mut members, levels)?;
    shaped(message, members)
}

/// Adds what a message says, to what another one said for the same field, if there was one.
fn fill(message: &Message, bytes: &[u8], members: &mut Map<String, Value>, levels: usize) -> Result<(), Error> {
    let levels = levels.checked_sub(1).ok_or(Error::Depth(DEEPEST))?;
    let mut reader = Reader::new(bytes);
    while let Some((number, payload)) = reader.next()? {
        let Some(field) = message.field(number) else { continue };
        match payload {
            Payload::Bytes(bytes) if field.map => {
                let (key, value) = entry(field, bytes, levels)?;
                if let Value::Object(entries) = members.entry(&field.name).or_insert_with(|| json!({})) {
                    entries.insert(key, value);
                }
            }
            _ if field.repeated => {
                let Value::Array(items) = members.entry(&field.name).or_insert_with(|| json!([])) else { continue };
                elements(field, payload, items, levels)?;
            }
            _ => single(field, payload, members, levels)?,
        }
    }
    Ok(())
}

fn single(field: &Field, payload: Payload<'_>, members: &mut Map<String, Value>, levels: usize) -> Result<(), Error> {
    if let (Kind::Message(at), Payload::Bytes(bytes)) = (field.kind, payload)
        && let Some(message) = types::get(at)
        && message.shape == Shape::Object
    {
        if field.inline {
            return fill(message, bytes, members, levels);
        }
        if let Value::Object(inner) = members.entry(&field.name).or_insert_with(|| json!({})) {
            return fill(message, bytes, inner, levels);
        }
    }
    let value = value(field, payload, levels)?;
    // Zero is something to say where a number may be a text.
    let says_nothing = field.omit_empty && !matches!(field.kind, Kind::Message(_)) && is_zero(&value);
    if value.is_null() || says_nothing {
        members.remove(&field.name);
    } else {
        members.insert(field.name.clone(), value);
    }
    Ok(())
}

fn is_zero(value: &Value) -> bool {
    match value {
        Value::String(text) => text.is_empty(),
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::Bool(yes) => !yes,
        _ => false,
    }
}

/// An element of a list, or several: numbers may be packed.
fn elements(field: &Field, payload: Payload<'_>, items: &mut Vec<Value>, levels: usize) -> Result<(), Error> {
    match (field.kind, payload) {
        (Kind::Bool | Kind::Int32 | Kind::Int64, Payload::Bytes(bytes)) => {
            let mut packed = Reader::new(bytes);
            while !packed.is_empty() {
                items.push(value(field, Payload::Varint(packed.varint()?), levels)?);
            }
        }
        (Kind::Double, Payload::Bytes(bytes)) => {
            let (numbers, rest) = bytes.as_chunks();
            for number in numbers {
                items.push(value(field, Payload::Fixed64(*number), levels)?);
            }
            if !rest.is_empty() {
                return Err(Error::End);
            }
        }
        _ => items.push(value(field, payload, levels)?),
    }
    Ok(())
}

/// A key and a value of a map; what is not told is empty.
fn entry(field: &Field, bytes: &[u8], levels: usize) -> Result<(String, Value), Error> {
    let (mut key, mut told) = (String::new(), None);
    let mut reader = Reader::new(bytes);
    while let Some((number, payload)) = reader.next()? {
        match (number, payload) {
            (1, Payload::Bytes(bytes)) => key = String::from_utf8_lossy(bytes).into_owned(),
            (1, other) => return Err(Error::WrongForm(field.name.clone(), other.form())),
            (2, payload) => told = Some(value(field, payload, levels)?),
            _ => {}
        }
    }
    // Maps are of texts, bytes and messages, all of which may be of no bytes.
    Ok((key, told.map_or_else(|| value(field, Payload::Bytes(b""), levels), Ok)?))
}

fn value(field: &Field, payload: Payload<'_>, levels: usize) -> Result<Value, Error> {
    Ok(match (field.kind, payload) {
        (Kind::Text, Payload::Bytes(bytes)) => json!(String::from_utf8_lossy(bytes)),
        (Kind::Bytes, Payload::Bytes(bytes)) => json!(STANDARD.encode(bytes)),
        (Kind::Json, Payload::Bytes(bytes)) => json_of(&field.name, bytes)?,
        (Kind::Bool, Payload::Varint(number)) => json!(number != 0),
        // More bits than there are do not count.
        (Kind::Int32, Payload::Varint(number)) => json!((number & 0xffff_ffff) as u32 as i32),
        (Kind::Int64, Payload::Varint(number)) => json!(number.cast_signed()),
        (Kind::Double, Payload::Fixed64(bytes)) => double(f64::from_le_bytes(bytes)),
        (Kind::Message(at), Payload::Bytes(bytes)) => match types::get(at) {
            Some(message) => read(message, bytes, levels)?,
            None => Value::Null,
        },
        (_, other) => return Err(Error::WrongForm(field.name.clone(), other.form())),
    })
}

/// A number without a fraction if it has none, as Go writes it.
fn double(number: f64) -> Value {
    /// Up to here every whole number is its own.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if number.fract() == 0.0 && number.abs() <= EXACT { json!(number as i64) } else { json!(number) }
}

fn json_of(field: &str, bytes: &[u8]) -> Result<Value, Error> {
    if bytes.is_empty() {
        return Ok(Value::Null);
    }
    serde_json::from_slice(bytes).map_err(|error| Error::Json(field.to_owned(), error.to_string()))
}

/// What was read of a message as what it is in JSON.
fn shaped(message: &Message, mut members: Map<String, Value>) -> Result<Value, Error> {
    if matches!(message.shape, Shape::Time | Shape::MicroTime) {
        let at = if members.is_empty() { None } else { Some(instant(&members)?) };
        return Ok(json!(at.map(if message.shape == Shape::Time { time } else { micro_time })));
    }
    Ok(match message.shape {
        Shape::Object | Shape::Time | Shape::MicroTime => Value::Object(members),
        Shape::First => match message.fields.first() {
            Some(field) if field.repeated && !members.contains_key(&field.name) => json!([]),
            Some(field) => take(&mut members, &field.name),
            None => Value::Null,
        },
        Shape::Quantity => match take(&mut members, "string") {
            Value::String(quantity) if !quantity.is_empty() => json!(quantity),
            _ => json!("0"),
        },
        Shape::IntOrString => match take(&mut members, "type").as_i64() {
            Some(1) => json!(take(&mut members, "strVal").as_str().unwrap_or_default()),
            _ => json!(take(&mut members, "intVal").as_i64().unwrap_or_default()),
        },
        Shape::Either => {
            let mut found = ["jSONSchemas", "property", "schema", "allows"].into_iter().map(|name| take(&mut members, name));
            found.find(|value| !value.is_null()).unwrap_or_default()
        }
    })
}

fn take(members: &mut Map<String, Value>, name: &str) -> Value {
    members.remove(name).unwrap_or_default()
}

fn instant(members: &Map<String, Value>) -> Result<Timestamp, Error> {
    let number = |name: &str| members.get(name).and_then(Value::as_i64).unwrap_or_default();
    let nanos = i32::try_from(number("nanos")).map_err(|_| Error::Time)?;
    Timestamp::new(number("seconds"), nanos).map_err(|_| Error::Time)
}
