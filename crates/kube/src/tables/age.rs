//! Times as people read them: how long ago.

use jiff::{SignedDuration, Timestamp};

/// Two or three significant figures: `5s`, `2m30s`, `3h5m`, `2d3h`, `45d`, `2y30d`.
#[must_use]
pub fn human_duration(duration: SignedDuration) -> String {
    let seconds = duration.as_secs();
    let (minutes, hours) = (seconds / 60, seconds / 3600);
    let (days, years) = (hours / 24, hours / 24 / 365);
    let two = |most: i64, unit: &str, rest: i64, smaller: &str| {
        if rest == 0 { format!("{most}{unit}") } else { format!("{most}{unit}{rest}{smaller}") }
    };
    match seconds {
        // Clocks may differ a little.
        ..-1 => "<invalid>".to_owned(),
        -1 => "0s".to_owned(),
        0..120 => format!("{seconds}s"),
        _ if minutes < 10 => two(minutes, "m", seconds % 60, "s"),
        _ if minutes < 180 => format!("{minutes}m"),
        _ if hours < 8 => two(hours, "h", minutes % 60, "m"),
        _ if hours < 48 => format!("{hours}h"),
        _ if hours < 24 * 8 => two(days, "d", hours % 24, "h"),
        _ if hours < 24 * 365 * 2 => format!("{days}d"),
        _ if hours < 24 * 365 * 8 => two(years, "y", days % 365, "d"),
        _ => format!("{years}y"),
    }
}

/// How long ago a time was: `<unknown>` if there is none.
#[must_use]
pub fn since(time: &str, now: Timestamp) -> String {
    time.parse::<Timestamp>().map_or_else(|_| "<unknown>".to_owned(), |time| human_duration(now.duration_since(time)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_told_with_two_or_three_figures() {
        const DAY: i64 = 86_400;
        for (seconds, told) in [
            (-5, "<invalid>"),
            (-1, "0s"),
            (0, "0s"),
            (119, "119s"),
            (120, "2m"),
            (150, "2m30s"),
            (600, "10m"),
            (179 * 60, "179m"),
            (3 * 3600, "3h"),
            (3 * 3600 + 300, "3h5m"),
            (8 * 3600 + 300, "8h"),
            (47 * 3600, "47h"),
            (2 * DAY, "2d"),
            (2 * DAY + 3 * 3600, "2d3h"),
            (8 * DAY + 3600, "8d"),
            (729 * DAY, "729d"),
            (2 * 365 * DAY, "2y"),
            (2 * 365 * DAY + 30 * DAY, "2y30d"),
            (9 * 365 * DAY, "9y"),
        ] {
            assert_eq!(human_duration(SignedDuration::from_secs(seconds)), told, "{seconds}");
        }
        let now: Timestamp = "2026-01-01T00:00:10Z".parse().unwrap();
        for (time, told) in
            [("2026-01-01T00:00:00Z", "10s"), ("2026-01-01T00:00:05.000001Z", "4s"), ("", "<unknown>"), ("x", "<unknown>")]
        {
            assert_eq!(since(time, now), told, "{time}");
        }
    }
}
