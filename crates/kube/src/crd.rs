//! CustomResourceDefinitions: what may stand in them, and the resources that they make.

mod check;

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

pub use check::{validate_definition, validate_update};

use crate::object::{array, member, text, time};
use crate::resources::{Column, Custom, Resource, Schema, Subresource};
use crate::types::Type;

const OBJECT_META: &str = "#/definitions/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta";
const VERBS: [&str; 8] = ["delete", "deletecollection", "get", "list", "patch", "create", "update", "watch"];

/// Fills in what follows from other fields: names, and how versions are converted.
pub fn defaulted(definition: &mut Value) {
    default_members(member(definition, ""));
}

pub(crate) fn default_members(definition: &mut Map<String, Value>) {
    let Some(Value::Object(spec)) = definition.get_mut("spec") else { return };
    let conversion = spec.entry("conversion").or_insert_with(|| json!({"strategy": "None"}));
    if conversion.is_null() {
        *conversion = json!({"strategy": "None"});
    }
    if let Some(Value::Object(names)) = spec.get_mut("names") {
        let Some(kind) = names.get("kind").and_then(Value::as_str).filter(|kind| !kind.is_empty()).map(str::to_owned) else {
            return;
        };
        for (name, default) in [("singular", kind.to_lowercase()), ("listKind", format!("{kind}List"))] {
            if names.get(name).and_then(Value::as_str).is_none_or(str::is_empty) {
                names.insert(name.to_owned(), json!(default));
            }
        }
    }
}

/// The resources that a definition makes: one for each version that is served. Names are those that were accepted.
#[must_use]
pub fn resources(definition: &Value) -> Vec<Resource> {
    let accepted = definition.pointer("/status/acceptedNames").filter(|names| !text(names, "/plural").is_empty());
    let names = accepted.unwrap_or(&definition["spec"]["names"]);
    let versions = array(definition, "/spec/versions").iter().filter(|version| version["served"] == true);
    versions.map(|version| resource(definition, names, version)).collect()
}

fn resource(definition: &Value, names: &Value, version: &Value) -> Resource {
    let name = |field: &str| names[field].as_str().unwrap_or_default().to_owned();
    let list = |field: &str| texts(&names[field]);
    let group = text(definition, "/spec/group").to_owned();
    let namespaced = text(definition, "/spec/scope") == "Namespaced";
    let scale = version.pointer("/subresources/scale").filter(|scale| scale.is_object());
    let has_status = version.pointer("/subresources/status").is_some_and(|status| !status.is_null());
    let mut subresources = Vec::new();
    let verbs: Vec<String> = ["get", "patch", "update"].map(str::to_owned).to_vec();
    if has_status {
        let (kind, verbs) = (name("kind"), verbs.clone());
        subresources.push(Subresource {
            name: "status".to_owned(),
            kind,
            group: String::new(),
            version: String::new(),
            namespaced,
            verbs,
        });
    }
    if scale.is_some() {
        let (group, version) = ("autoscaling".to_owned(), "v1".to_owned());
        subresources.push(Subresource {
            name: "scale".to_owned(),
            kind: "Scale".to_owned(),
            group,
            version,
            namespaced,
            verbs,
        });
    }
    let path = |field: &str| scale.map_or_else(String::new, |scale| scale[field].as_str().unwrap_or_default().to_owned());
    let storage = array(definition, "/spec/versions").iter().find(|version| version["storage"] == true);
    let custom = Custom {
        definition: text(definition, "/metadata/name").to_owned(),
        columns: columns(version),
        scale: scale.map(|_| [path("specReplicasPath"), path("statusReplicasPath"), path("labelSelectorPath")]),
        has_status,
        selectable: array(version, "/selectableFields").iter().map(|f| text(f, "/jsonPath").to_owned()).collect(),
        storage_version: storage.map_or("", |version| text(version, "/name")).to_owned(),
    };
    Resource {
        version: text(version, "/name").to_owned(),
        plural: name("plural"),
        singular: name("singular"),
        kind: name("kind"),
        list_kind: name("listKind"),
        namespaced,
        verbs: VERBS.map(str::to_owned).to_vec(),
        short_names: list("shortNames"),
        categories: list("categories"),
        subresources,
        stored: format!("{}.{group}", name("plural")).into(),
        schema: Schema::Custom(Arc::new(type_of(version))),
        custom: Some(Arc::new(custom)),
        group,
    }
}

fn texts(list: &Value) -> Vec<String> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

/// The columns that are told of, or only the age.
fn columns(version: &Value) -> Vec<Column> {
    let columns = array(version, "/additionalPrinterColumns");
    if columns.is_empty() {
        let description = "CreationTimestamp is a timestamp representing the server time when this object was created. It is not guaranteed to be set in happens-before order across separate operations. Clients may not set this value. It is represented in RFC3339 form and is in UTC.";
        return vec![Column {
            name: "Age".to_owned(),
            kind: "date".to_owned(),
            format: String::new(),
            description: format!(
                "{description}\n\nPopulated by the system. Read-only. Null for lists. More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#metadata"
            ),
            priority: 0,
            json_path: ".metadata.creationTimestamp".to_owned(),
        }];
    }
    columns.iter().filter_map(|column| serde_json::from_value(column.clone()).ok()).collect()
}

