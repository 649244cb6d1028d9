//! `boatyard iam user-polic…`, `service-polic…`, `access-group-polic…`, `trusted-profile-polic…`: one set of commands for each kind
//! of subject.

use boatyard_sdk::iam_policy_management::Client;
use boatyard_sdk::iam_policy_management::types::{
    CreateV2PolicyRequest, ReplaceV2PolicyRequest, V2PolicyTemplateMetaData as Policy,
};
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::policy::{self, Definition};
use super::shared::{self, Force, Place, Unasked};
use super::subjects::{Group, Identity, Profile, Service, Subject, User};
use crate::failure::Failure;
use crate::output::Common;

#[derive(Debug, Subcommand)]
pub enum Command {
    /// List the policies of a user
    UserPolicies(ListArgs<User>),
    /// Show a policy of a user
    UserPolicy(ShowArgs<User>),
    /// Give a user access
    UserPolicyCreate(CreateArgs<User>),
    /// Change a policy of a user
    UserPolicyUpdate(UpdateArgs<User>),
    /// Delete a policy of a user
    UserPolicyDelete(DeleteArgs<User>),
    /// List the policies of a service ID
    ServicePolicies(ListArgs<Service>),
    /// Show a policy of a service ID
    ServicePolicy(ShowArgs<Service>),
    /// Give a service ID access
    ServicePolicyCreate(CreateArgs<Service>),
    /// Change a policy of a service ID
    ServicePolicyUpdate(UpdateArgs<Service>),
    /// Delete a policy of a service ID
    ServicePolicyDelete(DeleteArgs<Service>),
    /// List the policies of an access group
    AccessGroupPolicies(ListArgs<Group>),
    /// Show a policy of an access group
    AccessGroupPolicy(ShowArgs<Group>),
    /// Give an access group access
    AccessGroupPolicyCreate(CreateArgs<Group>),
    /// Change a policy of an access group
    AccessGroupPolicyUpdate(UpdateArgs<Group>),
    /// Delete a policy of an access group
    AccessGroupPolicyDelete(DeleteArgs<Group>),
    /// List the policies of a trusted profile
    TrustedProfilePolicies(ListArgs<Profile>),
    /// Show a policy of a trusted profile
    TrustedProfilePolicy(ShowArgs<Profile>),
    /// Give a trusted profile access
    TrustedProfilePolicyCreate(CreateArgs<Profile>),
    /// Change a policy of a trusted profile
    TrustedProfilePolicyUpdate(UpdateArgs<Profile>),
    /// Delete a policy of a trusted profile
    TrustedProfilePolicyDelete(DeleteArgs<Profile>),
}

#[derive(Args, Debug)]
pub struct ListArgs<S: Args> {
    #[command(flatten)]
    subject: S,
    #[command(flatten)]
    common: Common,
}

#[derive(Args, Debug)]
pub struct ShowArgs<S: Args> {
    #[command(flatten)]
    subject: S,
    /// ID of the policy
    #[arg(value_name = "POLICY_ID")]
    policy: String,
    #[command(flatten)]
    common: Common,
}

#[derive(Args, Debug)]
pub struct CreateArgs<S: Args> {
    #[command(flatten)]
    subject: S,
    #[command(flatten)]
    definition: Definition,
    #[command(flatten)]
    common: Common,
}

#[derive(Args, Debug)]
pub struct UpdateArgs<S: Args> {
    #[command(flatten)]
    subject: S,
    /// ID of the policy
    #[arg(value_name = "POLICY_ID")]
    policy: String,
    #[command(flatten)]
    definition: Definition,
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    _unasked: Unasked,
}

#[derive(Args, Debug)]
pub struct DeleteArgs<S: Args> {
    #[command(flatten)]
    subject: S,
    /// ID of the policy
    #[arg(value_name = "POLICY_ID")]
    policy: String,
    #[command(flatten)]
    force: Force,
    #[command(flatten)]
    common: Common,
}

pub async fn run(command: Command) -> Result<(), Failure> {
    let place = &Place::load()?;
    match command {
        Command::UserPolicies(args) => list(place, args).await,
        Command::UserPolicy(args) => show(place, args).await,
        Command::UserPolicyCreate(args) => create(place, args).await,
        Command::UserPolicyUpdate(args) => update(place, args).await,
        Command::UserPolicyDelete(args) => delete(place, args).await,
        Command::ServicePolicies(args) => list(place, args).await,
        Command::ServicePolicy(args) => show(place, args).await,
        Command::ServicePolicyCreate(args) => create(place, args).await,
        Command::ServicePolicyUpdate(args) => update(place, args).await,
        Command::ServicePolicyDelete(args) => delete(place, args).await,
        Command::AccessGroupPolicies(args) => list(place, args).await,
        Command::AccessGroupPolicy(args) => show(place, args).await,
        Command::AccessGroupPolicyCreate(args) => create(place, args).await,
        Command::AccessGroupPolicyUpdate(args) => update(place, args).await,
        Command::AccessGroupPolicyDelete(args) => delete(place, args).await,
        Command::TrustedProfilePolicies(args) => list(place, args).await,
        Command::TrustedProfilePolicy(args) => show(place, args).await,
        Command::TrustedProfilePolicyCreate(args) => create(place, args).await,
        Command::TrustedProfilePolicyUpdate(args) => update(place, args).await,
        Command::TrustedProfilePolicyDelete(args) => delete(place, args).await,
    }
}

