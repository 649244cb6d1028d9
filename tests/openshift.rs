//! Logging in to OpenShift clusters: as IBM documents it for curl, as `oc` and bluemix-go do it, and with a browser.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::harness::Account;
use crate::harness::boatyard::Shell;
use crate::harness::browser::Browser;
use crate::harness::clients::{go, run, tool};
use crate::harness::http::{array, escape, text};
use crate::harness::{Answer, Request, Server, User, shared};
use crate::login_local::Visitor;

const CHALLENGING: &str = "openshift-challenging-client";
const VERIFIER: &str = "a-verifier-that-only-this-test-knows-0123456789";

/// An OpenShift cluster of a user's own account, whose master is ready.
#[track_caller]
fn cluster(server: &Server, user: &User, name: &str) -> String {
    let token = server.token(user);
    let mut order = server.vpc_order(&token, name);
    order["kubeVersion"] = json!("4.21_openshift");
    order["cosInstanceCRN"] = json!("crn:v1:bluemix:public:cloud-object-storage:global:a/1:2::");
    order["workerPool"]["workerCount"] = json!(2);
    let created = server.send(Request::post("/global/v2/vpc/createCluster").bearer(&token).json(&order)).json(201);
    server.normal(&token, name);
    text(&created, "/clusterID").to_owned()
}

fn path(cluster: &str, rest: &str) -> String {
    format!("/kube/{cluster}{rest}")
}

fn implicit(cluster: &str) -> Request {
    Request::get(path(cluster, "/oauth/authorize?client_id=openshift-challenging-client&response_type=token"))
}

/// What stands in an address after a mark.
#[track_caller]
fn values(answer: &Answer, mark: char) -> Vec<(String, String)> {
    let location = answer.expect(302).header("location").expect("a redirect");
    let (_, values) = location.split_once(mark).unwrap_or_else(|| panic!("no {mark} in {location}"));
    let pair = |pair: &str| pair.split_once('=').map(|(n, v)| (n.to_owned(), v.replace("%3A", ":").replace('+', " ")));
    values.split('&').filter_map(pair).collect()
}

#[track_caller]
fn value(answer: &Answer, mark: char, name: &str) -> String {
    let found = values(answer, mark).into_iter().find(|(n, _)| n == name);
    found.unwrap_or_else(|| panic!("no {name} in {:?}", answer.header("location"))).1
}

/// A token for an API key.
#[track_caller]
fn token(server: &Server, cluster: &str, apikey: &str) -> String {
    value(&server.send(implicit(cluster).basic("apikey", apikey)), '#', "access_token")
}

fn whoami(server: &Server, cluster: &str, token: &str) -> Answer {
    server.send(Request::get(path(cluster, "/apis/user.openshift.io/v1/users/~")).bearer(token))
}

