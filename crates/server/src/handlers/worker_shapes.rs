//! Workers as each version of the API shows them.

use boatyard_api::containers::{
    GetWorkerResponse, GetWorkerResponseHealth, GetWorkerResponseKubeVersion, GetWorkerResponseLifecycle,
    GetWorkerResponseNetworkInformation, GetWorkerResponseNetworkInterface, Worker as V1Worker,
};
use boatyard_core::clock::containers_date;
use boatyard_fleet::{Catalog, Cluster, Pool, Provider, Support, Worker};
use jiff::Timestamp;

use super::cluster_shapes::{pending, running_version, text};

/// What all workers of a cluster have in common.
pub struct WorkerView<'a> {
    cluster: &'a Cluster,
    catalog: &'a Catalog,
    /// When support of the master's version ends.
    master_eos: String,
}

impl<'a> WorkerView<'a> {
    #[must_use]
    pub fn new(cluster: &'a Cluster, catalog: &'a Catalog) -> Self {
        let mut view = Self { cluster, catalog, master_eos: String::new() };
        view.master_eos = view.eos(view.master());
        view
    }

    #[must_use]
    pub fn v1(&self, worker: &Worker) -> V1Worker {
        let details = &worker.details;
        let date = containers_date(worker.state_since);
        let reloading = reload_under_way(worker);
        V1Worker {
            billing: text("hourly"),
            error_message: text(&details.failure),
            error_message_date: if details.failure.is_empty() { None } else { text(&date) },
            id: text(&worker.id),
            isolation: text(&worker.isolation),
            kube_version: text(&pending(&details.version, if reloading { &details.next_version } else { &details.version })),
            location: text(&worker.zone),
            machine_type: text(&worker.flavor),
            master_version_eos: text(&self.master_eos),
            pending_operation: text(&worker.work),
            pool_name: text(&worker.pool_name),
            poolid: text(&worker.pool_id),
            private_ip: text(&worker.address),
            private_vlan: text(&worker.network_id),
            public_ip: text(&details.public_address),
            public_vlan: text(&details.public_vlan),
            state: text(v1_state(worker)),
            status: text(message(worker)),
            status_date: text(&date),
            target_version: text(self.master()),
            trusted_status: text("unsupported"),
            version_eos: text(&self.eos(&details.version)),
            ..V1Worker::default()
        }
    }

    #[must_use]
    pub fn v2(&self, worker: &Worker) -> GetWorkerResponse {
        let details = &worker.details;
        // A pool that was removed is not the cluster's any more, and wants nothing of its last workers.
        let pool = self.cluster.pools.iter().find(|pool| pool.id == worker.pool_id);
        let desired = if reload_under_way(worker) { &details.next_version } else { &details.version };
        let vpc = self.cluster.provider == Provider::VpcGen2;
        GetWorkerResponse {
            billing: text("hourly"),
            dedicated_host_pool_id: pool.and_then(|pool| pool.spec.host_pool_id.clone()),
            flavor: text(&worker.flavor),
            health: Some(GetWorkerResponseHealth { message: text(message(worker)), state: text(health(worker)) }),
            id: text(&worker.id),
            kube_version: Some(GetWorkerResponseKubeVersion {
                actual: text(&details.version),
                desired: text(desired),
                eos: text(&self.eos(&details.version)),
                master_eos: text(&self.master_eos),
                target: text(self.master()),
            }),
            lifecycle: Some(lifecycle(worker, pool)),
            location: text(&worker.zone),
            network_information: (!vpc).then(|| GetWorkerResponseNetworkInformation {
                private_ip: text(&worker.address),
                private_vlan: text(&details.private_vlan),
                public_ip: text(&details.public_address),
                public_vlan: text(&details.public_vlan),
            }),
            network_interfaces: if vpc { vec![interface(worker)] } else { Vec::new() },
            pool_id: text(&worker.pool_id),
            pool_name: text(&worker.pool_name),
            ..GetWorkerResponse::default()
        }
    }

    /// What workers are updated to.
    fn master(&self) -> &'a str {
        running_version(self.cluster)
    }

    /// When support of a version ends; empty for one that the catalog does not have any more.
    fn eos(&self, version: &str) -> String {
        // The beginning of time, since what is asked is when support ends, not whether it has.
        let found = self.catalog.version(version, None, self.cluster.provider, &Support::at(Timestamp::MIN));
        found.map(|version| version.end_of_service).unwrap_or_default()
    }
}

fn reload_under_way(worker: &Worker) -> bool {
    worker.work == "reload"
}

