//! `/_boatyard/`: what is not of the imitated API. Health and metrics are open; the rest is for the installation's administrator.

mod audit;
mod faults;
mod state;

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::{get, post};
use boatyard_core::clock::rfc3339_ms;
use boatyard_iam::{NewAccount, NewUser};
use boatyard_store::{Domain, settings};
use http::StatusCode;
use http::request::Parts;
use jiff::SignedDuration;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde_json::json;
use tracing::info;

use crate::app::App;
use crate::audit::Seen;
use crate::call::RequestId;
use crate::problem::{Context, Form, Problem};
use crate::{authenticate, operations, respond};

/// Name of the setting that keeps how far the clock was moved, in milliseconds.
pub(crate) const CLOCK_OFFSET: &str = "clock_offset_ms";
/// The furthest the clock can be moved at once: ten years, in seconds.
const FURTHEST: i64 = 10 * 365 * 24 * 60 * 60;
/// And the latest that it can show, in seconds since the Unix epoch: the year 9000.
const LATEST: i64 = 221_845_392_000;

pub(crate) fn router() -> Router<Arc<App>> {
    Router::new()
        .route("/_boatyard/health", get(health))
        .route("/_boatyard/ready", get(ready))
        .route("/_boatyard/metrics", get(metrics))
        .route("/_boatyard/clock", get(clock_get).post(clock_advance))
        .route("/_boatyard/accounts", post(account_create))
        .route("/_boatyard/users", post(user_provide))
        .route("/_boatyard/signing-keys/rotate", post(signing_key_rotate))
        .merge(audit::router())
        .merge(faults::router())
        .merge(state::router())
}

/// Answers as soon as requests are served.
async fn health() -> Response {
    respond::json(StatusCode::OK, &json!({ "status": "ok", "version": env!("CARGO_PKG_VERSION") }))
}

/// Whether work should be sent here: the database answers, and the server is not being stopped.
async fn ready(State(app): State<Arc<App>>) -> Response {
    let database = async { settings::get(&mut *app.store.read().await?, CLOCK_OFFSET).await }.await;
    if database.is_ok() && !app.stopping() {
        return respond::json(StatusCode::OK, &json!({ "status": "ready" }));
    }
    let reason = if app.stopping() { "the server is being stopped" } else { "the database does not answer" };
    respond::json(StatusCode::SERVICE_UNAVAILABLE, &json!({ "status": "not ready", "reason": reason }))
}

async fn metrics(State(app): State<Arc<App>>) -> Response {
    respond::with_type(StatusCode::OK, "text/plain; version=0.0.4; charset=utf-8", app.metrics.render())
}

async fn clock_get(State(app): State<Arc<App>>, request: Request) -> Response {
    administer(app, request, async |app, _| Ok(clock(app))).await
}

#[derive(Deserialize)]
struct Advance {
    advance_seconds: i64,
}

/// Moves the clock forward. It stays moved after a restart, or tokens and states would jump back.
async fn clock_advance(State(app): State<Arc<App>>, request: Request) -> Response {
    administer(app, request, async |app, body| {
        let Advance { advance_seconds } = parse(body)?;
        if !(0..=FURTHEST).contains(&advance_seconds) {
            return Err(refuse(format!("'advance_seconds' must be between 0 and {FURTHEST}; the clock only moves forward.")));
        }
        if app.clock.now().as_second().saturating_add(advance_seconds) > LATEST {
            return Err(refuse(
                "The clock would pass the year 9000, near where calendars end. A reset sets it back.".to_owned(),
            ));
        }
        let offset = app.clock.advance(SignedDuration::from_secs(advance_seconds));
        let saved = async {
            let mut tx = app.store.write(Domain::Sessions).await?;
            settings::set(&mut tx, CLOCK_OFFSET, &offset.to_string()).await?;
            tx.commit().await
        };
        saved.await.map_err(|error| Problem::internal(Form::Containers, error))?;
        app.fleet.wake();
        app.clusters.wake();
        app.sweep.notify_one();
        info!(advance_seconds, "clock moved forward");
        Ok(clock(app))
    })
    .await
}

fn clock(app: &App) -> Response {
    let body = json!({ "now": rfc3339_ms(app.clock.now()), "offset_seconds": app.clock.offset_ms() / 1000 });
    respond::json(StatusCode::OK, &body)
}

