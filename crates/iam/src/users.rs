//! Users of an account: who is in it, how they get in, what it says of them, and how they are taken out.
//!
//! Whoever is invited is a member in the state `PENDING`, to whom no token is issued for the account, until the invitation is accepted.

mod valid;

use boatyard_core::id;
use boatyard_store::members::{self, Member, NewPolicy};
use boatyard_store::{Conn, Domain, Tx, account_settings, accounts, users};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use tracing::info;

use crate::access::Resource;
use crate::{Caller, Error, Iam};
pub(crate) use valid::role;
use valid::{addresses, holds, new_state, page_start, search, shorten, valid_grant, valid_profile, valid_settings};

/// The service that members of accounts belong to.
const SERVICE: &str = "user-management";
const RETRIEVE: &str = "user-management.user.retrieve";
const UPDATE: &str = "user-management.user.update";
/// The most users that one page of the list holds, and that one request invites.
pub const MOST_USERS: usize = 100;
/// The longest text that a profile or a setting holds, in bytes.
const LONGEST_TEXT: usize = 1000;
/// States that an administrator can give to a user who has accepted.
const STATES: [&str; 3] = ["ACTIVE", "VPN_ONLY", "DISABLED_CLASSIC_INFRASTRUCTURE"];
/// Of a member who was invited and has not accepted.
pub(crate) const PENDING: &str = "PENDING";

pub type Result<T, E = UserError> = std::result::Result<T, E>;

/// What user management refuses.
#[derive(Debug, thiserror::Error)]
pub enum UserError {
    /// The text says what is wrong and what is right.
    #[error("{0}")]
    Invalid(String),
    #[error("The account '{0}' could not be found. Request a token with the ID of the account as 'bss_account'.")]
    AccountNotFound(String),
    #[error("The user '{0}' could not be found in this account. List its users to see their IAM IDs.")]
    UserNotFound(String),
    #[error("You have no invitation to the account '{0}'. Ask one of its administrators to invite you.")]
    NotInvited(String),
    #[error("The user '{0}' is a member of this account already. Give access with policies and access groups.")]
    AlreadyMember(String),
    #[error("The owner of an account stays in it. Only other users can be removed or given another state.")]
    OwnerStays,
    #[error("The user has not accepted the invitation yet; until then the state is PENDING.")]
    NotAccepted,
    #[error("The access group '{0}' could not be found in this account. List its access groups to see their IDs.")]
    GroupNotFound(String),
    #[error(transparent)]
    Iam(#[from] Error),
}

impl From<boatyard_store::Error> for UserError {
    fn from(error: boatyard_store::Error) -> Self {
        UserError::Iam(error.into())
    }
}

/// What an account says of a user. What is missing is as the user says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Profile {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub firstname: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lastname: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phonenumber: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub altphonenumber: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub photo: Option<String>,
}

impl Profile {
    fn members(&mut self) -> [(&'static str, &mut Option<String>); 6] {
        [
            ("firstname", &mut self.firstname),
            ("lastname", &mut self.lastname),
            ("email", &mut self.email),
            ("phonenumber", &mut self.phonenumber),
            ("altphonenumber", &mut self.altphonenumber),
            ("photo", &mut self.photo),
        ]
    }
}

/// Settings of a user in an account; as a change, what is missing stays.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct UserSettings {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub notification_language: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allowed_ip_addresses: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub self_manage: Option<bool>,
}

/// A user of an account.
#[derive(Clone, Debug)]
pub struct AccountUser {
    pub account_id: String,
    pub iam_id: String,
    pub username: String,
    pub state: String,
    pub profile: Profile,
    pub settings: UserSettings,
    /// Milliseconds since the Unix epoch.
    pub added_at: i64,
}

impl AccountUser {
    fn of(member: Member) -> Result<Self> {
        let Profile { firstname, lastname, email, phonenumber, altphonenumber, photo } = document(&member.profile)?;
        let settings = document(&member.settings)?;
        let profile = Profile {
            firstname: firstname.or(Some(member.given_name)),
            lastname: lastname.or(Some(member.family_name)),
            email: email.or(Some(member.email)),
            phonenumber,
            altphonenumber,
            photo,
        };
        let Member { account_id, iam_id, username, state, added_at, .. } = member;
        Ok(Self { account_id, iam_id, username, state, profile, settings, added_at })
    }

    /// `IBMid` and the like: what stands before the first `-` of the IAM ID.
    #[must_use]
    pub fn realm(&self) -> &str {
        self.iam_id.split_once('-').map_or(self.iam_id.as_str(), |(realm, _)| realm)
    }

