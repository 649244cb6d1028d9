//! One-time passcodes: ten characters, good once and for five minutes.

use boatyard_core::secret::{ExposeSecret as _, SecretString};
use boatyard_core::{Digest, id};
use boatyard_store::tokens::{self, Kind, Passcode};
use boatyard_store::{Domain, users};

use crate::subject::Kind as SubjectKind;
use crate::{Client, Error, Form, Iam, Result};

/// Seconds for which a passcode is good.
pub const PASSCODE_SECONDS: i64 = 300;

impl Iam {
    /// A passcode for the user of a refresh token, as clients ask for it: form fields `grant_type=refresh_token` and
    /// `refresh_token`.
    ///
    /// # Errors
    /// If the client is not known, or the refresh token is missing or cannot be used.
    pub async fn passcode_create(&self, authorization: Option<&str>, form: &Form) -> Result<String> {
        let client = Client::of(authorization, form)?;
        if client == Client::Default {
            return Err(Error::ClientRequired);
        }
        let token = form.get("refresh_token")?.ok_or(Error::Missing { property: "refresh_token" })?;
        let token = self.refresh_find(&SecretString::from(token.to_owned()), Kind::Refresh, client).await?;
        if SubjectKind::of(&token.iam_id) != SubjectKind::User {
            let (value, valid) = ("that of a service ID or a trusted profile".to_owned(), "that of a user".to_owned());
            return Err(Error::Invalid { property: "refresh_token", value, valid });
        }
        let session = self.session_check(&token.session_id, token.account_id.as_deref()).await?;
        // A login with a key stays in the key's account and ends with the key, also by this way.
        let account_id = session.api_key_id.as_ref().and(token.account_id);
        let (api_key_id, session_id) = (session.api_key_id, Some(session.id));
        self.passcode_issue(&Passcode { iam_id: token.iam_id, account_id, api_key_id, session_id }).await
    }

    pub(crate) async fn passcode_issue(&self, new: &Passcode) -> Result<String> {
        let passcode = id::code::<10>();
        let until = self.inner.clock.now().as_millisecond() + PASSCODE_SECONDS * 1000;
        let mut tx = self.inner.store.write(Domain::Sessions).await?;
        tokens::passcode_insert(&mut tx, Digest::of(&passcode), new, until).await?;
        tx.commit().await?;
        Ok(passcode)
    }

    /// A passcode that was not used yet, and its user.
    pub(crate) async fn passcode_find(&self, passcode: &SecretString) -> Result<(users::User, Passcode)> {
        let now = self.inner.clock.now().as_millisecond();
        let mut conn = self.inner.store.read().await?;
        let found = tokens::passcode_get(&mut conn, Digest::of(passcode.expose_secret()), now).await?;
        let found = found.ok_or(Error::WrongPasscode)?;
        let user = users::get(&mut conn, &found.iam_id).await?.ok_or(Error::WrongPasscode)?;
        Ok((user, found))
    }

    /// Uses a passcode up.
    pub(crate) async fn passcode_use(&self, passcode: &SecretString) -> Result<()> {
        let now = self.inner.clock.now().as_millisecond();
        let mut tx = self.inner.store.write(Domain::Sessions).await?;
        let taken = tokens::passcode_take(&mut tx, Digest::of(passcode.expose_secret()), now).await?;
        tx.commit().await?;
        if taken { Ok(()) } else { Err(Error::WrongPasscode) }
    }
}
