//! How long the stages of a virtual cluster take: a table that users can replace.

use std::collections::BTreeMap;

use jiff::SignedDuration;
use serde::{Deserialize, Deserializer};

use crate::Pace;

/// Durations of the stages, in seconds in the file. Each is how long the stage lasts before the next begins; one that is left out
/// takes no time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Timings {
    #[serde(deserialize_with = "seconds")]
    pub master_requested: SignedDuration,
    #[serde(deserialize_with = "seconds")]
    pub master_deploying: SignedDuration,
    #[serde(deserialize_with = "seconds")]
    pub master_updating: SignedDuration,
    #[serde(deserialize_with = "seconds")]
    pub master_refreshing: SignedDuration,
    #[serde(deserialize_with = "seconds")]
    pub worker_provision_pending: SignedDuration,
    #[serde(deserialize_with = "seconds")]
    pub worker_provisioning: SignedDuration,
    #[serde(deserialize_with = "seconds")]
    pub worker_provisioned: SignedDuration,
    #[serde(deserialize_with = "seconds")]
    pub worker_deploying: SignedDuration,
    #[serde(deserialize_with = "seconds")]
    pub worker_reload_pending: SignedDuration,
    #[serde(deserialize_with = "seconds")]
    pub worker_reloading: SignedDuration,
    #[serde(deserialize_with = "seconds")]
    pub worker_rebooting: SignedDuration,
    #[serde(deserialize_with = "seconds")]
    pub worker_deleting: SignedDuration,
    /// By how much each worker of a cluster is behind the one before it, up to ten workers.
    #[serde(deserialize_with = "seconds")]
    pub worker_stagger: SignedDuration,
    #[serde(deserialize_with = "seconds")]
    pub cluster_deleting: SignedDuration,
    /// Until an add-on that was enabled or updated is healthy.
    #[serde(deserialize_with = "seconds")]
    pub addon: SignedDuration,
    #[serde(deserialize_with = "seconds")]
    pub host_pending: SignedDuration,
    #[serde(deserialize_with = "seconds")]
    pub host_creating: SignedDuration,
    #[serde(deserialize_with = "seconds")]
    pub host_removing: SignedDuration,
    /// From when a pod has its node until it is ready.
    #[serde(deserialize_with = "seconds")]
    pub pod_starting: SignedDuration,
    /// From the request to end a pod until it is gone, unless its grace period is shorter.
    #[serde(deserialize_with = "seconds")]
    pub pod_stopping: SignedDuration,
    /// How long a container of a job works.
    #[serde(deserialize_with = "seconds")]
    pub job_running: SignedDuration,
    /// Until a load balancer has its address, or a claim its volume.
    #[serde(deserialize_with = "seconds")]
    pub provisioning: SignedDuration,
}

/// Why a table of timings cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("timings: {0}")]
pub struct TimingsError(String);

impl Timings {
    /// The table that is part of the program, for each pace.
    pub const BUILT_IN: &str = include_str!("../../../catalog/timings.json");

    /// What a table, in JSON, says for `pace`; the built-in one if none is given. Nothing takes time at pace instant, whatever a table says.
    ///
    /// # Errors
    /// If the table is not readable, or says nothing for `pace`.
    pub fn read(table: Option<&str>, pace: Pace) -> Result<Self, TimingsError> {
        if pace == Pace::Instant {
            return Ok(Self::default());
        }
        let mut paces: BTreeMap<String, Timings> =
            serde_json::from_str(table.unwrap_or(Self::BUILT_IN)).map_err(|e| TimingsError(e.to_string()))?;
        paces.remove(pace.as_str()).ok_or_else(|| TimingsError(format!("there is nothing for the pace '{}'", pace.as_str())))
    }
}

fn seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SignedDuration, D::Error> {
    let seconds = f64::deserialize(deserializer)?;
    // A year is longer than anybody waits, and far from where sums of instants end.
    if !(0.0..=31_536_000.0).contains(&seconds) {
        return Err(serde::de::Error::custom(format!("{seconds} is not a number of seconds between 0 and a year")));
    }
    Ok(SignedDuration::from_secs_f64(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_table_has_every_pace() {
        assert_eq!(Timings::read(None, Pace::Instant).unwrap(), Timings::default());
        assert_eq!(Timings::read(None, Pace::Fast).unwrap().master_deploying, SignedDuration::from_secs(1));
        assert!(Timings::read(None, Pace::Real).unwrap().worker_deploying > SignedDuration::from_mins(1));
    }

    #[test]
    fn a_bad_table_is_refused_with_what_is_wrong() {
        let refused = |table: &str| Timings::read(Some(table), Pace::Fast).unwrap_err().to_string();
        assert!(refused(r#"{"fast": {"master_deployng": 1}}"#).contains("master_deployng"));
        assert!(refused(r#"{"fast": {"master_deploying": -1}}"#).contains("-1"));
        assert!(refused(r#"{"real": {}}"#).contains("'fast'"));
        assert!(refused("{").contains("line 1"));
    }
}
