//! Objects of virtual clusters: what was written through their Kubernetes API. Read whole and written by revision.

use boatyard_core::seal::{Place, Sealer};
use boatyard_core::secret::ExposeSecret as _;
use sqlx::{AssertSqlSafe, Row as _};

use crate::sealing::unopened;
use crate::{Conn, Domain, Error, Result, Store};

/// The resource whose objects are sealed.
const SECRETS: &str = "secrets";
/// How many rows one statement writes or deletes.
const AT_ONCE: usize = 100;

/// Which object of a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectKey {
    /// `pods`, `deployments.apps`
    pub resource: String,
    /// Empty for what is in none.
    pub namespace: String,
    pub name: String,
}

/// An object as it was last written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectRow {
    pub key: ObjectKey,
    pub revision: i64,
    /// JSON; `None` for an object that every cluster begins with and that was deleted.
    pub value: Option<String>,
}

/// Changes of one cluster that become durable together. No object is named twice.
#[derive(Clone, Debug)]
pub struct Commit {
    pub cluster_id: String,
    /// The revision that was changed; 0 for a cluster that nothing was written of.
    pub base: i64,
    pub revision: i64,
    pub puts: Vec<ObjectRow>,
    pub removals: Vec<ObjectKey>,
    /// When controllers look again, in milliseconds since the Unix epoch.
    pub wake_at: Option<i64>,
}

/// The revision of a cluster and all its objects, as they are together; revision 0 if nothing was written yet.
///
/// # Errors
/// [`Error::EncryptionKey`] if a secret cannot be opened; else when the database fails.
pub async fn load(store: &Store, cluster_id: &str) -> Result<(i64, Vec<ObjectRow>)> {
    // Between one statement and the next another replica may commit.
    read(&mut *store.read_at_once().await?, store.sealer(), cluster_id).await
}

async fn read(conn: &mut Conn, sealer: &Sealer, cluster_id: &str) -> Result<(i64, Vec<ObjectRow>)> {
    let Some(revision) = revision(conn, cluster_id).await? else { return Ok((0, Vec::new())) };
    let rows = sqlx::query("SELECT resource, namespace, name, revision, value FROM kube_objects WHERE cluster_id = $1")
        .bind(cluster_id.to_owned())
        .fetch_all(&mut *conn)
        .await?;
    let mut objects = Vec::with_capacity(rows.len());
    for row in &rows {
        let key =
            ObjectKey { resource: row.try_get("resource")?, namespace: row.try_get("namespace")?, name: row.try_get("name")? };
        objects.push(ObjectRow { key, revision: row.try_get("revision")?, value: row.try_get("value")? });
    }
    let rows = sqlx::query("SELECT id, namespace, name, revision, value FROM kube_secrets WHERE cluster_id = $1")
        .bind(cluster_id.to_owned())
        .fetch_all(conn)
        .await?;
    for row in &rows {
        let id: String = row.try_get("id")?;
        let sealed: Option<String> = row.try_get("value")?;
        let value = sealed.map(|sealed| sealer.open(place(&id), &sealed)).transpose();
        let value = value.map_err(|error| unopened(sealer, "kube_secrets", error))?;
        let key = ObjectKey { resource: SECRETS.to_owned(), namespace: row.try_get("namespace")?, name: row.try_get("name")? };
        let value = value.map(|value| value.expose_secret().to_owned());
        objects.push(ObjectRow { key, revision: row.try_get("revision")?, value });
    }
    Ok((revision, objects))
}

/// The revision of the last commit, `None` if there was none.
///
/// # Errors
/// When the database fails.
pub async fn revision(conn: &mut Conn, cluster_id: &str) -> Result<Option<i64>> {
    let row = sqlx::query("SELECT revision FROM kube_clusters WHERE cluster_id = $1")
        .bind(cluster_id.to_owned())
        .fetch_optional(conn)
        .await?;
    Ok(row.map(|row| row.try_get("revision")).transpose()?)
}

