//! Managed add-ons of clusters: enabling, updating, disabling, and their health.

use std::collections::BTreeMap;

use boatyard_core::clock::from_ms;
use boatyard_iam::Caller;
use boatyard_runtime::Timings;
use jiff::Timestamp;
use serde::Deserialize;

use crate::catalog::{Addons, Offer, OfferedVersion, Offering, config_map, numbers};
use crate::change::ClusterTarget;
use crate::{Addon, Cluster, Error, Fleet, Provider, Result};

const ON_EVERY_VPC_CLUSTER: &str = "vpc-block-csi-driver";
const MORE: &str = "For more info: http://ibm.biz/addon-state";

/// Why an add-on was not changed.
#[derive(Debug, thiserror::Error)]
pub enum AddonError {
    #[error("The add-on '{name}' could not be found.")]
    Unknown { name: String, offered: Vec<String> },
    #[error("The add-on '{name}' does not run on clusters of the provider '{provider}'.")]
    Provider { name: String, provider: Provider },
    #[error("The add-on '{name}' has no version '{version}' for clusters of version {cluster}.")]
    Version { name: String, version: String, cluster: String, offered: Vec<String> },
    #[error("The add-on '{name}' has no version for clusters of version {cluster}.")]
    Unsupported { name: String, cluster: String, offered: Vec<String> },
    #[error("The add-on '{0}' is not enabled for this cluster.")]
    NotEnabled(String),
    #[error("The add-on '{0}' is already enabled for this cluster.")]
    Enabled(String),
    #[error("The add-on '{name}' already runs version {version}.")]
    Current { name: String, version: String },
    #[error("The add-on '{name}' runs version {runs} and cannot go back to {version}.")]
    Older { name: String, runs: String, version: String },
    #[error("The options of the add-on '{name}' are not valid. {why}")]
    Options { name: String, why: String },
}

/// What is to be done with add-ons.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddonAction {
    Enable,
    Update,
    Disable,
}

/// An add-on that a request names. Empty text means absent.
#[derive(Clone, Debug, Default)]
pub struct AddonRequest {
    pub name: String,
    /// The newest that supports the cluster's version if absent.
    pub version: Option<String>,
    /// YAML with a map `data`, or that map alone.
    pub options: Option<String>,
}

/// An enabled add-on as clients see it.
#[derive(Clone, Debug)]
pub struct AddonView {
    pub name: String,
    pub version: String,
    /// The newest version for this cluster.
    pub target_version: String,
    pub upgrades: Vec<String>,
    /// `pending`, `updating`, `normal` or `critical`.
    pub health_state: &'static str,
    pub health_status: String,
    pub kubernetes_range: Option<String>,
    pub openshift_range: Option<String>,
    pub least_kubernetes: Option<String>,
    pub least_openshift: Option<String>,
    /// YAML with a map `data`; `None` if the add-on has no options.
    pub options: Option<String>,
    pub template: Option<String>,
}

/// Add-ons that a cluster has from its creation; `version` is the cluster's, in full.
pub(crate) fn default_addons(addons: &Addons, provider: Provider, version: &str, now_ms: i64) -> Vec<Addon> {
    let driver = addons.find(ON_EVERY_VPC_CLUSTER).filter(|_| provider == Provider::VpcGen2);
    let newest = driver.and_then(|offer| offer.versions_for(version).next());
    let addon = |newest: &OfferedVersion| Addon {
        name: ON_EVERY_VPC_CLUSTER.to_owned(),
        version: newest.version.clone(),
        since: now_ms,
        ..Addon::default()
    };
    newest.map(addon).into_iter().collect()
}

