//! What ends a session and every token of it: reuse, age, removal, an administrator. From the very next request on.

#![allow(clippy::unwrap_used)] // a test ends where something unexpected happens

mod support;

use boatyard_iam::{CreatedAccount, IDENTITY_SETTINGS, PASSCODE_SECONDS, REFRESH_GRACE_SECONDS, TokenAnswer};
use boatyard_store::{Domain, account_settings, api_keys};
use proptest::prelude::*;
use support::*;

/// Sets the identity settings of an account.
async fn set(lab: &Lab, account: &CreatedAccount, settings: serde_json::Value) {
    let mut tx = lab.store.write(Domain::Identity).await.unwrap();
    let before =
        account_settings::get(&mut tx, &account.account_id, IDENTITY_SETTINGS).await.unwrap().map_or(0, |d| d.revision);
    account_settings::set(&mut tx, &account.account_id, IDENTITY_SETTINGS, &settings.to_string(), before).await.unwrap();
    tx.commit().await.unwrap();
}

async fn access(lab: &Lab, token: &str) -> String {
    name(lab.iam.authenticate(token).await)
}

#[tokio::test]
async fn a_replaced_refresh_token_used_after_the_grace_ends_the_whole_session_and_no_other() {
    let lab = lab().await;
    let account = lab.account("ada@example.com").await;
    let (login, other) = (lab.by_key("bx:bx", &account).await, lab.by_key("bx:bx", &account).await);
    let newer = lab.refresh("bx:bx", text(&login.refresh_token), "").await.unwrap();
    lab.later(REFRESH_GRACE_SECONDS + 1);
    assert_eq!(access(&lab, text(&newer.access_token)).await, "ok");
    assert_eq!(name(lab.refresh("bx:bx", text(&login.refresh_token), "").await), "RefreshTokenReused");
    for token in [&login, &newer] {
        assert_eq!(name(lab.refresh("bx:bx", text(&token.refresh_token), "").await), "RefreshTokenInvalid");
        assert_eq!(access(&lab, text(&token.access_token)).await, "TokenForeign", "also what is still in date");
    }
    assert_eq!(name(lab.refresh("bx:bx", text(&other.refresh_token), "").await), "ok");
    assert_eq!(access(&lab, text(&other.access_token)).await, "ok");
}

#[tokio::test]
async fn two_refreshes_that_race_both_live_on() {
    let lab = lab().await;
    let account = lab.account("ada@example.com").await;
    let login = lab.by_key("bx:bx", &account).await;
    let token = text(&login.refresh_token);
    let (one, two) = tokio::join!(lab.refresh("bx:bx", token, ""), lab.refresh("bx:bx", token, ""));
    let (one, two) = (one.unwrap(), two.unwrap());
    lab.later(REFRESH_GRACE_SECONDS * 10);
    for raced in [&one, &two] {
        assert_eq!(name(lab.refresh("bx:bx", text(&raced.refresh_token), "").await), "ok");
        assert_eq!(access(&lab, text(&raced.access_token)).await, "ok");
    }
}

#[tokio::test]
async fn asking_for_a_delegated_token_or_a_passcode_uses_no_refresh_token_up() {
    let lab = lab().await;
    let account = lab.account("ada@example.com").await;
    let login = lab.by_key("bx:bx", &account).await;
    let token = text(&login.refresh_token);
    let delegated = [("grant_type", "refresh_token"), ("refresh_token", token), ("response_type", "delegated_refresh_token")];
    lab.ask("bx:bx", &delegated).await.unwrap();
    lab.passcode("bx:bx", token).await.unwrap();
    lab.later(REFRESH_GRACE_SECONDS * 2);
    assert_eq!(name(lab.refresh("bx:bx", token, "").await), "ok");
}

