//! Times and durations as people read and write them.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

/// `5 minutes ago`, for a date as the services write it; the date itself if it cannot be read.
pub fn age(date: &str, now: Timestamp) -> String {
    match parse(date) {
        Some(then) => format_age(now.as_second() - then.as_second()),
        None => date.to_owned(),
    }
}

/// `2018-09-28T15:43:15+0000` (containers) or `2018-09-28T15:43:15.123Z` (accounts).
fn parse(date: &str) -> Option<Timestamp> {
    date.parse().ok().or_else(|| Timestamp::strptime("%Y-%m-%dT%H:%M:%S%z", date).ok())
}

fn format_age(seconds: i64) -> String {
    const UNITS: [(i64, &str); 6] = [
        (365 * 86_400, "year"),
        (30 * 86_400, "month"),
        (7 * 86_400, "week"),
        (86_400, "day"),
        (3_600, "hour"),
        (60, "minute"),
    ];
    // A clock of the server that is ahead must not give clusters from the future.
    let seconds = seconds.max(0);
    let (count, unit) = match UNITS.iter().find(|(size, _)| seconds >= *size) {
        Some((size, unit)) => (seconds / size, *unit),
        None if seconds == 0 => return "now".to_owned(),
        None => (seconds, "second"),
    };
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {unit}{plural} ago")
}

/// Reads `90m`, `1h 30m` or `45s`.
pub fn duration(text: &str) -> Result<Duration, String> {
    let duration: SignedDuration = text.parse().map_err(|_| "give it as in 90m, 1h 30m or 45s".to_owned())?;
    Duration::try_from(duration).map_err(|_| "it must not be negative".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_rounded_down_to_the_largest_unit() {
        let cases = [
            (-30, "now"),
            (0, "now"),
            (1, "1 second ago"),
            (59, "59 seconds ago"),
            (60, "1 minute ago"),
            (5 * 60 + 59, "5 minutes ago"),
            (3_600, "1 hour ago"),
            (23 * 3_600, "23 hours ago"),
            (6 * 86_400, "6 days ago"),
            (13 * 86_400, "1 week ago"),
            (61 * 86_400, "2 months ago"),
            (800 * 86_400, "2 years ago"),
        ];
        for (seconds, expected) in cases {
            assert_eq!(format_age(seconds), expected);
        }
    }

    #[test]
    fn reads_the_dates_of_every_service() {
        let now: Timestamp = "2018-09-28T15:48:15Z".parse().expect("a date");
        for date in ["2018-09-28T15:43:15+0000", "2018-09-28T15:43:15Z", "2018-09-28T15:43:15.000Z", "2018-09-28T17:43:15+0200"]
        {
            assert_eq!(age(date, now), "5 minutes ago", "{date}");
        }
        assert_eq!(age("yesterday", now), "yesterday");
    }

    #[test]
    fn durations_are_written_by_people() {
        assert_eq!(duration("90m"), Ok(Duration::from_secs(5400)));
        assert_eq!(duration("1h 30m"), Ok(Duration::from_secs(5400)));
        assert!(duration("soon").is_err() && duration("-5s").is_err());
    }
}
