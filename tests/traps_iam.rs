//! The traps of the token service and the account list: what unmodified clients stumble over, one test each.

use std::collections::BTreeSet;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::harness::archive::{kubeconfig, unpacked};
use crate::harness::check::{self, table};
use crate::harness::http::{array, integer, text};
use crate::harness::{APIKEY, Answer, BX, DELEGATED, KUBE, PASSCODE, PASSWORD, REFRESH, Request, Server, User, jwt, shared};

/// A token answer for each way to log in that names an account.
fn logins(server: &Server, user: &User) -> Vec<(&'static str, Answer)> {
    let account = ("bss_account", user.account_id.as_str());
    let password = user.password.as_deref().expect("the user has a password");
    let key = ("apikey", user.apikey.as_str());
    let by_key = server.grant(Some(BX), &[("grant_type", APIKEY), key]);
    let refresh = text(&by_key.json(200), "/refresh_token").to_owned();
    let passcode = server.passcode(&refresh);
    vec![
        (
            "password",
            server.grant(Some(BX), &[("grant_type", PASSWORD), ("username", &user.username), ("password", password), account]),
        ),
        ("passcode", server.grant(Some(BX), &[("grant_type", PASSCODE), ("passcode", &passcode), account])),
        ("refresh", server.grant(Some(BX), &[("grant_type", REFRESH), ("refresh_token", &refresh)])),
        ("refresh with account", server.grant(Some(BX), &[("grant_type", REFRESH), ("refresh_token", &refresh), account])),
        ("API key as default", server.grant(None, &[("grant_type", APIKEY), key])),
        ("API key as kube", server.grant(Some(KUBE), &[("grant_type", APIKEY), key])),
        ("API key as bx", by_key),
    ]
}

/// Refusals of every kind.
fn refusals(server: &Server, user: &User) -> Vec<Answer> {
    let key = ("apikey", user.apikey.as_str());
    vec![
        server.grant(Some(BX), &[]),
        server.grant(Some(BX), &[("grant_type", "unknown")]),
        server.grant(Some(BX), &[("grant_type", APIKEY)]),
        server.grant(Some(BX), &[("grant_type", APIKEY), ("apikey", "wrong")]),
        server.grant(Some(BX), &[("grant_type", APIKEY), key, ("response_type", "wrong")]),
        server.grant(Some(BX), &[("grant_type", APIKEY), key, ("bss_account", &"0".repeat(32))]),
        server.grant(None, &[("grant_type", PASSWORD), ("username", "x"), ("password", "y")]),
        server.grant(Some(BX), &[("grant_type", PASSWORD), ("username", "x"), ("password", "y")]),
        server.grant(Some("Basic bm9ib2R5Ong="), &[("grant_type", APIKEY), key]),
        server.grant(Some(BX), &[("grant_type", REFRESH), ("refresh_token", "wrong")]),
        server.grant(Some(BX), &[("grant_type", PASSCODE), ("passcode", "wrong")]),
        server.grant(Some(KUBE), &[("grant_type", DELEGATED), ("refresh_token", "wrong")]),
        server.send(Request::post("/identity/passcode").header("Authorization", BX).form(&[])),
        server.send(Request::get("/identity/token")),
        server.send(Request::get("/coe/v2/accounts")),
        server.send(Request::get("/coe/v2/accounts").bearer("wrong")),
        server.send(Request::get("/identity/userinfo")),
    ]
}

#[test]
fn trap_1_access_tokens_carry_id_iss_and_account_bss_as_strings() {
    let server = shared();
    let user = server.account("trap1");
    for (login, answer) in logins(&server, &user) {
        let claims = jwt::claims(text(&answer.json(200), "/access_token"));
        assert!(text(&claims, "/id").starts_with("IBMid-"), "{login}: {claims}");
        assert!(text(&claims, "/iss").starts_with("https://"), "{login}: {claims}");
        assert_eq!(text(&claims, "/account/bss"), user.account_id, "{login}");
        assert_eq!(text(&claims, "/email"), user.username, "{login}");
    }
}

#[test]
fn trap_2_access_tokens_have_three_segments_and_whole_exp_and_iat() {
    let server = shared();
    let user = server.account("trap2");
    for (login, answer) in logins(&server, &user) {
        let body = answer.json(200);
        let (header, claims) = jwt::decode(text(&body, "/access_token"));
        assert_eq!(integer(&claims, "/exp") - integer(&claims, "/iat"), 3600, "{login}");
        assert_eq!((text(&header, "/alg"), text(&header, "/kid").is_empty()), ("RS256", false), "{login}");
    }
}

