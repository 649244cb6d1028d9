//! Errors as the Kubernetes API answers them: `Status` objects with a code and a reason that clients act on.

use serde::Serialize;
use serde_json::{Value, json};

/// An answer that is not what was asked for. Reasons and codes are those of `k8s.io/apimachinery`.
#[derive(Clone, Debug, Serialize, thiserror::Error)]
#[error("{message}")]
pub struct Status {
    pub code: u16,
    /// What programs look at, for example `NotFound`.
    pub reason: &'static str,
    pub message: String,
    pub details: Option<Box<Details>>,
}

/// What an error is about.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Details {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub group: String,
    /// The resource in errors of requests, the kind in errors of validation, as upstream has it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub kind: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub uid: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub causes: Vec<Cause>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after_seconds: Option<u32>,
}

/// One of several reasons.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Cause {
    /// `FieldValueRequired`, `FieldValueInvalid`, `FieldManagerConflict` and so on.
    pub reason: &'static str,
    pub message: String,
    /// `spec.containers[0].name`; empty if it is not about a field.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub field: String,
}

impl Cause {
    #[must_use]
    pub fn new(reason: &'static str, field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { reason, field: field.into(), message: message.into() }
    }

    /// A field that has to be there.
    #[must_use]
    pub fn required(field: impl Into<String>, detail: &str) -> Self {
        let message = if detail.is_empty() { "Required value".to_owned() } else { format!("Required value: {detail}") };
        Self::new("FieldValueRequired", field, message)
    }

    /// A value that cannot be.
    #[must_use]
    pub fn invalid(field: impl Into<String>, value: &Value, detail: &str) -> Self {
        Self::new("FieldValueInvalid", field, format!("Invalid value: {value}: {detail}"))
    }

    /// A value that is none of those that can be.
    #[must_use]
    pub fn unsupported(field: impl Into<String>, value: &Value, accepted: &[&str]) -> Self {
        let accepted = accepted.iter().map(|a| format!("\"{a}\"")).collect::<Vec<_>>().join(", ");
        Self::new("FieldValueNotSupported", field, format!("Unsupported value: {value}: supported values: {accepted}"))
    }

    /// A value that has to be unique and is not.
    #[must_use]
    pub fn duplicate(field: impl Into<String>, value: &Value) -> Self {
        Self::new("FieldValueDuplicate", field, format!("Duplicate value: {value}"))
    }

    /// A value that must not be given, or must not be changed.
    #[must_use]
    pub fn forbidden(field: impl Into<String>, detail: &str) -> Self {
        Self::new("FieldValueForbidden", field, format!("Forbidden: {detail}"))
    }

    fn told(&self) -> String {
        if self.field.is_empty() { self.message.clone() } else { format!("{}: {}", self.field, self.message) }
    }
}

/// A resource as errors name it: `pods`, `deployments.apps`.
fn qualified(group: &str, resource: &str) -> String {
    if group.is_empty() { resource.to_owned() } else { format!("{resource}.{group}") }
}

fn details(group: &str, kind: &str, name: &str) -> Details {
    Details { name: name.to_owned(), group: group.to_owned(), kind: kind.to_owned(), ..Details::default() }
}

impl Status {
    #[must_use]
    pub fn new(code: u16, reason: &'static str, message: impl Into<String>) -> Self {
        Self { code, reason, message: message.into(), details: None }
    }

    #[must_use]
    pub fn about(mut self, details: Details) -> Self {
        self.details = Some(Box::new(details));
        self
    }

