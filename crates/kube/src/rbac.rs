//! Who may do what: roles, their bindings, and decisions by them.
//!
//! An [`Authorizer`] is an index of the bindings of one [`State`] by subject. It holds the objects themselves, so making one costs a pass
//! over the bindings and a decision costs only what the subject's own roles have in rules. Whoever keeps one makes a new one once an
//! object was touched that [`concerns`] it.

mod aggregate;
mod escalation;
mod impersonation;
mod rules;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::api::User;
use crate::object::{Key, Object, array, text};
use crate::state::State;
use crate::status::Status;

pub use aggregate::{aggregate, expand};
pub use escalation::check_escalation;
pub use impersonation::impersonated;

pub const GROUP: &str = "rbac.authorization.k8s.io";
pub(crate) const ROLES: &str = "roles.rbac.authorization.k8s.io";
pub(crate) const ROLE_BINDINGS: &str = "rolebindings.rbac.authorization.k8s.io";
pub(crate) const CLUSTER_ROLES: &str = "clusterroles.rbac.authorization.k8s.io";
pub(crate) const CLUSTER_ROLE_BINDINGS: &str = "clusterrolebindings.rbac.authorization.k8s.io";

/// Who is in it may do everything, whatever roles there are.
pub const MASTERS: &str = "system:masters";

/// What is asked for. It is about a path if there is a `path`, otherwise about a resource.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Attributes<'a> {
    /// `list`; of a path the method in lower case.
    pub verb: &'a str,
    /// Empty for the core group.
    pub group: &'a str,
    pub version: &'a str,
    pub resource: &'a str,
    pub subresource: &'a str,
    /// Empty at the cluster scope.
    pub namespace: &'a str,
    /// Empty if it is not about one object.
    pub name: &'a str,
    /// Begins with `/`.
    pub path: &'a str,
}

impl<'a> Attributes<'a> {
    /// Of a request for a path that is no resource.
    #[must_use]
    pub fn of_path(verb: &'a str, path: &'a str) -> Self {
        Self { verb, path, ..Self::default() }
    }

    /// Of a request for a resource, of all of its objects if `name` is empty.
    #[must_use]
    pub fn of_resource(verb: &'a str, group: &'a str, resource: &'a str, namespace: &'a str, name: &'a str) -> Self {
        Self { verb, group, resource, namespace, name, ..Self::default() }
    }

    /// What the user cannot do, as `k8s.io/apiserver` says it.
    fn refusal(&self, user: &str) -> String {
        if !self.path.is_empty() {
            return format!("User {user:?} cannot {} path {:?}", self.verb, self.path);
        }
        let slash = if self.subresource.is_empty() { "" } else { "/" };
        let resource = format!("{}{slash}{}", self.resource, self.subresource);
        let place = match self.namespace {
            "" => "at the cluster scope".to_owned(),
            namespace => format!("in the namespace {namespace:?}"),
        };
        format!("User {user:?} cannot {} resource {resource:?} in API group {:?} {place}", self.verb, self.group)
    }
}

/// Whether something may be done, and why.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Decision {
    pub allowed: bool,
    /// Empty if there is nothing to say.
    pub reason: String,
}

impl Decision {
    /// The answer to a request that was not allowed.
    #[must_use]
    pub fn refused(&self, user: &User, attributes: &Attributes) -> Status {
        let mut why = attributes.refusal(&user.name);
        if !self.reason.is_empty() {
            why = format!("{why}: {}", self.reason);
        }
        // Upstream escapes it, as browsers once took such answers for pages.
        let why = why.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        Status::forbidden(attributes.group, attributes.resource, attributes.name, &why)
    }
}

/// Whether a change of this object changes decisions.
#[must_use]
pub fn concerns(key: &Key) -> bool {
    matches!(&*key.resource, ROLES | ROLE_BINDINGS | CLUSTER_ROLES | CLUSTER_ROLE_BINDINGS)
}

