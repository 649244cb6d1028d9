//! What an account says about its identities: the settings, what they come to, and the limits.

use std::collections::BTreeMap;
use std::net::IpAddr;

use boatyard_store::{Conn, Domain, access, account_settings, api_keys_admin, profiles, service_ids, users};
use serde::{Deserialize, Serialize};

use crate::manage::{self, ManageError, ManageResult};
use crate::settings::IDENTITY;
use crate::{Caller, Iam, api_keys, trust};

const NOT_SET: &str = "NOT_SET";
const WHAT: &str = "account's settings";
const MFA: [&str; 7] = ["NONE", "NONE_NO_ROPC", "TOTP", "TOTP4ALL", "LEVEL1", "LEVEL2", "LEVEL3"];
/// The most entries of the lists in the settings.
const MOST_ENTRIES: usize = 500;

/// The settings of an account. What is not set is `NOT_SET`, or what comes of that.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct AccountSettings {
    /// The members that are one text, by name.
    #[serde(flatten)]
    pub values: BTreeMap<String, String>,
    pub user_mfa: Vec<UserMfa>,
    pub restrict_user_domains: Vec<DomainRestriction>,
    /// How often they were changed.
    #[serde(skip)]
    pub revision: i64,
}

/// Another MFA requirement for one user.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserMfa {
    pub iam_id: String,
    pub mfa: String,
}

/// Who may be invited of one realm.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DomainRestriction {
    pub realm_id: String,
    pub invitation_email_allow_patterns: Vec<String>,
    pub restrict_invitation: Option<bool>,
}

/// What is to be different; what is not there stays as it is.
#[derive(Debug, Default)]
pub struct SettingsChange {
    /// Names of members and their values.
    pub values: Vec<(&'static str, Option<String>)>,
    pub user_mfa: Option<Vec<UserMfa>>,
    /// An entry that is only a realm removes the restriction of that realm.
    pub restrict_user_domains: Option<Vec<DomainRestriction>>,
}

/// A member that is one text: its name, what it may be, what it is if nobody set it, and what that comes to.
struct Member {
    name: &'static str,
    valid: Valid,
    unset: &'static str,
    effective: &'static str,
}

enum Valid {
    Words(&'static [&'static str]),
    /// A whole number from the first to the last, or `NOT_SET`.
    Number(i64, i64),
    Addresses,
}

const RESTRICTION: Valid = Valid::Words(&["RESTRICTED", "NOT_RESTRICTED", NOT_SET]);

#[rustfmt::skip]
const MEMBERS: [Member; 10] = [
    // Without a word of the account, service IDs are made by those who have a role, and API keys by everybody for themselves.
    Member { name: "restrict_create_service_id", valid: RESTRICTION, unset: NOT_SET, effective: "RESTRICTED" },
    Member { name: "restrict_create_platform_apikey", valid: RESTRICTION, unset: NOT_SET, effective: "NOT_RESTRICTED" },
    Member { name: "allowed_ip_addresses", valid: Valid::Addresses, unset: "", effective: "" },
    Member { name: "mfa", valid: Valid::Words(&MFA), unset: "NONE", effective: "NONE" },
    Member { name: "session_expiration_in_seconds", valid: Valid::Number(900, 86_400), unset: NOT_SET, effective: NOT_SET },
    Member { name: "session_invalidation_in_seconds", valid: Valid::Number(900, 7200), unset: NOT_SET, effective: NOT_SET },
    Member { name: "max_sessions_per_identity", valid: Valid::Number(1, i64::MAX), unset: NOT_SET, effective: NOT_SET },
    Member { name: "system_access_token_expiration_in_seconds", valid: Valid::Number(900, 3600), unset: NOT_SET, effective: "3600" },
    Member { name: "system_refresh_token_expiration_in_seconds", valid: Valid::Number(900, 259_200), unset: NOT_SET, effective: "259200" },
    Member { name: "restrict_user_list_visibility", valid: Valid::Words(&["RESTRICTED", "NOT_RESTRICTED"]), unset: "NOT_RESTRICTED", effective: "NOT_RESTRICTED" },
];

impl Default for AccountSettings {
    fn default() -> Self {
        let values = MEMBERS.iter().map(|member| (member.name.to_owned(), member.unset.to_owned())).collect();
        Self { values, user_mfa: Vec::new(), restrict_user_domains: Vec::new(), revision: 0 }
    }
}

