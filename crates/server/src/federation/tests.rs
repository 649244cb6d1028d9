//! A provider of the test's own, which can be made to lie.

use std::sync::{Arc, Mutex};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use axum::Router;
use axum::routing::{get, post};
use serde_json::json;
use tokio::net::TcpListener;

use super::*;

const CLIENT: &str = "boatyard";

/// A key, and the name that tokens call it by.
struct Key {
    pair: EcdsaKeyPair,
    kid: &'static str,
}

impl Key {
    fn new(kid: &'static str) -> Self {
        Self { pair: EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap(), kid }
    }

    fn jwk(&self) -> Value {
        // 0x04, then the coordinates.
        let point = self.pair.public_key().as_ref();
        let (x, y) = (URL_SAFE_NO_PAD.encode(&point[1..33]), URL_SAFE_NO_PAD.encode(&point[33..]));
        json!({ "kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": self.kid, "x": x, "y": y })
    }

    fn sign(&self, header: &Value, claims: &Value) -> String {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(header), part(claims));
        let signature = self.pair.sign(&SystemRandom::new(), signed.as_bytes()).unwrap();
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

/// What the provider answers; a test changes it as it likes.
#[derive(Default)]
struct Answers {
    discovery: Value,
    keys: Value,
    /// Status and body.
    token: (u16, Value),
    user_info: Value,
}

struct Fake {
    issuer: String,
    answers: Arc<Mutex<Answers>>,
    key: Key,
}

impl Fake {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let issuer = format!("http://{}", listener.local_addr().unwrap());
        let key = Key::new("k1");
        let at = |path: &str| format!("{issuer}/{path}");
        let discovery = json!({
            "issuer": issuer, "authorization_endpoint": at("auth"), "token_endpoint": at("token"), "jwks_uri": at("keys"),
            "userinfo_endpoint": at("me"), "response_types_supported": ["code"], "subject_types_supported": ["public"],
            // It says that it signs with what anybody who knows the client secret could.
            "id_token_signing_alg_values_supported": ["ES256", "HS256", "none"],
        });
        let answers = Answers { discovery, keys: json!({ "keys": [key.jwk()] }), ..Answers::default() };
        let answers = Arc::new(Mutex::new(answers));
        let json = |answers: &Arc<Mutex<Answers>>, which: fn(&Answers) -> (u16, Value)| {
            let answers = Arc::clone(answers);
            async move || {
                let (status, body) = which(&answers.lock().unwrap());
                (http::StatusCode::from_u16(status).unwrap(), axum::Json(body))
            }
        };
        let router = Router::new()
            .route("/.well-known/openid-configuration", get(json(&answers, |a| (200, a.discovery.clone()))))
            .route("/keys", get(json(&answers, |a| (200, a.keys.clone()))))
            .route("/token", post(json(&answers, |a| a.token.clone())))
            .route("/me", get(json(&answers, |a| (200, a.user_info.clone()))));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { issuer, answers, key }
    }

    fn provider(&self) -> Provider {
        let config = OidcConfig {
            issuer: self.issuer.clone(),
            client_id: CLIENT.to_owned(),
            client_secret: Some("secret".into()),
            ca_file: None,
            scopes: vec!["email".to_owned()],
            naming: Naming::default(),
        };
        Provider::new(config, "https://boatyard.example.com").unwrap()
    }

    /// Claims of a good token for [`redirect`].
    fn claims(&self) -> Value {
        let now = now();
        json!({
            "iss": self.issuer, "aud": CLIENT, "sub": "s1", "nonce": redirect().nonce, "iat": now, "exp": now + 300,
            "email": "ada@example.com", "email_verified": true, "groups": ["math"],
        })
    }

    fn answer(&self, token: &str) {
        let mut answers = self.answers.lock().unwrap();
        answers.token = (200, json!({ "access_token": "a", "token_type": "Bearer", "id_token": token }));
        answers.user_info = json!({ "sub": "s1", "groups": ["overridden"], "department": "engines" });
    }

    async fn login(&self, provider: &Provider) -> Result<ProvidedIdentity, &'static str> {
        provider.login("code", &redirect()).await.map_err(|trouble| name(&trouble))
    }
}

fn name(trouble: &Trouble) -> &'static str {
    match trouble {
        Trouble::Unreachable(_) => "unreachable",
        Trouble::Misconfigured(_) => "misconfigured",
        Trouble::CodeRefused(_) => "code refused",
        Trouble::Clocks(_) => "clocks",
        Trouble::Unacceptable(_) => "unacceptable",
    }
}

fn now() -> i64 {
    SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs().try_into().unwrap()
}

fn redirect() -> Redirect {
    Redirect { state: "state".to_owned(), nonce: "nonce".to_owned(), verifier: "v".repeat(64) }
}

fn header() -> Value {
    json!({ "alg": "ES256", "kid": "k1" })
}

