//! What there is to choose from, through the generated SDK; what is refused; and a catalog of the user's own.

use std::collections::BTreeSet;
use std::path::Path;

use boatyard_sdk::containers::{self, types};
use serde_json::{Value, json};
use tokio::runtime::Builder;

use crate::harness::boatyard::Shell;
use crate::harness::check::{self, Service};
use crate::harness::http::text;
use crate::harness::{Request, Server, shared};

/// What a generated call answers.
type Answer<T> = Result<containers::ResponseValue<T>, containers::Error<types::ErrorResponse>>;

/// Calls the SDK with a token, or without one if it is empty.
fn sdk<T>(server: &Server, token: &str, call: impl AsyncFnOnce(&containers::Client) -> Answer<T>) -> T {
    let mut headers = reqwest::header::HeaderMap::new();
    if !token.is_empty() {
        headers.insert("authorization", format!("Bearer {token}").parse().unwrap());
    }
    let http = reqwest::Client::builder().no_proxy().default_headers(headers).build().unwrap();
    let client = containers::Client::new_with_client(&server.plain_endpoint(), http);
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(call(&client)).unwrap_or_else(|e| panic!("{e}")).into_inner()
}

fn ids<T>(items: &[T], id: impl Fn(&T) -> &Option<String>) -> Vec<&str> {
    items.iter().map(|item| id(item).as_deref().expect("an ID")).collect()
}

/// A catalog folder with these documents.
fn folder(files: &[(&str, Value)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, document) in files {
        std::fs::write(folder.path().join(name), format!("{document:#}")).unwrap();
    }
    folder
}

#[test]
fn zones_are_listed_without_a_token_by_place_and_with_flavors() {
    let server = shared();
    let zones = sdk(&server, "", async |c| c.get_zones(None, None).await);
    let zone = |id: &str| zones.iter().find(|z| z.id.as_deref() == Some(id)).unwrap();
    assert_eq!(zone("dal10").metro.as_deref(), Some("Dallas"));
    assert_eq!(zone("mon01").metro.as_deref(), Some(""), "a single zone names no metro");
    assert!(zone("dal10").flavors.is_empty() && zones.iter().all(|z| z.id.as_deref() != Some("us-south-1")));

    for (location, expected) in
        [("dal", &["dal10", "dal12", "dal13"][..]), ("eu-central", &["fra02", "fra04", "fra05", "par01", "ams03"])]
    {
        let zones = sdk(&server, "", async |c| c.get_zones(Some(location), None).await);
        assert_eq!(ids(&zones, |z| &z.id), expected, "{location}");
    }
    assert!(sdk(&server, "", async |c| c.get_zones(Some("nowhere"), None).await).is_empty());

    let zones = sdk(&server, "", async |c| c.get_zones(Some("dal10"), Some("true")).await);
    let flavor = zones[0].flavors.iter().find(|f| f.name.as_deref() == Some("b3c.4x16")).unwrap();
    assert_eq!(
        (flavor.cores, flavor.memory.as_deref(), flavor.server_type.as_deref()),
        (Some(4), Some("16GB"), Some("virtual"))
    );
    let disk = flavor.secondary_storage.clone().unwrap();
    assert_eq!((disk.count, disk.size, disk.device_type.as_deref()), (Some(1), Some(100), Some("SSD")));
    for path in ["/v1/zones", "/global/v1/zones?showFlavors"] {
        server.send(Request::get(path)).expect(200);
    }
}

#[test]
fn vpc_zones_are_listed_by_region() {
    let server = shared();
    let token = server.token(&server.account("catalog-vpc-zones"));
    let regions = sdk(&server, &token, async |c| c.vpc_get_zones(Some("vpc-gen2"), None, None).await);
    let dallas = regions.iter().find(|zones| zones[0].id.as_deref() == Some("us-south-1")).unwrap();
    assert_eq!(ids(dallas, |z| &z.id), ["us-south-1", "us-south-2", "us-south-3"]);
    let with = sdk(&server, &token, async |c| c.vpc_get_zones(None, Some(true), None).await);
    assert!(with.iter().flatten().all(|zone| !zone.flavors.is_empty()), "each offers some");
    assert!(sdk(&server, &token, async |c| c.vpc_get_zones(Some("vpc-classic"), None, None).await).is_empty());
}

