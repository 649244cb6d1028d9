//! Service IDs, and the groups that they are in.

use boatyard_core::id;
use boatyard_store::service_ids::{self, Group, ServiceId};
use boatyard_store::{Conn, Domain, api_keys_admin, identities};

use crate::access::Resource;
use crate::api_keys::{CreatedApiKey, NewApiKey};
use crate::listing::{Listing, Page};
use crate::manage::{self, ManageError, ManageResult};
use crate::{Caller, Iam};

/// The most service IDs in one group.
pub const MOST_SERVICE_IDS: i64 = 2000;
/// The most groups in an account, without the default one.
pub const MOST_GROUPS: i64 = 100;
const MOST_CRNS: usize = 100;
const SORTABLE: [&str; 4] = ["name", "description", "created_at", "modified_at"];
const WHAT: &str = "service ID";
const GROUP: &str = "service ID group";

/// A service ID that is asked for.
#[derive(Debug, Default)]
pub struct NewServiceId {
    /// Must be the account of the caller's token.
    pub account_id: String,
    pub name: String,
    pub description: Option<String>,
    /// The account's default group if not given.
    pub group_id: Option<String>,
    pub unique_instance_crns: Vec<String>,
    /// A key to begin with; whose it becomes is not looked at.
    pub apikey: Option<NewApiKey>,
    pub locked: bool,
}

/// What is to be different; `None` stays as it is.
#[derive(Debug, Default)]
pub struct ServiceIdChange {
    pub name: Option<String>,
    pub description: Option<String>,
    pub unique_instance_crns: Option<Vec<String>>,
}

impl Iam {
    /// Makes a service ID, and a key of it if one is asked for.
    ///
    /// # Errors
    /// If the caller may not, or something of it is not acceptable.
    pub async fn service_id_create(
        &self,
        caller: &Caller,
        new: NewServiceId,
    ) -> ManageResult<(ServiceId, Option<CreatedApiKey>)> {
        let account_id = manage::account(caller, Some(&new.account_id))?;
        if !self.account_settings(account_id).await?.frees_service_ids() {
            caller.permit(&Resource::service(account_id, manage::SERVICE))?;
        }
        let (now, id) = (self.now_ms(), format!("ServiceId-{}", id::uuid()));
        let service_id = ServiceId {
            iam_id: format!("iam-{id}"),
            id,
            account_id: account_id.to_owned(),
            name: manage::name(&new.name)?,
            description: manage::description(new.description.as_deref())?,
            unique_instance_crns: crns(new.unique_instance_crns)?,
            group_id: new.group_id.filter(|group| !group.is_empty()),
            locked: new.locked,
            created_by: caller.iam_id.clone(),
            created_at: now,
            modified_at: now,
            revision: 1,
        };
        let mut tx = self.inner.store.write(Domain::Identity).await?;
        let group = service_id.group_id.as_deref();
        if let Some(group) = group {
            group_find(&mut tx, account_id, group).await?;
        }
        if service_ids::count(&mut tx, account_id, group).await? >= MOST_SERVICE_IDS {
            return Err(ManageError::TooMany { what: "service IDs in this group", limit: MOST_SERVICE_IDS });
        }
        service_ids::insert(&mut tx, &service_id).await?;
        let key = match new.apikey {
            Some(key) => {
                let key = NewApiKey { iam_id: service_id.iam_id.clone(), ..key };
                Some(self.api_key_insert(&mut tx, account_id, &caller.iam_id, key).await?)
            }
            None => None,
        };
        tx.commit().await?;
        Ok((service_id, key))
    }

    /// A page of the service IDs of a group, by default the account's default group, that the caller may see.
    ///
    /// # Errors
    /// If a parameter is not understood.
    pub async fn service_ids_list(&self, caller: &Caller, listing: &Listing) -> ManageResult<Page<ServiceId>> {
        let account_id = manage::account(caller, listing.get("account_id"))?;
        let mut all = service_ids::list(&mut *self.inner.store.read().await?, account_id).await?;
        all.retain(|s| s.group_id.as_deref() == listing.get("group_id"));
        if let Some(name) = listing.get("name") {
            all.retain(|s| s.name == name);
        }
        if !caller.reaches_all() {
            all.retain(|s| caller.reaches(&manage::resource(account_id, "serviceid", &s.id)));
        }
        listing.page(all, &SORTABLE, field)
    }

    /// One service ID.
    ///
    /// # Errors
    /// [`ManageError::NotFound`]; a refusal if the caller may not see it.
    pub async fn service_id_get(&self, caller: &Caller, id: &str) -> ManageResult<ServiceId> {
        reach(&mut *self.inner.store.read().await?, caller, id).await
    }

