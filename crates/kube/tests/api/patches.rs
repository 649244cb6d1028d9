//! Patches of every kind, and server-side apply.

use serde_json::{Value, json};

use crate::client::Cluster;

const DEPLOYMENTS: &str = "/apis/apps/v1/namespaces/default/deployments";

fn deployment(replicas: i64) -> Value {
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": {"replicas": replicas,
        "selector": {"matchLabels": {"app": "web"}}, "template": {"metadata": {"labels": {"app": "web"}},
        "spec": {"containers": [{"name": "web", "image": "nginx:1"}]}}}})
}

#[tokio::test]
async fn an_object_is_patched_in_each_form() {
    let cluster = Cluster::new();
    let client = cluster.admin();
    client.create(DEPLOYMENTS, &deployment(1)).await;
    let web = &format!("{DEPLOYMENTS}/web");
    let containers = json!({"spec": {"template": {"spec": {"containers": [{"name": "side", "image": "busybox"}]}}}});
    let (code, patched) = client.patch(web, "strategic-merge", &containers).await;
    assert_eq!((code, patched["spec"]["template"]["spec"]["containers"].as_array().unwrap().len()), (200, 2), "{patched}");
    let (code, patched) = client.patch(web, "merge", &json!({"metadata": {"labels": {"a": "b"}}})).await;
    assert_eq!((code, &patched["metadata"]["labels"]["a"]), (200, &json!("b")));
    let operations =
        json!([{"op": "test", "path": "/spec/replicas", "value": 1}, {"op": "replace", "path": "/spec/replicas", "value": 3}]);
    let (code, patched) = client.patch(web, "json", &operations).await;
    assert_eq!((code, &patched["spec"]["replicas"]), (200, &json!(3)), "{patched}");
    let (code, refused) = client.patch(web, "json", &operations).await;
    assert_eq!(code, 422, "{refused}");
    let (code, refused) = client.patch(web, "merge", &json!({"metadata": {"resourceVersion": "1"}})).await;
    assert_eq!((code, &refused["reason"]), (409, &json!("Conflict")));
    let (code, refused) = client.patch(web, "merge", &json!({"spec": {"selector": {"matchLabels": {"app": "x"}}}})).await;
    assert_eq!(code, 422, "{refused}");
    assert_eq!(client.patch(web, "unheard-of", &json!({})).await.0, 415);
}

#[tokio::test]
async fn fields_belong_to_those_who_applied_them() {
    let cluster = Cluster::new();
    let client = cluster.admin();
    let web = format!("{DEPLOYMENTS}/web");
    let (code, made) = client.apply(&format!("{web}?fieldManager=one"), &deployment(2)).await;
    assert_eq!(code, 201, "{made}");
    let (code, same) = client.apply(&format!("{web}?fieldManager=one"), &deployment(2)).await;
    assert_eq!(code, 200, "{same}");
    let (_, now) = client.get(&web).await;
    let (_, again) = client.apply(&format!("{web}?fieldManager=one"), &deployment(2)).await;
    assert_eq!(again["metadata"]["resourceVersion"], now["metadata"]["resourceVersion"], "an apply of the same writes nothing");
    let (code, conflict) = client.apply(&format!("{web}?fieldManager=two"), &deployment(5)).await;
    assert_eq!((code, &conflict["reason"]), (409, &json!("Conflict")));
    assert_eq!(conflict["details"]["causes"][0]["field"], ".spec.replicas");
    assert_eq!(conflict["message"], "Apply failed with 1 conflict: conflict with \"one\": .spec.replicas");
    let (code, forced) = client.apply(&format!("{web}?fieldManager=two&force=true"), &deployment(5)).await;
    assert_eq!((code, &forced["spec"]["replicas"]), (200, &json!(5)), "{forced}");
    assert_eq!(client.apply(&web, &deployment(5)).await.0, 422, "apply needs a manager");
}
