//! What there is to choose from: `boatyard flavors`, `versions`, `locations`, `zone ls`, `quota ls`, `messages`,
//! `cluster addon versions`.

use std::collections::{BTreeMap, BTreeSet};

use boatyard_sdk::containers::Client;
use boatyard_sdk::containers::types::{AddonCommon, Flavor, GetQuotaResource, IksLocation, KubeVersion, ZoneResponse};
use boatyard_sdk::{Error, Session};
use clap::Subcommand;
use clap::builder::PossibleValuesParser;

use crate::failure::Failure;
use crate::output::{self, Common};

const CLASSIC: &str = "classic";
const PROVIDERS: [&str; 4] = [CLASSIC, "vpc-classic", "vpc-gen2", "satellite"];

#[derive(Debug, Subcommand)]
pub enum FlavorCommand {
    /// List the flavors of a zone
    #[command(visible_alias = "list")]
    Ls(FlavorsArgs),
    /// Show one flavor of a zone
    Get(FlavorArgs),
}

#[derive(clap::Args, Debug)]
pub struct FlavorsArgs {
    /// Zone, such as us-south-1 or dal10
    #[arg(long, value_name = "ZONE")]
    zone: String,
    /// Infrastructure of the zone
    #[arg(long, value_name = "PROVIDER", value_parser = PROVIDERS)]
    provider: Option<String>,
    /// Show every operating system, not the newest alone
    #[arg(long)]
    show_os: bool,
    /// Show what secondary storage a worker pool can ask for, and raw disks
    #[arg(long)]
    show_storage: bool,
    #[command(flatten)]
    common: Common,
}

#[derive(clap::Args, Debug)]
pub struct FlavorArgs {
    /// Name of the flavor, such as bx2.4x16
    #[arg(long, value_name = "FLAVOR")]
    flavor: String,
    /// Zone, such as us-south-1 or dal10
    #[arg(long, value_name = "ZONE")]
    zone: String,
    /// Infrastructure of the zone
    #[arg(long, value_name = "PROVIDER", value_parser = PROVIDERS)]
    provider: String,
    #[command(flatten)]
    common: Common,
}

#[derive(clap::Args, Debug)]
pub struct VersionsArgs {
    /// Versions of this offering only
    #[arg(long, value_name = "VERSION", ignore_case = true, value_parser = PossibleValuesParser::new(["OpenShift", "Kubernetes"]))]
    show_version: Option<String>,
    #[command(flatten)]
    common: Common,
}

#[derive(clap::Args, Debug)]
pub struct LocationsArgs {
    /// Zones of this infrastructure only
    #[arg(long, value_name = "PROVIDER", value_parser = PROVIDERS)]
    provider: Option<String>,
    #[command(flatten)]
    common: Common,
}

#[derive(clap::Args, Debug)]
pub struct ZonesArgs {
    /// Infrastructure of the zones
    #[arg(long, value_name = "PROVIDER", value_parser = PROVIDERS)]
    provider: String,
    /// Zones in this place only: geography, country, metro, region or zone (may be repeated)
    #[arg(short = 'l', long = "location", value_name = "LOCATION")]
    locations: Vec<String>,
    /// Show the flavors that each zone offers
    #[arg(long)]
    show_flavors: bool,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Subcommand)]
pub enum QuotaCommand {
    /// List how many clusters and worker nodes there may be
    #[command(visible_alias = "list")]
    Ls(QuotaArgs),
}

#[derive(clap::Args, Debug)]
pub struct QuotaArgs {
    /// Quotas of this infrastructure only
    #[arg(long, value_name = "PROVIDER", value_parser = PROVIDERS)]
    provider: Option<String>,
    #[command(flatten)]
    common: Common,
}