impl Fleet {
    /// The add-ons of a cluster of the caller's account, by name.
    ///
    /// # Errors
    /// [`Error::ClusterNotFound`].
    pub async fn addons(&self, caller: &Caller, cluster: &str, group: Option<&str>) -> Result<Vec<AddonView>> {
        let cluster = self.cluster(caller, cluster, group).await?;
        let (now, timings) = (self.clock.now(), self.runtime.timings());
        let mut views: Vec<_> =
            cluster.spec.addons.iter().map(|addon| view(self.catalog.addons(), addon, &cluster, &timings, now)).collect();
        views.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(views)
    }

    /// Enables, updates or disables add-ons: all that are named or, when one is refused, none.
    ///
    /// # Errors
    /// [`AddonError`], [`Error::ClusterNotReady`] before the cluster's master is there, [`Error::ClusterNotFound`].
    pub async fn addons_change(
        &self,
        caller: &Caller,
        cluster: &str,
        group: Option<&str>,
        action: AddonAction,
        requests: &[AddonRequest],
    ) -> Result<()> {
        if requests.is_empty() {
            // As Terraform asks when all add-ons of its configuration are there.
            return self.lookup(ClusterTarget { caller, cluster, group }).await.map(|_| ());
        }
        let addons = self.catalog.addons();
        let change = |cluster: &mut Cluster, now: Timestamp| {
            cluster.ready()?;
            requests.iter().try_for_each(|request| match action {
                AddonAction::Enable => enable(addons, cluster, request, now),
                AddonAction::Update => update(addons, cluster, request, now),
                AddonAction::Disable => disable(addons, cluster, request),
            })
        };
        self.cluster_change(caller, cluster, group, change).await
    }
}

fn enable(addons: &Addons, cluster: &mut Cluster, request: &AddonRequest, now: Timestamp) -> Result<()> {
    if cluster.spec.addons.iter().any(|addon| addon.name == request.name) {
        return Err(AddonError::Enabled(request.name.clone()).into());
    }
    let version = version(addons, offer(addons, cluster, &request.name)?, cluster, request.version.as_deref())?;
    let addon = Addon {
        name: request.name.clone(),
        version: version.version.clone(),
        options: merged(addons, &request.name, BTreeMap::new(), given_options(addons, request)?),
        since: now.as_millisecond(),
        updated: false,
    };
    cluster.spec.addons.push(addon);
    Ok(())
}

fn update(addons: &Addons, cluster: &mut Cluster, request: &AddonRequest, now: Timestamp) -> Result<()> {
    let name = request.name.clone();
    let version = version(addons, offer(addons, cluster, &name)?, cluster, request.version.as_deref())?.version.clone();
    let options = given_options(addons, request)?;
    let Some(addon) = cluster.spec.addons.iter_mut().find(|addon| addon.name == name) else {
        return Err(AddonError::NotEnabled(name).into());
    };
    match numbers(&version).cmp(&numbers(&addon.version)) {
        std::cmp::Ordering::Less => return Err(AddonError::Older { name, runs: addon.version.clone(), version }.into()),
        std::cmp::Ordering::Equal if options.is_none() => return Err(AddonError::Current { name, version }.into()),
        _ => {}
    }
    addon.version = version;
    addon.options = merged(addons, &name, std::mem::take(&mut addon.options), options);
    addon.since = now.as_millisecond();
    addon.updated = true;
    Ok(())
}

fn disable(addons: &Addons, cluster: &mut Cluster, request: &AddonRequest) -> Result<()> {
    let before = cluster.spec.addons.len();
    cluster.spec.addons.retain(|addon| addon.name != request.name);
    if cluster.spec.addons.len() == before {
        // A name that does not exist is told apart from one that is only not enabled.
        offer(addons, cluster, &request.name)?;
        return Err(AddonError::NotEnabled(request.name.clone()).into());
    }
    Ok(())
}

fn offered(addons: &Addons, cluster: &Cluster) -> Vec<String> {
    let names = addons.names_for(&cluster.spec.version).into_iter();
    names.filter(|name| runs_on(name, cluster.provider)).map(str::to_owned).collect()
}

