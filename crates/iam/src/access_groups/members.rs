//! Members of access groups.

use boatyard_store::access_groups::{self, Group, Member};
use boatyard_store::{Conn, Domain, accounts, subjects};

use super::{Slice, group, in_account, membership, sort_key};
use crate::access_error::{AccessError, Result, Subject};
use crate::{Caller, Iam};

/// Most members or groups of one request.
const MOST_AT_ONCE: usize = 50;
/// Most groups of one identity.
const MOST_OF_ONE: usize = 50;
const KINDS: [&str; 3] = ["user", "service", "profile"];

/// An identity that is to be a member.
#[derive(Clone, Debug)]
pub struct NewMember {
    pub iam_id: String,
    /// `user`, `service` or `profile`.
    pub kind: String,
}

/// What became of one of several changes: of the member or the group `id`.
#[derive(Debug)]
pub struct Outcome<T> {
    pub id: String,
    pub result: Result<T>,
}

/// A membership.
#[derive(Clone, Debug)]
pub struct Joined {
    pub kind: String,
    /// Milliseconds since the Unix epoch.
    pub created_at: i64,
    pub created_by: String,
}

/// Which members are asked for. Empty members ask for nothing.
#[derive(Clone, Debug, Default)]
pub struct MemberQuery {
    /// `static`, `dynamic` or `all`.
    pub membership_type: Option<String>,
    pub limit: Option<i64>,
    pub offset: Option<i64>,
    /// `user`, `service` or `profile`.
    pub kind: Option<String>,
    /// `id`, `name` or `email`, with `-` before it for the reverse order. In the order in which they were added if it is left out.
    pub sort: Option<String>,
}

impl Iam {
    /// Adds members to a group; one that is one already stays so.
    ///
    /// # Errors
    /// If there is no such group, or the request has no or too many members; else when the database fails. What is wrong with one of
    /// them is its own outcome.
    pub async fn members_add(&self, caller: &Caller, id: &str, members: Vec<NewMember>) -> Result<Vec<Outcome<Joined>>> {
        few(members.len(), "members")?;
        let account_id = caller.account()?;
        let mut tx = self.inner.store.write(Domain::Identity).await?;
        accounts::lock(&mut tx, account_id).await?;
        let group = group(&mut tx, account_id, id).await?;
        let mut outcomes = Vec::with_capacity(members.len());
        for member in members {
            let result = self.join(&mut tx, caller, &group, &member).await;
            outcomes.push(outcome(member.iam_id, result)?);
        }
        tx.commit().await?;
        Ok(outcomes)
    }

    /// Adds an identity to several groups. The outcomes are of the groups.
    ///
    /// # Errors
    /// As [`Iam::members_add`].
    pub async fn member_add_to(
        &self,
        caller: &Caller,
        account_id: Option<&str>,
        member: &NewMember,
        groups: Vec<String>,
    ) -> Result<Vec<Outcome<Joined>>> {
        few(groups.len(), "groups")?;
        let account_id = in_account(caller, account_id)?;
        let mut tx = self.inner.store.write(Domain::Identity).await?;
        accounts::lock(&mut tx, account_id).await?;
        let mut outcomes = Vec::with_capacity(groups.len());
        for id in groups {
            let result = match group(&mut tx, account_id, &id).await {
                Ok(group) => self.join(&mut tx, caller, &group, member).await,
                Err(error) => Err(error),
            };
            outcomes.push(outcome(id, result)?);
        }
        tx.commit().await?;
        Ok(outcomes)
    }

    async fn join(&self, conn: &mut Conn, caller: &Caller, group: &Group, new: &NewMember) -> Result<Joined> {
        let Some(subject) = subjects::find(conn, &group.account_id, &new.iam_id).await? else {
            return Err(AccessError::not_found(Subject::Member, &new.iam_id));
        };
        if subject.kind != new.kind {
            let text = format!("The 'type' of '{}' is '{}'.", new.iam_id, subject.kind);
            return Err(AccessError::Invalid(text));
        }
        if subject.locked {
            return Err(AccessError::Invalid(format!(
                "The service ID '{}' is locked, and so is its access. Unlock it first.",
                new.iam_id
            )));
        }
        let groups = access_groups::list(conn, &group.account_id, Some(&new.iam_id)).await?;
        if groups.len() >= MOST_OF_ONE && !groups.iter().any(|other| other.id == group.id) {
            let text =
                format!("'{}' is in {MOST_OF_ONE} access groups, which is the most. Remove it from one first.", new.iam_id);
            return Err(AccessError::TooMany(text));
        }
        let member = Member {
            iam_id: new.iam_id.clone(),
            kind: subject.kind,
            created_at: self.inner.clock.now().as_millisecond(),
            created_by: caller.iam_id.clone(),
            name: String::new(),
            email: String::new(),
            description: String::new(),
        };
        access_groups::member_add(conn, group, &member).await?;
        Ok(Joined { kind: member.kind, created_at: member.created_at, created_by: member.created_by })
    }

