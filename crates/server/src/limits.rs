//! How often somebody may ask: requests of an identity, token requests of an address, and wrong credentials of an address.
//!
//! Counted by the service's clock, so that a test need not wait.

use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use boatyard_api::Operation;
use boatyard_core::Clock;
use governor::clock::Clock as _;
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::StateStore;
use governor::{Quota, RateLimiter};
use http::{HeaderMap, StatusCode};
use ipnet::IpNet;

use crate::problem::{Form, Problem};
use crate::transport::ClientAddress;

/// Wrong credentials of one address: so many at once, and so many each second after that.
const WRONG_AT_ONCE: NonZeroU32 = NonZeroU32::new(600).expect("not zero");
const WRONG_PER_SECOND: NonZeroU32 = NonZeroU32::new(10).expect("not zero");
/// Browsers of one address that are sent to the identity provider. Each is remembered for ten minutes, so of one address some 700 are.
const REDIRECTS_AT_ONCE: NonZeroU32 = NonZeroU32::new(100).expect("not zero");
const REDIRECTS_PER_SECOND: NonZeroU32 = NonZeroU32::new(1).expect("not zero");
/// Codes of answers to credentials that are wrong; others say that a request is not well formed.
const WRONG: [&str; 5] = ["BXNIM0415E", "BXNIM0602E", "BXNIM0421E", "BXNIM0407E", "BXNIM0310E"];
/// The most identities or addresses that are remembered.
const MOST: usize = 100_000;
/// Times from which on nothing is limited, in milliseconds since the Unix epoch: nanoseconds would leave their range (year 2262).
const END: u64 = u64::MAX / 2 / 1_000_000;

/// The limits of a server.
#[derive(Debug)]
pub struct Limits {
    identities: Option<Limiter<String>>,
    /// Where requests to clusters come from that are of no identity.
    strangers: Option<Limiter<IpAddr>>,
    addresses: Option<Limiter<IpAddr>>,
    wrong: Limiter<IpAddr>,
    redirects: Limiter<IpAddr>,
}

impl Limits {
    /// At most so many requests of an identity and token requests of an address in a second; 0: any number.
    #[must_use]
    pub fn new(clock: &Clock, requests: u32, token_requests: u32) -> Self {
        let quota = |number| NonZeroU32::new(number).map(Quota::per_second);
        Self {
            identities: quota(requests).map(|quota| Limiter::new(quota, clock)),
            strangers: quota(requests).map(|quota| Limiter::new(quota, clock)),
            addresses: quota(token_requests).map(|quota| Limiter::new(quota, clock)),
            wrong: Limiter::new(Quota::per_second(WRONG_PER_SECOND).allow_burst(WRONG_AT_ONCE), clock),
            redirects: Limiter::new(Quota::per_second(REDIRECTS_PER_SECOND).allow_burst(REDIRECTS_AT_ONCE), clock),
        }
    }

    /// One more request of an identity.
    ///
    /// # Errors
    /// 429 if it asked too often.
    pub(crate) fn identity(&self, iam_id: &str, form: Form) -> Result<(), Problem> {
        self.identities.as_ref().map_or(Ok(()), |limiter| limiter.take(iam_id.to_owned())).map_err(|wait| too_many(form, wait))
    }

    /// One more request of a user of a cluster.
    ///
    /// # Errors
    /// In how many seconds it may ask again, if it asked too often.
    pub(crate) fn user(&self, name: &str) -> Result<(), u32> {
        self.identities.as_ref().map_or(Ok(()), |limiter| limiter.take(name.to_owned()))
    }

    /// One more request to a cluster of nobody whom this service knows: without credentials, or with a token that only the cluster can
    /// judge.
    ///
    /// # Errors
    /// In how many seconds the address may ask again, if it asked too often.
    pub(crate) fn stranger(&self, address: Option<&ClientAddress>) -> Result<(), u32> {
        let limiter = self.strangers.as_ref().zip(address);
        limiter.map_or(Ok(()), |(limiter, address)| limiter.take(network(address.0)))
    }

