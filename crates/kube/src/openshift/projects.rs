//! Projects: namespaces with a name for people, which whoever may may make for themselves.

use serde_json::{Map, Value, json};

use super::View;
use crate::api::User;
use crate::object::{Key, Object, member, text};
use crate::state::Txn;
use crate::status::{Cause, Status};
use crate::{resources, schema, validate};

const GROUP: &str = "project.openshift.io";
const RESOURCE: &str = "projects.project.openshift.io";
const API: &str = "project.openshift.io/v1";
const DISPLAY_NAME: &str = "openshift.io/display-name";
const DESCRIPTION: &str = "openshift.io/description";
const REQUESTER: &str = "openshift.io/requester";
/// Names of OpenShift and Kubernetes themselves.
const TAKEN: [&str; 3] = ["openshift", "kubernetes", "kube"];

/// A namespace as a project.
#[must_use]
pub fn project_of(namespace: &Object) -> Value {
    project(&namespace.value())
}

fn project(namespace: &Value) -> Value {
    json!({
        "kind": "Project", "apiVersion": API,
        "metadata": namespace["metadata"],
        "spec": { "finalizers": namespace.pointer("/spec/finalizers").cloned().unwrap_or_else(|| json!(["kubernetes"])) },
        "status": { "phase": namespace.pointer("/status/phase").cloned().unwrap_or_else(|| json!("Active")) },
    })
}

pub(super) fn object(namespace: &Object) -> Object {
    Object::new(Key::new(RESOURCE, "", &namespace.key.name), namespace.revision, project_of(namespace))
}

/// The projects that the user may see.
pub(super) fn list(view: View<'_>) -> Vec<Object> {
    let namespaces = view.state.list("namespaces", Some(""), None);
    namespaces.filter(|namespace| (view.sees)(&namespace.key.name)).map(|namespace| object(namespace)).collect()
}

/// `POST projectrequests`: a namespace, of which its requester becomes the administrator. Returns the project. Controllers have to run after
/// it, as after any write.
///
/// # Errors
/// If the name is none, is kept for the system, or is in use.
pub fn project_request(txn: &mut Txn, user: &User, body: &Value) -> Result<Value, Status> {
    let name = text(body, "/metadata/name");
    let reserved = |prefix: &&str| name.strip_prefix(prefix).is_some_and(|rest| rest.starts_with('-'));
    if TAKEN.contains(&name) {
        return Err(Status::forbidden(GROUP, "project", name, &format!("cannot request a project with the name \"{name}\"")));
    }
    if let Some(prefix) = TAKEN.iter().find(|prefix| reserved(prefix)) {
        return Err(Status::forbidden(
            GROUP,
            "project",
            name,
            &format!("cannot request a project starting with \"{prefix}-\""),
        ));
    }
    let given =
        [(DISPLAY_NAME, text(body, "/displayName")), (DESCRIPTION, text(body, "/description")), (REQUESTER, &user.name)];
    let annotations: Map<String, Value> = given.into_iter().map(|(name, value)| (name.to_owned(), json!(value))).collect();
    let made = make(txn, "ProjectRequest", name, annotations, Map::new())?;
    let binding = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
        "metadata": { "name": "admin", "namespace": name },
        "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "admin" },
        "subjects": [{ "apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user.name }],
    });
    txn.put(Key::new("rolebindings.rbac.authorization.k8s.io", name, "admin"), binding);
    Ok(made)
}

/// `POST projects`, for administrators: a namespace with what is given of labels and annotations. Returns the project.
///
/// # Errors
/// If the name is none, or is in use, or labels or annotations are none that can be.
pub fn project_create(txn: &mut Txn, body: &Value) -> Result<Value, Status> {
    let given = |of: &str| body.pointer(of).and_then(Value::as_object).cloned().unwrap_or_default();
    make(txn, "Project", text(body, "/metadata/name"), given("/metadata/annotations"), given("/metadata/labels"))
}

fn make(
    txn: &mut Txn,
    kind: &str,
    name: &str,
    annotations: Map<String, Value>,
    mut labels: Map<String, Value>,
) -> Result<Value, Status> {
    if let Some(cause) = name_trouble(name) {
        return Err(Status::invalid(GROUP, kind, name, vec![cause]));
    }
    if txn.find("namespaces", "", name).is_some() {
        return Err(Status::already_exists(GROUP, "project", name));
    }
    labels.insert("kubernetes.io/metadata.name".to_owned(), json!(name));
    let mut namespace = json!({
        "apiVersion": "v1", "kind": "Namespace",
        "metadata": { "name": name, "labels": labels, "annotations": annotations },
        "spec": { "finalizers": ["kubernetes"] },
        "status": { "phase": "Active" },
    });
    accept(kind, name, None, &mut namespace)?;
    let namespace = txn.put(Key::new("namespaces", "", name), namespace);
    Ok(project_of(&namespace))
}

