//! Trusted profiles, and who may assume them: identities by name, rules about claims, links to compute resources.

use sqlx::Row as _;
use sqlx::any::AnyRow;

use crate::{Conn, Error, Result};

/// A trusted profile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    /// `Profile-` and a UUID.
    pub id: String,
    /// `iam-` and the ID.
    pub iam_id: String,
    pub account_id: String,
    /// Of no other profile of the account.
    pub name: String,
    pub description: String,
    pub email: String,
    /// IAM ID of who made it.
    pub created_by: String,
    /// Milliseconds since the Unix epoch.
    pub created_at: i64,
    /// Milliseconds since the Unix epoch.
    pub modified_at: i64,
    /// Counts the changes, those of its identities included.
    pub revision: i64,
}

fn profile(row: &AnyRow) -> Result<Profile> {
    Ok(Profile {
        id: row.try_get("id")?,
        iam_id: row.try_get("iam_id")?,
        account_id: row.try_get("account_id")?,
        name: row.try_get("name")?,
        description: row.try_get("description")?,
        email: row.try_get("email")?,
        created_by: row.try_get("created_by")?,
        created_at: row.try_get("created_at")?,
        modified_at: row.try_get("modified_at")?,
        revision: row.try_get("revision")?,
    })
}

/// Adds a profile.
///
/// # Errors
/// [`Error::Duplicate`] if the account has one of that name; else when the database fails.
pub async fn insert(conn: &mut Conn, profile: &Profile) -> Result<()> {
    sqlx::query(
        "INSERT INTO trusted_profiles (id, iam_id, account_id, name, description, email, created_by, created_at, modified_at, \
         revision) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
    )
    .bind(profile.id.clone())
    .bind(profile.iam_id.clone())
    .bind(profile.account_id.clone())
    .bind(profile.name.clone())
    .bind(profile.description.clone())
    .bind(profile.email.clone())
    .bind(profile.created_by.clone())
    .bind(profile.created_at)
    .bind(profile.modified_at)
    .bind(profile.revision)
    .execute(conn)
    .await?;
    Ok(())
}

/// The profile of an account that has this ID.
///
/// # Errors
/// When the database fails.
pub async fn get(conn: &mut Conn, account_id: &str, id: &str) -> Result<Option<Profile>> {
    let row = sqlx::query("SELECT * FROM trusted_profiles WHERE account_id = $1 AND id = $2")
        .bind(account_id.to_owned())
        .bind(id.to_owned())
        .fetch_optional(conn)
        .await?;
    row.as_ref().map(profile).transpose()
}

/// The profiles of an account, in the order in which they were made.
///
/// # Errors
/// When the database fails.
pub async fn list(conn: &mut Conn, account_id: &str) -> Result<Vec<Profile>> {
    let rows = sqlx::query("SELECT * FROM trusted_profiles WHERE account_id = $1 ORDER BY created_at, id")
        .bind(account_id.to_owned())
        .fetch_all(conn)
        .await?;
    rows.iter().map(profile).collect()
}

/// Writes everything of a profile that can change, and counts its revision up.
///
/// # Errors
/// [`Error::Duplicate`] if the account has another one of that name, [`Error::Stale`] if the profile changed or went away since it
/// was read; else when the database fails.
pub async fn update(conn: &mut Conn, profile: &Profile) -> Result<()> {
    let done = sqlx::query(
        "UPDATE trusted_profiles SET name = $1, description = $2, email = $3, modified_at = $4, revision = revision + 1 \
         WHERE account_id = $5 AND id = $6 AND revision = $7",
    )
    .bind(profile.name.clone())
    .bind(profile.description.clone())
    .bind(profile.email.clone())
    .bind(profile.modified_at)
    .bind(profile.account_id.clone())
    .bind(profile.id.clone())
    .bind(profile.revision)
    .execute(conn)
    .await?;
    if done.rows_affected() == 0 { Err(Error::Stale) } else { Ok(()) }
}

/// Removes a profile as it was read, with its identities, rules and links. What the account holds for it goes with
/// [`crate::identities::forget`].
///
/// # Errors
/// [`Error::Stale`] if it changed or went away since; else when the database fails.
pub async fn delete(conn: &mut Conn, profile: &Profile) -> Result<()> {
    let done = sqlx::query("DELETE FROM trusted_profiles WHERE account_id = $1 AND id = $2 AND revision = $3")
        .bind(profile.account_id.clone())
        .bind(profile.id.clone())
        .bind(profile.revision)
        .execute(conn)
        .await?;
    if done.rows_affected() == 0 { Err(Error::Stale) } else { Ok(()) }
}