    /// One more request of an operation from an address, before anything of it is looked at.
    ///
    /// # Errors
    /// 429 if the operation takes credentials and the address asked too often, or too often with wrong ones.
    pub(crate) fn address(&self, operation: &Operation, address: Option<&ClientAddress>) -> Result<(), Problem> {
        match address {
            Some(address) if takes_credentials(operation) => {
                self.login(*address)?;
                let taken = self.addresses.as_ref().map_or(Ok(()), |limiter| limiter.take(network(address.0)));
                taken.map_err(|wait| too_many(Form::of(operation), wait))
            }
            _ => Ok(()),
        }
    }

    /// That an address may try credentials.
    ///
    /// # Errors
    /// 429 if too many from there were wrong.
    pub(crate) fn login(&self, address: ClientAddress) -> Result<(), Problem> {
        self.wrong.peek(network(address.0)).map_err(|wait| too_many(Form::Token, wait))
    }

    /// Credentials from an address were wrong.
    pub(crate) fn login_failed(&self, address: ClientAddress) {
        // Whoever is over the limit is told with the next request.
        let _ = self.wrong.take(network(address.0));
    }

    /// One more browser from an address that is to be sent to the identity provider.
    ///
    /// # Errors
    /// 429 if too many were.
    pub(crate) fn redirect(&self, address: ClientAddress) -> Result<(), Problem> {
        self.redirects.take(network(address.0)).map_err(|wait| too_many(Form::Token, wait))
    }

    /// Counts a refusal by its code.
    pub(crate) fn refused(&self, operation: &Operation, address: Option<&ClientAddress>, code: Option<&str>) {
        if let Some(address) =
            address.filter(|_| takes_credentials(operation) && code.is_some_and(|code| WRONG.contains(&code)))
        {
            self.login_failed(*address);
        }
    }

    /// Forgets everything: the clock was set back.
    pub(crate) fn clear(&self) {
        let limiters = [Some(&self.wrong), Some(&self.redirects), self.addresses.as_ref(), self.strangers.as_ref()];
        limiters.into_iter().flatten().for_each(Limiter::clear);
        self.identities.iter().for_each(Limiter::clear);
    }
}

fn takes_credentials(operation: &Operation) -> bool {
    operation.service == "iam-token" && matches!(operation.id, "CreateToken" | "CreatePasscode")
}

/// What counts as one address: of IPv6 a network of 64 bits, which is what one customer has.
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & (u128::MAX << 64))),
        v4 => v4,
    }
}

fn too_many(form: Form, wait: u32) -> Problem {
    let code = match form {
        Form::Containers => "G0429",
        Form::Token => "BXNIM0429E",
        Form::Management => "too_many_requests",
    };
    let text = format!("Too many requests. Try again in {wait} {}.", if wait == 1 { "second" } else { "seconds" });
    Problem::new(StatusCode::TOO_MANY_REQUESTS, code, "General", text).retry_after(wait)
}

/// Where a request comes from: what a proxy that is trusted says, else the peer.
pub(crate) fn client_address(proxies: &[IpNet], peer: IpAddr, headers: &HeaderMap) -> ClientAddress {
    let trusted = |address: &IpAddr| proxies.iter().any(|network| network.contains(address));
    let mut address = peer.to_canonical();
    let values: Vec<_> = headers.get_all("x-forwarded-for").iter().filter_map(|value| value.to_str().ok()).collect();
    // Each proxy appends whom it was asked by, so the last is the one to believe; what stands before one that is not trusted is hearsay.
    for said in values.iter().flat_map(|value| value.split(',')).rev() {
        if !trusted(&address) {
            break;
        }
        let said = said.trim();
        let bare = said.parse().ok().or_else(|| said.parse::<std::net::SocketAddr>().ok().map(|with_port| with_port.ip()));
        let Some(next) = bare.map(|ip: IpAddr| ip.to_canonical()) else { break };
        address = next;
    }
    ClientAddress(address)
}

