//! Who may assume a trusted profile: identities by name, rules about claims, links to compute resources.

use boatyard_core::id;
use boatyard_store::profiles::{self, Identity, Link, Profile, Rule};
use boatyard_store::{Conn, Domain, service_ids};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::manage::{self, ManageError, ManageResult};
use crate::profiles::{WHAT, reach};
use crate::{Caller, Iam};

/// Rules for users of an identity provider.
pub const SAML: &str = "Profile-SAML";
/// Rules for compute resources.
pub const COMPUTE: &str = "Profile-CR";
/// The most rules of one kind in a profile.
pub const MOST_RULES: i64 = 20;
/// The most links of a profile.
pub const MOST_LINKS: i64 = 100;
/// The most identities of a profile.
const MOST_IDENTITIES: usize = 1000;
const MOST_CONDITIONS: usize = 50;
/// Seconds for which a profile that was assumed by a rule may be used.
const EXPIRATION: std::ops::RangeInclusive<i64> = 3600..=86_400;
const COMPUTE_RESOURCES: [&str; 6] = ["VSI", "PVS", "BMS", "IKS_SA", "ROKS_SA", "CE"];
const OPERATORS: [&str; 6] = ["EQUALS", "NOT_EQUALS", "EQUALS_IGNORE_CASE", "NOT_EQUALS_IGNORE_CASE", "CONTAINS", "IN"];
pub(crate) const IDENTITY_TYPES: [&str; 3] = ["user", "serviceid", "crn"];
const RULE: &str = "claim rule";
const LINK: &str = "link";
const IDENTITY: &str = "identity of the profile";

/// An identity that is to be trusted.
#[derive(Debug, Default)]
pub struct NewIdentity {
    /// `user`, `serviceid` or `crn`.
    pub kind: String,
    pub identifier: String,
    /// Accounts from which a user may assume the profile.
    pub accounts: Vec<String>,
    pub description: Option<String>,
}

/// A condition of a rule: a claim and what it is compared with, which is JSON or else plain text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Condition {
    pub claim: String,
    pub operator: String,
    pub value: String,
}

/// A rule that is asked for.
#[derive(Debug, Default)]
pub struct NewRule {
    pub kind: String,
    pub name: Option<String>,
    pub realm_name: Option<String>,
    pub cr_type: Option<String>,
    pub expiration: Option<i64>,
    pub conditions: Vec<Condition>,
}

/// A rule, read.
#[derive(Debug)]
pub struct ShownRule {
    pub rule: Rule,
    pub conditions: Vec<Condition>,
}

/// What names a compute resource.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Compute {
    pub crn: String,
    pub namespace: Option<String>,
    pub name: Option<String>,
    pub component_type: Option<String>,
    pub component_name: Option<String>,
}

/// A link that is asked for.
#[derive(Debug, Default)]
pub struct NewLink {
    pub cr_type: String,
    pub name: Option<String>,
    pub compute: Compute,
    pub cross_account: bool,
}

/// A link, read.
#[derive(Debug)]
pub struct ShownLink {
    pub link: Link,
    pub compute: Compute,
}

impl Iam {
    /// The identities that may assume a profile, and the profile, whose tag they share.
    ///
    /// # Errors
    /// As [`Self::profile_get`].
    pub async fn profile_identities(&self, caller: &Caller, profile: &str) -> ManageResult<(Profile, Vec<Identity>)> {
        let mut conn = self.inner.store.read().await?;
        let profile = reach(&mut conn, caller, profile).await?;
        let identities = profiles::identities(&mut conn, &profile).await?;
        Ok((profile, identities))
    }

    /// Replaces the identities that may assume a profile.
    ///
    /// # Errors
    /// As [`Self::profile_get`]; if they are not as `if_match` says, or one is not acceptable.
    pub async fn profile_identities_set(
        &self,
        caller: &Caller,
        profile: &str,
        if_match: Option<&str>,
        given: Vec<NewIdentity>,
    ) -> ManageResult<(Profile, Vec<Identity>)> {
        let mut tx = self.inner.store.write(Domain::Identity).await?;
        let mut profile = reach(&mut tx, caller, profile).await?;
        manage::if_match(if_match, WHAT, profile.revision, &profile.id)?;
        let mut identities: Vec<Identity> = Vec::new();
        for one in given {
            let one = identity(&mut tx, &profile.account_id, one).await?;
            identities.retain(|known| !same(known, &one.kind, &one.identifier));
            identities.push(one);
        }
        self.identities_write(&mut tx, &mut profile, &identities).await?;
        tx.commit().await?;
        Ok((profile, identities))
    }

