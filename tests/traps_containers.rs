//! The traps of the container service: what unmodified clients stumble over, one test each.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::harness::archive::{kubeconfig, unpacked};
use crate::harness::check::{self, Service};
use crate::harness::http::{array, integer, text};
use crate::harness::server::DATA_CENTER;
use crate::harness::{Request, Server, shared, wait};

const VPC_CREATE: &str = "/global/v2/vpc/createCluster";
const CLASSIC_CREATE: &str = "/global/v1/clusters";

/// A shared server, an account's token, and one normal cluster of each provider in it.
fn pair(name: &str) -> (std::sync::Arc<Server>, String, String, String) {
    let server = shared();
    let token = server.token(&server.account(name));
    let vpc = server.create_vpc(&token, &format!("{name}-vpc"));
    let classic = server.create_classic(&token, &format!("{name}-classic"));
    server.normal(&token, &vpc);
    server.normal(&token, &classic);
    (server, token, vpc, classic)
}

fn get(server: &Server, token: &str, path: &str) -> Value {
    server.send(Request::get(path).bearer(token)).json(200)
}

// Transport ----------------------------------------------------------------------------------------------------------

#[test]
fn paths_are_served_with_and_without_the_prefix() {
    let (server, token, vpc, classic) = pair("prefix");
    for path in [
        "/v1/clusters".to_owned(),
        format!("/v1/clusters/{classic}"),
        "/v2/clusters".to_owned(),
        format!("/v2/clusters/{vpc}"),
        "/v2/vpc/getClusters?provider=vpc-gen2".to_owned(),
        format!("/v2/getCluster?cluster={vpc}"),
        format!("/v1/datacenters/{DATA_CENTER}/vlans"),
    ] {
        assert_eq!(get(&server, &token, &path), get(&server, &token, &format!("/global{path}")), "{path}");
    }
}

#[test]
fn a_closing_slash_changes_nothing() {
    let (server, token, ..) = pair("slash");
    for path in ["/global/v1/clusters", "/global/v2/vpc/getClusters"] {
        assert_eq!(get(&server, &token, &format!("{path}/")), get(&server, &token, path));
    }
}

#[test]
fn the_token_may_come_without_a_scheme_or_with_one_in_any_case() {
    let server = shared();
    let token = server.token(&server.account("scheme"));
    for value in [token.clone(), format!("bearer {token}"), format!("Bearer {token}"), format!("BEARER {token}")] {
        server.send(Request::get("/global/v2/clusters").header("Authorization", &value)).expect(200);
    }
}

#[test]
fn json_is_read_whatever_its_label() {
    let server = shared();
    let token = server.token(&server.account("label"));
    for (n, label) in ["application/x-www-form-urlencoded", "text/plain", "application/json; charset=utf-8"].iter().enumerate()
    {
        let order = server.vpc_order(&token, &format!("label-{n}")).to_string();
        server.send(Request::post(VPC_CREATE).bearer(&token).bytes(label, order)).expect(201);
    }
    let order = server.classic_order(&token, "label-none").to_string().into_bytes();
    let request = Request { body: Some(order), ..Request::post(CLASSIC_CREATE).bearer(&token) };
    server.send(request).expect(201);
}

#[test]
fn v1_compatible_is_true_by_being_there() {
    let (server, token, vpc, classic) = pair("compatible");
    for flag in ["v1-compatible", "v1-compatible=", "v1-compatible=true"] {
        let body = get(&server, &token, &format!("/global/v2/getCluster?{flag}&cluster={classic}"));
        assert_eq!(body["masterStatus"], "Ready", "{flag}");
        assert_eq!(text(&body, "/lifecycle/masterStatus"), "Ready", "{flag}");
        for flat in ["ingressHostname", "ingressSecretName", "serverURL", "masterKubeVersion", "dataCenter", "ownerEmail"] {
            assert!(body[flat].is_string(), "{flag}: {flat} in {body:#}");
        }
        assert!(body["publicServiceEndpointEnabled"].is_boolean() && body.pointer("/serviceEndpoints").is_some(), "{flag}");
        let body = get(&server, &token, &format!("/global/v2/getCluster?{flag}&cluster={vpc}"));
        assert_eq!(text(&body, "/lifecycle/masterStatus"), "Ready", "{flag}");
        assert!(text(&body, "/ingress/hostname").contains('.'), "{flag}");
    }
    let plain = get(&server, &token, &format!("/global/v2/getCluster?cluster={classic}"));
    assert_eq!(plain.get("ingressHostname"), None, "without the flag the flat names stay out");
}

