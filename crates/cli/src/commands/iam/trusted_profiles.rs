//! `boatyard iam trusted-profile…`: identities that others may assume.

use boatyard_sdk::iam_identity::Client;
use boatyard_sdk::iam_identity::types::{
    CreateProfileRequest, ProfileIdentityResponse, SetProfileIdentityRequest, TrustedProfile, UpdateProfileRequest,
};
use clap::{Args, Subcommand};

use super::super::account::query_of;
use super::shared::{self, Filter, Force, Named, Place, Renaming, Unasked};
use crate::failure::Failure;
use crate::output::{self, Common};

#[expect(clippy::enum_variant_names, reason = "the variants are called as the commands are")]
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List the trusted profiles of the account
    #[command(visible_alias = "tps")]
    TrustedProfiles(ListArgs),
    /// Show a trusted profile
    #[command(visible_alias = "tp")]
    TrustedProfile(ShowArgs),
    /// Make a trusted profile
    TrustedProfileCreate(CreateArgs),
    /// Change the name or the description of a trusted profile
    TrustedProfileUpdate(UpdateArgs),
    /// Delete a trusted profile with its policies
    TrustedProfileDelete(DeleteArgs),
    /// List who may assume a trusted profile
    TrustedProfileIdentities(IdentitiesArgs),
    /// Let a user, a service ID or a service assume a trusted profile
    TrustedProfileIdentityCreate(TrustArgs),
    /// Take a user, a service ID or a service off a trusted profile
    TrustedProfileIdentityDelete(DistrustArgs),
}

#[derive(Args, Debug)]
pub struct ListArgs {
    /// Print the IDs only
    #[arg(long = "id", alias = "uuid")]
    ids: bool,
    #[command(flatten)]
    filter: Filter,
    #[command(flatten)]
    common: Common,
}

#[derive(Args, Debug)]
pub struct ShowArgs {
    /// Name or ID of the trusted profile
    #[arg(value_name = "PROFILE")]
    profile: String,
    /// Print the ID only
    #[arg(long = "id", alias = "uuid")]
    id: bool,
    #[command(flatten)]
    common: Common,
}

#[derive(Args, Debug)]
pub struct CreateArgs {
    /// Name of the trusted profile
    #[arg(value_name = "NAME")]
    name: String,
    /// Description of the trusted profile
    #[arg(short = 'd', long, value_name = "TEXT")]
    description: Option<String>,
    #[command(flatten)]
    common: Common,
}

#[derive(Args, Debug)]
pub struct UpdateArgs {
    /// Name or ID of the trusted profile
    #[arg(value_name = "PROFILE")]
    profile: String,
    #[command(flatten)]
    new: Renaming,
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    _unasked: Unasked,
}

#[derive(Args, Debug)]
pub struct DeleteArgs {
    /// Name or ID of the trusted profile
    #[arg(value_name = "PROFILE")]
    profile: String,
    #[command(flatten)]
    force: Force,
    #[command(flatten)]
    common: Common,
}

#[derive(Args, Debug)]
pub struct IdentitiesArgs {
    /// Name or ID of the trusted profile
    #[arg(value_name = "PROFILE")]
    profile: String,
    #[command(flatten)]
    common: Common,
}

/// Somebody whom a profile trusts.
#[derive(Args, Debug)]
pub struct Identity {
    /// Name or ID of the trusted profile
    #[arg(value_name = "PROFILE")]
    profile: String,
    /// IAM ID of the user, ID of the service ID, or CRN of the service
    #[arg(long, value_name = "ID")]
    id: String,
    /// What the ID is one of
    #[arg(long, value_name = "TYPE", value_parser = ["user", "serviceid", "crn"], ignore_case = true)]
    id_type: String,
}

#[derive(Args, Debug)]
pub struct TrustArgs {
    #[command(flatten)]
    identity: Identity,
    /// What the identity is trusted for
    #[arg(short = 'd', long, value_name = "TEXT")]
    description: Option<String>,
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    _unasked: Unasked,
}

#[derive(Args, Debug)]
pub struct DistrustArgs {
    #[command(flatten)]
    identity: Identity,
    #[command(flatten)]
    force: Force,
    #[command(flatten)]
    common: Common,
}

impl Named for TrustedProfile {
    const WHAT: &'static str = "trusted profile";

    fn id(&self) -> &str {
        &self.id
    }

    fn name(&self) -> &str {
        &self.name
    }
}

pub async fn run(command: Command) -> Result<(), Failure> {
    let place = Place::load()?;
    match command {
        Command::TrustedProfiles(args) => list(&place, args).await,
        Command::TrustedProfile(args) => show(&place, args).await,
        Command::TrustedProfileCreate(args) => create(&place, args).await,
        Command::TrustedProfileUpdate(args) => update(&place, args).await,
        Command::TrustedProfileDelete(args) => delete(&place, args).await,
        Command::TrustedProfileIdentities(args) => identities(&place, args).await,
        Command::TrustedProfileIdentityCreate(args) => trust(&place, args).await,
        Command::TrustedProfileIdentityDelete(args) => distrust(&place, args).await,
    }
}

