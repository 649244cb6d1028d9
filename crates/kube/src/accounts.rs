//! Tokens of service accounts.
//!
//! A token is a JSON Web Token with the claims that upstream puts into it, authenticated by a key that follows from a secret of the process and
//! the cluster's ID. Nothing of it is stored, and it is worth nothing in another cluster, nor once its account (or the pod or secret it is bound
//! to) is gone.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use boatyard_core::id;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};

use crate::api::User;
use crate::object::{Key, Object, array, member, number, text, time};
use crate::state::State;
use crate::status::{Cause, Status};
use crate::world::World;

/// Who issues tokens, and whom they are for unless something else is asked for.
pub const ISSUER: &str = "https://kubernetes.default.svc";
/// The issuer of tokens that secrets hold.
const LEGACY_ISSUER: &str = "kubernetes/serviceaccount";

/// Seconds.
const DEFAULT_VALIDITY: i64 = 3600;
const LEAST_VALIDITY: i64 = 600;
const LONGEST_VALIDITY: i64 = 1 << 32;

/// The name of a service account as users have it.
#[must_use]
pub fn user_name(namespace: &str, name: &str) -> String {
    format!("system:serviceaccount:{namespace}:{name}")
}

/// Namespace and name, if a user's name is one of a service account.
#[must_use]
pub fn account_of(user: &str) -> Option<(&str, &str)> {
    user.strip_prefix("system:serviceaccount:")?.split_once(':').filter(|(_, name)| !name.contains(':'))
}

/// A service account as a user, in the groups that all of them, and all of their namespace, are in.
#[must_use]
pub fn user(namespace: &str, name: &str, uid: &str) -> User {
    let groups = ["system:serviceaccounts".to_owned(), format!("system:serviceaccounts:{namespace}")];
    User::new(user_name(namespace, name), uid, groups)
}

/// The key of the tokens of one cluster.
fn key_of(cluster: &str, secret: &[u8]) -> hmac::Key {
    let derived = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), format!("service accounts of {cluster}").as_bytes());
    hmac::Key::new(hmac::HMAC_SHA256, derived.as_ref())
}

/// Answers a `TokenRequest` for a service account: the request with its `status`. `secret` is one of the process.
///
/// # Errors
///
/// Not found, if there is no such account or no object that the token is to be bound to; invalid, for times that cannot be; bad request or
/// conflict, for objects that it cannot be bound to.
pub fn issue(
    state: &State,
    cluster: &str,
    secret: &[u8],
    (namespace, name): (&str, &str),
    request: &Value,
    now: Timestamp,
) -> Result<Value, Status> {
    let not_found = || Status::not_found("", "serviceaccounts", name);
    let account = state.find("serviceaccounts", namespace, name).ok_or_else(not_found)?;
    let seconds = validity(request)?;
    let audiences: Vec<&str> = match array(request, "/spec/audiences") {
        [] => vec![ISSUER],
        given => given.iter().filter_map(Value::as_str).collect(),
    };
    let mut bound = json!({"namespace": namespace, "serviceaccount": {"name": name, "uid": account.uid()}});
    let reference = &request["spec"]["boundObjectRef"];
    if let (false, Value::Object(members)) = (reference.is_null(), &mut bound) {
        members.append(&mut binding(state, namespace, name, reference)?);
    }
    let expires = now.checked_add(SignedDuration::from_secs(seconds)).map_err(|_| too_long(seconds))?;
    let claims = json!({
        "aud": audiences, "exp": expires.as_second(), "iat": now.as_second(), "iss": ISSUER, "jti": id::uuid(),
        "kubernetes.io": bound, "nbf": now.as_second(), "sub": user_name(namespace, name),
    });
    let mut spec = json!({"audiences": audiences, "expirationSeconds": seconds});
    if !reference.is_null() {
        spec["boundObjectRef"] = reference.clone();
    }
    Ok(json!({
        "kind": "TokenRequest", "apiVersion": "authentication.k8s.io/v1",
        "metadata": {"name": name, "namespace": namespace, "creationTimestamp": time(now)},
        "spec": spec,
        "status": {"token": signed(&key_of(cluster, secret), &claims), "expirationTimestamp": time(expires)},
    }))
}

