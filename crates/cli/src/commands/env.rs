//! `boatyard env`: settings for other programs.

use std::path::{Path, PathBuf};

use boatyard_sdk::{Home, Session};
use clap::ValueEnum;
use secrecy::{ExposeSecret as _, SecretString};

use crate::failure::Failure;
use crate::local::{self, Credentials};
use crate::output::{self, Common};

/// Services by the prefix that the IBM SDKs read, with the path that their default URL ends in.
const SERVICES: [(&str, &str); 9] = [
    ("KUBERNETES_SERVICE_API", "/global"),
    ("IAM_IDENTITY", ""),
    ("IAM_POLICY_MANAGEMENT", ""),
    ("IAM_ACCESS_GROUPS", ""),
    ("ACCOUNT_MANAGEMENT", ""),
    ("USER_MANAGEMENT", ""),
    ("RESOURCE_MANAGER", ""),
    ("RESOURCE_CONTROLLER", ""),
    ("GLOBAL_TAGGING", "/"),
];

/// Services of Terraform's provider that it finds at `IBMCLOUD_<service>_ENDPOINT`, without a path.
const PROVIDER_SERVICES: [&str; 8] = [
    "ACCOUNT_MANAGEMENT_API",
    "USER_MANAGEMENT",
    "RESOURCE_MANAGEMENT_API",
    "RESOURCE_CONTROLLER_API",
    "RESOURCE_CATALOG_API",
    "IAMPAP_API",
    "GT_API",
    "GS_API",
];

/// Print the settings that point Terraform's IBM provider and the IBM SDKs at a server.
///
/// Use it as: eval "$(boatyard env)"
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Shell that reads the settings [default: the one in $SHELL]
    #[arg(long, value_enum, value_name = "SHELL")]
    shell: Option<Shell>,
    /// Data directory of a server on this machine, for its credentials.json
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    #[command(flatten)]
    common: Common,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Shell {
    #[value(aliases = ["sh", "zsh"])]
    Bash,
    Fish,
    #[value(alias = "pwsh")]
    Powershell,
}

/// What the settings point at.
struct Target {
    endpoint: String,
    ca_file: Option<PathBuf>,
    apikey: Option<SecretString>,
}

/// A remark, or a variable and its value.
enum Line {
    Remark(&'static str),
    Set(String, String),
}

pub fn run(args: &Args) -> Result<(), Failure> {
    let lines = lines(&target(args.data_dir.as_deref())?);
    if args.common.is_json() {
        let set = lines.into_iter().filter_map(|l| match l {
            Line::Set(name, value) => Some((name, value.into())),
            Line::Remark(_) => None,
        });
        return output::json(&set.collect::<serde_json::Map<_, _>>());
    }
    let shell = args.shell.unwrap_or_else(Shell::of_environment);
    let chatty = args.common.is_chatty();
    let text: String = lines.iter().filter(|l| chatty || matches!(l, Line::Set(..))).map(|l| shell.line(l)).collect();
    output::print(&text)
}

/// The server named, the one logged in to, or the one on this machine.
fn target(data_dir: Option<&Path>) -> Result<Target, Failure> {
    let of = |c: Credentials| Target { endpoint: c.endpoint, ca_file: c.ca_file, apikey: c.apikey };
    if let Some(dir) = data_dir {
        return Credentials::read(dir).map(of);
    }
    let local = Credentials::find(&local::default_data_dir()).unwrap_or_default();
    let login = Session::remembered(&Home::from_env()?)?.filter(|s| s.tokens.is_some());
    match (login, local) {
        (Some(login), local) => {
            let local_key = local.filter(|l| l.endpoint == login.endpoint).and_then(|l| l.apikey);
            Ok(Target { endpoint: login.endpoint, ca_file: login.ca_file, apikey: login.apikey.or(local_key) })
        }
        (None, Some(local)) => Ok(of(local)),
        (None, None) => Err(Failure::new(
            "You are not logged in, and no server was started on this machine.",
            "Log in with `boatyard login -a URL`, or name a server's directory with `--data-dir DIR`.",
        )),
    }
}

fn lines(target: &Target) -> Vec<Line> {
    let base = target.endpoint.trim_end_matches('/');
    let key = target.apikey.as_ref().map(|k| k.expose_secret().to_owned());
    let mut lines = vec![Line::Remark("Terraform's IBM provider (and every program built on bluemix-go)")];
    let set = |lines: &mut Vec<Line>, name: &str, value: String| lines.push(Line::Set(name.to_owned(), value));
    match &key {
        Some(key) => set(&mut lines, "IC_API_KEY", key.clone()),
        None => {
            lines.push(Line::Remark(
                "IC_API_KEY must hold an API key of yours, and none is kept here. To have it set, log in with",
            ));
            lines.push(Line::Remark(
                "`boatyard login --apikey KEY --keep-apikey`, or, for a server on this machine, name its data",
            ));
            lines.push(Line::Remark("folder: `boatyard env --data-dir DIR`."));
        }
    }
    lines.push(Line::Remark("Private visibility would make the provider look for other hosts."));
    set(&mut lines, "IC_VISIBILITY", "public".to_owned());
    lines.push(Line::Remark("The provider adds /identity/token itself."));
    set(&mut lines, "IBMCLOUD_IAM_API_ENDPOINT", base.to_owned());
    for name in ["IBMCLOUD_CS_API_ENDPOINT", "IBMCLOUD_SATELLITE_API_ENDPOINT"] {
        set(&mut lines, name, format!("{base}/global"));
    }
    for service in PROVIDER_SERVICES {
        set(&mut lines, &format!("IBMCLOUD_{service}_ENDPOINT"), base.to_owned());
    }
    lines.push(Line::Remark("IBM SDKs (Go, Python, Node, Java), by service"));
    for (service, path) in SERVICES {
        set(&mut lines, &format!("{service}_URL"), format!("{base}{}", path.trim_end_matches('/')));
        set(&mut lines, &format!("{service}_AUTH_URL"), base.to_owned());
        if let Some(key) = &key {
            set(&mut lines, &format!("{service}_AUTH_TYPE"), "iam".to_owned());
            set(&mut lines, &format!("{service}_APIKEY"), key.clone());
        }
    }
    // Plain HTTP needs no trust.
    let ca_file = target.ca_file.as_ref().filter(|_| base.starts_with("https://")).map(|p| p.display().to_string());
    if let Some(ca_file) = &ca_file {
        certificates(&mut lines, ca_file);
    }
    lines.push(Line::Remark(
        "This command line itself: where `boatyard login` logs in unless told otherwise, and what it trusts.",
    ));
    lines.push(Line::Remark("Other commands go where the login is."));
    set(&mut lines, "BOATYARD_ENDPOINT", base.to_owned());
    if let Some(ca_file) = ca_file {
        set(&mut lines, "BOATYARD_CA_FILE", ca_file);
    }
    lines
}

fn certificates(lines: &mut Vec<Line>, ca_file: &str) {
    lines.push(Line::Remark("Trust in this server. SSL_CERT_FILE (Go, OpenSSL) and REQUESTS_CA_BUNDLE (Python) REPLACE the"));
    lines.push(Line::Remark("system's bundle: if other hosts are not trusted any more (such as by `terraform init`), unset"));
    lines.push(Line::Remark("them for that command, or let them name a file that holds the system's roots and this CA."));
    for name in ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"] {
        lines.push(Line::Set(name.to_owned(), ca_file.to_owned()));
    }
    lines.push(Line::Remark("NODE_EXTRA_CA_CERTS adds to Node's own roots."));
    lines.push(Line::Set("NODE_EXTRA_CA_CERTS".to_owned(), ca_file.to_owned()));
}

