//! Addresses and ports of services.

use std::collections::BTreeSet;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash as _, Hasher as _};
use std::net::Ipv4Addr;

use serde_json::{Map, Value, json};

use crate::object::{array, member, number, text};
use crate::resources::Resource;
use crate::state::Txn;
use crate::status::{Cause, Status};
use crate::world::World;

/// Ports that nodes open for services.
const NODE_PORTS: std::ops::RangeInclusive<u32> = 30_000..=32_767;
/// Where services are in a cluster that says nothing else.
const SUBNET: &str = "172.21.0.0/16";
/// The address of cluster DNS, counted from that of the range.
const DNS: u32 = 10;

pub(super) fn admit(txn: &Txn, world: &World, resource: &Resource, old: Option<&Value>, new: &mut Value) -> Result<(), Status> {
    if let Some(old) = old {
        keep(&old["spec"], new);
        drop_what_type_had(&old["spec"], new);
    }
    let taken = Taken::by_others(txn, new);
    let causes = match give_address(world, &taken, old, new) {
        Ok(()) => give_ports(&taken, new),
        Err(cause) => vec![cause],
    };
    if causes.is_empty() {
        return Ok(());
    }
    Err(Status::invalid(&resource.group, &resource.kind, text(new, "/metadata/name"), causes))
}

/// What other services have.
struct Taken {
    addresses: BTreeSet<String>,
    ports: BTreeSet<u32>,
}

impl Taken {
    fn by_others(txn: &Txn, new: &Value) -> Self {
        let own = (text(new, "/metadata/namespace"), text(new, "/metadata/name"));
        let mut taken = Self { addresses: BTreeSet::new(), ports: BTreeSet::new() };
        for service in txn.state().list("services", None, None) {
            if (&*service.key.namespace, &*service.key.name) == own {
                continue;
            }
            let spec = &service.content()["spec"];
            taken.addresses.insert(text(spec, "/clusterIP").to_owned());
            let ports = array(spec, "/ports").iter().filter_map(|port| number(port, "/nodePort"));
            taken.ports.extend(ports.chain(number(spec, "/healthCheckNodePort")).filter_map(|port| u32::try_from(port).ok()));
        }
        taken
    }
}

fn is_set(value: Option<&Value>) -> bool {
    value.is_some_and(|value| !value.is_null() && *value != "" && *value != 0)
}

fn has_node_ports(spec: &Value) -> bool {
    match text(spec, "/type") {
        "NodePort" => true,
        "LoadBalancer" => spec["allocateLoadBalancerNodePorts"] != false,
        _ => false,
    }
}

fn has_address(spec: &Value) -> bool {
    text(spec, "/type") != "ExternalName"
}

fn checks_health(spec: &Value) -> bool {
    text(spec, "/type") == "LoadBalancer" && text(spec, "/externalTrafficPolicy") == "Local"
}

/// What was given to it before stays, if the update says nothing of it.
fn keep(old: &Value, new: &mut Value) {
    let spec = &new["spec"];
    let mut kept = Map::new();
    if has_address(old) && has_address(spec) && !is_set(spec.get("clusterIP")) && !is_set(spec.get("clusterIPs")) {
        for field in ["clusterIP", "clusterIPs"] {
            kept.extend(old.get(field).map(|value| (field.to_owned(), value.clone())));
        }
    }
    if checks_health(old) && checks_health(spec) && !is_set(spec.get("healthCheckNodePort")) {
        kept.extend(old.get("healthCheckNodePort").map(|value| ("healthCheckNodePort".to_owned(), value.clone())));
    }
    let same_kind = has_node_ports(old) && has_node_ports(spec);
    member(new, "spec").extend(kept);
    if !same_kind {
        return;
    }
    for port in new["spec"].get_mut("ports").and_then(Value::as_array_mut).into_iter().flatten() {
        if is_set(port.get("nodePort")) {
            continue;
        }
        let was = array(old, "/ports").iter().find(|was| was["port"] == port["port"] && was["protocol"] == port["protocol"]);
        if let (Some(node_port), Value::Object(port)) = (was.and_then(|was| was.get("nodePort")), port) {
            port.insert("nodePort".to_owned(), node_port.clone());
        }
    }
}

