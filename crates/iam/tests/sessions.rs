//! What outlives an access token: refresh tokens, delegated ones, passcodes.

#![allow(clippy::unwrap_used)] // a test ends where something unexpected happens

mod support;

use boatyard_core::secret::{ExposeSecret as _, SecretString};
use boatyard_iam::Browser;
use support::*;

#[tokio::test]
async fn a_refresh_token_is_good_for_72_hours_and_then_says_that_it_expired() {
    let lab = lab().await;
    let account = lab.account("ada@example.com").await;
    let login = lab.by_key("bx:bx", &account).await;
    let token = text(&login.refresh_token);
    lab.later(72 * 3600 - 60);
    assert_eq!(name(lab.refresh("bx:bx", token, "").await), "ok");
    lab.later(60);
    assert_eq!(name(lab.refresh("bx:bx", token, "").await), "RefreshTokenExpired");
    lab.later(24 * 3600);
    lab.iam.sweep().await.unwrap();
    assert_eq!(name(lab.refresh("bx:bx", token, "").await), "RefreshTokenExpired", "it is remembered for a while");
    lab.later(7 * 24 * 3600);
    lab.iam.sweep().await.unwrap();
    assert_eq!(name(lab.refresh("bx:bx", token, "").await), "RefreshTokenInvalid", "and then forgotten");
}

#[tokio::test]
async fn programs_that_race_with_one_refresh_token_all_get_another_one_of_the_same_session() {
    let lab = lab().await;
    let account = lab.account("ada@example.com").await;
    let login = lab.by_key("bx:bx", &account).await;
    let first = lab.refresh("bx:bx", text(&login.refresh_token), "").await.unwrap();
    let second = lab.refresh("bx:bx", text(&login.refresh_token), "").await.unwrap();
    let third = lab.refresh("bx:bx", text(&first.refresh_token), "").await.unwrap();
    for answer in [&first, &second, &third] {
        assert_eq!(answer.session_id, login.session_id);
        assert_eq!(claims(&answer.access_token)["account"]["bss"], account.account_id);
    }
}

#[tokio::test]
async fn a_refresh_token_has_the_parts_of_the_services_own() {
    let lab = lab().await;
    let account = lab.account("ada@example.com").await;
    let login = lab.by_key("bx:bx", &account).await;
    let token = text(&login.refresh_token);
    assert_eq!(token.split('.').count(), 3);
    assert_eq!(part(token, 0), serde_json::json!({"alg": "rt"}));
    let payload = part(token, 1);
    assert_eq!(
        (&payload["iam_id"], &payload["account_id"]),
        (&account.iam_id.clone().into(), &account.account_id.clone().into())
    );
}

#[tokio::test]
async fn a_refresh_token_is_good_for_the_client_it_was_issued_to() {
    let lab = lab().await;
    let account = lab.account("ada@example.com").await;
    for (owner, user, expected) in [
        ("bx:bx", "bx:bx", "ok"),
        ("bx:bx", "kube:kube", "RefreshTokenOfOtherClient"),
        ("bx:bx", "cf:", "RefreshTokenOfOtherClient"),
        ("bx:bx", "", "ClientRequired"),
        ("kube:kube", "kube:kube", "ok"),
        ("kube:kube", "bx:bx", "RefreshTokenOfOtherClient"),
    ] {
        let login = lab.by_key(owner, &account).await;
        assert_eq!(name(lab.refresh(user, text(&login.refresh_token), "").await), expected, "{owner} used by {user}");
    }
    let default = lab.by_key("", &account).await;
    assert_eq!(name(lab.refresh("bx:bx", text(&default.refresh_token), "").await), "RefreshTokenInvalid");
    for garbage in ["garbage", "a.b.c", &"x".repeat(100_000)] {
        assert_eq!(name(lab.refresh("bx:bx", garbage, "").await), "RefreshTokenInvalid");
    }
}

#[tokio::test]
async fn refreshing_switches_to_accounts_of_the_user_and_to_no_others() {
    let lab = lab().await;
    let (first, second) = (lab.account("ada@example.com").await, lab.account("ada@example.com").await);
    let stranger = lab.account("eve@example.com").await;
    let by_password = lab.by_password("ada@example.com").await;
    let by_key = lab.by_key("bx:bx", &first).await;
    let cases = [
        ("password", &by_password, first.account_id.as_str(), "ok"),
        ("password", &by_password, second.account_id.as_str(), "ok"),
        ("password", &by_password, stranger.account_id.as_str(), "NotAMember"),
        ("password", &by_password, "no such account", "NotAMember"),
        ("API key", &by_key, first.account_id.as_str(), "ok"),
        ("API key", &by_key, second.account_id.as_str(), "ApiKeyOfOtherAccount"),
        ("API key", &by_key, stranger.account_id.as_str(), "ApiKeyOfOtherAccount"),
    ];
    for (login, answer, account, expected) in cases {
        let refreshed = lab.refresh("bx:bx", text(&answer.refresh_token), account).await;
        if let Ok(refreshed) = &refreshed {
            assert_eq!(claims(&refreshed.access_token)["account"]["bss"], account);
        }
        assert_eq!(name(refreshed), expected, "{login} login, {account}");
    }
}

