//! Nodes: the workers of a cluster as its API shows them.
//!
//! What the service says of a worker is brought in step with it; what users add to a node (labels, taints, whether it takes pods, resources)
//! stays. A node knows by its `providerID` which worker it is, so that one that took over the address of another is a new node.

mod system;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::object::{Key, array, member, text, time};
use crate::state::Txn;
use crate::world::{Machine, World};

const PROVIDER: &str = "ibm://";
/// The annotation that tells which labels and taints came from the worker pool, so that those that leave it leave the node.
const FROM_POOL: &str = "boatyard.dev/from-worker-pool";

const NOT_READY: &str = "node.kubernetes.io/not-ready";
const UNSCHEDULABLE: &str = "node.kubernetes.io/unschedulable";

/// Whether a change of this object can put nodes out of step with the workers.
#[must_use]
pub fn concerns(key: &Key) -> bool {
    &*key.resource == "nodes"
}

/// Brings the nodes in step with the workers. Writes only what differs.
pub fn reconcile(txn: &mut Txn, machines: &[Machine], world: &World) {
    let wanted: BTreeMap<&str, &Machine> = machines.iter().map(|machine| (machine.address.as_str(), machine)).collect();
    for node in txn.list("nodes", None) {
        let id = text(node.content(), "/spec/providerID");
        let same = wanted.get(&*node.key.name).is_some_and(|machine| provider_id(machine, world) == id);
        if id.starts_with(PROVIDER) && !same {
            txn.remove(&node.key);
        }
    }
    for (address, machine) in wanted {
        let key = Key::new("nodes", "", address);
        let mut value = txn.get(&key).map_or_else(|| json!({}), |node| node.value().into_owned());
        fill(&mut value, machine, world, &time(txn.now()));
        txn.put(key, value);
    }
}

/// `ibm://<account>///<cluster>/<worker>`.
fn provider_id(machine: &Machine, world: &World) -> String {
    format!("{PROVIDER}{}///{}/{}", world.account_id, world.id, machine.worker_id)
}

fn fill(node: &mut Value, machine: &Machine, world: &World, now: &str) {
    node["apiVersion"] = json!("v1");
    node["kind"] = json!("Node");
    let metadata = member(node, "metadata");
    metadata.entry("creationTimestamp").or_insert_with(|| json!(time(machine.created)));
    pool(node, machine);
    let labels = member(node, "metadata/labels");
    labels.extend(labels_of(machine, world).into_iter().map(|(name, value)| (name.to_owned(), json!(value))));
    let annotations = member(node, "metadata/annotations");
    for (name, value) in
        [("node.alpha.kubernetes.io/ttl", "0"), ("volumes.kubernetes.io/controller-managed-attach-detach", "true")]
    {
        annotations.entry(name).or_insert_with(|| json!(value));
    }
    member(node, "spec").insert("providerID".to_owned(), json!(provider_id(machine, world)));
    status(node, machine, world, now);
    settle_taints(node, now);
}

/// Brings labels and taints of the pool in step.
fn pool(node: &mut Value, machine: &Machine) {
    let annotation = text(&node["metadata"]["annotations"], &format!("/{}", FROM_POOL.replace('/', "~1")));
    let before: Value = serde_json::from_str(annotation).unwrap_or_default();
    let had = |what: &str, name: &str| array(&before[what], "").iter().any(|had| had == name);
    let labels = member(node, "metadata/labels");
    labels.retain(|name, _| !had("labels", name) || machine.labels.contains_key(name));
    labels.extend(machine.labels.iter().map(|(name, value)| (name.clone(), json!(value))));
    let taint = |(key, taint): (&String, &String)| {
        let (value, effect) = taint.rsplit_once(':').unwrap_or(("", taint));
        if value.is_empty() {
            json!({"key": key, "effect": effect})
        } else {
            json!({"key": key, "value": value, "effect": effect})
        }
    };
    let mut taints: Vec<Value> = array(node, "/spec/taints").to_vec();
    taints.retain(|taint| !had("taints", text(taint, "/key")) && !machine.taints.contains_key(text(taint, "/key")));
    taints.extend(machine.taints.iter().map(taint));
    set_taints(node, taints);
    let annotations = member(node, "metadata/annotations");
    if machine.labels.is_empty() && machine.taints.is_empty() {
        annotations.remove(FROM_POOL);
    } else {
        let names = json!({
            "labels": machine.labels.keys().collect::<Vec<_>>(), "taints": machine.taints.keys().collect::<Vec<_>>(),
        });
        annotations.insert(FROM_POOL.to_owned(), json!(names.to_string()));
    }
}

fn set_taints(node: &mut Value, taints: Vec<Value>) {
    let spec = member(node, "spec");
    if taints.is_empty() {
        spec.remove("taints");
    } else {
        spec.insert("taints".to_owned(), json!(taints));
    }
}

/// Has a node the taints that follow from what it is: not ready, or not to be scheduled on.
pub fn settle_taints(node: &mut Value, now: &str) {
    let ready = array(node, "/status/conditions").iter().any(|c| c["type"] == "Ready" && c["status"] == "True");
    let cordoned = node["spec"]["unschedulable"] == json!(true);
    let mut taints = array(node, "/spec/taints").to_vec();
    let conditions =
        [(NOT_READY, "NoSchedule", !ready), (NOT_READY, "NoExecute", !ready), (UNSCHEDULABLE, "NoSchedule", cordoned)];
    for (key, effect, holds) in conditions {
        let is = |taint: &Value| text(taint, "/key") == key && text(taint, "/effect") == effect;
        if !holds {
            taints.retain(|taint| !is(taint));
        } else if !taints.iter().any(is) {
            taints.push(json!({"key": key, "effect": effect, "timeAdded": now}));
        }
    }
    set_taints(node, taints);
}

