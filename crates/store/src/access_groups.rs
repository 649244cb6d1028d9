//! Access groups, their members and the rules for members who are not listed. Members and rules are reached through a group that
//! was looked up in its account.

use sqlx::Row as _;
use sqlx::any::AnyRow;

use crate::{Conn, Error, Result};

/// An access group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// `AccessGroupId-` and a UUID.
    pub id: String,
    pub account_id: String,
    pub name: String,
    pub description: String,
    /// Milliseconds since the Unix epoch.
    pub created_at: i64,
    pub created_by: String,
    /// Milliseconds since the Unix epoch.
    pub modified_at: i64,
    pub modified_by: String,
    /// Counts the changes, from 1.
    pub revision: i64,
    /// How many rules it has.
    pub rules: i64,
}

const GROUP: &str = "SELECT g.*, (SELECT COUNT(*) FROM access_group_rules r WHERE r.group_id = g.id) AS rules FROM access_groups g WHERE g.account_id = $1";

fn group(row: &AnyRow) -> Result<Group> {
    Ok(Group {
        id: row.try_get("id")?,
        account_id: row.try_get("account_id")?,
        name: row.try_get("name")?,
        description: row.try_get("description")?,
        created_at: row.try_get("created_at")?,
        created_by: row.try_get("created_by")?,
        modified_at: row.try_get("modified_at")?,
        modified_by: row.try_get("modified_by")?,
        revision: row.try_get("revision")?,
        rules: row.try_get("rules")?,
    })
}

/// Adds an access group.
///
/// # Errors
/// [`Error::Duplicate`] if the account has one of that name; else when the database fails.
pub async fn insert(conn: &mut Conn, group: &Group) -> Result<()> {
    sqlx::query(
        "INSERT INTO access_groups (id, account_id, name, description, created_at, created_by, modified_at, modified_by, revision) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
    )
    .bind(group.id.clone())
    .bind(group.account_id.clone())
    .bind(group.name.clone())
    .bind(group.description.clone())
    .bind(group.created_at)
    .bind(group.created_by.clone())
    .bind(group.modified_at)
    .bind(group.modified_by.clone())
    .bind(group.revision)
    .execute(conn)
    .await?;
    Ok(())
}

/// An access group of an account.
///
/// # Errors
/// When the database fails.
pub async fn get(conn: &mut Conn, account_id: &str, id: &str) -> Result<Option<Group>> {
    let sql = format!("{GROUP} AND g.id = $2");
    let query = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(account_id.to_owned()).bind(id.to_owned());
    query.fetch_optional(conn).await?.as_ref().map(group).transpose()
}

/// The access groups of an account; of one member if an IAM ID is given.
///
/// # Errors
/// When the database fails.
pub async fn list(conn: &mut Conn, account_id: &str, member: Option<&str>) -> Result<Vec<Group>> {
    let mut sql = GROUP.to_owned();
    if member.is_some() {
        sql.push_str(" AND g.id IN (SELECT m.group_id FROM access_group_members m WHERE m.iam_id = $2)");
    }
    let mut query = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(account_id.to_owned());
    if let Some(member) = member {
        query = query.bind(member.to_owned());
    }
    query.fetch_all(conn).await?.iter().map(group).collect()
}

/// Replaces what can change of a group whose revision was one less than it is now.
///
/// # Errors
/// [`Error::Stale`] if somebody else changed it since, [`Error::Duplicate`] if its name is taken; else when the database fails.
pub async fn update(conn: &mut Conn, group: &Group) -> Result<()> {
    let done = sqlx::query(
        "UPDATE access_groups SET name = $1, description = $2, modified_at = $3, modified_by = $4, revision = $5 \
         WHERE account_id = $6 AND id = $7 AND revision = $8",
    )
    .bind(group.name.clone())
    .bind(group.description.clone())
    .bind(group.modified_at)
    .bind(group.modified_by.clone())
    .bind(group.revision)
    .bind(group.account_id.clone())
    .bind(group.id.clone())
    .bind(group.revision - 1)
    .execute(conn)
    .await?;
    if done.rows_affected() == 0 { Err(Error::Stale) } else { Ok(()) }
}

/// Removes a group with its members and rules.
///
/// # Errors
/// When the database fails.
pub async fn delete(conn: &mut Conn, group: &Group) -> Result<()> {
    let query = sqlx::query("DELETE FROM access_groups WHERE id = $1").bind(group.id.clone());
    query.execute(conn).await?;
    Ok(())
}

/// A member that was added to a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    pub iam_id: String,
    /// `user`, `service` or `profile`.
    pub kind: String,
    /// Milliseconds since the Unix epoch.
    pub created_at: i64,
    pub created_by: String,
    /// Empty if the identity is gone.
    pub name: String,
    /// Of a user.
    pub email: String,
    /// Of a service ID or trusted profile.
    pub description: String,
}

/// Adds a member; does nothing for one that is.
///
/// # Errors
/// When the database fails.
pub async fn member_add(conn: &mut Conn, group: &Group, member: &Member) -> Result<()> {
    sqlx::query(
        "INSERT INTO access_group_members (group_id, iam_id, type, created_at, created_by) VALUES ($1, $2, $3, $4, $5) \
         ON CONFLICT (group_id, iam_id) DO NOTHING",
    )
    .bind(group.id.clone())
    .bind(member.iam_id.clone())
    .bind(member.kind.clone())
    .bind(member.created_at)
    .bind(member.created_by.clone())
    .execute(conn)
    .await?;
    Ok(())
}

