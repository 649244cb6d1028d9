//! Access groups: identities that are given access together. The callers were found to be permitted; whatever is looked up is looked
//! up in their account.

mod members;
mod rules;

use boatyard_core::id;
use boatyard_store::access::{PUBLIC_GROUP, PUBLIC_GROUP_NAME};
use boatyard_store::access_groups;
pub use boatyard_store::access_groups::{Group, Member};
use boatyard_store::{Conn, Domain, account_settings, accounts, policies};
use serde::{Deserialize, Serialize};

pub use members::{Joined, MemberQuery, NewMember, Outcome};
pub use rules::{Condition, NewRule, Rule};

use crate::access_error::{AccessError, Result, Subject, entity_tag, matches};
use crate::membership::is_of_clusters;
use crate::{Caller, Iam};

/// Most access groups of an account.
const MOST_GROUPS: usize = 500;
const LONGEST_NAME: usize = 100;
const LONGEST_DESCRIPTION: usize = 250;
/// Most results of one page, and how many there are if nothing is asked for.
const LONGEST_PAGE: i64 = 100;
const PAGE: i64 = 50;
/// Settings of access groups among those of the account.
const SETTINGS: &str = "access-groups";

/// Which groups are asked for. Empty members ask for nothing.
#[derive(Clone, Debug, Default)]
pub struct GroupQuery {
    pub account_id: Option<String>,
    /// Only groups of this member.
    pub iam_id: Option<String>,
    /// Text in the name, description or ID; `name:`, `description:` or `id:` before it asks for that only.
    pub search: Option<String>,
    /// `static`, `dynamic` or `all`, with `iam_id`.
    pub membership_type: Option<String>,
    pub limit: Option<i64>,
    pub offset: Option<i64>,
    /// `id`, `name`, `description` or `is_federated`, with `-` before it for the reverse order.
    pub sort: Option<String>,
    pub hide_public_access: bool,
}

/// A part of a longer list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slice<T> {
    pub items: Vec<T>,
    pub limit: i64,
    pub offset: i64,
    /// Length of the whole list.
    pub total: i64,
}

impl<T> Slice<T> {
    /// The part of `all` from `offset` on, 0 if it is left out, of at most `limit` items.
    fn of(mut all: Vec<T>, limit: Option<i64>, offset: Option<i64>) -> Result<Self> {
        let (limit, offset) = (limit.unwrap_or(PAGE), offset.unwrap_or(0));
        if !(0..=LONGEST_PAGE).contains(&limit) || offset < 0 {
            return Err(AccessError::Invalid(format!(
                "'limit' is a number from 0 to {LONGEST_PAGE}, and 'offset' is not negative."
            )));
        }
        let total = all.len();
        let index = |number: i64| usize::try_from(number).unwrap_or(usize::MAX).min(total);
        let items = all.drain(index(offset)..index(offset.saturating_add(limit))).collect();
        Ok(Self { items, limit, offset, total: i64::try_from(total).unwrap_or(i64::MAX) })
    }
}

/// Settings of an account's access groups.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct GroupSettings {
    /// Whether policies can be for everybody in the account.
    pub public_access_enabled: bool,
    /// Milliseconds since the Unix epoch; 0 if they were never changed.
    #[serde(default)]
    pub modified_at: i64,
    #[serde(default)]
    pub modified_by: String,
}

/// The entity tag of a group.
#[must_use]
pub fn group_etag(group: &Group) -> String {
    entity_tag(group.revision, &group.id)
}

impl Iam {
    /// Makes an access group.
    ///
    /// # Errors
    /// If the name is not acceptable or taken, or the account has too many; else when the database fails.
    pub async fn group_create(
        &self,
        caller: &Caller,
        account_id: Option<&str>,
        name: &str,
        description: &str,
    ) -> Result<Group> {
        let account_id = in_account(caller, account_id)?;
        let now = self.inner.clock.now().as_millisecond();
        let group = Group {
            id: format!("AccessGroupId-{}", id::uuid()),
            account_id: account_id.to_owned(),
            name: acceptable_name(name)?,
            description: acceptable_description(description)?,
            created_at: now,
            created_by: caller.iam_id.clone(),
            modified_at: now,
            modified_by: caller.iam_id.clone(),
            revision: 1,
            rules: 0,
        };
        let mut tx = self.inner.store.write(Domain::Identity).await?;
        accounts::lock(&mut tx, account_id).await?;
        let all = access_groups::list(&mut tx, account_id, None).await?;
        nameable(&all, &group)?;
        if all.len() >= MOST_GROUPS {
            return Err(AccessError::TooMany(format!(
                "The account has {MOST_GROUPS} access groups, which is the most. Delete one first."
            )));
        }
        access_groups::insert(&mut tx, &group).await?;
        tx.commit().await?;
        Ok(group)
    }

