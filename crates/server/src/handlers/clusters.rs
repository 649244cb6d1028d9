//! Clusters of the container service, v1 and v2.

use axum::response::Response;
use boatyard_api::containers::{
    ClusterCreateResponse, CreateClusterRequest, CreateClusterResponse, GetClustersResponse, VpcCreateClusterRequest,
    VpcCreateClusterWorkerPool,
};
use boatyard_fleet::catalog::nearest;
use boatyard_fleet::{ClassicClusterRequest, Cluster, Error, Group, ListFilter, Provider, VpcClusterRequest, VpcPoolRequest};
use http::StatusCode;

use super::classic_subnets;
use super::cluster_shapes::{v1_cluster, v1_compatible, v2_cluster, v2_item};
use crate::call::Call;
use crate::problem::{Form, Problem};
use crate::respond;

/// `POST /v2/vpc/createCluster`
pub async fn vpc_cluster_create(call: Call) -> Result<Response, Problem> {
    let body: VpcCreateClusterRequest = call.json()?;
    let group = resource_group(&call).await?;
    let id = call.app.fleet.vpc_cluster_create(call.caller()?, &group, &vpc_request(body)).await?;
    Ok(respond::json(StatusCode::CREATED, &CreateClusterResponse { cluster_id: Some(id), ..CreateClusterResponse::default() }))
}

/// `POST /v1/clusters`
pub async fn classic_cluster_create(call: Call) -> Result<Response, Problem> {
    let body: CreateClusterRequest = call.json()?;
    let group = resource_group(&call).await?;
    let id = call.app.fleet.classic_cluster_create(call.caller()?, &group, &classic_request(body)).await?;
    Ok(respond::json(StatusCode::CREATED, &ClusterCreateResponse { id: Some(id), ..ClusterCreateResponse::default() }))
}

/// `GET /v1/clusters`: classic clusters, each as [`v1_cluster_get`] shows it.
pub async fn v1_clusters_list(call: Call) -> Result<Response, Problem> {
    let filter = filter(&call, Some(Provider::Classic))?;
    let clusters = call.app.fleet.clusters(call.caller()?).await?;
    let admitted: Vec<_> = clusters.iter().filter(|c| filter.admits(c)).collect();
    let mut shown: Vec<_> = admitted.iter().map(|c| v1_cluster(c, &call.app.public_url)).collect();
    let resources = classic_subnets::resources(&call, &admitted).await?;
    for (cluster, vlans) in shown.iter_mut().zip(resources.into_iter().flatten()) {
        cluster.vlans = vlans;
    }
    Ok(respond::json(StatusCode::OK, &shown))
}

/// `GET /v1/clusters/{idOrName}`
pub async fn v1_cluster_get(call: Call) -> Result<Response, Problem> {
    let cluster = call.app.fleet.cluster(call.caller()?, call.path("idOrName"), call.resource_group()).await?;
    let mut shown = v1_cluster(&cluster, &call.app.public_url);
    if let Some(vlans) = classic_subnets::resources(&call, &[&cluster]).await? {
        shown.vlans = vlans.into_iter().flatten().collect();
    }
    Ok(respond::json(StatusCode::OK, &shown))
}

/// `DELETE /v1/clusters/{idOrName}`, for clusters of both providers.
pub async fn cluster_delete(call: Call) -> Result<Response, Problem> {
    call.app.fleet.cluster_delete(call.caller()?, call.path("idOrName"), call.resource_group()).await?;
    Ok(respond::empty(StatusCode::NO_CONTENT))
}

/// `GET /v2/clusters`: clusters of all providers.
pub async fn v2_clusters_list(call: Call) -> Result<Response, Problem> {
    v2_list(&call, None).await
}

/// `GET /v2/classic/getClusters`
pub async fn classic_clusters_list(call: Call) -> Result<Response, Problem> {
    v2_list(&call, Some(Provider::Classic)).await
}

/// `GET /v2/vpc/getClusters`
pub async fn vpc_clusters_list(call: Call) -> Result<Response, Problem> {
    v2_list(&call, Some(Provider::VpcGen2)).await
}

/// `GET /v2/getCluster`, for clusters of all providers.
pub async fn v2_cluster_get(call: Call) -> Result<Response, Problem> {
    let cluster = call.query("cluster").unwrap_or_default();
    v2_get(&call, &cluster, None).await
}

