//! Endpoints and EndpointSlices, addresses of load balancers, the hostname of Ingresses.

use std::collections::BTreeMap;
use std::sync::Arc;

use boatyard_core::{id, secret};
use serde_json::{Map, Value, json};

use super::Run;
use super::common::{contains, edit_status, free_name, has_ended, is_ready, later, owner_reference, time_at};
use super::events::{self, Told};
use crate::object::{Key, Object, array, member, number, text};
use crate::state::Txn;

const SLICES: &str = "endpointslices.discovery.k8s.io";
const SERVICE: &str = "kubernetes.io/service-name";
const MANAGED_BY: &str = "endpointslice.kubernetes.io/managed-by";
const CONTROLLER: &str = "endpointslice-controller.k8s.io";
/// A slice holds no more endpoints.
const SLICE: usize = 100;

/// Keeps the endpoints and the address of a Service.
pub(super) fn sync(run: &mut Run<'_>, service: &Arc<Object>) {
    run.txn.unwait(&service.key);
    if service.is_terminating() {
        return;
    }
    let content = service.content();
    let selector = content.pointer("/spec/selector").and_then(Value::as_object).filter(|s| !s.is_empty());
    let kind = text(content, "/spec/type");
    if let Some(selector) = selector.filter(|_| kind != "ExternalName") {
        let pods: Vec<Arc<Object>> = run
            .txn
            .state()
            .list("pods", Some(&service.key.namespace), None)
            .filter(|pod| {
                contains(selector, pod.labels()) && !has_ended(pod) && !text(pod.content(), "/status/podIP").is_empty()
            })
            .cloned()
            .collect();
        write_endpoints(run, service, &pods);
        write_slices(run, service, &pods);
    }
    balance(run, service);
}

/// A Service is gone: its Endpoints, which nothing owns, go as well.
pub(super) fn forget(txn: &mut Txn, service: &Key) {
    txn.remove(&Key::new("endpoints", &service.namespace, &service.name));
}

/// The ports of a Service as one Pod has them. Named ones that it does not have are left out.
fn ports(service: &Value, pod: &Value) -> Vec<Value> {
    let resolve = |port: &Value| -> Option<Value> {
        let protocol = Some(text(port, "/protocol")).filter(|p| !p.is_empty()).unwrap_or("TCP");
        let number = match port.get("targetPort") {
            Some(Value::String(name)) => {
                let containers = array(pod, "/spec/containers").iter().chain(array(pod, "/spec/initContainers"));
                let named =
                    |p: &&Value| text(p, "/name") == name && matches!(text(p, "/protocol"), "" | "TCP" | "UDP" | "SCTP");
                containers.flat_map(|c| array(c, "/ports")).find(named).and_then(|p| number(p, "/containerPort"))?
            }
            Some(Value::Number(number)) => number.as_i64().filter(|n| *n != 0).or_else(|| self::number(port, "/port"))?,
            _ => self::number(port, "/port")?,
        };
        let mut resolved = json!({"port": number, "protocol": protocol, "name": text(port, "/name")});
        if let Some(application) = port.get("appProtocol") {
            resolved["appProtocol"] = application.clone();
        }
        Some(resolved)
    };
    array(service, "/spec/ports").iter().filter_map(resolve).collect()
}

fn target(pod: &Object) -> Value {
    json!({"kind": "Pod", "namespace": &*pod.key.namespace, "name": &*pod.key.name, "uid": pod.uid()})
}

fn serves(service: &Value, pod: &Object) -> bool {
    is_ready(pod) || service.pointer("/spec/publishNotReadyAddresses") == Some(&json!(true))
}

/// The labels that endpoints take over from their Service.
fn labels(service: &Object) -> Map<String, Value> {
    let mut labels = service.labels().cloned().unwrap_or_default();
    if text(service.content(), "/spec/clusterIP") == "None" {
        labels.insert("service.kubernetes.io/headless".to_owned(), json!(""));
    }
    labels
}

