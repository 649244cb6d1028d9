//! Who may see or change a policy: whoever may do so with what the policy is about. So nobody gives away what they do not have to give.

use serde_json::Value;

use super::document::{Document, EQUALS};
use crate::access::{self, Resource};
use crate::{Caller, Error};

/// The service whose administrators manage access to everything in the account.
const ACCESS_MANAGEMENT: &str = "iam-access-management";

/// That the caller may do `action` (`iam.policy.…`) with a policy.
pub(super) fn permit(caller: &Caller, action: &str, account_id: &str, document: &Document) -> Result<(), Error> {
    match allowed(caller, action, account_id, document) {
        true => Ok(()),
        false => Err(Error::Forbidden { action: action.to_owned() }),
    }
}

/// Whether the caller may do `action` (`iam.policy.…`) with a policy.
pub(super) fn allowed(caller: &Caller, action: &str, account_id: &str, document: &Document) -> bool {
    if caller.may(action, &Resource::service(account_id, ACCESS_MANAGEMENT)) {
        return true;
    }
    let services = services(document);
    !services.is_empty()
        && services.iter().all(|service| caller.may(action, &narrowed(Resource::service(account_id, service), document)))
}

/// What a policy is about within a service: the attributes that say one value. Whoever may work on all that these describe may work
/// on the part of it that others, such as wildcards, leave. What a policy does not say can be anything, also what must be absent where the
/// caller may work.
fn narrowed<'a>(of_service: Resource<'a>, document: &'a Document) -> Resource<'a> {
    type Narrow<'a> = fn(Resource<'a>, &'a str) -> Resource<'a>;
    let narrow: [(&str, Narrow<'a>); 6] = [
        ("resourceGroupId", Resource::resource_group),
        ("region", Resource::region),
        ("serviceInstance", Resource::instance),
        ("resourceType", Resource::resource_type),
        ("resource", Resource::resource),
        ("namespace", Resource::namespace),
    ];
    let said = narrow.into_iter().fold(of_service, |resource, (key, narrow)| match document.target_value(key) {
        Some(value) => narrow(resource, value),
        None => resource,
    });
    said.everything()
}

/// Every service that a policy reaches; none if that cannot be said.
fn services(document: &Document) -> Vec<&str> {
    if let Some(named) = document.target_attribute("serviceName") {
        return match (named.operator.as_str(), &named.value) {
            (EQUALS, Value::String(service)) => vec![service],
            ("stringEqualsAnyOf", Value::Array(services)) => services.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        };
    }
    let all = access::services();
    let of_type = |wanted: &str| all.iter().copied().filter(|service| access::service_type(service) == wanted).collect();
    if let Some(named) = document.target_attribute("serviceType") {
        return named.value.as_str().filter(|_| named.operator == EQUALS).map(of_type).unwrap_or_default();
    }
    if document.target_attribute("service_group_id").is_some() {
        return all.iter().copied().filter(|service| access::service_group(service)).collect();
    }
    // Such as a resource group itself, which is a resource of every service's.
    if document.target_attribute("resourceType").is_some() {
        return all.to_vec();
    }
    of_type("service")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use boatyard_store::access::Grants;
    use jiff::Timestamp;
    use serde_json::json;

    use super::*;
    use crate::Identity;
    use crate::access::Rights;

    /// A member of `acc` who administers what has these attributes, each `key operator value`.
    fn administrator(attributes: &[(&str, &str, Value)]) -> Caller {
        let policy = policy(attributes, "crn:v1:bluemix:public:iam::::role:Administrator").to_string();
        let rights = Rights::compile(&Grants { policies: vec![policy], ..Grants::default() });
        let identity = Identity {
            iam_id: "IBMid-1".to_owned(),
            email: String::new(),
            name: String::new(),
            account_id: Some("acc".to_owned()),
            client_id: String::new(),
            session_id: None,
            apikey_id: None,
            expires_at: Timestamp::MAX,
            claims: Arc::default(),
        };
        Caller::new(Arc::new(identity), Arc::new(rights), Timestamp::UNIX_EPOCH)
    }

    fn policy(attributes: &[(&str, &str, Value)], role: &str) -> Value {
        let attributes: Vec<_> = attributes.iter().map(|(k, o, v)| json!({"key": k, "operator": o, "value": v})).collect();
        let subject = json!({"attributes": [{"key": "iam_id", "operator": EQUALS, "value": "IBMid-2"}]});
        let control = json!({"grant": {"roles": [{"role_id": role}]}});
        json!({"type": "access", "subject": subject, "resource": {"attributes": attributes}, "control": control})
    }

    #[test]
    fn nobody_gives_away_more_than_they_have() {
        let service = ("serviceName", EQUALS, json!("containers-kubernetes"));
        let no_cluster = ("serviceInstance", "stringExists", json!(false));
        let cluster = ("serviceInstance", EQUALS, json!("c1"));
        let group = ("resourceGroupId", EQUALS, json!("g1"));
        let region = ("region", EQUALS, json!("eu-de"));
        type Attributes<'a> = Vec<(&'a str, &'a str, Value)>;
        let cases: Vec<(&str, Attributes<'_>, Attributes<'_>, bool)> = vec![
            ("the same", vec![service.clone(), group.clone()], vec![service.clone(), group.clone()], true),
            ("a part", vec![service.clone(), group.clone()], vec![service.clone(), group.clone(), cluster.clone()], true),
            ("more", vec![service.clone(), group.clone()], vec![service.clone()], false),
            ("another part", vec![service.clone(), group.clone()], vec![service.clone(), region.clone()], false),
            (
                "all clusters of a group, with none",
                vec![service.clone(), no_cluster.clone()],
                vec![service.clone(), group],
                false,
            ),
            (
                "all clusters of a region, with none",
                vec![service.clone(), no_cluster.clone()],
                vec![service.clone(), region],
                false,
            ),
            ("one cluster, with none", vec![service.clone(), no_cluster.clone()], vec![service.clone(), cluster], false),
            ("everything, with no cluster", vec![service.clone(), no_cluster], vec![service], false),
        ];
        for (what, has, gives, expected) in cases {
            let gives = serde_json::from_value(policy(&gives, "crn:v1:bluemix:public:iam::::role:Administrator")).unwrap();
            assert_eq!(allowed(&administrator(&has), "iam.policy.create", "acc", &gives), expected, "{what}");
        }
    }
}
