//! VPCs, subnets and VLANs as the operator of an installation declares them: what is missing is made, what is there stays, and what is
//! there and different is refused. All in a transaction of the caller's.

use boatyard_core::id;
use boatyard_iam::Outcome;
use boatyard_store::Conn;
use boatyard_store::networks::{self, Subnet, Vlan, Vpc};
use ipnet::Ipv4Net;

use crate::networks::vlan_id;
use crate::{Error, Fleet, Provider, Result};

/// Private ranges, as VPCs and private VLANs have them.
const PRIVATE: [&str; 3] = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"];
/// The smallest network there is: three workers fit into it.
const SMALLEST: u8 = 29;

/// A VPC as declared.
#[derive(Clone, Copy, Debug)]
pub struct DeclaredVpc<'a> {
    pub name: &'a str,
    pub id: Option<&'a str>,
    pub region: &'a str,
    pub resource_group_id: &'a str,
}

/// A subnet as declared.
#[derive(Clone, Copy, Debug)]
pub struct DeclaredSubnet<'a> {
    pub name: &'a str,
    pub id: Option<&'a str>,
    pub zone: &'a str,
    /// Such as `10.240.0.0/24`.
    pub cidr: &'a str,
    /// Which of the ranges of that size is meant, counted from `cidr`: 0 for `cidr` itself.
    pub place: u32,
}

/// A VLAN as declared.
#[derive(Clone, Copy, Debug)]
pub struct DeclaredVlan<'a> {
    pub id: Option<&'a str>,
    /// `public` or `private`.
    pub kind: &'a str,
    pub datacenter: &'a str,
    pub router: Option<&'a str>,
    pub number: Option<u32>,
    pub cidr: Option<&'a str>,
}