#[tokio::test]
async fn kubectl_refreshes_for_30_days_with_id_tokens_of_20_minutes() {
    let lab = lab().await;
    let account = lab.account("ada@example.com").await;
    let login = lab.by_key("kube:kube", &account).await;
    let id = claims(&login.id_token);
    assert_eq!(id["exp"].as_i64().unwrap() - id["iat"].as_i64().unwrap(), 1200);
    lab.later(30 * 24 * 3600 - 1);
    let refreshed = lab.refresh("kube:kube", text(&login.refresh_token), "").await.unwrap();
    lab.later(30 * 24 * 3600);
    assert_eq!(name(lab.refresh("kube:kube", text(&refreshed.refresh_token), "").await), "RefreshTokenExpired");
}

#[tokio::test]
async fn lifetimes_from_the_accounts_settings_hold_from_the_next_token_on() {
    let lab = lab().await;
    let account = lab.account("ada@example.com").await;
    let before = lab.by_key("bx:bx", &account).await;
    let settings = serde_json::json!({
        "system_access_token_expiration_in_seconds": "900", "system_refresh_token_expiration_in_seconds": "1000",
    });
    set(&lab, &account, settings).await;
    let login = lab.by_key("bx:bx", &account).await;
    assert_eq!((before.expires_in, login.expires_in), (3600, 900));
    let access_claims = claims(&login.access_token);
    assert_eq!(access_claims["exp"].as_i64().unwrap() - access_claims["iat"].as_i64().unwrap(), 900);
    lab.later(1000);
    assert_eq!(access(&lab, text(&login.access_token)).await, "TokenExpired");
    assert_eq!(access(&lab, text(&before.access_token)).await, "ok");
    assert_eq!(name(lab.refresh("bx:bx", text(&login.refresh_token), "").await), "RefreshTokenExpired");
    assert_eq!(name(lab.refresh("bx:bx", text(&before.refresh_token), "").await), "ok");
}

#[tokio::test]
async fn a_session_ends_by_age_and_by_inactivity_where_the_account_says_so() {
    let lab = lab().await;
    let account = lab.account("ada@example.com").await;
    let settings = serde_json::json!({"session_expiration_in_seconds": "3000", "session_invalidation_in_seconds": "900"});
    set(&lab, &account, settings).await;
    let (idle, busy) = (lab.by_key("bx:bx", &account).await, lab.by_key("bx:bx", &account).await);
    let mut token = text(&busy.refresh_token).to_owned();
    for _ in 0..4 {
        lab.later(700);
        let refreshed = lab.refresh("bx:bx", &token, "").await.unwrap();
        text(&refreshed.refresh_token).clone_into(&mut token);
    }
    assert_eq!(name(lab.refresh("bx:bx", text(&idle.refresh_token), "").await), "SessionEnded");
    assert_eq!(access(&lab, text(&idle.access_token)).await, "TokenForeign");
    lab.later(200);
    assert_eq!(name(lab.refresh("bx:bx", &token, "").await), "SessionEnded", "3000 seconds after the login");
}

#[tokio::test]
async fn the_oldest_sessions_end_where_an_account_limits_them() {
    let lab = lab().await;
    let account = lab.account("ada@example.com").await;
    set(&lab, &account, serde_json::json!({"max_sessions_per_identity": "2"})).await;
    let mut logins = Vec::new();
    for _ in 0..4 {
        logins.push(lab.by_key("bx:bx", &account).await);
        lab.later(1);
    }
    let mut states = Vec::new();
    for login in &logins {
        states.push(name(lab.refresh("bx:bx", text(&login.refresh_token), "").await));
    }
    assert_eq!(states, ["RefreshTokenInvalid", "RefreshTokenInvalid", "ok", "ok"]);
}

#[tokio::test]
async fn tokens_of_a_key_end_with_it_whether_they_have_a_session_or_not() {
    let lab = lab().await;
    let account = lab.account("ada@example.com").await;
    let sessionless = lab.by_key("", &account).await;
    let login = lab.by_key("bx:bx", &account).await;
    let key = claims(&sessionless.access_token)["apikey_id"].as_str().unwrap().to_owned();
    let mut tx = lab.store.write(Domain::Identity).await.unwrap();
    api_keys::disabled_set(&mut tx, &account.account_id, &key, true).await.unwrap();
    boatyard_store::sessions::delete_by_key(&mut tx, &key).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(access(&lab, text(&sessionless.access_token)).await, "TokenForeign");
    assert_eq!(access(&lab, text(&login.access_token)).await, "TokenForeign");
    assert_eq!(name(lab.refresh("bx:bx", text(&login.refresh_token), "").await), "RefreshTokenInvalid");
}

