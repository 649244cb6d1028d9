//! The kubelets: what becomes of a Pod on its node. Nothing runs; a Pod does what its annotations say, or is well.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::affinity::{borne_for, untolerated};
use super::common::{after, condition, find_condition, has_ended, is_ready, later, set_condition, time_at};
use super::containers::{Report, Stage, backoff};
use super::events::{self, Told};
use super::{Run, Task};
use crate::lifecycle::{self, DeleteOptions};
use crate::object::{Key, Object, array, member, number, text};

/// What goes wrong with a Pod: `ImagePullBackOff`, `CrashLoopBackOff`, `Error` or `NotReady`.
const FAIL: &str = "boatyard.dev/fail";
/// What its containers end with.
const EXIT_CODE: &str = "boatyard.dev/exit-code";
/// After how many seconds they end.
const RUN_SECONDS: &str = "boatyard.dev/run-seconds";

/// How long a Pod may name a node that is not there, as the collector of Pods has it.
const QUARANTINE_SECONDS: i64 = 40;

/// Brings a Pod forward.
pub(super) fn sync(run: &mut Run<'_>, pod: &Arc<Object>) {
    run.txn.unwait(&pod.key);
    let name = text(pod.content(), "/spec/nodeName");
    if name.is_empty() {
        if !pod.is_terminating() {
            run.add(Task::Schedule, pod.key.clone());
        }
        return;
    }
    let Some(node) = run.txn.find("nodes", "", name) else {
        // A worker whose Node is yet to be written is not a worker that is gone.
        if !run.world.machines.iter().any(|machine| machine.address == name) {
            vanish(run, pod);
        }
        return;
    };
    if has_ended(pod) {
        if pod.is_terminating() {
            finish(run, pod);
        }
        return;
    }
    if !pod.is_terminating() && evicted_by_taint(run, pod, &node) {
        return;
    }
    if !is_ready(&node) {
        return lose(run, pod);
    }
    if pod.is_terminating() {
        return stop(run, pod);
    }
    match text(pod.content(), "/status/phase") {
        "Running" => go_on(run, pod, &node),
        _ => start(run, pod, &node),
    }
}

/// The node is gone, and the Pod with it.
fn vanish(run: &mut Run<'_>, pod: &Arc<Object>) {
    let now = run.txn.now();
    // One that was never there may be early; one that comes back at once must not come back forever.
    let due = after(bound_at(run, pod), QUARANTINE_SECONDS);
    if text(pod.content(), "/status/startTime").is_empty() && due > now {
        return run.txn.wait(&pod.key, Some(due));
    }
    if !has_ended(pod) && !array(pod.content(), "/metadata/finalizers").is_empty() {
        run.txn.edit(&pod.key, |value| {
            member(value, "status").insert("phase".to_owned(), json!("Failed"));
            let message = "PodGC: node no longer exists";
            set_condition(value, condition("DisruptionTarget", "True", "DeletionByPodGC", message), now);
        });
    }
    finish(run, pod);
}

/// Nothing holds a Pod but its finalizers any more.
fn finish(run: &mut Run<'_>, pod: &Arc<Object>) {
    lifecycle::delete(run.txn, &pod.key, &DeleteOptions { grace_period_seconds: Some(0), propagation: None });
}

/// The node does not answer.
fn lose(run: &mut Run<'_>, pod: &Arc<Object>) {
    if find_condition(pod.content(), "Ready").is_some_and(|c| c["status"] == json!("True")) {
        let now = run.txn.now();
        run.txn.edit(&pod.key, |value| set_condition(value, condition("Ready", "False", "", ""), now));
        events::tell(run.txn, pod, Told::warning("node-controller", "NodeNotReady", "Node is not ready"));
    }
}

/// When a Pod came to its node.
fn bound_at(run: &Run<'_>, pod: &Object) -> Timestamp {
    let scheduled = find_condition(pod.content(), "PodScheduled").and_then(|c| time_at(c, "/lastTransitionTime"));
    scheduled.or_else(|| time_at(pod.content(), "/metadata/creationTimestamp")).unwrap_or(run.txn.now())
}

