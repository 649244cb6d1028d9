//! How the ReplicaSets of a Deployment are scaled.

use std::sync::Arc;

use serde_json::{Value, json};

use super::Run;
use super::common::{self, annotate, edit_spec, part};
use super::deployments::{BY, revision};
use super::events::{self, Told};
use crate::object::{Key, Object, text};

const DESIRED: &str = "deployment.kubernetes.io/desired-replicas";
const MOST: &str = "deployment.kubernetes.io/max-replicas";

/// A Deployment with its sets.
pub(super) struct Plan<'a> {
    pub deployment: &'a Arc<Object>,
    pub sets: Vec<Arc<Object>>,
    /// The set that has the template as it is.
    pub current: Option<Key>,
}

pub(super) fn desired(deployment: &Object) -> i64 {
    common::replicas(deployment.content(), "/spec/replicas", 1)
}

fn max_surge(deployment: &Object) -> i64 {
    let content = deployment.content();
    if text(content, "/spec/strategy/type") == "Recreate" {
        return 0;
    }
    part(content.pointer("/spec/strategy/rollingUpdate/maxSurge"), desired(deployment), "25%", true)
}

pub(super) fn max_unavailable(deployment: &Object) -> i64 {
    let content = deployment.content();
    if text(content, "/spec/strategy/type") == "Recreate" || desired(deployment) == 0 {
        return 0;
    }
    let most = part(content.pointer("/spec/strategy/rollingUpdate/maxUnavailable"), desired(deployment), "25%", false);
    // Both being nothing, no step could be taken.
    let most = if most == 0 && max_surge(deployment) == 0 { 1 } else { most };
    most.min(desired(deployment))
}

fn replicas(set: &Object) -> i64 {
    common::replicas(set.content(), "/spec/replicas", 0)
}

fn available(set: &Object) -> i64 {
    common::replicas(set.content(), "/status/availableReplicas", 0)
}

/// How many replicas a new set begins with.
pub(super) fn first_replicas(deployment: &Object, sets: &[Arc<Object>]) -> i64 {
    new_replicas(deployment, sets.iter().map(|set| replicas(set)).sum(), 0)
}

/// How many replicas the new set may have, when there are `total` and it has `own`.
fn new_replicas(deployment: &Object, total: i64, own: i64) -> i64 {
    let wanted = desired(deployment);
    if text(deployment.content(), "/spec/strategy/type") == "Recreate" {
        return wanted;
    }
    let room = wanted + max_surge(deployment) - total;
    if room <= 0 { own } else { own + room.min(wanted - own) }
}

/// Notes on a set what it is scaled for.
pub(super) fn annotate_replicas(deployment: &Object, set: &mut Value) {
    let wanted = desired(deployment);
    annotate(set, DESIRED, Some(&wanted.to_string()));
    annotate(set, MOST, Some(&(wanted + max_surge(deployment)).to_string()));
}

impl Plan<'_> {
    fn current(&self) -> Option<&Arc<Object>> {
        self.sets.iter().find(|set| Some(&set.key) == self.current.as_ref())
    }

    fn old(&self) -> impl Iterator<Item = &Arc<Object>> {
        self.sets.iter().filter(|set| Some(&set.key) != self.current.as_ref())
    }

    /// Whether the Deployment was given another number of replicas since its sets were scaled.
    pub fn is_scaled(&self) -> bool {
        let wanted = desired(self.deployment);
        let known = |set: &Object| set.annotation(DESIRED).and_then(|n| n.parse::<i64>().ok());
        self.sets.iter().filter(|set| replicas(set) > 0).any(|set| known(set).is_some_and(|known| known != wanted))
    }
}

fn set_replicas(run: &mut Run<'_>, deployment: &Object, set: &Object, to: i64) {
    let from = replicas(set);
    run.txn.edit(&set.key, |value| annotate_replicas(deployment, value));
    if from == to {
        return;
    }
    edit_spec(run.txn, &set.key, |spec| {
        spec.insert("replicas".to_owned(), json!(to));
    });
    let way = if to > from { "up" } else { "down" };
    let message = format!("Scaled {way} replica set {} from {from} to {to}", set.key.name);
    events::tell(run.txn, deployment, Told::normal(BY, "ScalingReplicaSet", &message));
}

