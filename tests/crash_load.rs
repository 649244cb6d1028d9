//! A server that is killed again and again under load. What it answered is so; what it did not answer is done or not done, never
//! half; and in the end everything comes to rest with nothing lost, orphaned or doubled.
//!
//! `BOATYARD_CRASHES` sets how often it is killed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use aws_lc_rs::rand;
use reqwest::StatusCode;
use reqwest::blocking::Client;
use serde_json::{Value, json};

use crate::harness::http::{array, integer, text};
use crate::harness::{Request, Server, wait};

/// How often the server is killed unless the environment says otherwise.
const CRASHES: usize = 25;
/// How many clients send requests at the same time, and among how many clusters each chooses.
const CLIENTS: usize = 4;
const CLUSTERS: usize = 3;

#[test]
fn nothing_that_was_answered_is_lost_over_many_crashes_under_load() {
    let crashes = std::env::var("BOATYARD_CRASHES").ok().and_then(|n| n.parse().ok()).unwrap_or(CRASHES);
    let mut server = Server::builder().pace("fast").start();
    let token = server.token(&server.administrator);
    let order = server.vpc_order(&token, "");
    let endpoint = server.plain_endpoint();
    let stop = AtomicBool::new(false);
    let known = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|number| {
                let mut user = User::new(number, &endpoint, &token, &order);
                let stop = &stop;
                scope.spawn(move || {
                    while !stop.load(Ordering::Relaxed) {
                        user.act();
                    }
                    user
                })
            })
            .collect();
        for _ in 0..crashes {
            // The moment is chance; what is asserted does not depend on it.
            std::thread::sleep(Duration::from_millis(u64::from(chance(200))));
            server.kill();
            server.start_again();
        }
        stop.store(true, Ordering::Relaxed);
        let users: Vec<_> = clients.into_iter().map(|client| client.join().expect("a client's findings hold")).collect();
        assert!(users.iter().map(|user| user.answered).sum::<usize>() > crashes, "there was hardly any load");
        users.into_iter().flat_map(|user| user.clusters).collect::<BTreeMap<_, _>>()
    });
    converges(&server, &token, &known);
}

/// A number below `limit`.
fn chance(limit: u8) -> u8 {
    let mut byte = [0];
    rand::fill(&mut byte).expect("there is chance");
    byte[0] % limit
}

/// A cluster as its client knows it: its ID and the size of its pool.
#[derive(Clone, Debug, PartialEq)]
struct Known {
    id: String,
    size: i64,
}

/// One client. It asks for one thing at a time, and clears up what became of a request that was not answered before it goes on.
struct User {
    http: Client,
    endpoint: String,
    token: String,
    order: Value,
    names: Vec<String>,
    clusters: BTreeMap<String, Known>,
    answered: usize,
}

impl User {
    fn new(number: usize, endpoint: &str, token: &str, order: &Value) -> Self {
        let http = Client::builder().timeout(Duration::from_secs(10)).build().expect("a client");
        let names = (0..CLUSTERS).map(|cluster| format!("c{number}-{cluster}")).collect();
        let (endpoint, token, order) = (endpoint.to_owned(), token.to_owned(), order.clone());
        Self { http, endpoint, token, order, names, clusters: BTreeMap::new(), answered: 0 }
    }

    fn act(&mut self) {
        let name = self.names[usize::from(chance(3))].clone();
        match (self.clusters.get(&name).cloned(), chance(4)) {
            (None, _) => self.create(&name),
            (Some(known), 0) => self.delete(&name, &known),
            (Some(known), _) => self.resize(&name, &known, i64::from(chance(4)) + 1),
        }
    }

    /// An answer, or `None` if the server went down before one came.
    fn post(&mut self, path: &str, body: &Value) -> Option<(StatusCode, String)> {
        let request = self.http.post(format!("{}{path}", self.endpoint)).bearer_auth(&self.token).json(body);
        let answer = request.send().ok()?;
        let answer = (answer.status(), answer.text().ok()?);
        self.answered += 1;
        Some(answer)
    }

    fn create(&mut self, name: &str) {
        let mut order = self.order.clone();
        order["name"] = json!(name);
        order["workerPool"]["workerCount"] = json!(2);
        match self.post("/global/v2/vpc/createCluster", &order) {
            Some((StatusCode::CREATED, body)) => {
                let body: Value = serde_json::from_str(&body).expect("JSON");
                self.clusters.insert(name.to_owned(), Known { id: text(&body, "/clusterID").to_owned(), size: 2 });
            }
            Some(other) => panic!("{name} is not there, and cannot be created: {other:?}"),
            None => {
                if let Some((id, size)) = self.look(name) {
                    assert_eq!(size, 2, "{name} was created by half");
                    self.clusters.insert(name.to_owned(), Known { id, size });
                }
            }
        }
    }

