//! Watches: from the beginning, from a revision, with selectors, and to their end.

use std::time::Duration;

use boatyard_kube::cluster::Outcome;
use boatyard_kube::object::Key;
use boatyard_kube::{Body, User};
use http::Method;
use serde_json::{Value, json};

use crate::client::{Cluster, ID};

const MAPS: &str = "/api/v1/namespaces/default/configmaps";

fn map(name: &str, app: &str) -> Value {
    json!({"metadata": {"name": name, "labels": {"app": app}}})
}

#[tokio::test]
async fn a_watch_tells_of_every_change_in_order() {
    let cluster = Cluster::new();
    let client = cluster.admin();
    let (_, list) = client.get(MAPS).await;
    let from = list["metadata"]["resourceVersion"].as_str().unwrap();
    let mut watch = client.watch(&format!("{MAPS}?watch=true&resourceVersion={from}")).await;
    client.create(MAPS, &map("a", "x")).await;
    client.patch(&format!("{MAPS}/a"), "merge", &json!({"data": {"k": "v"}})).await;
    client.delete(&format!("{MAPS}/a")).await;
    let told = [watch.told().await, watch.told().await, watch.told().await];
    assert_eq!(told, ["ADDED a", "MODIFIED a", "DELETED a"]);
    // Another one from the same revision is told the same.
    let mut later = client.watch(&format!("{MAPS}?watch=1&resourceVersion={from}")).await;
    assert_eq!([later.told().await, later.told().await, later.told().await], ["ADDED a", "MODIFIED a", "DELETED a"]);
}

#[tokio::test]
async fn selectors_make_objects_come_and_go() {
    let cluster = Cluster::new();
    let client = cluster.admin();
    client.create(MAPS, &map("a", "x")).await;
    let mut watch = client.watch(&format!("{MAPS}?watch=true&labelSelector=app%3Dx")).await;
    assert_eq!(watch.told().await, "ADDED a");
    client.patch(&format!("{MAPS}/a"), "merge", &json!({"metadata": {"labels": {"app": "y"}}})).await;
    assert_eq!(watch.told().await, "DELETED a");
    client.patch(&format!("{MAPS}/a"), "merge", &json!({"metadata": {"labels": {"app": "x"}}})).await;
    assert_eq!(watch.told().await, "ADDED a");
}

#[tokio::test]
async fn a_client_is_told_when_it_has_seen_everything() {
    let cluster = Cluster::new();
    let client = cluster.admin();
    client.create(MAPS, &map("a", "x")).await;
    let query = "watch=true&sendInitialEvents=true&allowWatchBookmarks=true&resourceVersionMatch=NotOlderThan";
    let mut watch = client.watch(&format!("{MAPS}?{query}")).await;
    assert_eq!([watch.told().await, watch.told().await], ["ADDED a", "ADDED kube-root-ca.crt"]);
    let bookmark = watch.next().await.unwrap();
    assert_eq!(bookmark["type"], "BOOKMARK");
    assert_eq!(bookmark["object"]["metadata"]["annotations"]["k8s.io/initial-events-end"], "true");
}

#[tokio::test]
async fn what_is_forgotten_is_said_to_be() {
    let cluster = Cluster::new();
    let client = cluster.admin();
    let (_, list) = client.get(MAPS).await;
    let from = list["metadata"]["resourceVersion"].as_str().unwrap();
    client.create(MAPS, &map("a", "x")).await;
    for index in 0..1_100 {
        client.patch(&format!("{MAPS}/a"), "merge", &json!({"data": {"k": index.to_string()}})).await;
    }
    let mut watch = client.watch(&format!("{MAPS}?watch=true&resourceVersion={from}")).await;
    let event = watch.next().await.unwrap();
    assert_eq!((&event["type"], &event["object"]["code"]), (&json!("ERROR"), &json!(410)));
    assert_eq!(watch.told().await, "over");
}

