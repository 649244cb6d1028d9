//! Faults on requests, around the handler of an operation: before its work, after it, or on what it hands out.

use std::sync::Arc;
use std::time::Duration;

use axum::response::Response;
use boatyard_api::Operation;
use boatyard_core::secret::SecretString;
use boatyard_fleet::{Effect, Fault, HttpError, Target};
use http::{HeaderValue, StatusCode, header};
use serde_json::Value;
use tracing::info;

use crate::app::App;
use crate::authenticate;
use crate::call::{Call, RequestId, pairs};
use crate::problem::{Form, Problem, Struck};
use crate::respond;

/// Names the faults that struck a request, so that nobody looks for the mistake elsewhere.
pub(crate) const HEADER: &str = "x-boatyard-fault";
/// How old the tokens in an expired kubeconfig are, in seconds: an hour past the date of the longer lived of the two.
const KUBECONFIG_AGE: i64 = boatyard_iam::KUBE_REFRESH_TOKEN_SECONDS + 3600;
/// Operations that answer a kubeconfig.
const KUBECONFIGS: [&str; 3] = ["GetClusterConfig", "GetKubeconfig", "ApplyRBACAndGetKubeconfig"];
/// What a request that gets no answer is counted as; nobody reads it.
const NO_ANSWER: u16 = 444;

/// Where the parts of a fault's target stand in requests: in the path, the query or the body.
const CLUSTER: [&str; 4] = ["idOrName", "cluster", "clusterId", "clusterID"];
const POOL: [&str; 5] = ["poolidOrName", "workerpool", "workerPoolID", "poolID", "pool"];
const WORKER: [&str; 3] = ["workerId", "workerID", "worker"];

/// The connection is to be closed without an answer; stands in the extensions of a response.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("closed without an answer, as a fault orders")]
pub(crate) struct Dropped;

/// Does the work of a call, unless a fault is in the way of it or of its answer.
pub(crate) async fn around(
    mut call: Call,
    work: impl AsyncFnOnce(Call) -> Result<Response, Problem>,
) -> Result<Response, Problem> {
    let faults = call.app.fleet.request_faults().await?;
    if faults.is_empty() {
        return work(call).await;
    }
    // Matched before the work: afterwards a cluster may be gone, and with it what its name and ID are.
    let (after, before): (Vec<_>, Vec<_>) =
        matching(&call, faults).await?.into_iter().partition(|fault| fault.effect.is_after_the_work());
    let mut strikes = Strikes::of(&call);
    for fault in before {
        if let Some(instead) = strikes.before(&mut call, &fault).await? {
            return strikes.mark(instead);
        }
    }
    let mut answer = work(call).await;
    // Only work that was done can have its answer lost.
    if answer.as_ref().is_ok_and(|response| response.status().is_success()) {
        for fault in after {
            if strikes.strike(&fault).await? {
                answer = instead(&fault.effect);
                break;
            }
        }
    }
    strikes.mark(answer)
}

/// The faults that strike one request.
struct Strikes {
    app: Arc<App>,
    operation: &'static str,
    request_id: RequestId,
    struck: Vec<String>,
}

impl Strikes {
    fn of(call: &Call) -> Self {
        let (app, request_id) = (Arc::clone(&call.app), call.request_id.clone());
        Self { app, operation: call.operation.id, request_id, struck: Vec::new() }
    }

    /// Has a fault do what it does before the work, and returns the answer if there is to be no work.
    async fn before(&mut self, call: &mut Call, fault: &Fault) -> Result<Option<Result<Response, Problem>>, Problem> {
        if let Effect::SessionEnded {} | Effect::RefreshTokenExpired {} = fault.effect {
            let Some(refusal) = ended(call, fault).await? else { return Ok(None) };
            return Ok(self.strike(fault).await?.then_some(Err(refusal)));
        }
        if !self.strike(fault).await? {
            return Ok(None);
        }
        match &fault.effect {
            // The world outside waits, and it goes by its own clock.
            Effect::Latency { ms } => tokio::time::sleep(Duration::from_millis(ms.unsigned_abs())).await,
            Effect::ExpiredKubeconfig {} => call.kubeconfig_age = KUBECONFIG_AGE,
            effect => return Ok(Some(instead(effect))),
        }
        Ok(None)
    }

    /// Whether a fault that matches strikes, too.
    async fn strike(&mut self, fault: &Fault) -> Result<bool, Problem> {
        let strikes = self.app.fleet.fault_strike(fault).await?;
        if strikes {
            let (operation, effect) = (self.operation, fault.effect.kind());
            info!(fault = %fault.id, request_id = %self.request_id, operation, effect, "fault struck");
            self.struck.push(fault.id.clone());
        }
        Ok(strikes)
    }

