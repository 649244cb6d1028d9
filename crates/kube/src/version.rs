//! `/version`, and whether a cluster's API is well: `/healthz`, `/livez`, `/readyz`.

use http::HeaderValue;
use http::header::X_CONTENT_TYPE_OPTIONS;
use serde_json::{Value, json};

use crate::api::{Request, Response};
use crate::world::World;

const TEXT: &str = "text/plain; charset=utf-8";
/// What is checked. All of it holds as long as a cluster answers at all, since its state is read before it does.
const CHECKS: [&str; 6] = [
    "ping",
    "log",
    "etcd",
    "poststarthook/start-apiextensions-controllers",
    "poststarthook/rbac/bootstrap-roles",
    "poststarthook/apiservice-registration-controller",
];
/// What is checked for readiness only.
const READINESS: [&str; 2] = ["informer-sync", "shutdown"];

/// The `version.Info` of a cluster.
#[must_use]
pub fn info(world: &World) -> Value {
    let mut parts = world.version.split('.');
    let (major, minor) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    json!({
        "major": major, "minor": minor, "emulationMajor": major, "emulationMinor": minor,
        "gitVersion": git_version(world), "gitCommit": "", "gitTreeState": "clean", "buildDate": "",
        "goVersion": "go1.26.0", "compiler": "gc", "platform": "linux/amd64",
    })
}

/// `v1.36.3+IKS`, as the service tells its builds from those of others.
#[must_use]
pub fn git_version(world: &World) -> String {
    match world.openshift {
        Some(_) => format!("v{}", world.version),
        None => format!("v{}+IKS", world.version),
    }
}

/// The answer to a request for one of these paths. `None` if the path is none of them.
pub fn answer(request: &Request, world: &World) -> Option<Response> {
    let path = request.path.trim_matches('/');
    if path == "version" {
        return Some(Response::json(200, &info(world)));
    }
    let (endpoint, check) = path.split_once('/').unwrap_or((path, ""));
    let more: &[&str] = match endpoint {
        "readyz" => &READINESS,
        "healthz" | "livez" => &[],
        _ => return None,
    };
    let checks: Vec<&str> = CHECKS.iter().chain(more).copied().collect();
    if check.is_empty() {
        return Some(text(200, told(endpoint, &checks, &request.query)));
    }
    let known = checks.contains(&check);
    Some(if known { text(200, "ok".to_owned()) } else { text(404, "404 page not found\n".to_owned()) })
}

/// `ok`, or what was checked if the query says `verbose`.
fn told(endpoint: &str, checks: &[&str], query: &str) -> String {
    // A query that cannot be read asks for nothing.
    let query: Vec<(String, String)> = serde_urlencoded::from_str(query).unwrap_or_default();
    if !query.iter().any(|(name, _)| name == "verbose") {
        return "ok".to_owned();
    }
    let mut excluded: Vec<_> = query.iter().filter(|(name, _)| name == "exclude").map(|(_, check)| check.as_str()).collect();
    excluded.sort_unstable();
    excluded.dedup();
    let mut text = String::new();
    for check in checks {
        let note = if excluded.contains(check) { " excluded:" } else { "" };
        text += &format!("[+]{check}{note} ok\n");
    }
    let unknown: Vec<_> = excluded.iter().filter(|check| !checks.contains(check)).map(|c| format!("{c:?}")).collect();
    if !unknown.is_empty() {
        text += &format!("warn: some health checks cannot be excluded: no matches for {}\n", unknown.join(","));
    }
    text + &format!("{endpoint} check passed\n")
}

fn text(status: u16, body: String) -> Response {
    let mut response = Response::new(status, TEXT, body);
    response.headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::{HeaderMap, Method};

    use super::*;
    use crate::api::{Body, User};

    fn ask(path: &str, query: &str) -> Option<(u16, String)> {
        let world = World { version: "1.36.3".to_owned(), ..World::default() };
        let request = Request {
            user: User::anonymous(),
            method: Method::GET,
            path: path.to_owned(),
            query: query.to_owned(),
            headers: HeaderMap::new(),
            body: Bytes::new(),
        };
        let response = answer(&request, &world)?;
        let Body::Full(body) = response.body else { return None };
        Some((response.status, String::from_utf8(body.to_vec()).unwrap()))
    }

    #[test]
    fn health_is_told_as_upstream_tells_it() {
        for path in ["/healthz", "/livez", "/readyz", "/readyz/", "/healthz/ping", "/livez/poststarthook/rbac/bootstrap-roles"]
        {
            assert_eq!(ask(path, ""), Some((200, "ok".to_owned())), "{path}");
        }
        let (_, text) = ask("/readyz", "verbose&exclude=etcd&exclude=x").unwrap();
        assert!(text.starts_with("[+]ping ok\n[+]log ok\n[+]etcd excluded: ok\n"), "{text}");
        assert!(text.contains("[+]shutdown ok\nwarn: some health checks cannot be excluded: no matches for \"x\"\n"), "{text}");
        assert!(text.ends_with("readyz check passed\n"), "{text}");
        assert_eq!(ask("/healthz/shutdown", "").unwrap().0, 404);
        assert_eq!(ask("/healthzz", ""), None);
    }

    #[test]
    fn the_version_is_that_of_the_cluster() {
        let (_, text) = ask("/version", "").unwrap();
        let version: Value = serde_json::from_str(&text).unwrap();
        assert_eq!((&version["major"], &version["minor"]), (&json!("1"), &json!("36")));
        assert_eq!(version["gitVersion"], "v1.36.3+IKS");
    }
}
