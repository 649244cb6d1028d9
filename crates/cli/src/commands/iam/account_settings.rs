//! `boatyard iam account-settings`, `account-settings-update`: what an account asks of those who log in to it.

use boatyard_sdk::iam_identity::Client;
use boatyard_sdk::iam_identity::types::{AccountSettingsResponse, UpdateAccountSettingsRequest};
use clap::{Args, Subcommand};

use super::shared::{self, Place, Unasked};
use crate::failure::Failure;
use crate::output::Common;

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show the settings of the account for logins and new identities
    AccountSettings(ShowArgs),
    /// Change settings of the account; what is not given stays as it is
    AccountSettingsUpdate(Box<UpdateArgs>),
}

#[derive(Args, Debug)]
pub struct ShowArgs {
    #[command(flatten)]
    common: Common,
}

#[derive(Args, Debug)]
pub struct UpdateArgs {
    #[command(flatten)]
    new: Settings,
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    _unasked: Unasked,
}

#[derive(Args, Debug)]
#[group(required = true, multiple = true)]
struct Settings {
    /// Who may make service IDs: RESTRICTED (those with a role for it), NOT_RESTRICTED (everybody) or NOT_SET
    #[arg(long, value_name = "WHO")]
    restrict_create_service_id: Option<String>,
    /// Who may make API keys for themselves: RESTRICTED (those with a role for it), NOT_RESTRICTED (everybody) or NOT_SET
    #[arg(long, value_name = "WHO")]
    restrict_create_platform_apikey: Option<String>,
    /// What logins should need beside the password: NONE, NONE_NO_ROPC, TOTP, TOTP4ALL, LEVEL1, LEVEL2 or LEVEL3; kept, not enforced
    #[arg(long, value_name = "MFA")]
    mfa: Option<String>,
    /// IP addresses, subnets and ranges to log in from, with commas between, '' for all; kept, not enforced
    #[arg(long, value_name = "ADDRESSES")]
    allowed_ip_addresses: Option<String>,
    /// Seconds after which a session ends, or NOT_SET
    #[arg(long, value_name = "SECONDS")]
    session_expiration_in_seconds: Option<String>,
    /// Seconds without use after which a session ends, or NOT_SET
    #[arg(long, value_name = "SECONDS")]
    session_invalidation_in_seconds: Option<String>,
    /// Sessions that an identity may have, or NOT_SET
    #[arg(long, value_name = "NUMBER")]
    max_sessions_per_identity: Option<String>,
    /// Seconds that an access token is good for, or NOT_SET
    #[arg(long, value_name = "SECONDS")]
    system_access_token_expiration_in_seconds: Option<String>,
    /// Seconds that a refresh token is good for, or NOT_SET
    #[arg(long, value_name = "SECONDS")]
    system_refresh_token_expiration_in_seconds: Option<String>,
}

pub async fn run(command: Command) -> Result<(), Failure> {
    let place = Place::load()?;
    match command {
        Command::AccountSettings(args) => print(&args.common, &settings(&place).await?),
        Command::AccountSettingsUpdate(args) => update(&place, *args).await,
    }
}

async fn settings(Place { session, account }: &Place) -> Result<AccountSettingsResponse, Failure> {
    Ok(session.call(async |c: &Client| c.get_account_settings(account, None, None).await).await?)
}

async fn update(place: &Place, args: UpdateArgs) -> Result<(), Failure> {
    let Place { session, account } = place;
    let new = args.new;
    let body = UpdateAccountSettingsRequest {
        restrict_create_service_id: new.restrict_create_service_id,
        restrict_create_platform_apikey: new.restrict_create_platform_apikey,
        mfa: new.mfa,
        allowed_ip_addresses: new.allowed_ip_addresses,
        session_expiration_in_seconds: new.session_expiration_in_seconds,
        session_invalidation_in_seconds: new.session_invalidation_in_seconds,
        max_sessions_per_identity: new.max_sessions_per_identity,
        system_access_token_expiration_in_seconds: new.system_access_token_expiration_in_seconds,
        system_refresh_token_expiration_in_seconds: new.system_refresh_token_expiration_in_seconds,
        ..UpdateAccountSettingsRequest::default()
    };
    let tag = settings(place).await?.entity_tag;
    let changed = session.call(async |c: &Client| c.update_account_settings(account, &tag, &body).await).await?;
    print(&args.common, &changed)
}

fn print(common: &Common, settings: &AccountSettingsResponse) -> Result<(), Failure> {
    let text = |text: &String| Some(text.clone());
    shared::shown(
        common,
        settings,
        &[
            ("Account ID", text(&settings.account_id)),
            ("Restrict creation of service IDs", text(&settings.restrict_create_service_id)),
            ("Restrict creation of API keys", text(&settings.restrict_create_platform_apikey)),
            ("MFA", text(&settings.mfa)),
            ("Allowed IP addresses", text(&settings.allowed_ip_addresses)),
            ("Session expiration in seconds", text(&settings.session_expiration_in_seconds)),
            ("Session invalidation in seconds", text(&settings.session_invalidation_in_seconds)),
            ("Max sessions per identity", text(&settings.max_sessions_per_identity)),
            ("Access token expiration in seconds", text(&settings.system_access_token_expiration_in_seconds)),
            ("Refresh token expiration in seconds", text(&settings.system_refresh_token_expiration_in_seconds)),
        ],
    )
}