/// `GET /v2/clusters/{idOrName}`, for clusters of all providers.
pub async fn v2_cluster_get_by_path(call: Call) -> Result<Response, Problem> {
    v2_get(&call, call.path("idOrName"), None).await
}

/// `GET /v2/classic/getCluster`
pub async fn classic_cluster_get(call: Call) -> Result<Response, Problem> {
    let cluster = call.query("cluster").unwrap_or_default();
    v2_get(&call, &cluster, Some(Provider::Classic)).await
}

/// `GET /v2/vpc/getCluster`
pub async fn vpc_cluster_get(call: Call) -> Result<Response, Problem> {
    let cluster = call.query("cluster").unwrap_or_default();
    v2_get(&call, &cluster, Some(Provider::VpcGen2)).await
}

async fn v2_list(call: &Call, provider: Option<Provider>) -> Result<Response, Problem> {
    let clusters = call.app.fleet.clusters(call.caller()?).await?;
    let filter = filter(call, provider)?;
    let admitted = clusters.iter().filter(|c| filter.admits(c));
    let shown: Vec<GetClustersResponse> = admitted.map(|c| v2_item(c, &call.app.public_url)).collect();
    Ok(respond::json(StatusCode::OK, &shown))
}

async fn v2_get(call: &Call, id_or_name: &str, provider: Option<Provider>) -> Result<Response, Problem> {
    if id_or_name.is_empty() {
        return Err(Error::Missing("Specify the ID or name of a 'cluster'.".to_owned()).into());
    }
    let cluster = call.app.fleet.cluster(call.caller()?, id_or_name, call.resource_group()).await?;
    if !filter(call, provider)?.admits(&cluster) {
        // As the service does it: a cluster of another provider is not there.
        return Err(Error::ClusterNotFound.into());
    }
    let mut shown = shape(call, &cluster);
    if let Some(vlans) = classic_subnets::resources(call, &[&cluster]).await? {
        shown.vlans = vlans.into_iter().flatten().collect();
    }
    Ok(respond::json(StatusCode::OK, &shown))
}

fn shape(call: &Call, cluster: &Cluster) -> boatyard_api::containers::GetClusterResponse {
    match call.query("v1-compatible") {
        Some(_) => v1_compatible(cluster, &call.app.public_url),
        None => v2_cluster(cluster, &call.app.public_url),
    }
}

/// What an answer is narrowed to: the provider of its path, and the one that the request names.
fn filter(call: &Call, provider: Option<Provider>) -> Result<ListFilter, Problem> {
    let requested = call.provider().map(|name| providers(&name)).transpose()?;
    let all = vec![Provider::Classic, Provider::VpcGen2];
    let locations: Vec<_> = call.query_all("location").into_iter().filter(|l| !l.is_empty()).collect();
    Ok(ListFilter {
        providers: requested.unwrap_or(all).into_iter().filter(|p| provider.is_none_or(|only| only == *p)).collect(),
        zones: (!locations.is_empty()).then(|| call.app.fleet.catalog().zones_within(&locations)),
        group: call.resource_group().map(str::to_owned),
    })
}

/// The providers of clusters that a provider's name means: none for those that Boatyard has no clusters of.
fn providers(name: &str) -> Result<Vec<Provider>, Problem> {
    match name {
        "classic" => Ok(vec![Provider::Classic]),
        "vpc" | "vpc-gen2" => Ok(vec![Provider::VpcGen2]),
        "vpc-classic" | "satellite" | "upi" => Ok(Vec::new()),
        _ => {
            let text =
                format!("The provider '{name}' is not known. The accepted values are 'classic', 'vpc-gen2' and 'satellite'.");
            Err(Error::Invalid(text).into())
        }
    }
}

/// The group that a request creates in: the one its header names, or the account's default.
pub(super) async fn resource_group(call: &Call) -> Result<Group, Problem> {
    let account = call.caller()?.account_id.as_deref().unwrap_or_default();
    let found = match call.resource_group() {
        Some(wanted) => call.app.iam.resource_group_find(account, wanted).await?,
        None => Some(call.app.iam.default_resource_group(account).await?),
    };
    found.map(|group| Group { id: group.id, name: group.name }).ok_or_else(|| {
        let text = "The targeted resource group could not be found. Make sure you have required permissions to access the resource group.";
        Problem::new(StatusCode::NOT_FOUND, "G0006", "General", text)
            .recovery("To target the default resource group, run 'boatyard target -g Default'.")
    })
}

