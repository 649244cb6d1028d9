//! Lists of policies: filtered, sorted, by the page.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use boatyard_core::clock;
use boatyard_store::policies;

use super::{ACTIVE, DELETED, Policy, own, reach};
use crate::access_error::{AccessError, Result};
use crate::{Caller, Iam, access};

/// Most policies of one page.
const LONGEST_PAGE: i64 = 1000;
const SORTS: [&str; 8] =
    ["id", "type", "href", "created_at", "created_by_id", "last_modified_at", "last_modified_by_id", "state"];

/// Which policies are asked for. Empty members ask for nothing.
#[derive(Clone, Debug, Default)]
pub struct PolicyQuery {
    pub account_id: Option<String>,
    pub iam_id: Option<String>,
    pub access_group_id: Option<String>,
    /// `access` or `authorization`.
    pub kind: Option<String>,
    /// `service` or `platform_service`.
    pub service_type: Option<String>,
    pub service_name: Option<String>,
    pub service_group_id: Option<String>,
    pub tag_name: Option<String>,
    pub tag_value: Option<String>,
    /// A member of the answer, with `-` before it for the reverse order.
    pub sort: Option<String>,
    /// `active` unless it says `deleted`.
    pub state: Option<String>,
    /// All of them if it is left out.
    pub limit: Option<i64>,
    /// From a page before.
    pub start: Option<String>,
    /// Only those that v1 can show.
    pub v1: bool,
}

/// A page of policies.
#[derive(Clone, Debug)]
pub struct Page {
    pub policies: Vec<Policy>,
    /// `start` of the next page.
    pub next: Option<String>,
    /// `start` of the page before, which is empty for the first page.
    pub previous: Option<String>,
}

impl Iam {
    /// The policies of the caller's account that the caller may read, and the caller's own.
    ///
    /// # Errors
    /// For a query that cannot be; else when the database fails.
    pub async fn policies_list(&self, caller: &Caller, query: &PolicyQuery) -> Result<Page> {
        let account_id = query.account_id.as_deref().ok_or(AccessError::MissingQuery("account_id"))?;
        check(query)?;
        if caller.account()? != account_id {
            // Another account is as if it had none.
            return Ok(Page { policies: Vec::new(), next: None, previous: None });
        }
        let mut conn = self.inner.store.read().await?;
        let subject = query.iam_id.as_deref().or(query.access_group_id.as_deref());
        let rows = policies::list(&mut conn, account_id, query.state.as_deref().unwrap_or(ACTIVE), subject).await?;
        let own = own(&mut conn, caller, account_id).await?;
        let mut all = Vec::with_capacity(rows.len());
        for row in &rows {
            let policy = Policy::of(row)?;
            let readable = || {
                own.contains(policy.document.subject())
                    || reach::allowed(caller, "iam.policy.read", account_id, &policy.document)
            };
            if wanted(&policy, query) && readable() {
                all.push(policy);
            }
        }
        page(all, query)
    }
}

fn check(query: &PolicyQuery) -> Result<()> {
    let known = |name: &str, given: &Option<String>, values: &[&str]| match given {
        Some(given) if !values.contains(&given.as_str()) => {
            Err(AccessError::Invalid(format!("The query parameter '{name}' is one of '{}'.", values.join("', '"))))
        }
        _ => Ok(()),
    };
    known("type", &query.kind, &["access", "authorization"])?;
    known("state", &query.state, &[ACTIVE, DELETED])?;
    known("service_type", &query.service_type, &["service", "platform_service"])?;
    known("sort", &query.sort.as_ref().map(|sort| sort.trim_start_matches('-').to_owned()), &SORTS)?;
    if query.limit.is_some_and(|limit| !(1..=LONGEST_PAGE).contains(&limit)) {
        return Err(AccessError::Invalid(format!("The query parameter 'limit' is a number from 1 to {LONGEST_PAGE}.")));
    }
    if query.iam_id.is_some() && query.access_group_id.is_some() {
        return Err(AccessError::invalid("A policy has one subject: send 'iam_id' or 'access_group_id', not both."));
    }
    Ok(())
}