/// What only the former type can have goes with it, unless the update asks for something new.
fn drop_what_type_had(old: &Value, new: &mut Value) {
    if text(old, "/type") == text(new, "/spec/type") {
        return;
    }
    let (addresses, balanced) = (has_address(&new["spec"]), text(new, "/spec/type") == "LoadBalancer");
    let (ports, external) = (has_node_ports(&new["spec"]), matches!(text(new, "/spec/type"), "LoadBalancer" | "NodePort"));
    let spec = member(new, "spec");
    let mut drop_same = |field: &str| {
        if spec.get(field) == old.get(field) {
            spec.remove(field);
        }
    };
    if !addresses {
        ["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy", "internalTrafficPolicy"]
            .iter()
            .for_each(|field| drop_same(field));
    }
    if !balanced {
        ["allocateLoadBalancerNodePorts", "loadBalancerClass", "healthCheckNodePort"].iter().for_each(|field| drop_same(field));
    }
    if !external {
        drop_same("externalTrafficPolicy");
    }
    if has_node_ports(old) && !ports {
        let was: Vec<&Value> = array(old, "/ports").iter().filter_map(|port| port.get("nodePort")).collect();
        for port in spec.get_mut("ports").and_then(Value::as_array_mut).into_iter().flatten().filter_map(Value::as_object_mut) {
            if port.get("nodePort").is_some_and(|node_port| was.contains(&node_port)) {
                port.remove("nodePort");
            }
        }
    }
}

fn give_address(world: &World, taken: &Taken, old: Option<&Value>, new: &mut Value) -> Result<(), Cause> {
    let own = (text(new, "/metadata/namespace").to_owned(), text(new, "/metadata/name").to_owned());
    let spec = &new["spec"];
    if !has_address(spec) {
        return Ok(());
    }
    let wanted = match (text(spec, "/clusterIP"), array(spec, "/clusterIPs").first().and_then(Value::as_str)) {
        ("", first) => first.unwrap_or_default().to_owned(),
        (wanted, _) => wanted.to_owned(),
    };
    let range = Range::parse(if world.service_subnet.is_empty() { SUBNET } else { &world.service_subnet });
    let kept = old.is_some_and(|old| text(old, "/spec/clusterIP") == wanted && has_address(&old["spec"]));
    let address = match wanted.as_str() {
        "None" => wanted,
        "" => range.free(taken, &own).map(|address| address.to_string()).ok_or_else(|| {
            let why = "failed to allocate a serviceIP: range is full";
            Cause::new("InternalError", "spec.clusterIPs", format!("Internal error: {why}"))
        })?,
        _ if kept => wanted,
        _ => {
            range.judge(&wanted, taken, &own).map_err(|why| Cause::invalid("spec.clusterIPs", &json!([wanted]), &why))?;
            wanted
        }
    };
    let spec = member(new, "spec");
    spec.insert("clusterIPs".to_owned(), json!([address]));
    spec.insert("clusterIP".to_owned(), json!(address));
    for (field, default) in [("ipFamilies", json!(["IPv4"])), ("ipFamilyPolicy", json!("SingleStack"))] {
        if !spec.get(field).is_some_and(|value| !value.is_null() && *value != json!([])) {
            spec.insert(field.to_owned(), default);
        }
    }
    Ok(())
}

/// Addresses from `first` on.
struct Range {
    text: String,
    first: u32,
    count: u32,
}

impl Range {
    /// A range that cannot be read has no addresses.
    fn parse(text: &str) -> Self {
        let parsed = text.split_once('/').and_then(|(address, length)| {
            let (address, length) = (address.parse::<Ipv4Addr>().ok()?, length.parse::<u32>().ok()?);
            let count = 1_u32.checked_shl(32_u32.checked_sub(length)?)?;
            Some((u32::from(address) & count.wrapping_neg(), count))
        });
        let (first, count) = parsed.unwrap_or_default();
        Self { text: text.to_owned(), first, count }
    }

    fn address(&self, at: u32) -> Ipv4Addr {
        Ipv4Addr::from(self.first.saturating_add(at))
    }

    /// Addresses that only one service may have: the API and DNS.
    fn reserved(&self, at: u32, own: &(String, String)) -> bool {
        let own = (own.0.as_str(), own.1.as_str());
        (at == 1 && own != ("default", "kubernetes")) || (at == DNS && !matches!(own, ("kube-system", "kube-dns" | "coredns")))
    }

