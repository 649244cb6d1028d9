//! From a request to an answer: who asks, what for, whether they may, and who serves it.

mod answer;
mod ask;
mod create;
mod delete;
mod patch;
mod paths;
mod read;
mod subresources;
mod update;
mod views;
mod watch;
mod write;

use std::sync::Arc;

use http::{HeaderValue, Method};

use crate::api::{Request, Response, User};
use crate::cluster::{Cluster, Snapshot};
use crate::rbac::{self, Attributes};
use crate::request::{Query, Route, Target, path_verb};
use crate::status::Status;
use crate::{accounts, openshift};

pub use ask::Ask;
pub(crate) use watch::Watches;

/// Serves one request.
pub async fn serve(cluster: &Arc<Cluster>, mut request: Request) -> Response {
    let head = request.method == Method::HEAD;
    if head {
        request.method = Method::GET;
    }
    let mut response = match respond(cluster, request).await {
        Ok(response) => response,
        Err(status) => status.into(),
    };
    response.headers.insert("audit-id", audit_id());
    response.headers.entry(http::header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-cache, private"));
    response
}

fn audit_id() -> HeaderValue {
    // A UUID is visible ASCII.
    HeaderValue::from_str(&boatyard_core::id::uuid()).unwrap_or(HeaderValue::from_static("-"))
}

async fn respond(cluster: &Arc<Cluster>, request: Request) -> Result<Response, Status> {
    let at = cluster.snapshot();
    let query = Query::parse(&request.query)?;
    let user = identify(&at, cluster, &request)?;
    let user = rbac::impersonated(&at.authorizer, &user, &request.headers)?.unwrap_or(user);
    match Route::of(&request.path)? {
        Route::Path(path) => {
            allow(&at, &user, &Attributes { verb: path_verb(&request.method), path: &path, ..Attributes::default() })?;
            paths::answer(&at, &path, request).await
        }
        Route::Resource(target) => {
            let verb = target.verb(&request.method, &query);
            allow(&at, &user, &attributes(verb, &target, &query))?;
            let ask = Ask::of(cluster, &at, verb, target, query, user, &request)?;
            dispatch(cluster, &at, ask, request).await
        }
    }
}

async fn dispatch(cluster: &Arc<Cluster>, at: &Arc<Snapshot>, ask: Ask, request: Request) -> Result<Response, Status> {
    if openshift::is_virtual(&ask.resource) {
        return views::serve(cluster, at, ask, request).await;
    }
    if ask.target.subresource.as_deref().is_some_and(|s| s != "status") {
        return subresources::answer(cluster, at, ask, request).await;
    }
    match ask.verb {
        "get" => read::get(at, &ask),
        "list" => read::list(at, &ask),
        "watch" => watch::watch(cluster, at, ask),
        "create" => create::create(cluster, at, ask, request).await,
        "update" => update::update(cluster, ask, request).await,
        "patch" => patch::patch(cluster, ask, request).await,
        "delete" => delete::delete(cluster, ask, request).await,
        _ => delete::delete_collection(cluster, ask, request).await,
    }
}

/// Who asks: whom the one who holds the clusters knows, or a service account of this cluster.
fn identify(at: &Snapshot, cluster: &Cluster, request: &Request) -> Result<User, Status> {
    let authorization = request.header("authorization");
    if request.user.name != User::anonymous().name || authorization.is_empty() {
        return Ok(request.user.clone());
    }
    let token = authorization.split_once(' ').filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    let (_, token) = token.ok_or_else(Status::unauthorized)?;
    accounts::verify(&at.state, &at.world.id, &at.key, token.trim(), cluster.clock().now()).ok_or_else(Status::unauthorized)
}

fn attributes<'a>(verb: &'a str, target: &'a Target, query: &'a Query) -> Attributes<'a> {
    // A namespace is in itself, as far as roles are concerned, and so is the project that it is.
    let own = match (target.group.as_str(), target.plural.as_str()) {
        ("", "namespaces") | ("project.openshift.io", "projects") => target.name.as_deref(),
        _ => None,
    };
    // A list of one object is as good as the object.
    let listed = match verb {
        "list" | "watch" => query.get("fieldSelector").strip_prefix("metadata.name="),
        _ => None,
    };
    Attributes {
        verb,
        group: &target.group,
        version: &target.version,
        resource: &target.plural,
        subresource: target.subresource.as_deref().map_or("", |s| s.split('/').next().unwrap_or_default()),
        namespace: target.namespace.as_deref().or(own).unwrap_or_default(),
        name: target.name.as_deref().or(listed).unwrap_or_default(),
        path: "",
    }
}

fn allow(at: &Snapshot, user: &User, attributes: &Attributes<'_>) -> Result<(), Status> {
    at.authorizer.require(user, attributes)
}
