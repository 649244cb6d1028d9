//! Creating clusters on VPC infrastructure.

use std::collections::{BTreeMap, HashSet};

use boatyard_iam::Caller;
use boatyard_store::networks::{self, Subnet};
use boatyard_store::{Conn, clusters, workers};

use crate::addons;
use crate::catalog::{Catalog, Version};
use crate::create::{self, Group, NewCluster};
use crate::dedicated_hosts;
use crate::pools::check_labels;
use crate::ranges::Ranges;
use crate::{ClusterSpec, Error, Fleet, PoolSpec, PoolZone, Provider, Result, Support};

/// More zones than any region has.
const MOST_ZONES: usize = 20;
/// Longer than any ID or CRN.
const LONGEST_TEXT: usize = 500;

/// A request for a VPC cluster. Empty text means absent.
#[derive(Clone, Debug, Default)]
pub struct VpcClusterRequest {
    pub name: String,
    pub provider: Option<String>,
    pub version: Option<String>,
    pub offering: Option<String>,
    pub pod_subnet: Option<String>,
    pub service_subnet: Option<String>,
    pub disable_public_endpoint: bool,
    pub disable_outbound_traffic_protection: bool,
    pub network_plugin: Option<String>,
    pub cos_instance_crn: Option<String>,
    pub entitlement: Option<String>,
    pub security_group_ids: Vec<String>,
    pub pool: VpcPoolRequest,
}

/// The first pool of a VPC cluster.
#[derive(Clone, Debug, Default)]
pub struct VpcPoolRequest {
    pub name: Option<String>,
    pub flavor: String,
    pub isolation: Option<String>,
    pub disk_encryption: Option<bool>,
    pub operating_system: Option<String>,
    pub size_per_zone: Option<i64>,
    pub labels: BTreeMap<String, String>,
    pub vpc_id: String,
    /// Zone and subnet.
    pub zones: Vec<(String, String)>,
    pub entitlement: Option<String>,
    pub host_pool_id: Option<String>,
    pub secondary_storage: Option<String>,
    pub security_group_ids: Vec<String>,
    pub kms_instance_id: Option<String>,
    pub kms_key_id: Option<String>,
    pub kms_account_id: Option<String>,
}

impl Fleet {
    /// Requests a VPC cluster and returns its ID. The cluster and its workers can be read at once.
    ///
    /// # Errors
    /// What the service refuses: see [`Error`].
    pub async fn vpc_cluster_create(&self, caller: &Caller, group: &Group, request: &VpcClusterRequest) -> Result<String> {
        let support = self.support().await?;
        let mut tx = self.begin(create::account(caller)?).await?;
        let new = self.vpc_cluster_plan(&mut tx, caller, group, request, &support).await?;
        self.cluster_insert(tx, new).await
    }

    /// The cluster that was asked for, checked.
    pub(crate) async fn vpc_cluster_plan<'a>(
        &self,
        tx: &mut Conn,
        caller: &'a Caller,
        group: &'a Group,
        request: &'a VpcClusterRequest,
        support: &Support,
    ) -> Result<NewCluster<'a>> {
        let (account_id, now) = (create::account(caller)?, self.clock.now());
        provider(request.provider.as_deref())?;
        let name = create::cluster_name(&request.name)?;
        let version = request.version.as_deref().unwrap_or_default();
        let version = self.catalog.version(version, request.offering.as_deref(), Provider::VpcGen2, support)?;
        let pool_name = create::pool_name(request.pool.name.as_deref())?;

        let vpc = vpc(tx, account_id, &request.pool.vpc_id).await?;
        let subnets = subnets_of(tx, account_id, &request.pool.zones).await?;
        let least = create::least_workers(request.pool.zones.len(), version.openshift);
        let pool = pool(&self.catalog, &request.pool, &version, &subnets, least)?;
        let taken = clusters::pod_subnets(tx, &vpc.id).await?;
        let taken: Vec<_> = taken.iter().filter_map(|cidr| cidr.parse().ok()).collect();
        let beside = networks::subnets_in(tx, account_id, &vpc.id).await?;
        let beside: Vec<_> = beside.iter().filter_map(|subnet| subnet.cidr.parse().ok()).collect();
        let (pods, services) = (request.pod_subnet.as_deref(), request.service_subnet.as_deref());
        let ranges = Ranges::of_vpc(pods, services, &taken, &beside)?;

        let mut spec = spec(caller, request, &version, ranges, &pool)?;
        spec.vpc_ids = vec![vpc.id];
        spec.addons = addons::default_addons(self.catalog.addons(), Provider::VpcGen2, &version.full, now.as_millisecond());
        dedicated_hosts::pool_check(tx, account_id, pool.host_pool_id.as_deref()).await?;
        let provider = Provider::VpcGen2;
        let region = vpc.region;
        let pools = vec![(pool_name.to_owned(), pool)];
        Ok(NewCluster { caller, account_id, group, name, provider, region, spec, pools, now })
    }

    /// Free addresses by network of the caller's account: how many are in use.
    pub(crate) async fn addresses_in_use(&self, account_id: &str) -> Result<BTreeMap<String, i64>> {
        Ok(workers::addresses_in_use(&mut *self.store.read().await?, account_id).await?.into_iter().collect())
    }
}

