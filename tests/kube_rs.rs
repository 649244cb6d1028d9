//! kube-rs, the client of controllers that are written in Rust: typed objects, watches that outlive the server, server-side apply, and a
//! small controller.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Node, Pod};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams, Preconditions};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::response::Status;
use kube::discovery::{Discovery, verbs};
use kube::runtime::controller::{Action, Controller};
use kube::runtime::reflector::{self, ObjectRef, Store, reflector};
use kube::runtime::wait::{Condition, await_condition, conditions};
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Api, Client, Config, CustomResource, CustomResourceExt as _, Resource as _, ResourceExt as _};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::harness::clients::Kubectl;
use crate::harness::kubectl::Bench;
use crate::harness::{Server, boatyard, wait};

fn bench(account: &str) -> (Bench, Runtime) {
    (Bench::new(account, Kubectl::Newest), Runtime::new().expect("a runtime"))
}

/// A client with the kubeconfig that the cluster's user has, as it is.
async fn client(bench: &Bench) -> Client {
    let mut kubeconfig = Kubeconfig::read_from(bench.kubeconfig()).expect("kube-rs reads the kubeconfig");
    // A plugin runs in the environment of this process, which is not the user's.
    let users = kubeconfig.auth_infos.iter_mut().filter_map(|user| user.auth_info.as_mut()?.exec.as_mut());
    for exec in users {
        exec.command = Some(boatyard::PATH.to_owned());
        let home = bench.shell.path("boatyard-home").to_string_lossy().into_owned();
        let variable = [("name".to_owned(), "BOATYARD_HOME".to_owned()), ("value".to_owned(), home)];
        exec.env.get_or_insert_default().push(variable.into());
    }
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await;
    Client::try_from(config.expect("a configuration")).expect("a client")
}

/// Waits, by a watch, until an object is as it should be.
async fn until<K>(what: &str, api: &Api<K>, name: &str, condition: impl Condition<K>) -> Option<K>
where
    K: kube::Resource + Clone + std::fmt::Debug + Send + DeserializeOwned + 'static,
{
    let waited = tokio::time::timeout(wait::PATIENCE, await_condition(api.clone(), name, condition)).await;
    waited.unwrap_or_else(|_| panic!("{name} was not {what} in time")).unwrap_or_else(|e| panic!("waiting for {name}: {e}"))
}

/// An object as kube-rs has it, from JSON.
fn of<K: DeserializeOwned>(value: Value) -> K {
    serde_json::from_value(value).expect("it is an object of this kind")
}

fn map(name: &str, value: &str) -> ConfigMap {
    of(json!({ "metadata": { "name": name, "labels": { "made-by": "test" } }, "data": { "value": value } }))
}

fn value(map: &ConfigMap) -> Option<&str> {
    map.data.as_ref()?.get("value").map(String::as_str)
}

#[track_caller]
fn refusal<T: std::fmt::Debug>(result: kube::Result<T>) -> Box<Status> {
    match result {
        Err(kube::Error::Api(status)) => status,
        other => panic!("this is no refusal: {other:?}"),
    }
}

fn web(replicas: u32) -> Value {
    json!({
        "metadata": { "name": "web" },
        "spec": {
            "replicas": replicas,
            "selector": { "matchLabels": { "app": "web" } },
            "template": {
                "metadata": { "labels": { "app": "web" } },
                "spec": { "containers": [{ "name": "web", "image": "nginx:1.28" }] },
            },
        },
    })
}

#[test]
fn kube_rs_creates_changes_and_deletes_objects() {
    let (bench, runtime) = bench("kube-rs-objects");
    runtime.block_on(async {
        let client = client(&bench).await;
        assert_eq!(client.apiserver_version().await.unwrap().minor, "36");
        let nodes = Api::<Node>::all(client.clone()).list(&ListParams::default()).await.unwrap();
        assert_eq!(nodes.items.len(), 3);

        let pods: Api<Pod> = Api::default_namespaced(client.clone());
        let alone: Pod = of(json!({
            "metadata": { "name": "alone" },
            "spec": { "containers": [{ "name": "main", "image": "busybox", "command": ["sleep", "inf"] }] },
        }));
        let made = pods.create(&PostParams::default(), &alone).await.unwrap();
        assert_eq!(refusal(pods.create(&PostParams::default(), &alone).await).reason, "AlreadyExists");
        let running = until("running", &pods, "alone", conditions::is_pod_running()).await.expect("a pod");
        let node = running.spec.and_then(|spec| spec.node_name).expect("it was scheduled");
        assert!(nodes.iter().any(|known| known.name_any() == node));
        let uid = made.uid().expect("a UID");
        let other = Preconditions { uid: Some("another".to_owned()), resource_version: None };
        let refused = pods.delete("alone", &DeleteParams { preconditions: Some(other), ..DeleteParams::default() }).await;
        assert_eq!(refusal(refused).code, 409);
        pods.delete("alone", &DeleteParams::default()).await.unwrap();
        until("deleted", &pods, "alone", conditions::is_deleted(&uid)).await;
        assert!(pods.get_opt("alone").await.unwrap().is_none());

        deployments(client).await;
    });
}

