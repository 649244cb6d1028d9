//! The trail of who did what.

use std::fs;
use std::thread;

use serde_json::{Value, json};

use crate::harness::boatyard::Shell;
use crate::harness::http::{array, escape, text};
use crate::harness::postgres::Postgres;
use crate::harness::{APIKEY, BX, PASSWORD, Request, Server, User, wait};
use crate::login_local::Visitor;

const AUDIT: &str = "/_boatyard/audit";

/// Events as the administrator sees them, the newest first.
#[track_caller]
fn events(server: &Server, query: &str) -> Vec<Value> {
    let page = server.administrate(Request::get(format!("{AUDIT}?limit=1000&{query}"))).json(200);
    array(&page["events"]).to_vec()
}

#[track_caller]
fn one(server: &Server, query: &str) -> Value {
    let events = events(server, query);
    assert_eq!(events.len(), 1, "{query}: {events:#?}");
    events[0].clone()
}

/// The one event of a query whose writing nobody waited for.
#[track_caller]
fn soon(server: &Server, query: &str) -> Value {
    wait::until(query, wait::PATIENCE, || match &events(server, query)[..] {
        [event] => Ok(event.clone()),
        found => Err(format!("{found:#?}")),
    })
}

fn on(database: &Postgres) -> Server {
    Server::builder().env("BOATYARD_DATABASE_URL", &database.url()).start()
}

#[test]
fn a_change_stands_in_the_trail_when_it_is_answered() {
    let database = Postgres::start();
    for server in [Server::start(), on(&database)] {
        let guest = server.account("guest");
        let token = server.token(&guest);
        let order = server.vpc_order(&token, "mine");
        let create = Request::post("/global/v2/vpc/createCluster").bearer(&token).json(&order);
        let create = create.header("X-Request-ID", "my-request").header("User-Agent", "auditor/1");
        let id = text(&server.send(create.clone()).json(201), "/clusterID").to_owned();
        server.send(create).expect(409);
        let events = events(&server, "action=containers-kubernetes.cluster.create");
        assert_eq!(events.len(), 2);
        let (refused, made) = (&events[0], &events[1]);
        let expected = [
            ("/outcome", json!("success")),
            ("/message", json!("containers-kubernetes: create cluster mine")),
            ("/severity", json!("normal")),
            ("/initiator/id", json!(guest.iam_id)),
            ("/initiator/name", json!("guest@example.com")),
            ("/initiator/typeURI", json!("service/security/account/user")),
            ("/initiator/credential/type", json!("token")),
            ("/initiator/host/address", json!("127.0.0.1")),
            ("/initiator/host/agent", json!("auditor/1")),
            ("/target/id", json!(id)),
            ("/target/name", json!("mine")),
            ("/target/typeURI", json!("containers-kubernetes/cluster")),
            ("/reason/reasonCode", json!(201)),
            ("/correlationId", json!("my-request")),
            ("/requestData/client_id", json!("bx")),
            ("/observer/name", json!("ActivityTracker")),
            ("/dataEvent", json!(false)),
        ];
        for (pointer, value) in expected {
            assert_eq!(made.pointer(pointer), Some(&value), "{pointer} in {made:#}");
        }
        assert!(text(made, "/logSourceCRN").contains(&guest.account_id));
        assert_eq!((text(refused, "/outcome"), &refused["reason"]["reasonCode"]), ("failure", &json!(409)));
        assert_eq!(text(refused, "/reason/reasonForFailure"), "E0007");
    }
}

#[test]
fn what_only_reads_leaves_no_trace_but_credentials_and_refusals_do() {
    let server = Server::start();
    let guest = server.account("guest");
    let token = server.token(&guest);
    let id = server.create_classic(&token, "mine");
    server.send(Request::get("/global/v2/vpc/getClusters").bearer(&token)).expect(200);
    server.cluster(&token, &id);
    // Without a client there is no session, and so no login.
    server.grant(None, &[("grant_type", APIKEY), ("apikey", &guest.apikey)]).expect(200);
    let of_guest = format!("initiator={}", guest.iam_id.as_deref().unwrap());
    let actions: Vec<_> = events(&server, &of_guest).iter().map(|event| text(event, "/action").to_owned()).collect();
    assert_eq!(actions, ["containers-kubernetes.cluster.create", "iam-identity.user-apikey.login"]);

    server.send(Request::get(format!("/global/v1/clusters/{id}/config")).bearer(&token)).expect(200);
    assert_eq!(one(&server, "action=containers-kubernetes.cluster.config")["target"]["id"], json!(id));
    server.send(Request::get("/global/v2/vpc/getClusters")).expect(401);
    server.grant(Some(BX), &[("grant_type", APIKEY), ("apikey", "no-such-key")]).expect(400);
    // Nobody waits for refusals of nobody known.
    let refused = wait::until("two refusals", wait::PATIENCE, || {
        let found = events(&server, "outcome=failure");
        if found.len() == 2 { Ok(found) } else { Err(format!("{found:#?}")) }
    });
    assert_eq!(text(&refused[1], "/initiator/id"), "");
    assert_eq!((text(&refused[1], "/severity"), &refused[1]["reason"]["reasonCode"]), ("critical", &json!(401)));
    assert_eq!(text(&refused[0], "/action"), "iam-identity.user-apikey.login");
    assert_eq!(text(&refused[0], "/reason/reasonForFailure"), "BXNIM0415E");
}

