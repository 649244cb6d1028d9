//! Sets of fields, in memory and as `FieldsV1`.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::{Map, Value};

/// One step from a value into what it holds.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PathElement {
    /// A field of an object.
    Field(Box<str>),
    /// An item of a list that is merged by keys: these with their values, as JSON with sorted keys.
    Key(Box<str>),
    /// An item of a set, as JSON.
    Value(Box<str>),
    /// An item of another list.
    Index(i64),
}

impl PathElement {
    /// Keys that identify an item of a list.
    pub(super) fn keys<'a>(keys: impl IntoIterator<Item = (&'a str, &'a Value)>) -> Self {
        let sorted: BTreeMap<_, _> = keys.into_iter().collect();
        // Not by way of a map of JSON, which keeps another order if the feature for that is on.
        let members: Vec<_> = sorted.into_iter().map(|(k, v)| format!("{}:{v}", Value::from(k))).collect();
        Self::Key(format!("{{{}}}", members.join(",")).into())
    }

    fn parse(text: &str) -> Option<Self> {
        let (kind, rest) = text.split_once(':')?;
        Some(match kind {
            "f" => Self::Field(rest.into()),
            "k" => {
                let keys: Map<String, Value> = serde_json::from_str(rest).ok()?;
                Self::keys(keys.iter().map(|(k, v)| (k.as_str(), v)))
            }
            "v" => Self::Value(serde_json::from_str::<Value>(rest).ok()?.to_string().into()),
            "i" => Self::Index(rest.parse().ok()?),
            _ => return None,
        })
    }

    fn serialised(&self) -> String {
        match self {
            Self::Field(name) => format!("f:{name}"),
            Self::Key(keys) => format!("k:{keys}"),
            Self::Value(value) => format!("v:{value}"),
            Self::Index(index) => format!("i:{index}"),
        }
    }
}

/// As messages of conflicts have it: `.spec`, `[name="nginx"]`, `[="finalizer"]`, `[0]`.
impl fmt::Display for PathElement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Field(name) => write!(f, ".{name}"),
            Self::Key(keys) => {
                let keys: BTreeMap<String, Value> = serde_json::from_str(keys).unwrap_or_default();
                let told: Vec<_> = keys.iter().map(|(k, v)| format!("{k}={v}")).collect();
                write!(f, "[{}]", told.join(","))
            }
            Self::Value(value) => write!(f, "[={value}]"),
            Self::Index(index) => write!(f, "[{index}]"),
        }
    }
}

/// A set of fields: a tree, of which some nodes are members.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldSet {
    /// Whether the value itself is in the set: `.`, or the end of a path.
    pub(super) member: bool,
    pub(super) children: BTreeMap<PathElement, FieldSet>,
}

impl FieldSet {
    /// Reads `FieldsV1`; nothing if it is none.
    #[must_use]
    pub fn parse(fields: &Value) -> Option<Self> {
        let mut set = Self::default();
        for (name, inner) in fields.as_object()? {
            if name == "." {
                set.member = true;
                continue;
            }
            let mut child = Self::parse(inner)?;
            child.member |= child.children.is_empty();
            set.children.insert(PathElement::parse(name)?, child);
        }
        Some(set)
    }

