//! Logins. A session that is not here is over, whatever tokens are out.

use sqlx::Row as _;
use sqlx::any::AnyRow;

use crate::{Conn, Result};

/// A login and what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// `C-` and a UUID.
    pub id: String,
    /// Of a user, a service ID or a trusted profile.
    pub iam_id: String,
    /// `None`: not scoped to an account.
    pub account_id: Option<String>,
    pub client_id: String,
    /// Of the login.
    pub grant_type: String,
    /// The key that was used; the session ends with it.
    pub api_key_id: Option<String>,
    /// Milliseconds since the Unix epoch.
    pub created_at: i64,
    /// When a token was last issued in it, in milliseconds since the Unix epoch.
    pub used_at: i64,
    /// The session that the login began, if this is another one that came of it.
    pub family_id: Option<String>,
    /// When that login was, in milliseconds since the Unix epoch.
    pub origin_at: Option<i64>,
}

impl Session {
    /// What all sessions that came of one login have in common.
    #[must_use]
    pub fn family(&self) -> &str {
        self.family_id.as_deref().unwrap_or(&self.id)
    }

    /// When the login was that this session came of, in milliseconds since the Unix epoch.
    #[must_use]
    pub fn origin(&self) -> i64 {
        self.origin_at.unwrap_or(self.created_at)
    }
}

fn from_row(row: &AnyRow) -> Result<Session> {
    Ok(Session {
        id: row.try_get("id")?,
        iam_id: row.try_get("iam_id")?,
        account_id: row.try_get("account_id")?,
        client_id: row.try_get("client_id")?,
        grant_type: row.try_get("grant_type")?,
        api_key_id: row.try_get("api_key_id")?,
        created_at: row.try_get("created_at")?,
        used_at: row.try_get("used_at")?,
        family_id: row.try_get("family_id")?,
        origin_at: row.try_get("origin_at")?,
    })
}

const COLUMNS: &str = "id, iam_id, account_id, client_id, grant_type, api_key_id, created_at, used_at, family_id, origin_at";

/// Adds a session.
///
/// # Errors
/// When the database fails.
pub async fn insert(conn: &mut Conn, session: &Session) -> Result<()> {
    let sql = format!("INSERT INTO sessions ({COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)");
    sqlx::query(sqlx::AssertSqlSafe(sql))
        .bind(session.id.clone())
        .bind(session.iam_id.clone())
        .bind(session.account_id.clone())
        .bind(session.client_id.clone())
        .bind(session.grant_type.clone())
        .bind(session.api_key_id.clone())
        .bind(session.created_at)
        .bind(session.used_at)
        .bind(session.family_id.clone())
        .bind(session.origin_at)
        .execute(conn)
        .await?;
    Ok(())
}

/// The session of that ID. Whoever holds a token of it may see it.
///
/// # Errors
/// When the database fails.
pub async fn get(conn: &mut Conn, id: &str) -> Result<Option<Session>> {
    let row = sqlx::query(sqlx::AssertSqlSafe(format!("SELECT {COLUMNS} FROM sessions WHERE id = $1")))
        .bind(id.to_owned())
        .fetch_optional(conn)
        .await?;
    row.as_ref().map(from_row).transpose()
}

/// Notes that a session was used, and for which account if it was for none. Returns whether it is there.
///
/// # Errors
/// When the database fails.
pub async fn touch(conn: &mut Conn, id: &str, account_id: Option<&str>, now_ms: i64) -> Result<bool> {
    let done = sqlx::query("UPDATE sessions SET used_at = $1, account_id = COALESCE(account_id, $2) WHERE id = $3")
        .bind(now_ms)
        .bind(account_id.map(str::to_owned))
        .bind(id.to_owned())
        .execute(conn)
        .await?;
    Ok(done.rows_affected() > 0)
}

/// Sessions of an identity in an account, the oldest first.
///
/// # Errors
/// When the database fails.
pub async fn list(conn: &mut Conn, iam_id: &str, account_id: Option<&str>) -> Result<Vec<Session>> {
    let sql =
        format!("SELECT {COLUMNS} FROM sessions WHERE iam_id = $1 AND COALESCE(account_id, '') = $2 ORDER BY created_at, id");
    let rows = sqlx::query(sqlx::AssertSqlSafe(sql))
        .bind(iam_id.to_owned())
        .bind(account_id.unwrap_or_default().to_owned())
        .fetch_all(conn)
        .await?;
    rows.iter().map(from_row).collect()
}

