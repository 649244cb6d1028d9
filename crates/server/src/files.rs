//! Files of the data folder, readable by their owner only.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use crate::Error;

/// Makes the data folder if there is none, and takes it for this process until the returned file is dropped.
///
/// # Errors
/// [`Error::InUse`] if another process has it.
pub(crate) fn claim(dir: &Path) -> Result<File, Error> {
    let failed = |source| Error::File { what: "cannot make the data folder", path: dir.to_owned(), source };
    DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(failed)?;
    let path = dir.join("lock");
    let lock = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path);
    let lock = lock.map_err(|source| Error::File { what: "cannot open", path, source })?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(_) => Err(Error::InUse(dir.to_owned())),
    }
}

/// Writes a file in one piece: it has the old content or the new, also after a crash.
///
/// # Errors
/// When the folder cannot be written to.
pub(crate) fn write(path: &Path, content: &[u8]) -> Result<(), Error> {
    let failed = |source| Error::File { what: "cannot write", path: path.to_owned(), source };
    let mut draft = PathBuf::from(path);
    draft.as_mut_os_string().push(".new");
    // A draft left by a crash may have been made by anybody; start from none.
    let _ = fs::remove_file(&draft);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft).map_err(failed)?;
    file.write_all(content).and_then(|()| file.sync_all()).map_err(failed)?;
    fs::rename(&draft, path).map_err(failed)
}

/// The content of a file, or `None` if there is none.
///
/// # Errors
/// When it cannot be read.
pub(crate) fn read(path: &Path) -> Result<Option<String>, Error> {
    let mut text = String::new();
    match File::open(path).and_then(|mut file| file.read_to_string(&mut text)) {
        Ok(_) => Ok(Some(text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(Error::File { what: "cannot read", path: path.to_owned(), source }),
    }
}

/// Removes a file, if it is there.
///
/// # Errors
/// When the folder cannot be written to.
pub(crate) fn remove(path: &Path) -> Result<(), Error> {
    match fs::remove_file(path) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::File { what: "cannot remove", path: path.to_owned(), source })
        }
        _ => Ok(()),
    }
}
