//! `boatyard iam access-group…`: groups that access is given to, and who is in them.

use boatyard_sdk::iam_access_groups::Client;
use boatyard_sdk::iam_access_groups::types::{
    AddGroupMembersRequestMembersItem, AddMembersToAccessGroupRequest, CreateAccessGroupRequest, Error, Group,
    ListGroupMembersResponseMember, UpdateAccessGroupRequest,
};
use clap::{Args, Subcommand};

use super::shared::{self, Force, Named, Place, Renaming, Unasked};
use super::subjects::{Identity, Service, Subject, User};
use crate::commands::account::query_of;
use crate::failure::Failure;
use crate::output::{self, Common};

/// Items of a page: the most that the service gives.
const PAGE: Option<i64> = Some(100);

// The variants are named as the commands are.
#[allow(clippy::enum_variant_names)]
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List the access groups of the account
    AccessGroups(ListArgs),
    /// Show an access group
    AccessGroup(ShowArgs),
    /// Make an access group
    AccessGroupCreate(CreateArgs),
    /// Change the name or the description of an access group
    AccessGroupUpdate(UpdateArgs),
    /// Delete an access group with its policies
    AccessGroupDelete(DeleteArgs),
    /// List the users in an access group
    AccessGroupUsers(MembersArgs),
    /// Add users to an access group
    AccessGroupUserAdd(AddUsersArgs),
    /// Remove a user from an access group
    AccessGroupUserRemove(RemoveArgs<User>),
    /// Remove a user from all access groups
    AccessGroupUserPurge(PurgeArgs<User>),
    /// List the service IDs in an access group
    AccessGroupServiceIds(MembersArgs),
    /// Add service IDs to an access group
    AccessGroupServiceIdAdd(AddServicesArgs),
    /// Remove a service ID from an access group
    AccessGroupServiceIdRemove(RemoveArgs<Service>),
    /// Remove a service ID from all access groups
    AccessGroupServiceIdPurge(PurgeArgs<Service>),
}

#[derive(Args, Debug)]
pub struct ListArgs {
    /// Only those that this user is in
    #[arg(short = 'u', long, value_name = "USER", conflicts_with = "service_id")]
    user: Option<String>,
    /// Only those that this service ID is in
    #[arg(short = 's', long, value_name = "SERVICE_ID")]
    service_id: Option<String>,
    #[command(flatten)]
    common: Common,
}

#[derive(Args, Debug)]
pub struct ShowArgs {
    /// Name or ID of the access group
    #[arg(value_name = "GROUP")]
    group: String,
    /// Print the ID only
    #[arg(long)]
    id: bool,
    #[command(flatten)]
    common: Common,
}

#[derive(Args, Debug)]
pub struct CreateArgs {
    /// Name of the access group
    #[arg(value_name = "NAME")]
    name: String,
    /// Description of the access group
    #[arg(short = 'd', long, value_name = "TEXT")]
    description: Option<String>,
    #[command(flatten)]
    common: Common,
}

#[derive(Args, Debug)]
pub struct UpdateArgs {
    /// Name or ID of the access group
    #[arg(value_name = "GROUP")]
    group: String,
    #[command(flatten)]
    new: Renaming,
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    _unasked: Unasked,
}

#[derive(Args, Debug)]
pub struct DeleteArgs {
    /// Name or ID of the access group
    #[arg(value_name = "GROUP")]
    group: String,
    /// Even if there are members or rules in it
    #[arg(short = 'r', long)]
    recursive: bool,
    #[command(flatten)]
    force: Force,
    #[command(flatten)]
    common: Common,
}

#[derive(Args, Debug)]
pub struct MembersArgs {
    /// Name or ID of the access group
    #[arg(value_name = "GROUP")]
    group: String,
    #[command(flatten)]
    common: Common,
}

#[derive(Args, Debug)]
pub struct AddUsersArgs {
    /// Name or ID of the access group
    #[arg(value_name = "GROUP")]
    group: String,
    /// User names (e-mail addresses) or IAM IDs of users
    #[arg(value_name = "USER", required = true)]
    users: Vec<String>,
    #[command(flatten)]
    common: Common,
}

#[derive(Args, Debug)]
pub struct AddServicesArgs {
    /// Name or ID of the access group
    #[arg(value_name = "GROUP")]
    group: String,
    /// Names, IDs or IAM IDs of service IDs
    #[arg(value_name = "SERVICE_ID", required = true)]
    service_ids: Vec<String>,
    #[command(flatten)]
    common: Common,
}