/// Which sessions to read.
#[derive(Clone, Copy, Debug, Default)]
pub struct Filter<'a> {
    pub iam_id: Option<&'a str>,
    pub account_id: Option<&'a str>,
    /// After the session that began then and has this ID.
    pub after: Option<(i64, &'a str)>,
    pub limit: i64,
}

/// Sessions, the oldest first.
///
/// # Errors
/// When the database fails.
pub async fn page(conn: &mut Conn, filter: Filter<'_>) -> Result<Vec<Session>> {
    let (created_at, id) = filter.after.unwrap_or((i64::MIN, ""));
    let mut sql = format!("SELECT {COLUMNS} FROM sessions WHERE (created_at > $1 OR (created_at = $2 AND id > $3))");
    let equals = [("iam_id", filter.iam_id), ("account_id", filter.account_id)];
    let equals: Vec<_> = equals.into_iter().filter_map(|(column, value)| Some((column, value?))).collect();
    for (n, (column, _)) in equals.iter().enumerate() {
        sql.push_str(&format!(" AND {column} = ${}", n + 4));
    }
    sql.push_str(&format!(" ORDER BY created_at, id LIMIT ${}", equals.len() + 4));
    let mut query = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(created_at).bind(created_at).bind(id.to_owned());
    for (_, value) in &equals {
        query = query.bind((*value).to_owned());
    }
    let rows = query.bind(filter.limit).fetch_all(conn).await?;
    rows.iter().map(from_row).collect()
}

/// Ends a session: it and its refresh tokens of either kind are gone. Returns whether it was there.
///
/// # Errors
/// When the database fails.
pub async fn delete(conn: &mut Conn, id: &str) -> Result<bool> {
    Ok(delete_where(conn, "id = $1", id, None).await? > 0)
}

/// Ends all sessions that came of the same login, and returns how many there were.
///
/// # Errors
/// When the database fails.
pub async fn delete_family(conn: &mut Conn, family: &str) -> Result<u64> {
    let mut all = 0;
    // One that is being added now has locked the one that it comes of: it is seen by the next attempt, once that lock was waited for.
    loop {
        match delete_where(conn, "(id = $1 OR family_id = $1)", family, None).await? {
            0 => return Ok(all),
            some => all += some,
        }
    }
}

/// Ends all sessions of an identity, in one account or everywhere, and returns how many there were.
///
/// # Errors
/// When the database fails.
pub async fn delete_by_identity(conn: &mut Conn, iam_id: &str, account_id: Option<&str>) -> Result<u64> {
    match account_id {
        Some(account_id) => delete_where(conn, "iam_id = $1 AND account_id = $2", iam_id, Some(account_id)).await,
        None => delete_where(conn, "iam_id = $1", iam_id, None).await,
    }
}

/// Ends all sessions that an API key began, and returns how many there were.
///
/// # Errors
/// When the database fails.
pub async fn delete_by_key(conn: &mut Conn, api_key_id: &str) -> Result<u64> {
    delete_where(conn, "api_key_id = $1", api_key_id, None).await
}

async fn delete_where(conn: &mut Conn, condition: &str, first: &str, second: Option<&str>) -> Result<u64> {
    let tokens = format!("DELETE FROM refresh_tokens WHERE session_id IN (SELECT id FROM sessions WHERE {condition})");
    let sessions = format!("DELETE FROM sessions WHERE {condition}");
    let mut done = 0;
    for sql in [tokens, sessions] {
        let mut query = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(first.to_owned());
        if let Some(second) = second {
            query = query.bind(second.to_owned());
        }
        done = query.execute(&mut *conn).await?.rows_affected();
    }
    Ok(done)
}

/// Deletes sessions that have no refresh token left and were last used before `before` (milliseconds since the Unix epoch), and
/// returns how many there were.
///
/// # Errors
/// When the database fails.
pub async fn unused_delete(conn: &mut Conn, before: i64) -> Result<u64> {
    let sql = "DELETE FROM sessions WHERE used_at < $1 \
               AND NOT EXISTS (SELECT 1 FROM refresh_tokens WHERE refresh_tokens.session_id = sessions.id)";
    Ok(sqlx::query(sql).bind(before).execute(conn).await?.rows_affected())
}
