//! What there is to choose from: zones, flavors, versions, add-ons, quotas, and remarks on them.

use std::collections::BTreeMap;

use axum::response::Response;
use boatyard_api::containers::{
    AddonCommon, AddonOptionsTemplate, BluemixConfig, GetQuotaResource, GetQuotaResourceRegion, IksLocation, IksVersion,
    KubeVersion, MessageResponse, ProductConfig, Region, Regions, ZoneResponse,
};
use boatyard_api::ops::containers;
use boatyard_fleet::catalog::{Offer, Offered, OfferedVersion, Offering, Support, Zone};
use boatyard_fleet::{Catalog, Error, Provider};
use http::StatusCode;

use super::flavor_shapes;
use crate::call::Call;
use crate::operations::Bindings;
use crate::problem::Problem;
use crate::respond;

/// The operations of this file.
#[must_use]
pub fn bind(bindings: Bindings) -> Bindings {
    bindings
        .bind(&containers::GetZones, classic_zones_list)
        .bind(&containers::VpcGetZones, vpc_zones_list)
        .bind(&containers::ListLocations, locations_list)
        .bind(&containers::GetRegions, regions_list)
        .bind(&containers::GetDatacenterMachineTypes, machine_types_list)
        .bind(&containers::V2GetFlavors, flavors_list)
        .bind(&containers::GetKubeVersions, kube_versions_list)
        .bind(&containers::GetVersions, versions_by_offering)
        .bind(&containers::V2GetVersions, versions_list)
        .bind(&containers::GetAddons, addons_list)
        .bind(&containers::GetQuota, quotas_list)
        .bind(&containers::GetMessages, messages_list)
        .bind(&containers::V2GetMessages, messages_list)
        .bind(&containers::GetBluemixConfig, endpoints_get)
        .bind(&containers::GetProductConfig, product_get)
}

/// `GET /v1/zones`: classic data centers.
async fn classic_zones_list(call: Call) -> Result<Response, Problem> {
    let catalog = call.app.fleet.catalog();
    let locations: Vec<_> = call.query_all("location").into_iter().filter(|l| !l.is_empty()).collect();
    let wanted = |zone: &&Zone| locations.is_empty() || locations.iter().any(|location| zone.is_within(location));
    let zones = catalog.zones(Provider::Classic).filter(wanted);
    let shown: Vec<_> = zones.map(|z| zone(catalog, z, call.query_flag("showFlavors"))).collect();
    Ok(respond::json(StatusCode::OK, &shown))
}

/// `GET /v2/vpc/getZones`: by region.
async fn vpc_zones_list(call: Call) -> Result<Response, Problem> {
    let catalog = call.app.fleet.catalog();
    let mut regions: BTreeMap<&str, Vec<ZoneResponse>> = BTreeMap::new();
    if is_vpc(&call.query("provider").unwrap_or_default())? {
        for z in catalog.zones(Provider::VpcGen2) {
            regions.entry(z.service_region()).or_default().push(zone(catalog, z, call.query_flag("showFlavors")));
        }
    }
    Ok(respond::json(StatusCode::OK, &regions.into_values().collect::<Vec<_>>()))
}

/// `GET /v1/locations`
async fn locations_list(call: Call) -> Result<Response, Problem> {
    let locations = call.app.fleet.catalog().locations().into_iter();
    let shown: Vec<_> = locations
        .map(|location| IksLocation {
            country: location.country,
            display_name: Some(location.display_name),
            geography: location.geography,
            name: Some(location.id.clone()),
            id: Some(location.id),
            kind: Some(location.kind.as_str().to_owned()),
            metro: location.metro,
            multizone_metro: location.multizone_metro,
            providers: location.providers.into_iter().map(|provider| provider.as_str().to_owned()).collect(),
            supports_free: Some(false),
        })
        .collect();
    Ok(respond::json(StatusCode::OK, &shown))
}

