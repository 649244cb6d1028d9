//! `boatyard credential`, `boatyard api-key`, `boatyard infra-permissions`: what infrastructure is ordered with.

use boatyard_sdk::Session;
use boatyard_sdk::containers::Client;
use boatyard_sdk::containers::types::Permissions;
use clap::Subcommand;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::json;

use crate::failure::Failure;
use crate::output::{self, Common};
use crate::terminal;

#[derive(Debug, Subcommand)]
pub enum CredentialCommand {
    /// Set credentials
    #[command(subcommand)]
    Set(CredentialSet),
    /// Show which credentials are set
    Get(RegionArgs),
    /// Remove the credentials
    Unset(RegionArgs),
}

#[derive(Debug, Subcommand)]
pub enum CredentialSet {
    /// Set the credentials that classic infrastructure is ordered with
    Classic(CredentialArgs),
}

#[derive(clap::Args, Debug)]
pub struct CredentialArgs {
    /// API key of the classic infrastructure user
    #[arg(long, value_name = "KEY", allow_hyphen_values = true)]
    infrastructure_api_key: SecretString,
    /// Name of the classic infrastructure user
    #[arg(long, value_name = "USERNAME")]
    infrastructure_username: String,
    #[command(flatten)]
    region: RegionArgs,
}

#[derive(clap::Args, Debug)]
pub struct RegionArgs {
    /// Region, such as us-south
    #[arg(long, value_name = "REGION")]
    region: String,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Subcommand)]
pub enum ApiKeyCommand {
    /// Show who owns the API key that the service works with for a cluster
    Info(InfoArgs),
    /// Become the owner of the API key of a region and the targeted resource group
    Reset(ResetArgs),
}

#[derive(clap::Args, Debug)]
pub struct InfoArgs {
    /// ID or name of the cluster
    #[arg(short = 'c', long, value_name = "CLUSTER")]
    cluster: String,
    #[command(flatten)]
    common: Common,
}

#[derive(clap::Args, Debug)]
pub struct ResetArgs {
    #[command(flatten)]
    region: RegionArgs,
    /// Do not ask
    #[arg(short = 'f')]
    force: bool,
}

#[derive(Debug, Subcommand)]
pub enum PermissionsCommand {
    /// Show which infrastructure permissions are missing
    Get(PermissionsArgs),
}

#[derive(clap::Args, Debug)]
pub struct PermissionsArgs {
    /// Region, such as us-south
    #[arg(long, value_name = "REGION")]
    region: Option<String>,
    #[command(flatten)]
    common: Common,
}

pub async fn credential(command: CredentialCommand) -> Result<(), Failure> {
    let session = Session::load()?;
    match command {
        CredentialCommand::Set(CredentialSet::Classic(args)) => {
            let (user, region) = (&args.infrastructure_username, &args.region.region);
            let key = args.infrastructure_api_key.expose_secret();
            session.call(async |c: &Client| c.store_user_credentials(None, key, user, region).await).await?;
            done(&args.region.common, region, "credentials set")
        }
        CredentialCommand::Get(args) => {
            let found = session.call(async |c: &Client| c.get_user_credentials(&args.region).await).await?;
            if args.common.is_json() {
                return output::json(&found);
            }
            args.common.ok()?;
            output::print(&output::pairs(&[("Infrastructure user name", found.api_user)]))
        }
        CredentialCommand::Unset(args) => {
            session.call(async |c: &Client| c.remove_user_credentials(&args.region).await).await?;
            done(&args.common, &args.region, "credentials removed")
        }
    }
}

pub async fn api_key(command: ApiKeyCommand) -> Result<(), Failure> {
    let session = Session::load()?;
    let group = session.resource_group();
    match command {
        ApiKeyCommand::Info(args) => {
            let get = async |c: &Client| c.get_cluster_key_owner(&args.cluster, group.as_deref()).await;
            let found = session.call(get).await?;
            if args.common.is_json() {
                return output::json(&found);
            }
            args.common.ok()?;
            let row = [found.name, found.email, found.id].map(Option::unwrap_or_default);
            output::print(&output::table(["Name", "Email", "API Key ID"], vec![row]))
        }
        ApiKeyCommand::Reset(ResetArgs { region: args, force }) => {
            let question = format!("Reset the API key of the region {} for the targeted resource group", args.region);
            if !force && !terminal::confirm(&question, "`-f`")? {
                return Err(Failure::new("Nothing was reset.", "Answer `y`, or give `-f`, to reset the API key."));
            }
            let reset = async |c: &Client| c.reset_user_api_key(None, group.as_deref(), &args.region).await;
            session.call(reset).await?;
            done(&args.common, &args.region, "API key reset")
        }
    }
}

pub async fn permissions(command: PermissionsCommand) -> Result<(), Failure> {
    let PermissionsCommand::Get(args) = command;
    let session = Session::load()?;
    let (group, region) = (session.resource_group(), args.region.as_deref().unwrap_or_default());
    let found = session.call(async |c: &Client| c.get_infra_permissions(group.as_deref(), region).await).await?;
    if args.common.is_json() {
        return output::json(&found);
    }
    args.common.ok()?;
    output::print(&output::pairs(&[("Account", found.account), ("Ordered with", found.account_type)]))?;
    let rows = [
        ("Virtual worker nodes", found.virtual_worker_manager_permissions),
        ("Bare metal worker nodes", found.physical_worker_manager_permissions),
        ("Networks", found.network_manager_permissions),
        ("Storage", found.storage_manager_permissions),
    ];
    let rows = rows.into_iter().map(|(purpose, permissions)| permissions_row(purpose, permissions.unwrap_or_default()));
    output::print(&output::table(["Purpose", "Missing, Required", "Missing, Recommended"], rows.collect()))
}

fn permissions_row(purpose: &str, permissions: Permissions) -> [String; 3] {
    let missing = |analysis: Option<boatyard_sdk::containers::types::PermissionsAnalysis>| {
        let missing = analysis.unwrap_or_default().missing_permissions;
        if missing.is_empty() { "none".to_owned() } else { missing.join(", ") }
    };
    [purpose.to_owned(), missing(permissions.required), missing(permissions.recommended)]
}

fn done(common: &Common, region: &str, what: &str) -> Result<(), Failure> {
    if common.is_json() {
        return output::json(&json!({ "region": region, "result": what }));
    }
    common.ok()?;
    common.remark(&format!("Region {region}: {what}."))
}
