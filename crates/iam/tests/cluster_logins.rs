//! Logins to OpenShift clusters: who gets a token, and what ends it.

#![allow(clippy::unwrap_used)] // a test ends where something unexpected happens

mod support;

use boatyard_core::secret::{ExposeSecret as _, SecretString};
use boatyard_iam::{
    Browser, Challenge, ClusterClient, ClusterCredential, ClusterLogin, ClusterPlace, CreatedAccount, cluster_token_name,
};
use boatyard_store::access_groups::{self, Group, Member};
use boatyard_store::clusters::{self, ClusterRow};
use boatyard_store::{Domain, oauth_tokens};
use support::*;

const CLIENT: ClusterClient<'_> = ClusterClient { id: "openshift-challenging-client", redirect_uri: "https://boat/implicit" };

/// A cluster of an account. Its ID is its name.
async fn cluster<'a>(lab: &Lab, account: &'a CreatedAccount, id: &'a str) -> ClusterPlace<'a> {
    let caller = lab.iam.authenticate(text(&lab.by_key("", account).await.access_token)).await.unwrap();
    let group = lab.iam.default_resource_group(caller.account().unwrap()).await.unwrap();
    let text = |text: &str| text.to_owned();
    let row = ClusterRow {
        id: text(id),
        account_id: account.account_id.clone(),
        name: text(id),
        provider: text("vpc-gen2"),
        region: text("us-south"),
        vpc_id: String::new(),
        pod_subnet: String::new(),
        ingress_label: String::new(),
        resource_group_id: group.id.clone(),
        resource_group_name: String::new(),
        state: text("normal"),
        state_since: 0,
        desired: text("present"),
        spec: text("{}"),
        status: text("{}"),
        created_at: 0,
        modified_at: 0,
        wake_at: None,
        revision: 1,
        worker_count: 0,
    };
    let mut tx = lab.store.write(Domain::Fleet).await.unwrap();
    clusters::insert(&mut tx, &row).await.unwrap();
    tx.commit().await.unwrap();
    ClusterPlace { cluster_id: id, account_id: &account.account_id }
}

async fn login(lab: &Lab, place: ClusterPlace<'_>, credential: ClusterCredential) -> ClusterLogin {
    lab.iam.cluster_login(place, &credential).await.unwrap()
}

fn key(account: &CreatedAccount) -> ClusterCredential {
    ClusterCredential::ApiKey(account.apikey.clone())
}

fn password(username: &str) -> ClusterCredential {
    ClusterCredential::Password { username: username.to_owned(), password: PASSWORD.into() }
}

async fn token(lab: &Lab, place: ClusterPlace<'_>, credential: ClusterCredential) -> String {
    let login = login(lab, place, credential).await;
    lab.iam.cluster_token_issue(place, &login, CLIENT).await.unwrap().expose_secret().to_owned()
}

async fn is_good(lab: &Lab, place: ClusterPlace<'_>, token: &str) -> bool {
    lab.iam.cluster_user(place, token).await.unwrap().is_some()
}

#[tokio::test]
async fn a_token_tells_whose_it_is_in_its_own_cluster_only() {
    let lab = lab().await;
    let (account, stranger) = (lab.account("Ada@example.com").await, lab.account("eve@example.com").await);
    let (one, two) = (cluster(&lab, &account, "one").await, cluster(&lab, &account, "two").await);
    let token = token(&lab, one, key(&account)).await;
    let user = lab.iam.cluster_user(one, &token).await.unwrap().unwrap();
    assert_eq!((user.name.as_str(), &user.iam_id), ("ada@example.com", &account.iam_id));
    assert_eq!(Some(user.token), cluster_token_name(&token));
    assert!(!is_good(&lab, two, &token).await);
    let foreign = ClusterPlace { account_id: &stranger.account_id, ..one };
    assert!(!is_good(&lab, foreign, &token).await, "a cluster has one account");
    for other in ["", "sha256~", &format!("{token}x"), &token.to_uppercase()] {
        assert!(!is_good(&lab, one, other).await, "{other}");
    }
}

