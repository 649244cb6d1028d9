//! kubeconfig files: putting one cluster's into the user's own without losing anything of it.

use std::fs::{self, OpenOptions};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use std::{env, thread};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use boatyard_sdk::write_private;
use yaml_serde::{Mapping, Value};

use crate::failure::Failure;

/// Lists of a kubeconfig whose entries are known by their `name`.
const LISTS: [&str; 3] = ["clusters", "contexts", "users"];
/// kubectl holds the lock for milliseconds.
const LOCK_PATIENCE: Duration = Duration::from_secs(3);

/// The first file of `$KUBECONFIG`, else `~/.kube/config`.
pub fn default_path() -> Result<PathBuf, Failure> {
    let named = env::var_os("KUBECONFIG").unwrap_or_default();
    let first = env::split_paths(&named).find(|p| !p.as_os_str().is_empty());
    first.or_else(|| env::home_dir().map(|home| home.join(".kube/config"))).ok_or_else(|| {
        Failure::new("There is no home directory for a kubeconfig.", "Set KUBECONFIG to a file, or give `--output yaml`.")
    })
}

/// Merges `new` into a file and makes its context the current one, whose name is returned.
pub fn merge_into(path: &Path, new: &Value) -> Result<String, Failure> {
    // A kubeconfig is often a link into a repository of dotfiles; the link must stay one.
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let parent = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(parent).map_err(|e| Failure::file("create", parent, &e))?;
    let _lock = Lock::take(&path)?;
    let old = match fs::read_to_string(&path) {
        Ok(text) => parse(&text, &path)?,
        Err(e) if e.kind() == ErrorKind::NotFound => Value::Null,
        Err(e) => return Err(Failure::file("read", &path, &e)),
    };
    let merged = merge(old, new);
    write_private(&path, text(&merged)?.as_bytes()).map_err(|e| Failure::file("write", &path, &e))?;
    Ok(merged["current-context"].as_str().unwrap_or_default().to_owned())
}

pub fn text(config: &Value) -> Result<String, Failure> {
    yaml_serde::to_string(config)
        .map_err(|e| Failure::new(format!("The kubeconfig cannot be written as YAML: {e}"), "Try `--output zip`."))
}

fn parse(text: &str, path: &Path) -> Result<Value, Failure> {
    let foreign = |reason: String| {
        Failure::new(
            format!("{} is not a kubeconfig, so it is left as it is: {reason}", path.display()),
            "Repair it, or set KUBECONFIG to another file.",
        )
    };
    match yaml_serde::from_str(text).map_err(|e| foreign(e.to_string()))? {
        value @ (Value::Null | Value::Mapping(_)) => Ok(value),
        _ => Err(foreign("it has no members".to_owned())),
    }
}

/// Where a kubeconfig's current context leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Current {
    pub context: String,
    pub server: String,
    pub token: Option<String>,
    /// PEM of the authority that the server is checked against, or the file that holds it.
    pub ca: Option<Vec<u8>>,
    pub ca_file: Option<PathBuf>,
}

/// The current context of a file; none if there is no file, or none is chosen in it.
pub fn current(path: &Path) -> Result<Option<Current>, Failure> {
    let config = match fs::read_to_string(path) {
        Ok(text) => parse(&text, path)?,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(Failure::file("read", path, &e)),
    };
    Ok(current_of(&config, path))
}

fn current_of(config: &Value, path: &Path) -> Option<Current> {
    let name = config["current-context"].as_str()?;
    let named = |list: &str, name: &str| {
        config[list].as_sequence().into_iter().flatten().find(|entry| entry["name"].as_str() == Some(name)).cloned()
    };
    let context = named("contexts", name)?;
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let cluster = named("clusters", context["context"]["cluster"].as_str()?)?;
    let user = context["context"]["user"].as_str().and_then(|user| named("users", user)).unwrap_or_default();
    let cluster = &cluster["cluster"];
    let folder = path.parent().unwrap_or(Path::new("."));
    Some(Current {
        context: name.to_owned(),
        server: text(&cluster["server"])?,
        token: text(&user["user"]["token"]),
        ca: cluster["certificate-authority-data"].as_str().and_then(|data| STANDARD.decode(data).ok()),
        // Relative paths are meant from where the file is.
        ca_file: cluster["certificate-authority"].as_str().map(|file| folder.join(file)),
    })
}

