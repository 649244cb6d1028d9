//! The command line as a whole. The grammar of each command stands beside the command.

use clap::{Parser, Subcommand};

use crate::commands::{
    account, audit, catalog, clock, cluster, completion, dedicated, env, fault, fixture, iam, infrastructure, kube_token,
    login, network, openshift, resource, serve, state, target, trust, worker, worker_pool, zone,
};
use crate::demo;
use crate::output::Common;

const EXAMPLES: &str = "\
Examples:
  boatyard demo                  Try everything; your own login is not touched
  boatyard serve                 Start a server on this machine
  boatyard login                 Log in to the server on this machine
  boatyard login -a https://boat.example.com --apikey @key.txt
  boatyard vpcs                  See where a cluster can be made
  boatyard cluster create vpc-gen2 --name mine --zone us-south-1 \\
    --vpc-id VPC --subnet-id SUBNET --flavor bx2.4x16 --wait
  boatyard cluster ls            The same: boatyard ks cluster ls
  boatyard worker-pool resize -c mine -p default --size-per-zone 3 --wait
  boatyard cluster config -c mine
                                 Add the cluster to your kubeconfig
  eval \"$(boatyard env)\"         Point Terraform and the IBM SDKs at the server

Exit status: 0 when it worked, 1 when it failed, 2 for a wrong command line.
Boatyard is not affiliated with IBM or Red Hat.";

/// A self-hosted control plane for Kubernetes and OpenShift clusters that speaks the API of IBM Cloud Kubernetes Service
#[derive(Debug, Parser)]
#[command(name = "boatyard", version, after_help = EXAMPLES, max_term_width = 120, subcommand_required = true)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the server
    Serve(serve::Args),
    /// Start a server, create two clusters on it and show what was done
    Demo(demo::Args),
    /// Files that declare what is there when a server starts (`boatyard serve --fixture`)
    #[command(subcommand)]
    Fixture(fixture::Command),
    /// Log in to a server
    Login(login::Args),
    /// Log out and revoke the refresh token
    Logout(Common),
    /// Show or change the account and the resource group that commands work on
    Target(target::Args),
    /// Your accounts, and the users of the selected one
    #[command(subcommand)]
    Account(account::Command),
    /// Identity and access
    #[command(subcommand)]
    Iam(iam::Command),
    /// Resource groups of the selected account
    #[command(subcommand)]
    Resource(resource::Command),
    /// Clusters and what they are made of (the word may be left out)
    #[command(subcommand)]
    Ks(Kubernetes),
    /// Log in to OpenShift clusters; besides, everything that `ks` has
    #[command(subcommand)]
    Oc(openshift::Command),
    #[command(flatten)]
    Kubernetes(Kubernetes),
    /// Show the server's clock, or move it forward (administrator)
    Clock(clock::Args),
    /// Have things go wrong: add, list and remove faults, start scenarios (administrator)
    #[command(subcommand, visible_alias = "faults")]
    Fault(Box<fault::Command>),
    /// See who did what: the trail of your account, or of all accounts (administrator)
    #[command(subcommand)]
    Audit(audit::Command),
    /// Take the server back to what it was after its first start (administrator)
    Reset(state::ResetArgs),
    /// Save the whole state of the server to a file, or load it (administrator)
    #[command(subcommand)]
    Snapshot(state::Command),
    /// Print the settings that point Terraform and the IBM SDKs at a server
    Env(env::Args),
    /// Print a token for a cluster, as kubectl reads it from programs that a kubeconfig names
    KubeToken(kube_token::Args),
    /// Have this system trust a server's certificate authority, for programs that look at the system's roots only
    #[command(subcommand)]
    Trust(trust::Command),
    /// Print the completion script of a shell
    Completion(completion::Args),
}

