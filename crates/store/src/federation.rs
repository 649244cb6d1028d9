//! Users of an identity provider, and browsers that were sent to it.

use boatyard_core::Digest;
use sqlx::Row as _;
use sqlx::any::AnyRow;

use crate::{Conn, Result};

/// Whom a user of an identity provider is here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FederatedIdentity {
    pub issuer: String,
    /// The provider's own name of the user, which never changes.
    pub subject: String,
    pub iam_id: String,
    /// What the provider said of the user at the last login: a JSON object.
    pub claims: serde_json::Value,
    /// Milliseconds since the Unix epoch.
    pub created_at: i64,
    /// Milliseconds since the Unix epoch.
    pub logged_in_at: i64,
}

const COLUMNS: &str = "issuer, subject, iam_id, claims, created_at, logged_in_at";

fn from_row(row: &AnyRow) -> Result<FederatedIdentity> {
    Ok(FederatedIdentity {
        issuer: row.try_get("issuer")?,
        subject: row.try_get("subject")?,
        iam_id: row.try_get("iam_id")?,
        claims: serde_json::from_str(&row.try_get::<String, _>("claims")?)?,
        created_at: row.try_get("created_at")?,
        logged_in_at: row.try_get("logged_in_at")?,
    })
}

/// The identity that a provider knows under this name.
///
/// # Errors
/// When the database fails.
pub async fn get(conn: &mut Conn, issuer: &str, subject: &str) -> Result<Option<FederatedIdentity>> {
    let sql = format!("SELECT {COLUMNS} FROM federated_identities WHERE issuer = $1 AND subject = $2");
    let row =
        sqlx::query(sqlx::AssertSqlSafe(sql)).bind(issuer.to_owned()).bind(subject.to_owned()).fetch_optional(conn).await?;
    row.as_ref().map(from_row).transpose()
}

/// The identity of a user, who has at most one.
///
/// # Errors
/// When the database fails.
pub async fn of_user(conn: &mut Conn, iam_id: &str) -> Result<Option<FederatedIdentity>> {
    let sql = format!("SELECT {COLUMNS} FROM federated_identities WHERE iam_id = $1");
    let row = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(iam_id.to_owned()).fetch_optional(conn).await?;
    row.as_ref().map(from_row).transpose()
}

/// Adds the identity of a user.
///
/// # Errors
/// [`crate::Error::Duplicate`] if the identity is known or the user has one; else when the database fails.
pub async fn insert(conn: &mut Conn, identity: &FederatedIdentity) -> Result<()> {
    sqlx::query(
        "INSERT INTO federated_identities (issuer, subject, iam_id, claims, created_at, logged_in_at) \
         VALUES ($1, $2, $3, $4, $5, $6)",
    )
    .bind(identity.issuer.clone())
    .bind(identity.subject.clone())
    .bind(identity.iam_id.clone())
    .bind(identity.claims.to_string())
    .bind(identity.created_at)
    .bind(identity.logged_in_at)
    .execute(conn)
    .await?;
    Ok(())
}

/// Notes a login of a user at `now_ms`, and what the provider said of the user.
///
/// # Errors
/// When the database fails.
pub async fn logged_in(conn: &mut Conn, iam_id: &str, claims: &serde_json::Value, now_ms: i64) -> Result<()> {
    sqlx::query("UPDATE federated_identities SET claims = $1, logged_in_at = $2 WHERE iam_id = $3")
        .bind(claims.to_string())
        .bind(now_ms)
        .bind(iam_id.to_owned())
        .execute(conn)
        .await?;
    Ok(())
}

/// Adds a browser that is sent to the provider and expected back until `expires_at`.
///
/// # Errors
/// When the database fails.
pub async fn redirect_insert(conn: &mut Conn, state: Digest, browser: Digest, expires_at: i64) -> Result<()> {
    sqlx::query("INSERT INTO pending_redirects (digest, browser, expires_at) VALUES ($1, $2, $3)")
        .bind(state.hex())
        .bind(browser.hex())
        .bind(expires_at)
        .execute(conn)
        .await?;
    Ok(())
}

/// How many browsers are expected back after `now_ms`.
///
/// # Errors
/// When the database fails.
pub async fn redirects_pending(conn: &mut Conn, now_ms: i64) -> Result<i64> {
    let sql = "SELECT COUNT(*) AS pending FROM pending_redirects WHERE expires_at > $1";
    Ok(sqlx::query(sql).bind(now_ms).fetch_one(conn).await?.try_get("pending")?)
}

/// Takes a browser back: whether it was expected after `now_ms`. Of two that try at the same time only one is.
///
/// # Errors
/// When the database fails.
pub async fn redirect_take(conn: &mut Conn, state: Digest, browser: Digest, now_ms: i64) -> Result<bool> {
    let done = sqlx::query("DELETE FROM pending_redirects WHERE digest = $1 AND browser = $2 AND expires_at > $3")
        .bind(state.hex())
        .bind(browser.hex())
        .bind(now_ms)
        .execute(conn)
        .await?;
    Ok(done.rows_affected() == 1)
}

/// Forgets browsers that were expected until before `now_ms`.
///
/// # Errors
/// When the database fails.
pub async fn redirects_expired_delete(conn: &mut Conn, now_ms: i64) -> Result<()> {
    sqlx::query("DELETE FROM pending_redirects WHERE expires_at <= $1").bind(now_ms).execute(conn).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Domain, Store};

    #[tokio::test]
    async fn only_browsers_that_may_still_come_back_are_pending() {
        let dir = tempfile::tempdir().unwrap();
        let mut tx = Store::sqlite(dir.path()).await.unwrap().write(Domain::Sessions).await.unwrap();
        let digest = Digest::of;
        for (state, until) in [("late", 1), ("expected", 2), ("back", 3)] {
            redirect_insert(&mut tx, digest(state), digest("browser"), until).await.unwrap();
        }
        assert_eq!(redirects_pending(&mut tx, 1).await.unwrap(), 2);
        assert!(redirect_take(&mut tx, digest("back"), digest("browser"), 1).await.unwrap());
        assert_eq!(redirects_pending(&mut tx, 1).await.unwrap(), 1);
    }
}
