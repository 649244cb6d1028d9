//! Questions about rights and identities, which clients ask by creating objects that are kept nowhere.

use serde_json::{Value, json};

use crate::api::User;
use crate::object::{array, text};
use crate::rbac::{Attributes, Authorizer};
use crate::status::{Cause, Status};

const AUTHENTICATION: &str = "authentication.k8s.io";
const AUTHORIZATION: &str = "authorization.k8s.io";

/// Answers a review of a kind that is asked by `user`, in `namespace` if its resource is in one: `SelfSubjectAccessReview`,
/// `SubjectAccessReview`, `LocalSubjectAccessReview`, `SelfSubjectRulesReview` or `SelfSubjectReview`.
///
/// # Errors
///
/// Invalid or bad request, if it does not say what it asks.
pub fn answer(kind: &str, body: &Value, user: &User, authorizer: &Authorizer, namespace: &str) -> Result<Value, Status> {
    match kind {
        "SelfSubjectAccessReview" => access(kind, body, user, authorizer),
        "SubjectAccessReview" => access(kind, body, &subject(kind, body)?, authorizer),
        "LocalSubjectAccessReview" => {
            local(kind, body, namespace)?;
            access(kind, body, &subject(kind, body)?, authorizer)
        }
        "SelfSubjectRulesReview" => match text(body, "/spec/namespace") {
            "" => Err(Status::bad_request("no namespace on request")),
            namespace => {
                let status = authorizer.rules_status(user, namespace);
                Ok(answered(AUTHORIZATION, kind, body, &json!({}), status))
            }
        },
        "SelfSubjectReview" => Ok(answered(AUTHENTICATION, kind, body, &Value::Null, json!({"userInfo": user_info(user)}))),
        _ => Err(Status::no_such_path()),
    }
}

/// The token that a `TokenReview` asks about.
///
/// # Errors
///
/// Bad request, if it holds none.
pub fn reviewed_token(body: &Value) -> Result<&str, Status> {
    match text(body, "/spec/token") {
        "" => Err(Status::bad_request("token is required for TokenReview in authentication")),
        token => Ok(token),
    }
}

/// The audiences that a `TokenReview` asks about, none if it leaves them to the server.
pub fn reviewed_audiences(body: &Value) -> impl Iterator<Item = &str> {
    array(body, "/spec/audiences").iter().filter_map(Value::as_str)
}

/// Answers a `TokenReview`: whose the token is, and for which of the audiences it is, or that it is nobody's.
#[must_use]
pub fn answer_token(body: &Value, found: Option<(&User, &[String])>) -> Value {
    let status = match found {
        Some((user, audiences)) => json!({"authenticated": true, "user": user_info(user), "audiences": audiences}),
        None => json!({"authenticated": false, "user": {}, "error": "invalid bearer token"}),
    };
    answered(AUTHENTICATION, "TokenReview", body, &json!({}), status)
}

/// A user as reviews show him.
#[must_use]
pub fn user_info(user: &User) -> Value {
    let mut info = json!({"username": user.name, "groups": user.groups});
    if !user.uid.is_empty() {
        info["uid"] = json!(user.uid);
    }
    if !user.extra.is_empty() {
        info["extra"] = json!(user.extra);
    }
    info
}

/// The review with its answer. `none` stands for a `spec` that was not given; null leaves it out.
fn answered(group: &str, kind: &str, body: &Value, none: &Value, status: Value) -> Value {
    let metadata = body.get("metadata").filter(|metadata| metadata.is_object()).cloned().unwrap_or_else(|| json!({}));
    let mut object = json!({"kind": kind, "apiVersion": format!("{group}/v1"), "metadata": metadata});
    if !none.is_null() {
        object["spec"] = body.get("spec").unwrap_or(none).clone();
    }
    object["status"] = status;
    object
}

fn invalid(kind: &str, cause: Cause) -> Status {
    Status::invalid(AUTHORIZATION, kind, "", vec![cause])
}

/// Whom a review is about who does not ask himself.
fn subject(kind: &str, body: &Value) -> Result<User, Status> {
    let texts = |value: &Value| value.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect();
    let spec = &body["spec"];
    let user = User {
        name: text(spec, "/user").to_owned(),
        uid: text(spec, "/uid").to_owned(),
        groups: texts(&spec["groups"]),
        extra: spec["extra"].as_object().into_iter().flatten().map(|(name, values)| (name.clone(), texts(values))).collect(),
    };
    if user.name.is_empty() && user.groups.is_empty() {
        let cause = Cause::invalid("spec.user", &json!(""), "at least one of user or group must be specified");
        return Err(invalid(kind, cause));
    }
    Ok(user)
}

/// Checks that a review of a namespace is about what is in it.
fn local(kind: &str, body: &Value, namespace: &str) -> Result<(), Status> {
    let spec = &body["spec"];
    if !spec["nonResourceAttributes"].is_null() {
        let detail = "disallowed on this kind of request";
        return Err(invalid(kind, Cause::invalid("spec.nonResourceAttributes", &spec["nonResourceAttributes"], detail)));
    }
    if text(spec, "/resourceAttributes/namespace") != namespace {
        let field = "spec.resourceAttributes.namespace";
        let cause = Cause::invalid(field, &spec["resourceAttributes"]["namespace"], "must match metadata.namespace");
        return Err(invalid(kind, cause));
    }
    Ok(())
}

