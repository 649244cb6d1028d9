//! What identities prefer while they work in an account.

use boatyard_store::preferences::{self, Preference};
use boatyard_store::{Conn, Domain, access};

use crate::access::Resource;
use crate::manage::{self, ManageError, ManageResult};
use crate::subject::Kind;
use crate::{Caller, Iam};

/// What a preference is set to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PreferenceValue {
    Text(String),
    List(Vec<String>),
}

/// A preference that is set.
#[derive(Clone, Debug)]
pub struct ShownPreference {
    pub service: String,
    pub id: String,
    pub value: PreferenceValue,
}

/// Of whom the preferences are.
#[derive(Clone, Copy, Debug)]
pub struct Scope<'a> {
    pub account_id: &'a str,
    pub iam_id: &'a str,
}

impl Iam {
    /// The preferences of an identity that are set.
    ///
    /// # Errors
    /// If the identity is not in the caller's account, or is not the caller and the caller may not see it.
    pub async fn preferences_list(&self, caller: &Caller, of: Scope<'_>) -> ManageResult<Vec<ShownPreference>> {
        let mut conn = self.inner.store.read().await?;
        reach(&mut conn, caller, of).await?;
        let found = preferences::list(&mut conn, of.account_id, of.iam_id).await?;
        found.into_iter().map(shown).collect()
    }

    /// One preference.
    ///
    /// # Errors
    /// As [`Self::preferences_list`]; [`ManageError::NotFound`] if it is not set.
    pub async fn preference_get(
        &self,
        caller: &Caller,
        of: Scope<'_>,
        service: &str,
        id: &str,
    ) -> ManageResult<ShownPreference> {
        let all = self.preferences_list(caller, of).await?;
        all.into_iter().find(|found| found.service == service && found.id == id).ok_or_else(|| not_set(service, id))
    }

    /// Sets a preference.
    ///
    /// # Errors
    /// As [`Self::preferences_list`]; if there is no such preference, or the value is not of its kind.
    pub async fn preference_set(
        &self,
        caller: &Caller,
        of: Scope<'_>,
        service: &str,
        id: &str,
        value: (Option<String>, Option<Vec<String>>),
    ) -> ManageResult<ShownPreference> {
        let value = acceptable(service, id, value)?;
        let mut tx = self.inner.store.write(Domain::Sessions).await?;
        reach(&mut tx, caller, of).await?;
        let json = match &value {
            PreferenceValue::Text(text) => serde_json::to_string(text),
            PreferenceValue::List(list) => serde_json::to_string(list),
        };
        let json = json.map_err(boatyard_store::Error::from)?;
        let preference = Preference { service: service.to_owned(), id: id.to_owned(), value: json };
        preferences::set(&mut tx, of.account_id, of.iam_id, &preference).await?;
        tx.commit().await?;
        Ok(ShownPreference { service: preference.service, id: preference.id, value })
    }

    /// Removes a preference.
    ///
    /// # Errors
    /// As [`Self::preference_get`].
    pub async fn preference_delete(&self, caller: &Caller, of: Scope<'_>, service: &str, id: &str) -> ManageResult<()> {
        let mut tx = self.inner.store.write(Domain::Sessions).await?;
        reach(&mut tx, caller, of).await?;
        if !preferences::delete(&mut tx, of.account_id, of.iam_id, service, id).await? {
            return Err(not_set(service, id));
        }
        Ok(tx.commit().await?)
    }
}

async fn reach(conn: &mut Conn, caller: &Caller, of: Scope<'_>) -> ManageResult<()> {
    let account_id = manage::account(caller, Some(of.account_id))?;
    if of.iam_id == caller.iam_id {
        return Ok(());
    }
    caller.permit(&Resource::service(account_id, manage::SERVICE))?;
    let inside = match Kind::of(of.iam_id) {
        Kind::User => access::is_member(conn, account_id, of.iam_id).await?,
        _ => access::machine(conn, of.iam_id).await?.is_some_and(|machine| machine.account_id == account_id),
    };
    if inside { Ok(()) } else { Err(ManageError::NotFound { what: "identity", id: manage::shortened(of.iam_id) }) }
}

/// The preferences that there are, and that a value is of their kind.
fn acceptable(service: &str, id: &str, value: (Option<String>, Option<Vec<String>>)) -> ManageResult<PreferenceValue> {
    match (service, id, value) {
        ("console", "landing_page", (Some(path), None)) if path.starts_with('/') && path.len() <= 1024 => {
            Ok(PreferenceValue::Text(path))
        }
        ("console", "landing_page", _) => {
            Err(ManageError::invalid("value_string", "must be a path such as '/iam', and the only value."))
        }
        ("console", "global_left_navigation", (None, Some(list)))
            if list.len() <= 100 && list.iter().all(|entry| (1..=100).contains(&entry.len())) =>
        {
            Ok(PreferenceValue::List(list))
        }
        ("console", "global_left_navigation", _) => {
            Err(ManageError::invalid("value_list_of_strings", "must be a list of at most 100 names, and the only value."))
        }
        _ => Err(ManageError::invalid(
            "preference_id",
            "is not one there is. Preferences are console/landing_page and console/global_left_navigation.",
        )),
    }
}

fn shown(preference: Preference) -> ManageResult<ShownPreference> {
    let Preference { service, id, value } = preference;
    let value = match serde_json::from_str::<String>(&value) {
        Ok(text) => PreferenceValue::Text(text),
        Err(_) => PreferenceValue::List(serde_json::from_str(&value).map_err(boatyard_store::Error::from)?),
    };
    Ok(ShownPreference { service, id, value })
}

fn not_set(service: &str, id: &str) -> ManageError {
    ManageError::NotFound { what: "preference", id: manage::shortened(&format!("{service}/{id}")) }
}