    /// An address for a service. The lower part of the range is left to those that ask for one, as upstream does.
    fn free(&self, taken: &Taken, own: &(String, String)) -> Option<Ipv4Addr> {
        let fixed = match (own.0.as_str(), own.1.as_str()) {
            ("default", "kubernetes") => Some(1),
            ("kube-system", "kube-dns") => Some(DNS),
            _ => None,
        };
        let is_free = |at: &u32| !taken.addresses.contains(&self.address(*at).to_string());
        if let Some(at) = fixed.filter(|at| *at + 1 < self.count && is_free(at)) {
            return Some(self.address(at));
        }
        let low = (self.count / 16).clamp(16, 256).min(self.count);
        // Neither the address of the range nor the one for broadcasts.
        let high = self.count.checked_sub(1)?;
        let span = high.saturating_sub(low);
        let start = low + if span == 0 { 0 } else { hash(own) % span };
        let upper = (start..high).chain(low..start);
        let mut all = upper.chain(1..low.min(high)).filter(|at| !self.reserved(*at, own));
        all.find(is_free).map(|at| self.address(at))
    }

    fn judge(&self, wanted: &str, taken: &Taken, own: &(String, String)) -> Result<(), String> {
        let Ok(address) = wanted.parse::<Ipv4Addr>() else {
            return Err("must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)".to_owned());
        };
        let at = u32::from(address).checked_sub(self.first).filter(|at| *at > 0 && *at + 1 < self.count);
        let why = match at {
            None => format!("the provided IP ({wanted}) is not in the valid range. The range of valid IPs is {}", self.text),
            Some(at) if self.reserved(at, own) || taken.addresses.contains(wanted) => {
                "provided IP is already allocated".to_owned()
            }
            Some(_) => return Ok(()),
        };
        Err(format!("failed to allocate IP {wanted}: {why}"))
    }
}

/// Where the search for an address or a port begins, so that a service that is made again gets the same one.
fn hash(own: &(String, String)) -> u32 {
    let mut hasher = DefaultHasher::new();
    own.hash(&mut hasher);
    u32::try_from(hasher.finish() & 0x7fff_ffff).unwrap_or_default()
}

fn give_ports(taken: &Taken, new: &mut Value) -> Vec<Cause> {
    let (ports, health) = (has_node_ports(&new["spec"]), checks_health(&new["spec"]));
    let own = (text(new, "/metadata/namespace").to_owned(), text(new, "/metadata/name").to_owned());
    let mut used = taken.ports.clone();
    let mut causes = Vec::new();
    // What is asked for comes before what is chosen.
    let mut reserve = |value: &Value, path: String| {
        let given = number(value, "").filter(|port| *port != 0)?;
        let port = u32::try_from(given).ok().filter(|port| NODE_PORTS.contains(port));
        let why = match port {
            None => "provided port is not in the valid range. The range of valid ports is 30000-32767",
            // Ports of one service may share a number if their protocols differ.
            Some(port) if taken.ports.contains(&port) => "provided port is already allocated",
            Some(port) => {
                used.insert(port);
                return None;
            }
        };
        Some(Cause::invalid(path, value, why))
    };
    if matches!(text(new, "/spec/type"), "NodePort" | "LoadBalancer") {
        for (at, port) in array(new, "/spec/ports").iter().enumerate() {
            causes.extend(reserve(&port["nodePort"], format!("spec.ports[{at}].nodePort")));
        }
    }
    if health {
        causes.extend(reserve(&new["spec"]["healthCheckNodePort"], "spec.healthCheckNodePort".to_owned()));
    }
    if !causes.is_empty() {
        return causes;
    }
    let span = NODE_PORTS.end() - NODE_PORTS.start() + 1;
    let start = hash(&own) % span;
    let mut free = move || {
        let found = (start..start + span).map(|at| NODE_PORTS.start() + at % span).find(|port| !used.contains(port))?;
        used.insert(found);
        Some(json!(found))
    };
    let full = || Cause::new("InternalError", "spec.ports", "Internal error: failed to allocate a nodePort: range is full");
    let wanting = new["spec"].get_mut("ports").and_then(Value::as_array_mut).into_iter().flatten();
    for port in wanting.filter_map(Value::as_object_mut).filter(|port| ports && !is_set(port.get("nodePort"))) {
        match free() {
            Some(number) => drop(port.insert("nodePort".to_owned(), number)),
            None => return vec![full()],
        }
    }
    if health && !is_set(new["spec"].get("healthCheckNodePort")) {
        match free() {
            Some(number) => drop(member(new, "spec").insert("healthCheckNodePort".to_owned(), number)),
            None => return vec![full()],
        }
    }
    Vec::new()
}
