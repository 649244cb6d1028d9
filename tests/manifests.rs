//! Manifests as their projects publish them, of the size that they have: applied, used and removed with kubectl.

use std::path::Path;

use crate::harness::boatyard::{self, Shell};
use crate::harness::clients::{Kubectl, go_module, kubectl, run};
use crate::harness::http::{array, text};
use crate::harness::kubectl::Bench;

/// Counts the lines of what kubectl printed that end so.
fn ending(printed: &str, end: &str) -> usize {
    printed.lines().filter(|line| line.ends_with(end)).count()
}

const CERTIFICATE: &str = "
apiVersion: cert-manager.io/v1
kind: Issuer
metadata: {name: own}
spec: {selfSigned: {}}
---
apiVersion: cert-manager.io/v1
kind: Certificate
metadata: {name: shop}
spec:
  secretName: shop-tls
  dnsNames: [shop.example.com]
  privateKey: {algorithm: ECDSA, size: 256}
  issuerRef: {name: own}
";

#[test]
fn cert_managers_definitions_are_applied_used_and_removed() {
    let (version, sum) = ("v1.21.2", "h1:UWgoYM+KLNtRlqmoWOKjKBOBUPVHeepQ6/ac3ERJW68=");
    let definitions = go_module("github.com/cert-manager/cert-manager", version, sum, "deploy/crds");
    let definitions = definitions.to_str().expect("text");
    for which in [Kubectl::Newest, Kubectl::Debian] {
        let bench = Bench::new(&format!("cert-manager-{which:?}").to_lowercase(), which);
        let applied = bench.ok(&format!("apply --server-side -f {definitions}"));
        assert_eq!(ending(&applied, "serverside-applied"), 6, "{applied}");
        bench.ok("wait --for=condition=Established crd --all --timeout=60s");
        let resources = bench.ok("api-resources --api-group=cert-manager.io -o name");
        assert_eq!(resources.lines().count(), 4, "{resources}");

        bench.apply(CERTIFICATE);
        assert!(bench.apply(CERTIFICATE).lines().all(|line| line.ends_with("unchanged")));
        let table = bench.ok("get certs");
        assert!(table.lines().next().is_some_and(|head| head.contains("READY") && head.contains("SECRET")), "{table}");
        assert!(table.contains("shop-tls"), "{table}");
        let all = bench.ok("get cert-manager -o name");
        assert!(all.contains("certificate.cert-manager.io/shop") && all.contains("issuer.cert-manager.io/own"), "{all}");
        assert!(bench.ok("explain certificate.spec.privateKey.algorithm").contains("ECDSA"));
        let wrong = CERTIFICATE.replace("ECDSA", "ROT13").replace("secretName: shop-tls", "usages: [signing]");
        let refused = bench.refused(&format!("apply -f {}", bench.file(&wrong.replace("name: shop", "name: wrong"))));
        match which {
            Kubectl::Newest => {
                for complaint in ["spec.secretName: Required value", "spec.privateKey.algorithm: Unsupported value: \"ROT13\""]
                {
                    assert!(refused.contains(complaint), "{refused}");
                }
            }
            // It validates by itself, with the documents that the server publishes.
            Kubectl::Debian => assert!(refused.contains("missing required field \"secretName\""), "{refused}"),
        }
        // The older one has no option for subresources.
        if which == Kubectl::Newest {
            let ready = r#"{"status":{"conditions":[{"type":"Ready","status":"True","reason":"Issued"}]}}"#;
            bench.ok(&format!("patch certificate shop --subresource=status --type=merge -p {ready}"));
            bench.ok("wait --for=condition=Ready certificate/shop --timeout=30s");
            let of_issuer = bench.ok("get certificates --field-selector spec.issuerRef.name=own -o name");
            assert_eq!(of_issuer.trim(), "certificate.cert-manager.io/shop");
        }

        let deleted = bench.ok(&format!("delete -f {definitions} --timeout=60s"));
        assert_eq!(deleted.lines().filter(|line| line.contains(" deleted")).count(), 6, "{deleted}");
        bench.refused("get certificates");
    }
}

const APPLICATION: &str = "
apiVersion: argoproj.io/v1alpha1
kind: Application
metadata: {name: guestbook, namespace: argocd, finalizers: [resources-finalizer.argocd.argoproj.io]}
spec:
  project: default
  source: {repoURL: 'https://github.com/argoproj/argocd-example-apps.git', targetRevision: HEAD, path: guestbook}
  destination: {server: 'https://kubernetes.default.svc', namespace: default}
";

