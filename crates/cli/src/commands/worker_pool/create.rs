//! `boatyard worker-pool create classic` and `boatyard worker-pool create vpc-gen2`.

use std::collections::HashMap;

use boatyard_sdk::Session;
use boatyard_sdk::containers::Client;
use boatyard_sdk::containers::types::{CreateWorkerPoolRequest, VpcCreateWorkerPoolRequest, WorkerVolumeEncryption};
use clap::Subcommand;
use serde_json::Value;

use super::mark::label;
use crate::failure::Failure;
use crate::output::{self, Common};
use crate::progress::{self, Display, Goal, Scope, Subject, Waiting};

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Create a worker pool in a classic cluster
    Classic(ClassicArgs),
    /// Create a worker pool in a VPC cluster
    #[command(name = "vpc-gen2")]
    VpcGen2(VpcArgs),
}

#[derive(clap::Args, Debug)]
pub struct ClassicArgs {
    /// Whether other accounts may use the same machines
    #[arg(long, value_name = "HARDWARE", value_parser = ["shared", "dedicated"])]
    hardware: Option<String>,
    #[command(flatten)]
    any: AnyArgs,
}

#[derive(clap::Args, Debug)]
pub struct VpcArgs {
    /// ID of the VPC, which is that of the cluster
    #[arg(long, value_name = "ID")]
    vpc_id: Option<String>,
    /// Security group of the worker nodes beside the cluster's own (may be repeated)
    #[arg(long = "security-group", value_name = "GROUP")]
    security_groups: Vec<String>,
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
    /// ID or name of the cluster
    #[arg(short = 'c', long, value_name = "CLUSTER")]
    cluster: String,
    /// Name of the worker pool, unique in the cluster
    #[arg(long, value_name = "NAME")]
    name: String,
    /// Flavor of the worker nodes
    #[arg(long, value_name = "FLAVOR")]
    flavor: String,
    /// Worker nodes in each zone that the pool will have
    #[arg(long, value_name = "SIZE", value_parser = clap::value_parser!(i64).range(0..))]
    size_per_zone: i64,
    /// Label of the worker nodes as KEY=VALUE (may be repeated)
    #[arg(short = 'l', long = "label", value_name = "LABEL", value_parser = label)]
    labels: Vec<(String, String)>,
    /// Operating system of the worker nodes
    #[arg(long, value_name = "SYSTEM")]
    operating_system: Option<String>,
    /// OpenShift licence that you bring along
    #[arg(long, value_name = "ENTITLEMENT")]
    entitlement: Option<String>,
    /// Do not encrypt the local disks
    #[arg(long)]
    disable_disk_encrypt: bool,
    #[command(flatten)]
    waiting: Waiting,
    #[command(flatten)]
    common: Common,
}

pub async fn run(command: Command) -> Result<(), Failure> {
    let session = Session::load()?;
    let group = session.resource_group();
    match command {
        Command::Classic(args) => {
            let (cluster, request) = (args.any.cluster.as_str(), classic_request(&args));
            let created =
                session.call(async |c: &Client| c.create_worker_pool(cluster, None, group.as_deref(), &request).await).await?;
            let answer = serde_json::to_value(&created).unwrap_or_default();
            finish(&session, created.id, answer, &args.any).await
        }
        Command::VpcGen2(args) => {
            let request = vpc_request(&args);
            let created =
                session.call(async |c: &Client| c.vpc_create_worker_pool(None, group.as_deref(), &request).await).await?;
            let answer = serde_json::to_value(&created).unwrap_or_default();
            finish(&session, created.worker_pool_id, answer, &args.any).await
        }
    }
}

