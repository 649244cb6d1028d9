//! The administrator across a reset and a snapshot: whoever runs the server can always log in to it.

use std::sync::Arc;

use boatyard_core::id;
use boatyard_store::api_keys::{self, StoredKey};
use boatyard_store::sessions::{self, Session};
use boatyard_store::{Conn, settings, users};

use crate::accounts::ADMINISTRATOR;
use crate::{Error, Iam, Result};

/// Whoever may use `/_boatyard/`, and the account made for them at the first start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Administrator {
    pub account_id: String,
    pub iam_id: String,
}

/// What an administrator logs in with.
#[derive(Debug)]
pub struct AdministratorLogin {
    password_hash: Option<String>,
    keys: Vec<StoredKey>,
    /// Whoever loads a snapshot stays logged in.
    sessions: Vec<Session>,
}

impl Iam {
    /// The administrator of this installation.
    ///
    /// # Errors
    /// [`Error::AccountNotFound`] before the first start made one.
    pub async fn administrator(&self) -> Result<Arc<Administrator>> {
        let load = async || administrator(&mut *self.inner.store.read().await?).await;
        self.inner.administrator.get(&self.inner.store, "", load).await
    }

    /// What the administrator logs in with, to be kept while everything else is replaced.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn administrator_login(&self, conn: &mut Conn) -> Result<AdministratorLogin> {
        let Administrator { account_id, iam_id } = administrator(conn).await?;
        let user = users::get(conn, &iam_id).await?.ok_or(Error::AccountNotFound)?;
        let keys = api_keys::stored(conn, &account_id, &iam_id).await?;
        let sessions = sessions::list(conn, &iam_id, Some(&account_id)).await?;
        Ok(AdministratorLogin { password_hash: user.password_hash, keys, sessions })
    }

    /// Gives the administrator, who may be another by now, that password and those API keys beside their own keys.
    ///
    /// # Errors
    /// [`Error::AccountNotFound`] if there is no administrator any more, or the database fails.
    pub async fn administrator_login_restore(&self, conn: &mut Conn, login: AdministratorLogin) -> Result<Administrator> {
        let administrator = administrator(conn).await?;
        let Administrator { account_id, iam_id } = &administrator;
        users::get(conn, iam_id).await?.ok_or(Error::AccountNotFound)?;
        users::password_set(conn, iam_id, login.password_hash).await?;
        for session in login.sessions.iter().filter(|session| session.iam_id == *iam_id) {
            if sessions::get(conn, &session.id).await?.is_none() {
                sessions::insert(conn, session).await?;
            }
        }
        let present = api_keys::stored(conn, account_id, iam_id).await?;
        for mut kept in login.keys {
            if present.iter().any(|key| key.digest == kept.digest) {
                continue;
            }
            // In the snapshot of another server the key may be somebody else's; here it is the administrator's.
            api_keys::delete(conn, &kept.digest).await?;
            kept.key.id = format!("ApiKey-{}", id::uuid());
            kept.key.account_id.clone_from(account_id);
            kept.key.iam_id.clone_from(iam_id);
            api_keys::insert_stored(conn, &kept).await?;
        }
        Ok(administrator)
    }
}

async fn administrator(conn: &mut Conn) -> Result<Administrator> {
    let setting = settings::get(conn, ADMINISTRATOR).await?;
    let (account_id, iam_id) = setting.as_deref().and_then(|text| text.split_once('/')).ok_or(Error::AccountNotFound)?;
    Ok(Administrator { account_id: account_id.to_owned(), iam_id: iam_id.to_owned() })
}
