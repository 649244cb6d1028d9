//! What a policy must look like to be taken. Whatever is taken can be decided on; what nothing here could decide on is refused, so
//! that nobody relies on it.

use std::collections::BTreeSet;

use serde_json::Value;

use super::document::{Attribute, Document, EQUALS};
use crate::access_error::{AccessError, Result};
use crate::{access, roles};

/// The longest value of an attribute, in characters.
const LONGEST_VALUE: usize = 1000;
/// The longest description, in characters.
const LONGEST_DESCRIPTION: usize = 300;
/// Most attributes, tags or roles of one policy.
const MOST: usize = 50;

/// What an access policy must name besides the account.
const TARGETS: [&str; 5] = ["serviceName", "serviceType", "service_group_id", "resourceGroupId", "resourceType"];
const PATTERNS: [&str; 4] = [
    "time-based-conditions:once",
    "time-based-conditions:weekly",
    "time-based-conditions:weekly:all-day",
    "time-based-conditions:weekly:custom-hours",
];
const RESOURCE_OPERATORS: [&str; 5] = [EQUALS, "stringExists", "stringMatch", "stringEqualsAnyOf", "stringMatchAnyOf"];
const TAG_OPERATORS: [&str; 2] = [EQUALS, "stringMatch"];
/// Attributes by which a service is the subject of an authorization.
const SOURCE_KEYS: [&str; 7] =
    ["accountId", "serviceName", "serviceInstance", "region", "resourceType", "resource", "resourceGroupId"];

/// Refuses a policy for `account` that is not acceptable by itself; `custom` are the names of the account's custom roles. Whether
/// the subject exists is not looked at.
pub(super) fn check(document: &Document, account: &str, custom: &BTreeSet<String>) -> Result<()> {
    if document.description.as_ref().is_some_and(|text| text.chars().count() > LONGEST_DESCRIPTION) {
        return refuse(format!("The description is longer than {LONGEST_DESCRIPTION} characters. Shorten it."));
    }
    match document.kind.as_str() {
        "access" => access_subject(document)?,
        "authorization" => source(document)?,
        other => return refuse(format!("The type '{}' is not one. It is 'access' or 'authorization'.", short(other))),
    }
    target(document, account)?;
    granted(document, account, custom)?;
    condition(document)
}

fn refuse<T>(text: impl Into<String>) -> Result<T> {
    Err(AccessError::invalid(text))
}

fn short(text: &str) -> String {
    text.chars().take(100).collect()
}

fn access_subject(document: &Document) -> Result<()> {
    let attributes = document.subject.as_ref().map(|subject| subject.attributes.as_slice()).unwrap_or_default();
    match attributes {
        [one] if (one.key == "iam_id" || one.key == "access_group_id") && one.operator == EQUALS && one.value.is_string() => {
            values(attributes)
        }
        _ => refuse(
            "The subject of an access policy has one attribute, 'iam_id' or 'access_group_id', with the operator 'stringEquals' and \
             an IAM ID or the ID of an access group.",
        ),
    }
}

fn source(document: &Document) -> Result<()> {
    let attributes = document.subject.as_ref().map(|subject| subject.attributes.as_slice()).unwrap_or_default();
    if let Some(other) = attributes.iter().find(|attribute| !SOURCE_KEYS.contains(&attribute.key.as_str())) {
        let known = SOURCE_KEYS.join("', '");
        return refuse(format!(
            "The subject of an authorization cannot have the attribute '{}', only '{known}'.",
            short(&other.key)
        ));
    }
    if document.subject_value("accountId").is_none() {
        return refuse("The subject of an authorization needs the attribute 'accountId'.");
    }
    if !attributes.iter().any(|attribute| attribute.key == "serviceName" || attribute.key == "resourceGroupId") {
        return refuse("The subject of an authorization needs the attribute 'serviceName' or 'resourceGroupId'.");
    }
    operators("attribute of a subject", attributes, &[EQUALS, "stringExists"])?;
    values(attributes)
}

