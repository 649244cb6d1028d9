//! Access tokens: what they say, how long they are good, and which texts are none.

#![allow(clippy::unwrap_used)] // a test ends where something unexpected happens

mod support;

use boatyard_core::secret::ExposeSecret as _;
use boatyard_iam::{Error, FirstSecrets, Iam};
use boatyard_store::Domain;
use serde_json::{Value, json};
use support::*;

#[tokio::test]
async fn an_access_token_has_the_claims_and_types_that_clients_take_apart() {
    let lab = lab().await;
    let account = lab.account("Ada@Example.com").await;
    let answer = lab.by_key("", &account).await;
    let token = text(&answer.access_token);

    let header = part(token, 0);
    assert_eq!(header.as_object().unwrap().keys().collect::<Vec<_>>(), ["alg", "kid"], "a header without typ");
    assert_eq!(header["alg"], "RS256");

    let claims = part(token, 1);
    let now = lab.clock.now().as_second();
    let iat = claims["iat"].as_i64().expect("iat is a whole number");
    assert!((now - 5..=now).contains(&iat), "{iat}");
    let person = json!({
        "sub": "ada@example.com", "iam_id": account.iam_id, "name": "Ada Lovelace", "given_name": "Ada",
        "family_name": "Lovelace", "email": "ada@example.com",
    });
    let expected = json!({
        "iam_id": account.iam_id, "id": account.iam_id, "realmid": "IBMid", "jti": claims["jti"],
        "identifier": account.iam_id.strip_prefix("IBMid-").unwrap(), "given_name": "Ada", "family_name": "Lovelace",
        "name": "Ada Lovelace", "email": "ada@example.com", "sub": "ada@example.com", "authn": person,
        "account": {"bss": account.account_id, "valid": true, "boundary": "global"},
        "iat": iat, "exp": iat + 3600, "iss": ISSUER, "grant_type": APIKEY, "scope": "ibm openid", "client_id": "default",
        "acr": 1, "amr": ["pwd"], "apikey_id": claims["apikey_id"],
    });
    assert!(claims["apikey_id"].as_str().unwrap().starts_with("ApiKey-"), "without a session a token ends with its key");
    assert_eq!(claims, expected, "nothing more, nothing less: no aud, and no session without a client");
    assert_eq!(claims["jti"].as_str().map(str::len), Some(36));
    assert_eq!((answer.expires_in, answer.expiration), (3600, iat + 3600));
    assert_eq!(account.iam_id.len(), "IBMid-".len() + 10);
}

#[tokio::test]
async fn a_token_without_an_account_has_no_account_claim_and_one_with_an_account_names_it() {
    let lab = lab().await;
    let account = lab.account("ada@example.com").await;
    let login = lab.by_password("ada@example.com").await;
    assert_eq!(claims(&login.access_token).get("account"), None);
    let scoped = lab.refresh("bx:bx", text(&login.refresh_token), &account.account_id).await.unwrap();
    assert_eq!(claims(&scoped.access_token)["account"]["bss"], json!(account.account_id));
    let caller = lab.iam.authenticate(text(&scoped.access_token)).await.unwrap();
    assert_eq!(caller.account_id.as_ref(), Some(&account.account_id));
}

#[tokio::test]
async fn each_client_and_response_type_gets_its_tokens_and_no_others() {
    let lab = lab().await;
    let account = lab.account("ada@example.com").await;
    let key = account.apikey.expose_secret();
    let (base, uaa, both) = ("cloud_iam", "cloud_iam uaa", "cloud_iam,delegated_refresh_token");
    let cases = [
        ("", "", "access, refresh not_supported"),
        ("bx:bx", "", "access, refresh, session"),
        ("bx:bx", base, "access, refresh, session"),
        ("bx:bx", uaa, "access, refresh, uaa, uaa refresh, session"),
        ("bx:bx", both, "access, refresh, delegated, session"),
        ("bx:bx", "delegated_refresh_token", "delegated"),
        ("kube:kube", base, "access, refresh, id, session"),
        ("cf:", base, "access, refresh, session"),
    ];
    for (client, response_type, expected) in cases {
        let fields = [("grant_type", APIKEY), ("apikey", key), ("response_type", response_type)];
        let answer = lab.ask(client, &fields).await.unwrap();
        let refresh = match answer.refresh_token.as_ref().map(|t| t.expose_secret()) {
            Some("not_supported") => Some("refresh not_supported"),
            other => other.map(|_| "refresh"),
        };
        let given = [
            answer.access_token.as_ref().map(|_| "access"),
            refresh,
            answer.id_token.as_ref().map(|_| "id"),
            answer.uaa_token.as_ref().map(|_| "uaa"),
            answer.uaa_refresh_token.as_ref().map(|_| "uaa refresh"),
            answer.delegated_refresh_token.as_ref().map(|_| "delegated"),
            answer.session_id.as_ref().map(|_| "session"),
        ];
        let given: Vec<_> = given.into_iter().flatten().collect();
        assert_eq!(given.join(", "), expected, "{client:?} {response_type:?}");
        if let (Some(session), Some(_)) = (&answer.session_id, &answer.access_token) {
            assert_eq!(claims(&answer.access_token)["session_id"], json!(session));
            assert!(session.starts_with("C-"), "{session}");
        }
    }
}

