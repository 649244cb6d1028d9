//! What people get wrong. Each row is one mistake; none may become a 5xx, and each is refused in the form of its service.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::check::{self, Service, table};
use crate::harness::http::{escape, text};
use crate::harness::{APIKEY, BX, DELEGATED, KUBE, PASSCODE, PASSWORD, REFRESH, Request, Server, User, jwt, shared};

/// A mistake and how it is answered: the status is one of these, the code begins with this (empty: any).
type Row = (&'static str, (Request, &'static [u16], &'static str));

fn row(name: &'static str, request: Request, statuses: &'static [u16], code: &'static str) -> Row {
    (name, (request, statuses, code))
}

#[track_caller]
fn refuses(server: &Server, service: Service, rows: Vec<Row>) {
    table(rows, |(request, statuses, code)| {
        let answer = server.try_send(&request).map_err(|e| format!("no answer: {e}"))?;
        let status = statuses.iter().copied().find(|s| *s == answer.status).unwrap_or(statuses[0]);
        check::refusal(&answer, service, status, code)
    });
}

fn token_request(authorization: &str, fields: &[(&str, &str)]) -> Request {
    Request::post("/identity/token").header("Authorization", authorization).form(fields)
}

// The token service --------------------------------------------------------------------------------------------------

#[test]
fn token_requests_with_missing_or_unknown_fields_are_refused() {
    let server = shared();
    let key = server.account("fields").apikey;
    let rows = vec![
        row("no body", Request::post("/identity/token").header("Authorization", BX), &[400], "BXNIM0109E"),
        row("no grant_type", token_request(BX, &[("apikey", &key)]), &[400], "BXNIM0109E"),
        row("empty grant_type", token_request(BX, &[("grant_type", ""), ("apikey", &key)]), &[400], "BXNIM0109E"),
        row("unknown grant_type", token_request(BX, &[("grant_type", "magic"), ("apikey", &key)]), &[400], "BXNIM0106E"),
        row("client_credentials", token_request(BX, &[("grant_type", "client_credentials")]), &[400], "BXNIM0106E"),
        row("no apikey", token_request(BX, &[("grant_type", APIKEY)]), &[400], "BXNIM0109E"),
        row("empty apikey", token_request(BX, &[("grant_type", APIKEY), ("apikey", "")]), &[400], "BXNIM0109E"),
        row("no username", token_request(BX, &[("grant_type", PASSWORD), ("password", "x")]), &[400], "BXNIM0109E"),
        row("no password", token_request(BX, &[("grant_type", PASSWORD), ("username", "x")]), &[400], "BXNIM0109E"),
        row("no passcode", token_request(BX, &[("grant_type", PASSCODE)]), &[400], "BXNIM0109E"),
        row("no refresh_token", token_request(BX, &[("grant_type", REFRESH)]), &[400], "BXNIM0109E"),
        row("empty refresh_token", token_request(BX, &[("grant_type", REFRESH), ("refresh_token", "")]), &[400], "BXNIM0109E"),
        row("no delegated token", token_request(KUBE, &[("grant_type", DELEGATED)]), &[400], "BXNIM0109E"),
        row(
            "unknown response_type",
            token_request(BX, &[("grant_type", APIKEY), ("apikey", &key), ("response_type", "cloud_iam pizza")]),
            &[400],
            "BXNIM0106E",
        ),
        row(
            "bss_account and account differ",
            token_request(BX, &[("grant_type", APIKEY), ("apikey", &key), ("bss_account", "a"), ("account", "b")]),
            &[400, 403],
            "",
        ),
    ];
    refuses(&server, Service::Iam, rows);
}

#[test]
fn token_requests_of_the_wrong_shape_are_refused() {
    let server = shared();
    let key = server.account("shape").apikey;
    let json_body = json!({ "grant_type": APIKEY, "apikey": key }).to_string();
    let post = || Request::post("/identity/token").header("Authorization", BX);
    let form = "application/x-www-form-urlencoded";
    let huge = format!("grant_type={APIKEY}&apikey={}", "a".repeat(3 * 1024 * 1024));
    let rows = vec![
        row("JSON instead of a form", post().bytes("application/json", json_body.clone()), &[400, 415], ""),
        row("JSON labelled as a form", post().bytes(form, json_body), &[400], ""),
        row("bytes that are no text", post().bytes(form, vec![0xff, 0xfe, 0x00, 0x3d, 0x80]), &[400], ""),
        row("broken escapes", post().bytes(form, "grant_type=%ZZ&apikey=%"), &[400], ""),
        row("a body of three megabytes", post().bytes(form, huge), &[413], ""),
        row("GET", Request::get("/identity/token"), &[405], "BXNIM0060E"),
        row("PUT", Request::new("PUT", "/identity/token").bytes(form, "a=b"), &[405], "BXNIM0060E"),
    ];
    refuses(&server, Service::Iam, rows);
    let wrong_label =
        server.send(Request::post("/identity/token").header("Authorization", BX).json(&json!({ "grant_type": APIKEY })));
    let code = wrong_label.try_json().unwrap()["errorCode"].clone();
    assert_ne!(code, "BXNIM0415E", "that code means an API key that does not exist, whatever the status");
}

#[test]
fn unknown_clients_are_refused() {
    let server = shared();
    let key = server.account("client").apikey;
    let fields = [("grant_type", APIKEY), ("apikey", key.as_str())];
    let without_header = |extra: &[(&str, &str)]| Request::post("/identity/token").form(&[&fields[..], extra].concat());
    // The same requests with a client that exists are good ones.
    server.send(token_request(BX, &fields)).expect(200);
    server.send(without_header(&[("client_id", "kube"), ("client_secret", "kube")])).expect(200);
    let rows = vec![
        row("Basic that is not base64", token_request("Basic !!!!", &fields), &[400, 401], ""),
        row("Basic without a colon", token_request("Basic Yng=", &fields), &[400, 401], ""),
        row(
            "an unknown client",
            Request::post("/identity/token").basic("nobody", "x").form(&fields),
            &[400, 401],
            "BXNIM0310E",
        ),
        row("the wrong secret", Request::post("/identity/token").basic("bx", "wrong").form(&fields), &[400, 401], ""),
        row(
            "an unknown client in the form",
            without_header(&[("client_id", "nobody"), ("client_secret", "x")]),
            &[400, 401],
            "BXNIM0310E",
        ),
        row("the wrong secret in the form", without_header(&[("client_id", "kube"), ("client_secret", "x")]), &[400, 401], ""),
        row(
            "a password without a client",
            Request::post("/identity/token").form(&[("grant_type", PASSWORD), ("username", "x"), ("password", "x")]),
            &[401],
            "BXNIM0308E",
        ),
        row(
            "a passcode request without a client",
            Request::post("/identity/passcode").form(&[("grant_type", "refresh_token"), ("refresh_token", "x")]),
            &[401],
            "BXNIM0308E",
        ),
    ];
    refuses(&server, Service::Iam, rows);
}

#[test]
fn wrong_credentials_are_refused() {
    let server = shared();
    let user = server.account("credentials");
    let federated = server.federated_account("federated");
    assert_eq!(federated.password, None, "a federated user has no password here");
    let login = server.login(&user);
    let refresh_token = text(&login, "/refresh_token");
    let access_token = text(&login, "/access_token");
    let default = server.grant(None, &[("grant_type", APIKEY), ("apikey", &user.apikey)]).json(200);
    let default_refresh = default["refresh_token"].as_str().unwrap_or("not_supported");
    let used = server.passcode(refresh_token);
    server.grant(Some(BX), &[("grant_type", PASSCODE), ("passcode", &used)]).expect(200);

    let wrong_key = user.apikey.chars().rev().collect::<String>();
    let password =
        |name: &str, word: &str| token_request(BX, &[("grant_type", PASSWORD), ("username", name), ("password", word)]);
    let refresh = |client: &str, token: &str| token_request(client, &[("grant_type", REFRESH), ("refresh_token", token)]);
    let passcode = |code: &str| token_request(BX, &[("grant_type", PASSCODE), ("passcode", code)]);
    let delegated = |client: &str, token: &str| token_request(client, &[("grant_type", DELEGATED), ("refresh_token", token)]);
    let for_passcode = |token: &str| {
        let fields = [("grant_type", "refresh_token"), ("refresh_token", token), ("response_type", "cloud_iam")];
        Request::post("/identity/passcode").header("Authorization", BX).form(&fields)
    };
    let rows = vec![
        row("a wrong API key", token_request(BX, &[("grant_type", APIKEY), ("apikey", &wrong_key)]), &[400], "BXNIM0415E"),
        row(
            "an API key of 10 kB",
            token_request(BX, &[("grant_type", APIKEY), ("apikey", &"k".repeat(10_000))]),
            &[400],
            "BXNIM0415E",
        ),
        row("a wrong password", password(&user.username, "wrong"), &[401], "BXNIM0602E"),
        row("an unknown user, answered alike", password("nobody@example.com", "wrong"), &[401], "BXNIM0602E"),
        row("a federated user's password", password(&federated.username, "wrong"), &[400], "BXNIM0608E"),
        row("a wrong passcode", passcode("0000000000"), &[400, 401], ""),
        row("a passcode for the second time", passcode(&used), &[400, 401], ""),
        row("a garbled refresh token", refresh(BX, "garbled"), &[400], "BXNIM0407E"),
        row("an access token as refresh token", refresh(BX, access_token), &[400], ""),
        row("another client's refresh token", refresh(KUBE, refresh_token), &[400], ""),
        row("the refresh token of client default", refresh(BX, default_refresh), &[400], ""),
        row("an ordinary refresh token as a delegated one", delegated(KUBE, refresh_token), &[400], ""),
        row("a garbled delegated token", delegated(KUBE, "garbled"), &[400], ""),
        row("a passcode for a garbled refresh token", for_passcode("garbled"), &[400], ""),
        row("a passcode for an empty refresh token", for_passcode(""), &[400], "BXNIM0109E"),
    ];
    refuses(&server, Service::Iam, rows);
}

#[test]
fn a_wrong_api_key_is_named_in_words_that_clients_show() {
    let answer = shared().grant(None, &[("grant_type", APIKEY), ("apikey", "no-such-key")]);
    let body = answer.json(400);
    assert!(text(&body, "/errorMessage").starts_with("Provided API key could not be found"), "{body}");
}

#[test]
fn a_missing_field_is_named() {
    let body = shared().grant(Some(BX), &[("grant_type", PASSWORD), ("username", "x")]).json(400);
    assert!(body.to_string().contains("password"), "{body}");
}

#[test]
fn an_api_key_cannot_be_combined_with_another_account() {
    let server = shared();
    let (user, other) = (server.account("own"), server.account("other"));
    let fields = |name, account| [("grant_type", APIKEY), ("apikey", user.apikey.as_str()), (name, account)];
    let by_query = |account: &str| {
        let path = format!("/identity/token?account={account}");
        Request::post(path).header("Authorization", BX).form(&[("grant_type", APIKEY), ("apikey", &user.apikey)])
    };
    for own in [
        token_request(BX, &fields("bss_account", &user.account_id)),
        token_request(BX, &fields("account", &user.account_id)),
        by_query(&user.account_id),
    ] {
        server.send(own).expect(200);
    }
    let unknown = "0".repeat(32);
    let rows = vec![
        row("bss_account", token_request(BX, &fields("bss_account", &other.account_id)), &[400, 403], ""),
        row("account", token_request(BX, &fields("account", &other.account_id)), &[400, 403], ""),
        row("account in the query", by_query(&other.account_id), &[400, 403], ""),
        row("an unknown account", token_request(BX, &fields("bss_account", &unknown)), &[400, 403], ""),
        row("an account that is no ID", token_request(BX, &fields("bss_account", "' or 1=1 --")), &[400, 403], ""),
    ];
    refuses(&server, Service::Iam, rows);
    // Nobody can tell an account they do not belong to from one that does not exist.
    let code =
        |account| server.send(token_request(BX, &fields("bss_account", account))).try_json().unwrap()["errorCode"].clone();
    assert_eq!(code(&other.account_id), code(&unknown));
}

#[test]
fn a_person_gets_no_token_for_an_account_of_others() {
    let server = shared();
    let (user, other) = (server.account("member"), server.account("stranger"));
    let login = server.login(&user);
    let refresh_token = text(&login, "/refresh_token");
    let passcode = server.passcode(refresh_token);
    let password = user.password.as_deref().unwrap();
    let rows = vec![
        row(
            "password",
            token_request(
                BX,
                &[
                    ("grant_type", PASSWORD),
                    ("username", &user.username),
                    ("password", password),
                    ("bss_account", &other.account_id),
                ],
            ),
            &[400, 401, 403],
            "",
        ),
        row(
            "passcode",
            token_request(BX, &[("grant_type", PASSCODE), ("passcode", &passcode), ("bss_account", &other.account_id)]),
            &[400, 401, 403],
            "",
        ),
        row(
            "refresh token",
            token_request(BX, &[("grant_type", REFRESH), ("refresh_token", refresh_token), ("bss_account", &other.account_id)]),
            &[400, 401, 403],
            "",
        ),
    ];
    refuses(&server, Service::Iam, rows);
}

#[test]
fn an_expired_refresh_token_says_so() {
    let server = Server::start();
    let login = server.login(&server.administrator);
    server.advance_clock(40 * 24 * 3600);
    let answer = server.grant(Some(BX), &[("grant_type", REFRESH), ("refresh_token", text(&login, "/refresh_token"))]);
    check::refusal(&answer, Service::Iam, 400, "BXNIM0408E").unwrap();
}

#[test]
fn an_expired_passcode_is_refused() {
    let server = Server::start();
    let refresh_token = text(&server.login(&server.administrator), "/refresh_token").to_owned();
    let passcode = server.passcode(&refresh_token);
    server.advance_clock(3600);
    let answer = server.grant(Some(BX), &[("grant_type", PASSCODE), ("passcode", &passcode)]);
    assert!(matches!(answer.status, 400 | 401), "{}", answer.text());
    check::iam_form(&answer).unwrap();
}

#[test]
fn repeated_wrong_passwords_are_slowed_for_that_user_only() {
    let server = Server::start();
    let (user, other) = (server.account("guessed"), server.account("bystander"));
    let attempt = |user: &User, password: &str| {
        let fields = [("grant_type", PASSWORD), ("username", user.username.as_str()), ("password", password)];
        let start = Instant::now();
        let answer = server.grant(Some(BX), &fields);
        (answer, start.elapsed())
    };
    let right = |user: &User| attempt(user, user.password.as_deref().unwrap());
    for guess in 0..5 {
        let (answer, _) = attempt(&user, &format!("guess-{guess}"));
        check::refusal(&answer, Service::Iam, 401, "BXNIM0602E").unwrap();
    }
    let pause = Duration::from_millis(900);
    let (answer, took) = attempt(&user, "guess-5");
    check::refusal(&answer, Service::Iam, 401, "BXNIM0602E").unwrap();
    assert!(took > pause, "the sixth wrong password in a row was answered after {took:?}");
    let (answer, _) = right(&other);
    answer.expect(200);
    server.token(&user);
    let (answer, took) = right(&user);
    answer.expect(200);
    assert!(took > pause, "a right password among guesses must not stand out by its speed: {took:?}");
    let (answer, took) = right(&user);
    answer.expect(200);
    assert!(took < pause, "a right password ends the slowing down: {took:?}");
}

#[test]
fn a_crowd_of_guesses_for_one_user_is_turned_away_and_told_when_to_come_back() {
    let server = Server::start();
    let user = server.account("crowded");
    let fields = [("grant_type", PASSWORD), ("username", user.username.as_str()), ("password", "guess")];
    let answers: Vec<_> = std::thread::scope(|scope| {
        let guesses: Vec<_> = (0..16).map(|_| scope.spawn(|| server.grant(Some(BX), &fields))).collect();
        guesses.into_iter().map(|guess| guess.join().unwrap()).collect()
    });
    let (turned_away, looked_at): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 429);
    for answer in &looked_at {
        check::refusal(answer, Service::Iam, 401, "BXNIM0602E").unwrap();
    }
    assert!(!turned_away.is_empty(), "sixteen guesses at once were all looked at");
    for answer in &turned_away {
        check::iam_form(answer).unwrap();
        let seconds: u64 = answer.header("retry-after").expect("Retry-After").parse().expect("seconds");
        assert!(seconds > 0);
    }
}