#[tokio::test]
async fn a_session_ends_with_the_date_of_its_key() {
    let lab = lab().await;
    let account = lab.account("ada@example.com").await;
    let (sessionless, login) = (lab.by_key("", &account).await, lab.by_key("bx:bx", &account).await);
    let key = claims(&sessionless.access_token)["apikey_id"].as_str().unwrap().to_owned();
    let mut tx = lab.store.write(Domain::Identity).await.unwrap();
    let stored = api_keys::get(&mut tx, &account.account_id, &key).await.unwrap().unwrap();
    let ends = lab.clock.now().as_millisecond() + 600_000;
    let dated = api_keys::ApiKey { expires_at: Some(ends), ..stored };
    boatyard_store::api_keys_admin::update(&mut tx, &dated).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(access(&lab, text(&sessionless.access_token)).await, "ok");
    assert_eq!(access(&lab, text(&login.access_token)).await, "ok");
    lab.later(601);
    assert_eq!(access(&lab, text(&sessionless.access_token)).await, "TokenForeign");
    assert_eq!(access(&lab, text(&login.access_token)).await, "TokenForeign");
    assert_eq!(name(lab.refresh("bx:bx", text(&login.refresh_token), "").await), "ApiKeyExpired");
}

#[tokio::test]
async fn a_passcode_of_a_key_login_leads_no_further_than_the_key() {
    let lab = lab().await;
    let (first, second) = (lab.account("ada@example.com").await, lab.account("ada@example.com").await);
    let login = lab.by_key("bx:bx", &first).await;
    let with = async |account: &str| {
        let passcode = lab.passcode("bx:bx", text(&login.refresh_token)).await.unwrap();
        lab.ask("bx:bx", &[("grant_type", PASSCODE), ("passcode", &passcode), ("bss_account", account)]).await
    };
    assert_eq!(name(with(&second.account_id).await), "ApiKeyOfOtherAccount");
    let own = with("").await.unwrap();
    assert_eq!(claims(&own.access_token)["account"]["bss"], first.account_id);
    assert_eq!(name(lab.refresh("bx:bx", text(&own.refresh_token), &second.account_id).await), "ApiKeyOfOtherAccount");
    let key = claims(&lab.by_key("", &first).await.access_token)["apikey_id"].as_str().unwrap().to_owned();
    let mut tx = lab.store.write(Domain::Identity).await.unwrap();
    api_keys::disabled_set(&mut tx, &first.account_id, &key, true).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(access(&lab, text(&own.access_token)).await, "TokenForeign");
    assert_eq!(name(lab.passcode("bx:bx", text(&login.refresh_token)).await), "ApiKeyDisabled");
}

#[tokio::test]
async fn a_login_without_a_client_can_be_ended_as_well() {
    let lab = lab().await;
    lab.account("ada@example.com").await;
    let login = lab.by_password("ada@example.com").await;
    let passcode = lab.passcode("bx:bx", text(&login.refresh_token)).await.unwrap();
    let answer = lab.ask("", &[("grant_type", PASSCODE), ("passcode", &passcode)]).await.unwrap();
    assert_eq!(text(&answer.refresh_token), "not_supported");
    assert_eq!(access(&lab, text(&answer.access_token)).await, "ok");
    lab.iam.revoke(answer.access_token.as_ref().unwrap()).await.unwrap();
    assert_eq!(access(&lab, text(&answer.access_token)).await, "TokenForeign");
    assert_eq!(access(&lab, text(&login.access_token)).await, "ok");
}

