//! Sessions: what a login begins, and what ends it.

use boatyard_core::id;
use boatyard_store::sessions::{self, Session};
use boatyard_store::{Conn, Domain, api_keys};

use crate::settings::LoginSettings;
use crate::{Error, Iam, Result};

/// A login, as far as its session keeps it.
pub(crate) struct NewSession<'a> {
    pub iam_id: &'a str,
    pub account_id: Option<&'a str>,
    pub client_id: &'a str,
    pub grant_type: &'a str,
    pub api_key_id: Option<&'a str>,
    /// The session that this one comes of: in another account, or by a passcode.
    pub parent: Option<&'a Session>,
}

impl Iam {
    /// Begins a session. Where an account limits them, the oldest of the identity end for it.
    pub(crate) async fn session_begin(
        &self,
        conn: &mut Conn,
        new: &NewSession<'_>,
        settings: &LoginSettings,
    ) -> Result<String> {
        let now = self.inner.clock.now().as_millisecond();
        if let Some(parent) = new.parent {
            // It may have been ended since it was looked at. Counting as its use also keeps it from ending before this one is there.
            if !sessions::touch(conn, &parent.id, None, now).await? {
                return Err(Error::RefreshTokenInvalid);
            }
        }
        room_make(conn, new.iam_id, new.account_id, settings).await?;
        let session = Session {
            id: format!("C-{}", id::uuid()),
            iam_id: new.iam_id.to_owned(),
            account_id: new.account_id.map(str::to_owned),
            client_id: new.client_id.to_owned(),
            grant_type: new.grant_type.to_owned(),
            api_key_id: new.api_key_id.map(str::to_owned),
            created_at: now,
            used_at: now,
            family_id: new.parent.map(|parent| parent.family().to_owned()),
            origin_at: new.parent.map(Session::origin),
        };
        sessions::insert(conn, &session).await?;
        Ok(session.id)
    }

    /// Goes on with a session, which enters an account if it was in none. There it counts as a new one. Returns whether it is there.
    pub(crate) async fn session_touch(
        &self,
        conn: &mut Conn,
        id: &str,
        account_id: Option<&str>,
        settings: &LoginSettings,
    ) -> Result<bool> {
        let Some(before) = sessions::get(conn, id).await? else { return Ok(false) };
        if before.account_id.is_none() {
            room_make(conn, &before.iam_id, account_id, settings).await?;
        }
        Ok(sessions::touch(conn, id, account_id, self.inner.clock.now().as_millisecond()).await?)
    }

    /// That a session may go on now in an account: it is there, and neither is its login too old nor it unused for too long for the account.
    pub(crate) async fn session_check(&self, id: &str, account_id: Option<&str>) -> Result<Session> {
        let found = sessions::get(&mut *self.inner.store.read().await?, id).await?;
        let session = found.ok_or(Error::RefreshTokenInvalid)?;
        if let Some(key_id) = &session.api_key_id {
            self.key_check(&mut *self.inner.store.read().await?, key_id).await?;
        }
        let settings = self.login_settings(account_id).await?;
        let now = self.inner.clock.now().as_millisecond();
        let over = |since: i64, seconds: Option<i64>| seconds.is_some_and(|seconds| now >= since + seconds * 1000);
        if over(session.origin(), settings.session_expiration) || over(session.used_at, settings.session_invalidation) {
            // Elsewhere it may go on: the limit is of the account that was asked for.
            if session.account_id.as_deref() == account_id {
                self.session_end(id).await?;
            }
            return Err(Error::SessionEnded { session: id.to_owned() });
        }
        Ok(session)
    }

    /// That a key with which a session was begun is still there and good.
    pub(crate) async fn key_check(&self, conn: &mut Conn, key_id: &str) -> Result<()> {
        let key = api_keys::by_id(conn, key_id).await?.ok_or(Error::ApiKeyNotFound)?;
        match (key.disabled, key.expired(self.inner.clock.now().as_millisecond())) {
            (true, _) => Err(Error::ApiKeyDisabled),
            (_, true) => Err(Error::ApiKeyExpired),
            _ => Ok(()),
        }
    }

    /// Ends a session: from the next request on, its tokens of every kind are refused. Returns whether it was there.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn session_end(&self, id: &str) -> Result<bool> {
        // Identities are looked at anew after this, and access tokens of the session with them.
        let mut tx = self.inner.store.write(Domain::Sessions).await?.and(Domain::Identity);
        let ended = sessions::delete(&mut tx, id).await?;
        tx.commit().await?;
        Ok(ended)
    }

    /// Ends a session and all that came of the same login.
    pub(crate) async fn family_end(&self, id: &str) -> Result<()> {
        let mut tx = self.inner.store.write(Domain::Sessions).await?.and(Domain::Identity);
        if let Some(session) = sessions::get(&mut tx, id).await? {
            sessions::delete_family(&mut tx, session.family()).await?;
        }
        Ok(tx.commit().await?)
    }
}

/// Ends the oldest sessions of an identity in an account that leave no room for one more.
async fn room_make(conn: &mut Conn, iam_id: &str, account_id: Option<&str>, settings: &LoginSettings) -> Result<()> {
    let Some(most) = settings.max_sessions else { return Ok(()) };
    let known = sessions::list(conn, iam_id, account_id).await?;
    for old in known.iter().take((known.len() + 1).saturating_sub(most)) {
        sessions::delete(conn, &old.id).await?;
    }
    Ok(())
}
