//! Kubeconfigs: the zip that clients unpack, and the text.
//!
//! The two versions of the API pack the same files differently, and clients look for exactly that: v1 in one folder with a
//! `.yml`, v2 flat with a `.yaml`.

use std::io::{Cursor, Write as _};

use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use boatyard_api::containers::{ApplyRbacAndGetKubeconfigRequest, RbacStatus};
use boatyard_core::secret::ExposeSecret as _;
use boatyard_fleet::{Cluster, Error, Provider};
use boatyard_iam::access::Resource;
use boatyard_kube::world::Worlds as _;
use http::{HeaderValue, StatusCode, header};
use serde_json::{Value, json};
use tracing::error;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use super::cluster_shapes::master_url;
use crate::authenticate;
use crate::call::Call;
use crate::kube::Issued;
use crate::problem::{Form, Problem};
use crate::respond;

/// `GET /v1/clusters/{idOrName}/config`, for classic clusters only.
pub async fn v1_config_get(call: Call) -> Result<Response, Problem> {
    let cluster = call.app.fleet.cluster(call.caller()?, call.path("idOrName"), call.resource_group()).await?;
    if cluster.provider != Provider::Classic {
        return Err(Error::ProviderNotPermitted.into());
    }
    answer(&call, &cluster, &Wanted::of_v1(&call, false), Layout::V1).await
}

/// `GET /v1/clusters/{idOrName}/config/admin`, for classic clusters only.
pub async fn v1_admin_config_get(call: Call) -> Result<Response, Problem> {
    let cluster = call.app.fleet.cluster(call.caller()?, call.path("idOrName"), call.resource_group()).await?;
    if cluster.provider != Provider::Classic {
        return Err(Error::ProviderNotPermitted.into());
    }
    answer(&call, &cluster, &Wanted::of_v1(&call, true), Layout::V1).await
}

/// `GET /v2/getKubeconfig`, for clusters of all providers.
pub async fn v2_kubeconfig_get(call: Call) -> Result<Response, Problem> {
    let cluster = call.query("cluster").unwrap_or_default();
    let request = ApplyRbacAndGetKubeconfigRequest {
        admin: Some(call.query_flag("admin")),
        cluster: Some(cluster),
        format: call.query("format"),
        network: Some(call.query_flag("network")),
        ..ApplyRbacAndGetKubeconfigRequest::default()
    };
    v2_kubeconfig(&call, request).await
}

/// `POST /v2/applyRBACAndGetKubeconfig`, for clusters of all providers.
pub async fn v2_kubeconfig_apply(call: Call) -> Result<Response, Problem> {
    let request = call.json()?;
    v2_kubeconfig(&call, request).await
}

/// `GET /v2/getRBACStatus`: roles are in force in a cluster with the next request to it, so there is nothing to wait for but the cluster.
pub async fn rbac_status_get(call: Call) -> Result<Response, Problem> {
    let cluster = call.query("cluster").unwrap_or_default();
    let cluster = call.app.fleet.cluster(call.caller()?, &cluster, call.resource_group()).await?;
    let (synchronized, error) = match call.app.worlds.world(&cluster.id).await {
        Ok(world) => (world.is_some(), false),
        Err(error) => {
            error!(cluster = cluster.id, %error, "roles could not be brought into a cluster");
            (false, true)
        }
    };
    Ok(respond::json(StatusCode::OK, &RbacStatus { synchronized: Some(synchronized), error: Some(error) }))
}

async fn v2_kubeconfig(call: &Call, request: ApplyRbacAndGetKubeconfigRequest) -> Result<Response, Problem> {
    let id_or_name = request.cluster.filter(|c| !c.is_empty());
    let id_or_name = id_or_name.ok_or_else(|| Error::Missing("Specify the ID or name of a 'cluster'.".to_owned()))?;
    let cluster = call.app.fleet.cluster(call.caller()?, &id_or_name, call.resource_group()).await?;
    let network = request.network == Some(true);
    let wanted = Wanted { admin: request.admin == Some(true), format: request.format, network };
    answer(call, &cluster, &wanted, Layout::V2).await
}

/// What a kubeconfig is to be like.
struct Wanted {
    /// With a certificate of an administrator instead of tokens.
    admin: bool,
    /// `zip` or `yaml`.
    format: Option<String>,
    /// With the configuration of Calico.
    network: bool,
}

impl Wanted {
    fn of_v1(call: &Call, admin: bool) -> Self {
        Self { admin, format: call.query("format"), network: call.query_flag("createNetworkConfig") }
    }
}

