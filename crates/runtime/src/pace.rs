//! The speeds at which virtual clusters change.

use std::str::FromStr;

/// The speed at which virtual clusters change; how long each stage takes stands in `catalog/timings.json`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pace {
    /// A change is complete by the time it could be observed twice.
    Instant,
    /// A cluster takes a few seconds, so that each state can be seen.
    #[default]
    Fast,
    /// As long as on the real service: some twenty minutes.
    Real,
}

impl Pace {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Pace::Instant => "instant",
            Pace::Fast => "fast",
            Pace::Real => "real",
        }
    }
}

impl FromStr for Pace {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        [Pace::Instant, Pace::Fast, Pace::Real]
            .into_iter()
            .find(|pace| pace.as_str() == text)
            .ok_or_else(|| format!("'{text}' is not a pace; choose one of instant, fast, real"))
    }
}
