//! What an account keeps for infrastructure: credentials, the owner of the API key, permissions; and switches of single clusters.

use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use boatyard_api::containers::{
    AccountStatus, CaCert, ClusterKeyOwnerInfo, Credentials, EnableSecureByDefaultRequest, OutboundTrafficProtectionRequest,
    Permissions, PermissionsAnalysis, UserConfig, V2DisableImageSecurityRequest, V2EnableImageSecurityRequest,
    V2EnablePullSecretRequest,
};
use boatyard_api::ops::containers;
use boatyard_core::SecretString;
use boatyard_fleet::Error;
use boatyard_fleet::infrastructure::{InfrastructureError, OrderedWith};
use http::StatusCode;

use super::clusters::resource_group;
use crate::call::Call;
use crate::operations::Bindings;
use crate::problem::Problem;
use crate::respond;

pub fn bind(bindings: Bindings) -> Bindings {
    bindings
        .bind(&containers::StoreUserCredentials, credentials_store)
        .bind(&containers::GetUserCredentials, credentials_get)
        .bind(&containers::RemoveUserCredentials, credentials_remove)
        .bind(&containers::ResetUserAPIKey, key_reset)
        .bind(&containers::GetClusterKeyOwner, key_owner_get)
        .bind(&containers::GetInfraPermissions, permissions_get)
        .bind(&containers::GetUserConfig, user_config_get)
        .bind(&containers::V2GetCACert, ca_cert_get)
        .bind(&containers::V2EnablePullSecret, pull_secret_enable)
        .bind(&containers::V2EnableImageSecurity, image_security_enable)
        .bind(&containers::V2DisableImageSecurity, image_security_disable)
        .bind(&containers::SetOutboundTrafficProtection, outbound_protection_set)
        .bind(&containers::EnableSecureByDefault, secure_by_default_enable)
}

/// `POST /v1/credentials`
async fn credentials_store(call: Call) -> Result<Response, Problem> {
    let key = call.header("x-auth-softlayer-apikey").map(SecretString::from);
    let username = call.header("x-auth-softlayer-username");
    call.app.fleet.credentials_set(call.caller()?, call.header("x-region"), username, key.as_ref()).await?;
    Ok(respond::empty(StatusCode::NO_CONTENT))
}

/// `GET /v1/credentials`
async fn credentials_get(call: Call) -> Result<Response, Problem> {
    let username = call.app.fleet.credentials_username(call.caller()?, call.header("x-region")).await?;
    Ok(respond::json(StatusCode::OK, &Credentials { api_user: Some(username) }))
}

/// `DELETE /v1/credentials`
async fn credentials_remove(call: Call) -> Result<Response, Problem> {
    call.app.fleet.credentials_delete(call.caller()?, call.header("x-region")).await?;
    Ok(respond::empty(StatusCode::NO_CONTENT))
}

/// `POST /v1/keys`
async fn key_reset(call: Call) -> Result<Response, Problem> {
    let group = resource_group(&call).await?;
    call.app.fleet.key_reset(call.caller()?, call.header("x-region"), &group.id).await?;
    Ok(respond::empty(StatusCode::NO_CONTENT))
}

/// `GET /v1/logging/{idOrName}/clusterkeyowner`
async fn key_owner_get(call: Call) -> Result<Response, Problem> {
    let owner = call.app.fleet.key_owner(call.caller()?, call.path("idOrName"), call.resource_group()).await?;
    let id = Some(owner.key_id).filter(|id| !id.is_empty());
    Ok(respond::json(StatusCode::OK, &ClusterKeyOwnerInfo { email: Some(owner.email), id, name: Some(owner.name) }))
}

/// `GET /v1/infra-permissions`: infrastructure refuses nothing here, so nothing is missing.
async fn permissions_get(call: Call) -> Result<Response, Problem> {
    let caller = call.caller()?;
    let access = call.app.fleet.infrastructure_access(caller, call.header("x-region")).await?;
    let (account, account_type) = match access {
        OrderedWith::ApiKey => (caller.account_id.clone().unwrap_or_default(), "api_key"),
        // Whose they are is the business of who looks after the account.
        OrderedWith::Credentials(_) if !caller.reaches_all() => (String::new(), "credentials"),
        OrderedWith::Credentials(username) => (username, "credentials"),
    };
    let enough = || PermissionsAnalysis { insufficient: Some(false), missing_permissions: Vec::new() };
    let permissions = || Some(Permissions { recommended: Some(enough()), required: Some(enough()) });
    let status = AccountStatus {
        account: Some(account),
        account_type: Some(account_type.to_owned()),
        network_manager_permissions: permissions(),
        physical_worker_manager_permissions: permissions(),
        storage_manager_permissions: permissions(),
        virtual_worker_manager_permissions: permissions(),
    };
    Ok(respond::json(StatusCode::OK, &status))
}

