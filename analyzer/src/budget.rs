//! How often a decision may be wrong: the user says how many false alerts a month are borne, and all decisions share them.

use crate::stats::shift::{DECISION_ERROR, DISPLAY_ERROR};

/// False alerts that are allowed, and how many looks share them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Budget {
    /// The expected number of false alerts of all looks together; below one it is their probability.
    pub errors: f64,
    /// Looks that share it: how often in 30 days a rule looks at windows like this one, of how many versions and segments.
    pub looks: u64,
}

impl Budget {
    /// Of somebody who looks once.
    pub const ONE_LOOK: Self = Self {
        errors: DECISION_ERROR,
        looks: 1,
    };

    /// The error that each decision may have where every look decides about `features` of them; never above that of bounds
    /// that are shown, however much is allowed.
    pub fn decision_error(self, features: usize) -> f64 {
        let decisions = (features as u64).saturating_mul(self.looks).max(1);
        (self.errors / decisions as f64).min(DISPLAY_ERROR)
    }

    /// The same, shared by so many times as many looks.
    pub fn shared_by(self, times: usize) -> Self {
        Self {
            looks: self.looks.saturating_mul((times as u64).max(1)),
            ..self
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decisions_share_what_is_allowed() {
        let month = Budget { errors: 1.0, looks: 720 };
        assert!((month.decision_error(50) - 1.0 / 36_000.0).abs() < 1e-15);
        assert!((month.shared_by(4).decision_error(50) - 1.0 / 144_000.0).abs() < 1e-15);
        assert_eq!(Budget { errors: 100.0, looks: 1 }.decision_error(0), DISPLAY_ERROR);
        assert_eq!(Budget::ONE_LOOK.decision_error(4), 0.0025);
    }
}