    /// Lets one more identity assume a profile, or changes what is said of it.
    ///
    /// # Errors
    /// As [`Self::profile_get`]; if it is not acceptable.
    pub async fn profile_identity_set(&self, caller: &Caller, profile: &str, given: NewIdentity) -> ManageResult<Identity> {
        let mut tx = self.inner.store.write(Domain::Identity).await?;
        let mut profile = reach(&mut tx, caller, profile).await?;
        let one = identity(&mut tx, &profile.account_id, given).await?;
        let mut identities = profiles::identities(&mut tx, &profile).await?;
        identities.retain(|known| !same(known, &one.kind, &one.identifier));
        identities.push(one.clone());
        self.identities_write(&mut tx, &mut profile, &identities).await?;
        tx.commit().await?;
        Ok(one)
    }

    /// One identity that may assume a profile.
    ///
    /// # Errors
    /// As [`Self::profile_get`]; [`ManageError::NotFound`] if it may not.
    pub async fn profile_identity_get(&self, caller: &Caller, profile: &str, kind: &str, id: &str) -> ManageResult<Identity> {
        let (_, identities) = self.profile_identities(caller, profile).await?;
        identities.into_iter().find(|one| same(one, kind, id)).ok_or_else(|| not_found(IDENTITY, id))
    }

    /// Keeps an identity from assuming a profile.
    ///
    /// # Errors
    /// As [`Self::profile_identity_get`].
    pub async fn profile_identity_delete(&self, caller: &Caller, profile: &str, kind: &str, id: &str) -> ManageResult<()> {
        let mut tx = self.inner.store.write(Domain::Identity).await?;
        let mut profile = reach(&mut tx, caller, profile).await?;
        let mut identities = profiles::identities(&mut tx, &profile).await?;
        let before = identities.len();
        identities.retain(|one| !same(one, kind, id));
        if identities.len() == before {
            return Err(not_found(IDENTITY, id));
        }
        self.identities_write(&mut tx, &mut profile, &identities).await?;
        Ok(tx.commit().await?)
    }

    async fn identities_write(&self, conn: &mut Conn, profile: &mut Profile, identities: &[Identity]) -> ManageResult<()> {
        if identities.len() > MOST_IDENTITIES {
            return Err(ManageError::invalid("identities", format!("must be at most {MOST_IDENTITIES}.")));
        }
        profiles::identities_set(conn, profile, identities).await?;
        self.profile_write(conn, profile).await
    }

    /// The rules of a profile, in the order in which they were made.
    ///
    /// # Errors
    /// As [`Self::profile_get`].
    pub async fn profile_rules(&self, caller: &Caller, profile: &str) -> ManageResult<Vec<ShownRule>> {
        let mut conn = self.inner.store.read().await?;
        let profile = reach(&mut conn, caller, profile).await?;
        profiles::rules(&mut conn, &profile).await?.into_iter().map(shown_rule).collect()
    }

    /// One rule.
    ///
    /// # Errors
    /// As [`Self::profile_get`]; [`ManageError::NotFound`].
    pub async fn profile_rule_get(&self, caller: &Caller, profile: &str, id: &str) -> ManageResult<ShownRule> {
        let rules = self.profile_rules(caller, profile).await?;
        rules.into_iter().find(|shown| shown.rule.id == id).ok_or_else(|| not_found(RULE, id))
    }

    /// Adds a rule.
    ///
    /// # Errors
    /// As [`Self::profile_get`]; if it is not acceptable.
    pub async fn profile_rule_create(&self, caller: &Caller, profile: &str, new: NewRule) -> ManageResult<ShownRule> {
        let now = self.now_ms();
        let mut tx = self.inner.store.write(Domain::Identity).await?;
        let profile = reach(&mut tx, caller, profile).await?;
        let rule = rule(new, format!("ClaimRule-{}", id::uuid()), now, now)?;
        let known = profiles::rules(&mut tx, &profile).await?;
        full(known.iter().filter(|known| known.kind == rule.kind).count(), MOST_RULES, "rules of this type in the profile")?;
        profiles::rule_insert(&mut tx, &profile, &rule).await?;
        tx.commit().await?;
        shown_rule(rule)
    }

