//! Secrets that have to be read again are sealed: encrypted and authenticated under a key that is kept apart from the database.
//!
//! A sealed value is text, `sealed:v1:<key ID>:<base64 of nonce, ciphertext and tag>`, made by AES-256-GCM with a random nonce. The
//! table, column and row it was made for are authenticated with it, so that it cannot be opened in the place of another.

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};

use crate::secret::{ExposeSecret as _, Hasher, SecretString};

/// What every sealed value begins with.
pub const PREFIX: &str = "sealed:v1:";
/// Bytes of a key.
const KEY_LENGTH: usize = 32;

/// Why a value cannot be opened, or a text holds no keys.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// `line` counts from 1.
    #[error("line {line} is not the base64 of 32 bytes")]
    Key { line: usize },
    #[error("there is no key in it")]
    NoKey,
    #[error("the value was sealed with the key {0}, which is not there")]
    UnknownKey(String),
    #[error("the value is damaged, or was moved here from another place")]
    Forged,
}

/// Where a sealed value stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place<'a> {
    pub table: &'a str,
    pub column: &'a str,
    /// The row's primary key.
    pub row: &'a str,
}

impl<'a> Place<'a> {
    #[must_use]
    pub fn new(table: &'a str, column: &'a str, row: &'a str) -> Self {
        Self { table, column, row }
    }

    /// The associated data. Names of tables and columns hold no slash, so no two places have the same.
    fn data(&self) -> Aad<Vec<u8>> {
        Aad::from(format!("{}/{}/{}", self.table, self.column, self.row).into_bytes())
    }
}

/// Seals with its first key and opens with any.
pub struct Sealer {
    keys: Vec<Key>,
}

struct Key {
    /// The beginning of a digest: tells keys apart, and nothing of what they are.
    id: String,
    cipher: RandomizedNonceKey,
}

impl Sealer {
    /// A sealer with the keys of a text: base64 of 32 bytes each, one a line. Empty lines and what follows a `#` are skipped.
    ///
    /// # Errors
    /// [`Error::Key`] names the line that is no key; [`Error::NoKey`] if there is none.
    pub fn parse(text: &SecretString) -> Result<Self, Error> {
        let mut keys = Vec::new();
        for (index, line) in text.expose_secret().lines().enumerate() {
            let line = line.split('#').next().unwrap_or_default().trim();
            if !line.is_empty() {
                keys.push(Key::parse(line).ok_or(Error::Key { line: index + 1 })?);
            }
        }
        if keys.is_empty() { Err(Error::NoKey) } else { Ok(Self { keys }) }
    }

    /// A new key as [`Sealer::parse`] reads it.
    #[must_use]
    pub fn generate() -> SecretString {
        SecretString::from(STANDARD.encode(crate::id::random::<KEY_LENGTH>()))
    }

    /// ID of the key that seals.
    #[must_use]
    pub fn key_id(&self) -> &str {
        &self.keys[0].id
    }

    /// IDs of all keys, the one that seals first.
    pub fn key_ids(&self) -> impl Iterator<Item = &str> {
        self.keys.iter().map(|key| key.id.as_str())
    }

    /// Seals `secret` for its place.
    ///
    /// # Panics
    /// Never for what fits into memory: the cipher takes 64 GiB at once.
    #[must_use]
    pub fn seal(&self, place: Place<'_>, secret: &str) -> String {
        let key = &self.keys[0];
        let mut sealed = secret.as_bytes().to_vec();
        let nonce = key.cipher.seal_in_place_append_tag(place.data(), &mut sealed).expect("less than the cipher's limit");
        let bytes = [nonce.as_ref().as_slice(), &sealed].concat();
        format!("{PREFIX}{}:{}", key.id, STANDARD_NO_PAD.encode(bytes))
    }

    /// What was sealed for this place.
    ///
    /// # Errors
    /// [`Error::UnknownKey`] if no key is the one it was sealed with; [`Error::Forged`] for anything else.
    pub fn open(&self, place: Place<'_>, sealed: &str) -> Result<SecretString, Error> {
        let (id, encoded) = sealed.strip_prefix(PREFIX).and_then(|rest| rest.split_once(':')).ok_or(Error::Forged)?;
        let key = self.keys.iter().find(|key| key.id == id).ok_or_else(|| Error::UnknownKey(id.to_owned()))?;
        let mut bytes = STANDARD_NO_PAD.decode(encoded).map_err(|_| Error::Forged)?;
        let (nonce, sealed) = bytes.split_at_mut_checked(NONCE_LEN).ok_or(Error::Forged)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| Error::Forged)?;
        let secret = key.cipher.open_in_place(nonce, place.data(), sealed).map_err(|_| Error::Forged)?;
        std::str::from_utf8(secret).map(SecretString::from).map_err(|_| Error::Forged)
    }
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.key_ids()).finish()
    }
}

