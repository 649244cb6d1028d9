//! Roles: `/v2/roles`.

use axum::response::Response;
use boatyard_api::iam_policy_management::{CreateRoleRequest, CustomRole, ReplaceRoleRequest, Role, RoleCollection};
use boatyard_api::ops::iam_policy_management as ops;
use boatyard_iam::roles::{self, NewRole, RoleChange, RoleQuery, ServiceRole};
use http::StatusCode;

use super::policies::{asked, tagged};
use crate::call::Call;
use crate::operations::Bindings;
use crate::problem::Problem;
use crate::respond;

/// Binds the operations on roles.
#[must_use]
pub fn bind(bindings: Bindings) -> Bindings {
    bindings
        .bind(&ops::ListRoles, roles_list)
        .bind(&ops::CreateRole, role_create)
        .bind(&ops::GetRole, role_get)
        .bind(&ops::ReplaceRole, role_replace)
        .bind(&ops::DeleteRole, role_delete)
}

/// `GET /v2/roles`
pub async fn roles_list(call: Call) -> Result<Response, Problem> {
    let query = RoleQuery {
        account_id: asked(&call, "account_id"),
        service_name: asked(&call, "service_name"),
        service_group_id: asked(&call, "service_group_id"),
        policy_type: asked(&call, "policy_type"),
    };
    let list = call.app.iam.roles_list(call.caller()?, &query).await?;
    let body = RoleCollection {
        custom_roles: list.custom.into_iter().map(|role| shown(&call, role)).collect(),
        service_roles: list.service.into_iter().map(known).collect(),
        system_roles: list.system.into_iter().map(known).collect(),
    };
    Ok(respond::json(StatusCode::OK, &body))
}

fn known(found: ServiceRole) -> Role {
    Role {
        display_name: found.role.name.clone(),
        description: Some(found.role.description.clone()),
        actions: found.actions.into_iter().map(str::to_owned).collect(),
        crn: Some(found.role.crn.clone()),
    }
}

fn shown(call: &Call, role: roles::CustomRole) -> CustomRole {
    CustomRole {
        crn: Some(roles::custom_role_crn(&role)),
        href: Some(format!("{}/v2/roles/{}", call.app.public_url, role.id)),
        id: Some(role.id),
        display_name: role.display_name,
        description: Some(role.description),
        actions: role.actions,
        name: role.name,
        account_id: role.account_id,
        service_name: role.service_name,
        created_at: Some(super::date(role.created_at)),
        created_by_id: Some(role.created_by),
        last_modified_at: Some(super::date(role.modified_at)),
        last_modified_by_id: Some(role.modified_by),
    }
}

fn answer(call: &Call, status: StatusCode, role: roles::CustomRole) -> Result<Response, Problem> {
    let etag = roles::role_etag(&role);
    Ok(tagged(respond::json(status, &shown(call, role)), &etag))
}

/// `POST /v2/roles`
pub async fn role_create(call: Call) -> Result<Response, Problem> {
    let CreateRoleRequest { display_name, actions, name, account_id, service_name, description } = call.json()?;
    let change = RoleChange { display_name, description: description.unwrap_or_default(), actions };
    let role = call.app.iam.role_create(call.caller()?, NewRole { account_id, name, service_name, change }).await?;
    answer(&call, StatusCode::CREATED, role)
}

/// `GET /v2/roles/{role_id}`
pub async fn role_get(call: Call) -> Result<Response, Problem> {
    let role = call.app.iam.role_get(call.caller()?, call.path("role_id")).await?;
    answer(&call, StatusCode::OK, role)
}

/// `PUT /v2/roles/{role_id}`
pub async fn role_replace(call: Call) -> Result<Response, Problem> {
    let ReplaceRoleRequest { display_name, actions, description } = call.json()?;
    let change = RoleChange { display_name, description: description.unwrap_or_default(), actions };
    let role = call.app.iam.role_replace(call.caller()?, call.path("role_id"), call.header("if-match"), change).await?;
    answer(&call, StatusCode::OK, role)
}

/// `DELETE /v2/roles/{role_id}`
pub async fn role_delete(call: Call) -> Result<Response, Problem> {
    call.app.iam.role_delete(call.caller()?, call.path("role_id")).await?;
    super::done(&call)
}
