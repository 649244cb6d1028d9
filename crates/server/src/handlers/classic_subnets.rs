//! Portable subnets of classic VLANs, and subnets that users bring to clusters.

use axum::response::Response;
use boatyard_api::containers::{
    AddClusterUserSubnetRequest, ClassicSubnet, ClassicSubnetProperties, SubnetConfigField, VlanConfigField, VlanSpan,
};
use boatyard_api::ops::containers;
use boatyard_core::clock::{containers_date, from_ms};
use boatyard_fleet::classic_subnets::{self, ClusterVlan, PortableView, SubnetError};
use boatyard_fleet::{Catalog, Cluster, Provider, SubnetKind};
use http::StatusCode;

use crate::call::Call;
use crate::operations::Bindings;
use crate::problem::Problem;
use crate::respond;

pub fn bind(bindings: Bindings) -> Bindings {
    bindings
        .bind(&containers::ListSubnets, subnets_list)
        .bind(&containers::GetVlanSpanning, vlan_spanning_get)
        .bind(&containers::GetClusterSubnets, cluster_subnets_list)
        .bind(&containers::AddClusterSubnet, cluster_subnet_add)
        .bind(&containers::DetachClusterSubnet, cluster_subnet_detach)
        .bind(&containers::CreateClusterSubnet, cluster_subnet_create)
        .bind(&containers::GetClusterUserSubnet, user_subnets_list)
        .bind(&containers::AddClusterUserSubnet, user_subnet_add)
        .bind(&containers::RemoveClusterUserSubnet, user_subnet_remove)
}

/// `GET /v1/subnets`
async fn subnets_list(call: Call) -> Result<Response, Problem> {
    let given = call.query_all("location").into_iter().chain(call.query_all("datacenters"));
    let places: Vec<_> = given
        .flat_map(|places| places.split(',').map(|place| place.trim().to_owned()).collect::<Vec<_>>())
        .filter(|place| !place.is_empty())
        .collect();
    let subnets = call.app.fleet.portable_subnets(call.caller()?, &places).await?;
    let shown: Vec<_> = subnets.into_iter().map(shape).collect();
    Ok(respond::json(StatusCode::OK, &shown))
}

/// `GET /v1/subnets/vlan-spanning`
async fn vlan_spanning_get(call: Call) -> Result<Response, Problem> {
    let caller = call.caller()?;
    let enabled = call.app.fleet.vlan_spanning(caller).await?;
    // It was never changed since there is the account.
    let account = call.app.iam.account_get(caller, caller.account_id.as_deref().unwrap_or_default()).await?;
    let modified_date = Some(containers_date(from_ms(account.account.created_at)));
    Ok(respond::json(StatusCode::OK, &VlanSpan { enabled: Some(enabled), modified_date }))
}

/// `GET /v1/clusters/{idOrName}/subnets`
async fn cluster_subnets_list(call: Call) -> Result<Response, Problem> {
    let vlans = vlans(&call, call.path("idOrName"), SubnetKind::Portable).await?;
    Ok(respond::json(StatusCode::OK, &vlans))
}

/// `PUT /v1/clusters/{idOrName}/subnets/{subnetId}`
async fn cluster_subnet_add(call: Call) -> Result<Response, Problem> {
    let (cluster, subnet) = (call.path("idOrName"), call.path("subnetId"));
    call.app.fleet.cluster_subnet_add(call.caller()?, cluster, call.resource_group(), subnet).await?;
    Ok(respond::empty(StatusCode::NO_CONTENT))
}

/// `PATCH /v1/clusters/{idOrName}/subnets/{subnetId}`
async fn cluster_subnet_detach(call: Call) -> Result<Response, Problem> {
    let (cluster, subnet) = (call.path("idOrName"), call.path("subnetId"));
    call.app.fleet.cluster_subnet_detach(call.caller()?, cluster, call.resource_group(), subnet).await?;
    Ok(respond::empty(StatusCode::NO_CONTENT))
}

/// `POST /v1/clusters/{idOrName}/vlans/{vlanId}`
async fn cluster_subnet_create(call: Call) -> Result<Response, Problem> {
    let (cluster, vlan, size) = (call.path("idOrName"), call.path("vlanId"), call.query("size").unwrap_or_default());
    call.app.fleet.cluster_subnet_create(call.caller()?, cluster, call.resource_group(), vlan, &size).await?;
    Ok(respond::empty(StatusCode::NO_CONTENT))
}

/// `GET /v1/clusters/{idOrName}/usersubnets`
async fn user_subnets_list(call: Call) -> Result<Response, Problem> {
    let mut vlans = vlans(&call, call.path("idOrName"), SubnetKind::User).await?;
    vlans.retain(|vlan| !vlan.subnets.is_empty());
    Ok(respond::json(StatusCode::OK, &vlans))
}

