//! `boatyard iam`: API keys, service IDs, trusted profiles and account settings from the command line.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use serde_json::Value;

use crate::harness::boatyard::Shell;
use crate::harness::http::{array, text};
use crate::harness::{Server, shared};

fn login<'a>(server: &'a Server, key: &'a str) -> [&'a str; 8] {
    ["login", "-q", "-a", &server.endpoint, "--ca-file", server.ca_file.to_str().unwrap(), "--apikey", key]
}

/// The line of a table that holds something.
#[track_caller]
fn row<'a>(table: &'a str, with: &str) -> &'a str {
    table.lines().find(|line| line.contains(with)).unwrap_or_else(|| panic!("no line with {with}: {table}"))
}

#[test]
fn cli_iam_a_users_api_key_logs_in_until_it_is_disabled_or_deleted() {
    let server = shared();
    let user = server.account("cli-iam-keys");
    let shell = Shell::logged_in(&server, &user);
    let made =
        shell.json(["iam", "api-key-create", "robot", "-d", "for tests", "--action-if-leaked", "DISABLE", "--output", "json"]);
    assert_eq!((text(&made, "/description"), text(&made, "/action_when_leaked")), ("for tests", "disable"), "{made}");
    let (id, key) = (text(&made, "/id"), text(&made, "/apikey"));
    Shell::new().ok(login(&server, key));

    let listed = shell.ok(["iam", "api-keys"]);
    assert!(row(&listed, "robot").starts_with(id), "{listed}");
    assert!(!listed.contains(key), "the value is shown once: {listed}");
    assert_eq!(shell.ok(["iam", "api-keys", "-n", "robo", "--uuid"]), format!("{id}\n"));
    assert!(!shell.ok(["iam", "api-key", "robot"]).contains(key));

    shell.ok(["iam", "api-key-update", "robot", "-n", "android", "-d", "renamed"]);
    let shown = shell.json(["iam", "api-key", id, "--output", "json"]);
    assert_eq!((text(&shown, "/name"), text(&shown, "/description")), ("android", "renamed"));
    assert_eq!(shell.run(["iam", "api-key-update", "android"]).status.code(), Some(2), "there is nothing to change");
    let refused = shell.run(["iam", "api-key", "robot"]).failure();
    assert!(refused.contains("There is no API key \"robot\"") && refused.contains("boatyard iam api-keys"), "{refused}");

    shell.ok(["iam", "api-key-disable", "android"]);
    Shell::new().run(login(&server, key)).failure();
    shell.ok(["iam", "api-key-enable", "android"]);
    Shell::new().ok(login(&server, key));

    shell.ok(["iam", "api-key-lock", "android", "-f"]);
    let refused = shell.run(["iam", "api-key-delete", "android", "-f"]).failure();
    assert!(refused.contains("locked"), "{refused}");
    shell.ok(["iam", "api-key-unlock", "android", "-f"]);
    let asked = shell.run(["iam", "api-key-delete", "android"]);
    assert_eq!(asked.status.code(), Some(2), "{}", asked.stderr);
    shell.ok(["iam", "api-key-delete", "android", "-f"]);
    Shell::new().run(login(&server, key)).failure();
}

#[test]
fn cli_iam_a_key_in_a_file_is_for_its_owner_only_and_logs_in() {
    let server = shared();
    let shell = Shell::logged_in(&server, &server.account("cli-iam-file"));
    let printed = shell.ok(["iam", "api-key-create", "filed", "--file", "key.json"]);
    let path = shell.path("key.json");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let written: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    assert!(!printed.contains(text(&written, "/apikey")), "{printed}");
    shell.ok(login(&server, "@key.json"));

    // A folder in the place of the file: the key exists, and this was the only time that it could be seen.
    fs::create_dir(shell.path("folder")).unwrap();
    let unwritten = shell.run(["iam", "api-key-create", "unfiled", "--file", "folder"]);
    assert_eq!(unwritten.status.code(), Some(1), "{}", unwritten.stderr);
    let line = row(&unwritten.stdout, "API Key:");
    Shell::new().ok(login(&server, line.split_whitespace().last().unwrap()));

    // Locked and disabled from the beginning.
    let made = shell.json(["iam", "api-key-create", "shut", "--lock", "--output", "json"]);
    assert_eq!((&made["locked"], &made["disabled"]), (&Value::Bool(true), &Value::Bool(false)), "{made}");
    let made = shell.json(["iam", "api-key-create", "off", "--disable", "--output", "json"]);
    assert_eq!((&made["locked"], &made["disabled"]), (&Value::Bool(false), &Value::Bool(true)), "{made}");
    Shell::new().run(login(&server, text(&made, "/apikey"))).failure();
}

