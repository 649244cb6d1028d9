//! Pages for people: login, logout, the way back from the identity provider, and the passcode.
//!
//! They work without JavaScript and allow none. What changes something is a form with a token of the browser that it was made for.

mod callback;
pub(crate) mod cluster_login;
mod cookies;
mod login;
pub(crate) mod passcode;

use std::sync::{Arc, LazyLock};

use askama::Template;
use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use axum::routing::{get, post};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use boatyard_core::secret::sha256;
use boatyard_iam::{Browser, BrowserLogin, Error};
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use tracing::error;

use crate::app::App;
use crate::audit::{self, Deed, Origin};
use crate::call::{Call, RequestId, pairs};
use crate::operations;
use crate::problem::{Form, Problem};
use crate::respond::{self, private};
use crate::transport::Encrypted;

pub(crate) const STYLE: &str = include_str!("../../templates/style.css");

const LOGIN: &str = "/identity/login";
const PROVIDER: &str = "/identity/login/provider";
const LOGOUT: &str = "/identity/logout";
const CALLBACK: &str = "/identity/callback";
const PASSCODE: &str = "/identity/passcode";
const PASSCODE_NEW: &str = "/identity/passcode/new";
/// Actions of events.
const LOGIN_ACTION: &str = "iam-identity.user.login";
const LOGOUT_ACTION: &str = "iam-identity.user.logout";
const PASSCODE_ACTION: &str = "iam-identity.user-passcode.create";
/// For how long browsers are to come over HTTPS only: a year.
const HTTPS_ONLY: &str = "max-age=31536000";

pub(crate) fn router() -> Router<Arc<App>> {
    Router::new()
        .route(LOGIN, get(login::show).post(login::submit))
        .route(PROVIDER, get(login::provider))
        .route(LOGOUT, post(login::logout).get(async || see_other(PASSCODE)))
        .route(CALLBACK, get(callback::arrive))
        .route(PASSCODE_NEW, post(passcode::create).get(async || see_other(PASSCODE)))
}

/// Has pages asked for over HTTPS where the public URL says so: what people type there must not be read on the way. A form is not
/// sent on, since it has been read already.
pub(crate) async fn over_https(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    let page = match request.uri().path() {
        // With other methods it is an operation of the contract.
        PASSCODE => reads,
        path => [LOGIN, PROVIDER, LOGOUT, CALLBACK, PASSCODE_NEW].contains(&path) || crate::oauth::is_page(path),
    };
    if !page || !app.public_url.starts_with("https://") {
        return next.run(request).await;
    }
    if request.extensions().get() != Some(&Encrypted(true)) {
        let target = request.uri().path_and_query().filter(|_| reads).map_or(LOGIN, |target| target.as_str());
        return see_other(&format!("{}{target}", app.public_url));
    }
    let mut response = next.run(request).await;
    // On a machine's own address other programs may speak HTTP on ports of theirs.
    if !is_loopback(&app.public_url) {
        response.headers_mut().insert(header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static(HTTPS_ONLY));
    }
    response
}

fn is_loopback(url: &str) -> bool {
    let host = url.parse::<Uri>().ok().and_then(|uri| uri.host().map(str::to_ascii_lowercase)).unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>();
    address.map_or(host == "localhost" || host.ends_with(".localhost"), |address| address.is_loopback())
}

/// A request for a page.
pub(crate) struct Visit {
    app: Arc<App>,
    headers: HeaderMap,
    query: Vec<(String, String)>,
    form: Vec<(String, String)>,
    request_id: RequestId,
    origin: Origin,
}

impl Visit {
    /// One that came as an operation of the contract.
    pub fn of_call(call: Call) -> Self {
        let origin = Origin::of(&http::Extensions::new(), &call.headers);
        let (query, form) = (pairs(&call.query), Vec::new());
        Self { query, form, origin, headers: call.headers, request_id: call.request_id, app: call.app }
    }

