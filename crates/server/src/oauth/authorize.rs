//! `GET /oauth/authorize`: a credential becomes a token in the address of a redirect, or a code.

use std::sync::Arc;

use axum::extract::{Path, Request, State};
use axum::response::Response;
use boatyard_core::secret::{ExposeSecret as _, SecretString};
use boatyard_iam::{CLUSTER_TOKEN_SECONDS, Challenge, ClusterClient, ClusterCredential, ClusterLogin, Error};
use http::{HeaderMap, HeaderValue, StatusCode, header, request};
use tracing::{error, info};

use super::clients::{self, BROWSER_CLIENT, CLI_CLIENT};
use super::{Deed, Place, SCOPE, basic, oauth_error, status};
use crate::app::App;
use crate::audit::Origin;
use crate::call::pairs;
use crate::pages::cluster_login;
use crate::respond::{self, private};

const OPERATION: &str = "oauth/authorize";
/// Without it a browser would show its own login dialog for a page of another site.
const CSRF_HEADER: &str = "x-csrf-token";
const CSRF_NEEDED: &str = "A non-empty X-CSRF-Token header is required to receive basic-auth challenges";
/// A verifier is at most this long (RFC 7636, 4.1), and a challenge no longer.
const LONGEST_CHALLENGE: usize = 128;
/// The most characters of a client's state.
const LONGEST_STATE: usize = 4096;

/// How a client wants to be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ResponseType {
    Token,
    Code,
}

/// What a client asks for, found to be its own to ask for.
#[derive(Debug)]
pub(crate) struct Asked {
    pub client_id: String,
    pub redirect_uri: String,
    state: Option<String>,
    response_type: ResponseType,
    challenge: Option<Challenge>,
}

impl Asked {
    /// Reads the query of a request.
    ///
    /// # Errors
    /// What the client is answered: a redirect with the error, if the client and where to redirect it are known to belong together.
    #[expect(clippy::result_large_err, reason = "either way it is handed on once, to where the answer is made")]
    pub fn parse(query: &str, issuer: &str) -> Result<Self, Response> {
        let pairs = pairs(query);
        let text = |name: &str| pairs.iter().find(|(n, _)| n == name).map(|(_, v)| v.clone()).filter(|v| !v.is_empty());
        let client_id = text("client_id").unwrap_or_default();
        if !clients::is_known(&client_id) {
            let description = "The client is not authorized to request a token using this method.";
            return Err(oauth_error("unauthorized_client", description));
        }
        let asked = text("redirect_uri");
        let Some(redirect_uri) = clients::redirect_uri(&client_id, asked.as_deref(), issuer) else {
            let description = "The redirect_uri is missing, or is not one of the client's.";
            return Err(oauth_error("invalid_request", description));
        };
        let response_type = text("response_type");
        let state = text("state").filter(|state| state.len() <= LONGEST_STATE);
        let implicit = response_type.as_deref() == Some("token");
        let refuse = |error: &str, description: &str| {
            let values =
                [("error", error), ("error_description", description), ("state", state.as_deref().unwrap_or_default())];
            Err(redirect(&redirect_uri, if implicit { '#' } else { '?' }, &values))
        };
        let response_type = match response_type.as_deref() {
            Some("code") => ResponseType::Code,
            // A token in an address is for a client that no browser hands on.
            Some("token") if client_id == clients::CHALLENGING_CLIENT => ResponseType::Token,
            _ => {
                let description =
                    "The authorization server does not support obtaining an authorization code using this method.";
                return refuse("unsupported_response_type", description);
            }
        };
        if text("scope").is_some_and(|scopes| scopes.split(' ').any(|scope| scope != SCOPE)) {
            return refuse("invalid_scope", &format!("The only scope is {SCOPE}."));
        }
        let challenge = match (text("code_challenge"), text("code_challenge_method").as_deref()) {
            (None, None) if client_id == CLI_CLIENT => {
                return refuse("invalid_request", "A code_challenge is required of this client.");
            }
            (None, None) => None,
            (Some(challenge), _) if challenge.len() > LONGEST_CHALLENGE => {
                return refuse("invalid_request", "The code_challenge is too long.");
            }
            (Some(challenge), Some("S256")) => Some(Challenge::S256(challenge)),
            (Some(challenge), None | Some("plain")) => Some(Challenge::Plain(challenge)),
            _ => return refuse("invalid_request", "The code_challenge_method is not supported; use S256."),
        };
        Ok(Self { client_id, redirect_uri, state, response_type, challenge })
    }

    pub fn client(&self) -> ClusterClient<'_> {
        ClusterClient { id: &self.client_id, redirect_uri: &self.redirect_uri }
    }
}

