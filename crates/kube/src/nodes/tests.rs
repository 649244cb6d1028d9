use jiff::Timestamp;

use super::*;
use crate::state::State;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap()
}

fn world(provider: &str) -> World {
    World {
        id: "c1".to_owned(),
        account_id: "a1".to_owned(),
        region: "us-south".to_owned(),
        provider: provider.to_owned(),
        ..World::default()
    }
}

fn machine(worker: &str, address: &str) -> Machine {
    Machine {
        worker_id: worker.to_owned(),
        address: address.to_owned(),
        flavor: "b3c.4x16".to_owned(),
        zone: "dal10".to_owned(),
        cpus: 4,
        memory_bytes: 16 << 30,
        operating_system: "UBUNTU_24_64".to_owned(),
        version: "1.36.3".to_owned(),
        ready: true,
        ..Machine::default()
    }
}

fn node(txn: &Txn, name: &str) -> Value {
    txn.find("nodes", "", name).unwrap().value().into_owned()
}

fn again(txn: Txn, seconds: i64) -> Txn {
    Txn::new(txn.into_state(), at(seconds))
}

fn label<'a>(node: &'a Value, name: &str) -> Option<&'a str> {
    node["metadata"]["labels"].get(name).and_then(Value::as_str)
}

fn taints(node: &Value) -> Vec<String> {
    array(node, "/spec/taints")
        .iter()
        .map(|t| format!("{}={}:{}", text(t, "/key"), text(t, "/value"), text(t, "/effect")))
        .collect()
}

#[test]
fn a_worker_is_a_node_with_its_address() {
    let mut txn = Txn::new(State::default(), at(100));
    let machine =
        Machine { public_address: "169.1.2.3".to_owned(), private_vlan: "22".to_owned(), ..machine("w1", "10.0.0.1") };
    reconcile(&mut txn, std::slice::from_ref(&machine), &world("classic"));
    let found = node(&txn, "10.0.0.1");
    assert_eq!(found["spec"]["providerID"], "ibm://a1///c1/w1");
    assert_eq!(found["status"]["nodeInfo"]["kubeletVersion"], "v1.36.3+IKS");
    assert_eq!(found["status"]["allocatable"]["cpu"], "3915m");
    assert_eq!(found["status"]["addresses"][1], json!({"type": "ExternalIP", "address": "169.1.2.3"}));
    let cases = [
        ("ibm-cloud.kubernetes.io/worker-id", Some("w1")),
        ("ibm-cloud.kubernetes.io/iaas-provider", Some("softlayer")),
        ("ibm-cloud.kubernetes.io/external-ip", Some("169.1.2.3")),
        ("topology.kubernetes.io/zone", Some("dal10")),
        ("kubernetes.io/hostname", Some("10.0.0.1")),
        ("privateVLAN", Some("22")),
        ("publicVLAN", None),
        ("node-role.kubernetes.io/worker", None),
    ];
    for (name, value) in cases {
        assert_eq!(label(&found, name), value, "{name}");
    }
    let openshift = World { openshift: Some("4.21.27".to_owned()), ..world("vpc-gen2") };
    reconcile(&mut txn, &[machine], &openshift);
    let found = node(&txn, "10.0.0.1");
    assert_eq!(label(&found, "node-role.kubernetes.io/worker"), Some(""));
    assert_eq!(label(&found, "ibm-cloud.kubernetes.io/iaas-provider"), Some("g2"));
}

#[test]
fn what_is_in_step_is_not_written() {
    let mut txn = Txn::new(State::default(), at(100));
    let machines = [Machine { ready: false, ..machine("w1", "10.0.0.1") }, machine("w2", "10.0.0.2")];
    reconcile(&mut txn, &machines, &world("classic"));
    let revision = txn.state().revision();
    let mut txn = again(txn, 200);
    reconcile(&mut txn, &machines, &world("classic"));
    assert_eq!(txn.state().revision(), revision);
}

