//! Accounts and who belongs to them. An account is read only for one of its members.

use sqlx::Row as _;
use sqlx::any::AnyRow;

use crate::members::ENTERS;
use crate::{Conn, Result};

/// An account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// 32 hexadecimal digits.
    pub id: String,
    pub name: String,
    /// `PAYG` and the like.
    pub kind: String,
    /// `ACTIVE` while it can be used.
    pub state: String,
    pub owner_iam_id: String,
    /// Milliseconds since the Unix epoch.
    pub created_at: i64,
    /// Milliseconds since the Unix epoch.
    pub updated_at: i64,
}

/// Lets one transaction at a time go on that takes something of an account's: names, addresses, ranges. Held until its end. On
/// SQLite there is only one writer anyway.
///
/// # Errors
/// [`crate::Error::Stale`] if the account is gone, as after a reset; else when the database fails.
pub async fn lock(conn: &mut Conn, account_id: &str) -> Result<()> {
    let locked = sqlx::query("UPDATE accounts SET updated_at = updated_at WHERE id = $1");
    let locked = locked.bind(account_id.to_owned()).execute(conn).await?;
    if locked.rows_affected() == 0 { Err(crate::Error::Stale) } else { Ok(()) }
}

/// An account as one of its members sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Membership {
    pub account: Account,
    pub owner_username: String,
    /// When the member was added, in milliseconds since the Unix epoch; lists are ordered by it, then by account ID.
    pub added_at: i64,
}

const MEMBERSHIP: &str = "SELECT a.id, a.name, a.type, a.state, a.owner_iam_id, a.created_at, a.updated_at, m.added_at, \
     o.username AS owner_username FROM account_members m JOIN accounts a ON a.id = m.account_id \
     JOIN users o ON o.iam_id = a.owner_iam_id";

fn membership(row: &AnyRow) -> Result<Membership> {
    Ok(Membership {
        account: Account {
            id: row.try_get("id")?,
            name: row.try_get("name")?,
            kind: row.try_get("type")?,
            state: row.try_get("state")?,
            owner_iam_id: row.try_get("owner_iam_id")?,
            created_at: row.try_get("created_at")?,
            updated_at: row.try_get("updated_at")?,
        },
        owner_username: row.try_get("owner_username")?,
        added_at: row.try_get("added_at")?,
    })
}

