//! `boatyard worker-pool rm`, `resize`, `rebalance` and `operating-system set`.

use boatyard_sdk::Session;
use boatyard_sdk::containers::Client;
use boatyard_sdk::containers::types::{
    RebalanceWorkerPoolRequest, RemoveWorkerPool1Request, SetWorkerPoolOperatingSystemRequest, V2ResizeWorkerPoolRequest,
};
use clap::Subcommand;
use serde_json::json;

use super::Which;
use crate::commands::worker;
use crate::failure::Failure;
use crate::output::{self, Common};
use crate::progress::{self, Display, Goal, Scope, Subject, Waiting};
use crate::terminal;

#[derive(clap::Args, Debug)]
pub struct RmArgs {
    #[command(flatten)]
    which: Which,
    /// Do not ask
    #[arg(short = 'f', long)]
    force: bool,
    #[command(flatten)]
    waiting: Waiting,
    #[command(flatten)]
    common: Common,
}

#[derive(clap::Args, Debug)]
pub struct ResizeArgs {
    #[command(flatten)]
    which: Which,
    /// Worker nodes in each zone
    #[arg(long, value_name = "SIZE", value_parser = clap::value_parser!(i64).range(0..))]
    size_per_zone: i64,
    #[command(flatten)]
    waiting: Waiting,
    #[command(flatten)]
    common: Common,
}

#[derive(clap::Args, Debug)]
pub struct RebalanceArgs {
    #[command(flatten)]
    which: Which,
    /// Accepted for scripts written for `ibmcloud`; nothing is asked
    #[arg(short = 'f', long)]
    force: bool,
    #[command(flatten)]
    waiting: Waiting,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Subcommand)]
pub enum OperatingSystemCommand {
    /// Set the system that worker nodes get when they are reloaded, replaced or added
    Set(OperatingSystemArgs),
}

#[derive(clap::Args, Debug)]
pub struct OperatingSystemArgs {
    #[command(flatten)]
    which: Which,
    /// Operating system, such as UBUNTU_24_64 or RHCOS
    #[arg(long, value_name = "SYSTEM")]
    operating_system: String,
    #[command(flatten)]
    common: Common,
}

pub async fn rm(args: RmArgs) -> Result<(), Failure> {
    let session = Session::load()?;
    let Which { cluster, pool } = &args.which;
    let found = super::get(&session, cluster, pool).await?;
    let id = found.id.unwrap_or_else(|| pool.clone());
    let name = found.pool_name.unwrap_or_else(|| pool.clone());
    let workers: Vec<_> = worker::list(&session, cluster, Some(&id), false).await?.into_iter().filter_map(|w| w.id).collect();
    let question = format!("Remove the worker pool {name} ({id}) with its {} worker nodes?", workers.len());
    if !args.force && !terminal::confirm(&question, "`-f`")? {
        return Err(Failure::new("Nothing was removed.", "Answer `y`, or give `-f`, to remove the worker pool."));
    }
    let group = session.resource_group();
    // By ID: between the question and the answer the name may have come to mean another pool.
    let body = RemoveWorkerPool1Request { cluster: Some(cluster.clone()), workerpool: Some(id.clone()) };
    session.call(async |c: &Client| c.remove_worker_pool1(group.as_deref(), &body).await).await?;
    args.common.ok()?;
    if args.waiting.wait {
        let goal = Goal::Removed(workers.into_iter().collect());
        let display = Display::new(args.common.is_chatty());
        progress::wait(&session, Subject { cluster, name: cluster }, &goal, args.waiting.timeout, display).await?;
    }
    let state = if args.waiting.wait { "deleted" } else { "deleting" };
    if args.common.is_json() {
        return output::json(&json!({"id": id, "poolName": name, "state": state}));
    }
    args.common.remark(&format!("Worker pool {name} is {state}."))
}

pub async fn resize(args: ResizeArgs) -> Result<(), Failure> {
    let session = Session::load()?;
    let body = V2ResizeWorkerPoolRequest {
        cluster: Some(args.which.cluster.clone()),
        workerpool: Some(args.which.pool.clone()),
        size: Some(args.size_per_zone),
        ..V2ResizeWorkerPoolRequest::default()
    };
    let group = session.resource_group();
    session.call(async |c: &Client| c.v2_resize_worker_pool(group.as_deref(), &body).await).await?;
    settle(&session, &args.which, &args.waiting, &args.common, "resized").await
}

pub async fn rebalance(args: RebalanceArgs) -> Result<(), Failure> {
    let session = Session::load()?;
    let body =
        RebalanceWorkerPoolRequest { cluster: Some(args.which.cluster.clone()), workerpool: Some(args.which.pool.clone()) };
    let group = session.resource_group();
    session.call(async |c: &Client| c.rebalance_worker_pool(group.as_deref(), &body).await).await?;
    settle(&session, &args.which, &args.waiting, &args.common, "rebalanced").await
}

/// Says what was asked for; with `--wait`, once the pool has the workers that it is to have and no others.
async fn settle(session: &Session, which: &Which, waiting: &Waiting, common: &Common, participle: &str) -> Result<(), Failure> {
    let Which { cluster, pool } = which;
    common.ok()?;
    if waiting.wait {
        let count = super::wanted(&super::get(session, cluster, pool).await?);
        let goal = Goal::Ready { scope: Scope { pools: vec![pool.clone()], ..Scope::default() }, count };
        let subject = Subject { cluster, name: cluster };
        progress::wait(session, subject, &goal, waiting.timeout, Display::new(common.is_chatty())).await?;
    }
    if common.is_json() {
        return output::json(&super::get(session, cluster, pool).await?);
    }
    if waiting.wait {
        return common.remark(&format!("Worker pool {pool} was {participle}."));
    }
    common.remark(&format!("Worker pool {pool} is being {participle}. See how far: boatyard worker ls -c {cluster} -p {pool}"))
}

pub async fn operating_system(command: OperatingSystemCommand) -> Result<(), Failure> {
    let OperatingSystemCommand::Set(args) = command;
    let session = Session::load()?;
    let Which { cluster, pool } = &args.which;
    let body = SetWorkerPoolOperatingSystemRequest {
        cluster: Some(cluster.clone()),
        worker_pool: Some(pool.clone()),
        operating_system: Some(args.operating_system.clone()),
    };
    let group = session.resource_group();
    session.call(async |c: &Client| c.v2_set_worker_pool_operating_system(None, group.as_deref(), &body).await).await?;
    args.common.ok()?;
    if args.common.is_json() {
        return output::json(&super::get(&session, cluster, pool).await?);
    }
    args.common.remark(&format!(
        "Worker nodes that are added to the pool {pool} get {}. Those that there are get it when they are replaced (VPC) or \
         reloaded (classic).",
        args.operating_system
    ))
}
