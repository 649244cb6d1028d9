//! Users of an account: `/v2/accounts/{account_id}/users` and what belongs to them.

use axum::response::Response;
use boatyard_api::ops::user_management;
use boatyard_api::user_management::{
    AcceptRequest, InviteUserIamPolicy, InviteUsersRequest, InvitedUser, InvitedUserList, UpdateUserProfileRequest,
    UpdateUserSettingsRequest, UserList, UserProfile, UserSettings,
};
use boatyard_core::clock::{from_ms, rfc3339_ms};
use boatyard_iam::{AccessGrant, AccountUser, Invitation, MOST_USERS, Profile, UserError, UserQuery};
use http::StatusCode;

use super::{done, given};
use crate::call::Call;
use crate::operations::Bindings;
use crate::problem::Problem;
use crate::respond;

pub fn bind(bindings: Bindings) -> Bindings {
    bindings
        .bind(&user_management::ListUsers, users_list)
        .bind(&user_management::InviteUsers, users_invite)
        .bind(&user_management::GetUserProfile, user_get)
        .bind(&user_management::UpdateUserProfile, user_update)
        .bind(&user_management::RemoveUser, user_remove)
        .bind(&user_management::V3RemoveUser, user_remove)
        .bind(&user_management::GetUserSettings, user_settings_get)
        .bind(&user_management::UpdateUserSettings, user_settings_update)
        .bind(&user_management::Accept, invitation_accept)
}

async fn users_list(call: Call) -> Result<Response, Problem> {
    let account_id = call.path("account_id");
    let present = |name: &str| call.query(name).filter(|value| !value.is_empty());
    let limit = present("limit").map(|text| limit(&text)).transpose()?;
    let query = UserQuery {
        limit: limit.unwrap_or(MOST_USERS),
        start: present("_start"),
        username: present("user_id"),
        search: present("search"),
    };
    let page = call.app.iam.users_list(call.caller()?, account_id, &query).await?;
    let settings = call.query_flag("include_settings");
    let url = |start: Option<&str>| {
        let kept = ["limit", "include_settings", "search", "user_id"].map(|name| (name, present(name)));
        let kept = kept.into_iter().filter_map(|(name, value)| Some((name, value?)));
        let pairs: Vec<_> = start.map(|start| ("_start", start.to_owned())).into_iter().chain(kept).collect();
        let query = serde_urlencoded::to_string(pairs).expect("names and texts can always be written as a query");
        let mark = if query.is_empty() { "" } else { "?" };
        // A relative path: clients put their own endpoint before it.
        format!("/v2/accounts/{account_id}/users{mark}{query}")
    };
    let body = UserList {
        total_results: number(page.total),
        limit: number(query.limit),
        first_url: Some(url(None)),
        next_url: page.next.as_deref().map(|start| url(Some(start))),
        resources: page.users.into_iter().map(|user| profile(user, settings)).collect(),
    };
    Ok(respond::json(StatusCode::OK, &body))
}

async fn users_invite(call: Call) -> Result<Response, Problem> {
    let body: InviteUsersRequest = call.json()?;
    let mut emails = Vec::new();
    for user in body.users {
        let role = given(&user.account_role).trim();
        if !role.is_empty() && !role.eq_ignore_ascii_case("member") {
            let text = format!("'{role}' is no 'account_role'. Leave it out, or say 'Member'; give access with 'iam_policy'.");
            return Err(UserError::Invalid(text).into());
        }
        emails.push(user.email.unwrap_or_default());
    }
    let policies = body.iam_policy.into_iter().map(grant).collect::<Result<_, _>>()?;
    let invitation = Invitation { emails, policies, groups: body.access_groups };
    let invited = call.app.iam.users_invite(call.caller()?, call.path("account_id"), &invitation).await?;
    let invited = invited.into_iter().map(|user| InvitedUser {
        email: Some(user.username),
        id: Some(user.iam_id),
        state: Some(user.state),
    });
    Ok(respond::json(StatusCode::ACCEPTED, &InvitedUserList { resources: invited.collect() }))
}

/// A policy of version 1 without its subject.
fn grant(policy: InviteUserIamPolicy) -> Result<AccessGrant, UserError> {
    let refuse = |text: &str| Err(UserError::Invalid(text.to_owned()));
    if policy.type_ != "access" {
        return refuse("The 'type' of each policy is 'access'.");
    }
    if policy.resources.len() > 1 {
        return refuse("Each policy has one entry in 'resources'. Send a policy for each of them.");
    }
    let attributes = policy.resources.into_iter().flat_map(|resource| resource.attributes);
    Ok(AccessGrant {
        roles: policy.roles.into_iter().map(|role| role.role_id.unwrap_or_default()).collect(),
        attributes: attributes.map(|a| (a.name.unwrap_or_default(), a.value.unwrap_or_default())).collect(),
    })
}

