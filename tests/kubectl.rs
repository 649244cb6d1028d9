//! kubectl, unmodified: the newest that can be had and Debian's, which is many versions older.

use std::io::{BufRead as _, BufReader};
use std::sync::Arc;

use serde_json::json;

use crate::harness::boatyard::Shell;
use crate::harness::clients::Kubectl;
use crate::harness::http::{array, text};
use crate::harness::kubectl::Bench;
use crate::harness::{Request, Server, User, jwt};

/// What a small application consists of.
const APPLICATION: &str = include_str!("clients/kubectl/application.yaml");

/// The story of an application, as it is told with every kubectl.
fn application(bench: &Bench) {
    assert_eq!(bench.ok("get nodes --no-headers").lines().filter(|l| l.contains(" Ready ")).count(), 3);
    let applied = bench.apply(APPLICATION);
    for made in ["deployment.apps/web created", "service/web created", "ingress.networking.k8s.io/web created"] {
        assert!(applied.contains(made), "{applied}");
    }
    assert!(bench.ok("rollout status deployment/web --timeout=60s").contains("successfully rolled out"));
    let again = bench.apply(APPLICATION);
    assert!(again.lines().all(|line| line.ends_with("unchanged")), "{again}");

    let pods = bench.ok("get pods -o wide --no-headers -l app=web");
    assert_eq!(pods.lines().filter(|l| l.contains("1/1") && l.contains("Running") && l.contains("10.")).count(), 2, "{pods}");
    bench.ok("set image deployment/web web=nginx:1.29");
    assert!(bench.ok("rollout status deployment/web --timeout=60s").contains("successfully rolled out"));
    let history = bench.ok("rollout history deployment/web");
    assert!(history.lines().any(|line| line.starts_with('2')), "{history}");
    bench.ok("rollout undo deployment/web");
    bench.ok("rollout status deployment/web --timeout=60s");
    assert_eq!(text(&bench.json("get deployment web"), "/spec/template/spec/containers/0/image"), "nginx:1.28");
    bench.ok("scale deployment/web --replicas=5");
    bench.ok("wait --for=condition=Available deployment/web --timeout=60s");
    assert_eq!(array(&bench.json("get pods -l app=web")["items"]).len(), 5);
    assert_eq!(text(&bench.json("get pvc data"), "/status/phase"), "Bound");
    let described = bench.ok("describe deployment web");
    assert!(described.contains("ScalingReplicaSet"), "{described}");
    bench.ok(&format!("delete -f {}", bench.file(APPLICATION)));
    assert!(array(&bench.json("get pods")["items"]).is_empty());
}

#[test]
fn the_newest_kubectl_runs_an_application() {
    application(&Bench::new("kubectl-new", Kubectl::Newest));
}

#[test]
fn debians_kubectl_runs_an_application() {
    application(&Bench::new("kubectl-old", Kubectl::Debian));
}

#[test]
fn applications_are_applied_by_the_server_with_conflicts() {
    let bench = Bench::new("kubectl-apply", Kubectl::Newest);
    let map = |value: &str| {
        let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}, "data": {"color": value}});
        bench.file(&map.to_string())
    };
    let (blue, green) = (map("blue"), map("green"));
    let applied = bench.ok(&format!("apply --server-side --field-manager=one -f {blue}"));
    assert!(applied.contains("configmap/settings serverside-applied"), "{applied}");
    let conflict = bench.refused(&format!("apply --server-side --field-manager=two -f {green}"));
    assert!(conflict.contains("conflict with \"one\": .data.color"), "{conflict}");
    bench.ok(&format!("apply --server-side --field-manager=two --force-conflicts -f {green}"));
    assert_eq!(text(&bench.json("get configmap settings"), "/data/color"), "green");
    let diff = bench.run(&format!("diff --server-side --field-manager=two -f {blue} --force-conflicts"));
    assert_eq!(diff.status.code(), Some(1), "{diff:?}");
    assert!(diff.stdout.contains("+  color: blue"), "{diff:?}");
}

