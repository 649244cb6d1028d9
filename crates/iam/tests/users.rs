//! Who sees whom in an account, and that tables of removal hold on the database itself.
#![allow(clippy::unwrap_used)]

mod support;

use boatyard_core::secret::ExposeSecret as _;
use boatyard_iam::{Caller, Error, Invitation, UserError, UserQuery};
use boatyard_store::{Domain, account_settings};
use support::{Lab, lab, text};

async fn caller(lab: &Lab, answer: &boatyard_iam::TokenAnswer) -> Caller {
    lab.iam.authenticate(text(&answer.access_token)).await.unwrap()
}

/// An owner's caller, the account, and a member without roles.
async fn pair(lab: &Lab) -> (Caller, String, Caller) {
    let owned = lab.account("ada@example.com").await;
    lab.account("bob@example.com").await;
    let owner = caller(lab, &lab.by_key("bx:bx", &owned).await).await;
    let invitation = Invitation { emails: vec!["bob@example.com".to_owned()], ..Invitation::default() };
    lab.iam.users_invite(&owner, &owned.account_id, &invitation).await.unwrap();
    let outside = lab.by_password("bob@example.com").await;
    lab.iam.invitation_accept(&caller(lab, &outside).await, &owned.account_id).await.unwrap();
    let inside = lab.refresh("bx:bx", text(&outside.refresh_token), &owned.account_id).await.unwrap();
    let member = caller(lab, &inside).await;
    (owner, owned.account_id, member)
}

#[tokio::test]
async fn members_see_each_other_unless_the_account_restricts_it() {
    let lab = lab().await;
    let (owner, account, member) = pair(&lab).await;
    let query = UserQuery { limit: 100, ..UserQuery::default() };
    let seen = async |caller: &Caller| lab.iam.users_list(caller, &account, &query).await.unwrap().total;
    assert_eq!((seen(&owner).await, seen(&member).await), (2, 2));
    lab.iam.user_get(&member, &account, &owner.iam_id).await.unwrap();

    let mut tx = lab.store.write(Domain::Identity).await.unwrap();
    let document = r#"{"restrict_user_list_visibility":"RESTRICTED"}"#;
    account_settings::set(&mut tx, &account, "identity", document, 0).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!((seen(&owner).await, seen(&member).await), (2, 1));
    let refused = lab.iam.user_get(&member, &account, &owner.iam_id).await;
    assert!(matches!(refused, Err(UserError::Iam(Error::Forbidden { .. }))), "{refused:?}");
    lab.iam.user_get(&member, &account, &member.iam_id).await.unwrap();
}

#[tokio::test]
async fn a_removed_user_leaves_nothing_in_the_account() {
    let lab = lab().await;
    let (owner, account, member) = pair(&lab).await;
    let iam_id = member.iam_id.clone();
    let mut tx = lab.store.write(Domain::Identity).await.unwrap();
    let key = boatyard_iam::DeclaredKey {
        name: "k".to_owned(),
        description: String::new(),
        value: "a-key-that-is-long-enough".into(),
    };
    lab.iam.api_key_declare(&mut tx, &account, &iam_id, &key).await.unwrap();
    lab.iam.access_declare(&mut tx, &account, &iam_id, &["Viewer".to_owned()], Vec::new(), &owner.iam_id).await.unwrap();
    tx.commit().await.unwrap();
    lab.iam.user_remove(&owner, &account, &iam_id).await.unwrap();

    let mut conn = lab.store.read().await.unwrap();
    assert!(boatyard_store::members::get(&mut conn, &account, &iam_id).await.unwrap().is_none());
    assert!(boatyard_store::members::policies(&mut conn, &account, &iam_id).await.unwrap().is_empty());
    assert!(boatyard_store::sessions::list(&mut conn, &iam_id, Some(&account)).await.unwrap().is_empty());
    assert!(boatyard_store::api_keys::stored(&mut conn, &account, &iam_id).await.unwrap().is_empty());
    let fields = [("grant_type", support::APIKEY), ("apikey", key.value.expose_secret())];
    assert!(matches!(lab.ask("bx:bx", &fields).await, Err(Error::ApiKeyNotFound)));
}