#[test]
fn empty_headers_count_as_absent() {
    let (server, token, _, classic) = pair("empty");
    let names = [
        "X-Auth-Uaa-Token",
        "X-Auth-Resource-Org",
        "X-Auth-Resource-Space",
        "X-Auth-Resource-Account",
        "X-Region",
        "X-Auth-Resource-Group",
        "X-Auth-Resource-Group-ID",
        "X-Auth-Refresh-Token",
    ];
    let with_all = |request: Request| names.iter().fold(request.bearer(&token), |request, name| request.header(name, ""));
    for path in
        ["/global/v1/clusters".to_owned(), format!("/global/v1/clusters/{classic}"), "/global/v2/vpc/getClusters".to_owned()]
    {
        server.send(with_all(Request::get(path))).expect(200);
    }
    server.send(with_all(Request::get(format!("/global/v1/clusters/{classic}/config")))).expect(200);
    server.send(with_all(Request::post(VPC_CREATE)).json(&server.vpc_order(&token, "empty-new"))).expect(201);
}

#[test]
fn headers_the_contract_calls_required_are_not() {
    let (server, token, _, classic) = pair("optional");
    server.send(Request::get(format!("/global/v1/clusters/{classic}/config")).bearer(&token)).expect(200);
    server.send(Request::get(format!("/global/v1/datacenters/{DATA_CENTER}/vlans")).bearer(&token)).expect(200);
}

#[test]
fn a_resource_group_narrows_under_either_header_name() {
    let (server, token, vpc, _) = pair("group");
    let group = text(&server.cluster(&token, &vpc), "/resourceGroup").to_owned();
    for name in ["X-Auth-Resource-Group", "X-Auth-Resource-Group-ID"] {
        let ask = |path: &str, group: &str| server.send(Request::get(path).bearer(&token).header(name, group));
        let single = format!("/global/v2/getCluster?cluster={vpc}");
        ask(&single, &group).expect(200);
        check::refusal(&ask(&single, &"0".repeat(32)), Service::Containers, 404, "G0004").unwrap();
        assert_eq!(array(&ask("/global/v2/clusters", &group).json(200)).len(), 2, "{name}");
        assert_eq!(ask("/global/v2/clusters", &"0".repeat(32)).json(200), json!([]), "{name}");
    }
}

#[test]
fn the_callers_own_account_may_be_named_in_a_header() {
    let server = shared();
    let user = server.account("named");
    let token = server.token(&user);
    let request = Request::get("/global/v1/clusters").bearer(&token).header("X-Auth-Resource-Account", &user.account_id);
    server.send(request).expect(200);
}

#[test]
fn answers_are_json_with_a_charset_and_go_escapes_html() {
    let server = shared();
    let token = server.token(&server.account("escapes"));
    let answer = server.send(Request::get("/global/v2/getCluster?cluster=none").bearer(&token));
    assert_eq!(answer.expect(404).content_type(), "application/json; charset=utf-8");
    let order = json!({ "name": "<b>&" });
    let answer = server.send(Request::post(CLASSIC_CREATE).bearer(&token).json(&order));
    assert_eq!(answer.expect(400).content_type(), "application/json; charset=utf-8");
    assert!(!answer.text().contains(['<', '>', '&']), "{}", answer.text());
    let list = server.send(Request::get("/global/v2/clusters").bearer(&token));
    assert_eq!(list.content_type(), "application/json; charset=utf-8");
}

#[test]
fn a_create_that_is_sent_again_ends_in_409_e0007() {
    let server = shared();
    let token = server.token(&server.account("again"));
    let order = server.vpc_order(&token, "again");
    let request = Request::post(VPC_CREATE).bearer(&token).json(&order);
    server.send(request.clone()).expect(201);
    let second = server.send(request);
    check::refusal(&second, Service::Containers, 409, "E0007").unwrap();
    assert!(second.text().contains("A cluster with the same name already exists. Choose another name."), "{}", second.text());
}

#[test]
fn request_members_are_matched_in_any_case() {
    let server = shared();
    let token = server.token(&server.account("anycase"));
    let order = server.classic_order(&token, "any-case");
    let upper: Value = order.as_object().unwrap().iter().map(|(name, value)| (name.to_uppercase(), value.clone())).collect();
    let created = server.send(Request::post(CLASSIC_CREATE).bearer(&token).json(&upper)).json(201);
    let cluster = get(&server, &token, &format!("/global/v1/clusters/{}", text(&created, "/id")));
    assert_eq!(cluster["name"], "any-case");
    assert_eq!(cluster["workerCount"], 1);
}

