//! What the rules about API keys, service IDs, trusted profiles and settings have in common.

use boatyard_core::clock::{containers_date, from_ms};

use crate::access::Resource;
use crate::{Caller, Error, Iam};

/// The service that policies name for everything in here.
pub(crate) const SERVICE: &str = "iam-identity";
/// The longest name, in bytes.
const LONGEST_NAME: usize = 256;
/// The longest description, in bytes.
const LONGEST_DESCRIPTION: usize = 2048;

pub type ManageResult<T, E = ManageError> = std::result::Result<T, E>;

/// Why an identity or a setting was not shown or changed. The texts tell what to do next.
#[derive(Debug, thiserror::Error)]
pub enum ManageError {
    #[error("There is no {what} '{id}' in this account.")]
    NotFound { what: &'static str, id: String },
    #[error("There is no account '{0}' that this token gives access to. Use a token for the account.")]
    OtherAccount(String),
    #[error("'{member}' {why}")]
    Invalid { member: String, why: String },
    #[error("The header 'If-Match' is missing. Send the 'entity_tag' that was read, or '*' to change whatever is there.")]
    NoTag,
    #[error("This {what} was changed by somebody else since it was read. Read it again, and repeat the change.")]
    Stale { what: &'static str },
    #[error("The {what} '{id}' is locked. Unlock it first.")]
    Locked { what: &'static str, id: String },
    /// The text says what is taken.
    #[error("{0}")]
    Taken(String),
    #[error("There are {limit} {what} already, and no more are allowed. Delete one that is not needed any more.")]
    TooMany { what: &'static str, limit: i64 },
    /// The text says who may.
    #[error("{0}")]
    NotAllowed(String),
    #[error(transparent)]
    Iam(#[from] Error),
}

impl From<boatyard_store::Error> for ManageError {
    fn from(error: boatyard_store::Error) -> Self {
        Self::Iam(Error::Store(error))
    }
}

impl ManageError {
    pub(crate) fn invalid(member: impl Into<String>, why: impl Into<String>) -> Self {
        Self::Invalid { member: member.into(), why: why.into() }
    }

    /// A write that failed because of another one.
    pub(crate) fn of_write(error: boatyard_store::Error, what: &'static str) -> Self {
        match error {
            boatyard_store::Error::Stale => Self::Stale { what },
            other => other.into(),
        }
    }
}

/// The tag of something that was changed `revision` times.
#[must_use]
pub fn entity_tag(revision: i64, id: &str) -> String {
    format!("{revision}-{id}")
}

/// That `If-Match` names what is there, or says that it does not matter. Quotes and the mark of a weak tag count for nothing.
pub(crate) fn if_match(header: Option<&str>, what: &'static str, revision: i64, id: &str) -> ManageResult<()> {
    let given = header.map(str::trim).filter(|given| !given.is_empty()).ok_or(ManageError::NoTag)?;
    let bare = given.strip_prefix("W/").unwrap_or(given).trim_matches('"');
    if bare == "*" || bare == entity_tag(revision, id) { Ok(()) } else { Err(ManageError::Stale { what }) }
}

/// The account of the token, which must be the one that the request names, if it names one.
pub(crate) fn account<'a>(caller: &'a Caller, named: Option<&str>) -> ManageResult<&'a str> {
    let own = caller.account()?;
    match named.filter(|named| !named.is_empty() && *named != own) {
        Some(other) => Err(ManageError::OtherAccount(shortened(other))),
        None => Ok(own),
    }
}

/// One service ID or trusted profile as policies name it.
pub(crate) fn resource<'a>(account: &'a str, resource_type: &'a str, id: &'a str) -> Resource<'a> {
    Resource::service(account, SERVICE).resource_type(resource_type).resource(id)
}

pub(crate) fn name(text: &str) -> ManageResult<String> {
    let text = text.trim();
    match text.len() {
        1..=LONGEST_NAME => Ok(text.to_owned()),
        _ => Err(ManageError::invalid("name", format!("must have 1 to {LONGEST_NAME} bytes."))),
    }
}

pub(crate) fn description(text: Option<&str>) -> ManageResult<String> {
    let text = text.unwrap_or_default();
    if text.len() > LONGEST_DESCRIPTION {
        return Err(ManageError::invalid("description", format!("must have at most {LONGEST_DESCRIPTION} bytes.")));
    }
    Ok(text.to_owned())
}

/// One of a few words.
pub(crate) fn one_of(member: &str, value: &str, valid: &[&str]) -> ManageResult<String> {
    if valid.contains(&value) {
        return Ok(value.to_owned());
    }
    Err(ManageError::invalid(member, format!("is '{}', but must be one of {}.", shortened(value), valid.join(", "))))
}

/// What somebody sent, for a text that tells them so.
pub(crate) fn shortened(text: &str) -> String {
    text.chars().take(60).collect()
}

/// A time as the service writes it, which sorts like the time.
pub(crate) fn date(ms: i64) -> String {
    containers_date(from_ms(ms))
}

impl Iam {
    pub(crate) fn now_ms(&self) -> i64 {
        self.inner.clock.now().as_millisecond()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_fits_with_quotes_and_as_a_star_and_no_other_does() {
        let cases = [
            (Some("3-x"), "ok"),
            (Some("\"3-x\""), "ok"),
            (Some("W/\"3-x\""), "ok"),
            (Some(" * "), "ok"),
            (Some("2-x"), "stale"),
            (Some("3-y"), "stale"),
            (Some(""), "none"),
            (None, "none"),
        ];
        for (header, expected) in cases {
            let found = match if_match(header, "thing", 3, "x") {
                Ok(()) => "ok",
                Err(ManageError::Stale { .. }) => "stale",
                Err(ManageError::NoTag) => "none",
                Err(other) => panic!("{other}"),
            };
            assert_eq!(found, expected, "{header:?}");
        }
    }
}
