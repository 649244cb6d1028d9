//! What a newcomer runs first.

use std::fs;
use std::process::Command;

#[test]
fn the_demo_shows_two_clusters_and_leaves_the_person_s_own_login_alone() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let (data, home) = (dir.path().join("data"), dir.path().join("home"));
    let violations = dir.path().join("answer-violations");
    let demo = Command::new(env!("CARGO_BIN_EXE_boatyard"))
        .args(["demo", "--exit", "--listen", "127.0.0.1:0", "--data-dir"])
        .arg(&data)
        .env("HOME", &home)
        .env("BOATYARD_HOME", &home)
        .env("KUBECONFIG", home.join("kubeconfig"))
        .env("BOATYARD_ANSWER_VIOLATIONS", &violations)
        .output()
        .expect("it runs");
    let (out, err) = (String::from_utf8_lossy(&demo.stdout), String::from_utf8_lossy(&demo.stderr));
    assert!(demo.status.success(), "{out}{err}");
    for cluster in ["demo-vpc", "demo-classic"] {
        assert!(err.contains(&format!("{cluster}: normal")), "progress is shown: {err}");
        let listed = out.lines().find(|l| l.starts_with(&format!("{cluster} "))).unwrap_or_default();
        assert!(listed.contains(" normal "), "it is listed: {out}");
    }
    for line in ["/global/v2/vpc/createCluster", "boatyard cluster create classic"] {
        assert!(out.contains(line), "{line} is shown: {out}");
    }
    let kubeconfig = fs::read_to_string(data.join("kubeconfig")).expect("it was written");
    assert!(kubeconfig.contains("current-context: demo-vpc/"), "{kubeconfig}");
    assert_eq!(fs::read_to_string(&violations).expect("the demo's server checks its answers"), "");
    assert!(!home.exists(), "the person's own login and kubeconfig are not touched");
}