#[test]
fn locations_and_regions_are_what_filters_and_clusters_name() {
    let server = shared();
    let token = server.token(&server.account("catalog-places"));
    let locations = sdk(&server, &token, async |c| c.list_locations().await);
    let kinds: BTreeSet<_> = ids(&locations, |l| &l.kind).into_iter().collect();
    assert_eq!(kinds, BTreeSet::from(["country", "dc", "geo", "metro"]));
    let zone = locations.iter().find(|l| l.id.as_deref() == Some("us-south-1")).unwrap();
    assert_eq!(
        (zone.metro.as_deref(), zone.country.as_deref(), zone.geography.as_deref()),
        (Some("dal"), Some("us"), Some("na"))
    );
    assert_eq!(zone.providers, ["vpc-gen2"]);
    let regions = sdk(&server, &token, async |c| c.get_regions().await).regions;
    let alias = |name: &str| regions.iter().find(|r| r.name.as_deref() == Some(name)).unwrap().alias.clone().unwrap();
    assert_eq!([alias("us-south"), alias("eu-de"), alias("jp-tok")], ["us-south", "eu-central", "ap-north"]);
}

#[test]
fn flavors_are_those_that_a_cluster_in_the_zone_can_have() {
    let server = shared();
    let token = server.token(&server.account("catalog-flavors"));
    let classic = sdk(&server, &token, async |c| c.get_datacenter_machine_types("dal10").await);
    let flavor = classic.iter().find(|f| f.name.as_deref() == Some("b3c.4x16")).unwrap();
    let texts = [&flavor.cores, &flavor.memory, &flavor.network_speed, &flavor.storage, &flavor.secondary_storage, &flavor.os];
    let expected = ["4", "16GB", "1000Mbps", "25GB SSD", "100GB SSD", "UBUNTU_24_64"];
    assert_eq!(texts.map(|text| text.as_deref().unwrap()), expected);
    let metal = classic.iter().find(|f| f.name.as_deref() == Some("mb4c.4x32")).unwrap();
    assert_eq!(metal.server_type.as_deref(), Some("physical"));

    let vpc = sdk(&server, &token, async |c| c.v2_get_flavors(Some("vpc-gen2"), "us-south-1").await);
    let flavor = vpc.iter().find(|f| f.name.as_deref() == Some("bx2.4x16")).unwrap();
    assert!(flavor.secondary_storage_options.contains(&"300gb.5iops-tier".to_owned()));
    assert_eq!(flavor.supported_isolation, ["public", "private"]);
    let same = sdk(&server, &token, async |c| c.v2_get_flavors(None, "us-south-1").await);
    assert_eq!(same.len(), vpc.len(), "without a provider it is the zone's");
    let other = sdk(&server, &token, async |c| c.v2_get_flavors(Some("classic"), "dal10").await);
    assert_eq!(other.len(), classic.len());
}

#[test]
fn versions_are_those_that_have_support_at_the_server_s_time() {
    let server = Server::start();
    let token = server.token(&server.administrator);
    let versions = sdk(&server, "", async |c| c.get_versions().await);
    let keys: BTreeSet<_> = versions.keys().map(String::as_str).collect();
    assert_eq!(keys, BTreeSet::from(["kubernetes", "openshift"]));
    for (offering, list) in &versions {
        assert_eq!(list.iter().filter(|v| v.default == Some(true)).count(), 1, "{offering} has one default");
        assert!(list.iter().all(|v| v.end_of_service.as_deref().is_some_and(|day| day.len() == 10)), "{list:?}");
    }
    let kubernetes = sdk(&server, &token, async |c| c.get_kube_versions().await);
    assert_eq!(format!("{kubernetes:?}"), format!("{:?}", versions["kubernetes"]));
    let both = sdk(&server, &token, async |c| c.v2_get_versions().await);
    assert_eq!(both.len(), versions["kubernetes"].len() + versions["openshift"].len());

    // Far enough for every version but the defaults to end.
    server.advance_clock(5 * 365 * 24 * 3600);
    let token = server.token(&server.administrator);
    let left = sdk(&server, "", async |c| c.get_versions().await);
    assert!(left.values().all(|list| list.len() == 1 && list[0].default == Some(true)), "{left:?}");
    let gone = versions["kubernetes"].iter().find(|v| v.default == Some(false)).unwrap();
    let written = format!("{}.{}", gone.major.unwrap(), gone.minor.unwrap());
    let mut order = server.classic_order(&token, "too-old");
    order["masterVersion"] = json!(written);
    let refused = server.send(Request::post("/global/v1/clusters").bearer(&token).json(&order));
    check::refusal(&refused, Service::Containers, 400, "E0118").unwrap();
    assert!(text(&refused.json(400), "/description").contains("its support ended on"), "{}", refused.text());

    let messages = sdk(&server, &token, async |c| c.v2_get_messages().await);
    let told = |text: &str| messages.iter().any(|m| m.message.as_deref().is_some_and(|m| m.contains(text)));
    assert!(told(&format!("Support of Kubernetes {written} ended on ")), "{messages:?}");
    let v1 = sdk(&server, &token, async |c| c.get_messages().await);
    assert_eq!(format!("{v1:?}"), format!("{messages:?}"));
}

