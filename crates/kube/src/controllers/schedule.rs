//! When a CronJob is due.

use std::cmp::Ordering;

use croner::errors::CronError;
use croner::parser::{CronParser, Seconds, Year};
use croner::{CivilDate, CivilDateTime, CivilTime, Cron, CronDateTime, Resolution, Weekday};
use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{SignedDuration, Timestamp, ZonedDateTime};

/// A schedule in a time zone.
#[derive(Clone, Debug)]
pub(super) struct Schedule {
    cron: Cron,
    zone: TimeZone,
}

/// A moment as croner looks at it.
#[derive(Clone)]
struct Moment(ZonedDateTime);

impl Schedule {
    /// Five fields, or `@hourly` and the like. `zone` is a name of the time zone database, or empty for UTC.
    ///
    /// # Errors
    /// What is wrong with one of them, for a person to read.
    pub fn parse(schedule: &str, zone: &str) -> Result<Self, String> {
        let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
        // A question mark stands for any day, as it does upstream.
        let cron = parser.parse(&schedule.replace('?', "*")).map_err(|error| error.to_string())?;
        let zone = if zone.is_empty() {
            TimeZone::UTC
        } else {
            TimeZone::get(zone).map_err(|_| format!("unknown time zone {zone}"))?
        };
        Ok(Self { cron, zone })
    }

    /// The first time after `at`, if there is one within reach.
    pub fn after(&self, at: Timestamp) -> Option<Timestamp> {
        let moment = Moment(at.to_zoned_datetime(self.zone.clone()));
        self.cron.find_next_occurrence(&moment, false).ok().map(|next| next.0.timestamp())
    }

    /// The last time at or before `at`.
    pub fn last(&self, at: Timestamp) -> Option<Timestamp> {
        let moment = Moment(at.to_zoned_datetime(self.zone.clone()));
        self.cron.find_previous_occurrence(&moment, true).ok().map(|last| last.0.timestamp())
    }
}

fn part(number: i8) -> u32 {
    // Parts of a date are never negative.
    u32::from(number.unsigned_abs())
}

fn narrow(number: u32) -> i8 {
    i8::try_from(number).unwrap_or(i8::MAX)
}

impl CronDateTime for Moment {
    fn to_civil(&self) -> CivilDateTime {
        let at = self.0.datetime();
        let date = CivilDate::from_parts_unchecked(i32::from(at.year()), part(at.month()), part(at.day()));
        CivilDateTime::new(date, CivilTime::from_parts_unchecked(part(at.hour()), part(at.minute()), part(at.second())))
    }

    fn civil_weekday(&self) -> Weekday {
        Weekday::from_days_from_sunday(part(self.0.weekday().to_sunday_zero_offset()))
    }

    fn resolve_civil(&self, civil: CivilDateTime) -> Result<Resolution<Self>, CronError> {
        let year = i16::try_from(civil.year()).map_err(|_| CronError::InvalidDate)?;
        let (month, day) = (narrow(civil.month()), narrow(civil.day()));
        let at = DateTime::new(year, month, day, narrow(civil.hour()), narrow(civil.minute()), narrow(civil.second()), 0);
        let found = self.0.time_zone().to_ambiguous_zoned_datetime(at.map_err(|_| CronError::InvalidDate)?);
        let offset = found.offset();
        let of = |found: Result<ZonedDateTime, jiff::Error>| found.map(Self).map_err(|_| CronError::InvalidTime);
        Ok(match offset {
            AmbiguousOffset::Gap { .. } => Resolution::Gap,
            AmbiguousOffset::Fold { .. } => Resolution::Ambiguous(of(found.clone().earlier())?, of(found.later())?),
            AmbiguousOffset::Unambiguous { .. } => Resolution::Single(of(found.compatible())?),
        })
    }

    fn checked_add_seconds(&self, seconds: i64) -> Option<Self> {
        self.0.checked_add(SignedDuration::from_secs(seconds)).ok().map(Self)
    }

    fn cmp_instant(&self, other: &Self) -> Ordering {
        self.0.timestamp().cmp(&other.0.timestamp())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn schedules_say_when_they_are_due() {
        let now = "2026-01-31T12:00:30Z";
        for (schedule, zone, next, last) in [
            ("*/5 * * * *", "", "2026-01-31T12:05:00Z", "2026-01-31T12:00:00Z"),
            ("@hourly", "", "2026-01-31T13:00:00Z", "2026-01-31T12:00:00Z"),
            ("0 0 ? * 1", "", "2026-02-02T00:00:00Z", "2026-01-26T00:00:00Z"),
            ("30 9 * * *", "Europe/Berlin", "2026-02-01T08:30:00Z", "2026-01-31T08:30:00Z"),
        ] {
            let parsed = Schedule::parse(schedule, zone).unwrap();
            assert_eq!(parsed.after(at(now)), Some(at(next)), "{schedule}");
            assert_eq!(parsed.last(at(now)), Some(at(last)), "{schedule}");
        }
        for (schedule, zone) in
            [("", ""), ("* * * *", ""), ("61 * * * *", ""), ("* * * * * *", ""), ("* * * * *", "Nowhere/At_All")]
        {
            assert!(Schedule::parse(schedule, zone).is_err(), "{schedule} {zone}");
        }
    }
}
