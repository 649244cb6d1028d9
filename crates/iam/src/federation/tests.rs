use boatyard_core::{Clock, SecretString};
use boatyard_store::Store;
use jiff::SignedDuration;
use serde_json::json;

use super::*;
use crate::{BROWSER_IDLE_SECONDS, BROWSER_SESSION_SECONDS, NewAccount};

const ISSUER: &str = "https://id.example.com";

struct Home {
    iam: Iam,
    clock: Clock,
    _folder: tempfile::TempDir,
}

async fn home() -> Home {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::sqlite(folder.path()).await.unwrap();
    let clock = Clock::default();
    let iam = Iam::open(store, clock.clone(), "https://boatyard.example.com/identity".to_owned()).await.unwrap();
    Home { iam, clock, _folder: folder }
}

impl Home {
    async fn user(&self, username: &str, federated: bool) -> String {
        let password = (!federated).then(|| SecretString::from("correct horse"));
        let new =
            NewAccount { name: "A".to_owned(), username: username.to_owned(), federated, password, ..NewAccount::default() };
        self.iam.account_create(new).await.unwrap().iam_id
    }

    async fn login(&self, subject: &str, claims: Value) -> Result<String, FederationError> {
        self.iam.federated_login(&identity(subject, claims), &Naming::default()).await
    }

    fn advance(&self, seconds: i64) {
        self.clock.advance(SignedDuration::from_secs(seconds));
    }
}

fn identity(subject: &str, claims: Value) -> ProvidedIdentity {
    let Value::Object(claims) = claims else { panic!("claims are an object") };
    ProvidedIdentity { issuer: ISSUER.to_owned(), subject: subject.to_owned(), claims }
}

fn verified(email: &str) -> Value {
    json!({ "email": email, "email_verified": true })
}

#[test]
fn the_user_name_is_the_verified_address_or_a_name_that_cannot_be_mistaken_for_one() {
    let plain = Naming::default();
    let trusting = Naming { unverified_email: true, ..Naming::default() };
    let chosen = |claim: &str| Naming { claim: Some(claim.to_owned()), ..Naming::default() };
    let ok = |text: &str, proves| Ok(Name { text: text.to_owned(), proves });
    let both = json!({ "email": "a@example.com", "email_verified": true, "preferred_username": "ada" });
    let unverified = json!({ "email": "a@example.com", "email_verified": false, "preferred_username": "ada" });
    let cases = [
        (&plain, both.clone(), ok("a@example.com", true)),
        (&plain, json!({ "email": " A@Example.com ", "email_verified": "true" }), ok("a@example.com", true)),
        (&plain, unverified.clone(), Err("unverified")),
        (&plain, json!({ "email": "a@example.com" }), Err("unverified")),
        (&plain, json!({ "email": "a@example.com", "email_verified": 1 }), Err("unverified")),
        (&trusting, unverified.clone(), ok("a@example.com", true)),
        (&plain, json!({ "preferred_username": "Ada" }), ok("ada", false)),
        (&plain, json!({ "email": "", "preferred_username": "ada" }), ok("ada", false)),
        (&plain, json!({ "preferred_username": "a@example.com" }), Err("unverified")),
        (&plain, json!({ "preferred_username": "a@example.com", "email_verified": true }), Err("unverified")),
        (&chosen("preferred_username"), both, ok("ada", true)),
        (&chosen("upn"), json!({ "upn": "ada@corp.example" }), ok("ada@corp.example", true)),
        (&chosen("upn"), unverified.clone(), Err("no name")),
        (&chosen("email"), unverified, Err("unverified")),
        (&plain, json!({}), Err("no name")),
        (&plain, json!({ "email": 7 }), Err("no name")),
        (&plain, verified("a b@example.com"), Err("unusable")),
        (&plain, verified("a\u{0}@example.com"), Err("unusable")),
        (&plain, verified(&format!("{}@example.com", "a".repeat(200))), Err("unusable")),
    ];
    for (naming, claims, expected) in cases {
        let found = naming.name(claims.as_object().unwrap()).map_err(|error| match error {
            FederationError::NoName(_) => "no name",
            FederationError::Unverified(_) => "unverified",
            FederationError::UnusableName(_) => "unusable",
            _ => "another",
        });
        assert_eq!(found, expected, "{naming:?} {claims}");
    }
}