/// Judges the namespace of a project as any namespace that somebody writes.
fn accept(kind: &str, name: &str, old: Option<&Value>, namespace: &mut Value) -> Result<(), Status> {
    let resource = resources::find("", "v1", "namespaces").ok_or_else(Status::internal)?;
    let schema = resource.schema.root();
    schema::check_types(namespace, schema)?;
    schema::prune(namespace, schema);
    let causes = validate::object(resource, "", old, namespace);
    if causes.is_empty() { Ok(()) } else { Err(Status::invalid(GROUP, kind, name, causes)) }
}

/// What is wrong with a name, as validation says it.
fn name_trouble(name: &str) -> Option<Cause> {
    if name.is_empty() {
        return Some(Cause::required("metadata.name", "name or generateName is required"));
    }
    let field = "metadata.name";
    if name.len() < 2 {
        return Some(Cause::invalid(field, &json!(name), "must be at least 2 characters long"));
    }
    let label = |name: &str| {
        let inner = name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        inner && !name.starts_with('-') && !name.ends_with('-')
    };
    if name.len() > 63 {
        return Some(Cause::invalid(field, &json!(name), "must be no more than 63 characters"));
    }
    let why = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an \
               alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
    (!label(name)).then(|| Cause::invalid(field, &json!(name), why))
}

