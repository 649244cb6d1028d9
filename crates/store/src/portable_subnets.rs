//! Portable subnets of classic VLANs: addresses for the load balancers of clusters.

use sqlx::Row as _;
use sqlx::any::AnyRow;

use crate::{Conn, Result};

/// A portable subnet of an account, or one that a user brought to a cluster.
#[derive(Clone, Debug)]
pub struct PortableSubnet {
    /// Seven digits.
    pub id: String,
    pub account_id: String,
    pub vlan_id: String,
    pub cidr: String,
    /// The cluster that uses it. A user's subnet always has one.
    pub cluster_id: Option<String>,
}

/// Who manages a subnet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The service: the account keeps it when a cluster goes.
    Portable,
    /// The user who brought it to one cluster.
    User,
}

impl Kind {
    fn statement(self, portable: &'static str, user: &'static str) -> &'static str {
        match self {
            Kind::Portable => portable,
            Kind::User => user,
        }
    }
}

/// # Errors
/// [`crate::Error::Duplicate`] if the VLAN has a subnet of that range.
pub async fn insert(conn: &mut Conn, kind: Kind, subnet: &PortableSubnet) -> Result<()> {
    sqlx::query(kind.statement(
        "INSERT INTO portable_subnets (id, account_id, vlan_id, cidr, cluster_id) VALUES ($1, $2, $3, $4, $5)",
        "INSERT INTO user_subnets (id, account_id, vlan_id, cidr, cluster_id) VALUES ($1, $2, $3, $4, $5)",
    ))
    .bind(subnet.id.clone())
    .bind(subnet.account_id.clone())
    .bind(subnet.vlan_id.clone())
    .bind(subnet.cidr.clone())
    .bind(subnet.cluster_id.clone())
    .execute(conn)
    .await?;
    Ok(())
}

/// The account's subnets by VLAN and ID.
///
/// # Errors
/// When the database fails.
pub async fn list(conn: &mut Conn, kind: Kind, account_id: &str) -> Result<Vec<PortableSubnet>> {
    let rows = sqlx::query(kind.statement(
        "SELECT * FROM portable_subnets WHERE account_id = $1 ORDER BY vlan_id, id",
        "SELECT * FROM user_subnets WHERE account_id = $1 ORDER BY vlan_id, id",
    ))
    .bind(account_id.to_owned())
    .fetch_all(conn)
    .await?;
    rows.iter().map(subnet).collect()
}

/// Gives a portable subnet to a cluster, or takes it back.
///
/// # Errors
/// When the database fails.
pub async fn bind(conn: &mut Conn, account_id: &str, id: &str, cluster_id: Option<&str>) -> Result<()> {
    sqlx::query("UPDATE portable_subnets SET cluster_id = $1 WHERE account_id = $2 AND id = $3")
        .bind(cluster_id.map(str::to_owned))
        .bind(account_id.to_owned())
        .bind(id.to_owned())
        .execute(conn)
        .await?;
    Ok(())
}

/// Removes a user's subnet.
///
/// # Errors
/// When the database fails.
pub async fn user_delete(conn: &mut Conn, account_id: &str, id: &str) -> Result<()> {
    sqlx::query("DELETE FROM user_subnets WHERE account_id = $1 AND id = $2")
        .bind(account_id.to_owned())
        .bind(id.to_owned())
        .execute(conn)
        .await?;
    Ok(())
}

/// Whether any account has a subnet of that ID; IDs are short numbers and are drawn at random.
///
/// # Errors
/// When the database fails.
pub async fn id_taken(conn: &mut Conn, id: &str) -> Result<bool> {
    let row = sqlx::query("SELECT id FROM portable_subnets WHERE id = $1 UNION SELECT id FROM user_subnets WHERE id = $1")
        .bind(id.to_owned())
        .fetch_optional(conn)
        .await?;
    Ok(row.is_some())
}

fn subnet(row: &AnyRow) -> Result<PortableSubnet> {
    Ok(PortableSubnet {
        id: row.try_get("id")?,
        account_id: row.try_get("account_id")?,
        vlan_id: row.try_get("vlan_id")?,
        cidr: row.try_get("cidr")?,
        cluster_id: row.try_get("cluster_id")?,
    })
}
