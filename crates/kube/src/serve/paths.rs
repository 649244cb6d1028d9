//! What is no resource: discovery, the published documents, health, the version.

use std::sync::Arc;

use crate::api::{Request, Response};
use crate::cluster::Snapshot;
use crate::status::Status;
use crate::{discovery, version};

pub async fn answer(at: &Arc<Snapshot>, path: &str, request: Request) -> Result<Response, Status> {
    if request.method != http::Method::GET {
        return Err(Status::method_not_allowed(request.method.as_str()));
    }
    if path.trim_matches('/').is_empty() {
        return Ok(root(at));
    }
    if path.starts_with("/openapi/") {
        let at = Arc::clone(at);
        // Some of them are megabytes that have to be put together first.
        let made = tokio::task::spawn_blocking(move || at.documents.answer(&request, base(&at.world.server)));
        return made.await.ok().flatten().ok_or_else(Status::no_such_path);
    }
    if let Some(response) = version::answer(&request, &at.world) {
        return Ok(response);
    }
    discovery::answer(&request, at.registry.groups(), &at.world.server).ok_or_else(Status::no_such_path)
}

/// The path of a URL.
fn base(url: &str) -> &str {
    let host = url.find("://").map_or(0, |at| at + 3);
    url[host..].find('/').map_or("", |at| &url[host + at..])
}

/// What there is to ask for.
fn root(at: &Snapshot) -> Response {
    let groups = at.registry.groups().filter(|g| !g.name.is_empty());
    let groups = groups.flat_map(|g| {
        let versions = g.versions.iter().map(|v| format!("/apis/{}/{}", g.name, v.name));
        std::iter::once(format!("/apis/{}", g.name)).chain(versions).collect::<Vec<_>>()
    });
    let fixed = ["/healthz", "/livez", "/openapi/v2", "/openapi/v3", "/readyz", "/version"].map(str::to_owned);
    let paths: Vec<_> = ["/api", "/api/v1", "/apis"].map(str::to_owned).into_iter().chain(groups).chain(fixed).collect();
    Response::json(200, &serde_json::json!({ "paths": paths }))
}

#[cfg(test)]
mod tests {
    use super::base;

    #[test]
    fn documents_are_found_below_the_clusters_path() {
        assert_eq!(base("https://127.0.0.1:7443/kube/c1"), "/kube/c1");
        assert_eq!(base("https://127.0.0.1:7443"), "");
    }
}
