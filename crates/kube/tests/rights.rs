//! What is made by itself in a cluster is of its type, and rights are never more than what was given.

use boatyard_kube::rbac::{self, Attributes, Authorizer};
use boatyard_kube::types::{Type, definitions};
use boatyard_kube::world::{Grant, Machine, Subject};
use boatyard_kube::{Key, Object, State, Txn, User, World, accounts, bootstrap, grants, nodes, reviews};
use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::{Value, json};

fn world(provider: &str, openshift: bool) -> World {
    World {
        id: "c1a2b3c4d5e6f7g8h9i0".to_owned(),
        name: "mycluster".to_owned(),
        account_id: "a1".to_owned(),
        region: "us-south".to_owned(),
        provider: provider.to_owned(),
        version: "1.36.3".to_owned(),
        openshift: openshift.then(|| "4.21.27".to_owned()),
        service_subnet: "172.21.0.0/16".to_owned(),
        ca_pem: "PEM".to_owned(),
        ..World::default()
    }
}

/// Members that the type does not know, and values of another type.
fn misfits(value: &Value, of: &Type, path: &str, found: &mut Vec<String>) {
    let of = of.resolved();
    let fits = match of.kind.as_str() {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string() || (of.is_int_or_string() && value.is_i64()),
        "integer" => value.is_i64(),
        "boolean" => value.is_boolean(),
        _ => true,
    };
    if !fits {
        found.push(format!("{path} is no {}", of.kind));
    }
    match value {
        Value::Object(members) if !of.is_open() => {
            found.extend(
                of.required.iter().filter(|name| !members.contains_key(*name)).map(|name| format!("{path}.{name} is missing")),
            );
            for (name, value) in members {
                match of.property(name) {
                    Some(of) => misfits(value, of, &format!("{path}.{name}"), found),
                    None => found.push(format!("{path}.{name} is not known")),
                }
            }
        }
        Value::Array(items) => {
            for item in items {
                of.items.iter().for_each(|of| misfits(item, of, &format!("{path}[]"), found));
            }
        }
        _ => {}
    }
}

fn assert_fits(value: &Value, what: &str) {
    let api_version = value["apiVersion"].as_str().unwrap_or_default();
    let (group, version) = api_version.rsplit_once('/').unwrap_or(("", api_version));
    let kind = value["kind"].as_str().unwrap_or_default();
    let of = definitions().of_kind(group, version, kind).unwrap_or_else(|| panic!("{what}: {api_version} {kind} is defined"));
    let mut found = Vec::new();
    misfits(value, of, kind, &mut found);
    assert!(found.is_empty(), "{what}: {found:?}");
}

#[test]
fn what_is_made_by_itself_is_of_its_type() {
    for (provider, openshift) in [("classic", false), ("classic", true), ("vpc-gen2", false), ("vpc-gen2", true)] {
        let world = world(provider, openshift);
        let mut txn = Txn::new(State::begun(bootstrap::objects(&world)), Timestamp::UNIX_EPOCH);
        let machine = Machine {
            address: "10.0.0.1".to_owned(),
            worker_id: "w1".to_owned(),
            public_address: "169.1.2.3".to_owned(),
            labels: [("team".to_owned(), "a".to_owned())].into(),
            taints: [("gpu".to_owned(), "yes:NoSchedule".to_owned())].into(),
            cpus: 2,
            memory_bytes: 4 << 30,
            ..Machine::default()
        };
        nodes::reconcile(&mut txn, &[machine], &world);
        let grant = |cluster_role: &str, binding: &str| Grant {
            subject: Subject::User("IAM#a@example.com".to_owned()),
            cluster_role: cluster_role.to_owned(),
            binding: binding.to_owned(),
            namespace: None,
        };
        grants::reconcile(
            &mut txn,
            &[
                grant("cluster-admin", "ibm-admin"),
                Grant { subject: Subject::Group("team".to_owned()), ..grant("view", "ibm-view") },
            ],
        );
        for object in txn.state().all() {
            assert_fits(&object.value(), &object.key.to_string());
        }
        let who = User::new("a", "1", []);
        let authorizer = Authorizer::of(txn.state());
        let spec = json!({"spec": {"namespace": "default", "resourceAttributes": {"verb": "get", "resource": "pods"}}});
        for (kind, body) in [
            ("SelfSubjectAccessReview", json!({"spec": {"resourceAttributes": spec["spec"]["resourceAttributes"]}})),
            ("SelfSubjectRulesReview", json!({"spec": {"namespace": "default"}})),
            ("SelfSubjectReview", json!({})),
        ] {
            assert_fits(&reviews::answer(kind, &body, &who, &authorizer, "").unwrap(), kind);
        }
        assert_fits(&reviews::answer_token(&json!({"spec": {"token": "t"}}), Some((&who, &[]))), "TokenReview");
        let issued =
            accounts::issue(txn.state(), &world.id, b"secret", ("default", "default"), &json!({}), Timestamp::UNIX_EPOCH);
        assert_fits(&issued.unwrap(), "TokenRequest");
    }
}