// The account list ---------------------------------------------------------------------------------------------------

/// Tokens that are not good, by what is wrong with them.
fn bad_tokens(server: &Server, user: &User) -> Vec<(&'static str, String)> {
    let login = server.login(user);
    let token = text(&login, "/access_token");
    let keys = server.send(Request::get("/identity/keys")).json(200);
    vec![
        ("garbled", "Bearer garbled".to_owned()),
        ("three segments of nothing", "Bearer a.b.c".to_owned()),
        ("only a scheme", "Bearer".to_owned()),
        ("another scheme", format!("Basic {token}")),
        ("cut short", format!("Bearer {}", &token[..token.len() - 12])),
        ("signed by a stranger", format!("Bearer {}", jwt::signed_by_a_stranger(token))),
        ("not signed", format!("Bearer {}", jwt::unsigned(token))),
        ("signed with the public key as secret", format!("Bearer {}", jwt::hmac_by_public_key(token, &keys))),
        (
            "changed after signing",
            format!("Bearer {}", jwt::tampered(token, |claims| claims["iam_id"] = "IBMid-0000000000".into())),
        ),
        ("a refresh token", format!("Bearer {}", text(&login, "/refresh_token"))),
        ("an API key", format!("Bearer {}", user.apikey)),
    ]
}

