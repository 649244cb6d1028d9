//! VPCs, subnets and VLANs that clusters can be created in.

use axum::response::Response;
use boatyard_api::containers::{Subnet, VirtualPrivateCloudResponse, Vlan, VlanProperties};
use boatyard_fleet::Provider;
use boatyard_fleet::catalog::catalog;
use http::StatusCode;

use crate::call::Call;
use crate::problem::Problem;
use crate::respond;

/// `GET /v2/vpc/getVPCs`
pub async fn vpcs_list(call: Call) -> Result<Response, Problem> {
    let vpcs = call.app.fleet.vpcs(call.caller()?).await?;
    let shown: Vec<_> = vpcs
        .into_iter()
        .map(|vpc| VirtualPrivateCloudResponse {
            zones: catalog().zones_in(&vpc.region, Provider::VpcGen2).map(|zone| zone.id.clone()).collect(),
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
    let vlans = call.app.fleet.vlans(call.caller()?, call.path("datacenter")).await?;
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