#[test]
fn an_account_sees_its_own_trail_and_the_administrator_sees_all() {
    let server = Server::start();
    let (ada, bob) = (server.account("ada"), server.account("bob"));
    let (of_ada, of_bob) = (server.token(&ada), server.token(&bob));
    server.create_vpc(&of_ada, "hers");
    server.create_vpc(&of_bob, "his");
    let page = server.send(Request::get(AUDIT).bearer(&of_ada)).json(200);
    let seen: Vec<_> = array(&page["events"]).iter().map(|event| text(event, "/initiator/name").to_owned()).collect();
    assert_eq!(seen, ["ada@example.com"; 2]);
    let foreign = format!("{AUDIT}?account_id={}", bob.account_id);
    server.send(Request::get(&*foreign).bearer(&of_ada)).expect(403);
    server.send(Request::get(AUDIT)).expect(401);
    let his = server.administrate(Request::get(foreign)).json(200);
    assert!(array(&his["events"]).iter().any(|event| text(event, "/target/name") == "his"));
    server.send(Request::get(format!("{AUDIT}?limit=0")).bearer(&of_ada)).expect(400);
}

#[test]
fn owners_see_that_somebody_tried_their_names_and_keys() {
    let server = Server::start();
    let (guest, other) = (server.account("guest"), server.account("other"));
    let token = server.token(&guest);
    let key = json!({ "name": "old", "iam_id": guest.iam_id, "account_id": guest.account_id });
    let key = server.send(Request::post("/v1/apikeys").bearer(&token).json(&key)).json(201);
    server.send(Request::post(format!("/v1/apikeys/{}/disable", text(&key, "/id"))).bearer(&token)).expect(204);
    server.grant(Some(BX), &[("grant_type", PASSWORD), ("username", &guest.username), ("password", "guess")]).expect(401);
    server.grant(Some(BX), &[("grant_type", APIKEY), ("apikey", text(&key, "/apikey"))]).expect(400);
    server.grant(Some(BX), &[("grant_type", APIKEY), ("apikey", "nobody-s-key")]).expect(400);
    let seen = |user: &User| {
        let page = server.send(Request::get(format!("{AUDIT}?outcome=failure")).bearer(&server.token(user))).json(200);
        let mut codes: Vec<_> =
            array(&page["events"]).iter().map(|event| text(event, "/reason/reasonForFailure").to_owned()).collect();
        codes.sort();
        codes
    };
    wait::until("both failures", wait::PATIENCE, || match &seen(&guest)[..] {
        [disabled, wrong] if disabled == "BXNIM0462E" && wrong == "BXNIM0602E" => Ok(()),
        found => Err(format!("{found:?}")),
    });
    assert!(seen(&other).is_empty());
}

#[test]
fn pages_neither_skip_nor_repeat_while_more_is_written_and_a_follower_sees_it() {
    let server = Server::start();
    let guest = server.account("guest");
    let token = server.token(&guest);
    let remove = || server.send(Request::delete("/global/v1/clusters/none").bearer(&token)).expect(404).status;
    (0..7).for_each(|_| assert_eq!(remove(), 404));
    let get = |query: &str| {
        let path = format!("{AUDIT}?limit=3&action=containers-kubernetes.cluster.delete{query}");
        server.send(Request::get(path).bearer(&token)).json(200)
    };
    let id = |event: &Value| text(event, "/id").parse::<u64>().unwrap();
    let first = get("");
    remove();
    let (mut ids, mut page) = (Vec::new(), first.clone());
    loop {
        ids.extend(array(&page["events"]).iter().map(id));
        let Some(next) = page["next"].as_str().map(str::to_owned) else { break };
        page = get(&format!("&start={next}"));
    }
    assert_eq!(ids.len(), 7);
    assert!(ids.windows(2).all(|pair| pair[0] > pair[1]), "{ids:?}");
    let followed = get(&format!("&after={}", text(&first, "/after")));
    let new: Vec<_> = array(&followed["events"]).iter().map(id).collect();
    assert_eq!(new.len(), 1);
    assert!(new[0] > ids[0]);
    assert_eq!(get(&format!("&after={}", text(&followed, "/after")))["events"], json!([]));
}

