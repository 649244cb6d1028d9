use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, header};

use super::*;
use crate::api::{Body, User};

fn definition() -> Value {
    json!({"spec": {
        "group": "stable.example.com", "scope": "Namespaced",
        "names": {"plural": "crontabs", "kind": "CronTab", "listKind": "CronTabList"},
        "versions": [{
            "name": "v1", "served": true, "storage": true, "subresources": {"status": {}, "scale": {}},
            "schema": {"openAPIV3Schema": {"type": "object", "required": ["spec"], "properties": {
                "spec": {"type": "object", "description": "What is wanted.", "properties": {
                    "cronSpec": {"type": "string", "pattern": "^x$"},
                    "port": {"x-kubernetes-int-or-string": true, "anyOf": [{"type": "integer"}, {"type": "string"}]},
                    "raw": {"type": "object", "x-kubernetes-preserve-unknown-fields": true, "properties": {"a": {"type": "string"}}},
                    "maybe": {"type": "string", "nullable": true},
                }},
            }}},
        }, {"name": "v1alpha1", "served": false}],
    }})
}

fn ask(published: &Published, path: &str, accept: &'static str) -> Response {
    let mut headers = HeaderMap::new();
    headers.insert(header::ACCEPT, HeaderValue::from_static(accept));
    let (user, query, body) = (User::anonymous(), String::new(), Bytes::new());
    let request = Request { user, method: Method::GET, path: path.to_owned(), query, headers, body };
    published.answer(&request, "/kube/c1").unwrap()
}

fn json_of(response: Response) -> Value {
    let Body::Full(body) = response.body else { return Value::Null };
    serde_json::from_slice(&body).unwrap()
}

#[test]
fn version_2_has_built_in_and_custom_kinds() {
    let built_in = json_of(ask(Published::built_in(), "/openapi/v2", "application/json"));
    assert_eq!(built_in, super::built_in());
    let published = Published::new([&definition()].into_iter());
    let document = json_of(ask(&published, "/openapi/v2", "*/*"));
    let cron_tab = &document["definitions"]["com.example.stable.v1.CronTab"];
    let served_as = json!([{"group": "stable.example.com", "version": "v1", "kind": "CronTab"}]);
    assert_eq!(cron_tab["x-kubernetes-group-version-kind"], served_as);
    let spec = &cron_tab["properties"]["spec"]["properties"];
    assert_eq!(spec["port"], json!({"x-kubernetes-int-or-string": true}));
    assert_eq!(spec["raw"], json!({"x-kubernetes-preserve-unknown-fields": true}));
    assert_eq!(spec["maybe"], json!({}));
    let object = &document["paths"]["/apis/stable.example.com/v1/namespaces/{namespace}/crontabs/{name}"];
    assert_eq!(object["patch"]["operationId"], "patchStableExampleComV1NamespacedCronTab");
    assert_eq!(
        object["delete"]["responses"]["200"]["schema"]["$ref"],
        "#/definitions/io.k8s.apimachinery.pkg.apis.meta.v1.Status"
    );
    assert!(document["paths"]["/apis/stable.example.com/v1/crontabs"]["get"].is_object());
    assert!(document["definitions"]["io.k8s.api.core.v1.Pod"].is_object());
}

#[test]
fn version_2_is_there_as_protobuf_for_older_clients() {
    for published in [&Published::default(), &Published::new([&definition()].into_iter())] {
        for accept in [PROTOBUF, PROTOBUF_BEFORE] {
            let response = ask(published, "/openapi/v2", accept);
            assert_eq!(response.headers[header::CONTENT_TYPE], PROTOBUF);
            let Body::Full(body) = response.body else { panic!("no body") };
            let mut decoded: proto::Document = prost::Message::decode(body).unwrap();
            decoded.sort();
            let mut expected = proto::Document::of(&json_of(ask(published, "/openapi/v2", JSON)));
            expected.sort();
            assert!(decoded == expected);
        }
    }
    assert_eq!(ask(Published::built_in(), "/openapi/v2", "text/html").status, 406);
}

#[test]
fn version_3_tells_of_group_versions() {
    let published = Published::new([&definition()].into_iter());
    let index = json_of(ask(&published, "/openapi/v3", JSON));
    for path in ["api/v1", "apis/apps/v1", "apis/apps", "apis", "version", "apis/stable.example.com/v1"] {
        let url = index["paths"][path]["serverRelativeURL"].as_str().unwrap();
        assert!(url.starts_with(&format!("/kube/c1/openapi/v3/{path}?hash=")), "{url}");
        assert_eq!(ask(&published, &format!("/openapi/v3/{path}"), JSON).status, 200, "{path}");
    }
    assert_eq!(ask(&published, "/openapi/v3/apis/nothing/v1", JSON).status, 404);
    let apps = json_of(ask(&published, "/openapi/v3/apis/apps/v1", JSON));
    let schemas = &apps["components"]["schemas"];
    let deployment = &schemas["io.k8s.api.apps.v1.Deployment"];
    assert_eq!(deployment["properties"]["spec"]["allOf"][0]["$ref"], "#/components/schemas/io.k8s.api.apps.v1.DeploymentSpec");
    assert!(schemas["io.k8s.api.batch.v1.Job"].is_null());
    assert!(schemas["io.k8s.apimachinery.pkg.util.intstr.IntOrString"]["oneOf"].is_array());
    let patch = &apps["paths"]["/apis/apps/v1/namespaces/{namespace}/deployments/{name}"]["patch"];
    assert!(patch["requestBody"]["content"]["application/strategic-merge-patch+json"].is_object());
    let names: Vec<_> = patch["parameters"].as_array().unwrap().iter().map(|p| p["name"].as_str().unwrap()).collect();
    for name in ["dryRun", "fieldManager", "fieldValidation", "force"] {
        assert!(names.contains(&name), "{names:?}");
    }
    assert_eq!(patch["x-kubernetes-group-version-kind"]["kind"], "Deployment");
    let custom = json_of(ask(&published, "/openapi/v3/apis/stable.example.com/v1", JSON));
    let schemas = &custom["components"]["schemas"];
    assert_eq!(schemas["com.example.stable.v1.CronTab"]["properties"]["spec"]["properties"]["maybe"]["nullable"], true);
    assert!(schemas["io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"].is_object());
    assert!(schemas["io.k8s.api.autoscaling.v1.Scale"].is_object());
}

#[test]
fn references_of_version_3_are_all_there() {
    let published = Published::new([&definition()].into_iter());
    for (path, document) in v3::built_in().iter().chain(published.customs()) {
        let document: Value = serde_json::from_slice(&document.plain).unwrap();
        let mut todo = vec![&document];
        while let Some(value) = todo.pop() {
            if let Some(name) = value["$ref"].as_str().and_then(|r| r.strip_prefix("#/components/schemas/")) {
                assert!(document["components"]["schemas"][name].is_object(), "{path} {name}");
            }
            todo.extend(value.as_object().into_iter().flat_map(|m| m.values()));
            todo.extend(value.as_array().into_iter().flatten());
        }
    }
}

#[test]
fn no_definition_upsets_the_documents() {
    for definition in [
        json!(null),
        json!({"spec": {"versions": [{"served": true, "schema": {"openAPIV3Schema": {"properties": 1, "required": 2}}}]}}),
    ] {
        let published = Published::new([&definition].into_iter());
        assert_eq!(ask(&published, "/openapi/v2", JSON).status, 200);
        assert_eq!(ask(&published, "/openapi/v2", PROTOBUF).status, 200);
        assert_eq!(ask(&published, "/openapi/v3", JSON).status, 200);
    }
}
