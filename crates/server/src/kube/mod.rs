//! The API servers of virtual clusters, on one path each: from HTTP to a [`boatyard_kube::Request`] and back.

mod authenticate;
mod certificates;
mod journal;
mod worlds;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::body::{Body, HttpBody as _};
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::any;
use boatyard_kube::world::Worlds as _;
use boatyard_kube::{Body as Answer, Status, User, World};
use bytes::Bytes;
use futures::{FutureExt as _, StreamExt as _};
use http::{HeaderMap, Method, StatusCode, header, request};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use tracing::error;

pub(crate) use certificates::{ClientAuthority, Issued, Presented};
pub(crate) use journal::StoreJournal;
pub(crate) use worlds::StoreWorlds;

use crate::app::App;
use crate::limits::Limits;
use crate::operations::{BODY_TIMEOUT, DRAIN_TIMEOUT, HANDLER_TIMEOUT};
use crate::transport::ClientAddress;

/// Where the clusters' API servers are.
pub(crate) const PATH: &str = "/kube";
/// The largest request body, in bytes: what an API server takes.
const BODY_LIMIT: usize = 3 * 1024 * 1024;

pub(crate) fn router() -> Router<Arc<App>> {
    Router::new().route(&format!("{PATH}/{{cluster}}"), any(serve)).route(&format!("{PATH}/{{cluster}}/{{*path}}"), any(serve))
}

async fn serve(State(app): State<Arc<App>>, request: Request) -> Response {
    let timer = Instant::now();
    let (parts, body) = request.into_parts();
    let answer = answer(&app, parts, body).await.unwrap_or_else(boatyard_kube::Response::from);
    let response = respond(&app, answer);
    app.metrics.kube_answered(response.status(), timer.elapsed());
    response
}

/// The cluster's ID and the path below it, with its escapes.
fn split(path: &str) -> Option<(&str, &str)> {
    let rest = path.strip_prefix(PATH)?.strip_prefix('/')?;
    let end = rest.find('/').unwrap_or(rest.len());
    let (cluster, below) = rest.split_at(end);
    Some((cluster, if below.is_empty() { "/" } else { below }))
}

async fn answer(app: &Arc<App>, parts: request::Parts, body: Body) -> Result<boatyard_kube::Response, Status> {
    let (cluster, path) = split(parts.uri.path()).ok_or_else(Status::no_such_path)?;
    let world = app.worlds.world(cluster).await.map_err(|error| {
        error!(cluster, %error, "the cluster could not be read");
        Status::internal()
    })?;
    let Some(world) = world else {
        app.clusters.forget(cluster);
        return Err(Status::new(404, "NotFound", "there is no such cluster, or its master is not ready"));
    };
    let user = authenticate::user(app, &world, &parts).await?;
    counted(&app.limits, &user, parts.extensions.get())?;
    let body = read(&parts.headers, body).await?;
    let request = boatyard_kube::Request {
        user,
        path: path.to_owned(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        body,
        method: parts.method,
        headers: parts.headers,
    };
    handle(app, world, request).await
}

/// Counts a request. A service account is nobody yet: which one it is, only the cluster finds out.
///
/// # Errors
/// 429 if there were too many.
fn counted(limits: &Limits, user: &User, address: Option<&ClientAddress>) -> Result<(), Status> {
    let (counted, whose) = match *user == User::anonymous() {
        true => (limits.stranger(address), "from this address"),
        false => (limits.user(&user.name), "of this user"),
    };
    counted.map_err(|wait| Status::too_many_requests(format!("too many requests {whose}, please try again later"), wait))
}

/// What changes something is done to its end, also when the client goes away in the meantime.
async fn handle(app: &Arc<App>, world: Arc<World>, request: boatyard_kube::Request) -> Result<boatyard_kube::Response, Status> {
    let reads = matches!(request.method, Method::GET | Method::HEAD);
    let what = format!("{} {}", request.method, request.path);
    let (clusters, cluster) = (app.clusters.clone(), world.id.clone());
    let work = async move { AssertUnwindSafe(clusters.serve_in(world, request)).catch_unwind().await };
    let failed = |error: &str| {
        error!(cluster, what, error, "a request to an API server failed");
        Status::internal()
    };
    let handled = async {
        match reads {
            true => work.await.map_err(|_| failed("it panicked")),
            false => tokio::spawn(work).await.ok().and_then(Result::ok).ok_or_else(|| failed("it panicked")),
        }
    };
    tokio::time::timeout(HANDLER_TIMEOUT, handled).await.unwrap_or_else(|_| Err(failed("it took too long")))
}

fn respond(app: &App, answer: boatyard_kube::Response) -> Response {
    let body = match answer.body {
        Answer::Full(bytes) => Body::from(bytes),
        // A watch goes on for as long as the client wants, but does not keep the server from being stopped.
        Answer::Stream(frames) => {
            let frames = frames.take_until(app.stop.clone().cancelled_owned());
            Body::from_stream(frames.map(Ok::<Bytes, std::convert::Infallible>))
        }
    };
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    *response.headers_mut() = answer.headers;
    response
}

/// The whole body, within the limits of size and time.
async fn read(headers: &HeaderMap, mut body: Body) -> Result<Bytes, Status> {
    if body.size_hint().lower() <= BODY_LIMIT as u64 {
        match tokio::time::timeout(BODY_TIMEOUT, Limited::new(&mut body, BODY_LIMIT).collect()).await {
            Ok(Ok(collected)) => return Ok(collected.to_bytes()),
            Ok(Err(error)) if error.is::<LengthLimitError>() => {}
            Ok(Err(_)) => return Err(Status::bad_request("the request body ended early")),
            Err(_) => return Err(Status::new(408, "Timeout", "the request body did not arrive in time")),
        }
    }
    // As for every other service: whoever is sending still would not read an answer on a connection that was closed.
    if !headers.contains_key(header::EXPECT) {
        tokio::spawn(tokio::time::timeout(DRAIN_TIMEOUT, crate::operations::drain(body)));
    }
    Err(Status::too_large(BODY_LIMIT))
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use boatyard_core::Clock;

    use super::*;

    #[test]
    fn requests_are_counted_by_user_or_else_by_address() {
        let limits = Limits::new(&Clock::default(), 1, 0);
        let [here, there] = [1, 2].map(|n| ClientAddress(IpAddr::V4(Ipv4Addr::new(192, 0, 2, n))));
        let [ada, bob] = ["IAM#ada", "IAM#bob"].map(|name| User::new(name, "", []));
        let nobody = User::anonymous();
        let cases = [
            (&ada, here, None),
            (&ada, there, Some("too many requests of this user, please try again later")),
            (&bob, here, None),
            (&nobody, here, None),
            (&nobody, here, Some("too many requests from this address, please try again later")),
            (&nobody, there, None),
        ];
        for (user, address, refused) in cases {
            let status = counted(&limits, user, Some(&address)).err();
            assert_eq!(status.as_ref().map(|status| status.message.as_str()), refused, "{} {address:?}", user.name);
            assert!(status.is_none_or(|status| status.code == 429));
        }
    }

    #[test]
    fn the_path_below_a_cluster_keeps_its_escapes() {
        let cases = [
            ("/kube/c1", Some(("c1", "/"))),
            ("/kube/c1/version", Some(("c1", "/version"))),
            ("/kube/c1/api/v1/namespaces/a%2Fb", Some(("c1", "/api/v1/namespaces/a%2Fb"))),
            ("/kubex/c1", None),
        ];
        for (path, expected) in cases {
            assert_eq!(split(path), expected, "{path}");
        }
    }
}