#[tokio::test]
async fn switching_to_another_account_begins_a_session_there() {
    let lab = lab().await;
    let (first, second) = (lab.account("ada@example.com").await, lab.account("ada@example.com").await);
    let login = lab.by_password("ada@example.com").await;
    let one = lab.refresh("bx:bx", text(&login.refresh_token), &first.account_id).await.unwrap();
    let two = lab.refresh("bx:bx", text(&one.refresh_token), &second.account_id).await.unwrap();
    assert_eq!(one.session_id, login.session_id, "a login without an account takes the first that is asked for");
    assert_ne!(two.session_id, one.session_id);
    lab.iam.session_end(one.session_id.as_ref().unwrap()).await.unwrap();
    assert_eq!(access(&lab, text(&one.access_token)).await, "TokenForeign");
    assert_eq!(access(&lab, text(&two.access_token)).await, "ok");
}

#[tokio::test]
async fn a_session_that_had_to_make_room_is_over_at_once() {
    let lab = lab().await;
    let account = lab.account("ada@example.com").await;
    set(&lab, &account, serde_json::json!({"max_sessions_per_identity": "1"})).await;
    let old = lab.by_key("bx:bx", &account).await;
    assert_eq!(access(&lab, text(&old.access_token)).await, "ok");
    lab.by_key("bx:bx", &account).await;
    assert_eq!(access(&lab, text(&old.access_token)).await, "TokenForeign");
}

#[tokio::test]
async fn what_was_stolen_leads_to_nothing_that_outlives_the_family() {
    let lab = lab().await;
    let (first, second) = (lab.account("ada@example.com").await, lab.account("ada@example.com").await);
    let login = lab.by_password("ada@example.com").await;
    let stolen = lab.refresh("bx:bx", text(&login.refresh_token), &first.account_id).await.unwrap();
    let stolen = text(&stolen.refresh_token);
    // The thief goes to another account, and by passcodes to logins of their own, one of which is kept for later.
    let elsewhere = lab.refresh("bx:bx", stolen, &second.account_id).await.unwrap();
    let (used, kept) = (lab.passcode("bx:bx", stolen).await.unwrap(), lab.passcode("bx:bx", stolen).await.unwrap());
    let with = async |passcode: &str, client: &str| lab.ask(client, &[("grant_type", PASSCODE), ("passcode", passcode)]).await;
    let by_passcode = with(&used, "bx:bx").await.unwrap();
    let further = lab.refresh("bx:bx", text(&by_passcode.refresh_token), &first.account_id).await.unwrap();
    lab.later(REFRESH_GRACE_SECONDS + 1);
    assert_eq!(name(lab.refresh("bx:bx", stolen, &first.account_id).await), "RefreshTokenReused", "their owner comes back");
    for (what, token) in [("elsewhere", &elsewhere), ("by passcode", &by_passcode), ("further", &further)] {
        assert_eq!(access(&lab, text(&token.access_token)).await, "TokenForeign", "{what}");
        assert_eq!(name(lab.refresh("bx:bx", text(&token.refresh_token), "").await), "RefreshTokenInvalid", "{what}");
    }
    assert_eq!(name(with(&kept, "bx:bx").await), "WrongPasscode");
}

#[tokio::test]
async fn a_passcode_ends_with_the_session_that_asked_for_it() {
    let lab = lab().await;
    let account = lab.account("ada@example.com").await;
    for login in [lab.by_password("ada@example.com").await, lab.by_key("bx:bx", &account).await] {
        let passcode = lab.passcode("bx:bx", text(&login.refresh_token)).await.unwrap();
        let other = lab.passcode("bx:bx", text(&login.refresh_token)).await.unwrap();
        let with = async |passcode: &str| lab.ask("", &[("grant_type", PASSCODE), ("passcode", passcode)]).await;
        let answer = with(&other).await.unwrap();
        lab.iam.session_end(login.session_id.as_ref().unwrap()).await.unwrap();
        assert_eq!(name(with(&passcode).await), "WrongPasscode");
        assert_eq!(access(&lab, text(&answer.access_token)).await, "ok", "a login of its own goes on");
        assert!(answer.session_id.is_some(), "and can be ended");
    }
}

