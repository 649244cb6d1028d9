//! API keys as their owners and administrators manage them. See [`crate::api_keys`] for how they are used.

use boatyard_core::seal::{Place, Sealer};
use boatyard_core::secret::{ExposeSecret as _, SecretString};
use sqlx::Row as _;

use crate::api_keys::{ApiKey, from_row};
use crate::{Conn, Error, Result};

/// The keys of an account, or of one identity in it, in the order in which they were made.
///
/// # Errors
/// When the database fails.
pub async fn list(conn: &mut Conn, account_id: &str, iam_id: Option<&str>) -> Result<Vec<ApiKey>> {
    let condition = if iam_id.is_some() { "AND iam_id = $2" } else { "" };
    let sql = format!("SELECT * FROM api_keys WHERE account_id = $1 {condition} ORDER BY created_at, id");
    let mut query = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(account_id.to_owned());
    if let Some(iam_id) = iam_id {
        query = query.bind(iam_id.to_owned());
    }
    query.fetch_all(conn).await?.iter().map(from_row).collect()
}

/// Keeps the value of a key, so that it can be read again; it is sealed.
///
/// # Errors
/// When the database fails.
pub async fn value_set(conn: &mut Conn, sealer: &Sealer, id: &str, value: &SecretString) -> Result<()> {
    let sealed = sealer.seal(Place::new("api_keys", "value", id), value.expose_secret());
    sqlx::query("UPDATE api_keys SET value = $1 WHERE id = $2").bind(sealed).bind(id.to_owned()).execute(conn).await?;
    Ok(())
}

/// The value of an account's key, if it was kept.
///
/// # Errors
/// When the database fails, or what it holds was sealed by somebody else.
pub async fn value_get(conn: &mut Conn, sealer: &Sealer, account_id: &str, id: &str) -> Result<Option<SecretString>> {
    let row = sqlx::query("SELECT value FROM api_keys WHERE account_id = $1 AND id = $2")
        .bind(account_id.to_owned())
        .bind(id.to_owned())
        .fetch_optional(conn)
        .await?;
    let sealed: Option<String> = row.map(|row| row.try_get("value")).transpose()?.flatten();
    let open = |sealed: String| sealer.open(Place::new("api_keys", "value", id), &sealed);
    sealed.map(open).transpose().map_err(|error| Error::EncryptionKey(error.to_string()))
}

/// Writes everything of a key that can change, and counts its revision up.
///
/// # Errors
/// [`Error::Stale`] if the key changed or went away since it was read; else when the database fails.
pub async fn update(conn: &mut Conn, key: &ApiKey) -> Result<()> {
    let done = sqlx::query(
        "UPDATE api_keys SET name = $1, description = $2, disabled = $3, locked = $4, support_sessions = $5, \
         action_when_leaked = $6, expires_at = $7, modified_at = $8, revision = revision + 1 \
         WHERE account_id = $9 AND id = $10 AND revision = $11",
    )
    .bind(key.name.clone())
    .bind(key.description.clone())
    .bind(i64::from(key.disabled))
    .bind(i64::from(key.locked))
    .bind(i64::from(key.support_sessions))
    .bind(key.action_when_leaked.clone())
    .bind(key.expires_at)
    .bind(key.modified_at)
    .bind(key.account_id.clone())
    .bind(key.id.clone())
    .bind(key.revision)
    .execute(conn)
    .await?;
    if done.rows_affected() == 0 { Err(Error::Stale) } else { Ok(()) }
}

/// Removes a key as it was read.
///
/// # Errors
/// [`Error::Stale`] if it changed or went away since; else when the database fails.
pub async fn delete(conn: &mut Conn, key: &ApiKey) -> Result<()> {
    let done = sqlx::query("DELETE FROM api_keys WHERE account_id = $1 AND id = $2 AND revision = $3")
        .bind(key.account_id.clone())
        .bind(key.id.clone())
        .bind(key.revision)
        .execute(conn)
        .await?;
    if done.rows_affected() == 0 { Err(Error::Stale) } else { Ok(()) }
}

/// How many keys an identity has in an account.
///
/// # Errors
/// When the database fails.
pub async fn count(conn: &mut Conn, account_id: &str, iam_id: &str) -> Result<i64> {
    let row = sqlx::query("SELECT COUNT(*) AS n FROM api_keys WHERE account_id = $1 AND iam_id = $2")
        .bind(account_id.to_owned())
        .bind(iam_id.to_owned())
        .fetch_one(conn)
        .await?;
    Ok(row.try_get("n")?)
}
