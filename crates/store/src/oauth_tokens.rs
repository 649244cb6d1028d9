//! Tokens for OpenShift clusters, and the codes that are exchanged for them. Only their digests are stored.

use boatyard_core::Digest;
use sqlx::Row as _;
use sqlx::any::AnyRow;

use crate::{Conn, Result};

/// A token, without the token itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OAuthToken {
    /// `sha256~` and the digest of the token.
    pub name: String,
    pub cluster_id: String,
    pub account_id: String,
    pub iam_id: String,
    pub client_id: String,
    pub redirect_uri: String,
    pub session_id: Option<String>,
    /// The key that a token without a session was issued for.
    pub api_key_id: Option<String>,
    /// Milliseconds since the Unix epoch, as the next one.
    pub created_at: i64,
    pub expires_at: i64,
}

const COLUMNS: &str =
    "name, cluster_id, account_id, iam_id, client_id, redirect_uri, session_id, api_key_id, created_at, expires_at";

fn from_row(row: &AnyRow) -> Result<OAuthToken> {
    Ok(OAuthToken {
        name: row.try_get("name")?,
        cluster_id: row.try_get("cluster_id")?,
        account_id: row.try_get("account_id")?,
        iam_id: row.try_get("iam_id")?,
        client_id: row.try_get("client_id")?,
        redirect_uri: row.try_get("redirect_uri")?,
        session_id: row.try_get("session_id")?,
        api_key_id: row.try_get("api_key_id")?,
        created_at: row.try_get("created_at")?,
        expires_at: row.try_get("expires_at")?,
    })
}

/// Adds a token.
///
/// # Errors
/// When the database fails.
pub async fn insert(conn: &mut Conn, token: &OAuthToken) -> Result<()> {
    let sql = format!("INSERT INTO oauth_tokens ({COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)");
    sqlx::query(sqlx::AssertSqlSafe(sql))
        .bind(token.name.clone())
        .bind(token.cluster_id.clone())
        .bind(token.account_id.clone())
        .bind(token.iam_id.clone())
        .bind(token.client_id.clone())
        .bind(token.redirect_uri.clone())
        .bind(token.session_id.clone())
        .bind(token.api_key_id.clone())
        .bind(token.created_at)
        .bind(token.expires_at)
        .execute(conn)
        .await?;
    Ok(())
}

/// The token of a cluster with that name, be it expired or not.
///
/// # Errors
/// When the database fails.
pub async fn get(conn: &mut Conn, cluster_id: &str, name: &str) -> Result<Option<OAuthToken>> {
    let sql = format!("SELECT {COLUMNS} FROM oauth_tokens WHERE cluster_id = $1 AND name = $2");
    let row =
        sqlx::query(sqlx::AssertSqlSafe(sql)).bind(cluster_id.to_owned()).bind(name.to_owned()).fetch_optional(conn).await?;
    row.as_ref().map(from_row).transpose()
}

/// Tokens of an identity for a cluster that are good after `now_ms`, the oldest first.
///
/// # Errors
/// When the database fails.
pub async fn list(conn: &mut Conn, cluster_id: &str, iam_id: &str, now_ms: i64) -> Result<Vec<OAuthToken>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM oauth_tokens WHERE cluster_id = $1 AND iam_id = $2 AND expires_at > $3 ORDER BY created_at, name"
    );
    let rows = sqlx::query(sqlx::AssertSqlSafe(sql))
        .bind(cluster_id.to_owned())
        .bind(iam_id.to_owned())
        .bind(now_ms)
        .fetch_all(conn)
        .await?;
    rows.iter().map(from_row).collect()
}

/// Takes a token away. Returns whether it was there.
///
/// # Errors
/// When the database fails.
pub async fn delete(conn: &mut Conn, cluster_id: &str, name: &str) -> Result<bool> {
    let done = sqlx::query("DELETE FROM oauth_tokens WHERE cluster_id = $1 AND name = $2")
        .bind(cluster_id.to_owned())
        .bind(name.to_owned())
        .execute(conn)
        .await?;
    Ok(done.rows_affected() > 0)
}

/// A code, without the code itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OAuthCode {
    pub cluster_id: String,
    pub account_id: String,
    pub iam_id: String,
    pub client_id: String,
    pub redirect_uri: String,
    pub challenge: Option<String>,
    /// `plain` or `S256`.
    pub challenge_method: String,
    /// Of the login.
    pub grant_type: String,
    pub api_key_id: Option<String>,
    /// The session that the login came of.
    pub parent_id: Option<String>,
}

/// Adds a code, good until `expires_at` (milliseconds since the Unix epoch).
///
/// # Errors
/// When the database fails.
pub async fn code_insert(conn: &mut Conn, digest: Digest, code: &OAuthCode, expires_at: i64) -> Result<()> {
    sqlx::query(
        "INSERT INTO oauth_codes (digest, cluster_id, account_id, iam_id, client_id, redirect_uri, challenge, challenge_method, \
         grant_type, api_key_id, parent_id, expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
    )
    .bind(digest.hex())
    .bind(code.cluster_id.clone())
    .bind(code.account_id.clone())
    .bind(code.iam_id.clone())
    .bind(code.client_id.clone())
    .bind(code.redirect_uri.clone())
    .bind(code.challenge.clone())
    .bind(code.challenge_method.clone())
    .bind(code.grant_type.clone())
    .bind(code.api_key_id.clone())
    .bind(code.parent_id.clone())
    .bind(expires_at)
    .execute(conn)
    .await?;
    Ok(())
}

/// Uses a code of a cluster up and returns it, if it exists and is good after `now_ms`. Of two that try at the same time only one
/// gets it.
///
/// # Errors
/// When the database fails.
pub async fn code_take(conn: &mut Conn, digest: Digest, cluster_id: &str, now_ms: i64) -> Result<Option<OAuthCode>> {
    let row = sqlx::query(
        "DELETE FROM oauth_codes WHERE digest = $1 AND cluster_id = $2 AND expires_at > $3 RETURNING cluster_id, account_id, \
         iam_id, client_id, redirect_uri, challenge, challenge_method, grant_type, api_key_id, parent_id",
    )
    .bind(digest.hex())
    .bind(cluster_id.to_owned())
    .bind(now_ms)
    .fetch_optional(conn)
    .await?;
    row.map(|row| {
        Ok(OAuthCode {
            cluster_id: row.try_get("cluster_id")?,
            account_id: row.try_get("account_id")?,
            iam_id: row.try_get("iam_id")?,
            client_id: row.try_get("client_id")?,
            redirect_uri: row.try_get("redirect_uri")?,
            challenge: row.try_get("challenge")?,
            challenge_method: row.try_get("challenge_method")?,
            grant_type: row.try_get("grant_type")?,
            api_key_id: row.try_get("api_key_id")?,
            parent_id: row.try_get("parent_id")?,
        })
    })
    .transpose()
}

/// Deletes tokens and codes that expired before `now_ms`, and returns how many of both there were.
///
/// # Errors
/// When the database fails.
pub async fn expired_delete(conn: &mut Conn, now_ms: i64) -> Result<u64> {
    let tokens = sqlx::query("DELETE FROM oauth_tokens WHERE expires_at < $1").bind(now_ms).execute(&mut *conn).await?;
    let codes = sqlx::query("DELETE FROM oauth_codes WHERE expires_at < $1").bind(now_ms).execute(conn).await?;
    Ok(tokens.rows_affected() + codes.rows_affected())
}
