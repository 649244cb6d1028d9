//! What the demo does, all of it through the public API.

use std::path::{Path, PathBuf};
use std::time::Duration;

use boatyard_core::Clock;
use boatyard_sdk::containers::types::{
    CreateClusterRequest, VpcCreateClusterRequest, VpcCreateClusterWorkerPool, VpcCreateClusterWorkerPoolZone,
};
use boatyard_sdk::{Endpoint, Error, Home, LoginOptions, Session};
use indicatif::MultiProgress;

use crate::commands::{account, cluster, network};
use crate::failure::Failure;
use crate::local::Credentials;
use crate::progress::{self, Display, Goal, Subject};
use crate::server::Running;
use crate::{kubeconfig, output};

pub const VPC_CLUSTER: &str = "demo-vpc";
pub const CLASSIC_CLUSTER: &str = "demo-classic";
pub const VPC_FLAVOR: &str = "bx2.4x16";
pub const CLASSIC_FLAVOR: &str = "b3c.4x16";
/// Data centers where a new server has VLANs.
const DATA_CENTERS: [&str; 3] = ["dal10", "dal12", "dal13"];
const PATIENCE: Duration = Duration::from_secs(15 * 60);

/// What was found and made, for the recipe.
pub struct Done {
    pub endpoint: String,
    pub ca_file: Option<PathBuf>,
    pub credentials: PathBuf,
    pub home: PathBuf,
    pub kubeconfig: PathBuf,
    pub vpc: Vpc,
    pub classic: Classic,
}

pub struct Vpc {
    pub id: String,
    pub zone: String,
    pub subnet: String,
}

pub struct Classic {
    pub zone: String,
    pub public_vlan: String,
    pub private_vlan: String,
}

pub async fn run(running: &Running, data_dir: &Path) -> Result<Done, Failure> {
    let credentials = Credentials::read(data_dir)?;
    let session = login(running, &credentials, data_dir).await.map_err(|e| e.during("Logging in"))?;
    output::line(&format!("Logged in to {}", running.endpoint()))?;

    let vpc = find_vpc(&session).await.map_err(|e| e.during("Looking for a VPC"))?;
    output::line(&format!("Found VPC {} with subnet {} in {}", vpc.id, vpc.subnet, vpc.zone))?;
    let classic = find_vlans(&session).await.map_err(|e| e.during("Looking for VLANs"))?;
    output::line(&format!("Found VLANs {} and {} in {}", classic.public_vlan, classic.private_vlan, classic.zone))?;

    let vpc_id = create_vpc(&session, &vpc).await.map_err(|e| e.during("Creating the VPC cluster"))?;
    let classic_id = create_classic(&session, &classic).await.map_err(|e| e.during("Creating the classic cluster"))?;
    output::line(&format!("Creating clusters {VPC_CLUSTER} ({vpc_id}) and {CLASSIC_CLUSTER} ({classic_id}) ..."))?;
    wait(&session, &vpc_id, &classic_id).await?;

    let list = cluster::list(&session, None, &[]).await.map_err(|e| Failure::from(e).during("Listing clusters"))?;
    output::print(&format!("\n{}\n", cluster::table(cluster::rows(list, Clock::default().now()))))?;
    let kubeconfig = data_dir.join("kubeconfig");
    for id in [&classic_id, &vpc_id] {
        let wanted = cluster::Wanted { cluster: id.clone(), ..cluster::Wanted::default() };
        let fetched = cluster::fetch_kubeconfig(&session, &wanted).await.map_err(|e| e.during("Getting a kubeconfig"))?;
        kubeconfig::merge_into(&kubeconfig, &fetched)?;
    }
    output::line(&format!("Wrote the kubeconfig of both clusters to {}", kubeconfig.display()))?;
    Ok(Done {
        endpoint: running.endpoint().to_owned(),
        ca_file: credentials.ca_file,
        credentials: running.credentials_file().to_owned(),
        home: session.home().dir().to_owned(),
        kubeconfig,
        vpc,
        classic,
    })
}

