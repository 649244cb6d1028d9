//! `ibm-cloud-sdk-core` for Node.

use crate::harness::Server;
use crate::harness::clients::{describe, node, run};

#[test]
fn the_node_sdk_core_gets_and_refreshes_tokens_and_lists_clusters() {
    let server = Server::start();
    let user = server.account("node");
    let token = server.token(&user);
    server.create_vpc(&token, "sdk-vpc");
    server.create_classic(&token, "sdk-classic");

    let (mut command, _home) = node("node", "iam_tokens.mjs");
    describe(&mut command, &server, &user);
    command.env("NODE_EXTRA_CA_CERTS", &server.ca_file).env("ADMINISTRATOR_APIKEY", &server.administrator.apikey);
    let printed = run(&mut command).success();
    assert_eq!(printed.lines().filter(|l| l.starts_with("ok: ")).count(), 11, "{printed}");
}
