//! The keys that tokens are signed with. The private parts are sealed.

use std::fmt;

use boatyard_core::seal::{Place, Sealer};
use boatyard_core::secret::{ExposeSecret as _, SecretString};
use sqlx::Row as _;

use crate::sealing::unopened;
use crate::{Conn, Result};

/// A signing key.
#[derive(Clone)]
pub struct SigningKey {
    pub kid: String,
    /// Base64 of the PKCS #8 document.
    pub pkcs8: SecretString,
    /// Milliseconds since the Unix epoch.
    pub created_at: i64,
    /// When it stopped signing, in milliseconds since the Unix epoch; from then on it only verifies. `None` while it signs.
    pub retired_at: Option<i64>,
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey").field("kid", &self.kid).field("retired_at", &self.retired_at).finish_non_exhaustive()
    }
}

/// All keys, the newest first.
///
/// # Errors
/// [`crate::Error::EncryptionKey`] if one cannot be opened; else when the database fails.
pub async fn list(conn: &mut Conn, sealer: &Sealer) -> Result<Vec<SigningKey>> {
    let rows = sqlx::query("SELECT kid, pkcs8, created_at, retired_at FROM signing_keys ORDER BY created_at DESC, kid DESC")
        .fetch_all(conn)
        .await?;
    rows.iter()
        .map(|row| {
            let kid: String = row.try_get("kid")?;
            let pkcs8 = sealer.open(place(&kid), &row.try_get::<String, _>("pkcs8")?);
            let pkcs8 = pkcs8.map_err(|error| unopened(sealer, "signing_keys", error))?;
            Ok(SigningKey { pkcs8, created_at: row.try_get("created_at")?, retired_at: row.try_get("retired_at")?, kid })
        })
        .collect()
}

/// Adds a key that signs from now on; the others only verify.
///
/// # Errors
/// [`crate::Error::Duplicate`] if the `kid` is taken; else when the database fails.
pub async fn insert_signing(conn: &mut Conn, sealer: &Sealer, kid: &str, pkcs8: &SecretString, now_ms: i64) -> Result<()> {
    sqlx::query("UPDATE signing_keys SET signs = 0, retired_at = $1 WHERE signs <> 0").bind(now_ms).execute(&mut *conn).await?;
    sqlx::query("INSERT INTO signing_keys (kid, pkcs8, created_at, signs) VALUES ($1, $2, $3, 1)")
        .bind(kid.to_owned())
        .bind(sealer.seal(place(kid), pkcs8.expose_secret()))
        .bind(now_ms)
        .execute(conn)
        .await?;
    Ok(())
}

/// Forgets the keys that stopped signing at `before_ms` or earlier.
///
/// # Errors
/// When the database fails.
pub async fn retired_delete(conn: &mut Conn, before_ms: i64) -> Result<()> {
    sqlx::query("DELETE FROM signing_keys WHERE signs = 0 AND retired_at <= $1").bind(before_ms).execute(conn).await?;
    Ok(())
}

fn place(kid: &str) -> Place<'_> {
    Place::new("signing_keys", "pkcs8", kid)
}
