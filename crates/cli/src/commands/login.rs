//! `boatyard login` and `boatyard logout`.

use std::fs;
use std::path::{Path, PathBuf};

use boatyard_core::Clock;
use boatyard_sdk::{Account, Credential, Endpoint, Home, LoginOptions, Session};
use secrecy::{ExposeSecret as _, SecretString};

use super::account::{self, choose};
use super::target;
use crate::failure::Failure;
use crate::local::{self, Credentials};
use crate::output::Common;
use crate::terminal;

/// Log in with an API key, with a user name and a password, or with a one-time passcode.
///
/// Without any of them, the server on this machine is used, with the API key in its credentials.json.
#[derive(clap::Args, Debug)]
pub struct Args {
    // Not clap's `env`, here and for the CA: an explicit `--data-dir` goes before the environment.
    /// Address of the server, such as https://127.0.0.1:7443 (also: BOATYARD_ENDPOINT, unless there is `--data-dir`)
    #[arg(short = 'a', long, value_name = "URL")]
    endpoint: Option<String>,
    /// API key, or @FILE to read it from a file (also: BOATYARD_APIKEY or IBMCLOUD_API_KEY)
    #[arg(long, value_name = "KEY|@FILE", allow_hyphen_values = true, conflicts_with_all = ["username", "password", "sso", "passcode"])]
    apikey: Option<SecretString>,
    /// User name
    #[arg(short = 'u', long, value_name = "USER", conflicts_with_all = ["sso", "passcode"])]
    username: Option<String>,
    /// Password; asked for if left out
    #[arg(short = 'p', long, value_name = "PASSWORD", allow_hyphen_values = true, requires = "username")]
    password: Option<SecretString>,
    /// Log in with a one-time passcode and ask for it
    #[arg(long)]
    sso: bool,
    /// With --sso: open the page that shows the passcode in your browser
    #[arg(long, requires = "sso", conflicts_with = "passcode")]
    browser: bool,
    /// One-time passcode
    #[arg(long, value_name = "CODE", allow_hyphen_values = true)]
    passcode: Option<SecretString>,
    /// Account to work on, by ID or name
    #[arg(short = 'c', long, value_name = "ACCOUNT", conflicts_with = "no_account")]
    account: Option<String>,
    /// Do not select an account
    #[arg(long)]
    no_account: bool,
    /// CA certificate of the server, if no authority that this system trusts has signed its certificate (also:
    /// BOATYARD_CA_FILE)
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// Data directory of a server on this machine, for its credentials.json
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Keep the API key (in a file that only you can read) to log in again when the login ends
    #[arg(long)]
    keep_apikey: bool,
    #[command(flatten)]
    common: Common,
}

pub async fn run(mut args: Args) -> Result<(), Failure> {
    let home = Home::from_env()?;
    let remembered = Session::remembered(&home).ok().flatten();
    let local = match &args.data_dir {
        Some(dir) => Some(Credentials::read(dir)?),
        None => {
            args.endpoint = args.endpoint.or_else(|| set_in_environment("BOATYARD_ENDPOINT"));
            // A file of a server that nobody asked for must not be in the way.
            Credentials::find(&local::default_data_dir()).unwrap_or_default()
        }
    };
    let remembered_endpoint = remembered.as_ref().map(|s| (s.endpoint.as_str(), s.ca_file.as_deref()));
    let endpoint = endpoint(&args, local.as_ref(), remembered_endpoint)?;
    if endpoint.url().starts_with("http://") && !endpoint.is_loopback() {
        terminal::note(&format!(
            "Warning: your credentials travel to {} in the clear; use https:// unless you trust the whole way there.",
            endpoint.url()
        ));
    }
    let credential = credential(&args, &endpoint, local.as_ref()).await?;

    if args.common.is_chatty() {
        terminal::note(&format!("Logging in to {} ...", endpoint.url()));
    }
    let options = LoginOptions { account: None, keep_apikey: args.keep_apikey };
    // Saved when the account is settled: a wrong `-c` leaves the login before this one as it is.
    let session = Session::login_unsaved(home, Clock::default(), endpoint, credential, options).await?;
    let choice = if args.no_account { Choice::Settled } else { choose_account(&session, args.account.as_deref()).await? };
    session.save().await?;
    if let Choice::Open(accounts) = choice {
        return Err(Failure::new(
            format!("Your user has several accounts:\n{}", numbered(&accounts)),
            "You are logged in without an account. Choose one with `boatyard target -c ACCOUNT`.",
        ));
    }
    args.common.ok()?;
    if let Choice::Nothing = choice {
        args.common.remark("Your user has no account.")?;
    }
    target::show(&session, &args.common)
}

