//! The token service: `/identity/…`.

use std::sync::Arc;

use axum::response::Response;
use boatyard_api::iam_token::{JsonWebKey, JsonWebKeySet, OpenIdConfiguration, PasscodeResponse, TokenResponse};
use boatyard_core::secret::{ExposeSecret as _, SecretString};
use boatyard_iam::{Error, Form, TokenRequest};
use http::{HeaderValue, StatusCode, header};
use serde_json::json;

use crate::app::App;
use crate::call::Call;
use crate::problem::{self, Problem};
use crate::respond;

/// `POST /identity/token`
pub async fn token_create(call: Call) -> Result<Response, Problem> {
    let form = form(&call)?;
    let request = TokenRequest::parse(call.header("authorization"), &form, call.query("account").as_deref())?;
    let answer = call.app.iam.token(&request).await?;
    let shown = |secret: Option<SecretString>| secret.map(|s| s.expose_secret().to_owned());
    let base = answer.access_token.is_some();
    let body = TokenResponse {
        access_token: shown(answer.access_token),
        refresh_token: shown(answer.refresh_token),
        token_type: base.then(|| "Bearer".to_owned()),
        expires_in: base.then_some(answer.expires_in),
        expiration: base.then_some(answer.expiration),
        scope: base.then(|| "ibm openid".to_owned()),
        session_id: answer.session_id,
        uaa_token: shown(answer.uaa_token),
        uaa_refresh_token: shown(answer.uaa_refresh_token),
        delegated_refresh_token: shown(answer.delegated_refresh_token),
        id_token: shown(answer.id_token),
        ..TokenResponse::default()
    };
    Ok(private(respond::json(StatusCode::OK, &body)))
}

/// `GET /identity/keys`
pub async fn keys_get(call: Call) -> Result<Response, Problem> {
    let keys = call.app.iam.jwks().await?.into_iter().map(|key| JsonWebKey {
        kty: Some(key.kty.to_owned()),
        n: Some(key.n),
        e: Some(key.e),
        alg: Some(key.alg.to_owned()),
        kid: Some(key.kid),
        use_: Some(key.use_.to_owned()),
    });
    Ok(respond::json(StatusCode::OK, &JsonWebKeySet { keys: keys.collect() }))
}

/// `GET /identity/.well-known/openid-configuration`
pub async fn discovery_get(call: Call) -> Result<Response, Problem> {
    let issuer = call.app.iam.issuer();
    let at = |path: &str| Some(format!("{issuer}/{path}"));
    let list = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    let body = OpenIdConfiguration {
        issuer: issuer.to_owned(),
        authorization_endpoint: at("authorize"),
        token_endpoint: format!("{issuer}/token"),
        revocation_endpoint: at("revoke"),
        passcode_endpoint: at("passcode"),
        userinfo_endpoint: at("userinfo"),
        jwks_uri: format!("{issuer}/keys"),
        response_types_supported: list(&["code", "id_token", "token id_token"]),
        grant_types_supported: list(boatyard_iam::grant_types()),
        subject_types_supported: list(&["public"]),
        token_endpoint_auth_methods_supported: list(&["client_secret_basic", "client_secret_post"]),
        id_token_signing_alg_values_supported: list(&["RS256"]),
        scopes_supported: list(&[
            "openid",
            "email",
            "profile",
            "ibm",
            "roles",
            "containers-kubernetes",
            "containers-openshift",
        ]),
        claims_supported: list(&["iam_id", "sub", "aud", "iss"]),
        public_hosts: list(&[&call.app.public_url]),
    };
    Ok(respond::json(StatusCode::OK, &body))
}

/// `GET /identity/userinfo`: the token's claims, and whether it is active.
pub async fn userinfo_get(call: Call) -> Result<Response, Problem> {
    const SHOWN: [&str; 14] = [
        "iam_id",
        "identifier",
        "given_name",
        "family_name",
        "name",
        "email",
        "sub",
        "iat",
        "exp",
        "iss",
        "grant_type",
        "client_id",
        "scope",
        "amr",
    ];
    let claims = &call.caller()?.claims;
    let mut body = json!({ "active": true, "realmId": claims["realmid"], "acr": claims["acr"] });
    for name in SHOWN {
        if let Some(value) = claims.get(name) {
            body[name] = value.clone();
        }
    }
    // What else a token says of its account is for whoever checks tokens.
    if let Some(account) = claims.get("account").and_then(|account| account.get("bss")) {
        body["account"] = json!({ "bss": account });
    }
    Ok(private(respond::json(StatusCode::OK, &body)))
}