/// The drivers of VPC storage have nothing to drive elsewhere.
fn runs_on(name: &str, provider: Provider) -> bool {
    provider == Provider::VpcGen2 || !name.starts_with("vpc-")
}

fn offer<'a>(addons: &'a Addons, cluster: &Cluster, name: &str) -> Result<&'a Offer> {
    let unknown = || AddonError::Unknown { name: name.to_owned(), offered: offered(addons, cluster) };
    let offer = addons.find(name).ok_or_else(unknown)?;
    if !runs_on(name, cluster.provider) {
        return Err(AddonError::Provider { name: name.to_owned(), provider: cluster.provider }.into());
    }
    Ok(offer)
}

/// The version that a request means, if it runs on the cluster.
fn version<'a>(addons: &'a Addons, offer: &'a Offer, cluster: &Cluster, wanted: Option<&str>) -> Result<&'a OfferedVersion> {
    let fitting: Vec<_> = offer.versions.iter().filter(|v| v.supports(&cluster.spec.version)).collect();
    let (name, of) = (offer.name.clone(), cluster.spec.version.clone());
    let Some(newest) = fitting.first() else {
        return Err(AddonError::Unsupported { name, cluster: of, offered: offered(addons, cluster) }.into());
    };
    let Some(wanted) = wanted.filter(|wanted| !wanted.is_empty()) else { return Ok(newest) };
    fitting.iter().find(|v| v.version == wanted).copied().ok_or_else(|| {
        let offered = fitting.iter().map(|v| v.version.clone()).collect();
        AddonError::Version { name, version: wanted.to_owned(), cluster: of, offered }.into()
    })
}

/// Options with those that a request gives; what is as by default is not kept.
fn merged(
    addons: &Addons,
    name: &str,
    mut options: BTreeMap<String, String>,
    given: Option<BTreeMap<String, String>>,
) -> BTreeMap<String, String> {
    options.extend(given.unwrap_or_default());
    options.retain(|option, value| addons.options(name).and_then(|defaults| defaults.get(option)) != Some(value));
    options
}

/// The options of a request; `None` if it gives none.
fn given_options(addons: &Addons, request: &AddonRequest) -> Result<Option<BTreeMap<String, String>>> {
    /// A `ConfigMap`, or its data alone.
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Document {
        ConfigMap { data: BTreeMap<String, Scalar> },
        Data(BTreeMap<String, Scalar>),
    }
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Scalar {
        Text(String),
        Flag(bool),
        Whole(i64),
        Real(f64),
        Nothing(()),
    }

    let Some(text) = request.options.as_deref().filter(|text| !text.trim().is_empty()) else { return Ok(None) };
    let refused = |why: String| AddonError::Options { name: request.name.clone(), why };
    let defaults = addons.options(&request.name).ok_or_else(|| refused("It has none.".to_owned()))?;
    let document: Document = yaml_serde::from_str(text)
        .map_err(|_| refused("Give them as YAML with a map 'data' of names and values.".to_owned()))?;
    let (Document::ConfigMap { data } | Document::Data(data)) = document;
    let mut given = BTreeMap::new();
    for (option, value) in data {
        let value = match value {
            Scalar::Text(text) => text,
            Scalar::Flag(flag) => flag.to_string(),
            Scalar::Whole(number) => number.to_string(),
            Scalar::Real(number) => number.to_string(),
            Scalar::Nothing(()) => String::new(),
        };
        if !defaults.contains_key(&option) {
            let known: Vec<_> = defaults.keys().map(String::as_str).collect();
            return Err(refused(format!("There is no option '{option}'. The options are {}.", known.join(", "))).into());
        }
        given.insert(option, value);
    }
    Ok(Some(given))
}

