//! `boatyard cluster create classic` and `boatyard cluster create vpc-gen2`.

use boatyard_sdk::containers::Client;
use boatyard_sdk::containers::types::{
    ClusterCreateResponse, CreateClusterRequest, CreateClusterResponse, ResponseErrors, VpcCreateClusterRequest,
    VpcCreateClusterWorkerPool, VpcCreateClusterWorkerPoolZone, WorkerVolumeEncryption,
};
use boatyard_sdk::{Error, Session};
use clap::Subcommand;

use crate::failure::Failure;
use crate::output::{self, Common};
use crate::progress::{self, Display, Goal, Subject, Waiting};
use crate::terminal;

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Create a cluster on classic infrastructure
    Classic(ClassicArgs),
    /// Create a cluster in a VPC
    #[command(name = "vpc-gen2")]
    VpcGen2(VpcArgs),
}

#[derive(clap::Args, Debug)]
pub struct ClassicArgs {
    /// Name of the cluster: letters, digits, '.' and '-', beginning with a letter, 35 characters at most
    #[arg(long, value_name = "NAME")]
    name: String,
    /// Data center, such as dal10
    #[arg(long, alias = "location", value_name = "ZONE")]
    zone: String,
    /// Flavor of the worker nodes
    #[arg(long, value_name = "FLAVOR")]
    flavor: String,
    /// Whether other accounts may use the same machines
    #[arg(long, value_name = "HARDWARE", value_parser = ["shared", "dedicated"])]
    hardware: Option<String>,
    /// ID of the public VLAN (see 'vlan ls')
    #[arg(long, value_name = "VLAN", conflicts_with = "private_only")]
    public_vlan: Option<String>,
    /// ID of the private VLAN (see 'vlan ls')
    #[arg(long, value_name = "VLAN")]
    private_vlan: Option<String>,
    /// Do not attach the worker nodes to a public VLAN
    #[arg(long)]
    private_only: bool,
    /// Do not order portable subnets
    #[arg(long)]
    no_subnet: bool,
    /// Do not encrypt the local disks
    #[arg(long)]
    disable_disk_encrypt: bool,
    /// Serve the API server on the public network
    #[arg(long)]
    public_service_endpoint: bool,
    /// Serve the API server on the private network
    #[arg(long)]
    private_service_endpoint: bool,
    /// Do not check the permissions of classic infrastructure first
    #[arg(long)]
    skip_advance_permissions_check: bool,
    #[command(flatten)]
    any: AnyArgs,
}

#[derive(clap::Args, Debug)]
pub struct VpcArgs {
    /// Name of the cluster: letters, digits, '.' and '-', beginning with a letter, 35 characters at most
    #[arg(long, value_name = "NAME")]
    name: String,
    /// Zone of the first worker nodes, such as us-south-1
    #[arg(long, value_name = "ZONE")]
    zone: String,
    /// ID of the VPC (see 'vpcs')
    #[arg(long, value_name = "ID")]
    vpc_id: String,
    /// ID of the subnet in that zone (see 'subnets')
    #[arg(long, value_name = "ID")]
    subnet_id: String,
    /// Flavor of the worker nodes
    #[arg(long, value_name = "FLAVOR")]
    flavor: String,
    /// Network plug-in
    #[arg(long, value_name = "CNI", value_parser = ["Calico", "OVNKubernetes"])]
    cni: Option<String>,
    /// What is installed
    #[arg(long, value_name = "OFFERING", value_parser = ["kubernetes", "openshift", "openshift-vs"])]
    offering: Option<String>,
    /// CRN of the object storage instance; OpenShift needs one
    #[arg(long, value_name = "CRN")]
    cos_instance: Option<String>,
    /// Security group of the worker nodes (may be repeated)
    #[arg(long = "cluster-security-group", value_name = "GROUP")]
    security_groups: Vec<String>,
    /// Let the worker nodes reach every address outside
    #[arg(long)]
    disable_outbound_traffic_protection: bool,
    /// Do not serve the API server on the public network
    #[arg(long)]
    disable_public_service_endpoint: bool,
    /// ID of the key management instance that protects the disks
    #[arg(long, value_name = "INSTANCE", requires = "crk")]
    kms_instance: Option<String>,
    /// ID of the root key that protects the disks
    #[arg(long, value_name = "CRK", requires = "kms_instance")]
    crk: Option<String>,
    /// Account of the key management instance, if it is another one
    #[arg(long, value_name = "ID", requires = "kms_instance")]
    kms_account_id: Option<String>,
    /// Additional local storage of the worker nodes
    #[arg(long, value_name = "STORAGE")]
    secondary_storage: Option<String>,
    #[command(flatten)]
    any: AnyArgs,
}

