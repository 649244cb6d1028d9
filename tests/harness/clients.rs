//! Client programs that others wrote, run as their users run them.
//!
//! The Python environment, the Node modules and the Go program are made once and kept: in `$BOATYARD_TEST_CACHE`, else beside
//! cargo's other build results. A lock keeps two test processes from making the same one, and it is moved into place only when
//! complete.

use std::collections::BTreeMap;
use std::collections::hash_map::DefaultHasher;
use std::fs;
use std::hash::{Hash, Hasher};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::boatyard::{clean, repository};
use super::{Server, User};

/// A program that has ended.
#[derive(Debug)]
pub struct Finished {
    pub status: ExitStatus,
    pub stdout: String,
    pub stderr: String,
    what: String,
}

impl Finished {
    /// Standard output of a program that must have succeeded.
    #[track_caller]
    pub fn success(self) -> String {
        assert!(self.status.success(), "{} ended with {}:\n{}{}", self.what, self.status, self.stdout, self.stderr);
        self.stdout
    }

    /// Standard error of a program that must have failed.
    #[track_caller]
    pub fn failure(self) -> String {
        assert!(!self.status.success(), "{} succeeded:\n{}{}", self.what, self.stdout, self.stderr);
        self.stderr
    }
}

/// Runs a command to its end; one that hangs is killed and fails the test.
#[track_caller]
pub fn run(command: &mut Command) -> Finished {
    run_within(Duration::from_secs(180), command)
}

