//! JSON patches (RFC 6902).

use json_patch::{Patch, PatchOperation};
use serde_json::Value;

use super::unprocessable;
use crate::status::Status;

/// So many operations may be in a patch, as upstream has it.
const MAX_OPERATIONS: usize = 10_000;
/// So many bytes of JSON all copies of a patch may add; each can double the object.
const MAX_COPIED: usize = 3 * 1024 * 1024;
/// No value is nested deeper, as none that is read from a request is: what walks over values relies on it.
const MAX_DEPTH: usize = 127;

/// `patch` applied to `current`: all of it or nothing.
///
/// # Errors
/// `BadRequest` if it is not a list of operations, `RequestEntityTooLarge` if there are more than 10,000, `Invalid` if one of them is
/// unknown, names a path that is not there, or is a `test` that fails.
pub fn json_patch(current: &Value, patch: &[u8]) -> Result<Value, Status> {
    let decoded = serde_json::from_slice(patch).map_err(|e| Status::bad_request(e.to_string()))?;
    let Value::Array(operations) = decoded else {
        return Err(Status::bad_request("a JSON patch is a list of operations"));
    };
    if operations.iter().any(|o| !o.is_object()) {
        return Err(Status::bad_request("the operations of a JSON patch are objects"));
    }
    if operations.len() > MAX_OPERATIONS {
        let allowed = format!("The allowed maximum operations in a JSON patch is {MAX_OPERATIONS}, got {}", operations.len());
        return Err(Status::new(413, "RequestEntityTooLarge", format!("Request entity too large: {allowed}")));
    }
    let Patch(operations) = serde_json::from_value(Value::Array(operations)).map_err(|e| unprocessable(e.to_string()))?;
    let mut patched = current.clone();
    let mut copied = 0;
    for operation in &operations {
        keep_small(&patched, operation, &mut copied)?;
        json_patch::patch_unsafe(&mut patched, std::slice::from_ref(operation)).map_err(|e| unprocessable(e.to_string()))?;
    }
    Ok(patched)
}

/// Refuses what would make the object too deep or too large.
fn keep_small(document: &Value, operation: &PatchOperation, copied: &mut usize) -> Result<(), Status> {
    let placed = match operation {
        PatchOperation::Add(o) => Some(&o.value),
        PatchOperation::Replace(o) => Some(&o.value),
        PatchOperation::Move(o) => document.pointer(o.from.as_str()),
        PatchOperation::Copy(o) => document.pointer(o.from.as_str()),
        PatchOperation::Remove(_) | PatchOperation::Test(_) => None,
    };
    let Some(value) = placed else { return Ok(()) };
    if operation.path().count() + depth(value) > MAX_DEPTH {
        return Err(unprocessable(format!("the object would be nested more than {MAX_DEPTH} levels deep")));
    }
    if matches!(operation, PatchOperation::Copy(_)) {
        *copied += value.to_string().len();
        if *copied > MAX_COPIED {
            let told = "Unable to complete the copy, the accumulated size increase of copy is";
            return Err(unprocessable(format!("{told} {copied}, exceeding the limit {MAX_COPIED}")));
        }
    }
    Ok(())
}

/// How many levels of lists and objects a value has.
fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Object(members) => 1 + members.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn patched(current: &Value, patch: &Value) -> Result<Value, Status> {
        json_patch(current, patch.to_string().as_bytes())
    }

    #[test]
    fn operations_are_applied_in_order() {
        let current = json!({"metadata": {"labels": {"a/b": "1"}, "finalizers": ["x"]}, "spec": {"replicas": 1}});
        let patch = json!([
            {"op": "test", "path": "/spec/replicas", "value": 1},
            {"op": "replace", "path": "/spec/replicas", "value": 3},
            {"op": "add", "path": "/metadata/finalizers/-", "value": "y"},
            {"op": "remove", "path": "/metadata/finalizers/0"},
            {"op": "move", "from": "/metadata/labels/a~1b", "path": "/metadata/labels/c"},
            {"op": "copy", "from": "/metadata/labels", "path": "/spec/labels"},
        ]);
        let expected = json!({
            "metadata": {"labels": {"c": "1"}, "finalizers": ["y"]},
            "spec": {"replicas": 3, "labels": {"c": "1"}},
        });
        assert_eq!(patched(&current, &patch).unwrap(), expected);
    }

    #[test]
    fn what_cannot_be_applied_is_refused_as_upstream_does() {
        let current = json!({"spec": {"replicas": 1}});
        let many = Value::Array(vec![json!({"op": "test", "path": "/spec/replicas", "value": 1}); MAX_OPERATIONS + 1]);
        for (patch, code, reason) in [
            (json!([{"op": "test", "path": "/spec/replicas", "value": 2}]), 422, "Invalid"),
            (json!([{"op": "remove", "path": "/spec/paused"}]), 422, "Invalid"),
            (json!([{"op": "remove", "path": ""}]), 422, "Invalid"),
            (json!([{"op": "add", "path": "/metadata/labels/a", "value": "b"}]), 422, "Invalid"),
            (json!([{"op": "jump", "path": "/spec"}]), 422, "Invalid"),
            (json!([{"op": "add", "path": "no/slash", "value": 1}]), 422, "Invalid"),
            (json!({"spec": {}}), 400, "BadRequest"),
            (json!([1]), 400, "BadRequest"),
            (many, 413, "RequestEntityTooLarge"),
        ] {
            let refused = patched(&current, &patch).unwrap_err();
            assert_eq!((refused.code, refused.reason), (code, reason), "{}", refused.message);
            if code == 422 {
                assert_eq!(refused.message, "the server rejected our request due to an error in our request");
            }
        }
        assert_eq!(json_patch(&current, b"[{").unwrap_err().code, 400);
    }

    #[test]
    fn copies_cannot_make_an_object_huge_or_deep() {
        let doubling = json!({"op": "copy", "from": "/a", "path": "/a/-"});
        let refused = patched(&json!({"a": ["x".repeat(1000)]}), &Value::Array(vec![doubling; 40])).unwrap_err();
        assert_eq!(refused.code, 422);
        let inside = "/a".repeat(100);
        let nested = json!([{"op": "add", "path": "/a", "value": {}}, {"op": "copy", "from": "/a", "path": "/a/a"}]);
        assert!(patched(&json!({}), &nested).is_ok());
        let mut deep = json!({});
        for _ in 0..100 {
            deep = json!({"a": deep});
        }
        assert_eq!(patched(&deep, &json!([{"op": "copy", "from": "/a", "path": inside}])).unwrap_err().code, 422);
    }
}