/// Gives the sets their share of another number of replicas, without a step in the rollout.
pub(super) fn scale(run: &mut Run<'_>, plan: &Plan<'_>) {
    let wanted = desired(plan.deployment);
    let active: Vec<&Arc<Object>> = plan.sets.iter().filter(|set| replicas(set) > 0).collect();
    let only = match active.as_slice() {
        [] => plan.current().or_else(|| plan.sets.iter().max_by_key(|set| revision(set))),
        [one] => Some(*one),
        _ => None,
    };
    if let Some(only) = only {
        return set_replicas(run, plan.deployment, only, wanted);
    }
    let saturated = plan.current().is_some_and(|set| replicas(set) == wanted && available(set) == wanted);
    if saturated {
        for set in plan.old().filter(|set| replicas(set) > 0) {
            set_replicas(run, plan.deployment, set, 0);
        }
        return;
    }
    let total: i64 = active.iter().map(|set| replicas(set)).sum();
    let room = if wanted > 0 { wanted + max_surge(plan.deployment) } else { 0 } - total;
    let mut ranked = active.clone();
    ranked.sort_by_key(|set| (std::cmp::Reverse(replicas(set)), std::cmp::Reverse(revision(set))));
    let mut left = room;
    let mut shares: Vec<(&Arc<Object>, i64)> = Vec::new();
    for set in ranked {
        let before =
            set.annotation(MOST).and_then(|n| n.parse::<i32>().ok()).filter(|n| *n > 0).map_or(total.max(1), i64::from);
        let most = wanted + max_surge(plan.deployment);
        // Half of one and more is one.
        let share = (2 * replicas(set) * most + before).div_euclid(2 * before) - replicas(set);
        let share = if room > 0 { share.clamp(0, left) } else { share.clamp(left, 0) };
        left -= share;
        shares.push((set, share));
    }
    if let Some((_, first)) = shares.first_mut() {
        *first += left;
    }
    for (set, share) in shares {
        set_replicas(run, plan.deployment, set, (replicas(set) + share).max(0));
    }
}

/// First nothing of the old, then all of the new.
pub(super) fn recreate(run: &mut Run<'_>, plan: &Plan<'_>, stopped: bool) {
    for set in plan.old().filter(|set| replicas(set) > 0) {
        set_replicas(run, plan.deployment, set, 0);
    }
    if let Some(set) = plan.current().filter(|_| stopped) {
        set_replicas(run, plan.deployment, set, desired(plan.deployment));
    }
}

/// The next step of a rolling update.
pub(super) fn roll(run: &mut Run<'_>, plan: &Plan<'_>) {
    let deployment = plan.deployment;
    let Some(current) = plan.current() else { return };
    let wanted = desired(deployment);
    let total: i64 = plan.sets.iter().map(|set| replicas(set)).sum();
    let own = replicas(current);
    let to = if own > wanted { wanted } else { new_replicas(deployment, total, own) };
    if own == to {
        run.txn.edit(&current.key, |value| annotate_replicas(deployment, value));
    } else {
        return set_replicas(run, deployment, current, to);
    }
    if plan.old().all(|set| replicas(set) == 0) {
        return;
    }
    let least = wanted - max_unavailable(deployment);
    let mut room = total - least - (own - available(current));
    let mut old: Vec<(&Arc<Object>, i64)> = plan.old().map(|set| (set, replicas(set))).filter(|(_, n)| *n > 0).collect();
    old.sort_by_key(|(set, _)| text(set.content(), "/metadata/creationTimestamp"));
    // First what does not work anyway.
    for (set, left) in &mut old {
        let unhealthy = (*left - available(set)).clamp(0, room.max(0));
        *left -= unhealthy;
        room -= unhealthy;
    }
    let serving: i64 = plan.sets.iter().map(|set| available(set)).sum();
    let mut room = serving - least;
    for (_, left) in &mut old {
        let step = (*left).min(room.max(0));
        *left -= step;
        room -= step;
    }
    for (set, left) in old {
        if left != replicas(set) {
            set_replicas(run, deployment, set, left);
        }
    }
}
