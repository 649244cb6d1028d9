//! Errors at the edge: what went wrong, in the body shape of the service that was asked.
//!
//! Domain crates return their own error enums. The `From` implementations beside the handlers are the one table from those
//! to status, code, text and hint; [`Problem::into_response`] is the only place that writes an error body.

use std::num::NonZeroU32;

use axum::response::Response;
use boatyard_api::Operation;
use boatyard_core::clock;
use http::{HeaderValue, StatusCode, header};
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use tracing::{error, info};

use crate::call::RequestId;
use crate::{faults, respond};

/// A refusal or a failure.
#[derive(Debug)]
pub struct Problem {
    pub status: StatusCode,
    /// The service's own code, such as `BXNIM0415E` or `E0007`.
    pub code: &'static str,
    /// What is wrong, for the person who has to act on it.
    pub description: String,
    /// More than fits one line: `errorDetails` of the token service, a part of the text elsewhere.
    pub details: Option<Box<str>>,
    /// `type` of the container service's errors: `General`, `Provisioning`, `Authentication`, …
    pub kind: &'static str,
    /// A command that helps: `recoveryCLI` of the container service.
    pub recovery: Option<Box<str>>,
    /// Seconds after which the request may be sent again: the header `Retry-After`.
    pub retry_after: Option<NonZeroU32>,
    /// The cause of a 5xx, for the log only.
    pub cause: Option<Box<Cause>>,
    /// What faults have to do with it.
    pub struck: Option<Box<Struck>>,
    /// What stands in the way, as programs read it: `details` of an error of a management service.
    pub conflict: Option<Box<Value>>,
}

/// Why a request failed. Behind one pointer, as nearly no problem has one and all are handed around by value.
#[derive(Debug)]
pub struct Cause(String);

impl std::fmt::Display for Cause {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// The marks that faults leave on an answer.
#[derive(Debug, Default)]
pub struct Struck {
    /// IDs of the faults: the header `X-Boatyard-Fault`.
    pub faults: String,
    /// Code and type that were ordered, instead of the problem's own.
    pub code: Option<(String, String)>,
}

impl Problem {
    #[must_use]
    pub fn new(status: StatusCode, code: &'static str, kind: &'static str, description: impl Into<String>) -> Self {
        Self {
            status,
            code,
            description: description.into(),
            details: None,
            kind,
            recovery: None,
            retry_after: None,
            cause: None,
            struck: None,
            conflict: None,
        }
    }

    #[must_use]
    pub fn details(mut self, details: impl Into<Box<str>>) -> Self {
        self.details = Some(details.into());
        self
    }

    #[must_use]
    pub fn recovery(mut self, command: impl Into<Box<str>>) -> Self {
        self.recovery = Some(command.into());
        self
    }

    #[must_use]
    pub fn retry_after(mut self, seconds: u32) -> Self {
        self.retry_after = NonZeroU32::new(seconds);
        self
    }

    /// Something failed that the client cannot help; `cause` goes to the log under the incident's ID.
    #[must_use]
    pub fn internal(service: Form, cause: impl std::fmt::Display) -> Self {
        let code = match service {
            Form::Containers => "G0002",
            Form::Token => "BXNIM0001E",
            Form::Management => "internal_error",
        };
        let text =
            "An internal error occurred while processing your request. The server's log has the cause under this request's ID.";
        Self {
            cause: Some(Box::new(Cause(cause.to_string()))),
            ..Self::new(StatusCode::INTERNAL_SERVER_ERROR, code, "General", text)
        }
    }

    /// The answer to `request` in the form of `form`.
    #[must_use]
    pub fn into_response(self, form: Form, request: &RequestId, context: &Context<'_>) -> Response {
        let operation = context.operation.map_or("-", |o| o.id);
        match &self.cause {
            Some(cause) => error!(request_id = %request, operation, %cause, "request failed"),
            None => {
                info!(request_id = %request, operation, status = self.status.as_u16(), code = self.code_and_type().0, "request refused")
            }
        }
        let body = match form {
            Form::Containers => self.containers_body(request),
            Form::Token => self.token_body(request, context),
            Form::Management => self.management_body(request),
        };
        let mut response = respond::json(self.status, &body);
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, seconds.get().into());
        }
        if let Some(struck) = &self.struck {
            faults::mark(&mut response, &struck.faults);
        }
        if self.status == StatusCode::UNAUTHORIZED && form != Form::Token {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }

