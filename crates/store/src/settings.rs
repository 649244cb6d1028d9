//! Named values of this installation.

use sqlx::Row as _;

use crate::{Conn, Result};

/// The value of `name`, if it was ever set.
///
/// # Errors
/// When the database fails.
pub async fn get(conn: &mut Conn, name: &str) -> Result<Option<String>> {
    let row = sqlx::query("SELECT value FROM settings WHERE name = $1").bind(name.to_owned()).fetch_optional(conn).await?;
    Ok(row.map(|row| row.try_get("value")).transpose()?)
}

/// Sets `name` to `value`.
///
/// # Errors
/// When the database fails.
pub async fn set(conn: &mut Conn, name: &str, value: &str) -> Result<()> {
    sqlx::query("INSERT INTO settings (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value")
        .bind(name.to_owned())
        .bind(value.to_owned())
        .execute(conn)
        .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::{Domain, Store};

    #[tokio::test]
    async fn an_uncommitted_write_is_not_seen_and_a_committed_one_is() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::sqlite(dir.path()).await.unwrap();
        let before = store.generation(Domain::Identity);
        let mut tx = store.write(Domain::Identity).await.unwrap();
        super::set(&mut tx, "colour", "blue").await.unwrap();
        assert_eq!(super::get(&mut store.read().await.unwrap(), "colour").await.unwrap(), None);
        assert_eq!(store.generation(Domain::Identity), before);
        tx.commit().await.unwrap();
        assert_eq!(super::get(&mut store.read().await.unwrap(), "colour").await.unwrap().as_deref(), Some("blue"));
        assert_ne!(store.generation(Domain::Identity), before);
    }

    #[tokio::test]
    async fn database_files_are_for_their_owner_only_also_in_a_folder_that_others_can_read() {
        use std::os::unix::fs::PermissionsExt as _;

        let dir = tempfile::tempdir().unwrap();
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        let store = Store::sqlite(dir.path()).await.unwrap();
        let mut tx = store.write(Domain::Identity).await.unwrap();
        super::set(&mut tx, "colour", "blue").await.unwrap();
        tx.commit().await.unwrap();
        let files: Vec<_> = std::fs::read_dir(dir.path()).unwrap().map(Result::unwrap).collect();
        assert!(files.len() > 1, "there is a log beside the database");
        for file in files {
            assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{file:?}");
        }
    }

    #[tokio::test]
    async fn a_folder_may_have_signs_in_its_name_that_mean_something_in_a_url() {
        let dir = tempfile::tempdir().unwrap();
        let odd = dir.path().join("a%41b?c#d e");
        std::fs::create_dir(&odd).unwrap();
        let store = Store::sqlite(&odd).await.unwrap();
        assert_eq!(super::get(&mut store.read().await.unwrap(), "colour").await.unwrap(), None);
        assert!(odd.join("boatyard.db").exists());
    }
}
