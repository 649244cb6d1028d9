//! The managed add-ons there are, their versions and options.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{Catalog, Offering, documents};

/// All managed add-ons.
#[derive(Debug)]
pub struct Addons {
    offers: Vec<Offer>,
    /// Options with their defaults, by add-on.
    options: BTreeMap<String, BTreeMap<String, String>>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Document {
    addons: Vec<Offer>,
}

/// An add-on and its versions, newest first.
#[derive(Debug, Deserialize)]
pub struct Offer {
    pub name: String,
    pub versions: Vec<OfferedVersion>,
}

/// A version of an add-on.
#[derive(Debug, Deserialize)]
pub struct OfferedVersion {
    pub version: String,
    /// `>=1.31.0 <1.36.0`; absent where it does not run on Kubernetes.
    #[serde(default)]
    pub supported_kubernetes: Option<String>,
    /// `>=4.17.0 <4.22.0`; absent where it does not run on OpenShift.
    #[serde(default)]
    pub supported_openshift: Option<String>,
}

impl Catalog {
    #[must_use]
    pub fn addons(&self) -> &Addons {
        &self.0.addons
    }
}

impl Addons {
    pub(super) fn new(document: Document, options: BTreeMap<String, BTreeMap<String, String>>) -> Self {
        Self { offers: document.addons, options }
    }

    /// Every add-on, in the catalog's order.
    pub fn iter(&self) -> impl Iterator<Item = &Offer> {
        self.offers.iter()
    }

    /// The add-on of that name.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&Offer> {
        self.offers.iter().find(|offer| offer.name == name)
    }

    /// Names of the add-ons that some version runs on a cluster of `cluster_version`, in the catalog's order.
    #[must_use]
    pub fn names_for(&self, cluster_version: &str) -> Vec<&str> {
        let fitting = self.offers.iter().filter(|offer| offer.versions.iter().any(|v| v.supports(cluster_version)));
        fitting.map(|offer| offer.name.as_str()).collect()
    }

    /// Options of an add-on with their defaults; `None` if it has none.
    #[must_use]
    pub fn options(&self, name: &str) -> Option<&BTreeMap<String, String>> {
        self.options.get(name)
    }

    /// The options of an add-on with their defaults, in the form of a `ConfigMap`; `None` if it has none.
    #[must_use]
    pub fn options_template(&self, name: &str) -> Option<String> {
        Some(config_map(name, self.options(name)?))
    }

    pub(super) fn check(&self) -> Result<(), String> {
        documents::unique("the add-on", self.offers.iter().map(|offer| offer.name.as_str()))?;
        for offer in &self.offers {
            let versions = offer.versions.iter().map(|version| version.version.as_str());
            documents::unique(&format!("add-on '{}': the version", offer.name), versions)?;
            for version in &offer.versions {
                let mut ranges = [&version.supported_kubernetes, &version.supported_openshift].into_iter().flatten();
                if let Some(wrong) = ranges.find(|range| bounds(range).is_none()) {
                    let (name, version) = (&offer.name, &version.version);
                    return Err(format!(
                        "add-on '{name}' {version}: '{wrong}' is not a range of versions such as '>=1.30.0 <1.37.0'"
                    ));
                }
            }
        }
        Ok(())
    }

    pub(super) fn check_options(&self) -> Result<(), String> {
        match self.options.keys().find(|name| self.find(name).is_none()) {
            Some(unknown) => Err(format!("there is no add-on '{unknown}' in addons.json")),
            None => Ok(()),
        }
    }
}

impl Offer {
    /// Versions that run on a cluster of `cluster_version` (`1.36.3_1525`, `4.21.27_1527_openshift`), newest first.
    pub fn versions_for<'a>(&'a self, cluster_version: &'a str) -> impl Iterator<Item = &'a OfferedVersion> {
        self.versions.iter().filter(move |version| version.supports(cluster_version))
    }
}

impl OfferedVersion {
    /// Of the clusters of an offering, the oldest version that it supports: `1.31.0`.
    #[must_use]
    pub fn least(&self, offering: Offering) -> Option<String> {
        self.range(offering)?.split_whitespace().find_map(|part| part.strip_prefix(">=")).map(str::to_owned)
    }