/// Removes a member. Tells whether it was one.
///
/// # Errors
/// When the database fails.
pub async fn member_remove(conn: &mut Conn, group: &Group, iam_id: &str) -> Result<bool> {
    let query = sqlx::query("DELETE FROM access_group_members WHERE group_id = $1 AND iam_id = $2");
    let done = query.bind(group.id.clone()).bind(iam_id.to_owned()).execute(conn).await?;
    Ok(done.rows_affected() > 0)
}

/// The members that were added to a group, in the order in which they were.
///
/// # Errors
/// When the database fails.
pub async fn members(conn: &mut Conn, group: &Group) -> Result<Vec<Member>> {
    let rows = sqlx::query(
        "SELECT m.iam_id, m.type, m.created_at, m.created_by, \
         COALESCE(u.given_name || ' ' || u.family_name, s.name, p.name, '') AS name, COALESCE(u.username, '') AS email, \
         COALESCE(s.description, p.description, '') AS description \
         FROM access_group_members m LEFT JOIN users u ON u.iam_id = m.iam_id LEFT JOIN service_ids s ON s.iam_id = m.iam_id \
         LEFT JOIN trusted_profiles p ON p.iam_id = m.iam_id WHERE m.group_id = $1 ORDER BY m.created_at, m.iam_id",
    )
    .bind(group.id.clone())
    .fetch_all(conn)
    .await?;
    rows.iter()
        .map(|row| {
            Ok(Member {
                iam_id: row.try_get("iam_id")?,
                kind: row.try_get("type")?,
                created_at: row.try_get("created_at")?,
                created_by: row.try_get("created_by")?,
                name: row.try_get::<String, _>("name")?.trim().to_owned(),
                email: row.try_get("email")?,
                description: row.try_get("description")?,
            })
        })
        .collect()
}

/// A rule by which federated users are members while they are logged in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// `ClaimRule-` and a UUID.
    pub id: String,
    pub name: String,
    /// Hours.
    pub expiration: i64,
    pub realm_name: String,
    /// JSON.
    pub conditions: String,
    /// Milliseconds since the Unix epoch.
    pub created_at: i64,
    pub created_by: String,
    /// Milliseconds since the Unix epoch.
    pub modified_at: i64,
    pub modified_by: String,
    /// Counts the changes, from 1.
    pub revision: i64,
}

/// The rules of a group, in the order in which they were made.
///
/// # Errors
/// When the database fails.
pub async fn rules(conn: &mut Conn, group: &Group) -> Result<Vec<Rule>> {
    let query =
        sqlx::query("SELECT * FROM access_group_rules WHERE group_id = $1 ORDER BY created_at, id").bind(group.id.clone());
    query
        .fetch_all(conn)
        .await?
        .iter()
        .map(|row| {
            Ok(Rule {
                id: row.try_get("id")?,
                name: row.try_get("name")?,
                expiration: row.try_get("expiration")?,
                realm_name: row.try_get("realm_name")?,
                conditions: row.try_get("conditions")?,
                created_at: row.try_get("created_at")?,
                created_by: row.try_get("created_by")?,
                modified_at: row.try_get("modified_at")?,
                modified_by: row.try_get("modified_by")?,
                revision: row.try_get("revision")?,
            })
        })
        .collect()
}

/// Adds a rule to a group.
///
/// # Errors
/// When the database fails.
pub async fn rule_insert(conn: &mut Conn, group: &Group, rule: &Rule) -> Result<()> {
    sqlx::query(
        "INSERT INTO access_group_rules (id, group_id, name, expiration, realm_name, conditions, created_at, created_by, modified_at, \
         modified_by, revision) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
    )
    .bind(rule.id.clone())
    .bind(group.id.clone())
    .bind(rule.name.clone())
    .bind(rule.expiration)
    .bind(rule.realm_name.clone())
    .bind(rule.conditions.clone())
    .bind(rule.created_at)
    .bind(rule.created_by.clone())
    .bind(rule.modified_at)
    .bind(rule.modified_by.clone())
    .bind(rule.revision)
    .execute(conn)
    .await?;
    Ok(())
}

/// Replaces a rule whose revision was one less than it is now.
///
/// # Errors
/// [`Error::Stale`] if somebody else changed it since; else when the database fails.
pub async fn rule_update(conn: &mut Conn, group: &Group, rule: &Rule) -> Result<()> {
    let done = sqlx::query(
        "UPDATE access_group_rules SET name = $1, expiration = $2, realm_name = $3, conditions = $4, modified_at = $5, \
         modified_by = $6, revision = $7 WHERE group_id = $8 AND id = $9 AND revision = $10",
    )
    .bind(rule.name.clone())
    .bind(rule.expiration)
    .bind(rule.realm_name.clone())
    .bind(rule.conditions.clone())
    .bind(rule.modified_at)
    .bind(rule.modified_by.clone())
    .bind(rule.revision)
    .bind(group.id.clone())
    .bind(rule.id.clone())
    .bind(rule.revision - 1)
    .execute(conn)
    .await?;
    if done.rows_affected() == 0 { Err(Error::Stale) } else { Ok(()) }
}

/// Removes a rule. Tells whether there was one.
///
/// # Errors
/// When the database fails.
pub async fn rule_delete(conn: &mut Conn, group: &Group, id: &str) -> Result<bool> {
    let query = sqlx::query("DELETE FROM access_group_rules WHERE group_id = $1 AND id = $2");
    let done = query.bind(group.id.clone()).bind(id.to_owned()).execute(conn).await?;
    Ok(done.rows_affected() > 0)
}
