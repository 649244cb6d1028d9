//! `boatyard dedicated`: dedicated hosts and their pools.

use boatyard_sdk::Session;
use boatyard_sdk::containers::Client;
use boatyard_sdk::containers::types::{
    CreateDedicatedHostPoolRequest, CreateDedicatedHostRequest, DedicatedHost, DedicatedHostFlavor, DedicatedHostPool,
    DedicatedHostResource, RemoveDedicatedHostPoolRequest, RemoveDedicatedHostRequest, UpdateDedicatedHostPlacementRequest,
};
use clap::Subcommand;
use serde_json::json;

use crate::failure::Failure;
use crate::output::{self, Common};

#[derive(Debug, Subcommand)]
pub enum Command {
    /// List the flavors of dedicated hosts
    Flavors(FlavorsArgs),
    /// Dedicated hosts
    #[command(subcommand)]
    Host(HostCommand),
    /// Pools of dedicated hosts
    #[command(subcommand)]
    Pool(PoolCommand),
}

#[derive(Debug, Subcommand)]
pub enum HostCommand {
    /// Create a dedicated host
    Create(HostCreateArgs),
    /// Show a dedicated host
    Get(HostArgs),
    /// List the dedicated hosts of a pool
    #[command(visible_alias = "list")]
    Ls(PoolArgs),
    /// Let worker nodes be placed on a host, or not
    #[command(subcommand)]
    Placement(PlacementCommand),
    /// Remove a dedicated host
    Rm(HostArgs),
}

#[derive(Debug, Subcommand)]
pub enum PlacementCommand {
    /// Place no new worker nodes on the host
    Disable(HostArgs),
    /// Place worker nodes on the host
    Enable(HostArgs),
}

#[derive(Debug, Subcommand)]
pub enum PoolCommand {
    /// Create a pool
    Create(PoolCreateArgs),
    /// Show a pool
    Get(PoolArgs),
    /// List the pools of the account
    #[command(visible_alias = "list")]
    Ls(Common),
    /// Remove a pool without hosts
    Rm(PoolArgs),
}

#[derive(clap::Args, Debug)]
pub struct FlavorsArgs {
    /// Zone, such as us-south-1
    #[arg(long, value_name = "ZONE")]
    zone: String,
    /// Infrastructure
    #[arg(long, value_name = "PROVIDER", value_parser = ["vpc-gen2"])]
    provider: String,
    #[command(flatten)]
    common: Common,
}

#[derive(clap::Args, Debug)]
pub struct HostCreateArgs {
    /// Flavor: see `boatyard dedicated flavors`
    #[arg(long, value_name = "FLAVOR")]
    flavor: String,
    /// ID or name of the pool
    #[arg(long, value_name = "POOL")]
    pool: String,
    /// Zone in the metro of the pool
    #[arg(long, value_name = "ZONE")]
    zone: String,
    #[command(flatten)]
    common: Common,
}

#[derive(clap::Args, Debug)]
pub struct HostArgs {
    /// ID of the host
    #[arg(long, value_name = "HOST")]
    host: String,
    /// ID or name of the pool
    #[arg(long, value_name = "POOL")]
    pool: String,
    #[command(flatten)]
    common: Common,
}

#[derive(clap::Args, Debug)]
pub struct PoolArgs {
    /// ID or name of the pool
    #[arg(long, value_name = "POOL")]
    pool: String,
    #[command(flatten)]
    common: Common,
}

#[derive(clap::Args, Debug)]
pub struct PoolCreateArgs {
    /// Class of the hosts' flavors, such as bx2d
    #[arg(long, value_name = "CLASS")]
    flavor_class: String,
    /// Metro, such as dal
    #[arg(long, value_name = "METRO")]
    metro: String,
    /// Name of the pool
    #[arg(long, value_name = "NAME")]
    name: String,
    #[command(flatten)]
    common: Common,
}

pub async fn run(command: Command) -> Result<(), Failure> {
    let session = Session::load()?;
    match command {
        Command::Flavors(args) => flavors(&session, args).await,
        Command::Host(command) => host(&session, command).await,
        Command::Pool(command) => pool(&session, command).await,
    }
}

