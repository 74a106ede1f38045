//! Deleting what nobody will ask for any more, so that the state does not grow for ever.

use super::{State, StateError};
use crate::clock::UnixNanos;

/// How long audit entries and the events of settled actions are kept: as long as signals, so that a chart's past can be
/// explained.
const KEPT_DAYS: i64 = 400;
/// Replays of a model that are kept with their results and verdict: all that a page lists.
const KEPT_REPLAYS: i64 = 1_000;
/// A generation of a reference counts for a day before the ones before it go: whoever has just read its number still
/// finds its rows.
const SETTLED_DAYS: i64 = 1;
const DAY_SECONDS: i64 = 86_400;

/// Replays that may go: ended and judged beyond the bound. The verdict that was given on a version last stays, for it
/// decides what may be rolled back to, and so do replays that others were compared with.
const OLD_REPLAYS: &str = "SELECT id FROM (\
      SELECT id, state, row_number() OVER (PARTITION BY model ORDER BY created_at DESC, id DESC) AS place FROM replays) AS placed \
    WHERE place > $1 AND (state = 'skipped' OR state IN ('done', 'failed') AND id IN (SELECT replay_id FROM verdicts)) \
      AND id NOT IN (SELECT baseline_replay_id FROM verdicts WHERE baseline_replay_id IS NOT NULL) \
      AND id NOT IN (SELECT replay_id FROM (\
        SELECT replay_id, row_number() OVER (PARTITION BY model, version, environment ORDER BY created_at DESC, id DESC) AS place \
        FROM verdicts) AS given WHERE place = 1)";

/// How many rows went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Deleted {
    /// Audit entries.
    pub audit_entries: u64,
    /// Events of actions.
    pub action_events: u64,
    /// Replays, each with its results and its verdict.
    pub replays: u64,
}

impl State {
    /// Deletes what is older than the bounds of this file.
    ///
    /// # Errors
    /// The database cannot be written; then nothing is deleted.
    pub async fn delete_old(&self, now: UnixNanos) -> Result<Deleted, StateError> {
        self.delete_beyond(now, KEPT_REPLAYS).await
    }

    async fn delete_beyond(&self, now: UnixNanos, kept_replays: i64) -> Result<Deleted, StateError> {
        let oldest = now.plus_seconds(-KEPT_DAYS * DAY_SECONDS);
        let mut transaction = self.begin().await?;
        let audit = sqlx::query("DELETE FROM audit WHERE at < $1").bind(oldest.0);
        let audit_entries = audit.execute(&mut *transaction).await?.rows_affected();
        let events = "DELETE FROM action_events WHERE action_id IN (SELECT id FROM actions WHERE finished_at < $1)";
        let action_events = sqlx::query(events).bind(oldest.0).execute(&mut *transaction).await?.rows_affected();
        let old: Vec<(String,)> = sqlx::query_as(OLD_REPLAYS).bind(kept_replays).fetch_all(&mut *transaction).await?;
        for (id,) in &old {
            for sql in [
                "DELETE FROM replay_results WHERE replay_id = $1",
                "DELETE FROM verdicts WHERE replay_id = $1",
                "DELETE FROM replays WHERE id = $1",
            ] {
                sqlx::query(sql).bind(id).execute(&mut *transaction).await?;
            }
        }
        transaction.commit().await?;
        Ok(Deleted {
            audit_entries,
            action_events,
            replays: old.len() as u64,
        })
    }

