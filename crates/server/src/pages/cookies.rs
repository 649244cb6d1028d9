//! Cookies that pages set: out of reach of scripts, not sent along by other sites but on links, and only over HTTPS where clients
//! are to use it.

use axum::response::Response;
use http::{HeaderValue, header};

use super::Visit;

/// Whose browser it is.
pub(super) const BROWSER: &str = "boatyard";
/// A passcode on its way to the page that shows it.
pub(super) const PASSCODE: &str = "boatyard-passcode";
/// A cluster's token on its way to the page that shows it.
pub(super) const TOKEN: &str = "boatyard-token";
/// Seconds that either may be on its way.
pub(super) const PASSCODE_SECONDS: i64 = 60;
/// Where the browser goes after the login.
pub(super) const NEXT: &str = "boatyard-next";
/// Seconds that a login may take.
pub(super) const NEXT_SECONDS: i64 = 600;

/// With `__Host-` browsers take the cookie from this very host and over HTTPS only, so neither a neighbour nor somebody on the way
/// can plant one.
fn full_name(visit: &Visit, name: &str) -> String {
    if is_secure(visit) { format!("__Host-{name}") } else { name.to_owned() }
}

fn is_secure(visit: &Visit) -> bool {
    visit.app.public_url.starts_with("https://")
}

pub(super) fn get<'a>(visit: &'a Visit, name: &str) -> Option<&'a str> {
    let name = full_name(visit, name);
    let cookies = visit.headers.get_all(header::COOKIE).into_iter().filter_map(|value| value.to_str().ok());
    let mut pairs = cookies.flat_map(|cookies| cookies.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(found, _)| *found == name).map(|(_, value)| value)
}

/// Sets a cookie for that many seconds; 0 takes it away.
pub(super) fn set(visit: &Visit, response: &mut Response, name: &str, value: &str, seconds: i64) {
    let secure = if is_secure(visit) { "; Secure" } else { "" };
    let name = full_name(visit, name);
    let cookie = format!("{name}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}");
    // Values are letters, digits, '-', '_' and '.', so it always is a header value.
    if let Ok(cookie) = HeaderValue::from_str(&cookie) {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
}
