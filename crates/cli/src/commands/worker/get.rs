//! `boatyard worker get`.

use boatyard_sdk::Session;
use boatyard_sdk::containers::types::GetWorkerResponse;

use crate::commands::worker;
use crate::failure::Failure;
use crate::output::{self, Common};

#[derive(clap::Args, Debug)]
pub struct Args {
    /// ID or name of the cluster
    #[arg(short = 'c', long, value_name = "CLUSTER")]
    cluster: String,
    /// ID of the worker node
    #[arg(short = 'w', long, value_name = "WORKER")]
    worker: String,
    #[command(flatten)]
    common: Common,
}

pub async fn run(args: Args) -> Result<(), Failure> {
    let found = worker::get(&Session::load()?, &args.cluster, &args.worker).await?;
    if args.common.is_json() {
        return output::json(&found);
    }
    args.common.ok()?;
    args.common.remark("")?;
    output::print(&details(&found))
}

fn details(w: &GetWorkerResponse) -> String {
    let (private, public) = worker::addresses(w);
    let lifecycle = w.lifecycle.clone().unwrap_or_default();
    let version = w.kube_version.clone().unwrap_or_default();
    let classic = w.network_information.clone().unwrap_or_default();
    let subnet = w.network_interfaces.first().and_then(|i| i.subnet_id.clone());
    output::pairs(&[
        ("ID", w.id.clone()),
        ("State", Some(worker::state(w).to_owned())),
        ("Status", Some(worker::status(w).to_owned())),
        ("Details", lifecycle.message_details),
        ("Since", lifecycle.message_date),
        ("Pending operation", lifecycle.pending_operation),
        ("Reason for removal", lifecycle.reason_for_delete),
        ("Worker pool", w.pool_name.clone()),
        ("Worker pool ID", w.pool_id.clone()),
        ("Zone", w.location.clone()),
        ("Flavor", w.flavor.clone()),
        ("Version", Some(worker::version(w))),
        ("Target version", version.target),
        ("Operating system", lifecycle.actual_operating_system),
        ("Private IP", Some(private)),
        ("Public IP", Some(public)),
        ("Subnet ID", subnet),
        ("Private VLAN", classic.private_vlan),
        ("Public VLAN", classic.public_vlan),
        ("Dedicated host", w.dedicated_host_id.clone()),
    ])
}
