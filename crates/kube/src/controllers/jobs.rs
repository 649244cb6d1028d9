//! Jobs: Pods until enough of them have succeeded, or too many failed.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::Run;
use super::common::{
    after, condition, controlled, edit_status, find_condition, free_name, has_ended, is_active, is_ready, is_true,
    set_condition, time_at,
};
use super::events::{self, Told};
use super::pods::{self, PodOf};
use crate::lifecycle::{self, DeleteOptions, Propagation};
use crate::object::{Object, array, member, number, text, time};

const BY: &str = "job-controller";
const UID: &str = "batch.kubernetes.io/controller-uid";
const NAME: &str = "batch.kubernetes.io/job-name";
const INDEX: &str = "batch.kubernetes.io/job-completion-index";
/// Nothing more is read of a list of indexes, or run at a time.
const MOST: i64 = 100_000;

/// Makes Pods, counts how they end, and says when it is over.
pub(super) fn sync(run: &mut Run<'_>, job: &Arc<Object>) {
    run.txn.unwait(&job.key);
    let content = job.content();
    if job.is_terminating() {
        return;
    }
    if is_true(content, "Complete") || is_true(content, "Failed") {
        return expire(run, job);
    }
    if content.pointer("/spec/selector").is_none_or(Value::is_null) {
        return select_own(run, job);
    }
    let selector = content.pointer("/spec/selector").cloned();
    let pods = controlled(run.txn, job, "pods", selector.as_ref());
    let tally = Tally::of(job, &pods);
    if content.pointer("/spec/suspend") == Some(&json!(true)) {
        return suspend(run, job, &tally);
    }
    if begin(run, job) {
        // The change brings this controller back.
        return;
    }
    if let Some((reason, message)) = tally.failure(run, job) {
        return fail(run, job, &tally, reason, message);
    }
    if tally.is_complete(job) {
        return complete(run, job, &tally);
    }
    tally.write(run, job, json!({}));
    tally.adjust(run, job);
}

/// Gives a Job the selector and the labels that tell its Pods from those of others.
fn select_own(run: &mut Run<'_>, job: &Object) {
    let (uid, name) = (job.uid().to_owned(), job.key.name.clone());
    run.txn.edit(&job.key, |value| {
        let labels = [(UID, &*uid), (NAME, &*name), ("controller-uid", &*uid), ("job-name", &*name)];
        for (label, content) in labels {
            member(value, "spec/template/metadata/labels").insert(label.to_owned(), json!(content));
        }
        member(value, "spec").insert("selector".to_owned(), json!({"matchLabels": {UID: uid}}));
    });
}

/// Takes a Job away that ended long enough ago.
fn expire(run: &mut Run<'_>, job: &Object) {
    let content = job.content();
    let Some(seconds) = number(content, "/spec/ttlSecondsAfterFinished") else { return };
    let ended = ["Complete", "Failed"].iter().find_map(|kind| time_at(find_condition(content, kind)?, "/lastTransitionTime"));
    let due = after(ended.unwrap_or(run.txn.now()), seconds);
    if due > run.txn.now() {
        return run.txn.wait(&job.key, Some(due));
    }
    let options = DeleteOptions { propagation: Some(Propagation::Foreground), ..DeleteOptions::default() };
    lifecycle::delete(run.txn, &job.key, &options);
}

fn suspend(run: &mut Run<'_>, job: &Object, tally: &Tally) {
    for pod in &tally.active {
        lifecycle::delete(run.txn, &pod.key, &DeleteOptions::default());
    }
    if !is_true(job.content(), "Suspended") {
        let now = run.txn.now();
        run.txn
            .edit(&job.key, |value| set_condition(value, condition("Suspended", "True", "JobSuspended", "Job suspended"), now));
        events::tell(run.txn, job, Told::normal(BY, "Suspended", "Job suspended"));
    }
    tally.write(run, job, json!({"startTime": null, "active": null, "ready": 0}));
}

/// Notes when the Job began; whether that is new.
fn begin(run: &mut Run<'_>, job: &Object) -> bool {
    let content = job.content();
    let resumed = is_true(content, "Suspended");
    if !resumed && time_at(content, "/status/startTime").is_some() {
        return false;
    }
    let now = run.txn.now();
    run.txn.edit(&job.key, |value| {
        member(value, "status").insert("startTime".to_owned(), json!(time(now)));
        if resumed {
            set_condition(value, condition("Suspended", "False", "JobResumed", "Job resumed"), now);
        }
    });
    if resumed {
        events::tell(run.txn, job, Told::normal(BY, "Resumed", "Job resumed"));
    }
    true
}

fn fail(run: &mut Run<'_>, job: &Object, tally: &Tally, reason: &str, message: &str) {
    for pod in &tally.active {
        lifecycle::delete(run.txn, &pod.key, &DeleteOptions::default());
    }
    tally.write(run, job, json!({"active": null, "ready": 0}));
    let now = run.txn.now();
    run.txn.edit(&job.key, |value| {
        for kind in ["FailureTarget", "Failed"] {
            set_condition(value, condition(kind, "True", reason, message), now);
        }
    });
    events::tell(run.txn, job, Told::warning(BY, reason, message));
}

