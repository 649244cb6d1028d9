//! What a policy says: as people give it on the command line or in a file, and as they are shown it.

use std::path::{Path, PathBuf};

use boatyard_sdk::iam_policy_management::types::V2PolicyTemplateMetaData as Policy;
use clap::Args;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::roles;
use super::shared::Place;
use crate::commands::resource;
use crate::failure::Failure;

/// Attributes that say what kind of thing a policy is about.
const TARGETS: [&str; 5] = ["resourceGroupId", "resourceType", "serviceName", "serviceType", "service_group_id"];
/// Those of them that exclude each other.
const EXCLUSIVE: [&str; 3] = ["serviceName", "serviceType", "service_group_id"];

/// What a policy gives, and on what.
#[derive(Args, Debug)]
pub struct Definition {
    /// Names or CRNs of roles, with commas between
    #[arg(long, value_name = "ROLES", value_delimiter = ',')]
    roles: Vec<String>,
    /// Service, such as containers-kubernetes; all services of things that are made if nothing is said
    #[arg(long, value_name = "SERVICE", conflicts_with = "account_management")]
    service_name: Option<String>,
    /// ID of an instance of the service, such as a cluster
    #[arg(long, value_name = "ID")]
    service_instance: Option<String>,
    /// Region
    #[arg(long, value_name = "REGION")]
    region: Option<String>,
    /// Name of a resource group
    #[arg(long, value_name = "NAME", conflicts_with = "resource_group_id")]
    resource_group_name: Option<String>,
    /// ID of a resource group
    #[arg(long, value_name = "ID")]
    resource_group_id: Option<String>,
    /// Type of a resource in the instance
    #[arg(long, value_name = "TYPE")]
    resource_type: Option<String>,
    /// Resource of that type
    #[arg(long, value_name = "RESOURCE")]
    resource: Option<String>,
    /// Further attributes of resources, as name=value with commas between
    #[arg(long, value_name = "ATTRIBUTES", value_delimiter = ',')]
    attributes: Vec<String>,
    /// The services of the account, such as those of identity and access
    #[arg(long)]
    account_management: bool,
    /// JSON file with a policy in the form of the API
    #[arg(long, value_name = "FILE", conflicts_with_all = [
        "roles", "service_name", "service_instance", "region", "resource_group_name", "resource_group_id", "resource_type",
        "resource", "attributes", "account_management",
    ])]
    file: Option<PathBuf>,
}

impl Definition {
    pub fn gives_roles(&self) -> bool {
        self.file.is_some() || !self.roles.is_empty()
    }

    pub fn is_empty(&self) -> bool {
        let group = self.resource_group_name.is_none();
        group && !self.gives_roles() && self.given().is_ok_and(|given| given.is_empty())
    }

    /// Refuses what cannot be meant before anything is asked of the service.
    pub fn check(&self) -> Result<(), Failure> {
        self.given().map(|_| ())
    }

    /// The attributes of the command line, but for a resource group that is given by its name.
    fn given(&self) -> Result<Vec<(String, String)>, Failure> {
        let mut given = Vec::new();
        let options = [
            ("serviceName", &self.service_name),
            ("serviceInstance", &self.service_instance),
            ("region", &self.region),
            ("resourceGroupId", &self.resource_group_id),
            ("resourceType", &self.resource_type),
            ("resource", &self.resource),
        ];
        given.extend(options.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value.clone()?))));
        if self.account_management {
            given.push(("serviceType".to_owned(), "platform_service".to_owned()));
        }
        for attribute in &self.attributes {
            match attribute.split_once('=') {
                Some((key, value)) if !key.is_empty() && !value.is_empty() => given.push((key.to_owned(), value.to_owned())),
                _ => {
                    let what = format!("{attribute:?} is not an attribute.");
                    return Err(Failure::usage(what, "Give attributes as in `--attributes name=value,other=value`."));
                }
            }
        }
        Ok(given)
    }

    /// Brings a policy, in the form of the API, to what is given; what is not given stays.
    pub async fn apply(&self, place: &Place, policy: &mut Value) -> Result<(), Failure> {
        if let Some(file) = &self.file {
            *policy = read(file)?;
            return of_account(policy, &place.account);
        }
        of_account(policy, &place.account)?;
        let mut given = self.given()?;
        if let Some(name) = &self.resource_group_name {
            let id = resource::named(&place.session, name).await?.id.unwrap_or_default();
            given.push(("resourceGroupId".to_owned(), id));
        }
        let attributes = attributes(policy)?;
        for (key, value) in &given {
            set(attributes, key, value);
        }
        if !attributes.iter().any(|attribute| TARGETS.iter().any(|target| attribute["key"] == *target)) {
            set(attributes, "serviceType", "service");
        }
        if !self.roles.is_empty() {
            let service = attributes.iter().find(|attribute| attribute["key"] == "serviceName");
            let service = service.and_then(|attribute| attribute["value"].as_str()).map(str::to_owned);
            let roles = roles::crns(place, service.as_deref(), &self.roles).await?;
            let roles: Vec<_> = roles.iter().map(|crn| json!({ "role_id": crn })).collect();
            policy["control"] = json!({ "grant": { "roles": roles } });
        }
        Ok(())
    }
}

