//! Requests and answers as values.

use std::collections::BTreeMap;
use std::fmt;
use std::pin::Pin;

use bytes::Bytes;
use futures::Stream;
use http::{HeaderMap, Method};
use serde_json::Value;

use crate::status::Status;

/// Who asks, once authenticated.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct User {
    /// `IAM#user@example.com`, `system:serviceaccount:<namespace>:<name>`, `system:anonymous`.
    pub name: String,
    pub uid: String,
    pub groups: Vec<String>,
    pub extra: BTreeMap<String, Vec<String>>,
}

impl User {
    /// Nobody in particular.
    #[must_use]
    pub fn anonymous() -> Self {
        Self { name: "system:anonymous".to_owned(), groups: vec!["system:unauthenticated".to_owned()], ..Self::default() }
    }

    /// A user who is in `groups` and, as everybody who authenticated, in `system:authenticated`.
    #[must_use]
    pub fn new(name: impl Into<String>, uid: impl Into<String>, groups: impl IntoIterator<Item = String>) -> Self {
        let groups = groups.into_iter().chain(["system:authenticated".to_owned()]).collect();
        Self { name: name.into(), uid: uid.into(), groups, extra: BTreeMap::new() }
    }

    #[must_use]
    pub fn is_in(&self, group: &str) -> bool {
        self.groups.iter().any(|g| g == group)
    }
}

/// A request to the API server of a cluster.
#[derive(Clone, Debug)]
pub struct Request {
    pub user: User,
    pub method: Method,
    /// Below the cluster's own path, with its escapes, beginning with `/`.
    pub path: String,
    /// With its escapes, without the question mark.
    pub query: String,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Request {
    /// A header as text, empty if it is not there.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

/// An answer. `headers` always hold a content type.
#[derive(Debug)]
pub struct Response {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Body,
}

/// What an answer carries.
pub enum Body {
    Full(Bytes),
    /// A watch: one frame after another until it ends.
    Stream(Pin<Box<dyn Stream<Item = Bytes> + Send>>),
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Body::Full(bytes) => write!(f, "{} bytes", bytes.len()),
            Body::Stream(_) => f.write_str("a stream"),
        }
    }
}

impl Response {
    #[must_use]
    pub fn new(status: u16, content_type: &'static str, body: impl Into<Bytes>) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static(content_type));
        Self { status, headers, body: Body::Full(body.into()) }
    }

    #[must_use]
    pub fn json(status: u16, value: &Value) -> Self {
        Self::new(status, "application/json", value.to_string())
    }
}

impl From<Status> for Response {
    fn from(status: Status) -> Self {
        let mut response = Self::json(status.code, &status.object());
        let retry = status.details.as_ref().and_then(|details| details.retry_after_seconds);
        if let Some(seconds) = retry {
            response.headers.insert(http::header::RETRY_AFTER, seconds.into());
        }
        response
    }
}
