//! How long the stages of a virtual cluster take.

use std::str::FromStr;

use jiff::SignedDuration;

/// The speed at which virtual clusters change.
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

impl FromStr for Pace {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "instant" => Ok(Pace::Instant),
            "fast" => Ok(Pace::Fast),
            "real" => Ok(Pace::Real),
            _ => Err(format!("'{text}' is not a pace; choose one of instant, fast, real")),
        }
    }
}

/// Durations of the stages. Each is how long the stage lasts before the next begins.
#[derive(Clone, Copy, Debug)]
pub struct Timings {
    pub master_requested: SignedDuration,
    pub master_deploying: SignedDuration,
    pub worker_provision_pending: SignedDuration,
    pub worker_provisioning: SignedDuration,
    pub worker_provisioned: SignedDuration,
    pub worker_deploying: SignedDuration,
    /// By how much each worker of a cluster is behind the one before it, up to ten workers.
    pub worker_stagger: SignedDuration,
    pub removing: SignedDuration,
}

impl Pace {
    /// The table behind a pace. The figures of `Real` are typical of the hosted service.
    #[must_use]
    pub fn timings(self) -> Timings {
        let ms = SignedDuration::from_millis;
        let s = SignedDuration::from_secs;
        match self {
            Pace::Instant => Timings {
                master_requested: ms(0),
                master_deploying: ms(0),
                worker_provision_pending: ms(0),
                worker_provisioning: ms(0),
                worker_provisioned: ms(0),
                worker_deploying: ms(0),
                worker_stagger: ms(0),
                removing: ms(0),
            },
            Pace::Fast => Timings {
                master_requested: ms(500),
                master_deploying: ms(1000),
                worker_provision_pending: ms(300),
                worker_provisioning: ms(500),
                worker_provisioned: ms(200),
                worker_deploying: ms(500),
                worker_stagger: ms(300),
                removing: ms(1000),
            },
            Pace::Real => Timings {
                master_requested: s(45),
                master_deploying: s(9 * 60),
                worker_provision_pending: s(60),
                worker_provisioning: s(4 * 60),
                worker_provisioned: s(30),
                worker_deploying: s(5 * 60),
                worker_stagger: s(20),
                removing: s(4 * 60),
            },
        }
    }
}