/// Whether a taint of the node ends the Pod. One that it bears for a while will.
fn evicted_by_taint(run: &mut Run<'_>, pod: &Arc<Object>, node: &Object) -> bool {
    let spec = &pod.content()["spec"];
    // Counted from when both were there. A Pod stays a second at least, so that one that comes back at once does not come back forever.
    let bound = bound_at(run, pod);
    let mut due: Option<Timestamp> = None;
    if untolerated(spec, node.content(), &["NoExecute"]).is_some() {
        due = Some(after(bound, 1));
    } else {
        for taint in array(node.content(), "/spec/taints").iter().filter(|taint| taint["effect"] == json!("NoExecute")) {
            if let Some(seconds) = borne_for(spec, taint) {
                let at = after(time_at(taint, "/timeAdded").unwrap_or(bound).max(bound), seconds.max(1));
                due = due.into_iter().chain([at]).min();
            }
        }
    }
    let Some(at) = due else { return false };
    if at > run.txn.now() {
        run.txn.wait(&pod.key, Some(at));
        return false;
    }
    let message = format!("Marking for deletion Pod {}/{}", pod.key.namespace, pod.key.name);
    events::tell(run.txn, pod, Told::normal("taint-eviction-controller", "TaintManagerEviction", &message));
    let now = run.txn.now();
    let target =
        condition("DisruptionTarget", "True", "DeletionByTaintManager", "Taint manager: deleting due to NoExecute taint");
    run.txn.edit(&pod.key, |value| set_condition(value, target, now));
    lifecycle::delete(run.txn, &pod.key, &DeleteOptions::default());
    true
}

/// Ends a Pod when its containers have stopped.
fn stop(run: &mut Run<'_>, pod: &Arc<Object>) {
    let content = pod.content();
    let grace = number(content, "/metadata/deletionGracePeriodSeconds").unwrap_or(0);
    let end = time_at(content, "/metadata/deletionTimestamp").unwrap_or(run.txn.now());
    let asked = after(end, grace.saturating_neg());
    let at = later(asked, run.world.timings.pod_stopping.min(SignedDuration::from_secs(grace)));
    if at > run.txn.now() {
        return run.txn.wait(&pod.key, Some(at));
    }
    if grace > 0 {
        let host = text(content, "/spec/nodeName");
        let first = array(content, "/spec/containers").first().map(|c| text(c, "/name")).unwrap_or_default();
        let (message, field) = (format!("Stopping container {first}"), format!("spec.containers{{{first}}}"));
        events::tell(run.txn, pod, Told { host, field: &field, ..Told::normal("kubelet", "Killing", &message) });
    }
    finish(run, pod);
}

fn host_ip(node: &Object) -> &str {
    let addresses = array(node.content(), "/status/addresses");
    addresses.iter().find(|a| a["type"] == json!("InternalIP")).map_or(&*node.key.name, |a| text(a, "/address"))
}

/// Writes what a Pod's containers do, if that is not known yet.
fn report(run: &mut Run<'_>, pod: &Arc<Object>, node: &Object, stage: Stage, healthy: bool, restarts: i64) {
    let host_ip = host_ip(node);
    let mut pod_ip = text(pod.content(), "/status/podIP").to_owned();
    let creating = matches!(&stage, Stage::Waiting { reason, .. } if *reason == "ContainerCreating");
    if pod_ip.is_empty() && !creating {
        let hosts = pod.content().pointer("/spec/hostNetwork") == Some(&json!(true));
        pod_ip = if hosts { host_ip.to_owned() } else { run.usage().address().to_string() };
    }
    let report = Report { stage, healthy, restarts, host_ip, pod_ip, now: run.txn.now() };
    run.txn.edit(&pod.key, |value| report.write(pod, value));
}

