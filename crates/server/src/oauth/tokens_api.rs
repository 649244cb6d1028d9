//! Tokens as objects of the group `oauth.openshift.io`: people see and end their own, which is what `oc logout` does.
//!
//! They are kept with the identities and not with the objects of a cluster, so they are served here and not by its API server.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, Request, State};
use axum::response::Response;
use axum::routing::get;
use boatyard_core::clock::from_ms;
use boatyard_iam::{CLUSTER_TOKEN_SECONDS, OAuthToken, cluster_token_name};
use boatyard_kube::{Status, User, object};
use http::{HeaderMap, StatusCode, header};
use serde_json::{Value, json as value};
use tracing::error;

use super::{Deed, LOGOUT_ACTION, Place, SCOPE, json, openshift_user, status};
use crate::app::App;
use crate::audit::Origin;

const GROUP: &str = "oauth.openshift.io";
/// A user's own.
const OWN: &str = "useroauthaccesstokens";
/// All of a cluster. Only a user's own can be ended by this name too; older clients use it.
const ALL: &str = "oauthaccesstokens";

pub(super) fn router() -> Router<Arc<App>> {
    let at = |rest: &str| format!("/kube/{{cluster}}/apis/{GROUP}/v1/{rest}");
    let wrong_method = async |request: Request| status(&Status::method_not_allowed(&request.method().as_str().to_lowercase()));
    let none = async |Path((_, name)): Path<(String, String)>| status(&Status::not_found(GROUP, ALL, &name));
    Router::new()
        .route(&at(OWN), get(list).fallback(wrong_method))
        .route(&at(&format!("{OWN}/{{name}}")), get(read).delete(delete_own).fallback(wrong_method))
        .route(&at(&format!("{ALL}/{{name}}")), get(none).delete(delete).fallback(wrong_method))
}

/// The cluster and who asks.
pub(super) async fn arrive(app: &App, cluster: &str, headers: &HeaderMap) -> Result<(Place, User), Response> {
    let place = Place::find(app, cluster).await?;
    let value = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let token = match value.trim().split_once(char::is_whitespace) {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => token.trim(),
        _ => return Err(status(&Status::unauthorized())),
    };
    match openshift_user(app, &place.cluster.id, &place.cluster.account_id, token).await {
        Ok(Some(user)) => Ok((place, user)),
        Ok(None) => Err(status(&Status::unauthorized())),
        Err(error) => Err(failed(&error)),
    }
}

fn failed(error: &boatyard_iam::Error) -> Response {
    error!(%error, "tokens of a cluster could not be read or ended");
    status(&Status::internal())
}

async fn list(State(app): State<Arc<App>>, Path(cluster): Path<String>, headers: HeaderMap) -> Response {
    let (place, user) = match arrive(&app, &cluster, &headers).await {
        Ok(found) => found,
        Err(response) => return response,
    };
    match app.iam.cluster_tokens(place.iam(), &user.uid).await {
        Ok(tokens) => {
            let items: Vec<_> = tokens.iter().map(|token| shown(token, &user)).collect();
            let metadata = value!({ "resourceVersion": "1" });
            let kind = "UserOAuthAccessTokenList";
            json(
                StatusCode::OK,
                &value!({ "kind": kind, "apiVersion": format!("{GROUP}/v1"), "metadata": metadata, "items": items }),
            )
        }
        Err(error) => failed(&error),
    }
}

async fn read(State(app): State<Arc<App>>, Path((cluster, name)): Path<(String, String)>, headers: HeaderMap) -> Response {
    let (place, user) = match arrive(&app, &cluster, &headers).await {
        Ok(found) => found,
        Err(response) => return response,
    };
    match app.iam.cluster_tokens(place.iam(), &user.uid).await {
        Ok(tokens) => match tokens.iter().find(|token| token.name == name) {
            Some(token) => json(StatusCode::OK, &shown(token, &user)),
            None => status(&Status::not_found(GROUP, OWN, &name)),
        },
        Err(error) => failed(&error),
    }
}

async fn delete_own(app: State<Arc<App>>, Path((cluster, name)): Path<(String, String)>, request: Request) -> Response {
    end(app, &cluster, &name, OWN, request).await
}

async fn delete(app: State<Arc<App>>, Path((cluster, name)): Path<(String, String)>, request: Request) -> Response {
    end(app, &cluster, &name, ALL, request).await
}

async fn end(State(app): State<Arc<App>>, cluster: &str, name: &str, resource: &'static str, request: Request) -> Response {
    let (place, user) = match arrive(&app, cluster, request.headers()).await {
        Ok(found) => found,
        Err(response) => return response,
    };
    let origin = Origin::of(request.extensions(), request.headers());
    // Clients of old name a token by the token itself.
    let names = [Some(name.to_owned()), cluster_token_name(name)];
    let mut ended = None;
    for name in names.into_iter().flatten() {
        match app.iam.cluster_token_end(place.iam(), &name, Some(&user.uid)).await {
            Ok(None) => {}
            Ok(found) => ended = ended.or(found),
            Err(error) => return failed(&error),
        }
    }
    let Some(token) = ended else { return status(&Status::not_found(GROUP, resource, name)) };
    let known_as = user.name.strip_prefix("IAM#").unwrap_or(&user.name);
    let deed = Deed {
        action: LOGOUT_ACTION,
        operation: "oauth/logout",
        status: StatusCode::OK,
        iam_id: &token.iam_id,
        name: known_as,
    };
    place.record(&app, origin, deed).await;
    let details = value!({ "name": token.name, "group": GROUP, "kind": resource });
    json(
        StatusCode::OK,
        &value!({ "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details }),
    )
}

fn shown(token: &OAuthToken, user: &User) -> Value {
    value!({
        "kind": "UserOAuthAccessToken",
        "apiVersion": format!("{GROUP}/v1"),
        "metadata": {
            "name": token.name,
            "creationTimestamp": object::time(from_ms(token.created_at)),
            "resourceVersion": "1",
        },
        "clientName": token.client_id,
        "expiresIn": CLUSTER_TOKEN_SECONDS,
        "scopes": [SCOPE],
        "redirectURI": token.redirect_uri,
        "userName": user.name,
        "userUID": user.uid,
    })
}
