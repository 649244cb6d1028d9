//! `boatyard iam api-key…` and `service-api-key…`: the keys of the user who is logged in, and those of service IDs.

use std::path::{Path, PathBuf};

use boatyard_sdk::iam_identity::Client;
use boatyard_sdk::iam_identity::types::{ApiKey, CreateApiKeyRequest, UpdateApiKeyRequest};
use boatyard_sdk::{Claims, write_private};
use clap::{Args, Subcommand};
use secrecy::ExposeSecret as _;
use serde_json::json;

use super::super::account::query_of;
use super::service_ids;
use super::shared::{self, Filter, Force, Named, Place, Renaming, Unasked};
use crate::failure::Failure;
use crate::output::{self, Common};

#[derive(Debug, Subcommand)]
pub enum Command {
    /// List your API keys
    ApiKeys(ListArgs),
    /// Show an API key
    ApiKey(ShowArgs),
    /// Make an API key; its value is shown once
    ApiKeyCreate(CreateArgs),
    /// Change the name or the description of an API key
    ApiKeyUpdate(UpdateArgs),
    /// Delete an API key; what logged in with it is refused from the next request on
    ApiKeyDelete(DeleteArgs),
    /// Lock an API key, so that it can be neither changed nor deleted
    ApiKeyLock(SwitchArgs),
    /// Unlock an API key
    ApiKeyUnlock(SwitchArgs),
    /// Disable an API key, so that nobody can log in with it
    ApiKeyDisable(SwitchArgs),
    /// Enable an API key
    ApiKeyEnable(SwitchArgs),
    /// List the API keys of a service ID, or with `-a` of all
    ServiceApiKeys(ServiceListArgs),
    /// Show an API key of a service ID
    ServiceApiKey(OfService<ShowArgs>),
    /// Make an API key for a service ID; its value is shown once
    ServiceApiKeyCreate(OfService<CreateArgs>),
    /// Change the name or the description of an API key of a service ID
    ServiceApiKeyUpdate(OfService<UpdateArgs>),
    /// Delete an API key of a service ID
    ServiceApiKeyDelete(OfService<DeleteArgs>),
    /// Lock an API key of a service ID
    ServiceApiKeyLock(OfService<SwitchArgs>),
    /// Unlock an API key of a service ID
    ServiceApiKeyUnlock(OfService<SwitchArgs>),
    /// Disable an API key of a service ID
    ServiceApiKeyDisable(OfService<SwitchArgs>),
    /// Enable an API key of a service ID
    ServiceApiKeyEnable(OfService<SwitchArgs>),
}

/// A command on a key of a service ID.
#[derive(Args, Debug)]
pub struct OfService<A: Args> {
    #[command(flatten)]
    args: A,
    /// Name or ID of the service ID
    #[arg(value_name = "SERVICE_ID")]
    service_id: String,
}

#[derive(Args, Debug)]
pub struct ListArgs {
    /// Print the IDs only
    #[arg(long)]
    uuid: bool,
    #[command(flatten)]
    filter: Filter,
    #[command(flatten)]
    common: Common,
}

#[derive(Args, Debug)]
pub struct ServiceListArgs {
    /// Name or ID of the service ID
    #[arg(value_name = "SERVICE_ID", required_unless_present = "all", conflicts_with = "all")]
    service_id: Option<String>,
    /// The keys of all service IDs
    #[arg(short = 'a', long)]
    all: bool,
    #[command(flatten)]
    list: ListArgs,
    #[command(flatten)]
    _unasked: Unasked,
}

#[derive(Args, Debug)]
pub struct ShowArgs {
    /// Name or ID of the API key
    #[arg(value_name = "APIKEY")]
    key: String,
    /// Print the ID only
    #[arg(long)]
    uuid: bool,
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    _unasked: Unasked,
}

#[derive(Args, Debug)]
pub struct CreateArgs {
    /// Name of the API key
    #[arg(value_name = "NAME")]
    name: String,
    /// Description of the API key
    #[arg(short = 'd', long, value_name = "TEXT")]
    description: Option<String>,
    /// Write the API key to this file, which only you can read, instead of showing it
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// What is to happen when the key is found in public
    #[arg(long, value_name = "ACTION", value_parser = ["none", "disable", "delete"], ignore_case = true)]
    action_if_leaked: Option<String>,
    /// Lock the API key
    #[arg(long)]
    lock: bool,
    /// Disable the API key
    #[arg(long)]
    disable: bool,
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    _unasked: Unasked,
}

#[derive(Args, Debug)]
pub struct UpdateArgs {
    /// Name or ID of the API key
    #[arg(value_name = "APIKEY")]
    key: String,
    #[command(flatten)]
    new: Renaming,
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    _unasked: Unasked,
}

#[derive(Args, Debug)]
pub struct DeleteArgs {
    /// Name or ID of the API key
    #[arg(value_name = "APIKEY")]
    key: String,
    #[command(flatten)]
    force: Force,
    #[command(flatten)]
    common: Common,
}

