//! `boatyard reset` and `boatyard snapshot`: the whole state of the server.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use boatyard_sdk::{Error, Session};
use clap::Subcommand;
use reqwest::{Body, Method};
use serde_json::Value;
use tempfile::NamedTempFile;

use crate::failure::Failure;
use crate::output::{self, Common};
use crate::terminal;

const SNAPSHOT: &str = "/_boatyard/snapshot";
/// How long the state of a large server may take on its way.
const PATIENCE: Duration = Duration::from_secs(3600);

#[derive(clap::Args, Debug)]
pub struct ResetArgs {
    /// Do not ask
    #[arg(short = 'f', long)]
    force: bool,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Save the whole state to a file that only its owner can read
    Save {
        #[arg(value_name = "FILE")]
        file: PathBuf,
        #[command(flatten)]
        common: Common,
    },
    /// Replace the whole state by that of a file
    Load {
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// Do not ask
        #[arg(short = 'f', long)]
        force: bool,
        #[command(flatten)]
        common: Common,
    },
}

pub async fn reset(args: ResetArgs) -> Result<(), Failure> {
    let session = Session::load()?;
    let question = format!("Delete everything on {} but the administrator?", session.endpoint().url());
    if !args.force && !terminal::confirm(&question, "`-f`")? {
        return Err(Failure::new("Nothing was reset.", "Answer `y`, or give `-f`, to reset the server."));
    }
    let answer = session.call_path(Method::POST, "/_boatyard/reset", None::<&Value>).await?;
    args.common.ok()?;
    if args.common.is_json() {
        return output::json(&answer);
    }
    args.common
        .remark("The server is as it was after its first start. Sessions have ended: log in again with `boatyard login`.")
}

pub async fn snapshot(command: Command) -> Result<(), Failure> {
    let session = Session::load()?;
    match command {
        Command::Save { file, common } => {
            let bytes = save(&session, &file).await?;
            common.ok()?;
            if common.is_json() {
                return output::json(&serde_json::json!({ "file": file, "bytes": bytes }));
            }
            common.remark(&format!(
                "The state is in {} ({bytes} bytes). It holds what logs people in; keep it safe.",
                file.display()
            ))
        }
        Command::Load { file, force, common } => {
            File::open(&file).map_err(|e| Failure::file("read", &file, &e))?;
            let question = format!("Replace everything on {} by {}?", session.endpoint().url(), file.display());
            if !force && !terminal::confirm(&question, "`-f`")? {
                return Err(Failure::new("Nothing was loaded.", "Answer `y`, or give `-f`, to load the snapshot."));
            }
            let answer = load(&session, &file).await?;
            common.ok()?;
            if common.is_json() {
                return output::json(&answer);
            }
            common.remark(
                "The server has the state of the snapshot. Its administrator's API key and password are what they were; log in again with \
                 `boatyard login`.",
            )
        }
    }
}

/// Saves to a file beside the wanted one first: a snapshot that breaks off must not take the place of a good one.
async fn save(session: &Session, file: &Path) -> Result<u64, Failure> {
    let folder = file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let unwritable = |e: &std::io::Error| Failure::file("write", file, e);
    // Temporary files are for their owner only, and stay so under their new name.
    let mut draft = NamedTempFile::new_in(folder).map_err(|e| unwritable(&e))?;
    let patient = async |request: reqwest::RequestBuilder| Ok::<_, Error>(request.timeout(PATIENCE));
    let mut response = session.send_path(Method::GET, SNAPSHOT, patient).await?;
    let mut bytes = 0;
    loop {
        let piece = response.chunk().await.map_err(|e| session.of_transport(&e));
        let piece = piece.map_err(|e| Failure::from(e).during("The snapshot broke off, and nothing was saved"))?;
        let Some(piece) = piece else { break };
        draft.write_all(&piece).map_err(|e| unwritable(&e))?;
        bytes += piece.len() as u64;
    }
    draft.as_file().sync_all().map_err(|e| unwritable(&e))?;
    draft.persist(file).map_err(|e| unwritable(&e.error))?;
    Ok(bytes)
}

async fn load(session: &Session, file: &Path) -> Result<Value, Failure> {
    let build = async |request: reqwest::RequestBuilder| {
        let opened = tokio::fs::File::open(file).await;
        let opened = opened.map_err(|source| Error::File { doing: "read", path: file.to_owned(), source })?;
        Ok(request.timeout(PATIENCE).body(Body::from(opened)))
    };
    let response = session.send_path(Method::POST, SNAPSHOT, build).await?;
    response.json().await.map_err(|e| session.of_transport(&e).into())
}
