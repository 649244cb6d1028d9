//! Checks every answer against the contract: its status, its media type and its body.
//!
//! The feature `validate-answers` puts this into the program that the tests run; the one that users build is without it. What is
//! wrong stands in the log and, one line each, in the file that `BOATYARD_ANSWER_VIOLATIONS` names. The client is answered all the
//! same, so that a test fails for what it is about first.

use std::collections::{BTreeMap, HashMap};
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use axum::body::{Body, to_bytes};
use axum::response::Response;
use boatyard_api::{Operation, ops};
use http::{StatusCode, header};
use jsonschema::Validator;
use serde_json::{Map, Value, json};
use tracing::error;

/// The answer, after it was checked.
pub(crate) async fn checked(operation: &'static Operation, path: &str, response: Response) -> Response {
    let (parts, body) = response.into_parts();
    let media_type = parts.headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).map(str::to_owned);
    match to_bytes(body, usize::MAX).await {
        Ok(bytes) => {
            let violations = violations(operation, parts.status, media_type.as_deref(), &bytes);
            report(operation, parts.status, path, &violations);
            Response::from_parts(parts, Body::from(bytes))
        }
        // The connection ends as it would have without the check.
        Err(error) => Response::from_parts(parts, Body::from_stream(futures::stream::once(async { Err::<Vec<u8>, _>(error) }))),
    }
}

fn report(operation: &Operation, status: StatusCode, path: &str, violations: &[String]) {
    static LIST: LazyLock<Option<Mutex<File>>> = LazyLock::new(|| {
        let path = std::env::var_os("BOATYARD_ANSWER_VIOLATIONS")?;
        let file = OpenOptions::new().create(true).append(true).open(path);
        Some(Mutex::new(file.expect("whoever sets the variable wants the list, so without one no request is served")))
    });
    // Opened for the first answer, whatever comes of it: a missing file tells that nothing was checked.
    let list = LIST.as_ref();
    for violation in violations {
        let (service, id) = (operation.service, operation.id);
        error!(service, operation = id, status = status.as_u16(), path, violation, "an answer breaks the contract");
        if let Some(list) = list {
            let line = format!("{service}/{id} {} {path}: {}\n", status.as_u16(), violation.replace('\n', " "));
            let mut file = list.lock().unwrap_or_else(PoisonError::into_inner);
            file.write_all(line.as_bytes()).expect("whoever sets the variable wants the list, so it must be complete");
        }
    }
}

/// What is wrong with an answer, by the contract; nothing for a good one. Values are left out, since they may be secrets.
fn violations(operation: &'static Operation, status: StatusCode, media_type: Option<&str>, body: &[u8]) -> Vec<String> {
    let document = document(operation.service);
    let Some((key, response)) = documented(&document, operation, status) else {
        return vec!["the status is not documented".to_owned()];
    };
    let content = response["content"].as_object().filter(|content| !content.is_empty());
    let Some(content) = content else {
        return if body.is_empty() { Vec::new() } else { vec!["there is a body, and none is documented".to_owned()] };
    };
    if body.is_empty() {
        return vec!["the body is empty, and one is documented".to_owned()];
    }
    let essence = media_type.and_then(|t| t.split(';').next()).unwrap_or_default().trim();
    let Some(schema) = content.get(essence).map(|content| &content["schema"]) else {
        let documented: Vec<_> = content.keys().collect();
        return vec![format!("the media type is {essence:?}, documented are {documented:?}")];
    };
    if essence != "application/json" || schema.is_null() {
        return Vec::new();
    }
    let body: Value = match serde_json::from_slice(body) {
        Ok(body) => body,
        Err(error) => return vec![format!("the body is not JSON: {error}")],
    };
    let errors = validator(&document, operation, key, schema);
    errors.iter_errors(&body).map(|e| format!("body{}: {}", e.instance_path(), e.masked())).collect()
}

/// The response that the contract gives for a status, and the key under which it stands: the status, or its range.
fn documented<'a>(document: &'a Value, operation: &Operation, status: StatusCode) -> Option<(&'a str, &'a Value)> {
    let method = operation.method.as_str().to_ascii_lowercase();
    let responses = document["paths"][operation.path][&method]["responses"].as_object()?;
    let range = format!("{}XX", status.as_u16() / 100);
    let (key, response) = responses.get_key_value(status.as_str()).or_else(|| responses.get_key_value(&range))?;
    let response = match response["$ref"].as_str() {
        Some(reference) => document.pointer(reference.strip_prefix('#')?)?,
        None => response,
    };
    Some((key, response))
}

