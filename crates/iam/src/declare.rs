//! Accounts, users, API keys and resource groups as the operator of an installation declares them: what is missing is made, what is
//! there stays, and what is there and different is refused. All in a transaction of the caller's.

use std::sync::Arc;

use boatyard_core::secret::{ExposeSecret as _, SecretString};
use boatyard_core::{Digest, id};
use boatyard_store::Conn;
use boatyard_store::api_keys::{self, ApiKey};
use boatyard_store::resource_groups::{self, ResourceGroup};
use boatyard_store::users::{self, User};
use boatyard_store::{accounts, members};
use jiff::Timestamp;

use crate::access::Rights;
use crate::accounts::{SHORTEST_APIKEY, SHORTEST_PASSWORD, acceptable};
use crate::grants::LONGEST_USERNAME;
use crate::users::{Grant, PENDING, role};
use crate::{Caller, Error, Iam, Identity, Result};

/// What became of something that was declared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Made,
    Changed,
    /// It was so already.
    Unchanged,
}

/// A user as declared.
#[derive(Clone, Debug, Default)]
pub struct DeclaredUser {
    /// An e-mail address.
    pub username: String,
    pub given_name: Option<String>,
    pub family_name: Option<String>,
    /// A user who is made without one logs in with API keys and passcodes only.
    pub password: Option<SecretString>,
}

/// An API key as declared.
#[derive(Clone, Debug)]
pub struct DeclaredKey {
    pub name: String,
    pub description: String,
    pub value: SecretString,
}

impl Iam {
    /// A user, found by the user name. Returns the IAM ID.
    ///
    /// # Errors
    /// [`Error::NotAcceptable`] if something of the user is not, or is otherwise with the one that there is.
    pub async fn user_declare(&self, conn: &mut Conn, declared: &DeclaredUser) -> Result<(String, Outcome)> {
        let username = declared.username.trim().to_lowercase();
        let names = [Some(&username), declared.given_name.as_ref(), declared.family_name.as_ref()];
        if !username.contains('@') || names.into_iter().flatten().any(|name| name.len() > LONGEST_USERNAME) {
            return Err(refused("A user name is an e-mail address, and no name may be longer than 200 bytes."));
        }
        if let Some(password) = &declared.password {
            acceptable("password", password, SHORTEST_PASSWORD)?;
        }
        if let Some(user) = users::by_username(conn, &username).await? {
            self.user_compare(&user, declared).await?;
            return Ok((user.iam_id, Outcome::Unchanged));
        }
        let hash = match &declared.password {
            Some(password) => Some(self.inner.passwords.hash(password).await?),
            None => None,
        };
        let given = |name: &Option<String>| name.clone().unwrap_or_default();
        let user = self.new_user(&username, &given(&declared.given_name), &given(&declared.family_name), hash);
        users::insert(conn, &user).await?;
        Ok((user.iam_id, Outcome::Made))
    }

    async fn user_compare(&self, user: &User, declared: &DeclaredUser) -> Result<()> {
        let name = &user.username;
        for (what, is, wanted) in
            [("first", &user.given_name, &declared.given_name), ("last", &user.family_name, &declared.family_name)]
        {
            if wanted.as_ref().is_some_and(|wanted| wanted != is) {
                return Err(refused(format!(
                    "The user '{name}' exists, and the {what} name is '{is}', which cannot be changed."
                )));
            }
        }
        match (&declared.password, &user.password_hash) {
            (None, _) => Ok(()),
            (Some(password), Some(hash)) if self.inner.passwords.is(password, hash).await? => Ok(()),
            (Some(_), Some(_)) => {
                Err(refused(format!("The user '{name}' exists and has another password, which cannot be changed here.")))
            }
            (Some(_), None) => Err(refused(format!("The user '{name}' exists and has no password, and cannot be given one."))),
        }
    }

    /// An account, found by its name among those of the owner. Returns its ID.
    ///
    /// # Errors
    /// [`Error::NotAcceptable`] if name or ID are not, or the account has another ID.
    pub async fn account_declare(
        &self,
        conn: &mut Conn,
        name: &str,
        wanted_id: Option<&str>,
        owner_iam_id: &str,
    ) -> Result<(String, Outcome)> {
        let name = name.trim();
        if name.is_empty() || name.len() > LONGEST_USERNAME {
            return Err(refused("The name of an account has 1 to 200 bytes."));
        }
        wanted_id.map(|id| hex32("account", id)).transpose()?;
        if let Some(known) = accounts::owned(conn, name, owner_iam_id).await? {
            let id = known.account.id;
            return match wanted_id.filter(|wanted| *wanted != id) {
                Some(_) => Err(refused(format!("The account '{name}' exists, and its ID is '{id}', which cannot be changed."))),
                None => Ok((id, Outcome::Unchanged)),
            };
        }
        let id = wanted_id.map_or_else(id::hex32, str::to_owned);
        if accounts::id_taken(conn, &id).await? {
            return Err(refused(format!("The ID '{id}' is that of another account. Choose another one, or leave it out.")));
        }
        Ok((self.account_insert(conn, id, name, owner_iam_id).await?, Outcome::Made))
    }

