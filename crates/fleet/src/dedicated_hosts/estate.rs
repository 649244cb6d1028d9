//! All dedicated hosts of an account at one moment: their states, and which worker is on which.

use std::collections::BTreeMap;

use boatyard_core::clock::from_ms;
use boatyard_runtime::Timings;
use boatyard_store::dedicated_hosts::{self as hosts, HostPoolRow, HostRow, PlacedWorker};
use boatyard_store::{Conn, workers};
use jiff::{SignedDuration, Timestamp};

use super::{HostError, HostPoolView, HostView, HostWorker, REMEMBERED, Resources, host_flavor};
use crate::model::decode;
use crate::{Fleet, PoolSpec, Result};

/// A worker pool on a host pool.
pub(super) struct WorkerPool {
    id: String,
    cluster_id: String,
    pub host_pool_id: String,
    flavor: String,
}

/// The dedicated hosts of an account at one moment.
pub(super) struct Estate {
    pub now: Timestamp,
    timings: Timings,
    pub pools: Vec<HostPoolRow>,
    hosts: Vec<HostRow>,
    pub worker_pools: Vec<WorkerPool>,
    /// Oldest first.
    workers: Vec<HostWorker>,
}

impl Estate {
    /// Drops what was removed so long ago that nobody waits to see it.
    fn forget(&mut self) {
        let (now, lasts) = (self.now, self.timings.host_removing + REMEMBERED);
        let known = |removed_at: Option<i64>| removed_at.is_none_or(|at| now < after(at, lasts));
        self.pools.retain(|pool| known(pool.removed_at));
        self.hosts.retain(|host| known(host.removed_at));
    }

    pub(super) fn pool(&self, id_or_name: &str) -> Result<&HostPoolRow> {
        let by_name = || {
            let mut named = self.pools.iter().filter(|pool| pool.name == id_or_name);
            // A name may have been used again after a removal; the newer pool is meant.
            named.next_back()
        };
        let found = self.pools.iter().find(|pool| pool.id == id_or_name).or_else(by_name);
        Ok(found.ok_or(HostError::PoolNotFound)?)
    }

    pub(super) fn live_pool(&self, id_or_name: &str) -> Result<&HostPoolRow> {
        let pool = self.pool(id_or_name)?;
        if self.pool_state(pool) == "deleted" { Err(HostError::PoolNotFound.into()) } else { Ok(pool) }
    }

    pub(super) fn hosts_of<'a>(&'a self, pool: &'a HostPoolRow) -> impl Iterator<Item = &'a HostRow> {
        self.hosts.iter().filter(|host| host.pool_id == pool.id)
    }

