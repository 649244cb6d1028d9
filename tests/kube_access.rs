//! Who gets into a cluster, and as whom: tokens of IAM, certificates of administrators, and the kubeconfigs that carry them.

use std::fs;

use reqwest::blocking::Client;
use reqwest::{Certificate, Identity};
use serde_json::{Value, json};

use crate::harness::archive::unpacked;
use crate::harness::boatyard::Shell;
use crate::harness::http::{array, text};
use crate::harness::{APIKEY, Answer, BX, KUBE, Request, Server, User, shared};

/// Who somebody is in a cluster: what `kubectl auth whoami` asks for.
const WHOAMI: &str = "/apis/authentication.k8s.io/v1/selfsubjectreviews";

fn review() -> Value {
    json!({ "apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview" })
}

fn path(cluster: &str, below: &str) -> String {
    format!("/kube/{cluster}{below}")
}

fn whoami(server: &Server, cluster: &str, token: &str) -> Answer {
    server.send(Request::post(path(cluster, WHOAMI)).bearer(token).json(&review()))
}

/// That a request was refused as an API server refuses.
#[track_caller]
fn refused(answer: &Answer, status: u16, reason: &str) {
    let body = answer.json(status);
    assert_eq!((&body["kind"], &body["reason"], &body["code"]), (&json!("Status"), &json!(reason), &json!(status)), "{body}");
    assert!(answer.header("x-request-id").is_some());
}

/// Files of a kubeconfig's archive.
fn archive(server: &Server, token: &str, cluster: &str, admin: bool) -> Answer {
    let order = json!({ "cluster": cluster, "format": "zip", "admin": admin });
    server.send(Request::post("/global/v2/applyRBACAndGetKubeconfig").bearer(token).json(&order))
}

fn config(files: &std::collections::BTreeMap<String, String>) -> Value {
    let yaml = files.iter().find(|(name, _)| name.ends_with(".yaml")).expect("one *.yaml").1;
    yaml_serde::from_str(yaml).expect("it is YAML")
}

fn id_token(server: &Server, token: &str, cluster: &str) -> String {
    let config = config(&unpacked(&archive(server, token, cluster, false).expect(200).body));
    text(&config, "/users/0/user/auth-provider/config/id-token").to_owned()
}

fn cluster(server: &Server, user: &User, name: &str) -> (String, String) {
    let token = server.token(user);
    let id = server.create_vpc(&token, name);
    server.normal(&token, &id);
    (token, id)
}

#[test]
fn a_kubeconfig_opens_the_cluster_to_its_user_and_to_nobody_else() {
    let server = shared();
    let (user, other) = (server.account("kube-own"), server.account("kube-other"));
    let (token, id) = cluster(&server, &user, "kube-own");
    let (other_token, other_id) = cluster(&server, &other, "kube-other");
    let id_token_of_user = id_token(&server, &token, &id);
    let me = whoami(&server, &id, &id_token_of_user).json(201);
    assert_eq!(text(&me, "/status/userInfo/username"), format!("IAM#{}", user.username.to_lowercase()));
    let version = server.send(Request::get(path(&id, "/version")).bearer(&id_token_of_user)).json(200);
    assert!(text(&version, "/gitVersion").starts_with("v1."), "{version}");

    refused(&whoami(&server, &id, &id_token(&server, &other_token, &other_id)), 401, "Unauthorized");
    for bad in [token.as_str(), "garbage", "a.b.c", "sha256~none", &format!("{id_token_of_user}x")] {
        refused(&whoami(&server, &id, bad), 401, "Unauthorized");
    }
    refused(&whoami(&server, "c0000000000000000000", &id_token_of_user), 404, "NotFound");
    refused(&server.send(Request::get(path(&id, "/version")).header("Authorization", "Basic eDp5")), 401, "Unauthorized");
}

#[test]
fn a_token_ends_with_its_session_and_with_its_time() {
    let server = Server::start();
    let user = server.account("kube-session");
    let (_, id) = cluster(&server, &user, "kube-session");
    let login = server.login(&user);
    let of_session = id_token(&server, text(&login, "/access_token"), &id);
    whoami(&server, &id, &of_session).expect(201);
    server.send(Request::post("/identity/revoke").form(&[("token", text(&login, "/refresh_token"))])).expect(200);
    refused(&whoami(&server, &id, &of_session), 401, "Unauthorized");

    let fresh = id_token(&server, &server.token(&user), &id);
    server.advance_clock(1190);
    whoami(&server, &id, &fresh).expect(201);
    server.advance_clock(20);
    refused(&whoami(&server, &id, &fresh), 401, "Unauthorized");
}