    /// Makes a user an active member of an account, also one who was only invited.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn member_declare(&self, conn: &mut Conn, account_id: &str, iam_id: &str) -> Result<Outcome> {
        match members::get(conn, account_id, iam_id).await? {
            None => {
                accounts::member_add(conn, account_id, iam_id, self.inner.clock.now().as_millisecond()).await?;
                Ok(Outcome::Made)
            }
            Some(mut invited) if invited.state == PENDING => {
                "ACTIVE".clone_into(&mut invited.state);
                members::update(conn, &invited).await?;
                Ok(Outcome::Changed)
            }
            Some(_) => Ok(Outcome::Unchanged),
        }
    }

    /// Roles of a member of an account, by their names, on what the attributes say.
    ///
    /// # Errors
    /// [`Error::NotAcceptable`] if there is no such role.
    pub async fn access_declare(
        &self,
        conn: &mut Conn,
        account_id: &str,
        iam_id: &str,
        roles: &[String],
        attributes: Vec<(String, String)>,
        by: &str,
    ) -> Result<Outcome> {
        if roles.is_empty() {
            return Err(refused("An access needs 'roles', one at least."));
        }
        let roles = roles.iter().map(|name| role(name)).collect::<Result<_>>()?;
        let made = self.grant_ensure(conn, account_id, iam_id, &Grant { roles, attributes }, by).await?;
        Ok(if made { Outcome::Made } else { Outcome::Unchanged })
    }

    /// An API key of a user for an account, found by its value.
    ///
    /// # Errors
    /// [`Error::NotAcceptable`] if it is too short, another user's or account's, or has another name.
    pub async fn api_key_declare(
        &self,
        conn: &mut Conn,
        account_id: &str,
        iam_id: &str,
        declared: &DeclaredKey,
    ) -> Result<Outcome> {
        acceptable("API key", &declared.value, SHORTEST_APIKEY)?;
        let digest = Digest::of(declared.value.expose_secret());
        if let Some(known) = api_keys::by_digest(conn, digest).await? {
            if known.iam_id != iam_id || known.account_id != account_id {
                return Err(refused("This API key is another user's, or for another account. Choose another value."));
            }
            if known.name != declared.name {
                let text = format!("This API key exists and is called '{}', which cannot be changed.", known.name);
                return Err(refused(text));
            }
            return Ok(Outcome::Unchanged);
        }
        let (name, description) = (declared.name.clone(), declared.description.clone());
        let key = ApiKey { name, description, ..self.new_key(account_id, iam_id) };
        api_keys::insert(conn, &key, digest).await?;
        Ok(Outcome::Made)
    }

    /// A resource group of an account, found by its name.
    ///
    /// # Errors
    /// [`Error::NotAcceptable`] if name or ID are not, or the group has another ID.
    pub async fn resource_group_declare(
        &self,
        conn: &mut Conn,
        account_id: &str,
        name: &str,
        wanted_id: Option<&str>,
    ) -> Result<(String, Outcome)> {
        if name.is_empty() || name.len() > 40 {
            return Err(refused("The name of a resource group has 1 to 40 characters."));
        }
        wanted_id.map(|id| hex32("resource group", id)).transpose()?;
        let groups = resource_groups::list(conn, account_id).await?;
        if let Some(known) = groups.into_iter().find(|group| group.name.eq_ignore_ascii_case(name)) {
            return match wanted_id.filter(|wanted| *wanted != known.id) {
                Some(_) => Err(refused(format!(
                    "The resource group '{name}' exists, and its ID is '{}', which cannot be changed.",
                    known.id
                ))),
                None => Ok((known.id, Outcome::Unchanged)),
            };
        }
        let id = wanted_id.map_or_else(id::hex32, str::to_owned);
        if resource_groups::id_taken(conn, &id).await? {
            return Err(refused(format!(
                "The ID '{id}' is that of another resource group. Choose another one, or leave it out."
            )));
        }
        let group = self.new_group(id, account_id, name, false);
        resource_groups::insert(conn, &group).await?;
        Ok((group.id, Outcome::Made))
    }

    /// The resource groups of an account, by name, as the transaction sees them.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn resource_groups_declared(&self, conn: &mut Conn, account_id: &str) -> Result<Vec<ResourceGroup>> {
        Ok(resource_groups::list(conn, account_id).await?)
    }

    /// The member of an account in whose name the operator declares what is in it.
    ///
    /// # Errors
    /// [`Error::NotAMember`].
    pub async fn caller_declared(&self, conn: &mut Conn, account_id: &str, iam_id: &str) -> Result<Caller> {
        let not_a_member = || Error::NotAMember { account: account_id.to_owned() };
        accounts::get(conn, account_id, iam_id).await?.ok_or_else(not_a_member)?;
        let user = users::get(conn, iam_id).await?.ok_or_else(not_a_member)?;
        let identity = Identity {
            iam_id: user.iam_id,
            name: format!("{} {}", user.given_name, user.family_name).trim().to_owned(),
            email: user.email,
            account_id: Some(account_id.to_owned()),
            client_id: "fixture".to_owned(),
            session_id: None,
            apikey_id: None,
            expires_at: Timestamp::MAX,
            claims: Arc::default(),
        };
        // The operator asks, who may do everything.
        Ok(Caller::new(Arc::new(identity), Arc::new(Rights::owner()), self.inner.clock.now()))
    }
}

fn hex32(what: &str, id: &str) -> Result<()> {
    if id.len() == 32 && id.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)) {
        return Ok(());
    }
    Err(refused(format!("An ID of this kind ({what}) has 32 digits and letters from a to f.")))
}

fn refused(text: impl Into<String>) -> Error {
    Error::NotAcceptable(text.into())
}
