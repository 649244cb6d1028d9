//! Connections, transactions, and the counters by which readers notice that something was written.

use std::fs::{OpenOptions, Permissions};
use std::ops::{Deref, DerefMut};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use boatyard_core::seal::Sealer;
use sqlx::any::AnyPoolOptions;
use sqlx::migrate::Migrator;
use sqlx::pool::PoolConnection;
use sqlx::{Any, AnyConnection, AnyPool, Executor as _, Transaction};
use tracing::info;

use crate::Result;
use crate::sealing::{self, Keys};

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
    /// Keys of sealed values are missing or wrong; the text says which, and what to do.
    #[error("{0}")]
    EncryptionKey(String),
    #[error("the database cannot be brought to this version: {0}")]
    Migrate(#[from] sqlx::migrate::MigrateError),
    #[error("the database failed: {0}")]
    Database(sqlx::Error),
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        match &error {
            sqlx::Error::Database(e) if e.is_unique_violation() => Error::Duplicate,
            // Two transactions waited for each other; this one was rolled back, and may be tried again.
            sqlx::Error::Database(e) if matches!(e.code().as_deref(), Some("40P01" | "40001")) => Error::Stale,
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
    /// Faults that were ordered.
    Faults,
    /// The trail; nothing caches it.
    Audit,
    /// Objects of virtual clusters, which their API servers keep themselves.
    Kube,
}

const DOMAINS: [Domain; 6] = [Domain::Identity, Domain::Sessions, Domain::Fleet, Domain::Faults, Domain::Audit, Domain::Kube];

/// All migrations of this version.
pub(crate) static MIGRATOR: Migrator = sqlx::migrate!();

/// The database. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Store {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    read: AnyPool,
    write: AnyPool,
    sealer: Sealer,
    /// Writes seen, by domain. Absent where other processes write too.
    generations: Option<[AtomicU64; DOMAINS.len()]>,
}

impl Store {
    /// Opens the SQLite database `boatyard.db` in `dir`, with the encryption key of that folder. See [`Store::sqlite_with`].
    ///
    /// # Errors
    /// As [`Store::sqlite_with`].
    pub async fn sqlite(dir: &Path) -> Result<Self> {
        Self::sqlite_with(dir, Keys::Folder(dir.to_owned())).await
    }

    /// Opens the SQLite database `boatyard.db` in `dir`, creating and upgrading it as needed. Only one process may have it open.
    ///
    /// # Errors
    /// When the file cannot be opened, or holds a schema that this version does not know; [`Error::EncryptionKey`] if it holds what
    /// the keys do not open.
    pub async fn sqlite_with(dir: &Path, keys: Keys) -> Result<Self> {
        sqlx::any::install_default_drivers();
        let file = dir.join("boatyard.db");
        for_owner_only(&file).map_err(sqlx::Error::Io)?;
        // The driver takes a URL: what means something in one must not in a path.
        let path = file.display().to_string().replace('%', "%25").replace('?', "%3F").replace('#', "%23");
        let url = format!("sqlite://{path}?mode=rw");
        let pool = |connections| {
            // A reader drops its page cache whenever somebody wrote; mapped pages need no copy to come back.
            AnyPoolOptions::new().max_connections(connections).idle_timeout(None).max_lifetime(None).after_connect(|conn, _| {
                Box::pin(async move {
                    conn.execute(
                        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; \
                         PRAGMA busy_timeout = 10000; PRAGMA temp_store = MEMORY; PRAGMA mmap_size = 1073741824",
                    )
                    .await?;
                    Ok(())
                })
            })
        };
        let write = pool(1).connect(&url).await?;
        MIGRATOR.run(&write).await?;
        let sealer = keys.sealer(&mut *write.acquire().await?).await?;
        let read = pool(4).connect_lazy(&url)?;
        let store = Self { inner: Arc::new(Inner { read, write, sealer, generations: Some(Default::default()) }) };
        if store.reseal().await? > 0 {
            // What was sealed anew stands in freed pages and in the log in its old form, until they are written over.
            let mut conn = store.inner.write.acquire().await?;
            conn.execute("VACUUM").await?;
            conn.execute("PRAGMA wal_checkpoint(TRUNCATE)").await?;
        }
        Ok(store)
    }

