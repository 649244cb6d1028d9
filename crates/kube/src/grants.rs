//! The bindings that roles of IAM become in a cluster.
//!
//! As the service documents it, there is one binding for each of its names, of the whole cluster (`ibm-admin`) or in a namespace (`ibm-view`,
//! `ibm-edit`, `ibm-operate`), with everybody who holds the role as a subject. A role that is held in all namespaces is bound in each of them,
//! unless it is about the cluster itself. The bindings belong to IAM: what a user changes of them does not last.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::object::{Key, Object, array, member};
use crate::rbac::{CLUSTER_ROLE_BINDINGS, GROUP, ROLE_BINDINGS};
use crate::state::Txn;
use crate::world::{Grant, Subject};

/// The label of bindings that belong to IAM.
const LABEL: &str = "boatyard.dev/managed-by";
const IAM: &str = "iam";

/// The one role that says something about the cluster itself, and is therefore bound in all of it.
const CLUSTER_ADMIN: &str = "cluster-admin";

/// Whether a change of this object can put bindings out of step with IAM.
#[must_use]
pub fn concerns(key: &Key) -> bool {
    matches!(&*key.resource, "namespaces" | CLUSTER_ROLE_BINDINGS | ROLE_BINDINGS)
}

/// Brings the bindings of IAM in step with what it grants. Writes only what differs.
pub fn reconcile(txn: &mut Txn, grants: &[Grant]) {
    let wanted = wanted(txn, grants);
    for resource in [CLUSTER_ROLE_BINDINGS, ROLE_BINDINGS] {
        let stale: Vec<Key> = txn
            .state()
            .list(resource, None, None)
            .filter(|object| is_ours(object) && !wanted.contains_key(&object.key))
            .map(|object| object.key.clone())
            .collect();
        for key in stale {
            txn.remove(&key);
        }
    }
    for (key, (role, subjects)) in wanted {
        let reference = json!({"apiGroup": GROUP, "kind": "ClusterRole", "name": role});
        let subjects: Vec<Value> = subjects.into_iter().map(subject).collect();
        let found = txn.get(&key);
        let in_step = |object: &Object| {
            is_ours(object)
                && !object.is_terminating()
                && object.content()["roleRef"] == reference
                && array(object.content(), "/subjects") == subjects
        };
        if found.as_deref().is_some_and(in_step) {
            continue;
        }
        let mut value = found.map_or_else(|| json!({}), |object| object.value().into_owned());
        let metadata = member(&mut value, "metadata");
        metadata.remove("deletionTimestamp");
        metadata.remove("deletionGracePeriodSeconds");
        member(&mut value, "metadata/labels").insert(LABEL.to_owned(), json!(IAM));
        value["apiVersion"] = json!(format!("{GROUP}/v1"));
        value["kind"] = json!(if key.namespace.is_empty() { "ClusterRoleBinding" } else { "RoleBinding" });
        value["roleRef"] = reference;
        value["subjects"] = json!(subjects);
        txn.put(key, value);
    }
}

fn is_ours(object: &Object) -> bool {
    object.labels().and_then(|labels| labels.get(LABEL)).is_some_and(|value| value == IAM)
}

/// The bindings that there are to be, with their roles and subjects.
fn wanted<'a>(txn: &Txn, grants: &'a [Grant]) -> BTreeMap<Key, (&'a str, BTreeSet<&'a Subject>)> {
    let of_cluster = |grant: &Grant| grant.namespace.is_none() && grant.cluster_role == CLUSTER_ADMIN;
    // Who holds all of the cluster is not named again in its namespaces.
    let masters: BTreeSet<&Subject> = grants.iter().filter(|g| of_cluster(g)).map(|g| &g.subject).collect();
    let namespaces: Vec<_> = txn
        .state()
        .list("namespaces", None, None)
        .filter(|namespace| !namespace.is_terminating())
        .map(|namespace| namespace.key.name.clone())
        .collect();
    let mut wanted: BTreeMap<Key, (&str, BTreeSet<&Subject>)> = BTreeMap::new();
    let mut add = |key: Key, grant: &'a Grant| {
        wanted.entry(key).or_insert_with(|| (&grant.cluster_role, BTreeSet::new())).1.insert(&grant.subject);
    };
    for grant in grants {
        if of_cluster(grant) {
            add(Key::new(CLUSTER_ROLE_BINDINGS, "", &grant.binding), grant);
            continue;
        }
        if masters.contains(&grant.subject) {
            continue;
        }
        let granted = |name: &str| grant.namespace.as_deref().is_none_or(|granted| fits(granted.as_bytes(), name.as_bytes()));
        for namespace in namespaces.iter().filter(|name| granted(name)) {
            add(Key::new(ROLE_BINDINGS, namespace, &grant.binding), grant);
        }
    }
    wanted
}

/// Whether a namespace is one that a policy names, where `*` stands for any text and `?` for one character.
fn fits(pattern: &[u8], name: &[u8]) -> bool {
    let (mut p, mut n, mut back) = (0, 0, None);
    while n < name.len() {
        match pattern.get(p) {
            Some(b'*') => {
                back = Some((p + 1, n));
                p += 1;
            }
            Some(&c) if c == b'?' || c == name[n] => (p, n) = (p + 1, n + 1),
            _ => {
                let Some((after, from)) = back else { return false };
                back = Some((after, from + 1));
                (p, n) = (after, from + 1);
            }
        }
    }
    pattern[p..].iter().all(|&c| c == b'*')
}