impl Key {
    fn parse(text: &str) -> Option<Self> {
        let bytes = STANDARD.decode(text).ok().filter(|bytes| bytes.len() == KEY_LENGTH)?;
        let mut hasher = Hasher::default();
        hasher.update(b"boatyard encryption key\0");
        hasher.update(&bytes);
        let mut id = hasher.hex();
        id.truncate(8);
        Some(Self { id, cipher: RandomizedNonceKey::new(&AES_256_GCM, &bytes).ok()? })
    }
}

/// ID of the key that a value was sealed with, or `None` if it is not sealed.
#[must_use]
pub fn key_id_of(value: &str) -> Option<&str> {
    value.strip_prefix(PREFIX)?.split_once(':').map(|(id, _)| id)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: Place<'_> = Place { table: "api_keys", column: "value", row: "ApiKey-1" };

    fn two_keys() -> (SecretString, SecretString) {
        (Sealer::generate(), Sealer::generate())
    }

    #[test]
    fn opens_only_what_it_sealed_and_only_in_its_place() {
        let sealer = Sealer::parse(&Sealer::generate()).unwrap();
        let sealed = sealer.seal(PLACE, "s3cret");
        assert_eq!(sealer.open(PLACE, &sealed).unwrap().expose_secret(), "s3cret");
        assert_eq!(key_id_of(&sealed), Some(sealer.key_id()));
        assert_ne!(sealer.seal(PLACE, "s3cret"), sealed, "a nonce is used once");
        let elsewhere =
            [Place { row: "ApiKey-2", ..PLACE }, Place { column: "digest", ..PLACE }, Place { table: "signing_keys", ..PLACE }];
        for place in elsewhere {
            assert_eq!(sealer.open(place, &sealed).unwrap_err(), Error::Forged, "{place:?}");
        }
        let mut flipped = sealed.clone().into_bytes();
        let last = flipped.len() - 2;
        flipped[last] = if flipped[last] == b'A' { b'B' } else { b'A' };
        let flipped = String::from_utf8(flipped).unwrap();
        for forged in [flipped.as_str(), "s3cret", "sealed:v1:", &sealed[..sealed.len() - 8], &sealed[..PREFIX.len() + 12]] {
            assert_eq!(sealer.open(PLACE, forged).unwrap_err(), Error::Forged, "{forged}");
        }
    }

    #[test]
    fn the_first_key_seals_and_every_key_opens() {
        let (old, new) = two_keys();
        let before = Sealer::parse(&old).unwrap();
        let sealed = before.seal(PLACE, "s3cret");
        let both = SecretString::from(format!("# new\n{}\n\n  {}  # old\n", new.expose_secret(), old.expose_secret()));
        let both = Sealer::parse(&both).unwrap();
        assert_eq!(both.open(PLACE, &sealed).unwrap().expose_secret(), "s3cret");
        let after = Sealer::parse(&new).unwrap();
        assert_eq!(after.open(PLACE, &both.seal(PLACE, "x")).unwrap().expose_secret(), "x");
        assert_eq!(after.open(PLACE, &sealed).unwrap_err(), Error::UnknownKey(before.key_id().to_owned()));
    }

    #[test]
    fn says_which_line_is_no_key_and_never_prints_one() {
        let key = Sealer::generate();
        let cases = [
            (String::new(), Error::NoKey),
            ("# nothing\n".to_owned(), Error::NoKey),
            (format!("{}\nshort", key.expose_secret()), Error::Key { line: 2 }),
            (STANDARD.encode([7; 31]), Error::Key { line: 1 }),
        ];
        for (text, expected) in cases {
            assert_eq!(Sealer::parse(&SecretString::from(text)).unwrap_err(), expected);
        }
        let sealer = Sealer::parse(&key).unwrap();
        assert_eq!(format!("{sealer:?}"), format!("[{:?}]", sealer.key_id()));
    }
}
