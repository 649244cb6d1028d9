//! The package `kubernetes` for Python, with the kubeconfig that a user of a cluster has.

use crate::harness::boatyard;
use crate::harness::clients::{Kubectl, python, run, script};
use crate::harness::kubectl::Bench;

#[test]
fn the_python_client_works_with_the_objects_of_a_cluster() {
    let bench = Bench::new("python-kubernetes", Kubectl::Newest);
    let (mut command, _home) = python(&[&script("python/kubernetes_api.py")]);
    command.env("KUBECONFIG", bench.kubeconfig()).env("BOATYARD_HOME", bench.shell.path("boatyard-home"));
    // A kubeconfig may name a plugin that is looked for there.
    let programs = std::path::Path::new(boatyard::PATH).parent().expect("it lies in a folder");
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path = std::env::join_paths(std::iter::once(programs.to_owned()).chain(std::env::split_paths(&path)));
    command.env("PATH", path.expect("a search path"));
    let printed = run(&mut command).success();
    assert_eq!(printed.lines().filter(|l| l.starts_with("ok: ")).count(), 6, "{printed}");
}