async fn list<S: Subject>(place: &Place, args: ListArgs<S>) -> Result<(), Failure> {
    let subject = args.subject.find(place).await?;
    let of = |key: &str| (S::KEY == key).then_some(subject.id.as_str());
    let (iam_id, group, account) = (of("iam_id"), of("access_group_id"), &place.account);
    let found: Vec<Policy> = shared::pages(async |start| {
        let page = place.session.call(async |c: &Client| {
            c.list_v2_policies(group, account, None, iam_id, Some(100), None, None, None, None, start, None, None, None).await
        });
        let page = page.await?;
        Ok((page.policies, page.next.and_then(|next| next.start)))
    })
    .await?;
    shared::listed(&args.common, &found, ["ID", "Roles", "Resources", "Description"], |policy| {
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        [text(&policy.id), policy::roles(policy), policy::resources(policy), text(&policy.description)]
    })
}

/// A policy of the subject, with its entity tag.
async fn found<S: Subject>(place: &Place, subject: &Identity, id: &str) -> Result<(Policy, String), Failure> {
    let (policy, tag) = place.session.call_tagged(async |c: &Client| c.get_v2_policy(id, None).await).await?;
    let attributes = policy.subject.iter().flat_map(|subject| &subject.attributes);
    if attributes.into_iter().any(|attribute| attribute.key == S::KEY && attribute.value == subject.id.as_str()) {
        return Ok((policy, tag));
    }
    Err(Failure::new(
        format!("The policy {id} is none of the {} {}.", S::WHAT, subject.name),
        "The list of its policies shows their IDs.",
    ))
}

async fn show<S: Subject>(place: &Place, args: ShowArgs<S>) -> Result<(), Failure> {
    let subject = args.subject.find(place).await?;
    let (policy, _) = found::<S>(place, &subject, &args.policy).await?;
    print(&args.common, &policy)
}

fn print(common: &Common, policy: &Policy) -> Result<(), Failure> {
    shared::shown(
        common,
        policy,
        &[
            ("ID", policy.id.clone()),
            ("Description", policy.description.clone()),
            ("Roles", Some(policy::roles(policy))),
            ("Resources", Some(policy::resources(policy))),
            ("Pattern", policy.pattern.clone()),
            ("State", Some(policy.state.to_string())),
            ("Created At", policy.created_at.clone()),
            ("Last Updated", policy.last_modified_at.clone()),
        ],
    )
}

/// Shows a policy as the service keeps it now.
async fn print_kept(place: &Place, common: &Common, id: Option<String>) -> Result<(), Failure> {
    let id = id.unwrap_or_default();
    let kept = place.session.call(async |c: &Client| c.get_v2_policy(&id, None).await).await?;
    print(common, &kept)
}

fn attribute_of<S: Subject>(subject: &Identity) -> Value {
    json!({ "attributes": [{ "key": S::KEY, "operator": "stringEquals", "value": subject.id }] })
}

async fn create<S: Subject>(place: &Place, args: CreateArgs<S>) -> Result<(), Failure> {
    args.definition.check()?;
    if !args.definition.gives_roles() {
        return Err(Failure::usage("The policy gives no roles.", "Give some with `--roles`, or a policy with `--file`."));
    }
    let subject = args.subject.find(place).await?;
    let mut body = json!({ "type": "access" });
    args.definition.apply(place, &mut body).await?;
    body["subject"] = attribute_of::<S>(&subject);
    let body: CreateV2PolicyRequest = policy::parse(body)?;
    let made = place.session.call(async |c: &Client| c.create_v2_policy(None, &body).await).await?;
    print_kept(place, &args.common, made.id).await
}

async fn update<S: Subject>(place: &Place, args: UpdateArgs<S>) -> Result<(), Failure> {
    args.definition.check()?;
    if args.definition.is_empty() {
        return Err(Failure::usage("There is nothing to change.", "Give `--roles`, what they are about, or `--file`."));
    }
    let subject = args.subject.find(place).await?;
    let (policy, tag) = found::<S>(place, &subject, &args.policy).await?;
    let mut body = policy::value(&policy)?;
    args.definition.apply(place, &mut body).await?;
    body["subject"] = attribute_of::<S>(&subject);
    let body: ReplaceV2PolicyRequest = policy::parse(body)?;
    let changed = place.session.call(async |c: &Client| c.replace_v2_policy(&args.policy, &tag, &body).await).await?;
    print_kept(place, &args.common, changed.id).await
}

async fn delete<S: Subject>(place: &Place, args: DeleteArgs<S>) -> Result<(), Failure> {
    let subject = args.subject.find(place).await?;
    let (policy, _) = found::<S>(place, &subject, &args.policy).await?;
    let (id, what) = (&args.policy, policy::roles(&policy));
    args.force.confirm(&format!("Delete the policy {id} ({what}) of the {} {}?", S::WHAT, subject.name))?;
    place.session.call(async |c: &Client| c.delete_v2_policy(id).await).await?;
    shared::became(&args.common, "The policy", id, id, "deleted")
}
