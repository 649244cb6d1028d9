//! Logging in with a browser and a password, up to the command line.

use serde_json::json;

use crate::harness::boatyard::Shell;
use crate::harness::browser::Browser;
use crate::harness::http::text;
use crate::harness::{Answer, BX, PASSCODE, Request, Server, User, shared};

/// The line that the page shows, as the words after `boatyard`.
pub fn command_line(browser: &Browser) -> Vec<String> {
    let line = browser.wait_text("#command");
    let words = line.strip_prefix("boatyard ").unwrap_or_else(|| panic!("{line}"));
    words.split(' ').map(str::to_owned).collect()
}

/// Runs the line that a page shows, with the authority that this computer does not trust.
#[track_caller]
pub fn run(shell: &Shell, server: &Server, line: &[String]) -> String {
    let ca_file = ["--ca-file", server.ca_file.to_str().unwrap()].map(str::to_owned);
    shell.ok(line.iter().chain(&ca_file))
}

#[test]
fn a_passcode_of_the_page_logs_the_command_line_in() {
    let server = Server::start();
    let user = server.account("browser-local");
    let browser = Browser::start();
    browser.open(&format!("{}/identity/passcode", server.endpoint));
    assert_eq!(browser.url(), format!("{}/identity/login", server.endpoint));
    browser.screenshot("login-light");
    assert!(browser.find_text(".button").is_none(), "there is no provider to continue with");
    let rounded = browser.evaluate("getComputedStyle(document.querySelector('main')).borderRadius");
    assert_eq!(rounded, "8px", "the page's own style sheet is allowed by its policy");

    browser.fill("#username", &user.username);
    browser.fill("#password", "wrong <b>");
    browser.click("form button");
    assert!(browser.wait_text("#error").contains("Check the user name and the password"), "{}", browser.text());
    assert_eq!(browser.evaluate("document.activeElement.id"), "error", "the focus is on what is wrong");
    assert_eq!(browser.evaluate("document.querySelector('#username').value"), *user.username, "what was typed is kept");
    assert_eq!(browser.evaluate("document.querySelector('#password').value"), "", "but never the password");
    browser.screenshot("login-wrong-light");

    browser.fill("#password", user.password.as_deref().unwrap());
    browser.click("form button");
    let passcode = browser.wait_text("#passcode");
    assert_eq!(browser.url(), format!("{}/identity/passcode", server.endpoint));
    let line = command_line(&browser);
    assert_eq!(line, ["login", "-a", &server.endpoint, "--sso", "--passcode", &passcode]);
    assert!(browser.find_text("#no-account").is_none(), "the user has an account");
    browser.screenshot("passcode-light");

    let cookies = browser.cookies();
    let [cookie] = &cookies[..] else { panic!("the one with the passcode is gone: {cookies:?}") };
    assert_eq!(cookie.name(), "__Host-boatyard");
    assert_eq!((cookie.http_only(), cookie.secure(), cookie.path()), (Some(true), Some(true), Some("/")));
    assert_eq!(cookie.same_site().map(|s| s.to_string()).as_deref(), Some("Lax"));
    browser.reload();
    assert!(browser.find_text("#passcode").is_none(), "another look shows none: {}", browser.text());

    let shell = Shell::new();
    run(&shell, &server, &line);
    assert_eq!(text(&shell.json(["target", "--output", "json"]), "/account/guid"), user.account_id);
    assert_eq!(shell.json(["cluster", "ls", "--output", "json"]), json!([]));
    let again = server.grant(Some(BX), &[("grant_type", PASSCODE), ("passcode", &passcode)]);
    assert_eq!(text(&again.json(400), "/errorCode"), "BXNIM0421E", "it is good once");

    browser.click("form[action='/identity/passcode/new'] button");
    let another = browser.wait_text("#passcode");
    assert_ne!(another, passcode);
    server.grant(Some(BX), &[("grant_type", PASSCODE), ("passcode", &another)]).expect(200);

    browser.click("form.who button");
    assert!(browser.wait_text("[role=status]").contains("You are logged out"), "{}", browser.text());
    browser.open(&format!("{}/identity/passcode", server.endpoint));
    assert!(browser.url().ends_with("/identity/login"), "{}", browser.url());
    let kept =
        server.send(Request::get("/identity/passcode").header("Cookie", &format!("{}={}", cookie.name(), cookie.value())));
    assert_eq!(kept.header("location"), Some("/identity/login"), "the cookie of that login is worth nothing any more");
}