    /// What a search looks at; `None` for a field that there is not.
    fn field(&self, name: &str) -> Option<&str> {
        Some(match name {
            "firstname" => self.profile.firstname.as_deref().unwrap_or_default(),
            "lastname" => self.profile.lastname.as_deref().unwrap_or_default(),
            "email" => self.profile.email.as_deref().unwrap_or_default(),
            "state" => &self.state,
            // Only users of classic infrastructure have one.
            "substate" => "",
            "iam_id" => &self.iam_id,
            "realm" => self.realm(),
            "userId" | "user_id" => &self.username,
            _ => return None,
        })
    }
}

/// Which users of an account to list.
#[derive(Clone, Debug, Default)]
pub struct UserQuery {
    /// The most users to answer: 1 to [`MOST_USERS`].
    pub limit: usize,
    /// Where the page begins, as the page before said.
    pub start: Option<String>,
    pub username: Option<String>,
    /// `field:text`, with commas between.
    pub search: Option<String>,
}

/// A page of users.
#[derive(Debug)]
pub struct UserPage {
    pub users: Vec<AccountUser>,
    /// On all pages.
    pub total: usize,
    /// Where the next page starts; `None` on the last.
    pub next: Option<String>,
}

/// Whom to invite, and with what access.
#[derive(Clone, Debug, Default)]
pub struct Invitation {
    pub emails: Vec<String>,
    pub policies: Vec<Grant>,
    /// IDs of access groups.
    pub groups: Vec<String>,
}

/// Roles on something: an access policy without its subject.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grant {
    /// CRNs.
    pub roles: Vec<String>,
    /// Names and values, all of which must be equal, besides the account.
    pub attributes: Vec<(String, String)>,
}

impl Grant {
    /// The policy that gives it to `subject`, in the form of v2.
    pub(crate) fn document(&self, account_id: &str, subject: &str) -> Value {
        let equals = |key: &str, value: &str| json!({ "key": key, "operator": "stringEquals", "value": value });
        let own = self.attributes.iter().filter(|(key, _)| key != "accountId");
        let resource: Vec<_> =
            [equals("accountId", account_id)].into_iter().chain(own.map(|(key, value)| equals(key, value))).collect();
        let roles: Vec<_> = self.roles.iter().map(|crn| json!({ "role_id": crn })).collect();
        json!({
            "type": "access",
            "subject": { "attributes": [equals("iam_id", subject)] },
            "resource": { "attributes": resource },
            "control": { "grant": { "roles": roles } },
        })
    }
}

impl Iam {
    /// Users of an account, the oldest members first.
    ///
    /// # Errors
    /// If the account is not the caller's, or the query is not understood.
    pub async fn users_list(&self, caller: &Caller, account_id: &str, query: &UserQuery) -> Result<UserPage> {
        of_token(caller, account_id)?;
        let search = query.search.as_deref().map(search).transpose()?.unwrap_or_default();
        let start = query.start.as_deref().map(page_start).transpose()?;
        let mut conn = self.inner.store.read().await?;
        let all = members::list(&mut conn, account_id).await?;
        let everybody = may(caller, RETRIEVE) || !restricted(&mut conn, account_id).await?;
        let shown = all.into_iter().filter(|member| everybody || member.iam_id == caller.iam_id);
        let users: Vec<_> = shown.map(AccountUser::of).collect::<Result<_>>()?;
        let wanted = |user: &AccountUser| {
            let named = query.username.as_ref().is_none_or(|name| name.eq_ignore_ascii_case(&user.username));
            named && (search.is_empty() || search.iter().any(|(field, text)| holds(user, field, text)))
        };
        let users: Vec<_> = users.into_iter().filter(wanted).collect();
        let total = users.len();
        let after = |user: &AccountUser| start.as_ref().is_none_or(|(at, id)| (user.added_at, &user.iam_id) > (*at, id));
        let mut rest = users.into_iter().filter(after);
        let page: Vec<_> = rest.by_ref().take(query.limit.clamp(1, MOST_USERS)).collect();
        let next = match (page.last(), rest.next()) {
            (Some(last), Some(_)) => Some(format!("{}-{}", last.added_at, last.iam_id)),
            _ => None,
        };
        Ok(UserPage { users: page, total, next })
    }

    /// One user of an account.
    ///
    /// # Errors
    /// [`UserError::UserNotFound`], or the caller may not see others.
    pub async fn user_get(&self, caller: &Caller, account_id: &str, iam_id: &str) -> Result<AccountUser> {
        of_token(caller, account_id)?;
        let mut conn = self.inner.store.read().await?;
        if iam_id != caller.iam_id && restricted(&mut conn, account_id).await? {
            caller.permit_account(RETRIEVE)?;
        }
        AccountUser::of(member(&mut conn, account_id, iam_id).await?)
    }