    /// Replaces a rule.
    ///
    /// # Errors
    /// As [`Self::profile_rule_get`]; if it is not as `if_match` says, or the new one is not acceptable.
    pub async fn profile_rule_update(
        &self,
        caller: &Caller,
        (profile, id): (&str, &str),
        if_match: Option<&str>,
        new: NewRule,
    ) -> ManageResult<ShownRule> {
        let mut tx = self.inner.store.write(Domain::Identity).await?;
        let profile = reach(&mut tx, caller, profile).await?;
        let known = profiles::rules(&mut tx, &profile).await?;
        let before = known.iter().find(|known| known.id == id).ok_or_else(|| not_found(RULE, id))?;
        manage::if_match(if_match, RULE, before.revision, &before.id)?;
        let mut rule = Rule { revision: before.revision, ..rule(new, before.id.clone(), before.created_at, self.now_ms())? };
        let others = known.iter().filter(|known| known.kind == rule.kind && known.id != rule.id).count();
        full(others, MOST_RULES, "rules of this type in the profile")?;
        profiles::rule_update(&mut tx, &profile, &rule).await.map_err(|error| ManageError::of_write(error, RULE))?;
        tx.commit().await?;
        rule.revision += 1;
        shown_rule(rule)
    }

    /// Removes a rule.
    ///
    /// # Errors
    /// As [`Self::profile_rule_get`].
    pub async fn profile_rule_delete(&self, caller: &Caller, profile: &str, id: &str) -> ManageResult<()> {
        let mut tx = self.inner.store.write(Domain::Identity).await?;
        let profile = reach(&mut tx, caller, profile).await?;
        if !profiles::rule_delete(&mut tx, &profile, id).await? {
            return Err(not_found(RULE, id));
        }
        Ok(tx.commit().await?)
    }

    /// The links of a profile, in the order in which they were made.
    ///
    /// # Errors
    /// As [`Self::profile_get`].
    pub async fn profile_links(&self, caller: &Caller, profile: &str) -> ManageResult<Vec<ShownLink>> {
        let mut conn = self.inner.store.read().await?;
        let profile = reach(&mut conn, caller, profile).await?;
        profiles::links(&mut conn, &profile).await?.into_iter().map(shown_link).collect()
    }

    /// One link.
    ///
    /// # Errors
    /// As [`Self::profile_get`]; [`ManageError::NotFound`].
    pub async fn profile_link_get(&self, caller: &Caller, profile: &str, id: &str) -> ManageResult<ShownLink> {
        let links = self.profile_links(caller, profile).await?;
        links.into_iter().find(|shown| shown.link.id == id).ok_or_else(|| not_found(LINK, id))
    }

    /// Adds a link.
    ///
    /// # Errors
    /// As [`Self::profile_get`]; if it is not acceptable, or there already.
    pub async fn profile_link_create(&self, caller: &Caller, profile: &str, new: NewLink) -> ManageResult<ShownLink> {
        let now = self.now_ms();
        let mut tx = self.inner.store.write(Domain::Identity).await?;
        let profile = reach(&mut tx, caller, profile).await?;
        let compute = compute(&profile.account_id, &new)?;
        let known = profiles::links(&mut tx, &profile).await?;
        full(known.len(), MOST_LINKS, "links of this profile")?;
        let link = Link {
            id: format!("Link-{}", id::uuid()),
            name: new.name.as_deref().filter(|name| !name.is_empty()).map(manage::name).transpose()?.unwrap_or_default(),
            cr_type: new.cr_type,
            link: serde_json::to_string(&compute).map_err(boatyard_store::Error::from)?,
            cross_account: new.cross_account,
            created_at: now,
            modified_at: now,
            revision: 1,
        };
        if let Some(twin) = known.iter().find(|known| known.cr_type == link.cr_type && known.link == link.link) {
            return Err(ManageError::Taken(format!("The link '{}' is for the same compute resource.", twin.id)));
        }
        profiles::link_insert(&mut tx, &profile, &link).await?;
        tx.commit().await?;
        Ok(ShownLink { link, compute })
    }

