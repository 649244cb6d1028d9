//! `boatyard cluster addon`: managed add-ons.

use boatyard_sdk::Session;
use boatyard_sdk::containers::Client;
use boatyard_sdk::containers::types::{AddonCommon, ClusterAddon, ManageClusterAddonsRequest};
use clap::Subcommand;
use serde_json::{Map, Value, json};

use crate::commands::catalog;
use crate::failure::Failure;
use crate::output::{self, Common};
use crate::terminal;

#[derive(Debug, Subcommand)]
pub enum Command {
    /// List the add-ons of a cluster
    #[command(visible_alias = "list")]
    Ls(LsArgs),
    /// Show an add-on of a cluster
    Get(GetArgs),
    /// Enable an add-on
    Enable(ChangeArgs),
    /// Update an add-on
    Update(ChangeArgs),
    /// Disable an add-on
    Disable(DisableArgs),
    /// Show the options that an add-on can be installed with
    Options(OptionsArgs),
    /// List the add-ons that clusters can have, with their versions
    Versions(catalog::AddonVersionsArgs),
}

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
    /// Name of the add-on
    #[arg(long, value_name = "ADDON")]
    addon: String,
    /// ID or name of the cluster
    #[arg(short = 'c', long, value_name = "CLUSTER")]
    cluster: String,
    #[command(flatten)]
    common: Common,
}

#[derive(clap::Args, Debug)]
pub struct ChangeArgs {
    /// Name of the add-on
    #[arg(value_name = "ADDON")]
    addon: String,
    /// ID or name of the cluster
    #[arg(short = 'c', long, value_name = "CLUSTER")]
    cluster: String,
    /// Version of the add-on; the newest that supports the cluster unless given
    #[arg(long, value_name = "VERSION")]
    version: Option<String>,
    /// An option to install it with (may be repeated)
    #[arg(long = "param", value_name = "NAME=VALUE", value_parser = param)]
    params: Vec<(String, String)>,
    /// Accepted for scripts written for `ibmcloud`
    #[arg(short = 'f')]
    force: bool,
    /// Accepted for scripts written for `ibmcloud`
    #[arg(short = 'y')]
    yes: bool,
    #[command(flatten)]
    common: Common,
}

#[derive(clap::Args, Debug)]
pub struct DisableArgs {
    /// Name of the add-on
    #[arg(value_name = "ADDON")]
    addon: String,
    /// ID or name of the cluster
    #[arg(short = 'c', long, value_name = "CLUSTER")]
    cluster: String,
    /// Do not ask
    #[arg(short = 'f')]
    force: bool,
    #[command(flatten)]
    common: Common,
}

#[derive(clap::Args, Debug)]
pub struct OptionsArgs {
    /// Name of the add-on
    #[arg(long, value_name = "ADDON")]
    addon: String,
    /// Version of the add-on
    #[arg(long, value_name = "VERSION")]
    version: Option<String>,
    #[command(flatten)]
    common: Common,
}

pub async fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Ls(args) => ls(args).await,
        Command::Get(args) => get(args).await,
        Command::Enable(args) => change(args, false).await,
        Command::Update(args) => change(args, true).await,
        Command::Disable(args) => disable(args).await,
        Command::Options(args) => options(args).await,
        Command::Versions(args) => catalog::addon_versions(args).await,
    }
}

