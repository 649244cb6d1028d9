//! Deployments: a ReplicaSet for each template, and the way from one to the next.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::Run;
use super::common::{
    annotate, condition, controlled, edit_status, find_condition, is_true, owner_reference, remove_condition,
    replicas as replicas_at, selects, template_hash, time_at,
};
use super::events::{self, Told};
use super::replicasets::FAILURE;
use super::rollout::{self, Plan, desired, max_unavailable};
use crate::lifecycle::{self, DeleteOptions};
use crate::object::{Key, Object, member, number, text, time};

pub(super) const BY: &str = "deployment-controller";
pub(super) const REVISION: &str = "deployment.kubernetes.io/revision";
const HISTORY: &str = "deployment.kubernetes.io/revision-history";
const HASH: &str = "pod-template-hash";

/// Takes the next steps of a rollout.
pub(super) fn sync(run: &mut Run<'_>, deployment: &Arc<Object>) {
    run.txn.unwait(&deployment.key);
    let selector = deployment.content().pointer("/spec/selector").cloned();
    let sets = controlled(run.txn, deployment, "replicasets.apps", selector.as_ref());
    // A template that the selector does not select would never be found again.
    let labels = deployment.content().pointer("/spec/template/metadata/labels").and_then(Value::as_object);
    let sound = selector.as_ref().is_some_and(|selector| selects(selector, labels)) && labels.is_some();
    if deployment.is_terminating() || !sound {
        return tell_status(run, deployment, &sets);
    }
    mark_paused(run, deployment);
    let Some(deployment) = run.txn.get(&deployment.key) else { return };
    let paused = deployment.content().pointer("/spec/paused") == Some(&json!(true));
    let recreate = text(deployment.content(), "/spec/strategy/type") == "Recreate";
    let stopped = !recreate || !old_pods_run(run, &deployment, &sets);
    let current = if paused { find_new(&deployment, &sets) } else { ensure_new(run, &deployment, &sets, stopped) };
    let sets = current_state(run, &sets, current.as_ref());
    let Some(deployment) = run.txn.get(&deployment.key) else { return };
    let plan = Plan { deployment: &deployment, sets, current };
    if paused || plan.is_scaled() {
        rollout::scale(run, &plan);
    } else if recreate {
        rollout::recreate(run, &plan, stopped);
    } else {
        rollout::roll(run, &plan);
    }
    let sets = current_state(run, &plan.sets, None);
    let Some(deployment) = run.txn.get(&deployment.key) else { return };
    clean_up(run, &deployment, &sets);
    let sets = current_state(run, &sets, None);
    tell_status(run, &deployment, &sets);
}

/// The sets as they are now, and one more if it is new.
fn current_state(run: &Run<'_>, sets: &[Arc<Object>], more: Option<&Key>) -> Vec<Arc<Object>> {
    let known = sets.iter().map(|set| &set.key);
    let more = more.filter(|key| !sets.iter().any(|set| set.key == **key));
    known.chain(more).filter_map(|key| run.txn.get(key)).collect()
}

fn mark_paused(run: &mut Run<'_>, deployment: &Object) {
    let content = deployment.content();
    if deadline(content).is_none() {
        return;
    }
    let known = find_condition(content, "Progressing").map(|c| text(c, "/reason"));
    if known == Some("ProgressDeadlineExceeded") {
        return;
    }
    let paused = content.pointer("/spec/paused") == Some(&json!(true));
    let told = match (paused, known == Some("DeploymentPaused")) {
        (true, false) => condition("Progressing", "Unknown", "DeploymentPaused", "Deployment is paused"),
        (false, true) => condition("Progressing", "Unknown", "DeploymentResumed", "Deployment is resumed"),
        _ => return,
    };
    let now = run.txn.now();
    run.txn.edit(&deployment.key, |value| set_progress(value, told, now));
}

/// Sets a condition with the time of its update, which is that of its last change of any kind.
fn set_progress(value: &mut Value, mut told: Value, now: Timestamp) {
    let kind = text(&told, "/type").to_owned();
    let known = find_condition(value, &kind);
    let same = known.is_some_and(|k| ["status", "reason", "message"].iter().all(|part| k.get(*part) == told.get(*part)));
    let since = known.filter(|_| same).and_then(|k| k.get("lastUpdateTime")).cloned();
    told["lastUpdateTime"] = since.unwrap_or_else(|| json!(time(now)));
    super::common::set_condition(value, told, now);
}

