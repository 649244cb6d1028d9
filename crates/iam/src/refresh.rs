//! Refresh tokens, delegated ones and their revocation.
//!
//! Each use of a refresh token answers another one. The old one stays good for a short while, since several programs share one and
//! race; used after that it was taken from somebody, and every session ends that came of the same login.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use boatyard_core::secret::{ExposeSecret as _, SecretString};
use boatyard_core::{Digest, id};
use boatyard_store::tokens::{self, Kind, RefreshToken};
use boatyard_store::{Conn, Domain};
use tracing::warn;

use crate::{Caller, Client, Error, Iam, Result};

/// A token longer than this was not made here.
const LONGEST: usize = 4096;
/// Seconds for which a refresh token stays good after it was used, for programs that race each other.
pub const REFRESH_GRACE_SECONDS: i64 = 60;

/// What a new refresh token is for.
pub(crate) struct NewRefresh<'a> {
    pub kind: Kind,
    pub iam_id: &'a str,
    pub account_id: Option<&'a str>,
    pub client_id: &'a str,
    pub session_id: &'a str,
    pub grant_type: &'a str,
    pub seconds: i64,
}

/// Whether a session may be carried on in an account, if its user belongs there: a login with an API key stays in the key's
/// account, as the service documents.
pub(crate) fn reaches(session: &RefreshToken, account_id: Option<&str>) -> bool {
    session.account_id.as_deref() == account_id || !session.grant_type.ends_with(":apikey")
}

impl Iam {
    /// Writes a refresh token and returns its text: a header and a payload as the service's have, and 256 random bits.
    pub(crate) async fn refresh_issue(&self, conn: &mut Conn, new: &NewRefresh<'_>) -> Result<String> {
        let part = |value: serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let payload = serde_json::json!({"iam_id": new.iam_id, "account_id": new.account_id, "session_id": new.session_id});
        let text = format!("{}.{}.{}", part(serde_json::json!({"alg": "rt"})), part(payload), id::token::<43>());
        let now = self.inner.clock.now().as_millisecond();
        let row = RefreshToken {
            kind: new.kind,
            iam_id: new.iam_id.to_owned(),
            account_id: new.account_id.map(str::to_owned),
            client_id: new.client_id.to_owned(),
            session_id: new.session_id.to_owned(),
            grant_type: new.grant_type.to_owned(),
            issued_at: now,
            expires_at: now + new.seconds * 1000,
            used_at: None,
        };
        tokens::refresh_insert(conn, Digest::of(&text), &row).await?;
        Ok(text)
    }

    /// The session behind a refresh token that `client` may use.
    ///
    /// # Errors
    /// If it is not known, expired, of another kind or another client's.
    pub(crate) async fn refresh_find(&self, token: &SecretString, kind: Kind, client: Client) -> Result<RefreshToken> {
        let token = token.expose_secret();
        if token.len() > LONGEST {
            return Err(Error::RefreshTokenInvalid);
        }
        let found = tokens::refresh_get(&mut *self.inner.store.read().await?, Digest::of(token)).await?;
        let found = found.filter(|row| row.kind == kind).ok_or(Error::RefreshTokenInvalid)?;
        if !found.client_id.split(',').any(|id| id.trim() == client.id()) {
            return Err(Error::RefreshTokenOfOtherClient);
        }
        let now = self.inner.clock.now().as_millisecond();
        if found.expires_at <= now {
            return Err(Error::RefreshTokenExpired);
        }
        if found.used_at.is_some_and(|used_at| now > used_at + REFRESH_GRACE_SECONDS * 1000) {
            warn!(session = %found.session_id, iam_id = %found.iam_id, "a refresh token that had been replaced was used: the sessions of its login end");
            self.family_end(&found.session_id).await?;
            return Err(Error::RefreshTokenReused);
        }
        Ok(found)
    }

    /// When a refresh token of whatever kind was issued, in milliseconds since the Unix epoch; `None` for one that is not known.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn refresh_token_issued_at(&self, token: &SecretString) -> Result<Option<i64>> {
        let found = tokens::refresh_get(&mut *self.inner.store.read().await?, Digest::of(token.expose_secret())).await?;
        Ok(found.map(|row| row.issued_at))
    }

    /// A refresh token for kubectl, out of the caller's own, as it would be had it been made `age_seconds` ago; `None` where the
    /// caller's cannot be used.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn kube_refresh_token(&self, caller: &Caller, token: Option<&str>, age_seconds: i64) -> Result<Option<String>> {
        let Some(token) = token else { return Ok(None) };
        let session = match self.refresh_find(&SecretString::from(token.to_owned()), Kind::Refresh, Client::Bx).await {
            Ok(session) if session.iam_id == caller.iam_id && reaches(&session, caller.account_id.as_deref()) => session,
            Ok(_)
            | Err(
                Error::RefreshTokenInvalid
                | Error::RefreshTokenExpired
                | Error::RefreshTokenOfOtherClient
                | Error::RefreshTokenReused,
            ) => return Ok(None),
            Err(error) => return Err(error),
        };
        if self.session_check(&session.session_id, caller.account_id.as_deref()).await.is_err() {
            return Ok(None);
        }
        let settings = self.login_settings(caller.account_id.as_deref()).await?;
        let mut tx = self.inner.store.write(Domain::Sessions).await?;
        let new = NewRefresh {
            kind: Kind::Refresh,
            iam_id: &session.iam_id,
            account_id: caller.account_id.as_deref(),
            client_id: Client::Kube.id(),
            session_id: &session.session_id,
            grant_type: &session.grant_type,
            seconds: settings.lifetimes.kube_refresh - age_seconds,
        };
        let issued = self.refresh_issue(&mut tx, &new).await?;
        tx.commit().await?;
        Ok(Some(issued))
    }

    /// Ends the session of a refresh token or an access token (RFC 7009). A token that is not known is no mistake: it is as good as
    /// revoked. An access token without a session ends with its API key only.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn revoke(&self, token: &SecretString) -> Result<()> {
        let found = tokens::refresh_get(&mut *self.inner.store.read().await?, Digest::of(token.expose_secret())).await?;
        let session_id = match found {
            Some(session) => Some(session.session_id),
            None => self.authenticate(token.expose_secret()).await.ok().and_then(|caller| caller.session_id.clone()),
        };
        if let Some(session_id) = session_id {
            self.session_end(&session_id).await?;
        }
        Ok(())
    }
}
