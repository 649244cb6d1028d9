//! One file for each resource: parse the request, call the rule, shape the answer.

pub mod access_groups;
pub mod accounts;
pub mod addons;
pub mod api_keys;
pub mod catalog;
pub mod classic_subnets;
pub mod cluster_shapes;
pub mod clusters;
pub mod dedicated_hosts;
pub mod flavor_shapes;
pub mod graphql;
pub mod identity;
pub mod identity_settings;
pub mod infrastructure;
pub mod kubeconfig;
mod manage;
pub mod masters;
pub mod networks;
pub mod policies;
pub mod pool_shapes;
pub mod pools;
pub mod profiles;
pub mod resource_groups;
pub mod roles;
pub mod service_ids;
pub mod sessions;
pub mod users;
pub mod worker_shapes;
pub mod workers;

use axum::response::Response;
use boatyard_api::ops::{accounts as account_ops, containers, iam_token};
use boatyard_fleet::{Cluster, ClusterTarget, Error, Provider};
use http::StatusCode;

use crate::call::Call;
use crate::operations::Bindings;
use crate::problem::Problem;
use crate::respond;

/// The cluster that the query names.
fn cluster_named(call: &Call) -> Result<String, Problem> {
    let given = call.query("cluster").filter(|cluster| !cluster.is_empty());
    given.ok_or_else(|| boatyard_fleet::Error::Missing("Specify the ID or name of a 'cluster'.".to_owned()).into())
}

/// Every operation that is served, and by what.
#[must_use]
pub fn bindings() -> Bindings {
    let bindings = Bindings::default()
        .bind(&iam_token::CreateToken, identity::token_create)
        .bind(&iam_token::GetKeys, identity::keys_get)
        .bind(&iam_token::GetOpenIDConfiguration, identity::discovery_get)
        .bind(&iam_token::CreatePasscode, identity::passcode_create)
        .bind(&iam_token::GetPasscodePage, identity::passcode_page)
        .bind(&iam_token::GetUserInfo, identity::userinfo_get)
        .bind(&iam_token::RevokeToken, identity::token_revoke)
        .bind(&account_ops::ListAccounts, accounts::accounts_list)
        .bind(&account_ops::GetAccount, accounts::account_get);
    let resources = [
        access_groups::bind,
        addons::bind,
        api_keys::bind,
        catalog::bind,
        classic_subnets::bind,
        dedicated_hosts::bind,
        graphql::bind,
        identity_settings::bind,
        infrastructure::bind,
        masters::bind,
        networks::bind,
        policies::bind,
        pools::bind,
        resource_groups::bind,
        sessions::bind,
        users::bind,
        profiles::bind,
        service_ids::bind,
        roles::bind,
        workers::bind,
    ];
    let bindings = resources.into_iter().fold(bindings, |all, bind| bind(all));
    bindings
        .bind(&containers::VpcCreateCluster, clusters::vpc_cluster_create)
        .bind(&containers::CreateCluster, clusters::classic_cluster_create)
        .bind(&containers::GetClusters, clusters::v1_clusters_list)
        .bind(&containers::GetCluster1, clusters::v1_cluster_get)
        .bind(&containers::RemoveCluster, clusters::cluster_delete)
        .bind(&containers::V2ListClusters, clusters::v2_clusters_list)
        .bind(&containers::V2GetClusterByIDOrName, clusters::v2_cluster_get_by_path)
        .bind(&containers::GetCluster, clusters::v2_cluster_get)
        .bind(&containers::ClassicGetClusters, clusters::classic_clusters_list)
        .bind(&containers::ClassicGetCluster, clusters::classic_cluster_get)
        .bind(&containers::VpcGetClusters, clusters::vpc_clusters_list)
        .bind(&containers::VpcGetCluster, clusters::vpc_cluster_get)
        .bind(&containers::GetClusterConfig, kubeconfig::v1_config_get)
        .bind(&containers::GetClusterAdminConfig, kubeconfig::v1_admin_config_get)
        .bind(&containers::GetKubeconfig, kubeconfig::v2_kubeconfig_get)
        .bind(&containers::ApplyRBACAndGetKubeconfig, kubeconfig::v2_kubeconfig_apply)
        .bind(&containers::V2GetRBACStatus, kubeconfig::rbac_status_get)
        .bind(&containers::GetVPCs, networks::vpcs_list)
        .bind(&containers::GetSubnets, networks::subnets_list)
        .bind(&containers::GetDatacenterVLANs, networks::vlans_list)
}

/// The cluster that a request is about, limited to the resource group that it names.
fn target<'a>(call: &'a Call, cluster: &'a str) -> Result<ClusterTarget<'a>, Problem> {
    if cluster.is_empty() {
        return Err(Error::Missing("Specify the ID or name of a 'cluster'.".to_owned()).into());
    }
    Ok(ClusterTarget { caller: call.caller()?, cluster, group: call.resource_group() })
}

/// Refuses a cluster that an operation of one provider does not serve.
fn of_provider(cluster: &Cluster, provider: Option<Provider>) -> Result<(), Problem> {
    if provider.is_none_or(|only| only == cluster.provider) { Ok(()) } else { Err(Error::ProviderNotPermitted.into()) }
}

/// A member of a request; clients send empty text where they mean nothing.
fn given(text: &Option<String>) -> &str {
    text.as_deref().unwrap_or_default()
}

/// The answer without a body of an operation that was carried out.
fn done(call: &Call) -> Result<Response, Problem> {
    Ok(respond::empty(StatusCode::from_u16(call.operation.success).unwrap_or(StatusCode::NO_CONTENT)))
}

/// A date as management services write it, from milliseconds since the Unix epoch.
fn date(ms: i64) -> String {
    boatyard_core::clock::rfc3339_ms(boatyard_core::clock::from_ms(ms))
}