#[test]
fn an_api_key_is_exchanged_for_a_token_with_curl_as_documented() {
    let server = shared();
    let user = server.account("oc-curl");
    let id = cluster(&server, &user, "oc-curl");
    let ca_file = server.ca_file.to_str().unwrap();
    let curl = |arguments: &[&str]| {
        let mut curl = tool("curl", "curl");
        run(curl.args(["-sS", "--cacert", ca_file, "--noproxy", "*"]).args(arguments)).success()
    };
    let master = text(&server.cluster(&server.token(&user), &id), "/masterURL").to_owned();
    let found = curl(&["-XGET", &format!("{master}/.well-known/oauth-authorization-server")]);
    let found: Value = serde_json::from_str(&found).unwrap();
    let issuer = text(&found, "/issuer");
    assert_eq!(text(&found, "/token_endpoint"), format!("{issuer}/oauth/token"));
    assert_eq!(text(&found, "/authorization_endpoint"), format!("{issuer}/oauth/authorize"));
    assert_eq!(found["code_challenge_methods_supported"], json!(["plain", "S256"]));

    let url = format!("{issuer}/oauth/authorize?client_id=openshift-challenging-client&response_type=token");
    let headers =
        curl(&["-u", &format!("apikey:{}", user.apikey), "-H", "X-CSRF-Token: a", &url, "-D", "-", "-o", "/dev/null"]);
    assert!(headers.starts_with("HTTP/1.1 302 Found"), "{headers}");
    let location = headers.lines().find_map(|l| l.strip_prefix("location: ")).expect("a redirect").trim();
    let (page, fragment) = location.split_once('#').unwrap();
    assert_eq!(page, format!("{issuer}/oauth/token/implicit"));
    let (token, rest) = fragment.strip_prefix("access_token=").unwrap().split_once('&').unwrap();
    assert_eq!(rest, "expires_in=86400&scope=user%3Afull&token_type=Bearer");
    let random = token.strip_prefix("sha256~").expect("the form of OpenShift's tokens");
    assert_eq!(random.len(), 43);

    let me = curl(&["-H", &format!("Authorization: Bearer {token}"), &format!("{master}/apis/user.openshift.io/v1/users/~")]);
    let me: Value = serde_json::from_str(&me).unwrap();
    assert_eq!(text(&me, "/metadata/name"), format!("IAM#{}", user.username));
    assert!(text(&me, "/identities/0").starts_with("IAM:IBMid-"), "{me}");
    assert!(!server.log().contains(random) && !server.log().contains(&user.apikey), "nothing of it is in the log");
}

#[test]
fn credentials_of_every_kind_log_in_and_wrong_ones_do_not() {
    let server = shared();
    let (user, stranger) = (server.account("oc-kinds"), server.account("oc-stranger"));
    let id = cluster(&server, &user, "oc-kinds");
    let refresh = text(&server.login(&user), "/refresh_token").to_owned();
    let passcode = server.passcode(&refresh);
    let password = user.password.clone().unwrap();
    let foreign = server.passcode(text(&server.login(&stranger), "/refresh_token"));
    let cases = [
        ("an API key", "apikey", user.apikey.as_str(), 302),
        ("a passcode", "passcode", &passcode, 302),
        ("the same passcode", "passcode", &passcode, 401),
        ("a password", &user.username, &password, 302),
        ("a wrong password", &user.username, "wrong", 401),
        ("an unknown user", "nobody@example.com", "wrong", 401),
        ("a wrong API key", "apikey", "wrong", 401),
        ("an API key of another account", "apikey", &stranger.apikey, 401),
        ("a passcode of somebody who is in another account", "passcode", &foreign, 401),
        ("a password of somebody who is in another account", &stranger.username, stranger.password.as_deref().unwrap(), 401),
        ("nothing", "", "", 401),
    ];
    for (what, name, secret, status) in cases {
        let answer = server.send(implicit(&id).basic(name, secret).header("X-CSRF-Token", "1"));
        assert_eq!(answer.status, status, "{what}: {}", answer.text());
        assert_eq!(answer.header("cache-control"), Some("no-store"), "{what}");
        let challenge = (status == 401).then_some("Basic realm=\"openshift\"");
        assert_eq!(answer.header("www-authenticate"), challenge, "{what}");
    }
    let silent = server.send(implicit(&id));
    assert_eq!((silent.expect(401).header("www-authenticate"), silent.header("warning").is_some()), (None, true));
    assert!(silent.text().contains("A non-empty X-CSRF-Token header is required"), "{}", silent.text());
}

#[test]
fn only_openshift_clusters_have_logins_and_only_their_own_tokens() {
    let server = shared();
    let mut account = Account::new(&server, "oc-only");
    let kubernetes = account.vpc("oc-kubernetes");
    for id in [kubernetes.as_str(), "none-such"] {
        for rest in ["/.well-known/oauth-authorization-server", "/oauth/authorize", "/oauth/token/request"] {
            let answer = server.send(Request::get(path(id, rest)));
            assert_eq!(text(&answer.json(404), "/reason"), "NotFound", "{id}{rest}");
        }
    }
    let user = account.user().clone();
    let (one, other) = (cluster(&server, &user, "oc-one"), cluster(&server, &user, "oc-other"));
    let good = token(&server, &one, &user.apikey);
    whoami(&server, &one, &good).expect(200);
    let refused = whoami(&server, &other, &good).json(401);
    assert_eq!((refused["kind"].as_str(), refused["reason"].as_str()), (Some("Status"), Some("Unauthorized")));
    for wrong in ["sha256~", "x", &format!("{good}x"), &server.token(&user)] {
        whoami(&server, &one, wrong).expect(401);
    }
}

