//! Service IDs and the groups that they are in.

use sqlx::Row as _;
use sqlx::any::AnyRow;

use crate::{Conn, Error, Result};

/// An identity of a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceId {
    /// `ServiceId-` and a UUID.
    pub id: String,
    /// `iam-` and the ID.
    pub iam_id: String,
    pub account_id: String,
    pub name: String,
    pub description: String,
    /// CRNs of the services that it is connected to.
    pub unique_instance_crns: Vec<String>,
    /// `None`: the account's default group.
    pub group_id: Option<String>,
    /// Whether it can neither be changed nor deleted.
    pub locked: bool,
    /// IAM ID of who made it.
    pub created_by: String,
    /// Milliseconds since the Unix epoch.
    pub created_at: i64,
    /// Milliseconds since the Unix epoch.
    pub modified_at: i64,
    /// Counts the changes.
    pub revision: i64,
}

fn from_row(row: &AnyRow) -> Result<ServiceId> {
    Ok(ServiceId {
        id: row.try_get("id")?,
        iam_id: row.try_get("iam_id")?,
        account_id: row.try_get("account_id")?,
        name: row.try_get("name")?,
        description: row.try_get("description")?,
        unique_instance_crns: serde_json::from_str(row.try_get("unique_instance_crns")?)?,
        group_id: row.try_get("group_id")?,
        locked: row.try_get::<i64, _>("locked")? != 0,
        created_by: row.try_get("created_by")?,
        created_at: row.try_get("created_at")?,
        modified_at: row.try_get("modified_at")?,
        revision: row.try_get("revision")?,
    })
}

/// Adds a service ID.
///
/// # Errors
/// When the account does not exist, or the database fails.
pub async fn insert(conn: &mut Conn, service_id: &ServiceId) -> Result<()> {
    sqlx::query(
        "INSERT INTO service_ids (id, iam_id, account_id, name, description, unique_instance_crns, group_id, locked, created_by, \
         created_at, modified_at, revision) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
    )
    .bind(service_id.id.clone())
    .bind(service_id.iam_id.clone())
    .bind(service_id.account_id.clone())
    .bind(service_id.name.clone())
    .bind(service_id.description.clone())
    .bind(serde_json::to_string(&service_id.unique_instance_crns)?)
    .bind(service_id.group_id.clone())
    .bind(i64::from(service_id.locked))
    .bind(service_id.created_by.clone())
    .bind(service_id.created_at)
    .bind(service_id.modified_at)
    .bind(service_id.revision)
    .execute(conn)
    .await?;
    Ok(())
}

/// The service ID of an account that has this ID.
///
/// # Errors
/// When the database fails.
pub async fn get(conn: &mut Conn, account_id: &str, id: &str) -> Result<Option<ServiceId>> {
    let row = sqlx::query("SELECT * FROM service_ids WHERE account_id = $1 AND id = $2")
        .bind(account_id.to_owned())
        .bind(id.to_owned())
        .fetch_optional(conn)
        .await?;
    row.as_ref().map(from_row).transpose()
}

/// The service IDs of an account, in the order in which they were made.
///
/// # Errors
/// When the database fails.
pub async fn list(conn: &mut Conn, account_id: &str) -> Result<Vec<ServiceId>> {
    let rows = sqlx::query("SELECT * FROM service_ids WHERE account_id = $1 ORDER BY created_at, id")
        .bind(account_id.to_owned())
        .fetch_all(conn)
        .await?;
    rows.iter().map(from_row).collect()
}

/// How many service IDs of an account are in a group; `None` is the default group.
///
/// # Errors
/// When the database fails.
pub async fn count(conn: &mut Conn, account_id: &str, group_id: Option<&str>) -> Result<i64> {
    let row = sqlx::query("SELECT COUNT(*) AS n FROM service_ids WHERE account_id = $1 AND COALESCE(group_id, '') = $2")
        .bind(account_id.to_owned())
        .bind(group_id.unwrap_or_default().to_owned())
        .fetch_one(conn)
        .await?;
    Ok(row.try_get("n")?)
}

/// Writes everything of a service ID that can change, and counts its revision up.
///
/// # Errors
/// [`Error::Stale`] if it changed or went away since it was read; else when the database fails.
pub async fn update(conn: &mut Conn, service_id: &ServiceId) -> Result<()> {
    let done = sqlx::query(
        "UPDATE service_ids SET name = $1, description = $2, unique_instance_crns = $3, locked = $4, modified_at = $5, \
         revision = revision + 1 WHERE account_id = $6 AND id = $7 AND revision = $8",
    )
    .bind(service_id.name.clone())
    .bind(service_id.description.clone())
    .bind(serde_json::to_string(&service_id.unique_instance_crns)?)
    .bind(i64::from(service_id.locked))
    .bind(service_id.modified_at)
    .bind(service_id.account_id.clone())
    .bind(service_id.id.clone())
    .bind(service_id.revision)
    .execute(conn)
    .await?;
    if done.rows_affected() == 0 { Err(Error::Stale) } else { Ok(()) }
}

