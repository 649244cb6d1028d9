//! API servers of clusters in a server that is killed again and again under load. Every object that was acknowledged is there as it was
//! acknowledged, or as a request that was not answered left it; revisions never go back; and in the end all Deployments have their Pods.
//!
//! `BOATYARD_CRASHES` sets how often it is killed.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use aws_lc_rs::rand;
use reqwest::Method;
use reqwest::blocking::{Client, RequestBuilder, Response};
use serde_json::{Value, json};

use crate::harness::http::{array, text};
use crate::harness::{Request, Server, wait};

/// How often the server is killed unless the environment says otherwise.
const CRASHES: usize = 25;
const CLUSTERS: usize = 2;
/// How many clients write to each cluster, each its own objects, and how many objects each has of a kind at most.
const CLIENTS: usize = 2;
const OBJECTS: u8 = 4;

#[test]
fn no_object_is_lost_and_no_revision_goes_back_over_many_crashes() {
    let crashes = std::env::var("BOATYARD_CRASHES").ok().and_then(|n| n.parse().ok()).unwrap_or(CRASHES);
    let mut server = Server::builder().pace("fast").start();
    let clusters: Vec<_> = (0..CLUSTERS).map(|number| Cluster::new(&server, number)).collect();
    let stop = AtomicBool::new(false);
    let users: Vec<_> = std::thread::scope(|scope| {
        let (stop, mut users, mut watchers) = (&stop, Vec::new(), Vec::new());
        for cluster in &clusters {
            for number in 0..CLIENTS {
                let mut user = User::new(cluster, number);
                users.push(scope.spawn(move || {
                    while !stop.load(Ordering::Relaxed) {
                        user.act();
                    }
                    user
                }));
            }
            watchers.push(scope.spawn(move || Watcher::new(cluster).follow(stop)));
        }
        for _ in 0..crashes {
            // The moment is chance; what is asserted does not depend on it.
            std::thread::sleep(Duration::from_millis(u64::from(chance(250))));
            server.kill();
            server.start_again();
            if users.iter().any(std::thread::ScopedJoinHandle::is_finished) {
                break;
            }
        }
        stop.store(true, Ordering::Relaxed);
        let users: Vec<_> = users.into_iter().map(|user| user.join().expect("a client's findings hold")).collect();
        watchers.into_iter().for_each(|watcher| watcher.join().expect("a watcher's findings hold"));
        users
    });
    assert!(users.iter().map(|user| user.answered).sum::<usize>() > crashes, "there was hardly any load");
    for user in &users {
        user.everything_is_there();
        user.deployments_converge();
    }
}

/// A number below `limit`.
fn chance(limit: u8) -> u8 {
    let mut byte = [0];
    rand::fill(&mut byte).expect("there is chance");
    byte[0] % limit
}

fn revision(object: &Value) -> u64 {
    text(object, "/metadata/resourceVersion").parse().expect("a revision is a number")
}

/// A cluster's API server.
struct Cluster {
    url: String,
    token: String,
    /// The highest revision that anybody was told of.
    told: AtomicU64,
}

impl Cluster {
    fn new(server: &Server, number: usize) -> Self {
        let owner = server.account(&format!("crash-{number}"));
        let token = server.token(&owner);
        let id = server.create_vpc(&token, "kube");
        server.normal(&token, &id);
        let path = format!("/global/v2/getKubeconfig?cluster={id}&format=yaml");
        let kubeconfig = server.send(Request::get(path).bearer(&token));
        let kubeconfig: Value = yaml_serde::from_slice(&kubeconfig.expect(200).body).expect("YAML");
        let url = text(&kubeconfig, "/clusters/0/cluster/server").replace(&server.endpoint, &server.plain_endpoint());
        let token = text(&kubeconfig, "/users/0/user/auth-provider/config/id-token").to_owned();
        Self { url, token, told: AtomicU64::new(0) }
    }

    fn request(&self, http: &Client, method: Method, path: &str) -> RequestBuilder {
        http.request(method, format!("{}{path}", self.url)).bearer_auth(&self.token)
    }

    /// Notes a revision that was told, which must be `least` or later.
    #[track_caller]
    fn tell(&self, what: &str, revision: u64, least: u64) {
        assert!(revision >= least, "{what} is of revision {revision}, after others were told of up to {least}");
        self.told.fetch_max(revision, Ordering::SeqCst);
    }
}

/// What a client may have objects of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Map,
    Deployment,
}