/// `vpc-gen2`, or a shorter word for it; `vpc-classic` is no longer offered.
fn provider(given: Option<&str>) -> Result<()> {
    match given.unwrap_or_default() {
        "" | "vpc" | "vpc-gen2" => Ok(()),
        "classic" | "satellite" | "upi" => Err(Error::ProviderNotPermitted),
        other => Err(Error::Invalid(format!("The provider '{other}' is not offered. The accepted value is 'vpc-gen2'."))),
    }
}

/// Those of the subnets that zones name that the account has.
pub(crate) async fn subnets_of(conn: &mut Conn, account_id: &str, zones: &[(String, String)]) -> Result<Vec<Subnet>> {
    if zones.len() > MOST_ZONES {
        return Err(Error::Invalid(format!("A worker pool can have at most {MOST_ZONES} zones.")));
    }
    let mut found = Vec::new();
    for (_, subnet) in zones {
        found.extend(networks::subnet_get(conn, account_id, subnet).await?);
    }
    Ok(found)
}

async fn vpc(conn: &mut Conn, account_id: &str, wanted: &str) -> Result<networks::Vpc> {
    if wanted.is_empty() {
        return Err(Error::Missing("Specify the 'vpcID' of the worker pool. To list VPCs, run 'boatyard ks vpcs'.".to_owned()));
    }
    networks::vpc_get(conn, account_id, wanted).await?.ok_or_else(|| Error::VpcNotFound(wanted.to_owned()))
}

/// The pool that was asked for, checked against the catalog and the account's subnets. It has at least `least` workers in a zone.
pub(crate) fn pool(
    catalog: &Catalog,
    request: &VpcPoolRequest,
    version: &Version,
    subnets: &[Subnet],
    least: usize,
) -> Result<PoolSpec> {
    if request.flavor.is_empty() {
        return Err(Error::Missing("Specify the 'flavor' of the worker pool, such as 'bx2.4x16'.".to_owned()));
    }
    check_labels(&request.labels)?;
    let texts = [&request.entitlement, &request.host_pool_id, &request.secondary_storage, &request.kms_instance_id];
    let more = [&request.kms_key_id, &request.kms_account_id];
    if texts.into_iter().chain(more).flatten().any(|text| text.len() > LONGEST_TEXT) {
        return Err(Error::Invalid(format!("No value may be longer than {LONGEST_TEXT} characters.")));
    }
    // A pool may have no zones yet; its flavor must exist all the same.
    let mut flavor = match request.zones.is_empty() {
        true => catalog.flavor_name(&request.flavor, Provider::VpcGen2)?,
        false => String::new(),
    };
    let mut zones = Vec::new();
    let mut seen = HashSet::new();
    for zone in &request.zones {
        let id = &zone.0;
        if !seen.insert(id) {
            return Err(Error::Invalid(format!("The zone '{id}' is given twice.")));
        }
        flavor = catalog.flavor(&request.flavor, catalog.zone(id, Provider::VpcGen2)?, version)?;
        zones.push(pool_zone(catalog, zone, &request.vpc_id, subnets)?);
    }
    Ok(PoolSpec {
        flavor,
        isolation: create::isolation(request.isolation.as_deref())?,
        disk_encryption: request.disk_encryption.unwrap_or(true),
        operating_system: operating_system(request.operating_system.as_deref(), version)?,
        size_per_zone: create::size_per_zone(request.size_per_zone, zones.len(), least)?,
        labels: request.labels.clone(),
        zones,
        entitlement: create::entitlement(request.entitlement.as_deref())?,
        host_pool_id: request.host_pool_id.clone(),
        secondary_storage: request.secondary_storage.clone(),
        security_group_ids: create::security_groups(&request.security_group_ids)?,
        kms_instance_id: request.kms_instance_id.clone(),
        kms_key_id: request.kms_key_id.clone(),
        kms_account_id: request.kms_account_id.clone(),
        vpc_id: Some(request.vpc_id.clone()),
        ..PoolSpec::default()
    })
}

