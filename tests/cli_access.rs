//! Policies, access groups and custom roles from the command line.

use std::collections::BTreeSet;
use std::fs;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::harness::boatyard::Shell;
use crate::harness::http::{array, text};
use crate::harness::{Request, Server, User, shared};

const VIEWER: &str = "crn:v1:bluemix:public:iam::::role:Viewer";

/// The owner of an account, at the command line.
struct Desk {
    server: Arc<Server>,
    user: User,
    shell: Shell,
}

impl Desk {
    fn new(name: &str) -> Self {
        let server = shared();
        let user = server.account(name);
        let shell = Shell::logged_in(&server, &user);
        Self { server, user, shell }
    }

    /// Runs `boatyard iam COMMAND`; no argument of it has a blank in it.
    #[track_caller]
    fn ok(&self, command: &str) -> String {
        self.shell.ok(format!("iam {command}").split(' '))
    }

    #[track_caller]
    fn json(&self, command: &str) -> Value {
        self.shell.json(format!("iam {command} --output json").split(' '))
    }

    /// Runs a command that must end with `code`; what it says.
    #[track_caller]
    fn refused(&self, command: &str, code: i32) -> String {
        let finished = self.shell.run(format!("iam {command}").split(' '));
        assert_eq!(finished.status.code(), Some(code), "{command}: {}{}", finished.stdout, finished.stderr);
        finished.failure()
    }

    fn post(&self, path: &str, mut body: Value) -> Value {
        body["account_id"] = json!(self.user.account_id);
        let token = self.server.token(&self.user);
        self.server.send(Request::post(path).bearer(&token).json(&body)).json(201)
    }

    fn service_id(&self, name: &str) -> Value {
        self.post("/v1/serviceids", json!({ "name": name, "apikey": { "name": name } }))
    }
}

/// Attributes of a policy's resource but for the account.
fn attributes(policy: &Value) -> Vec<(&str, &str, &str)> {
    let all = array(&policy["resource"]["attributes"]).iter();
    let all = all.map(|each| (text(each, "/key"), text(each, "/operator"), text(each, "/value")));
    all.filter(|(key, ..)| *key != "accountId").collect()
}

#[test]
fn policies_of_a_user_are_made_shown_changed_and_deleted() {
    let desk = Desk::new("cli-policies");
    let guest = "cli-policies-guest@example.com";
    desk.shell.ok(["account", "user-invite", guest]);
    assert_eq!(desk.json(&format!("user-policies {guest}")), json!([]));

    let containers = "--service-name containers-kubernetes";
    let made = desk.json(&format!("user-policy-create {guest} --roles viewer,Manager {containers} --region us-south"));
    let id = text(&made, "/id");
    let expected = [("serviceName", "stringEquals", "containers-kubernetes"), ("region", "stringEquals", "us-south")];
    assert_eq!(attributes(&made), expected);
    let roles: Vec<_> = array(&made["control"]["grant"]["roles"]).iter().map(|role| text(role, "/role_id")).collect();
    assert_eq!(roles, [VIEWER, "crn:v1:bluemix:public:iam::::serviceRole:Manager"]);
    let iam_id = text(&made, "/subject/attributes/0/value");

    let printed = desk.ok(&format!("user-policies {guest}"));
    let row = printed.lines().find(|line| line.starts_with(id)).unwrap();
    assert!(row.contains("Viewer, Manager") && row.contains("region=us-south"), "{printed}");
    let printed = desk.ok(&format!("user-policy {iam_id} {id}"));
    assert!(printed.contains("Viewer, Manager") && printed.contains("active"), "{printed}");

    // What is not given stays.
    let changed = desk.json(&format!("user-policy-update {guest} {id} --roles {VIEWER} --region us-* -f"));
    assert_eq!(attributes(&changed), [expected[0], ("region", "stringMatch", "us-*")]);
    assert_eq!(changed["control"]["grant"]["roles"], json!([{ "role_id": VIEWER }]));
    let changed = desk.json(&format!("user-policy-update {guest} {id} --account-management"));
    assert_eq!(attributes(&changed), [("region", "stringMatch", "us-*"), ("serviceType", "stringEquals", "platform_service")]);
    assert_eq!(changed["control"]["grant"]["roles"], json!([{ "role_id": VIEWER }]));

    let owner = "cli-policies@example.com";
    for (command, code, said) in [
        (format!("user-policy-create {guest} --roles Viwer {containers}"), 1, "Viewer, Editor"),
        (format!("user-policy-create {guest} {containers}"), 2, "--roles"),
        (format!("user-policy-create {guest} --roles Viewer --attributes region"), 2, "name=value"),
        (format!("user-policy-create {guest} --roles Viewer {containers} --account-management"), 2, "cannot be used with"),
        (format!("user-policy-create {guest} --roles Viewer --resource-group-name none"), 1, "resource groups"),
        (format!("user-policy-create {guest} --roles Viewer --attributes colour=red"), 1, "HTTP 400"),
        ("user-policies nobody@example.com".to_owned(), 1, "account users"),
        (format!("user-policy {owner} {id}"), 1, "none of the user"),
        (format!("user-policy {guest} nothing"), 1, "HTTP 404"),
        (format!("user-policy-update {guest} {id}"), 2, "nothing to change"),
        (format!("user-policy-delete {guest} {id}"), 2, "`-f`"),
        (format!("user-policy-delete {owner} {id} -f"), 1, "none of the user"),
    ] {
        let printed = desk.refused(&command, code);
        assert!(printed.contains(said), "{command}: {printed}");
    }
    assert_eq!(array(&desk.json(&format!("user-policies {guest}"))).len(), 1);
    desk.ok(&format!("user-policy-delete {guest} {id} -f"));
    assert_eq!(desk.json(&format!("user-policies {guest}")), json!([]));
}

