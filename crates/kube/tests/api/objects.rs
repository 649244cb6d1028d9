//! Objects: made, read, listed, changed, deleted, and who may.

use http::Method;
use serde_json::{Value, json};

use crate::client::{Cluster, told};
use boatyard_kube::User;

fn config_map(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "labels": {"app": name}}, "data": {"key": "value"}})
}

const MAPS: &str = "/api/v1/namespaces/default/configmaps";

#[tokio::test]
async fn an_object_lives_from_create_to_delete() {
    let cluster = Cluster::new();
    let client = cluster.admin();
    let (code, made) = client.create(MAPS, &config_map("a")).await;
    assert_eq!(code, 201, "{made}");
    assert_eq!(made["metadata"]["namespace"], "default");
    for field in ["uid", "resourceVersion", "creationTimestamp", "managedFields"] {
        assert!(!made["metadata"][field].is_null(), "{field}");
    }
    let (code, again) = client.create(MAPS, &config_map("a")).await;
    assert_eq!((code, &again["reason"]), (409, &json!("AlreadyExists")));
    assert_eq!(again["message"], "configmaps \"a\" already exists");

    let mut changed = made.clone();
    changed["data"]["key"] = json!("other");
    let (code, updated) = client.put(&format!("{MAPS}/a"), &changed).await;
    assert_eq!((code, &updated["data"]["key"]), (200, &json!("other")), "{updated}");
    let (code, stale) = client.put(&format!("{MAPS}/a"), &changed).await;
    assert_eq!((code, &stale["reason"]), (409, &json!("Conflict")));

    let (code, gone) = client.delete(&format!("{MAPS}/a")).await;
    assert_eq!((code, &gone["status"], &gone["details"]["kind"]), (200, &json!("Success"), &json!("configmaps")));
    let (code, missing) = client.get(&format!("{MAPS}/a")).await;
    assert_eq!((code, &missing["message"]), (404, &json!("configmaps \"a\" not found")));
}

#[tokio::test]
async fn everything_acknowledged_is_there_after_a_restart() {
    let cluster = Cluster::new();
    cluster.admin().create(MAPS, &config_map("kept")).await;
    cluster.admin().delete("/apis/storage.k8s.io/v1/storageclasses/ibmc-vpc-block-custom").await;
    let (_, before) = cluster.admin().get(MAPS).await;
    let again = cluster.restarted();
    let (_, after) = again.admin().get(MAPS).await;
    assert_eq!(before["items"], after["items"]);
    assert!(revision(&after) >= revision(&before));
    let (code, _) = again.admin().get("/apis/storage.k8s.io/v1/storageclasses/ibmc-vpc-block-custom").await;
    assert_eq!(code, 404, "what a cluster began with stays deleted");
}

fn revision(list: &Value) -> u64 {
    list["metadata"]["resourceVersion"].as_str().unwrap().parse().unwrap()
}

#[tokio::test]
async fn lists_are_paged_and_selected() {
    let cluster = Cluster::new();
    let client = cluster.admin();
    for index in 0..7 {
        client.create(MAPS, &config_map(&format!("m{index}"))).await;
    }
    let (mut names, mut next) = (Vec::new(), String::new());
    loop {
        let (code, page) = client.get(&format!("{MAPS}?limit=3&continue={next}")).await;
        assert_eq!(code, 200, "{page}");
        let items = page["items"].as_array().unwrap();
        assert!(items.len() <= 3);
        names.extend(items.iter().map(|i| i["metadata"]["name"].as_str().unwrap().to_owned()));
        match page["metadata"]["continue"].as_str() {
            Some(token) => next = token.to_owned(),
            None => break,
        }
    }
    assert_eq!(names, ["kube-root-ca.crt", "m0", "m1", "m2", "m3", "m4", "m5", "m6"]);
    for (query, expected) in [
        ("labelSelector=app%3Dm3", 1),
        ("labelSelector=app+in+(m1,m2)", 2),
        ("fieldSelector=metadata.name%3Dm5", 1),
        ("labelSelector=!app", 1),
    ] {
        let (_, list) = client.get(&format!("{MAPS}?{query}")).await;
        assert_eq!(list["items"].as_array().unwrap().len(), expected, "{query}");
    }
    let (code, refused) = client.get(&format!("{MAPS}?fieldSelector=data.key%3Dx")).await;
    assert_eq!(code, 400, "{refused}");
    let (_, all) = client.get("/api/v1/configmaps").await;
    assert!(all["items"].as_array().unwrap().len() > 8);
}

#[tokio::test]
async fn nothing_is_written_in_a_dry_run() {
    let cluster = Cluster::new();
    let client = cluster.admin();
    let (code, made) = client.create(&format!("{MAPS}?dryRun=All"), &config_map("a")).await;
    assert_eq!((code, &made["metadata"]["name"]), (201, &json!("a")));
    assert_eq!(client.get(&format!("{MAPS}/a")).await.0, 404);
    assert_eq!(client.create(&format!("{MAPS}?dryRun=Some"), &config_map("a")).await.0, 400);
}

