//! Accounts, their owners, and the administrator made at first start.

use boatyard_core::secret::{ExposeSecret as _, SecretString};
use boatyard_core::{Digest, id};
use boatyard_store::accounts::{self, Account, Membership};
use boatyard_store::api_keys::{self, ApiKey};
use boatyard_store::users::{self, User};
use boatyard_store::{Conn, Domain, resource_groups, settings};
use tracing::info;

use crate::grants::LONGEST_USERNAME;
use crate::{Caller, Error, Iam, Result};

pub(crate) const ADMINISTRATOR: &str = "administrator";
/// User name of the administrator.
pub const ADMINISTRATOR_NAME: &str = "admin@boatyard.local";
/// The shortest API key and password that can be chosen.
pub(crate) const SHORTEST_APIKEY: usize = 16;
pub(crate) const SHORTEST_PASSWORD: usize = 8;
const LONGEST_SECRET: usize = 256;
/// The most accounts that one page of the list holds.
const PAGE: i64 = 100;

/// What [`Iam::administrator_ensure`] found or made.
#[derive(Debug)]
pub enum FirstStart {
    Created { account_id: String, iam_id: String, username: String, password: SecretString, apikey: SecretString },
    Existing { account_id: String, iam_id: String },
}

impl FirstStart {
    #[must_use]
    pub fn account_id(&self) -> &str {
        match self {
            Self::Created { account_id, .. } | Self::Existing { account_id, .. } => account_id,
        }
    }

    #[must_use]
    pub fn iam_id(&self) -> &str {
        match self {
            Self::Created { iam_id, .. } | Self::Existing { iam_id, .. } => iam_id,
        }
    }
}

/// What the administrator is to log in with. It is chosen, and kept by whoever asks, before the administrator is made: a crash in
/// between must not leave an administrator whom nobody can be.
#[derive(Clone, Debug)]
pub struct FirstSecrets {
    pub password: SecretString,
    pub apikey: SecretString,
}

impl FirstSecrets {
    #[must_use]
    pub fn generate() -> Self {
        Self { password: id::token::<20>().into(), apikey: id::token::<44>().into() }
    }
}

/// An account to be made, with its owner.
#[derive(Debug, Default)]
pub struct NewAccount {
    pub name: String,
    /// An e-mail address; a user of that name becomes the owner, or is made.
    pub username: String,
    pub given_name: String,
    pub family_name: String,
    /// Generated if not given. A federated user has none.
    pub password: Option<SecretString>,
    pub federated: bool,
}

/// An account that was made.
#[derive(Debug)]
pub struct CreatedAccount {
    pub account_id: String,
    pub iam_id: String,
    pub apikey: SecretString,
    /// Only if the user was made and has one.
    pub password: Option<SecretString>,
}

/// A page of the caller's accounts.
#[derive(Debug)]
pub struct AccountPage {
    pub accounts: Vec<Membership>,
    pub total: i64,
    /// Where the next page starts; `None` on the last.
    pub next: Option<String>,
}