fn target(document: &Document, account: &str) -> Result<()> {
    let Some(target) = &document.resource else {
        return refuse("A policy needs a 'resource' with attributes: 'accountId', and what in the account it is about.");
    };
    match document.target_value("accountId") {
        Some(named) if named == account => {}
        Some(_) => return refuse("The attribute 'accountId' of the resource must be the account that your token is for."),
        None => {
            return refuse(
                "The resource needs the attribute 'accountId' with the operator 'stringEquals' and the ID of the account.",
            );
        }
    }
    if !TARGETS.iter().any(|key| document.target_attribute(key).is_some()) {
        return refuse(format!("The resource needs one of the attributes '{}' besides 'accountId'.", TARGETS.join("', '")));
    }
    let mut seen = BTreeSet::new();
    for Attribute { key, .. } in &target.attributes {
        if !seen.insert(key) {
            return refuse(format!(
                "The resource has the attribute '{}' twice. Use 'stringEqualsAnyOf' for several values.",
                short(key)
            ));
        }
        // What other services call their parts is theirs to know.
        if !access::is_attribute(key) && document.target_value("serviceName").is_none_or(roles::is_service) {
            return refuse(format!("The resource cannot have the attribute '{}': nothing of this service has it.", short(key)));
        }
    }
    if target.attributes.len() > MOST || target.tags.len() > MOST {
        return refuse(format!("A policy has at most {MOST} attributes and {MOST} tags."));
    }
    operators("attribute of a resource", &target.attributes, &RESOURCE_OPERATORS)?;
    operators("tag", &target.tags, &TAG_OPERATORS)?;
    values(&target.attributes)?;
    values(&target.tags)
}

fn operators(what: &str, attributes: &[Attribute], known: &[&str]) -> Result<()> {
    match attributes.iter().find(|attribute| !known.contains(&attribute.operator.as_str())) {
        Some(other) => {
            refuse(format!("The operator '{}' is not one of an {what}. Use '{}'.", short(&other.operator), known.join("', '")))
        }
        None => Ok(()),
    }
}

/// Every attribute has a key, and a value of the type that its operator works on.
fn values(attributes: &[Attribute]) -> Result<()> {
    let text = |value: &Value| value.as_str().is_some_and(|text| (1..=LONGEST_VALUE).contains(&text.chars().count()));
    for Attribute { key, operator, value } in attributes {
        let (good, wanted) = match operator.as_str() {
            "stringExists" => (value.is_boolean() || value == "true" || value == "false", "true or false".to_owned()),
            "stringEqualsAnyOf" | "stringMatchAnyOf" => {
                let good = value.as_array().is_some_and(|all| (1..=MOST).contains(&all.len()) && all.iter().all(text));
                (good, format!("a list of 1 to {MOST} texts of 1 to {LONGEST_VALUE} characters"))
            }
            _ => (text(value), format!("text of 1 to {LONGEST_VALUE} characters")),
        };
        if key.is_empty() {
            return refuse("An attribute or tag has no name.");
        }
        if !good {
            return refuse(format!("The value of '{}' must be {wanted} for the operator '{operator}'.", short(key)));
        }
    }
    Ok(())
}

fn granted(document: &Document, account: &str, custom: &BTreeSet<String>) -> Result<()> {
    let granted = &document.control.grant.roles;
    if granted.is_empty() || granted.len() > MOST {
        return refuse(format!("A policy grants 1 to {MOST} roles."));
    }
    for (index, role) in granted.iter().enumerate() {
        let known = match roles::custom_role_name(&role.role_id, account) {
            Some(name) => custom.contains(name),
            None => roles::is_system_role(&role.role_id),
        };
        if !known {
            let text = format!("There is no role '{}'. GET /v2/roles lists the roles with their CRNs.", short(&role.role_id));
            return refuse(text);
        }
        if granted[..index].contains(role) {
            return refuse(format!("The role '{}' is named twice.", short(&role.role_id)));
        }
    }
    Ok(())
}

