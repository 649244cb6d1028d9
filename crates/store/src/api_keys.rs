//! API keys. Only their digests are stored.

use boatyard_core::Digest;
use sqlx::Row as _;
use sqlx::any::AnyRow;

use crate::{Conn, Result};

/// An API key, without the key itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKey {
    /// `ApiKey-` and a UUID.
    pub id: String,
    /// The one account that the key works for.
    pub account_id: String,
    pub iam_id: String,
    pub name: String,
    pub description: String,
    pub disabled: bool,
    /// Whether it can neither be changed nor deleted.
    pub locked: bool,
    /// Whether logins with it begin sessions that are listed.
    pub support_sessions: bool,
    /// `none`, `disable` or `delete`.
    pub action_when_leaked: String,
    /// Milliseconds since the Unix epoch; `None`: it does not expire.
    pub expires_at: Option<i64>,
    /// IAM ID of who made it.
    pub created_by: String,
    /// Milliseconds since the Unix epoch.
    pub created_at: i64,
    /// Milliseconds since the Unix epoch.
    pub modified_at: i64,
    /// Counts the changes.
    pub revision: i64,
}

impl ApiKey {
    /// Whether a login with it is refused at `now_ms` because its time has come.
    #[must_use]
    pub fn expired(&self, now_ms: i64) -> bool {
        self.expires_at.is_some_and(|at| at <= now_ms)
    }
}

pub(crate) fn from_row(row: &AnyRow) -> Result<ApiKey> {
    let flag = |name: &str| Ok::<_, crate::Error>(row.try_get::<i64, _>(name)? != 0);
    Ok(ApiKey {
        id: row.try_get("id")?,
        account_id: row.try_get("account_id")?,
        iam_id: row.try_get("iam_id")?,
        name: row.try_get("name")?,
        description: row.try_get("description")?,
        disabled: flag("disabled")?,
        locked: flag("locked")?,
        support_sessions: flag("support_sessions")?,
        action_when_leaked: row.try_get("action_when_leaked")?,
        expires_at: row.try_get("expires_at")?,
        created_by: row.try_get("created_by")?,
        created_at: row.try_get("created_at")?,
        modified_at: row.try_get("modified_at")?,
        revision: row.try_get("revision")?,
    })
}

/// An API key as it is stored: with its digest in hexadecimal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredKey {
    pub key: ApiKey,
    pub digest: String,
}

/// The keys of a user for an account, with their digests: to keep them while everything else is replaced.
///
/// # Errors
/// When the database fails.
pub async fn stored(conn: &mut Conn, account_id: &str, iam_id: &str) -> Result<Vec<StoredKey>> {
    let rows = sqlx::query("SELECT * FROM api_keys WHERE account_id = $1 AND iam_id = $2 ORDER BY created_at, id")
        .bind(account_id.to_owned())
        .bind(iam_id.to_owned())
        .fetch_all(conn)
        .await?;
    rows.iter().map(|row| Ok(StoredKey { key: from_row(row)?, digest: row.try_get("digest")? })).collect()
}

/// Removes the key that has this digest, whosever it is.
///
/// # Errors
/// When the database fails.
pub async fn delete(conn: &mut Conn, digest: &str) -> Result<()> {
    sqlx::query("DELETE FROM api_keys WHERE digest = $1").bind(digest.to_owned()).execute(conn).await?;
    Ok(())
}

/// Adds an API key.
///
/// # Errors
/// [`crate::Error::Duplicate`] if the key exists already, for whomever; else when the database fails.
pub async fn insert(conn: &mut Conn, key: &ApiKey, digest: Digest) -> Result<()> {
    insert_stored(conn, &StoredKey { key: key.clone(), digest: digest.hex() }).await
}

/// Adds an API key that was stored before.
///
/// # Errors
/// As [`insert`].
pub async fn insert_stored(conn: &mut Conn, stored: &StoredKey) -> Result<()> {
    let StoredKey { key, digest } = stored;
    sqlx::query(
        "INSERT INTO api_keys (id, account_id, iam_id, name, description, digest, disabled, locked, support_sessions, \
         action_when_leaked, expires_at, created_by, created_at, modified_at, revision) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)",
    )
    .bind(key.id.clone())
    .bind(key.account_id.clone())
    .bind(key.iam_id.clone())
    .bind(key.name.clone())
    .bind(key.description.clone())
    .bind(digest.clone())
    .bind(i64::from(key.disabled))
    .bind(i64::from(key.locked))
    .bind(i64::from(key.support_sessions))
    .bind(key.action_when_leaked.clone())
    .bind(key.expires_at)
    .bind(key.created_by.clone())
    .bind(key.created_at)
    .bind(key.modified_at)
    .bind(key.revision)
    .execute(conn)
    .await?;
    Ok(())
}

/// The key that has this digest. Whoever knows the key may see it, so no account is asked for.
///
/// # Errors
/// When the database fails.
pub async fn by_digest(conn: &mut Conn, digest: Digest) -> Result<Option<ApiKey>> {
    let row = sqlx::query("SELECT * FROM api_keys WHERE digest = $1").bind(digest.hex()).fetch_optional(conn).await?;
    row.as_ref().map(from_row).transpose()
}

/// The key that has this ID, whosever it is: for tokens that were issued for it.
///
/// # Errors
/// When the database fails.
pub async fn by_id(conn: &mut Conn, id: &str) -> Result<Option<ApiKey>> {
    let row = sqlx::query("SELECT * FROM api_keys WHERE id = $1").bind(id.to_owned()).fetch_optional(conn).await?;
    row.as_ref().map(from_row).transpose()
}

/// The key of an account that has this ID.
///
/// # Errors
/// When the database fails.
pub async fn get(conn: &mut Conn, account_id: &str, id: &str) -> Result<Option<ApiKey>> {
    let row = sqlx::query("SELECT * FROM api_keys WHERE account_id = $1 AND id = $2")
        .bind(account_id.to_owned())
        .bind(id.to_owned())
        .fetch_optional(conn)
        .await?;
    row.as_ref().map(from_row).transpose()
}

/// Disables or enables a key of an account. Returns whether there is such a key.
///
/// # Errors
/// When the database fails.
pub async fn disabled_set(conn: &mut Conn, account_id: &str, id: &str, disabled: bool) -> Result<bool> {
    let done = sqlx::query("UPDATE api_keys SET disabled = $1 WHERE account_id = $2 AND id = $3")
        .bind(i64::from(disabled))
        .bind(account_id.to_owned())
        .bind(id.to_owned())
        .execute(conn)
        .await?;
    Ok(done.rows_affected() > 0)
}
