//! What tokens say, in the order and types in which clients read it.

use serde::Serialize;

use crate::settings::Lifetimes;
use crate::subject::{Kind, Subject};

#[derive(Serialize)]
pub(crate) struct AccessClaims<'a> {
    pub iam_id: &'a str,
    pub id: &'a str,
    pub realmid: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_id: Option<&'a str>,
    pub jti: String,
    pub identifier: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub given_name: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub family_name: &'a str,
    pub name: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub email: &'a str,
    pub sub: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sub_type: Option<&'a str>,
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
    /// The key that a token without a session was issued for, so that it ends with the key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub apikey_id: Option<&'a str>,
}

/// Who logged in.
#[derive(Serialize)]
pub(crate) struct Authn<'a> {
    pub sub: &'a str,
    pub iam_id: &'a str,
    pub name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sub_type: Option<&'a str>,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub given_name: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub family_name: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub email: &'a str,
}

/// The account that a token is scoped to. Clients assert that it is an object and `bss` a string.
#[derive(Serialize)]
pub(crate) struct AccountClaim<'a> {
    pub boundary: &'a str,
    pub valid: bool,
    pub bss: &'a str,
}

impl Subject {
    pub fn authn(&self) -> Authn<'_> {
        let one = self.original.as_deref().unwrap_or(self);
        Authn {
            sub: &one.sub,
            iam_id: &one.iam_id,
            name: &one.name,
            sub_type: one.kind.sub_type(),
            given_name: &one.given_name,
            family_name: &one.family_name,
            email: &one.email,
        }
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
    pub lifetimes: Lifetimes,
    pub apikey_id: Option<&'a str>,
    /// Names of the access groups of who logged in.
    pub groups: &'a [String],
}

impl Subject {
    pub fn access_claims<'a>(&'a self, login: Login<'a>) -> AccessClaims<'a> {
        AccessClaims {
            iam_id: &self.iam_id,
            id: &self.iam_id,
            realmid: self.kind.realm(),
            session_id: login.session_id,
            jti: boatyard_core::id::uuid(),
            identifier: self.identifier(),
            given_name: &self.given_name,
            family_name: &self.family_name,
            name: &self.name,
            email: &self.email,
            sub: &self.sub,
            sub_type: self.kind.sub_type(),
            authn: self.authn(),
            account: login.account_id.map(|bss| AccountClaim { boundary: "global", valid: true, bss }),
            iat: login.now,
            exp: login.now + login.lifetimes.access,
            iss: login.issuer,
            grant_type: login.grant_type,
            scope: "ibm openid",
            client_id: login.client_id,
            acr: 1,
            amr: ["pwd"],
            apikey_id: login.apikey_id,
        }
    }

    /// Claims of an ID token for a cluster's API server, which finds its user name and groups under names of their own for each
    /// account.
    pub fn id_claims(&self, login: Login<'_>) -> serde_json::Value {
        let mut claims = serde_json::json!({
            "iam_id": self.iam_id,
            "iss": login.issuer,
            "sub": self.sub,
            "aud": "kube",
            "given_name": self.given_name,
            "family_name": self.family_name,
            "name": self.name,
            "email": self.email,
            "exp": login.now + login.lifetimes.id,
            "iat": login.now,
            "scope": "ibm openid containers-kubernetes",
            "authn": self.authn(),
        });
        // Machines have no e-mail and no first name.
        if self.kind != Kind::User {
            claims["sub_type"] = serde_json::json!(self.kind.sub_type());
            if let Some(claims) = claims.as_object_mut() {
                claims.retain(|_, value| value.as_str() != Some(""));
            }
        }
        // The service's say neither; with them, a token ends with its session or key.
        if let Some(session_id) = login.session_id {
            claims["session_id"] = serde_json::json!(session_id);
        }
        if let Some(apikey_id) = login.apikey_id {
            claims["apikey_id"] = serde_json::json!(apikey_id);
        }
        if let Some(account) = login.account_id {
            let sub = self.sub.to_lowercase();
            claims[format!("sub_{account}")] = serde_json::json!(sub);
            claims[format!("iam_id_{account}")] = serde_json::json!(self.iam_id);
            claims[format!("realmed_sub_{account}")] = serde_json::json!(format!("{}-{sub}", self.kind.realm()));
            claims[format!("groups_{account}")] = serde_json::json!(login.groups);
        }
        claims
    }

    /// Claims of a UAA token, which no current client reads any more.
    pub fn uaa_claims(&self, login: Login<'_>) -> serde_json::Value {
        serde_json::json!({
            "jti": boatyard_core::id::uuid(),
            "sub": self.iam_id,
            "scope": ["cloud_controller.read", "openid", "uaa.user"],
            "client_id": "cf",
            "cid": "cf",
            "azp": "cf",
            "grant_type": login.grant_type,
            "user_id": self.iam_id,
            "origin": "uaa",
            "user_name": self.sub,
            "email": self.email,
            "auth_time": login.now,
            "iat": login.now,
            "exp": login.now + login.lifetimes.access,
            "iss": login.issuer,
            "zid": "uaa",
            "aud": ["cloud_controller", "uaa", "cf", "openid"],
        })
    }
}
