//! Logins to OpenShift clusters: a credential becomes a token of the cluster, at once or by way of a code.
//!
//! A token is bound to one cluster and to what it was issued for: the session that the login began or, as access tokens are, the API key.
//! It is good for a day, and no longer than those, its identity and the membership in the cluster's account.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use boatyard_core::secret::{self, SecretString, sha256};
use boatyard_core::{Digest, id};
use boatyard_store::Domain;
use boatyard_store::oauth_tokens::{self, OAuthCode, OAuthToken};
use boatyard_store::sessions::Session;
use jiff::Timestamp;
use serde_json::Value;

use crate::caller::Identity;
use crate::grants::Authenticated;
use crate::membership::Unlisted;
use crate::request::PASSCODE;
use crate::sessions::NewSession;
use crate::subject::Subject;
use crate::{Browser, Error, Iam, Result};

/// Seconds for which a token of an OpenShift cluster is good.
pub const CLUSTER_TOKEN_SECONDS: i64 = 24 * 3600;
/// Seconds for which a code is good.
pub const CLUSTER_CODE_SECONDS: i64 = 60;
/// What every token, and the name of every token, begins with.
pub const CLUSTER_TOKEN_PREFIX: &str = "sha256~";
/// Characters after that, six random bits each.
const TOKEN_LENGTH: usize = 43;

/// An OpenShift cluster, as far as its logins know it.
#[derive(Clone, Copy, Debug)]
pub struct ClusterPlace<'a> {
    pub cluster_id: &'a str,
    pub account_id: &'a str,
}

/// How somebody shows who they are.
#[derive(Debug)]
pub enum ClusterCredential {
    ApiKey(SecretString),
    Passcode(SecretString),
    Password { username: String, password: SecretString },
}

/// For which program a token is.
#[derive(Clone, Copy, Debug)]
pub struct ClusterClient<'a> {
    pub id: &'a str,
    pub redirect_uri: &'a str,
}

/// What the verifier that comes with a code has to become (RFC 7636).
#[derive(Clone, Debug)]
pub enum Challenge {
    Plain(String),
    S256(String),
}

impl Challenge {
    fn stored(&self) -> (&str, &'static str) {
        match self {
            Self::Plain(challenge) => (challenge, "plain"),
            Self::S256(challenge) => (challenge, "S256"),
        }
    }
}

/// Somebody who has logged in to a cluster and has no token yet.
#[derive(Debug)]
pub struct ClusterLogin {
    subject: Arc<Subject>,
    grant_type: String,
    api_key_id: Option<String>,
    /// What the login came of: its session joins the family.
    parent: Option<Session>,
}

impl ClusterLogin {
    #[must_use]
    pub fn iam_id(&self) -> &str {
        &self.subject.iam_id
    }

    /// User name of a user, ID of anything else.
    #[must_use]
    pub fn sub(&self) -> &str {
        &self.subject.sub
    }
}

/// Whose a token of a cluster is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterUser {
    pub iam_id: String,
    /// User name of a user, ID of anything else, in small letters, as tokens for clusters have it.
    pub name: String,
    /// As of an ID token for clusters.
    pub groups: Vec<String>,
    /// The name of the token.
    pub token: String,
}

/// What is known of a token, until something of that changes.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    account_id: String,
    user: ClusterUser,
    until: Timestamp,
}

/// The name under which the API of OpenShift knows a token, which cannot be told back into the token. `None` for what is no token.
#[must_use]
pub fn cluster_token_name(token: &str) -> Option<String> {
    let random = token.strip_prefix(CLUSTER_TOKEN_PREFIX)?;
    let well_formed =
        random.len() == TOKEN_LENGTH && random.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
    well_formed.then(|| format!("{CLUSTER_TOKEN_PREFIX}{}", URL_SAFE_NO_PAD.encode(sha256(random.as_bytes()))))
}

