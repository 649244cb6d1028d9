//! Pages for logins to OpenShift clusters: the token that a person copies into a command line, and the question whether a command line
//! that waits for the browser may log in.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, Request, State};
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use boatyard_core::secret::ExposeSecret as _;
use boatyard_iam::{Browser, CLUSTER_TOKEN_PREFIX, ClusterClient, ClusterLogin, Error};
use http::{StatusCode, Uri};

use super::{LOGIN, Visit, cookies, page, page_to, see_other};
use crate::app::App;
use crate::oauth::{Asked, BROWSER_CLIENT, CLI_CLIENT, Deed, Place, approved};

/// An address that is longer is not come back to after a login, in bytes: cookies are short.
const LONGEST_NEXT: usize = 2500;

#[derive(Template)]
#[template(path = "cluster_token.html")]
struct TokenPage<'a> {
    cluster: &'a str,
    api_token: Option<String>,
    url: &'a str,
    path: &'a str,
    token: String,
    username: &'a str,
}

#[derive(Template)]
#[template(path = "cluster_consent.html")]
struct Consent<'a> {
    cluster: &'a str,
    path: &'a str,
    token: String,
    username: &'a str,
    request: &'a str,
}

#[derive(Template)]
#[template(path = "cluster_implicit.html")]
struct Implicit<'a> {
    path: &'a str,
}

/// The path of a cluster's API.
fn path_of(place: &Place) -> String {
    format!("/kube/{}", place.cluster.id)
}

/// Answers with the page of a cluster, or with the one that says why not.
async fn at_cluster(
    app: Arc<App>,
    cluster: &str,
    request: Request,
    serve: impl AsyncFnOnce(&Visit, &Place) -> Result<Response, Response>,
) -> Response {
    let place = match Place::find(&app, cluster).await {
        Ok(place) => place,
        Err(response) => return response,
    };
    match Visit::read(app, request).await {
        Ok(visit) => serve(&visit, &place).await.unwrap_or_else(|response| response),
        Err(response) => response,
    }
}

/// Who is logged in with the browser, and belongs to the cluster's account; `None` if nobody is.
async fn logged_in(visit: &Visit, place: &Place) -> Result<Option<(Browser, ClusterLogin)>, Response> {
    let Some(browser) = visit.browser() else { return Ok(None) };
    match visit.app.iam.cluster_login_of_browser(place.iam(), &browser).await {
        Ok(login) => Ok(Some((browser, login))),
        Err(Error::TokenExpired) => Ok(None),
        Err(Error::NotAMember { .. }) => {
            let text = "You are logged in, but do not belong to the account of this cluster.";
            let next = "Ask the owner of the account to invite you, or log out and log in as somebody else.";
            Err(visit.notice(StatusCode::FORBIDDEN, "You cannot log in to this cluster", text, next))
        }
        Err(error) => Err(visit.failure(&error)),
    }
}

/// Sends the browser to the login page, from where it comes back to `next`.
fn to_login(visit: &Visit, next: &str) -> Response {
    let mut response = see_other(LOGIN);
    if next.len() <= LONGEST_NEXT {
        cookies::set(visit, &mut response, cookies::NEXT, &URL_SAFE_NO_PAD.encode(next), cookies::NEXT_SECONDS);
    }
    response
}

/// Where a browser wanted to go before it was sent to the login page.
pub(super) fn next(visit: &Visit) -> Option<String> {
    let decoded = URL_SAFE_NO_PAD.decode(cookies::get(visit, cookies::NEXT)?).ok()?;
    // It was set by this server, but pages of clusters are all that it can mean.
    String::from_utf8(decoded).ok().filter(|next| next.starts_with("/kube/") && next.parse::<Uri>().is_ok())
}

/// `GET /oauth/token/request`
pub(crate) async fn request(State(app): State<Arc<App>>, Path(cluster): Path<String>, request: Request) -> Response {
    at_cluster(app, &cluster, request, async |visit, place| show(visit, place).await).await
}

/// `GET /oauth/token/display`: the token that was made for this browser just now, which another look does not show again.
pub(crate) async fn display(State(app): State<Arc<App>>, Path(cluster): Path<String>, request: Request) -> Response {
    at_cluster(app, &cluster, request, async |visit, place| show(visit, place).await).await
}

async fn show(visit: &Visit, place: &Place) -> Result<Response, Response> {
    let path = path_of(place);
    let Some((browser, login)) = logged_in(visit, place).await? else {
        return Ok(to_login(visit, &format!("{path}/oauth/token/request")));
    };
    let sealed = cookies::get(visit, cookies::TOKEN);
    let opened = sealed.and_then(|sealed| browser.open_passcode(sealed));
    let own = opened.and_then(|opened| opened.strip_prefix(&place.cluster.id)?.strip_prefix('_'));
    let shown = TokenPage {
        cluster: &place.cluster.name,
        api_token: own.map(|random| format!("{CLUSTER_TOKEN_PREFIX}{random}")),
        url: &place.url,
        path: &path,
        token: browser.form_token(),
        username: login.sub(),
    };
    let mut response = page(StatusCode::OK, &shown);
    if sealed.is_some() {
        cookies::set(visit, &mut response, cookies::TOKEN, "", 0);
    }
    Ok(response)
}

