//! The command line as a whole. The grammar of each command stands beside the command.

use clap::{Parser, Subcommand};

use crate::commands::{account, cluster, completion, env, iam, login, network, serve, target};
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
    /// Log in to a server
    Login(login::Args),
    /// Log out and revoke the refresh token
    Logout(Common),
    /// Show or change the account and the resource group that commands work on
    Target(target::Args),
    /// Accounts of your user
    #[command(subcommand)]
    Account(account::Command),
    /// Identity and access
    #[command(subcommand)]
    Iam(iam::Command),
    /// Clusters and what they are made of (`oc` is the same; both words may be left out)
    #[command(subcommand, visible_alias = "oc")]
    Ks(Kubernetes),
    #[command(flatten)]
    Kubernetes(Kubernetes),
    /// Print the settings that point Terraform and the IBM SDKs at a server
    Env(env::Args),
    /// Print the completion script of a shell
    Completion(completion::Args),
}

/// What `ibmcloud` has under `ks` and `oc`.
#[derive(Debug, Subcommand)]
pub enum Kubernetes {
    /// Create, list, look at and delete clusters
    #[command(subcommand)]
    Cluster(Box<cluster::Command>),
    /// List the VPCs that clusters can be made in
    Vpcs(network::VpcsArgs),
    /// List the subnets of VPCs
    Subnets(network::SubnetsArgs),
    /// VLANs of classic data centers
    #[command(subcommand)]
    Vlan(network::VlanCommand),
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
                matches!(command, Command::Ks(Kubernetes::Cluster(_)) | Command::Kubernetes(Kubernetes::Cluster(_))),
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
            "subnets --provider vpc-gen2 --vpc-id r006 --zone us-south-1",
            "subnets",
            "vlan ls --zone dal10 --output json",
        ];
        for line in lines {
            let words = ["boatyard", "ks"].into_iter().chain(line.split_whitespace());
            Cli::try_parse_from(words).unwrap_or_else(|e| panic!("{line}: {e}"));
        }
    }

    #[test]
    fn refuses_what_cannot_be_meant() {
        let lines = [
            "cluster create classic --name a --flavor f --zone z --private-only --public-vlan 1",
            "cluster create vpc-gen2 --name a --zone z",
            "login --apikey k -u ada",
            "cluster lss",
            "cluster config -c a --endpoint private --skip-rbac",
            "cluster create classic --name a --flavor f --zone z --workers 0",
            "cluster create vpc-gen2 --name a --flavor f --zone z --vpc-id v --subnet-id s --workers 0",
        ];
        for line in lines {
            let words = std::iter::once("boatyard").chain(line.split_whitespace());
            assert_eq!(Cli::try_parse_from(words).expect_err(line).exit_code(), 2);
        }
    }
}
