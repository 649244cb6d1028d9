//! Creating clusters on classic infrastructure.

use boatyard_iam::Caller;
use boatyard_store::Conn;
use boatyard_store::networks::{self, Vlan};

use crate::catalog::{Version, Zone};
use crate::create::{self, Group, NewCluster};
use crate::ranges::Ranges;
use crate::{ClusterSpec, Error, Fleet, PoolSpec, PoolZone, Provider, Result, Support, vpc};

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
    pub no_subnet: bool,
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
        let support = self.support().await?;
        let mut tx = self.begin(create::account(caller)?).await?;
        let new = self.classic_cluster_plan(&mut tx, caller, group, request, &support).await?;
        self.cluster_insert(tx, new).await
    }

    /// The cluster that was asked for, checked.
    pub(crate) async fn classic_cluster_plan<'a>(
        &self,
        tx: &mut Conn,
        caller: &'a Caller,
        group: &'a Group,
        request: &'a ClassicClusterRequest,
        support: &Support,
    ) -> Result<NewCluster<'a>> {
        let account_id = create::account(caller)?;
        let name = create::cluster_name(&request.name)?;
        let missing = [("dataCenter", &request.datacenter), ("machineType", &request.machine_type)];
        if let Some((member, _)) = missing.iter().find(|(_, value)| value.is_empty()) {
            return Err(Error::ClassicIncomplete(format!("No '{member}' is given.")));
        }
        let zone = self.catalog.zone(&request.datacenter, Provider::Classic)?;
        let version = request.version.as_deref().unwrap_or_default();
        let version = self.catalog.version(version, None, Provider::Classic, support)?;
        let flavor = self.catalog.flavor(&request.machine_type, zone, &version)?;
        let pool_name = create::pool_name(request.pool_name.as_deref())?;
        let endpoints = endpoints(request, &version)?;

        let wanted = Vlans { private: request.private_vlan.as_deref(), public: request.public_vlan.as_deref() };
        let vlans = vlans_in(tx, account_id, &zone.id, &wanted).await?;
        let (private, public) = vlan_pair(&vlans, &wanted, &zone.id, endpoints.1)?;
        let pool = pool(request, flavor, &version, zone, private, public)?;
        let spec = spec(caller, request, &version, endpoints, zone)?;
        let provider = Provider::Classic;
        let region = zone.service_region().to_owned();
        let pools = match request.gateway {
            false => vec![(pool_name.to_owned(), pool)],
            true => gateway_pools(pool)?,
        };
        Ok(NewCluster { caller, account_id, group, name, provider, region, spec, pools, now: self.clock.now() })
    }
}

/// Whether the master is reachable publicly and privately; publicly unless something else was asked for.
fn endpoints(request: &ClassicClusterRequest, version: &Version) -> Result<(bool, bool)> {
    let private = request.private_endpoint.unwrap_or(false);
    let public = request.public_endpoint.unwrap_or(false) || !private;
    if request.gateway && !private {
        return Err(Error::Invalid("Gateway-enabled clusters need the private service endpoint as well.".to_owned()));
    }
    if version.openshift && !public {
        return Err(Error::Invalid("Classic OpenShift clusters need the public service endpoint.".to_owned()));
    }
    Ok((public, private))
}

/// The VLANs that a request names; empty text means none.
pub(crate) struct Vlans<'a> {
    pub private: Option<&'a str>,
    pub public: Option<&'a str>,
}

impl Vlans<'_> {
    fn given(&self) -> (Option<&str>, Option<&str>) {
        (self.private.filter(|id| !id.is_empty()), self.public.filter(|id| !id.is_empty()))
    }
}

/// The account's VLANs in a data center; a pair is made where there are none and none are asked for.
pub(crate) async fn vlans_in(conn: &mut Conn, account_id: &str, datacenter: &str, wanted: &Vlans<'_>) -> Result<Vec<Vlan>> {
    let mut vlans = networks::vlans(conn, account_id).await?;
    vlans.retain(|vlan| vlan.datacenter == datacenter);
    if vlans.is_empty() && wanted.given() == (None, None) {
        vlans = crate::networks::vlan_pair_insert(conn, account_id, datacenter).await?;
    }
    Ok(vlans)
}

/// The VLANs that were asked for, or the account's pair in the data center. Private without public is for clusters whose master
/// is reached privately.
pub(crate) fn vlan_pair<'a>(
    vlans: &'a [Vlan],
    wanted: &Vlans<'_>,
    datacenter: &str,
    private_endpoint: bool,
) -> Result<(&'a Vlan, Option<&'a Vlan>)> {
    let find = |kind: &'static str, id: &str| {
        let found = vlans.iter().find(|vlan| vlan.kind == kind && vlan.id == id);
        found.ok_or_else(|| Error::VlanNotFound { kind, id: id.to_owned(), datacenter: datacenter.to_owned() })
    };
    let (private, public) = match wanted.given() {
        (Some(private), Some(public)) => (find("private", private)?, Some(find("public", public)?)),
        (Some(private), None) if private_endpoint => (find("private", private)?, None),
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
        size_per_zone: create::size_per_zone(request.workers, 1, create::least_workers(1, version.openshift))?,
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

/// The pools of a gateway-enabled cluster: workers for applications on the private VLAN only, and two that pass traffic on between it
/// and the public one.
fn gateway_pools(pool: PoolSpec) -> Result<Vec<(String, PoolSpec)>> {
    if pool.zones.iter().any(|zone| zone.public_vlan.is_none()) {
        return Err(Error::ClassicIncomplete("Gateway-enabled clusters need both VLANs.".to_owned()));
    }
    let mut compute = pool.clone();
    for zone in &mut compute.zones {
        zone.public_vlan = None;
    }
    let gateway = PoolSpec { size_per_zone: 2, ..pool };
    Ok(vec![("compute".to_owned(), compute), ("gateway".to_owned(), gateway)])
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
        no_subnet: request.no_subnet,
        owner_email: caller.email.clone(),
        owner_iam_id: caller.iam_id.clone(),
        ..ClusterSpec::default()
    })
}
