//! Faults: what an administrator ordered to go wrong. They belong to the installation, not to an account.

use sqlx::Row as _;
use sqlx::any::AnyRow;

use crate::{Conn, Result};

/// A fault. Times are milliseconds since the Unix epoch, documents JSON text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FaultRow {
    pub id: String,
    /// Name of the scenario it belongs to, or empty.
    pub scenario: String,
    pub target: String,
    pub effect: String,
    /// How often it strikes at most.
    pub times: Option<i64>,
    pub hits: i64,
    pub last_hit_at: Option<i64>,
    /// Percent.
    pub probability: i64,
    pub starts_at: i64,
    pub expires_at: Option<i64>,
    pub created_at: i64,
}

/// Adds a fault.
///
/// # Errors
/// [`crate::Error::Duplicate`] if the ID is taken; else when the database fails.
pub async fn insert(conn: &mut Conn, fault: &FaultRow) -> Result<()> {
    sqlx::query(
        "INSERT INTO faults (id, scenario, target, effect, times, hits, last_hit_at, probability, starts_at, expires_at, \
         created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
    )
    .bind(fault.id.clone())
    .bind(fault.scenario.clone())
    .bind(fault.target.clone())
    .bind(fault.effect.clone())
    .bind(fault.times)
    .bind(fault.hits)
    .bind(fault.last_hit_at)
    .bind(fault.probability)
    .bind(fault.starts_at)
    .bind(fault.expires_at)
    .bind(fault.created_at)
    .execute(conn)
    .await?;
    Ok(())
}

/// All faults, oldest first.
///
/// # Errors
/// When the database fails.
pub async fn list(conn: &mut Conn) -> Result<Vec<FaultRow>> {
    let rows = sqlx::query("SELECT * FROM faults ORDER BY created_at, id").fetch_all(conn).await?;
    rows.iter().map(fault).collect()
}

fn fault(row: &AnyRow) -> Result<FaultRow> {
    Ok(FaultRow {
        id: row.try_get("id")?,
        scenario: row.try_get("scenario")?,
        target: row.try_get("target")?,
        effect: row.try_get("effect")?,
        times: row.try_get("times")?,
        hits: row.try_get("hits")?,
        last_hit_at: row.try_get("last_hit_at")?,
        probability: row.try_get("probability")?,
        starts_at: row.try_get("starts_at")?,
        expires_at: row.try_get("expires_at")?,
        created_at: row.try_get("created_at")?,
    })
}

/// Counts a hit, unless the fault has struck as often as it may or is gone. Returns whether it strikes: of several that ask at
/// the same time, no more are told so than the fault has hits left.
///
/// # Errors
/// When the database fails.
pub async fn hit(conn: &mut Conn, id: &str, now_ms: i64) -> Result<bool> {
    let done =
        sqlx::query("UPDATE faults SET hits = hits + 1, last_hit_at = $1 WHERE id = $2 AND (times IS NULL OR hits < times)")
            .bind(now_ms)
            .bind(id.to_owned())
            .execute(conn)
            .await?;
    Ok(done.rows_affected() > 0)
}

/// Whether a lasting fault holds a worker.
///
/// # Errors
/// When the database fails.
pub async fn holds(conn: &mut Conn, id: &str, worker_id: &str) -> Result<bool> {
    let row = sqlx::query("SELECT worker_id FROM fault_holds WHERE fault_id = $1 AND worker_id = $2")
        .bind(id.to_owned())
        .bind(worker_id.to_owned())
        .fetch_optional(conn)
        .await?;
    Ok(row.is_some())
}

/// Has a lasting fault hold a worker from now on.
///
/// # Errors
/// When there is no such fault, or the database fails.
pub async fn hold(conn: &mut Conn, id: &str, worker_id: &str) -> Result<()> {
    sqlx::query("INSERT INTO fault_holds (fault_id, worker_id) VALUES ($1, $2) ON CONFLICT (fault_id, worker_id) DO NOTHING")
        .bind(id.to_owned())
        .bind(worker_id.to_owned())
        .execute(conn)
        .await?;
    Ok(())
}

/// Removes a fault and returns whether there was one.
///
/// # Errors
/// When the database fails.
pub async fn delete(conn: &mut Conn, id: &str) -> Result<bool> {
    let done = sqlx::query("DELETE FROM faults WHERE id = $1").bind(id.to_owned()).execute(conn).await?;
    Ok(done.rows_affected() > 0)
}

/// Removes all faults and returns how many there were.
///
/// # Errors
/// When the database fails.
pub async fn clear(conn: &mut Conn) -> Result<u64> {
    Ok(sqlx::query("DELETE FROM faults").execute(conn).await?.rows_affected())
}

/// Has the reconciler look at the cluster of that ID or name, in whatever account, or at all of them: what makes them go wrong has
/// changed. A step that is under way is void, so that it cannot put off what it did not see.
///
/// # Errors
/// When the database fails.
pub async fn wake_clusters(conn: &mut Conn, id_or_name: Option<&str>, now_ms: i64) -> Result<()> {
    let wanted = id_or_name.unwrap_or_default();
    sqlx::query(
        "UPDATE clusters SET wake_at = $1, revision = revision + 1 \
         WHERE $2 = '' OR id = $3 OR name = $4",
    )
    .bind(now_ms)
    .bind(wanted.to_owned())
    .bind(wanted.to_owned())
    .bind(wanted.to_owned())
    .execute(conn)
    .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Domain, Store};

    #[tokio::test]
    async fn a_fault_strikes_no_more_often_than_it_may_and_lets_go_when_removed() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::sqlite(dir.path()).await.unwrap();
        let mut tx = store.write(Domain::Faults).await.unwrap();
        let fault = FaultRow {
            id: "f-abcd".to_owned(),
            scenario: String::new(),
            target: "{}".to_owned(),
            effect: "{}".to_owned(),
            times: Some(2),
            hits: 0,
            last_hit_at: None,
            probability: 100,
            starts_at: 5,
            expires_at: None,
            created_at: 5,
        };
        insert(&mut tx, &fault).await.unwrap();
        assert!(matches!(insert(&mut tx, &fault).await, Err(crate::Error::Duplicate)));
        for (at, strikes) in [(10, true), (20, true), (30, false)] {
            assert_eq!(hit(&mut tx, "f-abcd", at).await.unwrap(), strikes);
        }
        assert_eq!(list(&mut tx).await.unwrap(), [FaultRow { hits: 2, last_hit_at: Some(20), ..fault }]);
        hold(&mut tx, "f-abcd", "w1").await.unwrap();
        hold(&mut tx, "f-abcd", "w1").await.unwrap();
        assert!(holds(&mut tx, "f-abcd", "w1").await.unwrap());
        assert!(delete(&mut tx, "f-abcd").await.unwrap() && !delete(&mut tx, "f-abcd").await.unwrap());
        assert!(!holds(&mut tx, "f-abcd", "w1").await.unwrap());
        assert_eq!(clear(&mut tx).await.unwrap(), 0);
    }
}