#[tokio::test]
async fn a_key_login_without_a_client_writes_nothing() {
    let lab = lab().await;
    let account = lab.account("ada@example.com").await;
    let written = || [Domain::Identity, Domain::Sessions].map(|domain| lab.store.generation(domain));
    lab.by_key("", &account).await;
    let before = written();
    lab.by_key("", &account).await;
    assert_eq!(written(), before);
    lab.by_key("bx:bx", &account).await;
    assert_ne!(written(), before, "a login of a client does: its session");
}

#[tokio::test]
async fn an_access_token_is_good_for_an_hour_and_no_longer_even_if_it_was_used_before() {
    let lab = lab().await;
    let account = lab.account("ada@example.com").await;
    let answer = lab.by_key("", &account).await;
    let token = text(&answer.access_token);
    assert!(lab.iam.authenticate(token).await.is_ok());
    lab.later(3590);
    assert!(lab.iam.authenticate(token).await.is_ok());
    lab.later(10);
    assert_eq!(name(lab.iam.authenticate(token).await), "TokenExpired");
    assert_eq!(name(lab.iam.authenticate(token).await), "TokenExpired", "nor the second time");
}

#[tokio::test]
async fn only_access_tokens_of_this_installation_authenticate() {
    let (lab, elsewhere) = (lab().await, lab().await);
    let account = lab.account("ada@example.com").await;
    let stranger = elsewhere.account("ada@example.com").await;
    let key = account.apikey.expose_secret();
    let answer = lab
        .ask(
            "kube:kube",
            &[("grant_type", APIKEY), ("apikey", key), ("response_type", "cloud_iam uaa delegated_refresh_token")],
        )
        .await
        .unwrap();
    let own = text(&answer.access_token);
    let foreign_answer = elsewhere.by_key("", &stranger).await;
    let foreign = text(&foreign_answer.access_token);
    let [header, payload, signature]: [&str; 3] = own.split('.').collect::<Vec<_>>().try_into().unwrap();
    let [_, foreign_payload, foreign_signature]: [&str; 3] = foreign.split('.').collect::<Vec<_>>().try_into().unwrap();
    let with_alg = |alg: &str| encode(&json!({"kid": part(own, 0)["kid"], "alg": alg}));
    let mut longer = part(own, 1);
    longer["exp"] = json!(i64::MAX / 2);
    let longer = encode(&longer);

    let cases = [
        ("signed elsewhere", foreign.to_owned(), "TokenForeign"),
        ("signed elsewhere under a key ID of ours", format!("{header}.{foreign_payload}.{foreign_signature}"), "TokenForeign"),
        ("with other claims", format!("{header}.{longer}.{signature}"), "TokenForeign"),
        ("with no signature", format!("{header}.{payload}."), "TokenForeign"),
        ("that says it is not signed", format!("{}.{payload}.", with_alg("none")), "TokenMalformed"),
        (
            "that says it is signed with a shared secret",
            format!("{}.{payload}.{signature}", with_alg("HS256")),
            "TokenMalformed",
        ),
        ("of another algorithm", format!("{}.{payload}.{signature}", with_alg("RS512")), "TokenMalformed"),
        ("without a key ID", format!("{}.{payload}.{signature}", encode(&json!({"alg": "RS256"}))), "TokenMalformed"),
        ("for a cluster", text(&answer.id_token).to_owned(), "TokenMalformed"),
        ("of UAA", text(&answer.uaa_token).to_owned(), "TokenMalformed"),
        ("to refresh with", text(&answer.refresh_token).to_owned(), "TokenMalformed"),
        ("to delegate with", text(&answer.delegated_refresh_token).to_owned(), "TokenMalformed"),
        ("cut short", own[..own.len() / 2].to_owned(), "TokenMalformed"),
        ("of two segments", format!("{header}.{payload}"), "TokenMalformed"),
        ("of four segments", format!("{own}.x"), "TokenForeign"),
        ("of garbage", "garbage".to_owned(), "TokenMalformed"),
        ("of dots", "..".to_owned(), "TokenMalformed"),
        ("of nothing", String::new(), "TokenMalformed"),
        ("that is huge", "a.".repeat(100_000), "TokenMalformed"),
        ("that is not ASCII", "ü.ü.ü".to_owned(), "TokenMalformed"),
        ("of ours", own.to_owned(), "ok"),
    ];
    for (case, token, expected) in cases {
        let found = name(lab.iam.authenticate(&token).await);
        // A fourth segment moves the signature; what is left is either unreadable or not ours.
        let fits = found == expected || (case == "of four segments" && found == "TokenMalformed");
        assert!(fits, "a token {case}: {found}, not {expected}");
    }
}

