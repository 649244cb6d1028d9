use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::types::definitions;

fn writer<'a>(manager: &'a str, api_version: &'a str, second: i64) -> Writer<'a> {
    Writer { manager, api_version, subresource: "", time: Timestamp::from_second(second).unwrap() }
}

fn deployment() -> &'static Type {
    definitions().of_kind("apps", "v1", "Deployment").unwrap()
}

fn web(spec: &Value) -> Value {
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "namespace": "default"}, "spec": spec})
}

fn applied(live: Option<&Value>, config: &Value, manager: &str, second: i64) -> Result<Value, Status> {
    apply(live, config, deployment(), &writer(manager, "apps/v1", second), false)
}

fn updated(old: Option<&Value>, mut new: Value, manager: &str, second: i64) -> Value {
    track_update(old, &mut new, deployment(), &writer(manager, "apps/v1", second));
    new
}

/// What an entry of an object has, or null.
fn owned_by(object: &Value, manager: &str, operation: &str) -> Value {
    let managed = object["metadata"]["managedFields"].as_array().cloned().unwrap_or_default();
    let mut entries = managed.iter().filter(|e| e["manager"] == manager && e["operation"] == operation);
    let entry = entries.next().map(|e| e["fieldsV1"].clone()).unwrap_or_default();
    assert!(entries.next().is_none(), "two entries of {manager}");
    entry
}

fn without_managed(object: &Value) -> Value {
    let mut object = object.clone();
    member(&mut object, "/metadata").remove("managedFields");
    object
}

#[test]
fn who_creates_owns_what_is_written() {
    let mut created = web(&json!({
        "replicas": 2,
        "selector": {"matchLabels": {"app": "web"}},
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}},
        "template": {
            "metadata": {"labels": {"app": "web"}},
            "spec": {
                "containers": [{"name": "nginx", "image": "nginx", "resources": {}, "env": [{"name": "A", "value": "1"}],
                    "ports": [{"containerPort": 80}]}],
                "tolerations": [{"key": "a"}],
            },
        },
    }));
    created["metadata"]["finalizers"] = json!(["a/b"]);
    created["metadata"]["uid"] = json!("1");
    created["metadata"]["creationTimestamp"] = json!("2026-01-01T00:00:00Z");
    let created = updated(None, created, "kubectl-create", 0);
    assert_eq!(
        created["metadata"]["managedFields"],
        json!([{
            "manager": "kubectl-create", "operation": "Update", "apiVersion": "apps/v1", "time": "1970-01-01T00:00:00Z",
            "fieldsType": "FieldsV1",
            "fieldsV1": {
                "f:metadata": {"f:finalizers": {".": {}, "v:\"a/b\"": {}}},
                "f:spec": {
                    "f:replicas": {},
                    "f:selector": {},
                    "f:strategy": {"f:rollingUpdate": {".": {}, "f:maxSurge": {}}, "f:type": {}},
                    "f:template": {
                        "f:metadata": {"f:labels": {".": {}, "f:app": {}}},
                        "f:spec": {
                            "f:containers": {"k:{\"name\":\"nginx\"}": {
                                ".": {}, "f:name": {}, "f:image": {}, "f:resources": {},
                                "f:env": {".": {}, "k:{\"name\":\"A\"}": {".": {}, "f:name": {}, "f:value": {}}},
                                "f:ports": {".": {}, "k:{\"containerPort\":80,\"protocol\":\"TCP\"}": {".": {}, "f:containerPort": {}}},
                            }},
                            "f:tolerations": {},
                        },
                    },
                },
            },
        }])
    );
}

