//! Users as the operator of an installation provides them: with a password of its own, or for an identity provider.

use boatyard_core::id;
use boatyard_core::secret::SecretString;
use boatyard_store::users::{self, User};
use boatyard_store::{Domain, browser_sessions, sessions, tokens};
use tracing::info;

use crate::accounts::{SHORTEST_PASSWORD, acceptable};
use crate::grants::LONGEST_USERNAME;
use crate::{Error, Iam, Result};

/// A user to be made, or to be given another password.
#[derive(Debug, Default)]
pub struct NewUser {
    /// An e-mail address.
    pub username: String,
    /// Kept if empty.
    pub given_name: String,
    /// Kept if empty.
    pub family_name: String,
    /// Generated for a user who has none.
    pub password: Option<SecretString>,
    /// Whether the user is to have no password.
    pub federated: bool,
}

/// A user who was made or changed.
#[derive(Debug)]
pub struct ProvidedUser {
    pub iam_id: String,
    pub username: String,
    /// Whether the user is new.
    pub made: bool,
    /// The password, if one was generated.
    pub password: Option<SecretString>,
}

impl Iam {
    /// Makes a user, or gives one who exists another name and password. Another password, or none, ends all sessions of the user.
    ///
    /// # Errors
    /// If the user name is no e-mail address, a name too long or the password too short, or the database fails.
    pub async fn user_provide(&self, new: NewUser) -> Result<ProvidedUser> {
        match self.user_provide_attempt(&new).await {
            // Somebody else made the same user at the same time; now that one is found.
            Err(Error::Store(boatyard_store::Error::Duplicate)) => self.user_provide_attempt(&new).await,
            done => done,
        }
    }

    async fn user_provide_attempt(&self, new: &NewUser) -> Result<ProvidedUser> {
        let username = new.username.trim().to_lowercase();
        let names = [&username, &new.given_name, &new.family_name];
        if !username.contains('@') || names.iter().any(|name| name.len() > LONGEST_USERNAME) {
            let text = "A user needs a 'username' that is an e-mail address; no name may be longer than 200 bytes.";
            return Err(Error::NotAcceptable(text.to_owned()));
        }
        if new.federated && new.password.is_some() {
            let text = "A federated user has no password here. Leave 'password' out, or 'federated'.";
            return Err(Error::NotAcceptable(text.to_owned()));
        }
        let known = users::by_username(&mut *self.inner.store.read().await?, &username).await?;
        let has_one = known.as_ref().is_some_and(|user| user.password_hash.is_some());
        let generated: Option<SecretString> =
            (new.password.is_none() && !new.federated && !has_one).then(|| id::token::<20>().into());
        let hash = match new.password.as_ref().or(generated.as_ref()) {
            Some(password) => {
                acceptable("password", password, SHORTEST_PASSWORD)?;
                Some(self.inner.passwords.hash(password).await?)
            }
            None => None,
        };
        let made = known.is_none();
        let iam_id = match known {
            None => self.user_make(new, &username, hash).await?,
            Some(user) => self.user_change(new, user, hash).await?,
        };
        info!(user = %iam_id, made, "user provided");
        Ok(ProvidedUser { iam_id, username, made, password: generated })
    }

    async fn user_make(&self, new: &NewUser, username: &str, hash: Option<String>) -> Result<String> {
        let user = self.new_user(username, &new.given_name, &new.family_name, hash);
        let mut tx = self.inner.store.write(Domain::Identity).await?;
        users::insert(&mut tx, &user).await?;
        tx.commit().await?;
        Ok(user.iam_id)
    }

    async fn user_change(&self, new: &NewUser, user: User, hash: Option<String>) -> Result<String> {
        let or = |given: &str, known: &str| if given.is_empty() { known.to_owned() } else { given.to_owned() };
        let names = (or(&new.given_name, &user.given_name), or(&new.family_name, &user.family_name));
        let mut tx = self.inner.store.write(Domain::Identity).await?.and(Domain::Sessions);
        users::name_set(&mut tx, &user.iam_id, &names.0, &names.1).await?;
        if hash.is_some() || new.federated {
            users::password_set(&mut tx, &user.iam_id, hash).await?;
            sessions::delete_by_identity(&mut tx, &user.iam_id, None).await?;
            browser_sessions::delete_of_user(&mut tx, &user.iam_id).await?;
            tokens::passcodes_delete(&mut tx, &user.iam_id).await?;
        }
        tx.commit().await?;
        Ok(user.iam_id)
    }
}