/// What both kinds have.
#[derive(clap::Args, Debug)]
struct AnyArgs {
    /// Worker nodes (for each zone in a VPC)
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(i64).range(1..))]
    workers: Option<i64>,
    /// Version, such as 1.35 or 4.19_openshift; the service's default if left out
    #[arg(long, value_name = "VERSION")]
    version: Option<String>,
    /// OpenShift licence that you bring along
    #[arg(long, value_name = "ENTITLEMENT")]
    entitlement: Option<String>,
    /// Operating system of the worker nodes
    #[arg(long, value_name = "SYSTEM")]
    operating_system: Option<String>,
    /// Addresses of the pods, as a CIDR
    #[arg(long, value_name = "SUBNET")]
    pod_subnet: Option<String>,
    /// Addresses of the services, as a CIDR
    #[arg(long, value_name = "SUBNET")]
    service_subnet: Option<String>,
    #[command(flatten)]
    waiting: Waiting,
    #[command(flatten)]
    common: Common,
}

pub async fn run(command: Command) -> Result<(), Failure> {
    let session = Session::load()?;
    match command {
        Command::Classic(args) => {
            let created = create_classic(&session, &classic_request(&args)).await?;
            warn(created.non_critical_errors.as_ref());
            let answer = serde_json::to_value(&created).unwrap_or_default();
            finish(&session, &args.name, created.id, answer, &args.any).await
        }
        Command::VpcGen2(args) => {
            let created = create_vpc(&session, &vpc_request(&args)).await?;
            warn(created.non_critical_errors.as_ref());
            created.messages.iter().filter_map(|m| m.text.as_deref()).for_each(terminal::note);
            let answer = serde_json::to_value(&created).unwrap_or_default();
            finish(&session, &args.name, created.cluster_id, answer, &args.any).await
        }
    }
}

pub async fn create_classic(session: &Session, request: &CreateClusterRequest) -> Result<ClusterCreateResponse, Error> {
    let group = session.resource_group();
    session.call(async |c: &Client| c.create_cluster(None, group.as_deref(), request).await).await
}

pub async fn create_vpc(session: &Session, request: &VpcCreateClusterRequest) -> Result<CreateClusterResponse, Error> {
    let group = session.resource_group();
    session.call(async |c: &Client| c.vpc_create_cluster(None, group.as_deref(), request).await).await
}

/// Says what was made; with `--wait`, once it is there.
async fn finish(
    session: &Session,
    name: &str,
    id: Option<String>,
    answer: serde_json::Value,
    args: &AnyArgs,
) -> Result<(), Failure> {
    let common = &args.common;
    let id = id.unwrap_or_else(|| name.to_owned());
    common.ok()?;
    common.remark(&format!("Cluster created with ID {id}"))?;
    if args.waiting.wait {
        let (subject, display) = (Subject { cluster: &id, name }, Display::new(common.is_chatty()));
        let seen = progress::wait(session, subject, &Goal::Normal, args.waiting.timeout, display).await?;
        if common.is_json() {
            return output::json(&seen.cluster);
        }
        common.remark(&format!("Cluster {name} is normal. Next: boatyard cluster config -c {name}"))?;
    }
    match common {
        c if c.is_json() => output::json(&answer),
        c if c.quiet.quiet => output::line(&id),
        _ => Ok(()),
    }
}

fn warn(errors: Option<&ResponseErrors>) {
    for error in errors.into_iter().flat_map(|e| &e.items) {
        let text = serde_json::to_value(error).unwrap_or_default();
        terminal::note(&format!("Warning: {}", text["description"].as_str().unwrap_or("the service reports a problem")));
    }
}

/// A flag that was not given is not sent, so that the service's own default holds.
fn given(flag: bool) -> Option<bool> {
    flag.then_some(true)
}

