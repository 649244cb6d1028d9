//! Creating clusters on classic infrastructure.

use boatyard_iam::Caller;
use boatyard_store::networks::{self, Vlan};

use crate::catalog::{Version, Zone, catalog};
use crate::create::{self, Group, NewCluster};
use crate::ranges::Ranges;
use crate::{ClusterSpec, Error, Fleet, PoolSpec, PoolZone, Provider, Result, vpc};

/// A request for a classic cluster. Empty text means absent.
#[derive(Clone, Debug, Default)]
pub struct ClassicClusterRequest {
    pub name: String,
    pub datacenter: String,
    pub machine_type: String,
    pub isolation: Option<String>,
    pub version: Option<String>,
    pub workers: Option<i64>,
    pub public_vlan: Option<String>,
    pub private_vlan: Option<String>,
    pub public_endpoint: Option<bool>,
    pub private_endpoint: Option<bool>,
    pub gateway: bool,
    pub disk_encryption: Option<bool>,
    pub pool_name: Option<String>,
    pub entitlement: Option<String>,
    pub operating_system: Option<String>,
    pub pod_subnet: Option<String>,
    pub service_subnet: Option<String>,
    pub disable_auto_update: bool,
}

impl Fleet {
    /// Requests a classic cluster and returns its ID. The cluster and its workers can be read at once.
    ///
    /// # Errors
    /// What the service refuses: see [`Error`].
    pub async fn classic_cluster_create(
        &self,
        caller: &Caller,
        group: &Group,
        request: &ClassicClusterRequest,
    ) -> Result<String> {
        let account_id = create::account(caller)?;
        let now = self.clock.now();
        let name = create::cluster_name(&request.name)?;
        let missing = [("dataCenter", &request.datacenter), ("machineType", &request.machine_type)];
        if let Some((member, _)) = missing.iter().find(|(_, value)| value.is_empty()) {
            return Err(Error::ClassicIncomplete(format!("No '{member}' is given.")));
        }
        let zone = catalog().zone(&request.datacenter, Provider::Classic)?;
        let version = catalog().version(request.version.as_deref().unwrap_or_default(), None, Provider::Classic, now)?;
        let flavor = catalog().flavor(&request.machine_type, zone, &version)?;
        let pool_name = create::pool_name(request.pool_name.as_deref())?;
        let endpoints = endpoints(request, &version)?;

        let mut tx = self.begin(account_id).await?;
        let mut vlans = networks::vlans(&mut tx, account_id).await?;
        vlans.retain(|vlan| vlan.datacenter == zone.id);
        if vlans.is_empty() && request.public_vlan.is_none() && request.private_vlan.is_none() {
            vlans = crate::networks::vlan_pair_insert(&mut tx, account_id, &zone.id).await?;
        }
        let (private, public) = vlan_pair(&vlans, request, &zone.id, endpoints)?;
        let pool = pool(request, flavor, &version, zone, private, public)?;
        let networks = vec![(private.id.clone(), private.cidr.clone())];
        let spec = spec(caller, request, &version, endpoints, zone)?;
        let provider = Provider::Classic;
        let region = zone.service_region();
        self.cluster_insert(
            tx,
            NewCluster { caller, account_id, group, name, provider, region, spec, pool_name, pool, networks, now },
        )
        .await
    }
}

/// Whether the master is reachable publicly and privately; publicly unless something else was asked for.
fn endpoints(request: &ClassicClusterRequest, version: &Version) -> Result<(bool, bool)> {
    let private = request.private_endpoint.unwrap_or(false);
    let public = request.public_endpoint.unwrap_or(false) || !private;
    if request.gateway {
        return Err(Error::Unbuilt("Boatyard does not make gateway-enabled clusters yet. Leave 'GatewayEnabled' out."));
    }
    if version.openshift && !public {
        return Err(Error::Invalid("Classic OpenShift clusters need the public service endpoint.".to_owned()));
    }
    Ok((public, private))
}