/// A zone and its subnet, checked.
pub(crate) fn pool_zone(
    catalog: &Catalog,
    (zone, subnet_id): &(String, String),
    vpc_id: &str,
    subnets: &[Subnet],
) -> Result<PoolZone> {
    catalog.zone(zone, Provider::VpcGen2)?;
    let subnet = subnet(subnets, subnet_id, vpc_id, zone)?;
    Ok(PoolZone { id: zone.clone(), subnet_id: Some(subnet.id.clone()), ..PoolZone::default() })
}

/// The system that workers run: what was asked for, or the version's default.
pub(crate) fn operating_system(given: Option<&str>, version: &Version) -> Result<String> {
    let systems = &version.operating_systems;
    match given.filter(|os| !os.is_empty()) {
        None => Ok(version.operating_system.clone()),
        Some(os) if systems.iter().any(|known| known == os) => Ok(os.to_owned()),
        Some(os) => {
            let text = format!(
                "The operating system '{os}' is not offered for this version. The accepted values are {}.",
                systems.join(", ")
            );
            Err(Error::Invalid(text))
        }
    }
}

fn subnet<'a>(subnets: &'a [Subnet], id: &str, vpc_id: &str, zone: &str) -> Result<&'a Subnet> {
    if id.is_empty() {
        let hint =
            format!("Specify a 'subnetID' for the zone '{zone}'. To list subnets, run 'boatyard ks subnets --zone {zone}'.");
        return Err(Error::Missing(hint));
    }
    let found = subnets.iter().find(|s| s.id == id && s.vpc_id == vpc_id);
    let found = found.ok_or_else(|| Error::SubnetNotFound { subnet: id.to_owned(), vpc: vpc_id.to_owned() })?;
    if found.zone != zone {
        return Err(Error::SubnetElsewhere { subnet: id.to_owned(), is_in: found.zone.clone(), zone: zone.to_owned() });
    }
    Ok(found)
}

fn spec(
    caller: &Caller,
    request: &VpcClusterRequest,
    version: &Version,
    ranges: Ranges,
    pool: &PoolSpec,
) -> Result<ClusterSpec> {
    let given = |text: &Option<String>| text.clone().filter(|t| !t.is_empty());
    let cos = given(&request.cos_instance_crn);
    if version.openshift && cos.is_none() {
        let text = "OpenShift clusters on VPC need the CRN of an object storage instance as 'cosInstanceCRN', for the backup of \
                    the internal registry.";
        return Err(Error::Missing(text.to_owned()));
    }
    if cos.as_deref().is_some_and(|crn| !crn.starts_with("crn:") || !crn.contains(":cloud-object-storage:")) {
        return Err(Error::Invalid("The 'cosInstanceCRN' must be the CRN of a cloud-object-storage instance.".to_owned()));
    }
    let plugin = given(&request.network_plugin).unwrap_or_else(|| "Calico".to_owned());
    if !["Calico", "OVNKubernetes"].contains(&plugin.as_str()) {
        let text = format!("The network plugin '{plugin}' is not known. The accepted values are 'Calico' and 'OVNKubernetes'.");
        return Err(Error::Invalid(text));
    }
    Ok(ClusterSpec {
        version: version.full.clone(),
        version_eos: version.end_of_service.clone(),
        openshift: version.openshift,
        pod_subnet: ranges.pods,
        service_subnet: ranges.services,
        public_endpoint: !request.disable_public_endpoint,
        private_endpoint: true,
        datacenter: pool.zones.first().map_or_else(String::new, |zone| zone.id.clone()),
        entitlement: create::entitlement(request.entitlement.as_deref())?.or_else(|| pool.entitlement.clone()),
        network_plugin: Some(plugin),
        cos_instance_crn: cos,
        security_group_ids: create::security_groups(&request.security_group_ids)?,
        disable_outbound_traffic_protection: request.disable_outbound_traffic_protection,
        owner_email: caller.email.clone(),
        owner_iam_id: caller.iam_id.clone(),
        ..ClusterSpec::default()
    })
}