#[test]
fn trap_3_expires_in_and_expiration_are_integers() {
    let server = shared();
    let user = server.account("trap3");
    for (login, answer) in logins(&server, &user) {
        let body = answer.json(200);
        assert_eq!(integer(&body, "/expires_in"), 3600, "{login}");
        let claims = jwt::claims(text(&body, "/access_token"));
        assert_eq!(integer(&body, "/expiration"), integer(&claims, "/exp"), "{login}");
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as i64;
        assert!((integer(&body, "/expiration") - now - 3600).abs() < 300, "{login}: not in Unix seconds");
        assert_eq!(text(&body, "/token_type"), "Bearer", "{login}");
        assert_eq!(text(&body, "/scope"), "ibm openid", "{login}");
    }
}

#[test]
fn traps_4_5_and_8_refusals_have_an_error_code_textual_details_and_no_empty_errors() {
    let server = shared();
    let user = server.account("trap4");
    let answers = refusals(&server, &user);
    table(answers.into_iter().map(|a| ("refusal", a)), |answer| {
        let code = check::iam_form(&answer).map_err(|e| format!("{}: {e}", answer.of))?;
        match (400..500).contains(&answer.status) {
            true => Ok(()),
            false => Err(format!("{}: {code} came with status {}", answer.of, answer.status)),
        }
    });
}

#[test]
fn trap_6_success_and_refusal_are_application_json() {
    let server = shared();
    let user = server.account("trap6");
    let mut answers = refusals(&server, &user);
    answers.extend(logins(&server, &user).into_iter().map(|(_, a)| a));
    for answer in answers {
        let media_type = answer.content_type().split(';').next().unwrap_or_default();
        assert_eq!(media_type, "application/json", "{} {}", answer.of, answer.status);
    }
}

#[test]
fn trap_7_a_token_answer_has_no_error_member() {
    let server = shared();
    let user = server.account("trap7");
    for (login, answer) in logins(&server, &user) {
        let body = answer.json(200);
        for member in ["error", "errors", "errorCode", "errorMessage"] {
            assert_eq!(body.get(member), None, "{login}");
        }
    }
}

#[test]
fn trap_9_a_passcode_answer_holds_strings_only() {
    let server = shared();
    let login = server.login(&server.account("trap9"));
    let fields =
        [("grant_type", "refresh_token"), ("refresh_token", text(&login, "/refresh_token")), ("response_type", "cloud_iam")];
    let body = server.send(Request::post("/identity/passcode").header("Authorization", BX).form(&fields)).json(200);
    assert!(body.as_object().unwrap().values().all(Value::is_string), "{body}");
    assert!(text(&body, "/passcode").len() >= 8);
}

/// A refresh token of client `kube`, as Terraform and the CLI put it into a kubeconfig.
fn kube_refresh_token(server: &Server, user: &User) -> String {
    let login = server.login(user);
    let first = server
        .grant(
            Some(BX),
            &[
                ("grant_type", REFRESH),
                ("refresh_token", text(&login, "/refresh_token")),
                ("response_type", "delegated_refresh_token"),
                ("delegated_refresh_token_expiry", "600"),
                ("receiver_client_ids", "kube"),
            ],
        )
        .json(200);
    let delegated = text(&first, "/delegated_refresh_token");
    let second = server.grant(Some(KUBE), &[("grant_type", DELEGATED), ("refresh_token", delegated)]).json(200);
    text(&second, "/refresh_token").to_owned()
}

