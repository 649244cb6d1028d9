//! One call of an operation, as handlers see it.

use std::fmt;
use std::sync::Arc;

use boatyard_api::Operation;
use boatyard_iam::Caller;
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::app::App;
use crate::problem::{Form, Problem};

/// A request that was matched to an operation, authenticated where the contract asks for it, and read whole.
pub struct Call {
    pub app: Arc<App>,
    pub operation: &'static Operation,
    pub headers: HeaderMap,
    pub body: Bytes,
    pub request_id: RequestId,
    pub(crate) query: String,
    pub(crate) path: Vec<(&'static str, String)>,
    pub(crate) caller: Option<Caller>,
    /// How long ago the tokens in a kubeconfig are to have been made, in seconds: 0, but for a fault.
    pub(crate) kubeconfig_age: i64,
}

/// Without headers, query and body: they hold tokens and passwords.
impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { operation, request_id, path, .. } = self;
        f.debug_struct("Call")
            .field("operation", &operation.id)
            .field("request_id", request_id)
            .field("path", path)
            .finish_non_exhaustive()
    }
}

impl Call {
    /// Who asks.
    ///
    /// # Errors
    /// 401 if the operation is public and no token came along; of others the caller is always known.
    pub fn caller(&self) -> Result<&Caller, Problem> {
        self.caller.as_ref().ok_or_else(|| crate::authenticate::missing(Form::of(self.operation)))
    }

    /// A path parameter of the operation's template.
    ///
    /// # Panics
    /// If the contract's path has no parameter of that name, which the first call of the handler's test would show.
    #[must_use]
    pub fn path(&self, name: &str) -> &str {
        let found = self.path.iter().find(|(n, _)| *n == name);
        &found.unwrap_or_else(|| panic!("{} has no path parameter {name}", self.operation.id)).1
    }

    /// The first value of a query parameter; `Some("")` for a name without `=`.
    #[must_use]
    pub fn query(&self, name: &str) -> Option<String> {
        self.query_all(name).into_iter().next()
    }

    /// All values of a query parameter.
    #[must_use]
    pub fn query_all(&self, name: &str) -> Vec<String> {
        pairs(&self.query).into_iter().filter(|(n, _)| n == name).map(|(_, v)| v).collect()
    }

    /// A query parameter that is a flag: `true`, `1` or a bare name.
    #[must_use]
    pub fn query_flag(&self, name: &str) -> bool {
        self.query(name).is_some_and(|v| v.is_empty() || v == "1" || v.eq_ignore_ascii_case("true"))
    }

    /// A header's value; an empty header counts as absent, as Go clients send it.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|v| v.to_str().ok()).map(str::trim).filter(|v| !v.is_empty())
    }

    /// `X-Auth-Resource-Group`, or its other spelling `X-Auth-Resource-Group-ID`.
    #[must_use]
    pub fn resource_group(&self) -> Option<&str> {
        self.header("x-auth-resource-group").or_else(|| self.header("x-auth-resource-group-id"))
    }

    /// The JSON body, whatever its label says, in the contract's spelling.
    ///
    /// # Errors
    /// 400 naming the member that is wrong.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Problem> {
        let shape = self.operation.body.unwrap_or(&boatyard_api::Shape::Any);
        let value: Value =
            serde_json::from_slice(&self.body).map_err(|e| self.malformed(&format!("The request body is not JSON: {e}.")))?;
        let value = shape.conform(value).map_err(|m| self.malformed(&format!("{m}.")))?;
        serde_json::from_value(value).map_err(|e| self.malformed(&format!("{e}.")))
    }

    /// The `application/x-www-form-urlencoded` body as names and values.
    #[must_use]
    pub fn form(&self) -> Vec<(String, String)> {
        serde_urlencoded::from_bytes(&self.body).unwrap_or_default()
    }

    /// The provider that a provider-neutral call is narrowed to: query parameter, or member `provider` of a JSON body.
    #[must_use]
    pub fn provider(&self) -> Option<String> {
        self.query("provider")
            .or_else(|| serde_json::from_slice::<Value>(&self.body).ok()?.get("provider")?.as_str().map(str::to_owned))
            .filter(|p| !p.is_empty())
    }

    fn malformed(&self, what: &str) -> Problem {
        let code = match Form::of(self.operation) {
            Form::Containers => "E0011",
            Form::Token => "BXNIM0106E",
            Form::Management if self.operation.service == "iam-policy-management" => "invalid_body",
            Form::Management => "invalid_request",
        };
        let text = "The input parameters in the request body are either incomplete or in the wrong format.";
        Problem::new(StatusCode::BAD_REQUEST, code, "General", text).details(what)
    }
}

/// Names and values of a query string.
pub(crate) fn pairs(query: &str) -> Vec<(String, String)> {
    serde_urlencoded::from_str(query).unwrap_or_default()
}

/// The ID under which a request stands in logs and answers: the client's own, if it sent a usable one.
#[derive(Clone, Debug)]
pub struct RequestId(String);

impl RequestId {
    /// The one that the request was given on arrival.
    #[must_use]
    pub fn of_extensions(extensions: &http::Extensions) -> Self {
        extensions.get::<Self>().cloned().unwrap_or_else(|| Self::of(&HeaderMap::new()))
    }

    /// From `X-Request-ID`, `Transaction-Id` or `X-Correlation-ID`; a new UUID otherwise. A usable one has 1 to 128
    /// visible ASCII characters.
    #[must_use]
    pub fn of(headers: &HeaderMap) -> Self {
        let given = ["x-request-id", "transaction-id", "x-correlation-id"]
            .iter()
            .filter_map(|name| headers.get(*name)?.to_str().ok())
            .find(|id| (1..=128).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_graphic()));
        Self(given.map_or_else(boatyard_core::id::uuid, str::to_owned))
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The incident ID of the container service.
    #[must_use]
    pub fn incident(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