    /// The members that were added to a group.
    ///
    /// # Errors
    /// If there is no such group, or for a query that cannot be; else when the database fails.
    pub async fn members_list(&self, caller: &Caller, id: &str, query: &MemberQuery) -> Result<Slice<Member>> {
        if query.kind.as_deref().is_some_and(|kind| !KINDS.contains(&kind)) {
            return Err(AccessError::Invalid(format!("'type' is one of '{}'.", KINDS.join("', '"))));
        }
        let explicit = membership(query.membership_type.as_deref(), true)?;
        let by = query.sort.as_deref().map(|sort| sort_key(Some(sort), &["id", "name", "email"])).transpose()?;
        let account_id = caller.account()?;
        let mut conn = self.inner.store.read().await?;
        let group = group(&mut conn, account_id, id).await?;
        let mut all = access_groups::members(&mut conn, &group).await?;
        all.retain(|member| explicit && query.kind.as_deref().is_none_or(|kind| kind == member.kind));
        if let Some((key, reverse)) = by {
            all.sort_by_cached_key(|member| {
                let first = match key {
                    "name" => member.name.to_lowercase(),
                    "email" => member.email.clone(),
                    _ => String::new(),
                };
                (first, member.iam_id.clone())
            });
            if reverse {
                all.reverse();
            }
        }
        Slice::of(all, query.limit, query.offset)
    }

    /// That an identity was added to a group.
    ///
    /// # Errors
    /// If there is no such group, or it was not; else when the database fails.
    pub async fn member_check(&self, caller: &Caller, id: &str, iam_id: &str) -> Result<()> {
        let account_id = caller.account()?;
        let mut conn = self.inner.store.read().await?;
        let group = group(&mut conn, account_id, id).await?;
        match access_groups::members(&mut conn, &group).await?.iter().any(|member| member.iam_id == iam_id) {
            true => Ok(()),
            false => Err(AccessError::not_found(Subject::Member, iam_id)),
        }
    }

    /// Removes members from a group.
    ///
    /// # Errors
    /// If there is no such group, or none of them is in it; else when the database fails. That one of several is not is its own
    /// outcome.
    pub async fn members_remove(&self, caller: &Caller, id: &str, members: Vec<String>) -> Result<Vec<Outcome<()>>> {
        few(members.len(), "members")?;
        let account_id = caller.account()?;
        let mut tx = self.inner.store.write(Domain::Identity).await?;
        let group = group(&mut tx, account_id, id).await?;
        let mut outcomes = Vec::with_capacity(members.len());
        for iam_id in members {
            let result = leave(&mut tx, &group, &iam_id).await;
            outcomes.push(outcome(iam_id, result)?);
        }
        if outcomes.iter().all(|outcome| outcome.result.is_err()) {
            let text =
                "None of these is a member of the access group. List its members, and use IAM IDs from the list.".to_owned();
            return Err(AccessError::NotFound { what: Subject::Member, text });
        }
        tx.commit().await?;
        Ok(outcomes)
    }

    /// Removes an identity from every group that it was added to. The outcomes are of the groups.
    ///
    /// # Errors
    /// If it is in none; else when the database fails.
    pub async fn member_remove_everywhere(
        &self,
        caller: &Caller,
        account_id: Option<&str>,
        iam_id: &str,
    ) -> Result<Vec<Outcome<()>>> {
        let account_id = in_account(caller, account_id)?;
        let mut tx = self.inner.store.write(Domain::Identity).await?;
        let groups = access_groups::list(&mut tx, account_id, Some(iam_id)).await?;
        if groups.is_empty() {
            return Err(AccessError::not_found(Subject::Member, iam_id));
        }
        let mut outcomes = Vec::with_capacity(groups.len());
        for group in groups {
            let result = leave(&mut tx, &group, iam_id).await;
            outcomes.push(outcome(group.id, result)?);
        }
        tx.commit().await?;
        Ok(outcomes)
    }
}

async fn leave(conn: &mut Conn, group: &Group, iam_id: &str) -> Result<()> {
    match access_groups::member_remove(conn, group, iam_id).await? {
        true => Ok(()),
        false => Err(AccessError::not_found(Subject::Member, iam_id)),
    }
}

/// One of several outcomes; that the database failed is no outcome of one, but the end of all.
fn outcome<T>(id: String, result: Result<T>) -> Result<Outcome<T>> {
    match result {
        Err(AccessError::Iam(error)) => Err(error.into()),
        result => Ok(Outcome { id, result }),
    }
}

fn few(count: usize, what: &str) -> Result<()> {
    if (1..=MOST_AT_ONCE).contains(&count) {
        return Ok(());
    }
    Err(AccessError::Invalid(format!("'{what}' is a list of 1 to {MOST_AT_ONCE}.")))
}
