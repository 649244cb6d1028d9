//! `boatyard kube-token`: what kubectl runs to have a token for a cluster, out of the login that there is.
//!
//! A token is asked for each time: that takes milliseconds, and only the server knows whether an older one is still good, since its clock
//! can be moved and its sessions can be ended.

use std::env;
use std::path::PathBuf;

use boatyard_sdk::Session;
use jiff::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};

use crate::failure::Failure;
use crate::output;

/// Versions of what kubectl reads.
const VERSIONS: [&str; 2] = ["client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1"];

#[derive(clap::Args, Debug)]
pub struct Args {
    /// ID of the cluster. A token is good for all clusters of its account; this is for people who read the kubeconfig
    #[arg(short = 'c', long, value_name = "CLUSTER")]
    cluster: String,
    /// ID of the cluster's account, if it is another than the one you target
    #[arg(long, value_name = "ACCOUNT")]
    account: Option<String>,
}

pub async fn run(args: Args) -> Result<(), Failure> {
    let session = Session::load()?;
    let state = session.state();
    let account = args.account.as_deref().or(state.account.as_ref().map(|account| account.id.as_str()));
    let (token, expires) = session.kube_id_token(account).await.map_err(|error| {
        let cluster = &args.cluster;
        Failure::from(error).during(&format!("There is no token for the cluster {cluster}"))
    })?;
    output::line(&credential(&version(), &token, expires).to_string())
}

/// The version that kubectl says it reads.
fn version() -> String {
    let asked = env::var("KUBERNETES_EXEC_INFO").ok().and_then(|text| serde_json::from_str::<Value>(&text).ok());
    let asked = asked.and_then(|asked| asked["apiVersion"].as_str().map(str::to_owned));
    asked.filter(|version| VERSIONS.contains(&version.as_str())).unwrap_or_else(|| VERSIONS[0].to_owned())
}

fn credential(version: &str, token: &SecretString, expires: Timestamp) -> Value {
    let expires = expires.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let status = json!({ "expirationTimestamp": expires, "token": token.expose_secret() });
    json!({ "apiVersion": version, "kind": "ExecCredential", "status": status })
}

/// The user of a kubeconfig that has this command run.
pub fn exec(cluster: &str, account: Option<&str>) -> Value {
    let mut args = vec!["kube-token", "--cluster", cluster];
    args.extend(account.into_iter().flat_map(|account| ["--account", account]));
    // kubectl may be started where another login is the one that is found.
    let home = env::var("BOATYARD_HOME").ok().filter(|home| !home.is_empty());
    let variables: Vec<_> = home.iter().map(|home| json!({ "name": "BOATYARD_HOME", "value": home })).collect();
    json!({ "exec": {
        "apiVersion": VERSIONS[0],
        "command": program(),
        "args": args,
        "env": variables,
        "interactiveMode": "Never",
        "provideClusterInfo": false,
        "installHint": "Install Boatyard, or get a kubeconfig without it: boatyard cluster config, without --exec",
    } })
}

/// The name if the shell finds it, else the whole path.
fn program() -> String {
    let name = "boatyard";
    let on_path = env::split_paths(&env::var_os("PATH").unwrap_or_default()).any(|dir| dir.join(name).is_file());
    let whole = || env::current_exe().unwrap_or_else(|_| PathBuf::from(name)).display().to_string();
    if on_path { name.to_owned() } else { whole() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kubectl_is_told_the_token_and_when_it_ends() {
        let expires = Timestamp::from_second(1_790_000_000).expect("a time");
        let expected = json!({
            "apiVersion": "client.authentication.k8s.io/v1",
            "kind": "ExecCredential",
            "status": {"expirationTimestamp": "2026-09-21T14:13:20Z", "token": "t"},
        });
        assert_eq!(credential(VERSIONS[0], &"t".into(), expires), expected);
    }
}
