//! `boatyard cluster`: one file for each verb.

mod addon;
mod config;
mod create;
mod get;
mod ls;
mod master;
mod rm;
mod subnet;

use boatyard_sdk::containers::Client;
use boatyard_sdk::containers::types::GetClusterResponse;
use boatyard_sdk::{Error, Session};
use clap::Subcommand;

pub use config::{Wanted, fetch as fetch_kubeconfig};
pub use create::{create_classic, create_vpc};
pub use ls::{list, rows, table};

use crate::failure::Failure;

#[derive(Debug, Subcommand)]
pub enum Command {
    /// List the clusters of the account
    #[command(visible_alias = "list")]
    Ls(ls::Args),
    /// Show the details of a cluster
    Get(get::Args),
    /// Create a cluster
    #[command(subcommand)]
    Create(Box<create::Command>),
    /// Delete a cluster
    Rm(rm::Args),
    /// Update the master, start it anew, say from where it is reached
    #[command(subcommand)]
    Master(master::Command),
    /// Add a cluster to your kubeconfig, or print its kubeconfig
    Config(config::Args),
    /// Managed add-ons of a cluster
    #[command(subcommand)]
    Addon(addon::Command),
    /// Portable subnets of a classic cluster
    #[command(subcommand)]
    Subnet(subnet::Command),
}

pub async fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Ls(args) => ls::run(args).await,
        Command::Get(args) => get::run(args).await,
        Command::Create(command) => create::run(*command).await,
        Command::Rm(args) => rm::run(args).await,
        Command::Master(command) => master::run(command).await,
        Command::Config(args) => config::run(args).await,
        Command::Addon(command) => addon::run(command).await,
        Command::Subnet(command) => subnet::run(command).await,
    }
}

/// A cluster of any provider, by ID or name.
pub async fn get(session: &Session, cluster: &str, show_resources: bool) -> Result<GetClusterResponse, Error> {
    let group = session.resource_group();
    let resources = show_resources.then_some("true");
    session.call(async |c: &Client| c.get_cluster(cluster, None, resources, None, group.as_deref()).await).await
}
