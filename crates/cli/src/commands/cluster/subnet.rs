//! `boatyard cluster subnet`: portable subnets of classic clusters.

use boatyard_sdk::Session;
use boatyard_sdk::containers::Client;
use clap::Subcommand;
use serde_json::json;

use crate::failure::Failure;
use crate::output::{self, Common};
use crate::terminal;

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Add a subnet of the account to a cluster
    Add(SubnetArgs),
    /// Create a subnet and add it to a cluster
    Create(CreateArgs),
    /// Take a subnet from a cluster; the account keeps it
    Detach(DetachArgs),
}

#[derive(clap::Args, Debug)]
pub struct SubnetArgs {
    /// ID or name of the cluster
    #[arg(short = 'c', long, value_name = "CLUSTER")]
    cluster: String,
    /// ID of the subnet: see `boatyard subnets --provider classic`
    #[arg(long, value_name = "ID")]
    subnet_id: String,
    #[command(flatten)]
    common: Common,
}

#[derive(clap::Args, Debug)]
pub struct DetachArgs {
    #[command(flatten)]
    subnet: SubnetArgs,
    /// Do not ask
    #[arg(short = 'f')]
    force: bool,
}

#[derive(clap::Args, Debug)]
pub struct CreateArgs {
    /// ID or name of the cluster
    #[arg(short = 'c', long, value_name = "CLUSTER")]
    cluster: String,
    /// Number of addresses
    #[arg(long, value_name = "SIZE", value_parser = ["8", "16", "32", "64"])]
    size: String,
    /// ID of a VLAN of the cluster
    #[arg(long, value_name = "VLAN")]
    vlan: String,
    #[command(flatten)]
    common: Common,
}

pub async fn run(command: Command) -> Result<(), Failure> {
    let session = Session::load()?;
    let group = session.resource_group();
    let group = group.as_deref();
    match command {
        Command::Add(args) => {
            let (cluster, subnet) = (&args.cluster, &args.subnet_id);
            session.call(async |c: &Client| c.add_cluster_subnet(cluster, subnet, None, group).await).await?;
            finish(&args.common, cluster, &format!("Subnet {subnet} was added to the cluster {cluster}."))
        }
        Command::Create(args) => {
            let (cluster, vlan, size) = (&args.cluster, &args.vlan, Some(args.size.as_str()));
            session.call(async |c: &Client| c.create_cluster_subnet(cluster, vlan, size, None, group).await).await?;
            finish(&args.common, cluster, &format!("A subnet was created on VLAN {vlan} and added to the cluster {cluster}."))
        }
        Command::Detach(DetachArgs { subnet: args, force }) => {
            let (cluster, subnet) = (&args.cluster, &args.subnet_id);
            if !force && !terminal::confirm(&format!("Detach the subnet {subnet} from the cluster {cluster}"), "`-f`")? {
                return Err(Failure::new("Nothing was detached.", "Answer `y`, or give `-f`, to detach the subnet."));
            }
            session.call(async |c: &Client| c.detach_cluster_subnet(cluster, subnet, group).await).await?;
            finish(&args.common, cluster, &format!("Subnet {subnet} was detached from the cluster {cluster}."))
        }
    }
}

fn finish(common: &Common, cluster: &str, done: &str) -> Result<(), Failure> {
    if common.is_json() {
        return output::json(&json!({ "cluster": cluster, "result": done }));
    }
    common.ok()?;
    common.remark(done)
}
