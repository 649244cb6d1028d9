//! Identifiers in the forms that clients take apart or match.

use std::sync::atomic::{AtomicU32, Ordering};

use aws_lc_rs::rand;
use jiff::Timestamp;

/// Bytes from the system's random number generator.
///
/// # Panics
/// When the operating system has no randomness to give; nothing can be done safely then.
#[must_use]
pub fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    rand::fill(&mut bytes).expect("the operating system provides randomness");
    bytes
}

/// Lower-case hexadecimal.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes.iter().flat_map(|b| [DIGITS[usize::from(b >> 4)], DIGITS[usize::from(b & 15)]]).map(char::from).collect()
}

/// 32 hexadecimal digits: accounts and resource groups.
#[must_use]
pub fn hex32() -> String {
    hex(&random::<16>())
}

/// A random (version 4) UUID.
#[must_use]
pub fn uuid() -> String {
    let mut bytes = random::<16>();
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    let h = hex(&bytes);
    format!("{}-{}-{}-{}-{}", &h[..8], &h[8..12], &h[12..16], &h[16..20], &h[20..])
}

/// Random text of `N` characters from letters, digits, `-` and `_`, six bits each: API keys (44 characters) and tokens.
#[must_use]
pub fn token<const N: usize>() -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    random::<N>().iter().map(|b| char::from(ALPHABET[usize::from(b & 63)])).collect()
}

/// Random text of `N` digits and capital letters, without those that look alike (0 and O, 1 and I), five bits each: what a
/// person reads and types.
#[must_use]
pub fn code<const N: usize>() -> String {
    const ALPHABET: &[u8; 32] = b"23456789ABCDEFGHJKLMNPQRSTUVWXYZ";
    random::<N>().iter().map(|b| char::from(ALPHABET[usize::from(b & 31)])).collect()
}

/// A cluster ID: 20 characters of lower-case base32hex (an xid: seconds, five random bytes, a counter), so it never holds
/// a `-` and IDs made later sort later.
#[must_use]
pub fn xid(now: Timestamp) -> String {
    static COUNTER: AtomicU32 = AtomicU32::new(0);
    let mut raw = [0u8; 12];
    let seconds = u32::try_from(now.as_second()).unwrap_or(u32::MAX);
    raw[..4].copy_from_slice(&seconds.to_be_bytes());
    raw[4..9].copy_from_slice(&random::<5>());
    raw[9..].copy_from_slice(&COUNTER.fetch_add(1, Ordering::Relaxed).to_be_bytes()[1..]);

    const DIGITS: &[u8; 32] = b"0123456789abcdefghijklmnopqrstuv";
    let mut text = String::with_capacity(20);
    let (mut buffer, mut bits) = (0u32, 0);
    for byte in raw {
        buffer = (buffer << 8) | u32::from(byte);
        bits += 8;
        while bits >= 5 {
            bits -= 5;
            text.push(char::from(DIGITS[((buffer >> bits) & 31) as usize]));
        }
        buffer &= (1 << bits) - 1;
    }
    // 96 bits are 19 digits and one bit; the last digit holds that bit, left-aligned.
    text.push(char::from(DIGITS[((buffer << (5 - bits)) & 31) as usize]));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn have_the_forms_that_clients_match() {
        let now = Timestamp::now();
        let ids: std::collections::BTreeSet<_> = (0..1000).map(|_| xid(now)).collect();
        assert_eq!(ids.len(), 1000);
        assert!(ids.iter().all(|id| id.len() == 20 && id.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'v').contains(&b))));
        assert_eq!(hex32().len(), 32);
        assert_eq!(token::<44>().len(), 44);
        assert!(code::<100>().bytes().all(|b| b.is_ascii_alphanumeric() && !b"01IO".contains(&b)));
        let uuid = uuid();
        assert_eq!((uuid.len(), uuid.as_bytes()[14]), (36, b'4'));
        assert!(xid(now) < xid(now + jiff::SignedDuration::from_secs(2)));
    }
}
