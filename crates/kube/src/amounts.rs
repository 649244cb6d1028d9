//! Sums of quantities: what a Pod asks for.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::object::array;
use crate::quantity::Quantity;

/// Amounts by the name of the resource.
pub(crate) type Amounts = BTreeMap<String, Quantity>;

/// The amounts of a list such as `status.allocatable` or `resources.requests`.
pub(crate) fn amounts(list: Option<&Value>) -> Amounts {
    let list = list.and_then(Value::as_object).into_iter().flatten();
    list.filter_map(|(name, value)| Some((name.clone(), Quantity::of(value).ok()?))).collect()
}

pub(crate) fn add(sum: &mut Amounts, more: &Amounts) {
    for (name, amount) in more {
        let sum = sum.entry(name.clone()).or_default();
        *sum = *sum + *amount;
    }
}

pub(crate) fn subtract(sum: &mut Amounts, less: &Amounts) {
    for (name, amount) in less {
        let sum = sum.entry(name.clone()).or_default();
        *sum = *sum - *amount;
    }
}

fn at_least(most: &mut Amounts, other: &Amounts) {
    for (name, amount) in other {
        let most = most.entry(name.clone()).or_default();
        *most = (*most).max(*amount);
    }
}

/// What a container asks for, or may use at most: `part` is `requests` or `limits`. A limit is a request where there is none.
fn of_container(container: &Value, part: &str) -> Amounts {
    let resources = container.get("resources");
    let mut own = amounts(resources.and_then(|r| r.get(part)));
    if part == "requests" {
        for (name, amount) in amounts(resources.and_then(|r| r.get("limits"))) {
            own.entry(name).or_insert(amount);
        }
    }
    own
}

fn is_sidecar(container: &Value) -> bool {
    container["restartPolicy"] == json!("Always")
}

/// What a Pod with this spec asks for (`requests`) or may use at most (`limits`), as the scheduler and quotas count it.
pub(crate) fn of_pod(spec: &Value, part: &str) -> Amounts {
    let mut sum = Amounts::new();
    for container in array(spec, "/containers") {
        add(&mut sum, &of_container(container, part));
    }
    // Init containers run one after the other, beside the sidecars that began before.
    let (mut sidecars, mut most) = (Amounts::new(), Amounts::new());
    for container in array(spec, "/initContainers") {
        let own = of_container(container, part);
        if is_sidecar(container) {
            add(&mut sidecars, &own);
            at_least(&mut most, &sidecars);
        } else {
            let mut both = own;
            add(&mut both, &sidecars);
            at_least(&mut most, &both);
        }
    }
    add(&mut sum, &sidecars);
    at_least(&mut sum, &most);
    add(&mut sum, &amounts(spec.get("overhead")));
    sum
}

/// `Guaranteed`, `Burstable` or `BestEffort`.
pub(crate) fn qos_class(spec: &Value) -> &'static str {
    let containers = || array(spec, "/containers").iter().chain(array(spec, "/initContainers"));
    let of = |container: &Value, part: &str| amounts(container.pointer(&format!("/resources/{part}")));
    let asks = |list: &Amounts| ["cpu", "memory"].iter().any(|name| list.get(*name).is_some_and(|a| *a > Quantity::ZERO));
    if !containers().any(|c| asks(&of(c, "requests")) || asks(&of(c, "limits"))) {
        return "BestEffort";
    }
    let guaranteed = |container: &Value| {
        let (requests, limits) = (of(container, "requests"), of(container, "limits"));
        ["cpu", "memory"].iter().all(|name| {
            limits
                .get(*name)
                .is_some_and(|limit| *limit > Quantity::ZERO && requests.get(*name).is_none_or(|request| request == limit))
        })
    };
    if containers().all(guaranteed) { "Guaranteed" } else { "Burstable" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn init_containers_count_when_they_ask_for_more() {
        let of = |cpu: &str| json!({"resources": {"requests": {"cpu": cpu}}});
        let mut sidecar = of("100m");
        sidecar["restartPolicy"] = json!("Always");
        let cpu = |inits: Value| {
            let spec = json!({"containers": [of("200m"), of("300m")], "initContainers": inits, "overhead": {"cpu": "1m"}});
            of_pod(&spec, "requests")["cpu"].to_string()
        };
        assert_eq!(cpu(json!([])), "501m");
        assert_eq!(cpu(json!([of("400m"), of("300m")])), "501m", "one runs after the other");
        assert_eq!(cpu(json!([of("2")])), "2001m");
        assert_eq!(cpu(json!([sidecar, of("2")])), "2101m", "a sidecar goes on beside them");
    }

    #[test]
    fn classes_of_service_follow_from_requests_and_limits() {
        let spec = |resources: Value| json!({"containers": [{"resources": resources}]});
        assert_eq!(qos_class(&spec(json!({}))), "BestEffort");
        assert_eq!(qos_class(&spec(json!({"requests": {"cpu": "1"}}))), "Burstable");
        assert_eq!(qos_class(&spec(json!({"limits": {"cpu": "1", "memory": "1Gi"}}))), "Guaranteed");
    }
}
