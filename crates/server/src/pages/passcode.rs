//! The passcode. It is made by a form or at the end of a login, and shown by the page that follows: that page can be loaded again
//! without showing or making one.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Request, State};
use axum::response::Response;
use boatyard_iam::{Error, PASSCODE_SECONDS};
use http::StatusCode;

use super::{LOGIN, PASSCODE_ACTION, PASSCODE_NEW, Visit, cookies, page, see_other, shown_once, visit};
use crate::app::App;

#[derive(Template)]
#[template(path = "passcode.html")]
struct Passcode<'a> {
    passcode: Option<&'a str>,
    url: &'a str,
    minutes: i64,
    token: String,
    username: &'a str,
    provider: Option<String>,
    accounts: i64,
}

/// `GET /identity/passcode`
pub(crate) async fn show(visit: &Visit) -> Response {
    let to_login = || {
        let mut response = see_other(LOGIN);
        // Wherever the browser wanted to go before, now it is for a passcode.
        if cookies::get(visit, cookies::NEXT).is_some() {
            cookies::set(visit, &mut response, cookies::NEXT, "", 0);
        }
        response
    };
    let Some(browser) = visit.browser() else { return to_login() };
    let login = match visit.app.iam.browser_login_get(&browser).await {
        Ok(Some(login)) => login,
        Ok(None) => return to_login(),
        Err(error) => return visit.failure(&error),
    };
    let sealed = cookies::get(visit, cookies::PASSCODE);
    let provider = visit.app.provider.as_ref().filter(|provider| login.issuer.as_deref() == Some(provider.issuer()));
    let shown = Passcode {
        passcode: sealed.and_then(|sealed| browser.open_passcode(sealed)),
        url: &visit.app.public_url,
        minutes: PASSCODE_SECONDS / 60,
        token: browser.form_token(),
        username: &login.username,
        provider: provider.map(|provider| provider.label()),
        accounts: login.accounts,
    };
    let mut response = page(StatusCode::OK, &shown);
    if sealed.is_some() {
        cookies::set(visit, &mut response, cookies::PASSCODE, "", 0);
    }
    response
}

/// `POST /identity/passcode/new`
pub(super) async fn create(app: State<Arc<App>>, request: Request) -> Response {
    visit(app, request, async |visit| {
        let browser = visit.browser_of_form()?;
        let login = visit.app.iam.browser_login_get(&browser).await.map_err(|error| visit.failure(&error))?;
        let Some(login) = login else { return Ok(see_other(LOGIN)) };
        match visit.app.iam.browser_passcode(&browser).await {
            Ok(passcode) => {
                visit.done(PASSCODE_ACTION, PASSCODE_NEW, &login).await;
                Ok(shown_once(visit, &browser, &passcode))
            }
            // It has ended just now.
            Err(Error::TokenExpired) => Ok(see_other(LOGIN)),
            Err(error) => Err(visit.failure(&error)),
        }
    })
    .await
}