/// Sets an attribute. `*` and `?` in its value are wildcards.
fn set(attributes: &mut Vec<Value>, key: &str, value: &str) {
    let replaced =
        |other: &Value| other["key"] == key || (EXCLUSIVE.contains(&key) && EXCLUSIVE.iter().any(|e| other["key"] == *e));
    attributes.retain(|other| !replaced(other));
    let operator = if value.contains(['*', '?']) { "stringMatch" } else { "stringEquals" };
    attributes.push(json!({ "key": key, "operator": operator, "value": value }));
}

/// A policy of a file. That of the older API, as `ibmcloud` takes it too, is brought to the form of the newer one.
fn read(file: &Path) -> Result<Value, Failure> {
    let text = std::fs::read_to_string(file).map_err(|error| Failure::file("read", file, &error))?;
    let next = "The file holds one policy as `--output json` shows it, with `control` and `resource`.";
    let mut policy: Value =
        serde_json::from_str(&text).map_err(|error| Failure::new(format!("{} is not JSON: {error}.", file.display()), next))?;
    if !policy.is_object() {
        return Err(Failure::new(format!("{} is not a policy.", file.display()), next));
    }
    if policy["type"].is_null() {
        policy["type"] = json!("access");
    }
    if policy["control"].is_null() && policy["roles"].is_array() {
        policy["control"] = json!({ "grant": { "roles": policy["roles"].take() } });
        policy["resource"] = policy["resources"][0].take();
        let attributes = policy["resource"]["attributes"].as_array_mut().into_iter().flatten();
        for attribute in attributes.filter(|attribute| attribute.is_object()) {
            attribute["key"] = attribute["name"].take();
            if attribute["operator"].is_null() {
                attribute["operator"] = json!("stringEquals");
            }
        }
    }
    Ok(policy)
}

/// Sees to it that a policy says which account it is about.
fn of_account(policy: &mut Value, account: &str) -> Result<(), Failure> {
    let attributes = attributes(policy)?;
    if !attributes.iter().any(|attribute| attribute["key"] == "accountId") {
        set(attributes, "accountId", account);
    }
    Ok(())
}

fn attributes(policy: &mut Value) -> Result<&mut Vec<Value>, Failure> {
    if policy["resource"].is_null() {
        policy["resource"] = json!({ "attributes": [] });
    }
    let attributes = policy["resource"].get_mut("attributes").and_then(Value::as_array_mut);
    attributes.ok_or_else(|| unlike("its resource has no attributes"))
}

fn unlike(why: impl std::fmt::Display) -> Failure {
    Failure::new(format!("This is not a policy: {why}."), "The documentation of policies shows their form.")
}

/// A policy in the form of the API.
pub fn value(policy: &impl Serialize) -> Result<Value, Failure> {
    serde_json::to_value(policy).map_err(unlike)
}

/// A request to make or change a policy.
pub fn parse<T: DeserializeOwned>(policy: Value) -> Result<T, Failure> {
    serde_json::from_value(policy).map_err(unlike)
}

/// The roles that a policy gives, by name.
pub fn roles(policy: &Policy) -> String {
    let roles = policy.control.grant.iter().flat_map(|grant| &grant.roles);
    let names: Vec<_> = roles.map(|role| role.role_id.rsplit(':').next().unwrap_or_default()).collect();
    names.join(", ")
}

/// What a policy is about: the attributes but for the account, which is always the same.
pub fn resources(policy: &Policy) -> String {
    let attributes = policy.resource.iter().flat_map(|resource| &resource.attributes);
    let shown = attributes.filter(|attribute| attribute.key != "accountId").map(|attribute| {
        let value = attribute.value.as_str().map_or_else(|| attribute.value.to_string(), str::to_owned);
        format!("{}={value}", attribute.key)
    });
    shown.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(attributes: &[Value]) -> Vec<(&str, &str, &str)> {
        fn text(value: &Value) -> &str {
            value.as_str().unwrap_or_default()
        }
        attributes.iter().map(|each| (text(&each["key"]), text(&each["operator"]), text(&each["value"]))).collect()
    }

    #[test]
    fn an_attribute_replaces_the_one_before_and_what_it_excludes() {
        let mut attributes = Vec::new();
        for (key, value) in
            [("serviceType", "service"), ("region", "eu-de"), ("serviceName", "containers-kubernetes"), ("region", "eu-*")]
        {
            set(&mut attributes, key, value);
        }
        let expected = [("serviceName", "stringEquals", "containers-kubernetes"), ("region", "stringMatch", "eu-*")];
        assert_eq!(keys(&attributes), expected);
    }

    #[test]
    fn a_file_may_have_the_form_of_the_older_api() {
        let folder = std::env::temp_dir().join(format!("boatyard-policy-{}", std::process::id()));
        let text =
            r#"{"roles": [{"role_id": "crn:x"}], "resources": [{"attributes": [{"name": "serviceName", "value": "s"}]}]}"#;
        std::fs::write(&folder, text).expect("a file in the temporary folder");
        let mut policy = read(&folder).expect("a policy");
        std::fs::remove_file(&folder).expect("it is there");
        of_account(&mut policy, "acc").expect("attributes");
        assert_eq!(policy["control"]["grant"]["roles"][0]["role_id"], "crn:x");
        let attributes = attributes(&mut policy).expect("attributes");
        assert_eq!(keys(attributes), [("serviceName", "stringEquals", "s"), ("accountId", "stringEquals", "acc")]);
    }
}
