//! Access groups, their members and rules: `/v2/groups`.

use axum::response::Response;
use boatyard_api::iam_access_groups::{
    AccountSettings, AddGroupMembersResponse, AddGroupMembersResponseMembersItem, AddMemberToMultipleAccessGroupsRequest,
    AddMembersToAccessGroupRequest, AddMembershipMultipleGroupsResponse, AddMembershipMultipleGroupsResponseGroupsItem,
    CreateAccessGroupRequest, DeleteFromAllGroupsResponse, DeleteFromAllGroupsResponseGroupsItem,
    DeleteGroupBulkMembersResponse, DeleteGroupBulkMembersResponseMembersItem, Error, RemoveMembersFromAccessGroupRequest,
    UpdateAccessGroupRequest, UpdateAccountSettingsRequest,
};
use boatyard_api::iam_access_groups::{Group as WireGroup, ListGroupMembersResponseMember};
use boatyard_api::ops::iam_access_groups as ops;
use boatyard_iam::AccessError;
use boatyard_iam::access_groups::{
    Group, GroupQuery, GroupSettings, Joined, Member, MemberQuery, NewMember, NewRule, Outcome, Rule, Slice, group_etag,
};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::policies::{asked, list_href, number, tagged};
use crate::call::Call;
use crate::operations::Bindings;
use crate::problem::Problem;
use crate::respond;

/// Binds the operations on access groups.
#[must_use]
pub fn bind(bindings: Bindings) -> Bindings {
    bindings
        .bind(&ops::ListAccessGroups, groups_list)
        .bind(&ops::CreateAccessGroup, group_create)
        .bind(&ops::GetAccessGroup, group_get)
        .bind(&ops::UpdateAccessGroup, group_update)
        .bind(&ops::DeleteAccessGroup, group_delete)
        .bind(&ops::ListAccessGroupMembers, members_list)
        .bind(&ops::AddMembersToAccessGroup, members_add)
        .bind(&ops::AddMemberToMultipleAccessGroups, member_add_to)
        .bind(&ops::IsMemberOfAccessGroup, member_check)
        .bind(&ops::RemoveMemberFromAccessGroup, member_remove)
        .bind(&ops::RemoveMembersFromAccessGroup, members_remove)
        .bind(&ops::RemoveMemberFromAllAccessGroups, member_remove_everywhere)
        .bind(&ops::ListAccessGroupRules, rules_list)
        .bind(&ops::AddAccessGroupRule, rule_create)
        .bind(&ops::GetAccessGroupRule, rule_get)
        .bind(&ops::ReplaceAccessGroupRule, rule_replace)
        .bind(&ops::RemoveAccessGroupRule, rule_delete)
        .bind(&ops::GetAccountSettings, settings_get)
        .bind(&ops::UpdateAccountSettings, settings_update)
}

/// `GET /v2/groups`
pub async fn groups_list(call: Call) -> Result<Response, Problem> {
    let query = GroupQuery {
        account_id: asked(&call, "account_id"),
        iam_id: asked(&call, "iam_id"),
        search: asked(&call, "search"),
        membership_type: asked(&call, "membership_type"),
        limit: number(&call, "limit")?,
        offset: number(&call, "offset")?,
        sort: asked(&call, "sort"),
        hide_public_access: call.query_flag("hide_public_access"),
    };
    let slice = call.app.iam.groups_list(call.caller()?, &query).await?;
    Ok(respond::json(StatusCode::OK, &listed(&call, &slice, "groups", |group| shown(&call, group))))
}

/// A part of a list, with links to the others.
fn listed<T, W: Serialize>(call: &Call, slice: &Slice<T>, name: &str, shown: impl Fn(&T) -> W) -> Value {
    let Slice { items, limit, offset, total } = slice;
    let link = |offset: i64| {
        let with = [("limit", limit.to_string()), ("offset", offset.to_string())];
        json!({ "href": list_href(call, &["limit", "offset"], &with) })
    };
    let items: Vec<_> = items.iter().map(shown).collect();
    let mut list = json!({ "limit": limit, "offset": offset, "total_count": total, "first": link(0), name: items });
    // A limit of 0 asks for the count only, and has no pages.
    if *limit > 0 {
        list["last"] = link((total - 1).max(0) / limit * limit);
        if offset.saturating_add(*limit) < *total {
            list["next"] = link(offset + limit);
        }
        if *offset > 0 {
            list["previous"] = link((offset - limit).max(0));
        }
    }
    list
}

