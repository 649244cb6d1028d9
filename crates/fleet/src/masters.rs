//! Masters: updated, refreshed, reached publicly or privately.

use crate::change::ClusterTarget;
use crate::draft::Draft;
use crate::{Error, Fleet, Provider, Result};

/// From where a master is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoint {
    Public,
    Private,
}

impl Fleet {
    /// Brings the master to a version: the one given, or the newest fix pack of its own. Workers keep theirs until they are updated.
    /// The pending version shows at once.
    ///
    /// # Errors
    /// [`Error::MasterNotDeployed`] while it is deployed or updated, [`Error::AlreadyUpToDate`], or why there is no way to that version.
    pub async fn master_update(&self, target: ClusterTarget<'_>, version: &str) -> Result<()> {
        let support = self.support().await?;
        self.change(target, "master update", |draft, now| {
            deployed(draft)?;
            let wanted = self.catalog.update_path(draft.version(), version, draft.provider(), &support)?;
            draft.spec.version = wanted.full;
            draft.spec.version_eos = wanted.end_of_service;
            begin(draft, "update", "Version update in progress", now.as_millisecond());
            Ok(())
        })
        .await
    }

    /// Starts the API server anew with the cluster's present settings.
    ///
    /// # Errors
    /// [`Error::MasterNotDeployed`] while it is deployed or updated. Asked for again while it is done, this changes nothing.
    pub async fn master_refresh(&self, target: ClusterTarget<'_>) -> Result<()> {
        self.change(target, "master refresh", |draft, now| {
            if draft.status.master_work == "refresh" {
                return Ok(());
            }
            deployed(draft)?;
            begin(draft, "refresh", "Refresh in progress", now.as_millisecond());
            Ok(())
        })
        .await
    }

    /// Turns the update of the master to new fix packs on or off.
    ///
    /// # Errors
    /// [`Error::ClusterNotFound`].
    pub async fn master_auto_update_set(&self, target: ClusterTarget<'_>, on: bool) -> Result<()> {
        self.change(target, "master auto-update", |draft, _| {
            draft.spec.disable_auto_update = !on;
            Ok(())
        })
        .await
    }

    /// Makes the master reachable from outside or inside of the network, or not any more.
    ///
    /// # Errors
    /// If it would not be reachable at all, or the provider needs that endpoint.
    pub async fn endpoint_set(&self, target: ClusterTarget<'_>, endpoint: Endpoint, on: bool) -> Result<()> {
        self.change(target, "service endpoint", |draft, _| {
            let spec = &mut draft.spec;
            match endpoint {
                Endpoint::Public => spec.public_endpoint = on,
                Endpoint::Private => spec.private_endpoint = on,
            }
            let refused = match (spec.public_endpoint, spec.private_endpoint) {
                (false, false) => "A cluster needs at least one service endpoint. Enable the other one first.",
                (_, false) if Provider::of(&draft.row.provider) == Provider::VpcGen2 => {
                    "The private service endpoint of a VPC cluster cannot be disabled."
                }
                (false, _) if spec.openshift && Provider::of(&draft.row.provider) == Provider::Classic => {
                    "Classic OpenShift clusters need the public service endpoint."
                }
                _ => return Ok(()),
            };
            Err(Error::Invalid(refused.to_owned()))
        })
        .await
    }
}

fn deployed(draft: &Draft) -> Result<()> {
    // What failed may be tried again.
    if ["deployed", "update_failed"].contains(&draft.status.master_state.as_str()) {
        Ok(())
    } else {
        Err(Error::MasterNotDeployed)
    }
}

fn begin(draft: &mut Draft, work: &str, text: &str, now: i64) {
    work.clone_into(&mut draft.status.master_work);
    draft.status.master_work_since = now;
    draft.status.master_state = "updating".to_owned();
    text.clone_into(&mut draft.status.master_status);
    draft.status.master_status_since = now;
}
