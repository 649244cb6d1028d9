//! What tables say of pods: how many containers are ready, what the pod is at, and how often containers were started again.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::age::human_duration;
use crate::object::{array, number, text};

struct Summary {
    ready: usize,
    total: usize,
    status: String,
    restarts: i64,
    restarted: Option<Timestamp>,
}

/// What happened to the containers of one kind so far.
#[derive(Default)]
struct Restarts {
    count: i64,
    last: Option<Timestamp>,
}

impl Restarts {
    fn add(&mut self, container: &Value) {
        self.count += number(container, "/restartCount").unwrap_or_default();
        let finished = text(container, "/lastState/terminated/finishedAt").parse().ok();
        self.last = self.last.max(finished);
    }
}

fn condition(pod: &Value, kind: &str) -> bool {
    array(pod, "/status/conditions").iter().any(|c| c["type"] == kind && c["status"] == "True")
}

/// `Error`, `ExitCode:1`, `Signal:9`.
fn terminated(state: &Value, prefix: &str) -> String {
    match (text(state, "/reason"), number(state, "/signal").unwrap_or_default()) {
        ("", 0) => format!("{prefix}ExitCode:{}", number(state, "/exitCode").unwrap_or_default()),
        ("", signal) => format!("{prefix}Signal:{signal}"),
        (reason, _) => format!("{prefix}{reason}"),
    }
}

fn summary(pod: &Value) -> Summary {
    let phase = text(pod, "/status/phase");
    let status = match text(pod, "/status/reason") {
        "" => phase,
        reason => reason,
    };
    let gated = |c: &Value| c["type"] == "PodScheduled" && c["reason"] == "SchedulingGated";
    let gated = array(pod, "/status/conditions").iter().any(gated);
    let mut summary = Summary {
        ready: 0,
        total: array(pod, "/spec/containers").len(),
        status: if gated { "SchedulingGated" } else { status }.to_owned(),
        restarts: 0,
        restarted: None,
    };
    let (initializing, sidecars) = initialization(pod, &mut summary);
    if !initializing || condition(pod, "Initialized") {
        containers(pod, sidecars, &mut summary);
    }
    if !pod["metadata"]["deletionTimestamp"].is_null() {
        if text(pod, "/status/reason") == "NodeLost" {
            summary.status = "Unknown".to_owned();
        } else if !matches!(phase, "Failed" | "Succeeded") {
            summary.status = "Terminating".to_owned();
        }
    }
    summary
}

/// Init containers up to the first that is not done: whether there is one, and the restarts of those that go on beside the pod's others.
fn initialization(pod: &Value, summary: &mut Summary) -> (bool, Restarts) {
    let specified = array(pod, "/spec/initContainers");
    let goes_on = |name: &str| specified.iter().any(|c| c["name"] == name && c["restartPolicy"] == "Always");
    summary.total += specified.iter().filter(|c| c["restartPolicy"] == "Always").count();
    let (mut all, mut sidecars) = (Restarts::default(), Restarts::default());
    let mut initializing = false;
    for (i, container) in array(pod, "/status/initContainerStatuses").iter().enumerate() {
        all.add(container);
        let sidecar = goes_on(text(container, "/name"));
        if sidecar {
            sidecars.add(container);
        }
        let state = &container["state"];
        if !state["terminated"].is_null() && number(state, "/terminated/exitCode").unwrap_or_default() == 0 {
            continue;
        }
        if sidecar && container["started"] == true {
            summary.ready += usize::from(container["ready"] == true);
            continue;
        }
        initializing = true;
        summary.status = if !state["terminated"].is_null() {
            terminated(&state["terminated"], "Init:")
        } else {
            match text(state, "/waiting/reason") {
                "" | "PodInitializing" => format!("Init:{i}/{}", specified.len()),
                reason => format!("Init:{reason}"),
            }
        };
        break;
    }
    (summary.restarts, summary.restarted) = (all.count, all.last);
    (initializing, sidecars)
}

fn containers(pod: &Value, mut restarts: Restarts, summary: &mut Summary) {
    let (mut running, mut error) = (false, None);
    for container in array(pod, "/status/containerStatuses").iter().rev() {
        restarts.add(container);
        let state = &container["state"];
        match text(state, "/waiting/reason") {
            "" if !state["terminated"].is_null() => {
                summary.status = terminated(&state["terminated"], "");
                if number(state, "/terminated/exitCode").unwrap_or_default() != 0 {
                    error = Some(summary.status.clone());
                }
            }
            "" if container["ready"] == true && !state["running"].is_null() => {
                running = true;
                summary.ready += 1;
            }
            "" => {}
            reason => reason.clone_into(&mut summary.status),
        }
    }
    (summary.restarts, summary.restarted) = (restarts.count, restarts.last);
    if summary.status == "Completed" {
        if running && condition(pod, "Ready") {
            "Running".clone_into(&mut summary.status);
        } else if let Some(error) = error {
            summary.status = error;
        } else if running {
            "NotReady".clone_into(&mut summary.status);
        }
    }
}

/// `1/2`.
pub fn ready(pod: &Value, _now: Timestamp) -> Value {
    let summary = summary(pod);
    json!(format!("{}/{}", summary.ready, summary.total))
}

/// `Running`, `CrashLoopBackOff`, `Init:0/1`.
pub fn status(pod: &Value, _now: Timestamp) -> Value {
    json!(summary(pod).status)
}

/// `0`, `3 (5m ago)`.
pub fn restarts(pod: &Value, now: Timestamp) -> Value {
    let summary = summary(pod);
    json!(match summary.restarted {
        Some(last) if summary.restarts != 0 =>
            format!("{} ({} ago)", summary.restarts, human_duration(now.duration_since(last))),
        _ => summary.restarts.to_string(),
    })
}

/// `1/1`: how many of the conditions that its readiness waits for hold.
pub fn readiness_gates(pod: &Value, _now: Timestamp) -> Value {
    let gates = array(pod, "/spec/readinessGates");
    let open = gates.iter().filter(|gate| condition(pod, text(gate, "/conditionType"))).count();
    json!(if gates.is_empty() { "<none>".to_owned() } else { format!("{open}/{}", gates.len()) })
}
