//! Quantities of resources: `500m`, `1Gi`, `2e3`.

use std::cmp::Ordering;
use std::fmt;
use std::iter::Sum;
use std::ops::{Add, Sub};

use serde_json::Value;

/// Billionths in one.
const NANO: i128 = 1_000_000_000;
/// What quantities are capped at, as upstream does.
const MOST: i128 = i64::MAX as i128 * NANO;

/// How a quantity is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Form {
    /// With `m`, `k`, `M`.
    #[default]
    Decimal,
    /// With `Ki`, `Mi`.
    Binary,
    /// With `e3`, `e6`.
    Exponent,
}

/// An amount, exact to a billionth. Two are equal if their amounts are, whatever they were written as.
#[derive(Clone, Copy, Debug, Default)]
pub struct Quantity {
    nano: i128,
    form: Form,
}

/// Why a text is no quantity. The texts are those of `k8s.io/apimachinery`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QuantityError {
    #[error("quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'")]
    Format,
    #[error("unable to parse numeric part of quantity")]
    Number,
    #[error("unable to parse quantity's suffix")]
    Suffix,
}

const DECIMAL: [(&str, i32); 10] =
    [("n", -9), ("u", -6), ("m", -3), ("", 0), ("k", 3), ("M", 6), ("G", 9), ("T", 12), ("P", 15), ("E", 18)];
const BINARY: [(&str, u32); 6] = [("Ki", 10), ("Mi", 20), ("Gi", 30), ("Ti", 40), ("Pi", 50), ("Ei", 60)];

impl Quantity {
    pub const ZERO: Self = Self { nano: 0, form: Form::Decimal };

    /// So many whole ones.
    #[must_use]
    pub fn whole(amount: i64) -> Self {
        Self { nano: i128::from(amount) * NANO, form: Form::Decimal }
    }

    /// So many thousandths.
    #[must_use]
    pub fn milli(amount: i64) -> Self {
        Self { nano: i128::from(amount) * (NANO / 1_000), form: Form::Decimal }
    }

    /// So many bytes, to be written with `Ki`, `Mi` and so on.
    #[must_use]
    pub fn bytes(amount: i64) -> Self {
        Self { form: Form::Binary, ..Self::whole(amount) }
    }

    /// # Errors
    ///
    /// A text that is no quantity.
    pub fn parse(text: &str) -> Result<Self, QuantityError> {
        let (negative, rest) = match text.as_bytes().first() {
            Some(b'-') => (true, text.get(1..).unwrap_or_default()),
            Some(b'+') => (false, text.get(1..).unwrap_or_default()),
            _ => (false, text),
        };
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (number, suffix) = rest.split_at(end);
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if !suffix.chars().all(|c| c.is_ascii_digit() || "eEinumkKMGTP+-".contains(c)) || number.is_empty() {
            return Err(QuantityError::Format);
        }
        if fraction.contains('.') || (whole.is_empty() && fraction.is_empty()) {
            return Err(QuantityError::Number);
        }
        let (form, scale, factor) = unit(suffix).ok_or(QuantityError::Suffix)?;
        let nano = amount(whole, fraction, scale, factor);
        // What is less than one cannot be written with a binary suffix.
        let form = if form == Form::Binary && nano < NANO { Form::Decimal } else { form };
        Ok(Self { nano: if negative { -nano } else { nano }, form })
    }

    /// A quantity as JSON has it: a text or a number.
    ///
    /// # Errors
    ///
    /// A value that is no quantity.
    pub fn of(value: &Value) -> Result<Self, QuantityError> {
        match value {
            Value::String(text) => Self::parse(text.trim()),
            Value::Number(number) => Self::parse(&number.to_string()),
            Value::Null => Ok(Self::ZERO),
            _ => Err(QuantityError::Format),
        }
    }

    /// The value of a member, zero if it is not there or no quantity.
    #[must_use]
    pub fn member(value: &Value, name: &str) -> Self {
        value.get(name).and_then(|value| Self::of(value).ok()).unwrap_or_default()
    }

