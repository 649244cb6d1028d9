//! The token endpoint: from a credential to tokens.

use std::sync::Arc;

use boatyard_core::secret::ExposeSecret as _;
use boatyard_core::{Digest, SecretString, id};
use boatyard_store::tokens::{Kind, RefreshToken};
use boatyard_store::{Domain, accounts, api_keys, users};

use crate::claims::{Login, Person};
use crate::refresh::{NewRefresh, reaches};
use crate::request::{Client, Grant, TokenRequest};
use crate::{ACCESS_TOKEN_SECONDS, Caller, Error, Iam, REFRESH_TOKEN_SECONDS, Result};

/// The longest user name, in bytes.
pub(crate) const LONGEST_USERNAME: usize = 200;

/// Owner of an API key, as often as it is asked for.
#[derive(Clone, Debug)]
pub(crate) struct KeyOwner {
    pub account_id: String,
    pub disabled: bool,
    pub person: Arc<Person>,
}

/// The answer to a token request, in the names of the wire.
#[derive(Clone, Debug, Default)]
pub struct TokenAnswer {
    pub access_token: Option<SecretString>,
    pub refresh_token: Option<SecretString>,
    pub uaa_token: Option<SecretString>,
    pub uaa_refresh_token: Option<SecretString>,
    pub delegated_refresh_token: Option<SecretString>,
    pub id_token: Option<SecretString>,
    /// Seconds for which the access token is good.
    pub expires_in: i64,
    /// When it ends, in seconds since the Unix epoch.
    pub expiration: i64,
    pub session_id: Option<String>,
}

/// A credential that was found good.
struct Authenticated {
    person: Arc<Person>,
    account_id: Option<String>,
    session_id: Option<String>,
    /// Of the login at the start of the session.
    grant_type: String,
}

impl Iam {
    /// Checks the credential of a token request and issues what it asks for.
    ///
    /// # Errors
    /// If the credential, the client or the account does not fit.
    pub async fn token(&self, request: &TokenRequest) -> Result<TokenAnswer> {
        let login = self.login(request).await?;
        let now = self.inner.clock.now().as_second();
        let mut answer = TokenAnswer::default();
        // The default client gets nothing that lasts: no session, no refresh token, and so nothing is written.
        let session_id = match (request.client, login.session_id) {
            (Client::Default, _) => None,
            (_, Some(session)) => Some(session),
            (_, None) => Some(format!("C-{}", id::uuid())),
        };
        let claims = Login {
            account_id: login.account_id.as_deref(),
            client_id: request.client.id(),
            session_id: session_id.as_deref(),
            grant_type: request.grant.name(),
            issuer: &self.inner.issuer,
            now,
        };
        let signer = self.inner.keys.signer().await?;
        if request.response.cloud_iam {
            answer.access_token = Some(signer.sign(&login.person.access_claims(claims))?.into());
            answer.expires_in = ACCESS_TOKEN_SECONDS;
            answer.expiration = now + ACCESS_TOKEN_SECONDS;
            // kubectl asks for nothing by name and needs this one.
            if request.client == Client::Kube {
                answer.id_token = Some(signer.sign(&login.person.id_claims(claims))?.into());
            }
        }
        if request.response.uaa {
            answer.uaa_token = Some(signer.sign(&login.person.uaa_claims(claims))?.into());
        }
        let login = Session { person: &login.person, account_id: login.account_id.as_deref(), grant_type: &login.grant_type };
        self.lasting(request, &login, session_id.as_deref(), &mut answer).await?;
        // A delegated token asked for alone comes alone.
        answer.session_id = session_id.filter(|_| request.response.cloud_iam);
        Ok(answer)
    }

    /// Adds the tokens that outlive the access token, in one transaction.
    async fn lasting(
        &self,
        request: &TokenRequest,
        login: &Session<'_>,
        session: Option<&str>,
        answer: &mut TokenAnswer,
    ) -> Result<()> {
        let Some(session_id) = session else {
            if request.response.delegated_refresh_token {
                return Err(Error::ClientRequired);
            }
            answer.refresh_token = Some("not_supported".to_owned().into());
            answer.uaa_refresh_token = answer.uaa_token.as_ref().map(|_| "not_supported".to_owned().into());
            return Ok(());
        };
        let new = |kind, client_id, seconds| NewRefresh {
            kind,
            iam_id: &login.person.user.iam_id,
            account_id: login.account_id,
            client_id,
            session_id,
            grant_type: login.grant_type,
            seconds,
        };
        let mut tx = self.inner.store.write(Domain::Sessions).await?;
        if request.response.cloud_iam {
            let refresh = new(Kind::Refresh, request.client.id(), REFRESH_TOKEN_SECONDS);
            answer.refresh_token = Some(self.refresh_issue(&mut tx, &refresh).await?.into());
        }
        if request.response.uaa {
            let refresh = new(Kind::Refresh, Client::Cf.id(), REFRESH_TOKEN_SECONDS);
            answer.uaa_refresh_token = Some(self.refresh_issue(&mut tx, &refresh).await?.into());
        }
        if request.response.delegated_refresh_token {
            let delegated = new(Kind::Delegated, &request.receivers, request.delegated_seconds);
            answer.delegated_refresh_token = Some(self.refresh_issue(&mut tx, &delegated).await?.into());
        }
        Ok(tx.commit().await?)
    }

