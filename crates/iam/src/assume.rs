//! The grant by which an identity becomes a trusted profile.

use std::sync::Arc;

use boatyard_core::secret::{ExposeSecret as _, SecretString};
use boatyard_store::profiles::{self, Profile};
use boatyard_store::sessions::Session;
use boatyard_store::tokens::Kind as TokenKind;
use boatyard_store::{Conn, access, federation};
use jiff::Timestamp;
use serde_json::Value;

use crate::claims::Login;
use crate::grants::Authenticated;
use crate::request::{APIKEY, Assumption, Client, ProfileName};
use crate::settings::Lifetimes;
use crate::subject::{Kind, Subject};
use crate::trust::{SAML, shown_rule};
use crate::{Error, Iam, Identity, ManageError, Result};

/// Who wants to become a profile.
struct Assuming {
    subject: Arc<Subject>,
    account_id: Option<String>,
    session_id: Option<String>,
    api_key_id: Option<String>,
    /// What the access token says; nothing if it was a refresh token.
    claims: Arc<Value>,
}

impl Iam {
    /// The profile that is to be assumed, if it trusts whose token it is. What ends the session or the key of that token ends the
    /// profile's as well.
    pub(crate) async fn assume_login(
        &self,
        client: Client,
        assumption: &Assumption,
        wanted: Option<&str>,
        grant_type: &str,
    ) -> Result<Authenticated> {
        let who = self.assuming(client, assumption).await?;
        let own = who.account_id.as_deref();
        let mut conn = self.inner.store.read().await?;
        // A profile that there is not and one that does not trust the caller are answered alike.
        let profile = find(&mut conn, &assumption.profile, own, wanted).await?.ok_or(Error::ProfileNotTrusted)?;
        if trusted(&mut conn, &profile, &who, self.inner.clock.now().as_millisecond()).await?.is_none() {
            return Err(Error::ProfileNotTrusted);
        }
        let found = access::machine(&mut conn, &profile.iam_id).await?.ok_or(Error::ProfileNotTrusted)?;
        let subject = Subject { original: Some(who.subject), ..Subject::machine(&profile.iam_id, found) };
        Ok(Authenticated {
            subject: Arc::new(subject),
            api_key_id: who.api_key_id,
            account_id: Some(profile.account_id),
            session_id: who.session_id,
            parent: None,
            refreshed: None,
            grant_type: grant_type.to_owned(),
        })
    }

    /// Until when a profile goes on to trust whoever assumed it with the IAM ID `original`, for all that is known now: `None` if it does
    /// not, or that one is gone or no longer in `account_id`, the account of the login.
    pub(crate) async fn still_trusted(
        &self,
        conn: &mut Conn,
        identity: &Identity,
        original: &str,
        account_id: Option<&str>,
        session: Option<&Session>,
    ) -> Result<Option<Timestamp>> {
        let (Some(account_id), Some(of_profile)) = (account_id, &identity.account_id) else { return Ok(None) };
        let Some(subject) = Subject::find(conn, original).await? else { return Ok(None) };
        let belongs = match &subject.account_id {
            Some(own) => own == account_id,
            None => access::is_member(conn, account_id, original).await?,
        };
        let id = identity.iam_id.strip_prefix("iam-").unwrap_or(&identity.iam_id);
        let Some(profile) = profiles::get(conn, of_profile, id).await?.filter(|_| belongs) else { return Ok(None) };
        let now = self.inner.clock.now();
        // What the token said that the profile was assumed with.
        let claims = serde_json::to_value(subject.access_claims(Login {
            account_id: Some(account_id),
            client_id: session.map_or(Client::Default.id(), |session| &session.client_id),
            session_id: session.map(|session| session.id.as_str()),
            grant_type: session.map_or(APIKEY, |session| &session.grant_type),
            issuer: &self.inner.issuer,
            now: now.as_second(),
            lifetimes: Lifetimes::default(),
            apikey_id: None,
            groups: &[],
        }));
        let who = Assuming {
            subject: Arc::new(subject),
            account_id: Some(account_id.to_owned()),
            session_id: None,
            api_key_id: None,
            claims: Arc::new(claims.map_err(boatyard_store::Error::from)?),
        };
        let until = trusted(conn, &profile, &who, now.as_millisecond()).await?;
        Ok(until.map(|until| Timestamp::from_millisecond(until).unwrap_or(Timestamp::MAX)))
    }

