//! What a policy is about, and what a request is about.

use serde::Deserialize;
use serde_json::Value;

/// The thing that a request works on, as policies describe things.
#[derive(Clone, Copy, Debug)]
pub struct Resource<'a> {
    account: &'a str,
    service: &'a str,
    resource_group: Option<&'a str>,
    region: Option<&'a str>,
    instance: Option<&'a str>,
    resource_type: Option<&'a str>,
    resource: Option<&'a str>,
    namespace: Option<&'a str>,
    /// Whether everything that is like this is meant, and not a thing that has no more to say of itself.
    whole: bool,
}

/// The service that policies of clusters name.
const CONTAINERS: &str = "containers-kubernetes";

impl<'a> Resource<'a> {
    /// Everything of a service in an account, such as `iam-identity`.
    #[must_use]
    pub fn service(account: &'a str, service: &'a str) -> Self {
        Self {
            account,
            service,
            resource_group: None,
            region: None,
            instance: None,
            resource_type: None,
            resource: None,
            namespace: None,
            whole: true,
        }
    }

    /// A place for clusters.
    #[must_use]
    pub fn clusters(account: &'a str, region: &'a str, resource_group: &'a str) -> Self {
        Self::service(account, CONTAINERS).region(region).resource_group(resource_group)
    }

    #[must_use]
    pub fn resource_group(self, id: &'a str) -> Self {
        Self { resource_group: Some(id), whole: false, ..self }
    }

    #[must_use]
    pub fn region(self, region: &'a str) -> Self {
        Self { region: Some(region), whole: false, ..self }
    }

    /// A cluster's ID, for the container service.
    #[must_use]
    pub fn instance(self, id: &'a str) -> Self {
        Self { instance: Some(id), whole: false, ..self }
    }

    #[must_use]
    pub fn resource_type(self, resource_type: &'a str) -> Self {
        Self { resource_type: Some(resource_type), whole: false, ..self }
    }

    #[must_use]
    pub fn resource(self, id: &'a str) -> Self {
        Self { resource: Some(id), whole: false, ..self }
    }

    /// A namespace of a cluster.
    #[must_use]
    pub fn namespace(self, namespace: &'a str) -> Self {
        Self { namespace: Some(namespace), whole: false, ..self }
    }

    /// Everything that is like this, whatever else it has: of what is not said, anything is meant.
    #[must_use]
    pub fn everything(self) -> Self {
        Self { whole: true, ..self }
    }

    fn value(&self, key: Key) -> Option<&'a str> {
        match key {
            Key::Account => Some(self.account),
            Key::Service => Some(self.service),
            Key::ServiceType => Some(service_type(self.service)),
            Key::ServiceGroup => (service_group(self.service)).then_some("IAM"),
            Key::ResourceGroup => self.resource_group,
            Key::Region => self.region,
            Key::Instance => self.instance,
            Key::ResourceType => self.resource_type,
            Key::Resource => self.resource,
            Key::Namespace => self.namespace,
        }
    }

    /// Names by which policies can be about this thing only.
    pub(super) fn names(&self) -> impl Iterator<Item = &'a str> {
        [self.instance, self.resource, self.resource_group, self.region].into_iter().flatten()
    }
}

/// Services of the account itself are another type than those that things are made with.
pub(crate) fn service_type(service: &str) -> &'static str {
    if service == CONTAINERS || service == "global-search-tagging" { "service" } else { "platform_service" }
}

/// Services that one policy on `service_group_id` `IAM` covers.
pub(crate) fn service_group(service: &str) -> bool {
    matches!(service, "iam-identity" | "iam-groups" | "iam-access-management" | "user-management")
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Key {
    Account,
    Service,
    ServiceType,
    ServiceGroup,
    ResourceGroup,
    Region,
    Instance,
    ResourceType,
    Resource,
    Namespace,
}

impl Key {
    fn of(name: &str) -> Option<Self> {
        Some(match name {
            "accountId" => Key::Account,
            "serviceName" => Key::Service,
            "serviceType" => Key::ServiceType,
            "service_group_id" => Key::ServiceGroup,
            "resourceGroupId" => Key::ResourceGroup,
            "region" => Key::Region,
            "serviceInstance" => Key::Instance,
            "resourceType" => Key::ResourceType,
            "resource" => Key::Resource,
            "namespace" => Key::Namespace,
            _ => return None,
        })
    }
}

/// Whether policies can tell things apart by an attribute of that name.
pub(crate) fn is_attribute(name: &str) -> bool {
    Key::of(name).is_some()
}

/// An attribute as it stands in a policy.
#[derive(Debug, Deserialize)]
pub(super) struct Wire {
    key: String,
    operator: String,
    value: Value,
}

#[derive(Debug)]
enum Match {
    Equals(String),
    EqualsAnyOf(Vec<String>),
    /// `*` stands for any text, `?` for one character.
    Pattern(Vec<String>),
    Exists(bool),
}

impl Match {
    fn compile(operator: &str, value: Value) -> Option<Self> {
        let texts = |value: Value| match value {
            Value::String(text) => Some(vec![text]),
            Value::Array(all) => all.into_iter().map(|one| one.as_str().map(str::to_owned)).collect(),
            _ => None,
        };
        Some(match operator {
            "stringEquals" => Match::Equals(value.as_str()?.to_owned()),
            "stringEqualsAnyOf" => Match::EqualsAnyOf(texts(value)?),
            "stringMatch" | "stringMatchAnyOf" => Match::Pattern(texts(value)?),
            "stringExists" => Match::Exists(value.as_bool().or_else(|| value.as_str()?.parse().ok())?),
            _ => return None,
        })
    }

    fn holds(&self, value: Option<&str>) -> bool {
        match (self, value) {
            (Match::Exists(exists), value) => *exists == value.is_some(),
            (_, None) => false,
            (Match::Equals(wanted), Some(value)) => wanted == value,
            (Match::EqualsAnyOf(wanted), Some(value)) => wanted.iter().any(|wanted| wanted == value),
            (Match::Pattern(patterns), Some(value)) => {
                patterns.iter().any(|pattern| matches(pattern.as_bytes(), value.as_bytes()))
            }
        }
    }
}

/// Whether `text` fits `pattern`, in which `*` stands for any text and `?` for one character. Takes at most their lengths multiplied.
fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut back: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                back = Some((p + 1, t));
                p += 1;
            }
            Some(&c) if c == b'?' || c == text[t] => {
                p += 1;
                t += 1;
            }
            _ => match back {
                Some((after, from)) => {
                    back = Some((after, from + 1));
                    (p, t) = (after, from + 1);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|&c| c == b'*')
}

