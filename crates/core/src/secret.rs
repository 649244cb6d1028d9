//! Secrets cannot be printed, and what only has to be recognised is kept as a digest.

use std::fmt;

use aws_lc_rs::{constant_time, digest, hmac};
pub use secrecy::{ExposeSecret, SecretString};

/// SHA-256 of a random secret (API key, refresh token, passcode).
///
/// A fast digest is right for these: keys and tokens carry 256 bits of randomness, so there is nothing to guess, and a passcode
/// (50 bits) is worth nothing after five minutes. Passwords are chosen by people and take a slow hash instead.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest([u8; 32]);

impl Digest {
    #[must_use]
    pub fn of(secret: &str) -> Self {
        Self(sha256(secret.as_bytes()))
    }

    /// Lower-case hexadecimal, as it is stored.
    #[must_use]
    pub fn hex(&self) -> String {
        crate::id::hex(&self.0)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Digest(..)")
    }
}

/// SHA-256 of something that need not be secret.
#[must_use]
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut found = [0; 32];
    found.copy_from_slice(digest::digest(&digest::SHA256, bytes).as_ref());
    found
}

/// SHA-256 of something that comes in parts.
#[derive(Clone)]
pub struct Hasher(digest::Context);

impl Default for Hasher {
    fn default() -> Self {
        Self(digest::Context::new(&digest::SHA256))
    }
}

impl Hasher {
    pub fn update(&mut self, part: &[u8]) {
        self.0.update(part);
    }

    /// The digest of all parts so far, in lower-case hexadecimal.
    #[must_use]
    pub fn hex(&self) -> String {
        crate::id::hex(self.0.clone().finish().as_ref())
    }
}

impl fmt::Debug for Hasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hasher(..)")
    }
}

/// A secret for one purpose out of another that is random (HMAC-SHA256): 64 hexadecimal digits. Neither the first secret nor one
/// for another purpose can be told from it, so it need not be stored to be recognised.
#[must_use]
pub fn derived(secret: &SecretString, purpose: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.expose_secret().as_bytes());
    crate::id::hex(hmac::sign(&key, purpose.as_bytes()).as_ref())
}

/// Whether two secrets are equal, in time that does not depend on where they differ.
#[must_use]
pub fn same(a: &str, b: &str) -> bool {
    constant_time::verify_slices_are_equal(a.as_bytes(), b.as_bytes()).is_ok()
}
