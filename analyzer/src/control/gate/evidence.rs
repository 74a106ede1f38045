//! What two replays show, before it is judged.

use super::*;

/// What two replays show.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Evidence {
    pub(super) measured: Measured,
    pub(super) baseline: Option<Measured>,
    pub(super) average: Option<Average>,
    pub(super) f1_fall: Option<Bounded>,
    pub(super) accuracy_fall: Option<Bounded>,
    pub(super) mcnemar: Option<McNemar>,
    pub(super) unanswered: Vec<String>,
    pub(super) left_out: Vec<String>,
    pub(super) smallest_detectable_fall: Option<f64>,
    pub(super) latency: Latency,
}

/// What is known of latency.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Latency {
    /// p95 of the slowest warm run.
    pub(super) worst_p95_ms: Option<f64>,
    /// Enough warm runs, and all of them over the budget.
    pub(super) over_budget: bool,
    /// Some warm run over the budget.
    pub(super) once_over_budget: bool,
    /// Relative rise of p95 against the baseline, where there are enough pairs and it is sure.
    pub(super) sure_rise: Option<f64>,
}

/// Answers to one example that counts.
#[derive(Debug, Clone, Copy)]
struct Answered {
    right: bool,
    pair: Option<Pair>,
    baseline_right: bool,
    baseline_pair: Option<Pair>,
}

impl Evidence {
    pub(super) fn weigh(settings: &GateSettings, version: &JudgedReplay, baseline: Option<&JudgedReplay>) -> Self {
        // A baseline that could not be replayed answers nothing: the version is measured alone, and the verdict says so.
        let compared = baseline.filter(|baseline| baseline.examples.len() == version.examples.len() && answered_any(baseline));
        let (mut unanswered, mut left_out, mut counting) = (Vec::new(), Vec::new(), Vec::new());
        for (index, example) in version.examples.iter().enumerate() {
            let before = compared.map(|baseline| &baseline.examples[index]);
            match (&example.reply, before.map(|before| &before.reply)) {
                (Ok(_), None | Some(Ok(_))) => counting.push(index),
                (Err(_), Some(Err(_))) | (Ok(_), Some(Err(_))) => left_out.push(example.id.clone()),
                (Err(_), None | Some(Ok(_))) => unanswered.push(example.id.clone()),
            }
        }
        let labels = version.examples.iter().filter_map(|example| match &example.expected {
            Expected::Label(label) => Some(label.as_str()),
            Expected::Value { .. } => None,
        });
        let classes = Classes::of(labels, settings.positive_class.as_deref());
        let answered: Vec<Answered> = counting
            .iter()
            .map(|&index| {
                let (now, before) = (&version.examples[index], compared.map(|baseline| &baseline.examples[index]));
                Answered {
                    right: now.is_correct(),
                    pair: pair_of(classes.as_ref(), now),
                    baseline_right: before.is_some_and(JudgedExample::is_correct),
                    baseline_pair: before.and_then(|before| pair_of(classes.as_ref(), before)),
                }
            })
            .collect();
        let bounds = Bounds::of(settings.seed, &answered, classes.as_ref(), &strata(version, &counting));
        let mcnemar = compared.map(|_| {
            let lost = answered.iter().filter(|example| example.baseline_right && !example.right).count();
            let gained = answered.iter().filter(|example| !example.baseline_right && example.right).count();
            McNemar::test(lost as u64, gained as u64)
        });
        let n = answered.len();
        let gained_share = mcnemar.map_or(0.0, |test| test.gained as f64 / n.max(1) as f64);
        let measured = |replay: &JudgedReplay, f1, accuracy| Measured {
            version: replay.version.clone(),
            examples: n,
            f1,
            accuracy,
            p95_ms: replay.p95_ms.clone(),
        };
        Self {
            measured: measured(version, bounds.f1, bounds.accuracy),
            baseline: compared.map(|baseline| measured(baseline, bounds.baseline_f1, bounds.baseline_accuracy)),
            average: classes.as_ref().map(Classes::average),
            f1_fall: compared.and(bounds.f1_fall),
            accuracy_fall: compared.and(bounds.accuracy_fall),
            mcnemar,
            unanswered,
            left_out,
            smallest_detectable_fall: mcnemar::smallest_detectable_fall(n as u64, gained_share),
            latency: Latency::of(settings, version, compared),
        }
    }

    pub(super) fn flips(&self, version: &JudgedReplay, baseline: Option<&JudgedReplay>) -> Vec<Flip> {
        let Some(baseline) = baseline.filter(|_| self.mcnemar.is_some()) else {
            return Vec::new();
        };
        let both = version.examples.iter().zip(&baseline.examples);
        both.filter_map(|(now, before)| {
            let (Ok(after), Ok(earlier)) = (&now.reply, &before.reply) else {
                return None;
            };
            (now.is_correct() != before.is_correct()).then(|| Flip {
                example: now.id.clone(),
                expected: now.expected.to_string(),
                before: earlier.to_string(),
                after: after.to_string(),
                harmed: before.is_correct(),
                segment: now.segment.clone(),
                tags: now.tags.clone(),
            })
        })
        .collect()
    }

