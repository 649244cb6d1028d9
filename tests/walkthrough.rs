//! The documented walkthrough, as the document has it.

use std::process::Command;

use crate::harness::clients::{describe, run, script, tool};
use crate::harness::{Server, boatyard};

#[test]
fn every_documented_step_works_with_plain_curl() {
    for (name, package) in [("curl", "curl"), ("python3", "python3"), ("unzip", "unzip")] {
        tool(name, package);
    }
    walk(&Server::start());
}

/// Runs the documented steps against a server.
pub fn walk(server: &Server) {
    let user = server.account("walker");
    let home = tempfile::tempdir().unwrap();
    let mut command = Command::new("bash");
    boatyard::clean(&mut command, home.path());
    command.arg(script("walkthrough.sh"));
    describe(&mut command, server, &user);
    let printed = run(&mut command).success();
    assert!(printed.trim_end().ends_with("== Done"), "{printed}");
}
