//! OpenAPI version 2: the published document, and the same with custom resources.

use std::sync::LazyLock;

use prost::Message as _;
use serde_json::{Map, Value, json};

use super::custom::{self, Kind};
use super::{built_in, proto};
use crate::accept::Document;

/// The published document, and where in it more definitions and more paths fit, in bytes.
struct BuiltIn {
    document: Document,
    definitions_end: usize,
    paths_end: usize,
}

static BUILT_IN: LazyLock<BuiltIn> = LazyLock::new(|| {
    let mut document = built_in();
    let mut piece = |name| document.as_object_mut().and_then(|d| d.remove(name)).map(|v| members(&v)).unwrap_or_default();
    let mut text = format!("{{\"definitions\":{{{}", piece("definitions"));
    let definitions_end = text.len();
    text += "},\"paths\":{";
    text += &piece("paths");
    let paths_end = text.len();
    text += "},";
    text += &members(&document);
    text += "}";
    BuiltIn { document: Document::new(text), definitions_end, paths_end }
});

static PROTOBUF: LazyLock<Document> = LazyLock::new(|| Document::new(proto::Document::of(&built_in()).encode_to_vec()));

/// An object without its braces.
fn members(object: &Value) -> String {
    let text = object.to_string();
    text.strip_prefix('{').and_then(|t| t.strip_suffix('}')).map(str::to_owned).unwrap_or_default()
}

pub fn json() -> &'static Document {
    &BUILT_IN.document
}

pub fn protobuf() -> &'static Document {
    &PROTOBUF
}

fn added(kinds: &[Kind]) -> (Value, Value) {
    let (mut definitions, mut paths) = (Map::new(), Map::new());
    for kind in kinds {
        definitions.extend(custom::definitions(kind, custom::Form::V2));
        paths.extend(custom::paths(kind));
    }
    (definitions.into(), paths.into())
}

pub fn json_with(kinds: &[Kind]) -> Document {
    let BuiltIn { document, definitions_end, paths_end } = &*BUILT_IN;
    let (definitions, paths) = added(kinds);
    let (definitions, paths) = (members(&definitions), members(&paths));
    let (before, after) = document.plain.split_at(*paths_end);
    let (before, between) = before.split_at(*definitions_end);
    Document::new([before, b",", definitions.as_bytes(), between, b",", paths.as_bytes(), after].concat())
}

/// A message that follows another is merged with it by those who decode both, so what is built in need not be made again.
pub fn protobuf_with(kinds: &[Kind]) -> Document {
    let (definitions, paths) = added(kinds);
    let mut bytes = PROTOBUF.plain.to_vec();
    bytes.extend(proto::Document::of(&json!({"definitions": definitions, "paths": paths})).encode_to_vec());
    Document::new(bytes)
}
