//! A cluster with three workers, kept in memory, and a client of it.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use boatyard_core::Clock;
use boatyard_kube::journal::{Journal, JournalError, Memory};
use boatyard_kube::world::{Grant, Machine, Subject, World, Worlds};
use boatyard_kube::{Body, Clusters, Request, Response, User};
use bytes::Bytes;
use futures::StreamExt as _;
use http::{HeaderMap, HeaderName, Method};
use serde_json::Value;

pub const ID: &str = "bm64u3ed02o93vv36hb0";

#[derive(Debug)]
struct One(Mutex<Arc<World>>);

#[async_trait]
impl Worlds for One {
    async fn world(&self, cluster: &str) -> Result<Option<Arc<World>>, JournalError> {
        Ok((cluster == ID).then(|| Arc::clone(&self.0.lock().unwrap())))
    }
}

/// A cluster and the process that serves it.
pub struct Cluster {
    clusters: Clusters,
    journal: Arc<dyn Journal>,
    worlds: Arc<One>,
    pub clock: Clock,
}

impl Cluster {
    pub fn new() -> Self {
        Self::of(world())
    }

    pub fn of(world: World) -> Self {
        Self::made(world, Arc::new(Memory::default()))
    }

    /// One that is kept by this journal.
    pub fn with(journal: Arc<dyn Journal>) -> Self {
        Self::made(world(), journal)
    }

    fn made(world: World, journal: Arc<dyn Journal>) -> Self {
        let (journal, worlds, clock) = (journal, Arc::new(One(Mutex::new(Arc::new(world)))), Clock::default());
        let clusters = Clusters::new(journal.clone(), worlds.clone(), clock.clone(), [7; 32]);
        Self { clusters, journal, worlds, clock }
    }

    /// The same cluster after the process was killed and started again.
    pub fn restarted(&self) -> Self {
        let clusters = Clusters::new(self.journal.clone(), self.worlds.clone(), self.clock.clone(), [7; 32]);
        Self { clusters, journal: self.journal.clone(), worlds: self.worlds.clone(), clock: self.clock.clone() }
    }

    pub fn change(&self, change: impl FnOnce(&mut World)) {
        let mut at = self.worlds.0.lock().unwrap();
        let mut world = (**at).clone();
        change(&mut world);
        world.ticket += 1;
        *at = Arc::new(world);
    }

    /// What is true of it now.
    pub fn world(&self) -> Arc<World> {
        Arc::clone(&self.worlds.0.lock().unwrap())
    }

    /// Somebody in `system:masters`.
    pub fn admin(&self) -> Client<'_> {
        self.user(User::new("IAM#admin@example.com", "", ["system:masters".to_owned()]))
    }

    pub fn user(&self, user: User) -> Client<'_> {
        Client { cluster: self, user, headers: HeaderMap::new() }
    }

    pub fn clusters(&self) -> &Clusters {
        &self.clusters
    }
}

/// One who asks.
pub struct Client<'a> {
    cluster: &'a Cluster,
    user: User,
    headers: HeaderMap,
}

