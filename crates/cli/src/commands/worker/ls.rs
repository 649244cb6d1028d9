//! `boatyard worker ls`.

use boatyard_sdk::Session;
use boatyard_sdk::containers::types::GetWorkerResponse;

use crate::commands::{worker, worker_pool};
use crate::failure::Failure;
use crate::output::{self, Common};
use crate::terminal;

#[derive(clap::Args, Debug)]
pub struct Args {
    /// ID or name of the cluster
    #[arg(short = 'c', long, value_name = "CLUSTER")]
    cluster: String,
    /// Worker nodes of this pool only, by ID or name
    #[arg(short = 'p', long, value_name = "POOL")]
    worker_pool: Option<String>,
    /// Show the IDs of the worker pools too
    #[arg(long)]
    show_pools: bool,
    /// Show worker nodes too that were removed a short time ago
    #[arg(long)]
    show_deleted: bool,
    /// Show why worker nodes are removed
    #[arg(long)]
    show_delete_reason: bool,
    #[command(flatten)]
    common: Common,
}

pub async fn run(args: Args) -> Result<(), Failure> {
    let session = Session::load()?;
    let pool = args.worker_pool.as_deref();
    let mut found = worker::list(&session, &args.cluster, pool, args.show_deleted).await?;
    if let (Some(pool), true) = (pool, found.is_empty()) {
        // Says so when there is no such pool.
        worker_pool::get(&session, &args.cluster, pool).await?;
    }
    if args.common.is_json() {
        return output::json(&found);
    }
    found.sort_by(|a, b| (&a.pool_name, &a.location, &a.id).cmp(&(&b.pool_name, &b.location, &b.id)));
    args.common.ok()?;
    output::print(&table(&found, &args))?;
    if found.iter().any(|w| worker::version(w).ends_with('*')) {
        let (cluster, classic) = (&args.cluster, found.iter().any(|w| w.network_information.is_some()));
        let command = if classic { "worker update" } else { "worker replace --update" };
        if args.common.is_chatty() {
            // On standard error: whoever reads the table's lines is not to take this for a worker node.
            terminal::note(&format!("* The master has another version. To follow it: boatyard {command} -c {cluster} -w ID"));
        }
    }
    Ok(())
}

fn table(found: &[GetWorkerResponse], args: &Args) -> String {
    let is_public = found.iter().any(|w| !worker::addresses(w).1.is_empty());
    let mut header = vec!["ID", "Primary IP"];
    header.extend(is_public.then_some("Public IP"));
    header.extend(["Flavor", "State", "Status", "Zone", "Version", "Pool"]);
    header.extend(args.show_pools.then_some("Pool ID"));
    header.extend(args.show_delete_reason.then_some("Delete Reason"));
    let row = |w: &GetWorkerResponse| {
        let text = |value: &Option<String>| value.clone().unwrap_or_default();
        let (private, public) = worker::addresses(w);
        let mut row = vec![text(&w.id), private];
        row.extend(is_public.then_some(public));
        row.extend([text(&w.flavor), worker::state(w).to_owned(), worker::status(w).to_owned()]);
        row.extend([text(&w.location), worker::version(w), text(&w.pool_name)]);
        row.extend(args.show_pools.then(|| text(&w.pool_id)));
        let reason = w.lifecycle.as_ref().and_then(|l| l.reason_for_delete.clone());
        row.extend(args.show_delete_reason.then(|| reason.unwrap_or_default()));
        row
    };
    output::columns(&header, found.iter().map(row))
}
