//! `boatyard cluster master`: its version and from where it is reached.

use boatyard_sdk::containers::Client;
use boatyard_sdk::containers::types::{
    V2DisablePrivateServiceEndpointRequest, V2DisablePublicServiceEndpointRequest, V2EnablePrivateServiceEndpointRequest,
    V2EnablePublicServiceEndpointRequest, V2UpdateMasterRequest, VpcRefreshMasterRequest,
};
use boatyard_sdk::{Error, Session};
use clap::Subcommand;

use crate::failure::Failure;
use crate::output::{self, Common};
use crate::progress::{self, Display, Goal, Subject, Waiting};
use crate::terminal;

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Bring the master to another version; worker nodes keep theirs until they are updated
    Update(UpdateArgs),
    /// Start the API server anew with the present settings
    Refresh(RefreshArgs),
    /// Reaching the master on the public network
    #[command(subcommand)]
    PublicServiceEndpoint(EndpointCommand),
    /// Reaching the master on the private network
    #[command(subcommand)]
    PrivateServiceEndpoint(EndpointCommand),
}

#[derive(clap::Args, Debug)]
pub struct UpdateArgs {
    /// ID or name of the cluster
    #[arg(short = 'c', long, value_name = "CLUSTER")]
    cluster: String,
    /// Version, such as 1.36 or 4.20_openshift; the newest fix pack of the present one if left out
    #[arg(long, value_name = "VERSION")]
    version: Option<String>,
    /// Update even if the service advises against it
    #[arg(long)]
    force_update: bool,
    /// Do not ask
    #[arg(short = 'f', long)]
    force: bool,
    #[command(flatten)]
    waiting: Waiting,
    #[command(flatten)]
    common: Common,
}

#[derive(clap::Args, Debug)]
pub struct RefreshArgs {
    /// ID or name of the cluster
    #[arg(short = 'c', long, value_name = "CLUSTER")]
    cluster: String,
    #[command(flatten)]
    waiting: Waiting,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Subcommand)]
pub enum EndpointCommand {
    /// Serve the API server on this network
    Enable(EndpointArgs),
    /// Do not serve the API server on this network any more
    Disable(EndpointArgs),
}

#[derive(clap::Args, Debug)]
pub struct EndpointArgs {
    /// ID or name of the cluster
    #[arg(short = 'c', long, value_name = "CLUSTER")]
    cluster: String,
    /// Do not ask
    #[arg(short = 'f', long)]
    force: bool,
    /// Refresh the master right afterwards, without asking
    #[arg(short = 'y')]
    refresh: bool,
    #[command(flatten)]
    waiting: Waiting,
    #[command(flatten)]
    common: Common,
}

#[derive(Clone, Copy)]
enum Network {
    Public,
    Private,
}

pub async fn run(command: Command) -> Result<(), Failure> {
    let session = Session::load()?;
    match command {
        Command::Update(args) => update(&session, args).await,
        Command::Refresh(args) => {
            refresh(&session, &args.cluster).await?;
            finish(&session, &args.cluster, &args.waiting, &args.common, "refreshed").await
        }
        Command::PublicServiceEndpoint(command) => endpoint(&session, Network::Public, command).await,
        Command::PrivateServiceEndpoint(command) => endpoint(&session, Network::Private, command).await,
    }
}

async fn update(session: &Session, args: UpdateArgs) -> Result<(), Failure> {
    let before = super::get(session, &args.cluster, false).await?;
    let name = before.name.unwrap_or_else(|| args.cluster.clone());
    let from = before.master_kube_version.unwrap_or_default();
    let to = args.version.as_deref().unwrap_or("the newest fix pack");
    let question = format!("Update the master of {name} from {from} to {to}? There is no way back.");
    if !args.force && !terminal::confirm(&question, "`-f`")? {
        return Err(Failure::new("Nothing was updated.", "Answer `y`, or give `-f`, to update the master."));
    }
    let body = V2UpdateMasterRequest {
        cluster: Some(args.cluster.clone()),
        version: args.version.clone(),
        force: args.force_update.then_some(true),
    };
    let group = session.resource_group();
    session.call(async |c: &Client| c.v2_update_master(group.as_deref(), &body).await).await?;
    finish(session, &args.cluster, &args.waiting, &args.common, "updated").await
}