fn access(kind: &str, body: &Value, user: &User, authorizer: &Authorizer) -> Result<Value, Status> {
    let (resource, path) = (&body["spec"]["resourceAttributes"], &body["spec"]["nonResourceAttributes"]);
    let attributes = match (resource.is_null(), path.is_null()) {
        (false, true) => Attributes {
            verb: text(resource, "/verb"),
            group: text(resource, "/group"),
            version: text(resource, "/version"),
            resource: text(resource, "/resource"),
            subresource: text(resource, "/subresource"),
            namespace: text(resource, "/namespace"),
            name: text(resource, "/name"),
            path: "",
        },
        // A path that is not given is none that a rule names, and must not pass for a resource.
        (true, false) => {
            Attributes::of_path(text(path, "/verb"), Some(text(path, "/path")).filter(|p| !p.is_empty()).unwrap_or(" "))
        }
        (true, true) => {
            let detail = "exactly one of nonResourceAttributes or resourceAttributes must be specified";
            return Err(invalid(kind, Cause::invalid("spec.resourceAttributes", &Value::Null, detail)));
        }
        (false, false) => {
            let detail = "cannot be specified in combination with resourceAttributes";
            return Err(invalid(kind, Cause::invalid("spec.nonResourceAttributes", path, detail)));
        }
    };
    let decision = authorizer.authorize(user, &attributes);
    let mut status = json!({"allowed": decision.allowed});
    if !decision.reason.is_empty() {
        status["reason"] = json!(decision.reason);
    }
    Ok(answered(AUTHORIZATION, kind, body, &json!({}), status))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bootstrap;
    use crate::object::Key;
    use crate::state::{State, Txn};
    use crate::world::World;

    fn authorizer() -> Authorizer {
        let mut txn = Txn::new(State::begun(bootstrap::objects(&World::default())), jiff::Timestamp::UNIX_EPOCH);
        let binding = json!({
            "roleRef": {"kind": "ClusterRole", "name": "view"},
            "subjects": [{"kind": "User", "name": "jane"}, {"kind": "Group", "name": "team"}],
        });
        txn.put(Key::new("rolebindings.rbac.authorization.k8s.io", "dev", "view"), binding);
        Authorizer::of(txn.state())
    }

    fn pods(namespace: &str) -> Value {
        json!({"verb": "list", "resource": "pods", "namespace": namespace})
    }

    #[test]
    fn access_reviews_answer_as_the_request_itself_would_be() {
        let jane = User::new("jane", "", []);
        let own = "SelfSubjectAccessReview";
        let other = "SubjectAccessReview";
        let cases = [
            (own, json!({"resourceAttributes": pods("dev")}), true),
            (own, json!({"resourceAttributes": pods("prod")}), false),
            (own, json!({"resourceAttributes": {"verb": "*", "group": "*", "resource": "*"}}), false),
            (own, json!({"nonResourceAttributes": {"verb": "get", "path": "/version"}}), true),
            (own, json!({"nonResourceAttributes": {"verb": "get"}}), false),
            (other, json!({"user": "joe", "groups": ["team"], "resourceAttributes": pods("dev")}), true),
            (other, json!({"user": "joe", "resourceAttributes": pods("dev")}), false),
            (other, json!({"groups": ["system:masters"], "resourceAttributes": pods("dev")}), true),
            ("LocalSubjectAccessReview", json!({"user": "jane", "resourceAttributes": pods("dev")}), true),
        ];
        for (kind, spec, allowed) in cases {
            let answer = answer(kind, &json!({"spec": spec}), &jane, &authorizer(), "dev").unwrap();
            assert_eq!(answer["status"]["allowed"], json!(allowed), "{answer}");
            assert_eq!((&answer["kind"], &answer["spec"]), (&json!(kind), &spec));
        }
    }

    #[test]
    fn reviews_that_ask_nothing_are_refused() {
        let both = json!({"resourceAttributes": pods("dev"), "nonResourceAttributes": {"verb": "get", "path": "/"}});
        let cases = [
            ("SelfSubjectAccessReview", json!({}), 422, "exactly one of nonResourceAttributes or resourceAttributes"),
            ("SelfSubjectAccessReview", both, 422, "cannot be specified in combination with resourceAttributes"),
            ("SubjectAccessReview", json!({"resourceAttributes": pods("dev")}), 422, "at least one of user or group"),
            ("LocalSubjectAccessReview", json!({"user": "a", "resourceAttributes": pods("prod")}), 422, "must match"),
            ("LocalSubjectAccessReview", json!({"user": "a", "nonResourceAttributes": {}}), 422, "disallowed"),
            ("SelfSubjectRulesReview", json!({}), 400, "no namespace on request"),
            ("Unknown", json!({}), 404, "could not find"),
        ];
        for (kind, spec, code, message) in cases {
            let refused = answer(kind, &json!({"spec": spec}), &User::anonymous(), &authorizer(), "dev").unwrap_err();
            assert_eq!(refused.code, code);
            assert!(refused.message.contains(message), "{}", refused.message);
        }
        assert!(reviewed_token(&json!({"spec": {}})).is_err());
    }

    #[test]
    fn users_learn_who_they_are() {
        let jane = User::new("jane", "7", ["team".to_owned()]);
        let answer = answer("SelfSubjectReview", &json!({}), &jane, &authorizer(), "").unwrap();
        assert_eq!(
            answer["status"]["userInfo"],
            json!({"username": "jane", "uid": "7", "groups": ["team", "system:authenticated"]})
        );
        let body = json!({"spec": {"token": "t"}});
        assert_eq!(answer_token(&body, Some((&jane, &["api".to_owned()])))["status"]["audiences"], json!(["api"]));
        assert_eq!(answer_token(&body, None)["status"]["authenticated"], json!(false));
    }
}