#[test]
fn the_misspelt_private_endpoint_is_understood() {
    let server = shared();
    let token = server.token(&server.account("misspelt"));
    let mut order = server.classic_order(&token, "misspelt");
    order["privateSeviceEndpoint"] = true.into();
    order["publicServiceEndpoint"] = true.into();
    order["GatewayEnabled"] = false.into();
    let created = server.send(Request::post(CLASSIC_CREATE).bearer(&token).json(&order)).json(201);
    let cluster = get(&server, &token, &format!("/global/v1/clusters/{}", text(&created, "/id")));
    assert_eq!(
        (&cluster["privateServiceEndpointEnabled"], &cluster["publicServiceEndpointEnabled"]),
        (&json!(true), &json!(true))
    );
}

#[test]
fn zero_values_mean_the_default() {
    let server = shared();
    let token = server.token(&server.account("zero"));
    let mut order = server.vpc_order(&token, "zero-values");
    for member in [
        "kubeVersion",
        "podSubnet",
        "serviceSubnet",
        "cosInstanceCRN",
        "defaultWorkerPoolEntitlement",
        "networkPlugin",
        "offering",
    ] {
        order[member] = "".into();
    }
    order["disablePublicServiceEndpoint"] = false.into();
    order["securityGroupIDs"] = Value::Null;
    for member in ["name", "isolation", "kmsInstanceID", "workerVolumeCRKID", "hostPoolID", "operatingSystem", "entitlement"] {
        order["workerPool"][member] = "".into();
    }
    order["workerPool"]["labels"] = Value::Null;
    order["workerPool"]["diskEncryption"] = false.into();
    let created = server.send(Request::post(VPC_CREATE).bearer(&token).json(&order)).json(201);
    let cluster = server.normal(&token, text(&created, "/clusterID"));
    assert_eq!(cluster["type"], "kubernetes");
    assert_eq!(text(&cluster, "/podSubnet"), "172.17.0.0/18");
    assert_eq!(text(&cluster, "/serviceSubnet"), "172.21.0.0/16");
    assert_eq!(cluster["workerCount"], 1);

    let second = server.create_vpc(&token, "zero-second");
    assert_eq!(text(&server.cluster(&token, &second), "/podSubnet"), "172.17.64.0/18", "the next cluster in the same VPC");
    let classic = server.create_classic(&token, "zero-classic");
    assert_eq!(text(&server.cluster(&token, &classic), "/podSubnet"), "172.30.0.0/16");
}

#[test]
fn a_pool_without_zones_is_legal_and_has_no_workers() {
    let server = shared();
    let token = server.token(&server.account("zoneless"));
    for (name, zones) in [("zoneless-empty", json!([])), ("zoneless-null", Value::Null)] {
        let mut order = server.vpc_order(&token, name);
        order["workerPool"]["zones"] = zones;
        let created = server.send(Request::post(VPC_CREATE).bearer(&token).json(&order)).json(201);
        assert_eq!(integer(&server.cluster(&token, text(&created, "/clusterID")), "/workerCount"), 0, "{name}");
    }
}

#[test]
fn the_worker_count_is_for_each_zone() {
    let server = shared();
    let token = server.token(&server.account("per-zone"));
    let mut order = server.vpc_order(&token, "per-zone");
    let (_, zones) = server.vpc_zones(&token);
    assert_eq!(zones.len(), 3, "the default VPC has a subnet in each zone of one region");
    order["workerPool"]["zones"] = zones.into();
    order["workerPool"]["workerCount"] = 2.into();
    let created = server.send(Request::post(VPC_CREATE).bearer(&token).json(&order)).json(201);
    let cluster = server.normal(&token, text(&created, "/clusterID"));
    assert_eq!(cluster["workerCount"], 6);
    assert_eq!(array(&cluster["workerZones"]).len(), 3);
}

#[test]
fn an_unknown_route_is_plain_text_404() {
    let server = shared();
    let token = server.token(&server.account("lost"));
    for path in ["/global/v2/noSuchCall", "/global/v9/clusters", "/nowhere"] {
        let answer = server.send(Request::get(path).bearer(&token));
        assert_eq!(answer.expect(404).text().trim_end(), "404 page not found", "{path}");
        assert!(answer.content_type().starts_with("text/plain"), "{path}: {}", answer.content_type());
    }
}

