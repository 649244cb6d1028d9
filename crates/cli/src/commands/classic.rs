//! `boatyard subnets --provider classic`, `boatyard vlan spanning`: networks of classic infrastructure.

use boatyard_sdk::Session;
use boatyard_sdk::containers::Client;
use boatyard_sdk::containers::types::ClassicSubnet;
use clap::Subcommand;

use crate::failure::Failure;
use crate::output::{self, Common};

#[derive(Debug, Subcommand)]
pub enum SpanningCommand {
    /// Show whether the private VLANs of the account reach each other
    Get(SpanningArgs),
}

#[derive(clap::Args, Debug)]
pub struct SpanningArgs {
    /// Region to look in
    #[arg(long, value_name = "REGION")]
    region: Option<String>,
    #[command(flatten)]
    common: Common,
}

pub async fn spanning(command: SpanningCommand) -> Result<(), Failure> {
    let SpanningCommand::Get(args) = command;
    let session = Session::load()?;
    let (group, region) = (session.resource_group(), args.region.as_deref().unwrap_or_default());
    let found = session.call(async |c: &Client| c.get_vlan_spanning(group.as_deref(), region).await).await?;
    if args.common.is_json() {
        return output::json(&found);
    }
    args.common.ok()?;
    let state = if found.enabled == Some(true) { "enabled" } else { "disabled" };
    output::print(&output::pairs(&[("VLAN spanning", Some(state.to_owned())), ("Since", found.modified_date)]))
}

/// Portable subnets of the account in these places, or everywhere.
pub async fn subnets(locations: &[String], common: &Common) -> Result<(), Failure> {
    let session = Session::load()?;
    let group = session.resource_group();
    let places = (!locations.is_empty()).then(|| locations.join(","));
    let list = async |c: &Client| c.list_subnets(None, places.as_deref(), None, group.as_deref()).await;
    let found: Vec<ClassicSubnet> = session.call(list).await?;
    if common.is_json() {
        return output::json(&found);
    }
    common.ok()?;
    output::print(&table(found))
}

/// The columns of `ibmcloud ks subnets --provider classic`.
fn table(subnets: Vec<ClassicSubnet>) -> String {
    let row = |s: ClassicSubnet| {
        let p = s.properties.unwrap_or_default();
        [s.id, p.cidr, p.gateway, s.vlan_id, s.type_, s.bound_cluster, s.datacenter].map(Option::unwrap_or_default)
    };
    let header = ["ID", "Network", "Gateway", "VLAN ID", "Type", "Bound Cluster", "Zone"];
    output::table(header, subnets.into_iter().map(row).collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn shows_what_ibmcloud_shows() {
        let subnets = json!([{ "id": "1165645", "type": "public", "vlan_id": "2234945", "ip_addresses": [],
            "properties": { "cidr": "203.0.113.0/29", "gateway": "203.0.113.1" }, "bound_cluster": "", "datacenter": "dal10" }]);
        assert_eq!(
            table(serde_json::from_value(subnets).expect("they are subnets")),
            "ID        Network          Gateway       VLAN ID   Type     Bound Cluster   Zone\n\
             1165645   203.0.113.0/29   203.0.113.1   2234945   public   -               dal10\n"
        );
    }
}