/// Takes a token out of all users of a file that have it.
pub fn forget_token(path: &Path, token: &str) -> Result<(), Failure> {
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let _lock = Lock::take(&path)?;
    let text = fs::read_to_string(&path).map_err(|e| Failure::file("read", &path, &e))?;
    let mut config = parse(&text, &path)?;
    for user in config.get_mut("users").and_then(Value::as_sequence_mut).into_iter().flatten() {
        let Some(fields) = user.get_mut("user").and_then(Value::as_mapping_mut) else { continue };
        if fields.get("token").and_then(Value::as_str) == Some(token) {
            fields.remove("token");
        }
    }
    write_private(&path, self::text(&config)?.as_bytes()).map_err(|e| Failure::file("write", &path, &e))
}

/// Entries of `new` replace those of the same name; everything else of `old` stays, known to us or not.
fn merge(old: Value, new: &Value) -> Value {
    let mut merged = match old {
        Value::Mapping(members) => members,
        _ => Mapping::new(),
    };
    for (key, default) in [("apiVersion", "v1"), ("kind", "Config")] {
        merged.entry(key.into()).or_insert_with(|| default.into());
    }
    for list in LISTS {
        let known = merged.entry(list.into()).or_insert(Value::Null);
        if !known.is_sequence() {
            *known = Value::Sequence(Vec::new());
        }
        let (Some(known), Some(added)) = (known.as_sequence_mut(), new[list].as_sequence()) else { continue };
        for entry in added {
            match known.iter_mut().find(|e| e["name"] == entry["name"]) {
                Some(same) => *same = entry.clone(),
                None => known.push(entry.clone()),
            }
        }
    }
    let current = new["current-context"].as_str().or_else(|| new["contexts"][0]["name"].as_str());
    if let Some(current) = current {
        merged.insert("current-context".into(), current.into());
    }
    Value::Mapping(merged)
}

/// Replaces names of files by their contents, so that the kubeconfig works from any place.
pub fn embed_files(config: &mut Value, files: &[(String, Vec<u8>)]) {
    for (list, member) in [("clusters", "cluster"), ("users", "user")] {
        for entry in config.get_mut(list).and_then(Value::as_sequence_mut).into_iter().flatten() {
            let Some(fields) = entry.get_mut(member).and_then(Value::as_mapping_mut) else { continue };
            for field in ["certificate-authority", "client-certificate", "client-key"] {
                let named = fields.get(field).and_then(Value::as_str).map(file_name);
                let Some((_, contents)) = files.iter().find(|(name, _)| Some(file_name(name)) == named) else { continue };
                fields.remove(field);
                fields.insert(format!("{field}-data").into(), STANDARD.encode(contents).into());
            }
        }
    }
}

/// Whether a user of this kubeconfig logs in by token and has nothing to get another one with.
pub fn lacks_refresh_token(config: &Value) -> bool {
    let users = config["users"].as_sequence().into_iter().flatten();
    users.map(provider_config).any(|c| c.is_mapping() && c["refresh-token"].as_str().is_none_or(str::is_empty))
}

pub fn set_refresh_token(config: &mut Value, token: &str) {
    for user in config.get_mut("users").and_then(Value::as_sequence_mut).into_iter().flatten() {
        if let Some(Value::Mapping(fields)) =
            user.get_mut("user").and_then(|u| u.get_mut("auth-provider")).and_then(|p| p.get_mut("config"))
        {
            fields.insert("refresh-token".into(), token.into());
        }
    }
}