#[derive(Args, Debug)]
pub struct SwitchArgs {
    /// Name or ID of the API key
    #[arg(value_name = "APIKEY")]
    key: String,
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    _unasked: Unasked,
}

impl Named for ApiKey {
    const WHAT: &'static str = "API key";

    fn id(&self) -> &str {
        &self.id
    }

    fn name(&self) -> &str {
        &self.name
    }
}

#[derive(Clone, Copy)]
enum Switch {
    Lock,
    Unlock,
    Disable,
    Enable,
}

pub async fn run(command: Command) -> Result<(), Failure> {
    use Command as C;
    match command {
        C::ApiKeys(args) => list(&Owner::me().await?, args).await,
        C::ApiKey(args) => show(&Owner::me().await?, args).await,
        C::ApiKeyCreate(args) => create(&Owner::me().await?, args).await,
        C::ApiKeyUpdate(args) => update(&Owner::me().await?, args).await,
        C::ApiKeyDelete(args) => delete(&Owner::me().await?, args).await,
        C::ApiKeyLock(args) => switch(&Owner::me().await?, args, Switch::Lock).await,
        C::ApiKeyUnlock(args) => switch(&Owner::me().await?, args, Switch::Unlock).await,
        C::ApiKeyDisable(args) => switch(&Owner::me().await?, args, Switch::Disable).await,
        C::ApiKeyEnable(args) => switch(&Owner::me().await?, args, Switch::Enable).await,
        C::ServiceApiKeys(args) => list(&Owner::service(args.service_id.as_deref()).await?, args.list).await,
        C::ServiceApiKey(of) => show(&Owner::service(Some(&of.service_id)).await?, of.args).await,
        C::ServiceApiKeyCreate(of) => create(&Owner::service(Some(&of.service_id)).await?, of.args).await,
        C::ServiceApiKeyUpdate(of) => update(&Owner::service(Some(&of.service_id)).await?, of.args).await,
        C::ServiceApiKeyDelete(of) => delete(&Owner::service(Some(&of.service_id)).await?, of.args).await,
        C::ServiceApiKeyLock(of) => switch(&Owner::service(Some(&of.service_id)).await?, of.args, Switch::Lock).await,
        C::ServiceApiKeyUnlock(of) => switch(&Owner::service(Some(&of.service_id)).await?, of.args, Switch::Unlock).await,
        C::ServiceApiKeyDisable(of) => switch(&Owner::service(Some(&of.service_id)).await?, of.args, Switch::Disable).await,
        C::ServiceApiKeyEnable(of) => switch(&Owner::service(Some(&of.service_id)).await?, of.args, Switch::Enable).await,
    }
}

/// Whose keys a command is about.
struct Owner {
    place: Place,
    /// `None`: all service IDs of the account.
    iam_id: Option<String>,
    /// The command that lists the keys.
    list: String,
}

impl Owner {
    async fn me() -> Result<Self, Failure> {
        let place = Place::load()?;
        let token = place.session.access_token().await?;
        let iam_id = Claims::of(token.expose_secret()).iam_id;
        let unknown = || Failure::new("The login does not say whose it is.", "Log in again with `boatyard login`.");
        Ok(Self { iam_id: Some(iam_id.ok_or_else(unknown)?), place, list: "iam api-keys".to_owned() })
    }

    async fn service(given: Option<&str>) -> Result<Self, Failure> {
        let place = Place::load()?;
        let Some(given) = given else { return Ok(Self { place, iam_id: None, list: "iam service-api-keys -a".to_owned() }) };
        let found = service_ids::named(&place, given).await?;
        Ok(Self { place, list: format!("iam service-api-keys {}", found.id), iam_id: Some(found.iam_id) })
    }

    async fn keys(&self) -> Result<Vec<ApiKey>, Failure> {
        let Place { session, account } = &self.place;
        let iam_id = self.iam_id.as_deref();
        let (scope, kind) = match iam_id {
            Some(_) => ("entity", None),
            None => ("account", Some("serviceid")),
        };
        shared::pages(async |start| {
            let page = session.call(async |c: &Client| {
                c.list_api_keys(Some(account), None, None, iam_id, None, None, Some(100), start, Some(scope), None, kind).await
            });
            let page = page.await?;
            Ok((page.apikeys, page.next.as_deref().and_then(|next| query_of(next, "pagetoken"))))
        })
        .await
    }

    async fn key(&self, given: &str) -> Result<ApiKey, Failure> {
        shared::one(self.keys().await?, given, &self.list)
    }
}

async fn list(owner: &Owner, args: ListArgs) -> Result<(), Failure> {
    let mut keys = owner.keys().await?;
    keys.retain(|key| args.filter.admits(&key.name, key.description.as_deref()));
    if args.uuid {
        return shared::ids(keys.iter().map(|key| key.id.as_str()));
    }
    shared::listed(&args.common, &keys, ["ID", "Name", "Created At", "Locked", "Disabled", "Description"], |key| {
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let disabled = key.disabled.unwrap_or_default().to_string();
        [key.id.clone(), key.name.clone(), text(&key.created_at), key.locked.to_string(), disabled, text(&key.description)]
    })
}