/// The same with another idea of what it is to hang.
#[track_caller]
pub fn run_within(limit: Duration, command: &mut Command) -> Finished {
    let what = format!("{command:?}");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (out, err) = (folder.path().join("out"), folder.path().join("err"));
    let open = |path: &Path| fs::File::create(path).expect("a file for the output");
    let mut child = command.stdout(open(&out)).stderr(open(&err)).spawn().unwrap_or_else(|e| panic!("{what}: {e}"));
    let deadline = Instant::now() + limit;
    let status = loop {
        if let Some(status) = child.try_wait().expect("a child can be asked") {
            break Some(status);
        }
        if Instant::now() > deadline {
            let _ = child.kill();
            let _ = child.wait();
            break None;
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    let read = |path: &Path| String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned();
    let (stdout, stderr) = (read(&out), read(&err));
    let status = status.unwrap_or_else(|| panic!("{what} did not end within {limit:?}:\n{stdout}{stderr}"));
    Finished { status, stdout, stderr, what }
}

/// A command that must be on the machine.
#[track_caller]
pub fn tool(name: &str, packages: &str) -> Command {
    static MISSING: &str = "not installed";
    let found = Command::new("sh").args(["-c", &format!("command -v {name}")]).stdout(Stdio::null()).status();
    let found = found.is_ok_and(|status| status.success());
    assert!(found, "{name} is {MISSING}, and this test cannot run without it: apt-get install {packages}");
    Command::new(name)
}

/// Where the addresses and the credentials of a server stand for a client program.
pub fn describe(command: &mut Command, server: &Server, user: &User) {
    command
        .env("ENDPOINT", &server.endpoint)
        .env("CA_FILE", &server.ca_file)
        .env("ACCOUNT_ID", &user.account_id)
        .env("IBMCLOUD_USERNAME", &user.username)
        .env("IBMCLOUD_PASSWORD", user.password.as_deref().unwrap_or_default())
        .env("APIKEY", &user.apikey);
}

/// A script in `tests/clients`.
pub fn script(name: &str) -> PathBuf {
    repository().join("tests/clients").join(name)
}

/// `python PROGRAM` in the environment of `tests/clients/python/requirements.txt`.
pub fn python(arguments: &[&Path]) -> (Command, TempDir) {
    static ENVIRONMENT: OnceLock<PathBuf> = OnceLock::new();
    let environment = ENVIRONMENT.get_or_init(|| {
        let requirements = script("python/requirements.txt");
        made("python", &[&requirements], |folder| {
            let mut venv = tool("python3", "python3 python3-venv");
            let made = run(venv.args(["-m", "venv"]).arg(folder));
            assert!(
                made.status.success(),
                "python3 -m venv fails: apt-get install python3-venv\n{}{}",
                made.stdout,
                made.stderr
            );
            let mut pip = Command::new(folder.join("bin/python"));
            pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--requirement"]);
            run(pip.arg(&requirements)).success();
        })
    });
    let home = home();
    let mut command = Command::new(environment.join("bin/python"));
    clean(&mut command, home.path());
    command.env("PYTHONDONTWRITEBYTECODE", "1").current_dir(home.path()).args(arguments);
    (command, home)
}

/// `node PROGRAM` of a folder of `tests/clients`, with the modules of its `package.json`.
pub fn node(folder: &str, program: &str) -> (Command, TempDir) {
    static MADE: Mutex<BTreeMap<String, PathBuf>> = Mutex::new(BTreeMap::new());
    let sources = script(folder);
    let modules = {
        let mut made_before = MADE.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        made_before.entry(folder.to_owned()).or_insert_with(|| modules(folder, &sources)).clone()
    };
    // Node looks for modules beside the program, so the program is put beside them.
    let home = home();
    fs::copy(sources.join(program), home.path().join(program)).expect("the program can be copied");
    fs::copy(sources.join("package.json"), home.path().join("package.json")).expect("the file can be copied");
    symlink(modules.join("node_modules"), home.path().join("node_modules")).expect("a link");
    let mut command = tool("node", "nodejs");
    clean(&mut command, home.path());
    command.current_dir(home.path()).arg(program);
    (command, home)
}

fn modules(name: &str, sources: &Path) -> PathBuf {
    let (package, lock) = (sources.join("package.json"), sources.join("package-lock.json"));
    made(name, &[&package, &lock], |folder| {
        fs::create_dir_all(folder).expect("a folder for the modules");
        for file in [&package, &lock] {
            fs::copy(file, folder.join(file.file_name().expect("a name"))).expect("the file can be copied");
        }
        let mut npm = tool("npm", "npm");
        npm.args(["ci", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"]).current_dir(folder);
        run(&mut npm).success();
    })
}

/// One case of the Go program in `tests/clients/go`, for `user` of `server`.
pub fn go(case: &str, server: &Server, user: &User) -> (Command, TempDir) {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    let program = PROGRAM.get_or_init(|| {
        let sources = script("go");
        let mut files: Vec<_> =
            fs::read_dir(&sources).expect("the program is there").map(|entry| entry.expect("an entry").path()).collect();
        files.sort();
        let files: Vec<_> = files.iter().map(PathBuf::as_path).collect();
        made("go", &files, |folder| build_go(&sources, folder, "bluemix", ""))
    });
    let home = home();
    let mut command = Command::new(program.join("bluemix"));
    clean(&mut command, home.path());
    command
        .env("IBMCLOUD_CS_API_ENDPOINT", format!("{}/global", server.endpoint))
        .env("IBMCLOUD_IAM_API_ENDPOINT", &server.endpoint)
        .env("SSL_CERT_FILE", &server.ca_file)
        .env("IC_API_KEY", &user.apikey)
        .current_dir(home.path())
        .arg(case);
    (command, home)
}

/// The newest kubectl, built from its library, and Debian's, which is years older.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kubectl {
    Newest,
    Debian,
}

/// The program.
pub fn kubectl(which: Kubectl) -> &'static Path {
    static NEWEST: OnceLock<PathBuf> = OnceLock::new();
    static DEBIAN: OnceLock<PathBuf> = OnceLock::new();
    match which {
        Kubectl::Newest => NEWEST.get_or_init(|| {
            let sources = script("kubectl");
            let files = ["go.mod", "go.sum", "main.go"].map(|name| sources.join(name));
            let files = files.each_ref().map(PathBuf::as_path);
            // It refuses to tell versions if it does not know its own.
            let version = "-X k8s.io/component-base/version.gitVersion=v1.37.2";
            made("kubectl-1.37.2", &files, |folder| build_go(&sources, folder, "kubectl", version)).join("kubectl")
        }),
        // It is unpacked, not installed: a newer one may be on the machine.
        Kubectl::Debian => DEBIAN.get_or_init(|| {
            let unpacked = made("kubectl-debian", &[], |folder| {
                fs::create_dir_all(folder).expect("a folder for the package");
                let mut download = tool("apt-get", "apt");
                run(download.args(["download", "-q", "kubernetes-client"]).current_dir(folder)).success();
                let package = fs::read_dir(folder).expect("it can be read").filter_map(Result::ok).map(|e| e.path());
                let package = package.into_iter().find(|p| p.extension().is_some_and(|e| e == "deb")).expect("a package came");
                let mut unpack = tool("dpkg-deb", "dpkg");
                run(unpack.arg("-x").arg(package).arg(folder)).success();
            });
            unpacked.join("usr/bin/kubectl")
        }),
    }
}

fn build_go(sources: &Path, folder: &Path, program: &str, ldflags: &str) {
    fs::create_dir_all(folder).expect("a folder for the program");
    let mut go = tool("go", "golang");
    // A Go that is older than the library asks for fetches the one that go.mod names; itself it must be 1.21 or newer.
    go.env("GOTOOLCHAIN", "auto").env("GOFLAGS", "-mod=readonly -buildvcs=false").env("CGO_ENABLED", "0");
    go.args(["build", "-ldflags", ldflags, "-o"]).arg(folder.join(program)).arg(".").current_dir(sources);
    // The libraries are a good part of Kubernetes.
    run_within(Duration::from_secs(1200), &mut go).success();
}

/// A folder of a published Go module, whose contents must be those of this checksum (as `go.sum` has it).
pub fn go_module(module: &str, version: &str, sum: &str, wanted: &str) -> PathBuf {
    let name = format!("{}-{version}", module.replace('/', "-"));
    let kept = made(&name, &[], |folder| {
        // Modules are large, and of this one only the folder is kept.
        let download = folder.with_extension("download");
        fs::create_dir_all(&download).expect("a folder for the module");
        let mut go = tool("go", "golang");
        go.env("GOTOOLCHAIN", "auto").env("GOFLAGS", "-modcacherw").env("GOMODCACHE", &download).current_dir(&download);
        go.args(["mod", "download", "-json", &format!("{module}@{version}")]);
        let answer = run_within(Duration::from_secs(600), &mut go).success();
        let answer: serde_json::Value = serde_json::from_str(&answer).expect("it answers JSON");
        assert_eq!(answer["Sum"], sum, "{module} {version} is not what it was");
        fs::create_dir_all(folder).expect("a folder");
        let contents = Path::new(answer["Dir"].as_str().expect("it was unpacked")).join(wanted);
        fs::rename(contents, folder.join("contents")).expect("it can be moved");
        fs::remove_dir_all(&download).expect("the rest can be removed");
    });
    kept.join("contents")
}

fn home() -> TempDir {
    tempfile::Builder::new().prefix("boatyard-e2e-client-").tempdir().expect("a temporary folder")
}

/// The folder `make` has filled, now or in an earlier run with the same files.
fn made(name: &str, files: &[&Path], make: impl FnOnce(&Path)) -> PathBuf {
    let cache = std::env::var_os("BOATYARD_TEST_CACHE").map_or_else(
        || Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("the target folder").join("e2e-clients"),
        PathBuf::from,
    );
    fs::create_dir_all(&cache).unwrap_or_else(|e| panic!("{}: {e}", cache.display()));
    let mut hash = DefaultHasher::new();
    for file in files {
        fs::read(file).unwrap_or_else(|e| panic!("{}: {e}", file.display())).hash(&mut hash);
    }
    let complete = cache.join(format!("{name}-{:016x}", hash.finish()));

    let lock = fs::File::create(cache.join(format!("{name}.lock"))).expect("a lock file");
    lock.lock().expect("the lock can be taken");
    if !complete.exists() {
        let partial = complete.with_extension("partial");
        let _ = fs::remove_dir_all(&partial);
        make(&partial);
        fs::rename(&partial, &complete).expect("it can be moved into place");
    }
    complete
}
