//! OpenAPI version 3, made from version 2: a document for every group version, with only the schemas that it needs.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use serde_json::{Map, Value, json};

use super::custom::{self, Kind};
use crate::accept::Document;
use crate::object::{array, text};

/// What documents have in common.
struct Source {
    definitions: Map<String, Value>,
    parameters: Map<String, Value>,
    security: Value,
    security_schemes: Value,
    info: Value,
}

impl Source {
    fn of(document: &mut Value) -> Self {
        let mut take = |name: &str| document.get_mut(name).map(Value::take).unwrap_or_default();
        let object = |value: Value| if let Value::Object(map) = value { map } else { Map::new() };
        Self {
            definitions: object(take("definitions")),
            parameters: object(take("parameters")),
            security: take("security"),
            security_schemes: take("securityDefinitions"),
            info: take("info"),
        }
    }

    /// The document of some paths. `more` are definitions of their own.
    fn document(&self, paths: impl Iterator<Item = (String, Value)>, more: &Map<String, Value>) -> Document {
        let paths: Map<_, _> = paths.map(|(path, item)| (path, self.item(&item))).collect();
        let paths = Value::Object(paths);
        let mut schemas = BTreeMap::new();
        let mut wanted = BTreeSet::new();
        references(&paths, &mut wanted);
        while let Some(name) = wanted.pop_first() {
            if let (false, Some(definition)) =
                (schemas.contains_key(&name), more.get(&name).or_else(|| self.definitions.get(&name)))
            {
                let schema = if name.ends_with("resource.Quantity") { quantity(definition) } else { schema(definition) };
                references(&schema, &mut wanted);
                schemas.insert(name, schema);
            }
        }
        let document = json!({
            "openapi": "3.0.0", "info": self.info, "paths": paths, "security": self.security,
            "components": {"schemas": schemas, "securitySchemes": self.security_schemes},
        });
        Document::new(document.to_string())
    }

    fn item(&self, item: &Value) -> Value {
        let Some(item) = item.as_object() else { return Value::Null };
        let told = |(name, value): (&String, &Value)| {
            let value = match name.as_str() {
                "parameters" => Value::Array(self.parameters(value).filter(|p| p["in"] != "body").map(parameter).collect()),
                name if name.starts_with("x-") => value.clone(),
                _ => self.operation(value),
            };
            (name.clone(), value)
        };
        item.iter().map(told).collect()
    }

    /// Parameters, with those that are only referred to.
    fn parameters<'a>(&'a self, list: &'a Value) -> impl Iterator<Item = &'a Value> {
        let resolved = |parameter: &'a Value| match text(parameter, "/$ref").strip_prefix("#/parameters/") {
            Some(name) => self.parameters.get(name),
            None => Some(parameter),
        };
        array(list, "").iter().filter_map(resolved)
    }

    fn operation(&self, operation: &Value) -> Value {
        let mut out = Map::new();
        for (name, value) in operation.as_object().into_iter().flatten() {
            if matches!(name.as_str(), "description" | "operationId" | "tags") || name.starts_with("x-") {
                out.insert(name.clone(), value.clone());
            }
        }
        let content = |types: &Value, of: &Value| -> Value {
            let types = array(types, "").iter().filter_map(Value::as_str);
            types.map(|media_type| (media_type.to_owned(), json!({"schema": schema(of)}))).collect::<Map<_, _>>().into()
        };
        let mut parameters = Vec::new();
        for given in self.parameters(&operation["parameters"]) {
            if given["in"] == "body" {
                let mut body = json!({"content": content(&operation["consumes"], &given["schema"])});
                if given["required"] == true {
                    body["required"] = json!(true);
                }
                out.insert("requestBody".to_owned(), body);
            } else {
                parameters.push(parameter(given));
            }
        }
        if !parameters.is_empty() {
            out.insert("parameters".to_owned(), parameters.into());
        }
        let mut responses = Map::new();
        for (code, response) in operation["responses"].as_object().into_iter().flatten() {
            let mut told = json!({"description": response["description"]});
            if let Some(of) = response.get("schema") {
                told["content"] = content(&operation["produces"], of);
            }
            responses.insert(code.clone(), told);
        }
        out.insert("responses".to_owned(), responses.into());
        out.into()
    }
}

