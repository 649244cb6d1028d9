//! Dedicated hosts and their pools: hardware on which only one account's VPC workers run.
//!
//! Nothing but timestamps is kept: the states follow from them and the pace, and which worker is on which host follows from the
//! order in which both were asked for.

mod estate;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use boatyard_core::id;
use boatyard_iam::Caller;
use boatyard_store::Conn;
use boatyard_store::dedicated_hosts::{self as hosts, HostPoolRow, HostRow};
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use tracing::info;

use self::estate::Estate;
use crate::catalog::Catalog;
use crate::{Error, Fleet, Provider, Result, create};

/// How long what was removed stays readable as `deleted`: clients wait to see that.
const REMEMBERED: SignedDuration = SignedDuration::from_hours(1);

static FLAVORS: LazyLock<Vec<HostFlavor>> = LazyLock::new(|| {
    serde_json::from_str(include_str!("../../../catalog/dedicated_host_flavors.json"))
        .expect("the catalog is part of the program, and a test reads it")
});

/// Why a request about dedicated hosts was refused.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    #[error("The specified dedicated host pool could not be found.")]
    PoolNotFound,
    #[error("The specified dedicated host could not be found.")]
    HostNotFound,
    #[error("A dedicated host pool with the name '{0}' already exists. Choose another name.")]
    NameTaken(String),
    #[error(
        "The name '{0}' is not valid. It must start with a letter, can contain letters, numbers, underscores (_) and hyphens (-), \
         and must be 63 characters or fewer."
    )]
    Name(String),
    #[error("There is no metro '{metro}' with VPC zones.")]
    Metro { metro: String, metros: Vec<String> },
    #[error("There is no flavor class '{class}' for dedicated hosts.")]
    Class { class: String, classes: Vec<&'static str> },
    #[error("There is no flavor '{flavor}' for dedicated hosts.")]
    Flavor { flavor: String, flavors: Vec<&'static str> },
    #[error("The flavor '{flavor}' is of the class '{is}', but the hosts of this pool are of the class '{wanted}'.")]
    ClassMismatch { flavor: String, is: String, wanted: String },
    #[error("The zone '{zone}' is in the metro '{is_in}', but this pool is in the metro '{metro}'.")]
    OutsideMetro { zone: String, is_in: String, metro: String },
    #[error("The dedicated host pool is '{0}'; only a pool that is 'created' takes hosts.")]
    PoolNotCreated(&'static str),
    #[error("The dedicated host pool has {0} dedicated hosts. Remove them first.")]
    PoolHasHosts(usize),
    #[error("The dedicated host pool is used by {0} worker pools. Remove them first.")]
    PoolHasWorkerPools(usize),
    #[error("Placement on the dedicated host is enabled. Disable it first.")]
    PlacementEnabled,
    #[error("The dedicated host has {0} worker nodes. Remove or replace them first.")]
    HostHasWorkers(usize),
}

/// What a dedicated host can be like.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HostFlavor {
    /// `bx2d.host.152x608`
    pub id: String,
    /// `bx2d`
    pub flavor_class: String,
    #[serde(rename = "maxVCPUs")]
    pub vcpus: i64,
    /// In GB.
    #[serde(rename = "maxMemory")]
    pub memory: i64,
    pub instance_storage: Vec<InstanceStorage>,
}

/// Disks of a host.
#[derive(Clone, Debug, Deserialize)]
pub struct InstanceStorage {
    pub count: i64,
    /// Of each, in GB.
    pub size: i64,
}

/// Processors and memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Resources {
    pub vcpus: i64,
    /// In GB.
    pub memory: i64,
}

/// A pool as clients see it.
#[derive(Clone, Debug)]
pub struct HostPoolView {
    pub id: String,
    pub name: String,
    pub flavor_class: String,
    pub metro: String,
    /// `creating`, `created`, `deleting` or `deleted`.
    pub state: &'static str,
    /// Number and resources of the hosts in each zone.
    pub zones: BTreeMap<String, (usize, Resources)>,
    /// Cluster and ID of each worker pool on it.
    pub worker_pools: Vec<(String, String)>,
}

/// A host as clients see it.
#[derive(Clone, Debug)]
pub struct HostView {
    pub id: String,
    pub flavor: String,
    pub zone: String,
    pub placement_enabled: bool,
    /// `create_pending`, `creating`, `created`, `deleting` or `deleted`.
    pub state: &'static str,
    /// `created` or `deleted`.
    pub desired: &'static str,
    /// When that was asked for.
    pub since: Timestamp,
    pub capacity: Resources,
    pub consumed: Resources,
    pub workers: Vec<HostWorker>,
}

