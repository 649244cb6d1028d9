//! Worker pools and workers, reached through a cluster that was looked up for its account.

use sqlx::Row as _;
use sqlx::any::AnyRow;

use crate::{Conn, Result};

/// A worker pool.
#[derive(Clone, Debug)]
pub struct PoolRow {
    pub id: String,
    pub cluster_id: String,
    pub name: String,
    pub spec: String,
    pub created_at: i64,
}

/// A worker.
#[derive(Clone, Debug)]
pub struct WorkerRow {
    pub id: String,
    pub cluster_id: String,
    pub pool_id: String,
    pub zone: String,
    /// VPC subnet or private VLAN.
    pub network_id: String,
    pub address: String,
    pub state: String,
    pub state_since: i64,
    pub spec: String,
    pub created_at: i64,
}

/// # Errors
/// [`crate::Error::Duplicate`] if the cluster has a pool of that name.
pub async fn pool_insert(conn: &mut Conn, pool: &PoolRow) -> Result<()> {
    sqlx::query("INSERT INTO worker_pools (id, cluster_id, name, spec, created_at) VALUES ($1, $2, $3, $4, $5)")
        .bind(pool.id.clone())
        .bind(pool.cluster_id.clone())
        .bind(pool.name.clone())
        .bind(pool.spec.clone())
        .bind(pool.created_at)
        .execute(conn)
        .await?;
    Ok(())
}

/// The pools of all clusters of an account, oldest first.
///
/// # Errors
/// When the database fails.
pub async fn pools_of_account(conn: &mut Conn, account_id: &str) -> Result<Vec<PoolRow>> {
    let rows = sqlx::query(
        "SELECT p.* FROM worker_pools p JOIN clusters c ON c.id = p.cluster_id WHERE c.account_id = $1 ORDER BY p.created_at, p.id",
    )
    .bind(account_id.to_owned())
    .fetch_all(conn)
    .await?;
    rows.iter().map(pool).collect()
}

/// The pools of a cluster, oldest first.
///
/// # Errors
/// When the database fails.
pub async fn pools(conn: &mut Conn, cluster_id: &str) -> Result<Vec<PoolRow>> {
    let rows = sqlx::query("SELECT * FROM worker_pools WHERE cluster_id = $1 ORDER BY created_at, id")
        .bind(cluster_id.to_owned())
        .fetch_all(conn)
        .await?;
    rows.iter().map(pool).collect()
}

fn pool(row: &AnyRow) -> Result<PoolRow> {
    Ok(PoolRow {
        id: row.try_get("id")?,
        cluster_id: row.try_get("cluster_id")?,
        name: row.try_get("name")?,
        spec: row.try_get("spec")?,
        created_at: row.try_get("created_at")?,
    })
}

/// # Errors
/// [`crate::Error::Duplicate`] if the address is taken on its network.
pub async fn insert(conn: &mut Conn, worker: &WorkerRow) -> Result<()> {
    sqlx::query(
        "INSERT INTO workers (id, cluster_id, pool_id, zone, network_id, address, state, state_since, spec, \
         created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
    )
    .bind(worker.id.clone())
    .bind(worker.cluster_id.clone())
    .bind(worker.pool_id.clone())
    .bind(worker.zone.clone())
    .bind(worker.network_id.clone())
    .bind(worker.address.clone())
    .bind(worker.state.clone())
    .bind(worker.state_since)
    .bind(worker.spec.clone())
    .bind(worker.created_at)
    .execute(conn)
    .await?;
    Ok(())
}

/// The workers of a cluster in the order of their IDs, which is the order in which they were asked for.
///
/// # Errors
/// When the database fails.
pub async fn list(conn: &mut Conn, cluster_id: &str) -> Result<Vec<WorkerRow>> {
    let rows = sqlx::query("SELECT * FROM workers WHERE cluster_id = $1 ORDER BY id")
        .bind(cluster_id.to_owned())
        .fetch_all(conn)
        .await?;
    rows.iter()
        .map(|row| {
            Ok(WorkerRow {
                id: row.try_get("id")?,
                cluster_id: row.try_get("cluster_id")?,
                pool_id: row.try_get("pool_id")?,
                zone: row.try_get("zone")?,
                network_id: row.try_get("network_id")?,
                address: row.try_get("address")?,
                state: row.try_get("state")?,
                state_since: row.try_get("state_since")?,
                spec: row.try_get("spec")?,
                created_at: row.try_get("created_at")?,
            })
        })
        .collect()
}

/// # Errors
/// When the database fails.
pub async fn state_set(conn: &mut Conn, worker_id: &str, state: &str, since: i64) -> Result<()> {
    sqlx::query("UPDATE workers SET state = $1, state_since = $2 WHERE id = $3")
        .bind(state.to_owned())
        .bind(since)
        .bind(worker_id.to_owned())
        .execute(conn)
        .await?;
    Ok(())
}

/// Addresses in use on a network: the private ones of a subnet or private VLAN.
///
/// # Errors
/// When the database fails.
pub async fn addresses(conn: &mut Conn, network_id: &str) -> Result<Vec<String>> {
    let rows =
        sqlx::query("SELECT address FROM workers WHERE network_id = $1").bind(network_id.to_owned()).fetch_all(conn).await?;
    rows.iter().map(|row| Ok(row.try_get("address")?)).collect()
}

/// How many addresses are in use on each of an account's networks.
///
/// # Errors
/// When the database fails.
pub async fn addresses_in_use(conn: &mut Conn, account_id: &str) -> Result<Vec<(String, i64)>> {
    let rows = sqlx::query(
        "SELECT w.network_id AS network_id, COUNT(*) AS used FROM workers w JOIN clusters c ON c.id = w.cluster_id \
         WHERE c.account_id = $1 GROUP BY w.network_id",
    )
    .bind(account_id.to_owned())
    .fetch_all(conn)
    .await?;
    rows.iter().map(|row| Ok((row.try_get("network_id")?, row.try_get("used")?))).collect()
}
