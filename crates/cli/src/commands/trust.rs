//! `boatyard trust`: has this system trust a server's certificate authority, and takes that back.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Command as Program, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use boatyard_core::id::hex;
use boatyard_core::secret::sha256;
use boatyard_sdk::{Home, Session};
use clap::Subcommand;
use serde_json::json;

use crate::failure::Failure;
use crate::local::{self, Credentials};
use crate::output::{self, Common};

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Add the server's CA certificate to the roots that this system trusts (needs root)
    Install(Args),
    /// Take it out of them again (needs root)
    Uninstall(Args),
    /// Show whether this system trusts it
    Status(Args),
}

/// Programs that look at the system's roots only, such as `oc login` and Terraform's provider with OpenShift clusters, trust the server
/// once its authority is one of them. Whoever has the file ca-key.pem of the server's data folder can then pretend to be any site to this
/// system, so install only the authority of a server that is yours.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// CA certificate [default: that of your login, or of the server on this machine]
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// Data directory of a server on this machine, for its ca.pem
    #[arg(long, value_name = "DIR", conflicts_with = "ca_file")]
    data_dir: Option<PathBuf>,
    /// Root of the system to change, for instance of a container image; its bundle is then not made anew
    #[arg(long, value_name = "DIR", default_value = "/")]
    root: PathBuf,
    /// Say what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    common: Common,
}

/// How a system keeps the roots that were added to its own.
#[derive(Debug)]
struct Store {
    name: &'static str,
    /// Folder of certificates, below the root. That it is there tells which system it is.
    folder: &'static str,
    extension: &'static str,
    /// Makes the bundle anew.
    refresh: &'static [&'static str],
    /// The bundle that programs read, below the root.
    bundle: &'static str,
}

/// The more special before the more general.
const STORES: [Store; 4] = [
    Store {
        name: "Fedora, RHEL",
        folder: "etc/pki/ca-trust/source/anchors",
        extension: "pem",
        refresh: &["update-ca-trust", "extract"],
        bundle: "etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    },
    Store {
        name: "SUSE",
        folder: "etc/pki/trust/anchors",
        extension: "pem",
        refresh: &["update-ca-certificates"],
        bundle: "var/lib/ca-certificates/ca-bundle.pem",
    },
    Store {
        name: "Arch",
        folder: "etc/ca-certificates/trust-source/anchors",
        extension: "crt",
        refresh: &["update-ca-trust", "extract"],
        bundle: "etc/ca-certificates/extracted/tls-ca-bundle.pem",
    },
    Store {
        name: "Debian, Ubuntu, Alpine",
        folder: "usr/local/share/ca-certificates",
        extension: "crt",
        refresh: &["update-ca-certificates"],
        bundle: "etc/ssl/certs/ca-certificates.crt",
    },
];

/// A CA certificate.
#[derive(Debug)]
struct Authority {
    source: PathBuf,
    pem: String,
    /// SHA-256 of the certificate, in hexadecimal.
    fingerprint: String,
}

/// A place for a certificate among the system's roots.
#[derive(Debug)]
struct Place<'a> {
    store: &'static Store,
    root: &'a Path,
    file: PathBuf,
}

pub fn run(command: Command) -> Result<(), Failure> {
    let (verb, args) = match &command {
        Command::Install(args) => ("install", args),
        Command::Uninstall(args) => ("uninstall", args),
        Command::Status(args) => ("status", args),
    };
    let authority = Authority::read(&ca_file(args)?)?;
    if cfg!(target_os = "macos") && args.root == Path::new("/") {
        return mac::run(verb, &authority, args);
    }
    let place = Place::find(&args.root, &authority)?;
    match command {
        Command::Install(_) => place.install(&authority, args),
        Command::Uninstall(_) => place.uninstall(&authority, args),
        Command::Status(_) => place.status(&authority, args),
    }
}

