//! Reading and checking the documents.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use boatyard_runtime::Timings;
use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer, Error as _};

use super::flavors::{self, Flavor};
use super::quotas::{self, Quota};
use super::versions::Versions;
use super::zones::{self, Zone};
use super::{Addons, Catalog};
use crate::Provider;

const LOCATIONS: (&str, &str) = ("locations.json", include_str!("../../../../catalog/locations.json"));
const FLAVORS: (&str, &str) = ("flavors.json", include_str!("../../../../catalog/flavors.json"));
const VERSIONS: (&str, &str) = ("versions.json", include_str!("../../../../catalog/versions.json"));
const ADDONS: (&str, &str) = ("addons.json", include_str!("../../../../catalog/addons.json"));
const ADDON_OPTIONS: (&str, &str) = ("addon_options.json", include_str!("../../../../catalog/addon_options.json"));
const QUOTAS: (&str, &str) = ("quota.json", include_str!("../../../../catalog/quota.json"));
const TIMINGS: (&str, &str) = ("timings.json", Timings::BUILT_IN);

/// All of them, parsed and checked.
#[derive(Debug)]
pub(super) struct Documents {
    pub(super) zones: Vec<Zone>,
    pub(super) flavors: Vec<Flavor>,
    pub(super) versions: Versions,
    pub(super) addons: Addons,
    pub(super) quotas: Vec<Quota>,
    /// By pace.
    pub(super) timings: BTreeMap<String, Timings>,
}

/// A document that cannot be used. The text names the line or the entry, and what is wrong with it.
#[derive(Debug, thiserror::Error)]
#[error("the catalog cannot be used: {file}: {what}", file = file.display())]
pub struct Malformed {
    pub file: PathBuf,
    pub what: String,
}

/// The text of a document, and where it is from.
struct Source {
    file: PathBuf,
    text: Cow<'static, str>,
    /// Not the program's.
    own: bool,
}

impl Catalog {
    /// The catalog that is part of the program.
    ///
    /// # Panics
    /// Never: a test reads it.
    #[must_use]
    pub fn built_in() -> Self {
        Self::of(None).expect("the catalog is part of the program, and a test reads it")
    }

    /// The documents in `dir`, and the program's for those that are missing there.
    ///
    /// # Errors
    /// If `dir` has none of them, or one cannot be read, is not of its form, or does not go together with the others.
    pub fn read(dir: &Path) -> Result<Self, Malformed> {
        let names = [LOCATIONS, FLAVORS, VERSIONS, ADDONS, ADDON_OPTIONS, QUOTAS, TIMINGS].map(|(name, _)| name);
        if names.iter().all(|name| !dir.join(name).exists()) {
            let what = format!("there is none of the files {}", names.join(", "));
            return Err(Malformed { file: dir.to_owned(), what });
        }
        Self::of(Some(dir))
    }

    fn of(dir: Option<&Path>) -> Result<Self, Malformed> {
        let sources = [LOCATIONS, FLAVORS, VERSIONS, ADDONS, ADDON_OPTIONS, QUOTAS].map(|document| Source::open(dir, document));
        let [locations, flavors, versions, addons, addon_options, quotas] = sources;
        let (locations, flavors, versions, quotas) = (locations?, flavors?, versions?, quotas?);
        let (addons, addon_options) = (addons?, addon_options?);
        let zones = locations.parse::<Vec<Zone>>()?;
        locations.check(zones::check(&zones))?;
        let mut offered = flavors.parse::<Vec<Flavor>>()?;
        if !flavors.own {
            // The program's flavors go with whatever zones there are.
            flavors::keep_to(&mut offered, &zones);
        }
        flavors.check(flavors::check(&offered, &zones))?;
        let mut releases = versions.parse::<Versions>()?;
        versions.check(releases.check())?;
        releases.sort();
        let offers = Addons::new(addons.parse()?, addon_options.parse()?);
        addons.check(offers.check())?;
        if addons.own || addon_options.own {
            addon_options.check(offers.check_options())?;
        }
        let limits = quotas.parse::<Vec<Quota>>()?;
        quotas.check(quotas::check(&limits, &zones))?;
        let timings = Source::open(dir, TIMINGS)?.parse()?;
        Ok(Self(Arc::new(Documents { zones, flavors: offered, versions: releases, addons: offers, quotas: limits, timings })))
    }
}

