//! Rules by which federated users are in an access group without being listed, while they are logged in.

use boatyard_core::id;
use boatyard_store::access_groups::{self, Group, Rule as Row};
use boatyard_store::{Domain, accounts};
use serde::{Deserialize, Serialize};

use super::group;
use crate::access_error::{AccessError, Result, Subject, entity_tag, matches};
use crate::{Caller, Iam};

/// Most rules of one group, and most conditions of one rule.
const MOST: usize = 50;
/// The longest membership by a rule, in hours.
const LONGEST_HOURS: i64 = 24;
const LONGEST_TEXT: usize = 1000;
const OPERATORS: [&str; 6] = ["EQUALS", "EQUALS_IGNORE_CASE", "IN", "NOT_EQUALS", "NOT_EQUALS_IGNORE_CASE", "CONTAINS"];

/// What a claim of a user must be like.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Condition {
    pub claim: String,
    /// Such as `EQUALS`.
    pub operator: String,
    /// JSON as text.
    pub value: String,
}

/// A rule as it is asked for.
#[derive(Clone, Debug)]
pub struct NewRule {
    pub name: String,
    /// For how long after the login, in hours.
    pub expiration: i64,
    /// The identity provider.
    pub realm_name: String,
    /// All of them must hold.
    pub conditions: Vec<Condition>,
}

/// A rule of a group.
#[derive(Clone, Debug)]
pub struct Rule {
    /// `ClaimRule-` and a UUID.
    pub id: String,
    pub group_id: String,
    pub account_id: String,
    pub rule: NewRule,
    /// Milliseconds since the Unix epoch.
    pub created_at: i64,
    pub created_by: String,
    /// Milliseconds since the Unix epoch.
    pub modified_at: i64,
    pub modified_by: String,
    pub etag: String,
}

impl Rule {
    fn of(group: &Group, row: Row) -> Result<Self> {
        let conditions = serde_json::from_str(&row.conditions).map_err(boatyard_store::Error::from)?;
        Ok(Self {
            etag: entity_tag(row.revision, &row.id),
            id: row.id,
            group_id: group.id.clone(),
            account_id: group.account_id.clone(),
            rule: NewRule { name: row.name, expiration: row.expiration, realm_name: row.realm_name, conditions },
            created_at: row.created_at,
            created_by: row.created_by,
            modified_at: row.modified_at,
            modified_by: row.modified_by,
        })
    }
}

impl Iam {
    /// Adds a rule to a group.
    ///
    /// # Errors
    /// If there is no such group, or something of the rule is not acceptable; else when the database fails.
    pub async fn rule_create(&self, caller: &Caller, group_id: &str, new: NewRule) -> Result<Rule> {
        acceptable(&new)?;
        let account_id = caller.account()?;
        let now = self.inner.clock.now().as_millisecond();
        let row = Row {
            id: format!("ClaimRule-{}", id::uuid()),
            conditions: text(&new.conditions)?,
            name: new.name,
            expiration: new.expiration,
            realm_name: new.realm_name,
            created_at: now,
            created_by: caller.iam_id.clone(),
            modified_at: now,
            modified_by: caller.iam_id.clone(),
            revision: 1,
        };
        let mut tx = self.inner.store.write(Domain::Identity).await?;
        accounts::lock(&mut tx, account_id).await?;
        let group = group(&mut tx, account_id, group_id).await?;
        if access_groups::rules(&mut tx, &group).await?.len() >= MOST {
            return Err(AccessError::TooMany(format!(
                "The access group has {MOST} rules, which is the most. Delete one first."
            )));
        }
        access_groups::rule_insert(&mut tx, &group, &row).await?;
        tx.commit().await?;
        Rule::of(&group, row)
    }

    /// The rules of a group, in the order in which they were made.
    ///
    /// # Errors
    /// If there is no such group; else when the database fails.
    pub async fn rules_list(&self, caller: &Caller, group_id: &str) -> Result<Vec<Rule>> {
        let account_id = caller.account()?;
        let mut conn = self.inner.store.read().await?;
        let group = group(&mut conn, account_id, group_id).await?;
        access_groups::rules(&mut conn, &group).await?.into_iter().map(|row| Rule::of(&group, row)).collect()
    }

    /// A rule of a group.
    ///
    /// # Errors
    /// If there is no such group or rule; else when the database fails.
    pub async fn rule_get(&self, caller: &Caller, group_id: &str, id: &str) -> Result<Rule> {
        let found = self.rules_list(caller, group_id).await?.into_iter().find(|rule| rule.id == id);
        found.ok_or_else(|| AccessError::not_found(Subject::Rule, id))
    }