    /// `FieldsV1` of it.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let mut fields = Map::new();
        if self.member && !self.children.is_empty() {
            fields.insert(".".into(), Value::Object(Map::new()));
        }
        fields.extend(self.children.iter().map(|(element, child)| (element.serialised(), child.to_json())));
        Value::Object(fields)
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        !self.member && self.children.is_empty()
    }

    #[must_use]
    pub fn contains(&self, path: &[PathElement]) -> bool {
        match path.split_first() {
            None => self.member,
            Some((first, rest)) => self.children.get(first).is_some_and(|child| child.contains(rest)),
        }
    }

    /// Adds one path.
    pub fn insert(&mut self, path: impl IntoIterator<Item = PathElement>) {
        let mut at = self;
        for element in path {
            at = at.children.entry(element).or_default();
        }
        at.member = true;
    }

    /// Hangs a set under an element, unless it is empty.
    pub(super) fn hang(&mut self, element: PathElement, child: Self) {
        if !child.is_empty() {
            self.children.insert(element, child);
        }
    }

    /// Adds all of `other`.
    pub fn unite(&mut self, other: &Self) {
        self.member |= other.member;
        for (element, child) in &other.children {
            self.children.entry(element.clone()).or_default().unite(child);
        }
    }

    /// Takes all of `other` away.
    pub fn subtract(&mut self, other: &Self) {
        self.member &= !other.member;
        for (element, theirs) in &other.children {
            if let Some(ours) = self.children.get_mut(element) {
                ours.subtract(theirs);
                if ours.is_empty() {
                    self.children.remove(element);
                }
            }
        }
    }

    /// What is in both.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        let mut common = Self { member: self.member && other.member, children: BTreeMap::new() };
        for (element, ours) in &self.children {
            if let Some(theirs) = other.children.get(element) {
                common.hang(element.clone(), ours.intersection(theirs));
            }
        }
        common
    }

    /// All its paths as messages have them, those that end at a level before those that go deeper.
    #[must_use]
    pub fn paths(&self) -> Vec<String> {
        let mut paths = Vec::new();
        self.collect("", &mut paths);
        paths
    }

    fn collect(&self, prefix: &str, paths: &mut Vec<String>) {
        let ends = self.children.iter().filter(|(_, child)| child.member);
        paths.extend(ends.map(|(element, _)| format!("{prefix}{element}")));
        for (element, child) in self.children.iter().filter(|(_, child)| !child.children.is_empty()) {
            child.collect(&format!("{prefix}{element}"), paths);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn elements() -> impl Strategy<Value = PathElement> {
        prop_oneof![
            "[a-c.:\"/]{0,3}".prop_map(|name| PathElement::Field(name.into())),
            ("[a-c\"]{1,2}", "[a-c\"]{1,2}", 0..3)
                .prop_map(|(a, b, n)| { PathElement::keys([(a.as_str(), &json!(n)), (b.as_str(), &json!("x"))]) }),
            "[a-c\"]{0,2}".prop_map(|v| PathElement::Value(json!(v).to_string().into())),
            (0..3i64).prop_map(PathElement::Index),
        ]
    }

    fn paths() -> impl Strategy<Value = Vec<Vec<PathElement>>> {
        prop::collection::vec(prop::collection::vec(elements(), 1..4), 0..8)
    }

    fn set(paths: Vec<Vec<PathElement>>) -> FieldSet {
        let mut set = FieldSet::default();
        for path in paths {
            set.insert(path);
        }
        set
    }

    proptest! {
        #[test]
        fn sets_are_read_as_they_were_written(paths in paths()) {
            let set = set(paths);
            prop_assert_eq!(FieldSet::parse(&set.to_json()), Some(set));
        }

        #[test]
        fn sets_are_sets(a in paths(), b in paths()) {
            let (left, right) = (set(a.clone()), set(b.clone()));
            let common = left.intersection(&right);
            let (mut united, mut rest) = (left.clone(), left.clone());
            united.unite(&right);
            rest.subtract(&right);
            for path in a.iter().chain(&b) {
                let (l, r) = (left.contains(path), right.contains(path));
                prop_assert_eq!(united.contains(path), l || r);
                prop_assert_eq!(rest.contains(path), l && !r);
                prop_assert_eq!(common.contains(path), l && r);
            }
            united.subtract(&left);
            united.subtract(&right);
            prop_assert!(united.is_empty());
        }
    }

    #[test]
    fn fields_are_written_as_kubernetes_has_them() {
        let fields = json!({"f:spec": {
            "f:replicas": {},
            "f:template": {"f:spec": {"f:containers": {"k:{\"name\":\"web\"}": {".": {}, "f:ports": {
                "k:{\"containerPort\":80,\"protocol\":\"TCP\"}": {".": {}, "f:containerPort": {}},
            }}}}},
        }, "f:metadata": {"f:finalizers": {"v:\"a/b\"": {}}}});
        let set = FieldSet::parse(&fields).unwrap();
        assert_eq!(set.to_json(), fields);
        assert_eq!(
            set.paths(),
            [
                r#".metadata.finalizers[="a/b"]"#,
                ".spec.replicas",
                r#".spec.template.spec.containers[name="web"]"#,
                r#".spec.template.spec.containers[name="web"].ports[containerPort=80,protocol="TCP"]"#,
                r#".spec.template.spec.containers[name="web"].ports[containerPort=80,protocol="TCP"].containerPort"#,
            ]
        );
        for wrong in
            [json!([]), json!({"f:a": 1}), json!({"x:a": {}}), json!({"k:{": {}}), json!({"i:a": {}}), json!({"a": {}})]
        {
            assert_eq!(FieldSet::parse(&wrong), None, "{wrong}");
        }
    }
}
