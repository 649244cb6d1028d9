//! Clusters. Callers see those of one account; the reconciler sees those that are due.

use sqlx::Row as _;
use sqlx::any::AnyRow;

use crate::{Conn, Error, Result};

/// A cluster as stored: columns for what is searched, documents for the rest.
#[derive(Clone, Debug)]
pub struct ClusterRow {
    pub id: String,
    pub account_id: String,
    pub name: String,
    /// `classic` or `vpc-gen2`.
    pub provider: String,
    pub region: String,
    /// The VPC its pods share ranges with, and their range; empty for classic clusters.
    pub vpc_id: String,
    pub pod_subnet: String,
    /// Label of its Ingress subdomain; empty until it has one.
    pub ingress_label: String,
    pub resource_group_id: String,
    /// Name of the resource group; read only.
    pub resource_group_name: String,
    pub state: String,
    pub state_since: i64,
    /// `present` or `absent`.
    pub desired: String,
    pub spec: String,
    pub status: String,
    pub created_at: i64,
    pub modified_at: i64,
    /// When the reconciler looks again; `None` when there is nothing to do.
    pub wake_at: Option<i64>,
    pub revision: i64,
    /// How many workers it has; read only.
    pub worker_count: i64,
}

const SELECT: &str = "SELECT c.*, g.name AS resource_group_name, \
    (SELECT COUNT(*) FROM workers w WHERE w.cluster_id = c.id AND w.deleted_at IS NULL) AS worker_count \
    FROM clusters c JOIN resource_groups g ON g.id = c.resource_group_id";

fn select(rest: &str) -> sqlx::AssertSqlSafe<String> {
    // Only ever joined from constants of this module.
    sqlx::AssertSqlSafe(format!("{SELECT} {rest}"))
}

fn row(row: &AnyRow) -> Result<ClusterRow> {
    Ok(ClusterRow {
        id: row.try_get("id")?,
        account_id: row.try_get("account_id")?,
        name: row.try_get("name")?,
        provider: row.try_get("provider")?,
        region: row.try_get("region")?,
        vpc_id: row.try_get("vpc_id")?,
        pod_subnet: row.try_get("pod_subnet")?,
        ingress_label: row.try_get("ingress_label")?,
        resource_group_id: row.try_get("resource_group_id")?,
        resource_group_name: row.try_get("resource_group_name")?,
        state: row.try_get("state")?,
        state_since: row.try_get("state_since")?,
        desired: row.try_get("desired")?,
        spec: row.try_get("spec")?,
        status: row.try_get("status")?,
        created_at: row.try_get("created_at")?,
        modified_at: row.try_get("modified_at")?,
        wake_at: row.try_get("wake_at")?,
        revision: row.try_get("revision")?,
        worker_count: row.try_get("worker_count")?,
    })
}

/// # Errors
/// [`Error::Duplicate`] if the account has a cluster of that name.
pub async fn insert(conn: &mut Conn, cluster: &ClusterRow) -> Result<()> {
    sqlx::query(
        "INSERT INTO clusters (id, account_id, name, provider, region, resource_group_id, state, state_since, desired, \
         spec, status, created_at, modified_at, wake_at, revision, vpc_id, pod_subnet, ingress_label) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)",
    )
    .bind(cluster.id.clone())
    .bind(cluster.account_id.clone())
    .bind(cluster.name.clone())
    .bind(cluster.provider.clone())
    .bind(cluster.region.clone())
    .bind(cluster.resource_group_id.clone())
    .bind(cluster.state.clone())
    .bind(cluster.state_since)
    .bind(cluster.desired.clone())
    .bind(cluster.spec.clone())
    .bind(cluster.status.clone())
    .bind(cluster.created_at)
    .bind(cluster.modified_at)
    .bind(cluster.wake_at)
    .bind(cluster.revision)
    .bind(cluster.vpc_id.clone())
    .bind(cluster.pod_subnet.clone())
    .bind(cluster.ingress_label.clone())
    .execute(conn)
    .await?;
    Ok(())
}

/// Writes what the reconciler and requests change, if the row still has the revision that was read.
///
/// # Errors
/// [`Error::Stale`] if it has not.
pub async fn update(conn: &mut Conn, cluster: &ClusterRow) -> Result<()> {
    let done = sqlx::query(
        "UPDATE clusters SET state = $1, state_since = $2, desired = $3, spec = $4, status = $5, modified_at = $6, \
         wake_at = $7, ingress_label = $8, revision = revision + 1 WHERE id = $9 AND revision = $10",
    )
    .bind(cluster.state.clone())
    .bind(cluster.state_since)
    .bind(cluster.desired.clone())
    .bind(cluster.spec.clone())
    .bind(cluster.status.clone())
    .bind(cluster.modified_at)
    .bind(cluster.wake_at)
    .bind(cluster.ingress_label.clone())
    .bind(cluster.id.clone())
    .bind(cluster.revision)
    .execute(conn)
    .await?;
    if done.rows_affected() == 1 { Ok(()) } else { Err(Error::Stale) }
}

/// Removes the cluster with its pools and workers, if it still has the revision that was read.
///
/// # Errors
/// [`Error::Stale`] if it has not.
pub async fn delete(conn: &mut Conn, cluster: &ClusterRow) -> Result<()> {
    let done = sqlx::query("DELETE FROM clusters WHERE id = $1 AND revision = $2")
        .bind(cluster.id.clone())
        .bind(cluster.revision)
        .execute(conn)
        .await?;
    if done.rows_affected() == 1 { Ok(()) } else { Err(Error::Stale) }
}

