//! Encryption at rest, and keys that are replaced by age.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::harness::boatyard::Shell;
use crate::harness::http::{array, text};
use crate::harness::postgres::Postgres;
use crate::harness::{Request, Server, jwt, wait};

const VARIABLE: &str = "BOATYARD_ENCRYPTION_KEY";

fn key(byte: u8) -> String {
    STANDARD.encode([byte; 32])
}

/// What a start on this data folder says, which must fail.
#[track_caller]
fn refused(data_dir: &Path, configure: impl FnOnce(&mut Command)) -> String {
    let shell = Shell::new();
    let mut command = shell.command(["serve", "--listen", "127.0.0.1:0", "--data-dir"]);
    configure(command.arg(data_dir));
    let finished = command.output().unwrap();
    assert!(!finished.status.success());
    String::from_utf8(finished.stderr).unwrap()
}

#[test]
fn without_its_key_a_server_does_not_start_and_says_what_to_do() {
    let mut server = Server::start();
    let token = server.token(&server.administrator);
    let file = server.data_dir.join("encryption.key");
    assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    server.kill();
    let kept = fs::read_to_string(&file).unwrap();

    let wrong = refused(&server.data_dir, |command| {
        command.env(VARIABLE, key(1));
    });
    assert!(wrong.contains("sealed with the encryption key") && wrong.contains("--encryption-key-file"), "{wrong}");
    fs::remove_file(&file).unwrap();
    let missing = refused(&server.data_dir, |_| {});
    assert!(missing.contains("the file is missing") && missing.contains("Put the file back"), "{missing}");
    let garbled = refused(&server.data_dir, |command| {
        command.env(VARIABLE, "c2hvcnQ=");
    });
    assert!(garbled.contains("line 1") && garbled.contains("/dev/urandom"), "{garbled}");
    let both = refused(&server.data_dir, |command| {
        command.env(VARIABLE, key(1)).arg("--encryption-key-file").arg("/dev/null");
    });
    assert!(both.contains("Give one of them"), "{both}");

    fs::write(&file, kept).unwrap();
    server.start_again();
    server.send(Request::get("/identity/userinfo").bearer(&token)).expect(200);
}

#[test]
fn a_key_is_replaced_by_one_that_stands_before_it_in_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("keys");
    fs::write(&file, key(1)).unwrap();
    let mut server = Server::builder().args(["--encryption-key-file", file.to_str().unwrap()]).start();
    let token = server.token(&server.administrator);
    assert!(!server.data_dir.join("encryption.key").exists());
    for keys in [format!("{}\n{}\n", key(2), key(1)), key(2)] {
        server.kill();
        fs::write(&file, keys).unwrap();
        server.start_again();
        server.send(Request::get("/identity/userinfo").bearer(&token)).expect(200);
    }
    server.kill();
    let old = refused(&server.data_dir, |command| {
        command.env(VARIABLE, key(1));
    });
    assert!(old.contains("not among the keys"), "{old}");
}

#[test]
fn postgresql_is_sealed_as_well() {
    let database = Postgres::start();
    let mut server = Server::builder().env("BOATYARD_DATABASE_URL", &database.url()).start();
    let token = server.token(&server.administrator);
    server.kill();
    let wrong = refused(&server.data_dir, |command| {
        command.env("BOATYARD_DATABASE_URL", database.url()).env(VARIABLE, key(1));
    });
    assert!(wrong.contains("not among the keys"), "{wrong}");
    server.start_again();
    server.send(Request::get("/identity/userinfo").bearer(&token)).expect(200);
}

#[test]
fn a_signing_key_is_replaced_by_age_and_forgotten_when_its_tokens_have_expired() {
    const DAY: u64 = 24 * 3600;
    let server = Server::builder().args(["--signing-key-days", "1"]).start();
    let kids = || {
        let keys = server.send(Request::get("/identity/keys")).json(200);
        array(&keys["keys"]).iter().map(|key| text(key, "/kid").to_owned()).collect::<Vec<_>>()
    };
    let kid_of = |token: &str| text(&jwt::decode(token).0, "/kid").to_owned();
    server.advance_clock(DAY - 600);
    let before = server.token(&server.administrator);
    let old = kid_of(&before);
    assert_eq!(kids(), std::slice::from_ref(&old));

    server.advance_clock(700);
    let two = wait::until("a second key", wait::PATIENCE, || match kids() {
        kids if kids.len() == 2 => Ok(kids),
        kids => Err(format!("{kids:?}")),
    });
    assert_eq!(two[1], old, "the one that signs comes first");
    assert_eq!(kid_of(&server.token(&server.administrator)), two[0]);
    server.send(Request::get("/identity/userinfo").bearer(&before)).expect(200);

    server.advance_clock(3 * 3600);
    wait::until("the old key to be gone", wait::PATIENCE, || match kids() {
        kids if kids == [two[0].clone()] => Ok(()),
        kids => Err(format!("{kids:?}")),
    });
    server.send(Request::get("/identity/userinfo").bearer(&before)).expect(401);
}
