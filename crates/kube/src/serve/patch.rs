//! `patch`, in its four forms.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Value, json};

use super::{Ask, answer, create, update, write};
use crate::api::{Request, Response};
use crate::cluster::{Cluster, Outcome, Snapshot};
use crate::managed;
use crate::patch;
use crate::rbac::Attributes;
use crate::state::Txn;
use crate::status::Status;

const JSON_PATCH: &str = "application/json-patch+json";
const MERGE_PATCH: &str = "application/merge-patch+json";
const STRATEGIC_PATCH: &str = "application/strategic-merge-patch+json";
const APPLY_PATCH: &str = "application/apply-patch+yaml";

/// What is done to an object.
enum Patch {
    Json(Bytes),
    Merge(Value),
    Strategic(Value),
    Apply { config: Value, force: bool },
}

pub async fn patch(cluster: &Arc<Cluster>, ask: Ask, request: Request) -> Result<Response, Status> {
    let patch = read(&ask, &request)?;
    let (ask, dry_run) = (Arc::new(ask), create::request_dry_run(&request)?);
    let asked = Arc::clone(&ask);
    let outcome = cluster.write(dry_run, Box::new(move |txn, at| carry_out(&asked, at, txn, patch))).await?;
    answer::outcome(&ask, &outcome, ask.now)
}

fn read(ask: &Ask, request: &Request) -> Result<Patch, Status> {
    let content_type = request.header("content-type").split(';').next().unwrap_or_default().trim();
    let value = || write::decode(if content_type == APPLY_PATCH { content_type } else { "application/json" }, &request.body);
    match content_type {
        JSON_PATCH => {
            write::decode("", &request.body)?;
            Ok(Patch::Json(request.body.clone()))
        }
        MERGE_PATCH => Ok(Patch::Merge(value()?)),
        STRATEGIC_PATCH if ask.resource.custom.is_none() => Ok(Patch::Strategic(value()?)),
        APPLY_PATCH => {
            if ask.query.get("fieldManager").is_empty() {
                let cause = crate::Cause::required("fieldManager", "is required for apply patch");
                return Err(Status::invalid("meta.k8s.io", "PatchOptions", "", vec![cause]));
            }
            Ok(Patch::Apply { config: value()?, force: ask.query.flag("force") })
        }
        other => {
            let accepted = match ask.resource.custom {
                Some(_) => [JSON_PATCH, MERGE_PATCH, APPLY_PATCH].join(", "),
                None => [JSON_PATCH, MERGE_PATCH, STRATEGIC_PATCH, APPLY_PATCH].join(", "),
            };
            Err(Status::unsupported_media_type(other, &accepted))
        }
    }
}

/// What a patch makes of an object that is not kept as it is served. Nobody owns fields of such.
pub fn patched(ask: &Ask, request: &Request, before: &Value) -> Result<Value, Status> {
    match read(ask, request)? {
        Patch::Json(patch) => patch::json_patch(before, &patch),
        Patch::Merge(patch) | Patch::Strategic(patch) | Patch::Apply { config: patch, .. } => {
            Ok(patch::merge_patch(before, &patch))
        }
    }
}

fn carry_out(ask: &Ask, at: &Snapshot, txn: &mut Txn, patch: Patch) -> Result<Outcome, Status> {
    let old = txn.get(&ask.key());
    let served = old.as_ref().map(|object| write::as_served(ask, object));
    if let Patch::Apply { config, force } = patch {
        return apply(ask, at, txn, served.as_ref(), config, force);
    }
    let (Some(old), Some(served)) = (old, served) else { return Err(ask.not_found()) };
    let schema = ask.resource.schema.root();
    let patched = match patch {
        Patch::Json(patch) => patch::json_patch(&served, &patch)?,
        Patch::Merge(patch) => patch::merge_patch(&served, &patch),
        Patch::Strategic(patch) => patch::strategic_patch(&served, &patch, schema)?,
        Patch::Apply { .. } => served.clone(),
    };
    let patched = write::object(ask, patched)?;
    update::replace(ask, at, txn, &old, &served, patched, true)
}

/// Server-side apply: what the client wants, merged with what others own. Makes the object if there is none.
fn apply(ask: &Ask, at: &Snapshot, txn: &mut Txn, old: Option<&Value>, config: Value, force: bool) -> Result<Outcome, Status> {
    let mut config = write::object(ask, config)?;
    let named = crate::object::text(&config, "/metadata/name");
    if !named.is_empty() && named != ask.name() {
        return Err(Status::bad_request(format!(
            "the name of the object ({named}) does not match the name on the URL ({})",
            ask.name()
        )));
    }
    config["metadata"]["name"] = json!(ask.name());
    write::only_own_part(ask, &mut config);
    let api_version = ask.resource.api_version();
    let merged = managed::apply(old, &config, ask.resource.schema.root(), &write::writer(ask, &api_version), force)?;
    let (Some(served), Some(object)) = (old, txn.get(&ask.key())) else {
        if !ask.subresource().is_empty() {
            return Err(ask.not_found());
        }
        // A client that names a revision or a UID means an object that it has seen.
        if !crate::object::text(&config, "/metadata/uid").is_empty()
            || !crate::object::text(&config, "/metadata/resourceVersion").is_empty()
        {
            let resource = &ask.resource;
            let why = "uid mismatch: the provided object specified uid or resourceVersion, and no existing object was found";
            return Err(Status::conflict(&resource.group, &resource.plural, ask.name(), why));
        }
        // To patch what is there is one right, to make what is not another.
        let resource = &ask.resource;
        let making = Attributes {
            version: &resource.version,
            ..Attributes::of_resource("create", &resource.group, &resource.plural, ask.namespace(), "")
        };
        at.authorizer.require(&ask.user, &making)?;
        return create::insert_owned(ask, at, txn, merged);
    };
    update::unchanged_since(ask, &object, &config)?;
    update::replace(ask, at, txn, &object, served, merged, false)
}