    fn code_and_type(&self) -> (&str, &str) {
        let ordered = self.struck.as_ref().and_then(|struck| struck.code.as_ref());
        ordered.map_or((self.code, self.kind), |(code, kind)| (code, kind))
    }

    /// `{"incidentID", "code", "description", "type", "recoveryCLI"}`; empty members are left out.
    fn containers_body(&self, request: &RequestId) -> Value {
        let (code, kind) = self.code_and_type();
        let mut body = Map::new();
        body.insert("incidentID".to_owned(), json!(request.incident()));
        body.insert("code".to_owned(), json!(code));
        body.insert("description".to_owned(), json!(self.text()));
        if !kind.is_empty() {
            body.insert("type".to_owned(), json!(kind));
        }
        if let Some(recovery) = &self.recovery {
            body.insert("recoveryCLI".to_owned(), json!(recovery));
        }
        Value::Object(body)
    }

    /// `{"errorCode", "errorMessage", "errorDetails", "context"}`, all strings.
    fn token_body(&self, request: &RequestId, context: &Context<'_>) -> Value {
        let elapsed = context.ended.duration_since(context.started).as_millis();
        let mut body = json!({
            "errorCode": self.code_and_type().0,
            "errorMessage": self.description,
            "context": {
                "requestId": request.as_str(),
                "requestType": context.request_type(),
                "userAgent": context.user_agent,
                "url": context.public_url,
                "instanceId": "boatyard",
                "threadId": "-",
                "host": "boatyard",
                "startTime": clock::iam_context_date(context.started),
                "endTime": clock::iam_context_date(context.ended),
                "elapsedTime": elapsed.max(0).to_string(),
                "locale": "en_US",
                "clusterName": "boatyard",
            },
        });
        if let Some(details) = &self.details {
            body["errorDetails"] = json!(details);
        }
        body
    }

    /// `{"trace", "errors": [{"code", "message", "details"}], "status_code"}`; most errors have no details.
    fn management_body(&self, request: &RequestId) -> Value {
        let mut error = json!({ "code": self.code_and_type().0, "message": self.text() });
        if let Some(conflict) = &self.conflict {
            error["details"] = (**conflict).clone();
        }
        json!({ "trace": request.as_str(), "errors": [error], "status_code": self.status.as_u16() })
    }

    /// All that is said, in one line.
    fn text(&self) -> String {
        match &self.details {
            Some(details) => format!("{} {details}", self.description),
            None => self.description.clone(),
        }
    }
}

/// The body shape of an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// `/global/…`: the container service.
    Containers,
    /// `/identity/…` and `/coe/…`: the token service and the account list.
    Token,
    /// `/v1/…`, `/v2/…` of IAM and the resource services.
    Management,
}

impl Form {
    /// The form in which the service of `operation` answers.
    #[must_use]
    pub fn of(operation: &Operation) -> Self {
        match operation.service {
            "containers" => Form::Containers,
            "iam-token" | "accounts" => Form::Token,
            _ => Form::Management,
        }
    }

    /// The form for a path that no operation has.
    #[must_use]
    pub fn of_path(path: &str) -> Self {
        match path.split('/').nth(1) {
            Some("identity" | "coe") => Form::Token,
            Some("global" | "_boatyard") => Form::Containers,
            _ => Form::Management,
        }
    }
}

/// What an error body tells of the request.
#[derive(Debug)]
pub struct Context<'a> {
    pub operation: Option<&'a Operation>,
    pub started: Timestamp,
    pub ended: Timestamp,
    pub user_agent: &'a str,
    pub public_url: &'a str,
}

impl Context<'_> {
    /// `incoming.Identity_Token` and the like.
    fn request_type(&self) -> &'static str {
        match self.operation.map(|o| o.id) {
            Some("CreateToken") => "incoming.Identity_Token",
            Some("CreatePasscode" | "GetPasscodePage") => "incoming.Identity_Passcode",
            Some("GetUserInfo") => "incoming.Identity_UserInfo",
            Some("RevokeToken") => "incoming.Identity_Revoke",
            Some("ListAccounts" | "GetAccount") => "incoming.Account_List",
            _ => "incoming.Identity",
        }
    }
}
