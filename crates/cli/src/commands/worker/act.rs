//! `boatyard worker reboot`, `reload`, `update` and `rm`: what is done to workers that are named.

use std::collections::BTreeSet;

use boatyard_sdk::containers::Client;
use boatyard_sdk::containers::types::{GetWorkerResponse, UpdateClusterWorkerRequest, V2RemoveWorkerRequest};
use boatyard_sdk::{Error, Session};

use crate::commands::worker;
use crate::failure::Failure;
use crate::output::{self, Common};
use crate::progress::{self, Display, Goal, Scope, Subject, Waiting};
use crate::terminal;

/// What the verbs have in common.
#[derive(clap::Args, Debug)]
struct Named {
    /// ID of a worker node (may be repeated)
    #[arg(short = 'w', long = "worker", value_name = "WORKER", required = true)]
    workers: Vec<String>,
    /// Do not ask
    #[arg(short = 'f', long)]
    force: bool,
    #[command(flatten)]
    waiting: Waiting,
    #[command(flatten)]
    common: Common,
}

#[derive(clap::Args, Debug)]
pub struct RebootArgs {
    /// ID or name of the cluster
    #[arg(short = 'c', long, value_name = "CLUSTER")]
    cluster: String,
    /// Cut the power instead of shutting the system down
    #[arg(long)]
    hard: bool,
    /// Accepted for scripts written for `ibmcloud`; the health of the master is not checked first
    #[arg(long, alias = "skip-master-healthcheck")]
    skip_master_health: bool,
    #[command(flatten)]
    named: Named,
}

#[derive(clap::Args, Debug)]
pub struct ReloadArgs {
    /// ID or name of the cluster; that of the first worker node's ID if left out
    #[arg(short = 'c', long, value_name = "CLUSTER")]
    cluster: Option<String>,
    /// Accepted for scripts written for `ibmcloud`; the health of the master is not checked first
    #[arg(long, alias = "skip-master-healthcheck")]
    skip_master_health: bool,
    #[command(flatten)]
    named: Named,
}

#[derive(clap::Args, Debug)]
pub struct UpdateArgs {
    /// ID or name of the cluster
    #[arg(short = 'c', long, value_name = "CLUSTER")]
    cluster: String,
    #[command(flatten)]
    named: Named,
}

#[derive(clap::Args, Debug)]
pub struct RmArgs {
    /// ID or name of the cluster
    #[arg(short = 'c', long, value_name = "CLUSTER")]
    cluster: String,
    #[command(flatten)]
    named: Named,
}

/// What is done, and how it is told.
struct Verb {
    /// As in "Reload the worker nodes …?"
    order: &'static str,
    /// As in "is being reloaded", "was reloaded".
    participle: &'static str,
    /// The word on the wire; none for a removal.
    action: Option<&'static str>,
    warning: &'static str,
}

const DRAIN: &str = "What runs on it is interrupted.";

pub async fn reboot(args: RebootArgs) -> Result<(), Failure> {
    let action = if args.hard { "power_cycle" } else { "reboot" };
    let verb = Verb { order: "Reboot", participle: "rebooted", action: Some(action), warning: DRAIN };
    run(&args.cluster, &args.named, &verb).await
}

pub async fn reload(args: ReloadArgs) -> Result<(), Failure> {
    let verb = Verb {
        order: "Reload",
        participle: "reloaded",
        action: Some("reload"),
        warning: "What runs on it is interrupted, and its local data is lost.",
    };
    let cluster = match args.cluster {
        Some(cluster) => cluster,
        None => cluster_of(args.named.workers.first().map_or("", String::as_str))?,
    };
    run(&cluster, &args.named, &verb).await
}

pub async fn update(args: UpdateArgs) -> Result<(), Failure> {
    let verb = Verb {
        order: "Update",
        participle: "updated",
        action: Some("update"),
        warning: "What runs on it is interrupted, and its local data is lost.",
    };
    run(&args.cluster, &args.named, &verb).await
}

pub async fn rm(args: RmArgs) -> Result<(), Failure> {
    let verb = Verb {
        order: "Remove",
        participle: "removed",
        action: None,
        warning: "What runs on it is interrupted, and its local data is lost.",
    };
    run(&args.cluster, &args.named, &verb).await
}

