//! API keys. Only their digests are stored.

use boatyard_core::Digest;
use sqlx::Row as _;

use crate::users::{self, User};
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
    /// Milliseconds since the Unix epoch.
    pub created_at: i64,
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
    rows.iter()
        .map(|row| {
            let key = ApiKey {
                id: row.try_get("id")?,
                account_id: row.try_get("account_id")?,
                iam_id: row.try_get("iam_id")?,
                name: row.try_get("name")?,
                description: row.try_get("description")?,
                disabled: row.try_get::<i64, _>("disabled")? != 0,
                created_at: row.try_get("created_at")?,
            };
            Ok(StoredKey { key, digest: row.try_get("digest")? })
        })
        .collect()
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
        "INSERT INTO api_keys (id, account_id, iam_id, name, description, digest, disabled, created_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
    )
    .bind(key.id.clone())
    .bind(key.account_id.clone())
    .bind(key.iam_id.clone())
    .bind(key.name.clone())
    .bind(key.description.clone())
    .bind(digest.clone())
    .bind(i64::from(key.disabled))
    .bind(key.created_at)
    .execute(conn)
    .await?;
    Ok(())
}

/// The key that has this digest, and its user. Whoever knows the key may see it, so no account is asked for.
///
/// # Errors
/// When the database fails.
pub async fn by_digest(conn: &mut Conn, digest: Digest) -> Result<Option<(ApiKey, User)>> {
    let row = sqlx::query(sqlx::AssertSqlSafe(format!(
        "SELECT k.id, k.account_id, k.name, k.description, k.disabled, k.created_at, {} \
         FROM api_keys k JOIN users u ON u.iam_id = k.iam_id WHERE k.digest = $1",
        users::COLUMNS
    )))
    .bind(digest.hex())
    .fetch_optional(conn)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let user = users::from_row(&row)?;
    let key = ApiKey {
        id: row.try_get("id")?,
        account_id: row.try_get("account_id")?,
        iam_id: user.iam_id.clone(),
        name: row.try_get("name")?,
        description: row.try_get("description")?,
        disabled: row.try_get::<i64, _>("disabled")? != 0,
        created_at: row.try_get("created_at")?,
    };
    Ok(Some((key, user)))
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
