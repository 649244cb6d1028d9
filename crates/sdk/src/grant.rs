//! The token service: how a credential becomes tokens.

use jiff::{SignedDuration, Timestamp};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};

use crate::claims::Claims;
use crate::error::{Error, of_call};
use crate::iam_token::Client;
use crate::iam_token::types::{PasscodeRequest, RevokeRequest, TokenRequest, TokenResponse};
use crate::state::Tokens;
use crate::transport::Endpoint;

/// `bx:bx`, the client that gets refresh tokens.
const BX: &str = "Basic Yng6Yng=";
/// `kube:kube`, the client that kubectl is.
const KUBE: &str = "Basic a3ViZTprdWJl";
/// The service's code for an API key that it does not know; its status is 400.
const API_KEY_NOT_FOUND: &str = "BXNIM0415E";
const URN: &str = "urn:ibm:params:oauth:grant-type:";

/// How somebody proves who they are.
#[derive(Clone, Debug)]
pub enum Credential {
    ApiKey(SecretString),
    Password {
        username: String,
        password: SecretString,
    },
    /// One-time code from the page `<endpoint>/identity/passcode`.
    Passcode(SecretString),
}

impl Credential {
    /// Says what to do where the credential is what was refused; logging in again would not help.
    fn refused(&self, mut error: Error) -> Error {
        if let Error::Service(refusal) = &mut error
            && refusal.recovery.is_none()
            && (refusal.status == 401 || refusal.code.as_deref() == Some(API_KEY_NOT_FOUND))
        {
            let advice = match self {
                Self::ApiKey(_) => {
                    "Check the API key. That of a server on this machine is in the file credentials.json of its data folder \
                     (`boatyard login --data-dir DIR` reads it); give any other with `--apikey KEY`."
                }
                Self::Password { .. } => "Check the user name and the password.",
                Self::Passcode(_) => "Get a new passcode at the page /identity/passcode of the server.",
            };
            refusal.recovery = Some(advice.to_owned());
        }
        error
    }
}

/// The address of the page that shows one-time passcodes, as the server tells it.
///
/// # Errors
/// When the server does not answer.
pub async fn passcode_page(endpoint: &Endpoint) -> Result<String, Error> {
    let service = TokenService::at(endpoint)?;
    match service.client.get_open_id_configuration().await {
        Ok(answer) => answer.into_inner().passcode_endpoint.ok_or_else(|| Error::Unintelligible {
            endpoint: endpoint.url().to_owned(),
            reason: "a discovery document without passcode_endpoint".to_owned(),
        }),
        Err(error) => Err(service.error(error).await),
    }
}

pub(crate) struct TokenService<'a> {
    endpoint: &'a Endpoint,
    client: Client,
}

impl<'a> TokenService<'a> {
    pub fn at(endpoint: &'a Endpoint) -> Result<Self, Error> {
        let client = Client::new_with_client(endpoint.url(), endpoint.client(None)?);
        Ok(Self { endpoint, client })
    }

    /// Tokens for a credential, scoped to an account if one is given.
    pub async fn login(&self, credential: &Credential, account: Option<&str>, now: Timestamp) -> Result<Tokens, Error> {
        let mut form = match credential {
            Credential::ApiKey(key) => json!({"grant_type": format!("{URN}apikey"), "apikey": key.expose_secret()}),
            Credential::Password { username, password } => {
                json!({"grant_type": "password", "username": username, "password": password.expose_secret()})
            }
            Credential::Passcode(code) => {
                json!({"grant_type": format!("{URN}passcode"), "passcode": code.expose_secret()})
            }
        };
        form["response_type"] = "cloud_iam".into();
        form["bss_account"] = account.into();
        self.tokens(form, now).await.map_err(|error| credential.refused(error))
    }

    /// New tokens for a refresh token; with an account, scoped to that one.
    pub async fn refresh(&self, token: &SecretString, account: Option<&str>, now: Timestamp) -> Result<Tokens, Error> {
        let form = json!({
            "grant_type": "refresh_token",
            "response_type": "cloud_iam",
            "refresh_token": token.expose_secret(),
            "bss_account": account,
        });
        let mut tokens = self.tokens(form, now).await?;
        // A service that does not rotate refresh tokens answers none.
        tokens.refresh.get_or_insert_with(|| token.clone());
        Ok(tokens)
    }

    /// A refresh token that kubectl can use.
    pub async fn kube_refresh_token(&self, token: &SecretString) -> Result<SecretString, Error> {
        let token = self.kube_login(token, None).await?.refresh_token;
        token.map(SecretString::from).ok_or_else(|| self.lacks("refresh_token"))
    }

