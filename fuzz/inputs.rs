//! What is done with one input of a fuzzer, and what must hold of it. The test `fuzz_corpus` of `boatyard-iam` does the same with every
//! input that was kept.

use std::sync::OnceLock;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeyPair;
use aws_lc_rs::signature::RSA_PKCS1_SHA256;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use boatyard_core::Clock;
use boatyard_core::secret::{ExposeSecret as _, SecretString};
use boatyard_iam::{Error, Form, Iam, NewAccount, TokenRequest};
use boatyard_store::{Store, signing_keys};
use serde_json::{Map, Value};
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// A request to the token endpoint: a line with the `Authorization` header, a line with the query parameter `account`, and the body.
/// It is understood the same whatever the order of its fields, and what is understood has no secret in its printed form.
pub fn token_request(data: &[u8]) {
    let mut lines = data.splitn(3, |byte| *byte == b'\n');
    let text = |line: Option<&[u8]>| String::from_utf8(line.unwrap_or_default().to_vec()).ok();
    let (Some(header), Some(account)) = (text(lines.next()), text(lines.next())) else { return };
    let fields: Vec<(String, String)> = serde_urlencoded::from_bytes(lines.next().unwrap_or_default()).unwrap_or_default();
    let parse = |fields: Vec<(String, String)>| {
        TokenRequest::parse(Some(&header), &Form::new(fields), Some(&account)).map_err(|error| format!("{error:?}"))
    };
    let request = parse(fields.clone());
    let printed = format!("{request:?}");
    assert_eq!(printed, format!("{:?}", parse(fields.iter().rev().cloned().collect())), "the order of fields means nothing");
    if request.is_ok() {
        let secrets = ["apikey", "password", "passcode", "refresh_token"];
        for (_, value) in fields.iter().filter(|(name, value)| secrets.contains(&name.as_str()) && value.len() > 24) {
            let elsewhere =
                fields.iter().any(|(name, other)| !secrets.contains(&name.as_str()) && other.contains(value.as_str()));
            assert!(elsewhere || !printed.contains(&format!("{value:?}")), "a secret is printed");
        }
    }
}

/// An installation with one account, a good access token of it, and the key that signs.
struct Lab {
    runtime: Runtime,
    iam: Iam,
    token: String,
    claims: Map<String, Value>,
    key: KeyPair,
    _dir: TempDir,
}

fn lab() -> &'static Lab {
    static LAB: OnceLock<Lab> = OnceLock::new();
    LAB.get_or_init(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime is made");
        let dir = tempfile::tempdir().expect("a folder is made");
        let (iam, token, key) = runtime.block_on(async {
            let store = Store::sqlite(dir.path()).await.expect("a store opens");
            // Stands still long before its tokens end, however long the fuzzer runs.
            let iam = Iam::open(store.clone(), Clock::default(), "https://boat.example.com/identity".to_owned())
                .await
                .expect("it opens");
            let token = fresh_token(&iam).await;
            let mut conn = store.read().await.expect("the store can be read");
            let keys = signing_keys::list(&mut conn, store.sealer()).await.expect("keys can be read");
            let document = STANDARD.decode(keys[0].pkcs8.expose_secret()).expect("a key is Base64");
            (iam, token, KeyPair::from_pkcs8(&document).expect("it is an RSA key"))
        });
        let claims = token.split('.').nth(1).and_then(|claims| URL_SAFE_NO_PAD.decode(claims).ok());
        let claims = claims.and_then(|claims| serde_json::from_slice(&claims).ok()).expect("a token has claims");
        Lab { runtime, iam, token, claims, key, _dir: dir }
    })
}

impl Lab {
    /// A token with these claims that the installation's own key signs.
    fn signed(&self, claims: &[u8]) -> String {
        let (header, _) = self.token.split_once('.').expect("a token has three parts");
        let message = format!("{header}.{}", URL_SAFE_NO_PAD.encode(claims));
        let mut signature = vec![0; self.key.public_modulus_len()];
        self.key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message.as_bytes(), &mut signature).expect("the key signs");
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

async fn fresh_token(iam: &Iam) -> String {
    let new = NewAccount {
        name: "fuzz".to_owned(),
        username: "fuzz@example.com".to_owned(),
        federated: true,
        ..NewAccount::default()
    };
    let account = iam.account_create(new).await.expect("an account is made");
    let fields = vec![
        ("grant_type".to_owned(), "urn:ibm:params:oauth:grant-type:apikey".to_owned()),
        ("apikey".to_owned(), account.apikey.expose_secret().to_owned()),
    ];
    let request = TokenRequest::parse(None, &Form::new(fields), None).expect("the request is good");
    let answer = iam.token(&request).await.expect("the key is good");
    answer.access_token.as_ref().map(SecretString::expose_secret).expect("an access token is issued").to_owned()
}

/// A token: the input itself (`r`), the good one with the input put somewhere into it, or one with the right signature whose claims are
/// the input (`s`) or the good ones with the members of the input (`c`; `null` takes one away). Without the right signature only the
/// good one is ever taken; with it, only what says whose it is, for what account and until when.
pub fn access_token(data: &[u8]) {
    let lab = lab();
    let Some((&how, data)) = data.split_first() else { return };
    let text = String::from_utf8_lossy(data);
    let (token, is_signed) = match how {
        b'r' => (text.into_owned(), false),
        b's' => (lab.signed(data), true),
        b'c' => {
            let Ok(changes) = serde_json::from_slice::<Map<String, Value>>(data) else { return };
            let mut claims = lab.claims.clone();
            claims.extend(changes);
            claims.retain(|_, value| !value.is_null());
            (lab.signed(Value::Object(claims).to_string().as_bytes()), true)
        }
        _ => (spliced(&lab.token, &text), false),
    };
    match lab.runtime.block_on(lab.iam.authenticate(&token)) {
        Ok(caller) => {
            assert!(is_signed || token == lab.token, "a token that nobody signed was taken");
            let claims = &caller.claims;
            assert!(claims.get("aud").is_none(), "an ID token was taken for an access token");
            assert_eq!(claims["iam_id"].as_str(), Some(caller.iam_id.as_str()));
            assert_eq!(claims["account"]["bss"].as_str(), caller.account_id.as_deref());
            assert_eq!(claims["exp"].as_i64(), Some(caller.expires_at.as_second()));
        }
        Err(Error::TokenMalformed | Error::TokenForeign | Error::TokenExpired) => {}
        Err(error) => panic!("a bad token is a refusal and nothing else: {error}"),
    }
}

/// `token` with a piece of it replaced: the input is `offset length replacement`.
fn spliced(token: &str, input: &str) -> String {
    let mut words = input.splitn(3, ' ');
    let mut number = || words.next().and_then(|word| word.parse::<usize>().ok()).unwrap_or_default();
    let from = number().min(token.len());
    let to = from.saturating_add(number()).min(token.len());
    // Tokens are ASCII, so every place is between two characters.
    format!("{}{}{}", &token[..from], words.next().unwrap_or_default(), &token[to..])
}
