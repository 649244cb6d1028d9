//! From an access token to a caller.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use boatyard_core::Digest;
use boatyard_store::api_keys::ApiKey;
use boatyard_store::{Conn, Domain, access, api_keys, sessions};
use jiff::Timestamp;
use serde_json::Value;

use crate::access::Rights;
use crate::caller::{Caller, Identity};
use crate::membership::Unlisted;
use crate::subject::{Kind, Subject};
use crate::{Error, Iam, Result};

/// A token longer than this, in bytes, was not made here.
const LONGEST: usize = 16 * 1024;
/// Tokens remembered as verified.
const MOST_VERIFIED: usize = 4096;

/// Identities behind tokens whose signature was found good, by the token's digest.
#[derive(Debug, Default)]
pub(crate) struct Verified(RwLock<HashMap<Digest, Seen>>);

/// An identity that was found to exist, and what it may do.
#[derive(Clone, Debug)]
struct Seen {
    /// Of identities, where generations are known, when it was looked at.
    generation: Option<u64>,
    identity: Arc<Identity>,
    rights: Arc<Rights>,
    /// Names of its access groups, for the user of a cluster.
    groups: Arc<Vec<String>>,
    /// When the rights have to be looked at again although nothing was written.
    until: Timestamp,
}

impl Verified {
    fn get(&self, digest: Digest) -> Option<Seen> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(&digest).cloned()
    }

    fn insert(&self, digest: Digest, seen: Seen, now: Timestamp) {
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= MOST_VERIFIED {
            all.retain(|_, seen| seen.identity.expires_at > now);
            if all.len() >= MOST_VERIFIED {
                all.clear();
            }
        }
        all.insert(digest, seen);
    }
}

impl Iam {
    /// The caller of an access token (without a scheme word). The signature of a token is verified once and remembered; its expiry
    /// is checked every time, and who it is of and what they may do whenever something of that may have changed.
    ///
    /// # Errors
    /// If the token is expired, not an access token, not signed by a key of this installation, or of somebody or a session that is
    /// gone.
    pub async fn authenticate(&self, token: &str) -> Result<Caller> {
        if token.len() > LONGEST {
            return Err(Error::TokenMalformed);
        }
        let digest = Digest::of(token);
        let now = self.inner.clock.now();
        // Read before looking: a write in between makes what is remembered look older than it is, never newer.
        let generation = self.inner.store.generation(Domain::Identity);
        let known = self.inner.verified.get(digest);
        let is_fresh = |seen: &&Seen| generation.is_some() && seen.generation == generation && seen.until > now;
        let fresh = known.as_ref().filter(is_fresh).cloned();
        let seen = match fresh {
            Some(seen) => seen,
            None => {
                let identity = match known {
                    Some(seen) => seen.identity,
                    None => Arc::new(self.verify(token).await?),
                };
                if identity.expires_at <= now {
                    return Err(Error::TokenExpired);
                }
                let (rights, until) = self.look_up(&identity, now).await?;
                let seen = Seen { generation, identity, rights, groups: Arc::default(), until };
                self.inner.verified.insert(digest, seen.clone(), now);
                seen
            }
        };
        if seen.identity.expires_at <= now {
            return Err(Error::TokenExpired);
        }
        Ok(Caller::new(seen.identity, seen.rights, now))
    }

    /// What an identity may do and until when, if it is still there: a removal, a reset or a snapshot takes it away while its tokens
    /// are out.
    async fn look_up(&self, identity: &Identity, now: Timestamp) -> Result<(Arc<Rights>, Timestamp)> {
        let mut conn = self.inner.store.read().await?;
        let until = self.standing(&mut conn, identity, now).await?.ok_or(Error::TokenForeign)?;
        let Some(account_id) = &identity.account_id else { return Ok((Arc::default(), until)) };
        let unlisted = Unlisted::find(&mut conn, account_id, &identity.iam_id, now).await?;
        drop(conn);
        let groups = unlisted.ids(&identity.iam_id);
        let load = async || {
            let mut conn = self.inner.store.read().await?;
            Ok::<_, Error>(Rights::compile(&access::grants(&mut conn, account_id, &identity.iam_id, &groups).await?))
        };
        let key = format!("{account_id}/{}/{}", identity.iam_id, groups.join(","));
        let rights = self.inner.rights.get(&self.inner.store, &key, load).await?;
        Ok((rights, unlisted.until.map_or(until, |end| until.min(end))))
    }

    /// Until when a token stands, for all that is known now: `None` if its session, its key or whom it is of is gone.
    pub(crate) async fn standing(&self, conn: &mut Conn, identity: &Identity, now: Timestamp) -> Result<Option<Timestamp>> {
        let session = match &identity.session_id {
            Some(id) => match sessions::get(conn, id).await? {
                Some(session) => Some(session),
                None => return Ok(None),
            },
            None => None,
        };
        let key_id = identity.apikey_id.as_ref().or_else(|| session.as_ref()?.api_key_id.as_ref());
        let key = match key_id {
            Some(id) => {
                let good = |key: &ApiKey| !key.disabled && !key.expired(now.as_millisecond());
                match api_keys::by_id(conn, id).await?.filter(good) {
                    Some(key) => Some(key),
                    None => return Ok(None),
                }
            }
            None => None,
        };
        let mut until = Timestamp::MAX;
        if let Some(at) = key.as_ref().and_then(|key| key.expires_at) {
            until = Timestamp::from_millisecond(at).unwrap_or(until);
        }
        // Whoever became a trusted profile must still be in the account of the login, and trusted.
        if let Some(original) = identity.claims["authn"]["iam_id"].as_str().filter(|original| *original != identity.iam_id) {
            let account_id = session.as_ref().and_then(|session| session.account_id.as_deref());
            let account_id = account_id.or_else(|| key.as_ref().map(|key| key.account_id.as_str()));
            match self.still_trusted(conn, identity, original, account_id, session.as_ref()).await? {
                Some(end) if end > now => until = until.min(end),
                _ => return Ok(None),
            }
        }
        let exists = match (identity.kind(), &identity.account_id) {
            (Kind::User, Some(account_id)) => access::is_member(conn, account_id, &identity.iam_id).await?,
            (_, account_id) => {
                let found = Subject::find(conn, &identity.iam_id).await?;
                found.is_some_and(|subject| subject.account_id.is_none() || subject.account_id == *account_id)
            }
        };
        Ok(exists.then_some(until))
    }