#[tokio::test]
async fn a_user_of_the_provider_is_made_once_and_known_by_subject_from_then_on() {
    let home = home().await;
    let first = home.login("s1", verified("ada@example.com")).await.unwrap();
    let renamed =
        json!({ "email": "countess@example.com", "email_verified": true, "groups": ["math"], "exp": 1, "nonce": "n" });
    assert_eq!(home.login("s1", renamed).await.unwrap(), first, "another address does not make another user");
    let mut conn = home.iam.inner.store.read().await.unwrap();
    let user = users::get(&mut conn, &first).await.unwrap().unwrap();
    assert_eq!((user.username.as_str(), user.password_hash), ("ada@example.com", None));
    let kept = rows::of_user(&mut conn, &first).await.unwrap().unwrap();
    assert_eq!(kept.claims["groups"], json!(["math"]), "claims are those of the last login");
    assert!(kept.claims.get("exp").is_none() && kept.claims.get("nonce").is_none(), "{}", kept.claims);
    drop(conn);
    let refused = home.iam.password_login("ada@example.com", &SecretString::from("guess")).await;
    assert!(matches!(refused, Err(Error::Federated { .. })), "{refused:?}");
}

#[tokio::test]
async fn a_local_user_and_another_subjects_user_are_never_taken_over() {
    let home = home().await;
    home.user("local@example.com", false).await;
    let invited = home.user("invited@example.com", true).await;
    let taken = |login: Result<String, FederationError>| matches!(login, Err(FederationError::Taken(_)));
    assert!(taken(home.login("s1", verified("local@example.com")).await), "who has a password keeps the name");
    assert!(taken(home.login("s1", verified("LOCAL@example.com")).await), "in any spelling");
    assert_eq!(home.login("s2", verified("invited@example.com")).await.unwrap(), invited, "who was invited is meant");
    assert!(taken(home.login("s3", verified("invited@example.com")).await), "an address that passed to somebody else is not");
    home.login("s4", json!({ "preferred_username": "grace" })).await.unwrap();
    assert!(taken(home.login("s5", json!({ "preferred_username": "grace" })).await));
}

#[tokio::test]
async fn a_browser_comes_back_once_in_time_and_as_itself() {
    let home = home().await;
    let (browser, other) = (Browser::new(), Browser::new());
    let refused = |taken: Result<Redirect, FederationError>| matches!(taken, Err(FederationError::NotExpected));
    let sent = home.iam.redirect_begin(&browser).await.unwrap();
    assert!(sent.verifier.len() >= 43, "as RFC 7636 asks for");
    assert!(refused(home.iam.redirect_take(&browser, "made-up").await));
    assert!(refused(home.iam.redirect_take(&other, &sent.state).await));
    let back = home.iam.redirect_take(&browser, &sent.state).await.unwrap();
    assert_eq!((back.nonce, back.verifier), (sent.nonce, sent.verifier), "and another browser's attempt has not used it up");
    assert!(refused(home.iam.redirect_take(&browser, &sent.state).await), "a second time");
    let sent = home.iam.redirect_begin(&browser).await.unwrap();
    home.advance(REDIRECT_SECONDS);
    assert!(refused(home.iam.redirect_take(&browser, &sent.state).await), "too late");
}

#[tokio::test]
async fn a_login_with_a_browser_ends_by_itself_and_by_logging_out() {
    let home = home().await;
    home.user("ada@example.com", false).await;
    let password = SecretString::from("correct horse");
    let planted = Browser::new();
    let logged_in = async |iam: &Iam, browser: &Browser| iam.browser_login_get(browser).await.unwrap().is_some();
    let browser = home.iam.browser_login(&planted, "ada@example.com", &password).await.unwrap();
    assert!(logged_in(&home.iam, &browser).await);
    assert!(!logged_in(&home.iam, &planted).await, "the cookie from before the login is worth nothing");

    for _ in 0..(BROWSER_SESSION_SECONDS / BROWSER_IDLE_SECONDS) {
        home.advance(BROWSER_IDLE_SECONDS - 60);
        assert!(logged_in(&home.iam, &browser).await, "use keeps it going");
    }
    home.advance(BROWSER_IDLE_SECONDS - 60);
    assert!(!logged_in(&home.iam, &browser).await, "but for a day at most");

    let browser = home.iam.browser_login(&browser, "ada@example.com", &password).await.unwrap();
    home.advance(BROWSER_IDLE_SECONDS);
    assert!(!logged_in(&home.iam, &browser).await, "it ends without use");
    assert!(matches!(home.iam.browser_passcode(&browser).await, Err(Error::TokenExpired)));

    let browser = home.iam.browser_login(&browser, "ada@example.com", &password).await.unwrap();
    assert_eq!(home.iam.browser_passcode(&browser).await.unwrap().len(), 10);
    home.iam.sweep().await.unwrap();
    assert!(logged_in(&home.iam, &browser).await, "sweeping leaves who is logged in");
    home.iam.browser_logout(&browser).await.unwrap();
    assert!(!logged_in(&home.iam, &browser).await);
}