/// Gives the client what it asked for.
pub(crate) async fn approved(app: &App, place: &Place, asked: &Asked, login: &ClusterLogin) -> Result<Response, Error> {
    let (iam, state) = (&app.iam, asked.state.as_deref().unwrap_or_default());
    match asked.response_type {
        ResponseType::Code => {
            let code = iam.cluster_code_issue(place.iam(), login, asked.client(), asked.challenge.as_ref()).await?;
            Ok(redirect(&asked.redirect_uri, '?', &[("code", &code), ("state", state)]))
        }
        ResponseType::Token => {
            let token = iam.cluster_token_issue(place.iam(), login, asked.client()).await?;
            let seconds = CLUSTER_TOKEN_SECONDS.to_string();
            let values = [
                ("access_token", token.expose_secret()),
                ("expires_in", seconds.as_str()),
                ("scope", SCOPE),
                ("state", state),
                ("token_type", "Bearer"),
            ];
            Ok(redirect(&asked.redirect_uri, '#', &values))
        }
    }
}

/// `GET /oauth/authorize`
pub(super) async fn authorize(State(app): State<Arc<App>>, Path(cluster): Path<String>, request: Request) -> Response {
    let place = match Place::find(&app, &cluster).await {
        Ok(place) => place,
        Err(response) => return response,
    };
    let (parts, body) = request.into_parts();
    let asked = match Asked::parse(parts.uri.query().unwrap_or_default(), &place.url) {
        Ok(asked) => asked,
        Err(response) => return response,
    };
    match asked.client_id.as_str() {
        BROWSER_CLIENT => redirect(&format!("{}/oauth/token/request", place.url), '?', &[]),
        CLI_CLIENT => cluster_login::consent(app, Request::from_parts(parts, body), place, asked).await,
        _ => challenge(&app, &parts, &place, &asked).await,
    }
}

/// For clients that answer a challenge; those that know what it is send their credential at once.
async fn challenge(app: &App, parts: &request::Parts, place: &Place, asked: &Asked) -> Response {
    let headers = &parts.headers;
    let Some((name, secret)) = basic(headers) else { return unauthorized(headers, "Log in first.") };
    let origin = Origin::of(&parts.extensions, headers);
    if let Some(Err(problem)) = origin.address.map(|address| app.limits.login(address)) {
        return too_many(problem.retry_after.map(std::num::NonZeroU32::get));
    }
    let login = app.iam.cluster_login(place.iam(), &credential(&name, secret)).await;
    let (iam_id, known_as) = match &login {
        Ok(login) => (login.iam_id().to_owned(), login.sub().to_owned()),
        Err(_) => (String::new(), name.clone()),
    };
    let answer = match login {
        Ok(login) => approved(app, place, asked, &login).await,
        Err(error) => Err(error),
    };
    let response = answer.unwrap_or_else(|error| {
        if is_wrong(&error)
            && let Some(address) = origin.address
        {
            app.limits.login_failed(address);
        }
        refused(headers, place, &error)
    });
    place.record(app, origin, Deed::login(OPERATION, response.status(), &iam_id, &known_as)).await;
    response
}

/// IBM's names for what is no password.
fn credential(name: &str, secret: String) -> ClusterCredential {
    let secret = SecretString::from(secret);
    match name {
        "apikey" => ClusterCredential::ApiKey(secret),
        "passcode" => ClusterCredential::Passcode(secret),
        username => ClusterCredential::Password { username: username.to_owned(), password: secret },
    }
}

/// Whether an error says that the credential is wrong, and not that the request or the server is.
fn is_wrong(error: &Error) -> bool {
    matches!(error, Error::ApiKeyNotFound | Error::WrongPassword { .. } | Error::WrongPasscode)
}

fn refused(headers: &HeaderMap, place: &Place, error: &Error) -> Response {
    match error {
        Error::TooManyAttempts => too_many(Some(1)),
        Error::Store(_) | Error::Interrupted(_) | Error::Key(_) => {
            error!(cluster = place.cluster.id, %error, "a login to an OpenShift cluster failed");
            status(&boatyard_kube::Status::internal())
        }
        _ => {
            info!(cluster = place.cluster.id, %error, "a login to an OpenShift cluster is refused");
            let text = match error {
                // What is right and not for this cluster is answered like what is wrong: nobody learns whose cluster it is.
                Error::NotAMember { .. } | Error::ApiKeyOfOtherAccount => {
                    "The credential is not for this cluster's account.".to_owned()
                }
                Error::Federated { .. } => {
                    "The user has no password here. Log in with '-u apikey' or '-u passcode'.".to_owned()
                }
                error => error.to_string(),
            };
            unauthorized(headers, &text)
        }
    }
}

