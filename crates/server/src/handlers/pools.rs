//! Worker pools, v1 and v2.

use std::collections::{BTreeMap, HashMap};

use axum::response::Response;
use boatyard_api::containers::{
    AddWorkerPoolZoneNetworkRequest, AddWorkerPoolZoneRequest, CreateWorkerPoolRequest, CreateWorkerpoolResponse,
    PatchWorkerPoolRequest, RebalanceWorkerPoolRequest, RemoveWorkerPool1Request, RemoveWorkerPoolZone1Request,
    SetWorkerPoolOperatingSystemRequest, V2ResizeWorkerPoolRequest, V2SetWorkerPoolLabelsRequest, V2SetWorkerPoolTaintsRequest,
    VpcCreateWorkerPoolRequest, VpcCreateWorkerPoolZoneRequest,
};
use boatyard_api::ops::containers;
use boatyard_fleet::{ClassicPoolRequest, Error, Provider, VpcPoolRequest, WorkerFilter, ZoneRequest};
use http::StatusCode;

use super::pool_shapes::{v1_pool, v2_pool};
use super::{done, given, of_provider, target};
use crate::call::Call;
use crate::operations::Bindings;
use crate::problem::Problem;
use crate::respond;

pub fn bind(bindings: Bindings) -> Bindings {
    bindings
        .bind(&containers::GetWorkerPools, v1_pools_list)
        .bind(&containers::CreateWorkerPool, classic_pool_create)
        .bind(&containers::GetWorkerPool1, v1_pool_get)
        .bind(&containers::RemoveWorkerPool, v1_pool_remove)
        .bind(&containers::PatchWorkerPool, pool_patch)
        .bind(&containers::AddWorkerPoolZone, v1_zone_add)
        .bind(&containers::RemoveWorkerPoolZone, v1_zone_remove)
        .bind(&containers::AddWorkerPoolZoneNetwork, zone_network_set)
        .bind(&containers::GetWorkerPool, |call| v2_pool_get(call, None))
        .bind(&containers::VpcGetWorkerPool, |call| v2_pool_get(call, Some(Provider::VpcGen2)))
        .bind(&containers::ClassicGetWorkerPool, |call| v2_pool_get(call, Some(Provider::Classic)))
        .bind(&containers::GetWorkerPools1, |call| v2_pools_list(call, None))
        .bind(&containers::VpcGetWorkerPools, |call| v2_pools_list(call, Some(Provider::VpcGen2)))
        .bind(&containers::ClassicGetWorkerPools, |call| v2_pools_list(call, Some(Provider::Classic)))
        .bind(&containers::VpcCreateWorkerPool, vpc_pool_create)
        .bind(&containers::VpcCreateWorkerPoolZone, vpc_zone_add)
        .bind(&containers::RemoveWorkerPool1, v2_pool_remove)
        .bind(&containers::RemoveWorkerPoolZone1, v2_zone_remove)
        .bind(&containers::V2ResizeWorkerPool, pool_resize)
        .bind(&containers::RebalanceWorkerPool, pool_rebalance)
        .bind(&containers::V2SetWorkerPoolLabels, pool_labels_set)
        .bind(&containers::V2SetWorkerPoolTaints, pool_taints_set)
        .bind(&containers::V2SetWorkerPoolOperatingSystem, pool_operating_system_set)
}

/// `GET /v1/clusters/{idOrName}/workerpools`
async fn v1_pools_list(call: Call) -> Result<Response, Problem> {
    let all = call.app.fleet.workers(target(&call, call.path("idOrName"))?, WorkerFilter::default()).await?;
    let shown: Vec<_> = all.cluster.pools.iter().map(|pool| v1_pool(&all, pool)).collect();
    Ok(respond::json(StatusCode::OK, &shown))
}

/// `GET /v1/clusters/{idOrName}/workerpools/{poolidOrName}`
async fn v1_pool_get(call: Call) -> Result<Response, Problem> {
    v1_answer(&call, StatusCode::OK, call.path("poolidOrName")).await
}

async fn v1_answer(call: &Call, status: StatusCode, pool: &str) -> Result<Response, Problem> {
    let (all, pool) = call.app.fleet.pool(target(call, call.path("idOrName"))?, pool).await?;
    Ok(respond::json(status, &v1_pool(&all, &pool)))
}

/// `POST /v1/clusters/{idOrName}/workerpools`
async fn classic_pool_create(call: Call) -> Result<Response, Problem> {
    let body: CreateWorkerPoolRequest = call.json()?;
    let zones = body.zones.unwrap_or_default().into_iter();
    let request = ClassicPoolRequest {
        name: body.name.unwrap_or_default(),
        machine_type: body.machine_type.unwrap_or_default(),
        isolation: body.isolation,
        disk_encryption: body.disk_encryption,
        operating_system: body.operating_system,
        size_per_zone: body.size_per_zone,
        labels: sorted(body.labels),
        entitlement: body.entitlement,
        zones: zones
            .map(|zone| ZoneRequest {
                id: zone.id.unwrap_or_default(),
                private_vlan: zone.private_vlan,
                public_vlan: zone.public_vlan,
                ..ZoneRequest::default()
            })
            .collect(),
    };
    let id = call.app.fleet.classic_pool_create(target(&call, call.path("idOrName"))?, &request).await?;
    v1_answer(&call, StatusCode::CREATED, &id).await
}

