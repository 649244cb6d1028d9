//! Roles that clusters of OpenShift begin with besides those of Kubernetes.

use serde_json::Value;

const ROLES: &str = include_str!("../../data/openshift-roles.json");

/// Roles of those who have logged in, what the roles of projects have besides, and their bindings.
pub(super) fn roles() -> Vec<Value> {
    // The data is part of the program, and read by the tests of this module's parent.
    serde_json::from_str(ROLES).expect("the roles of OpenShift are readable")
}
