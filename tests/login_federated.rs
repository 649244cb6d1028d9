//! Logging in through an OpenID Connect provider: the npm package `oidc-provider`, in a real browser.

use crate::harness::boatyard::Shell;
use crate::harness::browser::Browser;
use crate::harness::http::{array, text};
use crate::harness::identity_provider::IdentityProvider;
use crate::harness::{BX, PASSCODE, PASSWORD, Request, Server, jwt, wait};
use crate::login_local::{Visitor, command_line, run};

fn started() -> (IdentityProvider, Server) {
    let mut provider = IdentityProvider::start();
    let server = provider.server().start();
    provider.register(&server);
    (provider, server)
}

/// Continues with the provider and logs in there.
fn log_in(browser: &Browser, server: &Server, name: &str) {
    browser.open(&format!("{}/identity/passcode", server.endpoint));
    browser.click("a.button");
    browser.fill("input[name=login]", name);
    browser.fill("input[name=password]", "any");
    browser.click("button[type=submit]");
    // What the server asks to know.
    browser.wait_text("ul");
    browser.click("button[type=submit]");
}

#[test]
fn a_federated_user_gets_a_passcode_and_logs_the_command_line_in() {
    let mut provider = IdentityProvider::start();
    let server = provider.server().start();
    let browser = Browser::start();
    browser.open(&format!("{}/identity/passcode", server.endpoint));
    browser.screenshot("login-federated-light");
    let label = provider.issuer.strip_prefix("https://").unwrap().to_owned();
    assert_eq!(browser.wait_text("a.button"), format!("Continue with {label}"));
    browser.click("a.button");
    assert_eq!(browser.wait_text("h1"), format!("{label} does not answer"), "the server has started without the provider");
    browser.screenshot("provider-down-light");

    provider.register(&server);
    log_in(&browser, &server, "ada");
    let passcode = browser.wait_text("#passcode");
    assert_eq!(browser.url(), format!("{}/identity/passcode", server.endpoint));
    assert_eq!(browser.wait_text("#user"), "ada@example.com");
    assert!(browser.wait_text("#no-account").contains("invite ada@example.com"), "{}", browser.text());
    browser.screenshot("passcode-no-account-light");
    let shell = Shell::new();
    let said = run(&shell, &server, &command_line(&browser));
    assert!(said.contains("no account"), "{said}");
    server.grant(Some(BX), &[("grant_type", PASSCODE), ("passcode", &passcode)]).expect(400);

    let fields = [("grant_type", PASSWORD), ("username", "ada@example.com"), ("password", "any")];
    assert_eq!(text(&server.grant(Some(BX), &fields).json(400), "/errorCode"), "BXNIM0608E");
    let visitor = Visitor::new(&server);
    let fields = [("token", visitor.token.as_str()), ("username", "ada@example.com"), ("password", "any")];
    let page = server.send(visitor.with(Request::post("/identity/login")).form(&fields));
    assert!(page.expect(400).text().contains(&format!("Continue with {label}")), "{}", page.text());

    browser.click("form.who button");
    assert!(browser.wait_text("[role=status]").contains(&format!("still be logged in at {label}")), "{}", browser.text());
    browser.click("a.button");
    let again = browser.wait_text("#passcode");
    let subject = |code: &str| {
        let tokens = server.grant(Some(BX), &[("grant_type", PASSCODE), ("passcode", code)]).json(200);
        text(&jwt::claims(text(&tokens, "/access_token")), "/iam_id").to_owned()
    };
    let first = subject(&again);
    browser.click("form[action='/identity/passcode/new'] button");
    assert_eq!(subject(&browser.wait_text("#passcode")), first, "the user of the second login is that of the first");
}

#[test]
fn an_invited_user_finds_their_account_and_nobody_becomes_a_local_user() {
    let (_provider, server) = started();
    let invited = server.federated_account("invited");
    let browser = Browser::start();
    log_in(&browser, &server, "invited");
    let line = command_line(&browser);
    assert!(browser.find_text("#no-account").is_none(), "{}", browser.text());
    let shell = Shell::new();
    run(&shell, &server, &line);
    assert_eq!(text(&shell.json(["target", "--output", "json"]), "/account/guid"), invited.account_id);

    server.account("local");
    let browser = Browser::dark();
    log_in(&browser, &server, "local");
    assert_eq!(browser.wait_text("h1"), "Your user name is taken");
    browser.screenshot("taken-dark");
    browser.open(&format!("{}/identity/passcode", server.endpoint));
    assert!(browser.url().ends_with("/identity/login"), "nobody is logged in");

    let browser = Browser::start();
    log_in(&browser, &server, "unverified");
    assert_eq!(browser.wait_text("h1"), "Your e-mail address is not verified");

    let cases = [("invited", "success"), ("local", "failure"), ("unverified", "failure")];
    for (name, outcome) in cases {
        let query = format!("action=iam-identity.user.login&outcome={outcome}&initiator={name}@example.com");
        wait::until(&query, wait::PATIENCE, || {
            let page = server.administrate(Request::get(format!("/_boatyard/audit?{query}"))).json(200);
            if array(&page["events"]).len() == 1 { Ok(()) } else { Err(page.to_string()) }
        });
    }
}