/// The certificate named, that of the login, or that of the server on this machine.
fn ca_file(args: &Args) -> Result<PathBuf, Failure> {
    if let Some(path) = &args.ca_file {
        return Ok(path.clone());
    }
    let nowhere = || {
        Failure::new(
            "There is no CA certificate to trust: you are not logged in to a server that has its own, and none was started here.",
            "Name the certificate with `--ca-file FILE`, or the data folder of a server with `--data-dir DIR`.",
        )
    };
    if let Some(dir) = &args.data_dir {
        return Credentials::read(dir)?.ca_file.ok_or_else(nowhere);
    }
    let of_login = Session::remembered(&Home::from_env()?)?.and_then(|login| login.ca_file);
    let of_here = || Credentials::find(&local::default_data_dir()).ok().flatten().and_then(|here| here.ca_file);
    of_login.or_else(of_here).ok_or_else(nowhere)
}

impl Authority {
    fn read(path: &Path) -> Result<Self, Failure> {
        let text = fs::read_to_string(path).map_err(|e| Failure::file("read the CA certificate in", path, &e))?;
        let foreign = || {
            Failure::new(format!("{} holds no certificate.", path.display()), "Name a file in PEM form: ca.pem of the server.")
        };
        let body = pem_body(&text).ok_or_else(foreign)?;
        let der = STANDARD.decode(&body).map_err(|_| foreign())?;
        let lines: Vec<_> = body.as_bytes().chunks(64).map(|line| String::from_utf8_lossy(line).into_owned()).collect();
        let pem = format!("{BEGIN}\n{}\n{END}\n", lines.join("\n"));
        let source = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        Ok(Self { source, pem, fingerprint: hex(&sha256(&der)) })
    }

    /// Names the certificate and no other, so that uninstalling takes away what was installed.
    fn file_name(&self, extension: &str) -> String {
        format!("boatyard-{}.{extension}", self.fingerprint.get(..16).unwrap_or_default())
    }
}

const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";

/// What stands in the first certificate of a text, without line ends.
fn pem_body(text: &str) -> Option<String> {
    let (_, rest) = text.split_once(BEGIN)?;
    let (body, _) = rest.split_once(END)?;
    Some(body.split_whitespace().collect())
}

impl<'a> Place<'a> {
    fn find(root: &'a Path, authority: &Authority) -> Result<Self, Failure> {
        let found = STORES.iter().find(|store| root.join(store.folder).is_dir());
        let store = found.ok_or_else(|| {
            let known: Vec<_> = STORES.iter().map(|store| format!("/{} ({})", store.folder, store.name)).collect();
            Failure::new(
                format!("It is not known how this system keeps its roots: there is none of {}.", known.join(", ")),
                format!(
                    "Add {} to its roots as its manual says. On Debian, install the package ca-certificates first; on Windows, run \
                     `certutil -addstore -f ROOT FILE` as administrator.",
                    authority.source.display()
                ),
            )
        })?;
        Ok(Self { store, root, file: root.join(store.folder).join(authority.file_name(store.extension)) })
    }

    fn is_installed(&self, authority: &Authority) -> bool {
        fs::read_to_string(&self.file).is_ok_and(|text| text == authority.pem)
    }

    /// Whether the certificate is in the bundle that programs read.
    fn is_effective(&self, authority: &Authority) -> bool {
        let Ok(bundle) = fs::read_to_string(self.root.join(self.store.bundle)) else { return false };
        let wanted = pem_body(&authority.pem);
        bundle.split_inclusive(END).any(|one| pem_body(one) == wanted)
    }

    fn refresh_command(&self) -> String {
        self.store.refresh.join(" ")
    }

    fn install(&self, authority: &Authority, args: &Args) -> Result<(), Failure> {
        let (installed, effective) = (self.is_installed(authority), self.is_effective(authority));
        let is_here = self.root == Path::new("/");
        let done = installed && (effective || !is_here);
        if !done && !args.dry_run {
            if !installed {
                fs::write(&self.file, &authority.pem).map_err(|e| self.failed("install", "write", authority, &e))?;
            }
            self.refresh("install", authority)?;
        }
        let what = match (done, args.dry_run) {
            (true, _) => format!("{} is installed already.", self.file.display()),
            (_, true) => format!("Would write {} and run `{}`.", self.file.display(), self.refresh_command()),
            _ if is_here => format!("Wrote {} and ran `{}`.", self.file.display(), self.refresh_command()),
            _ => format!("Wrote {}. Run `{}` in that system.", self.file.display(), self.refresh_command()),
        };
        let others = "Programs that run already have to be started again. Firefox and Java keep roots of their own.";
        self.tell(authority, args, !done, true, &[&what, if done || args.dry_run { "" } else { others }])
    }

