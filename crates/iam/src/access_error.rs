//! What the rules on policies, roles and access groups refuse.

use crate::Error;

pub type Result<T, E = AccessError> = std::result::Result<T, E>;

/// What a refusal is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    Policy,
    Role,
    Group,
    /// A member of an access group.
    Member,
    /// A rule of an access group.
    Rule,
    /// Settings of an account.
    Settings,
}

/// Why something was not done. The text says what to do next.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// The request says something that cannot be.
    #[error("{0}")]
    Invalid(String),
    /// A parameter of the query that must be there.
    #[error("The query parameter '{0}' is missing. Send it.")]
    MissingQuery(&'static str),
    /// It is not there, or belongs to another account.
    #[error("{text}")]
    NotFound { what: Subject, text: String },
    /// Something else stands in the way: `id`, in its revision `etag`.
    #[error("{text}")]
    Conflict { what: Subject, id: String, etag: String, text: String },
    /// The entity tag that was sent is not that of the current revision, `etag`.
    #[error("It was changed since the revision that If-Match names. Get it again, and repeat the change on what it is now.")]
    Precondition { what: Subject, etag: String },
    /// The account has as many as it can have.
    #[error("{0}")]
    TooMany(String),
    #[error(transparent)]
    Iam(#[from] Error),
}

impl From<boatyard_store::Error> for AccessError {
    fn from(error: boatyard_store::Error) -> Self {
        AccessError::Iam(error.into())
    }
}

impl AccessError {
    /// A refusal of what a request says.
    pub(crate) fn invalid(text: impl Into<String>) -> Self {
        AccessError::Invalid(text.into())
    }

    /// Nothing of that ID, as far as this account goes.
    pub(crate) fn not_found(what: Subject, id: &str) -> Self {
        let id: String = id.chars().take(100).collect();
        let noun = match what {
            Subject::Policy => "policy",
            Subject::Role => "custom role",
            Subject::Group => "access group",
            Subject::Member => "member",
            Subject::Rule => "rule",
            Subject::Settings => "account",
        };
        let text = format!("There is no {noun} '{id}' in this account. List what there is, and use an ID from the list.");
        AccessError::NotFound { what, text }
    }
}

/// The entity tag of a revision of something.
#[must_use]
pub fn entity_tag(revision: i64, id: &str) -> String {
    format!("{revision}-{id}")
}

/// Refuses a change of something that was changed since it was read.
pub(crate) fn matches(what: Subject, given: Option<&str>, revision: i64, id: &str) -> Result<()> {
    let etag = entity_tag(revision, id);
    // Some clients send the tag as they got it, others in quotation marks.
    match given.map(|tag| tag.trim_start_matches("W/").trim_matches('"')) {
        None | Some("") => {
            let text = "The header If-Match is missing. Send the ETag that a read answered, or '*' for whatever there is.";
            Err(AccessError::invalid(text))
        }
        Some("*") => Ok(()),
        Some(tag) if tag == etag => Ok(()),
        Some(_) => Err(AccessError::Precondition { what, etag }),
    }
}
