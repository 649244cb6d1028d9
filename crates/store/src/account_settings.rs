//! Settings of an account, as documents by what they are for.

use sqlx::Row as _;

use crate::{Conn, Error, Result};

/// A document of settings and how often it was changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// JSON.
    pub document: String,
    pub revision: i64,
}

/// The settings of one kind, such as `identity`; `None` for an account that never changed them.
///
/// # Errors
/// When the database fails.
pub async fn get(conn: &mut Conn, account_id: &str, kind: &str) -> Result<Option<Document>> {
    let row = sqlx::query("SELECT document, revision FROM account_settings WHERE account_id = $1 AND kind = $2")
        .bind(account_id.to_owned())
        .bind(kind.to_owned())
        .fetch_optional(conn)
        .await?;
    row.map(|row| Ok(Document { document: row.try_get("document")?, revision: row.try_get("revision")? })).transpose()
}

/// Replaces the settings of one kind, whose revision was `before` (0: they were never changed).
///
/// # Errors
/// [`Error::Stale`] if somebody else changed them since; else when the database fails.
pub async fn set(conn: &mut Conn, account_id: &str, kind: &str, document: &str, before: i64) -> Result<()> {
    let done = if before == 0 {
        let sql = "INSERT INTO account_settings (account_id, kind, document, revision) VALUES ($1, $2, $3, 1) \
                   ON CONFLICT (account_id, kind) DO NOTHING";
        sqlx::query(sql).bind(account_id.to_owned()).bind(kind.to_owned()).bind(document.to_owned()).execute(conn).await?
    } else {
        let sql = "UPDATE account_settings SET document = $1, revision = revision + 1 \
                   WHERE account_id = $2 AND kind = $3 AND revision = $4";
        let query = sqlx::query(sql).bind(document.to_owned()).bind(account_id.to_owned()).bind(kind.to_owned());
        query.bind(before).execute(conn).await?
    };
    if done.rows_affected() == 0 { Err(Error::Stale) } else { Ok(()) }
}
