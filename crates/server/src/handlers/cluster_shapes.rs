//! Clusters as each version of the API shows them.
//!
//! v1 is flat and classic. v2 is nested, and shows networks of the cluster's own provider only: subnets and CIDRs for VPC, VLANs
//! for classic. A v2 list leaves out what takes long to find; a v1 list shows everything.

use boatyard_api::containers::{
    Cluster as V1Cluster, CommonClusterAddon, CommonClusterFeatures, CommonClusterIngress, CommonClusterLifecycle,
    CommonClusterServiceEndpoint, GetClusterResponse, GetClustersResponse, Vlan, VlanConfigField, VlanProperties,
};
use boatyard_core::clock::{containers_date, from_ms};
use boatyard_fleet::{Cluster, Provider};

/// Where the API server of a cluster is reached.
#[must_use]
pub fn master_url(public_url: &str, cluster_id: &str) -> String {
    format!("{public_url}{}/{cluster_id}", crate::kube::PATH)
}

/// One item of a v2 list: the subset.
#[must_use]
pub fn v2_item(cluster: &Cluster, public_url: &str) -> GetClustersResponse {
    GetClustersResponse {
        addons: addons(cluster),
        created_date: text(&containers_date(cluster.created_at)),
        datacenter: text(&cluster.spec.datacenter),
        entitlement: text(cluster.spec.entitlement.as_deref().unwrap_or_default()),
        id: text(&cluster.id),
        image_security_enabled: Some(cluster.spec.image_security),
        ingress: Some(ingress(cluster)),
        is_paid: Some(true),
        location: text(location(cluster)),
        master_kube_version: text(&master_version(cluster)),
        master_url: text(&public_master_url(cluster, public_url)),
        multi_az_capable: Some(true),
        name: text(&cluster.name),
        pod_subnet: text(&cluster.spec.pod_subnet),
        provider: text(cluster.provider.as_str()),
        region: text(&cluster.region),
        resource_group: text(&cluster.resource_group_id),
        resource_group_name: text(&cluster.resource_group_name),
        service_subnet: text(&cluster.spec.service_subnet),
        state: text(&cluster.state),
        status: text(&cluster.state),
        target_version: text(&cluster.spec.version),
        type_: text(kind(cluster)),
        version_eos: text(&cluster.spec.version_eos),
        worker_count: Some(cluster.worker_count),
        ..GetClustersResponse::default()
    }
}

/// The v2 answer for one cluster.
#[must_use]
pub fn v2_cluster(cluster: &Cluster, public_url: &str) -> GetClusterResponse {
    let item = v2_item(cluster, public_url);
    let vpc = cluster.provider == Provider::VpcGen2;
    GetClusterResponse {
        addons: item.addons,
        created_date: item.created_date,
        crn: text(&cluster.crn()),
        datacenter: item.datacenter,
        disable_auto_update: Some(cluster.spec.disable_auto_update),
        disable_outbound_traffic_protection: vpc.then_some(cluster.spec.disable_outbound_traffic_protection),
        entitlement: item.entitlement,
        features: Some(CommonClusterFeatures { key_protect_enabled: Some(false), pull_secret_applied: Some(true) }),
        id: item.id,
        image_security_enabled: item.image_security_enabled,
        ingress: item.ingress,
        is_paid: item.is_paid,
        lifecycle: Some(lifecycle(cluster)),
        location: item.location,
        master_kube_version: item.master_kube_version,
        master_url: item.master_url,
        multi_az_capable: item.multi_az_capable,
        name: item.name,
        network_plugin: cluster.spec.network_plugin.clone(),
        offering: text(kind(cluster)),
        pod_subnet: item.pod_subnet,
        provider: item.provider,
        region: item.region,
        resource_group: item.resource_group,
        resource_group_name: item.resource_group_name,
        service_endpoints: Some(endpoints(cluster, public_url)),
        service_subnet: item.service_subnet,
        state: item.state,
        status: item.status,
        target_version: item.target_version,
        type_: item.type_,
        version_eos: item.version_eos,
        virtual_private_endpoint_url: if vpc { text(&master_url(public_url, &cluster.id)) } else { None },
        vlans: vlans(cluster),
        // Absent rather than empty: clients take the first without looking.
        vpcs: cluster.spec.vpc_ids.clone(),
        worker_count: item.worker_count,
        worker_vlans: worker_vlans(cluster),
        worker_zones: cluster.zones().into_iter().map(str::to_owned).collect(),
        ..GetClusterResponse::default()
    }
}

