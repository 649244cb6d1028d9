//! Dedicated hosts and their pools.

use axum::response::Response;
use boatyard_api::containers::{
    CreateDedicatedHostPoolRequest, CreateDedicatedHostPoolResponse, CreateDedicatedHostRequest, CreateDedicatedHostResponse,
    DedicatedHost, DedicatedHostFlavor, DedicatedHostInstanceStorage, DedicatedHostLifecycle, DedicatedHostPool,
    DedicatedHostPoolWorkerPool, DedicatedHostResource, DedicatedHostResources, DedicatedHostWorker,
    DedicatedHostZoneResources, RemoveDedicatedHostPoolRequest, RemoveDedicatedHostRequest,
    UpdateDedicatedHostPlacementRequest,
};
use boatyard_api::ops::containers;
use boatyard_core::clock::containers_date;
use boatyard_fleet::dedicated_hosts::{HostError, HostPoolView, HostView, Resources};
use boatyard_fleet::{Error, Provider};
use http::StatusCode;

use crate::call::Call;
use crate::operations::Bindings;
use crate::problem::Problem;
use crate::respond;

const GIGABYTE: i64 = 1 << 30;

pub fn bind(bindings: Bindings) -> Bindings {
    bindings
        .bind(&containers::GetDedicatedHostFlavors, flavors_list)
        .bind(&containers::CreateDedicatedHostPool, pool_create)
        .bind(&containers::GetDedicatedHostPools, pools_list)
        .bind(&containers::GetDedicatedHostPool, pool_get)
        .bind(&containers::RemoveDedicatedHostPool, pool_remove)
        .bind(&containers::CreateDedicatedHost, host_create)
        .bind(&containers::GetDedicatedHosts, hosts_list)
        .bind(&containers::GetDedicatedHost, host_get)
        .bind(&containers::RemoveDedicatedHost, host_remove)
        .bind(&containers::EnableDedicatedHostPlacement, placement_enable)
        .bind(&containers::DisableDedicatedHostPlacement, placement_disable)
}

/// `GET /v2/getDedicatedHostFlavors`
async fn flavors_list(call: Call) -> Result<Response, Problem> {
    if call.provider().is_some_and(|provider| provider != "vpc" && provider != Provider::VpcGen2.as_str()) {
        return Err(Error::ProviderNotPermitted.into());
    }
    let zone = given(&call, "zone", "Specify a VPC 'zone', such as 'us-south-1'.")?;
    let (flavors, region) = call.app.fleet.dedicated_host_flavors(&zone)?;
    let shown: Vec<_> = flavors
        .iter()
        .map(|flavor| DedicatedHostFlavor {
            deprecated: Some(false),
            flavor_class: Some(flavor.flavor_class.clone()),
            id: Some(flavor.id.clone()),
            instance_storage: flavor
                .instance_storage
                .iter()
                .map(|disks| DedicatedHostInstanceStorage { count: Some(disks.count), size: Some(disks.size) })
                .collect(),
            max_memory: Some(flavor.memory),
            max_vcp_us: Some(flavor.vcpus),
            region: Some(region.to_owned()),
            zone: Some(zone.clone()),
        })
        .collect();
    Ok(respond::json(StatusCode::OK, &shown))
}

/// `POST /v2/createDedicatedHostPool`
async fn pool_create(call: Call) -> Result<Response, Problem> {
    let body: CreateDedicatedHostPoolRequest = call.json()?;
    let id = call.app.fleet.host_pool_create(call.caller()?, &body.name, &body.flavor_class, &body.metro).await?;
    Ok(respond::json(StatusCode::CREATED, &CreateDedicatedHostPoolResponse { id: Some(id) }))
}

/// `GET /v2/getDedicatedHostPools`
async fn pools_list(call: Call) -> Result<Response, Problem> {
    let pools = call.app.fleet.host_pools(call.caller()?).await?;
    let shown: Vec<_> = pools.into_iter().map(pool_shape).collect();
    Ok(respond::json(StatusCode::OK, &shown))
}

