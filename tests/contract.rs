//! The served documents and the page to read them.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::harness::http::text;
use crate::harness::{Request, boatyard, shared};

const SWAGGER: &str = "/global/swagger-global-api/swagger.json";

/// `METHOD /path operationId` of each operation of a document.
fn operations(document: &Value) -> BTreeSet<String> {
    let paths = document["paths"].as_object().expect("paths");
    let methods = ["get", "post", "put", "patch", "delete", "head", "options"];
    let mut operations = BTreeSet::new();
    for (path, item) in paths {
        for (method, operation) in item.as_object().unwrap().iter().filter(|(m, _)| methods.contains(&m.as_str())) {
            operations.insert(format!("{} {path} {}", method.to_uppercase(), text(operation, "/operationId")));
        }
    }
    operations
}

fn kept(name: &str) -> Value {
    let file = boatyard::repository().join("contract").join(name);
    serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap()
}

#[test]
fn the_containers_document_is_served_without_a_token_and_is_the_one_that_is_kept() {
    let server = shared();
    let answer = server.send(Request::get(SWAGGER));
    let served = answer.json(200);
    assert!(answer.content_type().starts_with("application/json"), "{}", answer.content_type());
    assert!(text(&served, "/openapi").starts_with("3."));
    assert_eq!(operations(&served), operations(&kept("containers.json")));
}

#[test]
fn every_operation_of_the_served_document_is_routed() {
    let server = shared();
    let token = server.token(&server.account("routed"));
    let served = server.send(Request::get(SWAGGER)).json(200);
    let prefix = served.pointer("/servers/0/url").and_then(Value::as_str).unwrap_or_default().trim_end_matches('/').to_owned();
    let mut unrouted = Vec::new();
    for operation in operations(&served) {
        let (method, rest) = operation.split_once(' ').unwrap();
        let (path, _) = rest.split_once(' ').unwrap();
        let mut concrete = prefix.clone();
        for segment in path.split('/').skip(1) {
            concrete.push('/');
            concrete.push_str(if segment.starts_with('{') { "none-such" } else { segment });
        }
        let answer = server.send(Request::new(method, concrete).bearer(&token).header("Content-Type", "application/json"));
        let plain = answer.content_type().starts_with("text/plain");
        if answer.status == 405 || (answer.status == 404 && plain) || (answer.status >= 500 && answer.status != 501) {
            unrouted.push(format!("{operation}: {} {}", answer.status, answer.text()));
        }
    }
    assert!(unrouted.is_empty(), "{}", unrouted.join("\n"));
}

#[test]
fn the_reference_page_needs_nothing_from_elsewhere() {
    let server = shared();
    let page = server.send(Request::get("/global/swagger-global-api/"));
    assert!(page.expect(200).content_type().starts_with("text/html"));
    let html = page.text();
    let mut assets = Vec::new();
    for attribute in ["src=\"", "href=\""] {
        assets.extend(html.split(attribute).skip(1).filter_map(|rest| rest.split('"').next()));
    }
    assert!(!assets.is_empty(), "the page has neither script nor style: {html}");
    for asset in assets.into_iter().filter(|a| !a.starts_with('#') && !a.starts_with("data:")) {
        assert!(!asset.contains("//"), "{asset} comes from another host");
        let path = match asset.strip_prefix('/') {
            Some(_) => asset.to_owned(),
            None => format!("/global/swagger-global-api/{}", asset.trim_start_matches("./")),
        };
        let answer = server.send(Request::get(path));
        assert!(!answer.expect(200).body.is_empty(), "{asset} is empty");
    }
}

#[test]
fn the_reference_is_reached_without_the_closing_slash_too() {
    let answer = shared().send(Request::get("/global/swagger-global-api"));
    match answer.status {
        200 => assert!(answer.content_type().starts_with("text/html")),
        301 | 302 | 307 | 308 => assert!(answer.header("location").is_some_and(|l| l.ends_with("/global/swagger-global-api/"))),
        status => panic!("status {status}: {}", answer.text()),
    }
}

#[test]
fn what_is_not_built_yet_says_so_in_the_form_of_its_service() {
    let server = shared();
    let token = server.token(&server.account("unbuilt"));
    let answer = server.send(Request::get("/global/v2/satellite/getControllers").bearer(&token));
    let body = answer.json(501);
    assert!(text(&body, "/description").len() > 10 && !text(&body, "/incidentID").is_empty(), "{body}");
    let answer = server.send(Request::get("/v1/idps/").bearer(&token));
    let body = answer.json(501);
    assert!(!text(&body, "/errors/0/message").is_empty() && body["status_code"] == 501, "{body}");
}