fn classic_request(args: &ClassicArgs) -> CreateClusterRequest {
    let any = &args.any;
    CreateClusterRequest {
        name: Some(args.name.clone()),
        data_center: Some(args.zone.clone()),
        machine_type: Some(args.flavor.clone()),
        // The wire says `public` and `private` for what the command line calls shared and dedicated.
        isolation: args.hardware.as_deref().map(|h| if h == "dedicated" { "private" } else { "public" }.to_owned()),
        public_vlan: args.public_vlan.clone(),
        private_vlan: args.private_vlan.clone(),
        no_subnet: given(args.no_subnet),
        disk_encryption: Some(!args.disable_disk_encrypt),
        public_service_endpoint: given(args.public_service_endpoint),
        private_sevice_endpoint: given(args.private_service_endpoint),
        skip_perm_precheck: given(args.skip_advance_permissions_check),
        worker_num: Some(any.workers.unwrap_or(1)),
        master_version: any.version.clone(),
        default_worker_pool_entitlement: any.entitlement.clone(),
        operating_system: any.operating_system.clone(),
        pod_subnet: any.pod_subnet.clone(),
        service_subnet: any.service_subnet.clone(),
        ..CreateClusterRequest::default()
    }
}

fn vpc_request(args: &VpcArgs) -> VpcCreateClusterRequest {
    let any = &args.any;
    let encryption = args.kms_instance.as_ref().map(|instance| WorkerVolumeEncryption {
        kms_instance_id: Some(instance.clone()),
        worker_volume_crkid: args.crk.clone(),
        kms_account_id: args.kms_account_id.clone(),
    });
    let zone = VpcCreateClusterWorkerPoolZone { id: Some(args.zone.clone()), subnet_id: Some(args.subnet_id.clone()) };
    let pool = VpcCreateClusterWorkerPool {
        flavor: Some(args.flavor.clone()),
        vpc_id: Some(args.vpc_id.clone()),
        worker_count: Some(any.workers.unwrap_or(1)),
        zones: Some(vec![zone]),
        operating_system: any.operating_system.clone(),
        secondary_storage_option: args.secondary_storage.clone(),
        worker_volume_encryption: encryption,
        ..VpcCreateClusterWorkerPool::default()
    };
    VpcCreateClusterRequest {
        name: Some(args.name.clone()),
        provider: Some("vpc-gen2".to_owned()),
        kube_version: any.version.clone(),
        default_worker_pool_entitlement: any.entitlement.clone(),
        pod_subnet: any.pod_subnet.clone(),
        service_subnet: any.service_subnet.clone(),
        network_plugin: args.cni.clone(),
        offering: args.offering.clone(),
        cos_instance_crn: args.cos_instance.clone(),
        security_group_i_ds: (!args.security_groups.is_empty()).then(|| args.security_groups.clone()),
        disable_outbound_traffic_protection: given(args.disable_outbound_traffic_protection),
        disable_public_service_endpoint: given(args.disable_public_service_endpoint),
        worker_pool: Some(pool),
        ..VpcCreateClusterRequest::default()
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use serde_json::json;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(subcommand)]
        command: Command,
    }

    fn request(line: &str) -> serde_json::Value {
        let line = std::iter::once("create").chain(line.split_whitespace());
        match Line::try_parse_from(line).unwrap_or_else(|e| panic!("{e}")).command {
            Command::Classic(args) => serde_json::to_value(classic_request(&args)),
            Command::VpcGen2(args) => serde_json::to_value(vpc_request(&args)),
        }
        .expect("it is JSON")
    }

    #[test]
    fn flags_become_what_the_wire_calls_them() {
        assert_eq!(
            request(
                "classic --name a --zone dal10 --flavor f --hardware dedicated --private-vlan 2 --private-only --version 1.35"
            ),
            json!({"name": "a", "dataCenter": "dal10", "machineType": "f", "isolation": "private", "privateVlan": "2",
                   "diskEncryption": true, "workerNum": 1, "masterVersion": "1.35"})
        );
        assert_eq!(
            request("vpc-gen2 --name a --zone z --vpc-id v --subnet-id s --flavor f --workers 2 --kms-instance k --crk c"),
            json!({"name": "a", "provider": "vpc-gen2", "workerPool": {
                "flavor": "f", "vpcID": "v", "workerCount": 2, "zones": [{"id": "z", "subnetID": "s"}],
                "workerVolumeEncryption": {"kmsInstanceID": "k", "workerVolumeCRKID": "c"}}})
        );
    }
}