/// `GET /v2/getDedicatedHostPool`
async fn pool_get(call: Call) -> Result<Response, Problem> {
    let pool = call.app.fleet.host_pool(call.caller()?, &pool_named(&call)?).await?;
    Ok(respond::json(StatusCode::OK, &pool_shape(pool)))
}

/// `POST /v2/removeDedicatedHostPool`
async fn pool_remove(call: Call) -> Result<Response, Problem> {
    let body: RemoveDedicatedHostPoolRequest = call.json()?;
    call.app.fleet.host_pool_remove(call.caller()?, &body.host_pool).await?;
    Ok(respond::empty(StatusCode::OK))
}

/// `POST /v2/createDedicatedHost`
async fn host_create(call: Call) -> Result<Response, Problem> {
    let body: CreateDedicatedHostRequest = call.json()?;
    let id = call.app.fleet.host_create(call.caller()?, &body.host_pool_id, &body.flavor, &body.zone).await?;
    Ok(respond::json(StatusCode::CREATED, &CreateDedicatedHostResponse { id: Some(id) }))
}

/// `GET /v2/getDedicatedHosts`
async fn hosts_list(call: Call) -> Result<Response, Problem> {
    let hosts = call.app.fleet.hosts(call.caller()?, &pool_named(&call)?).await?;
    let shown: Vec<_> = hosts.into_iter().map(host_shape).collect();
    Ok(respond::json(StatusCode::OK, &shown))
}

/// `GET /v2/getDedicatedHost`
async fn host_get(call: Call) -> Result<Response, Problem> {
    let host = given(&call, "dedicatedhost", "Specify the ID of a 'dedicatedhost'.")?;
    let host = call.app.fleet.host(call.caller()?, &pool_named(&call)?, &host).await?;
    Ok(respond::json(StatusCode::OK, &host_shape(host)))
}

/// `POST /v2/removeDedicatedHost`
async fn host_remove(call: Call) -> Result<Response, Problem> {
    let body: RemoveDedicatedHostRequest = call.json()?;
    call.app.fleet.host_remove(call.caller()?, &body.host_pool, &body.host).await?;
    Ok(respond::empty(StatusCode::OK))
}

/// `POST /v2/enableDedicatedHostPlacement`
async fn placement_enable(call: Call) -> Result<Response, Problem> {
    placement_set(&call, true).await
}

/// `POST /v2/disableDedicatedHostPlacement`
async fn placement_disable(call: Call) -> Result<Response, Problem> {
    placement_set(&call, false).await
}

async fn placement_set(call: &Call, enabled: bool) -> Result<Response, Problem> {
    let body: UpdateDedicatedHostPlacementRequest = call.json()?;
    call.app.fleet.host_placement_set(call.caller()?, &body.host_pool_id, &body.host_id, enabled).await?;
    Ok(respond::empty(StatusCode::OK))
}

fn given(call: &Call, name: &str, missing: &str) -> Result<String, Problem> {
    let value = call.query(name).filter(|value| !value.is_empty());
    value.ok_or_else(|| Error::Missing(missing.to_owned()).into())
}

fn pool_named(call: &Call) -> Result<String, Problem> {
    given(call, "dedicatedhostpool", "Specify the ID of a 'dedicatedhostpool'.")
}

fn resource(resources: Resources) -> DedicatedHostResource {
    DedicatedHostResource { memory_bytes: Some(resources.memory * GIGABYTE), vcpu: Some(resources.vcpus) }
}

fn pool_shape(pool: HostPoolView) -> DedicatedHostPool {
    let count = |hosts: usize| i64::try_from(hosts).unwrap_or(i64::MAX);
    let worker_pool = |(cluster, id)| DedicatedHostPoolWorkerPool { cluster_id: Some(cluster), worker_pool_id: Some(id) };
    DedicatedHostPool {
        flavor_class: Some(pool.flavor_class),
        host_count: Some(count(pool.zones.values().map(|(hosts, _)| hosts).sum())),
        id: Some(pool.id),
        metro: Some(pool.metro),
        name: Some(pool.name),
        state: Some(pool.state.to_owned()),
        worker_pools: pool.worker_pools.into_iter().map(worker_pool).collect(),
        zones: pool
            .zones
            .into_iter()
            .map(|(zone, (hosts, capacity))| DedicatedHostZoneResources {
                capacity: Some(resource(capacity)),
                host_count: Some(count(hosts)),
                zone: Some(zone),
            })
            .collect(),
    }
}

