//! What is waited for, and how far it is: from a cluster and its workers as the service shows them.
//!
//! A goal is reached when the wait loops of Terraform's provider would take it for reached, so that a script may go on with
//! either. Nothing here asks the service.

use std::collections::BTreeSet;

use boatyard_sdk::containers::types::{GetClusterResponse, GetWorkerResponse};

use super::display::Row;
use crate::commands::worker;

/// States on the way to `normal`, in order. What is not among them is an end or a detour.
const WAY: [&str; 5] = ["requested", "deploying", "pending", "warning", "normal"];
/// A cluster in one of these gets nowhere by waiting.
const DEAD_ENDS: [&str; 6] = ["aborted", "deleting", "deleted", "deploy_failed", "create_failed", "delete_failed"];
/// A master in one of these has stopped on its way.
const MASTER_ENDS: [&str; 5] = ["update_failed", "update_canceled", "deploy_failed", "delete_failed", "error"];
/// So many workers have a line each; more are counted by state.
const FEW: usize = 6;

/// What is waited for.
#[derive(Clone, Debug)]
pub enum Goal {
    /// The cluster is `normal`.
    Normal,
    /// The cluster is no longer known.
    Gone,
    /// The master is ready, in the version that it is to have.
    Master,
    /// The workers are deployed and healthy, there are at least `count` of them, and none is on its way out.
    Ready { scope: Scope, count: usize },
    /// The workers with these IDs are gone.
    Removed(BTreeSet<String>),
    /// The worker `old` is gone, and one of its pool that is not among the `known` IDs is deployed and healthy.
    Replaced { old: String, pool: String, known: BTreeSet<String> },
}

/// Some of a cluster's workers.
#[derive(Clone, Debug, Default)]
pub struct Scope {
    /// IDs or names; empty for all.
    pub pools: Vec<String>,
    pub zone: Option<String>,
    /// IDs; empty for all.
    pub workers: BTreeSet<String>,
}

/// What the service shows.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// None when the cluster is not known any more.
    pub cluster: Option<GetClusterResponse>,
    /// Also workers that went away while they were watched.
    pub workers: Vec<GetWorkerResponse>,
}

#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    Waiting,
    Reached,
    /// It will not be reached by waiting: why, and what to do (with `CLUSTER` for the cluster).
    Failed {
        what: String,
        next: String,
    },
}

impl Scope {
    pub fn contains(&self, worker: &GetWorkerResponse) -> bool {
        let id = worker.id.as_deref().unwrap_or_default();
        (self.workers.is_empty() || self.workers.contains(id))
            && (self.pools.is_empty() || self.pools.iter().any(|pool| worker::is_in_pool(worker, pool)))
            && (self.zone.is_none() || self.zone == worker.location)
    }
}

impl Goal {
    /// Whether the workers decide, so that there is nothing to wait for without them.
    pub fn is_about_workers(&self) -> bool {
        matches!(self, Self::Ready { .. } | Self::Removed(_) | Self::Replaced { .. })
    }

