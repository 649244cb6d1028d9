//! API keys: who may make, see and change them. What a login with one gives is the business of [`crate::Iam::token`].

use std::collections::HashSet;

use boatyard_core::secret::{ExposeSecret as _, SecretString};
use boatyard_core::{Digest, id};
use boatyard_store::api_keys::{self, ApiKey};
use boatyard_store::{Conn, Domain, Tx, api_keys_admin, service_ids, sessions};
use jiff::Timestamp;

use crate::access::Resource;
use crate::listing::{Listing, Page};
use crate::manage::{self, ManageError, ManageResult};
use crate::subject::Kind;
use crate::{Caller, Iam};

/// The most keys that an identity has in an account.
pub const MOST_KEYS: i64 = 20;
/// Characters of a key that is not generated.
const VALUE: std::ops::RangeInclusive<usize> = 32..=256;
const ACTIONS_WHEN_LEAKED: [&str; 3] = ["none", "disable", "delete"];
const SORTABLE: [&str; 5] = ["name", "description", "created_at", "created_by", "modified_at"];
const WHAT: &str = "API key";

/// A key that is asked for.
#[derive(Debug, Default)]
pub struct NewApiKey {
    pub name: String,
    /// Whose key it becomes.
    pub iam_id: String,
    pub description: Option<String>,
    /// Must be the account of the caller's token.
    pub account_id: Option<String>,
    /// Generated if not given.
    pub value: Option<SecretString>,
    /// Whether the value can be read again.
    pub store_value: bool,
    /// Only for keys of users; these keep sessions unless they are told not to.
    pub support_sessions: Option<bool>,
    pub action_when_leaked: Option<String>,
    pub expires_at: Option<String>,
    pub locked: bool,
    pub disabled: bool,
}

/// What is to be different; `None` stays as it is.
#[derive(Debug, Default)]
pub struct ApiKeyChange {
    pub name: Option<String>,
    pub description: Option<String>,
    pub support_sessions: Option<bool>,
    pub action_when_leaked: Option<String>,
    /// Empty: it does not expire any more.
    pub expires_at: Option<String>,
}

/// A change of a key that takes no more than a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApiKeySwitch {
    Lock,
    Unlock,
    Disable,
    Enable,
}

/// A key that was made, with its value.
#[derive(Debug)]
pub struct CreatedApiKey {
    pub key: ApiKey,
    pub value: SecretString,
}

impl Iam {
    /// Makes an API key. Its value is in the answer, and nowhere else later unless it is to be kept.
    ///
    /// # Errors
    /// If the identity is not the caller's own and the caller may not make keys for it, or something of the key is not acceptable.
    pub async fn api_key_create(&self, caller: &Caller, new: NewApiKey) -> ManageResult<CreatedApiKey> {
        let account_id = manage::account(caller, new.account_id.as_deref())?.to_owned();
        match Kind::of(&new.iam_id) {
            Kind::ServiceId => {
                let id = new.iam_id.strip_prefix("iam-").unwrap_or_default();
                let found = service_ids::get(&mut *self.inner.store.read().await?, &account_id, id).await?;
                let owner = found.ok_or_else(|| not_found("service ID", id))?;
                if owner.iam_id != caller.iam_id {
                    caller.permit(&manage::resource(&account_id, "serviceid", &owner.id))?;
                }
            }
            Kind::User => self.may_make_own_key(caller, &account_id, &new.iam_id).await?,
            Kind::Profile => {
                return Err(ManageError::invalid(
                    "iam_id",
                    "is that of a trusted profile, which has no API keys: it is assumed.",
                ));
            }
        }
        let mut tx = self.inner.store.write(Domain::Identity).await?;
        let made = self.api_key_insert(&mut tx, &account_id, &caller.iam_id, new).await?;
        tx.commit().await?;
        Ok(made)
    }

    /// Users make their own keys, and nobody makes one with which to be somebody else.
    async fn may_make_own_key(&self, caller: &Caller, account_id: &str, iam_id: &str) -> ManageResult<()> {
        if iam_id.is_empty() {
            return Err(ManageError::invalid("iam_id", "is empty. Send the IAM ID of the identity that the key is for."));
        }
        if iam_id != caller.iam_id {
            let text =
                "Only users themselves can make API keys with which to log in as them. Make a key for a service ID instead.";
            return Err(ManageError::NotAllowed(text.to_owned()));
        }
        if self.account_settings(account_id).await?.restricts_api_keys() {
            caller.permit(&Resource::service(account_id, manage::SERVICE))?;
        }
        Ok(())
    }

