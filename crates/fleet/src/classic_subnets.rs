//! Portable subnets of classic VLANs, and subnets that users bring: addresses for the load balancers of classic clusters.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use boatyard_core::id;
use boatyard_iam::Caller;
use boatyard_store::networks::{self, Vlan};
use boatyard_store::portable_subnets::{self as subnets, Kind, PortableSubnet};
use boatyard_store::{Conn, Tx, clusters, workers};
use ipnet::Ipv4Net;
use tracing::info;

use crate::{Cluster, Error, Fleet, Provider, Result, create};

/// How many addresses a subnet can have.
const SIZES: [u32; 4] = [SMALLEST, 16, 32, 64];
/// The size that a VLAN and a new cluster get.
pub(crate) const SMALLEST: u32 = 8;

/// Where portable subnets are taken from: beside the workers' addresses for private VLANs, and ranges that are nobody's on the
/// internet for public ones.
const PRIVATE_BLOCKS: [&str; 1] = ["10.177.0.0/16"];
const PUBLIC_BLOCKS: [&str; 2] = ["203.0.113.0/24", "100.64.0.0/16"];

/// Why a request about subnets was refused.
#[derive(Debug, thiserror::Error)]
pub enum SubnetError {
    #[error("The specified subnet could not be found.")]
    NotFound,
    #[error("The subnet '{id}' is on the VLAN '{vlan}', which the cluster does not use.")]
    OtherVlan { id: String, vlan: String },
    #[error("The subnet '{0}' is used by another cluster. Detach it there first.")]
    InUse(String),
    #[error("The subnet '{0}' is not attached to this cluster.")]
    NotAttached(String),
    #[error("The cluster does not use the VLAN '{vlan}'.")]
    VlanNotOfCluster { vlan: String, vlans: Vec<String> },
    #[error("'{0}' is not a size of portable subnets. The accepted values are 8, 16, 32 and 64.")]
    Size(String),
    #[error("The subnet '{cidr}' is not valid. {rule}")]
    Cidr { cidr: String, rule: &'static str },
    #[error("The subnet '{cidr}' overlaps with {other}, which is in use on the VLAN.")]
    Overlap { cidr: String, other: String },
}

/// A subnet with the VLAN that it is on.
#[derive(Clone, Debug)]
pub struct PortableView {
    pub subnet: PortableSubnet,
    pub vlan: Vlan,
}

/// A VLAN of a cluster with the cluster's subnets on it.
#[derive(Clone, Debug)]
pub struct ClusterVlan {
    pub vlan: Vlan,
    pub subnets: Vec<PortableSubnet>,
}

/// Addresses of a subnet that load balancers can be given: all but the network's own, the gateway's and the last.
#[must_use]
pub fn addresses(cidr: &str) -> Vec<String> {
    let net: Option<Ipv4Net> = cidr.parse().ok();
    net.iter().flat_map(|net| net.hosts().skip(1)).map(|address| address.to_string()).collect()
}

/// The gateway of a subnet: its first address but one.
#[must_use]
pub fn gateway(cidr: &str) -> Option<Ipv4Addr> {
    cidr.parse::<Ipv4Net>().ok()?.hosts().next()
}

impl Fleet {
    /// Portable subnets of VLANs that the caller sees, narrowed to data centers or a metro.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn portable_subnets(&self, caller: &Caller, locations: &[String]) -> Result<Vec<PortableView>> {
        let account_id = create::account(caller)?;
        let sight = self.sight(caller).await?;
        let mut conn = self.store.read().await?;
        let vlans = networks::vlans(&mut conn, account_id).await?;
        let within = |vlan: &Vlan| {
            let zone = self.catalog.any_zone(&vlan.datacenter);
            let asked =
                locations.is_empty() || zone.is_some_and(|zone| locations.iter().any(|location| zone.is_within(location)));
            // A data center that the catalog has no more is in no region.
            asked && sight.sees(zone.map_or("", |zone| zone.service_region()))
        };
        let found = subnets::list(&mut conn, Kind::Portable, account_id).await?.into_iter();
        let views = found.filter_map(|subnet| {
            let vlan = vlans.iter().find(|vlan| vlan.id == subnet.vlan_id)?.clone();
            Some(PortableView { subnet, vlan })
        });
        Ok(views.filter(|view| within(&view.vlan)).collect())
    }

