//! VPCs, their subnets, and VLANs.

use sqlx::Row as _;
use sqlx::any::AnyRow;

use crate::{Conn, Result};

/// A virtual private cloud.
#[derive(Clone, Debug)]
pub struct Vpc {
    pub id: String,
    pub account_id: String,
    pub name: String,
    pub region: String,
    pub resource_group_id: String,
    pub created_at: i64,
}

/// A range of a VPC in one zone.
#[derive(Clone, Debug)]
pub struct Subnet {
    pub id: String,
    pub account_id: String,
    pub vpc_id: String,
    pub name: String,
    pub zone: String,
    pub cidr: String,
}

/// A classic VLAN.
#[derive(Clone, Debug)]
pub struct Vlan {
    pub id: String,
    pub account_id: String,
    pub datacenter: String,
    /// `public` or `private`.
    pub kind: String,
    pub number: i64,
    /// `fcr01a.dal10` (public) or `bcr01a.dal10` (private).
    pub router: String,
    pub cidr: String,
}

/// # Errors
/// [`crate::Error::Duplicate`] if the account has a VPC of that name.
pub async fn vpc_insert(conn: &mut Conn, vpc: &Vpc) -> Result<()> {
    sqlx::query(
        "INSERT INTO vpcs (id, account_id, name, region, resource_group_id, created_at) VALUES ($1, $2, $3, $4, $5, $6)",
    )
    .bind(vpc.id.clone())
    .bind(vpc.account_id.clone())
    .bind(vpc.name.clone())
    .bind(vpc.region.clone())
    .bind(vpc.resource_group_id.clone())
    .bind(vpc.created_at)
    .execute(conn)
    .await?;
    Ok(())
}

/// The account's VPCs by name.
///
/// # Errors
/// When the database fails.
pub async fn vpcs(conn: &mut Conn, account_id: &str) -> Result<Vec<Vpc>> {
    let rows = sqlx::query("SELECT * FROM vpcs WHERE account_id = $1 ORDER BY name")
        .bind(account_id.to_owned())
        .fetch_all(conn)
        .await?;
    rows.iter().map(vpc).collect()
}

/// The account's VPC of that name.
///
/// # Errors
/// When the database fails.
pub async fn vpc_named(conn: &mut Conn, account_id: &str, name: &str) -> Result<Option<Vpc>> {
    let row = sqlx::query("SELECT * FROM vpcs WHERE account_id = $1 AND name = $2")
        .bind(account_id.to_owned())
        .bind(name.to_owned())
        .fetch_optional(conn)
        .await?;
    row.as_ref().map(vpc).transpose()
}

/// The account's VPC with that ID.
///
/// # Errors
/// When the database fails.
pub async fn vpc_get(conn: &mut Conn, account_id: &str, id: &str) -> Result<Option<Vpc>> {
    let row = sqlx::query("SELECT * FROM vpcs WHERE account_id = $1 AND id = $2")
        .bind(account_id.to_owned())
        .bind(id.to_owned())
        .fetch_optional(conn)
        .await?;
    row.as_ref().map(vpc).transpose()
}

fn vpc(row: &AnyRow) -> Result<Vpc> {
    Ok(Vpc {
        id: row.try_get("id")?,
        account_id: row.try_get("account_id")?,
        name: row.try_get("name")?,
        region: row.try_get("region")?,
        resource_group_id: row.try_get("resource_group_id")?,
        created_at: row.try_get("created_at")?,
    })
}

/// # Errors
/// [`crate::Error::Duplicate`] if the VPC has a subnet of that name.
pub async fn subnet_insert(conn: &mut Conn, subnet: &Subnet) -> Result<()> {
    sqlx::query("INSERT INTO subnets (id, account_id, vpc_id, name, zone, cidr) VALUES ($1, $2, $3, $4, $5, $6)")
        .bind(subnet.id.clone())
        .bind(subnet.account_id.clone())
        .bind(subnet.vpc_id.clone())
        .bind(subnet.name.clone())
        .bind(subnet.zone.clone())
        .bind(subnet.cidr.clone())
        .execute(conn)
        .await?;
    Ok(())
}

/// The account's subnets by zone and name.
///
/// # Errors
/// When the database fails.
pub async fn subnets(conn: &mut Conn, account_id: &str) -> Result<Vec<Subnet>> {
    let rows = sqlx::query("SELECT * FROM subnets WHERE account_id = $1 ORDER BY zone, name")
        .bind(account_id.to_owned())
        .fetch_all(conn)
        .await?;
    rows.iter().map(subnet).collect()
}

