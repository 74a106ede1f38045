//! ADWIN, adaptive windowing (Bifet and Gavaldà 2007, "Learning from time-changing data with adaptive windowing"): a window
//! of observations that grows for as long as they are alike, and whether an older part of it differs from the newer one.
//!
//! The window is an exponential histogram: a few buckets of one observation, a few of two, of four, and so on, each with
//! the sum and the spread of its observations. So its memory grows with the logarithm of its length.

use serde::{Deserialize, Serialize};

use super::Undefined;

/// When the window is taken to hold a change. The default is that of River.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdaptiveWindowing {
    /// The error that is allowed at each look, between 0 and 1.
    pub delta: f64,
    /// There is a look after every so many observations; at least 1.
    pub clock: u64,
    /// Buckets of each size that are kept before two of them become one; at least 1.
    pub max_buckets: usize,
    /// Observations that either part of the window must have; at least 1.
    pub min_window_length: u64,
    /// Observations up to which there is no look.
    pub grace_period: u64,
}

impl Default for AdaptiveWindowing {
    fn default() -> Self {
        Self {
            delta: 0.002,
            clock: 32,
            max_buckets: 5,
            min_window_length: 5,
            grace_period: 10,
        }
    }
}

/// The window. The default one has seen nothing.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// The oldest first, so the largest first.
    buckets: Vec<Bucket>,
    /// Observations in the window.
    width: u64,
    total: f64,
    /// The sum of the squared distances from the mean.
    squares: f64,
}

/// As many observations as two to the power of `level`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Bucket {
    level: u8,
    total: f64,
    squares: f64,
}

/// The older part of the window differs from the newer one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Alarm {
    /// Observations of the older part.
    pub older_n: u64,
    /// Their mean.
    pub older_mean: f64,
    /// Observations of the newer part: about so long ago it changed.
    pub newer_n: u64,
    /// Their mean.
    pub newer_mean: f64,
}

impl Bucket {
    fn width(self) -> f64 {
        2.0_f64.powi(i32::from(self.level))
    }

    fn mean(self) -> f64 {
        self.total / self.width()
    }

    /// Both as one, of the next level.
    fn with(self, other: Self) -> Self {
        let distance = self.mean() - other.mean();
        Self {
            level: self.level.saturating_add(1),
            total: self.total + other.total,
            squares: self.squares + other.squares + self.width() / 2.0 * distance * distance,
        }
    }
}

impl AdaptiveWindowing {
    /// Adds an observation: the window with it, and whether there is an alarm. An alarm starts over with an empty window, as
    /// in River; the paper goes on with the newer part. Agrees with `river.drift.ADWIN` on when there is an alarm.
    ///
    /// The window is cut between its buckets (the paper's ADWIN2), and the bound is the one from its variance (equation 3.1).
    ///
    /// # Errors
    /// The observation, or a sum over the window, is not finite, or the method's own numbers make no sense.
    pub fn observe(&self, state: &State, observation: f64) -> Result<(State, Option<Alarm>), Undefined> {
        let is_method = self.delta > 0.0 && self.delta < 1.0 && self.clock > 0 && self.max_buckets > 0 && self.min_window_length > 0;
        if !is_method {
            return Err(Undefined::because(
                "the method has a delta that is not between 0 and 1, or a clock, buckets or window of nothing",
            ));
        }
        let mut window = state.with(observation);
        if !(window.total.is_finite() && window.squares.is_finite()) {
            return Err(Undefined::because("an observation is not finite, or too large to be added up"));
        }
        window.merge(self.max_buckets);
        let is_looked_at = window.width.is_multiple_of(self.clock) && window.width > self.grace_period;
        if !(is_looked_at && self.holds_change(&window)) {
            return Ok((window, None));
        }
        let (whole_width, whole_total) = (window.width, window.total);
        while self.holds_change(&window) {
            window.forget_oldest();
        }
        let (older_n, older_total) = (whole_width - window.width, whole_total - window.total);
        let alarm = Alarm {
            older_n,
            older_mean: older_total / older_n as f64,
            newer_n: window.width,
            newer_mean: window.total / window.width as f64,
        };
        Ok((State::default(), Some(alarm)))
    }

    /// Whether, wherever the window is cut, the means of its parts differ by more than chance allows.
    fn holds_change(&self, window: &State) -> bool {
        let least = self.min_window_length as f64;
        let width = window.width as f64;
        let log = (2.0 * width.ln() / self.delta).ln();
        // Rounding can take it below zero.
        let variance = (window.squares / width).max(0.0);
        let (mut older_n, mut older_total) = (0.0, 0.0);
        let (mut newer_n, mut newer_total) = (width, window.total);
        window.buckets.iter().any(|bucket| {
            older_n += bucket.width();
            newer_n -= bucket.width();
            older_total += bucket.total;
            newer_total -= bucket.total;
            if older_n < least || newer_n < least {
                return false;
            }
            let parts = 1.0 / (older_n - least + 1.0) + 1.0 / (newer_n - least + 1.0);
            let bound = (2.0 * parts * variance * log).sqrt() + 2.0 / 3.0 * log * parts;
            (older_total / older_n - newer_total / newer_n).abs() > bound
        })
    }
}

impl State {
    fn with(&self, observation: f64) -> Self {
        let mut window = self.clone();
        let before = self.width as f64;
        if self.width > 0 {
            let distance = observation - self.total / before;
            window.squares += before * distance * distance / (before + 1.0);
        }
        window.width += 1;
        window.total += observation;
        window.buckets.push(Bucket {
            level: 0,
            total: observation,
            squares: 0.0,
        });
        window
    }

