//! Workers, v1 and v2.

use axum::response::Response;
use boatyard_api::containers::{
    AddClusterWorkersRequest, ReplaceWorkerRequest, UpdateClusterWorkerRequest, V2RemoveWorkerRequest, VpcReplaceWorkerRequest,
};
use boatyard_api::ops::containers;
use boatyard_fleet::{ClusterWorkers, Error, Provider, WorkerAction, WorkerFilter};
use http::StatusCode;

use super::worker_shapes::WorkerView;
use super::{done, given, of_provider, target};
use crate::call::Call;
use crate::operations::Bindings;
use crate::problem::Problem;
use crate::respond;

pub fn bind(bindings: Bindings) -> Bindings {
    bindings
        .bind(&containers::GetClusterWorkers, v1_workers_list)
        .bind(&containers::AddClusterWorkers, workers_add)
        .bind(&containers::GetWorkers, v1_worker_get)
        .bind(&containers::GetWorkerByID, v1_worker_get_anywhere)
        .bind(&containers::UpdateClusterWorker, worker_do)
        .bind(&containers::RemoveClusterWorker, v1_worker_remove)
        .bind(&containers::GetWorker, |call| v2_worker_get(call, None))
        .bind(&containers::VpcGetWorker, |call| v2_worker_get(call, Some(Provider::VpcGen2)))
        .bind(&containers::ClassicGetWorker, |call| v2_worker_get(call, Some(Provider::Classic)))
        .bind(&containers::GetWorkers1, |call| v2_workers_list(call, None))
        .bind(&containers::VpcGetWorkers, |call| v2_workers_list(call, Some(Provider::VpcGen2)))
        .bind(&containers::ClassicGetWorkers, |call| v2_workers_list(call, Some(Provider::Classic)))
        .bind(&containers::V2RemoveWorker, v2_worker_remove)
        .bind(&containers::ReplaceWorker, worker_replace)
        .bind(&containers::VpcReplaceWorker, vpc_worker_replace)
}

/// `GET /v1/clusters/{idOrName}/workers`
async fn v1_workers_list(call: Call) -> Result<Response, Problem> {
    let ClusterWorkers { cluster, workers } = list(&call, call.path("idOrName"), None).await?;
    let view = WorkerView::new(&cluster, call.app.fleet.catalog());
    let shown: Vec<_> = workers.iter().map(|worker| view.v1(worker)).collect();
    Ok(respond::json(StatusCode::OK, &shown))
}

/// `POST /v1/clusters/{idOrName}/workers`
async fn workers_add(call: Call) -> Result<Response, Problem> {
    let body: AddClusterWorkersRequest = call.json()?;
    let target = target(&call, call.path("idOrName"))?;
    call.app.fleet.workers_add(target, body.worker_num.unwrap_or_default(), body.machine_type.as_deref()).await?;
    done(&call)
}

/// `GET /v1/clusters/{idOrName}/workers/{workerId}`
async fn v1_worker_get(call: Call) -> Result<Response, Problem> {
    let target = target(&call, call.path("idOrName"))?;
    let (cluster, worker) = call.app.fleet.worker(target, call.path("workerId")).await?;
    Ok(respond::json(StatusCode::OK, &WorkerView::new(&cluster, call.app.fleet.catalog()).v1(&worker)))
}

/// `GET /v1/workers/{workerID}`
async fn v1_worker_get_anywhere(call: Call) -> Result<Response, Problem> {
    let (cluster, worker) = call.app.fleet.worker_anywhere(call.caller()?, call.path("workerID")).await?;
    Ok(respond::json(StatusCode::OK, &WorkerView::new(&cluster, call.app.fleet.catalog()).v1(&worker)))
}

/// `PUT /v1/clusters/{idOrName}/workers/{workerId}`
async fn worker_do(call: Call) -> Result<Response, Problem> {
    let body: UpdateClusterWorkerRequest = call.json()?;
    let action = match given(&body.action) {
        "reboot" | "soft_reboot" | "hard_reboot" | "power_cycle" | "powercycle" => WorkerAction::Reboot,
        "reload" | "os_reload" => WorkerAction::Reload,
        "update" => WorkerAction::Update,
        other => {
            let text = format!("The action '{other}' is not known. The accepted values are 'reboot', 'reload' and 'update'.");
            return Err(Error::Invalid(text).into());
        }
    };
    let target = target(&call, call.path("idOrName"))?;
    call.app.fleet.worker_do(target, call.path("workerId"), action).await?;
    done(&call)
}

/// `DELETE /v1/clusters/{idOrName}/workers/{workerId}`
async fn v1_worker_remove(call: Call) -> Result<Response, Problem> {
    let target = target(&call, call.path("idOrName"))?;
    call.app.fleet.worker_remove(target, call.path("workerId")).await?;
    done(&call)
}

/// `GET /v2/getWorker`, `/v2/vpc/getWorker`, `/v2/classic/getWorker`
async fn v2_worker_get(call: Call, provider: Option<Provider>) -> Result<Response, Problem> {
    let name = call.query("cluster").unwrap_or_default();
    let found = call.app.fleet.worker(target(&call, &name)?, &call.query("worker").unwrap_or_default()).await;
    let (cluster, worker) = found?;
    of_provider(&cluster, provider)?;
    Ok(respond::json(StatusCode::OK, &WorkerView::new(&cluster, call.app.fleet.catalog()).v2(&worker)))
}

/// `GET /v2/getWorkers`, `/v2/vpc/getWorkers`, `/v2/classic/getWorkers`
async fn v2_workers_list(call: Call, provider: Option<Provider>) -> Result<Response, Problem> {
    let name = call.query("cluster").unwrap_or_default();
    let ClusterWorkers { cluster, workers } = list(&call, &name, provider).await?;
    let view = WorkerView::new(&cluster, call.app.fleet.catalog());
    let shown: Vec<_> = workers.iter().map(|worker| view.v2(worker)).collect();
    Ok(respond::json(StatusCode::OK, &shown))
}

/// `POST /v2/removeWorker`
async fn v2_worker_remove(call: Call) -> Result<Response, Problem> {
    let body: V2RemoveWorkerRequest = call.json()?;
    call.app.fleet.worker_remove(target(&call, given(&body.cluster))?, given(&body.worker_id)).await?;
    done(&call)
}

/// `POST /v2/replaceWorker`
async fn worker_replace(call: Call) -> Result<Response, Problem> {
    let body: ReplaceWorkerRequest = call.json()?;
    let (target, update) = (target(&call, given(&body.cluster))?, body.update.unwrap_or(false));
    call.app.fleet.worker_replace(target, given(&body.worker_id), update).await?;
    done(&call)
}

/// `POST /v2/vpc/replaceWorker`
async fn vpc_worker_replace(call: Call) -> Result<Response, Problem> {
    let body: VpcReplaceWorkerRequest = call.json()?;
    let (target, update) = (target(&call, given(&body.cluster))?, body.update.unwrap_or(false));
    of_provider(&call.app.fleet.cluster(target.caller, target.cluster, target.group).await?, Some(Provider::VpcGen2))?;
    call.app.fleet.worker_replace(target, given(&body.worker_id), update).await?;
    done(&call)
}

async fn list(call: &Call, cluster: &str, provider: Option<Provider>) -> Result<ClusterWorkers, Problem> {
    let pool = call.query("pool");
    let filter = WorkerFilter { pool: pool.as_deref(), deleted: call.query_flag("showDeleted") };
    let all = call.app.fleet.workers(target(call, cluster)?, filter).await?;
    of_provider(&all.cluster, provider)?;
    Ok(all)
}