async fn deployments(client: Client) {
    let deployments: Api<Deployment> = Api::default_namespaced(client.clone());
    let first = deployments.create(&PostParams::default(), &of(web(2))).await.unwrap();
    until("rolled out", &deployments, "web", conditions::is_deployment_completed()).await;
    let pods: Api<Pod> = Api::default_namespaced(client.clone());
    let of_web = ListParams::default().labels("app=web");
    assert_eq!(pods.list(&of_web).await.unwrap().items.len(), 2);
    let page = pods.list(&of_web.clone().limit(1)).await.unwrap();
    let next = page.metadata.continue_.expect("there is another page");
    assert_eq!(pods.list(&of_web.clone().limit(1).continue_token(&next)).await.unwrap().items.len(), 1);

    // What was read before it came to life is stale now.
    assert_eq!(refusal(deployments.replace("web", &PostParams::default(), &first).await).reason, "Conflict");
    let mut read = deployments.get("web").await.unwrap();
    read.spec.as_mut().expect("a spec").replicas = Some(3);
    read.metadata.annotations.get_or_insert_default().insert("note".to_owned(), "three".to_owned());
    let generation = read.metadata.generation;
    let replaced = deployments.replace("web", &PostParams::default(), &read).await.unwrap();
    assert_eq!(replaced.metadata.generation, generation.map(|g| g + 1));
    let scale = json!({ "spec": { "replicas": 4 } });
    let scaled = deployments.patch_scale("web", &PatchParams::default(), &Patch::Merge(&scale)).await.unwrap();
    assert_eq!(scaled.spec.and_then(|spec| spec.replicas), Some(4));
    let image = json!({ "spec": { "template": { "spec": { "containers": [{ "name": "web", "image": "nginx:1.29" }] } } } });
    deployments.patch("web", &PatchParams::default(), &Patch::Strategic(&image)).await.unwrap();
    until("rolled out again", &deployments, "web", conditions::is_deployment_completed()).await;
    until("at four", &deployments, "web", |found: Option<&Deployment>| {
        found.and_then(|d| d.status.as_ref()?.available_replicas) == Some(4)
    })
    .await;

    let discovery = Discovery::new(client).run().await.unwrap();
    let group = discovery.get("apps").expect("it is discovered");
    let (_, able) = group.recommended_kind("Deployment").expect("it is discovered");
    assert!(able.supports_operation(verbs::WATCH) && able.subresources.iter().any(|(sub, _)| sub.plural == "scale"));

    let uid = replaced.uid().expect("a UID");
    deployments.delete("web", &DeleteParams::foreground()).await.unwrap();
    until("deleted", &deployments, "web", conditions::is_deleted(&uid)).await;
    assert!(pods.list(&of_web).await.unwrap().items.is_empty(), "those that it owned went first");
}

