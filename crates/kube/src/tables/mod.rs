//! Tables: how lists and objects look to people, and objects of which only the metadata was asked for.
//!
//! Columns and what stands in them are those of upstream's printers; see `columns` for the built-in kinds. Cells always hold what
//! `-o wide` shows: clients leave out the columns that they do not want.

mod age;
mod cells;
mod columns;
mod jsonpath;
mod pods;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::accept::{self, Convert, JSON};
use crate::object::text;
use crate::resources::{self, Resource};
use crate::status::Status;

pub use age::{human_duration, since};
pub use jsonpath::find as find_by_jsonpath;

const META: &str = "meta.k8s.io";

/// In which form a client wants objects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Form {
    /// As they are.
    Whole,
    /// As a table of this version of `meta.k8s.io`.
    Table(String),
    /// Only their metadata, in this version of `meta.k8s.io`.
    Partial(String),
}

/// Chooses the form by the `Accept` header. 406 if none suits.
pub fn form(accept: &str) -> Result<Form, Status> {
    let kinds = ["Table", "PartialObjectMetadata", "PartialObjectMetadataList"];
    let known = |c: Option<&Convert>| c.is_none_or(|c| c.is(META, &["v1", "v1beta1"], &kinds));
    Ok(match accept::negotiate(accept, &[JSON], known)?.convert {
        None => Form::Whole,
        Some(convert) if convert.kind == "Table" => Form::Table(convert.version),
        Some(convert) => Form::Partial(convert.version),
    })
}

/// What a row holds of its object, by the parameter `includeObject`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IncludeObject {
    None,
    #[default]
    Metadata,
    Object,
}

impl IncludeObject {
    /// Reads the parameter, which may be empty. 400 if it is something else.
    pub fn parse(parameter: &str) -> Result<Self, Status> {
        match parameter {
            "" | "Metadata" => Ok(Self::Metadata),
            "None" => Ok(Self::None),
            "Object" => Ok(Self::Object),
            other => {
                Err(Status::bad_request(format!("Invalid value: \"{other}\": must be 'Metadata', 'Object', 'None', or empty")))
            }
        }
    }
}

/// What a table is made with.
#[derive(Clone, Debug)]
pub struct Options<'a> {
    /// Of `meta.k8s.io`: `v1` or `v1beta1`.
    pub version: &'a str,
    pub include: IncludeObject,
    /// Whether columns are described. In a watch, only in its first event.
    pub headers: bool,
    pub now: Timestamp,
}

/// A table of objects of a resource, in its version. `metadata` is that of the list, or the `resourceVersion` of the one object.
pub fn table<'a>(
    resource: &Resource,
    objects: impl Iterator<Item = &'a Value>,
    metadata: Value,
    options: &Options<'_>,
) -> Value {
    let columns = Columns::of(resource);
    let rows: Vec<_> = objects.map(|object| row(&columns, object, options)).collect();
    let mut table = json!({
        "kind": "Table", "apiVersion": format!("{META}/{}", options.version), "metadata": metadata,
        "columnDefinitions": null, "rows": rows,
    });
    if options.headers {
        table["columnDefinitions"] = Value::Array(columns.definitions());
    }
    table
}

/// The object as far as a client wants it that only asked for metadata.
#[must_use]
pub fn partial(object: &Value, version: &str) -> Value {
    json!({"kind": "PartialObjectMetadata", "apiVersion": format!("{META}/{version}"), "metadata": object["metadata"]})
}

/// A list of such objects. `metadata` is that of the list.
pub fn partial_list<'a>(objects: impl Iterator<Item = &'a Value>, metadata: Value, version: &str) -> Value {
    let items: Vec<_> = objects.map(|object| partial(object, version)).collect();
    json!({
        "kind": "PartialObjectMetadataList", "apiVersion": format!("{META}/{version}"), "metadata": metadata, "items": items,
    })
}