// States -------------------------------------------------------------------------------------------------------------

/// What a cluster shows at one moment.
fn phase(cluster: &Value) -> (String, String, String) {
    let at = |pointer: &str| cluster.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
    (at("/state"), at("/lifecycle/masterState"), at("/lifecycle/masterStatus"))
}

#[test]
fn a_cluster_passes_only_through_states_that_terraform_waits_on() {
    let server = Server::builder().pace("fast").start();
    let token = server.token(&server.administrator);
    let mut order = server.vpc_order(&token, "watched");
    order["workerPool"]["workerCount"] = 2.into();
    let created = server.send(Request::post(VPC_CREATE).bearer(&token).json(&order)).json(201);
    let id = text(&created, "/clusterID").to_owned();
    let mut phases = Vec::new();
    wait::until("the cluster to be normal", wait::PATIENCE, || {
        let cluster = get(&server, &token, &format!("/global/v2/getCluster?v1-compatible&cluster={id}"));
        let now = phase(&cluster);
        let hostname = text(&cluster, "/masterKubeVersion");
        assert!(!hostname.is_empty(), "the version is known from the start");
        // Rows of the workers exist from the first moment: waits take an empty list for the end.
        assert_eq!(cluster["workerCount"], 2, "{now:?}");
        if phases.last() != Some(&now) {
            phases.push(now.clone());
        }
        if now.0 == "normal" { Ok(()) } else { Err(format!("{now:?}")) }
    });
    let order = ["requested", "deploying", "pending", "warning", "deployed", "normal"];
    let places: Vec<_> =
        phases.iter().map(|(s, ..)| order.iter().position(|o| o == s).unwrap_or_else(|| panic!("{phases:?}"))).collect();
    assert!(places.is_sorted(), "{phases:?}");
    assert_eq!(phases[0].0, "requested", "{phases:?}");
    for (state, master_state, master_status) in &phases {
        let expected = match state.as_str() {
            "requested" => ("deploying", "Deploy requested"),
            "deploying" => ("deploying", "Deploy in progress"),
            _ => ("deployed", "Ready"),
        };
        assert_eq!((master_state.as_str(), master_status.as_str()), expected, "{phases:?}");
    }
}

#[test]
fn ingress_is_empty_until_a_worker_is_up_and_never_blank_again() {
    let server = Server::builder().pace("fast").start();
    let token = server.token(&server.administrator);
    let id = server.create_vpc(&token, "ingress");
    let mut seen = false;
    let cluster = wait::until("the cluster to be normal", wait::PATIENCE, || {
        let cluster = server.cluster(&token, &id);
        let hostname = cluster.pointer("/ingress/hostname").and_then(Value::as_str).unwrap_or_default();
        assert!(!(seen && hostname.is_empty()), "the hostname went away");
        seen |= !hostname.is_empty();
        let early = ["requested", "deploying"].iter().any(|s| cluster["state"] == *s);
        assert!(!(early && seen), "a hostname before any worker: {cluster:#}");
        if cluster["state"] == "normal" { Ok(cluster) } else { Err(cluster["state"].to_string()) }
    });
    let hostname = text(&cluster, "/ingress/hostname");
    let (label, domain) = hostname.split_once('.').unwrap();
    assert!(domain.ends_with(".containers.appdomain.cloud"), "{hostname}");
    assert!(label.starts_with("ingress-") && label.ends_with("-0000"), "{hostname}");
    assert_eq!(text(&cluster, "/ingress/secretName"), label);
}

#[test]
fn a_new_cluster_is_readable_at_once_by_id_and_by_name() {
    let server = shared();
    let token = server.token(&server.account("at-once"));
    for round in 0..5 {
        let name = format!("at-once-{round}");
        let id = server.create_vpc(&token, &name);
        for path in [
            format!("/global/v2/getCluster?cluster={id}"),
            format!("/global/v2/clusters/{name}"),
            format!("/global/v2/vpc/getCluster?cluster={name}"),
        ] {
            assert_eq!(get(&server, &token, &path)["id"], id.as_str(), "{path}");
        }
    }
    let id = server.create_classic(&token, "at-once-classic");
    assert_eq!(get(&server, &token, "/global/v1/clusters/at-once-classic")["id"], id.as_str());
}

