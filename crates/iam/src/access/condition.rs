//! Policies that hold at certain times only.

use jiff::Timestamp;
use jiff::civil::Time;
use jiff::tz::Offset;
use serde::Deserialize;
use serde_json::Value;

/// A condition as it stands in the member `rule` of a policy.
#[derive(Debug, Deserialize)]
pub(super) struct WireCondition {
    #[serde(default)]
    key: String,
    operator: String,
    #[serde(default)]
    value: Value,
    #[serde(default)]
    conditions: Vec<WireCondition>,
}

/// When a policy holds. One that cannot be understood never does.
#[derive(Debug)]
pub(super) enum Condition {
    All(Vec<Condition>),
    Any(Vec<Condition>),
    /// Days of the week, 1 for Monday, each in its time zone.
    Days(Vec<(i8, Offset)>),
    /// A time of day, and how now must be to it.
    Time(Time, Offset, Order),
    DateTime(Timestamp, Order),
    Never,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Order {
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Order {
    fn of(operator: &str) -> Option<Self> {
        let suffixes = [
            ("LessThanOrEquals", Order::LessOrEqual),
            ("GreaterThanOrEquals", Order::GreaterOrEqual),
            ("LessThan", Order::Less),
            ("GreaterThan", Order::Greater),
        ];
        suffixes.into_iter().find(|(suffix, _)| operator.ends_with(suffix)).map(|(_, order)| order)
    }

    fn holds<T: PartialOrd>(self, left: &T, right: &T) -> bool {
        match self {
            Order::Less => left < right,
            Order::LessOrEqual => left <= right,
            Order::Greater => left > right,
            Order::GreaterOrEqual => left >= right,
        }
    }
}

impl Condition {
    pub fn compile(wire: WireCondition) -> Self {
        let all = |conditions: Vec<WireCondition>| conditions.into_iter().map(Condition::compile).collect();
        match wire.operator.as_str() {
            "and" => Condition::All(all(wire.conditions)),
            "or" => Condition::Any(all(wire.conditions)),
            operator => leaf(&wire.key, operator, &wire.value).unwrap_or(Condition::Never),
        }
    }

    pub fn holds(&self, now: Timestamp) -> bool {
        match self {
            Condition::All(all) => all.iter().all(|one| one.holds(now)),
            Condition::Any(any) => any.iter().any(|one| one.holds(now)),
            Condition::Days(days) => {
                days.iter().any(|(day, offset)| offset.to_datetime(now).weekday().to_monday_one_offset() == *day)
            }
            Condition::Time(time, offset, order) => order.holds(&offset.to_datetime(now).time(), time),
            Condition::DateTime(time, order) => order.holds(&now, time),
            Condition::Never => false,
        }
    }
}

/// Whether the member `rule` of a policy can be decided on, all of it.
pub(crate) fn is_condition(rule: &Value) -> bool {
    fn understood(condition: &Condition) -> bool {
        match condition {
            Condition::All(parts) | Condition::Any(parts) => !parts.is_empty() && parts.iter().all(understood),
            Condition::Never => false,
            _ => true,
        }
    }
    WireCondition::deserialize(rule).is_ok_and(|wire| understood(&Condition::compile(wire)))
}

fn leaf(key: &str, operator: &str, value: &Value) -> Option<Condition> {
    let name = key.trim_start_matches("{{").trim_end_matches("}}").strip_prefix("environment.attributes.")?;
    match (name, operator) {
        ("day_of_week", "dayOfWeekAnyOf") => {
            value.as_array()?.iter().map(|day| day_of_week(day.as_str()?)).collect::<Option<_>>().map(Condition::Days)
        }
        ("day_of_week", "dayOfWeekEquals") => Some(Condition::Days(vec![day_of_week(value.as_str()?)?])),
        ("current_time", operator) if operator.starts_with("time") => {
            let (time, offset) = with_offset(value.as_str()?)?;
            Some(Condition::Time(time.parse().ok()?, offset, Order::of(operator)?))
        }
        ("current_date_time", operator) if operator.starts_with("dateTime") => {
            Some(Condition::DateTime(value.as_str()?.parse().ok()?, Order::of(operator)?))
        }
        _ => None,
    }
}

/// `1+00:00`: Monday in the time zone with that offset.
fn day_of_week(text: &str) -> Option<(i8, Offset)> {
    let (day, offset) = with_offset(text)?;
    day.parse().ok().filter(|day| (1..=7).contains(day)).map(|day| (day, offset))
}

/// Splits the offset from UTC (`Z`, `+02:00`) off the end.
fn with_offset(text: &str) -> Option<(&str, Offset)> {
    if let Some(before) = text.strip_suffix('Z') {
        return Some((before, Offset::UTC));
    }
    let at = text.rfind(['+', '-'])?;
    let (before, offset) = text.split_at(at);
    let (hours, minutes) = offset[1..].split_once(':')?;
    let two_digits =
        |text: &str| text.parse::<i32>().ok().filter(|_| text.len() == 2 && text.bytes().all(|b| b.is_ascii_digit()));
    let seconds = two_digits(hours)? * 3600 + two_digits(minutes).filter(|minutes| *minutes < 60)? * 60;
    let offset = Offset::from_seconds(if offset.starts_with('-') { -seconds } else { seconds }).ok()?;
    Some((before, offset))
}