#[test]
fn events_are_kept_for_as_long_as_it_was_said_and_no_more_than_was_said() {
    let server = Server::builder().args(["--audit-days", "2", "--audit-events", "10"]).start();
    let token = server.token(&server.administrator);
    let remove = |token: &str| server.send(Request::delete("/global/v1/clusters/none").bearer(token)).expect(404).status;
    let deletes = || events(&server, "action=containers-kubernetes.cluster.delete").len();
    (0..20).for_each(|_| assert_eq!(remove(&token), 404));
    assert_eq!(deletes(), 20, "nothing is counted before the next sweep");
    // The clock is moved, and what is past its time is looked for.
    server.advance_clock(1);
    wait::until("the trail to be cut", wait::PATIENCE, || match deletes() {
        1..=10 => Ok(()),
        found => Err(format!("{found} events")),
    });
    server.advance_clock(2 * 24 * 3600 + 60);
    wait::until("old events to be gone", wait::PATIENCE, || match deletes() {
        0 => Ok(()),
        found => Err(format!("{found} events")),
    });
}

#[test]
fn the_trail_outlives_a_reset_and_tells_of_it() {
    let server = Server::start();
    let token = server.token(&server.administrator);
    server.create_vpc(&token, "mine");
    let snapshot = server.administrate(Request::get("/_boatyard/snapshot")).expect(200).body.clone();
    server.administrate(Request::post("/_boatyard/reset")).expect(200);
    server.administrate(Request::post("/_boatyard/snapshot").bytes("application/x-ndjson", snapshot)).expect(200);
    assert_eq!(text(&one(&server, "action=containers-kubernetes.cluster.create"), "/target/name"), "mine");
    for action in ["boatyard.state.export", "boatyard.state.reset", "boatyard.state.restore"] {
        let event = one(&server, &format!("action={action}"));
        assert!(!text(&event, "/initiator/id").is_empty(), "{event:#}");
    }
}

#[test]
fn every_change_of_many_at_once_is_in_the_trail() {
    let server = Server::start();
    let guest = server.account("guest");
    let token = server.token(&guest);
    let order = server.vpc_order(&token, "");
    thread::scope(|scope| {
        for client in 0..8 {
            let (server, token, order) = (&server, &token, &order);
            scope.spawn(move || {
                for number in 0..10 {
                    let mut order = order.clone();
                    order["name"] = json!(format!("c{client}-{number}"));
                    server.send(Request::post("/global/v2/vpc/createCluster").bearer(token).json(&order)).expect(201);
                }
            });
        }
    });
    let mut names: Vec<_> = events(&server, "action=containers-kubernetes.cluster.create&outcome=success")
        .iter()
        .map(|event| text(event, "/target/name").to_owned())
        .collect();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), 80);
}

