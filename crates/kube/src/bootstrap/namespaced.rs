//! Namespaces, and what is in every one of them.

use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};

use super::{Shared, shared as keyed};
use crate::object::Key;

/// Of every cluster.
const COMMON: [&str; 4] = ["default", "kube-node-lease", "kube-public", "kube-system"];

/// Of the Kubernetes service.
const KUBERNETES: [&str; 6] =
    ["calico-system", "ibm-cert-store", "ibm-observe", "ibm-operators", "ibm-system", "tigera-operator"];

/// Of clusters of OpenShift.
const OPENSHIFT: [&str; 24] = [
    "calico-system",
    "ibm-observe",
    "ibm-operators",
    "ibm-system",
    "openshift",
    "openshift-apiserver",
    "openshift-authentication",
    "openshift-cluster-version",
    "openshift-config",
    "openshift-config-managed",
    "openshift-console",
    "openshift-dns",
    "openshift-image-registry",
    "openshift-infra",
    "openshift-ingress",
    "openshift-ingress-operator",
    "openshift-kube-proxy",
    "openshift-marketplace",
    "openshift-monitoring",
    "openshift-multus",
    "openshift-network-operator",
    "openshift-node",
    "openshift-operators",
    "tigera-operator",
];

/// Objects, and for which certificates they were made.
type Made = Option<(String, Arc<[Shared]>)>;

/// By whether the cluster is one of OpenShift.
static LATEST: [Mutex<Made>; 2] = [const { Mutex::new(None) }; 2];

/// The namespaces with what is in them. The certificates are the same for all clusters of a process, so that these are shared as well.
pub(super) fn shared(openshift: bool, ca_pem: &str) -> Arc<[Shared]> {
    let mut latest = LATEST[usize::from(openshift)].lock().unwrap_or_else(PoisonError::into_inner);
    match &*latest {
        Some((of, objects)) if of == ca_pem => objects.clone(),
        _ => {
            let made: Arc<[Shared]> = made(openshift, ca_pem).into();
            *latest = Some((ca_pem.to_owned(), made.clone()));
            made
        }
    }
}

fn made(openshift: bool, ca_pem: &str) -> Vec<Shared> {
    let of_kind: &[&str] = if openshift { &OPENSHIFT } else { &KUBERNETES };
    let names = COMMON.iter().chain(of_kind).copied();
    let objects = names.flat_map(|name| {
        let inside = of_namespace(openshift, ca_pem, name).into_iter().map(|(_, value)| value);
        std::iter::once(namespace(name)).chain(inside)
    });
    objects.map(keyed).collect()
}

fn namespace(name: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Namespace",
        "metadata": {"name": name, "labels": {"kubernetes.io/metadata.name": name}},
        "spec": {"finalizers": ["kubernetes"]},
        "status": {"phase": "Active"},
    })
}

/// What a namespace has from its beginning: the service account `default` (and those that builds and deployments of OpenShift use), and the
/// certificates that pods trust the API by.
#[must_use]
pub fn of_namespace(openshift: bool, ca_pem: &str, namespace: &str) -> Vec<(Key, Value)> {
    let accounts: &[&str] = if openshift { &["builder", "default", "deployer"] } else { &["default"] };
    let account = |name: &&str| {
        let value = json!({
            "apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name, "namespace": namespace},
        });
        (Key::new("serviceaccounts", namespace, name), value)
    };
    let mut objects: Vec<(Key, Value)> = accounts.iter().map(account).collect();
    let root = json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {
            "name": "kube-root-ca.crt", "namespace": namespace,
            "annotations": {
                "kubernetes.io/description": "The certificates by which the API server of the cluster is trusted.",
            },
        },
        "data": {"ca.crt": ca_pem},
    });
    objects.push((Key::new("configmaps", namespace, "kube-root-ca.crt"), root));
    objects
}
