//! `boatyard serve`.

use std::io::{self, IsTerminal as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use secrecy::SecretString;
use tokio::signal;
use tracing_subscriber::EnvFilter;

use super::provider::ProviderArgs;
use crate::failure::Failure;
use crate::local::{self, Credentials};
use crate::server::{self, Config, Pace, Retention, Running};
use crate::{output, terminal};

/// Exit code of a process that SIGINT ended.
const INTERRUPTED: i32 = 130;

#[derive(clap::Args, Debug)]
pub struct Args {
    /// Address and port, for HTTPS and plain HTTP alike
    #[arg(long, env = "BOATYARD_LISTEN", value_name = "ADDRESS", default_value = "127.0.0.1:7443")]
    listen: SocketAddr,
    /// Where state, certificates and credentials.json are kept [default: ~/.local/share/boatyard]
    #[arg(long, env = "BOATYARD_DATA_DIR", value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// PostgreSQL database, for several replicas; without it the state is in the data directory
    #[arg(long, env = "BOATYARD_DATABASE_URL", value_name = "URL", hide_env_values = true)]
    database_url: Option<SecretString>,
    /// File of the keys that secrets in the database are sealed under, base64 of 32 bytes each, one a line: the first seals, all open
    /// (or BOATYARD_ENCRYPTION_KEY) [default: encryption.key in the data directory]
    #[arg(long, env = "BOATYARD_ENCRYPTION_KEY_FILE", value_name = "FILE")]
    encryption_key_file: Option<PathBuf>,
    /// Age at which the key that signs tokens is replaced, in days; 0 keeps it
    #[arg(long, env = "BOATYARD_SIGNING_KEY_DAYS", value_name = "DAYS", default_value_t = 30)]
    signing_key_days: u32,
    /// Requests that one identity may send in a second; 0: any number
    #[arg(long, env = "BOATYARD_REQUESTS_PER_SECOND", value_name = "N", default_value_t = 0)]
    requests_per_second: u32,
    /// Token requests that one client address may send in a second; 0: any number
    #[arg(long, env = "BOATYARD_TOKEN_REQUESTS_PER_SECOND", value_name = "N", default_value_t = 0)]
    token_requests_per_second: u32,
    /// Proxy that is believed when it says where a request comes from (X-Forwarded-For): an address or a network, such as 10.0.0.0/8;
    /// may be repeated
    #[arg(long = "trusted-proxy", env = "BOATYARD_TRUSTED_PROXY", value_name = "CIDR", value_delimiter = ',', value_parser = server::network)]
    trusted_proxies: Vec<server::IpNet>,
    /// Days for which events of the audit trail are kept; 0 keeps them for good
    #[arg(long, env = "BOATYARD_AUDIT_DAYS", value_name = "DAYS", default_value_t = 90)]
    audit_days: u32,
    /// The most events of the audit trail that are kept; 0 keeps all
    #[arg(long, env = "BOATYARD_AUDIT_EVENTS", value_name = "N", default_value_t = 1_000_000)]
    audit_events: u32,
    /// How long clusters take to change
    #[arg(long, env = "BOATYARD_PACE", value_enum, value_name = "PACE", default_value = "fast")]
    pace: Pace,
    /// Folder with documents that replace those of the built-in catalog: locations.json, flavors.json, versions.json, ...
    #[arg(long, env = "BOATYARD_CATALOG", value_name = "DIR")]
    catalog: Option<PathBuf>,
    /// Address that clients use, if it is not the one listened on
    #[arg(long, env = "BOATYARD_PUBLIC_URL", value_name = "URL")]
    public_url: Option<String>,
    /// File that declares accounts, networks and clusters which are to be there (see `boatyard fixture`)
    #[arg(long, env = "BOATYARD_FIXTURE", value_name = "FILE")]
    fixture: Option<PathBuf>,
    #[command(flatten)]
    provider: ProviderArgs,
    /// Form of the log on standard error (BOATYARD_LOG sets its level: error, warn, info, debug)
    #[arg(long, env = "BOATYARD_LOG_FORMAT", value_enum, value_name = "FORMAT", default_value = "human")]
    log_format: LogFormat,
    /// End when standard input ends: for programs that start a server and must not leave one behind
    #[arg(long)]
    die_with_stdin: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    Human,
    Json,
}

pub async fn run(args: Args) -> Result<(), Failure> {
    log_to_stderr(args.log_format, "info");
    let mut stop = Signals::listen()?;
    let running = server::start(Config {
        listen: args.listen,
        data_dir: args.data_dir.unwrap_or_else(local::default_data_dir),
        database_url: args.database_url,
        encryption_keys: encryption_keys(args.encryption_key_file.as_deref())?,
        signing_key_days: args.signing_key_days,
        requests_per_second: args.requests_per_second,
        token_requests_per_second: args.token_requests_per_second,
        trusted_proxies: args.trusted_proxies,
        retention: Retention { days: args.audit_days, events: args.audit_events },
        apikey: apikey_of_environment(),
        pace: args.pace.into(),
        catalog_dir: args.catalog,
        public_url: args.public_url,
        fixture: args.fixture.as_deref().map(server::fixture).transpose()?,
        provider: args.provider.read()?,
    })
    .await?;
    if args.log_format == LogFormat::Human {
        output::print(&welcome(&running)?)?;
    }
    tokio::select! {
        () = stop.wait() => {}
        () = end_of_stdin(), if args.die_with_stdin => {}
    }
    if args.log_format == LogFormat::Human {
        terminal::note("Stopping; press Ctrl-C again to end at once.");
    }
    end(running, &mut stop).await;
    Ok(())
}

/// Until nothing more can come from standard input.
async fn end_of_stdin() {
    // An error means the same as the end: whoever held the other side is gone.
    let _ = tokio::io::copy(&mut tokio::io::stdin(), &mut tokio::io::sink()).await;
}

/// The first administrator's key, where the person who starts the server wants to choose it.
fn apikey_of_environment() -> Option<SecretString> {
    std::env::var("BOATYARD_APIKEY").ok().filter(|k| !k.is_empty()).map(SecretString::from)
}

/// The keys of a file or of the environment.
fn encryption_keys(file: Option<&Path>) -> Result<Option<SecretString>, Failure> {
    let given = std::env::var("BOATYARD_ENCRYPTION_KEY").ok().filter(|key| !key.is_empty());
    match (file, given) {
        (Some(_), Some(_)) => Err(Failure::usage(
            "Encryption keys come from a file and from BOATYARD_ENCRYPTION_KEY.",
            "Give one of them; a file may hold several keys.",
        )),
        (Some(file), None) => {
            let text = std::fs::read_to_string(file).map_err(|e| Failure::file("read", file, &e))?;
            Ok(Some(SecretString::from(text)))
        }
        (None, given) => Ok(given.map(SecretString::from)),
    }
}

pub fn log_to_stderr(format: LogFormat, default_level: &str) {
    let filter = EnvFilter::try_from_env("BOATYARD_LOG").unwrap_or_else(|_| EnvFilter::new(default_level));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    // It is set once for each process; should somebody have done so, theirs holds.
    let _ = match format {
        LogFormat::Human => log.with_ansi(io::stderr().is_terminal()).try_init(),
        LogFormat::Json => log.json().flatten_event(true).try_init(),
    };
}

/// What a person needs to know of a server that has just been started.
fn welcome(running: &Running) -> Result<String, Failure> {
    let (endpoint, file) = (running.endpoint(), running.credentials_file());
    let data_dir = file.parent().unwrap_or(Path::new("."));
    let ca_file = Credentials::read(data_dir)?.ca_file;
    let login = if data_dir == local::default_data_dir() {
        "boatyard login".to_owned()
    } else {
        format!("boatyard login --data-dir {}", data_dir.display())
    };
    let pairs = output::pairs(&[
        ("Endpoint", Some(endpoint.to_owned())),
        ("CA certificate", ca_file.map(|p| p.display().to_string())),
        ("Credentials", Some(file.display().to_string())),
        ("Log in with", Some(login)),
        ("API reference", Some(format!("{endpoint}/global/swagger-global-api/"))),
    ]);
    Ok(format!("Boatyard is serving. Press Ctrl-C to stop.\n\n{pairs}\n"))
}

/// Stops the server in good order; a signal meanwhile ends the process at once.
pub async fn end(running: Running, stop: &mut Signals) {
    tokio::select! {
        () = running.shutdown() => {}
        () = stop.wait() => std::process::exit(INTERRUPTED),
    }
}

/// SIGINT (Ctrl-C) and SIGTERM.
pub struct Signals {
    #[cfg(unix)]
    terminate: signal::unix::Signal,
    #[cfg(unix)]
    interrupt: signal::unix::Signal,
}

impl Signals {
    /// From here on signals do not end the process by themselves.
    #[cfg(unix)]
    pub fn listen() -> Result<Self, Failure> {
        use signal::unix::{SignalKind, signal};

        let listen =
            |kind| signal(kind).map_err(|e| Failure::new(format!("Cannot listen for signals: {e}"), "Look at `ulimit -a`."));
        Ok(Self { terminate: listen(SignalKind::terminate())?, interrupt: listen(SignalKind::interrupt())? })
    }

    #[cfg(not(unix))]
    pub fn listen() -> Result<Self, Failure> {
        Ok(Self {})
    }

    /// Until the next one.
    #[cfg(unix)]
    pub async fn wait(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }

    #[cfg(not(unix))]
    pub async fn wait(&mut self) {
        // Without Ctrl-C there is no other way to ask, so an error here may end the wait as well.
        let _ = signal::ctrl_c().await;
    }
}
