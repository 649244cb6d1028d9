//! `boatyard iam sessions`, `session-end`.

use boatyard_sdk::Session;
use boatyard_sdk::iam_token::Client;
use boatyard_sdk::iam_token::types;
use serde_json::json;

use crate::commands::account::{self, users};
use crate::failure::Failure;
use crate::output::{self, Common};
use crate::terminal;

#[derive(clap::Args, Debug)]
pub struct ListArgs {
    /// User name (e-mail address) or IAM ID of another user of the selected account
    #[arg(long, value_name = "USER")]
    user: Option<String>,
    #[command(flatten)]
    common: Common,
}

#[derive(clap::Args, Debug)]
pub struct EndArgs {
    /// ID of the session, which `iam sessions` shows
    #[arg(value_name = "SESSION")]
    session: String,
    /// Do not ask
    #[arg(short = 'f', long)]
    force: bool,
    #[command(flatten)]
    common: Common,
}

pub async fn list(args: ListArgs) -> Result<(), Failure> {
    let session = Session::load()?;
    let iam_id = match &args.user {
        Some(user) => users::named(&session, &account::selected(&session)?, user).await?.iam_id,
        None => None,
    };
    let sessions = sessions(&session, iam_id.as_deref()).await?;
    if args.common.is_json() {
        return output::json(&sessions);
    }
    args.common.ok()?;
    let rows = sessions.into_iter().map(|s| {
        let mark = if s.current { "*" } else { "" };
        // Long names of grants end with what tells them apart.
        let grant = s.grant_type.rsplit(':').next().unwrap_or_default().to_owned();
        [s.id, s.account_id.unwrap_or_default(), s.client_id, grant, s.created_at, s.used_at, mark.to_owned()]
    });
    output::print(&output::table(["ID", "Account ID", "Client", "Login", "Begun", "Used", "Current"], rows.collect()))
}

pub async fn end(args: EndArgs) -> Result<(), Failure> {
    let session = Session::load()?;
    let id = &args.session;
    if !args.force && !terminal::confirm(&format!("End the session {id}?"), "`-f`")? {
        return Err(Failure::new("No session was ended.", "Answer `y`, or give `-f`, to end the session."));
    }
    session.call(async |c: &Client| c.delete_session(id).await).await?;
    if args.common.is_json() {
        return output::json(&json!({ "id": id, "state": "ended" }));
    }
    args.common.ok()?;
    args.common.remark(&format!("The session {id} is over."))
}

/// All pages.
async fn sessions(session: &Session, iam_id: Option<&str>) -> Result<Vec<types::Session>, Failure> {
    let mut all = Vec::new();
    let mut start: Option<String> = None;
    loop {
        let page = session.call(async |c: &Client| c.list_sessions(None, iam_id, None, start.as_deref()).await).await?;
        all.extend(page.sessions);
        let next = page.next.as_deref().and_then(|next| account::query_of(next, "start"));
        if next.is_none() || next == start {
            return Ok(all);
        }
        start = next;
    }
}
