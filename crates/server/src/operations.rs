//! Binds handlers to the operations of the contract, so that no path is written twice.
//!
//! An operation without a handler answers 501 in its service's error form. `contract/unbuilt.txt` lists those, and a test
//! holds the list and the bindings together.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, HttpBody as _};
use axum::extract::rejection::RawPathParamsRejection;
use axum::extract::{RawPathParams, Request, State};
use axum::response::Response;
use axum::routing::{MethodFilter, MethodRouter, on};
use boatyard_api::{Access, Method, Operation, ops};
use boatyard_iam::Caller;
use bytes::Bytes;
use futures::FutureExt as _;
use http::{HeaderMap, HeaderValue, StatusCode, header, request};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};

use crate::app::App;
use crate::audit::{Arrived, Seen};
use crate::call::{Call, RequestId};
use crate::problem::{Context, Form, Problem};
use crate::{audit, authenticate, faults};

/// The largest request body, in bytes. The largest a client has reason to send is a few kilobytes.
pub const BODY_LIMIT: usize = 1024 * 1024;
/// How much of a body that is too large is taken before the connection is closed, in bytes.
const DRAIN_LIMIT: usize = 16 * 1024 * 1024;
/// And for how long.
pub(crate) const DRAIN_TIMEOUT: Duration = Duration::from_secs(3);
/// How long a client may take to send its body.
pub const BODY_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a handler may take.
pub const HANDLER_TIMEOUT: Duration = Duration::from_secs(60);

type Answer = Pin<Box<dyn Future<Output = Result<Response, Problem>> + Send>>;
type Handler = Arc<dyn Fn(Call) -> Answer + Send + Sync>;

/// Which handler serves which operation.
#[derive(Default)]
pub struct Bindings {
    handlers: HashMap<(&'static str, &'static str), Handler>,
}

impl std::fmt::Debug for Bindings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.handlers.keys()).finish()
    }
}

