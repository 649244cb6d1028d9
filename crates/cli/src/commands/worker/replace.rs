//! `boatyard worker replace`.

use std::collections::BTreeSet;

use boatyard_sdk::Session;
use boatyard_sdk::containers::Client;
use boatyard_sdk::containers::types::{GetWorkerResponse, ReplaceWorkerRequest};

use crate::commands::worker;
use crate::failure::Failure;
use crate::output::{self, Common};
use crate::progress::{self, Display, Goal, Subject, Waiting};
use crate::terminal;

#[derive(clap::Args, Debug)]
pub struct Args {
    /// ID or name of the cluster
    #[arg(short = 'c', long, value_name = "CLUSTER")]
    cluster: String,
    /// ID of the worker node
    #[arg(short = 'w', long, value_name = "WORKER")]
    worker: String,
    /// Give the new worker node the version of the master
    #[arg(long)]
    update: bool,
    /// Do not ask
    #[arg(short = 'f', long)]
    force: bool,
    #[command(flatten)]
    waiting: Waiting,
    #[command(flatten)]
    common: Common,
}

pub async fn run(args: Args) -> Result<(), Failure> {
    let session = Session::load()?;
    let (cluster, id) = (args.cluster.as_str(), args.worker.as_str());
    let old = worker::get(&session, cluster, id).await?;
    let question = format!("Replace {id}? It is removed with its local data, and another one gets another address.");
    if !args.force && !terminal::confirm(&question, "`-f`")? {
        return Err(Failure::new("Nothing was done.", "Answer `y`, or give `-f`."));
    }
    let known: BTreeSet<String> = worker::list(&session, cluster, None, true).await?.into_iter().filter_map(|w| w.id).collect();
    let body = ReplaceWorkerRequest {
        cluster: Some(cluster.to_owned()),
        worker_id: Some(id.to_owned()),
        update: args.update.then_some(true),
    };
    let group = session.resource_group();
    session.call(async |c: &Client| c.replace_worker(group.as_deref(), &body).await).await?;

    args.common.ok()?;
    if !args.waiting.wait {
        args.common.remark(&format!("{id} is being replaced. See how far: boatyard worker ls -c {cluster}"))?;
        // By now it may be forgotten, and what was asked for was accepted all the same.
        return if args.common.is_json() {
            output::json(&worker::get(&session, cluster, id).await.unwrap_or(old))
        } else {
            Ok(())
        };
    }
    let pool = old.pool_id.clone().or_else(|| old.pool_name.clone()).unwrap_or_default();
    let goal = Goal::Replaced { old: id.to_owned(), pool: pool.clone(), known: known.clone() };
    let display = Display::new(args.common.is_chatty());
    let subject = Subject { cluster, name: cluster };
    let seen = progress::wait(&session, subject, &goal, args.waiting.timeout, display).await?;
    let is_new = |w: &GetWorkerResponse| w.id.as_ref().is_some_and(|id| !known.contains(id)) && worker::is_in_pool(w, &pool);
    let new: Vec<_> = seen.workers.into_iter().filter(is_new).collect();
    let ids: Vec<_> = new.iter().filter_map(|w| w.id.as_deref()).collect();
    match &args.common {
        common if common.is_json() => output::json(&new),
        common if common.quiet.quiet => output::line(&ids.join("\n")),
        common => common.remark(&format!("{id} was replaced by {}.", ids.join(", "))),
    }
}
