//! What a stranger can send does not stop the server, and is answered in the service's own form.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::harness::check::{self, Service};
use crate::harness::postgres::Postgres;
use crate::harness::{BX, PASSWORD, Request, Server};

#[test]
fn a_connection_that_says_little_or_nothing_is_closed() {
    let server = Server::start();
    // The time for a request's head runs from the first byte on, whatever that begins to look like.
    let begun = [&b""[..], b"P", b"PRI * HTT", b"GET / HTTP/1.1\r\nHost: x\r\n"];
    let mut held: Vec<_> = begun
        .iter()
        .map(|bytes| {
            let mut stream = TcpStream::connect(server.address()).unwrap();
            stream.write_all(bytes).unwrap();
            stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
            (bytes, stream)
        })
        .collect();
    let start = Instant::now();
    for (bytes, stream) in &mut held {
        let mut rest = Vec::new();
        let ended = stream.read_to_end(&mut rest);
        assert!(ended.is_ok() && start.elapsed() < Duration::from_secs(60), "still open after {bytes:?}: {ended:?}");
    }
}

#[test]
fn names_with_nul_characters_are_refused_on_both_databases() {
    let database = Postgres::start();
    let servers = [Server::start(), Server::builder().env("BOATYARD_DATABASE_URL", &database.url()).start()];
    for server in &servers {
        let token = server.token(&server.administrator);
        let get = |path: &str| Request::get(path).bearer(&token);
        for path in ["/global/v1/clusters/a%00b", "/global/v2/getCluster?cluster=%00"] {
            check::refusal(&server.send(get(path)), Service::Containers, 400, "E0011").unwrap();
        }
        let mut order = server.vpc_order(&token, "nul");
        order["name"] = json!("a\0b");
        let create = Request::post("/global/v2/vpc/createCluster").bearer(&token).json(&order);
        check::refusal(&server.send(create), Service::Containers, 400, "E0011").unwrap();
        let login = [("grant_type", PASSWORD), ("username", "a\0b"), ("password", "x")];
        let login = Request::post("/identity/token").header("Authorization", BX).form(&login);
        check::refusal(&server.send(login), Service::Iam, 400, "BXNIM0106E").unwrap();
        check::refusal(&server.send(get("/coe/v2/accounts?_start=1-%00")), Service::Iam, 400, "").unwrap();
    }
}

#[test]
fn a_number_of_workers_beyond_all_bounds_is_refused() {
    let server = Server::start();
    let token = server.token(&server.administrator);
    let mut order = server.vpc_order(&token, "many");
    for count in [501_i64, i64::MAX, 6_148_914_691_236_517_206, -1] {
        order["workerPool"]["workerCount"] = count.into();
        let create = Request::post("/global/v2/vpc/createCluster").bearer(&token).json(&order);
        check::refusal(&server.send(create), Service::Containers, 400, "E0011").unwrap();
    }
}

#[test]
fn creates_at_the_same_time_take_ranges_and_addresses_of_their_own() {
    let database = Postgres::start();
    for server in [Server::start(), Server::builder().env("BOATYARD_DATABASE_URL", &database.url()).start()] {
        let token = server.token(&server.administrator);
        let orders: Vec<_> = (0..8).map(|n| server.vpc_order(&token, &format!("at-once-{n}"))).collect();
        let answers: Vec<_> = std::thread::scope(|scope| {
            let create = |order| {
                let request = Request::post("/global/v2/vpc/createCluster").bearer(&token).json(order);
                let server = &server;
                scope.spawn(move || server.send(request).status)
            };
            let running: Vec<_> = orders.iter().map(create).collect();
            running.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(answers, [201; 8]);
        let list = server.send(Request::get("/global/v2/vpc/getClusters").bearer(&token)).json(200);
        let pods: std::collections::BTreeSet<_> = list.as_array().unwrap().iter().map(|c| c["podSubnet"].to_string()).collect();
        assert_eq!(pods.len(), 8, "{list:#}");
    }
}
