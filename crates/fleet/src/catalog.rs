//! What there is to choose from: zones, flavors and versions, read once from the documents in `catalog/`.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::Offset;
use serde::Deserialize;

use crate::{Error, Provider, Result};

static CATALOG: LazyLock<Catalog> = LazyLock::new(|| {
    let parse = "the catalog is part of the program, and a test reads it";
    Catalog {
        zones: serde_json::from_str(include_str!("../../../catalog/locations.json")).expect(parse),
        flavors: serde_json::from_str(include_str!("../../../catalog/flavors.json")).expect(parse),
        versions: serde_json::from_str(include_str!("../../../catalog/versions.json")).expect(parse),
    }
});

/// The catalog of this program.
#[must_use]
pub fn catalog() -> &'static Catalog {
    &CATALOG
}

/// At most ten of `names` that are most like `wanted`: those with the longest common beginning, in the catalog's order.
#[must_use]
pub fn nearest<'a>(wanted: &str, names: &[&'a str]) -> Vec<&'a str> {
    let common = |name: &str| name.bytes().zip(wanted.bytes()).take_while(|(a, b)| a == b).count();
    let mut sorted = names.to_vec();
    sorted.sort_by_key(|name| std::cmp::Reverse(common(name)));
    sorted.truncate(10);
    sorted
}

/// Facts about the service.
#[derive(Debug)]
pub struct Catalog {
    zones: Vec<Zone>,
    flavors: Vec<Flavor>,
    versions: BTreeMap<String, Vec<Release>>,
}

/// A classic data center or a VPC zone.
#[derive(Debug, Deserialize)]
pub struct Zone {
    #[serde(rename = "zone")]
    pub id: String,
    provider: String,
    /// Three letters: `dal`.
    pub metro: String,
    pub metro_name: String,
    region: String,
    pub country: String,
    pub geography: String,
    #[serde(default)]
    managed_from_region: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Flavor {
    name: String,
    provider: String,
    zones: Vec<String>,
    #[serde(default)]
    operating_systems_by_offering: BTreeMap<String, Option<Vec<String>>>,
}

#[derive(Debug, Deserialize)]
struct Release {
    /// `1.36`, `4.21`
    version: String,
    default: bool,
    latest_master: String,
    end_of_service: Date,
    #[serde(default)]
    fix_packs: Vec<FixPack>,
    #[serde(default)]
    operating_systems: Vec<OperatingSystem>,
    #[serde(default)]
    infrastructure: BTreeMap<String, Option<Infrastructure>>,
}

#[derive(Debug, Deserialize)]
struct FixPack {
    kind: String,
    version: String,
}

#[derive(Debug, Deserialize)]
struct Infrastructure {
    #[serde(default)]
    operating_systems: Vec<OperatingSystem>,
}

#[derive(Debug, Deserialize)]
struct OperatingSystem {
    name: String,
    default: Option<bool>,
}

/// A version that a cluster can have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// `1.36.3_1525`, or `4.21.27_1527_openshift`.
    pub full: String,
    pub openshift: bool,
    /// `2027-08-01`
    pub end_of_service: String,
    /// What workers run unless something else is asked for.
    pub operating_system: String,
    /// What else they can run.
    pub operating_systems: Vec<String>,
}

impl Zone {
    #[must_use]
    pub fn provider(&self) -> Provider {
        if self.provider == "classic" { Provider::Classic } else { Provider::VpcGen2 }
    }

    /// The region of the service that manages clusters in this zone. Classic data centers are listed under their metro
    /// (`us-dal`) and managed from a region of the service (`us-south`).
    #[must_use]
    pub fn service_region(&self) -> &str {
        match self.region.as_str() {
            "us-dal" => "us-south",
            "us-wdc" => "us-east",
            "de-fra" => "eu-de",
            "uk-lon" => "eu-gb",
            region => self.managed_from_region.last().map_or(region, String::as_str),
        }
    }

    /// Whether a location filter names this zone or something that holds it: metro, country, geography or region.
    #[must_use]
    pub fn is_within(&self, location: &str) -> bool {
        let names = [&self.id, &self.metro, &self.metro_name, &self.region, &self.country, &self.geography];
        names.iter().any(|name| name.eq_ignore_ascii_case(location))
            || self.service_region().eq_ignore_ascii_case(location)
            || match location.to_ascii_lowercase().as_str() {
                "na" => self.geography == "North America",
                "sa" => self.geography == "South America",
                "eu" => self.geography == "Europe",
                "ap" => self.geography == "Asia Pacific",
                country => country.len() == 2 && self.region.starts_with(country),
            }
    }
}

impl Catalog {
    /// Any zone by ID.
    #[must_use]
    pub fn any_zone(&self, id: &str) -> Option<&Zone> {
        self.zones.iter().find(|zone| zone.id == id)
    }

    /// A zone of a provider.
    ///
    /// # Errors
    /// If there is no such zone, or it is another provider's.
    pub fn zone(&self, id: &str, provider: Provider) -> Result<&Zone> {
        let found = self.any_zone(id).filter(|zone| zone.provider() == provider);
        found.ok_or_else(|| Error::ZoneNotFound { zone: id.to_owned(), provider })
    }

