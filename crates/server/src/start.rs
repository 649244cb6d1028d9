//! Starting a server, and stopping it.

use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware;
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use boatyard_core::{Clock, Sealer};
use boatyard_fleet::{Catalog, Fleet};
use boatyard_iam::{FirstSecrets, FirstStart, Iam};
use boatyard_kube::Clusters;
use boatyard_kube::world::Worlds;
use boatyard_runtime::VirtualRuntime;
use boatyard_store::sealing::Keys;
use boatyard_store::{Domain, Store, audit, installation_secrets, settings};
use http::{StatusCode, Uri};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::app::App;
use crate::audit::Trail;
use crate::call::RequestId;
use crate::config::Retention;
use crate::federation::Provider;
use crate::fixture::{self, Parts};
use crate::kube::{ClientAuthority, StoreJournal, StoreWorlds};
use crate::limits::Limits;
use crate::metrics::Metrics;
use crate::problem::{Context, Form, Problem};
use crate::{Config, Error, admin, files, handlers, oauth, pages, reference, respond, tls, transport};

const CREDENTIALS_FILE: &str = "credentials.json";
/// Secrets of the administrator until they stand in the credentials file.
const DRAFT_FILE: &str = "first-start.json";
const CA_FILE: &str = "ca.pem";
/// How often metrics are folded, and how often expired sessions and what is long gone are removed.
const UPKEEP: Duration = Duration::from_secs(5);
const SWEEP: Duration = Duration::from_secs(600);

/// A running server. Dropping it leaves it running; end it with [`Running::shutdown`].
#[derive(Debug)]
pub struct Running {
    app: Arc<App>,
    address: SocketAddr,
    credentials_file: PathBuf,
    stop: CancellationToken,
    server: JoinHandle<()>,
    background: Vec<JoinHandle<()>>,
    /// Holds the data folder for this process.
    claim: File,
}

/// Starts a server; once this returns, it answers.
///
/// # Errors
/// When the data folder, the address or the database cannot be used.
pub async fn start(config: Config) -> Result<Running, Error> {
    let catalog = match &config.catalog_dir {
        Some(dir) => Catalog::read(dir)?,
        None => Catalog::built_in(),
    };
    let claim = files::claim(&config.data_dir)?;
    let store = open_store(&config).await?;
    let clock = Clock::ahead_by(clock_offset(&store).await?);
    let listener = TcpListener::bind(config.listen).await;
    let listener = listener.map_err(|source| Error::Listen { address: config.listen, source })?;
    let address = listener.local_addr().map_err(|source| Error::Listen { address: config.listen, source })?;
    let public_url = public_url(config.public_url.as_deref(), address)?;
    let provider = config.provider.clone().map(|provider| Provider::new(provider, &public_url)).transpose()?;

    let host = public_url.parse::<Uri>().ok().and_then(|uri| uri.host().map(str::to_owned)).unwrap_or_default();
    let client_authority = Arc::new(ClientAuthority::open(&store).await?);
    let identity = tls::identity(&config.data_dir, &tls::names(address.ip(), &host), client_authority.asking())?;
    let iam = Iam::open(store.clone(), clock.clone(), format!("{public_url}/identity")).await?;
    let fleet = Fleet::new(
        store.clone(),
        clock.clone(),
        Arc::new(VirtualRuntime::new(config.pace, catalog.timings(config.pace))),
        catalog,
    );
    let credentials_file = config.data_dir.join(CREDENTIALS_FILE);
    administrator(&iam, &config, &public_url).await?;
    let (audit, trail_task) = Trail::start(store.clone());
    let (journal, journal_task) = StoreJournal::start(store.clone());
    let worlds =
        Arc::new(StoreWorlds::new(store.clone(), fleet.clone(), iam.clone(), public_url.clone(), Arc::clone(&identity.ca_pem)));
    let key = service_account_key(&store).await?;
    let clusters = Clusters::new(Arc::new(journal), Arc::clone(&worlds) as Arc<dyn Worlds>, clock.clone(), key);
    let stop = CancellationToken::new();
    let app = Arc::new(App {
        limits: Limits::new(&clock, config.requests_per_second, config.token_requests_per_second),
        audit,
        store,
        clock,
        iam,
        fleet,
        public_url,
        ca_pem: identity.ca_pem,
        data_dir: config.data_dir,
        metrics: Metrics::new(),
        clusters,
        worlds,
        client_authority: Arc::clone(&client_authority),
        fixture: config.fixture,
        provider,
        stopping: AtomicBool::new(false),
        stop: stop.clone(),
        sweep: Notify::new(),
    });
    app.fleet.upgrade().await?;
    known_state(&app).await?;
    let server = {
        let proxies = config.trusted_proxies.into();
        let tls = transport::Tls { config: identity.config, clients: client_authority };
        tokio::spawn(transport::serve(listener, tls, router(&app), proxies, app.metrics.clone(), stop.clone()))
    };
    let mut background = background(&app, config.signing_key_days, config.retention);
    background.push(trail_task);
    background.extend(journal_task);
    info!(endpoint = %app.public_url, %address, pace = ?config.pace, version = env!("CARGO_PKG_VERSION"), "serving");
    Ok(Running { app, address, credentials_file, stop, server, background, claim })
}

