//! A login that stays alive: calls go out with a fresh access token, whatever other commands do meanwhile.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use boatyard_core::Clock;
use futures::TryStreamExt as _;
use jiff::Timestamp;
use progenitor_client::{ByteStream, ResponseValue};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Serialize;

use crate::claims::Claims;
use crate::error::{self, Error, of_call};
use crate::grant::{Credential, TokenService};
use crate::home::Home;
use crate::state::{Account, Named, State, Tokens};
use crate::transport::Endpoint;

/// What one generated call answers.
type Answer<T, E> = Result<ResponseValue<T>, progenitor_client::Error<E>>;

/// A generated client; every document of the contract has one.
pub trait ServiceClient {
    /// The client of this service at `endpoint`, sending its requests through `http`.
    fn at(endpoint: &str, http: reqwest::Client) -> Self;
}

macro_rules! service_clients {
    ($($service:ident),+ $(,)?) => {$(
        impl ServiceClient for crate::$service::Client {
            fn at(endpoint: &str, http: reqwest::Client) -> Self {
                Self::new_with_client(endpoint, http)
            }
        }
    )+};
}

service_clients!(
    accounts,
    containers,
    global_tagging,
    iam_access_groups,
    iam_identity,
    iam_policy_management,
    iam_token,
    resource_controller,
    resource_manager,
    user_management,
);

/// What a login asks for beside the credential.
#[derive(Clone, Debug, Default)]
pub struct LoginOptions {
    /// ID of the account to scope the tokens to at once.
    pub account: Option<String>,
    /// Keeps an API key in the file, to log in with it again when the refresh token is of no use any more.
    pub keep_apikey: bool,
}

/// A login and the HTTP client that carries its token. Commands that run at the same time share it through its file.
pub struct Session {
    home: Home,
    clock: Clock,
    endpoint: Endpoint,
    state: Mutex<State>,
    http: Mutex<Option<Authorised>>,
    /// Whether the file has this login; until it does, changes are kept in memory only.
    saved: AtomicBool,
}

struct Authorised {
    token: SecretString,
    client: reqwest::Client,
}

impl Session {
    /// The login of this user, from `$BOATYARD_HOME` or the user's configuration directory.
    ///
    /// # Errors
    /// [`Error::NotLoggedIn`] when there is none.
    pub fn load() -> Result<Self, Error> {
        Self::load_from(Home::from_env()?, Clock::default())
    }

    /// The login kept in `home`.
    ///
    /// # Errors
    /// [`Error::NotLoggedIn`] when there is none.
    pub fn load_from(home: Home, clock: Clock) -> Result<Self, Error> {
        let state = home.read()?.filter(|s| s.tokens.is_some()).ok_or(Error::NotLoggedIn)?;
        Self::new(home, clock, state, true)
    }

    /// What is remembered in `home`, logged in or not: a logout leaves the endpoint.
    ///
    /// # Errors
    /// When the file is there and cannot be read.
    pub fn remembered(home: &Home) -> Result<Option<State>, Error> {
        home.read()
    }

    fn new(home: Home, clock: Clock, state: State, saved: bool) -> Result<Self, Error> {
        let endpoint = Endpoint::new(&state.endpoint, state.ca_file.as_deref())?;
        let saved = AtomicBool::new(saved);
        Ok(Self { home, clock, endpoint, state: Mutex::new(state), http: Mutex::new(None), saved })
    }

    /// Logs in with an API key.
    ///
    /// # Errors
    /// What the token service answers; connection problems; a file that cannot be written.
    pub async fn login_apikey(
        home: Home,
        clock: Clock,
        endpoint: Endpoint,
        key: SecretString,
        options: LoginOptions,
    ) -> Result<Self, Error> {
        Self::login(home, clock, endpoint, Credential::ApiKey(key), options).await
    }

    /// Logs in with a user name and a password.
    ///
    /// # Errors
    /// As [`Session::login_apikey`].
    pub async fn login_password(
        home: Home,
        clock: Clock,
        endpoint: Endpoint,
        username: &str,
        password: SecretString,
        options: LoginOptions,
    ) -> Result<Self, Error> {
        let credential = Credential::Password { username: username.to_owned(), password };
        Self::login(home, clock, endpoint, credential, options).await
    }