impl Client<'_> {
    /// The same with a further header.
    pub fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers.append(HeaderName::from_static(name), value.parse().unwrap());
        self
    }

    pub async fn send(&self, method: Method, target: &str, content_type: &str, body: impl Into<Bytes>) -> Response {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let mut headers = self.headers.clone();
        if !content_type.is_empty() {
            headers.insert(http::header::CONTENT_TYPE, content_type.parse().unwrap());
        }
        let request = Request {
            user: self.user.clone(),
            method,
            path: path.to_owned(),
            query: query.to_owned(),
            headers,
            body: body.into(),
        };
        self.cluster.clusters.serve(ID, request).await
    }

    /// The same by way of what somebody knew of the cluster.
    pub async fn get_in(&self, world: Arc<World>, target: &str) -> (u16, Value) {
        let request = Request {
            user: self.user.clone(),
            method: Method::GET,
            path: target.to_owned(),
            query: String::new(),
            headers: self.headers.clone(),
            body: Bytes::new(),
        };
        told(self.cluster.clusters.serve_in(world, request).await)
    }

    /// The code and the body, which is JSON.
    pub async fn ask(&self, method: Method, target: &str, body: &Value) -> (u16, Value) {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        told(self.send(method, target, "application/json", body).await)
    }

    pub async fn get(&self, target: &str) -> (u16, Value) {
        self.ask(Method::GET, target, &Value::Null).await
    }

    pub async fn create(&self, target: &str, body: &Value) -> (u16, Value) {
        self.ask(Method::POST, target, body).await
    }

    pub async fn put(&self, target: &str, body: &Value) -> (u16, Value) {
        self.ask(Method::PUT, target, body).await
    }

    pub async fn delete(&self, target: &str) -> (u16, Value) {
        self.ask(Method::DELETE, target, &Value::Null).await
    }

    /// `kind` is `merge`, `strategic-merge` or `json`.
    pub async fn patch(&self, target: &str, kind: &str, body: &Value) -> (u16, Value) {
        told(self.send(Method::PATCH, target, &format!("application/{kind}-patch+json"), body.to_string()).await)
    }

    pub async fn apply(&self, target: &str, body: &Value) -> (u16, Value) {
        told(self.send(Method::PATCH, target, "application/apply-patch+yaml", body.to_string()).await)
    }

    /// What comes on a watch.
    pub async fn watch(&self, target: &str) -> Watch {
        let response = self.send(Method::GET, target, "", "").await;
        match response.body {
            Body::Stream(stream) => Watch { stream, waiting: Vec::new() },
            Body::Full(body) => panic!("no watch: {}", String::from_utf8_lossy(&body)),
        }
    }
}

pub struct Watch {
    stream: std::pin::Pin<Box<dyn futures::Stream<Item = Bytes> + Send>>,
    waiting: Vec<Value>,
}

impl Watch {
    /// The next event, or nothing when the watch is over.
    pub async fn next(&mut self) -> Option<Value> {
        while self.waiting.is_empty() {
            let frame =
                tokio::time::timeout(std::time::Duration::from_secs(20), self.stream.next()).await.expect("an event")?;
            self.waiting =
                frame.split(|b| *b == b'\n').filter(|l| !l.is_empty()).map(|l| serde_json::from_slice(l).unwrap()).collect();
        }
        Some(self.waiting.remove(0))
    }

    /// Type and name of the next event.
    pub async fn told(&mut self) -> String {
        match self.next().await {
            Some(event) => {
                let name = event["object"]["metadata"]["name"].as_str().unwrap_or_default();
                format!("{} {name}", event["type"].as_str().unwrap_or_default()).trim_end().to_owned()
            }
            None => "over".to_owned(),
        }
    }
}

pub fn told(response: Response) -> (u16, Value) {
    match response.body {
        Body::Full(body) => (response.status, serde_json::from_slice(&body).unwrap_or(Value::Null)),
        Body::Stream(_) => panic!("a stream"),
    }
}

pub fn world() -> World {
    let machine = |index: u8| Machine {
        worker_id: format!("kube-{ID}-mycluster-default-0000000{index}"),
        pool_id: format!("{ID}-1234567"),
        pool_name: "default".to_owned(),
        zone: format!("us-south-{index}"),
        address: format!("10.240.0.{}", index + 3),
        flavor: "bx2.4x16".to_owned(),
        cpus: 4,
        memory_bytes: 16 << 30,
        disk_bytes: 100 << 30,
        architecture: "amd64".to_owned(),
        operating_system: "UBUNTU_24_64".to_owned(),
        version: "1.36.3".to_owned(),
        worker_version: "1.36.3_1525".to_owned(),
        ready: true,
        ..Machine::default()
    };
    World {
        id: ID.to_owned(),
        name: "mycluster".to_owned(),
        account_id: "a".repeat(32),
        region: "us-south".to_owned(),
        provider: "vpc-gen2".to_owned(),
        version: "1.36.3".to_owned(),
        created: "2026-01-01T00:00:00Z".parse().unwrap(),
        server: format!("https://127.0.0.1:7443/kube/{ID}"),
        service_subnet: "172.21.0.0/16".to_owned(),
        pod_subnet: "172.17.0.0/18".to_owned(),
        ingress_hostname: "mycluster-0000.us-south.containers.appdomain.cloud".to_owned(),
        machines: (1..=3).map(machine).collect(),
        grants: vec![Grant {
            subject: Subject::User("IAM#viewer@example.com".to_owned()),
            cluster_role: "view".to_owned(),
            binding: "ibm-view".to_owned(),
            namespace: None,
        }],
        ..World::default()
    }
}
