//! `boatyard fixture`: files for `boatyard serve --fixture`.

use std::path::PathBuf;

use crate::failure::Failure;
use crate::server::{self, Fixture};
use crate::{output, terminal};

#[derive(clap::Subcommand, Debug)]
pub enum Command {
    /// Check a file without a server: it is applied to an empty installation that is thrown away
    Check {
        /// The file
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Print the JSON Schema of fixtures, for editors
    Schema,
}

pub async fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Schema => output::line(&format!("{:#}", Fixture::schema())),
        Command::Check { file } => {
            let fixture = server::fixture(&file)?;
            let dir = tempfile::Builder::new().prefix("boatyard-fixture-").tempdir();
            let dir = dir.map_err(|e| Failure::file("create the directory", &std::env::temp_dir(), &e))?;
            let applied = server::fixture_check(&fixture, dir.path()).await?;
            terminal::note("OK");
            output::line(&format!("In an empty installation: {applied}."))
        }
    }
}
