//! The score of a model's positive class, as queries take it from inferences.

use crate::model_settings::{ModelSettings, ScoreOf};

/// How the positive class of a model is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Positive<'a> {
    /// Its name.
    pub class: &'a str,
    /// What a score without a class is the probability of.
    pub score_of: ScoreOf,
}

impl<'a> Positive<'a> {
    /// That of a model; `None` where it declares none.
    pub fn of(settings: &'a ModelSettings) -> Option<Self> {
        settings.positive_class.as_deref().map(|class| Self {
            class,
            score_of: settings.score_of,
        })
    }
}

/// The name of the query parameter that holds the class.
pub(super) const PARAMETER: &str = "positive";

/// The positive class's score, a `Nullable(Float64)`: its own where an inference has one of each class, else its single one,
/// as the settings say. Null where there is no positive class.
pub(super) fn score(positive: Option<Positive<'_>>) -> &'static str {
    match positive.map(|positive| positive.score_of) {
        None => "CAST(NULL, 'Nullable(Float64)')",
        Some(ScoreOf::PositiveClass) => {
            "if(mapContains(scores, {positive:String}), toNullable(scores[{positive:String}]), prediction_score)"
        }
        Some(ScoreOf::PredictedClass) => {
            "if(mapContains(scores, {positive:String}), toNullable(scores[{positive:String}]), \
               if(prediction_label = {positive:String}, prediction_score, 1 - prediction_score))"
        }
    }
}