fn too_long(seconds: i64) -> Status {
    validity_cause(seconds, "may not specify a duration larger than 2^32 seconds")
}

fn validity_cause(seconds: i64, detail: &str) -> Status {
    let cause = Cause::invalid("spec.expirationSeconds", &json!(seconds), detail);
    Status::invalid("authentication.k8s.io", "TokenRequest", "", vec![cause])
}

fn validity(request: &Value) -> Result<i64, Status> {
    match number(request, "/spec/expirationSeconds").unwrap_or(DEFAULT_VALIDITY) {
        seconds if seconds < LEAST_VALIDITY => Err(validity_cause(seconds, "may not specify a duration less than 10 minutes")),
        seconds if seconds > LONGEST_VALIDITY => Err(too_long(seconds)),
        seconds => Ok(seconds),
    }
}

/// The claims of the object that a token is to be bound to.
fn binding(state: &State, namespace: &str, account: &str, reference: &Value) -> Result<Map<String, Value>, Status> {
    let (kind, name, uid) = (text(reference, "/kind"), text(reference, "/name"), text(reference, "/uid"));
    let (resource, place, claim) = match (text(reference, "/apiVersion"), kind) {
        ("v1", "Pod") => ("pods", namespace, "pod"),
        ("v1", "Secret") => ("secrets", namespace, "secret"),
        ("v1", "Node") => ("nodes", "", "node"),
        (version, _) => {
            let told = if version.is_empty() { kind.to_owned() } else { format!("{version}, Kind={kind}") };
            return Err(Status::bad_request(format!("cannot bind token to object of type {told}")));
        }
    };
    let object = state.find(resource, place, name).ok_or_else(|| Status::not_found("", resource, name))?;
    if !uid.is_empty() && uid != object.uid() {
        let why = format!(
            "the UID in the bound object reference ({uid}) does not match the UID in record. The object might have been deleted and then \
             recreated"
        );
        return Err(Status::conflict("", resource, name, &why));
    }
    let told = |object: &Object| json!({"name": &*object.key.name, "uid": object.uid()});
    let mut claims = Map::from_iter([(claim.to_owned(), told(object))]);
    if claim == "pod" {
        if text(object.content(), "/spec/serviceAccountName") != account {
            let why =
                format!("cannot bind token for serviceaccount {account:?} to pod running with different serviceaccount name.");
            return Err(Status::bad_request(why));
        }
        let node = state.find("nodes", "", text(object.content(), "/spec/nodeName"));
        claims.extend(node.map(|node| ("node".to_owned(), told(node))));
    }
    Ok(claims)
}

fn signed(key: &hmac::Key, claims: &Value) -> String {
    let header = json!({"alg": "HS256", "typ": "JWT"});
    let encoded = |part: &Value| URL_SAFE_NO_PAD.encode(part.to_string());
    let message = format!("{}.{}", encoded(&header), encoded(claims));
    let signature = URL_SAFE_NO_PAD.encode(hmac::sign(key, message.as_bytes()));
    format!("{message}.{signature}")
}

/// The claims of a token that was made with the key.
fn claims_of(key: &hmac::Key, token: &str) -> Option<Value> {
    let (message, signature) = token.rsplit_once('.')?;
    hmac::verify(key, message.as_bytes(), &URL_SAFE_NO_PAD.decode(signature).ok()?).ok()?;
    // What the header says does not matter: only one kind is ever made, and only that was checked.
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(message.split_once('.')?.1).ok()?).ok()
}

/// The service account whose token it is, if the token is for the API server, still in its time, and what it is bound to is still there.
#[must_use]
pub fn verify(state: &State, cluster: &str, secret: &[u8], token: &str, now: Timestamp) -> Option<User> {
    verify_for(state, cluster, secret, token, &[ISSUER], now).map(|(user, _)| user)
}

