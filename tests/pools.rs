//! Worker pools as clients make, resize, spread, describe and remove them.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::harness::account::ids;
use crate::harness::http::{array, text};
use crate::harness::{Account, Server, check, shared, wait};

/// The body of a request for a VPC pool with two workers in each of the first `zones` zones.
#[track_caller]
fn pool_order(account: &Account<'_>, cluster: &str, name: &str, zones: usize) -> Value {
    let (vpc, places) = account.server.vpc_zones(&account.token);
    json!({
        "cluster": cluster, "name": name, "flavor": "bx2.4x16", "vpcID": vpc, "workerCount": 2, "zones": &places[..zones],
        "diskEncryption": true, "entitlement": "", "labels": { "tier": "web" }, "hostPool": "", "operatingSystem": "",
    })
}

#[test]
fn a_vpc_pool_lives_as_terraform_has_it() {
    vpc_pool_life(&Server::builder().pace("real").start());
}

/// Make a pool, label, taint, resize and spread it, take a zone away, remove it.
pub fn vpc_pool_life(server: &Server) {
    let mut account = Account::new(server, "pool-vpc");
    let cluster = account.vpc("pools");
    let order = pool_order(&account, &cluster, "web", 2);
    let (vpc, zones) = server.vpc_zones(&account.token);
    let zone = |index: usize| text(&zones[index], "/id");
    let unused: Vec<_> = (0..3).map(|index| account.free(&vpc, zone(index))).collect();

    let made = account.call("POST /v2/vpc/createWorkerPool", &order).json(201);
    let pool = text(&made, "/workerPoolID").to_owned();
    assert!(pool.strip_prefix(&format!("{cluster}-")).is_some_and(|end| end.len() == 7), "{pool}");
    let listed = account.workers(&cluster, "&pool=web&showDeleted=false");
    assert_eq!(listed.len(), 4, "waits take an empty list for the end");
    assert!(listed.iter().all(|w| w["poolID"] == pool.as_str() && w["poolName"] == "web"), "{listed:#?}");
    if server.pace() == "real" {
        assert!(listed.iter().all(|w| w["lifecycle"]["actualState"] == "provision_pending"), "{listed:#?}");
    }
    account.settle(&cluster);
    let shown = account.pool(&cluster, "web");
    assert_eq!(account.get(&format!("/v2/vpc/getWorkerPool?cluster={cluster}&workerpool={pool}")), shown);
    assert_eq!(shown["zones"].pointer("/0/subnets"), Some(&json!([{ "id": zones[0]["subnetID"], "primary": true }])));
    for (member, value) in [
        ("id", json!(pool)),
        ("poolName", json!("web")),
        ("flavor", json!("bx2.4x16")),
        ("isolation", json!("public")),
        ("isBalanced", json!(true)),
        ("workerCount", json!(2)),
        ("vpcID", json!(vpc)),
        ("provider", json!("vpc-gen2")),
        ("labels", json!({ "tier": "web" })),
        ("autoscaleEnabled", json!(false)),
    ] {
        assert_eq!(shown[member], value, "{member}");
    }
    for path in ["/v2/getWorkerPools", "/v2/vpc/getWorkerPools"] {
        let all = account.get(&format!("{path}?cluster={cluster}"));
        assert_eq!(array(&all).iter().map(|p| text(p, "/poolName")).collect::<Vec<_>>(), ["default", "web"], "{path}");
    }
    described(&account, &cluster);
    spread(&mut account, &cluster, &zones);

    account.call(&format!("DELETE /v1/clusters/{cluster}/workerpools/web"), &Value::Null).expect(204);
    let path = format!("GET /v2/vpc/getWorkerPool?cluster={cluster}&workerpool={pool}");
    account.refused(&path, &Value::Null, 404, "E0d40").unwrap();
    let answer = account.call(&path, &Value::Null).json(404);
    assert!(text(&answer, "/description").starts_with("The specified worker pool could not be found"), "Terraform compares");
    account.settle(&cluster);
    let last: Vec<_> = account.workers(&cluster, "&showDeleted=true");
    assert!(last.iter().filter(|w| w["poolName"] == "web").count() >= 4, "waits look for what became of them: {last:#?}");
    assert!(last.iter().filter(|w| w["poolID"] == pool.as_str()).all(|w| w["lifecycle"]["actualState"] == "deleted"));
    assert_eq!((0..3).map(|index| account.free(&vpc, zone(index))).collect::<Vec<_>>(), unused, "addresses are free again");
}