#[tokio::test]
async fn bad_requests_are_told_what_is_wrong() {
    let cluster = Cluster::new();
    let client = cluster.admin();
    let pods = "/api/v1/namespaces/default/pods";
    let cases: Vec<(Method, &str, &str, u16, &str)> = vec![
        (Method::POST, MAPS, "{", 400, "the object provided is unrecognized"),
        (Method::POST, MAPS, "[]", 400, "not an object"),
        (Method::POST, MAPS, r#"{"kind":"Pod","apiVersion":"v1"}"#, 400, "cannot be handled as a ConfigMap"),
        (Method::POST, MAPS, r#"{"metadata":{"namespace":"other","name":"x"}}"#, 400, "does not match the namespace"),
        (Method::POST, MAPS, r#"{"metadata":{"name":"Not_A_Name"}}"#, 422, "Invalid value"),
        (Method::POST, MAPS, "{}", 422, "name or generateName is required"),
        (Method::POST, MAPS, r#"{"metadata":[]}"#, 400, "metadata"),
        (
            Method::POST,
            "/api/v1/namespaces/none/configmaps",
            r#"{"metadata":{"name":"a"}}"#,
            404,
            "namespaces \"none\" not found",
        ),
        (Method::POST, pods, r#"{"metadata":{"name":"a"},"spec":{}}"#, 422, "spec.containers: Required value"),
        (Method::GET, "/api/v1/nothing", "", 404, "could not find the requested resource"),
        (Method::GET, "/apis/nothing/v1/things", "", 404, "could not find the requested resource"),
        (Method::DELETE, "/api/v1/namespaces/default/bindings", "", 405, ""),
        (Method::GET, "/api/v1/pods?limit=x", "", 400, "limit"),
        (Method::GET, "/api/v1/pods?continue=x", "", 400, "continue"),
        (Method::GET, "/api/v1/pods?resourceVersion=x", "", 422, "resourceVersion"),
        (Method::DELETE, "/api/v1/namespaces/kube-system", "", 403, "kube-system"),
        (
            Method::POST,
            "/api/v1/namespaces/default/configmaps?fieldValidation=Strict",
            r#"{"metadata":{"name":"a"},"dta":{}}"#,
            400,
            "unknown field \"dta\"",
        ),
    ];
    for (method, target, body, code, text) in cases {
        let (got, status) = told(client.send(method.clone(), target, "application/json", body.to_owned()).await);
        assert_eq!((got, &status["kind"]), (code, &json!("Status")), "{method} {target} {body}: {status}");
        assert!(status["message"].as_str().unwrap().contains(text), "{method} {target} {body}: {status}");
    }
    assert_eq!(client.send(Method::POST, MAPS, "application/json", vec![b' '; 4 << 20]).await.status, 413);
    assert_eq!(client.send(Method::POST, MAPS, "application/vnd.kubernetes.protobuf", "k8s").await.status, 400);
    assert_eq!(client.send(Method::POST, MAPS, "application/cbor", "k8s").await.status, 415);
}

#[tokio::test]
async fn roles_decide() {
    let cluster = Cluster::new();
    let viewer = cluster.user(User::new("IAM#viewer@example.com", "", []));
    let stranger = cluster.user(User::new("IAM#stranger@example.com", "", []));
    assert_eq!(viewer.get(MAPS).await.0, 200);
    let (code, denied) = viewer.create(MAPS, &config_map("a")).await;
    assert_eq!(code, 403);
    assert_eq!(
        denied["message"],
        "configmaps is forbidden: User \"IAM#viewer@example.com\" cannot create resource \"configmaps\" in API group \"\" in the namespace \"default\""
    );
    assert_eq!(stranger.get(MAPS).await.0, 403);
    // A policy that is taken away is so from the next request on.
    cluster.change(|world| world.grants.clear());
    assert_eq!(viewer.get(MAPS).await.0, 403);
    let (_, review) = viewer
        .create(
            "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
            &json!({"spec": {"resourceAttributes": {"verb": "get", "resource": "pods", "namespace": "default"}}}),
        )
        .await;
    assert_eq!(review["status"]["allowed"], false);
    let masked = cluster.admin().with("impersonate-user", "IAM#stranger@example.com");
    assert_eq!(masked.get(MAPS).await.0, 403);
}

#[tokio::test]
async fn workers_are_nodes() {
    let cluster = Cluster::new();
    let client = cluster.admin();
    let (_, nodes) = client.get("/api/v1/nodes").await;
    let names: Vec<_> = nodes["items"].as_array().unwrap().iter().map(|n| n["metadata"]["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["10.240.0.4", "10.240.0.5", "10.240.0.6"]);
    cluster.change(|world| {
        world.machines.pop();
    });
    let (_, nodes) = client.get("/api/v1/nodes").await;
    assert_eq!(nodes["items"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn objects_follow_the_world() {
    let cluster = Cluster::new();
    let client = cluster.admin();
    let ingresses = "/apis/networking.k8s.io/v1/namespaces/default/ingresses";
    let ingress = json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": {"name": "web"},
        "spec": {"defaultBackend": {"service": {"name": "web", "port": {"number": 80}}}},
    });
    assert_eq!(client.create(ingresses, &ingress).await.0, 201);
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "mine"}});
    assert_eq!(client.create("/api/v1/namespaces", &namespace).await.0, 201);
    cluster.change(|world| {
        world.ingress_hostname = "new.example".to_owned();
        world.ca_pem = "another certificate".to_owned();
    });
    let (_, ingress) = client.get(&format!("{ingresses}/web")).await;
    assert_eq!(ingress["status"]["loadBalancer"]["ingress"][0]["hostname"], "new.example");
    for namespace in ["default", "mine"] {
        let (_, map) = client.get(&format!("/api/v1/namespaces/{namespace}/configmaps/kube-root-ca.crt")).await;
        assert_eq!(map["data"]["ca.crt"], "another certificate", "in {namespace}");
    }
}

#[tokio::test]
async fn what_waits_waits_as_long_as_it_takes_now() {
    let cluster = Cluster::new();
    cluster.change(|world| world.timings.pod_starting = jiff::SignedDuration::from_hours(2));
    let client = cluster.admin();
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web"}, "spec": {"containers": [{"name": "web", "image": "nginx"}]}});
    assert_eq!(client.create("/api/v1/namespaces/default/pods", &pod).await.0, 201);
    let phase = async || client.get("/api/v1/namespaces/default/pods/web").await.1["status"]["phase"].clone();
    assert_eq!(phase().await, "Pending");
    cluster.change(|world| world.timings.pod_starting = jiff::SignedDuration::from_mins(1));
    assert_eq!(phase().await, "Pending");
    cluster.clock.advance(jiff::SignedDuration::from_mins(2));
    let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "other"}});
    assert_eq!(client.create("/api/v1/namespaces/default/configmaps", &map).await.0, 201);
    assert_eq!(phase().await, "Running");
}

#[tokio::test]
async fn tables_are_for_people() {
    let cluster = Cluster::new();
    let client = cluster.admin().with("accept", "application/json;as=Table;v=v1;g=meta.k8s.io,application/json");
    let (_, table) = client.get("/api/v1/nodes").await;
    assert_eq!(table["kind"], "Table");
    assert_eq!(table["rows"].as_array().unwrap().len(), 3);
    assert_eq!(table["rows"][0]["cells"][0], "10.240.0.4");
}

#[tokio::test]
async fn a_deployment_comes_up_and_scales() {
    let cluster = Cluster::new();
    let client = cluster.admin();
    let deployments = "/apis/apps/v1/namespaces/default/deployments";
    let (code, made) = client
        .create(
            deployments,
            &json!({"metadata": {"name": "web"}, "spec": {"replicas": 2, "selector": {"matchLabels": {"app": "web"}},
                "template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "web", "image": "nginx:1"}]}}}}),
        )
        .await;
    assert_eq!(code, 201, "{made}");
    let (_, deployment) = client.get(&format!("{deployments}/web")).await;
    assert_eq!(deployment["status"]["readyReplicas"], 2, "{deployment}");
    let (code, scale) = client.patch(&format!("{deployments}/web/scale"), "merge", &json!({"spec": {"replicas": 4}})).await;
    assert_eq!(
        (code, &scale["spec"]["replicas"], &scale["status"]["selector"]),
        (200, &json!(4), &json!("app=web")),
        "{scale}"
    );
    let (_, pods) = client.get("/api/v1/namespaces/default/pods?labelSelector=app%3Dweb").await;
    assert_eq!(pods["items"].as_array().unwrap().len(), 4);
    assert!(pods["items"].as_array().unwrap().iter().all(|p| p["status"]["phase"] == "Running"));
    let name = pods["items"][0]["metadata"]["name"].as_str().unwrap().to_owned();
    let (code, refused) = client.get(&format!("/api/v1/namespaces/default/pods/{name}/log")).await;
    assert_eq!(code, 501, "{refused}");
}

#[tokio::test]
async fn service_accounts_have_tokens() {
    let cluster = Cluster::new();
    let (code, issued) =
        cluster.admin().create("/api/v1/namespaces/default/serviceaccounts/default/token", &json!({"spec": {}})).await;
    assert_eq!(code, 201, "{issued}");
    let token = issued["status"]["token"].as_str().unwrap();
    let account = cluster.user(User::anonymous()).with("authorization", &format!("Bearer {token}"));
    let (_, myself) = account.create("/apis/authentication.k8s.io/v1/selfsubjectreviews", &json!({})).await;
    assert_eq!(myself["status"]["userInfo"]["username"], "system:serviceaccount:default:default");
    let forged = cluster.user(User::anonymous()).with("authorization", &format!("Bearer {token}x"));
    assert_eq!(forged.get("/version").await.0, 401);
}
