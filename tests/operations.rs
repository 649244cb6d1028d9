//! What whoever runs a server relies on: health, metrics, request IDs, limits, logs, a clean end.

use std::io::Write as _;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::http::text;
use crate::harness::raw::{self, Socket};
use crate::harness::{APIKEY, BX, PASSCODE, PASSWORD, REFRESH, Request, Server, check, jwt, shared, wait};

#[test]
fn health_names_the_version_and_needs_no_token() {
    let server = shared();
    for answer in [server.send(Request::get("/_boatyard/health")), server.send_plain(Request::get("/_boatyard/health"))] {
        let body = answer.json(200);
        assert!(answer.content_type().starts_with("application/json"));
        assert_eq!(text(&body, "/version"), env!("CARGO_PKG_VERSION"));
    }
}

#[test]
fn readiness_needs_no_token() {
    shared().send(Request::get("/_boatyard/ready")).expect(200);
}

#[test]
fn one_port_serves_https_and_plain_http() {
    let server = shared();
    let key = [("grant_type", APIKEY), ("apikey", server.administrator.apikey.as_str())];
    let plain = server.send_plain(Request::post("/identity/token").form(&key)).json(200);
    let token = text(&plain, "/access_token");
    server.send(Request::get("/global/v2/clusters").bearer(token)).expect(200);
    server.send_plain(Request::get("/global/v2/clusters").bearer(token)).expect(200);
}

#[test]
fn the_credentials_file_and_all_keys_are_for_the_owner_only() {
    let server = shared();
    let credentials = server.data_dir.join("credentials.json");
    let file: Value = serde_json::from_slice(&std::fs::read(&credentials).unwrap()).unwrap();
    for member in ["endpoint", "ca_file", "account_id", "username", "password", "apikey"] {
        assert!(!text(&file, &format!("/{member}")).is_empty(), "{member}");
    }
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&credentials), 0o600);
    assert_eq!(mode(&server.data_dir), 0o700, "the folder holds the database and the authority's key");
}

#[test]
fn a_given_api_key_is_the_administrators() {
    let given = "a-key-that-the-operator-chose-and-keeps-elsewhere";
    let server = Server::builder().env("BOATYARD_APIKEY", given).start();
    assert_eq!(server.administrator.apikey, given);
    server.grant(None, &[("grant_type", APIKEY), ("apikey", given)]).expect(200);
    assert!(!server.log().contains(given));
}

#[test]
fn request_ids_are_echoed_and_made_up() {
    let server = shared();
    let token = server.token(&server.account("ids"));
    for sent in ["X-Request-ID", "Transaction-Id", "x-request-id"] {
        let id = format!("e2e-{}", sent.to_lowercase());
        for request in
            [Request::get("/global/v2/clusters").bearer(&token), Request::post("/identity/token"), Request::get("/nowhere")]
        {
            let answer = server.send(request.header(sent, &id));
            assert_eq!(answer.header("x-request-id"), Some(id.as_str()), "{} {sent}", answer.of);
            assert_eq!(answer.header("transaction-id"), Some(id.as_str()), "{} {sent}", answer.of);
        }
    }
    let first = server.send(Request::get("/global/v2/clusters").bearer(&token));
    let second = server.send(Request::get("/global/v2/clusters").bearer(&token));
    let id = |answer: &crate::harness::Answer| answer.header("x-request-id").expect("an ID").to_owned();
    assert_ne!(id(&first), id(&second));
}

#[test]
fn a_request_id_that_is_no_id_is_replaced() {
    let server = shared();
    let long = "x".repeat(1000);
    for bad in ["two words", "", &long] {
        let answer = server.send(Request::get("/identity/keys").header("X-Request-ID", bad));
        let id = answer.expect(200).header("x-request-id").expect("an ID");
        assert!(id != bad && !id.is_empty());
    }
}

