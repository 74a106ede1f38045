//! The clusters of models' inferences.

use super::{State, StateError};
use crate::clusters::Clustering;

impl State {
    /// Keeps the clusters of a model in place of those that it had.
    ///
    /// # Errors
    /// The database fails.
    pub async fn keep_clustering(&self, model: &str, clustering: &Clustering) -> Result<(), StateError> {
        let mut transaction = self.begin().await?;
        sqlx::query(
            "INSERT INTO clusterings (model, body, fitted_time) VALUES (?, ?, ?) \
             ON CONFLICT (model) DO UPDATE SET body = excluded.body, fitted_time = excluded.fitted_time",
        )
        .bind(model)
        .bind(serde_json::to_string(clustering)?)
        .bind(clustering.fitted_at.0)
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(())
    }

    /// The clusters of all models.
    ///
    /// # Errors
    /// The database fails, or holds clusters that this version cannot read.
    pub async fn clusterings(&self) -> Result<Vec<(String, Clustering)>, StateError> {
        let rows: Vec<(String, String)> = sqlx::query_as("SELECT model, body FROM clusterings ORDER BY model")
            .fetch_all(&self.pool)
            .await?;
        rows.into_iter()
            .map(|(model, body)| Ok((model, serde_json::from_str(&body)?)))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use crate::clock::UnixNanos;
    use crate::clusters::{Clustering, Space};
    use crate::state::State;

    #[tokio::test]
    async fn the_last_clusters_of_each_model_stay() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.db");
        let state = State::open(&path).await.unwrap();
        let clustering = |at: i64| Clustering {
            space: Space::Embeddings {
                encoder: "e".to_owned(),
                dimensions: 3,
            },
            fitted_at: UnixNanos(at),
            sampled: 10,
            environment: String::new(),
            clusters: Vec::new(),
            next_number: 1,
        };
        state.keep_clustering("m", &clustering(1)).await.unwrap();
        state.keep_clustering("m", &clustering(2)).await.unwrap();
        state.keep_clustering("a", &clustering(3)).await.unwrap();
        drop(state);
        let state = State::open(&path).await.unwrap();
        let kept = state.clusterings().await.unwrap();
        assert_eq!(kept, [("a".to_owned(), clustering(3)), ("m".to_owned(), clustering(2))]);
    }
}
