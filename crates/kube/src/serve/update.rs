//! `update`, and what it shares with patches: a new form of an object that is there.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{Ask, answer, create, write};
use crate::api::{Request, Response};
use crate::cluster::{Cluster, Outcome, Snapshot};
use crate::object::{Object, text};
use crate::state::Txn;
use crate::status::{Cause, Status};
use crate::{accounts, lifecycle, managed};

pub async fn update(cluster: &Arc<Cluster>, ask: Ask, request: Request) -> Result<Response, Status> {
    let body = write::decode(request.header("content-type"), &request.body)?;
    let value = write::object(&ask, body)?;
    let named = text(&value, "/metadata/name");
    if !named.is_empty() && named != ask.name() {
        return Err(Status::bad_request(format!(
            "the name of the object ({named}) does not match the name on the URL ({})",
            ask.name()
        )));
    }
    let (ask, dry_run) = (Arc::new(ask), create::request_dry_run(&request)?);
    let asked = Arc::clone(&ask);
    let outcome = cluster.write(dry_run, Box::new(move |txn, at| put(&asked, at, txn, value))).await?;
    answer::outcome(&ask, &outcome, ask.now)
}

fn put(ask: &Ask, at: &Snapshot, txn: &mut Txn, value: Value) -> Result<Outcome, Status> {
    let old = txn.get(&ask.key()).ok_or_else(|| ask.not_found())?;
    if ask.resource.custom.is_some() && text(&value, "/metadata/resourceVersion").is_empty() {
        let cause = Cause::invalid("metadata.resourceVersion", &json!(0), "must be specified for an update");
        return Err(write::invalid(ask, &value, vec![cause]));
    }
    let served = write::as_served(ask, &old);
    replace(ask, at, txn, &old, &served, value, true)
}

/// Replaces `old` (`served` as the resource serves it) by `value`. With `track`, ownership of fields is brought up to date; server-side
/// apply does that itself.
pub fn replace(
    ask: &Ask,
    at: &Snapshot,
    txn: &mut Txn,
    old: &Object,
    served: &Value,
    mut value: Value,
    track: bool,
) -> Result<Outcome, Status> {
    unchanged_since(ask, old, &value)?;
    write::only_subresource(ask, served, &mut value);
    value["metadata"]["name"] = json!(ask.name());
    let mut value = write::prepare(ask, at, txn, Some(served), value)?;
    if track {
        write::owned(ask, Some(served), &mut value);
    }
    managed::keep_times(served, &mut value);
    if old.is_terminating() {
        forbid_new_finalizers(ask, served, &value)?;
    }
    let key = ask.key();
    let mut stored = write::as_stored(ask, value);
    accounts::fill(txn.state(), &at.world, &at.key, &key, &mut stored);
    let object = txn.put(key.clone(), stored);
    lifecycle::settle(txn, &key);
    Ok(Outcome::Object(200, object))
}

/// That a client who says which revision, or which object, it changes means the present one.
pub fn unchanged_since(ask: &Ask, old: &Object, value: &Value) -> Result<(), Status> {
    let (revision, uid) = (text(value, "/metadata/resourceVersion"), text(value, "/metadata/uid"));
    let resource = &ask.resource;
    if !uid.is_empty() && uid != old.uid() {
        let why = format!("Precondition failed: UID in precondition: {uid}, UID in object meta: {}", old.uid());
        return Err(Status::conflict(&resource.group, &resource.plural, ask.name(), &why));
    }
    if !matches!(revision, "" | "0") && revision != old.revision.to_string() {
        let why = "the object has been modified; please apply your changes to the latest version and try again";
        return Err(Status::conflict(&resource.group, &resource.plural, ask.name(), why));
    }
    Ok(())
}

fn forbid_new_finalizers(ask: &Ask, old: &Value, new: &Value) -> Result<(), Status> {
    let of = |value: &Value| crate::object::array(value, "/metadata/finalizers").to_vec();
    let before = of(old);
    let added: Vec<_> = of(new).into_iter().filter(|f| !before.contains(f)).collect();
    if added.is_empty() {
        return Ok(());
    }
    let names: Vec<_> = added.iter().map(|f| format!("{f}")).collect();
    let detail = format!(
        "no new finalizers can be added if the object is being deleted, found new finalizers []string{{{}}}",
        names.join(", ")
    );
    Err(write::invalid(ask, new, vec![Cause::forbidden("metadata.finalizers", &detail)]))
}
