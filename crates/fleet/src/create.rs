//! What creating a cluster has in common for both providers: the rows, all in one transaction.

use boatyard_core::id;
use boatyard_iam::Caller;
use boatyard_iam::access::Resource;
use boatyard_store::clusters::{self, ClusterRow};
use boatyard_store::{Domain, accounts, resource_groups};
use jiff::Timestamp;
use tracing::info;

use crate::advance::REQUESTED;
use crate::draft::{Draft, MOST_WORKERS};
use crate::{ClusterSpec, ClusterStatus, Error, Fleet, PoolSpec, Provider, Result, names};

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
    pub region: String,
    pub spec: ClusterSpec,
    /// Names and what their workers are like.
    pub pools: Vec<(String, PoolSpec)>,
    pub now: Timestamp,
}

impl Fleet {
    /// Writes a cluster with its first pools and all of their workers; once it returns, every list shows them.
    pub(crate) async fn cluster_insert(&self, mut tx: boatyard_store::Tx, new: NewCluster<'_>) -> Result<String> {
        let (now, by, account) = (new.now, new.caller.iam_id.clone(), new.account_id);
        // It may have been deleted since the request named it; asked again, the request is told so.
        if !resource_groups::id_taken(&mut tx, &new.group.id).await? {
            return Err(Error::Busy);
        }
        if let Some(limit) = self.catalog.quota(new.provider, "cluster", &new.region) {
            let there = clusters::count(&mut tx, account, new.provider.as_str(), &new.region).await?;
            if there >= i64::from(limit) {
                return Err(Error::Quota { resource: "Cluster", limit });
            }
        }
        let draft = self.cluster_draft(new)?;
        let (id, name, provider) = (draft.row.id.clone(), draft.row.name.clone(), draft.provider());
        self.finish(tx, draft, now).await?;
        info!(cluster = %id, name, %provider, account, %by, "cluster requested");
        Ok(id)
    }

    /// A new cluster with all of its pools and workers, to be written.
    pub(crate) fn cluster_draft(&self, mut new: NewCluster<'_>) -> Result<Draft> {
        permit(new.caller, &Resource::clusters(new.account_id, &new.region, &new.group.id))?;
        let zone = self.catalog.any_zone(&new.spec.datacenter);
        new.spec.location = zone.map_or(&new.region, |zone| &zone.metro_name).to_owned();
        let id = id::xid(new.now);
        let (row, now) = (row(&id, &new), new.now.as_millisecond());
        let status = ClusterStatus {
            master_state: "deploying".to_owned(),
            master_status: REQUESTED.to_owned(),
            master_status_since: now,
            ..ClusterStatus::default()
        };
        let mut draft = Draft::new(row, new.spec, status);
        for (name, pool) in new.pools {
            let pool = draft.pool_add(&name, pool, now)?;
            draft.pool_fill(pool, now)?;
        }
        Ok(draft)
    }

    /// Begins the transaction of a create. Creates of one account come one after another, since each takes the first free addresses
    /// and ranges that it finds.
    pub(crate) async fn begin(&self, account_id: &str) -> Result<boatyard_store::Tx> {
        let mut tx = self.store.write(Domain::Fleet).await?;
        accounts::lock(&mut tx, account_id).await?;
        Ok(tx)
    }
}

fn row(id: &str, new: &NewCluster<'_>) -> ClusterRow {
    let now = new.now.as_millisecond();
    ClusterRow {
        id: id.to_owned(),
        account_id: new.account_id.to_owned(),
        name: new.name.to_owned(),
        provider: new.provider.as_str().to_owned(),
        region: new.region.clone(),
        vpc_id: new.spec.vpc_ids.first().cloned().unwrap_or_default(),
        pod_subnet: new.spec.pod_subnet.clone(),
        ingress_label: String::new(),
        resource_group_id: new.group.id.clone(),
        resource_group_name: new.group.name.clone(),
        state: "requested".to_owned(),
        state_since: now,
        desired: "present".to_owned(),
        spec: String::new(),
        status: String::new(),
        created_at: now,
        modified_at: now,
        wake_at: Some(now),
        revision: 0,
        worker_count: 0,
    }
}

/// The account a request works in. The edge refuses tokens without one, so this is only a second lock on the door.
pub(crate) fn account(caller: &Caller) -> Result<&str> {
    caller.account_id.as_deref().ok_or(Error::ClusterNotFound)
}

/// That what the request needs is allowed on `resource`.
pub(crate) fn permit(caller: &Caller, resource: &Resource<'_>) -> Result<()> {
    if caller.reaches(resource) { Ok(()) } else { Err(Error::Forbidden { action: caller.action().to_owned() }) }
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

/// How many workers the first pool of a cluster has in each zone at least: OpenShift needs two in all.
pub(crate) fn least_workers(zones: usize, openshift: bool) -> usize {
    if openshift && zones == 1 { 2 } else { 1 }
}

/// The number of workers in each zone: the least there may be, unless another is given.
pub(crate) fn size_per_zone(wanted: Option<i64>, zones: usize, least: usize) -> Result<usize> {
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
            assert_eq!(
                size_per_zone(wanted, zones, least_workers(zones, openshift)).ok(),
                expected,
                "{wanted:?} {zones} {openshift}"
            );
        }
    }
}
