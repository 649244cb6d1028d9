//! Clients that send protobuf, as typed Go clients do.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Method;
use serde_json::{Value, json};

use crate::client::{Cluster, told};

const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";
/// What such clients accept.
const ACCEPTED: &str = "application/vnd.kubernetes.protobuf,application/json";

/// The body that a Go client sends for an object of a kind, the first one there is.
fn body(api_version: &str, kind: &str) -> Vec<u8> {
    let fixtures: Vec<(String, Value)> = serde_json::from_str(include_str!("../../src/protobuf/fixtures.json")).unwrap();
    let found = fixtures.iter().find(|(_, value)| value["kind"] == kind && value["apiVersion"] == api_version);
    STANDARD.decode(&found.unwrap().0).unwrap()
}

#[tokio::test]
async fn whatever_is_sent_as_protobuf_is_done_and_answered_in_json() {
    let cluster = Cluster::new();
    let client = cluster.admin().with("accept", ACCEPTED);
    let (core, of) = ("/api/v1/namespaces/default", |group: &str| format!("/apis/{group}/v1/namespaces/default"));
    let cases = [
        (Method::POST, format!("{core}/configmaps"), "v1", "ConfigMap", 201, "/binaryData/x", json!("/wD+")),
        (Method::POST, format!("{core}/secrets"), "v1", "Secret", 201, "/data/a", json!("AAEC")),
        (
            Method::POST,
            format!("{core}/pods?dryRun=All"),
            "v1",
            "Pod",
            201,
            "/spec/containers/0/livenessProbe/periodSeconds",
            json!(5),
        ),
        (Method::POST, format!("{core}/pods"), "v1", "Pod", 201, "/spec/containers/0/resources/limits/cpu", json!("500m")),
        (Method::POST, format!("{core}/pods/p/binding"), "v1", "Binding", 409, "/reason", json!("Conflict")),
        (Method::POST, format!("{core}/pods/p/eviction"), "policy/v1", "Eviction", 201, "/status", json!("Success")),
        (Method::DELETE, format!("{core}/configmaps/m"), "v1", "DeleteOptions", 409, "/reason", json!("Conflict")),
        (
            Method::POST,
            format!("{}/deployments", of("apps")),
            "apps/v1",
            "Deployment",
            201,
            "/spec/strategy/rollingUpdate/maxSurge",
            json!("25%"),
        ),
        (
            Method::PUT,
            format!("{}/deployments/d/scale", of("apps")),
            "autoscaling/v1",
            "Scale",
            200,
            "/spec/replicas",
            json!(3),
        ),
        (Method::DELETE, format!("{}/deployments/d", of("apps")), "apps/v1", "DeleteOptions", 200, "/status", json!("Success")),
        (Method::POST, format!("{}/jobs", of("batch")), "batch/v1", "Job", 201, "/spec/suspend", json!(true)),
        (
            Method::POST,
            format!("{}/networkpolicies", of("networking.k8s.io")),
            "networking.k8s.io/v1",
            "NetworkPolicy",
            201,
            "/spec/ingress/1/ports/1/port",
            json!("x"),
        ),
        (
            Method::POST,
            "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews".to_owned(),
            "authorization.k8s.io/v1",
            "SelfSubjectAccessReview",
            201,
            "/status/allowed",
            json!(true),
        ),
        (
            Method::POST,
            format!("{core}/serviceaccounts/default/token"),
            "authentication.k8s.io/v1",
            "TokenRequest",
            201,
            "/spec/expirationSeconds",
            json!(600),
        ),
        (Method::POST, format!("{core}/secrets"), "v1", "ConfigMap", 400, "/reason", json!("BadRequest")),
    ];
    for (method, target, version, kind, code, pointer, expected) in cases {
        let response = client.send(method, &target, PROTOBUF, body(version, kind)).await;
        assert_eq!(response.headers["content-type"], "application/json", "{target} {kind}");
        let (got, value) = told(response);
        assert_eq!((got, value.pointer(pointer)), (code, Some(&expected)), "{target} {kind}: {value}");
    }
}

#[tokio::test]
async fn nothing_is_answered_in_protobuf() {
    let cluster = Cluster::new();
    for (accept, code) in [(PROTOBUF, 406), (ACCEPTED, 200)] {
        let client = cluster.admin().with("accept", accept);
        for path in ["/api/v1/namespaces/default", "/api/v1/pods", "/apis/apps/v1/deployments?limit=5"] {
            assert_eq!(client.get(path).await.0, code, "{accept} {path}");
        }
    }
}
