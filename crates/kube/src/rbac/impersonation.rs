//! Requests in the name of somebody else (`kubectl --as`).

use http::{HeaderMap, HeaderName, HeaderValue};

use super::{Attributes, Authorizer};
use crate::accounts;
use crate::api::User;
use crate::status::Status;

const USER: HeaderName = HeaderName::from_static("impersonate-user");
const UID: HeaderName = HeaderName::from_static("impersonate-uid");
const GROUP: HeaderName = HeaderName::from_static("impersonate-group");
const EXTRA: &str = "impersonate-extra-";
const AUTHENTICATED: &str = "system:authenticated";
const UNAUTHENTICATED: &str = "system:unauthenticated";

/// The user in whose name a request with these headers is to be decided, if it names one and `user` may `impersonate` everything that it names
/// of him.
///
/// # Errors
///
/// Forbidden, if he may not; bad request, for groups and the like without a user, and for what cannot be read: a request must not go on as
/// somebody else than it says.
pub fn impersonated(authorizer: &Authorizer, user: &User, headers: &HeaderMap) -> Result<Option<User>, Status> {
    let values = |name: &HeaderName| {
        let read = headers.get_all(name).into_iter().map(|value| text(name, value));
        read.filter(|value| value.as_ref().map_or(true, |text| !text.is_empty())).collect::<Result<Vec<_>, _>>()
    };
    let (name, uid) = (values(&USER)?.first().copied(), values(&UID)?.first().copied());
    let groups: Vec<String> = values(&GROUP)?.into_iter().map(str::to_owned).collect();
    let extra = headers.iter().filter_map(extra).collect::<Result<Vec<_>, _>>()?;
    let Some(name) = name else {
        if uid.is_none() && groups.is_empty() && extra.is_empty() {
            return Ok(None);
        }
        return Err(Status::bad_request("groups, a UID or further information were to be impersonated without a user"));
    };
    let may =
        |attributes: Attributes| authorizer.require(user, &Attributes { verb: "impersonate", version: "v1", ..attributes });
    let of = |group, resource, name| Attributes::of_resource("", group, resource, "", name);
    let account = accounts::account_of(name);
    match account {
        Some((namespace, name)) => may(Attributes { namespace, ..of("", "serviceaccounts", name) })?,
        None => may(of("", "users", name))?,
    }
    groups.iter().try_for_each(|group| may(of("", "groups", group)))?;
    uid.map_or(Ok(()), |uid| may(of("authentication.k8s.io", "uids", uid)))?;
    for (key, value) in &extra {
        may(Attributes { subresource: key, ..of("authentication.k8s.io", "userextras", value) })?;
    }
    let mut found = User { name: name.to_owned(), uid: uid.unwrap_or_default().to_owned(), groups, ..User::default() };
    if let (Some((namespace, name)), true) = (account, found.groups.is_empty()) {
        found.groups = accounts::user(namespace, name, "").groups;
    }
    let own = if name == "system:anonymous" { UNAUTHENTICATED } else { AUTHENTICATED };
    if !found.is_in(AUTHENTICATED) && !found.is_in(UNAUTHENTICATED) {
        found.groups.push(own.to_owned());
    }
    for (key, value) in extra {
        found.extra.entry(key).or_default().push(value);
    }
    Ok(Some(found))
}

/// Key and value of a header that tells more of a user, if it is one. Keys are escaped as in paths.
fn extra((name, value): (&HeaderName, &HeaderValue)) -> Option<Result<(String, String), Status>> {
    let key = name.as_str().strip_prefix(EXTRA).filter(|key| !key.is_empty())?;
    // A key in a form without `=` and `&` is one pair of an unescaped key and nothing, but that `+` stays.
    let pairs = serde_urlencoded::from_str::<Vec<(String, String)>>(&key.replace('+', "%2B"));
    let key = pairs.ok().and_then(|pairs| pairs.into_iter().next()).map(|(key, _)| key).ok_or_else(|| unreadable(name));
    Some(key.and_then(|key| Ok((key, text(name, value)?.to_owned()))))
}

/// What a header says. Names may have any letters, which clients send as UTF-8.
fn text<'a>(name: &HeaderName, value: &'a HeaderValue) -> Result<&'a str, Status> {
    std::str::from_utf8(value.as_bytes()).map_err(|_| unreadable(name))
}

fn unreadable(name: &HeaderName) -> Status {
    Status::bad_request(format!("the header {name} cannot be read as UTF-8"))
}
