//! Roles that an account made for itself: a name for a list of actions of one service.

use sqlx::Row as _;
use sqlx::any::AnyRow;

use crate::{Conn, Error, Result};

/// A custom role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CustomRole {
    /// A UUID.
    pub id: String,
    pub account_id: String,
    /// As in its CRN.
    pub name: String,
    pub service_name: String,
    pub display_name: String,
    pub description: String,
    /// Such as `containers-kubernetes.cluster.read`.
    pub actions: Vec<String>,
    /// Milliseconds since the Unix epoch.
    pub created_at: i64,
    pub created_by: String,
    /// Milliseconds since the Unix epoch.
    pub modified_at: i64,
    pub modified_by: String,
    /// Counts the changes, from 1.
    pub revision: i64,
}

fn role(row: &AnyRow) -> Result<CustomRole> {
    Ok(CustomRole {
        id: row.try_get("id")?,
        account_id: row.try_get("account_id")?,
        name: row.try_get("name")?,
        service_name: row.try_get("service_name")?,
        display_name: row.try_get("display_name")?,
        description: row.try_get("description")?,
        actions: serde_json::from_str(&row.try_get::<String, _>("actions")?)?,
        created_at: row.try_get("created_at")?,
        created_by: row.try_get("created_by")?,
        modified_at: row.try_get("modified_at")?,
        modified_by: row.try_get("modified_by")?,
        revision: row.try_get("revision")?,
    })
}

/// Adds a custom role.
///
/// # Errors
/// [`Error::Duplicate`] if the account has one of that name for the service; else when the database fails.
pub async fn insert(conn: &mut Conn, role: &CustomRole) -> Result<()> {
    sqlx::query(
        "INSERT INTO custom_roles (id, account_id, name, service_name, display_name, description, actions, created_at, created_by, \
         modified_at, modified_by, revision) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
    )
    .bind(role.id.clone())
    .bind(role.account_id.clone())
    .bind(role.name.clone())
    .bind(role.service_name.clone())
    .bind(role.display_name.clone())
    .bind(role.description.clone())
    .bind(serde_json::to_string(&role.actions)?)
    .bind(role.created_at)
    .bind(role.created_by.clone())
    .bind(role.modified_at)
    .bind(role.modified_by.clone())
    .bind(role.revision)
    .execute(conn)
    .await?;
    Ok(())
}

/// A custom role of an account.
///
/// # Errors
/// When the database fails.
pub async fn get(conn: &mut Conn, account_id: &str, id: &str) -> Result<Option<CustomRole>> {
    let row = sqlx::query("SELECT * FROM custom_roles WHERE account_id = $1 AND id = $2")
        .bind(account_id.to_owned())
        .bind(id.to_owned())
        .fetch_optional(conn)
        .await?;
    row.as_ref().map(role).transpose()
}

/// The custom roles of an account, by name.
///
/// # Errors
/// When the database fails.
pub async fn list(conn: &mut Conn, account_id: &str) -> Result<Vec<CustomRole>> {
    let rows = sqlx::query("SELECT * FROM custom_roles WHERE account_id = $1 ORDER BY name, id")
        .bind(account_id.to_owned())
        .fetch_all(conn)
        .await?;
    rows.iter().map(role).collect()
}

/// Replaces what can change of a role whose revision was one less than it is now.
///
/// # Errors
/// [`Error::Stale`] if somebody else changed it since; else when the database fails.
pub async fn update(conn: &mut Conn, role: &CustomRole) -> Result<()> {
    let done = sqlx::query(
        "UPDATE custom_roles SET display_name = $1, description = $2, actions = $3, modified_at = $4, modified_by = $5, revision = $6 \
         WHERE account_id = $7 AND id = $8 AND revision = $9",
    )
    .bind(role.display_name.clone())
    .bind(role.description.clone())
    .bind(serde_json::to_string(&role.actions)?)
    .bind(role.modified_at)
    .bind(role.modified_by.clone())
    .bind(role.revision)
    .bind(role.account_id.clone())
    .bind(role.id.clone())
    .bind(role.revision - 1)
    .execute(conn)
    .await?;
    if done.rows_affected() == 0 { Err(Error::Stale) } else { Ok(()) }
}

/// Removes a custom role.
///
/// # Errors
/// When the database fails.
pub async fn delete(conn: &mut Conn, account_id: &str, id: &str) -> Result<()> {
    sqlx::query("DELETE FROM custom_roles WHERE account_id = $1 AND id = $2")
        .bind(account_id.to_owned())
        .bind(id.to_owned())
        .execute(conn)
        .await?;
    Ok(())
}