/// Removes a service ID as it was read. What the account holds for it goes with [`crate::identities::forget`].
///
/// # Errors
/// [`Error::Stale`] if it changed or went away since; else when the database fails.
pub async fn delete(conn: &mut Conn, service_id: &ServiceId) -> Result<()> {
    let done = sqlx::query("DELETE FROM service_ids WHERE account_id = $1 AND id = $2 AND revision = $3")
        .bind(service_id.account_id.clone())
        .bind(service_id.id.clone())
        .bind(service_id.revision)
        .execute(conn)
        .await?;
    if done.rows_affected() == 0 { Err(Error::Stale) } else { Ok(()) }
}

/// A group of service IDs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// `ServiceIdGroup-` and a UUID.
    pub id: String,
    pub account_id: String,
    /// Of no other group of the account.
    pub name: String,
    pub description: String,
    /// IAM ID of who made it.
    pub created_by: String,
    /// Milliseconds since the Unix epoch.
    pub created_at: i64,
    /// Milliseconds since the Unix epoch.
    pub modified_at: i64,
    /// Counts the changes.
    pub revision: i64,
}

/// Adds a group.
///
/// # Errors
/// [`Error::Duplicate`] if the account has one of that name; else when the database fails.
pub async fn group_insert(conn: &mut Conn, group: &Group) -> Result<()> {
    sqlx::query(
        "INSERT INTO service_id_groups (id, account_id, name, description, created_by, created_at, modified_at, revision) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
    )
    .bind(group.id.clone())
    .bind(group.account_id.clone())
    .bind(group.name.clone())
    .bind(group.description.clone())
    .bind(group.created_by.clone())
    .bind(group.created_at)
    .bind(group.modified_at)
    .bind(group.revision)
    .execute(conn)
    .await?;
    Ok(())
}

/// The groups of an account, in the order in which they were made.
///
/// # Errors
/// When the database fails.
pub async fn groups(conn: &mut Conn, account_id: &str) -> Result<Vec<Group>> {
    let rows = sqlx::query("SELECT * FROM service_id_groups WHERE account_id = $1 ORDER BY created_at, id")
        .bind(account_id.to_owned())
        .fetch_all(conn)
        .await?;
    rows.iter()
        .map(|row| {
            Ok(Group {
                id: row.try_get("id")?,
                account_id: row.try_get("account_id")?,
                name: row.try_get("name")?,
                description: row.try_get("description")?,
                created_by: row.try_get("created_by")?,
                created_at: row.try_get("created_at")?,
                modified_at: row.try_get("modified_at")?,
                revision: row.try_get("revision")?,
            })
        })
        .collect()
}

/// Writes name and description of a group, and counts its revision up.
///
/// # Errors
/// [`Error::Duplicate`] if the account has another one of that name, [`Error::Stale`] if the group changed or went away since it
/// was read; else when the database fails.
pub async fn group_update(conn: &mut Conn, group: &Group) -> Result<()> {
    let done = sqlx::query(
        "UPDATE service_id_groups SET name = $1, description = $2, modified_at = $3, revision = revision + 1 \
         WHERE account_id = $4 AND id = $5 AND revision = $6",
    )
    .bind(group.name.clone())
    .bind(group.description.clone())
    .bind(group.modified_at)
    .bind(group.account_id.clone())
    .bind(group.id.clone())
    .bind(group.revision)
    .execute(conn)
    .await?;
    if done.rows_affected() == 0 { Err(Error::Stale) } else { Ok(()) }
}

/// Removes a group as it was read.
///
/// # Errors
/// [`Error::Stale`] if it changed or went away since; else when the database fails.
pub async fn group_delete(conn: &mut Conn, group: &Group) -> Result<()> {
    let done = sqlx::query("DELETE FROM service_id_groups WHERE account_id = $1 AND id = $2 AND revision = $3")
        .bind(group.account_id.clone())
        .bind(group.id.clone())
        .bind(group.revision)
        .execute(conn)
        .await?;
    if done.rows_affected() == 0 { Err(Error::Stale) } else { Ok(()) }
}