#[test]
fn pages_are_dark_for_who_prefers_that_and_can_be_used_by_who_cannot_see_them() {
    let server = shared();
    let user = server.account("browser-dark");
    let browser = Browser::dark();
    browser.open(&format!("{}/identity/login", server.endpoint));
    assert_eq!(browser.evaluate("matchMedia('(prefers-color-scheme: dark)').matches"), true);
    let shown = "getComputedStyle(document.body).backgroundColor";
    assert_eq!(browser.evaluate(shown), "rgb(22, 22, 22)");
    assert_eq!(browser.evaluate("document.documentElement.lang"), "en");
    let unlabelled = "[...document.querySelectorAll('input:not([type=hidden])')].filter(i => !i.labels.length).length";
    assert_eq!(browser.evaluate(unlabelled), 0);
    assert_eq!(browser.evaluate("document.querySelectorAll('main h1').length"), 1);
    browser.screenshot("login-dark");
    browser.fill("#username", &user.username);
    browser.fill("#password", "wrong");
    browser.click("form button");
    browser.wait_text("[role=alert]");
    assert!(browser.evaluate("document.title").as_str().unwrap().starts_with("Error: "));
    browser.screenshot("login-wrong-dark");
    browser.fill("#password", user.password.as_deref().unwrap());
    browser.click("form button");
    browser.wait_text("#passcode");
    browser.screenshot("passcode-dark");
}

/// A browser without the browser: its cookie, and the token of the forms that it is shown.
pub struct Visitor {
    pub cookie: String,
    pub token: String,
}

/// The value of the cookie that an answer sets.
pub fn cookie_of(answer: &Answer) -> String {
    let set = answer.headers.get_all("set-cookie").iter().map(|v| v.to_str().unwrap());
    let found = set.filter_map(|v| v.strip_prefix("__Host-boatyard=")).next();
    found.unwrap_or_else(|| panic!("{}: no cookie: {:?}", answer.of, answer.headers)).split(';').next().unwrap().to_owned()
}

impl Visitor {
    /// Somebody who looks at the login page.
    pub fn new(server: &Server) -> Self {
        let answer = server.send(Request::get("/identity/login"));
        let cookie = cookie_of(answer.expect(200));
        Self { token: token_of(&answer), cookie }
    }

    /// Somebody who has logged in.
    pub fn logged_in(server: &Server, user: &User) -> Self {
        let visitor = Self::new(server);
        let cookie = cookie_of(visitor.log_in(server, user).expect(303));
        let page = server.send(Request::get("/identity/passcode").header("Cookie", &format!("__Host-boatyard={cookie}")));
        Self { token: token_of(page.expect(200)), cookie }
    }

    pub fn log_in(&self, server: &Server, user: &User) -> Answer {
        let password = user.password.as_deref().unwrap();
        let fields = [("token", self.token.as_str()), ("username", &user.username), ("password", password)];
        server.send(self.with(Request::post("/identity/login")).form(&fields))
    }

    pub fn with(&self, request: Request) -> Request {
        request.header("Cookie", &format!("other=1; __Host-boatyard={}", self.cookie))
    }
}

fn token_of(page: &Answer) -> String {
    let page = page.text();
    let found = page.split_once("name=\"token\" value=\"").and_then(|(_, rest)| rest.split_once('"'));
    found.unwrap_or_else(|| panic!("no form: {page}")).0.to_owned()
}

#[test]
fn a_form_is_taken_only_from_the_page_and_the_browser_it_was_made_for() {
    let server = shared();
    let user = server.account("browser-csrf");
    let (victim, attacker) = (Visitor::logged_in(&server, &user), Visitor::new(&server));
    assert_ne!(victim.token, attacker.token);
    let own = victim.token.as_str();
    type Case<'a> = (&'a str, &'a str, &'a [(&'a str, &'a str)], u16);
    let cases: [Case<'_>; 12] = [
        ("without a token", "", &[], 403),
        ("with a made-up token", "x", &[], 403),
        ("with another browser's token", &attacker.token, &[], 403),
        ("from another site", own, &[("Sec-Fetch-Site", "cross-site")], 403),
        ("from a neighbour", own, &[("Sec-Fetch-Site", "same-site")], 403),
        ("from another origin", own, &[("Origin", "https://evil.example")], 403),
        ("from another port", own, &[("Origin", "https://127.0.0.1:1")], 403),
        ("from an origin that is kept secret", own, &[("Origin", "null")], 403),
        (
            "from another origin that claims to be the same site",
            own,
            &[("Sec-Fetch-Site", "same-origin"), ("Origin", "https://evil.example")],
            403,
        ),
        ("from this origin", own, &[("Sec-Fetch-Site", "same-origin"), ("Origin", &server.endpoint)], 303),
        ("from a browser that does not say", own, &[], 303),
        ("from here by name only", own, &[("Sec-Fetch-Site", "none")], 403),
    ];
    for (what, token, headers, status) in cases {
        let request = victim.with(Request::post("/identity/passcode/new")).form(&[("token", token)]);
        let request = headers.iter().fold(request, |request, (name, value)| request.header(name, value));
        let answer = server.send(request);
        assert_eq!(answer.status, status, "{what}: {}", answer.text());
        assert_eq!(status == 303, answer.headers.contains_key("set-cookie"), "{what}: no passcode is made for it");
    }
    for path in ["/identity/login", "/identity/logout", "/identity/passcode/new"] {
        let without_cookie = Request::post(path).form(&[("token", own)]);
        server.send(without_cookie).expect(403);
    }
    let page = server.send(victim.with(Request::get("/identity/passcode")));
    assert!(page.expect(200).text().contains(&user.username), "the attempts have not logged anybody out");
}