#[test]
fn addons_are_one_item_for_each_version() {
    let server = shared();
    let token = server.token(&server.account("catalog-addons"));
    let addons = sdk(&server, &token, async |c| c.get_addons().await);
    let pairs: BTreeSet<_> = addons.iter().map(|a| (a.name.as_str(), a.version.as_deref().unwrap())).collect();
    assert_eq!(pairs.len(), addons.len());
    let istio = addons.iter().find(|a| a.name == "istio").unwrap();
    assert!(istio.supported_kube_range.as_deref().unwrap().starts_with(">=1.") && istio.supported_ocp_range.is_none());
    assert!(istio.install_options_template.is_none());
    let storage = addons.iter().find(|a| a.name == "openshift-data-foundation").unwrap();
    let template = storage.install_options_template.clone().unwrap().content.unwrap();
    assert!(template.contains("\ndata:\n"), "{template}");
}

#[test]
fn quotas_endpoints_and_names_are_told() {
    let server = shared();
    let token = server.token(&server.account("catalog-rest"));
    let quotas = sdk(&server, &token, async |c| c.get_quota().await);
    let find = |infrastructure: &str, kind: &str| {
        let mut found = quotas.iter();
        found.find(|q| q.infrastructure.as_deref() == Some(infrastructure) && q.type_.as_deref() == Some(kind)).unwrap()
    };
    assert!(find("vpc", "cluster").regions.iter().any(|r| r.id.as_deref() == Some("us-south") && r.quota == Some(100)));
    assert!(find("classic", "worker").regions.iter().all(|r| r.quota == Some(500)));

    let config = sdk(&server, &token, async |c| c.get_bluemix_config().await);
    let discovered = server.send(Request::get("/identity/.well-known/openid-configuration")).json(200);
    assert_eq!(config.iam_issuer.as_deref(), Some(text(&discovered, "/issuer")));
    assert_eq!(config.iam_url.as_deref(), Some(text(&discovered, "/token_endpoint")));
    let product = sdk(&server, &token, async |c| c.get_product_config().await);
    assert_eq!(product.product_name.as_deref(), Some("Boatyard"));
}

#[test]
fn one_vpc_and_the_vlans_of_a_zone_are_read_as_in_their_lists() {
    let server = shared();
    let token = server.token(&server.account("catalog-networks"));
    let vpcs = sdk(&server, &token, async |c| c.get_vp_cs(None, None).await);
    let (id, group) = (vpcs[0].id.clone().unwrap(), vpcs[0].resource_group.clone().unwrap());
    let vpc = sdk(&server, &token, async |c| c.get_vpc("vpc-gen2", &id, Some(&group), None).await);
    assert_eq!((vpc.id.as_ref(), &vpc.name, &vpc.resource_group), (Some(&id), &vpcs[0].name, &vpcs[0].resource_group));
    let vlans = sdk(&server, &token, async |c| c.get_vla_ns("dal10", None).await);
    let same = sdk(&server, &token, async |c| c.get_datacenter_vla_ns("dal10", None).await);
    assert_eq!((vlans.len(), format!("{vlans:?}")), (2, format!("{same:?}")));

    let other = server.token(&server.account("catalog-networks-other"));
    let refused = server.send(Request::get(format!("/v2/vpc/getVPC?provider=vpc-gen2&vpcID={id}")).bearer(&other));
    check::refusal(&refused, Service::Containers, 400, "E0f11").unwrap();
}

