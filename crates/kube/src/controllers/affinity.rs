//! Where a Pod wants to be: node selectors, taints, other Pods, spreading.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Map, Value};

use super::common::{contains, fulfils, has_ended, selects};
use crate::object::{Key, Object, array, number, text};
use crate::state::State;

/// Whether a toleration bears a taint.
fn tolerates(toleration: &Value, taint: &Value) -> bool {
    let (key, effect) = (text(toleration, "/key"), text(toleration, "/effect"));
    let effect_fits = effect.is_empty() || effect == text(taint, "/effect");
    let exists = text(toleration, "/operator") == "Exists";
    let key_fits = if key.is_empty() { exists } else { key == text(taint, "/key") };
    effect_fits && key_fits && (exists || text(toleration, "/value") == text(taint, "/value"))
}

/// The first taint of a node with one of these effects that the Pod does not bear.
pub(super) fn untolerated<'a>(spec: &Value, node: &'a Value, effects: &[&str]) -> Option<&'a Value> {
    let counts = |taint: &&Value| effects.contains(&text(taint, "/effect"));
    let borne = |taint: &Value| array(spec, "/tolerations").iter().any(|toleration| tolerates(toleration, taint));
    array(node, "/spec/taints").iter().filter(counts).find(|taint| !borne(taint))
}

/// For how many seconds a Pod bears a taint: forever, or the shortest of the tolerations that bear it.
pub(super) fn borne_for(spec: &Value, taint: &Value) -> Option<i64> {
    let bearing = array(spec, "/tolerations").iter().filter(|toleration| tolerates(toleration, taint));
    bearing.filter_map(|toleration| number(toleration, "/tolerationSeconds")).min().map(|seconds| seconds.max(0))
}

/// Whether a node fulfils a term of a node selector.
fn term_fits(term: &Value, node: &Object) -> bool {
    let label = |key: &str| node.labels()?.get(key)?.as_str();
    let (labels, fields) = (array(term, "/matchExpressions"), array(term, "/matchFields"));
    // A term without requirements selects nothing.
    !(labels.is_empty() && fields.is_empty())
        && labels.iter().all(|requirement| fulfils(requirement, label(text(requirement, "/key"))))
        && fields.iter().all(|requirement| fulfils(requirement, Some(&*node.key.name)))
}

/// Whether `nodeSelector` and the required node affinity of a Pod allow a node.
pub(super) fn node_fits(spec: &Value, node: &Object) -> bool {
    let selector = spec.get("nodeSelector").and_then(Value::as_object);
    let required = spec.pointer("/affinity/nodeAffinity/requiredDuringSchedulingIgnoredDuringExecution");
    selector.is_none_or(|selector| contains(selector, node.labels()))
        && required.is_none_or(|required| node_selected(required, node))
}

/// Whether a `NodeSelector` selects a node.
pub(super) fn node_selected(selector: &Value, node: &Object) -> bool {
    array(selector, "/nodeSelectorTerms").iter().any(|term| term_fits(term, node))
}

/// How much a Pod would like to be on a node.
pub(super) fn preference(spec: &Value, node: &Object) -> i64 {
    let preferred = array(spec, "/affinity/nodeAffinity/preferredDuringSchedulingIgnoredDuringExecution");
    let liked = preferred.iter().filter(|p| p.get("preference").is_some_and(|term| term_fits(term, node)));
    let borne = untolerated(spec, node.content(), &["PreferNoSchedule"]).is_none();
    liked.map(|p| number(p, "/weight").unwrap_or(0)).fold(0, i64::saturating_add).saturating_add(if borne { 0 } else { -100 })
}

/// What the other Pods mean for where a Pod can be.
#[derive(Debug, Default)]
pub(super) struct Neighbours {
    /// For each term of affinity its topology key, and the values of it where a Pod is that it wants.
    wanted: Vec<(String, BTreeSet<String>, bool)>,
    avoided: Vec<(String, BTreeSet<String>)>,
    /// Topologies where a Pod is that avoids this one.
    avoiding: BTreeSet<(String, String)>,
    spread: Vec<Spread>,
}

/// A constraint on how Pods are spread, and how they are.
#[derive(Debug)]
struct Spread {
    key: String,
    counts: BTreeMap<String, i64>,
    most: i64,
    /// Whether the Pod counts itself.
    own: i64,
}

const REQUIRED: &str = "requiredDuringSchedulingIgnoredDuringExecution";

fn terms<'a>(spec: &'a Value, kind: &str) -> &'a [Value] {
    array(spec, &format!("/affinity/{kind}/{REQUIRED}"))
}

/// Whether a Pod wants some Pods not to be near.
pub(super) fn avoids(spec: &Value) -> bool {
    !terms(spec, "podAntiAffinity").is_empty()
}

/// Whether a term of the Pod `of` is about `other`.
fn is_about(term: &Value, of: &Object, other: &Object, state: &State) -> bool {
    let named = array(term, "/namespaces");
    let by_label = term.get("namespaceSelector").filter(|s| s.is_object());
    let namespace = &other.key.namespace;
    let in_namespace = (named.is_empty() && by_label.is_none() && *namespace == of.key.namespace)
        || named.iter().any(|n| n.as_str() == Some(namespace))
        || by_label.is_some_and(|s| state.find("namespaces", "", namespace).is_some_and(|n| selects(s, n.labels())));
    in_namespace && term.get("labelSelector").is_some_and(|s| s.is_object() && selects(s, other.labels()))
}