/// `DELETE /v1/clusters/{idOrName}/workerpools/{poolidOrName}`
async fn v1_pool_remove(call: Call) -> Result<Response, Problem> {
    call.app.fleet.pool_remove(target(&call, call.path("idOrName"))?, call.path("poolidOrName")).await?;
    done(&call)
}

/// `PATCH /v1/clusters/{idOrName}/workerpools/{poolidOrName}`: clients always send all members, so only the one that `state` names
/// counts.
async fn pool_patch(call: Call) -> Result<Response, Problem> {
    let body: PatchWorkerPoolRequest = call.json()?;
    let (fleet, target, pool) = (&call.app.fleet, target(&call, call.path("idOrName"))?, call.path("poolidOrName"));
    match given(&body.state) {
        "resizing" => {
            let size = needed(body.size_per_zone, "sizePerZone")?;
            fleet.pool_resize(target, pool, size, body.allow_single_open_shift_worker.unwrap_or(false)).await?;
        }
        "labels" => fleet.pool_labels_set(target, pool, sorted(body.labels)).await?,
        "rebalancing" => fleet.pool_rebalance(target, pool).await?,
        other => {
            let text =
                format!("The state '{other}' is not known. The accepted values are 'resizing', 'labels' and 'rebalancing'.");
            return Err(Error::Invalid(text).into());
        }
    }
    done(&call)
}

/// `POST /v1/clusters/{idOrName}/workerpools/{poolidOrName}/zones`
async fn v1_zone_add(call: Call) -> Result<Response, Problem> {
    let body: AddWorkerPoolZoneRequest = call.json()?;
    let zone = ZoneRequest {
        id: body.id.unwrap_or_default(),
        subnet_id: body.subnet_id,
        private_vlan: body.private_vlan,
        public_vlan: body.public_vlan,
    };
    call.app.fleet.pool_zone_add(target(&call, call.path("idOrName"))?, call.path("poolidOrName"), &zone).await?;
    done(&call)
}

/// `DELETE /v1/clusters/{idOrName}/workerpools/{poolidOrName}/zones/{zoneid}`
async fn v1_zone_remove(call: Call) -> Result<Response, Problem> {
    let target = target(&call, call.path("idOrName"))?;
    call.app.fleet.pool_zone_remove(target, call.path("poolidOrName"), call.path("zoneid")).await?;
    done(&call)
}

/// `PATCH /v1/clusters/{idOrName}/workerpools/{poolidOrName}/zones/{zoneid}`
async fn zone_network_set(call: Call) -> Result<Response, Problem> {
    let body: AddWorkerPoolZoneNetworkRequest = call.json()?;
    let zone = ZoneRequest {
        id: call.path("zoneid").to_owned(),
        private_vlan: body.private_vlan,
        public_vlan: body.public_vlan,
        ..ZoneRequest::default()
    };
    call.app.fleet.pool_zone_network_set(target(&call, call.path("idOrName"))?, call.path("poolidOrName"), &zone).await?;
    done(&call)
}

/// `GET /v2/getWorkerPool`, `/v2/vpc/getWorkerPool`, `/v2/classic/getWorkerPool`
async fn v2_pool_get(call: Call, provider: Option<Provider>) -> Result<Response, Problem> {
    let (cluster, pool) = (call.query("cluster").unwrap_or_default(), call.query("workerpool").unwrap_or_default());
    let (all, pool) = call.app.fleet.pool(target(&call, &cluster)?, &pool).await?;
    of_provider(&all.cluster, provider)?;
    Ok(respond::json(StatusCode::OK, &v2_pool(&all, &pool)))
}

/// `GET /v2/getWorkerPools`, `/v2/vpc/getWorkerPools`, `/v2/classic/getWorkerPools`
async fn v2_pools_list(call: Call, provider: Option<Provider>) -> Result<Response, Problem> {
    let cluster = call.query("cluster").unwrap_or_default();
    let all = call.app.fleet.workers(target(&call, &cluster)?, WorkerFilter::default()).await?;
    of_provider(&all.cluster, provider)?;
    let shown: Vec<_> = all.cluster.pools.iter().map(|pool| v2_pool(&all, pool)).collect();
    Ok(respond::json(StatusCode::OK, &shown))
}