    /// The settings of a user in an account.
    ///
    /// # Errors
    /// [`UserError::UserNotFound`], or the caller may not see those of others.
    pub async fn user_settings_get(&self, caller: &Caller, account_id: &str, iam_id: &str) -> Result<UserSettings> {
        of_token(caller, account_id)?;
        if iam_id != caller.iam_id {
            caller.permit_account(RETRIEVE)?;
        }
        let mut conn = self.inner.store.read().await?;
        Ok(AccountUser::of(member(&mut conn, account_id, iam_id).await?)?.settings)
    }

    /// Changes what an account says of a user, and the state. What is `None` stays; an empty text takes back what was said.
    ///
    /// # Errors
    /// If the caller may not, or something is not valid.
    pub async fn user_update(
        &self,
        caller: &Caller,
        account_id: &str,
        iam_id: &str,
        mut change: Profile,
        state: Option<&str>,
    ) -> Result<()> {
        of_token(caller, account_id)?;
        if iam_id != caller.iam_id || state.is_some() {
            caller.permit_account(UPDATE)?;
        }
        valid_profile(&mut change)?;
        let (mut tx, mut member) = self.member_begin(account_id, iam_id).await?;
        if let Some(state) = state.filter(|state| *state != member.state) {
            new_state(&member, state)?;
            member.state = state.to_owned();
        }
        let mut profile: Profile = document(&member.profile)?;
        for ((_, kept), (_, given)) in profile.members().into_iter().zip(change.members()) {
            if let Some(given) = given.take() {
                *kept = Some(given).filter(|text| !text.is_empty());
            }
        }
        member.profile = text(&profile)?;
        members::update(&mut tx, &member).await?;
        Ok(tx.commit().await?)
    }

    /// Changes settings of a user in an account. What is `None` stays.
    ///
    /// # Errors
    /// If the caller may not, or something is not valid.
    pub async fn user_settings_update(
        &self,
        caller: &Caller,
        account_id: &str,
        iam_id: &str,
        change: UserSettings,
    ) -> Result<()> {
        of_token(caller, account_id)?;
        let own = iam_id == caller.iam_id;
        if !own || change.self_manage.is_some() {
            caller.permit_account(UPDATE)?;
        }
        valid_settings(&change)?;
        let (mut tx, mut member) = self.member_begin(account_id, iam_id).await?;
        let mut settings: UserSettings = document(&member.settings)?;
        if change.allowed_ip_addresses.is_some() && settings.self_manage != Some(true) {
            caller.permit_account(UPDATE)?;
        }
        let UserSettings { language, notification_language, allowed_ip_addresses, self_manage } = change;
        settings.language = language.or(settings.language);
        settings.notification_language = notification_language.or(settings.notification_language);
        settings.allowed_ip_addresses = allowed_ip_addresses.or(settings.allowed_ip_addresses);
        settings.self_manage = self_manage.or(settings.self_manage);
        member.settings = text(&settings)?;
        members::update(&mut tx, &member).await?;
        Ok(tx.commit().await?)
    }

    /// Invites users, who are made if nobody has the address: all of them or none. Who was invited before gets the access that is
    /// given along now.
    ///
    /// # Errors
    /// If something of the invitation is not valid, somebody is a member already, or the caller may not give the access along.
    pub async fn users_invite(&self, caller: &Caller, account_id: &str, invitation: &Invitation) -> Result<Vec<AccountUser>> {
        of_token(caller, account_id)?;
        let emails = addresses(&invitation.emails)?;
        // Whoever may only invite must not give away rights by inviting.
        if !invitation.policies.is_empty() {
            caller.permit_account("iam.policy.create")?;
        }
        if !invitation.groups.is_empty() {
            caller.permit_account("iam-groups.members.add")?;
        }
        invitation.policies.iter().try_for_each(valid_grant)?;
        let now = self.inner.clock.now().as_millisecond();
        let mut tx = self.inner.store.write(Domain::Identity).await?;
        accounts::lock(&mut tx, account_id).await?;
        let mut invited = Vec::new();
        for email in &emails {
            let user = self.user_ensure(&mut tx, email).await?;
            if members::get(&mut tx, account_id, &user).await?.is_some_and(|known| known.state != PENDING) {
                return Err(UserError::AlreadyMember(email.clone()));
            }
            members::invite(&mut tx, account_id, &user, now).await?;
            for grant in &invitation.policies {
                self.grant_ensure(&mut tx, account_id, &user, grant, &caller.iam_id).await?;
            }
            for group in &invitation.groups {
                if !members::group_join(&mut tx, account_id, group, &user, &caller.iam_id, now).await? {
                    return Err(UserError::GroupNotFound(group.clone()));
                }
            }
            invited.push(AccountUser::of(member(&mut tx, account_id, &user).await?)?);
        }
        tx.commit().await?;
        info!(account = account_id, invited = invited.len(), by = %caller.iam_id, "users invited");
        Ok(invited)
    }

