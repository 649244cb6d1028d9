//! The identity provider outside: OpenID Connect, authorization code flow with PKCE.
//!
//! Nothing is asked of the provider before somebody wants to log in through it, so the server starts without it. Tokens are checked
//! against the system's own time and not the installation's clock, which may be ahead: the provider knows nothing of that one.

mod http_client;
#[cfg(test)]
mod tests;

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use boatyard_iam::{Naming, ProvidedIdentity, Redirect};
use chrono::{DateTime, Utc};
use openidconnect::core::{
    CoreAuthenticationFlow, CoreClient, CoreErrorResponseType, CoreGenderClaim, CoreIdToken, CoreJwsSigningAlgorithm,
    CoreProviderMetadata, CoreTokenResponse,
};
use openidconnect::{
    AdditionalClaims, AuthType, AuthorizationCode, ClaimsVerificationError, ClientId, ClientSecret, CsrfToken,
    EndpointMaybeSet, EndpointNotSet, EndpointSet, IssuerUrl, Nonce, OAuth2TokenResponse as _, PkceCodeChallenge,
    PkceCodeVerifier, RedirectUrl, RequestTokenError, Scope, SignatureVerificationError, StandardErrorResponse,
    SubjectIdentifier, TokenResponse as _, UserInfoClaims, UserInfoError,
};
use reqwest::Url;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tokio::sync::Mutex;
use tracing::{debug, info};

use self::http_client::{HttpClient, HttpTrouble};
use crate::Error;

/// How long what the provider says of itself is believed. Keys that it made since are looked for when a token names one.
const BELIEVED: Duration = Duration::from_secs(3600);
/// How long it is believed at least, whatever keys tokens name.
const BELIEVED_AT_LEAST: Duration = Duration::from_secs(10);
/// How far the provider's clock may be off, in seconds.
const SKEW: i64 = 60;
/// Signatures that are accepted: those of which only the provider has the key.
const ALGORITHMS: [CoreJwsSigningAlgorithm; 9] = [
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha256,
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha384,
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha512,
    CoreJwsSigningAlgorithm::RsaSsaPssSha256,
    CoreJwsSigningAlgorithm::RsaSsaPssSha384,
    CoreJwsSigningAlgorithm::RsaSsaPssSha512,
    CoreJwsSigningAlgorithm::EcdsaP256Sha256,
    CoreJwsSigningAlgorithm::EcdsaP384Sha384,
    CoreJwsSigningAlgorithm::EdDsa,
];

/// An OpenID Connect provider that users log in through.
#[derive(Clone, Debug)]
pub struct OidcConfig {
    /// As the provider's discovery document names it, such as `https://id.example.com/realms/staff`.
    pub issuer: String,
    pub client_id: String,
    /// `None` for a public client.
    pub client_secret: Option<SecretString>,
    /// PEM certificates to trust besides the system's.
    pub ca_file: Option<PathBuf>,
    /// What is asked for beside `openid`.
    pub scopes: Vec<String>,
    pub naming: Naming,
}

/// Why the provider did not log somebody in. The texts are for the log.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Trouble {
    /// It does not answer, or says that it cannot.
    #[error("the provider does not answer: {0}")]
    Unreachable(String),
    /// It refuses this client, or is not what it was taken for.
    #[error("the provider refuses this client or is not what was configured: {0}")]
    Misconfigured(String),
    /// It does not know the code any more.
    #[error("the provider does not take its code back: {0}")]
    CodeRefused(String),
    /// Its clock and this machine's are too far apart.
    #[error("the token is not for now: {0}")]
    Clocks(String),
    /// A token that is not for this login.
    #[error("the token is not acceptable: {0}")]
    Unacceptable(String),
}

type Client = CoreClient<EndpointSet, EndpointNotSet, EndpointNotSet, EndpointNotSet, EndpointMaybeSet, EndpointMaybeSet>;

/// Claims that the library has no field for.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct OtherClaims {
    #[serde(flatten)]
    all: Map<String, Value>,
}

impl AdditionalClaims for OtherClaims {}

/// What the provider said of itself, and when.
type Discovered = Option<(Instant, Arc<CoreProviderMetadata>)>;

/// The provider, as far as it is known.
#[derive(Debug)]
pub(crate) struct Provider {
    config: OidcConfig,
    issuer: IssuerUrl,
    redirect: RedirectUrl,
    http: HttpClient,
    /// Held while it is asked, so that it is asked once.
    discovered: Mutex<Discovered>,
}

