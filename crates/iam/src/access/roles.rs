//! Roles as sets of actions: those of the service out of its catalogue, and those that an account made for itself.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::LazyLock;

use serde::Deserialize;

/// Roles and actions as the services document them (`catalog/roles.json`).
#[derive(Debug, Deserialize)]
pub struct RoleCatalog {
    pub platform_roles: Vec<SystemRole>,
    pub service_roles: Vec<SystemRole>,
    /// Every action with the roles that hold it.
    pub actions: Vec<RolesOfAction>,
}

/// A role that every account has.
#[derive(Debug, Deserialize)]
pub struct SystemRole {
    /// Such as `Viewer`.
    pub name: String,
    pub description: String,
    pub crn: String,
    #[serde(default)]
    pub(super) service_actions: Vec<String>,
    /// What it gives inside of a cluster.
    #[serde(default)]
    pub(super) kubernetes_rbac: Vec<KubernetesRbac>,
}

/// A role of Kubernetes that comes with a role of the service.
#[derive(Debug, Deserialize)]
pub(super) struct KubernetesRbac {
    /// `namespace` for a policy that is limited to some, else `all_namespaces`.
    pub scope: String,
    pub cluster_role: String,
    pub binding_name: Option<String>,
}

/// An action and the names of the roles that hold it.
#[derive(Debug, Deserialize)]
pub struct RolesOfAction {
    pub action: String,
    pub roles: Vec<String>,
}

static CATALOG: LazyLock<RoleCatalog> = LazyLock::new(|| {
    // The file is part of the program, and the tests of this module read it.
    serde_json::from_str(include_str!("../../../../catalog/roles.json")).expect("catalog/roles.json has roles and actions")
});

/// Actions by the CRN of the role.
static ACTIONS: LazyLock<HashMap<&'static str, HashSet<&'static str>>> = LazyLock::new(|| {
    let roles = CATALOG.platform_roles.iter().chain(&CATALOG.service_roles);
    let actions = |name: &str| {
        CATALOG
            .actions
            .iter()
            .filter(|action| action.roles.iter().any(|role| role == name))
            .map(|action| action.action.as_str())
            .collect()
    };
    roles.map(|role| (role.crn.as_str(), actions(&role.name))).collect()
});

/// All roles and actions.
#[must_use]
pub fn catalog() -> &'static RoleCatalog {
    &CATALOG
}

/// Services as policies name them, of which there are actions.
static SERVICES: LazyLock<Vec<&'static str>> = LazyLock::new(|| {
    let services: BTreeSet<_> = CATALOG.actions.iter().map(|action| crate::caller::service_of(&action.action)).collect();
    services.into_iter().collect()
});

/// Services as policies name them, of which there are actions.
#[must_use]
pub fn services() -> &'static [&'static str] {
    &SERVICES
}

/// Names of the platform and service roles that hold an action.
#[must_use]
pub fn roles_with(action: &str) -> &'static [String] {
    CATALOG.actions.iter().find(|known| known.action == action).map_or(&[], |known| &known.roles)
}

/// The action in the catalogue, which outlives every policy.
fn known(action: &str) -> Option<&'static str> {
    CATALOG.actions.iter().find(|known| known.action == action).map(|known| known.action.as_str())
}

/// Actions of custom roles by the end of their CRN: their name.
pub(super) fn custom(roles: &[(String, String, String)]) -> HashMap<String, BTreeSet<&'static str>> {
    let mut all: HashMap<String, BTreeSet<&'static str>> = HashMap::new();
    for (name, _, actions) in roles {
        let actions: Vec<String> = serde_json::from_str(actions).unwrap_or_default();
        all.entry(name.clone()).or_default().extend(actions.iter().filter_map(|action| known(action)));
    }
    all
}

/// What roles, named by CRN, allow together.
pub(super) fn actions(crns: &[String], custom: &HashMap<String, BTreeSet<&'static str>>) -> HashSet<&'static str> {
    let mut actions = HashSet::new();
    for crn in crns {
        match crn.rsplit_once(":customRole:") {
            Some((_, name)) => actions.extend(custom.get(name).into_iter().flatten()),
            None => actions.extend(ACTIONS.get(crn.as_str()).into_iter().flatten()),
        }
    }
    actions
}
