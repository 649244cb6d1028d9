//! Users, resource groups and sessions from the command line.

use serde_json::{Value, json};

use crate::harness::boatyard::Shell;
use crate::harness::http::{array, text};
use crate::harness::{Request, Server, shared};

const SECRET: &str = "as good as any password";

/// Gives a user who was invited a password.
fn provide(server: &Server, username: &str) {
    let body = json!({ "username": username, "password": SECRET });
    server.administrate(Request::post("/_boatyard/users").json(&body)).expect(200);
}

#[test]
fn an_owner_invites_a_user_who_accepts_and_is_removed() {
    let server = shared();
    let user = server.account("cli-users");
    let owner = Shell::logged_in(&server, &user);
    let printed = owner.ok(["account", "show"]);
    assert!(printed.contains(&user.account_id) && printed.contains("cli-users@example.com"), "{printed}");

    let printed = owner.ok(["account", "user-invite", "cli-guest@example.com"]);
    assert!(printed.contains(&format!("boatyard account invite-accept {}", user.account_id)), "{printed}");
    let printed = owner.ok(["account", "users"]);
    let row = printed.lines().find(|line| line.starts_with("cli-guest@example.com")).unwrap();
    assert!(row.contains("PENDING"), "{printed}");

    provide(&server, "cli-guest@example.com");
    let guest = Shell::new();
    let ca_file = server.ca_file.to_str().unwrap();
    let login =
        ["login", "-a", &server.endpoint, "--ca-file", ca_file, "-u", "cli-guest@example.com", "-p", SECRET, "--no-account"];
    guest.ok(login);
    let refused = guest.run(["account", "invite-accept", "0123456789abcdef0123456789abcdef"]).failure();
    assert!(refused.contains("no invitation") && refused.contains("HTTP 404"), "{refused}");
    guest.ok(["account", "invite-accept", &user.account_id]);
    guest.ok(["target", "-c", &user.account_id]);
    assert!(guest.run(["account", "user-invite", "x@example.com"]).failure().contains("HTTP 403"));

    let users = owner.json(["account", "users", "--output", "json"]);
    let names: Vec<_> = array(&users).iter().map(|user| (text(user, "/user_id"), text(user, "/state"))).collect();
    assert_eq!(names, [("cli-users@example.com", "ACTIVE"), ("cli-guest@example.com", "ACTIVE")]);
    let asked = owner.run(["account", "user-remove", "cli-guest@example.com"]);
    assert_eq!(asked.status.code(), Some(2), "{}", asked.stderr);
    owner.ok(["account", "user-remove", "cli-guest@example.com", "-f"]);
    assert_eq!(owner.ok(["account", "user-invite", "cli-guest@example.com", "-q"]), "");
    let printed = owner.run(["account", "user-remove", "nobody@example.com", "-f"]).failure();
    assert!(printed.contains("account users"), "{printed}");
}

#[test]
fn resource_groups_are_made_renamed_and_deleted_by_name() {
    let server = shared();
    let shell = Shell::logged_in(&server, &server.account("cli-groups"));
    let made = shell.json(["resource", "group-create", "team-a", "--output", "json"]);
    let id = text(&made, "/id").to_owned();
    assert_eq!(shell.ok(["resource", "group", "TEAM-A", "--id"]), format!("{id}\n"));
    let printed = shell.ok(["resource", "groups"]);
    assert!(printed.lines().any(|line| line.starts_with("Default") && line.contains("true")), "{printed}");
    assert!(printed.lines().any(|line| line.starts_with("team-a") && line.contains(&id)), "{printed}");
    let default = shell.json(["resource", "groups", "--default", "--output", "json"]);
    assert_eq!(array(&default).len(), 1, "{default}");
    shell.ok(["resource", "group-update", "team-a", "-n", "team-b", "-f"]);
    let shown = shell.ok(["resource", "group", &id]);
    assert!(shown.contains("team-b"), "{shown}");
    shell.ok(["target", "-g", "team-b"]);
    assert!(shell.run(["resource", "group-delete", "Default", "-f"]).failure().contains("default resource group"));
    shell.ok(["resource", "group-delete", "team-b", "-f"]);
    assert!(shell.run(["resource", "group", "team-b"]).failure().contains("boatyard resource groups"));
}

#[test]
fn a_session_is_listed_and_ended() {
    let server = shared();
    let user = server.account("cli-sessions");
    let (first, second) = (Shell::logged_in(&server, &user), Shell::logged_in(&server, &user));
    let sessions = first.json(["iam", "sessions", "--output", "json"]);
    let other = array(&sessions).iter().find(|session| session["current"] == Value::Bool(false)).expect("the other one");
    let other = text(other, "/id");
    let printed = first.ok(["iam", "sessions"]);
    assert_eq!(printed.lines().filter(|line| line.starts_with("C-") && line.contains("apikey")).count(), 2, "{printed}");
    let of_user = first.json(["iam", "sessions", "--user", "cli-sessions@example.com", "--output", "json"]);
    assert_eq!(array(&of_user).len(), 2);
    first.ok(["iam", "session-end", other, "-f"]);
    second.run(["account", "users"]).failure();
    first.ok(["account", "users"]);
}
