//! What ends the tokens of a trusted profile before their time: from the very next request on.

#![allow(clippy::unwrap_used)] // a test ends where something unexpected happens

mod support;

use boatyard_iam::profiles::ProfileChange;
use boatyard_iam::trust::{Condition, NewIdentity, NewRule};
use boatyard_iam::{Caller, Invitation, Profile, TokenAnswer};
use support::{Lab, claims, lab, name, text};

const ASSUME: &str = "urn:ibm:params:oauth:grant-type:assume";

async fn caller(lab: &Lab, answer: &TokenAnswer) -> Caller {
    lab.iam.authenticate(text(&answer.access_token)).await.unwrap()
}

/// An account with a profile that trusts a member, who has assumed it.
struct Assumed {
    lab: Lab,
    owner: Caller,
    account: String,
    member: Caller,
    profile: String,
    token: String,
}

impl Assumed {
    async fn new() -> Self {
        let lab = lab().await;
        let owned = lab.account("ada@example.com").await;
        lab.account("bob@example.com").await;
        let owner = caller(&lab, &lab.by_key("bx:bx", &owned).await).await;
        let invitation = Invitation { emails: vec!["bob@example.com".to_owned()], ..Invitation::default() };
        lab.iam.users_invite(&owner, &owned.account_id, &invitation).await.unwrap();
        let outside = lab.by_password("bob@example.com").await;
        lab.iam.invitation_accept(&caller(&lab, &outside).await, &owned.account_id).await.unwrap();
        let inside = lab.refresh("bx:bx", text(&outside.refresh_token), &owned.account_id).await.unwrap();
        let member = caller(&lab, &inside).await;
        let new = ProfileChange { name: Some("deployer".to_owned()), ..ProfileChange::default() };
        let profile = lab.iam.profile_create(&owner, &owned.account_id, new).await.unwrap().id;
        let trusted = NewIdentity { kind: "user".to_owned(), identifier: member.iam_id.clone(), ..NewIdentity::default() };
        lab.iam.profile_identity_set(&owner, &profile, trusted).await.unwrap();
        let fields = [("grant_type", ASSUME), ("access_token", text(&inside.access_token)), ("profile_id", &profile)];
        let assumed = lab.ask("", &fields).await.unwrap();
        assert_eq!(claims(&assumed.access_token)["authn"]["iam_id"], member.iam_id);
        let token = text(&assumed.access_token).to_owned();
        Self { lab, owner, account: owned.account_id, member, profile, token }
    }

    async fn state(&self, state: &str) {
        let change = Profile::default();
        self.lab.iam.user_update(&self.owner, &self.account, &self.member.iam_id, change, Some(state)).await.unwrap();
    }

    async fn access(&self) -> String {
        name(self.lab.iam.authenticate(&self.token).await)
    }
}

#[tokio::test]
async fn a_user_who_may_not_enter_the_account_does_not_enter_as_a_profile() {
    for state in ["VPN_ONLY", "DISABLED_CLASSIC_INFRASTRUCTURE"] {
        let assumed = Assumed::new().await;
        assert_eq!(assumed.access().await, "ok");
        assumed.state(state).await;
        assert_eq!(assumed.access().await, if state == "VPN_ONLY" { "TokenForeign" } else { "ok" }, "{state}");
        assumed.state("ACTIVE").await;
        assert_eq!(assumed.access().await, "ok", "{state}");
    }
}

#[tokio::test]
async fn a_profile_that_trusts_somebody_no_more_is_theirs_no_more() {
    let assumed = Assumed::new().await;
    let Assumed { lab, owner, member, profile, .. } = &assumed;
    assert_eq!(assumed.access().await, "ok");
    lab.iam.profile_identity_delete(owner, profile, "user", &member.iam_id).await.unwrap();
    assert_eq!(assumed.access().await, "TokenForeign");
}

#[tokio::test]
async fn a_rule_of_claims_is_asked_again_when_it_changes() {
    let assumed = Assumed::new().await;
    let Assumed { lab, owner, member, profile, .. } = &assumed;
    let rule = |email: &str| NewRule {
        kind: "Profile-SAML".to_owned(),
        name: Some("by address".to_owned()),
        realm_name: Some("IBMid".to_owned()),
        expiration: Some(43_200),
        conditions: vec![Condition { claim: "email".to_owned(), operator: "EQUALS".to_owned(), value: format!("\"{email}\"") }],
        ..NewRule::default()
    };
    let right = lab.iam.profile_rule_create(owner, profile, rule("bob@example.com")).await.unwrap().rule.id;
    lab.iam.profile_identity_delete(owner, profile, "user", &member.iam_id).await.unwrap();
    assert_eq!(assumed.access().await, "ok", "the rule trusts whom nothing else does");
    lab.iam.profile_rule_create(owner, profile, rule("eve@example.com")).await.unwrap();
    lab.iam.profile_rule_delete(owner, profile, &right).await.unwrap();
    assert_eq!(assumed.access().await, "TokenForeign");
}