    async fn verify(&self, token: &str) -> Result<Identity> {
        identity(self.claims(token).await?)
    }

    /// What a token says that was signed by a key of this installation.
    async fn claims(&self, token: &str) -> Result<Value> {
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
        json(payload)
    }

    /// The user of a cluster of `account_id` that an ID token is of, as [`Iam::authenticate`] finds callers: it has to be for
    /// clusters, its session or key and whom it is of have to be there, and the groups are those of now.
    ///
    /// # Errors
    /// As [`Iam::authenticate`]; [`Error::TokenForeign`] also for a token of another account.
    pub async fn authenticate_kube(&self, token: &str, account_id: &str) -> Result<KubeUser> {
        if token.len() > LONGEST {
            return Err(Error::TokenMalformed);
        }
        let digest = Digest::of(token);
        let now = self.inner.clock.now();
        let generation = self.inner.store.generation(Domain::Identity);
        let known = self.inner.verified_kube.get(digest);
        let fresh = known.as_ref().filter(|seen| generation.is_some() && seen.generation == generation && seen.until > now);
        let seen = match fresh {
            Some(seen) => seen.clone(),
            None => {
                let identity = match known {
                    Some(seen) => seen.identity,
                    None => Arc::new(kube_identity(self.claims(token).await?, &self.inner.issuer)?),
                };
                if identity.expires_at <= now {
                    return Err(Error::TokenExpired);
                }
                let mut conn = self.inner.store.read().await?;
                let mut until = self.standing(&mut conn, &identity, now).await?.ok_or(Error::TokenForeign)?;
                let account = identity.account_id.as_deref().unwrap_or_default();
                let unlisted = Unlisted::find(&mut conn, account, &identity.iam_id, now).await?;
                drop(conn);
                until = unlisted.until.map_or(until, |end| until.min(end));
                let groups = self.cluster_groups(account, &identity.iam_id).await?;
                let seen = Seen { generation, identity, rights: Arc::default(), groups: Arc::new(groups), until };
                self.inner.verified_kube.insert(digest, seen.clone(), now);
                seen
            }
        };
        if seen.identity.expires_at <= now {
            return Err(Error::TokenExpired);
        }
        if seen.identity.account_id.as_deref() != Some(account_id) {
            return Err(Error::TokenForeign);
        }
        let name = seen.identity.claims[format!("sub_{account_id}")].as_str().ok_or(Error::TokenMalformed)?;
        Ok(KubeUser { name: kube_user_name(name), iam_id: seen.identity.iam_id.clone(), groups: seen.groups.to_vec() })
    }
}

/// An identity as the API server of a cluster knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KubeUser {
    /// `IAM#user@example.com`
    pub name: String,
    pub iam_id: String,
    /// Names of its access groups, with that of everybody and without those that clusters keep for themselves.
    pub groups: Vec<String>,
}

/// The name of a user in clusters, after the user name or, of machines, the ID.
pub(crate) fn kube_user_name(sub: &str) -> String {
    format!("IAM#{}", sub.to_lowercase())
}

/// An ID token is for API servers of clusters, and names its account by the claims that it has for it.
fn kube_identity(claims: Value, issuer: &str) -> Result<Identity> {
    let text = |name: &str| claims[name].as_str().map(str::to_owned);
    if claims["aud"] != "kube" || claims["iss"] != issuer {
        return Err(Error::TokenMalformed);
    }
    let account = claims.as_object().and_then(|all| all.keys().find_map(|name| name.strip_prefix("iam_id_")));
    Ok(Identity {
        iam_id: text("iam_id").ok_or(Error::TokenMalformed)?,
        email: text("email").unwrap_or_default(),
        name: text("name").unwrap_or_default(),
        account_id: Some(account.ok_or(Error::TokenMalformed)?.to_owned()),
        client_id: "kube".to_owned(),
        session_id: text("session_id"),
        apikey_id: text("apikey_id"),
        expires_at: claims["exp"].as_i64().and_then(|s| Timestamp::from_second(s).ok()).ok_or(Error::TokenMalformed)?,
        claims: Arc::new(claims),
    })
}

/// ID tokens and UAA tokens are signed with the same keys but are no access tokens: they say for whom they are.
fn identity(claims: Value) -> Result<Identity> {
    let text = |name: &str| claims[name].as_str().map(str::to_owned);
    if claims.get("aud").is_some() {
        return Err(Error::TokenMalformed);
    }
    Ok(Identity {
        iam_id: text("iam_id").ok_or(Error::TokenMalformed)?,
        email: text("email").unwrap_or_default(),
        name: text("name").unwrap_or_default(),
        account_id: claims["account"]["bss"].as_str().map(str::to_owned),
        client_id: text("client_id").unwrap_or_default(),
        session_id: text("session_id"),
        apikey_id: text("apikey_id"),
        expires_at: claims["exp"].as_i64().and_then(|s| Timestamp::from_second(s).ok()).ok_or(Error::TokenMalformed)?,
        claims: Arc::new(claims),
    })
}