#[tokio::test]
async fn revoking_ends_the_whole_session_and_no_other_one() {
    let lab = lab().await;
    let account = lab.account("ada@example.com").await;
    let (ended, other) = (lab.by_key("bx:bx", &account).await, lab.by_key("bx:bx", &account).await);
    let newer = lab.refresh("bx:bx", text(&ended.refresh_token), "").await.unwrap();
    let revoke = async |token: &str| lab.iam.revoke(&SecretString::from(token.to_owned())).await;
    revoke(text(&ended.refresh_token)).await.unwrap();
    for token in [&ended, &newer].map(|answer| text(&answer.refresh_token)) {
        assert_eq!(name(lab.refresh("bx:bx", token, "").await), "RefreshTokenInvalid");
    }
    assert_eq!(name(lab.refresh("bx:bx", text(&other.refresh_token), "").await), "ok");
    for token in ["unknown", text(&ended.refresh_token), text(&other.access_token)] {
        assert_eq!(name(revoke(token).await), "ok", "revoking never tells whether there was anything to revoke");
    }
}

/// A delegated token of a login as `bx`, for `receiver`.
async fn delegate(lab: &Lab, refresh_token: &str, receiver: &str) -> String {
    let fields = [
        ("grant_type", "refresh_token"),
        ("refresh_token", refresh_token),
        ("response_type", "delegated_refresh_token"),
        ("delegated_refresh_token_expiry", "600"),
        ("receiver_client_ids", receiver),
    ];
    let answer = lab.ask("bx:bx", &fields).await.unwrap();
    assert!(answer.access_token.is_none() && answer.refresh_token.is_none(), "it comes alone");
    text(&answer.delegated_refresh_token).to_owned()
}

#[tokio::test]
async fn a_delegated_token_becomes_a_refresh_token_of_its_receiver_within_its_time() {
    let lab = lab().await;
    let account = lab.account("ada@example.com").await;
    let login = lab.by_key("bx:bx", &account).await;
    let delegated = delegate(&lab, text(&login.refresh_token), "kube").await;
    let exchange =
        async |client: &str, token: &str| lab.ask(client, &[("grant_type", DELEGATED), ("refresh_token", token)]).await;
    assert_eq!(name(exchange("bx:bx", &delegated).await), "RefreshTokenOfOtherClient");
    assert_eq!(name(exchange("kube:kube", text(&login.refresh_token)).await), "RefreshTokenInvalid", "an ordinary one is none");
    assert_eq!(name(lab.refresh("kube:kube", &delegated, "").await), "RefreshTokenInvalid", "nor the other way round");

    let kube = exchange("kube:kube", &delegated).await.unwrap();
    assert!(kube.id_token.is_some());
    let refreshed = lab.refresh("kube:kube", text(&kube.refresh_token), "").await.unwrap();
    assert!(refreshed.id_token.is_some() && refreshed.access_token.is_some(), "kubectl needs both");
    assert_eq!(refreshed.session_id, login.session_id);

    lab.later(600);
    assert_eq!(name(exchange("kube:kube", &delegated).await), "RefreshTokenExpired");
    assert_eq!(name(lab.refresh("kube:kube", text(&refreshed.refresh_token), "").await), "ok", "what came of it stays good");
}

#[tokio::test]
async fn a_kubeconfig_gets_a_refresh_token_only_out_of_a_good_one_of_the_same_login() {
    let lab = lab().await;
    let (first, second) = (lab.account("ada@example.com").await, lab.account("ada@example.com").await);
    let stranger = lab.account("eve@example.com").await;
    let login = lab.by_key("bx:bx", &first).await;
    let caller = lab.iam.authenticate(text(&login.access_token)).await.unwrap();
    let of_second = lab.by_key("bx:bx", &second).await;
    let of_stranger = lab.by_key("bx:bx", &stranger).await;
    let of_kube = lab.by_key("kube:kube", &first).await;
    let cases = [
        ("of the same login", Some(text(&login.refresh_token)), true),
        ("left out", None, false),
        ("that is empty", Some(""), false),
        ("of no client", Some("not_supported"), false),
        ("of another user", Some(text(&of_stranger.refresh_token)), false),
        ("of a key of another account", Some(text(&of_second.refresh_token)), false),
        ("of kubectl", Some(text(&of_kube.refresh_token)), false),
    ];
    for (case, token, expected) in cases {
        let issued = lab.iam.kube_refresh_token(&caller, token, 0).await.unwrap();
        assert_eq!(issued.is_some(), expected, "a refresh token {case}");
        if let Some(issued) = issued {
            let refreshed = lab.refresh("kube:kube", &issued, "").await.unwrap();
            assert_eq!(claims(&refreshed.access_token)["account"]["bss"], first.account_id);
        }
    }
}

