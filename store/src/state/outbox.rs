//! The outbox: everything that is sent to others, written in the transaction that decided to send it.
//!
//! A message is `pending` until a receiver has answered 2xx (`delivered`) or the attempts are used up
//! (`dead`, which stays visible). Claiming a message counts the attempt and moves its next attempt past a
//! lease, in one statement: a process that dies in between leaves a message that is due again when the
//! lease ends. Of one route and group only the oldest pending message can be claimed, so nobody hears
//! that something was resolved before hearing that it fired.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use sqlx::sqlite::SqliteRow;
use sqlx::{FromRow, Row, SqliteConnection};

use super::{State, StateError, column};
use crate::clock::UnixNanos;

/// A transaction that writes, as [`State::begin`] opens it: what decides to send something writes the
/// message in the same one.
pub type StateTransaction = sqlx::Transaction<'static, sqlx::Sqlite>;

/// Characters of an error that are kept with a message.
pub const MAX_ERROR_CHARACTERS: usize = 500;

/// How a message travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Channel {
    /// An HTTP POST with Standard Webhooks headers.
    Webhook,
    /// A mail.
    Email,
}

impl Channel {
    /// As the state and the API have it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Webhook => "webhook",
            Self::Email => "email",
        }
    }
}

/// Where a message stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MessageState {
    /// To be sent, for the first time or again.
    Pending,
    /// The receiver took it.
    Delivered,
    /// Given up.
    Dead,
}

impl MessageState {
    /// As the state and the API have it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Delivered => "delivered",
            Self::Dead => "dead",
        }
    }
}

/// A message to be sent.
#[derive(Debug, Clone, PartialEq)]
pub struct NewMessage {
    /// `msg_…`: the `webhook-id` of every attempt, the Message-ID of a mail.
    pub id: String,
    /// How it travels.
    pub channel: Channel,
    /// Name of the receiver, or `rollback` or `retrain` for what goes to a deployer or trainer.
    pub route: String,
    /// Host or mail address: never a whole URL, which may hold a secret.
    pub destination: String,
    /// What is sent.
    pub body: String,
    /// The action that it is about.
    pub action_id: Option<String>,
    /// Messages of one route and group are delivered in their order.
    pub group_key: String,
}

/// A message of the outbox.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Message {
    /// `msg_…`.
    pub id: String,
    /// How it travels.
    pub channel: Channel,
    /// Name of the receiver, or `rollback` or `retrain`.
    pub route: String,
    /// Host or mail address.
    pub destination: String,
    /// What is sent; not for listings.
    #[serde(skip)]
    pub body: String,
    /// Where it stands.
    pub state: MessageState,
    /// Attempts begun.
    pub attempts: u32,
    /// When it is due.
    pub next_attempt_at: UnixNanos,
    /// What went wrong last.
    pub last_error: Option<String>,
    /// Status of the last answer.
    pub last_status: Option<u16>,
    /// The action that it is about.
    pub action_id: Option<String>,
    /// Its group.
    pub group_key: String,
    /// When it was decided.
    pub created_at: UnixNanos,
    /// When it was delivered.
    pub delivered_at: Option<UnixNanos>,
}

const COLUMNS: &str = "id, channel, route, destination, body, state, attempts, next_attempt_at, last_error, last_status, action_id, \
     group_key, created_at, delivered_at";

/// For listings: bodies are large, and nobody lists them.
const LISTED_COLUMNS: &str = "id, channel, route, destination, '' AS body, state, attempts, next_attempt_at, last_error, last_status, \
     action_id, group_key, created_at, delivered_at";

impl FromRow<'_, SqliteRow> for Message {
    fn from_row(row: &SqliteRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            id: row.try_get("id")?,
            channel: column::text_enum(row, "channel")?,
            route: row.try_get("route")?,
            destination: row.try_get("destination")?,
            body: row.try_get("body")?,
            state: column::text_enum(row, "state")?,
            attempts: u32::try_from(row.try_get::<i64, _>("attempts")?).unwrap_or(u32::MAX),
            next_attempt_at: UnixNanos(row.try_get("next_attempt_at")?),
            last_error: row.try_get("last_error")?,
            last_status: row
                .try_get::<Option<i64>, _>("last_status")?
                .and_then(|status| u16::try_from(status).ok()),
            action_id: row.try_get("action_id")?,
            group_key: row.try_get::<Option<String>, _>("group_key")?.unwrap_or_default(),
            created_at: UnixNanos(row.try_get("created_at")?),
            delivered_at: row.try_get::<Option<i64>, _>("delivered_at")?.map(UnixNanos),
        })
    }
}