/// Starts the containers, unless something is in the way.
fn start(run: &mut Run<'_>, pod: &Arc<Object>, node: &Object) {
    let creating = |message: &str| Stage::Waiting { reason: "ContainerCreating", message: message.to_owned() };
    if let Some(missing) = missing(run, pod) {
        run.txn.wait(&pod.key, None);
        let (stage, reason, field, message) = match missing {
            Missing::Volume { volume, what } => {
                let message = format!("MountVolume.SetUp failed for volume \"{volume}\" : {what}");
                (creating(""), "FailedMount", String::new(), message)
            }
            Missing::Variable { container, what } => {
                let field = format!("spec.containers{{{container}}}");
                let message = format!("Error: {what}");
                (Stage::Waiting { reason: "CreateContainerConfigError", message: what }, "Failed", field, message)
            }
        };
        let before = pod.revision;
        report(run, pod, node, stage, false, 0);
        // Told once, not whenever somebody looks.
        if run.txn.get(&pod.key).is_some_and(|pod| pod.revision != before) {
            let told = Told { host: &node.key.name, field: &field, ..Told::warning("kubelet", reason, &message) };
            events::tell(run.txn, pod, told);
        }
        return;
    }
    let due = later(bound_at(run, pod), run.world.timings.pod_starting);
    if due > run.txn.now() {
        run.txn.wait(&pod.key, Some(due));
        return report(run, pod, node, creating(""), false, 0);
    }
    if pod.annotation(FAIL) == Some("ImagePullBackOff") {
        return fail_to_pull(run, pod, node);
    }
    let now = run.txn.now();
    report(run, pod, node, Stage::Running { since: now }, pod.annotation(FAIL) != Some("NotReady"), 0);
    tell_of_start(run, pod, node);
}

fn fail_to_pull(run: &mut Run<'_>, pod: &Arc<Object>, node: &Object) {
    let first = array(pod.content(), "/spec/containers").first().cloned().unwrap_or_default();
    let image = text(&first, "/image");
    let message = format!("Back-off pulling image \"{image}\"");
    let before = pod.revision;
    report(run, pod, node, Stage::Waiting { reason: "ImagePullBackOff", message: message.clone() }, false, 0);
    if run.txn.get(&pod.key).is_some_and(|pod| pod.revision != before) {
        let field = format!("spec.containers{{{}}}", text(&first, "/name"));
        let failed = format!("Failed to pull image \"{image}\": the annotation {FAIL} says so");
        for told in [Told::warning("kubelet", "Failed", &failed), Told::normal("kubelet", "BackOff", &message)] {
            events::tell(run.txn, pod, Told { host: &node.key.name, field: &field, ..told });
        }
    }
}

fn tell_of_start(run: &mut Run<'_>, pod: &Arc<Object>, node: &Object) {
    for (list, container) in ["initContainers", "containers"]
        .iter()
        .flat_map(|list| array(pod.content(), &format!("/spec/{list}")).iter().map(move |container| (list, container)))
    {
        let (name, image) = (text(container, "/name"), text(container, "/image"));
        let field = format!("spec.{list}{{{name}}}");
        let pulled = format!("Container image \"{image}\" already present on machine");
        let (created, started) = (format!("Created container: {name}"), format!("Started container {name}"));
        for (reason, message) in [("Pulled", &pulled), ("Created", &created), ("Started", &started)] {
            events::tell(
                run.txn,
                pod,
                Told { host: &node.key.name, field: &field, ..Told::normal("kubelet", reason, message) },
            );
        }
    }
}

/// How a Pod's containers end, if they do.
struct Course {
    code: i64,
    /// How long they run.
    run: SignedDuration,
    restarts: bool,
}

fn course(run: &Run<'_>, pod: &Object) -> Option<Course> {
    let policy = text(pod.content(), "/spec/restartPolicy");
    let whole = |name: &str| pod.annotation(name).and_then(|text| text.parse::<i64>().ok());
    let fails = matches!(pod.annotation(FAIL), Some("CrashLoopBackOff" | "Error"));
    let code = whole(EXIT_CODE).map(|code| code.clamp(0, 255)).unwrap_or(i64::from(fails));
    let seconds = whole(RUN_SECONDS).map(|seconds| SignedDuration::from_secs(seconds.clamp(0, 1 << 31)));
    let works = matches!(policy, "Never" | "OnFailure");
    if !works && !fails && seconds.is_none() && code == 0 {
        return None;
    }
    let own = if works { run.world.timings.job_running } else { SignedDuration::ZERO };
    let restarts = !works || (policy == "OnFailure" && code != 0);
    Some(Course { code, run: seconds.unwrap_or(own), restarts })
}

