use serde_json::json;

use super::*;
use crate::defaults;
use crate::object::Key;
use crate::resources::find;
use crate::state::State;

fn txn(objects: &[(&str, &str, &str, Value)]) -> Txn {
    let mut txn = Txn::new(State::default(), "2026-01-01T00:00:00Z".parse().unwrap());
    txn.put(Key::new("namespaces", "", "n"), json!({"status": {"phase": "Active"}}));
    txn.put(Key::new("serviceaccounts", "n", "default"), json!({"imagePullSecrets": [{"name": "all-icr-io"}]}));
    for (resource, namespace, name, value) in objects {
        txn.put(Key::new(resource, namespace, name), value.clone());
    }
    txn
}

fn admitted(txn: &Txn, group: &str, plural: &str, old: Option<&Value>, new: Value) -> Result<Value, Status> {
    let world = World { service_subnet: "172.21.0.0/16".to_owned(), ..World::default() };
    let resource = find(group, "v1", plural).unwrap();
    let mut new = new;
    defaults::apply(&mut new, resource);
    admit(txn, &world, &User::anonymous(), resource, "", old, &mut new)?;
    Ok(new)
}

fn pod(spec: Value) -> Value {
    let mut pod = json!({"metadata": {"name": "p", "namespace": "n"}, "spec": {"containers": [{"name": "c", "image": "i"}]}});
    for (name, value) in spec.as_object().unwrap() {
        pod["spec"][name] = value.clone();
    }
    pod
}

fn service(spec: Value) -> Value {
    json!({"metadata": {"name": "s", "namespace": "n"}, "spec": spec})
}

#[test]
fn objects_are_made_in_namespaces_that_are_there_and_stay() {
    let txn = txn(&[("namespaces", "", "old", json!({"status": {"phase": "Terminating"}}))]);
    let in_namespace =
        |name: &str| admitted(&txn, "", "configmaps", None, json!({"metadata": {"name": "c", "namespace": name}}));
    assert!(in_namespace("n").is_ok());
    let missing = in_namespace("x").unwrap_err();
    assert_eq!((missing.code, missing.message.as_str()), (404, "namespaces \"x\" not found"));
    let ending = in_namespace("old").unwrap_err();
    assert_eq!(
        ending.message,
        "configmaps \"c\" is forbidden: unable to create new content in namespace old because it is being terminated"
    );
    assert_eq!(ending.details.unwrap().causes[0].reason, "NamespaceTerminating");
    let namespace = admitted(&txn, "", "namespaces", None, json!({"metadata": {"name": "m"}})).unwrap();
    assert_eq!(namespace["spec"]["finalizers"], json!(["kubernetes"]));
    assert!(deletable(find("", "v1", "namespaces").unwrap(), "kube-system").is_err());
    assert!(deletable(find("", "v1", "namespaces").unwrap(), "n").is_ok());
}

#[test]
fn pods_get_an_account_with_its_token_tolerations_and_a_priority() {
    let txn = txn(&[
        ("priorityclasses.scheduling.k8s.io", "", "high", json!({"value": 1000, "preemptionPolicy": "Never"})),
        ("serviceaccounts", "n", "quiet", json!({"automountServiceAccountToken": false})),
    ]);
    let given = admitted(&txn, "", "pods", None, pod(json!({}))).unwrap();
    let spec = &given["spec"];
    assert_eq!((&spec["serviceAccountName"], &spec["serviceAccount"]), (&json!("default"), &json!("default")));
    assert_eq!(spec["imagePullSecrets"], json!([{"name": "all-icr-io"}]));
    let volume = spec["volumes"][0]["name"].as_str().unwrap();
    assert!(volume.starts_with("kube-api-access-") && volume.len() == 21, "{volume}");
    assert_eq!(
        spec["containers"][0]["volumeMounts"][0],
        json!({
            "name": volume, "readOnly": true, "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount",
        })
    );
    assert_eq!(
        spec["tolerations"][0],
        json!({
            "key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300,
        })
    );
    assert_eq!((&spec["priority"], &spec["preemptionPolicy"]), (&json!(0), &json!("PreemptLowerPriority")));
    assert_eq!(given["status"], json!({"phase": "Pending", "qosClass": "BestEffort"}));
    let high =
        admitted(&txn, "", "pods", None, pod(json!({"priorityClassName": "high", "serviceAccountName": "quiet"}))).unwrap();
    assert_eq!((&high["spec"]["priority"], &high["spec"]["preemptionPolicy"]), (&json!(1000), &json!("Never")));
    assert!(high["spec"].get("volumes").is_none());
    let refused = |spec| admitted(&txn, "", "pods", None, pod(spec)).unwrap_err().message;
    assert_eq!(
        refused(json!({"serviceAccountName": "x"})),
        "pods \"p\" is forbidden: error looking up service account n/x: serviceaccount \"x\" not found"
    );
    assert_eq!(refused(json!({"priorityClassName": "x"})), "pods \"p\" is forbidden: no PriorityClass with name x was found");
}

