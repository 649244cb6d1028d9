//! Versions: which can be asked for, what a request means by one, and where an update may lead.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use jiff::civil::Date;
use jiff::tz::Offset;
use jiff::{Span, Timestamp};
use serde::Deserialize;

use super::{Catalog, documents};
use crate::{Error, Provider, Result};

/// What tells an OpenShift version from one of Kubernetes.
const SUFFIX: &str = "_openshift";
/// How many days before its support ends a version is announced to end.
const NOTICE_DAYS: i64 = 60;

/// What a cluster runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offering {
    Kubernetes,
    OpenShift,
}

impl Offering {
    /// What a full version is of.
    #[must_use]
    pub fn of_version(full: &str) -> Self {
        if full.ends_with(SUFFIX) { Self::OpenShift } else { Self::Kubernetes }
    }

    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Kubernetes => "kubernetes",
            Self::OpenShift => "openshift",
        }
    }

    fn suffix(self) -> &'static str {
        match self {
            Self::Kubernetes => "",
            Self::OpenShift => SUFFIX,
        }
    }
}

/// As people write it.
impl fmt::Display for Offering {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kubernetes => "Kubernetes",
            Self::OpenShift => "OpenShift",
        })
    }
}

/// Which versions have support: those of the catalog until the day it gives for them, without those whose support was ended early.
#[derive(Clone, Debug)]
pub struct Support {
    pub now: Timestamp,
    /// Versions as a request would write them: `1.34`, `4.18_openshift`.
    pub ended: BTreeSet<String>,
}

impl Support {
    /// As the catalog has it at `now`.
    #[must_use]
    pub fn at(now: Timestamp) -> Self {
        Self { now, ended: BTreeSet::new() }
    }

    fn today(&self) -> Date {
        Offset::UTC.to_datetime(self.now).date()
    }
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

/// A version in a list of those that can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offered {
    pub major: u32,
    pub minor: u32,
    pub patch: u32,
    /// Whether a request without a version gets this one.
    pub default: bool,
    pub end_of_service: Date,
}

/// What users of a version should know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    pub id: String,
    pub text: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct Versions {
    kubernetes: Vec<Release>,
    openshift: Vec<Release>,
}

#[derive(Debug, Deserialize)]
struct Release {
    /// `1.36`, `4.21`
    version: String,
    default: bool,
    latest_master: String,
    release_date: Option<Date>,
    end_of_service: Date,
    #[serde(default)]
    fix_packs: Vec<FixPack>,
    #[serde(default)]
    operating_systems: Vec<OperatingSystem>,
    /// What differs by provider.
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

impl Catalog {
    /// The version that a request means: empty for the default, `1.36`, `1.36.3`, `1.36.3_1525`, and the same with the suffix
    /// `_openshift`, which `offering` replaces.
    ///
    /// # Errors
    /// If there is no such version, or it has no support any more.
    pub fn version(&self, wanted: &str, offering: Option<&str>, provider: Provider, support: &Support) -> Result<Version> {
        let (bare, suffixed) = match wanted.strip_suffix(SUFFIX) {
            Some(bare) => (bare, true),
            None => (wanted, false),
        };
        let openshift = suffixed || offering.is_some_and(|o| o.starts_with("openshift"));
        let offering = if openshift { Offering::OpenShift } else { Offering::Kubernetes };
        let not_found = || Error::VersionNotFound { version: wanted.to_owned(), offered: self.versions_offered(support) };
        if bare.is_empty() || bare == "default" {
            let default = self.default_release(offering, support).ok_or_else(not_found)?;
            return default.version_of(&default.latest_master, offering, provider).ok_or_else(not_found);
        }
        let releases = self.0.versions.of(offering).iter();
        let found = releases.filter_map(|release| Some((release, release.matching(bare)?))).next();
        let (release, full) = found.ok_or_else(not_found)?;
        if !release.has(support, offering) {
            let ended = release.end_of_service.min(support.today()).to_string();
            return Err(Error::VersionEnded { version: wanted.to_owned(), ended, offered: self.versions_offered(support) });
        }
        release.version_of(full, offering, provider).ok_or_else(not_found)
    }