#[test]
fn who_changes_a_field_takes_it_over() {
    let created = updated(None, web(&json!({"replicas": 1, "paused": true, "minReadySeconds": 1})), "a", 0);
    let mut changed = created.clone();
    changed["spec"] = json!({"replicas": 2, "minReadySeconds": 1});
    let changed = updated(Some(&created), changed, "b", 60);
    assert_eq!(owned_by(&changed, "a", "Update"), json!({"f:spec": {"f:minReadySeconds": {}}}));
    assert_eq!(owned_by(&changed, "b", "Update"), json!({"f:spec": {"f:replicas": {}}}));
    // The time of the one that did not write stays.
    let times: Vec<_> = array_of_times(&changed);
    assert_eq!(times, ["1970-01-01T00:00:00Z", "1970-01-01T00:01:00Z"]);
    // Nothing changes: nothing is written.
    assert_eq!(updated(Some(&changed), changed.clone(), "c", 120), changed);
    // Nothing is left to own: no entry.
    let mut all = changed.clone();
    all["spec"] = json!({"replicas": 3, "minReadySeconds": 3});
    let all = updated(Some(&changed), all, "b", 120);
    assert_eq!(owned_by(&all, "a", "Update"), Value::Null);
    assert_eq!(owned_by(&all, "b", "Update"), json!({"f:spec": {"f:minReadySeconds": {}, "f:replicas": {}}}));
}

fn array_of_times(object: &Value) -> Vec<String> {
    crate::object::array(object, "/metadata/managedFields").iter().map(|e| text(e, "/time").to_owned()).collect()
}

#[test]
fn subresources_have_entries_of_their_own() {
    let created = updated(None, web(&json!({"replicas": 1})), "a", 0);
    let mut changed = created.clone();
    changed["status"] = json!({"replicas": 1, "conditions": [{"type": "Available", "status": "True"}]});
    // What a subresource is sent as managed fields does not count.
    changed["metadata"]["managedFields"] = json!([{}]);
    let status = Writer { subresource: "status", ..writer("a", "apps/v1", 1) };
    track_update(Some(&created), &mut changed, deployment(), &status);
    let managed = &changed["metadata"]["managedFields"];
    assert_eq!(managed[0], created["metadata"]["managedFields"][0]);
    assert_eq!(managed[1]["subresource"], "status");
    assert_eq!(
        managed[1]["fieldsV1"]["f:status"],
        json!({"f:conditions": {".": {}, "k:{\"type\":\"Available\"}": {".": {}, "f:status": {}, "f:type": {}}}, "f:replicas": {}})
    );
}

#[test]
fn managed_fields_may_be_sent() {
    let created = updated(None, web(&json!({"replicas": 1})), "a", 0);
    let send = |managed: Value| {
        let mut object = created.clone();
        object["metadata"]["managedFields"] = managed;
        updated(Some(&created), object, "b", 60)
    };
    let reset = send(json!([{}]));
    assert_eq!(reset, without_managed(&created));
    assert_eq!(send(json!([])), reset);
    assert_eq!(send(Value::Null), created);
    // Clients that have it wrong change nothing.
    assert_eq!(send(json!([{"operation": "Eat"}])), created);
    assert_eq!(send(json!("x")), created);
    // kubectl turns its entry of updates into one of applies.
    let mut entries = created["metadata"]["managedFields"].clone();
    entries[0]["operation"] = json!("Apply");
    assert_eq!(send(entries.clone())["metadata"]["managedFields"], entries);
    // An object that forgot is not told who owns what until it is applied.
    let mut more = reset.clone();
    more["spec"]["paused"] = json!(true);
    let more = updated(Some(&reset), more, "b", 60);
    assert_eq!(more["metadata"].get("managedFields"), None);
    let refused = applied(Some(&more), &web(&json!({"replicas": 2})), "c", 90).unwrap_err();
    assert_eq!(
        refused.message,
        "Apply failed with 1 conflict: conflict with \"before-first-apply\" using apps/v1: .spec.replicas"
    );
}

