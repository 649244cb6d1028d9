//! Time is an argument. One [`Clock`] is made at start and passed in; nothing else asks the system for the time.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use jiff::{SignedDuration, Timestamp, tz::Offset};

/// The system's time plus an offset that an administrator can move forward. It goes back only together with everything that was
/// dated by it: [`Clock::set`].
#[derive(Clone, Debug, Default)]
pub struct Clock {
    offset_ms: Arc<AtomicI64>,
}

impl Clock {
    /// A clock that is ahead of the system's by `offset_ms` milliseconds.
    #[must_use]
    pub fn ahead_by(offset_ms: i64) -> Self {
        Self { offset_ms: Arc::new(AtomicI64::new(offset_ms)) }
    }

    /// Now, to the millisecond, as everything is stored.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        let system = Timestamp::now().as_millisecond();
        from_ms(system.saturating_add(self.offset_ms.load(Ordering::Relaxed)))
    }

    /// How far the clock is ahead of the system's, in milliseconds.
    #[must_use]
    pub fn offset_ms(&self) -> i64 {
        self.offset_ms.load(Ordering::Relaxed)
    }

    /// Moves the clock forward and returns the new offset in milliseconds.
    pub fn advance(&self, by: SignedDuration) -> i64 {
        let by = i64::try_from(by.as_millis()).unwrap_or(i64::MAX).max(0);
        self.offset_ms.fetch_add(by, Ordering::Relaxed) + by
    }

    /// Sets how far the clock is ahead of the system's, in milliseconds, because the whole state of the server was replaced.
    pub fn set(&self, offset_ms: i64) {
        self.offset_ms.store(offset_ms.max(0), Ordering::Relaxed);
    }
}

/// A stored time; values outside of what a calendar can show are clamped.
#[must_use]
pub fn from_ms(ms: i64) -> Timestamp {
    Timestamp::from_millisecond(ms.clamp(Timestamp::MIN.as_millisecond(), Timestamp::MAX.as_millisecond()))
        .unwrap_or(Timestamp::MAX)
}

/// `2018-09-28T15:43:15+0000`, as the container service writes dates.
#[must_use]
pub fn containers_date(at: Timestamp) -> String {
    Offset::UTC.to_datetime(at).strftime("%Y-%m-%dT%H:%M:%S+0000").to_string()
}

/// `2016-09-29T02:49:41.842Z`, as the account service writes dates.
#[must_use]
pub fn rfc3339_ms(at: Timestamp) -> String {
    Offset::UTC.to_datetime(at).strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

/// `26.12.2024 17:23:26:340 UTC`, as the token service writes dates in the context of an error.
#[must_use]
pub fn iam_context_date(at: Timestamp) -> String {
    let ms = at.as_millisecond().rem_euclid(1000);
    format!("{}:{ms:03} UTC", Offset::UTC.to_datetime(at).strftime("%d.%m.%Y %H:%M:%S"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_dates_as_each_service_does() {
        let at = from_ms(1_735_233_806_340);
        assert_eq!(containers_date(at), "2024-12-26T17:23:26+0000");
        assert_eq!(rfc3339_ms(at), "2024-12-26T17:23:26.340Z");
        assert_eq!(iam_context_date(at), "26.12.2024 17:23:26:340 UTC");
        assert_eq!(rfc3339_ms(from_ms(1_735_233_806_000)), "2024-12-26T17:23:26.000Z");
    }

    #[test]
    fn only_moves_forward() {
        let clock = Clock::default();
        clock.advance(SignedDuration::from_secs(61 * 60));
        assert_eq!(clock.advance(SignedDuration::from_secs(-5)), 3_660_000);
        assert!(clock.now() > Timestamp::now() + SignedDuration::from_secs(3600));
    }
}
