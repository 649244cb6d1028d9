//! What a right on one thing does not give on another.

use boatyard_kube::User;
use serde_json::{Value, json};

use crate::client::{Cluster, world};

const RBAC: &str = "/apis/rbac.authorization.k8s.io/v1";
const MAPS: &str = "/api/v1/namespaces/default/configmaps";

/// Somebody who holds these rules in the whole cluster.
async fn holder(cluster: &Cluster, rules: Value) -> User {
    let admin = cluster.admin();
    admin.create(&format!("{RBAC}/clusterroles"), &json!({"metadata": {"name": "some"}, "rules": rules})).await;
    let binding = json!({"metadata": {"name": "some"}, "subjects": [{"kind": "User", "name": "IAM#bob", "apiGroup": "rbac.authorization.k8s.io"}],
        "roleRef": {"kind": "ClusterRole", "name": "some", "apiGroup": "rbac.authorization.k8s.io"}});
    let (code, made) = admin.create(&format!("{RBAC}/clusterrolebindings"), &binding).await;
    assert_eq!(code, 201, "{made}");
    User::new("IAM#bob", "", [])
}

#[tokio::test]
async fn to_apply_what_is_not_there_needs_the_right_to_create() {
    let cluster = Cluster::new();
    let rules = json!([{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "patch"]}]);
    let bob = cluster.user(holder(&cluster, rules).await);
    let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"k": "v"}});
    let (code, refused) = bob.apply(&format!("{MAPS}/a?fieldManager=bob"), &map).await;
    assert_eq!((code, &refused["reason"]), (403, &json!("Forbidden")), "{refused}");
    cluster.admin().create(MAPS, &map).await;
    assert_eq!(bob.apply(&format!("{MAPS}/a?fieldManager=bob&force=true"), &map).await.0, 200);
}

#[tokio::test]
async fn a_name_in_a_selector_gives_no_right_to_create() {
    let cluster = Cluster::new();
    let rules = json!([{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["*"], "resourceNames": ["mine"]}]);
    let bob = cluster.user(holder(&cluster, rules).await);
    let other = json!({"metadata": {"name": "other"}});
    assert_eq!(bob.create(&format!("{MAPS}?fieldSelector=metadata.name%3Dmine"), &other).await.0, 403);
    assert_eq!(bob.get(&format!("{MAPS}?fieldSelector=metadata.name%3Dmine")).await.0, 200);
    assert_eq!(bob.get(MAPS).await.0, 403);
}

#[tokio::test]
async fn a_part_of_an_object_is_changed_and_nothing_else_of_it() {
    let cluster = Cluster::new();
    let (admin, pods) = (cluster.admin(), "/api/v1/namespaces/default/pods");
    let pod = json!({"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "nginx:1"}]}});
    assert_eq!(admin.create(pods, &pod).await.0, 201);
    let change = json!({"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "other",
        "resources": {"requests": {"cpu": "1"}}}]}});
    let (code, resized) = admin.patch(&format!("{pods}/p/resize"), "strategic-merge", &change).await;
    assert_eq!(code, 200, "{resized}");
    assert_eq!(resized["spec"]["containers"][0]["resources"]["requests"]["cpu"], "1");
    assert_eq!((&resized["spec"]["containers"][0]["image"], &resized["metadata"]["labels"]), (&json!("nginx:1"), &Value::Null));
    assert_eq!(admin.patch(&format!("{pods}/p/resize/x"), "strategic-merge", &change).await.0, 404);
}

#[tokio::test]
async fn a_project_is_its_requesters_and_those_of_the_system_stay() {
    let cluster = Cluster::of(boatyard_kube::World { openshift: Some("4.21.27".to_owned()), ..world() });
    let ada = cluster.user(User::new("IAM#ada", "", ["system:authenticated:oauth".to_owned()]));
    let projects = "/apis/project.openshift.io/v1/projects";
    let request = json!({"kind": "ProjectRequest", "apiVersion": "project.openshift.io/v1", "metadata": {"name": "mine"}});
    let (code, made) = ada.create("/apis/project.openshift.io/v1/projectrequests", &request).await;
    assert_eq!(code, 201, "{made}");
    assert_eq!(ada.get(&format!("{projects}/mine")).await.0, 200);
    assert_eq!(ada.get(&format!("{projects}/default")).await.0, 403);
    let (_, list) = ada.get(projects).await;
    assert_eq!(list["items"].as_array().unwrap().len(), 1, "{list}");
    assert_eq!(cluster.admin().delete(&format!("{projects}/kube-system")).await.0, 403);
    assert_eq!(ada.delete(&format!("{projects}/mine")).await.0, 200);
    assert_eq!(cluster.admin().get("/api/v1/namespaces/mine").await.0, 404);
}

#[tokio::test]
async fn what_was_looked_for_earlier_does_not_bring_back_what_is_gone() {
    let cluster = Cluster::new();
    let viewer = cluster.user(User::new("IAM#viewer@example.com", "", []));
    let before = cluster.world();
    assert_eq!(viewer.get(MAPS).await.0, 200);
    cluster.change(|world| world.grants.clear());
    assert_eq!(viewer.get(MAPS).await.0, 403);
    assert_eq!(viewer.get_in(before, MAPS).await.0, 403, "a request that is late");
}