    async fn login(&self, request: &TokenRequest) -> Result<Authenticated> {
        let wanted = request.account.as_deref();
        match &request.grant {
            Grant::ApiKey { apikey } => self.apikey_login(apikey, wanted).await,
            Grant::Password { username, password } => {
                let person = self.password_login(username, password).await?;
                self.of_person(person, wanted, request.grant.name()).await
            }
            Grant::Passcode { passcode } => self.passcode_login(passcode, wanted, request.grant.name()).await,
            Grant::RefreshToken { token } => {
                let session = self.refresh_find(token, Kind::Refresh, request.client).await?;
                self.of_session(session, wanted).await
            }
            Grant::DelegatedRefreshToken { token } => {
                let session = self.refresh_find(token, Kind::Delegated, request.client).await?;
                self.of_session(session, wanted).await
            }
        }
    }

    /// An API key belongs to one account; no other can be asked for with it.
    async fn apikey_login(&self, apikey: &SecretString, wanted: Option<&str>) -> Result<Authenticated> {
        let digest = Digest::of(apikey.expose_secret());
        let load = async || {
            let found = api_keys::by_digest(&mut *self.inner.store.read().await?, digest).await?;
            Ok::<_, Error>(found.map(|(key, user)| KeyOwner {
                account_id: key.account_id,
                disabled: key.disabled,
                person: Arc::new(Person::new(user)),
            }))
        };
        let owner = self.inner.api_keys.get(&self.inner.store, &digest, load).await?;
        let owner = owner.as_ref().as_ref().ok_or(Error::ApiKeyNotFound)?;
        if owner.disabled {
            return Err(Error::ApiKeyDisabled);
        }
        if wanted.is_some_and(|account| account != owner.account_id) {
            return Err(Error::ApiKeyOfOtherAccount);
        }
        Ok(Authenticated {
            person: Arc::clone(&owner.person),
            account_id: Some(owner.account_id.clone()),
            session_id: None,
            grant_type: "urn:ibm:params:oauth:grant-type:apikey".to_owned(),
        })
    }

    /// The user with that name and password.
    pub(crate) async fn password_login(&self, username: &str, password: &SecretString) -> Result<Arc<Person>> {
        // No user has a longer name, and names are remembered with their failures.
        if username.len() > LONGEST_USERNAME {
            let username = username.chars().take(40).collect();
            return Err(Error::WrongPassword { username });
        }
        let name = username.trim().to_lowercase();
        let user = users::by_username(&mut *self.inner.store.read().await?, &name).await?;
        if user.as_ref().is_some_and(|user| user.password_hash.is_none()) {
            return Err(Error::Federated { username: username.to_owned() });
        }
        let hash = user.as_ref().and_then(|user| user.password_hash.as_deref());
        self.inner.passwords.check(&name, password, hash).await?;
        // Without a user no password is right, so there is one.
        user.map(|user| Arc::new(Person::new(user))).ok_or(Error::WrongPassword { username: name })
    }

    /// The passcode is used up only if the account that is asked for can be had.
    async fn passcode_login(&self, passcode: &SecretString, wanted: Option<&str>, grant_type: &str) -> Result<Authenticated> {
        let mut tx = self.inner.store.write(Domain::Sessions).await?;
        let person = Arc::new(Person::new(self.passcode_take(&mut tx, passcode).await?));
        let authenticated = self.of_person(person, wanted, grant_type).await?;
        tx.commit().await?;
        Ok(authenticated)
    }

    async fn of_person(&self, person: Arc<Person>, wanted: Option<&str>, grant_type: &str) -> Result<Authenticated> {
        let account_id = self.membership(&person, wanted).await?;
        Ok(Authenticated { person, account_id, session_id: None, grant_type: grant_type.to_owned() })
    }

    /// The session goes on, in its own account or in another that is asked for. A login with an API key stays in the key's.
    async fn of_session(&self, session: RefreshToken, wanted: Option<&str>) -> Result<Authenticated> {
        let user =
            users::get(&mut *self.inner.store.read().await?, &session.iam_id).await?.ok_or(Error::RefreshTokenInvalid)?;
        let switched = wanted.filter(|account| session.account_id.as_deref() != Some(account));
        if switched.is_some_and(|account| !reaches(&session, Some(account))) {
            return Err(Error::ApiKeyOfOtherAccount);
        }
        let person = Arc::new(Person::new(user));
        let account_id = match switched {
            Some(account) => self.membership(&person, Some(account)).await?,
            None => session.account_id,
        };
        Ok(Authenticated { person, account_id, session_id: Some(session.session_id), grant_type: session.grant_type })
    }

    async fn membership(&self, person: &Person, wanted: Option<&str>) -> Result<Option<String>> {
        let Some(account) = wanted else { return Ok(None) };
        let found = accounts::get(&mut *self.inner.store.read().await?, account, &person.user.iam_id).await?;
        found.map(|found| Some(found.account.id)).ok_or_else(|| Error::NotAMember { account: account.to_owned() })
    }

    /// An ID token with which kubectl speaks to a cluster of the caller's account, as it would be had it been made `age_seconds` ago.
    ///
    /// # Errors
    /// When the caller no longer exists, or the database fails.
    pub async fn id_token_for(&self, caller: &Caller, age_seconds: i64) -> Result<String> {
        let user = users::get(&mut *self.inner.store.read().await?, &caller.iam_id).await?.ok_or(Error::TokenForeign)?;
        let login = Login {
            account_id: caller.account_id.as_deref(),
            client_id: Client::Kube.id(),
            session_id: caller.session_id.as_deref(),
            grant_type: "",
            issuer: &self.inner.issuer,
            now: self.inner.clock.now().as_second() - age_seconds,
        };
        self.inner.keys.signer().await?.sign(&Person::new(user).id_claims(login))
    }
}

/// What lasting tokens are issued for.
struct Session<'a> {
    person: &'a Person,
    account_id: Option<&'a str>,
    grant_type: &'a str,
}