/// The subnets of a VPC of the account, by zone and name.
///
/// # Errors
/// When the database fails.
pub async fn subnets_in(conn: &mut Conn, account_id: &str, vpc_id: &str) -> Result<Vec<Subnet>> {
    let rows = sqlx::query("SELECT * FROM subnets WHERE account_id = $1 AND vpc_id = $2 ORDER BY zone, name")
        .bind(account_id.to_owned())
        .bind(vpc_id.to_owned())
        .fetch_all(conn)
        .await?;
    rows.iter().map(subnet).collect()
}

/// The account's subnet with that ID.
///
/// # Errors
/// When the database fails.
pub async fn subnet_get(conn: &mut Conn, account_id: &str, id: &str) -> Result<Option<Subnet>> {
    let row = sqlx::query("SELECT * FROM subnets WHERE account_id = $1 AND id = $2")
        .bind(account_id.to_owned())
        .bind(id.to_owned())
        .fetch_optional(conn)
        .await?;
    row.as_ref().map(subnet).transpose()
}

fn subnet(row: &AnyRow) -> Result<Subnet> {
    Ok(Subnet {
        id: row.try_get("id")?,
        account_id: row.try_get("account_id")?,
        vpc_id: row.try_get("vpc_id")?,
        name: row.try_get("name")?,
        zone: row.try_get("zone")?,
        cidr: row.try_get("cidr")?,
    })
}

/// # Errors
/// When the database fails.
pub async fn vlan_insert(conn: &mut Conn, vlan: &Vlan) -> Result<()> {
    sqlx::query(
        "INSERT INTO vlans (id, account_id, datacenter, type, number, router, cidr) VALUES ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(vlan.id.clone())
    .bind(vlan.account_id.clone())
    .bind(vlan.datacenter.clone())
    .bind(vlan.kind.clone())
    .bind(vlan.number)
    .bind(vlan.router.clone())
    .bind(vlan.cidr.clone())
    .execute(conn)
    .await?;
    Ok(())
}

/// The account's VLANs by data center and ID.
///
/// # Errors
/// When the database fails.
pub async fn vlans(conn: &mut Conn, account_id: &str) -> Result<Vec<Vlan>> {
    let rows = sqlx::query("SELECT * FROM vlans WHERE account_id = $1 ORDER BY datacenter, id")
        .bind(account_id.to_owned())
        .fetch_all(conn)
        .await?;
    rows.iter().map(vlan).collect()
}

/// The account's VLAN with that ID.
///
/// # Errors
/// When the database fails.
pub async fn vlan_get(conn: &mut Conn, account_id: &str, id: &str) -> Result<Option<Vlan>> {
    let row = sqlx::query("SELECT * FROM vlans WHERE account_id = $1 AND id = $2")
        .bind(account_id.to_owned())
        .bind(id.to_owned())
        .fetch_optional(conn)
        .await?;
    row.as_ref().map(vlan).transpose()
}

/// Whether any account has a VPC, subnet or VLAN of that ID.
///
/// # Errors
/// When the database fails.
pub async fn id_taken(conn: &mut Conn, id: &str) -> Result<bool> {
    let sql =
        "SELECT id FROM vpcs WHERE id = $1 UNION SELECT id FROM subnets WHERE id = $1 UNION SELECT id FROM vlans WHERE id = $1";
    let row = sqlx::query(sql).bind(id.to_owned()).fetch_optional(conn).await?;
    Ok(row.is_some())
}

/// Whether any account has a VLAN of that ID; IDs are short numbers and are drawn at random.
///
/// # Errors
/// When the database fails.
pub async fn vlan_id_taken(conn: &mut Conn, id: &str) -> Result<bool> {
    let row = sqlx::query("SELECT id FROM vlans WHERE id = $1").bind(id.to_owned()).fetch_optional(conn).await?;
    Ok(row.is_some())
}

fn vlan(row: &AnyRow) -> Result<Vlan> {
    Ok(Vlan {
        id: row.try_get("id")?,
        account_id: row.try_get("account_id")?,
        datacenter: row.try_get("datacenter")?,
        kind: row.try_get("type")?,
        number: row.try_get("number")?,
        router: row.try_get("router")?,
        cidr: row.try_get("cidr")?,
    })
}
