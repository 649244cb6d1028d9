//! Policies: `/v1/policies` and `/v2/policies`.

use axum::response::Response;
use boatyard_api::iam_policy_management::UpdatePolicyStateRequest;
use boatyard_api::ops::iam_policy_management as ops;
use boatyard_iam::policies::{Document, Page, Policy, PolicyQuery, V1Document};
use boatyard_iam::roles::system_role;
use boatyard_iam::{AccessError, AccessSubject, Error};
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::authenticate;
use crate::call::Call;
use crate::operations::Bindings;
use crate::problem::{Form, Problem};
use crate::respond;

/// Binds the operations on policies.
#[must_use]
pub fn bind(bindings: Bindings) -> Bindings {
    bindings
        .bind(&ops::ListPolicies, v1_policies_list)
        .bind(&ops::CreatePolicy, v1_policy_create)
        .bind(&ops::GetPolicy, v1_policy_get)
        .bind(&ops::ReplacePolicy, v1_policy_replace)
        .bind(&ops::DeletePolicy, policy_delete)
        .bind(&ops::UpdatePolicyState, v1_policy_state)
        .bind(&ops::ListV2Policies, v2_policies_list)
        .bind(&ops::CreateV2Policy, v2_policy_create)
        .bind(&ops::GetV2Policy, v2_policy_get)
        .bind(&ops::ReplaceV2Policy, v2_policy_replace)
        .bind(&ops::DeleteV2Policy, policy_delete)
}

/// The older API, which cannot say all that a policy can, or the newer one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    V1,
    V2,
}

/// `GET /v1/policies`
pub async fn v1_policies_list(call: Call) -> Result<Response, Problem> {
    policies_list(&call, Version::V1).await
}

/// `GET /v2/policies`
pub async fn v2_policies_list(call: Call) -> Result<Response, Problem> {
    policies_list(&call, Version::V2).await
}

async fn policies_list(call: &Call, version: Version) -> Result<Response, Problem> {
    let query = PolicyQuery {
        account_id: asked(call, "account_id"),
        iam_id: asked(call, "iam_id"),
        access_group_id: asked(call, "access_group_id"),
        kind: asked(call, "type"),
        service_type: asked(call, "service_type"),
        service_name: asked(call, "service_name"),
        service_group_id: asked(call, "service_group_id"),
        tag_name: asked(call, "tag_name"),
        tag_value: asked(call, "tag_value"),
        sort: asked(call, "sort"),
        state: asked(call, "state"),
        limit: number(call, "limit")?,
        start: asked(call, "start"),
        v1: version == Version::V1,
    };
    let page = call.app.iam.policies_list(call.caller()?, &query).await?;
    let policies: Vec<_> = page.policies.iter().filter_map(|policy| shown(call, policy, version)).collect();
    let mut body = links(call, query.limit, &page);
    body.insert("policies".to_owned(), json!(policies));
    Ok(respond::json(StatusCode::OK, &body))
}

/// `limit`, `first`, `next` and `previous` of a list by the page; nothing for a whole one.
fn links(call: &Call, limit: Option<i64>, page: &Page) -> Map<String, Value> {
    let mut links = Map::new();
    let Some(limit) = limit else { return links };
    let link = |start: &str| {
        let mut href = list_href(call, &["limit", "start"], &[("limit", limit.to_string())]);
        let mut link = Map::new();
        if !start.is_empty() {
            href.push_str("&start=");
            href.push_str(start);
            link.insert("start".to_owned(), json!(start));
        }
        link.insert("href".to_owned(), json!(href));
        Value::Object(link)
    };
    links.insert("limit".to_owned(), json!(limit));
    links.insert("first".to_owned(), link(""));
    for (name, start) in [("next", &page.next), ("previous", &page.previous)] {
        if let Some(start) = start {
            links.insert(name.to_owned(), link(start));
        }
    }
    links
}

/// The address of a list, with the query of the request but for the parameters that `without` names, and with others.
pub(super) fn list_href(call: &Call, without: &[&str], with: &[(&str, String)]) -> String {
    let kept = crate::call::pairs(&call.query).into_iter().filter(|(name, _)| !without.contains(&name.as_str()));
    let all: Vec<_> = kept.chain(with.iter().map(|(name, value)| ((*name).to_owned(), value.clone()))).collect();
    let query = serde_urlencoded::to_string(all).unwrap_or_default();
    let path = call
        .path
        .iter()
        .fold(call.operation.path.to_owned(), |path, (name, value)| path.replace(&format!("{{{name}}}"), value));
    format!("{}{path}?{query}", call.app.public_url)
}

