//! Addresses of workers: each is on its worker's network, is no other worker's, and is free again when its worker is gone.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::Ipv4Addr;
use std::sync::{Mutex, PoisonError};

use boatyard_store::{Conn, accounts, networks, workers};
use ipnet::Ipv4Net;

use crate::draft::Draft;
use crate::{Error, Provider, Result};

/// The network keeps its first addresses (itself, its gateway and two for its provider) and its last.
const KEPT: u32 = 4;
/// How many more addresses than needed are looked at, so that a few that are in use do not matter.
const SLACK: usize = 16;

/// Where the next free address of each network is likely to be. A hint: it saves reading all addresses in use, and what the database
/// says holds.
#[derive(Debug, Default)]
pub(crate) struct Hints(Mutex<HashMap<String, u32>>);

impl Hints {
    fn get(&self, network: &str) -> u32 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(network).copied().unwrap_or(0)
    }

    fn set(&self, network: &str, place: u32) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(network.to_owned(), place);
    }
}

/// How many workers fit into a network.
pub(crate) fn capacity(cidr: &str) -> u32 {
    let addresses = cidr.parse::<Ipv4Net>().map_or(0, |net| 1u64 << (32 - net.prefix_len()));
    u32::try_from(addresses.saturating_sub(u64::from(KEPT) + 1)).unwrap_or(u32::MAX)
}

/// The address at a place from 0 to the capacity of a network.
fn address_at(net: Ipv4Net, place: u32) -> Ipv4Addr {
    Ipv4Addr::from(u32::from(net.network()).saturating_add(KEPT).saturating_add(place))
}

/// The address of a public VLAN that goes with an address of the private VLAN behind the same pair of routers: the one at the same
/// place, so that whatever keeps the private addresses apart keeps the public ones apart.
fn counterpart(address: Ipv4Addr, private: Ipv4Net, public: Ipv4Net) -> Option<Ipv4Addr> {
    let place = u32::from(address) - u32::from(private.network());
    let counterpart = Ipv4Addr::from(u32::from(public.network()).saturating_add(place));
    (public.contains(&counterpart) && counterpart != public.broadcast()).then_some(counterpart)
}

/// Gives every new worker of `draft` an address. Nobody else takes addresses in the account until the transaction ends.
///
/// # Errors
/// [`Error::AddressesExhausted`].
pub(crate) async fn assign(conn: &mut Conn, hints: &Hints, draft: &mut Draft) -> Result<()> {
    let mut wanting: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (index, worker) in draft.workers.iter().enumerate().filter(|(_, worker)| worker.row.address.is_empty()) {
        wanting.entry(worker.row.network_id.clone()).or_default().push(index);
    }
    if wanting.is_empty() {
        return Ok(());
    }
    let account = draft.row.account_id.clone();
    accounts::lock(conn, &account).await?;
    for (network, indexes) in wanting {
        let net = cidr(conn, &account, draft.provider(), &network).await?;
        let addresses = allocate(conn, hints, &network, net, indexes.len()).await?;
        for (index, address) in indexes.into_iter().zip(addresses) {
            let worker = &mut draft.workers[index];
            worker.row.address = address.to_string();
            if !worker.details.public_vlan.is_empty() {
                let public = cidr(conn, &account, Provider::Classic, &worker.details.public_vlan).await?;
                let found = counterpart(address, net, public).ok_or_else(|| Error::AddressesExhausted {
                    network: worker.details.public_vlan.clone(),
                    free: 0,
                    wanted: 1,
                })?;
                worker.details.public_address = found.to_string();
            }
        }
    }
    Ok(())
}

/// The range of a subnet or VLAN of the account.
async fn cidr(conn: &mut Conn, account: &str, provider: Provider, network: &str) -> Result<Ipv4Net> {
    let found = match provider {
        Provider::VpcGen2 => networks::subnet_get(conn, account, network).await?.map(|subnet| subnet.cidr),
        Provider::Classic => networks::vlan_get(conn, account, network).await?.map(|vlan| vlan.cidr),
    };
    let net = found.and_then(|cidr| cidr.parse().ok());
    net.ok_or_else(|| Error::Invalid(format!("The network '{network}' is no longer there. Choose another one.")))
}

async fn allocate(conn: &mut Conn, hints: &Hints, network: &str, net: Ipv4Net, wanted: usize) -> Result<Vec<Ipv4Addr>> {
    let capacity = capacity(&net.to_string());
    let from = hints.get(network);
    let near: Vec<_> = (from..capacity).take(wanted + SLACK).collect();
    let texts: Vec<_> = near.iter().map(|place| address_at(net, *place).to_string()).collect();
    let used: HashSet<_> = match texts.is_empty() {
        true => HashSet::new(),
        false => workers::addresses_among(conn, network, &texts).await?.into_iter().collect(),
    };
    let free = |used: &HashSet<String>, place: &u32| !used.contains(&address_at(net, *place).to_string());
    let mut places: Vec<_> = near.into_iter().filter(|place| free(&used, place)).take(wanted).collect();
    if places.len() < wanted {
        let used: HashSet<_> = workers::addresses(conn, network).await?.into_iter().collect();
        places = (from..capacity).chain(0..from.min(capacity)).filter(|place| free(&used, place)).take(wanted).collect();
        if places.len() < wanted {
            return Err(Error::AddressesExhausted { network: network.to_owned(), free: places.len(), wanted });
        }
    }
    if let Some(last) = places.last() {
        hints.set(network, last + 1);
    }
    Ok(places.into_iter().map(|place| address_at(net, place)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_keeps_five_addresses() {
        for (cidr, workers) in [("10.0.0.0/24", 251), ("10.0.0.0/29", 3), ("10.0.0.0/30", 0), ("10.0.0.0/16", 65_531)] {
            assert_eq!(capacity(cidr), workers, "{cidr}");
        }
        let net = "10.240.7.0/29".parse().unwrap();
        assert_eq!(address_at(net, 0).to_string(), "10.240.7.4");
        assert_eq!(address_at(net, capacity("10.240.7.0/29") - 1).to_string(), "10.240.7.6");
    }

    #[test]
    fn a_public_address_stands_where_its_private_one_does() {
        let pair = |address: &str, private: &str, public: &str| {
            counterpart(address.parse().unwrap(), private.parse().unwrap(), public.parse().unwrap()).map(|a| a.to_string())
        };
        assert_eq!(pair("10.176.0.9", "10.176.0.0/24", "198.51.100.0/24").as_deref(), Some("198.51.100.9"));
        assert_eq!(pair("10.176.0.40", "10.176.0.0/24", "198.51.100.0/28"), None, "the public VLAN is smaller");
    }
}