    /// Ends a sentence such as "The cluster mine is not …".
    pub fn text(&self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::Gone => "deleted",
            Self::Master => "done with its master",
            Self::Ready { .. } => "done with its workers",
            Self::Removed(_) => "rid of the workers",
            Self::Replaced { .. } => "done with replacing the worker",
        }
    }

    fn watches(&self, worker: &GetWorkerResponse) -> bool {
        let id = worker.id.as_deref().unwrap_or_default();
        match self {
            Self::Normal => true,
            Self::Gone | Self::Master => false,
            Self::Ready { scope, .. } => scope.contains(worker),
            Self::Removed(ids) => ids.contains(id),
            Self::Replaced { old, pool, known } => id == old || !known.contains(id) && worker::is_in_pool(worker, pool),
        }
    }

    pub fn verdict(&self, seen: &Seen) -> Verdict {
        let Some(cluster) = &seen.cluster else {
            return match self {
                Self::Gone | Self::Removed(_) => Verdict::Reached,
                _ => {
                    failed("The cluster was deleted while it was waited for.", "See what there is with `boatyard cluster ls`.")
                }
            };
        };
        if let Some(failure) = self.cluster_failure(cluster) {
            return failure;
        }
        let watched: Vec<_> = seen.workers.iter().filter(|w| self.watches(w)).collect();
        if let Some(failure) = watched.iter().find_map(|w| self.worker_failure(w)) {
            return failure;
        }
        let staying = || watched.iter().filter(|w| !worker::is_deleted(w));
        let is_reached = match self {
            Self::Normal => cluster.state.as_deref() == Some("normal"),
            Self::Gone => false,
            Self::Master => is_master_ready(cluster),
            Self::Ready { scope, count } => {
                let lost = scope.workers.iter().find(|id| !staying().any(|w| w.id.as_ref() == Some(id)));
                if let Some(id) = lost {
                    return failed(
                        format!("The worker {id} was removed while it was waited for."),
                        "See `boatyard worker ls -c CLUSTER`.",
                    );
                }
                staying().count() >= *count && staying().all(|w| worker::is_ready(w))
            }
            Self::Removed(_) => staying().count() == 0,
            Self::Replaced { old, .. } => {
                let is_old = |w: &&&GetWorkerResponse| w.id.as_ref() == Some(old);
                !staying().any(|w| is_old(&w)) && staying().count() > 0 && staying().all(|w| worker::is_ready(w))
            }
        };
        if is_reached { Verdict::Reached } else { Verdict::Waiting }
    }

    fn cluster_failure(&self, cluster: &GetClusterResponse) -> Option<Verdict> {
        let state = cluster.state.as_deref().unwrap_or_default();
        let name = cluster.name.as_deref().unwrap_or("CLUSTER");
        match self {
            Self::Gone if state == "delete_failed" => Some(failed(
                format!("The cluster {name} could not be deleted: {}", describe(cluster)),
                "Try again with `boatyard cluster rm -c CLUSTER`.",
            )),
            Self::Normal if DEAD_ENDS.contains(&state) || state == "unsupported" => Some(failed(
                format!("The cluster {name} will not become normal: {}", describe(cluster)),
                "Look at it with `boatyard cluster get -c CLUSTER`; delete it with `boatyard cluster rm -c CLUSTER`.",
            )),
            Self::Master if MASTER_ENDS.contains(&master(cluster).0) => Some(failed(
                format!("The master of the cluster {name} stopped: {}", describe_master(cluster)),
                "Look at it with `boatyard cluster get -c CLUSTER`, and try again when the reason is gone.",
            )),
            // Workers that are waited for to go away go with their cluster too.
            Self::Master | Self::Ready { .. } | Self::Replaced { .. } if DEAD_ENDS.contains(&state) => Some(failed(
                format!("The cluster {name} is not there to be waited for: {}", describe(cluster)),
                "Look at it with `boatyard cluster get -c CLUSTER`.",
            )),
            _ => None,
        }
    }

    fn worker_failure(&self, worker: &GetWorkerResponse) -> Option<Verdict> {
        let id = worker.id.as_deref().unwrap_or_default();
        let on_its_way_out = match self {
            Self::Removed(_) => true,
            Self::Replaced { old, .. } => id == old,
            _ => worker::is_leaving(worker),
        };
        if on_its_way_out || !worker::has_failed(worker) {
            return None;
        }
        Some(failed(
            format!("The worker {id} is {}", worker::describe(worker)),
            format!(
                "Look at it with `boatyard worker get -c CLUSTER -w {id}`; try anew with `boatyard worker replace` (VPC), \
                 `boatyard worker reload` (classic), or `boatyard worker rm` and `boatyard worker-pool rebalance`."
            ),
        ))
    }

    /// A line for the cluster or its master, if they are waited for, and one for each worker or for all of them.
    pub fn rows(&self, name: &str, seen: &Seen) -> Vec<Row> {
        let mut rows = Vec::new();
        match (self, &seen.cluster) {
            (Self::Gone, None) => rows.push(Row::new(name, Some(100), "deleted")),
            (Self::Normal | Self::Gone, Some(cluster)) => {
                let step = WAY.iter().position(|s| Some(*s) == cluster.state.as_deref()).map(|at| (at + 1) * 100 / WAY.len());
                rows.push(Row::new(name, step.filter(|_| matches!(self, Self::Normal)), describe(cluster)));
            }
            (Self::Master, Some(cluster)) => {
                let step = if is_master_ready(cluster) { 100 } else { 50 };
                rows.push(Row::new(format!("{name} master"), Some(step), describe_master(cluster)));
            }
            _ => {}
        }
        let mut watched: Vec<_> = seen.workers.iter().filter(|w| self.watches(w)).collect();
        watched.sort_by(|a, b| a.id.cmp(&b.id));
        if watched.len() > FEW {
            rows.push(count(&watched));
        } else {
            rows.extend(watched.into_iter().map(|w| Row::new(worker::short_name(w), worker::percent(w), worker::describe(w))));
        }
        rows
    }
}

