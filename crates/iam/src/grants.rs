//! The token endpoint: from a credential to tokens.

use std::sync::Arc;

use boatyard_core::secret::ExposeSecret as _;
use boatyard_core::{Digest, SecretString};
use boatyard_store::sessions::Session;
use boatyard_store::tokens::{self, Kind, RefreshToken};
use boatyard_store::{Conn, Domain, access, accounts, api_keys, users};

use crate::claims::Login;
use crate::refresh::{NewRefresh, reaches};
use crate::request::{APIKEY, Client, Form, Grant, TokenRequest};
use crate::sessions::NewSession;
use crate::settings::LoginSettings;
use crate::subject::Subject;
use crate::{Caller, Error, Iam, Result};

/// The longest user name, in bytes.
pub(crate) const LONGEST_USERNAME: usize = 200;

/// Owner of an API key, as often as it is asked for.
#[derive(Clone, Debug)]
pub(crate) struct KeyOwner {
    pub key: api_keys::ApiKey,
    pub subject: Arc<Subject>,
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
pub(crate) struct Authenticated {
    pub subject: Arc<Subject>,
    pub account_id: Option<String>,
    /// The session that goes on, if one does.
    pub session_id: Option<String>,
    /// The session that a new one comes of.
    pub parent: Option<Session>,
    /// The refresh token that another one is issued for.
    pub refreshed: Option<Digest>,
    pub api_key_id: Option<String>,
    /// Of the login at the start of the session.
    pub grant_type: String,
}

impl Iam {
    /// Checks the credential of a token request and issues what it asks for.
    ///
    /// # Errors
    /// If the credential, the client or the account does not fit.
    pub async fn token(&self, request: &TokenRequest) -> Result<TokenAnswer> {
        let login = self.login(request).await?;
        let settings = self.login_settings(login.account_id.as_deref()).await?;
        let mut answer = TokenAnswer::default();
        let session_id = self.lasting(request, &login, &settings, &mut answer).await?;
        let groups = match (request.client, login.account_id.as_deref()) {
            (Client::Kube, Some(account)) => self.group_names(account, &login.subject.iam_id).await?,
            _ => Vec::new(),
        };
        let now = self.inner.clock.now().as_second();
        let claims = Login {
            account_id: login.account_id.as_deref(),
            client_id: request.client.id(),
            // A profile that was assumed has no session of its own, and goes with the one of who assumed it.
            session_id: session_id.as_deref().or(login.session_id.as_deref()),
            grant_type: request.grant.name(),
            issuer: &self.inner.issuer,
            now,
            lifetimes: settings.lifetimes,
            apikey_id: login.api_key_id.as_deref().filter(|_| session_id.is_none()),
            groups: &groups,
        };
        let signer = self.inner.keys.signer().await?;
        if request.response.cloud_iam {
            answer.access_token = Some(signer.sign(&login.subject.access_claims(claims))?.into());
            answer.expires_in = settings.lifetimes.access;
            answer.expiration = now + settings.lifetimes.access;
            // kubectl asks for nothing by name and needs this one.
            if request.client == Client::Kube {
                answer.id_token = Some(signer.sign(&login.subject.id_claims(claims))?.into());
            }
        }
        if request.response.uaa {
            answer.uaa_token = Some(signer.sign(&login.subject.uaa_claims(claims))?.into());
        }
        // A delegated token asked for alone comes alone.
        answer.session_id = session_id.filter(|_| request.response.cloud_iam);
        Ok(answer)
    }