#[test]
fn kube_rs_applies_fields_and_is_told_of_conflicts() {
    let (bench, runtime) = bench("kube-rs-apply");
    runtime.block_on(async {
        let maps: Api<ConfigMap> = Api::default_namespaced(client(&bench).await);
        let document = |data: Value| {
            Patch::Apply(json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "settings" }, "data": data }))
        };
        let (one, two) = (PatchParams::apply("one"), PatchParams::apply("two"));
        let first = maps.patch("settings", &one, &document(json!({ "color": "blue", "size": "small" }))).await.unwrap();
        let again = maps.patch("settings", &one, &document(json!({ "color": "blue", "size": "small" }))).await.unwrap();
        assert_eq!(again.resource_version(), first.resource_version(), "nothing was changed");

        let conflict = refusal(maps.patch("settings", &two, &document(json!({ "color": "green" }))).await);
        assert_eq!((conflict.code, conflict.reason.as_str()), (409, "Conflict"));
        let causes = conflict.details.map(|details| details.causes).unwrap_or_default();
        assert!(causes.iter().any(|c| c.reason == "FieldManagerConflict" && c.field == ".data.color"), "{causes:?}");
        let dry = maps.patch("settings", &two.clone().force().dry_run(), &document(json!({ "color": "green" }))).await.unwrap();
        assert_eq!(dry.data.unwrap()["color"], "green");
        assert_eq!(maps.get("settings").await.unwrap().data.unwrap()["color"], "blue");
        maps.patch("settings", &two.clone().force(), &document(json!({ "color": "green", "shape": "round" }))).await.unwrap();

        // The first manager gives up what it does not mention, but what is another's stays.
        let left = maps.patch("settings", &one, &document(json!({}))).await.unwrap();
        let expected = [("color", "green"), ("shape", "round")].map(|(name, text)| (name.to_owned(), text.to_owned()));
        assert_eq!(left.data, Some(BTreeMap::from(expected)));
    });
}

/// What the reflector has of a map.
fn seen(store: &Store<ConfigMap>, name: &str) -> Option<String> {
    store.get(&ObjectRef::new(name).within("default")).and_then(|map| value(&map).map(str::to_owned))
}

#[track_caller]
fn until_seen(store: &Store<ConfigMap>, name: &str, expected: Option<&str>) {
    wait::until(&format!("{name} to be seen as {expected:?}"), wait::PATIENCE, || match seen(store, name) {
        found if found.as_deref() == expected => Ok(()),
        found => Err(format!("it is seen as {found:?}")),
    });
}

/// A reflector follows what happens, and goes on to do so when the server was killed and came back.
fn follows_over_a_restart(account: &str, config: watcher::Config) {
    let runtime = Runtime::new().expect("a runtime");
    let mut bench = Bench::on(Arc::new(Server::start()), account, Kubectl::Newest, "1.36");
    let maps: Api<ConfigMap> = Api::default_namespaced(runtime.block_on(client(&bench)));
    runtime.block_on(maps.create(&PostParams::default(), &map("early", "1"))).unwrap();
    let (store, writer) = reflector::store();
    let events = watcher(maps.clone(), config).default_backoff();
    let watch = runtime.spawn(reflector(writer, events).for_each(|_| std::future::ready(())));
    until_seen(&store, "early", Some("1"));
    runtime.block_on(maps.create(&PostParams::default(), &map("late", "1"))).unwrap();
    until_seen(&store, "late", Some("1"));
    let change = |name: &'static str, value: &str| {
        let patch = Patch::Merge(json!({ "data": { "value": value } }));
        let maps = maps.clone();
        runtime.block_on(async move { maps.patch(name, &PatchParams::default(), &patch).await }).unwrap()
    };
    let before = change("late", "2").resource_version().expect("it has one").parse::<u64>().expect("a number");
    until_seen(&store, "late", Some("2"));
    runtime.block_on(maps.delete("early", &DeleteParams::default())).unwrap();
    until_seen(&store, "early", None);

    let server = Arc::get_mut(&mut bench.server).expect("nobody else has it");
    server.kill();
    server.start_again();
    let after = change("late", "3").resource_version().expect("it has one").parse::<u64>().expect("a number");
    assert!(after > before, "{after} comes after {before}");
    until_seen(&store, "late", Some("3"));
    runtime.block_on(maps.create(&PostParams::default(), &map("later", "1"))).unwrap();
    until_seen(&store, "later", Some("1"));
    runtime.block_on(maps.delete("late", &DeleteParams::default())).unwrap();
    until_seen(&store, "late", None);
    watch.abort();
}

#[test]
fn a_reflector_outlives_the_server() {
    follows_over_a_restart("kube-rs-list", watcher::Config::default().labels("made-by=test"));
}

#[test]
fn a_reflector_that_streams_its_lists_outlives_the_server() {
    follows_over_a_restart("kube-rs-stream", watcher::Config::default().labels("made-by=test").streaming_lists());
}