/// Steps 3 to 7 of `oc login -u`, up to the code.
#[track_caller]
fn code(server: &Server, cluster: &str, user: &User, challenge: &str) -> String {
    let master = path(cluster, "");
    let found =
        server.send(Request::get(format!("{master}/.well-known/oauth-authorization-server")).header("X-CSRF-Token", "1"));
    let issuer = text(&found.json(200), "/issuer").to_owned();
    // A server that answers over TLS is all that is asked.
    server.send(Request::new("HEAD", master.clone()));
    let query = format!(
        "client_id={CHALLENGING}{challenge}&redirect_uri={}&response_type=code",
        escape(&format!("{issuer}/oauth/token/implicit"))
    );
    let ask = || Request::get(format!("{master}/oauth/authorize?{query}")).header("X-CSRF-Token", "1");
    let challenged = server.send(ask());
    assert_eq!(challenged.expect(401).header("www-authenticate"), Some("Basic realm=\"openshift\""));
    let answer = server.send(ask().basic("apikey", &user.apikey));
    assert!(answer.expect(302).header("location").unwrap().starts_with(&format!("{issuer}/oauth/token/implicit?")));
    value(&answer, '?', "code")
}

fn exchange(server: &Server, cluster: &str, client: &str, fields: &[(&str, &str)]) -> Answer {
    let request = Request::post(path(cluster, "/oauth/token")).header("Accept", "application/json");
    server.send(request.basic(client, "").form(fields))
}

fn s256() -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, VERIFIER.as_bytes());
    format!("&code_challenge={}&code_challenge_method=S256", URL_SAFE_NO_PAD.encode(digest))
}

#[test]
fn oc_gets_a_token_by_a_challenge_a_code_and_its_verifier() {
    let server = Server::start();
    let user = server.account("oc-code");
    let id = cluster(&server, &user, "oc-code");
    let fields = |code: &str, verifier: &str| {
        let fields = [("grant_type", "authorization_code"), ("code", code), ("code_verifier", verifier)];
        fields.map(|(n, v)| (n.to_owned(), v.to_owned()))
    };
    let exchange = |client: &str, fields: &[(String, String)]| {
        let fields: Vec<_> = fields.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        exchange(&server, &id, client, &fields)
    };
    let good = code(&server, &id, &user, &s256());
    let answer = exchange(CHALLENGING, &fields(&good, VERIFIER)).json(200);
    assert_eq!((text(&answer, "/token_type"), answer["expires_in"].as_i64()), ("Bearer", Some(86400)));
    assert!(answer.get("error").is_none());
    whoami(&server, &id, text(&answer, "/access_token")).expect(200);
    assert_eq!(text(&exchange(CHALLENGING, &fields(&good, VERIFIER)).json(400), "/error"), "invalid_grant", "it is good once");

    let plain = format!("&code_challenge={VERIFIER}");
    exchange(CHALLENGING, &fields(&code(&server, &id, &user, &plain), VERIFIER)).expect(200);
    exchange(CHALLENGING, &fields(&code(&server, &id, &user, ""), "")).expect(200);
    let refused = |what: &str, client: &str, code: &str, verifier: &str, error: &str| {
        let answer = exchange(client, &fields(code, verifier)).json(400);
        assert_eq!(text(&answer, "/error"), error, "{what}");
    };
    let fresh = || code(&server, &id, &user, &s256());
    let tried = fresh();
    refused("a wrong verifier", CHALLENGING, &tried, "wrong", "invalid_grant");
    refused("the right one after a wrong one", CHALLENGING, &tried, VERIFIER, "invalid_grant");
    refused("no verifier", CHALLENGING, &fresh(), "", "invalid_grant");
    refused("another client", "openshift-cli-client", &fresh(), VERIFIER, "invalid_grant");
    refused("an unknown client", "console", &fresh(), VERIFIER, "unauthorized_client");
    let other = [("grant_type", "client_credentials"), ("code", "x")].map(|(n, v)| (n.to_owned(), v.to_owned()));
    assert_eq!(text(&exchange(CHALLENGING, &other).json(400), "/error"), "unsupported_grant_type");
    let late = fresh();
    server.advance_clock(61);
    refused("a minute later", CHALLENGING, &late, VERIFIER, "invalid_grant");
}

