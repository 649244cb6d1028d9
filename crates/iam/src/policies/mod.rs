//! Policies: who gets which roles on what. Deciding by them is the business of `access`; here they are kept.

mod document;
mod list;
mod reach;
mod validate;

use std::collections::BTreeSet;

use boatyard_core::id;
use boatyard_store::access::PUBLIC_GROUP;
use boatyard_store::policies::{self, Policy as Row};
use boatyard_store::{Conn, Domain, access_groups, accounts, custom_roles, subjects};

pub use document::{Document, V1Document};
pub use list::{Page, PolicyQuery};

use crate::access_error::{AccessError, Result, Subject, entity_tag, matches};
use crate::{Caller, Iam};

/// How long a deleted policy can be restored, in milliseconds: 30 days.
const KEEP_DELETED_MS: i64 = 30 * 24 * 3600 * 1000;

/// A policy.
#[derive(Clone, Debug)]
pub struct Policy {
    /// A UUID.
    pub id: String,
    pub document: Document,
    /// Whether it gives access. If not it was deleted, and can be restored for a while.
    pub active: bool,
    /// Milliseconds since the Unix epoch.
    pub created_at: i64,
    pub created_by: String,
    /// Milliseconds since the Unix epoch.
    pub modified_at: i64,
    pub modified_by: String,
    pub etag: String,
}

impl Policy {
    /// `active` or `deleted`.
    #[must_use]
    pub fn state(&self) -> &'static str {
        if self.active { ACTIVE } else { DELETED }
    }

    fn of(row: &Row) -> Result<Self> {
        Ok(Self {
            document: document(row)?,
            id: row.id.clone(),
            active: row.state == ACTIVE,
            created_at: row.created_at,
            created_by: row.created_by.clone(),
            modified_at: row.modified_at,
            modified_by: row.modified_by.clone(),
            etag: entity_tag(row.revision, &row.id),
        })
    }
}

const ACTIVE: &str = "active";
const DELETED: &str = "deleted";

fn document(row: &Row) -> Result<Document> {
    Ok(serde_json::from_str(&row.document).map_err(boatyard_store::Error::from)?)
}

fn text(document: &Document) -> Result<String> {
    Ok(serde_json::to_string(document).map_err(boatyard_store::Error::from)?)
}

impl V1Document {
    /// In the form in which policies are stored.
    ///
    /// # Errors
    /// If it has not one subject and one resource, or an operator that v1 has not.
    pub fn into_document(self) -> Result<Document> {
        self.into_v2().map_err(AccessError::invalid)
    }
}

impl Iam {
    /// Makes a policy.
    ///
    /// # Errors
    /// If it is not acceptable, the caller may not give that access, or there is one like it; else when the database fails.
    pub async fn policy_create(&self, caller: &Caller, document: Document) -> Result<Policy> {
        let account_id = caller.account()?;
        let mut tx = self.inner.store.write(Domain::Identity).await?;
        accounts::lock(&mut tx, account_id).await?;
        acceptable(&mut tx, account_id, &document).await?;
        reach::permit(caller, "iam.policy.create", account_id, &document)?;
        unlike(&mut tx, account_id, &document, None).await?;
        let now = self.inner.clock.now().as_millisecond();
        let row = Row {
            id: id::uuid(),
            account_id: account_id.to_owned(),
            kind: document.kind.clone(),
            subject: document.subject().to_owned(),
            state: ACTIVE.to_owned(),
            document: text(&document)?,
            created_at: now,
            created_by: caller.iam_id.clone(),
            modified_at: now,
            modified_by: caller.iam_id.clone(),
            revision: 1,
        };
        policies::insert(&mut tx, &row).await?;
        tx.commit().await?;
        Policy::of(&row)
    }