#[test]
fn argo_cd_is_installed_from_its_manifest_and_removed() {
    let (version, sum) = ("v3.5.7", "h1:Xm1BF+I5OgDKUG3SDK49vn2/Y5AMyaNVko+/JT08gj0=");
    let manifests = go_module("github.com/argoproj/argo-cd/v3", version, sum, "manifests");
    let install = manifests.join("install.yaml");
    let published = std::fs::read_to_string(&install).expect("it is there").split("\n---\n").count();
    let install = install.to_str().expect("text");
    let bench = Bench::new("argo-cd", Kubectl::Newest);
    bench.ok("create namespace argocd");
    // A container that starts before the others makes it; here none does anything.
    bench.ok("create secret generic argocd-redis -n argocd --from-literal=auth=secret");
    let applied = bench.ok(&format!("apply -n argocd --server-side -f {install}"));
    assert_eq!(ending(&applied, "serverside-applied"), published, "{applied}");
    for what in ["deployment/argocd-server", "deployment/argocd-repo-server", "statefulset/argocd-application-controller"] {
        bench.ok(&format!("rollout status -n argocd {what} --timeout=120s"));
    }
    let pods = bench.json("get pods -n argocd");
    assert_eq!(array(&pods["items"]).len(), 7);
    assert!(array(&pods["items"]).iter().all(|pod| text(pod, "/status/phase") == "Running"), "{pods}");
    let again = bench.ok(&format!("apply -n argocd --server-side -f {install}"));
    assert_eq!(ending(&again, "serverside-applied"), published, "{again}");
    assert!(bench.ok(&format!("diff -n argocd --server-side -f {install}")).is_empty(), "nothing is different");
    assert!(bench.ok("auth can-i delete pods -n argocd --as=system:serviceaccount:argocd:argocd-server").contains("yes"));

    bench.ok("wait --for=condition=Established crd/applications.argoproj.io --timeout=60s");
    bench.apply(APPLICATION);
    let table = bench.ok("get applications -n argocd");
    assert!(table.contains("SYNC STATUS") && table.contains("guestbook"), "{table}");
    let wrong = APPLICATION.replace("project: default", "sources: {}").replace("guestbook, n", "wrong, n");
    let refused = bench.refused(&format!("apply -f {}", bench.file(&wrong)));
    assert!(refused.contains("spec.project: Required value"), "{refused}");
    too_large_for_an_annotation(&bench, &manifests);

    // The controller that would let go of it is not one of a virtual cluster.
    bench.ok("delete application guestbook -n argocd --wait=false");
    assert!(!bench.json("get application guestbook -n argocd")["metadata"]["deletionTimestamp"].is_null());
    bench.ok(r#"patch application guestbook -n argocd --type=merge -p {"metadata":{"finalizers":null}}"#);
    bench.ok("wait --for=delete application/guestbook -n argocd --timeout=30s");
    let deleted = bench.ok(&format!("delete -n argocd -f {install} --timeout=120s"));
    assert_eq!(deleted.lines().filter(|line| line.contains(" deleted")).count(), published, "{deleted}");
    bench.ok("wait --for=delete pod --all -n argocd --timeout=60s");
    assert!(bench.ok("get all -n argocd -o name").is_empty());
    assert!(bench.ok("get crd -o name").is_empty());
    bench.ok("delete namespace argocd --timeout=60s");
}

#[test]
fn the_example_of_a_ci_job_checks_manifests() {
    let shell = Shell::new();
    let manifests = shell.path("application.yaml");
    std::fs::write(&manifests, include_str!("clients/kubectl/application.yaml")).unwrap();
    let programs =
        [Path::new(boatyard::PATH), kubectl(Kubectl::Newest)].map(|program| program.parent().expect("a folder").to_owned());
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path = std::env::join_paths(programs.into_iter().chain(std::env::split_paths(&path))).unwrap();
    let script = boatyard::repository().join("examples/kubernetes/ci.sh");
    let mut command = shell.other("bash", [script.as_os_str(), manifests.as_os_str(), "checked".as_ref()]);
    let printed = run(command.env("PATH", path)).success();
    assert!(printed.contains("deployment \"web\" successfully rolled out"), "{printed}");
    assert!(printed.lines().any(|line| line.starts_with("service \"web\" deleted")), "{printed}");
}

/// The client's way to apply keeps the whole document in an annotation, which has a limit.
fn too_large_for_an_annotation(bench: &Bench, manifests: &Path) {
    let definition = manifests.join("crds/applicationset-crd.yaml");
    let refused = bench.refused(&format!("apply -f {}", definition.display()));
    assert!(refused.contains("metadata.annotations: Too long"), "{refused}");
}