/// `POST /v1/policies`
pub async fn v1_policy_create(call: Call) -> Result<Response, Problem> {
    let document = call.json::<V1Document>()?.into_document()?;
    policy_create(&call, document, Version::V1).await
}

/// `POST /v2/policies`
pub async fn v2_policy_create(call: Call) -> Result<Response, Problem> {
    let document = call.json()?;
    policy_create(&call, document, Version::V2).await
}

async fn policy_create(call: &Call, document: Document, version: Version) -> Result<Response, Problem> {
    let policy = call.app.iam.policy_create(call.caller()?, document).await?;
    answer(call, StatusCode::CREATED, &policy, version)
}

/// `GET /v1/policies/{policy_id}`
pub async fn v1_policy_get(call: Call) -> Result<Response, Problem> {
    let policy = call.app.iam.policy_get(call.caller()?, call.path("policy_id")).await?;
    answer(&call, StatusCode::OK, &policy, Version::V1)
}

/// `GET /v2/policies/{id}`
pub async fn v2_policy_get(call: Call) -> Result<Response, Problem> {
    let policy = call.app.iam.policy_get(call.caller()?, call.path("id")).await?;
    answer(&call, StatusCode::OK, &policy, Version::V2)
}

/// `PUT /v1/policies/{policy_id}`
pub async fn v1_policy_replace(call: Call) -> Result<Response, Problem> {
    let document = call.json::<V1Document>()?.into_document()?;
    let id = call.path("policy_id");
    let policy = call.app.iam.policy_replace(call.caller()?, id, call.header("if-match"), document).await?;
    answer(&call, StatusCode::OK, &policy, Version::V1)
}

/// `PUT /v2/policies/{id}`
pub async fn v2_policy_replace(call: Call) -> Result<Response, Problem> {
    let policy = call.app.iam.policy_replace(call.caller()?, call.path("id"), call.header("if-match"), call.json()?).await?;
    answer(&call, StatusCode::OK, &policy, Version::V2)
}

/// `PATCH /v1/policies/{policy_id}`
pub async fn v1_policy_state(call: Call) -> Result<Response, Problem> {
    let body: UpdatePolicyStateRequest = call.json()?;
    let state = body.state.map(|state| state.to_string()).unwrap_or_default();
    let policy = call.app.iam.policy_state(call.caller()?, call.path("policy_id"), call.header("if-match"), &state).await?;
    answer(&call, StatusCode::OK, &policy, Version::V1)
}

/// `DELETE /v1/policies/{policy_id}` and `DELETE /v2/policies/{id}`
pub async fn policy_delete(call: Call) -> Result<Response, Problem> {
    let id = if call.operation.id == ops::DeletePolicy.id { call.path("policy_id") } else { call.path("id") };
    call.app.iam.policy_delete(call.caller()?, id).await?;
    super::done(&call)
}

fn answer(call: &Call, status: StatusCode, policy: &Policy, version: Version) -> Result<Response, Problem> {
    let body = shown(call, policy, version).ok_or_else(|| {
        let text = format!("The policy '{0}' says what /v1/policies cannot. Use /v2/policies/{0}.", policy.id);
        Problem::from(AccessError::NotFound { what: AccessSubject::Policy, text })
    })?;
    Ok(tagged(respond::json(status, &body), &policy.etag))
}

/// An answer about a revision of something.
pub(super) fn tagged(mut response: Response, etag: &str) -> Response {
    // A tag is a number and an ID, so it always is a header value.
    if let Ok(value) = HeaderValue::from_str(etag) {
        response.headers_mut().insert(header::ETAG, value);
    }
    response
}

