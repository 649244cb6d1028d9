//! Logins on the login page. Only the digests of their cookies are stored.

use boatyard_core::Digest;
use sqlx::Row as _;

use crate::{Conn, Result, users};

/// A login, and whose it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrowserSession {
    pub user: users::User,
    /// Milliseconds since the Unix epoch.
    pub used_at: i64,
}

/// Adds a login of a user, made at `now_ms` (milliseconds since the Unix epoch).
///
/// # Errors
/// When the database fails.
pub async fn insert(conn: &mut Conn, digest: Digest, iam_id: &str, now_ms: i64) -> Result<()> {
    sqlx::query("INSERT INTO browser_sessions (digest, iam_id, created_at, used_at) VALUES ($1, $2, $3, $4)")
        .bind(digest.hex())
        .bind(iam_id.to_owned())
        .bind(now_ms)
        .bind(now_ms)
        .execute(conn)
        .await?;
    Ok(())
}

/// The login of a cookie, if it was made after `created_after` and used after `used_after`.
///
/// # Errors
/// When the database fails.
pub async fn get(conn: &mut Conn, digest: Digest, created_after: i64, used_after: i64) -> Result<Option<BrowserSession>> {
    let sql = format!(
        "SELECT s.used_at, {} FROM browser_sessions s JOIN users u ON u.iam_id = s.iam_id \
         WHERE s.digest = $1 AND s.created_at > $2 AND s.used_at > $3",
        users::COLUMNS
    );
    let row = sqlx::query(sqlx::AssertSqlSafe(sql))
        .bind(digest.hex())
        .bind(created_after)
        .bind(used_after)
        .fetch_optional(conn)
        .await?;
    row.map(|row| Ok(BrowserSession { user: users::from_row(&row)?, used_at: row.try_get("used_at")? })).transpose()
}

/// Notes that a login was used at `now_ms`.
///
/// # Errors
/// When the database fails.
pub async fn touch(conn: &mut Conn, digest: Digest, now_ms: i64) -> Result<()> {
    sqlx::query("UPDATE browser_sessions SET used_at = $1 WHERE digest = $2")
        .bind(now_ms)
        .bind(digest.hex())
        .execute(conn)
        .await?;
    Ok(())
}

/// Ends a login.
///
/// # Errors
/// When the database fails.
pub async fn delete(conn: &mut Conn, digest: Digest) -> Result<()> {
    sqlx::query("DELETE FROM browser_sessions WHERE digest = $1").bind(digest.hex()).execute(conn).await?;
    Ok(())
}

/// Ends all logins of a user and returns how many there were.
///
/// # Errors
/// When the database fails.
pub async fn delete_of_user(conn: &mut Conn, iam_id: &str) -> Result<u64> {
    let done = sqlx::query("DELETE FROM browser_sessions WHERE iam_id = $1").bind(iam_id.to_owned()).execute(conn).await?;
    Ok(done.rows_affected())
}

/// Forgets logins that were made before `created_before` or last used before `used_before`.
///
/// # Errors
/// When the database fails.
pub async fn ended_delete(conn: &mut Conn, created_before: i64, used_before: i64) -> Result<()> {
    sqlx::query("DELETE FROM browser_sessions WHERE created_at <= $1 OR used_at <= $2")
        .bind(created_before)
        .bind(used_before)
        .execute(conn)
        .await?;
    Ok(())
}
