//! What a request asks for: its path and query, taken apart.

use std::borrow::Cow;

use http::Method;

use crate::status::Status;

/// What is at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route {
    /// Objects of a resource, one of them, or a part of one.
    Resource(Target),
    /// Anything else: discovery, health, the version.
    Path(String),
}

/// Objects of a resource.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Target {
    pub group: String,
    pub version: String,
    /// As in paths: `deployments`.
    pub plural: String,
    pub namespace: Option<String>,
    pub name: Option<String>,
    /// Everything behind the name: `status`, `scale`, `proxy/metrics`.
    pub subresource: Option<String>,
    /// Whether the path is one of the old ones that always watch.
    pub watch: bool,
}

impl Route {
    /// What is at `path`, which still has its escapes.
    ///
    /// # Errors
    /// 400 if an escape is not UTF-8 text.
    pub fn of(path: &str) -> Result<Self, Status> {
        let segments = path.split('/').filter(|s| !s.is_empty()).map(decoded).collect::<Result<Vec<_>, _>>()?;
        let segments: Vec<&str> = segments.iter().map(AsRef::as_ref).collect();
        let (group, version, rest) = match segments.as_slice() {
            ["api", version, rest @ ..] => ("", *version, rest),
            ["apis", group, version, rest @ ..] => (*group, *version, rest),
            _ => (path, "", [].as_slice()),
        };
        let (watch, rest) = match rest {
            ["watch", rest @ ..] => (true, rest),
            rest => (false, rest),
        };
        if rest.is_empty() {
            return Ok(Self::Path(path.to_owned()));
        }
        let target = Target { group: group.to_owned(), version: version.to_owned(), watch, ..Target::default() };
        let text = |s: &&str| Some((*s).to_owned());
        let (namespace, rest) = match rest {
            // A namespace is an object, and a place for others.
            ["namespaces", _, "status" | "finalize"] | ["namespaces"] | ["namespaces", _] => (None, rest),
            ["namespaces", namespace, rest @ ..] => (text(namespace), rest),
            rest => (None, rest),
        };
        Ok(Self::Resource(match rest {
            [plural] => Target { plural: (*plural).to_owned(), namespace, ..target },
            [plural, name] => Target { plural: (*plural).to_owned(), namespace, name: text(name), ..target },
            [plural, name, sub @ ..] => {
                Target { plural: (*plural).to_owned(), namespace, name: text(name), subresource: Some(sub.join("/")), ..target }
            }
            [] => return Ok(Self::Path(path.to_owned())),
        }))
    }
}

fn decoded(segment: &str) -> Result<Cow<'_, str>, Status> {
    let bad = || Status::bad_request("the path holds escapes that are not UTF-8 text");
    percent_encoding::percent_decode_str(segment).decode_utf8().map_err(|_| bad())
}

impl Target {
    /// What is done, as roles name it.
    #[must_use]
    pub fn verb(&self, method: &Method, query: &Query) -> &'static str {
        match *method {
            Method::POST => "create",
            Method::PUT => "update",
            Method::PATCH => "patch",
            Method::DELETE if self.name.is_some() => "delete",
            Method::DELETE => "deletecollection",
            _ if self.watch || (self.name.is_none() && query.flag("watch")) => "watch",
            _ if self.name.is_some() => "get",
            _ => "list",
        }
    }
}

/// What a path is asked for, as roles name it.
#[must_use]
pub fn path_verb(method: &Method) -> &'static str {
    match *method {
        Method::POST => "post",
        Method::PUT => "put",
        Method::PATCH => "patch",
        Method::DELETE => "delete",
        Method::HEAD => "head",
        Method::OPTIONS => "options",
        _ => "get",
    }
}

/// The parameters of a request.
#[derive(Clone, Debug, Default)]
pub struct Query(Vec<(String, String)>);

impl Query {
    /// # Errors
    /// 400 if it is not form-encoded.
    pub fn parse(text: &str) -> Result<Self, Status> {
        serde_urlencoded::from_str(text)
            .map(Self)
            .map_err(|error| Status::bad_request(format!("the query is not readable: {error}")))
    }

    /// The value of a parameter, empty if it is not there.
    #[must_use]
    pub fn get(&self, name: &str) -> &str {
        self.0.iter().find(|(n, _)| n == name).map_or("", |(_, value)| value)
    }

    /// The values of a parameter that may be given several times.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(n, _)| n == name)
    }

    /// Whether a parameter is there and not `false` or `0`.
    #[must_use]
    pub fn flag(&self, name: &str) -> bool {
        self.0.iter().any(|(n, value)| n == name && !matches!(value.as_str(), "false" | "0"))
    }

    /// A whole number.
    ///
    /// # Errors
    /// 400 if it is something else.
    pub fn number(&self, name: &str) -> Result<Option<u64>, Status> {
        match self.get(name) {
            "" => Ok(None),
            text => text
                .parse()
                .map(Some)
                .map_err(|_| Status::bad_request(format!("invalid {name}: {text:?} is not a whole number"))),
        }
    }

    /// Whether nothing is to be written: `dryRun=All`.
    ///
    /// # Errors
    /// 400 for any other value.
    pub fn dry_run(&self) -> Result<bool, Status> {
        match self.all("dryRun").find(|v| *v != "All" && !v.is_empty()) {
            Some(other) => {
                Err(Status::bad_request(format!("invalid dryRun: Unsupported value: \"{other}\": supported values: \"All\"")))
            }
            None => Ok(self.all("dryRun").any(|v| v == "All")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(path: &str) -> String {
        match Route::of(path).unwrap() {
            Route::Path(path) => format!("path {path}"),
            Route::Resource(t) => {
                let part = |p: Option<String>| p.unwrap_or_else(|| "-".to_owned());
                format!("{}/{} {} {} {} {}", t.group, t.version, part(t.namespace), t.plural, part(t.name), part(t.subresource))
            }
        }
    }

    #[test]
    fn paths_are_taken_apart() {
        let cases = [
            ("/api/v1/pods", "/v1 - pods - -"),
            ("/api/v1/namespaces", "/v1 - namespaces - -"),
            ("/api/v1/namespaces/a", "/v1 - namespaces a -"),
            ("/api/v1/namespaces/a/status", "/v1 - namespaces a status"),
            ("/api/v1/namespaces/a/finalize", "/v1 - namespaces a finalize"),
            ("/api/v1/namespaces/a/pods", "/v1 a pods - -"),
            ("/api/v1/namespaces/a/pods/p/log", "/v1 a pods p log"),
            ("/api/v1/namespaces/a/services/http:s:80/proxy/x/y", "/v1 a services http:s:80 proxy/x/y"),
            ("/apis/apps/v1/namespaces/a/deployments/d/scale", "apps/v1 a deployments d scale"),
            (
                "/apis/rbac.authorization.k8s.io/v1/clusterroles/system%3Anode",
                "rbac.authorization.k8s.io/v1 - clusterroles system:node -",
            ),
            ("/api/v1", "path /api/v1"),
            ("/apis/apps", "path /apis/apps"),
            ("/healthz/ping", "path /healthz/ping"),
            ("/", "path /"),
        ];
        for (path, expected) in cases {
            assert_eq!(target(path), expected, "{path}");
        }
        assert!(Route::of("/api/v1/pods/%ff").is_err());
    }
}
