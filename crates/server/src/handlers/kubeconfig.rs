//! Kubeconfigs: the zip that clients unpack, and the text.
//!
//! The two versions of the API pack the same files differently, and clients look for exactly that: v1 in one folder with a
//! `.yml`, v2 flat with a `.yaml`.

use std::io::{Cursor, Write as _};

use axum::response::Response;
use boatyard_api::containers::{ApplyRbacAndGetKubeconfigRequest, RbacStatus};
use boatyard_fleet::{Cluster, Error, Provider};
use http::{HeaderValue, StatusCode, header};
use serde_json::{Value, json};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use super::cluster_shapes::master_url;
use crate::call::Call;
use crate::problem::{Form, Problem};
use crate::respond;

/// `GET /v1/clusters/{idOrName}/config`, for classic clusters only.
pub async fn v1_config_get(call: Call) -> Result<Response, Problem> {
    let cluster = call.app.fleet.cluster(call.caller()?, call.path("idOrName"), call.resource_group()).await?;
    if cluster.provider != Provider::Classic {
        return Err(Error::ProviderNotPermitted.into());
    }
    let network = call.query_flag("createNetworkConfig");
    answer(&call, &cluster, call.query("format").as_deref(), Layout::V1, network).await
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

/// `GET /v2/getRBACStatus`: roles are in force as soon as they are given, so there is never anything to wait for.
pub async fn rbac_status_get(call: Call) -> Result<Response, Problem> {
    let cluster = call.query("cluster").unwrap_or_default();
    call.app.fleet.cluster(call.caller()?, &cluster, call.resource_group()).await?;
    Ok(respond::json(StatusCode::OK, &RbacStatus { synchronized: Some(true), error: Some(false) }))
}

async fn v2_kubeconfig(call: &Call, request: ApplyRbacAndGetKubeconfigRequest) -> Result<Response, Problem> {
    let id_or_name = request.cluster.filter(|c| !c.is_empty());
    let id_or_name = id_or_name.ok_or_else(|| Error::Missing("Specify the ID or name of a 'cluster'.".to_owned()))?;
    let cluster = call.app.fleet.cluster(call.caller()?, &id_or_name, call.resource_group()).await?;
    if request.admin == Some(true) {
        let text = "Boatyard does not make kubeconfigs with administrator certificates yet. Request one without 'admin'.";
        return Err(Problem::new(StatusCode::NOT_IMPLEMENTED, "G0501", "General", text));
    }
    answer(call, &cluster, request.format.as_deref(), Layout::V2, request.network == Some(true)).await
}

/// How the files are packed.
#[derive(Clone, Copy)]
enum Layout {
    V1,
    V2,
}

async fn answer(
    call: &Call,
    cluster: &Cluster,
    format: Option<&str>,
    layout: Layout,
    network: bool,
) -> Result<Response, Problem> {
    if cluster.status.master_ready_at.is_none() {
        let text =
            "The cluster's master is not ready yet, so there is nothing to connect to. Wait until the cluster is deployed.";
        let problem = Problem::new(StatusCode::CONFLICT, "E0f18", "General", text);
        return Err(problem.recovery(format!("To see its state, run 'boatyard ks cluster get --cluster {}'.", cluster.name)));
    }
    match format.unwrap_or_default() {
        "yaml" | "yml" => {
            // Only the text carries the caller's refresh token; a zip is passed on and kept around.
            let own = call.header("x-auth-refresh-token");
            let refresh = call.app.iam.kube_refresh_token(call.caller()?, own, call.kubeconfig_age).await?;
            let config = kubeconfig(call, cluster, Authority::Embedded, refresh.as_deref()).await?;
            Ok(respond::with_type(StatusCode::OK, "application/yaml", to_yaml(&config)))
        }
        "" | "zip" => {
            let files = Files::of(cluster);
            let config = kubeconfig(call, cluster, Authority::File(&files.authority), None).await?;
            let body = pack(&files, layout, &to_yaml(&config), &call.app.ca_pem, network, cluster)
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

/// The documented layout: one cluster, one user of the `oidc` auth provider, one context in the namespace `default`.
async fn kubeconfig(call: &Call, cluster: &Cluster, authority: Authority<'_>, refresh: Option<&str>) -> Result<Value, Problem> {
    let caller = call.caller()?;
    let name = format!("{}/{}", cluster.name, cluster.id);
    let user = format!("{}/{}/iam.cloud.ibm.com-identity", caller.email, cluster.account_id);
    let pem = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, call.app.ca_pem.as_bytes());
    let mut entry = json!({ "server": master_url(&call.app.public_url, &cluster.id) });
    match authority {
        Authority::Embedded => entry["certificate-authority-data"] = json!(pem),
        Authority::File(file) => entry["certificate-authority"] = json!(file),
    }
    let id_token = call.app.iam.id_token_for(caller, call.kubeconfig_age).await?;
    // The issuer is this server, whose certificate is signed by the same local authority.
    let provider = json!({
        "client-id": "kube",
        "client-secret": "kube",
        "id-token": id_token,
        "idp-certificate-authority-data": pem,
        "idp-issuer-url": format!("{}/identity", call.app.public_url),
        "refresh-token": refresh.unwrap_or_default(),
    });
    Ok(json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{ "name": name, "cluster": entry }],
        "contexts": [{ "name": name, "context": { "cluster": name, "namespace": "default", "user": user } }],
        "current-context": name,
        "users": [{ "name": user, "user": { "auth-provider": { "name": "oidc", "config": provider } } }],
    }))
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
