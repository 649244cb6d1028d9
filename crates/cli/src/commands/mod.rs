//! One file for each group of commands.

pub mod account;
pub mod audit;
pub mod catalog;
pub mod classic;
pub mod clock;
pub mod cluster;
pub mod completion;
pub mod dedicated;
pub mod env;
pub mod fault;
pub mod fixture;
pub mod iam;
pub mod infrastructure;
pub mod kube_token;
pub mod login;
pub mod network;
pub mod openshift;
pub mod provider;
pub mod resource;
pub mod serve;
pub mod state;
pub mod target;
pub mod trust;
pub mod worker;
pub mod worker_pool;
pub mod zone;

use std::future::Future;

use tokio::runtime::Builder;

use crate::args::{Command, Kubernetes};
use crate::demo;
use crate::failure::Failure;

pub fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Serve(args) => on_all_cores(serve::run(args)),
        Command::Demo(args) => on_all_cores(demo::run(args)),
        Command::Fixture(command) => alone(fixture::run(command)),
        Command::Oc(command) => alone(openshift::run(command)),
        Command::Trust(command) => trust::run(command),
        Command::Env(args) => env::run(&args),
        Command::Completion(args) => completion::run(&args),
        Command::Login(args) => alone(login::run(args)),
        Command::Logout(common) => alone(login::logout(common)),
        Command::Target(args) => alone(target::run(args)),
        Command::Account(command) => alone(account::run(command)),
        Command::Clock(args) => alone(clock::run(args)),
        Command::Fault(command) => alone(fault::run(*command)),
        Command::Audit(command) => alone(audit::run(command)),
        Command::Reset(args) => alone(state::reset(args)),
        Command::Snapshot(command) => alone(state::snapshot(command)),
        Command::KubeToken(args) => alone(kube_token::run(args)),
        Command::Iam(command) => alone(iam::run(command)),
        Command::Resource(command) => alone(resource::run(command)),
        Command::Ks(command) | Command::Kubernetes(command) => alone(kubernetes(command)),
    }
}

async fn kubernetes(command: Kubernetes) -> Result<(), Failure> {
    match command {
        Kubernetes::Cluster(command) => cluster::run(*command).await,
        Kubernetes::Worker(command) => worker::run(*command).await,
        Kubernetes::WorkerPool(command) => worker_pool::run(*command).await,
        Kubernetes::Zone(command) => zone::run(*command).await,
        Kubernetes::Vpcs(args) => network::vpcs(args).await,
        Kubernetes::Subnets(args) => network::subnets(args).await,
        Kubernetes::Vlan(command) => network::vlans(command).await,
        Kubernetes::Dedicated(command) => dedicated::run(command).await,
        Kubernetes::Credential(command) => infrastructure::credential(command).await,
        Kubernetes::ApiKey(command) => infrastructure::api_key(command).await,
        Kubernetes::InfraPermissions(command) => infrastructure::permissions(command).await,
        Kubernetes::Flavors(args) => catalog::flavors(args).await,
        Kubernetes::Flavor(command) => catalog::flavor(command).await,
        Kubernetes::Versions(args) => catalog::versions(args).await,
        Kubernetes::Locations(args) => catalog::locations(args).await,
        Kubernetes::Quota(command) => catalog::quotas(command).await,
        Kubernetes::Messages(common) => catalog::messages(common).await,
    }
}

/// A client command waits for one answer after another: threads would only cost it start-up time.
fn alone(command: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    finish(Builder::new_current_thread(), command)
}

fn on_all_cores(command: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    finish(Builder::new_multi_thread(), command)
}

fn finish(mut runtime: Builder, command: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    let runtime = runtime.enable_all().build().map_err(|e| {
        Failure::new(format!("Cannot start: {e}"), "Look at the limits of processes and open files (`ulimit -a`).")
    })?;
    let result = runtime.block_on(command);
    // A thread that waits for a line or a lock must not keep the process from ending.
    runtime.shutdown_background();
    result
}
