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
/// on the part of it that others, such as wildcards, leave.
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
    narrow.into_iter().fold(of_service, |resource, (key, narrow)| match document.target_value(key) {
        Some(value) => narrow(resource, value),
        None => resource,
    })
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