fn lifecycle(worker: &Worker, pool: Option<&Pool>) -> GetWorkerResponseLifecycle {
    let details = &worker.details;
    GetWorkerResponseLifecycle {
        actual_operating_system: text(&details.operating_system),
        actual_state: text(&worker.state),
        desired_operating_system: text(pool.map_or(&details.operating_system, |pool| &pool.spec.operating_system)),
        desired_state: text(if worker.is_gone() || worker.work == "remove" { "deleted" } else { "deployed" }),
        message: text(message(worker)),
        message_date: text(&containers_date(worker.state_since)),
        pending_operation: text(&worker.work),
        ..GetWorkerResponseLifecycle::default()
    }
}

fn interface(worker: &Worker) -> GetWorkerResponseNetworkInterface {
    GetWorkerResponseNetworkInterface {
        cidr: text(&worker.cidr),
        ip_address: text(&worker.address),
        primary: Some(true),
        subnet_id: text(&worker.network_id),
    }
}

/// v1 has health and lifecycle in one word.
fn v1_state(worker: &Worker) -> &str {
    match worker.state.as_str() {
        "deployed" if worker.is_healthy() => "normal",
        "deployed" => "critical",
        state => state,
    }
}

fn health(worker: &Worker) -> &'static str {
    match worker.state.as_str() {
        "deployed" if worker.is_healthy() => "normal",
        "deployed" | "provision_failed" | "reloading_failed" => "critical",
        "deleted" => "unknown",
        _ => "pending",
    }
}

/// What is going on: `Ready` exactly when the worker serves and nothing is wrong with it, since clients compare.
fn message(worker: &Worker) -> &str {
    match worker.state.as_str() {
        "deployed" if worker.is_healthy() => "Ready",
        "deployed" | "provision_failed" | "reloading_failed" => &worker.details.failure,
        "provision_pending" => "Infrastructure instance status is 'pending'",
        "provisioning" => "Infrastructure instance status is 'provisioning'",
        "provisioned" => "Infrastructure instance status is 'running'",
        "deploying" if worker.work == "reboot" => "The worker node is being rebooted",
        "deploying" => "The worker node joins the cluster",
        "reload_pending" => "Reload requested",
        "reloading" => "The operating system is being installed anew",
        "deleting" => "The worker node is being removed",
        "deleted" => "The worker node was removed",
        state => state,
    }
}

#[cfg(test)]
mod tests {
    use boatyard_fleet::WorkerDetails;

    use super::*;

    fn worker(state: &str, work: &str, failure: &str) -> Worker {
        let empty = String::new;
        Worker {
            id: "kube-c-n-default-00000001".to_owned(),
            cluster_id: "c".to_owned(),
            pool_id: empty(),
            pool_name: empty(),
            zone: empty(),
            network_id: empty(),
            cidr: empty(),
            address: empty(),
            state: state.to_owned(),
            state_since: Timestamp::UNIX_EPOCH,
            work: work.to_owned(),
            created_at: Timestamp::UNIX_EPOCH,
            details: WorkerDetails { failure: failure.to_owned(), ..WorkerDetails::default() },
            flavor: empty(),
            isolation: empty(),
        }
    }

    /// What clients compare: state and status of v1, health of v2, what is wanted.
    #[test]
    fn a_worker_is_normal_and_ready_exactly_when_nothing_is_wrong() {
        let cases = [
            ("deployed", "", "", "normal", "normal", "deployed"),
            ("deployed", "", "no disk", "critical", "critical", "deployed"),
            ("provision_failed", "", "no host", "provision_failed", "critical", "deployed"),
            ("provision_pending", "deploy", "", "provision_pending", "pending", "deployed"),
            ("reload_pending", "reload", "no disk", "reload_pending", "pending", "deployed"),
            ("deploying", "reboot", "", "deploying", "pending", "deployed"),
            ("deleting", "remove", "", "deleting", "pending", "deleted"),
            ("deleted", "", "", "deleted", "unknown", "deleted"),
        ];
        for (state, work, failure, v1, v2, desired) in cases {
            let worker = worker(state, work, failure);
            let found = (v1_state(&worker), health(&worker), lifecycle(&worker, None).desired_state);
            assert_eq!(found, (v1, v2, text(desired)), "{state} {work} {failure}");
            assert_eq!(message(&worker) == "Ready", v1 == "normal", "{state} {work} {failure}");
            assert!(!work.is_empty() || failure.is_empty() || message(&worker) == failure, "{state}: what is wrong is said");
        }
    }
}