#[derive(clap::Args, Debug)]
pub struct AddonVersionsArgs {
    /// Versions of this add-on only
    #[arg(long, value_name = "ADDON")]
    addon: Option<String>,
    /// Add-ons that run on this offering only
    #[arg(long, value_name = "OFFERING", value_parser = ["kubernetes", "openshift", "openshift-vs"])]
    offering: Option<String>,
    #[command(flatten)]
    common: Common,
}

pub async fn flavor(command: FlavorCommand) -> Result<(), Failure> {
    match command {
        FlavorCommand::Ls(args) => flavors(args).await,
        FlavorCommand::Get(args) => flavor_get(args).await,
    }
}

pub async fn flavors(args: FlavorsArgs) -> Result<(), Failure> {
    let found = list_flavors(&Session::load()?, &args.zone, args.provider.as_deref()).await?;
    if args.common.is_json() {
        return output::json(&found);
    }
    args.common.ok()?;
    let header = ["Name", "Cores", "Memory", "Network Speed", "OS", "Server Type", "Storage", "Secondary Storage", "Provider"];
    let row = |f: Flavor| {
        let os = if args.show_os { f.operating_systems.join(",") } else { f.os.unwrap_or_default() };
        let cells =
            [f.name, f.cores, f.memory, f.network_speed, Some(os), f.server_type, f.storage, f.secondary_storage, f.provider];
        (cells.map(Option::unwrap_or_default), f.secondary_storage_options.join(","), f.raw_storage.unwrap_or_default())
    };
    let rows = found.into_iter().map(row);
    if !args.show_storage {
        return output::print(&output::table(header, rows.map(|(cells, ..)| cells).collect()));
    }
    let [name, cores, memory, network, os, server, storage, secondary, provider] = header;
    let header = [name, cores, memory, network, os, server, storage, secondary, provider, "Raw Storage", "Storage Options"];
    let rows = rows.map(|([a, b, c, d, e, f, g, h, i], options, raw)| [a, b, c, d, e, f, g, h, i, raw, options]);
    output::print(&output::table(header, rows.collect()))
}

async fn flavor_get(args: FlavorArgs) -> Result<(), Failure> {
    let found = list_flavors(&Session::load()?, &args.zone, Some(&args.provider)).await?;
    let flavor = found.into_iter().find(|flavor| flavor.name.as_deref() == Some(&args.flavor)).ok_or_else(|| {
        let next = format!("`boatyard flavors --zone {}` lists those that it offers.", args.zone);
        Failure::new(format!("The zone {:?} does not offer the flavor {:?}.", args.zone, args.flavor), next)
    })?;
    if args.common.is_json() {
        return output::json(&flavor);
    }
    args.common.ok()?;
    let yes_no = |flag: bool| Some(if flag { "yes" } else { "no" }.to_owned());
    output::print(&output::pairs(&[
        ("Name", flavor.name),
        ("Provider", flavor.provider),
        ("Server Type", flavor.server_type),
        ("Cores", flavor.cores),
        ("Memory", flavor.memory),
        ("GPUs", flavor.gpus),
        ("Network Speed", flavor.network_speed),
        ("Storage", flavor.storage),
        ("Secondary Storage", flavor.secondary_storage),
        ("Raw Storage", flavor.raw_storage),
        ("Storage Options", Some(flavor.secondary_storage_options.join(", "))),
        ("Operating Systems", Some(flavor.operating_systems.join(", "))),
        ("Isolation", Some(flavor.supported_isolation.join(", "))),
        ("OpenShift", flavor.ocp_unsupported.and_then(|unsupported| yes_no(!unsupported))),
    ]))
}

pub async fn versions(args: VersionsArgs) -> Result<(), Failure> {
    let mut found = Session::load()?.call(async |c: &Client| c.get_versions().await).await?;
    if let Some(offering) = &args.show_version {
        found.retain(|name, _| name.eq_ignore_ascii_case(offering));
    }
    if args.common.is_json() {
        return output::json(&found.into_iter().collect::<BTreeMap<_, _>>());
    }
    args.common.ok()?;
    let mut rows = Vec::new();
    for (offering, versions) in found.into_iter().collect::<BTreeMap<_, _>>() {
        rows.extend(versions.iter().map(|version| version_row(&offering, version)));
    }
    output::print(&output::table(["Version", "Offering", "Default", "Supported Until"], rows))
}

