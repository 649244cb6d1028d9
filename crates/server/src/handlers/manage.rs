//! What the handlers for API keys, service IDs, trusted profiles and settings share.

use axum::response::Response;
use boatyard_core::clock::{containers_date, from_ms};
use boatyard_iam::{Listing, ManageError, Page};
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;

use crate::call::{Call, pairs};
use crate::problem::Problem;
use crate::respond;

/// What the query asks of a list.
pub(super) fn listing(call: &Call) -> Result<Listing, Problem> {
    Ok(Listing::read(pairs(&call.query))?)
}

/// Where the pages of a list are.
pub(super) struct Links {
    pub first: Option<String>,
    pub previous: Option<String>,
    pub next: Option<String>,
}

pub(super) fn links<T>(call: &Call, page: &Page<T>) -> Links {
    let path = call.operation.path.trim_end_matches('/');
    let url = |token: &String| format!("{}{path}?pagetoken={token}", call.app.public_url);
    Links { first: Some(url(&page.first)), previous: page.previous.as_ref().map(url), next: page.next.as_ref().map(url) }
}

/// An answer with its entity tag, which clients take out of the header or out of the body. What holds a secret is not kept on its way.
pub(super) fn tagged(status: StatusCode, body: &impl Serialize, tag: &str) -> Response {
    let mut response = respond::json(status, body);
    // Tags are made of a number and an ID, so they always are header values.
    if let Ok(value) = HeaderValue::from_str(&format!("\"{tag}\"")) {
        response.headers_mut().insert(header::ETAG, value);
    }
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// A header that is a flag.
pub(super) fn flag(call: &Call, header: &'static str) -> Result<bool, Problem> {
    match call.header(header).map(str::to_ascii_lowercase).as_deref() {
        None | Some("false") => Ok(false),
        Some("true") => Ok(true),
        Some(_) => Err(ManageError::Invalid { member: header.to_owned(), why: "must be true or false.".to_owned() }.into()),
    }
}

pub(super) fn date(ms: i64) -> String {
    containers_date(from_ms(ms))
}

/// A text that is left out when it is empty.
pub(super) fn some(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

/// The name of an identity, or of what belongs to one, in the form of a CRN.
pub(super) fn crn(account_id: &str, kind: &str, id: &str) -> String {
    format!("crn:v1:bluemix:public:iam-identity::a/{account_id}::{kind}:{id}")
}

impl From<ManageError> for Problem {
    fn from(error: ManageError) -> Self {
        let text = error.to_string();
        let new = |status, code| Problem::new(status, code, "General", text);
        match error {
            ManageError::NotFound { .. } | ManageError::OtherAccount(_) => new(StatusCode::NOT_FOUND, "not_found"),
            ManageError::Invalid { .. } | ManageError::NoTag => new(StatusCode::BAD_REQUEST, "invalid_request"),
            ManageError::Stale { .. } => new(StatusCode::CONFLICT, "stale"),
            ManageError::Locked { .. } => new(StatusCode::CONFLICT, "locked"),
            ManageError::Taken(_) => new(StatusCode::CONFLICT, "conflict"),
            ManageError::TooMany { .. } => new(StatusCode::CONFLICT, "limit_reached"),
            ManageError::NotAllowed(_) => new(StatusCode::FORBIDDEN, "forbidden"),
            ManageError::Iam(error) => error.into(),
        }
    }
}