    /// Makes the two oldest buckets of a level one of the next, level after level, for as long as one has too many.
    fn merge(&mut self, max_buckets: usize) {
        let mut end = self.buckets.len();
        while end > 0 {
            let level = self.buckets[end - 1].level;
            let start = self.buckets[..end]
                .iter()
                .rposition(|bucket| bucket.level != level)
                .map_or(0, |before| before + 1);
            if end - start <= max_buckets {
                return;
            }
            self.buckets[start] = self.buckets[start].with(self.buckets[start + 1]);
            self.buckets.remove(start + 1);
            end = start + 1;
        }
    }

    fn forget_oldest(&mut self) {
        let oldest = self.buckets.remove(0);
        let n = oldest.width();
        self.width = self.width.saturating_sub(n as u64);
        self.total -= oldest.total;
        let rest = self.width as f64;
        let distance = oldest.mean() - self.total / rest;
        self.squares -= oldest.squares + n * rest * distance * distance / (n + rest);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn alarms(observations: impl IntoIterator<Item = f64>) -> (State, Vec<(usize, Alarm)>) {
        let mut state = State::default();
        let mut found = Vec::new();
        for (index, observation) in observations.into_iter().enumerate() {
            let (next, alarm) = AdaptiveWindowing::default().observe(&state, observation).unwrap();
            state = next;
            found.extend(alarm.map(|alarm| (index, alarm)));
        }
        (state, found)
    }

    #[test]
    fn a_step_is_found_with_the_means_before_and_after() {
        let (_, found) = alarms(std::iter::repeat_n(0.25, 1_000).chain(std::iter::repeat_n(3.5, 100)));
        let [(index, alarm), ..] = found[..] else { panic!("{found:?}") };
        assert!((1_000..1_032).contains(&index), "{found:?}");
        assert_eq!(alarm.older_n + alarm.newer_n, index as u64 + 1);
        assert!((0.25..0.3).contains(&alarm.older_mean) && alarm.newer_mean > 1.0, "{alarm:?}");
    }

    #[test]
    fn what_stays_where_it_is_raises_no_alarm_and_its_memory_is_logarithmic() {
        let (state, found) = alarms(std::iter::repeat_n(2.5, 100_000));
        assert_eq!(found, []);
        assert_eq!((state.width, state.total, state.squares), (100_000, 250_000.0, 0.0));
        assert!(state.buckets.len() <= 5 * 16, "{}", state.buckets.len());
    }

    #[test]
    fn a_state_survives_being_written_down() {
        let (state, _) = alarms((0..500).map(|n| f64::from(n % 7) / 3.0));
        for state in [state, State::default()] {
            let written = serde_json::to_string(&state).unwrap();
            assert_eq!(serde_json::from_str::<State>(&written).unwrap(), state);
        }
    }

    #[test]
    fn what_cannot_be_added_says_why() {
        let method = AdaptiveWindowing::default();
        for observation in [f64::NAN, f64::INFINITY] {
            assert!(method.observe(&State::default(), observation).is_err());
        }
        let (large, _) = method.observe(&State::default(), 1e200).unwrap();
        assert!(method.observe(&large, -1e200).is_err());
        for wrong in [
            AdaptiveWindowing { delta: 0.0, ..method },
            AdaptiveWindowing { delta: f64::NAN, ..method },
            AdaptiveWindowing { clock: 0, ..method },
            AdaptiveWindowing { max_buckets: 0, ..method },
            AdaptiveWindowing {
                min_window_length: 0,
                ..method
            },
        ] {
            assert!(wrong.observe(&State::default(), 0.0).is_err());
        }
    }

    proptest! {
        #[test]
        fn buckets_hold_what_the_window_does(observations in prop::collection::vec(-1.0..1.0_f64, 1..400), max_buckets in 1_usize..8) {
            let method = AdaptiveWindowing { max_buckets, clock: 1_000, ..AdaptiveWindowing::default() };
            let mut state = State::default();
            for observation in &observations {
                state = method.observe(&state, *observation).unwrap().0;
            }
            let n = observations.len() as f64;
            let mean = observations.iter().sum::<f64>() / n;
            let squares: f64 = observations.iter().map(|observation| (observation - mean).powi(2)).sum();
            prop_assert_eq!(state.width as usize, observations.len());
            prop_assert!((state.total / n - mean).abs() < 1e-9 && (state.squares - squares).abs() < 1e-9);
            prop_assert_eq!(state.buckets.iter().map(|bucket| bucket.width()).sum::<f64>(), n);
            prop_assert!(state.buckets.is_sorted_by(|one, next| one.level >= next.level));
            prop_assert!(state.buckets.chunk_by(|one, next| one.level == next.level).all(|level| level.len() <= max_buckets));
            // Merging in turn and all at once give the same spread.
            let merged = state.buckets.iter().map(|bucket| bucket.squares + bucket.width() * (bucket.mean() - mean).powi(2)).sum::<f64>();
            prop_assert!((merged - squares).abs() < 1e-9);
        }

        #[test]
        fn forgetting_the_oldest_leaves_the_rest(observations in prop::collection::vec(-1.0..1.0_f64, 20..200)) {
            let method = AdaptiveWindowing { clock: 1_000, ..AdaptiveWindowing::default() };
            let mut state = State::default();
            for observation in &observations {
                state = method.observe(&state, *observation).unwrap().0;
            }
            state.forget_oldest();
            let rest = &observations[observations.len() - state.width as usize..];
            let mean = rest.iter().sum::<f64>() / rest.len() as f64;
            let squares: f64 = rest.iter().map(|observation| (observation - mean).powi(2)).sum();
            prop_assert!((state.total / rest.len() as f64 - mean).abs() < 1e-9 && (state.squares - squares).abs() < 1e-9);
        }
    }
}