impl Neighbours {
    /// Looks at all Pods, as far as it matters for `pod`. `avoiders` are those that want some Pods not to be near.
    pub fn of(state: &State, pod: &Object, nodes: &[Arc<Object>], avoiders: &BTreeSet<Key>) -> Self {
        let spec = &pod.content()["spec"];
        let by_name: BTreeMap<&str, &Arc<Object>> = nodes.iter().map(|node| (&*node.key.name, node)).collect();
        let mut found = Self {
            wanted: terms(spec, "podAffinity")
                .iter()
                .map(|t| (text(t, "/topologyKey").to_owned(), BTreeSet::new(), is_about(t, pod, pod, state)))
                .collect(),
            avoided: terms(spec, "podAntiAffinity")
                .iter()
                .map(|t| (text(t, "/topologyKey").to_owned(), BTreeSet::new()))
                .collect(),
            avoiding: BTreeSet::new(),
            spread: Vec::new(),
        };
        let constraints: Vec<&Value> =
            array(spec, "/topologySpreadConstraints").iter().filter(|c| c["whenUnsatisfiable"] == "DoNotSchedule").collect();
        found.spread = constraints.iter().map(|c| Spread::of(c, pod, nodes)).collect();
        let indifferent = found.wanted.is_empty() && found.avoided.is_empty() && found.spread.is_empty();
        let others: Vec<&Arc<Object>> = if indifferent {
            avoiders.iter().filter_map(|key| state.get(key)).collect()
        } else {
            state.list("pods", None, None).collect()
        };
        for other in others.into_iter().filter(|other| other.key != pod.key && !has_ended(other)) {
            let Some(node) = by_name.get(text(other.content(), "/spec/nodeName")) else { continue };
            for (term, (key, values, _)) in terms(spec, "podAffinity").iter().zip(&mut found.wanted) {
                if is_about(term, pod, other, state) {
                    values.extend(label(node, key).map(str::to_owned));
                }
            }
            for (term, (key, values)) in terms(spec, "podAntiAffinity").iter().zip(&mut found.avoided) {
                if is_about(term, pod, other, state) {
                    values.extend(label(node, key).map(str::to_owned));
                }
            }
            for term in terms(&other.content()["spec"], "podAntiAffinity") {
                if is_about(term, other, pod, state) {
                    let key = text(term, "/topologyKey");
                    found.avoiding.extend(label(node, key).map(|value| (key.to_owned(), value.to_owned())));
                }
            }
            for (constraint, spread) in constraints.iter().zip(&mut found.spread) {
                let selected = constraint.get("labelSelector").is_some_and(|s| selects(s, other.labels()));
                let counts = selected && other.key.namespace == pod.key.namespace && !other.is_terminating();
                let count = label(node, &spread.key).filter(|_| counts).and_then(|value| spread.counts.get_mut(value));
                if let Some(count) = count {
                    *count += 1;
                }
            }
        }
        found
    }

    /// Why a node cannot take the Pod, and whether the end of other Pods would help.
    pub fn against(&self, node: &Object) -> Option<(&'static str, bool)> {
        for spread in &self.spread {
            let Some(value) = label(node, &spread.key) else {
                return Some(("node(s) didn't match pod topology spread constraints (missing required label)", false));
            };
            let least = spread.counts.values().min().copied().unwrap_or(0);
            if spread.counts.get(value).copied().unwrap_or(0) + spread.own - least > spread.most {
                return Some(("node(s) didn't match pod topology spread constraints", true));
            }
        }
        // The first of Pods that want each other's company goes anywhere.
        let nobody = self.wanted.iter().all(|(_, values, own)| values.is_empty() && *own);
        let near = |(key, values, _): &(String, BTreeSet<String>, bool)| {
            label(node, key).is_some_and(|value| nobody || values.contains(value))
        };
        if !self.wanted.iter().all(near) {
            return Some(("node(s) didn't match pod affinity rules", false));
        }
        if self.avoided.iter().any(|(key, values)| label(node, key).is_some_and(|value| values.contains(value))) {
            return Some(("node(s) didn't match pod anti-affinity rules", true));
        }
        if self.avoiding.iter().any(|(key, value)| label(node, key) == Some(value)) {
            return Some(("node(s) didn't satisfy existing pods anti-affinity rules", true));
        }
        None
    }
}

impl Spread {
    fn of(constraint: &Value, pod: &Object, nodes: &[Arc<Object>]) -> Self {
        let key = text(constraint, "/topologyKey").to_owned();
        let eligible = nodes.iter().filter(|node| node_fits(&pod.content()["spec"], node));
        let counts = eligible.filter_map(|node| Some((label(node, &key)?.to_owned(), 0))).collect();
        let own = constraint.get("labelSelector").is_some_and(|s| selects(s, pod.labels()));
        Self { key, counts, most: number(constraint, "/maxSkew").unwrap_or(1), own: i64::from(own) }
    }
}

fn label<'a>(node: &'a Object, key: &str) -> Option<&'a str> {
    node.labels().map(|labels: &Map<String, Value>| labels.get(key)).and_then(|value| value?.as_str())
}