/// The union of the v2 answer and the v1 names, for `v1-compatible`: two kinds of clients decode this one call.
#[must_use]
pub fn v1_compatible(cluster: &Cluster, public_url: &str) -> GetClusterResponse {
    let flat = v1_cluster(cluster, public_url);
    GetClusterResponse {
        api_user: flat.api_user,
        data_center: flat.data_center,
        ingress_hostname: flat.ingress_hostname,
        ingress_secret_name: flat.ingress_secret_name,
        key_protect_enabled: flat.key_protect_enabled,
        master_health: flat.master_health,
        master_state: flat.master_state,
        master_status: flat.master_status,
        master_status_modified_date: flat.master_status_modified_date,
        modified_date: flat.modified_date,
        owner_email: flat.owner_email,
        private_service_endpoint_enabled: flat.private_service_endpoint_enabled,
        private_service_endpoint_url: flat.private_service_endpoint_url,
        public_service_endpoint_enabled: flat.public_service_endpoint_enabled,
        public_service_endpoint_url: flat.public_service_endpoint_url,
        pull_secret_applied: flat.pull_secret_applied,
        server_url: flat.server_url,
        ..v2_cluster(cluster, public_url)
    }
}

/// The v1 answer, alike in lists and for one cluster.
#[must_use]
pub fn v1_cluster(cluster: &Cluster, public_url: &str) -> V1Cluster {
    let v2 = v2_cluster(cluster, public_url);
    let lifecycle = lifecycle(cluster);
    let ingress = ingress(cluster);
    let endpoints = endpoints(cluster, public_url);
    V1Cluster {
        api_user: text(&cluster.spec.owner_email),
        created_date: v2.created_date,
        crn: v2.crn,
        data_center: v2.datacenter,
        disable_auto_update: v2.disable_auto_update,
        id: v2.id,
        image_security_enabled: v2.image_security_enabled,
        ingress_hostname: ingress.hostname,
        ingress_secret_name: ingress.secret_name,
        is_paid: v2.is_paid,
        key_protect_enabled: Some(false),
        location: v2.location,
        master_health: lifecycle.master_health,
        master_kube_version: v2.master_kube_version,
        master_state: lifecycle.master_state,
        master_status: lifecycle.master_status,
        master_status_modified_date: lifecycle.master_status_modified_date,
        modified_date: lifecycle.modified_date,
        multi_az_capable: v2.multi_az_capable,
        name: v2.name,
        owner_email: text(&cluster.spec.owner_email),
        pod_subnet: v2.pod_subnet,
        private_service_endpoint_enabled: endpoints.private_service_endpoint_enabled,
        private_service_endpoint_url: endpoints.private_service_endpoint_url,
        provider: v2.provider,
        public_service_endpoint_enabled: endpoints.public_service_endpoint_enabled,
        public_service_endpoint_url: endpoints.public_service_endpoint_url,
        pull_secret_applied: Some(true),
        region: v2.region,
        resource_group: v2.resource_group,
        resource_group_name: v2.resource_group_name,
        // Empty for VPC; clients then take masterURL.
        server_url: Some(if cluster.provider == Provider::Classic {
            master_url(public_url, &cluster.id)
        } else {
            String::new()
        }),
        service_subnet: v2.service_subnet,
        state: v2.state,
        status: v2.status,
        target_version: v2.target_version,
        type_: v2.type_,
        version_eos: v2.version_eos,
        vlans: v2.vlans,
        worker_count: v2.worker_count,
        worker_vlans: v2.worker_vlans,
        worker_zones: v2.worker_zones,
        ..V1Cluster::default()
    }
}

/// Text, or absence for none: empty members are left out of answers.
pub(super) fn text(value: &str) -> Option<String> {
    (!value.is_empty()).then(|| value.to_owned())
}