fn vpc_request(body: VpcCreateClusterRequest) -> VpcClusterRequest {
    let entitlement = body.default_worker_pool_entitlement;
    VpcClusterRequest {
        name: body.name.unwrap_or_default(),
        provider: body.provider,
        version: body.kube_version,
        offering: body.offering,
        pod_subnet: body.pod_subnet,
        service_subnet: body.service_subnet,
        disable_public_endpoint: body.disable_public_service_endpoint.unwrap_or(false),
        disable_outbound_traffic_protection: body.disable_outbound_traffic_protection.unwrap_or(false),
        network_plugin: body.network_plugin,
        cos_instance_crn: body.cos_instance_crn,
        entitlement,
        security_group_ids: body.security_group_i_ds.unwrap_or_default(),
        pool: vpc_pool(body.worker_pool.unwrap_or_default()),
    }
}

fn vpc_pool(pool: VpcCreateClusterWorkerPool) -> VpcPoolRequest {
    // Older clients send the encryption keys flat, newer ones nested.
    let nested = pool.worker_volume_encryption.unwrap_or_default();
    let zones = pool.zones.unwrap_or_default().into_iter();
    VpcPoolRequest {
        name: pool.name,
        flavor: pool.flavor.unwrap_or_default(),
        isolation: pool.isolation,
        disk_encryption: pool.disk_encryption,
        operating_system: pool.operating_system,
        size_per_zone: pool.worker_count,
        labels: pool.labels.unwrap_or_default().into_iter().collect(),
        vpc_id: pool.vpc_id.unwrap_or_default(),
        zones: zones.map(|zone| (zone.id.unwrap_or_default(), zone.subnet_id.unwrap_or_default())).collect(),
        entitlement: pool.entitlement,
        host_pool_id: pool.host_pool_id,
        secondary_storage: pool.secondary_storage_option,
        security_group_ids: pool.security_group_i_ds.unwrap_or_default(),
        kms_instance_id: nested.kms_instance_id.or(pool.kms_instance_id),
        kms_key_id: nested.worker_volume_crkid.or(pool.worker_volume_crkid),
        kms_account_id: nested.kms_account_id,
    }
}

fn classic_request(body: CreateClusterRequest) -> ClassicClusterRequest {
    ClassicClusterRequest {
        name: body.name.unwrap_or_default(),
        datacenter: body.data_center.unwrap_or_default(),
        machine_type: body.machine_type.unwrap_or_default(),
        isolation: body.isolation,
        version: body.master_version,
        workers: body.worker_num,
        public_vlan: body.public_vlan,
        private_vlan: body.private_vlan,
        public_endpoint: body.public_service_endpoint,
        private_endpoint: body.private_sevice_endpoint,
        gateway: body.gateway_enabled.unwrap_or(false),
        disk_encryption: body.disk_encryption,
        pool_name: body.default_worker_pool_name,
        entitlement: body.default_worker_pool_entitlement,
        operating_system: body.operating_system,
        pod_subnet: body.pod_subnet,
        service_subnet: body.service_subnet,
        disable_auto_update: body.disable_auto_update.unwrap_or(false),
        no_subnet: body.no_subnet.unwrap_or(false),
    }
}

