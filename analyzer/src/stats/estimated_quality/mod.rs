//! Quality without labels: what the model's own probabilities promise, once a labelled reference has shown how far they can
//! be believed (confidence-based performance estimation, CBPE). Agrees with `nannyml.CBPE`.
//!
//! The scores of the reference are calibrated if that brings them nearer to the shares of positives; then each inference
//! counts as right with the probability of what the model decided, and the sums are an expected confusion.
//!
//! It sees what a change of traffic does to quality, as far as scores show it. It is blind to concept drift: where the same
//! scores begin to mean other shares of positives, the estimate stays where it was. So it never stands alone as a reason to
//! act.
//!
//! From buckets it moves less than its sampling error: a score that is 0.4 % off has a probability that is about as far off.

mod binary;
mod calibrator;
mod effective_rows;
mod expected;
mod multiclass;
mod sampling_error;

pub use binary::{BinaryEstimator, Decided, Estimate, ExpectedConfusion};
pub use calibrator::Calibrator;
pub use expected::expect;
pub use multiclass::{MulticlassEstimate, MulticlassEstimator, Prediction};
