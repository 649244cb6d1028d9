//! What the container service refuses. The texts are for the person who sent the request; status, code and hint are the edge's.

use crate::model::Provider;

pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a request was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(
        "The specified cluster could not be found. If applicable, make sure that you target the correct account and resource group."
    )]
    ClusterNotFound,
    /// Clients look for the beginning of this text.
    #[error("The specified worker pool could not be found.")]
    PoolNotFound,
    /// What the caller may not do; the edge says who may.
    #[error("You are not authorized for the action '{action}'.")]
    Forbidden { action: String },
    #[error("A worker pool with the same name already exists within the cluster. Choose another name.")]
    PoolNameTaken,
    /// Clients look for the beginning of this text.
    #[error("The specified worker node could not be found.")]
    WorkerNotFound,
    #[error("The zone '{zone}' could not be found in the worker pool '{pool}'.")]
    ZoneNotInPool { zone: String, pool: String },
    #[error("The zone '{zone}' is already in the worker pool '{pool}'.")]
    ZoneInPool { zone: String, pool: String },
    #[error("The cluster is being deleted, so it cannot be changed any more.")]
    ClusterDeleting,
    #[error("The worker node is in the state '{state}', in which it cannot be {verb}.")]
    WorkerBusy { state: String, verb: &'static str },
    #[error("master must be in the deployed state to update")]
    MasterNotDeployed,
    #[error("'{resource}' resource quota of '{limit}' exceeded")]
    Quota { resource: &'static str, limit: u32 },
    #[error("A cluster with the same name already exists. Choose another name.")]
    ClusterNameTaken,
    #[error("The cluster name '{0}' is not valid. {rule}", rule = crate::names::CLUSTER_NAME_RULE)]
    ClusterName(String),
    #[error("The worker pool name '{0}' is not valid. {rule}", rule = crate::names::POOL_NAME_RULE)]
    PoolName(String),
    /// A value that must be given and is not; the text names it and says where values come from.
    #[error("The request is incomplete. {0}")]
    Missing(String),
    /// A value that the service does not take; the text says which it does.
    #[error("The request is not valid. {0}")]
    Invalid(String),
    #[error(
        "To create a standard cluster, you must specify values for location, machine type, public VLAN, and private VLAN. {0}"
    )]
    ClassicIncomplete(String),
    #[error("Could not find flavor in the requested zone. The flavor '{flavor}' is not offered in the zone '{zone}'.")]
    FlavorNotInZone { flavor: String, zone: String, offered: Vec<String> },
    #[error("The zone '{zone}' could not be found for the infrastructure provider '{provider}'.")]
    ZoneNotFound { zone: String, provider: Provider, offered: Vec<String> },
    #[error("The version '{version}' could not be found.")]
    VersionNotFound { version: String, offered: Vec<String> },
    #[error("The version '{version}' is no longer supported; its support ended on {ended}.")]
    VersionEnded { version: String, ended: String, offered: Vec<String> },
    #[error("The master is already up to date for the specified version.")]
    AlreadyUpToDate,
    #[error("Cluster provider not permitted for given operation.")]
    ProviderNotPermitted,
    #[error("The VPC '{0}' could not be found in this account.")]
    VpcNotFound(String),
    #[error("The subnet '{subnet}' could not be found in the VPC '{vpc}'.")]
    SubnetNotFound { subnet: String, vpc: String },
    #[error("The subnet '{subnet}' is in the zone '{is_in}', not in the zone '{zone}'.")]
    SubnetElsewhere { subnet: String, is_in: String, zone: String },
    #[error("The network '{network}' has {free} free addresses, but {wanted} worker nodes were asked for.")]
    AddressesExhausted { network: String, free: usize, wanted: usize },
    #[error("The {kind} VLAN '{id}' could not be found in the data center '{datacenter}'.")]
    VlanNotFound { kind: &'static str, id: String, datacenter: String },
    #[error("The VLANs '{private}' and '{public}' do not pair: their routers are '{private_router}' and '{public_router}'.")]
    VlansDoNotPair { private: String, public: String, private_router: String, public_router: String },
    #[error("The {what} subnet '{cidr}' is not valid. {rule}")]
    Range { what: &'static str, cidr: String, rule: &'static str },
    #[error("The cluster '{name}' is not ready for this: its state is '{state}'.")]
    ClusterNotReady { name: String, state: String },
    #[error(transparent)]
    Addon(#[from] crate::addons::AddonError),
    #[error(transparent)]
    DedicatedHost(#[from] crate::dedicated_hosts::HostError),
    #[error(transparent)]
    ClassicSubnet(#[from] crate::classic_subnets::SubnetError),
    #[error(transparent)]
    Infrastructure(#[from] crate::infrastructure::InfrastructureError),
    #[error("{0}")]
    Unbuilt(&'static str),
    #[error("The cluster changed while the request was carried out. Send the request again.")]
    Busy,
    #[error(transparent)]
    Runtime(#[from] boatyard_runtime::Error),
    #[error(transparent)]
    Store(boatyard_store::Error),
}

impl From<boatyard_store::Error> for Error {
    fn from(error: boatyard_store::Error) -> Self {
        match error {
            boatyard_store::Error::Stale => Error::Busy,
            error => Error::Store(error),
        }
    }
}
