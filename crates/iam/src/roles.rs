//! Roles: those that every account has, out of the catalogue, and those that an account makes for itself.

use boatyard_core::id;
use boatyard_store::custom_roles;
pub use boatyard_store::custom_roles::CustomRole;
use boatyard_store::{Domain, accounts, policies};

use crate::access::{self, Resource, SystemRole};
use crate::access_error::{AccessError, Result, Subject, entity_tag, matches};
use crate::caller::service_of;
use crate::{Caller, Iam};

/// Most custom roles of an account.
const MOST_ROLES: usize = 40;
const LONGEST_NAME: usize = 30;
const LONGEST_DISPLAY_NAME: usize = 50;
const LONGEST_DESCRIPTION: usize = 250;
/// What clients name as the service when they ask for the roles of all services that things are made with.
const ALL_SERVICES: &str = "alliamserviceroles";
/// Services whose actions go with the roles of every service: things of every service are tagged, grouped and given access to.
const GENERAL: [&str; 4] = ["cbr", "global-search-tagging", "iam-access-management", "resource-controller"];
/// The service whose service roles the catalogue has.
const CONTAINERS: &str = "containers-kubernetes";

/// Which roles are asked for.
#[derive(Clone, Debug, Default)]
pub struct RoleQuery {
    /// Whose custom roles, if any.
    pub account_id: Option<String>,
    pub service_name: Option<String>,
    pub service_group_id: Option<String>,
    /// `access` or `authorization`; every role can be granted by both.
    pub policy_type: Option<String>,
}

/// A role that every account has, with its actions as far as they were asked for.
#[derive(Clone, Debug)]
pub struct ServiceRole {
    pub role: &'static SystemRole,
    pub actions: Vec<&'static str>,
}

/// Roles by kind.
#[derive(Clone, Debug, Default)]
pub struct RoleList {
    /// Platform roles.
    pub system: Vec<ServiceRole>,
    pub service: Vec<ServiceRole>,
    pub custom: Vec<CustomRole>,
}

/// A custom role as it is asked for.
#[derive(Clone, Debug)]
pub struct NewRole {
    pub account_id: String,
    pub name: String,
    pub service_name: String,
    pub change: RoleChange,
}

/// What can change of a custom role.
#[derive(Clone, Debug)]
pub struct RoleChange {
    pub display_name: String,
    pub description: String,
    pub actions: Vec<String>,
}

/// The CRN by which policies grant a custom role.
#[must_use]
pub fn custom_role_crn(role: &CustomRole) -> String {
    format!("crn:v1:ibmcloud:public:iam-access-management::{}", ending(role))
}

/// The entity tag of a custom role.
#[must_use]
pub fn role_etag(role: &CustomRole) -> String {
    entity_tag(role.revision, &role.id)
}

fn ending(role: &CustomRole) -> String {
    format!("a/{}::customRole:{}", role.account_id, role.name)
}

/// The name in the CRN of a custom role of this account.
pub(crate) fn custom_role_name<'a>(crn: &'a str, account_id: &str) -> Option<&'a str> {
    let of_cloud = ["ibmcloud", "bluemix"].iter().find_map(|cloud| crn.strip_prefix("crn:v1:")?.strip_prefix(cloud))?;
    of_cloud.strip_prefix(":public:iam-access-management::a/")?.strip_prefix(account_id)?.strip_prefix("::customRole:")
}

fn system_roles() -> impl Iterator<Item = &'static SystemRole> {
    let catalog = access::catalog();
    catalog.platform_roles.iter().chain(&catalog.service_roles)
}

/// Whether every account has a role of this CRN.
pub(crate) fn is_system_role(crn: &str) -> bool {
    system_roles().any(|role| role.crn == crn)
}

/// The name of a role that every account has.
#[must_use]
pub fn system_role(crn: &str) -> Option<&'static SystemRole> {
    system_roles().find(|role| role.crn == crn)
}

/// Whether this is a service that roles have actions of.
pub(crate) fn is_service(name: &str) -> bool {
    access::services().contains(&name)
}

/// All actions of a role.
#[must_use]
pub fn actions_of(role: &SystemRole) -> Vec<&'static str> {
    let held = access::catalog().actions.iter().filter(|known| known.roles.contains(&role.name));
    held.map(|known| known.action.as_str()).collect()
}

