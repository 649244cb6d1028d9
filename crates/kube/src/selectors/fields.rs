//! Field selectors: which fields objects of a kind are selected by.

use std::borrow::Cow;

use serde_json::Value;

use crate::object::text;
use crate::resources::Resource;
use crate::status::Status;

/// Which fields of a kind can be selected by, beyond `metadata.name` and `metadata.namespace`.
const FIELDS: [(&str, &str, &[&str]); 9] = [
    (
        "",
        "Pod",
        &[
            "spec.nodeName",
            "spec.host",
            "spec.restartPolicy",
            "spec.schedulerName",
            "spec.serviceAccountName",
            "spec.hostNetwork",
            "status.phase",
            "status.podIP",
            "status.podIPs",
            "status.nominatedNodeName",
        ],
    ),
    ("", "Node", &["spec.unschedulable"]),
    ("", "ReplicationController", &["status.replicas"]),
    ("", "Namespace", &["status.phase"]),
    ("", "Secret", &["type"]),
    ("", "Service", &["spec.clusterIP", "spec.type"]),
    (
        "",
        "Event",
        &[
            "involvedObject.kind",
            "involvedObject.namespace",
            "involvedObject.name",
            "involvedObject.uid",
            "involvedObject.apiVersion",
            "involvedObject.resourceVersion",
            "involvedObject.fieldPath",
            "reason",
            "reportingComponent",
            "source",
            "type",
        ],
    ),
    (
        "events.k8s.io",
        "Event",
        &[
            "regarding.kind",
            "regarding.namespace",
            "regarding.name",
            "regarding.uid",
            "regarding.apiVersion",
            "regarding.resourceVersion",
            "regarding.fieldPath",
            "reason",
            "reportingController",
            "type",
        ],
    ),
    ("batch", "Job", &["status.successful"]),
];

/// One condition on a field of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Term {
    field: String,
    /// Where it is in an object.
    pointer: String,
    value: String,
    equal: bool,
}

/// Conditions on fields, all of which have to hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldSelector {
    terms: Vec<Term>,
}

impl FieldSelector {
    /// Reads `metadata.name=web,status.phase!=Running` for a resource. 400 if it cannot be read, or names a field that objects of the
    /// resource are not selected by.
    pub fn parse(selector: &str, resource: &Resource) -> Result<Self, Status> {
        let mut terms = Vec::new();
        for part in split_unescaped(selector).into_iter().filter(|part| !part.is_empty()) {
            let Some((field, value, equal)) = split_term(part) else {
                return Err(Status::bad_request(format!("invalid selector: '{selector}'; can't understand '{part}'")));
            };
            let value = unescaped(value).map_err(Status::bad_request)?;
            supported(field, resource).map_err(Status::bad_request)?;
            let pointer = format!("/{}", field.replace('.', "/"));
            terms.push(Term { field: field.to_owned(), pointer, value, equal });
        }
        Ok(Self { terms })
    }

    /// Whether it selects everything.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.terms.is_empty()
    }

    /// The only value that it admits for a field: by `metadata.name` a list is authorised as access to that object, and found fast.
    #[must_use]
    pub fn exact(&self, field: &str) -> Option<&str> {
        self.terms.iter().find(|term| term.field == field && term.equal).map(|term| term.value.as_str())
    }

    #[must_use]
    pub fn matches(&self, object: &Value) -> bool {
        self.terms.iter().all(|term| (term.found(object) == term.value) == term.equal)
    }
}

fn supported(field: &str, resource: &Resource) -> Result<(), String> {
    let known = FIELDS.iter().find(|(group, kind, _)| *group == resource.group && *kind == resource.kind);
    let namespace = field == "metadata.namespace";
    // What has no list of its own takes a namespace even where there is none.
    let known_to_be_namespaced = resource.namespaced || (known.is_none() && resource.custom.is_none());
    if field == "metadata.name" || (namespace && known_to_be_namespaced) {
        return Ok(());
    }
    if let Some(custom) = &resource.custom
        && custom.selectable.iter().any(|path| path.trim_start_matches('.') == field)
    {
        return Ok(());
    }
    match known {
        Some((_, _, fields)) if fields.contains(&field) => Ok(()),
        Some((_, "Job", _)) => Err(format!("field label {field:?} not supported for Job")),
        None if resource.custom.is_none() => {
            Err(format!("{field:?} is not a known field selector: only \"metadata.name\", \"metadata.namespace\""))
        }
        _ => Err(format!("field label not supported: {field}")),
    }
}

