//! The client commands as a person or a script runs them, against a small service that answers what each test needs.

mod service;

use serde_json::{Value, json};
use std::fs;
use std::io::Write as _;
use std::process::Stdio;

use service::{ACCOUNT, Service, cluster, read};

#[test]
fn a_login_is_remembered_until_the_logout() {
    let service = Service::start(|line, _| match line {
        "GET /global/v2/clusters" => (200, json!([{"id": "c1", "name": "mine", "state": "normal", "workerCount": 2}])),
        _ => (500, json!({})),
    });
    service.login();
    let (code, out, _) = service.run("target");
    assert_eq!(code, 0);
    assert!(out.contains("ada@example.com") && out.contains(&format!("Ada's Account ({ACCOUNT})")), "{out}");

    let (_, out, _) = service.run("iam oauth-tokens");
    assert!(out.starts_with("IAM token:  Bearer e30."), "{out}");
    let (_, out, _) = service.run("account list");
    assert!(out.contains("Ada's Account") && out.contains('*'), "{out}");
    for line in ["cluster ls", "ks cluster ls", "oc cluster ls -q"] {
        let (code, out, err) = service.run(line);
        assert_eq!((code, err.as_str()), (0, ""), "{line}");
        assert!(out.contains("mine   c1   normal"), "{line}: {out}");
    }
    let (_, out, _) = service.run("ks cluster ls --output json");
    let list: Value = serde_json::from_str(&out).expect("nothing but JSON");
    assert_eq!(list[0]["workerCount"], 2);

    assert_eq!(service.run("logout").0, 0);
    assert_eq!(service.count("POST /identity/revoke"), 1);
    let (code, out, err) = service.run("cluster ls");
    assert_eq!((code, out.as_str()), (1, ""));
    assert_eq!(err, "FAILED\nYou are not logged in.\nLog in with `boatyard login`.\n");
}

#[test]
fn processes_at_the_same_time_refresh_once() {
    let service = Service::start(|_, _| (200, json!([])));
    service.login();
    let file = service.home.path().join("config.json");
    let mut state: Value = serde_json::from_slice(&fs::read(&file).expect("it is there")).expect("JSON");
    state["tokens"]["expires"] = 0.into();
    fs::write(&file, state.to_string()).expect("it can be written");

    let start = |_| service.command("cluster ls").stdout(Stdio::null()).spawn().expect("it runs");
    let running: Vec<_> = (0..6).map(start).collect();
    for mut process in running {
        assert!(process.wait().expect("it ends").success());
    }
    assert_eq!(service.count("POST /identity/token"), 2, "one for the login and one refresh");
}

#[test]
fn refusals_are_told_with_the_service_s_own_words() {
    let service = Service::start(|_, _| {
        (
            404,
            json!({"incidentID": "i-1", "code": "G0004", "description": "The specified cluster could not be found.",
                     "recoveryCLI": "To list the clusters you have access to, run 'ibmcloud ks cluster ls'."}),
        )
    });
    service.login();
    let (code, _, err) = service.run("cluster get -c nope");
    assert_eq!(code, 1);
    assert_eq!(
        err,
        "FAILED\nThe specified cluster could not be found. (G0004, HTTP 404)\n\
         To list the clusters you have access to, run 'boatyard ks cluster ls'.\nIncident ID: i-1\n"
    );
}

#[test]
fn waiting_ends_with_the_cluster_or_with_the_reason() {
    let service = Service::start(|line, n| match line {
        "POST /global/v2/vpc/createCluster" => (201, json!({"clusterID": "c1"})),
        // The third look finds the server away for a moment.
        "GET /global/v2/getCluster?cluster=c1" if n == 2 => (503, json!({"description": "restarting"})),
        _ => (200, cluster(["requested", "deploying", "", "pending", "normal"][n.min(4)])),
    });
    service.login();
    let create = "cluster create vpc-gen2 --name mine --zone z --vpc-id v --subnet-id s --flavor f --wait";
    let (code, out, err) = service.run(create);
    assert_eq!(code, 0, "{err}");
    assert!(out.starts_with("OK\nCluster created with ID c1\nCluster mine is normal."), "{out}");
    assert!(err.contains("mine: requested") && err.contains("mine: normal"), "{err}");
    assert!(err.contains("the server does not answer, trying again"), "{err}");

    let service = Service::start(|line, _| match line {
        "POST /global/v1/clusters" => (201, json!({"id": "c1"})),
        _ => (200, cluster("deploy_failed")),
    });
    service.login();
    let (code, out, err) = service.run("cluster create classic --name mine --zone dal10 --flavor f --wait -q");
    assert_eq!((code, out.as_str()), (1, ""));
    assert!(err.starts_with("FAILED\nThe cluster mine will not become normal: deploy_failed"), "{err}");

    let service = Service::start(|line, _| match line {
        "POST /global/v1/clusters" => (201, json!({"id": "c1"})),
        _ => (200, cluster("pending")),
    });
    service.login();
    let (code, _, err) = service.run("cluster create classic --name mine --zone dal10 --flavor f --wait --timeout 0s");
    assert_eq!(code, 1);
    assert!(err.contains("not normal after 0 s; it is pending"), "{err}");
}