/// The roles that have to do with some services, with their actions there and those that go with every service.
fn within(roles: &'static [SystemRole], of: impl Fn(&str) -> bool) -> Vec<ServiceRole> {
    let narrowed = |role: &'static SystemRole| {
        let mut actions = actions_of(role);
        if !actions.iter().any(|action| of(service_of(action))) {
            return None;
        }
        actions.retain(|action| of(service_of(action)) || GENERAL.contains(&service_of(action)));
        Some(ServiceRole { role, actions })
    };
    roles.iter().filter_map(narrowed).collect()
}

impl Iam {
    /// The roles that there are; custom ones only for a caller who may read them.
    ///
    /// # Errors
    /// For a query that cannot be; else when the database fails.
    pub async fn roles_list(&self, caller: &Caller, query: &RoleQuery) -> Result<RoleList> {
        let known = |given: &Option<String>, values: &[&str]| given.as_deref().is_none_or(|given| values.contains(&given));
        if query.service_name.is_some() && query.service_group_id.is_some() {
            return Err(AccessError::invalid("'service_name' and 'service_group_id' exclude each other. Send one of them."));
        }
        if !known(&query.policy_type, &["access", "authorization"]) || !known(&query.service_group_id, &["IAM"]) {
            return Err(AccessError::invalid("'policy_type' is 'access' or 'authorization', and 'service_group_id' is 'IAM'."));
        }
        let catalog = access::catalog();
        let service = query.service_name.as_deref();
        let mut list = RoleList {
            system: match (service, &query.service_group_id) {
                (Some(service), _) if is_service(service) => within(&catalog.platform_roles, |of| of == service),
                (_, Some(_)) => within(&catalog.platform_roles, access::service_group),
                _ => within(&catalog.platform_roles, |_| true),
            },
            service: match service {
                Some(CONTAINERS | ALL_SERVICES) => within(&catalog.service_roles, |of| of == CONTAINERS),
                _ => Vec::new(),
            },
            custom: Vec::new(),
        };
        let readable = |account_id: &&str| {
            caller.account_id.as_deref() == Some(*account_id)
                && caller.may("iam.role.read", &Resource::service(account_id, "iam-access-management"))
        };
        if let Some(account_id) = query.account_id.as_deref().filter(readable) {
            list.custom = custom_roles::list(&mut *self.inner.store.read().await?, account_id).await?;
            list.custom.retain(|role| match (service, &query.service_group_id) {
                (Some(service), _) => role.service_name == service,
                (None, Some(_)) => access::service_group(&role.service_name),
                (None, None) => true,
            });
        }
        Ok(list)
    }

    /// A custom role of the caller's account.
    ///
    /// # Errors
    /// If there is none of that ID, or the caller may not read it; else when the database fails.
    pub async fn role_get(&self, caller: &Caller, id: &str) -> Result<CustomRole> {
        let account_id = caller.account()?;
        caller.permit_account("iam.role.read")?;
        let found = custom_roles::get(&mut *self.inner.store.read().await?, account_id, id).await?;
        found.ok_or_else(|| AccessError::not_found(Subject::Role, id))
    }

    /// Makes a custom role. The caller was found to be permitted.
    ///
    /// # Errors
    /// If something of it is not acceptable, or the account has one of that name; else when the database fails.
    pub async fn role_create(&self, caller: &Caller, new: NewRole) -> Result<CustomRole> {
        let account_id = caller.account()?;
        if new.account_id != account_id {
            return Err(AccessError::invalid("'account_id' must be the account that your token is for."));
        }
        acceptable_name(&new.name)?;
        acceptable(&new.service_name, &new.change)?;
        let now = self.inner.clock.now().as_millisecond();
        let role = CustomRole {
            id: id::uuid(),
            account_id: account_id.to_owned(),
            name: new.name,
            service_name: new.service_name,
            display_name: new.change.display_name,
            description: new.change.description,
            actions: new.change.actions,
            created_at: now,
            created_by: caller.iam_id.clone(),
            modified_at: now,
            modified_by: caller.iam_id.clone(),
            revision: 1,
        };
        let mut tx = self.inner.store.write(Domain::Identity).await?;
        accounts::lock(&mut tx, account_id).await?;
        let all = custom_roles::list(&mut tx, account_id).await?;
        // The CRN has no service in it, so one name is one role.
        if let Some(other) = all.iter().find(|other| other.name == role.name) {
            return Err(conflict(
                other,
                format!("The account has a custom role '{}' already. Choose another name.", role.name),
            ));
        }
        if all.len() >= MOST_ROLES {
            return Err(AccessError::TooMany(format!(
                "The account has {MOST_ROLES} custom roles, which is the most. Delete one first."
            )));
        }
        custom_roles::insert(&mut tx, &role).await?;
        tx.commit().await?;
        Ok(role)
    }

