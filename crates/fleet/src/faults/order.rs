//! Orders for faults, and what is wrong with them.

use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;

use super::presets::{self, Preset};
use super::{Effect, Fault, HttpError, Target};

/// The longest that a request can be held up, in milliseconds.
const LONGEST_LATENCY_MS: i64 = 300_000;
/// The furthest that a fault can begin or end from now, in seconds: ten years.
const FURTHEST_SECONDS: i64 = 10 * 365 * 24 * 3600;
/// The longest text in an order, in bytes.
const LONGEST_TEXT: usize = 2000;

/// Operations by service and ID.
pub type Operations<'a> = [(&'a str, &'a str)];

/// A fault as it is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultOrder {
    #[serde(default)]
    pub target: Target,
    pub effect: Effect,
    /// How often it strikes at most; without limit if not given.
    #[serde(default)]
    pub times: Option<i64>,
    /// Chance in percent; 100 if not given.
    #[serde(default)]
    pub probability: Option<i64>,
    /// When it begins, in seconds from now.
    #[serde(default)]
    pub delay_seconds: i64,
    /// For how long it lasts once it began; without end if not given.
    #[serde(default)]
    pub for_seconds: Option<i64>,
}

/// Why a fault or a scenario was not added or removed.
#[derive(Debug, thiserror::Error)]
pub enum FaultError {
    #[error("There is no operation '{given}'.{}", nearest_text(.nearest))]
    UnknownOperation { given: String, nearest: Vec<String> },
    #[error(
        "There is no service error '{given}' to take the status from. Give a 'status' with it, or one of these codes: {known}."
    )]
    UnknownCode { given: String, known: String },
    #[error("There is no scenario '{given}'. There are: {known}.")]
    UnknownScenario { given: String, known: String },
    /// The text names the member, and says what it may be.
    #[error("{0}")]
    Invalid(String),
    #[error("There is no fault '{0}'. To see those there are, run 'boatyard fault ls'.")]
    NotFound(String),
    #[error(transparent)]
    Fleet(#[from] crate::Error),
}

impl From<boatyard_store::Error> for FaultError {
    fn from(error: boatyard_store::Error) -> Self {
        Self::Fleet(error.into())
    }
}

fn nearest_text(nearest: &[String]) -> String {
    match nearest {
        [] => " The API reference lists them: /global/swagger-global-api/".to_owned(),
        names => format!(" Did you mean {}?", names.join(" or ")),
    }
}

fn invalid(text: impl Into<String>) -> FaultError {
    FaultError::Invalid(text.into())
}

impl FaultOrder {
    /// The order with its operations in full and its error answer filled in.
    pub(super) fn check(mut self, operations: &Operations<'_>) -> Result<Self, FaultError> {
        self.check_limits()?;
        self.check_target()?;
        self.target.operations = resolve(&self.target.operations, operations)?;
        self.effect = match self.effect {
            Effect::HttpError(error) => Effect::HttpError(complete(error)?),
            effect => check_effect(effect)?,
        };
        Ok(self)
    }

    fn check_limits(&self) -> Result<(), FaultError> {
        if self.times.is_some_and(|times| times < 1) {
            return Err(invalid("'times' must be at least 1. Leave it out for a fault without limit."));
        }
        if !(1..=100).contains(&self.probability.unwrap_or(100)) {
            return Err(invalid("'probability' is in percent and must be between 1 and 100."));
        }
        if !(0..=FURTHEST_SECONDS).contains(&self.delay_seconds) {
            return Err(invalid(format!("'delay_seconds' must be between 0 and {FURTHEST_SECONDS}.")));
        }
        if self.for_seconds.is_some_and(|seconds| !(1..=FURTHEST_SECONDS).contains(&seconds)) {
            return Err(invalid(format!(
                "'for_seconds' must be between 1 and {FURTHEST_SECONDS}. Leave it out for a fault without end."
            )));
        }
        Ok(())
    }

    /// What the effect has no use for would narrow nothing, and whoever gave it would wait for it in vain.
    fn check_target(&self) -> Result<(), FaultError> {
        let Target { operations, cluster, pool, worker } = &self.target;
        let kind = self.effect.kind();
        let useless = |given: bool, what: &str| match given {
            true => Err(invalid(format!("The effect '{kind}' takes no {what}. Leave it out."))),
            false => Ok(()),
        };
        let of_tokens = matches!(self.effect, Effect::SessionEnded {} | Effect::RefreshTokenExpired {});
        let of_version = matches!(self.effect, Effect::VersionUnsupported { .. });
        let of_master = matches!(self.effect, Effect::MasterDeployFailed { .. });
        let of_kubeconfig = matches!(self.effect, Effect::ExpiredKubeconfig {});
        useless(!operations.is_empty() && (self.effect.is_of_lifecycle() || of_tokens || of_kubeconfig), "operation")?;
        useless(cluster.is_some() && (of_version || of_tokens), "cluster")?;
        useless(pool.is_some() && (of_version || of_tokens || of_master || of_kubeconfig), "pool")?;
        useless(worker.is_some() && (of_version || of_tokens || of_master || of_kubeconfig), "worker")?;
        useless(of_version && (self.times.is_some() || self.probability.is_some()), "'times' and no 'probability'")?;
        let named = [("cluster", cluster), ("pool", pool), ("worker", worker)];
        match named.iter().find(|(_, name)| name.as_deref().is_some_and(|n| n.is_empty() || n.len() > LONGEST_TEXT)) {
            Some((what, _)) => Err(invalid(format!("'{what}' must be an ID or a name. Leave it out to strike any {what}."))),
            None => Ok(()),
        }
    }