fn failed(what: impl Into<String>, next: impl Into<String>) -> Verdict {
    Verdict::Failed { what: what.into(), next: next.into() }
}

/// `12 normal, 5 provisioning` of many workers, the most advanced first.
fn count(workers: &[&GetWorkerResponse]) -> Row {
    let mut states: Vec<(usize, &str, usize)> = Vec::new();
    for worker in workers {
        let state = worker::state(worker);
        match states.iter_mut().find(|(_, known, _)| *known == state) {
            Some((_, _, n)) => *n += 1,
            None => states.push((worker::percent(worker).unwrap_or(0), state, 1)),
        }
    }
    states.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(b.1)));
    let text: Vec<String> = states.iter().map(|(_, state, n)| format!("{n} {state}")).collect();
    let percent = workers.iter().map(|w| worker::percent(w).unwrap_or(0)).sum::<usize>() / workers.len().max(1);
    Row::new(format!("{} workers", workers.len()), Some(percent), text.join(", "))
}

/// State and status of the master, from either shape of the answer.
fn master(cluster: &GetClusterResponse) -> (&str, &str) {
    let lifecycle = cluster.lifecycle.as_ref();
    let state = lifecycle.and_then(|l| l.master_state.as_deref()).or(cluster.master_state.as_deref());
    let status = lifecycle.and_then(|l| l.master_status.as_deref()).or(cluster.master_status.as_deref());
    (state.unwrap_or_default().trim(), status.unwrap_or_default().trim())
}

fn is_master_ready(cluster: &GetClusterResponse) -> bool {
    let (state, status) = master(cluster);
    let is_pending = cluster.master_kube_version.as_deref().is_some_and(|v| v.contains("pending"));
    state == "deployed" && status == "Ready" && !is_pending
}

fn describe_master(cluster: &GetClusterResponse) -> String {
    let (state, status) = master(cluster);
    let parts = [state, status, cluster.master_kube_version.as_deref().unwrap_or_default()];
    parts.into_iter().filter(|p| !p.is_empty()).collect::<Vec<_>>().join(", ")
}

