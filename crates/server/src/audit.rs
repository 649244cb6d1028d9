//! The trail of who did what: which requests write an event, and what it tells.
//!
//! A request that may change something, one that is refused for want of rights, and one that is answered with credentials write an event.
//! It is on disk before the answer is sent. Only refusals of nobody known may be dropped, when they come in floods.

mod actions;
mod event;
mod writer;

use std::sync::{Arc, Mutex, PoisonError};

use axum::body::{Body, HttpBody as _};
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use boatyard_api::Operation;
use boatyard_iam::{Form, Identity};
use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode, header};
use tokio::sync::Semaphore;

use crate::app::App;
use crate::call::RequestId;
use crate::transport::ClientAddress;
use event::{Facts, Initiator};

pub use writer::Trail;

/// Bodies that are larger are not looked into for identifiers, in bytes.
const LOOKED_INTO: usize = 64 * 1024;
/// Failed logins whose account is looked for at a time; the rest of a flood goes without.
static LOOKING: Semaphore = Semaphore::const_new(4);

/// What becomes known of a request on its way to the answer. Stands in the extensions of the request.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen(Arc<Mutex<Told>>);

#[derive(Debug, Default)]
struct Told {
    caller: Option<Initiator>,
    body: Bytes,
}

impl Seen {
    /// The one of this request.
    pub fn of_extensions(extensions: &http::Extensions) -> Self {
        extensions.get::<Self>().cloned().unwrap_or_default()
    }

    pub fn caller(&self, caller: &Identity) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).caller = Some(Initiator::of(caller));
    }

    pub fn body(&self, body: &Bytes) {
        if body.len() <= LOOKED_INTO {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).body = body.clone();
        }
    }

    fn take(&self) -> Told {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Where a request comes from, as its event tells.
#[derive(Clone, Debug)]
pub(crate) struct Origin {
    request_id: RequestId,
    pub address: Option<ClientAddress>,
    user_agent: String,
}

impl Origin {
    pub fn of(extensions: &http::Extensions, headers: &HeaderMap) -> Self {
        let user_agent = headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
        Self { request_id: RequestId::of_extensions(extensions), address: extensions.get().copied(), user_agent }
    }

    fn facts(self, app: &App) -> Facts<'static> {
        Facts {
            at: app.clock.now(),
            request_id: self.request_id.as_str().to_owned(),
            address: self.address.map(|address| address.0),
            user_agent: self.user_agent,
            ..Facts::default()
        }
    }
}

/// A request as it arrived, kept for its event.
#[derive(Debug)]
pub(crate) struct Arrived {
    operation: &'static Operation,
    seen: Seen,
    path: Vec<(&'static str, String)>,
    query: String,
    pub origin: Origin,
    /// The client of a `Basic` header.
    client: &'static str,
}

impl Arrived {
    pub fn of(operation: &'static Operation, parts: &mut http::request::Parts, path: &[(&'static str, String)]) -> Self {
        let seen = Seen::default();
        parts.extensions.insert(seen.clone());
        Self {
            operation,
            seen,
            path: path.to_vec(),
            query: parts.uri.query().unwrap_or_default().to_owned(),
            origin: Origin::of(&parts.extensions, &parts.headers),
            client: event::client_of(&parts.headers),
        }
    }

    /// Writes the event of the request, if it has one, before its answer is sent. `code` is the service's of a refusal.
    pub async fn record(self, app: &Arc<App>, response: Response, code: Option<&'static str>) -> Response {
        let (operation, status) = (self.operation, response.status());
        let login = actions::is_login(operation);
        let denied =
            matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) || (login && status == StatusCode::BAD_REQUEST);
        let done =
            actions::mutates(operation) && !matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::NOT_IMPLEMENTED);
        let shown = actions::hands_out_credentials(operation) && status.is_success();
        if !(denied || done || shown) {
            return response;
        }
        let Told { caller, body } = self.seen.take();
        let (response, answered) = looked_into(response).await;
        let mut facts = Facts {
            action: actions::of(operation).to_owned(),
            operation: operation.id,
            status,
            code,
            initiator: caller.unwrap_or_default(),
            ..self.origin.facts(app)
        };
        facts.identifiers(&self.path, &self.query, &body, &answered);
        if login {
            let form: Vec<(String, String)> = serde_urlencoded::from_bytes(&body).unwrap_or_default();
            if !facts.login(&form, self.client, &answered) {
                return response;
            }
            if denied {
                failed_login(Arc::clone(app), facts, Form::new(form));
                return response;
            }
        }
        hand_in(app, facts).await;
        response
    }
}

/// Writes the event of a login that failed, with the account whose business it is. The answer does not wait for that: it must not tell by
/// its time who is known.
fn failed_login(app: Arc<App>, mut facts: Facts<'static>, form: Form) {
    let Ok(permit) = LOOKING.try_acquire() else { return app.audit.offer(facts.event()) };
    tokio::spawn(async move {
        facts.initiator.account_id = app.iam.login_account(&form).await.unwrap_or_default();
        app.audit.offer(facts.event());
        drop(permit);
    });
}

/// Writes an event; a refusal of nobody known is not waited for.
async fn hand_in(app: &App, facts: Facts<'_>) {
    let refused_nobody = facts.initiator.id.is_empty() && facts.status.is_client_error();
    let event = facts.event();
    match refused_nobody {
        true => app.audit.offer(event),
        false => app.audit.write(event).await,
    }
}