    /// Adds the tokens that outlive the access token, in one transaction, and returns the session. The default client gets no refresh
    /// token, and with an API key no session either, so nothing is written.
    async fn lasting(
        &self,
        request: &TokenRequest,
        login: &Authenticated,
        settings: &LoginSettings,
        answer: &mut TokenAnswer,
    ) -> Result<Option<String>> {
        if matches!(request.grant, Grant::Assume(_)) {
            return match request.response.delegated_refresh_token {
                true => Err(Error::AssumedLasts),
                false => Ok(None),
            };
        }
        if request.client == Client::Default {
            if request.response.delegated_refresh_token {
                return Err(Error::ClientRequired);
            }
            answer.refresh_token = Some("not_supported".to_owned().into());
            answer.uaa_refresh_token = request.response.uaa.then(|| "not_supported".to_owned().into());
            // What comes of a session has to end with it.
            if login.api_key_id.is_some() && login.parent.is_none() {
                return Ok(None);
            }
        }
        let mut tx = self.inner.store.write(Domain::Sessions).await?;
        if settings.max_sessions.is_some() {
            // Sessions may end for this one, and their access tokens with them.
            tx = tx.and(Domain::Identity);
        }
        let session_id = self.session_carry(&mut tx, request, login, settings).await?;
        if request.client == Client::Default {
            // Nothing ends its tokens but a session, which nothing carries on.
            tx.commit().await?;
            return Ok(Some(session_id));
        }
        let new = |kind, client: Client, seconds| NewRefresh {
            kind,
            iam_id: &login.subject.iam_id,
            account_id: login.account_id.as_deref(),
            client_id: client.id(),
            session_id: &session_id,
            grant_type: &login.grant_type,
            seconds,
        };
        let lifetimes = settings.lifetimes;
        if request.response.cloud_iam {
            let seconds = if request.client == Client::Kube { lifetimes.kube_refresh } else { lifetimes.refresh };
            answer.refresh_token =
                Some(self.refresh_issue(&mut tx, &new(Kind::Refresh, request.client, seconds)).await?.into());
        }
        if request.response.uaa {
            let refresh = new(Kind::Refresh, Client::Cf, lifetimes.refresh);
            answer.uaa_refresh_token = Some(self.refresh_issue(&mut tx, &refresh).await?.into());
        }
        if request.response.delegated_refresh_token {
            let delegated =
                NewRefresh { client_id: &request.receivers, ..new(Kind::Delegated, request.client, request.delegated_seconds) };
            answer.delegated_refresh_token = Some(self.refresh_issue(&mut tx, &delegated).await?.into());
        }
        if let Some(digest) = login.refreshed.filter(|_| request.response.cloud_iam) {
            tokens::refresh_use(&mut tx, digest, self.inner.clock.now().as_millisecond()).await?;
        }
        tx.commit().await?;
        Ok(Some(session_id))
    }

    /// The session of a login: a new one, or the one that goes on.
    async fn session_carry(
        &self,
        conn: &mut Conn,
        request: &TokenRequest,
        login: &Authenticated,
        settings: &LoginSettings,
    ) -> Result<String> {
        let account_id = login.account_id.as_deref();
        let Some(session_id) = &login.session_id else {
            let new = NewSession {
                iam_id: &login.subject.iam_id,
                account_id,
                client_id: request.client.id(),
                grant_type: &login.grant_type,
                api_key_id: login.api_key_id.as_deref(),
                parent: login.parent.as_ref(),
            };
            // The key may have gone since it was looked at.
            if let Some(key_id) = &login.api_key_id {
                self.key_check(conn, key_id).await?;
            }
            return self.session_begin(conn, &new, settings).await;
        };
        // It may have been ended since it was looked at.
        match self.session_touch(conn, session_id, account_id, settings).await? {
            true => Ok(session_id.clone()),
            false => Err(Error::RefreshTokenInvalid),
        }
    }