impl AccountSettings {
    fn read(found: Option<account_settings::Document>) -> ManageResult<Self> {
        let Some(found) = found else { return Ok(Self::default()) };
        let read: Self = serde_json::from_str(&found.document).map_err(boatyard_store::Error::from)?;
        let mut values = Self::default().values;
        values.extend(read.values);
        Ok(Self { values, revision: found.revision, ..read })
    }

    /// A member that is one text.
    #[must_use]
    pub fn value(&self, name: &str) -> String {
        self.values.get(name).cloned().unwrap_or_default()
    }

    /// What a member comes to.
    #[must_use]
    pub fn effective(&self, name: &str) -> String {
        let value = self.value(name);
        match MEMBERS.iter().find(|member| member.name == name) {
            Some(member) if value == NOT_SET => member.effective.to_owned(),
            _ => value,
        }
    }

    /// Whether users need a role to make API keys for themselves.
    pub(crate) fn restricts_api_keys(&self) -> bool {
        self.effective("restrict_create_platform_apikey") == "RESTRICTED"
    }

    /// Whether every member of the account can make service IDs.
    pub(crate) fn frees_service_ids(&self) -> bool {
        self.effective("restrict_create_service_id") == "NOT_RESTRICTED"
    }

    fn change(&mut self, change: SettingsChange) -> ManageResult<()> {
        for (name, value) in change.values {
            let (Some(value), Some(member)) = (value, MEMBERS.iter().find(|member| member.name == name)) else { continue };
            self.values.insert(name.to_owned(), member.valid.check(name, &value)?);
        }
        if let Some(given) = change.user_mfa {
            for one in &given {
                manage::one_of("user_mfa.mfa", &one.mfa, &MFA)?;
            }
            self.user_mfa = few("user_mfa", given)?;
        }
        for restriction in few("restrict_user_domains", change.restrict_user_domains.unwrap_or_default())? {
            if restriction.realm_id.is_empty() {
                return Err(ManageError::invalid("restrict_user_domains.realm_id", "is empty. Send the realm that is meant."));
            }
            self.restrict_user_domains.retain(|known| known.realm_id != restriction.realm_id);
            if restriction.restrict_invitation.is_some() || !restriction.invitation_email_allow_patterns.is_empty() {
                self.restrict_user_domains.push(restriction);
            }
        }
        Ok(())
    }
}

fn few<T>(member: &str, given: Vec<T>) -> ManageResult<Vec<T>> {
    if given.len() > MOST_ENTRIES {
        return Err(ManageError::invalid(member, format!("must have at most {MOST_ENTRIES} entries.")));
    }
    Ok(given)
}

impl Valid {
    fn check(&self, name: &str, value: &str) -> ManageResult<String> {
        match self {
            Self::Words(words) => manage::one_of(name, value, words),
            Self::Number(..) if value == NOT_SET => Ok(value.to_owned()),
            Self::Number(least, most) => {
                // Only digits: `+900` is a number for Rust, but not for those who read the settings.
                let digits = !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit());
                let number = value.parse::<i64>().ok().filter(|n| digits && (*least..=*most).contains(n));
                let range = if *most == i64::MAX { "of at least 1".to_owned() } else { format!("from {least} to {most}") };
                let wrong = || ManageError::invalid(name, format!("must be a whole number {range}, as text, or NOT_SET."));
                Ok(number.ok_or_else(wrong)?.to_string())
            }
            Self::Addresses => addresses(name, value),
        }
    }
}

/// IP addresses, subnets and ranges, with commas between.
fn addresses(name: &str, text: &str) -> ManageResult<String> {
    let address = |text: &str| text.trim().parse::<IpAddr>().ok();
    let subnet = |address: IpAddr, bits: &str| {
        let most = if address.is_ipv4() { 32 } else { 128 };
        bits.trim().parse::<u8>().is_ok_and(|bits| bits <= most)
    };
    for part in text.split(',').map(str::trim).filter(|_| !text.trim().is_empty()) {
        let fits = match (part.split_once('/'), part.split_once('-')) {
            (Some((base, bits)), _) => address(base).is_some_and(|base| subnet(base, bits)),
            (_, Some((first, last))) => match (address(first), address(last)) {
                (Some(first), Some(last)) => first.is_ipv4() == last.is_ipv4() && first <= last,
                _ => false,
            },
            _ => address(part).is_some(),
        };
        if !fits {
            let why = format!("holds '{}', which is no IP address, subnet (10.0.0.0/8) or range.", manage::shortened(part));
            return Err(ManageError::invalid(name, why));
        }
    }
    Ok(text.trim().to_owned())
}