#[test]
fn services_get_an_address_that_nobody_has() {
    let txn = txn(&[("services", "n", "other", json!({"spec": {"clusterIP": "172.21.5.5", "ports": [{"nodePort": 30_001}]}}))]);
    let of = |spec| admitted(&txn, "", "services", None, service(spec));
    let given = of(json!({"ports": [{"port": 80}]})).unwrap();
    let address = given["spec"]["clusterIP"].as_str().unwrap();
    assert!(address.starts_with("172.21."), "{address}");
    assert_eq!(given["spec"]["clusterIPs"], json!([address]));
    assert_eq!((&given["spec"]["ipFamilies"], &given["spec"]["ipFamilyPolicy"]), (&json!(["IPv4"]), &json!("SingleStack")));
    assert!(given["spec"]["ports"][0].get("nodePort").is_none());
    assert_eq!(of(json!({"clusterIP": "None"})).unwrap()["spec"]["clusterIPs"], json!(["None"]));
    assert!(of(json!({"type": "ExternalName", "externalName": "a.b"})).unwrap()["spec"].get("clusterIP").is_none());
    assert_eq!(of(json!({"clusterIP": "172.21.0.99"})).unwrap()["spec"]["clusterIP"], "172.21.0.99");
    let refused = |spec| of(spec).unwrap_err().details.unwrap().causes[0].message.clone();
    assert_eq!(
        refused(json!({"clusterIP": "172.21.5.5"})),
        "Invalid value: [\"172.21.5.5\"]: failed to allocate IP 172.21.5.5: provided IP is already allocated"
    );
    assert!(
        refused(json!({"clusterIP": "10.0.0.1"}))
            .ends_with("is not in the valid range. The range of valid IPs is 172.21.0.0/16")
    );
    assert!(refused(json!({"clusterIP": "172.21.0.1"})).ends_with("provided IP is already allocated"));
}

#[test]
fn node_ports_are_given_kept_and_taken_back() {
    let txn = txn(&[("services", "n", "other", json!({"spec": {"ports": [{"nodePort": 30_001}]}}))]);
    let of = |old: Option<&Value>, spec| admitted(&txn, "", "services", old, service(spec));
    let given = of(None, json!({"type": "LoadBalancer", "externalTrafficPolicy": "Local", "ports": [{"port": 80}, {"port": 81, "nodePort": 30_100}]})).unwrap();
    let port = given["spec"]["ports"][0]["nodePort"].as_i64().unwrap();
    assert!((30_000..32_768).contains(&port) && given["spec"]["healthCheckNodePort"].is_number());
    let kept =
        of(Some(&given), json!({"type": "LoadBalancer", "externalTrafficPolicy": "Local", "ports": [{"port": 80}]})).unwrap();
    assert_eq!(kept["spec"]["ports"][0]["nodePort"], port);
    assert_eq!(kept["spec"]["clusterIP"], given["spec"]["clusterIP"]);
    assert_eq!(kept["spec"]["healthCheckNodePort"], given["spec"]["healthCheckNodePort"]);
    let mut plain = given.clone();
    plain["spec"]["type"] = json!("ClusterIP");
    let plain = of(Some(&given), plain["spec"].clone()).unwrap();
    assert_eq!(plain["spec"]["ports"][0].get("nodePort"), None);
    assert_eq!(plain["spec"].get("externalTrafficPolicy"), None);
    let refused =
        |port: u32| of(None, json!({"type": "NodePort", "ports": [{"port": 80, "nodePort": port}]})).unwrap_err().message;
    assert!(refused(30_001).ends_with("spec.ports[0].nodePort: Invalid value: 30001: provided port is already allocated"));
    assert!(refused(80).ends_with("provided port is not in the valid range. The range of valid ports is 30000-32767"));
}

