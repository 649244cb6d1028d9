//! The OAuth server of OpenShift clusters, at the address of each cluster's API.
//!
//! Programs log in by a challenge, as `oc login` and IBM's libraries do, and get a token at once or by way of a code; people log in with
//! a browser (`pages/cluster_login.rs`). A token is good for the one cluster.

mod authorize;
mod clients;
mod token;
mod tokens_api;

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::{get, post};
use boatyard_fleet::Cluster;
use boatyard_iam::{ClusterPlace, ClusterUser};
use boatyard_kube::{Status, User};
use http::{HeaderMap, StatusCode, header};
use serde_json::{Value, json};
use tracing::error;

pub(crate) use authorize::{Asked, approved};
pub(crate) use clients::{BROWSER_CLIENT, CLI_CLIENT};

use crate::app::App;
use crate::audit::{self, ClusterDeed, Origin};
use crate::pages::cluster_login;
use crate::respond::{self, private};

/// The one scope: everything that its user may do.
pub(crate) const SCOPE: &str = "user:full";
/// Whoever came by a token is in this group too.
const OAUTH_GROUP: &str = "system:authenticated:oauth";
/// Actions of events.
const LOGIN_ACTION: &str = "containers-kubernetes.cluster-token.create";
const LOGOUT_ACTION: &str = "containers-kubernetes.cluster-token.delete";

/// The last part of pages' paths, which browsers ask for over HTTPS only.
const PAGES: [&str; 4] = ["/oauth/token/request", "/oauth/token/display", "/oauth/token/implicit", "/oauth/token/approve"];

pub(crate) fn router() -> Router<Arc<App>> {
    let at = |path: &str| format!("/kube/{{cluster}}{path}");
    Router::new()
        .route(&at("/.well-known/oauth-authorization-server"), get(metadata))
        .route(&at("/oauth/authorize"), get(authorize::authorize))
        .route(&at("/oauth/token"), post(token::create))
        .route(&at("/oauth/token/request"), get(cluster_login::request))
        .route(&at("/oauth/token/display"), get(cluster_login::display).post(cluster_login::create))
        .route(&at("/oauth/token/implicit"), get(cluster_login::implicit))
        .route(&at("/oauth/token/approve"), post(cluster_login::approve))
        .merge(tokens_api::router())
}

/// Whether a path is that of a page for people.
pub(crate) fn is_page(path: &str) -> bool {
    path.strip_prefix("/kube/")
        .and_then(|rest| rest.find('/').map(|end| &rest[end..]))
        .is_some_and(|rest| PAGES.contains(&rest))
}

/// An OpenShift cluster that can be logged in to.
pub(crate) struct Place {
    pub cluster: Cluster,
    /// Where its API is, and its OAuth server, without a trailing slash.
    pub url: String,
}

impl Place {
    /// The cluster of a path.
    ///
    /// # Errors
    /// 404 as an API server answers it, also for clusters that are not of OpenShift and masters that are not there yet.
    pub async fn find(app: &App, cluster_id: &str) -> Result<Self, Response> {
        match app.fleet.openshift_login(cluster_id).await {
            Ok(Some(cluster)) => Ok(Self { url: format!("{}/kube/{}", app.public_url, cluster.id), cluster }),
            Ok(None) => Err(status(&Status::no_such_path())),
            Err(error) => {
                error!(cluster = cluster_id, %error, "an OpenShift cluster could not be looked up");
                Err(status(&Status::internal()))
            }
        }
    }

    pub fn iam(&self) -> ClusterPlace<'_> {
        ClusterPlace { cluster_id: &self.cluster.id, account_id: &self.cluster.account_id }
    }

    /// Writes the event of a login or a logout.
    pub async fn record(&self, app: &App, origin: Origin, deed: Deed<'_>) {
        let Deed { action, operation, status, iam_id, name } = deed;
        let deed = ClusterDeed {
            action,
            operation,
            status,
            iam_id,
            name,
            account_id: &self.cluster.account_id,
            crn: &self.cluster.crn(),
        };
        audit::at_cluster(app, origin, deed).await;
    }
}

