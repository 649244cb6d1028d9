//! The keys that recoverable secrets are sealed under, and the columns that hold such secrets.
//!
//! A key is replaced by putting a new one before it: at the next start every value is sealed anew, and the old one may go.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use boatyard_core::seal::{self, Place, Sealer};
use boatyard_core::secret::{ExposeSecret as _, SecretString};
use sqlx::{AssertSqlSafe, Row as _};
use tracing::info;

use crate::{Conn, Error, Result};

/// Name of the file of keys in a folder.
pub const KEY_FILE: &str = "encryption.key";

/// A column whose values are sealed. What other server holds other keys, so a snapshot leaves it out; it must allow NULL unless its
/// table is left out as well, or is one whose rows a snapshot carries sealed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SealedColumn {
    pub table: &'static str,
    pub column: &'static str,
    /// The primary key, a text.
    pub id: &'static str,
}

#[rustfmt::skip]
pub(crate) const SEALED: [SealedColumn; 4] = [
    SealedColumn { table: "signing_keys", column: "pkcs8", id: "kid" },
    SealedColumn { table: "api_keys", column: "value", id: "id" },
    SealedColumn { table: "kube_secrets", column: "value", id: "id" },
    SealedColumn { table: "installation_secrets", column: "value", id: "name" },
];

/// Where the keys of a database come from.
#[derive(Debug)]
pub enum Keys {
    /// The operator gave them.
    Given(Sealer),
    /// They are in [`KEY_FILE`] of this folder, which is made for a database that holds nothing sealed yet.
    Folder(PathBuf),
}

impl Keys {
    /// The sealer for the database of this connection.
    pub(crate) async fn sealer(self, conn: &mut Conn) -> Result<Sealer> {
        let dir = match self {
            Keys::Given(sealer) => return Ok(sealer),
            Keys::Folder(dir) => dir,
        };
        let file = dir.join(KEY_FILE);
        let refused = |what: String| Error::EncryptionKey(format!("the encryption key {}: {what}", file.display()));
        match fs::read_to_string(&file) {
            Ok(text) => Sealer::parse(&SecretString::from(text)).map_err(|error| refused(error.to_string())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let used = keys_in_use(conn).await?;
                if let Some(id) = used.first() {
                    return Err(refused(format!(
                        "the file is missing, and the database holds secrets that were sealed with the key {id}. Put the file back, or \
                         give that key with --encryption-key-file or BOATYARD_ENCRYPTION_KEY"
                    )));
                }
                let key = Sealer::generate();
                write(&file, &key).map_err(|error| refused(format!("it cannot be written: {error}")))?;
                Sealer::parse(&key).map_err(|error| refused(error.to_string()))
            }
            Err(error) => Err(refused(format!("it cannot be read: {error}"))),
        }
    }
}

/// Writes a new key for its owner only, and has it on disk before anything is sealed with it.
fn write(file: &Path, key: &SecretString) -> std::io::Result<()> {
    let mut draft = file.as_os_str().to_owned();
    draft.push(".new");
    // A draft left by a crash was never used; start from none.
    let _ = fs::remove_file(&draft);
    let mut written = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
    writeln!(written, "{}", key.expose_secret())?;
    written.sync_all()?;
    fs::rename(&draft, file)?;
    file.parent().map_or(Ok(()), |dir| File::open(dir)?.sync_all())
}

/// IDs of the keys that values of the database are sealed with.
async fn keys_in_use(conn: &mut Conn) -> Result<BTreeSet<String>> {
    let mut used = BTreeSet::new();
    for SealedColumn { table, column, .. } in SEALED {
        let sql = format!("SELECT {column} AS value FROM {table} WHERE {column} LIKE '{}%'", seal::PREFIX);
        for row in sqlx::query(AssertSqlSafe(sql)).fetch_all(&mut *conn).await? {
            used.extend(seal::key_id_of(&row.try_get::<String, _>("value")?).map(str::to_owned));
        }
    }
    Ok(used)
}