#[test]
fn trap_10_kubectls_refresh_gets_an_id_token_and_an_access_token() {
    let server = shared();
    let user = server.account("trap10");
    let refresh_token = kube_refresh_token(&server, &user);
    // What kubectl sends: no response_type, no scope, no Accept header. Then what it tries when that fails: the client as fields.
    let basic = Request::post("/identity/token").header("Authorization", KUBE);
    let fields = [("grant_type", REFRESH), ("refresh_token", refresh_token.as_str())];
    let with_client = [&fields[..], &[("client_id", "kube"), ("client_secret", "kube")]].concat();
    for request in [basic.form(&fields), Request::post("/identity/token").form(&with_client)] {
        let body = server.send(request).json(200);
        assert!(!text(&body, "/access_token").is_empty());
        assert!(integer(&body, "/expires_in") > 0);
        let claims = jwt::claims(text(&body, "/id_token"));
        assert_eq!(claims["aud"], "kube");
        assert!(integer(&claims, "/exp") > integer(&claims, "/iat"));
        let suffixed = |name: &str| claims[format!("{name}_{}", user.account_id)].clone();
        assert_eq!(suffixed("sub"), user.username.to_lowercase().as_str(), "{claims}");
        assert_eq!(suffixed("iam_id"), claims["iam_id"]);
        assert_eq!(suffixed("realmed_sub"), format!("IBMid-{}", text(&claims, "/sub").to_lowercase()).as_str(), "{claims}");
        assert!(suffixed("groups").is_array(), "{claims}");
        let keys = server.send(Request::get("/identity/keys")).json(200);
        jwt::verify(text(&body, "/id_token"), &keys).unwrap();
    }
}

#[test]
fn trap_10_the_delegated_token_is_for_its_receiver_and_for_its_time() {
    let server = Server::start();
    let user = server.account("receiver");
    let login = server.login(&user);
    let ask = |expiry: &str| {
        let fields = [
            ("grant_type", REFRESH),
            ("refresh_token", text(&login, "/refresh_token")),
            ("response_type", "delegated_refresh_token"),
            ("delegated_refresh_token_expiry", expiry),
            ("receiver_client_ids", "kube"),
        ];
        text(&server.grant(Some(BX), &fields).json(200), "/delegated_refresh_token").to_owned()
    };
    let redeem = |client, token: &str| server.grant(Some(client), &[("grant_type", DELEGATED), ("refresh_token", token)]);
    let (short, long) = (ask("600"), ask("518400"));
    check::refusal(&redeem(BX, &long), check::Service::Iam, 400, "").unwrap();
    server.advance_clock(601);
    check::refusal(&redeem(KUBE, &short), check::Service::Iam, 400, "").unwrap();
    redeem(KUBE, &long).expect(200);
}

#[test]
fn trap_11_response_types_are_separated_by_blank_or_comma_and_may_be_missing() {
    let server = shared();
    let user = server.account("trap11");
    let ask = |response_type: Option<&str>| {
        let mut fields = vec![("grant_type", APIKEY), ("apikey", user.apikey.as_str())];
        fields.extend(response_type.map(|r| ("response_type", r)));
        server.grant(Some(BX), &fields).json(200)
    };
    for plain in [None, Some(""), Some("cloud_iam")] {
        let body = ask(plain);
        assert_eq!((body.get("uaa_token"), body.get("ims_token")), (None, None), "{plain:?}");
    }
    for both in ["cloud_iam uaa", "cloud_iam,uaa", "uaa cloud_iam", "uaa"] {
        let body = ask(Some(both));
        assert!(!text(&body, "/uaa_token").is_empty() && !text(&body, "/uaa_refresh_token").is_empty(), "{both}: {body}");
    }
    let login = server.login(&user);
    let delegated = [
        ("grant_type", REFRESH),
        ("refresh_token", text(&login, "/refresh_token")),
        ("response_type", "cloud_iam delegated_refresh_token"),
        ("receiver_client_ids", "kube"),
    ];
    let body = server.grant(Some(BX), &delegated).json(200);
    assert!(!text(&body, "/access_token").is_empty() && !text(&body, "/delegated_refresh_token").is_empty());
}

#[test]
fn trap_12_an_api_key_works_without_a_client_and_then_the_client_is_default() {
    let server = shared();
    let user = server.account("trap12");
    let fields = [("grant_type", APIKEY), ("apikey", user.apikey.as_str()), ("response_type", "cloud_iam")];
    let client = |authorization| {
        let body = server.grant(authorization, &fields).json(200);
        let claims = jwt::claims(text(&body, "/access_token"));
        (text(&claims, "/client_id").to_owned(), body["refresh_token"].as_str().map(str::to_owned))
    };
    assert_eq!(client(None), ("default".to_owned(), Some("not_supported".to_owned())));
    for (authorization, name) in [(BX, "bx"), (KUBE, "kube")] {
        let (client, refresh_token) = client(Some(authorization));
        assert_eq!(client, name);
        assert!(refresh_token.is_some_and(|t| t.len() > 20 && t != "not_supported"), "{name} can refresh");
    }
}