#[test]
fn a_token_ends_by_logout_with_its_key_with_its_session_and_after_a_day() {
    let server = Server::start();
    let user = server.account("oc-ends");
    let id = cluster(&server, &user, "oc-ends");
    let own = path(&id, "/apis/oauth.openshift.io/v1/useroauthaccesstokens");
    let name_of = |token: &str| {
        let random = token.strip_prefix("sha256~").unwrap();
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, random.as_bytes());
        format!("sha256~{}", URL_SAFE_NO_PAD.encode(digest))
    };
    let (first, second) = (token(&server, &id, &user.apikey), token(&server, &id, &user.apikey));
    let listed = server.send(Request::get(own.as_str()).bearer(&first)).json(200);
    let names: Vec<_> = array(&listed["items"]).iter().map(|t| text(t, "/metadata/name").to_owned()).collect();
    assert!(names.contains(&name_of(&first)) && names.contains(&name_of(&second)), "{listed:#}");
    assert!(!listed.to_string().contains(&first), "tokens themselves are told to nobody");
    let read = server.send(Request::get(format!("{own}/{}", names[0])).bearer(&first)).json(200);
    assert_eq!((text(&read, "/clientName"), text(&read, "/kind")), (CHALLENGING, "UserOAuthAccessToken"));

    let ended = server.send(Request::delete(format!("{own}/{}", name_of(&first))).bearer(&first)).json(200);
    assert_eq!(text(&ended, "/status"), "Success");
    whoami(&server, &id, &first).expect(401);
    // As oc itself does it, by the group's other name.
    let all = path(&id, "/apis/oauth.openshift.io/v1/oauthaccesstokens");
    server.send(Request::delete(format!("{all}/{}", name_of(&second))).bearer(&second)).expect(200);
    whoami(&server, &id, &second).expect(401);

    let password = user.password.clone().unwrap();
    let by_password = || value(&server.send(implicit(&id).basic(&user.username, &password)), '#', "access_token");
    let of_session = by_password();
    whoami(&server, &id, &of_session).expect(200);
    let shell = Shell::logged_in(&server, &user);
    let sessions = shell.json(["iam", "sessions", "--output", "json"]);
    let session = array(&sessions).iter().find(|s| s["client_id"] == CHALLENGING);
    let session = session.unwrap_or_else(|| panic!("the login is not among the sessions: {sessions:#}"));
    shell.ok(["iam", "session-end", text(session, "/id"), "-f"]);
    whoami(&server, &id, &of_session).expect(401);

    let bearer = server.token(&user);
    let iam_id = text(&server.send(Request::get("/identity/userinfo").bearer(&bearer)).json(200), "/iam_id").to_owned();
    let account = user.account_id.as_str();
    let created = server.send(
        Request::post("/v1/apikeys")
            .bearer(&bearer)
            .json(&json!({ "name": "short-lived", "iam_id": iam_id, "account_id": account })),
    );
    let created = created.json(201);
    let of_key = token(&server, &id, text(&created, "/apikey"));
    whoami(&server, &id, &of_key).expect(200);
    server.send(Request::delete(format!("/v1/apikeys/{}", text(&created, "/id"))).bearer(&bearer)).expect(204);
    whoami(&server, &id, &of_key).expect(401);

    let aged = token(&server, &id, &user.apikey);
    server.advance_clock(24 * 3600 - 60);
    whoami(&server, &id, &aged).expect(200);
    server.advance_clock(61);
    whoami(&server, &id, &aged).expect(401);
}

