//! What creating a cluster has in common for both providers: the rows, all in one transaction.

use boatyard_core::id;
use boatyard_iam::Caller;
use boatyard_store::clusters::{self, ClusterRow};
use boatyard_store::workers::{self, PoolRow, WorkerRow};
use boatyard_store::{Conn, Domain, accounts};
use jiff::Timestamp;
use tracing::info;

use crate::model::encode;
use crate::{ClusterSpec, ClusterStatus, Error, Fleet, PoolSpec, Provider, Result, names, ranges};

/// The largest number of workers a cluster can have.
pub(crate) const MOST_WORKERS: usize = 500;

/// The resource group a cluster is created in.
#[derive(Clone, Debug)]
pub struct Group {
    pub id: String,
    pub name: String,
}

/// A checked request: what is to be written.
pub(crate) struct NewCluster<'a> {
    pub caller: &'a Caller,
    pub account_id: &'a str,
    pub group: &'a Group,
    pub name: &'a str,
    pub provider: Provider,
    pub region: &'a str,
    pub spec: ClusterSpec,
    pub pool_name: &'a str,
    pub pool: PoolSpec,
    /// For each zone of the pool: the network that workers take addresses from, and its range.
    pub networks: Vec<(String, String)>,
    pub now: Timestamp,
}

impl Fleet {
    /// Writes a cluster with its first pool and all of that pool's workers; once it returns, every list shows them.
    pub(crate) async fn cluster_insert(&self, mut tx: boatyard_store::Tx, new: NewCluster<'_>) -> Result<String> {
        debug_assert_eq!(new.pool.zones.len(), new.networks.len());
        let id = id::xid(new.now);
        let now = new.now.as_millisecond();
        clusters::insert(&mut tx, &row(&id, &new)).await.map_err(|error| match error {
            boatyard_store::Error::Duplicate => Error::ClusterNameTaken,
            error => error.into(),
        })?;
        let pool = PoolRow {
            id: names::pool_id(&id),
            cluster_id: id.clone(),
            name: new.pool_name.to_owned(),
            spec: encode(&new.pool),
            created_at: now,
        };
        workers::pool_insert(&mut tx, &pool).await?;
        insert_workers(&mut tx, &id, &pool, &new).await?;
        tx.commit().await?;
        info!(cluster = %id, name = new.name, provider = %new.provider, account = new.account_id, by = %new.caller.iam_id, "cluster requested");
        self.settle(&id).await;
        Ok(id)
    }
}

fn row(id: &str, new: &NewCluster<'_>) -> ClusterRow {
    let now = new.now.as_millisecond();
    let status = ClusterStatus {
        master_state: "deploying".to_owned(),
        master_status: "Deploy requested".to_owned(),
        master_status_since: now,
        ..ClusterStatus::default()
    };
    ClusterRow {
        id: id.to_owned(),
        account_id: new.account_id.to_owned(),
        name: new.name.to_owned(),
        provider: new.provider.as_str().to_owned(),
        region: new.region.to_owned(),
        resource_group_id: new.group.id.clone(),
        resource_group_name: new.group.name.clone(),
        state: "requested".to_owned(),
        state_since: now,
        desired: "present".to_owned(),
        spec: encode(&new.spec),
        status: encode(&status),
        created_at: now,
        modified_at: now,
        wake_at: Some(now),
        revision: 0,
        worker_count: 0,
    }
}

async fn insert_workers(conn: &mut Conn, cluster_id: &str, pool: &PoolRow, new: &NewCluster<'_>) -> Result<()> {
    let size = new.pool.size_per_zone;
    let mut counter = 0;
    for (zone, (network, cidr)) in new.pool.zones.iter().zip(&new.networks) {
        let used = workers::addresses(conn, network).await?;
        for address in ranges::allocate(network, cidr, &used, size)? {
            counter += 1;
            let worker = WorkerRow {
                id: names::worker_id(cluster_id, new.name, &pool.name, counter),
                cluster_id: cluster_id.to_owned(),
                pool_id: pool.id.clone(),
                zone: zone.id.clone(),
                network_id: network.clone(),
                address,
                state: "provision_pending".to_owned(),
                state_since: new.now.as_millisecond(),
                spec: "{}".to_owned(),
                created_at: new.now.as_millisecond(),
            };
            workers::insert(conn, &worker).await?;
        }
    }
    Ok(())
}

