//! What the commands of `boatyard iam` share: where they work, how they find what people name, how they show it.

use boatyard_sdk::Session;
use clap::Args;
use serde::Serialize;
use serde_json::json;

use super::super::account;
use crate::failure::Failure;
use crate::output::{self, Common};
use crate::terminal;

/// The login, and the account that commands work on.
pub struct Place {
    pub session: Session,
    /// ID of the account.
    pub account: String,
}

impl Place {
    pub fn load() -> Result<Self, Failure> {
        let session = Session::load()?;
        let account = account::selected(&session)?;
        Ok(Self { session, account })
    }
}

/// `-f`, for what cannot be undone.
#[derive(Args, Clone, Copy, Debug)]
pub struct Force {
    /// Do not ask
    #[arg(short = 'f', long = "force")]
    pub force: bool,
}

impl Force {
    /// Asks before something goes away.
    pub fn confirm(self, question: &str) -> Result<(), Failure> {
        if self.force || terminal::confirm(question, "`-f`")? {
            return Ok(());
        }
        Err(Failure::new("Nothing was changed.", "Answer `y`, or give `-f`, to go on."))
    }
}

/// `-f`, where `ibmcloud` asks and nothing is lost: taken so that scripts work, and without effect.
#[derive(Args, Clone, Copy, Debug)]
pub struct Unasked {
    /// Do not ask; nothing is asked here anyway
    #[arg(short = 'f', long = "force", hide = true)]
    _force: bool,
}

/// What to list, of things with a name and a description.
#[derive(Args, Debug)]
pub struct Filter {
    /// Only those with this in their name
    #[arg(short = 'n', long, value_name = "TEXT")]
    name: Option<String>,
    /// Only those with this in their description
    #[arg(short = 'd', long, value_name = "TEXT")]
    description: Option<String>,
}

impl Filter {
    pub fn admits(&self, name: &str, description: Option<&str>) -> bool {
        let has = |wanted: &Option<String>, text: &str| wanted.as_deref().is_none_or(|wanted| text.contains(wanted));
        has(&self.name, name) && has(&self.description, description.unwrap_or_default())
    }
}

/// A new name or description.
#[derive(Args, Debug)]
pub struct Renaming {
    /// The new name
    #[arg(short = 'n', long, value_name = "NAME")]
    pub name: Option<String>,
    /// The new description
    #[arg(short = 'd', long, value_name = "TEXT")]
    pub description: Option<String>,
}

impl Renaming {
    pub fn check(&self) -> Result<(), Failure> {
        if self.name.is_none() && self.description.is_none() {
            return Err(Failure::usage("There is nothing to change.", "Give a new name with `-n` or a description with `-d`."));
        }
        Ok(())
    }
}

/// What people name by its ID or by a name, which several may share.
pub trait Named {
    /// In the singular, as in `There is no service ID "a"`.
    const WHAT: &'static str;
    fn id(&self) -> &str;
    fn name(&self) -> &str;
}

/// The one that a person means; `list` is the command that shows them all.
pub fn one<T: Named>(all: Vec<T>, given: &str, list: &str) -> Result<T, Failure> {
    let (mut of_id, others): (Vec<_>, Vec<_>) = all.into_iter().partition(|item| item.id() == given);
    if let Some(item) = of_id.pop() {
        return Ok(item);
    }
    let mut named: Vec<_> = others.into_iter().filter(|item| item.name() == given).collect();
    match named.pop() {
        None => Err(Failure::new(format!("There is no {} {given:?}.", T::WHAT), format!("List them with `boatyard {list}`."))),
        Some(item) if named.is_empty() => Ok(item),
        Some(last) => {
            let ids: Vec<_> = named.iter().chain([&last]).map(|item| format!("  {}\n", item.id())).collect();
            let what = format!("Several of them have the name {given:?}:\n{}", ids.concat().trim_end());
            Err(Failure::new(what, format!("Give the ID of the {} instead of its name.", T::WHAT)))
        }
    }
}

/// All pages of a list; `fetch` answers the items of a page and where the next one begins.
pub async fn pages<T>(
    fetch: impl AsyncFn(Option<&str>) -> Result<(Vec<T>, Option<String>), Failure>,
) -> Result<Vec<T>, Failure> {
    let mut all = Vec::new();
    let mut start: Option<String> = None;
    loop {
        let (items, next) = fetch(start.as_deref()).await?;
        all.extend(items);
        // A server that points back to the same page would be asked forever.
        if next.is_none() || next == start {
            return Ok(all);
        }
        start = next;
    }
}

/// Prints a list.
pub fn listed<T: Serialize, const N: usize>(
    common: &Common,
    items: &[T],
    header: [&str; N],
    row: impl Fn(&T) -> [String; N],
) -> Result<(), Failure> {
    if common.is_json() {
        return output::json(&items);
    }
    common.ok()?;
    output::print(&output::table(header, items.iter().map(row).collect()))
}

/// Prints one thing.
pub fn shown(common: &Common, item: &impl Serialize, pairs: &[(&str, Option<String>)]) -> Result<(), Failure> {
    if common.is_json() {
        return output::json(item);
    }
    common.ok()?;
    output::print(&output::pairs(pairs))
}

/// Prints IDs, each on a line.
pub fn ids<'a>(ids: impl Iterator<Item = &'a str>) -> Result<(), Failure> {
    output::print(&ids.map(|id| format!("{id}\n")).collect::<String>())
}

/// Says what became of something, such as `deleted`.
pub fn became(common: &Common, what: &str, id: &str, name: &str, state: &str) -> Result<(), Failure> {
    if common.is_json() {
        return output::json(&json!({ "id": id, "name": name, "state": state }));
    }
    common.ok()?;
    common.remark(&format!("{what} {name} is {state}."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq)]
    struct Thing(&'static str, &'static str);

    impl Named for Thing {
        const WHAT: &'static str = "thing";

        fn id(&self) -> &str {
            self.0
        }

        fn name(&self) -> &str {
            self.1
        }
    }

    fn find(given: &str) -> Result<Thing, Failure> {
        one(vec![Thing("1", "a"), Thing("2", "b"), Thing("3", "b"), Thing("b", "c")], given, "things")
    }

    #[test]
    fn an_id_goes_before_a_name() {
        assert_eq!(find("a").ok(), Some(Thing("1", "a")));
        assert_eq!(find("b").ok(), Some(Thing("b", "c")));
    }

    #[test]
    fn a_name_of_several_is_refused_with_the_candidates() {
        let refused = one(vec![Thing("1", "b"), Thing("2", "b")], "b", "things").unwrap_err().to_string();
        assert!(refused.contains("  1\n  2"), "{refused}");
        assert!(find("d").unwrap_err().to_string().contains("There is no thing \"d\"."));
    }
}