    /// In whole ones, rounded up, away from zero.
    #[must_use]
    pub fn to_whole(self) -> i128 {
        round_up(self.nano, NANO)
    }

    /// In thousandths, rounded up, away from zero.
    #[must_use]
    pub fn to_milli(self) -> i128 {
        round_up(self.nano, NANO / 1_000)
    }

    /// Rounded up to thousandths.
    #[must_use]
    pub fn rounded_to_milli(self) -> Self {
        Self { nano: self.to_milli() * (NANO / 1_000), form: self.form }
    }

    #[must_use]
    pub fn is_zero(self) -> bool {
        self.nano == 0
    }

    #[must_use]
    pub fn is_negative(self) -> bool {
        self.nano < 0
    }

    /// So many times as much.
    #[must_use]
    pub fn times(self, count: u32) -> Self {
        Self { nano: self.nano.saturating_mul(i128::from(count)).clamp(-MOST, MOST), form: self.form }
    }
}

/// What a suffix says: form, power of ten, factor.
fn unit(suffix: &str) -> Option<(Form, i32, i128)> {
    if let Some((_, power)) = DECIMAL.iter().find(|(name, _)| *name == suffix) {
        return Some((Form::Decimal, *power, 1));
    }
    if let Some((_, power)) = BINARY.iter().find(|(name, _)| *name == suffix) {
        return Some((Form::Binary, 0, 1 << power));
    }
    let power = suffix.strip_prefix(['e', 'E'])?;
    Some((Form::Exponent, power.parse().ok()?, 1))
}

/// Billionths, rounded up and capped.
fn amount(whole: &str, fraction: &str, scale: i32, factor: i128) -> i128 {
    // Digits far behind the point only decide whether it is rounded up; the cap is reached long before 40 digits are.
    let whole = whole.trim_start_matches('0');
    let digits: String = whole.chars().chain(fraction.chars()).collect();
    let digits = digits.trim_start_matches('0');
    if digits.is_empty() {
        return 0;
    }
    let length = i64::try_from(digits.len()).unwrap_or(i64::MAX);
    let power = i64::from(scale) + 9 - i64::try_from(fraction.len()).unwrap_or(i64::MAX);
    // As many digits as are in front of the billionths' own point, with room for the factor.
    if length.saturating_add(power) > 30 {
        return MOST;
    }
    let kept: String = digits.chars().take(36).collect();
    let dropped = length - i64::try_from(kept.len()).unwrap_or(36);
    let mut value: i128 = kept.parse().unwrap_or(MOST);
    let mut rest = digits.chars().skip(36).any(|c| c != '0');
    let mut power = power + dropped;
    let mut factor = factor;
    // Binary factors and negative powers: divide by ten as late as possible, so that nothing is lost.
    while power < 0 && factor > 1 && value.checked_mul(2).is_some() {
        value *= 2;
        factor /= 2;
        if factor == 1 {
            break;
        }
    }
    while power < 0 && value > 0 {
        rest |= value % 10 != 0;
        value /= 10;
        power += 1;
    }
    for _ in 0..power.max(0) {
        value = value.saturating_mul(10);
    }
    value = value.saturating_mul(factor);
    value.saturating_add(i128::from(rest)).min(MOST)
}

fn round_up(nano: i128, unit: i128) -> i128 {
    let rest = nano % unit;
    nano / unit + rest.signum()
}

impl PartialEq for Quantity {
    fn eq(&self, other: &Self) -> bool {
        self.nano == other.nano
    }
}

impl Eq for Quantity {}

impl PartialOrd for Quantity {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Quantity {
    fn cmp(&self, other: &Self) -> Ordering {
        self.nano.cmp(&other.nano)
    }
}

impl Add for Quantity {
    type Output = Self;

    /// Written as the first one, unless that is nothing.
    fn add(self, other: Self) -> Self {
        let form = if self.is_zero() { other.form } else { self.form };
        Self { nano: (self.nano + other.nano).clamp(-MOST, MOST), form }
    }
}

impl Sub for Quantity {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        let form = if self.is_zero() { other.form } else { self.form };
        Self { nano: (self.nano - other.nano).clamp(-MOST, MOST), form }
    }
}

