//! Worker pools as each version of the API shows them.

use boatyard_api::containers::{
    GetWorkerPoolResponse, GetWorkerPoolResponseLifecycle, WorkerPoolResponse, WorkerPoolSecondaryStorage,
    WorkerPoolZoneResponse, WorkerPoolZoneSubnet, WorkerVolumeEncryption,
};
use boatyard_fleet::{ClusterWorkers, Pool, PoolZone, Provider};

use super::cluster_shapes::text;

/// A pool exists, or it cannot be read.
const ACTIVE: &str = "active";

#[must_use]
pub fn v1_pool(of: &ClusterWorkers, pool: &Pool) -> WorkerPoolResponse {
    let spec = &pool.spec;
    WorkerPoolResponse {
        autoscale_enabled: Some(false),
        disk_encryption: Some(spec.disk_encryption),
        entitlement: spec.entitlement.clone(),
        id: text(&pool.id),
        is_balanced: Some(is_balanced(of, pool)),
        isolation: text(&spec.isolation),
        labels: spec.labels.clone().into_iter().collect(),
        machine_type: text(&spec.flavor),
        name: text(&pool.name),
        operating_system: text(&spec.operating_system),
        region: text(&of.cluster.region),
        size_per_zone: Some(count(spec.size_per_zone)),
        state: text(ACTIVE),
        taints: spec.taints.clone().into_iter().collect(),
        zones: zones(of, pool),
        ..WorkerPoolResponse::default()
    }
}

#[must_use]
pub fn v2_pool(of: &ClusterWorkers, pool: &Pool) -> GetWorkerPoolResponse {
    let spec = &pool.spec;
    let encryption = spec.kms_instance_id.is_some().then(|| WorkerVolumeEncryption {
        kms_account_id: spec.kms_account_id.clone(),
        kms_instance_id: spec.kms_instance_id.clone(),
        worker_volume_crkid: spec.kms_key_id.clone(),
    });
    GetWorkerPoolResponse {
        autoscale_enabled: Some(false),
        dedicated_host_pool_id: spec.host_pool_id.clone(),
        disk_encryption: Some(spec.disk_encryption),
        flavor: text(&spec.flavor),
        id: text(&pool.id),
        is_balanced: Some(is_balanced(of, pool)),
        isolation: text(&spec.isolation),
        labels: spec.labels.clone().into_iter().collect(),
        lifecycle: Some(GetWorkerPoolResponseLifecycle { actual_state: text(ACTIVE), desired_state: text(ACTIVE) }),
        openshift_license: spec.entitlement.clone(),
        operating_system: text(&spec.operating_system),
        pool_name: text(&pool.name),
        provider: text(of.cluster.provider.as_str()),
        secondary_storage_option: spec
            .secondary_storage
            .as_deref()
            .filter(|name| !name.is_empty())
            .map(|name| WorkerPoolSecondaryStorage { name: text(name) }),
        security_group_i_ds: spec.security_group_ids.clone(),
        taints: spec.taints.clone().into_iter().collect(),
        vpc_id: spec.vpc_id.clone(),
        worker_count: Some(count(spec.size_per_zone)),
        worker_volume_encryption: encryption,
        zones: zones(of, pool),
        ..GetWorkerPoolResponse::default()
    }
}

fn zones(of: &ClusterWorkers, pool: &Pool) -> Vec<WorkerPoolZoneResponse> {
    pool.spec.zones.iter().map(|place| zone(of, pool, place)).collect()
}

fn zone(of: &ClusterWorkers, pool: &Pool, zone: &PoolZone) -> WorkerPoolZoneResponse {
    let subnet = zone.subnet_id.as_deref().filter(|_| of.cluster.provider == Provider::VpcGen2);
    WorkerPoolZoneResponse {
        autobalance_enabled: Some(false),
        id: text(&zone.id),
        private_vlan: zone.private_vlan.clone(),
        public_vlan: zone.public_vlan.clone(),
        subnets: subnet.map(|id| WorkerPoolZoneSubnet { id: text(id), primary: Some(true) }).into_iter().collect(),
        worker_count: Some(count(workers_in(of, pool, zone))),
        ..WorkerPoolZoneResponse::default()
    }
}

fn is_balanced(of: &ClusterWorkers, pool: &Pool) -> bool {
    pool.spec.zones.iter().all(|zone| workers_in(of, pool, zone) == pool.spec.size_per_zone)
}

/// How many workers of a pool are in a zone to stay.
fn workers_in(of: &ClusterWorkers, pool: &Pool, zone: &PoolZone) -> usize {
    let workers = of.workers.iter().filter(|worker| worker.pool_id == pool.id && worker.zone == zone.id);
    workers.filter(|worker| worker.stays()).count()
}

fn count(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
