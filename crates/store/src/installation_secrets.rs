//! Secrets that an installation makes once and keeps, the same for all its replicas. They are sealed.

use boatyard_core::seal::{Place, Sealer};
use boatyard_core::secret::{ExposeSecret as _, SecretString};
use sqlx::Row as _;

use crate::sealing::unopened;
use crate::{Conn, Result};

/// The secret of that name, which is `made` if there is none yet. Whoever is first decides.
///
/// # Errors
/// [`crate::Error::EncryptionKey`] if it cannot be opened; else when the database fails.
pub async fn ensure(conn: &mut Conn, sealer: &Sealer, name: &str, made: &SecretString) -> Result<SecretString> {
    let place = Place::new("installation_secrets", "value", name);
    sqlx::query("INSERT INTO installation_secrets (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING")
        .bind(name.to_owned())
        .bind(sealer.seal(place, made.expose_secret()))
        .execute(&mut *conn)
        .await?;
    let row =
        sqlx::query("SELECT value FROM installation_secrets WHERE name = $1").bind(name.to_owned()).fetch_one(conn).await?;
    let sealed: String = row.try_get("value")?;
    sealer.open(place, &sealed).map_err(|error| unopened(sealer, "installation_secrets", error))
}
