//! How much an account may have in a region.

use std::collections::BTreeMap;

use boatyard_runtime::{Pace, Timings};
use serde::Deserialize;

use super::zones::Zone;
use super::{Catalog, documents};
use crate::Provider;

/// The limit of one resource.
#[derive(Debug, Deserialize)]
pub struct Quota {
    #[serde(deserialize_with = "documents::provider")]
    pub provider: Provider,
    /// What is counted: `cluster` in a region, or `worker` in a cluster.
    pub resource: String,
    /// Where `regions` says nothing else.
    quota: u32,
    /// Whether requests that pass it are refused. Where they are not, it is only shown.
    #[serde(default)]
    enforced: bool,
    #[serde(default)]
    regions: BTreeMap<String, u32>,
}

impl Catalog {
    /// Every limit, with its number in each region of its provider.
    pub fn quotas(&self) -> impl Iterator<Item = (&Quota, BTreeMap<&str, u32>)> {
        self.0.quotas.iter().map(|quota| {
            let regions = self.zones(quota.provider).map(Zone::service_region);
            (quota, regions.map(|region| (region, quota.regions.get(region).copied().unwrap_or(quota.quota))).collect())
        })
    }
}

impl Catalog {
    /// The number of `resource` that an account may have in a region, where that is enforced.
    pub(crate) fn quota(&self, provider: Provider, resource: &str, region: &str) -> Option<u32> {
        let quota = self.0.quotas.iter().find(|quota| quota.provider == provider && quota.resource == resource)?;
        quota.enforced.then(|| quota.regions.get(region).copied().unwrap_or(quota.quota))
    }

    /// How long the stages of virtual clusters take at a pace. Nothing takes time at pace instant, whatever the catalog says.
    #[must_use]
    pub fn timings(&self, pace: Pace) -> Timings {
        if pace == Pace::Instant { Timings::default() } else { self.0.timings.get(pace.as_str()).copied().unwrap_or_default() }
    }
}

pub(super) fn check(quotas: &[Quota], zones: &[Zone]) -> Result<(), String> {
    let names: Vec<_> = quotas.iter().map(|quota| format!("{} {}", quota.provider, quota.resource)).collect();
    documents::unique("the quota", names.iter().map(String::as_str))?;
    for (name, quota) in names.iter().zip(quotas) {
        let known = |region: &String| zones.iter().any(|z| z.provider() == quota.provider && z.service_region() == region);
        if let Some(unknown) = quota.regions.keys().find(|region| !known(region)) {
            return Err(format!("{name}: there is no region '{unknown}' of the provider"));
        }
    }
    Ok(())
}