#[test]
fn a_login_gets_a_cookie_of_its_own_and_ends_in_time() {
    let server = Server::start();
    let user = server.account("browser-ends");
    let before = Visitor::new(&server);
    let answer = before.log_in(&server, &user);
    assert_eq!(answer.expect(303).header("location"), Some("/identity/passcode"));
    let after = Visitor { cookie: cookie_of(&answer), token: String::new() };
    assert_ne!(after.cookie, before.cookie, "a cookie that somebody planted is not logged in");
    let is_in = |visitor: &Visitor| server.send(visitor.with(Request::get("/identity/passcode"))).status == 200;
    assert!(is_in(&after) && !is_in(&before));
    for _ in 0..12 {
        server.advance_clock(2 * 3600 - 60);
        assert!(is_in(&after), "use keeps it going");
    }
    server.advance_clock(2 * 3600 - 60);
    assert!(!is_in(&after), "for a day at most");

    let idle = Visitor::logged_in(&server, &user);
    server.advance_clock(2 * 3600);
    assert!(!is_in(&idle), "and two hours without use");
    let late = server.send(idle.with(Request::post("/identity/passcode/new")).form(&[("token", &idle.token)]));
    assert_eq!(late.expect(303).header("location"), Some("/identity/login"));
}

#[test]
fn a_page_cannot_be_framed_scripted_or_kept() {
    let server = shared();
    for path in ["/identity/login", "/identity/login?logged_out", "/identity/login?x=%00"] {
        let answer = server.send(Request::get(path));
        assert!(answer.expect(200).content_type().starts_with("text/html"));
        let policy = answer.header("content-security-policy").unwrap();
        assert!(policy.starts_with("default-src 'none'; style-src 'sha256-") && !policy.contains("unsafe"), "{policy}");
        assert!(policy.contains("frame-ancestors 'none'") && policy.contains("form-action 'self'"), "{policy}");
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        assert!(!answer.text().contains("<script"), "{}", answer.text());
    }
}

#[test]
fn what_a_person_typed_is_only_text_on_the_page_and_a_bad_form_gets_a_page() {
    let server = shared();
    let visitor = Visitor::new(&server);
    type Case<'a> = (&'a [(&'a str, &'a str)], u16, &'a str);
    let cases: [Case<'_>; 5] = [
        (&[("username", "\"><script>alert(1)</script>"), ("password", "x")], 401, "&#34;&#62;&#60;script&#62;"),
        (&[("username", "nobody@example.com")], 400, "Enter your user name and your password"),
        (&[("password", "x")], 400, "Enter your user name and your password"),
        (&[("username", "a\0b"), ("password", "x")], 400, "Enter your user name and your password"),
        (&[], 400, "Enter your user name and your password"),
    ];
    for (fields, status, expected) in cases {
        let fields: Vec<_> = fields.iter().copied().chain([("token", visitor.token.as_str())]).collect();
        let answer = server.send(visitor.with(Request::post("/identity/login")).form(&fields));
        let page = answer.expect(status).text();
        assert!(page.contains(expected) && !page.contains("<script"), "{fields:?}: {page}");
    }
    let garbled = visitor.with(Request::post("/identity/login")).bytes("application/x-www-form-urlencoded", "token=%ff%fe&=&&");
    server.send(garbled).expect(403);
    let large = visitor.with(Request::post("/identity/login")).bytes("text/plain", vec![b'a'; 2 * 1024 * 1024]);
    assert!(server.send(large).expect(413).content_type().starts_with("text/html"));
    for path in ["/identity/logout", "/identity/passcode/new"] {
        assert_eq!(server.send(Request::get(path)).expect(303).header("location"), Some("/identity/passcode"));
    }
    for path in ["/identity/callback?state=x&code=y", "/identity/login/provider"] {
        assert_eq!(server.send(Request::get(path)).expect(303).header("location"), Some("/identity/login"), "no provider");
    }
}