    /// Whose token it is.
    async fn assuming(&self, client: Client, assumption: &Assumption) -> Result<Assuming> {
        match assumption {
            Assumption { access_token: Some(token), .. } => self.assuming_by_access_token(token).await,
            Assumption { refresh_token: Some(token), .. } => {
                let token = self.refresh_find(token, TokenKind::Refresh, client).await?;
                let login = self.of_session(token, None).await?;
                Ok(Assuming {
                    subject: login.subject,
                    account_id: login.account_id,
                    session_id: login.session_id,
                    api_key_id: login.api_key_id,
                    claims: Arc::default(),
                })
            }
            _ => Err(Error::Missing { property: "access_token" }),
        }
    }

    async fn assuming_by_access_token(&self, token: &SecretString) -> Result<Assuming> {
        let text = token.expose_secret();
        // Some put the scheme word in, as they would in a header.
        let caller = self.authenticate(text.strip_prefix("Bearer ").unwrap_or(text)).await?;
        let found = Subject::find(&mut *self.inner.store.read().await?, &caller.iam_id).await?;
        Ok(Assuming {
            subject: Arc::new(found.ok_or(Error::TokenForeign)?),
            account_id: caller.account_id.clone(),
            session_id: caller.session_id.clone(),
            api_key_id: caller.apikey_id.clone(),
            claims: Arc::clone(&caller.claims),
        })
    }
}

/// The profile that a request names: by ID or CRN in the account of the token, by name in any that is named as well.
async fn find(conn: &mut Conn, name: &ProfileName, own: Option<&str>, wanted: Option<&str>) -> Result<Option<Profile>> {
    let own = own.ok_or(Error::Unscoped)?;
    let id = match name {
        ProfileName::Id(id) => id,
        // crn:v1:…:iam-identity::a/ACCOUNT::profile:ID
        ProfileName::Crn(crn) => match crn.split(':').collect::<Vec<_>>()[..] {
            ["crn", _, _, _, "iam-identity", _, scope, _, "profile", id] if scope.strip_prefix("a/") == Some(own) => {
                return Ok(profiles::get(conn, own, id).await?);
            }
            _ => return Ok(None),
        },
        ProfileName::Name(name) => {
            let account_id = wanted.ok_or(Error::Missing { property: "account" })?;
            let all = profiles::list(conn, account_id).await?;
            return Ok(all.into_iter().find(|profile| profile.name == *name));
        }
    };
    if wanted.is_some_and(|wanted| wanted != own) {
        return Ok(None);
    }
    Ok(profiles::get(conn, own, id).await?)
}

/// Until when a profile trusts an identity, by name or because all conditions of a rule hold for what its token says: in milliseconds since
/// the Unix epoch, without an end in sight the last there is; `None` if it does not.
async fn trusted(conn: &mut Conn, profile: &Profile, who: &Assuming, now_ms: i64) -> Result<Option<i64>> {
    let own = who.account_id.as_deref().unwrap_or_default();
    let at_home = own == profile.account_id;
    let identities = profiles::identities(conn, profile).await?;
    let by_name = identities.iter().filter(|identity| identity.iam_id == who.subject.iam_id).any(|identity| {
        match identity.accounts.is_empty() {
            true => at_home,
            false => identity.accounts.iter().any(|account| account == own),
        }
    });
    if by_name {
        return Ok(Some(i64::MAX));
    }
    if who.subject.kind != Kind::User || !at_home {
        return Ok(None);
    }
    let mut until = None;
    let login = federation::of_user(conn, &who.subject.iam_id).await?;
    for rule in profiles::rules(conn, profile).await?.into_iter().filter(|rule| rule.kind == SAML) {
        // A rule is about what the provider said at the last login, if that is not too long ago, or about what the token itself says.
        let end = |logged_in_at: i64| logged_in_at.saturating_add(rule.expiration.saturating_mul(1000));
        let told = login.as_ref().filter(|login| login.issuer == rule.realm_name && now_ms < end(login.logged_in_at));
        let (claims, end) = match told {
            Some(login) => (&login.claims, end(login.logged_in_at)),
            None if who.claims["realmid"].as_str() == Some(rule.realm_name.as_str()) => (&*who.claims, i64::MAX),
            None => continue,
        };
        let conditions = shown_rule(rule).map_err(unreadable)?.conditions;
        if conditions.iter().all(|condition| condition.holds(claims)) {
            until = until.max(Some(end));
        }
    }
    Ok(until)
}

fn unreadable(error: ManageError) -> Error {
    match error {
        ManageError::Iam(error) => error,
        other => Error::NotAcceptable(other.to_string()),
    }
}