impl Provider {
    /// A provider that sends browsers back to the server at `public_url`.
    ///
    /// # Errors
    /// If the issuer is not an https URL, or the certificates cannot be read.
    pub fn new(config: OidcConfig, public_url: &str) -> Result<Self, Error> {
        let refused = |reason: &str| Error::Provider(format!("the issuer '{}' {reason}", config.issuer));
        let url = Url::parse(&config.issuer).map_err(|e| refused(&format!("is not a URL: {e}")))?;
        let plain = match url.scheme() {
            "https" => false,
            // Codes and tokens would be readable on their way.
            "http" if is_loopback(&url) => true,
            _ => return Err(refused("must begin with https://; only on this machine's own addresses may it be http://")),
        };
        if url.query().is_some() || url.fragment().is_some() {
            return Err(refused("must not hold a query or a fragment"));
        }
        let issuer = IssuerUrl::new(config.issuer.clone()).map_err(|e| refused(&format!("is not a URL: {e}")))?;
        let redirect = RedirectUrl::new(format!("{public_url}/identity/callback"));
        let redirect = redirect.map_err(|_| Error::PublicUrl(public_url.to_owned()))?;
        let http = HttpClient::new(config.ca_file.as_deref(), plain)?;
        Ok(Self { config, issuer, redirect, http, discovered: Mutex::default() })
    }

    /// What people know it by: its host, and its port if it has one of its own.
    pub fn label(&self) -> String {
        let url = self.issuer.url();
        let host = url.host_str().unwrap_or_default();
        url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
    }

    pub fn issuer(&self) -> &str {
        self.issuer.as_str()
    }

    pub fn naming(&self) -> &Naming {
        &self.config.naming
    }

    /// Where a browser is sent to log in.
    ///
    /// # Errors
    /// When the provider is not there, or another than configured.
    pub async fn authorization_url(&self, redirect: &Redirect) -> Result<Url, Trouble> {
        let metadata = self.metadata(None).await?;
        let client = self.client(&metadata)?;
        let (state, nonce) = (redirect.state.clone(), redirect.nonce.clone());
        let challenge = PkceCodeChallenge::from_code_verifier_sha256(&PkceCodeVerifier::new(redirect.verifier.clone()));
        let request = client
            .authorize_url(CoreAuthenticationFlow::AuthorizationCode, move || CsrfToken::new(state), move || Nonce::new(nonce))
            .add_scopes(self.config.scopes.iter().filter(|scope| *scope != "openid").cloned().map(Scope::new))
            .set_pkce_challenge(challenge);
        Ok(request.url().0)
    }

    /// Who has logged in, for the code with which the browser came back.
    ///
    /// # Errors
    /// When the provider is not there, refuses the code, or answers with a token that is not for this login.
    pub async fn login(&self, code: &str, redirect: &Redirect) -> Result<ProvidedIdentity, Trouble> {
        let mut metadata = self.metadata(None).await?;
        let client = self.client(&metadata)?;
        let request = client.exchange_code(AuthorizationCode::new(code.to_owned())).map_err(misconfigured)?;
        let request = request.set_pkce_verifier(PkceCodeVerifier::new(redirect.verifier.clone()));
        let tokens: CoreTokenResponse = request.request_async(&self.http).await.map_err(of_exchange)?;
        let token = tokens.id_token().ok_or_else(|| Trouble::Unacceptable("there is no ID token".to_owned()))?;
        let mut verified = verified(&client, token, redirect);
        if let Err(ClaimsVerificationError::SignatureVerification(SignatureVerificationError::NoMatchingKey)) = verified {
            debug!("a token of a key that is not known; asking the provider for its keys");
            metadata = self.metadata(Some(&metadata)).await?;
            verified = self::verified(&self.client(&metadata)?, token, redirect);
        }
        let subject = verified.map_err(of_claims)?;
        let mut claims = self.user_info(&client, &tokens, &subject).await?;
        // What is signed counts for more.
        claims.extend(payload(token)?);
        Ok(ProvidedIdentity { issuer: self.issuer.to_string(), subject: subject.to_string(), claims })
    }

    /// What the provider tells beside the token; many put e-mail addresses and groups there only.
    async fn user_info(
        &self,
        client: &Client,
        tokens: &CoreTokenResponse,
        subject: &SubjectIdentifier,
    ) -> Result<Map<String, Value>, Trouble> {
        let Ok(request) = client.user_info(tokens.access_token().clone(), Some(subject.clone())) else { return Ok(Map::new()) };
        let told: UserInfoClaims<OtherClaims, CoreGenderClaim> =
            request.request_async(&self.http).await.map_err(of_user_info)?;
        match serde_json::to_value(&told) {
            Ok(Value::Object(claims)) => Ok(claims),
            _ => Err(Trouble::Unacceptable("the user info is not an object".to_owned())),
        }
    }

    fn client(&self, metadata: &CoreProviderMetadata) -> Result<Client, Trouble> {
        let token_endpoint = metadata.token_endpoint();
        token_endpoint.ok_or_else(|| Trouble::Misconfigured("it has no token endpoint".to_owned()))?;
        let secret = self.config.client_secret.as_ref();
        let secret = secret.map(|secret| ClientSecret::new(secret.expose_secret().to_owned()));
        let client = CoreClient::from_provider_metadata(metadata.clone(), ClientId::new(self.config.client_id.clone()), secret);
        // What a provider takes unless it says otherwise.
        let basic = openidconnect::core::CoreClientAuthMethod::ClientSecretBasic;
        let accepted = metadata.token_endpoint_auth_methods_supported();
        let kind = match accepted.is_none_or(|methods| methods.contains(&basic)) {
            true => AuthType::BasicAuth,
            false => AuthType::RequestBody,
        };
        Ok(client.set_auth_type(kind).set_redirect_uri(self.redirect.clone()))
    }