async fn all(Place { session, account }: &Place) -> Result<Vec<TrustedProfile>, Failure> {
    shared::pages(async |start| {
        let page =
            session.call(async |c: &Client| c.list_profiles(account, None, None, None, None, Some(100), start, None).await);
        let page = page.await?;
        Ok((page.profiles, page.next.as_deref().and_then(|next| query_of(next, "pagetoken"))))
    })
    .await
}

/// The trusted profile that a person means by its ID, its IAM ID or its name.
pub async fn named(place: &Place, given: &str) -> Result<TrustedProfile, Failure> {
    let id = given.strip_prefix("iam-").filter(|id| id.starts_with("Profile-")).unwrap_or(given);
    shared::one(all(place).await?, id, "iam trusted-profiles")
}

async fn list(place: &Place, args: ListArgs) -> Result<(), Failure> {
    let mut found = all(place).await?;
    found.retain(|item| args.filter.admits(&item.name, item.description.as_deref()));
    if args.ids {
        return shared::ids(found.iter().map(|item| item.id.as_str()));
    }
    shared::listed(&args.common, &found, ["ID", "Name", "Created At", "Last Updated", "Description"], |item| {
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        [item.id.clone(), item.name.clone(), text(&item.created_at), text(&item.modified_at), text(&item.description)]
    })
}

async fn show(place: &Place, args: ShowArgs) -> Result<(), Failure> {
    let found = named(place, &args.profile).await?;
    if args.id {
        return output::line(&found.id);
    }
    print(&args.common, &found)
}

fn print(common: &Common, item: &TrustedProfile) -> Result<(), Failure> {
    shared::shown(
        common,
        item,
        &[
            ("ID", Some(item.id.clone())),
            ("Name", Some(item.name.clone())),
            ("Description", item.description.clone()),
            ("IAM ID", Some(item.iam_id.clone())),
            ("CRN", Some(item.crn.clone())),
            ("Created At", item.created_at.clone()),
            ("Last Updated", item.modified_at.clone()),
        ],
    )
}

async fn create(Place { session, account }: &Place, args: CreateArgs) -> Result<(), Failure> {
    let body =
        CreateProfileRequest { account_id: account.clone(), description: args.description, email: None, name: args.name };
    let made = session.call(async |c: &Client| c.create_profile(&body).await).await?;
    print(&args.common, &made)
}

async fn update(place: &Place, args: UpdateArgs) -> Result<(), Failure> {
    args.new.check()?;
    let TrustedProfile { id, entity_tag, .. } = named(place, &args.profile).await?;
    let body = UpdateProfileRequest { name: args.new.name, description: args.new.description, email: None };
    let changed = place.session.call(async |c: &Client| c.update_profile(&id, &entity_tag, &body).await).await?;
    print(&args.common, &changed)
}

async fn delete(place: &Place, args: DeleteArgs) -> Result<(), Failure> {
    let found = named(place, &args.profile).await?;
    args.force.confirm(&format!("Delete the trusted profile {} ({}) with its policies?", found.name, found.id))?;
    place.session.call(async |c: &Client| c.delete_profile(&found.id).await).await?;
    shared::became(&args.common, "Trusted profile", &found.id, &found.name, "deleted")
}

async fn identities(place: &Place, args: IdentitiesArgs) -> Result<(), Failure> {
    let id = named(place, &args.profile).await?.id;
    let found = place.session.call(async |c: &Client| c.get_profile_identities(&id).await).await?;
    shared::listed(&args.common, &found.identities, ["ID", "Type", "IAM ID", "Description"], |item| {
        let description = item.description.clone().unwrap_or_default();
        [item.identifier.clone(), item.type_.clone(), item.iam_id.clone(), description]
    })
}

async fn trust(place: &Place, args: TrustArgs) -> Result<(), Failure> {
    let Identity { profile, id, id_type } = args.identity;
    let (profile, kind) = (named(place, &profile).await?.id, id_type.to_ascii_lowercase());
    let body =
        SetProfileIdentityRequest { accounts: Vec::new(), description: args.description, identifier: id, type_: kind.clone() };
    let made: ProfileIdentityResponse =
        place.session.call(async |c: &Client| c.set_profile_identity(&profile, &kind, &body).await).await?;
    shared::shown(
        &args.common,
        &made,
        &[
            ("ID", Some(made.identifier.clone())),
            ("Type", Some(made.type_.clone())),
            ("IAM ID", Some(made.iam_id.clone())),
            ("Description", made.description.clone()),
        ],
    )
}

async fn distrust(place: &Place, args: DistrustArgs) -> Result<(), Failure> {
    let Identity { profile, id, id_type } = args.identity;
    let (profile, kind) = (named(place, &profile).await?, id_type.to_ascii_lowercase());
    args.force.confirm(&format!("Take {id} off the trusted profile {} ({})?", profile.name, profile.id))?;
    let profile = &profile.id;
    place.session.call(async |c: &Client| c.delete_profile_identity(profile, &kind, &id).await).await?;
    shared::became(&args.common, "Identity", &id, &id, "deleted")
}