async fn user_get(call: Call) -> Result<Response, Problem> {
    let user = call.app.iam.user_get(call.caller()?, call.path("account_id"), call.path("iam_id")).await?;
    Ok(respond::json(StatusCode::OK, &profile(user, false)))
}

async fn user_update(call: Call) -> Result<Response, Problem> {
    let UpdateUserProfileRequest { firstname, lastname, state, email, phonenumber, altphonenumber, photo } = call.json()?;
    let change = Profile { firstname, lastname, email, phonenumber, altphonenumber, photo };
    let (account, user) = (call.path("account_id"), call.path("iam_id"));
    // Clients written in Go send empty text where they mean nothing.
    let state = state.as_deref().filter(|state| !state.is_empty());
    call.app.iam.user_update(call.caller()?, account, user, change, state).await?;
    done(&call)
}

async fn user_remove(call: Call) -> Result<Response, Problem> {
    call.app.iam.user_remove(call.caller()?, call.path("account_id"), call.path("iam_id")).await?;
    done(&call)
}

async fn user_settings_get(call: Call) -> Result<Response, Problem> {
    let found = call.app.iam.user_settings_get(call.caller()?, call.path("account_id"), call.path("iam_id")).await?;
    Ok(respond::json(StatusCode::OK, &settings(found)))
}

async fn user_settings_update(call: Call) -> Result<Response, Problem> {
    let UpdateUserSettingsRequest { language, notification_language, allowed_ip_addresses, self_manage } = call.json()?;
    let change = boatyard_iam::UserSettings { language, notification_language, allowed_ip_addresses, self_manage };
    call.app.iam.user_settings_update(call.caller()?, call.path("account_id"), call.path("iam_id"), change).await?;
    done(&call)
}

async fn invitation_accept(call: Call) -> Result<Response, Problem> {
    let AcceptRequest { account_id } = call.json()?;
    call.app.iam.invitation_accept(call.caller()?, given(&account_id)).await?;
    done(&call)
}

fn profile(user: AccountUser, with_settings: bool) -> UserProfile {
    UserProfile {
        id: Some(user.iam_id.clone()),
        realm: Some(user.realm().to_owned()),
        settings: with_settings.then(|| settings(user.settings)),
        iam_id: Some(user.iam_id),
        user_id: Some(user.username),
        firstname: user.profile.firstname,
        lastname: user.profile.lastname,
        state: Some(user.state),
        email: user.profile.email,
        phonenumber: Some(user.profile.phonenumber.unwrap_or_default()),
        altphonenumber: Some(user.profile.altphonenumber.unwrap_or_default()),
        photo: Some(user.profile.photo.unwrap_or_default()),
        account_id: Some(user.account_id),
        added_on: Some(rfc3339_ms(from_ms(user.added_at))),
    }
}

/// Settings with their defaults.
fn settings(settings: boatyard_iam::UserSettings) -> UserSettings {
    UserSettings {
        language: Some(settings.language.unwrap_or_default()),
        notification_language: Some(settings.notification_language.unwrap_or_default()),
        allowed_ip_addresses: Some(settings.allowed_ip_addresses.unwrap_or_default()),
        self_manage: Some(settings.self_manage.unwrap_or_default()),
    }
}

fn limit(text: &str) -> Result<usize, UserError> {
    let limit = text.parse().ok().filter(|limit| (1..=MOST_USERS).contains(limit));
    limit.ok_or_else(|| UserError::Invalid(format!("'limit' must be a whole number from 1 to {MOST_USERS}.")))
}

fn number(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

impl From<UserError> for Problem {
    fn from(error: UserError) -> Self {
        let (status, code) = match error {
            UserError::Iam(error) => return error.into(),
            UserError::Invalid(_) => (StatusCode::BAD_REQUEST, "invalid_request"),
            UserError::AccountNotFound(_)
            | UserError::UserNotFound(_)
            | UserError::NotInvited(_)
            | UserError::GroupNotFound(_) => (StatusCode::NOT_FOUND, "not_found"),
            UserError::OwnerStays => (StatusCode::BAD_REQUEST, "owner"),
            UserError::AlreadyMember(_) | UserError::NotAccepted => (StatusCode::CONFLICT, "conflict"),
        };
        Problem::new(status, code, "General", error.to_string())
    }
}