/// A worker on a host.
#[derive(Clone, Debug)]
pub struct HostWorker {
    pub id: String,
    pub cluster_id: String,
    pub pool_id: String,
    pub flavor: String,
    created_at: i64,
    zone: String,
}

impl Fleet {
    /// Flavors that dedicated hosts can have in a VPC zone, and the zone's region.
    ///
    /// # Errors
    /// If there is no such zone.
    pub fn dedicated_host_flavors(&self, zone: &str) -> Result<(&'static [HostFlavor], &str)> {
        let region = self.catalog.zone(zone, Provider::VpcGen2)?.service_region();
        Ok((&FLAVORS, region))
    }

    /// Creates a pool and returns its ID.
    ///
    /// # Errors
    /// [`HostError`]
    pub async fn host_pool_create(&self, caller: &Caller, name: &str, class: &str, metro: &str) -> Result<String> {
        let account_id = create::account(caller)?;
        let (class, metro) = pool_request(&self.catalog, name, class, metro)?;
        let now = self.clock.now();
        let mut tx = self.begin(account_id).await?;
        self.forget(&mut tx, account_id, now).await?;
        let pool = HostPoolRow {
            id: format!("dh_{}", id::xid(now)),
            account_id: account_id.to_owned(),
            name: name.to_owned(),
            flavor_class: class.to_owned(),
            metro: metro.to_owned(),
            created_at: now.as_millisecond(),
            removed_at: None,
        };
        hosts::pool_insert(&mut tx, &pool).await.map_err(|error| match error {
            boatyard_store::Error::Duplicate => Error::from(HostError::NameTaken(name.to_owned())),
            error => error.into(),
        })?;
        tx.commit().await?;
        info!(pool = %pool.id, name, account = account_id, by = %caller.iam_id, "dedicated host pool requested");
        Ok(pool.id)
    }

