//! Routes: stored like any other object; the router gives them a host and says whether it serves them.

use serde_json::{Value, json};

use crate::object::{Object, array, member, text, time};
use crate::state::Txn;
use crate::status::Cause;
use crate::world::World;

/// The resource under which routes are kept.
pub const ROUTES: &str = "routes.route.openshift.io";
const TERMINATIONS: [&str; 3] = ["edge", "passthrough", "reencrypt"];

/// What is wrong with a route.
#[must_use]
pub fn route_validate(route: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    if text(route, "/spec/to/name").is_empty() {
        causes.push(Cause::required("spec.to.name", ""));
    }
    let kind = text(route, "/spec/to/kind");
    if !matches!(kind, "" | "Service") {
        causes.push(Cause::invalid("spec.to.kind", &json!(kind), "must reference a Service"));
    }
    let path = text(route, "/spec/path");
    if !path.is_empty() && !path.starts_with('/') {
        causes.push(Cause::invalid("spec.path", &json!(path), "path must begin with /"));
    }
    let termination = text(route, "/spec/tls/termination");
    if route.pointer("/spec/tls").is_some_and(Value::is_object) && !TERMINATIONS.contains(&termination) {
        causes.push(Cause::unsupported("spec.tls.termination", &json!(termination), &TERMINATIONS));
    }
    if termination == "passthrough" && !path.is_empty() {
        causes.push(Cause::invalid("spec.path", &json!(path), "passthrough termination does not support paths"));
    }
    if array(route, "/spec/alternateBackends").len() > 3 {
        let given = route.pointer("/spec/alternateBackends").cloned().unwrap_or_default();
        causes.push(Cause::invalid("spec.alternateBackends", &given, "cannot specify more than 3 alternate backends"));
    }
    causes
}

/// Fills in what the API fills in, and what the router says of the route. To be called when one is created or changed, once its name and
/// namespace are settled and before it is written.
pub fn route_admit(txn: &Txn, world: &World, route: &mut Value) {
    let (name, namespace) = (text(route, "/metadata/name").to_owned(), text(route, "/metadata/namespace").to_owned());
    if !route.get("spec").is_some_and(Value::is_object) {
        return;
    }
    let spec = member(route, "spec");
    spec.entry("wildcardPolicy").or_insert_with(|| json!("None"));
    if spec.get("host").and_then(Value::as_str).is_none_or(str::is_empty) && !world.ingress_hostname.is_empty() {
        let subdomain = spec.get("subdomain").and_then(Value::as_str).filter(|s| !s.is_empty()).map(str::to_owned);
        let label = subdomain.unwrap_or_else(|| format!("{name}-{namespace}"));
        spec.insert("host".to_owned(), json!(format!("{label}.{}", world.ingress_hostname)));
        member(route, "metadata/annotations").insert("openshift.io/host.generated".to_owned(), json!("true"));
    }
    let to = member(route, "spec/to");
    to.entry("kind").or_insert_with(|| json!("Service"));
    to.entry("weight").or_insert_with(|| json!(100));
    let host = text(route, "/spec/host").to_owned();
    if host.is_empty() {
        return;
    }
    let admitted = ingress(txn, world, route, &host, &namespace, &name);
    member(route, "status").insert("ingress".to_owned(), json!([admitted]));
}

/// What the router says: that it serves the route, or that another namespace has its host.
fn ingress(txn: &Txn, world: &World, route: &Value, host: &str, namespace: &str, name: &str) -> Value {
    let path = text(route, "/spec/path");
    let other = txn.list(ROUTES, None).into_iter().find(|other| claims(other, host, path, namespace, name));
    let condition = match &other {
        None => json!({ "type": "Admitted", "status": "True" }),
        Some(other) => json!({
            "type": "Admitted", "status": "False", "reason": "HostAlreadyClaimed",
            "message": format!("route {} already exposes {host} and is older", other.key.name),
        }),
    };
    // A condition is as old as its status.
    let before = array(route, "/status/ingress").first().and_then(|ingress| ingress.pointer("/conditions/0"));
    let same = before.filter(|before| before["status"] == condition["status"]);
    let since = same.and_then(|before| before["lastTransitionTime"].as_str()).map_or_else(|| time(txn.now()), str::to_owned);
    let mut condition = condition;
    condition["lastTransitionTime"] = json!(since);
    json!({
        "host": host, "routerName": "default", "wildcardPolicy": "None", "conditions": [condition],
        "routerCanonicalHostname": format!("router-default.{}", world.ingress_hostname),
    })
}

