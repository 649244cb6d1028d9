//! From an `Authorization` header to a caller.

use boatyard_api::Operation;
use boatyard_iam::Caller;
use boatyard_iam::access::roles_with;
use http::{HeaderMap, StatusCode, header};

use crate::app::App;
use crate::problem::{Form, Problem};

/// The caller of a request to a service that answers in `form`.
///
/// # Errors
/// 401 without a token, with one that is expired, garbled or signed by somebody else, and for the container service also with
/// one that names no account or another than the request does.
pub async fn caller(app: &App, headers: &HeaderMap, form: Form) -> Result<Caller, Problem> {
    let token = bearer(headers).ok_or_else(|| missing(form))?;
    let caller = app.iam.authenticate(token).await.map_err(|error| refused(form, &error))?;
    if form == Form::Containers {
        scoped(&caller, headers)?;
    }
    Ok(caller)
}

/// The token of an `Authorization` header. The scheme may be written in any case or be left out, as scripts do.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?.trim();
    let token = match value.split_once(char::is_whitespace) {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => token.trim(),
        Some(_) => return None,
        None if value.eq_ignore_ascii_case("bearer") => return None,
        None => value,
    };
    (!token.is_empty()).then_some(token)
}

/// The container service works for one account: the token's. A request may repeat it, not change it.
fn scoped(caller: &Caller, headers: &HeaderMap) -> Result<(), Problem> {
    let Some(account) = &caller.account_id else {
        let text = "The IAM token is not scoped to an account. Request a token with the ID of your account as 'bss_account'.";
        return Err(Problem::new(StatusCode::UNAUTHORIZED, "A0007", "Authentication", text)
            .recovery("To target an account, run 'boatyard target -c <account_ID>'."));
    };
    let named = headers.get("x-auth-resource-account").and_then(|v| v.to_str().ok()).map(str::trim).unwrap_or_default();
    if named.is_empty() || named == account {
        return Ok(());
    }
    let text = "You do not have the correct permissions to perform this action: the IAM token belongs to another account than \
                the X-Auth-Resource-Account header names.";
    Err(Problem::new(StatusCode::UNAUTHORIZED, "A0007", "Authentication", text)
        .recovery("To target the account, run 'boatyard target -c <account_ID>'."))
}

/// The answer to a request without a usable `Authorization` header.
pub(crate) fn missing(form: Form) -> Problem {
    match form {
        Form::Containers => {
            let text = "You must specify an IAM token as an Authorization header.";
            Problem::new(StatusCode::UNAUTHORIZED, "A0001", "Authentication", text)
                .recovery("To log in and see your token, run 'boatyard login' and 'boatyard iam oauth-tokens'.")
        }
        Form::Token => Problem::new(StatusCode::UNAUTHORIZED, "BXNIM0308E", "", "No authorization header found"),
        Form::Management => Problem::new(StatusCode::UNAUTHORIZED, "BXNIM0308E", "", "No authorization header found"),
    }
}

/// The answer to a caller without the role that an operation needs.
pub(crate) fn forbidden(operation: &Operation, action: &str) -> Problem {
    match Form::of(operation) {
        Form::Containers => missing_role(action),
        _ => {
            let code = if operation.service == "iam-identity" { "BXNIM0513E" } else { "insufficient_permissions" };
            missing_action(code, action)
        }
    }
}

/// A management service's answer to a caller without an action.
pub(crate) fn missing_action(code: &'static str, action: &str) -> Problem {
    let text = format!("You are not authorized to use this API. It needs the action '{action}'{}.", held_by(action));
    Problem::new(StatusCode::FORBIDDEN, code, "", text)
}

/// The container service's answer to a caller without the role that an action needs.
pub(crate) fn missing_role(action: &str) -> Problem {
    let roles = roles_with(action).iter().filter(|role| *role != "Service Configuration Reader");
    let roles: Vec<_> = roles.map(String::as_str).collect();
    let text = match roles[..] {
        [] => format!("You are not authorized for the action '{action}'. Contact the account administrator."),
        [only] => format!(
            "This action requires the {only} role for the cluster or its resource group. Contact the account administrator."
        ),
        // The least of them stands first.
        [least, ..] => format!(
            "This action requires the {least} role for the cluster or its resource group, or one that includes it ({}). \
             Contact the account administrator.",
            roles[1..].join(", ")
        ),
    };
    Problem::new(StatusCode::FORBIDDEN, "A0008", "Authentication", text)
        .recovery("To list your policies, run 'boatyard iam user-policies <user>'.")
}

fn held_by(action: &str) -> String {
    match roles_with(action) {
        [] => String::new(),
        roles => format!(", which the roles {} hold", roles.join(", ")),
    }
}

/// The answer to a token that does not authenticate.
pub(crate) fn refused(form: Form, error: &boatyard_iam::Error) -> Problem {
    let expired = matches!(error, boatyard_iam::Error::TokenExpired);
    match form {
        Form::Containers => {
            let text = if expired {
                "The IAM token is expired. Log in again or refresh the token."
            } else {
                "The IAM token is not valid. Log in to get a token of this installation."
            };
            let code = if expired { "A0004" } else { "A0003" };
            Problem::new(StatusCode::UNAUTHORIZED, code, "Authentication", text).recovery("To log in, run 'boatyard login'.")
        }
        Form::Token | Form::Management => {
            let text = if expired { "Provided access token is expired." } else { "Provided access token is invalid." };
            Problem::new(StatusCode::UNAUTHORIZED, "BXNIM0407E", "", text)
        }
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn takes_the_token_with_any_spelling_of_the_scheme_and_without_it() {
        let cases = [
            ("Bearer abc.def", Some("abc.def")),
            ("bearer abc.def", Some("abc.def")),
            ("BEARER   abc.def ", Some("abc.def")),
            ("abc.def", Some("abc.def")),
            ("Basic Yng6Yng=", None),
            ("Bearer", None),
            ("Bearer ", None),
            ("", None),
        ];
        for (given, expected) in cases {
            let headers = HeaderMap::from_iter([(header::AUTHORIZATION, HeaderValue::from_str(given).unwrap())]);
            assert_eq!(bearer(&headers), expected, "{given:?}");
        }
    }
}