/// A login of its own, beside the server's data, so that the person's is left alone.
async fn login(running: &Running, credentials: &Credentials, data_dir: &Path) -> Result<Session, Failure> {
    let key = credentials.apikey.clone().ok_or_else(|| {
        Failure::new("There is no API key in the server's credentials.json.", "Start again with an empty `--data-dir`.")
    })?;
    let endpoint = Endpoint::new(running.endpoint(), credentials.ca_file.as_deref())?;
    let home = Home::at(data_dir.join("client"));
    let session = Session::login_apikey(home, Clock::default(), endpoint, key, LoginOptions::default()).await?;
    let accounts = account::all(&session).await?;
    let wanted = credentials.account_id.clone().or_else(|| session.state().account.map(|a| a.id));
    let account = match wanted {
        Some(id) => account::choose(&accounts, &id)?,
        None => accounts.into_iter().next().ok_or_else(|| nothing("account"))?,
    };
    if session.state().account.is_none_or(|a| a.id != account.id) {
        session.select_account(account).await?;
    } else {
        session.name_account(account.name.as_deref().unwrap_or_default()).await?;
    }
    Ok(session)
}

async fn find_vpc(session: &Session) -> Result<Vpc, Failure> {
    for vpc in network::list_vpcs(session, Some("vpc-gen2")).await? {
        let Some(id) = vpc.id else { continue };
        for zone in vpc.zones {
            let subnets = network::list_subnets(session, &id, &zone).await?;
            if let Some(subnet) = subnets.into_iter().find_map(|s| s.id) {
                return Ok(Vpc { id, zone, subnet });
            }
        }
    }
    Err(nothing("VPC with a subnet"))
}

async fn find_vlans(session: &Session) -> Result<Classic, Failure> {
    for zone in DATA_CENTERS {
        let vlans = network::list_vlans(session, zone).await?;
        let of = |kind: &str| vlans.iter().find(|v| v.type_.as_deref() == Some(kind)).and_then(|v| v.id.clone());
        if let (Some(public_vlan), Some(private_vlan)) = (of("public"), of("private")) {
            return Ok(Classic { zone: zone.to_owned(), public_vlan, private_vlan });
        }
    }
    Err(nothing("pair of VLANs"))
}

async fn create_vpc(session: &Session, vpc: &Vpc) -> Result<String, Failure> {
    let zone = VpcCreateClusterWorkerPoolZone { id: Some(vpc.zone.clone()), subnet_id: Some(vpc.subnet.clone()) };
    let request = VpcCreateClusterRequest {
        name: Some(VPC_CLUSTER.to_owned()),
        provider: Some("vpc-gen2".to_owned()),
        worker_pool: Some(VpcCreateClusterWorkerPool {
            flavor: Some(VPC_FLAVOR.to_owned()),
            vpc_id: Some(vpc.id.clone()),
            worker_count: Some(2),
            zones: Some(vec![zone]),
            ..VpcCreateClusterWorkerPool::default()
        }),
        ..VpcCreateClusterRequest::default()
    };
    made(session, VPC_CLUSTER, cluster::create_vpc(session, &request).await.map(|c| c.cluster_id)).await
}

async fn create_classic(session: &Session, classic: &Classic) -> Result<String, Failure> {
    let request = CreateClusterRequest {
        name: Some(CLASSIC_CLUSTER.to_owned()),
        data_center: Some(classic.zone.clone()),
        machine_type: Some(CLASSIC_FLAVOR.to_owned()),
        public_vlan: Some(classic.public_vlan.clone()),
        private_vlan: Some(classic.private_vlan.clone()),
        worker_num: Some(2),
        ..CreateClusterRequest::default()
    };
    made(session, CLASSIC_CLUSTER, cluster::create_classic(session, &request).await.map(|c| c.id)).await
}

/// The ID of a cluster just made, or of the one that an earlier demo left in the same data directory.
async fn made(session: &Session, name: &str, created: Result<Option<String>, Error>) -> Result<String, Failure> {
    let id = match created {
        Err(error) if error.status() == Some(409) => cluster::get(session, name, false).await?.id,
        created => created?,
    };
    id.ok_or_else(|| nothing("ID in the answer"))
}

async fn wait(session: &Session, vpc: &str, classic: &str) -> Result<(), Failure> {
    let bars = MultiProgress::new();
    let (vpc, classic) = (Subject { cluster: vpc, name: VPC_CLUSTER }, Subject { cluster: classic, name: CLASSIC_CLUSTER });
    tokio::try_join!(
        progress::wait(session, vpc, &Goal::Normal, PATIENCE, Display::brief(&bars)),
        progress::wait(session, classic, &Goal::Normal, PATIENCE, Display::brief(&bars)),
    )?;
    Ok(())
}

fn nothing(what: &str) -> Failure {
    Failure::new(
        format!("The server has no {what}."),
        "A new server has one; start again with an empty `--data-dir`, and report this if it stays so.",
    )
}
