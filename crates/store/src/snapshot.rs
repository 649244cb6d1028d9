//! The whole database at once: saved to lines of JSON, replaced by them, and taken back to what it was after the first start.
//!
//! The first line says what the file is, the last how many rows there were and the SHA-256 of all lines before. In between, a line
//! names a table and its columns, and each row of it follows as an array of texts, integers and nulls. No type of one database
//! stands in it, so a snapshot goes from SQLite to PostgreSQL and back. Signing keys are left out, since tokens are a server's own, and so
//! is whatever is sealed, since no other server could open it. Only the secrets of clusters are carried sealed: a server that has their key
//! takes them, any other leaves them out. The trail stays where it was written.

use std::time::Duration;

use boatyard_core::seal;
use boatyard_core::secret::Hasher;
use futures::TryStreamExt as _;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sqlx::any::{AnyArguments, AnyRow};
use sqlx::query::Query;
use sqlx::{Any, AssertSqlSafe, Row as _};
use tokio::io::{AsyncBufRead, AsyncBufReadExt as _, AsyncReadExt as _};
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::SendTimeoutError;

use crate::sealing::SEALED;
use crate::{Conn, Error, Result, Store, Tx};

/// Counts incompatible changes to the form of the lines.
const FORMAT: u32 = 1;
/// The oldest schema whose rows mean the same in this one. To be raised by a migration that converts rows.
const OLDEST_SCHEMA: i64 = 3;
/// The longest line that is read, in bytes. A row holds a few documents of some kilobytes.
const LONGEST_LINE: u64 = 16 * 1024 * 1024;
/// Size from which lines are handed on, in bytes.
const PIECE: usize = 64 * 1024;
/// How long a piece may wait to be taken.
const PIECE_TIMEOUT: Duration = Duration::from_secs(60);
/// What never leaves the database, and is not replaced by what comes from another.
const LEFT_OUT: [&str; 3] = ["signing_keys", "audit_events", "installation_secrets"];
/// The table whose sealed values are part of a snapshot. There the value stands last.
const CARRIED: &str = "kube_secrets";

/// Rows of the administrator's account (`$1`) that a reset keeps. Tables that are not named here lose all their rows.
#[rustfmt::skip]
const KEPT: [(&str, &str); 10] = [
    ("settings", "name = 'administrator'"),
    ("signing_keys", "1 = 1"),
    ("installation_secrets", "1 = 1"),
    ("audit_events", "1 = 1"),
    ("accounts", "id = $1"),
    ("users", "iam_id IN (SELECT owner_iam_id FROM accounts WHERE id = $1)"),
    ("account_members", "account_id = $1 AND iam_id IN (SELECT owner_iam_id FROM accounts WHERE id = account_id)"),
    ("api_keys", "account_id = $1 AND iam_id IN (SELECT owner_iam_id FROM accounts WHERE id = account_id)"),
    ("resource_groups", "account_id = $1 AND is_default = 1"),
    ("sessions", "account_id = $1 AND iam_id IN (SELECT owner_iam_id FROM accounts WHERE id = account_id)"),
];