    /// The access groups of an account.
    ///
    /// # Errors
    /// For a query that cannot be; else when the database fails.
    pub async fn groups_list(&self, caller: &Caller, query: &GroupQuery) -> Result<Slice<Group>> {
        let account_id = in_account(caller, query.account_id.as_deref())?;
        let by = sort_key(query.sort.as_deref(), &["id", "name", "description", "is_federated"])?;
        let explicit = membership(query.membership_type.as_deref(), query.iam_id.is_some())?;
        let mut conn = self.inner.store.read().await?;
        let mut all = match explicit {
            true => access_groups::list(&mut conn, account_id, query.iam_id.as_deref()).await?,
            false => Vec::new(),
        };
        if query.iam_id.is_none() && !query.hide_public_access && public_access(&mut conn, account_id).await? {
            all.push(public_group(account_id));
        }
        all.retain(|group| query.search.as_deref().is_none_or(|search| found_by(group, search)));
        let key = |group: &Group| {
            let first = match by.0 {
                "id" => String::new(),
                "description" => group.description.to_lowercase(),
                "is_federated" => (group.rules > 0).to_string(),
                _ => group.name.to_lowercase(),
            };
            (first, group.id.clone())
        };
        all.sort_by_cached_key(key);
        if by.1 {
            all.reverse();
        }
        Slice::of(all, query.limit, query.offset)
    }

    /// An access group of the caller's account.
    ///
    /// # Errors
    /// If there is none of that ID; else when the database fails.
    pub async fn group_get(&self, caller: &Caller, id: &str) -> Result<Group> {
        let account_id = caller.account()?;
        let mut conn = self.inner.store.read().await?;
        if id == PUBLIC_GROUP && public_access(&mut conn, account_id).await? {
            return Ok(public_group(account_id));
        }
        group(&mut conn, account_id, id).await
    }

    /// Changes name or description of a group.
    ///
    /// # Errors
    /// If there is none, it was changed since `if_match`, or the name is not acceptable or taken; else when the database fails.
    pub async fn group_update(
        &self,
        caller: &Caller,
        id: &str,
        if_match: Option<&str>,
        name: Option<&str>,
        description: Option<&str>,
    ) -> Result<Group> {
        let account_id = caller.account()?;
        let mut tx = self.inner.store.write(Domain::Identity).await?;
        accounts::lock(&mut tx, account_id).await?;
        let mut group = group(&mut tx, account_id, id).await?;
        matches(Subject::Group, if_match, group.revision, &group.id)?;
        if let Some(name) = name {
            group.name = acceptable_name(name)?;
            nameable(&access_groups::list(&mut tx, account_id, None).await?, &group)?;
        }
        if let Some(description) = description {
            group.description = acceptable_description(description)?;
        }
        group.modified_at = self.inner.clock.now().as_millisecond();
        group.modified_by.clone_from(&caller.iam_id);
        group.revision += 1;
        access_groups::update(&mut tx, &group).await?;
        tx.commit().await?;
        Ok(group)
    }

    /// Deletes a group with its policies; with its members and rules only if `force` says so.
    ///
    /// # Errors
    /// If there is none, or it has members or rules; else when the database fails.
    pub async fn group_delete(&self, caller: &Caller, id: &str, force: bool) -> Result<()> {
        let account_id = caller.account()?;
        let mut tx = self.inner.store.write(Domain::Identity).await?;
        accounts::lock(&mut tx, account_id).await?;
        let group = group(&mut tx, account_id, id).await?;
        if !force && (group.rules > 0 || !access_groups::members(&mut tx, &group).await?.is_empty()) {
            let text = "The access group has members or rules. Remove them first, or delete it with 'force=true'.".to_owned();
            return Err(AccessError::Conflict { what: Subject::Group, etag: group_etag(&group), id: group.id, text });
        }
        policies::delete_of(&mut tx, account_id, &group.id).await?;
        access_groups::delete(&mut tx, &group).await?;
        Ok(tx.commit().await?)
    }

