//! What identities prefer while they work in an account.

use sqlx::Row as _;

use crate::{Conn, Result};

/// One preference of one identity in one account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Preference {
    pub service: String,
    pub id: String,
    /// JSON: a text or a list of texts.
    pub value: String,
}

/// The preferences of an identity in an account, by service and ID.
///
/// # Errors
/// When the database fails.
pub async fn list(conn: &mut Conn, account_id: &str, iam_id: &str) -> Result<Vec<Preference>> {
    let sql = "SELECT service, id, value FROM identity_preferences WHERE account_id = $1 AND iam_id = $2 ORDER BY service, id";
    let rows = sqlx::query(sql).bind(account_id.to_owned()).bind(iam_id.to_owned()).fetch_all(conn).await?;
    rows.iter()
        .map(|row| Ok(Preference { service: row.try_get("service")?, id: row.try_get("id")?, value: row.try_get("value")? }))
        .collect()
}

/// Sets a preference.
///
/// # Errors
/// When the account does not exist, or the database fails.
pub async fn set(conn: &mut Conn, account_id: &str, iam_id: &str, preference: &Preference) -> Result<()> {
    sqlx::query(
        "INSERT INTO identity_preferences (account_id, iam_id, service, id, value) VALUES ($1, $2, $3, $4, $5) \
         ON CONFLICT (account_id, iam_id, service, id) DO UPDATE SET value = excluded.value",
    )
    .bind(account_id.to_owned())
    .bind(iam_id.to_owned())
    .bind(preference.service.clone())
    .bind(preference.id.clone())
    .bind(preference.value.clone())
    .execute(conn)
    .await?;
    Ok(())
}

/// Removes a preference. Returns whether it was set.
///
/// # Errors
/// When the database fails.
pub async fn delete(conn: &mut Conn, account_id: &str, iam_id: &str, service: &str, id: &str) -> Result<bool> {
    let sql = "DELETE FROM identity_preferences WHERE account_id = $1 AND iam_id = $2 AND service = $3 AND id = $4";
    let query =
        sqlx::query(sql).bind(account_id.to_owned()).bind(iam_id.to_owned()).bind(service.to_owned()).bind(id.to_owned());
    Ok(query.execute(conn).await?.rows_affected() > 0)
}
