//! What the cluster says of itself: version, operators, infrastructure, console, and which security contexts there are.

use serde_json::{Value, json};

use super::{READ, made};
use crate::bootstrap::uid;
use crate::object::{Key, Object, member, text, time};
use crate::resources::Resource;
use crate::state::Txn;
use crate::world::World;

const API: &str = "config.openshift.io/v1";
/// Operators that clients ask for the version.
const OPERATORS: [&str; 5] = ["console", "ingress", "kube-apiserver", "openshift-apiserver", "openshift-samples"];

/// Where the console of a cluster is, empty while the cluster has no domain. Nothing answers there in a virtual cluster.
pub(super) fn console_url(world: &World) -> String {
    match world.ingress_hostname.as_str() {
        "" => String::new(),
        domain => format!("https://console-openshift-console.{domain}"),
    }
}

/// The ConfigMap that tells everybody where the console is.
pub(crate) fn console(world: &World) -> Value {
    json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": { "name": "console-public", "namespace": "openshift-config-managed" },
        "data": { "consoleURL": console_url(world) },
    })
}

/// Tells where the console is after the cluster's domain has changed. It writes nothing if that is told already.
pub fn sync(txn: &mut Txn, world: &World) {
    let key = Key::new("configmaps", "openshift-config-managed", "console-public");
    let url = console_url(world);
    if txn.get(&key).is_some_and(|map| text(map.content(), "/data/consoleURL") != url) {
        txn.edit(&key, |map| {
            member(map, "data").insert("consoleURL".to_owned(), json!(url));
        });
    }
}

pub(super) fn list(world: &World, resource: &Resource) -> Vec<Object> {
    let stored = &*resource.stored;
    let one = |name: &str, value: Value| vec![made(world, stored, name, value)];
    match stored {
        "clusterversions.config.openshift.io" => one("version", version(world)),
        "infrastructures.config.openshift.io" => one("cluster", infrastructure(world)),
        "consoles.config.openshift.io" => one(
            "cluster",
            json!({
                "kind": "Console", "apiVersion": API, "spec": { "authentication": { "logoutRedirect": "" } },
                "status": { "consoleURL": console_url(world) },
            }),
        ),
        "clusteroperators.config.openshift.io" => {
            OPERATORS.iter().map(|name| made(world, stored, name, operator(world))).collect()
        }
        "securitycontextconstraints.security.openshift.io" => READ
            .security_context_constraints
            .iter()
            .map(|constraints| {
                let mut value = constraints.clone();
                value["kind"] = json!("SecurityContextConstraints");
                value["apiVersion"] = json!("security.openshift.io/v1");
                let name = value["metadata"]["name"].as_str().unwrap_or_default().to_owned();
                made(world, stored, &name, value)
            })
            .collect(),
        _ => Vec::new(),
    }
}

fn release(world: &World) -> &str {
    world.openshift.as_deref().unwrap_or_default()
}

/// Conditions of something that works.
fn conditions(world: &World, message: &str) -> Value {
    let condition = |kind: &str, status: &str, message: &str| json!({ "type": kind, "status": status, "message": message, "lastTransitionTime": time(world.created) });
    json!([
        condition("Available", "True", message),
        condition("Progressing", "False", message),
        condition("Degraded", "False", ""),
        condition("Upgradeable", "True", ""),
    ])
}

fn version(world: &World) -> Value {
    let release = release(world);
    let channel = release.rsplit_once('.').map_or(release, |(minor, _)| minor);
    let at = time(world.created);
    let mut conditions = conditions(world, &format!("Cluster version is {release}"));
    // A version fails where an operator is degraded.
    conditions[2]["type"] = json!("Failing");
    json!({
        "kind": "ClusterVersion", "apiVersion": API,
        "spec": { "channel": format!("stable-{channel}"), "clusterID": uid(&world.id, &Key::new("clusters", "", &world.id)) },
        "status": {
            "desired": { "version": release }, "availableUpdates": null, "observedGeneration": 1, "conditions": conditions,
            "history": [{ "state": "Completed", "version": release, "startedTime": at, "completionTime": at, "verified": true }],
        },
    })
}

fn operator(world: &World) -> Value {
    json!({
        "kind": "ClusterOperator", "apiVersion": API, "spec": {},
        "status": {
            "versions": [{ "name": "operator", "version": release(world) }, { "name": "kube-apiserver", "version": world.version }],
            "conditions": conditions(world, ""),
        },
    })
}

fn infrastructure(world: &World) -> Value {
    let provider = if world.provider == "classic" { "Classic" } else { "VPC" };
    json!({
        "kind": "Infrastructure", "apiVersion": API,
        "spec": { "cloudConfig": { "name": "" }, "platformSpec": { "type": "IBMCloud" } },
        "status": {
            "apiServerURL": world.server, "apiServerInternalURI": world.server, "infrastructureName": world.id,
            "platform": "IBMCloud",
            "platformStatus": { "type": "IBMCloud", "ibmcloud": { "location": world.region, "providerType": provider } },
            "controlPlaneTopology": "External", "infrastructureTopology": "HighlyAvailable", "etcdDiscoveryDomain": "",
        },
    })
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::super::tests::{find, world};
    use super::*;
    use crate::bootstrap;
    use crate::state::State;

    #[test]
    fn the_version_is_that_of_the_master() {
        let listed = list(&world(), find("clusterversions"));
        let version = listed[0].content();
        assert_eq!(version["status"]["desired"]["version"], "4.21.27");
        assert_eq!(version["spec"]["channel"], "stable-4.21");
        let operators = list(&world(), find("clusteroperators"));
        let server = operators.iter().find(|o| &*o.key.name == "openshift-apiserver").unwrap();
        assert_eq!(server.content()["status"]["versions"][0], json!({ "name": "operator", "version": "4.21.27" }));
    }

    #[test]
    fn where_the_console_is_follows_the_domain() {
        let domain = |domain: &str| World { ingress_hostname: domain.to_owned(), ..world() };
        let mut txn = Txn::new(State::begun(bootstrap::objects(&domain(""))), Timestamp::UNIX_EPOCH);
        sync(&mut txn, &domain(""));
        assert!(txn.touched().is_empty(), "clusters that have no domain yet store nothing of it");
        sync(&mut txn, &domain("mine.example"));
        let map = txn.find("configmaps", "openshift-config-managed", "console-public").unwrap();
        assert_eq!(text(map.content(), "/data/consoleURL"), "https://console-openshift-console.mine.example");
        sync(&mut txn, &domain("mine.example"));
        assert_eq!(txn.touched().len(), 1);
    }

    #[test]
    fn there_is_no_console_before_there_is_a_domain() {
        assert_eq!(console_url(&World::default()), "");
        assert!(console_url(&world()).starts_with("https://console-openshift-console.mine."));
    }
}
