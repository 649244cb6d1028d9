//! Trusted profiles and who may assume them: `/v1/profiles`.

use axum::response::Response;
use boatyard_api::iam_identity::{
    CreateClaimRuleRequest, CreateLinkRequest, CreateProfileRequest, ProfileClaimRule, ProfileClaimRuleConditions,
    ProfileClaimRuleList, ProfileIdentitiesResponse, ProfileIdentityResponse, ProfileLink, ProfileLinkLink, ProfileLinkList,
    SetProfileIdentitiesRequest, SetProfileIdentityRequest, TrustedProfile, TrustedProfilesList, UpdateClaimRuleRequest,
    UpdateProfileRequest,
};
use boatyard_api::ops::iam_identity as ops;
use boatyard_iam::profiles::ProfileChange;
use boatyard_iam::trust::{Compute, Condition, NewIdentity, NewLink, NewRule, ShownLink, ShownRule};
use boatyard_iam::{ManageError, StoredProfile, StoredProfileIdentity, entity_tag};
use http::StatusCode;

use super::done;
use super::manage::{crn, date, links, listing, some, tagged};
use crate::call::Call;
use crate::operations::Bindings;
use crate::problem::Problem;
use crate::respond;

/// The operations of this file.
pub fn bind(bindings: Bindings) -> Bindings {
    bindings
        .bind(&ops::ListProfiles, list)
        .bind(&ops::CreateProfile, create)
        .bind(&ops::GetProfile, get)
        .bind(&ops::UpdateProfile, update)
        .bind(&ops::DeleteProfile, delete)
        .bind(&ops::GetProfileIdentities, identities_get)
        .bind(&ops::SetProfileIdentities, identities_set)
        .bind(&ops::SetProfileIdentity, identity_set)
        .bind(&ops::GetProfileIdentity, identity_get)
        .bind(&ops::DeleteProfileIdentity, identity_delete)
        .bind(&ops::ListClaimRules, rules_list)
        .bind(&ops::CreateClaimRule, rule_create)
        .bind(&ops::GetClaimRule, rule_get)
        .bind(&ops::UpdateClaimRule, rule_update)
        .bind(&ops::DeleteClaimRule, rule_delete)
        .bind(&ops::ListLinks, links_list)
        .bind(&ops::CreateLink, link_create)
        .bind(&ops::GetLink, link_get)
        .bind(&ops::DeleteLink, link_delete)
        .bind(&ops::DeleteLinkByParameters, link_delete_of)
}

async fn list(call: Call) -> Result<Response, Problem> {
    let page = call.app.iam.profiles_list(call.caller()?, &listing(&call)?).await?;
    let links = links(&call, &page);
    let body = TrustedProfilesList {
        context: None,
        first: links.first,
        limit: Some(page.limit),
        next: links.next,
        offset: Some(page.offset),
        previous: links.previous,
        profiles: page.items.iter().map(shape).collect(),
    };
    Ok(respond::json(StatusCode::OK, &body))
}

async fn create(call: Call) -> Result<Response, Problem> {
    let body: CreateProfileRequest = call.json()?;
    let new = ProfileChange { name: Some(body.name), description: body.description, email: body.email };
    let made = call.app.iam.profile_create(call.caller()?, &body.account_id, new).await?;
    Ok(tagged(StatusCode::CREATED, &shape(&made), &tag(&made)))
}

async fn get(call: Call) -> Result<Response, Problem> {
    let found = call.app.iam.profile_get(call.caller()?, call.path("profile-id")).await?;
    Ok(tagged(StatusCode::OK, &shape(&found), &tag(&found)))
}

async fn update(call: Call) -> Result<Response, Problem> {
    let body: UpdateProfileRequest = call.json()?;
    let change = ProfileChange { name: body.name, description: body.description, email: body.email };
    let (id, if_match) = (call.path("profile-id"), call.header("If-Match"));
    let changed = call.app.iam.profile_update(call.caller()?, id, if_match, change).await?;
    Ok(tagged(StatusCode::OK, &shape(&changed), &tag(&changed)))
}

async fn delete(call: Call) -> Result<Response, Problem> {
    call.app.iam.profile_delete(call.caller()?, call.path("profile-id")).await?;
    done(&call)
}

fn tag(profile: &StoredProfile) -> String {
    entity_tag(profile.revision, &profile.id)
}

