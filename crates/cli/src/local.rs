//! The server on this machine, as far as a client may know of it: the credentials file in its data directory.

use std::path::{Path, PathBuf};
use std::{env, fs};

use secrecy::SecretString;
use serde::Deserialize;

use crate::failure::Failure;

/// `credentials.json`, which the server writes on its first start.
#[derive(Debug, Deserialize)]
pub struct Credentials {
    pub endpoint: String,
    pub ca_file: Option<PathBuf>,
    pub account_id: Option<String>,
    pub apikey: Option<SecretString>,
}

/// `$BOATYARD_DATA_DIR`, else `$XDG_DATA_HOME/boatyard`, else `~/.local/share/boatyard`, else `./boatyard-data`.
pub fn default_data_dir() -> PathBuf {
    let set = |name: &str| env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    set("BOATYARD_DATA_DIR")
        .or_else(|| set("XDG_DATA_HOME").map(|d| d.join("boatyard")))
        .or_else(|| env::home_dir().filter(|h| !h.as_os_str().is_empty()).map(|h| h.join(".local/share/boatyard")))
        .unwrap_or_else(|| PathBuf::from("boatyard-data"))
}

impl Credentials {
    /// Those in a data directory; none if no server was ever started there.
    pub fn find(data_dir: &Path) -> Result<Option<Self>, Failure> {
        let path = data_dir.join("credentials.json");
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(Failure::file("read the credentials in", &path, &e)),
        };
        let credentials: Self = serde_json::from_slice(&text).map_err(|e| {
            Failure::new(
                format!("{} is not a credentials file: {e}", path.display()),
                "Give `--endpoint` and `--apikey` instead, or start the server again so that it writes the file anew.",
            )
        })?;
        // Relative paths in the file are meant from where the file is.
        let ca_file = credentials.ca_file.map(|ca| data_dir.join(ca));
        Ok(Some(Self { ca_file, ..credentials }))
    }

    /// As [`Self::find`], where there must be some.
    pub fn read(data_dir: &Path) -> Result<Self, Failure> {
        Self::find(data_dir)?.ok_or_else(|| {
            Failure::new(
                format!("There is no credentials.json in {}.", data_dir.display()),
                format!(
                    "Name the data folder of a server with `--data-dir DIR`, or start one there with \
                     `boatyard serve --data-dir {}`.",
                    data_dir.display()
                ),
            )
        })
    }
}