/// A client with the certificate of an archive.
fn with_certificate(server: &Server, files: &std::collections::BTreeMap<String, String>) -> Client {
    let authority = Certificate::from_pem(&fs::read(&server.ca_file).unwrap()).unwrap();
    let identity = Identity::from_pem(format!("{}{}", files["admin-key.pem"], files["admin.pem"]).as_bytes()).unwrap();
    Client::builder().tls_certs_only([authority]).identity(identity).build().unwrap()
}

#[test]
fn an_administrators_certificate_is_good_for_its_cluster_only() {
    let server = shared();
    let user = server.account("kube-admin");
    let (token, id) = cluster(&server, &user, "kube-admin");
    let (_, second) = cluster(&server, &user, "kube-admin-2");
    let files = unpacked(&archive(&server, &token, "kube-admin", true).expect(200).body);
    let config = config(&files);
    assert_eq!(text(&config, "/users/0/user/client-certificate"), "admin.pem");
    assert_eq!(text(&config, "/users/0/user/client-key"), "admin-key.pem");
    assert_eq!(text(&config, "/current-context"), format!("kube-admin/{id}/admin"));
    let client = with_certificate(&server, &files);
    let ask = |cluster: &str| {
        let answer = client.post(format!("{}{}", server.endpoint, path(cluster, WHOAMI))).json(&review()).send().unwrap();
        (answer.status().as_u16(), answer.json::<Value>().unwrap())
    };
    let (status, me) = ask(&id);
    assert_eq!((status, text(&me, "/status/userInfo/username")), (201, &*format!("IAM#{}", user.username)), "{me}");
    assert!(array(&me["status"]["userInfo"]["groups"]).contains(&json!("system:masters")), "{me}");
    assert_eq!(ask(&second).0, 401);

    let elsewhere = Server::start();
    let (_, foreign) = cluster(&elsewhere, &elsewhere.administrator, "elsewhere");
    let stranger = with_certificate(&elsewhere, &files);
    let asked = stranger.get(format!("{}{}", elsewhere.endpoint, path(&foreign, "/version"))).send().unwrap();
    assert_eq!(asked.status(), 401, "a certificate of another installation is answered, and refused");
    let (_, classic) = (0, server.create_classic(&token, "kube-admin-classic"));
    server.normal(&token, &classic);
    let admin = server.send(Request::get(format!("/v1/clusters/{classic}/config/admin")).bearer(&token));
    let files = unpacked(&admin.expect(200).body);
    assert!(["admin.pem", "admin-key.pem"].iter().all(|name| files.keys().any(|file| file.ends_with(name))), "{files:?}");
}

#[test]
fn kubectl_gets_its_tokens_from_the_login_of_the_command_line() {
    let server = Server::start();
    let user = server.account("kube-exec");
    let (_, id) = cluster(&server, &user, "kube-exec");
    let shell = Shell::logged_in(&server, &user);
    let config = shell.json(["cluster", "config", "-c", "kube-exec", "--exec", "--output", "json"]);
    let exec = &config["users"][0]["user"]["exec"];
    assert_eq!((&exec["apiVersion"], &exec["interactiveMode"]), (&json!("client.authentication.k8s.io/v1"), &json!("Never")));
    assert!(!config.to_string().contains("token\":"), "nothing secret is in it: {config}");
    let arguments: Vec<_> = array(&exec["args"]).iter().map(|argument| argument.as_str().unwrap()).collect();
    assert_eq!(arguments[..3], ["kube-token", "--cluster", &id]);
    let credential = shell.json(&arguments);
    assert_eq!((&credential["kind"], &credential["apiVersion"]), (&json!("ExecCredential"), &exec["apiVersion"]));
    assert!(text(&credential, "/status/expirationTimestamp").ends_with('Z'), "{credential}");
    whoami(&server, &id, text(&credential, "/status/token")).expect(201);
    server.advance_clock(1300);
    refused(&whoami(&server, &id, text(&credential, "/status/token")), 401, "Unauthorized");
    let again = shell.json(&arguments);
    whoami(&server, &id, text(&again, "/status/token")).expect(201);

    shell.ok(["logout"]);
    let message = shell.run(&arguments).failure();
    assert!(message.contains("not logged in") && message.contains("boatyard login"), "{message}");
}

const TEAM: &str = "accounts:
  - name: kube-team
    owner: { username: ada@example.com }
    api_keys: [{ name: owner, value: 'owner-of-the-kube-team-001' }]
    users:
      - { username: bob@example.com, given_name: Bob, family_name: Builder, api_keys: [{ name: bob, value: 'bob-of-the-kube-team-00002' }] }
";
const SERVICE: &str = "crn:v1:bluemix:public:iam::::serviceRole:";