/// Clusters whose controllers are to look again by `now`, in milliseconds, and when the next one after them is.
///
/// # Errors
/// When the database fails.
pub async fn due(conn: &mut Conn, now: i64) -> Result<(Vec<String>, Option<i64>)> {
    let rows = sqlx::query("SELECT cluster_id FROM kube_clusters WHERE wake_at <= $1 ORDER BY wake_at")
        .bind(now)
        .fetch_all(&mut *conn)
        .await?;
    let due = rows.iter().map(|row| row.try_get("cluster_id")).collect::<Result<_, _>>()?;
    let row =
        sqlx::query("SELECT MIN(wake_at) AS next FROM kube_clusters WHERE wake_at > $1").bind(now).fetch_one(conn).await?;
    Ok((due, row.try_get("next")?))
}

/// Makes commits durable, in one transaction where that is possible: what it costs to write to disk is then paid once. Each has its
/// own result: [`Error::Stale`] for one whose base is not the cluster's revision any more, which writes nothing.
pub async fn commit(store: &Store, commits: &[&Commit]) -> Vec<Result<()>> {
    match attempt(store, commits).await {
        Ok(results) => results,
        Err(error) if commits.len() == 1 => vec![Err(error)],
        // One that the database does not take, for instance because its cluster is gone, must not take others with it.
        Err(_) => {
            let mut results = Vec::with_capacity(commits.len());
            for one in commits {
                results.push(attempt(store, &[one]).await.and_then(|mut only| only.pop().unwrap_or(Ok(()))));
            }
            results
        }
    }
}

/// All in one transaction; an error means that nothing was written.
async fn attempt(store: &Store, commits: &[&Commit]) -> Result<Vec<Result<()>>> {
    let mut tx = store.write(Domain::Kube).await?;
    let mut results = Vec::with_capacity(commits.len());
    for commit in commits {
        match advance(&mut tx, commit).await {
            Ok(()) => write(&mut tx, store.sealer(), commit).await?,
            Err(Error::Stale) => {
                results.push(Err(Error::Stale));
                continue;
            }
            Err(error) => return Err(error),
        }
        results.push(Ok(()));
    }
    tx.commit().await?;
    Ok(results)
}

/// Counts the cluster's revision up, if it is the one that was changed. Whoever does so first has it to themselves until the end of
/// the transaction.
async fn advance(conn: &mut Conn, commit: &Commit) -> Result<()> {
    let done = sqlx::query("UPDATE kube_clusters SET revision = $1, wake_at = $2 WHERE cluster_id = $3 AND revision = $4")
        .bind(commit.revision)
        .bind(commit.wake_at)
        .bind(commit.cluster_id.clone())
        .bind(commit.base)
        .execute(&mut *conn)
        .await?;
    if done.rows_affected() == 1 {
        return Ok(());
    }
    if commit.base != 0 {
        return Err(Error::Stale);
    }
    let done = sqlx::query(
        "INSERT INTO kube_clusters (cluster_id, revision, wake_at) VALUES ($1, $2, $3) ON CONFLICT (cluster_id) DO NOTHING",
    )
    .bind(commit.cluster_id.clone())
    .bind(commit.revision)
    .bind(commit.wake_at)
    .execute(conn)
    .await?;
    if done.rows_affected() == 1 { Ok(()) } else { Err(Error::Stale) }
}