#[test]
fn every_kind_of_subject_has_policies_of_its_own() {
    let desk = Desk::new("cli-subjects");
    desk.service_id("robot");
    desk.post("/v1/profiles", json!({ "name": "deputy" }));
    desk.ok("access-group-create crew");
    let default = desk.shell.json(["resource", "groups", "--default", "--output", "json"]);
    let default = text(&default, "/0/id").to_owned();
    let subjects = [("service", "robot"), ("trusted-profile", "deputy"), ("access-group", "crew")];
    for (command, name) in subjects {
        let made = desk.json(&format!("{command}-policy-create {name} --roles Editor --resource-group-name Default"));
        assert_eq!(attributes(&made), [("resourceGroupId", "stringEquals", default.as_str())], "{command}");
        let key = if command == "access-group" { "access_group_id" } else { "iam_id" };
        assert_eq!(text(&made, "/subject/attributes/0/key"), key);
        let id = text(&made, "/id");
        let changed = desk.json(&format!("{command}-policy-update {name} {id} --roles Viewer"));
        assert_eq!(changed["control"]["grant"]["roles"], json!([{ "role_id": VIEWER }]));
    }
    for (command, name) in subjects {
        let list = desk.json(&format!("{command}-policies {name}"));
        assert_eq!(array(&list).len(), 1, "{command}: {list}");
        let id = text(&list, "/0/id");
        assert!(desk.ok(&format!("{command}-policy {name} {id}")).contains("Viewer"));
        desk.ok(&format!("{command}-policy-delete {name} {id} -f"));
        assert_eq!(desk.json(&format!("{command}-policies {name}")), json!([]));
    }

    let twin = desk.service_id("robot");
    let printed = desk.refused("service-policies robot", 1);
    assert!(printed.contains("Several") && printed.contains(text(&twin, "/id")), "{printed}");
    assert_eq!(desk.json(&format!("service-policies {}", text(&twin, "/iam_id"))), json!([]));
    assert!(desk.refused("trusted-profile-policies nobody", 1).contains("trusted profile"));
}

