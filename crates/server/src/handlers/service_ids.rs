//! Service IDs and their groups: `/v1/serviceids`, `/v1/serviceid_groups`.

use axum::response::Response;
use boatyard_api::iam_identity::{
    CreateServiceIdGroupRequest, CreateServiceIdRequest, ServiceId, ServiceIdGroup, ServiceIdGroupList, ServiceIdList,
    UpdateServiceIdGroupRequest,
};
use boatyard_api::ops::iam_identity as ops;
use boatyard_core::secret::SecretString;
use boatyard_iam::api_keys::NewApiKey;
use boatyard_iam::service_ids::{NewServiceId, ServiceIdChange};
use boatyard_iam::{StoredServiceId, StoredServiceIdGroup, entity_tag};
use http::StatusCode;
use serde::Deserialize;

use super::manage::{crn, date, flag, links, listing, some, tagged};
use super::{api_keys, done};
use crate::call::Call;
use crate::operations::Bindings;
use crate::problem::Problem;
use crate::respond;
use crate::respond::private;

/// The operations of this file.
pub fn bind(bindings: Bindings) -> Bindings {
    bindings
        .bind(&ops::ListServiceIds, list)
        .bind(&ops::CreateServiceID, create)
        .bind(&ops::GetServiceID, get)
        .bind(&ops::UpdateServiceID, update)
        .bind(&ops::DeleteServiceID, delete)
        .bind(&ops::LockServiceID, |call| lock(call, true))
        .bind(&ops::UnlockServiceID, |call| lock(call, false))
        .bind(&ops::ListServiceIDGroup, groups_list)
        .bind(&ops::CreateServiceIDGroup, group_create)
        .bind(&ops::GetServiceIDGroup, group_get)
        .bind(&ops::UpdateServiceIDGroup, group_update)
        .bind(&ops::DeleteServiceIDGroup, group_delete)
}

async fn list(call: Call) -> Result<Response, Problem> {
    let page = call.app.iam.service_ids_list(call.caller()?, &listing(&call)?).await?;
    let links = links(&call, &page);
    let body = ServiceIdList {
        context: None,
        first: links.first,
        limit: Some(page.limit),
        next: links.next,
        offset: Some(page.offset),
        previous: links.previous,
        serviceids: page.items.iter().map(|service_id| shape(&call, service_id)).collect(),
    };
    Ok(respond::json(StatusCode::OK, &body))
}

async fn create(call: Call) -> Result<Response, Problem> {
    let body: CreateServiceIdRequest = call.json()?;
    let apikey = body.apikey.map(|key| NewApiKey {
        name: key.name,
        description: key.description,
        value: key.apikey.filter(|value| !value.is_empty()).map(SecretString::from),
        store_value: key.store_value.unwrap_or(false),
        action_when_leaked: key.action_when_leaked.filter(|action| !action.is_empty()),
        expires_at: key.expires_at,
        ..NewApiKey::default()
    });
    let new = NewServiceId {
        account_id: body.account_id,
        name: body.name,
        description: body.description,
        group_id: body.group_id,
        unique_instance_crns: body.unique_instance_crns,
        apikey,
        locked: flag(&call, "Entity-Lock")?,
    };
    let (service_id, key) = call.app.iam.service_id_create(call.caller()?, new).await?;
    let mut shown = shape(&call, &service_id);
    shown.apikey = key.map(|key| api_keys::shape(&key.key, Some(&key.value)));
    Ok(private(tagged(StatusCode::CREATED, &shown, &shown.entity_tag)))
}

async fn get(call: Call) -> Result<Response, Problem> {
    let found = call.app.iam.service_id_get(call.caller()?, call.path("id")).await?;
    answer(&call, &found)
}