/// Names to choose from: those most like the one that was asked for, and how many more there are.
fn choice(wanted: &str, names: &[String]) -> String {
    let shown = nearest(wanted, names);
    match names.len() - shown.len() {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

/// The table from the container service's refusals to status, code, kind and hint.
impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let text = error.to_string();
        let new = |status, code, kind| Problem::new(status, code, kind, text.clone());
        let (bad, missing, conflict) = (StatusCode::BAD_REQUEST, StatusCode::NOT_FOUND, StatusCode::CONFLICT);
        match error {
            Error::ClusterNotFound => new(missing, "G0004", "General").recovery(
                "To list the clusters you have access to, run 'boatyard ks cluster ls'. To check your target, run 'boatyard target'.",
            ),
            Error::Forbidden { action } => crate::authenticate::missing_role(&action),
            Error::ClusterNameTaken => new(conflict, "E0007", "Provisioning")
                .recovery("To list the clusters in your account, run 'boatyard ks cluster ls'."),
            Error::ClusterName(_) | Error::PoolName(_) | Error::Missing(_) | Error::Invalid(_) => new(bad, "E0011", "BadRequest"),
            Error::ClassicIncomplete(_) => new(bad, "E0020", "Provisioning")
                .recovery("To list the VLANs of a data center, run 'boatyard ks vlan ls --zone <zone>'."),
            Error::FlavorNotInZone { flavor, offered, .. } => {
                new(bad, "E4e5b", "BadRequest").recovery(format!("Flavors of this zone: {}.", choice(&flavor, &offered)))
            }
            Error::ZoneNotFound { zone, offered, .. } => {
                new(bad, "E0012", "BadRequest").recovery(format!("Zones: {}.", choice(&zone, &offered)))
            }
            Error::VersionNotFound { offered, .. } | Error::VersionEnded { offered, .. } => {
                new(bad, "E0118", "Versions").recovery(format!("Supported versions: {}.", offered.join(", ")))
            }
            Error::AlreadyUpToDate => new(conflict, "E0120", "Versions")
                .recovery("To list the versions that a cluster can be updated to, run 'boatyard ks versions'."),
            Error::MasterNotDeployed => new(bad, "Ef9cc", "BadRequest")
                .recovery("Wait until the master is deployed. To see its state, run 'boatyard ks cluster get --cluster <cluster>'."),
            Error::ClusterDeleting => new(conflict, "E0f1a", "Provisioning"),
            Error::PoolNotFound => new(missing, "E0d40", "Provisioning")
                .recovery("To list worker pools, run 'boatyard ks worker-pool ls --cluster <cluster>'."),
            Error::PoolNameTaken => new(conflict, "E0d39", "Provisioning")
                .recovery("To list worker pools, run 'boatyard ks worker-pool ls --cluster <cluster>'."),
            Error::WorkerNotFound => new(missing, "E0d41", "Provisioning")
                .recovery("To list worker nodes, run 'boatyard ks worker ls --cluster <cluster>'."),
            Error::WorkerBusy { .. } => new(conflict, "E0f19", "Provisioning").recovery(
                "Wait until the worker node has the state normal, or remove it: 'boatyard ks worker ls --cluster <cluster>' shows it.",
            ),
            Error::ZoneNotInPool { .. } => new(missing, "E0d42", "Provisioning")
                .recovery("To list the zones of a worker pool, run 'boatyard ks worker-pool get --cluster <cluster> --worker-pool <pool>'."),
            Error::ZoneInPool { .. } => new(conflict, "E0d43", "Provisioning"),
            Error::Quota { .. } => new(StatusCode::FORBIDDEN, "E60b6", "Provisioning")
                .recovery("Remove clusters that are not needed any more: 'boatyard ks cluster ls' lists them."),
            Error::ProviderNotPermitted => new(bad, "G3917", "Cluster"),
            Error::VpcNotFound(_) => {
                new(bad, "E0f11", "BadRequest").recovery("To list VPCs, run 'boatyard ks vpcs --provider vpc-gen2'.")
            }
            Error::SubnetNotFound { vpc, .. } => new(bad, "E0f12", "BadRequest").recovery(format!(
                "To list subnets, run 'boatyard ks subnets --provider vpc-gen2 --vpc-id {vpc} --zone <zone>'."
            )),
            Error::SubnetElsewhere { zone, .. } => new(bad, "E0f12", "BadRequest")
                .recovery(format!("To list subnets, run 'boatyard ks subnets --provider vpc-gen2 --vpc-id <vpc> --zone {zone}'.")),
            Error::AddressesExhausted { .. } => new(bad, "E0f13", "BadRequest"),
            Error::VlanNotFound { datacenter, .. } => new(bad, "E0f14", "BadRequest")
                .recovery(format!("To list VLANs, run 'boatyard ks vlan ls --zone {datacenter}'.")),
            Error::VlansDoNotPair { .. } => new(bad, "E0f15", "BadRequest"),
            Error::Range { .. } => new(bad, "E0f16", "BadRequest"),
            Error::ClusterNotReady { name, .. } => new(conflict, "E0f18", "General")
                .recovery(format!("To see its state, run 'boatyard ks cluster get --cluster {name}'.")),
            Error::Addon(error) => error.into(),
            Error::DedicatedHost(error) => error.into(),
            Error::ClassicSubnet(error) => error.into(),
            Error::Infrastructure(error) => error.into(),
            Error::Unbuilt(_) => new(StatusCode::NOT_IMPLEMENTED, "G0501", "General"),
            Error::Busy => new(conflict, "E0f17", "General"),
            Error::Runtime(_) | Error::Store(_) => Problem::internal(Form::Containers, error),
        }
    }
}
