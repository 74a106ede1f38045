//! What has changed since the last look, so that open pages read again only what they show.
//!
//! A look counts rows and adds up their times, per model; two looks that differ mean that something has
//! changed. Sums and not maxima: a row that is committed late with an earlier time changes them too.

use std::collections::{BTreeMap, BTreeSet};

use sqlx::Row;

use super::{State, StateError};

/// What pages tell apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Noun {
    /// Alerts, silences, and what was sent.
    Alerts,
    /// Rollbacks and retrainings.
    Actions,
    /// Releases, replays, verdicts and references of a model.
    Models,
}

/// One look.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Look(BTreeMap<(Noun, &'static str, String), (i64, i64)>);

/// Something that changed: the noun, and the model, or empty where it is not known.
pub type Change = (Noun, String);

impl Look {
    /// What differs from an earlier look.
    pub fn changes_since(&self, earlier: &Self) -> BTreeSet<Change> {
        let differs = |look: &Self, other: &Self| {
            let changed = look.0.iter().filter(|(key, sums)| other.0.get(*key) != Some(*sums));
            changed.map(|((noun, _, model), _)| (*noun, model.clone())).collect::<Vec<_>>()
        };
        let mut changes: BTreeSet<Change> = differs(self, earlier).into_iter().collect();
        changes.extend(differs(earlier, self));
        changes
    }
}

const TABLES: [(Noun, &str); 9] = [
    (Noun::Alerts, "alerts"),
    (Noun::Alerts, "silences"),
    (Noun::Alerts, "outbox"),
    (Noun::Actions, "actions"),
    (Noun::Models, "deployments"),
    (Noun::Models, "replays"),
    (Noun::Models, "verdicts"),
    (Noun::Models, "reference_sets"),
    (Noun::Models, "control_sets"),
];

/// Times are added in milliseconds: sums of nanoseconds would not fit.
const LOOK: &str = "
    SELECT 'alerts' AS source, model, COUNT(*) AS n, CAST(SUM(updated_at / 1000000) AS BIGINT) AS times FROM alerts GROUP BY model
    UNION ALL SELECT 'silences', '', COUNT(*), CAST(SUM((created_at + ends_at) / 2000000) AS BIGINT) FROM silences
    UNION ALL SELECT 'outbox', '', COUNT(*), CAST(SUM(COALESCE(delivered_at, created_at) / 1000000 + attempts) AS BIGINT) FROM outbox
    UNION ALL SELECT 'actions', model, COUNT(*), CAST(SUM(updated_at / 1000000) AS BIGINT) FROM actions GROUP BY model
    UNION ALL SELECT 'deployments', model, COUNT(*), CAST(SUM(COALESCE(planned_at, created_at) / 1000000) AS BIGINT)
        FROM deployments GROUP BY model
    UNION ALL SELECT 'replays', model, COUNT(*), CAST(SUM(COALESCE(finished_at, started_at, created_at) / 1000000) AS BIGINT)
        FROM replays GROUP BY model
    UNION ALL SELECT 'verdicts', model, COUNT(*), CAST(SUM(created_at / 1000000) AS BIGINT) FROM verdicts GROUP BY model
    UNION ALL SELECT 'reference_sets', model, COUNT(*), CAST(SUM(COALESCE(profiled_at, created_at) / 1000000 + generation / 1000000) AS BIGINT)
        FROM reference_sets GROUP BY model
    UNION ALL SELECT 'control_sets', model, COUNT(*), CAST(SUM(created_at / 1000000 + is_current) AS BIGINT) FROM control_sets GROUP BY model";

impl State {
    /// Looks.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn look(&self) -> Result<Look, StateError> {
        let mut look = Look::default();
        for row in sqlx::query(LOOK).fetch_all(self.pool()).await? {
            let source: &str = row.try_get("source")?;
            let Some((noun, table)) = TABLES.into_iter().find(|(_, table)| *table == source) else {
                continue;
            };
            let times: Option<i64> = row.try_get("times")?;
            let key = (noun, table, row.try_get("model")?);
            look.0.insert(key, (row.try_get("n")?, times.unwrap_or_default()));
        }
        Ok(look)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::UnixNanos;
    use crate::state::deployments::{DeploymentEvent, NewDeployment};
    use crate::state::silences::{Matchers, NewSilence};

    #[tokio::test]
    async fn a_look_notices_what_changed_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let state = State::open(&folder.path().join("state.db")).await.unwrap();
        let now = UnixNanos::from_seconds(1_800_000_000);
        let before = state.look().await.unwrap();
        assert!(state.look().await.unwrap().changes_since(&before).is_empty());
        let deployment = NewDeployment {
            model: "employment".into(),
            version: "1.0".into(),
            environment: String::new(),
            event: DeploymentEvent::Live,
            retrain_id: None,
            reference: None,
            commit_id: None,
            artifact: None,
            data_version: None,
            body: serde_json::json!({}),
            at: now,
        };
        state.insert_deployment(&deployment, now).await.unwrap();
        let after = state.look().await.unwrap();
        assert_eq!(
            after.changes_since(&before),
            BTreeSet::from([(Noun::Models, "employment".to_owned())])
        );
        let silence = NewSilence {
            matchers: Matchers::default(),
            reason: String::new(),
            author: String::new(),
            starts_at: now,
            ends_at: now.plus_seconds(60),
        };
        let silence = state.create_silence(silence, now).await.unwrap();
        let silenced = state.look().await.unwrap();
        assert_eq!(silenced.changes_since(&after), BTreeSet::from([(Noun::Alerts, String::new())]));
        state.end_silence(&silence.id, "ana", now.plus_seconds(10)).await.unwrap();
        assert_eq!(state.look().await.unwrap().changes_since(&silenced).len(), 1);
    }
}