    fn range(&self, offering: Offering) -> Option<&str> {
        match offering {
            Offering::Kubernetes => self.supported_kubernetes.as_deref(),
            Offering::OpenShift => self.supported_openshift.as_deref(),
        }
    }

    /// Whether it runs on a cluster of that version.
    #[must_use]
    pub fn supports(&self, cluster_version: &str) -> bool {
        let range = self.range(Offering::of_version(cluster_version));
        let version = cluster_version.split('_').next().and_then(numbers);
        let (Some(version), Some(bounds)) = (version, range.and_then(bounds)) else { return false };
        bounds.into_iter().all(|(sign, bound)| match sign {
            ">=" => version >= bound,
            "<=" => version <= bound,
            ">" => version > bound,
            _ => version < bound,
        })
    }
}

/// The options of an add-on as it shows them.
pub(crate) fn config_map(name: &str, options: &BTreeMap<String, String>) -> String {
    // A JSON string is a YAML string, whatever is in it.
    let quoted = |text: &str| serde_json::Value::from(text).to_string();
    let lines: String = options.iter().map(|(option, value)| format!("  {option}: {}\n", quoted(value))).collect();
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: managed-addon-options-{name}\ndata:\n{lines}")
}

/// The parts of a range such as `>=1.31.0 <1.36.0`, each of which a version must meet.
fn bounds(range: &str) -> Option<Vec<(&'static str, [u32; 3])>> {
    let bound = |part: &str| {
        let sign = [">=", "<=", ">", "<"].into_iter().find(|sign| part.starts_with(sign))?;
        Some((sign, numbers(&part[sign.len()..])?))
    };
    let bounds: Vec<_> = range.split_whitespace().map(bound).collect::<Option<_>>()?;
    (!bounds.is_empty()).then_some(bounds)
}

/// A version as numbers that can be compared; missing ones are 0.
pub(crate) fn numbers(version: &str) -> Option<[u32; 3]> {
    let mut numbers = [0; 3];
    for (index, part) in version.split('.').enumerate() {
        *numbers.get_mut(index)? = part.parse().ok()?;
    }
    Some(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_understood() {
        let cases = [
            ("1.31.0", ">=1.31.0 <1.36.0", true),
            ("1.35.9", ">=1.31.0 <1.36.0", true),
            ("1.36.0", ">=1.31.0 <1.36.0", false),
            ("1.9.0", ">=1.31.0 <1.36.0", false),
            ("1.31.0", "<=1.31", true),
            ("1.31.0", ">1.31.0", false),
            ("1.31.0", "", false),
            ("1.31.0", "~1.31", false),
        ];
        for (version, range, expected) in cases {
            let range = Some(range.to_owned());
            let offered = OfferedVersion { version: "1".to_owned(), supported_kubernetes: range, supported_openshift: None };
            assert_eq!(offered.supports(&format!("{version}_1500")), expected, "{version} in {offered:?}");
            assert!(!offered.supports(&format!("{version}_1500_openshift")));
        }
    }

    #[test]
    fn an_addon_runs_on_the_offering_that_it_names() {
        let catalog = Catalog::built_in();
        let istio = catalog.addons().find("istio").unwrap();
        assert!(istio.versions_for("1.36.3_1525").any(|v| v.version == "1.30"));
        assert_eq!(istio.versions_for("4.21.27_1527_openshift").count(), 0);
        let storage = catalog.addons().find("openshift-data-foundation").unwrap();
        assert_eq!(storage.versions_for("4.21.27_1527_openshift").next().unwrap().version, "4.21.0");
        assert!(!catalog.addons().names_for("1.36.3_1525").contains(&"openshift-data-foundation"));
    }

    #[test]
    fn options_are_written_as_a_config_map() {
        let catalog = Catalog::built_in();
        let template = catalog.addons().options_template("openshift-data-foundation").unwrap();
        assert!(template.contains("\ndata:\n") && template.contains("\n  odfDeploy: \"true\"\n"), "{template}");
        assert_eq!(catalog.addons().options_template("istio"), None);
    }
}
