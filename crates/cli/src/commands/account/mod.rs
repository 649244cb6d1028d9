//! `boatyard account`: the accounts of the logged-in user, and the users of the one that is selected.

pub mod users;

use boatyard_sdk::{Account, Session, accounts};
use clap::Subcommand;

use crate::failure::Failure;
use crate::output::{self, Common};

#[derive(Debug, Subcommand)]
pub enum Command {
    /// List your accounts
    #[command(visible_alias = "ls")]
    List(Common),
    /// Show an account; the selected one unless another is given
    Show(ShowArgs),
    /// List the users of the selected account
    Users(users::ListArgs),
    /// Invite a user to the selected account
    UserInvite(users::InviteArgs),
    /// Remove a user from the selected account, with the user's API keys, sessions and policies there
    UserRemove(users::RemoveArgs),
    /// Accept an invitation to an account
    InviteAccept(users::AcceptArgs),
}

#[derive(clap::Args, Debug)]
pub struct ShowArgs {
    /// ID or name of the account
    #[arg(value_name = "ACCOUNT")]
    account: Option<String>,
    #[command(flatten)]
    common: Common,
}

pub async fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::List(common) => list(common).await,
        Command::Show(args) => show(args).await,
        Command::Users(args) => users::list(args).await,
        Command::UserInvite(args) => users::invite(args).await,
        Command::UserRemove(args) => users::remove(args).await,
        Command::InviteAccept(args) => users::accept(args).await,
    }
}

/// ID of the account that commands work on.
pub fn selected(session: &Session) -> Result<String, Failure> {
    let account = session.state().account.map(|account| account.id);
    account.ok_or_else(|| Failure::new("No account is selected.", "Select one with `boatyard target -c ACCOUNT`."))
}

async fn show(args: ShowArgs) -> Result<(), Failure> {
    let session = Session::load()?;
    let id = match &args.account {
        Some(name) => choose(&all(&session).await?, name)?.id,
        None => selected(&session)?,
    };
    let found = session.call(async |c: &accounts::Client| c.get_account(&id).await).await?;
    if args.common.is_json() {
        return output::json(&found);
    }
    args.common.ok()?;
    let entity = found.entity;
    output::print(&output::pairs(&[
        ("Name", Some(entity.name)),
        ("ID", Some(found.metadata.guid)),
        ("State", entity.state),
        ("Type", entity.type_),
        ("Owner", entity.owner_userid),
        ("Owner's IAM ID", entity.owner_iam_id),
        ("Created", found.metadata.created_at),
    ]))
}

async fn list(common: Common) -> Result<(), Failure> {
    let session = Session::load()?;
    let found = resources(&session).await?;
    if common.is_json() {
        return output::json(&found);
    }
    common.ok()?;
    let selected = session.state().account.map(|a| a.id);
    let rows = found.into_iter().map(|a| {
        let entity = a.entity;
        let mark = if selected.as_deref() == Some(&a.metadata.guid) { "*" } else { "" };
        let owner = entity.owner_userid.or(entity.owner).unwrap_or_default();
        [entity.name, a.metadata.guid, entity.state.unwrap_or_default(), owner, mark.to_owned()]
    });
    output::print(&output::table(["Name", "Account ID", "State", "Owner", "Selected"], rows.collect()))
}

/// Every account, by ID and name.
pub async fn all(session: &Session) -> Result<Vec<Account>, Failure> {
    let found = resources(session).await?;
    Ok(found.into_iter().map(|a| Account { id: a.metadata.guid, name: Some(a.entity.name) }).collect())
}

/// The account that a person means by `name`.
pub fn choose(accounts: &[Account], name: &str) -> Result<Account, Failure> {
    let by_id = accounts.iter().find(|a| a.id == name);
    let mut by_name = accounts.iter().filter(|a| a.name.as_deref() == Some(name));
    match (by_id, by_name.next(), by_name.next()) {
        (Some(account), ..) | (None, Some(account), None) => Ok(account.clone()),
        (None, Some(_), Some(_)) => Err(Failure::new(
            format!("Several accounts are called {name:?}."),
            format!("Give the ID instead: {}", labels(accounts, |a| a.name.as_deref() == Some(name))),
        )),
        (None, None, _) => Err(Failure::new(
            format!("You have no account {name:?}."),
            // Named here, since a login that fails for this reason cannot list them.
            format!("Give one of yours by ID or name: {}", labels(accounts, |_| true)),
        )),
    }
}

fn labels(accounts: &[Account], wanted: impl Fn(&Account) -> bool) -> String {
    let labels: Vec<_> = accounts.iter().filter(|a| wanted(a)).map(Account::label).collect();
    if labels.is_empty() { "there are none.".to_owned() } else { labels.join(", ") }
}

/// All pages.
async fn resources(session: &Session) -> Result<Vec<accounts::types::Account>, Failure> {
    let mut all = Vec::new();
    let mut start: Option<String> = None;
    loop {
        let page = session.call(async |c: &accounts::Client| c.list_accounts(start.as_deref(), None).await).await?;
        all.extend(page.resources);
        let next = page.next_url.as_deref().and_then(start_of);
        if next.is_none() || next == start {
            return Ok(all);
        }
        start = next;
    }
}

/// Where the next page begins, out of a relative URL such as `/coe/v2/accounts?_start=abc&limit=10`.
fn start_of(next_url: &str) -> Option<String> {
    query_of(next_url, "_start")
}

/// A value of the query of a relative URL.
pub fn query_of(url: &str, name: &str) -> Option<String> {
    let base = reqwest::Url::parse("http://accounts/").ok()?;
    let url = base.join(url).ok()?;
    url.query_pairs().find(|(k, _)| k == name).map(|(_, v)| v.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn follows_pages() {
        assert_eq!(start_of("/coe/v2/accounts?limit=1&_start=a%2Bb").as_deref(), Some("a+b"));
        assert_eq!(start_of("/coe/v2/accounts"), None);
    }

    #[test]
    fn accounts_are_chosen_by_id_before_name() {
        let account = |id: &str, name: &str| Account { id: id.into(), name: Some(name.into()) };
        let accounts = [account("a1", "Ada"), account("b2", "a1"), account("c3", "Twin"), account("d4", "Twin")];
        assert_eq!(choose(&accounts, "a1").expect("one").id, "a1");
        assert_eq!(choose(&accounts, "Ada").expect("one").id, "a1");
        assert!(choose(&accounts, "Twin").expect_err("two").to_string().contains("Several"));
        assert!(choose(&accounts, "nobody").is_err());
    }
}
