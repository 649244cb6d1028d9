//! An identity service on a store of its own, and short ways to ask it.
#![allow(dead_code)] // each test file uses its own part

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use boatyard_core::clock::Clock;
use boatyard_core::secret::{ExposeSecret as _, SecretString};
use boatyard_iam::{CreatedAccount, Error, Form, Iam, NewAccount, Result, TokenAnswer, TokenRequest};
use boatyard_store::Store;
use jiff::SignedDuration;
use serde_json::Value;
use tempfile::TempDir;

pub const ISSUER: &str = "https://boat.example.com/identity";
pub const PASSWORD: &str = "correct horse battery staple";

pub const APIKEY: &str = "urn:ibm:params:oauth:grant-type:apikey";
pub const PASSCODE: &str = "urn:ibm:params:oauth:grant-type:passcode";
pub const DELEGATED: &str = "urn:ibm:params:oauth:grant-type:delegated-refresh-token";

pub struct Lab {
    pub iam: Iam,
    pub store: Store,
    pub clock: Clock,
    pub dir: TempDir,
}

pub async fn lab() -> Lab {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::sqlite(dir.path()).await.unwrap();
    let clock = Clock::default();
    let iam = Iam::open(store.clone(), clock.clone(), ISSUER.to_owned()).await.unwrap();
    Lab { iam, store, clock, dir }
}

impl Lab {
    /// An account whose owner has [`PASSWORD`].
    pub async fn account(&self, username: &str) -> CreatedAccount {
        self.owned(username, false).await
    }

    /// An account whose owner has no password.
    pub async fn federated(&self, username: &str) -> CreatedAccount {
        self.owned(username, true).await
    }

    async fn owned(&self, username: &str, federated: bool) -> CreatedAccount {
        let new = NewAccount {
            name: format!("account of {username}"),
            username: username.to_owned(),
            given_name: "Ada".to_owned(),
            family_name: "Lovelace".to_owned(),
            password: (!federated).then(|| SecretString::from(PASSWORD)),
            federated,
        };
        self.iam.account_create(new).await.unwrap()
    }

    /// Asks for tokens as the client `id:secret`, or as none if that is empty.
    pub async fn ask(&self, client: &str, fields: &[(&str, &str)]) -> Result<TokenAnswer> {
        self.iam.token(&TokenRequest::parse(basic(client).as_deref(), &form(fields), None)?).await
    }

    pub async fn by_key(&self, client: &str, account: &CreatedAccount) -> TokenAnswer {
        self.ask(client, &[("grant_type", APIKEY), ("apikey", account.apikey.expose_secret())]).await.unwrap()
    }

    pub async fn by_password(&self, username: &str) -> TokenAnswer {
        self.ask("bx:bx", &[("grant_type", "password"), ("username", username), ("password", PASSWORD)]).await.unwrap()
    }

    pub async fn refresh(&self, client: &str, token: &str, account: &str) -> Result<TokenAnswer> {
        self.ask(client, &[("grant_type", "refresh_token"), ("refresh_token", token), ("bss_account", account)]).await
    }

    pub async fn passcode(&self, client: &str, refresh_token: &str) -> Result<String> {
        let fields = form(&[("grant_type", "refresh_token"), ("refresh_token", refresh_token)]);
        self.iam.passcode_create(basic(client).as_deref(), &fields).await
    }

    pub fn later(&self, seconds: i64) {
        self.clock.advance(SignedDuration::from_secs(seconds));
    }
}

pub fn form(fields: &[(&str, &str)]) -> Form {
    Form::new(fields.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect())
}

fn basic(client: &str) -> Option<String> {
    (!client.is_empty()).then(|| format!("Basic {}", STANDARD.encode(client)))
}

/// The text of a token that must be there.
pub fn text(token: &Option<SecretString>) -> &str {
    token.as_ref().expect("the answer has it").expose_secret()
}

/// Part `index` of a token as JSON: 0 the header, 1 the claims.
pub fn part(token: &str, index: usize) -> Value {
    let part = token.split('.').nth(index).expect("a token has three segments");
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

pub fn claims(token: &Option<SecretString>) -> Value {
    part(text(token), 1)
}

pub fn encode(json: &Value) -> String {
    URL_SAFE_NO_PAD.encode(json.to_string())
}

/// The name of a refusal, for tables.
pub fn name<T>(result: Result<T>) -> String {
    let error = match result {
        Ok(_) => return "ok".to_owned(),
        Err(error) => error,
    };
    if let Error::Store(_) | Error::Key(_) | Error::Interrupted(_) = error {
        panic!("not a refusal: {error}");
    }
    let printed = format!("{error:?}");
    printed.split([' ', '(', '{']).next().unwrap_or_default().to_owned()
}
