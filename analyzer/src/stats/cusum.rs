//! The two-sided tabular CUSUM (Page 1954; Montgomery, "Introduction to statistical quality control"): how far
//! observations have lately gone above and below their target, added up.

use serde::{Deserialize, Serialize};

use super::Undefined;

/// What the observations should be, and when they are not. All in the unit of the observations.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cusum {
    /// Their mean while nothing is wrong.
    pub target: f64,
    /// How far from the target an observation may lie before it adds anything: half of the shift that should be found,
    /// often half a standard deviation. Not negative.
    pub allowance: f64,
    /// The sum beyond which there is an alarm, often four or five standard deviations. Positive.
    pub decision_interval: f64,
}

/// What is kept from one observation to the next. The default one has seen nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct State {
    above: Side,
    below: Side,
}

/// The sum of one side, and over how many observations it has been above zero.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
struct Side {
    sum: f64,
    observations: u64,
}

/// To which side the mean went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// Above the target.
    Up,
    /// Below it.
    Down,
}

/// The mean is no longer at the target.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Alarm {
    /// Where it went.
    pub direction: Direction,
    /// The sum that passed the decision interval.
    pub sum: f64,
    /// Over how many observations it has been above zero: about so long ago it began.
    pub observations: u64,
    /// The mean of those, as Montgomery estimates it from their sum.
    pub mean: f64,
}

impl Cusum {
    /// Adds an observation: the state after it, and whether there is an alarm. An alarm starts over.
    ///
    /// # Errors
    /// The observation, or its sum with those before, is not finite, or the chart's own numbers make no sense.
    pub fn observe(&self, state: &State, observation: f64) -> Result<(State, Option<Alarm>), Undefined> {
        let is_chart = self.target.is_finite() && (0.0..f64::INFINITY).contains(&self.allowance) && self.decision_interval > 0.0;
        if !is_chart {
            return Err(Undefined::because(
                "the chart has no target, a negative allowance or no decision interval",
            ));
        }
        let excess = observation - self.target;
        let next = State {
            above: state.above.after(excess - self.allowance),
            below: state.below.after(-excess - self.allowance),
        };
        if !(observation.is_finite() && next.above.sum.is_finite() && next.below.sum.is_finite()) {
            return Err(Undefined::because("an observation is not finite, or too large to be added up"));
        }
        let alarm = self.alarm(next.above, Direction::Up).or(self.alarm(next.below, Direction::Down));
        Ok((if alarm.is_some() { State::default() } else { next }, alarm))
    }

    fn alarm(&self, side: Side, direction: Direction) -> Option<Alarm> {
        let distance = self.allowance + side.sum / side.observations as f64;
        (side.sum > self.decision_interval).then_some(Alarm {
            direction,
            sum: side.sum,
            observations: side.observations,
            mean: match direction {
                Direction::Up => self.target + distance,
                Direction::Down => self.target - distance,
            },
        })
    }
}

impl Side {
    fn after(self, excess: f64) -> Self {
        let sum = self.sum + excess;
        if sum <= 0.0 {
            return Self::default();
        }
        Self {
            sum,
            observations: self.observations + 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHART: Cusum = Cusum {
        target: 10.0,
        allowance: 0.5,
        decision_interval: 5.0,
    };

    fn first_alarm(observations: &[f64]) -> Option<(usize, Alarm)> {
        let mut state = State::default();
        observations.iter().enumerate().find_map(|(index, observation)| {
            let (next, alarm) = CHART.observe(&state, *observation).unwrap();
            state = next;
            alarm.map(|alarm| (index, alarm))
        })
    }

    /// Montgomery's example: the mean rises from 10 to 11 after the 20th observation.
    #[test]
    fn it_is_the_example_of_the_book() {
        let observations = [
            9.45, 7.99, 9.29, 11.66, 12.16, 10.18, 8.04, 11.46, 9.20, 10.34, 9.03, 11.47, 10.51, 9.40, 10.08, 9.37, 10.62, 10.31, 8.52,
            10.84, 10.90, 9.33, 12.29, 11.50, 10.60, 11.08, 10.38, 11.62, 11.31, 10.52,
        ];
        let (index, alarm) = first_alarm(&observations).unwrap();
        assert_eq!((index + 1, alarm.direction, alarm.observations), (29, Direction::Up, 7));
        assert!((alarm.sum - 5.28).abs() < 1e-9 && (alarm.mean - 11.25).abs() < 0.01, "{alarm:?}");
        let mirrored: Vec<f64> = observations.iter().map(|observation| 20.0 - observation).collect();
        let (index, alarm) = first_alarm(&mirrored).unwrap();
        assert_eq!((index + 1, alarm.direction, alarm.observations), (29, Direction::Down, 7));
        assert!((alarm.mean - 8.75).abs() < 0.01, "{alarm:?}");
    }

    #[test]
    fn what_stays_within_the_allowance_never_adds_up() {
        assert_eq!(first_alarm(&[10.5, 9.5, 10.0].repeat(1_000)), None);
        assert_eq!(first_alarm(&[]), None);
    }

    #[test]
    fn an_alarm_starts_over() {
        let (state, alarm) = CHART.observe(&State::default(), 99.0).unwrap();
        assert_eq!((state, alarm.unwrap().observations), (State::default(), 1));
    }

    #[test]
    fn a_state_survives_being_written_down() {
        let (state, _) = CHART.observe(&State::default(), 11.7).unwrap();
        let written = serde_json::to_string(&state).unwrap();
        assert_eq!(serde_json::from_str::<State>(&written).unwrap(), state);
    }

    #[test]
    fn what_cannot_be_added_says_why() {
        for observation in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert!(CHART.observe(&State::default(), observation).is_err());
        }
        let (far, _) = (Cusum {
            decision_interval: f64::MAX,
            ..CHART
        })
        .observe(&State::default(), f64::MAX)
        .unwrap();
        assert!(CHART.observe(&far, f64::MAX).is_err());
        for wrong in [
            Cusum { target: f64::NAN, ..CHART },
            Cusum { allowance: -0.1, ..CHART },
            Cusum {
                decision_interval: 0.0,
                ..CHART
            },
        ] {
            assert!(wrong.observe(&State::default(), 10.0).is_err());
        }
    }
}
