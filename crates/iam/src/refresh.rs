//! Refresh tokens, delegated ones and their revocation. Old ones stay good until their date: several programs share one.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use boatyard_core::secret::{ExposeSecret as _, SecretString};
use boatyard_core::{Digest, id};
use boatyard_store::tokens::{self, Kind, RefreshToken};
use boatyard_store::{Conn, Domain};

use crate::{Caller, Client, Error, Iam, REFRESH_TOKEN_SECONDS, Result};

/// A token longer than this was not made here.
const LONGEST: usize = 4096;

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
        if found.expires_at <= self.inner.clock.now().as_millisecond() {
            return Err(Error::RefreshTokenExpired);
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
            Ok(_) | Err(Error::RefreshTokenInvalid | Error::RefreshTokenExpired | Error::RefreshTokenOfOtherClient) => {
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        let mut tx = self.inner.store.write(Domain::Sessions).await?;
        let new = NewRefresh {
            kind: Kind::Refresh,
            iam_id: &session.iam_id,
            account_id: caller.account_id.as_deref(),
            client_id: Client::Kube.id(),
            session_id: &session.session_id,
            grant_type: &session.grant_type,
            seconds: REFRESH_TOKEN_SECONDS - age_seconds,
        };
        let issued = self.refresh_issue(&mut tx, &new).await?;
        tx.commit().await?;
        Ok(Some(issued))
    }

    /// Ends the session of a refresh token (RFC 7009). A token that is not known is no mistake: it is as good as revoked.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn revoke(&self, token: &SecretString) -> Result<()> {
        let found = tokens::refresh_get(&mut *self.inner.store.read().await?, Digest::of(token.expose_secret())).await?;
        if let Some(session) = found {
            let mut tx = self.inner.store.write(Domain::Sessions).await?;
            tokens::session_delete(&mut tx, &session.session_id).await?;
            tx.commit().await?;
        }
        Ok(())
    }
}
