//! `boatyard target`: the account and resource group that commands work on.

use boatyard_sdk::{Named, Session, resource_manager};
use serde_json::json;

use super::account;
use crate::failure::Failure;
use crate::output::{self, Common};

#[derive(clap::Args, Debug)]
pub struct Args {
    /// Account to work on, by ID or name
    #[arg(short = 'c', long, value_name = "ACCOUNT")]
    account: Option<String>,
    /// Resource group to work on, by ID or name; an empty one means all of them
    #[arg(short = 'g', long, value_name = "GROUP")]
    group: Option<String>,
    #[command(flatten)]
    common: Common,
}

pub async fn run(args: Args) -> Result<(), Failure> {
    let session = Session::load()?;
    if let Some(name) = &args.account {
        let account = account::choose(&account::all(&session).await?, name)?;
        session.select_account(account).await?;
    }
    if let Some(name) = &args.group {
        let group = if name.is_empty() { None } else { Some(find_group(&session, name).await?) };
        session.select_resource_group(group).await?;
    }
    if args.account.is_some() || args.group.is_some() {
        args.common.ok()?;
    }
    show(&session, &args.common)
}

/// Shows where commands go.
pub fn show(session: &Session, common: &Common) -> Result<(), Failure> {
    let state = session.state();
    if common.is_json() {
        return output::json(&json!({
            "api_endpoint": state.endpoint,
            "user": {"display_name": state.user},
            "account": state.account.map(|a| json!({"guid": a.id, "name": a.name})),
            "resource_group": state.resource_group.map(|g| json!({"guid": g.id, "name": g.name})),
        }));
    }
    if !common.is_chatty() {
        return Ok(());
    }
    let or = |value: Option<Named>, none: &str| Some(value.map_or_else(|| none.to_owned(), |v| v.label()));
    output::print(&output::pairs(&[
        ("API endpoint", Some(state.endpoint)),
        ("User", state.user),
        ("Account", or(state.account, "none selected, use 'boatyard target -c ACCOUNT'")),
        ("Resource group", or(state.resource_group, "all (choose one with 'boatyard target -g GROUP')")),
    ]))
}

async fn find_group(session: &Session, name: &str) -> Result<Named, Failure> {
    let account = session.state().account.map(|a| a.id);
    let list = session
        .call(async |c: &resource_manager::Client| c.list_resource_groups(account.as_deref(), None, None, None, None).await)
        .await;
    let groups = match list {
        Ok(list) => list.resources,
        // A server without that service still knows its groups by ID.
        Err(e) if matches!(e.status(), Some(404 | 501)) && is_group_id(name) => {
            return Ok(Named { id: name.to_owned(), name: None });
        }
        Err(e) if matches!(e.status(), Some(404 | 501)) => {
            return Err(Failure::new(
                "This server does not look up resource groups by name.",
                "Give the group's ID, which `boatyard vpcs --output json` and `boatyard cluster get --output json` show.",
            ));
        }
        Err(e) => return Err(e.into()),
    };
    let is = |value: &Option<String>| value.as_deref() == Some(name);
    let group = groups.iter().find(|g| is(&g.id)).or_else(|| groups.iter().find(|g| is(&g.name)));
    let group = group.and_then(|g| Some(Named { id: g.id.clone()?, name: g.name.clone() }));
    group.ok_or_else(|| {
        let names: Vec<_> = groups.iter().filter_map(|g| g.name.as_deref()).collect();
        let next = match names.as_slice() {
            [] => "The account has none that you may see.".to_owned(),
            names => format!("Give one of these by ID or name: {}", names.join(", ")),
        };
        Failure::new(format!("There is no resource group {name:?}."), next)
    })
}

/// 32 hexadecimal digits.
fn is_group_id(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|b| b.is_ascii_hexdigit())
}
