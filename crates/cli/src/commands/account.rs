//! `boatyard account`: the accounts of the logged-in user.

use boatyard_sdk::{Account, Session, accounts};
use clap::Subcommand;

use crate::failure::Failure;
use crate::output::{self, Common};

#[derive(Debug, Subcommand)]
pub enum Command {
    /// List your accounts
    #[command(visible_alias = "ls")]
    List(Common),
}

pub async fn run(command: Command) -> Result<(), Failure> {
    let Command::List(common) = command;
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
    let base = reqwest::Url::parse("http://accounts/").ok()?;
    let url = base.join(next_url).ok()?;
    url.query_pairs().find(|(k, _)| k == "_start").map(|(_, v)| v.into_owned())
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
