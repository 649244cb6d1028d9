//! `boatyard worker`: one file for each group of verbs, and what a worker's state means.

mod act;
mod get;
mod ls;
mod replace;

use boatyard_sdk::containers::Client;
use boatyard_sdk::containers::types::GetWorkerResponse;
use boatyard_sdk::{Error, Session};
use clap::Subcommand;

use crate::failure::Failure;

#[derive(Debug, Subcommand)]
pub enum Command {
    /// List the worker nodes of a cluster
    #[command(visible_alias = "list")]
    Ls(ls::Args),
    /// Show the details of a worker node
    Get(get::Args),
    /// Start worker nodes anew; they keep their systems and addresses
    Reboot(act::RebootArgs),
    /// Install the systems of worker nodes anew, in the same version
    Reload(act::ReloadArgs),
    /// Bring worker nodes of a classic cluster to the version of the master
    Update(act::UpdateArgs),
    /// Remove a worker node and start another one in its place
    Replace(replace::Args),
    /// Remove worker nodes; their pools keep their size until they are rebalanced
    Rm(act::RmArgs),
}

pub async fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Ls(args) => ls::run(args).await,
        Command::Get(args) => get::run(args).await,
        Command::Reboot(args) => act::reboot(args).await,
        Command::Reload(args) => act::reload(args).await,
        Command::Update(args) => act::update(args).await,
        Command::Replace(args) => replace::run(args).await,
        Command::Rm(args) => act::rm(args).await,
    }
}

/// A cluster's workers, of one pool if it is given; `deleted` for those too that are gone and still remembered.
pub async fn list(
    session: &Session,
    cluster: &str,
    pool: Option<&str>,
    deleted: bool,
) -> Result<Vec<GetWorkerResponse>, Error> {
    let group = session.resource_group();
    let deleted = deleted.then_some("true");
    let mut found = session.call(async |c: &Client| c.get_workers1(cluster, pool, deleted, group.as_deref()).await).await?;
    // Not every service heeds the filter.
    found.retain(|worker| pool.is_none_or(|pool| is_in_pool(worker, pool)));
    Ok(found)
}

pub async fn get(session: &Session, cluster: &str, worker: &str) -> Result<GetWorkerResponse, Error> {
    let group = session.resource_group();
    session.call(async |c: &Client| c.get_worker(cluster, worker, group.as_deref()).await).await
}

/// `pool` is an ID or a name.
pub fn is_in_pool(worker: &GetWorkerResponse, pool: &str) -> bool {
    [&worker.pool_id, &worker.pool_name].into_iter().any(|known| known.as_deref() == Some(pool))
}

fn actual(worker: &GetWorkerResponse) -> &str {
    worker.lifecycle.as_ref().and_then(|l| l.actual_state.as_deref()).unwrap_or("unknown")
}

fn health(worker: &GetWorkerResponse) -> &str {
    worker.health.as_ref().and_then(|h| h.state.as_deref()).unwrap_or_default()
}

/// One word: how it is once it is there, and what is being done to it before.
pub fn state(worker: &GetWorkerResponse) -> &str {
    match (actual(worker), health(worker)) {
        ("deployed", health) if !health.is_empty() => health,
        (actual, _) => actual,
    }
}

/// What goes on, or is wrong.
pub fn status(worker: &GetWorkerResponse) -> &str {
    let lifecycle = worker.lifecycle.as_ref().and_then(|l| l.message.as_deref());
    let health = worker.health.as_ref().and_then(|h| h.message.as_deref());
    let (first, second) = if actual(worker) == "deployed" { (health, lifecycle) } else { (lifecycle, health) };
    [first, second].into_iter().flatten().map(str::trim).find(|text| !text.is_empty()).unwrap_or_default()
}

/// State and, where it says more, status.
pub fn describe(worker: &GetWorkerResponse) -> String {
    let (state, status) = (state(worker), status(worker));
    // What goes is as its state says; why it goes was the asker's wish.
    let says_more = !is_leaving(worker) && !status.is_empty() && !status.eq_ignore_ascii_case(state) && status != "Ready";
    if says_more { format!("{state}: {status}") } else { state.to_owned() }
}

pub fn is_deleted(worker: &GetWorkerResponse) -> bool {
    actual(worker) == "deleted"
}

pub fn is_leaving(worker: &GetWorkerResponse) -> bool {
    let desired = worker.lifecycle.as_ref().and_then(|l| l.desired_state.as_deref());
    matches!(actual(worker), "deleting" | "deleted") || desired == Some("deleted")
}

/// Deployed and healthy, with nothing left to be done to it.
pub fn is_ready(worker: &GetWorkerResponse) -> bool {
    let lifecycle = worker.lifecycle.as_ref();
    let is_busy = lifecycle.and_then(|l| l.pending_operation.as_deref()).is_some_and(|op| !op.is_empty());
    let version = worker.kube_version.as_ref().and_then(|v| v.actual.as_deref()).unwrap_or_default();
    actual(worker) == "deployed"
        && health(worker) == "normal"
        && !is_busy
        && !version.contains("pending")
        && !is_leaving(worker)
}

