//! End to end: a real server on a free port, and what its users send it.
//!
//! One binary, because one links faster than a dozen. `harness` holds what the tests stand on; `clients/` holds the programs
//! of other people's making that are run as they are. Python, Node, curl and unzip must be installed; a test that misses one
//! fails and names the Debian package. All else the tests fetch and make themselves.

// Clippy counts only `#[test]` functions as tests, and what helps them is no less a test here.
#![allow(clippy::unwrap_used)]

mod bad_input;
mod cli;
mod contract;
mod crash;
mod generated_client;
mod hardening;
mod harness;
mod operations;
mod postgres;
mod sdk_node;
mod sdk_python;
mod traps_containers;
mod traps_iam;
mod walkthrough;