/// The state of the cluster and of its master in one line.
fn describe(cluster: &GetClusterResponse) -> String {
    let (_, master) = master(cluster);
    let parts = [cluster.state.as_deref(), Some(master), cluster.status.as_deref()];
    let mut shown: Vec<String> = Vec::new();
    for (part, label) in parts.into_iter().zip(["", "master: ", ""]) {
        let text = part.filter(|p| !p.is_empty()).map(|p| format!("{label}{p}"));
        shown.extend(text.filter(|t| !shown.contains(t)));
    }
    shown.join(", ")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn seen(cluster: Value, workers: &[(&str, &str, &str)]) -> Seen {
        let worker = |(id, state, health): &(&str, &str, &str)| json!({"id": id, "poolName": "p", "location": "z1", "lifecycle": {"actualState": state, "message": "why"}, "health": {"state": health}});
        Seen {
            cluster: serde_json::from_value(cluster).expect("it is a cluster"),
            workers: workers.iter().map(|w| serde_json::from_value(worker(w)).expect("it is a worker")).collect(),
        }
    }

    fn verdict(goal: &Goal, cluster: &str, workers: &[(&str, &str, &str)]) -> char {
        match goal.verdict(&seen(json!({"name": "mine", "state": cluster}), workers)) {
            Verdict::Waiting => 'w',
            Verdict::Reached => 'r',
            Verdict::Failed { what, next } => {
                assert!(!what.is_empty() && next.contains('`'), "{what} {next}");
                'f'
            }
        }
    }

    const UP: (&str, &str, &str) = ("a", "deployed", "normal");
    const COMING: (&str, &str, &str) = ("b", "provisioning", "pending");
    const GOING: (&str, &str, &str) = ("b", "deleting", "pending");
    const GONE: (&str, &str, &str) = ("b", "deleted", "unknown");
    const FAILED: (&str, &str, &str) = ("b", "provision_failed", "critical");
    const ILL: (&str, &str, &str) = ("b", "deployed", "critical");

    #[test]
    fn a_new_cluster_is_waited_for_until_it_is_normal_or_cannot_be() {
        let cases = [
            ("requested", &[][..], 'w'),
            ("critical", &[COMING], 'w'),
            ("warning", &[UP, COMING], 'w'),
            ("normal", &[UP], 'r'),
            ("deploy_failed", &[], 'f'),
            ("deleting", &[GOING], 'f'),
            ("unsupported", &[], 'f'),
            ("warning", &[UP, FAILED], 'f'),
            ("warning", &[UP, ILL], 'f'),
        ];
        for (state, workers, expected) in cases {
            assert_eq!(verdict(&Goal::Normal, state, workers), expected, "{state} {workers:?}");
        }
        assert!(matches!(Goal::Normal.verdict(&Seen::default()), Verdict::Failed { .. }));
        assert_eq!(Goal::Gone.verdict(&Seen::default()), Verdict::Reached);
        assert_eq!((verdict(&Goal::Gone, "deleting", &[]), verdict(&Goal::Gone, "delete_failed", &[])), ('w', 'f'));
    }

    #[test]
    fn a_pool_is_done_when_its_workers_are_there_and_no_others() {
        let scope = |zone: &str| Scope { pools: vec!["p".to_owned()], zone: Some(zone.to_owned()), ..Scope::default() };
        let cases = [
            (2, &[UP][..], 'w'),
            (1, &[UP], 'r'),
            (1, &[UP, COMING], 'w'),
            (1, &[UP, GOING], 'w'),
            (1, &[UP, GONE], 'r'),
            (2, &[UP, FAILED], 'f'),
            (0, &[], 'r'),
        ];
        for (count, workers, expected) in cases {
            assert_eq!(verdict(&Goal::Ready { scope: scope("z1"), count }, "normal", workers), expected, "{count} {workers:?}");
        }
        // What is elsewhere does not count, for better or worse.
        assert_eq!(verdict(&Goal::Ready { scope: scope("z2"), count: 0 }, "normal", &[FAILED]), 'r');
        assert_eq!(verdict(&Goal::Ready { scope: scope("z1"), count: 0 }, "deleting", &[UP]), 'f');
    }

    #[test]
    fn named_workers_are_waited_for_each() {
        let ids = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect::<BTreeSet<_>>();
        let ready = Goal::Ready { scope: Scope { workers: ids(&["a", "b"]), ..Scope::default() }, count: 2 };
        let removed = Goal::Removed(ids(&["b"]));
        let cases = [
            (&ready, &[UP, COMING][..], 'w'),
            (&ready, &[UP, GONE], 'f'),
            (&ready, &[UP], 'f'),
            (&removed, &[UP, GOING], 'w'),
            (&removed, &[UP, GONE], 'r'),
            (&removed, &[UP], 'r'),
            // One that failed and is to go has not failed to go.
            (&removed, &[UP, FAILED], 'w'),
        ];
        for (goal, workers, expected) in cases {
            assert_eq!(verdict(goal, "normal", workers), expected, "{goal:?} {workers:?}");
        }
        assert_eq!(removed.verdict(&Seen::default()), Verdict::Reached);
    }

    #[test]
    fn a_replacement_is_done_when_the_old_one_is_gone_and_the_new_one_is_there() {
        let known = ["b", "other"].map(str::to_owned).into();
        let goal = Goal::Replaced { old: "b".to_owned(), pool: "p".to_owned(), known };
        let other = ("other", "provision_failed", "critical");
        let cases = [
            (&[GOING][..], 'w'),
            (&[GONE], 'w'),
            (&[GOING, UP], 'w'),
            (&[GONE, ("a", "deploying", "pending")], 'w'),
            (&[GONE, UP, other], 'r'),
            (&[GONE, ("a", "provision_failed", "critical")], 'f'),
        ];
        for (workers, expected) in cases {
            assert_eq!(verdict(&goal, "warning", workers), expected, "{workers:?}");
        }
    }

    #[test]
    fn a_master_is_done_when_it_is_ready_in_its_version() {
        let cases = [
            ("updating", "Version update in progress", "1.35.1 --> 1.36.0 (pending)", 'w'),
            ("deployed", "Ready", "1.35.1 --> 1.36.0 (pending)", 'w'),
            ("deployed", "Ready", "1.36.0", 'r'),
            ("update_failed", "CAE003: no", "1.35.1", 'f'),
            ("update_canceled", "Version update canceled. CAE012: no", "1.35.1", 'f'),
        ];
        for (state, status, version, expected) in cases {
            let nested = json!({"masterKubeVersion": version, "lifecycle": {"masterState": state, "masterStatus": status}});
            let flat = json!({"masterKubeVersion": version, "masterState": state, "masterStatus": status});
            for cluster in [nested, flat] {
                let found = match Goal::Master.verdict(&seen(cluster, &[])) {
                    Verdict::Waiting => 'w',
                    Verdict::Reached => 'r',
                    Verdict::Failed { .. } => 'f',
                };
                assert_eq!(found, expected, "{state} {version}");
            }
        }
    }

    #[test]
    fn few_workers_have_a_line_each_and_many_are_counted() {
        let goal = Goal::Ready { scope: Scope::default(), count: 0 };
        let rows = goal.rows("mine", &seen(json!({}), &[COMING, UP]));
        let texts: Vec<_> = rows.iter().map(|row| (row.name.as_str(), row.text.as_str())).collect();
        assert_eq!(texts, [("a", "normal: why"), ("b", "provisioning: why")]);
        let rows = goal.rows("mine", &seen(json!({}), &[UP, UP, UP, COMING, COMING, UP, FAILED]));
        assert_eq!(rows, [Row::new("7 workers", Some(65), "4 normal, 2 provisioning, 1 provision_failed")]);
    }

    #[test]
    fn says_in_one_line_how_far_a_cluster_is() {
        let cases = [
            (json!({"state": "requested"}), "requested"),
            (
                json!({"state": "deploying", "lifecycle": {"masterStatus": "Deploy in progress"}}),
                "deploying, master: Deploy in progress",
            ),
            (json!({"state": "normal", "masterStatus": "Ready", "status": "normal"}), "normal, master: Ready"),
            (json!({"state": "warning", "status": "1 worker is not ready"}), "warning, 1 worker is not ready"),
        ];
        for (cluster, expected) in cases {
            assert_eq!(describe(&serde_json::from_value(cluster).expect("it is a cluster")), expected);
        }
    }
}
