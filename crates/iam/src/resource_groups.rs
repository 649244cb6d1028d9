//! Resource groups of an account, and the quota of its plan.

use std::sync::Arc;

use boatyard_core::id;
use boatyard_store::resource_groups::{self, Contents, ResourceGroup};
use boatyard_store::{Domain, Tx, accounts};
use tracing::info;

use crate::access::Resource;
use crate::{Caller, Error, Iam};

const RETRIEVE: &str = "resource-controller.group.retrieve";
/// The longest name, in characters.
const LONGEST_NAME: usize = 40;

pub type Result<T, E = GroupError> = std::result::Result<T, E>;

/// What the resource manager refuses.
#[derive(Debug, thiserror::Error)]
pub enum GroupError {
    /// The text says what is wrong and what is right.
    #[error("{0}")]
    Invalid(String),
    #[error("The resource group '{0}' could not be found in this account. List its resource groups to see their IDs.")]
    NotFound(String),
    #[error("The account '{0}' could not be found. Request a token with the ID of the account as 'bss_account'.")]
    AccountNotFound(String),
    #[error("The account has a resource group of the name '{0}' already. Choose another name.")]
    NameTaken(String),
    #[error("The default resource group of an account cannot be deleted. It can be renamed.")]
    IsDefault,
    #[error("The resource group holds {} and cannot be deleted. Delete what is in it first.", contents(*.0))]
    NotEmpty(Contents),
    #[error("The quota '{0}' could not be found. List the quota definitions to see their IDs.")]
    QuotaNotFound(String),
    #[error(transparent)]
    Iam(#[from] Error),
}

impl From<boatyard_store::Error> for GroupError {
    fn from(error: boatyard_store::Error) -> Self {
        GroupError::Iam(error.into())
    }
}

/// The limits of a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// 32 hexadecimal digits.
    pub id: &'static str,
    pub name: &'static str,
    /// The type of the accounts that have it.
    pub kind: &'static str,
}

/// Every account of an installation has this plan.
pub const QUOTA: Quota = Quota { id: "a3d7b8d01e261c24677937c29ab33f3c", name: "Pay-as-you-go Quota", kind: "PAYG" };

impl Iam {
    /// The resource groups of the caller's account that the caller may see, by name.
    ///
    /// # Errors
    /// If the token is for no account, or the database fails.
    pub async fn resource_groups_list(&self, caller: &Caller) -> Result<Vec<ResourceGroup>> {
        let groups = self.resource_groups(caller.account()?).await?;
        Ok(groups.iter().filter(|group| sees(caller, group)).cloned().collect())
    }

    /// A resource group of the caller's account.
    ///
    /// # Errors
    /// [`GroupError::NotFound`], also for one that the caller may not see.
    pub async fn resource_group_get(&self, caller: &Caller, id: &str) -> Result<ResourceGroup> {
        let groups = self.resource_groups(caller.account()?).await?;
        let found = groups.iter().find(|group| group.id == id && sees(caller, group));
        found.cloned().ok_or_else(|| GroupError::NotFound(shorten(id)))
    }

    /// Makes a resource group in the caller's account.
    ///
    /// # Errors
    /// If the name is not valid or taken, or the account is another one.
    pub async fn resource_group_create(&self, caller: &Caller, account_id: &str, name: &str) -> Result<ResourceGroup> {
        let account = caller.account()?;
        if !account_id.is_empty() && account_id != account {
            return Err(GroupError::AccountNotFound(shorten(account_id)));
        }
        let name = valid(name)?;
        let (mut tx, groups) = self.groups_begin(account).await?;
        free(&groups, name, None)?;
        let group = self.new_group(id::hex32(), account, name, false);
        resource_groups::insert(&mut tx, &group).await?;
        tx.commit().await?;
        info!(account, group = %group.id, name, by = %caller.iam_id, "resource group made");
        Ok(group)
    }

    /// Gives a resource group another name.
    ///
    /// # Errors
    /// If there is no such group in the caller's account, or the name is not valid or taken.
    pub async fn resource_group_rename(&self, caller: &Caller, id: &str, name: &str) -> Result<ResourceGroup> {
        let name = valid(name)?;
        let (tx, groups) = self.groups_begin(caller.account()?).await?;
        let mut group = find(&groups, id)?;
        free(&groups, name, Some(id))?;
        name.clone_into(&mut group.name);
        group.updated_at = self.inner.clock.now().as_millisecond();
        // Clusters are remembered with the name of their group.
        let mut tx = tx.and(Domain::Fleet);
        resource_groups::rename(&mut tx, &group).await?;
        tx.commit().await?;
        Ok(group)
    }

