//! Archives and kubeconfigs that the server answers.

use std::collections::BTreeMap;
use std::io::{Cursor, Read as _};

use serde_json::Value;

/// Names and texts of the files in a zip archive.
#[track_caller]
pub fn unpacked(body: &[u8]) -> BTreeMap<String, String> {
    let mut archive = zip::ZipArchive::new(Cursor::new(body)).expect("a zip archive");
    let mut files = BTreeMap::new();
    for index in 0..archive.len() {
        let mut file = archive.by_index(index).expect("an entry");
        if file.is_file() {
            let mut text = String::new();
            file.read_to_string(&mut text).expect("a text file");
            files.insert(file.name().expect("a name").to_string(), text);
        }
    }
    files
}

/// A kubeconfig for a person, after checking what clients read of it. The cluster and its context are called `<name>/<ID>`.
#[track_caller]
pub fn kubeconfig(yaml: &str, name: &str, id: &str) -> Value {
    let config: Value = yaml_serde::from_str(yaml).unwrap_or_else(|e| panic!("not YAML ({e}): {yaml}"));
    let at = |pointer: &str| config.pointer(pointer).and_then(Value::as_str).unwrap_or_else(|| panic!("{pointer} in {yaml}"));
    let called = format!("{name}/{id}");
    assert_eq!((at("/apiVersion"), at("/kind"), at("/current-context")), ("v1", "Config", &*called));
    assert_eq!(
        (at("/clusters/0/name"), at("/contexts/0/name"), at("/contexts/0/context/cluster")),
        (&*called, &*called, &*called)
    );
    assert_eq!(at("/contexts/0/context/namespace"), "default");
    assert_eq!(at("/contexts/0/context/user"), at("/users/0/name"));
    assert!(at("/users/0/name").ends_with("/iam.cloud.ibm.com-identity"), "{yaml}");
    assert!(at("/clusters/0/cluster/server").starts_with("https://"), "{yaml}");
    let provider = "/users/0/user/auth-provider";
    let entry = |key: &str| at(&format!("{provider}/config/{key}"));
    assert_eq!(at(&format!("{provider}/name")), "oidc");
    assert_eq!((entry("client-id"), entry("client-secret")), ("kube", "kube"));
    assert!(entry("idp-issuer-url").starts_with("https://") && entry("id-token").matches('.').count() == 2, "{yaml}");
    // Clients write their own into it; it must be there, if empty.
    entry("refresh-token");
    config
}