fn write_endpoints(run: &mut Run<'_>, service: &Object, pods: &[Arc<Object>]) {
    let content = service.content();
    // Pods with the same ports are in one subset: ready ones, and others.
    let mut subsets: BTreeMap<String, [Vec<Value>; 3]> = BTreeMap::new();
    for pod in pods.iter().filter(|pod| !pod.is_terminating()) {
        let of_pod = pod.content();
        let mut ports = ports(content, of_pod);
        for port in &mut ports {
            if port["name"] == json!("") {
                member(port, "").remove("name");
            }
        }
        let mut address = json!({
            "ip": text(of_pod, "/status/podIP"), "nodeName": text(of_pod, "/spec/nodeName"), "targetRef": target(pod),
        });
        let hostname = text(of_pod, "/spec/hostname");
        if !hostname.is_empty() && text(of_pod, "/spec/subdomain") == &*service.key.name {
            address["hostname"] = json!(hostname);
        }
        let subset = subsets.entry(json!(ports).to_string()).or_insert_with(|| [ports, Vec::new(), Vec::new()]);
        subset[if serves(content, pod) { 1 } else { 2 }].push(address);
    }
    let subsets: Vec<Value> = subsets
        .into_values()
        .map(|[ports, ready, others]| {
            let mut subset = Map::new();
            let parts = [("addresses", ready), ("notReadyAddresses", others), ("ports", ports)];
            for (name, list) in parts.into_iter().filter(|(_, list)| !list.is_empty()) {
                subset.insert(name.to_owned(), json!(list));
            }
            Value::Object(subset)
        })
        .collect();
    let key = Key::new("endpoints", &service.key.namespace, &service.key.name);
    let mut endpoints = run
        .txn
        .get(&key)
        .map_or_else(|| json!({"apiVersion": "v1", "kind": "Endpoints", "metadata": {}}), |known| known.value().into_owned());
    let mut labels = labels(service);
    labels.insert("endpoints.kubernetes.io/managed-by".to_owned(), json!("endpoint-controller"));
    member(&mut endpoints, "metadata").insert("labels".to_owned(), Value::Object(labels));
    if subsets.is_empty() {
        member(&mut endpoints, "").remove("subsets");
    } else {
        member(&mut endpoints, "").insert("subsets".to_owned(), json!(subsets));
    }
    run.txn.put(key, endpoints);
}

fn endpoint(run: &Run<'_>, service: &Value, pod: &Object) -> Value {
    let content = pod.content();
    let node = text(content, "/spec/nodeName");
    let terminating = pod.is_terminating();
    let mut endpoint = json!({
        "addresses": [text(content, "/status/podIP")],
        "conditions": {"ready": serves(service, pod) && !terminating, "serving": is_ready(pod), "terminating": terminating},
        "nodeName": node, "targetRef": target(pod),
    });
    let zone = run.txn.state().find("nodes", "", node).and_then(|n| n.labels()?.get("topology.kubernetes.io/zone").cloned());
    if let Some(zone) = zone {
        endpoint["zone"] = zone;
    }
    let hostname = text(content, "/spec/hostname");
    if !hostname.is_empty() && text(content, "/spec/subdomain") == text(service, "/metadata/name") {
        endpoint["hostname"] = json!(hostname);
    }
    endpoint
}

