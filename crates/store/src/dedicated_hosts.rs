//! Dedicated hosts and their pools.

use sqlx::Row as _;
use sqlx::any::AnyRow;

use crate::{Conn, Result};

/// A pool of dedicated hosts. Times are milliseconds since the Unix epoch.
#[derive(Clone, Debug)]
pub struct HostPoolRow {
    pub id: String,
    pub account_id: String,
    pub name: String,
    pub flavor_class: String,
    pub metro: String,
    pub created_at: i64,
    /// When its removal was asked for.
    pub removed_at: Option<i64>,
}

/// A dedicated host. Times are milliseconds since the Unix epoch.
#[derive(Clone, Debug)]
pub struct HostRow {
    pub id: String,
    pub account_id: String,
    pub pool_id: String,
    pub flavor: String,
    pub zone: String,
    pub created_at: i64,
    /// When placement was disabled; `None` while it is enabled.
    pub closed_at: Option<i64>,
    /// When its removal was asked for.
    pub removed_at: Option<i64>,
}

/// A worker of a pool that runs on dedicated hosts.
#[derive(Clone, Debug)]
pub struct PlacedWorker {
    pub id: String,
    pub cluster_id: String,
    pub pool_id: String,
    pub zone: String,
    pub created_at: i64,
}

/// # Errors
/// [`crate::Error::Duplicate`] if the account has a pool of that name that was not removed.
pub async fn pool_insert(conn: &mut Conn, pool: &HostPoolRow) -> Result<()> {
    sqlx::query(
        "INSERT INTO dedicated_host_pools (id, account_id, name, flavor_class, metro, created_at, removed_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(pool.id.clone())
    .bind(pool.account_id.clone())
    .bind(pool.name.clone())
    .bind(pool.flavor_class.clone())
    .bind(pool.metro.clone())
    .bind(pool.created_at)
    .bind(pool.removed_at)
    .execute(conn)
    .await?;
    Ok(())
}

/// The account's pools, oldest first, also those that were removed.
///
/// # Errors
/// When the database fails.
pub async fn pools(conn: &mut Conn, account_id: &str) -> Result<Vec<HostPoolRow>> {
    let rows = sqlx::query("SELECT * FROM dedicated_host_pools WHERE account_id = $1 ORDER BY created_at, id")
        .bind(account_id.to_owned())
        .fetch_all(conn)
        .await?;
    rows.iter()
        .map(|row| {
            Ok(HostPoolRow {
                id: row.try_get("id")?,
                account_id: row.try_get("account_id")?,
                name: row.try_get("name")?,
                flavor_class: row.try_get("flavor_class")?,
                metro: row.try_get("metro")?,
                created_at: row.try_get("created_at")?,
                removed_at: row.try_get("removed_at")?,
            })
        })
        .collect()
}

/// # Errors
/// When the database fails.
pub async fn pool_remove(conn: &mut Conn, account_id: &str, id: &str, now_ms: i64) -> Result<()> {
    sqlx::query("UPDATE dedicated_host_pools SET removed_at = $1 WHERE account_id = $2 AND id = $3 AND removed_at IS NULL")
        .bind(now_ms)
        .bind(account_id.to_owned())
        .bind(id.to_owned())
        .execute(conn)
        .await?;
    Ok(())
}

/// # Errors
/// When the database fails.
pub async fn insert(conn: &mut Conn, host: &HostRow) -> Result<()> {
    sqlx::query(
        "INSERT INTO dedicated_hosts (id, account_id, pool_id, flavor, zone, created_at, closed_at, removed_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
    )
    .bind(host.id.clone())
    .bind(host.account_id.clone())
    .bind(host.pool_id.clone())
    .bind(host.flavor.clone())
    .bind(host.zone.clone())
    .bind(host.created_at)
    .bind(host.closed_at)
    .bind(host.removed_at)
    .execute(conn)
    .await?;
    Ok(())
}

/// The account's hosts, oldest first, also those that were removed.
///
/// # Errors
/// When the database fails.
pub async fn list(conn: &mut Conn, account_id: &str) -> Result<Vec<HostRow>> {
    let rows = sqlx::query("SELECT * FROM dedicated_hosts WHERE account_id = $1 ORDER BY created_at, id")
        .bind(account_id.to_owned())
        .fetch_all(conn)
        .await?;
    rows.iter().map(host).collect()
}

/// Writes when placement was disabled and when the removal was asked for.
///
/// # Errors
/// When the database fails.
pub async fn update(conn: &mut Conn, host: &HostRow) -> Result<()> {
    sqlx::query("UPDATE dedicated_hosts SET closed_at = $1, removed_at = $2 WHERE account_id = $3 AND id = $4")
        .bind(host.closed_at)
        .bind(host.removed_at)
        .bind(host.account_id.clone())
        .bind(host.id.clone())
        .execute(conn)
        .await?;
    Ok(())
}

/// Forgets hosts and pools of an account whose removal was asked for before `before_ms`.
///
/// # Errors
/// When the database fails.
pub async fn forget(conn: &mut Conn, account_id: &str, before_ms: i64) -> Result<()> {
    for statement in [
        "DELETE FROM dedicated_hosts WHERE account_id = $1 AND removed_at < $2",
        "DELETE FROM dedicated_host_pools WHERE account_id = $1 AND removed_at < $2",
    ] {
        sqlx::query(statement).bind(account_id.to_owned()).bind(before_ms).execute(&mut *conn).await?;
    }
    Ok(())
}

/// Workers of a worker pool of an account.
///
/// # Errors
/// When the database fails.
pub async fn workers(conn: &mut Conn, account_id: &str, pool_id: &str) -> Result<Vec<PlacedWorker>> {
    let rows = sqlx::query(
        "SELECT w.id, w.cluster_id, w.pool_id, w.zone, w.created_at FROM workers w JOIN clusters c ON c.id = w.cluster_id \
         WHERE c.account_id = $1 AND w.pool_id = $2",
    )
    .bind(account_id.to_owned())
    .bind(pool_id.to_owned())
    .fetch_all(conn)
    .await?;
    rows.iter()
        .map(|row| {
            Ok(PlacedWorker {
                id: row.try_get("id")?,
                cluster_id: row.try_get("cluster_id")?,
                pool_id: row.try_get("pool_id")?,
                zone: row.try_get("zone")?,
                created_at: row.try_get("created_at")?,
            })
        })
        .collect()
}

fn host(row: &AnyRow) -> Result<HostRow> {
    Ok(HostRow {
        id: row.try_get("id")?,
        account_id: row.try_get("account_id")?,
        pool_id: row.try_get("pool_id")?,
        flavor: row.try_get("flavor")?,
        zone: row.try_get("zone")?,
        created_at: row.try_get("created_at")?,
        closed_at: row.try_get("closed_at")?,
        removed_at: row.try_get("removed_at")?,
    })
}
