use boatyard_store::access::Grants;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Resource, Rights};

const READ: &str = "containers-kubernetes.cluster.read";
const CREATE: &str = "containers-kubernetes.cluster.create";
const OPERATE: &str = "containers-kubernetes.cluster.operate";
const VIEWER: &str = "crn:v1:bluemix:public:iam::::role:Viewer";
const ADMINISTRATOR: &str = "crn:v1:bluemix:public:iam::::role:Administrator";

fn policy(role: &str, attributes: &[(&str, &str)]) -> Value {
    let attributes: Vec<_> =
        attributes.iter().map(|(key, value)| json!({"key": key, "operator": "stringEquals", "value": value})).collect();
    json!({"type": "access", "resource": {"attributes": attributes}, "control": {"grant": {"roles": [{"role_id": role}]}}})
}

fn rights(policies: &[Value]) -> Rights {
    Rights::compile(&Grants { policies: policies.iter().map(Value::to_string).collect(), ..Grants::default() })
}

fn cluster() -> Resource<'static> {
    Resource::clusters("acc", "us-south", "group").instance("cluster")
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

#[test]
fn a_policy_reaches_what_its_attributes_describe_and_nothing_else() {
    let now = at("2026-11-24T10:00:00Z");
    let service = ("serviceName", "containers-kubernetes");
    type Case<'a> = (&'a str, &'a [(&'a str, &'a str)], bool);
    let cases: [Case<'_>; 12] = [
        ("the service", &[("accountId", "acc"), service], true),
        ("another account", &[("accountId", "other"), service], false),
        ("all services that things are made with", &[("accountId", "acc")], true),
        ("the same by type", &[("serviceType", "service")], true),
        ("services of the account itself", &[("serviceType", "platform_service")], false),
        ("another service", &[("serviceName", "iam-identity")], false),
        ("its resource group", &[service, ("resourceGroupId", "group")], true),
        ("another resource group", &[service, ("resourceGroupId", "other")], false),
        ("its region", &[service, ("region", "us-south")], true),
        ("another region", &[service, ("region", "eu-de")], false),
        ("the cluster", &[service, ("serviceInstance", "cluster")], true),
        ("a namespace of the cluster", &[service, ("serviceInstance", "cluster"), ("namespace", "default")], false),
    ];
    for (what, attributes, expected) in cases {
        let rights = rights(&[policy(VIEWER, attributes)]);
        assert_eq!(rights.allow(READ, &cluster(), now), expected, "{what}");
        assert!(!rights.allow(CREATE, &cluster(), now), "{what}: Viewer does not create");
    }
}

#[test]
fn a_right_on_one_cluster_is_a_right_somewhere_but_not_on_the_account() {
    let now = at("2026-11-24T10:00:00Z");
    let rights = rights(&[policy(ADMINISTRATOR, &[("serviceName", "containers-kubernetes"), ("serviceInstance", "cluster")])]);
    assert!(rights.allow_somewhere(OPERATE, "containers-kubernetes", now));
    assert!(rights.allow(OPERATE, &cluster(), now));
    assert!(!rights.allow(OPERATE, &Resource::service("acc", "containers-kubernetes"), now));
    assert!(!rights.allow(OPERATE, &Resource::clusters("acc", "us-south", "group"), now));
    assert!(!rights.allow_somewhere("iam-identity.serviceid.get", "iam-identity", now));
}

#[test]
fn a_right_somewhere_is_one_while_any_policy_holds() {
    let service = ("serviceName", "containers-kubernetes");
    let until = |end: &str, region: &str| {
        let mut policy = policy(VIEWER, &[service, ("region", region)]);
        policy["rule"] =
            json!({"key": "{{environment.attributes.current_date_time}}", "operator": "dateTimeLessThan", "value": end});
        policy
    };
    let (early, late) = (until("2026-12-01T00:00:00Z", "eu-de"), until("2027-01-01T00:00:00Z", "us-south"));
    let always = policy(VIEWER, &[service, ("region", "eu-gb")]);
    let cases: [(&[Value], [bool; 3]); 4] = [
        (&[early.clone(), late.clone()], [true, true, false]),
        (&[early.clone(), always.clone()], [true, true, true]),
        (&[always, early, late], [true, true, true]),
        (&[], [false, false, false]),
    ];
    for (policies, expected) in cases {
        let rights = rights(policies);
        let times = ["2026-11-24T00:00:00Z", "2026-12-24T00:00:00Z", "2027-01-24T00:00:00Z"];
        let found = times.map(|now| rights.allow_somewhere(READ, "containers-kubernetes", at(now)));
        assert_eq!(found, expected, "{policies:?}");
        assert!(!rights.allow_somewhere(CREATE, "containers-kubernetes", at(times[0])));
        assert!(!rights.allow_somewhere(READ, "iam-identity", at(times[0])));
    }
}

