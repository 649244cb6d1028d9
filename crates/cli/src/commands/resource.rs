//! `boatyard resource`: resource groups of the selected account.

use boatyard_sdk::Session;
use boatyard_sdk::resource_manager::Client;
use boatyard_sdk::resource_manager::types::{CreateResourceGroupRequest, ResourceGroup, UpdateResourceGroupRequest};
use clap::Subcommand;
use serde_json::json;

use super::account::selected;
use crate::failure::Failure;
use crate::output::{self, Common};
use crate::terminal;

#[derive(Debug, Subcommand)]
pub enum Command {
    /// List the resource groups
    Groups(GroupsArgs),
    /// Show a resource group
    Group(GroupArgs),
    /// Make a resource group
    GroupCreate(CreateArgs),
    /// Give a resource group another name
    GroupUpdate(UpdateArgs),
    /// Delete an empty resource group
    GroupDelete(DeleteArgs),
}

#[derive(clap::Args, Debug)]
pub struct GroupsArgs {
    /// Only the default resource group
    #[arg(long)]
    default: bool,
    #[command(flatten)]
    common: Common,
}

#[derive(clap::Args, Debug)]
pub struct GroupArgs {
    /// Name or ID of the resource group
    #[arg(value_name = "NAME")]
    name: String,
    /// Print the ID only
    #[arg(long)]
    id: bool,
    #[command(flatten)]
    common: Common,
}

#[derive(clap::Args, Debug)]
pub struct CreateArgs {
    /// Name of the resource group
    #[arg(value_name = "NAME")]
    name: String,
    #[command(flatten)]
    common: Common,
}

#[derive(clap::Args, Debug)]
pub struct UpdateArgs {
    /// Name or ID of the resource group
    #[arg(value_name = "NAME")]
    name: String,
    /// The new name
    #[arg(short = 'n', long = "name", value_name = "NEW_NAME")]
    new_name: String,
    /// Do not ask
    #[arg(short = 'f', long)]
    force: bool,
    #[command(flatten)]
    common: Common,
}

#[derive(clap::Args, Debug)]
pub struct DeleteArgs {
    /// Name or ID of the resource group
    #[arg(value_name = "NAME")]
    name: String,
    /// Do not ask
    #[arg(short = 'f', long)]
    force: bool,
    #[command(flatten)]
    common: Common,
}

pub async fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Groups(args) => list(args).await,
        Command::Group(args) => show(args).await,
        Command::GroupCreate(args) => create(args).await,
        Command::GroupUpdate(args) => update(args).await,
        Command::GroupDelete(args) => delete(args).await,
    }
}

async fn list(args: GroupsArgs) -> Result<(), Failure> {
    let session = Session::load()?;
    let groups = groups(&session, args.default).await?;
    if args.common.is_json() {
        return output::json(&groups);
    }
    args.common.ok()?;
    let rows = groups.into_iter().map(|group| {
        let default = group.default.unwrap_or_default().to_string();
        [group.name.unwrap_or_default(), group.id.unwrap_or_default(), default, group.state.unwrap_or_default()]
    });
    output::print(&output::table(["Name", "ID", "Default Group", "State"], rows.collect()))
}

async fn show(args: GroupArgs) -> Result<(), Failure> {
    let session = Session::load()?;
    let group = named(&session, &args.name).await?;
    if args.id {
        return output::line(&group.id.unwrap_or_default());
    }
    print(&group, &args.common)
}

async fn create(args: CreateArgs) -> Result<(), Failure> {
    let session = Session::load()?;
    let body = CreateResourceGroupRequest { name: Some(args.name), account_id: Some(selected(&session)?) };
    let made = session.call(async |c: &Client| c.create_resource_group(&body).await).await?;
    let id = made.id.unwrap_or_default();
    let group = session.call(async |c: &Client| c.get_resource_group(&id).await).await?;
    print(&group, &args.common)
}

async fn update(args: UpdateArgs) -> Result<(), Failure> {
    let session = Session::load()?;
    let group = named(&session, &args.name).await?;
    let (id, name) = (group.id.unwrap_or_default(), group.name.unwrap_or_default());
    let question = format!("Rename the resource group {name} ({id}) to {}?", args.new_name);
    if !args.force && !terminal::confirm(&question, "`-f`")? {
        return Err(Failure::new("Nothing was renamed.", "Answer `y`, or give `-f`, to rename the resource group."));
    }
    let body = UpdateResourceGroupRequest { name: Some(args.new_name), state: None };
    let group = session.call(async |c: &Client| c.update_resource_group(&id, &body).await).await?;
    print(&group, &args.common)
}

async fn delete(args: DeleteArgs) -> Result<(), Failure> {
    let session = Session::load()?;
    let group = named(&session, &args.name).await?;
    let (id, name) = (group.id.unwrap_or_default(), group.name.unwrap_or_default());
    if !args.force && !terminal::confirm(&format!("Delete the resource group {name} ({id})?"), "`-f`")? {
        return Err(Failure::new("Nothing was deleted.", "Answer `y`, or give `-f`, to delete the resource group."));
    }
    session.call(async |c: &Client| c.delete_resource_group(&id).await).await?;
    if args.common.is_json() {
        return output::json(&json!({ "id": id, "name": name, "state": "deleted" }));
    }
    args.common.ok()?;
    args.common.remark(&format!("The resource group {name} is deleted."))
}

fn print(group: &ResourceGroup, common: &Common) -> Result<(), Failure> {
    if common.is_json() {
        return output::json(group);
    }
    common.ok()?;
    output::print(&output::pairs(&[
        ("Name", group.name.clone()),
        ("ID", group.id.clone()),
        ("Account ID", group.account_id.clone()),
        ("State", group.state.clone()),
        ("Default group", group.default.map(|default| default.to_string())),
        ("Created", group.created_at.clone()),
        ("Changed", group.updated_at.clone()),
    ]))
}

async fn groups(session: &Session, default: bool) -> Result<Vec<ResourceGroup>, Failure> {
    let (account, default) = (selected(session)?, default.then_some(true));
    let list = session.call(async |c: &Client| c.list_resource_groups(Some(&account), None, default, None, None).await).await?;
    Ok(list.resources)
}

/// The resource group that a person means by an ID or a name.
pub async fn named(session: &Session, name: &str) -> Result<ResourceGroup, Failure> {
    let groups = groups(session, false).await?;
    let is = |value: &Option<String>| value.as_deref().is_some_and(|value| value.eq_ignore_ascii_case(name));
    let found = groups.iter().find(|group| is(&group.id)).or_else(|| groups.iter().find(|group| is(&group.name)));
    found.cloned().ok_or_else(|| {
        Failure::new(format!("There is no resource group {name:?}."), "List them with `boatyard resource groups`.")
    })
}
