//! What differs between two values of a type, as fields.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::fields::{FieldSet, PathElement};
use super::shape::{Children, Node};

/// The fields that are there and were not, or were different; and those that were there and are not.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Difference {
    pub(super) changed: FieldSet,
    pub(super) removed: FieldSet,
}

impl Difference {
    fn hang(&mut self, element: PathElement, inner: Self) {
        self.changed.hang(element.clone(), inner.changed);
        self.removed.hang(element, inner.removed);
    }
}

pub(super) fn compare(before: Option<&Value>, after: Option<&Value>, node: Node<'_>) -> Difference {
    let mut found = Difference::default();
    if before == after {
        return found;
    }
    let (were, are) = (before.and_then(|v| node.children(v)), after.and_then(|v| node.children(v)));
    let is_whole = |value: Option<&Value>, inner: &Option<Children<'_>>| inner.is_none() && value.is_some_and(|v| !v.is_null());
    let has_nothing = |inner: &Option<Children<'_>>| inner.as_ref().is_none_or(Children::is_empty);
    // Between nothing, null and empty, the difference is one of the field itself.
    let as_whole = is_whole(before, &were) || is_whole(after, &are) || (has_nothing(&were) && has_nothing(&are));
    found.removed.member = after.is_none();
    found.changed.member = after.is_some() && (as_whole || before.is_none());
    match (were, are) {
        (Some(Children::Map(were)), Some(Children::Map(are))) => compare_maps(were, are, node, &mut found),
        (Some(Children::List(were)), Some(Children::List(are))) => compare_lists(&were, &are, node, &mut found),
        (were, are) => {
            for (element, inner) in were.into_iter().flat_map(|inner| inner.each(node)) {
                found.hang(element, compare(Some(inner.0), None, inner.1));
            }
            for (element, inner) in are.into_iter().flat_map(|inner| inner.each(node)) {
                found.hang(element, compare(None, Some(inner.0), inner.1));
            }
        }
    }
    found
}

fn compare_maps(were: &Map<String, Value>, are: &Map<String, Value>, node: Node<'_>, found: &mut Difference) {
    for (name, before) in were {
        let after = are.get(name);
        if Some(before) != after {
            found.hang(PathElement::Field(name.as_str().into()), compare(Some(before), after, node.member(name)));
        }
    }
    for (name, after) in are.iter().filter(|(name, _)| !were.contains_key(*name)) {
        found.hang(PathElement::Field(name.as_str().into()), compare(node.unwritten(name), Some(after), node.member(name)));
    }
}

fn compare_lists(were: &[(PathElement, &Value)], are: &[(PathElement, &Value)], node: Node<'_>, found: &mut Difference) {
    // Of items that cannot be told apart, the first counts, as when they are merged.
    let index = |list: &[(PathElement, &Value)]| -> HashMap<PathElement, usize> {
        list.iter().enumerate().rev().map(|(n, (element, _))| (element.clone(), n)).collect()
    };
    let (places, new_places) = (index(were), index(are));
    for (element, n) in &places {
        let after = new_places.get(element).and_then(|n| are.get(*n)).map(|(_, v)| *v);
        found.hang(element.clone(), compare(were.get(*n).map(|(_, v)| *v), after, node.item()));
    }
    for (element, n) in new_places.iter().filter(|(element, _)| !places.contains_key(*element)) {
        found.hang(element.clone(), compare(None, are.get(*n).map(|(_, v)| *v), node.item()));
    }
}

impl<'v> Children<'v> {
    /// Every part with its place in the type.
    fn each<'t>(self, node: Node<'t>) -> Vec<(PathElement, (&'v Value, Node<'t>))> {
        match self {
            Self::Map(members) => {
                members.iter().map(|(name, v)| (PathElement::Field(name.as_str().into()), (v, node.member(name)))).collect()
            }
            Self::List(items) => items.into_iter().map(|(element, v)| (element, (v, node.item()))).collect(),
        }
    }
}
