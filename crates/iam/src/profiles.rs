//! Trusted profiles: identities that others become. Who may become one stands in [`crate::trust`].

use boatyard_core::id;
use boatyard_store::profiles::{self, Profile};
use boatyard_store::{Conn, Domain, identities};

use crate::access::Resource;
use crate::listing::{Listing, Page};
use crate::manage::{self, ManageError, ManageResult};
use crate::{Caller, Iam};

/// The most profiles in an account.
pub const MOST_PROFILES: i64 = 1000;
const SORTABLE: [&str; 4] = ["name", "description", "created_at", "modified_at"];
pub(crate) const WHAT: &str = "trusted profile";

/// What a profile is called; `None` stays as it is.
#[derive(Debug, Default)]
pub struct ProfileChange {
    pub name: Option<String>,
    pub description: Option<String>,
    pub email: Option<String>,
}

impl Iam {
    /// Makes a profile, which nobody may assume yet.
    ///
    /// # Errors
    /// If `account_id` is not the token's, the name is taken, or something of it is not acceptable.
    pub async fn profile_create(&self, caller: &Caller, account_id: &str, new: ProfileChange) -> ManageResult<Profile> {
        let account_id = manage::account(caller, Some(account_id))?;
        caller.permit(&Resource::service(account_id, manage::SERVICE))?;
        let (now, id) = (self.now_ms(), format!("Profile-{}", id::uuid()));
        let mut profile = Profile {
            iam_id: format!("iam-{id}"),
            id,
            account_id: account_id.to_owned(),
            name: String::new(),
            description: String::new(),
            email: String::new(),
            created_by: caller.iam_id.clone(),
            created_at: now,
            modified_at: now,
            revision: 1,
        };
        apply(&mut profile, ProfileChange { name: Some(new.name.unwrap_or_default()), ..new })?;
        let mut tx = self.inner.store.write(Domain::Identity).await?;
        if profiles::list(&mut tx, account_id).await?.len() >= usize::try_from(MOST_PROFILES).unwrap_or_default() {
            return Err(ManageError::TooMany { what: "trusted profiles in this account", limit: MOST_PROFILES });
        }
        profiles::insert(&mut tx, &profile).await.map_err(|error| name_taken(error, &profile.name))?;
        tx.commit().await?;
        Ok(profile)
    }

    /// A page of the profiles that the caller may see.
    ///
    /// # Errors
    /// If a parameter is not understood.
    pub async fn profiles_list(&self, caller: &Caller, listing: &Listing) -> ManageResult<Page<Profile>> {
        let account_id = manage::account(caller, listing.get("account_id"))?;
        let mut all = profiles::list(&mut *self.inner.store.read().await?, account_id).await?;
        if let Some(name) = listing.get("name") {
            all.retain(|profile| profile.name == name);
        }
        if !caller.reaches_all() {
            all.retain(|profile| caller.reaches(&manage::resource(account_id, "profile", &profile.id)));
        }
        listing.page(all, &SORTABLE, field)
    }

    /// One profile.
    ///
    /// # Errors
    /// [`ManageError::NotFound`]; a refusal if the caller may not see it.
    pub async fn profile_get(&self, caller: &Caller, id: &str) -> ManageResult<Profile> {
        reach(&mut *self.inner.store.read().await?, caller, id).await
    }

    /// Changes a profile.
    ///
    /// # Errors
    /// As [`Self::profile_get`]; if it is not as `if_match` says, the name is taken, or the change is not acceptable.
    pub async fn profile_update(
        &self,
        caller: &Caller,
        id: &str,
        if_match: Option<&str>,
        change: ProfileChange,
    ) -> ManageResult<Profile> {
        let mut tx = self.inner.store.write(Domain::Identity).await?;
        let mut profile = reach(&mut tx, caller, id).await?;
        manage::if_match(if_match, WHAT, profile.revision, &profile.id)?;
        apply(&mut profile, change)?;
        self.profile_write(&mut tx, &mut profile).await?;
        tx.commit().await?;
        Ok(profile)
    }

    /// Deletes a profile with its policies and memberships, and ends its sessions.
    ///
    /// # Errors
    /// As [`Self::profile_get`].
    pub async fn profile_delete(&self, caller: &Caller, id: &str) -> ManageResult<()> {
        let mut tx = self.inner.store.write(Domain::Identity).await?.and(Domain::Sessions);
        let profile = reach(&mut tx, caller, id).await?;
        profiles::delete(&mut tx, &profile).await.map_err(|error| ManageError::of_write(error, WHAT))?;
        identities::forget(&mut tx, &profile.account_id, &profile.iam_id).await?;
        Ok(tx.commit().await?)
    }

    pub(crate) async fn profile_write(&self, conn: &mut Conn, profile: &mut Profile) -> ManageResult<()> {
        profile.modified_at = self.now_ms();
        profiles::update(conn, profile).await.map_err(|error| name_taken(error, &profile.name))?;
        profile.revision += 1;
        Ok(())
    }
}

/// The profile of that ID in the caller's account, if the operation may be done to it.
pub(crate) async fn reach(conn: &mut Conn, caller: &Caller, id: &str) -> ManageResult<Profile> {
    let account_id = caller.account()?;
    let found = profiles::get(conn, account_id, id).await?;
    let profile = found.ok_or_else(|| ManageError::NotFound { what: WHAT, id: manage::shortened(id) })?;
    caller.permit(&manage::resource(account_id, "profile", &profile.id))?;
    Ok(profile)
}

fn apply(profile: &mut Profile, change: ProfileChange) -> ManageResult<()> {
    if let Some(name) = &change.name {
        profile.name = manage::name(name)?;
    }
    if change.description.is_some() {
        profile.description = manage::description(change.description.as_deref())?;
    }
    if let Some(email) = change.email {
        if !email.is_empty() && (!email.contains('@') || email.len() > 200) {
            return Err(ManageError::invalid("email", "must be an e-mail address of at most 200 bytes."));
        }
        profile.email = email;
    }
    Ok(())
}

fn name_taken(error: boatyard_store::Error, name: &str) -> ManageError {
    match error {
        boatyard_store::Error::Duplicate => {
            ManageError::Taken(format!("There is a trusted profile '{name}' already. Choose another name."))
        }
        other => ManageError::of_write(other, WHAT),
    }
}

fn field(profile: &Profile, name: &str) -> Option<String> {
    Some(match name {
        "id" => profile.id.clone(),
        "iam_id" => profile.iam_id.clone(),
        "name" => profile.name.clone(),
        "description" => profile.description.clone(),
        "created_by" => profile.created_by.clone(),
        "created_at" => manage::date(profile.created_at),
        "modified_at" => manage::date(profile.modified_at),
        _ => return None,
    })
}
