//! Worker pools and workers, reached through a cluster that was looked up for its account.

use sqlx::Row as _;
use sqlx::any::AnyRow;

use crate::{Conn, Result};

/// A worker pool.
#[derive(Clone, Debug, PartialEq)]
pub struct PoolRow {
    pub id: String,
    pub cluster_id: String,
    pub name: String,
    pub spec: String,
    pub created_at: i64,
    /// When it was removed; its name is free from then on.
    pub deleted_at: Option<i64>,
}

/// A worker.
#[derive(Clone, Debug, PartialEq)]
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
    /// `deploy`, `reload`, `reboot`, `remove`, or empty when there is nothing to do.
    pub work: String,
    pub work_since: i64,
    pub spec: String,
    pub created_at: i64,
    /// When it was gone; its address is free from then on.
    pub deleted_at: Option<i64>,
}

/// How many rows are inserted by one statement.
const AT_ONCE: usize = 100;

/// # Errors
/// [`crate::Error::Duplicate`] if the cluster has a pool of that name.
pub async fn pool_insert(conn: &mut Conn, pool: &PoolRow) -> Result<()> {
    sqlx::query(
        "INSERT INTO worker_pools (id, cluster_id, name, spec, created_at, deleted_at) VALUES ($1, $2, $3, $4, $5, $6)",
    )
    .bind(pool.id.clone())
    .bind(pool.cluster_id.clone())
    .bind(pool.name.clone())
    .bind(pool.spec.clone())
    .bind(pool.created_at)
    .bind(pool.deleted_at)
    .execute(conn)
    .await?;
    Ok(())
}

/// Writes what changes in a pool.
///
/// # Errors
/// When the database fails.
pub async fn pool_update(conn: &mut Conn, pool: &PoolRow) -> Result<()> {
    sqlx::query("UPDATE worker_pools SET spec = $1, deleted_at = $2 WHERE id = $3")
        .bind(pool.spec.clone())
        .bind(pool.deleted_at)
        .bind(pool.id.clone())
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
        "SELECT p.* FROM worker_pools p JOIN clusters c ON c.id = p.cluster_id \
         WHERE c.account_id = $1 AND p.deleted_at IS NULL ORDER BY p.created_at, p.id",
    )
    .bind(account_id.to_owned())
    .fetch_all(conn)
    .await?;
    rows.iter().map(pool).collect()
}

/// The pools of a cluster, oldest first, also those that were removed.
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
        deleted_at: row.try_get("deleted_at")?,
    })
}

/// # Errors
/// [`crate::Error::Duplicate`] if an address is taken on its network.
pub async fn insert(conn: &mut Conn, workers: &[&WorkerRow]) -> Result<()> {
    for some in workers.chunks(AT_ONCE) {
        let rows: Vec<_> = (0..some.len())
            .map(|row| {
                let places: Vec<_> = (1..=13).map(|column| format!("${}", row * 13 + column)).collect();
                format!("({})", places.join(", "))
            })
            .collect();
        let sql = format!(
            "INSERT INTO workers (id, cluster_id, pool_id, zone, network_id, address, state, state_since, work, work_since, \
             spec, created_at, deleted_at) VALUES {}",
            rows.join(", ")
        );
        // Made of constants and numbers only.
        let mut query = sqlx::query(sqlx::AssertSqlSafe(sql));
        for worker in some {
            query = query
                .bind(worker.id.clone())
                .bind(worker.cluster_id.clone())
                .bind(worker.pool_id.clone())
                .bind(worker.zone.clone())
                .bind(worker.network_id.clone())
                .bind(worker.address.clone())
                .bind(worker.state.clone())
                .bind(worker.state_since)
                .bind(worker.work.clone())
                .bind(worker.work_since)
                .bind(worker.spec.clone())
                .bind(worker.created_at)
                .bind(worker.deleted_at);
        }
        query.execute(&mut *conn).await?;
    }
    Ok(())
}

/// Writes what changes in a worker.
///
/// # Errors
/// When the database fails.
pub async fn update(conn: &mut Conn, worker: &WorkerRow) -> Result<()> {
    sqlx::query(
        "UPDATE workers SET state = $1, state_since = $2, work = $3, work_since = $4, spec = $5, deleted_at = $6 WHERE id = $7",
    )
    .bind(worker.state.clone())
    .bind(worker.state_since)
    .bind(worker.work.clone())
    .bind(worker.work_since)
    .bind(worker.spec.clone())
    .bind(worker.deleted_at)
    .bind(worker.id.clone())
    .execute(conn)
    .await?;
    Ok(())
}

