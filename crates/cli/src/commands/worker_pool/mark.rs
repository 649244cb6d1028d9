//! `boatyard worker-pool label` and `taint`: what Kubernetes knows the worker nodes of a pool by.

use std::collections::HashMap;

use boatyard_sdk::containers::Client;
use boatyard_sdk::containers::types::{V2SetWorkerPoolLabelsRequest, V2SetWorkerPoolTaintsRequest};
use boatyard_sdk::{Error, Session};
use clap::Subcommand;

use super::Which;
use crate::failure::Failure;
use crate::output::{self, Common};
use crate::terminal;

type Pairs = HashMap<String, String>;

#[derive(Debug, Subcommand)]
pub enum LabelCommand {
    /// Set the labels of a worker pool; those that it had and that are not given are removed
    Set(LabelSetArgs),
    /// Remove all labels that were set
    Rm(RmArgs),
}

#[derive(Debug, Subcommand)]
pub enum TaintCommand {
    /// Set the taints of a worker pool; those that it had and that are not given are removed
    Set(TaintSetArgs),
    /// Remove all taints
    Rm(RmArgs),
}

#[derive(clap::Args, Debug)]
pub struct LabelSetArgs {
    #[command(flatten)]
    which: Which,
    /// Label as KEY=VALUE (may be repeated)
    #[arg(short = 'l', long = "label", value_name = "LABEL", value_parser = label, required = true)]
    labels: Vec<(String, String)>,
    #[command(flatten)]
    any: AnyArgs,
}

#[derive(clap::Args, Debug)]
pub struct TaintSetArgs {
    #[command(flatten)]
    which: Which,
    /// Taint as KEY=VALUE:EFFECT, with the effect NoSchedule, PreferNoSchedule or NoExecute (may be repeated)
    #[arg(long = "taint", value_name = "TAINT", value_parser = taint, required = true)]
    taints: Vec<(String, String)>,
    #[command(flatten)]
    any: AnyArgs,
}

#[derive(clap::Args, Debug)]
pub struct RmArgs {
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    any: AnyArgs,
}

#[derive(clap::Args, Debug)]
struct AnyArgs {
    /// Do not ask when labels or taints are lost
    #[arg(short = 'f', long)]
    force: bool,
    #[command(flatten)]
    common: Common,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Labels,
    Taints,
}

/// Reads `KEY=VALUE`.
pub fn label(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("give it as KEY=VALUE".to_owned()),
    }
}

/// Reads `KEY=VALUE:EFFECT`.
fn taint(text: &str) -> Result<(String, String), String> {
    label(text)
        .ok()
        .filter(|(_, value)| value.rsplit_once(':').is_some_and(|(_, effect)| EFFECTS.contains(&effect)))
        .ok_or_else(|| format!("give it as KEY=VALUE:EFFECT, with one of the effects {}", EFFECTS.join(", ")))
}

const EFFECTS: [&str; 3] = ["NoSchedule", "PreferNoSchedule", "NoExecute"];

pub async fn label_run(command: LabelCommand) -> Result<(), Failure> {
    match command {
        LabelCommand::Set(args) => set(Kind::Labels, &args.which, args.labels.into_iter().collect(), &args.any).await,
        LabelCommand::Rm(args) => set(Kind::Labels, &args.which, Pairs::new(), &args.any).await,
    }
}

pub async fn taint_run(command: TaintCommand) -> Result<(), Failure> {
    match command {
        TaintCommand::Set(args) => set(Kind::Taints, &args.which, args.taints.into_iter().collect(), &args.any).await,
        TaintCommand::Rm(args) => set(Kind::Taints, &args.which, Pairs::new(), &args.any).await,
    }
}

/// Replaces all labels or taints of a pool; asks first if some are lost by that.
async fn set(kind: Kind, which: &Which, wanted: Pairs, args: &AnyArgs) -> Result<(), Failure> {
    let session = Session::load()?;
    let word = if kind == Kind::Labels { "labels" } else { "taints" };
    let Which { cluster, pool } = which;
    let before = super::get(&session, cluster, pool).await?;
    let lost = lost(if kind == Kind::Labels { &before.labels } else { &before.taints }, &wanted);
    if !lost.is_empty() && !args.force {
        let question = format!("Remove the {word} {} of the worker pool {pool}?", lost.join(", "));
        if !terminal::confirm(&question, "`-f`")? {
            return Err(Failure::new("Nothing was changed.", format!("Give those {word} too that are to stay, or `-f`.")));
        }
    }
    let none = wanted.is_empty();
    send(&session, kind, which, wanted).await?;
    args.common.ok()?;
    if args.common.is_json() {
        return output::json(&super::get(&session, cluster, pool).await?);
    }
    args.common.remark(&format!("The {word} of the worker pool {pool} were {}.", if none { "removed" } else { "set" }))
}

/// What is there now and will not be afterwards. Labels of the service itself stay in any case.
fn lost(before: &Pairs, wanted: &Pairs) -> Vec<String> {
    let own = |key: &str| key.starts_with("ibm-cloud.kubernetes.io/") || key.starts_with("kubernetes.io/");
    let gone = before.iter().filter(|(key, _)| !own(key) && !wanted.contains_key(*key));
    let mut gone: Vec<_> = gone.map(|(key, value)| format!("{key}={value}")).collect();
    gone.sort_unstable();
    gone
}

async fn send(session: &Session, kind: Kind, which: &Which, wanted: Pairs) -> Result<(), Error> {
    let group = session.resource_group();
    let (cluster, workerpool) = (Some(which.cluster.clone()), Some(which.pool.clone()));
    match kind {
        Kind::Labels => {
            let body = V2SetWorkerPoolLabelsRequest { cluster, workerpool, labels: Some(wanted) };
            session.call(async |c: &Client| c.v2_set_worker_pool_labels(group.as_deref(), &body).await).await
        }
        Kind::Taints => {
            let body = V2SetWorkerPoolTaintsRequest { cluster, workerpool, taints: Some(wanted) };
            session.call(async |c: &Client| c.v2_set_worker_pool_taints(group.as_deref(), &body).await).await
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_and_taints_are_written_as_kubectl_has_them() {
        let pair = |key: &str, value: &str| Some((key.to_owned(), value.to_owned()));
        assert_eq!(label("app=web").ok(), pair("app", "web"));
        assert_eq!(label("empty=").ok(), pair("empty", ""));
        assert_eq!(taint("only=gpu:NoSchedule").ok(), pair("only", "gpu:NoSchedule"));
        for wrong in ["app", "=web", ""] {
            assert!(label(wrong).is_err(), "{wrong}");
        }
        for wrong in ["only=gpu", "only=gpu:", "only=gpu:Never", "gpu:NoSchedule"] {
            assert!(taint(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn only_what_is_not_given_again_is_lost() {
        let pairs = |text: &[(&str, &str)]| text.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect::<Pairs>();
        let before = pairs(&[("a", "1"), ("b", "2"), ("ibm-cloud.kubernetes.io/worker-pool-id", "p")]);
        assert_eq!(lost(&before, &pairs(&[("a", "3")])), ["b=2"]);
        assert!(lost(&before, &pairs(&[("a", "1"), ("b", "2")])).is_empty());
    }
}