/// A limiter by key that can also be asked without counting.
struct Limiter<K: Hash + Eq + Clone> {
    limiter: RateLimiter<(K, Count), Buckets<K>, ServiceClock, NoOpMiddleware<Nanos>>,
    clock: ServiceClock,
    buckets: Buckets<K>,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Count {
    Yes,
    No,
}

impl<K: Hash + Eq + Clone> fmt::Debug for Limiter<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Limiter").finish_non_exhaustive()
    }
}

impl<K: Hash + Eq + Clone> Limiter<K> {
    fn new(quota: Quota, clock: &Clock) -> Self {
        let (source, buckets) = (ServiceClock::default(), Buckets::default());
        // Made while its clock shows 0, so that it knows no beginning that the clock could be set back beyond.
        let limiter = RateLimiter::new(quota, buckets.clone(), source.clone());
        // It was made on the line above, so it is not set yet.
        let _ = source.0.set(clock.clone());
        Self { limiter, clock: source, buckets }
    }

    /// Counts one; if that is too much, says in how many seconds it is not.
    fn take(&self, key: K) -> Result<(), u32> {
        self.check(key, Count::Yes)
    }

    /// Whether one more would be too much.
    fn peek(&self, key: K) -> Result<(), u32> {
        self.check(key, Count::No)
    }

    fn check(&self, key: K, count: Count) -> Result<(), u32> {
        let now = self.clock.now();
        if now.as_u64() >= END * 1_000_000 {
            return Ok(());
        }
        self.limiter.check_key(&(key, count)).map_err(|until| {
            let wait = until.wait_time_from(now);
            u32::try_from(wait.as_millis().div_ceil(1000)).unwrap_or(u32::MAX).max(1)
        })
    }

    fn clear(&self) {
        self.buckets.lock().clear();
    }
}

/// By key, when its next request is due.
struct Buckets<K>(Arc<Mutex<HashMap<K, Nanos>>>);

impl<K> Clone for Buckets<K> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<K> Default for Buckets<K> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<K> Buckets<K> {
    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<K, Nanos>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Hash + Eq + Clone> StateStore for Buckets<K> {
    type Key = (K, Count);

    fn measure_and_replace<T, F, E>(&self, (key, count): &(K, Count), measure: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let mut buckets = self.lock();
        let (allowed, due) = measure(buckets.get(key).copied())?;
        if *count == Count::Yes {
            if buckets.len() >= MOST && !buckets.contains_key(key) {
                // Whoever is due no later than somebody new is as good as new. If that is nobody, all begin anew.
                buckets.retain(|_, other| *other > due);
                if buckets.len() >= MOST {
                    buckets.clear();
                }
            }
            buckets.insert(key.clone(), due);
        }
        Ok(allowed)
    }
}

/// The service's clock, in nanoseconds since the Unix epoch; 0 before it is set.
#[derive(Clone, Debug, Default)]
struct ServiceClock(Arc<OnceLock<Clock>>);

impl governor::clock::Clock for ServiceClock {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        let ms = self.0.get().map_or(0, |clock| clock.now().as_millisecond());
        Nanos::from(u64::try_from(ms).unwrap_or(0).min(END) * 1_000_000)
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;

