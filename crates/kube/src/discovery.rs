//! Discovery: which groups, versions and resources a cluster serves, for clients that ask one by one and for those that ask at once.

use serde_json::{Value, json};

use crate::accept::{self, Convert, Document, JSON};
use crate::api::{Request, Response};
use crate::resources::{Group, Resource, Subresource, Version, built_in};
use crate::status::Status;

const AGGREGATED: &str = "apidiscovery.k8s.io";

/// The answer to a request below `/api` or `/apis` that asks what there is, not for objects. `None` if the path is no such path. `server`
/// is where the cluster's API is: `https://127.0.0.1:7443/kube/<id>`.
pub fn answer<'a>(request: &Request, groups: impl Iterator<Item = &'a Group>, server: &str) -> Option<Response> {
    let segments: Vec<&str> = request.path.split('/').filter(|s| !s.is_empty()).collect();
    let document = match segments.as_slice() {
        ["api" | "apis"] => return Some(root(request, groups, server).unwrap_or_else(Response::from)),
        ["api", version] => found(groups, "", Some(version)),
        ["apis", group] => found(groups, group, None),
        ["apis", group, version] => found(groups, group, Some(version)),
        _ => return None,
    };
    let acceptable = accept::negotiate(request.header("accept"), &[JSON], |convert| convert.is_none());
    Some(match (acceptable, document) {
        (_, None) => Status::no_such_path().into(),
        (Err(status), _) => status.into(),
        (Ok(_), Some(document)) => Response::json(200, &document),
    })
}

fn found<'a>(mut groups: impl Iterator<Item = &'a Group>, name: &str, version: Option<&str>) -> Option<Value> {
    let group = groups.find(|g| g.name == name)?;
    match version {
        None if name.is_empty() => None,
        None => {
            let mut document = json!({"kind": "APIGroup", "apiVersion": "v1"});
            if let (Some(document), Value::Object(rest)) = (document.as_object_mut(), told(group)) {
                document.extend(rest);
            }
            Some(document)
        }
        Some(version) => group.versions.iter().find(|v| v.name == version).map(|version| resources(group, version)),
    }
}

/// `/api` and `/apis`, in whichever form.
fn root<'a>(request: &Request, groups: impl Iterator<Item = &'a Group>, server: &str) -> Result<Response, Status> {
    let core = request.path.trim_matches('/') == "api";
    let aggregated = |c: &Convert| c.is(AGGREGATED, &["v2", "v2beta1"], &["APIGroupDiscoveryList"]);
    let media = accept::negotiate(request.header("accept"), &[JSON], |convert| convert.is_none_or(aggregated))?;
    let Some(convert) = media.convert else {
        let document = if core { versions(server) } else { listed(groups) };
        return Ok(Response::json(200, &document));
    };
    let items: Vec<_> = ordered(groups).into_iter().filter(|g| g.name.is_empty() == core).map(discovered).collect();
    let document = json!({
        "kind": "APIGroupDiscoveryList", "apiVersion": format!("{AGGREGATED}/{}", convert.version), "metadata": {}, "items": items,
    });
    Ok(Document::new(document.to_string()).answer(request, &convert.declared(JSON)))
}

/// Built-in groups in their order, which is that of their priority, then the others by name.
fn ordered<'a>(groups: impl Iterator<Item = &'a Group>) -> Vec<&'a Group> {
    let mut groups: Vec<_> = groups.collect();
    groups.sort_by_key(|group| match built_in().iter().position(|b| b.name == group.name) {
        Some(position) => (position, ""),
        None => (usize::MAX, group.name.as_str()),
    });
    groups
}

/// `/api`.
fn versions(server: &str) -> Value {
    let address = server.split_once("://").map_or(server, |(_, rest)| rest).split('/').next().unwrap_or_default();
    json!({
        "kind": "APIVersions",
        "versions": ["v1"],
        "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": address}],
    })
}