#[tokio::test]
async fn a_passcode_is_good_once_and_for_five_minutes() {
    let lab = lab().await;
    let account = lab.account("ada@example.com").await;
    let login = lab.by_key("bx:bx", &account).await;
    let redeem = async |passcode: &str| lab.ask("bx:bx", &[("grant_type", PASSCODE), ("passcode", passcode)]).await;
    let passcode = async || lab.passcode("bx:bx", text(&login.refresh_token)).await.unwrap();

    let code = passcode().await;
    assert_eq!(code.len(), 10);
    assert_eq!(claims(&redeem(&code).await.unwrap().access_token)["grant_type"], PASSCODE);
    assert_eq!(name(redeem(&code).await), "WrongPasscode", "the second time");

    let code = passcode().await;
    lab.later(300);
    assert_eq!(name(redeem(&code).await), "WrongPasscode", "too late");
    assert_eq!(name(redeem("0123456789").await), "WrongPasscode", "never issued");

    let code = passcode().await;
    let both = tokio::join!(redeem(&code), redeem(&code));
    let mut names = [name(both.0), name(both.1)];
    names.sort();
    assert_eq!(names, ["WrongPasscode", "ok"], "of two at the same time one gets it");
}

#[tokio::test]
async fn a_passcode_needs_a_client_and_its_refresh_token() {
    let lab = lab().await;
    let account = lab.account("ada@example.com").await;
    let login = lab.by_key("bx:bx", &account).await;
    let token = text(&login.refresh_token);
    assert_eq!(name(lab.passcode("", token).await), "ClientRequired");
    assert_eq!(name(lab.passcode("kube:kube", token).await), "RefreshTokenOfOtherClient");
    assert_eq!(name(lab.passcode("bx:bx", "").await), "Missing");
    assert_eq!(name(lab.passcode("bx:bx", "garbage").await), "RefreshTokenInvalid");
}

#[tokio::test]
async fn a_federated_user_has_keys_and_passcodes_but_no_password() {
    let lab = lab().await;
    let account = lab.federated("fay@example.com").await;
    assert!(account.password.is_none());
    let by_password = lab.ask("bx:bx", &[("grant_type", "password"), ("username", "fay@example.com"), ("password", "x")]).await;
    assert_eq!(name(by_password), "Federated");
    let login = lab.by_key("bx:bx", &account).await;
    let code = lab.passcode("bx:bx", text(&login.refresh_token)).await.unwrap();
    assert_eq!(name(lab.ask("bx:bx", &[("grant_type", PASSCODE), ("passcode", &code)]).await), "ok");
}

#[tokio::test]
async fn the_passcode_page_takes_the_password_and_gives_a_passcode() {
    let lab = lab().await;
    lab.account("ada@example.com").await;
    let sign_in = async |username: &str, password: &str| {
        let browser = lab.iam.browser_login(&Browser::new(), username, &SecretString::from(password.to_owned())).await?;
        lab.iam.browser_passcode(&browser).await
    };
    assert_eq!(name(sign_in("ada@example.com", "wrong").await), "WrongPassword");
    let code = sign_in(" Ada@Example.com ", PASSWORD).await.unwrap();
    assert_eq!(name(lab.ask("bx:bx", &[("grant_type", PASSCODE), ("passcode", &code)]).await), "ok");
}

#[tokio::test]
async fn a_wrong_password_and_an_unknown_user_are_refused_alike() {
    let lab = lab().await;
    lab.account("ada@example.com").await;
    for (username, password) in
        [("ada@example.com", "wrong"), ("nobody@example.com", PASSWORD), ("ada@example.com' --", PASSWORD)]
    {
        let fields = [("grant_type", "password"), ("username", username), ("password", password)];
        assert_eq!(name(lab.ask("bx:bx", &fields).await), "WrongPassword", "{username}");
    }
}

#[tokio::test]
async fn a_password_login_can_name_the_account_at_once() {
    let lab = lab().await;
    let account = lab.account("ada@example.com").await;
    let stranger = lab.account("eve@example.com").await;
    for (wanted, expected) in [(&account.account_id, "ok"), (&stranger.account_id, "NotAMember")] {
        let fields = [("grant_type", "password"), ("username", "ada@example.com"), ("password", PASSWORD), ("account", wanted)];
        let answer = lab.ask("bx:bx", &fields).await;
        assert_eq!(name(answer), expected);
    }
    assert_eq!(account.password.as_ref().map(|p| p.expose_secret()), Some(PASSWORD));
}