#[test]
fn objects_are_patched_in_each_form() {
    let bench = Bench::new("kubectl-patch", Kubectl::Newest);
    bench.apply(APPLICATION);
    bench.ok(r#"patch deployment web -p '{"spec":{"template":{"spec":{"containers":[{"name":"side","image":"busybox"}]}}}}'"#);
    bench.ok(r#"patch deployment web --type merge -p '{"metadata":{"labels":{"tier":"front"}}}'"#);
    bench.ok(r#"patch deployment web --type json -p '[{"op":"replace","path":"/spec/replicas","value":3}]'"#);
    bench.ok(r#"patch deployment web --subresource scale --type merge -p '{"spec":{"replicas":4}}'"#);
    let deployment = bench.json("get deployment web");
    assert_eq!(array(&deployment["spec"]["template"]["spec"]["containers"]).len(), 2);
    assert_eq!((text(&deployment, "/metadata/labels/tier"), &deployment["spec"]["replicas"]), ("front", &json!(4)));
    bench.ok("label deployment web tier-");
    bench.ok("annotate deployment web owner=me");
    bench.ok("set env deployment/web COLOR=blue");
    let refused = bench.refused(r#"patch deployment web -p '{"spec":{"selector":{"matchLabels":{"app":"other"}}}}'"#);
    assert!(refused.contains("field is immutable"), "{refused}");
}

#[test]
fn an_object_with_a_finalizer_waits_for_it() {
    let bench = Bench::new("kubectl-finalizer", Kubectl::Newest);
    let map = json!({"apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": "held", "finalizers": ["example.com/hold"]}});
    bench.apply(&map.to_string());
    bench.ok("delete configmap held --wait=false");
    assert!(!bench.json("get configmap held")["metadata"]["deletionTimestamp"].is_null());
    bench.ok(r#"patch configmap held --type merge -p '{"metadata":{"finalizers":null}}'"#);
    bench.ok("wait --for=delete configmap/held --timeout=30s");
    bench.ok("create namespace room");
    bench.ok("create configmap thing -n room --from-literal=a=b");
    bench.ok("delete namespace room");
    assert!(bench.refused("get namespace room").contains("not found"));
}

#[test]
fn a_node_is_drained() {
    let bench = Bench::new("kubectl-drain", Kubectl::Newest);
    bench.apply(APPLICATION);
    bench.ok("scale deployment/web --replicas=6");
    bench.ok("rollout status deployment/web --timeout=60s");
    let node = text(&bench.json("get pods -l app=web")["items"][0], "/spec/nodeName").to_owned();
    let drained = bench.ok(&format!("drain {node} --ignore-daemonsets --delete-emptydir-data --timeout=60s"));
    assert!(drained.contains("drained"), "{drained}");
    bench.ok("rollout status deployment/web --timeout=60s");
    let pods = bench.json("get pods -l app=web");
    assert!(array(&pods["items"]).iter().all(|pod| text(pod, "/spec/nodeName") != node), "{pods}");
    assert!(bench.ok(&format!("get node {node}")).contains("SchedulingDisabled"));
    bench.ok(&format!("uncordon {node}"));
}

#[test]
fn a_pod_that_fits_nowhere_says_why() {
    let bench = Bench::new("kubectl-pending", Kubectl::Newest);
    bench.ok("run large --image=nginx --overrides='{\"spec\":{\"containers\":[{\"name\":\"large\",\"image\":\"nginx\",\"resources\":{\"requests\":{\"cpu\":\"64\"}}}]}}'");
    let described = bench.ok("describe pod large");
    assert!(
        described.contains("FailedScheduling") && described.contains("0/3 nodes are available: 3 Insufficient cpu."),
        "{described}"
    );
    assert!(bench.ok("get pod large --no-headers").contains("Pending"));
}

#[test]
fn what_a_second_kubectl_does_is_seen_by_a_watch() {
    let bench = Bench::new("kubectl-watch", Kubectl::Newest);
    let mut watch = bench.spawn("get configmaps -w --no-headers");
    let mut lines = BufReader::new(watch.stdout.take().expect("its output is piped")).lines().map(|line| line.expect("text"));
    assert!(lines.next().expect("what is there").starts_with("kube-root-ca.crt"));
    bench.ok("create configmap news --from-literal=a=b");
    assert!(lines.next().expect("what came").starts_with("news"));
    watch.kill().expect("it can be ended");
    watch.wait().expect("it ends");
}

#[test]
fn resources_are_explained_and_unknown_fields_refused() {
    for which in [Kubectl::Newest, Kubectl::Debian] {
        let bench = Bench::new("kubectl-explain", which);
        let told = bench.ok("explain deployment.spec.strategy");
        assert!(told.contains("rollingUpdate"), "{told}");
        let wrong = APPLICATION.replace("replicas: 2", "replicaz: 2");
        let refused = bench.refused(&format!("apply -f {}", bench.file(&wrong)));
        assert!(refused.contains("unknown field") && refused.contains("replicaz"), "{refused}");
        assert!(bench.ok("api-resources").contains("deployments"));
        assert!(bench.ok("version").contains("1.36"));
    }
}

#[test]
fn custom_resources_are_used_like_others() {
    for which in [Kubectl::Newest, Kubectl::Debian] {
        let bench = Bench::new("kubectl-crd", which);
        bench.apply(include_str!("clients/kubectl/crontabs.yaml"));
        bench.ok("wait --for=condition=Established crd/crontabs.stable.example.com --timeout=30s");
        let tab = "apiVersion: stable.example.com/v1\nkind: CronTab\nmetadata: {name: mine}\nspec: {cronSpec: '* * * * 5', replicas: 2}\n";
        bench.apply(tab);
        assert!(bench.apply(tab).contains("unchanged"));
        let table = bench.ok("get ct");
        assert!(table.contains("SPEC") && table.contains("* * * * 5"), "{table}");
        bench.ok("scale ct/mine --replicas=3");
        assert_eq!(bench.json("get ct mine")["spec"]["replicas"], 3);
        let refused = bench.refused(&format!("apply -f {}", bench.file(&tab.replace("* * * * 5", "often"))));
        assert!(refused.contains("spec.cronSpec"), "{refused}");
        assert!(bench.ok("explain crontab.spec").contains("cronSpec"));
        bench.ok("delete crd crontabs.stable.example.com");
        bench.refused("get ct");
    }
}

/// An account whose owner is ada, with one user for each role.
fn team() -> String {
    let user = |role: &str| {
        let name = role.to_lowercase();
        format!(
            "      - username: {name}@example.com\n        given_name: {role}\n        family_name: Role\n        \
             api_keys: [{{ name: key, value: 'key-of-the-role-{name}-0001' }}]\n        \
             access: [{{ roles: [Viewer, {role}], service: containers-kubernetes }}]\n"
        )
    };
    let users: String = ["Viewer", "Editor", "Operator", "Administrator", "Reader", "Writer", "Manager"].map(user).concat();
    format!(
        "accounts:\n  - name: team\n    owner: {{ username: ada@example.com }}\n    \
         api_keys: [{{ name: owner, value: 'key-of-the-owner-of-the-team' }}]\n    users:\n{users}"
    )
}

#[test]
fn each_role_of_iam_may_do_in_the_cluster_what_is_documented() {
    let folder = Shell::new();
    let file = folder.path("team.yaml");
    std::fs::write(&file, team()).unwrap();
    let server = Arc::new(Server::builder().env("BOATYARD_FIXTURE", file.to_str().unwrap()).start());
    let owner = User { apikey: "key-of-the-owner-of-the-team".to_owned(), ..server.administrator.clone() };
    let bench = Bench::of(server, owner, Kubectl::Newest, "1.36");
    let questions = ["list pods", "create deployments", "delete nodes", "get secrets", "create rolebindings", "'*' '*'"];
    let answers = [
        ("viewer", "no no no no no no"),
        ("editor", "no no no no no no"),
        ("operator", "no no no no no no"),
        ("administrator", "yes yes yes yes yes yes"),
        ("reader", "yes no no no no no"),
        ("writer", "yes yes no yes no no"),
        ("manager", "yes yes yes yes yes yes"),
    ];
    for (role, expected) in answers {
        let shell = bench.as_user(&format!("key-of-the-role-{role}-0001"));
        let answer = |question: &&str| bench.run_in(&shell, &format!("auth can-i {question}")).stdout.trim().to_owned();
        assert_eq!(questions.iter().map(answer).collect::<Vec<_>>().join(" "), expected, "{role}");
        let pods = bench.run_in(&shell, "get pods");
        assert_eq!(pods.status.success(), expected.starts_with("yes"), "{role}: {pods:?}");
        if !pods.status.success() {
            let name = format!("User \"IAM#{role}@example.com\" cannot list resource \"pods\" in API group \"\"");
            assert!(pods.stderr.contains(&name), "{pods:?}");
        }
    }
}

#[test]
fn kubectl_renews_an_expired_token_until_its_session_is_revoked() {
    // Debian's crashes when it writes a kubeconfig: the library that it does this with does not suit the Go it was built by.
    let bench = Bench::on(Arc::new(Server::start()), "kubectl-expired", Kubectl::Newest, "1.36");
    let file = bench.kubeconfig();
    let member = |text: &str, name: &str| {
        let line = text.lines().find(|line| line.trim_start().starts_with(&format!("{name}:"))).unwrap().to_owned();
        line.split_once(": ").unwrap().1.trim_matches('"').to_owned()
    };
    bench.server.administrate(
        Request::post("/_boatyard/scenarios")
            .json(&json!({ "name": "kubeconfig-expired", "cluster": bench.cluster_id, "times": 1 })),
    );
    bench.shell.ok(["cluster", "config", "-q", "--cluster", "mine"]);
    let expired = member(&std::fs::read_to_string(&file).unwrap(), "id-token");
    let ended = jwt::claims(&expired)["exp"].as_i64().unwrap();
    assert!(ended < jiff::Timestamp::now().as_second(), "the ID token is past its time");
    assert_eq!(bench.ok("get nodes --no-headers").lines().count(), 3);
    let renewed = std::fs::read_to_string(&file).unwrap();
    assert_ne!(member(&renewed, "id-token"), expired, "the new token is written where the old one was");

    let refresh = member(&renewed, "refresh-token");
    bench.server.send(Request::post("/identity/revoke").form(&[("token", &refresh)])).expect(200);
    let refused = bench.refused("get nodes");
    assert!(refused.contains("Unauthorized") || refused.contains("logged in"), "{refused}");
}

#[test]
fn kubectl_goes_on_when_the_clock_is_moved() {
    let bench = Bench::on(Arc::new(Server::start()), "kubectl-clock", Kubectl::Newest, "1.36");
    bench.shell.ok(["cluster", "config", "-q", "--exec", "--cluster", "mine"]);
    // The plugin is found as users have it: on the path.
    let programs = std::path::Path::new(crate::harness::boatyard::PATH).parent().unwrap();
    let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap());
    let nodes = || crate::harness::clients::run(bench.command("get nodes --no-headers").env("PATH", &path));
    assert_eq!(nodes().success().lines().count(), 3);
    bench.server.advance_clock(25 * 60);
    assert_eq!(nodes().success().lines().count(), 3);
    bench.shell.ok(["logout"]);
    let refused = nodes().failure();
    assert!(refused.contains("boatyard login"), "{refused}");
}
