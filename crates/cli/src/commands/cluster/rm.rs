//! `boatyard cluster rm`.

use std::time::Duration;

use boatyard_sdk::Session;
use boatyard_sdk::containers::Client;
use serde_json::json;

use crate::failure::Failure;
use crate::output::{self, Common};
use crate::progress::{self, Display, Goal, Subject};
use crate::{terminal, time};

#[derive(clap::Args, Debug)]
pub struct Args {
    /// ID or name of the cluster
    #[arg(short = 'c', long, value_name = "CLUSTER")]
    cluster: String,
    /// Do not ask
    #[arg(short = 'f', long)]
    force: bool,
    /// Delete the persistent storage of the cluster too; it cannot be restored
    #[arg(long, visible_alias = "force-delete-storage")]
    delete_storage: bool,
    /// Accepted for scripts written for `ibmcloud`; the service checks permissions in any case
    #[arg(long)]
    skip_advance_permissions_check: bool,
    /// Wait until the cluster is gone
    #[arg(long)]
    wait: bool,
    /// How long to wait at most
    #[arg(long, value_name = "TIME", default_value = "45m", value_parser = time::duration, requires = "wait")]
    timeout: Duration,
    #[command(flatten)]
    common: Common,
}

pub async fn run(args: Args) -> Result<(), Failure> {
    let session = Session::load()?;
    let cluster = super::get(&session, &args.cluster, false).await?;
    let id = cluster.id.unwrap_or_else(|| args.cluster.clone());
    let name = cluster.name.unwrap_or_else(|| args.cluster.clone());
    if !args.force && !terminal::confirm(&format!("Delete the cluster {name} ({id})?"), "`-f`")? {
        return Err(Failure::new("Nothing was deleted.", "Answer `y`, or give `-f`, to delete the cluster."));
    }
    let (group, resources) = (session.resource_group(), args.delete_storage.then_some("true"));
    // By ID: between the question and the answer the name may have come to mean another cluster.
    session.call(async |c: &Client| c.remove_cluster(&id, resources, group.as_deref()).await).await?;

    args.common.ok()?;
    if args.wait {
        let (subject, display) = (Subject { cluster: &id, name: &name }, Display::new(args.common.is_chatty()));
        progress::wait(&session, subject, &Goal::Gone, args.timeout, display).await?;
    }
    let state = if args.wait { "deleted" } else { "deleting" };
    if args.common.is_json() {
        return output::json(&json!({"id": id, "name": name, "state": state}));
    }
    args.common.remark(&format!("Cluster {name} is {state}."))
}