    /// Checks everything about a key but who asks for it, and writes it.
    pub(crate) async fn api_key_insert(
        &self,
        tx: &mut Tx,
        account_id: &str,
        created_by: &str,
        new: NewApiKey,
    ) -> ManageResult<CreatedApiKey> {
        let now = self.now_ms();
        let of_user = Kind::of(&new.iam_id) == Kind::User;
        if new.store_value && of_user {
            let why = "must be false for the key of a user, which only that user may know.";
            return Err(ManageError::invalid("store_value", why));
        }
        if new.support_sessions == Some(true) && !of_user {
            return Err(ManageError::invalid("support_sessions", "must be false for the key of a service ID."));
        }
        if api_keys_admin::count(tx, account_id, &new.iam_id).await? >= MOST_KEYS {
            return Err(ManageError::TooMany { what: "API keys of this identity", limit: MOST_KEYS });
        }
        let value = match new.value {
            None => SecretString::from(id::token::<44>()),
            Some(value) if VALUE.contains(&value.expose_secret().chars().count()) => value,
            Some(_) => {
                let why = format!("must have {} to {} characters. Leave it out to have one made.", VALUE.start(), VALUE.end());
                return Err(ManageError::invalid("apikey", why));
            }
        };
        let key = ApiKey {
            id: format!("ApiKey-{}", id::uuid()),
            account_id: account_id.to_owned(),
            name: manage::name(&new.name)?,
            description: manage::description(new.description.as_deref())?,
            disabled: new.disabled,
            locked: new.locked,
            support_sessions: new.support_sessions.unwrap_or(false),
            action_when_leaked: action_when_leaked(new.action_when_leaked.as_deref().unwrap_or("none"))?,
            expires_at: new.expires_at.as_deref().map(|text| expiry(text, now)).transpose()?.flatten(),
            created_by: created_by.to_owned(),
            created_at: now,
            modified_at: now,
            revision: 1,
            iam_id: new.iam_id,
        };
        api_keys::insert(tx, &key, Digest::of(value.expose_secret())).await.map_err(|error| match error {
            boatyard_store::Error::Duplicate => ManageError::Taken("This API key is in use. Choose another value.".to_owned()),
            other => other.into(),
        })?;
        if new.store_value {
            api_keys_admin::value_set(tx, self.inner.store.sealer(), &key.id, &value).await?;
        }
        Ok(CreatedApiKey { key, value })
    }

    /// A page of keys: of one identity, by default the caller's own, or of everybody in the account (`scope` `account`).
    ///
    /// # Errors
    /// If a parameter is not understood, or the keys are not the caller's own and the caller may not see them.
    pub async fn api_keys_list(&self, caller: &Caller, listing: &Listing) -> ManageResult<Page<ApiKey>> {
        let account_id = manage::account(caller, listing.get("account_id"))?;
        let whole = manage::one_of("scope", listing.get("scope").unwrap_or("entity"), &["account", "entity"])? == "account";
        let kind = listing.get("type").map(|kind| manage::one_of("type", kind, &["serviceid", "user"])).transpose()?;
        let asked = listing.get("iam_id");
        let of_one = if whole { asked } else { Some(asked.unwrap_or(&caller.iam_id)) };
        match of_one {
            Some(iam_id) if iam_id == caller.iam_id => {}
            Some(iam_id) => caller.permit(&key_resource(account_id, iam_id))?,
            None => caller.permit(&Resource::service(account_id, manage::SERVICE))?,
        }
        let mut conn = self.inner.store.read().await?;
        let mut keys = api_keys_admin::list(&mut conn, account_id, of_one).await?;
        if let Some(kind) = kind {
            keys.retain(|key| (Kind::of(&key.iam_id) == Kind::ServiceId) == (kind == "serviceid"));
        }
        if let Some(group) = listing.get("group_id") {
            let all = service_ids::list(&mut conn, account_id).await?;
            let inside: HashSet<_> =
                all.into_iter().filter(|s| s.group_id.as_deref() == Some(group)).map(|service_id| service_id.iam_id).collect();
            keys.retain(|key| Kind::of(&key.iam_id) == Kind::User || inside.contains(&key.iam_id));
        }
        listing.page(keys, &SORTABLE, field)
    }