    #[must_use]
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, "BadRequest", message)
    }

    #[must_use]
    pub fn unauthorized() -> Self {
        Self::new(401, "Unauthorized", "Unauthorized")
    }

    /// `why` ends the sentence that upstream begins.
    #[must_use]
    pub fn forbidden(group: &str, resource: &str, name: &str, why: &str) -> Self {
        let named = if name.is_empty() { String::new() } else { format!(" \"{name}\"") };
        let message = match resource {
            // Of a path.
            "" => format!("forbidden: {why}"),
            _ => format!("{}{named} is forbidden: {why}", qualified(group, resource)),
        };
        Self::new(403, "Forbidden", message).about(details(group, resource, name))
    }

    /// The objects of a cluster take as much as it keeps. Says what etcd says, and what to do.
    #[must_use]
    pub fn no_space(group: &str, resource: &str, name: &str, limit: usize) -> Self {
        let limit = limit >> 20;
        let why = format!("exceeded quota: the objects of a virtual cluster take {limit} MiB at most; delete some first");
        Self::forbidden(group, resource, name, &format!("{why} (etcdserver: mvcc: database space exceeded)"))
    }

    #[must_use]
    pub fn not_found(group: &str, resource: &str, name: &str) -> Self {
        Self::new(404, "NotFound", format!("{} \"{name}\" not found", qualified(group, resource)))
            .about(details(group, resource, name))
    }

    /// A path that nothing is served at.
    #[must_use]
    pub fn no_such_path() -> Self {
        Self::new(404, "NotFound", "the server could not find the requested resource").about(Details::default())
    }

    #[must_use]
    pub fn method_not_allowed(verb: &str) -> Self {
        Self::new(405, "MethodNotAllowed", format!("{verb} is not supported on resources of this kind"))
    }

    #[must_use]
    pub fn not_acceptable(accepted: &str) -> Self {
        let message = format!("only the following media types are accepted: {accepted}");
        Self::new(406, "NotAcceptable", message)
    }

    #[must_use]
    pub fn already_exists(group: &str, resource: &str, name: &str) -> Self {
        Self::new(409, "AlreadyExists", format!("{} \"{name}\" already exists", qualified(group, resource)))
            .about(details(group, resource, name))
    }

    /// Somebody else changed the object since it was read.
    #[must_use]
    pub fn conflict(group: &str, resource: &str, name: &str, why: &str) -> Self {
        let message = format!("Operation cannot be fulfilled on {} \"{name}\": {why}", qualified(group, resource));
        Self::new(409, "Conflict", message).about(details(group, resource, name))
    }

    /// What was asked for is older than what is remembered; a client lists again.
    #[must_use]
    pub fn expired(message: impl Into<String>) -> Self {
        Self::new(410, "Expired", message)
    }

    /// A client asks for a revision that this cluster has not come to.
    #[must_use]
    pub fn too_large_revision(wanted: u64, now: u64) -> Self {
        let causes = vec![Cause::new("ResourceVersionTooLarge", "", "Too large resource version")];
        let details = Details { causes, retry_after_seconds: Some(1), ..Details::default() };
        Self::new(504, "Timeout", format!("Timeout: Too large resource version: {wanted}, current: {now}")).about(details)
    }

    #[must_use]
    pub fn too_large(limit: usize) -> Self {
        Self::new(413, "RequestEntityTooLarge", format!("the request is too large: the limit is {limit} bytes"))
    }

    #[must_use]
    pub fn unsupported_media_type(given: &str, accepted: &str) -> Self {
        let message = format!(
            "the body of the request was in an unknown format - accepted media types include: {accepted} (it was {given:?})"
        );
        Self::new(415, "UnsupportedMediaType", message)
    }

    #[must_use]
    pub fn invalid(group: &str, kind: &str, name: &str, causes: Vec<Cause>) -> Self {
        let qualified = if group.is_empty() { kind.to_owned() } else { format!("{kind}.{group}") };
        let told = match causes.as_slice() {
            [one] => one.told(),
            several => format!("[{}]", several.iter().map(Cause::told).collect::<Vec<_>>().join(", ")),
        };
        let message = format!("{qualified} \"{name}\" is invalid: {told}");
        Self::new(422, "Invalid", message).about(Details { causes, ..details(group, kind, name) })
    }

    #[must_use]
    pub fn too_many_requests(message: impl Into<String>, retry_after_seconds: u32) -> Self {
        let details = Details { retry_after_seconds: Some(retry_after_seconds), ..Details::default() };
        Self::new(429, "TooManyRequests", message).about(details)
    }

    /// What is left out of virtual clusters; the message says what there is instead.
    #[must_use]
    pub fn not_implemented(message: impl Into<String>) -> Self {
        Self::new(501, "NotImplemented", message)
    }

    /// A failure of ours. The cause belongs into the log, not into the message.
    #[must_use]
    pub fn internal() -> Self {
        Self::new(500, "InternalError", "Internal error occurred: the state of the cluster could not be read or written")
    }

    /// The `Status` object.
    #[must_use]
    pub fn object(&self) -> Value {
        let mut object = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": self.message, "reason": self.reason, "code": self.code,
        });
        if let Some(details) = &self.details {
            object["details"] = json!(details);
        }
        object
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_worded_as_clients_know_them() {
        assert_eq!(Status::not_found("apps", "deployments", "web").message, "deployments.apps \"web\" not found");
        let invalid = Status::invalid("", "Pod", "p", vec![Cause::required("spec.containers", "")]);
        assert_eq!(invalid.message, "Pod \"p\" is invalid: spec.containers: Required value");
        assert_eq!(invalid.object()["details"]["causes"][0]["field"], "spec.containers");
        let forbidden = Status::forbidden("", "pods", "", "User \"a\" cannot list resource \"pods\"");
        assert_eq!(forbidden.message, "pods is forbidden: User \"a\" cannot list resource \"pods\"");
    }
}
