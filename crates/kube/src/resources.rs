//! Which resources there are: the built-in ones, from the published discovery documents, and custom ones, in one form.

use std::sync::{Arc, LazyLock};

use serde::{Deserialize, Serialize};

use crate::types::{self, Type};

const DISCOVERY: &str = include_str!("../data/discovery.json");

/// A resource in one version of its group.
#[derive(Debug)]
pub struct Resource {
    /// Empty for the core group.
    pub group: String,
    pub version: String,
    /// As in paths, for example `deployments`.
    pub plural: String,
    pub singular: String,
    pub kind: String,
    pub list_kind: String,
    pub namespaced: bool,
    pub verbs: Vec<String>,
    pub short_names: Vec<String>,
    pub categories: Vec<String>,
    pub subresources: Vec<Subresource>,
    /// The resource under which its objects are kept: `deployments.apps`, `pods`. Versions share it, and so do the two groups that
    /// have events.
    pub stored: Arc<str>,
    /// What its objects are made of.
    pub schema: Schema,
    /// What only custom resources have: see `custom`.
    pub custom: Option<Arc<Custom>>,
}

/// A part of an object with a path of its own: `status`, `scale`, `eviction`.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Subresource {
    pub name: String,
    pub kind: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub group: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub version: String,
    pub namespaced: bool,
    pub verbs: Vec<String>,
}

/// The type of a resource's objects.
#[derive(Clone, Debug)]
pub enum Schema {
    BuiltIn(&'static Type),
    Custom(Arc<Type>),
}

impl Schema {
    #[must_use]
    pub fn root(&self) -> &Type {
        match self {
            Self::BuiltIn(schema) => schema,
            Self::Custom(schema) => schema,
        }
    }
}

/// What a CustomResourceDefinition says of one of its versions, beyond what every resource has.
#[derive(Debug, Default)]
pub struct Custom {
    /// The name of the definition, `certificates.cert-manager.io`.
    pub definition: String,
    pub columns: Vec<Column>,
    /// JSONPaths of the scale subresource: replicas in the spec, in the status, and the label selector in the status.
    pub scale: Option<[String; 3]>,
    pub has_status: bool,
    /// JSONPaths of the fields that objects are selected by: `.spec.color`.
    pub selectable: Vec<String>,
    pub storage_version: String,
}

/// A column of a table of custom resources.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Column {
    pub name: String,
    #[serde(rename = "type")]
    pub kind: String,
    #[serde(default)]
    pub format: String,
    #[serde(default)]
    pub description: String,
    #[serde(default)]
    pub priority: i32,
    pub json_path: String,
}

impl Resource {
    /// `v1`, `apps/v1`.
    #[must_use]
    pub fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.clone() } else { format!("{}/{}", self.group, self.version) }
    }

    #[must_use]
    pub fn supports(&self, verb: &str) -> bool {
        self.verbs.iter().any(|v| v == verb)
    }

    #[must_use]
    pub fn subresource(&self, name: &str) -> Option<&Subresource> {
        self.subresources.iter().find(|s| s.name == name)
    }
}

/// A group with its versions, the preferred one first.
#[derive(Debug)]
pub struct Group {
    pub name: String,
    pub versions: Vec<Version>,
}

#[derive(Debug)]
pub struct Version {
    pub name: String,
    pub resources: Vec<Arc<Resource>>,
}

/// The groups that every cluster has.
#[must_use]
pub fn built_in() -> &'static [Group] {
    &BUILT_IN
}

/// A built-in resource by its path.
#[must_use]
pub fn find(group: &str, version: &str, plural: &str) -> Option<&'static Arc<Resource>> {
    let group = built_in().iter().find(|g| g.name == group)?;
    let version = group.versions.iter().find(|v| v.name == version)?;
    version.resources.iter().find(|r| r.plural == plural)
}

static BUILT_IN: LazyLock<Vec<Group>> = LazyLock::new(|| {
    // The document is part of the program, and read by the test below.
    let document: Document = serde_json::from_str(DISCOVERY).expect("the published discovery document is readable");
    groups(document, |group, version, kind| types::definitions().of_kind(group, version, kind))
});

/// The groups of a discovery document; `schema` finds the type of a group, version and kind.
pub(crate) fn groups(document: Document, schema: impl Fn(&str, &str, &str) -> Option<&'static Type>) -> Vec<Group> {
    document.groups.into_iter().map(|g| group(g, &schema)).collect()
}

/// A discovery document, as it is kept in `data/`.
#[derive(Deserialize)]
pub(crate) struct Document {
    groups: Vec<DocumentGroup>,
}

#[derive(Deserialize)]
struct DocumentGroup {
    name: String,
    versions: Vec<DocumentVersion>,
}

#[derive(Deserialize)]
struct DocumentVersion {
    version: String,
    resources: Vec<DocumentResource>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct DocumentResource {
    name: String,
    singular_name: String,
    kind: String,
    namespaced: bool,
    verbs: Vec<String>,
    #[serde(default)]
    short_names: Vec<String>,
    #[serde(default)]
    categories: Vec<String>,
    #[serde(default)]
    subresources: Vec<Subresource>,
}

fn group(group: DocumentGroup, schema: &impl Fn(&str, &str, &str) -> Option<&'static Type>) -> Group {
    let name = group.name;
    let made = |version: &str, r: DocumentResource| {
        let schema = schema(&name, version, &r.kind);
        Arc::new(resource(&name, version, r, schema))
    };
    let version = |v: DocumentVersion| Version {
        resources: v.resources.into_iter().map(|r| made(&v.version, r)).collect(),
        name: v.version,
    };
    Group { versions: group.versions.into_iter().map(version).collect(), name }
}

fn resource(group: &str, version: &str, r: DocumentResource, schema: Option<&'static Type>) -> Resource {
    // Events are the same objects in both of their groups.
    let stored = if group.is_empty() || r.name == "events" { r.name.clone() } else { format!("{}.{group}", r.name) };
    Resource {
        list_kind: format!("{}List", r.kind),
        // Every kind is defined: see the test below.
        schema: Schema::BuiltIn(schema.expect("a published resource has a published type")),
        group: group.to_owned(),
        version: version.to_owned(),
        plural: r.name,
        singular: r.singular_name,
        kind: r.kind,
        namespaced: r.namespaced,
        verbs: r.verbs,
        short_names: r.short_names,
        categories: r.categories,
        subresources: r.subresources,
        stored: stored.into(),
        custom: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_resource_has_a_type() {
        assert!(built_in().len() > 15);
        let pods = find("", "v1", "pods").unwrap();
        assert_eq!((pods.kind.as_str(), pods.list_kind.as_str(), &*pods.stored), ("Pod", "PodList", "pods"));
        assert!(pods.subresource("eviction").is_some());
        assert_eq!(&*find("apps", "v1", "deployments").unwrap().stored, "deployments.apps");
        assert_eq!(find("events.k8s.io", "v1", "events").unwrap().stored, find("", "v1", "events").unwrap().stored);
    }
}
