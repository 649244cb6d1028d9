//! `/_boatyard/faults` and `/_boatyard/scenarios`.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, Request, State};
use axum::response::Response;
use axum::routing::{delete, get};
use boatyard_api::ops;
use boatyard_core::clock::rfc3339_ms;
use boatyard_fleet::{Fault, FaultError, Scenario, scenarios};
use http::StatusCode;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::{administer, parse, refuse};
use crate::app::App;
use crate::problem::Problem;
use crate::respond;

pub(super) fn router() -> Router<Arc<App>> {
    Router::new()
        .route("/_boatyard/faults", get(list).post(add).delete(clear))
        .route("/_boatyard/faults/{id}", delete(remove))
        .route("/_boatyard/scenarios", get(scenarios_list).post(scenario_start))
}

async fn list(State(app): State<Arc<App>>, request: Request) -> Response {
    administer(app, request, async |app, _| Ok(faults(StatusCode::OK, app, &app.fleet.faults_list().await?))).await
}

async fn add(State(app): State<Arc<App>>, request: Request) -> Response {
    administer(app, request, async |app, body| {
        let fault = app.fleet.fault_add(parse(body)?, &operations()).await?;
        Ok(respond::json(StatusCode::CREATED, &view(&fault, app.clock.now())))
    })
    .await
}

async fn remove(State(app): State<Arc<App>>, Path(id): Path<String>, request: Request) -> Response {
    administer(app, request, async |app, _| {
        app.fleet.fault_remove(&id).await?;
        Ok(respond::empty(StatusCode::NO_CONTENT))
    })
    .await
}

async fn clear(State(app): State<Arc<App>>, request: Request) -> Response {
    administer(app, request, async |app, _| {
        let removed = app.fleet.faults_clear().await?;
        Ok(respond::json(StatusCode::OK, &json!({ "removed": removed })))
    })
    .await
}

async fn scenarios_list(State(app): State<Arc<App>>, request: Request) -> Response {
    administer(app, request, async |_, _| {
        let shown = |scenario: &Scenario| {
            let effects: Vec<_> = scenario.faults.iter().map(|fault| fault.effect.kind()).collect();
            let takes: Vec<_> = scenario.takes.iter().map(String::as_str).chain(["for_seconds"]).collect();
            json!({ "name": scenario.name, "summary": scenario.summary, "parameters": takes, "effects": effects })
        };
        Ok(respond::json(StatusCode::OK, &scenarios().iter().map(shown).collect::<Vec<_>>()))
    })
    .await
}

async fn scenario_start(State(app): State<Arc<App>>, request: Request) -> Response {
    administer(app, request, async |app, body| {
        let added = app.fleet.scenario_start(&parse(body)?, &operations()).await?;
        Ok(faults(StatusCode::CREATED, app, &added))
    })
    .await
}

/// All operations of the contract, by service and ID.
fn operations() -> Vec<(&'static str, &'static str)> {
    ops::SERVICES.iter().flat_map(|service| service.operations).map(|operation| (operation.service, operation.id)).collect()
}

fn faults(status: StatusCode, app: &App, faults: &[Fault]) -> Response {
    let now = app.clock.now();
    respond::json(status, &faults.iter().map(|fault| view(fault, now)).collect::<Vec<_>>())
}

/// A fault as it is shown. Members without a value are left out.
fn view(fault: &Fault, now: Timestamp) -> Value {
    let Fault { id, scenario, target, effect, times, hits, last_hit_at, probability, starts_at, expires_at, created_at } =
        fault;
    let date = |at: &Option<Timestamp>| at.map(rfc3339_ms);
    let members = json!({
        "id": id,
        "state": fault.state(now).as_str(),
        "scenario": (!scenario.is_empty()).then_some(scenario),
        "target": target,
        "effect": effect,
        "times": times,
        "hits": hits,
        "last_hit_at": date(last_hit_at),
        "probability": probability,
        "starts_at": rfc3339_ms(*starts_at),
        "expires_at": date(expires_at),
        "created_at": rfc3339_ms(*created_at),
    });
    let Value::Object(members) = members else { return members };
    Value::Object(members.into_iter().filter(|(_, value)| !value.is_null()).collect::<Map<_, _>>())
}

impl From<FaultError> for Problem {
    fn from(error: FaultError) -> Self {
        match error {
            FaultError::Fleet(error) => error.into(),
            FaultError::NotFound(_) => Self::new(StatusCode::NOT_FOUND, "E0404", "General", error.to_string()),
            FaultError::UnknownOperation { .. }
            | FaultError::UnknownCode { .. }
            | FaultError::UnknownScenario { .. }
            | FaultError::Invalid(_) => refuse(error.to_string()),
        }
    }
}