    /// The settings of the access groups of the caller's account.
    ///
    /// # Errors
    /// For another account; else when the database fails.
    pub async fn group_settings(&self, caller: &Caller, account_id: Option<&str>) -> Result<GroupSettings> {
        let account_id = in_account(caller, account_id)?;
        Ok(settings(&mut *self.inner.store.read().await?, account_id).await?.0)
    }

    /// Changes the settings of access groups. Without public access, policies for everybody are removed.
    ///
    /// # Errors
    /// For another account; else when the database fails.
    pub async fn group_settings_update(
        &self,
        caller: &Caller,
        account_id: Option<&str>,
        public: Option<bool>,
    ) -> Result<GroupSettings> {
        let account_id = in_account(caller, account_id)?;
        let mut tx = self.inner.store.write(Domain::Identity).await?;
        accounts::lock(&mut tx, account_id).await?;
        let (mut settings, revision) = settings(&mut tx, account_id).await?;
        let Some(public) = public else { return Ok(settings) };
        settings.public_access_enabled = public;
        settings.modified_at = self.inner.clock.now().as_millisecond();
        settings.modified_by.clone_from(&caller.iam_id);
        let document = serde_json::to_string(&settings).map_err(boatyard_store::Error::from)?;
        account_settings::set(&mut tx, account_id, SETTINGS, &document, revision).await?;
        if !public {
            policies::delete_of(&mut tx, account_id, PUBLIC_GROUP).await?;
        }
        tx.commit().await?;
        Ok(settings)
    }
}

/// The account that a request names, if it is the caller's.
fn in_account<'a>(caller: &'a Caller, asked: Option<&str>) -> Result<&'a str> {
    let account_id = caller.account()?;
    match asked {
        None => Err(AccessError::MissingQuery("account_id")),
        Some(asked) if asked == account_id => Ok(account_id),
        Some(_) => {
            let text =
                "There is no such account for this token. Send the ID of the account that you are logged in to.".to_owned();
            Err(AccessError::NotFound { what: Subject::Settings, text })
        }
    }
}

/// A group that can be changed: that of everybody cannot.
async fn group(conn: &mut Conn, account_id: &str, id: &str) -> Result<Group> {
    if id == PUBLIC_GROUP {
        return Err(AccessError::invalid(
            "Everybody in the account is in the Public Access group. It has no list of members or rules and cannot be changed; the settings \
             of access groups turn it off.",
        ));
    }
    access_groups::get(conn, account_id, id).await?.ok_or_else(|| AccessError::not_found(Subject::Group, id))
}

fn public_group(account_id: &str) -> Group {
    Group {
        id: PUBLIC_GROUP.to_owned(),
        account_id: account_id.to_owned(),
        name: PUBLIC_GROUP_NAME.to_owned(),
        description: "This group includes all users and service IDs of the account.".to_owned(),
        created_at: 0,
        created_by: "IAM".to_owned(),
        modified_at: 0,
        modified_by: "IAM".to_owned(),
        revision: 1,
        rules: 0,
    }
}

async fn settings(conn: &mut Conn, account_id: &str) -> Result<(GroupSettings, i64)> {
    Ok(match account_settings::get(conn, account_id, SETTINGS).await? {
        Some(stored) => (serde_json::from_str(&stored.document).map_err(boatyard_store::Error::from)?, stored.revision),
        None => (GroupSettings { public_access_enabled: true, modified_at: 0, modified_by: String::new() }, 0),
    })
}

/// Whether policies of the account can be for everybody in it.
pub(crate) async fn public_access(conn: &mut Conn, account_id: &str) -> Result<bool> {
    Ok(settings(conn, account_id).await?.0.public_access_enabled)
}

fn acceptable_name(name: &str) -> Result<String> {
    let name = name.trim();
    if !(1..=LONGEST_NAME).contains(&name.chars().count()) {
        return Err(AccessError::Invalid(format!("The name of an access group has 1 to {LONGEST_NAME} characters.")));
    }
    if is_of_clusters(name) {
        return Err(AccessError::invalid(
            "Names that begin with 'system:' are those of groups that clusters have of their own. Choose another name.",
        ));
    }
    Ok(name.to_owned())
}

fn acceptable_description(description: &str) -> Result<String> {
    if description.chars().count() > LONGEST_DESCRIPTION {
        return Err(AccessError::Invalid(format!(
            "The description of an access group has at most {LONGEST_DESCRIPTION} characters."
        )));
    }
    Ok(description.to_owned())
}