#[test]
fn policies_come_out_of_files_in_both_forms() {
    let desk = Desk::new("cli-files");
    desk.service_id("robot");
    let (newer, older) = (desk.shell.path("newer.json"), desk.shell.path("older.json"));
    let role = json!({ "role_id": VIEWER });
    let attribute = |key: &str| json!({ key: "serviceName", "operator": "stringEquals", "value": "iam-groups" });
    let text_of = json!({
        "description": "from a file",
        "resource": { "attributes": [attribute("key")] },
        "control": { "grant": { "roles": [role] } },
    });
    fs::write(&newer, text_of.to_string()).unwrap();
    let text_of = json!({ "roles": [role], "resources": [{ "attributes": [{ "name": "region", "value": "eu-de" }, attribute("name")] }] });
    fs::write(&older, text_of.to_string()).unwrap();

    let made = desk.json("service-policy-create robot --file newer.json");
    assert_eq!(text(&made, "/description"), "from a file");
    assert_eq!(attributes(&made), [("serviceName", "stringEquals", "iam-groups")]);
    let changed = desk.json(&format!("service-policy-update robot {} --file older.json", text(&made, "/id")));
    assert_eq!(attributes(&changed), [("region", "stringEquals", "eu-de"), ("serviceName", "stringEquals", "iam-groups")]);

    fs::write(&older, "[]").unwrap();
    assert!(desk.refused("service-policy-create robot --file older.json", 1).contains("not a policy"));
    fs::write(&older, "{").unwrap();
    assert!(desk.refused("service-policy-create robot --file older.json", 1).contains("not JSON"));
    assert!(desk.refused("service-policy-create robot --file none.json", 1).contains("Cannot read"));
    desk.refused("service-policy-create robot --file newer.json --roles Viewer", 2);
}