#[test]
fn deleting_answers_204_shows_deleting_and_ends_in_404_with_the_name_free() {
    let server = Server::builder().pace("fast").start();
    let token = server.token(&server.administrator);
    for kind in ["vpc", "classic"] {
        let create = || match kind {
            "vpc" => server.create_vpc(&token, "leaving"),
            _ => server.create_classic(&token, "leaving"),
        };
        let id = create();
        server.normal(&token, &id);
        let delete = || server.send(Request::delete("/global/v1/clusters/leaving?deleteResources=true").bearer(&token));
        let deleted = delete();
        assert!(deleted.expect(204).body.is_empty(), "{kind}");
        assert_eq!(server.cluster(&token, &id)["state"], "deleting", "{kind}");
        let order = server.vpc_order(&token, "leaving");
        let taken = server.send(Request::post(VPC_CREATE).bearer(&token).json(&order));
        check::refusal(&taken, Service::Containers, 409, "E0007").unwrap();
        server.gone(&token, &id);
        check::refusal(&delete(), Service::Containers, 404, "G0004").unwrap();
        assert_eq!(get(&server, &token, "/global/v2/clusters"), json!([]), "{kind}");
    }
    server.create_classic(&token, "leaving");
}

#[test]
fn moving_the_clock_brings_a_cluster_at_real_pace_to_normal() {
    let server = Server::builder().pace("real").start();
    let token = server.token(&server.administrator);
    let id = server.create_vpc(&token, "patient");
    let state = text(&server.cluster(&token, &id), "/state").to_owned();
    assert!(["requested", "deploying"].contains(&state.as_str()), "{state}");
    // Less than the hour for which the token is good.
    server.advance_clock(3000);
    server.normal(&token, &id);
}

// Identifiers and values ---------------------------------------------------------------------------------------------

#[test]
fn identifiers_have_the_forms_that_clients_take_apart() {
    let (server, token, vpc, classic) = pair("forms");
    let account = text(&crate::harness::jwt::claims(&token), "/account/bss").to_owned();
    for (id, path) in
        [(&vpc, format!("/global/v2/getCluster?cluster={vpc}")), (&classic, format!("/global/v1/clusters/{classic}"))]
    {
        assert!(id.len() == 20 && id.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'v').contains(&b)), "{id}");
        let cluster = get(&server, &token, &path);
        let crn = format!("crn:v1:bluemix:public:containers-kubernetes:{}:a/{account}:{id}::", text(&cluster, "/region"));
        assert_eq!(text(&cluster, "/crn"), crn);
        let created = text(&cluster, "/createdDate");
        let form: String = created.chars().map(|c| if c.is_ascii_digit() { '9' } else { c }).collect();
        assert_eq!(form, "9999-99-99T99:99:99+9999", "a date without a colon in its offset");
        let version = text(&cluster, "/masterKubeVersion");
        let (release, build) = version.split_once('_').expect("<x.y.z>_<build>");
        assert!(release.split('.').count() == 3 && build.parse::<u32>().is_ok(), "{version}");
        let group = text(&cluster, "/resourceGroup");
        assert!(group.len() == 32 && group.bytes().all(|b| b.is_ascii_hexdigit()), "{group}");
    }
    let vlans = get(&server, &token, &format!("/global/v1/datacenters/{DATA_CENTER}/vlans"));
    for vlan in array(&vlans) {
        assert!(text(vlan, "/id").len() == 7 && text(vlan, "/id").parse::<u32>().is_ok(), "{vlan}");
        let router = text(vlan, "/properties/primary_router");
        let expected = if vlan["type"] == "public" { "fcr" } else { "bcr" };
        assert!(router.starts_with(expected) && router.ends_with(DATA_CENTER), "{router}");
    }
    let routers: BTreeSet<_> = array(&vlans).iter().map(|v| text(v, "/properties/primary_router")[3..].to_owned()).collect();
    assert_eq!(routers.len(), 1, "the routers of the pair match: {vlans}");
}

#[test]
fn an_id_wins_over_a_name() {
    let server = shared();
    let token = server.token(&server.account("id-wins"));
    // A name may not begin with a digit, an ID made today does not begin with a letter; so there is no clash to show but one:
    // both spellings lead to the same cluster.
    let id = server.create_vpc(&token, "id-wins");
    assert_eq!(server.cluster(&token, &id), server.cluster(&token, "id-wins"));
}

#[test]
fn the_master_status_is_exactly_ready() {
    let (server, token, vpc, classic) = pair("ready");
    assert_eq!(get(&server, &token, &format!("/global/v1/clusters/{classic}"))["masterStatus"], "Ready");
    for id in [vpc, classic] {
        assert_eq!(text(&server.cluster(&token, &id), "/lifecycle/masterStatus"), "Ready");
        assert_eq!(text(&server.cluster(&token, &id), "/lifecycle/masterState"), "deployed");
        assert_eq!(text(&server.cluster(&token, &id), "/lifecycle/masterHealth"), "normal");
    }
}