#[test]
fn old_updaters_are_put_together() {
    let mut object = updated(None, web(&json!({"template": {"metadata": {"labels": {"n": "x"}}}})), "m", 0);
    for n in 0..15 {
        let mut next = object.clone();
        member(&mut next, "/spec/template/metadata/labels").insert(format!("n{n}"), json!("x"));
        object = updated(Some(&object), next, &format!("m{n}"), 100 + n);
    }
    let managed = crate::object::array(&object, "/metadata/managedFields");
    assert_eq!(managed.len(), 10);
    assert_eq!(managed[0]["manager"], "ancient-changes");
    let ancient = owned_by(&object, "ancient-changes", "Update");
    let labels = ancient.pointer("/f:spec/f:template/f:metadata/f:labels").unwrap();
    assert_eq!(labels.as_object().unwrap().len(), 2 + 6, "{labels}");
}

#[test]
fn applying_adds_changes_and_removes_what_the_manager_owns() {
    let first = web(&json!({
        "replicas": 3,
        "template": {"spec": {"containers": [{"name": "a", "image": "a:1", "env": [{"name": "X", "value": "1"}, {"name": "Y", "value": "1"}]}, {"name": "b"}],
            "tolerations": [{"key": "t"}]}},
    }));
    let mut live = applied(None, &first, "helm", 0).unwrap();
    assert_eq!(without_managed(&live), first);
    // Defaults, which nobody owns, and a container of somebody else.
    live["spec"]["paused"] = json!(false);
    let mut injected = live.clone();
    injected["spec"]["template"]["spec"]["containers"]
        .as_array_mut()
        .unwrap()
        .insert(1, json!({"name": "proxy", "image": "p"}));
    injected["metadata"]["labels"] = json!({"injected": "yes"});
    let live = updated(Some(&live), injected, "injector", 10);
    let second = web(&json!({
        "template": {"spec": {"containers": [{"name": "new"}, {"name": "a", "image": "a:2", "env": [{"name": "Y", "value": "2"}]}],
            "tolerations": [{"key": "u"}]}},
    }));
    let merged = applied(Some(&live), &second, "helm", 20).unwrap();
    assert_eq!(
        merged["spec"],
        json!({
            "paused": false,
            "template": {"spec": {"containers": [{"name": "new"}, {"name": "a", "image": "a:2", "env": [{"name": "Y", "value": "2"}]}, {"name": "proxy", "image": "p"}],
                "tolerations": [{"key": "u"}]}},
        })
    );
    assert_eq!(merged["metadata"]["labels"], json!({"injected": "yes"}));
    assert_eq!(
        owned_by(&merged, "helm", "Apply"),
        json!({"f:spec": {"f:template": {"f:spec": {
            "f:containers": {
                "k:{\"name\":\"a\"}": {".": {}, "f:name": {}, "f:image": {}, "f:env": {"k:{\"name\":\"Y\"}": {".": {}, "f:name": {}, "f:value": {}}}},
                "k:{\"name\":\"new\"}": {".": {}, "f:name": {}},
            },
            "f:tolerations": {},
        }}}})
    );
}

#[test]
fn what_two_apply_stays_until_both_leave_it() {
    let both = |label: Value| {
        let mut config = web(&json!({"replicas": 1}));
        config["metadata"]["finalizers"] = label;
        config
    };
    let live = applied(None, &both(json!(["x", "y"])), "a", 0).unwrap();
    let live = applied(Some(&live), &both(json!(["y"])), "b", 1).unwrap();
    let live = applied(Some(&live), &web(&json!({})), "a", 2).unwrap();
    assert_eq!(live["metadata"]["finalizers"], json!(["y"]));
    assert_eq!(live["spec"]["replicas"], 1);
    let live = applied(Some(&live), &web(&json!({})), "b", 2).unwrap();
    assert_eq!(live["metadata"].get("finalizers"), None);
    assert_eq!(live["spec"].get("replicas"), None);
}