/// The type of the objects of a version: what its schema says, and what every object has.
fn type_of(version: &Value) -> Type {
    let given = version.pointer("/schema/openAPIV3Schema").cloned().unwrap_or_else(|| json!({"type": "object"}));
    let mut root = without_references(given);
    let properties = member(&mut root, "properties");
    for name in ["apiVersion", "kind"] {
        properties.insert(name.to_owned(), json!({"type": "string"}));
    }
    properties.insert("metadata".to_owned(), json!({"$ref": OBJECT_META}));
    // A definition is only stored if its schemas can be read: see `check_schema`.
    Type::deserialize_from(&root).unwrap_or_default()
}

/// References would reach into the built-in definitions. Nulls are as if they were not there.
fn without_references(schema: Value) -> Value {
    match schema {
        Value::Object(members) => {
            let kept = members.into_iter().filter(|(name, value)| !(value.is_null() || name == "$ref" && value.is_string()));
            kept.map(|(name, value)| (name, without_references(value))).collect::<Map<_, _>>().into()
        }
        Value::Array(items) => items.into_iter().map(without_references).collect(),
        other => other,
    }
}

/// Whether a name of a kind (`plural`, `singular`, `kind`, `listKind`, `shortName`) is used in the group by another definition.
pub type Taken<'a> = &'a dyn Fn(&str, &str, &str) -> bool;

/// Accepts the names of a definition as far as they are free, and with that serves it. `taken` is asked with group, kind of name and
/// name: see [`Taken`].
pub fn accept(definition: &mut Value, taken: Taken, now: Timestamp) {
    let group = text(definition, "/spec/group").to_owned();
    let wanted = definition["spec"]["names"].clone();
    let mut names = definition.pointer("/status/acceptedNames").cloned().unwrap_or_else(|| json!({"plural": "", "kind": ""}));
    let mut conflict = None;
    let reasons = [
        ("plural", "PluralConflict"),
        ("singular", "SingularConflict"),
        ("shortNames", "ShortNamesConflict"),
        ("kind", "KindConflict"),
        ("listKind", "ListKindConflict"),
    ];
    for (field, reason) in reasons {
        let what = if field == "shortNames" { "shortName" } else { field };
        let ours = |name: &String| names[field] == json!(name) || texts(&names[field]).contains(name);
        let asked = if field == "shortNames" {
            texts(&wanted[field])
        } else {
            wanted[field].as_str().map(str::to_owned).into_iter().collect()
        };
        let used: Vec<String> = asked
            .iter()
            .filter(|name| !ours(name) && taken(&group, what, name))
            .map(|name| format!("\"{name}\" is already in use"))
            .collect();
        match used.as_slice() {
            [] => assign(&mut names, field, &wanted[field]),
            [one] => conflict = Some((reason, one.clone())),
            several => conflict = Some((reason, format!("[{}]", several.join(", ")))),
        }
    }
    assign(&mut names, "categories", &wanted["categories"]);
    let stored = texts(&definition["status"]["storedVersions"]);
    let storage = array(definition, "/spec/versions").iter().find(|version| version["storage"] == true);
    let storage = storage.map(|version| text(version, "/name").to_owned());
    let stored: Vec<String> = stored.iter().cloned().chain(storage.filter(|name| !stored.contains(name))).collect();
    let status = member(definition, "status");
    status.insert("acceptedNames".to_owned(), names);
    status.insert("storedVersions".to_owned(), json!(stored));
    let was_established = condition(definition, "Established");
    match conflict {
        None => {
            set_condition(definition, "NamesAccepted", "True", "NoConflicts", "no conflicts found", now);
            set_condition(
                definition,
                "Established",
                "True",
                "InitialNamesAccepted",
                "the initial names have been accepted",
                now,
            );
        }
        Some((reason, message)) => {
            set_condition(definition, "NamesAccepted", "False", reason, &message, now);
            if !was_established {
                set_condition(definition, "Established", "False", "NotAccepted", "not all names are accepted", now);
            }
        }
    }
}

fn assign(names: &mut Value, field: &str, value: &Value) {
    let names = member(names, "");
    if value.is_null() {
        names.remove(field);
    } else {
        names.insert(field.to_owned(), value.clone());
    }
}

/// Whether a definition has a condition that is true.
#[must_use]
pub fn condition(definition: &Value, kind: &str) -> bool {
    array(definition, "/status/conditions").iter().any(|one| one["type"] == kind && one["status"] == "True")
}

/// The time of a condition is that of its last change of status.
fn set_condition(definition: &mut Value, kind: &str, state: &str, reason: &str, message: &str, now: Timestamp) {
    let status = member(definition, "status");
    let conditions = status.entry("conditions").or_insert_with(|| json!([]));
    if !conditions.is_array() {
        *conditions = json!([]);
    }
    let Value::Array(conditions) = conditions else { return };
    let at = conditions.iter().position(|one| one["type"] == kind);
    let since =
        at.and_then(|at| conditions.get(at)).filter(|one| one["status"] == state).map(|one| one["lastTransitionTime"].clone());
    let condition = json!({
        "type": kind, "status": state, "reason": reason, "message": message,
        "lastTransitionTime": since.unwrap_or_else(|| json!(time(now))),
    });
    match at.and_then(|at| conditions.get_mut(at)) {
        Some(one) => *one = condition,
        None => conditions.push(condition),
    }
}

#[cfg(test)]
mod tests;