/// The version as `cluster create` takes it.
fn version_row(offering: &str, version: &KubeVersion) -> [String; 4] {
    let numbers = [version.major, version.minor, version.patch].map(|n| n.unwrap_or_default().to_string()).join(".");
    let suffix = if offering == "openshift" { "_openshift" } else { "" };
    let default = if version.default == Some(true) { "yes" } else { "" };
    let until = version.end_of_service.clone().unwrap_or_default();
    [format!("{numbers}{suffix}"), offering.to_owned(), default.to_owned(), until]
}

pub async fn locations(args: LocationsArgs) -> Result<(), Failure> {
    let mut found = list_locations(&Session::load()?).await?;
    if let Some(provider) = &args.provider {
        found.retain(|location| location.providers.contains(provider));
    }
    if args.common.is_json() {
        return output::json(&found);
    }
    args.common.ok()?;
    let name = |kind: &str, id: &Option<String>| {
        let place = found.iter().find(|l| l.kind.as_deref() == Some(kind) && l.id == *id);
        let name = place.and_then(|place| place.display_name.clone()).unwrap_or_default();
        id.as_ref().map_or_else(String::new, |id| format!("{name} ({id})"))
    };
    let zones = found.iter().filter(|location| location.kind.as_deref() == Some("dc"));
    let rows = zones.map(|zone| {
        let places = [name("metro", &zone.metro), name("country", &zone.country), name("geo", &zone.geography)];
        let [metro, country, geography] = places;
        [zone.id.clone().unwrap_or_default(), metro, country, geography, zone.providers.join(", ")]
    });
    output::print(&output::table(["Zone", "Metro", "Country", "Geography", "Provider"], rows.collect()))
}

pub async fn zones(args: ZonesArgs) -> Result<(), Failure> {
    let found = list_zones(&Session::load()?, &args).await?;
    if args.common.is_json() {
        return output::json(&found);
    }
    args.common.ok()?;
    let row = |zone: ZoneResponse| {
        let flavors: Vec<_> = zone.flavors.into_iter().filter_map(|flavor| flavor.name).collect();
        [zone.name.or(zone.id).unwrap_or_default(), zone.metro.unwrap_or_default(), flavors.join(",")]
    };
    let rows = found.into_iter().map(row);
    if args.show_flavors {
        return output::print(&output::table(["Name", "Metro", "Flavors"], rows.collect()));
    }
    output::print(&output::table(["Name", "Metro"], rows.map(|[name, metro, _]| [name, metro]).collect()))
}

pub async fn quotas(command: QuotaCommand) -> Result<(), Failure> {
    let QuotaCommand::Ls(args) = command;
    let mut found = Session::load()?.call(async |c: &Client| c.get_quota().await).await?;
    if let Some(provider) = &args.provider {
        // `vpc` stands for `vpc-gen2` there.
        found.retain(|quota| quota.infrastructure.as_deref() == Some(provider.trim_end_matches("-gen2")));
    }
    if args.common.is_json() {
        return output::json(&found);
    }
    args.common.ok()?;
    let rows = found.into_iter().flat_map(|GetQuotaResource { infrastructure, regions, type_ }| {
        regions.into_iter().map(move |region| {
            [infrastructure.clone(), type_.clone(), region.id, region.quota.map(|n| n.to_string())]
                .map(Option::unwrap_or_default)
        })
    });
    output::print(&output::table(["Provider", "Resource", "Region", "Quota"], rows.collect()))
}