    /// Replaces what can change of a custom role. The caller was found to be permitted.
    ///
    /// # Errors
    /// If there is none, it was changed since `if_match`, or something is not acceptable; else when the database fails.
    pub async fn role_replace(
        &self,
        caller: &Caller,
        id: &str,
        if_match: Option<&str>,
        change: RoleChange,
    ) -> Result<CustomRole> {
        let account_id = caller.account()?;
        let mut tx = self.inner.store.write(Domain::Identity).await?;
        let found = custom_roles::get(&mut tx, account_id, id).await?;
        let mut role = found.ok_or_else(|| AccessError::not_found(Subject::Role, id))?;
        matches(Subject::Role, if_match, role.revision, &role.id)?;
        acceptable(&role.service_name, &change)?;
        role.display_name = change.display_name;
        role.description = change.description;
        role.actions = change.actions;
        role.modified_at = self.inner.clock.now().as_millisecond();
        role.modified_by.clone_from(&caller.iam_id);
        role.revision += 1;
        custom_roles::update(&mut tx, &role).await?;
        tx.commit().await?;
        Ok(role)
    }

    /// Removes a custom role that no policy grants. The caller was found to be permitted.
    ///
    /// # Errors
    /// If there is none, or a policy grants it; else when the database fails.
    pub async fn role_delete(&self, caller: &Caller, id: &str) -> Result<()> {
        let account_id = caller.account()?;
        let mut tx = self.inner.store.write(Domain::Identity).await?;
        accounts::lock(&mut tx, account_id).await?;
        let found = custom_roles::get(&mut tx, account_id, id).await?;
        let role = found.ok_or_else(|| AccessError::not_found(Subject::Role, id))?;
        if let Some(policy) = policies::naming(&mut tx, account_id, &ending(&role)).await? {
            let text =
                format!("The policy '{policy}' grants the custom role '{}'. Change or delete the policy first.", role.name);
            return Err(conflict(&role, text));
        }
        custom_roles::delete(&mut tx, account_id, id).await?;
        Ok(tx.commit().await?)
    }
}

fn conflict(role: &CustomRole, text: String) -> AccessError {
    AccessError::Conflict { what: Subject::Role, id: role.id.clone(), etag: role_etag(role), text }
}

fn acceptable_name(name: &str) -> Result<()> {
    let good = name.starts_with(|c: char| c.is_ascii_uppercase()) && name.chars().all(|c| c.is_ascii_alphanumeric());
    if good && name.len() <= LONGEST_NAME {
        return Ok(());
    }
    let text = format!("The name of a custom role is a capital letter and up to {} letters and digits more.", LONGEST_NAME - 1);
    Err(AccessError::Invalid(text))
}

