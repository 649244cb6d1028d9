//! Worker pools, workers, zones and masters on the command line, against a real server.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::Stdio;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::harness::boatyard::Shell;
use crate::harness::http::{array, text};
use crate::harness::{Request, Server, shared, wait};

/// A user with a normal VPC cluster `mine` of two workers, and the subnet of another zone.
struct Vpc {
    /// It ends when nobody holds it.
    _server: Arc<Server>,
    shell: Shell,
    zone: String,
    subnet: String,
}

impl Vpc {
    fn new(account: &str, version: &str) -> Self {
        let server = shared();
        let user = server.account(account);
        let shell = Shell::logged_in(&server, &user);
        let (vpc, zones) = server.vpc_zones(&server.token(&user));
        let (first, other) = (&zones[0], &zones[1]);
        let place = ["--zone", text(first, "/id"), "--vpc-id", &vpc, "--subnet-id", text(first, "/subnetID")];
        let what = ["--name", "mine", "--flavor", "bx2.4x16", "--workers", "2", "--version", version, "--wait"];
        shell.ok([&["cluster", "create", "vpc-gen2"], &place[..], &what].concat());
        let (zone, subnet) = (text(other, "/id").to_owned(), text(other, "/subnetID").to_owned());
        Self { _server: server, shell, zone, subnet }
    }

    fn words<'a>(&self, line: &'a str) -> Vec<&'a str> {
        line.split_whitespace().collect()
    }

    #[track_caller]
    fn ok(&self, line: &str) -> String {
        self.shell.ok(self.words(line))
    }

    #[track_caller]
    fn json(&self, line: &str) -> Value {
        self.shell.json([&self.words(line)[..], &["--output", "json"]].concat())
    }

    /// Runs a command that is to end with this code, and returns what it says on standard error.
    #[track_caller]
    fn refused(&self, line: &str, code: i32) -> String {
        let finished = self.shell.run(self.words(line));
        assert_eq!(finished.status.code(), Some(code), "{line}: {}{}", finished.stdout, finished.stderr);
        finished.stderr
    }

    /// IDs of the workers in the order of the table.
    #[track_caller]
    fn workers(&self, rest: &str) -> Vec<String> {
        let table = self.ok(&format!("worker ls -q -c mine {rest}"));
        table.lines().skip(1).filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect()
    }

    #[track_caller]
    fn add_pool(&self, name: &str, size: usize) {
        self.ok(&format!("worker-pool create vpc-gen2 -c mine --name {name} --flavor bx2.4x16 --size-per-zone {size}"));
        self.ok(&format!("zone add vpc-gen2 -c mine -p {name} --zone {} --subnet-id {} --wait", self.zone, self.subnet));
    }
}

#[test]
fn a_pool_is_created_filled_resized_emptied_and_removed() {
    let vpc = Vpc::new("life-pool", "1.36");
    let line = "worker-pool create vpc-gen2 -c mine --name extra --flavor bx2.4x16 --size-per-zone 2 -l app=web -q --wait";
    let id = vpc.ok(line).trim().to_owned();
    let pool = vpc.json("worker-pool get -c mine -p extra");
    assert_eq!((text(&pool, "/id"), &pool["labels"]["app"], &pool["workerCount"]), (id.as_str(), &json!("web"), &json!(2)));
    assert!(vpc.workers("-p extra").is_empty(), "without a zone there is no worker");
    assert_eq!(
        vpc.refused("worker-pool create vpc-gen2 -c mine --name extra --flavor bx2.4x16 --size-per-zone 2", 1).lines().next(),
        Some("FAILED")
    );

    let added = vpc.json(&format!("zone add vpc-gen2 -c mine -p {id} --zone {} --subnet-id {} --wait", vpc.zone, vpc.subnet));
    assert_eq!(added.pointer("/0/zones/0/id"), Some(&json!(vpc.zone)), "{added}");
    let workers = vpc.json("worker ls -c mine -p extra");
    assert_eq!(array(&workers).len(), 2);
    for worker in array(&workers) {
        // What Terraform's wait for a pool asks for.
        assert_eq!((text(worker, "/lifecycle/actualState"), text(worker, "/health/state")), ("deployed", "normal"), "{worker}");
        assert_eq!(text(worker, "/location"), vpc.zone);
    }

    for size in [4, 1] {
        vpc.ok(&format!("worker-pool resize -c mine -p extra --size-per-zone {size} --wait"));
        assert_eq!(vpc.workers("-p extra").len(), size, "it waits until surplus workers are gone too");
    }
    let table = vpc.ok("worker-pool ls -c mine -q");
    let row: Vec<_> = table.lines().find(|line| line.starts_with("extra")).unwrap().split_whitespace().collect();
    assert_eq!(row[..6], ["extra", &id, "bx2.4x16", "1", "1", &vpc.zone]);

    let zone = vpc.zone.as_str();
    assert!(vpc.refused(&format!("zone rm -c mine -p extra --zone {zone}"), 2).contains("`-f`"));
    vpc.ok(&format!("zone rm -c mine -p extra --zone {zone} -f --wait"));
    assert!(vpc.workers("-p extra").is_empty());
    assert_eq!(vpc.json("worker-pool zones -c mine -p extra"), json!([]));

    assert!(vpc.refused("worker-pool rm -c mine -p extra", 2).contains("Remove the worker pool extra"));
    let removed = vpc.json("worker-pool rm -c mine -p extra -f --wait");
    assert_eq!(removed, json!({"id": id, "poolName": "extra", "state": "deleted"}));
    assert!(vpc.refused("worker ls -c mine -p extra", 1).contains("worker pool could not be found"));
}