/// The VLANs that were asked for, or the account's pair in the data center. Private without public is for clusters whose master
/// is reached privately.
fn vlan_pair<'a>(
    vlans: &'a [Vlan],
    request: &ClassicClusterRequest,
    datacenter: &str,
    (_, private_endpoint): (bool, bool),
) -> Result<(&'a Vlan, Option<&'a Vlan>)> {
    let given = |text: &Option<String>| text.clone().filter(|t| !t.is_empty());
    let find = |kind: &'static str, id: &str| {
        let found = vlans.iter().find(|vlan| vlan.kind == kind && vlan.id == id);
        found.ok_or_else(|| Error::VlanNotFound { kind, id: id.to_owned(), datacenter: datacenter.to_owned() })
    };
    let (private, public) = match (given(&request.private_vlan), given(&request.public_vlan)) {
        (Some(private), Some(public)) => (find("private", &private)?, Some(find("public", &public)?)),
        (Some(private), None) if private_endpoint => (find("private", &private)?, None),
        (None, None) => {
            first_pair(vlans).ok_or_else(|| Error::ClassicIncomplete(format!("There are no VLANs in {datacenter}.")))?
        }
        _ => return Err(Error::ClassicIncomplete("Give both VLANs or neither.".to_owned())),
    };
    if let Some(public) = public.filter(|public| public.router.get(1..) != private.router.get(1..)) {
        return Err(Error::VlansDoNotPair {
            private: private.id.clone(),
            public: public.id.clone(),
            private_router: private.router.clone(),
            public_router: public.router.clone(),
        });
    }
    Ok((private, public))
}

/// The first private VLAN with a public one behind the same router: `bcr01a.dal10` and `fcr01a.dal10`.
fn first_pair(vlans: &[Vlan]) -> Option<(&Vlan, Option<&Vlan>)> {
    vlans.iter().filter(|vlan| vlan.kind == "private").find_map(|private| {
        let public = vlans.iter().find(|v| v.kind == "public" && v.router.get(1..) == private.router.get(1..))?;
        Some((private, Some(public)))
    })
}

fn pool(
    request: &ClassicClusterRequest,
    flavor: String,
    version: &Version,
    zone: &Zone,
    private: &Vlan,
    public: Option<&Vlan>,
) -> Result<PoolSpec> {
    Ok(PoolSpec {
        disk_encryption: request.disk_encryption.unwrap_or(true) || flavor.ends_with(".encrypted"),
        flavor,
        isolation: create::isolation(request.isolation.as_deref())?,
        operating_system: vpc::operating_system(request.operating_system.as_deref(), version)?,
        size_per_zone: create::size_per_zone(request.workers, 1, version.openshift)?,
        zones: vec![PoolZone {
            id: zone.id.clone(),
            private_vlan: Some(private.id.clone()),
            public_vlan: public.map(|vlan| vlan.id.clone()),
            ..PoolZone::default()
        }],
        entitlement: create::entitlement(request.entitlement.as_deref())?,
        ..PoolSpec::default()
    })
}

fn spec(
    caller: &Caller,
    request: &ClassicClusterRequest,
    version: &Version,
    (public_endpoint, private_endpoint): (bool, bool),
    zone: &Zone,
) -> Result<ClusterSpec> {
    let given = |text: &Option<String>| text.clone().filter(|t| !t.is_empty());
    let (pods, services) = (given(&request.pod_subnet), given(&request.service_subnet));
    let ranges = Ranges::of_classic(pods.as_deref(), services.as_deref())?;
    Ok(ClusterSpec {
        version: version.full.clone(),
        version_eos: version.end_of_service.clone(),
        openshift: version.openshift,
        pod_subnet: ranges.pods,
        service_subnet: ranges.services,
        public_endpoint,
        private_endpoint,
        datacenter: zone.id.clone(),
        entitlement: create::entitlement(request.entitlement.as_deref())?,
        disable_auto_update: request.disable_auto_update,
        owner_email: caller.email.clone(),
        ..ClusterSpec::default()
    })
}
