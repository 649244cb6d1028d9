//! The one GraphQL operation that is built: reloading a worker, as clients do for bare metal.

use axum::response::Response;
use boatyard_api::containers::{
    GraphQlData, GraphQlError, GraphQlErrorExtensions, GraphQlRequest, GraphQlResponse, NetworkAttachable,
    ReinitializeKubernetesNodePayload,
};
use boatyard_api::ops::containers;
use boatyard_fleet::{ClusterTarget, Error, WorkerAction};
use http::StatusCode;
use tracing::info;

use crate::call::Call;
use crate::operations::Bindings;
use crate::problem::Problem;
use crate::respond;

pub fn bind(bindings: Bindings) -> Bindings {
    bindings.bind(&containers::GraphQL, graphql)
}

/// `POST /graphql`
async fn graphql(call: Call) -> Result<Response, Problem> {
    let body: GraphQlRequest = call.json()?;
    match run(&call, &body).await {
        Ok(data) => Ok(respond::json(StatusCode::OK, &GraphQlResponse { data: Some(data), errors: Vec::new() })),
        Err(problem) if problem.cause.is_some() => Err(problem),
        Err(problem) => Ok(refusal(&call, problem)),
    }
}

async fn run(call: &Call, body: &GraphQlRequest) -> Result<GraphQlData, Problem> {
    if root_field(&body.query) != Some("reinitializeKubernetesNode") {
        let text = "Of GraphQL, Boatyard serves only the mutation reinitializeKubernetesNode. Other operations are not built.";
        return Err(Error::Unbuilt(text).into());
    }
    let id = body.variables.as_ref().and_then(|variables| variables.get("input")?.get("id")?.as_str());
    let id = id.filter(|id| !id.is_empty());
    let id = id.ok_or_else(|| Error::Missing("Specify the ID of the worker node in the variable 'input.id'.".to_owned()))?;
    let caller = call.caller()?;
    let (cluster, worker) = call.app.fleet.worker_anywhere(caller, id).await?;
    let target = ClusterTarget { caller, cluster: &cluster.id, group: None };
    call.app.fleet.worker_do(target, &worker.id, WorkerAction::Reload).await?;
    let node = NetworkAttachable { id: Some(worker.id) };
    let payload = ReinitializeKubernetesNodePayload { node: Some(node) };
    Ok(GraphQlData { reinitialize_kubernetes_node: Some(payload), ..GraphQlData::default() })
}

/// The body that GraphQL has for errors, under the status that the refusal has elsewhere: clients that only reload look at no body.
fn refusal(call: &Call, problem: Problem) -> Response {
    info!(request_id = %call.request_id, operation = call.operation.id, code = problem.code, "request refused");
    let extensions = GraphQlErrorExtensions { code: Some(problem.code.to_owned()) };
    let error = GraphQlError { extensions: Some(extensions), message: Some(problem.description) };
    respond::json(problem.status, &GraphQlResponse { data: None, errors: vec![error] })
}

/// The first field that an operation selects.
fn root_field(query: &str) -> Option<&str> {
    let (_, selection) = query.split_once('{')?;
    selection.trim_start().split(|c: char| !c.is_ascii_alphanumeric() && c != '_').next().filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_an_operation_selects() {
        let cases = [
            ("mutation { reinitializeKubernetesNode(input: {id: \"x\"}) { node { id } } }", Some("reinitializeKubernetesNode")),
            (
                "mutation M($input: I!) {\n  reinitializeKubernetesNode(input: $input) { node { id } }\n}",
                Some("reinitializeKubernetesNode"),
            ),
            ("query($id: ID!){node(id:$id){__typename}}", Some("node")),
            ("{}", None),
            ("mutation", None),
            ("", None),
        ];
        for (query, field) in cases {
            assert_eq!(root_field(query), field, "{query}");
        }
    }
}