/// An identity that may assume a profile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// `user`, `serviceid` or `crn`.
    pub kind: String,
    pub identifier: String,
    pub iam_id: String,
    /// Accounts from which a user may; none: the profile's own.
    pub accounts: Vec<String>,
    pub description: String,
}

/// The identities that may assume a profile which was looked up.
///
/// # Errors
/// When the database fails.
pub async fn identities(conn: &mut Conn, profile: &Profile) -> Result<Vec<Identity>> {
    let rows = sqlx::query("SELECT * FROM trusted_profile_identities WHERE profile_id = $1 ORDER BY type, identifier")
        .bind(profile.id.clone())
        .fetch_all(conn)
        .await?;
    rows.iter()
        .map(|row| {
            Ok(Identity {
                kind: row.try_get("type")?,
                identifier: row.try_get("identifier")?,
                iam_id: row.try_get("iam_id")?,
                accounts: serde_json::from_str(row.try_get("accounts")?)?,
                description: row.try_get("description")?,
            })
        })
        .collect()
}

/// Replaces the identities that may assume a profile. None may be there twice.
///
/// # Errors
/// When the database fails.
pub async fn identities_set(conn: &mut Conn, profile: &Profile, identities: &[Identity]) -> Result<()> {
    sqlx::query("DELETE FROM trusted_profile_identities WHERE profile_id = $1")
        .bind(profile.id.clone())
        .execute(&mut *conn)
        .await?;
    for identity in identities {
        sqlx::query(
            "INSERT INTO trusted_profile_identities (profile_id, type, identifier, iam_id, accounts, description) \
             VALUES ($1, $2, $3, $4, $5, $6)",
        )
        .bind(profile.id.clone())
        .bind(identity.kind.clone())
        .bind(identity.identifier.clone())
        .bind(identity.iam_id.clone())
        .bind(serde_json::to_string(&identity.accounts)?)
        .bind(identity.description.clone())
        .execute(&mut *conn)
        .await?;
    }
    Ok(())
}

/// A rule by which a profile may be assumed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// `ClaimRule-` and a UUID.
    pub id: String,
    pub name: String,
    /// `Profile-SAML` or `Profile-CR`.
    pub kind: String,
    /// The identity provider whose users are meant; empty for compute resources.
    pub realm_name: String,
    /// The kind of compute resource; empty for users.
    pub cr_type: String,
    /// Seconds.
    pub expiration: i64,
    /// JSON.
    pub conditions: String,
    /// Milliseconds since the Unix epoch.
    pub created_at: i64,
    /// Milliseconds since the Unix epoch.
    pub modified_at: i64,
    /// Counts the changes.
    pub revision: i64,
}

/// The rules of a profile which was looked up, in the order in which they were made.
///
/// # Errors
/// When the database fails.
pub async fn rules(conn: &mut Conn, profile: &Profile) -> Result<Vec<Rule>> {
    let rows = sqlx::query("SELECT * FROM trusted_profile_rules WHERE profile_id = $1 ORDER BY created_at, id")
        .bind(profile.id.clone())
        .fetch_all(conn)
        .await?;
    rows.iter()
        .map(|row| {
            Ok(Rule {
                id: row.try_get("id")?,
                name: row.try_get("name")?,
                kind: row.try_get("type")?,
                realm_name: row.try_get("realm_name")?,
                cr_type: row.try_get("cr_type")?,
                expiration: row.try_get("expiration")?,
                conditions: row.try_get("conditions")?,
                created_at: row.try_get("created_at")?,
                modified_at: row.try_get("modified_at")?,
                revision: row.try_get("revision")?,
            })
        })
        .collect()
}

/// Adds a rule to a profile.
///
/// # Errors
/// When the profile is gone, or the database fails.
pub async fn rule_insert(conn: &mut Conn, profile: &Profile, rule: &Rule) -> Result<()> {
    sqlx::query(
        "INSERT INTO trusted_profile_rules (id, profile_id, name, type, realm_name, cr_type, expiration, conditions, created_at, \
         modified_at, revision) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
    )
    .bind(rule.id.clone())
    .bind(profile.id.clone())
    .bind(rule.name.clone())
    .bind(rule.kind.clone())
    .bind(rule.realm_name.clone())
    .bind(rule.cr_type.clone())
    .bind(rule.expiration)
    .bind(rule.conditions.clone())
    .bind(rule.created_at)
    .bind(rule.modified_at)
    .bind(rule.revision)
    .execute(conn)
    .await?;
    Ok(())
}