#[tokio::test]
async fn watches_end_with_their_cluster() {
    let cluster = Cluster::new();
    let mut watch = cluster.admin().watch(&format!("{MAPS}?watch=true&fieldSelector=metadata.name%3Dnone")).await;
    cluster.clusters().forget(ID);
    assert_eq!(watch.told().await, "over");
}

#[tokio::test]
async fn many_changes_at_once_do_not_end_a_watch() {
    let cluster = Cluster::new();
    let client = cluster.admin();
    let (_, list) = client.get(MAPS).await;
    let from = list["metadata"]["resourceVersion"].as_str().unwrap();
    let mut watch = client.watch(&format!("{MAPS}?watch=true&resourceVersion={from}")).await;
    let served = cluster.clusters().cluster(cluster.world()).await.unwrap();
    let write = served.write(
        false,
        Box::new(|txn, _| {
            for index in 0..1_500 {
                let value = json!({"kind": "ConfigMap", "apiVersion": "v1", "metadata": {}});
                txn.put(Key::new("configmaps", "default", &format!("m{index}")), value);
            }
            Ok(Outcome::Value(200, Value::Null))
        }),
    );
    write.await.unwrap();
    for index in 0..1_500 {
        assert_eq!(watch.told().await, format!("ADDED m{index}"));
    }
    client.delete(&format!("{MAPS}/m7")).await;
    assert_eq!(watch.told().await, "DELETED m7");
}

#[tokio::test]
async fn a_user_has_so_many_watches() {
    let cluster = Cluster::new();
    let client = cluster.admin();
    let target = format!("{MAPS}?watch=true");
    let mut watches = Vec::new();
    for _ in 0..400 {
        watches.push(client.watch(&target).await);
    }
    let refused = client.send(Method::GET, &target, "", "").await;
    assert_eq!((refused.status, &refused.headers["retry-after"]), (429, &"1".parse().unwrap()));
    // Others may watch, and so may the user when one of the watches is gone.
    let other = cluster.user(User::new("IAM#other@example.com", "", ["system:masters".to_owned()]));
    assert_eq!(other.watch(&target).await.told().await, "ADDED kube-root-ca.crt");
    watches.pop();
    assert_eq!(client.watch(&target).await.told().await, "ADDED kube-root-ca.crt");
}

#[tokio::test]
async fn a_watch_ends_whether_its_client_reads_or_not() {
    let cluster = Cluster::new();
    let client = cluster.admin();
    for name in ["a", "b", "c", "d"] {
        let mut map = map(name, "x");
        map["data"] = json!({"text": "x".repeat(100_000)});
        client.create(MAPS, &map).await;
    }
    let served = cluster.clusters().cluster(cluster.world()).await.unwrap();
    let mut watch = client.watch(&format!("{MAPS}?watch=true&timeoutSeconds=1")).await;
    let unread = client.send(Method::GET, &format!("{MAPS}?watch=true"), "", "").await;
    assert!(served.is_watched());
    // One goes away, the other does not read what it asked for and finds the little that was made for it.
    let Body::Stream(unread) = unread.body else { panic!("no watch") };
    drop(unread);
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    assert!(!served.is_watched());
    assert_eq!([watch.told().await, watch.told().await], ["ADDED a", "over"]);
}

#[tokio::test]
async fn a_cluster_that_was_closed_stays_closed() {
    let cluster = Cluster::new();
    let client = cluster.admin();
    let served = cluster.clusters().cluster(cluster.world()).await.unwrap();
    let mut watch = client.watch(&format!("{MAPS}?watch=true&fieldSelector=metadata.name%3Da")).await;
    served.close();
    // Somebody who came before still writes.
    client.create(MAPS, &map("a", "x")).await;
    assert_eq!(watch.told().await, "over");
    assert_eq!(client.watch(&format!("{MAPS}?watch=true")).await.told().await, "over");
}
