//! `ibm-cloud-sdk-core` for Python.

use crate::harness::Server;
use crate::harness::clients::{describe, python, run, script};

#[test]
fn the_python_sdk_core_gets_and_refreshes_tokens_and_lists_clusters() {
    let server = Server::start();
    let user = server.account("python");
    let token = server.token(&user);
    server.create_vpc(&token, "sdk-vpc");
    server.create_classic(&token, "sdk-classic");

    let (mut command, _home) = python(&[&script("python/iam_tokens.py")]);
    describe(&mut command, &server, &user);
    command.env("REQUESTS_CA_BUNDLE", &server.ca_file).env("ADMINISTRATOR_APIKEY", &server.administrator.apikey);
    let printed = run(&mut command).success();
    assert_eq!(printed.lines().filter(|l| l.starts_with("ok: ")).count(), 9, "{printed}");
}