fn subject(subject: &Subject) -> Value {
    let (kind, name) = match subject {
        Subject::User(name) => ("User", name),
        Subject::Group(name) => ("Group", name),
    };
    json!({"apiGroup": GROUP, "kind": kind, "name": name})
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::state::State;

    fn txn() -> Txn {
        let mut txn = Txn::new(State::default(), Timestamp::UNIX_EPOCH);
        for name in ["default", "dev"] {
            txn.put(Key::new("namespaces", "", name), json!({}));
        }
        txn
    }

    fn grant(subject: Subject, cluster_role: &str, binding: &str, namespace: Option<&str>) -> Grant {
        Grant {
            subject,
            cluster_role: cluster_role.to_owned(),
            binding: binding.to_owned(),
            namespace: namespace.map(str::to_owned),
        }
    }

    fn user(name: &str) -> Subject {
        Subject::User(format!("IAM#{name}@example.com"))
    }

    /// `namespace/binding role subject,subject`, of all bindings.
    fn bindings(txn: &Txn) -> Vec<String> {
        let told = |object: &std::sync::Arc<Object>| {
            let names = array(object.content(), "/subjects").iter().map(|s| s["name"].as_str().unwrap()).collect::<Vec<_>>();
            let role = object.content()["roleRef"]["name"].as_str().unwrap().to_owned();
            format!("{}/{} {role} {}", object.key.namespace, object.key.name, names.join(","))
        };
        [CLUSTER_ROLE_BINDINGS, ROLE_BINDINGS].iter().flat_map(|resource| txn.list(resource, None)).map(|o| told(&o)).collect()
    }

    #[test]
    fn roles_are_bound_where_they_are_documented_to_be() {
        let mut txn = txn();
        let grants = [
            grant(user("boss"), "cluster-admin", "ibm-admin", None),
            grant(user("boss"), "view", "ibm-view", None),
            grant(user("b"), "view", "ibm-view", None),
            grant(user("a"), "view", "ibm-view", Some("dev")),
            grant(Subject::Group("team".to_owned()), "edit", "ibm-edit", Some("dev")),
            grant(user("a"), "admin", "ibm-operate", Some("absent")),
        ];
        reconcile(&mut txn, &grants);
        let all = [
            "/ibm-admin cluster-admin IAM#boss@example.com",
            "default/ibm-view view IAM#b@example.com",
            "dev/ibm-edit edit team",
            "dev/ibm-view view IAM#a@example.com,IAM#b@example.com",
        ];
        assert_eq!(bindings(&txn), all);
        let settled = txn.state().revision();
        reconcile(&mut txn, &grants);
        assert_eq!(txn.state().revision(), settled, "what is in step is not written");

        txn.put(Key::new("namespaces", "", "absent"), json!({}));
        reconcile(&mut txn, &grants[5..]);
        assert_eq!(bindings(&txn), ["absent/ibm-operate admin IAM#a@example.com"]);
        reconcile(&mut txn, &[]);
        assert!(bindings(&txn).is_empty());
    }

    #[test]
    fn bindings_of_users_stay_and_changes_of_those_of_iam_do_not() {
        let mut txn = txn();
        let own = json!({"roleRef": {"name": "view"}, "subjects": [{"name": "me"}]});
        txn.put(Key::new(ROLE_BINDINGS, "dev", "own"), own.clone());
        txn.put(Key::new(ROLE_BINDINGS, "dev", "ibm-view"), own);
        let grants = [grant(user("a"), "view", "ibm-view", Some("dev"))];
        let all = ["dev/ibm-view view IAM#a@example.com", "dev/own view me"];
        reconcile(&mut txn, &grants);
        assert_eq!(bindings(&txn), all, "the name belongs to IAM");
        let key = Key::new(ROLE_BINDINGS, "dev", "ibm-view");
        let uid = txn.get(&key).unwrap().uid().to_owned();
        txn.edit(&key, |value| {
            value["subjects"] = json!([]);
            value["metadata"]["labels"] = json!({"mine": "yes"});
        });
        reconcile(&mut txn, &grants);
        assert_eq!(bindings(&txn), all);
        assert_eq!(txn.get(&key).unwrap().uid(), uid);
        txn.remove(&key);
        reconcile(&mut txn, &grants);
        assert_eq!(bindings(&txn), all);
    }

    #[test]
    fn a_namespace_is_named_or_fits_a_pattern() {
        let cases = [
            ("dev", "dev", true),
            ("dev", "dev2", false),
            ("team-*", "team-a", true),
            ("team-*", "steam-a", false),
            ("*-dev", "a-dev", true),
            ("d?v", "dev", true),
            ("*", "anything", true),
        ];
        for (pattern, name, expected) in cases {
            assert_eq!(fits(pattern.as_bytes(), name.as_bytes()), expected, "{pattern} {name}");
        }
    }
}