    /// Removes a link.
    ///
    /// # Errors
    /// As [`Self::profile_link_get`].
    pub async fn profile_link_delete(&self, caller: &Caller, profile: &str, id: &str) -> ManageResult<()> {
        let mut tx = self.inner.store.write(Domain::Identity).await?;
        let profile = reach(&mut tx, caller, profile).await?;
        if !profiles::link_delete(&mut tx, &profile, id).await? {
            return Err(not_found(LINK, id));
        }
        Ok(tx.commit().await?)
    }

    /// Removes the link to a compute resource, which must be named as the link names it.
    ///
    /// # Errors
    /// As [`Self::profile_link_get`].
    pub async fn profile_link_delete_of(
        &self,
        caller: &Caller,
        profile: &str,
        cr_type: &str,
        of: &Compute,
    ) -> ManageResult<()> {
        let links = self.profile_links(caller, profile).await?;
        let found = links.into_iter().find(|shown| shown.link.cr_type == cr_type && shown.compute == *of);
        let id = found.ok_or_else(|| not_found(LINK, &of.crn))?.link.id;
        self.profile_link_delete(caller, profile, &id).await
    }
}

fn same(one: &Identity, kind: &str, id: &str) -> bool {
    one.kind == kind && (one.identifier == id || one.iam_id == id)
}

/// Checks an identity that is to be trusted. Service IDs are known by their ID, whichever way they are named.
async fn identity(conn: &mut Conn, account_id: &str, given: NewIdentity) -> ManageResult<Identity> {
    let kind = manage::one_of("type", &given.kind, &IDENTITY_TYPES)?;
    if !given.accounts.is_empty() && kind != "user" {
        return Err(ManageError::invalid("accounts", "is only for identities of the type 'user'."));
    }
    if given.accounts.len() > MOST_IDENTITIES || given.accounts.iter().any(|account| account.is_empty() || account.len() > 100)
    {
        return Err(ManageError::invalid("accounts", "must be a list of account IDs."));
    }
    let identifier = given.identifier.trim();
    let (identifier, iam_id) = match kind.as_str() {
        "serviceid" => {
            let id = identifier.strip_prefix("iam-").unwrap_or(identifier);
            let found = service_ids::get(conn, account_id, id).await?;
            let found =
                found.ok_or_else(|| ManageError::invalid("identifier", "must be the ID of a service ID of this account."))?;
            (found.id, found.iam_id)
        }
        "crn" if identifier.starts_with("crn:") && identifier.len() <= 1024 => {
            (identifier.to_owned(), format!("crn-{identifier}"))
        }
        "crn" => return Err(ManageError::invalid("identifier", "must be a CRN, which begins with 'crn:'.")),
        _ if identifier.is_empty() || identifier.len() > 256 || identifier.starts_with("iam-") => {
            return Err(ManageError::invalid("identifier", "must be the IAM ID of a user, such as IBMid-0A1B2C3D4E."));
        }
        _ => (identifier.to_owned(), identifier.to_owned()),
    };
    let description = manage::description(given.description.as_deref())?;
    Ok(Identity { kind, identifier, iam_id, accounts: given.accounts, description })
}

