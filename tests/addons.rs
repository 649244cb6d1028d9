//! Managed add-ons: what Terraform's `ibm_container_addons` does, and what is refused.

use serde_json::{Value, json};

use crate::harness::boatyard::Shell;
use crate::harness::check::{self, Service};
use crate::harness::http::{array, text};
use crate::harness::{Answer, Request, Server, shared};

fn path(cluster: &str) -> String {
    format!("/global/v1/clusters/{cluster}/addons")
}

fn addons(server: &Server, token: &str, cluster: &str) -> Value {
    server.send(Request::get(path(cluster)).bearer(token)).json(200)
}

fn manage(server: &Server, token: &str, cluster: &str, body: &Value) -> Answer {
    server.send(Request::new("PATCH", path(cluster)).bearer(token).json(body))
}

/// One add-on as Terraform sends it: with zero values where it means nothing.
fn named(name: &str, version: &str) -> Value {
    json!([{ "name": name, "version": version, "deprecated": false, "vlan_spanning_required": false }])
}

#[test]
fn addons_are_enabled_updated_and_disabled_as_terraform_does_it() {
    let server = shared();
    let token = server.token(&server.account("addons-terraform"));
    let mut order = server.vpc_order(&token, "addons-terraform");
    order["kubeVersion"] = json!("1.35");
    let created = server.send(Request::post("/global/v2/vpc/createCluster").bearer(&token).json(&order)).json(201);
    let cluster = text(&created, "/clusterID").to_owned();
    server.normal(&token, &cluster);
    let first = addons(&server, &token, &cluster);
    assert_eq!(array(&first).len(), 1);
    assert_eq!((text(&first, "/0/name"), text(&first, "/0/healthState")), ("vpc-block-csi-driver", "normal"));
    assert!(text(&first, "/0/healthStatus").contains("H1500"));

    // When nothing is left to enable, Go sends null for the empty list.
    let nothing = manage(&server, &token, &cluster, &json!({ "addons": null, "enable": true, "update": false }));
    assert!(nothing.json(200).is_object(), "clients decode the answer");
    let istio = |version| named("istio", version);
    let body = json!({ "addons": istio("1.29"), "enable": true, "update": false });
    assert!(manage(&server, &token, &cluster, &body).json(200).is_object());
    let istio_now = |version: &str| {
        let list = addons(&server, &token, &cluster);
        let found = array(&list).iter().find(|a| a["name"] == "istio").expect("istio is enabled").clone();
        assert_eq!((text(&found, "/version"), text(&found, "/healthState")), (version, "normal"));
        assert_eq!(
            list,
            server.send(Request::get(format!("/global/v2/getClusterAddons?cluster={cluster}")).bearer(&token)).json(200)
        );
        found
    };
    assert_eq!(istio_now("1.29")["allowed_upgrade_versions"], json!(["1.30"]));
    let shown = server.cluster(&token, &cluster);
    assert!(array(&shown["addons"]).iter().any(|a| a["name"] == "istio" && a["version"] == "1.29"), "{shown:#}");
    manage(&server, &token, &cluster, &json!({ "addons": istio("1.30"), "enable": false, "update": true })).expect(200);
    istio_now("1.30");
    manage(&server, &token, &cluster, &json!({ "addons": istio("1.30"), "enable": false, "update": false })).expect(200);
    assert_eq!(addons(&server, &token, &cluster), first);
}

#[test]
fn the_wait_for_addons_ends_once_none_is_pending() {
    let server = Server::builder().pace("real").start();
    let user = server.account("addons-wait");
    let token = server.token(&user);
    let cluster = server.create_classic(&token, "addons-wait");
    let body = json!({ "addons": named("static-route", ""), "enable": true });
    check::refusal(&manage(&server, &token, &cluster, &body), Service::Containers, 409, "E0f18").unwrap();
    // Longer than tokens live, so everybody logs in again.
    server.advance_clock(2 * 3600);
    let token = server.token(&user);
    server.normal(&token, &cluster);
    manage(&server, &token, &cluster, &body).expect(200);
    assert_eq!(text(&addons(&server, &token, &cluster), "/0/healthState"), "pending");
    server.advance_clock(5 * 60);
    assert_eq!(text(&addons(&server, &token, &cluster), "/0/healthState"), "normal");
}

