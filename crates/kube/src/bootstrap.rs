//! What every cluster has from its beginning.
//!
//! Most of it is the same in every cluster and is held once by the process; what tells of the cluster itself is made for it. All of it is at
//! revision 1, and has UIDs that follow from the cluster and the key, so that nothing of it has to be stored until it is changed.

mod namespaced;
mod openshift;
mod own;
mod storage;

use std::collections::BTreeMap;
use std::io::Read as _;
use std::sync::{Arc, OnceLock};

use boatyard_core::secret::sha256;
use serde_json::{Value, json};

use crate::object::{Key, Object, text};
use crate::rbac;
use crate::world::World;

pub use namespaced::of_namespace;

/// The roles and bindings that Kubernetes begins with.
const ROLES: &[u8] = include_bytes!("../data/roles.json.gz");

/// The revision that every cluster begins with.
pub const REVISION: u64 = 1;

/// A key with the value that clusters share.
type Shared = (Key, Arc<Value>);

/// The objects that a cluster begins with.
#[must_use]
pub fn objects(world: &World) -> Vec<Object> {
    let namespaced = namespaced::shared(world.openshift.is_some(), &world.ca_pem);
    let own = own::objects(world);
    let shared = catalogue(world).iter().chain(namespaced.iter()).chain(&own);
    let object =
        |(key, value): &Shared| Object::shared(key.clone(), REVISION, value.clone(), uid(&world.id, key), world.created);
    shared.map(object).collect()
}

/// The UID of an object that a cluster begins with, or that is made whenever somebody asks for it: always the same, and another one in another
/// cluster.
#[must_use]
pub fn uid(cluster: &str, key: &Key) -> String {
    let digest = sha256(format!("{cluster}/{key}").as_bytes());
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    // The form of UUIDs that hold what their maker likes (version 8 of RFC 9562).
    bytes[6] = bytes[6] & 0x0f | 0x80;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex = boatyard_core::id::hex(&bytes);
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

/// What all clusters of a kind and a provider share.
fn catalogue(world: &World) -> &'static [Shared] {
    static CATALOGUES: [OnceLock<Vec<Shared>>; 4] = [const { OnceLock::new() }; 4];
    let (openshift, vpc) = (world.openshift.is_some(), is_vpc(world));
    CATALOGUES[usize::from(openshift) * 2 + usize::from(vpc)].get_or_init(|| {
        let objects = roles(openshift).into_iter().chain(priority_classes()).chain(ingress_classes(openshift));
        objects.chain(storage::objects(vpc)).map(shared).collect()
    })
}

fn is_vpc(world: &World) -> bool {
    world.provider.starts_with("vpc")
}

/// The resources of the kinds here, which do not all follow from the kind.
const RESOURCES: [(&str, &str); 15] = [
    ("CSIDriver", "csidrivers.storage.k8s.io"),
    ("ClusterRole", rbac::CLUSTER_ROLES),
    ("ClusterRoleBinding", rbac::CLUSTER_ROLE_BINDINGS),
    ("ConfigMap", "configmaps"),
    ("EndpointSlice", "endpointslices.discovery.k8s.io"),
    ("Endpoints", "endpoints"),
    ("IngressClass", "ingressclasses.networking.k8s.io"),
    ("Namespace", "namespaces"),
    ("PriorityClass", "priorityclasses.scheduling.k8s.io"),
    ("Role", rbac::ROLES),
    ("RoleBinding", rbac::ROLE_BINDINGS),
    ("Service", "services"),
    ("ServiceAccount", "serviceaccounts"),
    ("ServiceCIDR", "servicecidrs.networking.k8s.io"),
    ("StorageClass", "storageclasses.storage.k8s.io"),
];

fn shared(value: Value) -> Shared {
    let kind = text(&value, "/kind");
    let resource = RESOURCES.iter().find(|(of, _)| *of == kind).map_or(kind, |(_, resource)| resource);
    (Key::new(resource, text(&value, "/metadata/namespace"), text(&value, "/metadata/name")), Arc::new(value))
}

/// Roles and bindings, with what some cluster roles gather of others.
fn roles(openshift: bool) -> Vec<Value> {
    let mut json = Vec::new();
    // The data is part of the program, and read by the tests below.
    flate2::read::GzDecoder::new(ROLES).read_to_end(&mut json).expect("the published roles are whole");
    let mut all: Vec<Value> = serde_json::from_slice(&json).expect("the published roles are readable");
    if openshift {
        all.extend(openshift::roles());
    }
    let (cluster_roles, mut others): (Vec<Value>, Vec<Value>) = all.into_iter().partition(|v| v["kind"] == "ClusterRole");
    let mut by_name: BTreeMap<String, Value> =
        cluster_roles.into_iter().map(|role| (text(&role, "/metadata/name").to_owned(), role)).collect();
    rbac::expand(&mut by_name);
    others.extend(by_name.into_values());
    others
}

