//! Members of accounts: users as an account knows them, from the invitation to the removal.

use sqlx::Row as _;
use sqlx::any::AnyRow;

use crate::{Conn, Result, identities};

/// The condition under which a member (`m`) gets tokens for the account.
pub(crate) const ENTERS: &str = "m.state IN ('ACTIVE', 'DISABLED_CLASSIC_INFRASTRUCTURE')";

/// A user as a member of an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    pub account_id: String,
    pub iam_id: String,
    /// Lower case.
    pub username: String,
    pub email: String,
    pub given_name: String,
    pub family_name: String,
    /// `PENDING` until the invitation is accepted.
    pub state: String,
    /// What the account says of the user, where that is not what the user's own row says; JSON.
    pub profile: String,
    /// JSON.
    pub settings: String,
    /// When the user was invited or added, in milliseconds since the Unix epoch.
    pub added_at: i64,
    /// Whether the account is the user's own.
    pub owner: bool,
}

const MEMBER: &str = "SELECT m.account_id, m.iam_id, u.username, u.email, u.given_name, u.family_name, m.state, m.profile, \
     m.settings, m.added_at, a.owner_iam_id \
     FROM account_members m JOIN users u ON u.iam_id = m.iam_id JOIN accounts a ON a.id = m.account_id";

fn member(row: &AnyRow) -> Result<Member> {
    let iam_id: String = row.try_get("iam_id")?;
    Ok(Member {
        account_id: row.try_get("account_id")?,
        owner: iam_id == row.try_get::<String, _>("owner_iam_id")?,
        iam_id,
        username: row.try_get("username")?,
        email: row.try_get("email")?,
        given_name: row.try_get("given_name")?,
        family_name: row.try_get("family_name")?,
        state: row.try_get("state")?,
        profile: row.try_get("profile")?,
        settings: row.try_get("settings")?,
        added_at: row.try_get("added_at")?,
    })
}

/// A member of an account, whatever the state.
///
/// # Errors
/// When the database fails.
pub async fn get(conn: &mut Conn, account_id: &str, iam_id: &str) -> Result<Option<Member>> {
    let row = sqlx::query(sqlx::AssertSqlSafe(format!("{MEMBER} WHERE m.account_id = $1 AND m.iam_id = $2")))
        .bind(account_id.to_owned())
        .bind(iam_id.to_owned())
        .fetch_optional(conn)
        .await?;
    row.as_ref().map(member).transpose()
}

/// All members of an account, the oldest first.
///
/// # Errors
/// When the database fails.
pub async fn list(conn: &mut Conn, account_id: &str) -> Result<Vec<Member>> {
    let rows = sqlx::query(sqlx::AssertSqlSafe(format!("{MEMBER} WHERE m.account_id = $1 ORDER BY m.added_at, m.iam_id")))
        .bind(account_id.to_owned())
        .fetch_all(conn)
        .await?;
    rows.iter().map(member).collect()
}

/// Invites a user; does nothing for a member, invited or active.
///
/// # Errors
/// When the account or the user does not exist, or the database fails.
pub async fn invite(conn: &mut Conn, account_id: &str, iam_id: &str, now_ms: i64) -> Result<()> {
    sqlx::query(
        "INSERT INTO account_members (account_id, iam_id, added_at, state) VALUES ($1, $2, $3, 'PENDING') \
         ON CONFLICT (account_id, iam_id) DO NOTHING",
    )
    .bind(account_id.to_owned())
    .bind(iam_id.to_owned())
    .bind(now_ms)
    .execute(conn)
    .await?;
    Ok(())
}

/// Writes state, profile and settings of a member.
///
/// # Errors
/// [`crate::Error::Stale`] if the user is no member any more; else when the database fails.
pub async fn update(conn: &mut Conn, member: &Member) -> Result<()> {
    let sql = "UPDATE account_members SET state = $1, profile = $2, settings = $3 WHERE account_id = $4 AND iam_id = $5";
    let done = sqlx::query(sql)
        .bind(member.state.clone())
        .bind(member.profile.clone())
        .bind(member.settings.clone())
        .bind(member.account_id.clone())
        .bind(member.iam_id.clone())
        .execute(conn)
        .await?;
    if done.rows_affected() == 0 { Err(crate::Error::Stale) } else { Ok(()) }
}