#[test]
fn the_account_list_refuses_bad_tokens() {
    let server = shared();
    let user = server.account("lister");
    let path = "/coe/v2/accounts";
    server.send(Request::get(path).bearer(&server.token(&user))).expect(200);
    let mut rows = vec![row("no token", Request::get(path), &[401], "BXNIM0308E")];
    rows.push(row("an empty header", Request::get(path).header("Authorization", ""), &[401], ""));
    rows.extend(
        bad_tokens(&server, &user).iter().map(|(n, v)| row(n, Request::get(path).header("Authorization", v), &[401], "")),
    );
    rows.push(row("user info without a token", Request::get("/identity/userinfo"), &[401], ""));
    refuses(&server, Service::Iam, rows);
}

#[test]
fn an_account_of_others_does_not_exist() {
    let server = shared();
    let (user, other) = (server.account("curious"), server.account("private"));
    let token = server.token(&user);
    let get = |id: &str| Request::get(format!("/coe/v2/accounts/{}", escape(id))).bearer(&token);
    server.send(get(&user.account_id)).expect(200);
    let rows = vec![
        row("of others", get(&other.account_id), &[404], ""),
        row("unknown", get(&"0".repeat(32)), &[404], ""),
        row("no ID at all", get("../../etc/passwd"), &[404], ""),
    ];
    refuses(&server, Service::Iam, rows);
}

