//! CronJobs: a Job whenever the schedule says so.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::Run;
use super::common::{after, edit_status, is_true, owner_reference, time_at};
use super::events::{self, Told};
use super::schedule::Schedule;
use crate::lifecycle::{self, DeleteOptions, Propagation};
use crate::object::{Key, Object, member, number, text, time};

const BY: &str = "cronjob-controller";
const SCHEDULED: &str = "batch.kubernetes.io/cronjob-scheduled-timestamp";

fn is_finished(job: &Object) -> bool {
    is_true(job.content(), "Complete") || is_true(job.content(), "Failed")
}

/// Makes the Job that is due, and waits for the next one.
pub(super) fn sync(run: &mut Run<'_>, cron: &Arc<Object>) {
    run.txn.unwait(&cron.key);
    if cron.is_terminating() {
        return;
    }
    let mut jobs: Vec<Arc<Object>> = run.txn.owned_by(cron.uid());
    jobs.retain(|job| &*job.key.resource == "jobs.batch");
    jobs.sort_by_key(|job| time_at(job.content(), "/metadata/creationTimestamp"));
    tell_status(run, cron, &jobs);
    forget_old(run, cron, &jobs);
    let content = cron.content();
    if content.pointer("/spec/suspend") == Some(&json!(true)) {
        return;
    }
    let schedule = match Schedule::parse(text(content, "/spec/schedule"), text(content, "/spec/timeZone")) {
        Ok(schedule) => schedule,
        Err(why) => {
            let message = format!("unparseable schedule: {:?} : {why}", text(content, "/spec/schedule"));
            return events::tell_once(run.txn, cron, Told::warning(BY, "UnparseableSchedule", &message));
        }
    };
    let now = run.txn.now();
    let known = time_at(content, "/status/lastScheduleTime").or_else(|| time_at(content, "/metadata/creationTimestamp"));
    let due = schedule.after(known.unwrap_or(now)).filter(|at| *at <= now).and_then(|_| schedule.last(now));
    if let Some(at) = due {
        start(run, cron, &jobs, at);
    }
    if let Some(next) = schedule.after(now) {
        run.txn.wait(&cron.key, Some(next));
    }
}

fn tell_status(run: &mut Run<'_>, cron: &Object, jobs: &[Arc<Object>]) {
    let active: Vec<Value> = jobs
        .iter()
        .filter(|job| !is_finished(job) && !job.is_terminating())
        .map(|job| {
            json!({
                "apiVersion": "batch/v1", "kind": "Job", "name": &*job.key.name, "namespace": &*job.key.namespace, "uid": job.uid(),
            })
        })
        .collect();
    let known = time_at(cron.content(), "/status/lastSuccessfulTime");
    let last = jobs.iter().filter_map(|job| time_at(job.content(), "/status/completionTime")).chain(known).max();
    let mut status = json!({"active": if active.is_empty() { Value::Null } else { json!(active) }});
    if let Some(last) = last {
        status["lastSuccessfulTime"] = json!(time(last));
    }
    edit_status(run.txn, &cron.key, status);
}

/// Takes Jobs away that ended, beyond the limits of the history.
fn forget_old(run: &mut Run<'_>, cron: &Object, jobs: &[Arc<Object>]) {
    for (kind, limit, default) in [("Complete", "successfulJobsHistoryLimit", 3), ("Failed", "failedJobsHistoryLimit", 1)] {
        let limit = number(cron.content(), &format!("/spec/{limit}")).unwrap_or(default);
        let ended: Vec<&Arc<Object>> =
            jobs.iter().filter(|job| is_true(job.content(), kind) && !job.is_terminating()).collect();
        let surplus = ended.len().saturating_sub(usize::try_from(limit).unwrap_or(0));
        for job in ended.into_iter().take(surplus) {
            end(run, cron, job);
        }
    }
}

fn end(run: &mut Run<'_>, cron: &Object, job: &Object) {
    let options = DeleteOptions { propagation: Some(Propagation::Background), ..DeleteOptions::default() };
    lifecycle::delete(run.txn, &job.key, &options);
    events::tell(run.txn, cron, Told::normal(BY, "SuccessfulDelete", &format!("Deleted job {}", job.key.name)));
}

fn start(run: &mut Run<'_>, cron: &Arc<Object>, jobs: &[Arc<Object>], at: Timestamp) {
    let content = cron.content();
    let deadline = number(content, "/spec/startingDeadlineSeconds").map(|seconds| after(at, seconds));
    if deadline.is_some_and(|deadline| deadline < run.txn.now()) {
        let message = format!("Missed scheduled time to start a job: {}", time(at));
        return events::tell_once(run.txn, cron, Told::warning(BY, "MissSchedule", &message));
    }
    let name = format!("{}-{}", cron.key.name, at.as_second().div_euclid(60));
    let key = Key::new("jobs.batch", &cron.key.namespace, &name);
    let active: Vec<&Arc<Object>> = jobs.iter().filter(|job| !is_finished(job) && job.key != key).collect();
    match text(content, "/spec/concurrencyPolicy") {
        "Forbid" if !active.is_empty() => {
            let message = "Not starting job because prior execution is running and concurrency policy is Forbid";
            return events::tell_once(run.txn, cron, Told::normal(BY, "JobAlreadyActive", message));
        }
        "Replace" => {
            for job in active {
                end(run, cron, job);
            }
        }
        _ => {}
    }
    if run.txn.get(&key).is_none() {
        let template = content.pointer("/spec/jobTemplate").cloned().unwrap_or_default();
        let mut metadata = json!({"ownerReferences": [owner_reference(cron)], "generation": 1});
        for part in ["labels", "annotations"] {
            if let Some(value) = template.pointer(&format!("/metadata/{part}")).filter(|v| v.is_object()) {
                metadata[part] = value.clone();
            }
        }
        member(&mut metadata, "annotations").insert(SCHEDULED.to_owned(), json!(time(at)));
        let mut job =
            json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": template["spec"], "status": {}});
        default(&mut job);
        run.txn.put(key, job);
        events::tell(run.txn, cron, Told::normal(BY, "SuccessfulCreate", &format!("Created job {name}")));
    }
    edit_status(run.txn, &cron.key, json!({"lastScheduleTime": time(at)}));
}

/// What defaults give a Job that comes as a request; in a template it is left out.
fn default(job: &mut Value) {
    let spec = member(job, "spec");
    if ["completions", "parallelism"].iter().all(|name| !spec.contains_key(*name)) {
        spec.insert("completions".to_owned(), json!(1));
    }
    let defaults = [
        ("parallelism", json!(1)),
        ("backoffLimit", json!(6)),
        ("completionMode", json!("NonIndexed")),
        ("suspend", json!(false)),
        ("podReplacementPolicy", json!("TerminatingOrFailed")),
    ];
    for (name, value) in defaults {
        spec.entry(name).or_insert(value);
    }
}