    /// The answer with the names of the faults that made it what it is.
    fn mark(self, answer: Result<Response, Problem>) -> Result<Response, Problem> {
        if self.struck.is_empty() {
            return answer;
        }
        let faults = self.struck.join(", ");
        match answer {
            Ok(mut response) => {
                mark(&mut response, &faults);
                Ok(response)
            }
            Err(mut problem) => {
                problem.struck.get_or_insert_default().faults = faults;
                Err(problem)
            }
        }
    }
}

/// Names faults in the header of a response.
pub(crate) fn mark(response: &mut Response, faults: &str) {
    // IDs are letters, digits and a dash, so they always are a header value.
    if let Ok(value) = HeaderValue::from_str(faults) {
        response.headers_mut().insert(HEADER, value);
    }
}

/// The answer instead of the handler's.
fn instead(effect: &Effect) -> Result<Response, Problem> {
    let Effect::HttpError(HttpError { status, code, description, kind, recovery, retry_after, .. }) = effect else {
        let status = StatusCode::from_u16(NO_ANSWER).unwrap_or(StatusCode::BAD_GATEWAY);
        let mut response = respond::empty(status);
        response.extensions_mut().insert(Dropped);
        return Ok(response);
    };
    // Its order was checked: a status between 400 and 599.
    let status = StatusCode::from_u16(*status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    if code.is_empty() {
        return Ok(page(status, description, *retry_after));
    }
    let mut problem = Problem::new(status, "", "", description.as_str()).retry_after(retry_after.unwrap_or(0));
    problem.struck = Some(Box::new(Struck { code: Some((code.clone(), kind.clone())), ..Struck::default() }));
    problem.recovery = (!recovery.is_empty()).then(|| recovery.as_str().into());
    Err(problem)
}

/// A page such as the network in front of the service answers when it cannot reach it.
fn page(status: StatusCode, title: &str, retry_after: Option<u32>) -> Response {
    let title = title.replace('&', "&amp;").replace('<', "&lt;");
    let text = format!(
        "<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n<center><h1>{title}</h1></center>\r\n<hr>\r\n</body>\r\n</html>\r\n"
    );
    let mut response = respond::with_type(status, "text/html", text);
    if let Some(seconds) = retry_after {
        response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
    }
    response
}

/// The refusal of a token that was issued before its session ended, as if it had come to its date.
async fn ended(call: &Call, fault: &Fault) -> Result<Option<Problem>, Problem> {
    let since = fault.starts_at.as_millisecond();
    if let (Effect::SessionEnded {}, Some(caller)) = (&fault.effect, &call.caller)
        && caller.claims["iat"].as_i64().is_some_and(|seconds| seconds * 1000 < since)
    {
        return Ok(Some(authenticate::refused(Form::of(call.operation), &boatyard_iam::Error::TokenExpired)));
    }
    if call.operation.service != "iam-token" {
        return Ok(None);
    }
    let Some((_, token)) = call.form().into_iter().find(|(name, _)| name == "refresh_token") else { return Ok(None) };
    let issued_at = call.app.iam.refresh_token_issued_at(&SecretString::from(token)).await?;
    Ok(issued_at.filter(|at| *at < since).map(|_| boatyard_iam::Error::RefreshTokenExpired.into()))
}

/// The faults whose target a call is.
async fn matching(call: &Call, faults: Vec<Fault>) -> Result<Vec<Fault>, Problem> {
    let mut matching = Vec::new();
    let mut named = None;
    for fault in faults {
        if !operation_matches(&fault, call.operation) {
            continue;
        }
        let Target { cluster, pool, worker, .. } = &fault.target;
        if cluster.is_some() || pool.is_some() || worker.is_some() {
            let named = named.get_or_insert_with(|| Named::of(call));
            if !named.matches(call, &fault.target).await? {
                continue;
            }
        }
        matching.push(fault);
    }
    Ok(matching)
}

fn operation_matches(fault: &Fault, operation: &Operation) -> bool {
    if fault.effect == (Effect::ExpiredKubeconfig {}) {
        return operation.service == "containers" && KUBECONFIGS.contains(&operation.id);
    }
    let operations = &fault.target.operations;
    let is_meant = |meant: &String| {
        meant.split_once('/').is_some_and(|(service, id)| service == operation.service && (id == "*" || id == operation.id))
    };
    operations.is_empty() || operations.iter().any(is_meant)
}

/// What a request names, as it names it: by ID or by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Named {
    cluster: Option<String>,
    pool: Option<String>,
    worker: Option<String>,
}