fn param(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("give it as NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

async fn list(session: &Session, cluster: &str) -> Result<Vec<ClusterAddon>, Failure> {
    let group = session.resource_group();
    Ok(session.call(async |c: &Client| c.get_cluster_addons(cluster, group.as_deref()).await).await?)
}

async fn ls(args: LsArgs) -> Result<(), Failure> {
    let found = list(&Session::load()?, &args.cluster).await?;
    if args.common.is_json() {
        return output::json(&found);
    }
    args.common.ok()?;
    output::print(&table(found))
}

/// The columns of `ibmcloud ks cluster addon ls`.
fn table(addons: Vec<ClusterAddon>) -> String {
    let row = |a: ClusterAddon| [Some(a.name), a.version, a.health_state, a.health_status].map(Option::unwrap_or_default);
    output::table(["Name", "Version", "Health State", "Health Status"], addons.into_iter().map(row).collect())
}

async fn get(args: GetArgs) -> Result<(), Failure> {
    let found = list(&Session::load()?, &args.cluster).await?;
    let Some(addon) = found.into_iter().find(|addon| addon.name == args.addon) else {
        return Err(Failure::new(
            format!("The add-on {:?} is not enabled for the cluster.", args.addon),
            format!("See `boatyard cluster addon ls --cluster {}`.", args.cluster),
        ));
    };
    if args.common.is_json() {
        return output::json(&addon);
    }
    args.common.ok()?;
    output::print(&output::pairs(&[
        ("Name", Some(addon.name)),
        ("Version", addon.version),
        ("Newest version", addon.target_version),
        ("Can be updated to", Some(addon.allowed_upgrade_versions.join(", "))),
        ("Health state", addon.health_state),
        ("Health status", addon.health_status),
        ("Kubernetes", addon.supported_kube_range),
        ("OpenShift", addon.supported_ocp_range),
    ]))?;
    output::print(&addon.options.map_or_else(String::new, |options| format!("\n{options}")))
}

async fn change(args: ChangeArgs, update: bool) -> Result<(), Failure> {
    let options = (!args.params.is_empty()).then(|| {
        let data: Map<_, _> = args.params.iter().map(|(name, value)| (name.clone(), Value::from(value.as_str()))).collect();
        // JSON is YAML.
        json!({ "data": data }).to_string()
    });
    let addon = addon(&args.addon, args.version, options)?;
    manage(&args.cluster, ManageClusterAddonsRequest { addons: vec![addon], enable: Some(!update), update: Some(update) })
        .await?;
    let done = if update { "updating" } else { "enabling" };
    finish(&args.common, &args.addon, &args.cluster, done)
}

async fn disable(args: DisableArgs) -> Result<(), Failure> {
    if !args.force && !terminal::confirm(&format!("Disable the add-on {}", args.addon), "`-f`")? {
        return Err(Failure::new("Nothing was disabled.", "Answer `y`, or give `-f`, to disable the add-on."));
    }
    let addons = vec![addon(&args.addon, None, None)?];
    manage(&args.cluster, ManageClusterAddonsRequest { addons, enable: Some(false), update: Some(false) }).await?;
    finish(&args.common, &args.addon, &args.cluster, "disabled")
}

fn addon(name: &str, version: Option<String>, options: Option<String>) -> Result<ClusterAddon, Failure> {
    // The type is that of answers too; most of its members mean nothing here.
    let addon = json!({ "name": name, "version": version, "options": options });
    serde_json::from_value(addon).map_err(|e| Failure::new(format!("The add-on cannot be named: {e}"), "Check its name."))
}

async fn manage(cluster: &str, body: ManageClusterAddonsRequest) -> Result<(), Failure> {
    let session = Session::load()?;
    let group = session.resource_group();
    session.call(async |c: &Client| c.manage_cluster_addons(cluster, group.as_deref(), &body).await).await?;
    Ok(())
}

fn finish(common: &Common, addon: &str, cluster: &str, state: &str) -> Result<(), Failure> {
    common.ok()?;
    if common.is_json() {
        return output::json(&json!({ "name": addon, "cluster": cluster, "state": state }));
    }
    common.remark(&format!("Add-on {addon}: {state}. To see its health, run 'boatyard cluster addon ls --cluster {cluster}'."))
}

async fn options(args: OptionsArgs) -> Result<(), Failure> {
    let session = Session::load()?;
    let known: Vec<AddonCommon> = session.call(async |c: &Client| c.get_addons().await).await?;
    let wanted = |a: &&AddonCommon| a.name == args.addon && (args.version.is_none() || a.version == args.version);
    let Some(addon) = known.iter().find(wanted) else {
        return Err(Failure::new(
            format!("There is no such version of an add-on {:?}.", args.addon),
            "Check the name and the version of the add-on.",
        ));
    };
    if args.common.is_json() {
        return output::json(&addon.install_options_template);
    }
    args.common.ok()?;
    match addon.install_options_template.as_ref().and_then(|template| template.content.as_deref()) {
        Some(content) => output::print(content),
        None => args.common.remark(&format!("The add-on {} has no options.", args.addon)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_what_ibmcloud_shows() {
        let addons = json!([{ "name": "istio", "version": "1.30", "healthState": "normal", "healthStatus": "Addon Ready" }]);
        let addons = serde_json::from_value(addons).expect("they are add-ons");
        assert_eq!(
            table(addons),
            "Name    Version   Health State   Health Status\nistio   1.30      normal         Addon Ready\n"
        );
    }

    #[test]
    fn a_param_is_a_name_and_a_value() {
        assert_eq!(param("a=b=c"), Ok(("a".to_owned(), "b=c".to_owned())));
        assert!(param("a").is_err());
    }
}