impl Kind {
    fn path(self) -> &'static str {
        match self {
            Self::Map => "/api/v1/namespaces/default/configmaps",
            Self::Deployment => "/apis/apps/v1/namespaces/default/deployments",
        }
    }

    /// A new object. `value` is the number that changes of it.
    fn object(self, name: &str, owner: &str, value: u64) -> Value {
        let metadata = json!({ "name": name, "labels": { "owner": owner } });
        match self {
            Self::Map => json!({ "metadata": metadata, "data": { "value": value.to_string() } }),
            Self::Deployment => json!({
                "metadata": metadata,
                "spec": {
                    "replicas": value,
                    "selector": { "matchLabels": { "app": name } },
                    "template": {
                        "metadata": { "labels": { "app": name, "owner": owner } },
                        "spec": { "containers": [{ "name": "main", "image": "nginx" }] },
                    },
                },
            }),
        }
    }

    fn patch(self, value: u64) -> Value {
        match self {
            Self::Map => json!({ "data": { "value": value.to_string() } }),
            Self::Deployment => json!({ "spec": { "replicas": value } }),
        }
    }

    #[track_caller]
    fn value(self, object: &Value) -> u64 {
        match self {
            Self::Map => text(object, "/data/value").parse().expect("a number"),
            Self::Deployment => object["spec"]["replicas"].as_u64().expect("a number"),
        }
    }
}

/// An object as its client knows it.
#[derive(Clone, Debug, PartialEq)]
struct Known {
    uid: String,
    value: u64,
    revision: u64,
}

impl Known {
    fn of(kind: Kind, object: &Value) -> Self {
        Self { uid: text(object, "/metadata/uid").to_owned(), value: kind.value(object), revision: revision(object) }
    }
}

/// A client that asks for one thing at a time, and finds out what became of a request that was not answered before it goes on.
struct User<'a> {
    http: Client,
    cluster: &'a Cluster,
    label: String,
    objects: BTreeMap<(Kind, String), Known>,
    /// Values of maps: never the same one twice.
    number: u64,
    answered: usize,
}

impl<'a> User<'a> {
    fn new(cluster: &'a Cluster, number: usize) -> Self {
        let http = Client::builder().timeout(Duration::from_secs(10)).build().expect("a client");
        Self { http, cluster, label: format!("user-{number}"), objects: BTreeMap::new(), number: 0, answered: 0 }
    }

    fn act(&mut self) {
        let kind = if chance(4) == 0 { Kind::Deployment } else { Kind::Map };
        let name = format!("{}-{}", self.label, chance(OBJECTS));
        let key = (kind, name);
        match (self.objects.get(&key).cloned(), chance(6)) {
            (_, 0) => self.everything_is_there(),
            (None, _) => self.create(key),
            (Some(known), 1) => self.delete(key, &known),
            (Some(known), by) => self.change(key, &known, by % 2 == 0),
        }
    }

    fn next_value(&mut self, kind: Kind) -> u64 {
        self.number += 1;
        if kind == Kind::Deployment { u64::from(chance(3)) } else { self.number }
    }

    /// Status and body, or `None` if the server went down before they came.
    fn send(&mut self, request: RequestBuilder) -> Option<(u16, Value)> {
        let answer = answer(request)?;
        self.answered += 1;
        Some(answer)
    }

    /// Notes what was written by a request sent when all revisions up to `before` had been told.
    #[track_caller]
    fn keep(&mut self, key: (Kind, String), found: Known, before: u64) {
        self.cluster.tell(&format!("{key:?}"), found.revision, before + 1);
        self.objects.insert(key, found);
    }

    fn create(&mut self, key: (Kind, String)) {
        let (value, before) = (self.next_value(key.0), self.cluster.told.load(Ordering::SeqCst));
        let body = key.0.object(&key.1, &self.label, value);
        let request = self.cluster.request(&self.http, Method::POST, key.0.path()).json(&body);
        match self.send(request) {
            Some((201, made)) => {
                let made = Known::of(key.0, &made);
                self.keep(key, made, before);
            }
            Some(other) => panic!("{key:?} is not there, and cannot be created: {other:?}"),
            None => {
                if let Some(found) = self.look(&key) {
                    assert_eq!(found.value, value, "{key:?} was created by half");
                    self.keep(key, found, before);
                }
            }
        }
    }

