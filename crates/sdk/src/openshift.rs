//! Logging in to OpenShift clusters as `oc` does: a challenge is answered, and the code that comes of it exchanged for a token.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use boatyard_core::id;
use boatyard_core::secret::sha256;
use reqwest::header::LOCATION;
use reqwest::{RequestBuilder, Response, StatusCode, Url};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde_json::Value;

use crate::error::{Error, Refusal, of_transport};
use crate::transport::Endpoint;

const CHALLENGING_CLIENT: &str = "openshift-challenging-client";
const CLI_CLIENT: &str = "openshift-cli-client";
/// The beginning of every token.
const PREFIX: &str = "sha256~";

/// The API of an OpenShift cluster.
#[derive(Clone, Debug)]
pub struct OpenShift {
    endpoint: Endpoint,
    server: String,
    http: reqwest::Client,
}

/// What a cluster says of its logins (RFC 8414).
#[derive(Debug, Deserialize)]
struct Metadata {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
}

/// A login for which a browser is needed: it goes to `url`, and comes back to the redirect address with `code` and `state` in its query.
#[derive(Debug)]
pub struct BrowserLogin {
    pub url: String,
    pub state: String,
    verifier: String,
    redirect_uri: String,
    token_endpoint: String,
}

impl OpenShift {
    /// The cluster whose API is at `server`, such as `https://127.0.0.1:7443/kube/<ID>`.
    ///
    /// # Errors
    /// [`Error::Endpoint`] if that is no address, [`Error::CaFile`].
    pub fn at(server: &str, ca_file: Option<&Path>) -> Result<Self, Error> {
        let invalid = |reason: String| Error::Endpoint { given: server.to_owned(), reason };
        let given = server.trim().trim_end_matches('/');
        let given = if given.contains("://") { given.to_owned() } else { format!("https://{given}") };
        let url = Url::parse(&given).map_err(|e| invalid(e.to_string()))?;
        if url.query().is_some() || url.fragment().is_some() {
            return Err(invalid("it must end after the path".to_owned()));
        }
        let mut origin = url.clone();
        origin.set_path("");
        let endpoint = Endpoint::new(origin.as_str(), ca_file)?;
        let http = endpoint.client_without_redirects()?;
        Ok(Self { endpoint, server: url.as_str().trim_end_matches('/').to_owned(), http })
    }

    /// The address of the API, without a slash at the end.
    #[must_use]
    pub fn server(&self) -> &str {
        &self.server
    }