// The container service ----------------------------------------------------------------------------------------------

#[test]
fn the_container_service_refuses_bad_tokens() {
    let server = shared();
    let user = server.account("bearer");
    let path = "/global/v2/clusters";
    server.send(Request::get(path).bearer(&server.token(&user))).expect(200);
    let mut rows = vec![row("no token", Request::get(path), &[401], "A")];
    rows.push(row("an empty header", Request::get(path).header("Authorization", ""), &[401], "A"));
    rows.extend(
        bad_tokens(&server, &user).iter().map(|(n, v)| row(n, Request::get(path).header("Authorization", v), &[401], "A")),
    );
    rows.push(row("no token, creating", Request::post("/global/v2/vpc/createCluster").json(&json!({})), &[401], "A"));
    rows.push(row("no token, deleting", Request::delete("/global/v1/clusters/any"), &[401], "A"));
    rows.push(row("no token, configuration", Request::get("/global/v1/clusters/any/config"), &[401], "A"));
    refuses(&server, Service::Containers, rows);
    let nothing = server.send(Request::get(path)).json(401);
    assert!(text(&nothing, "/description").contains("You must specify an IAM token as an Authorization header"), "{nothing}");
}

#[test]
fn a_token_without_an_account_lists_no_clusters() {
    let server = shared();
    let user = server.account("unscoped");
    let fields =
        [("grant_type", PASSWORD), ("username", user.username.as_str()), ("password", user.password.as_deref().unwrap())];
    let tokens = server.grant(Some(BX), &fields).json(200);
    let token = text(&tokens, "/access_token");
    assert_eq!(jwt::claims(token).pointer("/account/bss"), None, "a password login without bss_account names no account");
    refuses(&server, Service::Containers, vec![row("list", Request::get("/global/v2/clusters").bearer(token), &[401], "A")]);
}