/// The workers of a cluster that are not gone, in the order in which they were asked for.
///
/// # Errors
/// When the database fails.
pub async fn living(conn: &mut Conn, cluster_id: &str) -> Result<Vec<WorkerRow>> {
    let rows = sqlx::query("SELECT * FROM workers WHERE cluster_id = $1 AND deleted_at IS NULL ORDER BY created_at, id")
        .bind(cluster_id.to_owned())
        .fetch_all(conn)
        .await?;
    rows.iter().map(worker).collect()
}

/// The workers of a cluster in the order in which they were asked for; also those that are gone.
///
/// # Errors
/// When the database fails.
pub async fn list(conn: &mut Conn, cluster_id: &str) -> Result<Vec<WorkerRow>> {
    let rows = sqlx::query("SELECT * FROM workers WHERE cluster_id = $1 ORDER BY created_at, id")
        .bind(cluster_id.to_owned())
        .fetch_all(conn)
        .await?;
    rows.iter().map(worker).collect()
}

fn worker(row: &AnyRow) -> Result<WorkerRow> {
    Ok(WorkerRow {
        id: row.try_get("id")?,
        cluster_id: row.try_get("cluster_id")?,
        pool_id: row.try_get("pool_id")?,
        zone: row.try_get("zone")?,
        network_id: row.try_get("network_id")?,
        address: row.try_get("address")?,
        state: row.try_get("state")?,
        state_since: row.try_get("state_since")?,
        work: row.try_get("work")?,
        work_since: row.try_get("work_since")?,
        spec: row.try_get("spec")?,
        created_at: row.try_get("created_at")?,
        deleted_at: row.try_get("deleted_at")?,
    })
}

/// Which of `candidates` are in use on a network.
///
/// # Errors
/// When the database fails.
pub async fn addresses_among(conn: &mut Conn, network_id: &str, candidates: &[String]) -> Result<Vec<String>> {
    let places: Vec<_> = (2..candidates.len() + 2).map(|place| format!("${place}")).collect();
    let sql = format!(
        "SELECT address FROM workers WHERE network_id = $1 AND deleted_at IS NULL AND address IN ({})",
        places.join(", ")
    );
    // Made of constants and numbers only.
    let mut query = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(network_id.to_owned());
    for candidate in candidates {
        query = query.bind(candidate.clone());
    }
    let rows = query.fetch_all(conn).await?;
    rows.iter().map(|row| Ok(row.try_get("address")?)).collect()
}

/// Addresses in use on a network: the private ones of a subnet or private VLAN.
///
/// # Errors
/// When the database fails.
pub async fn addresses(conn: &mut Conn, network_id: &str) -> Result<Vec<String>> {
    let rows = sqlx::query("SELECT address FROM workers WHERE network_id = $1 AND deleted_at IS NULL")
        .bind(network_id.to_owned())
        .fetch_all(conn)
        .await?;
    rows.iter().map(|row| Ok(row.try_get("address")?)).collect()
}

/// How many addresses are in use on each of an account's networks.
///
/// # Errors
/// When the database fails.
pub async fn addresses_in_use(conn: &mut Conn, account_id: &str) -> Result<Vec<(String, i64)>> {
    let rows = sqlx::query(
        "SELECT w.network_id AS network_id, COUNT(*) AS used FROM workers w JOIN clusters c ON c.id = w.cluster_id \
         WHERE c.account_id = $1 AND w.deleted_at IS NULL GROUP BY w.network_id",
    )
    .bind(account_id.to_owned())
    .fetch_all(conn)
    .await?;
    rows.iter().map(|row| Ok((row.try_get("network_id")?, row.try_get("used")?))).collect()
}

/// Forgets workers and pools that were gone before `before`; tells how many.
///
/// # Errors
/// When the database fails.
pub async fn sweep(conn: &mut Conn, before: i64) -> Result<u64> {
    let workers = sqlx::query("DELETE FROM workers WHERE deleted_at < $1").bind(before).execute(&mut *conn).await?;
    // A pool goes last, when none of its workers is left to be shown with its name.
    let pools = sqlx::query(
        "DELETE FROM worker_pools WHERE deleted_at < $1 AND NOT EXISTS (SELECT 1 FROM workers w WHERE w.pool_id = worker_pools.id)",
    )
    .bind(before)
    .execute(conn)
    .await?;
    Ok(workers.rows_affected() + pools.rows_affected())
}
