//! Zones, and the places and regions they make up.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::{Catalog, documents};
use crate::{Error, Provider, Result};

/// A classic data center or a VPC zone.
#[derive(Debug, Deserialize)]
pub struct Zone {
    #[serde(rename = "zone")]
    pub id: String,
    #[serde(deserialize_with = "documents::provider")]
    provider: Provider,
    /// Three letters: `dal`.
    pub metro: String,
    /// City of the metro: `Dallas`.
    pub metro_name: String,
    /// `us-south`; classic data centers are listed under their metro, as in `us-dal`.
    region: String,
    pub country: String,
    pub country_code: String,
    pub geography: String,
    pub geography_code: String,
    /// Whether the metro has several zones of this provider.
    pub multizone: bool,
    /// Regions of the service that manage this zone, if not its own: names of one region, the one in use last.
    #[serde(default)]
    managed_from_region: Vec<String>,
}

/// A place that a filter can name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    pub kind: LocationKind,
    /// `na`, `us`, `dal`, `dal10`.
    pub id: String,
    /// `North America`, `United States`, `Dallas`, `dal10`.
    pub display_name: String,
    /// IDs of what it is part of; absent for its own kind and those below.
    pub geography: Option<String>,
    pub country: Option<String>,
    pub metro: Option<String>,
    /// The metro, if that has several zones.
    pub multizone_metro: Option<String>,
    /// With zones in this place.
    pub providers: BTreeSet<Provider>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LocationKind {
    Geography,
    Country,
    Metro,
    Zone,
}

impl LocationKind {
    /// As the wire has it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Geography => "geo",
            Self::Country => "country",
            Self::Metro => "metro",
            Self::Zone => "dc",
        }
    }
}

/// A region of the service.
#[derive(Debug, PartialEq, Eq)]
pub struct Region {
    pub name: String,
    /// Its former name, or the same.
    pub alias: String,
}

impl Zone {
    #[must_use]
    pub fn provider(&self) -> Provider {
        self.provider
    }

    /// The region of the service that manages clusters in this zone.
    #[must_use]
    pub fn service_region(&self) -> &str {
        self.managed_from_region.last().unwrap_or(&self.region)
    }

    /// Whether a location filter names this zone or something that holds it: metro, country, geography or region.
    #[must_use]
    pub fn is_within(&self, location: &str) -> bool {
        let Self { id, metro, metro_name, region, country, country_code, geography, geography_code, .. } = self;
        let names = [id, metro, metro_name, region, country, country_code, geography, geography_code];
        names.into_iter().chain(&self.managed_from_region).any(|name| name.eq_ignore_ascii_case(location))
    }

    /// The places it is in, widest first, and itself.
    fn locations(&self) -> [Location; 4] {
        let place = |kind: LocationKind, id: &String, display_name: &String| Location {
            kind,
            id: id.clone(),
            display_name: display_name.clone(),
            geography: (kind > LocationKind::Geography).then(|| self.geography_code.clone()),
            country: (kind > LocationKind::Country).then(|| self.country_code.clone()),
            metro: (kind > LocationKind::Metro).then(|| self.metro.clone()),
            multizone_metro: (kind >= LocationKind::Metro && self.multizone).then(|| self.metro.clone()),
            providers: BTreeSet::from([self.provider]),
        };
        [
            place(LocationKind::Geography, &self.geography_code, &self.geography),
            place(LocationKind::Country, &self.country_code, &self.country),
            place(LocationKind::Metro, &self.metro, &self.metro_name),
            place(LocationKind::Zone, &self.id, &self.id),
        ]
    }
}

impl Catalog {
    /// Any zone by ID.
    #[must_use]
    pub fn any_zone(&self, id: &str) -> Option<&Zone> {
        self.0.zones.iter().find(|zone| zone.id == id)
    }

    /// A zone of a provider.
    ///
    /// # Errors
    /// If there is no such zone, or it is another provider's.
    pub fn zone(&self, id: &str, provider: Provider) -> Result<&Zone> {
        let found = self.any_zone(id).filter(|zone| zone.provider == provider);
        found.ok_or_else(|| Error::ZoneNotFound { zone: id.to_owned(), provider, offered: self.zone_ids(provider) })
    }

    /// Zones of a provider, all in the catalog's order.
    pub fn zones(&self, provider: Provider) -> impl Iterator<Item = &Zone> {
        self.0.zones.iter().filter(move |zone| zone.provider == provider)
    }

    /// Zones of a provider in a region of the service.
    pub fn zones_in(&self, region: &str, provider: Provider) -> impl Iterator<Item = &Zone> {
        self.zones(provider).filter(move |zone| zone.service_region() == region)
    }

    /// IDs of the zones that any of the location filters names, see [`Zone::is_within`].
    #[must_use]
    pub fn zones_within(&self, locations: &[String]) -> BTreeSet<String> {
        let within = self.0.zones.iter().filter(|zone| locations.iter().any(|location| zone.is_within(location)));
        within.map(|zone| zone.id.clone()).collect()
    }