async fn finish(session: &Session, id: Option<String>, answer: Value, args: &AnyArgs) -> Result<(), Failure> {
    let (common, cluster, name) = (&args.common, args.cluster.as_str(), args.name.as_str());
    let id = id.unwrap_or_else(|| name.to_owned());
    common.ok()?;
    common.remark(&format!("Worker pool {name} created with ID {id}"))?;
    let pool = super::get(session, cluster, &id).await;
    if args.waiting.wait {
        let scope = Scope { pools: vec![id.clone()], ..Scope::default() };
        let goal = Goal::Ready { scope, count: pool.as_ref().map_or(0, super::wanted) };
        let subject = Subject { cluster, name: cluster };
        progress::wait(session, subject, &goal, args.waiting.timeout, Display::new(common.is_chatty())).await?;
        if common.is_json() {
            return output::json(&super::get(session, cluster, &id).await?);
        }
    }
    if pool.is_ok_and(|pool| pool.zones.is_empty()) {
        common.remark(&format!("It has worker nodes once it has a zone. Next: boatyard zone add … -c {cluster} -p {name}"))?;
    }
    match common {
        c if c.is_json() => output::json(&answer),
        c if c.quiet.quiet => output::line(&id),
        _ => Ok(()),
    }
}

fn labels(args: &AnyArgs) -> Option<HashMap<String, String>> {
    (!args.labels.is_empty()).then(|| args.labels.iter().cloned().collect())
}

fn classic_request(args: &ClassicArgs) -> CreateWorkerPoolRequest {
    let any = &args.any;
    CreateWorkerPoolRequest {
        name: Some(any.name.clone()),
        machine_type: Some(any.flavor.clone()),
        size_per_zone: Some(any.size_per_zone),
        // The wire says `public` and `private` for what the command line calls shared and dedicated.
        isolation: args.hardware.as_deref().map(|h| if h == "dedicated" { "private" } else { "public" }.to_owned()),
        disk_encryption: Some(!any.disable_disk_encrypt),
        entitlement: any.entitlement.clone(),
        labels: labels(any),
        operating_system: any.operating_system.clone(),
        zones: None,
    }
}

fn vpc_request(args: &VpcArgs) -> VpcCreateWorkerPoolRequest {
    let any = &args.any;
    let encryption = args.kms_instance.as_ref().map(|instance| WorkerVolumeEncryption {
        kms_instance_id: Some(instance.clone()),
        worker_volume_crkid: args.crk.clone(),
        kms_account_id: args.kms_account_id.clone(),
    });
    VpcCreateWorkerPoolRequest {
        cluster: Some(any.cluster.clone()),
        name: Some(any.name.clone()),
        flavor: Some(any.flavor.clone()),
        worker_count: Some(any.size_per_zone),
        vpc_id: args.vpc_id.clone(),
        disk_encryption: any.disable_disk_encrypt.then_some(false),
        entitlement: any.entitlement.clone(),
        labels: labels(any),
        operating_system: any.operating_system.clone(),
        secondary_storage_option: args.secondary_storage.clone(),
        security_group_i_ds: (!args.security_groups.is_empty()).then(|| args.security_groups.clone()),
        worker_volume_encryption: encryption,
        ..VpcCreateWorkerPoolRequest::default()
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

    #[test]
    fn flags_become_what_the_wire_calls_them() {
        let request = |line: &str| {
            let line = std::iter::once("create").chain(line.split_whitespace());
            match Line::try_parse_from(line).unwrap_or_else(|e| panic!("{e}")).command {
                Command::Classic(args) => serde_json::to_value(classic_request(&args)),
                Command::VpcGen2(args) => serde_json::to_value(vpc_request(&args)),
            }
            .expect("it is JSON")
        };
        assert_eq!(
            request("classic -c a --name p --flavor f --size-per-zone 2 --hardware dedicated --label k=v"),
            json!({"name": "p", "machineType": "f", "sizePerZone": 2, "isolation": "private", "diskEncryption": true, "labels": {"k": "v"}})
        );
        assert_eq!(
            request(
                "vpc-gen2 -c a --name p --flavor f --size-per-zone 2 --kms-instance k --crk c --security-group s --disable-disk-encrypt"
            ),
            json!({"cluster": "a", "name": "p", "flavor": "f", "workerCount": 2, "diskEncryption": false, "securityGroupIDs": ["s"],
                   "workerVolumeEncryption": {"kmsInstanceID": "k", "workerVolumeCRKID": "c"}})
        );
    }
}
