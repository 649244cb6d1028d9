//! Who asks an API server: an administrator with a client certificate, somebody of IAM with an ID token, somebody who logged in to
//! OpenShift, or a service account, whom the cluster knows itself.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use boatyard_kube::{Status, User, World};
use http::{header, request};
use serde_json::Value;
use tracing::{debug, error};

use super::certificates::{ADMINISTRATORS, Presented};
use crate::app::App;

/// What tokens of an OpenShift login begin with.
const OPENSHIFT: &str = "sha256~";

/// The user of a request. Nobody in particular without credentials, and with a token that only the cluster can judge.
///
/// # Errors
/// 401 if there are credentials and none of them is good for this cluster.
pub(super) async fn user(app: &App, world: &World, parts: &request::Parts) -> Result<User, Status> {
    let certificate = parts.extensions.get::<Presented>();
    if let Some(Presented::Good(holder)) = certificate
        && holder.cluster_id == world.id
    {
        return Ok(User::new(holder.user.clone(), "", [ADMINISTRATORS.to_owned()]));
    }
    let Some(token) = bearer(parts)? else {
        return if certificate.is_some() { Err(Status::unauthorized()) } else { Ok(User::anonymous()) };
    };
    if token.starts_with(OPENSHIFT) {
        let found = crate::oauth::openshift_user(app, &world.id, &world.account_id, token).await;
        return found.map_err(|error| unknown(world, &error))?.ok_or_else(Status::unauthorized);
    }
    if issuer(token).as_deref() != Some(app.iam.issuer()) {
        // A service account's, or of nobody: the cluster finds out.
        return Ok(User::anonymous());
    }
    match app.iam.authenticate_kube(token, &world.account_id).await {
        Ok(user) => Ok(User::new(user.name, user.iam_id, user.groups)),
        Err(error) => Err(unknown(world, &error)),
    }
}

/// The answer to a token that leads to nobody.
fn unknown(world: &World, error: &boatyard_iam::Error) -> Status {
    if let boatyard_iam::Error::Store(error) = error {
        error!(cluster = world.id, %error, "a token could not be looked at");
        return Status::internal();
    }
    debug!(cluster = world.id, %error, "a token is not good");
    Status::unauthorized()
}

/// The token of the request, if it has an `Authorization` header.
fn bearer(parts: &request::Parts) -> Result<Option<&str>, Status> {
    let Some(value) = parts.headers.get(header::AUTHORIZATION) else { return Ok(None) };
    let value = value.to_str().map_err(|_| Status::unauthorized())?.trim();
    let token =
        value.split_once(' ').filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer")).map(|(_, token)| token.trim());
    token.filter(|token| !token.is_empty()).map(Some).ok_or_else(Status::unauthorized)
}

/// Who a token says that it is by, which is not believed yet.
fn issuer(token: &str) -> Option<String> {
    let payload = token.split('.').nth(1)?;
    let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()?;
    claims["iss"].as_str().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_tells_whose_it_is() {
        let token = format!("e30.{}.x", URL_SAFE_NO_PAD.encode(r#"{"iss":"https://h/identity"}"#));
        assert_eq!(issuer(&token).as_deref(), Some("https://h/identity"));
        for other in ["", "a.b", "a.!!.c", "e30.e30.x", "sha256~abc"] {
            assert_eq!(issuer(other), None, "{other}");
        }
    }
}
