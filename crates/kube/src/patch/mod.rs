//! Patches: from an object and what a client sends, the object as it would be. Nothing is validated here.

mod json;
mod lists;
mod strategic;

pub use json::json_patch;
use serde_json::{Map, Value};
pub use strategic::strategic_patch;

use crate::status::{Details, Status};

/// A JSON merge patch (RFC 7396) applied to `current`.
#[must_use]
pub fn merge_patch(current: &Value, patch: &Value) -> Value {
    let mut merged = current.clone();
    merge_into(&mut merged, patch);
    merged
}

fn merge_into(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    if let Value::Object(target) = target {
        for (name, value) in patch {
            if value.is_null() {
                target.remove(name);
            } else {
                merge_into(target.entry(name.as_str()).or_insert(Value::Null), value);
            }
        }
    }
}

/// The answer to a patch that can be read and not be applied. Upstream does not tell why, and what kubectl prints hangs on that: a cause
/// would take the place of the message.
fn unprocessable(why: impl std::fmt::Display) -> Status {
    tracing::debug!(%why, "a patch cannot be applied");
    Status::new(422, "Invalid", "the server rejected our request due to an error in our request").about(Details::default())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    /// Small JSON documents whose names and values often meet.
    pub(super) fn documents() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![Just(Value::Null), any::<bool>().prop_map(Value::from), (0..3).prop_map(Value::from)];
        leaf.prop_recursive(4, 32, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
                prop::collection::btree_map("[abc]", inner, 0..4).prop_map(|m| Value::Object(m.into_iter().collect())),
            ]
        })
    }

    /// The pseudocode of RFC 7396, section 2.
    fn reference(target: Value, patch: &Value) -> Value {
        let Some(patch) = patch.as_object() else { return patch.clone() };
        let mut target = target.as_object().cloned().unwrap_or_default();
        for (name, value) in patch {
            match (value, target.remove(name)) {
                (Value::Null, _) => {}
                (value, before) => {
                    target.insert(name.clone(), reference(before.unwrap_or_default(), value));
                }
            }
        }
        Value::Object(target)
    }

    proptest! {
        #[test]
        fn merge_patches_do_what_the_rfc_says(current in documents(), patch in documents()) {
            prop_assert_eq!(merge_patch(&current, &patch), reference(current, &patch));
        }
    }

    #[test]
    fn merge_patches_of_kubectl() {
        for (current, patch, expected) in [
            // kubectl annotate custom/object a=1 b-
            (
                json!({"metadata": {"annotations": {"b": "2"}}}),
                json!({"metadata": {"annotations": {"a": "1", "b": null}}}),
                json!({"metadata": {"annotations": {"a": "1"}}}),
            ),
            // Lists are replaced, and nulls do not stay in what is new.
            (json!({"spec": {"l": [1, 2]}}), json!({"spec": {"l": [3]}}), json!({"spec": {"l": [3]}})),
            (json!({}), json!({"spec": {"a": {"b": null}}}), json!({"spec": {"a": {}}})),
        ] {
            assert_eq!(merge_patch(&current, &patch), expected);
        }
    }
}