async fn flavors(session: &Session, args: FlavorsArgs) -> Result<(), Failure> {
    let list = async |c: &Client| c.get_dedicated_host_flavors(Some(&args.provider), &args.zone, None, None).await;
    let found: Vec<DedicatedHostFlavor> = session.call(list).await?;
    if args.common.is_json() {
        return output::json(&found);
    }
    args.common.ok()?;
    let number = |n: Option<i64>| n.map(|n| n.to_string());
    let row = |f: DedicatedHostFlavor| {
        let disks =
            f.instance_storage.iter().map(|d| format!("{}x{}GB", d.count.unwrap_or_default(), d.size.unwrap_or_default()));
        let disks = disks.collect::<Vec<_>>().join(", ");
        let memory = f.max_memory.map(|gb| format!("{gb}GB"));
        [f.id, f.flavor_class, number(f.max_vcp_us), memory, Some(disks)].map(Option::unwrap_or_default)
    };
    let header = ["ID", "Class", "vCPUs", "Memory", "Storage"];
    output::print(&output::table(header, found.into_iter().map(row).collect()))
}

async fn host(session: &Session, command: HostCommand) -> Result<(), Failure> {
    match command {
        HostCommand::Create(HostCreateArgs { flavor, pool, zone, common }) => {
            let body = CreateDedicatedHostRequest { flavor, host_pool_id: pool, zone };
            let made = session.call(async |c: &Client| c.create_dedicated_host(None, None, &body).await).await?;
            created(&common, "Dedicated host", made.id)
        }
        HostCommand::Get(args) => {
            let get = async |c: &Client| c.get_dedicated_host(&args.host, &args.pool, None, None).await;
            let found = session.call(get).await?;
            if args.common.is_json() {
                return output::json(&found);
            }
            args.common.ok()?;
            output::print(&host_details(found))
        }
        HostCommand::Ls(args) => {
            let list = async |c: &Client| c.get_dedicated_hosts(&args.pool, None, None).await;
            let found: Vec<DedicatedHost> = session.call(list).await?;
            if args.common.is_json() {
                return output::json(&found);
            }
            args.common.ok()?;
            output::print(&hosts_table(found))
        }
        HostCommand::Placement(PlacementCommand::Enable(args)) => placement(session, args, true).await,
        HostCommand::Placement(PlacementCommand::Disable(args)) => placement(session, args, false).await,
        HostCommand::Rm(args) => {
            let body = RemoveDedicatedHostRequest { host: args.host.clone(), host_pool: args.pool };
            session.call(async |c: &Client| c.remove_dedicated_host(None, None, &body).await).await?;
            done(&args.common, &args.host, "deleting")
        }
    }
}

async fn placement(session: &Session, args: HostArgs, enable: bool) -> Result<(), Failure> {
    let body = UpdateDedicatedHostPlacementRequest { host_id: args.host.clone(), host_pool_id: args.pool };
    let set = async |c: &Client| match enable {
        true => c.enable_dedicated_host_placement(None, None, &body).await,
        false => c.disable_dedicated_host_placement(None, None, &body).await,
    };
    session.call(set).await?;
    done(&args.common, &args.host, if enable { "placement enabled" } else { "placement disabled" })
}

async fn pool(session: &Session, command: PoolCommand) -> Result<(), Failure> {
    match command {
        PoolCommand::Create(PoolCreateArgs { flavor_class, metro, name, common }) => {
            let body = CreateDedicatedHostPoolRequest { flavor_class, metro, name };
            let made = session.call(async |c: &Client| c.create_dedicated_host_pool(None, None, &body).await).await?;
            created(&common, "Dedicated host pool", made.id)
        }
        PoolCommand::Get(args) => {
            let get = async |c: &Client| c.get_dedicated_host_pool(&args.pool, None, None).await;
            let found = session.call(get).await?;
            if args.common.is_json() {
                return output::json(&found);
            }
            args.common.ok()?;
            output::print(&pool_details(found))
        }
        PoolCommand::Ls(common) => {
            let list = async |c: &Client| c.get_dedicated_host_pools(None, None).await;
            let found: Vec<DedicatedHostPool> = session.call(list).await?;
            if common.is_json() {
                return output::json(&found);
            }
            common.ok()?;
            let row = |p: DedicatedHostPool| {
                let hosts = p.host_count.map(|n| n.to_string());
                [p.name, p.id, p.state, p.flavor_class, p.metro, hosts].map(Option::unwrap_or_default)
            };
            let header = ["Name", "ID", "State", "Flavor Class", "Metro", "Hosts"];
            output::print(&output::table(header, found.into_iter().map(row).collect()))
        }
        PoolCommand::Rm(args) => {
            let body = RemoveDedicatedHostPoolRequest { host_pool: args.pool.clone() };
            session.call(async |c: &Client| c.remove_dedicated_host_pool(None, None, &body).await).await?;
            done(&args.common, &args.pool, "deleting")
        }
    }
}