    fn resize(&mut self, name: &str, known: &Known, size: i64) {
        let body = json!({ "cluster": known.id, "workerpool": "default", "size": size });
        match self.post("/global/v2/resizeWorkerPool", &body) {
            Some((StatusCode::ACCEPTED, _)) => {}
            Some(other) => panic!("{name} cannot be resized: {other:?}"),
            None => {
                let (id, found) = self.look(name).unwrap_or_else(|| panic!("{name} was lost"));
                assert_eq!(id, known.id);
                assert!([known.size, size].contains(&found), "{name} has {found}, neither {} nor {size}", known.size);
                self.clusters.insert(name.to_owned(), Known { id, size: found });
                return;
            }
        }
        self.clusters.insert(name.to_owned(), Known { size, ..known.clone() });
    }

    fn delete(&mut self, name: &str, known: &Known) {
        let url = format!("{}/global/v1/clusters/{}", self.endpoint, known.id);
        // Whoever wants it gone asks until there is an answer.
        let status = loop {
            if let Ok(answer) = self.http.delete(&url).bearer_auth(&self.token).send() {
                break answer.status();
            }
        };
        assert!([StatusCode::NO_CONTENT, StatusCode::NOT_FOUND].contains(&status), "{name} cannot be deleted: {status}");
        self.answered += 1;
        self.clusters.remove(name);
        // Its name is free once it is gone.
        self.wait(|user| user.look(name).is_none(), &format!("{name} to be gone"));
    }

    /// A cluster's ID and the size of its pool, asked for until the server is there to answer.
    fn look(&self, name: &str) -> Option<(String, i64)> {
        let url = |path: &str| format!("{}/global/v2/vpc/{path}?cluster={name}", self.endpoint);
        loop {
            let get = |path: &str| self.http.get(url(path)).bearer_auth(&self.token).send();
            let Ok(answer) = get("getWorkerPools") else { continue };
            if answer.status() == StatusCode::NOT_FOUND {
                return None;
            }
            assert_eq!(answer.status(), StatusCode::OK);
            let Ok(pools) = answer.json::<Value>() else { continue };
            let Ok(Ok(cluster)) = get("getCluster").map(reqwest::blocking::Response::json::<Value>) else { continue };
            // It may have gone in between.
            let Some(id) = cluster["id"].as_str() else { continue };
            return Some((id.to_owned(), integer(&pools, "/0/workerCount")));
        }
    }

    fn wait(&self, condition: impl Fn(&Self) -> bool, what: &str) {
        wait::until(what, wait::PATIENCE, || if condition(self) { Ok(()) } else { Err("not yet".to_owned()) });
    }
}

/// Everything comes to rest as the clients know it, and there is nothing else.
fn converges(server: &Server, token: &str, known: &BTreeMap<String, Known>) {
    let mut workers = 0;
    let mut addresses = BTreeSet::new();
    for (name, cluster) in known {
        let shown = wait::until(&format!("{name} to be normal"), wait::PATIENCE, || {
            let shown = server.cluster(token, &cluster.id);
            let done = shown["state"] == "normal" && shown["workerCount"] == cluster.size;
            if done { Ok(shown) } else { Err(format!("{} with {} workers", shown["state"], shown["workerCount"])) }
        });
        assert_eq!(text(&shown, "/name"), name);
        let path = format!("/global/v1/clusters/{}/workers", cluster.id);
        let listed = server.send(Request::get(path).bearer(token)).json(200);
        for worker in array(&listed) {
            assert_eq!(worker["state"], "normal");
            assert!(addresses.insert(text(worker, "/privateIP").to_owned()), "an address is had twice: {worker}");
            workers += 1;
        }
    }
    let listed = server.send(Request::get("/global/v2/clusters").bearer(token)).json(200);
    let listed: BTreeSet<_> = array(&listed).iter().map(|cluster| text(cluster, "/name").to_owned()).collect();
    assert_eq!(listed, known.keys().cloned().collect::<BTreeSet<_>>(), "nothing is lost, orphaned or doubled");
    assert_eq!(known.values().map(|cluster| cluster.size).sum::<i64>(), workers);
    let (vpc, zone, _) = server.vpc_place(token);
    let path = format!("/global/v2/vpc/getSubnets?provider=vpc-gen2&vpc={vpc}&zone={zone}");
    let subnets = server.send(Request::get(path).bearer(token)).json(200);
    assert_eq!(integer(&subnets, "/0/availableIPv4AddressCount"), 251 - workers, "addresses come back");
}
