//! Networks of an account: what the first start offers, and lists with free addresses.

use boatyard_core::id;
use boatyard_iam::Caller;
use boatyard_store::Conn;
use boatyard_store::networks::{self, Subnet, Vlan, Vpc};

use crate::catalog::Zone;
use crate::{Error, Fleet, Provider, Result, addresses, classic_subnets, create};

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

impl Fleet {
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

    /// Subnets of the caller's account, narrowed to a VPC and a zone if they are given.
    ///
    /// # Errors
    /// If there is no such VPC or zone.
    pub async fn subnets(&self, caller: &Caller, vpc: Option<&str>, zone: Option<&str>) -> Result<Vec<SubnetView>> {
        let account_id = create::account(caller)?;
        zone.map(|zone| self.catalog.zone(zone, Provider::VpcGen2)).transpose()?;
        let used = self.addresses_in_use(account_id).await?;
        let mut conn = self.store.read().await?;
        let vpcs = networks::vpcs(&mut conn, account_id).await?;
        if let Some(unknown) = vpc.filter(|id| vpcs.iter().all(|vpc| vpc.id != *id)) {
            return Err(Error::VpcNotFound(unknown.to_owned()));
        }
        let subnets = networks::subnets(&mut conn, account_id).await?.into_iter();
        let wanted = subnets.filter(|s| vpc.is_none_or(|vpc| s.vpc_id == vpc) && zone.is_none_or(|zone| s.zone == zone));
        Ok(wanted
            .map(|subnet| {
                let capacity = i64::from(addresses::capacity(&subnet.cidr));
                let free = capacity - used.get(&subnet.id).copied().unwrap_or(0);
                let vpc_name = vpcs.iter().find(|v| v.id == subnet.vpc_id).map_or_else(String::new, |v| v.name.clone());
                SubnetView { subnet, vpc_name, free }
            })
            .collect())
    }

    /// VLANs of the caller's account in a data center.
    ///
    /// # Errors
    /// If there is no such data center.
    pub async fn vlans(&self, caller: &Caller, datacenter: &str) -> Result<Vec<Vlan>> {
        self.catalog.zone(datacenter, Provider::Classic)?;
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