#[test]
fn what_cannot_be_answered_is_refused_with_what_can() {
    let server = shared();
    let token = server.token(&server.account("catalog-refusals"));
    let cases = [
        ("a data center that there is not", ("/v1/datacenters/nowhere/machine-types", 400, "E0012", "Zones: ")),
        ("a VPC zone as a data center", ("/v1/datacenters/us-south-1/machine-types", 400, "E0012", "par01")),
        ("no zone", ("/v2/getFlavors", 400, "E0011", "")),
        ("an empty zone", ("/v2/getFlavors?zone=&provider=classic", 400, "E0011", "")),
        ("a zone that there is not", ("/v2/getFlavors?zone=us-south-9", 400, "E0012", "us-south-1")),
        ("a zone of the other provider", ("/v2/getFlavors?zone=us-south-1&provider=classic", 400, "E0012", "par01")),
        ("a provider without flavors", ("/v2/getFlavors?zone=us-south-1&provider=satellite", 400, "G3917", "")),
        ("a provider that there is not", ("/v2/getFlavors?zone=us-south-1&provider=metal", 400, "E0011", "")),
        ("zones of a provider that there is not", ("/v2/vpc/getZones?provider=metal", 400, "E0011", "")),
        ("no VPC", ("/v2/vpc/getVPC?provider=vpc-gen2", 400, "E0011", "")),
        ("a VPC that there is not", ("/v2/vpc/getVPC?provider=vpc-gen2&vpcID=r006-none", 400, "E0f11", "boatyard ks vpcs")),
        ("a VPC of another provider", ("/v2/vpc/getVPC?provider=classic&vpcID=r006-none", 400, "G3917", "")),
        ("VLANs of no zone", ("/v2/classic/getVLANs", 400, "E0011", "")),
        ("VLANs of a VPC zone", ("/v2/classic/getVLANs?zone=us-south-1", 400, "E0012", "par01")),
    ];
    check::table(cases, |(path, status, code, hint)| {
        for path in [path.to_owned(), format!("/global{path}")] {
            let answer = server.send(Request::get(path).bearer(&token));
            check::refusal(&answer, Service::Containers, status, code)?;
            if !answer.text().contains(hint) {
                return Err(format!("no word of {hint}: {}", answer.text()));
            }
        }
        Ok(())
    });
    let guarded =
        ["/v1/locations", "/v1/regions", "/v1/kube-versions", "/v2/getVersions", "/v2/getFlavors?zone=dal10", "/v1/addons"];
    let more = ["/v1/messages", "/v2/getMessages", "/v2/getQuota", "/v1/config", "/v1/prodconfig", "/v2/vpc/getZones"];
    for path in guarded.into_iter().chain(more) {
        check::refusal(&server.send(Request::get(path)), Service::Containers, 401, "A").unwrap();
    }
}

fn own_zone(id: &str, provider: &str) -> Value {
    json!({
        "zone": id, "provider": provider, "metro": "hom", "metro_name": "Hometown", "region": "home", "country": "Homeland",
        "country_code": "hl", "geography": "Earth", "geography_code": "ea", "multizone": false,
    })
}

fn own_flavor(zones: &[&str]) -> Value {
    json!({
        "name": "tiny.1x2", "provider": "vpc", "kind": "virtual", "isolation": ["shared"], "cores": 1, "memory_gb": 2,
        "network_mbps": 100, "primary_disk": { "size_gb": 10, "type": "SSD" },
        "operating_systems_by_offering": { "kubernetes": ["UBUNTU_24_64"], "openshift": [] }, "zones": zones,
    })
}

#[test]
fn a_catalog_of_ones_own_is_what_clusters_are_made_of() {
    let files = [
        ("locations.json", json!([own_zone("home-1", "vpc"), own_zone("hom01", "classic")])),
        ("flavors.json", json!([own_flavor(&["home-1"])])),
    ];
    let folder = folder(&files);
    let server = Server::builder().args(["--catalog", folder.path().to_str().unwrap()]).start();
    let token = server.token(&server.administrator);
    let flavors = sdk(&server, &token, async |c| c.v2_get_flavors(None, "home-1").await);
    assert_eq!(ids(&flavors, |f| &f.name), ["tiny.1x2"]);
    let versions = sdk(&server, "", async |c| c.get_versions().await);
    assert!(!versions["kubernetes"].is_empty(), "what is missing is built in");

    let mut order = server.vpc_order(&token, "at-home");
    let create = |order: &Value| server.send(Request::post("/global/v2/vpc/createCluster").bearer(&token).json(order));
    check::refusal(&create(&order), Service::Containers, 400, "E4e5b").unwrap();
    order["workerPool"]["flavor"] = json!("tiny.1x2");
    let id = text(&create(&order).json(201), "/clusterID").to_owned();
    let cluster = server.normal(&token, &id);
    assert_eq!((text(&cluster, "/location"), text(&cluster, "/region")), ("Hometown", "home"));
    let found = server.send(Request::get("/global/v2/vpc/getClusters?location=hl").bearer(&token)).json(200);
    assert_eq!(text(&found, "/0/id"), id);
}

