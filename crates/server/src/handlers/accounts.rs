//! The account list: `/coe/v2/accounts`.

use axum::response::Response;
use boatyard_api::accounts::{Account, AccountEntity, AccountList, AccountMember, AccountMetadata};
use boatyard_core::Digest;
use boatyard_core::clock::{from_ms, rfc3339_ms};
use boatyard_iam::{Error, Membership};
use http::StatusCode;

use crate::call::Call;
use crate::problem::Problem;
use crate::respond;

/// `GET /coe/v2/accounts`: accounts that the caller is a member of.
pub async fn accounts_list(call: Call) -> Result<Response, Problem> {
    let limit = call.query("limit").filter(|limit| !limit.is_empty()).map(|limit| number(&limit)).transpose()?;
    let start = call.query("_start").or_else(|| call.query("start"));
    let page = call.app.iam.accounts_list(call.caller()?, limit, start.as_deref()).await?;
    let body = AccountList {
        // A relative path: clients put their own endpoint before it.
        next_url: page.next.map(|start| match limit {
            Some(limit) => format!("/coe/v2/accounts?_start={start}&limit={limit}"),
            None => format!("/coe/v2/accounts?_start={start}"),
        }),
        total_results: page.total,
        resources: page.accounts.iter().map(account).collect(),
    };
    Ok(respond::json(StatusCode::OK, &body))
}

/// `GET /coe/v2/accounts/{accountId}`
pub async fn account_get(call: Call) -> Result<Response, Problem> {
    let found = call.app.iam.account_get(call.caller()?, call.path("accountId")).await?;
    Ok(respond::json(StatusCode::OK, &account(&found)))
}

fn number(text: &str) -> Result<i64, Error> {
    let valid = "1 to 100".to_owned();
    text.parse().ok().filter(|n| (1..=100).contains(n)).ok_or_else(|| Error::Invalid {
        property: "limit",
        value: text.to_owned(),
        valid,
    })
}

fn account(membership: &Membership) -> Account {
    let account = &membership.account;
    Account {
        metadata: AccountMetadata {
            guid: account.id.clone(),
            url: format!("/coe/v2/accounts/{}", account.id),
            created_at: Some(rfc3339_ms(from_ms(account.created_at))),
            updated_at: Some(rfc3339_ms(from_ms(account.updated_at))),
            // Always the same for one account, and tells nothing of it.
            anonymous_id: Some(Digest::of(&account.id).hex()[..32].to_owned()),
            identity: None,
            verified_at: None,
        },
        entity: AccountEntity {
            name: account.name.clone(),
            type_: Some(account.kind.clone()),
            state: Some(account.state.clone()),
            owner: Some(account.owner_iam_id.clone()),
            owner_userid: Some(membership.owner_username.clone()),
            owner_unique_id: Some(account.owner_iam_id.clone()),
            owner_iam_id: Some(account.owner_iam_id.clone()),
            members: vec![AccountMember {
                guid: Some(account.owner_iam_id.clone()),
                user_id: Some(membership.owner_username.clone()),
                unique_id: Some(account.owner_iam_id.clone()),
            }],
            country_code: Some("USA".to_owned()),
            currency_code: Some("USD".to_owned()),
            is_ib_mer: Some(false),
            team_directory_enabled: Some(true),
            // Nothing of this installation has an invoice, a promotion or a Cloud Foundry organization.
            billing_country_code: None,
            bluemix_subscriptions: Vec::new(),
            configuration_id: None,
            customer_id: None,
            linkages: Vec::new(),
            onboarded: None,
            organizations_region: Vec::new(),
            promotions: Vec::new(),
            subscription_id: None,
            tags: Vec::new(),
            terms_and_conditions: serde_json::Map::new(),
        },
    }
}