/// `/apis`.
fn listed<'a>(groups: impl Iterator<Item = &'a Group>) -> Value {
    let groups: Vec<_> = ordered(groups).into_iter().filter(|g| !g.name.is_empty()).map(told).collect();
    json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})
}

fn told(group: &Group) -> Value {
    let version = |v: &Version| json!({"groupVersion": format!("{}/{}", group.name, v.name), "version": v.name});
    let versions: Vec<_> = group.versions.iter().map(version).collect();
    let preferred = versions.first().cloned().unwrap_or_default();
    json!({"name": group.name, "versions": versions, "preferredVersion": preferred})
}

/// `/api/v1`, `/apis/<group>/<version>`.
fn resources(group: &Group, version: &Version) -> Value {
    let mut resources = Vec::new();
    for resource in &version.resources {
        let mut told = json!({
            "name": resource.plural, "singularName": resource.singular, "namespaced": resource.namespaced,
            "kind": resource.kind, "verbs": resource.verbs,
        });
        names(&mut told, resource);
        resources.push(told);
        resources.extend(resource.subresources.iter().map(|sub| {
            let mut told = json!({
                "name": format!("{}/{}", resource.plural, sub.name), "singularName": "", "namespaced": sub.namespaced,
                "kind": sub.kind, "verbs": sub.verbs,
            });
            if !sub.version.is_empty() {
                told["group"] = json!(sub.group);
                told["version"] = json!(sub.version);
            }
            told
        }));
    }
    // The core group's lists have no version of their own, for the sake of clients of the first release.
    let group_version = if group.name.is_empty() { version.name.clone() } else { format!("{}/{}", group.name, version.name) };
    let mut list = json!({"kind": "APIResourceList", "groupVersion": group_version, "resources": resources});
    if !group.name.is_empty() {
        list["apiVersion"] = json!("v1");
    }
    list
}

fn names(told: &mut Value, resource: &Resource) {
    for (name, list) in [("shortNames", &resource.short_names), ("categories", &resource.categories)] {
        if !list.is_empty() {
            told[name] = json!(list);
        }
    }
}

/// A group in the aggregated form.
fn discovered(group: &Group) -> Value {
    let version = |version: &Version| {
        let resources: Vec<_> = version.resources.iter().map(|r| discovered_resource(r)).collect();
        json!({"version": version.name, "resources": resources, "freshness": "Current"})
    };
    let metadata = if group.name.is_empty() { json!({}) } else { json!({"name": group.name}) };
    json!({"metadata": metadata, "versions": group.versions.iter().map(version).collect::<Vec<_>>()})
}

