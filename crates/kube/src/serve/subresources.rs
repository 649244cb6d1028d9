//! Parts of objects that have a path of their own: `scale`, `eviction`, `binding`, `token`, `finalize`.

use std::sync::Arc;

use serde_json::{Value, json};

use super::delete::Order;
use super::{Ask, answer, create, patch, update, write};
use crate::accounts;
use crate::api::{Request, Response};
use crate::cluster::{Cluster, Outcome, Snapshot};
use crate::lifecycle;
use crate::managed;
use crate::object::{Object, member, number, text};
use crate::selectors::LabelSelector;
use crate::state::Txn;
use crate::status::{Cause, Status};
use crate::types::Type;

pub async fn answer(cluster: &Arc<Cluster>, at: &Arc<Snapshot>, ask: Ask, request: Request) -> Result<Response, Status> {
    let name = ask.subresource().split('/').next().unwrap_or_default().to_owned();
    match (name.as_str(), ask.verb) {
        ("scale", "get") => {
            let object = at.state.get(&ask.key()).ok_or_else(|| ask.not_found())?;
            answer::value(&ask, 200, &scale_of(&ask, object))
        }
        ("scale", "update" | "patch") => scale(cluster, ask, request).await,
        ("eviction", "create") => evict(cluster, ask, request).await,
        ("binding", "create") => bind(cluster, ask, request).await,
        ("token", "create") => token(at, &ask, &request),
        ("finalize" | "ephemeralcontainers" | "resize", "get") => super::read::get(at, &ask),
        ("finalize" | "ephemeralcontainers" | "resize", "update") => update::update(cluster, ask, request).await,
        ("ephemeralcontainers" | "resize", "patch") => patch::patch(cluster, ask, request).await,
        ("exec" | "attach" | "portforward" | "log" | "proxy", _) => {
            at.state.get(&ask.key()).ok_or_else(|| ask.not_found())?;
            Err(no_process(&name))
        }
        _ => Err(Status::not_implemented(format!("virtual clusters do not serve the subresource {name:?}"))),
    }
}

/// What needs a process, of which there is none.
fn no_process(what: &str) -> Status {
    let text = match what {
        "log" => {
            "there are no logs: virtual clusters run no processes, their Pods only show the states that they would pass through"
        }
        "proxy" => "nothing answers: virtual clusters run no processes, so there is none to forward requests to",
        _ => {
            "there is nothing to connect to: virtual clusters run no processes, their Pods only show the states that they would pass through"
        }
    };
    Status::not_implemented(text)
}

/// Where replicas stand in an object: in its spec, in its status, and the selector of what they are.
struct Paths {
    spec: String,
    status: String,
    selector: Option<String>,
}

fn paths(ask: &Ask) -> Paths {
    let pointer = |path: &str| path.replace('.', "/");
    match ask.resource.custom.as_ref().and_then(|custom| custom.scale.as_ref()) {
        Some([spec, status, selector]) => {
            Paths { spec: pointer(spec), status: pointer(status), selector: (!selector.is_empty()).then(|| pointer(selector)) }
        }
        None => Paths { spec: "/spec/replicas".to_owned(), status: "/status/replicas".to_owned(), selector: None },
    }
}

/// The `Scale` of an object.
fn scale_of(ask: &Ask, object: &Object) -> Value {
    let (value, paths) = (object.value(), paths(ask));
    let selector = match &paths.selector {
        Some(path) => text(&value, path).to_owned(),
        None if ask.resource.custom.is_some() => String::new(),
        None => match value.pointer("/spec/selector") {
            // Those of replication controllers are plain labels.
            Some(labels) if labels.get("matchLabels").is_none() && labels.get("matchExpressions").is_none() => {
                labels.as_object().map(LabelSelector::of_labels).unwrap_or_default().to_string()
            }
            Some(selector) => LabelSelector::of(selector).unwrap_or_default().to_string(),
            None => String::new(),
        },
    };
    let metadata = &value["metadata"];
    let mut status = json!({ "replicas": number(&value, &paths.status).unwrap_or(0) });
    if !selector.is_empty() {
        status["selector"] = json!(selector);
    }
    json!({
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {
            "name": metadata["name"], "namespace": metadata["namespace"], "uid": metadata["uid"],
            "resourceVersion": object.revision.to_string(), "creationTimestamp": metadata["creationTimestamp"],
        },
        "spec": { "replicas": number(&value, &paths.spec).unwrap_or(0) },
        "status": status,
    })
}