fn shown(call: &Call, group: &Group) -> WireGroup {
    let crn = || format!("crn:v1:bluemix:public:iam-groups::a/{}::access-group:{}", group.account_id, group.id);
    WireGroup {
        id: Some(group.id.clone()),
        name: Some(group.name.clone()),
        description: Some(group.description.clone()),
        account_id: Some(group.account_id.clone()),
        created_at: Some(super::date(group.created_at)),
        created_by_id: Some(group.created_by.clone()),
        last_modified_at: Some(super::date(group.modified_at)),
        last_modified_by_id: Some(group.modified_by.clone()),
        href: Some(format!("{}/v2/groups/{}", call.app.public_url, group.id)),
        is_federated: call.query_flag("show_federated").then_some(group.rules > 0),
        crn: call.query_flag("show_crn").then(crn),
    }
}

fn answer(call: &Call, status: StatusCode, group: &Group) -> Response {
    tagged(respond::json(status, &shown(call, group)), &group_etag(group))
}

/// `POST /v2/groups`
pub async fn group_create(call: Call) -> Result<Response, Problem> {
    let CreateAccessGroupRequest { name, description } = call.json()?;
    let account = asked(&call, "account_id");
    let description = description.unwrap_or_default();
    let group = call.app.iam.group_create(call.caller()?, account.as_deref(), &name, &description).await?;
    Ok(answer(&call, StatusCode::CREATED, &group))
}

/// `GET /v2/groups/{access_group_id}`
pub async fn group_get(call: Call) -> Result<Response, Problem> {
    let group = call.app.iam.group_get(call.caller()?, call.path("access_group_id")).await?;
    Ok(answer(&call, StatusCode::OK, &group))
}

/// `PATCH /v2/groups/{access_group_id}`
pub async fn group_update(call: Call) -> Result<Response, Problem> {
    let UpdateAccessGroupRequest { name, description } = call.json()?;
    let (id, if_match) = (call.path("access_group_id"), call.header("if-match"));
    let group = call.app.iam.group_update(call.caller()?, id, if_match, name.as_deref(), description.as_deref()).await?;
    Ok(answer(&call, StatusCode::OK, &group))
}

/// `DELETE /v2/groups/{access_group_id}`
pub async fn group_delete(call: Call) -> Result<Response, Problem> {
    call.app.iam.group_delete(call.caller()?, call.path("access_group_id"), call.query_flag("force")).await?;
    super::done(&call)
}

/// `GET /v2/groups/{access_group_id}/members`
pub async fn members_list(call: Call) -> Result<Response, Problem> {
    let query = MemberQuery {
        membership_type: asked(&call, "membership_type"),
        limit: number(&call, "limit")?,
        offset: number(&call, "offset")?,
        kind: asked(&call, "type"),
        sort: asked(&call, "sort"),
    };
    let id = call.path("access_group_id");
    let slice = call.app.iam.members_list(call.caller()?, id, &query).await?;
    let verbose = call.query_flag("verbose");
    let shown = |member: &Member| {
        let given = |text: &String| (verbose && !text.is_empty()).then(|| text.clone());
        ListGroupMembersResponseMember {
            iam_id: Some(member.iam_id.clone()),
            type_: Some(member.kind.clone()),
            membership_type: Some("static".to_owned()),
            name: given(&member.name),
            email: given(&member.email),
            description: given(&member.description),
            href: Some(format!("{}/v2/groups/{id}/members/{}", call.app.public_url, member.iam_id)),
            created_at: Some(super::date(member.created_at)),
            created_by_id: Some(member.created_by.clone()),
        }
    };
    Ok(respond::json(StatusCode::OK, &listed(&call, &slice, "members", shown)))
}

/// Status and errors of one of several changes: `done` if it was carried out.
fn status<T>(outcome: Result<T, AccessError>, done: i64) -> (Option<T>, i64, Vec<Error>) {
    match outcome {
        Ok(result) => (Some(result), done, Vec::new()),
        Err(error) => {
            let problem = Problem::from(error);
            let error = Error { code: Some(problem.code.to_owned()), message: Some(problem.description) };
            (None, i64::from(problem.status.as_u16()), vec![error])
        }
    }
}