/// Has users get their tokens from the program that `exec` says, which is given the ID of the cluster.
pub fn set_exec(config: &mut Value, exec: impl Fn(&str) -> serde_json::Value) {
    // `<name>/<ID>`; neither has a slash in it.
    let cluster = config["clusters"][0]["name"].as_str().unwrap_or_default();
    let id = cluster.rsplit('/').next().unwrap_or_default().to_owned();
    for user in config.get_mut("users").and_then(Value::as_sequence_mut).into_iter().flatten() {
        if let (Some(fields), Ok(exec)) = (user.as_mapping_mut(), yaml_serde::to_value(exec(&id))) {
            fields.insert("user".into(), exec);
        }
    }
}

fn provider_config(user: &Value) -> &Value {
    &user["user"]["auth-provider"]["config"]
}

fn file_name(path: &str) -> &str {
    path.rsplit(['/', '\\']).next().unwrap_or(path)
}

/// The lock that kubectl takes: a file beside the kubeconfig that must not exist yet.
struct Lock(PathBuf);

impl Lock {
    fn take(config: &Path) -> Result<Self, Failure> {
        let mut name = config.file_name().unwrap_or_default().to_owned();
        name.push(".lock");
        let path = config.with_file_name(name);
        let start = Instant::now();
        loop {
            match OpenOptions::new().write(true).create_new(true).open(&path) {
                Ok(_) => return Ok(Self(path)),
                Err(e) if e.kind() == ErrorKind::AlreadyExists && start.elapsed() < LOCK_PATIENCE => {
                    thread::sleep(Duration::from_millis(20));
                }
                Err(e) if e.kind() == ErrorKind::AlreadyExists => {
                    return Err(Failure::new(
                        format!("Another program is changing {}.", config.display()),
                        format!("If there is none, remove {} and try again.", path.display()),
                    ));
                }
                Err(e) => return Err(Failure::file("lock", &path, &e)),
            }
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Whoever finds it later is told how to remove it.
        let _ = fs::remove_file(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn yaml(text: &str) -> Value {
        yaml_serde::from_str(text).expect("it is YAML")
    }

    const NEW: &str = "apiVersion: v1\nkind: Config\nclusters: [{name: mine/c1, cluster: {server: https://new}}]\n\
                       contexts: [{name: mine/c1, context: {cluster: mine/c1, user: ada}}]\n\
                       users: [{name: ada, user: {token: new}}]\ncurrent-context: mine/c1\n";

    #[test]
    fn merges_by_name_and_keeps_everything_else() {
        let cases = [
            ("no file", "", NEW.to_owned()),
            ("null lists, as kubectl writes them", "clusters: null\nusers: []\n", NEW.to_owned()),
            (
                "another cluster, another user, preferences and extensions",
                "apiVersion: v1\nkind: Config\npreferences: {colors: true}\nextensions: [{name: x, extension: {a: 1}}]\n\
                 clusters: [{name: old, cluster: {server: https://old}}]\n\
                 contexts: [{name: old, context: {cluster: old, user: bob, namespace: web}}]\n\
                 users: [{name: bob, user: {exec: {command: aws, args: [a, b]}}}]\ncurrent-context: old\n",
                "apiVersion: v1\nkind: Config\npreferences: {colors: true}\nextensions: [{name: x, extension: {a: 1}}]\n\
                 clusters: [{name: old, cluster: {server: https://old}}, {name: mine/c1, cluster: {server: https://new}}]\n\
                 contexts: [{name: old, context: {cluster: old, user: bob, namespace: web}}, \
                 {name: mine/c1, context: {cluster: mine/c1, user: ada}}]\n\
                 users: [{name: bob, user: {exec: {command: aws, args: [a, b]}}}, {name: ada, user: {token: new}}]\n\
                 current-context: mine/c1\n"
                    .to_owned(),
            ),
            (
                "the same cluster from before",
                "clusters: [{name: mine/c1, cluster: {server: https://gone}}, {name: old, cluster: {server: https://old}}]\n\
                 users: [{name: ada, user: {token: old}}]\n",
                NEW.replace("https://new}}]", "https://new}}, {name: old, cluster: {server: https://old}}]"),
            ),
        ];
        for (case, old, expected) in cases {
            assert_eq!(merge(yaml(old), &yaml(NEW)), yaml(&expected), "{case}");
        }
    }

    #[test]
    fn a_file_that_is_no_kubeconfig_is_left_alone() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = dir.path().join("config");
        for foreign in ["a: [", "just text"] {
            fs::write(&path, foreign).expect("it can be written");
            assert!(merge_into(&path, &yaml(NEW)).expect_err("it is refused").to_string().contains("left as it is"));
            assert_eq!(fs::read_to_string(&path).expect("it is there"), foreign);
        }
        assert_eq!(fs::read_dir(dir.path()).expect("a directory").count(), 1, "no lock is left behind");
    }

    #[cfg(unix)]
    #[test]
    fn a_link_stays_a_link_and_the_file_is_private() {
        use std::os::unix::fs::{PermissionsExt as _, symlink};

        let dir = tempfile::tempdir().expect("a temporary directory");
        let (real, link) = (dir.path().join("dotfiles/config"), dir.path().join("config"));
        assert_eq!(merge_into(&real, &yaml(NEW)).expect("a new file"), "mine/c1");
        symlink(&real, &link).expect("a link");
        merge_into(&link, &yaml(NEW)).expect("a known file");
        assert!(fs::symlink_metadata(&link).expect("it is there").is_symlink());
        assert_eq!(fs::metadata(&real).expect("it is there").permissions().mode() & 0o777, 0o600);
        assert_eq!(yaml(&fs::read_to_string(&real).expect("text")), yaml(NEW));
    }

    #[test]
    fn a_program_takes_the_place_of_tokens() {
        let mut config = yaml("clusters: [{name: mine/c1}]\nusers: [{name: a, user: {auth-provider: {name: oidc}}}]");
        set_exec(&mut config, |cluster| serde_json::json!({ "exec": { "args": ["--cluster", cluster] } }));
        assert_eq!(config["users"], yaml("[{name: a, user: {exec: {args: [--cluster, c1]}}}]"));
    }

    #[test]
    fn the_current_context_leads_to_a_server_and_a_token_until_that_is_forgotten() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = dir.path().join("config");
        assert_eq!(current(&path).expect("there is no file"), None);
        merge_into(&path, &yaml(NEW)).expect("a new file");
        let found = current(&path).expect("a file").expect("a context");
        assert_eq!((found.server.as_str(), found.token.as_deref()), ("https://new", Some("new")));
        forget_token(&path, "other").expect("nothing to do");
        assert_eq!(current(&path).expect("a file").expect("a context"), found);
        forget_token(&path, "new").expect("it is there");
        assert_eq!(current(&path).expect("a file").expect("a context").token, None);
        for other in ["{}", "current-context: x", "current-context: x\ncontexts: [{name: x, context: {cluster: none}}]"] {
            assert_eq!(current_of(&yaml(other), &path), None, "{other}");
        }
    }

    #[test]
    fn a_refresh_token_is_put_where_kubectl_looks_for_it() {
        let mut config =
            yaml("users: [{name: a, user: {auth-provider: {name: oidc, config: {id-token: x, refresh-token: ''}}}}]");
        assert!(lacks_refresh_token(&config));
        set_refresh_token(&mut config, "rt");
        assert_eq!(config["users"][0]["user"]["auth-provider"]["config"]["refresh-token"].as_str(), Some("rt"));
        assert!(!lacks_refresh_token(&config));
        for other in ["users: []", "{}", "users: [{name: admin, user: {client-key-data: x}}]"] {
            assert!(!lacks_refresh_token(&yaml(other)), "{other}");
        }
    }
}