pub async fn messages(common: Common) -> Result<(), Failure> {
    let found = Session::load()?.call(async |c: &Client| c.v2_get_messages().await).await?;
    if common.is_json() {
        return output::json(&found);
    }
    common.ok()?;
    if found.is_empty() {
        return common.remark("There are no messages.");
    }
    let rows = found.into_iter().map(|message| [message.id, message.message].map(Option::unwrap_or_default));
    output::print(&output::table(["ID", "Message"], rows.collect()))
}

pub async fn addon_versions(args: AddonVersionsArgs) -> Result<(), Failure> {
    let mut found = Session::load()?.call(async |c: &Client| c.get_addons().await).await?;
    if let Some(name) = &args.addon {
        let names: BTreeSet<_> = found.iter().map(|addon| addon.name.clone()).collect();
        if !names.contains(name) {
            let next = format!("There are {}.", names.into_iter().collect::<Vec<_>>().join(", "));
            return Err(Failure::new(format!("There is no add-on {name:?}."), next));
        }
        found.retain(|addon| addon.name == *name);
    }
    match args.offering.as_deref() {
        None => {}
        Some("kubernetes") => found.retain(|addon| addon.supported_kube_range.is_some()),
        Some(_) => found.retain(|addon| addon.supported_ocp_range.is_some()),
    }
    if args.common.is_json() {
        return output::json(&found);
    }
    args.common.ok()?;
    let row = |addon: AddonCommon| {
        let cells = [addon.version, addon.supported_kube_range, addon.supported_ocp_range];
        let [version, kubernetes, openshift] = cells.map(Option::unwrap_or_default);
        [addon.name, version, kubernetes, openshift]
    };
    let header = ["Name", "Version", "Kubernetes", "OpenShift"];
    output::print(&output::table(header, found.into_iter().map(row).collect()))
}

async fn list_flavors(session: &Session, zone: &str, provider: Option<&str>) -> Result<Vec<Flavor>, Error> {
    session.call(async |c: &Client| c.v2_get_flavors(provider, zone).await).await
}

async fn list_locations(session: &Session) -> Result<Vec<IksLocation>, Error> {
    session.call(async |c: &Client| c.list_locations().await).await
}

/// Zones of a provider, those in several of the wanted places once.
async fn list_zones(session: &Session, args: &ZonesArgs) -> Result<Vec<ZoneResponse>, Error> {
    let places = &args.locations;
    if args.provider != CLASSIC {
        let (provider, flavors) = (Some(args.provider.as_str()), Some(args.show_flavors));
        let found = session.call(async |c: &Client| c.vpc_get_zones(provider, flavors, None).await).await?;
        let mut zones: Vec<_> = found.into_iter().flatten().collect();
        if !places.is_empty() {
            // This list cannot be narrowed by the service.
            let known = list_locations(session).await?;
            zones.retain(|zone| zone.id.as_deref().is_some_and(|id| places.iter().any(|place| is_within(&known, id, place))));
        }
        return Ok(zones);
    }
    let flavors = args.show_flavors.then_some("true");
    let wanted = if places.is_empty() { vec![None] } else { places.iter().map(|place| Some(place.as_str())).collect() };
    let (mut seen, mut all) = (BTreeSet::new(), Vec::new());
    for place in wanted {
        let found = session.call(async |c: &Client| c.get_zones(place, flavors).await).await?;
        all.extend(found.into_iter().filter(|zone| seen.insert(zone.id.clone())));
    }
    Ok(all)
}

/// Whether a VPC zone is, or is in, a place. Its ID begins with its region's name.
fn is_within(locations: &[IksLocation], zone: &str, place: &str) -> bool {
    let found = locations.iter().find(|l| l.kind.as_deref() == Some("dc") && l.id.as_deref() == Some(zone));
    let parents = found.map(|l| [&l.id, &l.metro, &l.country, &l.geography]);
    parents.into_iter().flatten().flatten().any(|name| name.eq_ignore_ascii_case(place))
        || zone.rsplit_once('-').is_some_and(|(region, _)| region.eq_ignore_ascii_case(place))
}