    /// An ID token with which clusters of an account know who it is.
    pub async fn kube_id_token(
        &self,
        token: &SecretString,
        account: Option<&str>,
        now: Timestamp,
    ) -> Result<(SecretString, Timestamp), Error> {
        let answer = self.kube_login(token, account).await?;
        let id_token = answer.id_token.ok_or_else(|| self.lacks("id_token"))?;
        // The token names its life by the server's clock, which may be another than ours.
        let claims = Claims::of(&id_token);
        let life = claims.exp.saturating_sub(claims.iat);
        Ok((id_token.into(), now.saturating_add(SignedDuration::from_secs(life)).unwrap_or(now)))
    }

    /// What the client `kube` gets for a token that is delegated to it, then redeemed as that client.
    async fn kube_login(&self, token: &SecretString, account: Option<&str>) -> Result<TokenResponse, Error> {
        let delegate = json!({
            "grant_type": "refresh_token",
            "response_type": "delegated_refresh_token",
            "refresh_token": token.expose_secret(),
            "delegated_refresh_token_expiry": "600",
            "receiver_client_ids": "kube",
        });
        let delegated = self.create(BX, delegate).await?.delegated_refresh_token;
        let delegated = delegated.ok_or_else(|| self.lacks("delegated_refresh_token"))?;
        let grant_type = format!("{URN}delegated-refresh-token");
        let redeem = json!({"grant_type": grant_type, "refresh_token": delegated, "bss_account": account});
        self.create(KUBE, redeem).await
    }

    /// A one-time passcode for the user of a refresh token.
    pub async fn passcode(&self, token: &SecretString) -> Result<SecretString, Error> {
        let form = json!({"grant_type": "refresh_token", "refresh_token": token.expose_secret()});
        let request: PasscodeRequest = serde_json::from_value(form).expect("the form above has what it needs");
        match self.client.create_passcode(Some(BX), None, &request).await {
            Ok(answer) => Ok(answer.into_inner().passcode.into()),
            Err(e) => Err(self.error(e).await),
        }
    }

    pub async fn revoke(&self, token: &SecretString) -> Result<(), Error> {
        let body = RevokeRequest { token: token.expose_secret().to_owned(), token_type_hint: Some("refresh_token".to_owned()) };
        match self.client.revoke_token(Some(BX), None, &body).await {
            Ok(_) => Ok(()),
            Err(e) => Err(self.error(e).await),
        }
    }

    async fn tokens(&self, form: Value, now: Timestamp) -> Result<Tokens, Error> {
        let answer = self.create(BX, form).await?;
        let access = answer.access_token.ok_or_else(|| self.lacks("access_token"))?;
        let life = answer.expires_in.unwrap_or(3600);
        // Clients without refresh tokens are told so in words.
        let refresh = answer.refresh_token.filter(|t| !matches!(t.as_str(), "" | "not_supported" | "not_available"));
        Ok(Tokens {
            access: access.into(),
            refresh: refresh.map(SecretString::from),
            expires: now.as_second().saturating_add(life),
            life,
        })
    }

    async fn create(&self, client: &str, form: Value) -> Result<TokenResponse, Error> {
        let request: TokenRequest =
            serde_json::from_value(form).expect("the forms above have the grant type and otherwise only strings and nulls");
        match self.client.create_token(None, Some(client), None, &request).await {
            Ok(answer) => Ok(answer.into_inner()),
            Err(e) => Err(self.error(e).await),
        }
    }

    async fn error<E: serde::Serialize>(&self, error: progenitor_client::Error<E>) -> Error {
        of_call(error, self.endpoint.url(), self.endpoint.ca_path()).await
    }

    fn lacks(&self, member: &str) -> Error {
        Error::Unintelligible { endpoint: self.endpoint.url().to_owned(), reason: format!("a token answer without {member}") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Refusal;

    #[test]
    fn a_refused_login_is_not_told_to_log_in_again() {
        let password = Credential::Password { username: "ada".to_owned(), password: "p".into() };
        let advice = "Check the user name and the password.";
        for (credential, status, code, description, expected) in [
            (&password, 401, "BXNIM0602E", "Wrong.", Some(advice)),
            (&password, 401, "BXNIM0602E", "Wrong. Check the user name and the password.", None),
            (&password, 429, "BXNIM0429E", "Too many.", None),
            (&Credential::ApiKey("k".into()), 400, API_KEY_NOT_FOUND, "Not found.", Some("credentials.json")),
            (&Credential::Passcode("c".into()), 401, "BXNIM0421E", "Wrong.", Some("/identity/passcode")),
        ] {
            let code = Some(code.to_owned());
            let refusal = Refusal { status, code, description: description.to_owned(), ..Refusal::default() };
            let hint = credential.refused(Error::Service(Box::new(refusal))).hint();
            match expected {
                Some(words) => assert!(hint.as_deref().is_some_and(|h| h.contains(words)), "{hint:?}"),
                None => assert_eq!(hint, None, "{description}"),
            }
        }
    }
}