impl Iam {
    /// Whether there is an administrator.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn administrator_exists(&self) -> Result<bool> {
        Ok(self.administrator_find(None).await?.is_some())
    }

    /// Whether an API key is the administrator's.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn is_administrators_key(&self, apikey: &SecretString) -> Result<bool> {
        let Some(administrator) = self.administrator_find(None).await? else { return Ok(false) };
        let digest = Digest::of(apikey.expose_secret());
        let found = api_keys::by_digest(&mut *self.inner.store.read().await?, digest).await?;
        Ok(found.is_some_and(|key| key.iam_id == administrator.iam_id()))
    }

    /// Makes the first account and its administrator in an empty store, with `secrets`. A given API key becomes the
    /// administrator's instead of the one in `secrets`, or in addition to those there are.
    ///
    /// # Errors
    /// If the given key is too short or another user's, or the database fails.
    pub async fn administrator_ensure(&self, apikey: Option<SecretString>, secrets: FirstSecrets) -> Result<FirstStart> {
        if let Some(apikey) = &apikey {
            acceptable("API key (BOATYARD_APIKEY)", apikey, SHORTEST_APIKEY)?;
        }
        if let Some(existing) = self.administrator_find(apikey.as_ref()).await? {
            return Ok(existing);
        }
        let apikey_of_first = apikey.clone().unwrap_or(secrets.apikey);
        match self.administrator_create(apikey_of_first, secrets.password).await {
            // Another replica was faster.
            Err(Error::Store(boatyard_store::Error::Duplicate)) => {
                let existing = self.administrator_find(apikey.as_ref()).await?;
                existing.ok_or(Error::Store(boatyard_store::Error::Duplicate))
            }
            created => created,
        }
    }

    /// The administrator that exists, who also has the given key afterwards.
    async fn administrator_find(&self, apikey: Option<&SecretString>) -> Result<Option<FirstStart>> {
        let existing = settings::get(&mut *self.inner.store.read().await?, ADMINISTRATOR).await?;
        let Some((account_id, iam_id)) = existing.as_deref().and_then(|text| text.split_once('/')) else { return Ok(None) };
        if let Some(apikey) = apikey {
            self.administrator_key_ensure(account_id, iam_id, apikey).await?;
        }
        Ok(Some(FirstStart::Existing { account_id: account_id.to_owned(), iam_id: iam_id.to_owned() }))
    }

    async fn administrator_create(&self, apikey: SecretString, password: SecretString) -> Result<FirstStart> {
        let hash = self.inner.passwords.hash(&password).await?;
        let user = self.new_user(ADMINISTRATOR_NAME, "Boatyard", "Administrator", Some(hash));
        let mut tx = self.inner.store.write(Domain::Identity).await?;
        users::insert(&mut tx, &user).await?;
        let account_id = self.account_insert(&mut tx, id::hex32(), "Boatyard", &user.iam_id).await?;
        api_keys::insert(&mut tx, &self.new_key(&account_id, &user.iam_id), Digest::of(apikey.expose_secret())).await?;
        settings::set(&mut tx, ADMINISTRATOR, &format!("{account_id}/{}", user.iam_id)).await?;
        tx.commit().await?;
        info!(account = %account_id, username = ADMINISTRATOR_NAME, "administrator made");
        Ok(FirstStart::Created { account_id, iam_id: user.iam_id, username: user.username, password, apikey })
    }

    async fn administrator_key_ensure(&self, account_id: &str, iam_id: &str, apikey: &SecretString) -> Result<()> {
        let digest = Digest::of(apikey.expose_secret());
        match api_keys::by_digest(&mut *self.inner.store.read().await?, digest).await? {
            Some(key) if key.iam_id == iam_id => return Ok(()),
            Some(_) => return Err(Error::NotAcceptable("The API key in BOATYARD_APIKEY is another user's.".to_owned())),
            None => {}
        }
        let mut tx = self.inner.store.write(Domain::Identity).await?;
        api_keys::insert(&mut tx, &self.new_key(account_id, iam_id), digest).await?;
        Ok(tx.commit().await?)
    }

    /// Makes an account with an owner and an API key. An owner who exists already keeps name and password; a password given for
    /// one is not used.
    ///
    /// # Errors
    /// If a name is missing or a password too short, or the database fails.
    pub async fn account_create(&self, new: NewAccount) -> Result<CreatedAccount> {
        match self.account_attempt(&new).await {
            // Somebody else made the same user at the same time; now that one is found.
            Err(Error::Store(boatyard_store::Error::Duplicate)) => self.account_attempt(&new).await,
            done => done,
        }
    }

    async fn account_attempt(&self, new: &NewAccount) -> Result<CreatedAccount> {
        let username = new.username.trim().to_lowercase();
        // They stand in every token.
        let names = [new.name.as_str(), &username, &new.given_name, &new.family_name];
        if new.name.trim().is_empty() || !username.contains('@') || names.iter().any(|name| name.len() > LONGEST_USERNAME) {
            let text =
                "An account needs a 'name', and a 'username' that is an e-mail address; no name may be longer than 200 bytes.";
            return Err(Error::NotAcceptable(text.to_owned()));
        }
        let apikey = SecretString::from(id::token::<44>());
        let known = users::by_username(&mut *self.inner.store.read().await?, &username).await?;
        let (user, password) = match known {
            Some(user) => (user, None),
            None => self.user_prepare(new, &username).await?,
        };
        let mut tx = self.inner.store.write(Domain::Identity).await?;
        // Looked for again, since somebody else may have made the same user meanwhile; then that one is the owner.
        let (user, password) = match users::by_username(&mut tx, &username).await? {
            Some(user) => (user, None),
            None => {
                users::insert(&mut tx, &user).await?;
                (user, password)
            }
        };
        let account_id = self.account_insert(&mut tx, id::hex32(), new.name.trim(), &user.iam_id).await?;
        api_keys::insert(&mut tx, &self.new_key(&account_id, &user.iam_id), Digest::of(apikey.expose_secret())).await?;
        tx.commit().await?;
        info!(account = %account_id, owner = %user.iam_id, "account made");
        Ok(CreatedAccount { account_id, iam_id: user.iam_id, apikey, password })
    }

    async fn user_prepare(&self, new: &NewAccount, username: &str) -> Result<(User, Option<SecretString>)> {
        if new.federated {
            return Ok((self.new_user(username, &new.given_name, &new.family_name, None), None));
        }
        let password = new.password.clone().unwrap_or_else(|| id::token::<20>().into());
        acceptable("password", &password, SHORTEST_PASSWORD)?;
        let hash = self.inner.passwords.hash(&password).await?;
        Ok((self.new_user(username, &new.given_name, &new.family_name, Some(hash)), Some(password)))
    }

    pub(crate) fn new_user(&self, username: &str, given_name: &str, family_name: &str, password_hash: Option<String>) -> User {
        User {
            iam_id: format!("IBMid-{}", id::hex(&id::random::<5>()).to_uppercase()),
            username: username.to_owned(),
            email: username.to_owned(),
            given_name: given_name.to_owned(),
            family_name: family_name.to_owned(),
            password_hash,
            created_at: self.inner.clock.now().as_millisecond(),
        }
    }

    pub(crate) fn new_key(&self, account_id: &str, iam_id: &str) -> ApiKey {
        let now = self.inner.clock.now().as_millisecond();
        ApiKey {
            id: format!("ApiKey-{}", id::uuid()),
            account_id: account_id.to_owned(),
            iam_id: iam_id.to_owned(),
            name: "first key".to_owned(),
            description: String::new(),
            disabled: false,
            locked: false,
            support_sessions: false,
            action_when_leaked: "none".to_owned(),
            expires_at: None,
            created_by: iam_id.to_owned(),
            created_at: now,
            modified_at: now,
            revision: 1,
        }
    }

    /// Writes an account, its owner's membership and its default resource group; returns the account's ID.
    pub(crate) async fn account_insert(&self, conn: &mut Conn, id: String, name: &str, owner_iam_id: &str) -> Result<String> {
        let now = self.inner.clock.now().as_millisecond();
        let account = Account {
            id,
            name: name.to_owned(),
            kind: "PAYG".to_owned(),
            state: "ACTIVE".to_owned(),
            owner_iam_id: owner_iam_id.to_owned(),
            created_at: now,
            updated_at: now,
        };
        accounts::insert(conn, &account).await?;
        accounts::member_add(conn, &account.id, owner_iam_id, now).await?;
        let group = self.new_group(id::hex32(), &account.id, "Default", true);
        resource_groups::insert(conn, &group).await?;
        Ok(account.id)
    }

    /// Accounts of the caller, oldest membership first: at most `limit` (100), from where the page before said.
    ///
    /// # Errors
    /// If `start` is not what a page said.
    pub async fn accounts_list(&self, caller: &Caller, limit: Option<i64>, start: Option<&str>) -> Result<AccountPage> {
        let limit = limit.unwrap_or(PAGE).clamp(1, PAGE);
        let after = start.filter(|start| !start.is_empty()).map(page_start).transpose()?;
        let after = after.as_ref().map(|(added_at, id)| (*added_at, id.as_str()));
        let mut conn = self.inner.store.read().await?;
        let mut found = accounts::list(&mut conn, &caller.iam_id, after, limit + 1).await?;
        let total = accounts::count(&mut conn, &caller.iam_id).await?;
        let more = found.len() > usize::try_from(limit).unwrap_or(usize::MAX);
        if more {
            found.pop();
        }
        let next = found.last().filter(|_| more).map(|last| format!("{}-{}", last.added_at, last.account.id));
        Ok(AccountPage { accounts: found, total, next })
    }

    /// One account of the caller.
    ///
    /// # Errors
    /// [`Error::AccountNotFound`], also for accounts that the caller is not a member of.
    pub async fn account_get(&self, caller: &Caller, account_id: &str) -> Result<Membership> {
        let found = accounts::get(&mut *self.inner.store.read().await?, account_id, &caller.iam_id).await?;
        found.ok_or(Error::AccountNotFound)
    }
}

fn page_start(text: &str) -> Result<(i64, String)> {
    let parsed = text.split_once('-').and_then(|(added_at, id)| Some((added_at.parse().ok()?, id.to_owned())));
    parsed.ok_or_else(|| Error::Invalid {
        property: "_start",
        value: text.to_owned(),
        valid: "the value in next_url of the page before".to_owned(),
    })
}

pub(crate) fn acceptable(what: &str, secret: &SecretString, shortest: usize) -> Result<()> {
    let length = secret.expose_secret().chars().count();
    if (shortest..=LONGEST_SECRET).contains(&length) {
        return Ok(());
    }
    Err(Error::NotAcceptable(format!("The {what} must have {shortest} to {LONGEST_SECRET} characters.")))
}