// Lists, details, providers ------------------------------------------------------------------------------------------

#[test]
fn version_1_lists_equal_version_1_details_and_hold_classic_clusters_only() {
    let (server, token, _, classic) = pair("v1");
    server.create_classic(&token, "v1-second");
    server.normal(&token, "v1-second");
    let list = get(&server, &token, "/global/v1/clusters");
    assert_eq!(array(&list).len(), 2);
    for item in array(&list) {
        assert_eq!(&get(&server, &token, &format!("/global/v1/clusters/{}", text(item, "/id"))), item);
        assert_eq!(item["provider"], "classic");
    }
    assert!(array(&list).iter().any(|c| c["id"] == classic.as_str()));
    let with_resources = get(&server, &token, "/global/v1/clusters?showResources=true");
    for item in array(&with_resources) {
        let path = format!("/global/v1/clusters/{}?showResources=true", text(item, "/id"));
        assert_eq!(&get(&server, &token, &path), item);
    }
}

#[test]
fn version_2_lists_are_a_true_part_of_the_details() {
    let (server, token, vpc, classic) = pair("v2");
    let lists = [
        ("/global/v2/vpc/getClusters?provider=vpc-gen2", vec![&vpc]),
        ("/global/v2/vpc/getClusters", vec![&vpc]),
        ("/global/v2/classic/getClusters", vec![&classic]),
        ("/global/v2/clusters", vec![&vpc, &classic]),
    ];
    for (path, expected) in lists {
        let list = get(&server, &token, path);
        let ids: BTreeSet<_> = array(&list).iter().map(|c| text(c, "/id").to_owned()).collect();
        assert_eq!(ids, expected.into_iter().cloned().collect(), "{path}");
        for item in array(&list) {
            let details = server.cluster(&token, text(item, "/id"));
            for (name, value) in item.as_object().unwrap() {
                match value.as_object() {
                    Some(members) => assert!(members.iter().all(|(n, v)| details[name].get(n) == Some(v)), "{path}: {name}"),
                    None => assert_eq!(details.get(name), Some(value), "{path}: {name}"),
                }
            }
            for name in ["crn", "lifecycle", "serviceEndpoints", "features", "vpcs", "workerZones"] {
                assert_eq!(item.get(name), None, "{path}: {name} is for the details");
            }
            for name in ["id", "name", "state", "region", "location", "masterKubeVersion", "provider", "type", "resourceGroup"]
            {
                assert!(!text(item, &format!("/{name}")).is_empty(), "{path}: {name}");
            }
            assert!(item["workerCount"].is_i64() && item["ingress"].is_object(), "{path}: {item}");
            assert!(details.get("crn").is_some() && details.get("lifecycle").is_some());
        }
    }
}

#[test]
fn a_provider_neutral_call_takes_the_provider_in_query_or_body() {
    let (server, token, vpc, classic) = pair("provider");
    let ids = |request: Request| -> BTreeSet<String> {
        let body = server.send(request.bearer(&token)).json(200);
        array(&body).iter().map(|c| text(c, "/id").to_owned()).collect()
    };
    let list = "/global/v2/clusters";
    for (provider, expected) in [("vpc-gen2", &vpc), ("vpc", &vpc), ("classic", &classic)] {
        let expected = BTreeSet::from([expected.clone()]);
        assert_eq!(ids(Request::get(format!("{list}?provider={provider}"))), expected, "{provider}, query");
        assert_eq!(ids(Request::get(list).json(&json!({ "provider": provider }))), expected, "{provider}, body");
        let curl = Request::get(list).bytes("application/x-www-form-urlencoded", json!({ "provider": provider }).to_string());
        assert_eq!(ids(curl), expected, "{provider}, body with curl's label");
    }
    for neutral in [Request::get(list), Request::get(format!("{list}?provider=")), Request::get(list).json(&json!({}))] {
        assert_eq!(ids(neutral).len(), 2);
    }
}

