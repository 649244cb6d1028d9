//! What an account says about its identities, its limits, and preferences: `/v1/accounts/{account}/…`, `/v1/mfa`, `/v1/preferences`.

use std::collections::BTreeMap;

use axum::response::Response;
use boatyard_api::iam_identity::{
    AccountBasedMfaEnrollment, AccountSettingsEffectiveSection, AccountSettingsResponse, AccountSettingsUserDomainRestriction,
    AccountSettingsUserMfaResponse, BulkListAccountEntityConsumptionRequest, EffectiveAccountSettingsResponse,
    IdBasedMfaEnrollment, IdentityCount, IdentityLimitsUsageResponse, IdentityLimitsUsageResponseApikeysPerIdentity,
    IdentityLimitsUsageResponseClaimRulesPerProfile, IdentityLimitsUsageResponseCrLinksPerProfile,
    IdentityLimitsUsageResponseCrRulesPerProfile, IdentityLimitsUsageResponseServiceidsPerGroup, IdentityPreferenceResponse,
    IdentityPreferencesResponse, LimitCount, MfaEnrollmentTypeStatus, ProfileCount, ServiceIdGroupCount,
    UpdatePreferenceOnScopeAccountRequest, UserMfaEnrollments,
};
use boatyard_api::ops::iam_identity as ops;
use boatyard_iam::account_settings::{
    AccountSettings, Consumption, ConsumptionOf, DomainRestriction, LIMITS, MfaUser, SettingsChange, UserMfa,
};
use boatyard_iam::preferences::{PreferenceValue, Scope, ShownPreference};
use boatyard_iam::{ManageError, entity_tag};
use http::StatusCode;
use serde::Deserialize;

use super::done;
use super::manage::tagged;
use crate::call::Call;
use crate::operations::Bindings;
use crate::problem::Problem;
use crate::respond;

/// The operations of this file.
pub fn bind(bindings: Bindings) -> Bindings {
    bindings
        .bind(&ops::GetAccountSettings, settings_get)
        .bind(&ops::UpdateAccountSettings, settings_update)
        .bind(&ops::GetEffectiveAccountSettings, effective_get)
        .bind(&ops::GetAccountLimits, limits_get)
        .bind(&ops::BulkListAccountEntityConsumption, limits_bulk)
        .bind(&ops::GetMfaStatus, mfa_status_get)
        .bind(&ops::GetAllPreferencesOnScopeAccount, preferences_list)
        .bind(&ops::GetPreferencesOnScopeAccount, preference_get)
        .bind(&ops::UpdatePreferenceOnScopeAccount, preference_set)
        .bind(&ops::DeletePreferencesOnScopeAccount, preference_delete)
}

async fn settings_get(call: Call) -> Result<Response, Problem> {
    let settings = call.app.iam.account_settings_get(call.caller()?, call.path("account_id")).await?;
    let users = users(&call, &settings).await?;
    settings_answer(&call, &settings, &users)
}

async fn settings_update(call: Call) -> Result<Response, Problem> {
    /// An empty list means something else than none, which the generated type does not tell apart.
    #[derive(Deserialize)]
    struct Change {
        restrict_create_service_id: Option<String>,
        restrict_create_platform_apikey: Option<String>,
        allowed_ip_addresses: Option<String>,
        mfa: Option<String>,
        user_mfa: Option<Vec<UserMfa>>,
        session_expiration_in_seconds: Option<String>,
        session_invalidation_in_seconds: Option<String>,
        max_sessions_per_identity: Option<String>,
        system_access_token_expiration_in_seconds: Option<String>,
        system_refresh_token_expiration_in_seconds: Option<String>,
        restrict_user_list_visibility: Option<String>,
        restrict_user_domains: Option<Vec<DomainRestriction>>,
    }
    let body: Change = call.json()?;
    let change = SettingsChange {
        values: vec![
            ("restrict_create_service_id", body.restrict_create_service_id),
            ("restrict_create_platform_apikey", body.restrict_create_platform_apikey),
            ("allowed_ip_addresses", body.allowed_ip_addresses),
            ("mfa", body.mfa),
            ("session_expiration_in_seconds", body.session_expiration_in_seconds),
            ("session_invalidation_in_seconds", body.session_invalidation_in_seconds),
            ("max_sessions_per_identity", body.max_sessions_per_identity),
            ("system_access_token_expiration_in_seconds", body.system_access_token_expiration_in_seconds),
            ("system_refresh_token_expiration_in_seconds", body.system_refresh_token_expiration_in_seconds),
            ("restrict_user_list_visibility", body.restrict_user_list_visibility),
        ],
        user_mfa: body.user_mfa,
        restrict_user_domains: body.restrict_user_domains,
    };
    let (account, if_match) = (call.path("account_id"), call.header("If-Match"));
    let settings = call.app.iam.account_settings_update(call.caller()?, account, if_match, change).await?;
    settings_answer(&call, &settings, &BTreeMap::new())
}

