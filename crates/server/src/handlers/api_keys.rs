//! API keys: `/v1/apikeys`.

use axum::response::Response;
use boatyard_api::iam_identity::{ApiKey, ApiKeyList, CreateApiKeyRequest, UpdateApiKeyRequest};
use boatyard_api::ops::iam_identity as ops;
use boatyard_core::secret::{ExposeSecret as _, SecretString};
use boatyard_iam::api_keys::{ApiKeyChange, ApiKeySwitch, NewApiKey};
use boatyard_iam::{StoredApiKey, entity_tag};
use http::StatusCode;

use super::done;
use super::manage::{crn, date, flag, links, listing, some, tagged};
use crate::call::Call;
use crate::operations::Bindings;
use crate::problem::Problem;
use crate::respond::{self, private};

/// The operations of this file.
pub fn bind(bindings: Bindings) -> Bindings {
    bindings
        .bind(&ops::ListAPIKeys, list)
        .bind(&ops::CreateAPIKey, create)
        .bind(&ops::GetAPIKeysDetails, details)
        .bind(&ops::GetAPIKey, get)
        .bind(&ops::UpdateAPIKey, update)
        .bind(&ops::DeleteAPIKey, delete)
        .bind(&ops::LockAPIKey, |call| switch(call, ApiKeySwitch::Lock))
        .bind(&ops::UnlockAPIKey, |call| switch(call, ApiKeySwitch::Unlock))
        .bind(&ops::DisableAPIKey, |call| switch(call, ApiKeySwitch::Disable))
        .bind(&ops::EnableAPIKey, |call| switch(call, ApiKeySwitch::Enable))
}

async fn list(call: Call) -> Result<Response, Problem> {
    let page = call.app.iam.api_keys_list(call.caller()?, &listing(&call)?).await?;
    let links = links(&call, &page);
    let body = ApiKeyList {
        apikeys: page.items.iter().map(|key| shape(key, None)).collect(),
        context: None,
        first: links.first,
        limit: Some(page.limit),
        next: links.next,
        offset: Some(page.offset),
        previous: links.previous,
    };
    Ok(respond::json(StatusCode::OK, &body))
}

async fn create(call: Call) -> Result<Response, Problem> {
    let body: CreateApiKeyRequest = call.json()?;
    let new = NewApiKey {
        name: body.name,
        iam_id: body.iam_id,
        description: body.description,
        account_id: body.account_id,
        value: body.apikey.filter(|value| !value.is_empty()).map(SecretString::from),
        store_value: body.store_value.unwrap_or(false),
        support_sessions: body.support_sessions,
        action_when_leaked: body.action_when_leaked.filter(|action| !action.is_empty()),
        expires_at: body.expires_at,
        locked: flag(&call, "Entity-Lock")?,
        disabled: flag(&call, "Entity-Disable")?,
    };
    let created = call.app.iam.api_key_create(call.caller()?, new).await?;
    let shown = shape(&created.key, Some(&created.value));
    Ok(private(tagged(StatusCode::CREATED, &shown, &tag(&created.key))))
}

async fn details(call: Call) -> Result<Response, Problem> {
    let value = call.header("IAM-ApiKey").map(SecretString::from);
    answer(&call.app.iam.api_key_by_value(call.caller()?, value.as_ref()).await?)
}

async fn get(call: Call) -> Result<Response, Problem> {
    let (key, value) = call.app.iam.api_key_get(call.caller()?, call.path("id")).await?;
    Ok(private(tagged(StatusCode::OK, &shape(&key, value.as_ref()), &tag(&key))))
}

async fn update(call: Call) -> Result<Response, Problem> {
    let body: UpdateApiKeyRequest = call.json()?;
    let change = ApiKeyChange {
        name: body.name,
        description: body.description,
        support_sessions: body.support_sessions,
        action_when_leaked: body.action_when_leaked,
        expires_at: body.expires_at,
    };
    answer(&call.app.iam.api_key_update(call.caller()?, call.path("id"), call.header("If-Match"), change).await?)
}

async fn delete(call: Call) -> Result<Response, Problem> {
    call.app.iam.api_key_delete(call.caller()?, call.path("id")).await?;
    done(&call)
}

async fn switch(call: Call, switch: ApiKeySwitch) -> Result<Response, Problem> {
    call.app.iam.api_key_switch(call.caller()?, call.path("id"), switch).await?;
    done(&call)
}

fn answer(key: &StoredApiKey) -> Result<Response, Problem> {
    Ok(tagged(StatusCode::OK, &shape(key, None), &tag(key)))
}

fn tag(key: &StoredApiKey) -> String {
    entity_tag(key.revision, &key.id)
}

/// A key as clients see it; `value` only when it was just made, or was to be kept.
pub(super) fn shape(key: &StoredApiKey, value: Option<&SecretString>) -> ApiKey {
    ApiKey {
        account_id: key.account_id.clone(),
        action_when_leaked: Some(key.action_when_leaked.clone()),
        activity: None,
        // Clients take the member for granted.
        apikey: value.map(|value| value.expose_secret().to_owned()).unwrap_or_default(),
        context: None,
        created_at: Some(date(key.created_at)),
        created_by: key.created_by.clone(),
        crn: crn(&key.account_id, "apikey", &key.id),
        description: some(&key.description),
        disabled: Some(key.disabled),
        entity_tag: Some(tag(key)),
        expires_at: key.expires_at.map(date),
        history: Vec::new(),
        iam_id: key.iam_id.clone(),
        id: key.id.clone(),
        locked: key.locked,
        modified_at: Some(date(key.modified_at)),
        name: key.name.clone(),
        support_sessions: Some(key.support_sessions),
    }
}