    /// Connects to PostgreSQL at `url` (`postgres://user:password@host/database`).
    ///
    /// # Errors
    /// When the server cannot be reached, or holds a schema that this version does not know; [`Error::EncryptionKey`] if it holds
    /// what the keys do not open.
    pub async fn postgres(url: &str, keys: Keys) -> Result<Self> {
        sqlx::any::install_default_drivers();
        let pool = AnyPoolOptions::new().max_connections(16).connect(url).await?;
        MIGRATOR.run(&pool).await?;
        info!("connected to PostgreSQL");
        let sealer = keys.sealer(&mut *pool.acquire().await?).await?;
        let store = Self { inner: Arc::new(Inner { read: pool.clone(), write: pool, sealer, generations: None }) };
        store.reseal().await?;
        Ok(store)
    }

    async fn reseal(&self) -> Result<usize> {
        let mut tx = self.write(Domain::Identity).await?;
        let changed = sealing::reseal(&mut tx, self.sealer()).await?;
        if changed > 0 {
            tx.commit().await?;
        }
        Ok(changed)
    }

    /// Seals and opens the secrets that have to be read again.
    #[must_use]
    pub fn sealer(&self) -> &Sealer {
        &self.inner.sealer
    }

    /// A connection to read with.
    ///
    /// # Errors
    /// When none can be had in time.
    pub async fn read(&self) -> Result<PoolConnection<Any>> {
        Ok(self.inner.read.acquire().await?)
    }

    /// Begins a transaction that reads, and sees the database as it was when it read first: what is committed meanwhile is not there.
    ///
    /// # Errors
    /// When no connection can be had in time.
    pub async fn read_at_once(&self) -> Result<Transaction<'static, Any>> {
        let mut tx = self.inner.read.begin().await?;
        // Each transaction of SQLite is like that.
        if !self.is_embedded() {
            tx.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY").await?;
        }
        Ok(tx)
    }

    /// Begins a transaction that writes rows of `domain`. It is rolled back unless [`Tx::commit`] is called.
    ///
    /// # Errors
    /// When no connection can be had in time.
    pub async fn write(&self, domain: Domain) -> Result<Tx> {
        Ok(Tx { tx: self.inner.write.begin().await?, domains: vec![domain], store: self.clone() })
    }

    /// Begins a transaction that writes rows of every domain.
    ///
    /// # Errors
    /// When no connection can be had in time.
    pub async fn write_all(&self) -> Result<Tx> {
        Ok(Tx { tx: self.inner.write.begin().await?, domains: DOMAINS.to_vec(), store: self.clone() })
    }

    /// Whether this is the embedded database, which no other process writes to.
    pub(crate) fn is_embedded(&self) -> bool {
        self.inner.generations.is_some()
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
    tx: Transaction<'static, Any>,
    domains: Vec<Domain>,
    store: Store,
}

impl Tx {
    /// See [`Store::is_embedded`].
    pub(crate) fn is_embedded(&self) -> bool {
        self.store.is_embedded()
    }

    pub(crate) fn sealer(&self) -> &Sealer {
        self.store.sealer()
    }

    /// Lets the transaction write rows of another domain as well.
    #[must_use]
    pub fn and(mut self, domain: Domain) -> Self {
        self.domains.push(domain);
        self
    }

    /// Makes everything written durable, and lets caches know before the caller answers anybody.
    ///
    /// # Errors
    /// When the database refuses; then nothing was written.
    pub async fn commit(self) -> Result<()> {
        // In a task of its own: a request that is cancelled while the database works must not leave a write that no cache knows of.
        let done = tokio::spawn(async move {
            self.tx.commit().await?;
            if let Some(generations) = &self.store.inner.generations {
                for domain in &self.domains {
                    generations[*domain as usize].fetch_add(1, Ordering::Release);
                }
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
