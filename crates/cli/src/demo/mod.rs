//! `boatyard demo`: a server, two clusters and a kubeconfig in one go.

mod recipe;
mod steps;

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::commands::serve::{self, LogFormat, Signals};
use crate::demo::steps::Done;
use crate::failure::Failure;
use crate::server::{self, Config, Pace, Running};
use crate::{output, terminal};

const ADDRESS: &str = "127.0.0.1:7443";

/// Start a server, create a VPC cluster and a classic cluster on it, and show how it was done.
///
/// Your own login and kubeconfig are not touched.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// End when everything is done, instead of serving until Ctrl-C
    #[arg(long)]
    exit: bool,
    /// Address and port of the server [default: 127.0.0.1:7443, or a free port if that is taken]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
    /// Where to keep everything [default: a temporary directory, removed at the end]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
}

/// The directory of a demo; a temporary one is removed when this is dropped.
enum Place {
    Kept(PathBuf),
    Temporary(TempDir),
}

pub async fn run(args: Args) -> Result<(), Failure> {
    serve::log_to_stderr(LogFormat::Human, "error");
    let mut stop = Signals::listen()?;
    let place = Place::new(args.data_dir)?;
    let running = start(args.listen, place.path()).await?;
    let done = tokio::select! {
        done = steps::run(&running, place.path()) => done,
        () = stop.wait() => Err(Failure::new("The demo was interrupted.", "Run `boatyard demo` again to see all of it.")),
    };
    let serving = match &done {
        Ok(done) if !args.exit => serve_until_stopped(&running, &place, done, &mut stop).await,
        _ => Ok(()),
    };
    serve::end(running, &mut stop).await;
    serving?;
    let done = done?;
    if args.exit {
        // Told before the recipe, whose lines need the server.
        output::line(&place.left(&done))?;
        output::print(&recipe::text(&done))?;
    }
    Ok(())
}

async fn serve_until_stopped(running: &Running, place: &Place, done: &Done, stop: &mut Signals) -> Result<(), Failure> {
    output::print(&recipe::text(done))?;
    if let Place::Temporary(dir) = place {
        output::line(&format!(
            "\nAll of it is in {} and goes when the demo ends; `--data-dir DIR` keeps it.",
            dir.path().display()
        ))?;
    }
    output::line(&format!("\nServing at {} until you press Ctrl-C.", running.endpoint()))?;
    stop.wait().await;
    terminal::note("Stopping; press Ctrl-C again to end at once.");
    Ok(())
}

async fn start(listen: Option<SocketAddr>, data_dir: &Path) -> Result<Running, Failure> {
    output::line("Starting a server ...")?;
    let listen = listen.unwrap_or_else(usual_or_free);
    // A key of the environment belongs to another server; the demo makes one of its own.
    let options = Config { listen, data_dir: data_dir.to_owned(), pace: Pace::Fast.into(), ..Config::default() };
    server::start(options).await
}

/// The usual address; a free port where something listens on that one already.
fn usual_or_free() -> SocketAddr {
    let usual = SocketAddr::from(([127, 0, 0, 1], 7443));
    debug_assert_eq!(usual.to_string(), ADDRESS);
    match TcpListener::bind(usual) {
        Err(e) if e.kind() == ErrorKind::AddrInUse => SocketAddr::from(([127, 0, 0, 1], 0)),
        // Any other problem is for the server to report.
        _ => usual,
    }
}

impl Place {
    fn new(given: Option<PathBuf>) -> Result<Self, Failure> {
        let failed = |path: &Path, e: std::io::Error| Failure::file("create the directory", path, &e);
        match given {
            Some(path) => {
                std::fs::create_dir_all(&path).map_err(|e| failed(&path, e))?;
                std::path::absolute(&path).map(Self::Kept).map_err(|e| failed(&path, e))
            }
            None => {
                let temporary = tempfile::Builder::new().prefix("boatyard-demo-").tempdir();
                temporary.map(Self::Temporary).map_err(|e| failed(&std::env::temp_dir(), e))
            }
        }
    }

    /// Gives the folder up, and says what there is after `--exit`.
    fn left(self, done: &Done) -> String {
        match self {
            Self::Kept(path) => format!(
                "\nThe server has ended; its folder stays. To run the lines below, start the server again:\n\
                 \n  boatyard serve --data-dir {} --listen {}\n\
                 \n`boatyard demo` without `--exit` keeps serving.",
                recipe::quoted(&path),
                done.endpoint.trim_start_matches("https://"),
            ),
            Self::Temporary(dir) => {
                let path = dir.path().display().to_string();
                // Whatever cannot be removed is in the system's folder for such files.
                let _ = dir.close();
                format!(
                    "\nThe server has ended and its folder {path} is gone, so the lines below are to read, not to run.\n\
                     `boatyard demo` without `--exit` keeps serving; `--data-dir DIR` keeps the folder."
                )
            }
        }
    }

    fn path(&self) -> &Path {
        match self {
            Self::Kept(path) => path,
            Self::Temporary(dir) => dir.path(),
        }
    }
}
