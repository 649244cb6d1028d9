//! Resources of OpenShift whose objects are made when they are asked for.

use std::sync::Arc;

use serde_json::Value;

use super::read::{self, Selection};
use super::{Ask, answer, create, delete, patch, write};
use crate::api::{Request, Response};
use crate::cluster::{Cluster, Outcome, Snapshot};
use crate::object::Object;
use crate::openshift::{self, View};
use crate::rbac::Attributes;
use crate::state::Txn;
use crate::status::Status;
use crate::{admission, resources};

/// Answers a request for such a resource.
pub async fn serve(cluster: &Arc<Cluster>, at: &Arc<Snapshot>, ask: Ask, request: Request) -> Result<Response, Status> {
    match ask.verb {
        "get" => {
            let object = get(at, &ask)?;
            let shaped = answer::shaped(&ask, answer::served(&ask.resource, &object), true, ask.now)?;
            answer::value(&ask, 200, &shaped)
        }
        "list" => list(at, &ask),
        "watch" => super::watch::watch(cluster, at, ask),
        _ => change(cluster, ask, request).await,
    }
}

fn get(at: &Snapshot, ask: &Ask) -> Result<Object, Status> {
    let sees = |namespace: &str| sees(at, ask, namespace);
    let view = View { user: &ask.user, world: &at.world, state: &at.state, sees: &sees };
    openshift::get(view, &ask.resource, ask.name()).ok_or_else(|| ask.not_found())
}

/// The objects that the user may see.
pub fn objects(at: &Snapshot, ask: &Ask) -> Vec<Arc<Object>> {
    let sees = |namespace: &str| sees(at, ask, namespace);
    let view = View { user: &ask.user, world: &at.world, state: &at.state, sees: &sees };
    openshift::list(view, &ask.resource).into_iter().map(Arc::new).collect()
}

/// Whether the user may see a namespace as a project.
pub fn sees(at: &Snapshot, ask: &Ask, namespace: &str) -> bool {
    let attributes = Attributes {
        verb: "get",
        group: "project.openshift.io",
        version: "v1",
        resource: "projects",
        namespace,
        name: namespace,
        ..Attributes::default()
    };
    at.authorizer.authorize(&ask.user, &attributes).allowed
}

fn list(at: &Snapshot, ask: &Ask) -> Result<Response, Status> {
    if &*ask.resource.stored == "projectrequests.project.openshift.io" {
        // Clients ask whether they may request projects by listing requests.
        let success = serde_json::json!({ "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success" });
        return answer::value(ask, 200, &success);
    }
    let selection = Selection::of(ask)?;
    let all = objects(at, ask);
    let chosen: Vec<_> = all.iter().filter(|object| selection.matches(object)).collect();
    let meta = serde_json::json!({ "resourceVersion": at.state.revision().to_string() });
    read::listed(ask, &chosen, meta)
}

async fn change(cluster: &Arc<Cluster>, ask: Ask, request: Request) -> Result<Response, Status> {
    let body = match request.body.is_empty() {
        true => Value::Null,
        false => write::decode(request.header("content-type"), &request.body)?,
    };
    let order = delete::Order::of(&ask.query, if ask.verb == "delete" { &body } else { &Value::Null })?;
    let dry_run = order.dry_run || create::request_dry_run(&request)?;
    let (ask, asked) = {
        let ask = Arc::new(ask);
        (Arc::clone(&ask), ask)
    };
    let operation = move |txn: &mut Txn, at: &Snapshot| match (&*asked.resource.stored, asked.verb) {
        ("projectrequests.project.openshift.io", "create") => {
            openshift::project_request(txn, &asked.user, &body).map(|made| Outcome::Value(201, made))
        }
        ("projects.project.openshift.io", "create") => {
            openshift::project_create(txn, &body).map(|made| Outcome::Value(201, made))
        }
        ("projects.project.openshift.io", "update") => {
            openshift::project_update(txn, asked.name(), &body).map(|changed| Outcome::Value(200, changed))
        }
        ("projects.project.openshift.io", "patch") => {
            let before = get(at, &asked)?;
            let patched = patch::patched(&asked, &request, before.content())?;
            openshift::project_update(txn, asked.name(), &patched).map(|changed| Outcome::Value(200, changed))
        }
        (_, "delete") => {
            let key = openshift::backing(&asked.resource, asked.name()).ok_or_else(|| Status::method_not_allowed("delete"))?;
            let object = txn.get(&key).ok_or_else(|| asked.not_found())?;
            order.check(&asked, &object)?;
            if let Some(namespaces) = resources::find("", "v1", "namespaces").filter(|r| r.stored == key.resource) {
                admission::deletable(namespaces, asked.name())?;
            }
            delete::remove(&asked, txn, &key, &order.options).map(|_| Outcome::Value(200, delete::success(&asked, &object)))
        }
        (_, verb) => Err(Status::method_not_allowed(verb)),
    };
    let outcome = cluster.write(dry_run, Box::new(operation)).await?;
    answer::outcome(&ask, &outcome, ask.now)
}