    /// Changes a service ID.
    ///
    /// # Errors
    /// As [`Self::service_id_get`]; if it is locked, not as `if_match` says, or the change is not acceptable.
    pub async fn service_id_update(
        &self,
        caller: &Caller,
        id: &str,
        if_match: Option<&str>,
        change: ServiceIdChange,
    ) -> ManageResult<ServiceId> {
        let mut tx = self.inner.store.write(Domain::Identity).await?;
        let mut service_id = reach(&mut tx, caller, id).await?;
        manage::if_match(if_match, WHAT, service_id.revision, &service_id.id)?;
        unlocked(&service_id)?;
        if let Some(name) = &change.name {
            service_id.name = manage::name(name)?;
        }
        if change.description.is_some() {
            service_id.description = manage::description(change.description.as_deref())?;
        }
        if let Some(given) = change.unique_instance_crns {
            service_id.unique_instance_crns = crns(given)?;
        }
        self.service_id_write(&mut tx, &mut service_id).await?;
        tx.commit().await?;
        Ok(service_id)
    }

    /// Locks or unlocks a service ID; does nothing to one that is so already.
    ///
    /// # Errors
    /// As [`Self::service_id_get`].
    pub async fn service_id_lock(&self, caller: &Caller, id: &str, locked: bool) -> ManageResult<()> {
        let mut tx = self.inner.store.write(Domain::Identity).await?;
        let mut service_id = reach(&mut tx, caller, id).await?;
        if service_id.locked == locked {
            return Ok(());
        }
        service_id.locked = locked;
        self.service_id_write(&mut tx, &mut service_id).await?;
        Ok(tx.commit().await?)
    }

    /// Deletes a service ID with its keys, policies and memberships, and ends its sessions.
    ///
    /// # Errors
    /// As [`Self::service_id_get`]; if it or a key of it is locked.
    pub async fn service_id_delete(&self, caller: &Caller, id: &str) -> ManageResult<()> {
        let mut tx = self.inner.store.write(Domain::Identity).await?.and(Domain::Sessions);
        let service_id = reach(&mut tx, caller, id).await?;
        unlocked(&service_id)?;
        let keys = api_keys_admin::list(&mut tx, &service_id.account_id, Some(&service_id.iam_id)).await?;
        if let Some(key) = keys.into_iter().find(|key| key.locked) {
            return Err(ManageError::Locked { what: "API key", id: key.id });
        }
        service_ids::delete(&mut tx, &service_id).await.map_err(|error| ManageError::of_write(error, WHAT))?;
        identities::forget(&mut tx, &service_id.account_id, &service_id.iam_id).await?;
        Ok(tx.commit().await?)
    }

    async fn service_id_write(&self, conn: &mut Conn, service_id: &mut ServiceId) -> ManageResult<()> {
        service_id.modified_at = self.now_ms();
        service_ids::update(conn, service_id).await.map_err(|error| ManageError::of_write(error, WHAT))?;
        service_id.revision += 1;
        Ok(())
    }

    /// Makes a group.
    ///
    /// # Errors
    /// If the account is not the token's, or the name is taken.
    pub async fn service_id_group_create(
        &self,
        caller: &Caller,
        account_id: &str,
        name: &str,
        description: Option<&str>,
    ) -> ManageResult<Group> {
        let account_id = manage::account(caller, Some(account_id))?;
        let now = self.now_ms();
        let group = Group {
            id: format!("ServiceIdGroup-{}", id::uuid()),
            account_id: account_id.to_owned(),
            name: manage::name(name)?,
            description: manage::description(description)?,
            created_by: caller.iam_id.clone(),
            created_at: now,
            modified_at: now,
            revision: 1,
        };
        let mut tx = self.inner.store.write(Domain::Identity).await?;
        if service_ids::groups(&mut tx, account_id).await?.len() >= usize::try_from(MOST_GROUPS).unwrap_or_default() {
            return Err(ManageError::TooMany { what: "service ID groups in this account", limit: MOST_GROUPS });
        }
        service_ids::group_insert(&mut tx, &group).await.map_err(|error| name_taken(error, &group.name))?;
        tx.commit().await?;
        Ok(group)
    }

    /// The groups of an account, in the order in which they were made.
    ///
    /// # Errors
    /// If the account is not the token's.
    pub async fn service_id_groups_list(&self, caller: &Caller, account_id: Option<&str>) -> ManageResult<Vec<Group>> {
        let account_id = manage::account(caller, account_id)?;
        Ok(service_ids::groups(&mut *self.inner.store.read().await?, account_id).await?)
    }