#[derive(Args, Debug)]
pub struct RemoveArgs<S: Args> {
    /// Name or ID of the access group
    #[arg(value_name = "GROUP")]
    group: String,
    #[command(flatten)]
    member: S,
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    _unasked: Unasked,
}

#[derive(Args, Debug)]
pub struct PurgeArgs<S: Args> {
    #[command(flatten)]
    member: S,
    #[command(flatten)]
    force: Force,
    #[command(flatten)]
    common: Common,
}

impl Named for Group {
    const WHAT: &'static str = "access group";

    fn id(&self) -> &str {
        self.id.as_deref().unwrap_or_default()
    }

    fn name(&self) -> &str {
        self.name.as_deref().unwrap_or_default()
    }
}

pub async fn run(command: Command) -> Result<(), Failure> {
    let place = &Place::load()?;
    match command {
        Command::AccessGroups(args) => list(place, args).await,
        Command::AccessGroup(args) => show(place, args).await,
        Command::AccessGroupCreate(args) => create(place, args).await,
        Command::AccessGroupUpdate(args) => update(place, args).await,
        Command::AccessGroupDelete(args) => delete(place, args).await,
        Command::AccessGroupUsers(args) => members::<User>(place, args).await,
        Command::AccessGroupUserAdd(args) => add::<User>(place, &args.group, &args.users, &args.common).await,
        Command::AccessGroupUserRemove(args) => remove(place, args).await,
        Command::AccessGroupUserPurge(args) => purge(place, args).await,
        Command::AccessGroupServiceIds(args) => members::<Service>(place, args).await,
        Command::AccessGroupServiceIdAdd(args) => add::<Service>(place, &args.group, &args.service_ids, &args.common).await,
        Command::AccessGroupServiceIdRemove(args) => remove(place, args).await,
        Command::AccessGroupServiceIdPurge(args) => purge(place, args).await,
    }
}

/// Where the next page begins.
fn next_of(href: Option<String>) -> Option<String> {
    query_of(&href?, "offset")
}

/// The groups of the account, or those that an identity is in.
async fn all(place: &Place, iam_id: Option<&str>) -> Result<Vec<Group>, Failure> {
    let account = &place.account;
    shared::pages(async |start| {
        let offset = start.and_then(|start| start.parse().ok());
        let page = place.session.call(async |c: &Client| {
            c.list_access_groups(account, None, iam_id, PAGE, None, offset, None, None, None, None, None).await
        });
        let page = page.await?;
        Ok((page.groups, next_of(page.next.and_then(|next| next.href))))
    })
    .await
}

/// The access group that a person means by its ID or its name.
pub async fn named(place: &Place, given: &str) -> Result<Group, Failure> {
    shared::one(all(place, None).await?, given, "iam access-groups")
}

async fn list(place: &Place, args: ListArgs) -> Result<(), Failure> {
    let member = match (&args.user, &args.service_id) {
        (Some(user), _) => Some(User::named(place, user).await?),
        (None, Some(service_id)) => Some(Service::named(place, service_id).await?),
        (None, None) => None,
    };
    let groups = all(place, member.as_ref().map(|member| member.id.as_str())).await?;
    shared::listed(&args.common, &groups, ["Name", "ID", "Description"], |group| {
        [group.name().to_owned(), group.id().to_owned(), group.description.clone().unwrap_or_default()]
    })
}

async fn show(place: &Place, args: ShowArgs) -> Result<(), Failure> {
    let found = named(place, &args.group).await?;
    if args.id {
        return output::line(found.id());
    }
    print(&args.common, &found)
}

fn print(common: &Common, group: &Group) -> Result<(), Failure> {
    shared::shown(
        common,
        group,
        &[
            ("Name", group.name.clone()),
            ("ID", group.id.clone()),
            ("Description", group.description.clone()),
            ("Created At", group.created_at.clone()),
            ("Created By", group.created_by_id.clone()),
            ("Last Updated", group.last_modified_at.clone()),
        ],
    )
}

async fn create(place: &Place, args: CreateArgs) -> Result<(), Failure> {
    let body = CreateAccessGroupRequest { description: args.description, name: args.name };
    let made = place.session.call(async |c: &Client| c.create_access_group(&place.account, None, &body).await).await?;
    print(&args.common, &made)
}

async fn update(place: &Place, args: UpdateArgs) -> Result<(), Failure> {
    args.new.check()?;
    let found = named(place, &args.group).await?;
    let id = found.id();
    let (_, tag) = place.session.call_tagged(async |c: &Client| c.get_access_group(id, None, None, None).await).await?;
    let body = UpdateAccessGroupRequest { description: args.new.description, name: args.new.name };
    let changed = place.session.call(async |c: &Client| c.update_access_group(id, &tag, None, &body).await).await?;
    print(&args.common, &changed)
}