pub async fn logout(common: Common) -> Result<(), Failure> {
    let home = Home::from_env()?;
    let was_in = Session::remembered(&home)?.is_some_and(|s| s.tokens.is_some());
    let revoked = Session::logout(&home).await?;
    common.ok()?;
    if was_in && !revoked {
        common.remark("The server could not be told; the refresh token stays valid there until it expires.")?;
    }
    if common.is_json() {
        return crate::output::json(&serde_json::json!({"logged_out": was_in, "revoked": revoked}));
    }
    common.remark(if was_in { "You are logged out." } else { "You were not logged in." })
}

/// Which server: the one named, the one of this machine, the one of the last login.
fn endpoint(args: &Args, local: Option<&Credentials>, remembered: Option<(&str, Option<&Path>)>) -> Result<Endpoint, Failure> {
    let local = local.map(|l| (l.endpoint.as_str(), l.ca_file.as_deref()));
    let nowhere = || {
        Failure::usage(
            "No server is named, and none was started on this machine.",
            "Start one with `boatyard serve`, or name one with `-a URL`.",
        )
    };
    // A login before this one was somebody's choice; a server that happens to be here was not, unless it is asked for.
    let known = if args.data_dir.is_some() { [local, remembered] } else { [remembered, local] };
    let url = match &args.endpoint {
        Some(url) => url.as_str(),
        None if args.has_no_credential() && local.is_some() => local.ok_or_else(nowhere)?.0,
        None => known.into_iter().flatten().next().ok_or_else(nowhere)?.0,
    };
    let plain = Endpoint::new(url, args.ca_file.as_deref())?;
    if args.ca_file.is_some() {
        return Ok(plain);
    }
    let of = |source: Option<(&str, Option<&Path>)>| {
        source.filter(|(known, _)| *known == plain.url()).and_then(|(_, ca_file)| ca_file.map(Path::to_owned))
    };
    let asked_for = local.filter(|_| args.data_dir.is_some());
    let ca_file = of(asked_for)
        .or_else(|| set_in_environment("BOATYARD_CA_FILE").map(PathBuf::from))
        .or_else(|| of(local))
        .or_else(|| of(remembered));
    Ok(Endpoint::new(url, ca_file.as_deref())?)
}

async fn credential(args: &Args, endpoint: &Endpoint, local: Option<&Credentials>) -> Result<Credential, Failure> {
    if let Some(key) = &args.apikey {
        return Ok(Credential::ApiKey(read_key(key.expose_secret())?));
    }
    if let Some(username) = &args.username {
        let password = match &args.password {
            Some(password) => password.clone(),
            None => terminal::ask_secret("Password", "`-p PASSWORD`")?,
        };
        return Ok(Credential::Password { username: username.clone(), password });
    }
    if let Some(code) = &args.passcode {
        return Ok(Credential::Passcode(code.expose_secret().trim().into()));
    }
    if args.sso {
        // Where the server wants people to go may be another address than the one for programs.
        let page = boatyard_sdk::passcode_page(endpoint).await?;
        terminal::note(&format!("Get a one-time passcode at {page}"));
        if args.browser
            && let Err(error) = open::that_detached(&page)
        {
            terminal::note(&format!("No browser could be opened ({error}); open the address yourself."));
        }
        let passcode = terminal::ask_secret("One-time passcode", "`--passcode CODE`")?;
        return Ok(Credential::Passcode(passcode.expose_secret().trim().into()));
    }
    if let Some(key) = key_of_environment() {
        return Ok(Credential::ApiKey(read_key(&key)?));
    }
    if let Some(key) = local.filter(|l| l.endpoint == endpoint.url()).and_then(|l| l.apikey.clone()) {
        return Ok(Credential::ApiKey(key));
    }
    let username = terminal::ask("User name", "`--apikey KEY`, `-u USER -p PASSWORD` or `--passcode CODE`")?;
    let password = terminal::ask_secret("Password", "`-p PASSWORD`")?;
    Ok(Credential::Password { username, password })
}