impl Shell {
    fn of_environment() -> Self {
        match std::env::var("SHELL") {
            Ok(shell) if shell.ends_with("/fish") => Self::Fish,
            Err(_) if cfg!(windows) => Self::Powershell,
            _ => Self::Bash,
        }
    }

    fn line(self, line: &Line) -> String {
        match (self, line) {
            (_, Line::Remark(text)) => format!("# {text}\n"),
            (Self::Bash, Line::Set(name, value)) => format!("export {name}='{}'\n", value.replace('\'', r"'\''")),
            (Self::Fish, Line::Set(name, value)) => {
                format!("set -gx {name} '{}'\n", value.replace('\\', r"\\").replace('\'', r"\'"))
            }
            (Self::Powershell, Line::Set(name, value)) => format!("$env:{name} = '{}'\n", value.replace('\'', "''")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(endpoint: &str, key: Option<&str>) -> Target {
        Target { endpoint: endpoint.to_owned(), ca_file: Some("/data/it's/ca.pem".into()), apikey: key.map(SecretString::from) }
    }

    fn text(target: &Target, shell: Shell) -> String {
        lines(target).iter().map(|l| shell.line(l)).collect()
    }

    #[test]
    fn paths_are_where_each_client_expects_them() {
        let text = text(&target("https://127.0.0.1:7443", Some("key")), Shell::Bash);
        for line in [
            "export IC_API_KEY='key'\n",
            "export IBMCLOUD_IAM_API_ENDPOINT='https://127.0.0.1:7443'\n",
            "export IBMCLOUD_CS_API_ENDPOINT='https://127.0.0.1:7443/global'\n",
            "export IBMCLOUD_SATELLITE_API_ENDPOINT='https://127.0.0.1:7443/global'\n",
            "export IBMCLOUD_USER_MANAGEMENT_ENDPOINT='https://127.0.0.1:7443'\n",
            "export KUBERNETES_SERVICE_API_URL='https://127.0.0.1:7443/global'\n",
            "export IAM_IDENTITY_AUTH_URL='https://127.0.0.1:7443'\n",
        ] {
            assert!(text.contains(line), "{line}{text}");
        }
    }

    #[test]
    fn values_are_quoted_for_the_shell_that_reads_them() {
        let target = target("https://h", None);
        let cases = [
            (Shell::Bash, r"export SSL_CERT_FILE='/data/it'\''s/ca.pem'"),
            (Shell::Fish, r"set -gx SSL_CERT_FILE '/data/it\'s/ca.pem'"),
            (Shell::Powershell, "$env:SSL_CERT_FILE = '/data/it''s/ca.pem'"),
        ];
        for (shell, expected) in cases {
            assert!(text(&target, shell).lines().any(|l| l == expected), "{expected}");
        }
    }

    #[test]
    fn says_so_when_there_is_no_key_and_sets_no_trust_for_plain_http() {
        let text = text(&target("http://h:1", None), Shell::Bash);
        assert!(text.contains("# IC_API_KEY must hold") && !text.contains("APIKEY='"), "{text}");
        assert!(text.contains("--keep-apikey") && text.contains("--data-dir"), "it says how to have one: {text}");
        assert!(!text.contains("SSL_CERT_FILE") && !text.contains("BOATYARD_CA_FILE"), "{text}");
    }
}
