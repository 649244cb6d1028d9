//! `boatyard worker-pool ls`, `get` and `zones`.

use std::collections::HashMap;

use boatyard_sdk::Session;
use boatyard_sdk::containers::Client;
use boatyard_sdk::containers::types::{GetWorkerPoolResponse, WorkerPoolZoneResponse};

use super::Which;
use crate::failure::Failure;
use crate::output::{self, Common};
use crate::terminal;

#[derive(clap::Args, Debug)]
pub struct LsArgs {
    /// ID or name of the cluster
    #[arg(short = 'c', long, value_name = "CLUSTER")]
    cluster: String,
    #[command(flatten)]
    common: Common,
}

#[derive(clap::Args, Debug)]
pub struct GetArgs {
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    common: Common,
}

pub async fn ls(args: LsArgs) -> Result<(), Failure> {
    let session = Session::load()?;
    let group = session.resource_group();
    let cluster = args.cluster.as_str();
    let mut found = session.call(async |c: &Client| c.get_worker_pools1(cluster, group.as_deref(), None).await).await?;
    if args.common.is_json() {
        return output::json(&found);
    }
    found.sort_by(|a, b| a.pool_name.cmp(&b.pool_name));
    args.common.ok()?;
    let header = ["Name", "ID", "Flavor", "Workers", "Per Zone", "Zones", "Operating System"];
    output::print(&output::table(header, found.iter().map(row).collect()))
}

fn row(pool: &GetWorkerPoolResponse) -> [String; 7] {
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    let workers: i64 = pool.zones.iter().filter_map(|zone| zone.worker_count).sum();
    let mut zones: Vec<_> = pool.zones.iter().filter_map(|zone| zone.id.as_deref()).collect();
    zones.sort_unstable();
    let size = pool.worker_count.map(|n| n.to_string()).unwrap_or_default();
    let (name, id, flavor) = (text(&pool.pool_name), text(&pool.id), text(&pool.flavor));
    [name, id, flavor, workers.to_string(), size, zones.join(", "), text(&pool.operating_system)]
}

pub async fn get(args: GetArgs) -> Result<(), Failure> {
    let pool = super::get(&Session::load()?, &args.which.cluster, &args.which.pool).await?;
    if args.common.is_json() {
        return output::json(&pool);
    }
    args.common.ok()?;
    args.common.remark("")?;
    output::print(&details(&pool))?;
    if pool.zones.is_empty() { Ok(()) } else { output::print(&format!("\n{}", zone_table(&pool.zones))) }
}

fn details(pool: &GetWorkerPoolResponse) -> String {
    let yes = |value: Option<bool>| value.map(|v| if v { "yes" } else { "no" }.to_owned());
    let encryption = pool.worker_volume_encryption.clone().unwrap_or_default();
    output::pairs(&[
        ("Name", pool.pool_name.clone()),
        ("ID", pool.id.clone()),
        ("State", pool.lifecycle.as_ref().and_then(|l| l.actual_state.clone())),
        ("Provider", pool.provider.clone()),
        ("Flavor", pool.flavor.clone()),
        ("Hardware", pool.isolation.as_deref().map(hardware)),
        ("Workers per zone", pool.worker_count.map(|n| n.to_string())),
        ("Balanced", yes(pool.is_balanced)),
        ("Autoscaled", yes(pool.autoscale_enabled)),
        ("Operating system", pool.operating_system.clone()),
        ("Entitlement", pool.openshift_license.clone()),
        ("VPC", pool.vpc_id.clone()),
        ("Security groups", Some(pool.security_group_i_ds.join(", "))),
        ("Disk encryption", yes(pool.disk_encryption)),
        ("Disk key", encryption.worker_volume_crkid),
        ("Secondary storage", pool.secondary_storage_option.as_ref().and_then(|s| s.name.clone())),
        ("Dedicated host pool", pool.dedicated_host_pool_id.clone()),
        ("Labels", Some(listed(&pool.labels))),
        ("Taints", Some(listed(&pool.taints))),
    ])
}

/// The command line says shared and dedicated for what the wire calls public and private.
fn hardware(isolation: &str) -> String {
    match isolation {
        "private" => "dedicated",
        "public" => "shared",
        other => other,
    }
    .to_owned()
}

fn listed(map: &HashMap<String, String>) -> String {
    let mut pairs: Vec<_> = map.iter().map(|(k, v)| format!("{k}={v}")).collect();
    pairs.sort_unstable();
    pairs.join(", ")
}

pub async fn zones(args: GetArgs) -> Result<(), Failure> {
    let pool = super::get(&Session::load()?, &args.which.cluster, &args.which.pool).await?;
    if args.common.is_json() {
        return output::json(&pool.zones);
    }
    args.common.ok()?;
    output::print(&zone_table(&pool.zones))?;
    if pool.zones.is_empty() && args.common.is_chatty() {
        terminal::note("The worker pool has no zones yet, and so no worker nodes. Add one with `boatyard zone add`.");
    }
    Ok(())
}

fn zone_table(zones: &[WorkerPoolZoneResponse]) -> String {
    let mut zones: Vec<_> = zones.iter().collect();
    zones.sort_by(|a, b| a.id.cmp(&b.id));
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    let is_classic = zones.iter().any(|zone| zone.private_vlan.as_deref().is_some_and(|v| !v.is_empty()));
    let rows = zones.into_iter().map(|zone| {
        let workers = zone.worker_count.unwrap_or(0).to_string();
        let subnets: Vec<_> = zone.subnets.iter().filter_map(|s| s.id.as_deref()).collect();
        let mut row = vec![text(&zone.id), workers];
        if is_classic {
            row.extend([text(&zone.private_vlan), text(&zone.public_vlan)]);
        } else {
            row.push(subnets.join(", "));
        }
        row
    });
    let classic = ["Zone", "Workers", "Private VLAN", "Public VLAN"];
    output::columns(if is_classic { &classic } else { &["Zone", "Workers", "Subnet"] }, rows)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn pools_count_their_workers_over_all_zones() {
        let pool = json!({"poolName": "default", "id": "p1", "flavor": "bx2.4x16", "workerCount": 2, "operatingSystem": "UBUNTU_24_64",
            "zones": [{"id": "us-south-2", "workerCount": 2}, {"id": "us-south-1", "workerCount": 1}]});
        let pool: GetWorkerPoolResponse = serde_json::from_value(pool).expect("it is a pool");
        assert_eq!(row(&pool), ["default", "p1", "bx2.4x16", "3", "2", "us-south-1, us-south-2", "UBUNTU_24_64"]);
        assert_eq!(super::super::wanted(&pool), 4);
    }

    #[test]
    fn zones_show_what_their_infrastructure_has() {
        let zones = |of| serde_json::from_value::<Vec<WorkerPoolZoneResponse>>(of).expect("they are zones");
        assert_eq!(
            zone_table(&zones(json!([{"id": "dal10", "workerCount": 1, "privateVLAN": "1", "publicVLAN": ""}]))),
            "Zone    Workers   Private VLAN   Public VLAN\ndal10   1         1              -\n"
        );
        assert_eq!(
            zone_table(&zones(json!([{"id": "us-south-1", "workerCount": 1, "subnets": [{"id": "0717-a"}]}]))),
            "Zone         Workers   Subnet\nus-south-1   1         0717-a\n"
        );
    }
}
