//! Logins with a browser. A browser is known by a random cookie, of which only the digest is stored, and only once somebody has
//! logged in with it. What forms carry against forgery is derived from the cookie, so it needs no storing at all.

use boatyard_core::secret::{self, ExposeSecret as _, SecretString};
use boatyard_core::{Digest, id};
use boatyard_store::tokens::Passcode;
use boatyard_store::{Domain, accounts, browser_sessions, federation};

use crate::{Error, Iam, Result};

/// Seconds after which a login with a browser ends.
pub const BROWSER_SESSION_SECONDS: i64 = 24 * 3600;
/// Seconds without use after which it ends.
pub const BROWSER_IDLE_SECONDS: i64 = 2 * 3600;
/// How exactly the last use is noted, in milliseconds, so that not every page that is shown is a write.
const USE_NOTED_MS: i64 = 60_000;
/// Characters of a cookie, six random bits each.
const COOKIE_LENGTH: usize = 43;

/// A browser, known by its cookie, whether or not somebody has logged in with it.
#[derive(Clone, Debug)]
pub struct Browser(SecretString);

impl Browser {
    /// One that was never seen before.
    #[must_use]
    pub fn new() -> Self {
        Self(id::token::<COOKIE_LENGTH>().into())
    }

    /// The one that sent a cookie; `None` if the cookie was not made here.
    #[must_use]
    pub fn of_cookie(cookie: &str) -> Option<Self> {
        let well_formed =
            cookie.len() == COOKIE_LENGTH && cookie.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
        well_formed.then(|| Self(cookie.into()))
    }

    /// The value of its cookie.
    #[must_use]
    pub fn cookie(&self) -> &str {
        self.0.expose_secret()
    }

    /// What every form for this browser carries, which another site cannot know.
    #[must_use]
    pub fn form_token(&self) -> String {
        self.derived("form")
    }

    /// Whether a form carries it.
    #[must_use]
    pub fn sent_form(&self, token: &str) -> bool {
        secret::same(&self.form_token(), token)
    }

    /// A passcode with what shows that it was made for this browser.
    #[must_use]
    pub fn seal_passcode(&self, passcode: &str) -> String {
        format!("{passcode}.{}", self.derived(&format!("passcode {passcode}")))
    }

    /// The passcode in what [`Browser::seal_passcode`] made; `None` if it was made for another browser or by somebody else.
    #[must_use]
    pub fn open_passcode<'a>(&self, sealed: &'a str) -> Option<&'a str> {
        let (passcode, proof) = sealed.split_once('.')?;
        secret::same(&self.derived(&format!("passcode {passcode}")), proof).then_some(passcode)
    }

    pub(crate) fn derived(&self, purpose: &str) -> String {
        secret::derived(&self.0, purpose)
    }

    pub(crate) fn digest(&self) -> Digest {
        Digest::of(self.cookie())
    }
}

impl Default for Browser {
    fn default() -> Self {
        Self::new()
    }
}

/// Somebody who is logged in with a browser.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrowserLogin {
    pub iam_id: String,
    pub username: String,
    /// The issuer of the identity provider that vouches for the user.
    pub issuer: Option<String>,
    /// How many accounts the user is a member of.
    pub accounts: i64,
}

impl Iam {
    /// Logs a user in by name and password. What the login belongs to from now on is the browser that is returned, so that a
    /// cookie somebody planted beforehand is worth nothing.
    ///
    /// # Errors
    /// If user name or password is wrong, or the user has no password.
    pub async fn browser_login(&self, browser: &Browser, username: &str, password: &SecretString) -> Result<Browser> {
        let person = self.password_login(username, password).await?;
        self.browser_login_of(browser, &person.iam_id).await
    }