/// The cluster that a worker's ID names.
fn cluster_of(worker: &str) -> Result<String, Failure> {
    let mut parts = worker.split('-');
    match (parts.next(), parts.next()) {
        (Some("kube"), Some(cluster)) if !cluster.is_empty() => Ok(cluster.to_owned()),
        _ => Err(Failure::usage(
            format!("The worker {worker:?} does not tell its cluster."),
            "Give the cluster with `-c`; IDs of workers are those of `boatyard worker ls -c CLUSTER`.",
        )),
    }
}

async fn run(cluster: &str, named: &Named, verb: &Verb) -> Result<(), Failure> {
    let session = Session::load()?;
    let ids: BTreeSet<String> = named.workers.iter().cloned().collect();
    // Before anybody is asked, and before the first of them is touched: a mistyped ID stops the command.
    for id in &ids {
        worker::get(&session, cluster, id).await?;
    }
    let list = ids.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
    let question = format!("{} {list}? {}", verb.order, verb.warning);
    if !named.force && !terminal::confirm(&question, "`-f`")? {
        return Err(Failure::new("Nothing was done.", "Answer `y`, or give `-f`."));
    }
    let mut accepted: Vec<&str> = Vec::new();
    for id in &ids {
        if let Err(error) = order(&session, cluster, id, verb).await {
            if !accepted.is_empty() {
                terminal::note(&format!("Accepted before the failure: {}", accepted.join(", ")));
            }
            return Err(refused(error, cluster, id, verb));
        }
        accepted.push(id);
    }
    named.common.ok()?;
    if named.waiting.wait {
        let scope = Scope { workers: ids.clone(), ..Scope::default() };
        let goal = match verb.action {
            Some(_) => Goal::Ready { scope, count: ids.len() },
            None => Goal::Removed(ids.clone()),
        };
        let subject = Subject { cluster, name: cluster };
        let display = Display::new(named.common.is_chatty());
        progress::wait(&session, subject, &goal, named.waiting.timeout, display).await?;
    }
    if named.common.is_json() {
        return output::json(&present(&session, cluster, &ids).await?);
    }
    let tense = match (named.waiting.wait, ids.len()) {
        (true, 1) => "was",
        (true, _) => "were",
        (false, 1) => "is being",
        (false, _) => "are being",
    };
    named.common.remark(&format!("{list} {tense} {}.", verb.participle))?;
    if named.waiting.wait { Ok(()) } else { named.common.remark(&format!("See how far: boatyard worker ls -c {cluster}")) }
}

fn refused(error: Error, cluster: &str, id: &str, verb: &Verb) -> Failure {
    let is_other_provider = matches!(&error, Error::Service(refusal) if refusal.code.as_deref() == Some("G3917"));
    if verb.action == Some("update") && is_other_provider {
        let next =
            format!("Worker nodes on VPC are replaced instead: `boatyard worker replace --update -c {cluster} -w {id}`.");
        return Failure::new(error.to_string(), next);
    }
    Failure::from(error).during(id)
}

async fn order(session: &Session, cluster: &str, id: &str, verb: &Verb) -> Result<(), Error> {
    let group = session.resource_group();
    match verb.action {
        Some(action) => {
            let body = UpdateClusterWorkerRequest { action: Some(action.to_owned()), ..Default::default() };
            session.call(async |c: &Client| c.update_cluster_worker(cluster, id, group.as_deref(), &body).await).await
        }
        None => {
            let body = V2RemoveWorkerRequest { cluster: Some(cluster.to_owned()), worker_id: Some(id.to_owned()) };
            session.call(async |c: &Client| c.v2_remove_worker(group.as_deref(), &body).await).await
        }
    }
}

/// The workers as they are now, without those that are forgotten already.
async fn present(session: &Session, cluster: &str, ids: &BTreeSet<String>) -> Result<Vec<GetWorkerResponse>, Error> {
    let mut found = Vec::new();
    for id in ids {
        match worker::get(session, cluster, id).await {
            Ok(worker) => found.push(worker),
            Err(error) if error.status() == Some(404) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_of_a_worker_names_its_cluster() {
        assert_eq!(cluster_of("kube-dc2a-mine-default-0000018c").ok().as_deref(), Some("dc2a"));
        for wrong in ["", "mine", "kube-", "10.0.0.1"] {
            assert!(cluster_of(wrong).is_err(), "{wrong}");
        }
    }
}
