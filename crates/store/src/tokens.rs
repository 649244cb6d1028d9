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
    /// When another one was first issued for it, in milliseconds since the Unix epoch.
    pub used_at: Option<i64>,
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
        "SELECT kind, iam_id, account_id, client_id, session_id, grant_type, issued_at, expires_at, used_at \
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
        used_at: row.try_get("used_at")?,
    }))
}

/// Notes that another token was issued for one, unless that was noted before.
///
/// # Errors
/// When the database fails.
pub async fn refresh_use(conn: &mut Conn, digest: Digest, now_ms: i64) -> Result<()> {
    sqlx::query("UPDATE refresh_tokens SET used_at = $1 WHERE digest = $2 AND used_at IS NULL")
        .bind(now_ms)
        .bind(digest.hex())
        .execute(conn)
        .await?;
    Ok(())
}

/// A passcode, without the code itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passcode {
    pub iam_id: String,
    /// The only account that it leads to; `None`: any that the user belongs to.
    pub account_id: Option<String>,
    /// The key with which the login began that asked for it.
    pub api_key_id: Option<String>,
    /// The session of that login, without which the passcode is worth nothing; `None` if it was one with a browser.
    pub session_id: Option<String>,
}

/// Adds a passcode, good until `expires_at` (milliseconds since the Unix epoch).
///
/// # Errors
/// When the database fails.
pub async fn passcode_insert(conn: &mut Conn, digest: Digest, passcode: &Passcode, expires_at: i64) -> Result<()> {
    sqlx::query("INSERT INTO passcodes (digest, iam_id, account_id, api_key_id, session_id, expires_at) VALUES ($1, $2, $3, $4, $5, $6)")
        .bind(digest.hex())
        .bind(passcode.iam_id.clone())
        .bind(passcode.account_id.clone())
        .bind(passcode.api_key_id.clone())
        .bind(passcode.session_id.clone())
        .bind(expires_at)
        .execute(conn)
        .await?;
    Ok(())
}

/// The passcode that has this digest, if it is good after `now_ms`. Whoever knows it may see it.
///
/// # Errors
/// When the database fails.
pub async fn passcode_get(conn: &mut Conn, digest: Digest, now_ms: i64) -> Result<Option<Passcode>> {
    let sql = "SELECT iam_id, account_id, api_key_id, session_id FROM passcodes WHERE digest = $1 AND expires_at > $2";
    let row = sqlx::query(sql).bind(digest.hex()).bind(now_ms).fetch_optional(conn).await?;
    row.map(|row| {
        Ok(Passcode {
            iam_id: row.try_get("iam_id")?,
            account_id: row.try_get("account_id")?,
            api_key_id: row.try_get("api_key_id")?,
            session_id: row.try_get("session_id")?,
        })
    })
    .transpose()
}

/// Uses a passcode up, and returns whether it was good after `now_ms`. Of two that try at the same time only one gets it.
///
/// # Errors
/// When the database fails.
pub async fn passcode_take(conn: &mut Conn, digest: Digest, now_ms: i64) -> Result<bool> {
    let sql = "DELETE FROM passcodes WHERE digest = $1 AND expires_at > $2";
    let done = sqlx::query(sql).bind(digest.hex()).bind(now_ms).execute(conn).await?;
    Ok(done.rows_affected() > 0)
}

/// Deletes the passcodes of a user that are not used yet.
///
/// # Errors
/// When the database fails.
pub async fn passcodes_delete(conn: &mut Conn, iam_id: &str) -> Result<()> {
    sqlx::query("DELETE FROM passcodes WHERE iam_id = $1").bind(iam_id.to_owned()).execute(conn).await?;
    Ok(())
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