/// A certificate with which the caller is an administrator of the cluster. It is good until it expires, whatever becomes of the caller.
///
/// # Errors
/// 403 without the role Administrator or Manager for the cluster.
fn administrator(call: &Call, cluster: &Cluster) -> Result<Issued, Problem> {
    const ADMINISTER: &str = "containers-kubernetes.cluster.create";
    const MANAGE: &str = "containers-kubernetes.kube.manage";
    let caller = call.caller()?;
    let place = Resource::clusters(&cluster.account_id, &cluster.region, &cluster.resource_group_id).instance(&cluster.id);
    if !caller.may(ADMINISTER, &place) && !caller.may(MANAGE, &place) {
        return Err(authenticate::missing_role(ADMINISTER));
    }
    let name = caller.claims["sub"].as_str().unwrap_or(&caller.iam_id).to_lowercase();
    let issued = call.app.client_authority.issue(&cluster.id, &format!("IAM#{name}"));
    issued.map_err(|error| Problem::internal(Form::Containers, error))
}

/// How the files are packed.
#[derive(Clone, Copy)]
enum Layout {
    V1,
    V2,
}

async fn answer(call: &Call, cluster: &Cluster, wanted: &Wanted, layout: Layout) -> Result<Response, Problem> {
    if cluster.status.master_ready_at.is_none() {
        let text =
            "The cluster's master is not ready yet, so there is nothing to connect to. Wait until the cluster is deployed.";
        let problem = Problem::new(StatusCode::CONFLICT, "E0f18", "General", text);
        return Err(problem.recovery(format!("To see its state, run 'boatyard ks cluster get --cluster {}'.", cluster.name)));
    }
    let admin = if wanted.admin { Some(administrator(call, cluster)?) } else { None };
    match wanted.format.as_deref().unwrap_or_default() {
        "yaml" | "yml" => {
            let user = match &admin {
                Some(issued) => json!({
                    "client-certificate-data": STANDARD.encode(&issued.certificate),
                    "client-key-data": STANDARD.encode(issued.key.expose_secret()),
                }),
                None => {
                    // Only the text carries the caller's refresh token; a zip is passed on and kept around.
                    let own = call.header("x-auth-refresh-token");
                    let refresh = call.app.iam.kube_refresh_token(call.caller()?, own, call.kubeconfig_age).await?;
                    oidc(call, refresh.as_deref()).await?
                }
            };
            let config = kubeconfig(call, cluster, Authority::Embedded, admin.is_some(), &user)?;
            Ok(respond::with_type(StatusCode::OK, "application/yaml", to_yaml(&config)))
        }
        "" | "zip" => {
            let files = Files::of(cluster);
            let user = match &admin {
                Some(_) => json!({ "client-certificate": CERTIFICATE, "client-key": KEY }),
                None => oidc(call, None).await?,
            };
            let config = kubeconfig(call, cluster, Authority::File(&files.authority), admin.is_some(), &user)?;
            let body = pack(&files, layout, &to_yaml(&config), &call.app.ca_pem, admin.as_ref(), wanted.network, cluster)
                .map_err(|error| Problem::internal(Form::Containers, error))?;
            let mut response = respond::with_type(StatusCode::OK, "application/zip", body);
            if let Ok(value) = HeaderValue::from_str(&format!("attachment; filename=\"kubeConfig-{}.zip\"", cluster.name)) {
                response.headers_mut().insert(header::CONTENT_DISPOSITION, value);
            }
            Ok(response)
        }
        other => {
            Err(Error::Invalid(format!("The format '{other}' is not known. The accepted values are 'zip' and 'yaml'.")).into())
        }
    }
}

/// Files of an administrator's certificate in a zip.
const CERTIFICATE: &str = "admin.pem";
const KEY: &str = "admin-key.pem";

/// Names of the files in a zip.
struct Files {
    stem: String,
    authority: String,
}

impl Files {
    fn of(cluster: &Cluster) -> Self {
        let stem = format!("{}-{}", cluster.spec.datacenter, cluster.name);
        Self { authority: format!("ca-{stem}.pem"), stem }
    }
}

/// Where a kubeconfig finds the authority that signed the API server's certificate.
enum Authority<'a> {
    Embedded,
    File(&'a str),
}

