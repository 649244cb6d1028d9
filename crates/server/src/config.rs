//! What a server is started with.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

pub use boatyard_runtime::Pace;
use secrecy::SecretString;

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
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 7443)),
            data_dir: PathBuf::from("boatyard-data"),
            database_url: None,
            apikey: None,
            pace: Pace::default(),
            catalog_dir: None,
            public_url: None,
            fixture: None,
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
    #[error(transparent)]
    Catalog(#[from] boatyard_fleet::catalog::Malformed),
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