/// `PUT /v2/groups/{access_group_id}/members`
pub async fn members_add(call: Call) -> Result<Response, Problem> {
    let body: AddMembersToAccessGroupRequest = call.json()?;
    let new = body.members.into_iter().map(|member| NewMember { iam_id: member.iam_id, kind: member.type_ }).collect();
    let outcomes = call.app.iam.members_add(call.caller()?, call.path("access_group_id"), new).await?;
    let shown = |Outcome { id, result }: Outcome<Joined>| {
        let (joined, status_code, errors) = status(result, 200);
        AddGroupMembersResponseMembersItem {
            iam_id: Some(id),
            type_: joined.as_ref().map(|joined| joined.kind.clone()),
            created_at: joined.as_ref().map(|joined| super::date(joined.created_at)),
            created_by_id: joined.map(|joined| joined.created_by),
            status_code: Some(status_code),
            trace: Some(call.request_id.to_string()),
            errors,
        }
    };
    let body = AddGroupMembersResponse { members: outcomes.into_iter().map(shown).collect() };
    Ok(respond::json(StatusCode::MULTI_STATUS, &body))
}

/// `PUT /v2/groups/_allgroups/members/{iam_id}`
pub async fn member_add_to(call: Call) -> Result<Response, Problem> {
    let AddMemberToMultipleAccessGroupsRequest { type_, groups } = call.json()?;
    let member = NewMember { iam_id: call.path("iam_id").to_owned(), kind: type_.unwrap_or_default() };
    let account = asked(&call, "account_id");
    let outcomes = call.app.iam.member_add_to(call.caller()?, account.as_deref(), &member, groups).await?;
    let shown = |Outcome { id, result }: Outcome<Joined>| {
        let (_, status_code, errors) = status(result, 200);
        let trace = Some(call.request_id.to_string());
        AddMembershipMultipleGroupsResponseGroupsItem {
            access_group_id: Some(id),
            status_code: Some(status_code),
            trace,
            errors,
        }
    };
    let groups = outcomes.into_iter().map(shown).collect();
    let body = AddMembershipMultipleGroupsResponse { iam_id: Some(member.iam_id), groups };
    Ok(respond::json(StatusCode::MULTI_STATUS, &body))
}

/// `HEAD /v2/groups/{access_group_id}/members/{iam_id}`
pub async fn member_check(call: Call) -> Result<Response, Problem> {
    call.app.iam.member_check(call.caller()?, call.path("access_group_id"), call.path("iam_id")).await?;
    super::done(&call)
}

/// `DELETE /v2/groups/{access_group_id}/members/{iam_id}`
pub async fn member_remove(call: Call) -> Result<Response, Problem> {
    let member = vec![call.path("iam_id").to_owned()];
    call.app.iam.members_remove(call.caller()?, call.path("access_group_id"), member).await?;
    super::done(&call)
}

/// `POST /v2/groups/{access_group_id}/members/delete`
pub async fn members_remove(call: Call) -> Result<Response, Problem> {
    let body: RemoveMembersFromAccessGroupRequest = call.json()?;
    let id = call.path("access_group_id");
    let outcomes = call.app.iam.members_remove(call.caller()?, id, body.members).await?;
    let shown = |Outcome { id, result }: Outcome<()>| {
        let (_, status_code, errors) = status(result, 204);
        let trace = Some(call.request_id.to_string());
        DeleteGroupBulkMembersResponseMembersItem { iam_id: Some(id), status_code: Some(status_code), trace, errors }
    };
    let members = outcomes.into_iter().map(shown).collect();
    let body = DeleteGroupBulkMembersResponse { access_group_id: Some(id.to_owned()), members };
    Ok(respond::json(StatusCode::MULTI_STATUS, &body))
}

/// `DELETE /v2/groups/_allgroups/members/{iam_id}`
pub async fn member_remove_everywhere(call: Call) -> Result<Response, Problem> {
    let (iam_id, account) = (call.path("iam_id"), asked(&call, "account_id"));
    let outcomes = call.app.iam.member_remove_everywhere(call.caller()?, account.as_deref(), iam_id).await?;
    let shown = |Outcome { id, result }: Outcome<()>| {
        let (_, status_code, errors) = status(result, 204);
        let trace = Some(call.request_id.to_string());
        DeleteFromAllGroupsResponseGroupsItem { access_group_id: Some(id), status_code: Some(status_code), trace, errors }
    };
    let groups = outcomes.into_iter().map(shown).collect();
    let body = DeleteFromAllGroupsResponse { iam_id: Some(iam_id.to_owned()), groups };
    Ok(respond::json(StatusCode::MULTI_STATUS, &body))
}