    /// One key, with its value if that was to be kept, for whom it logs in and for those who may make such keys.
    ///
    /// # Errors
    /// [`ManageError::NotFound`]; a refusal if it is not the caller's own and the caller may not see it.
    pub async fn api_key_get(&self, caller: &Caller, id: &str) -> ManageResult<(ApiKey, Option<SecretString>)> {
        let mut conn = self.inner.store.read().await?;
        let key = reach(&mut conn, caller, id).await?;
        let resource = key_resource(&key.account_id, &key.iam_id);
        if key.iam_id != caller.iam_id && !caller.may("iam-identity.apikey.create", &resource) {
            return Ok((key, None));
        }
        let value = api_keys_admin::value_get(&mut conn, self.inner.store.sealer(), &key.account_id, &key.id).await?;
        Ok((key, value))
    }

    /// The key that has this value.
    ///
    /// # Errors
    /// As [`Self::api_key_get`].
    pub async fn api_key_by_value(&self, caller: &Caller, value: Option<&SecretString>) -> ManageResult<ApiKey> {
        let missing = || ManageError::invalid("IAM-ApiKey", "is missing. Send the API key in this header.");
        let digest = Digest::of(value.ok_or_else(missing)?.expose_secret());
        let mut conn = self.inner.store.read().await?;
        let found = api_keys::by_digest(&mut conn, digest).await?;
        // What was sent is a secret, and not repeated.
        let found = found.ok_or_else(|| not_found(WHAT, "of this value"))?;
        if Some(&found.account_id) != caller.account_id.as_ref() {
            return Err(not_found(WHAT, "of this value"));
        }
        permit(caller, &found)?;
        Ok(found)
    }

    /// Changes a key.
    ///
    /// # Errors
    /// As [`Self::api_key_get`]; if it is locked, not as `if_match` says, or the change is not acceptable.
    pub async fn api_key_update(
        &self,
        caller: &Caller,
        id: &str,
        if_match: Option<&str>,
        change: ApiKeyChange,
    ) -> ManageResult<ApiKey> {
        let mut tx = self.inner.store.write(Domain::Identity).await?;
        let mut key = reach(&mut tx, caller, id).await?;
        manage::if_match(if_match, WHAT, key.revision, &key.id)?;
        unlocked(&key)?;
        if let Some(name) = &change.name {
            key.name = manage::name(name)?;
        }
        if change.description.is_some() {
            key.description = manage::description(change.description.as_deref())?;
        }
        if let Some(support) = change.support_sessions {
            if support && Kind::of(&key.iam_id) != Kind::User {
                return Err(ManageError::invalid("support_sessions", "must be false for the key of a service ID."));
            }
            key.support_sessions = support;
        }
        if let Some(action) = &change.action_when_leaked {
            key.action_when_leaked = action_when_leaked(action)?;
        }
        if let Some(text) = &change.expires_at {
            key.expires_at = expiry(text, self.now_ms())?;
        }
        self.api_key_write(&mut tx, &mut key).await?;
        tx.commit().await?;
        Ok(key)
    }

    /// Locks, unlocks, disables or enables a key; does nothing to one that is so already. Disabling it ends its sessions.
    ///
    /// # Errors
    /// As [`Self::api_key_get`]; if it is locked and not to be unlocked.
    pub async fn api_key_switch(&self, caller: &Caller, id: &str, switch: ApiKeySwitch) -> ManageResult<()> {
        let mut tx = self.inner.store.write(Domain::Identity).await?.and(Domain::Sessions);
        let mut key = reach(&mut tx, caller, id).await?;
        let before = (key.locked, key.disabled);
        match switch {
            ApiKeySwitch::Lock => key.locked = true,
            ApiKeySwitch::Unlock => key.locked = false,
            ApiKeySwitch::Disable | ApiKeySwitch::Enable => {
                unlocked(&key)?;
                key.disabled = switch == ApiKeySwitch::Disable;
            }
        }
        if before == (key.locked, key.disabled) {
            return Ok(());
        }
        self.api_key_write(&mut tx, &mut key).await?;
        if switch == ApiKeySwitch::Disable {
            sessions::delete_by_key(&mut tx, &key.id).await?;
        }
        Ok(tx.commit().await?)
    }

