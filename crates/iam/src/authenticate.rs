//! From an access token to a caller.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use boatyard_core::Digest;
use boatyard_store::{Domain, accounts, users};
use jiff::Timestamp;
use serde_json::Value;

use crate::{Caller, Error, Iam, Result};

/// A token longer than this, in bytes, was not made here.
const LONGEST: usize = 16 * 1024;
/// Tokens remembered as verified.
const MOST_VERIFIED: usize = 4096;

/// Callers of tokens whose signature was found good, by the token's digest, and the generation of identities in which they were
/// last seen to exist.
#[derive(Debug, Default)]
pub(crate) struct Verified(RwLock<HashMap<Digest, Seen>>);

/// The generation, where there are any, and the caller.
type Seen = (Option<u64>, Arc<Caller>);

impl Verified {
    fn get(&self, digest: Digest) -> Option<Seen> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(&digest).cloned()
    }

    fn insert(&self, digest: Digest, seen: Option<u64>, caller: &Arc<Caller>, now: Timestamp) {
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= MOST_VERIFIED {
            all.retain(|_, (_, caller)| caller.expires_at > now);
            if all.len() >= MOST_VERIFIED {
                all.clear();
            }
        }
        all.insert(digest, (seen, Arc::clone(caller)));
    }
}

impl Iam {
    /// The caller of an access token (without a scheme word). The signature of a token is verified once and remembered; its expiry
    /// is checked every time, and that its user and account still exist whenever one of those may have changed.
    ///
    /// # Errors
    /// If the token is expired, not an access token, not signed by a key of this installation, or of somebody who is gone.
    pub async fn authenticate(&self, token: &str) -> Result<Arc<Caller>> {
        if token.len() > LONGEST {
            return Err(Error::TokenMalformed);
        }
        let digest = Digest::of(token);
        let now = self.inner.clock.now();
        // Read before looking: a write in between makes what is remembered look older than it is, never newer.
        let generation = self.inner.store.generation(Domain::Identity);
        let (seen, caller) = match self.inner.verified.get(digest) {
            Some(known) => known,
            None => (None, Arc::new(self.verify(token).await?)),
        };
        if caller.expires_at <= now {
            return Err(Error::TokenExpired);
        }
        if generation.is_none() || seen != generation {
            if !self.exists(&caller).await? {
                return Err(Error::TokenForeign);
            }
            self.inner.verified.insert(digest, generation, &caller, now);
        }
        Ok(caller)
    }

    /// Whether the caller's user and account are there: a reset or a snapshot takes them away while their tokens are out.
    async fn exists(&self, caller: &Caller) -> Result<bool> {
        let mut conn = self.inner.store.read().await?;
        Ok(match &caller.account_id {
            Some(account_id) => accounts::get(&mut conn, account_id, &caller.iam_id).await?.is_some(),
            None => users::get(&mut conn, &caller.iam_id).await?.is_some(),
        })
    }

    async fn verify(&self, token: &str) -> Result<Caller> {
        let (message, signature) = token.rsplit_once('.').ok_or(Error::TokenMalformed)?;
        let (header, payload) = message.split_once('.').ok_or(Error::TokenMalformed)?;
        let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| Error::TokenMalformed);
        let json = |part: &str| serde_json::from_slice::<Value>(&decode(part)?).map_err(|_| Error::TokenMalformed);
        let header = json(header)?;
        // The one algorithm that is signed with; a token must not choose another.
        if header["alg"] != "RS256" {
            return Err(Error::TokenMalformed);
        }
        let kid = header["kid"].as_str().ok_or(Error::TokenMalformed)?;
        let key = self.inner.keys.find(kid).await?.ok_or(Error::TokenForeign)?;
        if !key.verifies(message.as_bytes(), &decode(signature)?) {
            return Err(Error::TokenForeign);
        }
        caller(json(payload)?)
    }
}

/// ID tokens and UAA tokens are signed with the same keys but are no access tokens: they say for whom they are.
fn caller(claims: Value) -> Result<Caller> {
    let text = |name: &str| claims[name].as_str().map(str::to_owned);
    if claims.get("aud").is_some() {
        return Err(Error::TokenMalformed);
    }
    Ok(Caller {
        iam_id: text("iam_id").ok_or(Error::TokenMalformed)?,
        email: text("email").unwrap_or_default(),
        name: text("name").unwrap_or_default(),
        account_id: claims["account"]["bss"].as_str().map(str::to_owned),
        client_id: text("client_id").unwrap_or_default(),
        session_id: text("session_id"),
        expires_at: claims["exp"].as_i64().and_then(|s| Timestamp::from_second(s).ok()).ok_or(Error::TokenMalformed)?,
        claims: Arc::new(claims),
    })
}