#[tokio::test]
async fn only_a_token_of_this_provider_for_this_client_this_login_and_now_is_taken() {
    let fake = Fake::start().await;
    let provider = fake.provider();
    let now = now();
    let with = |name: &str, value: Value| {
        let mut claims = fake.claims();
        claims[name] = value;
        fake.key.sign(&header(), &claims)
    };
    let foreign = Key::new("k1");
    let good = fake.key.sign(&header(), &fake.claims());
    let (signed, signature) = good.rsplit_once('.').unwrap();
    let (of_root, _) =
        with("sub", json!("root")).rsplit_once('.').map(|(signed, end)| (signed.to_owned(), end.to_owned())).unwrap();
    let (_, payload) = signed.split_once('.').unwrap();
    let none = URL_SAFE_NO_PAD.encode(json!({ "alg": "none" }).to_string());
    let cases = [
        ("good", good.clone(), Ok(())),
        ("for several audiences, of which this is one", with("aud", json!([CLIENT, "another"])), Err("unacceptable")),
        ("for another client", with("aud", json!("another")), Err("unacceptable")),
        ("of another issuer", with("iss", json!("https://evil.example")), Err("unacceptable")),
        ("for another login", with("nonce", json!("another")), Err("unacceptable")),
        ("without a nonce", with("nonce", Value::Null), Err("unacceptable")),
        ("expired", with("exp", json!(now - 120)), Err("clocks")),
        ("expired within the skew", with("exp", json!(now - 10)), Ok(())),
        ("from the future", with("iat", json!(now + 300)), Err("clocks")),
        ("from the future within the skew", with("iat", json!(now + 10)), Ok(())),
        ("signed with another key", foreign.sign(&header(), &fake.claims()), Err("unacceptable")),
        (
            "of a key that is not known",
            foreign.sign(&json!({ "alg": "ES256", "kid": "k9" }), &fake.claims()),
            Err("unacceptable"),
        ),
        ("without a signature", format!("{none}.{payload}."), Err("unacceptable")),
        ("with the signature of another", format!("{of_root}.{signature}"), Err("unacceptable")),
    ];
    for (what, token, expected) in cases {
        fake.answer(&token);
        let found = fake.login(&provider).await.map(|_| ());
        assert_eq!(found, expected, "{what}");
    }
}

#[tokio::test]
async fn what_the_provider_tells_beside_the_token_is_added_to_what_it_signs() {
    let fake = Fake::start().await;
    let provider = fake.provider();
    fake.answer(&fake.key.sign(&header(), &fake.claims()));
    let identity = fake.login(&provider).await.unwrap();
    assert_eq!((identity.issuer.as_str(), identity.subject.as_str()), (fake.issuer.as_str(), "s1"));
    assert_eq!(identity.claims["groups"], json!(["math"]), "what is signed counts for more");
    assert_eq!(identity.claims["department"], "engines");
    fake.answers.lock().unwrap().user_info = json!({ "sub": "somebody else", "email": "root@example.com" });
    assert_eq!(fake.login(&provider).await.unwrap_err(), "unacceptable", "user info of another user");
}

#[tokio::test]
async fn refusals_and_failures_of_the_provider_are_told_apart() {
    let fake = Fake::start().await;
    let provider = fake.provider();
    let cases = [
        (400, json!({ "error": "invalid_grant" }), "code refused"),
        (401, json!({ "error": "invalid_client" }), "misconfigured"),
        (400, json!({ "error": "invalid_request" }), "misconfigured"),
        (500, json!("no"), "unreachable"),
        (200, json!({}), "unreachable"),
        (200, json!({ "access_token": "a", "token_type": "Bearer" }), "unacceptable"),
    ];
    for (status, body, expected) in cases {
        fake.answers.lock().unwrap().token = (status, body.clone());
        assert_eq!(fake.login(&provider).await.unwrap_err(), expected, "{status} {body}");
    }
    // Another issuer in the document: a provider that speaks for somebody else.
    fake.answers.lock().unwrap().discovery["issuer"] = json!("https://evil.example");
    let url = fake.provider().authorization_url(&redirect()).await;
    assert_eq!(url.map_err(|trouble| name(&trouble)), Err("misconfigured"));
}

#[tokio::test]
async fn a_provider_is_asked_for_its_keys_when_it_has_new_ones() {
    let fake = Fake::start().await;
    let provider = fake.provider();
    fake.answer(&fake.key.sign(&header(), &fake.claims()));
    fake.login(&provider).await.unwrap();
    let new = Key::new("k2");
    fake.answers.lock().unwrap().keys = json!({ "keys": [fake.key.jwk(), new.jwk()] });
    fake.answer(&new.sign(&json!({ "alg": "ES256", "kid": "k2" }), &fake.claims()));
    assert_eq!(fake.login(&provider).await.unwrap_err(), "unacceptable", "not at once again");
    let mut discovered = provider.discovered.lock().await;
    let (at, _) = discovered.as_mut().unwrap();
    *at -= BELIEVED_AT_LEAST;
    drop(discovered);
    fake.login(&provider).await.unwrap();
}

#[test]
fn a_provider_must_be_reached_by_https_unless_it_is_here() {
    let cases = [
        ("https://id.example.com", true),
        ("https://id.example.com:8443/realms/staff", true),
        ("http://127.0.0.1:9000", true),
        ("http://[::1]:9000", true),
        ("http://localhost:9000/x", true),
        ("http://id.example.com", false),
        ("http://127.0.0.1.example.com", false),
        ("ldap://id.example.com", false),
        ("https://id.example.com?x=1", false),
        ("id.example.com", false),
        ("", false),
    ];
    for (issuer, accepted) in cases {
        let config = OidcConfig {
            issuer: issuer.to_owned(),
            client_id: CLIENT.to_owned(),
            client_secret: None,
            ca_file: None,
            scopes: Vec::new(),
            naming: Naming::default(),
        };
        assert_eq!(Provider::new(config, "https://boatyard.example.com").is_ok(), accepted, "{issuer}");
    }
}
