//! Policies: who may do what. Read by account; the documents are in the form of v2, whichever API they came by.

use sqlx::Row as _;
use sqlx::any::AnyRow;

use crate::{Conn, Error, Result};

/// A policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// A UUID.
    pub id: String,
    pub account_id: String,
    /// `access` or `authorization`.
    pub kind: String,
    /// IAM ID or ID of an access group; empty for an authorization.
    pub subject: String,
    /// `active` or `deleted`.
    pub state: String,
    /// JSON.
    pub document: String,
    /// Milliseconds since the Unix epoch.
    pub created_at: i64,
    pub created_by: String,
    /// Milliseconds since the Unix epoch.
    pub modified_at: i64,
    pub modified_by: String,
    /// Counts the changes, from 1.
    pub revision: i64,
}

fn policy(row: &AnyRow) -> Result<Policy> {
    Ok(Policy {
        id: row.try_get("id")?,
        account_id: row.try_get("account_id")?,
        kind: row.try_get("type")?,
        subject: row.try_get("subject")?,
        state: row.try_get("state")?,
        document: row.try_get("document")?,
        created_at: row.try_get("created_at")?,
        created_by: row.try_get("created_by")?,
        modified_at: row.try_get("modified_at")?,
        modified_by: row.try_get("modified_by")?,
        revision: row.try_get("revision")?,
    })
}

/// Adds a policy.
///
/// # Errors
/// When the database fails.
pub async fn insert(conn: &mut Conn, policy: &Policy) -> Result<()> {
    sqlx::query(
        "INSERT INTO policies (id, account_id, type, subject, state, document, created_at, created_by, modified_at, modified_by, \
         revision) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
    )
    .bind(policy.id.clone())
    .bind(policy.account_id.clone())
    .bind(policy.kind.clone())
    .bind(policy.subject.clone())
    .bind(policy.state.clone())
    .bind(policy.document.clone())
    .bind(policy.created_at)
    .bind(policy.created_by.clone())
    .bind(policy.modified_at)
    .bind(policy.modified_by.clone())
    .bind(policy.revision)
    .execute(conn)
    .await?;
    Ok(())
}

/// A policy of an account.
///
/// # Errors
/// When the database fails.
pub async fn get(conn: &mut Conn, account_id: &str, id: &str) -> Result<Option<Policy>> {
    let row = sqlx::query("SELECT * FROM policies WHERE account_id = $1 AND id = $2")
        .bind(account_id.to_owned())
        .bind(id.to_owned())
        .fetch_optional(conn)
        .await?;
    row.as_ref().map(policy).transpose()
}

/// The policies of an account in one state, of one subject if one is given.
///
/// # Errors
/// When the database fails.
pub async fn list(conn: &mut Conn, account_id: &str, state: &str, subject: Option<&str>) -> Result<Vec<Policy>> {
    let mut sql = "SELECT * FROM policies WHERE account_id = $1 AND state = $2".to_owned();
    if subject.is_some() {
        sql.push_str(" AND subject = $3");
    }
    let mut query = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(account_id.to_owned()).bind(state.to_owned());
    if let Some(subject) = subject {
        query = query.bind(subject.to_owned());
    }
    query.fetch_all(conn).await?.iter().map(policy).collect()
}

/// An active policy of an account that grants a role, by how the role's CRN ends.
///
/// # Errors
/// When the database fails.
pub async fn naming(conn: &mut Conn, account_id: &str, ending: &str) -> Result<Option<String>> {
    // A CRN holds no character that JSON escapes, so it stands in the document as it is. Whatever is a wildcard here cannot be in it.
    let row = sqlx::query(
        "SELECT id FROM policies WHERE account_id = $1 AND state = 'active' AND document LIKE $2 ORDER BY id LIMIT 1",
    )
    .bind(account_id.to_owned())
    .bind(format!("%{ending}\"%"))
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| row.try_get("id")).transpose()?)
}

/// Replaces what can change of a policy whose revision was one less than it is now.
///
/// # Errors
/// [`Error::Stale`] if somebody else changed it since; else when the database fails.
pub async fn update(conn: &mut Conn, policy: &Policy) -> Result<()> {
    let done = sqlx::query(
        "UPDATE policies SET subject = $1, state = $2, document = $3, modified_at = $4, modified_by = $5, revision = $6 \
         WHERE account_id = $7 AND id = $8 AND revision = $9",
    )
    .bind(policy.subject.clone())
    .bind(policy.state.clone())
    .bind(policy.document.clone())
    .bind(policy.modified_at)
    .bind(policy.modified_by.clone())
    .bind(policy.revision)
    .bind(policy.account_id.clone())
    .bind(policy.id.clone())
    .bind(policy.revision - 1)
    .execute(conn)
    .await?;
    if done.rows_affected() == 0 { Err(Error::Stale) } else { Ok(()) }
}

/// Removes the policies of a subject that is no more. They cannot be restored.
///
/// # Errors
/// When the database fails.
pub async fn delete_of(conn: &mut Conn, account_id: &str, subject: &str) -> Result<()> {
    sqlx::query("DELETE FROM policies WHERE account_id = $1 AND subject = $2")
        .bind(account_id.to_owned())
        .bind(subject.to_owned())
        .execute(conn)
        .await?;
    Ok(())
}

/// Removes what was deleted in an account before a point in time.
///
/// # Errors
/// When the database fails.
pub async fn purge(conn: &mut Conn, account_id: &str, before_ms: i64) -> Result<()> {
    sqlx::query("DELETE FROM policies WHERE account_id = $1 AND state = 'deleted' AND modified_at < $2")
        .bind(account_id.to_owned())
        .bind(before_ms)
        .execute(conn)
        .await?;
    Ok(())
}
