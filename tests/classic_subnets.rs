//! Portable and user-managed subnets of classic clusters.

use serde_json::{Value, json};

use crate::harness::boatyard::Shell;
use crate::harness::check::{self, Service};
use crate::harness::http::{array, text};
use crate::harness::{Answer, Request, Server, shared};

fn send(server: &Server, token: &str, method: &str, path: &str) -> Answer {
    server.send(Request::new(method, format!("/global/v1/{path}")).bearer(token))
}

fn subnets(server: &Server, token: &str, query: &str) -> Vec<Value> {
    array(&send(server, token, "GET", &format!("subnets{query}")).json(200)).clone()
}

/// IDs of the subnets that a cluster has on each of its VLANs.
fn attached(server: &Server, token: &str, cluster: &str) -> Vec<String> {
    let vlans = send(server, token, "GET", &format!("clusters/{cluster}/subnets")).json(200);
    let all = array(&vlans).iter().flat_map(|vlan| array(&vlan["subnets"]));
    all.map(|subnet| text(subnet, "/id").to_owned()).collect()
}

#[test]
fn an_account_has_a_subnet_on_each_vlan_and_lists_them_by_place() {
    let server = shared();
    let token = server.token(&server.account("subnets-list"));
    let all = subnets(&server, &token, "");
    assert_eq!(all.len(), 6, "a public and a private one in each of three data centers");
    assert_eq!(subnets(&server, &token, "?location=dal"), all);
    assert_eq!(subnets(&server, &token, "?location=wdc"), Vec::<Value>::new());
    let here = subnets(&server, &token, "?datacenters=dal10,wdc04");
    assert_eq!(here.len(), 2);
    let public = here.iter().find(|subnet| subnet["type"] == "public").expect("a public one");
    let (vlan, _) = server.vlans(&token);
    assert_eq!((text(public, "/vlan_id"), text(public, "/bound_cluster")), (vlan.as_str(), ""));
    assert_eq!(array(&public["ip_addresses"]).len(), 5);
    assert!(text(public, "/properties/cidr").ends_with("/29") && !text(public, "/properties/gateway").is_empty());
    let spanning = send(&server, &token, "GET", "subnets/vlan-spanning").json(200);
    assert_eq!(spanning["enabled"], true);
}

#[test]
fn clusters_get_subnets_and_leave_them_to_the_account() {
    let server = shared();
    let token = server.token(&server.account("subnets-cluster"));
    let first = server.create_classic(&token, "subnets-first");
    let second = server.create_classic(&token, "subnets-second");
    let (of_first, of_second) = (attached(&server, &token, &first), attached(&server, &token, &second));
    assert_eq!((of_first.len(), of_second.len()), (2, 2));
    assert!(of_first.iter().all(|id| !of_second.contains(id)));
    let shown = send(&server, &token, "GET", &format!("clusters/{first}?showResources=true")).json(200);
    let subnets_shown: Vec<_> = array(&shown["vlans"]).iter().flat_map(|v| array(&v["subnets"]).clone()).collect();
    assert_eq!(subnets_shown.iter().map(|s| text(s, "/id")).collect::<Vec<_>>(), of_first);
    assert_eq!(subnets_shown.iter().filter(|s| s["is_public"] == true && s["is_byoip"] == false).count(), 1);
    let count = subnets(&server, &token, "").len();

    let mut order = server.classic_order(&token, "subnets-none");
    order["noSubnet"] = json!(true);
    let created = server.send(Request::post("/global/v1/clusters").bearer(&token).json(&order)).json(201);
    assert_eq!(attached(&server, &token, text(&created, "/id")), Vec::<String>::new());

    send(&server, &token, "DELETE", &format!("clusters/{first}")).expect(204);
    server.gone(&token, &first);
    let left = subnets(&server, &token, "");
    assert_eq!(left.len(), count);
    assert!(left.iter().filter(|s| of_first.contains(&text(s, "/id").to_owned())).all(|s| s["bound_cluster"] == ""));
    let third = server.create_classic(&token, "subnets-third");
    assert_eq!(attached(&server, &token, &third), of_first, "what is free is used again");
}

#[test]
fn subnets_are_created_added_and_detached() {
    let server = shared();
    let token = server.token(&server.account("subnets-change"));
    let cluster = server.create_classic(&token, "subnets-change");
    let (vlan, _) = server.vlans(&token);
    let before = attached(&server, &token, &cluster);
    send(&server, &token, "POST", &format!("clusters/{cluster}/vlans/{vlan}?size=32")).expect(204);
    let after = attached(&server, &token, &cluster);
    let new = after.iter().find(|id| !before.contains(id)).expect("one more").clone();
    let all = subnets(&server, &token, "");
    let subnet = all.iter().find(|s| s["id"] == *new).unwrap();
    assert!(text(subnet, "/properties/cidr").ends_with("/27"), "{subnet}");
    let path = format!("clusters/{cluster}/subnets/{new}");
    send(&server, &token, "PATCH", &path).expect(204);
    assert_eq!(attached(&server, &token, &cluster), before);
    check::refusal(&send(&server, &token, "PATCH", &path), Service::Containers, 404, "E0f50").unwrap();
    for _ in 0..2 {
        send(&server, &token, "PUT", &path).expect(204);
    }
    assert_eq!(attached(&server, &token, &cluster), after);
}