async fn update(call: Call) -> Result<Response, Problem> {
    /// An empty list means something else than none, which the generated type does not tell apart.
    #[derive(Deserialize)]
    struct Change {
        name: Option<String>,
        description: Option<String>,
        unique_instance_crns: Option<Vec<String>>,
    }
    let body: Change = call.json()?;
    let change =
        ServiceIdChange { name: body.name, description: body.description, unique_instance_crns: body.unique_instance_crns };
    let changed = call.app.iam.service_id_update(call.caller()?, call.path("id"), call.header("If-Match"), change).await?;
    answer(&call, &changed)
}

async fn delete(call: Call) -> Result<Response, Problem> {
    call.app.iam.service_id_delete(call.caller()?, call.path("id")).await?;
    done(&call)
}

async fn lock(call: Call, locked: bool) -> Result<Response, Problem> {
    call.app.iam.service_id_lock(call.caller()?, call.path("id"), locked).await?;
    done(&call)
}

fn answer(call: &Call, service_id: &StoredServiceId) -> Result<Response, Problem> {
    let shown = shape(call, service_id);
    Ok(tagged(StatusCode::OK, &shown, &shown.entity_tag))
}

fn shape(call: &Call, service_id: &StoredServiceId) -> ServiceId {
    ServiceId {
        account_id: service_id.account_id.clone(),
        activity: None,
        apikey: None,
        context: None,
        created_at: date(service_id.created_at),
        crn: crn(&service_id.account_id, "serviceid", &service_id.id),
        description: some(&service_id.description),
        entity_tag: entity_tag(service_id.revision, &service_id.id),
        group_id: service_id.group_id.clone().filter(|_| call.query_flag("show_group_id")),
        history: Vec::new(),
        iam_id: service_id.iam_id.clone(),
        id: service_id.id.clone(),
        locked: service_id.locked,
        modified_at: date(service_id.modified_at),
        name: service_id.name.clone(),
        unique_instance_crns: service_id.unique_instance_crns.clone(),
    }
}

async fn groups_list(call: Call) -> Result<Response, Problem> {
    let account_id = call.query("account_id");
    let groups = call.app.iam.service_id_groups_list(call.caller()?, account_id.as_deref()).await?;
    Ok(respond::json(StatusCode::OK, &ServiceIdGroupList { serviceid_groups: groups.iter().map(group_shape).collect() }))
}

async fn group_create(call: Call) -> Result<Response, Problem> {
    let body: CreateServiceIdGroupRequest = call.json()?;
    let iam = &call.app.iam;
    let made = iam.service_id_group_create(call.caller()?, &body.account_id, &body.name, body.description.as_deref()).await?;
    Ok(tagged(StatusCode::CREATED, &group_shape(&made), &entity_tag(made.revision, &made.id)))
}

async fn group_get(call: Call) -> Result<Response, Problem> {
    group_answer(&call.app.iam.service_id_group_get(call.caller()?, call.path("id")).await?)
}

async fn group_update(call: Call) -> Result<Response, Problem> {
    let body: UpdateServiceIdGroupRequest = call.json()?;
    let (iam, id, tag) = (&call.app.iam, call.path("id"), call.header("If-Match"));
    let changed = iam.service_id_group_update(call.caller()?, id, tag, &body.name, body.description.as_deref()).await?;
    group_answer(&changed)
}

async fn group_delete(call: Call) -> Result<Response, Problem> {
    call.app.iam.service_id_group_delete(call.caller()?, call.path("id")).await?;
    done(&call)
}

fn group_answer(group: &StoredServiceIdGroup) -> Result<Response, Problem> {
    Ok(tagged(StatusCode::OK, &group_shape(group), &entity_tag(group.revision, &group.id)))
}

fn group_shape(group: &StoredServiceIdGroup) -> ServiceIdGroup {
    ServiceIdGroup {
        account_id: group.account_id.clone(),
        created_at: Some(date(group.created_at)),
        created_by: group.created_by.clone(),
        crn: crn(&group.account_id, "serviceid-group", &group.id),
        description: some(&group.description),
        entity_tag: Some(entity_tag(group.revision, &group.id)),
        id: group.id.clone(),
        modified_at: Some(date(group.modified_at)),
        name: group.name.clone(),
    }
}
