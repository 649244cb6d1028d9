//! The way back from the identity provider.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::Response;
use boatyard_iam::{Browser, FederationError, Redirect};
use http::StatusCode;
use tracing::{info, warn};

use super::{CALLBACK, LOGIN, Visit, see_other, visit, welcome};
use crate::app::App;
use crate::federation::{Provider, Trouble};

/// `GET /identity/callback`
pub(super) async fn arrive(app: State<Arc<App>>, request: Request) -> Response {
    visit(app, request, async |visit| {
        let Some(provider) = &visit.app.provider else { return Ok(see_other(LOGIN)) };
        match log_in(visit, provider).await {
            Ok(response) => Ok(response),
            Err(Refused { response, name }) => {
                visit.login_refused(CALLBACK, response.status(), None, &name).await;
                Err(response)
            }
        }
    })
    .await
}

/// A login that fails: the page for it, and the user name as far as it is known.
struct Refused {
    response: Response,
    name: String,
}

impl From<Response> for Refused {
    fn from(response: Response) -> Self {
        Self { response, name: String::new() }
    }
}

async fn log_in(visit: &Visit, provider: &Provider) -> Result<Response, Refused> {
    let (browser, redirect) = expected(visit, provider).await?;
    // RFC 9207: a provider that names itself must be the one that was asked.
    if visit.parameter("iss").is_some_and(|issuer| issuer != provider.issuer()) {
        let trouble = Trouble::Unacceptable("the answer names another issuer".to_owned());
        return Err(self::trouble(visit, provider, &trouble).into());
    }
    if let Some(code) = visit.parameter("error") {
        return Err(denied(visit, provider, code).into());
    }
    let Some(code) = visit.parameter("code") else {
        return Err(trouble(visit, provider, &Trouble::Unacceptable("the answer holds no code".to_owned())).into());
    };
    let identity = provider.login(code, &redirect).await.map_err(|found| trouble(visit, provider, &found))?;
    let iam_id = visit.app.iam.federated_login(&identity, provider.naming()).await;
    let iam_id = iam_id.map_err(|error| Refused { name: name_of(&error), response: refused(visit, provider, &error) })?;
    info!(iam_id, issuer = provider.issuer(), "logged in with a browser through the identity provider");
    let logged_in = visit.app.iam.browser_login_of(&browser, &iam_id).await.map_err(|error| visit.failure(&error))?;
    Ok(welcome(visit, CALLBACK, &logged_in).await.map_err(|error| visit.failure(&error))?)
}

/// Whom the provider has named.
fn name_of(error: &FederationError) -> String {
    match error {
        FederationError::Unverified(name) | FederationError::UnusableName(name) | FederationError::Taken(name) => name.clone(),
        FederationError::NotExpected | FederationError::NoName(_) | FederationError::Iam(_) => String::new(),
    }
}

/// The browser, if it was sent to the provider and has not come back yet.
async fn expected(visit: &Visit, provider: &Provider) -> Result<(Browser, Redirect), Response> {
    let taken = match (visit.browser(), visit.parameter("state")) {
        (Some(browser), Some(state)) => visit.app.iam.redirect_take(&browser, state).await.map(|redirect| (browser, redirect)),
        _ => Err(FederationError::NotExpected),
    };
    taken.map_err(|error| refused(visit, provider, &error))
}

/// The provider has not let the person in.
fn denied(visit: &Visit, provider: &Provider, code: &str) -> Response {
    let label = provider.label();
    let detail: String = visit.parameter("error_description").unwrap_or(code).chars().take(300).collect();
    info!(code, detail, issuer = provider.issuer(), "the identity provider refuses a login");
    let (status, next) = match code {
        "access_denied" => {
            (StatusCode::FORBIDDEN, format!("Log in again and allow it, or ask whoever runs {label} for access."))
        }
        "server_error" | "temporarily_unavailable" => (StatusCode::BAD_GATEWAY, "Wait a minute and log in again.".to_owned()),
        _ => (StatusCode::BAD_GATEWAY, "Log in again. If it does not help, tell whoever runs this server.".to_owned()),
    };
    visit.notice(status, &format!("{label} did not log you in"), &format!("It says: {detail}"), &next)
}

/// The page for a login that the provider's side spoils.
pub(super) fn trouble(visit: &Visit, provider: &Provider, trouble: &Trouble) -> Response {
    let label = provider.label();
    warn!(request_id = %visit.request_id, error = %trouble, issuer = provider.issuer(), "login through the identity provider failed");
    let operator = "Tell whoever runs this server; meanwhile users with a password of this installation can log in.";
    let (title, text, next) = match trouble {
        Trouble::Unreachable(_) => (
            format!("{label} does not answer"),
            "The server could not reach the identity provider, or got no usable answer.",
            "Try again in a minute. If it does not help, tell whoever runs this server.",
        ),
        Trouble::Misconfigured(_) => (
            format!("Logging in with {label} is not set up right"),
            "The identity provider refuses this server, or is not the one that was configured.",
            operator,
        ),
        Trouble::CodeRefused(_) => {
            ("The login took too long".to_owned(), "The identity provider does not know this login any more.", "Log in again.")
        }
        Trouble::Clocks(_) => (
            "The clocks do not agree".to_owned(),
            "By this server's clock the identity provider's answer is from the past or the future.",
            "Tell whoever runs this server: its clock, or the provider's, is off by more than a minute.",
        ),
        Trouble::Unacceptable(_) => (
            format!("The answer of {label} is not acceptable"),
            "The identity provider's answer does not belong to this login, or is not complete.",
            operator,
        ),
    };
    visit.notice(StatusCode::BAD_GATEWAY, &title, text, next)
}

/// The page for somebody whom the provider has logged in, and who is nobody here.
fn refused(visit: &Visit, provider: &Provider, error: &FederationError) -> Response {
    let label = provider.label();
    let (status, title, next) = match error {
        FederationError::NotExpected => {
            let text = "It was begun in another browser, took longer than ten minutes, or was completed before.";
            let next = "Begin again on the login page, with cookies allowed.";
            return visit.notice(StatusCode::BAD_REQUEST, "The login was not expected", text, next);
        }
        FederationError::Iam(error) => return visit.failure(error),
        FederationError::NoName(_) => (
            StatusCode::FORBIDDEN,
            format!("{label} does not tell who you are"),
            "Tell whoever runs this server: the provider must be allowed to tell that claim (--oidc-scopes), or another be chosen \
             (--oidc-username-claim)."
                .to_owned(),
        ),
        FederationError::Unverified(_) => (
            StatusCode::FORBIDDEN,
            "Your e-mail address is not verified".to_owned(),
            format!("Verify it at {label}, then log in again."),
        ),
        FederationError::UnusableName(_) => (
            StatusCode::FORBIDDEN,
            "Your user name cannot be used".to_owned(),
            format!("Change it at {label}: up to 200 characters, without blanks."),
        ),
        FederationError::Taken(_) => (
            StatusCode::FORBIDDEN,
            "Your user name is taken".to_owned(),
            "If you have a password of this installation, log in with it. Otherwise ask whoever runs this server.".to_owned(),
        ),
    };
    info!(%error, issuer = provider.issuer(), "a user of the identity provider is refused");
    visit.notice(status, &title, &capitalised(&error.to_string()), &next)
}

fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|first| first.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}.", letters.as_str())
}