    /// Zones of a provider in a region of the service.
    pub fn zones_in(&self, region: &str, provider: Provider) -> impl Iterator<Item = &Zone> {
        self.zones.iter().filter(move |zone| zone.provider() == provider && zone.service_region() == region)
    }

    /// IDs of a provider's zones.
    #[must_use]
    pub fn zones_of(&self, provider: Provider) -> Vec<&str> {
        self.zones.iter().filter(|zone| zone.provider() == provider).map(|zone| zone.id.as_str()).collect()
    }

    /// Names of the flavors that a zone offers.
    #[must_use]
    pub fn flavors_in(&self, zone: &str) -> Vec<&str> {
        self.flavors.iter().filter(|f| f.zones.iter().any(|z| z == zone)).map(|f| f.name.as_str()).collect()
    }

    /// Checks that a zone offers a flavor. The dash of the VPC API's spelling (`bx2-4x16`) is taken for the dot.
    ///
    /// # Errors
    /// If it does not.
    pub fn flavor(&self, name: &str, zone: &Zone, version: &Version) -> Result<String> {
        let (plain, found) = self.flavor_find(name, zone.provider());
        let offering = if version.openshift { "openshift" } else { "kubernetes" };
        let offered = found.filter(|f| f.zones.contains(&zone.id)).filter(|f| {
            // Where the catalog does not say which systems an offering has on a flavor, both have it.
            f.operating_systems_by_offering.get(offering).and_then(Option::as_ref).is_none_or(|systems| !systems.is_empty())
        });
        match offered {
            Some(flavor) => Ok(name.replace(plain, &flavor.name)),
            None => Err(Error::FlavorNotInZone { flavor: name.to_owned(), zone: zone.id.clone() }),
        }
    }

    /// Checks that there is a flavor, in whatever zone.
    ///
    /// # Errors
    /// If there is not.
    pub fn flavor_exists(&self, name: &str, provider: Provider) -> Result<()> {
        let known = self.flavor_find(name, provider).1;
        known.map(|_| ()).ok_or_else(|| Error::Invalid(format!("There is no flavor '{name}' for the provider '{provider}'.")))
    }

    /// The flavor that a name means, and the name without the suffix that classic flavors may have.
    fn flavor_find<'a>(&self, name: &'a str, provider: Provider) -> (&'a str, Option<&Flavor>) {
        let (plain, family) = match provider {
            Provider::Classic => (name.trim_end_matches(".encrypted"), "classic"),
            Provider::VpcGen2 => (name, "vpc"),
        };
        let dotted = plain.replacen('-', ".", 1);
        (plain, self.flavors.iter().find(|f| f.provider == family && (f.name == plain || f.name == dotted)))
    }

    /// The version that a request means: empty for the default, `1.36`, `1.36.3`, `1.36.3_1525`, and the same with the suffix
    /// `_openshift`, which `offering` replaces.
    ///
    /// # Errors
    /// If there is no such version, or its support has ended by `now`. The default is always to be had.
    pub fn version(&self, wanted: &str, offering: Option<&str>, provider: Provider, now: Timestamp) -> Result<Version> {
        let (bare, suffixed) = match wanted.strip_suffix("_openshift") {
            Some(bare) => (bare, true),
            None => (wanted, false),
        };
        let openshift = suffixed || offering.is_some_and(|o| o.starts_with("openshift"));
        let releases = self.versions.get(if openshift { "openshift" } else { "kubernetes" }).map_or(&[][..], Vec::as_slice);
        let not_found = || Error::VersionNotFound { version: wanted.to_owned(), offered: self.versions_offered(now) };
        if bare.is_empty() || bare == "default" {
            let default = releases.iter().find(|r| r.default).ok_or_else(not_found)?;
            return Ok(default.version_of(&default.latest_master, openshift, provider));
        }
        for release in releases {
            let Some(full) = release.matching(bare) else { continue };
            let today = Offset::UTC.to_datetime(now).date();
            if release.end_of_service < today && !release.default {
                let (version, ended) = (wanted.to_owned(), release.end_of_service.to_string());
                return Err(Error::VersionEnded { version, ended, offered: self.versions_offered(now) });
            }
            return Ok(release.version_of(full, openshift, provider));
        }
        Err(not_found())
    }

    /// Versions that can be asked for at `now`, as a request would write them.
    #[must_use]
    pub fn versions_offered(&self, now: Timestamp) -> Vec<String> {
        let today = Offset::UTC.to_datetime(now).date();
        let offered = |kind: &'static str, suffix: &'static str| {
            let releases = self.versions.get(kind).map_or(&[][..], Vec::as_slice);
            let current = releases.iter().filter(move |r| r.default || r.end_of_service >= today);
            current.map(move |r| format!("{}{suffix}", r.version))
        };
        offered("kubernetes", "").chain(offered("openshift", "_openshift")).collect()
    }
}

