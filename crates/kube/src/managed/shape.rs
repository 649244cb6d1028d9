//! What a value is made of as far as ownership goes: which objects and lists are owned as a whole, which field by field.

use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::LazyLock;

use serde_json::{Map, Value};

use super::fields::{FieldSet, PathElement};
use crate::types::{Type, definitions};

/// Fields that published types hold by value, and so always have: nobody owns that they are there.
const BY_VALUE: [&str; 7] = ["metadata", "spec", "status", "template", "strategy", "updateStrategy", "jobTemplate"];

pub(super) static EMPTY: LazyLock<Value> = LazyLock::new(|| Value::Object(Map::new()));

/// A place in a type. Nothing is known of what is under an open type: its objects are owned field by field, its lists as a whole.
#[derive(Clone, Copy)]
pub(super) struct Node<'t> {
    /// The field's own type, which maybe refers to what it is.
    field: Option<&'t Type>,
    /// Whether it is an object with `apiVersion`, `kind` and `metadata`.
    embedded: bool,
}

/// How a list is owned.
#[derive(Clone, Copy)]
enum List<'t> {
    Atomic,
    Set,
    Keyed(&'t [String]),
}

/// What is in a value that is not owned as a whole.
pub(super) enum Children<'v> {
    Map(&'v Map<String, Value>),
    List(Vec<(PathElement, &'v Value)>),
}

impl Children<'_> {
    pub(super) fn is_empty(&self) -> bool {
        match self {
            Self::Map(members) => members.is_empty(),
            Self::List(items) => items.is_empty(),
        }
    }
}

impl<'t> Node<'t> {
    pub(super) fn root(schema: &'t Type) -> Self {
        Self { field: Some(schema), embedded: true }
    }

    fn resolved(self) -> Option<&'t Type> {
        self.field.map(Type::resolved)
    }

    pub(super) fn member(self, name: &str) -> Self {
        if self.embedded && name == "metadata" {
            // Custom types say nothing of it, or only which names they want.
            return Self { field: definitions().named("io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"), embedded: false };
        }
        let field = self.resolved().and_then(|t| t.property(name));
        Self { field, embedded: field.is_some_and(|t| t.resolved().embedded_resource) }
    }

    pub(super) fn item(self) -> Self {
        let field = self.resolved().and_then(|t| t.items.as_deref());
        Self { field, embedded: field.is_some_and(|t| t.resolved().embedded_resource) }
    }

    /// Whether the type names this field, other than as any key of a map.
    pub(super) fn declares(self, name: &str) -> bool {
        (self.embedded && matches!(name, "apiVersion" | "kind" | "metadata"))
            || self.resolved().is_some_and(|t| t.properties.contains_key(name))
    }

    /// Whether null is one of its values, and not the same as nothing.
    pub(super) fn is_nullable(self) -> bool {
        self.field.is_none_or(|t| t.nullable || t.resolved().nullable || t.preserve_unknown_fields)
    }

    /// What a published type has in a field that is not written.
    pub(super) fn unwritten(self, name: &str) -> Option<&'static Value> {
        const NULL: &Value = &Value::Null;
        if self.embedded && name == "metadata" {
            return Some(&EMPTY);
        }
        let field = self.resolved()?.properties.get(name)?;
        if field.reference().is_some() {
            return BY_VALUE.contains(&name).then_some(&*EMPTY);
        }
        let published = self.field.is_some_and(|t| t.reference().is_some());
        (published && field.kind == "array" && self.resolved()?.required.iter().any(|r| r == name)).then_some(NULL)
    }

    fn is_atomic_map(self) -> bool {
        self.field.is_some_and(|t| t.map_type == "atomic" || t.resolved().map_type == "atomic")
    }

    fn list(self) -> List<'t> {
        let Some(field) = self.field else { return List::Atomic };
        let of = if field.list_type.is_empty() { field.resolved() } else { field };
        match (of.list_type.as_str(), &of.patch_merge_key) {
            ("map", _) => List::Keyed(&of.list_map_keys),
            ("set", _) => List::Set,
            // Types that are older than list types say the same by how they are patched.
            ("", key) if of.patch_strategy.split(',').any(|s| s == "merge") => {
                key.as_ref().map_or(List::Set, |key| List::Keyed(std::slice::from_ref(key)))
            }
            _ => List::Atomic,
        }
    }

    /// Whether a value, of the form that it has, is owned by parts.
    pub(super) fn is_granular(self, value: &Value) -> bool {
        match value {
            Value::Object(_) => !self.is_atomic_map(),
            Value::Array(_) => !matches!(self.list(), List::Atomic),
            _ => false,
        }
    }

    /// The parts of a value; nothing if it is owned as a whole, as a list is whose items cannot be told apart.
    pub(super) fn children<'v>(self, value: &'v Value) -> Option<Children<'v>> {
        match value {
            Value::Object(members) if !self.is_atomic_map() => Some(Children::Map(members)),
            Value::Array(items) => {
                let elements: Option<Vec<_>> = match self.list() {
                    List::Atomic => None,
                    List::Set | List::Keyed(_) => items.iter().map(|i| Some((self.element(i).ok()?, i))).collect(),
                };
                elements.map(Children::List)
            }
            _ => None,
        }
    }

    /// What identifies an item of its list, or why nothing does.
    pub(super) fn element(self, item: &Value) -> Result<PathElement, String> {
        let keys = match self.list() {
            List::Atomic => return Err("items of an atomic list are not merged".to_owned()),
            List::Set => return Ok(PathElement::Value(item.to_string().into())),
            List::Keyed(keys) => keys,
        };
        let Value::Object(members) = item else {
            return Err("associative list with keys may not have non-map elements".to_owned());
        };
        let mut found = Vec::with_capacity(keys.len());
        for key in keys {
            let value = match members.get(key) {
                Some(value) if !value.is_null() => Cow::Borrowed(value),
                _ => self.default_of(key).ok_or_else(|| {
                    format!("associative list with keys has an element that omits key field {key:?} (and doesn't have default value)")
                })?,
            };
            found.push((key.as_str(), value));
        }
        Ok(PathElement::keys(found.iter().map(|(k, v)| (*k, v.as_ref()))))
    }

    /// The default of a key of its items. The published types do not tell theirs.
    fn default_of(self, key: &str) -> Option<Cow<'t, Value>> {
        let item = self.item().field?;
        if let Some(default) = item.resolved().properties.get(key).and_then(|p| p.default.as_ref()) {
            return Some(Cow::Borrowed(default));
        }
        item.reference().filter(|_| !item.resolved().required.iter().any(|r| r == key))?;
        match key {
            "protocol" => Some(Cow::Owned("TCP".into())),
            "name" => Some(Cow::Owned("".into())),
            _ => None,
        }
    }

    /// The fields of a value that is applied: what whoever applies it owns.
    pub(super) fn set_of(self, value: &Value) -> FieldSet {
        let mut set = FieldSet::default();
        match self.children(value) {
            None => set.member = true,
            Some(Children::Map(members)) => {
                for (name, value) in members {
                    let mut child = self.member(name).set_of(value);
                    let is_empty = value.is_null() || value.as_object().is_some_and(Map::is_empty);
                    child.member |= is_empty || !self.declares(name);
                    set.hang(PathElement::Field(name.as_str().into()), child);
                }
            }
            Some(Children::List(items)) => {
                for (element, item) in items {
                    let mut child = self.item().set_of(item);
                    child.member = true;
                    set.hang(element, child);
                }
            }
        }
        set
    }

    /// What of an applied value cannot be merged: fields that the type does not have, and items that cannot be told apart.
    pub(super) fn problems(self, value: &Value, path: &str, found: &mut Vec<String>) {
        match value {
            Value::Object(members) => {
                for (name, inner) in members {
                    let path = format!("{path}.{name}");
                    let closed = self.resolved().is_some_and(|t| !t.is_open() && t.property(name).is_none());
                    if closed && !self.declares(name) {
                        found.push(format!("{path}: field not declared in schema"));
                    } else {
                        self.member(name).problems(inner, &path, found);
                    }
                }
            }
            Value::Array(items) if matches!(self.list(), List::Atomic) => {
                for (n, item) in items.iter().enumerate() {
                    self.item().problems(item, &format!("{path}[{n}]"), found);
                }
            }
            Value::Array(items) => {
                let mut seen = HashSet::new();
                for (n, item) in items.iter().enumerate() {
                    match self.element(item) {
                        Err(why) => found.push(format!("{path}: element {n}: {why}")),
                        Ok(element) => {
                            self.item().problems(item, &format!("{path}{element}"), found);
                            if let Some(twice) = seen.replace(element) {
                                found.push(format!("{path}: duplicate entries for key {twice}"));
                            }
                        }
                    }
                }
            }
            _ => {}
        }
    }
}
