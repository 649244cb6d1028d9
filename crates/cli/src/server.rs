//! The seam to `boatyard-server`: nothing else in this crate names it.

use std::io::ErrorKind;
use std::path::Path;

use boatyard_server::Error;
pub use boatyard_server::{Config, Fixture, IpNet, Naming, OidcConfig, Retention};
use clap::ValueEnum;

use crate::failure::Failure;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Pace {
    /// Clusters are there at once
    Instant,
    /// A cluster takes seconds
    Fast,
    /// A cluster takes as long as in the cloud
    Real,
}

impl From<Pace> for boatyard_server::Pace {
    fn from(pace: Pace) -> Self {
        match pace {
            Pace::Instant => Self::Instant,
            Pace::Fast => Self::Fast,
            Pace::Real => Self::Real,
        }
    }
}

/// A network of addresses, or a single one.
pub fn network(text: &str) -> Result<IpNet, String> {
    let single = || text.parse::<std::net::IpAddr>().ok().map(IpNet::from);
    text.parse().ok().or_else(single).ok_or_else(|| "it is neither an address nor a network such as 10.0.0.0/8".to_owned())
}

/// A fixture in a file.
pub fn fixture(file: &Path) -> Result<Fixture, Failure> {
    Fixture::read(file).map_err(|error| fixture_failure(&error))
}

/// What a fixture makes in an empty installation, which is in the folder `dir`.
pub async fn fixture_check(fixture: &Fixture, dir: &Path) -> Result<String, Failure> {
    fixture.check(dir).await.map(|applied| applied.to_string()).map_err(|error| fixture_failure(&error))
}

fn fixture_failure(error: &Error) -> Failure {
    let next = match error {
        Error::Fixture(_) => "Correct the file; `boatyard fixture check FILE` looks at it again without a server.",
        _ => "Check that the path is right and that the file belongs to you.",
    };
    Failure::new(error.to_string(), next)
}

/// A server in this process.
pub struct Running(boatyard_server::Running);

pub async fn start(config: Config) -> Result<Running, Failure> {
    let has_database = config.database_url.is_some();
    boatyard_server::start(config).await.map(Running).map_err(|error| {
        let (what, next) = explain(&error, has_database);
        Failure::new(format!("The server cannot start: {what}"), next)
    })
}

/// What happened and what to do about it. Where the server's own text has advice in it, it is told apart here.
fn explain(error: &Error, has_database: bool) -> (String, &'static str) {
    let what = match error {
        Error::Listen { address, source } => format!("cannot listen on {address}: {source}"),
        Error::InUse(dir) => format!("another server works in {}", dir.display()),
        Error::Fixture(mistakes) => format!("the fixture is refused\n{mistakes}"),
        Error::DatabaseUrl => "the database URL must begin with postgres:// or postgresql://".to_owned(),
        other => other.to_string(),
    };
    let next = match error {
        Error::Listen { source, .. } => listen_hint(source.kind()),
        Error::InUse(_) => "Stop it, or choose another folder with `--data-dir DIR`.",
        Error::DatabaseUrl => {
            "Correct `--database-url` (BOATYARD_DATABASE_URL), or leave it out to keep the state in the data folder."
        }
        Error::PublicUrl(_) => "Correct `--public-url` (BOATYARD_PUBLIC_URL), or leave it out to use the address listened on.",
        Error::File { .. } => {
            "Check that the folder belongs to you and that the disk is not full, or choose another with `--data-dir DIR`."
        }
        Error::Catalog(_) => {
            "Correct it, or leave out `--catalog` (BOATYARD_CATALOG) to use the built-in catalog. docs/catalog.md has the forms."
        }
        Error::Provider(_) => "Correct the `--oidc-…` options (BOATYARD_OIDC_…); docs/login.md explains them.",
        Error::Fixture(_) => {
            "Correct the file, or start with another data folder: what a fixture declares is compared with what is there."
        }
        Error::Certificate(_) => {
            "Restore the certificates of the data folder from a backup, or choose another folder with `--data-dir DIR`."
        }
        // This error names the variable; others of the identity service are the database's.
        Error::Iam(_) if what.contains("BOATYARD_APIKEY") => {
            "Set BOATYARD_APIKEY to another key, or unset it: on the first start one is then made."
        }
        Error::EncryptionKeys(_) => {
            "Correct `--encryption-key-file` (BOATYARD_ENCRYPTION_KEY_FILE) or BOATYARD_ENCRYPTION_KEY."
        }
        _ if what.contains("encryption key") => "docs/audit.md tells where the key is kept and how it is replaced.",
        _ if has_database => {
            "Check that PostgreSQL runs and that host, port, database, user and password in `--database-url` \
             (BOATYARD_DATABASE_URL) are right."
        }
        _ => {
            "Check that the files in the data folder belong to you, that the disk is not full and that no newer Boatyard \
             wrote them, or choose another folder with `--data-dir DIR`."
        }
    };
    (what, next)
}

fn listen_hint(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::AddrInUse => {
            "Another program listens there, perhaps another server: stop it, or choose another address with `--listen`, such \
             as `--listen 127.0.0.1:0` for a free port."
        }
        ErrorKind::AddrNotAvailable => "This machine does not have that address; choose another with `--listen`.",
        ErrorKind::PermissionDenied => "You may not use that port; choose one above 1023 with `--listen`.",
        _ => "Choose another address with `--listen`.",
    }
}

impl Running {
    pub fn endpoint(&self) -> &str {
        self.0.endpoint()
    }

    pub fn credentials_file(&self) -> &Path {
        self.0.credentials_file()
    }

    /// Lets requests under way finish, then ends.
    pub async fn shutdown(self) {
        self.0.shutdown().await;
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn advice_fits_the_cause() {
        let listen = |kind: ErrorKind| Error::Listen {
            address: std::net::SocketAddr::from(([127, 0, 0, 1], 7443)),
            source: io::Error::from(kind),
        };
        let cases = [
            (listen(ErrorKind::AddrInUse), false, "--listen 127.0.0.1:0"),
            (listen(ErrorKind::PermissionDenied), false, "above 1023"),
            (Error::InUse("/data".into()), false, "Stop it, or choose another folder with `--data-dir DIR`."),
            (Error::DatabaseUrl, true, "Correct `--database-url`"),
            (
                Error::File {
                    what: "cannot write",
                    path: "/data".into(),
                    source: io::Error::from(ErrorKind::PermissionDenied),
                },
                false,
                "belongs to you",
            ),
        ];
        for (error, has_database, expected) in cases {
            let (what, next) = explain(&error, has_database);
            assert!(next.contains(expected), "{what}: {next}");
            assert!(!what.contains("--"), "advice is not mixed with the cause: {what}");
        }
    }
}