async fn scale(cluster: &Arc<Cluster>, ask: Ask, request: Request) -> Result<Response, Status> {
    let content_type = request.header("content-type").split(';').next().unwrap_or_default().trim().to_owned();
    let body = write::decode(if ask.verb == "update" { content_type.as_str() } else { "" }, &request.body)?;
    let (ask, dry_run) = (Arc::new(ask), create::request_dry_run(&request)?);
    let asked = Arc::clone(&ask);
    let raw = request.body.clone();
    let operation = move |txn: &mut Txn, at: &Snapshot| {
        let old = txn.get(&asked.key()).ok_or_else(|| asked.not_found())?;
        let before = scale_of(&asked, &old);
        let wanted = match (asked.verb, content_type.as_str()) {
            ("update", _) => body,
            (_, "application/json-patch+json") => crate::patch::json_patch(&before, &raw)?,
            (_, "application/apply-patch+yaml") => {
                let api_version = "autoscaling/v1";
                managed::apply(
                    Some(&before),
                    &body,
                    &Type::default(),
                    &write::writer(&asked, api_version),
                    asked.query.flag("force"),
                )?
            }
            _ => crate::patch::merge_patch(&before, &body),
        };
        rescale(&asked, at, txn, &old, &wanted)
    };
    let outcome = cluster.write(dry_run, Box::new(operation)).await?;
    match &outcome {
        Outcome::Object(code, object) => answer::value(&ask, *code, &scale_of(&ask, object)),
        Outcome::Value(code, value) => answer::value(&ask, *code, value),
    }
}

fn rescale(ask: &Ask, at: &Snapshot, txn: &mut Txn, old: &Object, wanted: &Value) -> Result<Outcome, Status> {
    let replicas = match &wanted["spec"]["replicas"] {
        Value::Null => 0,
        value => value.as_i64().unwrap_or(-1),
    };
    if !(0..=i64::from(i32::MAX)).contains(&replicas) {
        let cause = Cause::invalid("spec.replicas", &wanted["spec"]["replicas"], "must be greater than or equal to 0");
        return Err(Status::invalid("autoscaling", "Scale", ask.name(), vec![cause]));
    }
    update::unchanged_since(ask, old, &json!({ "metadata": { "resourceVersion": wanted["metadata"]["resourceVersion"] } }))?;
    let served = write::as_served(ask, old);
    let mut value = served.clone();
    let path = paths(ask).spec;
    let (parent, field) = path.rsplit_once('/').unwrap_or(("", "replicas"));
    member(&mut value, parent).insert(field.to_owned(), json!(replicas));
    update::replace(ask, at, txn, old, &served, value, true)
}

async fn evict(cluster: &Arc<Cluster>, ask: Ask, request: Request) -> Result<Response, Status> {
    let body = write::decode(request.header("content-type"), &request.body)?;
    let order = Order::of(&ask.query, &body["deleteOptions"])?;
    let (ask, dry_run) = (Arc::new(ask), order.dry_run);
    let asked = Arc::clone(&ask);
    let operation = move |txn: &mut Txn, _: &Snapshot| {
        let key = asked.key();
        let object = txn.get(&key).ok_or_else(|| asked.not_found())?;
        order.check(&asked, &object)?;
        lifecycle::evict(txn, &key, &order.options)?;
        let status = json!({ "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201 });
        Ok(Outcome::Value(201, status))
    };
    let outcome = cluster.write(dry_run, Box::new(operation)).await?;
    answer::outcome(&ask, &outcome, ask.now)
}

async fn bind(cluster: &Arc<Cluster>, ask: Ask, request: Request) -> Result<Response, Status> {
    let body = write::decode(request.header("content-type"), &request.body)?;
    let (ask, dry_run) = (Arc::new(ask), create::request_dry_run(&request)?);
    let asked = Arc::clone(&ask);
    let operation = move |txn: &mut Txn, _: &Snapshot| {
        let key = asked.key();
        let object = txn.get(&key).ok_or_else(|| asked.not_found())?;
        let node = text(&body, "/target/name");
        let bound = text(object.content(), "/spec/nodeName");
        if node.is_empty() {
            let cause = Cause::required("target.name", "");
            return Err(Status::invalid("", "Binding", asked.name(), vec![cause]));
        }
        if !bound.is_empty() {
            let why = format!("pod {} is already assigned to node \"{bound}\"", asked.name());
            return Err(Status::conflict("", "pods/binding", asked.name(), &why));
        }
        txn.edit(&key, |value| {
            member(value, "spec").insert("nodeName".to_owned(), json!(node));
        });
        let status = json!({ "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201 });
        Ok(Outcome::Value(201, status))
    };
    let outcome = cluster.write(dry_run, Box::new(operation)).await?;
    answer::outcome(&ask, &outcome, ask.now)
}

/// A token for a service account.
fn token(at: &Snapshot, ask: &Ask, request: &Request) -> Result<Response, Status> {
    let body = write::decode(request.header("content-type"), &request.body)?;
    let issued = accounts::issue(&at.state, &at.world.id, &at.key, (ask.namespace(), ask.name()), &body, ask.now)?;
    answer::value(ask, 201, &issued)
}
