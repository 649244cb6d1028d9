//! An OpenID Connect provider that others wrote: the npm package `oidc-provider`, as a process of its own.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Stdio};

use serde_json::json;
use tempfile::TempDir;

use super::Server;
use super::clients::node;
use super::server::Builder;

const CLIENT_ID: &str = "boatyard";
const CLIENT_SECRET: &str = "of tests & only: 100%";

/// It is gone when it is dropped. Its host is `localhost`, so that for a browser it is another site than a server at 127.0.0.1.
pub struct IdentityProvider {
    child: Child,
    /// Kept open: what the provider says of itself goes there, and without a reader that would end it.
    _stdout: BufReader<ChildStdout>,
    pub issuer: String,
    ca_file: PathBuf,
    secret_file: PathBuf,
    home: TempDir,
}

impl IdentityProvider {
    /// A provider that answers 503 until it [knows](Self::register) a client.
    pub fn start() -> Self {
        let (mut command, home) = node("oidc-provider", "provider.mjs");
        let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate can be made");
        let (ca_file, key_file, secret_file) =
            (home.path().join("certificate.pem"), home.path().join("key.pem"), home.path().join("client-secret"));
        fs::write(&ca_file, certified.cert.pem()).expect("it can be written");
        fs::write(&key_file, certified.signing_key.serialize_pem()).expect("it can be written");
        fs::write(&secret_file, format!("{CLIENT_SECRET}\n")).expect("it can be written");
        command.env("CERTIFICATE", &ca_file).env("KEY", &key_file);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(fs::File::create(home.path().join("log")).expect("a file for the log"));
        let mut child = command.spawn().expect("node can be started");
        let mut port = String::new();
        let mut stdout = BufReader::new(child.stdout.take().expect("it is piped"));
        stdout.read_line(&mut port).expect("it tells its port");
        let issuer = format!("https://localhost:{}", port.trim());
        assert!(!port.trim().is_empty(), "the provider has ended: is this Node.js too old for it?");
        Self { child, _stdout: stdout, issuer, ca_file, secret_file, home }
    }

    /// A server whose users log in here.
    pub fn server(&self) -> Builder {
        let path = |path: &PathBuf| path.to_str().expect("text").to_owned();
        Server::builder().env("BOATYARD_OIDC_ISSUER", &self.issuer).env("BOATYARD_OIDC_CA_FILE", &path(&self.ca_file)).args([
            "--oidc-client-id",
            CLIENT_ID,
            "--oidc-client-secret-file",
            &path(&self.secret_file),
        ])
    }

    /// From now on the provider answers, and knows a server as a client.
    pub fn register(&mut self, server: &Server) {
        self.register_as(server, CLIENT_SECRET);
    }

    /// The same, with another idea of the server's secret.
    pub fn register_as(&mut self, server: &Server, secret: &str) {
        let callback = format!("{}/identity/callback", server.endpoint);
        let client = json!({ "client_id": CLIENT_ID, "client_secret": secret, "redirect_uris": [callback] });
        let stdin = self.child.stdin.as_mut().expect("it is piped");
        writeln!(stdin, "{client}").and_then(|()| stdin.flush()).expect("the provider listens");
    }
}

impl Drop for IdentityProvider {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let log = fs::read_to_string(self.home.path().join("log")).unwrap_or_default();
            eprintln!("--- log of the identity provider ---\n{log}---");
        }
    }
}
