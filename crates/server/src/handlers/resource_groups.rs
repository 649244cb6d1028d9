//! Resource groups and quotas: `/v2/resource_groups`, `/v2/quota_definitions`.

use axum::response::Response;
use boatyard_api::ops::resource_manager;
use boatyard_api::resource_manager::{
    CreateResourceGroupRequest, QuotaDefinition, QuotaDefinitionList, ResCreateResourceGroup, ResourceGroup, ResourceGroupList,
    UpdateResourceGroupRequest,
};
use boatyard_core::clock::{from_ms, rfc3339_ms};
use boatyard_iam::{GroupError, QUOTA, Quota};
use http::StatusCode;

use super::{done, given};
use crate::call::Call;
use crate::operations::Bindings;
use crate::problem::Problem;
use crate::respond;

pub fn bind(bindings: Bindings) -> Bindings {
    bindings
        .bind(&resource_manager::ListResourceGroups, resource_groups_list)
        .bind(&resource_manager::CreateResourceGroup, resource_group_create)
        .bind(&resource_manager::GetResourceGroup, resource_group_get)
        .bind(&resource_manager::UpdateResourceGroup, resource_group_update)
        .bind(&resource_manager::DeleteResourceGroup, resource_group_delete)
        .bind(&resource_manager::ListQuotaDefinitions, quotas_list)
        .bind(&resource_manager::GetQuotaDefinition, quota_get)
}

async fn resource_groups_list(call: Call) -> Result<Response, Problem> {
    let caller = call.caller()?;
    let asked = call.query("account_id").filter(|id| !id.is_empty());
    let groups = match asked {
        // Another account is as if it had none.
        Some(other) if caller.account_id.as_ref() != Some(&other) => Vec::new(),
        _ if caller.account_id.is_none() => Vec::new(),
        _ => call.app.iam.resource_groups_list(caller).await?,
    };
    let name = call.query("name").filter(|name| !name.is_empty());
    let default_only = call.query_flag("default");
    let shown = groups
        .into_iter()
        .filter(|group| name.as_deref().is_none_or(|name| name == group.name) && (group.is_default || !default_only));
    Ok(respond::json(StatusCode::OK, &ResourceGroupList { resources: shown.map(shape).collect() }))
}

async fn resource_group_create(call: Call) -> Result<Response, Problem> {
    let CreateResourceGroupRequest { name, account_id } = call.json()?;
    let group = call.app.iam.resource_group_create(call.caller()?, given(&account_id), given(&name)).await?;
    let body = ResCreateResourceGroup { crn: Some(crn(&group)), id: Some(group.id) };
    Ok(respond::json(StatusCode::CREATED, &body))
}

async fn resource_group_get(call: Call) -> Result<Response, Problem> {
    let group = call.app.iam.resource_group_get(call.caller()?, call.path("id")).await?;
    Ok(respond::json(StatusCode::OK, &shape(group)))
}

async fn resource_group_update(call: Call) -> Result<Response, Problem> {
    let UpdateResourceGroupRequest { name, state } = call.json()?;
    let (state, id, iam) = (given(&state), call.path("id"), &call.app.iam);
    if !state.is_empty() && state != "ACTIVE" {
        let text = "Resource groups cannot be suspended: the one 'state' is 'ACTIVE'.".to_owned();
        return Err(GroupError::Invalid(text).into());
    }
    let group = match given(&name) {
        "" if state.is_empty() => {
            return Err(GroupError::Invalid("Give the new name of the resource group as 'name'.".to_owned()).into());
        }
        "" => iam.resource_group_get(call.caller()?, id).await?,
        name => iam.resource_group_rename(call.caller()?, id, name).await?,
    };
    Ok(respond::json(StatusCode::OK, &shape(group)))
}

async fn resource_group_delete(call: Call) -> Result<Response, Problem> {
    call.app.iam.resource_group_delete(call.caller()?, call.path("id")).await?;
    done(&call)
}

async fn quotas_list(_: Call) -> Result<Response, Problem> {
    Ok(respond::json(StatusCode::OK, &QuotaDefinitionList { resources: vec![quota(QUOTA)] }))
}

async fn quota_get(call: Call) -> Result<Response, Problem> {
    match call.path("id") {
        id if id == QUOTA.id => Ok(respond::json(StatusCode::OK, &quota(QUOTA))),
        other => Err(GroupError::QuotaNotFound(other.chars().take(60).collect()).into()),
    }
}

fn quota(quota: Quota) -> QuotaDefinition {
    QuotaDefinition {
        id: Some(quota.id.to_owned()),
        name: Some(quota.name.to_owned()),
        type_: Some(quota.kind.to_owned()),
        ..QuotaDefinition::default()
    }
}

fn crn(group: &boatyard_iam::ResourceGroup) -> String {
    format!("crn:v1:bluemix:public:resource-controller::a/{}::resource-group:{}", group.account_id, group.id)
}

fn shape(group: boatyard_iam::ResourceGroup) -> ResourceGroup {
    let at = |ms: i64| (ms > 0).then(|| rfc3339_ms(from_ms(ms)));
    ResourceGroup {
        crn: Some(crn(&group)),
        id: Some(group.id),
        account_id: Some(group.account_id),
        name: Some(group.name),
        state: Some("ACTIVE".to_owned()),
        default: Some(group.is_default),
        quota_id: Some(QUOTA.id.to_owned()),
        quota_url: Some(format!("/v2/quota_definitions/{}", QUOTA.id)),
        created_at: at(group.created_at),
        updated_at: at(group.updated_at),
        ..ResourceGroup::default()
    }
}

impl From<GroupError> for Problem {
    fn from(error: GroupError) -> Self {
        let (status, code) = match error {
            GroupError::Iam(error) => return error.into(),
            GroupError::Invalid(_) => (StatusCode::BAD_REQUEST, "invalid_request"),
            GroupError::IsDefault => (StatusCode::BAD_REQUEST, "default_group"),
            GroupError::NotFound(_) | GroupError::AccountNotFound(_) | GroupError::QuotaNotFound(_) => {
                (StatusCode::NOT_FOUND, "not_found")
            }
            GroupError::NameTaken(_) | GroupError::NotEmpty(_) => (StatusCode::CONFLICT, "conflict"),
        };
        Problem::new(status, code, "General", error.to_string())
    }
}
