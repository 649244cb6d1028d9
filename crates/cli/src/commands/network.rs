//! `boatyard vpcs`, `boatyard subnets`, `boatyard vlan`: what clusters are attached to.

use boatyard_sdk::containers::Client;
use boatyard_sdk::containers::types::{Subnet, VirtualPrivateCloudResponse, Vlan};
use boatyard_sdk::{Error, Session};
use clap::Subcommand;

use crate::commands::classic;
use crate::failure::Failure;
use crate::output::{self, Common};

const VPC_GEN2: &str = "vpc-gen2";
const CLASSIC: &str = "classic";

#[derive(clap::Args, Debug)]
pub struct VpcsArgs {
    /// Generation of the VPCs
    #[arg(long, value_name = "PROVIDER", value_parser = [VPC_GEN2])]
    provider: Option<String>,
    #[command(flatten)]
    common: Common,
}

#[derive(clap::Args, Debug)]
pub struct SubnetsArgs {
    /// Infrastructure: VPC, or classic with its portable subnets
    #[arg(long, value_name = "PROVIDER", value_parser = [VPC_GEN2, CLASSIC], default_value = VPC_GEN2)]
    provider: String,
    /// Subnets of this VPC only
    #[arg(long, value_name = "ID")]
    vpc_id: Option<String>,
    /// Subnets in this zone only
    #[arg(long, value_name = "ZONE")]
    zone: Option<String>,
    /// Classic subnets in this place only: metro or data center (may be repeated)
    #[arg(short = 'l', long = "location", value_name = "LOCATION")]
    locations: Vec<String>,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Subcommand)]
pub enum VlanCommand {
    /// List the VLANs of a classic data center
    Ls(VlansArgs),
    /// Whether the private VLANs of the account reach each other
    #[command(subcommand)]
    Spanning(classic::SpanningCommand),
}

#[derive(clap::Args, Debug)]
pub struct VlansArgs {
    /// Data center, such as dal10
    #[arg(long, value_name = "ZONE")]
    zone: String,
    #[command(flatten)]
    common: Common,
}

pub async fn vpcs(args: VpcsArgs) -> Result<(), Failure> {
    let found = list_vpcs(&Session::load()?, args.provider.as_deref()).await?;
    if args.common.is_json() {
        return output::json(&found);
    }
    args.common.ok()?;
    let rows = found
        .into_iter()
        .map(|v| [v.name.unwrap_or_default(), v.id.unwrap_or_default(), v.provider.unwrap_or_default(), v.zones.join(", ")]);
    output::print(&output::table(["Name", "ID", "Provider", "Zones"], rows.collect()))
}

pub async fn subnets(args: SubnetsArgs) -> Result<(), Failure> {
    if args.provider == CLASSIC {
        let places: Vec<_> = args.locations.into_iter().chain(args.zone).collect();
        return classic::subnets(&places, &args.common).await;
    }
    let session = Session::load()?;
    let vpcs = list_vpcs(&session, Some(&args.provider)).await?;
    let wanted = |v: &VirtualPrivateCloudResponse| {
        args.vpc_id.is_none() || [&v.id, &v.name].into_iter().any(|known| *known == args.vpc_id)
    };
    let vpcs: Vec<_> = vpcs.into_iter().filter(wanted).collect();
    if let (true, Some(id)) = (vpcs.is_empty(), &args.vpc_id) {
        return Err(Failure::new(format!("There is no VPC {id:?}."), "See `boatyard vpcs`."));
    }
    let mut found = Vec::new();
    for vpc in &vpcs {
        let zones = args.zone.as_ref().map_or(vpc.zones.as_slice(), std::slice::from_ref);
        for zone in zones {
            found.extend(list_subnets(&session, vpc.id.as_deref().unwrap_or_default(), zone).await?);
        }
    }
    if args.common.is_json() {
        return output::json(&found);
    }
    args.common.ok()?;
    let rows = found.into_iter().map(|s| {
        let free = s.available_i_pv4_address_count.map(|n| n.to_string());
        let gateway = s.public_gateway_name.filter(|n| !n.is_empty()).or(s.public_gateway_id);
        [s.name, s.id, s.zone, s.ipv4_cidr_block, free, gateway, s.vpc_name.or(s.vpc_id)].map(Option::unwrap_or_default)
    });
    let header = ["Name", "ID", "Zone", "CIDR", "Free Addresses", "Public Gateway", "VPC"];
    output::print(&output::table(header, rows.collect()))
}

pub async fn vlans(command: VlanCommand) -> Result<(), Failure> {
    let args = match command {
        VlanCommand::Ls(args) => args,
        VlanCommand::Spanning(command) => return classic::spanning(command).await,
    };
    let found = list_vlans(&Session::load()?, &args.zone).await?;
    if args.common.is_json() {
        return output::json(&found);
    }
    args.common.ok()?;
    let rows = found.into_iter().map(|v| {
        let p = v.properties.unwrap_or_default();
        [v.id, p.name, p.vlan_number, v.type_, p.primary_router].map(Option::unwrap_or_default)
    });
    output::print(&output::table(["ID", "Name", "Number", "Type", "Router"], rows.collect()))
}

pub async fn list_vpcs(session: &Session, provider: Option<&str>) -> Result<Vec<VirtualPrivateCloudResponse>, Error> {
    let group = session.resource_group();
    session.call(async |c: &Client| c.get_vp_cs(provider, group.as_deref()).await).await
}

pub async fn list_subnets(session: &Session, vpc: &str, zone: &str) -> Result<Vec<Subnet>, Error> {
    let group = session.resource_group();
    session.call(async |c: &Client| c.get_subnets(VPC_GEN2, vpc, zone, group.as_deref()).await).await
}

pub async fn list_vlans(session: &Session, zone: &str) -> Result<Vec<Vlan>, Error> {
    session.call(async |c: &Client| c.get_datacenter_vla_ns(zone, None).await).await
}
