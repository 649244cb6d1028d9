//! Users whom an OpenID Connect provider vouches for: the way of a browser to the provider and back, and who its users are here.
//!
//! A user of the provider is known by issuer and subject, which never change. A name is only looked at once, at the first login,
//! and then a user who has a password here is never taken for one of the provider's.

use boatyard_core::{Digest, id};
use boatyard_store::federation::{self as rows, FederatedIdentity};
use boatyard_store::{Conn, Domain, users};
use serde_json::{Map, Value};
use tracing::info;

use crate::grants::LONGEST_USERNAME;
use crate::{Browser, Error, Iam};

/// Seconds within which a browser has to come back from the provider.
pub const REDIRECT_SECONDS: i64 = 600;
/// Claims that are about a token or a login and not about the user.
const PROTOCOL: [&str; 15] =
    ["iss", "aud", "exp", "iat", "nbf", "jti", "nonce", "at_hash", "c_hash", "s_hash", "azp", "auth_time", "acr", "amr", "sid"];

/// Why a user of the provider is not logged in.
#[derive(Debug, thiserror::Error)]
pub enum FederationError {
    /// The browser was not sent to the provider, is another one, was too slow, or has come back before.
    #[error("the login was not begun in this browser, took too long, or was completed before")]
    NotExpected,
    #[error("the identity provider does not tell the claim '{0}'")]
    NoName(String),
    #[error("the identity provider has not verified the e-mail address '{0}'")]
    Unverified(String),
    /// The text says what is wrong with the name.
    #[error("the user name '{0}' cannot be used")]
    UnusableName(String),
    /// There is a user of that name whom this identity may not become.
    #[error("the user '{0}' exists and belongs to somebody else")]
    Taken(String),
    #[error(transparent)]
    Iam(#[from] Error),
}

impl From<boatyard_store::Error> for FederationError {
    fn from(error: boatyard_store::Error) -> Self {
        Self::Iam(error.into())
    }
}

/// What goes with a browser to the provider. All but the state is derived from it and the browser's cookie, so nothing secret is
/// stored, and a state is worth nothing in another browser.
#[derive(Debug)]
pub struct Redirect {
    pub state: String,
    /// Comes back in the ID token.
    pub nonce: String,
    /// Code verifier of PKCE (RFC 7636).
    pub verifier: String,
}

impl Redirect {
    fn of(browser: &Browser, state: &str) -> Self {
        let derived = |purpose| browser.derived(&format!("{purpose} {state}"));
        Self { state: state.to_owned(), nonce: derived("nonce"), verifier: derived("verifier") }
    }
}

/// A user as the provider tells of them, in an ID token that was verified.
#[derive(Clone, Debug)]
pub struct ProvidedIdentity {
    pub issuer: String,
    pub subject: String,
    pub claims: Map<String, Value>,
}

/// Which claim is the user name.
#[derive(Clone, Debug, Default)]
pub struct Naming {
    /// `None`: `email`, or else `preferred_username`.
    pub claim: Option<String>,
    /// Whether e-mail addresses are believed that the provider has not verified, or does not say so.
    pub unverified_email: bool,
}

/// A user name, and whether a user of that name who is here already may be meant: only an e-mail address that was verified, or a
/// claim that the operator chose, says that much.
#[derive(Debug, PartialEq, Eq)]
struct Name {
    text: String,
    proves: bool,
}

impl Naming {
    fn name(&self, claims: &Map<String, Value>) -> Result<Name, FederationError> {
        let told = |claim: &str| claims.get(claim).and_then(Value::as_str).map(str::trim).filter(|text| !text.is_empty());
        let (claim, text) = match &self.claim {
            Some(claim) => (claim.as_str(), told(claim)),
            None if told("email").is_some() => ("email", told("email")),
            None => ("preferred_username", told("preferred_username")),
        };
        let text = text.ok_or_else(|| {
            FederationError::NoName(self.claim.clone().unwrap_or_else(|| "email' or 'preferred_username".to_owned()))
        })?;
        let text = text.to_lowercase();
        if text.len() > LONGEST_USERNAME || text.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return Err(FederationError::UnusableName(text.chars().take(60).filter(|c| !c.is_control()).collect()));
        }
        // Users choose a preferred name themselves: one that looks like an address could be anybody's, who is invited later.
        let address = claim == "email" || (self.claim.is_none() && text.contains('@'));
        let verified = claim == "email" && is_true(claims.get("email_verified"));
        if address && !verified && !self.unverified_email {
            return Err(FederationError::Unverified(text));
        }
        Ok(Name { text, proves: claim == "email" || self.claim.is_some() })
    }
}

