//! Users, groups and identities. Whoever was given a role in the cluster is known, and who asks; there are no others to tell of.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{View, made};
use crate::api::User;
use crate::object::Object;
use crate::world::{Subject, World};

const API: &str = "user.openshift.io/v1";
/// The provider that vouches for every user.
const PROVIDER: &str = "IAM";

/// Groups that follow from how somebody logged in.
fn is_own_group(group: &str) -> bool {
    !group.starts_with("system:")
}

/// `users/~`: who asks.
#[must_use]
pub fn user_self(user: &User, world: &World) -> Value {
    object(user, world).value().into_owned()
}

pub(super) fn own(view: View<'_>) -> Object {
    object(view.user, view.world)
}

fn object(user: &User, world: &World) -> Object {
    let identities = identity_of(user).map(|identity| json!([identity])).unwrap_or_default();
    let groups: Vec<_> = user.groups.iter().filter(|group| is_own_group(group)).collect();
    made(
        world,
        "users.user.openshift.io",
        &user.name,
        json!({
            "kind": "User", "apiVersion": API, "identities": identities, "groups": groups,
        }),
    )
}

/// `IAM:IBMid-…`; only those who logged in through IAM have one.
fn identity_of(user: &User) -> Option<String> {
    (user.name.starts_with("IAM#") && !user.uid.is_empty()).then(|| format!("{PROVIDER}:{}", user.uid))
}

pub(super) fn list(view: View<'_>) -> Vec<Object> {
    let granted = view.world.grants.iter().filter_map(|grant| match &grant.subject {
        Subject::User(name) => Some(name.as_str()),
        Subject::Group(_) => None,
    });
    let mut names: BTreeSet<&str> = granted.collect();
    if view.user.name.starts_with("IAM#") {
        names.insert(&view.user.name);
    }
    let known = |name: &str| match name == view.user.name {
        true => object(view.user, view.world),
        false => object(&User { name: name.to_owned(), ..User::default() }, view.world),
    };
    names.into_iter().map(known).collect()
}

/// The access groups that were given a role. Who is in them only IAM knows.
pub(super) fn groups(world: &World) -> Vec<Object> {
    let names: BTreeSet<&str> = world
        .grants
        .iter()
        .filter_map(|grant| match &grant.subject {
            Subject::Group(name) => Some(name.as_str()),
            Subject::User(_) => None,
        })
        .collect();
    let group =
        |name| made(world, "groups.user.openshift.io", name, json!({ "kind": "Group", "apiVersion": API, "users": null }));
    names.into_iter().map(group).collect()
}

pub(super) fn identities(view: View<'_>) -> Vec<Object> {
    let identity = identity_of(view.user).map(|name| {
        let user = own(view);
        made(
            view.world,
            "identities.user.openshift.io",
            &name,
            json!({
                "kind": "Identity", "apiVersion": API, "providerName": PROVIDER, "providerUserName": view.user.uid,
                "user": { "name": view.user.name, "uid": user.uid() },
            }),
        )
    });
    identity.into_iter().collect()
}

/// The user of an identity.
pub(super) fn mapping(view: View<'_>, name: &str) -> Option<Object> {
    let identity = identities(view).into_iter().find(|identity| &*identity.key.name == name)?;
    let user = own(view);
    Some(made(
        view.world,
        "useridentitymappings.user.openshift.io",
        name,
        json!({
            "kind": "UserIdentityMapping", "apiVersion": API,
            "identity": { "name": name, "uid": identity.uid() }, "user": { "name": view.user.name, "uid": user.uid() },
        }),
    ))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{find, world};
    use super::super::{get, list};
    use super::*;
    use crate::state::State;
    use crate::world::Grant;

    #[test]
    fn who_asks_is_told_who_they_are() {
        let user = User::new("IAM#ada@example.com", "IBMid-1", ["ops".to_owned(), "system:authenticated:oauth".to_owned()]);
        let told = user_self(&user, &world());
        assert_eq!(told["metadata"]["name"], "IAM#ada@example.com");
        assert_eq!(told["identities"], json!(["IAM:IBMid-1"]));
        assert_eq!(told["groups"], json!(["ops"]));
        assert!(told["metadata"]["creationTimestamp"].as_str().unwrap().ends_with('Z'));
        let machine = User::new("system:serviceaccount:a:b", "u", []);
        assert_eq!(user_self(&machine, &world())["identities"], Value::Null);
    }

    #[test]
    fn whoever_was_given_a_role_is_known() {
        let grant =
            |subject| Grant { subject, cluster_role: "view".to_owned(), binding: "ibm-view".to_owned(), namespace: None };
        let world = World {
            grants: vec![grant(Subject::User("IAM#bob".to_owned())), grant(Subject::Group("ops".to_owned()))],
            ..world()
        };
        let (state, user) = (State::default(), User::new("IAM#ada", "IBMid-1", []));
        let view = View { user: &user, world: &world, state: &state, sees: &|_| false };
        let names = |plural| list(view, find(plural)).iter().map(|o| o.key.name.to_string()).collect::<Vec<_>>();
        assert_eq!(names("users"), ["IAM#ada", "IAM#bob"]);
        assert_eq!(names("groups"), ["ops"]);
        assert_eq!(names("identities"), ["IAM:IBMid-1"]);
        assert_eq!(get(view, find("users"), "~").unwrap().key.name.as_ref(), "IAM#ada");
        let mapping = get(view, find("useridentitymappings"), "IAM:IBMid-1").unwrap();
        assert_eq!(mapping.content()["user"]["name"], "IAM#ada");
    }
}
