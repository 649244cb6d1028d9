//! Who access is given to: users, service IDs, access groups and trusted profiles, as people name them.

use std::marker::PhantomData;

use boatyard_sdk::iam_identity::Client;
use clap::Args;

use super::access_groups;
use super::shared::{self, Named, Place};
use crate::commands::account::{query_of, users};
use crate::failure::Failure;

/// Somebody or something that policies give access to.
pub struct Identity {
    /// IAM ID, or ID of an access group.
    pub id: String,
    pub name: String,
}

/// One kind of them, with the argument that names one.
pub trait Subject: Args {
    /// In the singular, as in `There is no service ID "a"`.
    const WHAT: &'static str;
    /// Attribute of a policy's subject.
    const KEY: &'static str = "iam_id";
    /// Type of a member of an access group.
    const MEMBER: &'static str;

    fn given(&self) -> &str;
    /// The one that a person means by `given`.
    async fn named(place: &Place, given: &str) -> Result<Identity, Failure>;

    async fn find(&self, place: &Place) -> Result<Identity, Failure> {
        Self::named(place, self.given()).await
    }
}

#[derive(Args, Debug)]
pub struct User {
    /// User name (e-mail address) or IAM ID of the user
    #[arg(value_name = "USER")]
    user: String,
}

#[derive(Args, Debug)]
pub struct Service {
    /// Name, ID or IAM ID of the service ID
    #[arg(value_name = "SERVICE_ID")]
    service_id: String,
}

#[derive(Args, Debug)]
pub struct Group {
    /// Name or ID of the access group
    #[arg(value_name = "GROUP")]
    group: String,
}

#[derive(Args, Debug)]
pub struct Profile {
    /// Name, ID or IAM ID of the trusted profile
    #[arg(value_name = "PROFILE")]
    profile: String,
}

impl Subject for User {
    const WHAT: &'static str = "user";
    const MEMBER: &'static str = "user";

    fn given(&self) -> &str {
        &self.user
    }

    async fn named(place: &Place, given: &str) -> Result<Identity, Failure> {
        let user = users::named(&place.session, &place.account, given).await?;
        Ok(Identity { id: user.iam_id.unwrap_or_default(), name: user.user_id.unwrap_or_else(|| given.to_owned()) })
    }
}

impl Subject for Service {
    const WHAT: &'static str = "service ID";
    const MEMBER: &'static str = "service";

    fn given(&self) -> &str {
        &self.service_id
    }

    async fn named(place: &Place, given: &str) -> Result<Identity, Failure> {
        let account = &place.account;
        let all = shared::pages(async |start| {
            let page = place.session.call(async |c: &Client| {
                c.list_service_ids(Some(account), None, None, None, None, None, Some(100), start, None, None).await
            });
            let page = page.await?;
            let items = page.serviceids.into_iter().map(|item| Candidate::<Self>::new(item.id, item.name, item.iam_id));
            Ok((items.collect(), page.next.as_deref().and_then(|next| query_of(next, "pagetoken"))))
        });
        Ok(shared::one(all.await?, bare(given), "iam service-ids")?.into())
    }
}

impl Subject for Group {
    const WHAT: &'static str = "access group";
    const KEY: &'static str = "access_group_id";
    // Never asked for: a group is no member of a group.
    const MEMBER: &'static str = "group";

    fn given(&self) -> &str {
        &self.group
    }

    async fn named(place: &Place, given: &str) -> Result<Identity, Failure> {
        let group = access_groups::named(place, given).await?;
        Ok(Identity { id: group.id.unwrap_or_default(), name: group.name.unwrap_or_default() })
    }
}

impl Subject for Profile {
    const WHAT: &'static str = "trusted profile";
    const MEMBER: &'static str = "profile";

    fn given(&self) -> &str {
        &self.profile
    }

    async fn named(place: &Place, given: &str) -> Result<Identity, Failure> {
        let account = &place.account;
        let all = shared::pages(async |start| {
            let page = place
                .session
                .call(async |c: &Client| c.list_profiles(account, None, None, None, None, Some(100), start, None).await);
            let page = page.await?;
            let items = page.profiles.into_iter().map(|item| Candidate::<Self>::new(item.id, item.name, item.iam_id));
            Ok((items.collect(), page.next.as_deref().and_then(|next| query_of(next, "pagetoken"))))
        });
        Ok(shared::one(all.await?, bare(given), "iam trusted-profiles")?.into())
    }
}

/// The ID in an IAM ID of a service ID or a trusted profile; anything else as it is.
fn bare(given: &str) -> &str {
    given.strip_prefix("iam-").filter(|id| id.starts_with("ServiceId-") || id.starts_with("Profile-")).unwrap_or(given)
}

struct Candidate<S> {
    id: String,
    name: String,
    iam_id: String,
    of: PhantomData<S>,
}

impl<S> Candidate<S> {
    fn new(id: String, name: String, iam_id: String) -> Self {
        Self { id, name, iam_id, of: PhantomData }
    }
}

impl<S: Subject> Named for Candidate<S> {
    const WHAT: &'static str = S::WHAT;

    fn id(&self) -> &str {
        &self.id
    }

    fn name(&self) -> &str {
        &self.name
    }
}

impl<S> From<Candidate<S>> for Identity {
    fn from(found: Candidate<S>) -> Self {
        Self { id: found.iam_id, name: found.name }
    }
}
