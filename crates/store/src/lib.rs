//! The only SQL of Boatyard: SQLite in the data directory by default, PostgreSQL for several replicas.
//!
//! One module for each resource, with plain functions that take a connection. Whatever hands out a row that belongs to an
//! account takes the account, so that a caller cannot forget to check it. An answered write is on disk: SQLite runs in WAL
//! mode with full synchronisation.

pub mod accounts;
pub mod api_keys;
mod cache;
pub mod clusters;
mod database;
pub mod dedicated_hosts;
pub mod faults;
pub mod infrastructure;
pub mod networks;
pub mod portable_subnets;
pub mod resource_groups;
pub mod settings;
pub mod signing_keys;
pub mod snapshot;
pub mod tokens;
pub mod users;
pub mod workers;

pub use cache::Cache;
pub use database::{Conn, Domain, Error, Store, Tx};

/// The result of anything that touches the database.
pub type Result<T, E = Error> = std::result::Result<T, E>;