fn host_shape(host: HostView) -> DedicatedHost {
    let since = Some(containers_date(host.since));
    let message = match host.state {
        "create_pending" => "Creation requested",
        "creating" => "Creation in progress",
        "deleting" => "Deletion in progress",
        "deleted" => "Deleted",
        _ => "Ready",
    };
    DedicatedHost {
        flavor: Some(host.flavor),
        id: Some(host.id),
        lifecycle: Some(DedicatedHostLifecycle {
            actual_state: Some(host.state.to_owned()),
            desired_state: Some(host.desired.to_owned()),
            message: Some(message.to_owned()),
            message_date: since,
            ..DedicatedHostLifecycle::default()
        }),
        placement_enabled: Some(host.placement_enabled),
        resources: Some(DedicatedHostResources {
            capacity: Some(resource(host.capacity)),
            consumed: Some(resource(host.consumed)),
        }),
        workers: host
            .workers
            .into_iter()
            .map(|worker| DedicatedHostWorker {
                cluster_id: Some(worker.cluster_id),
                flavor: Some(worker.flavor),
                worker_id: Some(worker.id),
                worker_pool_id: Some(worker.pool_id),
            })
            .collect(),
        zone: Some(host.zone),
    }
}

/// The table from refusals to status, code, kind and hint.
impl From<HostError> for Problem {
    fn from(error: HostError) -> Self {
        let text = error.to_string();
        let new = |status, code| Problem::new(status, code, "DedicatedHost", text.clone());
        let (bad, missing, conflict) = (StatusCode::BAD_REQUEST, StatusCode::NOT_FOUND, StatusCode::CONFLICT);
        match error {
            HostError::PoolNotFound => {
                new(missing, "E0f40").recovery("To list dedicated host pools, run 'boatyard ks dedicated pool ls'.")
            }
            HostError::HostNotFound => {
                new(missing, "E0f41").recovery("To list dedicated hosts, run 'boatyard ks dedicated host ls --pool <pool>'.")
            }
            HostError::NameTaken(_) => {
                new(conflict, "E0f42").recovery("To list dedicated host pools, run 'boatyard ks dedicated pool ls'.")
            }
            HostError::Name(_) => new(bad, "E0011"),
            HostError::Metro { metros, .. } => new(bad, "E0f43").recovery(format!("Metros: {}.", metros.join(", "))),
            HostError::Class { classes, .. } => new(bad, "E0f44").recovery(format!("Flavor classes: {}.", classes.join(", "))),
            HostError::Flavor { flavors, .. } => {
                new(bad, "E0f44").recovery(format!("Flavors for this pool: {}.", flavors.join(", ")))
            }
            HostError::ClassMismatch { .. } => new(bad, "E0f44")
                .recovery("To list flavors, run 'boatyard ks dedicated flavors --zone <zone> --provider vpc-gen2'."),
            HostError::OutsideMetro { .. } => new(bad, "E0f45"),
            HostError::PoolNotCreated(_) => {
                new(conflict, "E0f46").recovery("To see its state, run 'boatyard ks dedicated pool get --pool <pool>'.")
            }
            HostError::PoolHasHosts(_) => {
                new(conflict, "E0f47").recovery("To list its hosts, run 'boatyard ks dedicated host ls --pool <pool>'.")
            }
            HostError::PoolHasWorkerPools(_) => new(conflict, "E0f47"),
            HostError::PlacementEnabled => new(conflict, "E0f48")
                .recovery("To disable it, run 'boatyard ks dedicated host placement disable --pool <pool> --host <host>'."),
            HostError::HostHasWorkers(_) => new(conflict, "E0f49")
                .recovery("To see them, run 'boatyard ks dedicated host get --pool <pool> --host <host>'."),
        }
    }
}