#[tokio::test]
async fn a_rotated_key_signs_new_tokens_and_the_old_ones_stay_good() {
    let lab = lab().await;
    let account = lab.account("ada@example.com").await;
    let before = lab.by_key("", &account).await;
    let old = part(text(&before.access_token), 0)["kid"].as_str().unwrap().to_owned();
    let new = lab.iam.rotate_signing_key().await.unwrap();
    assert_ne!(new, old);
    assert!(new.starts_with("20") && new.len() >= 12, "a key ID begins with its minute: {new}");

    let after = lab.by_key("", &account).await;
    assert_eq!(part(text(&after.access_token), 0)["kid"], json!(new));
    // A server that starts later has the same keys.
    let restarted = Iam::open(lab.store.clone(), lab.clock.clone(), ISSUER.to_owned()).await.unwrap();
    for iam in [&lab.iam, &restarted] {
        let kids: Vec<_> = iam.jwks().await.unwrap().into_iter().map(|key| key.kid).collect();
        assert_eq!(kids, [new.clone(), old.clone()], "the one that signs comes first");
        for token in [&before, &after].map(|answer| text(&answer.access_token)) {
            assert!(iam.authenticate(token).await.is_ok());
        }
    }
}

#[tokio::test]
async fn published_keys_are_rsa_2048_numbers_without_padding() {
    let lab = lab().await;
    let keys = serde_json::to_value(lab.iam.jwks().await.unwrap()).unwrap();
    let key = &keys[0];
    assert_eq!((key["kty"].as_str(), key["alg"].as_str(), key["use"].as_str()), (Some("RSA"), Some("RS256"), Some("sig")));
    assert_eq!(key["e"], "AQAB");
    let modulus = key["n"].as_str().unwrap();
    assert_eq!(modulus.len(), 342, "256 bytes, and no leading zero");
    assert!(modulus.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'), "{modulus}");
}

#[tokio::test]
async fn the_first_key_is_there_in_the_end_even_if_whoever_waited_for_it_went_away() {
    let lab = lab().await;
    tokio::select! {
        biased;
        _ = lab.iam.jwks() => {}
        () = async {} => {}
    }
    let keys = lab.iam.jwks().await.unwrap();
    assert_eq!(keys.len(), 1, "and it is only one");
}

#[tokio::test]
async fn an_api_key_is_recognised_and_one_disabled_since_is_refused_at_once() {
    let lab = lab().await;
    let account = lab.account("ada@example.com").await;
    let key = account.apikey.expose_secret();
    let grant = async |key: &str| lab.ask("", &[("grant_type", APIKEY), ("apikey", key)]).await;
    assert_eq!(name(grant("no such key").await), "ApiKeyNotFound");
    assert_eq!(name(grant(key).await), "ok");

    let digest = boatyard_core::Digest::of(key);
    let mut tx = lab.store.write(Domain::Identity).await.unwrap();
    let stored = boatyard_store::api_keys::by_digest(&mut tx, digest).await.unwrap().unwrap();
    boatyard_store::api_keys::disabled_set(&mut tx, &stored.account_id, &stored.id, true).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(name(grant(key).await), "ApiKeyDisabled");
}

#[tokio::test]
async fn an_api_key_works_for_its_own_account_only() {
    let lab = lab().await;
    let (first, second) = (lab.account("ada@example.com").await, lab.account("ada@example.com").await);
    assert_eq!(first.iam_id, second.iam_id, "both belong to the same user");
    let key = first.apikey.expose_secret();
    let cases = [
        (first.account_id.as_str(), "ok"),
        ("", "ok"),
        (second.account_id.as_str(), "ApiKeyOfOtherAccount"),
        ("0", "ApiKeyOfOtherAccount"),
    ];
    for (account, expected) in cases {
        for field in ["bss_account", "account"] {
            let asked = lab.ask("bx:bx", &[("grant_type", APIKEY), ("apikey", key), (field, account)]).await;
            assert_eq!(name(asked), expected, "{field}={account}");
        }
    }
}

#[tokio::test]
async fn an_id_token_tells_a_cluster_who_the_user_is_in_its_account() {
    let lab = lab().await;
    let account = lab.account("Ada@Example.com").await;
    let login = lab.by_key("bx:bx", &account).await;
    let caller = lab.iam.authenticate(text(&login.access_token)).await.unwrap();
    let token = lab.iam.id_token_for(&caller, 0).await.unwrap();
    let claims = part(&token, 1);
    let named = |prefix: &str| claims[format!("{prefix}_{}", account.account_id)].clone();
    assert_eq!((&claims["aud"], &claims["iss"]), (&json!("kube"), &json!(ISSUER)));
    assert_eq!(named("sub"), "ada@example.com");
    assert_eq!(named("iam_id"), json!(account.iam_id));
    assert_eq!(named("realmed_sub"), "IBMid-ada@example.com");
    assert_eq!(named("groups"), json!([]));
    assert!(claims["exp"].is_i64() && claims["iat"].is_i64());
}

#[tokio::test]
async fn nothing_secret_is_printed() {
    let lab = lab().await;
    let account = lab.account("ada@example.com").await;
    let key = account.apikey.expose_secret().to_owned();
    let all = "cloud_iam uaa delegated_refresh_token";
    let answer = lab.ask("kube:kube", &[("grant_type", APIKEY), ("apikey", &key), ("response_type", all)]).await.unwrap();
    let first =
        lab.iam.administrator_ensure(Some("a-key-of-the-administrator".into()), FirstSecrets::generate()).await.unwrap();
    let errors = [
        lab.ask("bx:bx", &[("grant_type", "password"), ("username", "ada@example.com"), ("password", "hunter-two")]).await,
        lab.ask("bx:bx", &[("grant_type", APIKEY), ("apikey", "hunter-two")]).await,
        lab.ask("bx:bx", &[("grant_type", "refresh_token"), ("refresh_token", "hunter-two")]).await,
        lab.ask("bx:bx", &[("grant_type", PASSCODE), ("passcode", "hunter-two")]).await,
    ]
    .map(|refused| refused.map(|_| ()).unwrap_err());
    let errors = errors.iter().map(|e: &Error| format!("{e} {e:?}")).collect::<String>();
    let printed = format!("{:?} {account:?} {answer:?} {first:?} {errors}", lab.iam);
    let secrets: [&str; 8] = [
        &key,
        text(&answer.access_token),
        text(&answer.refresh_token),
        text(&answer.id_token),
        text(&answer.uaa_token),
        text(&answer.delegated_refresh_token),
        "a-key-of-the-administrator",
        "hunter-two",
    ];
    for secret in secrets {
        assert!(!printed.contains(secret), "{secret} is in {printed}");
    }
    assert!(!printed.contains("argon2"), "a password's hash is nobody's business either");
}

#[tokio::test]
async fn no_secret_stands_in_the_database() {
    let lab = lab().await;
    let account = lab.account("ada@example.com").await;
    let login = lab.by_password("ada@example.com").await;
    let passcode = lab.passcode("bx:bx", text(&login.refresh_token)).await.unwrap();
    let secrets = [account.apikey.expose_secret(), PASSWORD, text(&login.refresh_token), passcode.as_str()];
    lab.store.close().await;
    for file in std::fs::read_dir(lab.dir.path()).unwrap() {
        let path = file.unwrap().path();
        let bytes = std::fs::read(&path).unwrap();
        for secret in secrets {
            let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!found, "{} holds {secret}", path.display());
        }
    }
}

#[tokio::test]
async fn user_information_is_the_tokens_claims() {
    let lab = lab().await;
    let account = lab.account("ada@example.com").await;
    let answer = lab.by_key("bx:bx", &account).await;
    let caller = lab.iam.authenticate(text(&answer.access_token)).await.unwrap();
    let claims: &Value = &caller.claims;
    assert_eq!(claims, &part(text(&answer.access_token), 1));
    assert_eq!((caller.email.as_str(), caller.name.as_str()), ("ada@example.com", "Ada Lovelace"));
    assert_eq!((caller.client_id.as_str(), caller.session_id.as_ref()), ("bx", answer.session_id.as_ref()));
}