    pub(super) fn pool_state(&self, pool: &HostPoolRow) -> &'static str {
        let created = [("creating", self.timings.host_pending)];
        self.state(pool.created_at, pool.removed_at, &created)
    }

    pub(super) fn host_state(&self, host: &HostRow) -> &'static str {
        let created = [("create_pending", self.timings.host_pending), ("creating", self.timings.host_creating)];
        self.state(host.created_at, host.removed_at, &created)
    }

    fn state(&self, created_at: i64, removed_at: Option<i64>, stages: &[(&'static str, SignedDuration)]) -> &'static str {
        if let Some(at) = removed_at {
            return if self.now < after(at, self.timings.host_removing) { "deleting" } else { "deleted" };
        }
        let mut lasts = SignedDuration::ZERO;
        let stage = stages.iter().find(|(_, duration)| {
            lasts += *duration;
            self.now < after(created_at, lasts)
        });
        stage.map_or("created", |(state, _)| state)
    }

    pub(super) fn pool_view(&self, pool: &HostPoolRow) -> HostPoolView {
        let mut zones: BTreeMap<String, (usize, Resources)> = BTreeMap::new();
        for host in self.hosts_of(pool).filter(|host| self.host_state(host) != "deleted") {
            let capacity = capacity(host);
            let (count, all) = zones.entry(host.zone.clone()).or_default();
            *count += 1;
            all.vcpus += capacity.vcpus;
            all.memory += capacity.memory;
        }
        let users = self.worker_pools.iter().filter(|w| w.host_pool_id == pool.id);
        HostPoolView {
            id: pool.id.clone(),
            name: pool.name.clone(),
            flavor_class: pool.flavor_class.clone(),
            metro: pool.metro.clone(),
            state: self.pool_state(pool),
            zones,
            worker_pools: users.map(|w| (w.cluster_id.clone(), w.id.clone())).collect(),
        }
    }

    /// The hosts of a pool, with each worker on the first host of its zone that has room and, when the worker was asked for, took
    /// workers.
    pub(super) fn host_views(&self, pool: &HostPoolRow) -> Vec<HostView> {
        let mut views: Vec<_> = self.hosts_of(pool).map(|host| self.host_view(host)).collect();
        let users: Vec<_> = self.worker_pools.iter().filter(|w| w.host_pool_id == pool.id).collect();
        for worker in &self.workers {
            let Some(user) = users.iter().find(|user| user.id == worker.pool_id) else { continue };
            let takes = worker_resources(&user.flavor);
            let fits = |(host, view): &(&HostRow, &mut HostView)| {
                host.removed_at.is_none()
                    && host.zone == worker.zone
                    && host.closed_at.is_none_or(|closed_at| worker.created_at < closed_at)
                    && view.consumed.vcpus + takes.vcpus <= view.capacity.vcpus
                    && view.consumed.memory + takes.memory <= view.capacity.memory
            };
            if let Some((_, view)) = self.hosts_of(pool).zip(views.iter_mut()).find(fits) {
                view.consumed.vcpus += takes.vcpus;
                view.consumed.memory += takes.memory;
                view.workers.push(worker.clone());
            }
        }
        views
    }

    fn host_view(&self, host: &HostRow) -> HostView {
        HostView {
            id: host.id.clone(),
            flavor: host.flavor.clone(),
            zone: host.zone.clone(),
            placement_enabled: host.closed_at.is_none(),
            state: self.host_state(host),
            desired: if host.removed_at.is_some() { "deleted" } else { "created" },
            since: from_ms(host.removed_at.unwrap_or(host.created_at)),
            capacity: capacity(host),
            consumed: Resources::default(),
            workers: Vec::new(),
        }
    }
}

fn capacity(host: &HostRow) -> Resources {
    host_flavor(&host.flavor).map_or_else(Resources::default, |f| Resources { vcpus: f.vcpus, memory: f.memory })
}

fn after(ms: i64, duration: SignedDuration) -> Timestamp {
    from_ms(ms).saturating_add(duration).unwrap_or(Timestamp::MAX)
}

/// What a worker of a flavor takes; VPC flavors say it in their names: `bx2.4x16`.
fn worker_resources(flavor: &str) -> Resources {
    let size = flavor.split('.').nth(1).and_then(|size| size.split_once('x'));
    let parsed = size.and_then(|(vcpus, memory)| Some(Resources { vcpus: vcpus.parse().ok()?, memory: memory.parse().ok()? }));
    parsed.unwrap_or_default()
}

fn host_worker(worker: PlacedWorker, flavor: &str) -> HostWorker {
    HostWorker {
        id: worker.id,
        cluster_id: worker.cluster_id,
        pool_id: worker.pool_id,
        flavor: flavor.to_owned(),
        created_at: worker.created_at,
        zone: worker.zone,
    }
}

impl Fleet {
    /// Everything about the account's dedicated hosts.
    pub(super) async fn estate(&self, conn: &mut Conn, account_id: &str) -> Result<Estate> {
        let mut estate = Estate {
            now: self.clock.now(),
            timings: self.runtime.timings(),
            pools: hosts::pools(conn, account_id).await?,
            hosts: hosts::list(conn, account_id).await?,
            worker_pools: Vec::new(),
            workers: Vec::new(),
        };
        estate.forget();
        if estate.pools.is_empty() {
            return Ok(estate);
        }
        for row in workers::pools_of_account(conn, account_id).await? {
            let spec: PoolSpec = decode(&row.spec)?;
            let Some(host_pool_id) = spec.host_pool_id.filter(|id| !id.is_empty()) else { continue };
            let placed = hosts::workers(conn, account_id, &row.id).await?.into_iter();
            estate.workers.extend(placed.map(|worker| host_worker(worker, &spec.flavor)));
            estate.worker_pools.push(WorkerPool { id: row.id, cluster_id: row.cluster_id, host_pool_id, flavor: spec.flavor });
        }
        estate.workers.sort_by(|a, b| (a.created_at, &a.id).cmp(&(b.created_at, &b.id)));
        Ok(estate)
    }
}

#[cfg(test)]
mod tests {
    use boatyard_runtime::Pace;

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

    fn host(id: &str, zone: &str) -> HostRow {
        HostRow {
            id: id.to_owned(),
            account_id: "a".to_owned(),
            pool_id: "dh_1".to_owned(),
            flavor: "bx2d.host.16x64".to_owned(),
            zone: zone.to_owned(),
            created_at: 0,
            closed_at: None,
            removed_at: None,
        }
    }

    fn estate(now: i64, hosts: Vec<HostRow>, workers: &[(&str, &str, i64)]) -> Estate {
        let worker = |(id, zone, created_at): &(&str, &str, i64)| HostWorker {
            id: (*id).to_owned(),
            cluster_id: "c".to_owned(),
            pool_id: "w".to_owned(),
            flavor: "bx2d.8x32".to_owned(),
            created_at: *created_at,
            zone: (*zone).to_owned(),
        };
        let user = WorkerPool {
            id: "w".to_owned(),
            cluster_id: "c".to_owned(),
            host_pool_id: "dh_1".to_owned(),
            flavor: "bx2d.8x32".to_owned(),
        };
        Estate {
            now: from_ms(now),
            timings: Timings::read(None, Pace::Fast).unwrap(),
            pools: vec![pool()],
            hosts,
            worker_pools: vec![user],
            workers: workers.iter().map(worker).collect(),
        }
    }

    #[test]
    fn states_follow_from_the_clock_and_the_removed_is_remembered_for_an_hour() {
        let mut removed = host("h", "us-south-1");
        removed.removed_at = Some(10_000);
        let cases = [
            (0, host("h", "us-south-1"), Some("create_pending")),
            (299, host("h", "us-south-1"), Some("create_pending")),
            (300, host("h", "us-south-1"), Some("creating")),
            (1_300, host("h", "us-south-1"), Some("created")),
            (10_999, removed.clone(), Some("deleting")),
            (11_000, removed.clone(), Some("deleted")),
            (3_610_999, removed.clone(), Some("deleted")),
            (3_611_000, removed, None),
        ];
        for (now, host, expected) in cases {
            let mut estate = estate(now, vec![host], &[]);
            estate.forget();
            let found = estate.host_views(&pool()).first().map(|view| view.state);
            assert_eq!(found, expected, "at {now}");
        }
        assert_eq!(estate(299, vec![], &[]).pool_state(&pool()), "creating");
        assert_eq!(estate(300, vec![], &[]).pool_state(&pool()), "created");
    }

    #[test]
    fn workers_fill_the_hosts_of_their_zone_in_order() {
        let hosts = || vec![host("1", "us-south-1"), host("2", "us-south-1"), host("3", "us-south-2")];
        let workers = [("a", "us-south-1", 1), ("b", "us-south-1", 2), ("c", "us-south-1", 3), ("d", "us-south-2", 4)];
        let placed = |estate: &Estate| -> Vec<Vec<String>> {
            let views = estate.host_views(&pool()).into_iter();
            views.map(|view| view.workers.into_iter().map(|worker| worker.id).collect()).collect()
        };
        let full = estate(9_999, hosts(), &workers);
        assert_eq!(placed(&full), [vec!["a", "b"], vec!["c"], vec!["d"]]);
        assert_eq!(full.host_views(&pool())[0].consumed, Resources { vcpus: 16, memory: 64 });

        let mut closed = hosts();
        closed[0].closed_at = Some(2);
        let closed = estate(9_999, closed, &workers);
        assert_eq!(placed(&closed), [vec!["a"], vec!["b", "c"], vec!["d"]], "a closed host keeps what it had");
    }
}
