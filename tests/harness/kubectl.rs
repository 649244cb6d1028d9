//! kubectl as a user of a cluster has it.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use super::boatyard::Shell;
use super::clients::{self, Finished, Kubectl};
use super::{Server, User, shared};

/// Somebody with a cluster, its kubeconfig in place, and kubectl.
pub struct Bench {
    /// It ends when nobody holds it.
    pub server: Arc<Server>,
    pub user: User,
    pub shell: Shell,
    pub cluster_id: String,
    program: PathBuf,
    files: AtomicU32,
}

impl Bench {
    /// The owner of a new account with a cluster `mine` of three workers.
    #[track_caller]
    pub fn new(account: &str, which: Kubectl) -> Self {
        Self::on(shared(), account, which, "1.36")
    }

    /// The same on a server of the caller's, with a version of the caller's.
    #[track_caller]
    pub fn on(server: Arc<Server>, account: &str, which: Kubectl, version: &str) -> Self {
        let user = server.account(account);
        Self::of(server, user, which, version)
    }

    /// The same for a user who is there.
    #[track_caller]
    pub fn of(server: Arc<Server>, user: User, which: Kubectl, version: &str) -> Self {
        let shell = Shell::logged_in(&server, &user);
        let (vpc, zones) = server.vpc_zones(&server.token(&user));
        let (zone, subnet) = (super::http::text(&zones[0], "/id"), super::http::text(&zones[0], "/subnetID"));
        let mut order = vec!["cluster", "create", "vpc-gen2", "-q", "--name", "mine", "--flavor", "bx2.4x16", "--workers", "3"];
        order.extend(["--zone", zone, "--vpc-id", &vpc, "--subnet-id", subnet, "--version", version, "--wait"]);
        let cluster_id = shell.ok(order).trim().to_owned();
        shell.ok(["cluster", "config", "-q", "--cluster", "mine"]);
        let program = clients::kubectl(which).to_owned();
        Self { server, user, shell, cluster_id, program, files: AtomicU32::new(0) }
    }

    /// The command with these words; those that hold spaces can be put between single quotes.
    pub fn command(&self, line: &str) -> Command {
        self.shell.other(&self.program.to_string_lossy(), words(line))
    }

    pub fn run(&self, line: &str) -> Finished {
        clients::run(&mut self.command(line))
    }

    /// Runs `kubectl LINE`, which must succeed, and returns what it printed.
    #[track_caller]
    pub fn ok(&self, line: &str) -> String {
        self.run(line).success()
    }

    /// Runs `kubectl LINE`, which must fail, and returns what it said.
    #[track_caller]
    pub fn refused(&self, line: &str) -> String {
        self.run(line).failure()
    }

    /// Something that goes on in the background; its output can be read from the pipe.
    pub fn spawn(&self, line: &str) -> Child {
        self.command(line).stdout(Stdio::piped()).spawn().expect("kubectl starts")
    }

    /// A file with this text in the user's home.
    pub fn file(&self, text: &str) -> String {
        let path = self.shell.path(&format!("manifest-{}.yaml", self.files.fetch_add(1, Ordering::Relaxed)));
        std::fs::write(&path, text).expect("it can be written");
        path.to_string_lossy().into_owned()
    }

    #[track_caller]
    pub fn apply(&self, manifest: &str) -> String {
        self.ok(&format!("apply -f {}", self.file(manifest)))
    }

    /// What `kubectl get LINE -o json` prints.
    #[track_caller]
    pub fn json(&self, line: &str) -> serde_json::Value {
        let text = self.ok(&format!("{line} -o json"));
        serde_json::from_str(&text).unwrap_or_else(|e| panic!("{line}: {e}: {text}"))
    }

    pub fn kubeconfig(&self) -> PathBuf {
        self.shell.path(".kube/config")
    }

    /// The same kubectl in the hands of another user of the account, who has fetched a kubeconfig.
    #[track_caller]
    pub fn as_user(&self, apikey: &str) -> Shell {
        let user = User { apikey: apikey.to_owned(), ..self.user.clone() };
        let shell = Shell::logged_in(&self.server, &user);
        shell.ok(["cluster", "config", "-q", "--cluster", &self.cluster_id]);
        shell
    }

    /// `kubectl LINE` in a shell of somebody else's.
    pub fn run_in(&self, shell: &Shell, line: &str) -> Finished {
        clients::run(&mut shell.other(&self.program.to_string_lossy(), words(line)))
    }
}

/// A line taken apart at its spaces, but not at those between single quotes.
fn words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quoted = false;
    for c in line.chars() {
        match c {
            '\'' => quoted = !quoted,
            ' ' if !quoted => words.push(String::new()),
            c => words.last_mut().expect("there is always one").push(c),
        }
    }
    words.retain(|word| !word.is_empty());
    words
}
