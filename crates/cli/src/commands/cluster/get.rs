//! `boatyard cluster get`.

use boatyard_core::Clock;
use boatyard_sdk::Session;
use boatyard_sdk::containers::types::GetClusterResponse;

use crate::failure::Failure;
use crate::output::{self, Common};
use crate::time;

#[derive(clap::Args, Debug)]
pub struct Args {
    /// ID or name of the cluster
    #[arg(short = 'c', long, value_name = "CLUSTER")]
    cluster: String,
    /// Show the VLANs and subnets too
    #[arg(long)]
    show_resources: bool,
    #[command(flatten)]
    common: Common,
}

pub async fn run(args: Args) -> Result<(), Failure> {
    let cluster = super::get(&Session::load()?, &args.cluster, args.show_resources).await?;
    if args.common.is_json() {
        return output::json(&cluster);
    }
    args.common.ok()?;
    args.common.remark("")?;
    let resources = vlans(&cluster);
    output::print(&details(cluster))?;
    output::print(&resources)
}

fn details(c: GetClusterResponse) -> String {
    let now = Clock::default().now();
    let lifecycle = c.lifecycle.unwrap_or_default();
    let endpoints = c.service_endpoints.unwrap_or_default();
    let ingress = c.ingress.unwrap_or_default();
    let yes = |value: Option<bool>| value.map(|v| if v { "yes" } else { "no" }.to_owned());
    let filled = |value: Option<String>| value.filter(|v| !v.is_empty());
    // Two shapes share this answer: nested members of version 2 and, for older services, the flat ones of version 1.
    let master_status = filled(lifecycle.master_status).or(c.master_status);
    let master_since = filled(lifecycle.master_status_modified_date).or(c.master_status_modified_date);
    let master_status = master_status.map(|status| match filled(master_since) {
        Some(since) => format!("{status} ({})", time::age(&since, now)),
        None => status,
    });
    output::pairs(&[
        ("Name", c.name),
        ("ID", c.id),
        ("State", c.state),
        ("Status", c.status),
        ("Created", filled(c.created_date).map(|d| time::age(&d, now))),
        ("Type", c.type_),
        ("Provider", c.provider),
        ("Location", filled(c.location).or(c.data_center)),
        ("Worker zones", Some(c.worker_zones.join(", "))),
        ("Workers", c.worker_count.map(|n| n.to_string())),
        ("Version", c.master_kube_version),
        ("Target version", c.target_version),
        ("Master status", master_status),
        ("Master state", filled(lifecycle.master_state).or(c.master_state)),
        ("Master health", filled(lifecycle.master_health).or(c.master_health)),
        ("Master URL", filled(c.master_url).or(c.server_url)),
        ("Public endpoint", filled(endpoints.public_service_endpoint_url).or(c.public_service_endpoint_url)),
        ("Private endpoint", filled(endpoints.private_service_endpoint_url).or(c.private_service_endpoint_url)),
        ("Ingress subdomain", filled(ingress.hostname).or(c.ingress_hostname)),
        ("Ingress secret", filled(ingress.secret_name).or(c.ingress_secret_name)),
        ("Ingress status", filled(ingress.status).or(c.ingress_status)),
        ("Pod subnet", c.pod_subnet),
        ("Service subnet", c.service_subnet),
        ("VPCs", Some(c.vpcs.join(", "))),
        ("Resource group", filled(c.resource_group_name).or(c.resource_group)),
        ("Owner", c.owner_email),
        ("Image security", yes(c.image_security_enabled)),
        ("CRN", c.crn),
    ])
}

fn vlans(cluster: &GetClusterResponse) -> String {
    let cell = |value: &Option<String>| value.clone().unwrap_or_default();
    let mut rows = Vec::new();
    for vlan in &cluster.vlans {
        if vlan.subnets.is_empty() {
            // Without a subnet that says so, the list of the workers' VLANs tells the type.
            let kind = cluster.worker_vlans.iter().find(|w| w.id == vlan.id).and_then(|w| w.type_.clone());
            rows.push([cell(&vlan.id), cell(&vlan.zone), String::new(), String::new(), kind.unwrap_or_default()]);
        }
        for subnet in &vlan.subnets {
            let kind = if subnet.is_public == Some(true) { "public" } else { "private" };
            rows.push([cell(&vlan.id), cell(&vlan.zone), cell(&subnet.id), cell(&subnet.cidr), kind.to_owned()]);
        }
    }
    if rows.is_empty() {
        return String::new();
    }
    format!("\n{}", output::table(["VLAN ID", "Zone", "Subnet ID", "CIDR", "Type"], rows))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn reads_either_shape() {
        let nested = json!({"name": "mine", "lifecycle": {"masterStatus": "Ready"}, "ingress": {"hostname": "a.b"}});
        let flat = json!({"name": "mine", "masterStatus": "Ready", "ingressHostname": "a.b", "ingress": {"hostname": ""}});
        for shape in [nested, flat] {
            let text = details(serde_json::from_value(shape).expect("it is a cluster"));
            assert_eq!(text, "Name:                mine\nMaster status:       Ready\nIngress subdomain:   a.b\n");
        }
    }

    #[test]
    fn a_vlan_without_subnets_has_a_row() {
        let cluster = json!({"name": "mine", "worker_vlans": [{"id": "1", "type": "private"}], "vlans": [
            {"id": "1", "zone": "dal10", "subnets": []},
            {"id": "2", "zone": "dal10", "subnets": [{"id": "s", "cidr": "10.0.0.0/29", "is_public": true}]}]});
        assert_eq!(
            vlans(&serde_json::from_value(cluster).expect("it is a cluster")),
            "\nVLAN ID   Zone    Subnet ID   CIDR          Type\n\
             1         dal10   -           -             private\n\
             2         dal10   s           10.0.0.0/29   public\n"
        );
    }
}
