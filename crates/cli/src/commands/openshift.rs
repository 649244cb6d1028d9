//! `boatyard oc login`, `whoami` and `logout`: OpenShift clusters, as `oc` logs in to them.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use boatyard_sdk::{Endpoint, Home, OpenShift, Session};
use clap::Subcommand;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::json;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

use super::cluster;
use crate::args::Kubernetes;
use crate::failure::Failure;
use crate::kubeconfig::{self, Current};
use crate::local::{self, Credentials};
use crate::output::{self, Common};
use crate::terminal;

/// How long somebody may take in the browser.
const BROWSER_PATIENCE: std::time::Duration = std::time::Duration::from_secs(300);

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Log in to an OpenShift cluster and add it to your kubeconfig
    Login(Login),
    /// Show who you are in the cluster of your kubeconfig's current context
    Whoami(Whoami),
    /// End the token of your kubeconfig's current context
    Logout(Common),
    #[command(flatten)]
    Kubernetes(Kubernetes),
}

/// Log in to an OpenShift cluster and add it to your kubeconfig, as `oc login` does.
///
/// Without a credential, whoever is logged in with `boatyard login` is logged in to the cluster.
#[derive(clap::Args, Debug)]
pub struct Login {
    /// Address of the cluster's API, such as https://127.0.0.1:7443/kube/CLUSTER_ID
    #[arg(value_name = "SERVER", conflicts_with_all = ["server", "cluster"])]
    at: Option<String>,
    /// The same
    #[arg(long, value_name = "URL", conflicts_with = "cluster")]
    server: Option<String>,
    /// ID or name of a cluster of the account you are logged in to
    #[arg(short = 'c', long, value_name = "CLUSTER")]
    cluster: Option<String>,
    /// `apikey`, `passcode`, or a user name
    #[arg(short = 'u', long, value_name = "USER", conflicts_with_all = ["token", "web"])]
    username: Option<String>,
    /// API key, passcode or password; asked for if left out
    #[arg(short = 'p', long, value_name = "PASSWORD", allow_hyphen_values = true, requires = "username")]
    password: Option<SecretString>,
    /// Token from the page SERVER/oauth/token/request
    #[arg(long, value_name = "TOKEN", conflicts_with = "web")]
    token: Option<SecretString>,
    /// Log in with your browser
    #[arg(short = 'w', long)]
    web: bool,
    /// CA certificate of the server, if no authority that this system trusts has signed its certificate (also: BOATYARD_CA_FILE)
    #[arg(long, value_name = "FILE", alias = "ca-file")]
    certificate_authority: Option<PathBuf>,
    #[command(flatten)]
    common: Common,
}

#[derive(clap::Args, Debug)]
pub struct Whoami {
    /// Show the token instead
    #[arg(short = 't', long)]
    show_token: bool,
    /// Show the address of the API instead
    #[arg(long, conflicts_with = "show_token")]
    show_server: bool,
    #[command(flatten)]
    common: Common,
}

pub async fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Login(args) => login(args).await,
        Command::Whoami(args) => whoami(args).await,
        Command::Logout(common) => logout(common).await,
        Command::Kubernetes(command) => super::kubernetes(command).await,
    }
}

async fn login(args: Login) -> Result<(), Failure> {
    let server = server(&args).await?;
    let ca_file = ca_file(&args, &server);
    let openshift = OpenShift::at(&server, ca_file.as_deref())?;
    let token = token(&args, &openshift).await?;
    let user = openshift.whoami(&token).await?;
    let config = kubeconfig(openshift.server(), ca_file.as_deref(), &user, &token)?;
    let path = kubeconfig::default_path()?;
    let context = kubeconfig::merge_into(&path, &config)?;
    if args.common.is_json() {
        return output::json(&json!({ "server": openshift.server(), "user": user, "context": context, "kubeconfig": path }));
    }
    args.common.ok()?;
    args.common.remark(&format!("Logged in to {} as {user}.", openshift.server()))?;
    args.common.remark(&format!("The context {context} of {} is the current one.", path.display()))
}

/// Which cluster.
async fn server(args: &Login) -> Result<String, Failure> {
    if let Some(server) = args.at.as_ref().or(args.server.as_ref()) {
        return Ok(server.clone());
    }
    let Some(name) = &args.cluster else {
        return Err(Failure::usage("No cluster is named.", "Name one with `-c CLUSTER`, or give the address of its API."));
    };
    let found = cluster::get(&Session::load()?, name, false).await?;
    if found.type_.as_deref() != Some("openshift") {
        let next = format!("Use `boatyard cluster config -c {name}`.");
        return Err(Failure::new(format!("{name} is a Kubernetes cluster, which has no login of its own."), next));
    }
    found.master_url.filter(|url| !url.is_empty()).ok_or_else(|| {
        let next = format!("Wait until it is: `boatyard cluster get -c {name}` shows its state.");
        Failure::new(format!("The master of {name} is not ready yet."), next)
    })
}

