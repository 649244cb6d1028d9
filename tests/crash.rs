//! What was answered is on disk. A server killed at any moment comes back with it and goes on.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::harness::http::{array, text};
use crate::harness::{APIKEY, BX, REFRESH, Request, Server, wait};

/// Kills a server in the middle of things and starts it again on the same data and address.
fn lightning(server: &mut Server) {
    server.kill();
    server.start_again();
}

#[test]
fn a_cluster_created_just_before_a_crash_is_there_and_becomes_normal() {
    let mut server = Server::builder().pace("fast").start();
    let token = server.token(&server.administrator);
    for round in 0..3 {
        let (vpc, classic) = (format!("vpc-{round}"), format!("classic-{round}"));
        let ids = match round {
            0 => vec![server.create_vpc(&token, &vpc)],
            1 => vec![server.create_classic(&token, &classic)],
            _ => vec![server.create_classic(&token, &classic), server.create_vpc(&token, &vpc)],
        };
        lightning(&mut server);
        for id in ids {
            assert_eq!(text(&server.cluster(&token, &id), "/id"), id);
            server.normal(&token, &id);
        }
    }
    let names: Vec<_> = list(&server, &token).iter().map(|c| text(c, "/name").to_owned()).collect();
    assert_eq!(BTreeSet::from_iter(names.iter()).len(), 4, "each cluster is there once: {names:?}");
    assert_eq!(names.len(), 4, "each cluster is there once: {names:?}");
}

#[test]
fn a_cluster_survives_a_crash_in_each_state_it_passes_through() {
    let mut server = Server::builder().pace("fast").start();
    let token = server.token(&server.administrator);
    let mut order = server.vpc_order(&token, "struck");
    order["workerPool"]["workerCount"] = 3.into();
    let created = server.send(Request::post("/global/v2/vpc/createCluster").bearer(&token).json(&order)).json(201);
    let id = text(&created, "/clusterID").to_owned();

    let mut seen = Vec::new();
    while seen.last().is_none_or(|state| state != "normal") {
        let last = seen.last().cloned();
        let state = wait::until("the cluster to change", wait::PATIENCE, || {
            let state = text(&server.cluster(&token, &id), "/state").to_owned();
            if last.as_ref() == Some(&state) { Err(format!("still {state}")) } else { Ok(state) }
        });
        seen.push(state);
        lightning(&mut server);
    }
    let order = ["requested", "deploying", "pending", "warning", "deployed", "normal"];
    let places: Vec<_> =
        seen.iter().map(|s| order.iter().position(|o| o == s).unwrap_or_else(|| panic!("state {s}"))).collect();
    assert!(places.is_sorted(), "the cluster went back: {seen:?}");
    assert!(seen.len() >= 3, "the server was hit in {seen:?} only");
    assert_eq!(server.cluster(&token, &id)["workerCount"], 3, "no worker is lost or doubled");
    assert_eq!(list(&server, &token).len(), 1);
}

#[test]
fn a_deletion_answered_just_before_a_crash_is_carried_out_and_frees_the_name() {
    let mut server = Server::builder().pace("fast").start();
    let token = server.token(&server.administrator);
    let id = server.create_vpc(&token, "doomed");
    server.normal(&token, &id);
    server.send(Request::delete(format!("/global/v1/clusters/{id}")).bearer(&token)).expect(204);
    lightning(&mut server);
    server.gone(&token, &id);
    assert!(list(&server, &token).is_empty());
    let again = server.create_vpc(&token, "doomed");
    assert_ne!(again, id, "a new cluster has a new ID");
}

#[test]
fn a_deletion_before_the_cluster_is_up_survives_a_crash_too() {
    let mut server = Server::builder().pace("fast").start();
    let token = server.token(&server.administrator);
    let id = server.create_classic(&token, "short-lived");
    server.send(Request::delete(format!("/global/v1/clusters/{id}")).bearer(&token)).expect(204);
    lightning(&mut server);
    server.gone(&token, &id);
}