impl Fleet {
    /// VPCs and subnets of an account as the transaction sees them.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn networks_declared(&self, conn: &mut Conn, account_id: &str) -> Result<(Vec<Vpc>, Vec<Subnet>)> {
        Ok((networks::vpcs(conn, account_id).await?, networks::subnets(conn, account_id).await?))
    }

    /// A VPC, found by its name in the account.
    ///
    /// # Errors
    /// [`Error::Invalid`] if something of it is not, or is otherwise with the one that there is.
    pub async fn vpc_declare(&self, conn: &mut Conn, account_id: &str, declared: &DeclaredVpc<'_>) -> Result<(Vpc, Outcome)> {
        let DeclaredVpc { name, id, region, resource_group_id } = *declared;
        network_name("VPC", name)?;
        if self.catalog.zones_in(region, Provider::VpcGen2).next().is_none() {
            return Err(Error::Invalid(format!(
                "There is no region '{region}' for VPCs. A region is called such as 'us-south'."
            )));
        }
        if let Some(known) = networks::vpc_named(conn, account_id, name).await? {
            let what = format!("VPC '{name}'");
            same(&what, "ID", id, &known.id)?;
            same(&what, "region", Some(region), &known.region)?;
            same(&what, "resource group", Some(resource_group_id), &known.resource_group_id)?;
            return Ok((known, Outcome::Unchanged));
        }
        let vpc = Vpc {
            id: free_id(conn, id).await?.unwrap_or_else(|| format!("r006-{}", id::uuid())),
            account_id: account_id.to_owned(),
            name: name.to_owned(),
            region: region.to_owned(),
            resource_group_id: resource_group_id.to_owned(),
            created_at: self.clock.now().as_millisecond(),
        };
        networks::vpc_insert(conn, &vpc).await?;
        Ok((vpc, Outcome::Made))
    }

    /// A subnet, found by its name in the VPC.
    ///
    /// # Errors
    /// [`Error::Invalid`] if something of it is not, its range meets another's, or something is otherwise with the one that there is;
    /// [`Error::ZoneNotFound`].
    pub async fn subnet_declare(&self, conn: &mut Conn, vpc: &Vpc, declared: &DeclaredSubnet<'_>) -> Result<(Subnet, Outcome)> {
        let DeclaredSubnet { name, id, zone, cidr, place } = *declared;
        network_name("subnet", name)?;
        let zone = self.catalog.zone(zone, Provider::VpcGen2)?;
        if zone.service_region() != vpc.region {
            let text = format!("The zone '{}' is not in the region '{}' of the VPC '{}'.", zone.id, vpc.region, vpc.name);
            return Err(Error::Invalid(text));
        }
        let range = following(private_range(cidr)?, place).filter(|range| is_private(*range));
        let range =
            range.ok_or_else(|| Error::Invalid(format!("There is no private range {place} places behind '{cidr}'.")))?;
        let others = networks::subnets_in(conn, &vpc.account_id, &vpc.id).await?;
        if let Some(known) = others.iter().find(|subnet| subnet.name == name) {
            let what = format!("subnet '{name}'");
            same(&what, "ID", id, &known.id)?;
            same(&what, "zone", Some(&zone.id), &known.zone)?;
            same(&what, "range", Some(&range.to_string()), &known.cidr)?;
            return Ok((known.clone(), Outcome::Unchanged));
        }
        let meets = |other: &&Subnet| other.cidr.parse::<Ipv4Net>().is_ok_and(|o| o.contains(&range) || range.contains(&o));
        if let Some(other) = others.iter().find(meets) {
            let text =
                format!("The range '{range}' overlaps with '{}' of the subnet '{}' in the same VPC.", other.cidr, other.name);
            return Err(Error::Invalid(text));
        }
        let subnet = Subnet {
            id: free_id(conn, id)
                .await?
                .unwrap_or_else(|| format!("07{}7-{}", zone.id.chars().last().unwrap_or('1'), id::uuid())),
            account_id: vpc.account_id.clone(),
            vpc_id: vpc.id.clone(),
            name: name.to_owned(),
            zone: zone.id.clone(),
            cidr: range.to_string(),
        };
        networks::subnet_insert(conn, &subnet).await?;
        Ok((subnet, Outcome::Made))
    }

    /// A VLAN of an account, found by its ID if one is given, else by its type and router.
    ///
    /// # Errors
    /// [`Error::Invalid`] if something of it is not, there is another of its type behind the same router, or something is otherwise
    /// with the one that there is; [`Error::ZoneNotFound`].
    pub async fn vlan_declare(
        &self,
        conn: &mut Conn,
        account_id: &str,
        declared: &DeclaredVlan<'_>,
    ) -> Result<(Vlan, Outcome)> {
        let DeclaredVlan { id, kind, datacenter, number, .. } = *declared;
        let (letter, default_range) = match kind {
            "private" => ('b', "10.176.0.0/24"),
            "public" => ('f', "198.51.100.0/24"),
            other => return Err(Error::Invalid(format!("A VLAN is 'public' or 'private', not '{other}'."))),
        };
        let datacenter = &self.catalog.zone(datacenter, Provider::Classic)?.id;
        let router = router(declared.router, letter, datacenter)?;
        if number.is_some_and(|number| !(1..=4094).contains(&number)) {
            return Err(Error::Invalid("The number of a VLAN is between 1 and 4094.".to_owned()));
        }
        if id.is_some_and(|id| id.is_empty() || id.len() > 10 || !id.bytes().all(|b| b.is_ascii_digit())) {
            return Err(Error::Invalid("The ID of a VLAN has 1 to 10 digits.".to_owned()));
        }
        let cidr = declared.cidr.unwrap_or(default_range);
        let range = if kind == "private" { private_range(cidr)? } else { any_range(cidr)? };

        let others = networks::vlans(conn, account_id).await?;
        let by_id = others.iter().find(|vlan| id == Some(&vlan.id));
        let by_router = others.iter().find(|vlan| vlan.kind == kind && vlan.router == router);
        if let Some(known) = by_id.or(by_router.filter(|_| id.is_none())) {
            let what = format!("VLAN '{}'", known.id);
            same(&what, "type", Some(kind), &known.kind)?;
            same(&what, "data center", Some(datacenter), &known.datacenter)?;
            same(&what, "router", Some(&router), &known.router)?;
            same(&what, "number", number.map(|n| n.to_string()).as_deref(), &known.number.to_string())?;
            same(&what, "range", declared.cidr.map(|_| range.to_string()).as_deref(), &known.cidr)?;
            return Ok((known.clone(), Outcome::Unchanged));
        }
        if let Some(other) = by_router {
            // The public address of a worker follows from its private one, so there must be one VLAN of each type for a pair of routers.
            let text = format!(
                "Behind the router '{router}' is the {kind} VLAN '{}' already, and there can be one of each type. Choose another router, such \
                 as '{letter}cr02a.{datacenter}'.",
                other.id
            );
            return Err(Error::Invalid(text));
        }
        let id = match free_id(conn, id).await? {
            Some(id) => id,
            None => vlan_id(conn).await?,
        };
        let vlan = Vlan {
            id,
            account_id: account_id.to_owned(),
            datacenter: datacenter.clone(),
            kind: kind.to_owned(),
            number: number.map_or_else(|| 800 + i64::from(u16::from_be_bytes(id::random()) % 3200), i64::from),
            router,
            cidr: range.to_string(),
        };
        networks::vlan_insert(conn, &vlan).await?;
        Ok((vlan, Outcome::Made))
    }
}

/// What is there must be as declared, since it cannot be changed.
fn same(what: &str, member: &str, declared: Option<&str>, is: &str) -> Result<()> {
    match declared.filter(|declared| *declared != is) {
        Some(_) => Err(Error::Invalid(format!("The {what} exists, and its {member} is '{is}', which cannot be changed."))),
        None => Ok(()),
    }
}

