//! A PostgreSQL server of the test's own, on a free port and in a temporary folder.

use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use super::wait;

/// A running server with one empty database; both are gone when it is dropped.
#[derive(Debug)]
pub struct Postgres {
    child: Child,
    port: u16,
    _folder: TempDir,
}

impl Postgres {
    pub fn start() -> Self {
        let folder = tempfile::Builder::new().prefix("boatyard-pg-").tempdir().expect("a temporary folder");
        let account = unprivileged(folder.path());
        let data = folder.path().join("data");
        let mut initdb = program("initdb", account, folder.path());
        let made = initdb.args(["-U", "boatyard", "-A", "trust", "--no-sync", "-D"]).arg(&data).output().expect("initdb runs");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));

        let port = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a free port").port();
        let child = program("postgres", account, folder.path())
            .args(["-p", &port.to_string(), "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off", "-k"])
            .arg(folder.path())
            .arg("-D")
            .arg(&data)
            .stderr(Stdio::null())
            .spawn()
            .expect("postgres runs");
        let mut server = Self { child, port, _folder: folder };
        wait::until("PostgreSQL to answer", wait::PATIENCE, || {
            assert!(matches!(server.child.try_wait(), Ok(None)), "postgres ended");
            let ready = program("pg_isready", account, server._folder.path())
                .args(["-h", "127.0.0.1", "-p", &port.to_string()])
                .output();
            let ready = ready.map_err(|e| e.to_string())?;
            if ready.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&ready.stdout).into_owned()) }
        });
        server
    }

    /// For `--database-url`.
    pub fn url(&self) -> String {
        format!("postgres://boatyard@127.0.0.1:{}/postgres", self.port)
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // Its children end when it does; nothing of it is needed any more.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The account to run as: PostgreSQL refuses to run as root. Its folder becomes that account's.
fn unprivileged(folder: &Path) -> Option<(u32, u32)> {
    let me = folder.metadata().expect("the folder was just made").uid();
    if me != 0 {
        return None;
    }
    let id = |flag: &str| {
        let out = Command::new("id").args([flag, "postgres"]).output().expect("id runs");
        let text = String::from_utf8_lossy(&out.stdout).trim().to_owned();
        text.parse().unwrap_or_else(|_| {
            panic!("there is no account 'postgres' to run PostgreSQL as: install the Debian package postgresql")
        })
    };
    let account = (id("-u"), id("-g"));
    chown(folder, Some(account.0), Some(account.1)).expect("root may change the owner");
    Some(account)
}

/// A program of PostgreSQL, from the PATH or from where Debian puts it.
fn program(name: &str, account: Option<(u32, u32)>, folder: &Path) -> Command {
    let on_path = std::env::var_os("PATH").into_iter().flat_map(|p| std::env::split_paths(&p).collect::<Vec<_>>());
    let of_debian = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten().map(|e| e.path().join("bin"));
    let found: Option<PathBuf> = of_debian.chain(on_path).map(|dir| dir.join(name)).find(|path| path.is_file());
    let found = found.unwrap_or_else(|| panic!("{name} is missing: install the Debian package postgresql"));
    let mut command = Command::new(found);
    command.current_dir(folder).env("LC_ALL", "C").stdin(Stdio::null()).stdout(Stdio::null());
    if let Some((user, group)) = account {
        command.uid(user).gid(group);
    }
    command
}