fn shape(profile: &StoredProfile) -> TrustedProfile {
    TrustedProfile {
        account_id: profile.account_id.clone(),
        activity: None,
        assignment_id: None,
        context: None,
        created_at: Some(date(profile.created_at)),
        crn: crn(&profile.account_id, "profile", &profile.id),
        description: some(&profile.description),
        email: some(&profile.email),
        entity_tag: tag(profile),
        history: Vec::new(),
        iam_id: profile.iam_id.clone(),
        id: profile.id.clone(),
        ims_account_id: None,
        ims_user_id: None,
        modified_at: Some(date(profile.modified_at)),
        name: profile.name.clone(),
        template_id: None,
    }
}

async fn identities_get(call: Call) -> Result<Response, Problem> {
    let (profile, identities) = call.app.iam.profile_identities(call.caller()?, call.path("profile-id")).await?;
    identities_answer(&profile, &identities)
}

async fn identities_set(call: Call) -> Result<Response, Problem> {
    let body: SetProfileIdentitiesRequest = call.json()?;
    let given = body.identities.into_iter().map(|one| NewIdentity {
        kind: one.type_,
        identifier: one.identifier,
        accounts: one.accounts,
        description: one.description,
    });
    let (id, if_match) = (call.path("profile-id"), call.header("If-Match"));
    let (profile, identities) = call.app.iam.profile_identities_set(call.caller()?, id, if_match, given.collect()).await?;
    identities_answer(&profile, &identities)
}

fn identities_answer(profile: &StoredProfile, identities: &[StoredProfileIdentity]) -> Result<Response, Problem> {
    let body = ProfileIdentitiesResponse {
        entity_tag: Some(tag(profile)),
        identities: identities.iter().map(identity_shape).collect(),
    };
    Ok(tagged(StatusCode::OK, &body, &tag(profile)))
}

async fn identity_set(call: Call) -> Result<Response, Problem> {
    let body: SetProfileIdentityRequest = call.json()?;
    let kind = call.path("identity-type");
    if body.type_ != kind {
        let why = format!("must be '{kind}', as in the path.");
        return Err(ManageError::Invalid { member: "type".to_owned(), why }.into());
    }
    let given =
        NewIdentity { kind: body.type_, identifier: body.identifier, accounts: body.accounts, description: body.description };
    let set = call.app.iam.profile_identity_set(call.caller()?, call.path("profile-id"), given).await?;
    Ok(respond::json(StatusCode::OK, &identity_shape(&set)))
}

async fn identity_get(call: Call) -> Result<Response, Problem> {
    let (profile, kind, id) = (call.path("profile-id"), call.path("identity-type"), call.path("identifier-id"));
    let found = call.app.iam.profile_identity_get(call.caller()?, profile, kind, id).await?;
    Ok(respond::json(StatusCode::OK, &identity_shape(&found)))
}

async fn identity_delete(call: Call) -> Result<Response, Problem> {
    let (profile, kind, id) = (call.path("profile-id"), call.path("identity-type"), call.path("identifier-id"));
    call.app.iam.profile_identity_delete(call.caller()?, profile, kind, id).await?;
    done(&call)
}

fn identity_shape(identity: &StoredProfileIdentity) -> ProfileIdentityResponse {
    ProfileIdentityResponse {
        accounts: identity.accounts.clone(),
        description: some(&identity.description),
        iam_id: identity.iam_id.clone(),
        identifier: identity.identifier.clone(),
        type_: identity.kind.clone(),
    }
}

async fn rules_list(call: Call) -> Result<Response, Problem> {
    let rules = call.app.iam.profile_rules(call.caller()?, call.path("profile-id")).await?;
    let body = ProfileClaimRuleList { context: None, rules: rules.iter().map(rule_shape).collect() };
    Ok(respond::json(StatusCode::OK, &body))
}

async fn rule_create(call: Call) -> Result<Response, Problem> {
    let body: CreateClaimRuleRequest = call.json()?;
    let new = NewRule {
        kind: body.type_,
        name: body.name,
        realm_name: body.realm_name,
        cr_type: body.cr_type,
        expiration: body.expiration,
        conditions: conditions(body.conditions),
    };
    let made = call.app.iam.profile_rule_create(call.caller()?, call.path("profile-id"), new).await?;
    rule_answer(StatusCode::CREATED, &made)
}

async fn rule_get(call: Call) -> Result<Response, Problem> {
    let found = call.app.iam.profile_rule_get(call.caller()?, call.path("profile-id"), call.path("rule-id")).await?;
    rule_answer(StatusCode::OK, &found)
}