#[test]
fn identities_keys_and_tokens_survive_a_crash() {
    let mut server = Server::start();
    let user = server.account("survivor");
    let login = server.login(&user);
    let kid = text(&server.administrate(Request::post("/_boatyard/signing-keys/rotate")).json(200), "/kid").to_owned();
    let after_rotation = server.login(&user);
    let passcode = server.passcode(text(&login, "/refresh_token"));
    let before = server.send(Request::get("/identity/keys")).json(200);
    assert!(array(&before["keys"]).iter().any(|k| k["kid"] == kid.as_str()));
    lightning(&mut server);

    let after = server.send(Request::get("/identity/keys")).json(200);
    assert_eq!(before, after, "the signing keys are the same");
    for tokens in [&login, &after_rotation] {
        let access = text(tokens, "/access_token");
        server.send(Request::get("/coe/v2/accounts").bearer(access)).expect(200);
        let refresh = [("grant_type", REFRESH), ("refresh_token", text(tokens, "/refresh_token"))];
        server.grant(Some(BX), &refresh).expect(200);
    }
    let fields = [("grant_type", "urn:ibm:params:oauth:grant-type:passcode"), ("passcode", passcode.as_str())];
    server.grant(Some(BX), &fields).expect(200);
    server.grant(Some(BX), &[("grant_type", APIKEY), ("apikey", &user.apikey)]).expect(200);
    let password = user.password.as_deref().unwrap();
    server.grant(Some(BX), &[("grant_type", "password"), ("username", &user.username), ("password", password)]).expect(200);
}

#[test]
fn the_clock_stays_ahead_over_a_crash() {
    let mut server = Server::start();
    let token = server.token(&server.administrator);
    server.advance_clock(7200);
    lightning(&mut server);
    let clock = server.administrate(Request::get("/_boatyard/clock")).json(200);
    assert_eq!(clock["offset_seconds"], 7200);
    assert_eq!(server.send(Request::get("/global/v2/clusters").bearer(&token)).status, 401, "the old token stays expired");
}

#[test]
fn orders_that_race_for_one_name_and_a_crash_leave_one_cluster() {
    let mut server = Server::builder().pace("fast").start();
    let token = server.token(&server.administrator);
    let order = server.vpc_order(&token, "contended");
    let request = Request::post("/global/v2/vpc/createCluster").bearer(&token).json(&order);
    let answers: Vec<_> = std::thread::scope(|scope| {
        let tries: Vec<_> = (0..8).map(|_| scope.spawn(|| server.send(request.clone()))).collect();
        tries.into_iter().map(|t| t.join().unwrap()).collect()
    });
    let won: Vec<_> = answers.iter().filter(|a| a.status == 201).collect();
    assert_eq!(won.len(), 1, "{:?}", answers.iter().map(|a| (a.status, a.text())).collect::<Vec<_>>());
    assert!(answers.iter().all(|a| matches!(a.status, 201 | 409)));
    let id = text(&won[0].json(201), "/clusterID").to_owned();
    lightning(&mut server);
    assert_eq!(list(&server, &token).len(), 1);
    server.normal(&token, &id);
}

fn list(server: &Server, token: &str) -> Vec<Value> {
    let body = server.send(Request::get("/global/v2/clusters").bearer(token)).json(200);
    array(&body).clone()
}

#[test]
fn a_crash_during_the_first_start_loses_neither_password_nor_key_of_the_administrator() {
    let mut server = Server::start();
    server.kill();
    // As it is when the administrator is in the database and the credentials file is not written yet.
    let file = server.data_dir.join("credentials.json");
    let before: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    let draft = serde_json::json!({ "password": before["password"], "apikey": before["apikey"] });
    std::fs::write(server.data_dir.join("first-start.json"), draft.to_string()).unwrap();
    std::fs::remove_file(&file).unwrap();
    server.start_again();
    let after: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    assert_eq!(after, before);
    assert!(!server.data_dir.join("first-start.json").exists());
    server.token(&server.administrator);
}