/// What a server has from the start and after every reset. Makes only what is missing.
pub(crate) async fn known_state(app: &App) -> Result<(), Error> {
    let administrator = app.iam.administrator().await?;
    let group = app.iam.default_resource_group(&administrator.account_id).await?;
    app.fleet.networks_ensure(&administrator.account_id, &group.id).await?;
    if let Some(fixture) = &app.fixture {
        let parts = Parts { store: &app.store, iam: &app.iam, fleet: &app.fleet, administrator: &administrator };
        fixture::apply(parts, fixture).await?;
    }
    Ok(())
}

/// Writes the administrator's account, which may be another by now, into the credentials file.
pub(crate) fn credentials_account_set(data_dir: &Path, account_id: &str) -> Result<(), Error> {
    let file = data_dir.join(CREDENTIALS_FILE);
    let mut credentials = read_json(&file)?.unwrap_or_else(|| json!({}));
    credentials["account_id"] = json!(account_id);
    files::write(&file, format!("{credentials:#}\n").as_bytes())
}

impl Running {
    /// Scheme, host and port for clients, such as `https://127.0.0.1:7443`.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        &self.app.public_url
    }

    /// Where the server listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The administrator's credentials, as a JSON file readable by its owner only.
    #[must_use]
    pub fn credentials_file(&self) -> &Path {
        &self.credentials_file
    }

    /// PEM file of the authority that signs the server's certificate.
    #[must_use]
    pub fn ca_file(&self) -> PathBuf {
        self.app.data_dir.join(CA_FILE)
    }

    /// Lets requests under way finish, closes the database and gives the data folder back.
    pub async fn shutdown(self) {
        info!("stopping");
        self.app.stop();
        self.stop.cancel();
        if let Err(error) = self.server.await {
            warn!(%error, "the server ended badly");
        }
        self.app.audit.flush().await;
        for task in self.background {
            task.abort();
            // It was told to end wherever it is; steps are idempotent.
            let _ = task.await;
        }
        self.app.store.close().await;
        drop(self.claim);
        info!("stopped");
    }
}

async fn open_store(config: &Config) -> Result<Store, Error> {
    let keys = match &config.encryption_keys {
        Some(text) => Keys::Given(Sealer::parse(text).map_err(Error::EncryptionKeys)?),
        None => Keys::Folder(config.data_dir.clone()),
    };
    match config.database_url.as_ref().map(SecretString::expose_secret) {
        None => Ok(Store::sqlite_with(&config.data_dir, keys).await?),
        Some(url) if url.starts_with("postgres://") || url.starts_with("postgresql://") => {
            Ok(Store::postgres(url, keys).await?)
        }
        Some(_) => Err(Error::DatabaseUrl),
    }
}