#[test]
fn tokens_survive_a_crash_and_go_with_their_cluster() {
    let mut server = Server::start();
    let user = server.account("oc-crash");
    let id = cluster(&server, &user, "oc-crash");
    let kept = token(&server, &id, &user.apikey);
    server.kill();
    server.start_again();
    whoami(&server, &id, &kept).expect(200);
    let bearer = server.token(&user);
    server.send(Request::delete(format!("/global/v1/clusters/{id}")).bearer(&bearer)).expect(204);
    server.gone(&bearer, &id);
    whoami(&server, &id, &kept).expect(404);
}

#[test]
fn a_login_and_its_failure_are_in_the_trail_of_the_clusters_account() {
    let server = shared();
    let user = server.account("oc-trail");
    let id = cluster(&server, &user, "oc-trail");
    token(&server, &id, &user.apikey);
    let password = implicit(&id).basic(&user.username, "wrong");
    server.send(password).expect(401);
    let shell = Shell::logged_in(&server, &user);
    let printed = shell.ok(["audit", "tail", "--output", "json"]);
    let events: Vec<Value> = printed.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let logins: Vec<_> = events.iter().filter(|e| e["action"] == "containers-kubernetes.cluster-token.create").collect();
    let outcomes: Vec<_> = logins.iter().map(|e| text(e, "/outcome")).collect();
    assert!(outcomes.contains(&"success") && outcomes.contains(&"failure"), "{logins:#?}");
    for login in logins {
        assert_eq!(text(login, "/initiator/name"), user.username);
        assert!(text(login, "/target/id").contains(&id), "{login:#}");
    }
}

#[test]
fn bluemix_go_logs_in_to_an_openshift_cluster_and_completes_its_kubeconfig() {
    let server = shared();
    let user = server.account("go-openshift");
    let (mut command, _home) = go("v2-openshift", &server, &user);
    let printed = run(&mut command).success();
    assert!(printed.contains("ok: v2-openshift"), "{printed}");
    server.violations.check();
}

#[test]
fn a_person_gets_a_token_from_the_page_and_it_is_shown_once() {
    let server = Server::start();
    let user = server.account("oc-browser");
    let id = cluster(&server, &user, "oc-browser");
    let request = format!("{}/kube/{id}/oauth/token/request", server.endpoint);
    let browser = Browser::start();
    browser.open(&request);
    assert_eq!(browser.url(), format!("{}/identity/login", server.endpoint));
    browser.fill("#username", &user.username);
    browser.fill("#password", user.password.as_deref().unwrap());
    browser.click("form button");
    assert_eq!(browser.url(), request, "the login leads back to where it was begun");
    assert_eq!(browser.find_text("#cluster").as_deref(), Some("oc-browser"));
    assert!(browser.find_text("#api-token").is_none(), "no token is made by looking");
    browser.click("main form button");
    let shown = browser.wait_text("#api-token");
    browser.screenshot("cluster-token");
    let command = browser.wait_text("#command");
    assert_eq!(command, format!("oc login --token={shown} --server={}/kube/{id}", server.endpoint));
    whoami(&server, &id, &shown).expect(200);
    browser.reload();
    assert!(browser.find_text("#api-token").is_none(), "another look shows none: {}", browser.text());
    browser.open(&format!("{}/kube/{id}/oauth/token/implicit", server.endpoint));
    assert!(browser.wait_text("h1").contains("in the address"));
}

