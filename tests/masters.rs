//! Masters as clients update and refresh them, and say from where they are reached.

use serde_json::{Value, json};

use crate::harness::http::text;
use crate::harness::{Account, Server, check, shared, wait};

/// A VPC cluster of Kubernetes 1.35, ready.
fn older(account: &mut Account<'_>, name: &str) -> String {
    let mut order = account.server.vpc_order(&account.token, name);
    order["kubeVersion"] = "1.35".into();
    let cluster = text(&account.call("POST /v2/vpc/createCluster", &order).json(201), "/clusterID").to_owned();
    account.settle(&cluster);
    cluster
}

#[test]
fn an_update_of_a_master_is_pending_before_it_is_answered() {
    updated(&Server::builder().pace("real").start());
}

/// What Terraform does when the version of a cluster is changed.
pub fn updated(server: &Server) {
    let mut account = Account::new(server, "master-update");
    let cluster = older(&mut account, "updated");
    let compatible = format!("/v2/getCluster?cluster={cluster}&v1-compatible");
    let put = format!("PUT /v1/clusters/{cluster}");
    let order = json!({ "action": "update", "force": true, "version": "1.36" });
    assert!(account.call(&put, &order).expect(204).body.is_empty());

    let during = account.get(&compatible);
    let version = text(&during, "/masterKubeVersion");
    assert!(version.starts_with("1.35.") && version.contains(" --> 1.36.") && version.ends_with("(pending)"), "{version}");
    for (pointer, value) in [
        ("/state", "normal"),
        ("/lifecycle/masterState", "updating"),
        ("/lifecycle/masterStatus", "Version update in progress"),
        ("/lifecycle/masterHealth", "normal"),
        ("/masterStatus", "Version update in progress"),
    ] {
        assert_eq!(text(&during, pointer), value, "{pointer}");
    }
    let worker = account.workers(&cluster, "").remove(0);
    assert_eq!(worker["kubeVersion"]["target"], worker["kubeVersion"]["actual"], "the target moves when the master is there");
    account.refused(&put, &order, 400, "Ef9cc").unwrap();
    let again = json!({ "cluster": cluster, "version": "1.36" });
    account.refused("POST /v2/updateMaster", &again, 400, "Ef9cc").unwrap();
    account.refused("POST /v2/refreshMaster", &json!({ "cluster": cluster }), 400, "Ef9cc").unwrap();

    account.advance(1000);
    wait::until("the master to be updated", wait::PATIENCE, || {
        let version = text(&account.get(&compatible), "/masterKubeVersion").to_owned();
        if version.contains("(pending)") { Err(version) } else { Ok(()) }
    });
    let after = account.get(&compatible);
    assert!(text(&after, "/masterKubeVersion").starts_with("1.36."), "{after}");
    assert_eq!((text(&after, "/masterState"), text(&after, "/masterStatus")), ("deployed", "Ready"));
    let worker = account.workers(&cluster, "").remove(0);
    assert!(text(&worker, "/kubeVersion/actual").starts_with("1.35."), "workers keep theirs until they are updated");
    assert_eq!(worker["kubeVersion"]["target"], after["masterKubeVersion"]);
    account.refused(&put, &order, 409, "E0120").unwrap();
}

#[test]
fn a_master_goes_up_one_minor_version_at_a_time() {
    let server = shared();
    let mut account = Account::new(&server, "master-minor");
    let mut order = server.classic_order(&account.token, "minor");
    (order["masterVersion"], order["workerNum"]) = ("4.19_openshift".into(), 2.into());
    let cluster = text(&account.call("POST /v1/clusters", &order).json(201), "/id").to_owned();
    account.settle(&cluster);
    let update = |version: &str| json!({ "cluster": cluster, "version": version });
    account.refused("POST /v2/updateMaster", &update("4.21_openshift"), 400, "E").unwrap();
    account.refused("POST /v2/updateMaster", &update("4.18_openshift"), 400, "E").unwrap();
    account.call("POST /v2/updateMaster", &update("4.20_openshift")).expect(204);
    account.settle(&cluster);
    account.call("POST /v2/updateMaster", &update("4.21_openshift")).expect(204);
}

#[test]
fn a_master_that_is_not_there_yet_is_not_updated() {
    let server = Server::builder().pace("real").start();
    let account = Account::new(&server, "master-early");
    let cluster = server.create_vpc(&account.token, "early");
    let put = format!("PUT /v1/clusters/{cluster}");
    account.refused(&put, &json!({ "action": "update", "version": "1.36" }), 400, "Ef9cc").unwrap();
    let path = format!("/v2/getCluster?cluster={cluster}");
    assert!(!text(&account.get(&path), "/masterKubeVersion").contains("pending"));
}

#[test]
fn a_refresh_of_a_master_is_seen_until_it_is_done() {
    let server = Server::builder().pace("real").start();
    let mut account = Account::new(&server, "master-refresh");
    let cluster = account.vpc("refreshed");
    let masters = format!("PUT /v1/clusters/{cluster}/masters");
    let state = |account: &Account<'_>| {
        let shown = account.get(&format!("/v2/getCluster?cluster={cluster}"));
        assert!(!text(&shown, "/masterKubeVersion").contains("pending"), "its version stays");
        text(&shown, "/lifecycle/masterState").to_owned()
    };
    for (request, body) in
        [(masters.as_str(), json!({ "action": "refresh" })), ("POST /v2/refreshMaster", json!({ "cluster": cluster }))]
    {
        assert!(account.call(request, &body).expect(204).body.is_empty());
        assert_eq!(state(&account), "updating");
        account.call(request, &body).expect(204);
        account.advance(200);
        wait::until("the master to be refreshed", wait::PATIENCE, || match state(&account).as_str() {
            "deployed" => Ok(()),
            other => Err(other.to_owned()),
        });
    }
}