    /// The version that a cluster of version `from` gets when `wanted` is asked for; empty for the default of what it runs.
    ///
    /// # Errors
    /// As [`Catalog::version`]; [`Error::AlreadyUpToDate`]; if it is older, of another offering, or more than one minor version up.
    pub fn update_path(&self, from: &str, wanted: &str, provider: Provider, support: &Support) -> Result<Version> {
        let offering = Offering::of_version(from);
        let other = |to: Offering| Error::Invalid(format!("A cluster that runs {offering} cannot be updated to {to}."));
        let to = match self.version(wanted, Some(offering.as_str()), provider, support) {
            Err(Error::VersionNotFound { .. }) if self.version(wanted, None, provider, support).is_ok() => {
                return Err(other(Offering::Kubernetes));
            }
            found => found?,
        };
        if Offering::of_version(&to.full) != offering {
            return Err(other(Offering::OpenShift));
        }
        if to.full == from {
            return Err(Error::AlreadyUpToDate);
        }
        let (Some(old), Some(new)) = (numbers(from), numbers(&to.full)) else {
            return Err(Error::Invalid(format!("The version '{from}' of the cluster cannot be compared with '{}'.", to.full)));
        };
        if new < old {
            let text =
                format!("The cluster has version {from}, and a cluster cannot be set back to an older one, {}.", to.full);
            return Err(Error::Invalid(text));
        }
        let ([major, minor, ..], [new_major, new_minor, ..]) = (old, new);
        if new_major != major || new_minor > minor + 1 {
            return Err(Error::Invalid(format!(
                "The cluster has version {from}, and a master is updated by one minor version at a time. Update it to {major}.{}{} \
                 first.",
                minor + 1,
                offering.suffix()
            )));
        }
        Ok(to)
    }

    /// Versions that can be asked for, newest first.
    #[must_use]
    pub fn versions(&self, offering: Offering, support: &Support) -> Vec<Offered> {
        let default = self.default_release(offering, support).map(|release| &release.version);
        let releases = self.0.versions.of(offering).iter().filter(|release| release.has(support, offering));
        releases
            .filter_map(|release| {
                let [major, minor, patch, _] = numbers(&release.latest_master)?;
                let default = Some(&release.version) == default;
                Some(Offered { major, minor, patch, default, end_of_service: release.end_of_service })
            })
            .collect()
    }

    /// Whether there is a version of that name: `1.36`, `4.21_openshift`.
    #[must_use]
    pub fn has_release(&self, name: &str) -> bool {
        let offerings = [Offering::Kubernetes, Offering::OpenShift].into_iter();
        offerings
            .flat_map(|of| self.0.versions.of(of).iter().map(move |release| release.written(of)))
            .any(|known| known == name)
    }

    /// What users of versions should know: those whose support ends soon or has ended.
    #[must_use]
    pub fn notices(&self, support: &Support) -> Vec<Notice> {
        let soon = support.today().saturating_add(Span::new().days(NOTICE_DAYS));
        let notice = |release: &Release, offering: Offering| {
            let written = release.written(offering);
            let (day, name) = (release.end_of_service, &release.version);
            let text = if !release.has(support, offering) {
                let day = day.min(support.today());
                format!("Support of {offering} {name} ended on {day}. Update clusters of that version.")
            } else if day <= soon && !release.default {
                format!("Support of {offering} {name} ends on {day}. Update clusters of that version before.")
            } else {
                return None;
            };
            Some(Notice { id: format!("end-of-support-{written}"), text })
        };
        let of = |offering| self.0.versions.of(offering).iter().filter_map(move |release| notice(release, offering));
        of(Offering::Kubernetes).chain(of(Offering::OpenShift)).collect()
    }

    /// Versions that can be asked for, as a request would write them.
    fn versions_offered(&self, support: &Support) -> Vec<String> {
        let offered = |offering| {
            let releases = self.0.versions.of(offering).iter();
            releases.filter(move |release| release.has(support, offering)).map(move |release| release.written(offering))
        };
        offered(Offering::Kubernetes).chain(offered(Offering::OpenShift)).collect()
    }

    /// What a request without a version gets: the catalog's default, or the newest other version should its support be ended early.
    fn default_release(&self, offering: Offering, support: &Support) -> Option<&Release> {
        let mut offered = self.0.versions.of(offering).iter().filter(|release| release.has(support, offering));
        offered.clone().find(|release| release.default).or_else(|| offered.next())
    }
}

impl Versions {
    fn of(&self, offering: Offering) -> &[Release] {
        match offering {
            Offering::Kubernetes => &self.kubernetes,
            Offering::OpenShift => &self.openshift,
        }
    }

    /// Newest first.
    pub(super) fn sort(&mut self) {
        for releases in [&mut self.kubernetes, &mut self.openshift] {
            releases.sort_by_key(|release| std::cmp::Reverse(numbers(&release.latest_master)));
        }
    }

    pub(super) fn check(&self) -> Result<(), String> {
        for offering in [Offering::Kubernetes, Offering::OpenShift] {
            let (kind, releases) = (offering.as_str(), self.of(offering));
            documents::unique(&format!("{kind}: the version"), releases.iter().map(|release| release.version.as_str()))?;
            for release in releases {
                release.check().map_err(|what| format!("{kind} {}: {what}", release.version))?;
            }
            let mut defaults = releases.iter().filter(|release| release.default).map(|release| &release.version);
            match (defaults.next(), defaults.next()) {
                (Some(_), None) => {}
                (None, _) => return Err(format!("{kind}: no version is the default")),
                (Some(a), Some(b)) => return Err(format!("{kind}: the versions {a} and {b} are both the default")),
            }
        }
        Ok(())
    }
}

impl Release {
    /// As a request would write it: `1.36`, `4.21_openshift`.
    fn written(&self, offering: Offering) -> String {
        format!("{}{}", self.version, offering.suffix())
    }

