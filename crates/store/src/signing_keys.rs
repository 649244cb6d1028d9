//! The keys that tokens are signed with.

use std::fmt;

use sqlx::Row as _;

use crate::{Conn, Result};

/// A signing key.
#[derive(Clone)]
pub struct SigningKey {
    pub kid: String,
    /// Base64 of the PKCS #8 document.
    pub pkcs8: String,
    /// Milliseconds since the Unix epoch.
    pub created_at: i64,
    /// Whether it signs; the others only verify.
    pub signs: bool,
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey").field("kid", &self.kid).field("signs", &self.signs).finish_non_exhaustive()
    }
}

/// All keys, the newest first.
///
/// # Errors
/// When the database fails.
pub async fn list(conn: &mut Conn) -> Result<Vec<SigningKey>> {
    let rows = sqlx::query("SELECT kid, pkcs8, created_at, signs FROM signing_keys ORDER BY created_at DESC, kid DESC")
        .fetch_all(conn)
        .await?;
    rows.iter()
        .map(|row| {
            Ok(SigningKey {
                kid: row.try_get("kid")?,
                pkcs8: row.try_get("pkcs8")?,
                created_at: row.try_get("created_at")?,
                signs: row.try_get::<i64, _>("signs")? != 0,
            })
        })
        .collect()
}

/// Adds a key that signs from now on; the others only verify.
///
/// # Errors
/// [`crate::Error::Duplicate`] if the `kid` is taken; else when the database fails.
pub async fn insert_signing(conn: &mut Conn, kid: &str, pkcs8: &str, now_ms: i64) -> Result<()> {
    sqlx::query("UPDATE signing_keys SET signs = 0 WHERE signs <> 0").execute(&mut *conn).await?;
    sqlx::query("INSERT INTO signing_keys (kid, pkcs8, created_at, signs) VALUES ($1, $2, $3, 1)")
        .bind(kid.to_owned())
        .bind(pkcs8.to_owned())
        .bind(now_ms)
        .execute(conn)
        .await?;
    Ok(())
}
