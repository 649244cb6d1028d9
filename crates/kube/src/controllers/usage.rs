//! What the Pods of a cluster take: resources and ports of nodes, addresses.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::net::Ipv4Addr;
use std::sync::Arc;

use serde_json::Value;

use super::affinity::avoids;
use super::common::has_ended;
use crate::amounts::{Amounts, add, of_pod, subtract};
use crate::object::{Key, Object, array, number, text};
use crate::state::{Change, Event, State};

/// What is taken of one node.
#[derive(Debug, Default)]
pub(super) struct Taken {
    pub amounts: Amounts,
    pub pods: BTreeSet<Key>,
    /// Ports of the host, as `(protocol, port)`.
    pub ports: BTreeSet<(String, i64)>,
}

/// What is taken of all of them.
#[derive(Debug, Default)]
pub(super) struct Usage {
    nodes: BTreeMap<String, Taken>,
    /// Pods of one controller by its UID and node.
    siblings: BTreeMap<String, BTreeMap<String, usize>>,
    /// Pods that want some Pods not to be near.
    pub avoiders: BTreeSet<Key>,
    addresses: HashSet<u32>,
    /// The first address and the number of addresses of the range.
    range: (u32, u32),
    next: u32,
}

impl Usage {
    pub fn of(state: &State, subnet: &str) -> Self {
        let (first, bits) = subnet.split_once('/').unwrap_or((subnet, "16"));
        let first = first.parse().unwrap_or(Ipv4Addr::new(172, 30, 0, 0));
        let bits: u32 = bits.parse().ok().filter(|bits| *bits <= 30).unwrap_or(16);
        let size = u32::MAX.checked_shr(bits).unwrap_or(u32::MAX);
        let mut usage = Self { range: (u32::from(first) & !size, size), ..Self::default() };
        for pod in state.list("pods", None, None) {
            usage.count(pod);
        }
        usage
    }

    fn count(&mut self, pod: &Arc<Object>) {
        let content = pod.content();
        let node = text(content, "/spec/nodeName");
        if node.is_empty() || has_ended(pod) {
            return;
        }
        if let Ok(address) = text(content, "/status/podIP").parse::<Ipv4Addr>() {
            self.addresses.insert(address.into());
        }
        let taken = self.nodes.entry(node.to_owned()).or_default();
        if taken.pods.insert(pod.key.clone()) {
            let spec = &content["spec"];
            add(&mut taken.amounts, &of_pod(spec, "requests"));
            taken.ports.extend(host_ports(spec));
            if avoids(spec) {
                self.avoiders.insert(pod.key.clone());
            }
            if let Some(owner) = pod.controller() {
                let siblings = self.siblings.entry(text(owner, "/uid").to_owned()).or_default();
                *siblings.entry(node.to_owned()).or_default() += 1;
            }
        }
    }

    fn discount(&mut self, pod: &Arc<Object>) {
        let content = pod.content();
        if let Ok(address) = text(content, "/status/podIP").parse::<Ipv4Addr>() {
            self.addresses.remove(&u32::from(address));
        }
        self.avoiders.remove(&pod.key);
        let Some(taken) = self.nodes.get_mut(text(content, "/spec/nodeName")) else { return };
        if taken.pods.remove(&pod.key) {
            let spec = &content["spec"];
            subtract(&mut taken.amounts, &of_pod(spec, "requests"));
            for port in host_ports(spec) {
                taken.ports.remove(&port);
            }
            let siblings = pod.controller().and_then(|owner| self.siblings.get_mut(text(owner, "/uid")));
            if let Some(count) = siblings.and_then(|s| s.get_mut(text(content, "/spec/nodeName"))) {
                *count = count.saturating_sub(1);
            }
        }
    }

    /// Keeps in step with what happened.
    pub fn see(&mut self, event: &Event) {
        if &*event.object.key.resource != "pods" {
            return;
        }
        if event.change == Change::Deleted || has_ended(&event.object) {
            self.discount(&event.object);
        } else {
            self.count(&event.object);
        }
    }

    pub fn on(&self, node: &str) -> Option<&Taken> {
        self.nodes.get(node)
    }

    /// How many Pods of a controller are on each node.
    pub fn siblings(&self, controller: &str) -> Option<&BTreeMap<String, usize>> {
        self.siblings.get(controller)
    }

    /// An address that no Pod has. When all are taken, the first one.
    pub fn address(&mut self) -> Ipv4Addr {
        let (first, size) = self.range;
        // Neither the address of the network nor that of everybody.
        let usable = size.saturating_sub(1).max(1);
        for _ in 0..usable {
            let address = first + 1 + self.next % usable;
            self.next = (self.next + 1) % usable;
            if self.addresses.insert(address) {
                return address.into();
            }
        }
        (first + 1).into()
    }
}

/// The ports of the host that a Pod wants.
pub(super) fn host_ports(spec: &Value) -> impl Iterator<Item = (String, i64)> {
    let ports = array(spec, "/containers").iter().flat_map(|container| array(container, "/ports"));
    ports.filter_map(|port| {
        let protocol = Some(text(port, "/protocol")).filter(|p| !p.is_empty()).unwrap_or("TCP");
        Some((protocol.to_owned(), number(port, "/hostPort").filter(|p| *p > 0)?))
    })
}
