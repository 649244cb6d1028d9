//! What tokens say, in the order and types in which clients read it.

use boatyard_store::users::User;
use serde::Serialize;

use crate::ACCESS_TOKEN_SECONDS;

/// Realm of users.
pub(crate) const REALM: &str = "IBMid";

#[derive(Serialize)]
pub(crate) struct AccessClaims<'a> {
    pub iam_id: &'a str,
    pub id: &'a str,
    pub realmid: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_id: Option<&'a str>,
    pub jti: String,
    pub identifier: &'a str,
    pub given_name: &'a str,
    pub family_name: &'a str,
    pub name: &'a str,
    pub email: &'a str,
    pub sub: &'a str,
    pub authn: Authn<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<AccountClaim<'a>>,
    pub iat: i64,
    pub exp: i64,
    pub iss: &'a str,
    pub grant_type: &'a str,
    pub scope: &'a str,
    pub client_id: &'a str,
    pub acr: i64,
    pub amr: [&'a str; 1],
}

/// The person who logged in.
#[derive(Serialize)]
pub(crate) struct Authn<'a> {
    pub sub: &'a str,
    pub iam_id: &'a str,
    pub name: &'a str,
    pub given_name: &'a str,
    pub family_name: &'a str,
    pub email: &'a str,
}

/// The account that a token is scoped to. Clients assert that it is an object and `bss` a string.
#[derive(Serialize)]
pub(crate) struct AccountClaim<'a> {
    pub boundary: &'a str,
    pub valid: bool,
    pub bss: &'a str,
}

/// What a user's tokens say of the user.
#[derive(Clone, Debug)]
pub(crate) struct Person {
    pub user: User,
    pub name: String,
}

impl Person {
    pub fn new(user: User) -> Self {
        let name = format!("{} {}", user.given_name, user.family_name).trim().to_owned();
        let name = if name.is_empty() { user.username.clone() } else { name };
        Self { user, name }
    }

    pub fn authn(&self) -> Authn<'_> {
        Authn {
            sub: &self.user.username,
            iam_id: &self.user.iam_id,
            name: &self.name,
            given_name: &self.user.given_name,
            family_name: &self.user.family_name,
            email: &self.user.email,
        }
    }

    /// The IAM ID without its realm.
    pub fn identifier(&self) -> &str {
        self.user.iam_id.strip_prefix("IBMid-").unwrap_or(&self.user.iam_id)
    }
}

/// What a login is, apart from who logged in.
#[derive(Clone, Copy)]
pub(crate) struct Login<'a> {
    pub account_id: Option<&'a str>,
    pub client_id: &'a str,
    pub session_id: Option<&'a str>,
    pub grant_type: &'a str,
    pub issuer: &'a str,
    /// Seconds since the Unix epoch.
    pub now: i64,
}

impl Person {
    pub fn access_claims<'a>(&'a self, login: Login<'a>) -> AccessClaims<'a> {
        AccessClaims {
            iam_id: &self.user.iam_id,
            id: &self.user.iam_id,
            realmid: REALM,
            session_id: login.session_id,
            jti: boatyard_core::id::uuid(),
            identifier: self.identifier(),
            given_name: &self.user.given_name,
            family_name: &self.user.family_name,
            name: &self.name,
            email: &self.user.email,
            sub: &self.user.username,
            authn: self.authn(),
            account: login.account_id.map(|bss| AccountClaim { boundary: "global", valid: true, bss }),
            iat: login.now,
            exp: login.now + ACCESS_TOKEN_SECONDS,
            iss: login.issuer,
            grant_type: login.grant_type,
            scope: "ibm openid",
            client_id: login.client_id,
            acr: 1,
            amr: ["pwd"],
        }
    }

    /// Claims of an ID token for a cluster's API server, which finds its user name and groups under names of their own for each
    /// account.
    pub fn id_claims(&self, login: Login<'_>) -> serde_json::Value {
        let mut claims = serde_json::json!({
            "iam_id": self.user.iam_id,
            "iss": login.issuer,
            "sub": self.user.username,
            "aud": "kube",
            "given_name": self.user.given_name,
            "family_name": self.user.family_name,
            "name": self.name,
            "email": self.user.email,
            "exp": login.now + ACCESS_TOKEN_SECONDS,
            "iat": login.now,
            "scope": "ibm openid containers-kubernetes",
            "authn": self.authn(),
        });
        if let Some(account) = login.account_id {
            let sub = self.user.username.to_lowercase();
            claims[format!("sub_{account}")] = serde_json::json!(sub);
            claims[format!("iam_id_{account}")] = serde_json::json!(self.user.iam_id);
            claims[format!("realmed_sub_{account}")] = serde_json::json!(format!("{REALM}-{sub}"));
            // Members of an account have no access groups yet.
            claims[format!("groups_{account}")] = serde_json::json!([]);
        }
        claims
    }

    /// Claims of a UAA token, which no current client reads any more.
    pub fn uaa_claims(&self, login: Login<'_>) -> serde_json::Value {
        serde_json::json!({
            "jti": boatyard_core::id::uuid(),
            "sub": self.user.iam_id,
            "scope": ["cloud_controller.read", "openid", "uaa.user"],
            "client_id": "cf",
            "cid": "cf",
            "azp": "cf",
            "grant_type": login.grant_type,
            "user_id": self.user.iam_id,
            "origin": "uaa",
            "user_name": self.user.username,
            "email": self.user.email,
            "auth_time": login.now,
            "iat": login.now,
            "exp": login.now + ACCESS_TOKEN_SECONDS,
            "iss": login.issuer,
            "zid": "uaa",
            "aud": ["cloud_controller", "uaa", "cf", "openid"],
        })
    }
}