impl Sum for Quantity {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::ZERO, Add::add)
    }
}

/// The canonical form: no fraction, and the largest suffix that allows for that.
impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.nano == 0 {
            return f.write_str("0");
        }
        let binary = self.form == Form::Binary && self.nano % NANO == 0 && self.nano.abs() >= 1024 * NANO;
        if binary {
            let mut value = self.nano / NANO;
            let mut suffix = "";
            for (name, _) in BINARY {
                if value % 1024 != 0 {
                    break;
                }
                value /= 1024;
                suffix = name;
            }
            return write!(f, "{value}{suffix}");
        }
        let mut value = self.nano;
        let mut at = 0;
        while value % 1_000 == 0 && at + 1 < DECIMAL.len() {
            value /= 1_000;
            at += 1;
        }
        let (suffix, power) = DECIMAL[at];
        match (self.form, power) {
            (Form::Exponent, 0) => write!(f, "{value}"),
            (Form::Exponent, _) => write!(f, "{value}e{power}"),
            _ => write!(f, "{value}{suffix}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_written_in_their_canonical_form() {
        let cases = [
            ("0", "0"),
            ("1", "1"),
            ("0.5", "500m"),
            ("1000m", "1"),
            ("1500m", "1500m"),
            ("1024Mi", "1Gi"),
            ("1.5Gi", "1536Mi"),
            ("512", "512"),
            ("1000", "1k"),
            ("0.1Ki", "102400m"),
            ("1e3", "1e3"),
            ("100e-3", "100e-3"),
            ("2E", "2E"),
            (".5", "500m"),
            ("5.", "5"),
            ("-250m", "-250m"),
            ("1n", "1n"),
            ("0.1n", "1n"),
            ("100Ei", "9223372036854775807"),
            ("1025Ki", "1025Ki"),
            ("00100", "100"),
            ("0.9Ki", "921600m"),
        ];
        for (given, canonical) in cases {
            assert_eq!(Quantity::parse(given).map(|q| q.to_string()).as_deref(), Ok(canonical), "{given}");
        }
    }

    #[test]
    fn what_is_no_quantity_is_told() {
        for (given, error) in [
            ("", QuantityError::Format),
            ("abc", QuantityError::Format),
            ("1 Gi", QuantityError::Format),
            ("1Gib", QuantityError::Format),
            ("1.2.3", QuantityError::Number),
            (".", QuantityError::Number),
            ("1mm", QuantityError::Suffix),
            ("1e", QuantityError::Suffix),
            ("10µ", QuantityError::Format),
        ] {
            assert_eq!(Quantity::parse(given), Err(error), "{given}");
        }
    }

    #[test]
    fn amounts_are_compared_and_added_whatever_they_were_written_as() {
        let parse = |text| Quantity::parse(text).unwrap();
        assert_eq!(parse("1Gi"), parse("1073741824"));
        assert!(parse("100m") < parse("0.2"));
        assert_eq!((parse("512Mi") + parse("512Mi")).to_string(), "1Gi");
        assert_eq!((parse("0") + parse("1Ki")).to_string(), "1Ki");
        assert_eq!(parse("1.1").to_whole(), 2);
        assert_eq!(parse("1.1").to_milli(), 1_100);
        assert_eq!(Quantity::of(&serde_json::json!(2)).unwrap().to_string(), "2");
        assert!(Quantity::of(&serde_json::json!({})).is_err());
        assert_eq!(parse("250m").times(4).to_string(), "1");
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_fail(text in "[-+]?[0-9.]{0,60}[eEinumkKMGTP+0-9-]{0,12}") {
            if let Ok(quantity) = Quantity::parse(&text) {
                proptest::prop_assert_eq!(Quantity::parse(&quantity.to_string()), Ok(quantity));
            }
        }
    }
}
