//! Types of objects: the published OpenAPI definitions of the built-in ones, and the schemas of custom ones, in one form.

use std::collections::{BTreeMap, HashMap};
use std::io::Read as _;
use std::sync::{LazyLock, OnceLock};

use cel::Program;
use regex::Regex;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

const OPENAPI: &[u8] = include_bytes!("../data/openapi.json.gz");

/// A schema. Descriptions are left out: they are read from the document only when it is served.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Type {
    #[serde(rename = "$ref", deserialize_with = "reference")]
    reference: Option<String>,
    /// `object`, `array`, `string`, `integer`, `number`, `boolean`, or empty for anything.
    #[serde(rename = "type")]
    pub kind: String,
    pub format: String,
    pub properties: BTreeMap<String, Type>,
    pub items: Option<Box<Type>>,
    #[serde(deserialize_with = "additional")]
    pub additional_properties: Option<Box<Type>>,
    pub required: Vec<String>,
    pub nullable: bool,
    pub default: Option<Value>,
    #[serde(rename = "enum")]
    pub accepted: Option<Vec<Value>>,
    pub pattern: Option<String>,
    pub minimum: Option<f64>,
    pub maximum: Option<f64>,
    pub exclusive_minimum: bool,
    pub exclusive_maximum: bool,
    pub multiple_of: Option<f64>,
    pub min_length: Option<u64>,
    pub max_length: Option<u64>,
    pub min_items: Option<u64>,
    pub max_items: Option<u64>,
    pub unique_items: bool,
    pub min_properties: Option<u64>,
    pub max_properties: Option<u64>,
    pub all_of: Vec<Type>,
    pub any_of: Vec<Type>,
    pub one_of: Vec<Type>,
    pub not: Option<Box<Type>>,
    /// `merge`, `replace`, `retainKeys`, or several with commas.
    #[serde(rename = "x-kubernetes-patch-strategy")]
    pub patch_strategy: String,
    #[serde(rename = "x-kubernetes-patch-merge-key")]
    pub patch_merge_key: Option<String>,
    /// `atomic`, `set` or `map`.
    #[serde(rename = "x-kubernetes-list-type")]
    pub list_type: String,
    #[serde(rename = "x-kubernetes-list-map-keys")]
    pub list_map_keys: Vec<String>,
    /// `granular` or `atomic`.
    #[serde(rename = "x-kubernetes-map-type")]
    pub map_type: String,
    #[serde(rename = "x-kubernetes-preserve-unknown-fields")]
    pub preserve_unknown_fields: bool,
    #[serde(rename = "x-kubernetes-int-or-string")]
    pub int_or_string: bool,
    #[serde(rename = "x-kubernetes-embedded-resource")]
    pub embedded_resource: bool,
    /// Rules in CEL.
    #[serde(rename = "x-kubernetes-validations")]
    pub validations: Vec<Rule>,
    #[serde(skip)]
    matcher: OnceLock<Option<Regex>>,
    #[serde(rename = "x-kubernetes-group-version-kind")]
    served_as: Vec<ServedAs>,
}

/// What has to be true of a value, as `x-kubernetes-validations` says it.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Rule {
    pub rule: String,
    pub message: String,
    pub message_expression: String,
    /// `FieldValueInvalid` if it is empty.
    pub reason: String,
    /// Below the value that the rule is about.
    pub field_path: String,
    pub optional_old_self: bool,
    /// Compiled when it is first needed.
    #[serde(skip)]
    pub(crate) program: OnceLock<Option<Program>>,
}

#[derive(Debug, Deserialize)]
struct ServedAs {
    group: String,
    version: String,
    kind: String,
}

fn reference<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    Ok(text.map(|t| t.trim_start_matches("#/definitions/").to_owned()))
}

/// `true` admits anything, `false` nothing; a schema says what.
fn additional<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Box<Type>>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Form {
        Flag(bool),
        Schema(Box<Type>),
    }
    Ok(match Option::<Form>::deserialize(deserializer)? {
        Some(Form::Flag(true)) => Some(Box::new(Type { preserve_unknown_fields: true, ..Type::default() })),
        Some(Form::Schema(schema)) => Some(schema),
        Some(Form::Flag(false)) | None => None,
    })
}

impl Type {
    /// A schema as a CustomResourceDefinition has it.
    ///
    /// # Errors
    ///
    /// Why it cannot be read.
    pub fn deserialize_from(schema: &Value) -> Result<Self, String> {
        Self::deserialize(schema).map_err(|e| e.to_string())
    }

    /// What a reference refers to; itself if it is none.
    #[must_use]
    pub fn resolved(&self) -> &Self {
        match &self.reference {
            None => self,
            // References are only made in the document that the definitions are read from, which is whole: see the test below.
            Some(name) => DEFINITIONS.by_name.get(name).unwrap_or(&DEFINITIONS.anything),
        }
    }

