//! `boatyard audit`: the trail of who did what.

use std::time::Duration;

use boatyard_sdk::Session;
use clap::Subcommand;
use reqwest::Method;
use serde_json::Value;

use crate::failure::Failure;
use crate::output::{self, Common};

/// How often new events are asked for, in a follow.
const PAUSE: Duration = Duration::from_secs(1);
/// Events of one request.
const PAGE: u32 = 500;

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show the newest events, the newest last
    Tail {
        #[command(flatten)]
        filter: Filter,
        /// How many
        #[arg(short = 'n', long = "lines", value_name = "N", default_value_t = 20)]
        lines: u32,
        /// Go on with new events as they come
        #[arg(short = 'f', long)]
        follow: bool,
        #[command(flatten)]
        common: Common,
    },
    /// List all events, the newest first
    #[command(visible_alias = "ls")]
    List {
        #[command(flatten)]
        filter: Filter,
        /// The most events; all if not given
        #[arg(long, value_name = "N")]
        limit: Option<u32>,
        #[command(flatten)]
        common: Common,
    },
}

/// Which events.
#[derive(clap::Args, Debug)]
pub struct Filter {
    /// Events of this account; the administrator sees those of all accounts
    #[arg(long, value_name = "ACCOUNT")]
    account_id: Option<String>,
    /// Events from this time on, such as 2026-01-31T12:00:00Z
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Events before this time
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Events of this action, or of all that begin so: 'iam-identity.*'
    #[arg(long, value_name = "ACTION")]
    action: Option<String>,
    /// Only what was done, or only what was refused or failed
    #[arg(long, value_name = "OUTCOME", value_parser = ["success", "failure"])]
    outcome: Option<String>,
    /// Events of this user, service ID or trusted profile: IAM ID or name
    #[arg(long, value_name = "WHO")]
    initiator: Option<String>,
}

impl Filter {
    /// The path of a page, which begins `at` some place.
    fn path(&self, limit: u32, at: Option<(&str, &str)>) -> String {
        let given = [
            ("account_id", &self.account_id),
            ("since", &self.since),
            ("until", &self.until),
            ("action", &self.action),
            ("outcome", &self.outcome),
            ("initiator", &self.initiator),
        ];
        let limit = limit.to_string();
        let given = given.into_iter().filter_map(|(name, value)| Some((name, value.as_deref()?)));
        let all = given.chain(at).chain([("limit", limit.as_str())]);
        let all: Vec<_> = all.map(|(name, value)| format!("{name}={}", escaped(value))).collect();
        format!("/_boatyard/audit?{}", all.join("&"))
    }
}

pub async fn run(command: Command) -> Result<(), Failure> {
    let session = Session::load()?;
    match command {
        Command::List { filter, limit, common } => {
            let (events, _) = newest(&session, &filter, limit.unwrap_or(u32::MAX)).await?;
            if common.is_json() {
                return output::json(&events);
            }
            common.ok()?;
            output::print(&table(&events))
        }
        Command::Tail { filter, lines, follow, common } => {
            let (mut events, after) = newest(&session, &filter, lines).await?;
            events.reverse();
            show(&events, &common)?;
            if follow { go_on(&session, &filter, after, &common).await } else { Ok(()) }
        }
    }
}

/// At most so many of the newest events, the newest first, and the place to follow from.
async fn newest(session: &Session, filter: &Filter, most: u32) -> Result<(Vec<Value>, String), Failure> {
    let (mut events, mut after, mut next) = (Vec::new(), String::new(), None::<String>);
    loop {
        let missing = most.saturating_sub(u32::try_from(events.len()).unwrap_or(u32::MAX));
        let at = next.as_deref().map(|next| ("start", next));
        let page = session.call_path(Method::GET, &filter.path(missing.clamp(1, PAGE), at), None::<&Value>).await?;
        if after.is_empty() {
            text(&page, "/after").clone_into(&mut after);
        }
        let found = page["events"].as_array().cloned().unwrap_or_default();
        events.extend(found.into_iter().take(missing as usize));
        next = page["next"].as_str().map(str::to_owned);
        if next.is_none() || events.len() >= most as usize {
            return Ok((events, after));
        }
    }
}

/// Until Ctrl-C.
async fn go_on(session: &Session, filter: &Filter, mut after: String, common: &Common) -> Result<(), Failure> {
    loop {
        let page = session.call_path(Method::GET, &filter.path(PAGE, Some(("after", &after))), None::<&Value>).await?;
        text(&page, "/after").clone_into(&mut after);
        let events = page["events"].as_array().map(Vec::as_slice).unwrap_or_default();
        show(events, common)?;
        if events.len() < PAGE as usize {
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// One event a line, so that what follows can be read line by line.
fn show(events: &[Value], common: &Common) -> Result<(), Failure> {
    let lines = events.iter().map(|event| if common.is_json() { format!("{event}\n") } else { format!("{}\n", line(event)) });
    output::print(&lines.collect::<String>())
}

fn line(event: &Value) -> String {
    let [time, who, action, outcome, target] = row(event);
    format!("{time}  {who}  {action}  {outcome}  {target}")
}

fn table(events: &[Value]) -> String {
    output::table(["Time", "Who", "Action", "Outcome", "Target"], events.iter().map(row).collect())
}

fn row(event: &Value) -> [String; 5] {
    let first = |pointers: [&str; 3]| pointers.into_iter().map(|pointer| text(event, pointer)).find(|text| !text.is_empty());
    let outcome = match text(event, "/outcome") {
        "success" => "success".to_owned(),
        outcome => format!("{outcome} ({})", event["reason"]["reasonCode"]),
    };
    [
        text(event, "/eventTime").to_owned(),
        first(["/initiator/name", "/initiator/id", "/initiator/host/address"]).unwrap_or_default().to_owned(),
        text(event, "/action").to_owned(),
        outcome,
        first(["/target/name", "/target/id", "/target/typeURI"]).unwrap_or_default().to_owned(),
    ]
}

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

fn escaped(text: &str) -> String {
    let keep = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~');
    text.bytes().map(|byte| if keep(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_line_says_who_did_what_to_what_and_how_it_went() {
        let event = json!({
            "eventTime": "2026-01-01T00:00:00.00+0000", "action": "containers-kubernetes.cluster.delete", "outcome": "failure",
            "initiator": { "id": "IBMid-1", "name": "ada@example.com" }, "target": { "id": "c1", "name": "" },
            "reason": { "reasonCode": 403 },
        });
        let expected = "2026-01-01T00:00:00.00+0000  ada@example.com  containers-kubernetes.cluster.delete  failure (403)  c1";
        assert_eq!(line(&event), expected);
    }
}