#[test]
fn an_error_names_the_request_it_belongs_to() {
    let server = shared();
    let iam = server.send(Request::post("/identity/token").header("X-Request-ID", "find-me-iam")).json(400);
    assert_eq!(text(&iam, "/context/requestId"), "find-me-iam");
    let token = server.token(&server.account("incident"));
    let request =
        Request::get("/global/v2/getCluster?cluster=none").bearer(&token).header("X-Request-ID", "find-me-containers");
    assert_eq!(text(&server.send(request).json(404), "/incidentID"), "find-me-containers");
    wait::until("both to stand in the log", wait::PATIENCE, || {
        let log = server.log();
        match log.contains("find-me-iam") && log.contains("find-me-containers") {
            true => Ok(()),
            false => Err(log),
        }
    });
}

#[test]
fn metrics_count_answers_by_operation_and_status() {
    let server = Server::start();
    let count = |operation: &str, status: &str| {
        server.metric("boatyard_requests_total", &[("operation", operation), ("status", status)])
    };
    let token = server.token(&server.administrator);
    let before = (count("VpcGetClusters", "200"), count("VpcGetClusters", "401"), count("CreateToken", "400"));
    for _ in 0..3 {
        server.send(Request::get("/global/v2/vpc/getClusters").bearer(&token)).expect(200);
    }
    server.send(Request::get("/v2/vpc/getClusters")).expect(401);
    server.grant(None, &[("grant_type", APIKEY), ("apikey", "wrong")]).expect(400);
    let after = (count("VpcGetClusters", "200"), count("VpcGetClusters", "401"), count("CreateToken", "400"));
    assert_eq!(after, (before.0 + 3, before.1 + 1, before.2 + 1));

    let page = server.send(Request::get("/_boatyard/metrics"));
    assert!(page.content_type().starts_with("text/plain"), "{}", page.content_type());
    let text = page.text();
    assert!(text.contains("# TYPE boatyard_requests_total counter"), "{text}");
    assert!(text.contains("boatyard_request_duration_seconds_bucket{"), "durations are measured: {text}");
    assert!(!text.contains("no-such-cluster"), "labels do not grow with what clients send");
}

#[test]
fn a_body_over_the_limit_is_refused_in_the_form_of_its_service() {
    let server = shared();
    let token = server.token(&server.account("limits"));
    let big = "x".repeat(4 * 1024 * 1024);
    let iam = server.send(Request::post("/identity/token").header("Authorization", BX).form(&[("grant_type", &big)]));
    check::refusal(&iam, check::Service::Iam, 413, "").unwrap();
    let order = json!({ "name": big });
    let containers = server.send(Request::post("/global/v1/clusters").bearer(&token).json(&order));
    check::refusal(&containers, check::Service::Containers, 413, "").unwrap();
}

#[test]
fn an_announced_body_over_the_limit_is_refused_before_it_is_sent() {
    let server = shared();
    let mut socket = Socket::connect(&server, Duration::from_secs(20));
    let head = "POST /identity/token HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n\
                Content-Length: 1000000000\r\nConnection: close\r\n\r\n";
    let answer = socket.write(head).read_to_end().unwrap();
    assert_eq!(raw::status(&answer), 413, "{answer}");
}

#[test]
fn slow_requests_are_ended_instead_of_being_waited_for() {
    let server = shared();
    let patience = Duration::from_secs(90);
    // One sends half a body, the other half a head. Neither says anything more.
    let mut body = Socket::connect(&server, patience);
    body.write(
        "POST /identity/token HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n\
                Content-Length: 100\r\n\r\ngrant_type=",
    );
    let mut head = Socket::connect(&server, patience);
    head.write("GET /_boatyard/health HTTP/1.1\r\nHost: ");
    let answer = body.read_to_end().expect("the half body is given up");
    assert_eq!(raw::status(&answer), 408, "{answer}");
    let json: Value = serde_json::from_str(raw::body(&answer)).expect("JSON");
    assert!(text(&json, "/errorCode").starts_with("BXNIM"), "{json}");
    let answer = head.read_to_end().expect("the half head is given up");
    assert!(answer.is_empty() || raw::status(&answer) == 408, "{answer}");
    server.send(Request::get("/_boatyard/health")).expect(200);
}