async fn delete(place: &Place, args: DeleteArgs) -> Result<(), Failure> {
    let found = named(place, &args.group).await?;
    let (id, name) = (found.id(), found.name());
    args.force.confirm(&format!("Delete the access group {name} ({id}) with its policies?"))?;
    let deleted = place.session.call(async |c: &Client| c.delete_access_group(id, Some(args.recursive), None).await).await;
    match deleted {
        Err(error) if error.status() == Some(409) && !args.recursive => {
            Err(Failure::new(error.to_string(), "Remove what is in it, or give `--recursive`."))
        }
        other => Ok(other?),
    }?;
    shared::became(&args.common, "The access group", id, name, "deleted")
}

async fn members<S: Subject>(place: &Place, args: MembersArgs) -> Result<(), Failure> {
    let group = named(place, &args.group).await?;
    let found: Vec<ListGroupMembersResponseMember> = shared::pages(async |start| {
        let (kind, offset) = (Some(S::MEMBER), start.and_then(|start| start.parse().ok()));
        let page = place.session.call(async |c: &Client| {
            c.list_access_group_members(group.id(), PAGE, None, offset, None, kind, Some(true), None).await
        });
        let page = page.await?;
        Ok((page.members, next_of(page.next.and_then(|next| next.href))))
    })
    .await?;
    shared::listed(&args.common, &found, ["Name", "IAM ID", "E-Mail", "Added At"], |member| {
        [&member.name, &member.iam_id, &member.email, &member.created_at].map(|text| text.clone().unwrap_or_default())
    })
}

async fn add<S: Subject>(place: &Place, group: &str, given: &[String], common: &Common) -> Result<(), Failure> {
    let group = named(place, group).await?;
    let mut body = AddMembersToAccessGroupRequest { members: Vec::new() };
    for given in given {
        let iam_id = S::named(place, given).await?.id;
        body.members.push(AddGroupMembersRequestMembersItem { iam_id, type_: S::MEMBER.to_owned() });
    }
    let answer = place.session.call(async |c: &Client| c.add_members_to_access_group(group.id(), None, &body).await).await?;
    outcome(answer.members.iter().map(|member| (&member.iam_id, member.status_code, member.errors.as_slice())))?;
    if common.is_json() {
        return output::json(&answer.members);
    }
    common.ok()?;
    let verb = if given.len() == 1 { "is" } else { "are" };
    common.remark(&format!("{} {verb} in the access group {}.", given.join(", "), group.name()))
}

async fn remove<S: Subject>(place: &Place, args: RemoveArgs<S>) -> Result<(), Failure> {
    let group = named(place, &args.group).await?;
    let Identity { id, name } = args.member.find(place).await?;
    place.session.call(async |c: &Client| c.remove_member_from_access_group(group.id(), &id, None).await).await?;
    shared::became(&args.common, &format!("The {}", S::WHAT), &id, &name, "removed")
}

async fn purge<S: Subject>(place: &Place, args: PurgeArgs<S>) -> Result<(), Failure> {
    let Identity { id, name } = args.member.find(place).await?;
    args.force.confirm(&format!("Remove {name} ({id}) from all access groups?"))?;
    let account = &place.account;
    let answer =
        place.session.call(async |c: &Client| c.remove_member_from_all_access_groups(&id, account, None).await).await?;
    outcome(answer.groups.iter().map(|group| (&group.access_group_id, group.status_code, group.errors.as_slice())))?;
    shared::became(&args.common, &format!("The {}", S::WHAT), &id, &name, "removed")
}

/// Fails if one of several changes was refused; the others are made all the same.
fn outcome<'a>(changes: impl Iterator<Item = (&'a Option<String>, Option<i64>, &'a [Error])>) -> Result<(), Failure> {
    let refused = changes.filter(|(_, status, _)| status.is_some_and(|status| status >= 400)).map(|(id, _, errors)| {
        let texts: Vec<_> = errors.iter().filter_map(|error| error.message.as_deref()).collect();
        format!("\n  {}: {}", id.as_deref().unwrap_or_default(), texts.join(" "))
    });
    let refused: String = refused.collect();
    if refused.is_empty() {
        return Ok(());
    }
    Err(Failure::new(format!("Not all of it was done:{refused}"), "What is not named here was done."))
}
