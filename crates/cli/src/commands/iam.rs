//! `boatyard iam`: identity and access.

use boatyard_sdk::Session;
use clap::Subcommand;
use secrecy::ExposeSecret as _;
use serde_json::json;

use crate::failure::Failure;
use crate::output::{self, Common};

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Print the access token of this login, for curl and scripts
    OauthTokens(Common),
}

pub async fn run(command: Command) -> Result<(), Failure> {
    let Command::OauthTokens(common) = command;
    let token = Session::load()?.access_token().await?;
    let bearer = format!("Bearer {}", token.expose_secret());
    if common.is_json() {
        return output::json(&json!({"iam_token": bearer}));
    }
    // Two blanks, as `ibmcloud` prints it: scripts cut this line at fixed fields.
    output::line(&format!("IAM token:  {bearer}"))
}
