//! `delete` and `deletecollection`.

use std::sync::Arc;

use serde_json::{Value, json};

use super::read::{self, Selection};
use super::{Ask, answer, write};
use crate::admission;
use crate::api::{Request, Response};
use crate::cluster::{Cluster, Outcome, Snapshot};
use crate::lifecycle::{self, DeleteOptions, Propagation};
use crate::object::{Key, Object, number, text};
use crate::request::Query;
use crate::state::Txn;
use crate::status::{Cause, Status};

/// How something is deleted, and what it has to be for that.
pub struct Order {
    pub options: DeleteOptions,
    pub uid: String,
    pub resource_version: String,
    pub dry_run: bool,
}

impl Order {
    /// From a `DeleteOptions` body and the query, of which the body counts.
    pub fn of(query: &Query, body: &Value) -> Result<Self, Status> {
        let named = match text(body, "/propagationPolicy") {
            "" => query.get("propagationPolicy"),
            policy => policy,
        };
        let orphan = body["orphanDependents"]
            .as_bool()
            .or_else(|| query.has("orphanDependents").then(|| query.flag("orphanDependents")));
        let propagation = match (named, orphan) {
            ("Foreground", _) => Some(Propagation::Foreground),
            ("Background", _) | ("", Some(false)) => Some(Propagation::Background),
            ("Orphan", _) | ("", Some(true)) => Some(Propagation::Orphan),
            ("", None) => None,
            (other, _) => {
                let accepted = ["Foreground", "Background", "Orphan", "nil"];
                let cause = Cause::unsupported("propagationPolicy", &json!(other), &accepted);
                return Err(Status::invalid("meta.k8s.io", "DeleteOptions", "", vec![cause]));
            }
        };
        let grace = query.number("gracePeriodSeconds")?.and_then(|g| i64::try_from(g).ok());
        let dry_run = query.dry_run()? || crate::object::array(body, "/dryRun").iter().any(|v| v == "All");
        Ok(Self {
            options: DeleteOptions { grace_period_seconds: number(body, "/gracePeriodSeconds").or(grace), propagation },
            uid: text(body, "/preconditions/uid").to_owned(),
            resource_version: text(body, "/preconditions/resourceVersion").to_owned(),
            dry_run,
        })
    }

    fn of_request(ask: &Ask, request: &Request) -> Result<Self, Status> {
        let body = match request.body.is_empty() {
            true => Value::Null,
            false => write::decode(request.header("content-type"), &request.body)?,
        };
        Self::of(&ask.query, &body)
    }

    /// That an object is what the client means.
    pub fn check(&self, ask: &Ask, object: &Object) -> Result<(), Status> {
        let expected = json!({ "metadata": { "uid": self.uid, "resourceVersion": self.resource_version } });
        let resource = &ask.resource;
        if !self.resource_version.is_empty() && self.resource_version != object.revision.to_string() {
            let why = format!(
                "Precondition failed: ResourceVersion in precondition: {}, ResourceVersion in object meta: {}",
                self.resource_version, object.revision
            );
            return Err(Status::conflict(&resource.group, &resource.plural, &object.key.name, &why));
        }
        super::update::unchanged_since(ask, object, &expected)
    }
}

pub async fn delete(cluster: &Arc<Cluster>, ask: Ask, request: Request) -> Result<Response, Status> {
    let order = Order::of_request(&ask, &request)?;
    let (ask, dry_run) = (Arc::new(ask), order.dry_run);
    let asked = Arc::clone(&ask);
    let outcome = cluster.write(dry_run, Box::new(move |txn, _| one(&asked, txn, &order))).await?;
    answer::outcome(&ask, &outcome, ask.now)
}

fn one(ask: &Ask, txn: &mut Txn, order: &Order) -> Result<Outcome, Status> {
    let object = txn.get(&ask.key()).ok_or_else(|| ask.not_found())?;
    order.check(ask, &object)?;
    admission::deletable(&ask.resource, ask.name())?;
    remove(ask, txn, &object.key, &order.options)
}

/// Deletes an object. What is told is the object while it waits for something, otherwise that it is gone.
pub fn remove(ask: &Ask, txn: &mut Txn, key: &Key, options: &DeleteOptions) -> Result<Outcome, Status> {
    let object = lifecycle::delete(txn, key, options).ok_or_else(|| ask.not_found())?;
    if txn.get(key).is_some() || &*key.resource == "pods" {
        return Ok(Outcome::Object(200, object));
    }
    Ok(Outcome::Value(200, success(ask, &object)))
}

/// That an object is gone.
pub fn success(ask: &Ask, object: &Object) -> Value {
    let mut details = json!({ "name": *object.key.name, "kind": ask.resource.plural, "uid": object.uid() });
    if !ask.resource.group.is_empty() {
        details["group"] = json!(ask.resource.group);
    }
    json!({ "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details })
}

pub async fn delete_collection(cluster: &Arc<Cluster>, ask: Ask, request: Request) -> Result<Response, Status> {
    let order = Order::of_request(&ask, &request)?;
    Selection::of(&ask)?;
    let (ask, dry_run) = (Arc::new(ask), order.dry_run);
    let asked = Arc::clone(&ask);
    let operation = move |txn: &mut Txn, at: &Snapshot| {
        let selection = Selection::of(&asked)?;
        let objects: Vec<_> = read::selected(at, &asked, &selection, None).cloned().collect();
        let mut items = Vec::new();
        for object in objects {
            if admission::deletable(&asked.resource, &object.key.name).is_ok()
                && let Some(object) = lifecycle::delete(txn, &object.key, &order.options)
            {
                items.push(answer::served(&asked.resource, &object).into_owned());
            }
        }
        let resource = &asked.resource;
        let meta = json!({ "resourceVersion": txn.state().revision().to_string() });
        let list =
            json!({ "kind": resource.list_kind, "apiVersion": resource.api_version(), "metadata": meta, "items": items });
        Ok(Outcome::Value(200, list))
    };
    let outcome = cluster.write(dry_run, Box::new(operation)).await?;
    answer::outcome(&ask, &outcome, ask.now)
}
