//! What decides who may do what, as it is needed for one identity.

use sqlx::Row as _;

use crate::members::ENTERS;
use crate::{Conn, Result};

/// The group of an account whose members are all its users and service IDs, without being listed.
pub const PUBLIC_GROUP: &str = "AccessGroupId-PublicAccess";
pub const PUBLIC_GROUP_NAME: &str = "Public Access";

/// What an identity may do in an account, not yet understood.
#[derive(Clone, Debug, Default)]
pub struct Grants {
    /// Whether the account is the identity's own.
    pub owner: bool,
    /// Documents of its access policies and of those of its access groups, in the form of v2.
    pub policies: Vec<String>,
    /// Names of custom roles with the service that they are for and their actions, a JSON list.
    pub custom_roles: Vec<(String, String, String)>,
}

/// What an identity may do in an account, where `groups` are those that it is in without being listed.
///
/// # Errors
/// When the database fails.
pub async fn grants(conn: &mut Conn, account_id: &str, iam_id: &str, groups: &[String]) -> Result<Grants> {
    let owner = sqlx::query("SELECT id FROM accounts WHERE id = $1 AND owner_iam_id = $2")
        .bind(account_id.to_owned())
        .bind(iam_id.to_owned())
        .fetch_optional(&mut *conn)
        .await?;
    if owner.is_some() {
        return Ok(Grants { owner: true, ..Grants::default() });
    }
    let mut sql =
        "SELECT document FROM policies WHERE account_id = $1 AND type = 'access' AND state = 'active' AND subject IN \
                   (SELECT CAST($2 AS TEXT) UNION SELECT m.group_id FROM access_group_members m WHERE m.iam_id = $3"
            .to_owned();
    for n in 0..groups.len() {
        sql.push_str(&format!(" UNION SELECT CAST(${} AS TEXT)", n + 4));
    }
    sql.push(')');
    let mut query =
        sqlx::query(sqlx::AssertSqlSafe(sql)).bind(account_id.to_owned()).bind(iam_id.to_owned()).bind(iam_id.to_owned());
    for group in groups {
        query = query.bind(group.clone());
    }
    let rows = query.fetch_all(&mut *conn).await?;
    let policies: Vec<String> = rows.iter().map(|row| row.try_get("document")).collect::<Result<_, _>>()?;
    let custom_roles = match policies.iter().any(|document| document.contains("customRole:")) {
        true => custom_roles(conn, account_id).await?,
        false => Vec::new(),
    };
    Ok(Grants { owner: false, policies, custom_roles })
}

/// Who a policy is of, as clusters know them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Holder {
    /// User name of a user, ID of a service ID or trusted profile.
    Identity(String),
    /// Name of an access group.
    Group(String),
}

/// The policies of an account that may give something in its clusters, not yet understood.
#[derive(Clone, Debug, Default)]
pub struct ClusterPolicies {
    /// User name of the account's owner.
    pub owner: Option<String>,
    /// Documents in the form of v2.
    pub policies: Vec<(Holder, String)>,
    /// As those of [`Grants`].
    pub custom_roles: Vec<(String, String, String)>,
}

/// The access policies of all who are in an account.
///
/// # Errors
/// When the database fails.
pub async fn cluster_policies(conn: &mut Conn, account_id: &str) -> Result<ClusterPolicies> {
    let row = sqlx::query("SELECT u.username AS sub FROM accounts a JOIN users u ON u.iam_id = a.owner_iam_id WHERE a.id = $1")
        .bind(account_id.to_owned())
        .fetch_optional(&mut *conn)
        .await?;
    let owner = row.map(|row| row.try_get("sub")).transpose()?;
    // Subjects are of one kind each, so at most one of the names is there.
    let rows = sqlx::query(
        "SELECT p.document AS document, p.subject AS subject, g.name AS group_name, COALESCE(u.username, s.id, t.id) AS sub FROM policies p \
         LEFT JOIN access_groups g ON g.id = p.subject LEFT JOIN users u ON u.iam_id = p.subject \
         LEFT JOIN service_ids s ON s.iam_id = p.subject LEFT JOIN trusted_profiles t ON t.iam_id = p.subject \
         WHERE p.account_id = $1 AND p.type = 'access' AND p.state = 'active'",
    )
    .bind(account_id.to_owned())
    .fetch_all(&mut *conn)
    .await?;
    let mut policies = Vec::with_capacity(rows.len());
    for row in &rows {
        let (group, sub): (Option<String>, Option<String>) = (row.try_get("group_name")?, row.try_get("sub")?);
        let is_public = row.try_get::<String, _>("subject")? == PUBLIC_GROUP;
        let group = if is_public { Some(PUBLIC_GROUP_NAME.to_owned()) } else { group };
        let holder = group.map(Holder::Group).or(sub.map(Holder::Identity));
        policies.extend(holder.map(|holder| Ok::<_, crate::Error>((holder, row.try_get("document")?))).transpose()?);
    }
    let custom_roles = custom_roles(conn, account_id).await?;
    Ok(ClusterPolicies { owner, policies, custom_roles })
}