    /// Whether it has support. The default has it past its day, so that there always is one, unless it was ended early.
    fn has(&self, support: &Support, offering: Offering) -> bool {
        (self.default || self.end_of_service >= support.today()) && !support.ended.contains(&self.written(offering))
    }

    /// Fix packs of the master, the newest first.
    fn masters(&self) -> impl Iterator<Item = &str> {
        let packs = self.fix_packs.iter().filter(|pack| pack.kind == "master").map(|pack| pack.version.as_str());
        std::iter::once(self.latest_master.as_str()).chain(packs)
    }

    /// The master fix pack that `bare` (`1.36`, `1.36.3` or `1.36.3_1525`) means: the newest that fits.
    fn matching(&self, bare: &str) -> Option<&str> {
        if bare == self.version {
            return Some(&self.latest_master);
        }
        self.masters().find(|full| {
            let full = full.trim_end_matches(SUFFIX);
            full == bare || full.split('_').next() == Some(bare)
        })
    }

    fn systems(&self, provider: Provider) -> &[OperatingSystem] {
        let infrastructure = match provider {
            Provider::Classic => "classic",
            Provider::VpcGen2 => "vpc",
        };
        let listed = self.infrastructure.get(infrastructure).and_then(Option::as_ref);
        listed.map_or(&self.operating_systems, |i| &i.operating_systems)
    }

    /// `None` where workers of the provider have nothing to run for it.
    fn version_of(&self, full: &str, offering: Offering, provider: Provider) -> Option<Version> {
        let systems = self.systems(provider);
        let system = systems.iter().find(|s| s.default == Some(true)).or_else(|| systems.first())?;
        Some(Version {
            full: format!("{}{}", full.trim_end_matches(SUFFIX), offering.suffix()),
            openshift: offering == Offering::OpenShift,
            end_of_service: self.end_of_service.to_string(),
            operating_system: system.name.clone(),
            operating_systems: systems.iter().map(|s| s.name.clone()).collect(),
        })
    }