#[test]
fn trap_13_the_scheme_word_is_matched_in_any_case() {
    let server = shared();
    let user = server.account("trap13");
    let token = server.token(&user);
    for scheme in ["bearer", "Bearer", "BEARER"] {
        let header = format!("{scheme} {token}");
        for path in ["/coe/v2/accounts", "/global/v2/clusters", "/identity/userinfo"] {
            server.send(Request::get(path).header("Authorization", &header)).expect(200);
        }
    }
    for scheme in ["basic", "BASIC"] {
        let fields = [("grant_type", APIKEY), ("apikey", user.apikey.as_str())];
        server.grant(Some(&format!("{scheme} Yng6Yng=")), &fields).expect(200);
    }
}

#[test]
fn trap_14_an_old_refresh_token_stays_good_after_a_new_one_is_issued() {
    let server = shared();
    let login = server.login(&server.account("trap14"));
    let old = text(&login, "/refresh_token");
    let refresh = |token: &str| server.grant(Some(BX), &[("grant_type", REFRESH), ("refresh_token", token)]).json(200);
    let new = refresh(old);
    for _ in 0..3 {
        refresh(old);
    }
    refresh(text(&new, "/refresh_token"));
}

#[test]
fn trap_14_processes_that_share_a_refresh_token_may_use_it_at_once() {
    let server = shared();
    let login = server.login(&server.account("trap14-at-once"));
    let fields = [("grant_type", REFRESH), ("refresh_token", text(&login, "/refresh_token"))];
    std::thread::scope(|scope| {
        let all: Vec<_> = (0..8).map(|_| scope.spawn(|| server.grant(Some(BX), &fields).status)).collect();
        assert!(all.into_iter().all(|one| one.join().unwrap() == 200));
    });
}

#[test]
fn trap_17_a_kubeconfig_has_a_user_that_clients_can_write_a_refresh_token_into() {
    let server = shared();
    let user = server.account("trap17");
    let token = server.token(&user);
    let cluster = server.create_vpc(&token, "trap17");
    server.normal(&token, &cluster);
    let order = json!({ "cluster": cluster, "format": "zip" });
    let answer = server.send(Request::post("/global/v2/applyRBACAndGetKubeconfig").bearer(&token).json(&order));
    let files = unpacked(&answer.expect(200).body);
    let yaml = files.iter().find(|(name, _)| name.ends_with(".yaml")).expect("one *.yaml").1;
    let config = kubeconfig(yaml, "trap17", &cluster);
    let name = text(&config, "/users/0/name");
    assert_eq!(name, format!("{}/{}/iam.cloud.ibm.com-identity", user.username, user.account_id));
    let id_token = text(&config, "/users/0/user/auth-provider/config/id-token");
    assert_eq!(jwt::claims(id_token)["aud"], "kube");
    let discovery = server.send(Request::get("/identity/.well-known/openid-configuration")).json(200);
    assert_eq!(text(&config, "/users/0/user/auth-provider/config/idp-issuer-url"), text(&discovery, "/issuer"));
}

#[test]
fn trap_18_the_issuer_is_one_and_the_same_in_tokens_and_discovery() {
    let server = shared();
    let claims = jwt::claims(&server.token(&server.account("trap18")));
    let discovery = server.send(Request::get("/identity/.well-known/openid-configuration")).json(200);
    assert_eq!(claims["iss"], discovery["issuer"]);
    assert!(text(&discovery, "/issuer").starts_with("https://"), "an API server takes no other scheme");
}

// Beyond the numbered rows: what the rest of the notes says of what is built -------------------------------------------

