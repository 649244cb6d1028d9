//! Cluster roles that gather the rules of others.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::CLUSTER_ROLES;
use crate::object::{array, text};
use crate::state::Txn;

/// Longer chains of roles that gather each other's rules are finished by the next change of a role.
const ROUNDS: usize = 16;

/// Whether an entry of `clusterRoleSelectors` selects a role with these labels.
fn selects(selector: &Value, labels: &Value) -> bool {
    let label = |key: &str| labels.get(key).and_then(Value::as_str);
    let by_labels = selector["matchLabels"]
        .as_object()
        .is_none_or(|wanted| wanted.iter().all(|(key, value)| value.as_str().is_some_and(|value| label(key) == Some(value))));
    let by_expressions = array(selector, "/matchExpressions").iter().all(|expression| {
        let found = label(text(expression, "/key"));
        let listed = found.is_some_and(|found| array(expression, "/values").iter().any(|value| value == found));
        match text(expression, "/operator") {
            "In" => listed,
            "NotIn" => !listed,
            "Exists" => found.is_some(),
            "DoesNotExist" => found.is_none(),
            _ => false,
        }
    });
    by_labels && by_expressions
}

/// The rules that the role `name` gathers from `roles`, which are in the order of their names, each once.
fn gathered<'a>(name: &str, selectors: &[Value], roles: impl Iterator<Item = (&'a str, &'a Value)> + Clone) -> Vec<Value> {
    let mut rules: Vec<Value> = Vec::new();
    for selector in selectors {
        let selected = roles.clone().filter(|(of, role)| *of != name && selects(selector, &role["metadata"]["labels"]));
        for rule in selected.flat_map(|(_, role)| array(role, "/rules")) {
            if !rules.contains(rule) {
                rules.push(rule.clone());
            }
        }
    }
    rules
}

/// Fills in the rules of those of `roles` (by name) that gather them.
pub fn expand(roles: &mut BTreeMap<String, Value>) {
    for _ in 0..ROUNDS {
        let all = || roles.iter().map(|(name, role)| (name.as_str(), role));
        let changed: Vec<(String, Vec<Value>)> = all()
            .filter(|(_, role)| !role["aggregationRule"].is_null())
            .map(|(name, role)| (name.to_owned(), gathered(name, array(role, "/aggregationRule/clusterRoleSelectors"), all())))
            .filter(|(name, rules)| roles.get(name).is_some_and(|role| array(role, "/rules") != rules))
            .collect();
        if changed.is_empty() {
            return;
        }
        for (name, rules) in changed {
            if let Some(role) = roles.get_mut(&name) {
                role["rules"] = json!(rules);
            }
        }
    }
}

/// Has the cluster roles that gather rules hold those of the roles that they select. Does nothing unless a cluster role was touched.
pub fn aggregate(txn: &mut Txn) {
    if !txn.touched().iter().any(|key| &*key.resource == CLUSTER_ROLES) {
        return;
    }
    for _ in 0..ROUNDS {
        let roles = txn.list(CLUSTER_ROLES, None);
        let all = || roles.iter().map(|role| (&*role.key.name, role.content()));
        let mut changed = false;
        for role in roles.iter().filter(|role| !role.content()["aggregationRule"].is_null() && !role.is_terminating()) {
            let rules = gathered(&role.key.name, array(role.content(), "/aggregationRule/clusterRoleSelectors"), all());
            if array(role.content(), "/rules") != rules {
                changed |= txn.edit(&role.key, |value| value["rules"] = json!(rules)).is_some();
            }
        }
        if !changed {
            return;
        }
    }
}
