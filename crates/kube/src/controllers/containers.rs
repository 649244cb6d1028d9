//! How a Pod's status tells of its containers.

use boatyard_core::{id, secret};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::common::{condition, find_condition, set_condition};
use crate::object::{Object, array, member, text, time};

/// What the containers of a Pod do. All of a Pod do the same.
#[derive(Clone, Debug)]
pub(super) enum Stage {
    /// They have not begun.
    Waiting {
        reason: &'static str,
        message: String,
    },
    Running {
        since: Timestamp,
    },
    /// They end again and again.
    Crashing {
        code: i64,
        since: Timestamp,
        until: Timestamp,
        restarts: i64,
    },
    Ended {
        code: i64,
        since: Timestamp,
        until: Timestamp,
    },
}

/// A status to write.
pub(super) struct Report<'a> {
    pub stage: Stage,
    /// Whether containers that run are well.
    pub healthy: bool,
    pub restarts: i64,
    pub host_ip: &'a str,
    /// Empty if it has none yet.
    pub pod_ip: String,
    pub now: Timestamp,
}

/// `nginx` as the runtime names it: `docker.io/library/nginx:latest`.
fn full_image(image: &str) -> String {
    let (first, rest) = image.split_once('/').unwrap_or(("", image));
    let is_host = first == "localhost" || first.contains(['.', ':']);
    let named = match (first, is_host) {
        ("", _) => format!("docker.io/library/{rest}"),
        (_, true) => image.to_owned(),
        _ => format!("docker.io/{image}"),
    };
    let last = named.rsplit('/').next().unwrap_or_default();
    if last.contains([':', '@']) { named } else { format!("{named}:latest") }
}

/// The digest that an image has here; there is no image, so it follows from the name.
fn image_id(image: &str) -> String {
    let full = full_image(image);
    if full.contains("@sha256:") {
        return full;
    }
    let name = full.rsplit_once(':').map_or(&*full, |(name, _)| name);
    format!("{name}@sha256:{}", id::hex(&secret::sha256(full.as_bytes())))
}

fn container_id(pod: &Object, container: &str, restarts: i64) -> String {
    let seed = format!("{}/{container}/{restarts}", pod.uid());
    format!("containerd://{}", id::hex(&secret::sha256(seed.as_bytes())))
}

fn ended(code: i64, since: Timestamp, until: Timestamp, container: &str) -> Value {
    let reason = if code == 0 { "Completed" } else { "Error" };
    json!({"terminated": {
        "exitCode": code, "reason": reason, "startedAt": time(since), "finishedAt": time(until), "containerID": container,
    }})
}

