//! `boatyard account users`, `user-invite`, `user-remove`, `invite-accept`.

use boatyard_sdk::Session;
use boatyard_sdk::user_management::Client;
use boatyard_sdk::user_management::types::{AcceptRequest, InviteUser, InviteUsersRequest, UserProfile};
use serde_json::json;

use super::{all, choose, selected, start_of};
use crate::failure::Failure;
use crate::output::{self, Common};
use crate::terminal;

#[derive(clap::Args, Debug)]
pub struct ListArgs {
    #[command(flatten)]
    common: Common,
}

#[derive(clap::Args, Debug)]
pub struct InviteArgs {
    /// E-mail address of the user
    #[arg(value_name = "EMAIL")]
    email: String,
    /// IDs of access groups that the user becomes a member of, with commas between
    #[arg(long, value_name = "GROUPS", value_delimiter = ',')]
    access_groups: Vec<String>,
    #[command(flatten)]
    common: Common,
}

#[derive(clap::Args, Debug)]
pub struct RemoveArgs {
    /// User name (e-mail address) or IAM ID of the user
    #[arg(value_name = "USER")]
    user: String,
    /// Do not ask
    #[arg(short = 'f', long)]
    force: bool,
    #[command(flatten)]
    common: Common,
}

#[derive(clap::Args, Debug)]
pub struct AcceptArgs {
    /// ID of the account that has invited you
    #[arg(value_name = "ACCOUNT_ID")]
    account: String,
    #[command(flatten)]
    common: Common,
}

pub async fn list(args: ListArgs) -> Result<(), Failure> {
    let session = Session::load()?;
    let users = users(&session, &selected(&session)?, None).await?;
    if args.common.is_json() {
        return output::json(&users);
    }
    args.common.ok()?;
    let rows = users.into_iter().map(|user| {
        let name = [user.firstname, user.lastname].into_iter().flatten().filter(|name| !name.is_empty());
        let name = name.collect::<Vec<_>>().join(" ");
        let text = Option::unwrap_or_default;
        [text(user.user_id), text(user.iam_id), text(user.state), name, text(user.added_on)]
    });
    output::print(&output::table(["User ID", "IAM ID", "State", "Name", "Added"], rows.collect()))
}

pub async fn invite(args: InviteArgs) -> Result<(), Failure> {
    let session = Session::load()?;
    let account = selected(&session)?;
    let user = InviteUser { email: Some(args.email.clone()), account_role: Some("Member".to_owned()) };
    let body = InviteUsersRequest { users: vec![user], iam_policy: Vec::new(), access_groups: args.access_groups };
    let invited = session.call(async |c: &Client| c.invite_users(&account, &body).await).await?;
    if args.common.is_json() {
        return output::json(&invited);
    }
    args.common.ok()?;
    args.common.remark(&format!("{} is invited.", args.email))?;
    args.common.remark(&format!("No mail was sent: tell them to log in and run 'boatyard account invite-accept {account}'."))
}

pub async fn remove(args: RemoveArgs) -> Result<(), Failure> {
    let session = Session::load()?;
    let account = selected(&session)?;
    let user = named(&session, &account, &args.user).await?;
    let (id, name) = (user.iam_id.unwrap_or_default(), user.user_id.unwrap_or_else(|| args.user.clone()));
    if !args.force && !terminal::confirm(&format!("Remove {name} ({id}) from the account?"), "`-f`")? {
        return Err(Failure::new("Nobody was removed.", "Answer `y`, or give `-f`, to remove the user."));
    }
    session.call(async |c: &Client| c.remove_user(&account, &id, None).await).await?;
    if args.common.is_json() {
        return output::json(&json!({ "iam_id": id, "user_id": name, "state": "removed" }));
    }
    args.common.ok()?;
    args.common.remark(&format!("{name} is removed."))
}

pub async fn accept(args: AcceptArgs) -> Result<(), Failure> {
    let session = Session::load()?;
    let body = AcceptRequest { account_id: Some(args.account.clone()) };
    session.call(async |c: &Client| c.accept(&body).await).await?;
    let account = choose(&all(&session).await?, &args.account)?;
    if args.common.is_json() {
        return output::json(&json!({ "account_id": account.id, "name": account.name, "state": "ACTIVE" }));
    }
    args.common.ok()?;
    args.common.remark(&format!(
        "You are a member of {}. Work on it with 'boatyard target -c {}'.",
        account.label(),
        account.id
    ))
}

/// The user that a person means by a user name or an IAM ID.
pub(in crate::commands) async fn named(session: &Session, account: &str, user: &str) -> Result<UserProfile, Failure> {
    let by_name = users(session, account, Some(user)).await?.into_iter().next();
    let found = match by_name {
        Some(found) => Some(found),
        None => users(session, account, None).await?.into_iter().find(|known| known.iam_id.as_deref() == Some(user)),
    };
    found.ok_or_else(|| Failure::new(format!("The account has no user {user:?}."), "List them with `boatyard account users`."))
}

/// All users of an account, or the one of that user name.
async fn users(session: &Session, account: &str, name: Option<&str>) -> Result<Vec<UserProfile>, Failure> {
    let mut all = Vec::new();
    let mut start: Option<String> = None;
    loop {
        let page =
            session.call(async |c: &Client| c.list_users(account, start.as_deref(), None, None, None, name).await).await?;
        all.extend(page.resources);
        let next = page.next_url.as_deref().and_then(start_of);
        if next.is_none() || next == start {
            return Ok(all);
        }
        start = next;
    }
}