    fn change(&mut self, key: (Kind, String), known: &Known, replace: bool) {
        let (value, before) = (self.next_value(key.0), self.cluster.told.load(Ordering::SeqCst));
        let path = format!("{}/{}", key.0.path(), key.1);
        // Controllers write to Deployments too, so only maps can be replaced without a conflict.
        let request = if replace && key.0 == Kind::Map {
            let mut body = key.0.object(&key.1, &self.label, value);
            body["metadata"]["resourceVersion"] = json!(known.revision.to_string());
            self.cluster.request(&self.http, Method::PUT, &path).json(&body)
        } else {
            let request = self.cluster.request(&self.http, Method::PATCH, &path);
            request.header("Content-Type", "application/merge-patch+json").body(key.0.patch(value).to_string())
        };
        let found = match self.send(request) {
            Some((200, changed)) => {
                let changed = Known::of(key.0, &changed);
                assert_eq!(changed.value, value, "{key:?}");
                changed
            }
            Some(other) => panic!("{key:?} cannot be changed: {other:?}"),
            None => {
                let found = self.look(&key).unwrap_or_else(|| panic!("{key:?} was lost"));
                assert!(
                    [known.value, value].contains(&found.value),
                    "{key:?} is {found:?}, and was {known:?}, asked to be {value}"
                );
                found
            }
        };
        self.same_or_later(&key, known, &found);
        if found.value == known.value {
            self.objects.insert(key, found);
        } else {
            self.keep(key, found, before);
        }
    }

    fn delete(&mut self, key: (Kind, String), known: &Known) {
        let path = format!("{}/{}", key.0.path(), key.1);
        // Whoever wants it gone asks until there is an answer.
        let status = loop {
            let request = self.cluster.request(&self.http, Method::DELETE, &path);
            if let Some((status, _)) = answer(request) {
                break status;
            }
        };
        self.answered += 1;
        assert!([200, 404].contains(&status), "{key:?}, which was {known:?}, cannot be deleted: {status}");
        self.objects.remove(&key);
        assert_eq!(self.look(&key), None, "{key:?} is deleted, and is there");
    }

    /// An object, asked for until the server is there to answer.
    fn look(&self, key: &(Kind, String)) -> Option<Known> {
        let path = format!("{}/{}", key.0.path(), key.1);
        match ask(|| self.cluster.request(&self.http, Method::GET, &path)) {
            (200, found) => Some(Known::of(key.0, &found)),
            (404, _) => None,
            other => panic!("{key:?} cannot be read: {other:?}"),
        }
    }

    /// Nobody else writes to what a client has but controllers, which leave its value alone.
    fn same_or_later(&self, key: &(Kind, String), known: &Known, found: &Known) {
        assert_eq!(known.uid, found.uid, "{key:?} is another one");
        assert!(found.revision >= known.revision, "{key:?} was {known:?}, and is {found:?}");
        let unchanged = found.revision == known.revision;
        assert!(!unchanged || found.value == known.value, "{key:?} was {known:?}, and is {found:?}");
    }

    /// Lists what it has, and finds all of it and nothing else.
    fn everything_is_there(&self) {
        for kind in [Kind::Map, Kind::Deployment] {
            let before = self.cluster.told.load(Ordering::SeqCst);
            let path = format!("{}?labelSelector=owner%3D{}", kind.path(), self.label);
            let (status, list) = ask(|| self.cluster.request(&self.http, Method::GET, &path));
            assert_eq!(status, 200, "{list}");
            self.cluster.tell("a list", revision(&list), before);
            let items = array(&list["items"]).iter();
            let found: BTreeMap<_, _> =
                items.map(|item| ((kind, text(item, "/metadata/name").to_owned()), Known::of(kind, item))).collect();
            let known: Vec<_> = self.objects.iter().filter(|((k, _), _)| *k == kind).collect();
            assert!(known.iter().map(|(key, _)| *key).eq(found.keys()), "known: {known:?}, found: {found:?}");
            for (key, known) in known {
                let found = &found[key];
                self.same_or_later(key, known, found);
                assert_eq!(found.value, known.value, "{key:?}");
                assert!(kind != Kind::Map || found == known, "{key:?} was {known:?}, and is {found:?}");
                assert!(found.revision <= revision(&list), "{key:?} is of a later revision than the list that it stands in");
            }
        }
    }