/// Why a snapshot was not loaded. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    #[error("The file is not a snapshot of Boatyard.")]
    Foreign,
    #[error(
        "The snapshot was saved by Boatyard {version}, which is newer than this server. Load it into a server of that version."
    )]
    Newer { version: String },
    #[error(
        "The snapshot was saved by Boatyard {version}, whose data this server reads no more. Load it into a server of that version."
    )]
    Older { version: String },
    #[error("The snapshot is damaged: {0}. Save it again, or take another one.")]
    Corrupt(String),
    #[error("the snapshot cannot be read: {0}")]
    Io(#[from] std::io::Error),
    #[error(transparent)]
    Store(#[from] Error),
}

/// The first line.
#[derive(Debug, Serialize, Deserialize)]
struct Header {
    snapshot: String,
    format: u32,
    /// The number of the newest migration.
    schema: i64,
    /// The version of Boatyard.
    version: String,
    saved_at: String,
}

/// The line before the rows of a table.
#[derive(Debug, Serialize, Deserialize)]
struct TableHead {
    table: String,
    columns: Vec<String>,
}

/// The last line.
#[derive(Debug, Serialize, Deserialize)]
struct End {
    rows: u64,
    sha256: String,
}

/// Any line but the first.
#[derive(Deserialize)]
#[serde(untagged)]
enum Line {
    Row(Vec<Value>),
    Table(TableHead),
    End { end: End },
}

/// A column and whether it holds integers; all others hold texts.
#[derive(Clone, Debug)]
struct Column {
    name: String,
    integer: bool,
}

/// All tables that the migrations made, a referenced one before those that reference it: no table can be made otherwise.
fn tables() -> Vec<String> {
    let mut tables: Vec<String> = Vec::new();
    for line in crate::database::MIGRATOR.iter().flat_map(|migration| migration.sql.as_str().lines()) {
        let words: Vec<_> = line.split([' ', ';']).collect();
        match words[..] {
            ["CREATE", "TABLE", name, ..] => tables.push(name.to_owned()),
            ["DROP", "TABLE", name, ..] => tables.retain(|table| table != name),
            ["ALTER", "TABLE", name, "RENAME", "TO", renamed, ..] => {
                tables.iter_mut().filter(|table| *table == name).for_each(|table| renamed.clone_into(table));
            }
            _ => {}
        }
    }
    tables
}

fn is_sealed(table: &str, column: &str) -> bool {
    table != CARRIED && SEALED.iter().any(|sealed| sealed.table == table && sealed.column == column)
}

/// The number of the newest migration.
fn schema() -> i64 {
    crate::database::MIGRATOR.iter().map(|migration| migration.version).max().unwrap_or(0)
}

async fn columns(conn: &mut Conn, embedded: bool, table: &str) -> Result<Vec<Column>> {
    let sql = if embedded {
        "SELECT CAST(name AS TEXT) AS name, CAST(type AS TEXT) AS type FROM pragma_table_info($1) ORDER BY cid"
    } else {
        "SELECT CAST(column_name AS TEXT) AS name, CAST(data_type AS TEXT) AS type FROM information_schema.columns \
         WHERE table_schema = current_schema() AND table_name = $1 ORDER BY ordinal_position"
    };
    let rows = sqlx::query(sql).bind(table.to_owned()).fetch_all(conn).await?;
    rows.iter()
        .map(|row| {
            let integer = row.try_get::<String, _>("type")?.eq_ignore_ascii_case("bigint");
            Ok(Column { name: row.try_get("name")?, integer })
        })
        .collect()
}

/// Saves the database as it is at one instant, in pieces of some size. Stops early if nobody takes them any more.
///
/// # Errors
/// When the database fails; what was sent by then is no complete snapshot.
pub async fn save(store: &Store, version: &str, saved_at: &str, pieces: mpsc::Sender<Vec<u8>>) -> Result<()> {
    let embedded = store.is_embedded();
    let mut tx = store.read_at_once().await?;
    let header = Header {
        snapshot: "boatyard".to_owned(),
        format: FORMAT,
        schema: schema(),
        version: version.to_owned(),
        saved_at: saved_at.to_owned(),
    };
    let mut writer = Writer { pieces, buffer: Vec::new(), hasher: Hasher::default(), rows: 0 };
    writer.line(&header).await?;
    for table in tables().into_iter().filter(|table| !LEFT_OUT.contains(&table.as_str())) {
        let mut columns = columns(&mut tx, embedded, &table).await?;
        columns.retain(|column| !is_sealed(&table, &column.name));
        let names: Vec<_> = columns.iter().map(|column| column.name.clone()).collect();
        let sql = format!("SELECT {} FROM {table}", names.join(", "));
        writer.line(&TableHead { table, columns: names }).await?;
        let mut rows = sqlx::query(AssertSqlSafe(sql)).fetch(&mut *tx);
        while let Some(row) = rows.try_next().await? {
            writer.rows += 1;
            if !writer.line(&values(&row, &columns)?).await? {
                return Ok(());
            }
        }
    }
    let end = End { rows: writer.rows, sha256: writer.hasher.hex() };
    writer.line(&json!({ "end": end })).await?;
    writer.flush().await?;
    Ok(())
}

/// Lines on their way out.
struct Writer {
    pieces: mpsc::Sender<Vec<u8>>,
    buffer: Vec<u8>,
    hasher: Hasher,
    rows: u64,
}

impl Writer {
    /// Writes a line, and tells whether anybody wants more.
    async fn line(&mut self, value: &impl Serialize) -> Result<bool> {
        let start = self.buffer.len();
        serde_json::to_writer(&mut self.buffer, value)?;
        self.buffer.push(b'\n');
        self.hasher.update(&self.buffer[start..]);
        if self.buffer.len() < PIECE { Ok(!self.pieces.is_closed()) } else { self.flush().await }
    }

    async fn flush(&mut self) -> Result<bool> {
        match self.pieces.send_timeout(std::mem::take(&mut self.buffer), PIECE_TIMEOUT).await {
            Ok(()) => Ok(true),
            Err(SendTimeoutError::Closed(_)) => Ok(false),
            // Whoever takes so long must not keep the connection from others.
            Err(SendTimeoutError::Timeout(_)) => Err(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into()).into()),
        }
    }
}