#[derive(Deserialize)]
struct Account {
    name: String,
    username: String,
    #[serde(default)]
    given_name: String,
    #[serde(default)]
    family_name: String,
    #[serde(default)]
    password: Option<SecretString>,
    #[serde(default)]
    federated: bool,
}

/// Makes one more account with an owner, an API key and networks to create clusters in.
async fn account_create(State(app): State<Arc<App>>, request: Request) -> Response {
    administer(app, request, async |app, body| {
        let Account { name, username, given_name, family_name, password, federated } = parse(body)?;
        let new = NewAccount { name, username: username.clone(), given_name, family_name, password, federated };
        let created = app.iam.account_create(new).await?;
        let group = app.iam.default_resource_group(&created.account_id).await?;
        app.fleet.networks_ensure(&created.account_id, &group.id).await?;
        let mut body = json!({
            "account_id": created.account_id,
            "iam_id": created.iam_id,
            "username": username,
            "apikey": created.apikey.expose_secret(),
        });
        if let Some(password) = &created.password {
            body["password"] = json!(password.expose_secret());
        }
        Ok(respond::json(StatusCode::CREATED, &body))
    })
    .await
}

#[derive(Deserialize)]
struct User {
    username: String,
    #[serde(default)]
    given_name: String,
    #[serde(default)]
    family_name: String,
    #[serde(default)]
    password: Option<SecretString>,
    #[serde(default)]
    federated: bool,
}

/// Makes a user, or gives one who exists, such as one who was invited, another name and password.
async fn user_provide(State(app): State<Arc<App>>, request: Request) -> Response {
    administer(app, request, async |app, body| {
        let User { username, given_name, family_name, password, federated } = parse(body)?;
        let user = app.iam.user_provide(NewUser { username, given_name, family_name, password, federated }).await?;
        let mut body = json!({ "iam_id": user.iam_id, "username": user.username });
        if let Some(password) = &user.password {
            body["password"] = json!(password.expose_secret());
        }
        Ok(respond::json(if user.made { StatusCode::CREATED } else { StatusCode::OK }, &body))
    })
    .await
}

/// From now on new tokens are signed with a new key; those signed before stay valid.
async fn signing_key_rotate(State(app): State<Arc<App>>, request: Request) -> Response {
    administer(app, request, async |app, _| {
        let kid = app.iam.rotate_signing_key().await?;
        info!(kid, "signing key rotated");
        Ok(respond::json(StatusCode::OK, &json!({ "kid": kid })))
    })
    .await
}

/// Runs `work` for a request of the administrator, with its body.
async fn administer(
    app: Arc<App>,
    request: Request,
    work: impl AsyncFnOnce(&App, &[u8]) -> Result<Response, Problem>,
) -> Response {
    let (parts, body) = request.into_parts();
    let result = async {
        authorise(&app, &parts).await?;
        let body = operations::read(&parts.headers, body, Form::Containers).await?;
        work(&app, &body).await
    };
    result.await.unwrap_or_else(|problem| answer(&app, &parts.extensions, problem))
}

/// Lets only the administrator through.
async fn authorise(app: &App, parts: &Parts) -> Result<(), Problem> {
    let caller = authenticate::caller(app, &parts.headers, Form::Management).await;
    let caller = caller.map_err(|problem| Problem { code: "A0003", kind: "Authentication", ..problem })?;
    Seen::of_extensions(&parts.extensions).caller(&caller);
    if caller.iam_id == app.iam.administrator().await?.iam_id {
        return Ok(());
    }
    let text =
        "Only the administrator of this installation may do this. Its API key stands in credentials.json in the data folder.";
    Err(Problem::new(StatusCode::FORBIDDEN, "A0008", "Authentication", text)
        .recovery("To log in with it on the server's machine, run 'boatyard login --data-dir <data folder>'."))
}

fn answer(app: &App, extensions: &http::Extensions, problem: Problem) -> Response {
    let now = app.clock.now();
    let context = Context { operation: None, started: now, ended: now, user_agent: "", public_url: &app.public_url };
    problem.into_response(Form::Containers, &RequestId::of_extensions(extensions), &context)
}

fn parse<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Problem> {
    if body.windows(6).any(|window| window == br"\u0000") {
        return Err(refuse("The request body holds a NUL character.".to_owned()));
    }
    serde_json::from_slice(body).map_err(|error| refuse(format!("The request body is not valid: {error}.")))
}

fn refuse(text: String) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "E0011", "BadRequest", text)
}
