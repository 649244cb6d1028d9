//! What an account keeps for infrastructure (classic credentials, the owner of the API key), and switches of single clusters.

use boatyard_core::secret::ExposeSecret as _;
use boatyard_core::{Digest, SecretString, id};
use boatyard_iam::Caller;
use boatyard_store::Domain;
use boatyard_store::infrastructure::{self as store, KeyOwner};
use tracing::info;

use crate::catalog::Catalog;
use crate::{Error, Fleet, Provider, Result, create};

/// Why a request about infrastructure was refused.
#[derive(Debug, thiserror::Error)]
pub enum InfrastructureError {
    #[error("No credentials set for the region '{0}'. The user credentials could not be found.")]
    NoCredentials(String),
    #[error("The region '{region}' could not be found.")]
    Region { region: String, regions: Vec<String> },
    #[error(
        "The operation '{0}' is not known. The accepted values are 'enable-outbound-protection' and 'disable-outbound-protection'."
    )]
    Operation(String),
}

/// What infrastructure is ordered with in a region.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OrderedWith {
    ApiKey,
    /// Classic credentials of that user.
    Credentials(String),
}

impl Fleet {
    /// Sets the classic credentials of a region. The key cannot be read again: only its digest is kept.
    ///
    /// # Errors
    /// If there is no such region, or the user name or the key is empty.
    pub async fn credentials_set(
        &self,
        caller: &Caller,
        region: Option<&str>,
        username: Option<&str>,
        key: Option<&SecretString>,
    ) -> Result<()> {
        let account_id = create::account(caller)?;
        let region = known_region(&self.catalog, region)?;
        let (Some(username), Some(key)) = (username, key) else {
            let text =
                "Specify the user name as header 'X-Auth-Softlayer-Username' and the API key as 'X-Auth-Softlayer-APIKey'.";
            return Err(Error::Missing(text.to_owned()));
        };
        let digest = Digest::of(key.expose_secret()).hex();
        let mut tx = self.store.write(Domain::Fleet).await?;
        store::credentials_set(&mut tx, account_id, &region, username, &digest).await?;
        tx.commit().await?;
        info!(account = account_id, region, by = %caller.iam_id, "classic credentials set");
        Ok(())
    }

    /// The user name of the classic credentials of a region.
    ///
    /// # Errors
    /// [`InfrastructureError::NoCredentials`], or if there is no such region.
    pub async fn credentials_username(&self, caller: &Caller, region: Option<&str>) -> Result<String> {
        match self.ordered_with(caller, &known_region(&self.catalog, region)?).await? {
            OrderedWith::Credentials(username) => Ok(username),
            OrderedWith::ApiKey => Err(InfrastructureError::NoCredentials(region.unwrap_or_default().to_owned()).into()),
        }
    }

    /// Removes the classic credentials of a region.
    ///
    /// # Errors
    /// [`InfrastructureError::NoCredentials`], or if there is no such region.
    pub async fn credentials_delete(&self, caller: &Caller, region: Option<&str>) -> Result<()> {
        let account_id = create::account(caller)?;
        let region = known_region(&self.catalog, region)?;
        let mut tx = self.store.write(Domain::Fleet).await?;
        if !store::credentials_delete(&mut tx, account_id, &region).await? {
            return Err(InfrastructureError::NoCredentials(region).into());
        }
        tx.commit().await?;
        info!(account = account_id, region, by = %caller.iam_id, "classic credentials removed");
        Ok(())
    }

    /// What infrastructure is ordered with in a region; where none is named, with the API key.
    ///
    /// # Errors
    /// If there is no such region.
    pub async fn infrastructure_access(&self, caller: &Caller, region: Option<&str>) -> Result<OrderedWith> {
        match region {
            Some(_) => self.ordered_with(caller, &known_region(&self.catalog, region)?).await,
            None => Ok(OrderedWith::ApiKey),
        }
    }

    async fn ordered_with(&self, caller: &Caller, region: &str) -> Result<OrderedWith> {
        let account_id = create::account(caller)?;
        let username = store::credentials_username(&mut *self.store.read().await?, account_id, region).await?;
        Ok(username.map_or(OrderedWith::ApiKey, OrderedWith::Credentials))
    }