#[test]
fn conflicts_are_told_as_upstream_does() {
    let live = updated(None, web(&json!({"replicas": 1, "paused": true})), "kubectl-client-side-apply", 0);
    let refused = applied(Some(&live), &web(&json!({"replicas": 2})), "helm", 1).unwrap_err();
    assert_eq!((refused.code, refused.reason), (409, "Conflict"));
    let one = "Apply failed with 1 conflict: conflict with \"kubectl-client-side-apply\" using apps/v1: .spec.replicas";
    assert_eq!(refused.message, one);
    let told = "conflict with \"kubectl-client-side-apply\" using apps/v1";
    assert_eq!(refused.details.unwrap().causes, [Cause::new("FieldManagerConflict", ".spec.replicas", told)]);
    // The same value is no conflict: both own it.
    let shared = applied(Some(&live), &web(&json!({"replicas": 1})), "helm", 1).unwrap();
    assert_eq!(owned_by(&shared, "helm", "Apply"), json!({"f:spec": {"f:replicas": {}}}));
    assert_eq!(owned_by(&shared, "kubectl-client-side-apply", "Update")["f:spec"]["f:replicas"], json!({}));
    // Several.
    let nginx = |image: &str, paused: bool| {
        web(
            &json!({"replicas": 2, "paused": paused, "template": {"spec": {"containers": [{"name": "nginx", "image": image}]}}}),
        )
    };
    let live = applied(None, &nginx("nginx:1", false), "z", 0).unwrap();
    let mut scaled = live.clone();
    scaled["spec"]["replicas"] = json!(5);
    let scale = Writer { subresource: "scale", ..writer("k", "apps/v1", 1) };
    track_update(Some(&live), &mut scaled, deployment(), &scale);
    let refused = applied(Some(&scaled), &nginx("nginx:2", true), "helm", 2).unwrap_err();
    assert_eq!(
        refused.message,
        "Apply failed with 3 conflicts: conflicts with \"k\" with subresource \"scale\" using apps/v1:\n- .spec.replicas\n\
         conflicts with \"z\":\n- .spec.paused\n- .spec.template.spec.containers[name=\"nginx\"].image"
    );
    let taken = apply(Some(&scaled), &nginx("nginx:2", true), deployment(), &writer("helm", "apps/v1", 3), true).unwrap();
    assert_eq!(without_managed(&taken), nginx("nginx:2", true));
    assert_eq!(owned_by(&taken, "k", "Update"), Value::Null);
}

#[test]
fn kubectl_takes_over_what_it_applied_on_the_client() {
    let mut config = web(&json!({"replicas": 1}));
    let last = config.to_string();
    config["metadata"]["annotations"] = json!({LAST_APPLIED: last});
    let live = updated(None, config, "kubectl-client-side-apply", 0);
    let merged = applied(Some(&live), &web(&json!({"replicas": 2})), "kubectl", 1).unwrap();
    assert_eq!(merged["spec"]["replicas"], 2);
    assert!(merged["metadata"]["annotations"][LAST_APPLIED].as_str().unwrap().contains("\"replicas\":2"));
    assert_eq!(applied(Some(&merged), &web(&json!({"replicas": 2})), "kubectl", 9).unwrap(), merged);
    assert_eq!(applied(Some(&live), &web(&json!({"replicas": 2})), "helm", 1).unwrap_err().code, 409);
}

#[test]
fn configurations_that_cannot_be_merged_are_refused() {
    let with = |name: &str, value: Value| {
        let mut config = web(&json!({}));
        config["metadata"][name] = value;
        config
    };
    let containers = |c: Value| web(&json!({"template": {"spec": {"containers": c}}}));
    let untyped = "failed to create typed patch object (default/web; apps/v1, Kind=Deployment): ";
    let mut other = web(&json!({}));
    other["apiVersion"] = json!("apps/v1beta1");
    for (config, message) in [
        (with("managedFields", json!([])), "metadata.managedFields must be nil".to_owned()),
        (
            other,
            "Incorrect version specified in apply patch. Specified patch version: apps/v1beta1, expected: apps/v1".to_owned(),
        ),
        (web(&json!({"replica": 1})), format!("{untyped}.spec.replica: field not declared in schema")),
        (
            containers(json!([{"name": "a"}, {"name": "a"}])),
            format!("{untyped}.spec.template.spec.containers: duplicate entries for key [name=\"a\"]"),
        ),
        (
            containers(json!([{"image": "a"}])),
            format!(
                "{untyped}.spec.template.spec.containers: element 0: associative list with keys has an element that omits key field \
                 \"name\" (and doesn't have default value)"
            ),
        ),
        (
            web(&json!({"a": 1, "b": {}})),
            format!("{untyped}errors:\n  .spec.a: field not declared in schema\n  .spec.b: field not declared in schema"),
        ),
    ] {
        let refused = applied(None, &config, "m", 0).unwrap_err();
        assert_eq!((refused.code, refused.message), (400, message));
    }
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "sops": {}});
    let schema = definitions().of_kind("", "v1", "Secret").unwrap();
    let refused = apply(None, &secret, schema, &writer("m", "v1", 0), true).unwrap_err();
    assert_eq!(
        refused.message,
        "failed to create typed patch object (/s; /v1, Kind=Secret): .sops: field not declared in schema"
    );
}

