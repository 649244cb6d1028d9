//! Networks of an account: what the first start offers, and lists with free addresses.
//!
//! Networks are shared by what runs in a region, so whoever may see anything of a region, be it a single cluster, sees its networks,
//! without which nobody could work on clusters there; others see none.

use std::collections::BTreeSet;

use boatyard_core::id;
use boatyard_iam::access::Resource;
use boatyard_iam::{Caller, ResourceGroup};
use boatyard_store::networks::{self, Subnet, Vlan, Vpc};
use boatyard_store::{Conn, resource_groups};

use crate::catalog::Zone;
use crate::{Error, Fleet, Provider, Result, addresses, classic_subnets, create};

/// What whoever sees networks must be allowed.
const READ: &str = "containers-kubernetes.cluster.read";
/// The region of the default VPC, and the data centers with a VLAN pair, where the catalog has them.
const VPC_REGION: &str = "us-south";
const DATACENTERS: [&str; 3] = ["dal10", "dal12", "dal13"];

/// A subnet with its VPC's name and the number of addresses that are free.
#[derive(Clone, Debug)]
pub struct SubnetView {
    pub subnet: Subnet,
    pub vpc_name: String,
    pub free: i64,
}

/// What a caller sees of the networks of an account.
pub(crate) struct Sight<'a> {
    caller: Caller,
    account_id: &'a str,
    /// Whether all of them, and nothing has to be asked.
    all: bool,
    /// Regions of the clusters that the caller reaches.
    regions: BTreeSet<String>,
    groups: Vec<ResourceGroup>,
}

impl Sight<'_> {
    /// Whether the networks of a region are seen: the caller may read a cluster there, or whatever clusters of some resource group are in it.
    pub fn sees(&self, region: &str) -> bool {
        let reaches = |group: &ResourceGroup| self.caller.reaches(&Resource::clusters(self.account_id, region, &group.id));
        self.all || self.regions.contains(region) || self.groups.iter().any(reaches)
    }
}

