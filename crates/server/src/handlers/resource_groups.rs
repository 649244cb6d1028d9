//! Resource groups: `/v2/resource_groups`.

use axum::response::Response;
use boatyard_api::resource_manager::{ResourceGroup, ResourceGroupList};
use http::StatusCode;

use crate::call::Call;
use crate::problem::Problem;
use crate::respond;

/// `GET /v2/resource_groups`: the groups of the token's account.
pub async fn resource_groups_list(call: Call) -> Result<Response, Problem> {
    let own = call.caller()?.account_id.as_deref().unwrap_or_default();
    let asked = call.query("account_id").filter(|id| !id.is_empty());
    let groups = match asked.as_deref() {
        // Another account is as if it had none.
        Some(other) if other != own => std::sync::Arc::default(),
        _ => call.app.iam.resource_groups(own).await?,
    };
    let name = call.query("name").filter(|name| !name.is_empty());
    let default_only = call.query_flag("default");
    let shown = groups
        .iter()
        .filter(|group| name.as_deref().is_none_or(|name| name == group.name) && (group.is_default || !default_only))
        .map(|group| ResourceGroup {
            id: Some(group.id.clone()),
            crn: Some(format!(
                "crn:v1:bluemix:public:resource-controller::a/{}::resource-group:{}",
                group.account_id, group.id
            )),
            account_id: Some(group.account_id.clone()),
            name: Some(group.name.clone()),
            state: Some("ACTIVE".to_owned()),
            default: Some(group.is_default),
            ..ResourceGroup::default()
        });
    Ok(respond::json(StatusCode::OK, &ResourceGroupList { resources: shown.collect() }))
}