#[tokio::test]
async fn a_login_grows_old_in_whatever_account_and_by_whatever_passcode_it_goes_on() {
    let lab = lab().await;
    let (first, second) = (lab.account("ada@example.com").await, lab.account("ada@example.com").await);
    set(&lab, &first, serde_json::json!({"session_expiration_in_seconds": "3000"})).await;
    let login = lab.by_password("ada@example.com").await;
    let here = lab.refresh("bx:bx", text(&login.refresh_token), &first.account_id).await.unwrap();
    lab.later(1500);
    let there = lab.refresh("bx:bx", text(&here.refresh_token), &second.account_id).await.unwrap();
    let back = lab.refresh("bx:bx", text(&there.refresh_token), &first.account_id).await.unwrap();
    let there = lab.refresh("bx:bx", text(&there.refresh_token), "").await.unwrap();
    let passcode = lab.passcode("bx:bx", text(&back.refresh_token)).await.unwrap();
    let again = [("grant_type", PASSCODE), ("passcode", &passcode), ("bss_account", &first.account_id)];
    let anew = lab.ask("bx:bx", &again).await.unwrap();
    lab.later(1400);
    let late = lab.passcode("bx:bx", text(&anew.refresh_token)).await.unwrap();
    lab.later(101);
    for (what, token) in [("back again", &back), ("by passcode", &anew)] {
        assert_eq!(name(lab.refresh("bx:bx", text(&token.refresh_token), "").await), "SessionEnded", "{what}");
    }
    let late = [("grant_type", PASSCODE), ("passcode", &late), ("bss_account", &first.account_id)];
    assert_ne!(name(lab.ask("bx:bx", &late).await), "ok", "with a passcode that it asked for while it was young");
    let again = lab.refresh("bx:bx", text(&there.refresh_token), &first.account_id).await;
    assert_eq!(name(again), "SessionEnded", "once more from the other account");
    assert_eq!(name(lab.refresh("bx:bx", text(&there.refresh_token), "").await), "ok", "the other account has no such limit");
}

#[tokio::test]
async fn a_login_that_chooses_its_account_later_takes_one_of_its_places() {
    let lab = lab().await;
    let account = lab.account("ada@example.com").await;
    set(&lab, &account, serde_json::json!({"max_sessions_per_identity": "2"})).await;
    let mut logins = Vec::new();
    for _ in 0..4 {
        let login = lab.by_password("ada@example.com").await;
        logins.push(lab.refresh("bx:bx", text(&login.refresh_token), &account.account_id).await.unwrap());
        lab.later(1);
    }
    let mut states = Vec::new();
    for login in &logins {
        states.push(access(&lab, text(&login.access_token)).await);
    }
    assert_eq!(states, ["TokenForeign", "TokenForeign", "ok", "ok"]);
    assert_eq!(name(lab.refresh("bx:bx", text(&logins[2].refresh_token), "").await), "ok", "its own session is no other");
    assert_eq!(access(&lab, text(&logins[3].access_token)).await, "ok");
}

/// What may happen to the tokens of a login: the newest is used, an older one is, perhaps for another account; one asks for a
/// passcode, with which somebody logs in; or time passes.
#[derive(Clone, Debug)]
enum Step {
    Newest,
    Older(prop::sample::Index),
    Switch(prop::sample::Index, bool),
    Ask(prop::sample::Index),
    LogIn(prop::sample::Index),
    Later(i64),
}

fn step() -> impl Strategy<Value = Step> {
    let any_token = any::<prop::sample::Index>;
    prop_oneof![
        3 => Just(Step::Newest),
        2 => any_token().prop_map(Step::Older),
        2 => (any_token(), any::<bool>()).prop_map(|(index, second)| Step::Switch(index, second)),
        1 => any_token().prop_map(Step::Ask),
        1 => any_token().prop_map(Step::LogIn),
        // Never exactly the grace, which real milliseconds would decide.
        2 => (1..18i64).prop_map(|n| Step::Later(n * 7)),
    ]
}

