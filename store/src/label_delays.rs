//! How long labels of each model usually take: as declared, else as those did that came.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use crate::model_settings::{DEFAULT_LABEL_DELAY_SECONDS, ModelSettings};

/// What was learnt, shared by whoever waits for labels; cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct LabelDelays(Arc<RwLock<HashMap<String, Duration>>>);

impl LabelDelays {
    /// How long labels of a model take: declared, else learnt, else a day.
    pub fn of(&self, settings: &ModelSettings) -> Duration {
        let learnt = || {
            let learnt = self.0.read().unwrap_or_else(PoisonError::into_inner);
            learnt.get(&settings.name).copied()
        };
        settings
            .label_delay
            .or_else(learnt)
            .unwrap_or(Duration::from_secs(DEFAULT_LABEL_DELAY_SECONDS))
    }

    /// The longest one of these models, of those that something was learnt about, and of the others.
    pub fn longest<'a>(&self, declared: impl Iterator<Item = &'a ModelSettings>) -> Duration {
        let of_declared = declared.map(|settings| self.of(settings)).max().unwrap_or_default();
        let learnt = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let of_learnt = learnt.values().max().copied().unwrap_or_default();
        of_declared.max(of_learnt).max(Duration::from_secs(DEFAULT_LABEL_DELAY_SECONDS))
    }

    /// Remembers what the labels of a model took. What is declared goes before it.
    pub fn learn(&self, model: &str, delay: Duration) {
        let mut learnt = self.0.write().unwrap_or_else(PoisonError::into_inner);
        learnt.insert(model.to_owned(), delay);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_declared_goes_before_what_was_learnt() {
        let delays = LabelDelays::default();
        let mut settings = ModelSettings::undeclared("m");
        assert_eq!(delays.of(&settings), Duration::from_secs(86_400));
        delays.clone().learn("m", Duration::from_secs(90));
        assert_eq!(delays.of(&settings), Duration::from_secs(90));
        settings.label_delay = Some(Duration::ZERO);
        assert_eq!(delays.of(&settings), Duration::ZERO);
        delays.learn("n", Duration::from_secs(200_000));
        assert_eq!(delays.longest([&settings].into_iter()), Duration::from_secs(200_000));
    }
}