/// The account's clusters, oldest first.
///
/// # Errors
/// When the database fails.
pub async fn list(conn: &mut Conn, account_id: &str) -> Result<Vec<ClusterRow>> {
    let rows = sqlx::query(select("WHERE c.account_id = $1 ORDER BY c.created_at, c.id"))
        .bind(account_id.to_owned())
        .fetch_all(conn)
        .await?;
    rows.iter().map(row).collect()
}

/// The account's cluster with that ID, or else with that name.
///
/// # Errors
/// When the database fails.
pub async fn find(conn: &mut Conn, account_id: &str, id_or_name: &str) -> Result<Option<ClusterRow>> {
    let rows = sqlx::query(select("WHERE c.account_id = $1 AND (c.id = $2 OR c.name = $2)"))
        .bind(account_id.to_owned())
        .bind(id_or_name.to_owned())
        .fetch_all(conn)
        .await?;
    let mut found = rows.iter().map(row).collect::<Result<Vec<_>>>()?;
    // The ID wins where one cluster's name is another's ID.
    found.sort_by_key(|cluster| cluster.id != id_or_name);
    Ok(found.into_iter().next())
}

/// Pod ranges of the clusters in a VPC, each once.
///
/// # Errors
/// When the database fails.
pub async fn pod_subnets(conn: &mut Conn, vpc_id: &str) -> Result<Vec<String>> {
    // Steps from one value to the next in the index: a VPC may have thousands of clusters, which share a few dozen ranges.
    let rows = sqlx::query(
        "WITH RECURSIVE ranges (cidr) AS ( \
         SELECT MIN(pod_subnet) FROM clusters WHERE vpc_id = $1 UNION ALL \
         SELECT (SELECT MIN(pod_subnet) FROM clusters WHERE vpc_id = $1 AND pod_subnet > ranges.cidr) FROM ranges \
         WHERE ranges.cidr IS NOT NULL) SELECT cidr FROM ranges WHERE cidr IS NOT NULL",
    )
    .bind(vpc_id.to_owned())
    .fetch_all(conn)
    .await?;
    rows.iter().map(|row| Ok(row.try_get("cidr")?)).collect()
}

/// How many clusters of a provider an account has in a region.
///
/// # Errors
/// When the database fails.
pub async fn count(conn: &mut Conn, account_id: &str, provider: &str, region: &str) -> Result<i64> {
    let row = sqlx::query("SELECT COUNT(*) AS n FROM clusters WHERE account_id = $1 AND provider = $2 AND region = $3")
        .bind(account_id.to_owned())
        .bind(provider.to_owned())
        .bind(region.to_owned())
        .fetch_one(conn)
        .await?;
    Ok(row.try_get("n")?)
}

/// For an upgrade, which works for every account: all clusters.
///
/// # Errors
/// When the database fails.
pub async fn reconcile_all(conn: &mut Conn) -> Result<Vec<ClusterRow>> {
    let rows = sqlx::query(select("")).fetch_all(conn).await?;
    rows.iter().map(row).collect()
}

/// For an upgrade: sets the ranges that a cluster keeps from others.
///
/// # Errors
/// When the database fails.
pub async fn reconcile_ranges_set(conn: &mut Conn, id: &str, vpc_id: &str, pod_subnet: &str) -> Result<()> {
    sqlx::query("UPDATE clusters SET vpc_id = $1, pod_subnet = $2 WHERE id = $3")
        .bind(vpc_id.to_owned())
        .bind(pod_subnet.to_owned())
        .bind(id.to_owned())
        .execute(conn)
        .await?;
    Ok(())
}

/// For the reconciler, which works for every account: the cluster with that ID.
///
/// # Errors
/// When the database fails.
pub async fn reconcile_get(conn: &mut Conn, id: &str) -> Result<Option<ClusterRow>> {
    let found = sqlx::query(select("WHERE c.id = $1")).bind(id.to_owned()).fetch_optional(conn).await?;
    found.as_ref().map(row).transpose()
}

/// For the reconciler: whether another cluster of the account has that label, and so that Ingress subdomain.
///
/// # Errors
/// When the database fails.
pub async fn reconcile_ingress_taken(conn: &mut Conn, account_id: &str, label: &str) -> Result<bool> {
    let row = sqlx::query("SELECT id FROM clusters WHERE account_id = $1 AND ingress_label = $2 LIMIT 1")
        .bind(account_id.to_owned())
        .bind(label.to_owned())
        .fetch_optional(conn)
        .await?;
    Ok(row.is_some())
}

/// For the reconciler: IDs of at most `limit` clusters to look at by `now`, most overdue first.
///
/// # Errors
/// When the database fails.
pub async fn reconcile_due(conn: &mut Conn, now: i64, limit: i64) -> Result<Vec<String>> {
    let rows = sqlx::query("SELECT id FROM clusters WHERE wake_at <= $1 ORDER BY wake_at LIMIT $2")
        .bind(now)
        .bind(limit)
        .fetch_all(conn)
        .await?;
    rows.iter().map(|row| Ok(row.try_get("id")?)).collect()
}

/// For the reconciler: when the next cluster is to be looked at.
///
/// # Errors
/// When the database fails.
pub async fn reconcile_next(conn: &mut Conn) -> Result<Option<i64>> {
    let row = sqlx::query("SELECT MIN(wake_at) AS next FROM clusters WHERE wake_at IS NOT NULL").fetch_one(conn).await?;
    Ok(row.try_get("next")?)
}