async fn rule_update(call: Call) -> Result<Response, Problem> {
    let body: UpdateClaimRuleRequest = call.json()?;
    let new = NewRule {
        kind: body.type_,
        name: body.name,
        realm_name: body.realm_name,
        cr_type: body.cr_type,
        expiration: body.expiration,
        conditions: conditions(body.conditions),
    };
    let (which, if_match) = ((call.path("profile-id"), call.path("rule-id")), call.header("If-Match"));
    rule_answer(StatusCode::OK, &call.app.iam.profile_rule_update(call.caller()?, which, if_match, new).await?)
}

async fn rule_delete(call: Call) -> Result<Response, Problem> {
    call.app.iam.profile_rule_delete(call.caller()?, call.path("profile-id"), call.path("rule-id")).await?;
    done(&call)
}

fn conditions(given: Vec<ProfileClaimRuleConditions>) -> Vec<Condition> {
    given.into_iter().map(|c| Condition { claim: c.claim, operator: c.operator, value: c.value }).collect()
}

fn rule_answer(status: StatusCode, shown: &ShownRule) -> Result<Response, Problem> {
    let body = rule_shape(shown);
    Ok(tagged(status, &body, &body.entity_tag))
}

fn rule_shape(shown: &ShownRule) -> ProfileClaimRule {
    let rule = &shown.rule;
    let conditions = shown.conditions.iter().cloned();
    ProfileClaimRule {
        conditions: conditions
            .map(|c| ProfileClaimRuleConditions { claim: c.claim, operator: c.operator, value: c.value })
            .collect(),
        cr_type: some(&rule.cr_type),
        created_at: date(rule.created_at),
        entity_tag: entity_tag(rule.revision, &rule.id),
        expiration: rule.expiration,
        id: rule.id.clone(),
        modified_at: Some(date(rule.modified_at)),
        name: some(&rule.name),
        realm_name: some(&rule.realm_name),
        type_: rule.kind.clone(),
    }
}

async fn links_list(call: Call) -> Result<Response, Problem> {
    let links = call.app.iam.profile_links(call.caller()?, call.path("profile-id")).await?;
    Ok(respond::json(StatusCode::OK, &ProfileLinkList { links: links.iter().map(link_shape).collect() }))
}

async fn link_create(call: Call) -> Result<Response, Problem> {
    let body: CreateLinkRequest = call.json()?;
    let link = body.link;
    let new = NewLink {
        cr_type: body.cr_type,
        name: body.name,
        compute: Compute {
            crn: link.crn,
            namespace: link.namespace,
            name: link.name,
            component_type: link.component_type,
            component_name: link.component_name,
        },
        cross_account: body.is_cross_account.unwrap_or(false),
    };
    let made = call.app.iam.profile_link_create(call.caller()?, call.path("profile-id"), new).await?;
    link_answer(StatusCode::CREATED, &made)
}

async fn link_get(call: Call) -> Result<Response, Problem> {
    let found = call.app.iam.profile_link_get(call.caller()?, call.path("profile-id"), call.path("link-id")).await?;
    link_answer(StatusCode::OK, &found)
}

async fn link_delete(call: Call) -> Result<Response, Problem> {
    call.app.iam.profile_link_delete(call.caller()?, call.path("profile-id"), call.path("link-id")).await?;
    done(&call)
}

async fn link_delete_of(call: Call) -> Result<Response, Problem> {
    let given = |name: &str| call.query(name).filter(|value| !value.is_empty());
    let of = Compute {
        crn: given("crn").unwrap_or_default(),
        namespace: given("namespace"),
        name: given("name"),
        component_type: given("component_type"),
        component_name: given("component_name"),
    };
    let kind = given("type").unwrap_or_default();
    call.app.iam.profile_link_delete_of(call.caller()?, call.path("profile-id"), &kind, &of).await?;
    done(&call)
}

fn link_answer(status: StatusCode, shown: &ShownLink) -> Result<Response, Problem> {
    let body = link_shape(shown);
    Ok(tagged(status, &body, &body.entity_tag))
}

fn link_shape(shown: &ShownLink) -> ProfileLink {
    let (link, compute) = (&shown.link, shown.compute.clone());
    ProfileLink {
        cr_type: link.cr_type.clone(),
        created_at: date(link.created_at),
        entity_tag: entity_tag(link.revision, &link.id),
        id: link.id.clone(),
        is_cross_account: Some(link.cross_account),
        link: ProfileLinkLink {
            component_name: compute.component_name,
            component_type: compute.component_type,
            crn: Some(compute.crn),
            name: compute.name,
            namespace: compute.namespace,
        },
        modified_at: date(link.modified_at),
        name: some(&link.name),
    }
}