    /// The generations of references that have counted for some time: (model, name, generation).
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn settled_generations(&self, now: UnixNanos) -> Result<Vec<(String, String, u64)>, StateError> {
        let sql = "SELECT model, name, generation FROM reference_sets WHERE state = 'profiled' AND profiled_at < $1";
        let references: Vec<(String, String, i64)> = sqlx::query_as(sql)
            .bind(now.plus_seconds(-SETTLED_DAYS * DAY_SECONDS).0)
            .fetch_all(self.pool())
            .await?;
        let settled = references
            .into_iter()
            .map(|(model, name, generation)| (model, name, generation.unsigned_abs()));
        Ok(settled.collect())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::state::audit::AuditEntry;

    const NOW: UnixNanos = UnixNanos(1_790_000_000_000_000_000);

    async fn ids(state: &State, sql: &'static str) -> Vec<String> {
        let rows: Vec<(String,)> = sqlx::query_as(sql).fetch_all(state.pool()).await.unwrap();
        rows.into_iter().map(|(id,)| id).collect()
    }

    async fn run(state: &State, sql: String) {
        sqlx::query(sqlx::AssertSqlSafe(sql)).execute(state.pool()).await.unwrap();
    }

    async fn add_replay(state: &State, id: i64, version: &str, replay_state: &str) {
        run(
            state,
            format!(
                "INSERT INTO replays (id, model, version, environment, set_id, state, requested_by, baseline_fixed, attempts, created_at) \
                 VALUES ('r{id}', 'm', '{version}', '', 's', '{replay_state}', 'api', 1, 1, {id})"
            ),
        )
        .await;
        run(
            state,
            format!("INSERT INTO replay_results (replay_id, position, correct) VALUES ('r{id}', 0, 1)"),
        )
        .await;
    }

    async fn add_verdict(state: &State, id: i64, version: &str, baseline: &str) {
        run(
            state,
            format!(
                "INSERT INTO verdicts (id, model, version, environment, set_id, replay_id, baseline_replay_id, verdict, reasons, flips, \
                 details, created_at) VALUES ('v{id}', 'm', '{version}', '', 's', 'r{id}', {baseline}, 'pass', '', '', '', {id})"
            ),
        )
        .await;
    }

    #[tokio::test]
    async fn judged_replays_go_but_for_what_still_decides() {
        let folder = tempfile::tempdir().unwrap();
        let state = State::open(&folder.path().join("state.db")).await.unwrap();
        // The last verdict on 0.9, two on 1.0, one that compares with a third, one that nobody has judged, two that stay.
        for (id, version, replay_state, baseline) in [
            (1, "0.9", "done", Some("NULL")),
            (2, "1.0", "done", Some("NULL")),
            (3, "1.0", "failed", Some("NULL")),
            (4, "1.0", "done", None),
            (5, "1.0", "skipped", None),
            (6, "1.0", "done", Some("'r3'")),
            (7, "1.0", "queued", None),
        ] {
            add_replay(&state, id, version, replay_state).await;
            if let Some(baseline) = baseline {
                add_verdict(&state, id, version, baseline).await;
            }
        }
        let deleted = state.delete_beyond(NOW, 2).await.unwrap();
        assert_eq!(deleted.replays, 2);
        let kept = ["r1", "r3", "r4", "r6", "r7"];
        assert_eq!(ids(&state, "SELECT id FROM replays ORDER BY id").await, kept);
        assert_eq!(ids(&state, "SELECT replay_id FROM replay_results ORDER BY replay_id").await, kept);
        assert_eq!(ids(&state, "SELECT id FROM verdicts ORDER BY id").await, ["v1", "v3", "v6"]);
        assert_eq!(state.delete_old(NOW).await.unwrap(), Deleted::default());
    }

    #[tokio::test]
    async fn what_was_done_is_kept_for_400_days() {
        let folder = tempfile::tempdir().unwrap();
        let state = State::open(&folder.path().join("state.db")).await.unwrap();
        for (days, finished) in [(401, true), (399, true), (401, false)] {
            let at = NOW.plus_seconds(-days * DAY_SECONDS);
            let entry = AuditEntry {
                at,
                actor: "a".into(),
                action: "b".into(),
                subject: "c".into(),
                details: json!({}),
            };
            state.record_audit(&entry).await.unwrap();
            let (id, finished_at) = (
                format!("a{days}{finished}"),
                if finished { at.0.to_string() } else { "NULL".into() },
            );
            run(
                &state,
                format!(
                    "INSERT INTO actions (id, kind, model, environment, state, because, requested_by, requested_at, finished_at, deadline, \
                     details, updated_at) VALUES ('{id}', 'rollback', 'm', '', 'x', '', '', 0, {finished_at}, 0, '', 0)"
                ),
            )
            .await;
            run(
                &state,
                format!("INSERT INTO action_events (action_id, at, state, note) VALUES ('{id}', 1, 'x', '')"),
            )
            .await;
        }
        let deleted = state.delete_old(NOW).await.unwrap();
        assert_eq!((deleted.audit_entries, deleted.action_events), (2, 1));
        let left = ids(&state, "SELECT action_id FROM action_events ORDER BY action_id").await;
        assert_eq!(left, ["a399true", "a401false"]);
    }
}