async fn write(conn: &mut Conn, sealer: &Sealer, commit: &Commit) -> Result<()> {
    let is_secret = |key: &ObjectKey| key.resource == SECRETS;
    let (secrets, objects): (Vec<_>, Vec<_>) = commit.puts.iter().partition(|row| is_secret(&row.key));
    for rows in objects.chunks(AT_ONCE) {
        // Made of constants and numbers only.
        let sql = format!(
            "INSERT INTO kube_objects (cluster_id, resource, namespace, name, revision, value) VALUES {} \
             ON CONFLICT (cluster_id, resource, namespace, name) DO UPDATE SET revision = excluded.revision, value = excluded.value",
            places(rows.len(), 6)
        );
        let mut query = sqlx::query(AssertSqlSafe(sql));
        for ObjectRow { key, revision, value } in rows {
            query = query.bind(commit.cluster_id.clone()).bind(key.resource.clone()).bind(key.namespace.clone());
            query = query.bind(key.name.clone()).bind(*revision).bind(value.clone());
        }
        query.execute(&mut *conn).await?;
    }
    for ObjectRow { key, revision, value } in secrets {
        let id = secret_id(&commit.cluster_id, key);
        sqlx::query(
            "INSERT INTO kube_secrets (id, cluster_id, namespace, name, revision, value) VALUES ($1, $2, $3, $4, $5, $6) \
             ON CONFLICT (id) DO UPDATE SET revision = excluded.revision, value = excluded.value",
        )
        .bind(id.clone())
        .bind(commit.cluster_id.clone())
        .bind(key.namespace.clone())
        .bind(key.name.clone())
        .bind(*revision)
        .bind(value.as_ref().map(|value| sealer.seal(place(&id), value)))
        .execute(&mut *conn)
        .await?;
    }
    let (secrets, objects): (Vec<_>, Vec<_>) = commit.removals.iter().partition(|key| is_secret(key));
    for keys in objects.chunks(AT_ONCE) {
        let one = |n: usize| format!("(resource = ${} AND namespace = ${} AND name = ${})", n * 3 + 2, n * 3 + 3, n * 3 + 4);
        let any = (0..keys.len()).map(one).collect::<Vec<_>>().join(" OR ");
        // Made of constants and numbers only.
        let sql = format!("DELETE FROM kube_objects WHERE cluster_id = $1 AND ({any})");
        let mut query = sqlx::query(AssertSqlSafe(sql)).bind(commit.cluster_id.clone());
        for key in keys {
            query = query.bind(key.resource.clone()).bind(key.namespace.clone()).bind(key.name.clone());
        }
        query.execute(&mut *conn).await?;
    }
    for key in secrets {
        let id = secret_id(&commit.cluster_id, key);
        sqlx::query("DELETE FROM kube_secrets WHERE id = $1").bind(id).execute(&mut *conn).await?;
    }
    Ok(())
}

/// `($1, $2), ($3, $4)` for two rows of two columns.
fn places(rows: usize, columns: usize) -> String {
    let row = |row: usize| (1..=columns).map(|column| format!("${}", row * columns + column)).collect::<Vec<_>>().join(", ");
    (0..rows).map(|n| format!("({})", row(n))).collect::<Vec<_>>().join(", ")
}

fn secret_id(cluster_id: &str, key: &ObjectKey) -> String {
    format!("{cluster_id}/{}/{}", key.namespace, key.name)
}

