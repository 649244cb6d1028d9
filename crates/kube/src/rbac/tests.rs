use serde_json::{Value, json};

use super::*;
use crate::bootstrap;
use crate::state::Txn;
use crate::world::World;

const API: &str = "rbac.authorization.k8s.io/v1";

fn txn() -> Txn {
    let world = World { id: "c1".to_owned(), service_subnet: "172.21.0.0/16".to_owned(), ..World::default() };
    Txn::new(State::begun(bootstrap::objects(&world)), world.created)
}

fn bind(txn: &mut Txn, namespace: &str, name: &str, role: (&str, &str), subject: Value) {
    let resource = if namespace.is_empty() { CLUSTER_ROLE_BINDINGS } else { ROLE_BINDINGS };
    let reference = json!({"apiGroup": GROUP, "kind": role.0, "name": role.1});
    txn.put(Key::new(resource, namespace, name), json!({"apiVersion": API, "roleRef": reference, "subjects": [subject]}));
}

fn role(txn: &mut Txn, namespace: &str, name: &str, rules: Value) {
    let resource = if namespace.is_empty() { CLUSTER_ROLES } else { ROLES };
    txn.put(Key::new(resource, namespace, name), json!({"apiVersion": API, "rules": rules}));
}

fn user(name: &str) -> User {
    User::new(name, "", [])
}

fn named(name: &str) -> Value {
    json!({"apiGroup": GROUP, "kind": "User", "name": name})
}

/// `verb resource[.group][/subresource] namespace[/name]`, with `-` for no namespace, or `verb /path`.
fn asked(question: &str) -> Attributes<'_> {
    let mut parts = question.split(' ');
    let (verb, what, place) = (parts.next().unwrap(), parts.next().unwrap(), parts.next().unwrap_or("-"));
    if what.starts_with('/') {
        return Attributes::of_path(verb, what);
    }
    let (resource, subresource) = what.split_once('/').unwrap_or((what, ""));
    let (resource, group) = resource.split_once('.').unwrap_or((resource, ""));
    let (namespace, name) = place.split_once('/').unwrap_or((place, ""));
    let namespace = if namespace == "-" { "" } else { namespace };
    Attributes { subresource, version: "v1", ..Attributes::of_resource(verb, group, resource, namespace, name) }
}

#[test]
fn the_roles_of_users_allow_what_kubernetes_documents() {
    let mut txn = txn();
    for role in ["view", "edit", "admin"] {
        bind(&mut txn, "dev", role, ("ClusterRole", role), named(role));
    }
    bind(&mut txn, "", "boss", ("ClusterRole", "cluster-admin"), named("cluster-admin"));
    let authorizer = Authorizer::of(txn.state());
    let roles = ["view", "edit", "admin", "cluster-admin"];
    // The question, and from which of the roles on it is answered with yes.
    let cases = [
        ("list pods dev", "view"),
        ("get pods/log dev/web", "view"),
        ("watch deployments.apps dev", "view"),
        ("get services dev/web", "view"),
        ("list horizontalpodautoscalers.autoscaling dev", "view"),
        ("get resourcequotas dev/q", "view"),
        ("get namespaces dev/dev", "view"),
        ("get /version", "view"),
        ("create selfsubjectaccessreviews.authorization.k8s.io", "view"),
        ("get secrets dev/s", "edit"),
        ("create deployments.apps dev", "edit"),
        ("patch deployments.apps/scale dev/web", "edit"),
        ("create pods/exec dev/web", "edit"),
        ("create pods/portforward dev/web", "edit"),
        ("create pods/eviction dev/web", "edit"),
        ("create serviceaccounts/token dev/default", "edit"),
        ("delete ingresses.networking.k8s.io dev/web", "edit"),
        ("impersonate serviceaccounts dev/default", "edit"),
        ("list rolebindings.rbac.authorization.k8s.io dev", "admin"),
        ("create roles.rbac.authorization.k8s.io dev", "admin"),
        ("create localsubjectaccessreviews.authorization.k8s.io dev", "admin"),
        ("update resourcequotas dev/q", "cluster-admin"),
        ("delete namespaces dev/dev", "cluster-admin"),
        ("list pods prod", "cluster-admin"),
        ("list pods", "cluster-admin"),
        ("list nodes", "cluster-admin"),
        ("create clusterroles.rbac.authorization.k8s.io", "cluster-admin"),
        ("impersonate users -/jane", "cluster-admin"),
        ("create widgets.example.com dev", "cluster-admin"),
        ("get /metrics", "cluster-admin"),
        ("post /anything", "cluster-admin"),
    ];
    for (question, from) in cases {
        let first = roles.iter().position(|role| *role == from).unwrap();
        for (rank, role) in roles.iter().enumerate() {
            let decision = authorizer.authorize(&user(role), &asked(question));
            assert_eq!(decision.allowed, rank >= first, "{role}: {question}: {decision:?}");
        }
    }
}

