//! Accounts, identities, credentials and tokens: the rules of the IAM in front of the container service. No HTTP and no SQL.
//!
//! A token request enters as form fields ([`TokenRequest::parse`]), is checked against one credential ([`Iam::token`]) and leaves
//! as a [`TokenAnswer`]. An access token enters at [`Iam::authenticate`] and leaves as a [`Caller`].

mod accounts;
mod administrator;
mod authenticate;
mod caller;
mod claims;
mod declare;
mod error;
mod grants;
mod keys;
mod passcodes;
mod passwords;
mod refresh;
mod request;

use std::sync::Arc;

use boatyard_core::{Clock, Digest};
use boatyard_store::{Cache, Domain, Store};

pub use accounts::{ADMINISTRATOR_NAME, AccountPage, CreatedAccount, FirstSecrets, FirstStart, NewAccount};
pub use administrator::{Administrator, AdministratorLogin};
pub use boatyard_store::accounts::{Account, Membership};
pub use boatyard_store::resource_groups::ResourceGroup;
pub use caller::Caller;
pub use declare::{DeclaredKey, DeclaredUser, Outcome};
pub use error::{Error, Result};
pub use grants::TokenAnswer;
pub use keys::{Jwk, grant_types};
pub use passcodes::PASSCODE_SECONDS;
pub use request::{Client, Form, Grant, ResponseTypes, TokenRequest};

/// Seconds for which an access token is good.
pub const ACCESS_TOKEN_SECONDS: i64 = 3600;
/// Seconds for which a refresh token is good unless the account says otherwise: 72 hours, as the service documents.
pub const REFRESH_TOKEN_SECONDS: i64 = 259_200;
/// Seconds for which a delegated refresh token is good unless the request says otherwise: six days, as the service documents.
pub const DELEGATED_TOKEN_SECONDS: i64 = 518_400;

/// The identity service of one installation. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Iam {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    store: Store,
    clock: Clock,
    /// `iss` of every token, such as `https://127.0.0.1:7443/identity`.
    issuer: String,
    keys: keys::KeyRing,
    passwords: passwords::Passwords,
    verified: authenticate::Verified,
    /// Owners of API keys by digest; `None` for keys that do not exist.
    api_keys: Cache<Digest, Option<grants::KeyOwner>>,
    groups: Cache<String, Vec<ResourceGroup>>,
    /// Under one key.
    administrator: Cache<String, Administrator>,
}

impl Iam {
    /// Opens the identity service on `store`. Where there is no signing key yet, one is made in the background.
    ///
    /// # Errors
    /// When the database fails, or holds a signing key that cannot be read.
    pub async fn open(store: Store, clock: Clock, issuer: String) -> Result<Self> {
        let keys = keys::KeyRing::open(&store, &clock).await?;
        Ok(Self {
            inner: Arc::new(Inner {
                api_keys: Cache::new(Domain::Identity, 4096),
                groups: Cache::new(Domain::Identity, 1024),
                administrator: Cache::new(Domain::Identity, 1),
                verified: authenticate::Verified::default(),
                passwords: passwords::Passwords::default(),
                store,
                clock,
                issuer,
                keys,
            }),
        })
    }

    /// Removes sessions and passcodes that can no longer be used. A refresh token is kept for a week past its date, so that its
    /// holder is told that it expired and not that it never was.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn sweep(&self) -> Result<()> {
        const WEEK_MS: i64 = 7 * 24 * 3600 * 1000;
        let now = self.inner.clock.now().as_millisecond();
        let mut tx = self.inner.store.write(Domain::Sessions).await?;
        boatyard_store::tokens::expired_delete(&mut tx, now - WEEK_MS, now).await?;
        Ok(tx.commit().await?)
    }
}