/// A template without the label that tells the Pods of one set from those of the next.
fn plain(template: &Value) -> Value {
    let mut template = template.clone();
    if let Some(Value::Object(labels)) = template.pointer_mut("/metadata/labels") {
        labels.remove(HASH);
    }
    // A template out of storage may have lost members that say nothing.
    if let Some(Value::Object(metadata)) = template.get_mut("metadata") {
        metadata.retain(|_, value| !value.is_null());
    }
    template
}

/// The set that has the template of the Deployment, the oldest if there are several.
fn find_new(deployment: &Object, sets: &[Arc<Object>]) -> Option<Key> {
    let wanted = plain(&deployment.content()["spec"]["template"]);
    let same = sets.iter().filter(|set| plain(&set.content()["spec"]["template"]) == wanted);
    same.min_by_key(|set| text(set.content(), "/metadata/creationTimestamp")).map(|set| set.key.clone())
}

fn old_pods_run(run: &Run<'_>, deployment: &Object, sets: &[Arc<Object>]) -> bool {
    let new = find_new(deployment, sets);
    let old = sets.iter().filter(|set| Some(&set.key) != new.as_ref());
    old.flat_map(|set| run.txn.state().owned_by(set.uid())).any(|pod| !super::common::has_ended(pod))
}

pub(super) fn revision(set: &Object) -> i64 {
    set.annotation(REVISION).and_then(|revision| revision.parse().ok()).unwrap_or(0)
}

/// The set for the template as it is, made if there is none (and `may_make`), with the next revision.
fn ensure_new(run: &mut Run<'_>, deployment: &Object, sets: &[Arc<Object>], may_make: bool) -> Option<Key> {
    let known = find_new(deployment, sets);
    let last = sets.iter().filter(|set| Some(&set.key) != known.as_ref()).map(|set| revision(set)).max().unwrap_or(0);
    let next = last.saturating_add(1);
    let content = deployment.content();
    let key = match known {
        Some(key) => {
            let set = run.txn.get(&key)?;
            let min_ready = content.pointer("/spec/minReadySeconds").cloned();
            run.txn.edit(&key, |value| {
                let before = revision(&set);
                if before < next {
                    if before > 0 {
                        let history = set.annotation(HISTORY).map_or_else(|| before.to_string(), |h| format!("{h},{before}"));
                        annotate(value, HISTORY, Some(&history));
                    }
                    annotate(value, REVISION, Some(&next.to_string()));
                }
                copy_annotations(deployment, value);
                if let Some(seconds) = min_ready {
                    member(value, "spec").insert("minReadySeconds".to_owned(), seconds);
                }
            });
            if find_condition(content, "Progressing").is_none() && deadline(content).is_some() {
                progress(run, deployment, "FoundNewReplicaSet", &format!("Found new replica set \"{}\"", key.name));
            }
            key
        }
        None if may_make => make(run, deployment, sets, next)?,
        None => return None,
    };
    let revision = run.txn.get(&key).map(|set| revision(&set)).unwrap_or(next);
    run.txn.edit(&deployment.key, |value| annotate(value, REVISION, Some(&revision.to_string())));
    Some(key)
}

fn progress(run: &mut Run<'_>, deployment: &Object, reason: &str, message: &str) {
    let now = run.txn.now();
    run.txn.edit(&deployment.key, |value| set_progress(value, condition("Progressing", "True", reason, message), now));
}

/// What annotations a set takes over from its Deployment.
fn copy_annotations(deployment: &Object, value: &mut Value) {
    let annotations = deployment.content().pointer("/metadata/annotations").and_then(Value::as_object);
    for (name, content) in annotations.into_iter().flatten() {
        let own = name == REVISION
            || name == HISTORY
            || name == "kubectl.kubernetes.io/last-applied-configuration"
            || name == "deprecated.deployment.rollback.to"
            || name.starts_with("deployment.kubernetes.io/");
        if !own {
            annotate(value, name, content.as_str());
        }
    }
}