/// The OpenAPI document of a service.
fn document(service: &'static str) -> Arc<Value> {
    static DOCUMENTS: Mutex<BTreeMap<&str, Arc<Value>>> = Mutex::new(BTreeMap::new());
    let mut documents = DOCUMENTS.lock().unwrap_or_else(PoisonError::into_inner);
    let document = documents.entry(service).or_insert_with(|| {
        let found = ops::SERVICES.iter().find(|s| s.name == service).expect("an operation's service has a document");
        Arc::new(serde_json::from_slice(found.document).expect("the build has read the same document"))
    });
    Arc::clone(document)
}

/// The compiled schema of one response of one operation.
fn validator(document: &Value, operation: &'static Operation, key: &str, schema: &Value) -> Arc<Validator> {
    type Key = (&'static str, &'static str, String);
    static VALIDATORS: LazyLock<Mutex<HashMap<Key, Arc<Validator>>>> = LazyLock::new(Mutex::default);
    let mut validators = VALIDATORS.lock().unwrap_or_else(PoisonError::into_inner);
    let validator = validators.entry((operation.service, operation.id, key.to_owned())).or_insert_with(|| {
        let schema = Closing { document, definitions: BTreeMap::new() }.whole(schema);
        let built = jsonschema::draft202012::options().should_validate_formats(false).build(&schema);
        Arc::new(built.unwrap_or_else(|e| panic!("the contract's schema of {} {key}: {e}", operation.id)))
    });
    Arc::clone(validator)
}

/// Makes a schema of OpenAPI 3.0 one of JSON Schema that allows no member which it does not name. The contract is this project's
/// own, so a member that it lacks is one that nobody was told of.
struct Closing<'a> {
    document: &'a Value,
    /// The schemas that were referred to, by name; those still to do are `null`.
    definitions: BTreeMap<String, Value>,
}

