//! VPCs, subnets and VLANs that clusters can be created in.

use axum::response::Response;
use boatyard_api::containers::{GetVpcResponse, Subnet, VirtualPrivateCloudResponse, Vlan, VlanProperties};
use boatyard_api::ops::containers;
use boatyard_fleet::{Error, Provider};
use http::StatusCode;

use super::catalog;
use crate::call::Call;
use crate::operations::Bindings;
use crate::problem::Problem;
use crate::respond;

/// Operations of this file that read one thing, or the same in another way.
#[must_use]
pub fn bind(bindings: Bindings) -> Bindings {
    bindings.bind(&containers::GetVPC, vpc_get).bind(&containers::GetVLANs, zone_vlans_list)
}

/// `GET /v2/vpc/getVPC`
async fn vpc_get(call: Call) -> Result<Response, Problem> {
    if !catalog::is_vpc(&call.query("provider").unwrap_or_default())? {
        return Err(Error::ProviderNotPermitted.into());
    }
    let id = call.query("vpcID").filter(|id| !id.is_empty());
    let id = id.ok_or_else(|| Error::Missing("Specify a 'vpcID'. To list VPCs, run 'boatyard ks vpcs'.".to_owned()))?;
    let group = call.resource_group();
    let mut vpcs = call.app.fleet.vpcs(call.caller()?).await?.into_iter();
    let vpc = vpcs.find(|vpc| vpc.id == id && group.is_none_or(|group| vpc.resource_group_id == group));
    let vpc = vpc.ok_or(Error::VpcNotFound(id))?;
    let shown = GetVpcResponse {
        id: Some(vpc.id),
        messages: Vec::new(),
        name: Some(vpc.name),
        resource_group: Some(vpc.resource_group_id),
    };
    Ok(respond::json(StatusCode::OK, &shown))
}

/// `GET /v2/classic/getVLANs`
async fn zone_vlans_list(call: Call) -> Result<Response, Problem> {
    let zone = call.query("zone").filter(|zone| !zone.is_empty());
    let zone =
        zone.ok_or_else(|| Error::Missing("Specify a 'zone'. To list zones, run 'boatyard ks locations'.".to_owned()))?;
    vlans(&call, &zone).await
}

/// `GET /v2/vpc/getVPCs`
pub async fn vpcs_list(call: Call) -> Result<Response, Problem> {
    let vpcs = call.app.fleet.vpcs(call.caller()?).await?;
    let catalog = call.app.fleet.catalog();
    let shown: Vec<_> = vpcs
        .into_iter()
        .map(|vpc| VirtualPrivateCloudResponse {
            zones: catalog.zones_in(&vpc.region, Provider::VpcGen2).map(|zone| zone.id.clone()).collect(),
            id: Some(vpc.id),
            name: Some(vpc.name),
            provider: Some(Provider::VpcGen2.as_str().to_owned()),
            resource_group: Some(vpc.resource_group_id),
        })
        .collect();
    Ok(respond::json(StatusCode::OK, &shown))
}

/// `GET /v2/vpc/getSubnets`
pub async fn subnets_list(call: Call) -> Result<Response, Problem> {
    let given = |name: &str| call.query(name).filter(|value| !value.is_empty());
    let subnets = call.app.fleet.subnets(call.caller()?, given("vpc").as_deref(), given("zone").as_deref()).await?;
    let shown: Vec<_> = subnets
        .into_iter()
        .map(|view| Subnet {
            available_i_pv4_address_count: Some(view.free),
            id: Some(view.subnet.id),
            ipv4_cidr_block: Some(view.subnet.cidr),
            name: Some(view.subnet.name),
            // Empty text when there is no gateway.
            public_gateway_id: Some(String::new()),
            public_gateway_name: Some(String::new()),
            vpc_id: Some(view.subnet.vpc_id),
            vpc_name: Some(view.vpc_name),
            zone: Some(view.subnet.zone),
        })
        .collect();
    Ok(respond::json(StatusCode::OK, &shown))
}

/// `GET /v1/datacenters/{datacenter}/vlans`
pub async fn vlans_list(call: Call) -> Result<Response, Problem> {
    vlans(&call, call.path("datacenter")).await
}

async fn vlans(call: &Call, datacenter: &str) -> Result<Response, Problem> {
    let vlans = call.app.fleet.vlans(call.caller()?, datacenter).await?;
    let shown: Vec<_> = vlans
        .into_iter()
        .map(|vlan| Vlan {
            id: Some(vlan.id),
            properties: Some(VlanProperties {
                local_disk_storage_capability: Some("true".to_owned()),
                location: Some(vlan.datacenter),
                primary_router: Some(vlan.router),
                san_storage_capability: Some("true".to_owned()),
                vlan_number: Some(vlan.number.to_string()),
                vlan_type: Some("standard".to_owned()),
                ..VlanProperties::default()
            }),
            type_: Some(vlan.kind),
        })
        .collect();
    Ok(respond::json(StatusCode::OK, &shown))
}