/// What is trusted: the file named, or what the login trusts if the cluster is of that server, or a server of this machine.
fn ca_file(args: &Login, server: &str) -> Option<PathBuf> {
    let named = args.certificate_authority.clone();
    let set = || std::env::var_os("BOATYARD_CA_FILE").filter(|v| !v.is_empty()).map(PathBuf::from);
    let is_of = |endpoint: &str| server.strip_prefix(endpoint).is_some_and(|rest| rest.starts_with('/'));
    let of_login = || {
        let remembered = Home::from_env().ok().and_then(|home| Session::remembered(&home).ok().flatten())?;
        remembered.ca_file.filter(|_| is_of(&remembered.endpoint))
    };
    let of_here = || {
        let here = Credentials::find(&local::default_data_dir()).ok().flatten()?;
        here.ca_file.filter(|_| is_of(&here.endpoint))
    };
    named.or_else(set).or_else(of_login).or_else(of_here)
}

async fn token(args: &Login, openshift: &OpenShift) -> Result<SecretString, Failure> {
    if let Some(token) = &args.token {
        return Ok(token.clone());
    }
    if args.web {
        return with_browser(openshift, &args.common).await;
    }
    if let Some(username) = &args.username {
        let password = match &args.password {
            Some(password) => password.clone(),
            None => terminal::ask_secret(question(username), "`-p PASSWORD`")?,
        };
        return Ok(openshift.login(username, &password).await?);
    }
    let session = Session::load()?;
    // A passcode is worth a login: it goes to the server that it is from, and nowhere else.
    let is_of = |endpoint: &Endpoint| openshift.server().strip_prefix(endpoint.url()).is_some_and(|rest| rest.starts_with('/'));
    if !is_of(session.endpoint()) {
        return Err(Failure::usage(
            format!("You are logged in to {}, which is another server than the cluster's.", session.endpoint().url()),
            "Give `-u apikey -p KEY`, `-u passcode -p CODE`, `--token TOKEN` or `--web`.",
        ));
    }
    let passcode = session.passcode().await?;
    Ok(openshift.login("passcode", &passcode).await?)
}

fn question(username: &str) -> &'static str {
    match username {
        "apikey" => "API key",
        "passcode" => "One-time passcode",
        _ => "Password",
    }
}

/// Has the browser log in, which then comes back to a port of this machine.
async fn with_browser(openshift: &OpenShift, common: &Common) -> Result<SecretString, Failure> {
    let unusable = |e: std::io::Error| {
        Failure::new(format!("Cannot wait for the browser: {e}"), "Log in with `-u passcode`, or with a token from the page.")
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.map_err(unusable)?;
    let port = listener.local_addr().map_err(unusable)?.port();
    let login = openshift.browser_login(&format!("http://127.0.0.1:{port}/callback")).await?;
    if common.is_chatty() {
        terminal::note(&format!("Go on in your browser. If it does not open, go to:\n{}", login.url));
    }
    if let Err(error) = open::that_detached(&login.url) {
        terminal::note(&format!("No browser could be opened ({error}); open this address yourself:\n{}", login.url));
    }
    let came_back = async {
        loop {
            let (stream, _) = listener.accept().await.map_err(unusable)?;
            if let Some(answer) = callback(stream, &login.state).await {
                return answer;
            }
        }
    };
    let late = || Failure::new("Nobody logged in with the browser within five minutes.", "Try again.");
    let code = tokio::time::timeout(BROWSER_PATIENCE, came_back).await.map_err(|_| late())??;
    Ok(openshift.browser_token(&login, &code).await?)
}

/// The code that a browser comes back with; `None` for a request that is not that, such as for an icon.
async fn callback(stream: TcpStream, state: &str) -> Option<Result<String, Failure>> {
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    tokio::time::timeout(std::time::Duration::from_secs(5), stream.read_line(&mut line)).await.ok()?.ok()?;
    let target = line.strip_prefix("GET ")?.split(' ').next()?;
    let url = reqwest::Url::parse("http://127.0.0.1").ok()?.join(target).ok()?;
    let value = |name: &str| url.query_pairs().find(|(n, _)| n == name).map(|(_, v)| v.into_owned());
    // Only what was begun here is taken back.
    let ours = url.path() == "/callback" && value("state").as_deref() == Some(state);
    let answer = match (ours, value("code")) {
        (false, _) => None,
        (true, Some(code)) => Some(Ok(code)),
        (true, None) => {
            let why = value("error_description").or_else(|| value("error")).unwrap_or_default();
            Some(Err(Failure::new(format!("The login was refused: {why}"), "Try again, or log in with `-u passcode`.")))
        }
    };
    let (status, text) = match &answer {
        Some(Ok(_)) => ("200 OK", "You are logged in. Close this page and go back to your terminal."),
        Some(Err(_)) => ("200 OK", "The login was refused. Go back to your terminal."),
        None => ("404 Not Found", "There is nothing here."),
    };
    let body = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{text}",
        text.len()
    );
    // The browser has done its part, whether or not it is told.
    let _ = stream.get_mut().write_all(body.as_bytes()).await;
    let _ = stream.get_mut().shutdown().await;
    answer
}

