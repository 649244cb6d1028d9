//! A journal that fails, and another process that writes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use boatyard_kube::journal::{Commit, Journal, JournalError, Memory, Saved};
use serde_json::json;

use crate::client::Cluster;

const MAPS: &str = "/api/v1/namespaces/default/configmaps";

/// A journal that loses a commit when it is told to, and that other processes may write to.
#[derive(Debug, Default)]
struct Shared {
    kept: Memory,
    failing: AtomicBool,
}

#[async_trait]
impl Journal for Shared {
    async fn load(&self, cluster: &str) -> Result<Saved, JournalError> {
        self.kept.load(cluster).await
    }

    async fn commit(&self, cluster: &str, commit: Commit) -> Result<(), JournalError> {
        if self.failing.load(Ordering::Relaxed) {
            return Err(JournalError::Failed("the disk is full".to_owned()));
        }
        self.kept.commit(cluster, commit).await
    }

    async fn revision(&self, cluster: &str) -> Result<Option<u64>, JournalError> {
        Ok(Some(self.kept.load(cluster).await?.revision))
    }

    async fn due(&self, now: jiff::Timestamp) -> Result<(Vec<String>, Option<jiff::Timestamp>), JournalError> {
        self.kept.due(now).await
    }
}

#[tokio::test]
async fn what_was_not_kept_was_not_done() {
    let journal = Arc::new(Shared::default());
    let cluster = Cluster::with(journal.clone());
    let client = cluster.admin();
    assert_eq!(client.get(MAPS).await.0, 200);
    journal.failing.store(true, Ordering::Relaxed);
    let map = json!({"metadata": {"name": "a"}});
    let answers = tokio::join!(client.create(MAPS, &map), client.create(MAPS, &map));
    assert_eq!((answers.0.0, answers.1.0), (500, 500), "also what was refused because of the other: {answers:?}");
    assert_eq!(client.get(&format!("{MAPS}/a")).await.0, 404);
    journal.failing.store(false, Ordering::Relaxed);
    assert_eq!(client.create(MAPS, &map).await.0, 201);
}

#[tokio::test]
async fn what_another_process_writes_is_seen() {
    let journal = Arc::new(Shared::default());
    let (one, other) = (Cluster::with(journal.clone()), Cluster::with(journal));
    let (here, there) = (one.admin(), other.admin());
    let (_, list) = here.get(MAPS).await;
    let from = list["metadata"]["resourceVersion"].as_str().unwrap();
    let mut watch = here.watch(&format!("{MAPS}?watch=true&resourceVersion={from}")).await;
    assert_eq!(there.create(MAPS, &json!({"metadata": {"name": "a"}})).await.0, 201);
    assert_eq!(there.delete(&format!("{MAPS}/a")).await.0, 200);
    assert_eq!(there.create(MAPS, &json!({"metadata": {"name": "b"}})).await.0, 201);
    assert_eq!(here.get(&format!("{MAPS}/b")).await.0, 200);
    assert_eq!(watch.told().await, "ADDED b", "what came and went in the meantime was never there for this one");
    assert_eq!(here.create(MAPS, &json!({"metadata": {"name": "b"}})).await.0, 409);
    assert_eq!(here.delete(&format!("{MAPS}/b")).await.0, 200);
    assert_eq!(there.get(&format!("{MAPS}/b")).await.0, 404);
}