/// A given ID, unless some network has it.
async fn free_id(conn: &mut Conn, id: Option<&str>) -> Result<Option<String>> {
    let Some(id) = id else { return Ok(None) };
    if id.is_empty() || id.len() > 64 || !id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_') {
        return Err(Error::Invalid("An ID has 1 to 64 letters, digits, hyphens and underscores.".to_owned()));
    }
    if networks::id_taken(conn, id).await? {
        let text = format!(
            "The ID '{id}' is that of another network, perhaps in another account. Choose another one, or leave it out."
        );
        return Err(Error::Invalid(text));
    }
    Ok(Some(id.to_owned()))
}

fn network_name(what: &str, name: &str) -> Result<()> {
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    if (1..=63).contains(&name.len()) && name.bytes().all(inner) && name.starts_with(|c: char| c.is_ascii_lowercase()) {
        return Ok(());
    }
    Err(Error::Invalid(format!(
        "The name '{name}' is not one for a {what}: it has 1 to 63 lower-case letters, digits and hyphens, and begins with a letter."
    )))
}

/// A router's name: `bcr01a.dal10` for private VLANs, `fcr01a.dal10` for public ones.
fn router(given: Option<&str>, letter: char, datacenter: &str) -> Result<String> {
    let router = given.map_or_else(|| format!("{letter}cr01a.{datacenter}"), str::to_owned);
    let number =
        router.strip_prefix(letter).and_then(|rest| rest.strip_prefix("cr")).and_then(|rest| rest.strip_suffix(datacenter));
    let number = number.and_then(|rest| rest.strip_suffix('.')).unwrap_or_default();
    if (1..=8).contains(&number.len()) && number.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()) {
        return Ok(router);
    }
    Err(Error::Invalid(format!("The router '{router}' does not fit; it would be called such as '{letter}cr01a.{datacenter}'.")))
}

fn any_range(cidr: &str) -> Result<Ipv4Net> {
    let range = cidr.parse::<Ipv4Net>().ok().filter(|net| net.trunc() == *net && (8..=SMALLEST).contains(&net.prefix_len()));
    range.ok_or_else(|| {
        let text = format!(
            "'{cidr}' is not a range. Give its first address and a prefix length from 8 to {SMALLEST}, such as 10.240.0.0/24."
        );
        Error::Invalid(text)
    })
}

fn private_range(cidr: &str) -> Result<Ipv4Net> {
    let range = any_range(cidr)?;
    match is_private(range) {
        true => Ok(range),
        false => Err(Error::Invalid(format!("The range '{cidr}' is not private. Private are {}.", PRIVATE.join(", ")))),
    }
}

fn is_private(range: Ipv4Net) -> bool {
    PRIVATE.iter().any(|private| private.parse::<Ipv4Net>().is_ok_and(|private| private.contains(&range)))
}

/// The range of the same size that many places behind.
fn following(range: Ipv4Net, place: u32) -> Option<Ipv4Net> {
    let size = 1u64 << (32 - range.prefix_len());
    let first = u64::from(u32::from(range.network())) + size * u64::from(place);
    Ipv4Net::new(u32::try_from(first).ok()?.into(), range.prefix_len()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_private_aligned_and_hold_workers() {
        for cidr in ["10.240.0.0/24", "172.16.0.0/12", "192.168.7.8/29"] {
            assert!(private_range(cidr).is_ok(), "{cidr}");
        }
        for cidr in ["10.240.0.1/24", "10.0.0.0/30", "9.0.0.0/8", "172.32.0.0/16", "10.0.0.0/7", "10.0.0.0", "x"] {
            assert!(private_range(cidr).is_err(), "{cidr}");
        }
    }

    #[test]
    fn counted_subnets_follow_each_other() {
        let place = |cidr: &str, place| following(cidr.parse().unwrap(), place).map(|net| net.to_string());
        assert_eq!(place("10.0.0.0/24", 0).as_deref(), Some("10.0.0.0/24"));
        assert_eq!(place("10.0.0.0/24", 257).as_deref(), Some("10.1.1.0/24"));
        assert_eq!(place("192.168.0.0/16", u32::MAX), None);
    }

    #[test]
    fn routers_are_called_as_in_the_data_center() {
        assert_eq!(router(None, 'b', "par01").unwrap(), "bcr01a.par01");
        assert!(router(Some("fcr02a.par01"), 'f', "par01").is_ok());
        for bad in ["bcr01a.par01", "fcr01a.dal10", "fcr.par01", "fcr01apar01", ""] {
            assert!(router(Some(bad), 'f', "par01").is_err(), "{bad}");
        }
    }
}
