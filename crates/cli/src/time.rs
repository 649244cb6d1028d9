//! Times and durations as people read and write them.

use std::time::Duration;

use jiff::{SignedDuration, Span, SpanRelativeTo, Timestamp};

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

/// Reads `90s`, `61m`, `2h30m`, `1h 30m` or `3d`; a day has 24 hours.
pub fn duration(text: &str) -> Result<Duration, String> {
    let wrong = |_| "give it as in 90s, 61m, 2h30m or 3d".to_owned();
    let span: Span = text.parse().map_err(wrong)?;
    let duration: SignedDuration = span.to_duration(SpanRelativeTo::days_are_24_hours()).map_err(wrong)?;
    Duration::try_from(duration).map_err(|_| "it must not be negative".to_owned())
}

/// As [`duration`], but at least a second, and in whole ones.
pub fn seconds(text: &str) -> Result<i64, String> {
    let duration = duration(text)?;
    match i64::try_from(duration.as_secs()) {
        Ok(0) | Err(_) => Err("it must be at least one second".to_owned()),
        Ok(seconds) => Ok(seconds),
    }
}

/// `2h 30m` for seconds, in the two largest units that it has.
pub fn length(seconds: i64) -> String {
    let units = [(86_400, 'd'), (3_600, 'h'), (60, 'm'), (1, 's')];
    let mut rest = seconds.max(0);
    let mut parts = Vec::new();
    for (size, unit) in units {
        if rest >= size && parts.len() < 2 {
            parts.push(format!("{}{unit}", rest / size));
            rest %= size;
        }
    }
    if parts.is_empty() { "0s".to_owned() } else { parts.join(" ") }
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
    fn lengths_are_short() {
        for (seconds, expected) in [(0, "0s"), (59, "59s"), (3_660, "1h 1m"), (90_061, "1d 1h"), (86_400, "1d")] {
            assert_eq!(length(seconds), expected);
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
        assert_eq!(duration("2h30m"), Ok(Duration::from_secs(9000)));
        assert_eq!(duration("3d"), Ok(Duration::from_secs(3 * 86_400)));
        assert_eq!(duration("1500ms"), Ok(Duration::from_millis(1500)));
        assert_eq!(seconds("90s"), Ok(90));
        assert!(seconds("0s").is_err() && seconds("1mo").is_err() && duration("61").is_err());
        assert!(duration("soon").is_err() && duration("-5s").is_err());
    }
}