#[test]
fn garbage_on_the_port_does_no_harm() {
    let server = shared();
    for garbage in [
        &b"\x16\x03\x01\x00\x05hello"[..],
        b"\x00\x01\x02\x03\r\n\r\n",
        b"NONSENSE\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"\r\n",
    ] {
        let mut stream = TcpStream::connect(server.address()).unwrap();
        stream.write_all(garbage).unwrap();
        drop(stream);
    }
    let mut socket = Socket::connect(&server, Duration::from_secs(20));
    let answer = socket.write("NONSENSE\r\n\r\n").read_to_end().unwrap();
    assert!(answer.is_empty() || raw::status(&answer) == 400, "{answer}");
    server.send(Request::get("/_boatyard/health")).expect(200);
}

#[test]
fn many_clients_at_once_are_all_answered() {
    let server = shared();
    let token = server.token(&server.account("crowd"));
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..16)
            .map(|_| {
                scope.spawn(|| (0..10).all(|_| server.send(Request::get("/global/v2/clusters").bearer(&token)).status == 200))
            })
            .collect();
        assert!(clients.into_iter().all(|c| c.join().unwrap()));
    });
}

#[test]
fn sigterm_finishes_what_is_under_way_and_ends_with_success() {
    let mut server = Server::start();
    let token = server.token(&server.administrator);
    let order = server.vpc_order(&token, "under-way").to_string();
    let (first, rest) = order.split_at(order.len() / 2);
    let mut socket = Socket::connect(&server, Duration::from_secs(30));
    socket.write(format!(
        "POST /global/v2/vpc/createCluster HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{first}",
        order.len()
    ));
    // The request is known to be under way once a later one has been answered.
    server.send(Request::get("/_boatyard/health")).expect(200);
    server.terminate();
    wait::until("new connections to be refused", wait::PATIENCE, || match TcpStream::connect(server.address()) {
        Ok(_) => Err("a connection was accepted".to_owned()),
        Err(_) => Ok(()),
    });
    let answer = socket.write(rest).read_to_end().unwrap();
    assert_eq!(raw::status(&answer), 201, "{answer}");
    let status = server.exit_status();
    assert!(status.success(), "{status}\n{}", server.log());

    server.start_again();
    assert_eq!(server.cluster(&token, "under-way")["name"], "under-way");
}

#[test]
fn sigterm_does_not_wait_for_idle_connections() {
    let mut server = Server::start();
    server.send(Request::get("/_boatyard/health")).expect(200);
    let _idle = Socket::connect(&server, Duration::from_secs(1));
    server.terminate();
    let status = server.exit_status();
    assert!(status.success(), "{status}");
}

