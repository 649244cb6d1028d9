//! What an account says of logins to it, as far as it decides here. The whole of it is the account's document of identity settings.

use std::sync::Arc;

use boatyard_store::account_settings;
use serde::Deserialize;

use crate::{Iam, Result};

/// Name of the document that holds an account's identity settings.
pub const IDENTITY: &str = "identity";

/// How long tokens are good, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lifetimes {
    pub access: i64,
    pub id: i64,
    pub refresh: i64,
    /// Of refresh tokens that kubectl uses.
    pub kube_refresh: i64,
}

impl Default for Lifetimes {
    fn default() -> Self {
        Self {
            access: crate::ACCESS_TOKEN_SECONDS,
            id: crate::ID_TOKEN_SECONDS,
            refresh: crate::REFRESH_TOKEN_SECONDS,
            kube_refresh: crate::KUBE_REFRESH_TOKEN_SECONDS,
        }
    }
}

/// What decides on logins to an account. Sessions end by age or by inactivity only where the account says so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct LoginSettings {
    pub lifetimes: Lifetimes,
    /// Seconds after its beginning at which a session ends.
    pub session_expiration: Option<i64>,
    /// Seconds after its last use at which a session ends.
    pub session_invalidation: Option<i64>,
    pub max_sessions: Option<usize>,
}

/// The members of the document that matter here; numbers are texts, and `NOT_SET` is none.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Document {
    session_expiration_in_seconds: String,
    session_invalidation_in_seconds: String,
    max_sessions_per_identity: String,
    system_access_token_expiration_in_seconds: String,
    system_refresh_token_expiration_in_seconds: String,
}

impl LoginSettings {
    fn read(document: &str) -> Self {
        let document: Document = serde_json::from_str(document).unwrap_or_default();
        let number = |text: &str| text.parse::<i64>().ok().filter(|n| *n > 0);
        let default = Lifetimes::default();
        Self {
            lifetimes: Lifetimes {
                access: number(&document.system_access_token_expiration_in_seconds).unwrap_or(default.access),
                refresh: number(&document.system_refresh_token_expiration_in_seconds).unwrap_or(default.refresh),
                ..default
            },
            session_expiration: number(&document.session_expiration_in_seconds),
            session_invalidation: number(&document.session_invalidation_in_seconds),
            max_sessions: number(&document.max_sessions_per_identity).and_then(|n| usize::try_from(n).ok()),
        }
    }
}

impl Iam {
    /// What an account says of logins to it.
    pub(crate) async fn login_settings(&self, account_id: Option<&str>) -> Result<LoginSettings> {
        let Some(account_id) = account_id else { return Ok(LoginSettings::default()) };
        let load = async || {
            let found = account_settings::get(&mut *self.inner.store.read().await?, account_id, IDENTITY).await?;
            Ok::<_, crate::Error>(found.map(|found| LoginSettings::read(&found.document)).unwrap_or_default())
        };
        let settings: Arc<LoginSettings> = self.inner.login_settings.get(&self.inner.store, account_id, load).await?;
        Ok(*settings)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_set_has_its_default() {
        let set = LoginSettings::read(
            r#"{"system_access_token_expiration_in_seconds":"900","session_expiration_in_seconds":"NOT_SET"}"#,
        );
        assert_eq!(set.lifetimes, Lifetimes { access: 900, ..Lifetimes::default() });
        assert_eq!(set.session_expiration, None);
        assert_eq!(LoginSettings::read("{}"), LoginSettings::default());
    }
}
