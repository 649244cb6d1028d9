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
    /// Milliseconds since the Unix epoch; 0 for a group that is older than this column.
    pub created_at: i64,
    /// Milliseconds since the Unix epoch.
    pub updated_at: i64,
}

/// Adds a resource group.
///
/// # Errors
/// [`crate::Error::Duplicate`] if the account has one of that name; else when the database fails.
pub async fn insert(conn: &mut Conn, group: &ResourceGroup) -> Result<()> {
    let sql = "INSERT INTO resource_groups (id, account_id, name, is_default, created_at, updated_at) \
               VALUES ($1, $2, $3, $4, $5, $6)";
    sqlx::query(sql)
        .bind(group.id.clone())
        .bind(group.account_id.clone())
        .bind(group.name.clone())
        .bind(i64::from(group.is_default))
        .bind(group.created_at)
        .bind(group.updated_at)
        .execute(conn)
        .await?;
    Ok(())
}

/// The resource groups of an account, by name.
///
/// # Errors
/// When the database fails.
pub async fn list(conn: &mut Conn, account_id: &str) -> Result<Vec<ResourceGroup>> {
    let sql = "SELECT id, account_id, name, is_default, created_at, updated_at FROM resource_groups \
               WHERE account_id = $1 ORDER BY name";
    let rows = sqlx::query(sql).bind(account_id.to_owned()).fetch_all(conn).await?;
    rows.iter()
        .map(|row| {
            Ok(ResourceGroup {
                id: row.try_get("id")?,
                account_id: row.try_get("account_id")?,
                name: row.try_get("name")?,
                is_default: row.try_get::<i64, _>("is_default")? != 0,
                created_at: row.try_get("created_at")?,
                updated_at: row.try_get("updated_at")?,
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

/// Gives a group another name.
///
/// # Errors
/// [`crate::Error::Duplicate`] if the account has another one of that name; else when the database fails.
pub async fn rename(conn: &mut Conn, group: &ResourceGroup) -> Result<()> {
    sqlx::query("UPDATE resource_groups SET name = $1, updated_at = $2 WHERE account_id = $3 AND id = $4")
        .bind(group.name.clone())
        .bind(group.updated_at)
        .bind(group.account_id.clone())
        .bind(group.id.clone())
        .execute(conn)
        .await?;
    Ok(())
}

/// What is in a resource group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Contents {
    pub clusters: i64,
    pub vpcs: i64,
}

/// What is in a resource group of an account.
///
/// # Errors
/// When the database fails.
pub async fn contents(conn: &mut Conn, account_id: &str, id: &str) -> Result<Contents> {
    let sql = "SELECT (SELECT COUNT(*) FROM clusters WHERE account_id = $1 AND resource_group_id = $2) AS clusters, \
               (SELECT COUNT(*) FROM vpcs WHERE account_id = $3 AND resource_group_id = $4) AS vpcs";
    let query = sqlx::query(sql).bind(account_id.to_owned()).bind(id.to_owned());
    let row = query.bind(account_id.to_owned()).bind(id.to_owned()).fetch_one(conn).await?;
    Ok(Contents { clusters: row.try_get("clusters")?, vpcs: row.try_get("vpcs")? })
}

/// Deletes an empty group, with what was noted of it.
///
/// # Errors
/// When the database fails.
pub async fn delete(conn: &mut Conn, account_id: &str, id: &str) -> Result<()> {
    const STEPS: [&str; 2] = [
        "DELETE FROM cluster_key_owners WHERE account_id = $1 AND resource_group_id = $2",
        "DELETE FROM resource_groups WHERE account_id = $1 AND id = $2",
    ];
    for sql in STEPS {
        sqlx::query(sql).bind(account_id.to_owned()).bind(id.to_owned()).execute(&mut *conn).await?;
    }
    Ok(())
}