    /// A policy that the caller may read, or that is the caller's own; also a deleted one while it can be restored.
    ///
    /// # Errors
    /// If there is none, or the caller may not read it; else when the database fails.
    pub async fn policy_get(&self, caller: &Caller, id: &str) -> Result<Policy> {
        let account_id = caller.account()?;
        let mut conn = self.inner.store.read().await?;
        let policy = Policy::of(&found(&mut conn, account_id, id).await?)?;
        if !own(&mut conn, caller, account_id).await?.contains(policy.document.subject()) {
            reach::permit(caller, "iam.policy.read", account_id, &policy.document)?;
        }
        Ok(policy)
    }

    /// Replaces a policy. The caller must be able to change it as it was and as it becomes.
    ///
    /// # Errors
    /// If there is none, it was changed since `if_match`, or as [`Iam::policy_create`].
    pub async fn policy_replace(
        &self,
        caller: &Caller,
        id: &str,
        if_match: Option<&str>,
        document: Document,
    ) -> Result<Policy> {
        let account_id = caller.account()?;
        let mut tx = self.inner.store.write(Domain::Identity).await?;
        accounts::lock(&mut tx, account_id).await?;
        let mut row = found(&mut tx, account_id, id).await?;
        let before = self::document(&row)?;
        reach::permit(caller, "iam.policy.update", account_id, &before)?;
        matches(Subject::Policy, if_match, row.revision, &row.id)?;
        if row.state != ACTIVE {
            return Err(AccessError::invalid("The policy is deleted. Restore it first: PATCH its state to 'active'."));
        }
        if document.kind != row.kind {
            return Err(AccessError::invalid("The type of a policy cannot be changed. Make another policy."));
        }
        unlocked(&mut tx, account_id, before.subject()).await?;
        acceptable(&mut tx, account_id, &document).await?;
        reach::permit(caller, "iam.policy.update", account_id, &document)?;
        unlike(&mut tx, account_id, &document, Some(id)).await?;
        document.subject().clone_into(&mut row.subject);
        row.document = text(&document)?;
        self.changed(caller, &mut row);
        policies::update(&mut tx, &row).await?;
        tx.commit().await?;
        Policy::of(&row)
    }

    /// Deletes a policy, or restores one that was deleted.
    ///
    /// # Errors
    /// If there is none, it was changed since `if_match`, the caller may not, or what it was for is gone; else when the database fails.
    pub async fn policy_state(&self, caller: &Caller, id: &str, if_match: Option<&str>, state: &str) -> Result<Policy> {
        let account_id = caller.account()?;
        if ![ACTIVE, DELETED].contains(&state) {
            return Err(AccessError::invalid("The 'state' of a policy is 'active' or 'deleted'."));
        }
        let mut tx = self.inner.store.write(Domain::Identity).await?;
        accounts::lock(&mut tx, account_id).await?;
        let mut row = found(&mut tx, account_id, id).await?;
        let document = self::document(&row)?;
        reach::permit(caller, "iam.policy.update", account_id, &document)?;
        matches(Subject::Policy, if_match, row.revision, &row.id)?;
        if row.state != state {
            match state {
                // Roles may have gone, or somebody made it anew.
                ACTIVE => {
                    acceptable(&mut tx, account_id, &document).await?;
                    unlike(&mut tx, account_id, &document, Some(id)).await?;
                }
                _ => unlocked(&mut tx, account_id, document.subject()).await?,
            }
            state.clone_into(&mut row.state);
            self.changed(caller, &mut row);
            policies::update(&mut tx, &row).await?;
            tx.commit().await?;
        }
        Policy::of(&row)
    }

    /// Deletes a policy. It can be restored for 30 days.
    ///
    /// # Errors
    /// If there is none that is active, or the caller may not; else when the database fails.
    pub async fn policy_delete(&self, caller: &Caller, id: &str) -> Result<()> {
        let account_id = caller.account()?;
        let mut tx = self.inner.store.write(Domain::Identity).await?;
        accounts::lock(&mut tx, account_id).await?;
        let mut row = found(&mut tx, account_id, id).await?;
        let document = self::document(&row)?;
        reach::permit(caller, "iam.policy.delete", account_id, &document)?;
        if row.state != ACTIVE {
            return Err(AccessError::not_found(Subject::Policy, id));
        }
        unlocked(&mut tx, account_id, document.subject()).await?;
        DELETED.clone_into(&mut row.state);
        self.changed(caller, &mut row);
        policies::update(&mut tx, &row).await?;
        policies::purge(&mut tx, account_id, row.modified_at - KEEP_DELETED_MS).await?;
        Ok(tx.commit().await?)
    }

