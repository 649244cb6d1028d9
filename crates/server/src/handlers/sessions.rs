//! Sessions and whether tokens are good: `/v1/sessions`, `/identity/introspect`.

use axum::response::Response;
use boatyard_api::iam_token::{Session, SessionList};
use boatyard_api::ops::iam_token;
use boatyard_core::clock::{from_ms, rfc3339_ms};
use boatyard_iam::{Client, Error, Form, SessionError, SessionQuery};
use http::StatusCode;
use serde_json::{Value, json};

use super::{done, identity};
use crate::authenticate;
use crate::call::Call;
use crate::operations::Bindings;
use crate::problem::{self, Problem};
use crate::respond;

pub fn bind(bindings: Bindings) -> Bindings {
    bindings
        .bind(&iam_token::IntrospectToken, token_introspect)
        .bind(&iam_token::ListSessions, sessions_list)
        .bind(&iam_token::DeleteSessions, sessions_delete)
        .bind(&iam_token::DeleteSession, session_delete)
        .bind(&iam_token::UpdateSessionState, session_keep)
}

/// `POST /identity/introspect`, for clients and for whoever has a token: nobody else is to try tokens here.
async fn token_introspect(call: Call) -> Result<Response, Problem> {
    let form = identity::form(&call)?;
    let basic =
        call.header("authorization").is_none_or(|value| value.get(..5).is_some_and(|s| s.eq_ignore_ascii_case("basic")));
    if !basic {
        authenticate::caller(&call.app, &call.headers, problem::Form::Token).await?;
    } else if Client::of(call.header("authorization"), &form)? == Client::Default {
        return Err(Error::ClientRequired.into());
    }
    let token = form.get("token")?.ok_or(Error::Missing { property: "token" })?;
    let body = match call.app.iam.introspect(token).await? {
        Some(Value::Object(mut claims)) => {
            claims.insert("active".to_owned(), json!(true));
            claims.insert("token_type".to_owned(), json!("Bearer"));
            Value::Object(claims)
        }
        _ => json!({ "active": false }),
    };
    Ok(respond::private(respond::json(StatusCode::OK, &body)))
}

async fn sessions_list(call: Call) -> Result<Response, Problem> {
    let caller = call.caller()?;
    let present = |name: &str| call.query(name).filter(|value| !value.is_empty());
    let limit = present("limit").map(|text| number(&text)).transpose()?;
    let query = SessionQuery { iam_id: present("iam_id"), account_id: present("account_id"), limit, start: present("start") };
    let page = call.app.iam.sessions_list(caller, &query).await?;
    let url = |start: Option<&str>| {
        let kept = ["account_id", "iam_id", "limit"].map(|name| (name, present(name)));
        let kept = kept.into_iter().filter_map(|(name, value)| Some((name, value?)));
        let pairs: Vec<_> = start.map(|start| ("start", start.to_owned())).into_iter().chain(kept).collect();
        let query = serde_urlencoded::to_string(pairs).expect("names and texts can always be written as a query");
        if query.is_empty() { "/v1/sessions".to_owned() } else { format!("/v1/sessions?{query}") }
    };
    let current = caller.session_id.as_deref();
    let body = SessionList {
        limit: page.limit,
        first: Some(url(None)),
        next: page.next.as_deref().map(|start| url(Some(start))),
        sessions: page.sessions.into_iter().map(|session| shape(session, current)).collect(),
    };
    Ok(respond::json(StatusCode::OK, &body))
}

async fn session_delete(call: Call) -> Result<Response, Problem> {
    call.app.iam.session_delete(call.caller()?, call.path("session_id")).await?;
    done(&call)
}

async fn sessions_delete(call: Call) -> Result<Response, Problem> {
    let iam_id = call.query("iam_id").unwrap_or_default();
    call.app.iam.sessions_delete(call.caller()?, &iam_id).await?;
    done(&call)
}

async fn session_keep(call: Call) -> Result<Response, Problem> {
    let client = Client::of(call.header("authorization"), &Form::new(Vec::new()))?;
    call.app.iam.session_keep(client, call.path("session_id")).await?;
    done(&call)
}

fn shape(session: boatyard_iam::Session, current: Option<&str>) -> Session {
    Session {
        current: current == Some(&session.id),
        id: session.id,
        iam_id: session.iam_id,
        account_id: session.account_id,
        client_id: session.client_id,
        grant_type: session.grant_type,
        api_key_id: session.api_key_id,
        created_at: rfc3339_ms(from_ms(session.created_at)),
        used_at: rfc3339_ms(from_ms(session.used_at)),
    }
}

fn number(text: &str) -> Result<i64, Error> {
    let invalid = || Error::Invalid { property: "limit", value: text.to_owned(), valid: "1 to 100".to_owned() };
    text.parse().map_err(|_| invalid())
}

impl From<SessionError> for Problem {
    fn from(error: SessionError) -> Self {
        match error {
            SessionError::Iam(error) => error.into(),
            SessionError::NotFound(_) => Problem::new(StatusCode::NOT_FOUND, "BXNIM0440E", "", error.to_string()),
        }
    }
}
