//! What all kinds of identities (users, service IDs, trusted profiles) have in common.

use crate::{Conn, Result, sessions};

/// Removes what an account holds for an identity: its API keys, access policies, memberships of access groups, preferences, its
/// right to assume trusted profiles, and its sessions. The identity itself stays.
///
/// # Errors
/// When the database fails.
pub async fn forget(conn: &mut Conn, account_id: &str, iam_id: &str) -> Result<()> {
    const OF_ACCOUNT: [&str; 5] = [
        "DELETE FROM api_keys WHERE account_id = $1 AND iam_id = $2",
        "DELETE FROM policies WHERE account_id = $1 AND subject = $2",
        "DELETE FROM access_group_members WHERE group_id IN (SELECT id FROM access_groups WHERE account_id = $1) AND iam_id = $2",
        "DELETE FROM identity_preferences WHERE account_id = $1 AND iam_id = $2",
        "DELETE FROM trusted_profile_identities \
         WHERE profile_id IN (SELECT id FROM trusted_profiles WHERE account_id = $1) AND iam_id = $2",
    ];
    for sql in OF_ACCOUNT {
        sqlx::query(sql).bind(account_id.to_owned()).bind(iam_id.to_owned()).execute(&mut *conn).await?;
    }
    sessions::delete_by_identity(conn, iam_id, Some(account_id)).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::{Conn, Domain, Store, identities};

    const TABLES: [&str; 5] =
        ["api_keys", "policies", "access_group_members", "identity_preferences", "trusted_profile_identities"];

    /// Something of everything, for one identity in one account.
    async fn seed(conn: &mut Conn, account: &str) {
        let rows = [
            format!("INSERT INTO accounts VALUES ('{account}', 'n', 'PAYG', 'ACTIVE', 'o', 0, 0)"),
            format!("INSERT INTO access_groups VALUES ('g{account}', '{account}', 'n', '', 0, '', 0, '', 1)"),
            format!("INSERT INTO trusted_profiles VALUES ('p{account}', 'i{account}', '{account}', 'n', '', '', 0, 0, 1, '')"),
            format!(
                "INSERT INTO api_keys (id, account_id, iam_id, name, description, digest, disabled, created_at) \
                 VALUES ('k{account}', '{account}', 'me', 'n', '', 'd{account}', 0, 0)"
            ),
            format!("INSERT INTO policies VALUES ('x{account}', '{account}', 'access', 'me', 'active', '', 0, '', 0, '', 1)"),
            format!("INSERT INTO access_group_members VALUES ('g{account}', 'me', 'user', 0, '')"),
            format!("INSERT INTO identity_preferences VALUES ('{account}', 'me', 's', 'i', 'v')"),
            format!("INSERT INTO trusted_profile_identities VALUES ('p{account}', 'user', 'me', 'me', '[]', '')"),
        ];
        for row in rows {
            sqlx::query(sqlx::AssertSqlSafe(row)).execute(&mut *conn).await.unwrap();
        }
    }

    #[tokio::test]
    async fn what_one_account_holds_for_an_identity_goes_and_what_another_holds_stays() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::sqlite(dir.path()).await.unwrap();
        let mut tx = store.write(Domain::Identity).await.unwrap();
        seed(&mut tx, "a").await;
        seed(&mut tx, "b").await;
        identities::forget(&mut tx, "a", "me").await.unwrap();
        for table in TABLES {
            let sql = format!("SELECT * FROM {table}");
            let rows = sqlx::query(sqlx::AssertSqlSafe(sql)).fetch_all(&mut *tx).await.unwrap();
            assert_eq!(rows.len(), 1, "{table}");
        }
    }
}