#[test]
fn user_tokens_carry_the_claims_that_real_clients_parse() {
    let server = shared();
    let user = server.account("claims");
    for (login, answer) in logins(&server, &user) {
        let claims = jwt::claims(text(&answer.json(200), "/access_token"));
        for name in ["iam_id", "id", "realmid", "jti", "identifier", "given_name", "family_name", "name", "email", "sub"] {
            assert!(!text(&claims, &format!("/{name}")).is_empty(), "{login}: {name}");
        }
        for name in ["sub", "iam_id", "name", "given_name", "family_name", "email"] {
            assert!(!text(&claims, &format!("/authn/{name}")).is_empty(), "{login}: authn.{name}");
        }
        assert_eq!(claims["id"], claims["iam_id"], "{login}");
        assert_eq!(claims["iam_id"].as_str(), user.iam_id.as_deref(), "{login}");
        assert_eq!(
            text(&claims, "/iam_id"),
            format!("{}-{}", text(&claims, "/realmid"), text(&claims, "/identifier")),
            "{login}"
        );
        assert_eq!(claims.pointer("/account/valid"), Some(&json!(true)), "{login}");
        assert_eq!(text(&claims, "/scope"), "ibm openid", "{login}");
        assert_eq!(claims["acr"], 1, "{login}");
        assert_eq!(claims["amr"], json!(["pwd"]), "{login}");
        assert_eq!(claims.get("aud"), None, "{login}: access tokens have no audience");
        assert_eq!(claims.get("sub_type"), None, "{login}: a person has none");
        assert!(claims.pointer("/account/ims").is_none_or(Value::is_string), "{login}");
    }
}

#[test]
fn the_grant_type_claim_is_the_grant_that_was_used() {
    let server = shared();
    let user = server.account("grants");
    let expected = [("password", PASSWORD), ("passcode", PASSCODE), ("API key as bx", APIKEY)];
    let answers = logins(&server, &user);
    for (login, grant) in expected {
        let (_, answer) = answers.iter().find(|(l, _)| *l == login).unwrap();
        assert_eq!(text(&jwt::claims(text(&answer.json(200), "/access_token")), "/grant_type"), grant);
    }
}

#[test]
fn signatures_verify_with_the_published_keys() {
    let server = shared();
    let user = server.account("signatures");
    let keys = server.send(Request::get("/identity/keys")).json(200);
    for key in array(&keys["keys"]) {
        assert_eq!((text(key, "/kty"), text(key, "/alg")), ("RSA", "RS256"));
        assert_eq!(key.get("d"), None, "a private key is published");
    }
    for (login, answer) in logins(&server, &user) {
        jwt::verify(text(&answer.json(200), "/access_token"), &keys).unwrap_or_else(|e| panic!("{login}: {e}"));
    }
}

#[test]
fn rotating_the_signing_key_keeps_live_tokens_good() {
    let server = Server::start();
    let user = server.account("rotation");
    let before = server.token(&user);
    let old = text(&jwt::decode(&before).0, "/kid").to_owned();
    let rotated = server.administrate(Request::post("/_boatyard/signing-keys/rotate")).json(200);
    let new = text(&rotated, "/kid").to_owned();
    assert_ne!(old, new);
    let after = server.token(&user);
    assert_eq!(text(&jwt::decode(&after).0, "/kid"), new, "new tokens are signed with the new key");
    let keys = server.send(Request::get("/identity/keys")).json(200);
    let published: BTreeSet<_> = array(&keys["keys"]).iter().map(|k| text(k, "/kid").to_owned()).collect();
    assert!(published.is_superset(&BTreeSet::from([old, new])), "{keys}");
    for token in [&before, &after] {
        jwt::verify(token, &keys).unwrap();
        server.send(Request::get("/global/v2/clusters").bearer(token)).expect(200);
        server.send(Request::get("/coe/v2/accounts").bearer(token)).expect(200);
    }
}

#[test]
fn discovery_names_endpoints_that_answer() {
    let server = shared();
    let document = server.send(Request::get("/identity/.well-known/openid-configuration")).json(200);
    for (member, path) in [
        ("introspection_endpoint", "/identity/introspect"),
        ("token_endpoint", "/identity/token"),
        ("revocation_endpoint", "/identity/revoke"),
        ("passcode_endpoint", "/identity/passcode"),
        ("userinfo_endpoint", "/identity/userinfo"),
        ("jwks_uri", "/identity/keys"),
    ] {
        let address = text(&document, &format!("/{member}"));
        assert_eq!(address.strip_prefix(&*server.endpoint), Some(path), "{member}");
    }
    let named =
        document.as_object().unwrap().iter().filter(|(_, value)| value.as_str().is_some_and(|text| text.starts_with("http")));
    for (member, address) in named.filter(|(member, _)| *member != "issuer") {
        let path = address.as_str().unwrap().strip_prefix(&*server.endpoint).unwrap();
        let statuses = ["GET", "POST"].map(|method| server.send(Request::new(method, path)).status);
        assert!(!statuses.contains(&501) && statuses != [404; 2], "{member}: {statuses:?}");
    }
    for (member, values) in [
        ("subject_types_supported", vec!["public"]),
        ("id_token_signing_alg_values_supported", vec!["RS256"]),
        ("token_endpoint_auth_methods_supported", vec!["client_secret_basic", "client_secret_post"]),
    ] {
        assert_eq!(document[member], json!(values), "{member}");
    }
    let grants = array(&document["grant_types_supported"]);
    for grant in [PASSWORD, APIKEY, REFRESH, DELEGATED] {
        assert!(grants.contains(&json!(grant)), "{grant} in {document}");
    }
    let keys = server.send(Request::get(text(&document, "/jwks_uri").trim_start_matches(&*server.endpoint))).json(200);
    assert!(!array(&keys["keys"]).is_empty());
}