#[test]
fn the_answers_of_built_operations_have_the_members_of_the_document() {
    let server = shared();
    let user = server.account("members");
    let token = server.token(&user);
    let vpc = server.create_vpc(&token, "members-vpc");
    let classic = server.create_classic(&token, "members-classic");
    server.normal(&token, &vpc);
    server.normal(&token, &classic);
    let document = server.send(Request::get(SWAGGER)).json(200);
    let calls = [
        "/global/v1/clusters".to_owned(),
        format!("/global/v1/clusters/{classic}?showResources=true"),
        "/global/v2/clusters".to_owned(),
        format!("/global/v2/clusters/{vpc}"),
        "/global/v2/vpc/getClusters?provider=vpc-gen2".to_owned(),
        "/global/v2/classic/getClusters".to_owned(),
        format!("/global/v2/getCluster?cluster={vpc}&v1-compatible"),
        format!("/global/v2/vpc/getCluster?cluster={vpc}"),
        format!("/global/v2/classic/getCluster?cluster={classic}&showResources=true"),
        "/global/v2/vpc/getVPCs".to_owned(),
        "/global/v1/datacenters/dal10/vlans".to_owned(),
        format!("/global/v2/getRBACStatus?cluster={vpc}"),
        format!("/global/v1/clusters/{classic}/workers"),
        format!("/global/v1/clusters/{vpc}/workers"),
        format!("/global/v1/clusters/{classic}/workerpools"),
        format!("/global/v1/clusters/{vpc}/workerpools/default"),
        format!("/global/v2/getWorkers?cluster={vpc}"),
        format!("/global/v2/vpc/getWorkers?cluster={vpc}"),
        format!("/global/v2/classic/getWorkers?cluster={classic}"),
        format!("/global/v2/getWorkerPool?cluster={vpc}&workerpool=default"),
        format!("/global/v2/vpc/getWorkerPools?cluster={vpc}"),
        format!("/global/v2/classic/getWorkerPools?cluster={classic}"),
    ];
    for call in calls {
        let body = server.send(Request::get(&call).bearer(&token)).json(200);
        let path = call.split('?').next().unwrap();
        let segments: Vec<_> = path.split('/').collect();
        let paths = document["paths"].as_object().unwrap();
        let prefix = document.pointer("/servers/0/url").and_then(Value::as_str).unwrap_or_default().trim_end_matches('/');
        let fits = |template: &str| {
            let template: Vec<_> = template.split('/').collect();
            template.len() == segments.len() && template.iter().zip(&segments).all(|(t, s)| t == s || t.starts_with('{'))
        };
        let operation = paths.iter().find(|(p, item)| fits(&format!("{prefix}{p}")) && item.get("get").is_some());
        let (template, item) = operation.unwrap_or_else(|| panic!("{path} is not in the document"));
        let schema = item.pointer("/get/responses/200/content/application~1json/schema").expect("a schema");
        let mut wrong = Vec::new();
        conforms(&document, schema, &body, template, &mut wrong);
        assert!(wrong.is_empty(), "{call}:\n{}\n{body:#}", wrong.join("\n"));
    }
}

/// Collects where `value` is not of the type its schema gives it, or has a member the schema does not know.
fn conforms(document: &Value, schema: &Value, value: &Value, at: &str, wrong: &mut Vec<String>) {
    if let Some(reference) = schema["$ref"].as_str() {
        let target = document.pointer(reference.trim_start_matches('#')).expect("a reference leads somewhere");
        return conforms(document, target, value, at, wrong);
    }
    if let Some(parts) = schema["allOf"].as_array().filter(|parts| parts.len() == 1) {
        return conforms(document, &parts[0], value, at, wrong);
    }
    if value.is_null() {
        if schema["nullable"] != true {
            wrong.push(format!("{at} is null"));
        }
        return;
    }
    let fits = match schema["type"].as_str() {
        Some("string") => value.is_string(),
        Some("boolean") => value.is_boolean(),
        Some("integer") => value.is_i64(),
        Some("number") => value.is_number(),
        Some("array") => value.is_array(),
        Some("object") => value.is_object(),
        _ => true,
    };
    if !fits {
        wrong.push(format!("{at} is {value}, not {}", schema["type"]));
        return;
    }
    for (index, item) in value.as_array().into_iter().flatten().enumerate() {
        conforms(document, &schema["items"], item, &format!("{at}[{index}]"), wrong);
    }
    let Some(properties) = schema["properties"].as_object() else { return };
    for (name, member) in value.as_object().into_iter().flatten() {
        match properties.get(name) {
            Some(schema) => conforms(document, schema, member, &format!("{at}.{name}"), wrong),
            None if schema["additionalProperties"].is_object() || schema["additionalProperties"] == true => {}
            None => wrong.push(format!("{at}.{name} is not in the document")),
        }
    }
    for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        if value.get(name).is_none() {
            wrong.push(format!("{at}.{name} is required and missing"));
        }
    }
}