    fn changed(&self, caller: &Caller, row: &mut Row) {
        row.modified_at = self.inner.clock.now().as_millisecond();
        row.modified_by.clone_from(&caller.iam_id);
        row.revision += 1;
    }
}

async fn found(conn: &mut Conn, account_id: &str, id: &str) -> Result<Row> {
    let found = policies::get(conn, account_id, id).await?;
    found.ok_or_else(|| AccessError::not_found(Subject::Policy, id))
}

/// Refuses a policy that is wrong by itself, or for a subject that the account does not have.
async fn acceptable(conn: &mut Conn, account_id: &str, document: &Document) -> Result<()> {
    let roles = &document.control.grant.roles;
    let custom = match roles.iter().any(|role| role.role_id.contains(":customRole:")) {
        true => custom_roles::list(conn, account_id).await?.into_iter().map(|role| role.name).collect(),
        false => BTreeSet::new(),
    };
    validate::check(document, account_id, &custom)?;
    if document.kind != "access" {
        return Ok(());
    }
    let subject = document.subject();
    let is_group = document.subject_value("access_group_id").is_some();
    if is_group && subject == PUBLIC_GROUP {
        return match crate::access_groups::public_access(conn, account_id).await? {
            true => Ok(()),
            false => Err(AccessError::invalid(
                "The account's settings of access groups turn the Public Access group off. Turn it on first.",
            )),
        };
    }
    let known = match is_group {
        true => access_groups::get(conn, account_id, subject).await?.is_some(),
        false => subjects::find(conn, account_id, subject).await?.is_some(),
    };
    if !known {
        let subject: String = subject.chars().take(100).collect();
        let what = if is_group { "access group" } else { "user, service ID or trusted profile" };
        return Err(AccessError::Invalid(format!("The account has no {what} '{subject}' to give access to.")));
    }
    unlocked(conn, account_id, subject).await
}

/// Refuses a change of what a locked service ID may do.
async fn unlocked(conn: &mut Conn, account_id: &str, subject: &str) -> Result<()> {
    match subjects::find(conn, account_id, subject).await? {
        Some(found) if found.locked => {
            Err(AccessError::Invalid(format!("The service ID '{subject}' is locked, and so is its access. Unlock it first.")))
        }
        _ => Ok(()),
    }
}

/// Refuses a policy if another one gives the same to the same.
async fn unlike(conn: &mut Conn, account_id: &str, document: &Document, id: Option<&str>) -> Result<()> {
    let wanted = document.normal();
    for row in policies::list(conn, account_id, ACTIVE, Some(document.subject())).await? {
        if id != Some(row.id.as_str()) && self::document(&row)?.normal() == wanted {
            let text = format!(
                "A policy with the same attributes and roles exists already. Use the policy '{}', or change what this one gives.",
                row.id
            );
            return Err(AccessError::Conflict {
                what: Subject::Policy,
                etag: entity_tag(row.revision, &row.id),
                id: row.id,
                text,
            });
        }
    }
    Ok(())
}

/// The subjects of policies that are the caller's own: itself, and the groups it was added to.
async fn own(conn: &mut Conn, caller: &Caller, account_id: &str) -> Result<BTreeSet<String>> {
    let groups = boatyard_store::access::groups(conn, account_id, &caller.iam_id).await?;
    let public = [caller.iam_id.clone(), PUBLIC_GROUP.to_owned()];
    Ok(groups.into_iter().map(|(id, _)| id).chain(public).collect())
}
