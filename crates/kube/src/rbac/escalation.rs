//! Nobody gives away what he does not have: checks of roles and bindings that are written.

use serde_json::{Value, json};

use super::{Attributes, Authorizer, GROUP, MASTERS, role_of, rules};
use crate::api::User;
use crate::object::{array, text};
use crate::state::State;
use crate::status::Status;

/// So many combinations of groups, resources, names and verbs of one role are looked at.
const MOST_GRAINS: usize = 20_000;
/// So many rules that a user does not hold are told.
const MOST_TOLD: usize = 100;

/// Checks that a user may write a role or a binding as `new`: he has to hold every rule that it grants, unless he may `escalate` the role or
/// `bind` the role. `resource` is the plural of the kind without its group, and `state` is from before the write.
///
/// # Errors
///
/// Forbidden, with the rules that he does not hold; not found, if a binding refers to a role that is not there.
pub fn check_escalation(
    authorizer: &Authorizer,
    state: &State,
    user: &User,
    resource: &str,
    namespace: &str,
    new: &Value,
) -> Result<(), Status> {
    let name = text(new, "/metadata/name");
    let old = state.find(&format!("{resource}.{GROUP}"), namespace, name);
    if user.is_in(MASTERS) || old.is_some_and(|old| differs_for_collector_only(&old.value(), new)) {
        return Ok(());
    }
    let check = Check { authorizer, user, resource, namespace, name };
    match resource {
        "roles" => check.role(new, false),
        "clusterroles" => {
            let aggregation = &new["aggregationRule"];
            let held = old.map_or(&Value::Null, |old| &old.content()["aggregationRule"]);
            check.role(new, !aggregation.is_null() && aggregation != held)
        }
        "rolebindings" | "clusterrolebindings" => check.binding(state, &new["roleRef"]),
        _ => Ok(()),
    }
}

/// Whether an object is only let go by its owners or finalizers, which everybody may who may write it.
fn differs_for_collector_only(old: &Value, new: &Value) -> bool {
    let rest = |value: &Value| {
        let mut value = value.clone();
        if let Some(metadata) = value.get_mut("metadata").and_then(Value::as_object_mut) {
            for member in ["ownerReferences", "finalizers", "managedFields", "resourceVersion"] {
                metadata.remove(member);
            }
        }
        value
    };
    rest(old) == rest(new)
}

struct Check<'a> {
    authorizer: &'a Authorizer,
    user: &'a User,
    resource: &'a str,
    namespace: &'a str,
    name: &'a str,
}

impl Check<'_> {
    fn may(&self, verb: &str, resource: &str, name: &str) -> bool {
        let asked = Attributes { version: "v1", ..Attributes::of_resource(verb, GROUP, resource, self.namespace, name) };
        self.authorizer.authorize(self.user, &asked).allowed
    }

    fn forbidden(&self, why: &str) -> Status {
        Status::forbidden(GROUP, self.resource, self.name, why)
    }

    fn role(&self, new: &Value, gathers: bool) -> Result<(), Status> {
        if self.may("escalate", self.resource, self.name) {
            return Ok(());
        }
        self.holds(array(new, "/rules"))?;
        // What a role will gather is not known, so that only who may do everything can have it gather.
        let everything = json!([
            {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]},
            {"nonResourceURLs": ["*"], "verbs": ["*"]},
        ]);
        if gathers && self.holds(array(&everything, "")).is_err() {
            return Err(self.forbidden("must have cluster-admin privileges to use the aggregationRule"));
        }
        Ok(())
    }

    fn binding(&self, state: &State, reference: &Value) -> Result<(), Status> {
        let (kind, name) = (text(reference, "/kind"), text(reference, "/name"));
        let resource = if kind == "Role" { "roles" } else { "clusterroles" };
        if self.may("bind", resource, name) {
            return Ok(());
        }
        match role_of(state, reference, self.namespace) {
            Some(role) => self.holds(array(role.content(), "/rules")),
            None => Err(Status::not_found(GROUP, &kind.to_lowercase(), name)),
        }
    }

    /// Checks that the user holds the rules himself.
    fn holds(&self, wanted: &[Value]) -> Result<(), Status> {
        if wanted.iter().map(rules::size).fold(0, usize::saturating_add) > MOST_GRAINS {
            return Err(self.forbidden("it has too many rules to compare with those of the user"));
        }
        let held: Vec<&Value> = self.authorizer.rules_for(self.user, self.namespace).collect();
        let covered = |grain: &rules::Grain| held.iter().any(|rule| rules::covers(rule, grain));
        let missing: Vec<rules::Grain> =
            wanted.iter().flat_map(rules::grains).filter(|grain| !covered(grain)).take(MOST_TOLD).collect();
        if missing.is_empty() {
            return Ok(());
        }
        let groups = self.user.groups.iter().map(|group| format!("{group:?}")).collect::<Vec<_>>().join(" ");
        let mut why = format!(
            "user {:?} (groups=[{groups}]) is attempting to grant RBAC permissions not currently held:\n{}",
            self.user.name,
            rules::told(&missing).join("\n"),
        );
        let troubles = self.authorizer.troubles(self.user, self.namespace);
        if !troubles.is_empty() {
            why = format!("{why}; resolution errors: [{}]", troubles.join(", "));
        }
        Err(self.forbidden(&why))
    }
}