#[test]
fn the_log_is_json_lines_without_any_secret() {
    let mut server = Server::start();
    let user = server.account("secretive");
    let password = user.password.clone().unwrap();
    let login = server.login(&user);
    let refresh_token = text(&login, "/refresh_token").to_owned();
    let access_token = text(&login, "/access_token").to_owned();
    let passcode = server.passcode(&refresh_token);
    let wrong = "a-wrong-password-that-is-somebody's-at-another-place";
    for fields in [
        vec![
            ("grant_type", PASSWORD),
            ("username", &user.username),
            ("password", &password),
            ("response_type", "cloud_iam uaa"),
        ],
        vec![("grant_type", PASSWORD), ("username", &user.username), ("password", wrong)],
        vec![("grant_type", PASSCODE), ("passcode", &passcode)],
        vec![("grant_type", REFRESH), ("refresh_token", &refresh_token)],
        vec![("grant_type", REFRESH), ("refresh_token", "a-refresh-token-of-elsewhere")],
        vec![("grant_type", APIKEY), ("apikey", "an-api-key-of-elsewhere")],
        vec![("grant_type", "unknown"), ("apikey", &user.apikey)],
    ] {
        let fields: Vec<(&str, &str)> = fields.iter().map(|(n, v)| (*n, v as &str)).collect();
        server.grant(Some(BX), &fields);
    }
    let cluster = server.create_classic(&access_token, "logged");
    server.normal(&access_token, &cluster);
    server.send(Request::get("/global/v1/clusters/logged/config").bearer(&access_token)).expect(200);
    server.send(Request::get("/global/v2/clusters").bearer(&jwt::signed_by_a_stranger(&access_token))).expect(401);
    server.send(Request::post("/global/v1/clusters").bearer(&access_token).bytes("application/json", "{broken")).expect(400);
    server.send(Request::get("/global/v2/clusters").bearer(&access_token).header("X-Request-ID", "last-of-all")).expect(200);
    let clients = server.send(Request::get("/nowhere").header("X-Request-ID", "very-last-of-all"));
    assert_eq!(clients.status, 404);

    server.terminate();
    assert!(server.exit_status().success());
    let log = server.log();
    let lines: Vec<Value> = log
        .lines()
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("not JSON ({e}): {line}")))
        .collect();
    assert!(!lines.is_empty(), "nothing is logged");
    for line in &lines {
        let named = |names: &[&str]| names.iter().any(|n| line.get(n).is_some());
        assert!(line.is_object() && named(&["timestamp", "time"]) && named(&["level"]), "{line}");
    }
    let signature = access_token.rsplit('.').next().unwrap();
    let administrators: Value =
        serde_json::from_slice(&std::fs::read(server.data_dir.join("credentials.json")).unwrap()).unwrap();
    for (name, secret) in [
        ("API key", user.apikey.as_str()),
        ("administrator's API key", text(&administrators, "/apikey")),
        ("administrator's password", text(&administrators, "/password")),
        ("password", &password),
        ("wrong password", wrong),
        ("passcode", &passcode),
        ("refresh token", &refresh_token),
        ("refresh token of elsewhere", "a-refresh-token-of-elsewhere"),
        ("API key of elsewhere", "an-api-key-of-elsewhere"),
        ("access token", &access_token),
        ("signature of the access token", signature),
        ("private key", "PRIVATE KEY"),
    ] {
        assert!(!log.contains(secret), "the log holds the {name}");
    }
}

#[test]
fn secrets_do_not_stand_in_the_data_folder_in_the_clear() {
    let mut server = Server::start();
    let user = server.account("stored");
    let login = server.login(&user);
    let refresh_token = text(&login, "/refresh_token").to_owned();
    let passcode = server.passcode(&refresh_token);
    server.kill();
    let secrets =
        [user.apikey.as_str(), user.password.as_deref().unwrap(), &refresh_token, &passcode, text(&login, "/access_token")];
    let files = std::fs::read_dir(&server.data_dir).unwrap().map(|f| f.unwrap().path()).filter(|p| p.is_file());
    let mut looked = 0;
    for file in files {
        let bytes = std::fs::read(&file).unwrap();
        looked += 1;
        for secret in secrets {
            let found = bytes.windows(secret.len()).any(|w| w == secret.as_bytes());
            assert!(!found, "{} holds a secret", file.display());
        }
    }
    assert!(looked > 1, "there is a database");
}

#[test]
fn a_server_without_a_parent_ends() {
    let mut server = Server::start();
    server.orphan();
    let status = server.exit_status();
    assert!(status.success(), "{status}");
}

#[test]
fn two_servers_do_not_share_one_data_folder() {
    let server = Server::start();
    let mut second = std::process::Command::new(crate::harness::boatyard::PATH);
    crate::harness::boatyard::clean(&mut second, server.data_dir.parent().unwrap());
    second.args(["serve", "--listen", "127.0.0.1:0", "--die-with-stdin", "--data-dir"]).arg(&server.data_dir);
    second.stdin(std::process::Stdio::null());
    let message = crate::harness::clients::run(&mut second).failure();
    assert!(message.contains(server.data_dir.to_str().unwrap()), "the message names the folder: {message}");
    server.send(Request::get("/_boatyard/health")).expect(200);
}