/// `GET /v1/regions`
async fn regions_list(call: Call) -> Result<Response, Problem> {
    let regions = call.app.fleet.catalog().regions().into_iter().map(|region| Region {
        name: Some(region.name),
        alias: Some(region.alias),
        free_enabled: Some(false),
        satellite: Some(false),
        cf_url: None,
    });
    Ok(respond::json(StatusCode::OK, &Regions { regions: regions.collect() }))
}

/// `GET /v1/datacenters/{datacenter}/machine-types`
async fn machine_types_list(call: Call) -> Result<Response, Problem> {
    let catalog = call.app.fleet.catalog();
    let zone = catalog.zone(call.path("datacenter"), Provider::Classic)?;
    let shown: Vec<_> = catalog.flavors_in(&zone.id).map(flavor_shapes::machine_type).collect();
    Ok(respond::json(StatusCode::OK, &shown))
}

/// `GET /v2/getFlavors`
async fn flavors_list(call: Call) -> Result<Response, Problem> {
    let catalog = call.app.fleet.catalog();
    let id = call.query("zone").filter(|zone| !zone.is_empty());
    let id = id.ok_or_else(|| Error::Missing("Specify a 'zone'. To list zones, run 'boatyard ks locations'.".to_owned()))?;
    // What is most likely meant by a zone that there is not: IDs of VPC zones have dashes.
    let likely = if id.contains('-') { Provider::VpcGen2 } else { Provider::Classic };
    let zones_provider = catalog.any_zone(&id).map_or(likely, Zone::provider);
    let provider = match call.provider().as_deref() {
        None => zones_provider,
        Some("classic") => Provider::Classic,
        Some(other) if is_vpc(other)? => Provider::VpcGen2,
        Some(_) => return Err(Error::ProviderNotPermitted.into()),
    };
    let zone = catalog.zone(&id, provider)?;
    let shown: Vec<_> = catalog.flavors_in(&zone.id).map(flavor_shapes::flavor).collect();
    Ok(respond::json(StatusCode::OK, &shown))
}

/// `GET /v1/kube-versions`
async fn kube_versions_list(call: Call) -> Result<Response, Problem> {
    Ok(respond::json(StatusCode::OK, &versions(&call, &call.app.fleet.support().await?, Offering::Kubernetes)))
}

/// `GET /v1/versions`
async fn versions_by_offering(call: Call) -> Result<Response, Problem> {
    let support = call.app.fleet.support().await?;
    let by_offering =
        [Offering::Kubernetes, Offering::OpenShift].map(|offering| (offering.as_str(), versions(&call, &support, offering)));
    Ok(respond::json(StatusCode::OK, &BTreeMap::from(by_offering)))
}

/// `GET /v2/getVersions`
async fn versions_list(call: Call) -> Result<Response, Problem> {
    let support = call.app.fleet.support().await?;
    let offerings = [Offering::Kubernetes, Offering::OpenShift].into_iter();
    let all = offerings.flat_map(|offering| versions(&call, &support, offering));
    let shown: Vec<_> = all
        .map(|v| IksVersion {
            major: v.major,
            minor: v.minor,
            patch: v.patch,
            default: v.default,
            end_of_service: v.end_of_service,
        })
        .collect();
    Ok(respond::json(StatusCode::OK, &shown))
}

/// `GET /v1/addons`
async fn addons_list(call: Call) -> Result<Response, Problem> {
    let addons = call.app.fleet.catalog().addons();
    let shown: Vec<_> = addons
        .iter()
        .flat_map(|offer| {
            let template = addons.options_template(&offer.name);
            offer.versions.iter().map(move |version| addon(offer, version, template.clone()))
        })
        .collect();
    Ok(respond::json(StatusCode::OK, &shown))
}

/// `GET /v2/getQuota`
async fn quotas_list(call: Call) -> Result<Response, Problem> {
    let quotas = call.app.fleet.catalog().quotas().map(|(quota, regions)| GetQuotaResource {
        infrastructure: Some(if quota.provider == Provider::Classic { "classic" } else { "vpc" }.to_owned()),
        regions: regions
            .into_iter()
            .map(|(region, quota)| GetQuotaResourceRegion { id: Some(region.to_owned()), quota: Some(quota.into()) })
            .collect(),
        type_: Some(quota.resource.clone()),
    });
    Ok(respond::json(StatusCode::OK, &quotas.collect::<Vec<_>>()))
}