const VERBS: [&str; 4] = ["get", "list", "delete", "*"];
const GROUPS: [&str; 3] = ["", "apps", "*"];
const RESOURCES: [&str; 6] = ["pods", "pods/log", "deployments", "*/scale", "deployments/scale", "*"];
const NAMES: [&str; 2] = ["a", "b"];
const PATHS: [&str; 5] = ["/", "/metrics", "/metrics/*", "/api/*", "*"];

fn some(of: &'static [&'static str]) -> impl Strategy<Value = Vec<&'static str>> {
    prop::sample::subsequence(of, 0..=2.min(of.len()))
}

fn rule() -> impl Strategy<Value = Value> {
    let of_resources = (some(&VERBS), some(&GROUPS), some(&RESOURCES), some(&NAMES)).prop_map(|(verbs, groups, resources, names)| {
        json!({"verbs": verbs, "apiGroups": groups, "resources": resources, "resourceNames": names})
    });
    let of_paths = (some(&VERBS), some(&PATHS)).prop_map(|(verbs, paths)| json!({"verbs": verbs, "nonResourceURLs": paths}));
    prop_oneof![3 => of_resources, 1 => of_paths]
}

fn rules() -> impl Strategy<Value = Vec<Value>> {
    prop::collection::vec(rule(), 0..4)
}

/// Every question that the rules above could answer differently.
fn questions() -> Vec<Attributes<'static>> {
    let mut all = Vec::new();
    for verb in ["get", "list", "delete", "patch"] {
        for group in ["", "apps", "batch"] {
            for resource in ["pods", "deployments", "jobs"] {
                for (subresource, name) in [("", ""), ("", "a"), ("", "c"), ("log", "a"), ("scale", "a"), ("status", "b")] {
                    all.push(Attributes { subresource, ..Attributes::of_resource(verb, group, resource, "", name) });
                }
            }
        }
        all.extend(["/", "/metrics", "/metrics/x", "/api/v1", "/x"].map(|path| Attributes::of_path(verb, path)));
    }
    all
}

/// A cluster in which `user` holds a role with `rules`.
fn holding(user: &str, rules: &[Value]) -> State {
    let role = json!({"rules": rules});
    let binding = json!({"roleRef": {"kind": "ClusterRole", "name": "r"}, "subjects": [{"kind": "User", "name": user}]});
    let object = |resource: &str, value: Value| Object::new(Key::new(resource, "", "r"), 1, value);
    State::begun([
        object("clusterroles.rbac.authorization.k8s.io", role),
        object("clusterrolebindings.rbac.authorization.k8s.io", binding),
    ])
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn who_may_grant_rules_could_do_all_that_they_allow(held in rules(), wanted in rules()) {
        let user = User::new("giver", "", []);
        let state = holding("giver", &held);
        let authorizer = Authorizer::of(&state);
        let new = json!({"metadata": {"name": "new"}, "rules": wanted});
        let escalate = Attributes::of_resource("escalate", rbac::GROUP, "clusterroles", "", "new");
        prop_assume!(!authorizer.authorize(&user, &escalate).allowed);
        if rbac::check_escalation(&authorizer, &state, &user, "clusterroles", "", &new).is_ok() {
            let given = Authorizer::of(&holding("giver", &wanted));
            for question in questions() {
                if given.authorize(&user, &question).allowed {
                    prop_assert!(authorizer.authorize(&user, &question).allowed, "{question:?}");
                }
            }
        }
    }

    #[test]
    fn who_holds_rules_may_grant_them(held in rules()) {
        let state = holding("giver", &held);
        let new = json!({"metadata": {"name": "new"}, "rules": held});
        let checked =
            rbac::check_escalation(&Authorizer::of(&state), &state, &User::new("giver", "", []), "clusterroles", "", &new);
        prop_assert!(checked.is_ok(), "{checked:?}");
    }

    #[test]
    fn texts_that_were_not_issued_are_no_tokens(text in "[ -~]{0,80}|[A-Za-z0-9_-]{0,40}\\.[A-Za-z0-9_-]{0,40}\\.[A-Za-z0-9_-]{0,44}") {
        let state = State::begun(bootstrap::objects(&world("classic", false)));
        prop_assert_eq!(accounts::verify(&state, "c1", b"secret", &text, Timestamp::UNIX_EPOCH), None);
    }
}
