//! The resources that one cluster serves: the built-in ones, those of its platform, and those that its CustomResourceDefinitions add.

use std::sync::Arc;

use crate::crd;
use crate::lifecycle::{self, DeleteOptions};
use crate::object::{Key, Object, array, text};
use crate::openshift;
use crate::resources::{self, Group, Resource, Version};
use crate::state::{State, Txn};

/// The resource that defines others.
pub const DEFINITIONS: &str = "customresourcedefinitions.apiextensions.k8s.io";
/// Keeps a definition until its objects are gone.
const CLEANUP: &str = "customresourcecleanup.apiextensions.k8s.io";

/// What is served.
#[derive(Debug)]
pub struct Registry {
    shared: Vec<&'static Group>,
    custom: Vec<Group>,
}

impl Registry {
    /// What a cluster with these objects serves.
    #[must_use]
    pub fn of(state: &State, is_openshift: bool) -> Self {
        let platform: &'static [Group] = if is_openshift { openshift::groups() } else { &[] };
        let shared = resources::built_in().iter().chain(platform).collect();
        let mut custom: Vec<Group> = Vec::new();
        for definition in definitions(state) {
            for resource in crd::resources(definition.content()) {
                place(&mut custom, resource);
            }
        }
        for group in &mut custom {
            group.versions.sort_by_key(|version| std::cmp::Reverse(priority(&version.name)));
        }
        Self { shared, custom }
    }

    /// All groups, those of custom resources last.
    pub fn groups(&self) -> impl Iterator<Item = &Group> {
        self.shared.iter().copied().chain(&self.custom)
    }

    /// A resource by its path.
    #[must_use]
    pub fn find(&self, group: &str, version: &str, plural: &str) -> Option<&Arc<Resource>> {
        let groups = self.groups().filter(|g| g.name == group);
        let mut versions = groups.flat_map(|g| &g.versions).filter(|v| v.name == version);
        versions.find_map(|v| v.resources.iter().find(|r| r.plural == plural))
    }
}

fn place(groups: &mut Vec<Group>, resource: Resource) {
    let index = groups.iter().position(|g| g.name == resource.group).unwrap_or_else(|| {
        groups.push(Group { name: resource.group.clone(), versions: Vec::new() });
        groups.len() - 1
    });
    let versions = &mut groups[index].versions;
    let index = versions.iter().position(|v| v.name == resource.version).unwrap_or_else(|| {
        versions.push(Version { name: resource.version.clone(), resources: Vec::new() });
        versions.len() - 1
    });
    versions[index].resources.push(Arc::new(resource));
}

/// How versions are ranked: stable ones first, then beta and alpha ones, each with the higher numbers first; other names come last.
fn priority(version: &str) -> (u8, u32, u32, std::cmp::Reverse<String>) {
    let name = std::cmp::Reverse(version.to_owned());
    let digits = |text: &str| text.chars().take_while(char::is_ascii_digit).count();
    let Some(rest) = version.strip_prefix('v') else { return (0, 0, 0, name) };
    let (major, rest) = rest.split_at(digits(rest));
    let Ok(major) = major.parse() else { return (0, 0, 0, name) };
    if rest.is_empty() {
        return (3, major, 0, name);
    }
    let (stability, minor) = match (rest.strip_prefix("beta"), rest.strip_prefix("alpha")) {
        (Some(minor), _) => (2, minor),
        (_, Some(minor)) => (1, minor),
        _ => return (0, 0, 0, name),
    };
    minor.parse().map_or((0, 0, 0, name.clone()), |minor| (stability, major, minor, name))
}

/// The definitions whose resources are served.
pub fn definitions(state: &State) -> impl Iterator<Item = &Object> {
    state.list(DEFINITIONS, None, None).map(AsRef::as_ref).filter(|d| crd::condition(d.content(), "Established"))
}

/// Whether a change of `key` changes what is served.
#[must_use]
pub fn concerns(key: &Key) -> bool {
    &*key.resource == DEFINITIONS
}

/// Follows changes of definitions: names are accepted, and the objects of definitions that are being removed go first. `seen` keys were
/// looked at before.
pub fn follow(txn: &mut Txn, seen: usize) {
    let definition = |key: &Key| if concerns(key) { key.clone() } else { Key::new(DEFINITIONS, "", &key.resource) };
    let touched = txn.touched()[seen..].iter().filter(|key| key.resource.contains('.'));
    let mut keys: Vec<_> = touched.map(definition).collect();
    keys.sort();
    keys.dedup();
    for key in keys {
        let Some(object) = txn.get(&key) else { continue };
        if object.is_terminating() {
            clean_up(txn, &object);
        } else {
            accept(txn, &object);
        }
    }
}

fn accept(txn: &mut Txn, object: &Object) {
    let mut value = object.value().into_owned();
    let taken = |group: &str, kind: &str, name: &str| {
        let others = txn.state().list(DEFINITIONS, None, None).filter(|o| o.key != object.key);
        let mut names =
            others.filter(|o| text(o.content(), "/spec/group") == group).map(|o| &o.content()["status"]["acceptedNames"]);
        names.any(|names| match kind {
            "shortName" => array(names, "/shortNames").iter().any(|n| n == name),
            kind => names[kind] == name,
        })
    };
    crd::accept(&mut value, &taken, txn.now());
    txn.put(object.key.clone(), value);
}

/// Deletes the objects of a definition; it may go once they have.
fn clean_up(txn: &mut Txn, definition: &Object) {
    let finalizers = array(definition.content(), "/metadata/finalizers");
    if !finalizers.iter().any(|f| f == CLEANUP) {
        return;
    }
    let key = &definition.key;
    for object in txn.list(&key.name, None).iter().filter(|o| !o.is_terminating()) {
        lifecycle::delete(txn, &object.key, &DeleteOptions::default());
    }
    if txn.list(&key.name, None).is_empty() {
        txn.edit(key, |value| {
            if let Some(finalizers) = value.pointer_mut("/metadata/finalizers").and_then(|f| f.as_array_mut()) {
                finalizers.retain(|f| f != CLEANUP);
            }
        });
        lifecycle::settle(txn, key);
    }
}

/// Has a new definition wait for its objects when it is removed.
pub fn keep_until_clean(definition: &mut serde_json::Value) {
    let finalizers = crate::object::member(definition, "metadata").entry("finalizers").or_insert_with(|| serde_json::json!([]));
    if let Some(finalizers) = finalizers.as_array_mut()
        && !finalizers.iter().any(|f| f == CLEANUP)
    {
        finalizers.push(CLEANUP.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_ranked_as_kubernetes_ranks_them() {
        let mut versions = ["foo10", "v1", "v11alpha2", "foo1", "v3beta1", "v10", "v12alpha1", "v11beta2", "v2", "v10beta3"];
        versions.sort_by_key(|v| std::cmp::Reverse(priority(v)));
        let ranked = ["v10", "v2", "v1", "v11beta2", "v10beta3", "v3beta1", "v12alpha1", "v11alpha2", "foo1", "foo10"];
        assert_eq!(versions, ranked);
    }
}