/// A rule as requests write it.
#[derive(Deserialize)]
struct RuleBody {
    #[serde(default)]
    name: String,
    expiration: i64,
    realm_name: String,
    conditions: Vec<boatyard_iam::access_groups::Condition>,
}

fn new_rule(call: &Call) -> Result<NewRule, Problem> {
    let RuleBody { name, expiration, realm_name, conditions } = call.json()?;
    Ok(NewRule { name, expiration, realm_name, conditions })
}

fn rule_shown(rule: Rule) -> Value {
    json!({
        "id": rule.id,
        "name": rule.rule.name,
        "expiration": rule.rule.expiration,
        "realm_name": rule.rule.realm_name,
        "access_group_id": rule.group_id,
        "account_id": rule.account_id,
        "conditions": rule.rule.conditions,
        "created_at": super::date(rule.created_at),
        "created_by_id": rule.created_by,
        "last_modified_at": super::date(rule.modified_at),
        "last_modified_by_id": rule.modified_by,
    })
}

fn rule_answer(status: StatusCode, rule: Rule) -> Response {
    let etag = rule.etag.clone();
    tagged(respond::json(status, &rule_shown(rule)), &etag)
}

/// `GET /v2/groups/{access_group_id}/rules`
pub async fn rules_list(call: Call) -> Result<Response, Problem> {
    let rules = call.app.iam.rules_list(call.caller()?, call.path("access_group_id")).await?;
    let rules: Vec<_> = rules.into_iter().map(rule_shown).collect();
    Ok(respond::json(StatusCode::OK, &json!({ "rules": rules })))
}

/// `POST /v2/groups/{access_group_id}/rules`
pub async fn rule_create(call: Call) -> Result<Response, Problem> {
    let rule = call.app.iam.rule_create(call.caller()?, call.path("access_group_id"), new_rule(&call)?).await?;
    Ok(rule_answer(StatusCode::CREATED, rule))
}

/// `GET /v2/groups/{access_group_id}/rules/{rule_id}`
pub async fn rule_get(call: Call) -> Result<Response, Problem> {
    let rule = call.app.iam.rule_get(call.caller()?, call.path("access_group_id"), call.path("rule_id")).await?;
    Ok(rule_answer(StatusCode::OK, rule))
}

/// `PUT /v2/groups/{access_group_id}/rules/{rule_id}`
pub async fn rule_replace(call: Call) -> Result<Response, Problem> {
    let (group, id) = (call.path("access_group_id"), call.path("rule_id"));
    let rule = call.app.iam.rule_replace(call.caller()?, group, id, call.header("if-match"), new_rule(&call)?).await?;
    Ok(rule_answer(StatusCode::OK, rule))
}

/// `DELETE /v2/groups/{access_group_id}/rules/{rule_id}`
pub async fn rule_delete(call: Call) -> Result<Response, Problem> {
    call.app.iam.rule_delete(call.caller()?, call.path("access_group_id"), call.path("rule_id")).await?;
    super::done(&call)
}

/// `GET /v2/groups/settings`
pub async fn settings_get(call: Call) -> Result<Response, Problem> {
    let settings = call.app.iam.group_settings(call.caller()?, asked(&call, "account_id").as_deref()).await?;
    settings_answer(&call, settings)
}

/// `PATCH /v2/groups/settings`
pub async fn settings_update(call: Call) -> Result<Response, Problem> {
    let body: UpdateAccountSettingsRequest = call.json()?;
    let account = asked(&call, "account_id");
    let settings = call.app.iam.group_settings_update(call.caller()?, account.as_deref(), body.public_access_enabled).await?;
    settings_answer(&call, settings)
}

fn settings_answer(call: &Call, settings: GroupSettings) -> Result<Response, Problem> {
    let changed = settings.modified_at > 0;
    let body = AccountSettings {
        account_id: call.caller()?.account_id.clone(),
        last_modified_at: changed.then(|| super::date(settings.modified_at)),
        last_modified_by_id: changed.then_some(settings.modified_by),
        public_access_enabled: Some(settings.public_access_enabled),
    };
    Ok(respond::json(StatusCode::OK, &body))
}