/// 401, with a challenge for who says that it is no browser that another site has sent.
fn unauthorized(headers: &HeaderMap, text: &str) -> Response {
    let asks = headers.get(CSRF_HEADER).is_some_and(|value| !value.is_empty());
    // Whoever sent a credential without being challenged is told what is wrong with it.
    let text = if asks || headers.contains_key(header::AUTHORIZATION) { text } else { CSRF_NEEDED };
    let mut response = private(respond::with_type(StatusCode::UNAUTHORIZED, "text/plain; charset=utf-8", format!("{text}\n")));
    if asks {
        let challenge = HeaderValue::from_static("Basic realm=\"openshift\"");
        response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
    } else if let Ok(warning) = HeaderValue::from_str(&format!("199 Origin \"{CSRF_NEEDED}\"")) {
        response.headers_mut().insert(header::WARNING, warning);
    }
    response
}

fn too_many(seconds: Option<u32>) -> Response {
    let text = "Too many attempts to log in. Try again later.\n";
    let mut response = private(respond::with_type(StatusCode::TOO_MANY_REQUESTS, "text/plain; charset=utf-8", text));
    response.headers_mut().insert(header::RETRY_AFTER, seconds.unwrap_or(1).into());
    response
}

/// Sends a client on, with what is not empty of `values` after the mark.
fn redirect(to: &str, mark: char, values: &[(&str, &str)]) -> Response {
    let given: Vec<_> = values.iter().filter(|(_, value)| !value.is_empty()).collect();
    let encoded = serde_urlencoded::to_string(&given).unwrap_or_default();
    // The tilde needs no escape (RFC 3986, 2.3), and people cut tokens out of addresses.
    let encoded = encoded.replace("%7E", "~");
    let to = if encoded.is_empty() { to.to_owned() } else { format!("{to}{mark}{encoded}") };
    let mut response = private(respond::empty(StatusCode::FOUND));
    // Addresses were found to be URIs, and the rest is escaped.
    if let Ok(location) = HeaderValue::from_str(&to) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    const ISSUER: &str = "https://boat/kube/c1";

    fn location(response: &Response) -> &str {
        response.headers()[header::LOCATION].to_str().unwrap()
    }

    #[test]
    fn what_is_wrong_is_told_to_the_client_if_it_is_known_who_that_is() {
        let cli = "client_id=openshift-cli-client&redirect_uri=http%3A%2F%2F127.0.0.1%3A1%2Fcallback";
        let cases = [
            ("", 400, ""),
            ("client_id=console&response_type=token", 400, ""),
            ("client_id=openshift-challenging-client&response_type=token&redirect_uri=https%3A%2F%2Fevil.example", 400, ""),
            (
                "client_id=openshift-challenging-client",
                302,
                "https://boat/kube/c1/oauth/token/implicit?error=unsupported_response_type",
            ),
            (
                "client_id=openshift-challenging-client&response_type=token&scope=user%3Ainfo&state=a+b",
                302,
                "https://boat/kube/c1/oauth/token/implicit#error=invalid_scope",
            ),
            (&format!("{cli}&response_type=code"), 302, "http://127.0.0.1:1/callback?error=invalid_request"),
            (
                &format!("{cli}&response_type=token&code_challenge=x"),
                302,
                "http://127.0.0.1:1/callback#error=unsupported_response_type",
            ),
            (
                "client_id=openshift-challenging-client&response_type=code&code_challenge=x&code_challenge_method=S512",
                302,
                "https://boat/kube/c1/oauth/token/implicit?error=invalid_request",
            ),
        ];
        for (query, status, to) in cases {
            let refused = Asked::parse(query, ISSUER).expect_err(query);
            assert_eq!(refused.status().as_u16(), status, "{query}");
            if status == 302 {
                assert!(location(&refused).starts_with(to), "{query}: {}", location(&refused));
            }
        }
    }

    #[test]
    fn a_redirect_holds_what_there_is_in_escapes() {
        let values = [("access_token", "sha256~a-_b"), ("scope", "user:full"), ("state", ""), ("token_type", "Bearer")];
        let to = redirect("https://boat/implicit", '#', &values);
        assert_eq!(location(&to), "https://boat/implicit#access_token=sha256~a-_b&scope=user%3Afull&token_type=Bearer");
        let to = redirect("https://boat/implicit", '?', &[("code", "c"), ("state", "a&b\n")]);
        assert_eq!(location(&to), "https://boat/implicit?code=c&state=a%26b%0A");
    }

    #[test]
    fn challenges_are_for_who_says_that_it_is_no_browser() {
        let mut headers = HeaderMap::new();
        let silent = unauthorized(&headers, "x");
        assert!(!silent.headers().contains_key(header::WWW_AUTHENTICATE));
        assert!(silent.headers()[header::WARNING].to_str().unwrap().contains("X-CSRF-Token"));
        headers.insert(CSRF_HEADER, HeaderValue::from_static("1"));
        assert_eq!(unauthorized(&headers, "x").headers()[header::WWW_AUTHENTICATE], "Basic realm=\"openshift\"");
    }
}