#[test]
fn workers_are_rebooted_reloaded_replaced_and_removed() {
    let vpc = Vpc::new("life-worker", "1.36");
    let [first, second] = vpc.workers("").try_into().unwrap();
    for line in ["worker reboot -c mine", "worker reload -c mine", "worker replace -c mine", "worker rm -c mine"] {
        let said = vpc.refused(&format!("{line} -w {first}"), 2);
        assert!(said.contains(&first) && said.contains("`-f`"), "{line}: {said}");
    }
    for line in ["worker reboot -c mine", "worker reboot -c mine --hard --skip-master-healthcheck", "worker reload"] {
        let done = vpc.json(&format!("{line} -w {first} -w {second} -f --wait"));
        assert_eq!(array(&done).len(), 2);
        assert!(array(&done).iter().all(|w| text(w, "/health/state") == "normal"), "{line}: {done}");
    }
    assert_eq!(vpc.workers(""), [first.as_str(), &second], "they keep their IDs");

    let new = vpc.ok(&format!("worker replace -c mine -w {first} -f --wait -q")).trim().to_owned();
    let now = vpc.workers("");
    assert!(now.contains(&new) && now.contains(&second) && !now.contains(&first), "{now:?}");
    assert!(vpc.workers("--show-deleted").contains(&first));
    assert_eq!(text(&vpc.json(&format!("worker get -c mine -w {first}")), "/lifecycle/actualState"), "deleted");

    vpc.ok(&format!("worker rm -c mine -w {new} -f --wait"));
    assert_eq!(vpc.workers(""), [second.as_str()]);
    vpc.ok("worker-pool rebalance -c mine -p default --wait");
    assert_eq!(vpc.workers("").len(), 2);

    // A mistyped ID stops the command before anything is done to the others.
    let said = vpc.refused(&format!("worker rm -c mine -w {second} -w nobody -f"), 1);
    assert!(said.contains("worker node could not be found") && vpc.workers("").contains(&second), "{said}");
    let said = vpc.refused(&format!("worker update -c mine -w {second} -f"), 1);
    assert!(said.contains("worker replace --update"), "it says what there is on VPC: {said}");
    let shown = vpc.ok(&format!("worker get -c mine -w {second}"));
    assert!(shown.contains("normal") && shown.contains("Worker pool:") && shown.contains(&second), "{shown}");
}

#[test]
fn labels_and_taints_are_not_lost_unasked() {
    let vpc = Vpc::new("life-marks", "1.36");
    vpc.ok("worker-pool label set -c mine -p default -l app=web -l tier=front");
    vpc.ok("worker-pool label set -c mine -p default -l app=db -l tier=front");
    let said = vpc.refused("worker-pool label set -c mine -p default -l app=db", 2);
    assert!(said.contains("tier=front") && !said.contains("app="), "only what is lost is asked about: {said}");
    let pool = vpc.json("worker-pool label set -c mine -p default -l app=db -f");
    assert_eq!((pool["labels"]["app"].as_str(), pool["labels"].get("tier")), (Some("db"), None));
    vpc.ok("worker-pool taint set -c mine -p default --taint only=gpu:NoSchedule");
    assert_eq!(vpc.json("worker-pool get -c mine -p default")["taints"], json!({"only": "gpu:NoSchedule"}));
    vpc.refused("worker-pool taint rm -c mine -p default", 2);
    for line in ["label rm -c mine -p default -f", "taint rm -c mine -p default -f"] {
        vpc.ok(&format!("worker-pool {line}"));
    }
    let pool = vpc.json("worker-pool get -c mine -p default");
    assert!(pool["labels"].get("app").is_none() && pool["taints"].get("only").is_none(), "{pool}");
    assert!(vpc.refused("worker-pool operating-system set -c mine -p default --operating-system DOS", 1).contains("DOS"));
    vpc.ok("worker-pool operating-system set -c mine -p default --operating-system UBUNTU_24_64");
}

