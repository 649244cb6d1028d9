//! Those of an account who can be given access: users, service IDs and trusted profiles.

use sqlx::Row as _;

use crate::{Conn, Result};

/// Somebody or something that can be given access.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    pub iam_id: String,
    /// `user`, `service` or `profile`, as members of access groups are called.
    pub kind: String,
    /// Whether it must not be changed, which goes for its access too. Only service IDs can be locked.
    pub locked: bool,
}

/// The user, service ID or trusted profile that has this IAM ID, if it belongs to the account.
///
/// # Errors
/// When the database fails.
pub async fn find(conn: &mut Conn, account_id: &str, iam_id: &str) -> Result<Option<Subject>> {
    let row = sqlx::query(
        "SELECT iam_id, 'user' AS kind, CAST(0 AS BIGINT) AS locked FROM account_members WHERE account_id = $1 AND iam_id = $2 \
         UNION ALL SELECT iam_id, 'service', locked FROM service_ids WHERE account_id = $3 AND iam_id = $4 \
         UNION ALL SELECT iam_id, 'profile', CAST(0 AS BIGINT) FROM trusted_profiles WHERE account_id = $5 AND iam_id = $6",
    )
    .bind(account_id.to_owned())
    .bind(iam_id.to_owned())
    .bind(account_id.to_owned())
    .bind(iam_id.to_owned())
    .bind(account_id.to_owned())
    .bind(iam_id.to_owned())
    .fetch_optional(conn)
    .await?;
    row.map(|row| {
        Ok(Subject {
            iam_id: row.try_get("iam_id")?,
            kind: row.try_get("kind")?,
            locked: row.try_get::<i64, _>("locked")? != 0,
        })
    })
    .transpose()
}
