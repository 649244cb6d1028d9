//! Who asks, and what they may do.

use std::ops::Deref;
use std::sync::Arc;

use jiff::Timestamp;

use crate::access::{Resource, Rights};
use crate::subject::Kind;
use crate::{Error, Result};

/// The identity behind an access token. Only [`crate::Iam::authenticate`] makes one from a token;
/// [`crate::Iam::caller_declared`] makes one for what the operator declares.
#[derive(Clone, Debug)]
pub struct Identity {
    pub iam_id: String,
    pub email: String,
    pub name: String,
    /// The account the token is scoped to; a token from a password or passcode login without `bss_account` has none.
    pub account_id: Option<String>,
    pub client_id: String,
    pub session_id: Option<String>,
    /// The key that a token without a session was issued for.
    pub apikey_id: Option<String>,
    pub expires_at: Timestamp,
    /// All claims of the token, as served by `/identity/userinfo`.
    pub claims: Arc<serde_json::Value>,
}

impl Identity {
    #[must_use]
    pub fn kind(&self) -> Kind {
        Kind::of(&self.iam_id)
    }
}

/// An identity in one request: what it may do in its account, and what this request needs. Every rule takes one.
#[derive(Clone, Debug)]
pub struct Caller {
    identity: Arc<Identity>,
    rights: Arc<Rights>,
    /// What the operation needs; empty if it needs nothing.
    action: &'static str,
    now: Timestamp,
}

impl Deref for Caller {
    type Target = Identity;

    fn deref(&self) -> &Identity {
        &self.identity
    }
}

impl Caller {
    /// `identity` with `rights` in its account, at the time `now`.
    #[must_use]
    pub fn new(identity: Arc<Identity>, rights: Arc<Rights>, now: Timestamp) -> Self {
        Self { identity, rights, action: "", now }
    }

    /// The caller of an operation that needs `action`.
    #[must_use]
    pub fn acting(self, action: &'static str) -> Self {
        Self { action, ..self }
    }

    /// What the operation needs; empty if it needs nothing.
    #[must_use]
    pub fn action(&self) -> &'static str {
        self.action
    }

    /// The account of the token.
    ///
    /// # Errors
    /// [`Error::Unscoped`] if the token is for none.
    pub fn account(&self) -> Result<&str> {
        self.account_id.as_deref().ok_or(Error::Unscoped)
    }

    /// Whether `action` is allowed on `resource`.
    #[must_use]
    pub fn may(&self, action: &str, resource: &Resource<'_>) -> bool {
        self.rights.allow(action, resource, self.now)
    }

    /// Whether what the operation needs is allowed on `resource`.
    #[must_use]
    pub fn reaches(&self, resource: &Resource<'_>) -> bool {
        self.action.is_empty() || self.may(self.action, resource)
    }

    /// That what the operation needs is allowed on `resource`.
    ///
    /// # Errors
    /// [`Error::Forbidden`].
    pub fn permit(&self, resource: &Resource<'_>) -> Result<()> {
        if self.reaches(resource) { Ok(()) } else { Err(Error::Forbidden { action: self.action.to_owned() }) }
    }

    /// That `action` is allowed in the whole account, on everything of the service that it belongs to.
    ///
    /// # Errors
    /// [`Error::Forbidden`], also for a token without an account.
    pub fn permit_account(&self, action: &str) -> Result<()> {
        let account = self.account_id.as_deref().unwrap_or_default();
        if self.may(action, &Resource::service(account, service_of(action))) {
            return Ok(());
        }
        Err(Error::Forbidden { action: action.to_owned() })
    }

    /// That `action` is allowed on anything at all in the account.
    ///
    /// # Errors
    /// [`Error::Forbidden`], also for a token without an account.
    pub fn permit_somewhere(&self, action: &str) -> Result<()> {
        if self.rights.allow_somewhere(action, service_of(action), self.now) {
            return Ok(());
        }
        Err(Error::Forbidden { action: action.to_owned() })
    }

    /// Whether what the operation needs is allowed on every resource of the account, so that lists need not be looked through.
    #[must_use]
    pub fn reaches_all(&self) -> bool {
        let account = self.account_id.as_deref().unwrap_or_default();
        self.reaches(&Resource::service(account, service_of(self.action)))
    }
}

/// The service of an action, as policies name it: the first word, but for policies and roles themselves.
pub(crate) fn service_of(action: &str) -> &str {
    match action.split('.').next().unwrap_or_default() {
        "iam" => "iam-access-management",
        service => service,
    }
}