/// A group of that name, as it could be before names were refused, of one member.
async fn group_of(lab: &Lab, account: &CreatedAccount, name: &str) {
    let text = |text: &str| text.to_owned();
    let group = Group {
        id: format!("AccessGroupId-{name}"),
        account_id: account.account_id.clone(),
        name: text(name),
        description: String::new(),
        created_at: 0,
        created_by: String::new(),
        modified_at: 0,
        modified_by: String::new(),
        revision: 1,
        rules: 0,
    };
    let member = Member {
        iam_id: account.iam_id.clone(),
        kind: text("user"),
        name: String::new(),
        email: String::new(),
        description: String::new(),
        created_at: 0,
        created_by: String::new(),
    };
    let mut tx = lab.store.write(Domain::Identity).await.unwrap();
    access_groups::insert(&mut tx, &group).await.unwrap();
    access_groups::member_add(&mut tx, &group, &member).await.unwrap();
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn however_somebody_logs_in_the_groups_are_the_same_and_none_is_one_of_the_clusters() {
    let lab = lab().await;
    let account = lab.account("ada@example.com").await;
    let place = cluster(&lab, &account, "one").await;
    for name in ["Team", "system:masters", "System:nodes"] {
        group_of(&lab, &account, name).await;
    }
    let expected = ["Team", "Public Access"];
    let token = token(&lab, place, key(&account)).await;
    assert_eq!(lab.iam.cluster_user(place, &token).await.unwrap().unwrap().groups, expected);
    let caller = lab.iam.authenticate(text(&lab.by_key("", &account).await.access_token)).await.unwrap();
    let token = lab.iam.id_token_for(&caller, 0).await.unwrap();
    assert_eq!(lab.iam.authenticate_kube(&token, &account.account_id).await.unwrap().groups, expected);
}

#[tokio::test]
async fn only_members_of_the_account_log_in() {
    let lab = lab().await;
    let (account, stranger) = (lab.account("ada@example.com").await, lab.account("eve@example.com").await);
    let federated = lab.federated("fay@example.com").await;
    let place = cluster(&lab, &account, "one").await;
    let refresh = lab.by_password("eve@example.com").await.refresh_token;
    let foreign = lab.passcode("bx:bx", text(&refresh)).await.unwrap();
    let cases = [
        (key(&account), "ok"),
        (password("ada@example.com"), "ok"),
        (key(&stranger), "ApiKeyOfOtherAccount"),
        (password("eve@example.com"), "NotAMember"),
        (ClusterCredential::Passcode(foreign.clone().into()), "NotAMember"),
        (ClusterCredential::Passcode("WRONG".into()), "WrongPasscode"),
        (ClusterCredential::ApiKey("wrong".into()), "ApiKeyNotFound"),
        (password("nobody@example.com"), "WrongPassword"),
        (password("fay@example.com"), "Federated"),
        (key(&federated), "ApiKeyOfOtherAccount"),
    ];
    for (credential, expected) in cases {
        assert_eq!(name(lab.iam.cluster_login(place, &credential).await), expected, "{credential:?}");
    }
    let elsewhere = cluster(&lab, &stranger, "hers").await;
    login(&lab, elsewhere, ClusterCredential::Passcode(foreign.into())).await;
    let browser = lab.iam.browser_login(&Browser::new(), "eve@example.com", &SecretString::from(PASSWORD)).await.unwrap();
    assert_eq!(name(lab.iam.cluster_login_of_browser(place, &browser).await), "NotAMember");
    assert_eq!(name(lab.iam.cluster_login_of_browser(elsewhere, &browser).await), "ok");
    lab.iam.browser_logout(&browser).await.unwrap();
    assert_eq!(name(lab.iam.cluster_login_of_browser(elsewhere, &browser).await), "TokenExpired");
}

#[tokio::test]
async fn a_token_ends_after_a_day_by_logout_with_its_session_and_with_its_key() {
    let lab = lab().await;
    let account = lab.account("ada@example.com").await;
    let place = cluster(&lab, &account, "one").await;
    let (of_key, other, of_session) = (
        token(&lab, place, key(&account)).await,
        token(&lab, place, key(&account)).await,
        token(&lab, place, password("ada@example.com")).await,
    );
    for token in [&of_key, &other, &of_session] {
        assert!(is_good(&lab, place, token).await);
    }
    let named = lab.iam.cluster_tokens(place, &account.iam_id).await.unwrap();
    assert_eq!(named.len(), 3);
    assert_eq!(named.iter().filter(|token| token.session_id.is_some()).count(), 1, "a key needs no session");

    let name = cluster_token_name(&other).unwrap();
    assert!(lab.iam.cluster_token_end(place, &name, Some("IBMid-somebody-else")).await.unwrap().is_none());
    assert!(is_good(&lab, place, &other).await);
    assert!(lab.iam.cluster_token_end(place, &name, Some(&account.iam_id)).await.unwrap().is_some());
    assert!(!is_good(&lab, place, &other).await);
    assert!(is_good(&lab, place, &of_key).await, "of two tokens of one key only that one has ended");

    let session = named.iter().find_map(|token| token.session_id.clone()).unwrap();
    assert!(lab.iam.session_end(&session).await.unwrap());
    assert!(!is_good(&lab, place, &of_session).await);

    lab.later(24 * 3600 - 1);
    assert!(is_good(&lab, place, &of_key).await);
    lab.later(1);
    assert!(!is_good(&lab, place, &of_key).await);
    assert!(lab.iam.cluster_tokens(place, &account.iam_id).await.unwrap().is_empty());
    lab.later(1);
    lab.iam.sweep().await.unwrap();
    let kept = oauth_tokens::list(&mut lab.store.read().await.unwrap(), "one", &account.iam_id, 0).await.unwrap();
    assert!(kept.is_empty(), "and then it is forgotten");

    let fresh = token(&lab, place, key(&account)).await;
    let mut tx = lab.store.write(Domain::Identity).await.unwrap();
    let stored = boatyard_store::api_keys::by_digest(&mut tx, boatyard_core::Digest::of(account.apikey.expose_secret())).await;
    let stored = stored.unwrap().unwrap();
    boatyard_store::api_keys::disabled_set(&mut tx, &account.account_id, &stored.id, true).await.unwrap();
    tx.commit().await.unwrap();
    assert!(!is_good(&lab, place, &fresh).await, "a key that is locked out takes its tokens along");
}

#[tokio::test]
async fn a_code_is_good_once_for_its_client_and_its_verifier_and_for_a_minute() {
    let lab = lab().await;
    let account = lab.account("ada@example.com").await;
    let (place, other) = (cluster(&lab, &account, "one").await, cluster(&lab, &account, "two").await);
    let challenge = Challenge::Plain("verifier".to_owned());
    let issue = async || {
        let login = login(&lab, place, key(&account)).await;
        lab.iam.cluster_code_issue(place, &login, CLIENT, Some(&challenge)).await.unwrap()
    };
    let take = async |place: ClusterPlace<'_>, client: &str, code: &str, uri: Option<&str>, verifier: Option<&str>| {
        name(lab.iam.cluster_code_take(place, client, code, uri, verifier).await)
    };
    let good = issue().await;
    assert_eq!(take(place, CLIENT.id, &good, Some(CLIENT.redirect_uri), Some("verifier")).await, "ok");
    assert_eq!(take(place, CLIENT.id, &good, None, Some("verifier")).await, "WrongPasscode");
    for (what, place, client, uri, verifier) in [
        ("of another cluster", other, CLIENT.id, None, Some("verifier")),
        ("of another client", place, "openshift-cli-client", None, Some("verifier")),
        ("with another address", place, CLIENT.id, Some("https://evil.example"), Some("verifier")),
        ("with another verifier", place, CLIENT.id, None, Some("wrong")),
        ("without a verifier", place, CLIENT.id, None, None),
    ] {
        assert_eq!(take(place, client, &issue().await, uri, verifier).await, "WrongPasscode", "{what}");
    }
    let late = issue().await;
    lab.later(61);
    assert_eq!(take(place, CLIENT.id, &late, None, Some("verifier")).await, "WrongPasscode");
}

#[tokio::test]
async fn tokens_go_with_their_cluster() {
    let lab = lab().await;
    let account = lab.account("ada@example.com").await;
    let place = cluster(&lab, &account, "one").await;
    token(&lab, place, key(&account)).await;
    let mut tx = lab.store.write(Domain::Fleet).await.unwrap();
    let row = clusters::find(&mut tx, &account.account_id, "one").await.unwrap().unwrap();
    clusters::delete(&mut tx, &row).await.unwrap();
    tx.commit().await.unwrap();
    assert!(lab.iam.cluster_tokens(place, &account.iam_id).await.unwrap().is_empty());
}
