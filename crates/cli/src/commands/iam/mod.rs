//! `boatyard iam`: identity and access. One file for each kind of thing.

mod access_groups;
mod account_settings;
mod api_keys;
mod policies;
mod policy;
mod roles;
mod service_ids;
mod sessions;
mod shared;
mod subjects;
mod trusted_profiles;

use boatyard_sdk::Session;
use clap::Subcommand;
use secrecy::ExposeSecret as _;
use serde_json::json;

use crate::failure::Failure;
use crate::output::{self, Common};

#[derive(Debug, Subcommand)]
pub enum Command {
    #[command(flatten)]
    ApiKeys(api_keys::Command),
    #[command(flatten)]
    ServiceIds(service_ids::Command),
    #[command(flatten)]
    TrustedProfiles(trusted_profiles::Command),
    #[command(flatten)]
    AccountSettings(account_settings::Command),
    /// Print the access token of this login, for curl and scripts
    OauthTokens(Common),
    /// List your sessions, or with `--user` those of another user of the selected account
    Sessions(sessions::ListArgs),
    /// End a session: its tokens are refused from the next request on
    SessionEnd(sessions::EndArgs),
    #[command(flatten)]
    Policies(Box<policies::Command>),
    #[command(flatten)]
    AccessGroups(access_groups::Command),
    #[command(flatten)]
    Roles(roles::Command),
}

pub async fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::ApiKeys(command) => api_keys::run(command).await,
        Command::ServiceIds(command) => service_ids::run(command).await,
        Command::TrustedProfiles(command) => trusted_profiles::run(command).await,
        Command::AccountSettings(command) => account_settings::run(command).await,
        Command::OauthTokens(common) => oauth_tokens(common).await,
        Command::Sessions(args) => sessions::list(args).await,
        Command::SessionEnd(args) => sessions::end(args).await,
        Command::Policies(command) => policies::run(*command).await,
        Command::AccessGroups(command) => access_groups::run(command).await,
        Command::Roles(command) => roles::run(command).await,
    }
}

async fn oauth_tokens(common: Common) -> Result<(), Failure> {
    let token = Session::load()?.access_token().await?;
    let bearer = format!("Bearer {}", token.expose_secret());
    if common.is_json() {
        return output::json(&json!({"iam_token": bearer}));
    }
    // Two blanks, as `ibmcloud` prints it: scripts cut this line at fixed fields.
    output::line(&format!("IAM token:  {bearer}"))
}