/// Puts a message into the outbox, due at once.
///
/// # Errors
/// The database cannot be written.
pub async fn enqueue(connection: &mut SqliteConnection, message: &NewMessage, now: UnixNanos) -> Result<(), StateError> {
    sqlx::query(
        "INSERT INTO outbox (id, channel, route, destination, body, state, attempts, next_attempt_at, action_id, group_key, created_at) \
         VALUES ($1, $2, $3, $4, $5, 'pending', 0, $6, $7, $8, $6)",
    )
    .bind(&message.id)
    .bind(message.channel.as_str())
    .bind(&message.route)
    .bind(&message.destination)
    .bind(&message.body)
    .bind(now.0)
    .bind(&message.action_id)
    .bind(&message.group_key)
    .execute(connection)
    .await?;
    Ok(())
}

/// Marks a message as delivered; `false` when it was not pending any more.
///
/// # Errors
/// The database cannot be written.
pub async fn mark_delivered(connection: &mut SqliteConnection, id: &str, status: Option<u16>, now: UnixNanos) -> Result<bool, StateError> {
    let updated = sqlx::query(
        "UPDATE outbox SET state = 'delivered', delivered_at = $2, last_status = $3, last_error = NULL WHERE id = $1 AND state = 'pending'",
    )
    .bind(id)
    .bind(now.0)
    .bind(status.map(i64::from))
    .execute(connection)
    .await?;
    Ok(updated.rows_affected() == 1)
}

/// Records a failed attempt and when the next one is due.
///
/// # Errors
/// The database cannot be written.
pub async fn mark_failed(
    connection: &mut SqliteConnection,
    id: &str,
    status: Option<u16>,
    error: &str,
    next_attempt_at: UnixNanos,
) -> Result<(), StateError> {
    sqlx::query("UPDATE outbox SET last_status = $2, last_error = $3, next_attempt_at = $4 WHERE id = $1 AND state = 'pending'")
        .bind(id)
        .bind(status.map(i64::from))
        .bind(cut(error))
        .bind(next_attempt_at.0)
        .execute(connection)
        .await?;
    Ok(())
}

/// Gives a message up; `false` when it was not pending any more.
///
/// # Errors
/// The database cannot be written.
pub async fn mark_dead(connection: &mut SqliteConnection, id: &str, status: Option<u16>, error: &str) -> Result<bool, StateError> {
    let updated = sqlx::query(
        "UPDATE outbox SET state = 'dead', last_status = COALESCE($2, last_status), last_error = $3 WHERE id = $1 AND state = 'pending'",
    )
    .bind(id)
    .bind(status.map(i64::from))
    .bind(cut(error))
    .execute(connection)
    .await?;
    Ok(updated.rows_affected() == 1)
}

/// Gives up the message that requests an action, if it is still to be sent.
///
/// # Errors
/// The database cannot be written.
pub async fn mark_request_dead(connection: &mut SqliteConnection, action_id: &str, route: &str, error: &str) -> Result<(), StateError> {
    sqlx::query("UPDATE outbox SET state = 'dead', last_error = $3 WHERE action_id = $1 AND route = $2 AND state = 'pending'")
        .bind(action_id)
        .bind(route)
        .bind(cut(error))
        .execute(connection)
        .await?;
    Ok(())
}

/// Deletes messages that were delivered or given up and were decided before `before`.
///
/// # Errors
/// The database cannot be written.
pub async fn delete_finished_before(connection: &mut SqliteConnection, before: UnixNanos) -> Result<u64, StateError> {
    let deleted = sqlx::query("DELETE FROM outbox WHERE state IN ('delivered', 'dead') AND created_at < $1")
        .bind(before.0)
        .execute(connection)
        .await?;
    Ok(deleted.rows_affected())
}

