//! One-time passcodes: ten characters, good once and for five minutes.

use boatyard_core::secret::{ExposeSecret as _, SecretString};
use boatyard_core::{Digest, id};
use boatyard_store::tokens::{self, Kind};
use boatyard_store::{Conn, Domain, users};

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
        let session = self.refresh_find(&SecretString::from(token.to_owned()), Kind::Refresh, client).await?;
        self.passcode_issue(&session.iam_id).await
    }

    /// A passcode for a user who signs in on the passcode page.
    ///
    /// # Errors
    /// If user name or password is wrong.
    pub async fn passcode_create_with_password(&self, username: &str, password: &SecretString) -> Result<String> {
        let person = self.password_login(username, password).await?;
        self.passcode_issue(&person.user.iam_id).await
    }

    async fn passcode_issue(&self, iam_id: &str) -> Result<String> {
        let passcode = id::code::<10>();
        let until = self.inner.clock.now().as_millisecond() + PASSCODE_SECONDS * 1000;
        let mut tx = self.inner.store.write(Domain::Sessions).await?;
        tokens::passcode_insert(&mut tx, Digest::of(&passcode), iam_id, until).await?;
        tx.commit().await?;
        Ok(passcode)
    }

    /// The user of a passcode, which is used up when `conn`'s transaction is committed.
    pub(crate) async fn passcode_take(&self, conn: &mut Conn, passcode: &SecretString) -> Result<users::User> {
        let now = self.inner.clock.now().as_millisecond();
        let iam_id = tokens::passcode_take(conn, Digest::of(passcode.expose_secret()), now).await?;
        users::get(conn, &iam_id.ok_or(Error::WrongPasscode)?).await?.ok_or(Error::WrongPasscode)
    }
}
