//! One file for each resource: parse the request, call the rule, shape the answer.

pub mod accounts;
pub mod cluster_shapes;
pub mod clusters;
pub mod identity;
pub mod kubeconfig;
pub mod networks;
pub mod resource_groups;

use boatyard_api::ops::{accounts as account_ops, containers, iam_token, resource_manager};

use crate::operations::Bindings;

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
        .bind(&account_ops::GetAccount, accounts::account_get)
        .bind(&resource_manager::ListResourceGroups, resource_groups::resource_groups_list);
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
        .bind(&containers::GetKubeconfig, kubeconfig::v2_kubeconfig_get)
        .bind(&containers::ApplyRBACAndGetKubeconfig, kubeconfig::v2_kubeconfig_apply)
        .bind(&containers::V2GetRBACStatus, kubeconfig::rbac_status_get)
        .bind(&containers::GetVPCs, networks::vpcs_list)
        .bind(&containers::GetSubnets, networks::subnets_list)
        .bind(&containers::GetDatacenterVLANs, networks::vlans_list)
}