#[test]
fn an_expired_token_is_refused_by_every_service() {
    let server = Server::start();
    let token = server.token(&server.administrator);
    server.send(Request::get("/global/v2/clusters").bearer(&token)).expect(200);
    server.advance_clock(3601);
    let clusters = server.send(Request::get("/global/v2/clusters").bearer(&token));
    check::refusal(&clusters, Service::Containers, 401, "A").unwrap();
    assert!(clusters.text().contains("expired"), "{}", clusters.text());
    let accounts = server.send(Request::get("/coe/v2/accounts").bearer(&token));
    check::refusal(&accounts, Service::Iam, 401, "").unwrap();
    let clock = server.send(Request::get("/_boatyard/clock").bearer(&token));
    assert_eq!(clock.status, 401, "{}", clock.text());
}

/// One request for each way to reach a single cluster.
fn ways_to(cluster: &str) -> Vec<(&'static str, Request)> {
    let c = escape(cluster);
    vec![
        ("v1 get", Request::get(format!("/global/v1/clusters/{c}"))),
        ("v1 config", Request::get(format!("/global/v1/clusters/{c}/config"))),
        ("v1 delete", Request::delete(format!("/global/v1/clusters/{c}"))),
        ("v2 by path", Request::get(format!("/global/v2/clusters/{c}"))),
        ("v2 neutral", Request::get(format!("/global/v2/getCluster?cluster={c}"))),
        ("v2 neutral, v1-compatible", Request::get(format!("/global/v2/getCluster?v1-compatible&cluster={c}"))),
        ("v2 vpc", Request::get(format!("/global/v2/vpc/getCluster?cluster={c}"))),
        ("v2 classic", Request::get(format!("/global/v2/classic/getCluster?cluster={c}"))),
        ("v2 kubeconfig", Request::get(format!("/global/v2/getKubeconfig?cluster={c}"))),
        (
            "v2 apply RBAC",
            Request::post("/global/v2/applyRBACAndGetKubeconfig").json(&json!({ "cluster": cluster, "format": "zip" })),
        ),
        ("v2 RBAC status", Request::get(format!("/global/v2/getRBACStatus?cluster={c}"))),
    ]
}

#[test]
fn an_unknown_cluster_is_not_found() {
    let server = shared();
    let token = server.token(&server.account("unknown"));
    let long = "x".repeat(3000);
    for name in ["no-such-cluster", "bm64u3ed02o93vv36hb0", "' OR 1=1 --", long.as_str()] {
        let rows = ways_to(name).into_iter().map(|(way, request)| row(way, request.bearer(&token), &[404], "G0004"));
        eprintln!("cluster {name:?}");
        refuses(&server, Service::Containers, rows.collect());
    }
    let body = server.send(Request::get("/global/v1/clusters/no-such-cluster").bearer(&token)).json(404);
    assert!(text(&body, "/description").starts_with("The specified cluster could not be found"), "{body}");
}

#[test]
fn a_cluster_of_another_account_answers_as_if_it_did_not_exist() {
    let server = shared();
    let (owner, thief) = (server.account("owner"), server.account("thief"));
    let owners = server.token(&owner);
    let id = server.create_vpc(&owners, "treasure");
    server.normal(&owners, &id);
    let token = server.token(&thief);
    let unknown = server.send(Request::get("/global/v2/getCluster?cluster=nothing").bearer(&token)).json(404);
    for name in [id.as_str(), "treasure"] {
        let rows = ways_to(name).into_iter().map(|(way, request)| row(way, request.bearer(&token), &[404], "G0004"));
        refuses(&server, Service::Containers, rows.collect());
        let found = server.send(Request::get(format!("/global/v2/getCluster?cluster={name}")).bearer(&token)).json(404);
        assert_eq!(found["description"], unknown["description"], "the answers must not tell the two apart");
    }
    for list in ["/global/v1/clusters", "/global/v2/clusters", "/global/v2/vpc/getClusters", "/global/v2/classic/getClusters"] {
        assert_eq!(server.send(Request::get(list).bearer(&token)).json(200), json!([]), "{list}");
    }
    // The other account named in a header changes nothing.
    let request = Request::get("/global/v2/clusters").bearer(&token).header("X-Auth-Resource-Account", &owner.account_id);
    let answer = server.send(request);
    assert!(matches!(answer.status, 401 | 403), "{} {}", answer.status, answer.text());
    check::containers_form(&answer).unwrap();
    assert_eq!(server.cluster(&owners, &id)["state"], "normal", "nothing the other did touched it");
}