/// Writes a changed project back: of a project only annotations can be changed. Returns the project.
///
/// # Errors
/// If there is none of that name, something else was changed, it was changed meanwhile, or annotations are none that can be.
pub fn project_update(txn: &mut Txn, name: &str, changed: &Value) -> Result<Value, Status> {
    let key = Key::new("namespaces", "", name);
    let Some(namespace) = txn.get(&key) else { return Err(Status::not_found(GROUP, "projects", name)) };
    let version = text(changed, "/metadata/resourceVersion");
    if !version.is_empty() && version != namespace.revision.to_string() {
        let why = "the object has been modified; please apply your changes to the latest version and try again";
        return Err(Status::conflict(GROUP, "projects", name, why));
    }
    let before = namespace.value();
    let labels = |of: &Value| of.pointer("/metadata/labels").and_then(Value::as_object).cloned().unwrap_or_default();
    if labels(&before) != labels(changed) {
        let given = changed.pointer("/metadata/labels").cloned().unwrap_or_default();
        let why = "field is immutable, try updating the namespace";
        return Err(Status::invalid(GROUP, "Project", name, vec![Cause::invalid("metadata.labels", &given, why)]));
    }
    let annotations = changed.pointer("/metadata/annotations").and_then(Value::as_object).cloned().unwrap_or_default();
    let mut after = before.clone().into_owned();
    member(&mut after, "metadata").insert("annotations".to_owned(), Value::Object(annotations));
    accept("Project", name, Some(&before), &mut after)?;
    Ok(project_of(&txn.put(key, after)))
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::super::tests::{find, world};
    use super::*;
    use crate::state::{Change, State};

    fn txn() -> Txn {
        Txn::new(State::default(), Timestamp::UNIX_EPOCH)
    }

    fn request(name: &str) -> Value {
        json!({ "kind": "ProjectRequest", "metadata": { "name": name }, "displayName": "Mine", "description": "d" })
    }

    #[test]
    fn a_project_is_a_namespace_that_its_requester_administers() {
        let (mut txn, user) = (txn(), User::new("IAM#ada", "IBMid-1", []));
        let made = project_request(&mut txn, &user, &request("web")).unwrap();
        assert_eq!((made["kind"].as_str(), made["status"]["phase"].as_str()), (Some("Project"), Some("Active")));
        assert_eq!(made["metadata"]["annotations"]["openshift.io/requester"], "IAM#ada");
        assert_eq!(made["metadata"]["annotations"]["openshift.io/display-name"], "Mine");
        let binding = txn.find("rolebindings.rbac.authorization.k8s.io", "web", "admin").unwrap();
        assert_eq!(binding.content()["subjects"][0]["name"], "IAM#ada");
        let again = project_request(&mut txn, &user, &request("web")).unwrap_err();
        assert_eq!(again.message, "project.project.openshift.io \"web\" already exists");
    }

    #[test]
    fn names_that_cannot_be_are_refused() {
        let (mut txn, user) = (txn(), User::new("IAM#ada", "IBMid-1", []));
        for (name, reason) in [
            ("", "Invalid"),
            ("a", "Invalid"),
            ("Web", "Invalid"),
            ("-web", "Invalid"),
            (&"w".repeat(64), "Invalid"),
            ("kube", "Forbidden"),
            ("openshift-monitoring", "Forbidden"),
            ("kubernetes-x", "Forbidden"),
        ] {
            assert_eq!(project_request(&mut txn, &user, &request(name)).unwrap_err().reason, reason, "{name}");
        }
        assert!(project_request(&mut txn, &user, &json!([])).is_err());
        assert!(project_request(&mut txn, &user, &request("kubernetesx")).is_ok());
    }

    #[test]
    fn labels_and_annotations_are_those_that_a_namespace_can_have() {
        let mut txn = txn();
        let of = |labels: Value, annotations: Value| json!({ "metadata": { "name": "web", "labels": labels, "annotations": annotations } });
        let long = "x".repeat(256 * 1024);
        let cases = [
            (of(json!({ "no good": "x" }), json!({})), 422, "metadata.labels: Invalid value: \"no good\""),
            (of(json!({ "a": "no good" }), json!({})), 422, "metadata.labels: Invalid value: \"no good\""),
            (of(json!({ "a": 1 }), json!({})), 400, "labels"),
            (of(json!({}), json!({ "no good": "x" })), 422, "metadata.annotations: Invalid value: \"no good\""),
            (of(json!({}), json!({ "a": long })), 422, "metadata.annotations: Too long"),
            (of(json!({}), json!({ "a": { "b": "c" } })), 400, "annotations"),
        ];
        for (body, code, why) in &cases {
            let refused = project_create(&mut txn, body).unwrap_err();
            assert_eq!(refused.code, *code, "{}", refused.message);
            assert!(refused.message.contains(why), "{}", refused.message);
        }
        let described = json!({ "metadata": { "name": "web" }, "description": long });
        assert_eq!(project_request(&mut txn, &User::new("IAM#ada", "", []), &described).unwrap_err().code, 422);
        assert!(txn.find("namespaces", "", "web").is_none());
        project_create(&mut txn, &of(json!({ "a": "b" }), json!({ "c": "d", "empty": null }))).unwrap();
        for (body, code, why) in &cases[3..] {
            let mut changed = txn.find("namespaces", "", "web").unwrap().value().into_owned();
            changed["metadata"]["annotations"] = body["metadata"]["annotations"].clone();
            let refused = project_update(&mut txn, "web", &changed).unwrap_err();
            assert_eq!(refused.code, *code, "{}", refused.message);
            assert!(refused.message.contains(why), "{}", refused.message);
        }
        let kept = project_of(&txn.find("namespaces", "", "web").unwrap());
        assert_eq!(kept["metadata"]["annotations"], json!({ "c": "d", "empty": "" }));
    }

    #[test]
    fn only_projects_that_somebody_may_see_are_listed() {
        let (mut txn, user) = (txn(), User::new("IAM#ada", "IBMid-1", []));
        for name in ["one", "two"] {
            project_create(&mut txn, &request(name)).unwrap();
        }
        let world = world();
        let view = View { user: &user, world: &world, state: txn.state(), sees: &|name| name == "two" };
        let listed = super::super::list(view, find("projects"));
        assert_eq!(listed.iter().map(|p| &*p.key.name).collect::<Vec<_>>(), ["two"]);
        assert_eq!(super::super::backing(find("projects"), "two"), Some(Key::new("namespaces", "", "two")));
        let events: Vec<_> = txn.state().since(0).unwrap().filter_map(|e| super::super::event(find("projects"), e)).collect();
        assert_eq!(events.len(), 2);
        assert!(events.iter().all(|e| e.change == Change::Added && e.object.kind() == "Project"));
    }

    #[test]
    fn of_a_project_annotations_can_be_changed_and_nothing_else() {
        let mut txn = txn();
        let mut project = project_create(&mut txn, &request("web")).unwrap();
        member(&mut project, "metadata/annotations").insert(DISPLAY_NAME.to_owned(), json!("New"));
        let changed = project_update(&mut txn, "web", &project).unwrap();
        assert_eq!(changed["metadata"]["annotations"][DISPLAY_NAME], "New");
        assert_eq!(project_update(&mut txn, "web", &project).unwrap_err().reason, "Conflict", "it is the version before");
        let mut labelled = changed;
        member(&mut labelled, "metadata/labels").insert("a".to_owned(), json!("b"));
        assert_eq!(project_update(&mut txn, "web", &labelled).unwrap_err().reason, "Invalid");
        assert_eq!(project_update(&mut txn, "none", &labelled).unwrap_err().reason, "NotFound");
    }
}