/// Whether another route has a host and is served: one of another namespace, or in the same one for the same path.
fn claims(other: &Object, host: &str, path: &str, namespace: &str, name: &str) -> bool {
    let value = other.content();
    let foreign = &*other.key.namespace != namespace;
    let itself = !foreign && &*other.key.name == name;
    let serves = text(value, "/status/ingress/0/conditions/0/status") == "True";
    serves && !itself && text(value, "/spec/host") == host && (foreign || text(value, "/spec/path") == path)
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::super::tests::world;
    use super::*;
    use crate::object::Key;
    use crate::state::State;

    fn route(namespace: &str, name: &str, host: &str) -> Value {
        json!({ "metadata": { "name": name, "namespace": namespace }, "spec": { "host": host, "to": { "name": "web" } } })
    }

    fn put(txn: &mut Txn, mut value: Value) -> Value {
        route_admit(txn, &world(), &mut value);
        let key = Key::new(ROUTES, text(&value, "/metadata/namespace"), text(&value, "/metadata/name"));
        txn.put(key, value).value().into_owned()
    }

    #[test]
    fn a_route_gets_a_host_below_the_domain_of_the_cluster_and_is_admitted() {
        let mut txn = Txn::new(State::default(), Timestamp::UNIX_EPOCH);
        let made = put(&mut txn, route("shop", "web", ""));
        assert_eq!(made["spec"]["host"], "web-shop.mine.us-south.containers.appdomain.cloud");
        assert_eq!(made["spec"]["to"], json!({ "kind": "Service", "name": "web", "weight": 100 }));
        assert_eq!(made["status"]["ingress"][0]["conditions"][0]["status"], "True");
        let again = put(&mut txn, made.clone());
        assert_eq!(again, made, "what is admitted stays as it is");
    }

    #[test]
    fn a_host_belongs_to_the_namespace_that_had_it_first() {
        let mut txn = Txn::new(State::default(), Timestamp::UNIX_EPOCH);
        put(&mut txn, route("one", "web", "www.example.com"));
        let late = put(&mut txn, route("two", "web", "www.example.com"));
        assert_eq!(late["status"]["ingress"][0]["conditions"][0]["reason"], "HostAlreadyClaimed");
        let mut beside = route("one", "api", "www.example.com");
        beside["spec"]["path"] = json!("/api");
        assert_eq!(put(&mut txn, beside)["status"]["ingress"][0]["conditions"][0]["status"], "True");
    }

    #[test]
    fn what_cannot_be_served_is_refused() {
        let fields = |route: Value| route_validate(&route).into_iter().map(|cause| cause.field).collect::<Vec<_>>();
        assert!(fields(route("a", "b", "")).is_empty());
        assert_eq!(fields(json!({})), ["spec.to.name"]);
        let cases = [
            (json!({ "to": { "name": "web", "kind": "Pod" } }), "spec.to.kind"),
            (json!({ "to": { "name": "web" }, "path": "api" }), "spec.path"),
            (json!({ "to": { "name": "web" }, "tls": {} }), "spec.tls.termination"),
            (json!({ "to": { "name": "web" }, "path": "/a", "tls": { "termination": "passthrough" } }), "spec.path"),
        ];
        for (spec, field) in cases {
            assert_eq!(fields(json!({ "spec": spec })), [field], "{field}");
        }
    }
}