async fn refresh(session: &Session, cluster: &str) -> Result<(), Error> {
    let group = session.resource_group();
    let body = VpcRefreshMasterRequest { cluster: Some(cluster.to_owned()) };
    session.call(async |c: &Client| c.vpc_refresh_master(group.as_deref(), &body).await).await
}

/// Says what was asked for; with `--wait`, once the master is ready again.
async fn finish(session: &Session, cluster: &str, waiting: &Waiting, common: &Common, participle: &str) -> Result<(), Failure> {
    common.ok()?;
    if waiting.wait {
        let display = Display::new(common.is_chatty());
        let subject = Subject { cluster, name: cluster };
        progress::wait(session, subject, &Goal::Master, waiting.timeout, display).await?;
    }
    let now = super::get(session, cluster, false).await?;
    if common.is_json() {
        return output::json(&now);
    }
    let name = now.name.as_deref().unwrap_or(cluster);
    if !waiting.wait {
        return common
            .remark(&format!("The master of {name} is being {participle}. See how far: boatyard cluster get -c {cluster}"));
    }
    let version = now.master_kube_version.unwrap_or_default();
    common.remark(&format!("The master of {name} was {participle}; it runs {version}."))?;
    if participle == "updated" {
        common.remark(&format!("Worker nodes keep their version until they are updated: boatyard worker ls -c {cluster}"))?;
    }
    Ok(())
}

async fn endpoint(session: &Session, network: Network, command: EndpointCommand) -> Result<(), Failure> {
    let (args, on) = match command {
        EndpointCommand::Enable(args) => (args, true),
        EndpointCommand::Disable(args) => (args, false),
    };
    let word = match network {
        Network::Public => "public",
        Network::Private => "private",
    };
    let cluster = args.cluster.as_str();
    let question = format!("Disable the {word} service endpoint of {cluster}? Who uses it cannot reach the master any more.");
    if !on && !args.force && !terminal::confirm(&question, "`-f`")? {
        return Err(Failure::new("Nothing was changed.", "Answer `y`, or give `-f`, to disable the service endpoint."));
    }
    set_endpoint(session, network, on, cluster).await?;
    if args.refresh {
        refresh(session, cluster).await?;
    }
    args.common.ok()?;
    if args.waiting.wait {
        let display = Display::new(args.common.is_chatty());
        progress::wait(session, Subject { cluster, name: cluster }, &Goal::Master, args.waiting.timeout, display).await?;
    }
    if args.common.is_json() {
        return output::json(&super::get(session, cluster, false).await?);
    }
    args.common.remark(&format!("The {word} service endpoint of {cluster} is {}.", if on { "enabled" } else { "disabled" }))?;
    if args.refresh {
        return Ok(());
    }
    args.common.remark(&format!("The API server may need a refresh for it: boatyard cluster master refresh -c {cluster}"))
}

async fn set_endpoint(session: &Session, network: Network, on: bool, cluster: &str) -> Result<(), Error> {
    let group = session.resource_group();
    let group = group.as_deref();
    let cluster = Some(cluster.to_owned());
    match (network, on) {
        (Network::Public, true) => {
            let body = V2EnablePublicServiceEndpointRequest { cluster };
            session.call(async |c: &Client| c.v2_enable_public_service_endpoint(group, &body).await).await
        }
        (Network::Public, false) => {
            let body = V2DisablePublicServiceEndpointRequest { cluster };
            session.call(async |c: &Client| c.v2_disable_public_service_endpoint(group, &body).await).await
        }
        (Network::Private, true) => {
            let body = V2EnablePrivateServiceEndpointRequest { cluster };
            session.call(async |c: &Client| c.v2_enable_private_service_endpoint(group, &body).await).await
        }
        (Network::Private, false) => {
            let body = V2DisablePrivateServiceEndpointRequest { cluster };
            session.call(async |c: &Client| c.v2_disable_private_service_endpoint(group, &body).await).await
        }
    }
}