    fn uninstall(&self, authority: &Authority, args: &Args) -> Result<(), Failure> {
        let installed = self.file.exists();
        let is_here = self.root == Path::new("/");
        let done = !(installed || is_here && self.is_effective(authority));
        if !done && !args.dry_run {
            match fs::remove_file(&self.file) {
                Err(e) if e.kind() != ErrorKind::NotFound => return Err(self.failed("uninstall", "remove", authority, &e)),
                _ => self.refresh("uninstall", authority)?,
            }
        }
        let what = match (done, args.dry_run) {
            (true, _) => format!("There is no {}; nothing was to be done.", self.file.display()),
            (_, true) => format!("Would remove {} and run `{}`.", self.file.display(), self.refresh_command()),
            _ if is_here => format!("Removed {} and ran `{}`.", self.file.display(), self.refresh_command()),
            _ => format!("Removed {}. Run `{}` in that system.", self.file.display(), self.refresh_command()),
        };
        self.tell(authority, args, !done, false, &[&what])
    }

    fn status(&self, authority: &Authority, args: &Args) -> Result<(), Failure> {
        let (installed, effective) = (self.is_installed(authority), self.is_effective(authority));
        let told = match (installed, effective) {
            (_, true) => "This system trusts it.".to_owned(),
            (true, false) => format!("It is installed, but not in the bundle yet: run `{}` as root.", self.refresh_command()),
            (false, false) => "This system does not trust it. To change that, run `boatyard trust install`.".to_owned(),
        };
        self.tell(authority, args, false, installed, &[&told])
    }

    /// Makes the bundle anew. That of another root has to be made in that system.
    fn refresh(&self, verb: &str, authority: &Authority) -> Result<(), Failure> {
        if self.root != Path::new("/") {
            return Ok(());
        }
        let [program, arguments @ ..] = self.store.refresh else { return Ok(()) };
        let ran = Program::new(program).args(arguments).stdin(Stdio::null()).output();
        let next = format!("Run `{}` as root and look at what it says.", self.refresh_command());
        match ran {
            Ok(output) if output.status.success() => Ok(()),
            Ok(output) => {
                let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
                Err(Failure::new(format!("`{}` failed: {said}", self.refresh_command()), next))
            }
            Err(e) if e.kind() == ErrorKind::PermissionDenied => Err(self.failed(verb, "run", authority, &e)),
            Err(e) => Err(Failure::new(format!("`{}` cannot be run: {e}", self.refresh_command()), next)),
        }
    }

    fn failed(&self, verb: &str, doing: &str, authority: &Authority, error: &std::io::Error) -> Failure {
        if error.kind() != ErrorKind::PermissionDenied {
            return Failure::file(doing, &self.file, error);
        }
        let (program, source) = (std::env::current_exe().unwrap_or_else(|_| "boatyard".into()), &authority.source);
        let what = format!("Only root may {doing} {}.", self.file.display());
        let quoted = |path: &Path| format!("'{}'", path.display().to_string().replace('\'', r"'\''"));
        Failure::new(what, format!("Run: sudo {} trust {verb} --ca-file {}", quoted(&program), quoted(source)))
    }

    fn tell(&self, authority: &Authority, args: &Args, changed: bool, installed: bool, lines: &[&str]) -> Result<(), Failure> {
        if args.common.is_json() {
            return output::json(&json!({
                "ca_file": authority.source,
                "fingerprint": authority.fingerprint,
                "system": self.store.name,
                "file": self.file,
                "installed": if args.dry_run { self.is_installed(authority) } else { installed },
                "trusted": self.is_effective(authority),
                "changed": changed && !args.dry_run,
                "refresh": self.refresh_command(),
            }));
        }
        args.common.ok()?;
        output::print(&output::pairs(&[
            ("CA certificate", Some(authority.source.display().to_string())),
            ("SHA-256", Some(authority.fingerprint.clone())),
        ]))?;
        lines.iter().filter(|line| !line.is_empty()).try_for_each(|line| output::line(line))
    }
}