#[test]
fn no_secret_that_was_used_stands_anywhere() {
    let server = Server::builder().env("BOATYARD_LOG", "debug").start();
    let guest = server.account("guest");
    let password = guest.password.clone().expect("a local user has one");
    let session = server.login(&guest);
    let (token, refresh) = (text(&session, "/access_token").to_owned(), text(&session, "/refresh_token").to_owned());
    let passcode = server.passcode(&refresh);
    let passcodes = "urn:ibm:params:oauth:grant-type:passcode";
    server.grant(Some(BX), &[("grant_type", "password"), ("username", &guest.username), ("password", &password)]).expect(200);
    server.grant(Some(BX), &[("grant_type", passcodes), ("passcode", &passcode)]).expect(200);
    server.grant(Some(BX), &[("grant_type", "refresh_token"), ("refresh_token", &refresh)]).expect(200);
    let (wrong, secret, classic) = ("wrong-password-5d2f", "client-secret-77aa", "classic-api-key-0123456789abcdef");
    server.grant(Some(BX), &[("grant_type", "password"), ("username", wrong), ("password", wrong)]).expect(401);
    let client = [("client_id", "bx"), ("client_secret", secret), ("grant_type", APIKEY), ("apikey", &guest.apikey)];
    server.grant(None, &client).expect(401);
    // One key whose value is kept, one whose value its owner chose.
    let chosen = "chosen-by-its-owner-0123456789abcdef";
    let body = json!({
        "account_id": guest.account_id, "name": "keeper", "apikey": { "name": "kept", "store_value": true },
    });
    let keeper = server.send(Request::post("/v1/serviceids").bearer(&token).json(&body)).json(201);
    let kept = text(&keeper, "/apikey/apikey");
    let shown = server.send(Request::get(format!("/v1/apikeys/{}", text(&keeper, "/apikey/id"))).bearer(&token)).json(200);
    assert_eq!(text(&shown, "/apikey"), kept, "its value can be read again");
    let body = json!({ "account_id": guest.account_id, "iam_id": guest.iam_id, "name": "chosen", "apikey": chosen });
    server.send(Request::post("/v1/apikeys").bearer(&token).json(&body)).expect(201);
    for key in [kept, chosen] {
        server.grant(Some(BX), &[("grant_type", APIKEY), ("apikey", key)]).expect(200);
        server.send(Request::get("/v1/apikeys/details").bearer(&token).header("IAM-ApiKey", key)).expect(200);
    }
    let credentials = Request::post("/global/v1/credentials").bearer(&token).header("X-Region", "us-south");
    server.send(credentials.header("X-Auth-Softlayer-APIKey", classic).header("X-Auth-Softlayer-Username", "ada"));
    // A key where an ID belongs.
    server.send(Request::delete(format!("/global/v1/clusters/{}", escape(&guest.apikey))).bearer(&token));
    server.send(Request::post("/identity/revoke").header("Authorization", BX).form(&[("token", &refresh)]));

    let snapshot = server.administrate(Request::get("/_boatyard/snapshot")).expect(200).body.clone();
    let mut places = vec![
        ("the trail".to_owned(), json!(events(&server, "")).to_string().into_bytes()),
        ("the log".to_owned(), server.log().into_bytes()),
        ("a snapshot".to_owned(), snapshot),
    ];
    for name in ["boatyard.db", "boatyard.db-wal", "boatyard.db-shm"] {
        places.push((name.to_owned(), fs::read(server.data_dir.join(name)).unwrap()));
    }
    let secrets = [
        &guest.apikey,
        &password,
        &passcode,
        &refresh,
        &token,
        wrong,
        secret,
        classic,
        kept,
        chosen,
        &server.administrator.apikey,
    ];
    for (place, bytes) in &places {
        assert!(!bytes.is_empty(), "{place}");
        for secret in secrets {
            assert!(!bytes.windows(secret.len()).any(|window| window == secret.as_bytes()), "{secret} stands in {place}");
        }
    }
}

#[test]
fn the_command_line_shows_pages_and_follows() {
    use std::io::{BufRead as _, BufReader};
    use std::process::Stdio;

    let server = Server::start();
    let guest: User = server.account("guest");
    let token = server.token(&guest);
    server.create_vpc(&token, "mine");
    let shell = Shell::logged_in(&server, &guest);
    let list = shell.ok(["audit", "list", "--action", "containers-kubernetes.*"]);
    assert!(list.contains("guest@example.com") && list.contains("containers-kubernetes.cluster.create"), "{list}");
    let json = shell.json(["audit", "list", "--limit", "1", "--output", "json"]);
    assert_eq!(text(&json[0], "/action"), "iam-identity.user-apikey.login", "the login of the command line");
    let tail = shell.ok(["audit", "tail", "-n", "2"]);
    assert_eq!(tail.lines().count(), 2, "{tail}");

    let mut follow = shell.command(["audit", "tail", "-n", "0", "-f", "--output", "json", "--outcome", "failure"]);
    let mut child = follow.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    // Until it follows, what happens is not new to it: so it happens until one was seen.
    let stop = std::sync::atomic::AtomicBool::new(false);
    let line = thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                server.send(Request::delete("/global/v1/clusters/none").bearer(&token)).expect(404);
                thread::yield_now();
            }
        });
        let line = lines.next().unwrap().unwrap();
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        line
    });
    child.kill().unwrap();
    child.wait().unwrap();
    let event: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(text(&event, "/action"), "containers-kubernetes.cluster.delete");
}