#[test]
fn the_neutral_details_work_for_every_provider() {
    let (server, token, vpc, classic) = pair("neutral");
    assert_eq!(server.cluster(&token, &classic)["provider"], "classic");
    assert_eq!(server.cluster(&token, &vpc)["provider"], "vpc-gen2");
    assert_eq!(get(&server, &token, &format!("/global/v2/clusters/{classic}"))["id"], classic.as_str());
    assert_eq!(get(&server, &token, &format!("/global/v2/classic/getCluster?cluster={classic}"))["id"], classic.as_str());
    assert_eq!(get(&server, &token, &format!("/global/v2/vpc/getCluster?cluster={vpc}"))["id"], vpc.as_str());
}

#[test]
fn vpc_details_have_subnets_and_no_vlans_and_classic_ones_the_reverse() {
    let (server, token, vpc, classic) = pair("networks");
    let (vpc_id, ..) = server.vpc_place(&token);
    for path in
        [format!("/global/v2/getCluster?cluster={vpc}"), format!("/global/v2/vpc/getCluster?cluster={vpc}&showResources=true")]
    {
        let body = get(&server, &token, &path);
        assert_eq!(body["vpcs"], json!([vpc_id]), "{path}");
        for name in ["podSubnet", "serviceSubnet"] {
            assert!(text(&body, &format!("/{name}")).contains('/'), "{path}: {name}");
        }
        assert!(body.get("vlans").is_none() && body.get("worker_vlans").is_none(), "{path}: {body:#}");
    }
    let (public, private) = server.vlans(&token);
    let body = get(&server, &token, &format!("/global/v1/clusters/{classic}?showResources=true"));
    let vlans = array(&body["vlans"]);
    let ids: BTreeSet<_> = vlans.iter().map(|v| text(v, "/id").to_owned()).collect();
    assert_eq!(ids, BTreeSet::from([public, private]));
    assert!(vlans.iter().all(|v| v["zone"] == DATA_CENTER), "{body:#}");
    for path in [format!("/global/v2/getCluster?cluster={classic}"), format!("/global/v1/clusters/{classic}")] {
        assert_eq!(get(&server, &token, &path).get("vpcs"), None, "{path}: an empty list would crash Terraform");
    }
}

#[test]
fn endpoints_flat_and_nested_agree() {
    let (server, token, vpc, classic) = pair("endpoints");
    for id in [&vpc, &classic] {
        let body = get(&server, &token, &format!("/global/v2/getCluster?v1-compatible&cluster={id}"));
        for kind in ["public", "private"] {
            for part in ["Enabled", "URL"] {
                let nested = body.pointer(&format!("/serviceEndpoints/{kind}ServiceEndpoint{part}"));
                let flat = body.get(format!("{kind}ServiceEndpoint{part}"));
                assert_eq!(flat, nested, "{id} {kind} {part}");
            }
        }
        assert!(text(&body, "/masterURL").starts_with("https://"), "{body:#}");
    }
    let body = get(&server, &token, &format!("/global/v2/getCluster?v1-compatible&cluster={vpc}"));
    assert!(
        body.get("serverURL").is_none_or(|url| url == ""),
        "clients take masterURL of a VPC cluster only if serverURL is empty"
    );
}

#[test]
fn openshift_is_chosen_by_the_version() {
    let server = shared();
    let token = server.token(&server.account("openshift"));
    let mut order = server.vpc_order(&token, "openshift");
    order["kubeVersion"] = "4.19_openshift".into();
    order["workerPool"]["workerCount"] = 2.into();
    let account = text(&crate::harness::jwt::claims(&token), "/account/bss").to_owned();
    order["cosInstanceCRN"] =
        format!("crn:v1:bluemix:public:cloud-object-storage:global:a/{account}:11111111-2222-4333-8444-555555555555::").into();
    let created = server.send(Request::post(VPC_CREATE).bearer(&token).json(&order)).json(201);
    let cluster = server.normal(&token, text(&created, "/clusterID"));
    assert_eq!(cluster["type"], "openshift");
    let version = text(&cluster, "/masterKubeVersion");
    assert!(version.starts_with("4.19.") && version.ends_with("_openshift") && version.matches('_').count() == 2, "{version}");
}

// Kubeconfig ---------------------------------------------------------------------------------------------------------