    pub(super) fn into_fault(self, id: String, scenario: &str, now: Timestamp) -> Fault {
        let starts_at = now + SignedDuration::from_secs(self.delay_seconds);
        Fault {
            id,
            scenario: scenario.to_owned(),
            target: self.target,
            effect: self.effect,
            times: self.times,
            hits: 0,
            last_hit_at: None,
            probability: self.probability.unwrap_or(100),
            starts_at,
            expires_at: self.for_seconds.map(|seconds| starts_at + SignedDuration::from_secs(seconds)),
            created_at: now,
        }
    }
}

fn check_effect(effect: Effect) -> Result<Effect, FaultError> {
    match &effect {
        Effect::Latency { ms } if !(1..=LONGEST_LATENCY_MS).contains(ms) => {
            Err(invalid(format!("The latency must be between 1 ms and {} s.", LONGEST_LATENCY_MS / 1000)))
        }
        Effect::VersionUnsupported { version } if version.trim().is_empty() || version.len() > LONGEST_TEXT => {
            Err(invalid("'version' must be a version such as 1.34 or 4.19_openshift."))
        }
        Effect::WorkerProvisionFailed { message }
        | Effect::WorkerCritical { message }
        | Effect::MasterDeployFailed { message }
            if message.len() > LONGEST_TEXT =>
        {
            Err(invalid(format!("'message' must not be longer than {LONGEST_TEXT} bytes.")))
        }
        _ => Ok(effect),
    }
}

/// An error answer with everything that its order left out.
fn complete(error: HttpError) -> Result<HttpError, FaultError> {
    let texts = [&error.code, &error.description, &error.kind, &error.recovery];
    if texts.iter().any(|text| text.len() > LONGEST_TEXT) {
        return Err(invalid(format!("No text of an error may be longer than {LONGEST_TEXT} bytes.")));
    }
    let preset = match error.code.as_str() {
        "" => presets::of_status(error.status),
        code => presets::of_code(code),
    };
    let status = if error.status == 0 { preset.map_or(0, |preset| preset.status) } else { error.status };
    if status == 0 {
        return Err(match error.code.as_str() {
            "" => invalid("An error needs a 'status', a 'code' or both."),
            code => FaultError::UnknownCode { given: code.to_owned(), known: presets::codes().join(", ") },
        });
    }
    if !(400..=599).contains(&status) {
        return Err(invalid(format!("'status' must be between 400 and 599, not {status}.")));
    }
    let or = |given: String, preset: &str| if given.is_empty() { preset.to_owned() } else { given };
    let Preset { code, description, kind, recovery, .. } = preset.copied().unwrap_or(presets::OTHER);
    let code = match (code, error.code.as_str()) {
        // A text needs a code to stand beside: an answer without one is a page.
        ("", "") if !error.description.is_empty() => presets::OTHER.code.to_owned(),
        (of_preset, given) if given.is_empty() || given.eq_ignore_ascii_case(of_preset) => of_preset.to_owned(),
        (_, given) => given.to_owned(),
    };
    Ok(HttpError {
        status,
        code,
        description: or(error.description, description),
        kind: or(error.kind, kind),
        recovery: or(error.recovery, recovery),
        retry_after: error.retry_after.or((status == 429).then_some(presets::RETRY_AFTER_SECONDS)),
        when: error.when,
    })
}

/// The operations that are meant, each as `service/operationId` or `service/*`.
fn resolve(given: &[String], operations: &Operations<'_>) -> Result<Vec<String>, FaultError> {
    let mut resolved = Vec::new();
    for word in given {
        let (service, id) = word.split_once('/').map_or((None, word.as_str()), |(service, id)| (Some(service), id));
        let of_service = |s: &str| service.is_none_or(|service| service.eq_ignore_ascii_case(s));
        if let Some((service, _)) = operations.iter().find(|(s, _)| id == "*" && service.is_some() && of_service(s)) {
            resolved.push(format!("{service}/*"));
            continue;
        }
        let meant = operations.iter().filter(|(s, o)| of_service(s) && o.eq_ignore_ascii_case(id));
        let meant: Vec<_> = meant.map(|(service, id)| format!("{service}/{id}")).collect();
        if meant.is_empty() {
            return Err(FaultError::UnknownOperation { given: word.clone(), nearest: nearest(word, operations) });
        }
        resolved.extend(meant);
    }
    resolved.sort();
    resolved.dedup();
    Ok(resolved)
}

/// At most three operations with a name much like `word`.
fn nearest(word: &str, operations: &Operations<'_>) -> Vec<String> {
    let bare = word.rsplit('/').next().unwrap_or(word).to_lowercase();
    let mut scored: Vec<_> = operations
        .iter()
        .map(|(_, id)| (strsim::normalized_damerau_levenshtein(&bare, &id.to_lowercase()), *id))
        .filter(|(score, _)| *score > 0.5)
        .collect();
    scored.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(b.1)));
    scored.dedup_by(|a, b| a.1 == b.1);
    scored.into_iter().take(3).map(|(_, id)| id.to_owned()).collect()
}