/// What somebody did on a page for people.
#[derive(Debug)]
pub(crate) struct Deed<'a> {
    pub action: &'static str,
    /// What stands for the operation: the path of the page.
    pub page: &'static str,
    pub status: StatusCode,
    /// The service's code of a refusal.
    pub code: Option<&'a str>,
    /// Empty if it is not known who it was.
    pub iam_id: &'a str,
    /// The user name, or what was typed as one.
    pub name: &'a str,
}

/// Writes the event of a deed.
pub(crate) async fn on_page(app: &App, origin: Origin, deed: Deed<'_>) {
    let name = if deed.iam_id.is_empty() { event::typed_name(deed.name) } else { deed.name.to_owned() };
    let initiator = Initiator { id: deed.iam_id.to_owned(), name, credential: "user", ..Initiator::default() };
    let (action, operation) = (deed.action.to_owned(), deed.page);
    hand_in(app, Facts { action, operation, status: deed.status, code: deed.code, initiator, ..origin.facts(app) }).await;
}

/// What somebody did to log in to a cluster, or out of it.
#[derive(Debug)]
pub(crate) struct ClusterDeed<'a> {
    pub action: &'static str,
    /// What stands for the operation.
    pub operation: &'static str,
    pub status: StatusCode,
    /// Empty if it is not known who it was.
    pub iam_id: &'a str,
    /// The user name, or what was given as one.
    pub name: &'a str,
    /// The account of the cluster, and the cluster.
    pub account_id: &'a str,
    pub crn: &'a str,
}

/// Writes the event of a deed at a cluster.
pub(crate) async fn at_cluster(app: &App, origin: Origin, deed: ClusterDeed<'_>) {
    let name = if deed.iam_id.is_empty() { event::typed_name(deed.name) } else { deed.name.to_owned() };
    let account_id = Some(deed.account_id.to_owned());
    let initiator = Initiator { id: deed.iam_id.to_owned(), name, account_id, credential: "user", ..Initiator::default() };
    let mut facts = Facts {
        action: deed.action.to_owned(),
        operation: deed.operation,
        status: deed.status,
        initiator,
        ..origin.facts(app)
    };
    facts.asked.insert("crn".to_owned(), deed.crn.into());
    hand_in(app, facts).await;
}

/// Does the work of a request to its end even if its client goes away, so that nothing is done without an event.
pub(crate) async fn to_the_end<F>(operation: &'static Operation, work: F) -> Response
where
    F: Future<Output = Response> + Send + 'static,
{
    if actions::mutates(operation) { finished(work).await } else { work.await }
}

/// The same for whatever is not an operation of the contract.
pub(crate) async fn uninterrupted(request: Request, next: Next) -> Response {
    finished(next.run(request)).await
}

async fn finished(work: impl Future<Output = Response> + Send + 'static) -> Response {
    match tokio::spawn(work).await {
        Ok(response) => response,
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        // The server is being stopped.
        Err(_) => crate::respond::empty(StatusCode::SERVICE_UNAVAILABLE),
    }
}

/// Events of the installation's administration, `/_boatyard/`.
pub(crate) async fn administration(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let place = request.uri().path().split('/').nth(2).unwrap_or_default();
    let changes = match (request.method(), place) {
        (&Method::POST, "clock") => "boatyard.clock.update",
        (&Method::POST, "accounts") => "boatyard.account.create",
        (&Method::POST, "users") => "boatyard.user.create",
        (&Method::POST, "signing-keys") => "boatyard.signing-key.rotate",
        (&Method::POST, "reset") => "boatyard.state.reset",
        (&Method::POST, "snapshot") => "boatyard.state.restore",
        (&Method::GET, "snapshot") => "boatyard.state.export",
        (&Method::POST, "faults") => "boatyard.fault.create",
        (&Method::DELETE, "faults") => "boatyard.fault.delete",
        (&Method::POST, "scenarios") => "boatyard.scenario.start",
        // What only reads is told of if it is refused.
        _ => "",
    };
    let action = match changes {
        "" => format!("boatyard.{}.read", place.strip_suffix('s').unwrap_or(place)),
        action => action.to_owned(),
    };
    let (origin, seen) = (Origin::of(request.extensions(), request.headers()), Seen::default());
    let mut request = request;
    request.extensions_mut().insert(seen.clone());
    let response = next.run(request).await;
    let status = response.status();
    if changes.is_empty() && !matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
        return response;
    }
    let mut facts = Facts { action, status, ..origin.facts(&app) };
    facts.initiator = seen.take().caller.unwrap_or_default();
    // What the administrator does to the installation is no account's business.
    facts.initiator.account_id = None;
    hand_in(&app, facts).await;
    response
}

/// A response, and what is in it if it is small and there already.
async fn looked_into(response: Response) -> (Response, Bytes) {
    let small = response.body().size_hint().exact().is_some_and(|length| length <= LOOKED_INTO as u64);
    if !small {
        return (response, Bytes::new());
    }
    let (parts, body) = response.into_parts();
    // A body of known length that a handler made is in memory, so it cannot fail.
    let bytes = axum::body::to_bytes(body, LOOKED_INTO).await.unwrap_or_default();
    (Response::from_parts(parts, Body::from(bytes.clone())), bytes)
}
