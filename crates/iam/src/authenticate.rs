//! From an access token to a caller.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use boatyard_core::Digest;
use jiff::Timestamp;
use serde_json::Value;

use crate::{Caller, Error, Iam, Result};

/// A token longer than this, in bytes, was not made here.
const LONGEST: usize = 16 * 1024;
/// Tokens remembered as verified.
const MOST_VERIFIED: usize = 4096;

/// Callers of tokens whose signature was found good, by the token's digest.
#[derive(Debug, Default)]
pub(crate) struct Verified(RwLock<HashMap<Digest, Arc<Caller>>>);

impl Verified {
    fn get(&self, digest: Digest) -> Option<Arc<Caller>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(&digest).cloned()
    }

    fn insert(&self, digest: Digest, caller: &Arc<Caller>, now: Timestamp) {
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= MOST_VERIFIED {
            all.retain(|_, caller| caller.expires_at > now);
            if all.len() >= MOST_VERIFIED {
                all.clear();
            }
        }
        all.insert(digest, Arc::clone(caller));
    }
}

impl Iam {
    /// The caller of an access token (without a scheme word). The signature of a token is verified once and remembered; its expiry
    /// is checked every time.
    ///
    /// # Errors
    /// If the token is expired, not an access token, or not signed by a key of this installation.
    pub async fn authenticate(&self, token: &str) -> Result<Arc<Caller>> {
        if token.len() > LONGEST {
            return Err(Error::TokenMalformed);
        }
        let digest = Digest::of(token);
        let now = self.inner.clock.now();
        let caller = match self.inner.verified.get(digest) {
            Some(caller) => caller,
            None => {
                let caller = Arc::new(self.verify(token).await?);
                self.inner.verified.insert(digest, &caller, now);
                caller
            }
        };
        if caller.expires_at <= now { Err(Error::TokenExpired) } else { Ok(caller) }
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