/// What becomes of containers that began.
fn go_on(run: &mut Run<'_>, pod: &Arc<Object>, node: &Object) {
    let now = run.txn.now();
    let healthy = pod.annotation(FAIL) != Some("NotReady");
    let status = array(pod.content(), "/status/containerStatuses").first().cloned().unwrap_or_default();
    let restarts = number(&status, "/restartCount").unwrap_or(0);
    let began = time_at(&status, "/state/running/startedAt");
    let Some(course) = course(run, pod) else {
        return report(run, pod, node, Stage::Running { since: began.unwrap_or(now) }, healthy, restarts);
    };
    let since = match began {
        Some(began) => began,
        None => {
            let ended = time_at(&status, "/lastState/terminated/finishedAt").unwrap_or(now);
            let again = after(ended, backoff(restarts));
            if again > now {
                return run.txn.wait(&pod.key, Some(again));
            }
            now
        }
    };
    let until = later(since, course.run);
    if until > now {
        run.txn.wait(&pod.key, Some(until));
        return report(run, pod, node, Stage::Running { since }, healthy, restarts);
    }
    if !course.restarts {
        return report(run, pod, node, Stage::Ended { code: course.code, since, until: now }, false, restarts);
    }
    let restarts = restarts.saturating_add(1);
    report(run, pod, node, Stage::Crashing { code: course.code, since, until: now, restarts }, false, restarts);
    run.txn.wait(&pod.key, Some(after(now, backoff(restarts))));
    let first = array(pod.content(), "/spec/containers").first().map(|c| text(c, "/name")).unwrap_or_default();
    let identity = format!("{}_{}({})", pod.key.name, pod.key.namespace, pod.uid());
    let message = format!("Back-off restarting failed container {first} in pod {identity}");
    let field = format!("spec.containers{{{first}}}");
    events::tell(run.txn, pod, Told { host: &node.key.name, field: &field, ..Told::warning("kubelet", "BackOff", &message) });
}

/// What a Pod refers to that is not there.
enum Missing {
    Volume { volume: String, what: String },
    Variable { container: String, what: String },
}

fn missing(run: &Run<'_>, pod: &Object) -> Option<Missing> {
    let spec = &pod.content()["spec"];
    // What a reference is about: the resource, and the member that names the object.
    let absent = |reference: Option<&Value>, resource: &str, named: &str| -> Option<String> {
        let reference = reference?;
        let name = text(reference, &format!("/{named}"));
        let kind = resource.trim_end_matches('s');
        if name.is_empty() || reference["optional"] == json!(true) {
            return None;
        }
        let Some(found) = run.txn.state().get(&Key::new(resource, &pod.key.namespace, name)) else {
            return Some(format!("{kind} \"{name}\" not found"));
        };
        let key = text(reference, "/key");
        let has = |part: &str| found.content().get(part).is_some_and(|data| data.get(key).is_some());
        let title = if kind == "secret" { "Secret" } else { "ConfigMap" };
        let lacks = !key.is_empty() && !has("data") && !has("binaryData");
        lacks.then(|| format!("couldn't find key {key} in {title} {}/{name}", pod.key.namespace))
    };
    for volume in array(spec, "/volumes") {
        let projected = array(volume, "/projected/sources");
        let what = absent(volume.get("configMap"), "configmaps", "name")
            .or_else(|| absent(volume.get("secret"), "secrets", "secretName"))
            .or_else(|| projected.iter().find_map(|source| absent(source.get("configMap"), "configmaps", "name")))
            .or_else(|| projected.iter().find_map(|source| absent(source.get("secret"), "secrets", "name")));
        if let Some(what) = what {
            return Some(Missing::Volume { volume: text(volume, "/name").to_owned(), what });
        }
    }
    for container in array(spec, "/initContainers").iter().chain(array(spec, "/containers")) {
        let sources = array(container, "/envFrom")
            .iter()
            .flat_map(|from| [(from.get("configMapRef"), "configmaps"), (from.get("secretRef"), "secrets")]);
        let values = array(container, "/env").iter().flat_map(|variable| {
            let of = |name: &str| variable.pointer(&format!("/valueFrom/{name}"));
            [(of("configMapKeyRef"), "configmaps"), (of("secretKeyRef"), "secrets")]
        });
        let what = sources.chain(values).find_map(|(reference, resource)| absent(reference, resource, "name"));
        if let Some(what) = what {
            return Some(Missing::Variable { container: text(container, "/name").to_owned(), what });
        }
    }
    None
}