fn complete(run: &mut Run<'_>, job: &Object, tally: &Tally) {
    for pod in &tally.active {
        lifecycle::delete(run.txn, &pod.key, &DeleteOptions::default());
    }
    let now = run.txn.now();
    tally.write(run, job, json!({"active": null, "ready": 0, "completionTime": time(now)}));
    run.txn.edit(&job.key, |value| {
        for kind in ["SuccessCriteriaMet", "Complete"] {
            let message = "Reached expected number of succeeded pods";
            set_condition(value, condition(kind, "True", "CompletionsReached", message), now);
        }
    });
    events::tell(run.txn, job, Told::normal(BY, "Completed", "Job completed"));
}

/// What the Pods of a Job came to.
struct Tally {
    active: Vec<Arc<Object>>,
    /// Pods that are to end, and have not.
    terminating: usize,
    succeeded: i64,
    failed: i64,
    /// When the last one failed.
    failed_at: Option<Timestamp>,
    /// The numbers of those that succeeded, if they are numbered.
    done: Option<BTreeSet<i64>>,
}

fn index(pod: &Object) -> Option<i64> {
    pod.annotation(INDEX)?.parse().ok()
}

impl Tally {
    fn of(job: &Object, pods: &[Arc<Object>]) -> Self {
        let content = job.content();
        let phase = |pod: &Object, phase: &str| text(pod.content(), "/status/phase") == phase;
        let succeeded: Vec<&Arc<Object>> = pods.iter().filter(|pod| phase(pod, "Succeeded")).collect();
        let failed: Vec<&Arc<Object>> = pods.iter().filter(|pod| phase(pod, "Failed")).collect();
        let count = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
        // What was counted stays so when the Pod is deleted.
        let known = |name: &str| number(content, &format!("/status/{name}")).unwrap_or(0);
        let indexed = text(content, "/spec/completionMode") == "Indexed";
        let done = indexed.then(|| {
            let mut done = read_indexes(text(content, "/status/completedIndexes"));
            done.extend(succeeded.iter().filter_map(|pod| index(pod)));
            done
        });
        let finished = |pod: &&Arc<Object>| time_at(pod.content(), "/status/containerStatuses/0/state/terminated/finishedAt");
        Self {
            active: pods.iter().filter(|pod| is_active(pod)).cloned().collect(),
            terminating: pods.iter().filter(|pod| pod.is_terminating() && !has_ended(pod)).count(),
            succeeded: done.as_ref().map_or(count(succeeded.len()).max(known("succeeded")), |done| count(done.len())),
            failed: count(failed.len()).max(known("failed")),
            failed_at: failed.iter().filter_map(finished).max(),
            done,
        }
    }

    /// Why the Job has failed, if it has.
    fn failure(&self, run: &mut Run<'_>, job: &Object) -> Option<(&'static str, &'static str)> {
        let content = job.content();
        let limit = number(content, "/spec/backoffLimit").unwrap_or(6);
        let restarts = |pod: &Arc<Object>| number(pod.content(), "/status/containerStatuses/0/restartCount").unwrap_or(0);
        let restarts: i64 = self.active.iter().map(restarts).fold(0, i64::saturating_add);
        let restarting = text(content, "/spec/template/spec/restartPolicy") == "OnFailure";
        let exhausted = restarting && if limit == 0 { restarts > 0 } else { restarts >= limit };
        if self.failed > limit || exhausted {
            return Some(("BackoffLimitExceeded", "Job has reached the specified backoff limit"));
        }
        if let Some(seconds) = number(content, "/spec/activeDeadlineSeconds") {
            let due = after(time_at(content, "/status/startTime").unwrap_or(run.txn.now()), seconds);
            if due <= run.txn.now() {
                return Some(("DeadlineExceeded", "Job was active longer than specified deadline"));
            }
            run.txn.wait(&job.key, Some(due));
        }
        None
    }

    fn is_complete(&self, job: &Object) -> bool {
        match number(job.content(), "/spec/completions") {
            Some(wanted) => self.succeeded >= wanted,
            // A work queue: all end when one knows that there is nothing left.
            None => self.succeeded > 0 && self.active.is_empty() && self.terminating == 0,
        }
    }

    fn write(&self, run: &mut Run<'_>, job: &Object, more: Value) {
        let some = |n: i64| if n == 0 { Value::Null } else { json!(n) };
        let ready = self.active.iter().filter(|pod| is_ready(pod)).count();
        let mut status = json!({
            "active": some(i64::try_from(self.active.len()).unwrap_or(i64::MAX)), "ready": ready, "terminating": self.terminating,
            "succeeded": some(self.succeeded), "failed": some(self.failed), "uncountedTerminatedPods": {},
        });
        if let Some(done) = &self.done {
            status["completedIndexes"] = if done.is_empty() { Value::Null } else { json!(write_indexes(done)) };
        }
        for (name, value) in more.as_object().into_iter().flatten() {
            status[name] = value.clone();
        }
        edit_status(run.txn, &job.key, status);
    }

