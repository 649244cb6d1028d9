//! `boatyard zone`: the zones that worker pools have worker nodes in.

use boatyard_sdk::containers::Client;
use boatyard_sdk::containers::types::{
    AddWorkerPoolZoneNetworkRequest, AddWorkerPoolZoneRequest, GetWorkerPoolResponse, RemoveWorkerPoolZone1Request,
    VpcCreateWorkerPoolZoneRequest,
};
use boatyard_sdk::{Error, Session};
use clap::Subcommand;

use crate::commands::{catalog, worker, worker_pool};
use crate::failure::Failure;
use crate::output::{self, Common};
use crate::progress::{self, Display, Goal, Scope, Subject, Waiting};
use crate::terminal;

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Let worker pools have worker nodes in one more zone
    #[command(subcommand)]
    Add(AddCommand),
    /// Take a zone from worker pools, with the worker nodes that they have there
    Rm(RmArgs),
    /// Set the VLANs that new worker nodes of a classic cluster get in a zone
    NetworkSet(NetworkSetArgs),
    /// List the zones that clusters can be made in
    #[command(visible_alias = "list")]
    Ls(catalog::ZonesArgs),
}

#[derive(Debug, Subcommand)]
pub enum AddCommand {
    /// Add a zone to worker pools of a classic cluster
    Classic(AddClassicArgs),
    /// Add a zone to a worker pool of a VPC cluster
    #[command(name = "vpc-gen2")]
    VpcGen2(AddVpcArgs),
}

/// Which zone of which worker pools.
#[derive(clap::Args, Debug)]
struct Which {
    /// ID or name of the cluster
    #[arg(short = 'c', long, value_name = "CLUSTER")]
    cluster: String,
    /// ID or name of a worker pool (may be repeated)
    #[arg(short = 'p', long = "worker-pool", value_name = "POOL", required = true)]
    pools: Vec<String>,
    /// Zone, such as dal10 or us-south-1
    #[arg(long, value_name = "ZONE")]
    zone: String,
}

#[derive(clap::Args, Debug)]
#[group(required = true, multiple = false)]
struct PublicSide {
    /// ID of the public VLAN (see 'vlan ls')
    #[arg(long, value_name = "VLAN")]
    public_vlan: Option<String>,
    /// Do not attach the worker nodes to a public VLAN
    #[arg(long, requires = "private_vlan")]
    private_only: bool,
}

#[derive(clap::Args, Debug)]
pub struct AddClassicArgs {
    #[command(flatten)]
    which: Which,
    /// ID of the private VLAN (see 'vlan ls')
    #[arg(long, value_name = "VLAN")]
    private_vlan: Option<String>,
    #[command(flatten)]
    public: PublicSide,
    #[command(flatten)]
    waiting: Waiting,
    #[command(flatten)]
    common: Common,
}

#[derive(clap::Args, Debug)]
pub struct AddVpcArgs {
    /// ID or name of the cluster
    #[arg(short = 'c', long, value_name = "CLUSTER")]
    cluster: String,
    /// ID or name of the worker pool
    #[arg(short = 'p', long, value_name = "POOL")]
    worker_pool: String,
    /// Zone, such as us-south-1
    #[arg(long, value_name = "ZONE")]
    zone: String,
    /// ID of the subnet in that zone (see 'subnets')
    #[arg(long, value_name = "ID")]
    subnet_id: String,
    #[command(flatten)]
    waiting: Waiting,
    #[command(flatten)]
    common: Common,
}

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
pub struct NetworkSetArgs {
    #[command(flatten)]
    which: Which,
    /// ID of the private VLAN (see 'vlan ls')
    #[arg(long, value_name = "VLAN")]
    private_vlan: String,
    #[command(flatten)]
    public: PublicSide,
    /// Accepted for scripts written for `ibmcloud`; worker nodes that there are keep their VLANs, so nothing is asked
    #[arg(short = 'f', long)]
    force: bool,
    #[command(flatten)]
    common: Common,
}

pub async fn run(command: Command) -> Result<(), Failure> {
    let session = Session::load()?;
    match command {
        Command::Add(AddCommand::Classic(args)) => add_classic(&session, args).await,
        Command::Add(AddCommand::VpcGen2(args)) => add_vpc(&session, args).await,
        Command::Rm(args) => rm(&session, args).await,
        Command::Ls(args) => catalog::zones(args).await,
        Command::NetworkSet(args) => network_set(&session, args).await,
    }
}

async fn add_classic(session: &Session, args: AddClassicArgs) -> Result<(), Failure> {
    let group = session.resource_group();
    let cluster = args.which.cluster.as_str();
    let body = AddWorkerPoolZoneRequest {
        id: Some(args.which.zone.clone()),
        private_vlan: args.private_vlan,
        public_vlan: args.public.public_vlan,
        ..AddWorkerPoolZoneRequest::default()
    };
    each(&args.which, async |pool| {
        session.call(async |c: &Client| c.add_worker_pool_zone(cluster, pool, group.as_deref(), &body).await).await
    })
    .await?;
    added(session, &args.which, &args.waiting, &args.common).await
}