impl Closing<'_> {
    /// A schema with everything it refers to.
    fn whole(mut self, schema: &Value) -> Value {
        let root = self.closed(schema);
        while let Some(name) = self.definitions.iter().find(|(_, schema)| schema.is_null()).map(|(name, _)| name.clone()) {
            let closed = self.closed(&self.document["components"]["schemas"][&name]);
            self.definitions.insert(name, closed);
        }
        json!({ "$defs": self.definitions, "allOf": [root] })
    }

    fn closed(&mut self, schema: &Value) -> Value {
        let closed = match (schema["$ref"].as_str(), schema["allOf"].as_array().map(Vec::as_slice)) {
            (Some(reference), _) => self.reference(reference),
            (None, Some([only])) => self.closed(only),
            // Each part would refuse the members of the others, so they become one.
            (None, Some(_)) => {
                let mut merged = Map::new();
                self.merge(schema, &mut merged);
                self.object(merged)
            }
            (None, None) => self.object(schema.as_object().cloned().unwrap_or_default()),
        };
        match schema["nullable"] == true {
            true => json!({ "anyOf": [{ "type": "null" }, closed] }),
            false => closed,
        }
    }

    fn reference(&mut self, reference: &str) -> Value {
        let name = reference.strip_prefix("#/components/schemas/").expect("the contract refers to its own schemas only");
        self.definitions.entry(name.to_owned()).or_default();
        json!({ "$ref": format!("#/$defs/{name}") })
    }

    /// Adds what a schema and the parts of its `allOf` say to what the parts before it say.
    fn merge(&self, part: &Value, into: &mut Map<String, Value>) {
        if let Some(target) = part["$ref"].as_str().and_then(|r| self.document.pointer(r.strip_prefix('#')?)) {
            return self.merge(target, into);
        }
        part["allOf"].as_array().into_iter().flatten().for_each(|inner| self.merge(inner, into));
        for (keyword, value) in part.as_object().into_iter().flatten().filter(|(keyword, _)| *keyword != "allOf") {
            match (into.get_mut(keyword), value) {
                (Some(Value::Object(before)), Value::Object(more)) if keyword == "properties" => before.extend(more.clone()),
                (Some(Value::Array(before)), Value::Array(more)) if keyword == "required" => {
                    let new: Vec<_> = more.iter().filter(|name| !before.contains(name)).cloned().collect();
                    before.extend(new);
                }
                _ => drop(into.insert(keyword.clone(), value.clone())),
            }
        }
    }

    /// A schema that is no reference and not put together.
    fn object(&mut self, mut schema: Map<String, Value>) -> Value {
        schema.retain(|keyword, _| !matches!(keyword.as_str(), "allOf" | "description" | "example" | "nullable"));
        if let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) {
            properties.values_mut().for_each(|property| *property = self.closed(property));
            schema.entry("additionalProperties").or_insert(Value::Bool(false));
        }
        for keyword in ["items", "additionalProperties"] {
            if let Some(inner) = schema.get_mut(keyword).filter(|inner| inner.is_object()) {
                *inner = self.closed(inner);
            }
        }
        Value::Object(schema)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const JSON: Option<&str> = Some("application/json; charset=utf-8");

    #[test]
    fn finds_what_is_wrong_with_an_answer() {
        use ops::containers::{GetVPCs, RemoveCluster};
        let refusal = br#"{"incidentID": "i", "code": "E0011", "description": "d", "type": "General"}"#;
        /// A name, what was answered, and how each complaint begins.
        type Case<'a> = (&'a str, &'static Operation, u16, Option<&'a str>, &'a [u8], &'a [&'a str]);
        let cases: [Case; 11] = [
            ("a good body", &GetVPCs, 200, JSON, br#"[{"id": "v", "zones": ["z"]}]"#, &[]),
            ("a wrong type", &GetVPCs, 200, JSON, br#"[{"id": 5}]"#, &["body/0/id: value is not of type \"string\""]),
            ("no array", &GetVPCs, 200, JSON, b"{}", &["body: value is not of type \"array\""]),
            (
                "an unknown member",
                &GetVPCs,
                200,
                JSON,
                br#"[{"extra": "s3cret"}]"#,
                &["body/0: Additional properties are not allowed ('extra' was unexpected)"],
            ),
            ("no JSON", &GetVPCs, 200, JSON, b"oops", &["the body is not JSON"]),
            ("another media type", &GetVPCs, 200, Some("text/plain"), b"[]", &["the media type is \"text/plain\""]),
            ("no body", &GetVPCs, 200, JSON, b"", &["the body is empty"]),
            ("another status", &GetVPCs, 202, JSON, b"[]", &["the status is not documented"]),
            ("a refusal", &GetVPCs, 418, JSON, refusal, &[]),
            ("nothing, as promised", &RemoveCluster, 204, None, b"", &[]),
            ("more than nothing", &RemoveCluster, 204, JSON, b"{}", &["there is a body"]),
        ];
        for (case, operation, status, media_type, body, expected) in cases {
            let status = StatusCode::from_u16(status).expect("a status");
            let found = violations(operation, status, media_type, body);
            let fits = found.len() == expected.len() && found.iter().zip(expected).all(|(f, e)| f.starts_with(e));
            assert!(fits, "{case}: {found:?}");
        }
    }

    /// No document puts a schema together from several now; those to come may.
    #[test]
    fn closes_what_is_put_together_as_a_whole() {
        let document = json!({ "components": { "schemas": {
            "Base": { "type": "object", "required": ["id"], "properties": { "id": { "type": "string" } } },
            "Whole": { "allOf": [
                { "$ref": "#/components/schemas/Base" },
                { "type": "object", "required": ["id", "n"], "properties": {
                    "n": { "nullable": true, "type": "integer" },
                    "labels": { "type": "object", "additionalProperties": { "type": "string" } },
                    "free": { "type": "object" },
                    "more": { "type": "array", "items": { "$ref": "#/components/schemas/Whole" } },
                } },
            ] },
        } } });
        let closing = Closing { document: &document, definitions: BTreeMap::new() };
        let schema = closing.whole(&json!({ "$ref": "#/components/schemas/Whole" }));
        let validator = jsonschema::validator_for(&schema).expect("a schema");
        for (good, body) in [
            (
                true,
                json!({ "id": "a", "n": null, "labels": { "x": "y" }, "free": { "x": 1 }, "more": [{ "id": "b", "n": 1 }] }),
            ),
            (false, json!({ "n": 1 })),
            (false, json!({ "id": "a" })),
            (false, json!({ "id": null, "n": 1 })),
            (false, json!({ "id": "a", "n": 1, "labels": { "x": 1 } })),
            (false, json!({ "id": "a", "n": 1, "other": 1 })),
            (false, json!({ "id": "a", "n": 1, "more": [{ "id": "b", "n": 1, "other": 1 }] })),
        ] {
            assert_eq!(validator.is_valid(&body), good, "{body}");
        }
    }

    /// Every schema of the contract can be compiled, so that no answer fails for the check's own sake.
    #[test]
    fn every_documented_response_can_be_checked() {
        for operation in ops::SERVICES.iter().flat_map(|s| s.operations).copied() {
            let document = document(operation.service);
            for status in 200..600 {
                let status = StatusCode::from_u16(status).expect("a status");
                if let Some((key, response)) = documented(&document, operation, status)
                    && let Some(content) = response["content"]["application/json"].as_object()
                {
                    validator(&document, operation, key, &content["schema"]);
                }
            }
            assert!(
                documented(&document, operation, StatusCode::BAD_REQUEST).is_some(),
                "{} documents no refusal",
                operation.id
            );
            assert!(documented(&document, operation, StatusCode::NOT_IMPLEMENTED).is_some(), "{} no failure", operation.id);
        }
    }
}
