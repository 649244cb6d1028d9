//! `boatyard iam role…`: roles that every account has, and custom roles of this one.

use boatyard_sdk::iam_policy_management::Client;
use boatyard_sdk::iam_policy_management::types::{CreateRoleRequest, CustomRole, ReplaceRoleRequest, Role, RoleCollection};
use clap::{Args, Subcommand};
use serde::Serialize;

use super::shared::{self, Force, Place, Unasked};
use crate::failure::Failure;
use crate::output::{self, Common};

/// The name by which the service lists service roles of any service.
const ALL_SERVICES: &str = "alliamserviceroles";

#[derive(Debug, Subcommand)]
pub enum Command {
    /// List the roles that policies can give
    Roles(ListArgs),
    /// Show a role and its actions
    Role(ShowArgs),
    /// Make a custom role
    RoleCreate(CreateArgs),
    /// Change a custom role
    RoleUpdate(UpdateArgs),
    /// Delete a custom role that no policy gives
    RoleDelete(DeleteArgs),
}

#[derive(Args, Debug)]
pub struct ListArgs {
    /// Only those that have to do with this service, such as containers-kubernetes
    #[arg(long, value_name = "SERVICE")]
    service: Option<String>,
    #[command(flatten)]
    common: Common,
}

#[derive(Args, Debug)]
pub struct ShowArgs {
    /// Name or CRN of the role
    #[arg(value_name = "ROLE")]
    role: String,
    #[command(flatten)]
    common: Common,
}

#[derive(Args, Debug)]
pub struct CreateArgs {
    /// Name of the role: a capital letter, then letters and digits
    #[arg(value_name = "NAME")]
    name: String,
    /// Name for people
    #[arg(long, value_name = "NAME")]
    display_name: String,
    /// Service whose actions the role has
    #[arg(long, value_name = "SERVICE")]
    service_name: String,
    /// Actions of the role, with commas between
    #[arg(short = 'a', long, value_name = "ACTIONS", value_delimiter = ',', required = true)]
    actions: Vec<String>,
    /// Description of the role
    #[arg(short = 'd', long, value_name = "TEXT")]
    description: Option<String>,
    #[command(flatten)]
    common: Common,
}

#[derive(Args, Debug)]
pub struct UpdateArgs {
    /// Name or CRN of the custom role
    #[arg(value_name = "ROLE")]
    role: String,
    /// The new name for people
    #[arg(long, value_name = "NAME")]
    display_name: Option<String>,
    /// All actions that the role is to have, with commas between
    #[arg(short = 'a', long, value_name = "ACTIONS", value_delimiter = ',')]
    actions: Vec<String>,
    /// The new description
    #[arg(short = 'd', long, value_name = "TEXT")]
    description: Option<String>,
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    _unasked: Unasked,
}

#[derive(Args, Debug)]
pub struct DeleteArgs {
    /// Name or CRN of the custom role
    #[arg(value_name = "ROLE")]
    role: String,
    #[command(flatten)]
    force: Force,
    #[command(flatten)]
    common: Common,
}

/// A role, whoever made it; on the wire custom roles have members that the others lack.
#[derive(Serialize)]
#[serde(untagged)]
enum Known {
    Platform(Role),
    Service(Role),
    Custom(Box<CustomRole>),
}

impl Known {
    fn all(list: RoleCollection) -> Vec<Self> {
        let platform = list.system_roles.into_iter().map(Self::Platform);
        let service = list.service_roles.into_iter().map(Self::Service);
        platform.chain(service).chain(list.custom_roles.into_iter().map(|role| Self::Custom(Box::new(role)))).collect()
    }

    fn kind(&self) -> &'static str {
        match self {
            Self::Platform(_) => "platform",
            Self::Service(_) => "service",
            Self::Custom(_) => "custom",
        }
    }

    fn display_name(&self) -> &str {
        match self {
            Self::Platform(role) | Self::Service(role) => &role.display_name,
            Self::Custom(role) => &role.display_name,
        }
    }

    fn crn(&self) -> &str {
        let crn = match self {
            Self::Platform(role) | Self::Service(role) => &role.crn,
            Self::Custom(role) => &role.crn,
        };
        crn.as_deref().unwrap_or_default()
    }

    fn description(&self) -> Option<String> {
        match self {
            Self::Platform(role) | Self::Service(role) => role.description.clone(),
            Self::Custom(role) => role.description.clone(),
        }
    }

    fn actions(&self) -> &[String] {
        match self {
            Self::Platform(role) | Self::Service(role) => &role.actions,
            Self::Custom(role) => &role.actions,
        }
    }

    fn has_id(&self, given: &str) -> bool {
        self.crn() == given || matches!(self, Self::Custom(role) if role.id.as_deref() == Some(given))
    }

    fn has_name(&self, given: &str) -> bool {
        self.display_name().eq_ignore_ascii_case(given) || matches!(self, Self::Custom(role) if role.name == given)
    }
}

pub async fn run(command: Command) -> Result<(), Failure> {
    let place = Place::load()?;
    match command {
        Command::Roles(args) => list(&place, args).await,
        Command::Role(args) => {
            let found = Known::all(known(&place, None).await?);
            show(&args.common, &pick(found, &args.role)?)
        }
        Command::RoleCreate(args) => create(&place, args).await,
        Command::RoleUpdate(args) => update(&place, args).await,
        Command::RoleDelete(args) => delete(&place, args).await,
    }
}