async fn add_vpc(session: &Session, args: AddVpcArgs) -> Result<(), Failure> {
    let group = session.resource_group();
    let body = VpcCreateWorkerPoolZoneRequest {
        cluster: Some(args.cluster.clone()),
        worker_pool_id: Some(args.worker_pool.clone()),
        id: Some(args.zone.clone()),
        subnet_id: Some(args.subnet_id),
        ..VpcCreateWorkerPoolZoneRequest::default()
    };
    session.call(async |c: &Client| c.vpc_create_worker_pool_zone(None, group.as_deref(), &body).await).await?;
    let which = Which { cluster: args.cluster, pools: vec![args.worker_pool], zone: args.zone };
    added(session, &which, &args.waiting, &args.common).await
}

/// Says so; with `--wait`, once each pool has its worker nodes there.
async fn added(session: &Session, which: &Which, waiting: &Waiting, common: &Common) -> Result<(), Failure> {
    let Which { cluster, zone, .. } = which;
    common.ok()?;
    let pools = pools(session, which).await?;
    if waiting.wait {
        let size = |pool: &GetWorkerPoolResponse| usize::try_from(pool.worker_count.unwrap_or(0)).unwrap_or(0);
        let scope = Scope { pools: which.pools.clone(), zone: Some(zone.clone()), ..Scope::default() };
        let goal = Goal::Ready { scope, count: pools.iter().map(size).sum() };
        let subject = Subject { cluster, name: cluster };
        progress::wait(session, subject, &goal, waiting.timeout, Display::new(common.is_chatty())).await?;
    }
    if common.is_json() {
        return output::json(&self::pools(session, which).await?);
    }
    let list = which.pools.join(", ");
    if waiting.wait {
        return common.remark(&format!("Zone {zone} was added to {list}; its worker nodes are ready."));
    }
    common.remark(&format!("Zone {zone} was added to {list}. See its worker nodes: boatyard worker ls -c {cluster}"))
}

async fn rm(session: &Session, args: RmArgs) -> Result<(), Failure> {
    let Which { cluster, zone, .. } = &args.which;
    let scope = Scope { pools: args.which.pools.clone(), zone: Some(zone.clone()), ..Scope::default() };
    // A mistyped pool stops the command before anything is asked or done.
    pools(session, &args.which).await?;
    let mut workers = worker::list(session, cluster, None, false).await?;
    workers.retain(|w| scope.contains(w));
    let list = args.which.pools.join(", ");
    let question = format!("Take the zone {zone} from {list}, with the {} worker nodes there?", workers.len());
    if !args.force && !terminal::confirm(&question, "`-f`")? {
        return Err(Failure::new("Nothing was removed.", "Answer `y`, or give `-f`, to remove the zone."));
    }
    let group = session.resource_group();
    each(&args.which, async |pool| {
        let (cluster, workerpool, zone) = (Some(cluster.clone()), Some(pool.to_owned()), Some(zone.clone()));
        let body = RemoveWorkerPoolZone1Request { cluster, workerpool, zone };
        session.call(async |c: &Client| c.remove_worker_pool_zone1(group.as_deref(), &body).await).await
    })
    .await?;
    args.common.ok()?;
    if args.waiting.wait {
        let goal = Goal::Removed(workers.into_iter().filter_map(|w| w.id).collect());
        let display = Display::new(args.common.is_chatty());
        progress::wait(session, Subject { cluster, name: cluster }, &goal, args.waiting.timeout, display).await?;
    }
    if args.common.is_json() {
        return output::json(&pools(session, &args.which).await?);
    }
    let state = if args.waiting.wait { "are gone" } else { "are being removed" };
    args.common.remark(&format!("Zone {zone} was taken from {list}; its worker nodes {state}."))
}

async fn network_set(session: &Session, args: NetworkSetArgs) -> Result<(), Failure> {
    let group = session.resource_group();
    let (cluster, zone) = (args.which.cluster.as_str(), args.which.zone.as_str());
    let body = AddWorkerPoolZoneNetworkRequest { private_vlan: Some(args.private_vlan), public_vlan: args.public.public_vlan };
    each(&args.which, async |pool| {
        session
            .call(async |c: &Client| c.add_worker_pool_zone_network(cluster, pool, zone, group.as_deref(), &body).await)
            .await
    })
    .await?;
    args.common.ok()?;
    if args.common.is_json() {
        return output::json(&pools(session, &args.which).await?);
    }
    let list = args.which.pools.join(", ");
    args.common.remark(&format!("New worker nodes of {list} in {zone} get these VLANs; those that there are keep theirs."))
}

async fn pools(session: &Session, which: &Which) -> Result<Vec<GetWorkerPoolResponse>, Error> {
    let mut found = Vec::new();
    for pool in &which.pools {
        found.push(worker_pool::get(session, &which.cluster, pool).await?);
    }
    Ok(found)
}

/// Does it to one pool after another; tells which were done before one that cannot be.
async fn each(which: &Which, act: impl AsyncFn(&str) -> Result<(), Error>) -> Result<(), Failure> {
    for (done, pool) in which.pools.iter().enumerate() {
        if let Err(error) = act(pool).await {
            if done > 0 {
                terminal::note(&format!("Done before the failure: {}", which.pools[..done].join(", ")));
            }
            return Err(Failure::from(error).during(pool));
        }
    }
    Ok(())
}