    /// The pools of the caller's account that were not removed, oldest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn host_pools(&self, caller: &Caller) -> Result<Vec<HostPoolView>> {
        let account_id = create::account(caller)?;
        let estate = self.estate(&mut *self.store.read().await?, account_id).await?;
        let pools = estate.pools.iter().map(|pool| estate.pool_view(pool));
        Ok(pools.filter(|pool| pool.state != "deleted").collect())
    }

    /// A pool of the caller's account by ID or name; for an hour also one that was removed.
    ///
    /// # Errors
    /// [`HostError::PoolNotFound`]
    pub async fn host_pool(&self, caller: &Caller, id_or_name: &str) -> Result<HostPoolView> {
        let account_id = create::account(caller)?;
        let estate = self.estate(&mut *self.store.read().await?, account_id).await?;
        Ok(estate.pool_view(estate.pool(id_or_name)?))
    }

    /// Removes a pool without hosts.
    ///
    /// # Errors
    /// [`HostError`]
    pub async fn host_pool_remove(&self, caller: &Caller, id_or_name: &str) -> Result<()> {
        let account_id = create::account(caller)?;
        let mut tx = self.begin(account_id).await?;
        let estate = self.estate(&mut tx, account_id).await?;
        let pool = estate.live_pool(id_or_name)?;
        let left = estate.hosts_of(pool).filter(|host| estate.host_state(host) != "deleted").count();
        if left > 0 {
            return Err(HostError::PoolHasHosts(left).into());
        }
        match estate.worker_pools.iter().filter(|w| w.host_pool_id == pool.id).count() {
            0 => {}
            users => return Err(HostError::PoolHasWorkerPools(users).into()),
        }
        hosts::pool_remove(&mut tx, account_id, &pool.id, estate.now.as_millisecond()).await?;
        tx.commit().await?;
        info!(pool = %pool.id, account = account_id, by = %caller.iam_id, "dedicated host pool removal requested");
        Ok(())
    }

    /// Creates a host in a pool and returns its ID. Placement is enabled.
    ///
    /// # Errors
    /// [`HostError`], [`Error::ZoneNotFound`]
    pub async fn host_create(&self, caller: &Caller, pool: &str, flavor: &str, zone: &str) -> Result<String> {
        let account_id = create::account(caller)?;
        let mut tx = self.begin(account_id).await?;
        let estate = self.estate(&mut tx, account_id).await?;
        let pool = estate.live_pool(pool)?;
        host_request(&self.catalog, pool, flavor, zone)?;
        match estate.pool_state(pool) {
            "created" => {}
            state => return Err(HostError::PoolNotCreated(state).into()),
        }
        self.forget(&mut tx, account_id, estate.now).await?;
        let part = |from: &str| from.bytes().filter(u8::is_ascii_alphanumeric).map(char::from).collect::<String>();
        let host = HostRow {
            // Clients put it behind a slash, so there is none in it.
            id: format!("host-{}-{}-{}", id::xid(estate.now), part(&pool.name).to_lowercase(), id::hex(&id::random::<2>())),
            account_id: account_id.to_owned(),
            pool_id: pool.id.clone(),
            flavor: flavor.to_owned(),
            zone: zone.to_owned(),
            created_at: estate.now.as_millisecond(),
            closed_at: None,
            removed_at: None,
        };
        hosts::insert(&mut tx, &host).await?;
        tx.commit().await?;
        info!(host = %host.id, pool = %pool.id, account = account_id, by = %caller.iam_id, "dedicated host requested");
        Ok(host.id)
    }

    /// The hosts of a pool that were not removed, oldest first.
    ///
    /// # Errors
    /// [`HostError::PoolNotFound`]
    pub async fn hosts(&self, caller: &Caller, pool: &str) -> Result<Vec<HostView>> {
        let account_id = create::account(caller)?;
        let estate = self.estate(&mut *self.store.read().await?, account_id).await?;
        Ok(estate.host_views(estate.pool(pool)?).into_iter().filter(|host| host.state != "deleted").collect())
    }

    /// A host of a pool; for an hour also one that was removed.
    ///
    /// # Errors
    /// [`HostError::PoolNotFound`], [`HostError::HostNotFound`]
    pub async fn host(&self, caller: &Caller, pool: &str, host: &str) -> Result<HostView> {
        let account_id = create::account(caller)?;
        let estate = self.estate(&mut *self.store.read().await?, account_id).await?;
        let found = estate.host_views(estate.pool(pool)?).into_iter().find(|view| view.id == host);
        Ok(found.ok_or(HostError::HostNotFound)?)
    }

    /// Lets new workers be placed on a host, or not; those that are there stay.
    ///
    /// # Errors
    /// [`HostError::PoolNotFound`], [`HostError::HostNotFound`]
    pub async fn host_placement_set(&self, caller: &Caller, pool: &str, host: &str, enabled: bool) -> Result<()> {
        let change = |host: &mut HostRow, _: &Estate, now| {
            host.closed_at = if enabled { None } else { host.closed_at.or(Some(now)) };
            Ok(())
        };
        self.host_change(caller, pool, host, change).await
    }

    /// Removes a host that takes no workers and has none.
    ///
    /// # Errors
    /// [`HostError`]
    pub async fn host_remove(&self, caller: &Caller, pool: &str, host: &str) -> Result<()> {
        let change = |host: &mut HostRow, estate: &Estate, now| {
            if host.closed_at.is_none() {
                return Err(HostError::PlacementEnabled.into());
            }
            let views = estate.host_views(estate.pool(&host.pool_id)?);
            match views.iter().find(|view| view.id == host.id).map_or(0, |view| view.workers.len()) {
                0 => host.removed_at = host.removed_at.or(Some(now)),
                workers => return Err(HostError::HostHasWorkers(workers).into()),
            }
            Ok(())
        };
        self.host_change(caller, pool, host, change).await
    }

    async fn host_change(
        &self,
        caller: &Caller,
        pool: &str,
        host: &str,
        change: impl Fn(&mut HostRow, &Estate, i64) -> Result<()>,
    ) -> Result<()> {
        let account_id = create::account(caller)?;
        let mut tx = self.begin(account_id).await?;
        let estate = self.estate(&mut tx, account_id).await?;
        let pool = estate.pool(pool)?;
        let found = estate.hosts_of(pool).find(|row| row.id == host && estate.host_state(row) != "deleted");
        let mut row = found.ok_or(HostError::HostNotFound)?.clone();
        change(&mut row, &estate, estate.now.as_millisecond())?;
        hosts::update(&mut tx, &row).await?;
        Ok(tx.commit().await?)
    }

    async fn forget(&self, conn: &mut Conn, account_id: &str, now: Timestamp) -> Result<()> {
        let lasts = self.runtime.timings().host_removing + REMEMBERED;
        let before = now.saturating_sub(lasts).unwrap_or(Timestamp::MIN);
        Ok(hosts::forget(conn, account_id, before.as_millisecond()).await?)
    }
}

/// That the host pool which a worker pool is to run on exists in the account.
pub(crate) async fn pool_check(conn: &mut Conn, account_id: &str, host_pool_id: Option<&str>) -> Result<()> {
    let Some(id) = host_pool_id.filter(|id| !id.is_empty()) else { return Ok(()) };
    let pools = hosts::pools(conn, account_id).await?;
    let there = pools.iter().any(|pool| pool.id == id && pool.removed_at.is_none());
    if there { Ok(()) } else { Err(HostError::PoolNotFound.into()) }
}

