//! Changing a cluster on request: everything of it is read, edited and written in one transaction.

use boatyard_iam::Caller;
use boatyard_iam::access::Resource;
use boatyard_store::clusters::{self, ClusterRow};
use boatyard_store::{Conn, Tx};
use jiff::Timestamp;
use tracing::info;

use crate::clusters::in_group;
use crate::draft::Draft;
use crate::faults::Troubles;
use crate::{Cluster, Error, Fleet, Result, addresses, classic_subnets, create};

/// How often a change is tried again when somebody else was quicker: the reconciler moves rows all the time, and its moves do not
/// stand against what a user asks for.
const ATTEMPTS: usize = 8;

/// Which cluster a request is about: its ID or name, and the resource group that the request is limited to.
#[derive(Clone, Copy, Debug)]
pub struct ClusterTarget<'a> {
    pub caller: &'a Caller,
    pub cluster: &'a str,
    pub group: Option<&'a str>,
}

impl Fleet {
    /// Lets `change` edit a cluster of the caller's account, and writes what it made of it. At a pace that waits for nothing, the work
    /// that this asks for is done in the same transaction; else the reconciler looks at the cluster next.
    ///
    /// # Errors
    /// [`Error::ClusterNotFound`], [`Error::ClusterDeleting`], what `change` refuses, or [`Error::Busy`] if others keep writing.
    pub(crate) async fn change<R>(
        &self,
        target: ClusterTarget<'_>,
        what: &str,
        change: impl Fn(&mut Draft, Timestamp) -> Result<R>,
    ) -> Result<R> {
        for _ in 0..ATTEMPTS {
            // Changes in one account come one after another, so only the reconciler can be quicker.
            let mut tx = self.begin(create::account(target.caller)?).await?;
            let row = lookup_in(&mut tx, target).await?;
            if row.desired == "absent" {
                return Err(Error::ClusterDeleting);
            }
            let mut draft = Draft::load(&mut tx, row).await?;
            let now = self.clock.now();
            let answer = change(&mut draft, now)?;
            let id = draft.row.id.clone();
            match self.finish(tx, draft, now).await {
                Err(Error::Busy) => {}
                Err(error) => return Err(error),
                Ok(()) => {
                    info!(cluster = id, by = %target.caller.iam_id, what, "change requested");
                    return Ok(answer);
                }
            }
        }
        Err(Error::Busy)
    }

    /// Writes a draft that a request made, and has its work begun.
    pub(crate) async fn finish(&self, mut tx: Tx, draft: Draft, now: Timestamp) -> Result<()> {
        self.stage(&mut tx, draft, now).await?;
        tx.commit().await?;
        self.wake();
        Ok(())
    }

    /// Writes a draft into a transaction that may hold more; whoever commits it wakes the reconciler.
    pub(crate) async fn stage(&self, tx: &mut Tx, mut draft: Draft, now: Timestamp) -> Result<()> {
        addresses::assign(tx, &self.hints, &mut draft).await?;
        draft.places(now.as_millisecond());
        draft.row.modified_at = now.as_millisecond();
        draft.row.wake_at = Some(now.as_millisecond());
        if self.runtime.immediate() {
            let troubles = Troubles::load(self, tx, now).await?;
            self.advance(tx, &mut draft, &troubles, now).await?;
        }
        keep(tx, draft).await
    }

    /// Like [`Fleet::change`], for what concerns neither pools nor workers: the spec, the status and the state.
    pub(crate) async fn cluster_change<R>(
        &self,
        caller: &Caller,
        id_or_name: &str,
        group: Option<&str>,
        change: impl Fn(&mut Cluster, Timestamp) -> Result<R>,
    ) -> Result<R> {
        let target = ClusterTarget { caller, cluster: id_or_name, group };
        self.change(target, "settings", |draft, now| {
            let mut cluster = Cluster::from_row(&draft.row, &[])?;
            let answer = change(&mut cluster, now)?;
            (draft.spec, draft.status, draft.row.state) = (cluster.spec, cluster.status, cluster.state);
            Ok(answer)
        })
        .await
    }
}

/// Writes a draft, and gives a new cluster its portable subnets.
pub(crate) async fn keep(tx: &mut Tx, draft: Draft) -> Result<()> {
    let (account, id, subnets) = (draft.row.account_id.clone(), draft.row.id.clone(), draft.wanted_subnets());
    draft.save(tx).await?;
    classic_subnets::cluster_bind(tx, &account, &id, &subnets).await
}

/// The only way from a caller's word to a row: it must be of the caller's account, and what the request needs must be allowed on it.
pub(crate) async fn lookup_in(conn: &mut Conn, target: ClusterTarget<'_>) -> Result<ClusterRow> {
    let account_id = create::account(target.caller)?;
    let found = clusters::find(conn, account_id, target.cluster).await?;
    let row = found
        .filter(|row| target.group.is_none_or(|g| in_group(g, &row.resource_group_id, &row.resource_group_name)))
        .ok_or(Error::ClusterNotFound)?;
    create::permit(target.caller, &Resource::clusters(account_id, &row.region, &row.resource_group_id).instance(&row.id))?;
    Ok(row)
}