    /// Logs in with a one-time passcode.
    ///
    /// # Errors
    /// As [`Session::login_apikey`].
    pub async fn login_passcode(
        home: Home,
        clock: Clock,
        endpoint: Endpoint,
        passcode: SecretString,
        options: LoginOptions,
    ) -> Result<Self, Error> {
        Self::login(home, clock, endpoint, Credential::Passcode(passcode), options).await
    }

    /// Logs in with any credential and saves the login. A login that fails leaves the one before it untouched.
    ///
    /// # Errors
    /// As [`Session::login_apikey`].
    pub async fn login(
        home: Home,
        clock: Clock,
        endpoint: Endpoint,
        credential: Credential,
        options: LoginOptions,
    ) -> Result<Self, Error> {
        let session = Self::login_unsaved(home, clock, endpoint, credential, options).await?;
        session.save().await?;
        Ok(session)
    }

    /// Logs in with any credential, and leaves the login that `home` has as it is until [`Session::save`].
    ///
    /// # Errors
    /// As [`Session::login_apikey`].
    pub async fn login_unsaved(
        home: Home,
        clock: Clock,
        endpoint: Endpoint,
        credential: Credential,
        options: LoginOptions,
    ) -> Result<Self, Error> {
        let service = TokenService::at(&endpoint)?;
        let tokens = service.login(&credential, options.account.as_deref(), clock.now()).await?;
        let claims = Claims::of(tokens.access.expose_secret());
        let state = State {
            endpoint: endpoint.url().to_owned(),
            ca_file: endpoint.ca_file().map(Into::into),
            user: claims.user(),
            account: claims.account.bss.map(|id| Account { id, name: None }),
            resource_group: None,
            tokens: Some(tokens),
            apikey: match credential {
                Credential::ApiKey(key) if options.keep_apikey => Some(key),
                _ => None,
            },
        };
        Self::new(home, clock, state, false)
    }

