//! The ControllerRevisions of StatefulSets and DaemonSets: what their template was.

use std::sync::Arc;

use serde_json::{Value, json};

use super::Run;
use super::common::{contains, owner_reference, template_hash};
use crate::object::{Key, Object, member, number};

const REVISIONS: &str = "controllerrevisions.apps";
/// The label of Pods and revisions with the hash (DaemonSet) or the name (StatefulSet) of the revision.
pub(super) const HASH: &str = "controller-revision-hash";

fn position(revision: &Object) -> i64 {
    number(revision.content(), "/revision").unwrap_or(0)
}

/// The revision that holds the template as it is, made or moved to the end if need be, and all that there are in order.
pub(super) fn sync(run: &mut Run<'_>, owner: &Arc<Object>) -> Option<(Arc<Object>, Vec<Arc<Object>>)> {
    let template = owner.content().pointer("/spec/template")?;
    // In the form of a patch, as kubectl rollout history and undo read it.
    let mut data = json!({"spec": {"template": template}});
    member(&mut data, "spec/template").insert("$patch".to_owned(), json!("replace"));
    let mut known: Vec<Arc<Object>> = of(run, owner);
    let last = known.iter().map(|revision| position(revision)).max().unwrap_or(0);
    let current = match known.iter().find(|revision| revision.content()["data"] == data).cloned() {
        Some(same) if position(&same) == last => same,
        Some(same) => run.txn.edit(&same.key, |value| value["revision"] = json!(last.saturating_add(1)))?,
        None => make(run, owner, data, last.saturating_add(1))?,
    };
    known = of(run, owner);
    known.sort_by_key(|revision| position(revision));
    Some((current, known))
}

fn of(run: &Run<'_>, owner: &Object) -> Vec<Arc<Object>> {
    run.txn.state().owned_by(owner.uid()).filter(|o| &*o.key.resource == REVISIONS).cloned().collect()
}

fn make(run: &mut Run<'_>, owner: &Object, data: Value, revision: i64) -> Option<Arc<Object>> {
    let namespace = &*owner.key.namespace;
    if run.txn.state().find("namespaces", "", namespace).is_some_and(|n| n.is_terminating()) {
        return None;
    }
    let mut collisions = 0;
    let (hash, key) = loop {
        let hash = template_hash(&data, collisions);
        let key = Key::new(REVISIONS, namespace, &format!("{}-{hash}", owner.key.name));
        if run.txn.get(&key).is_none() {
            break (hash, key);
        }
        collisions += 1;
    };
    let mut labels = owner.content().pointer("/spec/template/metadata/labels").cloned().unwrap_or_else(|| json!({}));
    member(&mut labels, "").insert(HASH.to_owned(), json!(hash));
    let mut metadata = json!({"labels": labels, "ownerReferences": [owner_reference(owner)]});
    if let Some(cause) = owner.annotation("kubernetes.io/change-cause") {
        metadata["annotations"] = json!({"kubernetes.io/change-cause": cause});
    }
    let value = json!({
        "apiVersion": "apps/v1", "kind": "ControllerRevision", "metadata": metadata, "data": data, "revision": revision,
    });
    Some(run.txn.put(key, value))
}

/// The hash in the name of a revision.
pub(super) fn hash(revision: &Object) -> String {
    revision.labels().and_then(|labels| labels.get(HASH)).and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// Whether a Pod was made from a revision, by the value of its label.
pub(super) fn is_of(pod: &Object, value: &str) -> bool {
    let Value::Object(wanted) = json!({HASH: value}) else { return false };
    contains(&wanted, pod.labels())
}

/// The template that a revision holds.
pub(super) fn template(revision: &Object) -> Value {
    let mut template = revision.content().pointer("/data/spec/template").cloned().unwrap_or_default();
    member(&mut template, "").remove("$patch");
    template
}

/// Takes away the oldest revisions that no Pod has, beyond `revisionHistoryLimit`. `live` are values of the label, or names.
pub(super) fn clean_up(run: &mut Run<'_>, owner: &Object, known: &[Arc<Object>], live: impl Fn(&Object) -> bool) {
    let limit = usize::try_from(number(owner.content(), "/spec/revisionHistoryLimit").unwrap_or(10)).unwrap_or(0);
    let old: Vec<&Arc<Object>> = known.iter().filter(|revision| !live(revision)).collect();
    for revision in old.iter().take(old.len().saturating_sub(limit)) {
        run.txn.remove(&revision.key);
    }
}
