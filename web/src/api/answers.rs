//! Answers that many open pages ask for at once: made once a second for all who see the same.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Bytes;
use driftlead_store::clock::UnixNanos;

use crate::error::Problem;

/// How long an answer is given again.
const FRESH_SECONDS: f64 = 1.0;

/// Questions whose answers are kept at once: environments that keys are limited to, with and without small
/// charts. Beyond it all are forgotten.
const MAX_QUESTIONS: usize = 256;

/// What an answer depends on.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Question {
    /// Environments that the caller is limited to; empty: all.
    pub sees: Vec<String>,
    /// The environment that was asked for.
    pub environment: Option<String>,
    /// With the last 24 h of each metric.
    pub with_spark: bool,
}

/// Holds one answer; who waits for it waits for the same.
type Slot = Arc<tokio::sync::Mutex<Option<Given>>>;

struct Given {
    at: UnixNanos,
    /// How often something had changed when it was begun.
    changes: u64,
    body: Bytes,
}

/// The answers. Clones share them.
#[derive(Clone, Default)]
pub struct ListAnswers {
    slots: Arc<Mutex<HashMap<Question, Slot>>>,
    changes: Arc<AtomicU64>,
}

impl ListAnswers {
    /// The answer to a question: one that was given within the last second and since the last change, else `made`.
    ///
    /// # Errors
    /// What `made` fails with; nothing is kept then.
    pub async fn answer(
        &self,
        question: Question,
        now: UnixNanos,
        made: impl Future<Output = Result<Bytes, Problem>>,
    ) -> Result<Bytes, Problem> {
        let slot = self.slot(question);
        let mut given = slot.lock().await;
        let changes = self.changes.load(Ordering::Acquire);
        if let Some(given) = given.as_ref()
            && given.changes == changes
            && (0.0..FRESH_SECONDS).contains(&now.seconds_since(given.at))
        {
            return Ok(given.body.clone());
        }
        let body = made.await?;
        *given = Some(Given {
            at: now,
            changes,
            body: body.clone(),
        });
        Ok(body)
    }

    /// Something changed: who asks after this gets a new answer.
    pub fn forget(&self) {
        self.changes.fetch_add(1, Ordering::AcqRel);
    }

    fn slot(&self, question: Question) -> Slot {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        if slots.len() >= MAX_QUESTIONS && !slots.contains_key(&question) {
            slots.clear();
        }
        slots.entry(question).or_default().clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(environment: &str) -> Question {
        Question {
            sees: vec![environment.to_owned()],
            environment: None,
            with_spark: true,
        }
    }

    #[tokio::test]
    async fn an_answer_is_made_once_a_second_for_those_who_see_the_same() {
        let answers = ListAnswers::default();
        let at = |milliseconds: i64| UnixNanos(milliseconds * 1_000_000);
        let made = |text: &'static str| async move { Ok(Bytes::from_static(text.as_bytes())) };
        let check = async |environment: &str, now: i64, offered: &'static str, expected: &str| {
            let given = answers.answer(question(environment), at(now), made(offered)).await.unwrap();
            assert_eq!(given, expected.as_bytes());
        };
        check("a", 0, "first", "first").await;
        check("a", 999, "second", "first").await;
        check("b", 999, "of b", "of b").await;
        check("a", 1_000, "third", "third").await;
        answers.forget();
        check("a", 1_001, "fourth", "fourth").await;
        let failed = async { Err(Problem::not_found("nothing")) };
        assert!(answers.answer(question("c"), at(0), failed).await.is_err());
        check("c", 0, "of c", "of c").await;
    }
}