/// All that came of one login.
struct Family {
    lab: Lab,
    accounts: [String; 2],
    /// Each refresh token, and when it was first used.
    tokens: Vec<(String, Option<i64>)>,
    access_tokens: Vec<String>,
    /// Passcodes that nobody used, and when each ends.
    passcodes: Vec<(String, i64)>,
    now: i64,
    dead: bool,
}

impl Family {
    async fn begin() -> Self {
        let lab = lab().await;
        let accounts = [lab.account("ada@example.com").await.account_id, lab.account("ada@example.com").await.account_id];
        let login = lab.by_password("ada@example.com").await;
        let tokens = vec![(text(&login.refresh_token).to_owned(), None)];
        let access_tokens = vec![text(&login.access_token).to_owned()];
        Self { lab, accounts, tokens, access_tokens, passcodes: Vec::new(), now: 0, dead: false }
    }

    fn keep(&mut self, answer: &TokenAnswer) {
        self.tokens.push((text(&answer.refresh_token).to_owned(), None));
        self.access_tokens.push(text(&answer.access_token).to_owned());
    }

    /// What the use of a token must come to. Late reuse is the end.
    fn expected(&mut self, index: usize) -> &'static str {
        let late = self.tokens[index].1.is_some_and(|used_at| self.now > used_at + REFRESH_GRACE_SECONDS);
        let expected = if self.dead {
            "RefreshTokenInvalid"
        } else if late {
            "RefreshTokenReused"
        } else {
            "ok"
        };
        self.dead |= late;
        expected
    }

    async fn refresh(&mut self, index: usize, account: &str) {
        let expected = self.expected(index);
        let answer = self.lab.refresh("bx:bx", &self.tokens[index].0, account).await;
        if let Ok(answer) = &answer {
            self.tokens[index].1.get_or_insert(self.now);
            self.keep(answer);
        }
        assert_eq!(name(answer), expected);
    }

    async fn take(&mut self, step: Step) {
        match step {
            Step::Later(seconds) => {
                self.lab.later(seconds);
                self.now += seconds;
            }
            Step::Newest => self.refresh(self.tokens.len() - 1, "").await,
            Step::Older(index) => self.refresh(index.index(self.tokens.len()), "").await,
            Step::Switch(index, second) => {
                let account = self.accounts[usize::from(second)].clone();
                self.refresh(index.index(self.tokens.len()), &account).await;
            }
            Step::Ask(index) => {
                let index = index.index(self.tokens.len());
                let expected = self.expected(index);
                let answer = self.lab.passcode("bx:bx", &self.tokens[index].0).await;
                if let Ok(passcode) = &answer {
                    self.passcodes.push((passcode.clone(), self.now + PASSCODE_SECONDS));
                }
                assert_eq!(name(answer), expected);
            }
            Step::LogIn(_) if self.passcodes.is_empty() => {}
            Step::LogIn(index) => {
                let (passcode, ends) = self.passcodes.swap_remove(index.index(self.passcodes.len()));
                let answer = self.lab.ask("bx:bx", &[("grant_type", PASSCODE), ("passcode", &passcode)]).await;
                if let Ok(answer) = &answer {
                    self.keep(answer);
                }
                assert_eq!(name(answer), if self.dead || self.now >= ends { "WrongPasscode" } else { "ok" });
            }
        }
    }

    /// While it lives every session of it does, and with it none.
    async fn check(&self) {
        for token in &self.access_tokens {
            assert_eq!(access(&self.lab, token).await, if self.dead { "TokenForeign" } else { "ok" });
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Whatever the order, the accounts and the passcodes: a token used again after its grace kills the family, and nothing else does.
    #[test]
    fn a_family_dies_of_late_reuse_and_of_nothing_else(steps in prop::collection::vec(step(), 1..24)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut family = Family::begin().await;
            for step in steps {
                family.take(step).await;
                family.check().await;
            }
        });
    }
}