/// Some providers write flags as text.
fn is_true(value: Option<&Value>) -> bool {
    value.is_some_and(|value| value == true || value == "true")
}

impl Iam {
    /// Expects a browser back from the provider.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn redirect_begin(&self, browser: &Browser) -> Result<Redirect, Error> {
        let state = id::token::<43>();
        let until = self.inner.clock.now().as_millisecond() + REDIRECT_SECONDS * 1000;
        let mut tx = self.inner.store.write(Domain::Sessions).await?;
        rows::redirect_insert(&mut tx, Digest::of(&state), browser.digest(), until).await?;
        tx.commit().await?;
        Ok(Redirect::of(browser, &state))
    }

    /// Takes a browser back, once.
    ///
    /// # Errors
    /// [`FederationError::NotExpected`], or when the database fails.
    pub async fn redirect_take(&self, browser: &Browser, state: &str) -> Result<Redirect, FederationError> {
        let now = self.inner.clock.now().as_millisecond();
        let mut tx = self.inner.store.write(Domain::Sessions).await?;
        let expected = rows::redirect_take(&mut tx, Digest::of(state), browser.digest(), now).await?;
        tx.commit().await?;
        if expected { Ok(Redirect::of(browser, state)) } else { Err(FederationError::NotExpected) }
    }

    /// The user whom the provider means, made at the first login. Returns the IAM ID.
    ///
    /// # Errors
    /// If the provider tells no usable name, or the user of that name is not the provider's.
    pub async fn federated_login(&self, identity: &ProvidedIdentity, naming: &Naming) -> Result<String, FederationError> {
        let mut claims = identity.claims.clone();
        claims.retain(|name, _| !PROTOCOL.contains(&name.as_str()));
        let claims = Value::Object(claims);
        match self.federated_attempt(identity, &claims, naming).await {
            // The same login was made in another window at the same time; now it is found.
            Err(FederationError::Iam(Error::Store(boatyard_store::Error::Duplicate))) => {
                self.federated_attempt(identity, &claims, naming).await
            }
            done => done,
        }
    }

    async fn federated_attempt(
        &self,
        identity: &ProvidedIdentity,
        claims: &Value,
        naming: &Naming,
    ) -> Result<String, FederationError> {
        let now = self.inner.clock.now().as_millisecond();
        let known = rows::get(&mut *self.inner.store.read().await?, &identity.issuer, &identity.subject).await?;
        if let Some(known) = known {
            // Rights may follow from claims, so what remembers rights has to notice other ones.
            let domain = if known.claims == *claims { Domain::Sessions } else { Domain::Identity };
            let mut tx = self.inner.store.write(domain).await?;
            rows::logged_in(&mut tx, &known.iam_id, claims, now).await?;
            tx.commit().await?;
            return Ok(known.iam_id);
        }
        let name = naming.name(&identity.claims)?;
        let mut tx = self.inner.store.write(Domain::Identity).await?;
        let iam_id = self.federated_user(&mut tx, &name, &identity.claims).await?;
        let ProvidedIdentity { issuer, subject, .. } = identity.clone();
        let row = FederatedIdentity { issuer, subject, iam_id, claims: claims.clone(), created_at: now, logged_in_at: now };
        rows::insert(&mut tx, &row).await?;
        tx.commit().await?;
        info!(iam_id = row.iam_id, username = name.text, issuer = row.issuer, "federated user linked");
        Ok(row.iam_id)
    }

    /// The user of a name: one who was invited and has no password, or a new one.
    async fn federated_user(
        &self,
        conn: &mut Conn,
        name: &Name,
        claims: &Map<String, Value>,
    ) -> Result<String, FederationError> {
        let Some(user) = users::by_username(conn, &name.text).await? else {
            let told = |claim: &str| -> String {
                let text = claims.get(claim).and_then(Value::as_str).unwrap_or_default();
                text.chars().filter(|c| !c.is_control()).take(LONGEST_USERNAME / 4).collect()
            };
            let user = self.new_user(&name.text, &told("given_name"), &told("family_name"), None);
            users::insert(conn, &user).await?;
            return Ok(user.iam_id);
        };
        let free = name.proves && user.password_hash.is_none() && rows::of_user(conn, &user.iam_id).await?.is_none();
        if free { Ok(user.iam_id) } else { Err(FederationError::Taken(user.username)) }
    }
}

#[cfg(test)]
mod tests;