/// `POST /v2/vpc/createWorkerPool`
async fn vpc_pool_create(call: Call) -> Result<Response, Problem> {
    let body: VpcCreateWorkerPoolRequest = call.json()?;
    let target = target(&call, given(&body.cluster))?;
    // Older clients send the encryption keys flat, newer ones nested.
    let nested = body.worker_volume_encryption.unwrap_or_default();
    let zones = body.zones.unwrap_or_default().into_iter();
    let request = VpcPoolRequest {
        name: body.name,
        flavor: body.flavor.unwrap_or_default(),
        isolation: body.isolation,
        disk_encryption: body.disk_encryption,
        operating_system: body.operating_system,
        size_per_zone: body.worker_count,
        labels: sorted(body.labels),
        vpc_id: body.vpc_id.unwrap_or_default(),
        zones: zones.map(|zone| (zone.id.unwrap_or_default(), zone.subnet_id.unwrap_or_default())).collect(),
        entitlement: body.entitlement,
        host_pool_id: body.host_pool.filter(|id| !id.is_empty()),
        secondary_storage: body.secondary_storage_option,
        security_group_ids: body.security_group_i_ds.unwrap_or_default(),
        kms_instance_id: nested.kms_instance_id.or(body.kms_instance_id).filter(|id| !id.is_empty()),
        kms_key_id: nested.worker_volume_crkid.or(body.worker_volume_crkid).filter(|id| !id.is_empty()),
        kms_account_id: nested.kms_account_id.filter(|id| !id.is_empty()),
    };
    let id = call.app.fleet.vpc_pool_create(target, &request).await?;
    Ok(respond::json(StatusCode::CREATED, &CreateWorkerpoolResponse { worker_pool_id: Some(id) }))
}

/// `POST /v2/vpc/createWorkerPoolZone`
async fn vpc_zone_add(call: Call) -> Result<Response, Problem> {
    let body: VpcCreateWorkerPoolZoneRequest = call.json()?;
    let target = target(&call, given(&body.cluster))?;
    of_provider(&call.app.fleet.cluster(target.caller, target.cluster, target.group).await?, Some(Provider::VpcGen2))?;
    let pool = body.worker_pool_id.or(body.workerpool).unwrap_or_default();
    let zone = ZoneRequest { id: body.id.unwrap_or_default(), subnet_id: body.subnet_id, ..ZoneRequest::default() };
    call.app.fleet.pool_zone_add(target, &pool, &zone).await?;
    done(&call)
}

/// `POST /v2/removeWorkerPool`
async fn v2_pool_remove(call: Call) -> Result<Response, Problem> {
    let body: RemoveWorkerPool1Request = call.json()?;
    call.app.fleet.pool_remove(target(&call, given(&body.cluster))?, given(&body.workerpool)).await?;
    done(&call)
}

/// `POST /v2/removeWorkerPoolZone`
async fn v2_zone_remove(call: Call) -> Result<Response, Problem> {
    let body: RemoveWorkerPoolZone1Request = call.json()?;
    let target = target(&call, given(&body.cluster))?;
    call.app.fleet.pool_zone_remove(target, given(&body.workerpool), given(&body.zone)).await?;
    done(&call)
}

/// `POST /v2/resizeWorkerPool`
async fn pool_resize(call: Call) -> Result<Response, Problem> {
    let body: V2ResizeWorkerPoolRequest = call.json()?;
    let (target, size) = (target(&call, given(&body.cluster))?, needed(body.size, "size")?);
    let single = body.allow_single_open_shift_worker.unwrap_or(false);
    call.app.fleet.pool_resize(target, given(&body.workerpool), size, single).await?;
    done(&call)
}

/// `POST /v2/rebalanceWorkerPool`
async fn pool_rebalance(call: Call) -> Result<Response, Problem> {
    let body: RebalanceWorkerPoolRequest = call.json()?;
    call.app.fleet.pool_rebalance(target(&call, given(&body.cluster))?, given(&body.workerpool)).await?;
    done(&call)
}

/// `POST /v2/setWorkerPoolLabels`
async fn pool_labels_set(call: Call) -> Result<Response, Problem> {
    let body: V2SetWorkerPoolLabelsRequest = call.json()?;
    let target = target(&call, given(&body.cluster))?;
    call.app.fleet.pool_labels_set(target, given(&body.workerpool), sorted(body.labels)).await?;
    done(&call)
}

/// `POST /v2/setWorkerPoolTaints`
async fn pool_taints_set(call: Call) -> Result<Response, Problem> {
    let body: V2SetWorkerPoolTaintsRequest = call.json()?;
    let target = target(&call, given(&body.cluster))?;
    call.app.fleet.pool_taints_set(target, given(&body.workerpool), sorted(body.taints)).await?;
    done(&call)
}

/// `POST /v2/setWorkerPoolOperatingSystem`
async fn pool_operating_system_set(call: Call) -> Result<Response, Problem> {
    let body: SetWorkerPoolOperatingSystemRequest = call.json()?;
    let target = target(&call, given(&body.cluster))?;
    call.app.fleet.pool_operating_system_set(target, given(&body.worker_pool), given(&body.operating_system)).await?;
    done(&call)
}

fn sorted(map: Option<HashMap<String, String>>) -> BTreeMap<String, String> {
    map.unwrap_or_default().into_iter().collect()
}

fn needed(number: Option<i64>, member: &str) -> Result<i64, Error> {
    number.ok_or_else(|| Error::Missing(format!("Specify the '{member}': the number of worker nodes in each zone.")))
}