/// Starts a server with a catalog folder that it is to refuse, and returns what it says.
fn refused(folder: &Path) -> String {
    let shell = Shell::new();
    let folder = folder.to_str().unwrap();
    let data_dir = shell.path("data");
    let finished =
        shell.run(["serve", "--listen", "127.0.0.1:0", "--data-dir", data_dir.to_str().unwrap(), "--catalog", folder]);
    assert!(!finished.status.success());
    assert!(!data_dir.exists(), "nothing is begun with a catalog that cannot be used");
    finished.stderr
}

#[test]
fn a_bad_document_stops_the_start_and_is_named_with_its_line_or_entry() {
    let without_default = json!({ "kubernetes": [], "openshift": [] });
    let cases = [
        ("flavors.json", "[\n  {\n    \"name\": true\n  }\n]".to_owned(), &["expected a string", "line 3"][..]),
        (
            "flavors.json",
            json!([own_flavor(&["nowhere-1"])]).to_string(),
            &["flavor 'tiny.1x2'", "there is no zone 'nowhere-1'"],
        ),
        ("versions.json", without_default.to_string(), &["kubernetes: no version is the default"]),
        ("flavours.json", "[]".to_owned(), &["there is none of the files locations.json"]),
    ];
    for (name, document, expected) in cases {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(name), document).unwrap();
        let said = refused(folder.path());
        for part in expected.iter().chain(&["The server cannot start: ", "leave out `--catalog`"]) {
            assert!(said.contains(part), "{part} is not in: {said}");
        }
        assert!(name == "flavours.json" || said.contains(&format!("/{name}: ")), "{said}");
    }
}

#[test]
fn the_command_line_shows_the_catalog_as_tables_and_as_json() {
    let server = shared();
    let shell = Shell::logged_in(&server, &server.account("catalog-cli"));
    let words = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
    let tables = [
        ("ks flavors --zone dal10 -q", "Name", "b3c.4x16"),
        ("flavor ls --zone us-south-1 --provider vpc-gen2 --show-os --show-storage -q", "Storage Options", "300gb.5iops-tier"),
        ("flavor get --flavor bx2.4x16 --zone us-south-1 --provider vpc-gen2 -q", "Name:", "bx2.4x16"),
        ("versions -q", "Offering", "_openshift"),
        ("locations --provider classic -q", "Geography", "Dallas (dal)"),
        ("zone ls --provider classic -l dal -q", "Metro", "dal13"),
        ("zone ls --provider vpc-gen2 -l us-south --show-flavors -q", "Flavors", "us-south-3"),
        ("quota ls --provider vpc-gen2 -q", "Quota", "us-south"),
        ("cluster addon versions --addon istio -q", "Kubernetes", "istio"),
    ];
    for (line, heading, value) in tables {
        let printed = shell.ok(words(line));
        assert!(
            printed.lines().next().is_some_and(|first| first.contains(heading)) && printed.contains(value),
            "{line}:\n{printed}"
        );
        let json = shell.json(words(&format!("{} --output json", line.trim_end_matches(" -q"))));
        assert!(json.to_string().contains(value.trim_start_matches('_').split(' ').next().unwrap()), "{line}: {json}");
    }
    assert!(!shell.ok(words("versions --show-version kubernetes -q")).contains("openshift"));
    assert!(!shell.ok(words("zone ls --provider vpc-gen2 -l us-south -q")).contains("eu-de-1"));
    assert!(!shell.ok(words("locations --provider classic -q")).contains("us-south-1"));
    let messages = shell.json(words("messages --output json"));
    assert!(messages.as_array().is_some());
    for (line, next) in [
        ("flavor get --flavor none --zone dal10 --provider classic", "boatyard flavors --zone dal10"),
        ("flavors --zone dal99", "dal10"),
        ("cluster addon versions --addon none", "istio"),
    ] {
        let finished = shell.run(words(line));
        assert!(!finished.status.success() && finished.stderr.contains(next), "{line}: {}", finished.stderr);
    }
}