/// Seals with the first key whatever is not: values of before there was sealing, and those sealed with an older key. Returns how many.
///
/// # Errors
/// [`Error::EncryptionKey`] if a value was sealed with a key that is not there; then nothing may be committed.
pub(crate) async fn reseal(conn: &mut Conn, sealer: &Sealer) -> Result<usize> {
    let mut changed = 0;
    for SealedColumn { table, column, id } in SEALED {
        let sql = format!(
            "SELECT {id} AS id, {column} AS value FROM {table} WHERE {column} IS NOT NULL AND {column} NOT LIKE '{}{}:%'",
            seal::PREFIX,
            sealer.key_id(),
        );
        for row in sqlx::query(AssertSqlSafe(sql)).fetch_all(&mut *conn).await? {
            let (row_id, value): (String, String) = (row.try_get("id")?, row.try_get("value")?);
            let place = Place::new(table, column, &row_id);
            let secret = match seal::key_id_of(&value) {
                None => SecretString::from(value.clone()),
                Some(_) => sealer.open(place, &value).map_err(|error| unopened(sealer, table, error))?,
            };
            let sql = format!("UPDATE {table} SET {column} = $1 WHERE {id} = $2 AND {column} = $3");
            sqlx::query(AssertSqlSafe(sql))
                .bind(sealer.seal(place, secret.expose_secret()))
                .bind(row_id.clone())
                .bind(value)
                .execute(&mut *conn)
                .await?;
            changed += 1;
        }
    }
    if changed > 0 {
        info!(values = changed, key = sealer.key_id(), "secrets sealed");
    }
    Ok(changed)
}