/// The columns of a resource.
enum Columns<'a> {
    BuiltIn(&'static [columns::Column]),
    Custom(&'a [resources::Column]),
    /// Custom resources whose definition names none.
    Age,
}

impl<'a> Columns<'a> {
    fn of(resource: &'a Resource) -> Self {
        match &resource.custom {
            None => Self::BuiltIn(columns::of(&resource.group, &resource.kind)),
            Some(custom) if custom.columns.is_empty() => Self::Age,
            Some(custom) => Self::Custom(&custom.columns),
        }
    }

    fn definitions(&self) -> Vec<Value> {
        let name = definition("Name", "string", "name", columns::NAME_DESCRIPTION, 0);
        match self {
            Self::BuiltIn(columns) => {
                columns.iter().map(|c| definition(c.name, c.kind, c.format, c.description(), c.priority)).collect()
            }
            Self::Age => vec![name, definition("Age", "date", "", columns::AGE_DESCRIPTION, 0)],
            Self::Custom(columns) => {
                let told = |c: &resources::Column| {
                    let description = if c.description.is_empty() {
                        format!("Custom resource definition column (in JSONPath format): {}", c.json_path)
                    } else {
                        c.description.clone()
                    };
                    definition(&c.name, &c.kind, &c.format, &description, c.priority)
                };
                std::iter::once(name).chain(columns.iter().map(told)).collect()
            }
        }
    }

    fn cells(&self, object: &Value, now: Timestamp) -> Vec<Value> {
        let name = || json!(text(object, "/metadata/name"));
        match self {
            Self::BuiltIn(columns) => columns.iter().map(|column| column.cell(object, now)).collect(),
            Self::Age => vec![name(), json!(since(text(object, "/metadata/creationTimestamp"), now))],
            Self::Custom(columns) => {
                std::iter::once(name()).chain(columns.iter().map(|c| custom_cell(c, object, now))).collect()
            }
        }
    }
}

fn definition(name: &str, kind: &str, format: &str, description: &str, priority: i32) -> Value {
    json!({"name": name, "type": kind, "format": format, "description": description, "priority": priority})
}

/// What a custom column shows: the first value that its path finds, if that is of its type.
fn custom_cell(column: &resources::Column, object: &Value, now: Timestamp) -> Value {
    let Some(value) = jsonpath::find(&column.json_path, object).into_iter().next() else { return Value::Null };
    match (column.kind.as_str(), value) {
        ("string", Value::String(text)) => json!(text),
        ("string", Value::Null) => json!("<no value>"),
        ("string", other) => json!(other.to_string()),
        ("integer", Value::Number(n)) => match (n.as_i64(), n.as_f64()) {
            (Some(whole), _) => json!(whole),
            // Decimals are cut off, as upstream does.
            #[expect(
                clippy::cast_possible_truncation,
                reason = "a number beyond the range of integers becomes the nearest one"
            )]
            (None, Some(decimal)) => json!(decimal as i64),
            (None, None) => Value::Null,
        },
        ("number", Value::Number(_)) | ("boolean", Value::Bool(_)) => value.clone(),
        ("date", Value::String(text)) => {
            json!(if text.is_empty() || text.parse::<Timestamp>().is_ok() { since(text, now) } else { "<invalid>".to_owned() })
        }
        _ => Value::Null,
    }
}

fn row(columns: &Columns<'_>, object: &Value, options: &Options<'_>) -> Value {
    let mut row = Map::new();
    row.insert("cells".to_owned(), Value::Array(columns.cells(object, options.now)));
    let conditions = match (text(object, "/kind"), text(object, "/status/phase")) {
        ("Pod", phase @ "Succeeded") => Some((phase, "The pod has completed successfully.")),
        ("Pod", phase @ "Failed") => Some((phase, "The pod failed.")),
        _ => None,
    };
    if let Some((reason, message)) = conditions {
        row.insert(
            "conditions".to_owned(),
            json!([{"type": "Completed", "status": "True", "reason": reason, "message": message}]),
        );
    }
    match options.include {
        IncludeObject::None => {}
        IncludeObject::Metadata => {
            row.insert("object".to_owned(), partial(object, options.version));
        }
        IncludeObject::Object => {
            row.insert("object".to_owned(), object.clone());
        }
    }
    Value::Object(row)
}

#[cfg(test)]
mod tests;
