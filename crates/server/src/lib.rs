//! The server: routes, TLS, middleware and pages around the rules of `boatyard-iam` and `boatyard-fleet`.

mod admin;
mod app;
mod authenticate;
mod call;
mod config;
mod faults;
mod files;
pub mod fixture;
pub mod handlers;
mod metrics;
mod operations;
mod problem;
mod reference;
mod respond;
mod start;
mod tls;
mod transport;
#[cfg(feature = "validate-answers")]
mod validate;

pub use config::{Config, Error, Pace};
pub use fixture::Fixture;
pub use start::{Running, start};
