//! Strategic merge patches: merge patches that know how the fields of a type are merged, and that can say how.

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::{lists, unprocessable};
use crate::status::Status;
use crate::types::Type;

const PATCH: &str = "$patch";
const RETAIN_KEYS: &str = "$retainKeys";
const DELETE_FROM: &str = "$deleteFromPrimitiveList/";
const SET_ORDER: &str = "$setElementOrder/";

/// A strategic merge patch applied to `current`, whose type is `schema`. No directive of the patch is left in the result.
///
/// # Errors
/// `BadRequest` if a directive is not what it has to be, `Invalid` if an item of a list that is merged has no merge key.
pub fn strategic_patch(current: &Value, patch: &Value, schema: &Type) -> Result<Value, Status> {
    let Value::Object(patch) = patch else {
        return Err(Status::bad_request("a strategic merge patch is an object"));
    };
    let current = current.as_object().cloned().unwrap_or_default();
    merge_maps(current, patch, Some(schema)).map(Value::Object)
}

/// The type of a field, as the patch has to be read. Nothing is known of what is under an open type.
fn field<'t>(of: Option<&'t Type>, name: &str) -> Option<&'t Type> {
    of.and_then(|t| t.resolved().property(name))
}

fn has_strategy(of: Option<&Type>, strategy: &str) -> bool {
    of.is_some_and(|t| t.patch_strategy.split(',').any(|s| s == strategy))
}

fn is_directive(name: &str) -> bool {
    name == PATCH || name == RETAIN_KEYS || name.starts_with(DELETE_FROM) || name.starts_with(SET_ORDER)
}

/// What a patch says, where there is nothing to merge it with: without directives and without what it wants removed.
pub(super) fn plain(patch: &Value) -> Value {
    match patch {
        Value::Object(members) => Value::Object(plain_map(members)),
        Value::Array(items) => Value::Array(plain_list(items)),
        other => other.clone(),
    }
}

fn plain_map(patch: &Map<String, Value>) -> Map<String, Value> {
    let kept = patch.iter().filter(|(name, value)| !is_directive(name) && !value.is_null());
    kept.map(|(name, value)| (name.clone(), plain(value))).collect()
}

fn plain_list(patch: &[Value]) -> Vec<Value> {
    // An item that is only there to say `$patch: replace`, or what to delete, is none.
    patch.iter().filter(|item| matches!(item.get(PATCH), None | Some(Value::Null))).map(plain).collect()
}

/// What `$patch` of an object says.
pub(super) enum Directive {
    None,
    Merge,
    Replace,
    Delete,
}

pub(super) fn directive(patch: &Map<String, Value>) -> Result<Directive, Status> {
    match patch.get(PATCH) {
        None => Ok(Directive::None),
        Some(Value::String(s)) if s == "merge" => Ok(Directive::Merge),
        Some(Value::String(s)) if s == "replace" => Ok(Directive::Replace),
        Some(Value::String(s)) if s == "delete" => Ok(Directive::Delete),
        Some(other) => {
            let told = other.as_str().map_or_else(|| other.to_string(), str::to_owned);
            Err(Status::bad_request(format!("unknown patch type: {told} in map: {}", lists::told(patch))))
        }
    }
}

pub(super) fn merge_maps(
    mut target: Map<String, Value>,
    patch: &Map<String, Value>,
    schema: Option<&Type>,
) -> Result<Map<String, Value>, Status> {
    match directive(patch)? {
        Directive::Replace => return Ok(plain_map(patch)),
        Directive::Delete => return Ok(Map::new()),
        Directive::None | Directive::Merge => {}
    }
    retain_keys(&mut target, patch)?;
    // Lists that are told their order are merged with it, and not again below.
    for (directive, order) in patch {
        if let Some(name) = directive.strip_prefix(SET_ORDER) {
            merge_ordered(&mut target, patch, name, order, field(schema, name))?;
        }
    }
    for (directive, items) in patch {
        if let Some(name) = directive.strip_prefix(DELETE_FROM) {
            delete_items(&mut target, name, items)?;
        }
    }
    for (name, value) in patch {
        if is_directive(name) || (value.is_array() && patch.contains_key(&format!("{SET_ORDER}{name}"))) {
            continue;
        }
        if value.is_null() {
            target.remove(name);
            continue;
        }
        let merged = match target.remove(name) {
            Some(before) => merge_values(before, value, field(schema, name))?,
            None => plain(value),
        };
        target.insert(name.clone(), merged);
    }
    Ok(target)
}

