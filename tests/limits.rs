//! How often somebody may ask.

use crate::harness::check::{self, Service};
use crate::harness::http::{array, text};
use crate::harness::{APIKEY, BX, Request, Server};

const CLUSTERS: &str = "/global/v2/vpc/getClusters";

#[test]
fn an_identity_that_asks_too_often_is_told_when_to_come_back() {
    let server = Server::builder().args(["--requests-per-second", "5"]).start();
    let (ada, bob) = (server.account("ada"), server.account("bob"));
    let (of_ada, of_bob) = (server.token(&ada), server.token(&bob));
    let refused = (0..1000).find_map(|_| {
        let answer = server.send(Request::get(CLUSTERS).bearer(&of_ada));
        (answer.status == 429).then_some(answer)
    });
    let refused = refused.expect("a thousand requests come faster than five a second");
    check::refusal(&refused, Service::Containers, 429, "G0429").unwrap();
    assert_eq!(refused.header("retry-after"), Some("1"));
    server.send(Request::get(CLUSTERS).bearer(&of_bob)).expect(200);
    server.advance_clock(1);
    server.send(Request::get(CLUSTERS).bearer(&of_ada)).expect(200);
}

#[test]
fn an_address_that_asks_for_tokens_too_often_is_refused_and_a_trusted_proxy_says_which_it_is() {
    let server = Server::builder().args(["--token-requests-per-second", "5", "--trusted-proxy", "127.0.0.1"]).start();
    let ask = |from: &str| {
        let form = [("grant_type", APIKEY), ("apikey", server.administrator.apikey.as_str())];
        server.send(Request::post("/identity/token").header("X-Forwarded-For", from).form(&form))
    };
    let refused = (0..1000).find_map(|_| Some(ask("192.0.2.1")).filter(|answer| answer.status == 429));
    let refused = refused.expect("a thousand requests come faster than five a second");
    check::refusal(&refused, Service::Iam, 429, "BXNIM0429E").unwrap();
    assert!(refused.header("retry-after").is_some());
    ask("192.0.2.2").expect(200);
}

#[test]
fn wrong_keys_keep_an_address_from_trying_more_also_right_ones() {
    let server = Server::builder().args(["--trusted-proxy", "127.0.0.0/8"]).start();
    let token = server.token(&server.administrator);
    let ask = |from: &str, apikey: &str| {
        let form = [("grant_type", APIKEY), ("apikey", apikey)];
        server.send(Request::post("/identity/token").header("Authorization", BX).header("X-Forwarded-For", from).form(&form))
    };
    let refused = (0..20_000).find_map(|_| Some(ask("192.0.2.1", "wrong")).filter(|answer| answer.status != 400));
    check::refusal(&refused.expect("a limit"), Service::Iam, 429, "BXNIM0429E").unwrap();
    ask("192.0.2.2", &server.administrator.apikey).expect(200);
    let clock = Request::post("/_boatyard/clock").bearer(&token).json(&serde_json::json!({ "advance_seconds": 60 }));
    server.send(clock).expect(200);
    ask("192.0.2.1", &server.administrator.apikey).expect(200);
    let page = server.send(Request::get("/_boatyard/audit?limit=1&outcome=success").bearer(&token)).json(200);
    let event = &array(&page["events"])[0];
    assert_eq!(text(event, "/initiator/host/address"), "192.0.2.1", "the trail has the address that the proxy says");
}