impl Iam {
    /// Checks a credential of a member of the cluster's account.
    ///
    /// # Errors
    /// If the credential is wrong, or whose it is does not belong to the account.
    pub async fn cluster_login(&self, place: ClusterPlace<'_>, credential: &ClusterCredential) -> Result<ClusterLogin> {
        let wanted = Some(place.account_id);
        let login = match credential {
            ClusterCredential::ApiKey(key) => self.apikey_login(key, wanted).await?,
            ClusterCredential::Passcode(passcode) => self.passcode_login(passcode, wanted, PASSCODE).await?,
            ClusterCredential::Password { username, password } => {
                let user = self.password_login(username, password).await?;
                self.of_user(user, wanted, "password").await?
            }
        };
        // A key may be there although whose it is has left the account.
        self.membership(&login.subject, wanted).await?;
        let Authenticated { subject, grant_type, api_key_id, parent, .. } = login;
        Ok(ClusterLogin { subject, grant_type, api_key_id, parent })
    }

    /// The login of somebody who is logged in with a browser.
    ///
    /// # Errors
    /// [`Error::TokenExpired`] if nobody is, [`Error::NotAMember`] of the cluster's account.
    pub async fn cluster_login_of_browser(&self, place: ClusterPlace<'_>, browser: &Browser) -> Result<ClusterLogin> {
        let login = self.browser_login_get(browser).await?.ok_or(Error::TokenExpired)?;
        let found = Subject::find(&mut *self.inner.store.read().await?, &login.iam_id).await?;
        let subject = Arc::new(found.ok_or(Error::TokenExpired)?);
        self.membership(&subject, Some(place.account_id)).await?;
        Ok(ClusterLogin { subject, grant_type: PASSCODE.to_owned(), api_key_id: None, parent: None })
    }