/// What tokens of service accounts are signed with: 32 bytes that all replicas share.
async fn service_account_key(store: &Store) -> Result<[u8; 32], Error> {
    let new = SecretString::from(STANDARD.encode(boatyard_core::id::random::<32>()));
    let mut tx = store.write(Domain::Sessions).await?;
    let kept = installation_secrets::ensure(&mut tx, store.sealer(), "kubernetes-service-accounts", &new).await?;
    tx.commit().await?;
    let key = STANDARD.decode(kept.expose_secret()).ok().and_then(|key| key.try_into().ok());
    key.ok_or_else(|| Error::Certificate("the key of service accounts in the database is not one".to_owned()))
}

async fn clock_offset(store: &Store) -> Result<i64, Error> {
    let saved = settings::get(&mut *store.read().await?, admin::CLOCK_OFFSET).await?;
    Ok(saved.and_then(|offset| offset.parse().ok()).unwrap_or(0))
}

fn public_url(given: Option<&str>, address: SocketAddr) -> Result<String, Error> {
    let Some(given) = given else {
        let ip = if address.ip().is_unspecified() {
            "127.0.0.1".to_owned()
        } else {
            SocketAddr::new(address.ip(), 0).ip().to_string()
        };
        let host = if ip.contains(':') { format!("[{ip}]") } else { ip };
        return Ok(format!("https://{host}:{}", address.port()));
    };
    let refused = || Error::PublicUrl(given.to_owned());
    let uri: Uri = given.trim_end_matches('/').parse().map_err(|_| refused())?;
    let plain = matches!(uri.scheme_str(), Some("https" | "http"))
        && uri.authority().is_some()
        && uri.path() == "/"
        && uri.query().is_none();
    if plain { Ok(given.trim_end_matches('/').to_owned()) } else { Err(refused()) }
}

/// The administrator, made if there is none, and the credentials file of this server.
///
/// The secrets are on disk before the administrator is made, so that a crash in between loses nothing: the next start finds them,
/// and uses them or, if the administrator was made with them, keeps them.
async fn administrator(iam: &Iam, config: &Config, public_url: &str) -> Result<(), Error> {
    let draft_file = config.data_dir.join(DRAFT_FILE);
    let draft = read_json(&draft_file)?.and_then(|kept| {
        let text = |name: &str| kept[name].as_str().map(|text| SecretString::from(text.to_owned()));
        Some(FirstSecrets { password: text("password")?, apikey: text("apikey")? })
    });
    let secrets = draft.unwrap_or_else(FirstSecrets::generate);
    if !iam.administrator_exists().await? {
        let text = json!({ "password": secrets.password.expose_secret(), "apikey": secrets.apikey.expose_secret() });
        files::write(&draft_file, text.to_string().as_bytes())?;
    }
    let first = iam.administrator_ensure(config.apikey.clone(), secrets.clone()).await?;

    let file = config.data_dir.join(CREDENTIALS_FILE);
    let login = |password: &SecretString, apikey: &SecretString| {
        let (password, apikey) = (password.expose_secret(), apikey.expose_secret());
        json!({ "username": boatyard_iam::ADMINISTRATOR_NAME, "password": password, "apikey": apikey })
    };
    let mut credentials = match &first {
        FirstStart::Created { password, apikey, .. } => login(password, apikey),
        FirstStart::Existing { .. } if iam.is_administrators_key(&secrets.apikey).await? => {
            login(&secrets.password, &secrets.apikey)
        }
        FirstStart::Existing { .. } => read_json(&file)?.unwrap_or_else(|| {
            warn!("{} is missing; start once with BOATYARD_APIKEY set to have an API key again", file.display());
            json!({})
        }),
    };
    let ca_file = config.data_dir.join(CA_FILE);
    credentials["endpoint"] = json!(public_url);
    credentials["ca_file"] = json!(std::path::absolute(&ca_file).unwrap_or(ca_file));
    credentials["account_id"] = json!(first.account_id());
    if let Some(apikey) = &config.apikey {
        credentials["apikey"] = json!(apikey.expose_secret());
    }
    files::write(&file, format!("{credentials:#}\n").as_bytes())?;
    files::remove(&draft_file)
}