    /// Deletes a resource group that is empty.
    ///
    /// # Errors
    /// If there is no such group in the caller's account, or it is the default one or not empty.
    pub async fn resource_group_delete(&self, caller: &Caller, id: &str) -> Result<()> {
        let account = caller.account()?;
        let (mut tx, groups) = self.groups_begin(account).await?;
        let group = find(&groups, id)?;
        if group.is_default {
            return Err(GroupError::IsDefault);
        }
        let contents = resource_groups::contents(&mut tx, account, id).await?;
        if contents != (Contents { clusters: 0, vpcs: 0 }) {
            return Err(GroupError::NotEmpty(contents));
        }
        resource_groups::delete(&mut tx, account, id).await?;
        tx.commit().await?;
        info!(account, group = id, name = group.name, by = %caller.iam_id, "resource group deleted");
        Ok(())
    }

    pub(crate) fn new_group(&self, id: String, account_id: &str, name: &str, is_default: bool) -> ResourceGroup {
        let now = self.inner.clock.now().as_millisecond();
        let (account_id, name) = (account_id.to_owned(), name.to_owned());
        ResourceGroup { id, account_id, name, is_default, created_at: now, updated_at: now }
    }

    /// The group of an account with that ID or name; the ID wins.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn resource_group_find(&self, account_id: &str, id_or_name: &str) -> Result<Option<ResourceGroup>, Error> {
        let groups = self.resource_groups(account_id).await?;
        let by_name = || groups.iter().find(|group| group.name.eq_ignore_ascii_case(id_or_name));
        Ok(groups.iter().find(|group| group.id == id_or_name).or_else(by_name).cloned())
    }

    /// The group that an account's resources are in unless another is named.
    ///
    /// # Errors
    /// [`Error::AccountNotFound`] if there is no such account.
    pub async fn default_resource_group(&self, account_id: &str) -> Result<ResourceGroup, Error> {
        let groups = self.resource_groups(account_id).await?;
        groups.iter().find(|group| group.is_default).cloned().ok_or(Error::AccountNotFound)
    }

    /// The resource groups of an account, by name.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn resource_groups(&self, account_id: &str) -> Result<Arc<Vec<ResourceGroup>>, Error> {
        let load = async || Ok(resource_groups::list(&mut *self.inner.store.read().await?, account_id).await?);
        self.inner.groups.get(&self.inner.store, account_id, load).await
    }

    /// Begins to change the groups of an account, one change after another. A cluster is created under the same lock, so none gets
    /// into a group that is being deleted.
    async fn groups_begin(&self, account_id: &str) -> Result<(Tx, Vec<ResourceGroup>)> {
        let mut tx = self.inner.store.write(Domain::Identity).await?;
        accounts::lock(&mut tx, account_id).await?;
        let groups = resource_groups::list(&mut tx, account_id).await?;
        Ok((tx, groups))
    }
}

/// A group is seen by those who may retrieve it, and by those whose role for clusters in it says so.
fn sees(caller: &Caller, group: &ResourceGroup) -> bool {
    let in_it = |service| Resource::service(&group.account_id, service).resource_group(&group.id);
    let itself = in_it("resource-controller").resource_type("resource-group").resource(&group.id);
    caller.may(RETRIEVE, &itself) || caller.may(RETRIEVE, &in_it("containers-kubernetes"))
}

fn find(groups: &[ResourceGroup], id: &str) -> Result<ResourceGroup> {
    groups.iter().find(|group| group.id == id).cloned().ok_or_else(|| GroupError::NotFound(shorten(id)))
}

/// Refuses a name that another group has, in whatever case: requests name groups without regard to it.
fn free(groups: &[ResourceGroup], name: &str, except: Option<&str>) -> Result<()> {
    let taken = groups.iter().any(|group| group.name.eq_ignore_ascii_case(name) && except != Some(&group.id));
    if taken { Err(GroupError::NameTaken(name.to_owned())) } else { Ok(()) }
}

fn valid(name: &str) -> Result<&str> {
    let name = name.trim();
    if (1..=LONGEST_NAME).contains(&name.chars().count()) && !name.chars().any(char::is_control) {
        return Ok(name);
    }
    Err(GroupError::Invalid(format!("A resource group needs a 'name' with 1 to {LONGEST_NAME} characters.")))
}

/// `2 clusters and 1 VPC`
fn contents(contents: Contents) -> String {
    let named = [(contents.clusters, "cluster"), (contents.vpcs, "VPC")]
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{count} {what}{}", if count == 1 { "" } else { "s" }));
    named.collect::<Vec<_>>().join(" and ")
}

/// What was sent may be long.
fn shorten(text: &str) -> String {
    text.chars().take(60).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_what_is_in_a_group() {
        for (clusters, vpcs, told) in [(1, 0, "1 cluster"), (2, 1, "2 clusters and 1 VPC"), (0, 3, "3 VPCs")] {
            assert_eq!(contents(Contents { clusters, vpcs }), told);
        }
    }
}
