//! What is remembered of a login between two commands.

use std::path::PathBuf;

use jiff::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};

/// The contents of `config.json`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct State {
    /// Scheme, host and port of the server, without a slash at the end.
    pub endpoint: String,
    /// CA certificate trusted beside the system's roots.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
    /// Who logged in, as shown to people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<Account>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource_group: Option<Named>,
    /// Absent after a logout.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<Tokens>,
    /// The API key, only if the person asked to keep it.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "secret_option")]
    pub apikey: Option<SecretString>,
}

/// An ID and the name people know it by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Named {
    pub id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// The selected account: 32 hexadecimal digits and its name.
pub type Account = Named;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Tokens {
    #[serde(with = "secret")]
    pub access: SecretString,
    #[serde(default, skip_serializing_if = "Option::is_none", with = "secret_option")]
    pub refresh: Option<SecretString>,
    /// When the access token expires by **our** clock, in seconds since 1970: arrival plus life. The server's own
    /// `expiration` would be wrong wherever the two clocks differ.
    pub expires: i64,
    /// Life of the access token in seconds.
    pub life: i64,
}

impl Tokens {
    /// Whether to get a new access token before using this one: less than a minute or a fifth of its life is left.
    #[must_use]
    pub fn is_stale(&self, now: Timestamp) -> bool {
        let left = self.expires.saturating_sub(now.as_second());
        left < 60 || left < self.life / 5
    }

    #[must_use]
    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.expires <= now.as_second()
    }

    pub(crate) fn has_access(&self, token: &SecretString) -> bool {
        self.access.expose_secret() == token.expose_secret()
    }
}

impl Named {
    /// The name and the ID, or the ID alone.
    #[must_use]
    pub fn label(&self) -> String {
        match &self.name {
            Some(name) => format!("{name} ({})", self.id),
            None => self.id.clone(),
        }
    }
}

/// The file is the one place a secret is written to, so this is spelled out instead of derived.
mod secret {
    use secrecy::{ExposeSecret as _, SecretString};
    use serde::{Deserialize as _, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(secret: &SecretString, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(secret.expose_secret())
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<SecretString, D::Error> {
        String::deserialize(from).map(SecretString::from)
    }
}

mod secret_option {
    use secrecy::{ExposeSecret as _, SecretString};
    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer};

    pub fn serialize<S: Serializer>(secret: &Option<SecretString>, to: S) -> Result<S::Ok, S::Error> {
        secret.as_ref().map(|s| s.expose_secret()).serialize(to)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<SecretString>, D::Error> {
        Ok(Option::<String>::deserialize(from)?.map(SecretString::from))
    }
}
