//! The whole state at once: reset, and snapshots between servers and databases.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use serde_json::{Value, json};

use crate::harness::boatyard::Shell;
use crate::harness::check::{self, Service};
use crate::harness::http::{array, text};
use crate::harness::postgres::Postgres;
use crate::harness::{APIKEY, BX, REFRESH, Request, Server};

const SNAPSHOT: &str = "/_boatyard/snapshot";

fn on(database: &Postgres) -> Server {
    Server::builder().env("BOATYARD_DATABASE_URL", &database.url()).start()
}

#[track_caller]
fn names(server: &Server, token: &str) -> Vec<String> {
    let list = server.send(Request::get("/global/v2/vpc/getClusters").bearer(token)).json(200);
    let mut names: Vec<_> = array(&list).iter().map(|cluster| text(cluster, "/name").to_owned()).collect();
    names.sort();
    names
}

#[track_caller]
fn saved(server: &Server) -> Vec<u8> {
    server.administrate(Request::get(SNAPSHOT)).expect(200).body.clone()
}

#[track_caller]
fn loaded(server: &Server, snapshot: &[u8]) {
    server.administrate(Request::post(SNAPSHOT).bytes("application/x-ndjson", snapshot)).expect(200);
}

#[test]
fn a_reset_leaves_the_administrator_and_nothing_else() {
    let database = Postgres::start();
    for mut server in [Server::start(), on(&database)] {
        let (administrator, guest) = (server.administrator.clone(), server.account("guest"));
        let mine = server.login(&administrator);
        let (token, guests) = (text(&mine, "/access_token").to_owned(), server.token(&guest));
        let vpc = server.vpc_place(&token).0;
        server.create_vpc(&token, "mine");
        server.create_classic(&guests, "theirs");
        server
            .administrate(Request::post("/_boatyard/faults").json(&json!({ "effect": { "kind": "worker-stuck" } })))
            .expect(201);
        server.advance_clock(3600 * 3);

        server.administrate(Request::post("/_boatyard/reset")).expect(200);
        let clock = server.administrate(Request::get("/_boatyard/clock")).json(200);
        assert_eq!(clock["offset_seconds"], 0);
        assert_eq!(server.administrate(Request::get("/_boatyard/faults")).json(200), json!([]));
        let token = server.token(&administrator);
        assert_eq!(names(&server, &token), Vec::<String>::new());
        assert_ne!(server.vpc_place(&token).0, vpc, "the networks are new");
        // Nobody else is known, neither by key nor by a token that is still good by its date.
        server.grant(None, &[("grant_type", APIKEY), ("apikey", &guest.apikey)]).expect(400);
        let order = server.vpc_order(&token, "again");
        let create = Request::post("/global/v2/vpc/createCluster");
        server.send(create.clone().bearer(&guests).json(&order)).expect(401);
        let refresh = [("grant_type", REFRESH), ("refresh_token", text(&mine, "/refresh_token"))];
        check::refusal(&server.grant(Some(BX), &refresh), Service::Iam, 400, "BXNIM0407E").unwrap();

        server.send(create.bearer(&token).json(&order)).expect(201);
        server.kill();
        server.start_again();
        assert_eq!(names(&server, &server.token(&administrator)), ["again"]);
    }
}

