//! Where a login is kept: a directory and two files that only their owner can read.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::{env, process};

use crate::error::Error;
use crate::state::State;

/// Directory of a login: `config.json` and the lock beside it.
#[derive(Clone, Debug)]
pub struct Home {
    dir: PathBuf,
}

/// The lock is held until this is dropped, by the process dying at the latest.
#[must_use]
pub(crate) struct Lock {
    _file: File,
}

impl Home {
    /// `$BOATYARD_HOME`, else `$XDG_CONFIG_HOME/boatyard`, else `~/.config/boatyard`.
    ///
    /// # Errors
    /// [`Error::Homeless`] when none of the variables is set.
    pub fn from_env() -> Result<Self, Error> {
        let set = |name: &str| env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
        let dir = set("BOATYARD_HOME")
            .or_else(|| set("XDG_CONFIG_HOME").map(|d| d.join("boatyard")))
            .or_else(|| env::home_dir().filter(|h| !h.as_os_str().is_empty()).map(|h| h.join(".config/boatyard")))
            .ok_or(Error::Homeless)?;
        Ok(Self { dir })
    }

    #[must_use]
    pub fn at(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into() }
    }

    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    #[must_use]
    pub fn config_file(&self) -> PathBuf {
        self.dir.join("config.json")
    }

    /// The login as it stands in the file now; nothing when there is no file.
    pub(crate) fn read(&self) -> Result<Option<State>, Error> {
        let path = self.config_file();
        match fs::read(&path) {
            Ok(text) => serde_json::from_slice(&text).map(Some).map_err(|e| Error::Garbled { path, reason: e.to_string() }),
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
            Err(source) => Err(Error::File { doing: "read the login in", path, source }),
        }
    }

    pub(crate) fn write(&self, state: &State) -> Result<(), Error> {
        let path = self.config_file();
        let mut text =
            serde_json::to_vec_pretty(state).map_err(|e| Error::Garbled { path: path.clone(), reason: e.to_string() })?;
        text.push(b'\n');
        self.make_dir()?;
        write_private(&path, &text).map_err(|source| Error::File { doing: "save the login in", path, source })
    }

    /// Waits until no other command, thread or process is changing the login.
    pub(crate) async fn lock(&self) -> Result<Lock, Error> {
        let home = self.clone();
        let locking = tokio::task::spawn_blocking(move || home.lock_blocking());
        match locking.await {
            Ok(result) => result,
            Err(stopped) => Err(self.lock_error(io::Error::other(stopped))),
        }
    }

    fn lock_blocking(&self) -> Result<Lock, Error> {
        self.make_dir()?;
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false);
        private(&mut options);
        let file = options.open(self.lock_file()).map_err(|e| self.lock_error(e))?;
        file.lock().map_err(|e| self.lock_error(e))?;
        Ok(Lock { _file: file })
    }

    /// A file of its own, because `config.json` is replaced by rename and a lock on it would be lost.
    fn lock_file(&self) -> PathBuf {
        self.dir.join("config.lock")
    }

    fn lock_error(&self, source: io::Error) -> Error {
        Error::File { doing: "lock", path: self.lock_file(), source }
    }

    fn make_dir(&self) -> Result<(), Error> {
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(&self.dir).map_err(|source| Error::File { doing: "create", path: self.dir.clone(), source })
    }
}

/// Replaces a file by one that only its owner can read (0600). Whoever reads meanwhile sees the old one or the new one.
///
/// # Errors
/// Whatever the file system says.
pub fn write_private(path: &Path, contents: &[u8]) -> io::Result<()> {
    static UNIQUE: AtomicU32 = AtomicU32::new(0);
    let mut name = path.file_name().ok_or(ErrorKind::InvalidInput)?.to_owned();
    name.push(format!(".{}-{}.tmp", process::id(), UNIQUE.fetch_add(1, Ordering::Relaxed)));
    let temporary = path.with_file_name(name);
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    private(&mut options);
    let written = options.open(&temporary).and_then(|mut file| {
        file.write_all(contents)?;
        file.sync_all()?;
        fs::rename(&temporary, path)
    });
    if written.is_err() {
        // The write is the error worth reporting; a leftover temporary file is not.
        let _ = fs::remove_file(&temporary);
    }
    written
}

fn private(options: &mut OpenOptions) {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    #[cfg(not(unix))]
    let _ = options;
}