/// `POST /identity/passcode`. Clients decode every member as text, so there is only one.
pub async fn passcode_create(call: Call) -> Result<Response, Problem> {
    let passcode = call.app.iam.passcode_create(call.header("authorization"), &form(&call)?).await?;
    Ok(private(respond::json(StatusCode::OK, &PasscodeResponse { passcode })))
}

/// `POST /identity/revoke`
pub async fn token_revoke(call: Call) -> Result<Response, Problem> {
    let form = form(&call)?;
    let token = form.get("token")?.ok_or(Error::Missing { property: "token" })?;
    call.app.iam.revoke(&SecretString::from(token.to_owned())).await?;
    Ok(respond::empty(StatusCode::OK))
}

/// `GET /identity/passcode`: the page on which a person signs in and reads a passcode.
pub async fn passcode_page(_: Call) -> Result<Response, Problem> {
    Ok(page(StatusCode::OK, SIGN_IN))
}

/// What the page's form sends.
pub async fn passcode_page_submit(app: Arc<App>, mut form: Vec<(String, String)>) -> Response {
    form.retain(|(_, value)| !value.contains('\0'));
    let form = Form::new(form);
    let fields = (form.get("username").ok().flatten(), form.get("password").ok().flatten());
    let (Some(username), Some(password)) = fields else {
        return page(StatusCode::BAD_REQUEST, &notice("Enter your user name and your password."));
    };
    match app.iam.passcode_create_with_password(username, &SecretString::from(password.to_owned())).await {
        Ok(passcode) => page(StatusCode::OK, &code(&passcode, &app.public_url)),
        Err(error) => {
            let problem = Problem::from(error);
            let text = problem.details.as_deref().unwrap_or(&problem.description);
            page(problem.status, &notice(text))
        }
    }
}

/// The form of the request. Fields may only come in a form: anything else was sent by mistake.
fn form(call: &Call) -> Result<Form, Problem> {
    let label = call.header("content-type").unwrap_or_default();
    let media_type = label.split(';').next().unwrap_or_default().trim();
    if media_type.is_empty() || media_type.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        let fields = call.form();
        if fields.iter().any(|(_, value)| value.contains('\0')) {
            return Err(Problem::new(StatusCode::BAD_REQUEST, "BXNIM0106E", "", "A field holds a NUL character."));
        }
        return Ok(Form::new(fields));
    }
    let text = "The request body must be of the type application/x-www-form-urlencoded.";
    Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "BXNIM0106E", "", text))
}

