//! Accounts, identities, credentials and tokens: the rules of the IAM in front of the container service. No HTTP and no SQL.
//!
//! A token request enters as form fields ([`TokenRequest::parse`]), is checked against one credential ([`Iam::token`]) and leaves
//! as a [`TokenAnswer`]. An access token enters at [`Iam::authenticate`] and leaves as a [`Caller`].

pub mod access;
mod access_error;
pub mod access_groups;
pub mod account_settings;
mod accounts;
mod administrator;
pub mod api_keys;
mod assume;
mod authenticate;
mod browser_sessions;
mod caller;
mod claims;
mod cluster_access;
mod cluster_logins;
mod declare;
mod error;
mod federation;
mod grants;
mod keys;
mod listing;
mod manage;
mod membership;
mod passcodes;
mod passwords;
pub mod policies;
pub mod preferences;
pub mod profiles;
mod provide;
mod refresh;
mod request;
mod resource_groups;
pub mod roles;
pub mod service_ids;
mod session_list;
mod sessions;
mod settings;
mod subject;
pub mod trust;
mod users;

use std::sync::Arc;

use boatyard_core::{Clock, Digest};
use boatyard_store::{Cache, Domain, Store};

pub use access_error::{AccessError, Subject as AccessSubject};
pub use accounts::{ADMINISTRATOR_NAME, AccountPage, CreatedAccount, FirstSecrets, FirstStart, NewAccount};
pub use administrator::{Administrator, AdministratorLogin};
pub use authenticate::KubeUser;
pub use boatyard_store::accounts::{Account, Membership};
pub use boatyard_store::api_keys::ApiKey as StoredApiKey;
pub use boatyard_store::oauth_tokens::OAuthToken;
pub use boatyard_store::profiles::{Identity as StoredProfileIdentity, Profile as StoredProfile};
pub use boatyard_store::resource_groups::ResourceGroup;
pub use boatyard_store::service_ids::{Group as StoredServiceIdGroup, ServiceId as StoredServiceId};
pub use boatyard_store::sessions::Session;
pub use browser_sessions::{BROWSER_IDLE_SECONDS, BROWSER_SESSION_SECONDS, Browser, BrowserLogin};
pub use caller::{Caller, Identity};
pub use cluster_access::{ClusterGrant, ClusterGrants, ClusterSubject};
pub use cluster_logins::{
    CLUSTER_TOKEN_PREFIX, CLUSTER_TOKEN_SECONDS, Challenge, ClusterClient, ClusterCredential, ClusterLogin, ClusterPlace,
    ClusterUser, cluster_token_name,
};
pub use declare::{DeclaredKey, DeclaredUser, Outcome};
pub use error::{Error, Result};
pub use federation::{FederationError, Naming, ProvidedIdentity, REDIRECT_SECONDS, Redirect};
pub use grants::TokenAnswer;
pub use keys::{Jwk, grant_types};
pub use listing::{Listing, Page};
pub use manage::{ManageError, entity_tag};
pub use passcodes::PASSCODE_SECONDS;
pub use provide::{NewUser, ProvidedUser};
pub use refresh::REFRESH_GRACE_SECONDS;
pub use request::{Assumption, Client, Form, Grant, ProfileName, ResponseTypes, TokenRequest};
pub use resource_groups::{GroupError, QUOTA, Quota};
pub use session_list::{SessionError, SessionPage, SessionQuery};
pub use settings::IDENTITY as IDENTITY_SETTINGS;
pub use subject::Kind;
pub use users::{
    AccountUser, Grant as AccessGrant, Invitation, MOST_USERS, Profile, UserError, UserPage, UserQuery, UserSettings,
};

/// Seconds for which an access token is good.
pub const ACCESS_TOKEN_SECONDS: i64 = 3600;
/// Seconds for which an ID token is good, with which kubectl speaks to a cluster.
pub const ID_TOKEN_SECONDS: i64 = 1200;
/// Seconds for which a refresh token of kubectl's is good: 30 days.
pub const KUBE_REFRESH_TOKEN_SECONDS: i64 = 2_592_000;
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
    /// The same for ID tokens.
    verified_kube: authenticate::Verified,
    /// Owners of API keys by digest; `None` for keys that do not exist.
    api_keys: Cache<Digest, Option<grants::KeyOwner>>,
    groups: Cache<String, Vec<ResourceGroup>>,
    /// By account ID.
    login_settings: Cache<String, settings::LoginSettings>,
    /// By account ID, IAM ID and groups that it is not listed in, with slashes between.
    rights: Cache<String, access::Rights>,
    /// By account ID.
    cluster_policies: Cache<String, cluster_access::ClusterPolicies>,
    /// By cluster ID and name, with a slash between; `None` for what is no token.
    cluster_tokens: Cache<String, Option<cluster_logins::Known>>,
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
                login_settings: Cache::new(Domain::Identity, 1024),
                rights: Cache::new(Domain::Identity, 4096),
                cluster_tokens: Cache::new(Domain::Identity, 4096),
                administrator: Cache::new(Domain::Identity, 1),
                verified: authenticate::Verified::default(),
                verified_kube: authenticate::Verified::default(),
                cluster_policies: Cache::new(Domain::Identity, 1024),
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
        boatyard_store::oauth_tokens::expired_delete(&mut tx, now).await?;
        boatyard_store::sessions::unused_delete(&mut tx, now - WEEK_MS).await?;
        tx.commit().await?;
        self.browsers_sweep().await
    }
}