#[test]
fn user_info_tells_who_the_token_stands_for() {
    let server = shared();
    let user = server.account("whoami");
    let token = server.token(&user);
    let claims = jwt::claims(&token);
    let body = server.send(Request::get("/identity/userinfo").bearer(&token)).json(200);
    assert_eq!(body["active"], true);
    for name in ["iam_id", "name", "email", "sub", "iss", "iat", "exp", "grant_type", "client_id", "scope", "identifier"] {
        assert_eq!(body[name], claims[name], "{name}");
    }
    assert_eq!(text(&body, "/account/bss"), user.account_id);
}

#[test]
fn uaa_client_fields_are_taken_in_both_spellings_and_empty() {
    let server = shared();
    let user = server.account("uaa");
    for name in ["uaa_client_id", "uaa_client_ID"] {
        let fields = [
            ("grant_type", APIKEY),
            ("response_type", "cloud_iam uaa"),
            ("apikey", &user.apikey),
            (name, "cf"),
            ("uaa_client_secret", ""),
        ];
        let body = server.grant(Some(BX), &fields).json(200);
        let claims = jwt::claims(text(&body, "/uaa_token"));
        assert_eq!(claims["client_id"], "cf", "{name}");
    }
}

#[test]
fn a_password_login_can_be_scoped_by_refreshing_with_an_account() {
    let server = shared();
    let user = server.account("switch");
    let password = user.password.as_deref().unwrap();
    let login =
        server.grant(Some(BX), &[("grant_type", PASSWORD), ("username", &user.username), ("password", password)]).json(200);
    for name in ["bss_account", "account"] {
        let fields = [("grant_type", REFRESH), ("refresh_token", text(&login, "/refresh_token")), (name, &user.account_id)];
        let body = server.grant(Some(BX), &fields).json(200);
        assert_eq!(text(&jwt::claims(text(&body, "/access_token")), "/account/bss"), user.account_id, "{name}");
    }
}

#[test]
fn a_federated_user_logs_in_by_key_and_passcode() {
    let server = shared();
    let user = server.federated_account("federated-login");
    let login = server.login(&user);
    let passcode = server.passcode(text(&login, "/refresh_token"));
    let fields = [("grant_type", PASSCODE), ("passcode", passcode.as_str()), ("bss_account", &user.account_id)];
    server.grant(Some(BX), &fields).expect(200);
}

#[test]
fn a_user_name_is_matched_in_any_case() {
    let server = shared();
    let user = server.account("case");
    let password = user.password.as_deref().unwrap();
    let upper = user.username.to_uppercase();
    server.grant(Some(BX), &[("grant_type", PASSWORD), ("username", &upper), ("password", password)]).expect(200);
}

#[test]
fn a_revoked_refresh_token_is_refused_and_revoking_tells_nothing() {
    let server = shared();
    let login = server.login(&server.account("revoked"));
    let token = text(&login, "/refresh_token");
    let revoke =
        |token: &str| server.send(Request::post("/identity/revoke").header("Authorization", BX).form(&[("token", token)]));
    for token in [token, token, "never-was-one"] {
        revoke(token).expect(200);
    }
    let answer = server.grant(Some(BX), &[("grant_type", REFRESH), ("refresh_token", token)]);
    check::refusal(&answer, check::Service::Iam, 400, "").unwrap();
}

