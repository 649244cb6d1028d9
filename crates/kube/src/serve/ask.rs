//! What is asked of a resource, looked up and checked.

use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;

use super::answer::Form;
use crate::api::{Request, User};
use crate::cluster::{Cluster, Snapshot};
use crate::object::Key;
use crate::request::{Query, Target};
use crate::resources::Resource;
use crate::status::Status;

/// A request for objects of a resource.
#[derive(Debug)]
pub struct Ask {
    pub verb: &'static str,
    pub resource: Arc<Resource>,
    pub target: Target,
    pub query: Query,
    pub user: User,
    /// In which form objects are answered.
    pub form: Form,
    /// Who fields are owned by: `fieldManager`, or the first part of the user agent.
    pub manager: String,
    pub now: Timestamp,
    warnings: Mutex<Vec<String>>,
}

impl Ask {
    /// # Errors
    /// 404 if there is no such resource, 405 if it does not support the verb, 406 if it cannot be answered in a form that the client
    /// accepts.
    pub fn of(
        cluster: &Cluster,
        at: &Snapshot,
        verb: &'static str,
        target: Target,
        query: Query,
        user: User,
        request: &Request,
    ) -> Result<Self, Status> {
        let resource = at.registry.find(&target.group, &target.version, &target.plural);
        let resource = Arc::clone(resource.ok_or_else(Status::no_such_path)?);
        // Lists of all namespaces have none in their path; everything else of a namespaced resource needs one.
        let everywhere = matches!(verb, "list" | "watch" | "deletecollection") || (verb == "create" && target.name.is_none());
        if resource.namespaced != target.namespace.is_some() && !(resource.namespaced && everywhere) {
            return Err(Status::no_such_path());
        }
        let supported = match target.subresource.as_deref() {
            None => resource.supports(verb),
            Some(name) => {
                // Only what is forwarded has paths of its own behind it.
                let behind = name.split_once('/').map_or("", |(first, _)| first);
                let forwarded = || resource.subresource(behind).filter(|sub| sub.name == "proxy");
                let sub = resource.subresource(name).or_else(forwarded);
                sub.ok_or_else(Status::no_such_path)?.verbs.iter().any(|v| v == verb)
            }
        };
        if !supported || (target.name.is_some() && verb == "create" && target.subresource.is_none()) {
            return Err(Status::method_not_allowed(verb));
        }
        let form = Form::of(request.header("accept"))?;
        let manager = manager(&query, request.header("user-agent"));
        let now = cluster.clock().now();
        Ok(Self { verb, resource, target, query, user, form, manager, now, warnings: Mutex::default() })
    }

    #[must_use]
    pub fn namespace(&self) -> &str {
        self.target.namespace.as_deref().unwrap_or_default()
    }

    /// The namespace that everything meant is in, empty for what is in none; `None` if all are meant.
    #[must_use]
    pub fn one_namespace(&self) -> Option<&str> {
        if self.resource.namespaced { self.target.namespace.as_deref() } else { Some("") }
    }

    #[must_use]
    pub fn name(&self) -> &str {
        self.target.name.as_deref().unwrap_or_default()
    }

    #[must_use]
    pub fn subresource(&self) -> &str {
        self.target.subresource.as_deref().unwrap_or_default()
    }

    /// The object that the path names.
    #[must_use]
    pub fn key(&self) -> Key {
        Key { resource: Arc::clone(&self.resource.stored), namespace: self.namespace().into(), name: self.name().into() }
    }

    #[must_use]
    pub fn not_found(&self) -> Status {
        self.not_found_name(self.name())
    }

    #[must_use]
    pub fn not_found_name(&self, name: &str) -> Status {
        Status::not_found(&self.resource.group, &self.resource.plural, name)
    }

    /// Tells the client of something that is not an error.
    pub fn warn(&self, text: impl Into<String>) {
        self.warnings.lock().unwrap_or_else(PoisonError::into_inner).push(text.into());
    }

    /// What the client is told.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        std::mem::take(&mut *self.warnings.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// `fieldManager`, or what the user agent says in front of its version, as upstream has it; at most 128 characters.
fn manager(query: &Query, user_agent: &str) -> String {
    let named = query.get("fieldManager");
    let manager = if named.is_empty() { user_agent.split('/').next().unwrap_or_default() } else { named };
    let manager: String = manager.chars().filter(|c| !c.is_control()).take(128).collect();
    if manager.is_empty() { "unknown".to_owned() } else { manager }
}
