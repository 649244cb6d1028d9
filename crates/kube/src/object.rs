//! Objects as they are kept.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use jiff::{Timestamp, tz::Offset};
use serde_json::{Map, Value, json};

/// Which object: the resource as `deployments.apps` (or `pods`, of the core group), the namespace (empty if it is in none), the name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    pub resource: Arc<str>,
    pub namespace: Arc<str>,
    pub name: Arc<str>,
}

impl Key {
    #[must_use]
    pub fn new(resource: &str, namespace: &str, name: &str) -> Self {
        Self { resource: resource.into(), namespace: namespace.into(), name: name.into() }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.namespace.is_empty() {
            write!(f, "{}/{}", self.resource, self.name)
        } else {
            write!(f, "{}/{}/{}", self.resource, self.namespace, self.name)
        }
    }
}

/// An object at one revision.
#[derive(Clone, Debug)]
pub struct Object {
    pub key: Key,
    /// Its `resourceVersion`.
    pub revision: u64,
    value: Arc<Value>,
    /// What is not in the value because clusters share it: see [`Object::shared`].
    stamp: Option<Arc<Stamp>>,
    /// See [`Object::size`].
    size: usize,
    /// Whether the cluster began with an object of this key, so that its absence has to be remembered.
    pub(crate) initial: bool,
}

/// What makes an object of a shared value one of a cluster.
#[derive(Clone, Debug)]
struct Stamp {
    uid: String,
    created: String,
}

impl Object {
    /// An object whose value is complete.
    #[must_use]
    pub fn new(key: Key, revision: u64, value: Value) -> Self {
        let size = size(&value);
        Self { key, revision, value: Arc::new(value), stamp: None, size, initial: false }
    }

    /// An object that every cluster has from its beginning: only `uid` and the time of creation are its own.
    #[must_use]
    pub fn shared(key: Key, revision: u64, value: Arc<Value>, uid: String, created: Timestamp) -> Self {
        let stamp = Some(Arc::new(Stamp { uid, created: time(created) }));
        Self { key, revision, value, stamp, size: 0, initial: true }
    }

    /// About how many bytes of memory its value takes: none if clusters share it.
    #[must_use]
    pub fn size(&self) -> usize {
        self.size
    }

    /// Whether it is still what every cluster begins with.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        self.stamp.is_some()
    }

    /// The whole object.
    #[must_use]
    pub fn value(&self) -> Cow<'_, Value> {
        match &self.stamp {
            None => Cow::Borrowed(&self.value),
            Some(stamp) => {
                let mut value = (*self.value).clone();
                value["metadata"]["uid"] = json!(stamp.uid);
                value["metadata"]["creationTimestamp"] = json!(stamp.created);
                value["metadata"]["resourceVersion"] = json!(self.revision.to_string());
                Cow::Owned(value)
            }
        }
    }

    /// The object but for `uid`, `creationTimestamp` and `resourceVersion`, which a shared one has apart. Costs nothing.
    #[must_use]
    pub fn content(&self) -> &Value {
        &self.value
    }

    #[must_use]
    pub fn uid(&self) -> &str {
        match &self.stamp {
            Some(stamp) => &stamp.uid,
            None => text(&self.value, "/metadata/uid"),
        }
    }

    #[must_use]
    pub fn kind(&self) -> &str {
        text(&self.value, "/kind")
    }

    #[must_use]
    pub fn api_version(&self) -> &str {
        text(&self.value, "/apiVersion")
    }

    /// Its labels, if it has any.
    #[must_use]
    pub fn labels(&self) -> Option<&Map<String, Value>> {
        self.value.pointer("/metadata/labels").and_then(Value::as_object)
    }

    #[must_use]
    pub fn annotation(&self, name: &str) -> Option<&str> {
        self.value.pointer("/metadata/annotations")?.get(name)?.as_str()
    }

    /// Whether it waits for its finalizers, or for its containers, to be gone.
    #[must_use]
    pub fn is_terminating(&self) -> bool {
        self.value.pointer("/metadata/deletionTimestamp").is_some_and(|t| !t.is_null())
    }

    /// Who owns it.
    #[must_use]
    pub fn owners(&self) -> &[Value] {
        self.value.pointer("/metadata/ownerReferences").and_then(Value::as_array).map_or(&[], Vec::as_slice)
    }

    /// The one of its owners that controls it.
    #[must_use]
    pub fn controller(&self) -> Option<&Value> {
        self.owners().iter().find(|owner| owner["controller"] == json!(true))
    }
}

/// What [`Value::pointer`] finds, without making a text of each of the pointer's parts unless one is escaped.
fn at<'a>(value: &'a Value, pointer: &str) -> Option<&'a Value> {
    if pointer.contains('~') {
        return value.pointer(pointer);
    }
    pointer.split('/').skip(1).try_fold(value, |at, part| match at {
        Value::Object(members) => members.get(part),
        Value::Array(items) => items.get(part.parse::<usize>().ok()?),
        _ => None,
    })
}

/// About how many bytes of memory a value takes. Small values take several times what they take as JSON, which a client could make use of.
#[must_use]
pub fn size(value: &Value) -> usize {
    let content = match value {
        Value::String(text) => text.len(),
        Value::Array(items) => items.iter().map(size).sum(),
        Value::Object(members) => members.iter().map(|(name, value)| size_of::<String>() + name.len() + size(value)).sum(),
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
    };
    size_of::<Value>() + content
}

/// A text in a value, empty if it is not there.
#[must_use]
pub fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    at(value, pointer).and_then(Value::as_str).unwrap_or_default()
}

/// A whole number in a value.
#[must_use]
pub fn number(value: &Value, pointer: &str) -> Option<i64> {
    at(value, pointer).and_then(Value::as_i64)
}

/// An array in a value, empty if it is not there.
#[must_use]
pub fn array<'a>(value: &'a Value, pointer: &str) -> &'a [Value] {
    at(value, pointer).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// The object at `pointer`, made if it is not there. `pointer` names members only.
pub fn member<'a>(value: &'a mut Value, pointer: &str) -> &'a mut Map<String, Value> {
    let mut at = value;
    for name in pointer.split('/').filter(|n| !n.is_empty()) {
        if !at.is_object() {
            *at = Value::Object(Map::new());
        }
        at = &mut at[name];
    }
    if !at.is_object() {
        *at = Value::Object(Map::new());
    }
    match at {
        Value::Object(map) => map,
        _ => unreachable!("it was made an object above"),
    }
}

/// `2026-01-31T12:00:00Z`, as `metav1.Time` is written.
#[must_use]
pub fn time(at: Timestamp) -> String {
    Offset::UTC.to_datetime(at).strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// `2026-01-31T12:00:00.000000Z`, as `metav1.MicroTime` is written.
#[must_use]
pub fn micro_time(at: Timestamp) -> String {
    Offset::UTC.to_datetime(at).strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string()
}