async fn effective_get(call: Call) -> Result<Response, Problem> {
    let settings = call.app.iam.account_settings_get(call.caller()?, call.path("account_id")).await?;
    let users = users(&call, &settings).await?;
    let effective = |name: &str| Some(settings.effective(name));
    let body = EffectiveAccountSettingsResponse {
        account: settings_shape(&call, &settings, &users),
        account_id: call.path("account_id").to_owned(),
        assigned_templates: Vec::new(),
        context: None,
        effective: AccountSettingsEffectiveSection {
            allowed_ip_addresses: effective("allowed_ip_addresses"),
            max_sessions_per_identity: effective("max_sessions_per_identity"),
            mfa: effective("mfa"),
            restrict_create_platform_apikey: effective("restrict_create_platform_apikey"),
            restrict_create_service_id: effective("restrict_create_service_id"),
            restrict_user_list_visibility: effective("restrict_user_list_visibility"),
            session_expiration_in_seconds: effective("session_expiration_in_seconds"),
            session_invalidation_in_seconds: effective("session_invalidation_in_seconds"),
            system_access_token_expiration_in_seconds: effective("system_access_token_expiration_in_seconds"),
            system_refresh_token_expiration_in_seconds: effective("system_refresh_token_expiration_in_seconds"),
            user_mfa: user_mfa(&settings, &users),
        },
    };
    Ok(respond::json(StatusCode::OK, &body))
}

/// Who stands behind the IAM IDs in the settings, if that is asked for.
async fn users(call: &Call, settings: &AccountSettings) -> Result<BTreeMap<String, MfaUser>, Problem> {
    match call.query_flag("resolve_user_mfa") {
        true => Ok(call.app.iam.mfa_users(settings).await?),
        false => Ok(BTreeMap::new()),
    }
}

fn settings_answer(call: &Call, settings: &AccountSettings, users: &BTreeMap<String, MfaUser>) -> Result<Response, Problem> {
    let body = settings_shape(call, settings, users);
    Ok(tagged(StatusCode::OK, &body, &body.entity_tag))
}

fn settings_shape(call: &Call, settings: &AccountSettings, users: &BTreeMap<String, MfaUser>) -> AccountSettingsResponse {
    let account_id = call.path("account_id").to_owned();
    let restrictions = settings.restrict_user_domains.iter().cloned();
    AccountSettingsResponse {
        allowed_ip_addresses: settings.value("allowed_ip_addresses"),
        context: None,
        entity_tag: entity_tag(settings.revision, &account_id),
        account_id,
        history: Vec::new(),
        max_sessions_per_identity: settings.value("max_sessions_per_identity"),
        mfa: settings.value("mfa"),
        restrict_create_platform_apikey: settings.value("restrict_create_platform_apikey"),
        restrict_create_service_id: settings.value("restrict_create_service_id"),
        restrict_user_domains: restrictions
            .map(|one| AccountSettingsUserDomainRestriction {
                invitation_email_allow_patterns: one.invitation_email_allow_patterns,
                realm_id: one.realm_id,
                restrict_invitation: one.restrict_invitation,
            })
            .collect(),
        restrict_user_list_visibility: settings.value("restrict_user_list_visibility"),
        session_expiration_in_seconds: settings.value("session_expiration_in_seconds"),
        session_invalidation_in_seconds: settings.value("session_invalidation_in_seconds"),
        system_access_token_expiration_in_seconds: settings.value("system_access_token_expiration_in_seconds"),
        system_refresh_token_expiration_in_seconds: settings.value("system_refresh_token_expiration_in_seconds"),
        user_mfa: user_mfa(settings, users),
    }
}