    /// A code for a login, with which its client gets a token.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn cluster_code_issue(
        &self,
        place: ClusterPlace<'_>,
        login: &ClusterLogin,
        client: ClusterClient<'_>,
        challenge: Option<&Challenge>,
    ) -> Result<String> {
        let code = format!("{CLUSTER_TOKEN_PREFIX}{}", id::token::<TOKEN_LENGTH>());
        let (challenge, method) = challenge.map(Challenge::stored).unzip();
        let row = OAuthCode {
            cluster_id: place.cluster_id.to_owned(),
            account_id: place.account_id.to_owned(),
            iam_id: login.subject.iam_id.clone(),
            client_id: client.id.to_owned(),
            redirect_uri: client.redirect_uri.to_owned(),
            challenge: challenge.map(str::to_owned),
            challenge_method: method.unwrap_or("plain").to_owned(),
            grant_type: login.grant_type.clone(),
            api_key_id: login.api_key_id.clone(),
            parent_id: login.parent.as_ref().map(|parent| parent.id.clone()),
        };
        let until = self.inner.clock.now().as_millisecond() + CLUSTER_CODE_SECONDS * 1000;
        let mut tx = self.inner.store.write(Domain::Sessions).await?;
        oauth_tokens::code_insert(&mut tx, Digest::of(&code), &row, until).await?;
        tx.commit().await?;
        Ok(code)
    }

    /// The login of a code, which is used up whatever comes of it. `redirect_uri` is compared if the client repeats it.
    ///
    /// # Errors
    /// [`Error::WrongPasscode`] if the code is not there, was used, is too old, or is for another client; or if the verifier is not
    /// that of the challenge.
    pub async fn cluster_code_take(
        &self,
        place: ClusterPlace<'_>,
        client_id: &str,
        code: &str,
        redirect_uri: Option<&str>,
        verifier: Option<&str>,
    ) -> Result<(ClusterLogin, String)> {
        let now = self.inner.clock.now().as_millisecond();
        let mut tx = self.inner.store.write(Domain::Sessions).await?;
        let taken = oauth_tokens::code_take(&mut tx, Digest::of(code), place.cluster_id, now).await?;
        tx.commit().await?;
        let code = taken.ok_or(Error::WrongPasscode)?;
        let fits = code.client_id == client_id
            && redirect_uri.is_none_or(|uri| uri == code.redirect_uri)
            && code.challenge.as_deref().is_none_or(|challenge| answers(challenge, &code.challenge_method, verifier));
        let subject = Subject::find(&mut *self.inner.store.read().await?, &code.iam_id).await?;
        let subject = Arc::new(subject.filter(|_| fits).ok_or(Error::WrongPasscode)?);
        self.membership(&subject, Some(place.account_id)).await?;
        let parent = match &code.parent_id {
            Some(id) => Some(self.session_check(id, Some(place.account_id)).await?),
            None => None,
        };
        let login = ClusterLogin { subject, grant_type: code.grant_type, api_key_id: code.api_key_id, parent };
        Ok((login, code.redirect_uri))
    }

    /// A token for a login. With an API key it ends with the key; any other login begins a session, which its account sees and can end.
    ///
    /// # Errors
    /// If the key has gone since it was looked at.
    pub async fn cluster_token_issue(
        &self,
        place: ClusterPlace<'_>,
        login: &ClusterLogin,
        client: ClusterClient<'_>,
    ) -> Result<SecretString> {
        let random = id::token::<TOKEN_LENGTH>();
        let settings = self.login_settings(Some(place.account_id)).await?;
        let now = self.inner.clock.now().as_millisecond();
        let mut tx = self.inner.store.write(Domain::Sessions).await?;
        let session_id = match &login.api_key_id {
            Some(key_id) => {
                self.key_check(&mut tx, key_id).await?;
                None
            }
            None => {
                if settings.max_sessions.is_some() {
                    // Sessions may end for this one, and their access tokens with them.
                    tx = tx.and(Domain::Identity);
                }
                let new = NewSession {
                    iam_id: &login.subject.iam_id,
                    account_id: Some(place.account_id),
                    client_id: client.id,
                    grant_type: &login.grant_type,
                    api_key_id: None,
                    parent: login.parent.as_ref(),
                };
                Some(self.session_begin(&mut tx, &new, &settings).await?)
            }
        };
        let token = OAuthToken {
            name: format!("{CLUSTER_TOKEN_PREFIX}{}", URL_SAFE_NO_PAD.encode(sha256(random.as_bytes()))),
            cluster_id: place.cluster_id.to_owned(),
            account_id: place.account_id.to_owned(),
            iam_id: login.subject.iam_id.clone(),
            client_id: client.id.to_owned(),
            redirect_uri: client.redirect_uri.to_owned(),
            session_id,
            api_key_id: login.api_key_id.clone(),
            created_at: now,
            expires_at: now + CLUSTER_TOKEN_SECONDS * 1000,
        };
        oauth_tokens::insert(&mut tx, &token).await?;
        tx.commit().await?;
        Ok(format!("{CLUSTER_TOKEN_PREFIX}{random}").into())
    }

    /// Whose a token of a cluster is, if it is good now.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn cluster_user(&self, place: ClusterPlace<'_>, token: &str) -> Result<Option<ClusterUser>> {
        let Some(name) = cluster_token_name(token) else { return Ok(None) };
        let now = self.inner.clock.now();
        let key = format!("{}/{name}", place.cluster_id);
        let load = async || self.cluster_token_look_up(place, &name, now).await;
        let known = self.inner.cluster_tokens.get(&self.inner.store, &key, load).await?;
        let mut known = (*known).clone();
        // Something about time alone has changed, such as a membership that ended: what is remembered does not say what is left.
        if known.as_ref().is_some_and(|known| known.until <= now) {
            known = self.cluster_token_look_up(place, &name, now).await?;
        }
        Ok(known.filter(|known| known.until > now && known.account_id == place.account_id).map(|known| known.user))
    }

    async fn cluster_token_look_up(&self, place: ClusterPlace<'_>, name: &str, now: Timestamp) -> Result<Option<Known>> {
        let mut conn = self.inner.store.read().await?;
        let Some(token) = oauth_tokens::get(&mut conn, place.cluster_id, name).await? else { return Ok(None) };
        let Some(subject) = Subject::find(&mut conn, &token.iam_id).await? else { return Ok(None) };
        let expires_at = boatyard_core::clock::from_ms(token.expires_at);
        let identity = Identity {
            iam_id: token.iam_id.clone(),
            email: subject.email.clone(),
            name: subject.name.clone(),
            account_id: Some(token.account_id.clone()),
            client_id: token.client_id,
            session_id: token.session_id,
            apikey_id: token.api_key_id,
            expires_at,
            claims: Arc::new(Value::Null),
        };
        let Some(until) = self.standing(&mut conn, &identity, now).await? else { return Ok(None) };
        let unlisted = Unlisted::find(&mut conn, &token.account_id, &token.iam_id, now).await?;
        drop(conn);
        let groups = self.cluster_groups(&token.account_id, &token.iam_id).await?;
        let until = unlisted.until.map_or(until, |end| until.min(end)).min(expires_at);
        let user = ClusterUser { name: subject.sub.to_lowercase(), iam_id: token.iam_id, groups, token: token.name };
        Ok(Some(Known { account_id: token.account_id, user, until }))
    }

    /// The good tokens of an identity for a cluster, the oldest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn cluster_tokens(&self, place: ClusterPlace<'_>, iam_id: &str) -> Result<Vec<OAuthToken>> {
        let now = self.inner.clock.now().as_millisecond();
        Ok(oauth_tokens::list(&mut *self.inner.store.read().await?, place.cluster_id, iam_id, now).await?)
    }

    /// Ends a token by its name, of one identity if one is given: from the next request on it is refused. Its session goes with it.
    /// Returns what it was.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn cluster_token_end(
        &self,
        place: ClusterPlace<'_>,
        name: &str,
        iam_id: Option<&str>,
    ) -> Result<Option<OAuthToken>> {
        // What is remembered of tokens is remembered until something of identities is written.
        let mut tx = self.inner.store.write(Domain::Sessions).await?.and(Domain::Identity);
        let found = oauth_tokens::get(&mut tx, place.cluster_id, name).await?;
        let Some(token) = found.filter(|token| iam_id.is_none_or(|id| id == token.iam_id)) else { return Ok(None) };
        oauth_tokens::delete(&mut tx, place.cluster_id, name).await?;
        if let Some(session_id) = &token.session_id {
            boatyard_store::sessions::delete(&mut tx, session_id).await?;
        }
        tx.commit().await?;
        Ok(Some(token))
    }
}

