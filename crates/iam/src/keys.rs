//! Signing keys: made on first start, kept, and rotated without making tokens void.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use boatyard_core::secret::{ExposeSecret as _, SecretString};
use boatyard_core::{Clock, id};
use boatyard_store::{Domain, Store, signing_keys};
use jiff::tz::Offset;
use serde::Serialize;
use tokio::sync::OnceCell;
use tokio::task::JoinHandle;
use tracing::info;

use crate::{ACCESS_TOKEN_SECONDS, Error, Iam, Result};

const DAY_MS: i64 = 24 * 3600 * 1000;
/// How long a key verifies after it stopped signing: as long as the longest token it signed is good, and an hour more for other
/// processes to notice that there is a new one.
const VERIFIES_MS: i64 = (ACCESS_TOKEN_SECONDS + 3600) * 1000;

/// A public key as `/identity/keys` shows it.
#[derive(Clone, Debug, Serialize)]
pub struct Jwk {
    pub kty: &'static str,
    pub n: String,
    pub e: String,
    pub alg: &'static str,
    pub kid: String,
    #[serde(rename = "use")]
    pub use_: &'static str,
}

/// One key pair, parsed once.
pub(crate) struct SigningKey {
    pub kid: String,
    pair: KeyPair,
    /// Milliseconds since the Unix epoch.
    created_at: i64,
    /// When it stopped signing, in milliseconds since the Unix epoch.
    retired_at: Option<i64>,
    /// The token's header, already encoded, with its dot.
    header: String,
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SigningKey").field("kid", &self.kid).finish_non_exhaustive()
    }
}

impl SigningKey {
    fn new(row: signing_keys::SigningKey) -> Result<Self> {
        let signing_keys::SigningKey { kid, pkcs8, created_at, retired_at } = row;
        let pkcs8 = STANDARD.decode(pkcs8.expose_secret()).map_err(|e| Error::Key(e.to_string()))?;
        let pair = KeyPair::from_pkcs8(&pkcs8).map_err(|e| Error::Key(e.to_string()))?;
        // Without `typ`, as the service's tokens are.
        let header = URL_SAFE_NO_PAD.encode(format!(r#"{{"kid":"{kid}","alg":"RS256"}}"#)) + ".";
        Ok(Self { kid, pair, created_at, retired_at, header })
    }

    /// `claims` as a signed token (JWS compact form, RS256).
    pub fn sign(&self, claims: &impl Serialize) -> Result<String> {
        let claims = serde_json::to_vec(claims).map_err(|e| Error::Key(e.to_string()))?;
        let signature_length = self.pair.public_modulus_len();
        let mut token = String::with_capacity(self.header.len() + (claims.len() + signature_length) * 4 / 3 + 8);
        token.push_str(&self.header);
        URL_SAFE_NO_PAD.encode_string(&claims, &mut token);
        let mut signature = vec![0; signature_length];
        let random = SystemRandom::new();
        let signed = self.pair.sign(&RSA_PKCS1_SHA256, &random, token.as_bytes(), &mut signature);
        signed.map_err(|e| Error::Key(e.to_string()))?;
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(&signature, &mut token);
        Ok(token)
    }

    /// Whether `signature` is this key's for `message`.
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        let public = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, self.pair.public_key().as_ref());
        public.verify(message, signature).is_ok()
    }

    fn jwk(&self) -> Jwk {
        let public = self.pair.public_key();
        let number = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        Jwk {
            kty: "RSA",
            n: number(public.modulus().big_endian_without_leading_zero()),
            e: number(public.exponent().big_endian_without_leading_zero()),
            alg: "RS256",
            kid: self.kid.clone(),
            use_: "sig",
        }
    }
}

/// All keys of the installation: one signs, all verify.
#[derive(Debug)]
pub(crate) struct KeyRing {
    ring: OnceCell<RwLock<Ring>>,
    /// The first key, while it is being made.
    first: tokio::sync::Mutex<Option<JoinHandle<Result<Ring>>>>,
    store: Store,
    clock: Clock,
    /// When keys were last looked for in the database, in milliseconds since the Unix epoch.
    looked_at: AtomicI64,
}

#[derive(Debug, Default)]
struct Ring {
    signer: Option<Arc<SigningKey>>,
    by_kid: HashMap<String, Arc<SigningKey>>,
}

impl KeyRing {
    pub async fn open(store: &Store, clock: &Clock) -> Result<Self> {
        let ring = load(store).await?;
        let known = ring.signer.is_some().then(|| RwLock::new(ring));
        // Finding primes takes a while; the server need not wait for it.
        let making = known.is_none().then(|| make_first(store, clock));
        Ok(Self {
            ring: OnceCell::new_with(known),
            first: tokio::sync::Mutex::new(making),
            store: store.clone(),
            clock: clock.clone(),
            looked_at: AtomicI64::new(i64::MIN),
        })
    }

    async fn ring(&self) -> Result<&RwLock<Ring>> {
        let wait = async || {
            let mut first = self.first.lock().await;
            // Waited for in its place: whoever asks may go away meanwhile, and the next one goes on waiting for the same key.
            let made = first.get_or_insert_with(|| make_first(&self.store, &self.clock)).await;
            // If it could not be made, the next one who asks tries again.
            *first = None;
            Ok(RwLock::new(made.map_err(|e| Error::Interrupted(e.to_string()))??))
        };
        self.ring.get_or_try_init(wait).await
    }

    /// The key that signs.
    pub async fn signer(&self) -> Result<Arc<SigningKey>> {
        let ring = self.ring().await?.read().unwrap_or_else(PoisonError::into_inner);
        ring.signer.clone().ok_or_else(|| Error::Key("there is none that signs".to_owned()))
    }