#[test]
fn what_users_add_stays_and_what_leaves_the_pool_goes() {
    let mut txn = Txn::new(State::default(), at(100));
    let with = |labels: &[(&str, &str)], taints: &[(&str, &str)]| {
        let owned = |pairs: &[(&str, &str)]| pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        [Machine { labels: owned(labels), taints: owned(taints), ..machine("w1", "10.0.0.1") }]
    };
    reconcile(&mut txn, &with(&[("team", "a"), ("tier", "x")], &[("gpu", "yes:NoSchedule")]), &world("classic"));
    txn.edit(&Key::new("nodes", "", "10.0.0.1"), |node| {
        node["metadata"]["labels"]["mine"] = json!("1");
        node["metadata"]["labels"]["ibm-cloud.kubernetes.io/zone"] = json!("changed");
        node["spec"]["unschedulable"] = json!(true);
        node["spec"]["taints"].as_array_mut().unwrap().push(json!({"key": "own", "effect": "NoExecute"}));
        node["status"]["capacity"]["example.com/dongle"] = json!("2");
    });
    reconcile(&mut txn, &with(&[("team", "b")], &[("edge", ":NoSchedule")]), &world("classic"));
    let found = node(&txn, "10.0.0.1");
    let labels = ["mine", "team", "tier", "ibm-cloud.kubernetes.io/zone"].map(|name| label(&found, name));
    assert_eq!(labels, [Some("1"), Some("b"), None, Some("dal10")]);
    assert_eq!(taints(&found), ["own=:NoExecute", "edge=:NoSchedule", "node.kubernetes.io/unschedulable=:NoSchedule"]);
    assert_eq!(found["status"]["capacity"]["example.com/dongle"], "2");
    txn.edit(&Key::new("nodes", "", "10.0.0.1"), |node| node["spec"]["unschedulable"] = json!(false));
    reconcile(&mut txn, &with(&[], &[]), &world("classic"));
    let found = node(&txn, "10.0.0.1");
    assert_eq!((taints(&found), label(&found, "team")), (vec!["own=:NoExecute".to_owned()], None));
}

#[test]
fn a_node_is_as_well_as_its_worker() {
    let mut txn = Txn::new(State::default(), at(100));
    let ready = |txn: &Txn| {
        let node = node(txn, "10.0.0.1");
        let found = array(&node, "/status/conditions").iter().find(|c| c["type"] == "Ready").unwrap();
        ["status", "message", "lastTransitionTime"].map(|name| found[name].as_str().unwrap().to_owned())
    };
    reconcile(&mut txn, &[machine("w1", "10.0.0.1")], &world("classic"));
    assert_eq!(ready(&txn), ["True", "kubelet is posting ready status", "1970-01-01T00:01:40Z"]);
    let mut txn = again(txn, 200);
    let ill = Machine { ready: false, trouble: "Critical".to_owned(), ..machine("w1", "10.0.0.1") };
    reconcile(&mut txn, &[ill], &world("classic"));
    assert_eq!(ready(&txn), ["False", "Critical", "1970-01-01T00:03:20Z"]);
    let not_ready = ["node.kubernetes.io/not-ready=:NoSchedule", "node.kubernetes.io/not-ready=:NoExecute"];
    assert_eq!(taints(&node(&txn, "10.0.0.1")), not_ready);
    reconcile(&mut txn, &[machine("w1", "10.0.0.1")], &world("classic"));
    assert!(taints(&node(&txn, "10.0.0.1")).is_empty());
}

#[test]
fn nodes_go_with_their_workers() {
    let mut txn = Txn::new(State::default(), at(100));
    txn.put(Key::new("nodes", "", "mine"), json!({"metadata": {"labels": {"a": "b"}}}));
    reconcile(&mut txn, &[machine("w1", "10.0.0.1"), machine("w2", "10.0.0.2")], &world("classic"));
    let uid = |txn: &Txn, name: &str| txn.find("nodes", "", name).map(|node| node.uid().to_owned());
    let before = uid(&txn, "10.0.0.1");
    reconcile(&mut txn, &[machine("w3", "10.0.0.1")], &world("classic"));
    assert_ne!(uid(&txn, "10.0.0.1"), before, "another worker is another node");
    assert_eq!(uid(&txn, "10.0.0.2"), None);
    assert!(uid(&txn, "mine").is_some(), "a node that is no worker is a user's");
}
