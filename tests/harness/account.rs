//! Somebody who works with the clusters of one account.

use serde_json::Value;

use super::http::{array, text};
use super::{Answer, Request, Server, User, check, wait};

/// Has an account of its own, and sends requests to paths below `/global`.
#[derive(Debug)]
pub struct Account<'a> {
    pub server: &'a Server,
    pub token: String,
    user: User,
}

impl<'a> Account<'a> {
    pub fn new(server: &'a Server, name: &str) -> Self {
        let user = server.account(name);
        Self { server, token: server.token(&user), user }
    }

    /// The owner.
    pub fn user(&self) -> &User {
        &self.user
    }

    /// Logs in anew, as somebody does whose token has expired.
    pub fn login_again(&mut self) {
        self.token = self.server.token(&self.user);
    }

    /// Sends `METHOD path`, with a body unless it is null.
    #[track_caller]
    pub fn call(&self, request: &str, body: &Value) -> Answer {
        let (method, path) = request.split_once(' ').expect("a method and a path");
        let request = Request::new(method, format!("/global{path}")).bearer(&self.token);
        self.server.send(if body.is_null() { request } else { request.json(body) })
    }

    #[track_caller]
    pub fn get(&self, path: &str) -> Value {
        self.call(&format!("GET {path}"), &Value::Null).json(200)
    }

    /// A refusal in the service's form, with this status and code.
    pub fn refused(&self, request: &str, body: &Value, status: u16, code: &str) -> Result<(), String> {
        check::refusal(&self.call(request, body), check::Service::Containers, status, code)
    }

    /// A VPC cluster with one worker, ready.
    #[track_caller]
    pub fn vpc(&mut self, name: &str) -> String {
        let id = self.server.create_vpc(&self.token, name);
        self.settle(&id);
        id
    }

    /// A classic cluster with one worker, ready.
    #[track_caller]
    pub fn classic(&mut self, name: &str) -> String {
        let id = self.server.create_classic(&self.token, name);
        self.settle(&id);
        id
    }

    /// Lets everything that was asked for be done. At the pace of the real service that takes 25 minutes, which pass.
    #[track_caller]
    pub fn settle(&mut self, cluster: &str) {
        if self.server.pace() == "real" {
            self.advance(25 * 60);
        }
        self.server.normal(&self.token, cluster);
        wait::until("master and workers to be as they should", wait::PATIENCE, || {
            let master = self.server.cluster(&self.token, cluster)["lifecycle"].take();
            if master["masterStatus"] != "Ready" {
                return Err(master.to_string());
            }
            let of = format!("/v1/clusters/{cluster}/workers");
            let workers = self.get(&of);
            let busy = array(&workers).iter().find(|w| w["state"] != "normal" || w["status"] != "Ready");
            busy.map_or(Ok(()), |worker| Err(worker.to_string()))
        });
    }

    /// Moves the clock forward and logs in again, as tokens last an hour.
    #[track_caller]
    pub fn advance(&mut self, seconds: u64) {
        self.server.advance_clock(seconds);
        self.token = self.server.token(&self.user);
    }

    /// Workers as v2 shows them; `more` is added to the query.
    #[track_caller]
    pub fn workers(&self, cluster: &str, more: &str) -> Vec<Value> {
        array(&self.get(&format!("/v2/getWorkers?cluster={cluster}{more}"))).clone()
    }

    #[track_caller]
    pub fn worker(&self, cluster: &str, id: &str) -> Value {
        self.get(&format!("/v2/getWorker?cluster={cluster}&worker={id}"))
    }

    #[track_caller]
    pub fn pool(&self, cluster: &str, pool: &str) -> Value {
        self.get(&format!("/v2/getWorkerPool?cluster={cluster}&workerpool={pool}"))
    }

    /// Waits until a worker is in a state.
    #[track_caller]
    pub fn until_state(&self, cluster: &str, worker: &str, state: &str) -> Value {
        wait::until(&format!("worker {worker} to be {state}"), wait::PATIENCE, || {
            let found = self.worker(cluster, worker);
            if found.pointer("/lifecycle/actualState") == Some(&state.into()) { Ok(found) } else { Err(found.to_string()) }
        })
    }

    /// How many addresses are free in a subnet.
    #[track_caller]
    pub fn free(&self, vpc: &str, zone: &str) -> i64 {
        let subnets = self.get(&format!("/v2/vpc/getSubnets?provider=vpc-gen2&vpc={vpc}&zone={zone}"));
        super::http::integer(&subnets, "/0/availableIPv4AddressCount")
    }
}

/// IDs of workers.
#[track_caller]
pub fn ids(workers: &[Value]) -> Vec<String> {
    workers.iter().map(|worker| text(worker, "/id").to_owned()).collect()
}
