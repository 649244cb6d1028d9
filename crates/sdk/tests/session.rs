//! A login lives on by itself, and several commands at once do not get in each other's way.

mod common;

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use boatyard_core::Clock;
use boatyard_sdk::{Account, Endpoint, Error, Home, LoginOptions, Session, accounts};
use common::{Request, Server};
use secrecy::ExposeSecret as _;
use serde_json::json;

const NO_ACCOUNTS: &str = r#"{"next_url":null,"total_results":0,"resources":[]}"#;

fn tokens(access: &str, refresh: &str) -> String {
    json!({"access_token": access, "refresh_token": refresh, "token_type": "Bearer", "expires_in": 3600}).to_string()
}

/// A service whose access tokens `at-1`, `at-2`, … are valid one at a time, and the number of tokens it gave out.
async fn service() -> (Server, Arc<AtomicUsize>) {
    let given = Arc::new(AtomicUsize::new(0));
    let counter = given.clone();
    let server = Server::start(move |request: &Request| match request.line.as_str() {
        "POST /identity/token" if request.text.contains("refresh_token=expired") => {
            (400, r#"{"errorCode":"BXNIM0408E","errorMessage":"Provided refresh token is expired"}"#.to_owned())
        }
        "POST /identity/token" => {
            let n = counter.fetch_add(1, Ordering::SeqCst) + 1;
            (200, tokens(&format!("at-{n}"), &format!("rt-{n}")))
        }
        "POST /identity/revoke" => (200, String::new()),
        _ if request.text.contains(&format!("Bearer at-{}\r\n", counter.load(Ordering::SeqCst))) => {
            (200, NO_ACCOUNTS.to_owned())
        }
        _ => (401, r#"{"errorCode":"BXNIM0407E","errorMessage":"Token is invalid"}"#.to_owned()),
    })
    .await;
    (server, given)
}

/// A login whose access token `old` has `seconds` left.
fn kept(dir: &Path, endpoint: &str, refresh: &str, seconds: i64) -> Home {
    let home = Home::at(dir);
    let expires = Clock::default().now().as_second() + seconds;
    let tokens = json!({"access": "old", "refresh": refresh, "expires": expires, "life": 3600});
    let state = json!({"endpoint": endpoint, "user": "ada", "tokens": tokens});
    fs::write(home.config_file(), state.to_string()).expect("it can be written");
    home
}

fn session(home: &Home) -> Session {
    Session::load_from(home.clone(), Clock::default()).expect("there is a login")
}

async fn list(session: &Session) -> Result<accounts::types::AccountList, Error> {
    session.call(async |client: &accounts::Client| client.list_accounts(None, None).await).await
}

#[tokio::test]
async fn commands_at_the_same_time_refresh_once() {
    let cases = [("about to expire", 30), ("expired", -5), ("refused by the server", 3000)];
    for (case, seconds) in cases {
        let (server, given) = service().await;
        let dir = tempfile::tempdir().expect("a temporary directory");
        let home = kept(dir.path(), &server.url(), "rt-0", seconds);
        // One session for each command: they share nothing but the file, as processes do.
        let commands = (0..8).map(|_| {
            let session = session(&home);
            tokio::spawn(async move { list(&session).await.map(|_| ()) })
        });
        for command in commands.collect::<Vec<_>>() {
            command.await.expect("no panic").unwrap_or_else(|e| panic!("{case}: {e}"));
        }
        assert_eq!(given.load(Ordering::SeqCst), 1, "{case}");
        let token = session(&home).access_token().await.expect("it is fresh");
        assert_eq!(token.expose_secret(), "at-1", "{case}");
    }
}

#[tokio::test]
async fn tokens_with_life_left_are_used_as_they_are() {
    let (server, given) = service().await;
    let dir = tempfile::tempdir().expect("a temporary directory");
    let home = kept(dir.path(), &server.url(), "rt-0", 3000);
    assert_eq!(session(&home).access_token().await.expect("it is good").expose_secret(), "old");
    assert_eq!((given.load(Ordering::SeqCst), server.requests.load(Ordering::SeqCst)), (0, 0));
}

#[tokio::test]
async fn a_refusal_after_the_refresh_is_final() {
    let server = Server::start(|request| match request.line.as_str() {
        "POST /identity/token" => (200, tokens("new", "rt")),
        _ => (401, r#"{"errorCode":"BXNIM0407E","errorMessage":"Token is invalid"}"#.to_owned()),
    })
    .await;
    let dir = tempfile::tempdir().expect("a temporary directory");
    let error = list(&session(&kept(dir.path(), &server.url(), "rt-0", 3000))).await.expect_err("it is refused");
    assert_eq!(error.to_string(), "Token is invalid (BXNIM0407E, HTTP 401)");
    assert_eq!(error.hint().as_deref(), Some("Log in again with `boatyard login`."));
    assert_eq!(server.requests.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn an_expired_refresh_token_ends_the_login_unless_the_key_was_kept() {
    let (server, _) = service().await;
    let dir = tempfile::tempdir().expect("a temporary directory");
    let home = kept(dir.path(), &server.url(), "expired", -5);
    let error = list(&session(&home)).await.expect_err("it has ended");
    assert!(matches!(error, Error::SessionEnded { .. }), "{error:?}");
    assert!(error.to_string().contains("refresh token is expired"), "{error}");

    let mut state: serde_json::Value = serde_json::from_slice(&fs::read(home.config_file()).unwrap()).unwrap();
    state["apikey"] = "kept-key".into();
    fs::write(home.config_file(), state.to_string()).expect("it can be written");
    list(&session(&home)).await.expect("the key logs in again");
}

#[tokio::test]
async fn logging_out_in_another_terminal_is_noticed() {
    let (server, given) = service().await;
    let dir = tempfile::tempdir().expect("a temporary directory");
    let home = kept(dir.path(), &server.url(), "rt-0", 3000);
    let running = session(&home);
    assert!(Session::logout(&home).await.expect("the file can be written"), "the server was told");
    let error = list(&running).await.expect_err("it is logged out");
    assert!(matches!(error, Error::LoginChanged), "{error:?}");
    assert_eq!(given.load(Ordering::SeqCst), 0);
    assert!(matches!(Session::load_from(home.clone(), Clock::default()), Err(Error::NotLoggedIn)));
    let remembered = Session::remembered(&home).expect("it is readable").expect("the endpoint stays");
    assert_eq!(remembered.endpoint, server.url());
}

#[cfg(unix)]
#[tokio::test]
async fn the_login_is_for_its_owner_only() {
    use std::os::unix::fs::PermissionsExt as _;

    let (server, _) = service().await;
    let dir = tempfile::tempdir().expect("a temporary directory");
    let home = Home::at(dir.path().join("deep/boatyard"));
    let endpoint = Endpoint::new(&server.url(), None).expect("it is an address");
    let session =
        Session::login_apikey(home.clone(), Clock::default(), endpoint, "the-key".to_owned().into(), LoginOptions::default())
            .await
            .expect("the key is right");
    let account = Account { id: "ab".repeat(16), name: Some("Ada".to_owned()) };
    session.select_account(account.clone()).await.expect("the service agrees");

    let mode = |path: &Path| fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
    assert_eq!((mode(home.dir()), mode(&home.config_file())), (0o700, 0o600));
    let text = fs::read_to_string(home.config_file()).expect("it is readable");
    assert!(text.contains("at-2") && !text.contains("the-key"), "the key is not kept unless asked");
    assert_eq!(session.state().account, Some(account));
    assert!(!format!("{:?}", session.state()).contains("at-2"), "no secret is printed");
    let names: Vec<_> = fs::read_dir(home.dir()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(names.len(), 2, "no temporary file is left: {names:?}");
}

#[tokio::test]
async fn says_what_to_do_when_there_is_no_server() {
    let free = Server::start(|_| (200, String::new())).await.address;
    let dir = tempfile::tempdir().expect("a temporary directory");
    // Port 1 is reserved and not served anywhere these tests run.
    let home = kept(dir.path(), "http://127.0.0.1:1", "rt-0", 3000);
    let error = list(&session(&home)).await.expect_err("nobody is there");
    assert!(matches!(error, Error::Unreachable { .. }) && error.is_passing(), "{error:?}");
    assert!(error.hint().unwrap_or_default().contains("Is `boatyard serve` running at http://127.0.0.1:1?"), "{error:?}");

    let home = kept(dir.path(), &format!("http://{free}"), "rt-0", 3000);
    let error = list(&session(&home)).await.expect_err("that is no account list");
    assert!(matches!(error, Error::Unintelligible { .. }), "{error:?}");
}
