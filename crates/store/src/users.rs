//! Users: the people behind accounts.

use std::fmt;

use sqlx::Row as _;
use sqlx::any::AnyRow;

use crate::{Conn, Result};

/// A user.
#[derive(Clone, PartialEq, Eq)]
pub struct User {
    /// `IBMid-` and ten characters.
    pub iam_id: String,
    /// Lower case.
    pub username: String,
    pub email: String,
    pub given_name: String,
    pub family_name: String,
    /// argon2id in PHC form; `None` for a federated user, who has no password here.
    pub password_hash: Option<String>,
    /// Milliseconds since the Unix epoch.
    pub created_at: i64,
}

impl fmt::Debug for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("User").field("iam_id", &self.iam_id).field("username", &self.username).finish_non_exhaustive()
    }
}

/// The columns of a user, for a query in which the table is called `u`.
pub(crate) const COLUMNS: &str =
    "u.iam_id, u.username, u.email, u.given_name, u.family_name, u.password_hash, u.created_at AS user_created_at";

pub(crate) fn from_row(row: &AnyRow) -> Result<User> {
    Ok(User {
        iam_id: row.try_get("iam_id")?,
        username: row.try_get("username")?,
        email: row.try_get("email")?,
        given_name: row.try_get("given_name")?,
        family_name: row.try_get("family_name")?,
        password_hash: row.try_get("password_hash")?,
        created_at: row.try_get("user_created_at")?,
    })
}

/// Adds a user.
///
/// # Errors
/// [`crate::Error::Duplicate`] if the ID or the user name is taken; else when the database fails.
pub async fn insert(conn: &mut Conn, user: &User) -> Result<()> {
    sqlx::query(
        "INSERT INTO users (iam_id, username, email, given_name, family_name, password_hash, created_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(user.iam_id.clone())
    .bind(user.username.clone())
    .bind(user.email.clone())
    .bind(user.given_name.clone())
    .bind(user.family_name.clone())
    .bind(user.password_hash.clone())
    .bind(user.created_at)
    .execute(conn)
    .await?;
    Ok(())
}

/// The user of an IAM ID.
///
/// # Errors
/// When the database fails.
pub async fn get(conn: &mut Conn, iam_id: &str) -> Result<Option<User>> {
    let row = sqlx::query(sqlx::AssertSqlSafe(format!("SELECT {COLUMNS} FROM users u WHERE u.iam_id = $1")))
        .bind(iam_id.to_owned())
        .fetch_optional(conn)
        .await?;
    row.as_ref().map(from_row).transpose()
}

/// The user of a user name, which must be in lower case.
///
/// # Errors
/// When the database fails.
pub async fn by_username(conn: &mut Conn, username: &str) -> Result<Option<User>> {
    let row = sqlx::query(sqlx::AssertSqlSafe(format!("SELECT {COLUMNS} FROM users u WHERE u.username = $1")))
        .bind(username.to_owned())
        .fetch_optional(conn)
        .await?;
    row.as_ref().map(from_row).transpose()
}

/// Gives a user another password, or none.
///
/// # Errors
/// When the database fails.
pub async fn password_set(conn: &mut Conn, iam_id: &str, password_hash: Option<String>) -> Result<()> {
    sqlx::query("UPDATE users SET password_hash = $1 WHERE iam_id = $2")
        .bind(password_hash)
        .bind(iam_id.to_owned())
        .execute(conn)
        .await?;
    Ok(())
}

/// Gives a user another name.
///
/// # Errors
/// When the database fails.
pub async fn name_set(conn: &mut Conn, iam_id: &str, given_name: &str, family_name: &str) -> Result<()> {
    sqlx::query("UPDATE users SET given_name = $1, family_name = $2 WHERE iam_id = $3")
        .bind(given_name.to_owned())
        .bind(family_name.to_owned())
        .bind(iam_id.to_owned())
        .execute(conn)
        .await?;
    Ok(())
}
