//! What an access token says of its owner. It is shown to people, never trusted: the server checks the token.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Claims {
    pub iam_id: Option<String>,
    pub name: Option<String>,
    pub email: Option<String>,
    pub sub: Option<String>,
    pub sub_type: Option<String>,
    pub account: ClaimedAccount,
    /// When it was issued and when it expires, in seconds since 1970 by the server's clock.
    pub iat: i64,
    pub exp: i64,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct ClaimedAccount {
    /// ID of the account the token is scoped to; absent when it is scoped to none.
    pub bss: Option<String>,
}

impl Claims {
    /// The claims of an access token; all empty if it is not a JSON Web Token.
    #[must_use]
    pub fn of(token: &str) -> Self {
        let payload = token.split('.').nth(1).unwrap_or_default();
        let bytes = URL_SAFE_NO_PAD.decode(payload.trim_end_matches('=')).unwrap_or_default();
        serde_json::from_slice(&bytes).unwrap_or_default()
    }

    /// Who it is, as people call them.
    #[must_use]
    pub fn user(&self) -> Option<String> {
        [&self.email, &self.sub, &self.name, &self.iam_id].into_iter().flatten().find(|s| !s.is_empty()).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_token_and_shrugs_at_anything_else() {
        let payload = URL_SAFE_NO_PAD.encode(r#"{"email":"ada@example.com","sub":"Ada","account":{"bss":"abc"}}"#);
        let claims = Claims::of(&format!("e30.{payload}.sig"));
        assert_eq!((claims.user().as_deref(), claims.account.bss.as_deref()), (Some("ada@example.com"), Some("abc")));
        for garbled in ["", "abc", "a.b.c", "e30.bnVsbA.x", "e30.eyJhY2NvdW50IjozfQ.x"] {
            assert!(Claims::of(garbled).user().is_none(), "{garbled}");
        }
    }
}
