//! Creating clusters on VPC infrastructure.

use std::collections::{BTreeMap, HashSet};

use boatyard_iam::Caller;
use boatyard_store::networks::{self, Subnet};
use boatyard_store::{clusters, workers};
use ipnet::Ipv4Net;

use crate::catalog::{Version, catalog};
use crate::create::{self, Group, NewCluster};
use crate::ranges::Ranges;
use crate::{Cluster, ClusterSpec, Error, Fleet, PoolSpec, PoolZone, Provider, Result};

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
        let account_id = create::account(caller)?;
        let now = self.clock.now();
        provider(request.provider.as_deref())?;
        let name = create::cluster_name(&request.name)?;
        let version = request.version.as_deref().unwrap_or_default();
        let version = catalog().version(version, request.offering.as_deref(), Provider::VpcGen2, now)?;
        let pool_name = create::pool_name(request.pool.name.as_deref())?;

        let mut tx = self.begin(account_id).await?;
        let subnets = networks::subnets(&mut tx, account_id).await?;
        let vpc = vpc(&networks::vpcs(&mut tx, account_id).await?, &request.pool.vpc_id)?;
        let pool = pool(&request.pool, &version, &subnets)?;
        let taken = pod_subnets(&clusters::list(&mut tx, account_id).await?, &vpc.id)?;
        let ranges = Ranges::of_vpc(request.pod_subnet.as_deref(), request.service_subnet.as_deref(), &taken)?;

        let networks = pool.zones.iter().map(|zone| network(zone, &subnets)).collect();
        let mut spec = spec(caller, request, &version, ranges, &pool)?;
        spec.vpc_ids = vec![vpc.id];
        let provider = Provider::VpcGen2;
        let region = &vpc.region;
        self.cluster_insert(
            tx,
            NewCluster { caller, account_id, group, name, provider, region, spec, pool_name, pool, networks, now },
        )
        .await
    }

    /// VPCs of the caller's account.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn vpcs(&self, caller: &Caller) -> Result<Vec<networks::Vpc>> {
        Ok(networks::vpcs(&mut *self.store.read().await?, create::account(caller)?).await?)
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

fn vpc(vpcs: &[networks::Vpc], wanted: &str) -> Result<networks::Vpc> {
    if wanted.is_empty() {
        return Err(Error::Missing("Specify the 'vpcID' of the worker pool. To list VPCs, run 'boatyard ks vpcs'.".to_owned()));
    }
    let found = vpcs.iter().find(|vpc| vpc.id == wanted);
    found.cloned().ok_or_else(|| Error::VpcNotFound(wanted.to_owned()))
}

/// The pool that was asked for, checked against the catalog and the account's subnets.
fn pool(request: &VpcPoolRequest, version: &Version, subnets: &[Subnet]) -> Result<PoolSpec> {
    let mut zones = Vec::new();
    let mut flavor = request.flavor.clone();
    if flavor.is_empty() {
        return Err(Error::Missing("Specify the 'flavor' of the worker pool, such as 'bx2.4x16'.".to_owned()));
    }
    if request.zones.is_empty() {
        // A pool may have no zones yet; its flavor must exist all the same.
        catalog().flavor_exists(&flavor, Provider::VpcGen2)?;
    }
    let mut seen = HashSet::new();
    for (zone_id, subnet_id) in &request.zones {
        let zone = catalog().zone(zone_id, Provider::VpcGen2)?;
        if !seen.insert(zone_id) {
            return Err(Error::Invalid(format!("The zone '{zone_id}' is given twice.")));
        }
        flavor = catalog().flavor(&request.flavor, zone, version)?;
        let subnet = subnet(subnets, subnet_id, &request.vpc_id, zone_id)?;
        zones.push(PoolZone { id: zone_id.clone(), subnet_id: Some(subnet.id.clone()), ..PoolZone::default() });
    }
    Ok(PoolSpec {
        flavor,
        isolation: create::isolation(request.isolation.as_deref())?,
        disk_encryption: request.disk_encryption.unwrap_or(true),
        operating_system: operating_system(request.operating_system.as_deref(), version)?,
        size_per_zone: create::size_per_zone(request.size_per_zone, zones.len(), version.openshift)?,
        labels: request.labels.clone(),
        zones,
        entitlement: create::entitlement(request.entitlement.as_deref())?,
        host_pool_id: request.host_pool_id.clone(),
        secondary_storage: request.secondary_storage.clone(),
        security_group_ids: create::security_groups(&request.security_group_ids)?,
        kms_instance_id: request.kms_instance_id.clone(),
        kms_key_id: request.kms_key_id.clone(),
        kms_account_id: request.kms_account_id.clone(),
    })
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

/// The network behind a zone of a checked pool.
fn network(zone: &PoolZone, subnets: &[Subnet]) -> (String, String) {
    let id = zone.subnet_id.clone().unwrap_or_default();
    let cidr = subnets.iter().find(|s| s.id == id).map_or_else(String::new, |s| s.cidr.clone());
    (id, cidr)
}

/// Pod subnets of the clusters in a VPC.
fn pod_subnets(rows: &[clusters::ClusterRow], vpc_id: &str) -> Result<Vec<Ipv4Net>> {
    let mut taken = Vec::new();
    for row in rows.iter().filter(|row| row.provider == Provider::VpcGen2.as_str()) {
        let cluster = Cluster::from_row(row, &[])?;
        if cluster.spec.vpc_ids.iter().any(|id| id == vpc_id) {
            taken.extend(cluster.spec.pod_subnet.parse::<Ipv4Net>());
        }
    }
    Ok(taken)
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
        ..ClusterSpec::default()
    })
}