impl Release {
    /// The master fix pack that `bare` (`1.36`, `1.36.3` or `1.36.3_1525`) means: the newest that fits.
    fn matching(&self, bare: &str) -> Option<&str> {
        if bare == self.version {
            return Some(&self.latest_master);
        }
        let fits = |full: &str| {
            let full = full.trim_end_matches("_openshift");
            full == bare || full.split('_').next() == Some(bare)
        };
        let packs = self.fix_packs.iter().filter(|pack| pack.kind == "master").map(|pack| pack.version.as_str());
        std::iter::once(self.latest_master.as_str()).chain(packs).find(|full| fits(full))
    }

    fn version_of(&self, full: &str, openshift: bool, provider: Provider) -> Version {
        let infrastructure = match provider {
            Provider::Classic => "classic",
            Provider::VpcGen2 => "vpc",
        };
        let listed = self.infrastructure.get(infrastructure).and_then(Option::as_ref);
        let systems = listed.map_or(&self.operating_systems, |i| &i.operating_systems);
        let system = systems.iter().find(|s| s.default == Some(true)).or_else(|| systems.first());
        let fallback = if openshift { "RHCOS" } else { "UBUNTU_24_64" };
        Version {
            full: if openshift && !full.ends_with("_openshift") { format!("{full}_openshift") } else { full.to_owned() },
            openshift,
            end_of_service: self.end_of_service.to_string(),
            operating_system: system.map_or(fallback, |s| s.name.as_str()).to_owned(),
            operating_systems: systems.iter().map(|s| s.name.clone()).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(date: &str) -> Timestamp {
        format!("{date}T12:00:00Z").parse().unwrap()
    }

    #[test]
    fn versions_are_understood_in_every_documented_spelling() {
        let now = at("2026-09-20");
        let full = |wanted: &str, offering| catalog().version(wanted, offering, Provider::VpcGen2, now).map(|v| v.full).ok();
        let cases = [
            ("", None, Some("1.36.3_1525")),
            ("default", None, Some("1.36.3_1525")),
            ("1.36", None, Some("1.36.3_1525")),
            ("1.36.3", None, Some("1.36.3_1525")),
            ("1.36.3_1525", None, Some("1.36.3_1525")),
            ("4.21_openshift", None, Some("4.21.27_1527_openshift")),
            ("4.21.27_openshift", None, Some("4.21.27_1527_openshift")),
            ("4.21", Some("openshift"), Some("4.21.27_1527_openshift")),
            ("", Some("openshift"), Some("4.21.27_1527_openshift")),
            ("4.21", None, None),
            ("1.36.99", None, None),
            ("latest", None, None),
        ];
        for (wanted, offering, expected) in cases {
            assert_eq!(full(wanted, offering).as_deref(), expected, "{wanted} {offering:?}");
        }
    }

    #[test]
    fn a_version_is_refused_after_its_support_ended_but_the_default_never() {
        let ask = |wanted: &str, date| catalog().version(wanted, None, Provider::Classic, at(date));
        assert!(ask("1.33", "2026-10-14").is_ok());
        assert!(matches!(ask("1.33", "2026-10-15"), Err(Error::VersionEnded { .. })));
        assert!(ask("1.36", "2040-01-01").is_ok());
        assert!(!catalog().versions_offered(at("2026-10-15")).contains(&"1.33".to_owned()));
    }

    #[test]
    fn a_flavor_is_offered_by_some_zones_and_written_with_a_dot_or_a_dash() {
        let version = catalog().version("", None, Provider::VpcGen2, at("2026-09-20")).unwrap();
        let zone = catalog().zone("us-south-1", Provider::VpcGen2).unwrap();
        assert_eq!(catalog().flavor("bx2-4x16", zone, &version).unwrap(), "bx2.4x16");
        assert!(matches!(catalog().flavor("b3c.4x16", zone, &version), Err(Error::FlavorNotInZone { .. })));
        let classic = catalog().zone("dal10", Provider::Classic).unwrap();
        assert_eq!(catalog().flavor("b3c.4x16.encrypted", classic, &version).unwrap(), "b3c.4x16.encrypted");
        assert!(matches!(catalog().zone("dal10", Provider::VpcGen2), Err(Error::ZoneNotFound { .. })));
    }

    #[test]
    fn what_is_most_like_the_wanted_comes_first() {
        assert_eq!(nearest("bx2.5x", &["cx2.2x4", "bx3d.4x20", "bx2.4x16"]), ["bx2.4x16", "bx3d.4x20", "cx2.2x4"]);
        assert_eq!(nearest("", &["a"; 20]).len(), 10);
    }

    #[test]
    fn a_location_filter_matches_every_level() {
        let zone = catalog().any_zone("dal10").unwrap();
        for location in ["dal10", "dal", "Dallas", "us-south", "us", "na"] {
            assert!(zone.is_within(location), "{location}");
        }
        for location in ["dal12", "eu", "wdc", "us-east"] {
            assert!(!zone.is_within(location), "{location}");
        }
    }
}