/// `GET /v1/messages`, `GET /v2/getMessages`
async fn messages_list(call: Call) -> Result<Response, Problem> {
    let notices = call.app.fleet.catalog().notices(&call.app.fleet.support().await?).into_iter();
    let shown: Vec<_> = notices
        .map(|notice| MessageResponse {
            id: Some(notice.id),
            message: Some(notice.text),
            services: vec!["containers-kubernetes".to_owned()],
        })
        .collect();
    Ok(respond::json(StatusCode::OK, &shown))
}

/// `GET /v1/config`
async fn endpoints_get(call: Call) -> Result<Response, Problem> {
    let url = &call.app.public_url;
    let config = BluemixConfig {
        acct_url: Some(format!("{url}/coe/v2")),
        bluemix_url: Some(url.clone()),
        env_name: Some("boatyard".to_owned()),
        iam_base_url: Some(url.clone()),
        // Every client of the token service knows this pair.
        iam_client_id: Some("kube".to_owned()),
        iam_client_secret: Some("kube".to_owned()),
        iam_issuer: Some(format!("{url}/identity")),
        iam_url: Some(format!("{url}/identity/token")),
        ..BluemixConfig::default()
    };
    Ok(respond::json(StatusCode::OK, &config))
}

/// `GET /v1/prodconfig`
async fn product_get(_: Call) -> Result<Response, Problem> {
    let config = ProductConfig {
        company_name: Some("The Boatyard project".to_owned()),
        container_service_name: Some("Boatyard Kubernetes Service".to_owned()),
        iaas_name: Some("Boatyard classic infrastructure".to_owned()),
        product_name: Some("Boatyard".to_owned()),
        product_name_short: Some("Boatyard".to_owned()),
    };
    Ok(respond::json(StatusCode::OK, &config))
}

/// Whether a provider has VPC zones here: the generation before this one and Satellite have none, and other names mean nothing.
pub(super) fn is_vpc(provider: &str) -> Result<bool, Error> {
    match provider {
        "" | "vpc" | "vpc-gen2" => Ok(true),
        "classic" | "vpc-classic" | "satellite" | "upi" => Ok(false),
        other => Err(Error::Invalid(format!("The provider '{other}' is not known. The accepted value is 'vpc-gen2'."))),
    }
}

fn zone(catalog: &Catalog, zone: &Zone, flavors: bool) -> ZoneResponse {
    let offered = flavors.then(|| catalog.flavors_in(&zone.id).map(flavor_shapes::zone_flavor).collect());
    ZoneResponse {
        flavors: offered.unwrap_or_default(),
        id: Some(zone.id.clone()),
        metro: Some(if zone.multizone { zone.metro_name.clone() } else { String::new() }),
        name: Some(zone.id.clone()),
    }
}

fn versions(call: &Call, support: &Support, offering: Offering) -> Vec<KubeVersion> {
    let shape = |version: Offered| KubeVersion {
        major: Some(version.major.into()),
        minor: Some(version.minor.into()),
        patch: Some(version.patch.into()),
        default: Some(version.default),
        end_of_service: Some(version.end_of_service.to_string()),
    };
    call.app.fleet.catalog().versions(offering, support).into_iter().map(shape).collect()
}

fn addon(offer: &Offer, version: &OfferedVersion, template: Option<String>) -> AddonCommon {
    AddonCommon {
        install_options_template: template
            .map(|content| AddonOptionsTemplate { content: Some(content), immutable: Some(false) }),
        min_kube_version: version.least(Offering::Kubernetes),
        min_ocp_version: version.least(Offering::OpenShift),
        name: offer.name.clone(),
        supported_kube_range: version.supported_kubernetes.clone(),
        supported_ocp_range: version.supported_openshift.clone(),
        target_version: offer.versions.first().map(|newest| newest.version.clone()),
        version: Some(version.version.clone()),
        vlan_spanning_required: Some(false),
    }
}
