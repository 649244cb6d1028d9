//! The token service: `/identity/…`.

use axum::response::Response;
use boatyard_api::iam_token::{JsonWebKey, JsonWebKeySet, OpenIdConfiguration, PasscodeResponse, TokenResponse};
use boatyard_core::secret::{ExposeSecret as _, SecretString};
use boatyard_iam::{Error, Form, TokenRequest};
use http::StatusCode;
use serde_json::json;

use crate::call::Call;
use crate::pages::{self, Visit};
use crate::problem::{self, Problem};
use crate::respond::{self, private};

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
        // Nothing is served there yet, and whoever reads this would go there.
        authorization_endpoint: None,
        token_endpoint: format!("{issuer}/token"),
        revocation_endpoint: at("revoke"),
        introspection_endpoint: at("introspect"),
        passcode_endpoint: at("passcode"),
        userinfo_endpoint: at("userinfo"),
        jwks_uri: format!("{issuer}/keys"),
        response_types_supported: Vec::new(),
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

/// `GET /identity/passcode`: the page on which a person reads a passcode, after a login.
pub async fn passcode_page(call: Call) -> Result<Response, Problem> {
    Ok(pages::passcode::show(&Visit::of_call(call)).await)
}

/// The form of the request. Fields may only come in a form: anything else was sent by mistake.
pub(super) fn form(call: &Call) -> Result<Form, Problem> {
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
            Error::ApiKeyExpired => new(bad, "BXNIM0438E").details("Its date of expiry has passed. Make another key, or log in otherwise."),
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
            Error::RefreshTokenReused => new(bad, "BXNIM0407E").details(
                "It was used before, and another one issued for it. Whoever has the other one is logged out as well. Log in again.",
            ),
            Error::SessionEnded { session } => {
                new(bad, "BXNIM0439E").details(format!("Session '{session}' is invalidated by age or inactivity, as the account's settings say. Log in again."))
            }
            Error::Unscoped => new(denied, "BXNIM0513E").details("Request a token with the ID of your account as 'bss_account'."),
            Error::Forbidden { action } => new(StatusCode::FORBIDDEN, "BXNIM0513E").details(format!("It needs the action '{action}'.")),
            Error::RefreshTokenOfOtherClient => {
                new(bad, "BXNIM0407E").details("A refresh token is good for the client that it was issued to. Log in again with this client.")
            }
            Error::NotAMember { account } => {
                let account: String = account.chars().take(60).collect();
                new(bad, "BXNIM0436E").details(format!("You are not a member of the account '{account}', or it does not exist."))
            }
            Error::TokenMalformed | Error::TokenForeign | Error::TokenExpired => new(denied, "BXNIM0407E"),
            Error::ProfileNotTrusted => new(bad, "BXNIM0446E").details(
                "Check the ID or the name of the profile. Its account's administrator adds your identity, or a rule that fits your claims, to it.",
            ),
            Error::AssumedLasts => new(bad, "BXNIM0106E").details("Leave 'delegated_refresh_token' out of 'response_type'."),
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
}