/// The part of a cluster that a policy is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Namespaces {
    All,
    /// Names, in which `*` and `?` are wildcards.
    Named(Vec<String>),
}

/// All attributes of a policy; a thing must have every one.
#[derive(Debug)]
pub(super) struct Attributes(Vec<(Key, Match)>);

impl Attributes {
    /// `None` for a policy with an attribute or an operator that nothing here has.
    pub fn compile(wire: Vec<Wire>) -> Option<Self> {
        let compiled =
            wire.into_iter().map(|Wire { key, operator, value }| Some((Key::of(&key)?, Match::compile(&operator, value)?)));
        let mut all: Vec<_> = compiled.collect::<Option<_>>()?;
        // Without a word on services a policy is about those that things are made with, not about the account.
        let named = [Key::Service, Key::ServiceType, Key::ServiceGroup, Key::ResourceType];
        if !all.iter().any(|(key, _)| named.contains(key)) {
            all.push((Key::ServiceType, Match::Equals("service".to_owned())));
        }
        Some(Self(all))
    }

    pub fn describe(&self, resource: &Resource<'_>) -> bool {
        // Of everything, some has what must be absent.
        let without = |wanted: &Match| resource.whole && matches!(wanted, Match::Exists(false));
        self.0.iter().all(|(key, wanted)| wanted.holds(resource.value(*key)) && !without(wanted))
    }

    /// Whether a cluster is meant, or namespaces of it.
    pub fn describe_outside_namespaces(&self, cluster: &Resource<'_>) -> bool {
        self.0.iter().filter(|(key, _)| *key != Key::Namespace).all(|(key, wanted)| wanted.holds(cluster.value(*key)))
    }

    /// The namespaces that are meant; `None` if they contradict each other.
    pub fn namespaces(&self) -> Option<Namespaces> {
        let mut wanted = self.0.iter().filter(|(key, _)| *key == Key::Namespace).map(|(_, wanted)| wanted);
        let Some(first) = wanted.next() else { return Some(Namespaces::All) };
        let rest: Vec<_> = wanted.collect();
        let names = match first {
            Match::Exists(false) => return rest.iter().all(|one| one.holds(None)).then_some(Namespaces::All),
            Match::Exists(true) => vec!["*".to_owned()],
            Match::Equals(name) => vec![name.clone()],
            Match::EqualsAnyOf(names) | Match::Pattern(names) => names.clone(),
        };
        Some(Namespaces::Named(names.into_iter().filter(|name| rest.iter().all(|one| one.holds(Some(name)))).collect()))
    }

    /// Whether a thing of this service could be meant. The account is the one that the policies were read for.
    pub fn reach(&self, service: &str) -> bool {
        let of_service = Resource::service("", service);
        let asked = [Key::Service, Key::ServiceType, Key::ServiceGroup];
        // A namespace is a part of a cluster that is only reached through the cluster's own API.
        let namespaced = self.0.iter().any(|(key, wanted)| *key == Key::Namespace && !matches!(wanted, Match::Exists(false)));
        !namespaced
            && self.0.iter().filter(|(key, _)| asked.contains(key)).all(|(key, wanted)| wanted.holds(of_service.value(*key)))
    }

    /// The one name that a thing must have to be meant, if the attributes say one.
    pub fn about(&self) -> Option<&str> {
        let order = [Key::Instance, Key::Resource, Key::ResourceGroup, Key::Region];
        order.into_iter().find_map(|wanted| {
            self.0.iter().find_map(|(key, value)| match value {
                Match::Equals(value) if *key == wanted => Some(value.as_str()),
                _ => None,
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn patterns_match_as_wildcards_do() {
        let cases = [
            ("", "", true),
            ("*", "", true),
            ("*", "anything", true),
            ("a*c", "abbbc", true),
            ("a*c", "abbb", false),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("*team*", "my-team-1", true),
            ("a*b*c", "a-b-b-c-b-c", true),
            ("a", "b", false),
        ];
        for (pattern, text, expected) in cases {
            assert_eq!(matches(pattern.as_bytes(), text.as_bytes()), expected, "{pattern:?} {text:?}");
        }
    }
}