fn parameter(parameter: &Value) -> Value {
    let (mut out, mut schema) = (Map::new(), Map::new());
    for (name, value) in parameter.as_object().into_iter().flatten() {
        let into = if matches!(name.as_str(), "name" | "in" | "description" | "required") { &mut out } else { &mut schema };
        into.insert(name.clone(), value.clone());
    }
    out.insert("schema".to_owned(), schema.into());
    out.into()
}

/// A schema of version 2 in version 3. Custom schemas are of version 3 but for their references.
fn schema(of: &Value) -> Value {
    let Some(of) = of.as_object() else { return of.clone() };
    let mut out = Map::new();
    for (name, value) in of {
        let value = match (name.as_str(), value) {
            ("$ref", Value::String(reference)) => json!(reference.replace("#/definitions/", "#/components/schemas/")),
            ("properties", Value::Object(members)) => {
                members.iter().map(|(name, member)| (name.clone(), schema(member))).collect()
            }
            ("items" | "additionalProperties" | "not", value) => schema(value),
            ("allOf" | "anyOf" | "oneOf", Value::Array(list)) => list.iter().map(schema).collect(),
            (_, value) => value.clone(),
        };
        out.insert(name.clone(), value);
    }
    // What stands beside a reference is not read.
    if let (true, Some(reference)) = (out.len() > 1, out.remove("$ref")) {
        out.insert("allOf".to_owned(), json!([{"$ref": reference}]));
    } else if let Some(reference) = of.get("$ref").and_then(Value::as_str) {
        return json!({"$ref": reference.replace("#/definitions/", "#/components/schemas/")});
    }
    if of.get("format").and_then(Value::as_str) == Some("int-or-string") && of.get("type").is_some() {
        out.remove("type");
        out.insert("oneOf".to_owned(), json!([{"type": "integer"}, {"type": "string"}]));
    }
    out.into()
}

/// Quantities are numbers as well.
fn quantity(definition: &Value) -> Value {
    json!({"description": definition["description"], "oneOf": [{"type": "string"}, {"type": "number"}]})
}

/// Names of the schemas that are referred to.
fn references(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        Value::Object(members) => {
            if let Some(name) = text(value, "/$ref").strip_prefix("#/components/schemas/") {
                found.insert(name.to_owned());
            }
            members.values().for_each(|member| references(member, found));
        }
        _ => {}
    }
}

/// Of which document a path is part: `apis/apps/v1`, `apis/apps`, `apis`, `api/v1`, `version`.
fn part(path: &str) -> String {
    let segments: Vec<&str> = path.split('/').filter(|s| !s.is_empty()).collect();
    let length = if segments.first() == Some(&"apis") { 3 } else { 2 };
    segments.into_iter().take(length).collect::<Vec<_>>().join("/")
}

static BUILT_IN: LazyLock<BTreeMap<String, Document>> = LazyLock::new(|| {
    let mut document = super::built_in();
    let mut parts: BTreeMap<String, Vec<(String, Value)>> = BTreeMap::new();
    if let Some(Value::Object(paths)) = document.get_mut("paths").map(Value::take) {
        for (path, item) in paths {
            parts.entry(part(&path)).or_default().push((path, item));
        }
    }
    let source = Source::of(&mut document);
    parts.into_iter().map(|(part, paths)| (part, source.document(paths.into_iter(), &Map::new()))).collect()
});

/// What the documents of custom resources need of what is built in.
static SHARED: LazyLock<Source> = LazyLock::new(|| {
    let mut source = Source::of(&mut super::built_in());
    let needed = |name: &String| name.contains(".pkg.apis.meta.v1.") || name.starts_with("io.k8s.api.autoscaling.v1.");
    source.definitions.retain(|name, _| needed(name));
    source
});

pub fn built_in() -> &'static BTreeMap<String, Document> {
    &BUILT_IN
}

/// The documents of the groups and group versions of custom resources.
pub fn customs(kinds: &[Kind]) -> BTreeMap<String, Document> {
    let mut parts: BTreeMap<String, Vec<&Kind>> = BTreeMap::new();
    for kind in kinds {
        parts.entry(format!("apis/{}/{}", kind.group, kind.version)).or_default().push(kind);
    }
    let document = |kinds: Vec<&Kind>| {
        let definitions: Map<_, _> = kinds.iter().flat_map(|kind| custom::definitions(kind, custom::Form::V3)).collect();
        SHARED.document(kinds.into_iter().flat_map(custom::paths), &definitions)
    };
    parts.into_iter().map(|(part, kinds)| (part, document(kinds))).collect()
}
