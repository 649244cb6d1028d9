//! The only SQL of Boatyard: SQLite in the data directory by default, PostgreSQL for several replicas.
//!
//! One module for each resource, with plain functions that take a connection. Whatever hands out a row that belongs to an
//! account takes the account, so that a caller cannot forget to check it. An answered write is on disk: SQLite runs in WAL
//! mode with full synchronisation.

pub mod access;
pub mod access_groups;
pub mod account_settings;
pub mod accounts;
pub mod api_keys;
pub mod api_keys_admin;
pub mod audit;
pub mod browser_sessions;
mod cache;
pub mod clusters;
pub mod custom_roles;
mod database;
pub mod dedicated_hosts;
pub mod faults;
pub mod federation;
pub mod identities;
pub mod infrastructure;
pub mod installation_secrets;
pub mod kube;
pub mod members;
pub mod networks;
pub mod oauth_tokens;
pub mod policies;
pub mod portable_subnets;
pub mod preferences;
pub mod profiles;
pub mod resource_groups;
pub mod sealing;
pub mod service_ids;
pub mod sessions;
pub mod settings;
pub mod signing_keys;
pub mod snapshot;
pub mod subjects;
pub mod tokens;
pub mod users;
pub mod workers;

pub use cache::Cache;
pub use database::{Conn, Domain, Error, Store, Tx};

/// The result of anything that touches the database.
pub type Result<T, E = Error> = std::result::Result<T, E>;
