//! Passwords: argon2id, and attempts that slow down.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use boatyard_core::secret::{ExposeSecret as _, SecretString};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::{Error, Result};

/// Hashes at once. Each takes 19 MiB and some twenty milliseconds of a core.
const AT_ONCE: usize = 2;
/// Hashes that may wait for their turn; at some twenty milliseconds each, the last waits less than two seconds.
const MOST_QUEUED: usize = 128;
/// Users whose failures are remembered; beyond it those with the fewest are forgotten.
const MOST_USERS: usize = 10_000;
/// Attempts of one user, after a wrong one, that may be made or wait for their turn.
const MOST_WAITING: usize = 4;

/// How long an attempt is held back after that many wrong ones in a row: not at all after two, then twice as long each time, from
/// a quarter of a second to eight seconds.
#[must_use]
pub(crate) fn delay(failures: u32) -> Duration {
    match failures {
        0..=2 => Duration::ZERO,
        n => Duration::from_millis(250 << (n - 3).min(5)),
    }
}

#[derive(Debug)]
pub(crate) struct Passwords {
    hashing: Arc<Semaphore>,
    queue: Semaphore,
    attempts: Mutex<HashMap<String, Arc<Attempts>>>,
}

#[derive(Debug)]
struct Attempts {
    /// Wrong ones in a row.
    failures: AtomicU32,
    /// Held while an attempt is made after a wrong one, so that they come one after another.
    turn: tokio::sync::Mutex<()>,
    places: Semaphore,
}

impl Default for Passwords {
    fn default() -> Self {
        Self { hashing: Arc::new(Semaphore::new(AT_ONCE)), queue: Semaphore::new(MOST_QUEUED), attempts: Mutex::default() }
    }
}

impl Passwords {
    /// The hash of a new password, in PHC form.
    ///
    /// # Errors
    /// When the hash cannot be computed.
    pub async fn hash(&self, password: &SecretString) -> Result<String> {
        let password = password.clone();
        let job = move || Argon2::default().hash_password(password.expose_secret().as_bytes()).map(|hash| hash.to_string());
        let (hash, _permit) = Self::work(self.permit().await?, job).await?;
        hash.map_err(|e| Error::Interrupted(e.to_string()))
    }

    /// Checks a password. A user who does not exist (`hash` is `None`) takes as long as one who does.
    ///
    /// # Errors
    /// [`Error::WrongPassword`], or [`Error::TooManyAttempts`] when too many are waiting.
    pub async fn check(&self, username: &str, password: &SecretString, hash: Option<&str>) -> Result<()> {
        let attempts = self.attempts_of(username);
        // Programs that log in as one user at the same time, with the right password, do not wait for each other.
        if attempts.failures.load(Ordering::Acquire) == 0 {
            let permit = self.permit().await?;
            // While this one waited, another may have failed; then it waits for its turn after all.
            if attempts.failures.load(Ordering::Acquire) == 0 {
                return self.attempt(&attempts, username, password, hash, permit).await;
            }
        }
        let _place = attempts.places.try_acquire().map_err(|_| Error::TooManyAttempts)?;
        let _turn = attempts.turn.lock().await;
        tokio::time::sleep(delay(attempts.failures.load(Ordering::Acquire))).await;
        let permit = self.permit().await?;
        self.attempt(&attempts, username, password, hash, permit).await
    }

    async fn attempt(
        &self,
        attempts: &Arc<Attempts>,
        username: &str,
        password: &SecretString,
        hash: Option<&str>,
        permit: OwnedSemaphorePermit,
    ) -> Result<()> {
        // The permit is given back after counting, so that whoever gets it next sees this failure.
        let (right, _permit) = Self::verify(password, hash, permit).await?;
        if right {
            attempts.failures.store(0, Ordering::Release);
            self.forget(username);
            return Ok(());
        }
        // Never back to 0 by counting over; four billion attempts take centuries at eight seconds each.
        attempts.failures.fetch_add(1, Ordering::AcqRel);
        Err(Error::WrongPassword { username: username.to_owned() })
    }

    /// Whether a password is the one of `hash`, for whoever administers this installation: nothing is counted or slowed down.
    ///
    /// # Errors
    /// When the hash is not one.
    pub async fn is(&self, password: &SecretString, hash: &str) -> Result<bool> {
        Ok(Self::verify(password, Some(hash), self.permit().await?).await?.0)
    }

    async fn verify(
        password: &SecretString,
        hash: Option<&str>,
        permit: OwnedSemaphorePermit,
    ) -> Result<(bool, OwnedSemaphorePermit)> {
        // The hash of nothing anybody could type, for users who do not exist.
        const NOBODY: &str = "$argon2id$v=19$m=19456,t=2,p=1$Ym9hdHlhcmQtbm9ib2R5$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
        let (exists, hash, password) = (hash.is_some(), hash.unwrap_or(NOBODY).to_owned(), password.clone());
        let job = move || {
            let hash = PasswordHash::new(&hash).map_err(|e| Error::Interrupted(e.to_string()))?;
            Ok(Argon2::default().verify_password(password.expose_secret().as_bytes(), &hash).is_ok() && exists)
        };
        let (right, permit) = Self::work(permit, job).await?;
        right.map(|right| (right, permit))
    }