#[test]
fn a_snapshot_goes_from_one_database_to_the_other_and_back() {
    let database = Postgres::start();
    let (here, there) = (Server::start(), on(&database));
    let guest = here.account("guest");
    let session = here.login(&guest);
    let cluster = here.create_vpc(text(&session, "/access_token"), "theirs");
    here.create_classic(&here.token(&here.administrator), "mine");
    here.advance_clock(1800);
    let stray = there.account("stray");
    let before = here.cluster(text(&session, "/access_token"), "theirs");

    loaded(&there, &saved(&here));
    // Whoever runs the other server still logs in with the key of that server, and finds the clusters of the snapshot.
    let token = there.token(&there.administrator);
    let mine = there.send(Request::get("/global/v1/clusters").bearer(&token)).json(200);
    assert_eq!(text(&mine[0], "/name"), "mine");
    let credentials = fs::read_to_string(there.data_dir.join("credentials.json")).unwrap();
    assert!(credentials.contains(&here.administrator.account_id) && !credentials.contains(&there.administrator.account_id));
    let password = there.administrator.password.as_deref().unwrap();
    let by_password = [("grant_type", "password"), ("username", there.administrator.username.as_str()), ("password", password)];
    there.grant(Some(BX), &by_password).expect(200);
    // Its users are there, with their sessions, and only they are.
    let renew = [("grant_type", REFRESH), ("refresh_token", text(&session, "/refresh_token"))];
    let renewed = there.grant(Some(BX), &renew).json(200);
    assert_eq!(there.cluster(text(&renewed, "/access_token"), &cluster)["createdDate"], before["createdDate"]);
    there.grant(None, &[("grant_type", APIKEY), ("apikey", &stray.apikey)]).expect(400);
    let clock = there.administrate(Request::get("/_boatyard/clock")).json(200);
    assert_eq!(clock["offset_seconds"], 1800);
    // Tokens are each server's own.
    there.send(Request::get("/global/v1/clusters").bearer(text(&session, "/access_token"))).expect(401);

    there.create_vpc(&there.token(&guest), "second");
    loaded(&here, &saved(&there));
    assert_eq!(names(&here, &here.token(&guest)), ["second", "theirs"]);
    let lines = |bytes: Vec<u8>| -> Vec<String> { String::from_utf8(bytes).unwrap().lines().map(str::to_owned).collect() };
    let (head, tail) = (r#"{"snapshot":"boatyard","#, r#"{"end":{"rows":"#);
    let all = lines(saved(&here));
    assert!(all[0].starts_with(head) && all.last().unwrap().starts_with(tail));
    assert!(!all.iter().any(|line| line.contains("signing_keys")), "private keys stay where they are");
}

/// The snapshot with the first account's last member, a date, in quotes.
fn text_for_number(lines: &[&str]) -> String {
    let table = lines.iter().position(|line| line.contains("\"table\":\"accounts\"")).unwrap();
    let mut lines: Vec<_> = lines.iter().map(|line| (*line).to_owned()).collect();
    let mut row: Vec<Value> = serde_json::from_str(&lines[table + 1]).unwrap();
    let date = row.last_mut().unwrap();
    *date = json!(date.to_string());
    lines[table + 1] = json!(row).to_string();
    lines.iter().map(|line| format!("{line}\n")).collect()
}

#[test]
fn what_is_no_whole_snapshot_of_ours_is_refused_and_changes_nothing() {
    let server = Server::start();
    let token = server.token(&server.administrator);
    server.create_vpc(&token, "kept");
    let good = String::from_utf8(saved(&server)).unwrap();
    let lines: Vec<_> = good.lines().collect();
    let (head, rest) = good.split_once('\n').unwrap();
    let changed = |change: &dyn Fn(&mut Value)| {
        let mut header: Value = serde_json::from_str(head).unwrap();
        change(&mut header);
        format!("{header}\n{rest}")
    };
    // A file that somebody signed again after a change is whole, but its rows must still fit the database.
    let resigned = |text: String| {
        let body = text.rsplit_once("{\"end\"").unwrap().0;
        let rows = body.lines().filter(|line| line.starts_with('[')).count();
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, body.as_bytes());
        let hex: String = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{body}{}\n", json!({ "end": { "rows": rows, "sha256": hex } }))
    };
    let rows = [
        ("nothing", (String::new(), "not a snapshot")),
        ("something else", ("{\"name\": \"x\"}\n".repeat(1000), "not a snapshot")),
        ("one endless line", ("x".repeat(100_000), "not a snapshot")),
        ("a newer form", (changed(&|h| h["format"] = json!(2)), "newer")),
        ("a newer schema", (changed(&|h| h["schema"] = json!(9999)), "newer")),
        ("an older schema", (changed(&|h| h["schema"] = json!(1)), "reads no more")),
        ("half of it", (lines[..lines.len() / 2].join("\n") + "\n", "its end is missing")),
        ("cut within a line", (good[..good.len() / 2].to_owned(), "damaged")),
        ("an edited row", (good.replace("\"kept\"", "\"kEpt\""), "checksum")),
        ("a line too many", (format!("{good}{{}}\n"), "checksum")),
        ("a table of others", (resigned(good.replace("\"worker_pools\"", "\"sqlite_master\"")), "no table")),
        ("signing keys", (resigned(good.replace("\"worker_pools\"", "\"signing_keys\"")), "no table")),
        ("a column of others", (resigned(good.replace("\"iam_id\"", "\"iam_id; DROP TABLE users\"")), "no table")),
        ("a text for a number", (resigned(text_for_number(&lines)), "value of another type")),
        (
            "a row whose cluster is missing",
            (resigned(lines.iter().filter(|l| !l.contains("\"kept\"")).map(|l| format!("{l}\n")).collect()), "damaged"),
        ),
        (
            "no administrator",
            (
                resigned(lines.iter().filter(|l| !l.starts_with("[\"administrator\"")).map(|l| format!("{l}\n")).collect()),
                "no administrator",
            ),
        ),
    ];
    check::table(rows, |(snapshot, expected)| {
        let answer = server.administrate(Request::post(SNAPSHOT).bytes("application/x-ndjson", snapshot.into_bytes()));
        check::refusal(&answer, Service::Containers, 400, "E0011")?;
        let said = text(&answer.json(400), "/description").to_owned();
        match said.contains(expected) && said.ends_with("Nothing was changed.") {
            true => Ok(()),
            false => Err(said),
        }
    });
    assert_eq!(names(&server, &token), ["kept"]);
    loaded(&server, good.as_bytes());
    assert_eq!(names(&server, &server.token(&server.administrator)), ["kept"]);
}

#[test]
fn the_command_line_saves_for_the_owner_only_loads_and_resets() {
    let server = Server::start();
    let shell = Shell::logged_in(&server, &server.administrator);
    server.create_vpc(&server.token(&server.administrator), "mine");
    let said = shell.ok(["snapshot", "save", "state.jsonl"]);
    assert!(said.starts_with("OK\n") && said.contains("state.jsonl"), "{said}");
    let file = shell.path("state.jsonl");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);

    let asked = shell.run(["reset"]).failure();
    assert!(asked.contains("`-f`"), "{asked}");
    assert!(shell.ok(["reset", "-f"]).contains("log in again"));
    let shell = Shell::logged_in(&server, &server.administrator);
    assert_eq!(shell.json(["cluster", "ls", "--output", "json"]), json!([]));
    fs::copy(&file, shell.path("state.jsonl")).unwrap();
    shell.ok(["snapshot", "load", "state.jsonl", "-f"]);
    assert_eq!(shell.json(["cluster", "ls", "--output", "json"])[0]["name"], "mine");

    fs::write(shell.path("other.txt"), "hello\n").unwrap();
    let refused = shell.run(["snapshot", "load", "other.txt", "-f"]).failure();
    assert!(refused.contains("not a snapshot of Boatyard. Nothing was changed."), "{refused}");
    let missing = shell.run(["snapshot", "load", "missing.jsonl", "-f"]).failure();
    assert!(missing.contains("missing.jsonl"), "{missing}");
    let unwritable = shell.run(["snapshot", "save", "no/such/folder/x"]).failure();
    assert!(unwritable.contains("no/such/folder/x"), "{unwritable}");
}
