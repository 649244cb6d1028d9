//! Objects and lists in the form that a client accepts.

use std::borrow::Cow;

use http::HeaderValue;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::Ask;
use crate::accept::{self, JSON};
use crate::api::Response;
use crate::cluster::Outcome;
use crate::convert;
use crate::object::Object;
use crate::resources::Resource;
use crate::status::Status;
use crate::tables::{self, IncludeObject, Options};

const YAML: &str = "application/yaml";

/// In which form objects are answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Form {
    pub shape: tables::Form,
    pub yaml: bool,
    pub pretty: bool,
}

impl Form {
    /// The form that an `Accept` header asks for.
    ///
    /// # Errors
    /// 406 if there is none.
    pub fn of(header: &str) -> Result<Self, Status> {
        // YAML is for whole objects only.
        if let Ok(shape) = tables::form(header) {
            let pretty = shape == tables::Form::Whole && accept::negotiate(header, &[JSON], |c| c.is_none())?.pretty;
            return Ok(Self { shape, yaml: false, pretty });
        }
        let media = accept::negotiate(header, &[JSON, YAML], |convert| convert.is_none())?;
        Ok(Self { shape: tables::Form::Whole, yaml: media.media_type == YAML, pretty: media.pretty })
    }
}

/// How tables of this request are made.
pub fn options<'a>(ask: &Ask, version: &'a str, headers: bool, now: Timestamp) -> Result<Options<'a>, Status> {
    Ok(Options { version, include: IncludeObject::parse(ask.query.get("includeObject"))?, headers, now })
}

/// An object as a resource serves it.
pub fn served<'a>(resource: &Resource, object: &'a Object) -> Cow<'a, Value> {
    convert::served(resource, object.value())
}

/// An object in the form that was asked for; `headers` says whether a table describes its columns.
pub fn shaped<'a>(ask: &Ask, value: Cow<'a, Value>, headers: bool, now: Timestamp) -> Result<Cow<'a, Value>, Status> {
    Ok(match &ask.form.shape {
        tables::Form::Whole => value,
        tables::Form::Partial(version) => Cow::Owned(tables::partial(&value, version)),
        tables::Form::Table(version) => {
            let metadata = json!({ "resourceVersion": value["metadata"]["resourceVersion"] });
            let objects = std::iter::once(value.as_ref());
            Cow::Owned(tables::table(&ask.resource, objects, metadata, &options(ask, version, headers, now)?))
        }
    })
}

/// What a change came to.
pub fn outcome(ask: &Ask, outcome: &Outcome, now: Timestamp) -> Result<Response, Status> {
    match outcome {
        Outcome::Object(code, object) => value(ask, *code, &*shaped(ask, served(&ask.resource, object), true, now)?),
        Outcome::Value(code, whole) => value(ask, *code, whole),
    }
}

/// An answer with what the client is to be warned of.
pub fn value(ask: &Ask, code: u16, value: &Value) -> Result<Response, Status> {
    let mut response = encoded(&ask.form, code, value)?;
    for warning in ask.warnings() {
        let text: String = warning.chars().map(|c| if c.is_ascii_graphic() || c == ' ' { c } else { '?' }).collect();
        let text = text.replace('\\', "\\\\").replace('"', "\\\"");
        if let Ok(value) = HeaderValue::from_str(&format!("299 - \"{text}\"")) {
            response.headers.append(http::header::WARNING, value);
        }
    }
    Ok(response)
}

/// A value as JSON or YAML.
pub fn encoded(form: &Form, code: u16, value: &Value) -> Result<Response, Status> {
    if form.yaml {
        let text = yaml_serde::to_string(value).map_err(|_| Status::internal())?;
        return Ok(Response::new(code, YAML, text));
    }
    let text = if form.pretty { format!("{value:#}\n") } else { value.to_string() };
    Ok(Response::new(code, JSON, text))
}
