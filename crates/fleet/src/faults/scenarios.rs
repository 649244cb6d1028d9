//! Named scenarios: what users report as the failures that cost them days, each a list of orders in `scenarios.json`.

use std::sync::LazyLock;

use serde::Deserialize;

use super::order::{FaultError, FaultOrder};

/// Faults that belong together.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    pub name: String,
    /// What happens, in one or two sentences.
    pub summary: String,
    /// Which parameters of a [`ScenarioOrder`] it takes beside `for_seconds`.
    pub takes: Vec<String>,
    pub faults: Vec<FaultOrder>,
}

/// A scenario as it is asked for. What is given replaces what the scenario has.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ScenarioOrder {
    pub name: String,
    pub cluster: Option<String>,
    pub pool: Option<String>,
    pub worker: Option<String>,
    pub times: Option<i64>,
    /// When it begins, in seconds from now.
    pub delay_seconds: Option<i64>,
    /// For how long it lasts once it began.
    pub for_seconds: Option<i64>,
}

/// All scenarios, by name.
pub fn scenarios() -> &'static [Scenario] {
    static SCENARIOS: LazyLock<Vec<Scenario>> = LazyLock::new(|| {
        // A test reads it as well, so that it cannot be wrong in a build that passed.
        serde_json::from_str(include_str!("scenarios.json")).expect("scenarios.json is valid")
    });
    &SCENARIOS
}

/// The scenario of an order, and its faults with the order's parameters.
pub(super) fn orders(order: &ScenarioOrder) -> Result<(&'static Scenario, Vec<FaultOrder>), FaultError> {
    let known = || scenarios().iter().map(|scenario| scenario.name.as_str()).collect::<Vec<_>>().join(", ");
    let scenario = scenarios().iter().find(|scenario| scenario.name == order.name);
    let scenario = scenario.ok_or_else(|| FaultError::UnknownScenario { given: order.name.clone(), known: known() })?;
    let given = [
        ("cluster", order.cluster.is_some()),
        ("pool", order.pool.is_some()),
        ("worker", order.worker.is_some()),
        ("times", order.times.is_some()),
        ("delay_seconds", order.delay_seconds.is_some()),
    ];
    if let Some((name, _)) = given.iter().find(|(name, given)| *given && !scenario.takes.iter().any(|takes| takes == name)) {
        let takes = if scenario.takes.is_empty() { "none".to_owned() } else { scenario.takes.join(", ") };
        let text = format!("The scenario '{}' takes no '{name}'. Its parameters are: {takes}, for_seconds.", scenario.name);
        return Err(FaultError::Invalid(text.replace("none, ", "")));
    }
    let faults = scenario.faults.iter().cloned().map(|mut fault| {
        fault.target.cluster = order.cluster.clone().or(fault.target.cluster);
        fault.target.pool = order.pool.clone().or(fault.target.pool);
        fault.target.worker = order.worker.clone().or(fault.target.worker);
        fault.times = order.times.or(fault.times);
        fault.delay_seconds = order.delay_seconds.unwrap_or(fault.delay_seconds);
        fault.for_seconds = order.for_seconds.or(fault.for_seconds);
        fault
    });
    Ok((scenario, faults.collect()))
}