#[test]
fn service_endpoints_are_turned_on_and_off() {
    let server = shared();
    let mut account = Account::new(&server, "endpoints");
    let (vpc, classic) = (account.vpc("one"), account.classic("two"));
    let enabled = |cluster: &str| {
        let shown = account.get(&format!("/v2/getCluster?cluster={cluster}"));
        let of = |kind: &str| shown["serviceEndpoints"][format!("{kind}ServiceEndpointEnabled")].as_bool().unwrap();
        (of("public"), of("private"))
    };
    assert_eq!((enabled(&vpc), enabled(&classic)), ((true, true), (true, false)));
    let steps = [
        (&classic, "/v2/enablePrivateServiceEndpoint", (true, true)),
        (&classic, "/v2/disablePublicServiceEndpoint", (false, true)),
        (&classic, "/v2/enablePublicServiceEndpoint", (true, true)),
        (&classic, "/v2/disablePrivateServiceEndpoint", (true, false)),
        (&vpc, "/v2/disablePublicServiceEndpoint", (false, true)),
        (&vpc, "/v2/enablePublicServiceEndpoint", (true, true)),
    ];
    for (cluster, path, after) in steps {
        account.call(&format!("POST {path}"), &json!({ "cluster": cluster })).expect(204);
        assert_eq!(enabled(cluster), after, "{path}");
    }
    let v1 = [
        ("enablePrivateServiceEndpoint", (true, true)),
        ("disablePublicServiceEndpoint", (false, true)),
        ("enablePublicServiceEndpoint", (true, true)),
        ("disablePrivateServiceEndpoint", (true, false)),
    ];
    for (action, after) in v1 {
        account.call(&format!("PUT /v1/clusters/{classic}"), &json!({ "action": action })).expect(204);
        assert_eq!(enabled(&classic), after, "{action}");
    }
    account.refused("POST /v2/disablePublicServiceEndpoint", &json!({ "cluster": classic }), 400, "E0011").unwrap();
    account.refused("POST /v2/disablePrivateServiceEndpoint", &json!({ "cluster": vpc }), 400, "E0011").unwrap();
    assert_eq!((enabled(&vpc), enabled(&classic)), ((true, true), (true, false)));
}

#[test]
fn automatic_updates_are_turned_off_and_on() {
    let server = shared();
    let mut account = Account::new(&server, "auto-update");
    let cluster = account.vpc("auto");
    for on in [false, true] {
        account.call("POST /v2/autoUpdateMaster", &json!({ "cluster": cluster, "autoUpdate": on })).expect(204);
        assert_eq!(account.get(&format!("/v2/getCluster?cluster={cluster}"))["disableAutoUpdate"], !on);
    }
}

#[test]
fn what_masters_cannot_do_is_refused_with_what_to_do_next() {
    let server = shared();
    let mut account = Account::new(&server, "master-refused");
    let cluster = account.vpc("one");
    let (put, masters) = (format!("PUT /v1/clusters/{cluster}"), format!("PUT /v1/clusters/{cluster}/masters"));
    let update = |version: &str| json!({ "cluster": cluster, "action": "update", "version": version });
    let none = json!({ "cluster": "none", "autoUpdate": true });
    let (no_cluster, incomplete) = ((404, "G0004"), (400, "E0011"));
    let rows = vec![
        ("same version", (put.as_str(), update("1.36"), (409, "E0120"))),
        ("same version, v2", ("POST /v2/updateMaster", update("1.36"), (409, "E0120"))),
        ("unknown version", (&put, update("1.99"), (400, "E0118"))),
        ("unknown action", (&put, json!({ "action": "paint" }), incomplete)),
        ("no action", (&put, json!({}), incomplete)),
        ("no body", (&put, Value::Null, incomplete)),
        ("unknown action of masters", (masters.as_str(), json!({ "action": "paint" }), incomplete)),
        ("update, unknown cluster", ("PUT /v1/clusters/none", update("1.36"), no_cluster)),
        ("refresh, unknown cluster", ("PUT /v1/clusters/none/masters", json!({ "action": "refresh" }), no_cluster)),
        ("v2 update, unknown cluster", ("POST /v2/updateMaster", none.clone(), no_cluster)),
        ("v2 refresh, unknown cluster", ("POST /v2/refreshMaster", none.clone(), no_cluster)),
        ("v2 auto-update, unknown cluster", ("POST /v2/autoUpdateMaster", none.clone(), no_cluster)),
        ("v2 auto-update, nothing said", ("POST /v2/autoUpdateMaster", json!({ "cluster": cluster }), incomplete)),
        ("v2 endpoint, unknown cluster", ("POST /v2/enablePublicServiceEndpoint", none.clone(), no_cluster)),
        ("v2 refresh, no cluster", ("POST /v2/refreshMaster", json!({}), incomplete)),
    ];
    check::table(rows, |(request, body, (status, code))| account.refused(request, &body, status, code));
}

#[test]
fn of_two_updates_at_once_one_is_carried_out() {
    let server = Server::builder().pace("real").start();
    let mut account = Account::new(&server, "master-twice");
    let cluster = older(&mut account, "twice");
    let body = json!({ "cluster": cluster, "version": "1.36" });
    let mut statuses: Vec<_> = std::thread::scope(|scope| {
        let send = || account.call("POST /v2/updateMaster", &body).status;
        let sent: Vec<_> = (0..2).map(|_| scope.spawn(send)).collect();
        sent.into_iter().map(|sent| sent.join().unwrap()).collect()
    });
    statuses.sort_unstable();
    assert_eq!(statuses, [204, 400]);
}