    /// Makes this login the one that `home` has.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub async fn save(&self) -> Result<(), Error> {
        let _lock = self.home.lock().await?;
        self.home.write(&self.state())?;
        self.saved.store(true, Ordering::Release);
        Ok(())
    }

    /// A copy of what is remembered.
    #[must_use]
    pub fn state(&self) -> State {
        lock(&self.state).clone()
    }

    #[must_use]
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    #[must_use]
    pub fn home(&self) -> &Home {
        &self.home
    }

    /// ID of the targeted resource group, for the header `X-Auth-Resource-Group`.
    #[must_use]
    pub fn resource_group(&self) -> Option<String> {
        lock(&self.state).resource_group.as_ref().map(|g| g.id.clone())
    }

    /// Targets a resource group, or none.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub async fn select_resource_group(&self, group: Option<Named>) -> Result<(), Error> {
        self.change(|state| state.resource_group = group).await
    }

    /// Gives the selected account the name that people know it by.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub async fn name_account(&self, name: &str) -> Result<(), Error> {
        self.change(|state| {
            if let Some(account) = &mut state.account {
                account.name = Some(name.to_owned());
            }
        })
        .await
    }

    /// Scopes the login to an account.
    ///
    /// # Errors
    /// What the token service answers, for one when the API key of the login belongs to another account.
    pub async fn select_account(&self, account: Account) -> Result<(), Error> {
        let _lock = self.home.lock().await?;
        let mut state = self.current()?;
        let token = state.tokens.as_ref().and_then(|t| t.refresh.clone()).ok_or(Error::NotLoggedIn)?;
        let service = TokenService::at(&self.endpoint)?;
        state.tokens = Some(service.refresh(&token, Some(&account.id), self.clock.now()).await?);
        state.account = Some(account);
        state.resource_group = None;
        self.keep(state)
    }

    /// Changes what is remembered, on top of what other commands have made of it meanwhile.
    async fn change(&self, edit: impl FnOnce(&mut State)) -> Result<(), Error> {
        let _lock = self.home.lock().await?;
        let mut state = self.current()?;
        edit(&mut state);
        self.keep(state)
    }

    /// Remembers what a login has become. To be called under the lock.
    fn keep(&self, state: State) -> Result<(), Error> {
        if self.saved.load(Ordering::Acquire) {
            self.home.write(&state)?;
        }
        *lock(&self.state) = state;
        Ok(())
    }

    /// The login as the file has it, if it is still this one. To be called under the lock.
    fn current(&self) -> Result<State, Error> {
        let mine = self.state();
        if !self.saved.load(Ordering::Acquire) {
            return Ok(mine);
        }
        let kept = self.home.read()?.filter(|kept| kept.tokens.is_some() && same_login(kept, &mine));
        kept.ok_or(Error::LoginChanged)
    }

    /// Forgets the tokens; the endpoint stays for the next login. The refresh token is revoked if the server can be reached.
    ///
    /// # Errors
    /// When the file cannot be written. That the server was told is not guaranteed: the answer is whether it was.
    pub async fn logout(home: &Home) -> Result<bool, Error> {
        let _lock = home.lock().await?;
        let Some(mut state) = home.read()? else { return Ok(false) };
        let refresh = state.tokens.take().and_then(|t| t.refresh);
        state.apikey = None;
        home.write(&state)?;
        let Some(refresh) = refresh else { return Ok(false) };
        let endpoint = Endpoint::new(&state.endpoint, state.ca_file.as_deref());
        let revoked = async { TokenService::at(&endpoint?)?.revoke(&refresh).await };
        Ok(revoked.await.is_ok())
    }

    /// Calls an operation of a service. The access token is renewed before it expires, and once if it is refused.
    ///
    /// # Errors
    /// [`Error::Service`] with the service's own words, or what went wrong on the way.
    pub async fn call<C, T, E, F>(&self, operation: F) -> Result<T, Error>
    where
        C: ServiceClient,
        E: Serialize,
        F: AsyncFn(&C) -> Answer<T, E>,
    {
        Ok(self.answer(operation).await?.into_inner())
    }

    /// The same, with the entity tag of what was read, for `If-Match` of a change to it.
    ///
    /// # Errors
    /// As [`Session::call`]; [`Error::Unintelligible`] for an answer without a tag.
    pub async fn call_tagged<C, T, E, F>(&self, operation: F) -> Result<(T, String), Error>
    where
        C: ServiceClient,
        E: Serialize,
        F: AsyncFn(&C) -> Answer<T, E>,
    {
        let answer = self.answer(operation).await?;
        let tag = answer.headers().get(reqwest::header::ETAG).and_then(|tag| tag.to_str().ok()).map(str::to_owned);
        let tag = tag.ok_or_else(|| Error::Unintelligible {
            endpoint: self.endpoint.url().to_owned(),
            reason: "an answer without the header ETag".to_owned(),
        })?;
        Ok((answer.into_inner(), tag))
    }

    async fn answer<C, T, E, F>(&self, operation: F) -> Result<ResponseValue<T>, Error>
    where
        C: ServiceClient,
        E: Serialize,
        F: AsyncFn(&C) -> Answer<T, E>,
    {
        let (http, token) = self.authorised().await?;
        let refused = match operation(&C::at(self.endpoint.url(), http)).await {
            Ok(answer) => return Ok(answer),
            Err(error) => error,
        };
        if refused.status() != Some(reqwest::StatusCode::UNAUTHORIZED) {
            return Err(self.error(refused).await);
        }
        tracing::debug!("the access token was refused, getting another one");
        self.renew(&token).await?;
        let (http, _) = self.http()?;
        match operation(&C::at(self.endpoint.url(), http)).await {
            Ok(answer) => Ok(answer),
            Err(error) => Err(self.error(error).await),
        }
    }

    /// Calls an operation that answers a file, and reads it to its end.
    ///
    /// # Errors
    /// As [`Session::call`].
    pub async fn download<C, E, F>(&self, operation: F) -> Result<Vec<u8>, Error>
    where
        C: ServiceClient,
        E: Serialize,
        F: AsyncFn(&C) -> Answer<ByteStream, E>,
    {
        let stream = self.call(operation).await?.into_inner();
        let read = stream.try_fold(Vec::new(), async |mut all, part| {
            all.extend_from_slice(&part);
            Ok(all)
        });
        read.await.map_err(|e| error::of_transport(&e, self.endpoint.url(), self.endpoint.ca_path()))
    }

    /// An access token that is good for a while.
    ///
    /// # Errors
    /// When it had to be renewed and could not be.
    pub async fn access_token(&self) -> Result<SecretString, Error> {
        Ok(self.authorised().await?.1)
    }

    /// A refresh token for kubectl, which is a client of its own.
    ///
    /// # Errors
    /// What the token service answers; [`Error::NotLoggedIn`] if the login has no refresh token.
    pub async fn kube_refresh_token(&self) -> Result<SecretString, Error> {
        let token = self.refresh_token()?;
        TokenService::at(&self.endpoint)?.kube_refresh_token(&token).await
    }

    /// An ID token with which clusters of an account know who it is, and when it expires by our clock. Without an account, that of the
    /// login is meant.
    ///
    /// # Errors
    /// What the token service answers; [`Error::NotLoggedIn`] if the login has no refresh token.
    pub async fn kube_id_token(&self, account: Option<&str>) -> Result<(SecretString, Timestamp), Error> {
        // Replaces the refresh token if it is time for that, and says it best if the login has ended.
        self.authorised().await?;
        TokenService::at(&self.endpoint)?.kube_id_token(&self.refresh_token()?, account, self.clock.now()).await
    }

    /// A one-time passcode for the user who is logged in.
    ///
    /// # Errors
    /// What the token service answers; [`Error::NotLoggedIn`] if the login has no refresh token.
    pub async fn passcode(&self) -> Result<SecretString, Error> {
        // Replaces the refresh token if it is time for that.
        self.authorised().await?;
        TokenService::at(&self.endpoint)?.passcode(&self.refresh_token()?).await
    }

    /// The HTTP client to use now and its token.
    pub(crate) async fn authorised(&self) -> Result<(reqwest::Client, SecretString), Error> {
        let now = self.clock.now();
        let tokens = lock(&self.state).tokens.clone().ok_or(Error::NotLoggedIn)?;
        if tokens.is_stale(now) {
            match self.renew(&tokens.access).await {
                // There is life left in the old one; the call itself will say what is wrong.
                Err(error) if !tokens.is_expired(now) => tracing::debug!(%error, "using the old access token"),
                renewed => renewed?,
            }
        }
        self.http()
    }

    pub(crate) fn http(&self) -> Result<(reqwest::Client, SecretString), Error> {
        let token = lock(&self.state).tokens.as_ref().ok_or(Error::NotLoggedIn)?.access.clone();
        let mut http = lock(&self.http);
        let client = match http.take() {
            Some(a) if a.token.expose_secret() == token.expose_secret() => a.client,
            _ => self.endpoint.client(Some(&token))?,
        };
        *http = Some(Authorised { token: token.clone(), client: client.clone() });
        Ok((client, token))
    }

    /// Replaces an access token that is of no use any more, unless another command has done so already.
    pub(crate) async fn renew(&self, useless: &SecretString) -> Result<(), Error> {
        let _lock = self.home.lock().await?;
        let mut kept = self.current()?;
        let tokens = kept.tokens.clone().ok_or(Error::LoginChanged)?;
        if !tokens.has_access(useless) {
            *lock(&self.state) = kept;
            return Ok(());
        }
        kept.tokens = Some(self.new_tokens(&kept, &tokens).await?);
        self.keep(kept)
    }

    /// Refreshes; where the service refuses that, logs in with the API key if it was kept.
    async fn new_tokens(&self, state: &State, old: &Tokens) -> Result<Tokens, Error> {
        let service = TokenService::at(&self.endpoint)?;
        let account = state.account.as_ref().map(|a| a.id.as_str());
        let reason = match &old.refresh {
            None => "the access token has expired, and there is no refresh token.".to_owned(),
            Some(refresh) => match service.refresh(refresh, account, self.clock.now()).await {
                Err(Error::Service(refusal)) if matches!(refusal.status, 400 | 401 | 403) => refusal.to_string(),
                other => return other,
            },
        };
        match &state.apikey {
            Some(key) => service.login(&Credential::ApiKey(key.clone()), account, self.clock.now()).await,
            None => Err(Error::SessionEnded { endpoint: state.endpoint.clone(), reason }),
        }
    }

    fn refresh_token(&self) -> Result<SecretString, Error> {
        lock(&self.state).tokens.as_ref().and_then(|t| t.refresh.clone()).ok_or(Error::NotLoggedIn)
    }

    async fn error<E: Serialize>(&self, error: progenitor_client::Error<E>) -> Error {
        of_call(error, self.endpoint.url(), self.endpoint.ca_path()).await
    }
}

/// Whether two states are of one login: the same server, person and account.
fn same_login(a: &State, b: &State) -> bool {
    let identity = |s: &State| (s.endpoint.clone(), s.user.clone(), s.account.as_ref().map(|a| a.id.clone()));
    identity(a) == identity(b)
}

/// The values behind these locks are replaced whole, so one that a panic left behind is still a good one.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