impl Term {
    /// The value of the field as text. Events are looked at in the form of either of their groups.
    fn found<'a>(&self, object: &'a Value) -> Cow<'a, str> {
        let first = |pointers: &[&str]| {
            let found = pointers.iter().map(|pointer| text(object, pointer)).find(|t| !t.is_empty());
            Cow::Borrowed(found.unwrap_or_default())
        };
        match self.field.as_str() {
            "spec.host" => first(&["/spec/nodeName"]),
            "spec.unschedulable" | "spec.hostNetwork" => {
                Cow::Borrowed(if object.pointer(&self.pointer) == Some(&Value::Bool(true)) { "true" } else { "false" })
            }
            "status.successful" => number(object, "/status/succeeded"),
            "status.replicas" => number(object, &self.pointer),
            "source" => {
                first(&["/source/component", "/deprecatedSource/component", "/reportingComponent", "/reportingController"])
            }
            "reportingComponent" | "reportingController" => first(&["/reportingComponent", "/reportingController"]),
            _ => match self.pointer.strip_prefix("/involvedObject/").or_else(|| self.pointer.strip_prefix("/regarding/")) {
                Some(member) => first(&[&format!("/involvedObject/{member}"), &format!("/regarding/{member}")]),
                None => match object.pointer(&self.pointer) {
                    Some(Value::String(text)) => text.into(),
                    Some(value @ (Value::Number(_) | Value::Bool(_))) => value.to_string().into(),
                    _ => Cow::Borrowed(""),
                },
            },
        }
    }
}

fn number(object: &Value, pointer: &str) -> Cow<'static, str> {
    crate::object::number(object, pointer).unwrap_or_default().to_string().into()
}

/// Splits at commas that are not escaped.
fn split_unescaped(selector: &str) -> Vec<&str> {
    let mut escaped = false;
    selector
        .split(|c| {
            let comma = c == ',' && !escaped;
            escaped = c == '\\' && !escaped;
            comma
        })
        .collect()
}

/// Field, value, and whether they have to be equal.
fn split_term(term: &str) -> Option<(&str, &str, bool)> {
    let at = term.char_indices().map(|(i, _)| i).find(|i| {
        let rest = term.get(*i..).unwrap_or_default();
        rest.starts_with('=') || rest.starts_with("!=")
    })?;
    let (field, rest) = term.split_at(at);
    let of = |operator| rest.strip_prefix(operator);
    of("!=").map(|v| (field, v, false)).or_else(|| of("==").or_else(|| of("=")).map(|v| (field, v, true)))
}

fn unescaped(value: &str) -> Result<String, String> {
    let mut plain = String::with_capacity(value.len());
    let mut characters = value.chars();
    while let Some(c) = characters.next() {
        match c {
            '\\' => match characters.next() {
                Some(c @ ('\\' | ',' | '=')) => plain.push(c),
                other => {
                    let sequence: String = ['\\'].into_iter().chain(other).collect();
                    return Err(format!("invalid field selector: invalid escape sequence: {sequence}"));
                }
            },
            ',' | '=' => return Err(format!("invalid field selector: unescaped character in value: {}", u32::from(c))),
            c => plain.push(c),
        }
    }
    Ok(plain)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::resources::find;

    #[test]
    fn fields_are_selected_by_kind() {
        let pod = json!({"metadata": {"name": "p", "namespace": "n"}, "spec": {"nodeName": "10.0.0.1"}, "status": {"phase": "Running"}});
        let event = json!({"involvedObject": {"name": "p"}, "type": "Warning", "source": {"component": "kubelet"}});
        let job = json!({"status": {"succeeded": 1}});
        for ((group, plural), object, selector, matches) in [
            (("", "pods"), &pod, "", true),
            (("", "pods"), &pod, "metadata.name=p,metadata.namespace=n", true),
            (("", "pods"), &pod, "status.phase!=Running", false),
            (("", "pods"), &pod, "spec.nodeName==10.0.0.1,spec.hostNetwork=false", true),
            (("", "pods"), &pod, "spec.host=10.0.0.2", false),
            (("", "events"), &event, "involvedObject.name=p,type=Warning,source=kubelet", true),
            (("events.k8s.io", "events"), &event, "regarding.name=q", false),
            (("batch", "jobs"), &job, "status.successful=1", true),
            (("", "nodes"), &json!({}), "spec.unschedulable=false", true),
            (("apps", "deployments"), &pod, "metadata.name=p", true),
        ] {
            let resource = find(group, "v1", plural).unwrap();
            assert_eq!(FieldSelector::parse(selector, resource).unwrap().matches(object), matches, "{plural} {selector}");
        }
        for ((group, plural), selector, message) in [
            (("", "pods"), "spec.x=1", "field label not supported: spec.x"),
            (("", "nodes"), "metadata.namespace=a", "field label not supported: metadata.namespace"),
            (("batch", "jobs"), "a=b", "field label \"a\" not supported for Job"),
            (
                ("apps", "deployments"),
                "spec.replicas=1",
                "\"spec.replicas\" is not a known field selector: only \"metadata.name\", \"metadata.namespace\"",
            ),
            (("", "pods"), "metadata.name", "invalid selector: 'metadata.name'; can't understand 'metadata.name'"),
            (("", "pods"), "metadata.name=a=b", "invalid field selector: unescaped character in value: 61"),
            (("", "pods"), "metadata.name=a\\b", "invalid field selector: invalid escape sequence: \\b"),
        ] {
            let error = FieldSelector::parse(selector, find(group, "v1", plural).unwrap()).unwrap_err();
            assert_eq!((error.code, error.message.as_str()), (400, message), "{selector}");
        }
        let named = FieldSelector::parse("metadata.name=p\\,q", find("", "v1", "pods").unwrap()).unwrap();
        assert_eq!(named.exact("metadata.name"), Some("p,q"));
    }
}