fn view(addons: &Addons, addon: &Addon, cluster: &Cluster, timings: &Timings, now: Timestamp) -> AddonView {
    let offer = addons.find(&addon.name);
    let this = offer.and_then(|offer| offer.versions.iter().find(|v| v.version == addon.version));
    let fitting: Vec<_> = offer.iter().flat_map(|offer| offer.versions_for(&cluster.spec.version)).collect();
    let runs = numbers(&addon.version);
    let (health_state, health_status) = health(addon, this, cluster, timings, now);
    let options = addons.options(&addon.name).map(|defaults| {
        let mut options = defaults.clone();
        options.extend(addon.options.clone());
        config_map(&addon.name, &options)
    });
    let kubernetes_range = this.and_then(|v| v.supported_kubernetes.clone());
    let openshift_range = this.and_then(|v| v.supported_openshift.clone());
    AddonView {
        name: addon.name.clone(),
        version: addon.version.clone(),
        target_version: fitting.first().map_or_else(|| addon.version.clone(), |v| v.version.clone()),
        upgrades: fitting.iter().map(|v| &v.version).filter(|v| numbers(v) > runs).cloned().collect(),
        health_state,
        health_status,
        least_kubernetes: this.and_then(|v| v.least(Offering::Kubernetes)),
        least_openshift: this.and_then(|v| v.least(Offering::OpenShift)),
        kubernetes_range,
        openshift_range,
        options,
        template: addons.options_template(&addon.name),
    }
}

/// State and status text, which follow from the clock and the cluster: an add-on comes up once there is a worker to run it.
fn health(
    addon: &Addon,
    version: Option<&OfferedVersion>,
    cluster: &Cluster,
    timings: &Timings,
    now: Timestamp,
) -> (&'static str, String) {
    let working = if addon.updated { ("updating", "Updating") } else { ("pending", "Enabling") };
    let working = (working.0, working.1.to_owned());
    let Some(ready_at) = cluster.status.master_ready_at else { return working };
    let done = from_ms(addon.since.max(ready_at)).saturating_add(timings.addon).unwrap_or(Timestamp::MAX);
    if now < done || cluster.state == "pending" {
        return working;
    }
    if cluster.state == "critical" {
        let text = format!("Cluster resources low, not enough workers in Ready state. {MORE} (H1510)");
        return ("critical", text);
    }
    if version.is_none_or(|version| !version.supports(&cluster.spec.version)) {
        return ("critical", format!("Addon Unsupported. {MORE} (H1509)"));
    }
    ("normal", format!("Addon Ready. {MORE} (H1500)"))
}

impl Cluster {
    /// That there is a master to work with, and will be.
    pub(crate) fn ready(&self) -> Result<()> {
        match self.status.master_ready_at {
            Some(_) if self.status.removal_since.is_none() => Ok(()),
            _ => Err(Error::ClusterNotReady { name: self.name.clone(), state: self.state.clone() }),
        }
    }
}

#[cfg(test)]
mod tests {
    use boatyard_runtime::Pace;

    use std::sync::LazyLock;

    use super::*;
    use crate::Catalog;

    static CATALOG: LazyLock<Catalog> = LazyLock::new(Catalog::built_in);