/// Names differ by more than case, as groups are found by name in scripts.
fn nameable(all: &[Group], group: &Group) -> Result<()> {
    let name = group.name.to_lowercase();
    let public = public_group(&group.account_id);
    match all.iter().chain([&public]).find(|other| other.id != group.id && other.name.to_lowercase() == name) {
        Some(other) => {
            let text = format!("The account has an access group '{}' already. Choose another name.", other.name);
            Err(AccessError::Conflict { what: Subject::Group, id: other.id.clone(), etag: group_etag(other), text })
        }
        None => Ok(()),
    }
}

fn found_by(group: &Group, search: &str) -> bool {
    let has = |text: &str, part: &str| text.to_lowercase().contains(&part.trim().to_lowercase());
    match search.split_once(':') {
        Some(("id", id)) => group.id == id.trim(),
        Some(("name", name)) => has(&group.name, name),
        Some(("description", description)) => has(&group.description, description),
        _ => [&group.id, &group.name, &group.description].into_iter().any(|text| has(text, search)),
    }
}

/// What to sort by, the first of `known` if nothing is asked for, and whether in reverse.
fn sort_key<'a>(asked: Option<&'a str>, known: &[&'a str]) -> Result<(&'a str, bool)> {
    let asked = asked.unwrap_or("name");
    let (key, reverse) = asked.strip_prefix('-').map_or((asked, false), |key| (key, true));
    if known.contains(&key) {
        return Ok((key, reverse));
    }
    Err(AccessError::Invalid(format!("'sort' is one of '{}', with '-' before it for the reverse order.", known.join("', '"))))
}

/// Whether members that were added are asked for, by the query's `membership_type`. Who is one by a rule is known only while they are
/// logged in, and not listed.
fn membership(asked: Option<&str>, of_member: bool) -> Result<bool> {
    match asked {
        None | Some("static" | "all") => Ok(true),
        Some("dynamic") if of_member => Ok(false),
        Some("dynamic") => {
            Err(AccessError::invalid("'membership_type' goes with 'iam_id': it says how that identity is a member."))
        }
        Some(_) => Err(AccessError::invalid("'membership_type' is 'static', 'dynamic' or 'all'.")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(limit: Option<i64>, offset: Option<i64>) -> Option<(Vec<i64>, i64)> {
        Slice::of((0..120).collect(), limit, offset).ok().map(|slice| (slice.items, slice.total))
    }

    #[test]
    fn a_slice_is_a_part_of_what_there_is() {
        let cases = [
            (None, None, Some(0..50)),
            (Some(100), Some(100), Some(100..120)),
            (Some(10), Some(5), Some(5..15)),
            (Some(0), None, Some(0..0)),
            (Some(10), Some(500), Some(0..0)),
            (Some(10), Some(i64::MAX), Some(0..0)),
            (Some(101), None, None),
            (Some(-1), None, None),
            (None, Some(-1), None),
        ];
        for (limit, offset, expected) in cases {
            assert_eq!(numbers(limit, offset), expected.map(|range| (range.collect(), 120)), "{limit:?} {offset:?}");
        }
    }

    #[test]
    fn groups_are_found_by_what_is_searched_for() {
        let group = Group { id: "AccessGroupId-1".to_owned(), name: "Team Blue".to_owned(), ..public_group("acc") };
        let cases = [
            ("blue", true),
            ("name:BLUE", true),
            ("name:red", false),
            ("id:AccessGroupId-1", true),
            ("id:AccessGroupId", false),
            ("description:all users", true),
            ("description:blue", false),
            ("all users", true),
        ];
        for (search, expected) in cases {
            assert_eq!(found_by(&group, search), expected, "{search}");
        }
    }

    #[test]
    fn names_differ_by_more_than_case() {
        let group = |id: &str, name: &str| Group { id: id.to_owned(), name: name.to_owned(), ..public_group("acc") };
        let all = [group("1", "Team"), group("2", "Other")];
        for (id, name, expected) in
            [("3", "team", false), ("1", "TEAM", true), ("3", "Crew", true), ("3", "public access", false)]
        {
            assert_eq!(nameable(&all, &group(id, name)).is_ok(), expected, "{id} {name}");
        }
        assert!(acceptable_name("system:masters").is_err() && acceptable_name(" System:nodes").is_err());
        assert!(acceptable_name("  ").is_err() && acceptable_name(&"x".repeat(101)).is_err());
        assert_eq!(acceptable_name(" Team ").unwrap(), "Team");
    }
}
