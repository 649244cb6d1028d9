//! What is done with one input of a fuzzer, and what must hold of it. The test `fuzz_corpus` of `boatyard-iam` does the same with every
//! input that was kept.

use std::sync::OnceLock;

use boatyard_core::Clock;
use boatyard_core::secret::{ExposeSecret as _, SecretString};
use boatyard_iam::{Error, Form, Iam, NewAccount, TokenRequest};
use boatyard_store::Store;
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

/// An installation with one account, and a good access token of it.
struct Lab {
    runtime: Runtime,
    iam: Iam,
    token: String,
    _dir: TempDir,
}

fn lab() -> &'static Lab {
    static LAB: OnceLock<Lab> = OnceLock::new();
    LAB.get_or_init(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime is made");
        let dir = tempfile::tempdir().expect("a folder is made");
        let (iam, token) = runtime.block_on(async {
            let store = Store::sqlite(dir.path()).await.expect("a store opens");
            // Stands still long before its tokens end, however long the fuzzer runs.
            let iam =
                Iam::open(store, Clock::default(), "https://boat.example.com/identity".to_owned()).await.expect("it opens");
            (iam.clone(), fresh_token(&iam).await)
        });
        Lab { runtime, iam, token, _dir: dir }
    })
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

/// A token: the input itself, or the good one with the input put somewhere into it. Only the good one is ever taken.
pub fn access_token(data: &[u8]) {
    let lab = lab();
    let Some((&how, data)) = data.split_first() else { return };
    let text = String::from_utf8_lossy(data);
    let token = match how {
        b'r' => text.into_owned(),
        _ => spliced(&lab.token, &text),
    };
    match lab.runtime.block_on(lab.iam.authenticate(&token)) {
        Ok(caller) => {
            assert_eq!(token, lab.token, "another token was taken");
            assert!(caller.account_id.is_some());
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