    /// The key with that ID.
    pub async fn find(&self, kid: &str) -> Result<Option<Arc<SigningKey>>> {
        let found = self.known(kid).await?;
        if found.is_some() || !self.may_have_more() {
            return Ok(found);
        }
        self.reload().await?;
        self.known(kid).await
    }

    async fn known(&self, kid: &str) -> Result<Option<Arc<SigningKey>>> {
        Ok(self.ring().await?.read().unwrap_or_else(PoisonError::into_inner).by_kid.get(kid).cloned())
    }

    /// Whether the database may hold keys that another process made. Asked at most once in a second, since anybody can send
    /// tokens that name keys which do not exist.
    fn may_have_more(&self) -> bool {
        if self.store.generation(Domain::Identity).is_some() {
            return false;
        }
        let now = self.clock.now().as_millisecond();
        let last = self.looked_at.load(Ordering::Relaxed);
        now.saturating_sub(last) >= 1000
            && self.looked_at.compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    async fn reload(&self) -> Result<()> {
        let fresh = load(&self.store).await?;
        *self.ring().await?.write().unwrap_or_else(PoisonError::into_inner) = fresh;
        Ok(())
    }
}

/// Makes the first key, unless another process did.
fn make_first(store: &Store, clock: &Clock) -> JoinHandle<Result<Ring>> {
    let (store, clock) = (store.clone(), clock.clone());
    tokio::spawn(async move {
        let ring = load(&store).await?;
        if ring.signer.is_some() {
            return Ok(ring);
        }
        add(&store, &clock).await?;
        load(&store).await
    })
}

async fn load(store: &Store) -> Result<Ring> {
    let mut ring = Ring::default();
    for row in signing_keys::list(&mut *store.read().await?, store.sealer()).await? {
        let key = Arc::new(SigningKey::new(row)?);
        if key.retired_at.is_none() {
            ring.signer = Some(Arc::clone(&key));
        }
        ring.by_kid.insert(key.kid.clone(), key);
    }
    Ok(ring)
}

/// Makes a key and has it sign from now on; returns its ID.
async fn add(store: &Store, clock: &Clock) -> Result<String> {
    let pkcs8 = tokio::task::spawn_blocking(|| {
        let pair = KeyPair::generate(KeySize::Rsa2048)?;
        let document: Pkcs8V1Der<'static> = pair.as_der()?;
        Ok::<_, aws_lc_rs::error::Unspecified>(SecretString::from(STANDARD.encode(document.as_ref())))
    });
    let pkcs8 = pkcs8.await.map_err(|e| Error::Interrupted(e.to_string()))?.map_err(|e| Error::Key(e.to_string()))?;
    let now = clock.now();
    // The minute, as the service names its keys, and a few digits for two keys of one minute.
    let kid = format!("{}{}", Offset::UTC.to_datetime(now).strftime("%Y%m%d%H%M"), &id::hex(&id::random::<2>()));
    let mut tx = store.write(Domain::Identity).await?;
    signing_keys::insert_signing(&mut tx, store.sealer(), &kid, &pkcs8, now.as_millisecond()).await?;
    tx.commit().await?;
    info!(kid, "signing key made");
    Ok(kid)
}

impl Iam {
    /// Makes a new signing key and returns its ID. Tokens signed before stay good until they expire.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn rotate_signing_key(&self) -> Result<String> {
        let inner = &self.inner;
        // The ring is there first, so that the first key is not made twice.
        inner.keys.ring().await?;
        let kid = add(&inner.store, &inner.clock).await?;
        inner.keys.reload().await?;
        Ok(kid)
    }

    /// Makes a new signing key if the one that signs is `days` old (0: whatever its age, it is kept), and forgets those whose tokens
    /// have all expired.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn signing_keys_sweep(&self, days: u32) -> Result<()> {
        let inner = &self.inner;
        inner.keys.ring().await?;
        if inner.store.generation(Domain::Identity).is_none() {
            // Another process may have made a new key, and the old one must not sign until it is forgotten.
            inner.keys.reload().await?;
        }
        let now = inner.clock.now().as_millisecond();
        let age = now.saturating_sub(inner.keys.signer().await?.created_at);
        if days > 0 && age >= i64::from(days) * DAY_MS {
            self.rotate_signing_key().await?;
        }
        let before = now.saturating_sub(VERIFIES_MS);
        let over = |key: &Arc<SigningKey>| key.retired_at.is_some_and(|at| at <= before);
        let any = inner.keys.ring().await?.read().unwrap_or_else(PoisonError::into_inner).by_kid.values().any(over);
        if any {
            let mut tx = inner.store.write(Domain::Identity).await?;
            signing_keys::retired_delete(&mut tx, before).await?;
            tx.commit().await?;
            inner.keys.reload().await?;
            info!("signing keys whose tokens have all expired are forgotten");
        }
        Ok(())
    }

    /// Public keys, the signing one first.
    ///
    /// # Errors
    /// When the first key could not be made.
    pub async fn jwks(&self) -> Result<Vec<Jwk>> {
        let ring = self.inner.keys.ring().await?.read().unwrap_or_else(PoisonError::into_inner);
        let mut keys: Vec<_> = ring.by_kid.values().map(|key| key.jwk()).collect();
        let signer = ring.signer.as_ref().map(|key| key.kid.clone()).unwrap_or_default();
        keys.sort_by(|a, b| (a.kid != signer, &b.kid).cmp(&(b.kid != signer, &a.kid)));
        Ok(keys)
    }

    /// `iss` of every token.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.inner.issuer
    }
}

/// Grant types that the token endpoint serves, as discovery lists them.
#[must_use]
pub fn grant_types() -> &'static [&'static str] {
    crate::request::GRANT_TYPES
}
