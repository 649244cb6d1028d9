//! Whether all that a server answered was as the contract has it.
//!
//! The program that cargo builds for these tests checks its own answers (see `crates/server/src/validate.rs`) and writes down what
//! is wrong with them. Whoever starts one is told here.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The list of one server, or of all servers that one shell starts. Dropping it fails the test if there is anything on it.
#[derive(Debug)]
pub struct Violations(PathBuf);

impl Violations {
    /// A list that lies in `folder`, which must outlive it.
    pub fn in_folder(folder: &Path) -> Self {
        Self(folder.join("answer-violations"))
    }

    /// Tells a server where the list is.
    pub fn listed_by(&self, command: &mut Command) {
        command.env("BOATYARD_ANSWER_VIOLATIONS", &self.0);
    }

    /// Whether any answer was checked so far.
    pub fn any_answer_was_checked(&self) -> bool {
        self.0.exists()
    }

    /// Fails with what is on the list. What is wrong with an answer is on it before the answer is sent.
    #[track_caller]
    pub fn check(&self) {
        if fs::metadata(&self.0).is_ok_and(|list| list.len() > 0) {
            let list = fs::read_to_string(&self.0).expect("the list is text");
            panic!("answers break the contract (correct the answer, or the document in contract/):\n{list}");
        }
    }
}

impl Drop for Violations {
    fn drop(&mut self) {
        // A test that fails already says why.
        if !std::thread::panicking() {
            self.check();
        }
    }
}

mod tests {
    use std::fs;
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use crate::harness::{Request, Server};

    /// The checks are worth nothing if they are not in the program, or if nobody reads what they found.
    #[test]
    fn a_wrong_answer_fails_the_test_that_started_the_server() {
        let server = Server::start();
        let list = server.violations.0.clone();
        assert!(!server.violations.any_answer_was_checked(), "health is no operation of the contract");
        server.token(&server.administrator);
        assert!(server.violations.any_answer_was_checked(), "the program under test does not check its answers");

        let wrong = "containers/GetVPCs 200 /global/v2/vpc/getVPCs: body/0/id: value is not of type \"string\"\n";
        fs::write(&list, wrong).unwrap();
        let told = |result: std::thread::Result<()>| {
            let panic = result.expect_err("nobody noticed");
            panic.downcast_ref::<String>().is_some_and(|message| message.ends_with(wrong))
        };
        let asked = catch_unwind(AssertUnwindSafe(|| drop(server.send(Request::get("/_boatyard/health")))));
        assert!(told(asked), "an answer says what was wrong so far");
        assert!(told(catch_unwind(AssertUnwindSafe(|| drop(server)))), "so does the end of the server");
    }
}