async fn custom_roles(conn: &mut Conn, account_id: &str) -> Result<Vec<(String, String, String)>> {
    let rows = sqlx::query("SELECT name, service_name, actions FROM custom_roles WHERE account_id = $1")
        .bind(account_id.to_owned())
        .fetch_all(conn)
        .await?;
    rows.iter().map(|row| Ok((row.try_get("name")?, row.try_get("service_name")?, row.try_get("actions")?))).collect()
}

/// The IDs of an account's access groups that an identity was added to, with their names.
///
/// # Errors
/// When the database fails.
pub async fn groups(conn: &mut Conn, account_id: &str, iam_id: &str) -> Result<Vec<(String, String)>> {
    let rows = sqlx::query(
        "SELECT g.id, g.name FROM access_groups g JOIN access_group_members m ON m.group_id = g.id \
         WHERE g.account_id = $1 AND m.iam_id = $2 ORDER BY g.name",
    )
    .bind(account_id.to_owned())
    .bind(iam_id.to_owned())
    .fetch_all(conn)
    .await?;
    rows.iter().map(|row| Ok((row.try_get("id")?, row.try_get("name")?))).collect()
}

/// A service ID or trusted profile as far as its tokens tell of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Machine {
    /// `ServiceId-` or `Profile-` and a UUID.
    pub id: String,
    pub account_id: String,
    pub name: String,
}

/// The service ID or trusted profile of an IAM ID.
///
/// # Errors
/// When the database fails.
pub async fn machine(conn: &mut Conn, iam_id: &str) -> Result<Option<Machine>> {
    let sql = "SELECT id, account_id, name FROM service_ids WHERE iam_id = $1 \
               UNION ALL SELECT id, account_id, name FROM trusted_profiles WHERE iam_id = $2";
    let row = sqlx::query(sql).bind(iam_id.to_owned()).bind(iam_id.to_owned()).fetch_optional(conn).await?;
    row.map(|row| Ok(Machine { id: row.try_get("id")?, account_id: row.try_get("account_id")?, name: row.try_get("name")? }))
        .transpose()
}

/// Whether a user is a member of an account who gets tokens for it.
///
/// # Errors
/// When the database fails.
pub async fn is_member(conn: &mut Conn, account_id: &str, iam_id: &str) -> Result<bool> {
    let sql = format!("SELECT m.iam_id FROM account_members m WHERE m.account_id = $1 AND m.iam_id = $2 AND {ENTERS}");
    Ok(sqlx::query(sqlx::AssertSqlSafe(sql))
        .bind(account_id.to_owned())
        .bind(iam_id.to_owned())
        .fetch_optional(conn)
        .await?
        .is_some())
}

/// A rule by which federated users are members of an access group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupRule {
    pub group_id: String,
    pub group_name: String,
    /// Hours after a login for which it holds.
    pub expiration: i64,
    /// The issuer of the provider.
    pub realm_name: String,
    /// A JSON list.
    pub conditions: String,
}

/// The rules of all access groups of an account.
///
/// # Errors
/// When the database fails.
pub async fn group_rules(conn: &mut Conn, account_id: &str) -> Result<Vec<GroupRule>> {
    let rows = sqlx::query(
        "SELECT g.id, g.name, r.expiration, r.realm_name, r.conditions \
         FROM access_group_rules r JOIN access_groups g ON g.id = r.group_id WHERE g.account_id = $1 ORDER BY g.name, r.id",
    )
    .bind(account_id.to_owned())
    .fetch_all(conn)
    .await?;
    rows.iter()
        .map(|row| {
            Ok(GroupRule {
                group_id: row.try_get("id")?,
                group_name: row.try_get("name")?,
                expiration: row.try_get("expiration")?,
                realm_name: row.try_get("realm_name")?,
                conditions: row.try_get("conditions")?,
            })
        })
        .collect()
}