    const HERE: ClientAddress = ClientAddress(IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1)));
    const THERE: ClientAddress = ClientAddress(IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2)));

    #[test]
    fn an_identity_may_ask_so_often_in_a_second_and_then_has_to_wait() {
        let clock = Clock::default();
        let limits = Limits::new(&clock, 3, 0);
        (0..3).for_each(|_| limits.identity("a", Form::Containers).unwrap());
        let refused = limits.identity("a", Form::Containers).unwrap_err();
        assert_eq!((refused.status.as_u16(), refused.code, refused.retry_after.unwrap().get()), (429, "G0429", 1));
        limits.identity("b", Form::Containers).unwrap();
        clock.advance(SignedDuration::from_secs(1));
        limits.identity("a", Form::Management).unwrap();
        let free = Limits::new(&clock, 0, 0);
        (0..10_000).for_each(|_| free.identity("a", Form::Containers).unwrap());
    }

    #[test]
    fn whoever_is_no_identity_is_counted_by_where_requests_come_from() {
        let clock = Clock::default();
        let limits = Limits::new(&clock, 3, 0);
        (0..3).for_each(|_| limits.stranger(Some(&HERE)).unwrap());
        assert_eq!(limits.stranger(Some(&HERE)), Err(1));
        limits.stranger(Some(&THERE)).unwrap();
        limits.user("IAM#ada@example.com").unwrap();
        limits.clear();
        limits.stranger(Some(&HERE)).unwrap();
        let free = Limits::new(&clock, 0, 0);
        (0..10_000).for_each(|_| free.stranger(Some(&HERE)).unwrap());
    }

    #[test]
    fn wrong_credentials_keep_right_ones_from_being_tried_for_a_while() {
        let clock = Clock::default();
        let limits = Limits::new(&clock, 0, 0);
        // More than the burst, since a slow machine earns a few back meanwhile.
        for _ in 0..2 * WRONG_AT_ONCE.get() {
            limits.login_failed(HERE);
        }
        assert_eq!(limits.login(HERE).unwrap_err().code, "BXNIM0429E");
        limits.login(THERE).unwrap();
        clock.advance(SignedDuration::from_secs(60));
        limits.login(HERE).unwrap();
    }

    #[test]
    fn only_so_many_browsers_of_an_address_are_sent_to_the_provider() {
        let clock = Clock::default();
        let limits = Limits::new(&clock, 0, 0);
        let sent = (0..1000).take_while(|_| limits.redirect(HERE).is_ok()).count();
        assert!((100..1000).contains(&sent), "{sent}");
        limits.redirect(THERE).unwrap();
        limits.login(HERE).unwrap();
        clock.advance(SignedDuration::from_secs(2));
        limits.redirect(HERE).unwrap();
    }

    #[test]
    fn a_clock_that_is_set_back_locks_nobody_out() {
        let clock = Clock::ahead_by(10 * 365 * 86_400_000);
        let limits = Limits::new(&clock, 1, 0);
        limits.identity("a", Form::Containers).unwrap();
        clock.set(0);
        limits.clear();
        limits.identity("a", Form::Containers).unwrap();
        clock.set(i64::MAX / 2);
        (0..10).for_each(|_| limits.identity("a", Form::Containers).unwrap());
    }

    #[test]
    fn only_so_many_are_remembered() {
        let clock = Clock::default();
        let limiter = Limiter::new(Quota::per_second(WRONG_PER_SECOND), &clock);
        (0..MOST + 10).for_each(|key| limiter.take(key).unwrap());
        assert!(limiter.buckets.lock().len() <= MOST);
    }

    #[test]
    fn only_a_trusted_proxy_says_where_a_request_comes_from() {
        let proxies: Vec<IpNet> = ["10.0.0.0/8".parse().unwrap(), "::1/128".parse().unwrap()].to_vec();
        let cases = [
            ("192.0.2.9", "198.51.100.1", "192.0.2.9"),
            ("10.0.0.1", "198.51.100.1", "198.51.100.1"),
            ("10.0.0.1", "", "10.0.0.1"),
            ("10.0.0.1", "203.0.113.5, 198.51.100.1, 10.0.0.2", "198.51.100.1"),
            ("10.0.0.1", "198.51.100.1:4711", "198.51.100.1"),
            ("10.0.0.1", "nonsense", "10.0.0.1"),
            ("::1", "2001:db8::1", "2001:db8::1"),
            ("::ffff:10.0.0.1", "198.51.100.1", "198.51.100.1"),
        ];
        for (peer, forwarded, expected) in cases {
            let mut headers = HeaderMap::new();
            headers.insert("x-forwarded-for", forwarded.parse().unwrap());
            let found = client_address(&proxies, peer.parse().unwrap(), &headers);
            assert_eq!(found.0, expected.parse::<IpAddr>().unwrap(), "{peer} says {forwarded}");
        }
    }

    #[test]
    fn a_network_of_one_customer_counts_as_one_address() {
        let of = |text: &str| network(text.parse().unwrap());
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:2"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
        assert_ne!(of("192.0.2.1"), of("192.0.2.2"));
    }
}
