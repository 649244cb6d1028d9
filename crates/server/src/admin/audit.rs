//! `GET /_boatyard/audit`: the trail, by pages.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::get;
use boatyard_store::audit::{self, Filter, From};
use http::StatusCode;
use http::request::Parts;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::{answer, refuse};
use crate::app::App;
use crate::audit::Seen;
use crate::call::pairs;
use crate::problem::{Form, Problem};
use crate::{authenticate, respond};

/// What reads the trail of an account, for others than its owner.
const READ: &str = "iam.policy.read";
/// The most events of one page, and how many there are unless the request says otherwise.
const MOST: u16 = 1000;
const USUAL: u16 = 100;

pub(super) fn router() -> Router<Arc<App>> {
    Router::new().route("/_boatyard/audit", get(list))
}

async fn list(State(app): State<Arc<App>>, request: Request) -> Response {
    let (parts, _) = request.into_parts();
    page(&app, &parts).await.unwrap_or_else(|problem| answer(&app, &parts.extensions, problem))
}

/// The newest events first, or with `after` those that are newer than it in the order in which they were written.
async fn page(app: &App, parts: &Parts) -> Result<Response, Problem> {
    let Query { mut filter, from, limit } = Query::parse(parts.uri.query().unwrap_or_default())?;
    filter.account_id = account(app, parts, filter.account_id).await?;
    let internal = |error: boatyard_store::Error| Problem::internal(Form::Containers, error);
    let (newest, events) = async {
        let mut conn = app.store.read().await?;
        // Asked first: what is written meanwhile comes with the next question.
        let newest = audit::newest(&mut conn).await?;
        Ok((newest, audit::list(&mut conn, &filter, from, limit).await?))
    }
    .await
    .map_err(internal)?;
    let full = events.len() == usize::from(limit);
    let last = events.last().map(|event| event.seq);
    let shown = events.into_iter().map(|event| {
        let mut document: Map<String, Value> = serde_json::from_str(&event.document)?;
        document.insert("id".to_owned(), json!(event.seq.to_string()));
        Ok(Value::Object(document))
    });
    let shown = shown.collect::<Result<Vec<_>, serde_json::Error>>().map_err(|error| internal(error.into()))?;
    let mut body = json!({ "events": shown, "limit": limit, "dropped": app.audit.dropped() });
    match (from, last) {
        (From::After(_), Some(last)) if full => body["after"] = json!(last.to_string()),
        (From::After(after), _) => body["after"] = json!(newest.max(after).to_string()),
        (_, last) => {
            body["after"] = json!(newest.to_string());
            if let Some(last) = last.filter(|_| full) {
                body["next"] = json!(last.to_string());
            }
        }
    }
    Ok(respond::json(StatusCode::OK, &body))
}

/// The account whose trail may be read: any, or all, for the administrator of the installation; else the caller's.
async fn account(app: &App, parts: &Parts, wanted: Option<String>) -> Result<Option<String>, Problem> {
    let caller = authenticate::caller(app, &parts.headers, Form::Management).await;
    let caller = caller.map_err(|problem| Problem { code: "A0003", kind: "Authentication", ..problem })?;
    Seen::of_extensions(&parts.extensions).caller(&caller);
    if caller.iam_id == app.iam.administrator().await?.iam_id {
        return Ok(wanted);
    }
    let own = caller.account_id.clone();
    let foreign = wanted.is_some() && wanted != own;
    if own.is_some() && !foreign && caller.permit_account(READ).is_ok() {
        return Ok(own);
    }
    let text = format!("Only the owner of an account, and who may do {READ} in all of it, may read its trail.");
    Err(Problem::new(StatusCode::FORBIDDEN, "A0008", "Authentication", text)
        .recovery("To target an account of your own, run 'boatyard target -c <account_ID>'."))
}

struct Query {
    filter: Filter,
    from: From,
    limit: u16,
}

impl Query {
    fn parse(query: &str) -> Result<Self, Problem> {
        let mut parsed = Self { filter: Filter::default(), from: From::Newest, limit: USUAL };
        for (name, value) in pairs(query) {
            if value.contains('\0') {
                return Err(refuse(format!("'{name}' holds a NUL character.")));
            }
            let filter = &mut parsed.filter;
            match name.as_str() {
                _ if value.is_empty() => {}
                "account_id" => filter.account_id = Some(value),
                "since" => filter.since = Some(time(&name, &value)?),
                "until" => filter.until = Some(time(&name, &value)?),
                "action" => filter.action = Some(value),
                "initiator" => filter.initiator = Some(value),
                "outcome" if ["success", "failure"].contains(&value.as_str()) => filter.outcome = Some(value),
                "outcome" => return Err(refuse("'outcome' must be 'success' or 'failure'.".to_owned())),
                "start" => parsed.from = From::Before(place(&name, &value)?),
                "after" => parsed.from = From::After(place(&name, &value)?),
                "limit" => {
                    let limit = value.parse().ok().filter(|limit| (1..=MOST).contains(limit));
                    parsed.limit = limit.ok_or_else(|| refuse(format!("'limit' must be a number from 1 to {MOST}.")))?;
                }
                _ => return Err(refuse(format!("There is no parameter '{name}'."))),
            }
        }
        Ok(parsed)
    }
}

fn time(name: &str, value: &str) -> Result<i64, Problem> {
    let parsed: Result<Timestamp, _> = value.parse();
    parsed.map(Timestamp::as_millisecond).map_err(|_| refuse(format!("'{name}' must be a time such as 2026-01-31T12:00:00Z.")))
}

fn place(name: &str, value: &str) -> Result<i64, Problem> {
    value.parse().map_err(|_| refuse(format!("'{name}' must be what an answer gave as 'next' or 'after'.")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_parameter_is_named() {
        let cases = [
            ("since=yesterday", "'since'"),
            ("outcome=perhaps", "'outcome'"),
            ("limit=0", "'limit'"),
            ("limit=1001", "'limit'"),
            ("start=x", "'start'"),
            ("acount_id=a", "'acount_id'"),
            ("action=%00", "NUL"),
        ];
        for (query, expected) in cases {
            let refused = Query::parse(query).err().unwrap_or_else(|| panic!("{query} was taken"));
            assert!(refused.description.contains(expected), "{query}: {}", refused.description);
        }
        let taken = Query::parse("since=2026-01-01T00:00:00Z&limit=5&account_id=&after=7").ok().unwrap();
        assert_eq!((taken.filter.since, taken.filter.account_id, taken.limit), (Some(1_767_225_600_000), None, 5));
        assert!(matches!(taken.from, From::After(7)));
    }
}
