//! What pods are given: an account with its token, tolerations, a priority.

use serde_json::{Value, json};

use super::forbidden;
use crate::amounts::qos_class;
use crate::controllers::common::suffix;
use crate::object::{Object, array, member, number, text};
use crate::resources;
use crate::state::Txn;
use crate::status::Status;

/// Where containers find the token of their account.
const TOKEN_PATH: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
/// As long as a token is good. Clients that read it only once get by for an hour and a bit.
const TOKEN_SECONDS: u32 = 3_607;
/// How long a pod stays on a node that is not well.
const TOLERATED_SECONDS: u32 = 300;

pub(super) fn admit(txn: &Txn, new: &mut Value) -> Result<(), Status> {
    give_account(txn, new)?;
    give_priority(txn, new)?;
    tolerate(new);
    Ok(())
}

/// What a pod says of itself before anybody looked at it. What its resources are has to be settled by then.
pub(super) fn begin(new: &mut Value) {
    let class = qos_class(&new["spec"]);
    member(new, "").insert("status".to_owned(), json!({"phase": "Pending", "qosClass": class}));
}

fn refused(new: &Value, why: &str) -> Status {
    match resources::find("", "v1", "pods") {
        Some(pods) => forbidden(pods, new, why),
        None => Status::forbidden("", "pods", "", why),
    }
}

fn give_account(txn: &Txn, new: &mut Value) -> Result<(), Status> {
    let namespace = text(new, "/metadata/namespace").to_owned();
    let named = [text(new, "/spec/serviceAccountName"), text(new, "/spec/serviceAccount"), "default"];
    let name = named.into_iter().find(|name| !name.is_empty()).unwrap_or_default().to_owned();
    let Some(account) = txn.find("serviceaccounts", &namespace, &name) else {
        let why = format!("error looking up service account {namespace}/{name}: serviceaccount \"{name}\" not found");
        return Err(refused(new, &why));
    };
    let spec = member(new, "spec");
    spec.insert("serviceAccountName".to_owned(), json!(name));
    spec.insert("serviceAccount".to_owned(), json!(name));
    if spec.get("imagePullSecrets").and_then(Value::as_array).is_none_or(Vec::is_empty) {
        let secrets = array(account.content(), "/imagePullSecrets");
        if !secrets.is_empty() {
            spec.insert("imagePullSecrets".to_owned(), json!(secrets));
        }
    }
    if mounts_token(&account, new) {
        mount_token(new);
    }
    Ok(())
}

/// The pod decides, then its account; without a word of either there is a token.
fn mounts_token(account: &Object, pod: &Value) -> bool {
    let said = |value: &Value, pointer: &str| value.pointer(pointer).and_then(Value::as_bool);
    said(pod, "/spec/automountServiceAccountToken")
        .or_else(|| said(account.content(), "/automountServiceAccountToken"))
        .unwrap_or(true)
}

fn mount_token(new: &mut Value) {
    let prefix = "kube-api-access-";
    let given = array(new, "/spec/volumes").iter().map(|volume| text(volume, "/name")).find(|name| name.starts_with(prefix));
    let given = given.map(str::to_owned);
    let volume = given.clone().unwrap_or_else(|| format!("{prefix}{}", suffix()));
    let mut needed = false;
    for list in ["initContainers", "containers"] {
        for container in new["spec"].get_mut(list).and_then(Value::as_array_mut).into_iter().flatten() {
            if array(container, "/volumeMounts").iter().any(|mount| text(mount, "/mountPath") == TOKEN_PATH) {
                continue;
            }
            push(container, "volumeMounts", json!({"name": volume, "readOnly": true, "mountPath": TOKEN_PATH}));
            needed = true;
        }
    }
    if !needed || given.is_some() {
        return;
    }
    let source = json!({"name": volume, "projected": {"defaultMode": 420, "sources": [
        {"serviceAccountToken": {"expirationSeconds": TOKEN_SECONDS, "path": "token"}},
        {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
        {"downwardAPI": {"items": [
            {"path": "namespace", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}},
        ]}},
    ]}});
    member(new, "spec");
    push(&mut new["spec"], "volumes", source);
}

fn push(holder: &mut Value, list: &str, item: Value) {
    let Value::Object(members) = holder else { return };
    let items = members.entry(list).or_insert_with(|| json!([]));
    match items {
        Value::Array(items) => items.push(item),
        other => *other = json!([item]),
    }
}

fn give_priority(txn: &Txn, new: &mut Value) -> Result<(), Status> {
    const CLASSES: &str = "priorityclasses.scheduling.k8s.io";
    let name = text(new, "/spec/priorityClassName").to_owned();
    let class = if name.is_empty() {
        let defaults = txn.list(CLASSES, None).into_iter().filter(|class| class.content()["globalDefault"] == true);
        defaults.min_by_key(|class| number(class.content(), "/value"))
    } else {
        let found = txn.find(CLASSES, "", &name);
        Some(found.ok_or_else(|| refused(new, &format!("no PriorityClass with name {name} was found")))?)
    };
    let priority = class.as_ref().and_then(|class| number(class.content(), "/value")).unwrap_or(0);
    if let Some(given) = number(new, "/spec/priority").filter(|given| *given != priority) {
        let why = format!(
            "the integer value of priority ({given}) must not be provided in pod spec; priority admission controller computed {priority} from the given PriorityClass name"
        );
        return Err(refused(new, &why));
    }
    let policy = class.as_ref().map(|class| text(class.content(), "/preemptionPolicy")).filter(|policy| !policy.is_empty());
    let spec = member(new, "spec");
    if let Some(class) = &class {
        spec.insert("priorityClassName".to_owned(), json!(&*class.key.name));
    }
    spec.insert("priority".to_owned(), json!(priority));
    spec.insert("preemptionPolicy".to_owned(), json!(policy.unwrap_or("PreemptLowerPriority")));
    Ok(())
}

fn tolerate(new: &mut Value) {
    for key in ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"] {
        let tolerated = array(new, "/spec/tolerations").iter().any(|toleration| {
            let (given, effect) = (text(toleration, "/key"), text(toleration, "/effect"));
            (given == key || given.is_empty()) && matches!(effect, "" | "NoExecute")
        });
        if !tolerated {
            let toleration =
                json!({"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": TOLERATED_SECONDS});
            push(&mut new["spec"], "tolerations", toleration);
        }
    }
}