    async fn read(app: Arc<App>, request: Request) -> Result<Self, Response> {
        let (parts, body) = request.into_parts();
        let request_id = RequestId::of_extensions(&parts.extensions);
        let query = pairs(parts.uri.query().unwrap_or_default());
        let origin = Origin::of(&parts.extensions, &parts.headers);
        let visit = Self { app, headers: parts.headers, query, form: Vec::new(), request_id, origin };
        match operations::read(&visit.headers, body, Form::Token).await {
            Ok(body) => Ok(Self { form: serde_urlencoded::from_bytes(&body).unwrap_or_default(), ..visit }),
            Err(problem) => {
                let text = problem.details.as_deref().unwrap_or(&problem.description).to_owned();
                Err(visit.notice(problem.status, "The form did not arrive", &text, "Fill it in again."))
            }
        }
    }

    /// A field of the form; one that is empty, or holds what no name can, counts as absent.
    fn field(&self, name: &str) -> Option<&str> {
        value(&self.form, name)
    }

    fn parameter(&self, name: &str) -> Option<&str> {
        value(&self.query, name)
    }

    /// The browser, as far as its cookie tells.
    fn browser(&self) -> Option<Browser> {
        cookies::get(self, cookies::BROWSER).and_then(Browser::of_cookie)
    }

    /// The browser of a form that this server made for it.
    ///
    /// # Errors
    /// The page that says what to do if the form was made for another browser, or another site has sent it.
    #[expect(clippy::result_large_err, reason = "either way it is handed on once, to where the answer is made")]
    fn browser_of_form(&self) -> Result<Browser, Response> {
        let token = self.field("token").unwrap_or_default();
        let browser = self.browser().filter(|browser| browser.sent_form(token) && self.is_from_here());
        browser.ok_or_else(|| {
            let text =
                "The form is too old, was sent by another site, or your browser did not send the cookie that goes with it.";
            let next = format!("Begin again on the login page, with cookies allowed for {}.", self.app.public_url);
            self.notice(StatusCode::FORBIDDEN, "The form was not accepted", text, &next)
        })
    }

    /// Whether a page of this server has sent a form, as far as the browser says so.
    fn is_from_here(&self) -> bool {
        let text = |name| self.headers.get(name).map(|value| value.to_str().unwrap_or("-"));
        let site = text("sec-fetch-site").is_none_or(|site| site == "same-origin");
        let host = text("host").unwrap_or_default();
        // Behind a proxy the host may be another than the one in the browser's address bar.
        let origin = text("origin").is_none_or(|origin| {
            origin == self.app.public_url || origin.split_once("://").is_some_and(|(_, authority)| authority == host)
        });
        site && origin
    }

    /// Writes the event of something that somebody did who is logged in. Its answer sends the browser on.
    async fn done(&self, action: &'static str, page: &'static str, login: &BrowserLogin) {
        let (iam_id, name) = (login.iam_id.as_str(), login.username.as_str());
        let deed = Deed { action, page, status: StatusCode::SEE_OTHER, code: None, iam_id, name };
        audit::on_page(&self.app, self.origin.clone(), deed).await;
    }

    /// Writes the event of a login that was refused.
    async fn login_refused(&self, page: &'static str, status: StatusCode, code: Option<&str>, name: &str) {
        let deed = Deed { action: LOGIN_ACTION, page, status, code, iam_id: "", name };
        audit::on_page(&self.app, self.origin.clone(), deed).await;
    }

    fn notice(&self, status: StatusCode, title: &str, text: &str, next: &str) -> Response {
        let request = status.is_server_error().then_some(self.request_id.as_str());
        page(status, &Notice { title, text, next, url: &self.app.public_url, request })
    }

    /// The page for what should not have happened.
    fn failure(&self, error: &Error) -> Response {
        error!(request_id = %self.request_id, %error, "a page could not be made");
        let text = "Something went wrong in the server.";
        self.notice(
            StatusCode::INTERNAL_SERVER_ERROR,
            "That did not work",
            text,
            "Try again. If it does not help, tell whoever runs the server.",
        )
    }
}

fn value<'a>(pairs: &'a [(String, String)], name: &str) -> Option<&'a str> {
    let found = pairs.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str());
    found.filter(|value| !value.is_empty() && !value.contains('\0'))
}

#[derive(Template)]
#[template(path = "notice.html")]
struct Notice<'a> {
    title: &'a str,
    text: &'a str,
    next: &'a str,
    url: &'a str,
    request: Option<&'a str>,
}

/// A page, which nothing keeps, no other site shows in a frame, and no script runs in.
fn page(status: StatusCode, template: &impl Template) -> Response {
    page_to(status, template, "")
}