fn wanted(policy: &Policy, query: &PolicyQuery) -> bool {
    let document = &policy.document;
    let is = |asked: &Option<String>, key: &str| asked.as_deref().is_none_or(|asked| document.target_value(key) == Some(asked));
    let of_type = query.service_type.as_deref().is_none_or(|asked| match document.target_value("serviceType") {
        Some(named) => named == asked,
        None => document.target_value("serviceName").is_some_and(|service| access::service_type(service) == asked),
    });
    let tags = || document.resource.iter().flat_map(|target| &target.tags);
    let tagged = (query.tag_name.is_none() && query.tag_value.is_none())
        || tags().any(|tag| {
            query.tag_name.as_ref().is_none_or(|name| *name == tag.key)
                && query.tag_value.as_ref().is_none_or(|value| tag.value == value.as_str())
        });
    query.kind.as_ref().is_none_or(|kind| *kind == document.kind)
        && of_type
        && is(&query.service_name, "serviceName")
        && is(&query.service_group_id, "service_group_id")
        && tagged
        && (!query.v1 || document.to_v1().is_some())
}

/// Where a policy stands in a list; the ID makes it the only one there.
fn place(policy: &Policy, sort: &str) -> (String, String) {
    let key = match sort {
        "type" => policy.document.kind.clone(),
        "created_at" => clock::rfc3339_ms(clock::from_ms(policy.created_at)),
        "created_by_id" => policy.created_by.clone(),
        "last_modified_at" => clock::rfc3339_ms(clock::from_ms(policy.modified_at)),
        "last_modified_by_id" => policy.modified_by.clone(),
        // The rest is the same for all, or says what the ID says.
        _ => String::new(),
    };
    (key, policy.id.clone())
}

/// Sorts, and cuts out the page that begins after the policy that `start` names by its place, which need not be there any more.
fn page(mut all: Vec<Policy>, query: &PolicyQuery) -> Result<Page> {
    let sort = query.sort.as_deref().unwrap_or("created_at");
    let (sort, reverse) = sort.strip_prefix('-').map_or((sort, false), |sort| (sort, true));
    all.sort_by_cached_key(|policy| place(policy, sort));
    if reverse {
        all.reverse();
    }
    let first = match query.start.as_deref().filter(|start| !start.is_empty()) {
        Some(start) => {
            let after = read_token(start).ok_or_else(|| {
                AccessError::invalid(
                    "'start' is not one that a list answered. Take it from 'next', or leave it out for the first page.",
                )
            })?;
            let before = |policy: &Policy| if reverse { place(policy, sort) >= after } else { place(policy, sort) <= after };
            all.partition_point(before)
        }
        None => 0,
    };
    let length = query.limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(all.len());
    let token_before = |index: usize| index.checked_sub(1).map(|last| token(&place(&all[last], sort)));
    let end = first.saturating_add(length).min(all.len());
    let next = (end < all.len()).then(|| token_before(end)).flatten();
    let previous = (first > 0).then(|| token_before(first.saturating_sub(length)).unwrap_or_default());
    Ok(Page { policies: all.drain(first..end).collect(), next, previous })
}

fn token((key, id): &(String, String)) -> String {
    URL_SAFE_NO_PAD.encode(format!("{key}\n{id}"))
}