fn condition(document: &Document) -> Result<()> {
    match (&document.pattern, &document.rule) {
        (None, None) => Ok(()),
        (Some(pattern), Some(rule)) => {
            if !PATTERNS.contains(&pattern.as_str()) {
                return refuse(format!("The pattern '{}' is not served. Use '{}'.", short(pattern), PATTERNS.join("', '")));
            }
            if access::is_condition(rule) {
                return Ok(());
            }
            refuse(
                "The rule cannot be decided on. A condition has a 'key' ('{{environment.attributes.day_of_week}}', '…current_time}}' or \
                 '…current_date_time}}'), an 'operator' for it and a 'value' with an offset from UTC, such as '09:00:00+00:00'; 'and' and 'or' \
                 have 'conditions'.",
            )
        }
        _ => refuse("'pattern' and 'rule' go together: send both or neither."),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const ACCOUNT: &str = "0123456789abcdef0123456789abcdef";
    const VIEWER: &str = "crn:v1:bluemix:public:iam::::role:Viewer";

    fn good() -> Value {
        json!({
            "type": "access",
            "description": "reads clusters",
            "subject": {"attributes": [{"key": "iam_id", "operator": "stringEquals", "value": "IBMid-1"}]},
            "resource": {
                "attributes": [
                    {"key": "accountId", "operator": "stringEquals", "value": ACCOUNT},
                    {"key": "serviceName", "operator": "stringEquals", "value": "containers-kubernetes"},
                ],
                "tags": [{"key": "env", "operator": "stringEquals", "value": "dev"}],
            },
            "control": {"grant": {"roles": [{"role_id": VIEWER}]}},
        })
    }

    fn refusal(policy: Value) -> Option<String> {
        let document: Document = serde_json::from_value(policy).unwrap();
        let custom = BTreeSet::from(["Watcher".to_owned()]);
        check(&document, ACCOUNT, &custom).err().map(|error| error.to_string())
    }

    fn with(pointer: &str, value: Value) -> Value {
        let mut policy = good();
        match policy.pointer_mut(pointer) {
            Some(place) => *place = value,
            None => policy[pointer.trim_start_matches('/')] = value,
        }
        policy
    }

    fn attribute(key: &str, operator: &str, value: Value) -> Value {
        json!({"key": key, "operator": operator, "value": value})
    }

    #[test]
    fn takes_what_can_be_decided_on() {
        let second = "/resource/attributes/1";
        let weekly = json!({"operator": "and", "conditions": [
            {"key": "{{environment.attributes.day_of_week}}", "operator": "dayOfWeekAnyOf", "value": ["1+00:00"]},
            {"key": "{{environment.attributes.current_time}}", "operator": "timeLessThan", "value": "17:00:00+02:00"},
        ]});
        let mut timed = with("/pattern", json!("time-based-conditions:weekly:custom-hours"));
        timed["rule"] = weekly;
        let mut authorization = with("/type", json!("authorization"));
        authorization["subject"]["attributes"] = json!([
            attribute("accountId", "stringEquals", json!(ACCOUNT)),
            attribute("serviceName", "stringEquals", json!("is"))
        ]);
        let custom = format!("crn:v1:ibmcloud:public:iam-access-management::a/{ACCOUNT}::customRole:Watcher");
        let cases = [
            ("a service", good()),
            ("a group", with("/subject/attributes/0", attribute("access_group_id", "stringEquals", json!("AccessGroupId-1")))),
            ("all services of a type", with(second, attribute("serviceType", "stringEquals", json!("service")))),
            ("several services", with(second, attribute("serviceName", "stringEqualsAnyOf", json!(["a", "b"])))),
            ("a resource group", with(second, attribute("resourceGroupId", "stringExists", json!(true)))),
            ("a custom role", with("/control/grant/roles/0/role_id", json!(custom))),
            (
                "a service role",
                with("/control/grant/roles/0/role_id", json!("crn:v1:bluemix:public:iam::::serviceRole:Reader")),
            ),
            ("working hours", timed),
            ("an authorization", authorization),
        ];
        for (what, policy) in cases {
            assert_eq!(refusal(policy), None, "{what}");
        }
    }

    #[test]
    fn says_what_is_wrong_with_a_policy() {
        let (first, second) = ("/resource/attributes/0", "/resource/attributes/1");
        let role = "/control/grant/roles/0/role_id";
        let foreign = "crn:v1:ibmcloud:public:iam-access-management::a/ffffffffffffffffffffffffffffffff::customRole:Watcher";
        let own = format!("crn:v1:ibmcloud:public:iam-access-management::a/{ACCOUNT}::customRole:Other");
        let cases = [
            (with("/type", json!("permit")), "The type 'permit'"),
            (with("/description", json!("x".repeat(301))), "longer than 300"),
            (with("/subject", json!({"attributes": []})), "The subject of an access policy"),
            (with("/subject/attributes/0/key", json!("email")), "The subject of an access policy"),
            (with("/subject/attributes/0/operator", json!("stringExists")), "The subject of an access policy"),
            (with("/subject/attributes/0/value", json!("")), "The value of 'iam_id'"),
            (with("/resource", Value::Null), "needs a 'resource'"),
            (with(first, attribute("region", "stringEquals", json!("eu-de"))), "'accountId' with the operator"),
            (with(&format!("{first}/value"), json!("ffffffffffffffffffffffffffffffff")), "the account that your token is for"),
            (with(&format!("{first}/operator"), json!("stringMatch")), "'accountId' with the operator"),
            (with(second, attribute("region", "stringEquals", json!("eu-de"))), "one of the attributes"),
            (with(second, attribute("accountId", "stringEquals", json!(ACCOUNT))), "one of the attributes"),
            (with(&format!("{second}/operator"), json!("stringSounds")), "The operator 'stringSounds'"),
            (with(&format!("{second}/value"), json!(["a"])), "text of 1 to 1000"),
            (with(&format!("{second}/value"), json!("x".repeat(1001))), "text of 1 to 1000"),
            (with(second, attribute("serviceName", "stringEqualsAnyOf", json!([]))), "a list of 1 to 50"),
            (with(second, attribute("serviceName", "stringExists", json!("perhaps"))), "true or false"),
            (with("/resource/tags/0/operator", json!("stringExists")), "The operator 'stringExists'"),
            (with("/control/grant/roles", json!([])), "grants 1 to 50"),
            (with("/control/grant/roles", json!([{"role_id": VIEWER}, {"role_id": VIEWER}])), "named twice"),
            (with(role, json!("Viewer")), "There is no role 'Viewer'"),
            (with(role, json!(foreign)), "There is no role"),
            (with(role, json!(own)), "There is no role"),
            (with("/pattern", json!("time-based-conditions:once")), "go together"),
            (with("/type", json!("authorization")), "cannot have the attribute 'iam_id'"),
        ];
        for (policy, expected) in cases {
            let said = refusal(policy.clone()).unwrap_or_default();
            assert!(said.contains(expected), "{said:?} does not say {expected:?}: {policy}");
        }
        let mut unknown = good();
        unknown["resource"]["attributes"].as_array_mut().unwrap().push(attribute("colour", "stringEquals", json!("blue")));
        assert!(refusal(unknown.clone()).is_some_and(|said| said.contains("'colour'")));
        unknown["resource"]["attributes"][1]["value"] = json!("cloud-object-storage");
        assert_eq!(refusal(unknown), None, "another service may know it");
        let mut never = with("/pattern", json!("time-based-conditions:once"));
        never["rule"] = json!({"key": "{{environment.attributes.weather}}", "operator": "stringEquals", "value": "rain"});
        assert!(refusal(never).is_some_and(|said| said.contains("cannot be decided on")));
    }
}
