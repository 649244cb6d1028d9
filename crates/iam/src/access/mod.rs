//! Who may do what: policies, understood once for an identity in an account and then asked again and again.
//!
//! A policy gives roles on resources that its attributes describe. A role is a set of actions (`catalog/roles.json`, or a custom role).
//! What an identity may do is the sum of its own policies and of those of its access groups; the owner of an account may do everything.

mod attributes;
mod condition;
pub(crate) mod kubernetes;
mod roles;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use boatyard_store::access::Grants;
use jiff::Timestamp;
use serde::Deserialize;

pub use attributes::Resource;
use attributes::{Attributes, Wire};
pub(crate) use attributes::{is_attribute, service_group, service_type};
pub(crate) use condition::is_condition;
use condition::{Condition, WireCondition};
pub use roles::{RoleCatalog, SystemRole, catalog, roles_with, services};

/// A policy in the form of v2, as far as it decides.
#[derive(Deserialize)]
struct Document {
    #[serde(default)]
    resource: WireResource,
    control: Control,
    rule: Option<WireCondition>,
}

#[derive(Default, Deserialize)]
struct WireResource {
    #[serde(default)]
    attributes: Vec<Wire>,
    #[serde(default)]
    tags: Vec<serde_json::Value>,
}

#[derive(Deserialize)]
struct Control {
    grant: Grant,
}

#[derive(Deserialize)]
struct Grant {
    roles: Vec<Role>,
}

#[derive(Deserialize)]
struct Role {
    role_id: String,
}

/// One policy.
#[derive(Debug)]
struct Rule {
    actions: Arc<HashSet<&'static str>>,
    attributes: Attributes,
    condition: Option<Arc<Condition>>,
}

/// What an identity may do in an account.
#[derive(Debug, Default)]
pub struct Rights {
    owner: bool,
    rules: Vec<Rule>,
    /// Rules about one thing only, by its name: a decision looks at those and at the general ones, however many there are.
    named: HashMap<String, Vec<usize>>,
    general: Vec<usize>,
    /// What is allowed on anything of a service at all, by action and service.
    somewhere: HashMap<(&'static str, &'static str), Somewhere>,
}

/// When an action is allowed on anything of a service.
#[derive(Debug)]
enum Somewhere {
    Always,
    /// While one of these conditions holds.
    While(Vec<Arc<Condition>>),
}

impl Rights {
    /// Those of an account's owner.
    #[must_use]
    pub fn owner() -> Self {
        Self { owner: true, ..Self::default() }
    }

    /// Understands policies. One that cannot be understood gives nothing.
    #[must_use]
    pub fn compile(grants: &Grants) -> Self {
        let mut rights = Self { owner: grants.owner, ..Self::default() };
        let custom = roles::custom(&grants.custom_roles);
        let mut shared: HashMap<Vec<String>, Arc<HashSet<&'static str>>> = HashMap::new();
        let mut reached = HashSet::new();
        for document in &grants.policies {
            let Ok(document) = serde_json::from_str::<Document>(document) else { continue };
            // Tags of resources are not kept, so a policy on tagged ones is about none.
            if !document.resource.tags.is_empty() {
                continue;
            }
            let Some(attributes) = Attributes::compile(document.resource.attributes) else { continue };
            let condition = document.rule.map(|rule| Arc::new(Condition::compile(rule)));
            let mut names: Vec<_> = document.control.grant.roles.into_iter().map(|role| role.role_id).collect();
            names.sort_unstable();
            let actions = shared.entry(names).or_insert_with_key(|names| Arc::new(roles::actions(names, &custom)));
            let rule = Rule { actions: Arc::clone(actions), attributes, condition };
            rights.reach(&rule, &mut reached);
            rights.add(rule);
        }
        rights
    }

    /// Notes where a rule allows something. What another rule with the same roles said of the same services need not be said again.
    fn reach(&mut self, rule: &Rule, reached: &mut HashSet<(*const HashSet<&'static str>, &'static str)>) {
        for &service in services().iter().filter(|service| rule.attributes.reach(service)) {
            if rule.condition.is_none() && !reached.insert((Arc::as_ptr(&rule.actions), service)) {
                continue;
            }
            for &action in rule.actions.iter() {
                let known = self.somewhere.entry((action, service)).or_insert_with(|| Somewhere::While(Vec::new()));
                match (known, &rule.condition) {
                    (Somewhere::Always, _) => {}
                    (Somewhere::While(conditions), Some(condition)) => conditions.push(Arc::clone(condition)),
                    (known, None) => *known = Somewhere::Always,
                }
            }
        }
    }

    fn add(&mut self, rule: Rule) {
        let index = self.rules.len();
        match rule.attributes.about() {
            Some(name) => self.named.entry(name.to_owned()).or_default().push(index),
            None => self.general.push(index),
        }
        self.rules.push(rule);
    }

    /// Whether `action` is allowed on `resource` at the time `now`.
    #[must_use]
    pub fn allow(&self, action: &str, resource: &Resource<'_>, now: Timestamp) -> bool {
        let about = resource.names().filter_map(|name| self.named.get(name)).flatten();
        self.owner || self.general.iter().chain(about).any(|&index| self.rules[index].gives(action, resource, now))
    }

    /// Whether `action` is allowed on anything of a service at all. How many policies there are makes no difference, unless they hold at
    /// certain times.
    #[must_use]
    pub fn allow_somewhere(&self, action: &str, service: &str, now: Timestamp) -> bool {
        self.owner
            || match self.somewhere.get(&(action, service)) {
                Some(Somewhere::Always) => true,
                Some(Somewhere::While(conditions)) => conditions.iter().any(|condition| condition.holds(now)),
                None => false,
            }
    }
}

impl Rule {
    fn is_active(&self, action: &str, now: Timestamp) -> bool {
        self.actions.contains(action) && self.condition.as_ref().is_none_or(|condition| condition.holds(now))
    }

    fn gives(&self, action: &str, resource: &Resource<'_>, now: Timestamp) -> bool {
        self.attributes.describe(resource) && self.is_active(action, now)
    }
}

#[cfg(test)]
mod tests;