/// A user for whom something is required, as people know them.
#[derive(Clone, Debug, Default)]
pub struct MfaUser {
    pub name: String,
    pub username: String,
    pub email: String,
}

/// What is required of a user who logs in to an account. Nobody can enrol here, so whoever needs a second factor lacks it.
#[derive(Clone, Debug)]
pub struct MfaStatus {
    pub account_default: String,
    pub user_specific: Option<String>,
    pub effective: String,
    pub complies: bool,
}

/// How much there is of what is limited, by what it is counted for: an IAM ID, or the ID of a group or profile.
#[derive(Clone, Debug, Default)]
pub struct Consumption {
    pub service_id_groups: Option<i64>,
    pub profiles: Option<i64>,
    pub service_ids_per_group: Vec<(String, i64)>,
    pub api_keys_per_identity: Vec<(String, i64)>,
    pub claim_rules_per_profile: Vec<(String, i64)>,
    pub links_per_profile: Vec<(String, i64)>,
    pub compute_rules_per_profile: Vec<(String, i64)>,
}

/// Of what consumption is asked.
#[derive(Clone, Debug, Default)]
pub struct ConsumptionOf {
    pub service_id_groups: bool,
    pub profiles: bool,
    pub service_ids_per_group: Vec<String>,
    pub api_keys_per_identity: Vec<String>,
    pub claim_rules_per_profile: Vec<String>,
    pub links_per_profile: Vec<String>,
    pub compute_rules_per_profile: Vec<String>,
}

impl Iam {
    /// The settings of an account, for rules that need them.
    pub(crate) async fn account_settings(&self, account_id: &str) -> ManageResult<AccountSettings> {
        AccountSettings::read(account_settings::get(&mut *self.inner.store.read().await?, account_id, IDENTITY).await?)
    }

    /// The settings of the caller's account.
    ///
    /// # Errors
    /// If `account_id` is another one.
    pub async fn account_settings_get(&self, caller: &Caller, account_id: &str) -> ManageResult<AccountSettings> {
        self.account_settings(manage::account(caller, Some(account_id))?).await
    }

    /// Changes the settings of the caller's account. Lifetimes count from the next token on.
    ///
    /// # Errors
    /// If `account_id` is another one, the settings are not as `if_match` says, or a value is not acceptable.
    pub async fn account_settings_update(
        &self,
        caller: &Caller,
        account_id: &str,
        if_match: Option<&str>,
        change: SettingsChange,
    ) -> ManageResult<AccountSettings> {
        let account_id = manage::account(caller, Some(account_id))?;
        let mut tx = self.inner.store.write(Domain::Identity).await?;
        let mut settings = AccountSettings::read(account_settings::get(&mut tx, account_id, IDENTITY).await?)?;
        manage::if_match(if_match, WHAT, settings.revision, account_id)?;
        let exempts = change.user_mfa.is_some();
        settings.change(change)?;
        // Who left the account since is not in the way of other changes.
        for user in settings.user_mfa.iter().filter(|_| exempts) {
            if !access::is_member(&mut tx, account_id, &user.iam_id).await? {
                let why = format!("is '{}', which is no user of this account.", manage::shortened(&user.iam_id));
                return Err(ManageError::invalid("user_mfa.iam_id", why));
            }
        }
        let document = serde_json::to_string(&settings).map_err(boatyard_store::Error::from)?;
        let set = account_settings::set(&mut tx, account_id, IDENTITY, &document, settings.revision).await;
        set.map_err(|error| ManageError::of_write(error, WHAT))?;
        tx.commit().await?;
        settings.revision += 1;
        Ok(settings)
    }

