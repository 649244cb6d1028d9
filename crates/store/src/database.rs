//! Connections, transactions, and the counters by which readers notice that something was written.

use std::fs::{OpenOptions, Permissions};
use std::ops::{Deref, DerefMut};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use sqlx::any::AnyPoolOptions;
use sqlx::pool::PoolConnection;
use sqlx::{Any, AnyConnection, AnyPool, Executor as _};
use tracing::info;

use crate::Result;

/// A connection; both transactions and pooled readers lend one.
pub type Conn = AnyConnection;

/// Why the database did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A row with the same unique value exists.
    #[error("a row with the same value exists already")]
    Duplicate,
    /// The row changed or went away since it was read.
    #[error("the row was changed by somebody else")]
    Stale,
    /// A stored document is not readable; the database was written by something else.
    #[error("a stored document is not readable: {0}")]
    Corrupt(#[from] serde_json::Error),
    #[error("the database cannot be brought to this version: {0}")]
    Migrate(#[from] sqlx::migrate::MigrateError),
    #[error("the database failed: {0}")]
    Database(sqlx::Error),
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        match &error {
            sqlx::Error::Database(e) if e.is_unique_violation() => Error::Duplicate,
            _ => Error::Database(error),
        }
    }
}

/// What a transaction writes, so that only the caches of that domain are refilled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Domain {
    /// Accounts, users, API keys, signing keys, resource groups.
    Identity,
    /// Refresh tokens and passcodes; nothing caches them.
    Sessions,
    /// Networks, clusters, pools and workers.
    Fleet,
}

const DOMAINS: usize = 3;

/// The database. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Store {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    read: AnyPool,
    write: AnyPool,
    /// Writes seen, by domain. Absent where other processes write too.
    generations: Option<[AtomicU64; DOMAINS]>,
}

impl Store {
    /// Opens the SQLite database `boatyard.db` in `dir`, creating and upgrading it as needed. Only one process may have it open.
    ///
    /// # Errors
    /// When the file cannot be opened, or holds a schema that this version does not know.
    pub async fn sqlite(dir: &Path) -> Result<Self> {
        sqlx::any::install_default_drivers();
        let file = dir.join("boatyard.db");
        for_owner_only(&file).map_err(sqlx::Error::Io)?;
        // The driver takes a URL: what means something in one must not in a path.
        let path = file.display().to_string().replace('%', "%25").replace('?', "%3F").replace('#', "%23");
        let url = format!("sqlite://{path}?mode=rw");
        let pool = |connections| {
            AnyPoolOptions::new().max_connections(connections).idle_timeout(None).max_lifetime(None).after_connect(|conn, _| {
                Box::pin(async move {
                    conn.execute(
                        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; \
                         PRAGMA busy_timeout = 10000; PRAGMA temp_store = MEMORY",
                    )
                    .await?;
                    Ok(())
                })
            })
        };
        let write = pool(1).connect(&url).await?;
        sqlx::migrate!().run(&write).await?;
        let read = pool(4).connect_lazy(&url)?;
        Ok(Self { inner: Arc::new(Inner { read, write, generations: Some(Default::default()) }) })
    }

    /// Connects to PostgreSQL at `url` (`postgres://user:password@host/database`).
    ///
    /// # Errors
    /// When the server cannot be reached, or holds a schema that this version does not know.
    pub async fn postgres(url: &str) -> Result<Self> {
        sqlx::any::install_default_drivers();
        let pool = AnyPoolOptions::new().max_connections(16).connect(url).await?;
        sqlx::migrate!().run(&pool).await?;
        info!("connected to PostgreSQL");
        Ok(Self { inner: Arc::new(Inner { read: pool.clone(), write: pool, generations: None }) })
    }

    /// A connection to read with.
    ///
    /// # Errors
    /// When none can be had in time.
    pub async fn read(&self) -> Result<PoolConnection<Any>> {
        Ok(self.inner.read.acquire().await?)
    }

    /// Begins a transaction that writes rows of `domain`. It is rolled back unless [`Tx::commit`] is called.
    ///
    /// # Errors
    /// When no connection can be had in time.
    pub async fn write(&self, domain: Domain) -> Result<Tx> {
        Ok(Tx { tx: self.inner.write.begin().await?, domain, store: self.clone() })
    }

    /// How many writes to `domain` have been committed, or `None` where other processes may write unseen.
    #[must_use]
    pub fn generation(&self, domain: Domain) -> Option<u64> {
        self.inner.generations.as_ref().map(|g| g[domain as usize].load(Ordering::Acquire))
    }

    /// Closes all connections; SQLite then folds its log into the database file.
    pub async fn close(&self) {
        self.inner.read.close().await;
        self.inner.write.close().await;
    }
}

/// Makes the database file, or takes it back, for its owner only: it holds signing keys. SQLite gives its log files the same mode.
fn for_owner_only(file: &Path) -> std::io::Result<()> {
    let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(file)?;
    file.set_permissions(Permissions::from_mode(0o600))
}

/// A transaction.
#[derive(Debug)]
pub struct Tx {
    tx: sqlx::Transaction<'static, Any>,
    domain: Domain,
    store: Store,
}

impl Tx {
    /// Makes everything written durable, and lets caches know before the caller answers anybody.
    ///
    /// # Errors
    /// When the database refuses; then nothing was written.
    pub async fn commit(self) -> Result<()> {
        // In a task of its own: a request that is cancelled while the database works must not leave a write that no cache knows of.
        let done = tokio::spawn(async move {
            self.tx.commit().await?;
            if let Some(generations) = &self.store.inner.generations {
                generations[self.domain as usize].fetch_add(1, Ordering::Release);
            }
            Ok(())
        });
        done.await.map_err(|e| Error::Database(sqlx::Error::Io(std::io::Error::other(e))))?
    }
}

impl Deref for Tx {
    type Target = Conn;
    fn deref(&self) -> &Conn {
        &self.tx
    }
}

impl DerefMut for Tx {
    fn deref_mut(&mut self) -> &mut Conn {
        &mut self.tx
    }
}