/// The documented layout: one cluster, one user, one context in the namespace `default`. That of an administrator has names of its own,
/// so that both can be in one file.
fn kubeconfig(call: &Call, cluster: &Cluster, authority: Authority<'_>, admin: bool, user: &Value) -> Result<Value, Problem> {
    let caller = call.caller()?;
    let name = format!("{}/{}", cluster.name, cluster.id);
    let context = if admin { format!("{name}/admin") } else { name.clone() };
    let holder = match admin {
        true => format!("{}/{}/admin", caller.email, cluster.id),
        false => format!("{}/{}/iam.cloud.ibm.com-identity", caller.email, cluster.account_id),
    };
    let pem = STANDARD.encode(call.app.ca_pem.as_bytes());
    let mut entry = json!({ "server": master_url(&call.app.public_url, &cluster.id) });
    match authority {
        Authority::Embedded => entry["certificate-authority-data"] = json!(pem),
        Authority::File(file) => entry["certificate-authority"] = json!(file),
    }
    Ok(json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{ "name": name, "cluster": entry }],
        "contexts": [{ "name": context, "context": { "cluster": name, "namespace": "default", "user": holder } }],
        "current-context": context,
        "users": [{ "name": holder, "user": user }],
    }))
}

/// A user of the auth provider `oidc`.
async fn oidc(call: &Call, refresh: Option<&str>) -> Result<Value, Problem> {
    let id_token = call.app.iam.id_token_for(call.caller()?, call.kubeconfig_age).await?;
    let pem = STANDARD.encode(call.app.ca_pem.as_bytes());
    // The issuer is this server, whose certificate is signed by the same local authority.
    let provider = json!({
        "client-id": "kube",
        "client-secret": "kube",
        "id-token": id_token,
        "idp-certificate-authority-data": pem,
        "idp-issuer-url": format!("{}/identity", call.app.public_url),
        "refresh-token": refresh.unwrap_or_default(),
    });
    Ok(json!({ "auth-provider": { "name": "oidc", "config": provider } }))
}

/// YAML in block style. Text is quoted as in JSON, which YAML reads alike, so no value can be taken for something else.
fn to_yaml(value: &Value) -> String {
    let mut out = String::new();
    write_yaml(&mut out, value, 0);
    out
}

fn write_yaml(out: &mut String, value: &Value, indent: usize) {
    let pad = |out: &mut String| out.extend(std::iter::repeat_n(' ', indent));
    match value {
        Value::Object(members) => {
            for (index, (name, value)) in members.iter().enumerate() {
                // The first member of a list's item stands behind its dash.
                if index > 0 || !out.ends_with("- ") {
                    pad(out);
                }
                out.push_str(name);
                out.push(':');
                if value.is_object() || value.is_array() {
                    out.push('\n');
                    write_yaml(out, value, indent + if value.is_array() { 0 } else { 2 });
                } else {
                    out.push(' ');
                    out.push_str(&value.to_string());
                    out.push('\n');
                }
            }
        }
        Value::Array(items) => {
            for item in items {
                pad(out);
                out.push_str("- ");
                write_yaml(out, item, indent + 2);
            }
        }
        scalar => {
            out.push_str(&scalar.to_string());
            out.push('\n');
        }
    }
}

fn pack(
    files: &Files,
    layout: Layout,
    yaml: &str,
    ca_pem: &str,
    admin: Option<&Issued>,
    network: bool,
    cluster: &Cluster,
) -> zip::result::ZipResult<Vec<u8>> {
    let (folder, config) = match layout {
        Layout::V1 => (format!("kubeConfig-{}/", cluster.id), format!("kube-config-{}.yml", files.stem)),
        Layout::V2 => (String::new(), format!("kube-config-{}.yaml", files.stem)),
    };
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().unix_permissions(0o600);
    let mut add = |name: &str, text: &str| -> zip::result::ZipResult<()> {
        zip.start_file(format!("{folder}{name}"), options)?;
        Ok(zip.write_all(text.as_bytes())?)
    };
    add(&config, yaml)?;
    add(&files.authority, ca_pem)?;
    if let Some(issued) = admin {
        add(CERTIFICATE, &issued.certificate)?;
        add(KEY, issued.key.expose_secret())?;
    }
    if network {
        add("calicoctl.cfg.template", CALICO)?;
    }
    Ok(zip.finish()?.into_inner())
}

/// A Go template with the one variable that clients fill in: the folder they unpacked to.
const CALICO: &str = "\
apiVersion: projectcalico.org/v3
kind: CalicoAPIConfig
metadata:
spec:
  datastoreType: kubernetes
  kubeconfig: {{.certDir}}/config.yml
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn yaml_is_in_block_style_and_quotes_what_could_be_misread() {
        let value = json!({"a": [{"b": "no", "c": {"d": "x: y #"}}], "e": "line\nbreak"});
        assert_eq!(to_yaml(&value), "a:\n- b: \"no\"\n  c:\n    d: \"x: y #\"\ne: \"line\\nbreak\"\n");
    }
}