    /// How many examples would tell: enough to pass at all, enough for F1's bound to leave the floor, enough for
    /// the test to find the fall that was measured.
    pub(super) fn examples_needed(&self, settings: &GateSettings) -> Option<u64> {
        let n = self.measured.examples;
        if n == 0 {
            return Some(MIN_EXAMPLES as u64);
        }
        let mut needed = (n < MIN_EXAMPLES).then_some(MIN_EXAMPLES as u64);
        if let Some(f1) = self.measured.f1
            && f1.value < settings.f1_floor
            && f1.upper >= settings.f1_floor
        {
            // A bound's distance shrinks with the root of the number of examples.
            let times = ((f1.upper - f1.value) / (settings.f1_floor - f1.value)).powi(2);
            needed = needed.max(Some((n as f64 * times).ceil() as u64 + 1));
        }
        if let Some(test) = self.mcnemar
            && self.fell()
            && !test.is_significant()
        {
            let share = |count: u64| count as f64 / n as f64;
            needed = needed.max(mcnemar::examples_needed(share(test.lost), share(test.gained)));
        }
        needed.filter(|&needed| needed <= mcnemar::MAX_EXAMPLES_ADVISED)
    }

    /// Whether F1 or accuracy fell by more than is allowed, as points.
    pub(super) fn fell(&self) -> bool {
        let too_far = |fall: Option<Bounded>| fall.is_some_and(|fall| fall.value > MAX_RELATIVE_FALL);
        too_far(self.f1_fall) || too_far(self.accuracy_fall)
    }
}

impl Latency {
    fn of(settings: &GateSettings, version: &JudgedReplay, baseline: Option<&JudgedReplay>) -> Self {
        let over = |p95: &f64| *p95 > settings.latency_budget_ms;
        Self {
            worst_p95_ms: version.p95_ms.iter().copied().reduce(f64::max),
            over_budget: version.p95_ms.len() >= WARM_RUNS && version.p95_ms.iter().all(over),
            once_over_budget: version.p95_ms.iter().any(over),
            sure_rise: baseline.and_then(|baseline| sure_rise(version, baseline)),
        }
    }
}

/// The relative rise of p95 when it is over the limits in every warm run and more examples got slower than chance
/// explains.
fn sure_rise(version: &JudgedReplay, baseline: &JudgedReplay) -> Option<f64> {
    let pairs: Vec<(f64, f64)> = version
        .examples
        .iter()
        .zip(&baseline.examples)
        .filter_map(|(now, before)| Some((now.latency_ms?, before.latency_ms?)))
        .collect();
    if pairs.len() < MIN_LATENCY_PAIRS || version.p95_ms.len() < WARM_RUNS {
        return None;
    }
    let before = baseline.p95_ms.iter().copied().reduce(f64::max)?;
    let fastest_now = version.p95_ms.iter().copied().reduce(f64::min)?;
    let slower = pairs.iter().filter(|(now, before)| now > before).count();
    let faster = pairs.iter().filter(|(now, before)| now < before).count();
    let rise = fastest_now / before - 1.0;
    let is_large = rise > MAX_RELATIVE_P95_RISE && fastest_now - before >= MIN_P95_RISE_MS;
    (is_large && McNemar::test(slower as u64, faster as u64).is_significant()).then_some(rise)
}

fn answered_any(replay: &JudgedReplay) -> bool {
    replay.examples.iter().any(|example| example.reply.is_ok())
}

fn pair_of(classes: Option<&Classes>, example: &JudgedExample) -> Option<Pair> {
    match (&example.expected, &example.reply) {
        (Expected::Label(expected), Ok(Reply::Label { label, .. })) => classes?.pair(expected, label),
        // A number where a class is expected is the answer of no class.
        (Expected::Label(expected), Ok(Reply::Value(value))) => classes?.pair(expected, &value.to_string()),
        _ => None,
    }
}

/// Places in `counting` by what the example expects, so that every draw keeps each class's share.
fn strata(version: &JudgedReplay, counting: &[usize]) -> Vec<Vec<usize>> {
    let mut strata = std::collections::BTreeMap::<&str, Vec<usize>>::new();
    for (place, &index) in counting.iter().enumerate() {
        let stratum = match &version.examples[index].expected {
            Expected::Label(label) => label.as_str(),
            Expected::Value { .. } => "",
        };
        strata.entry(stratum).or_default().push(place);
    }
    strata.into_values().collect()
}

struct Bounds {
    f1: Option<Bounded>,
    accuracy: Option<Bounded>,
    baseline_f1: Option<Bounded>,
    baseline_accuracy: Option<Bounded>,
    f1_fall: Option<Bounded>,
    accuracy_fall: Option<Bounded>,
}

impl Bounds {
    /// All from the same draws, so that falls are paired.
    fn of(seed: u64, answered: &[Answered], classes: Option<&Classes>, strata: &[Vec<usize>]) -> Self {
        let [f1, accuracy, baseline_f1, baseline_accuracy, f1_fall, accuracy_fall] = bootstrap(strata, seed, |drawn| {
            let f1_of = |pair: fn(&Answered) -> Option<Pair>| classes?.f1(drawn.iter().filter_map(|&place| pair(&answered[place])));
            let accuracy_of = |right: fn(&Answered) -> bool| {
                let right = drawn.iter().filter(|&&place| right(&answered[place])).count();
                (!drawn.is_empty()).then(|| right as f64 / drawn.len() as f64)
            };
            let (f1, accuracy) = (f1_of(|example| example.pair), accuracy_of(|example| example.right));
            let (before_f1, before_accuracy) = (
                f1_of(|example| example.baseline_pair),
                accuracy_of(|example| example.baseline_right),
            );
            [
                f1,
                accuracy,
                before_f1,
                before_accuracy,
                relative_fall(before_f1, f1),
                relative_fall(before_accuracy, accuracy),
            ]
        });
        Self {
            f1,
            accuracy,
            baseline_f1,
            baseline_accuracy,
            f1_fall,
            accuracy_fall,
        }
    }
}

/// (before − now) / before; undefined when there was nothing to fall from.
fn relative_fall(before: Option<f64>, now: Option<f64>) -> Option<f64> {
    let (before, now) = (before?, now?);
    (before > 0.0).then(|| (before - now) / before)
}
