//! `boatyard iam service-id…`: identities of programs.

use boatyard_sdk::iam_identity::Client;
use boatyard_sdk::iam_identity::types::{CreateServiceIdRequest, ServiceId, UpdateServiceIdRequest};
use clap::{Args, Subcommand};

use super::super::account::query_of;
use super::shared::{self, Filter, Force, Named, Place, Renaming, Unasked};
use crate::failure::Failure;
use crate::output::{self, Common};

#[expect(clippy::enum_variant_names, reason = "the variants are called as the commands are")]
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List the service IDs of the account
    ServiceIds(ListArgs),
    /// Show a service ID
    ServiceId(ShowArgs),
    /// Make a service ID
    ServiceIdCreate(CreateArgs),
    /// Change the name or the description of a service ID
    ServiceIdUpdate(UpdateArgs),
    /// Delete a service ID with its API keys and policies
    ServiceIdDelete(DeleteArgs),
    /// Lock a service ID, so that it can be neither changed nor deleted
    ServiceIdLock(SwitchArgs),
    /// Unlock a service ID
    ServiceIdUnlock(SwitchArgs),
}

#[derive(Args, Debug)]
pub struct ListArgs {
    /// Print the IDs only
    #[arg(long)]
    uuid: bool,
    #[command(flatten)]
    filter: Filter,
    #[command(flatten)]
    common: Common,
}

#[derive(Args, Debug)]
pub struct ShowArgs {
    /// Name or ID of the service ID
    #[arg(value_name = "SERVICE_ID")]
    service_id: String,
    /// Print the ID only
    #[arg(long)]
    uuid: bool,
    #[command(flatten)]
    common: Common,
}

#[derive(Args, Debug)]
pub struct CreateArgs {
    /// Name of the service ID
    #[arg(value_name = "NAME")]
    name: String,
    /// Description of the service ID
    #[arg(short = 'd', long, value_name = "TEXT")]
    description: Option<String>,
    /// Lock the service ID
    #[arg(long)]
    lock: bool,
    #[command(flatten)]
    common: Common,
}

#[derive(Args, Debug)]
pub struct UpdateArgs {
    /// Name or ID of the service ID
    #[arg(value_name = "SERVICE_ID")]
    service_id: String,
    #[command(flatten)]
    new: Renaming,
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    _unasked: Unasked,
}

#[derive(Args, Debug)]
pub struct DeleteArgs {
    /// Name or ID of the service ID
    #[arg(value_name = "SERVICE_ID")]
    service_id: String,
    #[command(flatten)]
    force: Force,
    #[command(flatten)]
    common: Common,
}

#[derive(Args, Debug)]
pub struct SwitchArgs {
    /// Name or ID of the service ID
    #[arg(value_name = "SERVICE_ID")]
    service_id: String,
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    _unasked: Unasked,
}

impl Named for ServiceId {
    const WHAT: &'static str = "service ID";

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
        Command::ServiceIds(args) => list(&place, args).await,
        Command::ServiceId(args) => show(&place, args).await,
        Command::ServiceIdCreate(args) => create(&place, args).await,
        Command::ServiceIdUpdate(args) => update(&place, args).await,
        Command::ServiceIdDelete(args) => delete(&place, args).await,
        Command::ServiceIdLock(args) => {
            let found = named(&place, &args.service_id).await?;
            place.session.call(async |c: &Client| c.lock_service_id(&found.id).await).await?;
            shared::became(&args.common, "Service ID", &found.id, &found.name, "locked")
        }
        Command::ServiceIdUnlock(args) => {
            let found = named(&place, &args.service_id).await?;
            place.session.call(async |c: &Client| c.unlock_service_id(&found.id).await).await?;
            shared::became(&args.common, "Service ID", &found.id, &found.name, "unlocked")
        }
    }
}

async fn all(place: &Place) -> Result<Vec<ServiceId>, Failure> {
    let account = &place.account;
    shared::pages(async |start| {
        let page = place.session.call(async |c: &Client| {
            c.list_service_ids(Some(account), None, None, None, None, None, Some(100), start, None, None).await
        });
        let page = page.await?;
        Ok((page.serviceids, page.next.as_deref().and_then(|next| query_of(next, "pagetoken"))))
    })
    .await
}

/// The service ID that a person means by its ID, its IAM ID or its name.
pub async fn named(place: &Place, given: &str) -> Result<ServiceId, Failure> {
    let id = given.strip_prefix("iam-").filter(|id| id.starts_with("ServiceId-")).unwrap_or(given);
    shared::one(all(place).await?, id, "iam service-ids")
}

async fn list(place: &Place, args: ListArgs) -> Result<(), Failure> {
    let mut found = all(place).await?;
    found.retain(|item| args.filter.admits(&item.name, item.description.as_deref()));
    if args.uuid {
        return shared::ids(found.iter().map(|item| item.id.as_str()));
    }
    shared::listed(&args.common, &found, ["ID", "Name", "Created At", "Last Updated", "Locked", "Description"], |item| {
        let description = item.description.clone().unwrap_or_default();
        let (created, changed) = (item.created_at.clone(), item.modified_at.clone());
        [item.id.clone(), item.name.clone(), created, changed, item.locked.to_string(), description]
    })
}

async fn show(place: &Place, args: ShowArgs) -> Result<(), Failure> {
    let found = named(place, &args.service_id).await?;
    if args.uuid {
        return output::line(&found.id);
    }
    print(&args.common, &found)
}

fn print(common: &Common, item: &ServiceId) -> Result<(), Failure> {
    shared::shown(
        common,
        item,
        &[
            ("ID", Some(item.id.clone())),
            ("Name", Some(item.name.clone())),
            ("Description", item.description.clone()),
            ("IAM ID", Some(item.iam_id.clone())),
            ("CRN", Some(item.crn.clone())),
            ("Created At", Some(item.created_at.clone())),
            ("Last Updated", Some(item.modified_at.clone())),
            ("Locked", Some(item.locked.to_string())),
        ],
    )
}

async fn create(place: &Place, args: CreateArgs) -> Result<(), Failure> {
    let body = CreateServiceIdRequest {
        account_id: place.account.clone(),
        apikey: None,
        description: args.description,
        group_id: None,
        name: args.name,
        unique_instance_crns: Vec::new(),
    };
    let lock = args.lock.then_some("true");
    let made = place.session.call(async |c: &Client| c.create_service_id(None, lock, &body).await).await?;
    print(&args.common, &made)
}

async fn update(place: &Place, args: UpdateArgs) -> Result<(), Failure> {
    args.new.check()?;
    let ServiceId { id, entity_tag, .. } = named(place, &args.service_id).await?;
    let body =
        UpdateServiceIdRequest { name: args.new.name, description: args.new.description, ..UpdateServiceIdRequest::default() };
    let changed = place.session.call(async |c: &Client| c.update_service_id(&id, None, &entity_tag, &body).await).await?;
    print(&args.common, &changed)
}

async fn delete(place: &Place, args: DeleteArgs) -> Result<(), Failure> {
    let found = named(place, &args.service_id).await?;
    args.force.confirm(&format!("Delete the service ID {} ({}) with its API keys and policies?", found.name, found.id))?;
    place.session.call(async |c: &Client| c.delete_service_id(&found.id).await).await?;
    shared::became(&args.common, "Service ID", &found.id, &found.name, "deleted")
}