fn rule(new: NewRule, id: String, created_at: i64, modified_at: i64) -> ManageResult<Rule> {
    let kind = manage::one_of("type", &new.kind, &[SAML, COMPUTE])?;
    let given = |text: Option<String>| text.map(|text| text.trim().to_owned()).unwrap_or_default();
    let (realm_name, cr_type) = match kind.as_str() {
        SAML => (given(new.realm_name), String::new()),
        _ => (String::new(), manage::one_of("cr_type", &given(new.cr_type), &COMPUTE_RESOURCES)?),
    };
    if kind == SAML && (realm_name.is_empty() || realm_name.len() > 1024) {
        return Err(ManageError::invalid(
            "realm_name",
            "must name the realm of the identity provider, as its users' tokens do.",
        ));
    }
    if !(1..=MOST_CONDITIONS).contains(&new.conditions.len()) {
        return Err(ManageError::invalid("conditions", format!("must be 1 to {MOST_CONDITIONS} conditions.")));
    }
    for condition in &new.conditions {
        manage::one_of("conditions.operator", &condition.operator, &OPERATORS)?;
        if condition.claim.is_empty() || condition.claim.len() > 256 || condition.value.len() > 4096 {
            return Err(ManageError::invalid("conditions.claim", "must have 1 to 256 bytes, and the value at most 4096."));
        }
    }
    let expiration = new.expiration.unwrap_or(*EXPIRATION.end());
    if !EXPIRATION.contains(&expiration) {
        let why = format!("must be a number of seconds from {} to {}.", EXPIRATION.start(), EXPIRATION.end());
        return Err(ManageError::invalid("expiration", why));
    }
    Ok(Rule {
        id,
        name: new.name.as_deref().filter(|name| !name.is_empty()).map(manage::name).transpose()?.unwrap_or_default(),
        kind,
        realm_name,
        cr_type,
        expiration,
        conditions: serde_json::to_string(&new.conditions).map_err(boatyard_store::Error::from)?,
        created_at,
        modified_at,
        revision: 1,
    })
}

/// Checks what names a compute resource. What its kind has no use for is left out, so that two links can be compared.
fn compute(account_id: &str, new: &NewLink) -> ManageResult<Compute> {
    manage::one_of("cr_type", &new.cr_type, &COMPUTE_RESOURCES)?;
    let crn = new.compute.crn.trim();
    // crn:v1:bluemix:public:SERVICE:REGION:a/ACCOUNT:...
    let scope = crn.split(':').nth(6).filter(|_| crn.starts_with("crn:") && crn.len() <= 1024);
    let Some(scope) = scope else {
        return Err(ManageError::invalid("link.crn", "must be the CRN of a compute resource, which begins with 'crn:'."));
    };
    if !new.cross_account && scope.strip_prefix("a/") != Some(account_id) {
        let why = "is of another account than the profile. Set 'is_cross_account' if that is meant.";
        return Err(ManageError::invalid("link.crn", why));
    }
    let needed = |member: &str, text: &Option<String>| match text.as_deref().map(str::trim).filter(|text| !text.is_empty()) {
        Some(text) if text.len() <= 256 => Ok(Some(text.to_owned())),
        _ => Err(ManageError::invalid(
            format!("link.{member}"),
            format!("is needed for {}, with at most 256 bytes.", new.cr_type),
        )),
    };
    let mut compute = Compute { crn: crn.to_owned(), ..Compute::default() };
    match new.cr_type.as_str() {
        "IKS_SA" | "ROKS_SA" => {
            compute.namespace = needed("namespace", &new.compute.namespace)?;
            compute.name = needed("name", &new.compute.name)?;
        }
        "CE" => {
            compute.component_type = needed("component_type", &new.compute.component_type)?;
            compute.component_name = needed("component_name", &new.compute.component_name)?;
        }
        _ => {}
    }
    Ok(compute)
}

fn full(count: usize, limit: i64, what: &'static str) -> ManageResult<()> {
    if i64::try_from(count).is_ok_and(|count| count < limit) { Ok(()) } else { Err(ManageError::TooMany { what, limit }) }
}

pub(crate) fn shown_rule(rule: Rule) -> ManageResult<ShownRule> {
    let conditions = serde_json::from_str(&rule.conditions).map_err(boatyard_store::Error::from)?;
    Ok(ShownRule { rule, conditions })
}

fn shown_link(link: Link) -> ManageResult<ShownLink> {
    let compute = serde_json::from_str(&link.link).map_err(boatyard_store::Error::from)?;
    Ok(ShownLink { link, compute })
}

fn not_found(what: &'static str, id: &str) -> ManageError {
    ManageError::NotFound { what, id: manage::shortened(id) }
}