/// What the controller makes copies of.
#[derive(CustomResource, Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[kube(group = "example.com", version = "v1", kind = "Greeting", namespaced, status = "GreetingStatus", shortname = "gr")]
struct GreetingSpec {
    text: String,
    #[schemars(range(min = 1, max = 3))]
    copies: u32,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
struct GreetingStatus {
    copies: u32,
}

/// As many maps as there shall be copies, which go with their owner.
async fn reconcile(greeting: Arc<Greeting>, client: Arc<Client>) -> kube::Result<Action> {
    let namespace = greeting.namespace().unwrap_or_default();
    let maps: Api<ConfigMap> = Api::namespaced((*client).clone(), &namespace);
    let params = PatchParams::apply("greeter").force();
    for number in 0..greeting.spec.copies {
        let name = format!("{}-{number}", greeting.name_any());
        let mut copy = map(&name, &greeting.spec.text);
        copy.metadata.owner_references = greeting.controller_owner_ref(&()).map(|owner| vec![owner]);
        maps.patch(&name, &params, &Patch::Apply(&copy)).await?;
    }
    let status = json!({ "status": GreetingStatus { copies: greeting.spec.copies } });
    let greetings: Api<Greeting> = Api::namespaced((*client).clone(), &namespace);
    greetings.patch_status(&greeting.name_any(), &PatchParams::default(), &Patch::Merge(&status)).await?;
    Ok(Action::await_change())
}

#[test]
fn a_controller_of_a_custom_resource_is_written_with_kube_rs() {
    let (bench, runtime) = bench("kube-rs-controller");
    runtime.block_on(async {
        let client = client(&bench).await;
        let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
        let apply = PatchParams::apply("test").force();
        definitions.patch(Greeting::crd_name(), &apply, &Patch::Apply(Greeting::crd())).await.unwrap();
        until("established", &definitions, Greeting::crd_name(), conditions::is_crd_established()).await;

        let greetings: Api<Greeting> = Api::default_namespaced(client.clone());
        let maps: Api<ConfigMap> = Api::default_namespaced(client.clone());
        let controller = Controller::new(greetings.clone(), watcher::Config::default())
            .owns(maps.clone(), watcher::Config::default())
            .run(reconcile, |_, _, _| Action::requeue(Duration::from_millis(100)), Arc::new(client.clone()));
        let controller = tokio::spawn(controller.for_each(|_| std::future::ready(())));

        let too_many = Greeting::new("crowd", GreetingSpec { text: "hello".to_owned(), copies: 4 });
        let refused = refusal(greetings.create(&PostParams::default(), &too_many).await);
        assert!(refused.code == 422 && refused.message.contains("spec.copies"), "{refused:?}");
        let greeting = Greeting::new("hello", GreetingSpec { text: "hello".to_owned(), copies: 2 });
        let made = greetings.create(&PostParams::default(), &greeting).await.unwrap();
        let says = |text: &'static str| move |found: Option<&ConfigMap>| found.and_then(value) == Some(text);
        let copy = until("made", &maps, "hello-1", says("hello")).await.expect("a map");
        assert_eq!(copy.owner_references()[0].uid, made.uid().expect("a UID"));
        until("counted", &greetings, "hello", |found: Option<&Greeting>| {
            found.and_then(|g| g.status.as_ref()).is_some_and(|status| status.copies == 2)
        })
        .await;

        // It mends what others break, and follows what its owner wants.
        maps.delete("hello-0", &DeleteParams::default()).await.unwrap();
        let uid = copy_uid(&maps, "hello-1").await;
        until("made anew", &maps, "hello-0", says("hello")).await;
        let change = json!({ "spec": { "text": "good day", "copies": 3 } });
        greetings.patch("hello", &PatchParams::default(), &Patch::Merge(&change)).await.unwrap();
        until("one of three", &maps, "hello-2", says("good day")).await;
        until("changed", &maps, "hello-1", says("good day")).await;
        assert_eq!(copy_uid(&maps, "hello-1").await, uid, "it was changed, not replaced");

        greetings.delete("hello", &DeleteParams::default()).await.unwrap();
        for name in ["hello-0", "hello-1", "hello-2"] {
            until("collected", &maps, name, |found: Option<&ConfigMap>| found.is_none()).await;
        }
        controller.abort();
    });
}

async fn copy_uid(maps: &Api<ConfigMap>, name: &str) -> Option<String> {
    maps.get(name).await.unwrap().uid()
}
