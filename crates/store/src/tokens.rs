//! Refresh tokens and passcodes. Only their digests are stored.

use boatyard_core::Digest;
use sqlx::Row as _;

use crate::{Conn, Result};

/// What a refresh token is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// For the client it was issued to.
    Refresh,
    /// For other clients, who exchange it for a refresh token of their own.
    Delegated,
}

impl Kind {
    fn as_str(self) -> &'static str {
        match self {
            Kind::Refresh => "refresh",
            Kind::Delegated => "delegated",
        }
    }
}

/// A refresh token, without the token itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefreshToken {
    pub kind: Kind,
    pub iam_id: String,
    /// `None`: not scoped to an account.
    pub account_id: Option<String>,
    /// The client that may use it; several, separated by commas, for a delegated one.
    pub client_id: String,
    /// `C-` and a UUID.
    pub session_id: String,
    /// Of the login at the start of the session.
    pub grant_type: String,
    /// Milliseconds since the Unix epoch.
    pub issued_at: i64,
    /// Milliseconds since the Unix epoch.
    pub expires_at: i64,
}

/// Adds a refresh token.
///
/// # Errors
/// When the database fails.
pub async fn refresh_insert(conn: &mut Conn, digest: Digest, token: &RefreshToken) -> Result<()> {
    sqlx::query(
        "INSERT INTO refresh_tokens (digest, kind, iam_id, account_id, client_id, session_id, grant_type, issued_at, expires_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
    )
    .bind(digest.hex())
    .bind(token.kind.as_str().to_owned())
    .bind(token.iam_id.clone())
    .bind(token.account_id.clone())
    .bind(token.client_id.clone())
    .bind(token.session_id.clone())
    .bind(token.grant_type.clone())
    .bind(token.issued_at)
    .bind(token.expires_at)
    .execute(conn)
    .await?;
    Ok(())
}

/// The refresh token that has this digest, be it expired or not. Whoever knows the token may see it.
///
/// # Errors
/// When the database fails.
pub async fn refresh_get(conn: &mut Conn, digest: Digest) -> Result<Option<RefreshToken>> {
    let row = sqlx::query(
        "SELECT kind, iam_id, account_id, client_id, session_id, grant_type, issued_at, expires_at \
         FROM refresh_tokens WHERE digest = $1",
    )
    .bind(digest.hex())
    .fetch_optional(conn)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let kind = if row.try_get::<String, _>("kind")? == Kind::Delegated.as_str() { Kind::Delegated } else { Kind::Refresh };
    Ok(Some(RefreshToken {
        kind,
        iam_id: row.try_get("iam_id")?,
        account_id: row.try_get("account_id")?,
        client_id: row.try_get("client_id")?,
        session_id: row.try_get("session_id")?,
        grant_type: row.try_get("grant_type")?,
        issued_at: row.try_get("issued_at")?,
        expires_at: row.try_get("expires_at")?,
    }))
}

/// Ends a session: deletes its refresh tokens of either kind and returns how many there were.
///
/// # Errors
/// When the database fails.
pub async fn session_delete(conn: &mut Conn, session_id: &str) -> Result<u64> {
    let done =
        sqlx::query("DELETE FROM refresh_tokens WHERE session_id = $1").bind(session_id.to_owned()).execute(conn).await?;
    Ok(done.rows_affected())
}

/// Adds a passcode of a user, good until `expires_at` (milliseconds since the Unix epoch).
///
/// # Errors
/// When the database fails.
pub async fn passcode_insert(conn: &mut Conn, digest: Digest, iam_id: &str, expires_at: i64) -> Result<()> {
    sqlx::query("INSERT INTO passcodes (digest, iam_id, expires_at) VALUES ($1, $2, $3)")
        .bind(digest.hex())
        .bind(iam_id.to_owned())
        .bind(expires_at)
        .execute(conn)
        .await?;
    Ok(())
}

/// Uses a passcode up and returns its user's IAM ID, if it exists and is good after `now_ms`. Of two that try at the same
/// time only one gets it.
///
/// # Errors
/// When the database fails.
pub async fn passcode_take(conn: &mut Conn, digest: Digest, now_ms: i64) -> Result<Option<String>> {
    let row = sqlx::query("DELETE FROM passcodes WHERE digest = $1 AND expires_at > $2 RETURNING iam_id")
        .bind(digest.hex())
        .bind(now_ms)
        .fetch_optional(conn)
        .await?;
    Ok(row.map(|row| row.try_get("iam_id")).transpose()?)
}

/// Deletes refresh tokens that expired before `refresh_before` and passcodes that expired before `passcodes_before`
/// (milliseconds since the Unix epoch), and returns how many of both there were.
///
/// # Errors
/// When the database fails.
pub async fn expired_delete(conn: &mut Conn, refresh_before: i64, passcodes_before: i64) -> Result<u64> {
    let tokens =
        sqlx::query("DELETE FROM refresh_tokens WHERE expires_at < $1").bind(refresh_before).execute(&mut *conn).await?;
    let passcodes = sqlx::query("DELETE FROM passcodes WHERE expires_at < $1").bind(passcodes_before).execute(conn).await?;
    Ok(tokens.rows_affected() + passcodes.rows_affected())
}