    /// Makes or ends Pods until as many are active as should be.
    fn adjust(&self, run: &mut Run<'_>, job: &Object) {
        let content = job.content();
        let active = i64::try_from(self.active.len()).unwrap_or(i64::MAX);
        let parallel = number(content, "/spec/parallelism").unwrap_or(1).clamp(0, MOST);
        let wanted = match number(content, "/spec/completions") {
            Some(completions) => parallel.min(completions - self.succeeded),
            None if self.succeeded > 0 => active.min(parallel),
            None => parallel,
        };
        if active > wanted {
            let surplus = usize::try_from(active - wanted.max(0)).unwrap_or(0);
            for pod in self.active.iter().rev().take(surplus) {
                lifecycle::delete(run.txn, &pod.key, &DeleteOptions::default());
                events::tell(run.txn, job, Told::normal(BY, "SuccessfulDelete", &format!("Deleted pod: {}", pod.key.name)));
            }
            return;
        }
        let missing = wanted - active - i64::try_from(self.terminating).unwrap_or(0);
        if missing <= 0 {
            return;
        }
        // After a failure the next try waits, twice as long each time, unless nothing takes time here.
        if let Some(at) = self.failed_at.filter(|_| self.failed > 6 || !run.world.timings.job_running.is_zero()) {
            let doublings = u32::try_from(self.failed.saturating_sub(1)).unwrap_or(0).min(6);
            let due = after(at, (10_i64 << doublings).min(360));
            if due > run.txn.now() {
                return run.txn.wait(&job.key, Some(due));
            }
        }
        let taken: BTreeSet<i64> = self.active.iter().filter_map(|pod| index(pod)).collect();
        let completions = number(content, "/spec/completions").unwrap_or(0).min(MOST);
        let mut free = (0..completions).filter(|n| !taken.contains(n) && self.done.as_ref().is_some_and(|d| !d.contains(n)));
        for _ in 0..missing {
            let number = free.next();
            if self.done.is_some() && number.is_none() {
                return;
            }
            if !make(run, job, number) {
                return;
            }
        }
    }
}

/// Makes a Pod, with a number if they have any.
fn make(run: &mut Run<'_>, job: &Object, number: Option<i64>) -> bool {
    let template = job.content().pointer("/spec/template").cloned().unwrap_or_default();
    let numbered = number.map(|n| n.to_string());
    let marks: Vec<(&str, String)> = numbered.iter().map(|n| (INDEX, n.clone())).collect();
    let name = numbered.as_ref().map(|n| {
        let prefix = format!("{}-{n}-", job.key.name);
        free_name(run.txn, "pods", &job.key.namespace, &prefix)
    });
    let of = PodOf { by: BY, name, labels: &marks, annotations: &marks };
    let made = pods::create(run, job, &template, of, |pod| {
        let Some(n) = &numbered else { return };
        let spec = member(pod, "spec");
        spec.insert("hostname".to_owned(), json!(format!("{}-{n}", job.key.name)));
        let variable = json!({
            "name": "JOB_COMPLETION_INDEX",
            "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": format!("metadata.labels['{INDEX}']")}},
        });
        for list in ["initContainers", "containers"] {
            if let Some(Value::Array(containers)) = spec.get_mut(list) {
                for container in containers {
                    let known = array(container, "/env").iter().any(|v| text(v, "/name") == "JOB_COMPLETION_INDEX");
                    let env = member(container, "").entry("env").or_insert_with(|| json!([]));
                    if let Some(env) = env.as_array_mut().filter(|_| !known) {
                        env.push(variable.clone());
                    }
                }
            }
        }
    });
    if let Ok(pod) = &made {
        events::tell(run.txn, job, Told::normal(BY, "SuccessfulCreate", &format!("Created pod: {}", pod.key.name)));
    }
    made.is_ok()
}

/// `0-2,4` as numbers.
fn read_indexes(text: &str) -> BTreeSet<i64> {
    let mut indexes = BTreeSet::new();
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        if let (Ok(first), Ok(last)) = (first.parse::<i64>(), last.parse::<i64>()) {
            indexes.extend((first..=last.min(MOST)).take(usize::try_from(MOST).unwrap_or(0)));
        }
    }
    indexes
}

/// Numbers as `0-2,4`; two that follow one another are no range.
fn write_indexes(indexes: &BTreeSet<i64>) -> String {
    let mut ranges: Vec<(i64, i64)> = Vec::new();
    for index in indexes {
        match ranges.last_mut() {
            Some((_, last)) if last.checked_add(1) == Some(*index) => *last = *index,
            _ => ranges.push((*index, *index)),
        }
    }
    let told = ranges.into_iter().map(|(first, last)| match last - first {
        0 => first.to_string(),
        1 => format!("{first},{last}"),
        _ => format!("{first}-{last}"),
    });
    told.collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indexes_are_told_in_ranges() {
        for text in ["", "0", "0,1", "0-2,4", "1-3,5,6,8-10"] {
            assert_eq!(write_indexes(&read_indexes(text)), text);
        }
        assert!(read_indexes("x,3-1,9-").is_empty());
    }
}
