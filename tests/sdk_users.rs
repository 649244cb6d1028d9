//! User management and resource groups through `ibm-platform-services` for Python and `@ibm-cloud/platform-services` for Node.

use serde_json::json;

use crate::harness::clients::{describe, node, python, run, script};
use crate::harness::http::text;
use crate::harness::{BX, PASSWORD, Request, Server};

#[test]
fn the_python_sdk_manages_users_and_resource_groups() {
    let server = Server::start();
    let user = server.account("owner");
    let guest =
        json!({ "username": "guest@example.com", "given_name": "Guest", "family_name": "User", "password": "as good as any" });
    server.administrate(Request::post("/_boatyard/users").json(&guest)).expect(201);
    let fields = [("grant_type", PASSWORD), ("username", "guest@example.com"), ("password", "as good as any")];
    let login = server.grant(Some(BX), &fields).json(200);

    let (mut command, _home) = python(&[&script("python/users_and_groups.py")]);
    describe(&mut command, &server, &user);
    command.env("REQUESTS_CA_BUNDLE", &server.ca_file);
    command.env("GUEST_TOKEN", text(&login, "/access_token")).env("GUEST_USERNAME", "guest@example.com");
    let printed = run(&mut command).success();
    assert_eq!(printed.lines().filter(|l| l.starts_with("ok: ")).count(), 7, "{printed}");
}

#[test]
fn the_node_sdk_manages_users_and_resource_groups() {
    let server = Server::start();
    let user = server.account("owner");
    let (mut command, _home) = node("node", "users_and_groups.mjs");
    describe(&mut command, &server, &user);
    command.env("NODE_EXTRA_CA_CERTS", &server.ca_file);
    let printed = run(&mut command).success();
    assert_eq!(printed.lines().filter(|l| l.starts_with("ok: ")).count(), 3, "{printed}");
}
