//! Flavors: what workers are made of, and where.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::zones::Zone;
use super::{Catalog, Offering, Version, documents};
use crate::{Error, Provider, Result};

/// A kind of worker.
#[derive(Debug, Deserialize)]
pub struct Flavor {
    /// `b3c.4x16`, `bx2.4x16`
    pub name: String,
    #[serde(deserialize_with = "documents::provider")]
    provider: Provider,
    /// `virtual`, `bare_metal`, and the same with a suffix for what it is made for.
    kind: String,
    /// `shared`, `dedicated` or both.
    pub isolation: Vec<String>,
    pub cores: u32,
    pub memory_gb: u32,
    pub network_mbps: u32,
    pub gpu: Option<Gpu>,
    pub primary_disk: Disk,
    pub secondary_disk: Option<Disk>,
    /// Disks that a storage add-on makes use of.
    #[serde(default)]
    pub raw_disks: Vec<RawDisk>,
    /// What a worker pool can ask for as its `secondaryStorageOption`.
    #[serde(default)]
    pub secondary_disk_options: Vec<DiskOption>,
    /// Absent for an offering of which that is not known, oldest first.
    #[serde(default)]
    operating_systems_by_offering: BTreeMap<String, Option<Vec<String>>>,
    pub zones: Vec<String>,
}

#[derive(Debug, Deserialize)]
pub struct Gpu {
    pub count: u32,
    pub model: String,
}

#[derive(Debug, Deserialize)]
pub struct Disk {
    pub size_gb: u32,
    /// `SSD`, `HDD` or `BLOCK`.
    #[serde(rename = "type")]
    pub kind: String,
}

#[derive(Debug, Deserialize)]
pub struct RawDisk {
    pub count: u32,
    pub size_tb: f64,
    #[serde(rename = "type")]
    pub kind: String,
}

#[derive(Debug, Deserialize)]
pub struct DiskOption {
    /// `300gb.5iops-tier`
    pub name: String,
    pub size_gb: u32,
    /// Operations a second for each gigabyte.
    pub iops_tier: u32,
}

impl Flavor {
    #[must_use]
    pub fn provider(&self) -> Provider {
        self.provider
    }

    /// Whether its workers are virtual machines and not machines of their own.
    #[must_use]
    pub fn is_virtual(&self) -> bool {
        self.kind.starts_with("virtual")
    }

    /// Operating systems that workers of an offering can run, oldest first; `None` if that is not known.
    #[must_use]
    pub fn operating_systems(&self, offering: Offering) -> Option<&[String]> {
        self.operating_systems_by_offering.get(offering.as_str())?.as_deref()
    }

    /// Whether clusters of an offering can have such workers. Where the catalog does not say which systems they run, they can.
    #[must_use]
    pub fn runs(&self, offering: Offering) -> bool {
        self.operating_systems(offering).is_none_or(|systems| !systems.is_empty())
    }
}

impl Catalog {
    /// Names of the flavors that a zone offers.
    fn flavor_names(&self, zone: &str) -> Vec<String> {
        self.flavors_in(zone).map(|flavor| flavor.name.clone()).collect()
    }

    /// Flavors that a zone offers, in the catalog's order.
    pub fn flavors_in<'a>(&'a self, zone: &'a str) -> impl Iterator<Item = &'a Flavor> {
        self.0.flavors.iter().filter(move |flavor| flavor.zones.iter().any(|z| z == zone))
    }

    /// The flavor of a worker pool, by the name that the pool keeps.
    #[must_use]
    pub fn flavor_of(&self, name: &str) -> Option<&Flavor> {
        [Provider::Classic, Provider::VpcGen2].into_iter().find_map(|provider| self.flavor_find(name, provider).1)
    }

    /// Checks that a zone offers a flavor. The dash of the VPC API's spelling (`bx2-4x16`) is taken for the dot.
    ///
    /// # Errors
    /// If it does not.
    pub fn flavor(&self, name: &str, zone: &Zone, version: &Version) -> Result<String> {
        let (plain, found) = self.flavor_find(name, zone.provider());
        let offering = if version.openshift { Offering::OpenShift } else { Offering::Kubernetes };
        match found.filter(|flavor| flavor.zones.contains(&zone.id) && flavor.runs(offering)) {
            Some(flavor) => Ok(name.replace(plain, &flavor.name)),
            None => {
                let offered = self.flavor_names(&zone.id);
                Err(Error::FlavorNotInZone { flavor: name.to_owned(), zone: zone.id.clone(), offered })
            }
        }
    }

    /// The catalog's spelling of a flavor's name, in whatever zone.
    ///
    /// # Errors
    /// If there is no such flavor.
    pub fn flavor_name(&self, name: &str, provider: Provider) -> Result<String> {
        let (plain, known) = self.flavor_find(name, provider);
        let spelled = known.map(|flavor| name.replace(plain, &flavor.name));
        spelled.ok_or_else(|| Error::Invalid(format!("There is no flavor '{name}' for the provider '{provider}'.")))
    }

