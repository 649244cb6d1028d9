//! Namespaces: what every one has, and how one ends.

use std::sync::Arc;

use serde_json::{Value, json};

use super::Run;
use super::common::{condition, set_condition};
use crate::lifecycle::{self, DeleteOptions};
use crate::object::{Key, Object, array, member};

/// The ConfigMap with the certificate of the cluster's authority.
pub(super) const CA: &str = "kube-root-ca.crt";

/// Gives a namespace what every one has, or empties one that is to end.
pub(super) fn sync(run: &mut Run<'_>, namespace: &Arc<Object>) {
    let name = &*namespace.key.name;
    if namespace.is_terminating() {
        return empty(run, namespace);
    }
    if run.txn.find("serviceaccounts", name, "default").is_none() {
        let account = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {}});
        run.txn.put(Key::new("serviceaccounts", name, "default"), account);
    }
    let pem = &run.world.ca_pem;
    let key = Key::new("configmaps", name, CA);
    if pem.is_empty() || run.txn.get(&key).is_some_and(|map| map.content().pointer("/data/ca.crt") == Some(&json!(pem))) {
        return;
    }
    let mut map = run.txn.get(&key).map_or_else(
        || {
            let note = "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the internal service IP or kubernetes.default.svc. No other usage is guaranteed across distributions of Kubernetes clusters.";
            json!({
                "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"annotations": {"kubernetes.io/description": note}},
            })
        },
        |map| map.value().into_owned(),
    );
    member(&mut map, "data").insert("ca.crt".to_owned(), json!(pem));
    run.txn.put(key, map);
}

/// Deletes everything in a namespace. When nothing is left, the namespace goes as well.
fn empty(run: &mut Run<'_>, namespace: &Arc<Object>) {
    let name = &*namespace.key.name;
    let inside: Vec<Arc<Object>> = run.txn.state().all().filter(|object| &*object.key.namespace == name).cloned().collect();
    for object in inside.iter().filter(|object| !object.is_terminating()) {
        let options = DeleteOptions { propagation: Some(lifecycle::Propagation::Background), ..DeleteOptions::default() };
        lifecycle::delete(run.txn, &object.key, &options);
    }
    let left: Vec<Arc<Object>> = run.txn.state().all().filter(|object| &*object.key.namespace == name).cloned().collect();
    if left.is_empty() {
        run.txn.edit(&namespace.key, |value| {
            if let Some(Value::Array(finalizers)) = value.pointer_mut("/spec/finalizers") {
                finalizers.retain(|finalizer| finalizer != "kubernetes");
            }
        });
        lifecycle::settle(run.txn, &namespace.key);
        return;
    }
    let held: Vec<&Arc<Object>> =
        left.iter().filter(|object| !array(object.content(), "/metadata/finalizers").is_empty()).collect();
    let now = run.txn.now();
    let remaining = told("has", &left.iter().collect::<Vec<_>>(), |object| vec![resource(&object.key.resource)]);
    let finalizers = told("in", &held, |object| {
        array(object.content(), "/metadata/finalizers").iter().filter_map(|f| f.as_str().map(str::to_owned)).collect()
    });
    run.txn.edit(&namespace.key, |value| {
        let fine = [
            ("NamespaceDeletionDiscoveryFailure", "ResourcesDiscovered", "All resources successfully discovered"),
            ("NamespaceDeletionGroupVersionParsingFailure", "ParsedGroupVersions", "All legacy kube types successfully parsed"),
            (
                "NamespaceDeletionContentFailure",
                "ContentDeleted",
                "All content successfully deleted, may be waiting on finalization",
            ),
        ];
        for (kind, reason, message) in fine {
            set_condition(value, condition(kind, "False", reason, message), now);
        }
        let message = format!("Some resources are remaining: {remaining}");
        set_condition(value, condition("NamespaceContentRemaining", "True", "SomeResourcesRemain", &message), now);
        let held = if finalizers.is_empty() {
            condition(
                "NamespaceFinalizersRemaining",
                "False",
                "ContentHasNoFinalizers",
                "All content-preserving finalizers finished",
            )
        } else {
            let message = format!("Some content in the namespace has finalizers remaining: {finalizers}");
            condition("NamespaceFinalizersRemaining", "True", "SomeFinalizersRemain", &message)
        };
        set_condition(value, held, now);
    });
}

/// `pods` is told as `pods.`, as upstream writes a resource with its group.
fn resource(stored: &str) -> String {
    if stored.contains('.') { stored.to_owned() } else { format!("{stored}.") }
}

/// `example.com/keep in 2 resource instances`
fn told(verb: &str, objects: &[&Arc<Object>], of: impl Fn(&Object) -> Vec<String>) -> String {
    let mut counts = std::collections::BTreeMap::<String, usize>::new();
    for object in objects {
        for name in of(object) {
            *counts.entry(name).or_default() += 1;
        }
    }
    counts.into_iter().map(|(name, count)| format!("{name} {verb} {count} resource instances")).collect::<Vec<_>>().join(", ")
}
