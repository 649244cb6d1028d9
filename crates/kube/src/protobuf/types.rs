//! The messages of the API, from `data/protobuf.json.gz`: how their fields are numbered, and what each is in JSON.

use std::collections::{BTreeMap, HashMap};
use std::sync::LazyLock;

use flate2::read::GzDecoder;
use serde::Deserialize;

const DATA: &[u8] = include_bytes!("../../data/protobuf.json.gz");
/// Where the types are that every group version has.
const META: &str = "k8s.io.apimachinery.pkg.apis.meta.v1";

/// What a field holds, or each of its elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Text,
    /// Base64 in JSON.
    Bytes,
    /// JSON as it is.
    Json,
    Bool,
    Int32,
    Int64,
    Double,
    /// Where in [`Types::messages`] it is.
    Message(usize),
}

#[derive(Debug)]
pub struct Field {
    pub number: u32,
    /// As in JSON.
    pub name: String,
    pub kind: Kind,
    pub repeated: bool,
    /// Whether it is a map with text for keys.
    pub map: bool,
    /// Whether its fields are those of the message around it.
    pub inline: bool,
    /// Whether it says nothing if it is zero.
    pub omit_empty: bool,
}

/// What a message is in JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    Object,
    /// Its first field: one list, or JSON as it is.
    First,
    Time,
    MicroTime,
    Quantity,
    IntOrString,
    /// The one of its fields that is set.
    Either,
}

#[derive(Debug)]
pub struct Message {
    pub shape: Shape,
    /// By number.
    pub fields: Vec<Field>,
}

impl Message {
    pub fn field(&self, number: u32) -> Option<&Field> {
        self.fields.binary_search_by_key(&number, |field| field.number).ok().and_then(|at| self.fields.get(at))
    }
}

#[derive(Debug)]
pub struct Types {
    /// By group version.
    packages: HashMap<String, String>,
    names: HashMap<String, usize>,
    messages: Vec<Message>,
}

/// What is known of a kind.
#[derive(Debug)]
pub enum Found {
    Message(&'static Message),
    NoKind,
    /// The group version has no messages: it is that of custom resources.
    NoVersion,
}

#[derive(Deserialize)]
struct Document {
    packages: HashMap<String, String>,
    /// To number, name, kind and flags of fields, see `data/update.py`.
    messages: BTreeMap<String, Vec<(u32, String, String, String)>>,
}

static TYPES: LazyLock<Types> = LazyLock::new(|| {
    // The document is part of the program, and read by the tests.
    let document: Document = serde_json::from_reader(GzDecoder::new(DATA)).expect("the messages are readable");
    let names: HashMap<_, _> = document.messages.keys().cloned().zip(0..).collect();
    let messages = document.messages.into_iter().map(|(name, fields)| message(&name, fields, &names)).collect();
    Types { packages: document.packages, names, messages }
});

fn message(name: &str, fields: Vec<(u32, String, String, String)>, names: &HashMap<String, usize>) -> Message {
    let mut shape = match name.rsplit('.').next().unwrap_or_default() {
        "Time" => Shape::Time,
        "MicroTime" => Shape::MicroTime,
        "Quantity" => Shape::Quantity,
        "IntOrString" => Shape::IntOrString,
        "JSON" | "RawExtension" | "FieldsV1" => Shape::First,
        "JSONSchemaPropsOrBool" | "JSONSchemaPropsOrArray" | "JSONSchemaPropsOrStringArray" => Shape::Either,
        _ => Shape::Object,
    };
    let json = shape == Shape::First;
    let mut read = Vec::with_capacity(fields.len());
    for (number, name, kind, flags) in fields {
        let kind = match kind.as_str() {
            "string" => Kind::Text,
            "bytes" if json => Kind::Json,
            "bytes" => Kind::Bytes,
            "bool" => Kind::Bool,
            "int32" => Kind::Int32,
            "int64" => Kind::Int64,
            "double" => Kind::Double,
            // What a message refers to is in the document too, as the tests say.
            message => Kind::Message(names.get(message).copied().unwrap_or(usize::MAX)),
        };
        let is = |flag| flags.contains(flag);
        if is('w') {
            shape = Shape::First;
        }
        read.push(Field { number, name, kind, repeated: is('r'), map: is('m'), inline: is('i'), omit_empty: is('o') });
    }
    read.sort_by_key(|field| field.number);
    Message { shape, fields: read }
}

/// The message that objects of a kind are. `DeleteOptions` are of every group version.
pub fn find(api_version: &str, kind: &str) -> Found {
    let package = match kind {
        "DeleteOptions" => META,
        _ => match TYPES.packages.get(api_version) {
            Some(package) => package,
            None => return Found::NoVersion,
        },
    };
    match TYPES.names.get(&format!("{package}.{kind}")).and_then(|at| get(*at)) {
        Some(message) => Found::Message(message),
        None => Found::NoKind,
    }
}

pub fn get(at: usize) -> Option<&'static Message> {
    TYPES.messages.get(at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resources;

    #[test]
    fn every_message_that_is_referred_to_is_there() {
        for (name, at) in &TYPES.names {
            for field in &TYPES.messages[*at].fields {
                if let Kind::Message(at) = field.kind {
                    assert!(get(at).is_some(), "{name} {}", field.name);
                }
            }
        }
    }

    #[test]
    fn every_built_in_kind_has_a_message() {
        for resource in resources::built_in().iter().flat_map(|group| &group.versions).flat_map(|version| &version.resources) {
            let api_version = resource.api_version();
            let known = matches!(find(&api_version, &resource.kind), Found::Message(_));
            assert_eq!(known, !api_version.contains("openshift"), "{api_version} {}", resource.kind);
        }
    }
}