    /// The VLANs of a classic cluster, each with the subnets of that kind that the cluster uses.
    ///
    /// # Errors
    /// [`Error::ProviderNotPermitted`] for VPC clusters, [`Error::ClusterNotFound`].
    pub async fn cluster_vlans(
        &self,
        caller: &Caller,
        cluster: &str,
        group: Option<&str>,
        kind: Kind,
    ) -> Result<Vec<ClusterVlan>> {
        let cluster = self.cluster(caller, cluster, group).await?;
        classic(&cluster)?;
        Ok(self.vlans_of(caller, &[&cluster], kind).await?.into_iter().flatten().collect())
    }

    /// For each of the caller's clusters: its VLANs, each with the subnets of that kind that the cluster uses.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn vlans_of(&self, caller: &Caller, clusters: &[&Cluster], kind: Kind) -> Result<Vec<Vec<ClusterVlan>>> {
        let account_id = create::account(caller)?;
        let mut conn = self.store.read().await?;
        let vlans = networks::vlans(&mut conn, account_id).await?;
        let subnets = subnets::list(&mut conn, kind, account_id).await?;
        let on = |vlan: &Vlan, cluster: &Cluster| {
            let its = |s: &&PortableSubnet| s.vlan_id == vlan.id && s.cluster_id.as_ref() == Some(&cluster.id);
            ClusterVlan { subnets: subnets.iter().filter(its).cloned().collect(), vlan: vlan.clone() }
        };
        let of = |cluster: &Cluster| vlans.iter().filter(|v| uses(cluster, &v.id)).map(|v| on(v, cluster)).collect();
        Ok(clusters.iter().map(|cluster| of(cluster)).collect())
    }

    /// Gives a portable subnet to a classic cluster. Nothing changes if the cluster has it.
    ///
    /// # Errors
    /// [`SubnetError`], [`Error::ProviderNotPermitted`], [`Error::ClusterNotFound`]
    pub async fn cluster_subnet_add(&self, caller: &Caller, cluster: &str, group: Option<&str>, subnet: &str) -> Result<()> {
        let (cluster, mut tx) = self.classic_edit(caller, cluster, group).await?;
        let all = subnets::list(&mut tx, Kind::Portable, &cluster.account_id).await?;
        let found = all.into_iter().find(|s| s.id == subnet).ok_or(SubnetError::NotFound)?;
        match found.cluster_id {
            Some(user) if user == cluster.id => return Ok(()),
            Some(_) => return Err(SubnetError::InUse(found.id).into()),
            None => {}
        }
        if !uses(&cluster, &found.vlan_id) {
            return Err(SubnetError::OtherVlan { id: found.id, vlan: found.vlan_id }.into());
        }
        subnets::bind(&mut tx, &cluster.account_id, &found.id, Some(&cluster.id)).await?;
        tx.commit().await?;
        info!(cluster = %cluster.id, subnet = %found.id, by = %caller.iam_id, "subnet added");
        Ok(())
    }

    /// Takes a portable subnet from a classic cluster; the account keeps it.
    ///
    /// # Errors
    /// [`SubnetError`], [`Error::ProviderNotPermitted`], [`Error::ClusterNotFound`]
    pub async fn cluster_subnet_detach(&self, caller: &Caller, cluster: &str, group: Option<&str>, subnet: &str) -> Result<()> {
        let (cluster, mut tx) = self.classic_edit(caller, cluster, group).await?;
        let all = subnets::list(&mut tx, Kind::Portable, &cluster.account_id).await?;
        let found = all.into_iter().find(|s| s.id == subnet).ok_or(SubnetError::NotFound)?;
        if found.cluster_id.as_ref() != Some(&cluster.id) {
            return Err(SubnetError::NotAttached(found.id).into());
        }
        subnets::bind(&mut tx, &cluster.account_id, &found.id, None).await?;
        tx.commit().await?;
        info!(cluster = %cluster.id, subnet = %found.id, by = %caller.iam_id, "subnet detached");
        Ok(())
    }

    /// Makes a portable subnet on a VLAN of a classic cluster, for that cluster.
    ///
    /// # Errors
    /// [`SubnetError`], [`Error::ProviderNotPermitted`], [`Error::ClusterNotFound`]
    pub async fn cluster_subnet_create(
        &self,
        caller: &Caller,
        cluster: &str,
        group: Option<&str>,
        vlan: &str,
        size: &str,
    ) -> Result<PortableSubnet> {
        let size = size.parse().ok().filter(|size| SIZES.contains(size)).ok_or_else(|| SubnetError::Size(size.to_owned()))?;
        let (cluster, mut tx) = self.classic_edit(caller, cluster, group).await?;
        let vlan = cluster_vlan(&mut tx, &cluster, vlan).await?;
        let subnet = add(&mut tx, &vlan, size, Some(&cluster.id)).await?;
        tx.commit().await?;
        info!(cluster = %cluster.id, subnet = %subnet.id, vlan = %vlan.id, by = %caller.iam_id, "subnet created");
        Ok(subnet)
    }

    /// Makes a subnet that the user manages known to a classic cluster, on its private VLAN.
    ///
    /// # Errors
    /// [`SubnetError`], [`Error::ProviderNotPermitted`], [`Error::ClusterNotFound`]
    pub async fn user_subnet_add(
        &self,
        caller: &Caller,
        cluster: &str,
        group: Option<&str>,
        cidr: &str,
        vlan: &str,
    ) -> Result<()> {
        if cidr.is_empty() || vlan.is_empty() {
            let text = "Specify the 'cidr' of the subnet, and as 'vlan_id' the private VLAN of the cluster that it is on.";
            return Err(Error::Missing(text.to_owned()));
        }
        let net = user_range(cidr)?;
        let (cluster, mut tx) = self.classic_edit(caller, cluster, group).await?;
        let vlan = cluster_vlan(&mut tx, &cluster, vlan).await?;
        if vlan.kind != "private" {
            let rule = "Subnets can only be brought to the private VLAN of a cluster.";
            return Err(SubnetError::Cidr { cidr: cidr.to_owned(), rule }.into());
        }
        let taken = taken(&mut tx, &vlan).await?;
        if let Some(other) = taken.into_iter().find(|other| overlap(*other, net)) {
            return Err(SubnetError::Overlap { cidr: cidr.to_owned(), other: other.to_string() }.into());
        }
        let subnet = PortableSubnet {
            id: free_id(&mut tx).await?,
            account_id: cluster.account_id.clone(),
            vlan_id: vlan.id,
            cidr: net.to_string(),
            cluster_id: Some(cluster.id.clone()),
        };
        subnets::insert(&mut tx, Kind::User, &subnet).await?;
        tx.commit().await?;
        info!(cluster = %cluster.id, subnet = %subnet.id, by = %caller.iam_id, "user-managed subnet added");
        Ok(())
    }

    /// Takes a user-managed subnet from a classic cluster.
    ///
    /// # Errors
    /// [`SubnetError::NotFound`], [`Error::ProviderNotPermitted`], [`Error::ClusterNotFound`]
    pub async fn user_subnet_remove(
        &self,
        caller: &Caller,
        cluster: &str,
        group: Option<&str>,
        subnet: &str,
        vlan: &str,
    ) -> Result<()> {
        let (cluster, mut tx) = self.classic_edit(caller, cluster, group).await?;
        let all = subnets::list(&mut tx, Kind::User, &cluster.account_id).await?;
        let its = |s: &&PortableSubnet| s.id == subnet && s.vlan_id == vlan && s.cluster_id.as_ref() == Some(&cluster.id);
        let found = all.iter().find(its).ok_or(SubnetError::NotFound)?;
        subnets::user_delete(&mut tx, &cluster.account_id, &found.id).await?;
        tx.commit().await?;
        info!(cluster = %cluster.id, subnet, by = %caller.iam_id, "user-managed subnet removed");
        Ok(())
    }

    /// Whether the private VLANs of the account reach each other. They do as soon as there are any: all workers of an account are
    /// on one network here.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn vlan_spanning(&self, caller: &Caller) -> Result<bool> {
        let vlans = networks::vlans(&mut *self.store.read().await?, create::account(caller)?).await?;
        Ok(vlans.iter().any(|vlan| vlan.kind == "private"))
    }

    /// A classic cluster of the caller's account that is not being removed, and the transaction to change its networks in.
    async fn classic_edit(&self, caller: &Caller, cluster: &str, group: Option<&str>) -> Result<(Cluster, Tx)> {
        // Looked up before the transaction begins: whoever holds a connection must not wait for a second one.
        let known = self.cluster(caller, cluster, group).await?;
        let mut tx = self.begin(&known.account_id).await?;
        let row = clusters::find(&mut tx, &known.account_id, &known.id).await?.ok_or(Error::ClusterNotFound)?;
        let cluster = Cluster::from_row(&row, &workers::pools(&mut tx, &row.id).await?)?;
        classic(&cluster)?;
        if cluster.status.removal_since.is_some() {
            return Err(Error::ClusterNotReady { name: cluster.name, state: cluster.state });
        }
        Ok((cluster, tx))
    }
}