    /// Makes the caller an active member of an account that has invited them; does nothing for one who is.
    ///
    /// # Errors
    /// [`UserError::NotInvited`].
    pub async fn invitation_accept(&self, caller: &Caller, account_id: &str) -> Result<()> {
        if account_id.is_empty() {
            return Err(UserError::Invalid("Give the ID of the account that has invited you as 'account_id'.".to_owned()));
        }
        let not_invited = || UserError::NotInvited(shorten(account_id));
        let mut tx = self.inner.store.write(Domain::Identity).await?;
        let mut member = members::get(&mut tx, account_id, &caller.iam_id).await?.ok_or_else(not_invited)?;
        if member.state != PENDING {
            return Ok(());
        }
        "ACTIVE".clone_into(&mut member.state);
        members::update(&mut tx, &member).await?;
        tx.commit().await?;
        info!(account = account_id, user = %caller.iam_id, "invitation accepted");
        Ok(())
    }

    /// Takes a user out of an account, with all that the user has there; tokens are refused from the next request on.
    ///
    /// # Errors
    /// [`UserError::UserNotFound`], [`UserError::OwnerStays`].
    pub async fn user_remove(&self, caller: &Caller, account_id: &str, iam_id: &str) -> Result<()> {
        of_token(caller, account_id)?;
        let (tx, member) = self.member_begin(account_id, iam_id).await?;
        if member.owner {
            return Err(UserError::OwnerStays);
        }
        let mut tx = tx.and(Domain::Sessions);
        members::remove(&mut tx, account_id, iam_id).await?;
        tx.commit().await?;
        info!(account = account_id, user = iam_id, by = %caller.iam_id, "user removed");
        Ok(())
    }

    /// Begins to change a member: changes of one account's members come one after another.
    async fn member_begin(&self, account_id: &str, iam_id: &str) -> Result<(Tx, Member)> {
        let mut tx = self.inner.store.write(Domain::Identity).await?;
        accounts::lock(&mut tx, account_id).await?;
        let member = member(&mut tx, account_id, iam_id).await?;
        Ok((tx, member))
    }

    /// The user of an address, who is made without a password if there is none. Returns the IAM ID.
    async fn user_ensure(&self, conn: &mut Conn, email: &str) -> Result<String> {
        if let Some(known) = users::by_username(conn, email).await? {
            return Ok(known.iam_id);
        }
        let user = self.new_user(email, "", "", None);
        users::insert(conn, &user).await?;
        Ok(user.iam_id)
    }

    /// Gives roles to an identity unless it has the very same policy. Returns whether it was missing.
    pub(crate) async fn grant_ensure(
        &self,
        conn: &mut Conn,
        account_id: &str,
        subject: &str,
        grant: &Grant,
        by: &str,
    ) -> Result<bool, boatyard_store::Error> {
        let document = grant.document(account_id, subject);
        for known in members::policies(conn, account_id, subject).await? {
            if serde_json::from_str::<Value>(&known)? == document {
                return Ok(false);
            }
        }
        let now_ms = self.inner.clock.now().as_millisecond();
        let new = NewPolicy { id: id::uuid(), account_id, subject, document: document.to_string(), by, now_ms };
        members::policy_add(conn, new).await?;
        Ok(true)
    }
}

/// The account must be the one of the token; any other is as if it did not exist.
fn of_token(caller: &Caller, account_id: &str) -> Result<()> {
    if caller.account()? == account_id { Ok(()) } else { Err(UserError::AccountNotFound(shorten(account_id))) }
}

fn may(caller: &Caller, action: &str) -> bool {
    caller.account().is_ok_and(|account| caller.may(action, &Resource::service(account, SERVICE)))
}

/// Whether members of an account see each other only with a role.
async fn restricted(conn: &mut Conn, account_id: &str) -> Result<bool> {
    let Some(settings) = account_settings::get(conn, account_id, "identity").await? else { return Ok(false) };
    let settings: Map<String, Value> = document(&settings.document)?;
    Ok(settings.get("restrict_user_list_visibility").is_some_and(|value| value == "RESTRICTED"))
}

async fn member(conn: &mut Conn, account_id: &str, iam_id: &str) -> Result<Member> {
    members::get(conn, account_id, iam_id).await?.ok_or_else(|| UserError::UserNotFound(shorten(iam_id)))
}

fn document<T: for<'a> Deserialize<'a>>(stored: &str) -> Result<T> {
    serde_json::from_str(stored).map_err(|error| boatyard_store::Error::from(error).into())
}

fn text(document: &impl Serialize) -> Result<String> {
    serde_json::to_string(document).map_err(|error| boatyard_store::Error::from(error).into())
}