/// The class and the metro of a new pool, in the catalog's spelling.
fn pool_request<'a>(catalog: &'a Catalog, name: &str, class: &str, metro: &str) -> Result<(&'static str, &'a str)> {
    let good = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    if name.len() > 63 || !name.starts_with(|c: char| c.is_ascii_alphabetic()) || !name.bytes().all(good) {
        return Err(HostError::Name(name.to_owned()).into());
    }
    let mut classes: Vec<_> = FLAVORS.iter().map(|flavor| flavor.flavor_class.as_str()).collect();
    classes.dedup();
    let Some(class) = classes.iter().find(|known| **known == class).copied() else {
        return Err(HostError::Class { class: class.to_owned(), classes }.into());
    };
    let mut metros: Vec<_> = catalog.zones(Provider::VpcGen2).map(|zone| zone.metro.as_str()).collect();
    metros.dedup();
    match metros.iter().find(|known| known.eq_ignore_ascii_case(metro)).copied() {
        Some(metro) => Ok((class, metro)),
        None => {
            Err(HostError::Metro { metro: metro.to_owned(), metros: metros.into_iter().map(str::to_owned).collect() }.into())
        }
    }
}

fn host_request(catalog: &Catalog, pool: &HostPoolRow, flavor: &str, zone: &str) -> Result<()> {
    let Some(found) = host_flavor(flavor) else {
        let of_class = FLAVORS.iter().filter(|f| f.flavor_class == pool.flavor_class);
        let flavors = of_class.map(|f| f.id.as_str()).collect();
        return Err(HostError::Flavor { flavor: flavor.to_owned(), flavors }.into());
    };
    if found.flavor_class != pool.flavor_class {
        let (is, wanted) = (found.flavor_class.clone(), pool.flavor_class.clone());
        return Err(HostError::ClassMismatch { flavor: flavor.to_owned(), is, wanted }.into());
    }
    let is_in = &catalog.zone(zone, Provider::VpcGen2)?.metro;
    if *is_in != pool.metro {
        let (is_in, metro) = (is_in.clone(), pool.metro.clone());
        return Err(HostError::OutsideMetro { zone: zone.to_owned(), is_in, metro }.into());
    }
    Ok(())
}

fn host_flavor(id: &str) -> Option<&'static HostFlavor> {
    FLAVORS.iter().find(|flavor| flavor.id == id)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool() -> HostPoolRow {
        HostPoolRow {
            id: "dh_1".to_owned(),
            account_id: "a".to_owned(),
            name: "p".to_owned(),
            flavor_class: "bx2d".to_owned(),
            metro: "dal".to_owned(),
            created_at: 0,
            removed_at: None,
        }
    }

    #[test]
    fn requests_are_checked_against_the_catalog() {
        assert_eq!(pool_request(&Catalog::built_in(), "test_pool-1", "bx2d", "DAL").unwrap(), ("bx2d", "dal"));
        for (name, class, metro) in
            [("", "bx2d", "dal"), ("1", "bx2d", "dal"), ("a/b", "bx2d", "dal"), ("a", "b", "dal"), ("a", "bx2d", "che99")]
        {
            assert!(pool_request(&Catalog::built_in(), name, class, metro).is_err(), "{name} {class} {metro}");
        }
        assert!(host_request(&Catalog::built_in(), &pool(), "bx2d.host.152x608", "us-south-3").is_ok());
        let refusal = |flavor, zone| host_request(&Catalog::built_in(), &pool(), flavor, zone).unwrap_err();
        assert!(matches!(refusal("bx2d.4x16", "us-south-1"), Error::DedicatedHost(HostError::Flavor { .. })));
        assert!(matches!(refusal("cx2d.host.152x304", "us-south-1"), Error::DedicatedHost(HostError::ClassMismatch { .. })));
        assert!(matches!(refusal("bx2d.host.16x64", "eu-de-1"), Error::DedicatedHost(HostError::OutsideMetro { .. })));
        assert!(matches!(refusal("bx2d.host.16x64", "dal10"), Error::ZoneNotFound { .. }));
    }

    #[test]
    fn flavors_are_of_the_class_that_they_name() {
        for flavor in FLAVORS.iter() {
            let size = format!("{}x{}", flavor.vcpus, flavor.memory);
            assert_eq!(flavor.id, format!("{}.host.{size}", flavor.flavor_class));
        }
    }
}