/// `POST /oauth/token/display`: makes a token. It goes to the page that shows it in a cookie, so that it is nowhere in this server.
pub(crate) async fn create(State(app): State<Arc<App>>, Path(cluster): Path<String>, request: Request) -> Response {
    at_cluster(app, &cluster, request, async |visit, place| {
        visit.browser_of_form()?;
        let path = path_of(place);
        let Some((browser, login)) = logged_in(visit, place).await? else {
            return Ok(to_login(visit, &format!("{path}/oauth/token/request")));
        };
        let redirect_uri = format!("{}/oauth/token/display", place.url);
        let client = ClusterClient { id: BROWSER_CLIENT, redirect_uri: &redirect_uri };
        let issued = visit.app.iam.cluster_token_issue(place.iam(), &login, client).await;
        let token = issued.map_err(|error| visit.failure(&error))?;
        let deed = Deed::login("oauth/token/display", StatusCode::SEE_OTHER, login.iam_id(), login.sub());
        place.record(&visit.app, visit.origin.clone(), deed).await;
        let random = token.expose_secret().strip_prefix(CLUSTER_TOKEN_PREFIX).unwrap_or_default();
        let sealed = browser.seal_passcode(&format!("{}_{random}", place.cluster.id));
        let mut response = see_other(&format!("{path}/oauth/token/display"));
        cookies::set(visit, &mut response, cookies::TOKEN, &sealed, cookies::PASSCODE_SECONDS);
        Ok(response)
    })
    .await
}

/// `GET /oauth/token/implicit`: where a client that reads addresses finds its token in one. A person who comes here has followed it.
pub(crate) async fn implicit(State(app): State<Arc<App>>, Path(cluster): Path<String>, request: Request) -> Response {
    at_cluster(app, &cluster, request, async |_, place| Ok(page(StatusCode::OK, &Implicit { path: &path_of(place) }))).await
}

/// `GET /oauth/authorize` of a command line that waits for the browser: asks first, as any page can send a browser here, and any
/// program of this machine can wait.
pub(crate) async fn consent(app: Arc<App>, request: Request, place: Place, asked: Asked) -> Response {
    let query = request.uri().query().unwrap_or_default().to_owned();
    let visit = match Visit::read(app, request).await {
        Ok(visit) => visit,
        Err(response) => return response,
    };
    let path = path_of(&place);
    match logged_in(&visit, &place).await {
        Ok(None) => to_login(&visit, &format!("{path}/oauth/authorize?{query}")),
        Ok(Some((browser, login))) => {
            let (cluster, token) = (place.cluster.name.as_str(), browser.form_token());
            let consent = Consent { cluster, path: &path, token, username: login.sub(), request: &query };
            page_to(StatusCode::OK, &consent, &origin_of(&asked.redirect_uri))
        }
        Err(response) => response,
    }
}

/// Where a form is redirected to, as a policy names it. Addresses of IPv6 have no place in policies.
fn origin_of(redirect_uri: &str) -> String {
    let uri: Uri = redirect_uri.parse().unwrap_or_default();
    match uri.authority() {
        Some(authority) if !authority.as_str().starts_with('[') => format!("http://{authority}"),
        _ => "http:".to_owned(),
    }
}

/// `POST /oauth/token/approve`: yes, the command line may.
pub(crate) async fn approve(State(app): State<Arc<App>>, Path(cluster): Path<String>, request: Request) -> Response {
    at_cluster(app, &cluster, request, async |visit, place| {
        visit.browser_of_form()?;
        let query = visit.field("request").unwrap_or_default();
        let asked = Asked::parse(query, &place.url)?;
        if asked.client_id != CLI_CLIENT {
            let text = "The form is not for a command line that waits for the browser.";
            return Err(visit.notice(
                StatusCode::BAD_REQUEST,
                "The form was not accepted",
                text,
                "Begin again in your command line.",
            ));
        }
        let Some((_, login)) = logged_in(visit, place).await? else {
            return Ok(to_login(visit, &format!("{}/oauth/authorize?{query}", path_of(place))));
        };
        let answered = approved(&visit.app, place, &asked, &login).await;
        let response = answered.map_err(|error| visit.failure(&error))?;
        let deed = Deed::login("oauth/token/approve", response.status(), login.iam_id(), login.sub());
        place.record(&visit.app, visit.origin.clone(), deed).await;
        Ok(response)
    })
    .await
}