    /// Every place that a filter can name: geographies, countries, metros, zones; in each kind by ID.
    #[must_use]
    pub fn locations(&self) -> Vec<Location> {
        let mut found: BTreeMap<(LocationKind, String), Location> = BTreeMap::new();
        for location in self.0.zones.iter().flat_map(Zone::locations) {
            let known = found.entry((location.kind, location.id.clone()));
            let known = known.or_insert_with(|| Location { providers: BTreeSet::new(), ..location.clone() });
            known.providers.extend(location.providers);
            // One provider may have several zones in a metro where another has one.
            known.multizone_metro = known.multizone_metro.take().or(location.multizone_metro);
        }
        found.into_values().collect()
    }

    /// Regions of the service, by name.
    #[must_use]
    pub fn regions(&self) -> Vec<Region> {
        let mut aliases: BTreeMap<&str, &str> = BTreeMap::new();
        for zone in &self.0.zones {
            let name = zone.service_region();
            let known = aliases.entry(name).or_insert(name);
            if let [former, _, ..] = zone.managed_from_region.as_slice() {
                *known = former;
            }
        }
        aliases.into_iter().map(|(name, alias)| Region { name: name.to_owned(), alias: alias.to_owned() }).collect()
    }

    fn zone_ids(&self, provider: Provider) -> Vec<String> {
        self.zones(provider).map(|zone| zone.id.clone()).collect()
    }
}

pub(super) fn check(zones: &[Zone]) -> Result<(), String> {
    if zones.is_empty() {
        return Err("there are no zones".to_owned());
    }
    documents::unique("the zone", zones.iter().map(|zone| zone.id.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_location_filter_matches_every_level() {
        let catalog = Catalog::built_in();
        let cases = [
            (
                "dal10",
                &["dal10", "dal", "Dallas", "us-dal", "us-south", "us", "na"][..],
                &["dal12", "eu", "wdc", "us-east"][..],
            ),
            ("fra02", &["eu", "de", "eu-de", "eu-central", "germany"], &["eu-gb", "us"]),
            ("eu-de-1", &["eu", "de", "eu-de", "fra", "Europe"], &["de-fra", "na"]),
            ("sao01", &["sa", "br", "us-south"], &["us"]),
        ];
        for (zone, within, outside) in cases {
            let zone = catalog.any_zone(zone).unwrap();
            for location in within {
                assert!(zone.is_within(location), "{} {location}", zone.id);
            }
            for location in outside {
                assert!(!zone.is_within(location), "{} {location}", zone.id);
            }
        }
    }

    #[test]
    fn zones_are_managed_from_a_region_of_the_service() {
        let catalog = Catalog::built_in();
        let of = |zone: &str| catalog.any_zone(zone).unwrap().service_region().to_owned();
        let cases = [
            ("dal10", "us-south"),
            ("us-south-1", "us-south"),
            ("wdc04", "us-east"),
            ("tor01", "us-east"),
            ("ca-tor-1", "ca-tor"),
            ("par01", "eu-de"),
            ("lon02", "eu-gb"),
            ("syd01", "au-syd"),
            ("che01", "jp-tok"),
            ("osa21", "jp-osa"),
        ];
        for (zone, region) in cases {
            assert_eq!(of(zone), region, "{zone}");
        }
        let regions = catalog.regions();
        let alias = |name: &str| regions.iter().find(|region| region.name == name).unwrap().alias.clone();
        let aliases = [("us-south", "us-south"), ("eu-de", "eu-central"), ("eu-gb", "uk-south"), ("au-syd", "ap-south")];
        for (name, expected) in aliases {
            assert_eq!(alias(name), expected);
        }
        assert!(regions.iter().all(|region| region.name != "us-dal"), "metros are no regions of the service");
    }

    #[test]
    fn locations_are_a_tree_with_each_place_once() {
        let locations = Catalog::built_in().locations();
        let find = |kind, id: &str| locations.iter().find(|l| l.kind == kind && l.id == id).unwrap();
        let zone = find(LocationKind::Zone, "dal10");
        let parents = (zone.geography.as_deref(), zone.country.as_deref(), zone.metro.as_deref());
        assert_eq!(parents, (Some("na"), Some("us"), Some("dal")));
        assert_eq!(find(LocationKind::Metro, "dal").providers, BTreeSet::from([Provider::Classic, Provider::VpcGen2]));
        assert_eq!(find(LocationKind::Zone, "sao01").multizone_metro, None);
        let mut names: Vec<_> = locations.iter().map(|l| (l.kind, &l.id)).collect();
        let all = names.len();
        names.dedup();
        assert_eq!(names.len(), all);
        for location in &locations {
            for (kind, parent) in [
                (LocationKind::Geography, &location.geography),
                (LocationKind::Country, &location.country),
                (LocationKind::Metro, &location.metro),
            ] {
                if let Some(parent) = parent {
                    find(kind, parent);
                }
            }
        }
    }
}