#[test]
fn options_are_those_of_the_template() {
    let server = shared();
    let token = server.token(&server.account("addons-options"));
    let mut order = server.vpc_order(&token, "addons-options");
    order["kubeVersion"] = json!("4.21_openshift");
    order["cosInstanceCRN"] = json!("crn:v1:bluemix:public:cloud-object-storage:global:a/1:2::");
    order["workerPool"]["workerCount"] = json!(2);
    let created = server.send(Request::post("/global/v2/vpc/createCluster").bearer(&token).json(&order)).json(201);
    let cluster = text(&created, "/clusterID");
    server.normal(&token, cluster);
    let enable = |options: &str| {
        let addons = json!([{ "name": "openshift-data-foundation", "options": options }]);
        manage(&server, &token, cluster, &json!({ "addons": addons, "enable": true }))
    };
    check::refusal(&enable("data: {noSuch: 1}"), Service::Containers, 400, "E0011").unwrap();
    enable("apiVersion: v1\nkind: ConfigMap\ndata:\n  numOfOsd: 3\n").expect(200);
    let list = addons(&server, &token, cluster);
    let storage = array(&list).iter().find(|a| a["name"] == "openshift-data-foundation").unwrap();
    assert!(text(storage, "/options").contains("numOfOsd: \"3\""), "{storage:#}");
    assert!(text(storage, "/installOptionsTemplate/content").contains("numOfOsd: \"1\""), "{storage:#}");
}

#[test]
fn what_is_refused_changes_nothing() {
    let server = shared();
    let token = server.token(&server.account("addons-refused"));
    let cluster = server.create_classic(&token, "addons-refused");
    server.normal(&token, &cluster);
    manage(&server, &token, &cluster, &json!({ "addons": named("static-route", ""), "enable": true })).expect(200);
    let before = addons(&server, &token, &cluster);
    let both = json!([{ "name": "istio" }, { "name": "none-such" }]);
    let rows = [
        ("unknown", (json!({ "addons": named("none-such", ""), "enable": true }), 404, "E0f30")),
        ("one of two", (json!({ "addons": both, "enable": true }), 404, "E0f30")),
        ("version", (json!({ "addons": named("istio", "9.9"), "enable": true }), 400, "E0f31")),
        ("offering", (json!({ "addons": named("openshift-data-foundation", ""), "enable": true }), 400, "E0f31")),
        ("provider", (json!({ "addons": named("vpc-block-csi-driver", ""), "enable": true }), 400, "E0f31")),
        ("twice", (json!({ "addons": named("static-route", ""), "enable": true }), 409, "E0f33")),
        ("disable", (json!({ "addons": named("istio", ""), "enable": false }), 404, "E0f32")),
        ("update", (json!({ "addons": named("istio", ""), "update": true }), 404, "E0f32")),
        ("same", (json!({ "addons": named("static-route", "1.0.0"), "update": true }), 409, "E0f34")),
        ("options", (json!({ "addons": [{ "name": "istio", "options": "a: b" }], "enable": true }), 400, "E0011")),
        ("type", (json!({ "addons": "istio" }), 400, "E0011")),
    ];
    check::table(rows, |(body, status, code)| {
        check::refusal(&manage(&server, &token, &cluster, &body), Service::Containers, status, code)
    });
    assert_eq!(addons(&server, &token, &cluster), before);
    let other = server.token(&server.account("addons-other"));
    let answer = server.send(Request::get(path(&cluster)).bearer(&other));
    check::refusal(&answer, Service::Containers, 404, "G0004").unwrap();
    let body = json!({ "addons": named("istio", ""), "enable": true });
    check::refusal(&manage(&server, &other, &cluster, &body), Service::Containers, 404, "G0004").unwrap();
}

#[test]
fn addons_on_the_command_line() {
    let server = shared();
    let user = server.account("addons-cli");
    let token = server.token(&user);
    let cluster = server.create_classic(&token, "addons-cli");
    server.normal(&token, &cluster);
    let shell = Shell::logged_in(&server, &user);
    shell.ok(["ks", "cluster", "addon", "enable", "istio", "--cluster", "addons-cli"]);
    let shown = shell.ok(["ks", "cluster", "addon", "ls", "-c", "addons-cli"]);
    assert!(shown.contains("istio") && shown.contains("normal"), "{shown}");
    let list = shell.json(["cluster", "addon", "ls", "-c", "addons-cli", "--output", "json"]);
    assert_eq!(text(&list, "/0/name"), "istio");
    shell.ok(["cluster", "addon", "disable", "istio", "-c", "addons-cli", "-f"]);
    assert_eq!(shell.json(["cluster", "addon", "ls", "-c", "addons-cli", "--output", "json"]), json!([]));
    let again = shell.run(["cluster", "addon", "disable", "istio", "-c", "addons-cli", "-f"]);
    assert_eq!(again.status.code(), Some(1), "{}", again.stderr);
    assert!(again.stderr.contains("not enabled"), "{}", again.stderr);
}