#[test]
fn limits_and_quotas_of_a_namespace_hold() {
    let txn = txn(&[
        (
            "limitranges",
            "n",
            "l",
            json!({"spec": {"limits": [{
            "type": "Container", "default": {"cpu": "500m"}, "defaultRequest": {"cpu": "250m"}, "max": {"cpu": "1"}}]}}),
        ),
        ("resourcequotas", "n", "q", json!({"spec": {"hard": {"pods": "2", "requests.cpu": "1", "configmaps": "0"}}})),
        ("pods", "n", "a", json!({"spec": {"containers": [{"resources": {"requests": {"cpu": "800m"}}}]}})),
        ("pods", "n", "done", json!({"status": {"phase": "Succeeded"}})),
    ]);
    let asks = |cpu: &str| {
        admitted(
            &txn,
            "",
            "pods",
            None,
            pod(
                json!({"containers": [{"name": "c", "image": "i", "resources": {"requests": {"cpu": cpu}, "limits": {"cpu": cpu}}}]}),
            ),
        )
    };
    assert!(asks("200m").is_ok());
    assert_eq!(asks("2").unwrap_err().message, "pods \"p\" is forbidden: maximum cpu usage per Container is 1, but limit is 2");
    let refused = admitted(&txn, "", "pods", None, pod(json!({}))).unwrap_err();
    assert_eq!(
        refused.message,
        "pods \"p\" is forbidden: exceeded quota: q, requested: requests.cpu=250m, used: requests.cpu=800m, limited: requests.cpu=1"
    );
    let map = admitted(&txn, "", "configmaps", None, json!({"metadata": {"name": "c", "namespace": "n"}})).unwrap_err();
    assert_eq!(
        map.message,
        "configmaps \"c\" is forbidden: exceeded quota: q, requested: configmaps=1, used: configmaps=0, limited: configmaps=0"
    );
    assert_eq!(usage(txn.state(), "n", &["pods"], |_| true)["pods"], crate::quantity::Quantity::whole(1));
}

#[test]
fn claims_get_the_default_class_and_jobs_a_selector() {
    let default = json!({"metadata": {"annotations": {"storageclass.kubernetes.io/is-default-class": "true"}}});
    let public = json!({"metadata": {"annotations": {"ingressclass.kubernetes.io/is-default-class": "true"}}});
    let txn = txn(&[
        ("ingressclasses.networking.k8s.io", "", "public", public),
        ("storageclasses.storage.k8s.io", "", "gold", default),
        ("storageclasses.storage.k8s.io", "", "a", json!({})),
    ]);
    let claim = |spec| {
        admitted(&txn, "", "persistentvolumeclaims", None, json!({"metadata": {"name": "c", "namespace": "n"}, "spec": spec}))
            .unwrap()
    };
    assert_eq!(claim(json!({}))["spec"]["storageClassName"], "gold");
    assert_eq!(claim(json!({"storageClassName": ""}))["spec"]["storageClassName"], "");
    let ingress = json!({"metadata": {"name": "i", "namespace": "n"}});
    let ingress = admitted(&txn, "networking.k8s.io", "ingresses", None, ingress).unwrap();
    assert_eq!(ingress["spec"]["ingressClassName"], "public");
    let job =
        admitted(&txn, "batch", "jobs", None, json!({"metadata": {"name": "j", "namespace": "n"}, "spec": {"template": {}}}))
            .unwrap();
    let labels = &job["spec"]["template"]["metadata"]["labels"];
    assert_eq!(labels["batch.kubernetes.io/job-name"], "j");
    assert_eq!(labels["controller-uid"], job["metadata"]["uid"]);
    assert_eq!(job["spec"]["selector"]["matchLabels"]["batch.kubernetes.io/controller-uid"], job["metadata"]["uid"]);
}
