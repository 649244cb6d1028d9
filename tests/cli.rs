//! The command line, as people and scripts use it.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::harness::archive::{kubeconfig, unpacked};
use crate::harness::boatyard::{PATH, Shell};
use crate::harness::clients::{self, python, run, script, tool};
use crate::harness::http::{array, text};
use crate::harness::{BX, REFRESH, Request, Server, User, check, jwt, shared, wait};

fn login<'a>(server: &'a Server, rest: &[&'a str]) -> Vec<&'a str> {
    let ca_file = server.ca_file.to_str().unwrap();
    [&["login", "-a", &server.endpoint, "--ca-file", ca_file], rest].concat()
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn login_by_api_key_keeps_tokens_for_the_owner_only() {
    let server = shared();
    let user = server.account("cli-key");
    let shell = Shell::new();
    let shown = shell.ok(login(&server, &["--apikey", &user.apikey]));
    assert!(shown.contains(&server.endpoint) && shown.contains(&user.account_id) && shown.contains("cli-key"), "{shown}");
    assert_eq!(mode(&shell.login_file()), 0o600);
    assert_eq!(mode(shell.login_file().parent().unwrap()), 0o700);
    let kept = fs::read_to_string(shell.login_file()).unwrap();
    assert!(!kept.contains(&user.apikey), "the API key is not kept unless asked for");
    assert_eq!(shell.json(["cluster", "ls", "--output", "json"]), json!([]));
}

#[test]
fn login_by_api_key_from_a_file_and_from_the_environment() {
    let server = shared();
    let user = server.account("cli-file");
    let shell = Shell::new();
    fs::write(shell.path("key.txt"), format!("{}\n", user.apikey)).unwrap();
    fs::write(shell.path("key.json"), json!({ "name": "k", "apikey": user.apikey }).to_string()).unwrap();
    for file in ["@key.txt", "@key.json"] {
        shell.ok(login(&server, &["--apikey", file]));
    }
    for variable in ["BOATYARD_APIKEY", "IBMCLOUD_API_KEY"] {
        let shell = Shell::new();
        run(shell.command(login(&server, &[])).env(variable, &user.apikey)).success();
        assert_eq!(shell.json(["target", "--output", "json"]).pointer("/account/guid"), Some(&json!(user.account_id)));
    }
}

#[test]
fn secrets_that_begin_with_a_dash_are_no_options() {
    // One in 64 of the service's keys begins so.
    let key = "-4uHk8rSg-made-to-look-like-an-option";
    let server = Server::builder().env("BOATYARD_APIKEY", key).start();
    let body = json!({ "name": "dash", "username": "dash@example.com", "given_name": "D", "family_name": "Ash", "password": "-p4ss-word" });
    let answer = server.administrate(Request::post("/_boatyard/accounts").json(&body));
    assert!(matches!(answer.status, 200 | 201), "{}", answer.text());
    for credential in [&["--apikey", key][..], &["-u", "dash@example.com", "-p", "-p4ss-word"]] {
        Shell::new().ok(login(&server, credential));
    }
    // It is a passcode that does not exist, not an option.
    let wrong = Shell::new().run(login(&server, &["--passcode", "-12345"]));
    assert_eq!(wrong.status.code(), Some(1), "{}", wrong.stderr);
}

#[test]
fn login_by_password_selects_the_account() {
    let server = shared();
    let user = server.account("cli-password");
    let password = user.password.as_deref().unwrap();
    for account in [&[][..], &["-c", &user.account_id], &["-c", "cli-password"]] {
        let shell = Shell::new();
        shell.ok(login(&server, &[&["-u", &user.username, "-p", password], account].concat()));
        let target = shell.json(["target", "--output", "json"]);
        assert_eq!(text(&target, "/account/guid"), user.account_id, "{account:?}");
        assert_eq!(shell.json(["cluster", "ls", "--output", "json"]), json!([]));
    }
}

#[test]
fn login_by_passcode() {
    let server = shared();
    let user = server.account("cli-passcode");
    let passcode = server.passcode(text(&server.login(&user), "/refresh_token"));
    let shell = Shell::new();
    shell.ok(login(&server, &["--passcode", &passcode, "-c", &user.account_id]));
    assert_eq!(shell.json(["cluster", "ls", "--output", "json"]), json!([]));
    let again = Shell::new().run(login(&server, &["--passcode", &passcode])).failure();
    assert!(again.to_lowercase().contains("passcode"), "{again}");
}

#[test]
fn login_with_sso_asks_for_the_passcode_on_the_terminal() {
    let server = shared();
    let user = server.account("cli-sso");
    let passcode = server.passcode(text(&server.login(&user), "/refresh_token"));
    let shell = Shell::new();
    tool("script", "bsdutils");
    let line: Vec<_> = login(&server, &["--sso", "-c", &user.account_id]).iter().map(|w| format!("'{w}'")).collect();
    let line = format!("'{PATH}' {}", line.join(" "));
    // `script` gives the command a terminal and types its own standard input there.
    let mut command = shell.other("script", ["--quiet", "--return", "--command", &line, "/dev/null"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut typed = child.stdin.take().unwrap();
    typed.write_all(format!("{passcode}\n").as_bytes()).unwrap();
    let finished = child.wait_with_output().unwrap();
    let shown = String::from_utf8_lossy(&finished.stdout);
    drop(typed);
    assert!(finished.status.success(), "{shown}");
    assert!(shown.contains("/identity/passcode"), "it says where to get one: {shown}");
    assert_eq!(shell.json(["cluster", "ls", "--output", "json"]), json!([]));
}

#[test]
fn login_with_sso_names_the_page_that_the_server_names_and_opens_it_only_if_asked() {
    let server = shared();
    let endpoint = server.endpoint.replace("127.0.0.1", "localhost");
    let page = format!("{}/identity/passcode", server.endpoint);
    let shell = Shell::new();
    let (opened, programs) = (shell.path("opened"), shell.path("programs"));
    fs::create_dir(&programs).unwrap();
    // Whatever opens addresses on this machine, it is asked for under this name first.
    let opener = programs.join("xdg-open");
    fs::write(&opener, format!("#!/bin/sh\necho \"$1\" > '{0}.draft' && mv '{0}.draft' '{0}'\n", opened.display())).unwrap();
    fs::set_permissions(&opener, fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap());
    let ca_file = server.ca_file.to_str().unwrap();
    for (flags, opens) in [(&["--sso"][..], false), (&["--sso", "--browser"], true)] {
        let arguments = [&["login", "-a", &endpoint, "--ca-file", ca_file], flags].concat();
        let refused = run(shell.command(arguments).env("PATH", &path)).failure();
        assert!(refused.contains(&format!("Get a one-time passcode at {page}")), "{refused}");
        assert!(refused.contains("--passcode CODE"), "nobody can be asked, and it says what to do: {refused}");
        if opens {
            let url =
                wait::until("the page to be opened", wait::PATIENCE, || fs::read_to_string(&opened).map_err(|e| e.to_string()));
            assert_eq!(url.trim(), page);
        }
        assert_eq!(opened.exists(), opens);
    }
    let alone = shell.run(["login", "-a", &endpoint, "--browser"]).failure();
    assert!(alone.contains("--sso"), "{alone}");
}

#[test]
fn login_to_the_server_of_a_data_folder_needs_nothing_else() {
    let server = shared();
    let shell = Shell::new();
    shell.ok(["login", "--data-dir", server.data_dir.to_str().unwrap()]);
    let target = shell.json(["target", "--output", "json"]);
    assert_eq!(text(&target, "/account/guid"), server.administrator.account_id);
}

#[test]
fn a_login_that_fails_says_why_and_leaves_the_one_before() {
    let server = shared();
    let user = server.account("cli-wrong");
    let shell = Shell::logged_in(&server, &user);
    let before = shell.login();
    let wrong = shell.run(login(&server, &["--apikey", "wrong-key"]));
    assert_eq!(wrong.status.code(), Some(1));
    let message = wrong.failure();
    assert!(message.contains("API key could not be found"), "{message}");
    let password = shell.run(login(&server, &["-u", &user.username, "-p", "wrong"])).failure();
    assert!(!password.contains("panicked") && password.lines().count() < 10, "{password}");
    assert!(password.contains("Check the user name and the password.") && !password.contains("Log in again"), "{password}");
    assert!(message.contains("credentials.json") && message.contains("--apikey"), "it says where keys are: {message}");
    let account = shell.run(login(&server, &["--apikey", &user.apikey, "-c", "nobody"]));
    assert_eq!((account.status.code(), account.stdout.as_str()), (Some(1), ""), "{}", account.stderr);
    assert_eq!(shell.login(), before);
    let usage = shell.run(["login", "--apikey", "k", "-u", "ada"]);
    assert_eq!(usage.status.code(), Some(2), "a wrong command line is told apart");
}

#[test]
fn an_unknown_authority_is_refused_and_the_message_helps() {
    let server = shared();
    let message = Shell::new().run(["login", "-a", &server.endpoint, "--apikey", &server.administrator.apikey]).failure();
    assert!(message.contains("--ca-file"), "{message}");
}

#[test]
fn a_server_that_is_not_there_is_named() {
    let message = Shell::new().run(["login", "-a", "http://127.0.0.1:1", "--apikey", "k"]).failure();
    assert!(message.contains("127.0.0.1:1"), "{message}");
}

#[test]
fn logout_forgets_and_revokes() {
    let server = shared();
    let user = server.account("cli-logout");
    let shell = Shell::logged_in(&server, &user);
    let refresh_token = text(&shell.login(), "/tokens/refresh").to_owned();
    let access_token = text(&shell.login(), "/tokens/access").to_owned();
    shell.ok(["logout"]);
    let kept = fs::read_to_string(shell.login_file()).unwrap_or_default();
    assert!(!kept.contains(&refresh_token) && !kept.contains(&access_token), "{kept}");
    let answer = server.grant(Some(BX), &[("grant_type", REFRESH), ("refresh_token", &refresh_token)]);
    check::refusal(&answer, check::Service::Iam, 400, "").unwrap();
    let message = shell.run(["cluster", "ls"]).failure();
    assert!(message.contains("boatyard login"), "{message}");
    shell.ok(["logout"]);
}

#[test]
fn oauth_tokens_prints_a_token_that_curl_can_use() {
    let server = shared();
    let user = server.account("cli-token");
    let shell = Shell::logged_in(&server, &user);
    let line = shell.ok(["iam", "oauth-tokens"]);
    // `ibmcloud iam oauth-tokens | awk '{print $4}'` is in a thousand scripts.
    let token = line.split_whitespace().nth(3).expect("the fourth field").to_owned();
    assert!(line.starts_with("IAM token:  Bearer "), "{line}");
    assert_eq!(text(&jwt::claims(&token), "/account/bss"), user.account_id);
    server.send(Request::get("/global/v2/clusters").bearer(&token)).expect(200);
    let body = shell.json(["iam", "oauth-tokens", "--output", "json"]);
    assert_eq!(text(&body, "/iam_token"), format!("Bearer {token}"));
}

#[test]
fn accounts_are_listed_for_people_and_programs() {
    let server = shared();
    let user = server.account("cli-accounts");
    let shell = Shell::logged_in(&server, &user);
    let table = shell.ok(["account", "list"]);
    assert!(table.contains(&user.account_id) && table.contains("cli-accounts"), "{table}");
    let list = shell.json(["account", "list", "--output", "json"]);
    assert_eq!(text(&list, "/0/metadata/guid"), user.account_id);
}

#[test]
fn target_refuses_an_account_of_others() {
    let server = shared();
    let (user, other) = (server.account("cli-target"), server.account("cli-target-other"));
    let shell = Shell::logged_in(&server, &user);
    shell.ok(["target", "-c", &user.account_id]);
    for named in [other.account_id.as_str(), "cli-target-other"] {
        shell.run(["target", "-c", named]).failure();
    }
    assert_eq!(text(&shell.json(["target", "--output", "json"]), "/account/guid"), user.account_id);
}

#[test]
fn target_takes_a_resource_group_by_name() {
    let server = shared();
    let shell = Shell::logged_in(&server, &server.account("cli-group"));
    shell.ok(["target", "-g", "Default"]);
    let target = shell.json(["target", "--output", "json"]);
    assert_eq!((text(&target, "/resource_group/guid").len(), text(&target, "/resource_group/name")), (32, "Default"));
    assert_eq!(shell.json(["cluster", "ls", "--output", "json"]), json!([]));
    shell.run(["target", "-g", "nothing-like-it"]).failure();
    shell.ok(["target", "-g", ""]);
    assert_eq!(shell.json(["target", "--output", "json"])["resource_group"], Value::Null);
}

#[test]
fn a_server_that_cannot_start_says_what_to_do_about_it() {
    let server = shared();
    let shell = Shell::new();
    let folder = shell.path("serve");
    let (folder, taken) = (folder.to_str().unwrap(), server.data_dir.to_str().unwrap());
    let free = "127.0.0.1:0";
    for (data_dir, listen, variable, expected) in [
        (folder, server.address(), ("UNUSED", ""), "--listen 127.0.0.1:0"),
        (taken, free, ("UNUSED", ""), "Stop it, or choose another folder with `--data-dir DIR`."),
        (folder, free, ("BOATYARD_DATABASE_URL", "mysql://h/d"), "Correct `--database-url`"),
        (folder, free, ("BOATYARD_APIKEY", "short"), "Set BOATYARD_APIKEY to another key"),
        ("/dev/null/folder", free, ("UNUSED", ""), "choose another with `--data-dir DIR`"),
    ] {
        let mut command = shell.command(["serve", "--data-dir", data_dir, "--listen", listen]);
        let message = clients::run(command.env(variable.0, variable.1)).failure();
        assert!(message.contains(expected), "{message}");
    }
}

/// Options that place a VPC cluster in the account's default network.
fn vpc_options(shell: &Shell) -> Vec<String> {
    let vpcs = shell.json(["vpcs", "--provider", "vpc-gen2", "--output", "json"]);
    let (vpc, zone) = (text(&vpcs, "/0/id"), text(&vpcs, "/0/zones/0"));
    let subnets = shell.json(["subnets", "--provider", "vpc-gen2", "--vpc-id", vpc, "--zone", zone, "--output", "json"]);
    let options = ["--zone", zone, "--vpc-id", vpc, "--subnet-id", text(&subnets, "/0/id"), "--flavor", "bx2.4x16"];
    options.map(str::to_owned).to_vec()
}

fn line<'a>(words: &[&'a str], options: &'a [String]) -> Vec<&'a str> {
    words.iter().copied().chain(options.iter().map(String::as_str)).collect()
}

#[test]
fn a_cluster_is_created_listed_shown_and_deleted() {
    let server = shared();
    let shell = Shell::logged_in(&server, &server.account("cli-cluster"));
    let options = vpc_options(&shell);
    let created = line(&["ks", "cluster", "create", "vpc-gen2", "--name", "cli-vpc", "--workers", "2", "--wait"], &options);
    shell.ok(created);
    let vlans = shell.json(["vlan", "ls", "--zone", "dal10", "--output", "json"]);
    let vlan = |kind: &str| array(&vlans).iter().find(|v| v["type"] == kind).unwrap()["id"].as_str().unwrap().to_owned();
    let (public, private) = (vlan("public"), vlan("private"));
    let words = [
        "oc",
        "cluster",
        "create",
        "classic",
        "--name",
        "cli-classic",
        "--zone",
        "dal10",
        "--flavor",
        "b3c.4x16",
        "--workers",
        "1",
    ];
    let classic =
        [&words[..], &["--public-vlan", &public, "--private-vlan", &private, "--wait", "--output", "json", "-q"]].concat();
    let answer = shell.json(classic);
    assert!(text(&answer, "/id").len() == 20, "{answer}");

    let table = shell.ok(["cluster", "ls"]);
    assert!(table.contains("cli-vpc") && table.contains("cli-classic") && table.contains("normal"), "{table}");
    let lists = [&["ks"][..], &["oc"], &[]].map(|words| shell.ok([words, &["cluster", "ls", "--output", "json"]].concat()));
    assert!(lists.iter().all(|l| *l == lists[0]), "ks, oc and neither are the same");
    let classic_only = shell.json(["cluster", "ls", "--provider", "classic", "--output", "json"]);
    assert_eq!(array(&classic_only).len(), 1, "{classic_only}");

    let vlans = shell.ok(["cluster", "get", "-c", "cli-classic", "--show-resources"]);
    for vlan in [&public, &private] {
        assert!(vlans.lines().any(|l| l.starts_with(vlan.as_str()) && l.contains("dal10")), "{vlan} in {vlans}");
    }
    let shown = shell.ok(["cluster", "get", "-c", "cli-vpc"]);
    assert!(shown.contains("normal") && shown.contains("cli-vpc"), "{shown}");
    let details = shell.json(["cluster", "get", "--cluster", "cli-vpc", "--output", "json"]);
    assert_eq!((&details["state"], &details["workerCount"]), (&json!("normal"), &json!(2)));

    let asked = shell.run(["cluster", "rm", "-c", "cli-vpc"]).failure();
    assert!(asked.contains("-f"), "without a terminal it asks nobody: {asked}");
    shell.ok(["cluster", "rm", "-c", "cli-vpc", "-f", "--wait"]);
    shell.ok(["cluster", "rm", "-c", "cli-classic", "-f", "--wait", "-q"]);
    assert_eq!(shell.json(["cluster", "ls", "--output", "json"]), json!([]));
    let gone = shell.run(["cluster", "get", "-c", "cli-vpc"]);
    assert_eq!(gone.status.code(), Some(1));
    let message = gone.failure();
    assert!(message.contains("could not be found") && message.contains("boatyard"), "{message}");
}

#[test]
fn a_refused_order_shows_the_services_words() {
    let server = shared();
    let shell = Shell::logged_in(&server, &server.account("cli-refused"));
    let mut options = vpc_options(&shell);
    *options.last_mut().unwrap() = "zz9.plural".to_owned();
    let message = shell.run(line(&["cluster", "create", "vpc-gen2", "--name", "never"], &options)).failure();
    assert!(message.contains("Could not find flavor in the requested zone") && message.contains("E4e5b"), "{message}");
}

#[test]
fn a_kubeconfig_is_merged_printed_and_saved() {
    let server = shared();
    let user = server.account("cli-config");
    let token = server.token(&user);
    let ids = ["config-one", "config-two"].map(|name| server.create_vpc(&token, name));
    for id in &ids {
        server.normal(&token, id);
    }
    let shell = Shell::logged_in(&server, &user);
    let file = shell.path("kube/config");
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    let mine = "apiVersion: v1\nkind: Config\nclusters:\n- name: mine\n  cluster: {server: 'https://mine'}\ncontexts: []\nusers: []\ncurrent-context: mine\n";
    fs::write(&file, mine).unwrap();
    for name in ["config-one", "config-two", "config-one"] {
        run(shell.command(["cluster", "config", "-c", name]).env("KUBECONFIG", &file)).success();
    }
    let merged = fs::read_to_string(&file).unwrap();
    assert!(merged.contains("https://mine"), "what was there stays: {merged}");
    for name in ["config-one", "config-two"] {
        assert!(merged.contains(&format!("{name}/")), "{merged}");
    }
    let config: Value = yaml_serde::from_str(&merged).unwrap();
    assert_eq!(text(&config, "/current-context"), format!("config-one/{}", ids[0]));
    assert_eq!(array(&config["contexts"]).len(), 2, "each is there once: {merged}");
    assert_eq!(mode(&file), 0o600, "it holds tokens");
    let printed = shell.ok(["cluster", "config", "-c", "config-one", "--output", "yaml"]);
    let config = kubeconfig(&printed, "config-one", &ids[0]);
    assert!(text(&config, "/users/0/user/auth-provider/config/refresh-token").len() > 20, "kubectl can refresh: {config}");
    assert!(text(&config, "/clusters/0/cluster/certificate-authority-data").len() > 100, "it needs no other file: {config}");
    let body = shell.json(["cluster", "config", "-c", "config-one", "--output", "json"]);
    assert!(text(&body, "/clusters/0/cluster/server").starts_with("https://"), "{body}");
    let saved = shell.ok(["cluster", "config", "-c", "config-one", "--output", "zip", "-q"]);
    assert!(unpacked(&fs::read(shell.path(saved.trim())).unwrap()).keys().any(|f| f.ends_with(".yaml")));
    assert!(!shell.path(".kube").exists(), "only the file that was named is touched");
}

// Tokens that run out --------------------------------------------------------------------------------------------------

/// Runs several commands at the same time; all must succeed.
fn at_once(shell: &Shell, count: usize) {
    let children: Vec<_> = (0..count)
        .map(|_| {
            let mut command = shell.command(["cluster", "ls", "--output", "json"]);
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
        })
        .collect();
    for child in children {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(serde_json::from_slice::<Value>(&output.stdout).unwrap(), json!([]));
    }
}

/// A server of its own, so that its counts are the test's, and somebody logged in.
fn alone(name: &str) -> (Server, User, Shell) {
    let server = Server::start();
    let user = server.account(name);
    let shell = Shell::logged_in(&server, &user);
    (server, user, shell)
}

#[test]
fn a_token_about_to_expire_is_refreshed_once_by_commands_at_the_same_time() {
    let (server, _, shell) = alone("stale");
    let mut login = shell.login();
    let before = text(&login, "/tokens/access").to_owned();
    login["tokens"]["expires"] = 1.into();
    fs::write(shell.login_file(), login.to_string()).unwrap();
    let tokens = server.answered("CreateToken");
    at_once(&shell, 6);
    assert_eq!(server.answered("CreateToken") - tokens, 1);
    assert_eq!(
        server.metric("boatyard_requests_total", &[("operation", "V2ListClusters"), ("status", "401")]),
        0,
        "none was refused first"
    );
    assert_ne!(text(&shell.login(), "/tokens/access"), before);
    assert_eq!(mode(&shell.login_file()), 0o600);
}

#[test]
fn a_token_the_server_refuses_is_refreshed_once_by_commands_at_the_same_time() {
    let (server, _, shell) = alone("refused");
    // The client's clock stands still: it learns of the end of its token from the server.
    server.advance_clock(3601);
    let tokens = server.answered("CreateToken");
    at_once(&shell, 6);
    assert_eq!(server.answered("CreateToken") - tokens, 1);
    at_once(&shell, 2);
    assert_eq!(server.answered("CreateToken") - tokens, 1, "the new one is used from then on");
}

#[test]
fn a_fresh_token_is_used_as_it_is() {
    let (server, _, shell) = alone("fresh");
    let tokens = server.answered("CreateToken");
    at_once(&shell, 3);
    assert_eq!(server.answered("CreateToken"), tokens);
}

#[test]
fn when_the_refresh_token_has_expired_too_the_person_is_told_to_log_in() {
    let (server, _, shell) = alone("ended");
    server.advance_clock(40 * 24 * 3600);
    let tokens = server.answered("CreateToken");
    let finished = shell.run(["cluster", "ls"]);
    assert_eq!(finished.status.code(), Some(1));
    let message = finished.failure();
    assert!(message.contains("boatyard login"), "{message}");
    assert!(server.answered("CreateToken") - tokens <= 1, "it does not go on trying");
}

#[test]
fn a_kept_api_key_logs_in_again_by_itself() {
    let server = Server::start();
    let user = server.account("kept");
    let shell = Shell::new();
    shell.ok(login(&server, &["--apikey", &user.apikey, "--keep-apikey"]));
    server.advance_clock(40 * 24 * 3600);
    assert_eq!(shell.json(["cluster", "ls", "--output", "json"]), json!([]));
    assert_eq!(mode(&shell.login_file()), 0o600);
}

// Settings for others --------------------------------------------------------------------------------------------------

#[test]
fn env_points_the_ibm_sdk_at_the_server() {
    let server = shared();
    let data_dir = server.data_dir.to_str().unwrap();
    let shell = Shell::new();
    let (client, _home) = python(&[&script("python/from_environment.py")]);
    let words: Vec<_> = std::iter::once(client.get_program()).chain(client.get_args()).collect();
    let words: Vec<_> = words.iter().map(|w| format!("'{}'", w.to_str().unwrap())).collect();
    let script = format!("eval \"$('{PATH}' env --data-dir '{data_dir}')\" && exec {}", words.join(" "));
    let printed = run(&mut shell.other("bash", ["-euc", &script])).success();
    assert!(printed.contains("listed"), "{printed}");

    let set = shell.json(["env", "--data-dir", data_dir, "--output", "json"]);
    for (name, value) in [
        ("IC_API_KEY", server.administrator.apikey.clone()),
        ("IBMCLOUD_IAM_API_ENDPOINT", server.endpoint.clone()),
        ("IBMCLOUD_CS_API_ENDPOINT", format!("{}/global", server.endpoint)),
        ("SSL_CERT_FILE", server.ca_file.display().to_string()),
    ] {
        assert_eq!(set[name], value, "{name}");
    }
}

#[test]
fn completion_scripts_are_made_for_each_shell() {
    let shell = Shell::new();
    for name in ["bash", "zsh", "fish"] {
        let made = shell.ok(["completion", name]);
        assert!(made.contains("boatyard") && made.contains("cluster"), "{name}");
        if name == "bash" {
            let file = shell.path("completion.bash");
            fs::write(&file, made).unwrap();
            run(&mut shell.other("bash", ["-n".as_ref(), file.as_os_str()])).success();
        }
    }
}

#[test]
fn help_and_version_work_without_a_login() {
    let shell = Shell::new();
    assert!(shell.ok(["--version"]).contains(env!("CARGO_PKG_VERSION")));
    for words in
        [&["--help"][..], &["cluster", "--help"], &["ks", "cluster", "create", "vpc-gen2", "--help"], &["serve", "--help"]]
    {
        assert!(shell.ok(words).contains("Usage"), "{words:?}");
    }
}

// The demo -----------------------------------------------------------------------------------------------------------

#[test]
fn the_demo_ends_by_itself_with_success_and_leaves_a_kubeconfig() {
    let shell = Shell::new();
    let folder = shell.path("demo");
    let shown = shell.ok(["demo", "--exit", "--listen", "127.0.0.1:0", "--data-dir", folder.to_str().unwrap()]);
    for expected in ["demo-vpc", "demo-classic", "normal", "The server has ended", "curl", "boatyard cluster ls"] {
        assert!(shown.contains(expected), "{expected} in {shown}");
    }
    let kubeconfig = fs::read_to_string(folder.join("kubeconfig")).unwrap();
    assert!(kubeconfig.contains("demo-vpc/") && kubeconfig.contains("demo-classic/"), "{kubeconfig}");
    assert!(!shell.login_file().exists() && !shell.path(".kube").exists(), "the person's own files are left alone");
}

#[test]
fn the_demo_without_options_leaves_nothing_behind() {
    let shell = Shell::new();
    let place = shell.path("tmp");
    fs::create_dir(&place).unwrap();
    run(shell.command(["demo", "--exit"]).env("TMPDIR", &place)).success();
    assert_eq!(fs::read_dir(&place).unwrap().count(), 0);
}

#[test]
fn a_demo_that_cannot_start_fails_and_says_why() {
    let server = shared();
    let finished = Shell::new().run(["demo", "--exit", "--listen", server.address()]);
    assert!(finished.status.code().is_some_and(|code| code != 0), "{:?}", finished.status);
    let message = finished.failure();
    assert!(message.contains(server.address()), "{message}");
}

#[test]
fn the_lines_the_demo_prints_work() {
    let shell = Shell::new();
    tool("curl", "curl");
    let folder = shell.path("demo");
    let out = shell.path("demo.out");
    let mut command = shell.command(["demo", "--listen", "127.0.0.1:0", "--data-dir", folder.to_str().unwrap()]);
    let file = fs::File::create(&out).unwrap();
    let mut demo = Running(command.stdout(file.try_clone().unwrap()).stderr(file).spawn().unwrap());
    let shown = wait::until("the demo to be done", wait::PATIENCE, || {
        let shown = fs::read_to_string(&out).unwrap_or_default();
        if let Some(status) = demo.0.try_wait().unwrap() {
            panic!("the demo ended with {status}: {shown}");
        }
        if shown.contains("Serving at") { Ok(shown) } else { Err(shown) }
    });

    let (_, rest) = shown.split_once("with curl:").unwrap();
    let (curl, rest) = rest.split_once("With this command line:").unwrap();
    // The commands are the indented lines.
    let commands: Vec<_> = rest.lines().skip_while(|l| l.is_empty()).take_while(|l| l.starts_with("  ")).collect();
    for (name, lines) in [("curl", curl.to_owned()), ("commands", commands.join("\n"))] {
        assert!(lines.lines().count() > 5, "{name}: {lines}");
        let file = shell.path(&format!("{name}.sh"));
        fs::write(&file, format!("set -euo pipefail\nshopt -s expand_aliases\n{lines}\n")).unwrap();
        let printed = run(&mut shell.other("bash", [file.as_os_str()])).success();
        assert!(printed.contains("demo-vpc"), "{name}: {printed}");
    }
    let stopped = Command::new("sh").args(["-c", &format!("kill -TERM {}", demo.0.id())]).status().unwrap();
    assert!(stopped.success());
    let status =
        wait::until("the demo to end", wait::PATIENCE, || demo.0.try_wait().unwrap().ok_or_else(|| "running".to_owned()));
    assert!(status.success(), "{status}");
}

/// A child that does not outlive its test.
struct Running(std::process::Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn output_that_nobody_reads_is_no_failure() {
    let server = shared();
    let shell = Shell::logged_in(&server, &server.account("cli-pipe"));
    let line = format!("set -o pipefail; '{PATH}' completion bash | head -1; '{PATH}' cluster ls | true");
    let finished = clients::run(&mut shell.other("bash", ["-c", &line]));
    assert!(!finished.stderr.contains("panicked"), "{}", finished.stderr);
    finished.success();
}