    fn addons() -> &'static Addons {
        CATALOG.addons()
    }
    use crate::{ClusterSpec, ClusterStatus};

    fn cluster(provider: Provider, version: &str) -> Cluster {
        Cluster {
            id: "c".to_owned(),
            name: "c".to_owned(),
            account_id: "a".to_owned(),
            provider,
            region: "us-south".to_owned(),
            resource_group_id: String::new(),
            resource_group_name: String::new(),
            state: "normal".to_owned(),
            created_at: from_ms(0),
            modified_at: from_ms(0),
            worker_count: 1,
            spec: ClusterSpec {
                version: version.to_owned(),
                addons: default_addons(addons(), provider, version, 0),
                ..ClusterSpec::default()
            },
            status: ClusterStatus { master_ready_at: Some(1_000), ..ClusterStatus::default() },
            pools: Vec::new(),
        }
    }

    fn request(name: &str, version: &str, options: &str) -> AddonRequest {
        AddonRequest { name: name.to_owned(), version: Some(version.to_owned()), options: Some(options.to_owned()) }
    }

    const KUBERNETES: &str = "1.35.2_1520";
    const OPENSHIFT: &str = "4.21.27_1527_openshift";

    #[test]
    fn vpc_clusters_begin_with_the_block_storage_driver_and_classic_ones_with_nothing() {
        for version in [KUBERNETES, OPENSHIFT] {
            let defaults = default_addons(addons(), Provider::VpcGen2, version, 5);
            let names: Vec<_> = defaults.iter().map(|a| (a.name.as_str(), a.version.as_str(), a.since)).collect();
            assert_eq!(names, [("vpc-block-csi-driver", "5.2", 5)]);
            assert!(default_addons(addons(), Provider::Classic, version, 5).is_empty());
        }
    }

    #[test]
    fn what_cannot_be_enabled_says_why() {
        type Case = (Provider, &'static str, AddonRequest, fn(&AddonError) -> bool);
        let cases: [Case; 8] = [
            (Provider::VpcGen2, KUBERNETES, request("none-such", "", ""), |e| matches!(e, AddonError::Unknown { .. })),
            (Provider::VpcGen2, KUBERNETES, request("istio", "9.9", ""), |e| matches!(e, AddonError::Version { .. })),
            (Provider::VpcGen2, KUBERNETES, request("istio", "1.26", ""), |e| matches!(e, AddonError::Version { .. })),
            (Provider::VpcGen2, OPENSHIFT, request("istio", "", ""), |e| matches!(e, AddonError::Unsupported { .. })),
            (Provider::VpcGen2, KUBERNETES, request("debug-tool", "", ""), |e| matches!(e, AddonError::Unsupported { .. })),
            (Provider::VpcGen2, KUBERNETES, request("vpc-block-csi-driver", "", ""), |e| matches!(e, AddonError::Enabled(_))),
            (Provider::Classic, KUBERNETES, request("vpc-block-csi-driver", "", ""), |e| {
                matches!(e, AddonError::Provider { .. })
            }),
            (Provider::VpcGen2, KUBERNETES, request("istio", "", "data: {a: b}"), |e| matches!(e, AddonError::Options { .. })),
        ];
        for (provider, version, request, expected) in cases {
            let mut cluster = cluster(provider, version);
            let before = cluster.spec.addons.len();
            match enable(addons(), &mut cluster, &request, from_ms(0)) {
                Err(Error::Addon(error)) => assert!(expected(&error), "{request:?}: {error:?}"),
                other => panic!("{request:?}: {other:?}"),
            }
            assert_eq!(cluster.spec.addons.len(), before);
        }
    }

    #[test]
    fn an_addon_is_updated_forward_only() {
        let mut cluster = cluster(Provider::Classic, "1.34.1_1500");
        assert!(matches!(
            update(addons(), &mut cluster, &request("istio", "1.29", ""), from_ms(1)),
            Err(Error::Addon(AddonError::NotEnabled(_)))
        ));
        enable(addons(), &mut cluster, &request("istio", "1.28", ""), from_ms(1)).unwrap();
        assert_eq!(
            view(addons(), &cluster.spec.addons[0], &cluster, &Timings::default(), from_ms(2)).upgrades,
            ["1.30", "1.29"]
        );
        let refused = update(addons(), &mut cluster, &request("istio", "1.28", ""), from_ms(2));
        assert!(matches!(refused, Err(Error::Addon(AddonError::Current { .. }))), "{refused:?}");
        update(addons(), &mut cluster, &request("istio", "1.29", ""), from_ms(2)).unwrap();
        let refused = update(addons(), &mut cluster, &request("istio", "1.28", ""), from_ms(3));
        assert!(matches!(refused, Err(Error::Addon(AddonError::Older { .. }))), "{refused:?}");
        update(addons(), &mut cluster, &request("istio", "", ""), from_ms(4)).unwrap();
        assert_eq!((cluster.spec.addons[0].version.as_str(), cluster.spec.addons[0].since), ("1.30", 4));
        disable(addons(), &mut cluster, &request("istio", "", "")).unwrap();
        let refused = disable(addons(), &mut cluster, &request("istio", "", ""));
        assert!(matches!(refused, Err(Error::Addon(AddonError::NotEnabled(_)))), "{refused:?}");
        let refused = disable(addons(), &mut cluster, &request("none-such", "", ""));
        assert!(matches!(refused, Err(Error::Addon(AddonError::Unknown { .. }))), "{refused:?}");
    }

    #[test]
    fn options_are_taken_from_a_config_map_or_its_data_and_shown_with_the_defaults() {
        let mut template = addons().options_template("openshift-data-foundation").unwrap();
        template = template.replace("numOfOsd: \"1\"", "numOfOsd: 3").replace("odfDeploy: \"true\"", "odfDeploy: false");
        for options in [template.as_str(), "{\"numOfOsd\": \"3\", \"odfDeploy\": false, \"workerNodes\": \"all\"}"] {
            let mut cluster = cluster(Provider::VpcGen2, OPENSHIFT);
            enable(addons(), &mut cluster, &request("openshift-data-foundation", "", options), from_ms(0)).unwrap();
            let addon = &cluster.spec.addons[1];
            let kept: Vec<_> = addon.options.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
            assert_eq!(kept, [("numOfOsd", "3"), ("odfDeploy", "false")], "only what differs is kept");
            let shown = view(addons(), addon, &cluster, &Timings::default(), from_ms(0)).options.unwrap();
            assert!(shown.contains("numOfOsd: \"3\"") && shown.contains("billingType: \"advanced\""), "{shown}");
        }
        for options in ["none", "data: [1]", "[]", "data: {numOfOsd: [1]}", "data: {noSuch: 1}"] {
            let refused = given_options(addons(), &request("openshift-data-foundation", "", options));
            assert!(matches!(refused, Err(Error::Addon(AddonError::Options { .. }))), "{options}: {refused:?}");
        }
    }

    #[test]
    fn health_follows_from_the_clock_and_the_cluster() {
        let fast = Timings::read(None, Pace::Fast).unwrap();
        let addon =
            |updated| Addon { name: "istio".to_owned(), version: "1.30".to_owned(), since: 5_000, updated, ..Addon::default() };
        let state = |addon: &Addon, cluster: &Cluster, timings: &Timings, at| {
            view(addons(), addon, cluster, timings, from_ms(at)).health_state
        };
        let mut cluster = cluster(Provider::Classic, KUBERNETES);
        assert_eq!(state(&addon(false), &cluster, &fast, 5_999), "pending");
        assert_eq!(state(&addon(true), &cluster, &fast, 5_999), "updating");
        assert_eq!(state(&addon(true), &cluster, &fast, 6_000), "normal");
        assert_eq!(state(&addon(false), &cluster, &Timings::default(), 5_000), "normal");
        cluster.state = "critical".to_owned();
        assert_eq!(state(&addon(false), &cluster, &fast, 6_000), "critical");
        cluster.state = "pending".to_owned();
        assert_eq!(state(&addon(false), &cluster, &fast, 6_000), "pending");
        cluster.state = "normal".to_owned();
        cluster.spec.version = "1.40.0_1600".to_owned();
        let view = view(addons(), &addon(false), &cluster, &fast, from_ms(6_000));
        assert_eq!(view.health_state, "critical");
        assert!(view.health_status.contains("H1509"), "{}", view.health_status);
        cluster.status.master_ready_at = None;
        assert_eq!(state(&addon(false), &cluster, &fast, 9_000), "pending");
    }
}