/// A JSON object in a file, or `None` if there is none.
fn read_json(file: &Path) -> Result<Option<Value>, Error> {
    let text = files::read(file)?;
    Ok(text.and_then(|text| serde_json::from_str(&text).ok()).filter(Value::is_object))
}

fn router(app: &Arc<App>) -> Router {
    Router::new()
        .merge(handlers::bindings().into_router())
        .merge(reference::router())
        .merge(
            admin::router()
                .layer(middleware::from_fn_with_state(Arc::clone(app), crate::audit::administration))
                .layer(middleware::from_fn(crate::audit::uninterrupted)),
        )
        .merge(crate::kube::router())
        .merge(pages::router().merge(oauth::router()).layer(middleware::from_fn(crate::audit::uninterrupted)))
        .fallback(not_found)
        .layer(middleware::from_fn_with_state(Arc::clone(app), pages::over_https))
        .with_state(Arc::clone(app))
}

/// A path that nothing is served under.
async fn not_found(State(app): State<Arc<App>>, request: Request) -> Response {
    let form = Form::of_path(request.uri().path());
    let request_id = RequestId::of_extensions(request.extensions());
    let response = if form == Form::Token {
        let problem = Problem::new(StatusCode::NOT_FOUND, "BXNIM0404E", "", "HTTP 404 Not Found");
        let now = app.clock.now();
        let context = Context { operation: None, started: now, ended: now, user_agent: "", public_url: &app.public_url };
        problem.into_response(form, &request_id, &context)
    } else {
        respond::with_type(StatusCode::NOT_FOUND, "text/plain; charset=utf-8", "404 page not found\n")
    };
    app.metrics.answered(None, response.status(), Duration::ZERO);
    response
}

/// Forgets events that are past their time, or too many.
async fn retain(app: &App, retention: Retention) -> boatyard_store::Result<()> {
    let days = i64::from(retention.days) * 24 * 3600 * 1000;
    let before = if days == 0 { i64::MIN } else { app.clock.now().as_millisecond().saturating_sub(days) };
    let most = if retention.events == 0 { i64::MAX } else { i64::from(retention.events) };
    let mut tx = app.store.write(Domain::Audit).await?;
    audit::old_delete(&mut tx, before, most).await?;
    tx.commit().await
}

fn background(app: &Arc<App>, signing_key_days: u32, retention: Retention) -> Vec<JoinHandle<()>> {
    let reconciler = tokio::spawn({
        let fleet = app.fleet.clone();
        async move { fleet.run().await }
    });
    let controllers = tokio::spawn({
        let clusters = app.clusters.clone();
        async move { clusters.run().await }
    });
    let upkeep = tokio::spawn({
        let metrics = app.metrics.clone();
        async move {
            loop {
                tokio::time::sleep(UPKEEP).await;
                metrics.upkeep();
            }
        }
    });
    let sweep = tokio::spawn({
        let app = Arc::clone(app);
        async move {
            let App { iam, fleet, .. } = &*app;
            loop {
                tokio::select! {
                    () = tokio::time::sleep(SWEEP) => {}
                    () = app.sweep.notified() => {}
                }
                if let Err(error) = retain(&app, retention).await {
                    warn!(%error, "old events could not be removed from the trail");
                }
                if let Err(error) = iam.signing_keys_sweep(signing_key_days).await {
                    warn!(%error, "signing keys could not be replaced or forgotten");
                }
                if let Err(error) = fleet.sweep().await {
                    warn!(%error, "workers that are long gone could not be forgotten");
                }
                if let Err(error) = iam.sweep().await {
                    warn!(%error, "expired sessions could not be removed");
                }
            }
        }
    });
    vec![reconciler, controllers, upkeep, sweep]
}