#[test]
fn service_ports_are_told_apart_by_number_and_protocol() {
    let service = definitions().of_kind("", "v1", "Service").unwrap();
    let config =
        |ports: Value| json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"}, "spec": {"ports": ports}});
    let writer = writer("m", "v1", 0);
    let live = apply(None, &config(json!([{"port": 53}, {"port": 53, "protocol": "UDP"}])), service, &writer, false).unwrap();
    // The default is written, then one of them goes.
    let mut defaulted = live;
    defaulted["spec"]["ports"][0]["protocol"] = json!("TCP");
    let merged = apply(Some(&defaulted), &config(json!([{"port": 53, "name": "tcp"}])), service, &writer, false).unwrap();
    assert_eq!(merged["spec"]["ports"], json!([{"port": 53, "protocol": "TCP", "name": "tcp"}]));
}

/// A custom type, as a definition has it, and one that says nothing.
#[test]
fn custom_types_say_how_they_merge() {
    let schema: Type = serde_json::from_value(json!({"type": "object", "properties": {
        "metadata": {"type": "object"},
        "spec": {"type": "object", "properties": {
            "rules": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["id"],
                "items": {"type": "object", "properties": {"id": {"type": "string"}, "on": {"type": "boolean"}}}},
            "hosts": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}},
            "order": {"type": "array", "items": {"type": "string"}},
            "whole": {"type": "object", "x-kubernetes-map-type": "atomic", "additionalProperties": {"type": "string"}},
            "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
        }},
    }}))
    .unwrap();
    let config = |spec: Value| json!({"apiVersion": "e.io/v1", "kind": "E", "metadata": {"name": "e", "finalizers": ["f"]}, "spec": spec});
    let a = config(
        json!({"rules": [{"id": "1", "on": true}], "hosts": ["a"], "order": ["x"], "whole": {"a": "1"}, "free": {"l": [1], "m": {"a": 1}}}),
    );
    let b = config(json!({"rules": [{"id": "2"}], "hosts": ["b"], "free": {"m": {"b": 2}}}));
    let live = apply(None, &a, &schema, &writer("a", "e.io/v1", 0), false).unwrap();
    let live = apply(Some(&live), &b, &schema, &writer("b", "e.io/v1", 0), false).unwrap();
    assert_eq!(
        live["spec"],
        json!({"rules": [{"id": "1", "on": true}, {"id": "2"}], "hosts": ["a", "b"], "order": ["x"], "whole": {"a": "1"},
            "free": {"l": [1], "m": {"a": 1, "b": 2}}})
    );
    let whole = config(json!({"whole": {"b": "1"}, "order": ["y"]}));
    let refused = apply(Some(&live), &whole, &schema, &writer("b", "e.io/v1", 0), false).unwrap_err();
    assert_eq!(refused.message, "Apply failed with 2 conflicts: conflicts with \"a\":\n- .spec.order\n- .spec.whole");
    let mut created = config(json!({"hosts": ["a"]}));
    track_update(None, &mut created, &schema, &writer("u", "e.io/v1", 0));
    let hosts = json!({".": {}, "f:hosts": {".": {}, "v:\"a\"": {}}});
    assert_eq!(owned_by(&created, "u", "Update")["f:spec"], hosts);
    let open = Type::default();
    let live = apply(None, &a, &open, &writer("a", "e.io/v1", 0), false).unwrap();
    let live = apply(Some(&live), &b, &open, &writer("b", "e.io/v1", 0), true).unwrap();
    assert_eq!(live["spec"]["hosts"], json!(["b"]));
    assert_eq!(live["spec"]["free"]["m"], json!({"a": 1, "b": 2}));
}