impl Bindings {
    /// Serves `operation` with `handler`.
    ///
    /// # Panics
    /// If the operation is served already; that is a mistake in this crate, seen at the first start.
    #[must_use]
    pub fn bind<F, R>(mut self, operation: &'static Operation, handler: F) -> Self
    where
        F: Fn(Call) -> R + Send + Sync + 'static,
        R: Future<Output = Result<Response, Problem>> + Send + 'static,
    {
        let handler: Handler = Arc::new(move |call| Box::pin(handler(call)));
        let before = self.handlers.insert((operation.service, operation.id), handler);
        assert!(before.is_none(), "{}/{} is bound twice", operation.service, operation.id);
        self
    }

    /// Whether `operation` has a handler.
    #[must_use]
    pub fn has(&self, operation: &Operation) -> bool {
        self.handlers.contains_key(&(operation.service, operation.id))
    }

    /// Routes for every operation of the contract.
    pub fn into_router(self) -> Router<Arc<App>> {
        let unbuilt: Handler = Arc::new(|call| Box::pin(std::future::ready(Err(unbuilt(call.operation)))));
        let mut routes: HashMap<String, MethodRouter<Arc<App>>> = HashMap::new();
        for operation in ops::SERVICES.iter().flat_map(|s| s.operations).copied() {
            let handler = self.handlers.get(&(operation.service, operation.id)).unwrap_or(&unbuilt);
            for path in paths(operation) {
                let handler = Arc::clone(handler);
                let serve = move |State(app): State<Arc<App>>, parameters: PathParameters, request: Request| {
                    let handler = Arc::clone(&handler);
                    audit::to_the_end(operation, serve(app, operation, handler, parameters, request))
                };
                let form = Form::of(operation);
                let wrong_method =
                    move |State(app): State<Arc<App>>, request: Request| async move { wrong_method(&app, form, &request) };
                let route = routes.remove(&path).unwrap_or_else(|| MethodRouter::new().fallback(wrong_method));
                routes.insert(path, route.merge(on(filter(&operation.method), serve)));
            }
        }
        routes.into_iter().fold(Router::new(), |router, (path, route)| router.route(&path, route))
    }
}

/// The paths of an operation as routes: with and, for the container service, without the `/global` prefix; without a trailing
/// slash, which is taken off every request. Parameters are named by position, since the router wants one name for one place.
fn paths(operation: &Operation) -> Vec<String> {
    let mut position = 0;
    let path: Vec<_> = operation
        .path
        .trim_end_matches('/')
        .split('/')
        .map(|segment| match segment.starts_with('{') {
            true => {
                position += 1;
                format!("{{p{position}}}")
            }
            false => segment.to_owned(),
        })
        .collect();
    let path = path.join("/");
    match path.strip_prefix("/global/") {
        Some(bare) => vec![format!("/{bare}"), path],
        None => vec![path],
    }
}

/// Names of the parameters in an operation's path, in order.
fn parameter_names(operation: &'static Operation) -> impl Iterator<Item = &'static str> {
    operation.path.split('/').filter_map(|s| s.strip_prefix('{')?.strip_suffix('}'))
}

fn filter(method: &Method) -> MethodFilter {
    MethodFilter::try_from(method.clone()).expect("the contract uses the standard methods only")
}

/// Values of the parameters in a path, or that they are no text once their escapes are undone.
type PathParameters = Result<RawPathParams, RawPathParamsRejection>;

/// One request of one operation: read whole, authenticated, handed to the handler, answered and counted.
async fn serve(
    app: Arc<App>,
    operation: &'static Operation,
    handler: Handler,
    parameters: PathParameters,
    request: Request,
) -> Response {
    let started = app.clock.now();
    let timer = Instant::now();
    let (mut parts, body) = request.into_parts();
    let request_id = RequestId::of_extensions(&parts.extensions);
    let form = Form::of(operation);
    let values: Result<Vec<_>, _> =
        parameters.map(|found| parameter_names(operation).zip(found.iter().map(|(_, value)| value.to_owned())).collect());
    let arrived = Arrived::of(operation, &mut parts, values.as_deref().unwrap_or_default());
    let user_agent = parts.headers.get(header::USER_AGENT).cloned();
    #[cfg(feature = "validate-answers")]
    let path = parts.uri.path().to_owned();
    let result = match values {
        Ok(values) => answer(&app, operation, handler, values, parts, body, request_id.clone()).await,
        Err(_) => Err(refuse(form, StatusCode::BAD_REQUEST, "The path holds escapes that are not UTF-8 text.".to_owned())),
    };
    let code = result.as_ref().err().map(|problem| problem.code);
    app.limits.refused(operation, arrived.origin.address.as_ref(), code);
    let response = result.unwrap_or_else(|problem| {
        let user_agent = user_agent.as_ref().and_then(|v| v.to_str().ok()).unwrap_or_default();
        let ended = app.clock.now();
        let context = Context { operation: Some(operation), started, ended, user_agent, public_url: &app.public_url };
        problem.into_response(form, &request_id, &context)
    });
    app.metrics.answered(Some(operation), response.status(), timer.elapsed());
    // What a fault makes up is meant to be wrong.
    #[cfg(feature = "validate-answers")]
    let response = match response.headers().contains_key(crate::faults::HEADER) {
        true => response,
        false => crate::validate::checked(operation, &path, response).await,
    };
    arrived.record(&app, response, code).await
}

async fn answer(
    app: &Arc<App>,
    operation: &'static Operation,
    handler: Handler,
    path: Vec<(&'static str, String)>,
    parts: request::Parts,
    body: Body,
    request_id: RequestId,
) -> Result<Response, Problem> {
    let (form, seen) = (Form::of(operation), Seen::of_extensions(&parts.extensions));
    app.limits.address(operation, parts.extensions.get())?;
    let caller = match operation.public {
        true => None,
        false => {
            let caller = authenticate::caller(app, &parts.headers, form).await?;
            seen.caller(&caller);
            app.limits.identity(&caller.iam_id, form)?;
            Some(authorize(operation, &path, caller)?)
        }
    };
    let body = read(&parts.headers, body, form).await?;
    seen.body(&body);
    let query = parts.uri.query().unwrap_or_default().to_owned();
    // No name or ID holds a NUL, and not every database can.
    if query.contains("%00") || path.iter().any(|(_, value): &(_, String)| value.contains('\0')) {
        return Err(refuse(form, StatusCode::BAD_REQUEST, "The path or the query holds a NUL character.".to_owned()));
    }
    let headers = parts.headers;
    let call = Call { app: Arc::clone(app), operation, headers, body, request_id, query, path, caller, kubeconfig_age: 0 };
    faults::around(call, async |call| handle(&handler, call).await).await
}

/// The gate before every handler: the caller has what the operation needs, as far as that can be told without looking at what the
/// request is about.
fn authorize(operation: &Operation, path: &[(&'static str, String)], caller: Caller) -> Result<Caller, Problem> {
    let caller = caller.acting(operation.access.action());
    let checked = match operation.access {
        Access::Open => return Ok(caller),
        Access::Account(action) => caller.permit_account(action),
        Access::Resource(action) => caller.permit_somewhere(action),
        Access::Own(_) => Ok(()),
    };
    // A token is for one account; whatever the path says of another is not the caller's business.
    let named = path.iter().find(|(name, _)| *name == "account_id").map(|(_, account)| account.as_str());
    let foreign = named.is_some_and(|named| caller.account_id.as_deref() != Some(named));
    match checked {
        Ok(()) if !foreign => Ok(caller),
        _ => Err(authenticate::forbidden(operation, operation.access.action())),
    }
}

/// The handler's answer, or that it failed or took too long.
async fn handle(handler: &Handler, call: Call) -> Result<Response, Problem> {
    let (operation, form) = (call.operation, Form::of(call.operation));
    let handled = AssertUnwindSafe(handler(call)).catch_unwind();
    match tokio::time::timeout(HANDLER_TIMEOUT, handled).await {
        Ok(Ok(result)) => result,
        // A mistake in this program; the client is told as of any other failure, and its other requests go on.
        Ok(Err(panic)) => {
            let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
            Err(Problem::internal(form, format_args!("{} panicked: {}", operation.id, text.unwrap_or("-"))))
        }
        Err(_) => Err(Problem::internal(form, format_args!("{} took longer than {HANDLER_TIMEOUT:?}", operation.id))),
    }
}

/// The whole body, within the limits of size and time.
pub(crate) async fn read(headers: &HeaderMap, mut body: Body, form: Form) -> Result<Bytes, Problem> {
    let mut large = body.size_hint().lower() > BODY_LIMIT as u64;
    if !large {
        match tokio::time::timeout(BODY_TIMEOUT, Limited::new(&mut body, BODY_LIMIT).collect()).await {
            Ok(Ok(collected)) => return Ok(collected.to_bytes()),
            Ok(Err(error)) if error.is::<LengthLimitError>() => large = true,
            Ok(Err(_)) => {
                let text = "The request body ended early. Send it again.".to_owned();
                return Err(refuse(form, StatusCode::BAD_REQUEST, text));
            }
            Err(_) => {}
        }
    }
    if !large {
        let text = format!("The request body did not arrive within {} seconds. Send it again.", BODY_TIMEOUT.as_secs());
        return Err(refuse(form, StatusCode::REQUEST_TIMEOUT, text));
    }
    // A client that waits to be told to go on need not send it. Any other may be sending still, and would not read an answer on a
    // connection that was closed under its hands.
    if !headers.contains_key(header::EXPECT) {
        tokio::spawn(tokio::time::timeout(DRAIN_TIMEOUT, drain(body)));
    }
    let text = format!("The request body is larger than {BODY_LIMIT} bytes. Send a smaller one.");
    Err(refuse(form, StatusCode::PAYLOAD_TOO_LARGE, text))
}

/// Takes the rest of a body that is too large, up to a limit.
pub(crate) async fn drain(mut body: Body) {
    let mut taken = BODY_LIMIT;
    while let Some(Ok(frame)) = body.frame().await {
        taken += frame.data_ref().map_or(0, Bytes::len);
        if taken > DRAIN_LIMIT {
            return;
        }
    }
}

/// A request that could not be read.
fn refuse(form: Form, status: StatusCode, text: String) -> Problem {
    let code = match form {
        Form::Containers => "E0011",
        Form::Token => "BXNIM0109E",
        Form::Management => "invalid_request",
    };
    Problem::new(status, code, "General", text)
}

/// Tells the client under which ID its request stands in the log.
pub(crate) fn echo(response: &mut Response, request_id: &RequestId) {
    // An ID is visible ASCII, so it always is a header value.
    if let Ok(value) = HeaderValue::from_str(request_id.as_str()) {
        response.headers_mut().insert("x-request-id", value.clone());
        response.headers_mut().insert("transaction-id", value);
    }
}

fn unbuilt(operation: &Operation) -> Problem {
    let code = match Form::of(operation) {
        Form::Containers => "G0501",
        Form::Token => "BXNIM0990E",
        Form::Management => "not_implemented",
    };
    let text = format!("Boatyard does not serve the operation {} yet.", operation.id);
    Problem::new(StatusCode::NOT_IMPLEMENTED, code, "General", text)
        .recovery("The operations that are served stand in the API reference: /global/swagger-global-api/")
}

/// A path of the contract with a method it does not have.
fn wrong_method(app: &App, form: Form, request: &Request) -> Response {
    let request_id = RequestId::of_extensions(request.extensions());
    let code = match form {
        Form::Containers => "G0405",
        Form::Token => "BXNIM0060E",
        Form::Management => "method_not_allowed",
    };
    let problem = Problem::new(StatusCode::METHOD_NOT_ALLOWED, code, "General", "HTTP 405 Method Not Allowed");
    let now = app.clock.now();
    let context = Context { operation: None, started: now, ended: now, user_agent: "", public_url: &app.public_url };
    let response = problem.into_response(form, &request_id, &context);
    app.metrics.answered(None, response.status(), Duration::ZERO);
    response
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// The drift test: every operation of the contract is either bound or listed as not built, never both.
    #[test]
    fn every_operation_is_either_bound_or_listed_as_unbuilt() {
        let bindings = crate::handlers::bindings();
        let listed: BTreeSet<_> = include_str!("../../../contract/unbuilt.txt")
            .lines()
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
            .map(str::to_owned)
            .collect();
        let all: Vec<_> = ops::SERVICES.iter().flat_map(|s| s.operations).collect();
        let missing: BTreeSet<_> = all.iter().filter(|o| !bindings.has(o)).map(|o| format!("{}/{}", o.service, o.id)).collect();
        let unlisted: Vec<_> = missing.difference(&listed).collect();
        let stale: Vec<_> = listed.difference(&missing).collect();
        assert!(unlisted.is_empty(), "neither bound nor in contract/unbuilt.txt: {unlisted:?}");
        assert!(stale.is_empty(), "in contract/unbuilt.txt, but bound or not in the contract: {stale:?}");
    }

    #[test]
    fn serves_the_container_service_with_and_without_its_prefix() {
        assert_eq!(paths(&ops::containers::RemoveCluster), ["/v1/clusters/{p1}", "/global/v1/clusters/{p1}"]);
        assert_eq!(paths(&ops::iam_identity::ListServiceIds), ["/v1/serviceids"]);
        let names: Vec<_> = parameter_names(&ops::containers::RemoveWorkerPoolZone).collect();
        assert_eq!(names, ["idOrName", "poolidOrName", "zoneid"]);
    }
}