fn values(row: &AnyRow, columns: &[Column]) -> Result<Vec<Value>> {
    let value = |(index, column): (usize, &Column)| {
        Ok(match column.integer {
            true => row.try_get::<Option<i64>, _>(index)?.map_or(Value::Null, Value::from),
            false => row.try_get::<Option<String>, _>(index)?.map_or(Value::Null, Value::from),
        })
    };
    columns.iter().enumerate().map(value).collect()
}

/// Checks the beginning of a snapshot, as far as its first line: what this server cannot read need not be sent to its end.
///
/// # Errors
/// If it is something else, newer, or too old.
pub fn check_header(line: &[u8]) -> Result<(), SnapshotError> {
    let header: Header = serde_json::from_slice(line).map_err(|_| SnapshotError::Foreign)?;
    if header.snapshot != "boatyard" {
        return Err(SnapshotError::Foreign);
    }
    if header.format > FORMAT || header.schema > schema() {
        return Err(SnapshotError::Newer { version: header.version });
    }
    if header.format < FORMAT || header.schema < OLDEST_SCHEMA {
        return Err(SnapshotError::Older { version: header.version });
    }
    Ok(())
}

/// Checks a snapshot from its first line to its last, without the database.
///
/// # Errors
/// As [`check_header`], and if a line or the end is missing or was changed.
pub async fn check(mut file: impl AsyncBufRead + Unpin) -> Result<(), SnapshotError> {
    let mut hasher = Hasher::default();
    let first = next_line(&mut file).await?.ok_or(SnapshotError::Foreign)?;
    check_header(&first)?;
    hasher.update(&first);
    let mut rows = 0;
    while let Some(line) = next_line(&mut file).await? {
        match parse(&line)? {
            Line::Row(_) => rows += 1,
            Line::Table(_) => {}
            Line::End { end } => {
                let whole = end.rows == rows && end.sha256 == hasher.hex() && next_line(&mut file).await?.is_none();
                return if whole { Ok(()) } else { Err(corrupt("its contents do not match its checksum")) };
            }
        }
        hasher.update(&line);
    }
    Err(corrupt("its end is missing"))
}

