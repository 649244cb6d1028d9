//! `boatyard serve --fixture`: what a file declares is there when the server answers.

use std::fs;

use serde_json::Value;

use crate::harness::boatyard::{Shell, repository};
use crate::harness::http::{array, text};
use crate::harness::postgres::Postgres;
use crate::harness::{APIKEY, BX, Request, Server};

const KEY: &str = "harbour-pipeline-key-0001";

const HARBOUR: &str = "accounts:
  - name: harbour
    owner: { username: ada@example.com }
    api_keys: [{ name: pipeline, value: '${HARBOUR_KEY}' }]
    clusters:
      - name: shop
        provider: vpc-gen2
        state: normal
        vpc: default
        flavor: bx2.4x16
        workers: 1
        zones: [us-south-1]
";

fn token(server: &Server) -> String {
    let answer = server.grant(Some(BX), &[("grant_type", APIKEY), ("apikey", KEY)]);
    text(&answer.json(200), "/access_token").to_owned()
}

fn clusters(server: &Server, token: &str) -> Vec<(String, String)> {
    let list = server.send(Request::get("/global/v2/vpc/getClusters").bearer(token)).json(200);
    let mut found: Vec<_> =
        array(&list).iter().map(|c: &Value| (text(c, "/name").to_owned(), text(c, "/state").to_owned())).collect();
    found.sort();
    found
}

#[test]
fn a_fixture_is_there_and_stays_as_it_is_over_restarts() {
    let shell = Shell::new();
    let file = shell.path("harbour.yaml");
    fs::write(&file, HARBOUR).unwrap();
    let path = file.to_str().unwrap();
    // At pace real only what the fixture makes ready can be normal.
    let mut server = Server::builder().pace("real").env("BOATYARD_FIXTURE", path).env("HARBOUR_KEY", KEY).start();
    let normal = |name: &str| (name.to_owned(), "normal".to_owned());
    let bearer = token(&server);
    assert_eq!(clusters(&server, &bearer), [normal("shop")]);
    let id = text(&server.cluster(&bearer, "shop"), "/id").to_owned();

    server.kill();
    server.start_again();
    assert_eq!(text(&server.cluster(&token(&server), "shop"), "/id"), id, "the same file changes nothing");
    assert!(server.log().contains("left 1 API key, 1 account, 1 cluster, 1 user as they were"), "{}", server.log());

    server.kill();
    let second = HARBOUR[HARBOUR.find("      - name: shop").unwrap()..].replace("name: shop", "name: store");
    fs::write(&file, format!("{HARBOUR}{second}")).unwrap();
    server.start_again();
    let bearer = token(&server);
    assert_eq!(clusters(&server, &bearer), [normal("shop"), normal("store")]);

    server.kill();
    fs::write(&file, format!("{}{second}", HARBOUR.replace("bx2.4x16", "cx2.8x16")).replace("workers: 1", "workers: 2"))
        .unwrap();
    let data = server.data_dir.to_str().unwrap().to_owned();
    let mut refused = shell.command(["serve", "--listen", "127.0.0.1:0", "--data-dir", &data, "--fixture", path]);
    let told = crate::harness::clients::run(refused.env("HARBOUR_KEY", KEY)).failure();
    let expected =
        format!("{path}:10:17: The worker pool 'default' exists, and its flavor is 'bx2.4x16', which cannot be changed.");
    assert!(told.contains(&expected), "{told}");

    fs::write(&file, HARBOUR).unwrap();
    server.start_again();
    let store = server.cluster(&token(&server), "store");
    assert_eq!(store["workerCount"], 1, "of the refused file nothing was written: {store}");
}

#[test]
fn a_bad_fixture_keeps_the_server_from_starting_and_leaves_no_data() {
    let shell = Shell::new();
    let (file, data) = (shell.path("bad.yaml"), shell.path("data"));
    fs::write(&file, HARBOUR.replace("flavor:", "flavour:").replace("zones: [us-south-1]", "zones: us-south-1")).unwrap();
    let (path, data) = (file.to_str().unwrap(), data.to_str().unwrap());
    let mut command = shell.command(["serve", "--listen", "127.0.0.1:0", "--data-dir", data, "--fixture", path]);
    let told = crate::harness::clients::run(command.env("HARBOUR_KEY", KEY)).failure();
    assert!(told.contains(&format!("{path}:10:9: A cluster has no member 'flavour'. Did you mean 'flavor'?")), "{told}");
    assert!(told.contains(&format!("{path}:12:16: This must be a list")), "{told}");
    assert!(!std::path::Path::new(data).exists(), "nothing is made for a file that cannot be read");
}

#[test]
fn files_are_checked_without_a_server() {
    let shell = Shell::new();
    for example in fs::read_dir(repository().join("examples/fixtures")).unwrap() {
        let path = example.unwrap().path();
        let told = shell.ok(["fixture", "check", path.to_str().unwrap()]);
        assert!(told.contains("In an empty installation: made "), "{told}");
    }
    let file = shell.path("bad.yaml");
    fs::write(&file, HARBOUR.replace("${HARBOUR_KEY}", "0123456789abcdef").replace("us-south-1", "us-south-9")).unwrap();
    let path = file.to_str().unwrap();
    let told = shell.run(["fixture", "check", path]).failure();
    assert!(told.contains(&format!("{path}:12:17: The zone 'us-south-9' could not be found")), "{told}");
    assert!(!told.contains("0123456789abcdef"), "{told}");
    let schema = shell.json(["fixture", "schema"]);
    assert_eq!(schema["properties"]["accounts"]["items"]["additionalProperties"], false);
}

#[test]
fn terraforms_acceptance_vlans_are_found_by_their_ids() {
    let file = repository().join("examples/fixtures/terraform-acceptance.yaml");
    let server = Server::builder().env("BOATYARD_FIXTURE", file.to_str().unwrap()).start();
    let bearer = server.token(&server.administrator);
    let vlans = server.send(Request::get("/global/v1/datacenters/par01/vlans").bearer(&bearer)).json(200);
    let mut found: Vec<_> = array(&vlans).iter().map(|vlan| (text(vlan, "/id"), text(vlan, "/type"))).collect();
    found.sort_unstable();
    assert_eq!(found, [("2393319", "public"), ("2393321", "private")]);
}

#[test]
fn a_fixture_applies_to_postgresql() {
    let database = Postgres::start();
    let file = repository().join("examples/fixtures/team.yaml");
    let server =
        Server::builder().env("BOATYARD_DATABASE_URL", &database.url()).env("BOATYARD_FIXTURE", file.to_str().unwrap());
    let mut server = server.start();
    let bearer = token(&server);
    assert_eq!(clusters(&server, &bearer), [("shop".to_owned(), "normal".to_owned())]);
    server.kill();
    server.start_again();
    assert_eq!(clusters(&server, &token(&server)).len(), 1);
}