/// `schema` is the field's own, which says how it is merged, and maybe refers to what it is.
fn merge_values(before: Value, patch: &Value, schema: Option<&Type>) -> Result<Value, Status> {
    match (before, patch) {
        (Value::Object(before), Value::Object(patch)) if !has_strategy(schema, "replace") => {
            merge_maps(before, patch, schema).map(Value::Object)
        }
        (Value::Array(before), Value::Array(patch)) if has_strategy(schema, "merge") => {
            lists::merge(before, patch, schema).map(Value::Array)
        }
        (_, patch) => Ok(plain(patch)),
    }
}

/// `$retainKeys` names all fields that stay: of a union, the one that is set takes the place of the others.
fn retain_keys(target: &mut Map<String, Value>, patch: &Map<String, Value>) -> Result<(), Status> {
    let Some(retained) = patch.get(RETAIN_KEYS) else { return Ok(()) };
    let Value::Array(retained) = retained else {
        return Err(Status::bad_request("invalid patch format of retainKeys"));
    };
    let is_retained = |name: &str| retained.iter().any(|r| r.as_str() == Some(name));
    if let Some((name, _)) = patch.iter().find(|(name, value)| !value.is_null() && !is_directive(name) && !is_retained(name)) {
        return Err(unprocessable(format!("retainKeys does not name {name}, which the patch has")));
    }
    target.retain(|name, _| is_retained(name));
    Ok(())
}

fn merge_ordered(
    target: &mut Map<String, Value>,
    patch: &Map<String, Value>,
    name: &str,
    order: &Value,
    schema: Option<&Type>,
) -> Result<(), Status> {
    let Value::Array(order) = order else {
        return Err(Status::bad_request("invalid patch format of setElementOrder list"));
    };
    let changes = match patch.get(name) {
        None => None,
        Some(Value::Array(changes)) => Some(changes),
        // It is removed: nothing is left to be ordered.
        Some(Value::Null) => return Ok(()),
        Some(_) => return Err(Status::bad_request("invalid patch format of setElementOrder list")),
    };
    let key = schema.and_then(|t| t.patch_merge_key.as_deref());
    if let Some(changes) = changes {
        lists::check_order(changes, order, key)?;
    }
    let (before, merged) = match (target.remove(name), changes) {
        (None, None) => return Ok(()),
        (Some(Value::Array(before)), None) => (before.clone(), before),
        (Some(Value::Array(before)), Some(changes)) if has_strategy(schema, "merge") => {
            (before.clone(), lists::merge(before, changes, schema)?)
        }
        (Some(_) | None, Some(changes)) => (Vec::new(), plain_list(changes)),
        (Some(other), None) => {
            target.insert(name.to_owned(), other);
            return Ok(());
        }
    };
    target.insert(name.to_owned(), Value::Array(lists::ordered(merged, order, &before, key)?));
    Ok(())
}