/// What to tell whoever starts a server without the right key, or looks at a row that somebody changed.
pub(crate) fn unopened(sealer: &Sealer, table: &str, error: seal::Error) -> Error {
    let given = sealer.key_ids().collect::<Vec<_>>().join(", ");
    Error::EncryptionKey(match error {
        seal::Error::UnknownKey(id) => format!(
            "the database holds secrets that were sealed with the encryption key {id}, which is not among the keys of this start ({given}). \
             Start with that key: in the file of --encryption-key-file, in BOATYARD_ENCRYPTION_KEY, or as {KEY_FILE} in the data folder. \
             To replace it, put the new key on the line before it"
        ),
        error => format!("a sealed value of the table {table} cannot be opened: {error}. Restore the database from a backup"),
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::{Domain, Store, signing_keys};

    const PKCS8: &str = "c2VjcmV0IG9mIGEgc2lnbmluZyBrZXk=";

    async fn given(dir: &Path, keys: &[&SecretString]) -> Result<Store> {
        let text = keys.iter().map(|key| key.expose_secret()).collect::<Vec<_>>().join("\n");
        Store::sqlite_with(dir, Keys::Given(Sealer::parse(&SecretString::from(text)).unwrap())).await
    }

    async fn stored(store: &Store) -> String {
        let row = sqlx::query("SELECT pkcs8 FROM signing_keys").fetch_one(&mut *store.read().await.unwrap()).await.unwrap();
        row.try_get("pkcs8").unwrap()
    }

    async fn opened(store: &Store) -> String {
        let keys = signing_keys::list(&mut store.read().await.unwrap(), store.sealer()).await.unwrap();
        keys[0].pkcs8.expose_secret().to_owned()
    }

    async fn with_signing_key(store: &Store) {
        let mut tx = store.write(Domain::Identity).await.unwrap();
        signing_keys::insert_signing(&mut tx, store.sealer(), "k1", &SecretString::from(PKCS8), 1).await.unwrap();
        tx.commit().await.unwrap();
    }

    #[tokio::test]
    async fn a_folder_gets_a_key_for_its_owner_only_and_keeps_it() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::sqlite(dir.path()).await.unwrap();
        let file = dir.path().join(KEY_FILE);
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        with_signing_key(&store).await;
        let sealed = stored(&store).await;
        assert!(sealed.starts_with(seal::PREFIX), "{sealed}");
        store.close().await;
        let store = Store::sqlite(dir.path()).await.unwrap();
        assert_eq!(stored(&store).await, sealed, "nothing is sealed anew without need");
        assert_eq!(opened(&store).await, PKCS8);
    }

    #[tokio::test]
    async fn without_the_right_key_a_database_is_not_opened_and_says_which_is_needed() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::sqlite(dir.path()).await.unwrap();
        with_signing_key(&store).await;
        let id = store.sealer().key_id().to_owned();
        store.close().await;
        let file = dir.path().join(KEY_FILE);
        let kept = fs::read_to_string(&file).unwrap();

        let wrong = given(dir.path(), &[&Sealer::generate()]).await.unwrap_err().to_string();
        assert!(wrong.contains(&id) && wrong.contains("--encryption-key-file"), "{wrong}");
        fs::remove_file(&file).unwrap();
        let missing = Store::sqlite(dir.path()).await.unwrap_err().to_string();
        assert!(missing.contains(&id) && missing.contains("missing"), "{missing}");
        assert!(!file.exists(), "no new key takes the place of the lost one");
        fs::write(&file, "not a key").unwrap();
        let garbled = Store::sqlite(dir.path()).await.unwrap_err().to_string();
        assert!(garbled.contains("line 1"), "{garbled}");
        fs::write(&file, kept).unwrap();
        assert_eq!(opened(&Store::sqlite(dir.path()).await.unwrap()).await, PKCS8);
    }

    #[tokio::test]
    async fn a_key_is_replaced_by_one_that_stands_before_it() {
        let dir = tempfile::tempdir().unwrap();
        let (old, new) = (Sealer::generate(), Sealer::generate());
        let store = given(dir.path(), &[&old]).await.unwrap();
        with_signing_key(&store).await;
        store.close().await;
        given(dir.path(), &[&new, &old]).await.unwrap().close().await;
        let store = given(dir.path(), &[&new]).await.unwrap();
        assert_eq!(opened(&store).await, PKCS8);
        store.close().await;
        assert!(given(dir.path(), &[&old]).await.is_err());
        assert!(!dir.path().join(KEY_FILE).exists(), "given keys are not written down");
    }

    #[tokio::test]
    async fn a_plain_value_is_sealed_at_the_next_start_and_leaves_no_trace_in_the_files() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::sqlite(dir.path()).await.unwrap();
        with_signing_key(&store).await;
        let mut tx = store.write(Domain::Identity).await.unwrap();
        sqlx::query("UPDATE signing_keys SET pkcs8 = $1").bind(PKCS8.to_owned()).execute(&mut *tx).await.unwrap();
        tx.commit().await.unwrap();
        store.close().await;
        let found = || {
            let files = fs::read_dir(dir.path()).unwrap().map(|file| fs::read(file.unwrap().path()).unwrap());
            files.filter(|bytes| bytes.windows(PKCS8.len()).any(|window| window == PKCS8.as_bytes())).count()
        };
        assert_eq!(found(), 1);
        let store = Store::sqlite(dir.path()).await.unwrap();
        assert_eq!(found(), 0);
        assert_eq!(opened(&store).await, PKCS8);
    }

    #[tokio::test]
    async fn a_sealed_value_cannot_be_moved_to_another_row() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::sqlite(dir.path()).await.unwrap();
        with_signing_key(&store).await;
        let mut tx = store.write(Domain::Identity).await.unwrap();
        sqlx::query("UPDATE signing_keys SET kid = 'k2'").execute(&mut *tx).await.unwrap();
        let error = signing_keys::list(&mut tx, store.sealer()).await.unwrap_err().to_string();
        assert!(error.contains("signing_keys") && error.contains("moved"), "{error}");
    }
}