    /// A token for a user name and a password, or for IBM's `apikey` with an API key and `passcode` with a one-time passcode.
    ///
    /// # Errors
    /// [`Error::Service`] if they are refused.
    pub async fn login(&self, username: &str, password: &SecretString) -> Result<SecretString, Error> {
        let metadata = self.metadata().await?;
        let redirect_uri = format!("{}/oauth/token/implicit", metadata.issuer);
        let (verifier, challenge) = proof();
        let query = [
            ("client_id", CHALLENGING_CLIENT),
            ("code_challenge", challenge.as_str()),
            ("code_challenge_method", "S256"),
            ("redirect_uri", redirect_uri.as_str()),
            ("response_type", "code"),
        ];
        let request = self.http.get(&metadata.authorization_endpoint).query(&query).header("X-CSRF-Token", "1");
        let answer = self.send(request.basic_auth(username, Some(password.expose_secret()))).await?;
        if answer.status() != StatusCode::FOUND {
            return Err(self.refusal(answer).await);
        }
        let location = answer.headers().get(LOCATION).and_then(|value| value.to_str().ok()).and_then(|to| Url::parse(to).ok());
        let pairs: Vec<(String, String)> = location.map(|to| to.query_pairs().into_owned().collect()).unwrap_or_default();
        let value = |name: &str| pairs.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str());
        match value("code") {
            Some(code) => self.exchange(&metadata.token_endpoint, CHALLENGING_CLIENT, code, &redirect_uri, &verifier).await,
            None => {
                let reason = value("error_description").or(value("error")).unwrap_or("a redirect without a code");
                Err(self.unintelligible(reason))
            }
        }
    }

    /// Begins a login with a browser that comes back to `redirect_uri` on this machine.
    ///
    /// # Errors
    /// When the cluster does not answer.
    pub async fn browser_login(&self, redirect_uri: &str) -> Result<BrowserLogin, Error> {
        let metadata = self.metadata().await?;
        let (verifier, challenge) = proof();
        let state = id::token::<32>();
        let mut url = Url::parse(&metadata.authorization_endpoint)
            .map_err(|_| self.unintelligible("an authorization endpoint that is no address"))?;
        url.query_pairs_mut().extend_pairs([
            ("client_id", CLI_CLIENT),
            ("code_challenge", challenge.as_str()),
            ("code_challenge_method", "S256"),
            ("redirect_uri", redirect_uri),
            ("response_type", "code"),
            ("state", state.as_str()),
        ]);
        let (url, redirect_uri) = (url.to_string(), redirect_uri.to_owned());
        Ok(BrowserLogin { url, state, verifier, redirect_uri, token_endpoint: metadata.token_endpoint })
    }

    /// The token for what the browser came back with.
    ///
    /// # Errors
    /// [`Error::Service`] if the code is refused.
    pub async fn browser_token(&self, login: &BrowserLogin, code: &str) -> Result<SecretString, Error> {
        self.exchange(&login.token_endpoint, CLI_CLIENT, code, &login.redirect_uri, &login.verifier).await
    }

    /// Whose a token is, such as `IAM#ada@example.com`.
    ///
    /// # Errors
    /// [`Error::Service`] if it is refused.
    pub async fn whoami(&self, token: &SecretString) -> Result<String, Error> {
        let request = self.http.get(format!("{}/apis/user.openshift.io/v1/users/~", self.server));
        let user = self.json(self.send(request.bearer_auth(token.expose_secret())).await?).await?;
        let name = user["metadata"]["name"].as_str();
        name.map(str::to_owned).ok_or_else(|| self.unintelligible("a user without a name"))
    }

    /// Ends a token. Returns whether it was good until now.
    ///
    /// # Errors
    /// When the cluster does not answer, or not as expected.
    pub async fn logout(&self, token: &SecretString) -> Result<bool, Error> {
        let secret = token.expose_secret();
        let Some(random) = secret.strip_prefix(PREFIX) else { return Ok(false) };
        let name = format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(sha256(random.as_bytes())));
        let url = format!("{}/apis/oauth.openshift.io/v1/useroauthaccesstokens/{name}", self.server);
        let answer = self.send(self.http.delete(url).bearer_auth(secret)).await?;
        match answer.status() {
            StatusCode::UNAUTHORIZED | StatusCode::NOT_FOUND => Ok(false),
            status if status.is_success() => Ok(true),
            _ => Err(self.refusal(answer).await),
        }
    }

    async fn metadata(&self) -> Result<Metadata, Error> {
        let url = format!("{}/.well-known/oauth-authorization-server", self.server);
        let answer = self.json(self.send(self.http.get(url).header("X-CSRF-Token", "1")).await?).await?;
        serde_json::from_value(answer).map_err(|e| self.unintelligible(&e.to_string()))
    }

    async fn exchange(
        &self,
        token_endpoint: &str,
        client: &str,
        code: &str,
        redirect_uri: &str,
        verifier: &str,
    ) -> Result<SecretString, Error> {
        let form =
            [("grant_type", "authorization_code"), ("code", code), ("redirect_uri", redirect_uri), ("code_verifier", verifier)];
        let request = self.http.post(token_endpoint).basic_auth(client, Some("")).form(&form);
        let answer = self.json(self.send(request).await?).await?;
        let token = answer["access_token"].as_str().map(SecretString::from);
        token.ok_or_else(|| self.unintelligible("a token answer without access_token"))
    }

    async fn send(&self, request: RequestBuilder) -> Result<Response, Error> {
        request.send().await.map_err(|e| of_transport(&e, self.endpoint.url(), self.endpoint.ca_path()))
    }

    async fn json(&self, answer: Response) -> Result<Value, Error> {
        if !answer.status().is_success() {
            return Err(self.refusal(answer).await);
        }
        answer.json().await.map_err(|e| self.unintelligible(&e.to_string()))
    }

    /// What a refusal says: an API server's status, an error of OAuth, or a line of text.
    async fn refusal(&self, answer: Response) -> Error {
        let status = answer.status().as_u16();
        let text = answer.text().await.unwrap_or_default();
        let body: Value = serde_json::from_str(&text).unwrap_or_default();
        let said = body["message"].as_str().or(body["error_description"].as_str()).unwrap_or(text.trim());
        let description = match (status, said) {
            (404, _) => format!("There is no OpenShift cluster at {}, or it is not ready yet.", self.server),
            (_, "") => "The cluster refused the request without saying why.".to_owned(),
            (_, said) => said.chars().take(300).collect(),
        };
        let recovery =
            (status == 401).then(|| "Log in again, and check the user name and the password, API key or passcode.".to_owned());
        Error::Service(Box::new(Refusal { status, description, recovery, ..Refusal::default() }))
    }

    fn unintelligible(&self, reason: &str) -> Error {
        Error::Unintelligible { endpoint: self.server.clone(), reason: reason.to_owned() }
    }
}

/// A verifier and its challenge (RFC 7636).
fn proof() -> (String, String) {
    let verifier = id::token::<64>();
    let challenge = URL_SAFE_NO_PAD.encode(sha256(verifier.as_bytes()));
    (verifier, challenge)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_named_with_its_path() {
        for (given, expected) in [
            ("https://127.0.0.1:7443/kube/c1/", Some("https://127.0.0.1:7443/kube/c1")),
            ("boat.example.com/kube/c1", Some("https://boat.example.com/kube/c1")),
            ("https://boat.example.com/kube/c1?x", None),
            ("ftp://boat.example.com/kube/c1", None),
            ("", None),
        ] {
            let server = OpenShift::at(given, None).ok().map(|cluster| cluster.server().to_owned());
            assert_eq!(server.as_deref(), expected, "{given}");
        }
    }
}