/// A policy in the form of a version, if that can say it.
fn shown(call: &Call, policy: &Policy, version: Version) -> Option<Value> {
    let (form, path) = match version {
        Version::V1 => (named(&policy.document.to_v1()?), "v1"),
        Version::V2 => (json(&policy.document), "v2"),
    };
    let mut shown = form;
    shown["id"] = json!(policy.id);
    shown["href"] = json!(format!("{}/{path}/policies/{}", call.app.public_url, policy.id));
    shown["created_at"] = json!(super::date(policy.created_at));
    shown["created_by_id"] = json!(policy.created_by);
    shown["last_modified_at"] = json!(super::date(policy.modified_at));
    shown["last_modified_by_id"] = json!(policy.modified_by);
    shown["state"] = json!(policy.state());
    Some(shown)
}

/// With the names of the roles.
fn named(document: &V1Document) -> Value {
    let mut form = json(document);
    for role in form["roles"].as_array_mut().into_iter().flatten() {
        if let Some(known) = role["role_id"].as_str().and_then(system_role) {
            role["display_name"] = json!(known.name);
            role["description"] = json!(known.description);
        }
    }
    form
}

fn json(document: &impl Serialize) -> Value {
    serde_json::to_value(document).expect("documents have string keys and serialise")
}

/// A parameter of the query; clients send empty text where they mean nothing.
pub(super) fn asked(call: &Call, name: &str) -> Option<String> {
    call.query(name).filter(|value| !value.is_empty())
}

/// A parameter of the query that is a number.
pub(super) fn number(call: &Call, name: &str) -> Result<Option<i64>, Problem> {
    let wrong = || AccessError::Invalid(format!("The query parameter '{name}' is a whole number."));
    Ok(asked(call, name).map(|value| value.parse().map_err(|_| wrong())).transpose()?)
}

/// The table from refusals about policies, roles and access groups to status and code. Codes are the services' own where they are known.
impl From<AccessError> for Problem {
    fn from(error: AccessError) -> Self {
        let text = error.to_string();
        let new = |status, code| Problem::new(status, code, "", text.clone());
        match error {
            AccessError::Invalid(_) => new(StatusCode::BAD_REQUEST, "invalid_body"),
            AccessError::MissingQuery(_) => new(StatusCode::BAD_REQUEST, "missing_required_query_parameter"),
            AccessError::TooMany(_) => new(StatusCode::BAD_REQUEST, "request_not_processed"),
            AccessError::NotFound { what, .. } => new(StatusCode::NOT_FOUND, not_found(what)),
            AccessError::Conflict { what, id, etag, .. } => {
                let mut problem = new(StatusCode::CONFLICT, conflict(what));
                let name = if what == AccessSubject::Role { "role" } else { "policy" };
                problem.conflict = matches!(what, AccessSubject::Role | AccessSubject::Policy)
                    .then(|| Box::new(json!({ "conflicts_with": { "etag": etag, name: id } })));
                problem
            }
            // The two services differ in how they refuse a tag that is out of date.
            AccessError::Precondition { what: AccessSubject::Policy | AccessSubject::Role, etag } => {
                let mut problem = new(StatusCode::PRECONDITION_FAILED, "policy_conflict_error");
                problem.conflict = Some(Box::new(json!({ "conflicts_with": { "etag": etag } })));
                problem
            }
            AccessError::Precondition { .. } => new(StatusCode::CONFLICT, "conflict"),
            AccessError::Iam(Error::Forbidden { action }) => authenticate::missing_action("insufficient_permissions", &action),
            AccessError::Iam(Error::Store(boatyard_store::Error::Stale | boatyard_store::Error::Duplicate)) => {
                let text = "Somebody else changed it at the same time. Get it again, and repeat the change on what it is now.";
                Problem::new(StatusCode::CONFLICT, "conflict", "", text)
            }
            AccessError::Iam(error @ (Error::Store(_) | Error::Key(_) | Error::Interrupted(_))) => {
                Problem::internal(Form::Management, error)
            }
            AccessError::Iam(error) => error.into(),
        }
    }
}

fn not_found(what: AccessSubject) -> &'static str {
    match what {
        AccessSubject::Policy => "policy_not_found",
        AccessSubject::Role => "role_not_found",
        _ => "not_found",
    }
}

fn conflict(what: AccessSubject) -> &'static str {
    match what {
        AccessSubject::Policy => "policy_conflict_error",
        AccessSubject::Role => "role_conflict_error",
        _ => "conflict",
    }
}