impl Condition {
    /// Whether what a token says of the claim fits. A claim that is a list fits if one entry does; one that is not there fits no
    /// condition, also no negative one.
    pub(crate) fn holds(&self, claims: &Value) -> bool {
        let claim = match claims.get(&self.claim) {
            None | Some(Value::Null) => return false,
            Some(Value::Array(entries)) => entries.iter().map(text).collect(),
            Some(one) => vec![text(one)],
        };
        let value = serde_json::from_str::<Value>(&self.value).unwrap_or_else(|_| Value::String(self.value.clone()));
        let wanted: Vec<String> = match &value {
            Value::Array(entries) => entries.iter().map(text).collect(),
            one => vec![text(one)],
        };
        let any = |fits: &dyn Fn(&str, &str) -> bool| claim.iter().any(|have| wanted.iter().any(|want| fits(have, want)));
        match self.operator.as_str() {
            "EQUALS" | "IN" => any(&|have, want| have == want),
            "NOT_EQUALS" => !any(&|have, want| have == want),
            "EQUALS_IGNORE_CASE" => any(&|have, want| have.to_lowercase() == want.to_lowercase()),
            "NOT_EQUALS_IGNORE_CASE" => !any(&|have, want| have.to_lowercase() == want.to_lowercase()),
            "CONTAINS" => any(&|have, want| have.contains(want)),
            _ => false,
        }
    }
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn conditions_compare_claims_as_the_operators_say() {
        let claims = json!({"team": "Ships", "groups": ["dev", "ops"], "level": 3, "none": null});
        let cases = [
            ("team", "EQUALS", "\"Ships\"", true),
            ("team", "EQUALS", "Ships", true),
            ("team", "EQUALS", "\"ships\"", false),
            ("team", "EQUALS_IGNORE_CASE", "\"ships\"", true),
            ("team", "NOT_EQUALS", "\"ships\"", true),
            ("team", "NOT_EQUALS_IGNORE_CASE", "\"ships\"", false),
            ("team", "CONTAINS", "\"hip\"", true),
            ("team", "IN", "[\"Docks\",\"Ships\"]", true),
            ("team", "IN", "[\"Docks\"]", false),
            ("groups", "EQUALS", "\"ops\"", true),
            ("groups", "CONTAINS", "\"ops\"", true),
            ("groups", "NOT_EQUALS", "\"ops\"", false),
            ("level", "EQUALS", "3", true),
            ("missing", "EQUALS", "\"\"", false),
            ("missing", "NOT_EQUALS", "\"x\"", false),
            ("none", "NOT_EQUALS", "\"x\"", false),
            ("team", "UNKNOWN", "\"Ships\"", false),
        ];
        for (claim, operator, value, expected) in cases {
            let condition = Condition { claim: claim.to_owned(), operator: operator.to_owned(), value: value.to_owned() };
            assert_eq!(condition.holds(&claims), expected, "{condition:?}");
        }
    }

    #[test]
    fn a_link_names_a_resource_of_the_account_with_what_its_kind_needs() {
        const OWN: &str = "crn:v1:bluemix:public:containers-kubernetes:us-south:a/acc:cluster::";
        const OTHER: &str = "crn:v1:bluemix:public:containers-kubernetes:us-south:a/other:cluster::";
        let link = |cr_type: &str, crn: &str, name: Option<&str>, cross_account| NewLink {
            cr_type: cr_type.to_owned(),
            compute: Compute {
                crn: crn.to_owned(),
                namespace: name.map(str::to_owned),
                name: name.map(str::to_owned),
                ..Compute::default()
            },
            cross_account,
            name: None,
        };
        let cases = [
            (link("IKS_SA", OWN, Some("default"), false), ""),
            (link("VSI", OWN, None, false), ""),
            (link("VSI", OTHER, None, true), ""),
            (link("VSI", OTHER, None, false), "link.crn"),
            (link("VSI", "vsi-1", None, true), "link.crn"),
            (link("IKS_SA", OWN, None, false), "link.namespace"),
            (link("CE", OWN, Some("x"), false), "link.component_type"),
            (link("LAPTOP", OWN, None, false), "cr_type"),
        ];
        for (new, expected) in cases {
            let member = match compute("acc", &new) {
                Ok(_) => String::new(),
                Err(ManageError::Invalid { member, .. }) => member,
                Err(other) => panic!("{other}"),
            };
            assert_eq!(member, expected, "{new:?}");
        }
    }
}