/// Gives a new classic cluster a portable subnet on each of its VLANs: a free one, or else a new one.
pub(crate) async fn cluster_bind(conn: &mut Conn, account_id: &str, cluster_id: &str, vlans: &[String]) -> Result<()> {
    let mut seen = BTreeSet::new();
    for id in vlans.iter().filter(|id| seen.insert(*id)) {
        let Some(vlan) = networks::vlan_get(conn, account_id, id).await? else { continue };
        let all = subnets::list(conn, Kind::Portable, account_id).await?;
        match all.iter().find(|subnet| subnet.vlan_id == vlan.id && subnet.cluster_id.is_none()) {
            Some(free) => subnets::bind(conn, account_id, &free.id, Some(cluster_id)).await?,
            None => add(conn, &vlan, SMALLEST, Some(cluster_id)).await.map(|_| ())?,
        }
    }
    Ok(())
}

/// Makes a portable subnet on a VLAN: the first range of that size that nothing else on the VLAN overlaps with.
pub(crate) async fn add(conn: &mut Conn, vlan: &Vlan, size: u32, cluster_id: Option<&str>) -> Result<PortableSubnet> {
    let taken = taken(conn, vlan).await?;
    let blocks = if vlan.kind == "private" { &PRIVATE_BLOCKS[..] } else { &PUBLIC_BLOCKS[..] };
    let exhausted = || Error::AddressesExhausted { network: vlan.id.clone(), free: 0, wanted: size as usize };
    let cidr = free_range(blocks, size, &taken).ok_or_else(exhausted)?;
    let subnet = PortableSubnet {
        id: free_id(conn).await?,
        account_id: vlan.account_id.clone(),
        vlan_id: vlan.id.clone(),
        cidr: cidr.to_string(),
        cluster_id: cluster_id.map(str::to_owned),
    };
    subnets::insert(conn, Kind::Portable, &subnet).await?;
    Ok(subnet)
}