fn acceptable(service: &str, change: &RoleChange) -> Result<()> {
    let refuse = |text: String| Err(AccessError::Invalid(text));
    if !(1..=LONGEST_DISPLAY_NAME).contains(&change.display_name.trim().chars().count()) {
        return refuse(format!("The display name of a custom role has 1 to {LONGEST_DISPLAY_NAME} characters."));
    }
    if change.description.chars().count() > LONGEST_DESCRIPTION {
        return refuse(format!("The description of a custom role has at most {LONGEST_DESCRIPTION} characters."));
    }
    if !is_service(service) {
        let services = access::services().join("', '");
        return refuse(format!("There are no actions of a service '{service}'. Services with actions are '{services}'."));
    }
    if !change.actions.iter().any(|action| service_of(action) == service) {
        return refuse(format!(
            "A custom role has at least one action of its service. GET /v2/roles?service_name={service} lists them."
        ));
    }
    let known = |action: &String| access::catalog().actions.iter().any(|known| known.action == *action);
    let of_service = |action: &String| service_of(action) == service || GENERAL.contains(&service_of(action));
    match change.actions.iter().find(|action| !known(action) || !of_service(action)) {
        Some(other) => {
            let other: String = other.chars().take(100).collect();
            refuse(format!(
                "'{other}' is not an action of the service '{service}'. GET /v2/roles?service_name={service} lists them."
            ))
        }
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_custom_role_is_known_by_its_account_and_name() {
        let crn = "crn:v1:ibmcloud:public:iam-access-management::a/acc::customRole:Watcher";
        assert_eq!(custom_role_name(crn, "acc"), Some("Watcher"));
        assert_eq!(custom_role_name(&crn.replace("ibmcloud", "bluemix"), "acc"), Some("Watcher"));
        assert_eq!(custom_role_name(crn, "ac"), None);
        assert_eq!(custom_role_name("crn:v1:bluemix:public:iam::::role:Viewer", "acc"), None);
    }

    #[test]
    fn roles_of_a_service_have_its_actions_and_general_ones_only() {
        let roles = within(&access::catalog().platform_roles, |of| of == "iam-groups");
        let names: Vec<_> = roles.iter().map(|role| role.role.name.as_str()).collect();
        assert_eq!(names, ["Viewer", "Editor", "Administrator"], "Operator has no action on access groups");
        for action in roles.iter().flat_map(|role| &role.actions) {
            assert!(action.starts_with("iam-groups.") || GENERAL.contains(&service_of(action)), "{action}");
        }
    }

    #[test]
    fn the_documentation_has_the_roles_and_actions_of_the_catalogue() {
        let page = include_str!("../../../docs/access.md");
        let mut rows: Vec<_> =
            system_roles().map(|role| format!("| {} | {} | `{}` |", role.name, role.description, role.crn)).collect();
        for known in &access::catalog().actions {
            let held: Vec<_> = system_roles()
                .map(|role| role.name.as_str())
                .filter(|name| known.roles.iter().any(|role| role == name))
                .collect();
            if !held.is_empty() {
                rows.push(format!("| `{}` | {} |", known.action, held.join(", ")));
            }
        }
        let missing: Vec<_> = rows.iter().filter(|row| !page.lines().any(|line| line == row.as_str())).collect();
        assert!(missing.is_empty(), "docs/access.md lacks {missing:#?}");
        let shown = page.lines().filter(|line| line.starts_with("| `")).count();
        assert_eq!(shown, rows.iter().filter(|row| row.starts_with("| `")).count(), "docs/access.md has actions that are none");
    }

    #[test]
    fn says_what_is_wrong_with_a_custom_role() {
        let change = |display_name: &str, actions: &[&str]| RoleChange {
            display_name: display_name.to_owned(),
            description: String::new(),
            actions: actions.iter().map(|action| (*action).to_owned()).collect(),
        };
        let (read, group) = ("containers-kubernetes.cluster.read", "iam-groups.groups.read");
        let cases = [
            ("containers-kubernetes", change("Watcher", &[read]), None),
            ("containers-kubernetes", change("Watcher", &[read, "iam.policy.read"]), None),
            ("iam-access-management", change("Policy reader", &["iam.policy.read"]), None),
            ("containers-kubernetes", change("", &[read]), Some("display name")),
            ("containers-kubernetes", change("Watcher", &[]), Some("at least one action")),
            ("containers-kubernetes", change("Watcher", &["iam.policy.read"]), Some("at least one action")),
            ("containers-kubernetes", change("Watcher", &[read, group]), Some("'iam-groups.groups.read' is not an action")),
            (
                "containers-kubernetes",
                change("Watcher", &[read, "containers-kubernetes.x.y"]),
                Some("'containers-kubernetes.x.y' is not"),
            ),
            ("kitchen", change("Cook", &["kitchen.pan.use"]), Some("no actions of a service 'kitchen'")),
        ];
        for (service, change, expected) in cases {
            let said = acceptable(service, &change).err().map(|error| error.to_string());
            match expected {
                None => assert_eq!(said, None, "{service} {change:?}"),
                Some(expected) => assert!(said.as_deref().unwrap_or_default().contains(expected), "{said:?} {expected:?}"),
            }
        }
        for (name, good) in
            [("Watcher", true), ("W2", true), ("watcher", false), ("", false), ("Wat cher", false), ("Wätcher", false)]
        {
            assert_eq!(acceptable_name(name).is_ok(), good, "{name}");
        }
    }
}