fn user_mfa(settings: &AccountSettings, users: &BTreeMap<String, MfaUser>) -> Vec<AccountSettingsUserMfaResponse> {
    let exempted = settings.user_mfa.iter();
    exempted
        .map(|one| {
            let user = users.get(&one.iam_id).cloned();
            AccountSettingsUserMfaResponse {
                description: None,
                email: user.as_ref().map(|user| user.email.clone()),
                iam_id: one.iam_id.clone(),
                mfa: one.mfa.clone(),
                name: user.as_ref().map(|user| user.name.clone()),
                user_name: user.map(|user| user.username),
            }
        })
        .collect()
}

async fn limits_get(call: Call) -> Result<Response, Problem> {
    let list = |name: &str| -> Vec<String> {
        let given = call.query(name).unwrap_or_default();
        given.split(',').map(str::trim).filter(|id| !id.is_empty()).map(str::to_owned).collect()
    };
    let of = ConsumptionOf {
        service_id_groups: call.query_flag("serviceid_groups"),
        profiles: call.query_flag("profiles"),
        service_ids_per_group: list("serviceids_per_group"),
        api_keys_per_identity: list("apikeys_per_identity"),
        claim_rules_per_profile: list("claim_rules_per_profile"),
        links_per_profile: list("cr_links_per_profile"),
        compute_rules_per_profile: list("cr_rules_per_profile"),
    };
    limits_answer(&call, of).await
}

async fn limits_bulk(call: Call) -> Result<Response, Problem> {
    let body: BulkListAccountEntityConsumptionRequest = call.json()?;
    let of = ConsumptionOf {
        service_id_groups: body.serviceid_groups.unwrap_or(false),
        profiles: body.profiles.unwrap_or(false),
        service_ids_per_group: body.serviceids_per_group,
        api_keys_per_identity: body.apikeys_per_identity,
        claim_rules_per_profile: body.claim_rules_per_profile,
        links_per_profile: body.cr_links_per_profile,
        compute_rules_per_profile: body.cr_rules_per_profile,
    };
    limits_answer(&call, of).await
}

async fn limits_answer(call: &Call, of: ConsumptionOf) -> Result<Response, Problem> {
    let found = call.app.iam.consumption(call.caller()?, call.path("account_id"), of).await?;
    Ok(respond::json(StatusCode::OK, &limits_shape(found)))
}

fn limits_shape(found: Consumption) -> IdentityLimitsUsageResponse {
    let of_profiles = |counts: Vec<(String, i64)>| -> Vec<ProfileCount> {
        counts.into_iter().map(|(id, n)| ProfileCount { count: Some(n), profile_id: Some(id) }).collect()
    };
    let groups = found.service_ids_per_group.into_iter();
    let identities = found.api_keys_per_identity.into_iter();
    IdentityLimitsUsageResponse {
        serviceid_groups: Some(LimitCount { count: found.service_id_groups, limit: LIMITS.service_id_groups }),
        profiles: Some(LimitCount { count: found.profiles, limit: LIMITS.profiles }),
        serviceids_per_group: Some(IdentityLimitsUsageResponseServiceidsPerGroup {
            limit: LIMITS.service_ids_per_group,
            serviceid_groups: groups.map(|(id, n)| ServiceIdGroupCount { count: Some(n), group_id: Some(id) }).collect(),
        }),
        apikeys_per_identity: Some(IdentityLimitsUsageResponseApikeysPerIdentity {
            limit: LIMITS.api_keys_per_identity,
            identities: identities.map(|(id, n)| IdentityCount { count: Some(n), iam_id: Some(id) }).collect(),
        }),
        claim_rules_per_profile: Some(IdentityLimitsUsageResponseClaimRulesPerProfile {
            limit: LIMITS.rules_per_profile,
            profiles: of_profiles(found.claim_rules_per_profile),
        }),
        cr_links_per_profile: Some(IdentityLimitsUsageResponseCrLinksPerProfile {
            limit: LIMITS.links_per_profile,
            profiles: of_profiles(found.links_per_profile),
        }),
        cr_rules_per_profile: Some(IdentityLimitsUsageResponseCrRulesPerProfile {
            limit: LIMITS.rules_per_profile,
            profiles: of_profiles(found.compute_rules_per_profile),
        }),
        ..IdentityLimitsUsageResponse::default()
    }
}