/// Adds an account. Its owner becomes a member only through [`member_add`].
///
/// # Errors
/// [`crate::Error::Duplicate`] if the ID is taken; else when the database fails.
pub async fn insert(conn: &mut Conn, account: &Account) -> Result<()> {
    sqlx::query(
        "INSERT INTO accounts (id, name, type, state, owner_iam_id, created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(account.id.clone())
    .bind(account.name.clone())
    .bind(account.kind.clone())
    .bind(account.state.clone())
    .bind(account.owner_iam_id.clone())
    .bind(account.created_at)
    .bind(account.updated_at)
    .execute(conn)
    .await?;
    Ok(())
}

/// Makes a user a member; does nothing for one who is.
///
/// # Errors
/// When the account or the user does not exist, or the database fails.
pub async fn member_add(conn: &mut Conn, account_id: &str, iam_id: &str, now_ms: i64) -> Result<()> {
    sqlx::query(
        "INSERT INTO account_members (account_id, iam_id, added_at) VALUES ($1, $2, $3) ON CONFLICT (account_id, iam_id) DO NOTHING",
    )
    .bind(account_id.to_owned())
    .bind(iam_id.to_owned())
    .bind(now_ms)
    .execute(conn)
    .await?;
    Ok(())
}

/// The account, if it exists and the user is a member of it who gets tokens for it; one who is only invited does not.
///
/// # Errors
/// When the database fails.
pub async fn get(conn: &mut Conn, account_id: &str, iam_id: &str) -> Result<Option<Membership>> {
    let row = sqlx::query(sqlx::AssertSqlSafe(format!("{MEMBERSHIP} WHERE m.account_id = $1 AND m.iam_id = $2 AND {ENTERS}")))
        .bind(account_id.to_owned())
        .bind(iam_id.to_owned())
        .fetch_optional(conn)
        .await?;
    row.as_ref().map(membership).transpose()
}

/// The first account of that name that the user owns.
///
/// # Errors
/// When the database fails.
pub async fn owned(conn: &mut Conn, name: &str, owner_iam_id: &str) -> Result<Option<Membership>> {
    let sql =
        format!("{MEMBERSHIP} WHERE m.iam_id = $1 AND a.owner_iam_id = $1 AND a.name = $2 ORDER BY a.created_at, a.id LIMIT 1");
    let row =
        sqlx::query(sqlx::AssertSqlSafe(sql)).bind(owner_iam_id.to_owned()).bind(name.to_owned()).fetch_optional(conn).await?;
    row.as_ref().map(membership).transpose()
}

/// Whether there is an account of that ID, whoever owns it.
///
/// # Errors
/// When the database fails.
pub async fn id_taken(conn: &mut Conn, id: &str) -> Result<bool> {
    let row = sqlx::query("SELECT id FROM accounts WHERE id = $1").bind(id.to_owned()).fetch_optional(conn).await?;
    Ok(row.is_some())
}

/// At most `limit` accounts that a user gets tokens for, after the one at `after` (its `added_at` and ID).
///
/// # Errors
/// When the database fails.
pub async fn list(conn: &mut Conn, iam_id: &str, after: Option<(i64, &str)>, limit: i64) -> Result<Vec<Membership>> {
    let (added_at, id) = after.unwrap_or((i64::MIN, ""));
    let rows = sqlx::query(sqlx::AssertSqlSafe(format!(
        "{MEMBERSHIP} WHERE m.iam_id = $1 AND {ENTERS} AND (m.added_at > $2 OR (m.added_at = $3 AND m.account_id > $4)) \
         ORDER BY m.added_at, m.account_id LIMIT $5"
    )))
    .bind(iam_id.to_owned())
    .bind(added_at)
    .bind(added_at)
    .bind(id.to_owned())
    .bind(limit)
    .fetch_all(conn)
    .await?;
    rows.iter().map(membership).collect()
}

/// How many accounts a user gets tokens for.
///
/// # Errors
/// When the database fails.
pub async fn count(conn: &mut Conn, iam_id: &str) -> Result<i64> {
    let row = sqlx::query(sqlx::AssertSqlSafe(format!(
        "SELECT COUNT(*) AS n FROM account_members m WHERE m.iam_id = $1 AND {ENTERS}"
    )))
    .bind(iam_id.to_owned())
    .fetch_one(conn)
    .await?;
    Ok(row.try_get("n")?)
}

#[cfg(test)]
mod tests {
    use crate::{Conn, Domain, Error, Store, accounts, users};

    async fn seed(conn: &mut Conn) {
        for (iam_id, username) in [("IBMid-A", "a@x"), ("IBMid-B", "b@x")] {
            let user = users::User {
                iam_id: iam_id.to_owned(),
                username: username.to_owned(),
                email: username.to_owned(),
                given_name: String::new(),
                family_name: String::new(),
                password_hash: None,
                created_at: 0,
            };
            users::insert(conn, &user).await.unwrap();
        }
        for (id, owner, at) in [("1", "IBMid-A", 10), ("2", "IBMid-A", 10), ("3", "IBMid-A", 20), ("4", "IBMid-B", 5)] {
            let account = accounts::Account {
                id: id.to_owned(),
                name: format!("account {id}"),
                kind: "PAYG".to_owned(),
                state: "ACTIVE".to_owned(),
                owner_iam_id: owner.to_owned(),
                created_at: at,
                updated_at: at,
            };
            accounts::insert(conn, &account).await.unwrap();
            accounts::member_add(conn, id, owner, at).await.unwrap();
        }
    }

    #[tokio::test]
    async fn only_a_members_accounts_are_read_and_pages_neither_skip_nor_repeat() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::sqlite(dir.path()).await.unwrap();
        let mut tx = store.write(Domain::Identity).await.unwrap();
        seed(&mut tx).await;

        assert_eq!(accounts::get(&mut tx, "4", "IBMid-A").await.unwrap(), None);
        assert_eq!(accounts::get(&mut tx, "4", "IBMid-B").await.unwrap().unwrap().owner_username, "b@x");
        assert_eq!(accounts::count(&mut tx, "IBMid-A").await.unwrap(), 3);

        let (mut seen, mut after) = (Vec::new(), None::<(i64, String)>);
        loop {
            let at = after.as_ref().map(|(at, id)| (*at, id.as_str()));
            let page = accounts::list(&mut tx, "IBMid-A", at, 1).await.unwrap();
            let Some(last) = page.last() else { break };
            after = Some((last.added_at, last.account.id.clone()));
            seen.extend(page.into_iter().map(|m| m.account.id));
        }
        assert_eq!(seen, ["1", "2", "3"]);
    }

    #[tokio::test]
    async fn a_taken_account_id_is_a_duplicate() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::sqlite(dir.path()).await.unwrap();
        let mut tx = store.write(Domain::Identity).await.unwrap();
        seed(&mut tx).await;
        let again = accounts::get(&mut tx, "4", "IBMid-B").await.unwrap().unwrap().account;
        assert!(matches!(accounts::insert(&mut tx, &again).await, Err(Error::Duplicate)));
    }
}
