//! Resource groups: where the clusters of an account are filed.

use sqlx::Row as _;

use crate::{Conn, Result};

/// A resource group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResourceGroup {
    /// 32 hexadecimal digits.
    pub id: String,
    pub account_id: String,
    pub name: String,
    /// Whether it is the one for everything that names none; each account has one such group.
    pub is_default: bool,
}

/// Adds a resource group.
///
/// # Errors
/// [`crate::Error::Duplicate`] if the account has one of that name; else when the database fails.
pub async fn insert(conn: &mut Conn, group: &ResourceGroup) -> Result<()> {
    sqlx::query("INSERT INTO resource_groups (id, account_id, name, is_default) VALUES ($1, $2, $3, $4)")
        .bind(group.id.clone())
        .bind(group.account_id.clone())
        .bind(group.name.clone())
        .bind(i64::from(group.is_default))
        .execute(conn)
        .await?;
    Ok(())
}

/// The resource groups of an account, by name.
///
/// # Errors
/// When the database fails.
pub async fn list(conn: &mut Conn, account_id: &str) -> Result<Vec<ResourceGroup>> {
    let rows = sqlx::query("SELECT id, account_id, name, is_default FROM resource_groups WHERE account_id = $1 ORDER BY name")
        .bind(account_id.to_owned())
        .fetch_all(conn)
        .await?;
    rows.iter()
        .map(|row| {
            Ok(ResourceGroup {
                id: row.try_get("id")?,
                account_id: row.try_get("account_id")?,
                name: row.try_get("name")?,
                is_default: row.try_get::<i64, _>("is_default")? != 0,
            })
        })
        .collect()
}

/// Whether any account has a resource group of that ID.
///
/// # Errors
/// When the database fails.
pub async fn id_taken(conn: &mut Conn, id: &str) -> Result<bool> {
    let row = sqlx::query("SELECT id FROM resource_groups WHERE id = $1").bind(id.to_owned()).fetch_optional(conn).await?;
    Ok(row.is_some())
}