fn place(id: &str) -> Place<'_> {
    Place::new("kube_secrets", "value", id)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn store_with_cluster(dir: &std::path::Path) -> Store {
        let store = Store::sqlite(dir).await.unwrap();
        let mut tx = store.write_all().await.unwrap();
        for sql in [
            "INSERT INTO accounts VALUES ('a', 'A', 'TRIAL', 'ACTIVE', 'IBMid-1', 0, 0)",
            "INSERT INTO resource_groups (id, account_id, name, is_default) VALUES ('g', 'a', 'default', 1)",
            "INSERT INTO clusters (id, account_id, name, provider, region, resource_group_id, state, state_since, desired, spec, \
             status, created_at, modified_at, revision) VALUES ('c', 'a', 'c', 'classic', 'us', 'g', '', 0, '', '', '', 0, 0, 1)",
        ] {
            sqlx::query(sql).execute(&mut *tx).await.unwrap();
        }
        tx.commit().await.unwrap();
        store
    }

    fn key(resource: &str, name: &str) -> ObjectKey {
        ObjectKey { resource: resource.to_owned(), namespace: "default".to_owned(), name: name.to_owned() }
    }

    fn put(resource: &str, name: &str, revision: i64, value: &str) -> ObjectRow {
        ObjectRow { key: key(resource, name), revision, value: Some(value.to_owned()) }
    }

    fn commit_of(cluster: &str, base: i64, revision: i64, puts: Vec<ObjectRow>, removals: Vec<ObjectKey>) -> Commit {
        Commit { cluster_id: cluster.to_owned(), base, revision, puts, removals, wake_at: Some(revision * 100) }
    }

    async fn loaded(store: &Store) -> (i64, Vec<ObjectRow>) {
        load(store, "c").await.unwrap()
    }

    #[tokio::test]
    async fn what_is_loaded_is_of_one_revision_whatever_is_committed_meanwhile() {
        let dir = tempfile::tempdir().unwrap();
        let store = store_with_cluster(dir.path()).await;
        let puts = |revision, value| vec![put("pods", "p", revision, value), put("secrets", "s", revision, value)];
        commit(&store, &[&commit_of("c", 0, 1, puts(1, "{}"), Vec::new())]).await.remove(0).unwrap();
        let mut tx = store.read_at_once().await.unwrap();
        assert_eq!(revision(&mut tx, "c").await.unwrap(), Some(1));
        commit(&store, &[&commit_of("c", 1, 2, puts(2, "[]"), Vec::new())]).await.remove(0).unwrap();
        assert_eq!(read(&mut tx, store.sealer(), "c").await.unwrap(), (1, puts(1, "{}")));
        assert_eq!(loaded(&store).await, (2, puts(2, "[]")));
    }

    #[tokio::test]
    async fn commits_follow_one_another_and_a_stale_one_writes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let store = store_with_cluster(dir.path()).await;
        assert_eq!(loaded(&store).await, (0, Vec::new()));
        let many: Vec<_> = (0..250).map(|n| put("pods", &format!("p{n}"), 1, "{}")).collect();
        let first = commit_of("c", 0, 1, many, Vec::new());
        let stale = commit_of("c", 0, 9, vec![put("pods", "other", 9, "{}")], Vec::new());
        let second =
            commit_of("c", 1, 2, vec![put("pods", "p0", 2, "[]")], (1..250).map(|n| key("pods", &format!("p{n}"))).collect());
        let elsewhere = commit_of("no-such-cluster", 0, 1, Vec::new(), Vec::new());
        let results = commit(&store, &[&first, &stale, &elsewhere, &second]).await;
        assert!(matches!(results[..], [Ok(()), Err(Error::Stale), Err(Error::Database(_)), Ok(())]), "{results:?}");
        assert_eq!(loaded(&store).await, (2, vec![put("pods", "p0", 2, "[]")]));
        // After a reset a writer still holds on to a revision that is gone.
        let mut tx = store.write(Domain::Kube).await.unwrap();
        sqlx::query("DELETE FROM kube_clusters").execute(&mut *tx).await.unwrap();
        tx.commit().await.unwrap();
        let results = commit(&store, &[&commit_of("c", 2, 3, Vec::new(), Vec::new())]).await;
        assert!(matches!(results[..], [Err(Error::Stale)]), "{results:?}");
        assert_eq!(loaded(&store).await, (0, Vec::new()));
    }

    #[tokio::test]
    async fn secrets_are_sealed_and_go_with_their_cluster() {
        let dir = tempfile::tempdir().unwrap();
        let store = store_with_cluster(dir.path()).await;
        let deleted = ObjectRow { key: key("services", "kubernetes"), revision: 1, value: None };
        let puts = vec![put("secrets", "s", 1, r#"{"data":{"password":"aHVudGVyMg=="}}"#), deleted];
        commit(&store, &[&commit_of("c", 0, 1, puts.clone(), Vec::new())]).await.remove(0).unwrap();
        let mut all = loaded(&store).await.1;
        all.sort_by_key(|row| row.key.resource.clone());
        assert_eq!(all, puts);
        let row = sqlx::query("SELECT value FROM kube_secrets").fetch_one(&mut *store.read().await.unwrap()).await.unwrap();
        assert!(row.try_get::<String, _>("value").unwrap().starts_with(boatyard_core::seal::PREFIX));
        commit(&store, &[&commit_of("c", 1, 2, Vec::new(), vec![key("secrets", "s")])]).await.remove(0).unwrap();
        assert_eq!(loaded(&store).await.1, puts[1..]);
        let mut tx = store.write(Domain::Fleet).await.unwrap();
        sqlx::query("DELETE FROM clusters").execute(&mut *tx).await.unwrap();
        tx.commit().await.unwrap();
        let row =
            sqlx::query("SELECT COUNT(*) AS n FROM kube_objects").fetch_one(&mut *store.read().await.unwrap()).await.unwrap();
        assert_eq!(row.try_get::<i64, _>("n").unwrap(), 0);
    }

    #[tokio::test]
    async fn tells_which_clusters_are_due_and_when_the_next_is() {
        let dir = tempfile::tempdir().unwrap();
        let store = store_with_cluster(dir.path()).await;
        commit(&store, &[&commit_of("c", 0, 5, Vec::new(), Vec::new())]).await.remove(0).unwrap();
        let mut conn = store.read().await.unwrap();
        for (now, expected) in [(499, (vec![], Some(500))), (500, (vec!["c".to_owned()], None))] {
            assert_eq!(due(&mut conn, now).await.unwrap(), expected, "{now}");
        }
    }
}
