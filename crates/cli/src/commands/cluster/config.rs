//! `boatyard cluster config`: the kubeconfig of a cluster.

use std::io::{Cursor, Read as _};
use std::path::PathBuf;

use boatyard_sdk::containers::Client;
use boatyard_sdk::containers::types::ApplyRbacAndGetKubeconfigRequest;
use boatyard_sdk::{Session, write_private};
use clap::ValueEnum;
use secrecy::ExposeSecret as _;
use yaml_serde::Value;
use zip::ZipArchive;

use crate::commands::kube_token;
use crate::failure::Failure;
use crate::output::{self, Common, Quiet};
use crate::{kubeconfig, terminal};

/// No kubeconfig is near this size; an archive that unpacks to more is not one.
const LARGEST_FILE: u64 = 4 << 20;

#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(flatten)]
    wanted: Wanted,
    /// Print the kubeconfig (json, yaml) or save the archive as the service sends it (zip), instead of merging it into
    /// $KUBECONFIG or ~/.kube/config
    #[arg(long, value_enum, value_name = "OUTPUT")]
    output: Option<Form>,
    #[command(flatten)]
    quiet: Quiet,
}

/// Which kubeconfig.
#[derive(clap::Args, Clone, Debug, Default)]
pub struct Wanted {
    /// ID or name of the cluster
    #[arg(short = 'c', long, value_name = "CLUSTER")]
    pub cluster: String,
    /// With a client certificate that may do everything in the cluster
    #[arg(long)]
    pub admin: bool,
    /// Have kubectl run `boatyard kube-token` for each token, so that nothing secret is in the kubeconfig
    #[arg(long, conflicts_with = "admin")]
    pub exec: bool,
    /// Endpoint of the cluster to use
    #[arg(long, value_name = "ENDPOINT", value_parser = ["private", "link", "vpe"], conflicts_with = "skip_rbac")]
    pub endpoint: Option<String>,
    /// With the configuration of Calico (for `--output zip` only)
    #[arg(long)]
    pub network: bool,
    /// Do not bring your IAM roles into the cluster's RBAC first
    #[arg(long)]
    pub skip_rbac: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Form {
    Json,
    Yaml,
    Zip,
}

pub async fn run(args: Args) -> Result<(), Failure> {
    if args.wanted.exec && args.output == Some(Form::Zip) {
        return Err(Failure::usage(
            "`--exec` changes the kubeconfig, and `--output zip` saves the archive as the service sends it.",
            "Leave out one of them.",
        ));
    }
    if args.wanted.network && args.output != Some(Form::Zip) {
        return Err(Failure::usage(
            "`--network` adds files of Calico, which are in the archive only.",
            "Add `--output zip`, or leave out `--network`.",
        ));
    }
    let session = Session::load()?;
    let common = Common { output: None, quiet: args.quiet.clone() };
    match args.output {
        Some(Form::Zip) => {
            let archive = download(&session, &args.wanted).await?;
            save_archive(&args.wanted.cluster, &archive, &common)
        }
        Some(Form::Json) => output::json(&fetch(&session, &args.wanted).await?),
        Some(Form::Yaml) => output::print(&kubeconfig::text(&fetch(&session, &args.wanted).await?)?),
        None => {
            let fetched = fetch(&session, &args.wanted).await?;
            let path = kubeconfig::default_path()?;
            let context = kubeconfig::merge_into(&path, &fetched)?;
            common.ok()?;
            common.remark(&format!("Added the context {context} to {} and made it the current one.", path.display()))
        }
    }
}

/// Downloads a kubeconfig and makes it whole: certificates inside, and a refresh token that kubectl can use.
pub async fn fetch(session: &Session, wanted: &Wanted) -> Result<Value, Failure> {
    let archive = download(session, wanted).await?;
    let mut config = unpack(&archive)?;
    if wanted.exec {
        let state = session.state();
        let account = state.account.as_ref().map(|account| account.id.as_str());
        kubeconfig::set_exec(&mut config, |cluster| kube_token::exec(cluster, account));
        return Ok(config);
    }
    if kubeconfig::lacks_refresh_token(&config) {
        match session.kube_refresh_token().await {
            Ok(token) => kubeconfig::set_refresh_token(&mut config, token.expose_secret()),
            Err(error) => terminal::note(&format!(
                "Warning: kubectl will work until the token in the kubeconfig expires; it cannot be refreshed: {error}"
            )),
        }
    }
    Ok(config)
}

async fn download(session: &Session, wanted: &Wanted) -> Result<Vec<u8>, Failure> {
    let group = session.resource_group();
    let cluster = wanted.cluster.as_str();
    let given = |flag: bool| flag.then_some(true);
    if wanted.skip_rbac {
        let archive = session.download(async |c: &Client| {
            c.get_kubeconfig(given(wanted.admin), cluster, Some("zip"), given(wanted.network), None, group.as_deref()).await
        });
        return Ok(archive.await?);
    }
    let request = ApplyRbacAndGetKubeconfigRequest {
        cluster: Some(cluster.to_owned()),
        format: Some("zip".to_owned()),
        admin: given(wanted.admin),
        network: given(wanted.network),
        endpoint_type: wanted.endpoint.clone(),
    };
    let archive = session.download(async |c: &Client| c.apply_rbac_and_get_kubeconfig(None, group.as_deref(), &request).await);
    match archive.await {
        // Roles are in force in the cluster anyway; who may not have them applied may still have a kubeconfig.
        Err(error) if error.status() == Some(403) => {
            let get = async |c: &Client| {
                c.get_kubeconfig(given(wanted.admin), cluster, Some("zip"), given(wanted.network), None, group.as_deref()).await
            };
            session.download(get).await.map_err(|_| error.into())
        }
        archive => Ok(archive?),
    }
}

/// The kubeconfig of the archive, with the files it names put into it.
fn unpack(archive: &[u8]) -> Result<Value, Failure> {
    let broken = |reason: String| {
        Failure::new(
            format!("The service sent a kubeconfig archive that cannot be used: {reason}"),
            "Save it with `--output zip` to look at it, and check that the endpoint is a server of a matching version.",
        )
    };
    let mut zip = ZipArchive::new(Cursor::new(archive)).map_err(|e| broken(e.to_string()))?;
    let mut files = Vec::new();
    for index in 0..zip.len() {
        let file = zip.by_index(index).map_err(|e| broken(e.to_string()))?;
        let name = file.name().map_err(|e| broken(e.to_string()))?.to_string();
        let mut contents = Vec::new();
        file.take(LARGEST_FILE).read_to_end(&mut contents).map_err(|e| broken(e.to_string()))?;
        files.push((name, contents));
    }
    let yaml = files.iter().find(|(name, _)| name.ends_with(".yaml") || name.ends_with(".yml"));
    let (_, yaml) = yaml.ok_or_else(|| broken("there is no YAML file in it".to_owned()))?;
    let mut config: Value = yaml_serde::from_slice(yaml).map_err(|e| broken(e.to_string()))?;
    kubeconfig::embed_files(&mut config, &files);
    Ok(config)
}

fn save_archive(cluster: &str, archive: &[u8], common: &Common) -> Result<(), Failure> {
    // A cluster is named by the person, so its name must not lead the file elsewhere.
    let name: String = cluster.chars().map(|c| if c.is_ascii_alphanumeric() || "-.".contains(c) { c } else { '_' }).collect();
    let path = PathBuf::from(format!("kubeConfig-{name}.zip"));
    write_private(&path, archive).map_err(|e| Failure::file("save the archive in", &path, &e))?;
    common.ok()?;
    output::line(&path.display().to_string())
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use zip::ZipWriter;
    use zip::write::SimpleFileOptions;

    use super::*;

    fn archive(files: &[(&str, &str)]) -> Vec<u8> {
        let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
        for (name, text) in files {
            zip.start_file(*name, SimpleFileOptions::default()).expect("a file");
            zip.write_all(text.as_bytes()).expect("its text");
        }
        zip.finish().expect("an archive").into_inner()
    }

    #[test]
    fn a_kubeconfig_is_whole_without_the_other_files_of_its_archive() {
        let yaml = "clusters:\n- name: a\n  cluster: {server: https://a, certificate-authority: ca-us-a.pem}\n\
                    users:\n- name: admin\n  user: {client-certificate: admin.pem, client-key: admin-key.pem}\n";
        let files = [("a.yaml", yaml), ("ca-us-a.pem", "CA"), ("admin.pem", "CERT"), ("admin-key.pem", "KEY")];
        // Version 1 puts everything into a folder, version 2 does not.
        for folder in ["", "kubeConfig123/"] {
            let named: Vec<_> = files.iter().map(|(name, text)| (format!("{folder}{name}"), *text)).collect();
            let named: Vec<_> = named.iter().map(|(name, text)| (name.as_str(), *text)).collect();
            let config = unpack(&archive(&named)).expect("it is whole");
            let cluster = &config["clusters"][0]["cluster"];
            assert_eq!(cluster["certificate-authority-data"].as_str(), Some("Q0E="), "{folder}");
            assert!(cluster.get("certificate-authority").is_none(), "{folder}");
            let user = &config["users"][0]["user"];
            assert_eq!(
                (user["client-certificate-data"].as_str(), user["client-key-data"].as_str()),
                (Some("Q0VSVA=="), Some("S0VZ"))
            );
        }
    }

    #[test]
    fn says_what_is_wrong_with_an_archive() {
        for broken in [b"not a zip".to_vec(), archive(&[("ca.pem", "CA")])] {
            assert!(unpack(&broken).expect_err("it is broken").to_string().contains("cannot be used"));
        }
    }
}