impl Report<'_> {
    fn container(&self, pod: &Object, container: &Value) -> Value {
        let (name, image) = (text(container, "/name"), text(container, "/image"));
        let mut status = json!({
            "name": name, "image": full_image(image), "imageID": image_id(image), "lastState": {}, "ready": false, "started": false,
            "restartCount": self.restarts, "containerID": container_id(pod, name, self.restarts),
        });
        match &self.stage {
            Stage::Waiting { reason, message } => {
                let mut state = json!({"reason": reason});
                if !message.is_empty() {
                    state["message"] = json!(message);
                }
                status = json!({
                    "name": name, "image": image, "imageID": "", "lastState": {}, "ready": false, "started": false, "restartCount": 0,
                    "state": {"waiting": state},
                });
            }
            Stage::Running { since } => {
                status["state"] = json!({"running": {"startedAt": time(*since)}});
                status["ready"] = json!(self.healthy);
                status["started"] = json!(true);
            }
            Stage::Crashing { code, since, until, restarts } => {
                let id = container_id(pod, name, *restarts);
                let seconds = backoff(*restarts);
                let (minutes, rest) = (seconds / 60, seconds % 60);
                let after = if minutes > 0 { format!("{minutes}m{rest}s") } else { format!("{rest}s") };
                let identity = format!("{}_{}({})", pod.key.name, pod.key.namespace, pod.uid());
                let message = format!("back-off {after} restarting failed container={name} pod={identity}");
                status["restartCount"] = json!(restarts);
                status["lastState"] = ended(*code, *since, *until, &id);
                status["containerID"] = json!(id);
                status["state"] = json!({"waiting": {"reason": "CrashLoopBackOff", "message": message}});
            }
            Stage::Ended { code, since, until } => {
                let id = container_id(pod, name, self.restarts);
                status["state"] = ended(*code, *since, *until, &id);
            }
        }
        status
    }

    /// An init container: done, as soon as the others have begun.
    fn init_container(&self, pod: &Object, container: &Value) -> Value {
        if container["restartPolicy"] == json!("Always") {
            return self.container(pod, container);
        }
        let at = match &self.stage {
            Stage::Waiting { .. } => {
                let waiting = Stage::Waiting { reason: "PodInitializing", message: String::new() };
                return Report { stage: waiting, pod_ip: String::new(), ..*self }.container(pod, container);
            }
            Stage::Running { since } | Stage::Crashing { since, .. } | Stage::Ended { since, .. } => *since,
        };
        let done = Stage::Ended { code: 0, since: at, until: at };
        let mut status = Report { stage: done, pod_ip: String::new(), restarts: 0, ..*self }.container(pod, container);
        status["ready"] = json!(true);
        status
    }

    /// Writes it into the Pod.
    pub fn write(&self, pod: &Object, value: &mut Value) {
        let spec = value.get("spec").cloned().unwrap_or_default();
        let containers: Vec<Value> = array(&spec, "/containers").iter().map(|c| self.container(pod, c)).collect();
        let inits: Vec<Value> = array(&spec, "/initContainers").iter().map(|c| self.init_container(pod, c)).collect();
        let phase = match &self.stage {
            Stage::Waiting { .. } => "Pending",
            Stage::Running { .. } | Stage::Crashing { .. } => "Running",
            Stage::Ended { code: 0, .. } => "Succeeded",
            Stage::Ended { .. } => "Failed",
        };
        let status = member(value, "status");
        status.insert("phase".to_owned(), json!(phase));
        status.entry("qosClass").or_insert_with(|| json!(crate::amounts::qos_class(&spec)));
        status.entry("startTime").or_insert_with(|| json!(time(self.now)));
        status.insert("hostIP".to_owned(), json!(self.host_ip));
        status.insert("hostIPs".to_owned(), json!([{"ip": self.host_ip}]));
        if !self.pod_ip.is_empty() {
            status.insert("podIP".to_owned(), json!(self.pod_ip));
            status.insert("podIPs".to_owned(), json!([{"ip": self.pod_ip}]));
        }
        status.insert("containerStatuses".to_owned(), json!(containers));
        if !inits.is_empty() {
            status.insert("initContainerStatuses".to_owned(), json!(inits));
        }
        self.write_conditions(&spec, value);
    }

    fn write_conditions(&self, spec: &Value, value: &mut Value) {
        let names = |list: &str| array(spec, list).iter().map(|c| text(c, "/name")).collect::<Vec<_>>().join(" ");
        let set = |value: &mut Value, kind: &str, no: Option<(&str, String)>| {
            let (reason, message) = no.clone().unwrap_or_default();
            let status = if no.is_some() { "False" } else { "True" };
            set_condition(value, condition(kind, status, reason, &message), self.now);
        };
        let unready = || Some(("ContainersNotReady", format!("containers with unready status: [{}]", names("/containers"))));
        let begun = !matches!(self.stage, Stage::Waiting { .. });
        let sandbox = begun || matches!(self.stage, Stage::Waiting { reason, .. } if reason != "ContainerCreating");
        let containers = match &self.stage {
            Stage::Running { .. } if self.healthy => None,
            Stage::Ended { code: 0, .. } => Some(("PodCompleted", String::new())),
            Stage::Ended { .. } => Some(("PodFailed", String::new())),
            _ => unready(),
        };
        let gates: Vec<&str> = array(spec, "/readinessGates").iter().map(|gate| text(gate, "/conditionType")).collect();
        let shut =
            gates.iter().find(|gate| !super::common::is_true(value, gate)).map(|gate| match find_condition(value, gate) {
                None => format!("corresponding condition of pod readiness gate \"{gate}\" does not exist."),
                Some(_) => format!("the status of pod readiness gate \"{gate}\" is not \"True\", but False"),
            });
        let ready = containers.clone().or_else(|| shut.map(|message| ("ReadinessGatesNotReady", message)));
        let initialized = match &self.stage {
            Stage::Ended { code: 0, .. } => {
                set_condition(value, condition("Initialized", "True", "PodCompleted", ""), self.now);
                None
            }
            _ if begun || array(spec, "/initContainers").is_empty() => Some(None),
            _ => {
                let message = format!("containers with incomplete status: [{}]", names("/initContainers"));
                Some(Some(("ContainersNotInitialized", message)))
            }
        };
        set(value, "PodReadyToStartContainers", (!sandbox || phase_over(&self.stage)).then(Default::default));
        if let Some(initialized) = initialized {
            set(value, "Initialized", initialized);
        }
        set(value, "Ready", ready);
        set(value, "ContainersReady", containers);
        set(value, "PodScheduled", None);
    }
}

fn phase_over(stage: &Stage) -> bool {
    matches!(stage, Stage::Ended { .. })
}

/// Seconds until a container that ended so many times is started again: 10, 20, 40 … 300.
pub(super) fn backoff(restarts: i64) -> i64 {
    let doublings = u32::try_from(restarts - 1).unwrap_or(0).min(5);
    (10_i64 << doublings).min(300)
}