#[test]
fn a_login_that_the_person_calls_off_says_so() {
    let (provider, server) = started();
    let browser = Browser::start();
    browser.open(&format!("{}/identity/login", server.endpoint));
    browser.click("a.button");
    browser.click("a[href$='/abort']");
    let label = provider.issuer.strip_prefix("https://").unwrap();
    assert_eq!(browser.wait_text("h1"), format!("{label} did not log you in"));
    browser.screenshot("denied-light");
    browser.click("a.button");
    browser.wait_text("#username");
}

/// Where a browser is sent, and the state that goes with it.
fn sent(server: &Server, visitor: &Visitor) -> (String, String) {
    let answer = server.send(visitor.with(Request::get("/identity/login/provider")));
    let location = answer.expect(303).header("location").unwrap().to_owned();
    let state = location.split(['?', '&']).find_map(|pair| pair.strip_prefix("state=")).unwrap().to_owned();
    (location, state)
}

#[test]
fn whoever_comes_back_must_have_been_sent_and_comes_back_once() {
    let (provider, server) = started();
    let (visitor, other) = (Visitor::new(&server), Visitor::new(&server));
    let (location, state) = sent(&server, &visitor);
    assert!(location.starts_with(&format!("{}/auth?", provider.issuer)), "{location}");
    for part in ["response_type=code", "code_challenge_method=S256", "code_challenge=", "nonce=", "scope=openid+email+profile"]
    {
        assert!(location.contains(part), "{part}: {location}");
    }
    assert_ne!(sent(&server, &visitor).1, state, "every redirect has a state of its own");

    let back = |visitor: &Visitor, query: &str| server.send(visitor.with(Request::get(format!("/identity/callback?{query}"))));
    let unexpected = |visitor: &Visitor, query: &str| {
        let answer = back(visitor, query);
        assert!(answer.expect(400).text().contains("The login was not expected"), "{query}: {}", answer.text());
    };
    unexpected(&visitor, "code=x");
    unexpected(&visitor, "code=x&state=made-up");
    unexpected(&visitor, "error=access_denied");
    unexpected(&other, &format!("code=x&state={state}"));
    let answer = server.send(Request::get(format!("/identity/callback?code=x&state={state}")));
    assert!(answer.expect(400).text().contains("was not expected"), "a browser without its cookie");

    let answer = back(&visitor, &format!("error=access_denied&error_description=%3Cb%3Eno&state={state}"));
    let page = answer.expect(403).text();
    assert!(page.contains("It says: &#60;b&#62;no"), "{page}");
    unexpected(&visitor, &format!("code=x&state={state}"));

    let cases = [
        ("code=made-up", "The login took too long"),
        ("code=x&iss=https://evil.example", "is not acceptable"),
        ("", "is not acceptable"),
        ("error=temporarily_unavailable", "did not log you in"),
    ];
    for (query, expected) in cases {
        let (_, state) = sent(&server, &visitor);
        let answer = back(&visitor, &format!("{query}&state={state}"));
        assert!(answer.expect(502).text().contains(expected), "{query}: {}", answer.text());
    }
    let (_, state) = sent(&server, &visitor);
    server.advance_clock(600);
    unexpected(&visitor, &format!("code=x&state={state}"));
}

#[test]
fn a_provider_that_does_not_know_the_server_is_told_from_one_that_is_down() {
    let mut provider = IdentityProvider::start();
    let server = provider.server().start();
    provider.register_as(&server, "another-secret");
    let visitor = Visitor::new(&server);
    let (_, state) = sent(&server, &visitor);
    let answer = server.send(visitor.with(Request::get(format!("/identity/callback?code=x&state={state}"))));
    assert!(answer.expect(502).text().contains("is not set up right"), "{}", answer.text());
    drop(provider);
    let (_, state) = sent(&server, &visitor);
    let answer = server.send(visitor.with(Request::get(format!("/identity/callback?code=x&state={state}"))));
    assert!(answer.expect(502).text().contains("does not answer"), "{}", answer.text());
}