/// Whether a verifier is the one of a challenge.
fn answers(challenge: &str, method: &str, verifier: Option<&str>) -> bool {
    let Some(verifier) = verifier else { return false };
    match method {
        "S256" => secret::same(challenge, &URL_SAFE_NO_PAD.encode(sha256(verifier.as_bytes()))),
        _ => secret::same(challenge, verifier),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_named_as_the_api_of_openshift_names_it() {
        let random = "x".repeat(43);
        let name = cluster_token_name(&format!("sha256~{random}")).unwrap();
        // printf 'xxx…' | openssl dgst -sha256 -binary | basenc --base64url
        assert_eq!(name.len(), "sha256~".len() + 43);
        assert!(!name.contains(&random));
        for other in
            ["", "sha256~", "sha256~short", &random, &format!("sha256~{random}x"), &format!("sha256~{}=", &random[1..])]
        {
            assert_eq!(cluster_token_name(other), None, "{other}");
        }
    }

    #[test]
    fn a_verifier_answers_its_own_challenge_only() {
        // The example of RFC 7636, appendix B.
        let (verifier, challenge) =
            ("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
        assert!(answers(challenge, "S256", Some(verifier)));
        assert!(answers(verifier, "plain", Some(verifier)));
        for (challenge, method, verifier) in [
            (challenge, "S256", Some("x")),
            (challenge, "S256", None),
            (challenge, "plain", Some(verifier)),
            (challenge, "plain", None),
        ] {
            assert!(!answers(challenge, method, verifier), "{method} {verifier:?}");
        }
    }
}