impl Source {
    fn open(dir: Option<&Path>, (name, built_in): (&str, &'static str)) -> Result<Self, Malformed> {
        let builtin = Self { file: PathBuf::from(name), text: Cow::Borrowed(built_in), own: false };
        let Some(file) = dir.map(|dir| dir.join(name)) else { return Ok(builtin) };
        match fs::read_to_string(&file) {
            Ok(text) => Ok(Self { file, text: Cow::Owned(text), own: true }),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(builtin),
            Err(error) => Err(Malformed { file, what: error.to_string() }),
        }
    }

    /// What serde says ends with the line and the column.
    fn parse<T: DeserializeOwned>(&self) -> Result<T, Malformed> {
        serde_json::from_str(&self.text).map_err(|error| Malformed { file: self.file.clone(), what: error.to_string() })
    }

    fn check(&self, checked: Result<(), String>) -> Result<(), Malformed> {
        checked.map_err(|what| Malformed { file: self.file.clone(), what })
    }
}

/// A provider as the documents write it: `classic` or `vpc`.
pub(super) fn provider<'de, D: Deserializer<'de>>(document: D) -> Result<Provider, D::Error> {
    match String::deserialize(document)?.as_str() {
        "classic" => Ok(Provider::Classic),
        "vpc" => Ok(Provider::VpcGen2),
        other => Err(D::Error::custom(format!("the provider is '{other}', but can be 'classic' or 'vpc'"))),
    }
}

/// Says so if a name stands twice.
pub(super) fn unique<'a>(what: &str, names: impl IntoIterator<Item = &'a str>) -> Result<(), String> {
    let mut seen = BTreeSet::new();
    match names.into_iter().find(|name| !seen.insert(*name)) {
        Some(twice) => Err(format!("{what} '{twice}' stands there twice")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn zone(id: &str, provider: &str) -> Value {
        json!({
            "zone": id, "provider": provider, "metro": "hom", "metro_name": "Hometown", "region": "hom", "country": "Homeland",
            "country_code": "hl", "geography": "Earth", "geography_code": "ea", "multizone": false,
        })
    }

    fn flavor(name: &str, provider: &str, zones: &[&str]) -> Value {
        json!({
            "name": name, "provider": provider, "kind": "virtual", "isolation": ["shared"], "cores": 2, "memory_gb": 4,
            "network_mbps": 1000, "primary_disk": { "size_gb": 100, "type": "SSD" },
            "operating_systems_by_offering": { "kubernetes": ["UBUNTU_24_64"] }, "zones": zones,
        })
    }

    fn release(version: &str, default: bool) -> Value {
        json!({
            "version": version, "default": default, "end_of_service": "2030-01-31", "latest_master": format!("{version}.1_10"),
            "operating_systems": [{ "name": "UBUNTU_24_64", "default": true }],
        })
    }

    fn versions(kubernetes: &[Value]) -> Value {
        json!({ "kubernetes": kubernetes, "openshift": [release("4.21", true)] })
    }

    /// What comes of a folder with these files.
    fn read(files: &[(&str, String)]) -> Result<Catalog, String> {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::write(dir.path().join(name), text).unwrap();
        }
        let prefix = format!("{}/", dir.path().display());
        Catalog::read(dir.path()).map_err(|error| error.to_string().replace(&prefix, ""))
    }

    #[test]
    fn documents_of_ones_own_replace_those_of_the_same_name() {
        let zones = json!([zone("home-1", "vpc"), zone("dal10", "classic")]).to_string();
        let flavors = json!([flavor("tiny.2x4", "vpc", &["home-1"])]).to_string();
        let catalog = read(&[("locations.json", zones.clone()), ("flavors.json", flavors)]).unwrap();
        assert!(catalog.flavor_of("tiny.2x4").is_some() && catalog.flavor_of("bx2.4x16").is_none());
        assert!(catalog.any_zone("us-south-1").is_none());
        assert!(catalog.addons().find("istio").is_some(), "what is missing is the program's");

        let catalog = read(&[("locations.json", zones)]).unwrap();
        assert_eq!(catalog.flavor_of("b3c.4x16").unwrap().zones, ["dal10"], "the program's flavors keep to the zones");
    }

    #[test]
    fn a_document_that_is_not_of_its_form_is_refused_with_its_line() {
        let cases = [
            (
                "flavors.json",
                "[\n {\n  \"name\": 1\n }\n]".to_owned(),
                "flavors.json: invalid type: integer `1`, expected a string at line 3",
            ),
            ("versions.json", "{\"kubernetes\": []\n}".to_owned(), "versions.json: missing field `openshift` at line 2"),
            ("quota.json", "[\n".to_owned(), "quota.json: EOF while parsing a list at line 2"),
            (
                "locations.json",
                format!("[\n{}]", zone("a", "ibm")),
                "locations.json: the provider is 'ibm', but can be 'classic' or 'vpc' at line 2",
            ),
            ("versions.json", versions(&[release("1.30", true)]).to_string().replace("2030-01-31", "2030-02-31"), "at line 1"),
        ];
        for (name, text, expected) in cases {
            let error = read(&[(name, text)]).unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn documents_that_do_not_go_together_are_refused_with_the_entry() {
        let changed = |mut entry: Value, member: &str, value: Value| {
            entry[member] = value;
            entry
        };
        let cases = [
            ("locations.json", json!([]), "there are no zones"),
            ("locations.json", json!([zone("a", "vpc"), zone("a", "classic")]), "the zone 'a' stands there twice"),
            ("flavors.json", json!([flavor("x", "vpc", &["nowhere-1"])]), "flavor 'x': there is no zone 'nowhere-1'"),
            (
                "flavors.json",
                json!([flavor("x", "vpc", &["dal10"])]),
                "flavor 'x': the zone 'dal10' is of the provider 'classic'",
            ),
            ("flavors.json", json!([flavor("x", "vpc", &[])]), "flavor 'x': it is offered in no zone"),
            (
                "flavors.json",
                json!([changed(flavor("x", "vpc", &["us-south-1"]), "isolation", json!(["public"]))]),
                "flavor 'x': the isolation 'public' can be 'shared' or 'dedicated'",
            ),
            ("versions.json", versions(&[]), "kubernetes: no version is the default"),
            ("versions.json", versions(&[release("1.30", false)]), "kubernetes: no version is the default"),
            (
                "versions.json",
                versions(&[release("1.30", true), release("1.31", true)]),
                "kubernetes: the versions 1.30 and 1.31 are both the default",
            ),
            (
                "versions.json",
                versions(&[changed(release("1.30", true), "latest_master", json!("1.29.1_3"))]),
                "kubernetes 1.30: '1.29.1_3' is not a full version of it, such as '1.30.1_1500'",
            ),
            (
                "versions.json",
                versions(&[changed(release("1.30", true), "release_date", json!("2031-01-01"))]),
                "kubernetes 1.30: its support ends on 2030-01-31, before it is released on 2031-01-01",
            ),
            (
                "versions.json",
                versions(&[changed(release("1.30", true), "operating_systems", json!([]))]),
                "kubernetes 1.30: it has no operating systems",
            ),
            (
                "addons.json",
                json!({ "addons": [{ "name": "x", "versions": [{ "version": "1", "supported_kubernetes": "~1.30" }] }] }),
                "add-on 'x' 1: '~1.30' is not a range of versions such as '>=1.30.0 <1.37.0'",
            ),
            ("addon_options.json", json!({ "no-such-addon": {} }), "there is no add-on 'no-such-addon' in addons.json"),
            (
                "quota.json",
                json!([{ "provider": "vpc", "resource": "cluster", "quota": 1, "regions": { "mars": 2 } }]),
                "vpc-gen2 cluster: there is no region 'mars' of the provider",
            ),
        ];
        for (name, document, expected) in cases {
            let error = read(&[(name, document.to_string())]).unwrap_err();
            assert!(
                error.starts_with(&format!("the catalog cannot be used: {name}: ")) && error.ends_with(expected),
                "{error}"
            );
        }
    }

    #[test]
    fn a_folder_without_any_document_is_most_likely_the_wrong_one() {
        assert!(read(&[("flavor.json", "[]".to_owned())]).unwrap_err().contains("there is none of the files locations.json,"));
    }

    #[test]
    fn the_built_in_catalog_is_sound() {
        let catalog = Catalog::built_in();
        assert!(catalog.0.zones.len() > 60 && catalog.0.flavors.len() > 100);
    }
}
