//! Whom tokens are of: people, service IDs and trusted profiles.

use std::sync::Arc;

use boatyard_store::access::{self, Machine};
use boatyard_store::users::User;
use boatyard_store::{Conn, users};

use crate::Result;

/// What an identity is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    User,
    ServiceId,
    Profile,
}

impl Kind {
    /// Of an IAM ID, whose beginning tells.
    #[must_use]
    pub fn of(iam_id: &str) -> Self {
        match iam_id {
            id if id.starts_with("iam-ServiceId-") => Kind::ServiceId,
            id if id.starts_with("iam-Profile-") => Kind::Profile,
            _ => Kind::User,
        }
    }

    /// The claim `realmid`.
    #[must_use]
    pub fn realm(self) -> &'static str {
        if self == Kind::User { "IBMid" } else { "iam" }
    }

    /// The claim `sub_type`.
    #[must_use]
    pub fn sub_type(self) -> Option<&'static str> {
        match self {
            Kind::User => None,
            Kind::ServiceId => Some("ServiceId"),
            Kind::Profile => Some("Profile"),
        }
    }
}

/// Whom a token is of, as the token tells it.
#[derive(Clone, Debug)]
pub(crate) struct Subject {
    pub kind: Kind,
    pub iam_id: String,
    /// User name of a user, ID of anything else.
    pub sub: String,
    pub name: String,
    /// Empty but for users, as the next two.
    pub given_name: String,
    pub family_name: String,
    pub email: String,
    /// The only account that it can have tokens for; `None` for users, who are members of several.
    pub account_id: Option<String>,
    /// Who became this trusted profile.
    pub original: Option<Arc<Subject>>,
}

impl Subject {
    pub fn user(user: User) -> Self {
        let name = format!("{} {}", user.given_name, user.family_name).trim().to_owned();
        Self {
            kind: Kind::User,
            name: if name.is_empty() { user.username.clone() } else { name },
            iam_id: user.iam_id,
            sub: user.username,
            given_name: user.given_name,
            family_name: user.family_name,
            email: user.email,
            account_id: None,
            original: None,
        }
    }

    pub fn machine(iam_id: &str, machine: Machine) -> Self {
        Self {
            kind: Kind::of(iam_id),
            iam_id: iam_id.to_owned(),
            sub: machine.id,
            name: machine.name,
            given_name: String::new(),
            family_name: String::new(),
            email: String::new(),
            account_id: Some(machine.account_id),
            original: None,
        }
    }

    /// The subject of an IAM ID, if there is one.
    pub async fn find(conn: &mut Conn, iam_id: &str) -> Result<Option<Self>> {
        Ok(match Kind::of(iam_id) {
            Kind::User => users::get(conn, iam_id).await?.map(Self::user),
            _ => access::machine(conn, iam_id).await?.map(|machine| Self::machine(iam_id, machine)),
        })
    }

    /// The IAM ID without its realm.
    pub fn identifier(&self) -> &str {
        self.iam_id.strip_prefix(self.kind.realm()).and_then(|rest| rest.strip_prefix('-')).unwrap_or(&self.iam_id)
    }
}
