//! bluemix-go, the library under IBM's Terraform provider, with the provider's own wait loops.
//!
//! Each test is a case of the program in `clients/go`, which holds what is asserted. It runs at pace `instant`, where every change
//! is complete when it is looked at again, and at pace `fast`, where the states in between are seen.

use crate::harness::clients::{go, run};
use crate::harness::{Server, shared};

#[track_caller]
fn passes(case: &str) {
    passes_at(&shared(), case);
    passes_at(&Server::builder().pace("fast").start(), case);
}

#[track_caller]
fn passes_at(server: &Server, case: &str) {
    let user = server.account(&format!("go-{case}"));
    let (mut command, _home) = go(case, server, &user);
    let printed = run(&mut command).success();
    assert!(printed.contains(&format!("ok: {case}")), "{printed}");
    server.violations.check();
}

#[test]
fn classic_clusters_are_created_found_listed_and_deleted() {
    passes("v1-clusters");
}

#[test]
fn vlans_of_a_data_center_are_listed_in_pairs() {
    passes("v1-vlans");
}

#[test]
fn vpc_clusters_are_created_found_listed_and_deleted() {
    passes("v2-clusters");
}

#[test]
fn kubeconfigs_of_version_1_are_downloaded_and_unpacked() {
    passes("v1-kubeconfig");
}

#[test]
fn kubeconfigs_of_version_2_are_downloaded_and_unpacked() {
    passes("v2-kubeconfig");
}

#[test]
fn vpcs_and_subnets_are_listed_and_addresses_counted() {
    passes("v2-networks");
}

#[test]
fn classic_infrastructure_credentials_are_set_and_unset() {
    passes("v1-credentials");
}

#[test]
fn a_master_and_then_its_workers_are_updated() {
    passes("v1-master");
}

#[test]
fn classic_workers_are_listed_added_restarted_and_deleted() {
    passes("v1-workers");
}

#[test]
fn a_worker_is_reloaded_through_graphql() {
    passes("v1-reload");
}

#[test]
fn classic_pools_are_made_resized_labelled_and_deleted() {
    passes("v1-pools");
}

#[test]
fn zones_are_added_to_a_classic_pool_and_removed() {
    passes("v1-zones");
}

#[test]
fn a_classic_subnet_is_given_to_a_cluster() {
    passes("v1-subnets");
}

#[test]
fn versions_are_listed_with_one_default_each() {
    passes("v1-versions");
}

#[test]
fn add_ons_are_enabled_and_disabled() {
    passes("v1-addons");
}

#[test]
fn the_api_key_of_a_region_is_reset() {
    passes("v1-api-key");
}

#[test]
fn the_owner_of_a_clusters_key_is_told() {
    passes("v1-key-owner");
}

#[test]
fn the_master_of_a_vpc_cluster_is_updated_and_its_workers_are_not() {
    passes("v2-master");
}

#[test]
fn vpc_workers_are_listed_in_every_way() {
    passes("v2-workers");
}

#[test]
fn vpc_workers_are_replaced_one_after_the_other() {
    passes("v2-replace-workers");
}

#[test]
fn vpc_pools_are_made_tainted_labelled_resized_and_deleted() {
    passes("v2-pools");
}

#[test]
fn dedicated_hosts_and_their_pools_come_and_go() {
    passes("v2-dedicated-hosts");
}
