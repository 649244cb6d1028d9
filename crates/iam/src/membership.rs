//! The access groups of an identity: those that it was added to, those that a rule puts a federated user in for some hours after a
//! login, and the one that everybody is in.

use boatyard_store::Conn;
use boatyard_store::access::{self, GroupRule, PUBLIC_GROUP, PUBLIC_GROUP_NAME};
use boatyard_store::federation::{self, FederatedIdentity};
use jiff::Timestamp;

use crate::subject::Kind;
use crate::trust::Condition;
use crate::{Iam, Result};

/// Groups that an identity is in without being listed in them.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Unlisted {
    /// IDs and names.
    pub groups: Vec<(String, String)>,
    /// When the first of these memberships ends.
    pub until: Option<Timestamp>,
}

impl Unlisted {
    pub async fn find(conn: &mut Conn, account_id: &str, iam_id: &str, now: Timestamp) -> Result<Self> {
        if Kind::of(iam_id) != Kind::User {
            return Ok(Self::default());
        }
        // Most users have a password, and no provider says anything of them.
        let Some(login) = federation::of_user(conn, iam_id).await? else { return Ok(Self::default()) };
        Ok(Self::by_rules(access::group_rules(conn, account_id).await?, &login, now))
    }

    fn by_rules(rules: Vec<GroupRule>, login: &FederatedIdentity, now: Timestamp) -> Self {
        let mut found = Self::default();
        for rule in rules {
            let end = login.logged_in_at.saturating_add(rule.expiration.saturating_mul(3_600_000));
            let Ok(end) = Timestamp::from_millisecond(end) else { continue };
            let conditions: Vec<Condition> = serde_json::from_str(&rule.conditions).unwrap_or_default();
            let fits = !conditions.is_empty() && conditions.iter().all(|condition| condition.holds(&login.claims));
            if rule.realm_name != login.issuer || end <= now || !fits {
                continue;
            }
            found.until = Some(found.until.map_or(end, |until| until.min(end)));
            let group = (rule.group_id, rule.group_name);
            if !found.groups.contains(&group) {
                found.groups.push(group);
            }
        }
        found
    }

    /// IDs of the groups, with the one that everybody is in.
    pub fn ids(&self, iam_id: &str) -> Vec<String> {
        let mut ids: Vec<_> = self.groups.iter().map(|(id, _)| id.clone()).collect();
        // A trusted profile is not among everybody.
        if Kind::of(iam_id) != Kind::Profile {
            ids.push(PUBLIC_GROUP.to_owned());
        }
        ids
    }
}

/// What names begin with that clusters keep for themselves: members of `system:masters` may do everything in all of them.
const OF_CLUSTERS: &str = "system:";

/// Whether clusters keep a name for groups of their own. In which case it is written does not matter.
pub(crate) fn is_of_clusters(name: &str) -> bool {
    name.trim_start().get(..OF_CLUSTERS.len()).is_some_and(|start| start.eq_ignore_ascii_case(OF_CLUSTERS))
}

impl Iam {
    /// The groups in which an identity is for clusters of an account: its access groups, and the one that everybody is in.
    pub(crate) async fn cluster_groups(&self, account_id: &str, iam_id: &str) -> Result<Vec<String>> {
        let mut names = self.group_names(account_id, iam_id).await?;
        // As with `Unlisted::ids`.
        if Kind::of(iam_id) != Kind::Profile {
            names.push(PUBLIC_GROUP_NAME.to_owned());
        }
        Ok(names)
    }

    /// Names of the access groups of an account that an identity is in, as tokens for clusters tell them. Those that clusters keep for
    /// groups of their own, which a group could have before they were refused, are left out.
    pub(crate) async fn group_names(&self, account_id: &str, iam_id: &str) -> Result<Vec<String>> {
        let mut conn = self.inner.store.read().await?;
        let mut names: Vec<_> =
            access::groups(&mut conn, account_id, iam_id).await?.into_iter().map(|(_, name)| name).collect();
        let unlisted = Unlisted::find(&mut conn, account_id, iam_id, self.inner.clock.now()).await?;
        names.extend(unlisted.groups.into_iter().map(|(_, name)| name));
        names.retain(|name| !is_of_clusters(name));
        names.sort();
        names.dedup();
        Ok(names)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_of_clusters_are_told_from_others() {
        let cases = [
            ("system:masters", true),
            (" System:nodes", true),
            ("system:", true),
            ("system", false),
            ("systems", false),
            ("my system:masters", false),
            ("syst\u{e9}m:masters", false),
            ("Public Access", false),
            ("", false),
        ];
        for (name, expected) in cases {
            assert_eq!(is_of_clusters(name), expected, "{name}");
        }
    }

    const HOUR_MS: i64 = 3_600_000;

    fn rule(realm: &str, claim: &str, value: &str, expiration: i64) -> GroupRule {
        GroupRule {
            group_id: format!("AccessGroupId-{value}"),
            group_name: value.to_owned(),
            expiration,
            realm_name: realm.to_owned(),
            conditions: json!([{"claim": claim, "operator": "EQUALS", "value": format!("\"{value}\"")}]).to_string(),
        }
    }

    #[test]
    fn a_rule_holds_for_its_provider_and_claims_until_its_hours_are_over() {
        let login = FederatedIdentity {
            issuer: "https://idp".to_owned(),
            subject: "s".to_owned(),
            iam_id: "IBMid-1".to_owned(),
            claims: json!({"groups": ["dev", "ops"]}),
            created_at: 0,
            logged_in_at: HOUR_MS,
        };
        let rules = vec![
            rule("https://idp", "groups", "dev", 2),
            rule("https://idp", "groups", "ops", 5),
            rule("https://idp", "groups", "sales", 5),
            rule("https://other", "groups", "dev2", 5),
        ];
        let at = |hours: i64| Unlisted::by_rules(rules.clone(), &login, Timestamp::from_millisecond(hours * HOUR_MS).unwrap());
        let names = |found: &Unlisted| found.groups.iter().map(|(_, name)| name.clone()).collect::<Vec<_>>();
        assert_eq!(names(&at(2)), ["dev", "ops"]);
        assert_eq!(at(2).until, Timestamp::from_millisecond(3 * HOUR_MS).ok());
        assert_eq!(names(&at(3)), ["ops"]);
        assert_eq!(at(6), Unlisted::default());
    }
}
