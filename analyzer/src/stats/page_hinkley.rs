//! The Page–Hinkley test (Page 1954; Hinkley 1971): whether the mean of observations has moved away from their mean so far,
//! up or down. Unlike [`super::cusum`] it is told no target.

use serde::{Deserialize, Serialize};

use super::Undefined;
use super::cusum::Direction;

/// When there is an alarm. The default is that of River.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PageHinkley {
    /// Observations before which there is none.
    pub min_instances: u64,
    /// How far from the mean an observation may lie before it adds anything, in its unit. Not negative.
    pub delta: f64,
    /// The sum beyond which there is an alarm, in the unit of the observations. Positive.
    pub threshold: f64,
    /// What is kept of the sums at each observation: from 0, all forgotten, to 1, nothing.
    pub alpha: f64,
}

impl Default for PageHinkley {
    fn default() -> Self {
        Self {
            min_instances: 30,
            delta: 0.005,
            threshold: 50.0,
            alpha: 1.0 - 0.0001,
        }
    }
}

/// What is kept from one observation to the next. The default one has seen nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct State {
    n: u64,
    mean: f64,
    /// Of what lies above the mean by more than delta, and its lowest value so far.
    rise: f64,
    lowest_rise: f64,
    /// Of what lies below the mean by less than delta, and its highest value so far.
    fall: f64,
    highest_fall: f64,
}

/// The mean has moved.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Alarm {
    /// Where to.
    pub direction: Direction,
    /// How far the sum went: beyond the threshold.
    pub sum: f64,
    /// Observations since the last alarm, or the first one.
    pub n: u64,
    /// Their mean: from before and after the change.
    pub mean: f64,
}

impl PageHinkley {
    /// Adds an observation: the state after it, and whether there is an alarm. An alarm starts over. Agrees with
    /// `river.drift.PageHinkley(mode="both")`.
    ///
    /// The sums forget, the extremes that they are compared with do not, so that over ten thousand observations and more a
    /// long fall that is over can look like a rise: an `alpha` of 1 does without.
    ///
    /// # Errors
    /// The observation, or a sum of those so far, is not finite, or the test's own numbers make no sense.
    pub fn observe(&self, state: &State, observation: f64) -> Result<(State, Option<Alarm>), Undefined> {
        let is_test = (0.0..f64::INFINITY).contains(&self.delta) && self.threshold > 0.0 && (0.0..=1.0).contains(&self.alpha);
        if !is_test {
            return Err(Undefined::because(
                "the test has a negative delta, no threshold, or an alpha that is not between 0 and 1",
            ));
        }
        let n = state.n + 1;
        let mean = state.mean + (observation - state.mean) / n as f64;
        let rise = self.alpha * state.rise + (observation - mean) - self.delta;
        let fall = self.alpha * state.fall + (observation - mean) + self.delta;
        if !(mean.is_finite() && rise.is_finite() && fall.is_finite()) {
            return Err(Undefined::because("an observation is not finite, or too large to be added up"));
        }
        let next = State {
            n,
            mean,
            rise,
            lowest_rise: state.lowest_rise.min(rise),
            fall,
            highest_fall: state.highest_fall.max(fall),
        };
        let alarm = self.alarm(&next);
        Ok((if alarm.is_some() { State::default() } else { next }, alarm))
    }

    fn alarm(&self, state: &State) -> Option<Alarm> {
        let sides = [
            (Direction::Up, state.rise - state.lowest_rise),
            (Direction::Down, state.highest_fall - state.fall),
        ];
        let (direction, sum) = sides.into_iter().find(|(_, sum)| *sum > self.threshold)?;
        (state.n >= self.min_instances).then_some(Alarm {
            direction,
            sum,
            n: state.n,
            mean: state.mean,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The index, direction and mean of each alarm.
    fn alarms(test: PageHinkley, observations: impl IntoIterator<Item = f64>) -> Vec<(usize, Direction)> {
        let mut state = State::default();
        let mut found = Vec::new();
        for (index, observation) in observations.into_iter().enumerate() {
            let (next, alarm) = test.observe(&state, observation).unwrap();
            state = next;
            found.extend(alarm.map(|alarm| (index, alarm.direction)));
        }
        found
    }

    fn step(from: f64, to: f64) -> impl Iterator<Item = f64> {
        std::iter::repeat_n(from, 200).chain(std::iter::repeat_n(to, 30))
    }

    #[test]
    fn a_step_is_found_in_its_direction_soon_after_it() {
        let test = PageHinkley {
            alpha: 1.0,
            ..PageHinkley::default()
        };
        let (up, down) = (alarms(test, step(0.0, 5.0)), alarms(test, step(5.0, 0.0)));
        assert!(matches!(up[..], [(200..=211, Direction::Up)]), "{up:?}");
        assert!(matches!(down[..], [(200..=211, Direction::Down)]), "{down:?}");
    }

    #[test]
    fn what_stays_where_it_is_raises_no_alarm() {
        assert_eq!(alarms(PageHinkley::default(), std::iter::repeat_n(7.5, 20_000)), []);
        assert_eq!(alarms(PageHinkley::default(), []), []);
    }

    #[test]
    fn there_is_no_alarm_before_the_least_number_of_observations() {
        let impatient = PageHinkley {
            min_instances: 0,
            ..PageHinkley::default()
        };
        let jump = || std::iter::once(0.0).chain(std::iter::repeat_n(1_000.0, 40));
        assert_eq!(alarms(impatient, jump())[0].0, 1);
        assert_eq!(alarms(PageHinkley::default(), jump())[0].0, 29);
    }

    #[test]
    fn an_alarm_starts_over() {
        let test = PageHinkley {
            min_instances: 1,
            ..PageHinkley::default()
        };
        let (calm, none) = test.observe(&State::default(), 0.0).unwrap();
        let (fresh, alarm) = test.observe(&calm, 1e6).unwrap();
        assert_eq!((none, fresh), (None, State::default()));
        assert_eq!(alarm.map(|alarm| (alarm.n, alarm.mean)), Some((2, 5e5)));
    }

    #[test]
    fn a_state_survives_being_written_down() {
        let (state, _) = PageHinkley::default().observe(&State::default(), 0.1).unwrap();
        for state in [state, State::default()] {
            let written = serde_json::to_string(&state).unwrap();
            assert_eq!(serde_json::from_str::<State>(&written).unwrap(), state);
        }
    }

    #[test]
    fn what_cannot_be_added_says_why() {
        let test = PageHinkley::default();
        for observation in [f64::NAN, f64::INFINITY] {
            assert!(test.observe(&State::default(), observation).is_err());
        }
        let (low, _) = test.observe(&State::default(), -f64::MAX).unwrap();
        assert!(test.observe(&low, f64::MAX).is_err());
        for wrong in [
            PageHinkley { delta: -1.0, ..test },
            PageHinkley { threshold: 0.0, ..test },
            PageHinkley { alpha: 1.1, ..test },
            PageHinkley { alpha: f64::NAN, ..test },
        ] {
            assert!(wrong.observe(&State::default(), 0.0).is_err());
        }
    }
}