/// What `ibmcloud` has under `ks` and `oc`.
#[derive(Debug, Subcommand)]
pub enum Kubernetes {
    /// Create, list, look at and delete clusters
    #[command(subcommand)]
    Cluster(Box<cluster::Command>),
    /// Look at, reboot, reload, update, replace and remove worker nodes
    #[command(subcommand)]
    Worker(Box<worker::Command>),
    /// Worker pools: groups of like worker nodes
    #[command(subcommand)]
    WorkerPool(Box<worker_pool::Command>),
    /// Zones of worker pools
    #[command(subcommand)]
    Zone(Box<zone::Command>),
    /// List the VPCs that clusters can be made in
    Vpcs(network::VpcsArgs),
    /// List the subnets of VPCs
    Subnets(network::SubnetsArgs),
    /// VLANs of classic data centers
    #[command(subcommand)]
    Vlan(network::VlanCommand),
    /// Dedicated hosts and their pools
    #[command(subcommand)]
    Dedicated(dedicated::Command),
    /// Credentials for classic infrastructure
    #[command(subcommand)]
    Credential(infrastructure::CredentialCommand),
    /// The API key that the service works with
    #[command(subcommand)]
    ApiKey(infrastructure::ApiKeyCommand),
    /// Permissions on infrastructure
    #[command(subcommand)]
    InfraPermissions(infrastructure::PermissionsCommand),
    /// List the flavors of a zone: the same as `flavor ls`
    Flavors(catalog::FlavorsArgs),
    /// What worker nodes can be made of
    #[command(subcommand)]
    Flavor(catalog::FlavorCommand),
    /// List the versions that clusters can be made of
    Versions(catalog::VersionsArgs),
    /// List the places that clusters can be made in
    Locations(catalog::LocationsArgs),
    /// Limits of an account
    #[command(subcommand)]
    Quota(catalog::QuotaCommand),
    /// Show what users of the service should know
    Messages(Common),
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory as _, Parser as _};

    use super::*;

    #[test]
    fn the_grammar_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn ks_and_oc_may_be_left_out() {
        for words in [&["ks"][..], &["oc"], &[]] {
            let line = [&["boatyard"][..], words, &["cluster", "ls", "--output", "json", "-q"]].concat();
            let command = Cli::try_parse_from(&line).expect("it is a command").command;
            assert!(
                matches!(
                    command,
                    Command::Ks(Kubernetes::Cluster(_))
                        | Command::Oc(openshift::Command::Kubernetes(Kubernetes::Cluster(_)))
                        | Command::Kubernetes(Kubernetes::Cluster(_))
                ),
                "{line:?}"
            );
        }
    }

    #[test]
    fn takes_the_lines_of_the_ibm_documentation() {
        let lines = [
            "cluster create classic --name a --flavor b3c.4x16.encrypted --zone dal10 --workers 3 --public-vlan 1 --private-vlan 2",
            "cluster create classic --name a --flavor u3c.2x4 --zone dal10 --private-only --private-vlan 2 --hardware dedicated",
            "cluster create vpc-gen2 --name a --version 4.19_openshift --zone us-south-1 --vpc-id r006 --subnet-id 0717 \
             --flavor bx2.4x16 --workers 2 --cos-instance crn:v1 --cluster-security-group a --cluster-security-group b",
            "cluster rm -c a -f --force-delete-storage --skip-advance-permissions-check",
            "cluster config --cluster a --admin --endpoint private --network --output zip",
            "cluster config --cluster a --exec",
            "worker ls --cluster a --worker-pool p --show-deleted --show-pools",
            "worker reboot --cluster a -w 1 -w 2 --hard --skip-master-health -f -q",
            "worker reload -w kube-a-b-c-1 --skip-master-health -f",
            "worker replace --cluster a --worker 1 --update -f",
            "worker update -c a -w 1 -f",
            "worker rm -c a -w 1 -w 2 -f",
            "worker-pool create classic --cluster a --name p --flavor f --size-per-zone 2 --hardware shared -l a=b --label c=d",
            "worker-pool create vpc-gen2 --name p --cluster a --flavor f --size-per-zone 1 --vpc-id v --kms-instance i --crk k \
             --security-group s --entitlement ocp_entitled --operating-system RHCOS --secondary-storage 900gb.5iops-tier",
            "worker-pool resize --cluster a --worker-pool p --size-per-zone 3",
            "worker-pool rebalance -c a -p p -f",
            "worker-pool label set -c a -p p -l k=v --label l=w -f",
            "worker-pool taint set -c a -p p --taint k=v:NoSchedule --taint l=w:NoExecute -f",
            "worker-pool taint rm -c a -p p -f",
            "worker-pool operating-system set -c a -p p --operating-system UBUNTU_24_64",
            "worker-pool zones -c a -p p --output json",
            "zone add classic --cluster a --zone dal10 -p p -p q --private-vlan 1 --public-vlan 2",
            "zone add classic --cluster a --zone dal10 -p p --private-vlan 1 --private-only",
            "zone add vpc-gen2 --cluster a --zone us-south-1 --subnet-id s --worker-pool p",
            "zone network-set --cluster a --zone dal10 -p p --private-vlan 1 --public-vlan 2 -f",
            "zone rm --cluster a --zone dal10 --worker-pool p --worker-pool q -f",
            "cluster master update --cluster a --version 1.36 --force-update -f",
            "cluster master refresh --cluster a",
            "cluster master public-service-endpoint disable --cluster a -f -y",
            "cluster master private-service-endpoint enable --cluster a -y",
            "subnets --provider vpc-gen2 --vpc-id r006 --zone us-south-1",
            "subnets",
            "vlan ls --zone dal10 --output json",
            "vlan spanning get --region us-south",
            "subnets --provider classic -l dal -l wdc04",
            "cluster addon ls -c a",
            "cluster addon enable istio --cluster a --version 1.30 -y",
            "cluster addon enable openshift-data-foundation --cluster a --param osdSize=200Gi --param numOfOsd=3",
            "cluster addon update istio --cluster a --version 1.30 -f -y",
            "cluster addon disable istio --cluster a -f",
            "cluster addon options --addon istio --version 1.30 --output json",
            "cluster subnet add --cluster a --subnet-id 1",
            "cluster subnet create --cluster a --size 8 --vlan 1",
            "cluster subnet detach --cluster a --subnet-id 1 -f",
            "dedicated flavors --zone us-south-1 --provider vpc-gen2",
            "dedicated pool create --flavor-class bx2d --metro dal --name a",
            "dedicated host create --flavor bx2d.host.152x608 --pool a --zone us-south-1",
            "dedicated host placement disable --host a --pool b",
            "credential set classic --infrastructure-api-key k --infrastructure-username u --region us-south",
            "api-key reset --region us-south -f",
            "infra-permissions get --region us-south --output json",
            "flavors --zone dal10",
            "flavor ls --zone us-south-1 --provider vpc-gen2 --show-os --show-storage",
            "flavor get --flavor b3c.4x16 --zone dal10 --provider classic --output json",
            "versions --show-version OpenShift",
            "locations --provider classic",
            "zone ls --provider classic -l dal -l wdc --show-flavors",
            "quota ls --provider vpc-gen2",
            "messages -q",
            "cluster addon versions --addon istio --offering kubernetes",
        ];
        for line in lines {
            let words = ["boatyard", "ks"].into_iter().chain(line.split_whitespace());
            Cli::try_parse_from(words).unwrap_or_else(|e| panic!("{line}: {e}"));
        }
    }

    #[test]
    fn takes_the_lines_for_accounts_and_resource_groups() {
        let lines = [
            "account list",
            "account show --output json",
            "account users --output json",
            "account user-invite ada@example.com --access-groups AccessGroupId-1,AccessGroupId-2",
            "account user-remove ada@example.com -f",
            "account invite-accept 0123456789abcdef0123456789abcdef",
            "resource groups --default",
            "resource group team-a --id",
            "resource group-create team-a -q",
            "resource group-update team-a --name team-b -f",
            "resource group-update team-a -n team-b",
            "resource group-delete team-b -f",
            "iam api-key-create sample-key -d text --file key.json --action-if-leaked DISABLE --lock -f",
            "iam api-key sample-key --uuid",
            "iam service-api-key-create sample-key sample-service -d text --file key.json -f --lock",
            "iam service-api-keys sample-service -f",
            "iam service-id-update sample-test -n new -d text -f",
            "iam trusted-profile-identity-create sample --id ServiceId-1 --id-type SERVICEID",
            "iam account-settings-update --mfa TOTP4ALL --session-invalidation-in-seconds 7200 -f",
            "iam sessions --user ada@example.com",
            "iam session-end C-1 -f",
            "oc login https://c100-e.us-south.containers.cloud.ibm.com:30426 -u apikey -p key",
            "oc login -u passcode -p code --server=https://127.0.0.1:7443/kube/c1",
            "oc login --token=sha256~x --server=https://127.0.0.1:7443/kube/c1",
            "oc login -c mine --web",
            "oc whoami -t",
            "oc logout",
            "oc worker-pool ls -c mine",
            "trust install --ca-file ca.pem --dry-run --output json",
            "trust status",
        ];
        for line in lines {
            let words = std::iter::once("boatyard").chain(line.split_whitespace());
            Cli::try_parse_from(words).unwrap_or_else(|e| panic!("{line}: {e}"));
        }
    }

    #[test]
    fn refuses_what_cannot_be_meant() {
        let lines = [
            "cluster create classic --name a --flavor f --zone z --private-only --public-vlan 1",
            "cluster create vpc-gen2 --name a --zone z",
            "zone add classic -c a --zone z -p p --private-vlan 1",
            "zone add classic -c a --zone z -p p --private-vlan 1 --public-vlan 2 --private-only",
            "zone add classic -c a --zone z -p p --private-only",
            "worker rm -c a -f",
            "worker-pool taint set -c a -p p --taint gpu",
            "worker-pool resize -c a -p p --size-per-zone -1",
            "worker reload -w w --timeout 5m",
            "login --apikey k -u ada",
            "oc login -c mine --server https://h",
            "oc login -c mine -p secret",
            "oc login -c mine --token t --web",
            "trust",
            "cluster lss",
            "cluster config -c a --endpoint private --skip-rbac",
            "cluster config -c a --exec --admin",
            "kube-token",
            "cluster create classic --name a --flavor f --zone z --workers 0",
            "cluster create vpc-gen2 --name a --flavor f --zone z --vpc-id v --subnet-id s --workers 0",
            "clock advance soon",
            "fault add",
            "fault add --status 200",
            "fault add --status 503 --probability 0",
            "fault add --status 503 --times 0",
            "fault add --status 503 --drop",
            "fault add --effect no-such-effect",
            "fault rm",
            "audit",
            "audit tail --outcome perhaps",
        ];
        for line in lines {
            let words = std::iter::once("boatyard").chain(line.split_whitespace());
            assert_eq!(Cli::try_parse_from(words).expect_err(line).exit_code(), 2);
        }
    }
}