#[test]
fn a_master_is_updated_and_workers_follow() {
    let vpc = Vpc::new("life-master", "1.35");
    assert!(vpc.refused("cluster master update -c mine --version 1.36", 2).contains("There is no way back"));
    let updated = vpc.json("cluster master update -c mine --version 1.36 -f --wait");
    let version = text(&updated, "/masterKubeVersion").to_owned();
    assert!(version.starts_with("1.36.") && !version.contains("pending"), "{version}");
    assert_eq!(text(&updated, "/lifecycle/masterState"), "deployed");
    assert!(vpc.refused("cluster master update -c mine --version 1.36 -f", 1).contains("already up to date"));

    let listed = vpc.shell.run(["worker", "ls", "-c", "mine"]);
    assert!(listed.stdout.contains('*') && listed.stderr.contains("worker replace --update"), "{}", listed.stdout);
    let old = vpc.workers("").remove(0);
    let new = vpc.json(&format!("worker replace -c mine -w {old} --update -f --wait"));
    assert_eq!(text(&new, "/0/kubeVersion/actual"), version);

    vpc.ok("cluster master refresh -c mine --wait");
    vpc.refused("cluster master public-service-endpoint disable -c mine", 2);
    let endpoints = |cluster: Value| cluster.pointer("/serviceEndpoints/publicServiceEndpointEnabled").cloned();
    let off = vpc.json("cluster master public-service-endpoint disable -c mine -f -y --wait");
    assert_eq!(endpoints(off), Some(json!(false)));
    let on = vpc.json("cluster master public-service-endpoint enable -c mine");
    assert_eq!(endpoints(on), Some(json!(true)));
    vpc.refused("cluster master private-service-endpoint disable -c mine -f", 1);
}

#[test]
fn a_classic_cluster_gets_pools_zones_and_updates() {
    let server = shared();
    let user = server.account("life-classic");
    let (token, shell) = (server.token(&user), Shell::logged_in(&server, &user));
    let ok = |line: &str| shell.ok(line.split_whitespace());
    ok("cluster create classic --name old --zone dal10 --flavor b3c.4x16 --version 1.35 --wait");
    let pool =
        "worker-pool create classic -c old --name extra --flavor b3c.4x16 --size-per-zone 1 --hardware dedicated --wait -q";
    ok(pool);
    let (public, private) = server.vlans(&token);
    ok(&format!("zone add classic -c old -p extra --zone dal10 --private-vlan {private} --public-vlan {public} --wait"));
    let zones = ok("worker-pool zones -c old -p extra -q");
    let row: Vec<_> = zones.lines().nth(1).unwrap().split_whitespace().collect();
    assert_eq!(row, ["dal10", "1", &private, &public]);
    ok(&format!("zone network-set -c old -p extra -p default --zone dal10 --private-vlan {private} --public-vlan {public} -f"));
    let table = ok("worker ls -c old -q");
    assert!(table.lines().next().unwrap().contains("Public IP"), "{table}");

    ok("cluster master update -c old --version 1.36 -f --wait -q");
    let worker = table.lines().nth(1).unwrap().split_whitespace().next().unwrap();
    let updated = shell.json(["worker", "update", "-c", "old", "-w", worker, "-f", "--wait", "--output", "json"]);
    let version = updated.pointer("/0/kubeVersion").unwrap();
    assert_eq!(version["actual"], version["target"], "{updated}");
}

#[test]
fn many_workers_are_counted_by_state() {
    let vpc = Vpc::new("life-many", "1.36");
    vpc.add_pool("extra", 1);
    let finished = vpc.shell.run("worker-pool resize -c mine -p extra --size-per-zone 9 --wait".split_whitespace());
    assert_eq!(finished.status.code(), Some(0), "{}", finished.stderr);
    assert!(finished.stderr.ends_with("9 workers: 9 normal\n"), "{}", finished.stderr);
    let quiet = vpc.shell.run("worker-pool resize -c mine -p extra --size-per-zone 1 --wait -q".split_whitespace());
    assert_eq!((quiet.stdout.as_str(), quiet.stderr.as_str()), ("", ""), "-q says nothing");
}

#[test]
fn a_wait_ends_with_the_reason_when_the_work_cannot_be_done() {
    // At this pace nothing is done while nobody moves the clock.
    let server = Server::builder().pace("real").start();
    let user = server.account("life-reason");
    let (token, shell) = (server.token(&user), Shell::logged_in(&server, &user));
    let id = server.create_vpc(&token, "mine");
    wait::until("the cluster", wait::PATIENCE, || {
        server.advance_clock(600);
        let state = text(&server.cluster(&token, &id), "/state").to_owned();
        if state == "normal" { Ok(()) } else { Err(state) }
    });
    let resize = "worker-pool resize -c mine -p default --size-per-zone 3 --wait";
    let late = shell.run(resize.split_whitespace().chain(["--timeout", "0s"]));
    assert_eq!(late.status.code(), Some(1));
    assert!(late.stderr.contains("is not done with its workers after 0 s: "), "{}", late.stderr);
    assert!(late.stderr.contains("provision_pending") && late.stderr.contains("--timeout"), "{}", late.stderr);

    let mut command = shell.command(resize.split_whitespace());
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut said = BufReader::new(child.stderr.take().unwrap());
    let mut seen = String::new();
    while !seen.contains("provision") {
        assert!(said.read_line(&mut seen).unwrap() > 0, "it ended too early: {seen}");
    }
    server.send(Request::delete(format!("/global/v1/clusters/{id}")).bearer(&token)).expect(204);
    said.read_to_string(&mut seen).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(1), "{seen}");
    assert!(seen.contains("FAILED\nThe cluster mine is not there to be waited for: deleting"), "{seen}");
}