async fn mfa_status_get(call: Call) -> Result<Response, Problem> {
    let iam_id = call.query("iam_id").filter(|id| !id.is_empty()).ok_or_else(|| ManageError::Invalid {
        member: "iam_id".to_owned(),
        why: "is missing. Name the user in the query.".to_owned(),
    })?;
    let status = call.app.iam.mfa_status(call.caller()?, call.path("account_id"), &iam_id).await?;
    let none = || MfaEnrollmentTypeStatus { enrolled: false, required: false };
    let body = UserMfaEnrollments {
        account_based_mfa: Some(AccountBasedMfaEnrollment {
            complies: true,
            security_questions: none(),
            totp: none(),
            verisign: none(),
        }),
        effective_mfa_type: Some("id_based_mfa".to_owned()),
        iam_id,
        id_based_mfa: Some(IdBasedMfaEnrollment {
            complies: status.complies,
            comply_state: Some(if status.complies { "ACCOUNT" } else { "NO" }.to_owned()),
            trait_account_default: status.account_default,
            trait_effective: status.effective,
            trait_user_specific: status.user_specific,
        }),
    };
    Ok(respond::json(StatusCode::OK, &body))
}

fn scope(call: &Call) -> Scope<'_> {
    Scope { account_id: call.path("account_id"), iam_id: call.path("iam_id") }
}

async fn preferences_list(call: Call) -> Result<Response, Problem> {
    let found = call.app.iam.preferences_list(call.caller()?, scope(&call)).await?;
    let preferences = found.into_iter().map(|one| preference_shape(&call, one)).collect();
    Ok(respond::json(StatusCode::OK, &IdentityPreferencesResponse { preferences }))
}

async fn preference_get(call: Call) -> Result<Response, Problem> {
    let (service, id) = (call.path("service"), call.path("preference_id"));
    let found = call.app.iam.preference_get(call.caller()?, scope(&call), service, id).await?;
    Ok(respond::json(StatusCode::OK, &preference_shape(&call, found)))
}

async fn preference_set(call: Call) -> Result<Response, Problem> {
    let body: UpdatePreferenceOnScopeAccountRequest = call.json()?;
    let list = Some(body.value_list_of_strings).filter(|list| !list.is_empty());
    let (service, id) = (call.path("service"), call.path("preference_id"));
    let iam = &call.app.iam;
    let set = iam.preference_set(call.caller()?, scope(&call), service, id, (body.value_string, list)).await?;
    Ok(respond::json(StatusCode::OK, &preference_shape(&call, set)))
}

async fn preference_delete(call: Call) -> Result<Response, Problem> {
    let (service, id) = (call.path("service"), call.path("preference_id"));
    call.app.iam.preference_delete(call.caller()?, scope(&call), service, id).await?;
    done(&call)
}

fn preference_shape(call: &Call, preference: ShownPreference) -> IdentityPreferenceResponse {
    let (text, list) = match preference.value {
        PreferenceValue::Text(text) => (Some(text), Vec::new()),
        PreferenceValue::List(list) => (None, list),
    };
    IdentityPreferenceResponse {
        account_id: Some(call.path("account_id").to_owned()),
        id: Some(preference.id),
        scope: Some("account".to_owned()),
        service: Some(preference.service),
        value_list_of_strings: list,
        value_string: text,
    }
}