    /// The users whom the settings name, by IAM ID.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn mfa_users(&self, settings: &AccountSettings) -> ManageResult<BTreeMap<String, MfaUser>> {
        let mut conn = self.inner.store.read().await?;
        let mut found = BTreeMap::new();
        for exempted in &settings.user_mfa {
            if let Some(user) = users::get(&mut conn, &exempted.iam_id).await? {
                let name = format!("{} {}", user.given_name, user.family_name).trim().to_owned();
                found.insert(user.iam_id, MfaUser { name, username: user.username, email: user.email });
            }
        }
        Ok(found)
    }

    /// What is required of a user of the caller's account.
    ///
    /// # Errors
    /// If `account_id` is another one, or the user is not in it.
    pub async fn mfa_status(&self, caller: &Caller, account_id: &str, iam_id: &str) -> ManageResult<MfaStatus> {
        let settings = self.account_settings_get(caller, account_id).await?;
        let mut conn = self.inner.store.read().await?;
        let user = match access::is_member(&mut conn, account_id, iam_id).await? {
            true => users::get(&mut conn, iam_id).await?,
            false => None,
        };
        let user = user.ok_or_else(|| ManageError::NotFound { what: "user", id: manage::shortened(iam_id) })?;
        let account_default = settings.value("mfa");
        let user_specific = settings.user_mfa.iter().find(|one| one.iam_id == iam_id).map(|one| one.mfa.clone());
        let effective = user_specific.clone().unwrap_or_else(|| account_default.clone());
        let complies = match effective.as_str() {
            "NONE" | "NONE_NO_ROPC" => true,
            // It asks nothing of federated users.
            "TOTP" => user.password_hash.is_none(),
            _ => false,
        };
        Ok(MfaStatus { account_default, user_specific, effective, complies })
    }

    /// How much the caller's account has of what is limited.
    ///
    /// # Errors
    /// If `account_id` is another one, or something is asked of what is not in it.
    pub async fn consumption(&self, caller: &Caller, account_id: &str, of: ConsumptionOf) -> ManageResult<Consumption> {
        let account_id = manage::account(caller, Some(account_id))?;
        let mut conn = self.inner.store.read().await?;
        let mut found = Consumption::default();
        let groups = service_ids::groups(&mut conn, account_id).await?;
        let all = profiles::list(&mut conn, account_id).await?;
        found.service_id_groups = of.service_id_groups.then(|| count(groups.len()));
        found.profiles = of.profiles.then(|| count(all.len()));
        for id in of.service_ids_per_group {
            if !groups.iter().any(|group| group.id == id) {
                return Err(ManageError::NotFound { what: "service ID group", id: manage::shortened(&id) });
            }
            let n = service_ids::count(&mut conn, account_id, Some(&id)).await?;
            found.service_ids_per_group.push((id, n));
        }
        for iam_id in of.api_keys_per_identity {
            let n = api_keys_admin::count(&mut conn, account_id, &iam_id).await?;
            found.api_keys_per_identity.push((iam_id, n));
        }
        for id in of.claim_rules_per_profile {
            let n = rules(&mut conn, &all, &id, trust::SAML).await?;
            found.claim_rules_per_profile.push((id, n));
        }
        for id in of.compute_rules_per_profile {
            let n = rules(&mut conn, &all, &id, trust::COMPUTE).await?;
            found.compute_rules_per_profile.push((id, n));
        }
        for id in of.links_per_profile {
            let n = count(profiles::links(&mut conn, profile(&all, &id)?).await?.len());
            found.links_per_profile.push((id, n));
        }
        Ok(found)
    }
}

/// What an account may have, as [`Consumption`] counts it.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub service_id_groups: i64,
    pub service_ids_per_group: i64,
    pub profiles: i64,
    pub api_keys_per_identity: i64,
    /// Of each kind of rule.
    pub rules_per_profile: i64,
    pub links_per_profile: i64,
}

/// The limits of every account.
pub const LIMITS: Limits = Limits {
    service_id_groups: crate::service_ids::MOST_GROUPS,
    service_ids_per_group: crate::service_ids::MOST_SERVICE_IDS,
    profiles: crate::profiles::MOST_PROFILES,
    api_keys_per_identity: api_keys::MOST_KEYS,
    rules_per_profile: trust::MOST_RULES,
    links_per_profile: trust::MOST_LINKS,
};

async fn rules(conn: &mut Conn, all: &[profiles::Profile], id: &str, kind: &str) -> ManageResult<i64> {
    let rules = profiles::rules(conn, profile(all, id)?).await?;
    Ok(count(rules.iter().filter(|rule| rule.kind == kind).count()))
}