/// A page whose form is redirected to another address, which its policy has to name.
fn page_to(status: StatusCode, template: &impl Template, target: &str) -> Response {
    /// The one style sheet is allowed by its digest.
    static POLICY: LazyLock<String> = LazyLock::new(|| {
        let digest = STANDARD.encode(sha256(STYLE.as_bytes()));
        format!("default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; frame-ancestors 'none'; form-action 'self'")
    });
    let html = match template.render() {
        Ok(html) => html,
        Err(error) => {
            error!(%error, "a page could not be written");
            return respond::with_type(
                StatusCode::INTERNAL_SERVER_ERROR,
                "text/plain; charset=utf-8",
                "The page could not be made.\n",
            );
        }
    };
    let mut response = private(respond::with_type(status, "text/html; charset=utf-8", html));
    let headers = response.headers_mut();
    // Forms go to this server only, and where it redirects to then.
    if let Ok(policy) = HeaderValue::from_str(format!("{} {target}", *POLICY).trim_end()) {
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    for (name, value) in [
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        // Not `no-referrer`, with which browsers do not say where a form comes from.
        (header::REFERRER_POLICY, "same-origin"),
        (header::HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

/// Sends the browser on, with GET.
fn see_other(location: &str) -> Response {
    let mut response = private(respond::empty(StatusCode::SEE_OTHER));
    match HeaderValue::from_str(location) {
        Ok(location) => response.headers_mut().insert(header::LOCATION, location),
        Err(_) => response.headers_mut().insert(header::LOCATION, HeaderValue::from_static(LOGIN)),
    };
    response
}

/// Gives a browser that somebody has logged in with its cookie and sends it to where it wanted to go. If that was nowhere else, people log
/// in for a passcode, and get one.
async fn welcome(visit: &Visit, page: &'static str, logged_in: &Browser) -> Result<Response, Error> {
    let login = visit.app.iam.browser_login_get(logged_in).await?.ok_or(Error::TokenExpired)?;
    visit.done(LOGIN_ACTION, page, &login).await;
    let mut response = match cluster_login::next(visit) {
        Some(next) => {
            let mut response = see_other(&next);
            cookies::set(visit, &mut response, cookies::NEXT, "", 0);
            response
        }
        None => {
            let passcode = visit.app.iam.browser_passcode(logged_in).await?;
            visit.done(PASSCODE_ACTION, page, &login).await;
            shown_once(visit, logged_in, &passcode)
        }
    };
    cookies::set(visit, &mut response, cookies::BROWSER, logged_in.cookie(), boatyard_iam::BROWSER_SESSION_SECONDS);
    Ok(response)
}

/// Sends a browser to the page that shows a passcode. It goes along in a cookie, so that it is nowhere in this server, nor in an
/// address that is kept or logged.
fn shown_once(visit: &Visit, browser: &Browser, passcode: &str) -> Response {
    let mut response = see_other(PASSCODE);
    cookies::set(visit, &mut response, cookies::PASSCODE, &browser.seal_passcode(passcode), cookies::PASSCODE_SECONDS);
    response
}

/// What a person is told of a refusal.
fn told(problem: &Problem) -> &str {
    problem.details.as_deref().unwrap_or(&problem.description)
}

/// Says when to try again, as the problem does.
fn retry_after(mut response: Response, problem: &Problem) -> Response {
    if let Some(seconds) = problem.retry_after {
        response.headers_mut().insert(header::RETRY_AFTER, seconds.get().into());
    }
    response
}

/// Answers with the page, or with the one that says why not.
async fn visit(
    State(app): State<Arc<App>>,
    request: Request,
    serve: impl AsyncFnOnce(&Visit) -> Result<Response, Response>,
) -> Response {
    match Visit::read(app, request).await {
        Ok(visit) => serve(&visit).await.unwrap_or_else(|response| response),
        Err(response) => response,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machines_own_addresses_are_told_from_others() {
        let own =
            ["https://127.0.0.1:7443", "https://[::1]:7443", "https://localhost", "https://LOCALHOST:1", "https://a.localhost"];
        for url in own {
            assert!(is_loopback(url), "{url}");
        }
        for url in ["https://boatyard.example.com", "https://192.0.2.1:7443", "https://[2001:db8::1]", "https://notlocalhost"] {
            assert!(!is_loopback(url), "{url}");
        }
    }
}