    /// What the provider says of itself; asked for again if it is old, or is `outdated`.
    async fn metadata(&self, outdated: Option<&Arc<CoreProviderMetadata>>) -> Result<Arc<CoreProviderMetadata>, Trouble> {
        let mut discovered = self.discovered.lock().await;
        if let Some((at, metadata)) = &*discovered {
            let is_outdated = outdated.is_some_and(|old| Arc::ptr_eq(old, metadata)) && at.elapsed() > BELIEVED_AT_LEAST;
            if at.elapsed() < BELIEVED && !is_outdated {
                return Ok(Arc::clone(metadata));
            }
        }
        let found = CoreProviderMetadata::discover_async(self.issuer.clone(), &self.http).await.map_err(of_discovery)?;
        let found = Arc::new(found);
        info!(issuer = self.issuer(), "identity provider found");
        *discovered = Some((Instant::now(), Arc::clone(&found)));
        Ok(found)
    }
}

/// Whether what is sent there stays on this machine.
fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// The subject of an ID token that is signed by this provider, for this client, for this login and for now.
fn verified(client: &Client, token: &CoreIdToken, redirect: &Redirect) -> Result<SubjectIdentifier, ClaimsVerificationError> {
    let now = SystemTime::UNIX_EPOCH.elapsed().map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(i64::MAX));
    let verifier = client
        .id_token_verifier()
        .set_allowed_algs(ALGORITHMS)
        .set_time_fn(move || chrono_of(now - SKEW))
        .set_issue_time_verifier_fn(move |issued| match issued > chrono_of(now + SKEW) {
            true => Err(format!("ID token issued {} s ahead of this machine's time", issued.timestamp() - now)),
            false => Ok(()),
        });
    Ok(token.claims(&verifier, &Nonce::new(redirect.nonce.clone()))?.subject().clone())
}

fn chrono_of(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(seconds, 0).unwrap_or(DateTime::<Utc>::MAX_UTC)
}

/// All claims of a token that was verified, also those the library knows nothing of.
fn payload(token: &CoreIdToken) -> Result<Map<String, Value>, Trouble> {
    let text = token.to_string();
    let payload = text.split('.').nth(1).and_then(|part| URL_SAFE_NO_PAD.decode(part).ok());
    let claims = payload.and_then(|json| serde_json::from_slice(&json).ok());
    claims.ok_or_else(|| Trouble::Unacceptable("the ID token is not readable".to_owned()))
}

fn misconfigured(error: impl std::fmt::Display) -> Trouble {
    Trouble::Misconfigured(error.to_string())
}

fn unreachable(trouble: HttpTrouble) -> Trouble {
    Trouble::Unreachable(trouble.whole())
}

fn of_discovery(error: openidconnect::DiscoveryError<HttpTrouble>) -> Trouble {
    use openidconnect::DiscoveryError::{Request, Response};
    match error {
        Request(trouble) => unreachable(trouble),
        Response(status, ..) if status.is_server_error() => Trouble::Unreachable(format!("discovery answers {status}")),
        Response(status, ..) => Trouble::Misconfigured(format!("discovery answers {status}")),
        other => misconfigured(other),
    }
}

fn of_exchange(error: RequestTokenError<HttpTrouble, StandardErrorResponse<CoreErrorResponseType>>) -> Trouble {
    match error {
        RequestTokenError::Request(trouble) => unreachable(trouble),
        // Another login mends it.
        RequestTokenError::ServerResponse(refusal) if *refusal.error() == CoreErrorResponseType::InvalidGrant => {
            Trouble::CodeRefused(refusal.to_string())
        }
        RequestTokenError::ServerResponse(refusal) => misconfigured(refusal),
        // A page instead of an answer, from a proxy or a provider in trouble. It may hold tokens, so it is not told.
        RequestTokenError::Parse(error, _) => {
            Trouble::Unreachable(format!("the token endpoint's answer is not readable: {error}"))
        }
        RequestTokenError::Other(text) => Trouble::Unreachable(text),
    }
}

fn of_user_info(error: UserInfoError<HttpTrouble>) -> Trouble {
    match error {
        UserInfoError::Request(trouble) => unreachable(trouble),
        UserInfoError::ClaimsVerification(error) => of_claims(error),
        UserInfoError::Response(status, ..) => Trouble::Unreachable(format!("user info answers {status}")),
        other => Trouble::Unacceptable(other.to_string()),
    }
}

fn of_claims(error: ClaimsVerificationError) -> Trouble {
    match error {
        // Of a token that is just made, either end of its time is a matter of clocks.
        ClaimsVerificationError::Expired(text) => Trouble::Clocks(text),
        ClaimsVerificationError::SignatureVerification(error) => Trouble::Unacceptable(format!("its signature: {error}")),
        other => Trouble::Unacceptable(other.to_string()),
    }
}