#[test]
fn nothing_is_deleted_without_being_asked_for() {
    let service = Service::start(|line, n| match line {
        "DELETE /global/v1/clusters/c1" => (204, json!(null)),
        "GET /global/v2/getCluster?cluster=c1" if n > 0 => (404, json!({"code": "G0004", "description": "gone"})),
        _ => (200, cluster("deleting")),
    });
    service.login();
    let (code, _, err) = service.run("cluster rm -c mine");
    assert_eq!((code, service.count("DELETE /global/v1/clusters/c1")), (2, 0));
    assert!(err.contains("Give `-f` on the command line."), "{err}");

    let (code, out, err) = service.run("cluster rm -c mine -f --wait");
    assert_eq!((code, service.count("DELETE /global/v1/clusters/c1")), (0, 1), "{err}");
    assert!(out.ends_with("Cluster mine is deleted.\n"), "{out}");
}

#[test]
fn a_kubeconfig_is_merged_or_printed() {
    let yaml = "apiVersion: v1\nkind: Config\nclusters: [{name: mine/c1, cluster: {server: https://h, certificate-authority: ca.pem}}]\n\
                contexts: [{name: mine/c1, context: {cluster: mine/c1, user: ada}}]\ncurrent-context: mine/c1\n\
                users: [{name: ada, user: {auth-provider: {name: oidc, config: {id-token: x}}}}]\n";
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, text) in [("mine.yaml", yaml), ("ca.pem", "CA")] {
        zip.start_file(name, zip::write::SimpleFileOptions::default()).expect("a file");
        zip.write_all(text.as_bytes()).expect("its text");
    }
    let archive = zip.finish().expect("an archive").into_inner();
    let service = Service::start_raw(move |_, _| (200, archive.clone()));
    service.login();

    let (code, printed, err) = service.run("cluster config -c mine --output yaml");
    assert_eq!((code, err.as_str()), (0, ""));
    assert!(printed.contains("certificate-authority-data: Q0E=") && printed.contains("refresh-token: rt-"), "{printed}");

    let file = service.home.path().join("kubeconfig");
    fs::write(&file, "clusters: [{name: old, cluster: {server: https://old}}]\nmine: kept\n").expect("it can be written");
    let (code, out, err) = service.run("cluster config -c mine");
    assert_eq!(code, 0, "{err}");
    assert!(out.contains("Added the context mine/c1"), "{out}");
    let merged = fs::read_to_string(&file).expect("it is there");
    for kept in ["https://old", "mine: kept", "current-context: mine/c1", "https://h"] {
        assert!(merged.contains(kept), "{kept}\n{merged}");
    }
}

#[test]
fn what_cannot_be_meant_ends_with_2_and_a_suggestion() {
    let service = Service::start(|_, _| (500, json!({})));
    let (code, _, err) = service.run("cluster lst");
    assert_eq!(code, 2);
    assert!(err.contains("similar subcommand"), "{err}");
    let (code, _, err) = service.run("login");
    assert_eq!(code, 2);
    assert!(err.contains("Start one with `boatyard serve`, or name one with `-a URL`."), "{err}");
    let (code, _, err) = service.run(&format!("login -a http://{} -u ada", service.address));
    assert_eq!(code, 2);
    assert!(err.contains("Password: there is no terminal to ask on."), "{err}");
}

#[test]
fn a_server_that_is_not_there_is_named() {
    let service = Service::start(|_, _| (500, json!({})));
    let (code, _, err) = service.run("login -a http://127.0.0.1:1 --apikey key");
    assert_eq!(code, 1);
    assert!(err.contains("Is `boatyard serve` running at http://127.0.0.1:1?"), "{err}");
}

