//! `boatyard worker-pool`: one file for each group of verbs.

mod change;
mod create;
mod mark;
mod show;

use boatyard_sdk::containers::Client;
use boatyard_sdk::containers::types::GetWorkerPoolResponse;
use boatyard_sdk::{Error, Session};
use clap::Subcommand;

use crate::failure::Failure;

#[derive(Debug, Subcommand)]
pub enum Command {
    /// List the worker pools of a cluster
    #[command(visible_alias = "list")]
    Ls(show::LsArgs),
    /// Show the details of a worker pool
    Get(show::GetArgs),
    /// Show the zones of a worker pool
    Zones(show::GetArgs),
    /// Create a worker pool; its worker nodes come with the zones (see 'zone add')
    #[command(subcommand)]
    Create(Box<create::Command>),
    /// Remove a worker pool with its worker nodes
    Rm(change::RmArgs),
    /// Change how many worker nodes there are in each zone
    Resize(change::ResizeArgs),
    /// Bring back worker nodes that were removed one by one
    Rebalance(change::RebalanceArgs),
    /// Labels of the worker nodes
    #[command(subcommand)]
    Label(mark::LabelCommand),
    /// Taints of the worker nodes
    #[command(subcommand)]
    Taint(mark::TaintCommand),
    /// Operating system of the worker nodes
    #[command(subcommand)]
    OperatingSystem(change::OperatingSystemCommand),
}

/// A worker pool of a cluster.
#[derive(clap::Args, Clone, Debug)]
pub struct Which {
    /// ID or name of the cluster
    #[arg(short = 'c', long, value_name = "CLUSTER")]
    pub cluster: String,
    /// ID or name of the worker pool
    #[arg(short = 'p', long = "worker-pool", value_name = "POOL")]
    pub pool: String,
}

pub async fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Ls(args) => show::ls(args).await,
        Command::Get(args) => show::get(args).await,
        Command::Zones(args) => show::zones(args).await,
        Command::Create(command) => create::run(*command).await,
        Command::Rm(args) => change::rm(args).await,
        Command::Resize(args) => change::resize(args).await,
        Command::Rebalance(args) => change::rebalance(args).await,
        Command::Label(command) => mark::label_run(command).await,
        Command::Taint(command) => mark::taint_run(command).await,
        Command::OperatingSystem(command) => change::operating_system(command).await,
    }
}

pub async fn get(session: &Session, cluster: &str, pool: &str) -> Result<GetWorkerPoolResponse, Error> {
    let group = session.resource_group();
    session.call(async |c: &Client| c.get_worker_pool(cluster, pool, group.as_deref(), None).await).await
}

/// Worker nodes that the pool is to have: its size in each of its zones.
pub fn wanted(pool: &GetWorkerPoolResponse) -> usize {
    usize::try_from(pool.worker_count.unwrap_or(0)).unwrap_or(0) * pool.zones.len()
}