/// Replaces everything but the signing keys and the trail by a snapshot that [`check`] found whole.
///
/// # Errors
/// If its rows do not fit this database; the transaction must then not be committed.
pub async fn replace(tx: &mut Tx, mut file: impl AsyncBufRead + Unpin) -> Result<(), SnapshotError> {
    let embedded = tx.is_embedded();
    let tables = tables();
    lock(tx, &tables).await?;
    for table in tables.iter().rev().filter(|table| !LEFT_OUT.contains(&table.as_str())) {
        sqlx::query(AssertSqlSafe(format!("DELETE FROM {table}"))).execute(&mut **tx).await.map_err(Error::from)?;
    }
    next_line(&mut file).await?;
    let (mut insert, mut kinds, mut carried) = (String::new(), Vec::new(), false);
    while let Some(line) = next_line(&mut file).await? {
        match parse(&line)? {
            Line::Table(head) => {
                // What stands in the file becomes part of a statement, so it must be a name of this database's.
                let known = tables.contains(&head.table) && !LEFT_OUT.contains(&head.table.as_str());
                let mut columns = if known { columns(tx, embedded, &head.table).await? } else { Vec::new() };
                columns.retain(|column| !is_sealed(&head.table, &column.name));
                let found = head.columns.iter().map(|name| columns.iter().find(|column| column.name == *name).cloned());
                kinds = found.collect::<Option<Vec<_>>>().filter(|kinds| !kinds.is_empty()).ok_or_else(|| {
                    corrupt(format!("there is no table '{}' with the columns {}", head.table, head.columns.join(", ")))
                })?;
                let places: Vec<_> = (1..=kinds.len()).map(|n| format!("${n}")).collect();
                carried = head.table == CARRIED;
                insert = format!("INSERT INTO {} ({}) VALUES ({})", head.table, head.columns.join(", "), places.join(", "));
            }
            Line::Row(row) if carried && !opens(tx, row.last()) => {}
            Line::Row(row) if row.len() == kinds.len() && !kinds.is_empty() => {
                let mut query = sqlx::query(AssertSqlSafe(insert.clone()));
                for (value, column) in row.into_iter().zip(&kinds) {
                    query = bind(query, value, column)?;
                }
                query.execute(&mut **tx).await.map_err(unfit)?;
            }
            Line::Row(_) => return Err(corrupt("a row does not have the columns of its table")),
            Line::End { .. } => return Ok(()),
        }
    }
    Err(corrupt("its end is missing"))
}

fn bind<'q>(
    query: Query<'q, Any, AnyArguments>,
    value: Value,
    column: &Column,
) -> Result<Query<'q, Any, AnyArguments>, SnapshotError> {
    Ok(match (value, column.integer) {
        (Value::Null, true) => query.bind(None::<i64>),
        (Value::Null, false) => query.bind(None::<String>),
        (Value::String(text), false) => query.bind(text),
        (Value::Number(number), true) => {
            query.bind(number.as_i64().ok_or_else(|| corrupt(format!("'{}' is out of range", column.name)))?)
        }
        _ => return Err(corrupt(format!("'{}' has a value of another type", column.name))),
    })
}

/// Whether this server has the key that a value was sealed with.
fn opens(tx: &Tx, sealed: Option<&Value>) -> bool {
    let id = sealed.and_then(Value::as_str).and_then(seal::key_id_of);
    id.is_some_and(|id| tx.sealer().key_ids().any(|known| known == id))
}

/// What the database itself finds wrong with a row is the snapshot's fault; all else is the database's.
fn unfit(error: sqlx::Error) -> SnapshotError {
    match &error {
        sqlx::Error::Database(refused) => corrupt(refused.message()),
        _ => SnapshotError::Store(error.into()),
    }
}

fn parse(line: &[u8]) -> Result<Line, SnapshotError> {
    serde_json::from_slice(line).map_err(|error| corrupt(format!("a line cannot be read ({error})")))
}

fn corrupt(what: impl Into<String>) -> SnapshotError {
    SnapshotError::Corrupt(what.into())
}

/// The next line with its end, or `None` after the last.
async fn next_line(file: &mut (impl AsyncBufRead + Unpin)) -> Result<Option<Vec<u8>>, SnapshotError> {
    let mut line = Vec::new();
    file.take(LONGEST_LINE).read_until(b'\n', &mut line).await?;
    match line.last() {
        None => Ok(None),
        Some(b'\n') => Ok(Some(line)),
        Some(_) => Err(corrupt("a line does not end")),
    }
}

