//! Who asks.

use std::sync::Arc;

use jiff::Timestamp;

/// The identity behind an access token, as every rule sees it. Only [`crate::Iam::authenticate`] makes one from a token;
/// [`crate::Iam::caller_declared`] makes one for what the operator declares.
#[derive(Clone, Debug)]
pub struct Caller {
    pub iam_id: String,
    pub email: String,
    pub name: String,
    /// The account the token is scoped to; a token from a password or passcode login without `bss_account` has none.
    pub account_id: Option<String>,
    pub client_id: String,
    pub session_id: Option<String>,
    pub expires_at: Timestamp,
    /// All claims of the token, as served by `/identity/userinfo`.
    pub claims: Arc<serde_json::Value>,
}
