//! What an account keeps for ordering infrastructure, by region: classic credentials, and who owns the API key.

use sqlx::Row as _;

use crate::{Conn, Result};

/// Who owns the API key that the service works with for the clusters of a region and resource group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyOwner {
    pub key_id: String,
    pub name: String,
    pub email: String,
}

/// Sets the classic credentials of a region. Of the key only its digest is kept.
///
/// # Errors
/// When the database fails.
pub async fn credentials_set(conn: &mut Conn, account_id: &str, region: &str, username: &str, digest: &str) -> Result<()> {
    sqlx::query(
        "INSERT INTO infrastructure_credentials (account_id, region, username, digest) VALUES ($1, $2, $3, $4) \
         ON CONFLICT (account_id, region) DO UPDATE SET username = excluded.username, digest = excluded.digest",
    )
    .bind(account_id.to_owned())
    .bind(region.to_owned())
    .bind(username.to_owned())
    .bind(digest.to_owned())
    .execute(conn)
    .await?;
    Ok(())
}

/// The user name of the classic credentials of a region.
///
/// # Errors
/// When the database fails.
pub async fn credentials_username(conn: &mut Conn, account_id: &str, region: &str) -> Result<Option<String>> {
    let row = sqlx::query("SELECT username FROM infrastructure_credentials WHERE account_id = $1 AND region = $2")
        .bind(account_id.to_owned())
        .bind(region.to_owned())
        .fetch_optional(conn)
        .await?;
    Ok(row.map(|row| row.try_get("username")).transpose()?)
}

/// Removes the classic credentials of a region; tells whether there were any.
///
/// # Errors
/// When the database fails.
pub async fn credentials_delete(conn: &mut Conn, account_id: &str, region: &str) -> Result<bool> {
    let done = sqlx::query("DELETE FROM infrastructure_credentials WHERE account_id = $1 AND region = $2")
        .bind(account_id.to_owned())
        .bind(region.to_owned())
        .execute(conn)
        .await?;
    Ok(done.rows_affected() > 0)
}

/// # Errors
/// When the database fails.
pub async fn key_owner_set(conn: &mut Conn, account_id: &str, region: &str, group_id: &str, owner: &KeyOwner) -> Result<()> {
    sqlx::query(
        "INSERT INTO cluster_key_owners (account_id, region, resource_group_id, key_id, name, email) \
         VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (account_id, region, resource_group_id) \
         DO UPDATE SET key_id = excluded.key_id, name = excluded.name, email = excluded.email",
    )
    .bind(account_id.to_owned())
    .bind(region.to_owned())
    .bind(group_id.to_owned())
    .bind(owner.key_id.clone())
    .bind(owner.name.clone())
    .bind(owner.email.clone())
    .execute(conn)
    .await?;
    Ok(())
}

/// Who reset the key of a region and resource group last.
///
/// # Errors
/// When the database fails.
pub async fn key_owner(conn: &mut Conn, account_id: &str, region: &str, group_id: &str) -> Result<Option<KeyOwner>> {
    let row = sqlx::query(
        "SELECT key_id, name, email FROM cluster_key_owners \
         WHERE account_id = $1 AND region = $2 AND resource_group_id = $3",
    )
    .bind(account_id.to_owned())
    .bind(region.to_owned())
    .bind(group_id.to_owned())
    .fetch_optional(conn)
    .await?;
    row.map(|row| Ok(KeyOwner { key_id: row.try_get("key_id")?, name: row.try_get("name")?, email: row.try_get("email")? }))
        .transpose()
}