    /// The secondary storage that a pool asks for, such as `300gb.5iops-tier`.
    ///
    /// # Errors
    /// If the flavor has no such option.
    pub fn secondary_storage(&self, flavor: &str, option: &str) -> Result<&DiskOption> {
        let options = self.flavor_of(flavor).map_or(&[][..], |flavor| &flavor.secondary_disk_options);
        options.iter().find(|known| known.name == option).ok_or_else(|| {
            let names: Vec<_> = options.iter().map(|option| option.name.as_str()).collect();
            let choice = match names.is_empty() {
                true => "It has none.".to_owned(),
                false => format!("The accepted values are {}.", names.join(", ")),
            };
            Error::Invalid(format!(
                "The secondary storage option '{option}' is not offered for the flavor '{flavor}'. {choice}"
            ))
        })
    }

    /// The flavor that a name means, and the name without the suffix that classic flavors may have.
    fn flavor_find<'a>(&self, name: &'a str, provider: Provider) -> (&'a str, Option<&Flavor>) {
        let plain = match provider {
            Provider::Classic => name.trim_end_matches(".encrypted"),
            Provider::VpcGen2 => name,
        };
        let dotted = plain.replacen('-', ".", 1);
        (plain, self.0.flavors.iter().find(|f| f.provider == provider && (f.name == plain || f.name == dotted)))
    }
}

/// Takes the zones that there are not out of flavors, and flavors that are then nowhere.
pub(super) fn keep_to(flavors: &mut Vec<Flavor>, zones: &[Zone]) {
    flavors.retain_mut(|flavor| {
        flavor.zones.retain(|id| zones.iter().any(|zone| zone.id == *id && zone.provider() == flavor.provider));
        !flavor.zones.is_empty()
    });
}

pub(super) fn check(flavors: &[Flavor], zones: &[Zone]) -> Result<(), String> {
    documents::unique("the flavor", flavors.iter().map(|flavor| flavor.name.as_str()))?;
    let by_id: BTreeMap<_, _> = zones.iter().map(|zone| (zone.id.as_str(), zone)).collect();
    for flavor in flavors {
        check_one(flavor, &by_id).map_err(|what| format!("flavor '{}': {what}", flavor.name))?;
    }
    Ok(())
}

fn check_one(flavor: &Flavor, zones: &BTreeMap<&str, &Zone>) -> Result<(), String> {
    if flavor.zones.is_empty() {
        return Err("it is offered in no zone".to_owned());
    }
    for id in &flavor.zones {
        let zone = zones.get(id.as_str()).ok_or_else(|| format!("there is no zone '{id}'"))?;
        if zone.provider() != flavor.provider {
            return Err(format!("the zone '{id}' is of the provider '{}'", zone.provider()));
        }
    }
    if flavor.isolation.is_empty() {
        return Err("the isolation can be 'shared' or 'dedicated', and none is given".to_owned());
    }
    match flavor.isolation.iter().find(|isolation| !["shared", "dedicated"].contains(&isolation.as_str())) {
        Some(other) => Err(format!("the isolation '{other}' can be 'shared' or 'dedicated'")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::Support;

    #[test]
    fn a_flavor_is_offered_by_some_zones_and_written_with_a_dot_or_a_dash() {
        let catalog = Catalog::built_in();
        let support = Support::at("2026-09-20T12:00:00Z".parse().unwrap());
        let version = catalog.version("", None, Provider::VpcGen2, &support).unwrap();
        let zone = catalog.zone("us-south-1", Provider::VpcGen2).unwrap();
        assert_eq!(catalog.flavor("bx2-4x16", zone, &version).unwrap(), "bx2.4x16");
        assert!(matches!(catalog.flavor("b3c.4x16", zone, &version), Err(Error::FlavorNotInZone { .. })));
        let classic = catalog.zone("dal10", Provider::Classic).unwrap();
        assert_eq!(catalog.flavor("b3c.4x16.encrypted", classic, &version).unwrap(), "b3c.4x16.encrypted");
        assert!(matches!(catalog.zone("dal10", Provider::VpcGen2), Err(Error::ZoneNotFound { .. })));
    }

    #[test]
    fn a_pool_s_flavor_tells_what_its_workers_are_made_of() {
        let catalog = Catalog::built_in();
        let size = |name: &str| catalog.flavor_of(name).map(|f| (f.cores, f.memory_gb, f.network_mbps, f.is_virtual()));
        assert_eq!(size("b3c.4x16.encrypted"), Some((4, 16, 1000, true)));
        assert_eq!(size("bx2.4x16"), Some((4, 16, 6000, true)));
        assert_eq!(size("mb4c.4x32"), Some((4, 32, 10000, false)));
        assert_eq!(size("none"), None);
    }

    #[test]
    fn secondary_storage_is_one_of_the_flavor_s_options() {
        let catalog = Catalog::built_in();
        assert_eq!(catalog.secondary_storage("bx2.4x16", "900gb.5iops-tier").unwrap().size_gb, 900);
        let refused = |flavor: &str, option: &str| catalog.secondary_storage(flavor, option).unwrap_err().to_string();
        assert!(refused("bx2.4x16", "1gb").contains("The accepted values are 300gb.5iops-tier, "));
        assert!(refused("b3c.4x16", "900gb.5iops-tier").ends_with("It has none."));
    }
}