    async fn login(&self, request: &TokenRequest) -> Result<Authenticated> {
        let wanted = request.account.as_deref();
        match &request.grant {
            Grant::ApiKey { apikey } => self.apikey_login(apikey, wanted).await,
            Grant::Password { username, password } => {
                let user = self.password_login(username, password).await?;
                self.of_user(user, wanted, request.grant.name()).await
            }
            Grant::Passcode { passcode } => self.passcode_login(passcode, wanted, request.grant.name()).await,
            Grant::RefreshToken { token } => {
                let session = self.refresh_find(token, Kind::Refresh, request.client).await?;
                let refreshed = Some(Digest::of(token.expose_secret()));
                Ok(Authenticated { refreshed, ..self.of_session(session, wanted).await? })
            }
            Grant::DelegatedRefreshToken { token } => {
                let session = self.refresh_find(token, Kind::Delegated, request.client).await?;
                let refreshed = Some(Digest::of(token.expose_secret()));
                Ok(Authenticated { refreshed, ..self.of_session(session, wanted).await? })
            }
            Grant::Assume(assumption) => self.assume_login(request.client, assumption, wanted, request.grant.name()).await,
        }
    }

    /// An API key belongs to one account; no other can be asked for with it.
    pub(crate) async fn apikey_login(&self, apikey: &SecretString, wanted: Option<&str>) -> Result<Authenticated> {
        let digest = Digest::of(apikey.expose_secret());
        let load = async || {
            let mut conn = self.inner.store.read().await?;
            let Some(key) = api_keys::by_digest(&mut conn, digest).await? else { return Ok::<_, Error>(None) };
            let subject = Subject::find(&mut conn, &key.iam_id).await?;
            Ok(subject.map(|subject| KeyOwner { key, subject: Arc::new(subject) }))
        };
        let owner = self.inner.api_keys.get(&self.inner.store, &digest, load).await?;
        let owner = owner.as_ref().as_ref().ok_or(Error::ApiKeyNotFound)?;
        let key = &owner.key;
        if key.disabled {
            return Err(Error::ApiKeyDisabled);
        }
        if key.expired(self.inner.clock.now().as_millisecond()) {
            return Err(Error::ApiKeyExpired);
        }
        if wanted.is_some_and(|account| account != key.account_id) {
            return Err(Error::ApiKeyOfOtherAccount);
        }
        Ok(Authenticated {
            subject: Arc::clone(&owner.subject),
            account_id: Some(key.account_id.clone()),
            session_id: None,
            parent: None,
            refreshed: None,
            api_key_id: Some(key.id.clone()),
            grant_type: APIKEY.to_owned(),
        })
    }

    /// The user with that name and password.
    pub(crate) async fn password_login(&self, username: &str, password: &SecretString) -> Result<Arc<Subject>> {
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
        user.map(|user| Arc::new(Subject::user(user))).ok_or(Error::WrongPassword { username: name })
    }

    /// The passcode is used up only if the account that is asked for can be had. What a session asked for ends with the session, and is no
    /// younger than it.
    pub(crate) async fn passcode_login(
        &self,
        passcode: &SecretString,
        wanted: Option<&str>,
        grant_type: &str,
    ) -> Result<Authenticated> {
        let (user, found) = self.passcode_find(passcode).await?;
        let user = Arc::new(Subject::user(user));
        if found.account_id.is_some() && wanted.is_some() && wanted != found.account_id.as_deref() {
            return Err(Error::ApiKeyOfOtherAccount);
        }
        let wanted = found.account_id.as_deref().or(wanted);
        let parent = match &found.session_id {
            Some(id) => Some(self.session_check(id, wanted).await.map_err(|error| match error {
                Error::RefreshTokenInvalid => Error::WrongPasscode,
                error => error,
            })?),
            None => None,
        };
        let grant_type = if found.api_key_id.is_some() { APIKEY } else { grant_type };
        let login = self.of_user(user, wanted, grant_type).await?;
        self.passcode_use(passcode).await?;
        Ok(Authenticated { api_key_id: found.api_key_id, parent, ..login })
    }

    pub(crate) async fn of_user(&self, subject: Arc<Subject>, wanted: Option<&str>, grant_type: &str) -> Result<Authenticated> {
        let account_id = self.membership(&subject, wanted).await?;
        let grant_type = grant_type.to_owned();
        Ok(Authenticated { subject, account_id, session_id: None, parent: None, refreshed: None, api_key_id: None, grant_type })
    }