/// What somebody did with the tokens of a cluster.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deed<'a> {
    pub action: &'static str,
    pub operation: &'static str,
    pub status: StatusCode,
    /// Empty if it is not known who it was.
    pub iam_id: &'a str,
    /// The user name, or what was given as one.
    pub name: &'a str,
}

impl<'a> Deed<'a> {
    /// A login that ended with that status.
    pub fn login(operation: &'static str, status: StatusCode, iam_id: &'a str, name: &'a str) -> Self {
        Self { action: LOGIN_ACTION, operation, status, iam_id, name }
    }
}

/// Whose an OpenShift token (`sha256~…`) is in a cluster of an account, as its API server knows them; `None` if the token is not good
/// there now.
///
/// # Errors
/// When the database fails.
pub(crate) async fn openshift_user(
    app: &App,
    cluster_id: &str,
    account_id: &str,
    token: &str,
) -> Result<Option<User>, boatyard_iam::Error> {
    let found = app.iam.cluster_user(ClusterPlace { cluster_id, account_id }, token).await?;
    Ok(found.map(kube_user))
}

fn kube_user(found: ClusterUser) -> User {
    let mut user = User::new(format!("IAM#{}", found.name), found.iam_id, found.groups);
    user.groups.push(OAUTH_GROUP.to_owned());
    user.extra = BTreeMap::from([("scopes.authorization.openshift.io".to_owned(), vec![SCOPE.to_owned()])]);
    user
}

/// `GET /.well-known/oauth-authorization-server` (RFC 8414). The issuer is the address of the cluster's API itself.
async fn metadata(State(app): State<Arc<App>>, Path(cluster): Path<String>) -> Response {
    let place = match Place::find(&app, &cluster).await {
        Ok(place) => place,
        Err(response) => return response,
    };
    let body = json!({
        "issuer": place.url,
        "authorization_endpoint": format!("{}/oauth/authorize", place.url),
        "token_endpoint": format!("{}/oauth/token", place.url),
        "scopes_supported": [SCOPE],
        "response_types_supported": ["code", "token"],
        "grant_types_supported": ["authorization_code", "implicit"],
        "code_challenge_methods_supported": ["plain", "S256"],
    });
    json(StatusCode::OK, &body)
}

/// A JSON answer as the OAuth server of OpenShift writes it.
fn json(status: StatusCode, body: &Value) -> Response {
    respond::with_type(status, "application/json", body.to_string())
}

/// An error of an API server.
pub(crate) fn status(status: &Status) -> Response {
    let code = StatusCode::from_u16(status.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    json(code, &status.object())
}

/// An error of OAuth that nobody is to be redirected with (RFC 6749, 5.2).
fn oauth_error(error: &str, description: &str) -> Response {
    private(json(StatusCode::BAD_REQUEST, &json!({ "error": error, "error_description": description })))
}

/// Name and secret of a `Basic` header.
fn basic(headers: &HeaderMap) -> Option<(String, String)> {
    use base64::Engine as _;
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?.trim();
    let (scheme, encoded) = value.split_once(char::is_whitespace)?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = base64::engine::general_purpose::STANDARD.decode(encoded.trim()).ok()?;
    let decoded = String::from_utf8(decoded).ok()?;
    let (name, secret) = decoded.split_once(':')?;
    Some((name.to_owned(), secret.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_told_from_what_programs_ask_for() {
        for path in ["/kube/c1/oauth/token/request", "/kube/c1/oauth/token/display"] {
            assert!(is_page(path), "{path}");
        }
        for path in ["/kube/c1/oauth/token", "/kube/c1/oauth/authorize", "/kube/c1", "/kube/", "/oauth/token/request", "/"] {
            assert!(!is_page(path), "{path}");
        }
    }

    #[test]
    fn users_are_named_as_in_the_roles_of_the_cluster() {
        let found = ClusterUser {
            iam_id: "IBMid-1".to_owned(),
            name: "ada@example.com".to_owned(),
            groups: vec!["ops".to_owned()],
            token: "sha256~x".to_owned(),
        };
        let user = kube_user(found);
        assert_eq!((user.name.as_str(), user.uid.as_str()), ("IAM#ada@example.com", "IBMid-1"));
        assert_eq!(user.groups, ["ops", "system:authenticated", "system:authenticated:oauth"]);
    }
}