fn created(common: &Common, what: &str, id: Option<String>) -> Result<(), Failure> {
    let id = id.unwrap_or_default();
    if common.is_json() {
        return output::json(&json!({ "id": id }));
    }
    common.ok()?;
    // The ID is the result: it is printed in any case.
    if common.is_chatty() { output::line(&format!("{what} {id} is being created.")) } else { output::line(&id) }
}

fn done(common: &Common, id: &str, state: &str) -> Result<(), Failure> {
    if common.is_json() {
        return output::json(&json!({ "id": id, "state": state }));
    }
    common.ok()?;
    common.remark(&format!("{id}: {state}."))
}

fn used(consumed: Option<&DedicatedHostResource>, capacity: Option<&DedicatedHostResource>) -> (String, String) {
    let vcpus = |r: Option<&DedicatedHostResource>| r.and_then(|r| r.vcpu).unwrap_or_default();
    let memory = |r: Option<&DedicatedHostResource>| r.and_then(|r| r.memory_bytes).unwrap_or_default() >> 30;
    (format!("{}/{}", vcpus(consumed), vcpus(capacity)), format!("{}/{}GB", memory(consumed), memory(capacity)))
}

fn placement_word(enabled: Option<bool>) -> Option<String> {
    enabled.map(|enabled| if enabled { "enabled" } else { "disabled" }.to_owned())
}

fn hosts_table(hosts: Vec<DedicatedHost>) -> String {
    let row = |h: DedicatedHost| {
        let resources = h.resources.unwrap_or_default();
        let (vcpus, memory) = used(resources.consumed.as_ref(), resources.capacity.as_ref());
        let workers = Some(h.workers.len().to_string());
        let state = h.lifecycle.and_then(|l| l.actual_state);
        [h.id, state, h.zone, h.flavor, placement_word(h.placement_enabled), workers, Some(vcpus), Some(memory)]
            .map(Option::unwrap_or_default)
    };
    let header = ["ID", "State", "Zone", "Flavor", "Placement", "Workers", "vCPUs Used", "Memory Used"];
    output::table(header, hosts.into_iter().map(row).collect())
}

fn host_details(h: DedicatedHost) -> String {
    let resources = h.resources.unwrap_or_default();
    let (vcpus, memory) = used(resources.consumed.as_ref(), resources.capacity.as_ref());
    let lifecycle = h.lifecycle.unwrap_or_default();
    let workers: Vec<_> = h.workers.into_iter().filter_map(|worker| worker.worker_id).collect();
    output::pairs(&[
        ("ID", h.id),
        ("State", lifecycle.actual_state),
        ("Status", lifecycle.message),
        ("Since", lifecycle.message_date),
        ("Zone", h.zone),
        ("Flavor", h.flavor),
        ("Placement", placement_word(h.placement_enabled)),
        ("vCPUs used", Some(vcpus)),
        ("Memory used", Some(memory)),
        ("Workers", Some(workers.join(", "))),
    ])
}

fn pool_details(p: DedicatedHostPool) -> String {
    let zones: Vec<_> = p
        .zones
        .into_iter()
        .map(|z| format!("{} ({} hosts)", z.zone.unwrap_or_default(), z.host_count.unwrap_or_default()))
        .collect();
    let worker_pools: Vec<_> = p.worker_pools.into_iter().filter_map(|w| w.worker_pool_id).collect();
    output::pairs(&[
        ("Name", p.name),
        ("ID", p.id),
        ("State", p.state),
        ("Flavor class", p.flavor_class),
        ("Metro", p.metro),
        ("Hosts", p.host_count.map(|n| n.to_string())),
        ("Zones", Some(zones.join(", "))),
        ("Worker pools", Some(worker_pools.join(", "))),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_shows_what_is_used_of_it() {
        let host = json!([{
            "id": "h", "zone": "us-south-1", "flavor": "bx2d.host.16x64", "placementEnabled": true, "workers": [{}],
            "lifecycle": { "actualState": "created" }, "resources": {
                "capacity": { "vcpu": 16, "memoryBytes": 68_719_476_736_i64 },
                "consumed": { "vcpu": 8, "memoryBytes": 34_359_738_368_i64 } },
        }]);
        assert_eq!(
            hosts_table(serde_json::from_value(host).expect("it is a host")),
            "ID   State     Zone         Flavor            Placement   Workers   vCPUs Used   Memory Used\n\
             h    created   us-south-1   bx2d.host.16x64   enabled     1         8/16         32/64GB\n"
        );
    }
}