/// Names as `oc` and IBM's libraries give them; with the path, since clusters may share host and port.
fn kubeconfig(server: &str, ca_file: Option<&Path>, user: &str, token: &SecretString) -> Result<yaml_serde::Value, Failure> {
    let name = nickname(server);
    let mut known = json!({ "server": server });
    if let Some(path) = ca_file {
        let pem = std::fs::read(path).map_err(|e| Failure::file("read the CA certificate in", path, &e))?;
        known["certificate-authority-data"] = json!(STANDARD.encode(pem));
    }
    let (context, login) = (format!("default/{name}/{user}"), format!("{user}/{name}"));
    let config = json!({
        "apiVersion": "v1", "kind": "Config",
        "clusters": [{ "name": name, "cluster": known }],
        "contexts": [{ "name": context, "context": { "cluster": name, "namespace": "default", "user": login } }],
        "users": [{ "name": login, "user": { "token": token.expose_secret() } }],
        "current-context": context,
    });
    yaml_serde::to_value(config)
        .map_err(|e| Failure::new(format!("The kubeconfig cannot be written as YAML: {e}"), "Use `oc login` with the token."))
}

fn nickname(server: &str) -> String {
    let bare = server.split_once("://").map_or(server, |(_, rest)| rest).to_lowercase();
    let mut name = String::new();
    for c in bare.chars() {
        let c = if c.is_ascii_alphanumeric() || c == ':' { c } else { '-' };
        if c != '-' || !name.ends_with('-') {
            name.push(c);
        }
    }
    name
}

/// The cluster of the current context and its token.
fn current() -> Result<(Current, OpenShift, SecretString), Failure> {
    let path = kubeconfig::default_path()?;
    let nowhere = || {
        let what = format!("The current context of {} is not that of an OpenShift login.", path.display());
        Failure::new(what, "Log in with `boatyard oc login`, or choose a context with `kubectl config use-context`.")
    };
    let current = kubeconfig::current(&path)?.ok_or_else(nowhere)?;
    let token = current.token.clone().filter(|token| !token.is_empty()).ok_or_else(nowhere)?;
    let openshift = match &current.ca {
        None => OpenShift::at(&current.server, current.ca_file.as_deref())?,
        Some(pem) => {
            let failed = |e: std::io::Error| Failure::file("write the CA certificate to", &std::env::temp_dir(), &e);
            let file = tempfile::NamedTempFile::new().map_err(failed)?;
            std::fs::write(file.path(), pem).map_err(failed)?;
            // It is read here and not again.
            OpenShift::at(&current.server, Some(file.path()))?
        }
    };
    Ok((current, openshift, SecretString::from(token)))
}

async fn whoami(args: Whoami) -> Result<(), Failure> {
    let (current, openshift, token) = current()?;
    if args.show_server {
        return output::line(&current.server);
    }
    if args.show_token {
        return output::line(token.expose_secret());
    }
    let user = openshift.whoami(&token).await?;
    match args.common.is_json() {
        true => output::json(&json!({ "user": user, "server": current.server, "context": current.context })),
        false => output::line(&user),
    }
}

async fn logout(common: Common) -> Result<(), Failure> {
    let (current, openshift, token) = current()?;
    let ended = openshift.logout(&token).await?;
    kubeconfig::forget_token(&kubeconfig::default_path()?, token.expose_secret())?;
    if common.is_json() {
        return output::json(&json!({ "server": current.server, "ended": ended }));
    }
    common.ok()?;
    let how = if ended { "Logged out of" } else { "The token had ended before; it is forgotten for" };
    common.remark(&format!("{how} {}.", current.server))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clusters_are_named_as_other_clients_name_them() {
        for (server, expected) in [
            ("https://c100-e.us-south.containers.cloud.ibm.com:30426", "c100-e-us-south-containers-cloud-ibm-com:30426"),
            ("https://127.0.0.1:7443/kube/c1", "127-0-0-1:7443-kube-c1"),
        ] {
            assert_eq!(nickname(server), expected);
        }
        let token = SecretString::from("sha256~x");
        let config = kubeconfig("https://h:1/kube/c1", None, "IAM#ada", &token).expect("it is YAML");
        assert_eq!(config["current-context"].as_str(), Some("default/h:1-kube-c1/IAM#ada"));
        assert_eq!(config["users"][0]["name"].as_str(), Some("IAM#ada/h:1-kube-c1"));
        assert_eq!(config["users"][0]["user"]["token"].as_str(), Some("sha256~x"));
    }
}