/// Labels, taints and the system of the pool `web`.
fn described(account: &Account<'_>, cluster: &str) {
    // As Go clients send it: all members, of which only the one that the state names counts.
    let patch = json!({ "state": "labels", "labels": { "a": "b" }, "sizePerZone": 0, "reasonForResize": "" });
    let answer = account.call(&format!("PATCH /v1/clusters/{cluster}/workerpools/web"), &patch);
    assert!(answer.expect(202).body.is_empty());
    let shown = account.pool(cluster, "web");
    assert_eq!((&shown["labels"], &shown["workerCount"]), (&json!({ "a": "b" }), &json!(2)));
    let of = |more: Value| {
        let mut body = json!({ "cluster": cluster, "workerpool": "web" });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    account.call("POST /v2/setWorkerPoolLabels", &of(json!({ "labels": { "c": "d" } }))).expect(204);
    assert_eq!(account.pool(cluster, "web")["labels"], json!({ "c": "d" }));
    let taints = json!({ "dedicated": "edge:NoExecute", "empty": ":NoSchedule" });
    account.call("POST /v2/setWorkerPoolTaints", &of(json!({ "taints": taints }))).expect(204);
    assert_eq!(account.pool(cluster, "web")["taints"], taints);
    account.call("POST /v2/setWorkerPoolTaints", &of(json!({ "taints": {} }))).expect(204);
    assert!(account.pool(cluster, "web").get("taints").is_none());
    let system = account.pool(cluster, "web")["operatingSystem"].clone();
    let body = json!({ "cluster": cluster, "workerPool": "web", "operatingSystem": system });
    account.call("POST /v2/setWorkerPoolOperatingSystem", &body).expect(202);
}

/// Sizes and zones of the pool `web`, which has two workers in each of two zones.
fn spread(account: &mut Account<'_>, cluster: &str, zones: &[Value]) {
    let resize = json!({ "state": "resizing", "sizePerZone": 3, "labels": null });
    account.call(&format!("PATCH /v1/clusters/{cluster}/workerpools/web"), &resize).expect(202);
    let counts = |account: &Account<'_>| {
        let pool = account.pool(cluster, "web");
        array(&pool["zones"]).iter().map(|zone| zone["workerCount"].as_i64().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(counts(account), [3, 3]);
    let third = json!({ "cluster": cluster, "workerPoolID": "web", "id": zones[2]["id"], "subnetID": zones[2]["subnetID"] });
    assert!(account.call("POST /v2/vpc/createWorkerPoolZone", &third).expect(201).body.is_empty());
    account.refused("POST /v2/vpc/createWorkerPoolZone", &third, 409, "E0d43").unwrap();
    assert_eq!(counts(account), [3, 3, 3]);
    let size = json!({ "cluster": cluster, "workerpool": "web", "size": 1 });
    account.call("POST /v2/resizeWorkerPool", &size).expect(202);
    assert_eq!(counts(account), [1, 1, 1]);
    account.settle(cluster);
    let place = text(&zones[0], "/id");
    account.call(&format!("DELETE /v1/clusters/{cluster}/workerpools/web/zones/{place}"), &Value::Null).expect(202);
    account.settle(cluster);
    let there = account.workers(cluster, "&pool=web&showDeleted=true");
    let left: Vec<_> = there.iter().filter(|w| w["lifecycle"]["actualState"] != "deleted").collect();
    assert_eq!(left.len(), 2);
    assert!(left.iter().all(|w| w["location"] != place), "{left:#?}");
    let body = json!({ "cluster": cluster, "workerpool": "web", "zone": zones[1]["id"] });
    account.call("POST /v2/removeWorkerPoolZone", &body).expect(204);
    assert_eq!(counts(account), [1]);
}

#[test]
fn a_classic_pool_lives_as_terraform_has_it() {
    let server = shared();
    let mut account = Account::new(&server, "pool-classic");
    let cluster = account.classic("pools");
    let (public, private) = server.vlans(&account.token);
    let pools = format!("/v1/clusters/{cluster}/workerpools");
    let order = json!({ "name": "edge", "machineType": "b3c.4x16", "sizePerZone": 2, "isolation": "public", "zones": null,
        "diskEncryption": true, "labels": null });
    let made = account.call(&format!("POST {pools}"), &order).json(201);
    assert_eq!((&made["name"], &made["sizePerZone"], &made["state"]), (&json!("edge"), &json!(2), &json!("active")));
    assert_eq!(account.get(&format!("{pools}/{}", text(&made, "/id"))), made);
    assert!(account.workers(&cluster, "&pool=edge").is_empty(), "it has no zones yet");

    let zone = json!({ "id": "dal10", "privateVlan": private, "publicVlan": public });
    assert!(account.call(&format!("POST {pools}/edge/zones"), &zone).expect(201).body.is_empty());
    account.call(&format!("POST {pools}/edge/zones"), &json!({ "id": "dal12" })).expect(201);
    account.settle(&cluster);
    let pool = account.get(&format!("{pools}/edge"));
    assert_eq!((&pool["zones"][0]["privateVLAN"], &pool["zones"][0]["workerCount"]), (&json!(private), &json!(2)));
    assert!(pool["zones"][1]["privateVLAN"].is_string(), "the account's own pair there: {pool}");
    let (v2, listed) = (account.pool(&cluster, "edge"), account.get(&format!("/v2/classic/getWorkerPools?cluster={cluster}")));
    assert_eq!(array(&listed)[1], v2);
    assert_eq!(account.get(&format!("/v2/classic/getWorkerPool?cluster={cluster}&workerpool=edge")), v2);
    assert_eq!(array(&account.get(&pools)).len(), 2);

    account
        .call(&format!("PATCH {pools}/edge/zones/dal10"), &json!({ "privateVlan": private, "publicVlan": public }))
        .expect(204);
    account.call(&format!("PATCH {pools}/edge"), &json!({ "state": "resizing", "sizePerZone": 1 })).expect(202);
    account.call(&format!("PATCH {pools}/edge"), &json!({ "state": "rebalancing" })).expect(202);
    assert_eq!(account.get(&format!("{pools}/edge"))["isBalanced"], true);
    account.call(&format!("DELETE {pools}/edge/zones/dal12"), &Value::Null).expect(202);
    account.call("POST /v2/removeWorkerPool", &json!({ "cluster": cluster, "workerpool": "edge" })).expect(204);
    account.settle(&cluster);
    account.refused(&format!("GET {pools}/edge"), &Value::Null, 404, "E0d40").unwrap();
    assert_eq!(account.workers(&cluster, "").len(), 1);
}

#[test]
fn what_pools_cannot_be_is_refused_with_what_to_do_next() {
    let server = shared();
    let mut account = Account::new(&server, "pool-refused");
    let (vpc, classic) = (account.vpc("one"), account.classic("two"));
    let (no_cluster, no_pool, no_zone) = ((404, "G0004"), (404, "E0d40"), (404, "E0d42"));
    let (incomplete, provider, subnet) = ((400, "E0011"), (400, "G3917"), (400, "E0f12"));
    let order = pool_order(&account, &vpc, "new", 1);
    let with = |member: &str, value: Value| {
        let mut order = order.clone();
        order[member] = value;
        order
    };
    let (_, zones) = server.vpc_zones(&account.token);
    let (first, second) = (text(&zones[0], "/id"), text(&zones[1], "/subnetID"));
    let of = |cluster: &str, pool: &str, member: &str, value: Value| json!({ "cluster": cluster, "workerpool": pool, member: value });
    let create = "POST /v2/vpc/createWorkerPool";
    let patch = |state: Value| (format!("PATCH /v1/clusters/{vpc}/workerpools/default"), state);
    let rows = vec![
        ("create, unknown cluster", ((create.into(), with("cluster", json!("none"))), no_cluster)),
        ("create, no cluster", ((create.into(), with("cluster", json!(""))), incomplete)),
        ("create, provider", ((create.into(), with("cluster", json!(classic))), provider)),
        ("create, name taken", ((create.into(), with("name", json!("default"))), (409, "E0d39"))),
        ("create, no name", ((create.into(), with("name", json!(""))), incomplete)),
        ("create, bad name", ((create.into(), with("name", json!("a b"))), incomplete)),
        ("create, no flavor", ((create.into(), with("flavor", json!(""))), incomplete)),
        ("create, flavor not there", ((create.into(), with("flavor", json!("gx3d.24x120.a100p"))), (400, "E4e5b"))),
        ("create, another VPC", ((create.into(), with("vpcID", json!("r006-none"))), incomplete)),
        ("create, subnet elsewhere", ((create.into(), with("zones", json!([{ "id": first, "subnetID": second }]))), subnet)),
        ("create, unknown subnet", ((create.into(), with("zones", json!([{ "id": first, "subnetID": "0717-none" }]))), subnet)),
        ("create, unknown zone", ((create.into(), with("zones", json!([{ "id": "x", "subnetID": second }]))), (400, "E0012"))),
        ("create, negative size", ((create.into(), with("workerCount", json!(-1))), incomplete)),
        ("create, 501 workers", ((create.into(), with("workerCount", json!(501))), incomplete)),
        ("create, 500 and one", ((create.into(), with("workerCount", json!(500))), incomplete)),
        ("create, unknown system", ((create.into(), with("operatingSystem", json!("DOS"))), incomplete)),
        ("create, bad label", ((create.into(), with("labels", json!({ "a b": "" }))), incomplete)),
        ("create, zone twice", ((create.into(), with("zones", json!([zones[0], zones[0]]))), incomplete)),
        ("create, labels no map", ((create.into(), with("labels", json!([]))), incomplete)),
        ("get, unknown pool", ((format!("GET /v2/getWorkerPool?cluster={vpc}&workerpool=none"), Value::Null), no_pool)),
        ("get, no pool", ((format!("GET /v2/getWorkerPool?cluster={vpc}"), Value::Null), incomplete)),
        ("get, provider", ((format!("GET /v2/classic/getWorkerPool?cluster={vpc}&workerpool=default"), Value::Null), provider)),
        ("list, unknown cluster", (("GET /v2/getWorkerPools?cluster=none".into(), Value::Null), no_cluster)),
        ("list, provider", ((format!("GET /v2/vpc/getWorkerPools?cluster={classic}"), Value::Null), provider)),
        ("v1 list, unknown cluster", (("GET /v1/clusters/none/workerpools".into(), Value::Null), no_cluster)),
        ("v1 get, unknown pool", ((format!("GET /v1/clusters/{vpc}/workerpools/none"), Value::Null), no_pool)),
        ("patch, unknown state", (patch(json!({ "state": "painting" })), incomplete)),
        ("patch, no state", (patch(json!({ "sizePerZone": 2 })), incomplete)),
        ("patch, no size", (patch(json!({ "state": "resizing" })), incomplete)),
        ("resize, negative", (("POST /v2/resizeWorkerPool".into(), of(&vpc, "default", "size", json!(-1))), incomplete)),
        ("resize, huge", (("POST /v2/resizeWorkerPool".into(), of(&vpc, "default", "size", json!(i64::MAX))), incomplete)),
        ("resize, 501", (("POST /v2/resizeWorkerPool".into(), of(&vpc, "default", "size", json!(501))), incomplete)),
        (
            "resize, no addresses",
            (("POST /v2/resizeWorkerPool".into(), of(&vpc, "default", "size", json!(400))), (400, "E0f13")),
        ),
        ("resize, unknown pool", (("POST /v2/resizeWorkerPool".into(), of(&vpc, "none", "size", json!(2))), no_pool)),
        ("resize, no pool", (("POST /v2/resizeWorkerPool".into(), of(&vpc, "", "size", json!(2))), incomplete)),
        ("rebalance, unknown pool", (("POST /v2/rebalanceWorkerPool".into(), of(&vpc, "none", "x", json!(2))), no_pool)),
        (
            "labels, not valid",
            (("POST /v2/setWorkerPoolLabels".into(), of(&vpc, "default", "labels", json!({ "a b": "" }))), incomplete),
        ),
        (
            "taint, no effect",
            (("POST /v2/setWorkerPoolTaints".into(), of(&vpc, "default", "taints", json!({ "a": "b" }))), incomplete),
        ),
        (
            "taint, bad effect",
            (("POST /v2/setWorkerPoolTaints".into(), of(&vpc, "default", "taints", json!({ "a": "b:No" }))), incomplete),
        ),
        ("taint, unknown pool", (("POST /v2/setWorkerPoolTaints".into(), of(&vpc, "none", "taints", json!({}))), no_pool)),
        (
            "system, not offered",
            (
                (
                    "POST /v2/setWorkerPoolOperatingSystem".into(),
                    json!({ "cluster": vpc, "workerPool": "default", "operatingSystem": "RHCOS" }),
                ),
                incomplete,
            ),
        ),
        (
            "system, none",
            (
                (
                    "POST /v2/setWorkerPoolOperatingSystem".into(),
                    json!({ "cluster": vpc, "workerPool": "default", "operatingSystem": "" }),
                ),
                incomplete,
            ),
        ),
        ("remove, unknown pool", (("POST /v2/removeWorkerPool".into(), of(&vpc, "none", "x", json!(0))), no_pool)),
        ("v1 remove, unknown pool", ((format!("DELETE /v1/clusters/{vpc}/workerpools/none"), Value::Null), no_pool)),
        (
            "zone remove, not in pool",
            ((format!("DELETE /v1/clusters/{vpc}/workerpools/default/zones/us-south-3"), Value::Null), no_zone),
        ),
        (
            "v2 zone remove, not in pool",
            (("POST /v2/removeWorkerPoolZone".into(), of(&vpc, "default", "zone", json!("x"))), no_zone),
        ),
        (
            "zone add, in pool",
            (
                (
                    "POST /v2/vpc/createWorkerPoolZone".into(),
                    json!({ "cluster": vpc, "workerpool": "default", "id": first, "subnetID": zones[0]["subnetID"] }),
                ),
                (409, "E0d43"),
            ),
        ),
        (
            "zone add, subnet elsewhere",
            (
                (
                    "POST /v2/vpc/createWorkerPoolZone".into(),
                    json!({ "cluster": vpc, "workerpool": "default", "id": "us-south-3", "subnetID": second }),
                ),
                subnet,
            ),
        ),
        (
            "zone add, no subnet",
            (
                (
                    "POST /v2/vpc/createWorkerPoolZone".into(),
                    json!({ "cluster": vpc, "workerpool": "default", "id": "us-south-3" }),
                ),
                incomplete,
            ),
        ),
        (
            "zone add, provider",
            (
                (
                    "POST /v2/vpc/createWorkerPoolZone".into(),
                    json!({ "cluster": classic, "workerpool": "default", "id": "dal12" }),
                ),
                provider,
            ),
        ),
        (
            "networks on VPC",
            ((format!("PATCH /v1/clusters/{vpc}/workerpools/default/zones/{first}"), json!({ "privateVlan": "1" })), provider),
        ),
        (
            "v1 create on VPC",
            ((format!("POST /v1/clusters/{vpc}/workerpools"), json!({ "name": "p", "machineType": "b3c.4x16" })), provider),
        ),
    ];
    check::table(rows, |((request, body), (status, code))| account.refused(&request, &body, status, code));
    assert_eq!(array(&account.get(&format!("/v2/getWorkerPools?cluster={vpc}"))).len(), 1, "nothing of that made a pool");
    assert_eq!(account.workers(&vpc, "").len(), 1);
}

#[test]
fn what_classic_pools_cannot_be_is_refused_with_what_to_do_next() {
    let server = shared();
    let mut account = Account::new(&server, "classic-refused");
    let cluster = account.classic("one");
    let (public, private) = server.vlans(&account.token);
    let other = account.get("/v1/datacenters/dal12/vlans");
    let elsewhere = array(&other).iter().find(|vlan| vlan["type"] == "private").unwrap()["id"].clone();
    let pools = format!("/v1/clusters/{cluster}/workerpools");
    let order = json!({ "name": "new", "machineType": "b3c.4x16", "sizePerZone": 1, "zones": [{ "id": "dal10" }] });
    let with = |member: &str, value: Value| {
        let mut order = order.clone();
        order[member] = value;
        (format!("POST {pools}"), order)
    };
    let (incomplete, vlan, half) = ((400, "E0011"), (400, "E0f14"), (400, "E0020"));
    let pair = |private: &Value, public: &Value| json!({ "privateVlan": private, "publicVlan": public });
    let (private, public) = (json!(private), json!(public));
    let network = format!("PATCH {pools}/default/zones/dal10");
    let rows = vec![
        ("name taken", (with("name", json!("default")), (409, "E0d39"))),
        ("no machine type", (with("machineType", json!("")), incomplete)),
        ("flavor of VPC", (with("machineType", json!("bx2.4x16")), incomplete)),
        ("zone of VPC", (with("zones", json!([{ "id": "us-south-1" }])), (400, "E0012"))),
        ("zone twice", (with("zones", json!([{ "id": "dal10" }, { "id": "dal10" }])), incomplete)),
        ("bad label", (with("labels", json!({ "a b": "" })), incomplete)),
        ("one VLAN", (with("zones", json!([{ "id": "dal10", "privateVLAN": private }])), half)),
        ("unknown cluster", (("POST /v1/clusters/none/workerpools".into(), order.clone()), (404, "G0004"))),
        ("VLAN of another data center", ((network.clone(), pair(&elsewhere, &public)), vlan)),
        ("VLANs the wrong way round", ((network.clone(), pair(&public, &private)), vlan)),
        ("one VLAN of a zone", ((network.clone(), json!({ "privateVlan": private })), half)),
        ("networks, unknown pool", ((format!("PATCH {pools}/none/zones/dal10"), pair(&private, &public)), (404, "E0d40"))),
        ("networks, zone not in pool", ((format!("PATCH {pools}/default/zones/dal13"), json!({})), (404, "E0d42"))),
        ("zone in pool", ((format!("POST {pools}/default/zones"), json!({ "id": "dal10" })), (409, "E0d43"))),
        ("no zone", ((format!("POST {pools}/default/zones"), json!({})), incomplete)),
    ];
    check::table(rows, |((request, body), (status, code))| account.refused(&request, &body, status, code));
    assert_eq!(array(&account.get(&pools)).len(), 1);
}

#[test]
fn an_openshift_cluster_keeps_two_workers_unless_one_is_allowed() {
    let server = shared();
    let mut account = Account::new(&server, "pool-openshift");
    let mut order = server.classic_order(&account.token, "shift");
    (order["masterVersion"], order["workerNum"]) = ("4.21_openshift".into(), 2.into());
    let cluster = text(&account.call("POST /v1/clusters", &order).json(201), "/id").to_owned();
    account.settle(&cluster);
    let mut resize = json!({ "cluster": cluster, "workerpool": "default", "size": 1 });
    account.refused("POST /v2/resizeWorkerPool", &resize, 400, "E0011").unwrap();
    assert_eq!(account.workers(&cluster, "").len(), 2);
    resize["allowSingleOpenShiftWorker"] = true.into();
    account.call("POST /v2/resizeWorkerPool", &resize).expect(202);
    account.settle(&cluster);
    assert_eq!(account.workers(&cluster, "").len(), 1);
}

#[test]
fn a_cluster_that_is_being_deleted_takes_no_changes() {
    let server = Server::builder().pace("real").start();
    let account = Account::new(&server, "deleting");
    let cluster = server.create_vpc(&account.token, "leaving");
    account.call(&format!("DELETE /v1/clusters/{cluster}"), &Value::Null).expect(204);
    let worker = ids(&account.workers(&cluster, "")).remove(0);
    let order = pool_order(&account, &cluster, "late", 1);
    let pool = |path: &str| (format!("POST {path}"), json!({ "cluster": cluster, "workerpool": "default", "size": 2 }));
    let v1 = format!("/v1/clusters/{cluster}");
    let rows = vec![
        ("pool create", ("POST /v2/vpc/createWorkerPool".to_owned(), order)),
        ("resize", pool("/v2/resizeWorkerPool")),
        ("rebalance", pool("/v2/rebalanceWorkerPool")),
        ("pool remove", pool("/v2/removeWorkerPool")),
        ("labels", pool("/v2/setWorkerPoolLabels")),
        ("reload", (format!("PUT {v1}/workers/{worker}"), json!({ "action": "reload" }))),
        ("replace", ("POST /v2/replaceWorker".to_owned(), json!({ "cluster": cluster, "workerID": worker }))),
        ("remove", (format!("DELETE {v1}/workers/{worker}"), Value::Null)),
        ("update", (format!("PUT {v1}"), json!({ "action": "update" }))),
        ("refresh", (format!("PUT {v1}/masters"), json!({ "action": "refresh" }))),
        ("endpoint", ("POST /v2/disablePublicServiceEndpoint".to_owned(), json!({ "cluster": cluster }))),
    ];
    check::table(rows, |(request, body)| account.refused(&request, &body, 409, "E0f1a"));
    let shown = account.worker(&cluster, &worker);
    assert_eq!((text(&shown, "/lifecycle/actualState"), text(&shown, "/lifecycle/desiredState")), ("deleting", "deleted"));
}

#[test]
fn a_resize_while_a_zone_is_removed_counts_for_the_zones_that_stay() {
    let server = Server::builder().pace("real").start();
    let mut account = Account::new(&server, "crossing");
    let cluster = account.vpc("crossing");
    account.call("POST /v2/vpc/createWorkerPool", &pool_order(&account, &cluster, "web", 2)).expect(201);
    let zone = text(&account.pool(&cluster, "web"), "/zones/0/id").to_owned();
    account.call(&format!("DELETE /v1/clusters/{cluster}/workerpools/web/zones/{zone}"), &Value::Null).expect(202);
    account.call("POST /v2/resizeWorkerPool", &json!({ "cluster": cluster, "workerpool": "web", "size": 3 })).expect(202);
    let during = account.workers(&cluster, "&pool=web");
    let leaving = during.iter().filter(|w| w["lifecycle"]["actualState"] == "deleting").count();
    assert_eq!((leaving, during.len()), (2, 5), "{during:#?}");
    account.settle(&cluster);
    let after = account.workers(&cluster, "&pool=web");
    assert_eq!(after.len(), 3);
    assert!(after.iter().all(|w| w["location"] != zone.as_str()), "{after:#?}");
}

#[test]
fn many_resizes_at_once_end_in_one_of_the_sizes() {
    resized_at_once(&Server::builder().pace("fast").start());
}

/// Twenty clients resize one pool at the same time.
pub fn resized_at_once(server: &Server) {
    let account = Account::new(server, "crowd");
    let cluster = server.create_vpc(&account.token, "crowd");
    account.call("POST /v2/vpc/createWorkerPool", &pool_order(&account, &cluster, "web", 3)).expect(201);
    std::thread::scope(|scope| {
        for size in 1..=20 {
            let (account, cluster) = (&account, &cluster);
            scope.spawn(move || {
                let body = json!({ "cluster": cluster, "workerpool": "web", "size": size });
                let answer = account.call("POST /v2/resizeWorkerPool", &body);
                // Too many at once may be told to send theirs again.
                assert!([202, 409].contains(&answer.status), "{} {}", answer.status, answer.text());
            });
        }
    });
    server.normal(&account.token, &cluster);
    wait::until("the workers to be as they should", wait::PATIENCE, || {
        let pool = account.pool(&cluster, "web");
        let workers = account.workers(&cluster, "");
        let addresses: BTreeSet<_> = workers.iter().map(|w| text(w, "/networkInterfaces/0/ipAddress")).collect();
        assert_eq!(addresses.len(), workers.len(), "no address is given twice");
        let ready = workers.iter().all(|w| w["health"]["state"] == "normal");
        let wanted = 3 * pool["workerCount"].as_u64().unwrap() + 1;
        if ready && pool["isBalanced"] == true && workers.len() as u64 == wanted { Ok(()) } else { Err(pool.to_string()) }
    });
}
