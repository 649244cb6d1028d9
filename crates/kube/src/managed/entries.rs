//! The entries of `metadata.managedFields`.

use std::collections::HashMap;

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::Writer;
use super::fields::FieldSet;
use crate::object::{member, text, time};

/// So many managers that update are told apart; the fields of those that did so first are put together.
const MAX_UPDATERS: usize = 10;
const OLD_UPDATES: &str = "ancient-changes";

/// What one manager owns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) manager: String,
    /// Whether it applies; otherwise it updates.
    pub(super) applied: bool,
    pub(super) api_version: String,
    pub(super) subresource: String,
    /// As it was written.
    pub(super) time: Option<String>,
    pub(super) set: FieldSet,
}

impl Entry {
    pub(super) fn new(writer: &Writer<'_>, applied: bool, set: FieldSet) -> Self {
        Self {
            manager: writer.manager.to_owned(),
            applied,
            api_version: writer.api_version.to_owned(),
            subresource: writer.subresource.to_owned(),
            time: Some(time(writer.time)),
            set,
        }
    }

    /// Whether it is the one of this writer. Who applies has one entry, whatever the version of the API.
    pub(super) fn is_of(&self, writer: &Writer<'_>, applied: bool) -> bool {
        self.applied == applied
            && self.manager == writer.manager
            && self.subresource == writer.subresource
            && (applied || self.api_version == writer.api_version)
    }

    fn parse(entry: &Value) -> Option<Self> {
        let applied = match text(entry, "/operation") {
            "Apply" => true,
            "Update" => false,
            _ => return None,
        };
        if !matches!(text(entry, "/fieldsType"), "" | "FieldsV1") {
            return None;
        }
        let set = match &entry["fieldsV1"] {
            Value::Null => FieldSet::default(),
            fields => FieldSet::parse(fields)?,
        };
        let owned = |pointer| text(entry, pointer).to_owned();
        let time = entry["time"].as_str().map(str::to_owned);
        let (manager, api_version, subresource) = (owned("/manager"), owned("/apiVersion"), owned("/subresource"));
        Some(Self { manager, applied, api_version, subresource, time, set })
    }

    fn to_json(&self) -> Value {
        let mut entry = Map::new();
        let mut put = |name: &str, value: &str| {
            if !value.is_empty() {
                entry.insert(name.to_owned(), value.into());
            }
        };
        put("manager", &self.manager);
        put("operation", self.operation());
        put("apiVersion", &self.api_version);
        put("time", self.time.as_deref().unwrap_or_default());
        put("fieldsType", "FieldsV1");
        put("subresource", &self.subresource);
        entry.insert("fieldsV1".to_owned(), self.set.to_json());
        Value::Object(entry)
    }

    fn operation(&self) -> &'static str {
        if self.applied { "Apply" } else { "Update" }
    }

    /// Seconds since 1970; 0 if there is no time.
    fn seconds(&self) -> i64 {
        self.time.as_deref().and_then(|t| t.parse::<Timestamp>().ok()).map_or(0, Timestamp::as_second)
    }

    /// As messages of conflicts have it: `"kubectl" using apps/v1`.
    pub(super) fn told(&self) -> String {
        let mut told = format!("{:?}", self.manager);
        if !self.subresource.is_empty() {
            told = format!("{told} with subresource {:?}", self.subresource);
        }
        if self.applied { told } else { format!("{told} using {}", self.api_version) }
    }
}

/// Reads `metadata.managedFields`; nothing if it is not a list of entries.
pub(super) fn parse(managed: &Value) -> Option<Vec<Entry>> {
    managed.as_array()?.iter().map(Entry::parse).collect()
}

/// The entries that an object has.
pub(super) fn of(object: &Value) -> Vec<Entry> {
    parse(&object["metadata"]["managedFields"]).unwrap_or_default()
}

/// Whether a client wants its object to forget who owns what: it sends an empty list, or one of an empty entry.
pub(super) fn is_reset(managed: &Value) -> bool {
    match managed.as_array().map(Vec::as_slice) {
        Some([]) => true,
        Some([one]) => one.as_object().is_some_and(Map::is_empty),
        _ => false,
    }
}

/// Puts the entries that own something into an object, in upstream's order.
pub(super) fn put(mut entries: Vec<Entry>, object: &mut Value) {
    entries.retain(|e| !e.set.is_empty());
    entries.sort_by(|a, b| {
        let order = |e: &Entry| (e.operation(), e.seconds());
        order(a).cmp(&order(b)).then_with(|| {
            let names = |e: &Entry| (e.manager.clone(), e.api_version.clone(), e.subresource.clone());
            names(a).cmp(&names(b))
        })
    });
    let metadata = member(object, "/metadata");
    if entries.is_empty() {
        metadata.remove("managedFields");
    } else {
        metadata.insert("managedFields".into(), entries.iter().map(Entry::to_json).collect());
    }
}

/// Puts the oldest updaters of a version together, as many as are too many.
pub(super) fn cap(entries: Vec<Entry>) -> Vec<Entry> {
    let (mut updaters, mut capped): (Vec<_>, Vec<_>) = entries.into_iter().partition(|e| !e.applied && !e.set.is_empty());
    if updaters.len() <= MAX_UPDATERS {
        capped.extend(updaters);
        return capped;
    }
    // What was put together before is where more is put.
    updaters.sort_by_cached_key(|e| (e.manager != OLD_UPDATES, e.seconds(), e.manager.clone()));
    let mut too_many = updaters.len() - MAX_UPDATERS;
    let mut first_of_version: HashMap<String, usize> = HashMap::new();
    let mut kept: Vec<Entry> = Vec::with_capacity(MAX_UPDATERS);
    for updater in updaters {
        let first = first_of_version.get(&updater.api_version).and_then(|n| kept.get_mut(*n));
        match first {
            Some(bucket) if too_many > 0 => {
                OLD_UPDATES.clone_into(&mut bucket.manager);
                bucket.subresource.clear();
                bucket.set.unite(&updater.set);
                bucket.time = updater.time;
                too_many -= 1;
            }
            _ => {
                first_of_version.entry(updater.api_version.clone()).or_insert(kept.len());
                kept.push(updater);
            }
        }
    }
    capped.extend(kept);
    capped
}