    /// The name of the definition it refers to, for example `io.k8s.api.core.v1.Container`.
    #[must_use]
    pub fn reference(&self) -> Option<&str> {
        self.reference.as_deref()
    }

    /// Whether it is the root of a published definition that is served. What a reference refers to is published as well.
    #[must_use]
    pub fn is_built_in(&self) -> bool {
        !self.served_as.is_empty()
    }

    /// Whether a text matches the pattern, if there is one that can be read.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        let compiled = || self.pattern.as_ref().and_then(|pattern| Regex::new(pattern).ok());
        self.matcher.get_or_init(compiled).as_ref().is_none_or(|pattern| pattern.is_match(text))
    }

    /// Whether it is an integer or a string, as ports and percentages are.
    #[must_use]
    pub fn is_int_or_string(&self) -> bool {
        self.int_or_string || self.format == "int-or-string"
    }

    /// The type of a property, looked up as objects are read: a declared one, or what further ones have to be.
    #[must_use]
    pub fn property(&self, name: &str) -> Option<&Self> {
        self.properties.get(name).or(self.additional_properties.as_deref())
    }

    /// Whether nothing is said about what it holds.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.preserve_unknown_fields
            || (self.properties.is_empty()
                && self.additional_properties.is_none()
                && matches!(self.kind.as_str(), "" | "object"))
    }
}

/// All built-in definitions.
#[derive(Debug)]
pub struct Definitions {
    by_name: HashMap<String, Type>,
    by_kind: HashMap<(String, String, String), String>,
    anything: Type,
}

impl Definitions {
    /// By name, for example `io.k8s.api.core.v1.Pod`.
    #[must_use]
    pub fn named(&self, name: &str) -> Option<&Type> {
        self.by_name.get(name)
    }

    /// By group (empty for the core group), version and kind.
    #[must_use]
    pub fn of_kind(&self, group: &str, version: &str, kind: &str) -> Option<&Type> {
        let name = self.by_kind.get(&(group.to_owned(), version.to_owned(), kind.to_owned()))?;
        self.by_name.get(name)
    }
}

/// Read once, when the first virtual cluster is asked for something.
static DEFINITIONS: LazyLock<Definitions> = LazyLock::new(|| {
    #[derive(Deserialize)]
    struct Document {
        definitions: HashMap<String, Type>,
    }
    // The document is part of the program, and read by the test below.
    let document: Document = serde_json::from_slice(&openapi()).expect("the published definitions are readable");
    let mut by_kind = HashMap::new();
    for (name, definition) in &document.definitions {
        // Options are served in every group; only types of one group are looked up by kind.
        for served in &definition.served_as {
            by_kind.insert((served.group.clone(), served.version.clone(), served.kind.clone()), name.clone());
        }
    }
    let anything = Type { preserve_unknown_fields: true, ..Type::default() };
    Definitions { by_name: document.definitions, by_kind, anything }
});

/// The built-in definitions.
#[must_use]
pub fn definitions() -> &'static Definitions {
    &DEFINITIONS
}

/// The published OpenAPI document of version 2, as far as it is served, as JSON.
#[must_use]
pub fn openapi() -> Vec<u8> {
    let mut text = Vec::new();
    // The data is part of the program, and read by the test below.
    flate2::read::GzDecoder::new(OPENAPI).read_to_end(&mut text).expect("the published document is whole");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn references_of<'a>(of: &'a Type, found: &mut Vec<&'a str>) {
        found.extend(of.reference());
        let lists = [&of.all_of, &of.any_of, &of.one_of].into_iter().flatten();
        let boxed = [&of.items, &of.additional_properties, &of.not].into_iter().flatten().map(Box::as_ref);
        for inner in of.properties.values().chain(lists).chain(boxed) {
            references_of(inner, found);
        }
    }

    #[test]
    fn every_reference_is_defined() {
        for definition in definitions().by_name.values() {
            let mut found = Vec::new();
            references_of(definition, &mut found);
            for name in found {
                assert!(definitions().named(name).is_some(), "{name}");
            }
        }
    }

    #[test]
    fn types_are_found_by_kind_and_tell_how_they_merge() {
        let pod = definitions().of_kind("", "v1", "Pod").unwrap();
        let containers = &pod.properties["spec"].resolved().properties["containers"];
        assert_eq!(containers.patch_merge_key.as_deref(), Some("name"));
        assert_eq!(containers.list_map_keys, ["name"]);
        let ports = &containers.items.as_deref().unwrap().resolved().properties["ports"];
        assert_eq!(ports.list_map_keys, ["containerPort", "protocol"]);
        assert!(definitions().of_kind("apps", "v1", "Deployment").is_some());
    }
}