#[test]
fn forms_of_clusters_are_taken_only_from_their_page_and_members_of_the_account() {
    let server = shared();
    let (user, stranger) = (server.account("oc-forms"), server.account("oc-forms-stranger"));
    let id = cluster(&server, &user, "oc-forms");
    let (member, other) = (Visitor::logged_in(&server, &user), Visitor::logged_in(&server, &stranger));
    let display = path(&id, "/oauth/token/display");
    let post =
        |visitor: &Visitor, token: &str| server.send(visitor.with(Request::post(display.as_str())).form(&[("token", token)]));
    assert_eq!(post(&member, &member.token).expect(303).header("location"), Some(display.as_str()));
    post(&member, "").expect(403);
    post(&member, &other.token).expect(403);
    post(&other, &other.token).expect(403);
    server.send(other.with(Request::get(path(&id, "/oauth/token/request")))).expect(403);
    let from_elsewhere = member.with(Request::post(display.as_str())).form(&[("token", &member.token)]);
    server.send(from_elsewhere.header("Origin", "https://evil.example")).expect(403);
    let page = server.send(member.with(Request::get(path(&id, "/oauth/token/request"))));
    let policy = page.expect(200).header("content-security-policy").unwrap().to_owned();
    assert!(policy.contains("default-src 'none'") && policy.ends_with("form-action 'self'"), "{policy}");
    // Over plain HTTP the page is not shown.
    let plain = server.send_plain(Request::get(path(&id, "/oauth/token/request")));
    assert_eq!(
        plain.expect(303).header("location"),
        Some(format!("{}{}", server.endpoint, path(&id, "/oauth/token/request")).as_str())
    );
}

#[test]
fn a_command_line_that_waits_for_the_browser_is_let_in_when_somebody_says_so() {
    let server = shared();
    let user = server.account("oc-web");
    let id = cluster(&server, &user, "oc-web");
    let callback = "http://127.0.0.1:45678/callback";
    let query =
        format!("client_id=openshift-cli-client{}&redirect_uri={}&response_type=code&state=s", s256(), escape(callback));
    let ask = path(&id, &format!("/oauth/authorize?{query}"));
    let nobody = Visitor::new(&server);
    assert_eq!(server.send(nobody.with(Request::get(ask.as_str()))).expect(303).header("location"), Some("/identity/login"));
    let member = Visitor::logged_in(&server, &user);
    let page = server.send(member.with(Request::get(ask.as_str())));
    assert!(page.expect(200).text().contains("oc-web"), "it asks and does not redirect: {}", page.text());
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.ends_with("form-action 'self' http://127.0.0.1:45678"), "{policy}");
    let approve = path(&id, "/oauth/token/approve");
    let fields = [("token", member.token.as_str()), ("request", query.as_str())];
    server.send(nobody.with(Request::post(approve.as_str())).form(&fields)).expect(403);
    let approved = server.send(member.with(Request::post(approve.as_str())).form(&fields));
    assert!(approved.expect(302).header("location").unwrap().starts_with(callback));
    assert_eq!(value(&approved, '?', "state"), "s");
    let code = value(&approved, '?', "code");
    let fields =
        [("grant_type", "authorization_code"), ("code", &code), ("code_verifier", VERIFIER), ("redirect_uri", callback)];
    let answer = exchange(&server, &id, "openshift-cli-client", &fields).json(200);
    whoami(&server, &id, text(&answer, "/access_token")).expect(200);
    let elsewhere = query.replace("127.0.0.1", "evil.example");
    let fields = [("token", member.token.as_str()), ("request", elsewhere.as_str())];
    server.send(member.with(Request::post(approve.as_str())).form(&fields)).expect(400);
}

