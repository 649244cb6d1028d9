//! What may stand in a definition, worded as `k8s.io/apiextensions-apiserver` does.

use serde_json::{Value, json};

use super::condition;
use crate::object::{array, text};
use crate::schema;
use crate::status::Cause;
use crate::types::Type;
use crate::validate::names::Syntax;

const COLUMN_TYPES: [&str; 5] = ["boolean", "date", "integer", "number", "string"];

/// What is wrong with a definition. Metadata but for the name is not looked at here.
#[must_use]
pub fn validate_definition(definition: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    let spec = &definition["spec"];
    let (group, plural) = (text(spec, "/group"), text(spec, "/names/plural"));
    if text(definition, "/metadata/name") != format!("{plural}.{group}") {
        let name = &definition["metadata"]["name"];
        causes.push(Cause::invalid("metadata.name", name, "must be spec.names.plural+\".\"+spec.group"));
    }
    if group.is_empty() {
        causes.push(Cause::required("spec.group", ""));
    } else if !Syntax::Subdomain.admits(group) {
        causes.push(Cause::invalid("spec.group", &json!(group), &Syntax::Subdomain.faults(group, false).join(",")));
    } else if !group.contains('.') {
        causes.push(Cause::invalid("spec.group", &json!(group), "should be a domain with at least one dot"));
    }
    match text(spec, "/scope") {
        "Cluster" | "Namespaced" => {}
        "" => causes.push(Cause::required("spec.scope", "")),
        _ => causes.push(Cause::unsupported("spec.scope", &spec["scope"], &["Cluster", "Namespaced"])),
    }
    check_versions(spec, &mut causes);
    check_names(&spec["names"], &mut causes);
    let strategy = text(spec, "/conversion/strategy");
    if !matches!(strategy, "" | "None" | "Webhook") {
        causes.push(Cause::unsupported("spec.conversion.strategy", &json!(strategy), &["None", "Webhook"]));
    }
    check_stored(definition, &mut causes);
    causes
}

/// What an update must not change.
#[must_use]
pub fn validate_update(old: &Value, new: &Value) -> Vec<Cause> {
    let established = condition(old, "Established");
    let fixed = ["scope", "names/kind", "group", "names/plural"];
    // Scope and kind can be mended as long as nothing is served.
    let fixed = if established { &fixed[..] } else { &fixed[2..] };
    let changed = |path: &&&str| old["spec"].pointer(&format!("/{path}")) != new["spec"].pointer(&format!("/{path}"));
    let cause = |path: &&str| {
        let value = new["spec"].pointer(&format!("/{path}")).unwrap_or(&Value::Null);
        Cause::invalid(format!("spec.{}", path.replace('/', ".")), value, "field is immutable")
    };
    fixed.iter().filter(changed).map(cause).collect()
}

fn check_versions(spec: &Value, causes: &mut Vec<Cause>) {
    let versions = array(spec, "/versions");
    let mut names = std::collections::BTreeSet::new();
    for (at, version) in versions.iter().enumerate() {
        let path = format!("spec.versions[{at}]");
        let name = text(version, "/name");
        if !Syntax::Label1035.admits(name) {
            let faults = Syntax::Label1035.faults(name, false).join(",");
            causes.push(Cause::invalid(format!("{path}.name"), &json!(name), &faults));
        }
        names.insert(name);
        check_schema(version, &path, causes);
        check_scale(version, &path, causes);
        check_columns(version, &path, causes);
    }
    if names.len() != versions.len() {
        causes.push(Cause::invalid("spec.versions", &spec["versions"], "must contain unique version names"));
    }
    if versions.iter().filter(|version| version["storage"] == true).count() != 1 {
        let why = "must have exactly one version marked as storage version";
        causes.push(Cause::invalid("spec.versions", &spec["versions"], why));
    }
}

fn check_schema(version: &Value, path: &str, causes: &mut Vec<Cause>) {
    let path = format!("{path}.schema.openAPIV3Schema");
    let Some(schema) = version.pointer("/schema/openAPIV3Schema").filter(|schema| !schema.is_null()) else {
        causes.push(Cause::required(path, ""));
        return;
    };
    match text(schema, "/type") {
        "object" => {}
        "" => causes.push(Cause::required(format!("{path}.type"), "must not be empty at the root")),
        other => causes.push(Cause::invalid(format!("{path}.type"), &json!(other), "must be object at the root")),
    }
    if !schema["additionalProperties"].is_null() {
        causes.push(Cause::forbidden(format!("{path}.additionalProperties"), "must not be used at the root"));
    }
    check_structure(schema, &path, true, causes);
    if let Err(why) = Type::deserialize_from(schema) {
        causes.push(Cause::invalid(path, &json!(""), &why));
    }
}