/// The keychain of a Mac, which its own program changes.
mod mac {
    use super::*;

    const KEYCHAIN: &str = "/Library/Keychains/System.keychain";

    pub fn run(verb: &str, authority: &Authority, args: &Args) -> Result<(), Failure> {
        let is_there = security(&["find-certificate", "-a", "-Z", KEYCHAIN]).is_ok_and(|said| {
            let said = said.to_lowercase();
            said.contains(&authority.fingerprint)
        });
        let source = authority.source.display().to_string();
        let fingerprint = authority.fingerprint.to_uppercase();
        let command: &[&str] = match verb {
            "install" => &["add-trusted-cert", "-d", "-r", "trustRoot", "-k", KEYCHAIN, &source],
            _ => &["delete-certificate", "-Z", &fingerprint, "-t", KEYCHAIN],
        };
        let wanted = match verb {
            "status" => is_there,
            verb => verb == "install",
        };
        let changes = wanted != is_there;
        if changes && !args.dry_run {
            security(command).map_err(|said| {
                let next = format!("Run: sudo security {}", command.join(" "));
                Failure::new(format!("The keychain could not be changed: {said}"), next)
            })?;
        }
        if args.common.is_json() {
            let installed = if args.dry_run { is_there } else { wanted };
            return output::json(&json!({
                "ca_file": source, "fingerprint": authority.fingerprint, "system": "macOS", "file": KEYCHAIN,
                "installed": installed, "trusted": installed, "changed": changes && !args.dry_run,
            }));
        }
        args.common.ok()?;
        output::line(&match (changes, args.dry_run) {
            (true, true) => format!("Would run `security {}`.", command.join(" ")),
            (true, false) => format!("Ran `security {}`.", command.join(" ")),
            (false, _) if is_there => format!("The certificate is in {KEYCHAIN}."),
            (false, _) => format!("The certificate is not in {KEYCHAIN}."),
        })
    }

    /// What the program says, or why not.
    fn security(arguments: &[&str]) -> Result<String, String> {
        let output = Program::new("security").args(arguments).stdin(Stdio::null()).output().map_err(|e| e.to_string())?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
        if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEM: &str = "junk before\n-----BEGIN CERTIFICATE-----\nAAEC\nAwQF\n-----END CERTIFICATE-----\nand after\n";

    #[test]
    fn a_certificate_is_known_by_what_it_is_and_not_by_its_line_ends() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let read = |name: &str, text: &str| {
            fs::write(dir.path().join(name), text).expect("it can be written");
            Authority::read(&dir.path().join(name))
        };
        let one = read("one.pem", PEM).expect("a certificate");
        let other = read("other.pem", &PEM.replace('\n', "\r\n")).expect("the same");
        assert_eq!((&one.pem, &one.fingerprint), (&other.pem, &other.fingerprint));
        assert_eq!(one.fingerprint, hex(&sha256(&[0, 1, 2, 3, 4, 5])));
        assert_eq!(one.file_name("crt"), format!("boatyard-{}.crt", &one.fingerprint[..16]));
        for text in ["", "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n", "-----BEGIN CERTIFICATE-----\nAAEC"] {
            assert!(read("none.pem", text).is_err(), "{text}");
        }
    }

    #[test]
    fn systems_are_told_by_their_folders() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let authority =
            Authority { source: "ca.pem".into(), pem: String::new(), fingerprint: "0123456789abcdef0123".to_owned() };
        let unknown = Place::find(dir.path(), &authority).expect_err("there is nothing yet");
        assert!(unknown.to_string().contains("not known"), "{unknown}");
        for store in STORES.iter().rev() {
            fs::create_dir_all(dir.path().join(store.folder)).expect("it can be made");
            let place = Place::find(dir.path(), &authority).expect("it is known");
            assert_eq!(place.store.name, store.name);
            assert!(place.file.starts_with(dir.path()));
        }
    }
}