/// Answers with secrets are not to be kept by anything on their way.
fn private(mut response: Response) -> Response {
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

const STYLE: &str = "\
:root{color-scheme:light dark;font:16px/1.5 system-ui,sans-serif}\
body{margin:0;min-height:100vh;display:grid;place-items:center;background:Canvas;color:CanvasText}\
main{width:min(22rem,calc(100vw - 3rem))}\
h1{font-size:1.4rem;margin:0 0 .25rem}\
p{margin:.25rem 0 1rem}\
label{display:block;margin:.75rem 0 .25rem}\
input{box-sizing:border-box;width:100%;padding:.5rem;font:inherit;border:1px solid GrayText;border-radius:.25rem}\
button{margin-top:1.25rem;width:100%;padding:.6rem;font:inherit;font-weight:600;border:0;border-radius:.25rem;background:#0f62fe;color:#fff}\
button:focus-visible,input:focus-visible{outline:3px solid #78a9ff}\
.notice{border-left:.25rem solid #da1e28;padding:.5rem .75rem}\
code{display:block;font-size:1.6rem;letter-spacing:.08em;padding:.75rem;border:1px solid GrayText;border-radius:.25rem;text-align:center;user-select:all}\
.line{font-size:.85rem;letter-spacing:0;text-align:left;overflow-wrap:anywhere}";

const SIGN_IN: &str = "\
<h1>One-time passcode</h1><p>Sign in to get a passcode for your command line.</p>\
<form method=\"post\" action=\"/_boatyard/passcode\">\
<label for=\"username\">User name</label><input id=\"username\" name=\"username\" type=\"text\" autocomplete=\"username\" required autofocus>\
<label for=\"password\">Password</label><input id=\"password\" name=\"password\" type=\"password\" autocomplete=\"current-password\" required>\
<button>Get a passcode</button></form>";

fn notice(text: &str) -> String {
    format!("<p class=\"notice\" role=\"alert\">{}</p>{SIGN_IN}", escape(text))
}

fn code(passcode: &str, public_url: &str) -> String {
    let minutes = boatyard_iam::PASSCODE_SECONDS / 60;
    format!(
        "<h1>Your one-time passcode</h1><p>Good once, for {minutes} minutes. Paste it where your command line asks for it.</p>\
         <code>{passcode}</code><p>Or run:</p><code class=\"line\">boatyard login -a {url} --sso --passcode {passcode}</code>",
        passcode = escape(passcode),
        url = escape(public_url),
    )
}

fn page(status: StatusCode, body: &str) -> Response {
    let html = format!(
        "<!DOCTYPE html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width, \
         initial-scale=1\"><title>Boatyard passcode</title><style>{STYLE}</style></head><body><main>{body}</main></body></html>\n"
    );
    let mut response = private(respond::with_type(status, "text/html; charset=utf-8", html));
    let headers = response.headers_mut();
    let policy = "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
    headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;").replace('\'', "&#39;")
}

/// The table from the identity service's refusals to status, code and text. Codes are the service's own where they are known.
impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let text = error.to_string();
        let new = |status, code| Problem::new(status, code, "Authentication", text.clone());
        let (bad, denied) = (StatusCode::BAD_REQUEST, StatusCode::UNAUTHORIZED);
        match error {
            Error::Missing { property } => {
                new(bad, "BXNIM0109E").details(format!("Property '{property}' either missing or empty."))
            }
            Error::Invalid { property, value, valid } => {
                // What was sent may be long, or a secret that went into the wrong field.
                let value: String = value.chars().take(60).collect();
                new(bad, "BXNIM0106E").details(format!("Property '{property}' has the value '{value}'. Valid values: {valid}."))
            }
            Error::Repeated { property } => {
                new(bad, "BXNIM0106E").details(format!("Property '{property}' stands in the request twice, with different values."))
            }
            Error::TwoAccounts => {
                new(bad, "BXNIM0106E").details("'bss_account' and 'account' name different accounts. Send one of them.")
            }
            Error::GrantUnbuilt { grant } => new(StatusCode::NOT_IMPLEMENTED, "BXNIM0990E")
                .details(format!("Boatyard does not serve the grant type '{grant}' yet.")),
            Error::ClientRequired => new(denied, "BXNIM0308E")
                .details("This request needs a client: send an Authorization header, such as 'Basic Yng6Yng=' for bx:bx."),
            Error::ClientUnknown => new(denied, "BXNIM0310E").details("Known clients are bx:bx and kube:kube."),
            Error::ClientMalformed => new(denied, "BXNIM0308E")
                .details("The Authorization header must be 'Basic' and the base64 of client and secret with a colon between."),
            Error::ApiKeyNotFound => new(bad, "BXNIM0415E"),
            Error::ApiKeyDisabled => new(bad, "BXNIM0462E"),
            Error::ApiKeyOfOtherAccount => new(bad, "BXNIM0411E").details(
                "An API key belongs to the account it was made in and gives no access to others. Log in to the other account and use a key of \
                 it, or leave 'bss_account' out.",
            ),
            Error::WrongPassword { .. } => new(denied, "BXNIM0602E").details("Check the user name and the password."),
            Error::Federated { .. } => {
                new(bad, "BXNIM0608E").details("Federated users log in with an API key or a one-time passcode, not with a password.")
            }
            Error::TooManyAttempts => new(StatusCode::TOO_MANY_REQUESTS, "BXNIM0429E")
                .details("Other attempts to log in as this user are waiting. Try again in some seconds.")
                .retry_after(8),
            Error::WrongPasscode => {
                new(bad, "BXNIM0421E").details("The passcode is wrong, was used, or is older than five minutes. Get a new one.")
            }
            Error::RefreshTokenInvalid => new(bad, "BXNIM0407E").details("Log in again to get a new refresh token."),
            Error::RefreshTokenExpired => new(bad, "BXNIM0408E"),
            Error::RefreshTokenOfOtherClient => {
                new(bad, "BXNIM0407E").details("A refresh token is good for the client that it was issued to. Log in again with this client.")
            }
            Error::NotAMember { account } => {
                let account: String = account.chars().take(60).collect();
                new(bad, "BXNIM0436E").details(format!("You are not a member of the account '{account}', or it does not exist."))
            }
            Error::TokenMalformed | Error::TokenForeign | Error::TokenExpired => new(denied, "BXNIM0407E"),
            Error::AccountNotFound => new(StatusCode::NOT_FOUND, "BXNIM0404E"),
            Error::NotAcceptable(_) => new(bad, "E0011"),
            Error::Key(_) | Error::Interrupted(_) | Error::Store(_) => Problem::internal(problem::Form::Token, error),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn a_passcode_answer_holds_text_only() {
        let body = serde_json::to_value(PasscodeResponse { passcode: "abc".to_owned() }).unwrap();
        assert!(body.as_object().unwrap().values().all(Value::is_string));
    }

    #[test]
    fn what_a_person_typed_is_only_text_on_the_page() {
        assert_eq!(escape("<b onclick='x'>&\""), "&lt;b onclick=&#39;x&#39;&gt;&amp;&quot;");
    }
}