#[test]
fn a_name_that_is_taken_is_refused_for_either_provider() {
    let server = shared();
    let token = server.token(&server.account("taken"));
    server.create_vpc(&token, "taken-vpc");
    server.create_classic(&token, "taken-classic");
    let vpc = |name: &str| Request::post("/global/v2/vpc/createCluster").bearer(&token).json(&server.vpc_order(&token, name));
    let classic = |name: &str| Request::post("/global/v1/clusters").bearer(&token).json(&server.classic_order(&token, name));
    let rows = vec![
        row("vpc, by vpc", vpc("taken-vpc"), &[409], "E0007"),
        row("classic, by vpc", vpc("taken-classic"), &[409], "E0007"),
        row("vpc, by classic", classic("taken-vpc"), &[409], "E0007"),
        row("classic, by classic", classic("taken-classic"), &[409], "E0007"),
    ];
    refuses(&server, Service::Containers, rows);
    // The same name is free in another account.
    let other = server.token(&server.account("taken-not"));
    server.create_vpc(&other, "taken-vpc");
}

#[test]
fn names_that_break_the_rules_are_refused() {
    let server = shared();
    let token = server.token(&server.account("names"));
    let vpc = server.vpc_order(&token, "");
    let classic = server.classic_order(&token, "");
    let long = "a".repeat(36);
    let bad = [
        "",
        " ",
        "1starts-with-a-digit",
        "-starts-with-a-dash",
        ".dot",
        "under_score",
        "with space",
        "ümlaut",
        "<b>",
        "a/b",
        &long,
    ];
    for name in bad {
        let with = |order: &Value| {
            let mut order = order.clone();
            order["name"] = name.into();
            order
        };
        let rows = vec![
            row("vpc", Request::post("/global/v2/vpc/createCluster").bearer(&token).json(&with(&vpc)), &[400], ""),
            row("classic", Request::post("/global/v1/clusters").bearer(&token).json(&with(&classic)), &[400], ""),
        ];
        eprintln!("name {name:?}");
        refuses(&server, Service::Containers, rows);
    }
    for name in ["a", "A.b-9", &"a".repeat(35)] {
        server.create_vpc(&token, name);
    }
}

