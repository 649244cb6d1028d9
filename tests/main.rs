//! End to end: a real server on a free port, and what its users send it.
//!
//! One binary, because one links faster than a dozen. `harness` holds what the tests stand on; `clients/` holds the programs
//! of other people's making that are run as they are. Python, Node, Go, Chromium, curl and unzip must be installed; a test that misses one
//! fails and names the Debian package. All else the tests fetch and make themselves.

// Clippy counts only `#[test]` functions as tests, and what helps them is no less a test here.
#![allow(clippy::unwrap_used)]

mod access;
mod addons;
mod audit;
mod bad_input;
mod bluemix_go;
mod catalog;
mod classic_subnets;
mod cli;
mod cli_access;
mod cli_accounts;
mod cli_iam;
mod cli_lifecycle;
mod contract;
mod crash;
mod crash_kube;
mod crash_load;
mod dedicated_hosts;
mod faults;
mod faults_lifecycle;
mod fixtures;
mod generated_client;
mod hardening;
mod harness;
mod identity_management;
mod infrastructure;
mod isolation;
mod kube_access;
mod kube_rs;
mod kubectl;
mod limits;
mod login_federated;
mod login_local;
mod manifests;
mod masters;
mod openshift;
mod operations;
mod pools;
mod postgres;
mod resource_groups;
mod sdk_kubernetes;
mod sdk_node;
mod sdk_python;
mod sdk_users;
mod sealing;
mod sessions;
mod state;
mod strangers;
mod traps_containers;
mod traps_iam;
mod users;
mod walkthrough;
mod workers;