/// Keeps others from writing until the transaction ends. SQLite has only one writer anyway.
async fn lock(tx: &mut Tx, tables: &[String]) -> Result<()> {
    if !tx.is_embedded() {
        let sql = format!("LOCK TABLE {} IN EXCLUSIVE MODE", tables.join(", "));
        sqlx::query(AssertSqlSafe(sql)).execute(&mut **tx).await?;
    }
    Ok(())
}

/// Takes everything away but the administrator, whose account this is, the signing keys and the trail.
///
/// # Errors
/// When the database fails.
pub async fn reset(tx: &mut Tx, administrators_account: &str) -> Result<()> {
    let tables = tables();
    lock(tx, &tables).await?;
    for table in tables.into_iter().rev() {
        let kept = KEPT.iter().find(|(name, _)| *name == table).map(|(_, rows)| *rows);
        let sql = match kept {
            Some(rows) => format!("DELETE FROM {table} WHERE NOT ({rows})"),
            None => format!("DELETE FROM {table}"),
        };
        let query = sqlx::query(AssertSqlSafe(sql));
        let query =
            if kept.is_some_and(|rows| rows.contains("$1")) { query.bind(administrators_account.to_owned()) } else { query };
        query.execute(&mut **tx).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::sealing::SealedColumn;
    use crate::{Domain, settings};

    async fn saved(store: &Store) -> Vec<u8> {
        let (sender, mut receiver) = mpsc::channel(1);
        let save = save(store, "0.0.0", "2026-01-01T00:00:00.000Z", sender);
        let collect = async {
            let mut all = Vec::new();
            while let Some(piece) = receiver.recv().await {
                all.extend(piece);
            }
            all
        };
        let (done, all) = tokio::join!(save, collect);
        done.unwrap();
        all
    }

    #[tokio::test]
    async fn every_table_of_the_database_is_known_and_its_columns_are_texts_or_integers() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::sqlite(dir.path()).await.unwrap();
        let mut conn = store.read().await.unwrap();
        let sql = "SELECT CAST(name AS TEXT) AS name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE '%sqlx%'";
        let rows = sqlx::query(sql).fetch_all(&mut *conn).await.unwrap();
        let there: BTreeSet<String> = rows.iter().map(|row| row.try_get("name").unwrap()).collect();
        assert_eq!(tables().into_iter().collect::<BTreeSet<_>>(), there);
        assert!(KEPT.iter().all(|(table, _)| there.contains(*table)));
        for SealedColumn { table, column, id } in SEALED {
            let names: Vec<_> = columns(&mut conn, true, table).await.unwrap().into_iter().map(|c| c.name).collect();
            assert!(names.iter().any(|name| name == column) && names.iter().any(|name| name == id), "{table}: {names:?}");
        }
        for table in there {
            let sql = "SELECT CAST(type AS TEXT) AS type FROM pragma_table_info($1)";
            for row in sqlx::query(sql).bind(table.clone()).fetch_all(&mut *conn).await.unwrap() {
                let kind: String = row.try_get("type").unwrap();
                assert!(kind == "TEXT" || kind == "BIGINT", "{table} has a column of type {kind}");
            }
        }
    }

    #[tokio::test]
    async fn what_was_saved_replaces_what_is_there_and_is_the_same_again() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::sqlite(dir.path()).await.unwrap();
        let set = async |value: &str| {
            let mut tx = store.write(Domain::Identity).await.unwrap();
            settings::set(&mut tx, "colour", value).await.unwrap();
            tx.commit().await.unwrap();
        };
        set("blue \"\n\u{1f6a2}").await;
        let snapshot = saved(&store).await;
        check(&*snapshot).await.unwrap();
        set("red").await;
        let before = store.generation(Domain::Fleet);
        let mut tx = store.write_all().await.unwrap();
        replace(&mut tx, &*snapshot).await.unwrap();
        tx.commit().await.unwrap();
        let colour = settings::get(&mut store.read().await.unwrap(), "colour").await.unwrap();
        assert_eq!(colour.as_deref(), Some("blue \"\n\u{1f6a2}"));
        assert_ne!(store.generation(Domain::Fleet), before, "caches of every domain notice");
        assert_eq!(saved(&store).await, snapshot);
    }
}
