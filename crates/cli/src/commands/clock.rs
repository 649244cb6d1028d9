//! `boatyard clock`: the server's clock, which tokens, sessions and lifecycles go by.

use boatyard_sdk::Session;
use clap::Subcommand;
use reqwest::Method;
use serde_json::{Value, json};

use crate::failure::Failure;
use crate::output::{self, Common};
use crate::time;

const PATH: &str = "/_boatyard/clock";

#[derive(clap::Args, Debug)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Move the clock forward; it does not go back before `boatyard reset`
    Advance {
        /// How far, as in 90s, 61m, 2h30m or 3d
        #[arg(value_name = "TIME", value_parser = time::seconds)]
        by: i64,
        #[command(flatten)]
        common: Common,
    },
}

pub async fn run(args: Args) -> Result<(), Failure> {
    let session = Session::load()?;
    match args.command {
        None => show(&session.call_path(Method::GET, PATH, None::<&Value>).await?, &args.common),
        Some(Command::Advance { by, common }) => {
            let clock = session.call_path(Method::POST, PATH, Some(&json!({ "advance_seconds": by }))).await?;
            common.ok()?;
            show(&clock, &common)
        }
    }
}

fn show(clock: &Value, common: &Common) -> Result<(), Failure> {
    if common.is_json() {
        return output::json(clock);
    }
    let ahead = match clock["offset_seconds"].as_i64().unwrap_or(0) {
        0 => "by nothing".to_owned(),
        seconds => format!("by {}", time::length(seconds)),
    };
    output::print(&output::pairs(&[("Server time", clock["now"].as_str().map(str::to_owned)), ("Moved forward", Some(ahead))]))
}