/// The roles that policies on a service can give; without one, those of any service.
async fn known(place: &Place, service: Option<&str>) -> Result<RoleCollection, Failure> {
    let account = Some(place.account.as_str());
    let fetch = async |service| {
        place.session.call(async |c: &Client| c.list_roles(account, None, None, service, None, None).await).await
    };
    let mut list = fetch(service).await?;
    if service.is_none() {
        list.service_roles = fetch(Some(ALL_SERVICES)).await?.service_roles;
    }
    Ok(list)
}

/// CRNs of roles that a person names, for a policy on a service.
pub async fn crns(place: &Place, service: Option<&str>, given: &[String]) -> Result<Vec<String>, Failure> {
    let mut found = Vec::new();
    for role in given {
        let crn = match role.starts_with("crn:") {
            true => role.clone(),
            false => pick(Known::all(known(place, service).await?), role)?.crn().to_owned(),
        };
        found.push(crn);
    }
    Ok(found)
}

/// The role that a person means by a CRN, an ID, or one of its names.
fn pick(all: Vec<Known>, given: &str) -> Result<Known, Failure> {
    let names = all.iter().map(Known::display_name).collect::<Vec<_>>().join(", ");
    let (mut of_id, others): (Vec<_>, Vec<_>) = all.into_iter().partition(|role| role.has_id(given));
    if let Some(role) = of_id.pop() {
        return Ok(role);
    }
    let mut named: Vec<_> = others.into_iter().filter(|role| role.has_name(given)).collect();
    match named.pop() {
        None => Err(Failure::new(format!("There is no role {given:?} for this."), format!("Roles are: {names}."))),
        Some(role) if named.is_empty() => Ok(role),
        Some(last) => {
            let crns: Vec<_> = named.iter().chain([&last]).map(|role| format!("\n  {}", role.crn())).collect();
            let what = format!("Several roles have the name {given:?}:{}", crns.concat());
            Err(Failure::new(what, "Give the CRN of the role instead of its name."))
        }
    }
}

/// The custom role that a person means.
async fn custom(place: &Place, given: &str) -> Result<CustomRole, Failure> {
    match pick(Known::all(known(place, None).await?), given)? {
        Known::Custom(role) => Ok(*role),
        other => Err(Failure::new(
            format!("The role {} is one that every account has.", other.display_name()),
            "Only custom roles can be changed and deleted.",
        )),
    }
}

async fn list(place: &Place, args: ListArgs) -> Result<(), Failure> {
    let list = known(place, args.service.as_deref()).await?;
    if args.common.is_json() {
        return output::json(&list);
    }
    shared::listed(&args.common, &Known::all(list), ["Name", "Type", "CRN", "Description"], |role| {
        let text = role.description().unwrap_or_default();
        [role.display_name().to_owned(), role.kind().to_owned(), role.crn().to_owned(), text]
    })
}

fn show(common: &Common, role: &Known) -> Result<(), Failure> {
    let mut pairs = vec![("Display name", Some(role.display_name().to_owned()))];
    if let Known::Custom(role) = role {
        pairs.extend([
            ("Name", Some(role.name.clone())),
            ("ID", role.id.clone()),
            ("Service", Some(role.service_name.clone())),
        ]);
    }
    pairs.extend([
        ("Type", Some(role.kind().to_owned())),
        ("CRN", Some(role.crn().to_owned())),
        ("Description", role.description()),
        ("Actions", Some(role.actions().join(", "))),
    ]);
    shared::shown(common, role, &pairs)
}

async fn create(place: &Place, args: CreateArgs) -> Result<(), Failure> {
    let body = CreateRoleRequest {
        account_id: place.account.clone(),
        actions: args.actions,
        description: args.description,
        display_name: args.display_name,
        name: args.name,
        service_name: args.service_name,
    };
    let made = place.session.call(async |c: &Client| c.create_role(None, &body).await).await?;
    show(&args.common, &Known::Custom(Box::new(made)))
}

async fn update(place: &Place, args: UpdateArgs) -> Result<(), Failure> {
    if args.display_name.is_none() && args.actions.is_empty() && args.description.is_none() {
        return Err(Failure::usage("There is nothing to change.", "Give `--display-name`, `--actions` or `-d`."));
    }
    let id = custom(place, &args.role).await?.id.unwrap_or_default();
    let (role, tag) = place.session.call_tagged(async |c: &Client| c.get_role(&id).await).await?;
    let body = ReplaceRoleRequest {
        actions: if args.actions.is_empty() { role.actions } else { args.actions },
        description: args.description.or(role.description),
        display_name: args.display_name.unwrap_or(role.display_name),
    };
    let changed = place.session.call(async |c: &Client| c.replace_role(&id, &tag, &body).await).await?;
    show(&args.common, &Known::Custom(Box::new(changed)))
}

async fn delete(place: &Place, args: DeleteArgs) -> Result<(), Failure> {
    let found = custom(place, &args.role).await?;
    let id = found.id.unwrap_or_default();
    args.force.confirm(&format!("Delete the custom role {} ({id})?", found.name))?;
    place.session.call(async |c: &Client| c.delete_role(&id).await).await?;
    shared::became(&args.common, "The custom role", &id, &found.name, "deleted")
}