    fn check(&self) -> Result<(), String> {
        let belongs = |full: &str| numbers(full).is_some_and(|[major, minor, ..]| format!("{major}.{minor}") == self.version);
        if let Some(wrong) = self.masters().find(|full| !belongs(full)) {
            return Err(format!("'{wrong}' is not a full version of it, such as '{}.1_1500'", self.version));
        }
        if let Some(released) = self.release_date.filter(|released| *released > self.end_of_service) {
            return Err(format!("its support ends on {}, before it is released on {released}", self.end_of_service));
        }
        if [Provider::Classic, Provider::VpcGen2].into_iter().all(|provider| self.systems(provider).is_empty()) {
            return Err("it has no operating systems".to_owned());
        }
        Ok(())
    }
}

/// Major, minor, patch and build of `1.36.3_1525` or `4.21.27_1527_openshift`.
fn numbers(full: &str) -> Option<[u32; 4]> {
    let (version, build) = full.strip_suffix(SUFFIX).unwrap_or(full).split_once('_')?;
    let parts: Vec<u32> = version.split('.').chain([build]).map(|part| part.parse().ok()).collect::<Option<_>>()?;
    parts.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(date: &str) -> Support {
        Support::at(format!("{date}T12:00:00Z").parse().unwrap())
    }

    #[test]
    fn versions_are_understood_in_every_documented_spelling() {
        let (catalog, support) = (Catalog::built_in(), at("2026-09-20"));
        let full = |wanted: &str, offering| catalog.version(wanted, offering, Provider::VpcGen2, &support).map(|v| v.full).ok();
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
        let catalog = Catalog::built_in();
        let ask = |wanted: &str, date| catalog.version(wanted, None, Provider::Classic, &at(date));
        assert!(ask("1.33", "2026-10-14").is_ok());
        assert!(matches!(ask("1.33", "2026-10-15"), Err(Error::VersionEnded { .. })));
        assert!(ask("1.36", "2040-01-01").is_ok());
        assert!(!catalog.versions_offered(&at("2026-10-15")).contains(&"1.33".to_owned()));
    }

    #[test]
    fn a_version_whose_support_was_ended_early_is_refused_and_the_newest_other_becomes_the_default() {
        let catalog = Catalog::built_in();
        let mut support = at("2026-09-20");
        support.ended.extend(["1.36".to_owned(), "4.20_openshift".to_owned()]);
        let ask = |wanted: &str| catalog.version(wanted, None, Provider::VpcGen2, &support);
        for wanted in ["1.36", "1.36.3_1525", "4.20_openshift"] {
            assert!(matches!(ask(wanted), Err(Error::VersionEnded { ended, .. }) if ended == "2026-09-20"), "{wanted}");
        }
        assert_eq!(ask("").unwrap().full, "1.35.7_1539");
        assert_eq!(catalog.version("", Some("openshift"), Provider::VpcGen2, &support).unwrap().full, "4.21.27_1527_openshift");
        let defaults = |offering| catalog.versions(offering, &support).iter().filter(|v| v.default).count();
        assert_eq!((defaults(Offering::Kubernetes), defaults(Offering::OpenShift)), (1, 1), "one of each is the default");
    }

    #[test]
    fn lists_have_what_can_be_asked_for_newest_first() {
        let catalog = Catalog::built_in();
        let minors = |date| catalog.versions(Offering::Kubernetes, &at(date)).iter().map(|v| v.minor).collect::<Vec<_>>();
        assert_eq!(minors("2026-09-20"), [36, 35, 34, 33]);
        assert_eq!(minors("2026-11-02"), [36, 35]);
        assert_eq!(minors("2040-01-01"), [36]);
        let newest = catalog.versions(Offering::OpenShift, &at("2026-09-20"))[0];
        assert_eq!((newest.major, newest.minor, newest.patch, newest.default), (4, 21, 27, true));
    }

    #[test]
    fn an_update_leads_up_by_at_most_one_minor_version() {
        let (catalog, support) = (Catalog::built_in(), at("2026-09-20"));
        let cases = [
            ("1.35.7_1539", "1.36", Ok("1.36.3_1525")),
            ("1.35.7_1539", "", Ok("1.36.3_1525")),
            ("1.36.2_1520", "1.36", Ok("1.36.3_1525")),
            ("4.20.32_1558_openshift", "4.21_openshift", Ok("4.21.27_1527_openshift")),
            ("4.20.32_1558_openshift", "4.21", Ok("4.21.27_1527_openshift")),
            ("4.20.32_1558_openshift", "", Ok("4.21.27_1527_openshift")),
            ("1.36.3_1525", "1.36", Err("already up to date")),
            ("1.36.3_1525", "", Err("already up to date")),
            ("1.36.3_1525", "1.35", Err("set back to an older one, 1.35.7_1539")),
            ("4.21.27_1527_openshift", "4.21.15_openshift", Err("set back to an older one")),
            ("1.34.10_1561", "1.36", Err("Update it to 1.35 first.")),
            ("4.18.51_1600_openshift", "", Err("Update it to 4.19_openshift first.")),
            ("1.36.3_1525", "4.21_openshift", Err("A cluster that runs Kubernetes cannot be updated to OpenShift.")),
            ("4.20.32_1558_openshift", "1.36", Err("A cluster that runs OpenShift cannot be updated to Kubernetes.")),
            ("1.35.7_1539", "1.99", Err("The version '1.99' could not be found.")),
        ];
        for (from, wanted, expected) in cases {
            let found =
                catalog.update_path(from, wanted, Provider::VpcGen2, &support).map(|v| v.full).map_err(|e| e.to_string());
            match expected {
                Ok(full) => assert_eq!(found.as_deref(), Ok(full), "{from} to {wanted}"),
                Err(text) => assert!(found.as_ref().is_err_and(|e| e.contains(text)), "{from} to {wanted}: {found:?}"),
            }
        }
        let ended = catalog.update_path("1.33.13_1580", "1.34", Provider::Classic, &at("2026-12-01"));
        assert!(matches!(ended, Err(Error::VersionEnded { .. })));
    }

    #[test]
    fn users_are_told_before_and_after_support_ends() {
        let catalog = Catalog::built_in();
        let texts = |support: &Support| catalog.notices(support).into_iter().map(|n| n.text).collect::<Vec<_>>();
        assert!(texts(&at("2026-07-01")).iter().all(|text| !text.contains("Kubernetes 1.33")), "not too early");
        let told = texts(&at("2026-09-20"));
        assert!(told.iter().any(|text| text.contains("Kubernetes 1.33 ends on 2026-10-14")), "{told:?}");
        assert!(told.iter().any(|text| text.contains("OpenShift 4.16 ended on 2026-08-26")), "{told:?}");
        let mut early = at("2026-07-01");
        early.ended.insert("1.36".to_owned());
        assert!(texts(&early).iter().any(|text| text.contains("Kubernetes 1.36 ended on 2026-07-01")));
        let ids: BTreeSet<_> = catalog.notices(&at("2040-01-01")).into_iter().map(|n| n.id).collect();
        assert!(ids.contains("end-of-support-1.33") && !ids.contains("end-of-support-1.36"), "{ids:?}");
    }
}