/// Decides one request. Who decides many keeps an [`Authorizer`].
#[must_use]
pub fn authorize(state: &State, user: &User, attributes: &Attributes) -> Decision {
    Authorizer::of(state).authorize(user, attributes)
}

/// The bindings of a state, by subject.
#[derive(Clone, Debug, Default)]
pub struct Authorizer {
    users: HashMap<String, Held>,
    groups: HashMap<String, Held>,
}

/// The bindings that name somebody.
#[derive(Clone, Debug, Default)]
struct Held {
    everywhere: Vec<Arc<Binding>>,
    within: HashMap<Arc<str>, Vec<Arc<Binding>>>,
}

impl Held {
    fn add(&mut self, binding: &Arc<Binding>) {
        let namespace = &binding.object.key.namespace;
        let bindings =
            if namespace.is_empty() { &mut self.everywhere } else { self.within.entry(namespace.clone()).or_default() };
        bindings.push(binding.clone());
    }
}

/// A binding with its role, or without it if there is none of the name.
#[derive(Debug)]
struct Binding {
    object: Arc<Object>,
    role: Option<Arc<Object>>,
}

impl Binding {
    fn rules(&self) -> &[Value] {
        self.role.as_ref().map_or(&[], |role| array(role.content(), "/rules"))
    }

    fn role_name(&self) -> &str {
        text(self.object.content(), "/roleRef/name")
    }

    /// Which rule of which binding allows it.
    fn reason(&self, subject: &str) -> String {
        let Key { namespace, name, .. } = &self.object.key;
        let (kind, named) = match &**namespace {
            "" => ("ClusterRoleBinding", name.to_string()),
            namespace => ("RoleBinding", format!("{name}/{namespace}")),
        };
        let role = text(self.object.content(), "/roleRef/kind");
        format!("RBAC: allowed by {kind} {named:?} of {role} {:?} to {subject}", self.role_name())
    }

    /// That the role is missing.
    fn trouble(&self) -> Option<String> {
        let kind = text(self.object.content(), "/roleRef/kind").to_lowercase();
        self.role.is_none().then(|| format!("{kind}.{GROUP} {:?} not found", self.role_name()))
    }
}

impl Authorizer {
    #[must_use]
    pub fn of(state: &State) -> Self {
        let mut authorizer = Self::default();
        for object in state.list(CLUSTER_ROLE_BINDINGS, None, None).chain(state.list(ROLE_BINDINGS, None, None)) {
            authorizer.add(state, object);
        }
        authorizer
    }

    fn add(&mut self, state: &State, object: &Arc<Object>) {
        let value = object.content();
        let role = role_of(state, &value["roleRef"], &object.key.namespace).cloned();
        let binding = Arc::new(Binding { object: object.clone(), role });
        for subject in array(value, "/subjects") {
            let name = text(subject, "/name");
            let held = match text(subject, "/kind") {
                "User" => self.users.entry(name.to_owned()),
                "Group" => self.groups.entry(name.to_owned()),
                "ServiceAccount" => {
                    let namespace = match text(subject, "/namespace") {
                        "" => &*object.key.namespace,
                        namespace => namespace,
                    };
                    self.users.entry(format!("system:serviceaccount:{namespace}:{name}"))
                }
                _ => continue,
            };
            held.or_default().add(&binding);
        }
    }