#[test]
fn rules_say_what_they_say() {
    let rule = |extra: Value| {
        let mut rule = json!({"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]});
        rule.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        rule
    };
    let cases = [
        (json!({}), "get pods dev/web", true),
        (json!({}), "get pods/status dev/web", false),
        (json!({}), "get pods.metrics.k8s.io dev/web", false),
        (json!({"resources": ["*"]}), "get pods/status dev/web", true),
        (json!({"resources": ["pods/*"]}), "get pods/status dev/web", false),
        (json!({"resources": ["pods/status"]}), "get pods dev/web", false),
        (json!({"resources": ["pods/status"]}), "get pods/status dev/web", true),
        (json!({"resources": ["*/scale"]}), "get replicationcontrollers/scale dev/web", true),
        (json!({"resources": ["*/scale"]}), "get replicationcontrollers dev/web", false),
        (json!({"apiGroups": ["*"]}), "get pods.metrics.k8s.io dev", true),
        (json!({"apiGroups": []}), "get pods dev", false),
        (json!({"verbs": ["*"]}), "deletecollection pods dev", true),
        (json!({"resourceNames": ["web"]}), "get pods dev/web", true),
        (json!({"resourceNames": ["web"]}), "get pods dev/other", false),
        (json!({"resourceNames": ["web"]}), "get pods dev", false),
        (json!({"resourceNames": []}), "get pods dev", true),
        (json!({"nonResourceURLs": ["/metrics"]}), "get /metrics", true),
        (json!({"nonResourceURLs": ["/metrics"]}), "get /metrics/cadvisor", false),
        (json!({"nonResourceURLs": ["/metrics/*"]}), "get /metrics/cadvisor", true),
        (json!({"nonResourceURLs": ["/metrics/*"]}), "get /metrics", false),
        (json!({"nonResourceURLs": ["*"]}), "get /", true),
        (json!({"nonResourceURLs": ["*"]}), "post /", false),
        (json!({"verbs": null, "resources": "pods"}), "get pods dev", false),
    ];
    for (extra, question, allowed) in cases {
        assert_eq!(rules::allows(&rule(extra.clone()), &asked(question)), allowed, "{extra}: {question}");
    }
}

#[test]
fn subjects_are_users_groups_and_service_accounts() {
    let mut txn = txn();
    role(&mut txn, "dev", "reader", json!([{"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]}]));
    let account = json!({"kind": "ServiceAccount", "name": "robot", "namespace": "ci"});
    bind(&mut txn, "dev", "one", ("Role", "reader"), account);
    bind(&mut txn, "dev", "two", ("Role", "reader"), json!({"apiGroup": GROUP, "kind": "Group", "name": "team"}));
    bind(&mut txn, "dev", "three", ("Role", "reader"), json!({"kind": "ServiceAccount", "name": "here"}));
    let authorizer = Authorizer::of(txn.state());
    let decide = |user: &User, question: &str| authorizer.authorize(user, &asked(question));
    let robot = decide(&user("system:serviceaccount:ci:robot"), "get pods dev/web");
    assert!(robot.allowed);
    assert_eq!(robot.reason, "RBAC: allowed by RoleBinding \"one/dev\" of Role \"reader\" to ServiceAccount \"robot/ci\"");
    assert!(decide(&User::new("a", "", ["team".to_owned()]), "get pods dev/web").allowed);
    assert!(decide(&user("system:serviceaccount:dev:here"), "get pods dev/web").allowed);
    assert!(!decide(&user("robot"), "get pods dev/web").allowed);
    assert!(!decide(&user("system:serviceaccount:ci:robot"), "get pods ci/web").allowed, "a role is of its namespace");
    assert!(decide(&User::new("a", "", [MASTERS.to_owned()]), "delete /").allowed, "masters need no role");
    assert!(decide(&User::anonymous(), "get /healthz").allowed);
    assert!(!decide(&User::anonymous(), "get /apis").allowed);
}

#[test]
fn refusals_are_worded_as_clients_know_them() {
    let mut txn = txn();
    bind(&mut txn, "dev", "lost", ("Role", "gone"), named("lost"));
    let authorizer = Authorizer::of(txn.state());
    let cases = [
        (
            "x",
            "list pods default",
            r#"pods is forbidden: User "x" cannot list resource "pods" in API group "" in the namespace "default""#,
        ),
        (
            "x",
            "list nodes",
            r#"nodes is forbidden: User "x" cannot list resource "nodes" in API group "" at the cluster scope"#,
        ),
        (
            "x",
            "update deployments.apps/scale dev/web",
            r#"deployments.apps "web" is forbidden: User "x" cannot update resource "deployments/scale" in API group "apps" in the namespace "dev""#,
        ),
        ("x", "get /x", r#"forbidden: User "x" cannot get path "/x""#),
        (
            "lost",
            "get pods dev/web",
            r#"pods "web" is forbidden: User "lost" cannot get resource "pods" in API group "" in the namespace "dev": RBAC: role.rbac.authorization.k8s.io "gone" not found"#,
        ),
    ];
    for (name, question, message) in cases {
        let refused = authorizer.require(&user(name), &asked(question)).unwrap_err();
        assert_eq!((refused.code, refused.message.as_str()), (403, message));
    }
}

#[test]
fn cluster_roles_gather_the_rules_of_others() {
    let mut txn = txn();
    let before = txn.state().revision();
    aggregate(&mut txn);
    assert_eq!(txn.state().revision(), before, "nothing was touched");
    let rule = json!({"verbs": ["get"], "apiGroups": ["example.com"], "resources": ["widgets"]});
    let key = Key::new(CLUSTER_ROLES, "", "widgets");
    let labels = json!({"rbac.authorization.k8s.io/aggregate-to-view": "true"});
    txn.put(key.clone(), json!({"apiVersion": API, "metadata": {"labels": labels}, "rules": [rule]}));
    aggregate(&mut txn);
    let has = |txn: &Txn, name: &str| array(txn.find(CLUSTER_ROLES, "", name).unwrap().content(), "/rules").contains(&rule);
    assert!(["view", "edit", "admin"].iter().all(|name| has(&txn, name)), "along the chain");
    let settled = txn.state().revision();
    aggregate(&mut txn);
    assert_eq!(txn.state().revision(), settled);
    txn.remove(&key);
    aggregate(&mut txn);
    assert!(!["view", "edit", "admin"].iter().any(|name| has(&txn, name)));
}

#[test]
fn nobody_grants_what_he_does_not_hold() {
    let mut txn = txn();
    bind(&mut txn, "dev", "admin", ("ClusterRole", "admin"), named("admin"));
    bind(&mut txn, "", "boss", ("ClusterRole", "cluster-admin"), named("boss"));
    role(
        &mut txn,
        "",
        "binder",
        json!([
            {"verbs": ["bind"], "apiGroups": [GROUP], "resources": ["clusterroles"], "resourceNames": ["cluster-admin"]},
            {"verbs": ["escalate"], "apiGroups": [GROUP], "resources": ["roles"]},
        ]),
    );
    bind(&mut txn, "", "binder", ("ClusterRole", "binder"), named("binder"));
    let authorizer = Authorizer::of(txn.state());
    let check = |name: &str, resource: &str, new: Value| {
        let namespace = if resource.starts_with("cluster") { "" } else { "dev" };
        check_escalation(&authorizer, txn.state(), &user(name), resource, namespace, &new).map_err(|status| status.message)
    };
    let role = |verbs: Value, resource: &str| json!({"metadata": {"name": "r"}, "rules": [{"verbs": verbs, "apiGroups": [""], "resources": [resource]}]});
    let binding = |kind: &str, name: &str| json!({"metadata": {"name": "b"}, "roleRef": {"kind": kind, "name": name}});
    let cases = [
        ("admin", "roles", role(json!(["get", "delete"]), "pods"), true),
        ("admin", "roles", role(json!(["*"]), "pods"), false),
        ("admin", "roles", role(json!(["get"]), "nodes"), false),
        ("admin", "clusterroles", role(json!(["get"]), "pods"), false),
        ("boss", "roles", role(json!(["*"]), "*"), true),
        ("boss", "clusterroles", json!({"metadata": {"name": "r"}, "aggregationRule": {"clusterRoleSelectors": []}}), true),
        ("binder", "roles", role(json!(["*"]), "*"), true),
        ("binder", "clusterroles", role(json!(["*"]), "*"), false),
        ("binder", "clusterrolebindings", binding("ClusterRole", "cluster-admin"), true),
        ("binder", "rolebindings", binding("ClusterRole", "cluster-admin"), true),
        ("binder", "clusterrolebindings", binding("ClusterRole", "view"), false),
        ("admin", "rolebindings", binding("ClusterRole", "edit"), true),
        ("admin", "rolebindings", binding("ClusterRole", "cluster-admin"), false),
        ("admin", "rolebindings", binding("Role", "absent"), false),
    ];
    for (name, resource, new, allowed) in cases {
        let checked = check(name, resource, new.clone());
        assert_eq!(checked.is_ok(), allowed, "{name} {resource} {new}: {checked:?}");
    }
    assert_eq!(
        check("admin", "roles", role(json!(["get", "list"]), "nodes")).unwrap_err(),
        "roles.rbac.authorization.k8s.io \"r\" is forbidden: user \"admin\" (groups=[\"system:authenticated\"]) is attempting to grant \
         RBAC permissions not currently held:\n{APIGroups:[\"\"], Resources:[\"nodes\"], Verbs:[\"get\" \"list\"]}"
    );
    assert_eq!(
        check("admin", "rolebindings", binding("ClusterRole", "absent")).unwrap_err(),
        "clusterrole.rbac.authorization.k8s.io \"absent\" not found"
    );
    let gathering = json!({"metadata": {"name": "r"}, "aggregationRule": {"clusterRoleSelectors": [{}]}});
    assert_eq!(
        check("admin", "clusterroles", gathering).unwrap_err(),
        "clusterroles.rbac.authorization.k8s.io \"r\" is forbidden: must have cluster-admin privileges to use the aggregationRule"
    );
    let many: Vec<String> = (0..1000).map(|n| n.to_string()).collect();
    let huge = json!({"metadata": {"name": "r"}, "rules": [{"verbs": many, "apiGroups": many, "resources": many}]});
    assert!(check("admin", "roles", huge).unwrap_err().contains("too many rules"));
}

#[test]
fn users_are_told_their_rules() {
    let mut txn = txn();
    bind(&mut txn, "dev", "view", ("ClusterRole", "view"), named("v"));
    let status = |name: &str, namespace: &str| Authorizer::of(txn.state()).rules_status(&user(name), namespace);
    let has_pods = |status: &Value| {
        array(status, "/resourceRules").iter().any(|rule| array(rule, "/resources").contains(&json!("pods/log")))
    };
    assert!(has_pods(&status("v", "dev")) && !has_pods(&status("v", "prod")));
    assert!(array(&status("v", "dev"), "/nonResourceRules").iter().any(|r| r["nonResourceURLs"][0] == "/api"));
    assert_eq!(status("v", "dev")["incomplete"], json!(false));
}

#[test]
fn users_act_for_others_as_far_as_they_may() {
    let mut txn = txn();
    role(
        &mut txn,
        "",
        "actor",
        json!([
            {"verbs": ["impersonate"], "apiGroups": [""], "resources": ["users"], "resourceNames": ["jane", "zo\u{eb}"]},
            {"verbs": ["impersonate"], "apiGroups": [""], "resources": ["groups"], "resourceNames": ["team"]},
            {"verbs": ["impersonate"], "apiGroups": ["authentication.k8s.io"], "resources": ["userextras/scopes/x"]},
        ]),
    );
    bind(&mut txn, "", "actor", ("ClusterRole", "actor"), named("actor"));
    bind(&mut txn, "dev", "edit", ("ClusterRole", "edit"), named("actor"));
    let authorizer = Authorizer::of(txn.state());
    let ask = |headers: &[(&'static str, &'static str)]| {
        let mut map = http::HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, http::HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        impersonated(&authorizer, &user("actor"), &map)
    };
    assert_eq!(ask(&[]).unwrap(), None);
    let jane = ask(&[("impersonate-user", "jane"), ("impersonate-group", "team"), ("impersonate-extra-scopes%2Fx", "view")]);
    let jane = jane.unwrap().unwrap();
    assert_eq!((jane.name.as_str(), &*jane.groups), ("jane", &["team".to_owned(), "system:authenticated".to_owned()][..]));
    assert_eq!(jane.extra["scopes/x"], ["view"]);
    let zoe = ask(&[("impersonate-user", "zo\u{eb}"), ("impersonate-extra-scopes%2Fx", "\u{fc}")]).unwrap().unwrap();
    assert_eq!((zoe.name.as_str(), zoe.extra["scopes/x"][0].as_str()), ("zo\u{eb}", "\u{fc}"));
    for name in ["impersonate-user", "impersonate-uid", "impersonate-group", "impersonate-extra-scopes"] {
        let mut map = http::HeaderMap::new();
        map.append("impersonate-user", http::HeaderValue::from_static("jane"));
        map.append(name, http::HeaderValue::from_bytes(b"\xff").unwrap());
        let refused = impersonated(&authorizer, &user("actor"), &map).unwrap_err();
        assert_eq!((refused.code, refused.message), (400, format!("the header {name} cannot be read as UTF-8")));
    }
    let robot = ask(&[("impersonate-user", "system:serviceaccount:dev:robot")]).unwrap().unwrap();
    assert!(robot.is_in("system:serviceaccounts:dev") && robot.is_in("system:authenticated"));
    let refused = [
        (
            &[("impersonate-user", "joe")][..],
            403,
            "users \"joe\" is forbidden: User \"actor\" cannot impersonate resource \"users\"",
        ),
        (
            &[("impersonate-user", "jane"), ("impersonate-group", "system:masters")],
            403,
            "groups \"system:masters\" is forbidden",
        ),
        (&[("impersonate-user", "system:serviceaccount:prod:robot")], 403, "in the namespace \"prod\""),
        (&[("impersonate-user", "jane"), ("impersonate-uid", "7")], 403, "uids.authentication.k8s.io \"7\" is forbidden"),
        (&[("impersonate-group", "team")], 400, "without a user"),
    ];
    for (headers, code, message) in refused {
        let status = ask(headers).unwrap_err();
        assert_eq!(status.code, code);
        assert!(status.message.contains(message), "{}", status.message);
    }
}