/// The labels that the service documents.
fn labels_of<'a>(machine: &'a Machine, world: &'a World) -> Vec<(&'static str, &'a str)> {
    let vpc = world.provider.starts_with("vpc");
    let openshift = world.openshift.is_some();
    let architecture = if machine.architecture.is_empty() { "amd64" } else { machine.architecture.as_str() };
    let mut labels = vec![
        ("arch", architecture),
        ("beta.kubernetes.io/arch", architecture),
        ("beta.kubernetes.io/instance-type", &machine.flavor),
        ("beta.kubernetes.io/os", "linux"),
        ("failure-domain.beta.kubernetes.io/region", &world.region),
        ("failure-domain.beta.kubernetes.io/zone", &machine.zone),
        ("ibm-cloud.kubernetes.io/ha-worker", "true"),
        ("ibm-cloud.kubernetes.io/iaas-provider", if vpc { "g2" } else { "softlayer" }),
        ("ibm-cloud.kubernetes.io/internal-ip", &machine.address),
        ("ibm-cloud.kubernetes.io/machine-type", &machine.flavor),
        ("ibm-cloud.kubernetes.io/os", &machine.operating_system),
        ("ibm-cloud.kubernetes.io/region", &world.region),
        ("ibm-cloud.kubernetes.io/sgx-enabled", "false"),
        ("ibm-cloud.kubernetes.io/worker-id", &machine.worker_id),
        ("ibm-cloud.kubernetes.io/worker-pool-id", &machine.pool_id),
        ("ibm-cloud.kubernetes.io/worker-pool-name", &machine.pool_name),
        ("ibm-cloud.kubernetes.io/worker-version", &machine.worker_version),
        ("ibm-cloud.kubernetes.io/zone", &machine.zone),
        ("kubernetes.io/arch", architecture),
        ("kubernetes.io/hostname", &machine.address),
        ("kubernetes.io/os", "linux"),
        ("node.kubernetes.io/instance-type", &machine.flavor),
        ("topology.kubernetes.io/region", &world.region),
        ("topology.kubernetes.io/zone", &machine.zone),
    ];
    let only_some = [
        ("ibm-cloud.kubernetes.io/encrypted-docker-data", if vpc { "" } else { "true" }),
        ("ibm-cloud.kubernetes.io/external-ip", &machine.public_address),
        ("ibm-cloud.kubernetes.io/subnet-id", &machine.subnet_id),
        ("privateVLAN", &machine.private_vlan),
        ("publicVLAN", &machine.public_vlan),
    ];
    labels.extend(only_some.into_iter().filter(|(_, value)| !value.is_empty()));
    if openshift {
        let os = if machine.operating_system == "RHCOS" { "rhcos" } else { "rhel" };
        let roles =
            [("node-role.kubernetes.io/master", ""), ("node-role.kubernetes.io/worker", ""), ("node.openshift.io/os_id", os)];
        labels.extend(roles);
    }
    labels
}

fn status(node: &mut Value, machine: &Machine, world: &World, now: &str) {
    let resources = system::resources(machine);
    for (member_name, resources) in [("capacity", resources.capacity), ("allocatable", resources.allocatable)] {
        let told = member(node, &format!("status/{member_name}"));
        told.extend(resources.into_iter().map(|(name, quantity)| (name.to_owned(), json!(quantity))));
    }
    let mut addresses = vec![json!({"type": "InternalIP", "address": machine.address})];
    if !machine.public_address.is_empty() {
        addresses.push(json!({"type": "ExternalIP", "address": machine.public_address}));
    }
    addresses.push(json!({"type": "Hostname", "address": machine.address}));
    conditions(node, machine, now);
    let status = member(node, "status");
    status.insert("addresses".to_owned(), json!(addresses));
    status.insert("daemonEndpoints".to_owned(), json!({"kubeletEndpoint": {"Port": 10250}}));
    status.insert("nodeInfo".to_owned(), system::info(machine, world));
    status.entry("images").or_insert_with(|| json!([]));
}

/// The conditions that the kubelet and the network report, each with the time since which it is so.
fn conditions(node: &mut Value, machine: &Machine, now: &str) {
    let trouble = if machine.trouble.is_empty() { "the worker is not well" } else { machine.trouble.as_str() };
    let ready = match machine.ready {
        true => ("Ready", "True", "KubeletReady", "kubelet is posting ready status"),
        false => ("Ready", "False", "KubeletNotReady", trouble),
    };
    let reported = [
        ("NetworkUnavailable", "False", "CalicoIsUp", "Calico is running on this node"),
        ("MemoryPressure", "False", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
        ("DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
        ("PIDPressure", "False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
        ready,
    ];
    let before = array(node, "/status/conditions").to_vec();
    let is_reported = |condition: &&Value| reported.iter().any(|(kind, ..)| condition["type"] == **kind);
    let others = before.iter().filter(|condition| !is_reported(condition)).cloned();
    let mut all: Vec<Value> = others.collect();
    all.extend(reported.map(|(kind, status, reason, message)| {
        let old = before.iter().find(|condition| condition["type"] == kind);
        let told = |name: &str| old.map(|old| text(old, name)).filter(|at| !at.is_empty()).unwrap_or(now);
        let same_status = old.is_some_and(|old| old["status"] == status);
        let same = same_status && old.is_some_and(|old| old["reason"] == reason && old["message"] == message);
        json!({
            "type": kind, "status": status, "reason": reason, "message": message,
            "lastTransitionTime": if same_status { told("/lastTransitionTime") } else { now },
            "lastHeartbeatTime": if same { told("/lastHeartbeatTime") } else { now },
        })
    }));
    member(node, "status").insert("conditions".to_owned(), json!(all));
}
