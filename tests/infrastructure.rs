//! Credentials, keys and permissions of an account, and switches of single clusters.

use base64::Engine as _;
use serde_json::{Value, json};

use crate::harness::boatyard::Shell;
use crate::harness::check::{self, Service};
use crate::harness::http::text;
use crate::harness::{Answer, Request, Server, shared};

const KEY: &str = "a-secret-of-the-classic-infrastructure";

fn send(server: &Server, token: &str, method: &str, path: &str, region: &str) -> Answer {
    server.send(Request::new(method, format!("/global/v1/{path}")).bearer(token).header("X-Region", region))
}

fn store(server: &Server, token: &str, region: &str, user: &str, key: &str) -> Answer {
    let request = Request::post("/global/v1/credentials").bearer(token).header("X-Region", region);
    server.send(request.header("X-Auth-Softlayer-Username", user).header("X-Auth-Softlayer-APIKey", key))
}

fn post(server: &Server, token: &str, path: &str, body: &Value) -> Answer {
    server.send(Request::post(format!("/global/{path}")).bearer(token).json(body))
}

#[test]
fn credentials_are_kept_by_region_and_the_key_is_never_seen_again() {
    let server = Server::start();
    let token = server.token(&server.account("credentials"));
    let get = |region| send(&server, &token, "GET", "credentials", region);
    check::refusal(&get("us-south"), Service::Containers, 404, "E0051").unwrap();
    store(&server, &token, "us-south", "first", "other-key").expect(204);
    store(&server, &token, "us-south", "second", KEY).expect(204);
    assert_eq!(get("us-south").json(200), json!({ "apiUser": "second" }));
    check::refusal(&get("eu-de"), Service::Containers, 404, "E0051").unwrap();
    assert_eq!(send(&server, &token, "GET", "user-config", "us-south").json(200)["storedIaasCredentials"], true);
    assert_eq!(send(&server, &token, "GET", "user-config", "eu-de").json(200)["storedIaasCredentials"], false);
    let permissions = send(&server, &token, "GET", "infra-permissions", "us-south").json(200);
    assert_eq!((text(&permissions, "/account"), text(&permissions, "/accountType")), ("second", "credentials"));
    assert_eq!(permissions["networkManagerPermissions"]["required"]["insufficient"], false);
    let permissions = send(&server, &token, "GET", "infra-permissions", "").json(200);
    assert_eq!(text(&permissions, "/accountType"), "api_key");
    let other = server.token(&server.account("credentials-other"));
    let foreign = send(&server, &other, "GET", "credentials", "us-south");
    check::refusal(&foreign, Service::Containers, 404, "E0051").unwrap();

    assert!(!server.log().contains(KEY));
    for file in std::fs::read_dir(&server.data_dir).unwrap().flatten().filter(|file| file.path().is_file()) {
        let kept = String::from_utf8_lossy(&std::fs::read(file.path()).unwrap()).contains(KEY);
        assert!(!kept, "the key stands in {}", file.path().display());
    }
    send(&server, &token, "DELETE", "credentials", "us-south").expect(204);
    check::refusal(&send(&server, &token, "DELETE", "credentials", "us-south"), Service::Containers, 404, "E0051").unwrap();
    let rows = [
        ("unknown region", ("nowhere", "user", KEY, "E0f60")),
        ("no user", ("us-south", "", KEY, "E0011")),
        ("no key", ("us-south", "user", "", "E0011")),
    ];
    check::table(rows, |(region, user, key, code)| {
        check::refusal(&store(&server, &token, region, user, key), Service::Containers, 400, code)
    });
    store(&server, &token, "", "user", KEY).expect(204);
    // Who targets no region means the usual one.
    send(&server, &token, "DELETE", "credentials", "us-south").expect(204);
    for path in ["user-config", "infra-permissions"] {
        check::refusal(&send(&server, &token, "GET", path, "nowhere"), Service::Containers, 400, "E0f60").unwrap();
    }
}

#[test]
fn whoever_resets_the_key_of_a_region_owns_it() {
    let server = shared();
    let user = server.account("key-owner");
    let token = server.token(&user);
    let cluster = server.create_vpc(&token, "key-owner");
    let owner = || send(&server, &token, "GET", &format!("logging/{cluster}/clusterkeyowner"), "").json(200);
    let before = owner();
    assert_eq!(text(&before, "/email"), "key-owner@example.com");
    assert!(text(&before, "/id").starts_with("IBMid-"), "nobody reset the key, so its creator stands for it");
    send(&server, &token, "POST", "keys", "eu-de").expect(204);
    assert_eq!(owner(), before, "another region's key");
    send(&server, &token, "POST", "keys", "us-south").expect(204);
    let first = owner();
    assert!(text(&first, "/id").starts_with("ApiKey-") && text(&first, "/email") == "key-owner@example.com", "{first}");
    send(&server, &token, "POST", "keys", "us-south").expect(204);
    assert_ne!(owner()["id"], first["id"]);
    send(&server, &token, "POST", "keys", "").expect(204);
    check::refusal(&send(&server, &token, "POST", "keys", "nowhere"), Service::Containers, 400, "E0f60").unwrap();
    let none = send(&server, &token, "GET", "logging/none/clusterkeyowner", "");
    check::refusal(&none, Service::Containers, 404, "G0004").unwrap();
}