    /// One group.
    ///
    /// # Errors
    /// [`ManageError::NotFound`].
    pub async fn service_id_group_get(&self, caller: &Caller, id: &str) -> ManageResult<Group> {
        group_find(&mut *self.inner.store.read().await?, caller.account()?, id).await
    }

    /// Gives a group another name and description.
    ///
    /// # Errors
    /// [`ManageError::NotFound`]; if it is not as `if_match` says, or the name is taken.
    pub async fn service_id_group_update(
        &self,
        caller: &Caller,
        id: &str,
        if_match: Option<&str>,
        name: &str,
        description: Option<&str>,
    ) -> ManageResult<Group> {
        let mut tx = self.inner.store.write(Domain::Identity).await?;
        let mut group = group_find(&mut tx, caller.account()?, id).await?;
        manage::if_match(if_match, GROUP, group.revision, &group.id)?;
        group.name = manage::name(name)?;
        if description.is_some() {
            group.description = manage::description(description)?;
        }
        group.modified_at = self.now_ms();
        service_ids::group_update(&mut tx, &group).await.map_err(|error| name_taken(error, &group.name))?;
        tx.commit().await?;
        group.revision += 1;
        Ok(group)
    }

    /// Deletes a group that is empty.
    ///
    /// # Errors
    /// [`ManageError::NotFound`]; if service IDs are in it.
    pub async fn service_id_group_delete(&self, caller: &Caller, id: &str) -> ManageResult<()> {
        let mut tx = self.inner.store.write(Domain::Identity).await?;
        let group = group_find(&mut tx, caller.account()?, id).await?;
        let inside = service_ids::count(&mut tx, &group.account_id, Some(&group.id)).await?;
        if inside > 0 {
            let text = format!("The service ID group '{}' holds {inside} service IDs. Delete those first.", group.id);
            return Err(ManageError::Taken(text));
        }
        service_ids::group_delete(&mut tx, &group).await.map_err(|error| ManageError::of_write(error, GROUP))?;
        Ok(tx.commit().await?)
    }
}

/// The service ID of that ID in the caller's account, if the operation may be done to it.
async fn reach(conn: &mut Conn, caller: &Caller, id: &str) -> ManageResult<ServiceId> {
    let account_id = caller.account()?;
    let found = service_ids::get(conn, account_id, id).await?;
    let service_id = found.ok_or_else(|| ManageError::NotFound { what: WHAT, id: manage::shortened(id) })?;
    caller.permit(&manage::resource(account_id, "serviceid", &service_id.id))?;
    Ok(service_id)
}

async fn group_find(conn: &mut Conn, account_id: &str, id: &str) -> ManageResult<Group> {
    let groups = service_ids::groups(conn, account_id).await?;
    let found = groups.into_iter().find(|group| group.id == id);
    found.ok_or_else(|| ManageError::NotFound { what: GROUP, id: manage::shortened(id) })
}

fn unlocked(service_id: &ServiceId) -> ManageResult<()> {
    if service_id.locked { Err(ManageError::Locked { what: WHAT, id: service_id.id.clone() }) } else { Ok(()) }
}

fn name_taken(error: boatyard_store::Error, name: &str) -> ManageError {
    match error {
        boatyard_store::Error::Duplicate => {
            ManageError::Taken(format!("There is a service ID group '{name}' already. Choose another name."))
        }
        other => ManageError::of_write(other, GROUP),
    }
}

fn crns(given: Vec<String>) -> ManageResult<Vec<String>> {
    if given.len() > MOST_CRNS || given.iter().any(|crn| !crn.starts_with("crn:") || crn.len() > 1024) {
        let why = format!("must be a list of at most {MOST_CRNS} CRNs, which begin with 'crn:'.");
        return Err(ManageError::invalid("unique_instance_crns", why));
    }
    Ok(given)
}

fn field(service_id: &ServiceId, name: &str) -> Option<String> {
    Some(match name {
        "id" => service_id.id.clone(),
        "iam_id" => service_id.iam_id.clone(),
        "name" => service_id.name.clone(),
        "description" => service_id.description.clone(),
        "created_by" => service_id.created_by.clone(),
        "created_at" => manage::date(service_id.created_at),
        "modified_at" => manage::date(service_id.modified_at),
        "locked" => service_id.locked.to_string(),
        _ => return None,
    })
}