/// The same for any of some audiences: also says for which of them it is.
#[must_use]
pub fn verify_for(
    state: &State,
    cluster: &str,
    secret: &[u8],
    token: &str,
    audiences: &[&str],
    now: Timestamp,
) -> Option<(User, Vec<String>)> {
    let claims = claims_of(&key_of(cluster, secret), token)?;
    if text(&claims, "/iss") == LEGACY_ISSUER {
        let user = legacy_user(state, &claims)?;
        return audiences.contains(&ISSUER).then(|| (user, vec![ISSUER.to_owned()]));
    }
    let now = now.as_second();
    let in_time = number(&claims, "/exp").is_some_and(|exp| now < exp) && number(&claims, "/nbf").is_some_and(|nbf| nbf <= now);
    let given = array(&claims, "/aud");
    let matching: Vec<String> = audiences.iter().filter(|a| given.iter().any(|g| g == *a)).map(|a| (*a).to_owned()).collect();
    if !in_time || matching.is_empty() {
        return None;
    }
    let bound = &claims["kubernetes.io"];
    let namespace = text(bound, "/namespace");
    let account = still("serviceaccounts", state, namespace, &bound["serviceaccount"])?;
    let mut user = user(namespace, &account.key.name, account.uid());
    let mut tell = |name: &str, value: &str| {
        user.extra.insert(format!("authentication.kubernetes.io/{name}"), vec![value.to_owned()]);
    };
    tell("credential-id", &format!("JTI={}", text(&claims, "/jti")));
    for (claim, resource, namespace) in [("pod", "pods", namespace), ("secret", "secrets", namespace), ("node", "nodes", "")] {
        if bound[claim].is_null() {
            continue;
        }
        // The node of a pod may go before the pod; only a token of the node itself goes with it.
        if claim != "node" || bound["pod"].is_null() {
            still(resource, state, namespace, &bound[claim])?;
        }
        if claim != "secret" {
            tell(&format!("{claim}-name"), text(&bound[claim], "/name"));
            tell(&format!("{claim}-uid"), text(&bound[claim], "/uid"));
        }
    }
    Some((user, matching))
}

/// The object that a claim tells of, if it is still the same.
fn still<'a>(resource: &str, state: &'a State, namespace: &str, claim: &Value) -> Option<&'a Object> {
    let object = state.find(resource, namespace, text(claim, "/name"))?;
    (object.uid() == text(claim, "/uid")).then_some(&**object)
}

/// What the claims of a token in a secret are called.
fn legacy(claim: &str) -> String {
    format!("kubernetes.io/serviceaccount/{claim}")
}

fn legacy_user(state: &State, claims: &Value) -> Option<User> {
    let claim = |name: &str| claims.get(legacy(name)).and_then(Value::as_str).unwrap_or_default();
    let namespace = claim("namespace");
    let secret = state.find("secrets", namespace, claim("secret.name"))?;
    let account = state.find("serviceaccounts", namespace, claim("service-account.name"))?;
    let same = secret.uid() == claim("secret.uid") && account.uid() == claim("service-account.uid");
    same.then(|| user(namespace, &account.key.name, account.uid()))
}

/// The annotations of a secret that tell whose token it holds.
const ACCOUNT_NAME: &str = "kubernetes.io/service-account.name";
const ACCOUNT_UID: &str = "kubernetes.io/service-account.uid";

/// Name and UID of the account whose token a secret is to hold, if it is one of those. The UID is empty if the secret does not tell it.
fn told_account(secret: &Value) -> Option<(&str, &str)> {
    let annotation = |name: &str| secret["metadata"]["annotations"].get(name).and_then(Value::as_str).unwrap_or_default();
    (text(secret, "/type") == "kubernetes.io/service-account-token")
        .then(|| (annotation(ACCOUNT_NAME), annotation(ACCOUNT_UID)))
}

/// The account whose token a secret of a namespace is to hold, if it is there.
fn account_for<'a>(state: &'a State, namespace: &str, secret: &Value) -> Option<&'a Object> {
    let (name, uid) = told_account(secret)?;
    let account = state.find("serviceaccounts", namespace, name)?;
    (uid.is_empty() || uid == account.uid()).then_some(&**account)
}