/// It does not get well by waiting.
pub fn has_failed(worker: &GetWorkerResponse) -> bool {
    actual(worker).ends_with("_failed") || actual(worker) == "deployed" && health(worker) == "critical"
}

/// How far it is on its way to being ready or gone; none for states that are not on the way.
pub fn percent(worker: &GetWorkerResponse) -> Option<usize> {
    match actual(worker) {
        "provision_pending" | "reload_pending" | "undeploying" => Some(10),
        "provisioning" | "undeployed" => Some(30),
        "provisioned" | "reloading" | "deleting" => Some(50),
        "deploying" | "reloaded" => Some(75),
        "deployed" if is_ready(worker) => Some(100),
        "deployed" => Some(90),
        "deleted" => Some(100),
        _ => None,
    }
}

/// The part of `kube-CLUSTER-mycluster-default-0000018c` that tells a cluster's workers apart.
pub fn short_name(worker: &GetWorkerResponse) -> &str {
    let id = worker.id.as_deref().unwrap_or_default();
    id.strip_prefix("kube-").and_then(|rest| rest.split_once('-')).map_or(id, |(_, name)| name)
}

/// The version, with a star where the master's is another one.
pub fn version(worker: &GetWorkerResponse) -> String {
    let Some(version) = &worker.kube_version else { return String::new() };
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    let (actual, desired, target) = (text(&version.actual), text(&version.desired), text(&version.target));
    if !desired.is_empty() && desired != actual && !actual.contains("pending") && !actual.is_empty() {
        return format!("{actual} --> {desired} (pending)");
    }
    let is_behind = !is_leaving(worker) && !target.is_empty() && target != actual;
    if is_behind { format!("{actual}*") } else { actual }
}

/// Private address first, then the public one.
pub fn addresses(worker: &GetWorkerResponse) -> (String, String) {
    let vpc = worker.network_interfaces.iter().find(|i| i.primary == Some(true)).or(worker.network_interfaces.first());
    let classic = worker.network_information.as_ref();
    let private = vpc.and_then(|i| i.ip_address.clone()).or_else(|| classic.and_then(|c| c.private_ip.clone()));
    (private.unwrap_or_default(), classic.and_then(|c| c.public_ip.clone()).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn worker(of: Value) -> GetWorkerResponse {
        serde_json::from_value(of).expect("it is a worker")
    }

    #[test]
    fn states_are_those_that_clients_wait_for() {
        // actual state, health, pending operation; whether it is ready, whether it has failed, what is shown.
        let cases = [
            ("deployed", "normal", "", true, false, "normal"),
            ("deployed", "normal", "reboot", false, false, "normal"),
            ("deployed", "pending", "", false, false, "pending"),
            ("deployed", "warning", "", false, false, "warning"),
            ("deployed", "critical", "", false, true, "critical"),
            ("deploying", "critical", "", false, false, "deploying"),
            ("provision_failed", "critical", "", false, true, "provision_failed"),
            ("reloading_failed", "unknown", "", false, true, "reloading_failed"),
            ("deleted", "unknown", "", false, false, "deleted"),
        ];
        for (actual, health, pending, ready, failed, shown) in cases {
            let w =
                worker(json!({"lifecycle": {"actualState": actual, "pendingOperation": pending}, "health": {"state": health}}));
            assert_eq!((is_ready(&w), has_failed(&w), state(&w)), (ready, failed, shown), "{actual} {health} {pending}");
        }
        assert_eq!(state(&worker(json!({}))), "unknown");
    }

    #[test]
    fn a_worker_in_an_old_version_has_a_star() {
        let cases = [
            (json!({"actual": "1.35.1", "desired": "1.35.1", "target": "1.35.1"}), "1.35.1"),
            (json!({"actual": "1.35.1", "desired": "1.35.1", "target": "1.36.0"}), "1.35.1*"),
            (json!({"actual": "1.35.1", "desired": "1.36.0", "target": "1.36.0"}), "1.35.1 --> 1.36.0 (pending)"),
            (json!({}), ""),
        ];
        for (kube_version, shown) in cases {
            assert_eq!(version(&worker(json!({"kubeVersion": kube_version}))), shown);
        }
    }

    #[test]
    fn the_reason_of_a_failure_is_told() {
        let failed =
            json!({"lifecycle": {"actualState": "provision_failed", "message": "No capacity"}, "health": {"state": "unknown"}});
        assert_eq!(describe(&worker(failed)), "provision_failed: No capacity");
        let ready = json!({"lifecycle": {"actualState": "deployed"}, "health": {"state": "normal", "message": "Ready"}});
        assert_eq!(describe(&worker(ready)), "normal");
        assert_eq!(short_name(&worker(json!({"id": "kube-dc2a-mine-default-0000018c"}))), "mine-default-0000018c");
    }
}