impl Args {
    fn has_no_credential(&self) -> bool {
        self.apikey.is_none()
            && self.username.is_none()
            && self.passcode.is_none()
            && !self.sso
            && key_of_environment().is_none()
    }
}

fn key_of_environment() -> Option<String> {
    ["BOATYARD_APIKEY", "IBMCLOUD_API_KEY"].into_iter().find_map(set_in_environment)
}

fn set_in_environment(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|v| !v.is_empty())
}

/// The key itself, or `@FILE`; keys that IBM Cloud exports are JSON objects with a member `apikey`.
fn read_key(given: &str) -> Result<SecretString, Failure> {
    let Some(path) = given.strip_prefix('@') else { return Ok(given.trim().into()) };
    let text = fs::read_to_string(path).map_err(|e| Failure::file("read the API key in", Path::new(path), &e))?;
    let exported: Option<serde_json::Value> = serde_json::from_str(&text).ok();
    let key = exported.as_ref().and_then(|v| v["apikey"].as_str()).unwrap_or(&text).trim();
    if key.is_empty() {
        return Err(Failure::new(format!("There is no API key in {path}."), "Put the key, and nothing else, in the file."));
    }
    Ok(key.into())
}

/// What became of the account.
enum Choice {
    Settled,
    /// There are several, and nobody can be asked.
    Open(Vec<Account>),
    /// There is none.
    Nothing,
}

/// Selects the account named, the only one there is, or the one that the person chooses.
async fn choose_account(session: &Session, named: Option<&str>) -> Result<Choice, Failure> {
    let accounts = account::all(session).await?;
    let current = session.state().account.map(|a| a.id);
    let chosen = match named {
        Some(name) => choose(&accounts, name)?,
        None => match (accounts.as_slice(), &current) {
            // An API key belongs to one account, and its tokens are scoped to it already.
            (_, Some(id)) if accounts.iter().any(|a| a.id == *id) => choose(&accounts, id)?,
            ([only], _) => only.clone(),
            ([], _) => return Ok(Choice::Nothing),
            _ if !terminal::is_interactive() => return Ok(Choice::Open(accounts)),
            _ => ask_account(&accounts)?,
        },
    };
    if current.as_ref() == Some(&chosen.id) {
        session.name_account(chosen.name.as_deref().unwrap_or_default()).await?;
    } else {
        session.select_account(chosen).await?;
    }
    Ok(Choice::Settled)
}

fn numbered(accounts: &[Account]) -> String {
    let lines: Vec<_> = accounts.iter().enumerate().map(|(n, a)| format!("  {}. {}", n + 1, a.label())).collect();
    lines.join("\n")
}

fn ask_account(accounts: &[Account]) -> Result<Account, Failure> {
    terminal::note(&format!("Select an account:\n{}", numbered(accounts)));
    loop {
        let answer = terminal::ask("Number", "`-c ACCOUNT`")?;
        let chosen = answer.parse::<usize>().ok().and_then(|n| n.checked_sub(1)).and_then(|n| accounts.get(n));
        match chosen {
            Some(account) => return Ok(account.clone()),
            None => terminal::note(&format!("Enter a number from 1 to {}.", accounts.len())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_from_files_of_either_form() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = dir.path().join("key");
        for (text, expected) in [("abc\n", Some("abc")), (r#"{"name":"ci","apikey":"def"}"#, Some("def")), ("\n", None)] {
            fs::write(&path, text).expect("it can be written");
            let key = read_key(&format!("@{}", path.display())).ok();
            assert_eq!(key.as_ref().map(|k| k.expose_secret()), expected, "{text}");
        }
        assert_eq!(read_key("plain").expect("as it is").expose_secret(), "plain");
        assert!(read_key("@/does/not/exist").is_err());
    }
}