    /// There are as many Pods as the client wanted, all running, and no others.
    fn deployments_converge(&self) {
        let wanted: u64 =
            self.objects.iter().filter(|((kind, _), _)| *kind == Kind::Deployment).map(|(_, known)| known.value).sum();
        let of = format!("?labelSelector=owner%3D{}", self.label);
        wait::until(&format!("{wanted} Pods of {} to run", self.label), wait::PATIENCE, || {
            let path = format!("/api/v1/namespaces/default/pods{of}");
            let (_, pods) = ask(|| self.cluster.request(&self.http, Method::GET, &path));
            let phases: Vec<_> = array(&pods["items"]).iter().map(|pod| text(pod, "/status/phase")).collect();
            let (_, list) = ask(|| self.cluster.request(&self.http, Method::GET, &format!("{}{of}", Kind::Deployment.path())));
            let done = array(&list["items"]).iter().all(|deployment| {
                let (spec, status) = (&deployment["spec"], &deployment["status"]);
                let available = status["availableReplicas"].as_u64().unwrap_or_default();
                deployment["metadata"]["generation"] == status["observedGeneration"] && spec["replicas"] == available
            });
            let running = phases.iter().all(|phase| *phase == "Running") && phases.len() as u64 == wanted;
            if done && running { Ok(()) } else { Err(format!("{phases:?}; {list}")) }
        });
    }
}

/// Status and body, or `None` if the server is down, which needs the processor then to come up.
fn answer(request: RequestBuilder) -> Option<(u16, Value)> {
    let Ok(answer) = request.send() else {
        std::thread::sleep(Duration::from_millis(2));
        return None;
    };
    let status = answer.status().as_u16();
    let body = answer.text().ok()?;
    Some((status, serde_json::from_str(&body).unwrap_or_else(|e| panic!("{status} with {body:?}, which is not JSON: {e}"))))
}

/// Asks until the server is there to answer.
fn ask(request: impl Fn() -> RequestBuilder) -> (u16, Value) {
    loop {
        if let Some(answer) = answer(request()) {
            return answer;
        }
    }
}

/// Follows the maps of a cluster as an informer does.
struct Watcher<'a> {
    http: Client,
    cluster: &'a Cluster,
    revision: u64,
    /// By name.
    objects: BTreeMap<String, u64>,
}

impl<'a> Watcher<'a> {
    fn new(cluster: &'a Cluster) -> Self {
        // A watch that says nothing for so long has hung.
        let http = Client::builder().timeout(Duration::from_secs(20)).build().expect("a client");
        Self { http, cluster, revision: 0, objects: BTreeMap::new() }
    }

    /// Until the load is over, and the watch has told of everything that is there.
    fn follow(mut self, stop: &AtomicBool) {
        self.begin_anew();
        let deadline = || Instant::now() + wait::PATIENCE;
        let mut end = deadline();
        loop {
            self.watch();
            if !stop.load(Ordering::Relaxed) {
                end = deadline();
                continue;
            }
            let (_, listed) = self.list();
            if self.objects == listed {
                return;
            }
            assert!(Instant::now() < end, "the watch tells of {:?}, and there are {listed:?}", self.objects);
        }
    }

    fn list(&self) -> (u64, BTreeMap<String, u64>) {
        let before = self.cluster.told.load(Ordering::SeqCst);
        let (status, list) = ask(|| self.cluster.request(&self.http, Method::GET, Kind::Map.path()));
        assert_eq!(status, 200, "{list}");
        self.cluster.tell("a list", revision(&list), before);
        let items = array(&list["items"]).iter().map(|item| (text(item, "/metadata/name").to_owned(), revision(item)));
        (revision(&list), items.collect())
    }

    /// Watches until the server goes down, or for a second.
    fn watch(&mut self) {
        let path = format!("{}?watch=1&timeoutSeconds=1&resourceVersion={}", Kind::Map.path(), self.revision);
        let Ok(answer) = self.cluster.request(&self.http, Method::GET, &path).send() else {
            std::thread::sleep(Duration::from_millis(2));
            return;
        };
        match answer.status().as_u16() {
            200 => self.read(answer),
            410 => self.begin_anew(),
            status => panic!("a watch from {} on answers {status}: {:?}", self.revision, answer.text()),
        }
    }

    fn read(&mut self, answer: Response) {
        for line in BufReader::new(answer).split(b'\n') {
            // What was on its way when the server went down is told again.
            let Some(event) = line.ok().and_then(|line| serde_json::from_slice::<Value>(&line).ok()) else { return };
            let object = &event["object"];
            if event["type"] == "ERROR" {
                assert_eq!(object["code"], 410, "{event}");
                return self.begin_anew();
            }
            let (name, at) = (text(object, "/metadata/name").to_owned(), revision(object));
            assert!(at > self.revision, "{event} comes after revision {}", self.revision);
            self.revision = at;
            self.cluster.told.fetch_max(at, Ordering::SeqCst);
            match text(&event, "/type") {
                "DELETED" => drop(self.objects.remove(&name)),
                _ => drop(self.objects.insert(name, at)),
            }
        }
    }

    /// The server does not remember what happened since.
    fn begin_anew(&mut self) {
        (self.revision, self.objects) = self.list();
    }
}
