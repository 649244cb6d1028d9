//! Turns every document of `contract/` into wire types, a table of operations and a table of request shapes.
//!
//! The types come from the same generator as the client in `boatyard-sdk`, with the same settings, so that the
//! two always agree; the SDK takes its types from here.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

use serde_json::Value;

#[path = "generate.rs"]
mod generate;

fn main() {
    let contract = PathBuf::from(env::var("CARGO_MANIFEST_DIR").expect("cargo sets it")).join("../../contract");
    let out = PathBuf::from(env::var("OUT_DIR").expect("cargo sets it"));
    println!("cargo:rerun-if-changed={}", contract.display());
    println!("cargo:rerun-if-changed=generate.rs");

    let mut table = String::new();
    let mut modules = String::new();
    let mut services = Vec::new();
    for (service, path) in generate::documents(&contract) {
        let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let document: Value = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let module = service.replace('-', "_");

        let types = generate::types(&generate::tokens(&text, &path));
        let file = out.join(format!("types_{module}.rs"));
        fs::write(&file, types).expect("OUT_DIR is writable");

        let title = document["info"]["title"].as_str().unwrap_or(&service);
        writeln!(
            modules,
            "#[doc = \"Wire types of the {title}.\"]\n#[allow(clippy::all, clippy::unwrap_used, missing_docs, rustdoc::all)]\npub mod {module} {{ include!({:?}); }}",
            file.display().to_string()
        )
        .expect("writing to a string");
        service_tables(&mut table, &service, &module, &document, &path);
        services.push((service, module));
    }

    table.push_str("/// Every document of the contract, by service name.\npub static SERVICES: &[&Service] = &[");
    for (_, module) in &services {
        write!(table, "&{module}::SERVICE,").expect("writing to a string");
    }
    table.push_str("];\n");
    fs::write(out.join("types.rs"), modules).expect("OUT_DIR is writable");
    fs::write(out.join("operations.rs"), table).expect("OUT_DIR is writable");
}

/// One module of constants for a service: its operations, its document and the shapes of its request bodies.
fn service_tables(out: &mut String, service: &str, module: &str, document: &Value, path: &Path) {
    let mut line = |text: String| {
        out.push_str(&text);
        out.push('\n');
    };
    line(format!("/// Operations of the `{service}` document."));
    line(format!("#[allow(non_upper_case_globals, missing_docs)]\npub mod {module} {{\nuse super::*;"));
    let mut ids = Vec::new();
    for (template, item) in document["paths"].as_object().expect("an OpenAPI document has paths") {
        for (method, operation) in item.as_object().expect("a path item is an object") {
            let Some(id) = operation["operationId"].as_str() else { continue };
            line(format!("pub static {id}: Operation = {};", operation_value(service, id, method, template, operation)));
            ids.push(format!("&{id}"));
        }
    }
    line(format!("pub static OPERATIONS: &[&Operation] = &[{}];", ids.join(",")));
    let title = document["info"]["title"].as_str().unwrap_or(service);
    let path = path.canonicalize().expect("the document was just read").display().to_string();
    line(format!(
        "pub static SERVICE: Service = Service {{ name: {service:?}, title: {title:?}, document: include_bytes!({path:?}), \
         operations: OPERATIONS }};"
    ));
    line("#[allow(dead_code)]\nmod shapes { use super::*;".to_owned());
    let none = serde_json::Map::new();
    for (name, schema) in document["components"]["schemas"].as_object().unwrap_or(&none) {
        line(format!("pub static {name}: Shape = {};", shape(schema)));
    }
    line("}\n}".to_owned());
}

/// An operation as an expression of type `Operation`.
fn operation_value(service: &str, id: &str, method: &str, template: &str, operation: &Value) -> String {
    let statuses =
        operation["responses"].as_object().into_iter().flatten().filter_map(|(status, _)| status.parse::<u16>().ok());
    let success = statuses.into_iter().find(|status| (200..300).contains(status)).unwrap_or(200);
    let public = operation["security"].as_array().is_some_and(Vec::is_empty);
    let body = operation["requestBody"]["content"]["application/json"].get("schema");
    let body = body.map_or_else(|| "None".to_owned(), |schema| format!("Some(&{})", shape(schema)));
    format!(
        "Operation {{ service: {service:?}, id: {id:?}, method: Method::{}, path: {template:?}, success: {success}, public: {public}, \
         body: {body}, access: {} }}",
        method.to_uppercase(),
        access(service, id, public, operation)
    )
}

/// What the caller of an operation needs, as an expression. Every operation says it, so that none can be left open by mistake.
fn access(service: &str, id: &str, public: bool, operation: &Value) -> String {
    match (operation["x-iam-action"].as_str(), operation["x-iam-scope"].as_str()) {
        (None, None) if public => "Access::Open".to_owned(),
        (Some("none"), None) if !public => "Access::Open".to_owned(),
        (Some(action), Some("account")) => format!("Access::Account({action:?})"),
        (Some(action), Some("resource")) => format!("Access::Resource({action:?})"),
        (Some(action), Some("own")) => format!("Access::Own({action:?})"),
        said => panic!("{service}/{id}: x-iam-action and x-iam-scope do not say what the caller needs: {said:?}"),
    }
}

/// A schema as an expression of type `Shape`; references become references to the shape of that name.
fn shape(schema: &Value) -> String {
    if let Some(reference) = schema["$ref"].as_str() {
        let name = reference.rsplit('/').next().expect("rsplit yields at least one part");
        return format!("Shape::Ref(&shapes::{name})");
    }
    // A described reference: OpenAPI 3.0 allows no siblings beside `$ref`, so the document wraps it.
    if let Some([only]) = schema["allOf"].as_array().map(Vec::as_slice) {
        return shape(only);
    }
    match schema["type"].as_str() {
        Some("object") => match schema["properties"].as_object() {
            Some(properties) => {
                let sorted: BTreeMap<_, _> = properties.iter().collect();
                let fields: Vec<_> = sorted.iter().map(|(k, v)| format!("({k:?}, {})", shape(v))).collect();
                format!("Shape::Object(&[{}])", fields.join(","))
            }
            None => match schema.get("additionalProperties") {
                Some(values) if values.is_object() => format!("Shape::Map(&{})", shape(values)),
                _ => "Shape::Any".to_owned(),
            },
        },
        Some("array") => format!("Shape::Array(&{})", shape(&schema["items"])),
        Some("string") => "Shape::String".to_owned(),
        Some("boolean") => "Shape::Bool".to_owned(),
        Some("integer") => "Shape::Integer".to_owned(),
        Some("number") => "Shape::Number".to_owned(),
        _ => "Shape::Any".to_owned(),
    }
}