#[test]
fn roles_of_iam_are_in_force_with_the_next_request() {
    let shell = Shell::new();
    let file = shell.path("team.yaml");
    fs::write(&file, TEAM).unwrap();
    let server = Server::builder().env("BOATYARD_FIXTURE", file.to_str().unwrap()).start();
    let login = |client: &str, key: &str| server.grant(Some(client), &[("grant_type", APIKEY), ("apikey", key)]).json(200);
    let ada = text(&login(BX, "owner-of-the-kube-team-001"), "/access_token").to_owned();
    let bob = text(&login(KUBE, "bob-of-the-kube-team-00002"), "/id_token").to_owned();
    let account =
        text(&server.send(Request::get("/coe/v2/accounts").bearer(&ada)).json(200), "/resources/0/metadata/guid").to_owned();
    let id = server.create_vpc(&ada, "team");
    server.normal(&ada, &id);
    let status = server.send(Request::get(format!("/global/v2/getRBACStatus?cluster={id}")).bearer(&ada)).json(200);
    assert_eq!(status, json!({ "synchronized": true, "error": false }));

    let read = |namespace: &str| {
        server.send(Request::get(path(&id, &format!("/api/v1/namespaces/{namespace}/pods"))).bearer(&bob)).status
    };
    let write = |namespace: &str| {
        let map = json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "generateName": "m-" } });
        server
            .send(Request::post(path(&id, &format!("/api/v1/namespaces/{namespace}/configmaps"))).bearer(&bob).json(&map))
            .status
    };
    let policy = |subject: (&str, &str), role: &str, namespace: Option<&str>| {
        let attribute = |key: &str, value: &str| json!({ "key": key, "operator": "stringEquals", "value": value });
        let mut attributes = vec![attribute("accountId", &account), attribute("serviceName", "containers-kubernetes")];
        attributes.extend(namespace.map(|namespace| attribute("namespace", namespace)));
        let policy = json!({
            "type": "access",
            "subject": { "attributes": [attribute(subject.0, subject.1)] },
            "resource": { "attributes": attributes },
            "control": { "grant": { "roles": [{ "role_id": format!("{SERVICE}{role}") }] } },
        });
        text(&server.send(Request::post("/v2/policies").bearer(&ada).json(&policy)).json(201), "/id").to_owned()
    };
    let iam_id = text(&crate::harness::jwt::claims(&bob), "/iam_id").to_owned();
    assert_eq!((read("default"), write("default")), (403, 403), "who has no role may do nothing");
    let reader = policy(("iam_id", &iam_id), "Reader", Some("default"));
    assert_eq!((read("default"), read("kube-system"), write("default")), (200, 403, 403));

    let group = json!({ "name": "kube-devs" });
    let group = server.send(Request::post(format!("/v2/groups?account_id={account}")).bearer(&ada).json(&group)).json(201);
    let group = text(&group, "/id");
    policy(("access_group_id", group), "Writer", None);
    assert_eq!(write("kube-system"), 403, "bob is not in the group");
    let members = json!({ "members": [{ "iam_id": iam_id, "type": "user" }] });
    server.send(Request::new("PUT", format!("/v2/groups/{group}/members")).bearer(&ada).json(&members)).expect(207);
    assert_eq!((write("kube-system"), read("kube-system")), (201, 200), "groups are those of now, not those of the token");
    server.send(Request::delete(format!("/v2/groups/{group}/members/{iam_id}")).bearer(&ada)).expect(204);
    server.send(Request::delete(format!("/v2/policies/{reader}")).bearer(&ada)).expect(204);
    assert_eq!((write("kube-system"), read("default")), (403, 403));
}

#[test]
fn objects_are_on_disk_when_they_are_answered_and_secrets_are_sealed_there() {
    let mut server = Server::start();
    let (token, id) = cluster(&server, &server.administrator.clone(), "kept");
    let id_token = id_token(&server, &token, &id);
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "kept" }, "stringData": { "password": "correct-horse-battery" },
    });
    let secrets = path(&id, "/api/v1/namespaces/default/secrets");
    let made = server.send(Request::post(&secrets).bearer(&id_token).json(&secret)).json(201);
    server.kill();
    server.start_again();
    let read = server.send(Request::get(format!("{secrets}/kept")).bearer(&id_token)).json(200);
    assert_eq!((&read["data"], &read["metadata"]), (&made["data"], &made["metadata"]));
    let encoded = text(&made, "/data/password");
    for file in fs::read_dir(&server.data_dir).unwrap() {
        let bytes = fs::read(file.unwrap().path()).unwrap_or_default();
        assert!(!bytes.windows(encoded.len()).any(|window| window == encoded.as_bytes()), "it is nowhere in the clear");
    }
    server.send(Request::delete(format!("/global/v1/clusters/{id}")).bearer(&token)).expect(204);
    refused(&server.send(Request::get(format!("{secrets}/kept")).bearer(&id_token)), 404, "NotFound");
}