async fn show(owner: &Owner, args: ShowArgs) -> Result<(), Failure> {
    let key = owner.key(&args.key).await?;
    if args.uuid {
        return output::line(&key.id);
    }
    print(&args.common, &key)
}

fn print(common: &Common, key: &ApiKey) -> Result<(), Failure> {
    shared::shown(common, key, &pairs(key))
}

fn pairs(key: &ApiKey) -> [(&'static str, Option<String>); 11] {
    [
        ("ID", Some(key.id.clone())),
        ("Name", Some(key.name.clone())),
        ("Description", key.description.clone()),
        ("Bound To", Some(key.iam_id.clone())),
        ("Created At", key.created_at.clone()),
        ("Changed At", key.modified_at.clone()),
        ("API Key", Some(key.apikey.clone())),
        ("Locked", Some(key.locked.to_string())),
        ("Disabled", key.disabled.map(|disabled| disabled.to_string())),
        ("If leaked", key.action_when_leaked.clone()),
        ("Expires At", key.expires_at.clone()),
    ]
}

async fn create(owner: &Owner, args: CreateArgs) -> Result<(), Failure> {
    let Place { session, account } = &owner.place;
    let body = CreateApiKeyRequest {
        account_id: Some(account.clone()),
        action_when_leaked: args.action_if_leaked.map(|action| action.to_ascii_lowercase()),
        apikey: None,
        description: args.description,
        expires_at: None,
        iam_id: owner.iam_id.clone().unwrap_or_default(),
        name: args.name,
        store_value: Some(false),
        support_sessions: None,
    };
    let (disable, lock) = (args.disable.then_some("true"), args.lock.then_some("true"));
    let key = session.call(async |c: &Client| c.create_api_key(disable, lock, &body).await).await?;
    let saved = args.file.as_deref().map(|path| save(path, &key)).transpose();
    // Where it could not be written, this is the last chance to see it.
    if args.common.is_json() {
        output::json(&key)?;
    } else if args.file.is_none() || saved.is_err() {
        args.common.ok()?;
        args.common.remark(&format!("API key {} was created.", key.name))?;
        args.common.remark("\nPlease preserve the API key! It cannot be retrieved after it's created.\n")?;
        output::print(&output::pairs(&pairs(&key)))?;
    } else if let Some(path) = &args.file {
        args.common.ok()?;
        args.common.remark(&format!("API key {} was created.", key.name))?;
        args.common.remark(&format!("The API key is in {}; it cannot be retrieved any other way.", path.display()))?;
    }
    saved.map(|_| ())
}

/// Writes what `ibmcloud` writes, which `login --apikey @FILE` reads.
fn save(path: &Path, key: &ApiKey) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(&json!({
        "name": key.name,
        "description": key.description.clone().unwrap_or_default(),
        "apikey": key.apikey,
        "createdAt": key.created_at,
        "locked": key.locked,
        "uuid": key.id,
    }));
    let text = text.map_err(|e| Failure::new(format!("The key cannot be written as JSON: {e}"), "Leave out `--file`."))?;
    write_private(path, format!("{text}\n").as_bytes()).map_err(|e| Failure::file("write", path, &e))
}

async fn update(owner: &Owner, args: UpdateArgs) -> Result<(), Failure> {
    args.new.check()?;
    let ApiKey { id, entity_tag, .. } = owner.key(&args.key).await?;
    let (session, tag) = (&owner.place.session, entity_tag.unwrap_or_default());
    let body = UpdateApiKeyRequest { name: args.new.name, description: args.new.description, ..UpdateApiKeyRequest::default() };
    let key = session.call(async |c: &Client| c.update_api_key(&id, &tag, &body).await).await?;
    print(&args.common, &key)
}

async fn delete(owner: &Owner, args: DeleteArgs) -> Result<(), Failure> {
    let key = owner.key(&args.key).await?;
    args.force.confirm(&format!("Delete the API key {} ({})?", key.name, key.id))?;
    owner.place.session.call(async |c: &Client| c.delete_api_key(&key.id).await).await?;
    shared::became(&args.common, "API key", &key.id, &key.name, "deleted")
}

async fn switch(owner: &Owner, args: SwitchArgs, switch: Switch) -> Result<(), Failure> {
    let ApiKey { id, name, .. } = owner.key(&args.key).await?;
    let session = &owner.place.session;
    let state = match switch {
        Switch::Lock => session.call(async |c: &Client| c.lock_api_key(&id).await).await.map(|()| "locked"),
        Switch::Unlock => session.call(async |c: &Client| c.unlock_api_key(&id).await).await.map(|()| "unlocked"),
        Switch::Disable => session.call(async |c: &Client| c.disable_api_key(&id).await).await.map(|()| "disabled"),
        Switch::Enable => session.call(async |c: &Client| c.enable_api_key(&id).await).await.map(|()| "enabled"),
    };
    shared::became(&args.common, "API key", &id, &name, state?)
}