    async fn permit(&self) -> Result<OwnedSemaphorePermit> {
        let _place = self.queue.try_acquire().map_err(|_| Error::TooManyAttempts)?;
        Arc::clone(&self.hashing).acquire_owned().await.map_err(|e| Error::Interrupted(e.to_string()))
    }

    /// Runs a job that holds its permit to the end: a client that goes away ends the waiting, not the hashing.
    async fn work<T: Send + 'static>(
        permit: OwnedSemaphorePermit,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> Result<(T, OwnedSemaphorePermit)> {
        let job = move || (job(), permit);
        tokio::task::spawn_blocking(job).await.map_err(|e| Error::Interrupted(e.to_string()))
    }

    fn attempts_of(&self, username: &str) -> Arc<Attempts> {
        let mut all = self.attempts.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= MOST_USERS && !all.contains_key(username) {
            // Only names nobody is trying now can go; which of them hardly matters.
            all.retain(|_, attempts| Arc::strong_count(attempts) > 1 || attempts.failures.load(Ordering::Relaxed) > 2);
            if all.len() >= MOST_USERS {
                all.clear();
            }
        }
        let new = || {
            Arc::new(Attempts {
                failures: AtomicU32::new(0),
                turn: tokio::sync::Mutex::default(),
                places: Semaphore::new(MOST_WAITING),
            })
        };
        Arc::clone(all.entry(username.to_owned()).or_insert_with(new))
    }

    fn forget(&self, username: &str) {
        self.attempts.lock().unwrap_or_else(PoisonError::into_inner).remove(username);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempts_are_held_back_longer_after_each_failure_up_to_a_limit() {
        let ms: Vec<_> = (0..12).map(|failures| delay(failures).as_millis()).collect();
        assert_eq!(ms, [0, 0, 0, 250, 500, 1000, 2000, 4000, 8000, 8000, 8000, 8000]);
        assert_eq!(delay(u32::MAX), Duration::from_secs(8));
    }

    #[tokio::test]
    async fn a_password_is_recognised_and_a_wrong_one_and_an_unknown_user_are_refused_alike() {
        let passwords = Passwords::default();
        let right = SecretString::from("correct horse");
        let hash = passwords.hash(&right).await.unwrap();
        assert!(hash.starts_with("$argon2id$"), "{hash}");
        assert!(passwords.check("ada", &right, Some(&hash)).await.is_ok());
        let wrong = SecretString::from("battery staple");
        for hash in [Some(hash.as_str()), None] {
            let refused = passwords.check("ada", &wrong, hash).await;
            assert!(matches!(refused, Err(Error::WrongPassword { .. })), "{refused:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_right_password_ends_the_slowing_down() {
        let passwords = Passwords::default();
        let (right, wrong) = (SecretString::from("right"), SecretString::from("wrong"));
        let hash = passwords.hash(&right).await.unwrap();
        for _ in 0..5 {
            assert!(passwords.check("ada", &wrong, Some(&hash)).await.is_err());
        }
        let before = tokio::time::Instant::now();
        assert!(passwords.check("ada", &right, Some(&hash)).await.is_ok());
        assert!(before.elapsed() >= delay(5), "the attempt after five failures is held back even if it is right");
        let before = tokio::time::Instant::now();
        assert!(passwords.check("ada", &right, Some(&hash)).await.is_ok());
        assert!(before.elapsed() < delay(3), "and the next one is not");
    }

    /// How many of that many attempts at the same time were right, wrong, and refused without a look.
    async fn at_once(passwords: &Arc<Passwords>, count: usize, password: &str, hash: &str) -> [usize; 3] {
        let attempts: Vec<_> = (0..count)
            .map(|_| {
                let (passwords, password, hash) = (Arc::clone(passwords), SecretString::from(password), hash.to_owned());
                tokio::spawn(async move { passwords.check("ada", &password, Some(&hash)).await })
            })
            .collect();
        let mut counted = [0; 3];
        for attempt in attempts {
            match attempt.await.unwrap() {
                Ok(()) => counted[0] += 1,
                Err(Error::WrongPassword { .. }) => counted[1] += 1,
                Err(Error::TooManyAttempts) => counted[2] += 1,
                Err(error) => panic!("{error}"),
            }
        }
        counted
    }

    #[tokio::test(start_paused = true)]
    async fn many_programs_may_log_in_as_one_user_at_the_same_time() {
        let passwords = Arc::new(Passwords::default());
        let hash = passwords.hash(&SecretString::from("right")).await.unwrap();
        assert_eq!(at_once(&passwords, 3 * MOST_WAITING, "right", &hash).await, [3 * MOST_WAITING, 0, 0]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_burst_of_guesses_cannot_get_ahead_of_the_slowing_down() {
        let passwords = Arc::new(Passwords::default());
        let hash = passwords.hash(&SecretString::from("right")).await.unwrap();
        let before = tokio::time::Instant::now();
        let [right, wrong, refused] = at_once(&passwords, 30, "wrong", &hash).await;
        assert_eq!((right, wrong + refused), (0, 30));
        assert!(wrong <= AT_ONCE + MOST_WAITING, "{wrong} were looked at, of which only {MOST_WAITING} may wait");
        // At most two began before any had failed; of the others each saw at least one failure more than the one before it.
        let held_back = (1..=wrong.saturating_sub(AT_ONCE)).map(|failures| delay(u32::try_from(failures).unwrap())).sum();
        assert!(before.elapsed() >= held_back, "and those came one after another");
    }
}