#[test]
fn the_authority_is_the_one_of_the_server() {
    let server = shared();
    let token = server.token(&server.account("ca-cert"));
    let cluster = server.create_vpc(&token, "ca-cert");
    let get = |cluster: &str| server.send(Request::get(format!("/v2/getCACert?cluster={cluster}")).bearer(&token));
    let encoded = get(&cluster).json(200);
    let pem = base64::engine::general_purpose::STANDARD.decode(text(&encoded, "/caCert")).unwrap();
    assert_eq!(pem, std::fs::read(&server.ca_file).unwrap());
    check::refusal(&get("none"), Service::Containers, 404, "G0004").unwrap();
    check::refusal(&get(""), Service::Containers, 400, "E0011").unwrap();
}

#[test]
fn switches_of_a_cluster_show_in_its_details() {
    let server = shared();
    let token = server.token(&server.account("switches"));
    let vpc = server.create_vpc(&token, "switches-vpc");
    let classic = server.create_classic(&token, "switches-classic");
    let named = json!({ "cluster": vpc });
    let shown = |member: &str| server.cluster(&token, &vpc)[member].clone();
    assert_eq!(shown("imageSecurityEnabled"), false);
    post(&server, &token, "v2/enableImageSecurity", &named).expect(204);
    assert_eq!(shown("imageSecurityEnabled"), true);
    post(&server, &token, "v2/disableImageSecurity", &named).expect(204);
    assert_eq!(shown("imageSecurityEnabled"), false);
    post(&server, &token, "v2/enablePullSecret", &named).expect(204);

    let outbound = |operation: &str| json!({ "cluster": vpc, "operation": operation });
    let set = "network/v2/outbound-traffic-protection";
    let protection = "disableOutboundTrafficProtection";
    post(&server, &token, set, &outbound("disable-outbound-protection")).expect(200);
    assert_eq!(shown(protection), true);
    post(&server, &token, set, &outbound("enable-outbound-protection")).expect(200);
    assert_eq!(shown(protection), false);
    let secure = "network/v2/secure-by-default/enable";
    post(&server, &token, secure, &json!({ "cluster": vpc, "disableOutboundTrafficProtection": true })).expect(200);
    assert_eq!(shown(protection), true);

    let classic = json!({ "cluster": classic, "operation": "enable-outbound-protection" });
    let none = json!({ "cluster": "none", "operation": "enable-outbound-protection" });
    let rows = [
        ("operation", (set, outbound("something"), 400, "E0011")),
        ("classic outbound", (set, classic.clone(), 400, "G3917")),
        ("classic secure", (secure, classic, 400, "G3917")),
        ("no cluster", ("v2/enableImageSecurity", json!({}), 400, "E0011")),
        ("outbound of none", (set, none.clone(), 404, "G0004")),
        ("secure none", (secure, none.clone(), 404, "G0004")),
        ("image security of none", ("v2/enableImageSecurity", none.clone(), 404, "G0004")),
        ("no image security of none", ("v2/disableImageSecurity", none.clone(), 404, "G0004")),
        ("pull secret of none", ("v2/enablePullSecret", none, 404, "G0004")),
    ];
    check::table(rows, |(path, body, status, code)| {
        check::refusal(&post(&server, &token, path, &body), Service::Containers, status, code)
    });
}

#[test]
fn switches_wait_for_the_master() {
    let server = Server::builder().pace("real").start();
    let token = server.token(&server.account("switches-early"));
    let cluster = server.create_vpc(&token, "switches-early");
    for path in ["v2/enablePullSecret", "v2/enableImageSecurity", "network/v2/secure-by-default/enable"] {
        let answer = post(&server, &token, path, &json!({ "cluster": cluster }));
        check::refusal(&answer, Service::Containers, 409, "E0f18").unwrap();
    }
}

#[test]
fn infrastructure_on_the_command_line() {
    let server = shared();
    let user = server.account("infrastructure-cli");
    server.create_vpc(&server.token(&user), "infrastructure-cli");
    let shell = Shell::logged_in(&server, &user);
    let region = ["--region", "us-south"];
    let set = ["ks", "credential", "set", "classic", "--infrastructure-api-key", KEY, "--infrastructure-username", "sl"];
    shell.ok([&set[..], &region].concat());
    assert!(shell.ok([&["credential", "get"][..], &region].concat()).contains("sl"));
    assert!(shell.ok([&["infra-permissions", "get"][..], &region].concat()).contains("credentials"));
    shell.ok([&["credential", "unset"][..], &region].concat());
    shell.ok([&["api-key", "reset", "-f"][..], &region].concat());
    let owner = shell.json(["api-key", "info", "-c", "infrastructure-cli", "--output", "json"]);
    assert_eq!(text(&owner, "/email"), "infrastructure-cli@example.com");
}