    /// The bindings that name the user or a group of his and say something about what is in `namespace`, each with the one that it names.
    /// Those of the whole cluster come first, as upstream has it.
    fn bindings<'a>(&'a self, user: &'a User, namespace: &'a str) -> impl Iterator<Item = (&'a Binding, Named<'a>)> {
        let own = self.users.get(&user.name).map(|held| (held, Named::User(&user.name)));
        let of_groups = user.groups.iter().filter_map(|group| Some((self.groups.get(group)?, Named::Group(group))));
        let held = own.into_iter().chain(of_groups);
        let everywhere = held.clone().flat_map(|(held, named)| held.everywhere.iter().map(move |binding| (&**binding, named)));
        let within = held.flat_map(move |(held, named)| {
            held.within.get(namespace).into_iter().flatten().map(move |binding| (&**binding, named))
        });
        everywhere.chain(within)
    }

    /// Decides a request.
    #[must_use]
    pub fn authorize(&self, user: &User, attributes: &Attributes) -> Decision {
        if user.is_in(MASTERS) {
            return Decision { allowed: true, reason: String::new() };
        }
        let mut troubles = Vec::new();
        for (binding, named) in self.bindings(user, attributes.namespace) {
            if binding.rules().iter().any(|rule| rules::allows(rule, attributes)) {
                return Decision { allowed: true, reason: binding.reason(&named.told()) };
            }
            troubles.extend(binding.trouble());
        }
        troubles.sort();
        troubles.dedup();
        let reason = match troubles.as_slice() {
            [] => String::new(),
            [one] => format!("RBAC: {one}"),
            several => format!("RBAC: [{}]", several.join(", ")),
        };
        Decision { allowed: false, reason }
    }

    /// Decides a request.
    ///
    /// # Errors
    ///
    /// A status that says what the user cannot do.
    pub fn require(&self, user: &User, attributes: &Attributes) -> Result<(), Status> {
        let decision = self.authorize(user, attributes);
        if decision.allowed { Ok(()) } else { Err(decision.refused(user, attributes)) }
    }

    /// The rules that hold for a user in a namespace, or only those of the whole cluster if it is empty.
    pub fn rules_for<'a>(&'a self, user: &'a User, namespace: &'a str) -> impl Iterator<Item = &'a Value> {
        self.bindings(user, namespace).flat_map(|(binding, _)| binding.rules())
    }

    /// What is missing of the user's roles in a namespace.
    fn troubles(&self, user: &User, namespace: &str) -> Vec<String> {
        self.bindings(user, namespace).filter_map(|(binding, _)| binding.trouble()).collect()
    }

    /// The `status` of a `SelfSubjectRulesReview`.
    #[must_use]
    pub fn rules_status(&self, user: &User, namespace: &str) -> Value {
        let (mut resources, mut paths) = (Vec::new(), Vec::new());
        for rule in self.rules_for(user, namespace) {
            let picked = |names: &[&str]| -> Value {
                let members = names.iter().filter_map(|name| Some(((*name).to_owned(), rule.get(name)?.clone())));
                Value::Object(members.collect())
            };
            if !array(rule, "/resources").is_empty() {
                resources.push(picked(&["verbs", "apiGroups", "resources", "resourceNames"]));
            }
            if !array(rule, "/nonResourceURLs").is_empty() {
                paths.push(picked(&["verbs", "nonResourceURLs"]));
            }
        }
        let mut status = json!({"incomplete": false, "resourceRules": resources, "nonResourceRules": paths});
        let troubles = self.troubles(user, namespace);
        if !troubles.is_empty() {
            status["evaluationError"] = json!(troubles.join(", "));
            status["incomplete"] = json!(true);
        }
        status
    }
}

/// The one that a binding names.
#[derive(Clone, Copy)]
enum Named<'a> {
    User(&'a str),
    Group(&'a str),
}

impl Named<'_> {
    fn told(self) -> String {
        let account = |name: &str| -> Option<String> {
            let (namespace, name) = name.strip_prefix("system:serviceaccount:")?.split_once(':')?;
            Some(format!("ServiceAccount \"{name}/{namespace}\""))
        };
        match self {
            Self::User(name) => account(name).unwrap_or_else(|| format!("User {name:?}")),
            Self::Group(name) => format!("Group {name:?}"),
        }
    }
}

/// The role that a binding in `namespace` (empty for one of the whole cluster) refers to.
fn role_of<'a>(state: &'a State, reference: &Value, namespace: &str) -> Option<&'a Arc<Object>> {
    let name = text(reference, "/name");
    match text(reference, "/kind") {
        "ClusterRole" => state.find(CLUSTER_ROLES, "", name),
        "Role" if !namespace.is_empty() => state.find(ROLES, namespace, name),
        _ => None,
    }
}