impl Fleet {
    /// What a caller sees of the networks of their account.
    pub(crate) async fn sight<'a>(&self, caller: &'a Caller) -> Result<Sight<'a>> {
        let account_id = create::account(caller)?;
        // Lists of networks need it, also where the service lets everybody ask for them.
        let caller = caller.clone().acting(READ);
        if caller.reaches_all() {
            return Ok(Sight { caller, account_id, all: true, regions: BTreeSet::new(), groups: Vec::new() });
        }
        let regions = self.clusters(&caller).await?.iter().map(|cluster| cluster.region.clone()).collect();
        let groups = resource_groups::list(&mut *self.store.read().await?, account_id).await?;
        Ok(Sight { caller, account_id, all: false, regions, groups })
    }

    /// Gives an account without networks a VPC with a subnet in each zone of one region, and a VLAN pair in each of three classic
    /// data centers, so that a cluster can be created at once. Does nothing where there are any.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn networks_ensure(&self, account_id: &str, resource_group_id: &str) -> Result<()> {
        let mut tx = self.begin(account_id).await?;
        self.networks_ensure_in(&mut tx, account_id, resource_group_id).await?;
        Ok(tx.commit().await?)
    }

    /// The same in a transaction of the caller's.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn networks_ensure_in(&self, tx: &mut Conn, account_id: &str, resource_group_id: &str) -> Result<()> {
        if !networks::vpcs(tx, account_id).await?.is_empty() || !networks::vlans(tx, account_id).await?.is_empty() {
            return Ok(());
        }
        let zones = self.default_zones();
        let region = zones.first().map_or(VPC_REGION, |zone| zone.service_region());
        let vpc = Vpc {
            id: format!("r006-{}", id::uuid()),
            account_id: account_id.to_owned(),
            name: "default".to_owned(),
            region: region.to_owned(),
            resource_group_id: resource_group_id.to_owned(),
            created_at: self.clock.now().as_millisecond(),
        };
        networks::vpc_insert(tx, &vpc).await?;
        for (index, zone) in zones.into_iter().enumerate() {
            // As the VPC service lays out its default address prefixes: a quarter of 10.240.0.0/16 for each zone.
            let subnet = Subnet {
                id: format!("07{}7-{}", index + 1, id::uuid()),
                account_id: account_id.to_owned(),
                vpc_id: vpc.id.clone(),
                name: format!("default-{}", zone.id),
                zone: zone.id.clone(),
                cidr: format!("10.240.{}.0/24", index * 64),
            };
            networks::subnet_insert(tx, &subnet).await?;
        }
        for datacenter in self.default_datacenters() {
            vlan_pair_insert(tx, account_id, &datacenter).await?;
        }
        Ok(())
    }

    /// Zones of the default VPC. A user's catalog may have other regions.
    fn default_zones(&self) -> Vec<&Zone> {
        let first = self.catalog.zones(Provider::VpcGen2).next().map_or(VPC_REGION, Zone::service_region);
        let usual = self.catalog.zones_in(VPC_REGION, Provider::VpcGen2).next().map_or(first, Zone::service_region);
        // The address range of the default VPC has four quarters.
        self.catalog.zones_in(usual, Provider::VpcGen2).take(4).collect()
    }

    /// The data centers with VLANs. A user's catalog may have others.
    fn default_datacenters(&self) -> Vec<String> {
        let all: Vec<_> = self.catalog.zones(Provider::Classic).map(|zone| zone.id.clone()).collect();
        let usual: Vec<_> = all.iter().filter(|id| DATACENTERS.contains(&id.as_str())).cloned().collect();
        if usual.is_empty() { all.into_iter().take(DATACENTERS.len()).collect() } else { usual }
    }

    /// VPCs that the caller sees.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn vpcs(&self, caller: &Caller) -> Result<Vec<Vpc>> {
        let sight = self.sight(caller).await?;
        let mut vpcs = networks::vpcs(&mut *self.store.read().await?, create::account(caller)?).await?;
        vpcs.retain(|vpc| sight.sees(&vpc.region));
        Ok(vpcs)
    }

    /// Subnets that the caller sees, narrowed to a VPC and a zone if they are given.
    ///
    /// # Errors
    /// If the caller sees no such VPC, or there is no such zone.
    pub async fn subnets(&self, caller: &Caller, vpc: Option<&str>, zone: Option<&str>) -> Result<Vec<SubnetView>> {
        let account_id = create::account(caller)?;
        zone.map(|zone| self.catalog.zone(zone, Provider::VpcGen2)).transpose()?;
        let used = self.addresses_in_use(account_id).await?;
        let vpcs = self.vpcs(caller).await?;
        let mut conn = self.store.read().await?;
        if let Some(unknown) = vpc.filter(|id| vpcs.iter().all(|vpc| vpc.id != *id)) {
            return Err(Error::VpcNotFound(unknown.to_owned()));
        }
        let subnets = networks::subnets(&mut conn, account_id).await?.into_iter();
        let wanted = subnets.filter(|s| vpc.is_none_or(|vpc| s.vpc_id == vpc) && zone.is_none_or(|zone| s.zone == zone));
        Ok(wanted
            .filter_map(|subnet| {
                let vpc_name = vpcs.iter().find(|vpc| vpc.id == subnet.vpc_id)?.name.clone();
                let capacity = i64::from(addresses::capacity(&subnet.cidr));
                let free = capacity - used.get(&subnet.id).copied().unwrap_or(0);
                Some(SubnetView { subnet, vpc_name, free })
            })
            .collect())
    }

    /// VLANs in a data center that the caller sees.
    ///
    /// # Errors
    /// If there is no such data center.
    pub async fn vlans(&self, caller: &Caller, datacenter: &str) -> Result<Vec<Vlan>> {
        let zone = self.catalog.zone(datacenter, Provider::Classic)?;
        if !self.sight(caller).await?.sees(zone.service_region()) {
            return Ok(Vec::new());
        }
        let mut vlans = networks::vlans(&mut *self.store.read().await?, create::account(caller)?).await?;
        vlans.retain(|vlan| vlan.datacenter == datacenter);
        Ok(vlans)
    }
}

/// A new private and public VLAN behind one pair of routers.
pub(crate) async fn vlan_pair_insert(conn: &mut Conn, account_id: &str, datacenter: &str) -> Result<Vec<Vlan>> {
    let mut pair = Vec::new();
    for (kind, router, cidr) in [("private", 'b', "10.176.0.0/24"), ("public", 'f', "198.51.100.0/24")] {
        let vlan = Vlan {
            id: vlan_id(conn).await?,
            account_id: account_id.to_owned(),
            datacenter: datacenter.to_owned(),
            kind: kind.to_owned(),
            number: 800 + i64::from(u16::from_be_bytes(id::random()) % 3200),
            router: format!("{router}cr01a.{datacenter}"),
            cidr: cidr.to_owned(),
        };
        networks::vlan_insert(conn, &vlan).await?;
        classic_subnets::add(conn, &vlan, classic_subnets::SMALLEST, None).await?;
        pair.push(vlan);
    }
    Ok(pair)
}

/// Seven digits that no other VLAN has.
pub(crate) async fn vlan_id(conn: &mut Conn) -> Result<String> {
    loop {
        let id = (2_000_000 + u32::from_be_bytes(id::random()) % 1_000_000).to_string();
        if !networks::vlan_id_taken(conn, &id).await? {
            return Ok(id);
        }
    }
}
