//! Accounts, their owners and groups, and the administrator made at first start.

#![allow(clippy::unwrap_used)] // a test ends where something unexpected happens

mod support;

use boatyard_core::secret::{ExposeSecret as _, SecretString};
use boatyard_iam::{FirstSecrets, FirstStart, NewAccount};
use support::*;

#[tokio::test]
async fn the_first_start_makes_an_administrator_who_can_log_in_and_later_ones_find_the_same() {
    let lab = lab().await;
    let FirstStart::Created { account_id, iam_id, username, password, apikey } =
        lab.iam.administrator_ensure(None, FirstSecrets::generate()).await.unwrap()
    else {
        panic!("an empty store has no administrator");
    };
    assert_eq!((account_id.len(), apikey.expose_secret().len()), (32, 44));
    let grants = [
        vec![("grant_type", APIKEY), ("apikey", apikey.expose_secret())],
        vec![
            ("grant_type", "password"),
            ("username", &username),
            ("password", password.expose_secret()),
            ("account", &account_id),
        ],
    ];
    for grant in grants {
        let answer = lab.ask("bx:bx", &grant).await.unwrap();
        assert_eq!(claims(&answer.access_token)["account"]["bss"], account_id);
    }
    let again = lab.iam.administrator_ensure(None, FirstSecrets::generate()).await.unwrap();
    assert!(matches!(again, FirstStart::Existing { .. }));
    assert_eq!((again.account_id(), again.iam_id()), (account_id.as_str(), iam_id.as_str()));
    assert_eq!(lab.iam.default_resource_group(&account_id).await.unwrap().name, "Default");
}

#[tokio::test]
async fn a_chosen_key_works_on_an_empty_store_and_is_added_to_one_that_exists() {
    let lab = lab().await;
    let other = lab.account("ada@example.com").await;
    let ensure = async |key: &str| {
        lab.iam.administrator_ensure(Some(SecretString::from(key.to_owned())), FirstSecrets::generate()).await
    };
    assert_eq!(name(ensure("fifteen-or-less").await), "NotAcceptable", "too short to be a secret");
    assert_eq!(name(ensure("my-first-given-key").await), "ok");
    assert_eq!(name(ensure("my-second-given-key").await), "ok");
    assert_eq!(name(ensure("my-second-given-key").await), "ok");
    assert_eq!(name(ensure(other.apikey.expose_secret()).await), "NotAcceptable", "another user's");
    for key in ["my-first-given-key", "my-second-given-key"] {
        assert_eq!(name(lab.ask("", &[("grant_type", APIKEY), ("apikey", key)]).await), "ok", "{key}");
    }
}

#[tokio::test]
async fn servers_that_start_at_the_same_time_make_one_administrator() {
    let lab = lab().await;
    let key = || Some(SecretString::from("the-key-of-both-servers"));
    let (one, two) = tokio::join!(
        lab.iam.administrator_ensure(key(), FirstSecrets::generate()),
        lab.iam.administrator_ensure(key(), FirstSecrets::generate())
    );
    let (one, two) = (one.unwrap(), two.unwrap());
    assert_eq!((one.account_id(), one.iam_id()), (two.account_id(), two.iam_id()));
    let created = [&one, &two].into_iter().filter(|first| matches!(first, FirstStart::Created { .. })).count();
    assert_eq!(created, 1);
}

#[tokio::test]
async fn a_known_user_name_becomes_the_owner_of_one_more_account() {
    let lab = lab().await;
    let first = lab.account("ada@example.com").await;
    let second = lab.account(" ADA@example.com").await;
    assert_eq!(first.iam_id, second.iam_id);
    assert_ne!(first.account_id, second.account_id);
    assert!(second.password.is_none(), "the password stays as it is");
    let (one, two) = tokio::join!(lab.account("eve@example.com"), lab.account("eve@example.com"));
    assert_eq!(one.iam_id, two.iam_id, "also if both are made at the same time");
    lab.by_password("eve@example.com").await;
}

#[tokio::test]
async fn an_account_that_lacks_something_is_refused() {
    let lab = lab().await;
    let new = |name: &str, username: &str, password: Option<&str>| NewAccount {
        name: name.to_owned(),
        username: username.to_owned(),
        password: password.map(SecretString::from),
        ..NewAccount::default()
    };
    let cases = [
        (new("", "ada@example.com", None), "NotAcceptable"),
        (new("a", "ada", None), "NotAcceptable"),
        (new("a", "ada@example.com", Some("short")), "NotAcceptable"),
        (new(&"a".repeat(1000), "ada@example.com", None), "NotAcceptable"),
        (new("a", "ada@example.com", None), "ok"),
    ];
    for (new, expected) in cases {
        let printed = format!("{new:?}");
        assert_eq!(name(lab.iam.account_create(new).await), expected, "{printed}");
    }
}

#[tokio::test]
async fn a_user_sees_the_accounts_they_belong_to_page_by_page_and_no_others() {
    let lab = lab().await;
    let mut own = Vec::new();
    for _ in 0..5 {
        own.push(lab.account("ada@example.com").await.account_id);
    }
    let stranger = lab.account("eve@example.com").await;
    let login = lab.by_password("ada@example.com").await;
    let caller = lab.iam.authenticate(text(&login.access_token)).await.unwrap();

    let whole = lab.iam.accounts_list(&caller, None, None).await.unwrap();
    assert_eq!((whole.total, whole.next), (5, None));
    let (mut seen, mut start) = (Vec::new(), None::<String>);
    loop {
        let page = lab.iam.accounts_list(&caller, Some(2), start.as_deref()).await.unwrap();
        assert_eq!(page.total, 5, "the total is of all pages");
        seen.extend(page.accounts.into_iter().map(|membership| membership.account.id));
        start = page.next;
        if start.is_none() {
            break;
        }
    }
    assert_eq!(seen.len(), 5);
    own.sort();
    seen.sort();
    assert_eq!(seen, own);

    assert_eq!(name(lab.iam.accounts_list(&caller, None, Some("nonsense")).await), "Invalid");
    assert_eq!(name(lab.iam.account_get(&caller, &own[0]).await), "ok");
    for account in [stranger.account_id.as_str(), "no such account"] {
        assert_eq!(name(lab.iam.account_get(&caller, account).await), "AccountNotFound");
    }
}

#[tokio::test]
async fn a_resource_group_is_found_by_id_or_name_within_its_account() {
    let lab = lab().await;
    let (account, other) = (lab.account("ada@example.com").await, lab.account("eve@example.com").await);
    let group = lab.iam.default_resource_group(&account.account_id).await.unwrap();
    for (wanted, expected) in [(group.id.as_str(), true), ("Default", true), ("default", true), ("nothing", false), ("", false)]
    {
        let found = lab.iam.resource_group_find(&account.account_id, wanted).await.unwrap();
        assert_eq!(found.map(|found| found.id), expected.then(|| group.id.clone()), "{wanted:?}");
    }
    assert_eq!(lab.iam.resource_group_find(&other.account_id, &group.id).await.unwrap(), None, "not in another's");
    assert_eq!(name(lab.iam.default_resource_group("no such account").await), "AccountNotFound");
}