impl Named {
    fn of(call: &Call) -> Self {
        let body = serde_json::from_slice(&call.body).unwrap_or_default();
        Self::find(&call.path, &pairs(&call.query), &body)
    }

    fn find(path: &[(&str, String)], query: &[(String, String)], body: &Value) -> Self {
        let of_body = |names: &[&str]| {
            let members = body.as_object().into_iter().flatten();
            let member = members.into_iter().find(|(name, _)| names.iter().any(|n| n.eq_ignore_ascii_case(name)));
            member.and_then(|(_, value)| value.as_str()).map(str::to_owned)
        };
        let named = |names: &[&str]| {
            let of_path = path.iter().find(|(name, _)| names.contains(name)).map(|(_, value)| value.clone());
            let of_query = || query.iter().find(|(name, _)| names.contains(&name.as_str())).map(|(_, value)| value.clone());
            of_path.or_else(of_query).or_else(|| of_body(names)).filter(|value| !value.is_empty())
        };
        let (cluster, pool) = (named(&CLUSTER), named(&POOL));
        // A create names what it makes: a pool where it says in which cluster, else a cluster with its first pool.
        let first_pool = || body["workerPool"]["name"].as_str().map(str::to_owned);
        let (cluster, pool) = match cluster {
            Some(cluster) => (Some(cluster), pool.or_else(|| of_body(&["name"]))),
            None => (of_body(&["name"]), pool.or_else(first_pool)),
        };
        Self { cluster, pool, worker: named(&WORKER) }
    }

    /// Whether these are what a fault is meant for. A fault may name by ID what the request names otherwise, and the other way round.
    async fn matches(&self, call: &Call, target: &Target) -> Result<bool, Problem> {
        let same = |wanted: &Option<String>, named: &Option<String>| wanted.is_none() || wanted == named;
        if !same(&target.worker, &self.worker) {
            return Ok(false);
        }
        if same(&target.cluster, &self.cluster) && same(&target.pool, &self.pool) {
            return Ok(true);
        }
        let (Some(cluster), Some(caller)) = (&self.cluster, &call.caller) else { return Ok(false) };
        let found = match call.app.fleet.cluster(caller, cluster, None).await {
            Err(boatyard_fleet::Error::ClusterNotFound) => return Ok(false),
            found => found?,
        };
        let is = |wanted: &Option<String>, id: &str, name: &str| wanted.as_deref().is_none_or(|w| w == id || w == name);
        let named_pool = |id: &str, name: &str| self.pool.as_deref().is_some_and(|pool| pool == id || pool == name);
        let in_pool =
            || found.pools.iter().any(|pool| named_pool(&pool.id, &pool.name) && is(&target.pool, &pool.id, &pool.name));
        Ok(is(&target.cluster, &found.id, &found.name) && (same(&target.pool, &self.pool) || in_pool()))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn finds_what_a_request_names_wherever_it_stands() {
        #[rustfmt::skip]
        let cases = [
            (&[("idOrName", "c")][..], "", json!(null), ("c", "", "")),
            (&[("idOrName", "c"), ("poolidOrName", "p")], "", json!({ "state": "resizing" }), ("c", "p", "")),
            (&[("idOrName", "c"), ("workerId", "w")], "", json!(null), ("c", "", "w")),
            (&[], "cluster=c&worker=w", json!(null), ("c", "", "w")),
            (&[], "cluster=c&workerpool=p", json!(null), ("c", "p", "")),
            (&[], "", json!({ "cluster": "c", "workerpool": "p" }), ("c", "p", "")),
            (&[], "", json!({ "Cluster": "c", "workerID": "w" }), ("c", "", "w")),
            (&[], "", json!({ "name": "c", "workerPool": { "name": "p" } }), ("c", "p", "")),
            (&[], "", json!({ "cluster": "c", "name": "p" }), ("c", "p", "")),
            (&[("idOrName", "c")], "", json!({ "name": "p" }), ("c", "p", "")),
            (&[], "cluster=&pool=", json!(["not", "an", "object"]), ("", "", "")),
        ];
        for (path, query, body, (cluster, pool, worker)) in cases {
            let path: Vec<_> = path.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
            let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
            let expected = Named { cluster: some(cluster), pool: some(pool), worker: some(worker) };
            assert_eq!(Named::find(&path, &pairs(query), &body), expected, "{path:?} {query} {body}");
        }
    }
}