/// The version that the master runs, or will run first.
pub(super) fn running_version(cluster: &Cluster) -> &str {
    let status = &cluster.status.version;
    if status.is_empty() { &cluster.spec.version } else { status }
}

/// The master's version, and while it is updated the one that it gets.
fn master_version(cluster: &Cluster) -> String {
    let updating = cluster.status.master_work == "update";
    let running = running_version(cluster);
    pending(running, if updating { &cluster.spec.version } else { running })
}

/// A version on its way to another one. Clients wait for `(pending)` to vanish.
pub(super) fn pending(actual: &str, desired: &str) -> String {
    if actual == desired { actual.to_owned() } else { format!("{actual} --> {desired} (pending)") }
}

fn kind(cluster: &Cluster) -> &'static str {
    if cluster.spec.openshift { "openshift" } else { "kubernetes" }
}

/// City of the cluster's first zone; clusters of older servers were stored without it.
fn location(cluster: &Cluster) -> &str {
    if cluster.spec.location.is_empty() { &cluster.region } else { &cluster.spec.location }
}

fn public_master_url(cluster: &Cluster, public_url: &str) -> String {
    // A new master has no address before it is deployed.
    if cluster.status.master_ready_at.is_some() { master_url(public_url, &cluster.id) } else { String::new() }
}

fn addons(cluster: &Cluster) -> Vec<CommonClusterAddon> {
    let addons = cluster.spec.addons.iter();
    addons.map(|addon| CommonClusterAddon { name: text(&addon.name), version: text(&addon.version) }).collect()
}

fn ingress(cluster: &Cluster) -> CommonClusterIngress {
    // Present even while empty: clients wait for them to be set.
    CommonClusterIngress {
        hostname: Some(cluster.status.ingress_hostname.clone()),
        secret_name: Some(cluster.status.ingress_secret.clone()),
        ..CommonClusterIngress::default()
    }
}

fn lifecycle(cluster: &Cluster) -> CommonClusterLifecycle {
    CommonClusterLifecycle {
        master_health: text(if cluster.status.master_failure.is_empty() { "normal" } else { "error" }),
        master_state: text(&cluster.status.master_state),
        master_status: text(&cluster.status.master_status),
        master_status_modified_date: text(&containers_date(from_ms(cluster.status.master_status_since))),
        modified_date: text(&containers_date(cluster.modified_at)),
    }
}

fn endpoints(cluster: &Cluster, public_url: &str) -> CommonClusterServiceEndpoint {
    let url = public_master_url(cluster, public_url);
    let when = |enabled: bool| if enabled { url.clone() } else { String::new() };
    CommonClusterServiceEndpoint {
        private_service_endpoint_enabled: Some(cluster.spec.private_endpoint),
        private_service_endpoint_url: Some(when(cluster.spec.private_endpoint)),
        public_service_endpoint_enabled: Some(cluster.spec.public_endpoint),
        public_service_endpoint_url: Some(when(cluster.spec.public_endpoint)),
    }
}

/// VLANs of a classic cluster's pools; none for VPC.
fn vlan_ids(cluster: &Cluster) -> Vec<(&str, &'static str, &str)> {
    let zones = cluster.pools.iter().flat_map(|pool| &pool.spec.zones);
    let mut ids: Vec<_> = zones
        .flat_map(|zone| {
            let private = zone.private_vlan.as_deref().map(|id| (id, "private", zone.id.as_str()));
            let public = zone.public_vlan.as_deref().map(|id| (id, "public", zone.id.as_str()));
            [private, public]
        })
        .flatten()
        .collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}

fn vlans(cluster: &Cluster) -> Vec<VlanConfigField> {
    let ids = vlan_ids(cluster).into_iter();
    ids.map(|(id, _, zone)| VlanConfigField {
        id: text(id),
        region: text(&cluster.region),
        subnets: Vec::new(),
        zone: text(zone),
    })
    .collect()
}

fn worker_vlans(cluster: &Cluster) -> Vec<Vlan> {
    let ids = vlan_ids(cluster).into_iter();
    ids.map(|(id, kind, zone)| Vlan {
        id: text(id),
        properties: Some(VlanProperties { location: text(zone), ..VlanProperties::default() }),
        type_: text(kind),
    })
    .collect()
}
