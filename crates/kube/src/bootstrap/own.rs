//! What tells of the cluster itself.

use std::net::Ipv4Addr;

use jiff::tz::Offset;
use serde_json::{Value, json};

use super::{Shared, shared};
use crate::openshift;
use crate::world::World;

/// Where the API server is for pods, and its port there, as the service has it.
const API_ADDRESS: &str = "172.20.0.1";
const API_PORT: u16 = 2040;

pub(super) fn objects(world: &World) -> Vec<Shared> {
    let api = address(&world.service_subnet, 1);
    let mut all = vec![
        service(
            "default",
            "kubernetes",
            &api,
            json!({"component": "apiserver", "provider": "kubernetes"}),
            Value::Null,
            &[("https", "TCP", 443, json!(API_PORT))],
        ),
        dns(world),
        endpoints(),
        endpoint_slice(),
        cluster_info(world),
    ];
    if world.openshift.is_some() {
        all.push(openshift::console(world));
    }
    if !world.service_subnet.is_empty() {
        all.push(json!({
            "apiVersion": "networking.k8s.io/v1", "kind": "ServiceCIDR",
            "metadata": {"name": "kubernetes", "finalizers": ["networking.k8s.io/service-cidr-finalizer"]},
            "spec": {"cidrs": [world.service_subnet]},
        }));
    }
    all.into_iter().map(shared).collect()
}

/// The address that is `number` after the beginning of a range.
fn address(subnet: &str, number: u32) -> String {
    let first: Option<Ipv4Addr> = subnet.split('/').next().and_then(|address| address.parse().ok());
    // The range that clusters have unless another one is asked for.
    let first = first.unwrap_or(Ipv4Addr::new(172, 21, 0, 0));
    Ipv4Addr::from_bits(first.to_bits().saturating_add(number)).to_string()
}

fn service(
    namespace: &str,
    name: &str,
    address: &str,
    labels: Value,
    selector: Value,
    ports: &[(&str, &str, u16, Value)],
) -> Value {
    let port = |(name, protocol, port, target): &(&str, &str, u16, Value)| json!({"name": name, "protocol": protocol, "port": port, "targetPort": target});
    let mut service = json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {"name": name, "namespace": namespace, "labels": labels},
        "spec": {
            "type": "ClusterIP", "clusterIP": address, "clusterIPs": [address], "internalTrafficPolicy": "Cluster",
            "ipFamilies": ["IPv4"], "ipFamilyPolicy": "SingleStack", "sessionAffinity": "None",
            "ports": ports.iter().map(port).collect::<Vec<_>>(),
        },
        "status": {"loadBalancer": {}},
    });
    if !selector.is_null() {
        service["spec"]["selector"] = selector;
    }
    service
}

/// The service that resolves names, which has the tenth address.
fn dns(world: &World) -> Value {
    let address = address(&world.service_subnet, 10);
    if world.openshift.is_some() {
        let labels = json!({"dns.operator.openshift.io/owning-dns": "default"});
        let selector = json!({"dns.operator.openshift.io/daemonset-dns": "default"});
        return service(
            "openshift-dns",
            "dns-default",
            &address,
            labels,
            selector,
            &[
                ("dns", "UDP", 53, json!("dns")),
                ("dns-tcp", "TCP", 53, json!("dns-tcp")),
                ("metrics", "TCP", 9154, json!("metrics")),
            ],
        );
    }
    let labels = json!({
        "k8s-app": "kube-dns", "kubernetes.io/cluster-service": "true", "kubernetes.io/name": "CoreDNS",
    });
    service(
        "kube-system",
        "kube-dns",
        &address,
        labels,
        json!({"k8s-app": "kube-dns"}),
        &[("dns", "UDP", 53, json!(53)), ("dns-tcp", "TCP", 53, json!(53)), ("metrics", "TCP", 9153, json!(9153))],
    )
}

fn endpoints() -> Value {
    json!({
        "apiVersion": "v1", "kind": "Endpoints",
        "metadata": {
            "name": "kubernetes", "namespace": "default", "labels": {"endpointslice.kubernetes.io/skip-mirror": "true"},
        },
        "subsets": [{
            "addresses": [{"ip": API_ADDRESS}],
            "ports": [{"name": "https", "port": API_PORT, "protocol": "TCP"}],
        }],
    })
}

fn endpoint_slice() -> Value {
    json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
        "metadata": {
            "name": "kubernetes", "namespace": "default", "labels": {"kubernetes.io/service-name": "kubernetes"},
        },
        "addressType": "IPv4",
        "endpoints": [{"addresses": [API_ADDRESS], "conditions": {"ready": true}}],
        "ports": [{"name": "https", "port": API_PORT, "protocol": "TCP"}],
    })
}

/// What programs in the cluster learn of it, in the form of the service.
fn cluster_info(world: &World) -> Value {
    let created = Offset::UTC.to_datetime(world.created).strftime("%Y-%m-%dT%H:%M:%S+0000").to_string();
    let config = json!({
        "cluster_id": world.id,
        "cluster_name": world.name,
        "cluster_type": if world.openshift.is_some() { "openshift" } else { "kubernetes" },
        "cluster_pay_tier": "paid",
        "datacenter": world.region,
        "account_id": world.account_id,
        "created": created,
        "name": world.name,
        "master_public_url": world.server,
        "master_url": world.server,
        "crn": format!("crn:v1:bluemix:public:containers-kubernetes:{}:a/{}:{}::", world.region, world.account_id, world.id),
    });
    json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "cluster-info", "namespace": "kube-system"},
        "data": {"cluster-config.json": format!("{config:#}\n")},
    })
}