#[test]
fn the_command_line_logs_in_says_who_it_is_and_logs_out() {
    let server = shared();
    let user = server.account("oc-cli");
    let id = cluster(&server, &user, "oc-cli");
    let shell = Shell::logged_in(&server, &user);
    let kubeconfig = shell.path(".kube/config");
    let name = format!("IAM#{}", user.username);
    let url = format!("{}/kube/{id}", server.endpoint);
    let ca_file = server.ca_file.to_str().unwrap();
    let given = token(&server, &id, &user.apikey);
    let ways: [&[&str]; 4] = [
        &["-c", "oc-cli"],
        &["-c", "oc-cli", "-u", "apikey", "-p", &user.apikey],
        &[&url, "-u", &user.username, "-p", user.password.as_deref().unwrap()],
        &["--server", &url, "--token", &given, "--certificate-authority", ca_file],
    ];
    for way in ways {
        let told = shell.json([&["oc", "login", "--output", "json"][..], way].concat());
        assert_eq!((text(&told, "/user"), text(&told, "/server")), (name.as_str(), url.as_str()), "{way:?}");
        assert!(text(&told, "/context").starts_with("default/127-0-0-1:"), "{told}");
        assert_eq!(shell.ok(["oc", "whoami"]).trim(), name, "{way:?}");
        let given = shell.ok(["oc", "whoami", "-t"]);
        assert!(std::fs::read_to_string(&kubeconfig).unwrap().contains(given.trim()));
        assert_eq!(shell.json(["oc", "logout", "--output", "json"])["ended"], true, "{way:?}");
        whoami(&server, &id, given.trim()).expect(401);
        assert!(!std::fs::read_to_string(&kubeconfig).unwrap().contains(given.trim()));
        assert!(shell.run(["oc", "whoami"]).failure().contains("boatyard oc login"));
    }
    let wrong = shell.run(["oc", "login", "-c", "oc-cli", "-u", "apikey", "-p", "wrong"]).failure();
    assert!(wrong.contains("could not be found") && wrong.contains("Log in again"), "{wrong}");
}

/// What `boatyard trust` does in a system that it is given the root of.
#[test]
fn the_authority_is_installed_among_the_roots_of_a_system_and_taken_away() {
    let server = shared();
    let shell = Shell::new();
    let root = shell.path("system");
    let folder = root.join("usr/local/share/ca-certificates");
    let ca_file = server.ca_file.to_str().unwrap();
    let trust = |verb: &str, more: &[&str]| {
        let root = root.to_str().unwrap();
        let words = [&["trust", verb, "--root", root, "--ca-file", ca_file, "--output", "json"][..], more].concat();
        shell.json(words)
    };
    let unknown = ["trust", "install", "--root", root.to_str().unwrap(), "--ca-file", ca_file];
    assert!(shell.run(unknown).failure().contains("It is not known how this system keeps its roots"));
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("other.crt"), "another's").unwrap();
    let files = || {
        let mut names: Vec<_> =
            std::fs::read_dir(&folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    };
    let state = |told: &Value| (told["installed"].as_bool().unwrap(), told["changed"].as_bool().unwrap());
    assert_eq!(state(&trust("status", &[])), (false, false));
    assert_eq!(state(&trust("install", &["--dry-run"])), (false, false));
    assert_eq!(files(), ["other.crt"], "a dry run changes nothing");
    let installed = trust("install", &[]);
    assert_eq!(state(&installed), (true, true));
    let file = format!("boatyard-{}.crt", &text(&installed, "/fingerprint")[..16]);
    assert_eq!(files(), [file.as_str(), "other.crt"]);
    let pem = std::fs::read_to_string(folder.join(&file)).unwrap();
    assert!(
        pem.starts_with("-----BEGIN CERTIFICATE-----\n")
            && std::fs::read_to_string(ca_file).unwrap().contains(pem.lines().nth(1).unwrap())
    );
    assert_eq!(state(&trust("install", &[])), (true, false), "once is enough");
    assert_eq!(trust("status", &[])["trusted"], false, "that system's bundle was not made anew");
    std::fs::create_dir_all(root.join("etc/ssl/certs")).unwrap();
    std::fs::write(root.join("etc/ssl/certs/ca-certificates.crt"), format!("# first\n{pem}")).unwrap();
    assert_eq!(trust("status", &[])["trusted"], true);
    assert_eq!(state(&trust("uninstall", &["--dry-run"])), (true, false));
    assert_eq!(state(&trust("uninstall", &[])), (false, true));
    assert_eq!(files(), ["other.crt"], "only what was installed goes");
    assert_eq!(state(&trust("uninstall", &[])), (false, false));
}
