//! Masters: their version, their API server, and from where they are reached.

use axum::response::Response;
use boatyard_api::containers::{
    AutoUpdateMasterRequest, HandleMasterApiServerRequest, UpdateClusterRequest, V2DisablePrivateServiceEndpointRequest,
    V2UpdateMasterRequest, VpcRefreshMasterRequest,
};
use boatyard_api::ops::containers;
use boatyard_fleet::{Endpoint, Error};

use super::{done, given, target};
use crate::call::Call;
use crate::operations::Bindings;
use crate::problem::Problem;

pub fn bind(bindings: Bindings) -> Bindings {
    bindings
        .bind(&containers::UpdateCluster, cluster_update)
        .bind(&containers::HandleMasterAPIServer, v1_master_refresh)
        .bind(&containers::V2UpdateMaster, master_update)
        .bind(&containers::VpcRefreshMaster, v2_master_refresh)
        .bind(&containers::AutoUpdateMaster, master_auto_update_set)
        .bind(&containers::V2EnablePublicServiceEndpoint, |call| endpoint_set(call, Endpoint::Public, true))
        .bind(&containers::V2DisablePublicServiceEndpoint, |call| endpoint_set(call, Endpoint::Public, false))
        .bind(&containers::V2EnablePrivateServiceEndpoint, |call| endpoint_set(call, Endpoint::Private, true))
        .bind(&containers::V2DisablePrivateServiceEndpoint, |call| endpoint_set(call, Endpoint::Private, false))
}

/// `PUT /v1/clusters/{idOrName}`, for clusters of all providers.
async fn cluster_update(call: Call) -> Result<Response, Problem> {
    let body: UpdateClusterRequest = call.json()?;
    let (fleet, target) = (&call.app.fleet, target(&call, call.path("idOrName"))?);
    match given(&body.action) {
        "update" => fleet.master_update(target, given(&body.version)).await?,
        "enablePublicServiceEndpoint" => fleet.endpoint_set(target, Endpoint::Public, true).await?,
        "disablePublicServiceEndpoint" => fleet.endpoint_set(target, Endpoint::Public, false).await?,
        "enablePrivateServiceEndpoint" => fleet.endpoint_set(target, Endpoint::Private, true).await?,
        "disablePrivateServiceEndpoint" => fleet.endpoint_set(target, Endpoint::Private, false).await?,
        other => {
            let text = format!(
                "The action '{other}' is not known. The accepted values are 'update', 'enablePublicServiceEndpoint', \
                 'disablePublicServiceEndpoint', 'enablePrivateServiceEndpoint' and 'disablePrivateServiceEndpoint'."
            );
            return Err(Error::Invalid(text).into());
        }
    }
    done(&call)
}

/// `PUT /v1/clusters/{idOrName}/masters`
async fn v1_master_refresh(call: Call) -> Result<Response, Problem> {
    let body: HandleMasterApiServerRequest = call.json()?;
    if given(&body.action) != "refresh" {
        let text = format!("The action '{}' is not known. The accepted value is 'refresh'.", given(&body.action));
        return Err(Error::Invalid(text).into());
    }
    call.app.fleet.master_refresh(target(&call, call.path("idOrName"))?).await?;
    done(&call)
}

/// `POST /v2/updateMaster`
async fn master_update(call: Call) -> Result<Response, Problem> {
    let body: V2UpdateMasterRequest = call.json()?;
    call.app.fleet.master_update(target(&call, given(&body.cluster))?, given(&body.version)).await?;
    done(&call)
}

/// `POST /v2/refreshMaster`
async fn v2_master_refresh(call: Call) -> Result<Response, Problem> {
    let body: VpcRefreshMasterRequest = call.json()?;
    call.app.fleet.master_refresh(target(&call, given(&body.cluster))?).await?;
    done(&call)
}

/// `POST /v2/autoUpdateMaster`
async fn master_auto_update_set(call: Call) -> Result<Response, Problem> {
    let body: AutoUpdateMasterRequest = call.json()?;
    let target = target(&call, given(&body.cluster))?;
    let on = body.auto_update.ok_or_else(|| Error::Missing("Specify in 'autoUpdate' true or false.".to_owned()))?;
    call.app.fleet.master_auto_update_set(target, on).await?;
    done(&call)
}

/// `POST /v2/enablePublicServiceEndpoint` and the three like it, whose bodies are alike.
async fn endpoint_set(call: Call, endpoint: Endpoint, on: bool) -> Result<Response, Problem> {
    let body: V2DisablePrivateServiceEndpointRequest = call.json()?;
    call.app.fleet.endpoint_set(target(&call, given(&body.cluster))?, endpoint, on).await?;
    done(&call)
}