fn discovered_resource(resource: &Resource) -> Value {
    // Where it is that of the list, upstream leaves the group version out, unless it tells of a custom resource.
    let own = match &resource.custom {
        Some(_) => (resource.group.as_str(), resource.version.as_str()),
        None => ("", ""),
    };
    let kind = |(group, version): (&str, &str), kind: &str| json!({"group": group, "version": version, "kind": kind});
    let mut told = json!({
        "resource": resource.plural, "singularResource": resource.singular, "verbs": resource.verbs,
        "scope": if resource.namespaced { "Namespaced" } else { "Cluster" },
        "responseKind": kind(own, &resource.kind),
    });
    names(&mut told, resource);
    let sub = |sub: &Subresource| {
        let of = if sub.version.is_empty() { own } else { (sub.group.as_str(), sub.version.as_str()) };
        json!({"subresource": sub.name, "responseKind": kind(of, &sub.kind), "verbs": sub.verbs})
    };
    if !resource.subresources.is_empty() {
        told["subresources"] = resource.subresources.iter().map(sub).collect();
    }
    told
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::{HeaderMap, HeaderValue, Method};

    use super::*;
    use crate::api::{Body, User};

    const KUBECTL: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,\
                           application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json";

    fn ask(path: &str, accept: &'static str) -> Option<(u16, String, Value)> {
        let mut headers = HeaderMap::new();
        headers.insert(http::header::ACCEPT, HeaderValue::from_static(accept));
        let query = String::new();
        let body = Bytes::new();
        let request = Request { user: User::anonymous(), method: Method::GET, path: path.to_owned(), query, headers, body };
        let custom = Group { name: "stable.example.com".to_owned(), versions: Vec::new() };
        let answer = answer(&request, [&custom].into_iter().chain(built_in()), "https://127.0.0.1:7443/kube/c1")?;
        let content_type = answer.headers[http::header::CONTENT_TYPE].to_str().unwrap().to_owned();
        let Body::Full(body) = answer.body else { return None };
        Some((answer.status, content_type, serde_json::from_slice(&body).unwrap()))
    }

    #[test]
    fn everything_can_be_asked_for_one_by_one() {
        let (_, _, api) = ask("/api", "application/json").unwrap();
        assert_eq!(api["serverAddressByClientCIDRs"][0]["serverAddress"], "127.0.0.1:7443");
        let (_, _, apis) = ask("/apis/", "").unwrap();
        let names: Vec<_> = apis["groups"].as_array().unwrap().iter().map(|g| g["name"].as_str().unwrap()).collect();
        assert_eq!(names[..3], ["apiregistration.k8s.io", "apps", "events.k8s.io"]);
        assert_eq!(names.last(), Some(&"stable.example.com"));
        let (_, _, group) = ask("/apis/autoscaling", "*/*").unwrap();
        assert_eq!(
            (&group["kind"], &group["preferredVersion"]["groupVersion"]),
            (&json!("APIGroup"), &json!("autoscaling/v2"))
        );
        let (_, _, core) = ask("/api/v1", "application/json").unwrap();
        let eviction = core["resources"].as_array().unwrap().iter().find(|r| r["name"] == "pods/eviction").unwrap();
        assert_eq!((&eviction["group"], &eviction["kind"]), (&json!("policy"), &json!("Eviction")));
        let (_, _, apps) = ask("/apis/apps/v1", "application/json").unwrap();
        assert_eq!((&apps["groupVersion"], &apps["apiVersion"]), (&json!("apps/v1"), &json!("v1")));
        for (path, accept, status) in [
            ("/apis/nothing", "", 404),
            ("/apis/apps/v2", "", 404),
            ("/api/v2", "", 404),
            ("/apis/apps/v1", "application/vnd.kubernetes.protobuf", 406),
            ("/api", "application/vnd.kubernetes.protobuf", 406),
        ] {
            assert_eq!(ask(path, accept).unwrap().0, status, "{path} {accept}");
        }
        assert!(ask("/apis/apps/v1/deployments", "").is_none() && ask("/version", "").is_none());
    }

    #[test]
    fn everything_can_be_asked_for_at_once() {
        let (_, content_type, document) = ask("/apis", KUBECTL).unwrap();
        assert_eq!(content_type, "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList");
        assert_eq!(document["apiVersion"], "apidiscovery.k8s.io/v2");
        let apps = document["items"].as_array().unwrap().iter().find(|g| g["metadata"]["name"] == "apps").unwrap();
        let deployments =
            apps["versions"][0]["resources"].as_array().unwrap().iter().find(|r| r["resource"] == "deployments").unwrap();
        assert_eq!(deployments["scope"], "Namespaced");
        assert_eq!(deployments["subresources"][0]["responseKind"]["group"], "autoscaling");
        let (_, _, core) = ask("/api", KUBECTL).unwrap();
        assert_eq!((core["items"].as_array().unwrap().len(), &core["items"][0]["metadata"]), (1, &json!({})));
        let (_, content_type, _) =
            ask("/api", "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList").unwrap();
        assert!(content_type.contains("v=v2beta1"), "{content_type}");
        let (_, content_type, list) = ask("/apis", "application/json;as=Table;v=v1;g=meta.k8s.io,application/json").unwrap();
        assert_eq!((content_type.as_str(), &list["kind"]), ("application/json", &json!("APIGroupList")));
    }
}
