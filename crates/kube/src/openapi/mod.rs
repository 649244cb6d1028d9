//! The OpenAPI documents of a cluster: version 2 as JSON and as protobuf, and version 3 by group version.
//!
//! What is built in is made once for all clusters. What a cluster adds by its CustomResourceDefinitions is made when it is first asked
//! for, and kept in its [`Published`].

mod custom;
mod proto;
mod v2;
mod v3;

use std::collections::BTreeMap;
use std::sync::{LazyLock, OnceLock};

use serde_json::{Value, json};

use crate::accept::{self, Document, JSON};
use crate::api::{Request, Response};
use crate::status::Status;

use custom::Kind;

const PROTOBUF: &str = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";
/// The same, as clients called it before the `@` was found not to be allowed in a media type.
const PROTOBUF_BEFORE: &str = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf";

/// The documents of a cluster.
#[derive(Debug, Default)]
pub struct Published {
    kinds: Vec<Kind>,
    v2: OnceLock<Document>,
    v2_protobuf: OnceLock<Document>,
    v3: OnceLock<BTreeMap<String, Document>>,
}

/// Those of all clusters without CustomResourceDefinitions.
static BUILT_IN: LazyLock<Published> = LazyLock::new(Published::default);

/// The published document of version 2, for as long as something is made of it.
fn built_in() -> Value {
    // The document is part of the program, and read by the tests below.
    serde_json::from_slice(&crate::types::openapi()).expect("the published document is JSON")
}

impl Published {
    /// The documents of a cluster that has these CustomResourceDefinitions, as the objects are. To be kept until one of them changes.
    pub fn new<'a>(definitions: impl Iterator<Item = &'a Value>) -> Self {
        Self { kinds: definitions.flat_map(custom::kinds).collect(), ..Self::default() }
    }

    /// Those of a cluster that has no CustomResourceDefinitions.
    #[must_use]
    pub fn built_in() -> &'static Self {
        &BUILT_IN
    }

    /// `/openapi/v2` as JSON.
    pub fn v2_json(&self) -> &Document {
        if self.kinds.is_empty() { v2::json() } else { self.v2.get_or_init(|| v2::json_with(&self.kinds)) }
    }

    /// `/openapi/v2` as protobuf, the message `openapi.v2.Document` of gnostic.
    pub fn v2_protobuf(&self) -> &Document {
        if self.kinds.is_empty() { v2::protobuf() } else { self.v2_protobuf.get_or_init(|| v2::protobuf_with(&self.kinds)) }
    }

    /// `/openapi/v3/<path>`, for example of `apis/apps/v1`.
    pub fn v3(&self, path: &str) -> Option<&Document> {
        v3::built_in().get(path).or_else(|| self.customs().get(path))
    }

    fn customs(&self) -> &BTreeMap<String, Document> {
        self.v3.get_or_init(|| v3::customs(&self.kinds))
    }

    /// `/openapi/v3`. `base` is the path that the cluster's own are below: `/kube/<id>`.
    pub fn v3_index(&self, base: &str) -> Value {
        let documents = v3::built_in().iter().chain(self.customs());
        let told = |(path, document): (&String, &Document)| {
            (path.clone(), json!({"serverRelativeURL": format!("{base}/openapi/v3/{path}?hash={}", document.tag)}))
        };
        json!({"paths": documents.map(told).collect::<serde_json::Map<_, _>>()})
    }

    /// The answer to a request below `/openapi`. `None` if the path is no such path.
    pub fn answer(&self, request: &Request, base: &str) -> Option<Response> {
        let path = request.path.trim_end_matches('/').strip_prefix("/openapi/")?;
        let offered: &[&str] = if path == "v2" { &[JSON, PROTOBUF, PROTOBUF_BEFORE] } else { &[JSON] };
        let media = match accept::negotiate(request.header("accept"), offered, |convert| convert.is_none()) {
            Ok(media) => media,
            Err(status) => return Some(status.into()),
        };
        Some(match path {
            "v2" if media.media_type == JSON => self.v2_json().answer(request, JSON),
            "v2" => self.v2_protobuf().answer(request, PROTOBUF),
            "v3" => Document::new(self.v3_index(base).to_string()).answer(request, JSON),
            other => match other.strip_prefix("v3/").and_then(|path| self.v3(path)) {
                Some(document) => document.answer(request, JSON),
                None => Status::no_such_path().into(),
            },
        })
    }
}

#[cfg(test)]
mod tests;