fn read_token(token: &str) -> Option<(String, String)> {
    let text = String::from_utf8(URL_SAFE_NO_PAD.decode(token).ok()?).ok()?;
    text.split_once('\n').map(|(key, id)| (key.to_owned(), id.to_owned()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn policy(id: &str, created_at: i64) -> Policy {
        let document = json!({
            "type": "access",
            "subject": {"attributes": [{"key": "iam_id", "operator": "stringEquals", "value": "IBMid-1"}]},
            "resource": {"attributes": [{"key": "serviceName", "operator": "stringEquals", "value": "containers-kubernetes"}]},
            "control": {"grant": {"roles": []}},
        });
        Policy {
            id: id.to_owned(),
            document: serde_json::from_value(document).unwrap(),
            active: true,
            created_at,
            created_by: "IBMid-1".to_owned(),
            modified_at: 100 - created_at,
            modified_by: "IBMid-1".to_owned(),
            etag: String::new(),
        }
    }

    fn all() -> Vec<Policy> {
        ["e", "a", "d", "c", "b"].into_iter().zip([1, 2, 3, 3, 5]).map(|(id, at)| policy(id, at)).collect()
    }

    fn walk(sort: &str, limit: i64, gone: Option<&str>) -> String {
        let mut query = PolicyQuery { sort: Some(sort.to_owned()), limit: Some(limit), ..PolicyQuery::default() };
        let mut seen = String::new();
        loop {
            let first = query.start.is_none();
            let left = all().into_iter().filter(|policy| first || Some(policy.id.as_str()) != gone).collect();
            let page = page(left, &query).unwrap();
            assert_eq!(page.previous.is_none(), first);
            assert!(i64::try_from(page.policies.len()).unwrap() <= limit);
            seen.extend(page.policies.iter().map(|policy| policy.id.as_str()));
            match page.next {
                Some(next) => query.start = Some(next),
                None => return seen,
            }
        }
    }

    #[test]
    fn pages_show_every_policy_once_in_order() {
        for (sort, expected) in [
            ("created_at", "eacdb"),
            ("-created_at", "bdcae"),
            ("id", "abcde"),
            ("-id", "edcba"),
            ("last_modified_at", "bcdae"),
        ] {
            for limit in 1..=6 {
                assert_eq!(walk(sort, limit, None), expected, "{sort} by {limit}");
            }
        }
        assert_eq!(walk("id", 2, Some("b")), "abcde", "the last of a page was deleted after it was shown");
        assert_eq!(walk("id", 2, Some("a")), "abcde");
    }

    #[test]
    fn the_page_before_is_found_again() {
        let query = |start| PolicyQuery { sort: Some("id".to_owned()), limit: Some(2), start, ..PolicyQuery::default() };
        let ids = |page: &Page| page.policies.iter().map(|policy| policy.id.clone()).collect::<String>();
        let first = page(all(), &query(None)).unwrap();
        let second = page(all(), &query(first.next.clone())).unwrap();
        let third = page(all(), &query(second.next.clone())).unwrap();
        assert_eq!((ids(&first), ids(&second), ids(&third)), ("ab".to_owned(), "cd".to_owned(), "e".to_owned()));
        assert_eq!(ids(&page(all(), &query(third.previous)).unwrap()), "cd");
        assert_eq!(second.previous.as_deref(), Some(""));
        assert!(page(all(), &query(Some("%%%".to_owned()))).is_err());
    }

    #[test]
    fn filters_look_at_what_a_policy_is_about() {
        let some = |text: &str| Some(text.to_owned());
        let cases = [
            (PolicyQuery::default(), true),
            (PolicyQuery { kind: some("authorization"), ..PolicyQuery::default() }, false),
            (PolicyQuery { service_type: some("service"), ..PolicyQuery::default() }, true),
            (PolicyQuery { service_type: some("platform_service"), ..PolicyQuery::default() }, false),
            (PolicyQuery { service_name: some("containers-kubernetes"), ..PolicyQuery::default() }, true),
            (PolicyQuery { service_name: some("iam-groups"), ..PolicyQuery::default() }, false),
            (PolicyQuery { service_group_id: some("IAM"), ..PolicyQuery::default() }, false),
            (PolicyQuery { tag_name: some("env"), ..PolicyQuery::default() }, false),
            (PolicyQuery { v1: true, ..PolicyQuery::default() }, true),
        ];
        for (query, expected) in cases {
            assert_eq!(wanted(&policy("a", 1), &query), expected, "{query:?}");
        }
    }
}