#[test]
fn the_version_1_archive_has_one_folder_a_yml_and_the_authority() {
    let (server, token, _, classic) = pair("config1");
    let answer = server.send(Request::get(format!("/global/v1/clusters/{classic}/config")).bearer(&token));
    assert!(answer.expect(200).content_type().starts_with("application/zip"), "{}", answer.content_type());
    let files = unpacked(&answer.body);
    let folders: BTreeSet<_> = files.keys().map(|f| f.split('/').next().unwrap().to_owned()).collect();
    assert!(folders.len() == 1 && folders.first().unwrap().starts_with("kubeConfig"), "{files:?}");
    let with = |suffix: &str| files.iter().filter(|(f, _)| f.ends_with(suffix)).collect::<Vec<_>>();
    let (yml, yaml) = (with(".yml"), with(".yaml"));
    assert_eq!((yml.len(), yaml.len()), (1, 0), "clients look for .yml only: {:?}", files.keys());
    let authority: Vec<_> = files.iter().filter(|(f, _)| f.split('/').nth(1).is_some_and(|f| f.starts_with("ca-"))).collect();
    assert!(authority.len() == 1 && authority[0].0.ends_with(".pem"), "{:?}", files.keys());
    assert!(authority[0].1.starts_with("-----BEGIN CERTIFICATE-----"));
    kubeconfig(yml[0].1, "config1-classic", &classic);
}

#[test]
fn format_yaml_answers_the_kubeconfig_alone() {
    let (server, token, _, classic) = pair("config-yaml");
    let answer = server.send(Request::get(format!("/global/v1/clusters/{classic}/config?format=yaml")).bearer(&token));
    kubeconfig(&answer.expect(200).text(), "config-yaml-classic", &classic);
}

#[test]
fn the_version_1_configuration_of_a_vpc_cluster_is_refused_with_g3917() {
    let (server, token, vpc, _) = pair("config-vpc");
    let answer = server.send(Request::get(format!("/global/v1/clusters/{vpc}/config")).bearer(&token));
    check::refusal(&answer, Service::Containers, 400, "G3917").unwrap();
    assert!(answer.text().contains("Cluster provider not permitted for given operation."), "{}", answer.text());
}

#[test]
fn the_version_2_archive_is_flat_with_a_yaml_and_the_authority() {
    let (server, token, vpc, classic) = pair("config2");
    for (name, id) in [("config2-vpc", &vpc), ("config2-classic", &classic)] {
        let body = json!({ "cluster": id, "format": "zip" });
        let answers = [
            server.send(Request::post("/global/v2/applyRBACAndGetKubeconfig").bearer(&token).json(&body)),
            server.send(Request::get(format!("/global/v2/getKubeconfig?cluster={id}&format=zip")).bearer(&token)),
        ];
        for answer in answers {
            let files = unpacked(&answer.expect(200).body);
            assert!(files.keys().all(|f| !f.contains('/')), "{}: {:?}", answer.of, files.keys());
            let yaml: Vec<_> = files.iter().filter(|(f, _)| f.ends_with(".yaml")).collect();
            assert_eq!((yaml.len(), files.keys().any(|f| f.ends_with(".yml"))), (1, false), "{:?}", files.keys());
            assert_eq!(files.keys().filter(|f| f.starts_with("ca") && f.ends_with(".pem")).count(), 1, "{:?}", files.keys());
            assert!(!files.contains_key("admin.pem"), "nobody asked for it");
            kubeconfig(yaml[0].1, name, id);
        }
    }
}

#[test]
fn an_administrators_kubeconfig_has_its_certificate_and_key_beside_it() {
    let (server, token, vpc, _) = pair("config-admin");
    let body = json!({ "cluster": vpc, "format": "zip", "admin": true });
    let answer = server.send(Request::post("/global/v2/applyRBACAndGetKubeconfig").bearer(&token).json(&body));
    let files = unpacked(&answer.expect(200).body);
    for name in ["admin.pem", "admin-key.pem"] {
        assert!(files.get(name).is_some_and(|text| text.starts_with("-----BEGIN ")), "{name}: {:?}", files.keys());
    }
}

#[test]
fn a_kubeconfig_before_the_master_is_ready_is_refused() {
    let server = Server::builder().pace("real").start();
    let token = server.token(&server.administrator);
    let id = server.create_classic(&token, "early");
    for path in [format!("/global/v1/clusters/{id}/config"), format!("/global/v2/getKubeconfig?cluster={id}")] {
        let answer = server.send(Request::get(path).bearer(&token));
        check::refusal(&answer, Service::Containers, 409, "E").unwrap();
    }
}

#[test]
fn the_rbac_status_is_synchronized_at_once() {
    let (server, token, vpc, _) = pair("rbac");
    let body = get(&server, &token, &format!("/global/v2/getRBACStatus?cluster={vpc}"));
    assert_eq!((&body["synchronized"], &body["error"]), (&json!(true), &json!(false)));
}