/// A change to an order, by JSON pointer; `None` removes the member.
type Change = (&'static str, &'static str, Option<Value>, &'static str);

fn changed(order: &Value, pointer: &str, value: Option<Value>) -> Value {
    let mut order = order.clone();
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    match (order.pointer_mut(parent).unwrap(), value) {
        (Value::Object(members), Some(value)) => drop(members.insert(name.to_owned(), value)),
        (Value::Object(members), None) => drop(members.remove(name)),
        (parent, value) => panic!("{parent} has no member {name} to set to {value:?}"),
    }
    order
}

#[test]
fn vpc_orders_that_cannot_be_met_are_refused() {
    let server = shared();
    let user = server.account("vpc-orders");
    let token = server.token(&user);
    let others = server.token(&server.account("vpc-neighbour"));
    let (other_vpc, _, other_subnet) = server.vpc_place(&others);
    let order = server.vpc_order(&token, "never-made");
    let vpcs = server.send(Request::get("/global/v2/vpc/getVPCs").bearer(&token)).json(200);
    let second_zone = text(&vpcs, "/0/zones/1").to_owned();
    let changes: Vec<Change> = vec![
        ("no name", "/name", None, ""),
        ("name of the wrong type", "/name", Some(json!(7)), ""),
        ("no worker pool", "/workerPool", None, ""),
        ("worker pool of the wrong type", "/workerPool", Some(json!("default")), ""),
        ("unknown provider", "/provider", Some(json!("vpc-gen9")), ""),
        ("a provider of another call", "/provider", Some(json!("classic")), ""),
        ("unknown flavor", "/workerPool/flavor", Some(json!("zz9.plural")), "E4e5b"),
        ("a classic flavor", "/workerPool/flavor", Some(json!("b3c.4x16")), "E4e5b"),
        ("no flavor", "/workerPool/flavor", None, ""),
        ("negative number of workers", "/workerPool/workerCount", Some(json!(-1)), ""),
        ("too many workers", "/workerPool/workerCount", Some(json!(501)), ""),
        ("absurdly many workers", "/workerPool/workerCount", Some(json!(i64::MAX)), ""),
        ("number of workers as text", "/workerPool/workerCount", Some(json!("1")), ""),
        ("half a worker", "/workerPool/workerCount", Some(json!(1.5)), ""),
        ("unknown VPC", "/workerPool/vpcID", Some(json!("r006-00000000-0000-0000-0000-000000000000")), ""),
        ("VPC of another account", "/workerPool/vpcID", Some(json!(other_vpc)), ""),
        ("no VPC", "/workerPool/vpcID", None, ""),
        ("unknown zone", "/workerPool/zones/0/id", Some(json!("us-south-9")), ""),
        ("a classic data center", "/workerPool/zones/0/id", Some(json!("dal10")), ""),
        ("a zone the subnet is not in", "/workerPool/zones/0/id", Some(json!(second_zone)), ""),
        ("unknown subnet", "/workerPool/zones/0/subnetID", Some(json!("0717-00000000-0000-0000-0000-000000000000")), ""),
        ("subnet of another account", "/workerPool/zones/0/subnetID", Some(json!(other_subnet)), ""),
        ("zones of the wrong type", "/workerPool/zones", Some(json!({ "id": "us-south-1" })), ""),
        ("version that never was", "/kubeVersion", Some(json!("1.2")), ""),
        ("version of the future", "/kubeVersion", Some(json!("1.99")), ""),
        ("version that is no version", "/kubeVersion", Some(json!("latest")), ""),
        ("unknown OpenShift version", "/kubeVersion", Some(json!("4.99_openshift")), ""),
        ("pod subnet that is no CIDR", "/podSubnet", Some(json!("everything")), ""),
        ("pod subnet too small", "/podSubnet", Some(json!("172.30.0.0/28")), ""),
        ("pod subnet in a reserved range", "/podSubnet", Some(json!("172.20.0.0/16")), ""),
        ("service subnet too small", "/serviceSubnet", Some(json!("172.21.0.0/29")), ""),
        ("service subnet of the wrong type", "/serviceSubnet", Some(json!(21)), ""),
    ];
    let post = |order: &Value| Request::post("/global/v2/vpc/createCluster").bearer(&token).json(order);
    let rows = changes
        .into_iter()
        .map(|(name, pointer, value, code)| row(name, post(&changed(&order, pointer, value)), &[400, 404], code));
    refuses(&server, Service::Containers, rows.collect());
    let overlapping =
        changed(&changed(&order, "/podSubnet", Some(json!("172.30.0.0/16"))), "/serviceSubnet", Some(json!("172.30.4.0/22")));
    refuses(&server, Service::Containers, vec![row("pod and service subnets overlap", post(&overlapping), &[400], "")]);
    assert_eq!(
        server.send(Request::get("/global/v2/clusters").bearer(&token)).json(200),
        json!([]),
        "a refused order leaves nothing"
    );
}

#[test]
fn classic_orders_that_cannot_be_met_are_refused() {
    let server = shared();
    let token = server.token(&server.account("classic-orders"));
    let (public, private) = server.vlans(&token);
    let (other_public, _) = server.vlans(&server.token(&server.account("classic-neighbour")));
    let order = server.classic_order(&token, "never-made");
    let changes: Vec<Change> = vec![
        ("no name", "/name", None, ""),
        ("unknown data center", "/dataCenter", Some(json!("mars01")), ""),
        ("a VPC zone", "/dataCenter", Some(json!("us-south-1")), ""),
        ("no data center", "/dataCenter", None, "E0020"),
        ("unknown machine type", "/machineType", Some(json!("zz9.plural")), "E4e5b"),
        ("a VPC flavor", "/machineType", Some(json!("bx2.4x16")), "E4e5b"),
        ("no machine type", "/machineType", None, "E0020"),
        ("public VLAN without a private one", "/privateVlan", None, "E0020"),
        ("unknown VLAN", "/publicVlan", Some(json!("1")), ""),
        ("VLAN that is no number", "/publicVlan", Some(json!("vlan")), ""),
        ("VLAN of another account", "/publicVlan", Some(json!(other_public)), ""),
        ("private VLAN as the public one", "/publicVlan", Some(json!(private)), ""),
        ("public VLAN as the private one", "/privateVlan", Some(json!(public)), ""),
        ("negative number of workers", "/workerNum", Some(json!(-3)), ""),
        ("too many workers", "/workerNum", Some(json!(501)), ""),
        ("number of workers as text", "/workerNum", Some(json!("2")), ""),
        ("unknown version", "/masterVersion", Some(json!("1.2")), ""),
        ("version that is no version", "/masterVersion", Some(json!("newest")), ""),
        ("unknown isolation", "/isolation", Some(json!("solitary")), ""),
    ];
    let post = |order: &Value| Request::post("/global/v1/clusters").bearer(&token).json(order);
    let rows = changes
        .into_iter()
        .map(|(name, pointer, value, code)| row(name, post(&changed(&order, pointer, value)), &[400, 404], code));
    refuses(&server, Service::Containers, rows.collect());
    assert_eq!(
        server.send(Request::get("/global/v2/clusters").bearer(&token)).json(200),
        json!([]),
        "a refused order leaves nothing"
    );
}

#[test]
fn bodies_that_are_not_the_json_asked_for_are_refused() {
    let server = shared();
    let token = server.token(&server.account("bodies"));
    let long_name = format!("{{\"name\": \"{}\"}}", "a".repeat(3 * 1024 * 1024));
    for path in ["/global/v1/clusters", "/global/v2/vpc/createCluster", "/global/v2/applyRBACAndGetKubeconfig"] {
        let post = |body: &[u8]| Request::post(path).bearer(&token).bytes("application/json", body);
        let rows = vec![
            row("nothing", Request::post(path).bearer(&token), &[400], ""),
            row("an object that breaks off", post(b"{\"name\": "), &[400], ""),
            row("a trailing comma", post(b"{\"name\": \"a\",}"), &[400], ""),
            row("no JSON", post(b"name=a"), &[400], ""),
            row("an array", post(b"[]"), &[400], ""),
            row("null", post(b"null"), &[400], ""),
            row("text", post(b"\"name\""), &[400], ""),
            row("an empty object", post(b"{}"), &[400], ""),
            row("bytes that are no text", post(&[b'{', 0xff, 0xfe, b'}']), &[400], ""),
            row("ten thousand brackets", post("[".repeat(10_000).as_bytes()), &[400], ""),
            row("a body of three megabytes", post(long_name.as_bytes()), &[413], ""),
        ];
        eprintln!("{path}");
        refuses(&server, Service::Containers, rows);
    }
}

#[test]
fn a_member_of_the_wrong_type_is_named() {
    let server = shared();
    let token = server.token(&server.account("member-named"));
    let order = changed(&server.vpc_order(&token, "typed"), "/workerPool/workerCount", Some(json!("three")));
    let body = server.send(Request::post("/global/v2/vpc/createCluster").bearer(&token).json(&order)).json(400);
    assert!(text(&body, "/description").contains("workerPool.workerCount"), "{body}");
}

#[test]
fn unknown_members_are_tolerated() {
    let server = shared();
    let token = server.token(&server.account("tolerant"));
    let mut vpc = server.vpc_order(&token, "tolerant-vpc");
    vpc["fromTheFuture"] = json!({ "deep": [1, { "x": null }] });
    vpc["workerPool"]["alsoNew"] = json!(true);
    vpc["workerPool"]["zones"][0]["newest"] = json!("yes");
    server.send(Request::post("/global/v2/vpc/createCluster").bearer(&token).json(&vpc)).expect(201);
    let mut classic = server.classic_order(&token, "tolerant-classic");
    classic["fromTheFuture"] = json!([[]]);
    server.send(Request::post("/global/v1/clusters").bearer(&token).json(&classic)).expect(201);
    let fields = [("grant_type", APIKEY), ("apikey", server.administrator.apikey.as_str()), ("from_the_future", "yes")];
    server.grant(Some(BX), &fields).expect(200);
    server.send(Request::get("/global/v2/clusters?fromTheFuture=1&x").bearer(&token)).expect(200);
}

#[test]
fn queries_that_make_no_sense_are_refused() {
    let server = shared();
    let token = server.token(&server.account("queries"));
    let get = |path: &str| Request::get(path).bearer(&token);
    let rows = vec![
        row("no cluster named", get("/global/v2/getCluster"), &[400, 404], ""),
        row("an empty cluster", get("/global/v2/getCluster?cluster="), &[400, 404], ""),
        row("escapes that are no text", get("/global/v2/getCluster?cluster=%FF%FE"), &[400, 404], ""),
        row("escapes in the path that are no text", get("/global/v1/clusters/%FF"), &[400], "E0011"),
        row("unknown provider", get("/global/v2/vpc/getClusters?provider=moon"), &[400], ""),
        row("unknown provider, neutral list", get("/global/v2/clusters?provider=moon"), &[400], ""),
        row("unknown data center", get("/global/v1/datacenters/mars01/vlans"), &[400, 404], ""),
        row("subnets of an unknown VPC", get("/global/v2/vpc/getSubnets?provider=vpc-gen2&vpc=none"), &[400], "E0f11"),
        row("subnets of an unknown zone", get("/global/v2/vpc/getSubnets?provider=vpc-gen2&zone=mars-1"), &[400], "E0012"),
    ];
    refuses(&server, Service::Containers, rows);
}

#[test]
fn a_method_that_an_operation_lacks_is_refused_with_and_without_the_prefix() {
    let server = shared();
    let token = server.token(&server.account("methods"));
    for prefix in ["/global", ""] {
        let rows = vec![
            row("DELETE a list", Request::delete(format!("{prefix}/v2/vpc/getClusters")).bearer(&token), &[405], ""),
            row("PATCH a cluster", Request::new("PATCH", format!("{prefix}/v1/clusters/any")).bearer(&token), &[405], ""),
        ];
        eprintln!("prefix {prefix:?}");
        refuses(&server, Service::Containers, rows);
    }
}

// Boatyard's own endpoints -------------------------------------------------------------------------------------------

#[test]
fn only_the_administrator_reaches_what_moves_the_clock_or_makes_accounts() {
    let server = shared();
    let token = server.token(&server.account("no-administrator"));
    for (method, path, body) in [
        ("GET", "/_boatyard/clock", json!({})),
        ("POST", "/_boatyard/clock", json!({ "advance_seconds": 3600 })),
        ("POST", "/_boatyard/accounts", json!({ "name": "x", "username": "x@example.com" })),
        ("POST", "/_boatyard/signing-keys/rotate", json!({})),
    ] {
        let request = || Request::new(method, path).json(&body);
        let nobody = server.send(request());
        assert_eq!(nobody.status, 401, "{method} {path} without a token: {}", nobody.text());
        let other = server.send(request().bearer(&token));
        assert_eq!(other.status, 403, "{method} {path} as somebody else: {}", other.text());
    }
}

#[test]
fn nonsense_to_the_administrators_endpoints_is_refused() {
    let server = shared();
    for (path, body) in [
        ("/_boatyard/clock", "{\"advance_seconds\": -5}"),
        ("/_boatyard/clock", "{\"advance_seconds\": \"soon\"}"),
        ("/_boatyard/clock", "{\"advance_seconds\": 1e300}"),
        ("/_boatyard/clock", "not JSON"),
        ("/_boatyard/accounts", "{}"),
        ("/_boatyard/accounts", "[]"),
    ] {
        let answer = server.administrate(Request::post(path).bytes("application/json", body));
        assert!((400..500).contains(&answer.status), "{path} {body}: {} {}", answer.status, answer.text());
    }
}
