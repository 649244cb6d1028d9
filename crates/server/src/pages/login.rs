//! Logging in, with a password or through the identity provider, and logging out.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Request, State};
use axum::response::Response;
use boatyard_iam::{BROWSER_SESSION_SECONDS, Browser, Error};
use boatyard_store::federation;
use http::StatusCode;
use secrecy::SecretString;
use tracing::info;

use super::{
    LOGIN, LOGOUT, LOGOUT_ACTION, PASSCODE, Visit, callback, cluster_login, cookies, page, retry_after, see_other, told, visit,
    welcome,
};
use crate::app::App;
use crate::federation::Provider;
use crate::problem::Problem;

/// The most browsers that may be at the identity provider: so many rows are kept of people of whom nothing is known.
const MOST_REDIRECTS: i64 = 5000;

#[derive(Template)]
#[template(path = "login.html")]
struct Login<'a> {
    token: String,
    username: &'a str,
    provider: Option<String>,
    error: Option<Refusal<'a>>,
    logged_out: bool,
    /// Whether it is for a cluster's token.
    for_cluster: bool,
}

/// Why a login was refused, and the field in which to change something.
struct Refusal<'a> {
    text: &'a str,
    field: Option<&'a str>,
}

fn login_page(visit: &Visit, status: StatusCode, username: &str, error: Option<Refusal<'_>>) -> Response {
    let browser = visit.browser().unwrap_or_default();
    let provider = visit.app.provider.as_ref().map(Provider::label);
    let logged_out = visit.query.iter().any(|(name, _)| name == "logged_out");
    let for_cluster = cluster_login::next(visit).is_some();
    let login = Login { token: browser.form_token(), username, provider, error, logged_out, for_cluster };
    let mut response = page(status, &login);
    cookies::set(visit, &mut response, cookies::BROWSER, browser.cookie(), BROWSER_SESSION_SECONDS);
    response
}

/// `GET /identity/login`
pub(super) async fn show(app: State<Arc<App>>, request: Request) -> Response {
    visit(app, request, async |visit| {
        if let Some(browser) = visit.browser()
            && visit.app.iam.browser_login_get(&browser).await.map_err(|error| visit.failure(&error))?.is_some()
        {
            return Ok(see_other(PASSCODE));
        }
        Ok(login_page(visit, StatusCode::OK, "", None))
    })
    .await
}

/// `POST /identity/login`
pub(super) async fn submit(app: State<Arc<App>>, request: Request) -> Response {
    visit(app, request, async |visit| {
        let browser = visit.browser_of_form()?;
        let username = visit.field("username").unwrap_or_default();
        let refused = |status, text: &str, field| login_page(visit, status, username, Some(Refusal { text, field }));
        let Some(password) = visit.field("password").filter(|_| !username.is_empty()) else {
            let field = if username.is_empty() { "username" } else { "password" };
            return Err(refused(StatusCode::BAD_REQUEST, "Enter your user name and your password.", Some(field)));
        };
        let (limits, address) = (&visit.app.limits, visit.origin.address);
        if let Some(Err(problem)) = address.map(|address| limits.login(address)) {
            return Err(retry_after(refused(problem.status, told(&problem), Some("password")), &problem));
        }
        let error = match local_login(visit, &browser, username, password).await {
            Ok(response) => return Ok(response),
            Err(error @ (Error::WrongPassword { .. } | Error::Federated { .. } | Error::TooManyAttempts)) => error,
            Err(error) => return Err(visit.failure(&error)),
        };
        let (wrong, federated) = (matches!(error, Error::WrongPassword { .. }), matches!(error, Error::Federated { .. }));
        let problem = Problem::from(error);
        if wrong && let Some(address) = address {
            limits.login_failed(address);
        }
        if wrong || federated {
            visit.login_refused(LOGIN, problem.status, Some(problem.code), username).await;
        }
        if !federated {
            return Err(retry_after(refused(problem.status, told(&problem), Some("password")), &problem));
        }
        let text = match &visit.app.provider {
            Some(provider) => format!("You have no password here. Continue with {}.", provider.label()),
            None => "You have no password here. Log in with an API key.".to_owned(),
        };
        Err(refused(StatusCode::BAD_REQUEST, &text, None))
    })
    .await
}

async fn local_login(visit: &Visit, browser: &Browser, username: &str, password: &str) -> Result<Response, Error> {
    let logged_in = visit.app.iam.browser_login(browser, username, &SecretString::from(password)).await?;
    info!(username, "logged in with a browser");
    welcome(visit, LOGIN, &logged_in).await
}

/// `GET /identity/login/provider`: a link and not a form, since a form that redirects to another site would need that site, and
/// whatever it redirects to, in the page's policy. Another site that links here makes nobody log in as anybody else: whoever comes
/// back must be the browser that was sent.
pub(super) async fn provider(app: State<Arc<App>>, request: Request) -> Response {
    visit(app, request, async |visit| {
        let Some(provider) = &visit.app.provider else { return Ok(see_other(LOGIN)) };
        room_for_redirect(visit).await?;
        let browser = visit.browser().unwrap_or_default();
        let redirect = visit.app.iam.redirect_begin(&browser).await.map_err(|error| visit.failure(&error))?;
        let url =
            provider.authorization_url(&redirect).await.map_err(|trouble| callback::trouble(visit, provider, &trouble))?;
        let mut response = see_other(url.as_str());
        cookies::set(visit, &mut response, cookies::BROWSER, browser.cookie(), BROWSER_SESSION_SECONDS);
        Ok(response)
    })
    .await
}

/// Keeps whoever is not logged in from filling the database.
///
/// # Errors
/// The page that says when to try again.
async fn room_for_redirect(visit: &Visit) -> Result<(), Response> {
    let title = "Too many logins at once";
    if let Some(Err(problem)) = visit.origin.address.map(|address| visit.app.limits.redirect(address)) {
        let text = "Too many logins were begun from your network address.";
        return Err(retry_after(visit.notice(problem.status, title, text, &problem.description), &problem));
    }
    let now = visit.app.clock.now().as_millisecond();
    let pending = async { federation::redirects_pending(&mut *visit.app.store.read().await?, now).await }.await;
    if pending.map_err(|error: boatyard_store::Error| visit.failure(&error.into()))? < MOST_REDIRECTS {
        return Ok(());
    }
    let text = "Too many people were sent to the identity provider and have not come back yet.";
    let next = "Try again in ten minutes. If it does not help, tell whoever runs this server. Users with a password of this \
                installation can log in meanwhile.";
    Err(visit.notice(StatusCode::SERVICE_UNAVAILABLE, title, text, next))
}

/// `POST /identity/logout`
pub(super) async fn logout(app: State<Arc<App>>, request: Request) -> Response {
    visit(app, request, async |visit| {
        let browser = visit.browser_of_form()?;
        let login = visit.app.iam.browser_login_get(&browser).await.map_err(|error| visit.failure(&error))?;
        visit.app.iam.browser_logout(&browser).await.map_err(|error| visit.failure(&error))?;
        if let Some(login) = login {
            visit.done(LOGOUT_ACTION, LOGOUT, &login).await;
        }
        let mut response = see_other(&format!("{LOGIN}?logged_out"));
        for name in [cookies::BROWSER, cookies::PASSCODE] {
            cookies::set(visit, &mut response, name, "", 0);
        }
        Ok(response)
    })
    .await
}
