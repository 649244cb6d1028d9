//! What policies on the container service give inside of clusters: roles of Kubernetes, as `catalog/roles.json` documents them.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::attributes::{Attributes, Namespaces, Resource};
use super::condition::Condition;
use super::roles::{self, SystemRole};
use super::{Document, catalog};

/// A policy as far as clusters are concerned.
#[derive(Debug)]
pub(crate) struct ClusterPolicy {
    roles: Vec<&'static SystemRole>,
    attributes: Attributes,
    namespaces: Namespaces,
    condition: Option<Condition>,
}

/// A cluster role that is bound, by a binding of that name, in the whole cluster or in a namespace.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Bound {
    pub cluster_role: &'static str,
    pub binding: &'static str,
    pub namespace: Option<String>,
}

/// What the role Administrator is bound with, for which no name is documented: the same as for Manager.
const ADMIN: &str = "ibm-admin";

impl ClusterPolicy {
    /// `None` for a policy that gives nothing in clusters, or cannot be understood.
    pub fn compile(document: &str, custom_roles: &[(String, String, String)]) -> Option<Self> {
        let document: Document = serde_json::from_str(document).ok()?;
        if !document.resource.tags.is_empty() {
            return None;
        }
        let attributes = Attributes::compile(document.resource.attributes)?;
        let namespaces = attributes.namespaces()?;
        let mut found = Vec::new();
        for role in document.control.grant.roles {
            match role.role_id.rsplit_once(":customRole:") {
                None => found.extend(system(|known| known.crn == role.role_id)),
                // A custom role gives what the service's roles give whose own actions it holds.
                Some((_, name)) => {
                    let actions = roles::custom(custom_roles).remove(name).unwrap_or_default();
                    found.extend(system(|known| holds(&actions, known)));
                }
            }
        }
        if found.is_empty() {
            return None;
        }
        let condition = document.rule.map(Condition::compile);
        Some(Self { roles: found, attributes, namespaces, condition })
    }

    /// Whether it holds at certain times only.
    pub fn is_timed(&self) -> bool {
        self.condition.is_some()
    }

    /// What it gives in a cluster at the time `now`.
    pub fn bound<'a>(&'a self, cluster: &Resource<'_>, now: Timestamp) -> impl Iterator<Item = Bound> + use<'a> {
        let meant = self.attributes.describe_outside_namespaces(cluster);
        let holds = meant && self.condition.as_ref().is_none_or(|condition| condition.holds(now));
        self.roles.iter().filter(move |_| holds).flat_map(|role| self.bound_by(role))
    }

    fn bound_by(&self, role: &'static SystemRole) -> Vec<Bound> {
        let of_scope = |scope: &str, namespace: Option<&String>| {
            let found = role.kubernetes_rbac.iter().find(|rbac| rbac.scope == scope)?;
            let binding = found.binding_name.as_deref().unwrap_or(ADMIN);
            Some(Bound { cluster_role: &found.cluster_role, binding, namespace: namespace.cloned() })
        };
        match &self.namespaces {
            Namespaces::All => of_scope("all_namespaces", None).into_iter().collect(),
            Namespaces::Named(names) => names.iter().filter_map(|name| of_scope("namespace", Some(name))).collect(),
        }
    }
}

/// What the owner of an account holds in its clusters.
pub(crate) fn owners() -> Bound {
    Bound { cluster_role: "cluster-admin", binding: ADMIN, namespace: None }
}

/// Roles that give anything in clusters.
fn system(wanted: impl Fn(&SystemRole) -> bool) -> impl Iterator<Item = &'static SystemRole> {
    let all = catalog().platform_roles.iter().chain(&catalog().service_roles);
    all.filter(move |role| !role.kubernetes_rbac.is_empty() && wanted(role))
}

fn holds(actions: &BTreeSet<&'static str>, role: &SystemRole) -> bool {
    let of_clusters = role.service_actions.iter().filter(|action| action.starts_with("containers-kubernetes.kube."));
    let mut of_clusters = of_clusters.peekable();
    of_clusters.peek().is_some() && of_clusters.all(|action| actions.contains(action.as_str()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const SERVICE: &str = "crn:v1:bluemix:public:iam::::serviceRole:";
    const PLATFORM: &str = "crn:v1:bluemix:public:iam::::role:";

    fn given(role: &str, more: &[(&str, &str, serde_json::Value)]) -> Vec<String> {
        let mut attributes = vec![json!({"key": "serviceName", "operator": "stringEquals", "value": "containers-kubernetes"})];
        attributes.extend(more.iter().map(|(key, operator, value)| json!({"key": key, "operator": operator, "value": value})));
        let document = json!({
            "resource": {"attributes": attributes},
            "control": {"grant": {"roles": [{"role_id": role}]}},
        });
        let custom = [("Deployer".to_owned(), String::new(), json!(["containers-kubernetes.kube.write"]).to_string())];
        let policy = ClusterPolicy::compile(&document.to_string(), &custom);
        let cluster = Resource::clusters("acc", "us-south", "group").instance("c1");
        let all = policy.iter().flat_map(|policy| policy.bound(&cluster, Timestamp::UNIX_EPOCH));
        all.map(|b| format!("{} {} {}", b.binding, b.cluster_role, b.namespace.as_deref().unwrap_or("*"))).collect()
    }

    #[test]
    fn roles_of_iam_become_the_documented_roles_in_the_cluster() {
        let cases = [
            (format!("{SERVICE}Reader"), "ibm-view view *", "ibm-view view dev"),
            (format!("{SERVICE}Writer"), "ibm-edit edit *", "ibm-edit edit dev"),
            (format!("{SERVICE}Manager"), "ibm-admin cluster-admin *", "ibm-operate admin dev"),
            (format!("{PLATFORM}Administrator"), "ibm-admin cluster-admin *", ""),
            (format!("{PLATFORM}Operator"), "", ""),
            ("crn:v1:bluemix:public:iam::a/acc::customRole:Deployer".to_owned(), "ibm-edit edit *", "ibm-edit edit dev"),
            ("crn:v1:bluemix:public:iam::a/acc::customRole:Other".to_owned(), "", ""),
        ];
        for (role, everywhere, namespaced) in cases {
            assert_eq!(given(&role, &[]).join(","), everywhere, "{role}");
            let dev = [("namespace", "stringEquals", json!("dev"))];
            assert_eq!(given(&role, &dev).join(","), namespaced, "{role} in a namespace");
        }
    }

    #[test]
    fn a_policy_gives_something_only_where_it_reaches() {
        let reader = format!("{SERVICE}Reader");
        let cases = [
            (("serviceInstance", "stringEquals", json!("c1")), vec!["ibm-view view *"]),
            (("serviceInstance", "stringEquals", json!("c2")), vec![]),
            (("resourceGroupId", "stringEquals", json!("group")), vec!["ibm-view view *"]),
            (("region", "stringEquals", json!("eu-de")), vec![]),
            (("namespace", "stringEqualsAnyOf", json!(["a", "b"])), vec!["ibm-view view a", "ibm-view view b"]),
            (("namespace", "stringMatch", json!("team-*")), vec!["ibm-view view team-*"]),
            (("namespace", "stringExists", json!(false)), vec!["ibm-view view *"]),
        ];
        for (attribute, expected) in cases {
            assert_eq!(given(&reader, std::slice::from_ref(&attribute)), expected, "{attribute:?}");
        }
    }
}