#[test]
fn the_passcode_page_is_a_page() {
    let sent_on = shared().send(Request::get("/identity/passcode"));
    assert_eq!(sent_on.expect(303).header("location"), Some("/identity/login"), "nobody is logged in");
    let answer = shared().send(Request::get("/identity/login"));
    assert!(answer.expect(200).content_type().starts_with("text/html"), "{}", answer.content_type());
    assert!(answer.text().to_lowercase().contains("passcode"));
}

#[test]
fn an_error_tells_its_circumstances_in_text() {
    let server = shared();
    let body =
        server.send(Request::post("/identity/token").header("User-Agent", "e2e/1").form(&[("grant_type", "x")])).json(400);
    assert_eq!(text(&body, "/context/requestType"), "incoming.Identity_Token");
    assert_eq!(text(&body, "/context/userAgent"), "e2e/1");
    text(&body, "/context/elapsedTime").parse::<u64>().expect("milliseconds as text");
    for member in ["startTime", "endTime"] {
        let time = text(&body, &format!("/context/{member}"));
        let form: String = time.chars().map(|c| if c.is_ascii_digit() { '9' } else { c }).collect();
        assert_eq!(form, "99.99.9999 99:99:99:999 UTC", "{member}");
    }
}

// The account list ---------------------------------------------------------------------------------------------------

#[test]
fn the_account_list_has_the_callers_accounts_only() {
    let server = shared();
    let (user, _other) = (server.account("accounts"), server.account("accounts-other"));
    let body = server.send(Request::get("/coe/v2/accounts").bearer(&server.token(&user))).json(200);
    assert_eq!(body["next_url"], Value::Null);
    assert!(body.as_object().unwrap().contains_key("next_url"));
    assert_eq!(integer(&body, "/total_results"), 1);
    let account = &array(&body["resources"])[0];
    assert_eq!(array(&body["resources"]).len(), 1);
    assert_eq!(text(account, "/metadata/guid"), user.account_id);
    assert_eq!(text(account, "/metadata/url"), format!("/coe/v2/accounts/{}", user.account_id));
    for date in ["created_at", "updated_at"] {
        let date = text(account, &format!("/metadata/{date}"));
        assert!(date.parse::<jiff::Timestamp>().is_ok() && date.ends_with('Z') && date.as_bytes()[19] == b'.', "{date}");
    }
    assert_eq!(text(account, "/entity/name"), "accounts");
    assert_eq!(text(account, "/entity/state"), "ACTIVE");
    assert_eq!(text(account, "/entity/owner_userid"), user.username);
    assert!(!text(account, "/entity/owner_iam_id").is_empty() && !text(account, "/entity/type").is_empty());
    let single = server.send(Request::get(text(account, "/metadata/url")).bearer(&server.token(&user))).json(200);
    assert_eq!(&single, account);
}

#[test]
fn the_account_list_is_paged_by_relative_addresses() {
    let server = shared();
    let token = server.token(&server.account("pages"));
    let all = server.send(Request::get("/coe/v2/accounts").bearer(&token)).json(200);
    let total = integer(&all, "/total_results");
    let mut path = "/coe/v2/accounts?limit=1".to_owned();
    let mut seen = Vec::new();
    loop {
        let page = server.send(Request::get(&path).bearer(&token)).json(200);
        assert_eq!(integer(&page, "/total_results"), total);
        assert!(array(&page["resources"]).len() <= 1);
        seen.extend(array(&page["resources"]).iter().map(|a| text(a, "/metadata/guid").to_owned()));
        assert!(seen.len() as i64 <= total, "the pages go on and on");
        match page["next_url"].as_str() {
            Some(next) => {
                assert!(next.starts_with("/coe/v2/accounts?"), "clients put their own endpoint before {next}");
                path = next.to_owned();
            }
            None => break,
        }
    }
    let expected: Vec<_> = array(&all["resources"]).iter().map(|a| text(a, "/metadata/guid").to_owned()).collect();
    assert_eq!(seen, expected);
    for odd in ["limit=0", "limit=-1", "limit=many", "limit=100000", "_start=nonsense", "start=nonsense", "unknown=1"] {
        let answer = server.send(Request::get(format!("/coe/v2/accounts?{odd}")).bearer(&token));
        assert!(answer.status == 200 || answer.status == 400, "{odd}: {} {}", answer.status, answer.text());
    }
}