    /// Replaces a rule.
    ///
    /// # Errors
    /// If there is no such group or rule, it was changed since `if_match`, or something is not acceptable; else when the database
    /// fails.
    pub async fn rule_replace(
        &self,
        caller: &Caller,
        group_id: &str,
        id: &str,
        if_match: Option<&str>,
        new: NewRule,
    ) -> Result<Rule> {
        acceptable(&new)?;
        let account_id = caller.account()?;
        let mut tx = self.inner.store.write(Domain::Identity).await?;
        let group = group(&mut tx, account_id, group_id).await?;
        let found = access_groups::rules(&mut tx, &group).await?.into_iter().find(|rule| rule.id == id);
        let mut row = found.ok_or_else(|| AccessError::not_found(Subject::Rule, id))?;
        matches(Subject::Rule, if_match, row.revision, &row.id)?;
        row.conditions = text(&new.conditions)?;
        row.name = new.name;
        row.expiration = new.expiration;
        row.realm_name = new.realm_name;
        row.modified_at = self.inner.clock.now().as_millisecond();
        row.modified_by.clone_from(&caller.iam_id);
        row.revision += 1;
        access_groups::rule_update(&mut tx, &group, &row).await?;
        tx.commit().await?;
        Rule::of(&group, row)
    }

    /// Removes a rule from a group.
    ///
    /// # Errors
    /// If there is no such group or rule; else when the database fails.
    pub async fn rule_delete(&self, caller: &Caller, group_id: &str, id: &str) -> Result<()> {
        let account_id = caller.account()?;
        let mut tx = self.inner.store.write(Domain::Identity).await?;
        let group = group(&mut tx, account_id, group_id).await?;
        if !access_groups::rule_delete(&mut tx, &group, id).await? {
            return Err(AccessError::not_found(Subject::Rule, id));
        }
        Ok(tx.commit().await?)
    }
}

fn text(conditions: &[Condition]) -> Result<String> {
    Ok(serde_json::to_string(conditions).map_err(boatyard_store::Error::from)?)
}

fn acceptable(new: &NewRule) -> Result<()> {
    let refuse = |text: String| Err(AccessError::Invalid(text));
    let fits = |text: &str| (1..=LONGEST_TEXT).contains(&text.chars().count());
    if !(1..=LONGEST_HOURS).contains(&new.expiration) {
        return refuse(format!("'expiration' is a number of hours from 1 to {LONGEST_HOURS}."));
    }
    if !fits(&new.realm_name) || new.name.chars().count() > LONGEST_TEXT {
        return refuse(format!(
            "'realm_name' names the identity provider, and neither it nor 'name' is longer than {LONGEST_TEXT}."
        ));
    }
    if !(1..=MOST).contains(&new.conditions.len()) {
        return refuse(format!("A rule has 1 to {MOST} 'conditions'."));
    }
    for Condition { claim, operator, value } in &new.conditions {
        if !fits(claim) || !fits(value) {
            return refuse(format!("A condition has a 'claim' and a 'value' of 1 to {LONGEST_TEXT} characters."));
        }
        if !OPERATORS.contains(&operator.as_str()) {
            return refuse(format!("The 'operator' of a condition is one of '{}'.", OPERATORS.join("', '")));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_is_wrong_with_a_rule() {
        let condition = |claim: &str, operator: &str, value: &str| Condition {
            claim: claim.to_owned(),
            operator: operator.to_owned(),
            value: value.to_owned(),
        };
        let rule = |expiration: i64, realm: &str, conditions: Vec<Condition>| NewRule {
            name: String::new(),
            expiration,
            realm_name: realm.to_owned(),
            conditions,
        };
        let good = || vec![condition("groups", "CONTAINS", "\"team\"")];
        let cases = [
            (rule(12, "https://idp", good()), None),
            (rule(0, "https://idp", good()), Some("'expiration'")),
            (rule(25, "https://idp", good()), Some("'expiration'")),
            (rule(12, "", good()), Some("'realm_name'")),
            (rule(12, "https://idp", Vec::new()), Some("'conditions'")),
            (rule(12, "https://idp", vec![condition("", "EQUALS", "1")]), Some("'claim'")),
            (rule(12, "https://idp", vec![condition("groups", "LIKE", "1")]), Some("'operator'")),
        ];
        for (rule, expected) in cases {
            let said = acceptable(&rule).err().map(|error| error.to_string());
            match expected {
                None => assert_eq!(said, None),
                Some(expected) => assert!(said.as_deref().unwrap_or_default().contains(expected), "{said:?} {expected:?}"),
            }
        }
    }
}
