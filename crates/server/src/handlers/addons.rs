//! Managed add-ons of clusters.

use axum::response::Response;
use boatyard_api::containers::{AddonOptionsTemplate, AddonResponse, ClusterAddon, ManageClusterAddonsRequest};
use boatyard_api::ops::containers;
use boatyard_fleet::addons::{AddonAction, AddonError, AddonRequest, AddonView};
use http::StatusCode;

use crate::call::Call;
use crate::operations::Bindings;
use crate::problem::Problem;
use crate::respond;

pub fn bind(bindings: Bindings) -> Bindings {
    bindings
        .bind(&containers::GetClusterAddons, v1_addons_list)
        .bind(&containers::V2GetClusterAddons, v2_addons_list)
        .bind(&containers::ManageClusterAddons, addons_manage)
}

/// `GET /v1/clusters/{idOrName}/addons`
async fn v1_addons_list(call: Call) -> Result<Response, Problem> {
    list(&call, call.path("idOrName")).await
}

/// `GET /v2/getClusterAddons`
async fn v2_addons_list(call: Call) -> Result<Response, Problem> {
    list(&call, &super::cluster_named(&call)?).await
}

async fn list(call: &Call, cluster: &str) -> Result<Response, Problem> {
    let addons = call.app.fleet.addons(call.caller()?, cluster, call.resource_group()).await?;
    let shown: Vec<_> = addons.into_iter().map(shape).collect();
    Ok(respond::json(StatusCode::OK, &shown))
}

/// `PATCH /v1/clusters/{idOrName}/addons`
async fn addons_manage(call: Call) -> Result<Response, Problem> {
    let body: ManageClusterAddonsRequest = call.json()?;
    let action = match (body.update, body.enable) {
        (Some(true), _) => AddonAction::Update,
        (_, Some(true)) => AddonAction::Enable,
        _ => AddonAction::Disable,
    };
    let requests: Vec<_> = body
        .addons
        .into_iter()
        .map(|addon| AddonRequest { name: addon.name, version: addon.version, options: addon.options })
        .collect();
    let (caller, cluster) = (call.caller()?, call.path("idOrName"));
    call.app.fleet.addons_change(caller, cluster, call.resource_group(), action, &requests).await?;
    // Clients decode the answer, so there has to be one.
    Ok(respond::json(StatusCode::OK, &AddonResponse::default()))
}

fn shape(addon: AddonView) -> ClusterAddon {
    let template = addon.template.map(|content| AddonOptionsTemplate { content: Some(content), immutable: Some(false) });
    ClusterAddon {
        allowed_upgrade_versions: addon.upgrades,
        deprecated: Some(false),
        health_state: Some(addon.health_state.to_owned()),
        health_status: Some(addon.health_status),
        install_options_template: template,
        min_kube_version: addon.least_kubernetes,
        min_ocp_version: addon.least_openshift,
        name: addon.name,
        options: addon.options,
        supported_kube_range: addon.kubernetes_range,
        supported_ocp_range: addon.openshift_range,
        target_version: Some(addon.target_version),
        version: Some(addon.version),
        vlan_spanning_required: Some(false),
    }
}

/// The table from refusals to status, code, kind and hint.
impl From<AddonError> for Problem {
    fn from(error: AddonError) -> Self {
        let text = error.to_string();
        let new = |status, code| Problem::new(status, code, "Addon", text.clone());
        match error {
            AddonError::Unknown { offered, .. } => {
                new(StatusCode::NOT_FOUND, "E0f30").recovery(format!("Add-ons for this cluster: {}.", offered.join(", ")))
            }
            AddonError::Unsupported { offered, .. } => {
                new(StatusCode::BAD_REQUEST, "E0f31").recovery(format!("Add-ons for this cluster: {}.", offered.join(", ")))
            }
            AddonError::Version { offered, .. } => {
                new(StatusCode::BAD_REQUEST, "E0f31").recovery(format!("Versions for this cluster: {}.", offered.join(", ")))
            }
            AddonError::Provider { .. } => new(StatusCode::BAD_REQUEST, "E0f31"),
            AddonError::Options { .. } => new(StatusCode::BAD_REQUEST, "E0011"),
            AddonError::NotEnabled(_) => new(StatusCode::NOT_FOUND, "E0f32")
                .recovery("To list the add-ons of a cluster, run 'boatyard ks cluster addon ls --cluster <cluster>'."),
            AddonError::Enabled(name) => new(StatusCode::CONFLICT, "E0f33").recovery(format!(
                "To change its version, run 'boatyard ks cluster addon update {name} --cluster <cluster> --version <version>'."
            )),
            AddonError::Current { .. } => new(StatusCode::CONFLICT, "E0f34"),
            AddonError::Older { name, .. } => new(StatusCode::BAD_REQUEST, "E0f35")
                .recovery(format!("Disable '{name}', then enable it in the version that you want.")),
        }
    }
}
