//! What a server is started with.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

pub use boatyard_runtime::Pace;
pub use ipnet::IpNet;
use secrecy::SecretString;

use crate::federation::OidcConfig;
use crate::fixture::{Fixture, Mistakes};

/// Options of `boatyard serve`.
#[derive(Debug)]
pub struct Config {
    /// Where to listen for HTTPS and plain HTTP; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Folder of the database, the local certificate authority and `credentials.json`. Made if missing, for the owner only.
    pub data_dir: PathBuf,
    /// `postgres://…` instead of the SQLite database in `data_dir`.
    pub database_url: Option<SecretString>,
    /// Keys under which secrets are sealed, base64 of 32 bytes each, one a line; else `encryption.key` in `data_dir`, made if missing.
    pub encryption_keys: Option<SecretString>,
    /// Age in days at which the key that signs tokens is replaced; 0 keeps it.
    pub signing_key_days: u32,
    /// Requests that one identity may send in a second; 0: any number.
    pub requests_per_second: u32,
    /// Token requests that one client address may send in a second; 0: any number.
    pub token_requests_per_second: u32,
    /// Proxies that are believed when they say where a request comes from (`X-Forwarded-For`).
    pub trusted_proxies: Vec<IpNet>,
    /// How long the trail is kept.
    pub retention: Retention,
    /// API key of the first administrator; generated if not given.
    pub apikey: Option<SecretString>,
    /// How fast virtual clusters change.
    pub pace: Pace,
    /// Folder with documents that replace those of the built-in catalog.
    pub catalog_dir: Option<PathBuf>,
    /// Scheme, host and port under which clients reach this server, if it is not the listening address.
    pub public_url: Option<String>,
    /// What is there when the server answers.
    pub fixture: Option<Fixture>,
    /// Where users log in who have no password here.
    pub provider: Option<OidcConfig>,
}

/// What is kept of the trail.
#[derive(Clone, Copy, Debug)]
pub struct Retention {
    /// Days for which an event is kept; 0: for good.
    pub days: u32,
    /// The most events that are kept; 0: all.
    pub events: u32,
}

impl Default for Retention {
    fn default() -> Self {
        Self { days: 90, events: 1_000_000 }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 7443)),
            data_dir: PathBuf::from("boatyard-data"),
            database_url: None,
            encryption_keys: None,
            signing_key_days: 30,
            requests_per_second: 0,
            token_requests_per_second: 0,
            trusted_proxies: Vec::new(),
            retention: Retention::default(),
            apikey: None,
            pace: Pace::default(),
            catalog_dir: None,
            public_url: None,
            fixture: None,
            provider: None,
        }
    }
}

/// Why a server could not be started.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{what} {path}: {source}", path = path.display())]
    File { what: &'static str, path: PathBuf, source: std::io::Error },
    #[error("another server works in {}; stop it, or choose another folder with --data-dir", .0.display())]
    InUse(PathBuf),
    #[error("cannot listen on {address}: {source}; choose another address with --listen")]
    Listen { address: SocketAddr, source: std::io::Error },
    #[error("the public URL '{0}' is not of the form https://host:port")]
    PublicUrl(String),
    #[error("the database URL must begin with postgres:// or postgresql://; without one, SQLite in the data folder is used")]
    DatabaseUrl,
    #[error(
        "the encryption keys: {0}. They are base64 of 32 random bytes each, one a line; `head -c 32 /dev/urandom | base64` makes one"
    )]
    EncryptionKeys(boatyard_core::seal::Error),
    #[error(transparent)]
    Catalog(#[from] boatyard_fleet::catalog::Malformed),
    /// The text says what is wrong.
    #[error("the identity provider cannot be used: {0}")]
    Provider(String),
    #[error("the local certificate authority cannot be used: {0}")]
    Certificate(String),
    /// The text has one line for each mistake.
    #[error(transparent)]
    Fixture(#[from] Mistakes),
    #[error(transparent)]
    Store(#[from] boatyard_store::Error),
    #[error(transparent)]
    Iam(#[from] boatyard_iam::Error),
    #[error(transparent)]
    Fleet(#[from] boatyard_fleet::Error),
}