#[test]
fn users_bring_subnets_to_the_private_vlan() {
    let server = shared();
    let token = server.token(&server.account("subnets-user"));
    let cluster = server.create_classic(&token, "subnets-user");
    let (public, private) = server.vlans(&token);
    let path = format!("/global/v1/clusters/{cluster}/usersubnets");
    let bring = |body: &Value| server.send(Request::post(&path).bearer(&token).json(body));
    let list = || server.send(Request::get(&path).bearer(&token)).json(200);
    assert_eq!(list(), json!([]));
    let cidr = "192.168.10.0/26";
    bring(&json!({ "cidr": cidr, "vlan_id": private })).expect(204);
    let shown = list();
    assert_eq!((text(&shown, "/0/id"), text(&shown, "/0/subnets/0/cidr")), (private.as_str(), cidr));
    assert_eq!(shown[0]["subnets"][0]["is_byoip"], true);
    let rows = [
        ("again", (json!({ "cidr": cidr, "vlan_id": private }), 400, "E0f16")),
        ("within", (json!({ "cidr": "192.168.10.32/27", "vlan_id": private }), 400, "E0f16")),
        ("the workers'", (json!({ "cidr": "10.0.0.0/8", "vlan_id": private }), 400, "E0f16")),
        ("public", (json!({ "cidr": "192.168.11.0/26", "vlan_id": public }), 400, "E0f16")),
        ("no range", (json!({ "cidr": "192.168.11.1/26", "vlan_id": private }), 400, "E0f16")),
        ("VLAN", (json!({ "cidr": "192.168.11.0/26", "vlan_id": "1" }), 400, "E0f14")),
        ("nothing", (json!({}), 400, "E0011")),
    ];
    check::table(rows, |(body, status, code)| check::refusal(&bring(&body), Service::Containers, status, code));
    let empty = server.send(Request::post(&path).bearer(&token));
    check::refusal(&empty, Service::Containers, 400, "E0011").unwrap();
    let remove = format!("clusters/{cluster}/usersubnets/{}/vlans/{private}", text(&shown, "/0/subnets/0/id"));
    send(&server, &token, "DELETE", &remove).expect(204);
    assert_eq!(list(), json!([]));
    check::refusal(&send(&server, &token, "DELETE", &remove), Service::Containers, 404, "E0f50").unwrap();
}

#[test]
fn what_cannot_be_is_refused() {
    let server = shared();
    let token = server.token(&server.account("subnets-refused"));
    let classic = server.create_classic(&token, "subnets-classic");
    let used = server.create_classic(&token, "subnets-used");
    let vpc = server.create_vpc(&token, "subnets-vpc");
    let of_used = attached(&server, &token, &used)[0].clone();
    let elsewhere = subnets(&server, &token, "?location=dal12")[0]["id"].as_str().unwrap().to_owned();
    let (vlan, _) = server.vlans(&token);
    let rows = [
        ("unknown", ("PUT", format!("clusters/{classic}/subnets/1"), 404, "E0f50")),
        ("unknown to detach", ("PATCH", format!("clusters/{classic}/subnets/1"), 404, "E0f50")),
        ("in use", ("PUT", format!("clusters/{classic}/subnets/{of_used}"), 409, "E0f52")),
        ("other VLAN", ("PUT", format!("clusters/{classic}/subnets/{elsewhere}"), 400, "E0f51")),
        ("size", ("POST", format!("clusters/{classic}/vlans/{vlan}?size=9"), 400, "E0f53")),
        ("no size", ("POST", format!("clusters/{classic}/vlans/{vlan}"), 400, "E0f53")),
        ("VLAN", ("POST", format!("clusters/{classic}/vlans/1?size=8"), 400, "E0f14")),
        ("cluster", ("GET", "clusters/none/subnets".to_owned(), 404, "G0004")),
        ("VPC", ("GET", format!("clusters/{vpc}/subnets"), 400, "G3917")),
        ("VPC to add", ("PUT", format!("clusters/{vpc}/subnets/{of_used}"), 400, "G3917")),
        ("VPC users'", ("GET", format!("clusters/{vpc}/usersubnets"), 400, "G3917")),
    ];
    check::table(rows, |(method, path, status, code)| {
        check::refusal(&send(&server, &token, method, &path), Service::Containers, status, code)
    });
    let other = server.token(&server.account("subnets-other"));
    assert!(subnets(&server, &other, "").iter().all(|s| s["id"] != *of_used));
    let mine = server.create_classic(&other, "subnets-mine");
    let stolen = send(&server, &other, "PUT", &format!("clusters/{mine}/subnets/{of_used}"));
    check::refusal(&stolen, Service::Containers, 404, "E0f50").unwrap();
}

#[test]
fn subnets_on_the_command_line() {
    let server = shared();
    let user = server.account("subnets-cli");
    let token = server.token(&user);
    let cluster = server.create_classic(&token, "subnets-cli");
    let shell = Shell::logged_in(&server, &user);
    let subnet = attached(&server, &token, &cluster)[0].clone();
    let shown = shell.ok(["ks", "subnets", "--provider", "classic", "-l", "dal10"]);
    assert!(shown.contains(&subnet) && shown.contains(&cluster) && !shown.contains("dal12"), "{shown}");
    shell.ok(["cluster", "subnet", "detach", "-c", "subnets-cli", "--subnet-id", &subnet, "-f"]);
    assert!(!attached(&server, &token, &cluster).contains(&subnet));
    shell.ok(["cluster", "subnet", "add", "-c", "subnets-cli", "--subnet-id", &subnet]);
    assert!(attached(&server, &token, &cluster).contains(&subnet));
    let (vlan, _) = server.vlans(&token);
    shell.ok(["cluster", "subnet", "create", "-c", "subnets-cli", "--size", "16", "--vlan", &vlan]);
    assert_eq!(attached(&server, &token, &cluster).len(), 3);
    assert!(shell.ok(["vlan", "spanning", "get", "--region", "us-south"]).contains("enabled"));
}
