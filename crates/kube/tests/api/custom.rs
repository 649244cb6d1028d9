//! Custom resources: defined, used, changed and removed.

use serde_json::{Value, json};

use crate::client::Cluster;

const DEFINITIONS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
const TABS: &str = "/apis/stable.example.com/v1/namespaces/default/crontabs";

fn definition() -> Value {
    json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "crontabs.stable.example.com"},
        "spec": {"group": "stable.example.com", "scope": "Namespaced",
            "names": {"plural": "crontabs", "singular": "crontab", "kind": "CronTab", "shortNames": ["ct"]},
            "versions": [{"name": "v1", "served": true, "storage": true,
                "subresources": {"status": {}, "scale": {"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas"}},
                "additionalPrinterColumns": [{"name": "Spec", "type": "string", "jsonPath": ".spec.cronSpec"}],
                "schema": {"openAPIV3Schema": {"type": "object", "properties": {
                    "spec": {"type": "object", "required": ["cronSpec"], "properties": {
                        "cronSpec": {"type": "string", "pattern": "^(\\d+|\\*)( (\\d+|\\*)){4}$"},
                        "image": {"type": "string", "default": "busybox"},
                        "replicas": {"type": "integer", "minimum": 1, "maximum": 10}}},
                    "status": {"type": "object", "properties": {"replicas": {"type": "integer"}}}}}}}]}})
}

fn tab(spec: Value) -> Value {
    json!({"apiVersion": "stable.example.com/v1", "kind": "CronTab", "metadata": {"name": "mine"}, "spec": spec})
}

#[tokio::test]
async fn a_custom_resource_is_served_once_it_is_defined() {
    let cluster = Cluster::new();
    let client = cluster.admin();
    assert_eq!(client.get(TABS).await.0, 404);
    let (code, defined) = client.create(DEFINITIONS, &definition()).await;
    assert_eq!(code, 201, "{defined}");
    let (_, defined) = client.get(&format!("{DEFINITIONS}/crontabs.stable.example.com")).await;
    let established = |c: &&Value| c["type"] == "Established" && c["status"] == "True";
    assert!(defined["status"]["conditions"].as_array().unwrap().iter().any(|c| established(&c)), "{defined}");

    let (code, made) = client.create(TABS, &tab(json!({"cronSpec": "* * * * 5", "unknown": 1}))).await;
    assert_eq!((code, &made["spec"]), (201, &json!({"cronSpec": "* * * * 5", "image": "busybox"})), "{made}");
    assert_eq!(made["metadata"]["generation"], 1);
    for (spec, text) in [
        (json!({}), "spec.cronSpec: Required value"),
        (json!({"cronSpec": "x"}), "spec.cronSpec: Invalid value: \"x\""),
        (json!({"cronSpec": "* * * * 5", "replicas": 11}), "spec.replicas"),
    ] {
        let (code, refused) = client.create(TABS, &tab(spec)).await;
        assert_eq!(code, 422, "{refused}");
        assert!(refused["message"].as_str().unwrap().contains(text), "{refused}");
    }
    let (code, patched) = client.patch(&format!("{TABS}/mine"), "merge", &json!({"spec": {"replicas": 3}})).await;
    assert_eq!((code, &patched["metadata"]["generation"]), (200, &json!(2)), "{patched}");
    let (code, status) = client
        .patch(&format!("{TABS}/mine/status"), "merge", &json!({"status": {"replicas": 3}, "spec": {"replicas": 9}}))
        .await;
    assert_eq!((code, &status["spec"]["replicas"], &status["status"]["replicas"]), (200, &json!(3), &json!(3)), "{status}");
    let (code, scale) = client.get(&format!("{TABS}/mine/scale")).await;
    assert_eq!((code, &scale["spec"]["replicas"], &scale["status"]["replicas"]), (200, &json!(3), &json!(3)), "{scale}");
    let (code, _) = client.patch(&format!("{TABS}/mine"), "strategic-merge", &json!({})).await;
    assert_eq!(code, 415);
    let (_, groups) = client.get("/apis/stable.example.com/v1").await;
    assert_eq!(groups["resources"][0]["shortNames"], json!(["ct"]));
}

#[tokio::test]
async fn objects_go_with_their_definition() {
    let cluster = Cluster::new();
    let client = cluster.admin();
    client.create(DEFINITIONS, &definition()).await;
    let mut held = tab(json!({"cronSpec": "* * * * 5"}));
    held["metadata"]["finalizers"] = json!(["example.com/hold"]);
    assert_eq!(client.create(TABS, &held).await.0, 201);
    let (code, going) = client.delete(&format!("{DEFINITIONS}/crontabs.stable.example.com")).await;
    assert_eq!(code, 200);
    assert!(!going["metadata"]["deletionTimestamp"].is_null(), "{going}");
    let (_, tab) = client.get(&format!("{TABS}/mine")).await;
    assert!(!tab["metadata"]["deletionTimestamp"].is_null(), "{tab}");
    client.patch(&format!("{TABS}/mine"), "merge", &json!({"metadata": {"finalizers": null}})).await;
    assert_eq!(client.get(&format!("{DEFINITIONS}/crontabs.stable.example.com")).await.0, 404);
    assert_eq!(client.get(TABS).await.0, 404);
}