/// Writes everything of a rule that can change, and counts its revision up.
///
/// # Errors
/// [`Error::Stale`] if it changed or went away since it was read; else when the database fails.
pub async fn rule_update(conn: &mut Conn, profile: &Profile, rule: &Rule) -> Result<()> {
    let done = sqlx::query(
        "UPDATE trusted_profile_rules SET name = $1, type = $2, realm_name = $3, cr_type = $4, expiration = $5, conditions = $6, \
         modified_at = $7, revision = revision + 1 WHERE profile_id = $8 AND id = $9 AND revision = $10",
    )
    .bind(rule.name.clone())
    .bind(rule.kind.clone())
    .bind(rule.realm_name.clone())
    .bind(rule.cr_type.clone())
    .bind(rule.expiration)
    .bind(rule.conditions.clone())
    .bind(rule.modified_at)
    .bind(profile.id.clone())
    .bind(rule.id.clone())
    .bind(rule.revision)
    .execute(conn)
    .await?;
    if done.rows_affected() == 0 { Err(Error::Stale) } else { Ok(()) }
}

/// Removes a rule of a profile. Returns whether it was there.
///
/// # Errors
/// When the database fails.
pub async fn rule_delete(conn: &mut Conn, profile: &Profile, id: &str) -> Result<bool> {
    let query = sqlx::query("DELETE FROM trusted_profile_rules WHERE profile_id = $1 AND id = $2");
    Ok(query.bind(profile.id.clone()).bind(id.to_owned()).execute(conn).await?.rows_affected() > 0)
}

/// A compute resource that may assume a profile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// `Link-` and a UUID.
    pub id: String,
    pub name: String,
    /// The kind of compute resource.
    pub cr_type: String,
    /// JSON: what names the resource.
    pub link: String,
    /// Whether the resource may be of another account.
    pub cross_account: bool,
    /// Milliseconds since the Unix epoch.
    pub created_at: i64,
    /// Milliseconds since the Unix epoch.
    pub modified_at: i64,
    /// Counts the changes.
    pub revision: i64,
}

/// The links of a profile which was looked up, in the order in which they were made.
///
/// # Errors
/// When the database fails.
pub async fn links(conn: &mut Conn, profile: &Profile) -> Result<Vec<Link>> {
    let rows = sqlx::query("SELECT * FROM trusted_profile_links WHERE profile_id = $1 ORDER BY created_at, id")
        .bind(profile.id.clone())
        .fetch_all(conn)
        .await?;
    rows.iter()
        .map(|row| {
            Ok(Link {
                id: row.try_get("id")?,
                name: row.try_get("name")?,
                cr_type: row.try_get("cr_type")?,
                link: row.try_get("link")?,
                cross_account: row.try_get::<i64, _>("cross_account")? != 0,
                created_at: row.try_get("created_at")?,
                modified_at: row.try_get("modified_at")?,
                revision: row.try_get("revision")?,
            })
        })
        .collect()
}

/// Adds a link to a profile.
///
/// # Errors
/// When the profile is gone, or the database fails.
pub async fn link_insert(conn: &mut Conn, profile: &Profile, link: &Link) -> Result<()> {
    sqlx::query(
        "INSERT INTO trusted_profile_links (id, profile_id, name, cr_type, link, cross_account, created_at, modified_at, revision) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
    )
    .bind(link.id.clone())
    .bind(profile.id.clone())
    .bind(link.name.clone())
    .bind(link.cr_type.clone())
    .bind(link.link.clone())
    .bind(i64::from(link.cross_account))
    .bind(link.created_at)
    .bind(link.modified_at)
    .bind(link.revision)
    .execute(conn)
    .await?;
    Ok(())
}

/// Removes a link of a profile. Returns whether it was there.
///
/// # Errors
/// When the database fails.
pub async fn link_delete(conn: &mut Conn, profile: &Profile, id: &str) -> Result<bool> {
    let query = sqlx::query("DELETE FROM trusted_profile_links WHERE profile_id = $1 AND id = $2");
    Ok(query.bind(profile.id.clone()).bind(id.to_owned()).execute(conn).await?.rows_affected() > 0)
}