/// Whether an object is a secret for the token of an account that is not there: it is to go.
pub(crate) fn is_dangling(state: &State, object: &Object) -> bool {
    let content = object.content();
    &*object.key.resource == "secrets"
        && told_account(content).is_some()
        && account_for(state, &object.key.namespace, content).is_none()
}

/// What is about to be written, filled if it is a secret for the token of a service account; see [`fill_secret`]. A new one gets its UID
/// here, to which the token is bound.
pub fn fill(state: &State, world: &World, secret: &[u8], key: &Key, value: &mut Value) {
    if &*key.resource != "secrets" || account_for(state, &key.namespace, value).is_none() {
        return;
    }
    let metadata = member(value, "metadata");
    metadata.insert("namespace".to_owned(), json!(&*key.namespace));
    metadata.insert("name".to_owned(), json!(&*key.name));
    metadata.entry("uid").or_insert_with(|| json!(id::uuid()));
    fill_secret(state, world, secret, value);
}

/// Gives a secret of type `kubernetes.io/service-account-token` what it is for: `token`, `ca.crt` and `namespace`, and the UID of its account
/// as an annotation. The secret needs its own UID, which the token is bound to; the same secret gets the same token. Says whether it is a
/// secret of an account that is there.
pub fn fill_secret(state: &State, world: &World, secret: &[u8], value: &mut Value) -> bool {
    let (namespace, uid) = (text(value, "/metadata/namespace").to_owned(), text(value, "/metadata/uid"));
    let Some(account) = account_for(state, &namespace, value).filter(|_| !uid.is_empty()) else { return false };
    let name = &*account.key.name;
    let claims = json!({
        "iss": LEGACY_ISSUER, "sub": user_name(&namespace, name),
        (legacy("namespace")): namespace, (legacy("secret.name")): text(value, "/metadata/name"), (legacy("secret.uid")): uid,
        (legacy("service-account.name")): name, (legacy("service-account.uid")): account.uid(),
    });
    let token = signed(&key_of(&world.id, secret), &claims);
    member(value, "metadata/annotations").insert(ACCOUNT_UID.to_owned(), json!(account.uid()));
    let data = member(value, "data");
    for (name, content) in [("ca.crt", world.ca_pem.as_str()), ("namespace", &namespace), ("token", &token)] {
        data.insert(name.to_owned(), json!(STANDARD.encode(content)));
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::Txn;

    const SECRET: &[u8] = b"a secret of the process";

    fn now() -> Timestamp {
        "2026-01-31T12:00:00Z".parse().unwrap()
    }

    fn txn() -> Txn {
        let mut txn = Txn::new(State::default(), now());
        for name in ["robot", "other"] {
            txn.put(Key::new("serviceaccounts", "dev", name), json!({"metadata": {"uid": format!("uid-of-{name}")}}));
        }
        let pod = json!({"metadata": {"uid": "uid-of-pod"}, "spec": {"serviceAccountName": "robot", "nodeName": "10.0.0.1"}});
        txn.put(Key::new("pods", "dev", "web"), pod);
        txn.put(Key::new("nodes", "", "10.0.0.1"), json!({"metadata": {"uid": "uid-of-node"}}));
        txn
    }

    fn token(txn: &Txn, spec: Value) -> Result<String, Status> {
        let answer = issue(txn.state(), "c1", SECRET, ("dev", "robot"), &json!({"spec": spec}), now())?;
        Ok(text(&answer, "/status/token").to_owned())
    }

    fn verified(txn: &Txn, token: &str) -> Option<User> {
        verify(txn.state(), "c1", SECRET, token, now())
    }

    #[test]
    fn a_token_is_its_accounts_until_it_expires() {
        let txn = txn();
        let token = token(&txn, json!({"expirationSeconds": 600})).unwrap();
        let user = verified(&txn, &token).unwrap();
        assert_eq!((user.name.as_str(), user.uid.as_str()), ("system:serviceaccount:dev:robot", "uid-of-robot"));
        assert_eq!(user.groups, ["system:serviceaccounts", "system:serviceaccounts:dev", "system:authenticated"]);
        let at = |seconds: i64| now() + SignedDuration::from_secs(seconds);
        for (seconds, valid) in [(-1, false), (0, true), (599, true), (600, false)] {
            assert_eq!(verify(txn.state(), "c1", SECRET, &token, at(seconds)).is_some(), valid, "{seconds}");
        }
    }

    #[test]
    fn a_token_is_worth_nothing_elsewhere_or_changed() {
        let mut txn = txn();
        let token = token(&txn, json!({})).unwrap();
        assert!(verify(txn.state(), "c2", SECRET, &token, now()).is_none());
        assert!(verify(txn.state(), "c1", b"another secret", &token, now()).is_none());
        let (message, signature) = token.rsplit_once('.').unwrap();
        let none = URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#);
        let payload = message.split_once('.').unwrap().1;
        let forged = [
            format!("{none}.{payload}."),
            format!("{message}."),
            message.to_owned(),
            format!("{message}.{}", &signature[1..]),
            format!("{message}x.{signature}"),
            String::new(),
            "..".to_owned(),
        ];
        for token in forged {
            assert!(verified(&txn, &token).is_none(), "{token}");
        }
        txn.put(Key::new("serviceaccounts", "dev", "robot"), json!({"metadata": {"uid": "made-again"}}));
        assert!(verified(&txn, &token).is_none());
    }

    #[test]
    fn a_token_is_for_its_audiences() {
        let txn = txn();
        let token = token(&txn, json!({"audiences": ["vault", "mesh"]})).unwrap();
        assert!(verified(&txn, &token).is_none(), "it is not for the API server");
        let (_, audiences) = verify_for(txn.state(), "c1", SECRET, &token, &["mesh", "x"], now()).unwrap();
        assert_eq!(audiences, ["mesh"]);
    }

    #[test]
    fn a_bound_token_goes_with_what_it_is_bound_to() {
        let mut txn = txn();
        let token = token(&txn, json!({"boundObjectRef": {"kind": "Pod", "apiVersion": "v1", "name": "web"}})).unwrap();
        let user = verified(&txn, &token).unwrap();
        let extra = |name: &str| user.extra[&format!("authentication.kubernetes.io/{name}")][0].clone();
        assert_eq!([extra("pod-name"), extra("pod-uid"), extra("node-name")], ["web", "uid-of-pod", "10.0.0.1"]);
        txn.remove(&Key::new("nodes", "", "10.0.0.1"));
        assert!(verified(&txn, &token).is_some());
        txn.remove(&Key::new("pods", "dev", "web"));
        assert!(verified(&txn, &token).is_none());
    }

    #[test]
    fn requests_that_cannot_be_are_refused() {
        let txn = txn();
        let bound = |kind: &str, name: &str, uid: &str| json!({"boundObjectRef": {"kind": kind, "apiVersion": "v1", "name": name, "uid": uid}});
        let cases = [
            (json!({"expirationSeconds": 60}), 422, "may not specify a duration less than 10 minutes"),
            (json!({"expirationSeconds": 1_i64 << 40}), 422, "may not specify a duration larger than 2^32 seconds"),
            (bound("Pod", "gone", ""), 404, "pods \"gone\" not found"),
            (bound("Pod", "web", "another"), 409, "does not match the UID in record"),
            (bound("ConfigMap", "x", ""), 400, "cannot bind token to object of type v1, Kind=ConfigMap"),
        ];
        for (spec, code, message) in cases {
            let refused = token(&txn, spec).unwrap_err();
            assert_eq!(refused.code, code);
            assert!(refused.message.contains(message), "{}", refused.message);
        }
        let request = json!({"spec": {"boundObjectRef": {"kind": "Pod", "apiVersion": "v1", "name": "web"}}});
        let of_other = issue(txn.state(), "c1", SECRET, ("dev", "other"), &request, now()).unwrap_err();
        assert!(of_other.message.contains("different serviceaccount"));
        assert_eq!(issue(txn.state(), "c1", SECRET, ("dev", "nobody"), &json!({}), now()).unwrap_err().code, 404);
    }

    #[test]
    fn secrets_get_a_token_that_lasts_as_long_as_they_do() {
        let mut txn = txn();
        let world = World { id: "c1".to_owned(), ca_pem: "PEM".to_owned(), ..World::default() };
        let key = Key::new("secrets", "dev", "robot-token");
        let annotations = json!({"kubernetes.io/service-account.name": "robot"});
        let secret = json!({"metadata": {"annotations": annotations}, "type": "kubernetes.io/service-account-token"});
        let mut value = txn.put(key.clone(), secret).value().into_owned();
        assert!(fill_secret(txn.state(), &world, SECRET, &mut value));
        let filled =
            |name: &str| String::from_utf8(STANDARD.decode(text(&value["data"], &format!("/{name}"))).unwrap()).unwrap();
        assert_eq!((filled("ca.crt").as_str(), filled("namespace").as_str()), ("PEM", "dev"));
        assert_eq!(verified(&txn, &filled("token")).unwrap().name, "system:serviceaccount:dev:robot");
        let mut again = value.clone();
        assert!(fill_secret(txn.state(), &world, SECRET, &mut again));
        assert_eq!(again, value);
        txn.remove(&key);
        assert!(verified(&txn, &filled("token")).is_none());
        for other in [json!({"type": "Opaque"}), json!({"type": "kubernetes.io/service-account-token"})] {
            assert!(!fill_secret(txn.state(), &world, SECRET, &mut other.clone()));
        }
    }

    #[test]
    fn a_secret_is_filled_when_it_is_written_and_dangles_without_its_account() {
        let mut txn = txn();
        let world = World { id: "c1".to_owned(), ..World::default() };
        let key = Key::new("secrets", "dev", "robot-token");
        let of = |kind: &str, account: &str| json!({"metadata": {"annotations": {ACCOUNT_NAME: account}}, "type": kind});
        let token_type = "kubernetes.io/service-account-token";
        for (kind, account) in [("Opaque", "robot"), (token_type, "nobody")] {
            let mut value = of(kind, account);
            fill(txn.state(), &world, SECRET, &key, &mut value);
            assert_eq!(value, of(kind, account));
        }
        let mut value = of(token_type, "robot");
        fill(txn.state(), &world, SECRET, &key, &mut value);
        let written = txn.put(key.clone(), value);
        assert_eq!(text(written.content(), "/metadata/annotations/kubernetes.io~1service-account.uid"), "uid-of-robot");
        let token = |value: &Value| String::from_utf8(STANDARD.decode(text(value, "/data/token")).unwrap()).unwrap();
        assert!(verified(&txn, &token(written.content())).is_some());
        let mut emptied = written.value().into_owned();
        emptied["data"] = json!({});
        fill(txn.state(), &world, SECRET, &key, &mut emptied);
        assert_eq!(emptied["data"], written.content()["data"], "an update does not take the token away");
        assert!(!is_dangling(txn.state(), &written));
        for replaced in [None, Some("made-again")] {
            txn.remove(&Key::new("serviceaccounts", "dev", "robot"));
            if let Some(uid) = replaced {
                txn.put(Key::new("serviceaccounts", "dev", "robot"), json!({"metadata": {"uid": uid}}));
            }
            assert!(is_dangling(txn.state(), &written), "{replaced:?}");
            let mut again = emptied.clone();
            fill(txn.state(), &world, SECRET, &key, &mut again);
            assert_eq!(again, emptied);
        }
    }

    #[test]
    fn names_of_accounts_are_told_from_those_of_users() {
        let cases = [
            ("system:serviceaccount:dev:robot", Some(("dev", "robot"))),
            ("system:serviceaccount:dev", None),
            ("system:serviceaccount:dev:a:b", None),
            ("IAM#jane@example.com", None),
        ];
        for (name, account) in cases {
            assert_eq!(account_of(name), account);
        }
    }
}