fn make(run: &mut Run<'_>, deployment: &Object, sets: &[Arc<Object>], revision: i64) -> Option<Key> {
    let content = deployment.content();
    let namespace = &deployment.key.namespace;
    if run.txn.state().find("namespaces", "", namespace).is_some_and(|n| n.is_terminating()) {
        return None;
    }
    let template = content.pointer("/spec/template")?;
    let mut collisions = number(content, "/status/collisionCount").unwrap_or(0);
    // A set of the name with another template is somebody else's.
    let (hash, key) = loop {
        let hash = template_hash(&plain(template), collisions);
        let key = Key::new("replicasets.apps", namespace, &format!("{}-{hash}", deployment.key.name));
        if run.txn.get(&key).is_none() {
            break (hash, key);
        }
        collisions += 1;
    };
    if collisions > 0 {
        edit_status(run.txn, &deployment.key, json!({"collisionCount": collisions}));
    }
    let mut template = template.clone();
    member(&mut template, "metadata/labels").insert(HASH.to_owned(), json!(hash));
    let mut selector = content.pointer("/spec/selector").cloned().unwrap_or_else(|| json!({}));
    member(&mut selector, "matchLabels").insert(HASH.to_owned(), json!(hash));
    let labels = template["metadata"]["labels"].clone();
    let replicas = rollout::first_replicas(deployment, sets);
    let mut set = json!({
        "apiVersion": "apps/v1", "kind": "ReplicaSet",
        "metadata": {"labels": labels, "ownerReferences": [owner_reference(deployment)], "generation": 1},
        "spec": {"replicas": replicas, "selector": selector, "template": template},
        "status": {"replicas": 0},
    });
    if let Some(seconds) = content.pointer("/spec/minReadySeconds") {
        set["spec"]["minReadySeconds"] = seconds.clone();
    }
    copy_annotations(deployment, &mut set);
    annotate(&mut set, REVISION, Some(&revision.to_string()));
    rollout::annotate_replicas(deployment, &mut set);
    let set = run.txn.put(key, set);
    let name = &set.key.name;
    if replicas > 0 {
        let message = format!("Scaled up replica set {name} from 0 to {replicas}");
        events::tell(run.txn, deployment, Told::normal(BY, "ScalingReplicaSet", &message));
    }
    if deadline(content).is_some() {
        progress(run, deployment, "NewReplicaSetCreated", &format!("Created new replica set \"{name}\""));
    }
    Some(set.key.clone())
}

/// Seconds within which something has to progress; `None` means that nobody looks.
fn deadline(content: &Value) -> Option<i64> {
    Some(number(content, "/spec/progressDeadlineSeconds").unwrap_or(600)).filter(|seconds| *seconds < i64::from(i32::MAX))
}

/// Deletes old sets beyond `revisionHistoryLimit`.
fn clean_up(run: &mut Run<'_>, deployment: &Object, sets: &[Arc<Object>]) {
    let content = deployment.content();
    let limit = usize::try_from(number(content, "/spec/revisionHistoryLimit").unwrap_or(10)).unwrap_or(0);
    let new = find_new(deployment, sets);
    let empty = |set: &Object| {
        let content = set.content();
        ["/spec/replicas", "/status/replicas"].iter().all(|pointer| number(content, pointer).unwrap_or(0) == 0)
    };
    let mut old: Vec<&Arc<Object>> = sets.iter().filter(|s| Some(&s.key) != new.as_ref() && !s.is_terminating()).collect();
    if !complete(content, deployment) || old.len() <= limit {
        return;
    }
    old.sort_by_key(|set| revision(set));
    for set in old[..old.len() - limit].iter().filter(|set| empty(set)) {
        lifecycle::delete(run.txn, &set.key, &DeleteOptions::default());
    }
}

/// Whether a rollout is over.
fn complete(status_of: &Value, deployment: &Object) -> bool {
    let wanted = desired(deployment);
    let count = |name: &str| number(status_of, &format!("/status/{name}")).unwrap_or(0);
    ["updatedReplicas", "replicas", "availableReplicas"].iter().all(|name| count(name) == wanted)
        && count("observedGeneration") >= number(deployment.content(), "/metadata/generation").unwrap_or(0)
}