#[test]
fn a_service_id_with_a_policy_on_one_cluster_sees_that_cluster_only() {
    let desk = Desk::new("cli-one-cluster");
    let token = desk.server.token(&desk.user);
    let one = desk.server.create_classic(&token, "one");
    desk.server.create_classic(&token, "two");
    let service_id = desk.service_id("robot");
    let robot = Shell::new();
    let ca_file = desk.server.ca_file.to_str().unwrap();
    robot.ok([
        "login",
        "-q",
        "-a",
        &desk.server.endpoint,
        "--ca-file",
        ca_file,
        "--apikey",
        text(&service_id, "/apikey/apikey"),
    ]);
    assert!(robot.run(["ks", "cluster", "ls"]).failure().contains("HTTP 403"));

    let what = "--roles Viewer --service-name containers-kubernetes";
    let made = desk.json(&format!("service-policy-create robot {what} --service-instance {one}"));
    let names = || {
        let list = robot.json(["ks", "cluster", "ls", "--output", "json"]);
        array(&list).iter().map(|cluster| text(cluster, "/name").to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names(), ["one"]);
    robot.ok(["ks", "cluster", "get", "-c", "one"]);
    robot.run(["ks", "cluster", "get", "-c", "two"]).failure();
    desk.ok(&format!("service-policy-delete robot {} -f", text(&made, "/id")));
    assert!(robot.run(["ks", "cluster", "ls"]).failure().contains("HTTP 403"));
}

#[test]
fn access_groups_have_users_and_service_ids() {
    let desk = Desk::new("cli-crews");
    let (owner, guest) = ("cli-crews@example.com", "cli-crews-guest@example.com");
    desk.shell.ok(["account", "user-invite", guest]);
    desk.service_id("robot");
    let made = desk.json("access-group-create crew -d sailors");
    let id = text(&made, "/id");
    desk.ok("access-group-create staff");
    assert_eq!(desk.ok("access-group crew --id"), format!("{id}\n"));
    let changed = desk.json("access-group-update crew -n hands -f");
    assert_eq!((text(&changed, "/name"), text(&changed, "/description")), ("hands", "sailors"));

    let names = |list: Value| array(&list).iter().map(|each| text(each, "/name").to_owned()).collect::<Vec<_>>();
    let added = desk.json(&format!("access-group-user-add hands {guest} {owner}"));
    assert_eq!(array(&added).len(), 2);
    desk.ok(&format!("access-group-user-add staff {guest}"));
    let locked = desk.service_id("locked");
    let lock = Request::post(format!("/v1/serviceids/{}/lock", text(&locked, "/id")));
    desk.server.send(lock.bearer(&desk.server.token(&desk.user))).expect(204);
    let printed = desk.refused("access-group-service-id-add hands locked robot", 1);
    assert!(printed.contains(text(&locked, "/iam_id")) && printed.contains("Unlock"), "{printed}");
    let emails = |group: &str| {
        let list = desk.json(&format!("access-group-users {group}"));
        // Members are listed in the order in which they were added, which these two were at once.
        array(&list).iter().map(|each| text(each, "/email").to_owned()).collect::<BTreeSet<_>>()
    };
    assert_eq!(emails("hands"), BTreeSet::from([guest.to_owned(), owner.to_owned()]));
    assert_eq!(names(desk.json("access-group-service-ids hands")), ["robot"]);
    assert!(desk.ok("access-group-service-ids hands").contains("iam-ServiceId-"));
    let of = |member: &str| {
        let mut groups = names(desk.json(&format!("access-groups {member}")));
        groups.retain(|name| name != "Public Access");
        groups
    };
    assert_eq!(of(&format!("-u {guest}")), ["hands", "staff"]);
    assert_eq!(of("-s robot"), ["hands"]);
    assert!(desk.ok("access-groups").lines().any(|line| line.starts_with("hands") && line.contains("sailors")));

    desk.ok(&format!("access-group-user-remove hands {owner}"));
    assert!(desk.refused(&format!("access-group-user-remove hands {owner}"), 1).contains("HTTP 404"));
    assert!(desk.refused(&format!("access-group-user-purge {guest}"), 2).contains("`-f`"));
    desk.ok(&format!("access-group-user-purge {guest} -f"));
    assert_eq!((emails("hands").len(), emails("staff").len()), (0, 0));

    let kept = desk.refused("access-group-delete hands -f", 1);
    assert!(kept.contains("--recursive"), "{kept}");
    desk.ok("access-group-service-id-remove hands robot");
    desk.ok("access-group-delete hands -f");
    desk.ok("access-group-service-id-add staff robot");
    desk.ok("access-group-delete staff -f --recursive");
    assert!(desk.refused("access-group staff", 1).contains("iam access-groups"));
    assert!(desk.refused("access-group-update staff", 2).contains("nothing to change"));
    assert!(desk.refused("access-group-user-add Public nobody@example.com", 1).contains("access group"));
}

#[test]
fn custom_roles_are_made_given_changed_and_deleted() {
    let desk = Desk::new("cli-roles");
    let printed = desk.ok("roles");
    let row = printed.lines().find(|line| line.starts_with("Viewer")).unwrap();
    assert!(row.contains("platform") && row.contains(VIEWER), "{printed}");
    assert!(printed.lines().any(|line| line.starts_with("Manager") && line.contains("serviceRole:Manager")), "{printed}");
    let groups = desk.json("roles --service iam-groups");
    let names: Vec<_> = array(&groups["system_roles"]).iter().map(|role| text(role, "/display_name")).collect();
    assert_eq!((names, array(&groups["service_roles"]).len()), (vec!["Viewer", "Editor", "Administrator"], 0));
    assert!(desk.ok("role viewer").contains("containers-kubernetes.cluster.read"));

    let read = "containers-kubernetes.cluster.read";
    let make = "role-create Watcher --display-name Lookout --service-name containers-kubernetes";
    assert!(desk.refused(&format!("{make} --actions none.such.thing"), 1).contains("HTTP 400"));
    let made = desk.json(&format!("{make} --actions {read},iam.policy.read -d watches"));
    assert_eq!(made["actions"], json!([read, "iam.policy.read"]));
    for name in ["Watcher", "lookout", text(&made, "/id"), text(&made, "/crn")] {
        assert_eq!(desk.json(&format!("role {name}")), made, "{name}");
    }
    let changed = desk.json(&format!("role-update Watcher --actions {read}"));
    assert_eq!((&changed["actions"], text(&changed, "/display_name")), (&json!([read]), "Lookout"));
    assert_eq!(text(&changed, "/description"), "watches");

    desk.service_id("robot");
    let policy = desk.json("service-policy-create robot --roles Lookout --service-name containers-kubernetes");
    assert_eq!(policy["control"]["grant"]["roles"], json!([{ "role_id": text(&made, "/crn") }]));
    assert!(desk.refused("role-delete Lookout -f", 1).contains("HTTP 409"));
    desk.ok(&format!("service-policy-delete robot {} -f", text(&policy, "/id")));

    // A role with the name of another one is given by its CRN only.
    desk.ok("role-update Watcher --display-name Viewer");
    let printed = desk.refused("service-policy-create robot --roles Viewer --service-name containers-kubernetes", 1);
    assert!(printed.contains(VIEWER) && printed.contains(text(&made, "/crn")), "{printed}");
    assert!(desk.refused("role-update Editor -d mine", 1).contains("Only custom roles"));
    assert!(desk.refused("role-update Watcher", 2).contains("nothing to change"));
    assert!(desk.refused("role-delete Watcher", 2).contains("`-f`"));
    desk.ok("role-delete Watcher -f");
    assert!(desk.refused("role Watcher", 1).contains("Viewer"));
}