#[test]
fn a_reader_that_leaves_early_is_no_failure() {
    let service = Service::start(|_, _| (500, json!({})));
    let mut process =
        service.command("completion bash").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs");
    drop(process.stdout.take());
    let (code, _, err) = read(process.wait_with_output().expect("it ends"));
    assert_eq!((code, err.as_str()), (0, ""));
}

#[test]
fn settings_are_for_the_server_logged_in_to() {
    let service = Service::start(|_, _| (500, json!({})));
    service.login();
    let (code, out, _) = service.run("env --output json");
    let set: Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!((code, &set["IBMCLOUD_CS_API_ENDPOINT"]), (0, &json!(format!("http://{}/global", service.address))));
    let (_, out, _) = service.run("env --shell fish -q");
    assert!(out.lines().all(|l| l.starts_with("set -gx ")), "{out}");
}

#[test]
fn a_login_for_an_account_that_is_not_there_leaves_the_one_before() {
    let service = Service::start(|_, _| (500, json!({})));
    service.login();
    let file = service.home.path().join("config.json");
    let before = fs::read_to_string(&file).expect("it is there");
    let (code, out, err) = service.run(&format!("login -a http://{} --apikey key -c nobody", service.address));
    assert_eq!((code, out.as_str()), (1, ""));
    assert!(err.contains("You have no account \"nobody\".") && err.contains(ACCOUNT), "{err}");
    assert_eq!(fs::read_to_string(&file).expect("it is there"), before);
}

#[test]
fn a_data_folder_on_the_command_line_goes_before_the_environment() {
    let service = Service::start(|_, _| (500, json!({})));
    let folder = service.home.path().join("data");
    let login = format!("login --data-dir {}", folder.display());
    let (code, _, err) = service.run(&login);
    assert_eq!(code, 1);
    assert!(err.contains(&format!("There is no credentials.json in {}.", folder.display())), "{err}");

    fs::create_dir(&folder).expect("a new folder");
    let credentials = json!({"endpoint": format!("http://{}", service.address), "apikey": "key"});
    fs::write(folder.join("credentials.json"), credentials.to_string()).expect("it can be written");
    let elsewhere = |line: &str| {
        let mut command = service.command(line);
        read(command.env("BOATYARD_ENDPOINT", "http://127.0.0.1:1").output().expect("it runs"))
    };
    let (code, _, err) = elsewhere(&login);
    assert_eq!(code, 0, "{err}");
    let (code, _, err) = elsewhere("login --apikey key");
    assert_eq!(code, 1);
    assert!(err.contains("http://127.0.0.1:1"), "without it, the environment says where: {err}");
}

#[test]
fn an_empty_list_says_how_to_fill_it() {
    let service = Service::start(|_, _| (200, json!([])));
    service.login();
    let (code, out, err) = service.run("cluster ls");
    assert_eq!((code, out.lines().count()), (0, 2), "the lines of the table are for scripts: {out}");
    assert!(err.contains("boatyard cluster create vpc-gen2"), "{err}");
    let (_, _, err) = service.run("cluster ls --provider classic");
    assert!(err.contains("no such clusters"), "{err}");
    for line in ["cluster ls -q", "cluster ls --output json"] {
        assert_eq!(service.run(line).2, "", "{line}");
    }
}

#[test]
fn calico_s_files_need_the_archive() {
    let service = Service::start(|_, _| (500, json!({})));
    let (code, _, err) = service.run("cluster config -c mine --network --output yaml");
    assert_eq!(code, 2);
    assert!(err.contains("Add `--output zip`, or leave out `--network`."), "{err}");
}

#[test]
fn a_resource_group_is_found_by_name_where_the_server_knows_names() {
    let id = "fedcba9876543210fedcba9876543210";
    let service = Service::start(move |_, _| (200, json!({"resources": [{"id": id, "name": "Default"}]})));
    service.login();
    for name in ["Default", id] {
        let (code, out, err) = service.run(&format!("target -g {name}"));
        assert_eq!(code, 0, "{err}");
        assert!(out.contains(&format!("Default ({id})")), "{out}");
    }
    let (code, _, err) = service.run("target -g other");
    assert_eq!(code, 1);
    assert!(err.contains("Give one of these by ID or name: Default"), "{err}");

    let service = Service::start(|_, _| (501, json!({"message": "not built"})));
    service.login();
    let (code, _, err) = service.run("target -g Default");
    assert_eq!(code, 1);
    assert!(err.contains("Give the group's ID"), "{err}");
    assert_eq!(service.run(&format!("target -g {id}")).0, 0);
}
