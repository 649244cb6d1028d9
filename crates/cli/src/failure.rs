//! How a command that did not work ends: what happened, what to do next, and an exit code.

use std::fmt;
use std::io::{self, ErrorKind};
use std::path::Path;
use std::process::ExitCode;

#[derive(Debug)]
pub struct Failure {
    what: String,
    next: Option<String>,
    kind: Kind,
}

#[derive(Debug, PartialEq, Eq)]
enum Kind {
    Failed,
    /// The command line asks for something that cannot be meant.
    Usage,
    /// Whoever reads our output has seen enough (`| head`).
    ReaderGone,
}

impl Failure {
    pub fn new(what: impl Into<String>, next: impl Into<String>) -> Self {
        Self { what: what.into(), next: Some(next.into()), kind: Kind::Failed }
    }

    pub fn usage(what: impl Into<String>, next: impl Into<String>) -> Self {
        Self { kind: Kind::Usage, ..Self::new(what, next) }
    }

    pub fn file(doing: &str, path: &Path, error: &io::Error) -> Self {
        Self::new(
            format!("Cannot {doing} {}: {error}", path.display()),
            "Check that the path is right, that it belongs to you and that the disk is not full.",
        )
    }

    /// Output that could not be written.
    pub fn output(error: &io::Error) -> Self {
        let kind = if error.kind() == ErrorKind::BrokenPipe { Kind::ReaderGone } else { Kind::Failed };
        Self { what: format!("Cannot write the output: {error}"), next: None, kind }
    }

    /// Puts where it happened before what happened.
    pub fn during(mut self, step: &str) -> Self {
        self.what = format!("{step}: {}", self.what);
        self
    }

    /// Tells the person, and says how the process is to end.
    pub fn report(&self) -> ExitCode {
        if self.kind == Kind::ReaderGone {
            return ExitCode::SUCCESS;
        }
        crate::terminal::note("FAILED");
        crate::terminal::note(&self.what);
        if let Some(next) = &self.next {
            crate::terminal::note(next);
        }
        ExitCode::from(if self.kind == Kind::Usage { 2 } else { 1 })
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl From<boatyard_sdk::Error> for Failure {
    fn from(error: boatyard_sdk::Error) -> Self {
        Self { what: error.to_string(), next: error.hint().map(|h| our_commands(&h)), kind: Kind::Failed }
    }
}

/// The service recommends commands of `ibmcloud`; those that `boatyard` has too are named as ours.
fn our_commands(hint: &str) -> String {
    [
        "ks cluster",
        "oc cluster",
        "ks flavor",
        "ks versions",
        "ks locations",
        "ks zone ls",
        "ks worker",
        "oc worker",
        "ks zone add",
        "ks zone rm",
        "ks vlan",
        "ks vpcs",
        "ks subnets",
        "login",
        "target",
        "account list",
    ]
    .iter()
    .fold(hint.to_owned(), |hint, command| hint.replace(&format!("ibmcloud {command}"), &format!("boatyard {command}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recommends_commands_that_exist() {
        assert_eq!(our_commands("run 'ibmcloud ks cluster ls'."), "run 'boatyard ks cluster ls'.");
        assert_eq!(our_commands("run 'ibmcloud resource groups'."), "run 'ibmcloud resource groups'.");
    }

    #[test]
    fn a_reader_that_left_is_no_failure() {
        let gone = Failure::output(&io::Error::from(ErrorKind::BrokenPipe));
        assert_eq!(gone.kind, Kind::ReaderGone);
        assert_eq!(Failure::output(&io::Error::from(ErrorKind::StorageFull)).kind, Kind::Failed);
    }
}
