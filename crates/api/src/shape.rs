//! How a request body is read.
//!
//! Clients written in Go send keys in whatever case their struct tags have, zero values and `null` where they mean
//! nothing, and members of newer API versions. The real service takes all of that; so a body is brought into the
//! contract's spelling before it is decoded.

use std::fmt;

use serde_json::{Map, Value};

/// What the contract says of a JSON value, as far as reading a request needs it.
#[derive(Debug)]
pub enum Shape {
    Any,
    String,
    Bool,
    Integer,
    Number,
    Array(&'static Shape),
    Map(&'static Shape),
    /// Members by name, sorted.
    Object(&'static [(&'static str, Shape)]),
    Ref(&'static Shape),
}

/// A value that is not of the type the contract gives it.
#[derive(Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// Dotted path of the member, such as `workerPool.zones[0].id`; empty for the body itself.
    pub at: String,
    pub expected: &'static str,
    pub found: &'static str,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = if self.at.is_empty() { "the request body" } else { &self.at };
        write!(f, "{at} must be {}, but is {}", self.expected, self.found)
    }
}

/// Whether any text in a value holds a NUL, which no name or ID does, and which not every database can hold.
fn has_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(all) => all.iter().any(has_nul),
        Value::Object(members) => members.iter().any(|(name, value)| name.contains('\0') || has_nul(value)),
        _ => false,
    }
}

impl Shape {
    /// Brings `value` into the contract's spelling: member names are matched exactly first, then without regard to case;
    /// members that are `null` or unknown are dropped.
    ///
    /// # Errors
    /// The first member that is not of the type the contract gives it.
    pub fn conform(&self, value: Value) -> Result<Value, Mismatch> {
        self.walk(value, &mut String::new())
    }

    fn walk(&self, value: Value, at: &mut String) -> Result<Value, Mismatch> {
        match (self, value) {
            (Shape::Ref(shape), value) => shape.walk(value, at),
            (Shape::Any, value) if has_nul(&value) => {
                Err(Mismatch { at: at.clone(), expected: "text without NUL characters", found: "text with one" })
            }
            (Shape::Any, value) => Ok(value),
            // No name or ID holds one, and not every database can.
            (Shape::String, Value::String(text)) if text.contains('\0') => {
                Err(Mismatch { at: at.clone(), expected: "text without NUL characters", found: "text with one" })
            }
            (Shape::String, value @ Value::String(_)) | (Shape::Bool, value @ Value::Bool(_)) => Ok(value),
            (Shape::Number, value @ Value::Number(_)) => Ok(value),
            (Shape::Integer, value) if value.is_i64() => Ok(value),
            (Shape::Array(items), Value::Array(values)) => {
                let mut conformed = Vec::with_capacity(values.len());
                for (index, value) in values.into_iter().enumerate().filter(|(_, v)| !v.is_null()) {
                    conformed.push(within(at, &format!("[{index}]"), |at| items.walk(value, at))?);
                }
                Ok(Value::Array(conformed))
            }
            (Shape::Map(values), Value::Object(members)) => {
                let mut conformed = Map::new();
                for (name, value) in members.into_iter().filter(|(_, v)| !v.is_null()) {
                    let value = within(at, &name, |at| values.walk(value, at))?;
                    conformed.insert(name, value);
                }
                Ok(Value::Object(conformed))
            }
            (Shape::Object(fields), Value::Object(members)) => {
                let mut conformed = Map::new();
                for (name, value) in members.into_iter().filter(|(_, v)| !v.is_null()) {
                    let exact = fields.iter().find(|(field, _)| *field == name);
                    let Some((field, shape)) = exact.or_else(|| fields.iter().find(|(f, _)| f.eq_ignore_ascii_case(&name)))
                    else {
                        continue;
                    };
                    if exact.is_none() && conformed.contains_key(*field) {
                        continue;
                    }
                    let value = within(at, field, |at| shape.walk(value, at))?;
                    conformed.insert((*field).to_owned(), value);
                }
                Ok(Value::Object(conformed))
            }
            (shape, value) => Err(Mismatch { at: at.clone(), expected: shape.noun(), found: noun(&value) }),
        }
    }

    fn noun(&self) -> &'static str {
        match self {
            Shape::Any => "a value",
            Shape::String => "a string",
            Shape::Bool => "true or false",
            Shape::Integer => "a whole number",
            Shape::Number => "a number",
            Shape::Array(_) => "an array",
            Shape::Map(_) | Shape::Object(_) => "an object",
            Shape::Ref(shape) => shape.noun(),
        }
    }
}

fn within<T>(at: &mut String, step: &str, work: impl FnOnce(&mut String) -> Result<T, Mismatch>) -> Result<T, Mismatch> {
    let length = at.len();
    if !at.is_empty() && !step.starts_with('[') {
        at.push('.');
    }
    at.push_str(step);
    let result = work(at)?;
    at.truncate(length);
    Ok(result)
}

fn noun(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(n) if n.is_i64() => "a whole number",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::ops::containers;

    fn conform(body: serde_json::Value) -> Result<serde_json::Value, String> {
        containers::CreateCluster.body.expect("it has a body").conform(body).map_err(|m| m.to_string())
    }

    #[test]
    fn reads_bodies_as_go_clients_write_them() {
        let cases = [
            ("misspelt case", json!({"GatewayEnabled": true}), json!({"gatewayEnabled": true})),
            ("exact name wins", json!({"GATEWAYENABLED": true, "gatewayEnabled": false}), json!({"gatewayEnabled": false})),
            ("null means absent", json!({"name": null, "workerNum": 2}), json!({"workerNum": 2})),
            ("unknown member", json!({"name": "a", "fromTheFuture": {"x": 1}}), json!({"name": "a"})),
        ];
        for (case, given, expected) in cases {
            assert_eq!(conform(given), Ok(expected), "{case}");
        }
    }

    #[test]
    fn names_the_member_that_is_of_the_wrong_type() {
        assert_eq!(conform(json!({"workerNum": "3"})), Err("workerNum must be a whole number, but is a string".to_owned()));
        assert!(conform(json!({"name": "a\0b"})).is_err_and(|e| e.starts_with("name must be text without NUL")));
        assert_eq!(conform(json!([])), Err("the request body must be an object, but is an array".to_owned()));
        let vpc = containers::VpcCreateCluster.body.expect("it has a body");
        let wrong = vpc.conform(json!({"workerPool": {"zones": [{"id": "us-south-1"}, {"id": 2}]}})).unwrap_err();
        assert_eq!(wrong.at, "workerPool.zones[1].id");
    }
}
