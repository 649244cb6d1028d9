//! `POST /oauth/token`: a code becomes a token (RFC 6749, 4.1.3).

use std::sync::Arc;

use axum::extract::{Path, Request, State};
use axum::response::Response;
use boatyard_core::secret::ExposeSecret as _;
use boatyard_iam::{CLUSTER_TOKEN_SECONDS, ClusterClient, Error};
use http::{StatusCode, header};
use serde_json::json as object;
use tracing::error;

use super::{Deed, Place, SCOPE, basic, clients, json, oauth_error, status};
use crate::app::App;
use crate::audit::Origin;
use crate::operations;
use crate::problem::Form;
use crate::respond::private;

const OPERATION: &str = "oauth/token";

pub(super) async fn create(State(app): State<Arc<App>>, Path(cluster): Path<String>, request: Request) -> Response {
    let place = match Place::find(&app, &cluster).await {
        Ok(place) => place,
        Err(response) => return response,
    };
    let (parts, body) = request.into_parts();
    let origin = Origin::of(&parts.extensions, &parts.headers);
    let Ok(body) = operations::read(&parts.headers, body, Form::Token).await else {
        return oauth_error("invalid_request", "The form did not arrive.");
    };
    let label = parts.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media_type = label.split(';').next().unwrap_or_default().trim();
    if !media_type.is_empty() && !media_type.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        return oauth_error("invalid_request", "The request must be a form: application/x-www-form-urlencoded.");
    }
    let fields: Vec<(String, String)> = serde_urlencoded::from_bytes(&body).unwrap_or_default();
    let field = |name: &str| fields.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str()).filter(|v| !v.is_empty());
    // The secrets of these clients are empty; what is sent as one does not matter.
    let client = basic(&parts.headers).map(|(id, _)| id).or_else(|| field("client_id").map(str::to_owned)).unwrap_or_default();
    if !clients::is_known(&client) {
        return oauth_error("unauthorized_client", "The client is not authorized to request a token using this method.");
    }
    if field("grant_type") != Some("authorization_code") {
        let description = "The authorization grant type is not supported by the authorization server.";
        return oauth_error("unsupported_grant_type", description);
    }
    let Some(code) = field("code") else { return oauth_error("invalid_request", "The field 'code' is missing.") };
    let taken = app.iam.cluster_code_take(place.iam(), &client, code, field("redirect_uri"), field("code_verifier")).await;
    let (login, redirect_uri) = match taken {
        Ok(taken) => taken,
        Err(error) => {
            let response = refused(&place, &error);
            place.record(&app, origin, Deed::login(OPERATION, response.status(), "", "")).await;
            return response;
        }
    };
    let for_client = ClusterClient { id: &client, redirect_uri: &redirect_uri };
    let response = match app.iam.cluster_token_issue(place.iam(), &login, for_client).await {
        Ok(token) => {
            let body = object!({
                "access_token": token.expose_secret(),
                "expires_in": CLUSTER_TOKEN_SECONDS,
                "scope": SCOPE,
                "token_type": "Bearer",
            });
            private(json(StatusCode::OK, &body))
        }
        Err(error) => refused(&place, &error),
    };
    place.record(&app, origin, Deed::login(OPERATION, response.status(), login.iam_id(), login.sub())).await;
    response
}

fn refused(place: &Place, error: &Error) -> Response {
    if let Error::Store(_) | Error::Interrupted(_) = error {
        error!(cluster = place.cluster.id, %error, "a code could not be exchanged");
        return status(&boatyard_kube::Status::internal());
    }
    let description =
        "The code is not valid any more, was used before, or is not for this client and its verifier. Log in again.";
    oauth_error("invalid_grant", description)
}