/// `POST /v1/clusters/{idOrName}/usersubnets`
async fn user_subnet_add(call: Call) -> Result<Response, Problem> {
    // One widely used client sends nothing at all; the rule then says what is missing.
    let body: AddClusterUserSubnetRequest = if call.body.is_empty() { Default::default() } else { call.json()? };
    let (cidr, vlan) = (body.cidr.unwrap_or_default(), body.vlan_id.unwrap_or_default());
    let cluster = call.path("idOrName");
    call.app.fleet.user_subnet_add(call.caller()?, cluster, call.resource_group(), &cidr, &vlan).await?;
    Ok(respond::empty(StatusCode::NO_CONTENT))
}

/// `DELETE /v1/clusters/{idOrName}/usersubnets/{subnetId}/vlans/{vlanId}`
async fn user_subnet_remove(call: Call) -> Result<Response, Problem> {
    let (cluster, subnet, vlan) = (call.path("idOrName"), call.path("subnetId"), call.path("vlanId"));
    call.app.fleet.user_subnet_remove(call.caller()?, cluster, call.resource_group(), subnet, vlan).await?;
    Ok(respond::empty(StatusCode::NO_CONTENT))
}

/// What `showResources` shows of clusters: their VLANs with the subnets that they use; `None` unless it was asked for. VPC clusters
/// have none.
pub async fn resources(call: &Call, clusters: &[&Cluster]) -> Result<Option<Vec<Vec<VlanConfigField>>>, Problem> {
    if !call.query_flag("showResources") || clusters.iter().all(|cluster| cluster.provider != Provider::Classic) {
        return Ok(None);
    }
    let kind = SubnetKind::Portable;
    let vlans = call.app.fleet.vlans_of(call.caller()?, clusters, kind).await?.into_iter();
    let catalog = call.app.fleet.catalog();
    Ok(Some(vlans.map(|vlans| vlans.into_iter().map(|vlan| vlan_shape(catalog, vlan, kind)).collect()).collect()))
}

async fn vlans(call: &Call, cluster: &str, kind: SubnetKind) -> Result<Vec<VlanConfigField>, Problem> {
    let vlans = call.app.fleet.cluster_vlans(call.caller()?, cluster, call.resource_group(), kind).await?;
    let catalog = call.app.fleet.catalog();
    Ok(vlans.into_iter().map(|vlan| vlan_shape(catalog, vlan, kind)).collect())
}

fn vlan_shape(catalog: &Catalog, ClusterVlan { vlan, subnets }: ClusterVlan, kind: SubnetKind) -> VlanConfigField {
    let subnets = subnets.into_iter().map(|subnet| SubnetConfigField {
        ips: classic_subnets::addresses(&subnet.cidr),
        cidr: Some(subnet.cidr),
        id: Some(subnet.id),
        is_byoip: Some(kind == SubnetKind::User),
        is_public: Some(vlan.kind == "public"),
    });
    VlanConfigField {
        subnets: subnets.collect(),
        region: catalog.any_zone(&vlan.datacenter).map(|zone| zone.service_region().to_owned()),
        id: Some(vlan.id),
        zone: Some(vlan.datacenter),
    }
}

fn shape(PortableView { subnet, vlan }: PortableView) -> ClassicSubnet {
    ClassicSubnet {
        bound_cluster: Some(subnet.cluster_id.unwrap_or_default()),
        datacenter: Some(vlan.datacenter),
        id: Some(subnet.id),
        ip_addresses: classic_subnets::addresses(&subnet.cidr),
        properties: Some(ClassicSubnetProperties {
            display_label: Some(subnet.cidr.clone()),
            gateway: classic_subnets::gateway(&subnet.cidr).map(|gateway| gateway.to_string()),
            network_identifier: subnet.cidr.split('/').next().map(str::to_owned),
            note: Some(String::new()),
            subnet_type: Some("SECONDARY_ON_VLAN".to_owned()),
            cidr: Some(subnet.cidr),
        }),
        type_: Some(vlan.kind),
        vlan_id: Some(vlan.id),
    }
}

/// The table from refusals to status, code, kind and hint.
impl From<SubnetError> for Problem {
    fn from(error: SubnetError) -> Self {
        let text = error.to_string();
        let new = |status, code| Problem::new(status, code, "Network", text.clone());
        let (bad, missing, conflict) = (StatusCode::BAD_REQUEST, StatusCode::NOT_FOUND, StatusCode::CONFLICT);
        match error {
            SubnetError::NotFound => new(missing, "E0f50")
                .recovery("To list the subnets of the account, run 'boatyard ks subnets --provider classic'."),
            SubnetError::NotAttached(_) => new(missing, "E0f50").recovery(
                "To list the subnets of a cluster, run 'boatyard ks cluster get --show-resources --cluster <cluster>'.",
            ),
            SubnetError::OtherVlan { .. } => new(bad, "E0f51"),
            SubnetError::InUse(_) => new(conflict, "E0f52")
                .recovery("To detach it, run 'boatyard ks cluster subnet detach --cluster <cluster> --subnet-id <subnet>'."),
            SubnetError::VlanNotOfCluster { vlans, .. } => {
                new(bad, "E0f14").recovery(format!("VLANs of this cluster: {}.", vlans.join(", ")))
            }
            SubnetError::Size(_) => new(bad, "E0f53"),
            SubnetError::Cidr { .. } | SubnetError::Overlap { .. } => new(bad, "E0f16"),
        }
    }
}