#[test]
fn cli_iam_service_ids_are_found_by_name_and_kept_by_a_lock() {
    let server = shared();
    let shell = Shell::logged_in(&server, &server.account("cli-iam-services"));
    let made = shell.json(["iam", "service-id-create", "ci", "-d", "builds", "--output", "json"]);
    let (id, iam_id) = (text(&made, "/id"), text(&made, "/iam_id"));
    assert!(row(&shell.ok(["iam", "service-ids"]), "builds").starts_with(id));
    assert_eq!(shell.ok(["iam", "service-id", "ci", "--uuid"]), format!("{id}\n"));
    assert!(shell.ok(["iam", "service-id", iam_id]).contains(iam_id));

    shell.ok(["iam", "service-id-create", "cd"]);
    shell.ok(["iam", "service-id-update", "cd", "-n", "ci", "-f"]);
    let refused = shell.run(["iam", "service-id", "ci"]).failure();
    assert!(refused.contains(id) && refused.contains("Give the ID"), "{refused}");
    shell.ok(["iam", "service-id-update", id, "-d", "builds and ships"]);
    let listed = shell.json(["iam", "service-ids", "-d", "ships", "--output", "json"]);
    assert_eq!(array(&listed).iter().map(|item| text(item, "/id")).collect::<Vec<_>>(), [id]);

    shell.ok(["iam", "service-id-lock", id]);
    let refused = shell.run(["iam", "service-id-delete", id, "-f"]).failure();
    assert!(refused.contains("locked"), "{refused}");
    shell.ok(["iam", "service-id-unlock", id]);
    shell.ok(["iam", "service-id-delete", id, "-f"]);
    let refused = shell.run(["iam", "service-id", id]).failure();
    assert!(refused.contains("boatyard iam service-ids"), "{refused}");
    shell.ok(["iam", "service-id", "ci"]);
}

#[test]
fn cli_iam_a_key_of_a_service_id_logs_in_as_the_service_id() {
    let server = shared();
    let shell = Shell::logged_in(&server, &server.account("cli-iam-service-keys"));
    let service = shell.json(["iam", "service-id-create", "robot", "--output", "json"]);
    let (service, iam_id) = (text(&service, "/id"), text(&service, "/iam_id"));
    let made = shell.json(["iam", "service-api-key-create", "first", "robot", "-d", "a key", "--output", "json"]);
    let (id, key) = (text(&made, "/id"), text(&made, "/apikey"));
    assert_eq!(text(&made, "/iam_id"), iam_id);

    let robot = Shell::new();
    robot.ok(login(&server, key));
    let own = robot.json(["iam", "api-keys", "--output", "json"]);
    assert_eq!(array(&own).iter().map(|key| text(key, "/id")).collect::<Vec<_>>(), [id], "it sees its own");
    let refused = robot.run(["iam", "service-id-create", "another"]).failure();
    assert!(refused.contains("HTTP 403"), "it has no role: {refused}");

    shell.ok(["iam", "service-api-key-update", "first", service, "-n", "second"]);
    assert!(row(&shell.ok(["iam", "service-api-keys", "robot"]), "second").starts_with(id));
    let of_all = shell.json(["iam", "service-api-keys", "-a", "--output", "json"]);
    assert_eq!(array(&of_all).iter().map(|key| text(key, "/id")).collect::<Vec<_>>(), [id], "no keys of users");
    let shown = shell.json(["iam", "service-api-key", "second", "robot", "--output", "json"]);
    assert_eq!(text(&shown, "/description"), "a key");
    let refused = shell.run(["iam", "api-key", id]).failure();
    assert!(refused.contains("There is no API key"), "it is not the user's: {refused}");

    shell.ok(["iam", "service-api-key-lock", "second", "robot", "-f"]);
    assert!(shell.run(["iam", "service-api-key-delete", "second", "robot", "-f"]).failure().contains("locked"));
    shell.ok(["iam", "service-api-key-unlock", "second", "robot", "-f"]);
    shell.ok(["iam", "service-api-key-delete", "second", "robot", "-f"]);
    robot.run(["iam", "api-keys"]).failure();
    let neither = shell.run(["iam", "service-api-keys"]);
    assert_eq!(neither.status.code(), Some(2), "{}", neither.stderr);
}