#[test]
fn guessing_on_the_login_page_is_slowed_down_as_in_the_api() {
    let server = Server::start();
    let user = server.account("browser-guess");
    let visitor = Visitor::new(&server);
    let statuses: Vec<_> = std::thread::scope(|scope| {
        let guess = || {
            let fields = [("token", visitor.token.as_str()), ("username", &user.username), ("password", "guess")];
            server.send(visitor.with(Request::post("/identity/login")).form(&fields)).status
        };
        let threads: Vec<_> = (0..20).map(|_| scope.spawn(guess)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(statuses.iter().all(|status| [401, 429].contains(status)), "{statuses:?}");
    assert!(statuses.contains(&429), "not all of a burst are looked at: {statuses:?}");
}

#[test]
fn wrong_passwords_on_the_login_page_count_for_the_address_as_in_the_api() {
    let server = Server::start();
    let user = server.account("browser-limit");
    let visitor = Visitor::new(&server);
    let token = server.token(&server.administrator);
    let wrong_key = || server.grant(Some(BX), &[("grant_type", "urn:ibm:params:oauth:grant-type:apikey"), ("apikey", "wrong")]);
    let exhausted = || assert!((0..20_000).any(|_| wrong_key().status == 429), "there is a limit");
    exhausted();
    let refused = visitor.log_in(&server, &user);
    assert!(refused.expect(429).content_type().starts_with("text/html") && refused.header("retry-after").is_some());
    // A second gives ten attempts back. Each is a name of its own: there is a limit for each name as well.
    let clock = Request::post("/_boatyard/clock").bearer(&token).json(&json!({ "advance_seconds": 1 }));
    server.send(clock).expect(200);
    let attempts = std::sync::atomic::AtomicUsize::new(0);
    let limited = || {
        std::iter::repeat_with(|| attempts.fetch_add(1, std::sync::atomic::Ordering::Relaxed)).take_while(|n| *n < 5000).any(
            |n| {
                let name = format!("nobody-{n}@example.com");
                let fields = [("token", visitor.token.as_str()), ("username", &name), ("password", "guess")];
                let answer = server.send(visitor.with(Request::post("/identity/login")).form(&fields));
                answer.status == 429 && answer.text().contains("Too many requests")
            },
        )
    };
    let found = std::thread::scope(|scope| [(); 4].map(|()| scope.spawn(limited)).map(|thread| thread.join().unwrap()));
    assert!(found.contains(&true), "wrong passwords on the page are counted");
}

#[test]
fn pages_are_asked_for_over_https_where_the_public_url_says_so() {
    let server = shared();
    let location = |request: Request| server.send_plain(request).expect(303).header("location").unwrap().to_owned();
    for path in ["/identity/login?logged_out", "/identity/passcode", "/identity/login/provider", "/identity/callback?state=x"] {
        assert_eq!(location(Request::get(path)), format!("{}{path}", server.endpoint));
    }
    let form = Request::post("/identity/login").form(&[("username", "ada"), ("password", "x")]);
    assert_eq!(location(form), format!("{}/identity/login", server.endpoint));
    let proxied = server.send_plain(Request::get("/identity/login").header("X-Forwarded-Proto", "https"));
    assert_eq!(proxied.expect(200).header("strict-transport-security"), None, "not for a loopback address");
    // An operation of the same path is served as before.
    assert_ne!(server.send_plain(Request::post("/identity/passcode").form(&[])).status, 303);
}

#[test]
fn only_so_many_browsers_of_an_address_are_sent_to_the_identity_provider() {
    let provider = ["--oidc-issuer", "http://127.0.0.1:1", "--oidc-client-id", "boatyard"];
    let server = Server::builder().args(provider).start();
    let send = || server.send(Request::get("/identity/login/provider"));
    let refused = (0..2000).find_map(|_| Some(send()).filter(|answer| answer.status == 429)).expect("a limit");
    assert!(refused.text().contains("Too many logins were begun"), "{}", refused.text());
    assert!(refused.header("retry-after").is_some());
    server.advance_clock(60);
    assert_eq!(send().status, 502, "the provider does not answer");
}