impl Fleet {
    /// Begins the transaction of a create. Creates of one account come one after another, since each takes the first free addresses
    /// and ranges that it finds.
    pub(crate) async fn begin(&self, account_id: &str) -> Result<boatyard_store::Tx> {
        let mut tx = self.store.write(Domain::Fleet).await?;
        accounts::lock(&mut tx, account_id).await?;
        Ok(tx)
    }
}

/// The account a request works in. The edge refuses tokens without one, so this is only a second lock on the door.
pub(crate) fn account(caller: &Caller) -> Result<&str> {
    caller.account_id.as_deref().ok_or(Error::ClusterNotFound)
}

/// The cluster's name, checked.
pub(crate) fn cluster_name(name: &str) -> Result<&str> {
    if name.is_empty() {
        return Err(Error::Missing("Specify a 'name' for the cluster.".to_owned()));
    }
    if names::is_cluster_name(name) { Ok(name) } else { Err(Error::ClusterName(name.to_owned())) }
}

/// The name of the first pool: `default` unless another is given.
pub(crate) fn pool_name(name: Option<&str>) -> Result<&str> {
    let name = name.filter(|n| !n.is_empty()).unwrap_or("default");
    if names::is_pool_name(name) { Ok(name) } else { Err(Error::PoolName(name.to_owned())) }
}

/// The number of workers in each zone: 1 unless given, OpenShift clusters need 2 in all.
pub(crate) fn size_per_zone(wanted: Option<i64>, zones: usize, openshift: bool) -> Result<usize> {
    let least = if openshift && zones == 1 { 2 } else { 1 };
    let size = match wanted {
        None | Some(0) => least,
        Some(size) => usize::try_from(size).map_err(|_| Error::Invalid(format!("{size} is not a number of worker nodes.")))?,
    };
    if size.checked_mul(zones.max(1)).is_none_or(|workers| workers > MOST_WORKERS) {
        return Err(Error::Invalid(format!("A cluster can have at most {MOST_WORKERS} worker nodes.")));
    }
    if size < least {
        return Err(Error::Invalid(format!("OpenShift clusters need at least {least} worker nodes in the default pool.")));
    }
    Ok(size)
}

/// The security groups of a cluster or a pool, at most five.
pub(crate) fn security_groups(given: &[String]) -> Result<Vec<String>> {
    if given.len() > 5 {
        return Err(Error::Invalid("At most 5 security groups can be given.".to_owned()));
    }
    Ok(given.to_vec())
}

/// The entitlement, of which there is one.
pub(crate) fn entitlement(given: Option<&str>) -> Result<Option<String>> {
    match given.filter(|e| !e.is_empty()) {
        None => Ok(None),
        Some(e @ ("ocp_entitled" | "cloud_pak")) => Ok(Some(e.to_owned())),
        Some(other) => {
            Err(Error::Invalid(format!("The entitlement '{other}' is not known. The accepted value is 'ocp_entitled'.")))
        }
    }
}

/// Isolation as the wire has it; `shared` and `dedicated` are the command line's words for the same.
pub(crate) fn isolation(given: Option<&str>) -> Result<String> {
    match given.unwrap_or_default() {
        "" | "public" | "shared" => Ok("public".to_owned()),
        "private" | "dedicated" => Ok("private".to_owned()),
        other => Err(Error::Invalid(format!(
            "The isolation '{other}' is not known. The accepted values are 'public' and 'private'."
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pools_have_one_worker_in_each_zone_unless_more_are_asked_for() {
        let cases = [
            (None, 1, false, Some(1)),
            (Some(0), 3, false, Some(1)),
            (Some(3), 3, false, Some(3)),
            (None, 1, true, Some(2)),
            (None, 2, true, Some(1)),
            (Some(1), 1, true, None),
            (Some(-1), 1, false, None),
            (Some(501), 1, false, None),
            (Some(167), 3, false, None),
            (Some(6_148_914_691_236_517_206), 3, false, None),
        ];
        for (wanted, zones, openshift, expected) in cases {
            assert_eq!(size_per_zone(wanted, zones, openshift).ok(), expected, "{wanted:?} {zones} {openshift}");
        }
    }
}