fn tell_status(run: &mut Run<'_>, deployment: &Arc<Object>, sets: &[Arc<Object>]) {
    let new = find_new(deployment, sets);
    let now = run.txn.now();
    let sum = |sets: &mut dyn Iterator<Item = &Arc<Object>>, name: &str| -> i64 {
        sets.map(|set| replicas_at(set.content(), &format!("/status/{name}"), 0)).sum()
    };
    let total = |name: &str| sum(&mut sets.iter(), name);
    let updated = sum(&mut sets.iter().filter(|set| Some(&set.key) == new.as_ref()), "replicas");
    let (replicas, ready, available) = (total("replicas"), total("readyReplicas"), total("availableReplicas"));
    let wanted_total: i64 = sets.iter().map(|set| replicas_at(set.content(), "/spec/replicas", 0)).sum();
    let count = |n: i64| if n == 0 { Value::Null } else { json!(n) };
    let before = deployment.content();
    let mut value = before.clone();
    let status = member(&mut value, "status");
    let members = [
        ("observedGeneration", json!(number(before, "/metadata/generation").unwrap_or(1))),
        ("replicas", count(replicas)),
        ("updatedReplicas", count(updated)),
        ("readyReplicas", count(ready)),
        ("availableReplicas", count(available)),
        ("unavailableReplicas", count((wanted_total - available).max(0))),
        ("terminatingReplicas", count(total("terminatingReplicas"))),
    ];
    for (name, content) in members {
        if content.is_null() {
            status.remove(name);
        } else {
            status.insert(name.to_owned(), content);
        }
    }
    let minimum = if available >= desired(deployment) - max_unavailable(deployment) {
        condition("Available", "True", "MinimumReplicasAvailable", "Deployment has minimum availability.")
    } else {
        condition("Available", "False", "MinimumReplicasUnavailable", "Deployment does not have minimum availability.")
    };
    set_progress(&mut value, minimum, now);
    let refused = |set: &Arc<Object>| find_condition(set.content(), FAILURE).cloned();
    let (current, old): (Vec<_>, Vec<_>) = sets.iter().partition(|set| Some(&set.key) == new.as_ref());
    match current.into_iter().chain(old).find_map(refused) {
        Some(failure) => set_progress(&mut value, failure, now),
        None => remove_condition(&mut value, FAILURE),
    }
    judge_progress(run, deployment, new.as_ref(), &mut value);
    run.txn.put(deployment.key.clone(), value);
}

/// Tells in the condition `Progressing` whether a rollout is over, goes on, or takes too long.
fn judge_progress(run: &mut Run<'_>, deployment: &Arc<Object>, new: Option<&Key>, value: &mut Value) {
    let now = run.txn.now();
    let before = deployment.content();
    let Some(seconds) = deadline(before) else { return };
    let subject = match new {
        Some(key) => format!("ReplicaSet \"{}\"", key.name),
        None => format!("Deployment \"{}\"", deployment.key.name),
    };
    let known = find_condition(before, "Progressing").cloned();
    let reason = known.as_ref().map(|c| text(c, "/reason")).unwrap_or_default().to_owned();
    if before.pointer("/spec/paused") == Some(&json!(true)) {
        return;
    }
    let total = |value: &Value| number(value, "/status/replicas").unwrap_or(0);
    let updated = |value: &Value| number(value, "/status/updatedReplicas").unwrap_or(0);
    // Once available, a set stays so in this condition, whatever becomes of its Pods.
    if reason == "NewReplicaSetAvailable"
        && total(value) == updated(value)
        && is_true(value, "Progressing")
        && text(&known.unwrap_or_default(), "/message").starts_with(&subject)
    {
        return;
    }
    if complete(value, deployment) {
        let message = format!("{subject} has successfully progressed.");
        return set_progress(value, condition("Progressing", "True", "NewReplicaSetAvailable", &message), now);
    }
    let count = |value: &Value, name: &str| number(value, &format!("/status/{name}")).unwrap_or(0);
    let old = |value: &Value| total(value) - updated(value);
    let progressed = updated(value) > updated(before)
        || old(value) < old(before)
        || ["readyReplicas", "availableReplicas"].iter().any(|name| count(value, name) > count(before, name));
    if progressed {
        let message = format!("{subject} is progressing.");
        let mut told = condition("Progressing", "True", "ReplicaSetUpdated", &message);
        told["lastUpdateTime"] = json!(time(now));
        return super::common::set_condition(value, told, now);
    }
    if reason == "ProgressDeadlineExceeded" {
        return;
    }
    let since = find_condition(value, "Progressing").and_then(|c| time_at(c, "/lastUpdateTime")).unwrap_or(now);
    let due = super::common::after(since, seconds);
    if due > now {
        return run.txn.wait(&deployment.key, Some(due));
    }
    let message = format!("{subject} has timed out progressing.");
    set_progress(value, condition("Progressing", "False", "ProgressDeadlineExceeded", &message), now);
}