    /// The session goes on, in its own account or in another that is asked for. A login with an API key stays in the key's.
    pub(crate) async fn of_session(&self, token: RefreshToken, wanted: Option<&str>) -> Result<Authenticated> {
        let account_id = wanted.or(token.account_id.as_deref());
        if !reaches(&token, account_id) {
            return Err(Error::ApiKeyOfOtherAccount);
        }
        let session = self.session_check(&token.session_id, account_id).await?;
        let found = Subject::find(&mut *self.inner.store.read().await?, &token.iam_id).await?;
        let subject = Arc::new(found.ok_or(Error::RefreshTokenInvalid)?);
        let account_id = self.membership(&subject, account_id).await?;
        // Another account gets a session of its own, which its administrators see and can end.
        let switched = session.account_id.is_some() && session.account_id != account_id;
        Ok(Authenticated {
            subject,
            account_id,
            session_id: (!switched).then_some(token.session_id),
            api_key_id: session.api_key_id.clone(),
            parent: switched.then_some(session),
            refreshed: None,
            grant_type: token.grant_type,
        })
    }

    /// The account that is asked for, if the subject belongs to it.
    pub(crate) async fn membership(&self, subject: &Subject, wanted: Option<&str>) -> Result<Option<String>> {
        let Some(account) = wanted else { return Ok(subject.account_id.clone()) };
        let belongs = match &subject.account_id {
            Some(own) => own == account,
            None => access::is_member(&mut *self.inner.store.read().await?, account, &subject.iam_id).await?,
        };
        if belongs { Ok(Some(account.to_owned())) } else { Err(Error::NotAMember { account: account.to_owned() }) }
    }

    /// The account whose owner should know of a login that failed: that of the API key, or of the user whose name was given: the one that
    /// was asked for, or else the first that the user joined. `None` if neither is known.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn login_account(&self, form: &Form) -> Result<Option<String>> {
        let field = |name| form.get(name).ok().flatten();
        let mut conn = self.inner.store.read().await?;
        if let Some(apikey) = field("apikey") {
            return Ok(api_keys::by_digest(&mut conn, Digest::of(apikey)).await?.map(|key| key.account_id));
        }
        let name = field("username").map(|name| name.trim().to_lowercase()).filter(|name| name.len() <= LONGEST_USERNAME);
        // No name holds a NUL, and not every database can.
        let Some(name) = name.filter(|name| !name.contains('\0')) else { return Ok(None) };
        let Some(user) = users::by_username(&mut conn, &name).await? else { return Ok(None) };
        if let Some(wanted) = field("bss_account").or(field("account"))
            && access::is_member(&mut conn, wanted, &user.iam_id).await?
        {
            return Ok(Some(wanted.to_owned()));
        }
        Ok(accounts::list(&mut conn, &user.iam_id, None, 1).await?.pop().map(|first| first.account.id))
    }

    /// An ID token with which kubectl speaks to a cluster of the caller's account, as it would be had it been made `age_seconds` ago.
    ///
    /// # Errors
    /// When the caller no longer exists, or the database fails.
    pub async fn id_token_for(&self, caller: &Caller, age_seconds: i64) -> Result<String> {
        let found = Subject::find(&mut *self.inner.store.read().await?, &caller.iam_id).await?;
        let account_id = caller.account_id.as_deref();
        let groups = match account_id {
            Some(account) => self.group_names(account, &caller.iam_id).await?,
            None => Vec::new(),
        };
        let login = Login {
            account_id,
            client_id: Client::Kube.id(),
            session_id: caller.session_id.as_deref(),
            grant_type: "",
            issuer: &self.inner.issuer,
            now: self.inner.clock.now().as_second() - age_seconds,
            lifetimes: self.login_settings(account_id).await?.lifetimes,
            apikey_id: caller.apikey_id.as_deref(),
            groups: &groups,
        };
        self.inner.keys.signer().await?.sign(&found.ok_or(Error::TokenForeign)?.id_claims(login))
    }
}
