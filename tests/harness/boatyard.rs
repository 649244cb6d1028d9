//! The binary under test as a command.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use super::clients::{self, Finished};
use super::violations::Violations;
use super::{Server, User};

/// The binary that cargo built for these tests.
pub const PATH: &str = env!("CARGO_BIN_EXE_boatyard");

/// The root of the repository.
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the repository is there")
}

/// Keeps the environment of whoever runs the tests out of a command, and its files out of their home.
pub fn clean(command: &mut Command, home: &Path) {
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        let foreign = ["BOATYARD_", "IBMCLOUD_", "IBM_", "IC_", "BM_", "BLUEMIX_", "IAM_"].iter().any(|p| text.starts_with(p));
        let proxy = text.to_ascii_lowercase().ends_with("_proxy");
        let other = ["RUST_LOG", "KUBECONFIG", "NO_COLOR", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "NODE_OPTIONS", "PYTHONPATH"];
        let trust = ["SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "NODE_EXTRA_CA_CERTS"];
        if foreign || proxy || other.contains(&&*text) || trust.contains(&&*text) {
            command.env_remove(name);
        }
    }
    command.env("HOME", home).env("BOATYARD_HOME", home.join("boatyard-home"));
}

/// A user's shell: a home folder of its own, and the binary.
#[derive(Debug)]
pub struct Shell {
    /// What is wrong with the answers of the servers that it starts.
    violations: Violations,
    home: TempDir,
}

impl Shell {
    pub fn new() -> Self {
        let home = tempfile::Builder::new().prefix("boatyard-e2e-home-").tempdir().expect("a temporary folder");
        Self { violations: Violations::in_folder(home.path()), home }
    }

    /// A shell in which somebody has logged in with their API key.
    #[track_caller]
    pub fn logged_in(server: &Server, user: &User) -> Self {
        let shell = Self::new();
        let (endpoint, ca_file) = (server.endpoint.as_str(), server.ca_file.to_str().expect("text"));
        shell.ok(["login", "-q", "-a", endpoint, "--ca-file", ca_file, "--apikey", &user.apikey]);
        shell
    }

    /// A path in the user's home.
    pub fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// Where the CLI keeps the login.
    pub fn login_file(&self) -> PathBuf {
        self.path("boatyard-home/config.json")
    }

    /// What the CLI keeps of the login.
    #[track_caller]
    pub fn login(&self) -> serde_json::Value {
        let text = std::fs::read_to_string(self.login_file()).expect("there is a login");
        serde_json::from_str(&text).expect("it is JSON")
    }

    pub fn command<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Command {
        self.other(PATH, arguments)
    }

    /// Another program in the same environment.
    pub fn other<S: AsRef<OsStr>>(&self, program: &str, arguments: impl IntoIterator<Item = S>) -> Command {
        let mut command = Command::new(program);
        clean(&mut command, self.home.path());
        self.violations.listed_by(&mut command);
        command.current_dir(self.home.path()).args(arguments).stdin(Stdio::null());
        command
    }

    /// Runs `boatyard ARGUMENTS`, whatever comes of it.
    #[track_caller]
    pub fn run<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Finished {
        clients::run(&mut self.command(arguments))
    }

    /// Runs `boatyard ARGUMENTS`, which must succeed, and returns what it printed to standard output.
    #[track_caller]
    pub fn ok<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> String {
        self.run(arguments).success()
    }

    /// The same for a command that prints JSON.
    #[track_caller]
    pub fn json<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> serde_json::Value {
        let output = self.ok(arguments);
        serde_json::from_str(&output).unwrap_or_else(|e| panic!("not JSON ({e}): {output}"))
    }
}