    /// Logs in a user whom the identity provider vouches for, as [`Iam::browser_login`] does.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn browser_login_of(&self, browser: &Browser, iam_id: &str) -> Result<Browser> {
        let logged_in = Browser::new();
        let mut tx = self.inner.store.write(Domain::Sessions).await?;
        browser_sessions::delete(&mut tx, browser.digest()).await?;
        browser_sessions::insert(&mut tx, logged_in.digest(), iam_id, self.inner.clock.now().as_millisecond()).await?;
        tx.commit().await?;
        Ok(logged_in)
    }

    /// Who is logged in with a browser.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn browser_login_get(&self, browser: &Browser) -> Result<Option<BrowserLogin>> {
        let now = self.inner.clock.now().as_millisecond();
        let (created_after, used_after) = ended_before(now);
        let mut conn = self.inner.store.read().await?;
        let found = browser_sessions::get(&mut conn, browser.digest(), created_after, used_after).await?;
        let Some(session) = found else { return Ok(None) };
        let iam_id = session.user.iam_id;
        let identity = federation::of_user(&mut conn, &iam_id).await?;
        let accounts = accounts::count(&mut conn, &iam_id).await?;
        drop(conn);
        if now - session.used_at > USE_NOTED_MS {
            let mut tx = self.inner.store.write(Domain::Sessions).await?;
            browser_sessions::touch(&mut tx, browser.digest(), now).await?;
            tx.commit().await?;
        }
        let issuer = identity.map(|identity| identity.issuer);
        Ok(Some(BrowserLogin { iam_id, username: session.user.username, issuer, accounts }))
    }

    /// A passcode for whoever is logged in with a browser.
    ///
    /// # Errors
    /// [`Error::TokenExpired`] if nobody is, or not any more.
    pub async fn browser_passcode(&self, browser: &Browser) -> Result<String> {
        let login = self.browser_login_get(browser).await?.ok_or(Error::TokenExpired)?;
        let iam_id = login.iam_id.clone();
        self.passcode_issue(&Passcode { iam_id, account_id: None, api_key_id: None, session_id: None }).await
    }

    /// Ends the login of a browser, if there is one.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn browser_logout(&self, browser: &Browser) -> Result<()> {
        let mut tx = self.inner.store.write(Domain::Sessions).await?;
        browser_sessions::delete(&mut tx, browser.digest()).await?;
        Ok(tx.commit().await?)
    }

    /// Forgets logins that ended, and browsers that did not come back from the identity provider.
    pub(crate) async fn browsers_sweep(&self) -> Result<()> {
        let now = self.inner.clock.now().as_millisecond();
        let (created_before, used_before) = ended_before(now);
        let mut tx = self.inner.store.write(Domain::Sessions).await?;
        browser_sessions::ended_delete(&mut tx, created_before, used_before).await?;
        federation::redirects_expired_delete(&mut tx, now).await?;
        Ok(tx.commit().await?)
    }
}

/// Logins made before the first or last used before the second time have ended at `now`. Milliseconds since the Unix epoch.
fn ended_before(now: i64) -> (i64, i64) {
    (now - BROWSER_SESSION_SECONDS * 1000, now - BROWSER_IDLE_SECONDS * 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_is_taken_only_in_the_form_in_which_it_is_made() {
        let browser = Browser::new();
        assert!(Browser::of_cookie(browser.cookie()).is_some());
        for cookie in ["", "short", &"x".repeat(44), &format!("{}=", "x".repeat(42)), &"\u{e9}".repeat(43)] {
            assert!(Browser::of_cookie(cookie).is_none(), "{cookie}");
        }
    }

    #[test]
    fn what_was_made_for_one_browser_is_nothing_to_another() {
        let (one, other) = (Browser::new(), Browser::new());
        assert!(one.sent_form(&one.form_token()));
        assert!(!other.sent_form(&one.form_token()));
        assert!(!one.sent_form(""));
        let sealed = one.seal_passcode("ABCDEFGHJK");
        assert_eq!(one.open_passcode(&sealed), Some("ABCDEFGHJK"));
        assert_eq!(other.open_passcode(&sealed), None);
        assert_eq!(one.open_passcode(&sealed.replace('A', "B")), None);
        assert_eq!(one.open_passcode("ABCDEFGHJK"), None);
        assert!(!format!("{one:?}").contains(one.cookie()), "a browser is not printed with its cookie");
    }
}
