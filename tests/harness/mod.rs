//! What the tests stand on: a server of their own, plain requests to it, tokens taken apart and forged, client programs.
//!
//! Every test may run beside every other: servers choose their ports, data lies in temporary folders, and a server ends
//! when its [`Server`] is dropped or, should the test process be killed, when its standard input closes.

pub mod account;
pub mod archive;
pub mod boatyard;
pub mod browser;
pub mod check;
pub mod clients;
pub mod http;
pub mod identity_provider;
pub mod jwt;
pub mod kubectl;
pub mod postgres;
pub mod raw;
pub mod server;
pub mod violations;
pub mod wait;

pub use account::Account;
pub use http::{Answer, Request};
pub use server::{Server, User, shared};

/// Client `bx` with secret `bx`, as the CLI and Terraform send it.
pub const BX: &str = "Basic Yng6Yng=";
/// Client `kube` with secret `kube`, as kubectl sends it.
pub const KUBE: &str = "Basic a3ViZTprdWJl";

pub const PASSWORD: &str = "password";
pub const APIKEY: &str = "urn:ibm:params:oauth:grant-type:apikey";
pub const PASSCODE: &str = "urn:ibm:params:oauth:grant-type:passcode";
pub const REFRESH: &str = "refresh_token";
pub const DELEGATED: &str = "urn:ibm:params:oauth:grant-type:delegated-refresh-token";