#[test]
fn times_alone_are_no_change() {
    let old = updated(None, web(&json!({"replicas": 1})), "a", 0);
    let mut new = old.clone();
    new["metadata"]["managedFields"][0]["time"] = json!("2030-01-01T00:00:00Z");
    keep_times(&old, &mut new);
    assert_eq!(new, old);
    new["metadata"]["managedFields"][0]["time"] = json!("2030-01-01T00:00:00Z");
    new["spec"]["replicas"] = json!(2);
    let changed = new.clone();
    keep_times(&old, &mut new);
    assert_eq!(new, changed);
}

/// Deployments, of which parts often meet.
fn configs() -> impl Strategy<Value = Value> {
    let env = prop::collection::btree_map("[XY]", "[12]", 0..3)
        .prop_map(|env| env.into_iter().map(|(name, value)| json!({"name": name, "value": value})).collect::<Value>());
    let ports = prop::collection::btree_set((80..82, prop_oneof![Just(None), Just(Some("UDP"))]), 0..3).prop_map(|ports| {
        let port = |(n, protocol): (i32, Option<&str>)| match protocol {
            None => json!({"containerPort": n}),
            Some(protocol) => json!({"containerPort": n, "protocol": protocol}),
        };
        ports.into_iter().map(port).collect::<Value>()
    });
    let container =
        (prop::option::of("[ab]"), prop::option::of(env), prop::option::of(ports)).prop_map(|(image, env, ports)| {
            let mut container = json!({});
            container.as_object_mut().unwrap().extend(
                [("image", image.map(Value::from)), ("env", env), ("ports", ports)]
                    .into_iter()
                    .filter_map(|(name, value)| Some((name.to_owned(), value?))),
            );
            container
        });
    let containers = prop::collection::btree_map("[a-c]", container, 0..4).prop_map(|containers| {
        let named = |(name, mut container): (String, Value)| {
            container["name"] = name.into();
            container
        };
        containers.into_iter().map(named).collect::<Vec<_>>()
    });
    let labels = prop::collection::btree_map("[a-c]", "[12]", 0..3);
    let replicas = prop::option::of(0..3i32);
    let tolerations = prop::collection::vec("[a-c]".prop_map(|key| json!({"key": key})), 0..3);
    let finalizers = prop::collection::btree_set("[a-c]", 0..3);
    (containers.prop_shuffle(), labels, replicas, tolerations, finalizers).prop_map(
        |(containers, labels, replicas, tolerations, finalizers)| {
            let mut config = web(&json!({"template": {"spec": {"containers": containers, "tolerations": tolerations}}}));
            config["metadata"]["labels"] = json!(labels);
            config["metadata"]["finalizers"] = json!(finalizers);
            if let Some(replicas) = replicas {
                config["spec"]["replicas"] = replicas.into();
            }
            config
        },
    )
}

/// How an object came about: who applied or updated what.
fn histories() -> impl Strategy<Value = Vec<(Option<&'static str>, Value)>> {
    prop::collection::vec((prop_oneof![Just(None), Just(Some("a")), Just(Some("b"))], configs()), 0..4)
}

