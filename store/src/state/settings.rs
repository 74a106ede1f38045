//! Settings that are kept by name: what the product remembers about itself between starts.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{State, StateError};

impl State {
    /// The value under this name; `None` where nothing was set.
    ///
    /// # Errors
    /// The database fails, or the value is of another type.
    pub async fn setting<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, StateError> {
        let text: Option<String> = sqlx::query_scalar("SELECT value FROM settings WHERE name = $1")
            .bind(name)
            .fetch_optional(self.pool())
            .await?;
        Ok(text.map(|text| serde_json::from_str(&text)).transpose()?)
    }

    /// Sets the value under this name.
    ///
    /// # Errors
    /// The database fails.
    pub async fn set_setting<T: Serialize + Sync>(&self, name: &str, value: &T) -> Result<(), StateError> {
        let text = serde_json::to_string(value)?;
        sqlx::query("INSERT INTO settings (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value")
            .bind(name)
            .bind(text)
            .execute(self.pool())
            .await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::state::State;

    #[tokio::test]
    async fn a_setting_survives_a_restart_and_the_last_one_wins() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.db");
        let state = State::open(&path).await.unwrap();
        assert_eq!(state.setting::<u64>("generation").await.unwrap(), None);
        state.set_setting("generation", &1_u64).await.unwrap();
        state.set_setting("generation", &2_u64).await.unwrap();
        state.close().await;
        let state = State::open(&path).await.unwrap();
        assert_eq!(state.setting::<u64>("generation").await.unwrap(), Some(2));
        assert!(state.setting::<Vec<String>>("generation").await.is_err());
    }
}