impl State {
    /// Claims messages that are due: counts an attempt and sets the next one to `lease_until`, which has to
    /// lie behind the attempt's timeout. `in_flight` says how many messages are on their way to a
    /// destination already; no destination gets more than `per_destination`, so one that hangs holds up
    /// nobody else.
    ///
    /// # Errors
    /// The database cannot be written.
    pub async fn claim_messages(
        &self,
        now: UnixNanos,
        lease_until: UnixNanos,
        limit: usize,
        per_destination: usize,
        in_flight: &HashMap<String, usize>,
    ) -> Result<Vec<Message>, StateError> {
        let mut transaction = self.begin().await?;
        let due: Vec<(String, String)> = sqlx::query_as(
            "SELECT id, destination FROM (\
             SELECT id, destination, next_attempt_at, ROW_NUMBER() OVER (PARTITION BY destination ORDER BY next_attempt_at, id) AS place \
             FROM outbox AS due WHERE state = 'pending' AND next_attempt_at <= $1 AND NOT EXISTS (\
             SELECT 1 FROM outbox AS before WHERE before.group_key = due.group_key AND before.route = due.route \
             AND before.destination = due.destination AND before.state = 'pending' AND before.id < due.id)) AS ranked \
             WHERE place <= $2 ORDER BY next_attempt_at, id",
        )
        .bind(now.0)
        .bind(per_destination as i64)
        .fetch_all(&mut *transaction)
        .await?;
        let mut taken = in_flight.clone();
        let sql = format!("UPDATE outbox SET attempts = attempts + 1, next_attempt_at = $2 WHERE id = $1 RETURNING {COLUMNS}");
        let mut claimed = Vec::new();
        for (id, destination) in due {
            let on_the_way = taken.entry(destination).or_default();
            if claimed.len() >= limit || *on_the_way >= per_destination {
                continue;
            }
            *on_the_way += 1;
            let message = sqlx::query_as(sqlx::AssertSqlSafe(sql.clone()))
                .bind(&id)
                .bind(lease_until.0)
                .fetch_one(&mut *transaction)
                .await?;
            claimed.push(message);
        }
        transaction.commit().await?;
        Ok(claimed)
    }

    /// Whether a message is due, so that looking costs no write.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn has_due_message(&self, now: UnixNanos) -> Result<bool, StateError> {
        let due: i64 =
            sqlx::query_scalar("SELECT COUNT(*) FROM (SELECT 1 FROM outbox WHERE state = 'pending' AND next_attempt_at <= $1 LIMIT 1)")
                .bind(now.0)
                .fetch_one(self.pool())
                .await?;
        Ok(due > 0)
    }

    /// One message.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn message(&self, id: &str) -> Result<Option<Message>, StateError> {
        let sql = format!("SELECT {COLUMNS} FROM outbox WHERE id = $1");
        Ok(sqlx::query_as(sqlx::AssertSqlSafe(sql))
            .bind(id)
            .fetch_optional(self.pool())
            .await?)
    }

    /// The messages about actions, the oldest first, without their bodies.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn messages_of_actions(&self, action_ids: &[String]) -> Result<Vec<Message>, StateError> {
        self.listed("action_id", action_ids).await
    }

    /// Messages by their ids, the oldest first, without their bodies.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn messages_of_ids(&self, ids: &[String]) -> Result<Vec<Message>, StateError> {
        self.listed("id", ids).await
    }

    async fn listed(&self, key: &'static str, ids: &[String]) -> Result<Vec<Message>, StateError> {
        let mut messages = Vec::new();
        for ids in ids.chunks(column::MAX_LISTED) {
            let mut query = sqlx::QueryBuilder::new(format!("SELECT {} FROM outbox WHERE {key} IN ", LISTED_COLUMNS));
            column::push_list(&mut query, ids);
            query.push(" ORDER BY id");
            messages.extend(query.build_query_as::<Message>().fetch_all(self.pool()).await?);
        }
        Ok(messages)
    }

    /// The latest messages in one state or in any, the newest first.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn messages(&self, state: Option<MessageState>, limit: u32) -> Result<Vec<Message>, StateError> {
        let sql = format!("SELECT {COLUMNS} FROM outbox WHERE ($1 IS NULL OR state = $1) ORDER BY id DESC LIMIT $2");
        Ok(sqlx::query_as(sqlx::AssertSqlSafe(sql))
            .bind(state.map(MessageState::as_str))
            .bind(i64::from(limit))
            .fetch_all(self.pool())
            .await?)
    }

    /// How many messages wait and how many were given up.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn outbox_counts(&self) -> Result<OutboxCounts, StateError> {
        let count = async |state: MessageState| {
            sqlx::query_scalar::<_, i64>("SELECT COUNT(*) FROM outbox WHERE state = $1")
                .bind(state.as_str())
                .fetch_one(self.pool())
                .await
        };
        Ok(OutboxCounts {
            pending: count(MessageState::Pending).await?.unsigned_abs(),
            dead: count(MessageState::Dead).await?.unsigned_abs(),
        })
    }
}

/// How many messages of the outbox are not delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct OutboxCounts {
    /// To be sent.
    pub pending: u64,
    /// Given up.
    pub dead: u64,
}

fn cut(error: &str) -> String {
    error.chars().take(MAX_ERROR_CHARACTERS).collect()
}