fn write_slices(run: &mut Run<'_>, service: &Arc<Object>, pods: &[Arc<Object>]) {
    let content = service.content();
    let mut wanted: Vec<(Vec<Value>, Vec<Value>)> = Vec::new();
    for pod in pods {
        let ports = ports(content, pod.content());
        let endpoint = endpoint(run, content, pod);
        match wanted.iter_mut().find(|(p, endpoints)| *p == ports && endpoints.len() < SLICE) {
            Some((_, endpoints)) => endpoints.push(endpoint),
            None => wanted.push((ports, vec![endpoint])),
        }
    }
    if wanted.is_empty() {
        wanted.push((Vec::new(), Vec::new()));
    }
    let known: Vec<Arc<Object>> = run
        .txn
        .state()
        .owned_by(service.uid())
        .filter(|o| &*o.key.resource == SLICES && o.labels().is_some_and(|l| l.get(MANAGED_BY) == Some(&json!(CONTROLLER))))
        .cloned()
        .collect();
    let namespace = &*service.key.namespace;
    let mut labels = labels(service);
    labels.insert(SERVICE.to_owned(), json!(&*service.key.name));
    labels.insert(MANAGED_BY.to_owned(), json!(CONTROLLER));
    for (at, (ports, endpoints)) in wanted.iter().enumerate() {
        let (key, mut slice) = match known.get(at) {
            Some(slice) => (slice.key.clone(), slice.value().into_owned()),
            None => {
                let prefix = format!("{}-", service.key.name);
                let key = Key::new(SLICES, namespace, &free_name(run.txn, SLICES, namespace, &prefix));
                let metadata = json!({"generateName": prefix, "ownerReferences": [owner_reference(service)], "generation": 1});
                let slice = json!({
                    "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "metadata": metadata, "addressType": "IPv4",
                });
                (key, slice)
            }
        };
        if slice.get("endpoints").is_some_and(|e| *e != json!(endpoints)) {
            let generation = number(&slice, "/metadata/generation").unwrap_or(1).saturating_add(1);
            member(&mut slice, "metadata").insert("generation".to_owned(), json!(generation));
        }
        member(&mut slice, "metadata").insert("labels".to_owned(), json!(labels));
        let slice_members = member(&mut slice, "");
        slice_members.insert("endpoints".to_owned(), json!(endpoints));
        slice_members.insert("ports".to_owned(), json!(ports));
        run.txn.put(key, slice);
    }
    for surplus in known.iter().skip(wanted.len()) {
        run.txn.remove(&surplus.key);
    }
}

/// Gives a load balancer its address after a while, and takes it away from what is none any more.
fn balance(run: &mut Run<'_>, service: &Arc<Object>) {
    let content = service.content();
    let known = array(content, "/status/loadBalancer/ingress");
    // Another class is another controller's.
    let ours = text(content, "/spec/type") == "LoadBalancer" && text(content, "/spec/loadBalancerClass").is_empty();
    if !ours {
        if !known.is_empty() && text(content, "/spec/type") != "LoadBalancer" {
            edit_status(run.txn, &service.key, json!({"loadBalancer": {}}));
        }
        return;
    }
    if !known.is_empty() {
        return;
    }
    let since = time_at(content, "/metadata/creationTimestamp").unwrap_or(run.txn.now());
    let due = later(since, run.world.timings.provisioning);
    if due > run.txn.now() {
        run.txn.wait(&service.key, Some(due));
        let told = Told::normal("service-controller", "EnsuringLoadBalancer", "Ensuring load balancer");
        return events::tell_once(run.txn, service, told);
    }
    let digest = secret::sha256(service.uid().as_bytes());
    let ingress = if run.world.provider == "classic" {
        let ip = text(content, "/spec/loadBalancerIP");
        let ip = if ip.is_empty() { format!("169.48.{}.{}", digest[0], digest[1].clamp(2, 253)) } else { ip.to_owned() };
        json!({"ip": ip, "ipMode": "VIP"})
    } else {
        json!({"hostname": format!("{}-{}.lb.appdomain.cloud", id::hex(&digest[..4]), run.world.region)})
    };
    edit_status(run.txn, &service.key, json!({"loadBalancer": {"ingress": [ingress]}}));
    events::tell(run.txn, service, Told::normal("service-controller", "EnsuredLoadBalancer", "Ensured load balancer"));
}

/// Tells where an Ingress is reached: at the cluster's own.
pub(super) fn sync_ingress(run: &mut Run<'_>, ingress: &Arc<Object>) {
    let hostname = &run.world.ingress_hostname;
    let class = text(ingress.content(), "/spec/ingressClassName");
    let class = ingress.annotation("kubernetes.io/ingress.class").filter(|_| class.is_empty()).unwrap_or(class);
    // An Ingress of a class that others made is theirs.
    let ours = matches!(class, "" | "public-iks-k8s-nginx" | "private-iks-k8s-nginx" | "openshift-default");
    if hostname.is_empty() || !ours || ingress.is_terminating() {
        return;
    }
    edit_status(run.txn, &ingress.key, json!({"loadBalancer": {"ingress": [{"hostname": hostname}]}}));
}
