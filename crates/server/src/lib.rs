//! The server: routes, TLS, middleware and pages around the rules of `boatyard-iam` and `boatyard-fleet`.

mod admin;
mod app;
mod audit;
mod authenticate;
mod call;
mod config;
mod faults;
mod federation;
mod files;
pub mod fixture;
pub mod handlers;
mod kube;
mod limits;
mod metrics;
mod oauth;
mod operations;
mod pages;
mod problem;
mod reference;
mod respond;
mod start;
mod tls;
mod transport;
#[cfg(feature = "validate-answers")]
mod validate;

pub use boatyard_iam::Naming;
pub use config::{Config, Error, IpNet, Pace, Retention};
pub use federation::OidcConfig;
pub use fixture::Fixture;
pub use start::{Running, start};
