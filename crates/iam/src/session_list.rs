//! Sessions as people see them: listed, ended, kept; and whether a token is good.

use boatyard_store::sessions::{self, Filter, Session};
use boatyard_store::{Domain, Tx, browser_sessions, tokens};
use serde_json::Value;
use tracing::info;

use crate::{Caller, Client, Error, Iam};

/// The most sessions that one page of the list holds.
const PAGE: i64 = 100;

pub type Result<T, E = SessionError> = std::result::Result<T, E>;

/// What is refused of sessions.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    #[error("The session '{0}' could not be found. It may be over; list the sessions to see which are not.")]
    NotFound(String),
    #[error(transparent)]
    Iam(#[from] Error),
}

impl From<boatyard_store::Error> for SessionError {
    fn from(error: boatyard_store::Error) -> Self {
        SessionError::Iam(error.into())
    }
}

/// Which sessions to list; without identity and account, the caller's own.
#[derive(Clone, Debug, Default)]
pub struct SessionQuery {
    pub iam_id: Option<String>,
    pub account_id: Option<String>,
    /// The most sessions to answer: 1 to 100, which it is without it.
    pub limit: Option<i64>,
    /// Where the page begins, as the page before said.
    pub start: Option<String>,
}

/// A page of sessions.
#[derive(Debug)]
pub struct SessionPage {
    pub sessions: Vec<Session>,
    pub limit: i64,
    /// Where the next page starts; `None` on the last.
    pub next: Option<String>,
}

impl Iam {
    /// Sessions, the oldest first: the caller's own, or with the action of the operation others' in the caller's account.
    ///
    /// # Errors
    /// [`Error::Forbidden`], or the query is not understood.
    pub async fn sessions_list(&self, caller: &Caller, query: &SessionQuery) -> Result<SessionPage> {
        let limit = query.limit.unwrap_or(PAGE);
        if !(1..=PAGE).contains(&limit) {
            return Err(invalid("limit", &limit.to_string(), &format!("1 to {PAGE}")));
        }
        let after = query.start.as_deref().map(page_start).transpose()?;
        let own = match (&query.iam_id, &query.account_id) {
            (Some(iam_id), _) => *iam_id == caller.iam_id,
            (None, account_id) => account_id.is_none(),
        };
        let (iam_id, account_id) = match own {
            true => (Some(caller.iam_id.as_str()), query.account_id.as_deref()),
            false => {
                caller.permit_account(caller.action())?;
                let account = caller.account()?;
                if query.account_id.as_deref().is_some_and(|asked| asked != account) {
                    return Err(Error::AccountNotFound.into());
                }
                (query.iam_id.as_deref(), Some(account))
            }
        };
        let after = after.as_ref().map(|(at, id)| (*at, id.as_str()));
        let mut conn = self.inner.store.read().await?;
        let mut found = sessions::page(&mut conn, Filter { iam_id, account_id, after, limit: limit + 1 }).await?;
        let more = found.len() > usize::try_from(limit).unwrap_or(usize::MAX);
        if more {
            found.pop();
        }
        let next = found.last().filter(|_| more).map(|last| format!("{}.{}", last.created_at, last.id));
        Ok(SessionPage { sessions: found, limit, next })
    }

    /// Ends a session of the caller's own, or with the action of the operation another's in the caller's account.
    ///
    /// # Errors
    /// [`Error::Forbidden`], [`SessionError::NotFound`].
    pub async fn session_delete(&self, caller: &Caller, id: &str) -> Result<()> {
        let mut tx = self.sessions_begin().await?;
        let found = sessions::get(&mut tx, id).await?;
        if found.as_ref().is_none_or(|session| session.iam_id != caller.iam_id) {
            caller.permit_account(caller.action())?;
        }
        let reached = |session: &Session| session.iam_id == caller.iam_id || session.account_id == caller.account_id;
        let session = found.filter(reached).ok_or_else(|| SessionError::NotFound(id.chars().take(60).collect()))?;
        sessions::delete(&mut tx, id).await?;
        tx.commit().await?;
        info!(session = %session.id, of = %session.iam_id, by = %caller.iam_id, "session ended");
        Ok(())
    }

    /// Ends all sessions of the caller, or with the action of the operation all of another in the caller's account.
    ///
    /// # Errors
    /// [`Error::Forbidden`], or no identity is named.
    pub async fn sessions_delete(&self, caller: &Caller, iam_id: &str) -> Result<()> {
        if iam_id.is_empty() {
            return Err(Error::Missing { property: "iam_id" }.into());
        }
        let account_id = match iam_id == caller.iam_id {
            true => None,
            false => {
                caller.permit_account(caller.action())?;
                Some(caller.account()?)
            }
        };
        let mut tx = self.sessions_begin().await?;
        let ended = sessions::delete_by_identity(&mut tx, iam_id, account_id).await?;
        if account_id.is_none() {
            browser_sessions::delete_of_user(&mut tx, iam_id).await?;
            tokens::passcodes_delete(&mut tx, iam_id).await?;
        }
        tx.commit().await?;
        info!(ended, of = iam_id, by = %caller.iam_id, "sessions ended");
        Ok(())
    }

    /// Counts as use of a session, for the client that it was begun with.
    ///
    /// # Errors
    /// [`Error::SessionEnded`], also for one that never was; [`Error::ClientRequired`].
    pub async fn session_keep(&self, client: Client, id: &str) -> Result<()> {
        if client == Client::Default {
            return Err(Error::ClientRequired.into());
        }
        let ended = || Error::SessionEnded { session: id.chars().take(60).collect() };
        let found = sessions::get(&mut *self.inner.store.read().await?, id).await?;
        let session = found.filter(|session| session.client_id == client.id()).ok_or_else(ended)?;
        self.session_check(id, session.account_id.as_deref()).await?;
        let mut tx = self.inner.store.write(Domain::Sessions).await?;
        let kept = sessions::touch(&mut tx, id, session.account_id.as_deref(), self.inner.clock.now().as_millisecond()).await?;
        tx.commit().await?;
        if kept { Ok(()) } else { Err(ended().into()) }
    }

    /// The claims of an access token, if it is good at this moment.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn introspect(&self, token: &str) -> Result<Option<Value>, Error> {
        match self.authenticate(token).await {
            Ok(caller) => Ok(Some((*caller.claims).clone())),
            Err(Error::TokenMalformed | Error::TokenForeign | Error::TokenExpired) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Identities are looked at anew after this, and access tokens of a session with them.
    async fn sessions_begin(&self) -> Result<Tx> {
        Ok(self.inner.store.write(Domain::Sessions).await?.and(Domain::Identity))
    }
}

fn page_start(text: &str) -> Result<(i64, String)> {
    let parsed = text.split_once('.').and_then(|(at, id)| Some((at.parse().ok()?, id.to_owned())));
    parsed.ok_or_else(|| invalid("start", text, "the value in 'next' of the page before"))
}

fn invalid(property: &'static str, value: &str, valid: &str) -> SessionError {
    Error::Invalid { property, value: value.to_owned(), valid: valid.to_owned() }.into()
}