fn priority_classes() -> impl Iterator<Item = Value> {
    let classes = [
        ("system-cluster-critical", 2_000_000_000, "For pods that the cluster needs, on whichever node."),
        ("system-node-critical", 2_000_001_000, "For pods that their node needs."),
    ];
    classes.into_iter().map(|(name, value, description)| {
        json!({
            "apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": name, "generation": 1},
            "value": value, "description": description, "preemptionPolicy": "PreemptLowerPriority",
        })
    })
}

fn ingress_classes(openshift: bool) -> Vec<Value> {
    let class = |name: &str, spec: Value| {
        json!({
            "apiVersion": "networking.k8s.io/v1", "kind": "IngressClass", "metadata": {"name": name, "generation": 1},
            "spec": spec,
        })
    };
    if openshift {
        let controller = json!({
            "controller": "openshift.io/ingress-to-route",
            "parameters": {
                "apiGroup": "operator.openshift.io", "kind": "IngressController", "name": "default", "scope": "Cluster",
            },
        });
        return vec![class("openshift-default", controller)];
    }
    let nginx = || json!({"controller": "k8s.io/ingress-nginx"});
    vec![class("private-iks-k8s-nginx", nginx()), class("public-iks-k8s-nginx", nginx())]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::resources;

    fn world(provider: &str, openshift: bool) -> World {
        World {
            id: "c1a2b3c4d5e6f7g8h9i0".to_owned(),
            name: "mycluster".to_owned(),
            provider: provider.to_owned(),
            openshift: openshift.then(|| "4.21.27".to_owned()),
            service_subnet: "172.21.0.0/16".to_owned(),
            ca_pem: "-----BEGIN CERTIFICATE-----\n".to_owned(),
            ..World::default()
        }
    }

    fn worlds() -> impl Iterator<Item = World> {
        [("classic", false), ("classic", true), ("vpc-gen2", false), ("vpc-gen2", true)].map(|(p, o)| world(p, o)).into_iter()
    }

    #[test]
    fn every_cluster_begins_with_objects_of_resources_that_are_served() {
        let served: BTreeSet<&str> = resources::built_in()
            .iter()
            .flat_map(|group| &group.versions)
            .flat_map(|version| &version.resources)
            .map(|resource| &*resource.stored)
            .collect();
        for world in worlds() {
            let objects = objects(&world);
            let keys: BTreeSet<&Key> = objects.iter().map(|object| &object.key).collect();
            assert_eq!(keys.len(), objects.len(), "a key stands for one object");
            let uids: BTreeSet<&str> = objects.iter().map(Object::uid).collect();
            assert_eq!(uids.len(), objects.len(), "a uid stands for one object");
            for object in &objects {
                assert!(served.contains(&*object.key.resource), "{}", object.key);
                assert_eq!(object.revision, 1);
                assert!(
                    object.key.namespace.is_empty() || keys.contains(&Key::new("namespaces", "", &object.key.namespace)),
                    "the namespace of {} is there",
                    object.key,
                );
            }
        }
    }

    #[test]
    fn clusters_share_what_does_not_tell_of_them() {
        let (one, other) =
            (objects(&world("classic", false)), objects(&World { id: "other".to_owned(), ..world("classic", false) }));
        let apart: Vec<String> = one
            .iter()
            .zip(&other)
            .filter(|(a, b)| !std::ptr::eq(a.content(), b.content()))
            .map(|(a, _)| a.key.to_string())
            .collect();
        assert!(apart.len() < 8, "{apart:?}");
        assert!(one.iter().zip(&other).all(|(a, b)| a.key == b.key && a.uid() != b.uid()));
    }

    #[test]
    fn roles_that_gather_hold_what_they_gather() {
        let objects = objects(&world("vpc-gen2", true));
        let rules = |name: &str| {
            let key = Key::new(rbac::CLUSTER_ROLES, "", name);
            objects.iter().find(|object| object.key == key).unwrap().content()["rules"].as_array().unwrap().clone()
        };
        assert!(rules("view").iter().all(|rule| rules("edit").contains(rule)));
        assert!(rules("edit").iter().all(|rule| rules("admin").contains(rule)));
        assert!(rules("admin").len() > rules("edit").len());
    }

    #[test]
    fn one_storage_class_is_the_default() {
        for (world, default) in
            worlds().zip(["ibmc-file-gold", "ibmc-file-gold", "ibmc-vpc-block-10iops-tier", "ibmc-vpc-block-10iops-tier"])
        {
            let objects = objects(&world);
            let defaults =
                objects.iter().filter(|o| o.annotation("storageclass.kubernetes.io/is-default-class") == Some("true"));
            assert_eq!(defaults.map(|o| &*o.key.name).collect::<Vec<_>>(), [default]);
        }
    }

    #[test]
    fn services_of_the_cluster_have_the_first_addresses() {
        let objects = objects(&world("classic", false));
        let address = |namespace: &str, name: &str| {
            let key = Key::new("services", namespace, name);
            text(objects.iter().find(|object| object.key == key).unwrap().content(), "/spec/clusterIP").to_owned()
        };
        assert_eq!(address("default", "kubernetes"), "172.21.0.1");
        assert_eq!(address("kube-system", "kube-dns"), "172.21.0.10");
    }
}