#[test]
fn cli_iam_trusted_profiles_trust_whom_they_are_told_to() {
    let server = shared();
    let shell = Shell::logged_in(&server, &server.account("cli-iam-profiles"));
    let made = shell.json(["iam", "trusted-profile-create", "deployers", "-d", "those who deploy", "--output", "json"]);
    let (id, iam_id) = (text(&made, "/id"), text(&made, "/iam_id"));
    assert!(row(&shell.ok(["iam", "tps"]), "those who deploy").starts_with(id));
    assert_eq!(shell.ok(["iam", "tp", iam_id, "--id"]), format!("{id}\n"));
    let refused = shell.run(["iam", "trusted-profile-create", "deployers"]).failure();
    assert!(refused.contains("deployers"), "names are unique: {refused}");
    shell.ok(["iam", "trusted-profile-update", "deployers", "-n", "shippers", "-f"]);
    assert!(shell.ok(["iam", "trusted-profile", id]).contains("shippers"));

    let service = shell.json(["iam", "service-id-create", "ci", "--output", "json"]);
    let service = text(&service, "/id");
    let crn = "crn:v1:bluemix:public:codeengine:us-south:a/1234::project:5678";
    for (id, kind) in [(service, "SERVICEID"), (crn, "CRN")] {
        shell.ok(["iam", "trusted-profile-identity-create", "shippers", "--id", id, "--id-type", kind, "-d", "trusted"]);
    }
    let trusted = shell.json(["iam", "trusted-profile-identities", "shippers", "--output", "json"]);
    let mut trusted: Vec<_> = array(&trusted).iter().map(|one| (text(one, "/type"), text(one, "/identifier"))).collect();
    trusted.sort_unstable();
    assert_eq!(trusted, [("crn", crn), ("serviceid", service)]);
    assert!(row(&shell.ok(["iam", "trusted-profile-identities", "shippers"]), service).contains("trusted"));
    let unknown = ["iam", "trusted-profile-identity-create", "shippers", "--id", "ServiceId-none", "--id-type", "serviceid"];
    let refused = shell.run(unknown).failure();
    assert!(refused.contains("service ID of this account"), "{refused}");

    shell.ok(["iam", "trusted-profile-identity-delete", "shippers", "--id", crn, "--id-type", "crn", "-f"]);
    shell.ok(["iam", "trusted-profile-identity-delete", "shippers", "--id", service, "--id-type", "serviceid", "-f"]);
    assert_eq!(shell.json(["iam", "trusted-profile-identities", "shippers", "--output", "json"]), Value::Array(Vec::new()));
    shell.ok(["iam", "trusted-profile-delete", "shippers", "-f"]);
    assert!(shell.run(["iam", "tp", id]).failure().contains("boatyard iam trusted-profiles"));
}

#[test]
fn cli_iam_account_settings_are_changed_one_by_one_and_have_an_effect() {
    let server = shared();
    let shell = Shell::logged_in(&server, &server.account("cli-iam-settings"));
    let before = shell.json(["iam", "account-settings", "--output", "json"]);
    assert_eq!(text(&before, "/max_sessions_per_identity"), "NOT_SET");
    let update = |rest: &[&str]| shell.run([&["iam", "account-settings-update"], rest].concat());
    update(&["--mfa", "TOTP", "--session-expiration-in-seconds", "3600", "--session-invalidation-in-seconds", "1800"])
        .success();
    update(&["--restrict-create-service-id", "RESTRICTED", "--restrict-create-platform-apikey", "RESTRICTED"]).success();
    update(&["--max-sessions-per-identity", "10", "--allowed-ip-addresses", "127.0.0.1", "-f"]).success();
    let lifetimes =
        ["--system-access-token-expiration-in-seconds", "900", "--system-refresh-token-expiration-in-seconds", "7200"];
    update(&lifetimes).success();
    let after = shell.json(["iam", "account-settings", "--output", "json"]);
    for (name, value) in [
        ("mfa", "TOTP"),
        ("session_expiration_in_seconds", "3600"),
        ("session_invalidation_in_seconds", "1800"),
        ("restrict_create_service_id", "RESTRICTED"),
        ("restrict_create_platform_apikey", "RESTRICTED"),
        ("max_sessions_per_identity", "10"),
        ("allowed_ip_addresses", "127.0.0.1"),
        ("system_access_token_expiration_in_seconds", "900"),
        ("system_refresh_token_expiration_in_seconds", "7200"),
    ] {
        assert_eq!(after[name], value, "{name}");
    }
    assert!(row(&shell.ok(["iam", "account-settings"]), "Max sessions").ends_with(" 10"));
    update(&["--allowed-ip-addresses", "", "--max-sessions-per-identity", "NOT_SET"]).success();
    let cleared = shell.json(["iam", "account-settings", "--output", "json"]);
    assert_eq!((text(&cleared, "/allowed_ip_addresses"), text(&cleared, "/mfa")), ("", "TOTP"), "the others stay");

    let refused = update(&["--session-expiration-in-seconds", "1"]).failure();
    assert!(refused.contains("session_expiration_in_seconds") && refused.contains("900"), "{refused}");
    assert_eq!(update(&[]).status.code(), Some(2), "there is nothing to change");

    // A service ID without a role reads nothing of it; the shorter life is that of new tokens.
    let robot = shell.json(["iam", "service-id-create", "robot", "--output", "json"]);
    let key = shell.json(["iam", "service-api-key-create", "key", text(&robot, "/id"), "--output", "json"]);
    let shell = Shell::new();
    shell.ok(login(&server, text(&key, "/apikey")));
    assert!(shell.run(["iam", "account-settings"]).failure().contains("HTTP 403"));
    let token = shell.json(["iam", "oauth-tokens", "--output", "json"]);
    let claims = crate::harness::jwt::claims(text(&token, "/iam_token").trim_start_matches("Bearer "));
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 900);
}