fn profile<'a>(all: &'a [profiles::Profile], id: &str) -> ManageResult<&'a profiles::Profile> {
    let found = all.iter().find(|profile| profile.id == id);
    found.ok_or_else(|| ManageError::NotFound { what: "trusted profile", id: manage::shortened(id) })
}

fn count(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(name: &'static str, value: &str) -> ManageResult<AccountSettings> {
        let mut settings = AccountSettings::default();
        settings.change(SettingsChange { values: vec![(name, Some(value.to_owned()))], ..SettingsChange::default() })?;
        Ok(settings)
    }

    #[test]
    fn each_value_is_within_its_range_or_refused_by_name() {
        let numbers = [
            ("session_expiration_in_seconds", 900, 86_400),
            ("session_invalidation_in_seconds", 900, 7200),
            ("system_access_token_expiration_in_seconds", 900, 3600),
            ("system_refresh_token_expiration_in_seconds", 900, 259_200),
        ];
        for (name, least, most) in numbers {
            for good in [least.to_string(), most.to_string(), NOT_SET.to_owned()] {
                assert_eq!(set(name, &good).unwrap().value(name), good, "{name}");
            }
            for bad in [
                (least - 1).to_string(),
                (most + 1).to_string(),
                "-900".to_owned(),
                "+900".to_owned(),
                "9e2".to_owned(),
                String::new(),
            ] {
                let refused = set(name, &bad).unwrap_err();
                assert!(matches!(&refused, ManageError::Invalid { member, .. } if member == name), "{name}={bad}: {refused}");
            }
        }
        let others = [
            ("max_sessions_per_identity", "1", "0"),
            ("mfa", "LEVEL2", "level2"),
            ("restrict_create_service_id", "NOT_SET", "SET"),
            ("restrict_create_platform_apikey", "RESTRICTED", ""),
            ("restrict_user_list_visibility", "NOT_RESTRICTED", "NOT_SET"),
            ("allowed_ip_addresses", "192.0.2.1, 2001:db8::/32,10.0.0.1-10.0.0.9", "192.0.2.256"),
            ("allowed_ip_addresses", "", "10.0.0.0/33"),
            ("allowed_ip_addresses", "::1", "10.0.0.9-10.0.0.1"),
            ("allowed_ip_addresses", "10.0.0.1", "10.0.0.1,,10.0.0.2"),
        ];
        for (name, good, bad) in others {
            assert_eq!(set(name, good).unwrap().value(name), good, "{name}");
            let refused = set(name, bad).unwrap_err();
            assert!(matches!(&refused, ManageError::Invalid { member, .. } if member == name), "{name}={bad}: {refused}");
        }
    }

    #[test]
    fn a_realm_alone_takes_its_restriction_away_and_others_stay() {
        let restriction = |realm: &str, patterns: &[&str]| DomainRestriction {
            realm_id: realm.to_owned(),
            invitation_email_allow_patterns: patterns.iter().map(|p| (*p).to_owned()).collect(),
            restrict_invitation: (!patterns.is_empty()).then_some(true),
        };
        let mut settings = AccountSettings::default();
        let mut change = |entries| {
            settings.change(SettingsChange { restrict_user_domains: Some(entries), ..SettingsChange::default() }).unwrap();
            settings.restrict_user_domains.iter().map(|r| r.realm_id.clone()).collect::<Vec<_>>()
        };
        assert_eq!(change(vec![restriction("IBMid", &["*.*@a.com"]), restriction("SL", &["b"])]), ["IBMid", "SL"]);
        assert_eq!(change(vec![restriction("IBMid", &[])]), ["SL"]);
    }

    #[test]
    fn the_document_is_read_as_it_was_written_and_by_those_who_decide_on_logins() {
        let settings = set("session_expiration_in_seconds", "3600").unwrap();
        let document = serde_json::to_string(&settings).unwrap();
        let value: serde_json::Value = serde_json::from_str(&document).unwrap();
        assert_eq!(value["session_expiration_in_seconds"], "3600");
        let read = AccountSettings::read(Some(account_settings::Document { document, revision: 7 })).unwrap();
        assert_eq!(read, AccountSettings { revision: 7, ..settings });
        assert_eq!(read.effective("session_expiration_in_seconds"), "3600");
        assert_eq!(read.effective("system_access_token_expiration_in_seconds"), "3600");
    }
}