    /// Makes the caller the owner of the API key for the clusters of a region and resource group.
    ///
    /// # Errors
    /// If there is no such region.
    pub async fn key_reset(&self, caller: &Caller, region: Option<&str>, group_id: &str) -> Result<()> {
        let account_id = create::account(caller)?;
        let region = known_region(&self.catalog, region)?;
        let owner =
            KeyOwner { key_id: format!("ApiKey-{}", id::uuid()), name: caller.name.clone(), email: caller.email.clone() };
        let mut tx = self.store.write(Domain::Fleet).await?;
        store::key_owner_set(&mut tx, account_id, &region, group_id, &owner).await?;
        tx.commit().await?;
        info!(account = account_id, region, group = group_id, by = %caller.iam_id, "API key of the region reset");
        Ok(())
    }

    /// Who owns the API key of a cluster's region and resource group: whoever reset it last, or else who created the cluster,
    /// whose IAM ID stands for the key's then.
    ///
    /// # Errors
    /// [`Error::ClusterNotFound`]
    pub async fn key_owner(&self, caller: &Caller, cluster: &str, group: Option<&str>) -> Result<KeyOwner> {
        let cluster = self.cluster(caller, cluster, group).await?;
        let mut conn = self.store.read().await?;
        let reset = store::key_owner(&mut conn, &cluster.account_id, &cluster.region, &cluster.resource_group_id).await?;
        let (key_id, email) = (cluster.spec.owner_iam_id, cluster.spec.owner_email);
        Ok(reset.unwrap_or_else(|| KeyOwner { key_id, name: email.clone(), email }))
    }

    /// Gives a cluster the pull secrets of the registry, which every cluster has once its master is there.
    ///
    /// # Errors
    /// [`Error::ClusterNotReady`] until then, [`Error::ClusterNotFound`]
    pub async fn pull_secret_apply(&self, caller: &Caller, cluster: &str, group: Option<&str>) -> Result<()> {
        self.cluster(caller, cluster, group).await?.ready()
    }

    /// Turns image security enforcement of a cluster on or off.
    ///
    /// # Errors
    /// [`Error::ClusterNotReady`] before its master is there, [`Error::ClusterNotFound`]
    pub async fn image_security_set(&self, caller: &Caller, cluster: &str, group: Option<&str>, on: bool) -> Result<()> {
        self.cluster_change(caller, cluster, group, |cluster, _| {
            cluster.ready()?;
            cluster.spec.image_security = on;
            Ok(())
        })
        .await
    }

    /// Carries out `enable-outbound-protection` or `disable-outbound-protection` on a VPC cluster.
    ///
    /// # Errors
    /// [`InfrastructureError::Operation`] for any other word, and as [`Fleet::outbound_traffic_set`].
    pub async fn outbound_protection(
        &self,
        caller: &Caller,
        cluster: &str,
        group: Option<&str>,
        operation: &str,
    ) -> Result<()> {
        let allowed = match operation {
            "enable-outbound-protection" => false,
            "disable-outbound-protection" => true,
            other => return Err(InfrastructureError::Operation(other.to_owned()).into()),
        };
        self.outbound_traffic_set(caller, cluster, group, allowed).await
    }

    /// Allows traffic from the workers of a VPC cluster to the internet, or blocks it.
    ///
    /// # Errors
    /// [`Error::ProviderNotPermitted`] for classic clusters, [`Error::ClusterNotReady`] before the cluster's master is there,
    /// [`Error::ClusterNotFound`]
    pub async fn outbound_traffic_set(&self, caller: &Caller, cluster: &str, group: Option<&str>, allowed: bool) -> Result<()> {
        self.cluster_change(caller, cluster, group, |cluster, _| {
            if cluster.provider != Provider::VpcGen2 {
                return Err(Error::ProviderNotPermitted);
            }
            cluster.ready()?;
            cluster.spec.disable_outbound_traffic_protection = allowed;
            Ok(())
        })
        .await
    }
}

/// The region of the service that is meant where none is named.
const USUAL_REGION: &str = "us-south";

/// A region of the service.
fn known_region(catalog: &Catalog, given: Option<&str>) -> Result<String> {
    let mut regions: Vec<_> = [Provider::Classic, Provider::VpcGen2]
        .into_iter()
        .flat_map(|provider| catalog.zones(provider))
        .map(|zone| zone.service_region().to_owned())
        .collect();
    let Some(region) = given else {
        // Clients that target no region send none, and mean the one that the service began in.
        let usual = regions.iter().find(|known| *known == USUAL_REGION).or(regions.first());
        return Ok(usual.cloned().unwrap_or_default());
    };
    if regions.iter().any(|known| known == region) {
        return Ok(region.to_owned());
    }
    regions.sort_unstable();
    regions.dedup();
    Err(InfrastructureError::Region { region: region.to_owned(), regions }.into())
}
