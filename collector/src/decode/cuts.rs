//! What is cut, ignored or set aside while a frame is decoded, counted by reason.

use std::collections::BTreeMap;

/// Reasons as they are counted.
pub mod reasons {
    /// A frame that does not decode at all, although it was admitted.
    pub const UNREADABLE_FRAME: &str = "unreadable_frame";
    /// A line of outcomes that this version does not know.
    pub const UNREADABLE_OUTCOME: &str = "unreadable_outcome";
    /// A record that was refused for its ids when it was received.
    pub const INVALID_IDS: &str = "invalid_ids";
    /// An attribute's value beyond 32 KiB.
    pub const ATTRIBUTE_VALUE_TOO_LONG: &str = "attribute_value_too_long";
    /// Attributes beyond 256 of one record.
    pub const TOO_MANY_ATTRIBUTES: &str = "too_many_attributes";
    /// A value nested deeper than 32 levels.
    pub const NESTING_TOO_DEEP: &str = "nesting_too_deep";
    /// A name beyond 256 bytes.
    pub const NAME_TOO_LONG: &str = "name_too_long";
    /// Features or class scores beyond 1,000 of one inference.
    pub const TOO_MANY_FEATURES: &str = "too_many_features";
    /// An embedding with more than 4,096 dimensions.
    pub const EMBEDDING_TOO_LONG: &str = "embedding_too_long";
    /// An embedding with a value that is no number, or not finite.
    pub const EMBEDDING_NOT_NUMERIC: &str = "embedding_not_numeric";
    /// One of Driftlead's own attributes with a value of the wrong type.
    pub const WRONG_TYPE: &str = "wrong_type";
    /// An event `ml.inference` that names no model.
    pub const INFERENCE_WITHOUT_MODEL: &str = "inference_without_model";
    /// An outcome that names no inference.
    pub const OUTCOME_WITHOUT_REQUEST: &str = "outcome_without_request";
    /// An outcome without a value of its kind.
    pub const OUTCOME_WITHOUT_VALUE: &str = "outcome_without_value";
    /// An id in a link or an exemplar of a wrong length, left out.
    pub const INVALID_LINKED_ID: &str = "invalid_linked_id";
    /// An error's message or stack beyond 32 KiB, cut in the index only.
    pub const ERROR_TEXT_TOO_LONG: &str = "error_text_too_long";
    /// Exceptions of one span beyond 16, left out of the index only.
    pub const TOO_MANY_EXCEPTIONS: &str = "too_many_exceptions";
    /// The label of an outcome beyond 1,024 bytes, which the API refuses as well.
    pub const OUTCOME_LABEL_TOO_LONG: &str = "outcome_label_too_long";
}

/// Counts by reason, in the reasons' order.
#[derive(Debug, Default)]
pub(crate) struct Cuts(BTreeMap<&'static str, u64>);

impl Cuts {
    pub(crate) fn add(&mut self, reason: &'static str, count: u64) {
        if count > 0 {
            *self.0.entry(reason).or_default() += count;
        }
    }

    pub(crate) fn into_counts(self) -> Vec<(&'static str, u64)> {
        self.0.into_iter().collect()
    }
}