/// What makes a schema a structural one.
fn check_structure(schema: &Value, path: &str, root: bool, causes: &mut Vec<Cause>) {
    if !schema["$ref"].is_null() {
        causes.push(Cause::forbidden(format!("{path}.$ref"), "$ref is not supported"));
    }
    if schema["uniqueItems"] == true {
        causes.push(Cause::forbidden(
            format!("{path}.uniqueItems"),
            "uniqueItems cannot be set to true since the runtime complexity becomes quadratic",
        ));
    }
    let kind = text(schema, "/type");
    let untyped = schema["x-kubernetes-int-or-string"] == true || schema["x-kubernetes-preserve-unknown-fields"] == true;
    if kind.is_empty() && !untyped && !root {
        let place = if path.ends_with(".items") { "array items" } else { "object fields" };
        causes.push(Cause::required(format!("{path}.type"), &format!("must not be empty for specified {place}")));
    }
    if kind == "array" && schema["items"].is_null() {
        causes.push(Cause::required(format!("{path}.items"), "must be specified"));
    }
    if !matches!(kind, "" | "array" | "boolean" | "integer" | "number" | "object" | "string") {
        let accepted = ["array", "boolean", "integer", "number", "object", "string"];
        causes.push(Cause::unsupported(format!("{path}.type"), &schema["type"], &accepted));
    }
    if let Some(pattern) = schema["pattern"].as_str()
        && regex::Regex::new(pattern).is_err()
    {
        let why = "must be a valid regular expression, but isn't";
        causes.push(Cause::invalid(format!("{path}.pattern"), &json!(pattern), why));
    }
    for (at, rule) in array(schema, "/x-kubernetes-validations").iter().enumerate() {
        if let Err(why) = schema::rules::compile(text(rule, "/rule")) {
            let field = format!("{path}.x-kubernetes-validations[{at}].rule");
            causes.push(Cause::invalid(field, &rule["rule"], &format!("compilation failed: {why}")));
        }
    }
    if schema["x-kubernetes-list-type"] == "map" && array(schema, "/x-kubernetes-list-map-keys").is_empty() {
        causes.push(Cause::required(
            format!("{path}.x-kubernetes-list-map-keys"),
            "must not be empty if x-kubernetes-list-type is map",
        ));
    }
    if let Value::Object(properties) = &schema["properties"] {
        if schema["additionalProperties"].is_object() {
            let why = "additionalProperties and properties are mutual exclusive";
            causes.push(Cause::forbidden(format!("{path}.additionalProperties"), why));
        }
        for (name, property) in properties {
            check_structure(property, &format!("{path}.properties[{name}]"), false, causes);
        }
    }
    for inner in ["items", "additionalProperties"] {
        if schema[inner].is_object() {
            check_structure(&schema[inner], &format!("{path}.{inner}"), false, causes);
        }
    }
}

fn check_scale(version: &Value, path: &str, causes: &mut Vec<Cause>) {
    let Some(scale) = version.pointer("/subresources/scale").filter(|scale| scale.is_object()) else { return };
    for (name, below, wanted) in [("specReplicasPath", ".spec.", ".spec"), ("statusReplicasPath", ".status.", ".status")] {
        let path = format!("{path}.subresources.scale.{name}");
        match scale[name].as_str().unwrap_or_default() {
            "" => causes.push(Cause::required(path, "")),
            given if !given.starts_with(below) => {
                causes.push(Cause::invalid(path, &json!(given), &format!("should be a json path under {wanted}")));
            }
            _ => {}
        }
    }
    let selector = text(scale, "/labelSelectorPath");
    if !selector.is_empty() && !selector.starts_with(".spec.") && !selector.starts_with(".status.") {
        let why = "should be a json path under either .spec or .status";
        causes.push(Cause::invalid(format!("{path}.subresources.scale.labelSelectorPath"), &json!(selector), why));
    }
}

fn check_columns(version: &Value, path: &str, causes: &mut Vec<Cause>) {
    for (at, column) in array(version, "/additionalPrinterColumns").iter().enumerate() {
        let path = format!("{path}.additionalPrinterColumns[{at}]");
        if text(column, "/name").is_empty() {
            causes.push(Cause::required(format!("{path}.name"), ""));
        }
        let (kind, one_of) = (text(column, "/type"), format!("must be one of {}", COLUMN_TYPES.join(",")));
        if kind.is_empty() {
            causes.push(Cause::required(format!("{path}.type"), &one_of));
        } else if !COLUMN_TYPES.contains(&kind) {
            causes.push(Cause::invalid(format!("{path}.type"), &json!(kind), &one_of));
        }
        if text(column, "/jsonPath").is_empty() {
            causes.push(Cause::required(format!("{path}.JSONPath"), ""));
        }
    }
}

fn check_names(names: &Value, causes: &mut Vec<Cause>) {
    for field in ["plural", "singular", "kind", "listKind"] {
        let path = format!("spec.names.{field}");
        let name = names[field].as_str().unwrap_or_default();
        if name.is_empty() {
            causes.push(Cause::required(path, ""));
            continue;
        }
        let is_kind = matches!(field, "kind" | "listKind");
        let faults = Syntax::Label1035.faults(&if is_kind { name.to_lowercase() } else { name.to_owned() }, false).join(",");
        if !faults.is_empty() {
            let mixed = if is_kind { "may have mixed case, but should otherwise match: " } else { "" };
            causes.push(Cause::invalid(path, &json!(name), &format!("{mixed}{faults}")));
        }
    }
    for field in ["shortNames", "categories"] {
        for (at, name) in names[field].as_array().into_iter().flatten().enumerate() {
            let faults = Syntax::Label1035.faults(name.as_str().unwrap_or_default(), false).join(",");
            if !faults.is_empty() {
                causes.push(Cause::invalid(format!("spec.names.{field}[{at}]"), name, &faults));
            }
        }
    }
    if names["kind"].is_string() && names["kind"] == names["listKind"] {
        causes.push(Cause::invalid("spec.names.listKind", &names["listKind"], "kind and listKind may not be the same"));
    }
}

/// Versions that objects may have been stored in have to stay.
fn check_stored(definition: &Value, causes: &mut Vec<Cause>) {
    for (at, stored) in array(definition, "/status/storedVersions").iter().enumerate() {
        if !array(definition, "/spec/versions").iter().any(|version| version["name"] == *stored) {
            let v = stored.as_str().unwrap_or_default();
            let why = format!(
                "missing from spec.versions; {v} was previously a storage version, and must remain in spec.versions until a storage migration ensures no data remains persisted in {v} and removes {v} from status.storedVersions"
            );
            causes.push(Cause::invalid(format!("status.storedVersions[{at}]"), stored, &why));
        }
    }
}