/// Ranges in use on a VLAN: the workers', the portable subnets and those of users.
async fn taken(conn: &mut Conn, vlan: &Vlan) -> Result<Vec<Ipv4Net>> {
    let mut taken: Vec<Ipv4Net> = vlan.cidr.parse().into_iter().collect();
    for kind in [Kind::Portable, Kind::User] {
        let all = subnets::list(conn, kind, &vlan.account_id).await?;
        taken.extend(all.iter().filter(|subnet| subnet.vlan_id == vlan.id).filter_map(|s| s.cidr.parse::<Ipv4Net>().ok()));
    }
    Ok(taken)
}

fn free_range(blocks: &[&str], size: u32, taken: &[Ipv4Net]) -> Option<Ipv4Net> {
    let prefix = u8::try_from(32 - size.ilog2()).ok()?;
    let blocks = blocks.iter().filter_map(|block| block.parse::<Ipv4Net>().ok());
    let mut candidates = blocks.filter_map(|block| block.subnets(prefix).ok()).flatten();
    candidates.find(|net| !taken.iter().any(|other| overlap(*net, *other)))
}

fn overlap(a: Ipv4Net, b: Ipv4Net) -> bool {
    a.contains(&b) || b.contains(&a)
}

fn user_range(cidr: &str) -> Result<Ipv4Net> {
    let refused = |rule| SubnetError::Cidr { cidr: cidr.to_owned(), rule };
    let net: Ipv4Net = cidr.parse().map_err(|_| refused("The subnet must be in CIDR notation, such as 192.168.10.0/26."))?;
    if !(8..=30).contains(&net.prefix_len()) || net.trunc() != net {
        return Err(refused("The subnet must be given as its first address and a prefix length of 8 to 30.").into());
    }
    Ok(net)
}