/// `$deleteFromPrimitiveList/finalizers` and the like. Whether the list is merged does not matter.
fn delete_items(target: &mut Map<String, Value>, name: &str, items: &Value) -> Result<(), Status> {
    let Value::Array(items) = items else {
        return Err(Status::bad_request("invalid patch format of primitive list"));
    };
    if let Some(Value::Array(before)) = target.get_mut(name) {
        let unwanted: HashSet<&Value> = items.iter().collect();
        before.retain(|item| !unwanted.contains(item));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::super::tests::documents;
    use super::*;
    use crate::types::definitions;

    /// Group, version and kind.
    type Kind = (&'static str, &'static str, &'static str);

    fn patched(kind: Kind, current: &Value, patch: &Value) -> Result<Value, Status> {
        let (group, version, kind) = kind;
        strategic_patch(current, patch, definitions().of_kind(group, version, kind).unwrap())
    }

    const POD: Kind = ("", "v1", "Pod");
    const SERVICE: Kind = ("", "v1", "Service");
    const DEPLOYMENT: Kind = ("apps", "v1", "Deployment");

    /// A case: what of, before, patch, after.
    fn check(cases: &[(Kind, Value, Value, Value)]) {
        for (kind, current, patch, expected) in cases {
            let merged = patched(*kind, current, patch).unwrap_or_else(|e| panic!("{e}: {patch}"));
            assert_eq!(merged, *expected, "{patch}");
        }
    }

    fn template(containers: &Value) -> Value {
        json!({"spec": {"template": {"spec": {"containers": containers}}}})
    }

    #[test]
    fn lists_of_objects_are_merged_by_their_key() {
        let set_image = template(&json!([{"name": "web", "image": "nginx:2"}]));
        let before = template(
            &json!([{"name": "log", "image": "l"}, {"name": "web", "image": "nginx:1", "env": [{"name": "A", "value": "1"}]}]),
        );
        check(&[
            // kubectl set image
            (
                DEPLOYMENT,
                before.clone(),
                set_image,
                template(
                    &json!([{"name": "log", "image": "l"}, {"name": "web", "image": "nginx:2", "env": [{"name": "A", "value": "1"}]}]),
                ),
            ),
            // kubectl set env: one more, one changed, one removed.
            (
                DEPLOYMENT,
                template(&json!([{"name": "web", "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "1"}]}])),
                template(
                    &json!([{"name": "web", "env": [{"name": "C", "value": "1"}, {"name": "A", "$patch": "delete"}, {"name": "B", "value": "2"}]}]),
                ),
                template(&json!([{"name": "web", "env": [{"name": "C", "value": "1"}, {"name": "B", "value": "2"}]}])),
            ),
            // What is new comes first, unless the order is told.
            (
                DEPLOYMENT,
                before.clone(),
                template(&json!([{"name": "new", "image": "n"}])),
                template(
                    &json!([{"name": "new", "image": "n"}, {"name": "log", "image": "l"}, {"name": "web", "image": "nginx:1", "env": [{"name": "A", "value": "1"}]}]),
                ),
            ),
            // Service ports by number.
            (
                SERVICE,
                json!({"spec": {"ports": [{"port": 80, "nodePort": 30000, "protocol": "TCP"}]}}),
                json!({"spec": {"ports": [{"port": 80, "name": "http"}, {"port": 443}]}}),
                json!({"spec": {"ports": [{"port": 80, "nodePort": 30000, "protocol": "TCP", "name": "http"}, {"port": 443}]}}),
            ),
            // Tolerations are replaced as a whole.
            (
                POD,
                json!({"spec": {"tolerations": [{"key": "a"}, {"key": "b"}]}}),
                json!({"spec": {"tolerations": [{"key": "c"}]}}),
                json!({"spec": {"tolerations": [{"key": "c"}]}}),
            ),
            // A patch of what is not there leaves no directives.
            (
                POD,
                json!({}),
                json!({"spec": {"$retainKeys": ["containers"], "containers": [{"name": "a", "x": null}, {"$patch": "delete", "name": "b"}], "$setElementOrder/containers": [{"name": "a"}]}}),
                json!({"spec": {"containers": [{"name": "a"}]}}),
            ),
        ]);
    }

    #[test]
    fn kubectl_apply_and_edit_tell_the_order() {
        check(&[
            // One container added in front of the one that is there, which somebody else changed.
            (
                DEPLOYMENT,
                template(&json!([{"name": "web", "image": "w", "tty": true}, {"name": "sidecar", "image": "s"}])),
                json!({"spec": {"template": {"spec": {
                    "$setElementOrder/containers": [{"name": "first"}, {"name": "web"}],
                    "containers": [{"name": "first", "image": "f"}],
                }}}}),
                template(
                    &json!([{"name": "first", "image": "f"}, {"name": "web", "image": "w", "tty": true}, {"name": "sidecar", "image": "s"}]),
                ),
            ),
            // Only the order changes.
            (
                DEPLOYMENT,
                template(&json!([{"name": "a"}, {"name": "b"}])),
                json!({"spec": {"template": {"spec": {"$setElementOrder/containers": [{"name": "b"}, {"name": "a"}]}}}}),
                template(&json!([{"name": "b"}, {"name": "a"}])),
            ),
            // A container removed.
            (
                DEPLOYMENT,
                template(&json!([{"name": "a"}, {"name": "b"}])),
                json!({"spec": {"template": {"spec": {"$setElementOrder/containers": [{"name": "b"}], "containers": [{"$patch": "delete", "name": "a"}]}}}}),
                template(&json!([{"name": "b"}])),
            ),
            // Finalizers: one removed, one added, one of somebody else's.
            (
                POD,
                json!({"metadata": {"finalizers": ["a", "b", "other"]}}),
                json!({"metadata": {"$deleteFromPrimitiveList/finalizers": ["a"], "$setElementOrder/finalizers": ["b", "c"], "finalizers": ["c"]}}),
                json!({"metadata": {"finalizers": ["b", "c", "other"]}}),
            ),
            (
                POD,
                json!({"metadata": {"finalizers": ["a"]}}),
                json!({"metadata": {"finalizers": ["a", "b"]}}),
                json!({"metadata": {"finalizers": ["a", "b"]}}),
            ),
        ]);
    }

    #[test]
    fn objects_are_merged_replaced_or_emptied() {
        check(&[
            // kubectl label, annotate, rollout restart
            (
                DEPLOYMENT,
                json!({"metadata": {"labels": {"a": "1", "b": "2"}}, "spec": {"replicas": 2}}),
                json!({"metadata": {"labels": {"b": null, "c": "3"}}, "spec": {"template": {"metadata": {"annotations": {"at": "now"}}}}}),
                json!({"metadata": {"labels": {"a": "1", "c": "3"}}, "spec": {"replicas": 2, "template": {"metadata": {"annotations": {"at": "now"}}}}}),
            ),
            // The strategy of a deployment is a union.
            (
                DEPLOYMENT,
                json!({"spec": {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}}}),
                json!({"spec": {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}}),
                json!({"spec": {"strategy": {"type": "Recreate"}}}),
            ),
            (
                POD,
                json!({"spec": {"volumes": [{"name": "v", "emptyDir": {}}]}}),
                json!({"spec": {"volumes": [{"$retainKeys": ["name", "configMap"], "name": "v", "configMap": {"name": "c"}}]}}),
                json!({"spec": {"volumes": [{"name": "v", "configMap": {"name": "c"}}]}}),
            ),
            (
                POD,
                json!({"metadata": {"labels": {"a": "1"}}, "spec": {"nodeSelector": {"x": "y"}}}),
                json!({"metadata": {"labels": {"$patch": "replace", "b": "2"}}, "spec": {"nodeSelector": {"$patch": "delete"}}}),
                json!({"metadata": {"labels": {"b": "2"}}, "spec": {"nodeSelector": {}}}),
            ),
            (
                POD,
                json!({"spec": {"containers": [{"name": "a"}, {"name": "b"}]}}),
                json!({"spec": {"containers": [{"$patch": "replace"}, {"name": "c"}]}}),
                json!({"spec": {"containers": [{"name": "c"}]}}),
            ),
        ]);
    }

    #[test]
    fn patches_that_cannot_be_read_are_refused() {
        let current = json!({"spec": {"containers": [{"name": "a"}]}});
        let rejected = "the server rejected our request due to an error in our request";
        for (patch, code, message) in [
            (
                json!({"spec": {"containers": [{"image": "x"}]}}),
                422,
                "map: map[image:x] does not contain declared merge key: name",
            ),
            (json!({"spec": {"containers": ["x"]}}), 422, rejected),
            (json!({"spec": {"$patch": "jump"}}), 400, "unknown patch type: jump in map: map[$patch:jump]"),
            (json!({"spec": {"$retainKeys": 1}}), 400, "invalid patch format of retainKeys"),
            (json!({"spec": {"$retainKeys": [], "hostname": "h"}}), 422, rejected),
            (json!({"spec": {"$setElementOrder/containers": 1}}), 400, "invalid patch format of setElementOrder list"),
            (json!({"spec": {"$deleteFromPrimitiveList/x": 1}}), 400, "invalid patch format of primitive list"),
            (
                json!({"spec": {"$setElementOrder/containers": [{"name": "b"}], "containers": [{"name": "c"}]}}),
                400,
                "The order in patch list:\n[map[name:c]]\n doesn't match $setElementOrder list:\n[map[name:b]]\n",
            ),
            (json!([]), 400, "a strategic merge patch is an object"),
        ] {
            let refused = patched(POD, &current, &patch).unwrap_err();
            assert_eq!((refused.code, refused.message.as_str()), (code, message));
        }
    }

    /// Whether something that only patches have is in it.
    fn has_directives(value: &Value) -> bool {
        match value {
            Value::Object(members) => members.iter().any(|(name, value)| is_directive(name) || has_directives(value)),
            Value::Array(items) => items.iter().any(has_directives),
            _ => false,
        }
    }

    fn with_directives() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![Just(Value::Null), Just(json!("delete")), Just(json!("replace")), (0..3).prop_map(Value::from)];
        let name = "name|spec|containers|env|ports|metadata|finalizers|[$]patch|[$]retainKeys|[$]setElementOrder/containers|[$]deleteFromPrimitiveList/finalizers";
        leaf.prop_recursive(5, 48, 4, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
                prop::collection::btree_map(name, inner, 0..4).prop_map(|m| Value::Object(m.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn an_empty_patch_changes_nothing(current in documents()) {
            prop_assume!(current.is_object());
            prop_assert_eq!(patched(POD, &current, &json!({})).unwrap(), current);
        }

        #[test]
        fn directives_never_get_into_an_object(current in documents(), spec in with_directives()) {
            let current = json!({"spec": current});
            if let Ok(merged) = patched(POD, &current, &json!({"spec": spec})) {
                prop_assert!(!has_directives(&merged), "{}", merged);
            }
        }
    }
}