/// Takes a user out of an account, with the API keys, sessions, refresh tokens, policies and access groups that the user has in it.
///
/// # Errors
/// When the database fails.
pub async fn remove(conn: &mut Conn, account_id: &str, iam_id: &str) -> Result<()> {
    const STEPS: [&str; 2] = [
        // Tokens of a session for another account may have been issued for this one as well.
        "DELETE FROM refresh_tokens WHERE account_id = $1 AND iam_id = $2",
        "DELETE FROM account_members WHERE account_id = $1 AND iam_id = $2",
    ];
    identities::forget(conn, account_id, iam_id).await?;
    for sql in STEPS {
        sqlx::query(sql).bind(account_id.to_owned()).bind(iam_id.to_owned()).execute(&mut *conn).await?;
    }
    Ok(())
}

/// Documents of the access policies that an account has for an identity.
///
/// # Errors
/// When the database fails.
pub async fn policies(conn: &mut Conn, account_id: &str, iam_id: &str) -> Result<Vec<String>> {
    let sql = "SELECT document FROM policies WHERE account_id = $1 AND subject = $2 AND type = 'access' AND state = 'active'";
    let rows = sqlx::query(sql).bind(account_id.to_owned()).bind(iam_id.to_owned()).fetch_all(conn).await?;
    rows.iter().map(|row| Ok(row.try_get("document")?)).collect()
}

/// An access policy to be added.
#[derive(Clone, Debug)]
pub struct NewPolicy<'a> {
    /// A UUID.
    pub id: String,
    pub account_id: &'a str,
    /// IAM ID of whom it is for.
    pub subject: &'a str,
    /// In the form of v2.
    pub document: String,
    /// IAM ID of who made it.
    pub by: &'a str,
    /// Milliseconds since the Unix epoch.
    pub now_ms: i64,
}

/// Adds an access policy.
///
/// # Errors
/// When the database fails.
pub async fn policy_add(conn: &mut Conn, new: NewPolicy<'_>) -> Result<()> {
    sqlx::query(
        "INSERT INTO policies (id, account_id, type, subject, state, document, created_at, created_by, modified_at, modified_by, \
         revision) VALUES ($1, $2, 'access', $3, 'active', $4, $5, $6, $7, $8, 1)",
    )
    .bind(new.id)
    .bind(new.account_id.to_owned())
    .bind(new.subject.to_owned())
    .bind(new.document)
    .bind(new.now_ms)
    .bind(new.by.to_owned())
    .bind(new.now_ms)
    .bind(new.by.to_owned())
    .execute(conn)
    .await?;
    Ok(())
}

/// Makes a user a member of an access group; does nothing for one who is. Returns whether the account has the group.
///
/// # Errors
/// When the database fails.
pub async fn group_join(
    conn: &mut Conn,
    account_id: &str,
    group_id: &str,
    iam_id: &str,
    by: &str,
    now_ms: i64,
) -> Result<bool> {
    let known = sqlx::query("SELECT id FROM access_groups WHERE account_id = $1 AND id = $2")
        .bind(account_id.to_owned())
        .bind(group_id.to_owned())
        .fetch_optional(&mut *conn)
        .await?;
    if known.is_none() {
        return Ok(false);
    }
    sqlx::query(
        "INSERT INTO access_group_members (group_id, iam_id, type, created_at, created_by) VALUES ($1, $2, 'user', $3, $4) \
         ON CONFLICT (group_id, iam_id) DO NOTHING",
    )
    .bind(group_id.to_owned())
    .bind(iam_id.to_owned())
    .bind(now_ms)
    .bind(by.to_owned())
    .execute(conn)
    .await?;
    Ok(true)
}