fn lived(history: Vec<(Option<&'static str>, Value)>) -> Option<Value> {
    history.into_iter().zip(0..).fold(None, |live, ((applier, config), second)| {
        Some(match applier {
            Some(manager) => apply(live.as_ref(), &config, deployment(), &writer(manager, "apps/v1", second), true).unwrap(),
            None => updated(live.as_ref(), config, "updater", second),
        })
    })
}

/// JSON that hardly is an object of the API.
fn documents() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![Just(Value::Null), Just(json!("a")), (0..3i32).prop_map(Value::from)];
    let name =
        "name|metadata|spec|template|containers|env|ports|containerPort|finalizers|managedFields|operation|fieldsV1|.|f:a";
    leaf.prop_recursive(6, 64, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(name, inner, 0..4).prop_map(|m| Value::Object(m.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn no_value_is_too_odd(old in documents(), new in documents()) {
        let at = |document: Value| web(&json!({"template": {"spec": {"containers": document.clone(), "volumes": document}}}));
        for (old, mut new) in [(old.clone(), new.clone()), (at(old), at(new))] {
            let force = apply(Some(&old), &new, deployment(), &writer("m", "apps/v1", 1), true);
            if let Ok(merged) = force {
                prop_assert!(apply(Some(&merged), &new, deployment(), &writer("m", "apps/v1", 1), false).is_ok());
            }
            track_update(Some(&old), &mut new, deployment(), &writer("m", "apps/v1", 1));
            keep_times(&old, &mut new);
        }
    }

    #[test]
    fn applying_twice_is_applying_once(history in histories(), config in configs()) {
        let live = lived(history);
        let once = apply(live.as_ref(), &config, deployment(), &writer("m", "apps/v1", 10), true).unwrap();
        let twice = apply(Some(&once), &config, deployment(), &writer("m", "apps/v1", 20), false).unwrap();
        prop_assert_eq!(twice, once);
    }

    #[test]
    fn who_forces_has_its_configuration_and_owns_it(history in histories(), config in configs()) {
        let live = lived(history);
        let merged = apply(live.as_ref(), &config, deployment(), &writer("m", "apps/v1", 10), true).unwrap();
        let mut wanted = Node::root(deployment()).set_of(&config);
        strip(&mut wanted);
        prop_assert_eq!(FieldSet::parse(&owned_by(&merged, "m", "Apply")), Some(wanted));
        // The result has all of the configuration: laying it over once more changes nothing.
        let mut again = merged.clone();
        merge::merge(&mut again, &config, Node::root(deployment()));
        prop_assert_eq!(again, merged);
    }

    #[test]
    fn who_leaves_takes_along_only_its_own(history in histories(), config in configs()) {
        let Some(live) = lived(history) else { return Ok(()) };
        let merged = apply(Some(&live), &config, deployment(), &writer("m", "apps/v1", 10), true).unwrap();
        let mut nothing = json!({});
        for name in ["apiVersion", "kind"] {
            nothing[name] = config[name].clone();
        }
        nothing["metadata"] = json!({"name": "web", "namespace": "default"});
        let left = apply(Some(&merged), &nothing, deployment(), &writer("m", "apps/v1", 20), false).unwrap();
        prop_assert_eq!(owned_by(&left, "m", "Apply"), Value::Null);
        // What others own is still there.
        for other in entries::of(&left) {
            let there = Node::root(deployment()).set_of(&left);
            let ends = |set: &FieldSet| set.paths();
            let all = ends(&there);
            for path in ends(&other.set).into_iter().filter(|p| p.ends_with("image") || p.ends_with("replicas")) {
                prop_assert!(all.contains(&path), "{} is gone: {}", path, left);
            }
        }
    }

    #[test]
    fn updates_own_what_differs(old in configs(), new in configs()) {
        let old = updated(None, old, "a", 0);
        let mut sent = new;
        sent["metadata"]["managedFields"] = old["metadata"]["managedFields"].clone();
        let changed = updated(Some(&old), sent.clone(), "b", 1);
        prop_assert_eq!(without_managed(&changed), without_managed(&sent));
        let difference = compare(Some(&without_managed(&old)), Some(&without_managed(&sent)), Node::root(deployment()));
        let owned = FieldSet::parse(&owned_by(&changed, "b", "Update")).unwrap_or_default();
        prop_assert_eq!(owned, difference.changed);
    }
}