    /// Deletes a key, and ends its sessions.
    ///
    /// # Errors
    /// As [`Self::api_key_get`]; if it is locked.
    pub async fn api_key_delete(&self, caller: &Caller, id: &str) -> ManageResult<()> {
        let mut tx = self.inner.store.write(Domain::Identity).await?.and(Domain::Sessions);
        let key = reach(&mut tx, caller, id).await?;
        unlocked(&key)?;
        api_keys_admin::delete(&mut tx, &key).await.map_err(|error| ManageError::of_write(error, WHAT))?;
        sessions::delete_by_key(&mut tx, &key.id).await?;
        Ok(tx.commit().await?)
    }

    async fn api_key_write(&self, conn: &mut Conn, key: &mut ApiKey) -> ManageResult<()> {
        key.modified_at = self.now_ms();
        api_keys_admin::update(conn, key).await.map_err(|error| ManageError::of_write(error, WHAT))?;
        key.revision += 1;
        Ok(())
    }
}

/// The key of that ID in the caller's account, if the operation may be done to it.
async fn reach(conn: &mut Conn, caller: &Caller, id: &str) -> ManageResult<ApiKey> {
    let found = api_keys::get(conn, caller.account()?, id).await?;
    let key = found.ok_or_else(|| not_found(WHAT, id))?;
    permit(caller, &key)?;
    Ok(key)
}

/// That a key is the caller's own, or that the caller may do what the operation needs.
fn permit(caller: &Caller, key: &ApiKey) -> ManageResult<()> {
    if key.iam_id == caller.iam_id {
        return Ok(());
    }
    Ok(caller.permit(&key_resource(&key.account_id, &key.iam_id))?)
}

/// Keys of a service ID go with it; those of users are the account's.
fn key_resource<'a>(account_id: &'a str, iam_id: &'a str) -> Resource<'a> {
    match Kind::of(iam_id) {
        Kind::ServiceId => manage::resource(account_id, "serviceid", iam_id.strip_prefix("iam-").unwrap_or(iam_id)),
        _ => Resource::service(account_id, manage::SERVICE),
    }
}

fn unlocked(key: &ApiKey) -> ManageResult<()> {
    if key.locked { Err(ManageError::Locked { what: WHAT, id: key.id.clone() }) } else { Ok(()) }
}

fn not_found(what: &'static str, id: &str) -> ManageError {
    ManageError::NotFound { what, id: manage::shortened(id) }
}

fn action_when_leaked(text: &str) -> ManageResult<String> {
    manage::one_of("action_when_leaked", text, &ACTIONS_WHEN_LEAKED)
}

/// A time to come; empty text is none.
fn expiry(text: &str, now_ms: i64) -> ManageResult<Option<i64>> {
    if text.is_empty() {
        return Ok(None);
    }
    let malformed = || ManageError::invalid("expires_at", "must be a date and time such as 2027-01-31T12:00+0000.");
    let at = text.parse::<Timestamp>().map_err(|_| malformed())?.as_millisecond();
    if at <= now_ms {
        return Err(ManageError::invalid("expires_at", "must be a time to come."));
    }
    Ok(Some(at))
}

fn field(key: &ApiKey, name: &str) -> Option<String> {
    Some(match name {
        "id" => key.id.clone(),
        "iam_id" => key.iam_id.clone(),
        "name" => key.name.clone(),
        "description" => key.description.clone(),
        "created_by" => key.created_by.clone(),
        "created_at" => manage::date(key.created_at),
        "modified_at" => manage::date(key.modified_at),
        "locked" => key.locked.to_string(),
        "disabled" => key.disabled.to_string(),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_dates_that_clients_send_and_refuses_those_that_passed() {
        const NOON: i64 = 1_800_000_000_000; // 2027-01-15T08:00:00Z
        let cases = [
            ("2027-01-15T08:01+0000", Ok(Some(NOON + 60_000))),
            ("2027-01-15T08:01:00+0000", Ok(Some(NOON + 60_000))),
            ("2027-01-15T08:01:00Z", Ok(Some(NOON + 60_000))),
            ("2027-01-15T08:01:00.500Z", Ok(Some(NOON + 60_500))),
            ("2027-01-15T10:01:00+02:00", Ok(Some(NOON + 60_000))),
            ("", Ok(None)),
            ("2027-01-15T08:00:00Z", Err(())),
            ("2020-01-01T00:00+0000", Err(())),
            ("2027-01-15", Err(())),
            ("tomorrow", Err(())),
        ];
        for (text, expected) in cases {
            assert_eq!(expiry(text, NOON).map_err(drop), expected, "{text}");
        }
    }
}
