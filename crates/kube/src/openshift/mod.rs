//! What OpenShift clusters serve beyond Kubernetes.
//!
//! Routes are objects like any other. Everything else is *virtual*: projects are namespaces seen from another side, users are who asks and
//! who was given a role, and what the cluster is follows from its [`World`]. Virtual objects are made when they are asked for, in the form of
//! [`Object`]s, so that selectors, tables and paging need not know.

mod cluster;
mod projects;
mod routes;
mod users;

use std::collections::HashMap;
use std::sync::LazyLock;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::api::User;
use crate::bootstrap::uid;
use crate::object::{Key, Object, time};
use crate::resources::{self, Column, Document, Group, Resource};
use crate::state::{Event, State};
use crate::types::Type;
use crate::world::World;

pub(crate) use cluster::console;
pub use cluster::sync;
pub use projects::{project_create, project_of, project_request, project_update};
pub use routes::{ROUTES, route_admit, route_validate};
pub use users::user_self;

const DATA: &str = include_str!("../../data/openshift.json");

/// What the document has besides the groups.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Read {
    schemas: HashMap<String, Type>,
    columns: HashMap<String, Vec<Column>>,
    security_context_constraints: Vec<Value>,
}

// The document is part of the program, and read by the test below.
static READ: LazyLock<Read> =
    LazyLock::new(|| serde_json::from_str(DATA).expect("the document of OpenShift's groups is readable"));

static GROUPS: LazyLock<Vec<Group>> = LazyLock::new(|| {
    let document: Document = serde_json::from_str(DATA).expect("the document of OpenShift's groups is readable");
    resources::groups(document, |_, _, kind| READ.schemas.get(kind))
});

/// The groups that OpenShift clusters have besides the built-in ones.
#[must_use]
pub fn groups() -> &'static [Group] {
    &GROUPS
}

/// Columns of the tables of a resource, after its name; empty if only the age is shown.
#[must_use]
pub fn columns(resource: &Resource) -> &'static [Column] {
    READ.columns.get(&*resource.stored).map_or(&[], Vec::as_slice)
}

/// Whether a resource's objects are made when they are asked for. The state of a cluster holds none of them.
#[must_use]
pub fn is_virtual(resource: &Resource) -> bool {
    resource.group.ends_with(".openshift.io")
        && &*resource.stored != ROUTES
        && groups().iter().any(|g| g.name == resource.group)
}

/// What virtual objects are made from.
#[derive(Clone, Copy)]
pub struct View<'a> {
    pub user: &'a User,
    pub world: &'a World,
    pub state: &'a State,
    /// Whether the user may see a namespace: `get` of `projects.project.openshift.io` with that name, in that namespace.
    pub sees: &'a dyn Fn(&str) -> bool,
}

/// All objects of a virtual resource that the user may see, in the order of their names.
#[must_use]
pub fn list(view: View<'_>, resource: &Resource) -> Vec<Object> {
    match &*resource.stored {
        "projects.project.openshift.io" => projects::list(view),
        "users.user.openshift.io" => users::list(view),
        "groups.user.openshift.io" => users::groups(view.world),
        "identities.user.openshift.io" => users::identities(view),
        _ => cluster::list(view.world, resource),
    }
}

/// One of them. Of users, `~` is who asks.
#[must_use]
pub fn get(view: View<'_>, resource: &Resource, name: &str) -> Option<Object> {
    match &*resource.stored {
        // Whether somebody may see the one that they name was asked already.
        "projects.project.openshift.io" => view.state.find("namespaces", "", name).map(|n| projects::object(n)),
        "users.user.openshift.io" if name == "~" => Some(users::own(view)),
        "useridentitymappings.user.openshift.io" => users::mapping(view, name),
        _ => list(view, resource).into_iter().find(|object| &*object.key.name == name),
    }
}

/// What an event of the state means to a watch of a virtual resource; only projects change. Whether the user may see the project is for the
/// caller to ask.
#[must_use]
pub fn event(resource: &Resource, event: &Event) -> Option<Event> {
    let is =
        |event: &Event| &*event.object.key.resource == "namespaces" && &*resource.stored == "projects.project.openshift.io";
    is(event).then(|| {
        let previous = event.previous.as_deref().map(|previous| projects::object(previous).into());
        Event::new(event.change, projects::object(&event.object).into(), previous)
    })
}

/// The stored object behind a virtual one: to delete a project is to delete its namespace.
#[must_use]
pub fn backing(resource: &Resource, name: &str) -> Option<Key> {
    (&*resource.stored == "projects.project.openshift.io").then(|| Key::new("namespaces", "", name))
}

/// A virtual object of a cluster, which is as old as the cluster.
fn made(world: &World, resource: &str, name: &str, mut value: Value) -> Object {
    let key = Key::new(resource, "", name);
    let metadata = crate::object::member(&mut value, "metadata");
    metadata.insert("name".to_owned(), json!(name));
    metadata.insert("uid".to_owned(), json!(uid(&world.id, &key)));
    metadata.insert("creationTimestamp".to_owned(), json!(time(world.created)));
    metadata.insert("resourceVersion".to_owned(), json!("1"));
    Object::new(key, 1, value)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub fn find(plural: &str) -> &'static Resource {
        groups().iter().flat_map(|g| &g.versions).flat_map(|v| &v.resources).find(|r| r.plural == plural).unwrap()
    }

    pub fn world() -> World {
        World {
            id: "c1".to_owned(),
            openshift: Some("4.21.27".to_owned()),
            version: "1.34.2".to_owned(),
            server: "https://boat/kube/c1".to_owned(),
            ingress_hostname: "mine.us-south.containers.appdomain.cloud".to_owned(),
            ..World::default()
        }
    }

    #[test]
    fn every_resource_has_a_type_and_all_but_routes_are_made() {
        let resources: Vec<_> = groups().iter().flat_map(|g| &g.versions).flat_map(|v| &v.resources).collect();
        assert!(resources.len() > 10);
        for resource in &resources {
            assert!(resource.schema.root().properties.contains_key("metadata"), "{}", resource.plural);
            assert_eq!(is_virtual(resource), resource.plural != "routes", "{}", resource.plural);
        }
        assert!(!is_virtual(resources::find("", "v1", "namespaces").unwrap()));
        assert_eq!(&*find("projects").stored, "projects.project.openshift.io");
        assert_eq!(columns(find("routes"))[0].json_path, ".spec.host");
        for stored in READ.columns.keys() {
            assert!(resources.iter().any(|r| *r.stored == **stored), "{stored}");
        }
    }

    #[test]
    fn virtual_objects_are_found_by_the_names_they_are_listed_under() {
        let (world, state, user) = (world(), State::default(), User::new("IAM#ada", "IBMid-1", []));
        let view = View { user: &user, world: &world, state: &state, sees: &|_| true };
        for plural in
            ["clusterversions", "clusteroperators", "infrastructures", "consoles", "securitycontextconstraints", "users"]
        {
            let listed = list(view, find(plural));
            assert!(!listed.is_empty(), "{plural}");
            for object in listed {
                let found = get(view, find(plural), &object.key.name).unwrap();
                assert_eq!(found.uid(), object.uid(), "{plural}");
                assert_eq!(found.kind(), find(plural).kind, "{plural}");
                assert_eq!(found.api_version(), find(plural).api_version(), "{plural}");
            }
            assert!(get(view, find(plural), "none-such").is_none(), "{plural}");
        }
    }
}