#[test]
fn a_failed_login_with_a_name_that_no_database_takes_is_in_the_trail_all_the_same() {
    let database = Postgres::start();
    let server = on(&database);
    let fields = [("grant_type", PASSWORD), ("username", "ada@exa\0mple.com"), ("password", "x")];
    assert!([400, 401].contains(&server.grant(Some(BX), &fields).status));
    soon(&server, "outcome=failure&initiator=ada@example.com");
}

#[test]
fn a_profile_that_is_assumed_leaves_an_event_without_a_session_too() {
    let server = Server::start();
    let guest = server.account("guest");
    let token = server.token(&guest);
    let profile = json!({ "account_id": guest.account_id, "name": "deployer" });
    let profile = server.send(Request::post("/v1/profiles").bearer(&token).json(&profile)).json(201);
    let id = text(&profile, "/id");
    let trusted = json!({ "type": "user", "identifier": guest.iam_id });
    server.send(Request::post(format!("/v1/profiles/{id}/identities/user")).bearer(&token).json(&trusted)).expect(200);
    let assume = "urn:ibm:params:oauth:grant-type:assume";
    server.grant(None, &[("grant_type", assume), ("access_token", &token), ("profile_id", id)]).expect(200);
    let event = one(&server, "action=iam-identity.trustedprofile-apikey.login");
    assert_eq!((text(&event, "/outcome"), text(&event, "/requestData/grant_type")), ("success", assume));
    assert!(text(&event, "/initiator/id").starts_with("iam-Profile-"), "{event:#}");
}

#[test]
fn what_people_do_on_the_pages_is_in_the_trail() {
    let server = Server::start();
    let user = server.account("pages");
    let visitor = Visitor::new(&server);
    let fields = [("token", visitor.token.as_str()), ("username", &user.username), ("password", "wrong-5d2f")];
    server.send(visitor.with(Request::post("/identity/login")).form(&fields)).expect(401);
    let failed = soon(&server, "action=iam-identity.user.login&outcome=failure");
    assert_eq!((text(&failed, "/initiator/name"), text(&failed, "/initiator/id")), (&*user.username, ""));
    assert_eq!(text(&failed, "/reason/reasonForFailure"), "BXNIM0602E");

    let visitor = Visitor::logged_in(&server, &user);
    let press =
        |path: &str| server.send(visitor.with(Request::post(path)).form(&[("token", &visitor.token)])).expect(303).status;
    press("/identity/passcode/new");
    press("/identity/logout");
    press("/identity/logout");
    let done = events(&server, &format!("initiator={}&outcome=success", user.iam_id.as_deref().unwrap()));
    let actions: Vec<_> = done.iter().map(|event| text(event, "/action")).collect();
    let passcode = "iam-identity.user-passcode.create";
    assert_eq!(actions, ["iam-identity.user.logout", passcode, passcode, "iam-identity.user.login"]);
    assert!(done.iter().all(|event| text(event, "/initiator/host/address") == "127.0.0.1"), "{done:#?}");
}

#[test]
fn administration_is_in_the_trail_when_it_is_refused_and_when_nobody_waits_for_the_answer() {
    use crate::harness::raw::Socket;

    let server = Server::start();
    let guest = server.account("guest");
    let token = server.token(&guest);
    server.send(Request::get("/_boatyard/clock").bearer(&token)).expect(403);
    assert_eq!(one(&server, "action=boatyard.clock.read")["initiator"]["id"], json!(guest.iam_id));
    server.send(Request::get("/_boatyard/faults")).expect(401);
    assert_eq!(soon(&server, "action=boatyard.fault.read")["reason"]["reasonCode"], json!(401));

    let administrator = server.token(&server.administrator);
    let body = json!({ "username": "left@example.com" }).to_string();
    let head = "POST /_boatyard/users HTTP/1.1\r\nHost: boatyard\r\nX-Request-ID: left";
    let head = format!("{head}\r\nAuthorization: Bearer {administrator}\r\nContent-Length: {}", body.len());
    // Whoever asked is gone before the password is hashed. A request that the server has not begun may be lost.
    let mut socket = Socket::connect(&server, wait::PATIENCE);
    socket.write(format!("{head}\r\nExpect: 100-continue\r\n\r\n")).wait_to_continue().write(body);
    drop(socket);
    let event = soon(&server, "action=boatyard.user.create");
    assert_eq!((text(&event, "/correlationId"), text(&event, "/outcome")), ("left", "success"));
}
