//! `create`.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{Ask, answer, write};
use crate::api::{Request, Response};
use crate::cluster::{Cluster, Outcome, Snapshot};
use crate::controllers::common::free_name;
use crate::object::{Key, member, text};
use crate::registry;
use crate::state::Txn;
use crate::status::{Cause, Status};
use crate::{accounts, reviews};

pub async fn create(cluster: &Arc<Cluster>, at: &Arc<Snapshot>, ask: Ask, request: Request) -> Result<Response, Status> {
    let body = write::decode(request.header("content-type"), &request.body)?;
    let value = write::object(&ask, body)?;
    if let Some(answered) = review(at, &ask, &value)? {
        return answer::value(&ask, 201, &answered);
    }
    let (ask, dry_run) = (Arc::new(ask), request_dry_run(&request)?);
    let asked = Arc::clone(&ask);
    let outcome = cluster.write(dry_run, Box::new(move |txn, at| insert(&asked, at, txn, value))).await?;
    answer::outcome(&ask, &outcome, ask.now)
}

pub fn request_dry_run(request: &Request) -> Result<bool, Status> {
    crate::request::Query::parse(&request.query)?.dry_run()
}

/// Answers what is asked by creating it, and not kept.
fn review(at: &Snapshot, ask: &Ask, value: &Value) -> Result<Option<Value>, Status> {
    if !matches!(&*ask.resource.group, "authorization.k8s.io" | "authentication.k8s.io") {
        return Ok(None);
    }
    if ask.resource.kind != "TokenReview" {
        return reviews::answer(&ask.resource.kind, value, &ask.user, &at.authorizer, ask.namespace()).map(Some);
    }
    let token = reviews::reviewed_token(value)?;
    let mut audiences: Vec<_> = reviews::reviewed_audiences(value).collect();
    if audiences.is_empty() {
        audiences.push(accounts::ISSUER);
    }
    let found = accounts::verify_for(&at.state, &at.world.id, &at.key, token, &audiences, ask.now);
    Ok(Some(reviews::answer_token(value, found.as_ref().map(|(user, audiences)| (user, audiences.as_slice())))))
}

/// Puts a new object in its place.
pub fn insert(ask: &Ask, at: &Snapshot, txn: &mut Txn, mut value: Value) -> Result<Outcome, Status> {
    name(ask, txn, &mut value)?;
    if !text(&value, "/metadata/resourceVersion").is_empty() {
        return Err(Status::bad_request("resourceVersion should not be set on objects to be created"));
    }
    let mut value = write::prepare(ask, at, txn, None, value)?;
    write::owned(ask, None, &mut value);
    place(ask, at, txn, value)
}

/// The same for an object whose ownership is told already.
pub fn insert_owned(ask: &Ask, at: &Snapshot, txn: &mut Txn, value: Value) -> Result<Outcome, Status> {
    let value = write::prepare(ask, at, txn, None, value)?;
    place(ask, at, txn, value)
}

fn place(ask: &Ask, at: &Snapshot, txn: &mut Txn, mut value: Value) -> Result<Outcome, Status> {
    let key = Key::new(&ask.resource.stored, ask.namespace(), text(&value, "/metadata/name"));
    if txn.get(&key).is_some() {
        return Err(Status::already_exists(&ask.resource.group, &ask.resource.plural, &key.name));
    }
    if registry::concerns(&key) {
        registry::keep_until_clean(&mut value);
    }
    notes(ask);
    let mut stored = write::as_stored(ask, value);
    accounts::fill(txn.state(), &at.world, &at.key, &key, &mut stored);
    let object = txn.put(key, stored);
    Ok(Outcome::Object(201, object))
}

/// The object's name, generated if the client leaves that to the server.
fn name(ask: &Ask, txn: &Txn, value: &mut Value) -> Result<(), Status> {
    if !text(value, "/metadata/name").is_empty() {
        return Ok(());
    }
    let stem = text(value, "/metadata/generateName");
    if stem.is_empty() {
        let cause = Cause::required("metadata.name", "name or generateName is required");
        return Err(write::invalid(ask, value, vec![cause]));
    }
    let name = free_name(txn, &ask.resource.stored, ask.namespace(), stem);
    member(value, "metadata").insert("name".to_owned(), json!(name));
    Ok(())
}

/// What virtual clusters do otherwise than a client may expect.
fn notes(ask: &Ask) {
    match ask.resource.kind.as_str() {
        "ValidatingWebhookConfiguration" | "MutatingWebhookConfiguration" => {
            ask.warn("virtual clusters run no processes: the webhooks are kept, but not called");
        }
        "APIService" => ask.warn("virtual clusters run no processes: requests are not forwarded to the service"),
        _ => {}
    }
}