/// `GET /v1/user-config`
async fn user_config_get(call: Call) -> Result<Response, Problem> {
    let access = call.app.fleet.infrastructure_access(call.caller()?, call.header("x-region")).await?;
    let stored = matches!(access, OrderedWith::Credentials(_));
    // Free clusters are no longer offered.
    Ok(respond::json(StatusCode::OK, &UserConfig { free_enabled: Some(false), stored_iaas_credentials: Some(stored) }))
}

/// `GET /v2/getCACert`
async fn ca_cert_get(call: Call) -> Result<Response, Problem> {
    call.app.fleet.cluster(call.caller()?, &super::cluster_named(&call)?, call.resource_group()).await?;
    Ok(respond::json(StatusCode::OK, &CaCert { ca_cert: Some(STANDARD.encode(call.app.ca_pem.as_bytes())) }))
}

/// `POST /v2/enablePullSecret`
async fn pull_secret_enable(call: Call) -> Result<Response, Problem> {
    let body: V2EnablePullSecretRequest = call.json()?;
    call.app.fleet.pull_secret_apply(call.caller()?, &named(body.cluster)?, call.resource_group()).await?;
    Ok(respond::empty(StatusCode::NO_CONTENT))
}

/// `POST /v2/enableImageSecurity`
async fn image_security_enable(call: Call) -> Result<Response, Problem> {
    let body: V2EnableImageSecurityRequest = call.json()?;
    call.app.fleet.image_security_set(call.caller()?, &named(body.cluster)?, call.resource_group(), true).await?;
    Ok(respond::empty(StatusCode::NO_CONTENT))
}

/// `POST /v2/disableImageSecurity`
async fn image_security_disable(call: Call) -> Result<Response, Problem> {
    let body: V2DisableImageSecurityRequest = call.json()?;
    call.app.fleet.image_security_set(call.caller()?, &named(body.cluster)?, call.resource_group(), false).await?;
    Ok(respond::empty(StatusCode::NO_CONTENT))
}

/// `POST /network/v2/outbound-traffic-protection`
async fn outbound_protection_set(call: Call) -> Result<Response, Problem> {
    let body: OutboundTrafficProtectionRequest = call.json()?;
    let cluster = named(Some(body.cluster))?;
    call.app.fleet.outbound_protection(call.caller()?, &cluster, call.resource_group(), &body.operation).await?;
    Ok(respond::empty(StatusCode::OK))
}

/// `POST /network/v2/secure-by-default/enable`
async fn secure_by_default_enable(call: Call) -> Result<Response, Problem> {
    let body: EnableSecureByDefaultRequest = call.json()?;
    let (cluster, allowed) = (named(Some(body.cluster))?, body.disable_outbound_traffic_protection.unwrap_or(false));
    call.app.fleet.outbound_traffic_set(call.caller()?, &cluster, call.resource_group(), allowed).await?;
    Ok(respond::empty(StatusCode::OK))
}

fn named(cluster: Option<String>) -> Result<String, Problem> {
    let given = cluster.filter(|cluster| !cluster.is_empty());
    given.ok_or_else(|| Error::Missing("Specify the ID or name of a 'cluster'.".to_owned()).into())
}

/// The table from refusals to status, code, kind and hint.
impl From<InfrastructureError> for Problem {
    fn from(error: InfrastructureError) -> Self {
        let text = error.to_string();
        match error {
            InfrastructureError::NoCredentials(region) => Problem::new(StatusCode::NOT_FOUND, "E0051", "Credentials", text)
                .recovery(format!("To set them, run 'boatyard ks credential set classic --region {region}'.")),
            InfrastructureError::Region { regions, .. } => {
                let problem = Problem::new(StatusCode::BAD_REQUEST, "E0f60", "BadRequest", text);
                problem.recovery(format!("Regions: {}.", regions.join(", ")))
            }
            InfrastructureError::Operation(_) => Problem::new(StatusCode::BAD_REQUEST, "E0011", "BadRequest", text),
        }
    }
}