async fn cluster_vlan(conn: &mut Conn, cluster: &Cluster, id: &str) -> Result<Vlan> {
    let mut vlans = networks::vlans(conn, &cluster.account_id).await?;
    vlans.retain(|vlan| uses(cluster, &vlan.id));
    let names = vlans.iter().map(|vlan| vlan.id.clone()).collect();
    let found = vlans.into_iter().find(|vlan| vlan.id == id);
    Ok(found.ok_or(SubnetError::VlanNotOfCluster { vlan: id.to_owned(), vlans: names })?)
}

fn classic(cluster: &Cluster) -> Result<()> {
    if cluster.provider == Provider::Classic { Ok(()) } else { Err(Error::ProviderNotPermitted) }
}

fn uses(cluster: &Cluster, vlan: &str) -> bool {
    let zones = cluster.pools.iter().flat_map(|pool| &pool.spec.zones);
    zones.flat_map(|zone| [&zone.private_vlan, &zone.public_vlan]).flatten().any(|id| id == vlan)
}

/// Seven digits that no other subnet has.
async fn free_id(conn: &mut Conn) -> Result<String> {
    loop {
        let id = (1_000_000 + u32::from_be_bytes(id::random()) % 1_000_000).to_string();
        if !subnets::id_taken(conn, &id).await? {
            return Ok(id);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_subnet_of_eight_has_five_addresses_to_give() {
        let given = addresses("203.0.113.8/29");
        assert_eq!(given, ["203.0.113.10", "203.0.113.11", "203.0.113.12", "203.0.113.13", "203.0.113.14"]);
        assert_eq!(gateway("203.0.113.8/29").unwrap().to_string(), "203.0.113.9");
    }

    #[test]
    fn a_users_range_is_a_range() {
        for cidr in ["192.168.10.0/26", "10.0.0.0/8"] {
            assert!(user_range(cidr).is_ok(), "{cidr}");
        }
        for cidr in ["192.168.10.1/26", "192.168.10.0", "192.168.10.0/31", "0.0.0.0/0", "fd00::/64", "x"] {
            assert!(user_range(cidr).is_err(), "{cidr}");
        }
    }

    proptest! {
        #[test]
        fn ranges_of_one_vlan_never_overlap(sizes in proptest::collection::vec(0usize..4, 1..80)) {
            for blocks in [&PRIVATE_BLOCKS[..], &PUBLIC_BLOCKS[..]] {
                let mut taken: Vec<Ipv4Net> = vec!["203.0.113.64/26".parse().unwrap()];
                for size in &sizes {
                    let net = free_range(blocks, SIZES[*size], &taken).unwrap();
                    prop_assert_eq!(1 << (32 - net.prefix_len()), SIZES[*size]);
                    prop_assert!(taken.iter().all(|other| !overlap(net, *other)));
                    taken.push(net);
                }
            }
        }
    }

    #[test]
    fn a_full_block_has_nothing_left() {
        assert_eq!(free_range(&["203.0.113.0/29"], 8, &["203.0.113.0/30".parse().unwrap()]), None);
    }
}