#[test]
fn a_policy_with_anything_unknown_gives_nothing() {
    let now = at("2026-11-24T10:00:00Z");
    let mut operator = policy(VIEWER, &[("serviceName", "containers-kubernetes")]);
    operator["resource"]["attributes"][0]["operator"] = json!("stringSomething");
    let mut tags = policy(VIEWER, &[("serviceName", "containers-kubernetes")]);
    tags["resource"]["tags"] = json!([{"key": "env", "operator": "stringEquals", "value": "dev"}]);
    let mut rule = policy(VIEWER, &[("serviceName", "containers-kubernetes")]);
    rule["rule"] = json!({"key": "{{environment.attributes.weather}}", "operator": "stringEquals", "value": "rain"});
    let unknown = [
        operator,
        tags,
        rule,
        policy(VIEWER, &[("colour", "blue")]),
        policy("crn:v1:bluemix:public:iam::::role:Emperor", &[("serviceName", "containers-kubernetes")]),
        json!({"control": 1}),
    ];
    for policy in unknown {
        assert!(!rights(std::slice::from_ref(&policy)).allow(READ, &cluster(), now), "{policy}");
    }
}

#[test]
fn conditions_are_asked_at_the_time_of_the_request() {
    let mut weekdays = policy(VIEWER, &[("serviceName", "containers-kubernetes")]);
    weekdays["rule"] = json!({"operator": "and", "conditions": [
        {"key": "{{environment.attributes.day_of_week}}", "operator": "dayOfWeekAnyOf", "value": ["1+00:00", "2+00:00"]},
        {"key": "{{environment.attributes.current_time}}", "operator": "timeGreaterThanOrEquals", "value": "09:00:00+02:00"},
        {"key": "{{environment.attributes.current_time}}", "operator": "timeLessThanOrEquals", "value": "17:00:00+02:00"},
    ]});
    let weekdays = rights(&[weekdays]);
    // 24 November 2026 is a Tuesday.
    for (now, expected) in [
        ("2026-11-24T07:00:00Z", true),
        ("2026-11-24T06:59:59Z", false),
        ("2026-11-24T15:00:00Z", true),
        ("2026-11-24T15:00:01Z", false),
        ("2026-11-25T10:00:00Z", false),
    ] {
        assert_eq!(weekdays.allow(READ, &cluster(), at(now)), expected, "{now}");
    }
    let mut once = policy(VIEWER, &[("serviceName", "containers-kubernetes")]);
    once["rule"] = json!({"key": "{{environment.attributes.current_date_time}}", "operator": "dateTimeLessThan", "value": "2026-12-01T00:00:00Z"});
    let once = rights(&[once]);
    assert!(once.allow(READ, &cluster(), at("2026-11-30T23:59:59Z")));
    assert!(!once.allow(READ, &cluster(), at("2026-12-01T00:00:00Z")));
}

#[test]
fn what_must_be_absent_does_not_make_a_right_on_everything() {
    let now = Timestamp::UNIX_EPOCH;
    let mut absent = policy(ADMINISTRATOR, &[("serviceName", "containers-kubernetes"), ("serviceInstance", "")]);
    absent["resource"]["attributes"][1] = json!({"key": "serviceInstance", "operator": "stringExists", "value": false});
    let rights = rights(&[absent]);
    assert!(!rights.allow(CREATE, &Resource::service("acc", "containers-kubernetes"), now));
    assert!(!rights.allow(CREATE, &cluster(), now));
    assert!(rights.allow(CREATE, &Resource::clusters("acc", "us-south", "group"), now), "a cluster to be has no ID yet");
}

#[test]
fn an_offset_that_is_none_makes_a_condition_that_never_holds() {
    for day in ["1+999999999:00", "1+-5:00", "1+5:00", "1+05:60", "1", "8+00:00"] {
        let mut odd = policy(VIEWER, &[("serviceName", "containers-kubernetes")]);
        odd["rule"] = json!({"key": "{{environment.attributes.day_of_week}}", "operator": "dayOfWeekAnyOf", "value": [day]});
        assert!(!rights(&[odd]).allow(READ, &cluster(), at("2026-11-23T10:00:00Z")), "{day}");
    }
}

#[test]
fn a_custom_role_gives_its_actions() {
    let crn = "crn:v1:bluemix:public:iam-access-management::a/acc::customRole:Operatorish";
    let document = policy(crn, &[("serviceName", "containers-kubernetes")]).to_string();
    let custom_roles = vec![("Operatorish".to_owned(), "containers-kubernetes".to_owned(), json!([READ, OPERATE]).to_string())];
    let rights = Rights::compile(&Grants { owner: false, policies: vec![document], custom_roles });
    let now = Timestamp::UNIX_EPOCH;
    assert!(
        rights.allow(READ, &cluster(), now) && rights.allow(OPERATE, &cluster(), now) && !rights.allow(CREATE, &cluster(), now)
    );
}
